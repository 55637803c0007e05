//! How many live and serve while the plan runs, in the worst order that the steps allow.
//!
//! A slot is out from the step that takes its last ready machine away until a wait that finds another one ready; it is
//! never out when that wait comes first. It refuses to believe the forecast, and holds it against what it finds.

use std::collections::BTreeMap;

use super::graph::{most_ahead, most_at_once};
use super::owners::Own;
use super::{Case, DOUBLES, FLOOR, FORECAST, Objections, SURGE, is_id};
use crate::address::{Address, Group, Kind};
use crate::desired::WaitFor;
use crate::plan::{Action, Call, Change, Hold, Target, Until, Wait};

/// Each slot is filled once, and only where nobody stays.
pub(super) fn doubles(case: &Case<'_>, out: &mut Objections) {
    let mut holding: BTreeMap<&Address, Vec<&Own<'_>>> = BTreeMap::new();
    for own in case.own.values().filter(|o| o.alive()) {
        if let Some(address) = &own.address {
            holding.entry(address).or_default().push(own);
        }
    }
    let mut comes: BTreeMap<&Address, &Change> = BTreeMap::new();
    for change in case.plan.changes.iter().filter(|c| matches!(c.action, Action::Create | Action::Replace)) {
        comes.entry(&change.address).or_insert(change);
    }
    for (address, steps) in &case.made {
        if let Some(second) = steps.get(1) {
            out.step(DOUBLES, *second, format!("{address} is launched twice"));
        }
        let first = steps[0];
        let wanted = case.wanted(&address.group);
        if address.slot >= wanted {
            out.step(DOUBLES, first, format!("{address} is launched, and the file wants {wanted}"));
        }
        let holders = holding.remove(address).unwrap_or_default();
        let change = comes.get(address);
        let replaced = change.filter(|c| c.action == Action::Replace).and_then(|c| c.object.as_deref());
        match replaced {
            None => {
                if let Some(h) = holders.first()
                    && !super::lost::stands_in(case, first, address, &holders)
                {
                    out.step(DOUBLES, first, format!("{address} is created beside {}", h.object.id));
                }
            }
            Some(old) => {
                if !holders.iter().any(|h| h.object.id == old) {
                    out.step(DOUBLES, first, format!("{address} replaces {old}, which does not hold it"));
                }
                let comes_first = case.gone_by(old).is_some_and(|end| {
                    case.after_wait(end, &Target::New(address.clone()), |w| serves(case, &address.group, w))
                });
                if !comes_first {
                    out.step(DOUBLES, first, format!("{old} does not go after its replacement is ready"));
                }
            }
        }
    }
}

/// A wait after which its targets, machines of this group, serve.
fn serves(case: &Case<'_>, group: &Group, wait: &Wait) -> bool {
    let as_nodes = case.desired.machines.get(&group.name).is_some_and(|g| g.wait == WaitFor::Ready);
    match wait.until {
        Until::Running | Until::Healthy { .. } => !as_nodes,
        Until::Joined => as_nodes,
        Until::Stopped
        | Until::Terminated
        | Until::Free
        | Until::Attached
        | Until::Deleted
        | Until::Ready
        | Until::Drained(_) => false,
    }
}

/// A ready slot, by its number or, where that is not known, by its machine's id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot<'a> {
    Number(u32),
    Unknown(&'a str),
}

/// From the step that takes a slot away to the wait after which it serves again.
struct Out {
    begins: u32,
    ends: Option<u32>,
}

/// The floor, and what the forecast says about it.
pub(super) fn floor(case: &Case<'_>, out: &mut Objections) {
    for group in case.groups(Kind::Machines) {
        let mut slots: BTreeMap<Slot<'_>, Vec<&Own<'_>>> = BTreeMap::new();
        for own in case.members(&group).filter(|o| o.ready) {
            let slot = own.address.as_ref().map_or(Slot::Unknown(&own.object.id), |a| Slot::Number(a.slot));
            slots.entry(slot).or_default().push(own);
        }
        let waits = waits(case, &group);
        let outs: Vec<Out> = slots.values().filter_map(|ready| outage(case, ready, &waits.of(ready))).collect();
        let worst = most_at_once(outs.len(), |i, j| {
            outs[i].ends.is_some_and(|end| case.above.has(outs[j].begins, end) || end == outs[j].begins)
        });
        let left = narrow(slots.len() - worst);
        let wanted = case.wanted(&group);
        let needed = wanted - case.desired.policy.unavailable(wanted);
        let ready = narrow(slots.len());
        if left < needed.min(ready) {
            let says = format!("{group}: {left} ready at worst, {ready} are now and {needed} are needed");
            match outs.first() {
                Some(o) => out.step(FLOOR, o.begins, says),
                None => out.plan(FLOOR, says),
            }
        }
        // What a loss must leave is a majority, not the floor (decision 4).
        let majority = if wanted == 0 { 0 } else { wanted / 2 + 1 };
        if let Some(f) = case.plan.forecast.iter().find(|f| f.group == group)
            && (f.floor > left || f.ready > ready || f.needed != majority || f.wanted != wanted)
        {
            let says = format!(
                "{group}: it says floor {} of {} ready, {} of {} needed; found floor {left} of {ready}, {majority} of {wanted}",
                f.floor, f.ready, f.needed, f.wanted
            );
            out.plan(FORECAST, says);
        }
    }
}

/// The waits after which a machine of a group serves, in the order of the steps: by the slot of whom they wait for, or by
/// its id where no slot is known.
#[derive(Default)]
struct Serving<'a> {
    slots: BTreeMap<&'a Address, Vec<(u32, &'a Target)>>,
    ids: BTreeMap<&'a str, Vec<(u32, &'a Target)>>,
}

fn waits<'c>(case: &'c Case<'_>, group: &Group) -> Serving<'c> {
    let mut all = Serving::default();
    for (i, _, wait) in case.waits().filter(|(_, _, w)| serves(case, group, w)) {
        for target in &wait.targets {
            match target {
                Target::New(a) if a.group == *group => all.slots.entry(a).or_default().push((i, target)),
                Target::New(_) => {}
                Target::Id(id) => match case.own.get(id.as_str()).filter(|o| o.group.as_ref() == Some(group)) {
                    Some(Own { address: Some(a), .. }) => all.slots.entry(a).or_default().push((i, target)),
                    Some(_) => all.ids.entry(id).or_default().push((i, target)),
                    None => {}
                },
            }
        }
    }
    all
}

impl<'a> Serving<'a> {
    /// Those that tell of a slot with these ready machines.
    fn of(&self, ready: &[&Own<'_>]) -> Vec<(u32, &'a Target)> {
        let address = ready.first().and_then(|o| o.address.as_ref());
        let slot = address.and_then(|a| self.slots.get(a)).into_iter().flatten();
        let ids = ready.iter().filter_map(|o| self.ids.get(o.object.id.as_str())).flatten();
        slot.chain(ids).copied().collect()
    }
}

/// When a slot with these ready machines is out, if it ever is.
fn outage(case: &Case<'_>, ready: &[&Own<'_>], waits: &[(u32, &Target)]) -> Option<Out> {
    let address = ready.first()?.address.as_ref();
    let of_slot = |t: &Target| match t {
        Target::New(a) => Some(a) == address,
        Target::Id(id) => {
            case.own.get(id.as_str()).is_some_and(|o| o.address.is_some() && o.address.as_ref() == address)
        }
    };
    let new = |t: &Target| match t {
        Target::New(a) => Some(a) == address,
        Target::Id(_) => false,
    };
    let ends = |id: &str| case.ends.get(id).map_or(&[][..], Vec::as_slice);
    let by_new = |step: u32| waits.iter().any(|(w, t)| new(t) && case.above.has(step, *w));
    // Another machine of the slot covers only if it stays, or is itself covered by a new one.
    let stays = |id: &str| ends(id).iter().all(|e| by_new(*e));
    let covered = |step: u32, id: &str| {
        by_new(step)
            || waits.iter().any(|(w, t)| {
                of_slot(t)
                    && !is_id(t, id)
                    && case.above.has(step, *w)
                    && match t {
                        Target::Id(other) => stays(other),
                        Target::New(_) => true,
                    }
            })
    };
    let mut first: Option<Out> = None;
    for own in ready {
        let id = own.object.id.as_str();
        let open: Vec<u32> = ends(id).iter().copied().filter(|e| !covered(*e, id)).collect();
        // What only goes on with what began earlier does not begin anything.
        let open: Vec<u32> = open.iter().copied().filter(|e| !open.iter().any(|o| case.above.has(*e, *o))).collect();
        let begins = open.first().copied()?;
        let back = waits.iter().filter(|(w, t)| (of_slot(t) || is_id(t, id)) && case.above.has(*w, begins));
        let ends = back.map(|(w, _)| *w).min().filter(|_| open.len() == 1);
        first.get_or_insert(Out { begins, ends });
    }
    first
}

/// How many live at most.
pub(super) fn surge(case: &Case<'_>, out: &mut Objections) {
    for group in case.groups(Kind::Machines) {
        // What a zone that is out keeps where it is counts on no side, whatever else holds it.
        let zones = case.desired.scope_of(&group).and_then(|s| super::lost::zones_out(case, s)).unwrap_or_default();
        let here = |o: &&Own<'_>| !parked(case, &o.object.id) && !zones.contains(&o.object.zone);
        let alive = case.members(&group).filter(here).count() as u64;
        let (mut launches, mut ends) = (vec![], vec![]);
        for (i, _, call) in case.calls() {
            match call {
                Call::Launch(l) if l.group == group => launches.push((i, u64::from(l.tag.slots.len()))),
                Call::Terminate(ids) => {
                    let of_group =
                        |id: &&String| case.own.get(id.as_str()).is_some_and(|o| o.group.as_ref() == Some(&group));
                    ends.push((i, ids.iter().filter(of_group).count() as u64));
                }
                Call::Launch(_)
                | Call::Stop(_)
                | Call::Start(_)
                | Call::Change { .. }
                | Call::Tag { .. }
                | Call::CreateVolume(_)
                | Call::Attach { .. }
                | Call::Detach { .. }
                | Call::DeleteVolume(_)
                | Call::Object(_) => {}
            }
        }
        if launches.is_empty() {
            continue;
        }
        ends.retain(|(_, n)| *n > 0);
        let numbers = |all: &[(u32, u64)]| all.iter().map(|(_, n)| *n).collect::<Vec<_>>();
        let ahead = most_ahead(&numbers(&launches), &numbers(&ends), |i, j| case.above.has(launches[i].0, ends[j].0));
        let vacant = created(case, &group);
        let wanted = case.wanted(&group);
        let surge = u64::from(wanted) + u64::from(case.desired.policy.surge(wanted));
        // Where too many live already, filling what is empty and one replacement at a time still go on.
        let most = surge.max(alive + vacant + 1);
        if alive + ahead > most {
            let says = format!("{group}: {} live at worst, {most} may", alive + ahead);
            out.step(SURGE, launches[0].0, says);
        }
    }
}

/// What an outage or a freeze keeps where it is counts on no side.
fn parked(case: &Case<'_>, id: &str) -> bool {
    let kept = |by: Hold| matches!(by, Hold::Outage | Hold::Frozen | Hold::Blind);
    case.plan.held.iter().any(|h| kept(h.by) && h.change.object.as_deref() == Some(id))
}

fn created(case: &Case<'_>, group: &Group) -> u64 {
    let of_group = |a: &Address| a.group == *group;
    case.plan.changes.iter().filter(|c| c.action == Action::Create && of_group(&c.address)).count() as u64
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
