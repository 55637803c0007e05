//! A throttle storm in exact time: what is sent afterwards is never more than AWS's published buckets allow.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use evenkeel_core::event::Outcome;
use evenkeel_core::failure::Class;
use evenkeel_engine::limits::published;
use evenkeel_sim::action::Action;
use evenkeel_sim::dice::Span;
use evenkeel_sim::faults::{Effect, Fault};
use evenkeel_sim::{World, runtime};
use jiff::{SignedDuration, Timestamp};

use crate::fleet::Fleet;

/// So many groups of one machine with a volume: each is a launch of its own.
fn file(groups: usize) -> String {
    let mut text = "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n[aws]\nregion = \"us-east-1\"\n".to_owned();
    for n in 0..groups {
        let _ = writeln!(
            text,
            "[machines.m{n}]\ncount = 1\ntype = \"t3.small\"\nimage = \"ami-00000000000002309\"\nzones = \
             [\"us-east-1a\"]\nwait = \"running\"\n[volumes.v{n}]\nfor = \"machines.m{n}\"\nsize = \"10GiB\""
        );
    }
    text
}

/// Nineteen of twenty calls are refused for five minutes; until when that is.
fn storm(world: &mut World) -> Timestamp {
    let until = world.now + SignedDuration::from_mins(5);
    (world.timing.latency, world.timing.boot) = (Span::millis(0, 0), Span::secs(1, 3));
    let refused = Fault::every(Effect::Fail(Class::Throttled));
    world.faults.push(Fault { odds: Some(0.95), until: Some(until), ..refused });
    until
}

#[test]
fn after_a_storm_no_action_is_called_more_often_than_its_bucket_allows() {
    runtime().unwrap().block_on(async {
        let fleet = Fleet::new(&file(40));
        let plan = fleet.plan(&fleet.look().await);
        let until = fleet.sim.edit(storm).unwrap();
        assert_eq!(fleet.run(&plan).await, Outcome::Complete);
        let log = fleet.sim.log();
        let throttled = |c: &evenkeel_sim::Call| c.failed.as_ref().is_some_and(|f| f.class == Class::Throttled);
        let refused = |after: bool| log.iter().filter(|c| throttled(c) && (c.at >= until) == after).count();
        assert!(refused(false) > 50, "{} refused: that is no storm", refused(false));
        assert_eq!(refused(true), 0, "it slows down by itself");
        let mut calls: BTreeMap<Action, Vec<Timestamp>> = BTreeMap::new();
        log.iter().filter(|c| c.at >= until).for_each(|c| calls.entry(c.action).or_default().push(c.at));
        assert!(calls[&Action::RunInstances].len() > 5, "more than one burst is left to do: {calls:?}");
        let families = published();
        for (action, at) in calls {
            let (size, rate) = families[&evenkeel_ec2::family(action.name())].0.full();
            for (first, last) in (0..at.len()).flat_map(|first| (first..at.len()).map(move |last| (first, last))) {
                let (n, seconds) = (last - first + 1, at[last].duration_since(at[first]).as_secs_f64());
                assert!(n as f64 <= size + rate * seconds + 1e-6, "{n} of {action} within {seconds} s");
            }
        }
    });
}
