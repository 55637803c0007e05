//! Saved plans: what saving wrote is read back, and nothing else is.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use evenkeel_core::observed::Gap;
use evenkeel_core::plan::{Call, FORMAT, FieldChange, Forecast, Held, Hold, Note, Plan, Target, Until, Why};
use evenkeel_core::value::Value;
use proptest::prelude::*;

use super::fake::*;
use crate::planfile::{PlanFileError, bytes, load, parse, save};

/// A plan that uses every part of the format.
fn sample() -> Plan {
    let mut replaced = change("machines.web/0", "i-1");
    replaced.fields = vec![FieldChange {
        field: "security-groups".into(),
        old: Value::set(["web", "debug"]),
        new: Value::set(["web"]),
        why: Why::Drifted,
        forces_replacement: None,
        by: None,
    }];
    let steps = vec![
        call(&[], &[0], Call::Launch(launch([0, 1]))),
        wait(&[0], &[0], &["machines.web/0", "i-7"], Until::Healthy { warm: 60 }, 600),
        call(&[1], &[0], Call::Terminate(vec!["i-1".into()])),
        call(&[], &[1], Call::CreateVolume(volume(1))),
        call(
            &[0, 3],
            &[1],
            Call::Attach {
                volume: Target::New(address("volumes.data/1")),
                machine: Target::Id("i-7".into()),
                device: "/dev/sdf".into(),
            },
        ),
    ];
    let mut plan = Arc::unwrap_or_clone(plan(vec![replaced, change("volumes.data/1", "")], steps));
    plan.held = vec![Held { change: change("machines.web/5", "i-5"), waits_for: "web/0".into(), by: Hold::Floor }];
    plan.notes = vec![Note { kind: "outdated".into(), about: "machines.web".into(), says: "é \u{202e} \"x\"".into() }];
    plan.gaps = vec![Gap {
        scope: String::new(),
        kind: None,
        what: "health".into(),
        failure: evenkeel_core::failure::Failure::new(evenkeel_core::failure::Class::Denied, "No", "no"),
        partial: true,
    }];
    plan.forecast = vec![Forecast {
        group: "machines.web".parse().unwrap(),
        before: 2,
        after: 2,
        wanted: 2,
        zones: [("a".to_owned(), (1, 1))].into(),
        floor: 2,
        ready: 2,
        needed: 2,
        left_after_machine: 1,
        left_after_zone: [("a".to_owned(), 1)].into(),
        count_for_any_zone: None,
    }];
    plan.look_again_at = Some(plan.basis.at);
    plan.seal()
}

#[test]
fn a_plan_reads_back_as_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.json");
    save(&path, &sample()).unwrap();
    assert_eq!(load(&path).unwrap(), sample());
    save(&path, &sample()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn any_one_bit_flipped_is_refused() {
    let good = bytes(&sample());
    for i in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[i] ^= 1 << bit;
            assert!(parse(Path::new("p"), &bad).is_err(), "byte {i}, bit {bit}");
        }
    }
}

#[test]
fn a_plan_cut_anywhere_or_with_something_behind_it_is_refused() {
    let good = bytes(&sample());
    for cut in 0..good.len() {
        assert!(parse(Path::new("p"), &good[..cut]).is_err(), "cut at {cut}");
    }
    for more in [" ", "\n", "{}", "\0"] {
        assert!(parse(Path::new("p"), &[&good[..], more.as_bytes()].concat()).is_err());
    }
}

#[test]
fn the_same_plan_in_other_words_is_refused() {
    let plan = sample();
    let pretty = serde_json::to_vec_pretty(&serde_json::from_slice::<serde_json::Value>(&bytes(&plan)).unwrap());
    assert!(matches!(parse(Path::new("p"), &pretty.unwrap()), Err(PlanFileError::Broken(_))));
    let text = String::from_utf8(bytes(&plan)).unwrap();
    let edited = text.replacen("i-1", "i-2", 1);
    let says = parse(Path::new("plan.json"), edited.as_bytes()).unwrap_err().to_string();
    assert!(says.contains("changed since it was saved") && says.contains("plan -o"), "{says}");
}

#[test]
fn another_formats_plan_says_so() {
    let mut plan = sample();
    plan.format = FORMAT + 1;
    let other = bytes(&plan.seal());
    assert!(matches!(parse(Path::new("p"), &other), Err(PlanFileError::Version(_, v)) if v == FORMAT + 1));
}

#[test]
fn a_sealed_plan_whose_steps_point_nowhere_is_refused() {
    for (needs, changes) in [(vec![9], vec![0]), (vec![0], vec![0]), (vec![], vec![7])] {
        let mut plan = sample();
        plan.steps[0].needs = needs;
        plan.steps[0].changes = changes;
        assert!(matches!(parse(Path::new("p"), &bytes(&plan.seal())), Err(PlanFileError::NotAPlan(..))));
    }
}

#[test]
fn a_plan_takes_the_place_of_plans_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evenkeel.toml");
    for text in ["[stack]\n", "hello", "{}"] {
        fs::write(&path, text).unwrap();
        let says = save(&path, &sample()).unwrap_err().to_string();
        assert!(says.contains("no saved plan") && says.contains("name another file"), "{says}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, "").unwrap();
    save(&path, &sample()).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    save(&path, &sample()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole, "half a plan is one that may go");
}

#[test]
fn what_is_no_plan_is_refused_and_what_stood_there_survives_a_failed_save() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "hello", "[]", "{}", "{\"evenkeel-plan\":1}", "null"] {
        let path = dir.path().join("x");
        fs::write(&path, text).unwrap();
        assert!(matches!(load(&path), Err(PlanFileError::NotAPlan(..))), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(parse(Path::new("p"), deep.as_bytes()).is_err());
    assert!(matches!(load(&dir.path().join("none")), Err(PlanFileError::Io(..))));
    assert!(matches!(load(dir.path()), Err(PlanFileError::Io(..))));
    assert!(matches!(save(&dir.path().join("no/such/folder/p"), &sample()), Err(PlanFileError::Io(..))));
    let huge = dir.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(crate::limits::PLAN_FILE + 1).unwrap();
    assert!(matches!(load(&huge), Err(PlanFileError::TooLarge(_))));
}

proptest! {
    #[test]
    fn no_bytes_panic(junk in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(parse(Path::new("p"), &junk).is_err());
    }

    #[test]
    fn no_damage_panics_or_passes(at in any::<prop::sample::Index>(), len in 0usize..40, put in "\\PC{0,20}") {
        let good = bytes(&sample());
        let at = at.index(good.len());
        let end = (at + len).min(good.len());
        let bad = [&good[..at], put.as_bytes(), &good[end..]].concat();
        prop_assert!(bad == good || parse(Path::new("p"), &bad).is_err());
    }
}

#[cfg(unix)]
#[test]
fn a_plan_is_not_put_in_the_place_of_a_device_a_socket_or_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(save(&path, &sample()), Err(PlanFileError::Io(..))));
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok(), "it is still there");
    assert!(matches!(save(dir.path(), &sample()), Err(PlanFileError::Io(..))));
}
