//! Who sits in which slot of a machine group, and in which zone every slot belongs. It says nothing about what should
//! happen to whom.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::address::{Address, Group};
use crate::desired::{Follow, Layout, MachineGroup, Spread};
use crate::expected::MachineSpec;
use crate::health::State;
use crate::launch::Place;
use crate::lessons::Full;
use crate::observed::Phase;
use crate::place::{self, Domain};
use crate::plan::{Note, Reason, Why};
use crate::survey::{GroupSurvey, Member};
use crate::value::Value;

/// One slot that shall exist.
pub(super) struct Slot<'a> {
    pub address: Address,
    pub keeper: Option<Member<'a>>,
    pub others: Vec<Member<'a>>,
    /// Zone of the volumes bound to it.
    pub pinned: Option<String>,
}

/// Who keeps a slot, and who else claims it.
pub(super) fn slot<'a>(
    draft: &Draft<'a>,
    declared: &MachineGroup,
    survey: &GroupSurvey<'a>,
    group: &Group,
    slot: u32,
) -> Slot<'a> {
    let address = group.slot(slot);
    let situation = draft.survey.situations.get(&declared.scope);
    let out = |m: &Member<'_>| situation.is_some_and(|s| s.impaired.contains_key(&m.object.zone));
    let bound = draft.survey.bound(draft.ask.desired, &address);
    let holds =
        |m: &Member<'_>| bound.iter().any(|(_, v)| v.object.attached.as_ref().is_some_and(|a| a.to == m.object.id));
    let mut all: Vec<Member<'a>> = survey.alive(slot).cloned().collect();
    // Deterministic: who serves, then who stands where something can be done for it, then who may get well by itself;
    // the successor before what it succeeds, the holder of the data, the oldest.
    all.sort_by_key(|m| {
        let idle = !super::lost::serves(situation, m);
        let worse = (idle, idle && out(m), idle && hopeless(m));
        (worse, u32::MAX - m.generation(), !holds(m), m.object.created, m.object.id.clone())
    });
    let mut all = all.into_iter();
    let keeper = all.next();
    let pinned = pinned(draft, &address, keeper.as_ref());
    Slot { address, keeper, others: all.collect(), pinned }
}

/// Will be replaced, or is gone: nobody waits for it.
pub(super) fn hopeless(m: &Member<'_>) -> bool {
    matches!(m.verdict.state, State::Unhealthy { .. } | State::Flapping | State::Gone)
}

/// The zone that the volumes of a slot hold it in. Where several claim one place, what hangs keeps it, then what is in
/// its machine's zone.
fn pinned(draft: &Draft<'_>, machine: &Address, keeper: Option<&Member<'_>>) -> Option<String> {
    let groups = draft.ask.desired.volumes.iter().filter(|(_, g)| g.layout == Layout::For(machine.group.clone()));
    let home = keeper.map(|k| k.object.zone.as_str());
    let zone = |name: &String| {
        let survey = draft.survey.groups.get(&Group::volumes(name))?;
        let claimants: Vec<&Member<'_>> = survey.alive(machine.slot).collect();
        let ours = |v: &&&Member<'_>| v.object.attached.as_ref().is_some_and(|at| draft.survey.knows(&at.to));
        let hangs = claimants.iter().find(ours);
        let beside = || claimants.iter().find(|v| Some(v.object.zone.as_str()) == home);
        hangs.or_else(beside).or(claimants.first()).map(|v| v.object.zone.clone())
    };
    let zones: Vec<String> = groups.filter_map(|(name, _)| zone(name)).collect();
    zones.iter().find(|z| home.is_some_and(|h| h != z.as_str())).or(zones.first()).cloned()
}

/// Two of one generation claim a slot while another is empty: a mark was edited, or a race was lost. Nothing is wrong
/// with the machine, so it gets the empty slot; the one that its data belongs to, else the first in its zone, else the
/// first.
pub(super) fn reseat<'a>(draft: &Draft<'a>, slots: &mut [Slot<'a>]) {
    for at in 0..slots.len() {
        let Some(generation) = slots[at].keeper.as_ref().map(Member::generation) else { continue };
        let doubles: Vec<Member<'a>> =
            (slots[at].others.iter()).filter(|m| m.generation() == generation && m.well_or_coming()).cloned().collect();
        for double in doubles {
            let data = |s: &Slot<'_>| {
                let bound = draft.survey.bound(draft.ask.desired, &s.address);
                bound.iter().any(|(_, v)| v.object.attached.as_ref().is_some_and(|a| a.to == double.object.id))
            };
            let empty = |s: &&mut Slot<'a>| s.keeper.is_none();
            let fit = |s: &Slot<'_>| (!data(s), s.pinned.as_ref().is_some_and(|z| *z != double.object.zone));
            let Some(seat) = slots.iter_mut().filter(empty).min_by_key(|s| fit(s)) else { return };
            let id = double.object.id.clone();
            seat.keeper = Some(Member { launch: None, ..double });
            slots[at].others.retain(|m| m.object.id != id);
        }
    }
}

/// A zone that counts as impaired is left out of the spread: what stands in it stays, and nothing new goes there. Where the
/// zones differ for that, it is said, with when to look again.
fn aside(
    draft: &mut Draft<'_>,
    group: &Group,
    declared: &MachineGroup,
    names: &BTreeSet<&String>,
    standing: &BTreeMap<&String, u32>,
) {
    let Some(situation) = draft.survey.situations.get(&declared.scope) else { return };
    let counted = |z: &String| standing.get(z).copied().unwrap_or_default();
    let differ =
        names.iter().map(|z| counted(z)).max().unwrap_or(0) - names.iter().map(|z| counted(z)).min().unwrap_or(0);
    let left: Vec<String> = (names.iter())
        .filter_map(|z| Some(format!("{z} holds {} ({})", counted(z), situation.impaired.get(*z)?.says)))
        .collect();
    if differ > declared.skew && !left.is_empty() {
        let recheck = situation.recheck;
        let says = format!("zones differ by {differ}, {} was asked: {}", declared.skew, left.join(", "));
        draft.notes.push(Note { kind: "skew".into(), about: group.to_string(), says });
        draft.look_again_by(recheck);
    }
}

/// Zone of every slot, and the slots that must move with the reason.
pub(super) fn placed(
    draft: &mut Draft<'_>,
    group: &Group,
    declared: &MachineGroup,
    spec: &MachineSpec,
    slots: &[Slot<'_>],
    lost: &BTreeMap<u32, String>,
) -> (BTreeMap<u32, String>, BTreeMap<u32, Reason>) {
    let impaired = draft.survey.situations.get(&declared.scope).map(|s| s.impaired.clone()).unwrap_or_default();
    let names: BTreeSet<&String> = spec.places.iter().map(|p| &p.zone).collect();
    let open: BTreeSet<&String> = names.iter().copied().filter(|z| !impaired.contains_key(*z)).collect();
    let full = draft.ask.history.lessons.full(declared, draft.ask.now);
    let mut zone: BTreeMap<u32, String> = BTreeMap::new();
    let mut moved = BTreeMap::new();
    for s in slots.iter().filter(|s| !lost.contains_key(&s.address.slot)) {
        let home = s.keeper.as_ref().map(|k| &k.object.zone);
        // The successor of one that is ill would have to stand in its zone, and there is no room.
        if let (Some(full), true) = (home.and_then(|z| full.get(z)), s.pinned.is_none())
            && s.keeper.as_ref().is_some_and(needs_successor)
            && home.is_some_and(|z| open.contains(z))
        {
            let says = format!("{}: its successor goes elsewhere", full.says);
            moved.insert(s.address.slot, Reason { why: Why::Unhealthy, says });
            continue;
        }
        // Data cannot leave its zone, so a machine that stands elsewhere comes to it.
        if let (Some(data), Some(home)) = (&s.pinned, home)
            && data != home
        {
            let bound = draft.survey.bound(draft.ask.desired, &s.address);
            // Data that hung at another group's machine until the file bound it to this one.
            let file = bound.iter().any(|(_, v)| super::volumes::formerly(draft, v, &s.address).is_some());
            let says = format!("its data is in {data}, it is in {home}");
            moved.insert(s.address.slot, Reason { why: if file { Why::Declared } else { Why::Drifted }, says });
        }
        if let Some(keeper) = &s.keeper
            && let Some(reason) = strange_subnet(draft, group, declared, spec, keeper)
        {
            moved.entry(s.address.slot).or_insert(reason);
        }
        let at = s.pinned.as_ref().or(home);
        zone.extend(at.map(|z| (s.address.slot, z.clone())));
    }
    let follows: BTreeSet<u32> = moved.keys().copied().collect();
    // Members in an impaired zone stay where they are and count for nothing: spread is over the other zones.
    let (mut standing, mut data) = (BTreeMap::<&String, u32>::new(), BTreeMap::<&String, u32>::new());
    zone.values().for_each(|z| *standing.entry(z).or_default() += 1);
    slots.iter().filter_map(|s| s.pinned.as_ref()).for_each(|z| *data.entry(z).or_default() += 1);
    let counted = |z: &String| standing.get(z).copied().unwrap_or_default();
    let pinned = |z: &String| data.get(z).copied().unwrap_or_default();
    let domains: Vec<Domain> = (open.iter())
        .map(|z| Domain {
            name: (*z).clone(),
            count: counted(z),
            floor: pinned(z),
            cap: declared.caps.get(*z).copied(),
        })
        .collect();
    // Where there is no room nothing new goes, and what is there stays.
    let roomy: Vec<Domain> = (domains.iter().cloned())
        .map(|d| Domain {
            cap: if full.contains_key(&d.name) { Some(d.cap.unwrap_or(u32::MAX).min(d.count)) } else { d.cap },
            ..d
        })
        .collect();
    // Nor does a machine move because a lookup's answer moved: a subnet that lost its tag takes no new ones, that is all.
    let asked_once = matches!(declared.spread, Spread::SubnetsTagged(..)) && declared.follow == Follow::Never;
    let left: BTreeSet<String> = zone.values().filter(|z| asked_once && !names.contains(z)).cloned().collect();
    for z in &left {
        let says = format!("no subnet in {z} bears the tag any more; what is there stays, nothing new goes there");
        draft.notes.push(Note { kind: "outdated".into(), about: group.to_string(), says });
    }
    let parked = zone.values().filter(|z| impaired.contains_key(*z) || left.contains(*z)).count() as u32;
    let total = declared.count - parked.min(declared.count);
    let placement = place::place(&roomy, total, declared.skew);
    elsewhere(draft, group, &full, &roomy, &placement.target, &place::place(&domains, total, declared.skew).target);
    if !placement.relaxed_by.is_empty() {
        draft.notes.push(Note {
            kind: "skew".into(),
            about: group.to_string(),
            says: format!(
                "zones differ by {}, {} was asked: {}",
                placement.skew,
                declared.skew,
                placement.relaxed_by.join(", ")
            ),
        });
    }
    if placement.relaxed_by.is_empty() {
        aside(draft, group, declared, &names, &standing);
    }
    for says in &placement.because {
        draft.notes.push(Note { kind: "placement".into(), about: group.to_string(), says: says.clone() });
    }
    let target: BTreeMap<&str, u32> =
        domains.iter().zip(&placement.target).map(|(d, t)| (d.name.as_str(), *t)).collect();
    let mut surplus: BTreeMap<String, u32> = BTreeMap::new();
    for z in zone.values() {
        let allowed = target.get(z.as_str()).copied().unwrap_or(0);
        let over = counted(z).saturating_sub(allowed);
        if over > 0 && !impaired.contains_key(z) && !left.contains(z) {
            surplus.insert(z.clone(), over);
        }
    }
    for (z, mut over) in surplus {
        // Those that are ill leave first, then the youngest; what a volume pins stays. Under a freeze the move is held.
        let mut here: Vec<&Slot<'_>> =
            slots.iter().filter(|s| zone.get(&s.address.slot) == Some(&z) && s.pinned.is_none()).collect();
        here.sort_by_key(|s| {
            let k = s.keeper.as_ref();
            let ill = k.is_none_or(|k| !(k.well_or_coming()));
            // A protected one would only be held.
            (
                k.is_some_and(Member::protected),
                !ill,
                k.map(|k| std::cmp::Reverse(k.object.created)),
                std::cmp::Reverse(s.address.slot),
            )
        });
        let reason = if names.contains(&z) {
            Reason { why: Why::Uneven, says: format!("{z} holds {}, {} is even", counted(&z), counted(&z) - over) }
        } else {
            no_longer(&z)
        };
        for s in here {
            if over == 0 {
                break;
            }
            over -= 1;
            moved.insert(s.address.slot, reason.clone());
        }
    }
    for s in moved.keys().filter(|s| !follows.contains(s)) {
        zone.remove(s);
    }
    let vacant: Vec<u32> = slots.iter().map(|s| s.address.slot).filter(|s| !zone.contains_key(s)).collect();
    let now: BTreeMap<String, u32> =
        open.iter().map(|z| ((*z).clone(), zone.values().filter(|at| at == z).count() as u32)).collect();
    let wanted: BTreeMap<String, u32> = target.iter().map(|(z, t)| ((*z).to_owned(), *t)).collect();
    zone.extend(place::assign(&now, &vacant, &wanted));
    if open.is_empty() {
        // All zones are out: the place is only for the words of what is held.
        let nowhere = names.first().map(|z| (*z).clone()).unwrap_or_default();
        for s in vacant {
            zone.entry(s).or_insert_with(|| nowhere.clone());
        }
    }
    for s in slots {
        // No zone has room: what stands somewhere stays there, even above a cap. Moving it would never end.
        if let (Some(keeper), false) = (&s.keeper, zone.contains_key(&s.address.slot)) {
            moved.remove(&s.address.slot);
            zone.insert(s.address.slot, keeper.object.zone.clone());
        }
    }
    (zone, moved)
}

/// Why a machine must leave its subnet for another one of its zone. A subnet that only lost its tag is told.
fn strange_subnet(
    draft: &mut Draft<'_>,
    group: &Group,
    declared: &MachineGroup,
    spec: &MachineSpec,
    keeper: &Member<'_>,
) -> Option<Reason> {
    let zone = &keeper.object.zone;
    let here: Vec<&String> = spec.places.iter().filter(|p| p.zone == *zone).filter_map(|p| p.subnet.as_ref()).collect();
    let subnet = keeper.object.fields.get("subnet").and_then(Value::text)?;
    if here.is_empty() || here.iter().any(|s| *s == subnet) {
        return None;
    }
    if declared.spread.is_written() {
        return Some(Reason { why: Why::Declared, says: format!("{subnet} is no longer in the file") });
    }
    match declared.follow {
        Follow::Always => Some(Reason { why: Why::Outdated, says: format!("{subnet} does not bear the tag any more") }),
        Follow::Never => {
            let says = format!("{subnet} does not bear the tag any more; what is there stays, nothing new goes there");
            let note = Note { kind: "outdated".into(), about: group.to_string(), says };
            if !draft.notes.contains(&note) {
                draft.notes.push(note);
            }
            None
        }
    }
}

/// Why what stands in a zone should not: the file names others.
pub(super) fn no_longer(zone: &str) -> Reason {
    Reason { why: Why::Declared, says: format!("zone {zone} is no longer in the file") }
}

/// Why a machine should leave its zone and cannot: the file names other zones, and its data is in this one.
pub(super) fn stuck(declared: &MachineGroup, names: &BTreeSet<&String>, s: &Slot<'_>) -> Option<Reason> {
    let home = &s.keeper.as_ref()?.object.zone;
    let stays = s.pinned.as_ref() == Some(home) && declared.spread.is_written();
    (stays && !names.contains(home)).then(|| no_longer(home))
}

/// Whether the machine itself must be made anew: one that is stopped may yet be started.
fn needs_successor(keeper: &Member<'_>) -> bool {
    let up = matches!(keeper.object.phase, Phase::Starting | Phase::Up);
    up && hopeless(keeper)
}

/// Says which zones had no room and what stands elsewhere for that reason alone.
fn elsewhere(
    draft: &mut Draft<'_>,
    group: &Group,
    full: &BTreeMap<String, Full>,
    domains: &[Domain],
    target: &[u32],
    otherwise: &[u32],
) {
    let differs = |more: bool| {
        let all = domains.iter().zip(target.iter().zip(otherwise));
        all.filter(move |(_, (is, would))| if more { is > would } else { is < would }).map(|(d, _)| d.name.as_str())
    };
    let instead: Vec<&str> = differs(true).collect();
    let short: Vec<&Full> = differs(false).filter_map(|z| full.get(z)).collect();
    for f in short {
        draft.look_again_by(Some(f.until));
        if !instead.is_empty() {
            let says = format!("{}; placed in {} instead", f.says, instead.join(" and "));
            draft.notes.push(Note { kind: "no-room".into(), about: group.to_string(), says });
        }
    }
}

/// The place of a slot in its zone; several subnets of one zone are taken in turn.
pub(super) fn choose(places: &[Place], zone: &str, slot: u32) -> Place {
    let here: Vec<&Place> = places.iter().filter(|p| p.zone == zone).collect();
    match here.len() {
        0 => Place { zone: zone.to_owned(), subnet: None },
        n => here[slot as usize % n].clone(),
    }
}
