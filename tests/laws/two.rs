//! Two runs at once, without a lock: whatever the order of their calls, the end is as declared, nothing is there twice
//! after at most one more run, and no law is broken.

use std::time::Duration;

use evenkeel_core::desired::WaitFor;
use evenkeel_engine::clock::Clock;
use evenkeel_sim::dice::Span;
use evenkeel_sim::laws::Floor;
use evenkeel_sim::{Sim, World};

use super::crash::{Journey, journeys};
use super::end::ending;
use super::harness::{Disk, End, Life, desired, story};

/// How many orders of calls are drawn for every journey.
const SEEDS: u64 = 40;

/// Two processes apply the same file; the second begins when the first has made so many calls. Gives the world after
/// both and one more run, and how many calls the first made.
async fn both(journey: &Journey, start: World, after: usize) -> (World, usize) {
    let sim = Sim::new(start);
    let wish = desired(&journey.after);
    let intent = (journey.intent)();
    if !intent.destroy {
        let floors = wish.machines.iter().filter(|(_, g)| g.wait == WaitFor::Healthy);
        let floor = |(name, g): (&String, &evenkeel_core::desired::MachineGroup)| Floor {
            stack: wish.stack.id.clone(),
            group: format!("machines.{name}"),
            ready: g.count - wish.policy.unavailable(g.count),
            pace: None,
        };
        sim.edit(|w| w.floors = floors.map(floor).collect()).expect("in memory");
    }
    let (one, two) = (Life::new(&sim, 1), Life::new(&sim, 2));
    let (mut first, mut second) = (Disk::default(), Disk::default());
    let clock = sim.clock();
    let (calls, _) = tokio::join!(
        async {
            one.apply(&wish, &mut first, &intent).await;
            sim.log().len()
        },
        async {
            // Calls come thick at first, and once in a few seconds while something is waited for. The first may make
            // fewer than so many; an hour is longer than any of these runs.
            for look in 0..7_200_u32 {
                if sim.log().len() >= after {
                    break;
                }
                clock.sleep(Duration::from_millis(if look < 400 { 10 } else { 500 })).await;
            }
            two.apply(&wish, &mut second, &intent).await
        }
    );
    let slots = ending(&sim.world().expect("in memory"), &wish.stack.id).places;
    let volumes = |a: &String| a.starts_with("volumes.");
    for (address, all) in slots.iter().filter(|(a, _)| !volumes(a)) {
        assert!(all.len() < 2, "{} after {after}: {} at {address}", journey.name, all.len());
    }
    let end = one.settle(&wish, &mut first, &intent).await;
    assert!(matches!(end, End::Converged), "{} after {after}: {end:?}", journey.name);
    (sim.world().expect("in memory"), calls)
}

#[test]
fn two_runs_in_any_order_end_as_one_does() {
    let mut orders = 0;
    for journey in journeys().into_iter().filter(|j| !j.is_of_nodes()) {
        story(async {
            let start = journey.begin(2).await;
            // Objects have names, not slots: there is less to get wrong, and a cluster's world costs more.
            let seeds = if journey.is_of_objects() { SEEDS / 8 } else { SEEDS };
            for seed in 0..seeds {
                let mut world = start.clone();
                (world.seed, world.timing.latency) = (seed, Span::millis(5, 900));
                let (end, _) = both(&journey, world, seed as usize % 3).await;
                journey.check(&end, None, &format!("two at once, seed {seed}"));
            }
        });
        orders += if journey.is_of_objects() { SEEDS / 8 } else { SEEDS };
    }
    println!("{orders} orders of two runs");
}

#[test]
fn a_run_that_begins_at_any_call_of_another_ends_as_one_does() {
    let mut table = Vec::new();
    for journey in journeys().into_iter().filter(|j| !j.is_of_nodes()) {
        let points = story(async {
            let start = journey.begin(2).await;
            let (_, calls) = both(&journey, start.clone(), 0).await;
            for k in 1..calls {
                let (end, _) = both(&journey, start.clone(), k).await;
                journey.check(&end, None, &format!("another begins at call {k}"));
            }
            calls
        });
        table.push((journey.name, points));
    }
    println!("another run at every call: {table:?}");
}

/// Nodes take minutes to join, so there are many calls between which nothing happens: every seventh stands for its
/// neighbours.
#[test]
fn a_run_that_begins_while_another_drains_a_node_ends_as_one_does() {
    for journey in journeys().into_iter().filter(|j| j.is_of_nodes()) {
        story(async {
            let start = journey.begin(2).await;
            let (_, calls) = both(&journey, start.clone(), 0).await;
            for k in (1..calls).step_by(7) {
                let (end, _) = both(&journey, start.clone(), k).await;
                journey.check(&end, None, &format!("another begins at call {k}"));
            }
        });
    }
}
