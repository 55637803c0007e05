//! P11 where users live: a call in the middle that goes wrong, SIGKILL first of all. Whatever happened, running again
//! ends as it would have ended: 0 duplicates, 0 orphans, 0 stuck.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use evenkeel_sim::World;
use evenkeel_sim::dice::Span;

use super::fixture::{MOST_RUNS, STACK, Scene, each, full, table, unsound};
use crate::laws::crash::{Journey, journeys_of_machines};
use crate::laws::end::{Ending, ending};
use crate::laws::harness::story;
use crate::wire::place::Said;
use crate::wire::proxy::{Call, Fault, When};

/// Which call is struck. Calls that read are many and come in another number every time; those that change the world
/// are the same in every run, and the dangerous ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aim {
    /// Among the calls that only read, or among those that change the world.
    reads: bool,
    /// Which of them, from 0.
    nth: usize,
}

/// How a journey is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Planned and applied in one.
    Fresh,
    /// By a plan that was saved before, taken up again until it is done; what is left then is planned anew.
    Saved,
}

/// Of each call whether something happens to it, and what.
type Meddler = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// What the first run meets.
struct Strike {
    meddler: Meddler,
    /// It is a SIGKILL.
    kills: bool,
}

impl Strike {
    /// The call aimed at meets this.
    fn at(aim: Aim, fault: Fault) -> Self {
        let kills = matches!(fault, Fault::Kill(_));
        let mut before = 0;
        let meddler = move |call: &Call| {
            let hit = call.reads() == aim.reads && before == aim.nth;
            before += usize::from(call.reads() == aim.reads);
            hit.then(|| fault.clone())
        };
        Self { meddler: Box::new(meddler), kills }
    }
}

/// What came of one journey with calls that went wrong.
struct Went {
    end: World,
    /// The calls that were struck, as far as the run came.
    struck: Vec<String>,
    runs: usize,
    /// Calls of the first run that only read, and those that change the world.
    calls: (usize, usize),
}

/// Carries a journey out from this world: a first run that is struck, and then runs that are not, until one ends well and
/// as expected. Five minutes pass after each, so that what is hidden comes to light.
fn go(
    journey: &Journey,
    way: Way,
    start: &World,
    expected: Option<&Ending>,
    strike: Option<Strike>,
) -> Result<Went, String> {
    let scene = Scene::of(start.clone(), &journey.after);
    let fresh = if (journey.intent)().destroy { "destroy --yes" } else { "apply --yes --max-deletes 100%" };
    let mut words = fresh;
    if way == Way::Saved {
        scene.place.run("plan -o p --max-deletes 100%").ends(0);
        scene.proxy.forget();
        words = "apply p";
    }
    let kills = strike.as_ref().is_some_and(|strike| strike.kills);
    let (told, struck) = channel();
    if let Some(mut strike) = strike {
        scene.proxy.meddle(move |_, call| {
            let fault = (strike.meddler)(call);
            if fault.is_some() {
                let _ = told.send(call.action.clone());
            }
            fault
        });
    }
    let mut went = Went { end: start.clone(), struck: Vec::new(), runs: 0, calls: (0, 0) };
    let mut last = None;
    while went.runs < MOST_RUNS {
        let status = scene.run(words).ok_or_else(|| format!("run {} hung", went.runs))?;
        if went.runs == 0 {
            let calls = scene.proxy.calls();
            let reads = calls.iter().filter(|call| call.reads()).count();
            went.calls = (reads, calls.len() - reads);
            went.struck = struck.try_iter().collect();
            if kills && went.struck.is_empty() == (status.signal() == Some(9)) {
                return Err(format!("struck {:?} and ended with {status}", went.struck));
            }
        }
        went.runs += 1;
        scene.proxy.behave();
        scene.advance(300);
        went.end = scene.world();
        if status.code() == Some(0) {
            if expected.is_none_or(|e| ending(&went.end, STACK) == *e) {
                return Ok(went);
            }
            words = fresh;
        }
        last = Some(status);
    }
    let said = scene.place.run(words);
    Err(format!("not well and as expected after {MOST_RUNS} runs ({last:?}): {:#?}\n{said}", ending(&went.end, STACK)))
}

/// So many of `calls`, evenly; all of them when there are no more.
fn sampled(calls: usize, sample: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..sample).map(|n| calls * (2 * n + 1) / (2 * sample)).collect();
    all.retain(|n| *n < calls);
    all.dedup();
    all
}

/// One row of the table.
#[derive(Default)]
struct Row {
    calls: (usize, usize),
    points: usize,
    missed: usize,
    most_runs: usize,
    actions: BTreeMap<String, usize>,
}

/// Strikes a sample (so many reading calls, so many changing ones) of the calls of every journey, with new objects
/// hidden for each of these times. Gives the number of points that were struck; prints a table.
fn sweep(what: &str, way: Way, hidden: &[u64], sample: (usize, usize), faults: &[Fault]) -> usize {
    let rows: Mutex<BTreeMap<(&str, u64), Row>> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let journeys: Vec<Journey> = journeys_of(way).collect();
    let worlds: Vec<(&Journey, u64)> = journeys.iter().flat_map(|j| hidden.iter().map(move |h| (j, *h))).collect();
    each(&worlds, |(journey, hidden)| {
        let start = story(journey.begin(*hidden));
        let whole = match go(journey, way, &start, None, None) {
            Ok(whole) => whole,
            Err(says) => return note(&wrong, format!("{} whole, hidden {hidden} s: {says}", journey.name)),
        };
        for says in unsound(journey, &whole.end) {
            note(&wrong, format!("{} whole, hidden {hidden} s: {says}", journey.name));
        }
        let expected = ending(&whole.end, STACK);
        let calls = whole.calls;
        let of = |reads: bool, calls: usize, sample: usize| {
            let sample = if full() { calls } else { sample };
            sampled(calls, sample).into_iter().map(move |nth| Aim { reads, nth })
        };
        let aims: Vec<Aim> = of(false, calls.1, sample.1).chain(of(true, calls.0, sample.0)).collect();
        let mut row = Row { calls, ..Row::default() };
        // What is hidden holds a rerun until it shows; nothing else may take more than one.
        let most_runs = if *hidden == 0 { whole.runs + 1 } else { MOST_RUNS };
        for (k, fault) in aims.iter().flat_map(|k| faults.iter().map(move |fault| (*k, fault))) {
            let at = format!("{} {k:?} of {calls:?}, {fault:?}, hidden {hidden} s", journey.name);
            match go(journey, way, &start, Some(&expected), Some(Strike::at(k, fault.clone()))) {
                Ok(went) => {
                    for says in unsound(journey, &went.end) {
                        note(&wrong, format!("{at}: {says}"));
                    }
                    if went.runs > most_runs {
                        note(&wrong, format!("{at}: {} runs, {most_runs} are enough", went.runs));
                    }
                    row.points += went.struck.len();
                    row.missed += usize::from(went.struck.is_empty());
                    row.most_runs = row.most_runs.max(went.runs);
                    for action in went.struck {
                        *row.actions.entry(action).or_default() += 1;
                    }
                }
                Err(says) => note(&wrong, format!("{at}: {says}")),
            }
        }
        rows.lock().expect("nobody panics in here").insert((journey.name, *hidden), row);
    });
    let rows = rows.into_inner().expect("nobody panics in here");
    println!("{}", rows_of(what, &rows));
    let wrong = wrong.into_inner().expect("nobody panics in here");
    assert!(wrong.is_empty(), "{what}: {} points went wrong:\n{}", wrong.len(), wrong.join("\n"));
    rows.values().map(|row| row.points).sum()
}

/// No plan that can be saved takes everything away.
fn journeys_of(way: Way) -> impl Iterator<Item = Journey> {
    journeys_of_machines().filter(move |j| way == Way::Fresh || !(j.intent)().destroy)
}

fn note(wrong: &Mutex<Vec<String>>, says: String) {
    wrong.lock().expect("nobody panics in here").push(says);
}

fn rows_of(what: &str, rows: &BTreeMap<(&str, u64), Row>) -> String {
    let cells = rows.iter().map(|((journey, hidden), row)| {
        let Row { calls: (reads, changes), points, missed, most_runs, actions } = row;
        let struck: Vec<String> = actions.iter().map(|(action, n)| format!("{action} {n}")).collect();
        let numbers = [reads, changes, points, missed, most_runs].map(usize::to_string);
        let [reads, changes, points, missed, runs] = numbers;
        [(*journey).to_owned(), hidden.to_string(), reads, changes, points, missed, runs, struck.join(", ")]
    });
    let head = ["journey", "hidden s", "reads", "changes", "points", "missed", "runs", "struck"];
    table(what, head, &cells.collect::<Vec<_>>())
}

#[test]
fn killed_at_any_call_on_the_wire_it_costs_nothing_but_a_rerun() {
    let kills = [Fault::Kill(When::Before), Fault::Kill(When::After)];
    let points = sweep("SIGKILL before and after a call", Way::Fresh, &[0, 5, 60, 300], (2, 4), &kills);
    assert!(points >= 200, "{points} points are too few to believe in");
}

#[test]
fn a_saved_plan_killed_at_any_call_is_taken_up_again_where_it_was() {
    let kills = [Fault::Kill(When::Before), Fault::Kill(When::After)];
    let points = sweep("SIGKILL of a saved plan", Way::Saved, &[0], (1, 4), &kills);
    assert!(points >= 40, "{points} points are too few to believe in");
}

/// Happens to very many calls of one run.
struct Weather {
    what: &'static str,
    strike: fn() -> Strike,
}

fn twice(seen: bool) -> Strike {
    Strike { meddler: Box::new(move |_| Some(Fault::Twice(seen))), kills: false }
}

/// The answer to each request is lost when it comes the first time.
fn each_lost_once() -> Strike {
    let mut known = BTreeSet::new();
    let meddler = move |call: &Call| {
        let first = known.insert((call.action.clone(), format!("{:?}", call.form)));
        first.then_some(Fault::Drop(When::After))
    };
    Strike { meddler: Box::new(meddler), kills: false }
}

#[test]
fn every_request_sent_twice_and_every_answer_lost_once_make_nothing_twice() {
    let all = [
        Weather { what: "every request sent twice", strike: || twice(false) },
        Weather { what: "the second answer to every request", strike: || twice(true) },
        Weather { what: "every answer lost once", strike: each_lost_once },
    ];
    let journeys: Vec<Journey> = journeys_of_machines().collect();
    let cases: Vec<(&Journey, &Weather)> = journeys.iter().flat_map(|j| all.iter().map(move |w| (j, w))).collect();
    let (rows, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    each(&cases, |(journey, weather)| {
        let start = story(journey.begin(0));
        let at = format!("{}, {}", journey.name, weather.what);
        let whole = match go(journey, Way::Fresh, &start, None, None) {
            Ok(whole) => whole,
            Err(says) => return note(&wrong, format!("{} whole: {says}", journey.name)),
        };
        let expected = ending(&whole.end, STACK);
        match go(journey, Way::Fresh, &start, Some(&expected), Some((weather.strike)())) {
            Ok(went) => {
                for says in unsound(journey, &went.end) {
                    note(&wrong, format!("{at}: {says}"));
                }
                // Every way in which these calls fail is known to be no failure. A busy machine's hiccup is minutes of
                // the world, which may be too long for a wait.
                if went.runs > whole.runs + 1 {
                    note(&wrong, format!("{at}: {} runs, {} are enough", went.runs, whole.runs));
                }
                if went.end.instances.len() != whole.end.instances.len() {
                    note(&wrong, format!("{at}: {} machines", went.end.instances.len()));
                }
                let numbers = [went.calls.0, went.calls.1, went.struck.len(), went.runs].map(|n| n.to_string());
                let [reads, changes, struck, runs] = numbers;
                let row = [journey.name.to_owned(), weather.what.to_owned(), reads, changes, struck, runs];
                rows.lock().expect("nobody panics in here").push(row);
            }
            Err(says) => note(&wrong, format!("{at}: {says}")),
        }
    });
    let mut rows = rows.into_inner().expect("nobody panics in here");
    rows.sort();
    println!("{}", table("all calls of a run", ["journey", "what", "reads", "changes", "struck", "runs"], &rows));
    let wrong = wrong.into_inner().expect("nobody panics in here");
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_answer_that_is_lost_cut_or_doubled_costs_nothing() {
    let faults = [
        Fault::Drop(When::After),
        Fault::Reset(When::Before),
        Fault::Truncate,
        Fault::Delay(Duration::from_millis(300)),
        Fault::Twice(false),
        Fault::Twice(true),
        Fault::refusal(503, "RequestLimitExceeded"),
        Fault::refusal(500, "InternalError"),
        Fault::Answer(502, "<html>Bad gateway</html>".to_owned()),
    ];
    let points = sweep("a call that goes wrong once", Way::Fresh, &[0], (1, 2), &faults);
    assert!(points >= 80, "{points} points are too few to believe in");
}

/// Kills a first run when all has been launched and nothing is up; what a rerun then says, and the end.
fn killed_while_it_boots(of: &str) -> (Said, Scene) {
    let journey = journeys_of_machines().find(|j| j.name == of).expect("there is such a journey");
    let journey = Journey { before: None, damage: |_| {}, ..journey };
    let mut start = story(journey.begin(0));
    start.timing.boot = Span::secs(60, 60);
    let scene = Scene::of(start, &journey.after);
    // One launch a zone.
    let mut launches = 0;
    scene.proxy.meddle(move |_, call| {
        launches += usize::from(call.action == "RunInstances");
        (launches == 3).then_some(Fault::Kill(When::After))
    });
    let status = scene.run("apply --yes").expect("it does not hang");
    assert_eq!(status.signal(), Some(9), "{status}");
    scene.proxy.behave();
    let said = scene.place.run("apply --yes");
    (said, scene)
}

#[test]
fn a_rerun_brings_volumes_to_machines_that_boot_once_they_run_and_waits_as_the_first_run_would_have() {
    // With volumes to bring there is a plan, and without any there is nothing left but to wait.
    for (of, machines, says) in [("create", 6, "Converged"), ("roll", 4, "Waiting for 4 machines")] {
        let (said, scene) = killed_while_it_boots(of);
        let world = scene.world();
        let said = said.ends(0).tells(says);
        assert!(world.instances.values().all(|m| m.checks_pass <= world.now), "{of}: not all are well: {said}");
        assert_eq!(scene.launched(), machines, "{of}: {said}");
        scene.is_sound();
    }
}
