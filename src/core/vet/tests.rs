//! Bad plans, made by changing a good one, and the objections to them.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::*;
use crate::desired::Image;
use crate::failure::{Class, Failure};
use crate::launch::Launch;
use crate::observed::{Answer, Found, Gap, Phase};
use crate::plan::{Action, Until};
use crate::slots::Slots;
use crate::stamp::tag;
use crate::testing::{World, volume};

/// Machines with a volume each, all there.
fn settled(count: u32) -> World {
    let mut w = World::new(count);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    w
}

/// A settled world whose file names another image, and the plan that rolls it.
fn rolling(count: u32) -> (World, Plan) {
    let mut w = settled(count);
    w.desired.machines.get_mut("web").unwrap().image = Image::Id("ami-2".into());
    w.seen.lookups.push(Answer {
        scope: String::new(),
        asked: crate::desired::Lookup::ImageById("ami-2".into()),
        found: Found::Image { id: "ami-2".into(), name: String::new(), created: None, root_device: None },
    });
    let plan = w.plan();
    (w, plan)
}

/// A settled world that shrinks by one machine, whose volume stays for a while.
fn shrinking() -> (World, Plan) {
    let mut w = settled(4);
    w.desired.machines.get_mut("web").unwrap().count = 3;
    w.intent.max_deletes = Some(Amount::Count(2));
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 2);
    (w, plan)
}

fn destroying() -> (World, Plan) {
    let mut w = settled(3);
    w.intent.destroy = true;
    let plan = w.plan();
    (w, plan)
}

fn rules(w: &World, plan: &Plan) -> BTreeSet<&'static str> {
    w.vet(plan).into_iter().map(|o| o.rule).collect()
}

/// Changes a good plan, seals it again, and wants an objection by this rule.
#[track_caller]
fn objects(w: &World, good: &Plan, rule: &str, change: impl FnOnce(&mut Plan)) {
    assert!(w.vet(good).is_empty(), "{:#?}", w.vet(good));
    let mut bad = good.clone();
    change(&mut bad);
    let bad = bad.seal();
    assert_ne!(bad.id, good.id, "nothing was changed");
    let all = w.vet(&bad);
    assert!(all.iter().any(|o| o.rule == rule), "{rule} is not in {all:#?}");
}

fn calls_mut(plan: &mut Plan) -> impl Iterator<Item = &mut Call> {
    plan.steps.iter_mut().filter_map(|s| match &mut s.does {
        Do::Call(c) => Some(c),
        Do::Wait(_) => None,
    })
}

fn launch_mut(plan: &mut Plan) -> &mut Launch {
    calls_mut(plan).find_map(|c| if let Call::Launch(l) = c { Some(l) } else { None }).unwrap()
}

fn at(plan: &Plan, fits: impl Fn(&Do) -> bool) -> usize {
    plan.steps.iter().position(|s| fits(&s.does)).unwrap()
}

fn is_terminate(d: &Do) -> bool {
    matches!(d, Do::Call(Call::Terminate(_)))
}

fn is_wait(until: Until) -> impl Fn(&Do) -> bool {
    move |d| matches!(d, Do::Wait(w) if w.until == until)
}

#[test]
fn every_rule_has_an_id_of_its_own() {
    let ids: BTreeSet<_> = RULES.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), RULES.len());
    assert!(RULES.iter().enumerate().all(|(i, (id, says))| *id == format!("V{}", i + 1) && says.ends_with('.')));
}

#[test]
fn what_is_not_sealed_or_not_of_this_file_and_look_is_refused() {
    let (w, plan) = rolling(3);
    objects(&w, &plan, SEALED, |p| p.format = 2);
    objects(&w, &plan, SEALED, |p| p.basis.stack = "zzz22222".into());
    objects(&w, &plan, SEALED, |p| p.basis.at -= SignedDuration::from_secs(1));
    let mut unsealed = plan.clone();
    unsealed.takes.calls += 1;
    assert_eq!(rules(&w, &unsealed), BTreeSet::from([SEALED]));
    let mut other = w;
    other.desired.stack.name = "other".into();
    assert!(rules(&other, &plan).contains(SEALED));
}

#[test]
fn a_broken_graph_is_all_that_is_said() {
    let (w, plan) = rolling(3);
    objects(&w, &plan, GRAPH, |p| p.steps[0].needs = vec![0]);
    objects(&w, &plan, GRAPH, |p| p.steps[1].needs = vec![99_999]);
    objects(&w, &plan, GRAPH, |p| p.steps[0].changes = vec![99_999]);
    objects(&w, &plan, GRAPH, |p| p.steps[0].changes.clear());
    objects(&w, &plan, GRAPH, |p| p.changes.push(p.changes[0].clone()));
}

#[test]
fn a_change_without_a_reason_is_refused() {
    let (w, plan) = rolling(3);
    objects(&w, &plan, REASONS, |p| p.changes[0].reasons.clear());
    objects(&w, &plan, REASONS, |p| {
        let change = p.changes[0].clone();
        p.held.push(crate::plan::Held { change, waits_for: "x".into(), by: crate::plan::Hold::Floor });
    });
}

#[test]
fn a_step_that_does_more_than_its_change_says_is_refused() {
    let (w, plan) = rolling(3);
    let other = w.id_of("machines.web/2");
    objects(&w, &plan, SERVES, |p| p.changes[0].action = Action::Update);
    objects(&w, &plan, SERVES, |p| {
        let i = at(p, is_terminate);
        p.steps[i].does = Do::Call(Call::Terminate(vec![other]));
    });
    objects(&w, &plan, SERVES, |p| launch_mut(p).tag.slots = Slots::new([2]));
    let (w, plan) = shrinking();
    objects(&w, &plan, SERVES, |p| {
        let i = at(p, is_terminate);
        p.steps[i].does = Do::Call(Call::Start(vec![]));
    });
}

#[test]
fn a_step_in_another_scope_is_refused() {
    let (w, plan) = rolling(3);
    objects(&w, &plan, SCOPES, |p| p.steps[0].scope = "west".into());
}

#[test]
fn a_target_that_is_not_there_is_refused() {
    let (mut w, plan) = rolling(3);
    objects(&w, &plan, TARGETS, |p| {
        let i = at(p, |d| matches!(d, Do::Wait(w) if matches!(w.targets[0], Target::New(_))));
        p.steps[i].needs.clear();
    });
    objects(&w, &plan, TARGETS, |p| {
        let i = at(p, is_wait(Until::Terminated));
        p.steps[i].does =
            Do::Wait(Wait { targets: vec![Target::Id("i-none".into())], until: Until::Terminated, within: 1 });
    });
    let dead = w.id_of("machines.web/0");
    w.find(&dead).phase = Phase::Gone;
    assert!(rules(&w, &plan).contains(TARGETS));
}

#[test]
fn a_secret_in_a_plan_is_refused_and_not_repeated() {
    let (mut w, plan) = rolling(3);
    w.desired.secrets.insert("correct horse".into());
    objects(&w, &plan, SECRETS, |p| p.changes[0].how = "say correct horse".into());
    let mut bad = plan.clone();
    bad.notes.push(crate::plan::Note { kind: "x".into(), about: "correct horse".into(), says: String::new() });
    assert!(w.vet(&bad.seal()).iter().all(|o| !o.to_string().contains("horse")));
    objects(&w, &plan, SECRETS, |p| launch_mut(p).user_data = Some(crate::digest::Digest("#!/bin/sh".into())));
}

#[test]
fn what_is_not_ours_is_not_touched() {
    let (mut w, plan) = shrinking();
    let id = w.id_of("machines.web/3");
    w.find(&id).tags.insert(tag::STACK.into(), "zzz22222".into());
    assert!(rules(&w, &plan).contains(OWNERSHIP), "another stack's id");
    w.find(&id).tags.insert(tag::STACK.into(), "abc23456".into());
    w.find(&id).token = Some("by hand".into());
    assert!(rules(&w, &plan).contains(OWNERSHIP), "copied tags");
    w.find(&id).token = None;
    assert!(rules(&w, &plan).is_empty());
    w.find(&id).tags.insert("aws:autoscaling:groupName".into(), "x".into());
    assert!(rules(&w, &plan).contains(OWNERSHIP), "another owner");
}

#[test]
fn what_is_protected_is_not_ended() {
    let (mut w, plan) = shrinking();
    let id = w.id_of("machines.web/3");
    w.find(&id).tags.insert(tag::PROTECT.into(), "true".into());
    assert!(rules(&w, &plan).contains(PROTECTION));
}

#[test]
fn protection_is_not_taken_away() {
    let mut w = World::new(1);
    w.desired.machines.get_mut("web").unwrap().protect = true;
    w.settle();
    w.desired.machines.get_mut("web").unwrap().monitoring = true;
    let plan = w.plan();
    objects(&w, &plan, PROTECTION, |p| {
        for c in calls_mut(p) {
            if let Call::Change { fields, .. } = c {
                fields.insert("protect".into(), false.into());
            }
        }
    });
    objects(&w, &plan, PROTECTION, |p| {
        for c in calls_mut(p) {
            if let Call::Tag { unset, .. } = c {
                unset.push(tag::PROTECT.into());
            }
        }
    });
}

#[test]
fn nothing_comes_or_goes_where_not_all_was_seen() {
    for kind in Kind::ALL {
        let (mut w, plan) = rolling(3);
        let gap = Gap {
            scope: String::new(),
            kind: Some(kind),
            what: "all".into(),
            failure: Failure::new(Class::Denied, "x", "no"),
            partial: false,
        };
        w.seen.gaps.push(gap.clone());
        assert_eq!(rules(&w, &plan).contains(GAPS), kind == Kind::Machines);
        w.seen.gaps[0].partial = true;
        assert!(!rules(&w, &plan).contains(GAPS));
    }
}

#[test]
fn nothing_gets_a_slot_where_not_all_was_seen() {
    for kind in Kind::ALL {
        let mut w = World::new(2);
        w.settle();
        let id = w.id_of("machines.web/1");
        w.find(&id).tags.retain(|k, _| k != tag::LAUNCH);
        let plan = w.plan();
        w.seen.gaps.push(Gap {
            scope: String::new(),
            kind: Some(kind),
            what: "all".into(),
            failure: Failure::new(Class::Denied, "x", "no"),
            partial: false,
        });
        assert_eq!(rules(&w, &plan).contains(GAPS), kind == Kind::Machines);
    }
}

#[test]
fn nothing_comes_or_goes_in_a_zone_that_is_out() {
    let (mut w, plan) = rolling(3);
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), false);
    assert!(rules(&w, &plan).contains(OUTAGE));
}

#[test]
fn a_slot_is_launched_once_and_not_beside_a_holder_that_stays() {
    let (w, plan) = rolling(3);
    objects(&w, &plan, DOUBLES, |p| {
        let again = p.steps[0].clone();
        p.steps.push(again);
    });
    objects(&w, &plan, DOUBLES, |p| {
        p.changes[0].action = Action::Create;
        p.changes[0].object = None;
    });
    objects(&w, &plan, DOUBLES, |p| {
        let i = at(p, is_terminate);
        p.steps[i].needs.clear();
    });
    let mut fewer = w;
    fewer.desired.machines.get_mut("web").unwrap().count = 2;
    assert!(rules(&fewer, &plan).contains(DOUBLES));
}

#[test]
fn no_order_of_the_steps_goes_below_the_floor() {
    let (w, plan) = rolling(3);
    objects(&w, &plan, FLOOR, |p| {
        let i = at(p, is_terminate);
        p.steps[i].needs.clear();
    });
    objects(&w, &plan, FLOOR, |p| {
        for s in &mut p.steps {
            if let Do::Wait(w) = &mut s.does
                && matches!(w.until, Until::Healthy { .. })
            {
                w.until = Until::Stopped;
            }
        }
    });
}

#[test]
fn machines_stop_one_after_another_as_far_as_the_floor_allows() {
    let mut w = World::new(6);
    w.settle();
    w.desired.policy.max_unavailable = Amount::Count(2);
    w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
    let plan = w.plan();
    assert_eq!(plan.forecast[0].floor, 4);
    objects(&w, &plan, FLOOR, |p| {
        // The third stop no longer waits for the first two.
        let third: Vec<usize> =
            (0..p.steps.len()).filter(|i| matches!(p.steps[*i].does, Do::Call(Call::Stop(_)))).collect();
        p.steps[third[2]].needs.clear();
    });
    objects(&w, &plan, FORECAST, |p| p.forecast[0].floor = 5);
    w.desired.policy.max_unavailable = Amount::Count(1);
    assert!(rules(&w, &plan).contains(FLOOR));
}

#[test]
fn no_order_of_the_steps_lives_beyond_the_surge() {
    let (w, plan) = rolling(30);
    let all = |p: &mut Plan, rule: &dyn Fn(&Do) -> bool| {
        for s in &mut p.steps {
            if rule(&s.does) {
                s.needs.clear();
            }
        }
    };
    objects(&w, &plan, SURGE, |p| all(p, &|d| matches!(d, Do::Call(Call::Launch(_)))));
}

#[test]
fn a_volume_is_attached_behind_a_fence_in_its_own_zone_and_once() {
    let (w, plan) = rolling(3);
    let is_attach = |d: &Do| matches!(d, Do::Call(Call::Attach { .. }));
    let ready = at(&plan, is_wait(Until::Healthy { warm: 60 }));
    objects(&w, &plan, FENCE, |p| {
        let i = at(p, is_attach);
        p.steps[i].needs = vec![u32::try_from(ready).unwrap()];
    });
    objects(&w, &plan, FENCE, |p| launch_mut(p).places[0].zone = "elsewhere".into());
    objects(&w, &plan, FENCE, |p| {
        let again = p.steps[at(p, is_attach)].clone();
        p.steps.push(again);
    });
    let (w, plan) = destroying();
    objects(&w, &plan, FENCE, |p| {
        for s in &mut p.steps {
            if let Do::Wait(w) = &mut s.does
                && w.until == Until::Free
            {
                w.until = Until::Attached;
            }
        }
    });
    objects(&w, &plan, FENCE, |p| {
        let i = at(p, |d| matches!(d, Do::Call(Call::DeleteVolume(_))));
        let Do::Call(Call::DeleteVolume(volume)) = p.steps[i].does.clone() else { unreachable!() };
        p.steps[i].does = Do::Call(Call::Detach { volume, machine: "i-other".into(), device: "/dev/sdf".into() });
    });
}

#[test]
fn a_volume_is_attached_to_a_machine_that_boots_only_after_it_runs() {
    let mut w = settled(2);
    let (machine, data) = (w.id_of("machines.web/1"), w.id_of("volumes.data/1"));
    w.detach(&data);
    w.find(&machine).phase = Phase::Starting;
    w.find(&machine).created = w.at;
    let plan = w.plan();
    let meant = [Target::Id(machine)];
    objects(&w, &plan, FENCE, |p| {
        let wait = at(p, |d| matches!(d, Do::Wait(w) if w.targets == meant));
        if let Do::Wait(w) = &mut p.steps[wait].does {
            w.until = Until::Stopped;
        }
    });
}

#[test]
fn more_than_the_cap_or_the_whole_group_is_refused() {
    let (mut w, plan) = shrinking();
    w.intent.max_deletes = Some(Amount::Count(1));
    assert_eq!(rules(&w, &plan), BTreeSet::from([CAP]));
    let mut w = World::new(3);
    w.settle();
    w.desired.machines.clear();
    (w.intent.allow_empty, w.intent.max_deletes) = (true, Some(Amount::Count(3)));
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 3);
    w.intent.allow_empty = false;
    assert_eq!(rules(&w, &plan), BTreeSet::from([EMPTY]));
}

#[test]
fn data_is_not_deleted_before_its_quarantine_is_over() {
    let mut w = settled(3);
    w.desired.volumes.clear();
    (w.intent.allow_empty, w.intent.max_deletes) = (true, Some(Amount::Count(3)));
    let plan = w.plan();
    w.apply(&plan);
    w.later(8 * 24 * 3600);
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Delete) && plan.changes.len() == 3);
    w.at -= SignedDuration::from_hours(9 * 24);
    assert!(rules(&w, &plan).contains(DATA));
    let (mut w, plan) = destroying();
    w.intent.destroy = false;
    assert!(rules(&w, &plan).contains(DATA), "one run does both only to destroy");
    let (w, plan) = destroying();
    objects(&w, &plan, DATA, |p| {
        for s in &mut p.steps {
            if matches!(s.does, Do::Call(Call::DeleteVolume(_))) {
                s.needs.clear();
            }
        }
    });
}

#[test]
fn the_last_volume_of_a_declared_slot_stays() {
    let (mut w, plan) = shrinking();
    assert!(plan.changes.iter().any(|c| c.action == Action::Quarantine));
    w.desired.machines.get_mut("web").unwrap().count = 4;
    assert!(rules(&w, &plan).contains(DATA));
}

#[test]
fn what_is_launched_without_its_marks_is_refused() {
    let (w, plan) = rolling(3);
    objects(&w, &plan, MARKS, |p| launch_mut(p).stack = "zzz22222".into());
    objects(&w, &plan, MARKS, |p| launch_mut(p).places.clear());
    objects(&w, &plan, MARKS, |p| {
        launch_mut(p).tags.insert("k".into(), "v".repeat(257));
    });
    objects(&w, &plan, MARKS, |p| {
        launch_mut(p).tags.extend((0..50).map(|i| (format!("k{i}"), String::new())));
    });
    objects(&w, &plan, MARKS, |p| {
        launch_mut(p).tags.insert("evenkeel:own".into(), "x".into());
    });
    objects(&w, &plan, GENERATION, |p| launch_mut(p).tag.generation = 1);
}

#[test]
fn marks_are_never_taken_away() {
    let mut w = World::new(1);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().tags.insert("more".into(), "x".into());
    let plan = w.plan();
    let tag = |p: &mut Plan, key: &str, value: &str| {
        for c in calls_mut(p) {
            if let Call::Tag { set, .. } = c {
                set.insert(key.into(), value.into());
            }
        }
    };
    objects(&w, &plan, MARKS, |p| tag(p, tag::STACK, "zzz22222"));
    objects(&w, &plan, MARKS, |p| tag(p, tag::LAUNCH, "g1 s0"));
    objects(&w, &plan, MARKS, |p| tag(p, tag::QUARANTINE, "soon"));
    objects(&w, &plan, MARKS, |p| {
        for c in calls_mut(p) {
            if let Call::Tag { unset, .. } = c {
                unset.push(tag::STACK.into());
            }
        }
    });
}
