//! What is learned of a launch that met no room, and for how long it is heeded.

use std::collections::BTreeMap;

use super::*;
use crate::observed::{Phase, Reading};
use crate::plan::{Action, Hold};
use crate::testing::{World, told, volume};

const NO: &str = "no room";

fn failed(step: u32, at: Timestamp) -> Event {
    Event { at, happened: Happened::Failed { step, failure: Failure::new(Class::Capacity, "", NO) } }
}

fn retrying(step: u32, at: Timestamp) -> Event {
    let failure = Failure::new(Class::Capacity, "", NO);
    Event { at, happened: Happened::Retrying { step, failure, after_ms: 0 } }
}

/// The run found no room in this zone for any type of the group.
fn no_room(w: &mut World, zone: &str) {
    let at = w.at;
    let types = w.desired.machines["web"].types.clone();
    for instance_type in types {
        let one = NoRoom { scope: String::new(), zone: zone.into(), instance_type, spot: false, at };
        w.past.lessons.add(one);
    }
}

fn zones(plan: &Plan) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    for s in &plan.steps {
        if let Do::Call(Call::Launch(l)) = &s.does {
            *all.entry(l.places[0].zone.clone()).or_default() += l.tag.slots.len();
        }
    }
    all
}

fn said<'p>(plan: &'p Plan, kind: &str) -> Vec<&'p str> {
    plan.notes.iter().filter(|n| n.kind == kind).map(|n| n.says.as_str()).collect()
}

fn of(all: &[(&str, u32)]) -> BTreeMap<String, u32> {
    all.iter().map(|(z, n)| ((*z).to_owned(), *n)).collect()
}

#[test]
fn a_run_that_met_no_room_teaches_which_types_of_which_zone() {
    let mut w = World::new(3);
    w.desired.machines.get_mut("web").unwrap().types = vec!["t3.small".into(), "t3a.small".into()];
    let plan = w.plan();
    let step = plan.steps.iter().position(|s| matches!(&s.does, Do::Call(Call::Launch(l)) if l.places[0].zone == "b"));
    let step = u32::try_from(step.unwrap()).unwrap();
    let mut lessons = Lessons::default();
    assert!(lessons.learn(&plan, &[retrying(step, w.at)]));
    assert_eq!(lessons.types(&w.desired.machines["web"], "b", w.at), ["t3a.small"], "the one that is left");
    assert!(lessons.full(&w.desired.machines["web"], w.at).is_empty());
    assert!(lessons.learn(&plan, &[retrying(step, w.at), failed(step, w.at)]));
    assert_eq!(lessons.full(&w.desired.machines["web"], w.at).keys().collect::<Vec<_>>(), ["b"]);
    assert!(!lessons.learn(&plan, &[retrying(step, w.at), failed(step, w.at)]), "nothing new");
    let later = after(w.at, NO_ROOM);
    assert!(lessons.full(&w.desired.machines["web"], later).is_empty(), "it may have room again");
    lessons.forget(later);
    assert_eq!(lessons, Lessons::default());
}

#[test]
fn what_has_no_room_in_its_zone_is_placed_in_another_and_the_plan_says_so() {
    let mut w = World::new(6);
    no_room(&mut w, "b");
    w.later(40);
    let plan = w.plan();
    assert_eq!(zones(&plan), of(&[("a", 3), ("c", 3)]), "{}", told(&plan));
    assert_eq!(said(&plan, "no-room"), ["b had no room for t3.small or t3a.small 40s ago; placed in a and c instead"]);
    assert_eq!(said(&plan, "skew"), ["zones differ by 3, 1 was asked: b takes at most 0"]);
    w.apply_but(&plan, &Default::default());
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.is_empty(), "nothing moves while it is remembered: {}", told(&plan));
    assert_eq!(plan.look_again_at, Some(after(w.at, NO_ROOM - 40)));
}

#[test]
fn the_skew_is_kept_where_another_zone_can_take_it_within_it() {
    let mut w = World::new(7);
    w.settle();
    let gone = (0..7).map(|s| w.id_of(&format!("machines.web/{s}"))).find(|id| {
        let zone = w.seen.objects.iter().find(|o| o.id == *id).unwrap().zone.clone();
        w.seen.objects.iter().filter(|o| o.zone == zone).count() == 3
    });
    let gone = gone.unwrap();
    let zone = w.find(&gone).zone.clone();
    w.kill(&gone);
    no_room(&mut w, &zone);
    let plan = w.plan();
    assert_eq!(zones(&plan).values().sum::<u32>(), 1);
    assert!(!zones(&plan).contains_key(&zone) && said(&plan, "skew").is_empty(), "{}", told(&plan));
}

#[test]
fn when_it_may_have_room_again_the_zones_are_evened_out_launch_first() {
    let mut w = World::new(6);
    no_room(&mut w, "b");
    let plan = w.plan();
    w.apply_but(&plan, &Default::default());
    w.later(7200);
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Replace && c.zone == "b"), "{}", told(&plan));
    for _ in 0..3 {
        let plan = w.plan();
        w.apply(&plan);
    }
    w.settle();
}

#[test]
fn where_no_zone_has_room_it_is_held_until_one_may() {
    let mut w = World::new(3);
    ["a", "b", "c"].iter().for_each(|z| no_room(&mut w, z));
    let plan = w.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Time; 3]);
    assert!(
        plan.held[0].waits_for.starts_with("room: a had no room for t3.small or t3a.small 0s ago"),
        "{}",
        told(&plan)
    );
    assert_eq!(plan.look_again_at, Some(after(w.at, NO_ROOM)));
}

#[test]
fn a_machine_whose_data_is_where_no_room_is_waits_for_it() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let id = w.id_of("machines.web/1");
    let zone = w.find(&id).zone.clone();
    w.kill(&id);
    no_room(&mut w, &zone);
    let plan = w.plan();
    assert!(plan.is_empty(), "its data cannot follow it: {}", told(&plan));
    assert_eq!(
        plan.held.iter().map(|h| h.by).collect::<Vec<_>>(),
        [Hold::Time; 2],
        "the machine, and its volume for it"
    );
}

#[test]
fn the_successor_of_an_ill_machine_goes_where_there_is_room() {
    let mut w = World::new(4);
    w.settle();
    let id = w.id_of("machines.web/1");
    w.find(&id).signals[1].reading = Reading::Bad;
    w.find(&id).signals[1].since = Some(w.at);
    w.later(3600);
    w.remember();
    let zone = w.find(&id).zone.clone();
    no_room(&mut w, &zone);
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 1, "{}", told(&plan));
    assert!(plan.changes[0].action == Action::Replace && plan.changes[0].zone != zone, "{}", told(&plan));
    assert!(plan.changes[0].reasons.iter().any(|r| r.says.contains("its successor goes elsewhere")));
}

#[test]
fn one_that_is_stopped_is_started_where_it_is_whatever_room_there_was() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/1");
    let zone = w.find(&id).zone.clone();
    w.find(&id).phase = Phase::Stopped;
    no_room(&mut w, &zone);
    assert_eq!(w.plan().changes.iter().map(|c| c.action).collect::<Vec<_>>(), [Action::Update]);
}

#[test]
fn spot_and_on_demand_have_rooms_of_their_own() {
    let mut w = World::new(3);
    no_room(&mut w, "b");
    w.desired.machines.get_mut("web").unwrap().spot = true;
    assert_eq!(zones(&w.plan()), of(&[("a", 1), ("b", 1), ("c", 1)]));
}
