//! A run on the small world: order, failures, refusals, waits, and being told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::address::Kind;
use evenkeel_core::event::{Happened, Outcome};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::{Gap, Observed, Phase};
use evenkeel_core::plan::{Action, Call, Forecast, Plan, Target, Until};
use evenkeel_core::progress::{Progress, Standing, State};

use super::fake::*;
use crate::fresh::{Refused, stale, thinner, unseen};
use crate::stop::{Cause, Stop, stop};

#[tokio::test(start_paused = true)]
async fn what_is_needed_is_done_before_what_needs_it() {
    let clock = Paused::new();
    let old = object(Kind::Machines, "i-old", Phase::Up, clock_now(&clock));
    let fake = Fake::new(&clock).with(|w| drop(w.objects.insert("i-old".into(), old)));
    let world = Arc::clone(&fake.world);
    let plan = plan(
        vec![change("machines.web/0", "i-old")],
        vec![
            call(&[], &[0], Call::Launch(launch([0]))),
            wait(&[0], &[0], &["machines.web/0"], HEALTHY, 600),
            call(&[1], &[0], Call::Terminate(vec!["i-old".into()])),
            wait(&[2], &[0], &["i-old"], Until::Terminated, 600),
        ],
    );
    let mut paper = Paper::default();
    let ran = run_on(fake, &plan, &mut paper, &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Complete);
    assert_eq!(world.lock().unwrap().log, ["launch 0 g1 a/big", "terminate i-old"]);
    let order: Vec<String> = paper
        .happened()
        .iter()
        .filter_map(|h| match h {
            Happened::Started { step } => Some(format!("s{step}")),
            Happened::Done { step, .. } => Some(format!("d{step}")),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["s0", "d0", "s1", "d1", "s2", "d2", "s3", "d3"]);
    assert!(clock.seconds() > 70.0, "a boot, a warm-up and a shutdown were waited for");
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_takes_its_dependents_and_nobody_else() {
    let clock = Paused::new();
    let fake = Fake::new(&clock).with(|w| drop(w.script.insert("launch", [failure(Class::Quota)].into())));
    let world = Arc::clone(&fake.world);
    let plan = plan(
        vec![change("machines.web/0", ""), change("volumes.data/0", "")],
        vec![
            call(&[], &[0], Call::Launch(launch([0]))),
            wait(&[0], &[0], &["machines.web/0"], HEALTHY, 600),
            call(&[1], &[0], Call::Tag { ids: vec!["x".into()], set: [].into(), unset: vec![] }),
            call(&[], &[1], Call::CreateVolume(volume(0))),
        ],
    );
    let mut paper = Paper::default();
    let ran = run_on(fake, &plan, &mut paper, &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Partial);
    assert_eq!(world.lock().unwrap().log, ["launch 0 g1 a/big", "volume 0 g1"]);
    let because = |s: u32| match ran.progress.state(s).unwrap() {
        State::Skipped(because) => because.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(because(1), "launch of machines.web 0 failed");
    assert_eq!(because(2), "wait of machines.web/0 was left out");
    assert_eq!(ran.progress.standing(0), Standing::Failed);
    assert_eq!(ran.progress.standing(1), Standing::Done);
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_leaves_its_batch_and_the_rest_goes_on() {
    let clock = Paused::new();
    let fake = Fake::new(&clock);
    let world = Arc::clone(&fake.world);
    let plan = fleet(4);
    let mut paper = Paper::default();
    let refused = [Refused { change: 2, because: "it is there already".into(), unseen: false }];
    let ran = run_on(fake, &plan, &mut paper, &refused, Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Partial, "one change was not made");
    assert_eq!(world.lock().unwrap().log, ["launch 0-1,3 g1 a/big"]);
    assert_eq!(ran.progress.state(1), Some(&State::Done));
    assert_eq!(ran.progress.standing(2), Standing::Refused);
    assert_eq!(ran.progress.bindings().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_step_of_refused_changes_only_is_skipped_with_what_hangs_on_it() {
    let clock = Paused::new();
    let fake = Fake::new(&clock);
    let world = Arc::clone(&fake.world);
    let attach = Call::Attach {
        volume: Target::New(address("volumes.data/0")),
        machine: Target::New(address("machines.web/0")),
        device: "/dev/sdf".into(),
    };
    let plan = plan(
        vec![change("machines.web/0", ""), change("volumes.data/0", "")],
        vec![
            call(&[], &[0], Call::Launch(launch([0]))),
            call(&[], &[1], Call::CreateVolume(volume(0))),
            call(&[0, 1], &[1], attach),
        ],
    );
    let mut paper = Paper::default();
    let refused = [Refused { change: 0, because: "gone".into(), unseen: false }];
    let ran = run_on(fake, &plan, &mut paper, &refused, Stop::never()).await;
    assert_eq!(world.lock().unwrap().log, ["volume 0 g1"]);
    let skipped = |s| matches!(ran.progress.state(s), Some(State::Skipped(_)));
    assert!(skipped(0) && !skipped(1) && skipped(2));
    assert_eq!(ran.progress.standing(1), Standing::Skipped);
}

#[tokio::test(start_paused = true)]
async fn a_place_without_room_gives_way_to_the_next_type_and_then_the_next_place() {
    let clock = Paused::new();
    let full = failure(Class::Capacity);
    let fake = Fake::new(&clock).with(|w| drop(w.script.insert("launch", [full.clone(), full.clone(), full].into())));
    let world = Arc::clone(&fake.world);
    let mut paper = Paper::default();
    let ran = run_on(fake, &fleet(2), &mut paper, &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Complete);
    let log = world.lock().unwrap().log.clone();
    assert_eq!(log, ["launch 0-1 g1 a/big", "launch 0-1 g1 a/small", "launch 0-1 g1 b/big", "launch 0-1 g1 b/small"]);
}

#[tokio::test(start_paused = true)]
async fn no_room_anywhere_is_a_failure_with_ec2s_own_words() {
    let clock = Paused::new();
    let full = failure(Class::Capacity);
    let fake =
        Fake::new(&clock).with(|w| drop(w.script.insert("launch", std::iter::repeat_n(full.clone(), 9).collect())));
    let world = Arc::clone(&fake.world);
    let mut paper = Paper::default();
    let ran = run_on(fake, &fleet(2), &mut paper, &[], Stop::never()).await;
    assert_eq!(ran.progress.state(0), Some(&State::Failed(full)));
    assert_eq!(world.lock().unwrap().log.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_spent_token_goes_to_the_next_generation_and_not_for_ever() {
    let clock = Paused::new();
    let spent = failure(Class::TokenSpent);
    let fake = Fake::new(&clock).with(|w| drop(w.script.insert("launch", [spent.clone(), spent.clone()].into())));
    let world = Arc::clone(&fake.world);
    let ran = run_on(fake, &fleet(1), &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Complete);
    let log = world.lock().unwrap().log.clone();
    assert_eq!(log, ["launch 0 g1 a/big", "launch 0 g2 a/big", "launch 0 g3 a/big"]);

    let fake =
        Fake::new(&clock).with(|w| drop(w.script.insert("launch", std::iter::repeat_n(spent.clone(), 99).collect())));
    let world = Arc::clone(&fake.world);
    let ran = run_on(fake, &fleet(1), &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.progress.state(0), Some(&State::Failed(spent)));
    assert_eq!(world.lock().unwrap().log.len(), 65);
}

#[tokio::test(start_paused = true)]
async fn a_volume_whose_token_belongs_to_a_deleted_one_takes_the_next_generation() {
    let clock = Paused::new();
    let spent = failure(Class::TokenSpent);
    let fake = Fake::new(&clock).with(|w| drop(w.script.insert("volume", [spent.clone(), spent.clone()].into())));
    let world = Arc::clone(&fake.world);
    let plan = plan(vec![change("volumes.data/0", "")], vec![call(&[], &[0], Call::CreateVolume(volume(0)))]);
    let ran = run_on(fake, &plan, &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Complete);
    let log = world.lock().unwrap().log.clone();
    assert_eq!(log, ["volume 0 g1", "volume 0 g2", "volume 0 g3"]);
}

#[tokio::test(start_paused = true)]
async fn another_launch_with_our_token_asks_for_a_new_look() {
    let clock = Paused::new();
    let fake = Fake::new(&clock).with(|w| drop(w.script.insert("launch", [failure(Class::TokenMismatch)].into())));
    let ran = run_on(fake, &fleet(1), &mut Paper::default(), &[], Stop::never()).await;
    let Some(State::Failed(f)) = ran.progress.state(0) else { panic!() };
    assert!(f.class == Class::TokenMismatch && f.says.contains("look again"), "{f:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_in_flight_than_allowed() {
    let clock = Paused::new();
    let fake = Fake::new(&clock);
    let world = Arc::clone(&fake.world);
    let changes = (0..100).map(|i| change(&format!("volumes.data/{i}"), "")).collect();
    let steps = (0..100).map(|i| call(&[], &[i], Call::CreateVolume(volume(i)))).collect();
    let ran = run_on(fake, &plan(changes, steps), &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Complete);
    assert_eq!(world.lock().unwrap().busiest, 16);
    assert!(clock.seconds() < 1.0, "sixteen at a time, 100 ms each");
}

#[tokio::test(start_paused = true)]
async fn a_stop_starts_nothing_new_and_does_not_wait_for_a_boot() {
    let clock = Paused::new();
    let fake = Fake::new(&clock);
    let world = Arc::clone(&fake.world);
    let (stopper, flag) = stop();
    let told = clock.clone();
    let plan = fleet(1);
    let mut paper = Paper::default();
    let run = run_on(fake, &plan, &mut paper, &[], flag);
    let ask = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        stopper.stop(Cause::Interrupt);
        std::future::pending::<()>().await;
    };
    let ran = tokio::select! { ran = run => ran, () = ask => unreachable!() };
    assert_eq!(ran.outcome, Outcome::Interrupted);
    assert!(told.seconds() < 11.0);
    let last: Vec<_> = paper.happened().into_iter().rev().take(2).collect();
    assert_eq!(last[1], Happened::Interrupted { in_flight: vec![1] });
    // And it goes on from there.
    let mut again = Fake::new(&clock);
    again.world = Arc::clone(&world);
    let ran = run_on(again, &plan, &mut paper, &[], Stop::never()).await;
    assert_eq!((ran.outcome, ran.progress.attempts()), (Outcome::Complete, 2));
    assert_eq!(world.lock().unwrap().log.len(), 1, "nothing was launched twice");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_may_end_within_a_second_of_the_stop_but_no_later() {
    for (latency, done) in [(500, true), (5_000, false)] {
        let clock = Paused::new();
        let fake = Fake::new(&clock).with(|w| w.latency = Duration::from_millis(latency));
        let (stopper, flag) = stop();
        stopper.stop(Cause::Terminate);
        let mut paper = Paper::default();
        let ran = run_on(fake, &fleet(1), &mut paper, &[], flag).await;
        assert_eq!(ran.outcome, Outcome::Interrupted);
        assert!(clock.seconds() <= 1.0);
        // The flag was up before the first call: then even that one does not start.
        assert_eq!(ran.progress.state(0), Some(&State::Waiting));

        let (stopper, flag) = stop();
        let fake = Fake::new(&clock).with(|w| w.latency = Duration::from_millis(latency));
        let plan = fleet(1);
        let run = run_on(fake, &plan, &mut paper, &[], flag);
        let ask = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            stopper.stop(Cause::Terminate);
            std::future::pending::<()>().await;
        };
        let ran = tokio::select! { ran = run => ran, () = ask => unreachable!() };
        let expected = if done { State::Done } else { State::Started };
        assert_eq!(ran.progress.state(0), Some(&expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fills_up_stops_the_run_and_no_call_goes_out_unwritten() {
    let changes = (0..40).map(|i| change(&format!("volumes.data/{i}"), "")).collect();
    let steps = (0..40).map(|i| call(&[], &[i], Call::CreateVolume(volume(i)))).collect();
    let plan = plan(changes, steps);
    for room in 0.. {
        let clock = Paused::new();
        let fake = Fake::new(&clock);
        let world = Arc::clone(&fake.world);
        let mut paper = Paper { room: Some(room), ..Paper::default() };
        let ran = run_on(fake, &plan, &mut paper, &[], Stop::never()).await;
        let announced = paper.happened().iter().filter(|h| matches!(h, Happened::Started { .. })).count();
        assert_eq!(world.lock().unwrap().log.len(), announced, "room for {room} appends");
        let Some(trouble) = ran.trouble else {
            assert!(room > 3, "it took so many appends");
            break;
        };
        assert_eq!(trouble.code, "StorageFull");
        assert!(ran.progress.in_flight().is_empty(), "what was in flight was waited for");
        assert_eq!(ran.progress.is_over(), announced == 40);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_plan_is_complete_at_once() {
    let clock = Paused::new();
    let mut paper = Paper::default();
    let ran = run_on(Fake::new(&clock), &plan(vec![], vec![]), &mut paper, &[], Stop::never()).await;
    assert_eq!((ran.outcome, paper.events.len()), (Outcome::Complete, 2));
}

#[test]
fn only_what_has_not_begun_is_checked_against_the_world() {
    let plan = fleet(3);
    let mut progress = Progress::new(Arc::clone(&plan));
    let different = |c: &evenkeel_core::plan::Change| match c.address.slot {
        0 => Ok(c.fingerprint.clone()),
        1 => Ok(evenkeel_core::digest::Digest::of(b"other")),
        _ => Err("it could not be seen".to_owned()),
    };
    let refused: Vec<_> = stale(&progress, different).into_iter().map(|r| (r.change, r.because)).collect();
    assert_eq!(
        refused,
        [(1, "its place is not as the plan saw it".to_owned()), (2, "it could not be seen".to_owned())]
    );
    progress.apply(&Happened::Started { step: 0 });
    assert_eq!(stale(&progress, different), [], "all three are in a launch that has begun");
}

/// A saved plan that deletes slots 0 and 1 of a group of which it saw six ready.
fn smaller() -> Plan {
    let mut plan = (*fleet(2)).clone();
    for c in &mut plan.changes {
        c.action = Action::Delete;
    }
    plan.forecast = vec![Forecast {
        group: plan.changes[0].address.group.clone(),
        before: 6,
        after: 4,
        wanted: 4,
        zones: BTreeMap::new(),
        floor: 4,
        ready: 6,
        needed: 3,
        left_after_machine: 3,
        left_after_zone: BTreeMap::new(),
        count_for_any_zone: None,
    }];
    plan
}

#[test]
fn a_plan_that_counted_on_others_being_ready_takes_nothing_away_when_they_are_not() {
    let plan = Arc::new(smaller());
    let mut progress = Progress::new(Arc::clone(&plan));
    assert_eq!(thinner(&progress, &plan.changes[0], 6), None);
    let says = thinner(&progress, &plan.changes[0], 4).expect("two more have fallen ill");
    assert!(says.contains("counted on 6"), "{says}");
    progress.apply(&Happened::Started { step: 0 });
    assert_eq!(thinner(&progress, &plan.changes[0], 4), None, "those two are the plan's own doing");
    let mut create = plan.changes[0].clone();
    create.action = Action::Create;
    assert_eq!(thinner(&progress, &create, 0), None);
}

#[test]
fn an_empty_slot_that_could_not_be_seen_is_not_filled() {
    let plan = fleet(1);
    let mut seen = Observed {
        at: jiff::Timestamp::UNIX_EPOCH,
        scopes: BTreeMap::new(),
        objects: vec![],
        clusters: BTreeMap::new(),
        lookups: vec![],
        gaps: vec![],
        labels: BTreeMap::new(),
    };
    assert_eq!(unseen(&plan, &plan.changes[0], &seen), None);
    let gap = |scope: &str, partial| Gap {
        scope: scope.to_owned(),
        kind: Some(Kind::Machines),
        what: "instances".into(),
        failure: Failure::new(Class::Denied, "UnauthorizedOperation", "no"),
        partial,
    };
    let scope = plan.steps[0].scope.clone();
    seen.gaps = vec![gap("elsewhere", false), gap(&scope, true)];
    assert_eq!(unseen(&plan, &plan.changes[0], &seen), None);
    seen.gaps.push(gap(&scope, false));
    assert!(unseen(&plan, &plan.changes[0], &seen).is_some_and(|says| says.contains("instances cannot be seen now")));
}
