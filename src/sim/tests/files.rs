//! A world's file: bad ones are told apart with a place and a way out, and a kill at any moment leaves a good one.

use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::faults::{Effect, Fault, Moment};

#[test]
fn a_bad_file_is_refused_with_a_place_and_a_way_out() {
    let good = World::founding(1).to_toml();
    World::from_toml(&good).unwrap();
    for (bad, line, word) in [
        (good.replacen("region =", "regoin =", 1), Some(4), "regoin"),
        (good.replacen("now = \"", "now = \"noon ", 1), Some(2), "year"),
        (good.replacen("boot = \"5s..25s\"", "boot = \"soon\"", 1), None, "soon"),
        (good.replacen("[zones.us-east-1a]", "[zones.us-east-1a", 1), None, ""),
        (String::new(), None, "now"),
        ("now".to_owned(), Some(1), ""),
        (good.replacen("zone = \"us-east-1a\"", "zone = \"us-east-1x\"", 1), None, "us-east-1x"),
        (format!("x = {}\n{good}", "[".repeat(10_000)), Some(1), "nested too deep"),
    ] {
        let no = World::from_toml(&bad).expect_err("it is bad");
        assert!(no.says.contains(word), "{no}");
        assert!(!no.way_out.is_empty());
        if line.is_some() {
            assert_eq!(no.place.map(|p| p.0), line, "{no}");
        }
        assert!(!no.to_string().contains('\n'), "one line: {no}");
    }
    let dangling = format!(
        "{good}\n[volumes.vol-1]\nzone = \"us-east-1a\"\nsize = 1\ntype = \"gp3\"\ncreated = \"2026-01-01T00:00:00Z\"\n\
         visible = \"2026-01-01T00:00:00Z\"\nhold = {{ instance = \"i-1\", device = \"/dev/sdf\" }}\n"
    );
    assert!(World::from_toml(&dangling).unwrap_err().says.contains("i-1"));
}

#[test]
fn the_manuals_examples_are_worlds() {
    let manual = include_str!("../../../docs/sim.md");
    let examples = manual.split("```toml\n").skip(1).filter_map(|part| part.split("```").next());
    let head = "now = \"2026-01-05T12:00:00Z\"\nregion = \"us-east-1\"\naccount = \"123456789012\"\n";
    let mut count = 0;
    for example in examples {
        let zones = if example.contains("[zones") { "" } else { "[zones.us-east-1a]\n" };
        let world = World::from_toml(&format!("{head}{zones}{example}")).unwrap_or_else(|no| panic!("{no}\n{example}"));
        assert_eq!(World::from_toml(&world.to_toml()).unwrap(), world);
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn an_unusable_path_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let bad = Sim::open(&folder.path().join("no/such/world.toml"), 1).expect_err("no such folder");
    assert!(bad.to_string().contains("world.toml") && !bad.to_string().contains('\n'), "{bad}");
    let bad = Sim::open(folder.path(), 1).expect_err("a folder is no file");
    assert!(!bad.way_out.is_empty());
}

#[test]
fn a_file_that_goes_bad_during_a_run_fails_the_call_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.toml");
    runtime().unwrap().block_on(async {
        let sim = Sim::open(&path, 1).unwrap();
        std::fs::write(&path, "what?").unwrap();
        let refused = Sim::why(sim.run_instances(&launch("t", 1)).await);
        assert_eq!(refused, (Class::Invalid, "WorldFile".into()));
        drop(sim);
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "what?");
}

/// Run by [`a_killed_process_leaves_a_good_world`] in a process of its own, which it does not survive.
#[test]
fn the_process_that_is_killed() {
    let Some(path) = std::env::var_os("EVENKEEL_SIM_TEST_WORLD") else { return };
    runtime().unwrap().block_on(async {
        let sim = Sim::open(path.as_ref(), 1).unwrap();
        let id = sim.boot_up("t", 2).await[0].id.clone();
        sim.set_tags(&[id], &tags(&[("last", "words")])).await.unwrap();
    });
    println!("survived");
}

#[test]
fn a_killed_process_leaves_a_good_world() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (moment, after, machines, tagged)) in [
        (Moment::Before, 0, 0, false),
        (Moment::After, 0, 2, false),
        (Moment::Before, 1, 2, false),
        (Moment::After, 1, 2, true),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("world{n}.toml"));
        let mut world = World::founding(1);
        world.faults.push(Fault::once(Effect::Kill(moment)).changing().after(after));
        std::fs::write(&path, world.to_toml()).unwrap();
        let run = || {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture", "tests::files::the_process_that_is_killed"])
                .env("EVENKEEL_SIM_TEST_WORLD", &path)
                .output()
                .unwrap()
        };
        let end = run();
        assert!(!end.status.success() && !String::from_utf8_lossy(&end.stdout).contains("survived"));
        #[cfg(unix)]
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end.status), Some(9), "{end:?}");
        let left = World::from_toml(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!((left.instances.len(), left.faults.len()), (machines, 0));
        assert_eq!(left.instances.values().any(|m| m.tags.contains_key("last")), tagged);
        assert!(run().status.success(), "and the next run goes through");
        let healed = World::from_toml(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(healed.instances.len(), 2);
    }
}

/// A world with something in it.
fn lived_in() -> &'static str {
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = String::new();
        runtime().unwrap().block_on(async {
            let mut world = World::founding(1);
            world.faults = Fault::from_seed(3);
            let sim = Sim::new(world);
            let id = sim.run_instances(&launch("t", 2)).await.unwrap()[0].id.clone();
            sim.wait(150).await;
            let _ = sim.create_volume(&volume("v", 5)).await;
            let _ = sim.stop(&[id]).await;
            text = sim.world().unwrap().to_toml();
        });
        text
    })
}

/// Whatever can be read can be lived in.
fn live_in(text: &str) {
    let Ok(mut world) = World::from_toml(text) else { return };
    let now = world.now;
    for seconds in [0, 100, 4_000, 100_000] {
        world.settle(crate::clock::later(now, Duration::from_secs(seconds)));
        let _ = world.list_instances(&all());
        let _ = world.list_statuses(&all(), true);
        let _ = world.list_volumes(&all());
        let _ = world.list_subnets(&all());
        let _ = world.run_instances(&launch(&format!("x{seconds}"), 2));
        let _ = world.create_volume(&volume(&format!("x{seconds}"), 2));
        let ids: Vec<_> = world.instances.keys().cloned().collect();
        let _ = world.terminate(&ids[..ids.len().min(1)]);
        world.look();
    }
    let again = World::from_toml(&world.to_toml()).expect("what it writes it reads");
    assert_eq!(again.instances, world.instances);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        live_in(&text);
    }

    #[test]
    fn no_spoilt_world_panics(at in any::<prop::sample::Index>(), with in "[-0-9a-z\"\\[\\]=.{}\\n]{0,3}", cut in 0usize..4) {
        let text = lived_in();
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        live_in(&format!("{}{with}{}", &text[..at], &text[end..]));
    }

    #[test]
    fn no_spoilt_number_panics(line in any::<prop::sample::Index>(), number in prop_oneof![
        Just("0"), Just("1"), Just("4294967295"), Just("18446744073709551615"), Just("9223372036854775807"),
        Just("-1"), Just("nan"), Just("inf"), Just("\"9999-12-30T22:00:00.999999999Z\""),
        Just("\"-009999-01-02T01:59:59Z\""), Just("\"0s\""), Just("\"365d\""), Just("\"0.0.0.0/16\""), Just("[]"),
    ]) {
        let lines: Vec<&str> = lived_in().lines().collect();
        let at = line.index(lines.len());
        let Some((key, _)) = lines[at].split_once(" = ") else { return Ok(()) };
        let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        lines[at] = format!("{key} = {number}");
        live_in(&lines.join("\n"));
    }
}
