//! Whose is it, where may it be touched: ownership, protection, what was not seen, zones that are out.
//!
//! Sorted here from marks and tokens alone, in fewer words than the maker does it. An object without marks has the
//! slot that the plan gives it. It refuses to guess any other.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Asked, Case, GAPS, OUTAGE, OWNERSHIP, Objections, PROTECTION, calls, touches};
use crate::address::{Address, Group, Kind};
use crate::desired::{Desired, Layout, WaitFor};
use crate::health::{self, History, Verdict};
use crate::launch::{group_mark, token_prefix};
use crate::nodes::{Joined, Nodes};
use crate::observed::{Object, Observed};
use crate::plan::{Call, Plan};
use crate::stamp::{LaunchTag, tag};
use crate::value::Value;

/// An object that bears our marks, or that our token made.
pub(super) struct Own<'a> {
    pub object: &'a Object,
    /// Its group, if marks or token tell.
    pub group: Option<Group>,
    /// Its slot, if its marks or the plan tell.
    pub address: Option<Address>,
    pub launch: Option<LaunchTag>,
    /// Serves now.
    pub ready: bool,
    pub verdict: Verdict,
    /// The node that stands on it.
    pub node: Option<Joined<'a>>,
}

impl Own<'_> {
    pub(super) fn alive(&self) -> bool {
        self.object.phase.alive()
    }

    /// Bears the protection mark.
    pub(super) fn protected(&self) -> bool {
        self.object.tags.get(tag::PROTECT).is_some_and(|v| v == "true")
    }

    /// The end of its quarantine, if it is in one.
    pub(super) fn quarantine(&self) -> Option<Timestamp> {
        self.object.tags.get(tag::QUARANTINE)?.parse().ok()
    }
}

/// Whether an object is this stack's. A token that is there decides; without one the stack's mark does.
fn is_ours(o: &Object, stack: &str) -> bool {
    let marked = o.tags.get(tag::STACK);
    if marked.is_some_and(|s| s != stack) {
        return false;
    }
    let launch: Option<LaunchTag> = o.tags.get(tag::LAUNCH).and_then(|l| l.parse().ok());
    let only = launch.as_ref().and_then(|l| l.only.as_deref());
    if only.is_some_and(|id| id != o.id) {
        return false;
    }
    match o.token.as_deref().filter(|t| !t.is_empty()) {
        Some(token) => token.starts_with(&token_prefix(stack)) || (marked.is_some() && only.is_some()),
        None => marked.is_some(),
    }
}

/// Whether a mark or a token says so, and not only where it hangs.
fn marked_ours(own: &Own<'_>) -> bool {
    own.object.tags.contains_key(tag::STACK) || own.object.token.as_deref().is_some_and(|t| !t.is_empty())
}

/// Whether AWS itself says, by tags that only it can set, that something else manages it.
fn is_managed(o: &Object) -> bool {
    let by = ["aws:autoscaling:", "aws:cloudformation:", "aws:ec2spot:", "aws:ec2:fleet"];
    o.tags.keys().any(|k| by.iter().any(|b| k.starts_with(b)))
}

/// Everything that is ours, by id.
pub(super) fn own<'a>(
    plan: &'a Plan,
    desired: &Desired,
    observed: &'a Observed,
    past: &History,
    asked: &Asked,
    now: Timestamp,
) -> BTreeMap<&'a str, Own<'a>> {
    let stack = &desired.stack.id;
    let in_plan: BTreeMap<&str, &Address> = (plan.changes.iter())
        .chain(plan.held.iter().map(|h| &h.change))
        .filter_map(|c| Some((c.object.as_deref()?, &c.address)))
        .collect();
    let nodes = Nodes::of(observed);
    let mut out: BTreeMap<&str, Own<'a>> = BTreeMap::new();
    for object in observed.objects.iter().filter(|o| is_ours(o, stack) && (asked.force || !is_managed(o))) {
        let named = |g: Group| desired.renamed.get(&g).cloned().unwrap_or(g);
        let marked = object.tags.get(tag::ADDRESS).and_then(|a| a.parse::<Group>().ok()).map(named);
        let launch: Option<LaunchTag> = object.tags.get(tag::LAUNCH).and_then(|l| l.parse().ok());
        let at = in_plan.get(object.id.as_str()).copied();
        let group = marked
            .filter(|g| g.kind == object.kind)
            .or_else(|| by_token(object, desired))
            .or_else(|| at.map(|a| a.group.clone()));
        let place = match (&launch, object.kind) {
            (Some(l), Kind::Machines) if l.only.is_none() => l.slots.get(object.index),
            (Some(l), Kind::Machines | Kind::Volumes) => l.slots.get(0),
            (None, Kind::Machines | Kind::Volumes) | (_, Kind::Workloads | Kind::Manifests) => None,
        };
        let by_marks = group.as_ref().zip(place).map(|(g, s)| g.slot(s));
        let address = by_marks.or_else(|| at.filter(|a| Some(&a.group) == group.as_ref()).cloned());
        let machines = Some(object).filter(|o| o.kind == Kind::Machines).and(group.as_ref());
        let declared = machines.and_then(|g| desired.machines.get(&g.name));
        let wait = declared.map_or(WaitFor::Healthy, |g| g.wait);
        let node = nodes.on(object);
        let others = nodes.say(object, declared, &desired.policy, now);
        let verdict = health::judge_with(object, &others, wait, past.get(&object.id), &desired.policy, now);
        let ready = object.phase.alive() && verdict.ready();
        out.insert(object.id.as_str(), Own { object, group, address, launch, ready, verdict, node });
    }
    let bare = |o: &&Object| o.kind == Kind::Volumes && !o.tags.contains_key(tag::STACK) && !is_managed(o);
    for object in observed.objects.iter().filter(bare) {
        let Some(address) = hangs_for(object, desired, &out) else { continue };
        let verdict = health::judge(object, WaitFor::Running, past.get(&object.id), &desired.policy, now);
        let ready = object.phase.alive() && verdict.ready();
        let group = Some(address.group.clone());
        out.insert(
            object.id.as_str(),
            Own { object, group, address: Some(address), launch: None, ready, verdict, node: None },
        );
    }
    out
}

/// The address of a volume without any mark, by the machine it hangs at: under the device name that belongs to a group
/// of volumes there, as large as that group's, and alone in its slot.
fn hangs_for(o: &Object, desired: &Desired, own: &BTreeMap<&str, Own<'_>>) -> Option<Address> {
    let at = o.attached.as_ref()?;
    let machine = own.get(at.to.as_str())?.address.as_ref()?;
    let (name, _) = desired.volumes.iter().find(|(_, g)| {
        let size = o.fields.get("size").and_then(Value::int);
        g.layout == Layout::For(machine.group.clone()) && g.device == at.device && size == g.size.map(i64::from)
    })?;
    let address = Group::volumes(name).slot(machine.slot);
    let taken = own.values().any(|other| other.alive() && other.address.as_ref() == Some(&address));
    (o.phase.alive() && !taken).then_some(address)
}

fn by_token(o: &Object, desired: &Desired) -> Option<Group> {
    let mark = o.token.as_deref()?.strip_prefix(&token_prefix(&desired.stack.id))?.split('-').next()?;
    let machines = desired.machines.keys().map(Group::machines);
    let volumes = desired.volumes.keys().map(Group::volumes);
    machines.chain(volumes).find(|g| g.kind == o.kind && group_mark(g) == mark)
}

/// Only what is ours is touched, and what is protected is not ended.
pub(super) fn touched(case: &Case<'_>, out: &mut Objections) {
    for (i, _, call) in case.calls() {
        let (does, ids) = touches(call);
        for id in ids {
            let Some(own) = case.own.get(id) else {
                out.step(OWNERSHIP, i, format!("{does} {id}, which is not this stack's"));
                continue;
            };
            let ends = matches!(call, Call::Terminate(_) | Call::DeleteVolume(_));
            if ends && !marked_ours(own) {
                out.step(OWNERSHIP, i, format!("{does} {id}, which bears no mark of this stack"));
            }
            if ends && own.protected() {
                out.step(PROTECTION, i, format!("{does} {id}, which is protected"));
            }
            let lifts = match call {
                Call::Change { fields, .. } => fields.get("protect").is_some_and(|v| v.bool() != Some(true)),
                Call::Tag { set, unset, .. } => {
                    unset.iter().any(|k| k == tag::PROTECT) || set.get(tag::PROTECT).is_some_and(|v| v != "true")
                }
                Call::Launch(_)
                | Call::Terminate(_)
                | Call::Stop(_)
                | Call::Start(_)
                | Call::CreateVolume(_)
                | Call::Attach { .. }
                | Call::Detach { .. }
                | Call::DeleteVolume(_)
                | Call::Object(_) => false,
            };
            if lifts && own.protected() {
                out.step(PROTECTION, i, format!("takes the protection of {id} away"));
            }
        }
    }
}

/// Nothing comes or goes where not all was seen, or in a zone that is out.
pub(super) fn unseen(case: &Case<'_>, out: &mut Objections) {
    seated(case, out);
    for (i, step, call) in calls(case.plan) {
        let (kind, zones): (Kind, Vec<&str>) = match call {
            Call::Launch(l) => (Kind::Machines, l.places.iter().map(|p| p.zone.as_str()).collect()),
            Call::CreateVolume(v) => (Kind::Volumes, vec![&v.zone]),
            Call::Terminate(ids) => (Kind::Machines, ids.iter().filter_map(|id| zone(case, id)).collect()),
            Call::DeleteVolume(id) => (Kind::Volumes, zone(case, id).into_iter().collect()),
            Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::Attach { .. }
            | Call::Detach { .. }
            | Call::Object(_) => continue,
        };
        if !case.observed.sees_all(&step.scope, kind) {
            out.step(GAPS, i, format!("not all {kind} of scope `{}` were seen", step.scope));
        }
        if let Call::Terminate(ids) = call
            && !case.asked.destroy
            && let Some(id) = ids.iter().find(|id| case.own.get(id.as_str()).is_some_and(|o| !o.verdict.dead()))
            && let Some(what) = super::lost::unsighted(case, &step.scope)
        {
            out.step(GAPS, i, format!("{id} is ended, and the {what} of scope `{}` were not seen", step.scope));
        }
        let known = case.observed.scopes.get(&step.scope).map(|s| &s.zones);
        for z in zones.into_iter().filter(|_| !case.asked.destroy) {
            if known.is_some_and(|k| k.get(z) == Some(&false)) {
                out.step(OUTAGE, i, format!("zone {z} is not available"));
            }
        }
    }
}

/// A live object gets a slot, which may only look free, where not all was seen.
fn seated(case: &Case<'_>, out: &mut Objections) {
    for (i, step, call) in calls(case.plan) {
        let Call::Tag { ids, set, .. } = call else { continue };
        if !set.contains_key(tag::LAUNCH) {
            continue;
        }
        let volume = ids.iter().any(|id| case.object(id).is_some_and(|o| o.kind == Kind::Volumes));
        let kinds: &[Kind] = if volume { &[Kind::Machines, Kind::Volumes] } else { &[Kind::Machines] };
        if let Some(kind) = kinds.iter().find(|k| !case.observed.sees_all(&step.scope, **k)) {
            let says = format!("{ids:?} get a slot, and not all {kind} of scope `{}` were seen", step.scope);
            out.step(GAPS, i, says);
        }
    }
}

fn zone<'c>(case: &'c Case<'_>, id: &str) -> Option<&'c str> {
    Some(case.own.get(id)?.object.zone.as_str())
}
