//! Small plans taken through what can happen.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::launch::{Launch, Place};
use crate::plan::{Action, Basis, FORMAT, ObjectDoes, OnObject, Takes, Until};
use crate::stamp::{LaunchTag, Vector};
use crate::value::Fields;

fn change(address: &str, object: Option<&str>) -> Change {
    Change {
        address: address.parse().unwrap(),
        object: object.map(str::to_owned),
        action: Action::Replace,
        reasons: Vec::new(),
        fields: Vec::new(),
        zone: "a".into(),
        what: String::new(),
        node: None,
        how: String::new(),
        fingerprint: Digest::of(b""),
    }
}

fn step(needs: &[u32], changes: &[u32], does: Do) -> Step {
    Step { scope: String::new(), needs: needs.into(), changes: changes.into(), does }
}

fn plan(changes: Vec<Change>, steps: Vec<Step>) -> Arc<Plan> {
    Arc::new(Plan {
        format: FORMAT,
        id: Digest::of(b"plan"),
        basis: Basis {
            stack: "s".into(),
            name: "s".into(),
            at: Timestamp::UNIX_EPOCH,
            declaration: Digest::of(b""),
            scopes: BTreeMap::new(),
            objects: 0,
            calls: 0,
        },
        changes,
        steps,
        held: Vec::new(),
        notes: Vec::new(),
        forecast: Vec::new(),
        gaps: Vec::new(),
        unread: Vec::new(),
        look_again_at: None,
        takes: Takes::default(),
    })
}

fn launch(slots: impl IntoIterator<Item = u32>, replaces: &[&str]) -> Do {
    let mut tag = LaunchTag::first(Slots::new(slots));
    tag.replaces = replaces.iter().map(|s| (*s).to_owned()).collect();
    Do::Call(Call::Launch(Launch {
        stack: "s".into(),
        group: "machines.web".parse().unwrap(),
        tag,
        places: vec![Place { zone: "a".into(), subnet: None }],
        types: vec!["t".into()],
        spec: Fields::new(),
        root_device: None,
        user_data: None,
        vector: Vector::default(),
        tags: BTreeMap::new(),
    }))
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|s| (*s).to_owned()).collect()
}

fn terminate(of: &[&str]) -> Do {
    Do::Call(Call::Terminate(ids(of)))
}

fn wait(targets: &[&str]) -> Do {
    let target = |t: &&str| t.parse().map_or(Target::Id((*t).to_owned()), Target::New);
    Do::Wait(Wait { targets: targets.iter().map(target).collect(), until: Until::Running, within: 1 })
}

fn began() -> Happened {
    Happened::Began { plan: Digest::of(b"plan"), attempt: 1 }
}

fn started(step: u32) -> Happened {
    Happened::Started { step }
}

fn done(step: u32) -> Happened {
    Happened::Done { step, made: BTreeMap::new() }
}

fn failed(step: u32, class: Class) -> Happened {
    Happened::Failed { step, failure: Failure::new(class, "", ""), lost: vec![] }
}

fn skipped(step: u32) -> Happened {
    Happened::Skipped { step, because: String::new() }
}

fn refused(change: u32) -> Happened {
    Happened::Refused { change, because: "moved".into() }
}

/// `web/0` and `web/1` replaced in one batch, each old one after its own wait.
fn two() -> Arc<Plan> {
    plan(
        vec![change("machines.web/0", Some("i-a")), change("machines.web/1", Some("i-b"))],
        vec![
            step(&[], &[0, 1], launch([0, 1], &["i-a", "i-b"])),
            step(&[0], &[0], wait(&["machines.web/0"])),
            step(&[0], &[1], wait(&["machines.web/1"])),
            step(&[1, 2], &[0, 1], terminate(&["i-a", "i-b"])),
            step(&[3], &[0, 1], wait(&["i-a", "i-b"])),
        ],
    )
}

fn after(plan: &Arc<Plan>, events: impl IntoIterator<Item = Happened>) -> Progress {
    let events: Vec<Event> = events.into_iter().map(|happened| Event { at: Timestamp::UNIX_EPOCH, happened }).collect();
    Progress::replay(Arc::clone(plan), &events)
}

/// `web/0` and `web/1` launched and waited for in one step, each with a volume, then the old ones go together.
fn together() -> Arc<Plan> {
    let attach = |slot: u32| {
        Do::Call(Call::Attach {
            volume: Target::Id(format!("vol-{slot}")),
            machine: Target::New(format!("machines.web/{slot}").parse().unwrap()),
            device: "/dev/sdf".into(),
        })
    };
    let names = ["machines.web/0", "machines.web/1", "volumes.data/0", "volumes.data/1", "machines.web/2"];
    plan(
        names.iter().zip([Some("i-a"), Some("i-b"), None, None, None]).map(|(at, id)| change(at, id)).collect(),
        vec![
            step(&[], &[0, 1], launch([0, 1], &["i-a", "i-b"])),
            step(&[0], &[0, 1], wait(&["machines.web/0", "machines.web/1"])),
            step(&[1], &[2], attach(0)),
            step(&[1], &[3], attach(1)),
            step(&[1], &[0, 1], terminate(&["i-a", "i-b"])),
            step(&[4], &[0, 1], wait(&["i-a", "i-b"])),
            step(&[5], &[4], launch([2], &[])),
            step(&[3], &[3], wait(&["vol-1"])),
        ],
    )
}

#[test]
fn what_one_of_a_wait_loses_holds_back_its_own_and_whoever_waits_for_a_turn() {
    let plan = together();
    let lost = Happened::Failed { step: 1, failure: Failure::new(Class::NotFound, "", "gone"), lost: vec![0] };
    let mut progress = after(&plan, [began(), done(0), lost]);
    assert_eq!(progress.ready(), [3, 4]);
    assert_eq!(progress.effective(4), Some(terminate(&["i-b"])));
    let skips = progress.skips();
    assert_eq!(skips, [(2, "machines.web/0 did not come".to_owned())]);
    for event in [skipped(2), done(3), started(4)] {
        progress.apply(&event);
    }
    assert_eq!(progress.condemned().iter().collect::<Vec<_>>(), ["i-b"]);
    progress.apply(&done(4));
    assert_eq!(progress.ready(), [5, 7]);
    assert_eq!(progress.effective(5), Some(wait(&["i-b"])));
    progress.apply(&done(5));
    assert_eq!(progress.skips().into_iter().map(|(s, _)| s).collect::<Vec<_>>(), [6], "no turn is free");
    progress.apply(&done(7));
    let standing: Vec<Standing> = (0..5).map(|c| progress.standing(c)).collect();
    use Standing::{Done, Failed, Skipped, Waiting};
    assert_eq!(standing, [Failed, Done, Skipped, Done, Waiting]);
    assert_eq!((progress.outcome(), progress.lost_by(1)), (Outcome::Partial, vec![0]));
}

#[test]
fn a_step_is_ready_when_all_it_needs_is_done() {
    let plan = two();
    assert_eq!(after(&plan, [began()]).ready(), [0]);
    assert_eq!(after(&plan, [began(), started(0)]).ready(), [0u32; 0]);
    assert_eq!(after(&plan, [began(), started(0), done(0)]).ready(), [1, 2]);
    assert_eq!(after(&plan, [began(), done(0), done(1)]).ready(), [2]);
    assert_eq!(after(&plan, [began(), done(0), done(1), done(2)]).ready(), [3]);
}

#[test]
fn a_refused_change_is_cut_out_of_every_batch_and_holds_back_nothing_else() {
    let plan = two();
    let mut p = after(&plan, [began(), refused(0)]);
    let Some(Do::Call(Call::Launch(l))) = p.effective(0) else { panic!() };
    assert_eq!((l.tag.slots.to_string(), l.tag.replaces), ("1".to_owned(), ids(&["i-b"])));
    assert_eq!(p.effective(1), None);
    assert_eq!(p.effective(3), Some(terminate(&["i-b"])));
    assert_eq!(p.effective(4), Some(wait(&["i-b"])));
    assert_eq!(p.skips(), [(1, "machines.web/0 was refused: moved".to_owned())]);
    for h in [Happened::Skipped { step: 1, because: "refused".into() }, done(0), done(2)] {
        p.apply(&h);
    }
    assert_eq!(p.ready(), [3], "the wait for the refused one served only what is cut out here, too");
}

#[test]
fn what_needs_a_refused_thing_is_left_out_with_it() {
    let attach = Do::Call(Call::Attach {
        volume: Target::Id("vol-1".into()),
        machine: Target::New("machines.web/0".parse().unwrap()),
        device: "/dev/sdf".into(),
    });
    let plan = plan(
        vec![change("machines.web/0", None), change("volumes.data/0", Some("vol-1"))],
        vec![step(&[], &[0], launch([0], &[])), step(&[0], &[1], attach.clone()), step(&[1], &[1], wait(&["vol-1"]))],
    );
    let p = after(&plan, [began(), refused(0)]);
    assert_eq!(p.skips().iter().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(p.skips()[1].1.contains("machines.web/0 was refused"), "{:?}", p.skips());
    assert_eq!(p.ready(), [0u32; 0]);
    let p = after(&plan, [began(), refused(1)]);
    assert_eq!(p.skips().iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(p.ready(), [0]);
}

#[test]
fn a_failure_takes_all_that_needs_it_along() {
    let p = after(&two(), [began(), started(0), done(0), started(1), failed(1, Class::Busy)]);
    assert_eq!(
        p.skips(),
        [
            (3, "wait of machines.web/0 failed".to_owned()),
            (4, "termination of machines.web/0 and 1 more was left out".to_owned())
        ]
    );
    assert_eq!(p.ready(), [2], "independent work goes on");
}

#[test]
fn the_next_attempt_repeats_what_is_not_done_and_keeps_what_is() {
    let made = BTreeMap::from([("machines.web/0".parse().unwrap(), "i-9".to_owned())]);
    let p = after(
        &two(),
        [
            began(),
            refused(1),
            Happened::Done { step: 0, made },
            started(1),
            failed(1, Class::Busy),
            Happened::Skipped { step: 3, because: String::new() },
            Happened::Interrupted { in_flight: vec![] },
            began(),
        ],
    );
    assert_eq!(p.attempts(), 2);
    assert_eq!(p.ready(), [1]);
    assert_eq!(p.binding(&"machines.web/0".parse().unwrap()), Some("i-9"));
    assert_eq!(p.refused().len(), 1, "what a batch went without it goes without for ever");
    assert_eq!(p.outcome(), Outcome::Partial);
    assert_eq!(p.resolve(&wait(&["machines.web/0", "i-a"])), Ok(wait(&["i-9", "i-a"])));
    assert_eq!(p.resolve(&wait(&["machines.web/5"])), Err("machines.web/5".parse().unwrap()));
}

#[test]
fn a_launch_takes_up_its_choices_where_a_crash_left_them() {
    let retry = |class| Happened::Retrying { step: 0, failure: Failure::new(class, "", ""), after_ms: 0 };
    let events =
        [began(), started(0), retry(Class::Capacity), retry(Class::Throttled), retry(Class::Capacity), began()];
    let mut p = after(&two(), events);
    assert_eq!(p.turns(0), Turns { full: 2, spent: 0 });
    p.apply(&retry(Class::TokenSpent));
    assert_eq!(p.turns(0), Turns { full: 0, spent: 1 }, "another generation begins at the first place");
    p.apply(&failed(0, Class::Capacity));
    assert_eq!(p.turns(0), Turns::default(), "all were tried: the next attempt begins anew");
}

#[test]
fn what_a_destructive_call_names_is_condemned_once_it_has_started() {
    let plan = two();
    assert!(after(&plan, [began(), done(0), done(1), done(2)]).condemned().is_empty());
    let p = after(&plan, [began(), refused(0), done(0), done(2), started(3)]);
    assert_eq!(p.condemned().iter().collect::<Vec<_>>(), ["i-b"], "the refused one is not among them");
    let p = after(&plan, [began(), started(3), failed(3, Class::Denied), began()]);
    assert_eq!(p.condemned().len(), 2, "and stays so, whatever becomes of the call");
}

#[test]
fn a_change_has_begun_once_a_call_for_it_may_have_touched_the_world() {
    let plan = two();
    let begun = |events: Vec<Happened>| after(&plan, events).has_begun(0);
    assert!(!begun(vec![began()]));
    assert!(begun(vec![began(), started(0)]));
    assert!(begun(vec![began(), started(0), failed(0, Class::Transient)]));
    assert!(!begun(vec![began(), started(0), failed(0, Class::Quota)]), "EC2 said no: nothing happened");
    assert!(begun(vec![began(), started(0), began()]), "killed twice");
    assert!(begun(vec![began(), started(0), began(), started(0), failed(0, Class::Quota)]), "the first may have");
    assert!(!begun(vec![began(), started(1)]), "a wait touches nothing");
}

#[test]
fn the_sum_of_the_steps_is_the_changes_standing() {
    let plan = two();
    let standing = |events: Vec<Happened>| after(&plan, events).standing(0);
    assert_eq!(standing(vec![began()]), Standing::Waiting);
    assert_eq!(standing(vec![began(), started(0)]), Standing::Running);
    assert_eq!(standing(vec![began(), done(0)]), Standing::Running, "more is to come");
    assert_eq!(standing(vec![began(), done(0), failed(1, Class::Busy)]), Standing::Failed);
    assert_eq!(standing((0..5).map(done).collect()), Standing::Done);
    assert_eq!(standing(vec![refused(0)]), Standing::Refused);
    assert_eq!(after(&plan, (0..5).map(done)).outcome(), Outcome::Complete);
}

/// The mark is written after the last deletion; one that is stuck leaves those done that are gone.
#[test]
fn a_step_beside_a_change_that_is_left_out_leaves_it_done() {
    let on = |object: &str| {
        let does = ObjectDoes::Delete { uid: "u".into() };
        Do::Call(Call::Object(OnObject { object: object.parse().unwrap(), api_version: "v1".into(), does }))
    };
    let changes = ["a", "b"].map(|name| change(&format!("manifests.x/ConfigMap/shop/{name}"), None)).to_vec();
    let steps = vec![
        step(&[], &[0], on("ConfigMap/shop/a")),
        step(&[], &[1], on("ConfigMap/shop/b")),
        step(&[0, 1], &[0, 1], on("ConfigMap/shop/evenkeel-s")),
    ];
    let mut went = after(&plan(changes, steps), [began(), started(0), started(1), done(0), failed(1, Class::Busy)]);
    let skips = went.skips();
    assert_eq!(skips.iter().map(|s| s.0).collect::<Vec<_>>(), [2]);
    went.apply(&Happened::Skipped { step: 2, because: skips[0].1.clone() });
    assert_eq!((went.standing(0), went.standing(1)), (Standing::Done, Standing::Failed));
}

/// Any event about steps and changes that may or may not exist.
fn any_event() -> impl Strategy<Value = Happened> {
    let class = prop_oneof![Just(Class::Capacity), Just(Class::TokenSpent), Just(Class::Transient)];
    (0u8..10, 0u32..14, class).prop_map(|(what, n, class)| match what {
        0 => began(),
        1 => refused(n),
        2 => started(n),
        3 => Happened::Retrying { step: n, failure: Failure::new(class, "", ""), after_ms: 0 },
        4 => Happened::Waiting { step: n, shows: vec![] },
        5 => done(n),
        6 => failed(n, class),
        7 => Happened::Skipped { step: n, because: String::new() },
        8 => Happened::Failed { step: n, failure: Failure::new(class, "", ""), lost: vec![n % 5] },
        _ => Happened::Interrupted { in_flight: vec![n] },
    })
}

/// A plan of up to twelve steps over four changes, with any needs, sound or not.
fn any_plan(sound: bool) -> impl Strategy<Value = Arc<Plan>> {
    let one = (proptest::collection::btree_set(0u32..12, 0..4), proptest::collection::btree_set(0u32..4, 1..4), 0u8..3);
    proptest::collection::vec(one, 1..12).prop_map(move |steps| {
        let changes = (0..4).map(|i| change(&format!("machines.web/{i}"), Some(["a", "b", "c", "d"][i]))).collect();
        let steps = (0u32..).zip(steps).map(|(i, (needs, changes, what))| {
            let needs: Vec<u32> = needs.into_iter().filter(|n| !sound || *n < i).collect();
            let of: Vec<u32> = changes.into_iter().collect();
            let names: Vec<&str> = of.iter().map(|c| ["a", "b", "c", "d"][*c as usize]).collect();
            let does = match what {
                0 => launch(of.clone(), &[]),
                1 => terminate(&names),
                _ => wait(&names),
            };
            step(&needs, &of, does)
        });
        plan(changes, steps.collect())
    })
}

proptest! {
    #[test]
    fn no_event_and_no_plan_panics(plan in any_plan(false), events in proptest::collection::vec(any_event(), 0..30)) {
        let p = after(&plan, events);
        let (ready, skips) = (p.ready(), p.skips());
        prop_assert!(ready.iter().all(|s| p.state(*s) == Some(&State::Waiting)));
        prop_assert!(ready.iter().all(|s| !skips.iter().any(|(k, _)| k == s)), "ready and skipped at once");
        for n in 0..14 {
            let _ = (p.effective(n), p.standing(n), p.has_begun(n), p.words(n), p.turns(n));
        }
        let _ = (p.condemned(), p.outcome(), p.in_flight(), p.is_over());
    }

    #[test]
    fn whatever_fails_or_is_refused_the_run_comes_to_an_end(
        plan in any_plan(true),
        out in proptest::collection::btree_set(0u32..4, 0..3),
        bad in proptest::collection::btree_set(0u32..12, 0..3),
        partly in proptest::collection::btree_set(0u32..12, 0..3),
    ) {
        let mut p = after(&plan, std::iter::once(began()).chain(out.iter().map(|c| refused(*c))));
        let (mut ran, mut lost, mut in_part) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        while !p.is_over() {
            let before = (p.waiting.len(), p.in_flight().len());
            for (step, because) in p.skips() {
                p.apply(&Happened::Skipped { step, because });
            }
            for s in p.ready() {
                let step = &plan.steps[s as usize];
                for n in &step.needs {
                    let waived = p.is_waived(*n, step);
                    let within = step.changes.iter().all(|c| plan.steps[*n as usize].changes.contains(c));
                    let goes_on = in_part.contains(n) && within && !matches!(step.does, Do::Call(Call::Launch(_)));
                    prop_assert!(if in_part.contains(n) { goes_on } else { ran.contains(n) || waived }, "{} and {}", s, n);
                }
                if let Some(Do::Call(Call::Terminate(ids))) = p.effective(s) {
                    let kept = lost.iter().find(|c: &&u32| ids.contains(plan.changes[**c as usize].object.as_ref().unwrap()));
                    prop_assert_eq!(kept, None, "the old one of what was lost stays");
                }
                p.apply(&started(s));
                let one = step.changes.iter().copied().find(|c| !lost.contains(c) && !out.contains(c));
                if step.needs.iter().any(|n| in_part.contains(n)) {
                    in_part.insert(s);
                }
                if let (true, true, Some(one)) = (partly.contains(&s), matches!(step.does, Do::Wait(_)), one) {
                    let failure = Failure::new(Class::NotFound, "", "gone");
                    p.apply(&Happened::Failed { step: s, failure, lost: vec![one] });
                    lost.insert(one);
                    in_part.insert(s);
                } else if bad.contains(&s) {
                    p.apply(&failed(s, Class::Quota));
                } else {
                    ran.push(s);
                    p.apply(&done(s));
                }
            }
            prop_assert_ne!(before, (p.waiting.len(), p.in_flight().len()), "stuck");
        }
        let clean = out.is_empty() && lost.is_empty() && bad.iter().all(|s| *s as usize >= plan.steps.len());
        prop_assert_eq!(p.outcome() == Outcome::Complete, clean);
    }
}
