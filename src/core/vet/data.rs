//! Data: attached behind a fence, deleted in two steps, and never by the dozen.
//!
//! It refuses to weigh reasons: it looks at what the steps would do to volumes, and counts what goes.

use std::collections::{BTreeMap, BTreeSet};

use super::owners::Own;
use super::{CAP, Case, DATA, EMPTY, FENCE, Objections, is_id};
use crate::address::{Group, Kind};
use crate::desired::{Layout, is_cluster};
use crate::observed::Phase;
use crate::plan::{Action, Call, Do, Target, Until, Wait};
use crate::stamp::tag;

/// P9: one holder at a time, in its own zone.
pub(super) fn fence(case: &Case<'_>, out: &mut Objections) {
    let mut attached: BTreeMap<&Target, u32> = BTreeMap::new();
    for (i, _, call) in case.calls() {
        match call {
            Call::Attach { volume, machine, .. } => {
                if attached.insert(volume, i).is_some() {
                    out.step(FENCE, i, format!("{volume:?} is attached twice"));
                }
                let (v, m) = (zones(case, volume), zones(case, machine));
                if v.is_empty() || m.is_empty() || v.iter().chain(&m).any(|z| *z != v[0]) {
                    out.step(FENCE, i, format!("{volume:?} in {v:?} is attached to {machine:?} in {m:?}"));
                }
                if let Some(says) = unfenced(case, i, volume, machine) {
                    out.step(FENCE, i, says);
                }
                if boots(case, machine) && !case.after_wait(i, machine, up) {
                    out.step(FENCE, i, format!("{machine:?} is not waited for before a volume is attached to it"));
                }
            }
            Call::Detach { volume, machine, device } => {
                let at = case.own.get(volume.as_str()).and_then(|o| o.object.attached.as_ref());
                if at.is_none_or(|a| a.to != *machine || a.device != *device) {
                    out.step(FENCE, i, format!("{volume} does not hang at {machine} as {device}"));
                }
            }
            Call::DeleteVolume(id) => {
                let hangs = case.own.get(id.as_str()).is_some_and(|o| o.object.attached.is_some());
                if hangs && !free_before(case, i, id) {
                    out.step(FENCE, i, format!("{id} hangs and is deleted before it is free"));
                }
            }
            Call::Launch(_)
            | Call::Terminate(_)
            | Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::CreateVolume(_)
            | Call::Object(_) => {}
        }
    }
}

/// A machine that is made, or that boots: EC2 attaches nothing to it before it is up.
fn boots(case: &Case<'_>, machine: &Target) -> bool {
    match machine {
        Target::New(_) => true,
        Target::Id(id) => case.object(id).is_some_and(|o| o.phase == Phase::Starting),
    }
}

/// A wait after which its targets are up.
fn up(wait: &Wait) -> bool {
    match wait.until {
        Until::Running | Until::Healthy { .. } => true,
        Until::Stopped
        | Until::Terminated
        | Until::Free
        | Until::Attached
        | Until::Deleted
        | Until::Ready
        | Until::Joined
        | Until::Drained(_) => false,
    }
}

/// Zones where a target stands or may come to stand.
fn zones<'c>(case: &'c Case<'_>, target: &Target) -> Vec<&'c str> {
    match target {
        Target::Id(id) => case.object(id).map(|o| o.zone.as_str()).into_iter().collect(),
        Target::New(a) => {
            let made = case.made.get(a).into_iter().flatten();
            made.flat_map(|i| match &case.plan.steps[*i as usize].does {
                Do::Call(Call::Launch(l)) => l.places.iter().map(|p| p.zone.as_str()).collect(),
                Do::Call(Call::CreateVolume(v)) => vec![v.zone.as_str()],
                Do::Call(_) | Do::Wait(_) => vec![],
            })
            .collect()
        }
    }
}

fn free_before(case: &Case<'_>, step: u32, volume: &str) -> bool {
    case.after_wait(step, &Target::Id(volume.to_owned()), |w| w.until == Until::Free)
}

/// Why an attach is not behind a fence, if so.
fn unfenced(case: &Case<'_>, step: u32, volume: &Target, machine: &Target) -> Option<String> {
    let Target::Id(id) = volume else { return None };
    let holder = &case.object(id)?.attached.as_ref()?.to;
    if is_id(machine, holder) {
        return Some(format!("{id} hangs at {holder} already"));
    }
    let gone = case.after_wait(step, &Target::Id(holder.clone()), |w| w.until == Until::Terminated);
    (!gone && !free_before(case, step, id)).then(|| format!("{id} may still hang at {holder}"))
}

/// The cap, and groups that would be emptied.
pub(super) fn deletes(case: &Case<'_>, out: &mut Objections) {
    if case.asked.destroy {
        return;
    }
    let mut count = 0u32;
    let mut emptied: BTreeMap<&Group, u32> = BTreeMap::new();
    let earlier = case.asked.deleted.iter().filter(|(scope, _)| !is_cluster(scope));
    let earlier: BTreeSet<&str> = earlier.flat_map(|(_, ids)| ids.iter().map(String::as_str)).collect();
    let mut goes = |id: &str| {
        let Some(own) = case.own.get(id) else { return };
        let wanted = own.group.as_ref().map_or(0, |g| case.wanted(g));
        // What another one of the same slot stays for, or a new one comes for, is replaced and not deleted.
        let slot = own.address.as_ref().filter(|a| a.slot < wanted);
        let other = |a| case.own.values().any(|o| o.alive() && o.address.as_ref() == Some(a) && o.object.id != id);
        if !slot.is_some_and(|a| case.made.contains_key(a) || other(a)) {
            count += u32::from(!earlier.contains(id));
            if let Some(g) = own.group.as_ref().filter(|_| wanted == 0) {
                *emptied.entry(g).or_default() += 1;
            }
        }
    };
    for (_, _, call) in case.calls() {
        match call {
            Call::Terminate(ids) => ids.iter().for_each(|id| goes(id)),
            Call::DeleteVolume(id) => goes(id),
            Call::Tag { ids, set, .. } if set.contains_key(tag::QUARANTINE) => ids.iter().for_each(|id| goes(id)),
            Call::Launch(_)
            | Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::CreateVolume(_)
            | Call::Attach { .. }
            | Call::Detach { .. }
            | Call::Object(_) => {}
        }
    }
    let there = |id: &str| case.own.get(id).is_some_and(|o| o.alive());
    let owned = case.own.values().filter(|o| o.alive()).count() + earlier.iter().filter(|id| !there(id)).count();
    let owned = u32::try_from(owned).unwrap_or(u32::MAX);
    let all = u32::try_from(earlier.len()).unwrap_or(u32::MAX).saturating_add(count);
    let most = case.asked.max_deletes.map_or_else(|| case.desired.policy.deletes(owned), |a| a.floor_of(owned));
    if count > 0 && all > most {
        out.plan(CAP, format!("{all} would go in this run, {most} of {owned} may"));
    }
    for (group, gone) in emptied.into_iter().filter(|_| !case.asked.allow_empty) {
        let live = case.members(group).count();
        if live > 1 {
            out.plan(EMPTY, format!("{group} goes to none: {gone} of {live} now"));
        }
    }
}

/// Data goes marked and in two steps, and not while its slot is declared.
pub(super) fn kept(case: &Case<'_>, out: &mut Objections) {
    for (i, _, call) in case.calls() {
        match call {
            Call::DeleteVolume(id) => {
                let Some(own) = case.own.get(id.as_str()) else { continue };
                let past = own.quarantine().is_some_and(|at| at <= case.now);
                let marked = || {
                    case.calls().any(|(t, _, c)| match c {
                        Call::Tag { ids, set, .. } => {
                            ids.contains(id) && set.contains_key(tag::QUARANTINE) && case.above.has(i, t)
                        }
                        Call::Launch(_)
                        | Call::Terminate(_)
                        | Call::Stop(_)
                        | Call::Start(_)
                        | Call::Change { .. }
                        | Call::CreateVolume(_)
                        | Call::Attach { .. }
                        | Call::Detach { .. }
                        | Call::DeleteVolume(_)
                        | Call::Object(_) => false,
                    })
                };
                let may_go = past || (case.asked.destroy && marked());
                if !may_go {
                    out.step(DATA, i, format!("{id} is deleted and its quarantine is not over"));
                }
                if own.object.kind != Kind::Volumes || own.group.as_ref().is_none_or(|g| g.kind != Kind::Volumes) {
                    out.step(DATA, i, format!("{id} is no volume of its own"));
                }
                only_copy(case, i, id, out);
            }
            Call::Tag { ids, set, .. } if set.contains_key(tag::QUARANTINE) => {
                ids.iter().for_each(|id| only_copy(case, i, id, out));
            }
            Call::Launch(_)
            | Call::Terminate(_)
            | Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::CreateVolume(_)
            | Call::Attach { .. }
            | Call::Detach { .. }
            | Call::Object(_) => {}
        }
    }
    for (i, c) in case.plan.changes.iter().enumerate() {
        if c.address.group.kind == Kind::Volumes && c.action == Action::Replace {
            out.change(DATA, super::index(i), format!("{} would be replaced", c.address));
        }
    }
}

/// P8: of volumes that are replicas of each other one that is there stays, while the file declares any.
pub(super) fn last_replica(case: &Case<'_>, out: &mut Objections) {
    for (name, declared) in &case.desired.volumes {
        let group = Group::volumes(name);
        if !matches!(declared.layout, Layout::Replicas { .. }) || case.wanted(&group) == 0 {
            continue;
        }
        let there = || case.own.values().filter(|o| o.alive() && o.group.as_ref() == Some(&group));
        let condemned = |o: &Own<'_>| o.object.tags.contains_key(tag::QUARANTINE);
        let goes = |id: &str| {
            case.gone_by(id).is_some()
                || case.plan.changes.iter().any(|c| c.action == Action::Quarantine && c.object.as_deref() == Some(id))
        };
        let stay = there().any(|o| !condemned(o) && !goes(&o.object.id));
        let ends = there().filter(|o| !condemned(o)).find(|o| goes(&o.object.id));
        if let (false, Some(o)) = (stay, ends) {
            out.plan(DATA, format!("{} goes, and no other replica of {group} stays", o.object.id));
        }
    }
}

/// The only volume of a slot that the file declares stays.
fn only_copy(case: &Case<'_>, step: u32, id: &str, out: &mut Objections) {
    let Some(address) = case.own.get(id).and_then(|o| o.address.as_ref()) else { return };
    if address.slot >= case.wanted(&address.group) {
        return;
    }
    let goes = |id: &str| {
        case.gone_by(id).is_some()
            || case.plan.changes.iter().any(|c| c.action == Action::Quarantine && c.object.as_deref() == Some(id))
    };
    let stays = case.own.values().any(|o| o.alive() && o.address.as_ref() == Some(address) && !goes(&o.object.id));
    if !stays {
        out.step(DATA, step, format!("{id} is the last volume of {address}, which the file declares"));
    }
}
