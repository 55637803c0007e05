//! What a zone has taken with it: which slots are launched once more in the other zones while it is out, and who keeps
//! them when it is back. What stands in the zone is not touched.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use super::seats::Slot;
use crate::address::Group;
use crate::desired::{Layout, MachineGroup};
use crate::observed::Phase;
use crate::plan::Note;
use crate::rules::Rule;
use crate::situation::Situation;
use crate::survey::Member;

/// The slots to launch elsewhere, with the words why: what the floor needs, and at most what `zone-loss-surge` allows.
/// None while everything is frozen, and none whose data is bound to the zone.
pub(super) fn lost(
    draft: &mut Draft<'_>,
    group: &Group,
    declared: &MachineGroup,
    slots: &[Slot<'_>],
) -> BTreeMap<u32, String> {
    let Some(situation) = draft.survey.situations.get(&declared.scope) else { return BTreeMap::new() };
    if situation.frozen.is_some() || situation.impaired.is_empty() {
        return BTreeMap::new();
    }
    let policy = &draft.ask.desired.policy;
    let inside = |k: &Member<'_>| situation.impaired.contains_key(&k.object.zone);
    let gone = |k: &Member<'_>| !serves(Some(situation), k) && inside(k);
    let mut lost = Vec::new();
    let (mut there, mut surged) = (0u32, 0u32);
    for s in slots {
        match &s.keeper {
            // More claimants than a mark can name are no ordinary slot.
            Some(k) if gone(k) && s.others.len() > 3 => {}
            Some(k) if gone(k) => lost.push((s.address.slot, k.object.zone.clone())),
            Some(k) => {
                there += u32::from(serves(Some(situation), k));
                // Whatever the health of the two: it was launched beside one that a zone holds.
                surged += u32::from(s.others.iter().any(|o| inside(o) != inside(k)));
            }
            // It is filled anyway.
            None => there += 1,
        }
    }
    let needed = declared.count - policy.unavailable(declared.count);
    let allowed = policy.outage.zone_loss_surge.ceil_of(declared.count).saturating_sub(surged);
    let most = needed.saturating_sub(there).min(allowed);
    let bound = draft.ask.desired.volumes.values().any(|v| v.layout == Layout::For(group.clone()));
    if bound && most > 0 && !lost.is_empty() {
        let zones: BTreeSet<&str> = lost.iter().map(|(_, z)| z.as_str()).collect();
        let zones = zones.into_iter().collect::<Vec<_>>().join(" and ");
        let says = format!("nothing is launched in place of what {zones} has taken: its data is there");
        draft.notes.push(Note { kind: "zone-loss".into(), about: group.to_string(), says });
        return BTreeMap::new();
    }
    let says = |zone: &str| situation.impaired.get(zone).map_or(String::new(), |e| e.says.clone());
    lost.into_iter().take(most as usize).map(|(slot, zone)| (slot, says(&zone))).collect()
}

/// Serves, or is on its way to. In a zone that is out nothing does, unless the zone is only not trusted yet: what
/// passes its checks there again needs nothing in its stead.
pub(super) fn serves(situation: Option<&Situation>, m: &Member<'_>) -> bool {
    match situation.and_then(|s| s.impaired.get(&m.object.zone)) {
        Some(e) => e.rule == Rule::ZoneRecovering && (m.ready() || m.verdict.recovers()),
        None => m.well_or_coming(),
    }
}

/// The zone is back, and of two that are alike and well one is too many: the first one keeps its slot where that makes
/// the zones more even. So nothing has to be launched to even them out.
pub(super) fn back(draft: &Draft<'_>, declared: &MachineGroup, zones: &BTreeSet<&String>, slots: &mut [Slot<'_>]) {
    let situation = draft.survey.situations.get(&declared.scope);
    let out = |z: &str| situation.is_some_and(|s| s.impaired.contains_key(z));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for keeper in slots.iter().filter_map(|s| s.keeper.as_ref()) {
        *counts.entry(keeper.object.zone.clone()).or_default() += 1;
    }
    for s in slots.iter_mut().filter(|s| s.pinned.is_none()) {
        let Some(keeper) = s.keeper.clone().filter(Member::ready) else { continue };
        let here = counts.get(&keeper.object.zone).copied().unwrap_or(0);
        let alike = |o: &Member<'_>| {
            o.ready()
                && o.object.phase == Phase::Up
                && o.vector.is_some()
                && o.vector == keeper.vector
                && keeper.launch.as_ref().is_some_and(|l| l.replaces.contains(&o.object.id))
        };
        let evener = |o: &Member<'_>| {
            let zone = &o.object.zone;
            zones.contains(zone) && !out(zone) && counts.get(zone).copied().unwrap_or(0) + 1 < here
        };
        let Some(at) = s.others.iter().position(|o| alike(o) && evener(o)) else { continue };
        let first = std::mem::replace(&mut s.others[at], keeper.clone());
        *counts.entry(keeper.object.zone.clone()).or_default() -= 1;
        *counts.entry(first.object.zone.clone()).or_default() += 1;
        s.keeper = Some(first);
    }
}

#[cfg(test)]
mod tests;
