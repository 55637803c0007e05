//! What a plan and a launch cost in calls, held as a promise. The benchmark `scale` prints the same with time and memory.

use evenkeel_core::event::Outcome;
use evenkeel_engine::clock::Clock;
use evenkeel_sim::{World, runtime};

use crate::fleet::{Fleet, file};

#[test]
fn a_thousand_machines_are_launched_in_a_dozen_changing_calls() {
    runtime().unwrap().block_on(async {
        let fleet = Fleet::new(&file(1000, false));
        let mark = fleet.mark();
        let plan = fleet.plan(&fleet.look().await);
        let (outcome, journal) = fleet.written(&plan).await;
        assert_eq!(outcome, Outcome::Complete);
        let (reading, changing) = fleet.since(&mark);
        assert!(changing.values().sum::<u32>() <= 12, "{changing:?}");
        let all = reading.values().chain(changing.values()).sum::<u32>();
        assert!(all <= 60, "{all}: {reading:?} {changing:?}");
        // What the published limits make it wait for, of what it takes: boots are EC2's own time.
        let least = plan.plan.takes.least_ms;
        assert!(least <= 10_000, "{least} ms");
        let refused = fleet.sim.log().iter().filter(|call| call.failed.is_some()).count();
        assert_eq!(refused, 0, "it keeps to the published limits by itself");
        let lines = journal.iter().map(|event| serde_json::to_vec(event).unwrap().len() + 1);
        let written = lines.sum::<usize>() + serde_json::to_vec(&plan.plan).unwrap().len();
        assert!(written <= 1_000_000, "{written} bytes");
        assert_eq!(fleet.sim.world().unwrap().instances.len(), 1000);
    });
}

/// Nine more of every machine and volume, so that a tenth is enough to be made call by call.
fn tenfold(world: &mut World) {
    let (machines, volumes) = (world.instances.clone(), world.volumes.clone());
    let id = |of: &str, n: u32| format!("{}{n}{}", &of[..of.len() - 17], &of[of.len() - 16..]);
    for n in 1..10 {
        world.instances.extend(machines.iter().map(|(of, m)| (id(of, n), m.clone())));
        for (of, v) in &volumes {
            let mut copy = v.clone();
            copy.hold.iter_mut().for_each(|hold| hold.instance = id(&hold.instance, n));
            world.volumes.insert(id(of, n), copy);
        }
    }
}

#[test]
fn a_look_at_a_thousand_machines_and_volumes_is_nine_calls_at_most_and_at_ten_thousand_forty_five() {
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

        fleet.sim.edit(tenfold).unwrap();
        let mark = fleet.mark();
        let seen = fleet.look().await;
        let (reading, changing) = fleet.since(&mark);
        assert!(
            seen.gaps.is_empty() && seen.objects.len() == 20_000,
            "{} objects, {:?}",
            seen.objects.len(),
            seen.gaps
        );
        assert!(reading.values().sum::<u32>() <= 45 && changing.is_empty(), "{reading:?}");
    });
}
