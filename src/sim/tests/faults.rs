//! What goes wrong, and how it looks from outside.

use evenkeel_ec2::api::InstanceState;

use super::*;
use crate::action::Action;
use crate::faults::{Effect, Fault, Moment};

impl Sim {
    fn add(&self, fault: Fault) {
        self.edit(|w| w.faults.push(fault)).expect("a world in memory");
    }
}

#[test]
fn a_failed_call_did_nothing_and_a_lost_answer_did_everything() {
    story(|sim| async move {
        sim.add(Fault::once(Effect::Fail(Class::Transient)).on(Action::RunInstances));
        assert_eq!(Sim::why(sim.run_instances(&launch("t", 2)).await).0, Class::Transient);
        assert_eq!(sim.world().unwrap().instances.len(), 0);
        sim.add(Fault::once(Effect::LoseAnswer).on(Action::RunInstances));
        assert_eq!(Sim::why(sim.run_instances(&launch("t", 2)).await).0, Class::Transient);
        assert_eq!(sim.world().unwrap().instances.len(), 2);
        assert_eq!(sim.run_instances(&launch("t", 2)).await.unwrap().len(), 2, "spent, and found by its token");
        assert_eq!(sim.world().unwrap().faults, []);
    });
}

#[test]
fn a_fault_lets_through_and_strikes_as_often_as_it_says() {
    story(|sim| async move {
        sim.add(Fault::once(Effect::Fail(Class::Transient)).after(2).times(2));
        let mut fates = Vec::new();
        for _ in 0..6 {
            fates.push(sim.caller().await.is_ok());
        }
        assert_eq!(fates, [true, true, false, false, true, true]);
        sim.add(Fault { odds: Some(0.5), ..Fault::every(Effect::Fail(Class::Transient)) });
        let mut struck = 0;
        for _ in 0..100 {
            struck += usize::from(sim.caller().await.is_err());
        }
        assert!((30..70).contains(&struck), "{struck}");
    });
}

#[test]
fn a_fault_of_changes_spares_what_only_reads() {
    story(|sim| async move {
        sim.add(Fault::once(Effect::Fail(Class::Transient)).changing());
        sim.caller().await.unwrap();
        sim.instances(&all()).await.unwrap();
        sim.run_instances(&launch("t", 1)).await.unwrap_err();
        sim.run_instances(&launch("t", 1)).await.unwrap();
    });
}

#[test]
fn a_spent_fault_is_spent_in_the_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.toml");
    runtime().unwrap().block_on(async {
        let sim = Sim::open(&path, 1).unwrap();
        sim.add(Fault::once(Effect::Fail(Class::Transient)));
        sim.caller().await.unwrap_err();
        let kept = World::from_toml(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(kept.faults, []);
    });
}

#[test]
fn a_caller_killed_before_the_effect_left_nothing_and_one_killed_after_it_left_everything() {
    for (moment, count) in [(Moment::Before, 0), (Moment::After, 2)] {
        story(|sim| async move {
            sim.add(Fault::once(Effect::Kill(moment)).changing());
            let request = launch("t", 2);
            tokio::select! {
                _ = sim.run_instances(&request) => panic!("a dead caller got an answer"),
                () = sim.crashed() => {}
            }
            let next = sim.revive();
            assert_eq!(next.world().unwrap().instances.len(), count);
            assert_eq!(next.run_instances(&request).await.unwrap().len(), 2);
            let old = sim.caller();
            assert!(tokio::time::timeout(Duration::from_secs(99), old).await.is_err(), "the dead stay dead");
        });
    }
}

#[test]
fn a_caller_may_be_killed_at_any_moment() {
    story(|sim| async move {
        let request = launch("t", 1);
        for moment in [0, 30, 60, 200] {
            let life = sim.revive();
            let killer = async {
                life.clock().sleep(Duration::from_millis(moment)).await;
                life.kill();
                life.crashed().await;
            };
            tokio::select! { _ = life.run_instances(&request) => {} () = killer => {} }
        }
        assert_eq!(sim.revive().world().unwrap().instances.len(), 1);
    });
}

#[test]
fn a_storm_throttles_everything_until_it_ends() {
    story(|sim| async move {
        let end = sim.world().unwrap().now + jiff::SignedDuration::from_secs(30);
        sim.add(Fault::storm(end));
        assert_eq!(Sim::why(sim.caller().await), (Class::Throttled, "RequestLimitExceeded".into()));
        assert_eq!(Sim::why(sim.instances(&all()).await).0, Class::Throttled);
        sim.wait(30).await;
        sim.caller().await.unwrap();
    });
}

#[test]
fn a_denied_action_is_denied_for_good_and_alone() {
    story(|sim| async move {
        sim.add(Fault::deny(Action::DescribeVolumes));
        for _ in 0..3 {
            assert_eq!(Sim::why(sim.volumes(&all()).await), (Class::Denied, "UnauthorizedOperation".into()));
        }
        sim.instances(&all()).await.unwrap();
    });
}

#[test]
fn pages_may_come_empty_or_be_missing() {
    story(|sim| async move {
        sim.boot_up("t", 7).await;
        let first = Query { max_results: Some(5), ..Query::default() };
        sim.add(Fault::once(Effect::EmptyPage).on(Action::DescribeInstances));
        let empty = sim.instances(&first).await.unwrap();
        assert!(empty.items.is_empty() && empty.next_token.is_some(), "the list goes on");
        let next = Query { next_token: empty.next_token, ..first.clone() };
        assert_eq!(sim.instances(&next).await.unwrap().items.len(), 5);
        sim.add(Fault::once(Effect::CutPages).on(Action::DescribeInstances));
        let cut = sim.instances(&first).await.unwrap();
        assert_eq!((cut.items.len(), cut.next_token), (5, None), "it says that is all");
    });
}

#[test]
fn stale_lists_show_the_past_and_reads_by_id_the_present() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        sim.add(Fault::once(Effect::FreezeLists("30s".parse().unwrap())).on(Action::TerminateInstances));
        sim.terminate(std::slice::from_ref(&id)).await.unwrap();
        assert_eq!(sim.instances(&all()).await.unwrap().items[0].state, InstanceState::Running);
        assert_eq!(sim.look_at(&id).await.state, InstanceState::ShuttingDown);
        sim.wait(30).await;
        assert_ne!(sim.instances(&all()).await.unwrap().items[0].state, InstanceState::Running);
    });
}

#[test]
fn new_objects_may_stay_hidden_for_longer() {
    story(|sim| async move {
        sim.add(Fault::once(Effect::HideNew("60s".parse().unwrap())).on(Action::RunInstances));
        sim.run_instances(&launch("t", 2)).await.unwrap();
        sim.wait(50).await;
        assert!(sim.instances(&all()).await.unwrap().items.is_empty());
        sim.wait(12).await;
        assert_eq!(sim.instances(&all()).await.unwrap().items.len(), 2);
    });
}

#[test]
fn a_call_that_arrives_twice_does_what_ec2_does() {
    story(|sim| async move {
        sim.add(Fault::every(Effect::Twice).changing());
        let id = sim.run_instances(&launch("t", 1)).await.unwrap()[0].id.clone();
        assert_eq!(sim.world().unwrap().instances.len(), 1);
        sim.wait(150).await;
        let v = sim.free_volume("v").await.id;
        assert_eq!(sim.world().unwrap().volumes.len(), 2, "its root, and v");
        sim.attach(&v, &id, "/dev/sdf").await.expect("the caller sees the first answer");
        sim.wait(5).await;
        sim.detach(&v, &id, "/dev/sdf").await.unwrap();
        sim.terminate(&[id]).await.unwrap();
    });
}

#[test]
fn a_call_that_was_stuck_arrives_after_its_caller_is_dead_and_its_token_holds() {
    story(|sim| async move {
        sim.add(Fault::once(Effect::Late("60s".parse().unwrap())).changing());
        sim.add(Fault::once(Effect::Kill(Moment::Before)).changing());
        let request = launch("t", 2);
        tokio::select! {
            _ = sim.run_instances(&request) => panic!("a dead caller got an answer"),
            () = sim.crashed() => {}
        }
        let next = sim.revive();
        assert!(next.instances(&all()).await.unwrap().items.is_empty());
        let mine = next.run_instances(&request).await.unwrap();
        next.wait(120).await;
        let there = next.world().unwrap();
        assert_eq!(there.instances.keys().collect::<Vec<_>>(), [&mine[0].id, &mine[1].id]);
        assert_eq!(there.script, []);
    });
}

#[test]
fn a_stuck_call_survives_in_the_file() {
    let mut world = World::founding(1);
    world.faults.push(Fault::once(Effect::Late("60s".parse().unwrap())).changing());
    story_in(world, |sim| async move {
        let mut request = launch("t", 1);
        request.user_data = Some(b"#!/bin/sh".to_vec());
        assert_eq!(Sim::why(sim.run_instances(&request).await).0, Class::Transient);
        let kept = World::from_toml(&sim.world().unwrap().to_toml()).unwrap();
        assert_eq!(kept, sim.world().unwrap());
        let sim = Sim::new(kept);
        sim.wait(60).await;
        assert_eq!(sim.world().unwrap().instances.len(), 1);
    });
}

#[test]
fn a_late_copy_of_a_detach_cannot_touch_the_next_holder() {
    story(|sim| async move {
        let made = sim.boot_up("t", 2).await;
        let v = sim.free_volume("v").await.id;
        sim.attach(&v, &made[0].id, "/dev/sdf").await.unwrap();
        sim.wait(5).await;
        sim.add(Fault::once(Effect::Echo("60s".parse().unwrap())).on(Action::DetachVolume));
        sim.detach(&v, &made[0].id, "/dev/sdf").await.unwrap();
        sim.wait(10).await;
        sim.attach(&v, &made[1].id, "/dev/sdf").await.unwrap();
        sim.wait(120).await;
        assert_eq!(sim.look_at(&made[1].id).await.devices["/dev/sdf"].volume, v);
    });
}

#[test]
fn a_slow_call_takes_its_time() {
    story(|sim| async move {
        sim.add(Fault::once(Effect::Slow("5m".parse().unwrap())));
        let before = sim.clock().now();
        sim.caller().await.unwrap();
        assert!(sim.clock().now().duration_since(before).as_secs() >= 300);
    });
}

#[test]
fn faults_of_a_seed_are_the_same_each_time_and_end() {
    for seed in 0..200 {
        let faults = Fault::from_seed(seed);
        assert_eq!(faults, Fault::from_seed(seed));
        assert!((1..=4).contains(&faults.len()) && faults.iter().all(|f| f.times.is_some()));
    }
    assert_ne!(Fault::from_seed(1), Fault::from_seed(2));
}

#[test]
fn one_seed_tells_one_story() {
    let tell = |seed| {
        let mut end = None;
        runtime().unwrap().block_on(async {
            let mut world = World::founding(seed);
            world.faults = Fault::from_seed(seed);
            let sim = Sim::new(world);
            for n in 0..8 {
                let (launch, volume) = (launch(&format!("t{n}"), 1 + n % 3), volume(&format!("v{n}"), 5));
                let (a, b) = tokio::join!(sim.run_instances(&launch), sim.create_volume(&volume));
                sim.wait(20).await;
                if let (Ok(a), Ok(b)) = (a, b) {
                    let _ = sim.attach(&b.id, &a[0].id, "/dev/sdf").await;
                }
            }
            end = Some((sim.world().unwrap(), sim.log()));
        });
        end.unwrap()
    };
    assert_eq!(tell(5), tell(5));
    assert_ne!(tell(5).0, tell(6).0);
}

#[test]
fn buckets_throttle_a_burst_and_waiting_helps() {
    story(|sim| async move {
        let mut fates = Vec::new();
        let requests: Vec<_> = (0..8).map(|n| launch(&format!("t{n}"), 1)).collect();
        for answer in futures_in_order(requests.iter().map(|r| sim.run_instances(r))).await {
            fates.push(answer.map_err(|f| f.class).is_ok());
        }
        assert_eq!(fates.iter().filter(|ok| **ok).count(), 5, "{fates:?}");
        sim.wait(1).await;
        sim.run_instances(&launch("late", 1)).await.unwrap();
    });
}

/// All at once; the answers in the order of the requests.
async fn futures_in_order<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = futures.map(Box::pin).map(Some).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if let Some(f) = future
                && let std::task::Poll::Ready(answer) = f.as_mut().poll(cx)
            {
                (*done, *future) = (Some(answer), None);
            }
        }
        if all.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
