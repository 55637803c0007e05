//! A zone is out and comes back, told on small worlds; and what the checker lets pass of it.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::observed::{Object, Reading};
use crate::plan::{Action, Call, Do, Hold, Plan};
use crate::policy::Amount;
use crate::testing::{World, told, volume};

/// So many in each of three zones, settled.
fn fleet(each: u32) -> World {
    let mut w = World::new(3 * each);
    w.settle();
    w
}

fn zone_is(w: &mut World, zone: &str, up: bool) {
    w.seen.scopes.get_mut("").unwrap().zones.insert(zone.into(), up);
}

fn launched(plan: &Plan) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    for s in &plan.steps {
        if let Do::Call(Call::Launch(l)) = &s.does {
            *all.entry(l.places[0].zone.clone()).or_default() += l.tag.slots.len();
        }
    }
    all
}

fn in_zones(w: &World) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for o in w.seen.objects.iter().filter(|o| o.phase.alive()) {
        *all.entry(o.zone.clone()).or_default() += 1;
    }
    all
}

fn of<N: Copy>(all: &[(&str, N)]) -> BTreeMap<String, N> {
    all.iter().map(|(z, n)| ((*z).to_owned(), *n)).collect()
}

fn fails(machine: &mut Object, since: Timestamp) {
    for s in &mut machine.signals {
        (s.reading, s.since) = (Reading::Bad, Some(since));
    }
}

/// Every machine of the zone fails its checks, for 20 minutes already.
fn unwell(w: &mut World, zone: &str) {
    let since = w.at.checked_sub(SignedDuration::from_mins(20)).unwrap();
    w.seen.objects.iter_mut().filter(|o| o.zone == zone).for_each(|o| fails(o, since));
}

#[test]
fn what_a_zone_takes_with_it_is_launched_in_the_others_and_nothing_is_done_in_it() {
    let mut w = fleet(10);
    zone_is(&mut w, "a", false);
    let plan = w.plan();
    assert_eq!(launched(&plan), of(&[("b", 5), ("c", 5)]), "{}", told(&plan));
    assert!(plan.changes.iter().all(|c| c.action == Action::Create && c.zone != "a"), "{}", told(&plan));
    assert_eq!(plan.held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Outage; 10], "what is there stays");
    w.apply_but(&plan, &BTreeSet::new());
    let plan = w.plan();
    assert!(plan.is_empty(), "once: {}", told(&plan));
    assert_eq!(in_zones(&w), of(&[("a", 10), ("b", 15), ("c", 15)]));
}

#[test]
fn a_zone_that_nobody_announces_is_recognised_by_its_machines() {
    let mut w = fleet(10);
    unwell(&mut w, "a");
    let plan = w.plan();
    assert_eq!(launched(&plan), of(&[("b", 5), ("c", 5)]), "{}", told(&plan));
    assert!(plan.changes.iter().all(|c| c.object.is_none()), "{}", told(&plan));
}

#[test]
fn what_passes_its_checks_again_needs_nothing_in_its_stead() {
    let mut w = fleet(4);
    unwell(&mut w, "a");
    assert!(!launched(&w.plan()).is_empty(), "the zone is out");
    // Nobody applied it, and the next look finds all checks passed.
    w.remember();
    w.later(1800);
    for o in &mut w.seen.objects {
        for s in &mut o.signals {
            (s.reading, s.since) = (Reading::Ok, None);
        }
    }
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
}

#[test]
fn it_restores_what_the_floor_needs_and_no_more_than_it_may() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    w.desired.policy.max_unavailable = Amount::Count(2);
    assert_eq!(launched(&w.plan()).values().sum::<u32>(), 1, "6 of 9 are there, 7 are needed");
    w.desired.policy.max_unavailable = Amount::Count(3);
    assert!(w.plan().is_empty());
    w.desired.policy.max_unavailable = Amount::Count(0);
    for (surge, most) in [(Amount::Count(0), 0), (Amount::Count(2), 2), (Amount::Percent(12), 2), (Amount::Count(9), 3)]
    {
        w.desired.policy.outage.zone_loss_surge = surge;
        assert_eq!(launched(&w.plan()).values().sum::<u32>(), most, "{surge:?}");
    }
}

#[test]
fn what_was_launched_for_an_outage_counts_towards_its_number() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    w.desired.policy.outage.zone_loss_surge = Amount::Count(2);
    let plan = w.plan();
    w.apply_but(&plan, &BTreeSet::new());
    assert!(w.plan().is_empty(), "{}", told(&w.plan()));
}

#[test]
fn when_the_zone_is_back_the_first_ones_keep_their_slots_and_nothing_is_launched() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    let plan = w.plan();
    w.apply_but(&plan, &BTreeSet::new());
    w.remember();
    zone_is(&mut w, "a", true);
    w.later(60);
    assert!(w.plan().is_empty(), "not trusted yet: {}", told(&w.plan()));
    w.later(1700);
    w.remember();
    w.later(100);
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.iter().all(|h| h.by == Hold::Outage), "calm first: {}", told(&plan));
    w.remember();
    w.later(600);
    let plan = w.plan();
    assert!(launched(&plan).is_empty() && plan.changes.len() == 3, "{}", told(&plan));
    assert!(plan.changes.iter().all(|c| c.action == Action::Delete && c.zone != "a"), "{}", told(&plan));
    w.apply(&plan);
    assert_eq!(in_zones(&w), of(&[("a", 3), ("b", 3), ("c", 3)]));
    w.settle();
}

#[test]
fn when_the_zone_is_back_without_its_machines_it_is_filled_launch_first() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    let plan = w.plan();
    w.apply_but(&plan, &BTreeSet::new());
    let dead: Vec<String> = w.seen.objects.iter().filter(|o| o.zone == "a").map(|o| o.id.clone()).collect();
    dead.iter().for_each(|id| w.kill(id));
    zone_is(&mut w, "a", true);
    w.later(7200);
    for _ in 0..3 {
        let plan = w.plan();
        assert!(plan.changes.iter().all(|c| c.action == Action::Replace && c.zone == "a"), "{}", told(&plan));
        w.apply(&plan);
    }
    assert_eq!(in_zones(&w), of(&[("a", 3), ("b", 3), ("c", 3)]));
    w.settle();
}

#[test]
fn machines_with_data_in_the_zone_are_not_launched_without_it() {
    let mut w = World::new(6);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    zone_is(&mut w, "a", false);
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    assert_eq!(plan.notes.iter().map(|n| n.kind.as_str()).collect::<Vec<_>>(), ["zone-loss"]);
}

#[test]
fn a_frozen_fleet_is_not_launched_elsewhere() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    w.seen.objects.iter_mut().flat_map(|o| &mut o.signals).for_each(|s| s.reading = Reading::NoData);
    assert!(w.plan().is_empty(), "what cannot be seen may be well: {}", told(&w.plan()));
}

#[test]
fn the_checker_allows_it_in_an_outage_only_and_no_more_than_may() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    let plan = w.plan();
    let rules = |w: &World, plan: &Plan| w.vet(plan).into_iter().map(|o| o.rule).collect::<BTreeSet<_>>();
    assert!(rules(&w, &plan).is_empty());
    let objects = |w: &World| rules(w, &plan).contains(crate::vet::DOUBLES);
    zone_is(&mut w, "a", true);
    assert!(objects(&w), "the zone is well");
    zone_is(&mut w, "a", false);
    for most in [2, 0] {
        w.desired.policy.outage.zone_loss_surge = Amount::Count(most);
        assert!(objects(&w), "more than may");
    }
    w.desired.policy.outage.zone_loss_surge = Amount::Percent(100);
    w.desired.policy.max_unavailable = Amount::Count(1);
    assert!(objects(&w), "more than the floor needs");
    w.desired.policy.max_unavailable = Amount::Count(0);
    let with = |edit: &dyn Fn(&mut crate::launch::Launch)| {
        let mut bad = plan.clone();
        for s in &mut bad.steps {
            if let Do::Call(Call::Launch(l)) = &mut s.does {
                edit(l);
            }
        }
        rules(&w, &bad.seal())
    };
    assert!(with(&|l| l.places[0].zone = "a".into()).contains(crate::vet::DOUBLES), "into the zone that is out");
    assert!(with(&|l| l.tag.replaces.clear()).contains(crate::vet::DOUBLES), "without a mark of whom it stands in for");
}

#[test]
fn when_the_zone_that_took_them_over_goes_out_too_whoever_serves_keeps_the_slot() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    let plan = w.plan();
    w.apply_but(&plan, &BTreeSet::new());
    w.later(7200);
    zone_is(&mut w, "a", true);
    zone_is(&mut w, "b", false);
    let plan = w.plan();
    assert_eq!(launched(&plan), of(&[("a", 2), ("c", 1)]), "b's own three, and no more: {}", told(&plan));
    // Of two that serve in one slot the second one goes, as ever; where one of the two stands in b, the other stays.
    let ended: Vec<_> = plan.changes.iter().filter(|c| c.action == Action::Delete).map(|c| c.zone.as_str()).collect();
    assert_eq!(ended, ["c"], "{}", told(&plan));
}

#[test]
fn part_of_a_surge_counts_what_stands_in_two_zones_whatever_its_health() {
    let mut w = fleet(3);
    zone_is(&mut w, "a", false);
    w.desired.policy.outage.zone_loss_surge = Amount::Count(2);
    let plan = w.plan();
    w.apply_but(&plan, &BTreeSet::new());
    // One that was launched for the outage falls ill.
    let new: Vec<String> = w.seen.objects.iter().rev().take(2).map(|o| o.id.clone()).collect();
    w.later(7200);
    let since = w.at.checked_sub(SignedDuration::from_mins(20)).unwrap();
    fails(w.find(&new[0]), since);
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Replace && c.zone != "a"), "{}", told(&plan));
}

#[test]
fn a_machine_of_the_lost_zone_that_is_held_for_another_reason_counts_on_no_side() {
    let mut w = fleet(20);
    w.desired.policy.max_surge = Amount::Count(3);
    for o in w.seen.objects.iter_mut().filter(|o| o.zone == "a") {
        o.tags.insert(crate::stamp::tag::PROTECT.into(), "true".into());
    }
    zone_is(&mut w, "a", false);
    w.desired.machines.get_mut("web").unwrap().types = vec!["m7i.large".into()];
    // What is there of the zone, for whatever reason, is not what the others surge beyond.
    let plan = w.plan();
    let count = |action| plan.changes.iter().filter(|c| c.action == action).count();
    assert_eq!((count(Action::Create), count(Action::Replace)), (20, 40), "{}", told(&plan));
}

#[test]
fn a_successor_that_serves_in_a_zone_that_is_not_trusted_yet_is_not_launched_again() {
    let mut w = World::new(2);
    let zones = |w: &mut World, all: &[&str]| {
        let all = all.iter().map(|z| (*z).to_owned()).collect();
        w.desired.machines.get_mut("web").unwrap().spread = crate::desired::Spread::Zones(all);
    };
    zones(&mut w, &["b", "c"]);
    w.settle();
    zones(&mut w, &["a", "b"]);
    let plan = w.plan();
    let ends = plan.steps.iter().position(|s| matches!(s.does, Do::Call(Call::Terminate(_)))).unwrap();
    w.apply_but(&plan, &[ends].into());
    assert_eq!(in_zones(&w), of(&[("a", 1), ("b", 1), ("c", 1)]), "the old one is still there");
    w.later(7200);
    zone_is(&mut w, "a", false);
    w.remember();
    zone_is(&mut w, "a", true);
    w.later(60);
    let plan = w.plan();
    assert!(launched(&plan).is_empty(), "{}", told(&plan));
}
