//! What a plan and a launch cost in calls, held as a promise. The benchmark `scale` prints the same with time and memory.

use evenkeel_core::event::Outcome;
use evenkeel_engine::clock::Clock;
use evenkeel_sim::runtime;

use crate::fleet::{Fleet, file};

#[test]
fn a_thousand_machines_are_launched_in_a_dozen_changing_calls() {
    runtime().unwrap().block_on(async {
        let fleet = Fleet::new(&file(1000, false));
        let plan = fleet.plan(&fleet.look().await);
        let mark = fleet.mark();
        assert_eq!(fleet.run(&plan).await, Outcome::Complete);
        let (_, changing) = fleet.since(&mark);
        assert!(changing.values().sum::<u32>() <= 12, "{changing:?}");
        assert_eq!(fleet.sim.world().unwrap().instances.len(), 1000);
    });
}

#[test]
fn a_plan_of_a_thousand_machines_and_volumes_reads_nine_calls_at_most() {
    runtime().unwrap().block_on(async {
        let fleet = Fleet::new(&file(1000, true));
        let plan = fleet.plan(&fleet.look().await);
        let began = fleet.sim.clock().now();
        assert_eq!(fleet.run(&plan).await, Outcome::Complete);
        let took = fleet.sim.clock().now().duration_since(began).as_millis();
        let least = i128::from(plan.plan.takes.least_ms);
        assert!((180_000..=took).contains(&least), "it took {took} ms and was said to take {least} at least");
        let mark = fleet.mark();
        let seen = fleet.look().await;
        let (reading, changing) = fleet.since(&mark);
        assert!(seen.gaps.is_empty() && seen.objects.len() == 2000, "{} objects, {:?}", seen.objects.len(), seen.gaps);
        assert!(reading.values().sum::<u32>() <= 9 && changing.is_empty(), "{reading:?}");
        assert!(fleet.plan(&seen).plan.is_empty(), "and nothing is left to do");
    });
}
