//! Sixteen runs at once on one stack, without a lock: nothing is made twice, and what is declared is reached.

use std::collections::BTreeMap;
use std::process::Stdio;

use evenkeel_sim::World;
use evenkeel_sim::dice::Span;
use evenkeel_sim::laws::Law;

use super::fixture::{LONG, STACK, Scene, finish, full, table, unsound};
use crate::laws::crash::{Journey, journeys_of_machines};
use crate::laws::end::ending;
use crate::laws::harness::story;
use crate::wire::place::Place;

/// How many runs.
const RACERS: usize = 16;
/// In so many folders: some share what a run keeps beside the declaration, as in one checkout, others share nothing.
const FOLDERS: usize = 4;
/// Slower than elsewhere: sixteen programs on a small machine take a while for what takes one program a moment.
const SPEED: f64 = 30.0;

/// The file without its lock.
fn unlocked(declaration: &str) -> String {
    format!("{declaration}\n[lock]\nkind = \"none\"\n")
}

/// What came of a race.
struct Raced {
    /// Exit code → how many ended so.
    codes: BTreeMap<i32, usize>,
    /// Runs after it until one ended with 0.
    reruns: usize,
    end: World,
}

/// All set off at once. With a start gate, none has launched anything before all have seen that nothing is there.
fn race(journey: &Journey, mut start: World, gate: usize) -> Raced {
    start.timing.boot = Span::secs(1, 2);
    start.timing.checks = Span::secs(1, 3);
    let scene = Scene::at(SPEED, start, &unlocked(&journey.after));
    let words = if (journey.intent)().destroy { "destroy --yes" } else { "apply --yes --max-deletes 100%" };
    let others: Vec<Place> = (1..FOLDERS).map(|_| scene.another()).collect();
    let places: Vec<&Place> = std::iter::once(&scene.place).chain(&others).collect();
    let gates: Vec<_> = (0..gate).map(|_| scene.proxy.hold("RunInstances")).collect();
    let mut children: Vec<_> = (0..RACERS)
        .map(|n| {
            let mut command = places[n % FOLDERS].command(words);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("the program starts")
        })
        .collect();
    gates.iter().for_each(|gate| gate.wait(LONG));
    gates.iter().for_each(|gate| gate.release());
    let mut codes = BTreeMap::new();
    for child in &mut children {
        let status = finish(child, LONG).unwrap_or_else(|| panic!("{}: a run hung", journey.name));
        let code = status.code().unwrap_or_else(|| panic!("{}: {status}", journey.name));
        *codes.entry(code).or_default() += 1;
    }
    let mut reruns = 0;
    loop {
        let said = scene.place.run(words);
        reruns += 1;
        if said.code == Some(0) {
            break;
        }
        assert!(reruns < 4, "{}: {codes:?}, and then {said}", journey.name);
        scene.advance(300);
    }
    if !(journey.intent)().destroy {
        scene.rests();
    }
    Raced { codes, reruns, end: scene.world() }
}

#[test]
fn sixteen_runs_without_a_lock_make_nothing_twice() {
    let mut rows = Vec::new();
    let some = ["create", "scale-in", "destroy"];
    for journey in journeys_of_machines().filter(|j| full() || some.contains(&j.name)) {
        let start = story(journey.begin(2));
        let before = start.instances.len();
        // Six machines in three zones: one launch a zone and run.
        let gate = if journey.name == "create" { 3 * RACERS } else { 0 };
        let raced = race(&journey, start, gate);
        let wrong = unsound(&journey, &raced.end);
        assert!(wrong.is_empty(), "{}: {:?}: {wrong:#?}", journey.name, raced.codes);
        let launched = raced.end.instances.len() - before;
        if journey.name == "create" {
            assert_eq!(launched, 6, "sixteen times the same tokens");
        }
        let twice = raced.end.violations.iter().filter(|v| v.law == Law::Duplicate).count();
        let codes: Vec<String> = raced.codes.iter().map(|(code, n)| format!("{n} × {code}")).collect();
        let slots = ending(&raced.end, STACK).places.len();
        let numbers = [launched, twice, raced.reruns].map(|n| n.to_string());
        let [launched, twice, reruns] = numbers;
        rows.push([journey.name.to_owned(), codes.join(", "), launched, twice, slots.to_string(), reruns]);
        assert!(raced.codes.keys().eq([&0]), "{}: what another run did is done: {codes:?}", journey.name);
    }
    let head = ["journey", "ended", "launched", "twice", "slots", "reruns"];
    println!("{}", table("sixteen runs at once, no lock", head, &rows));
}

#[test]
fn of_many_runs_of_one_saved_plan_without_a_lock_one_has_its_journal() {
    let journey = journeys_of_machines().find(|j| j.name == "create").expect("there is such a journey");
    let scene = Scene::of(story(journey.begin(0)), &unlocked(&journey.after));
    scene.place.run("plan -o p").ends(0);
    let launch = scene.proxy.hold("RunInstances");
    let mut first = scene.start("apply p");
    launch.wait(LONG);
    scene.place.run("apply p").ends(75).tells("another run carries out this very plan");
    launch.release();
    assert_eq!(finish(&mut first, LONG).and_then(|status| status.code()), Some(0));
    assert_eq!(scene.launched(), 6);
    scene.place.run("plan --exit-code").ends(0);
    scene.is_sound();
}

#[test]
fn a_run_without_a_lock_says_so_loudly() {
    let text = crate::wire::place::file("shop", STACK, "default");
    let scene = Scene::of(crate::laws::harness::world(7), &unlocked(&text));
    for words in ["apply --yes", "destroy --yes"] {
        scene.place.run(words).ends(0).tells("warning: no lock is taken").tells("[lock] kind = \"none\"");
    }
    // Who only looks needs none and is not warned.
    let said = scene.place.run("plan").ends(0);
    assert!(!said.words().contains("no lock"), "{said}");
    let locked = Scene::of(crate::laws::harness::world(7), &text);
    let said = locked.place.run("apply --yes").ends(0);
    assert!(!said.words().contains("no lock"), "{said}");
}
