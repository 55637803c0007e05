//! Plans for worlds that a person or an interrupted run left half way.

use std::collections::BTreeSet;

use super::*;
use crate::desired::{Lookup, Spread};
use crate::observed::{Answer, Attached, Found, Phase, Reading, Subnet};
use crate::plan::{Call, Do, Step, Target, Until};
use crate::policy::Amount;
use crate::stamp::tag;
use crate::testing::{World, told, volume};

fn position(plan: &Plan, is: impl Fn(&Do) -> bool) -> usize {
    plan.steps.iter().position(|s| is(&s.does)).unwrap_or_else(|| panic!("no such step:\n{}", told(plan)))
}

fn needs(plan: &Plan, step: usize) -> &[u32] {
    &plan.steps[step].needs
}

fn another_type(w: &mut World) {
    w.desired.policy.max_unavailable = Amount::Count(1);
    w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
}

#[test]
fn a_machine_that_was_stopped_for_a_new_type_gets_it_before_it_is_started() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/1");
    another_type(&mut w);
    w.find(&id).phase = Phase::Stopped;
    let plan = w.plan();
    let change = position(&plan, |d| matches!(d, Do::Call(Call::Change { id: of, .. }) if *of == id));
    let start = position(&plan, |d| matches!(d, Do::Call(Call::Start(ids)) if ids.contains(&id)));
    assert!(needs(&plan, start).contains(&(change as u32)), "EC2 changes the type of a stopped machine only");
    w.apply(&plan);
    w.settle();
    assert_eq!(w.id_of("machines.web/1"), id);
}

#[test]
fn a_machine_on_its_way_to_stopped_is_waited_for_and_started_and_keeps_its_disks() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/1");
    w.find(&id).phase = Phase::Stopping;
    let plan = w.plan();
    assert_eq!(plan.changes.iter().map(|c| c.action).collect::<Vec<_>>(), [Action::Update]);
    let stopped = position(&plan, |d| matches!(d, Do::Wait(w) if w.until == Until::Stopped));
    let start = position(&plan, |d| matches!(d, Do::Call(Call::Start(_))));
    assert!(needs(&plan, start).contains(&(stopped as u32)));
    w.remember();
    w.later(1000);
    assert_eq!(w.plan().changes[0].action, Action::Replace, "one that never stops is stuck");
}

#[test]
fn an_unwell_machine_waits_for_the_successor_that_an_interrupted_run_launched() {
    let mut w = World::new(3);
    w.settle();
    let old = w.id_of("machines.web/1");
    w.intent.replace = BTreeSet::from(["machines.web/1".parse().unwrap()]);
    let plan = w.plan();
    let end = position(&plan, |d| matches!(d, Do::Call(Call::Terminate(_))));
    w.apply_but(&plan, &BTreeSet::from([end - 1]));
    w.intent = Intent::default();
    let new = w.seen.objects.last().unwrap().id.clone();
    assert_ne!(new, old);
    w.find(&old).signals[1].reading = Reading::Bad;
    waits_for(&w.plan(), &old, &new);
    for id in [&old, &new] {
        w.find(id).signals.iter_mut().for_each(|s| s.reading = Reading::NoData);
    }
    waits_for(&w.plan(), &old, &new);
}

fn waits_for(plan: &Plan, old: &str, new: &str) {
    let (old, new) = (old.to_owned(), new.to_owned());
    let end = position(plan, |d| matches!(d, Do::Call(Call::Terminate(ids)) if ids.contains(&old)));
    let waits =
        |n: &u32| matches!(&plan.steps[*n as usize].does, Do::Wait(w) if w.targets == [Target::Id(new.clone())]);
    assert!(needs(plan, end).iter().any(waits), "it may be working still:\n{}", told(plan));
}

#[test]
fn a_wish_of_the_launch_that_nothing_shows_is_seen_to_move_in_the_file() {
    let mut w = World::new(2);
    let hide = |w: &mut World| w.seen.objects.iter_mut().for_each(|o| drop(o.fields.remove("public-ip")));
    w.settle();
    hide(&mut w);
    assert!(w.plan().is_empty());
    w.desired.machines.get_mut("web").unwrap().public_ip = Some(true);
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Replace) && plan.changes.len() == 2, "{}", told(&plan));
    w.apply(&plan);
    hide(&mut w);
    let plan = w.plan();
    assert!(plan.is_empty() && plan.unread.is_empty(), "{}", told(&plan));
}

#[test]
fn a_copy_of_a_volume_at_a_strangers_machine_does_not_oust_the_original() {
    let mut w = World::new(1);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let id = w.id_of("volumes.data/0");
    let mut copy = w.find(&id).clone();
    copy.id = "vol-copy".into();
    copy.created = w.at;
    copy.zone = "b".into();
    copy.attached = Some(Attached { to: "i-stranger".into(), device: "/dev/sdf".into(), settled: true });
    w.seen.objects.push(copy);
    w.detach(&id);
    let plan = w.plan();
    let quarantined: Vec<_> = plan.changes.iter().filter(|c| c.action == Action::Quarantine).collect();
    assert!(quarantined.iter().all(|c| c.object.as_deref() == Some("vol-copy")), "{}", told(&plan));
    assert!(plan.changes.iter().any(|c| c.action == Action::Attach && c.object.as_ref() == Some(&id)));
    assert!(!plan.changes.iter().any(|c| c.action == Action::Replace), "the machine does not follow the copy");
}

#[test]
fn destroy_leaves_a_protected_machine_its_data() {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let (machine, data) = (w.id_of("machines.web/1"), w.id_of("volumes.data/1"));
    w.find(&machine).tags.insert(tag::PROTECT.into(), "true".into());
    w.intent.destroy = true;
    let plan = w.plan();
    assert!(!plan.changes.iter().any(|c| c.object.as_ref() == Some(&data)), "{}", told(&plan));
    let held = plan.held.iter().find(|h| h.change.object.as_ref() == Some(&data)).unwrap();
    assert_eq!((held.by, held.waits_for.contains("unprotect machines.web/1")), (Hold::Protection, true));
    assert_eq!(plan.changes.len(), 2, "the other machine and its volume go");
}

#[test]
fn a_subnet_that_lost_its_tag_moves_no_machine() {
    let mut w = World::new(3);
    let spread = Spread::SubnetsTagged("tier".into(), None);
    let subnet = |z: &str| Subnet { id: format!("subnet-{z}"), zone: z.into(), vpc: "vpc-1".into(), free: 100 };
    let found = |zones: &[&str]| Found::Subnets(zones.iter().map(|z| subnet(z)).collect());
    w.desired.machines.get_mut("web").unwrap().spread = spread.clone();
    w.seen.lookups.push(Answer {
        scope: String::new(),
        asked: Lookup::Subnets(spread),
        found: found(&["a", "b", "c"]),
    });
    w.settle();
    w.seen.lookups[1].found = found(&["a", "b"]);
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.is_empty(), "{}", told(&plan));
    assert_eq!(plan.notes.iter().map(|n| n.kind.as_str()).collect::<Vec<_>>(), ["outdated"]);
    let gone = w.id_of("machines.web/2");
    w.kill(&gone);
    let of = |s: &Step| match &s.does {
        Do::Call(Call::Launch(l)) => Some(l.places[0].zone.clone()),
        Do::Call(_) | Do::Wait(_) => None,
    };
    let zones: Vec<String> = w.plan().steps.iter().filter_map(of).collect();
    assert!(zones == ["a"] || zones == ["b"], "{zones:?}");
}

#[test]
fn what_was_not_asked_for_is_held_for_that_reason_alone() {
    let mut w = World::new(1);
    let other = crate::testing::group(1);
    w.desired
        .machines
        .insert("db".into(), crate::desired::MachineGroup { security_groups: vec!["none".into()], ..other });
    assert_eq!(w.plan().held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Unresolved]);
    let web = globset::Glob::new("machines.web*").unwrap();
    w.intent.target = Some(GlobSet::new([web]).unwrap());
    let plan = w.plan();
    assert_eq!(plan.held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Filter]);
    assert_eq!(plan.changes.len(), 1);
}

/// The step that waits until a machine runs.
fn runs(plan: &Plan, id: &str) -> usize {
    let meant = [Target::Id(id.to_owned())];
    position(plan, |d| matches!(d, Do::Wait(w) if w.until == Until::Running && w.targets == meant))
}

/// The plan attaches a volume, and not before this machine runs.
fn attaches_once_it_runs(plan: &Plan, machine: &str) {
    let attach = position(plan, |d| matches!(d, Do::Call(Call::Attach { .. })));
    assert!(needs(plan, attach).contains(&(runs(plan, machine) as u32)), "{}", told(plan));
}

/// Two machines with a volume each, settled.
fn two_with_data() -> World {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    w
}

/// A machine that an earlier run launched and that boots.
fn boots(w: &mut World, id: &str) {
    let at = w.at;
    let machine = w.find(id);
    machine.phase = Phase::Starting;
    machine.created = at;
    machine.signals.iter_mut().for_each(|s| s.reading = Reading::NoData);
}

#[test]
fn a_volume_is_brought_to_a_machine_that_boots_once_it_runs() {
    let mut w = two_with_data();
    let (machine, data) = (w.id_of("machines.web/1"), w.id_of("volumes.data/1"));
    w.detach(&data);
    boots(&mut w, &machine);
    let plan = w.plan();
    attaches_once_it_runs(&plan, &machine);
    w.apply(&plan);
    w.settle();
}

#[test]
fn a_new_volume_goes_to_a_machine_that_boots_once_it_runs() {
    let mut w = two_with_data();
    let (machine, data) = (w.id_of("machines.web/1"), w.id_of("volumes.data/1"));
    w.seen.objects.retain(|o| o.id != data);
    boots(&mut w, &machine);
    let plan = w.plan();
    attaches_once_it_runs(&plan, &machine);
    w.apply(&plan);
    w.settle();
}

#[test]
fn what_a_dead_machine_held_goes_to_a_successor_that_boots_once_it_runs() {
    let mut w = two_with_data();
    let old = w.id_of("machines.web/1");
    w.intent.replace = BTreeSet::from(["machines.web/1".parse().unwrap()]);
    let plan = w.plan();
    let end = position(&plan, |d| matches!(d, Do::Call(Call::Terminate(_))));
    w.apply_but(&plan, &BTreeSet::from([end - 1]));
    w.intent = Intent::default();
    let new = w.seen.objects.iter().rfind(|o| o.kind == crate::address::Kind::Machines).unwrap().id.clone();
    w.find(&old).phase = Phase::Stopped;
    boots(&mut w, &new);
    let plan = w.plan();
    attaches_once_it_runs(&plan, &new);
}

#[test]
fn a_volume_is_brought_to_a_machine_that_is_started_once_it_is_up() {
    let mut w = two_with_data();
    let (machine, data) = (w.id_of("machines.web/1"), w.id_of("volumes.data/1"));
    w.detach(&data);
    w.find(&machine).phase = Phase::Stopped;
    let plan = w.plan();
    let start = position(&plan, |d| matches!(d, Do::Call(Call::Start(_))));
    let attach = position(&plan, |d| matches!(d, Do::Call(Call::Attach { .. })));
    let up =
        |n: &u32| matches!(plan.steps[*n as usize].does, Do::Wait(_)) && needs(&plan, *n as usize) == [start as u32];
    assert!(needs(&plan, attach).iter().any(up), "EC2 refuses it while it boots:\n{}", told(&plan));
}

#[test]
fn what_starts_is_not_lived_on_unless_the_plan_waits_for_it() {
    let mut w = World::new(3);
    w.settle();
    let left = |plan: &Plan| (plan.forecast[0].after, plan.forecast[0].left_after_machine);
    assert_eq!(left(&w.plan()), (3, 2));
    let id = w.id_of("machines.web/1");
    boots(&mut w, &id);
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    assert_eq!(left(&plan), (3, 1), "it may come to nothing");
    // One that this plan launches is waited for, and the run says so where it does not come.
    w.kill(&id);
    assert_eq!(left(&w.plan()), (3, 2));
}

#[test]
fn who_is_on_its_way_up_is_named_with_the_end_of_its_time() {
    let mut w = World::new(3);
    w.settle();
    let coming = |w: &World| {
        let seen = w.look();
        let ask = Ask { desired: &w.desired, observed: &seen, history: &w.past, intent: &w.intent, now: w.at };
        coming(&ask).into_iter().map(|(a, c)| (a.to_string(), c.deadline)).collect::<Vec<_>>()
    };
    assert_eq!(coming(&w), []);
    let (one, two) = (w.id_of("machines.web/1"), w.id_of("machines.web/2"));
    boots(&mut w, &one);
    boots(&mut w, &two);
    w.find(&two).phase = Phase::Up;
    let all = coming(&w);
    assert_eq!(all.iter().map(|(a, _)| a.as_str()).collect::<Vec<_>>(), ["machines.web/1", "machines.web/2"]);
    assert!(all.iter().all(|(_, until)| *until > w.at), "{all:?}");
    w.intent.target = Some(GlobSet::new([globset::Glob::new("machines.web/2").unwrap()]).unwrap());
    assert_eq!(coming(&w).len(), 1, "who was not asked for is not waited for");
    w.intent = Intent { destroy: true, ..Intent::default() };
    assert_eq!(coming(&w), []);
    w.intent = Intent::default();
    w.later(7200);
    assert_eq!(coming(&w), [], "its time is over");
    // A group that is content with running machines does not wait for their checks.
    boots(&mut w, &two);
    w.find(&two).phase = Phase::Up;
    w.desired.machines.get_mut("web").unwrap().wait = crate::desired::WaitFor::Running;
    assert_eq!(coming(&w), []);
}
