//! What the volumes of one group should become. They hold data: none is ever replaced, and none goes in one step.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::admit::full_look;
use super::{Candidate, Draft, moved, reasons};
use crate::address::{Address, Group, Kind};
use crate::desired::{Layout, VolumeGroup};
use crate::expected;
use crate::health::moment;
use crate::launch::Place;
use crate::lessons::then_rests;
use crate::observed::Phase;
use crate::place::{self, Domain};
use crate::plan::{Action, Hold, Reason, Why};
use crate::shared::Shared;
use crate::stamp::{Vector, tag};
use crate::survey::{GroupSurvey, Member};
use crate::value::{Fields, Value};

/// All wishes for the volumes of `group`.
pub(super) fn wishes<'a>(draft: &mut Draft<'a>, group: &Group) -> Vec<Candidate<'a>> {
    let survey = draft.survey.group(group);
    let declared = draft.ask.desired.volumes.get(&group.name).filter(|_| !draft.ask.intent.destroy);
    let Some(declared) = declared else {
        let why = if draft.ask.intent.destroy {
            Reason { why: Why::Asked, says: "destroy".into() }
        } else {
            Reason { why: Why::Declared, says: "no longer in the file".into() }
        };
        let members: Vec<_> = survey.members().map(|(s, m)| (s, m.clone())).collect();
        return members.into_iter().filter_map(|(s, m)| leave(draft, &group.slot(s), &m, why.clone())).collect();
    };
    let fields = Shared::from(expected::volumes(draft.ask.desired, &group.name, declared));
    let vector = Shared::from(Vector::of(Kind::Volumes, draft.key(), &fields));
    let count = match &declared.layout {
        Layout::Replicas { count, .. } => *count,
        Layout::For(machines) => draft.ask.desired.machines.get(&machines.name).map_or(0, |g| g.count),
    };
    if moved::holds(draft, group, count) {
        return vec![];
    }
    let mut out = Vec::new();
    let beyond: Vec<_> = survey.members().filter(|(s, _)| *s >= count).map(|(s, m)| (s, m.clone())).collect();
    for (slot, m) in beyond {
        let why = Reason { why: Why::Declared, says: format!("only {count} are in the file") };
        match last_copy(draft, declared, survey, count, &m) {
            None => out.extend(leave(draft, &group.slot(slot), &m, why)),
            Some(until) => {
                let mut change = draft.change(&group.slot(slot), Action::Quarantine, vec![why]);
                change.object = Some(m.object.id.clone());
                change.zone.clone_from(&m.object.zone);
                change.what = size(&m.object.fields);
                draft.look_again_by(Some(until));
                let words = format!(
                    "a copy of its data: those that stay are younger and may be empty; it goes from {}",
                    moment(until)
                );
                draft.hold(change, Hold::Time, words);
            }
        }
    }
    let zones = match zones(draft, group, declared, survey, count) {
        Ok(zones) => zones,
        Err(says) => {
            let change =
                draft.change(&group.slot(0), Action::Create, vec![Reason { why: Why::Declared, says: says.clone() }]);
            draft.hold(change, Hold::Unresolved, says);
            return out;
        }
    };
    for slot in 0..count {
        let address = group.slot(slot);
        let mut claimants: Vec<Member<'a>> = survey.alive(slot).cloned().collect();
        let home = match &declared.layout {
            Layout::For(machines) => draft.zones.get(&machines.slot(slot)),
            Layout::Replicas { .. } => None,
        };
        // What is in use by this stack keeps the slot; then what is not condemned; then what is in its machine's zone;
        // the oldest. A copy at a stranger's machine (a restored backup bears our tags) does not oust the original.
        claimants.sort_by_key(|m| {
            let o = m.object;
            let idle = o.attached.as_ref().is_none_or(|at| !draft.survey.knows(&at.to));
            let apart = home.is_some_and(|z| *z != o.zone);
            (idle, m.quarantined_until().is_some(), apart, o.created, o.id.clone())
        });
        let mut claimants = claimants.into_iter();
        match claimants.next() {
            None => {
                let Some(zone) = zones.get(&slot) else {
                    let missing = Reason { why: Why::Declared, says: format!("{count} in the file") };
                    let change = draft.change(&address, Action::Create, vec![missing]);
                    let (by, says) = nowhere(draft, declared, slot);
                    draft.hold(change, by, says);
                    continue;
                };
                // Where volumes were not all seen it may well bear our marks; the new one waits for a full look.
                let all = draft.ask.observed.sees_all(&declared.scope, Kind::Volumes);
                if let Some((id, machine)) = unmarked(draft, declared, slot).filter(|_| all) {
                    let missing = Reason { why: Why::Declared, says: format!("{count} in the file") };
                    let change = draft.change(&address, Action::Create, vec![missing]);
                    let words =
                        format!("a person: {id} hangs there at {machine} without this stack's marks; detach it");
                    draft.hold(change, Hold::Foreign, words);
                    continue;
                }
                out.extend(vacant(draft, survey, &address, &fields, &vector, zone, count));
            }
            Some(keeper) => {
                for other in claimants {
                    let says = format!("{} keeps the slot", keeper.object.id);
                    let why = Reason { why: Why::Duplicate, says };
                    // Data in use is nobody's double: its marks are wrong, and only a person knows how.
                    if let Some(at) = &other.object.attached {
                        let mut change = draft.change(&address, Action::Quarantine, vec![why]);
                        change.object = Some(other.object.id.clone());
                        change.zone.clone_from(&other.object.zone);
                        change.what = size(&other.object.fields);
                        let words = format!("a person: it is in use at {} and bears the marks of this slot", at.to);
                        draft.hold(change, Hold::Foreign, words);
                        continue;
                    }
                    out.extend(leave(draft, &address, &other, why));
                }
                out.extend(kept(draft, declared, &address, &keeper, &fields, &vector));
            }
        }
    }
    out
}

/// Until when a replica that the file no longer has stays, because each one that is to stay in its stead was made after it,
/// and not long ago: an empty one has taken the place of one that is lost. As long as a quarantine takes.
fn last_copy(
    draft: &Draft<'_>,
    declared: &VolumeGroup,
    survey: &GroupSurvey<'_>,
    count: u32,
    m: &Member<'_>,
) -> Option<Timestamp> {
    if !matches!(declared.layout, Layout::Replicas { .. }) || count == 0 {
        return None;
    }
    let policy = &draft.ask.desired.policy;
    let span = |seconds: u64| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let stay = (0..count).flat_map(|slot| survey.alive(slot)).filter(|k| k.quarantined_until().is_none());
    let oldest = stay.map(|k| k.object.created).min().unwrap_or(draft.ask.now);
    let until = oldest.checked_add(span(policy.quarantine)).unwrap_or(Timestamp::MAX);
    let younger = oldest.duration_since(m.object.created) > span(policy.grace);
    (younger && (until > draft.ask.now || oldest == draft.ask.now)).then_some(until)
}

/// Why a volume has no zone: for the reason that its machine has none, where it has a machine.
fn nowhere(draft: &Draft<'_>, declared: &VolumeGroup, slot: u32) -> (Hold, String) {
    match &declared.layout {
        Layout::For(machines) => {
            let machine = machines.slot(slot);
            match draft.held.iter().find(|h| h.change.address == machine) {
                Some(held) => (held.by, format!("{}, which waits for {}", machine.short(), held.waits_for)),
                None => (Hold::Unresolved, format!("{} has no place", machine.short())),
            }
        }
        Layout::Replicas { .. } => (Hold::Outage, "a zone that is well".into()),
    }
}

/// A volume that is not ours by its marks and hangs where the volume of this slot belongs: most likely ours all the
/// same, with its tags taken away. An empty one must not take its place. Its id and its machine's.
fn unmarked(draft: &Draft<'_>, declared: &VolumeGroup, slot: u32) -> Option<(String, String)> {
    let Layout::For(machines) = &declared.layout else { return None };
    let survey = draft.survey.groups.get(&machines.clone())?;
    let there = |m: &Member<'_>| {
        let id = m.object.links.get(&declared.device)?;
        (!draft.survey.knows(id)).then(|| (id.clone(), m.object.id.clone()))
    };
    survey.alive(slot).find_map(there)
}

/// Zone of every slot that can have one: where its volume is, where its machine is or will be, else even.
fn zones(
    draft: &Draft<'_>,
    group: &Group,
    declared: &VolumeGroup,
    survey: &GroupSurvey<'_>,
    count: u32,
) -> Result<BTreeMap<u32, String>, String> {
    let mut zone: BTreeMap<u32, String> = BTreeMap::new();
    for slot in 0..count {
        zone.extend(survey.alive(slot).next().map(|m| (slot, m.object.zone.clone())));
    }
    match &declared.layout {
        Layout::For(machines) => {
            for slot in 0..count {
                if let Some(z) = draft.zones.get(&machines.slot(slot)) {
                    zone.entry(slot).or_insert_with(|| z.clone());
                }
            }
        }
        Layout::Replicas { spread, .. } => {
            let places = expected::places(&declared.scope, spread, draft.ask.observed)
                .map_err(|says| draft.ask.desired.placed(group, expected::key_of(spread), &says))?;
            let impaired = draft.survey.situations.get(&declared.scope).map(|s| s.impaired.clone()).unwrap_or_default();
            let names: std::collections::BTreeSet<String> =
                places.into_iter().map(|p: Place| p.zone).filter(|z| !impaired.contains_key(z)).collect();
            let counted = |z: &String| zone.values().filter(|at| *at == z).count() as u32;
            let now: BTreeMap<String, u32> = names.iter().map(|z| (z.clone(), counted(z))).collect();
            let domains: Vec<Domain> =
                now.iter().map(|(z, n)| Domain { name: z.clone(), count: *n, floor: *n, cap: None }).collect();
            let elsewhere = zone.values().filter(|z| !names.contains(*z)).count() as u32;
            let placement = place::place(&domains, count - elsewhere.min(count), draft.ask.desired.policy.balance.skew);
            let target = domains.iter().zip(&placement.target).map(|(d, t)| (d.name.clone(), *t)).collect();
            let vacant: Vec<u32> = (0..count).filter(|s| !zone.contains_key(s)).collect();
            zone.extend(place::assign(&now, &vacant, &target));
        }
    }
    Ok(zone)
}

fn size(fields: &Fields) -> String {
    fields.get("size").and_then(Value::int).map(|n| format!("{n}GiB")).unwrap_or_default()
}

/// Two steps: quarantine with a date first, the end later. `destroy` takes both in one run.
fn leave<'a>(draft: &mut Draft<'a>, address: &Address, member: &Member<'a>, why: Reason) -> Option<Candidate<'a>> {
    if !member.object.tags.contains_key(tag::STACK) {
        return Some(marked_first(draft, address, member));
    }
    let until = member.quarantined_until();
    let gone = draft.ask.intent.destroy || until.is_some_and(|at| at <= draft.ask.now);
    let action = if gone { Action::Delete } else { Action::Quarantine };
    let mut change = draft.change(address, action, vec![why]);
    change.object = Some(member.object.id.clone());
    change.zone.clone_from(&member.object.zone);
    change.what = size(&member.object.fields);
    if let (Some(at), false) = (until, gone) {
        draft.look_again_by(Some(at));
        change.action = Action::Delete;
        draft.hold(
            change,
            Hold::Quarantine,
            format!("the end of its quarantine at {}; putting it back cancels", moment(at)),
        );
        return None;
    }
    if let Some(at) = member.object.attached.as_ref().filter(|at| gone && !draft.survey.knows(&at.to)) {
        if let Some(says) = unseen(draft, member) {
            draft.hold(change, Hold::Blind, says);
            return None;
        }
        let says = format!("a person: it hangs at {}, which is not this stack's; detach it there", at.to);
        draft.hold(change, Hold::Foreign, says);
        return None;
    }
    let keep = SignedDuration::from_secs(i64::try_from(draft.ask.desired.policy.quarantine).unwrap_or(i64::MAX));
    let end = draft.ask.now.checked_add(keep).unwrap_or(Timestamp::MAX);
    change.how = if gone { "delete".into() } else { format!("kept until {}, then deleted", moment(end)) };
    Some(Candidate::new(change, Some(member.clone())))
}

/// The machine that a volume hangs at was not seen, and not all were: nobody knows whose it is. What is waited for.
fn unseen(draft: &Draft<'_>, member: &Member<'_>) -> Option<String> {
    let at = member.object.attached.as_ref()?;
    let seen = draft.ask.observed.object(&at.to).is_some();
    full_look(draft, &member.object.scope, Kind::Machines).filter(|_| !seen)
}

/// What goes must be findable until it is gone: a volume without marks gets them back, and goes in the next plan.
fn marked_first<'a>(draft: &mut Draft<'a>, address: &Address, member: &Member<'a>) -> Candidate<'a> {
    let says = "its marks were taken away; they come back before it goes".into();
    let mut change = draft.change(address, Action::Restamp, vec![Reason { why: Why::Drifted, says }]);
    change.object = Some(member.object.id.clone());
    change.zone.clone_from(&member.object.zone);
    change.what = size(&member.object.fields);
    Candidate::new(change, Some(member.clone()))
}

fn vacant<'a>(
    draft: &mut Draft<'a>,
    survey: &GroupSurvey<'a>,
    address: &Address,
    fields: &Fields,
    vector: &Shared<Vector>,
    zone: &str,
    count: u32,
) -> Option<Candidate<'a>> {
    let history = draft.ask.history;
    let last = survey.slots.get(&address.slot).and_then(|all| all.first()).map(|m| m.object.id.as_str());
    // EC2 does not list a deleted volume for long; what earlier looks saw here is gone all the same.
    let last = last.or_else(|| history.slots.get(address).map(String::as_str)).filter(|id| !history.lessons.ended(id));
    // Not seen is not gone.
    let last = last.filter(|_| draft.ask.observed.sees_all(&survey.scope, Kind::Volumes));
    let reason = match last {
        Some(id) => Reason { why: Why::Drifted, says: format!("{id} is gone") },
        None => Reason { why: Why::Declared, says: format!("{count} in the file") },
    };
    let mut change = draft.change(address, Action::Create, vec![reason]);
    change.zone = zone.to_owned();
    change.what = size(fields);
    if draft.holds_occupied(&change) {
        return None;
    }
    let mut c = Candidate::new(change, None);
    c.vector = vector.clone();
    c.lineage.generation = survey.newest(address.slot) + 1;
    c.place = Some(Place { zone: zone.to_owned(), subnet: None });
    Some(c)
}

fn kept<'a>(
    draft: &mut Draft<'a>,
    declared: &VolumeGroup,
    address: &Address,
    keeper: &Member<'a>,
    fields: &Shared<Fields>,
    vector: &Shared<Vector>,
) -> Vec<Candidate<'a>> {
    let mut out = Vec::new();
    // A device name means something only while it hangs.
    let left_out = keeper.object.attached.is_none().then_some("device");
    let (key, live) = (draft.key(), &keeper.object.fields);
    let differences = draft.compared.diff(left_out, Kind::Volumes, key, fields, live, keeper.vector.as_ref());
    super::silent::encrypted(draft, &address.group, &differences);
    let shown = draft.field_changes(&differences);
    let make = |draft: &Draft<'a>, action: Action, why: Vec<Reason>| {
        let mut change = draft.change(address, action, why);
        change.object = Some(keeper.object.id.clone());
        change.zone.clone_from(&keeper.object.zone);
        change.what = size(&keeper.object.fields);
        change
    };
    if keeper.quarantined_until().is_some() {
        let why = Reason { why: Why::Declared, says: "is in the file again; its quarantine ends".into() };
        out.push(Candidate::new(make(draft, Action::Release, vec![why]), Some(keeper.clone())));
    }
    let mut fixed = differences.fields.iter().find_map(crate::diff::Difference::forces_replacement);
    let mut why = reasons(&shown);
    if let Layout::Replicas { spread, .. } = &declared.layout
        && let Ok(places) = expected::places(&declared.scope, spread, draft.ask.observed)
        && spread.is_written()
        && places.iter().all(|p| p.zone != keeper.object.zone)
    {
        why.push(super::seats::no_longer(&keeper.object.zone));
        fixed = fixed.or_else(|| Some("a volume cannot move".into()));
    }
    if let Some(fixed) = fixed {
        let mut change = make(draft, Action::Replace, why);
        change.fields = shown;
        draft.hold(change, Hold::Protection, format!("a person: it holds data and {fixed}; copy it to a new group"));
    } else if !differences.fields.is_empty() {
        let mut change = make(draft, Action::Update, reasons(&shown));
        change.fields = shown;
        let moves = differences.fields.iter().any(|d| d.field.name == "device");
        if moves {
            draft.hold(change, Hold::Unresolved, "a new device name needs a detach: `--replace` its machine");
        } else {
            if differences.modify_a_volume() {
                change.how = then_rests();
            }
            let mut c = Candidate::new(change, Some(keeper.clone()));
            (c.differences, c.vector) = (differences, vector.clone());
            out.push(c);
        }
    } else if differences.restamp || keeper.vector.is_none() || off(draft, address, keeper) {
        let why = super::needs::stamp_why(draft, keeper);
        let why = Reason { why, says: super::needs::stamp_reason(draft, keeper, &differences) };
        let mut c = Candidate::new(make(draft, Action::Restamp, vec![why]), Some(keeper.clone()));
        c.vector = vector.clone();
        out.push(c);
    }
    if let Layout::For(machines) = &declared.layout {
        out.extend(homeless(draft, &machines.slot(address.slot), keeper, &make));
    }
    out
}

fn off(draft: &Draft<'_>, address: &Address, keeper: &Member<'_>) -> bool {
    let tags = &keeper.object.tags;
    keeper.launch.is_none()
        || tags.get(tag::STACK).is_none_or(|s| *s != draft.ask.desired.stack.id)
        || tags.get(tag::ADDRESS).is_none_or(|a| *a != address.group.to_string())
}

/// The machine of this stack that a bound volume hangs at, in the same slot of another group: where it hung while the
/// file bound it to that group. No mark remembers `for`, so a hand that moved it just there is taken for the file.
pub(super) fn formerly(draft: &Draft<'_>, volume: &Member<'_>, machine: &Address) -> Option<Address> {
    let at = volume.object.attached.as_ref()?;
    let machines = draft.survey.groups.iter().filter(|(g, _)| g.kind == Kind::Machines && **g != machine.group);
    let holds = |(g, s): (&Group, &GroupSurvey<'_>)| {
        let there = s.alive(machine.slot).any(|m| m.object.id == at.to);
        there.then(|| g.slot(machine.slot))
    };
    machines.into_iter().find_map(holds)
}

/// A bound volume that does not hang at its slot's machine, where nothing else in the plan will bring it there.
fn homeless<'a>(
    draft: &mut Draft<'a>,
    machine: &Address,
    keeper: &Member<'a>,
    make: &dyn Fn(&Draft<'a>, Action, Vec<Reason>) -> crate::plan::Change,
) -> Option<Candidate<'a>> {
    let claimants: Vec<Member<'a>> = draft.survey.alive(machine).cloned().collect();
    if let Some(at) = &keeper.object.attached {
        if claimants.iter().any(|m| m.object.id == at.to) {
            return None;
        }
        if unseen(draft, keeper).is_some() {
            // It hangs where it should, as far as anybody knows; the gap itself is told.
            return None;
        }
        let holder = draft.ask.observed.object(&at.to);
        if holder.is_none_or(|h| h.phase.alive()) {
            let (why, words) = match formerly(draft, keeper, machine) {
                Some(old) => (
                    Reason { why: Why::Declared, says: format!("{} → {}", old.short(), machine.short()) },
                    format!("a person: it is in use at {} ({}); detach it there", old.short(), at.to),
                ),
                None => (
                    Reason { why: Why::Drifted, says: format!("hangs at {}, not at {}", at.to, machine.short()) },
                    format!("a person: {} is not of this slot; detach it there", at.to),
                ),
            };
            let change = make(draft, Action::Attach, vec![why]);
            draft.hold(change, Hold::Foreign, words);
            return None;
        }
    }
    // With one claimant it goes there, with none to the one that this plan launches; with several the hand-over
    // brings it to the successor.
    let home = match claimants.as_slice() {
        [] => None,
        // In another zone it cannot be reached: the machine that will be launched here gets it.
        [one] if one.object.zone != keeper.object.zone => None,
        [one] if one.object.phase != Phase::Stopping => Some(one.object.id.clone()),
        _ => return None,
    };
    let id = home.as_ref().map_or(String::new(), |id| format!(" ({id})"));
    // Nothing in a file takes a volume from its machine: either the world did, or it was never brought there, as far as
    // anybody here remembers.
    let slots = draft.survey.groups.get(&machine.group).and_then(|g| g.slots.get(&machine.slot));
    let lost = home.is_none() && slots.is_some_and(|all| all.iter().any(|m| !m.alive()));
    let young = draft.ask.now.duration_since(keeper.object.created).as_secs()
        <= i64::try_from(draft.ask.desired.policy.grace).unwrap_or(i64::MAX);
    let never = young && !draft.ask.history.hung.contains(&keeper.object.id);
    let why = match (lost, never || keeper.quarantined_until().is_some()) {
        (true, _) => Why::Unhealthy,
        (false, true) => Why::Declared,
        (false, false) => Why::Drifted,
    };
    let says = format!("belongs to {}{id}", machine.short());
    let change = make(draft, Action::Attach, vec![Reason { why, says }]);
    let mut c = Candidate::new(change, Some(keeper.clone()));
    c.successor = home;
    Some(c)
}
