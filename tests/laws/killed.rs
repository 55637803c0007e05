//! The same with the real program and a real SIGKILL: what the sim's in-process crash shows must be so on the disk, too.
//!
//! By default at a sample of the calls; `EVENKEEL_TEST_SWEEP=all` takes every one.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use evenkeel_sim::World;
use evenkeel_sim::faults::{Effect, Fault, Moment};

use super::crash::{Journey, journeys};
use super::end::{Ending, ending};
use super::harness::{full, story};

/// Calls at which every journey is killed where not all are tried; each before and after its effect.
const SAMPLE: usize = 8;
/// Runs after which it must have ended well.
const MOST_RUNS: usize = 6;

/// The program in this folder, with the sim.
fn run(folder: &Path, words: &[&str]) -> ExitStatus {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.current_dir(folder).env_clear().env("HOME", folder).envs(std::env::vars_os().filter(|(k, _)| k == "PATH"));
    command.args(["--sim", "world.toml"]).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("the program starts")
}

/// Carries a journey out from this world in a folder of its own, until it ends well and as expected; five minutes pass
/// after every run, so that what is on its way arrives and what waits for a warm machine goes on. Gives the end,
/// whether it was killed, and the calls made.
fn go(journey: &Journey, start: &World, expected: Option<&Ending>) -> (World, bool, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("world.toml");
    std::fs::write(folder.path().join("evenkeel.toml"), &journey.after).expect("the folder can be written");
    std::fs::write(&file, start.to_toml()).expect("the folder can be written");
    let words: &[&str] =
        if (journey.intent)().destroy { &["destroy", "--yes"] } else { &["apply", "--yes", "--max-deletes", "100%"] };
    let mut killed = false;
    for _ in 0..MOST_RUNS {
        let status = run(folder.path(), words);
        killed |= status.signal() == Some(9);
        let text = std::fs::read_to_string(&file).expect("the world is there");
        let mut end = World::from_toml(&text).expect("a world");
        let calls = end.call_count() - start.call_count();
        end.settle(end.now.checked_add(jiff::SignedDuration::from_mins(5)).expect("a time"));
        let as_expected = expected.is_none_or(|e| ending(&end, "7f3kq2x9") == *e);
        if status.code() == Some(0) && as_expected {
            return (end, killed, calls);
        }
        std::fs::write(&file, end.to_toml()).expect("the folder can be written");
    }
    panic!("{} did not end well and as expected in {MOST_RUNS} runs", journey.name);
}

/// Which of so many calls are struck: all, or a sample spread evenly over them.
fn points(calls: usize) -> Vec<usize> {
    if full() { (0..calls).collect() } else { (0..SAMPLE).map(|n| (calls - 1) * (2 * n + 1) / (2 * SAMPLE)).collect() }
}

/// Kills a journey at every call, or at a sample of them, before and after its effect.
fn everywhere(name: &str) {
    let journey = journeys().into_iter().find(|j| j.name == name).expect("there is one of that name");
    let start = story(journey.begin(1));
    let (whole, killed, calls) = go(&journey, &start, None);
    assert!(!killed);
    let expected: Ending = ending(&whole, "7f3kq2x9");
    let points = points(calls as usize);
    for k in points.iter().copied() {
        for moment in [Moment::Before, Moment::After] {
            let at = format!("{name}: SIGKILL {moment:?} call {k} of {calls}");
            let mut world = start.clone();
            world.faults.push(Fault::once(Effect::Kill(moment)).after(k as u32));
            let (end, killed, _) = go(&journey, &world, Some(&expected));
            assert!(killed, "{at}: the program was not killed");
            assert_eq!(end.violations, [], "{at}");
        }
    }
    println!("{name}: {} points of {}", 2 * points.len(), 2 * calls);
}

#[test]
fn the_program_killed_while_it_creates_costs_nothing_but_a_rerun() {
    everywhere("create");
}

#[test]
fn the_program_killed_while_it_replaces_costs_nothing_but_a_rerun() {
    everywhere("replace");
}

#[test]
fn the_program_killed_while_it_rolls_costs_nothing_but_a_rerun() {
    everywhere("roll");
}

#[test]
fn the_program_killed_while_it_changes_in_place_costs_nothing_but_a_rerun() {
    everywhere("in-place");
}

#[test]
fn the_program_killed_while_it_scales_in_costs_nothing_but_a_rerun() {
    everywhere("scale-in");
}

#[test]
fn the_program_killed_while_it_destroys_costs_nothing_but_a_rerun() {
    everywhere("destroy");
}
