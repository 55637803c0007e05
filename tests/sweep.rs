//! P11 where users live: the real binary, the real SDK, real HTTP, and a call in the middle that goes wrong, SIGKILL
//! first of all. Whatever happened, running again ends as it would have ended: 0 duplicates, 0 orphans, 0 stuck.
//!
//! By default a sample of every journey's calls; `EVENKEEL_TEST_SWEEP=all` takes every call.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use evenkeel_core::stamp::tag;
use evenkeel_sim::World;
use rustix::process::Pid;

use crate::front::lab::Served;
use crate::laws::crash::{Journey, journeys_of_machines};
use crate::laws::end::{Ending, ending, wrongs};
use crate::laws::harness::{desired, story};
use crate::wire::place::Place;
use crate::wire::proxy::{Fault, Proxy, When};

/// The worlds' time against ours.
const SPEED: f64 = 300.0;
/// Runs after which it must have ended well.
const MOST_RUNS: usize = 8;
/// A run that takes longer hangs.
const LONG: Duration = Duration::from_secs(180);
/// Points under way at once: they wait more than they work.
const AT_ONCE: usize = 6;
const STACK: &str = "7f3kq2x9";

/// Which call is struck. Calls that read are many and come in another number every time; those that change the world
/// are the same in every run, and the dangerous ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Aim {
    /// Among the calls that only read, or among those that change the world.
    reads: bool,
    /// Which of them, from 0.
    nth: usize,
}

/// What came of one journey with one call that went wrong.
struct Went {
    end: World,
    /// The call that was struck, if the run came so far.
    struck: Option<String>,
    runs: usize,
    /// Calls of the first run that only read, and those that change the world.
    calls: (usize, usize),
}

/// Runs the program once; `None` when it hung and was put to an end.
fn run(place: &Place, proxy: &Proxy, words: &str) -> Option<ExitStatus> {
    let mut command = place.command(words);
    // A group of its own: what is killed is the program and whatever it may have started.
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    proxy.victim(Some(Pid::from_child(&child)));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("it is our child") {
            Some(status) => break Some(status),
            None if begun.elapsed() > LONG => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            // Nothing tells when a child ends but asking.
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    proxy.victim(None);
    status
}

/// Carries a journey out from this world: a first run in which the call aimed at meets `fault`, and then runs without,
/// until one ends well and as expected. Five minutes pass after each, so that what is hidden comes to light.
fn go(
    journey: &Journey,
    start: &World,
    expected: Option<&Ending>,
    fault: Option<(Aim, Fault)>,
) -> Result<Went, String> {
    let front = Served::start(start.clone(), SPEED);
    let proxy = Proxy::before(&front.url);
    let place = Place::new(&proxy.url, &journey.after).in_time_with(front.sim.clock());
    let words = if (journey.intent)().destroy { "destroy --yes" } else { "apply --yes --max-deletes 100%" };
    let kills = fault.as_ref().is_some_and(|(_, fault)| matches!(fault, Fault::Kill(_)));
    let (strike, struck) = channel();
    if let Some((aim, fault)) = fault {
        let mut before = 0;
        proxy.meddle(move |_, call| {
            let hit = call.reads() == aim.reads && before == aim.nth;
            before += usize::from(call.reads() == aim.reads);
            hit.then(|| {
                let _ = strike.send(call.action.clone());
                fault.clone()
            })
        });
    }
    let mut went = Went { end: start.clone(), struck: None, runs: 0, calls: (0, 0) };
    let mut last = None;
    while went.runs < MOST_RUNS {
        let status = run(&place, &proxy, words).ok_or_else(|| format!("run {} hung", went.runs))?;
        if went.runs == 0 {
            let calls = proxy.calls();
            let reads = calls.iter().filter(|call| call.reads()).count();
            went.calls = (reads, calls.len() - reads);
            went.struck = struck.try_recv().ok();
            if kills && went.struck.is_some() != (status.signal() == Some(9)) {
                return Err(format!("struck {:?} and ended with {status}", went.struck));
            }
        }
        went.runs += 1;
        proxy.behave();
        front.sim.advance(Duration::from_secs(300)).map_err(|e| e.to_string())?;
        went.end = front.sim.world().map_err(|e| e.to_string())?;
        if status.code() == Some(0) && expected.is_none_or(|e| ending(&went.end, STACK) == *e) {
            return Ok(went);
        }
        last = Some(status);
    }
    let said = place.run(words);
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

/// Strikes a sample (so many reading calls, so many changing ones) of the calls of every journey, with new objects hidden for each of these times. Gives the number
/// of points that were struck; prints a table.
fn sweep(what: &str, hidden: &[u64], sample: (usize, usize), faults: &[Fault]) -> usize {
    let all = std::env::var("EVENKEEL_TEST_SWEEP").is_ok_and(|text| text == "all");
    let rows: Mutex<BTreeMap<(&str, u64), Row>> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let journeys: Vec<Journey> = journeys_of_machines().collect();
    let worlds: Vec<(&Journey, u64)> = journeys.iter().flat_map(|j| hidden.iter().map(move |h| (j, *h))).collect();
    each(&worlds, |(journey, hidden)| {
        let start = story(journey.begin(*hidden));
        let whole = match go(journey, &start, None, None) {
            Ok(whole) => whole,
            Err(says) => return note(&wrong, format!("{} whole, hidden {hidden} s: {says}", journey.name)),
        };
        for says in unsound(journey, &whole.end) {
            note(&wrong, format!("{} whole, hidden {hidden} s: {says}", journey.name));
        }
        let expected = ending(&whole.end, STACK);
        let calls = whole.calls;
        let of = |reads: bool, calls: usize, sample: usize| {
            let sample = if all { calls } else { sample };
            sampled(calls, sample).into_iter().map(move |nth| Aim { reads, nth })
        };
        let aims: Vec<Aim> = of(false, calls.1, sample.1).chain(of(true, calls.0, sample.0)).collect();
        let mut row = Row { calls, ..Row::default() };
        for (k, fault) in aims.iter().flat_map(|k| faults.iter().map(move |fault| (*k, fault))) {
            let at = format!("{} {k:?} of {calls:?}, {fault:?}, hidden {hidden} s", journey.name);
            match go(journey, &start, Some(&expected), Some((k, fault.clone()))) {
                Ok(went) => {
                    for says in unsound(journey, &went.end) {
                        note(&wrong, format!("{at}: {says}"));
                    }
                    row.points += usize::from(went.struck.is_some());
                    row.missed += usize::from(went.struck.is_none());
                    row.most_runs = row.most_runs.max(went.runs);
                    if let Some(action) = went.struck {
                        *row.actions.entry(action).or_default() += 1;
                    }
                }
                Err(says) => note(&wrong, format!("{at}: {says}")),
            }
        }
        rows.lock().expect("nobody panics in here").insert((journey.name, *hidden), row);
    });
    let rows = rows.into_inner().expect("nobody panics in here");
    println!("{}", table(what, &rows));
    let wrong = wrong.into_inner().expect("nobody panics in here");
    assert!(wrong.is_empty(), "{what}: {} points went wrong:\n{}", wrong.len(), wrong.join("\n"));
    rows.values().map(|row| row.points).sum()
}

/// What is wrong with an end: duplicates, orphans, broken laws. Data that waits in quarantine is no orphan.
fn unsound(journey: &Journey, end: &World) -> Vec<String> {
    let left = ending(end, STACK);
    let waits =
        |address: &str| left.places.get(address).is_some_and(|all| all.iter().all(|v| v.contains(tag::QUARANTINE)));
    if (journey.intent)().destroy {
        let laws = end.violations.iter().map(|v| format!("a broken law: {v}"));
        let places = left.places.keys().filter(|address| !waits(address)).map(|address| format!("{address} is left"));
        return laws.chain(places).chain(left.strays.iter().map(|s| format!("a stray: {s}"))).collect();
    }
    let undeclared = |says: &String| says.strip_suffix(" is not declared").is_some_and(waits);
    wrongs(end, &desired(&journey.after)).into_iter().filter(|says| !undeclared(says)).collect()
}

fn note(wrong: &Mutex<Vec<String>>, says: String) {
    wrong.lock().expect("nobody panics in here").push(says);
}

fn table(what: &str, rows: &BTreeMap<(&str, u64), Row>) -> String {
    let head = "journey    hidden s  reads changes  points  missed  runs  struck";
    let mut text = format!("{what}\n{head}\n");
    for ((journey, hidden), row) in rows {
        let actions: Vec<String> = row.actions.iter().map(|(action, n)| format!("{action} {n}")).collect();
        let Row { calls: (reads, changes), points, missed, most_runs, .. } = row;
        let numbers = format!("{reads:>6} {changes:>7} {points:>7} {missed:>7} {most_runs:>5}");
        let _ = writeln!(text, "{journey:<10} {hidden:>8} {numbers}  {}", actions.join(", "));
    }
    text
}

/// `work` for each, some at once; a panic in one is a panic here.
fn each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let next = Mutex::new(all.iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(all.len()) {
            scope.spawn(|| {
                while let Some(one) = { next.lock().expect("nobody panics in here").next() } {
                    work(one);
                }
            });
        }
    });
}

#[test]
fn killed_at_any_call_on_the_wire_it_costs_nothing_but_a_rerun() {
    let kills = [Fault::Kill(When::Before), Fault::Kill(When::After)];
    let points = sweep("SIGKILL before and after a call", &[0, 5, 60, 300], (2, 4), &kills);
    assert!(points >= 200, "{points} points are too few to believe in");
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
    let points = sweep("a call that goes wrong once", &[0], (1, 2), &faults);
    assert!(points >= 80, "{points} points are too few to believe in");
}
