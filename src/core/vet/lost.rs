//! What machines have in common: zones that are out, and whether anybody sees.
//!
//! The one case in which a slot is launched beside a holder that stays is that a zone that is out holds that one. Which
//! zones are out is found out here anew, from verdicts and what earlier looks knew of outages.

use std::collections::BTreeSet;

use super::Case;
use super::owners::Own;
use crate::address::{Address, Group, Kind};
use crate::desired::Layout;
use crate::health::State;
use crate::plan::{Call, Do};
use crate::situation::{self, Freeze, Member, Situation};

/// Whether this launch stands in for holders that a zone has taken with it, and no more of them than may.
pub(super) fn stands_in(case: &Case<'_>, step: u32, address: &Address, holders: &[&Own<'_>]) -> bool {
    let group = &address.group;
    let Some(scope) = case.desired.scope_of(group) else { return false };
    let Some(out) = zones_out(case, scope) else { return false };
    let bound = case.desired.volumes.values().any(|v| v.layout == Layout::For(group.clone()));
    let Some(Do::Call(Call::Launch(launch))) = case.plan.steps.get(step as usize).map(|s| &s.does) else {
        return false;
    };
    let placed = launch.places.iter().all(|p| !out.contains(&p.zone));
    let named = holders.iter().all(|h| launch.tag.replaces.contains(&h.object.id));
    let all_out = holders.iter().all(|h| out.contains(&h.object.zone));
    !bound && placed && named && all_out && within(case, group, &out)
}

/// Why nobody can say how the machines of a scope are, if so: neither their health nor their zones were seen.
pub(super) fn unsighted(case: &Case<'_>, scope: &str) -> Option<&'static str> {
    if case.observed.scopes.get(scope).is_some_and(|s| s.zones.is_empty()) {
        return Some("zones");
    }
    let (freeze, _) = assessed(case, scope)?.frozen?;
    match freeze {
        Freeze::Blind => Some("health"),
        Freeze::Global => None,
    }
}

/// The zones of a scope that are out; `None` where everything is frozen.
pub(super) fn zones_out(case: &Case<'_>, scope: &str) -> Option<BTreeSet<String>> {
    let mut found = assessed(case, scope)?;
    let mut outages = case.past.outages.get(scope).cloned().unwrap_or_default();
    situation::remember(&mut found, &mut outages, &case.desired.policy, case.now);
    found.frozen.is_none().then(|| found.impaired.into_keys().collect())
}

/// What the machines of a scope have in common.
fn assessed(case: &Case<'_>, scope: &str) -> Option<Situation> {
    let machines = case.own.values().filter(|o| o.object.kind == Kind::Machines && o.object.scope == scope);
    let members: Vec<Member> = machines
        .filter(|o| o.alive())
        .filter_map(|o| Some(Member::of(o.object, o.group.as_ref()?, o.verdict.clone().into())))
        .collect();
    Some(situation::assess(&members, &case.observed.scopes.get(scope)?.zones, &case.desired.policy, case.now))
}

/// Whether the plan stands in for no more of the group than the floor needs, and than `zone-loss-surge` allows.
fn within(case: &Case<'_>, group: &Group, out: &BTreeSet<String>) -> bool {
    let holds = |a: &Address, inside: bool, fits: &dyn Fn(&Own<'_>) -> bool| {
        let mut all = case.own.values().filter(|o| o.alive() && o.address.as_ref() == Some(a));
        all.any(|o| out.contains(&o.object.zone) == inside && fits(o))
    };
    let slots: Vec<Address> = (0..case.wanted(group)).map(|s| group.slot(s)).collect();
    let new = |a: &&Address| case.made.contains_key(*a) && holds(a, true, &|_| true) && !holds(a, false, &|_| true);
    let count = |fits: &dyn Fn(&&Address) -> bool| u32::try_from(slots.iter().filter(|a| fits(a)).count()).unwrap_or(0);
    let new = count(&|a| new(a));
    let before = count(&|a| holds(a, true, &|_| true) && holds(a, false, &|_| true));
    let coming = |o: &Own<'_>| o.ready || matches!(o.verdict.state, State::Starting { .. });
    let there = count(&|a| holds(a, false, &coming));
    let (wanted, policy) = (case.wanted(group), &case.desired.policy);
    new + before <= policy.outage.zone_loss_surge.ceil_of(wanted) && there + new <= wanted - policy.unavailable(wanted)
}
