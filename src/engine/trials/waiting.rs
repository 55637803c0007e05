//! What a run waits for: until when, who is looked at, who is lost, and what goes on without it.

use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::address::Kind;
use evenkeel_core::event::{Happened, Outcome};
use evenkeel_core::failure::Class;
use evenkeel_core::observed::{Attached, Phase};
use evenkeel_core::plan::{Call, Plan, Target, Until};
use evenkeel_core::progress::{Standing, State};

use super::fake::*;
use crate::run::Ran;
use crate::stop::Stop;

/// Runs the plan; so many seconds after its beginning the first machine dies, with these words.
async fn run_and_kill(fake: Fake, plan: &Arc<Plan>, after: u64, says: &str) -> Ran {
    let world = Arc::clone(&fake.world);
    let kill = async {
        tokio::time::sleep(Duration::from_secs(after)).await;
        {
            let mut world = world.lock().unwrap();
            let dead = world.objects.values_mut().find(|o| o.id.ends_with("-0")).unwrap();
            dead.phase = Phase::Gone;
            dead.says = says.into();
        }
        std::future::pending::<()>().await;
    };
    let mut paper = Paper::default();
    tokio::select! {
        ran = run_on(fake, plan, &mut paper, &[], Stop::never()) => ran,
        () = kill => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_gives_up_when_its_time_is_over_and_says_what_it_saw() {
    let clock = Paused::new();
    let fake = Fake::new(&clock).with(|w| w.boot = Duration::from_secs(100_000));
    let mut paper = Paper::default();
    let ran = run_on(fake, &fleet(2), &mut paper, &[], Stop::never()).await;
    let Some(State::Failed(f)) = ran.progress.state(1) else { panic!() };
    assert_eq!(f.says, "not healthy after 600s: web/0: starting, web/1: starting");
    assert!((600.0..601.0).contains(&clock.seconds()), "{}", clock.seconds());
    let told = paper.happened().iter().filter(|h| matches!(h, Happened::Waiting { .. })).count();
    assert!((9..=11).contains(&told), "once at first and once a minute, not at every look: {told}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_dies_is_not_waited_for() {
    let clock = Paused::new();
    let fake = Fake::new(&clock).with(|w| w.boot = Duration::from_secs(100_000));
    let plan = fleet(1);
    let ran = run_and_kill(fake, &plan, 60, "Server.InternalError").await;
    let Some(State::Failed(f)) = ran.progress.state(1) else { panic!() };
    assert_eq!(f.says, "web/0: gone (Server.InternalError)");
    assert!(clock.seconds() < 80.0);
}

#[tokio::test(start_paused = true)]
async fn of_a_launch_that_loses_one_the_other_goes_its_way_and_nothing_takes_its_turn() {
    let clock = Paused::new();
    let old = |id: &str| object(Kind::Machines, id, Phase::Up, clock_now(&clock));
    let olds = ["i-a", "i-b", "i-c"].map(old);
    let fake = Fake::new(&clock).with(|w| w.objects.extend(olds.map(|o| (o.id.clone(), o))));
    let world = Arc::clone(&fake.world);
    let changes = [("machines.web/0", "i-a"), ("machines.web/1", "i-b"), ("machines.web/2", "i-c")];
    let plan = plan(
        changes.iter().map(|(at, old)| change(at, old)).collect(),
        vec![
            call(&[], &[0, 1], Call::Launch(launch(0..2))),
            wait(&[0], &[0, 1], &["machines.web/0", "machines.web/1"], HEALTHY, 600),
            call(&[1], &[0, 1], Call::Terminate(vec!["i-a".into(), "i-b".into()])),
            wait(&[2], &[0, 1], &["i-a", "i-b"], Until::Terminated, 600),
            call(&[3], &[2], Call::Launch(launch([2]))),
        ],
    );
    let ran = run_and_kill(fake, &plan, 5, "").await;
    assert_eq!(world.lock().unwrap().log, ["launch 0-1 g1 a/big", "terminate i-b"]);
    let standing = [0, 1, 2].map(|c| ran.progress.standing(c));
    assert_eq!(standing, [Standing::Failed, Standing::Done, Standing::Skipped]);
    assert_eq!(ran.outcome, Outcome::Partial);
    // Taken up again, the old one of the lost one is not forgotten.
    let mut again = ran.progress;
    again.apply(&Happened::Began { plan: plan.id.clone(), attempt: 2 });
    let left: Vec<u32> = (0..5).filter(|s| again.state(*s) != Some(&State::Done)).collect();
    assert_eq!((again.ready(), left), (vec![1], vec![1, 2, 3, 4]));
}

#[tokio::test(start_paused = true)]
async fn many_waits_of_a_scope_share_one_look() {
    let clock = Paused::new();
    let fake = Fake::new(&clock);
    let world = Arc::clone(&fake.world);
    let n = 40;
    let names: Vec<String> = (0..n).map(|i| format!("machines.web/{i}")).collect();
    let mut steps = vec![call(&[], &(0..n).collect::<Vec<_>>(), Call::Launch(launch(0..n)))];
    steps.extend((0..n).map(|i| wait(&[0], &[i], &[&names[i as usize]], Until::Running, 600)));
    let ran = run_on(
        fake,
        &plan(names.iter().map(|a| change(a, "")).collect(), steps),
        &mut Paper::default(),
        &[],
        Stop::never(),
    )
    .await;
    assert_eq!(ran.outcome, Outcome::Complete);
    let looks = world.lock().unwrap().looks.clone();
    assert!(looks.iter().all(|l| *l == n as usize) && looks.len() <= 10, "{looks:?}");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_two_looks_miss_is_deleted_and_one_look_is_not_enough() {
    let clock = Paused::new();
    let old = object(Kind::Volumes, "vol-1", Phase::Up, clock_now(&clock));
    let fake = Fake::new(&clock).with(|w| drop(w.objects.insert("vol-1".into(), old)));
    let world = Arc::clone(&fake.world);
    let plan = plan(
        vec![change("volumes.data/0", "vol-1")],
        vec![call(&[], &[0], Call::DeleteVolume("vol-1".into())), wait(&[0], &[0], &["vol-1"], Until::Deleted, 600)],
    );
    let ran = run_on(fake, &plan, &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Complete);
    assert_eq!(world.lock().unwrap().looks.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_looked_again_and_one_that_may_not_look_fails() {
    let clock = Paused::new();
    let mut paper = Paper::default();
    let fake = Fake::new(&clock)
        .with(|w| drop(w.script.insert("look", [failure(Class::Transient), failure(Class::Throttled)].into())));
    assert_eq!(run_on(fake, &fleet(1), &mut paper, &[], Stop::never()).await.outcome, Outcome::Complete);
    let fake = Fake::new(&clock).with(|w| drop(w.script.insert("look", [failure(Class::Denied)].into())));
    let ran = run_on(fake, &fleet(1), &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.progress.state(1), Some(&State::Failed(failure(Class::Denied))));
}

#[tokio::test(start_paused = true)]
async fn one_thing_that_no_look_can_see_fails_its_own_wait_and_no_other() {
    let clock = Paused::new();
    let old = |id: &str| object(Kind::Volumes, id, Phase::Up, clock_now(&clock));
    let fake = Fake::new(&clock).with(|w| {
        w.objects.extend(["vol-1", "vol-2"].map(|id| (id.to_owned(), old(id))));
        w.dark.insert("vol-1".into(), failure(Class::Denied));
    });
    let plan = plan(
        vec![change("volumes.data/0", "vol-1"), change("volumes.data/1", "vol-2")],
        vec![wait(&[], &[0], &["vol-1"], Until::Free, 60), wait(&[], &[1], &["vol-2"], Until::Free, 60)],
    );
    let ran = run_on(fake, &plan, &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.progress.state(0), Some(&State::Failed(failure(Class::Denied))));
    assert_eq!(ran.progress.state(1), Some(&State::Done));
    // What may pass is looked at again until the time is over, and is then the reason.
    let fake = Fake::new(&clock).with(|w| {
        w.objects.insert("vol-2".into(), old("vol-2"));
        w.dark.insert("vol-1".into(), failure(Class::Transient));
    });
    let ran = run_on(fake, &plan, &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.progress.state(0), Some(&State::Failed(failure(Class::Transient))));
    assert_eq!(ran.progress.state(1), Some(&State::Done));
}

/// A volume that hangs at `at`, is waited for until it is free, and then attached to a machine that is there.
async fn brought(at: &str) -> (Outcome, f64) {
    let clock = Paused::new();
    let now = clock_now(&clock);
    let mut data = object(Kind::Volumes, "vol-1", Phase::Up, now);
    data.attached = Some(Attached { to: at.to_owned(), device: "/dev/sdf".into(), settled: true });
    let fake = Fake::new(&clock).with(|w| drop(w.objects.insert("vol-1".into(), data)));
    let (volume, machine) = (Target::Id("vol-1".into()), Target::New(address("machines.web/0")));
    let plan = plan(
        vec![change("machines.web/0", ""), change("volumes.data/0", "vol-1")],
        vec![
            call(&[], &[0], Call::Launch(launch([0]))),
            wait(&[0], &[0], &["machines.web/0"], Until::Running, 600),
            wait(&[], &[1], &["vol-1"], Until::Free, 300),
            call(&[1, 2], &[1], Call::Attach { volume, machine, device: "/dev/sdf".into() }),
        ],
    );
    let ran = run_on(fake, &plan, &mut Paper::default(), &[], Stop::never()).await;
    (ran.outcome, clock.seconds())
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_another_run_has_brought_to_its_machine_is_not_waited_for() {
    let token = launch([0]).token(&launch([0]).places[0], "big");
    let machine = format!("i-{}-0", &token[token.len() - 8..]);
    let (outcome, took) = brought(&machine).await;
    assert!(outcome == Outcome::Complete && took < 60.0, "{outcome:?} after {took} s");
    assert_eq!(brought("i-other").await.0, Outcome::Partial, "there it is in use");
}

/// A volume is waited for until it is free, and then deleted, or brought to a machine where it is not `doomed`.
async fn freed(phase: Option<Phase>, doomed: bool) -> Outcome {
    let clock = Paused::new();
    let now = clock_now(&clock);
    let fake = Fake::new(&clock).with(|w| {
        w.objects.insert("i-1".into(), object(Kind::Machines, "i-1", Phase::Up, now));
        w.objects.extend(phase.map(|phase| ("vol-1".into(), object(Kind::Volumes, "vol-1", phase, now))));
    });
    let (volume, machine) = (Target::Id("vol-1".into()), Target::Id("i-1".into()));
    let then = match doomed {
        true => Call::DeleteVolume("vol-1".into()),
        false => Call::Attach { volume, machine, device: "/dev/sdf".into() },
    };
    let steps = vec![wait(&[], &[0], &["vol-1"], Until::Free, 300), call(&[0], &[0], then)];
    let plan = plan(vec![change("volumes.data/0", "vol-1")], steps);
    run_on(fake, &plan, &mut Paper::default(), &[], Stop::never()).await.outcome
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_somebody_else_deletes_or_has_deleted_is_as_good_as_free_for_its_deletion() {
    for phase in [None, Some(Phase::Leaving), Some(Phase::Gone), Some(Phase::Failed)] {
        assert_eq!(freed(phase, true).await, Outcome::Complete, "{phase:?}");
        assert_eq!(freed(phase, false).await, Outcome::Partial, "{phase:?}: it cannot be brought to a machine");
    }
}
