//! Wire calls: counted, budgeted, tried again by class.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::failure::{Class, Failure};
use tokio::sync::mpsc;

use super::fake::Paused;
use crate::budget::{Bucket, Family};
use crate::caller::{Ask, Caller, hearing};
use crate::stop::{Cause, Stop, stop};

fn caller(clock: &Paused, seed: u64) -> Caller {
    Caller::new(Arc::new(clock.clone()), seed)
}

/// How often a call that always fails with `class` is made, and how long that takes.
async fn tries(class: Class, young: bool) -> (u32, f64) {
    let clock = Paused::new();
    let caller = caller(&clock, 1);
    let ask = Ask::new("Act", Family::Mutate);
    let ask = if young { ask.young() } else { ask };
    let failed = caller.call(ask, || async { Err::<(), _>(Failure::new(class, "", "")) }).await;
    assert_eq!(failed.unwrap_err().class, class);
    (caller.counts()["Act"], clock.seconds())
}

#[tokio::test(start_paused = true)]
async fn the_class_alone_decides_how_often_a_call_is_tried() {
    assert_eq!(tries(Class::Transient, false).await.0, 5);
    assert_eq!(tries(Class::Busy, false).await.0, 6);
    for class in [
        Class::Capacity,
        Class::Quota,
        Class::Denied,
        Class::Credentials,
        Class::NotFound,
        Class::Protected,
        Class::TokenMismatch,
        Class::TokenSpent,
        Class::Invalid,
    ] {
        assert_eq!(tries(class, false).await, (1, 0.0), "{class:?}");
    }
    let (n, seconds) = tries(Class::NotFound, true).await;
    assert!(
        n > 10 && (299.9..301.0).contains(&seconds),
        "{n} tries until the grace is over, the last at its end: {seconds}"
    );
    let (n, seconds) = tries(Class::Throttled, false).await;
    assert!(n > 15 && (899.9..960.0).contains(&seconds), "{n} tries, {seconds} s: only time ends it");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_has_not_used_up_its_other_tries() {
    let clock = Paused::new();
    let caller = caller(&clock, 1);
    let script = RefCell::new(VecDeque::from([
        Class::Transient,
        Class::Throttled,
        Class::Transient,
        Class::Throttled,
        Class::Transient,
        Class::Busy,
        Class::Transient,
    ]));
    let answer = caller
        .call(Ask::new("Act", Family::Mutate), || {
            let next = script.borrow_mut().pop_front();
            async move { next.map_or(Ok(7), |c| Err(Failure::new(c, "", ""))) }
        })
        .await;
    assert_eq!(answer, Ok(7));
    assert_eq!(caller.counts()["Act"], 8);
}

#[tokio::test(start_paused = true)]
async fn throttling_slows_the_family_and_success_speeds_it_up_again() {
    let clock = Paused::new();
    let caller = caller(&clock, 1);
    let first = Cell::new(3);
    let act = || {
        let left = first.get();
        first.set(left - 1);
        async move { if left > 0 { Err(Failure::new(Class::Throttled, "", "")) } else { Ok(()) } }
    };
    caller.call(Ask::new("Act", Family::Mutate), act).await.unwrap();
    let slowed = caller.rate(Family::Mutate).unwrap();
    assert!((5.0 / 8.0..1.0).contains(&slowed), "halved three times: {slowed}");
    assert!((caller.rate(Family::Read).unwrap() - 20.0).abs() < 1e-9, "reading is no slower");
    for _ in 0..40 {
        caller.call(Ask::new("Act", Family::Mutate), || async { Ok(()) }).await.unwrap();
    }
    assert!((caller.rate(Family::Mutate).unwrap() - 5.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn calls_keep_to_the_published_rate_of_their_family() {
    let clock = Paused::new();
    let caller = caller(&clock, 1);
    let all = (0..105).map(|_| caller.call(Ask::new("DescribeX", Family::Read), || async { Ok(()) }));
    futures::future::join_all(all).await;
    assert!((0.2..0.3).contains(&clock.seconds()), "100 at once, five more at 20 a second: {}", clock.seconds());
    let run = |n| caller.call(Ask::new("RunInstances", Family::Run).resources(n), || async { Ok(()) });
    let before = clock.seconds();
    run(1000).await.unwrap();
    run(10).await.unwrap();
    let took = clock.seconds() - before;
    assert!((4.8..5.1).contains(&took), "ten instances more than the bucket has, at two a second: {took}");
    assert_eq!(caller.counts(), [("DescribeX".to_owned(), 105), ("RunInstances".to_owned(), 2)].into());
    let counted = caller.counts();
    run(1).await.unwrap();
    assert_eq!(caller.since(&counted), [("RunInstances".to_owned(), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_run_and_another_seed_another() {
    async fn took(seed: u64) -> Duration {
        let clock = Paused::new();
        let caller = Caller::with_buckets(
            Arc::new(clock.clone()),
            seed,
            [(Family::Other, (Bucket::new(1.0, 1.0), None))].into(),
        );
        let fails = || async { Err::<(), _>(Failure::new(Class::Transient, "", "")) };
        let _ = caller.call(Ask::new("Act", Family::Mutate), fails).await;
        Duration::from_secs_f64(clock.seconds())
    }
    let (a, b, c) = (took(1).await, took(1).await, took(2).await);
    assert_eq!(a, b);
    assert_ne!(a, c);
    // 0.3 + 0.6 + 1.2 + 2.4 s at most, half of it at least.
    assert!(a > Duration::from_millis(2200) && a < Duration::from_millis(4500), "{a:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_runs_a_step_hears_of_the_retries_inside_it() {
    let clock = Paused::new();
    let caller = caller(&clock, 1);
    let (ear, mut heard) = mpsc::unbounded_channel();
    let fails = || async { Err::<(), _>(Failure::new(Class::Transient, "Reset", "")) };
    let _ = hearing(4, ear, Stop::never(), caller.call(Ask::new("Act", Family::Mutate), fails)).await;
    let mut all = Vec::new();
    while let Some(retry) = heard.recv().await {
        all.push(retry);
    }
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|r| r.step == 4 && r.failure.code == "Reset" && !r.after.is_zero()));
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_no_wire_call_begins_and_one_under_way_may_end() {
    let clock = Paused::new();
    let caller =
        Caller::with_buckets(Arc::new(clock.clone()), 1, [(Family::Mutate, (Bucket::new(1.0, 0.1), None))].into());
    let begun = Cell::new(0);
    let wire = || {
        begun.set(begun.get() + 1);
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err::<(), _>(Failure::new(Class::Busy, "", ""))
        }
    };
    let (stopper, flag) = stop();
    let (ear, _heard) = mpsc::unbounded_channel();
    let act = || hearing(0, ear.clone(), flag.clone(), caller.call(Ask::new("Act", Family::Mutate), wire));
    let told = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stopper.stop(Cause::Interrupt);
    };
    // The second one waits for its token when the stop comes, the first one is on the wire and would be tried again.
    let (first, second, ()) = tokio::join!(act(), act(), told);
    assert_eq!((first, second, begun.get()), (None, None, 1));
    assert!(clock.seconds() < 1.1, "nobody waited for a turn that would not be used: {}", clock.seconds());
    let (ear, _heard) = mpsc::unbounded_channel();
    let well = hearing(0, ear, flag.clone(), async { tokio::time::sleep(Duration::from_secs(1)).await });
    assert_eq!(well.await, Some(()), "what is on the wire may end");
    // Outside a run nothing stops a call.
    let _ = caller.call(Ask::new("Act", Family::Mutate), wire).await;
    assert_eq!(begun.get(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_large_launch_that_is_repeated_is_paid_for_once() {
    let clock = Paused::new();
    let caller = caller(&clock, 1);
    let script = RefCell::new(VecDeque::from([Class::Throttled, Class::Transient, Class::Throttled]));
    let launch = || {
        let next = script.borrow_mut().pop_front();
        async move { next.map_or(Ok(()), |c| Err(Failure::new(c, "", ""))) }
    };
    caller.call(Ask::new("RunInstances", Family::Run).resources(1000), launch).await.unwrap();
    assert!(clock.seconds() < 10.0, "{}", clock.seconds());
}
