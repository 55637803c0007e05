//! The plan as a document: sealed, complete, consistent with itself, and free of secrets.
//!
//! It refuses to look at health or numbers: only at what is written.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, GRAPH, Objections, REASONS, SCOPES, SEALED, SECRETS, SERVES, TARGETS, calls, index, touches};
use crate::address::Kind;
use crate::desired::{Desired, Layout, is_cluster};
use crate::digest::Digest;
use crate::observed::Observed;
use crate::plan::{Action, Call, Change, FORMAT, Plan, Step, Target, Until, Wait};

/// Shorter secrets are not looked for: they occur by chance in names and digests.
const SHORTEST_SECRET: usize = 8;
/// Characters of a full [`Digest`].
const DIGEST: usize = 52;

/// The seal, and what it is based on.
pub(super) fn sealed(plan: &Plan, desired: &Desired, observed: &Observed, out: &mut Objections) {
    if plan.format != FORMAT {
        out.plan(SEALED, format!("format {} is not {FORMAT}", plan.format));
    }
    if plan.id != plan.digest() {
        out.plan(SEALED, "the id is not the digest of the rest");
    }
    let basis = &plan.basis;
    if basis.stack != desired.stack.id {
        out.plan(SEALED, format!("made for stack {}, not {}", basis.stack, desired.stack.id));
    }
    if basis.declaration != Digest::of_json(desired) {
        out.plan(SEALED, "made for another declaration");
    }
    let scopes: BTreeMap<_, _> =
        observed.scopes.iter().map(|(a, s)| (a.clone(), (s.account.clone(), s.region.clone()))).collect();
    if basis.at != observed.at || basis.scopes != scopes || plan.gaps != observed.gaps {
        out.plan(SEALED, "made from another look at the world");
    }
}

/// Indices and needs.
pub(super) fn graph(plan: &Plan, out: &mut Objections) {
    let mut served = BTreeSet::new();
    for (i, step) in plan.steps.iter().enumerate() {
        let i = index(i);
        if let Some(n) = step.needs.iter().find(|n| **n >= i) {
            out.step(GRAPH, i, format!("needs step {n}, which is not before it"));
        }
        if step.changes.is_empty() {
            out.step(GRAPH, i, "serves no change");
        }
        if let Some(c) = step.changes.iter().find(|c| plan.changes.get(**c as usize).is_none()) {
            out.step(GRAPH, i, format!("serves change {c}, which is not there"));
        }
        served.extend(step.changes.iter().copied());
    }
    for i in (0..plan.changes.len()).map(index).filter(|i| !served.contains(i)) {
        out.change(GRAPH, i, "no step serves it");
    }
}

/// Reasons, and each change once.
pub(super) fn reasons(case: &Case<'_>, out: &mut Objections) {
    let mut seen = BTreeSet::new();
    for (i, c) in case.plan.changes.iter().enumerate() {
        if c.reasons.is_empty() {
            out.change(REASONS, index(i), format!("{} has no reason", c.address));
        }
        if !seen.insert((&c.address, c.action, &c.object)) {
            out.change(REASONS, index(i), format!("{} stands twice", c.address));
        }
    }
    for h in &case.plan.held {
        let c = &h.change;
        if c.reasons.is_empty() || h.waits_for.is_empty() {
            out.plan(REASONS, format!("held {} has no reason, or waits for nothing", c.address));
        }
        if seen.contains(&(&c.address, c.action, &c.object)) {
            out.plan(REASONS, format!("{} is held and made", c.address));
        }
    }
}

/// Each call does what its changes say, to what they are about.
pub(super) fn serves(case: &Case<'_>, out: &mut Objections) {
    for (i, step, call) in case.calls() {
        let fits = |c: &&Change| match call {
            Call::Launch(_) => matches!(c.action, Action::Create | Action::Replace),
            Call::CreateVolume(_) => c.action == Action::Create,
            Call::Terminate(_) => matches!(c.action, Action::Replace | Action::Delete),
            Call::DeleteVolume(_) | Call::Detach { .. } => c.action == Action::Delete,
            Call::Stop(_) | Call::Start(_) | Call::Change { .. } => c.action == Action::Update,
            Call::Tag { .. } => match c.action {
                Action::Update | Action::Restamp | Action::Quarantine | Action::Release => true,
                Action::Delete => c.address.group.kind == Kind::Volumes,
                Action::Create | Action::Replace | Action::Attach => false,
            },
            Call::Attach { .. } => match c.action {
                Action::Create | Action::Replace | Action::Delete | Action::Attach => true,
                Action::Update | Action::Restamp | Action::Quarantine | Action::Release => false,
            },
            Call::Object(_) => true,
        };
        if let Some(c) = case.changes(step).find(|c| !fits(c)) {
            out.step(SERVES, i, format!("{} for a change that says {:?} {}", touches(call).0, c.action, c.address));
        }
        let wrong = match call {
            Call::Launch(l) => {
                let made: BTreeSet<_> = l.addresses().into_iter().collect();
                let said: BTreeSet<_> = case.changes(step).map(|c| c.address.clone()).collect();
                (made != said).then(|| format!("launches {}, which its changes do not say", l.group))
            }
            Call::CreateVolume(v) => (case.changes(step).any(|c| c.address != v.address))
                .then(|| format!("creates {}, which its changes do not say", v.address)),
            Call::Attach { volume, machine, .. } => attaches(case, step, volume, machine),
            Call::Detach { volume, .. } => (case.changes(step).all(|c| c.object.as_ref() != Some(volume)))
                .then(|| format!("detaches {volume}, which its changes do not name")),
            Call::Terminate(_)
            | Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::Object(_)
            | Call::DeleteVolume(_) => {
                let named: BTreeSet<_> = case.changes(step).filter_map(|c| c.object.as_deref()).collect();
                let (does, ids) = touches(call);
                ids.iter()
                    .find(|id| !named.contains(*id))
                    .map(|id| format!("{does} {id}, which its changes do not name"))
            }
        };
        if let Some(says) = wrong {
            out.step(SERVES, i, says);
        }
    }
    let numbered = |(_, c): &(usize, &Change)| !c.address.group.kind.is_kubernetes();
    for (i, c) in case.plan.changes.iter().enumerate().filter(numbered) {
        let i = index(i);
        if c.object.is_none() != (c.action == Action::Create) {
            out.change(SERVES, i, format!("{:?} {} with or without an object", c.action, c.address));
        }
        if !does_it(case, i, c) {
            out.change(SERVES, i, format!("no step brings about {:?} {}", c.action, c.address));
        }
    }
}

/// Whether some step brings a change about.
fn does_it(case: &Case<'_>, at: u32, c: &Change) -> bool {
    let id = c.object.as_deref().unwrap_or_default();
    let ended = || case.gone_by(id).is_some();
    match c.action {
        Action::Create => case.made.contains_key(&c.address),
        Action::Replace => case.made.contains_key(&c.address) && ended(),
        Action::Delete => ended() || super::nodes::forgets(case, at),
        Action::Update | Action::Restamp | Action::Quarantine | Action::Release | Action::Attach => {
            case.serving.contains(&at)
        }
    }
}

/// An attach is of a volume and a machine of one slot, and one of them is what the change is about.
fn attaches(case: &Case<'_>, step: &Step, volume: &Target, machine: &Target) -> Option<String> {
    let of = |t: &Target| match t {
        Target::Id(id) => case.own.get(id.as_str()).and_then(|o| o.address.clone()),
        Target::New(a) => Some(a.clone()),
    };
    let (v, m) = (of(volume), of(machine));
    let home = v.as_ref().and_then(|v| match &case.desired.volumes.get(&v.group.name)?.layout {
        Layout::For(machines) => Some(machines.slot(v.slot)),
        Layout::Replicas { .. } => None,
    });
    if home.is_none() || (m.is_some() && m != home) {
        return Some(format!("attaches {volume:?} to {machine:?}, which is not its home"));
    }
    let said: Vec<_> = case.changes(step).map(|c| Some(c.address.clone())).collect();
    (!said.contains(&v) && !said.contains(&home)).then(|| format!("attaches {volume:?}, which its changes do not say"))
}

/// Scopes are known, and objects and groups are of the step's scope.
pub(super) fn scopes(case: &Case<'_>, out: &mut Objections) {
    for (i, step) in case.plan.steps.iter().enumerate() {
        let i = index(i);
        if !case.observed.scopes.contains_key(&step.scope) {
            out.step(SCOPES, i, format!("scope `{}` was not looked at", step.scope));
        }
        for c in case.changes(step) {
            // What is done to a machine's node is done in its cluster; which one, rule DRAIN looks at.
            let node = is_cluster(&step.scope) && c.address.group.kind == Kind::Machines;
            // A destroy ends what is of the stack where it is, wherever the file has its group by now.
            let there = c.object.as_deref().filter(|_| case.asked.destroy).and_then(|id| case.object(id));
            let home = there.map(|o| o.scope.as_str()).or_else(|| case.desired.scope_of(&c.address.group));
            if home.is_some_and(|s| s != step.scope) && !node {
                out.step(SCOPES, i, format!("{} is not of scope `{}`", c.address, step.scope));
            }
        }
    }
    for (i, step, call) in case.calls() {
        let group = match call {
            Call::Launch(l) => Some(&l.group),
            Call::CreateVolume(v) => Some(&v.address.group),
            Call::Terminate(_)
            | Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::Attach { .. }
            | Call::Detach { .. }
            | Call::DeleteVolume(_)
            | Call::Object(_) => None,
        };
        if let Some(o) = group.and_then(|g| case.members(g).find(|o| o.object.scope != step.scope)) {
            let (id, scope) = (&o.object.id, &o.object.scope);
            out.step(SCOPES, i, format!("makes one of a group of which {id} lives in scope `{scope}`"));
        }
        let (does, ids) = touches(call);
        for id in ids {
            if case.object(id).is_some_and(|o| o.scope != step.scope) {
                out.step(SCOPES, i, format!("{does} {id}, which is not of scope `{}`", step.scope));
            }
        }
    }
}

/// Every target is there, or made before; what is acted upon lives and is of the right kind.
pub(super) fn targets(case: &Case<'_>, out: &mut Objections) {
    let made = |i: u32, address: &crate::address::Address| {
        case.made.get(address).is_some_and(|all| all.iter().any(|m| case.above.has(i, *m)))
    };
    let mut check = |i: u32, t: &Target, kind: Option<Kind>| match t {
        Target::New(a) => {
            if !made(i, a) {
                out.step(TARGETS, i, format!("{a} is not made by a step before it"));
            }
            if kind.is_some_and(|k| k != a.group.kind) {
                out.step(TARGETS, i, format!("{a} is of another kind"));
            }
        }
        Target::Id(id) => match case.object(id) {
            None => out.step(TARGETS, i, format!("{id} was not seen")),
            Some(o) if kind.is_some_and(|k| k != o.kind) => out.step(TARGETS, i, format!("{id} is of another kind")),
            Some(o) if !o.phase.alive() => out.step(TARGETS, i, format!("{id} no longer lives")),
            Some(_) => {}
        },
    };
    for (i, _, wait) in case.waits().filter(|(_, step, _)| !is_cluster(&step.scope)) {
        wait.targets.iter().for_each(|t| check(i, t, kind_of(wait)));
    }
    for (i, _, call) in case.calls() {
        let kind = match call {
            Call::Launch(_) | Call::CreateVolume(_) | Call::Tag { .. } | Call::Object(_) => None,
            Call::Terminate(_) | Call::Stop(_) | Call::Start(_) => Some(Kind::Machines),
            Call::Change { kind, .. } => Some(*kind),
            Call::DeleteVolume(_) => Some(Kind::Volumes),
            Call::Attach { volume, machine, .. } => {
                check(i, volume, Some(Kind::Volumes));
                check(i, machine, Some(Kind::Machines));
                continue;
            }
            Call::Detach { volume, machine, .. } => {
                check(i, &Target::Id(volume.clone()), Some(Kind::Volumes));
                // The holder may be dying: that is what it is detached from.
                if case.object(machine).is_none_or(|o| o.kind != Kind::Machines) {
                    check(i, &Target::Id(machine.clone()), Some(Kind::Machines));
                }
                continue;
            }
        };
        touches(call).1.iter().for_each(|id| check(i, &Target::Id((*id).to_owned()), kind));
    }
    for (i, _, _) in case.waits().filter(|(_, _, w)| w.targets.is_empty() || w.within == 0) {
        out.step(TARGETS, i, "waits for nothing, or not at all");
    }
    for (id, all) in case.ends.iter().filter(|(id, _)| case.gone_by(id).is_some()) {
        let waited = case
            .waits_for(&Target::Id((*id).to_owned()))
            .iter()
            .any(|(i, _, _)| all.iter().any(|e| case.above.has(*i, *e)));
        if !waited {
            out.step(TARGETS, all[0], format!("nothing waits for the end of {id}"));
        }
    }
}

fn kind_of(wait: &Wait) -> Option<Kind> {
    match wait.until {
        Until::Running | Until::Healthy { .. } | Until::Stopped | Until::Terminated => Some(Kind::Machines),
        Until::Free | Until::Attached | Until::Deleted => Some(Kind::Volumes),
        Until::Ready => Some(Kind::Workloads),
        // In a cluster's scope, where targets are looked at by other rules.
        Until::Joined | Until::Drained(_) => None,
    }
}

/// No secret, no boot script.
pub(super) fn secrets(plan: &Plan, desired: &Desired, out: &mut Objections) {
    for (i, _, call) in calls(plan) {
        let Call::Launch(l) = call else { continue };
        let digest =
            |d: &Digest| d.0.len() == DIGEST && d.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if l.spec.contains_key("user-data") || l.user_data.as_ref().is_some_and(|d| !digest(d)) {
            out.step(SECRETS, i, "carries a boot script, not its digest");
        }
    }
    let secrets: Vec<&String> = desired.secrets.iter().filter(|s| s.chars().count() >= SHORTEST_SECRET).collect();
    let scripts = desired.machines.values().filter_map(|g| g.user_data.as_ref()).map(|u| &u.template);
    let scripts: Vec<&String> = scripts.filter(|s| s.chars().count() >= SHORTEST_SECRET).collect();
    if secrets.is_empty() && scripts.is_empty() {
        return;
    }
    let mut hits = 0;
    let whole = serde_json::to_value(plan).expect("our types have string keys and no failing serializers");
    each_text(&whole, &mut |text| {
        hits += usize::from(secrets.iter().chain(&scripts).any(|s| text.contains(s.as_str())));
    });
    if hits > 0 {
        // Where it stands is not said: the words of an objection are shown.
        out.plan(SECRETS, format!("{hits} of its texts hold a secret"));
    }
}

fn each_text(value: &serde_json::Value, see: &mut impl FnMut(&str)) {
    use serde_json::Value;
    match value {
        Value::String(s) => see(s),
        Value::Array(all) => all.iter().for_each(|v| each_text(v, see)),
        Value::Object(all) => all.iter().for_each(|(k, v)| {
            see(k);
            each_text(v, see);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
