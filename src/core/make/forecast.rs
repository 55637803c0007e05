//! What a plan will feel like: the floor while it runs, what is left afterwards, what it costs.

use std::collections::BTreeMap;

use super::admit::Admitted;
use super::{Candidate, Draft, Power, lost};
use crate::address::{Group, Kind};
use crate::desired::Layout;
use crate::pace;
use crate::place;
use crate::plan::{Action, Call, Do, Forecast, ObjectDoes, Step, Takes, Why};
use crate::survey::Member;

/// One forecast a machine group, or group of spread volumes, that is declared or loses members.
pub(super) fn forecast(draft: &Draft<'_>, admitted: &Admitted<'_>) -> Vec<Forecast> {
    let one = |group: &Group| match group.kind {
        Kind::Machines => Some(machines(draft, admitted, group)),
        Kind::Volumes => replicas(draft, admitted, group),
        Kind::Workloads | Kind::Manifests => None,
    };
    draft.survey.groups.keys().filter_map(one).filter(|f| f.before + f.after + f.wanted > 0).collect()
}

/// Of volumes that are replicas of each other: one that is left has the data. Those of machines go where these are.
fn replicas(draft: &Draft<'_>, admitted: &Admitted<'_>, group: &Group) -> Option<Forecast> {
    let Layout::Replicas { count, .. } = draft.ask.desired.volumes.get(&group.name)?.layout else { return None };
    let wanted = if draft.ask.intent.destroy { 0 } else { count };
    let mut zones: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    // What is in quarantine is on its way out.
    for (_, m) in draft.survey.group(group).members().filter(|(_, m)| m.quarantined_until().is_none()) {
        let z = zones.entry(m.object.zone.clone()).or_default();
        (z.0, z.1) = (z.0 + 1, z.1 + 1);
    }
    let before = zones.values().map(|z| z.0).sum();
    let mut leaving = 0;
    for c in admitted.volumes.iter().filter(|c| c.change.address.group == *group) {
        let out = c.member.as_ref().filter(|m| m.quarantined_until().is_none());
        match c.change.action {
            Action::Create | Action::Release => zones.entry(c.change.zone.clone()).or_default().1 += 1,
            Action::Delete | Action::Quarantine => {
                if let Some(z) = out.and_then(|m| zones.get_mut(&m.object.zone)) {
                    (z.1, leaving) = (z.1.saturating_sub(1), leaving + 1);
                }
            }
            Action::Update | Action::Replace | Action::Restamp | Action::Attach => {}
        }
    }
    let after: BTreeMap<String, u32> = zones.iter().map(|(z, (_, n))| (z.clone(), *n)).collect();
    let needed = wanted.min(1);
    let survival = place::survive(&after, needed);
    Some(Forecast {
        group: group.clone(),
        before,
        after: after.values().sum(),
        wanted,
        zones,
        floor: before - leaving,
        ready: before,
        needed,
        left_after_machine: survival.left_after_machine,
        left_after_zone: survival.left_after_zone,
        // One in another zone is enough, and which zones there are the file says.
        count_for_any_zone: None,
    })
}

fn machines(draft: &Draft<'_>, admitted: &Admitted<'_>, group: &Group) -> Forecast {
    let survey = draft.survey.group(group);
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let wanted =
        if draft.ask.intent.destroy { 0 } else { draft.ask.desired.machines.get(&group.name).map_or(0, |g| g.count) };
    let mut zones: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for (_, m) in survey.members() {
        let z = zones.entry(m.object.zone.clone()).or_default();
        (z.0, z.1) = (z.0 + 1, z.1 + 1);
    }
    let ready = survey.ready_slots();
    let (mut leaving_ready, mut stopping) = (0, 0);
    // What is unwell and stays so serves nobody: it is there, but nothing to live on. Nor is what starts, unless the
    // plan waits for it: what it comes to is not known. Nor is what stands in a zone that is out.
    let situation = draft.survey.situations.get(&survey.scope);
    let mut unwell: BTreeMap<&str, &str> = survey
        .members()
        .filter(|(_, m)| !m.ready() || !lost::serves(situation, m))
        .map(|(_, m)| (m.object.id.as_str(), m.object.zone.as_str()))
        .collect();
    if let Some(work) = admitted.machines.get(group) {
        let ends = work.deletes.iter().chain(&work.retire).chain(work.waves.iter().flatten());
        for c in ends {
            let Some(m) = &c.member else { continue };
            unwell.remove(m.object.id.as_str());
            if let Some(id) = &c.successor {
                unwell.remove(id.as_str());
            }
            if let Some(z) = zones.get_mut(&m.object.zone) {
                z.1 = z.1.saturating_sub(1);
            }
            let successor_first = c.change.action == Action::Replace || c.successor.is_some();
            leaving_ready += u32::from(m.ready() && !successor_first);
        }
        for c in work.creates.iter().chain(work.waves.iter().flatten()) {
            if let Some(p) = &c.place {
                zones.entry(p.zone.clone()).or_default().1 += 1;
            }
        }
        for c in work.updates.iter().filter(|c| c.change.reasons.iter().any(|r| r.why == Why::Unhealthy)) {
            if let Some(m) = &c.member {
                unwell.remove(m.object.id.as_str());
            }
        }
        let serves = |c: &&Candidate<'_>| c.member.as_ref().is_some_and(Member::ready);
        let stops = work.updates.iter().filter(|c| c.power == Power::Stops).filter(serves).count();
        stopping = narrow(stops).min(work.stops);
    }
    let after_by_zone: BTreeMap<String, u32> = zones.iter().map(|(z, (_, n))| (z.clone(), *n)).collect();
    // A majority: what a quorum needs, and a fair guess of what any other group can live on for a while.
    let needed = if wanted == 0 { 0 } else { wanted / 2 + 1 };
    let mut serving = after_by_zone.clone();
    for zone in unwell.values() {
        serving.entry((*zone).to_owned()).and_modify(|n| *n = n.saturating_sub(1));
    }
    let survival = place::survive(&serving, needed);
    let after = after_by_zone.values().sum();
    let count_for_any_zone = place::count_for_zone_loss(after_by_zone.values().filter(|n| **n > 0).count(), wanted)
        .filter(|n| !survival.any_zone && *n > after);
    Forecast {
        group: group.clone(),
        before: narrow(survey.members().count()),
        after,
        wanted,
        zones,
        floor: ready.saturating_sub(leaving_ready).saturating_sub(stopping),
        ready,
        needed,
        left_after_machine: survival.left_after_machine,
        left_after_zone: survival.left_after_zone,
        count_for_any_zone,
    }
}

/// What the steps cost.
pub(super) fn takes(steps: &[Step]) -> Takes {
    let mut t = Takes { least_ms: pace::least_ms(steps), ..Takes::default() };
    for call in steps.iter().filter_map(|s| match &s.does {
        Do::Call(c) => Some(c),
        Do::Wait(_) => None,
    }) {
        t.calls += 1;
        match call {
            Call::Launch(l) => t.launches += l.tag.slots.len(),
            Call::CreateVolume(_) => t.launches += 1,
            Call::Terminate(ids) => t.deletes += u32::try_from(ids.len()).unwrap_or(u32::MAX),
            Call::DeleteVolume(_) => t.deletes += 1,
            Call::Object(on) => t.deletes += u32::from(matches!(on.does, ObjectDoes::Delete { .. })),
            Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::Attach { .. }
            | Call::Detach { .. } => {}
        }
    }
    t
}
