//! P11: killed at any touch of the outside, run again from the journal, the same end.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::address::Kind;
use evenkeel_core::event::Outcome;
use evenkeel_core::observed::{Attached, Object, Phase};
use evenkeel_core::plan::{Call, Plan, Target, Until};
use evenkeel_core::progress::Progress;
use futures::FutureExt;

use super::fake::*;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::limits::Limits;
use crate::provider::{Payloads, Provider};
use crate::run::{Job, run};
use crate::stop::Stop;

/// Replaces `web/0` launch-first with its volume, deletes a volume, makes two more, tags.
fn story() -> Arc<Plan> {
    let healthy = Until::Healthy { warm: 5 };
    let new = || Target::New(address("machines.web/0"));
    let held = || Target::Id("vol-held".into());
    plan(
        vec![
            change("machines.web/0", "i-old"),
            change("volumes.data/0", "vol-held"),
            change("volumes.data/9", "vol-surplus"),
            change("volumes.data/4", ""),
            change("volumes.data/5", ""),
            change("machines.web/1", ""),
        ],
        vec![
            call(&[], &[0, 5], Call::Launch(launch([0, 1]))),
            wait(&[0], &[0, 5], &["machines.web/0", "machines.web/1"], healthy, 600),
            call(
                &[1],
                &[0, 1],
                Call::Detach { volume: "vol-held".into(), machine: "i-old".into(), device: "/dev/sdf".into() },
            ),
            wait(&[2], &[1], &["vol-held"], Until::Free, 300),
            call(&[3], &[1], Call::Attach { volume: held(), machine: new(), device: "/dev/sdf".into() }),
            wait(&[4], &[1], &["vol-held"], Until::Attached, 300),
            call(&[5], &[0], Call::Terminate(vec!["i-old".into()])),
            wait(&[6], &[0], &["i-old"], Until::Terminated, 600),
            call(&[], &[2], Call::DeleteVolume("vol-surplus".into())),
            wait(&[8], &[2], &["vol-surplus"], Until::Deleted, 300),
            call(&[], &[3], Call::CreateVolume(volume(4))),
            call(&[], &[4], Call::CreateVolume(volume(5))),
            call(
                &[],
                &[1],
                Call::Tag { ids: vec!["vol-held".into()], set: [("k".into(), "v".into())].into(), unset: vec![] },
            ),
        ],
    )
}

fn world(clock: &Paused, room: Option<&'static str>) -> Fake {
    let old = |kind, id: &str| (id.to_owned(), object(kind, id, Phase::Up, clock.now()));
    Fake::new(clock).with(|w| {
        w.objects =
            [old(Kind::Machines, "i-old"), old(Kind::Volumes, "vol-held"), old(Kind::Volumes, "vol-surplus")].into();
        w.objects.get_mut("vol-held").unwrap().attached =
            Some(Attached { to: "i-old".into(), device: "/dev/sdf".into(), settled: true });
        w.room = room;
    })
}

/// What there is, without times.
fn end(fake: &std::sync::Mutex<World>) -> Vec<Object> {
    let mut all: Vec<Object> = fake.lock().unwrap().objects.values().cloned().collect();
    all.iter_mut().for_each(|o| o.created = jiff::Timestamp::UNIX_EPOCH);
    all
}

/// P6: no destructive call has landed that the journal did not announce.
fn condemned_first(outside: &std::sync::Mutex<World>, paper: &Paper, k: u32) {
    let progress = Progress::replay(story(), &paper.events);
    for line in &outside.lock().unwrap().log {
        if let Some((_, id)) = line.split_once(' ').filter(|(verb, _)| ["terminate", "delete"].contains(verb)) {
            assert!(progress.condemned().contains(id), "killed at {k}: {line}");
        }
    }
}

async fn killed_everywhere(room: Option<&'static str>) -> u32 {
    let clock = Paused::new();
    let plan = story();
    let fake = world(&clock, room);
    let never_killed = Arc::clone(&fake.world);
    let ran = run_on(fake, &plan, &mut Paper::default(), &[], Stop::never()).await;
    assert_eq!(ran.outcome, Outcome::Complete);
    let expected = end(&never_killed);
    assert_eq!(expected.len(), 6, "two machines, the old one's remains, three volumes");
    for k in 0.. {
        let mut fake = world(&clock, room);
        let outside = Arc::clone(&fake.world);
        fake.fuse = Fuse::of(k);
        let mut paper = Paper { fuse: fake.fuse.clone(), ..Paper::default() };
        let first = AssertUnwindSafe(run_on(fake, &plan, &mut paper, &[], Stop::never())).catch_unwind().await;
        if let Ok(ran) = first {
            assert_eq!(ran.outcome, Outcome::Complete);
            return k;
        }
        condemned_first(&outside, &paper, k);
        // Time passes before somebody runs it again, and every second run is killed, too.
        tokio::time::sleep(Duration::from_secs(7)).await;
        for fuse in [Fuse::of(k % 7), Fuse::default()] {
            let mut fake = Fake::new(&clock);
            fake.world = Arc::clone(&outside);
            fake.fuse = fuse.clone();
            paper.fuse = fuse;
            let again = run_on(fake, &plan, &mut paper, &[], Stop::never());
            if let Ok(ran) = AssertUnwindSafe(again).catch_unwind().await {
                assert_eq!(ran.outcome, Outcome::Complete, "killed at {k}");
            }
        }
        condemned_first(&outside, &paper, k);
        assert_eq!(end(&outside), expected, "killed at {k}");
    }
    unreachable!("the loop ends when a run is not killed")
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_touch_of_the_outside_the_end_is_the_same() {
    let touches = killed_everywhere(None).await;
    assert!(touches > 60, "every append, call and look was one: {touches}");
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_fell_back_to_another_place_is_not_made_twice() {
    killed_everywhere(Some("b/small")).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_is_taken_up_from_the_file_it_left() {
    let clock = Paused::new();
    let plan = story();
    let dir = tempfile::tempdir().unwrap();
    let outside = world(&clock, None).world;
    for seconds in [1, 20, 33, 1000] {
        let (mut journal, past) = Journal::open(dir.path(), &plan.id).unwrap();
        let mut fake = Fake::new(&clock);
        fake.world = Arc::clone(&outside);
        let providers = BTreeMap::from([(String::new(), Arc::new(fake) as Arc<dyn Provider>)]);
        let (payloads, limits) = (Payloads::new(), Limits::default());
        let job = Job {
            providers: &providers,
            payloads: &payloads,
            clock: &clock,
            refused: &[],
            limits: &limits,
            stop: Stop::never(),
        };
        let progress = Progress::replay(Arc::clone(&plan), &past);
        // Dropped in the middle of what it does, as a killed process is.
        let ran =
            tokio::time::timeout(Duration::from_secs(seconds), run(job, progress, &mut journal, &mut |_| {})).await;
        assert_eq!(ran.is_ok(), seconds == 1000);
    }
    let (_, past) = Journal::open(dir.path(), &plan.id).unwrap();
    let progress = Progress::replay(plan, &past);
    assert_eq!((progress.attempts(), progress.outcome()), (4, Outcome::Complete));
    assert_eq!(outside.lock().unwrap().objects.len(), 6);
}
