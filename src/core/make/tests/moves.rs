//! Plans that move machines, or that choose between two: who keeps a slot, who goes first, and what a move is not.

use jiff::SignedDuration;

use super::super::*;
use super::{impair, lines};
use crate::desired::{Lookup, Spread};
use crate::observed::{Answer, Found, Reading, Subnet};
use crate::plan::{Call, Do};
use crate::stamp::tag;
use crate::testing::{World, told};

/// Four machines in two zones, where the file now names three: one must move for the balance.
fn uneven() -> World {
    let mut w = World::new(6);
    spread(&mut w, &["a", "b"]);
    w.settle();
    spread(&mut w, &["a", "b", "c"]);
    w
}

fn spread(w: &mut World, zones: &[&str]) {
    let zones = zones.iter().map(|z| (*z).to_owned()).collect();
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(zones);
}

fn passes(w: &mut World, id: &str) {
    for s in &mut w.find(id).signals {
        (s.reading, s.since) = (Reading::Ok, None);
    }
}

#[test]
fn one_that_passes_its_checks_again_is_not_ended_for_a_successor_that_is_ill() {
    let mut w = World::new(9);
    w.settle();
    let old = w.id_of("machines.web/0");
    impair(&mut w, &old);
    w.remember();
    let plan = w.plan();
    let ends =
        |p: &Plan| p.steps.iter().position(|s| matches!(&s.does, Do::Call(Call::Terminate(ids)) if ids.contains(&old)));
    w.apply_but(&plan, &[ends(&plan).unwrap()].into());
    w.later(7200);
    w.remember();
    // Its successor fails, and it is well again since a minute.
    let new = w.seen.objects.last().unwrap().id.clone();
    impair(&mut w, &new);
    w.remember();
    passes(&mut w, &old);
    w.later(60);
    let plan = w.plan();
    assert_eq!(ends(&plan), None, "{}", told(&plan));
}

#[test]
fn a_protected_machine_is_not_the_one_that_is_moved() {
    let mut w = uneven();
    let moved = |w: &World| w.plan().changes.iter().filter_map(|c| c.object.clone()).collect::<Vec<_>>();
    let first = moved(&w);
    assert_eq!(first.len(), 2, "{:?}", lines(&w.plan()));
    for id in &first {
        w.find(id).tags.insert(tag::PROTECT.into(), "true".into());
    }
    let others = moved(&w);
    assert!(others.len() == 2 && others.iter().all(|id| !first.contains(id)), "{first:?} {others:?}");
    assert!(w.plan().held.is_empty(), "{:?}", w.plan().held);
}

#[test]
fn a_move_for_the_balance_is_no_attempt_of_a_lineage() {
    let mut w = uneven();
    // Each is the fourth of its line, launched an hour ago and well ever since.
    for o in &mut w.seen.objects {
        let mark = o.tags.get(tag::LAUNCH).unwrap().clone();
        let mut mark: crate::stamp::LaunchTag = mark.parse().unwrap();
        (mark.attempt, mark.chain) = (4, Some("i-root".into()));
        o.tags.insert(tag::LAUNCH.into(), mark.to_string());
    }
    w.at = w.seen.objects.iter().map(|o| o.created).max().unwrap();
    w.later(1200);
    let plan = w.plan();
    assert!(plan.held.is_empty() && !plan.is_empty(), "a move waits for no back-off: {}", told(&plan));
    let marks: Vec<_> = (plan.steps.iter())
        .filter_map(|s| match &s.does {
            Do::Call(Call::Launch(l)) => Some((l.tag.attempt, l.tag.chain.clone())),
            Do::Call(_) | Do::Wait(_) => None,
        })
        .collect();
    assert!(marks.iter().all(|m| *m == (1, None)), "{marks:?}");
}

#[test]
fn under_a_freeze_an_imbalance_is_held_and_not_forgotten() {
    let mut w = uneven();
    // All but two of six are unwell, in both zones.
    let all: Vec<String> = w.seen.objects.iter().map(|o| o.id.clone()).collect();
    all.iter().for_each(|id| impair(&mut w, id));
    let well: Vec<String> = ["a", "b"]
        .map(|z| w.seen.objects.iter().filter(|o| o.zone == z).max_by_key(|o| o.id.clone()).unwrap().id.clone())
        .into();
    well.iter().for_each(|id| passes(&mut w, id));
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    let uneven: Vec<_> = plan.held.iter().filter(|h| h.change.reasons.iter().any(|r| r.why == Why::Uneven)).collect();
    assert!(!uneven.is_empty() && uneven.iter().all(|h| h.by == Hold::Frozen), "{}", told(&plan));
}

fn in_subnets(w: &mut World, ids: &[(&str, &str)], tagged: bool) {
    let spread = if tagged {
        Spread::SubnetsTagged("tier".into(), None)
    } else {
        Spread::Subnets(ids.iter().map(|(id, _)| (*id).to_owned()).collect())
    };
    let subnet =
        |(id, z): &(&str, &str)| Subnet { id: (*id).into(), zone: (*z).into(), vpc: "vpc-1".into(), free: 100 };
    let found = Found::Subnets(ids.iter().map(subnet).collect());
    w.desired.machines.get_mut("web").unwrap().spread = spread.clone();
    w.seen.lookups.truncate(1);
    w.seen.lookups.push(Answer { scope: String::new(), asked: Lookup::Subnets(spread), found });
}

#[test]
fn another_subnet_in_the_same_zone_is_a_move() {
    let mut w = World::new(4);
    in_subnets(&mut w, &[("subnet-a", "a"), ("subnet-b", "b")], false);
    w.settle();
    in_subnets(&mut w, &[("subnet-a", "a"), ("subnet-new", "b")], false);
    let plan = w.plan();
    let replaced: Vec<_> = plan.changes.iter().map(|c| (c.action, c.zone.as_str())).collect();
    assert_eq!(replaced, [(Action::Replace, "b"); 2], "{}", told(&plan));
    assert!(plan.changes[0].reasons[0].says.contains("subnet-b"), "{}", told(&plan));
    for _ in 0..2 {
        let plan = w.plan();
        w.apply(&plan);
    }
    let subnets = |w: &World| {
        let alive = w.seen.objects.iter().filter(|o| o.phase.alive());
        let mut all: Vec<String> = alive.map(|o| o.fields["subnet"].text().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(subnets(&w), ["subnet-a", "subnet-a", "subnet-new", "subnet-new"]);
    assert!(w.plan().is_empty(), "{}", told(&w.plan()));
}

#[test]
fn a_subnet_whose_tag_moved_within_its_zone_takes_new_machines_and_moves_none() {
    let mut w = World::new(4);
    in_subnets(&mut w, &[("subnet-a", "a"), ("subnet-b", "b")], true);
    w.settle();
    in_subnets(&mut w, &[("subnet-a", "a"), ("subnet-new", "b")], true);
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    let note = plan.notes.iter().find(|n| n.kind == "outdated").unwrap();
    assert!(note.says.contains("subnet-b"), "{note:?}");
    // The successor of one that is ill goes where the tag is now.
    let ill = w.seen.objects.iter().find(|o| o.zone == "b").unwrap().id.clone();
    impair(&mut w, &ill);
    let places: Vec<_> = (w.plan().steps.iter())
        .filter_map(|s| match &s.does {
            Do::Call(Call::Launch(l)) => l.places[0].subnet.clone(),
            Do::Call(_) | Do::Wait(_) => None,
        })
        .collect();
    assert_eq!(places, ["subnet-new"]);
    w.desired.machines.get_mut("web").unwrap().follow = crate::desired::Follow::Always;
    passes(&mut w, &ill);
    w.later(7200);
    assert_eq!(w.plan().changes.len(), 2, "{}", told(&w.plan()));
}

#[test]
fn the_forecast_lives_on_nothing_in_a_zone_that_is_out() {
    let mut w = World::new(6);
    w.settle();
    w.desired.policy.outage.zone_loss_surge = crate::policy::Amount::Count(0);
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), false);
    let plan = w.plan();
    let f = &plan.forecast[0];
    // Four serve, in b and c, and a majority of six is four: another zone, or another machine, is one too many.
    assert_eq!((f.left_after_machine, f.left_after_zone["b"], f.left_after_zone["c"]), (3, 2, 2), "{f:?}");
}

#[test]
fn the_data_of_a_machine_that_stays_stays_with_it() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), crate::testing::volume());
    w.settle();
    let (machine, volume) = (w.id_of("machines.web/2"), w.id_of("volumes.data/2"));
    w.find(&machine).tags.insert(tag::PROTECT.into(), "true".into());
    w.desired.machines.get_mut("web").unwrap().count = 2;
    let plan = w.plan();
    w.apply(&plan);
    w.at += SignedDuration::from_hours(24 * 365);
    w.later(0);
    let plan = w.plan();
    assert!(!plan.changes.iter().any(|c| c.object.as_ref() == Some(&volume)), "{}", told(&plan));
    let held = plan.held.iter().find(|h| h.change.object.as_ref() == Some(&volume)).unwrap();
    assert!(held.by == Hold::Protection && held.waits_for.contains("its machine"), "{held:?}");
}
