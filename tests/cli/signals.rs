//! Stopped, killed, or not alone: nothing is lost, nothing is made twice, and the next run goes on.
//!
//! A run on the sim takes no real time, so it is held in the middle of its work by a pipe that nobody reads: with
//! `--events json` it cannot go on until its events are taken. No test here sleeps.

use std::io::Read;
use std::process::{Child, ChildStdout};

use rustix::process::{Pid, Signal, kill_process};

use super::place::{Place, SHOP, end};

/// An apply that has made at least one thing and stands still until its stdout is read on.
#[expect(clippy::zombie_processes, reason = "whoever gets it waits for it; the other ways out are panics")]
fn in_the_middle(shop: &Place) -> Child {
    let mut child = shop.start("apply --yes --events json");
    let pipe = child.stdout.as_mut().expect("stdout is a pipe");
    // A page, the least there is; the events of this run are several.
    rustix::pipe::fcntl_setpipe_size(&*pipe, 4096).expect("a pipe may be small");
    loop {
        let event = line(pipe);
        assert!(!event.contains("\"ended\""), "it ended before anybody could stop it");
        if event.contains("\"event\":\"done\"") {
            return child;
        }
    }
}

/// One line, byte by byte: what is behind it stays in the pipe.
fn line(pipe: &mut ChildStdout) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while pipe.read(&mut byte).expect("the pipe can be read") == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    assert!(!line.is_empty(), "the program ended early");
    String::from_utf8(line).expect("events are text")
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).expect("it is our child and lives");
}

/// Everything is there once, whatever happened before.
fn is_whole(shop: &Place) {
    shop.run("apply --yes").ends(0);
    shop.run("plan --exit-code").ends(0);
    let world = shop.run("sim look --json").json();
    let count = |kind: &str| {
        let all = world[kind].as_array().expect("a list");
        let of_kind =
            |o: &&serde_json::Value| o["address"].as_str().is_some_and(|a| a.starts_with(&format!("{kind}.")));
        all.iter().filter(of_kind).filter(|o| o["state"] != "terminated").count()
    };
    assert_eq!((count("machines"), count("volumes")), (6, 6), "{world:#}");
}

#[test]
fn interrupted_it_says_what_was_in_flight_and_a_rerun_goes_on() {
    for (which, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let shop = Place::with(SHOP);
        let child = in_the_middle(&shop);
        signal(&child, which);
        let said = end(child).ends(code);
        let last = said.out.lines().last().expect("a report");
        let report: serde_json::Value = serde_json::from_str(last).expect("the report is JSON");
        assert!(report.to_string().contains("interrupted"), "{report:#}");
        assert!(said.out.contains("\"stopping\"") || said.out.contains("interrupted"), "{said}");
        is_whole(&shop);
    }
}

#[test]
fn killed_it_leaves_nothing_that_a_rerun_cannot_take_up() {
    let shop = Place::with(SHOP);
    let mut child = in_the_middle(&shop);
    child.kill().expect("it is our child");
    assert_eq!(child.wait().expect("it is our child").code(), None);
    // Its lock went with it: no waiting, no person.
    shop.run("apply --yes --lock-timeout 0s").ends(0);
    is_whole(&shop);
}

#[test]
fn one_apply_at_a_time_and_the_refusal_names_the_holder() {
    let shop = Place::with(SHOP);
    let child = in_the_middle(&shop);
    let pid = format!("pid {}", child.id());
    for words in ["apply --yes --lock-timeout 0s", "destroy --yes --lock-timeout 0s"] {
        let said = shop.run(words).ends(75).says(&pid).says(" ago").never("launched").never("unknown");
        let since = said.err.split(" since ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default();
        assert!(since.len() == "2026-01-01T10:00:00Z".len() && since.ends_with('Z'), "no parts of a second: {said}");
    }
    // Looking needs no lock.
    shop.run("plan --exit-code").ends(2);
    shop.run("status").ends(9);
    end(child).ends(0);
    is_whole(&shop);
}

#[test]
fn who_waits_for_the_lock_goes_on_when_it_is_free() {
    let shop = Place::with(SHOP);
    let first = in_the_middle(&shop);
    let second = shop.start("apply --yes --lock-timeout 60s");
    end(first).ends(0);
    end(second).ends(0);
    is_whole(&shop);
}

#[test]
fn a_lock_that_is_not_wanted_is_not_taken() {
    let shop = Place::with(&format!("{SHOP}\n[lock]\nkind = \"none\"\n"));
    let first = in_the_middle(&shop);
    // Two at once, without a lock: the tokens and the marks keep them from making anything twice.
    shop.run("apply --yes");
    end(first);
    is_whole(&shop);
}
