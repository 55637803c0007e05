//! What runs have learned, for how long it is heeded, and what the next plan makes of it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::observed::{Phase, Reading};
use crate::plan::{Action, Hold, Why};
use crate::testing::{World, told, volume};

const NO: &str = "no room";

fn failed(step: u32, at: Timestamp) -> Event {
    Event { at, happened: Happened::Failed { step, failure: Failure::new(Class::Capacity, "", NO), lost: vec![] } }
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
    lessons.forget(|_| false, later);
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

fn step_of(plan: &Plan, is: impl Fn(&Call) -> bool) -> u32 {
    let at = plan.steps.iter().position(|s| matches!(&s.does, Do::Call(call) if is(call)));
    u32::try_from(at.unwrap_or_else(|| panic!("no such step:\n{}", told(plan)))).unwrap()
}

fn another_type(w: &mut World, instance_type: &str) {
    w.desired.policy.max_unavailable = crate::policy::Amount::Count(1);
    w.desired.machines.get_mut("web").unwrap().types = vec![instance_type.into()];
}

#[test]
fn a_machine_is_not_stopped_again_for_what_it_cannot_become() {
    let mut w = World::new(3);
    w.settle();
    another_type(&mut w, "m7g.large");
    let plan = w.plan();
    let change = step_of(&plan, |c| matches!(c, Call::Change { .. }));
    let failure = Failure::new(Class::Invalid, "", "another architecture");
    let event = Event { at: w.at, happened: Happened::Failed { step: change, failure, lost: vec![] } };
    assert!(w.past.lessons.learn(&plan, [&event]) && !w.past.lessons.learn(&plan, [&event]));
    let plan = w.plan();
    let held: Vec<_> = plan.held.iter().map(|h| (h.by, h.waits_for.contains("another architecture"))).collect();
    assert_eq!(held, [(Hold::Unresolved, true); 3], "nor are its like: {}", told(&plan));
    w.intent.replace = [plan.held[0].change.address.clone()].into();
    assert_eq!(w.plan().held.len(), 2, "a new machine may be what it should");
    w.intent.replace.clear();
    another_type(&mut w, "m7i.large");
    assert!(w.plan().held.is_empty(), "another value is another question");
    w.remember();
    assert_eq!(w.past.lessons.wrong.len(), 1);
    let gone = w.past.lessons.wrong[0].id.clone();
    w.kill(&gone);
    w.remember();
    assert!(w.past.lessons.wrong.is_empty(), "it is no more");
}

#[test]
fn a_machine_that_was_stopped_for_a_change_that_cannot_be_is_started_again_without_its_stamp() {
    let mut w = World::new(3);
    w.settle();
    another_type(&mut w, "m7g.large");
    let plan = w.plan();
    let stop = step_of(&plan, |c| matches!(c, Call::Stop(_)));
    let (change, start) =
        (step_of(&plan, |c| matches!(c, Call::Change { .. })), step_of(&plan, |c| matches!(c, Call::Start(_))));
    let mut progress = Progress::new(plan.clone());
    for step in [stop, stop + 1] {
        progress.apply(&Happened::Started { step });
        progress.apply(&Happened::Done { step, made: BTreeMap::new() });
    }
    progress.apply(&Happened::Started { step: change });
    progress.apply(&Happened::Failed { step: change, failure: Failure::new(Class::Invalid, "", "no"), lost: vec![] });
    assert_eq!(progress.ready(), [start]);
    let skipped: BTreeSet<u32> = progress.skips().into_iter().map(|(s, _)| s).collect();
    let stamp = step_of(&plan, |c| matches!(c, Call::Tag { .. }));
    assert!(skipped.contains(&stamp) && !skipped.contains(&start), "{}", told(&plan));
    let others: Vec<u32> = (0u32..)
        .zip(&plan.steps)
        .filter(|(_, s)| s.changes != plan.steps[stop as usize].changes)
        .map(|(i, _)| i)
        .collect();
    assert!(
        others.iter().all(|o| skipped.contains(o)),
        "the next one is not stopped for it: {skipped:?}\n{}",
        told(&plan)
    );
}

#[test]
fn a_token_that_is_used_up_is_waited_for_and_then_another_is_taken() {
    let mut w = World::new(2);
    let plan = w.plan();
    let launch = step_of(&plan, |c| matches!(c, Call::Launch(_)));
    let failure = Failure::new(Class::TokenMismatch, "IdempotentParameterMismatch", "used");
    let event = Event { at: w.at, happened: Happened::Failed { step: launch, failure, lost: vec![] } };
    assert!(w.past.lessons.learn(&plan, [&event]));
    w.later(60);
    let plan = w.plan();
    assert_eq!(plan.held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Time], "it may yet show: {}", told(&plan));
    assert_eq!(plan.look_again_at, Some(after(w.at, 240)));
    assert_eq!(plan.changes.len(), 1, "the other launch is of another token");
    w.later(240);
    let plan = w.plan();
    let mut generations = Vec::new();
    for s in &plan.steps {
        if let Do::Call(Call::Launch(l)) = &s.does {
            generations.push(l.tag.generation);
        }
    }
    generations.sort_unstable();
    assert_eq!(generations, [1, 2]);
    w.apply(&plan);
    w.settle();
}

#[test]
fn a_machine_that_shows_after_all_is_no_reason_to_launch_another() {
    let mut w = World::new(1);
    let plan = w.plan();
    let launch = step_of(&plan, |c| matches!(c, Call::Launch(_)));
    let failure = Failure::new(Class::TokenMismatch, "", "used");
    w.past
        .lessons
        .learn(&plan, [&Event { at: w.at, happened: Happened::Failed { step: launch, failure, lost: vec![] } }]);
    w.apply(&plan);
    assert!(w.plan().is_empty());
}

#[test]
fn the_last_security_group_cannot_be_dropped_and_the_plan_says_what_to_write() {
    let mut w = World::new(1);
    w.desired.machines.get_mut("web").unwrap().security_groups = vec!["sg-1".into()];
    w.settle();
    w.desired.machines.get_mut("web").unwrap().security_groups.clear();
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    assert_eq!(plan.held[0].by, Hold::Unresolved);
    assert!(plan.held[0].waits_for.contains("security-groups = [\"default\"]"), "{}", told(&plan));
    w.desired.machines.get_mut("web").unwrap().security_groups = vec!["sg-2".into()];
    assert_eq!(w.plan().changes.len(), 1);
}

/// Every call of the plan is begun.
fn begun(w: &mut World, plan: &Plan) {
    let at = w.at;
    let events: Vec<Event> =
        (0..plan.steps.len() as u32).map(|step| Event { at, happened: Happened::Started { step } }).collect();
    assert!(!w.past.lessons.learn(plan, &events), "nothing for the next plan to go around");
}

fn reasons(plan: &Plan) -> Vec<Why> {
    plan.changes.iter().flat_map(|c| c.reasons.iter().map(|r| r.why)).collect()
}

#[test]
fn what_a_run_ended_is_wanted_again_by_the_file_and_not_missing_in_the_world() {
    let mut w = World::new(3);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 2;
    let plan = w.plan();
    begun(&mut w, &plan);
    w.apply_but(&plan, &BTreeSet::new());
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    assert_eq!(reasons(&plan), [Why::Declared], "{}", told(&plan));
    assert!(told(&plan).contains("count 2 → 3"), "{}", told(&plan));
    w.settle();
    let gone = w.id_of("machines.web/1");
    w.find(&gone).phase = Phase::Gone;
    assert_eq!(reasons(&w.plan()), [Why::Unhealthy], "somebody else ended this one");
    w.later(25 * 3600);
    w.remember();
    assert!(w.past.lessons.ended.is_empty(), "EC2 has forgotten it long since");
}

#[test]
fn what_ec2_refused_to_end_was_not_ended_by_us() {
    let mut w = World::new(3);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 2;
    let plan = w.plan();
    let terminates = |s: &crate::plan::Step| matches!(s.does, Do::Call(Call::Terminate(_)));
    let step = plan.steps.iter().position(terminates).unwrap() as u32;
    let failed = |class| Happened::Failed { step, failure: Failure::new(class, "", "no"), lost: vec![] };
    let lost = Failure::new(Class::Transient, "", "reset");
    let runs = [
        (vec![failed(Class::Denied)], false),
        (vec![failed(Class::Transient)], true),
        (vec![Happened::Retrying { step, failure: lost, after_ms: 1 }, failed(Class::Denied)], true),
    ];
    for (happened, ended) in runs {
        let mut lessons = Lessons::default();
        let all = [vec![Happened::Started { step }], happened.clone()].concat();
        let events: Vec<Event> = all.into_iter().map(|happened| Event { at: w.at, happened }).collect();
        lessons.learn(&plan, &events);
        assert_eq!(lessons.ended.is_empty(), !ended, "{happened:?}");
    }
}

#[test]
fn a_volume_that_an_earlier_look_saw_is_missing_in_the_world() {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    w.remember();
    let id = w.id_of("volumes.data/1");
    w.seen.objects.retain(|o| o.id != id);
    for _ in 0..2 {
        let plan = w.plan();
        assert_eq!(reasons(&plan), [Why::Drifted], "{}", told(&plan));
        assert!(told(&plan).contains(&format!("{id} is gone")));
        w.remember();
    }
    w.settle();
    // Ended by a run, or out of the file for a while, nobody misses it.
    w.remember();
    w.intent.destroy = true;
    let plan = w.plan();
    begun(&mut w, &plan);
    w.apply(&plan);
    w.remember();
    assert!(w.past.slots.is_empty());
    w.intent.destroy = false;
    assert!(!reasons(&w.plan()).contains(&Why::Drifted), "{}", told(&w.plan()));
}

#[test]
fn a_disk_that_ebs_modified_rests_and_its_machine_s_other_disks_do_not() {
    let links = BTreeMap::from([ROOT, "/dev/sdf", "/dev/sdg"].map(|l| (l.to_owned(), format!("vol-{l}"))));
    let disks = |device: &str| {
        let size = Value::Map(Fields::from([("size".to_owned(), 9_u32.into())]));
        Value::Map(Fields::from([(device.to_owned(), size)]))
    };
    let of = |field: &str, value: Value| {
        let fields = Fields::from([(field.to_owned(), value)]);
        modified(Kind::Machines, "i-1", &fields, &links).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(of("disks", disks("/dev/sdg")), ["vol-/dev/sdg"]);
    assert_eq!(of("root-size", 9_u32.into()), ["vol-root"]);
    assert!(of("type", "t3.large".into()).is_empty(), "EC2 changes a machine's type");
    let own = Fields::from([("type".to_owned(), "gp3".into())]);
    assert_eq!(modified(Kind::Volumes, "vol-1", &own, &BTreeMap::new()), BTreeSet::from(["vol-1".to_owned()]));
}

#[test]
fn what_ebs_modified_rests_for_six_hours_and_is_held_till_then() {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let grow = |w: &mut World, size: u32| w.desired.volumes.get_mut("data").unwrap().size = Some(size);
    grow(&mut w, 60);
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.how == "then no other change for 6h"), "{}", told(&plan));
    let done = |step: u32, at| Event { at, happened: Happened::Done { step, made: BTreeMap::new() } };
    let at = w.at;
    let events: Vec<Event> = (0..plan.steps.len() as u32).map(|step| done(step, at)).collect();
    w.past.lessons.learn(&plan, &events);
    w.apply(&plan);
    w.remember();
    grow(&mut w, 70);
    w.desired.machines.get_mut("web").unwrap().monitoring = true;
    w.later(4 * 3600 - 60);
    let plan = w.plan();
    assert!(plan.held.len() == 2 && plan.held.iter().all(|h| h.by == Hold::Time), "{}", told(&plan));
    assert_eq!((plan.changes.len(), plan.look_again_at), (2, Some(after(at, RESTS))), "machines are not EBS's matter");
    w.later(60);
    assert_eq!((w.plan().held.len(), w.plan().changes.len()), (0, 4));
    // Where somebody else modified it, EBS says only that it was too soon.
    let plan = w.plan();
    let step = plan.steps.iter().position(|s| matches!(&s.does, Do::Call(Call::Change { kind: Kind::Volumes, .. })));
    let failure = Failure::new(Class::Busy, TOO_OFTEN, "wait");
    let event = Event { at: w.at, happened: Happened::Failed { step: step.unwrap() as u32, failure, lost: vec![] } };
    assert!(w.past.lessons.learn(&plan, [&event]), "the next plan holds it");
    assert_eq!(w.plan().held.len(), 1);
    w.later(i64::try_from(MODIFIED).unwrap());
    assert_eq!(w.plan().held.len(), 0);
}
