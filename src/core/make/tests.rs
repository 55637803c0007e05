//! Plans for small worlds, read as sentences. What was not seen, or moved by hand, stands in [`hands`].

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::*;
use crate::desired::{Follow, Image, Layout, Lookup, Spread, VolumeGroup};
use crate::observed::{Answer, Found, Reading};
use crate::plan::{Call, Do, Step};
use crate::stamp::tag;
use crate::testing::{World, told, volume};

mod hands;
mod moves;

fn lines(plan: &Plan) -> Vec<String> {
    let one = |c: &Change| {
        let why: Vec<_> = c.reasons.iter().map(|r| format!("{:?} {}", r.why, r.says)).collect();
        format!("{:?} {} {} {}", c.action, c.address, c.zone, why.join("; "))
    };
    plan.changes.iter().map(one).collect()
}

fn launches(plan: &Plan) -> Vec<String> {
    let of = |s: &Step| match &s.does {
        Do::Call(Call::Launch(l)) => Some(format!("{} {}", l.tag, l.places[0].zone)),
        Do::Call(_) | Do::Wait(_) => None,
    };
    plan.steps.iter().filter_map(of).collect()
}

#[test]
fn a_new_group_is_one_launch_a_zone_and_then_nothing() {
    let mut w = World::new(7);
    let plan = w.plan();
    assert_eq!(launches(&plan), ["g1 s0-6/3 a", "g1 s1,4 b", "g1 s2,5 c"]);
    assert_eq!((plan.changes.len(), plan.forecast[0].after), (7, 7));
    w.settle();
}

#[test]
fn a_new_image_in_the_file_rolls_launch_first_one_alone_and_then_in_waves() {
    let mut w = World::new(30);
    w.settle();
    w.seen.lookups.push(Answer {
        scope: String::new(),
        asked: Lookup::ImageById("ami-2".into()),
        found: Found::Image { id: "ami-2".into(), name: String::new(), created: None, root_device: None },
    });
    w.desired.machines.get_mut("web").unwrap().image = Image::Id("ami-2".into());
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Replace && c.fields[0].forces_replacement.is_some()));
    let waves: Vec<u32> = plan
        .steps
        .iter()
        .filter_map(|s| match &s.does {
            Do::Call(Call::Launch(l)) => Some(l.tag.slots.len()),
            Do::Call(_) | Do::Wait(_) => None,
        })
        .collect();
    assert_eq!(waves.iter().sum::<u32>(), 30);
    assert_eq!(waves[0], 1, "a canary goes first");
    assert_eq!(plan.forecast[0].floor, 30);
    w.settle();
}

#[test]
fn an_image_lookup_that_moved_is_a_note_and_no_change() {
    let mut w = World::new(3);
    w.settle();
    w.seen.lookups[0].found =
        Found::Image { id: "ami-2".into(), name: "al2023-new".into(), created: None, root_device: None };
    let plan = w.plan();
    assert!(plan.is_empty());
    assert_eq!((plan.notes.len(), plan.notes[0].kind.as_str()), (1, "outdated"));
    w.desired.machines.get_mut("web").unwrap().follow = Follow::Always;
    assert_eq!(w.plan().changes[0].reasons[0].why, Why::Outdated);
    w.settle();
}

#[test]
fn the_order_of_the_listing_does_not_matter() {
    let mut w = World::new(9);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    for slot in [1, 5, 7] {
        let id = w.id_of(&format!("machines.web/{slot}"));
        w.kill(&id);
    }
    let one = w.plan();
    w.seen.objects.reverse();
    assert_eq!(one, w.plan());
}

#[test]
fn a_bound_volume_follows_its_machine() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let (old, data) = (w.id_of("machines.web/2"), w.id_of("volumes.data/2"));
    assert_eq!(w.find(&data).attached.as_ref().unwrap().to, old);
    let at = w.at;
    for s in &mut w.find(&old).signals {
        (s.reading, s.since) = (Reading::Bad, Some(at - SignedDuration::from_hours(1)));
    }
    let plan = w.plan();
    assert_eq!((plan.changes.len(), plan.changes[0].action), (1, Action::Replace), "{:?}", lines(&plan));
    assert!(plan.changes[0].how.contains("data/2 follows"));
    w.settle();
    let new = w.id_of("machines.web/2");
    assert_ne!(new, old);
    assert_eq!(w.find(&data).attached.as_ref().unwrap().to, new);
    w.kill(&new);
    w.settle();
    let third = w.id_of("machines.web/2");
    assert_eq!(w.find(&data).attached.as_ref().unwrap().to, third);
}

#[test]
fn data_removed_from_the_file_is_kept_then_deleted_and_putting_it_back_cancels() {
    let mut w = World::new(1);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let data = w.desired.volumes.remove("data").unwrap();
    let plan = w.plan();
    assert_eq!(plan.changes[0].action, Action::Quarantine);
    w.apply(&plan);
    let kept = w.plan();
    assert!(kept.is_empty() && kept.held[0].by == Hold::Quarantine && kept.look_again_at.is_some());
    w.desired.volumes.insert("data".into(), data);
    assert_eq!(w.plan().changes[0].action, Action::Release);
    w.settle();
    w.desired.volumes.clear();
    let plan = w.plan();
    w.apply(&plan);
    w.later(8 * 24 * 3600);
    assert_eq!(w.plan().changes[0].action, Action::Delete);
    w.settle();
}

#[test]
fn deletes_are_capped_and_emptying_needs_leave() {
    let mut w = World::new(6);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.len() == 3 && plan.held[0].by == Hold::DeleteCap);
    w.intent.max_deletes = Some(Amount::Count(3));
    assert_eq!(w.plan().changes.len(), 3);
    w.settle();
    w.desired.machines.clear();
    let plan = w.plan();
    assert!(plan.held.iter().all(|h| h.by == Hold::ZeroDesired && h.by.is_refusal()) && plan.is_empty());
    w.intent.allow_empty = true;
    assert_eq!(w.plan().changes.len(), 3);
}

#[test]
fn what_earlier_rounds_deleted_counts_towards_the_cap() {
    let mut w = World::new(10);
    w.settle();
    w.desired.policy.max_deletes = Amount::Percent(50);
    w.desired.machines.get_mut("web").unwrap().count = 5;
    assert_eq!(w.plan().changes.len(), 5);
    // Three went in an earlier round, of which one is there still; with the other two there were twelve.
    let here = w.id_of("machines.web/9");
    w.intent.deleted = BTreeMap::from([(String::new(), ["i-x".into(), "i-y".into(), here].into())]);
    let plan = w.plan();
    let by: Vec<_> = plan.held.iter().map(|h| (h.by, h.waits_for.as_str())).collect();
    let says = "--max-deletes 7: this run may delete 6 of 12";
    assert_eq!(by, [(Hold::DeleteCap, says); 4], "{}", told(&plan));
    assert_eq!(plan.changes.len(), 1, "what was begun goes on: {}", told(&plan));
    w.intent.max_deletes = Some(Amount::Count(7));
    assert_eq!(w.plan().changes.len(), 5);
    w.intent.deleted = BTreeMap::from([("kubernetes:".to_owned(), ["a".into(), "b".into()].into())]);
    w.intent.max_deletes = None;
    assert_eq!(w.plan().changes.len(), 5, "a cluster has a cap of its own");
}

#[test]
fn destroy_leaves_nothing_of_ours_and_everything_of_others() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let mut other = w.seen.objects[0].clone();
    other.id = "i-other".into();
    other.tags.insert(tag::STACK.into(), "zzz22222".into());
    w.seen.objects.push(other);
    w.intent.destroy = true;
    let plan = w.plan();
    w.apply(&plan);
    let left: Vec<_> = w.seen.objects.iter().filter(|o| o.phase.alive()).map(|o| o.id.clone()).collect();
    assert_eq!(left, ["i-other"]);
}

#[test]
fn a_protected_machine_is_not_ended() {
    let mut w = World::new(2);
    w.desired.machines.get_mut("web").unwrap().protect = true;
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 1;
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held[0].by == Hold::Protection);
}

#[test]
fn a_type_change_stops_only_where_one_may_be_missing() {
    let mut w = World::new(3);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
    assert!(w.plan().changes.iter().all(|c| c.action == Action::Replace));
    w.desired.policy.max_unavailable = Amount::Count(1);
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Update));
    assert_eq!(plan.forecast[0].floor, 2);
    w.settle();
}

#[test]
fn a_spot_machine_is_never_stopped_for_its_type() {
    let mut w = World::new(3);
    w.desired.policy.max_unavailable = Amount::Count(1);
    w.desired.machines.get_mut("web").unwrap().spot = true;
    w.settle();
    w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
    let plan = w.plan();
    let why = |c: &Change| c.fields.iter().find(|f| f.field == "type").and_then(|f| f.forces_replacement.clone());
    assert!(!plan.changes.is_empty() && plan.changes.iter().all(|c| c.action == Action::Replace), "{}", told(&plan));
    assert_eq!(why(&plan.changes[0]).as_deref(), Some("a spot machine cannot be stopped"));
    w.settle();
}

#[test]
fn equal_tags_are_set_in_one_call() {
    let mut w = World::new(6);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    w.desired.machines.get_mut("web").unwrap().tags.insert("team".into(), "y".into());
    w.desired.volumes.get_mut("data").unwrap().tags.insert("team".into(), "y".into());
    let plan = w.plan();
    assert_eq!((plan.changes.len(), plan.steps.len(), plan.takes.calls), (12, 2, 2), "{}", told(&plan));
    w.settle();
}

#[test]
fn what_ec2_retires_sooner_is_replaced_sooner() {
    let mut w = World::new(6);
    w.settle();
    let soon = w.at + SignedDuration::from_hours(30);
    for (slot, at) in [(1, soon + SignedDuration::from_hours(200)), (4, soon)] {
        let id = w.id_of(&format!("machines.web/{slot}"));
        w.retire(&id, at);
    }
    let plan = w.plan();
    let launched: Vec<String> = launches(&plan);
    assert_eq!(launched, ["g2 s4 r=i-0004 a2 c=i-0004 b", "g2 s1 r=i-0003 a2 c=i-0003 b"], "{}", told(&plan));
}

#[test]
fn replicas_of_a_volume_are_forecast_too() {
    let mut w = World::new(1);
    let layout = Layout::Replicas { count: 3, spread: Spread::Zones(vec!["a".into(), "b".into(), "c".into()]) };
    w.desired.volumes.insert("data".into(), VolumeGroup { layout, ..volume() });
    let of = |plan: &Plan| {
        let f = plan.forecast.iter().find(|f| f.group.kind == Kind::Volumes).unwrap();
        (f.before, f.after, f.floor, f.needed, f.left_after_zone.values().min().copied())
    };
    assert_eq!(of(&w.plan()), (0, 3, 0, 1, Some(2)));
    w.settle();
    assert_eq!(of(&w.plan()), (3, 3, 3, 1, Some(2)));
    let one = Layout::Replicas { count: 1, spread: Spread::Zones(vec!["a".into(), "b".into(), "c".into()]) };
    w.desired.volumes.get_mut("data").unwrap().layout = one;
    w.intent.max_deletes = Some(Amount::Percent(100));
    assert_eq!(of(&w.plan()), (3, 1, 1, 1, Some(0)), "what goes into quarantine is on its way out");
}

#[test]
fn the_last_replica_does_not_go_in_the_plan_that_makes_an_empty_one() {
    let mut w = World::new(1);
    let zones = || Spread::Zones(vec!["a".into(), "b".into(), "c".into()]);
    w.desired
        .volumes
        .insert("data".into(), VolumeGroup { layout: Layout::Replicas { count: 2, spread: zones() }, ..volume() });
    w.settle();
    let lost = w.id_of("volumes.data/0");
    w.seen.objects.retain(|o| o.id != lost);
    w.desired.volumes.get_mut("data").unwrap().layout = Layout::Replicas { count: 1, spread: zones() };
    w.intent.max_deletes = Some(Amount::Percent(100));
    let plan = w.plan();
    assert_eq!((plan.changes.len(), plan.changes[0].action), (1, Action::Create), "{}", told(&plan));
    assert_eq!((plan.held.len(), plan.held[0].by), (1, Hold::Time));
    assert!(w.vet(&plan).is_empty());
    // The independent check sees it too.
    let mut other = w.plan();
    let held = other.held.remove(0).change;
    let set = BTreeMap::from([(tag::QUARANTINE.to_owned(), w.at.to_string())]);
    let mark = Call::Tag { ids: held.object.clone().into_iter().collect(), set, unset: vec![] };
    let change = other.changes.len() as u32;
    other.steps.push(Step { scope: String::new(), needs: vec![], changes: vec![change], does: Do::Call(mark) });
    other.changes.push(held);
    let says: Vec<String> = w.vet(&other.seal()).iter().map(|o| o.says.clone()).collect();
    assert!(says.iter().any(|s| s.contains("no other replica of volumes.data stays")), "{says:?}");
    w.apply(&plan);
    // Nor soon after, for nobody can have copied it yet.
    let next = w.plan();
    assert!(next.is_empty() && next.held[0].by == Hold::Time, "{}", told(&next));
    assert_eq!(next.look_again_at, Some(w.at + SignedDuration::from_hours(7 * 24 - 2)));
    w.later(7 * 24 * 3600);
    assert_eq!(w.plan().changes[0].action, Action::Quarantine);
}

#[test]
fn growing_uses_the_emptiest_zone_and_a_lost_zone_of_the_file_moves() {
    let mut w = World::new(4);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 6;
    assert_eq!(launches(&w.plan()), ["g1 s4 b", "g1 s5 c"]);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(vec!["a".into(), "b".into()]);
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 2);
    assert!(plan.changes.iter().all(|c| c.action == Action::Replace && c.zone != "c"), "{:?}", lines(&plan));
    w.settle();
}

/// Makes a machine's checks bad since an hour.
fn impair(w: &mut World, id: &str) {
    let at = w.at;
    for s in &mut w.find(id).signals {
        (s.reading, s.since) = (Reading::Bad, Some(at - SignedDuration::from_hours(1)));
    }
}

#[test]
fn a_fleet_that_is_all_unwell_waits_for_a_person_who_may_name_one() {
    let mut w = World::new(6);
    w.settle();
    for slot in 0..6 {
        let id = w.id_of(&format!("machines.web/{slot}"));
        impair(&mut w, &id);
    }
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.len() == 6, "{:?}", lines(&plan));
    assert!(plan.held.iter().all(|h| h.by == Hold::Frozen && h.by.is_refusal()), "{:?}", plan.held);
    w.intent.replace.insert("machines.web/2".parse().unwrap());
    let plan = w.plan();
    assert_eq!(plan.changes.iter().map(|c| c.address.to_string()).collect::<Vec<_>>(), ["machines.web/2"]);
}

#[test]
fn what_serves_goes_only_while_enough_others_serve() {
    let mut w = World::new(5);
    w.settle();
    let id = w.id_of("machines.web/0");
    impair(&mut w, &id);
    w.desired.machines.get_mut("web").unwrap().count = 3;
    w.intent.max_deletes = Some(Amount::Count(9));
    let plan = w.plan();
    let gone: Vec<String> =
        (plan.changes.iter().filter(|c| c.action == Action::Delete)).map(|c| c.address.short()).collect();
    assert_eq!(gone, ["web/4"], "four serve, three must: one may go now");
    assert_eq!((plan.held.len(), plan.held[0].by), (1, Hold::Floor));
    assert_eq!(plan.forecast[0].floor, 3);
    w.apply(&plan);
    w.settle();
}

#[test]
fn a_machine_is_not_stopped_while_another_is_missing() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/0");
    impair(&mut w, &id);
    w.desired.policy.max_unavailable = Amount::Count(1);
    w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 1, "{:?}", lines(&plan));
    assert!(plan.held.len() == 2 && plan.held.iter().all(|h| h.by == Hold::Floor));
    w.apply(&plan);
    w.settle();
}

#[test]
fn what_a_cap_leaves_no_room_for_is_held_and_what_stands_above_it_stays() {
    let mut w = World::new(3);
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(vec!["b".into()]);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().caps.insert("b".into(), 1);
    let plan = w.plan();
    assert!(plan.is_empty(), "moving what has nowhere to go would never end: {:?}", lines(&plan));
    assert_eq!(plan.notes[0].kind, "placement");
    w.desired.machines.get_mut("web").unwrap().count = 4;
    let plan = w.plan();
    assert!(plan.is_empty(), "{:?}", lines(&plan));
    assert_eq!((plan.held.len(), plan.held[0].by), (1, Hold::Unresolved));
}

#[test]
fn what_lives_beyond_the_count_and_what_is_filled_use_up_the_surge() {
    let mut w = World::new(5);
    w.settle();
    let id = w.id_of("machines.web/0");
    w.kill(&id);
    (w.desired.policy.max_surge, w.desired.policy.max_parallel) = (Amount::Count(2), Amount::Count(2));
    let web = w.desired.machines.get_mut("web").unwrap();
    (web.count, web.types) = (4, vec!["m5.large".into()]);
    let plan = w.plan();
    assert!(
        plan.changes.iter().any(|c| c.action == Action::Replace) && plan.changes.iter().any(|c| c.object.is_none())
    );
    w.apply(&plan);
    w.settle();
}

#[test]
fn a_volume_for_which_no_zone_is_well_is_held_and_not_forgotten() {
    let mut w = World::new(0);
    let spread = Spread::Zones(vec!["a".into()]);
    w.desired.volumes.insert("data".into(), VolumeGroup { layout: Layout::Replicas { count: 2, spread }, ..volume() });
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), false);
    let plan = w.plan();
    assert!(plan.is_empty());
    assert_eq!(plan.held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Outage, Hold::Outage]);
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), true);
    w.later(7200);
    assert_eq!(w.plan().changes.len(), 2);
}

#[test]
fn a_spread_that_an_impaired_zone_leaves_uneven_is_told() {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(vec!["a".into()]);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(vec!["a".into(), "b".into(), "c".into()]);
    let skew = |w: &World| w.plan().notes.into_iter().filter(|n| n.kind == "skew").map(|n| n.says).collect::<Vec<_>>();
    assert_eq!(skew(&w), ["zones differ by 2, 1 was asked: a holds 2 pinned"]);
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), false);
    let says = skew(&w);
    assert!(says.len() == 1 && says[0].starts_with("zones differ by 2, 1 was asked: a holds 2 ("), "{says:?}");
}

#[test]
fn a_zone_that_is_not_trusted_yet_explains_why_it_is_empty() {
    let mut w = World::new(4);
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(vec!["a".into(), "b".into()]);
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), false);
    w.settle();
    w.remember();
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), true);
    w.later(60);
    let plan = w.plan();
    let says: Vec<_> = plan.notes.iter().filter(|n| n.kind == "skew").map(|n| n.says.as_str()).collect();
    assert!(says.len() == 1 && says[0].starts_with("zones differ by 4, 1 was asked: a holds 0 ("), "{says:?}");
    assert!(plan.is_empty() && plan.look_again_at.is_some_and(|at| at > w.at), "{:?}", plan.look_again_at);
}

#[test]
fn a_retired_machine_whose_data_is_in_a_zone_that_the_file_has_left_is_replaced_there() {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let machine = w.id_of("machines.web/0");
    let home = w.find(&machine).zone.clone();
    let others = ["a", "b", "c"].into_iter().filter(|z| *z != home).map(String::from).collect();
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(others);
    let plan = w.plan();
    assert_eq!(plan.held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Protection]);
    w.retire(&machine, w.at);
    let plan = w.plan();
    assert!(plan.held.is_empty(), "{:?}", plan.held);
    let made: Vec<_> = plan.changes.iter().map(|c| (c.action, c.address.to_string(), c.zone.clone())).collect();
    assert_eq!(made, [(Action::Replace, "machines.web/0".to_owned(), home)]);
}
