//! A throttle storm: nineteen of twenty calls are refused for five minutes of the world. The run gets through unaided,
//! and afterwards keeps to the server's buckets.
//!
//! Time runs sixty times as fast here, so that a hiccup of 50 ms is three seconds of the world: calls that left one after
//! another arrive together, and some are refused. Where time is exact, `ec2/tests/storm.rs` holds every bucket to the
//! call.

use std::collections::BTreeMap;

use evenkeel_core::failure::Class;
use evenkeel_sim::action::Action;
use evenkeel_sim::dice::Span;
use evenkeel_sim::faults::{Effect, Fault};
use jiff::{SignedDuration, Timestamp};

use super::fixture::{Scene, code, full, table};
use crate::laws::harness::world;

/// Five minutes are five seconds. Faster, a busy machine's hiccup would be as long as a bucket takes to fill.
const SPEED: f64 = 60.0;
const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);

/// So many groups of one machine in one zone with a volume: each is a launch of its own.
fn file(groups: usize) -> String {
    let mut text = "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n[aws]\nregion = \"us-east-1\"\n".to_owned();
    for n in 0..groups {
        text += &format!(
            "[machines.m{n}]\ncount = 1\ntype = \"t3.small\"\nimage = \"ami-00000000000002309\"\nzones = \
             [\"us-east-1a\"]\nwait = \"running\"\n[volumes.v{n}]\nfor = \"machines.m{n}\"\nsize = \"10GiB\"\n"
        );
    }
    text
}

/// One call as the server saw it.
struct Seen {
    at: Timestamp,
    action: Action,
    throttled: bool,
}

/// A hiccup of this machine is so long in the world: what was sent one after the other arrives together.
const HICCUP: f64 = 30.0;

/// The first stretch of calls of one action that is more than its bucket allows: how many, within how many seconds. What
/// was refused counts, too.
fn too_many(action: Action, calls: &[&Seen]) -> Option<(usize, f64)> {
    let families = evenkeel_engine::limits::published();
    let (size, rate) = families[&evenkeel_ec2::family(action.name())].0.full();
    let stretches = (0..calls.len()).flat_map(|first| (first..calls.len()).map(move |last| (first, last)));
    stretches
        .map(|(first, last)| (last - first + 1, calls[last].at.duration_since(calls[first].at).as_secs_f64()))
        .find(|(n, seconds)| *n as f64 > size + rate * (seconds + HICCUP))
}

/// The most calls of one action within a second of the world.
fn busiest(calls: &[&Seen]) -> usize {
    let within = |first: &&Seen| {
        let end = first.at + SignedDuration::from_secs(1);
        calls.iter().filter(|c| c.at >= first.at && c.at < end).count()
    };
    calls.iter().map(within).max().unwrap_or(0)
}

#[test]
fn a_storm_of_refusals_is_got_through_unaided_and_buckets_are_kept_to_afterwards() {
    let mut rows = Vec::new();
    for groups in if full() { vec![4, 12, 40] } else { vec![12] } {
        let mut start = world(7);
        start.limits.throttling = true;
        start.timing.boot = Span::secs(1, 3);
        let scene = Scene::at(SPEED, start, &file(groups));
        let storm = |world: &mut evenkeel_sim::World| {
            let until = world.now + FIVE_MINUTES;
            let storm = Fault { odds: Some(0.95), until: Some(until), ..Fault::every(Effect::Fail(Class::Throttled)) };
            world.faults.push(storm);
            until
        };
        let until = scene.front.sim.edit(storm).expect("it is in no file");
        let said = scene.place.run("apply --yes");
        let seen: Vec<Seen> = (scene.front.sim.log().into_iter())
            .map(|call| {
                let throttled = call.failed.is_some_and(|f| f.class == Class::Throttled);
                Seen { at: call.at, action: call.action, throttled }
            })
            .collect();
        let (during, after): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|call| call.at < until);
        let refused = |calls: &[&Seen]| calls.iter().filter(|c| c.throttled).count();
        assert!(refused(&during) > 20, "{} of {} refused: that is no storm", refused(&during), during.len());
        let mut by_action: BTreeMap<Action, Vec<&Seen>> = BTreeMap::new();
        after.iter().for_each(|call| by_action.entry(call.action).or_default().push(call));
        let over: Vec<_> = by_action.iter().filter_map(|(a, all)| Some((a, too_many(*a, all)?))).collect();
        assert!(over.is_empty(), "more than the bucket allows afterwards: {over:?}");
        let late: Vec<String> =
            by_action.iter().map(|(a, all)| format!("{a} {} ({})", all.len(), busiest(all))).collect();
        let end = scene.world();
        let took = end.now.duration_since(until) + FIVE_MINUTES;
        rows.push([
            groups.to_string(),
            code(&said),
            format!("{}s", took.as_secs()),
            format!("{} of {}", refused(&during), during.len()),
            format!("{} of {}", refused(&after), after.len()),
            late.join(", "),
        ]);
        said.ends(0).tells("Converged");
        assert!(refused(&after) * 4 <= after.len(), "the server's own buckets had to refuse it: {late:?}");
        assert_eq!(scene.launched(), groups);
        scene.is_sound();
        scene.place.run("plan --exit-code").ends(0);
    }
    let head = ["launches", "exit", "took", "refused in the storm", "after it", "calls after it (most in a second)"];
    println!("{}", table("19 of 20 calls refused for five minutes", head, &rows));
}
