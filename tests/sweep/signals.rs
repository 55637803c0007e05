//! SIGINT and SIGTERM in every phase: nothing new begins, the program ends in a moment however long the world would
//! take, with the code that the docs promise, and a rerun ends it.

use std::io::{BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use evenkeel_sim::World;
use evenkeel_sim::dice::Span;
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{LONG, STACK, Scene, finish, table};
use crate::laws::crash::{Journey, journeys_of_machines};
use crate::laws::end::ending;
use crate::laws::harness::{story, world};

/// What is promised. A call that is on the wire may end within most of it.
const SOON: Duration = Duration::from_secs(1);
/// A busy machine may take so many times as long beside it as the program takes to say its version: what ends is the
/// same program, with a journal and a report to write.
const AS_LONG_AS: u32 = 10;

/// Both signals and what they must come to.
const BOTH: [(Signal, i32); 2] = [(Signal::INT, 130), (Signal::TERM, 143)];

fn journey(name: &str) -> Journey {
    journeys_of_machines().find(|j| j.name == name).expect("there is such a journey")
}

/// A journey's beginning, so slow that nothing in it moves on while a test does.
fn scene(name: &str, change: impl FnOnce(&mut World)) -> Scene {
    let journey = journey(name);
    let mut start = story(journey.begin(0));
    start.timing.latency = Span::millis(0, 0);
    change(&mut start);
    Scene::at(1.0, start, &journey.after)
}

fn tell(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it is our child and lives");
}

/// It ends soon after now, with this code. How long it took.
#[track_caller]
fn ends(mut child: Child, code: i32) -> Duration {
    let begun = Instant::now();
    let status = finish(&mut child, LONG).expect("it ends");
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(code), "{status} after {took:?}");
    if took >= SOON {
        let slow = lag();
        assert!(took < SOON + AS_LONG_AS * slow, "it took {took:?}, where saying its version takes {slow:?}");
    }
    took
}

/// How long the machine takes now for the least that the program can do; the longest of a few times.
fn lag() -> Duration {
    let once = || {
        let begun = Instant::now();
        let said = Command::new(env!("CARGO_BIN_EXE_evenkeel")).arg("--version").output().expect("the program starts");
        assert!(said.status.success());
        begun.elapsed()
    };
    (0..5).map(|_| once()).max().unwrap_or_default()
}

/// With time passing again, a rerun ends it and nothing is there twice.
#[track_caller]
fn goes_on(scene: Scene, words: &str) {
    let scene = scene.at_speed(super::fixture::SPEED);
    scene.place.run(words).ends(0);
    if words.starts_with("destroy") {
        let left = ending(&scene.world(), STACK);
        let machines = left.places.keys().filter(|a| a.starts_with("machines.")).count();
        assert!(machines == 0 && left.strays.is_empty(), "{left:#?}");
        return;
    }
    scene.rests();
    scene.is_sound();
}

const HEAD: [&str; 4] = ["phase", "signal", "ended after", "changing calls after it"];

fn row(phase: &str, signal: Signal, took: Duration, calls: usize) -> [String; 4] {
    let name = if signal == Signal::INT { "SIGINT" } else { "SIGTERM" };
    [phase.to_owned(), name.to_owned(), format!("{took:.1?}"), calls.to_string()]
}

#[test]
fn while_it_reads_a_signal_ends_it() {
    let mut rows = Vec::new();
    for (signal, code) in BOTH {
        let scene = scene("create", |_| {});
        for words in ["plan", "status", "drift", "apply --yes", "destroy --yes"] {
            let read = scene.proxy.hold("DescribeInstances");
            let child = scene.start(words);
            read.wait(LONG);
            tell(&child, signal);
            rows.push(row(&format!("{words} reads"), signal, ends(child, code), scene.changes().len()));
            read.release();
        }
        assert_eq!(scene.changes().len(), 0);
        goes_on(scene, "apply --yes");
    }
    println!("{}", table("signals while it reads", HEAD, &rows));
}

#[test]
fn while_it_waits_for_the_lock_a_signal_ends_it() {
    for (signal, code) in BOTH {
        let scene = scene("create", |_| {});
        let launch = scene.proxy.hold("RunInstances");
        let first = scene.start("apply --yes");
        launch.wait(LONG);
        let second = scene.start("apply --yes --lock-timeout 10m");
        let path = format!("{STACK}.lock");
        let holds = |pid: u32| {
            let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            files.filter_map(|f| std::fs::read_link(f.path()).ok()).any(|to| to.to_string_lossy().ends_with(&path))
        };
        let begun = Instant::now();
        while !holds(second.id()) {
            assert!(begun.elapsed() < LONG, "it never came to the lock");
            std::thread::sleep(Duration::from_millis(5));
        }
        let before = scene.proxy.calls().len();
        tell(&second, signal);
        ends(second, code);
        assert_eq!(scene.proxy.calls().len(), before, "who waits for the lock asks for nothing");
        tell(&first, signal);
        ends(first, code);
        launch.release();
        launch.settled(LONG);
        goes_on(scene, "apply --yes");
    }
}

/// On a terminal of its own, which the system's `script` makes.
#[test]
fn while_it_asks_a_signal_ends_it() {
    for (signal, code) in BOTH {
        let scene = scene("create", |_| {});
        let inner = scene.place.command("apply");
        let line = format!("echo $$ > pid; exec '{}' apply", inner.get_program().to_string_lossy());
        let mut outer = Command::new("script");
        outer
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .current_dir(scene.place.folder());
        outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?)))).env("PATH", "/usr/bin:/bin");
        outer.env("TERM", "dumb").env("SHELL", "/bin/sh");
        let spawned = outer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else {
            println!("skipped: sweep::signals::while_it_asks_a_signal_ends_it: there is no `script`");
            return;
        };
        let mut screen = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut seen = Vec::new();
        let mut byte = [0];
        // The question ends in a space that no line of the page ends in.
        while !String::from_utf8_lossy(&seen).contains("[y/N]") {
            assert!(screen.read(&mut byte).expect("it can be read") == 1, "{}", String::from_utf8_lossy(&seen));
            seen.extend(byte);
        }
        let mut keys = child.stdin.take().expect("it is piped");
        if signal == Signal::INT {
            // As a person does it.
            keys.write_all(b"\x03").expect("it listens");
        } else {
            let pid = std::fs::read_to_string(scene.place.folder().join("pid")).expect("it is written");
            let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process's number");
            kill_process(pid, signal).expect("it lives");
        }
        ends(child, code);
        assert_eq!(scene.changes().len(), 0);
        drop(keys);
        goes_on(scene, "apply --yes");
    }
}

/// Twelve launches, of which EC2 takes five at once and then two a second.
fn twelve() -> String {
    let mut text = "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n[aws]\nregion = \"us-east-1\"\n".to_owned();
    for n in 0..12 {
        text += &format!(
            "[machines.m{n}]\ncount = 1\ntype = \"t3.small\"\nimage = \"ami-00000000000002309\"\nzones = \
             [\"us-east-1a\"]\nwait = \"running\"\n"
        );
    }
    text
}

#[test]
fn while_it_launches_a_signal_keeps_every_further_call_back() {
    let mut rows = Vec::new();
    for (signal, code) in BOTH {
        let mut start = world(7);
        start.timing.latency = Span::millis(0, 0);
        // Half a second between two launches is half a minute.
        let scene = Scene::at(1.0 / 60.0, start, &twelve());
        let (told, fifth) = channel();
        let mut launches = 0;
        scene.proxy.meddle(move |_, call| {
            launches += usize::from(call.action == "RunInstances");
            if launches == 5 {
                let _ = told.send(());
            }
            None
        });
        let child = scene.start("apply --yes");
        fifth.recv_timeout(LONG).expect("five go out at once");
        tell(&child, signal);
        let took = ends(child, code);
        rows.push(row("seven launches wait for their turn", signal, took, scene.changes().len() - 5));
        assert_eq!(scene.changes().len(), 5, "those that waited for their turn are never made");
        goes_on(scene, "apply --yes");
    }
    println!("{}", table("signals while it launches", HEAD, &rows));
}

#[test]
fn in_the_middle_of_any_journeys_calls_a_signal_begins_nothing_new() {
    let mut rows = Vec::new();
    // The journey, the call that is on the wire, and those that may be there beside it.
    for (name, on, beside) in [
        ("create", "RunInstances", "RunInstances CreateVolume"),
        ("in-place", "ModifyInstanceAttribute", "ModifyInstanceAttribute CreateTags MonitorInstances DeleteTags"),
        ("scale-in", "TerminateInstances", "TerminateInstances CreateTags"),
        ("destroy", "TerminateInstances", "TerminateInstances CreateTags"),
        ("replace", "RunInstances", "RunInstances"),
        ("roll", "RunInstances", "RunInstances"),
    ] {
        for (signal, code) in BOTH {
            let words = if name == "destroy" { "destroy --yes" } else { "apply --yes --max-deletes 100%" };
            let scene = scene(name, |_| {});
            let call = scene.proxy.hold(on);
            let child = scene.start(words);
            call.wait(LONG);
            tell(&child, signal);
            let took = ends(child, code);
            let after: Vec<String> = scene.changes().into_iter().map(|c| c.action).collect();
            let odd: Vec<&String> = after.iter().filter(|a| !beside.split(' ').any(|b| b == *a)).collect();
            assert!(odd.is_empty(), "{name}: {odd:?} of {after:?} began after it");
            call.release();
            call.settled(LONG);
            rows.push(row(&format!("{name}, {on}"), signal, took, odd.len()));
            goes_on(scene, words);
        }
    }
    println!("{}", table("signals while a call is on the wire", HEAD, &rows));
}

#[test]
fn while_it_waits_for_the_world_a_signal_ends_it() {
    let mut rows = Vec::new();
    for (name, slow) in [
        ("create", (|world: &mut World| world.timing.boot = Span::secs(3600, 3600)) as fn(&mut World)),
        ("scale-in", |world| world.timing.shutdown = Span::secs(3600, 3600)),
        ("destroy", |world| world.timing.shutdown = Span::secs(3600, 3600)),
        ("replace", |world| world.timing.boot = Span::secs(3600, 3600)),
        ("roll", |world| world.timing.boot = Span::secs(3600, 3600)),
    ] {
        for (signal, code) in BOTH {
            let words = if name == "destroy" { "destroy --yes" } else { "apply --yes --max-deletes 100%" };
            let scene = scene(name, slow);
            let (told, waits) = channel();
            let mut changed = false;
            scene.proxy.meddle(move |_, call| {
                changed |= ["RunInstances", "TerminateInstances"].contains(&call.action.as_str());
                // A look by id after the call: it waits for what it has asked for.
                if changed && call.form.contains_key("InstanceId.1") && call.reads() {
                    let _ = told.send(());
                }
                None
            });
            let child = scene.start(words);
            waits.recv_timeout(LONG).expect("it looks at what it waits for");
            let before = scene.changes().len();
            tell(&child, signal);
            let took = ends(child, code);
            let after = scene.changes().len() - before;
            assert_eq!(after, 0, "{name}");
            rows.push(row(&format!("{name} waits for an hour"), signal, took, after));
            scene.front.sim.edit(|world| world.timing = World::founding(1).timing).expect("it is in no file");
            scene.advance(3600);
            goes_on(scene, words);
        }
    }
    println!("{}", table("signals while it waits", HEAD, &rows));
}

/// The later calls of journeys that launch first: the old machine goes when its successor is well, and its data follows.
#[test]
fn between_a_successor_and_the_end_of_the_old_one_a_signal_begins_nothing_new() {
    let mut rows = Vec::new();
    for (name, on) in [("replace", "TerminateInstances"), ("replace", "AttachVolume"), ("roll", "TerminateInstances")] {
        for (signal, code) in BOTH {
            let journey = journey(name);
            let scene = Scene::of(story(journey.begin(0)), &journey.after);
            let call = scene.proxy.hold(on);
            let child = scene.start("apply --yes --max-deletes 100%");
            call.wait(LONG);
            let before = scene.changes().len();
            tell(&child, signal);
            let took = ends(child, code);
            let after = scene.changes().len() - before;
            assert_eq!(after, 0, "{name}: {:?}", scene.changes().last());
            call.release();
            call.settled(LONG);
            rows.push(row(&format!("{name}, {on}"), signal, took, after));
            goes_on(scene, "apply --yes --max-deletes 100%");
        }
    }
    println!("{}", table("signals while a machine is handed over", HEAD, &rows));
}

#[test]
fn in_the_last_look_a_signal_ends_it_too() {
    for (signal, code) in BOTH {
        let journey = journey("in-place");
        let scene = Scene::of(story(journey.begin(0)), &journey.after);
        // The first look, and the one that proves that it converged.
        let looks = [scene.proxy.hold("DescribeAvailabilityZones"), scene.proxy.hold("DescribeAvailabilityZones")];
        let child = scene.start("apply --yes");
        looks[0].wait(LONG);
        looks[0].release();
        looks[1].wait(LONG);
        let before = scene.changes().len();
        assert!(before > 0, "the run is over by then");
        tell(&child, signal);
        ends(child, code);
        looks[1].release();
        assert_eq!(scene.changes().len(), before);
        goes_on(scene, "apply --yes");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_what_is_on_the_wire() {
    let mut start = story(journey("create").begin(0));
    start.timing.latency = Span::millis(0, 0);
    // So slow that the moment in which a call on the wire may still end is longer than we would wait.
    let scene = Scene::at(0.001, start, &journey("create").after);
    let launch = scene.proxy.hold("RunInstances");
    let mut child = scene.start("apply --yes");
    launch.wait(LONG);
    tell(&child, Signal::INT);
    // The first one is on its way: a second one of its kind could be taken for it.
    assert!(finish_not(&mut child), "what is on the wire may end");
    tell(&child, Signal::TERM);
    ends(child, 143);
    launch.release();
    launch.settled(LONG);
    goes_on(scene, "apply --yes");
}

/// It still lives a moment later.
fn finish_not(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        if child.try_wait().expect("it is our child").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
