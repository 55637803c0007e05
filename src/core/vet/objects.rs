//! Kubernetes objects: whose they are, what may go, and that each call does what its change says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{CAP, Case, DATA, EMPTY, GAPS, MARKS, OWNERSHIP, Objections, PROTECTION, SCOPES, SERVES, calls};
use crate::address::ObjectName;
use crate::objects::Sort;
use crate::objects::order::holds_data;
use crate::observed::{ClusterSeen, Live};
use crate::plan::{Action, Call, Change, ObjectDoes, OnObject, Step};

/// Every call on an object.
pub(super) fn objects(case: &Case<'_>, out: &mut Objections) {
    let mut gone: BTreeMap<&str, u32> = BTreeMap::new();
    for (i, step, on) in acts(case) {
        let Some(seen) = case.observed.clusters.get(&step.scope) else {
            out.step(SCOPES, i, format!("cluster `{}` was not looked at", step.scope));
            continue;
        };
        if super::nodes::of_machine(case, step, on) {
            // Not the stack's own, and looked at there.
            continue;
        }
        if is_mark(case, on) {
            mark(case, i, step, on, out);
            continue;
        }
        if let Some(c) = case.changes(step).find(|c| c.address.object.as_deref() != Some(&on.object)) {
            out.step(SERVES, i, format!("acts on {} for a change of {}", on.object, c.address));
        }
        if let Some(failure) = seen.unseen.get(&on.object.group_kind()) {
            out.step(GAPS, i, format!("acts on {}, whose kind could not be seen: {failure}", on.object));
        }
        let live = seen.objects.get(&on.object);
        match &on.does {
            ObjectDoes::Apply { .. } => applied(case, i, step, on, live, out),
            ObjectDoes::Delete { uid } => {
                owned(case, i, on, live, uid, out);
                let remade = case.changes(step).all(|c| c.action == Action::Replace);
                let earlier = case.asked.deleted.get(&step.scope).is_some_and(|ids| ids.contains(uid));
                if !remade && !earlier {
                    *gone.entry(step.scope.as_str()).or_default() += 1;
                }
                deleted(case, i, step, on, live, remade, out);
            }
            ObjectDoes::Mark { uid, .. } => owned(case, i, on, live, uid, out),
            ObjectDoes::Cordon { .. } => {
                out.step(SERVES, i, format!("cordons {}, which is no machine's node", on.object))
            }
            ObjectDoes::Parent { .. } => out.step(MARKS, i, format!("writes the stack's mark onto {}", on.object)),
        }
    }
    for (scope, gone) in gone {
        let Some(seen) = case.observed.clusters.get(scope) else { continue };
        limits(case, scope, seen, gone, out);
    }
}

/// The calls on objects.
fn acts<'a>(case: &Case<'a>) -> impl Iterator<Item = (u32, &'a Step, &'a OnObject)> + use<'a> {
    let one = |(i, step, call): (u32, &'a Step, &'a Call)| match call {
        Call::Object(on) => Some((i, step, on)),
        Call::Launch(_)
        | Call::Terminate(_)
        | Call::Stop(_)
        | Call::Start(_)
        | Call::Change { .. }
        | Call::Tag { .. }
        | Call::CreateVolume(_)
        | Call::Attach { .. }
        | Call::Detach { .. }
        | Call::DeleteVolume(_) => None,
    };
    calls(case.plan).filter_map(one)
}

/// How many go, and whether anything is left.
fn limits(case: &Case<'_>, scope: &str, seen: &ClusterSeen, gone: u32, out: &mut Objections) {
    let ours: BTreeSet<&str> =
        seen.objects.values().filter(|l| is_ours(case, &l.body)).map(|l| l.uid.as_str()).collect();
    let earlier = || case.asked.deleted.get(scope).into_iter().flatten();
    let ours = ours.len() + earlier().filter(|id| !ours.contains(id.as_str())).count();
    let ours = u32::try_from(ours).unwrap_or(u32::MAX);
    let all = u32::try_from(earlier().count()).unwrap_or(u32::MAX).saturating_add(gone);
    let most = match case.asked.max_deletes {
        Some(amount) => amount.floor_of(ours),
        None if case.asked.destroy => u32::MAX,
        None => case.desired.policy.deletes(ours),
    };
    if gone > 0 && all > most {
        out.plan(CAP, format!("{all} objects would go in this run, {most} of {ours} may"));
    }
    let wished = case.desired.wishes(scope).count();
    if !case.asked.destroy && !case.asked.allow_empty && wished == 0 && gone > 1 {
        out.plan(EMPTY, format!("nothing is left in cluster `{scope}`: {gone} of {ours} go now"));
    }
}

fn is_mark(case: &Case<'_>, on: &OnObject) -> bool {
    on.object.group_kind() == "ConfigMap" && on.object.name == format!("evenkeel-{}", case.desired.stack.id)
}

/// The stack's own mark: written at any time, deleted with the whole stack, or where the file's is another namespace;
/// and never while a kind is unseen, of which it alone may know.
fn mark(case: &Case<'_>, i: u32, step: &Step, on: &OnObject, out: &mut Objections) {
    let home = case.desired.clusters.get(&step.scope).map(|c| c.namespace());
    let seen_all = case.observed.clusters.get(&step.scope).is_some_and(|c| c.unseen.is_empty());
    match &on.does {
        ObjectDoes::Parent { .. } => {}
        ObjectDoes::Delete { .. } if seen_all && (case.asked.destroy || home != Some(on.object.namespace.as_str())) => {
        }
        ObjectDoes::Delete { .. } | ObjectDoes::Apply { .. } | ObjectDoes::Mark { .. } | ObjectDoes::Cordon { .. } => {
            out.step(MARKS, i, "takes the stack's own mark away");
        }
    }
}

fn applied(case: &Case<'_>, i: u32, step: &Step, on: &OnObject, live: Option<&Live>, out: &mut Objections) {
    let ObjectDoes::Apply { body, uid, force } = &on.does else { return };
    let same = |o: &ObjectName| (&o.api, &o.kind, &o.name) == (&on.object.api, &on.object.kind, &on.object.name);
    let wish = (case.desired.bundles.iter())
        .filter(|(_, b)| b.scope == step.scope)
        .flat_map(|(g, b)| b.objects.iter().map(move |w| (g, b, w)))
        .find(|(_, _, w)| w.body.digest() == body && same(&w.object) && w.api_version == on.api_version);
    let Some((group, bundle, _)) = wish.filter(|_| !case.asked.destroy) else {
        out.step(SERVES, i, format!("applies {}, which the file does not say so", on.object));
        return;
    };
    if case.changes(step).any(|c| c.address.group != *group) {
        out.step(SERVES, i, format!("applies {} for another group than {group}", on.object));
    }
    if *force && !case.asked.force_conflicts && !bundle.force_conflicts {
        out.step(OWNERSHIP, i, format!("takes fields of {} from their managers without leave", on.object));
    }
    let says = |c: &&Change| match c.action {
        Action::Create | Action::Replace => uid.is_none(),
        Action::Update | Action::Restamp => uid.is_some() && uid.as_deref() == live.map(|l| l.uid.as_str()),
        Action::Delete | Action::Quarantine | Action::Release | Action::Attach => false,
    };
    if let Some(c) = case.changes(step).find(|c| !says(c)) {
        out.step(SERVES, i, format!("applies {} for a change that says {:?}", on.object, c.action));
    }
    let stack = live.and_then(|l| label(&l.body, "evenkeel.dev/stack"));
    if stack.is_some_and(|s| s != case.desired.stack.id) {
        out.step(OWNERSHIP, i, format!("applies {}, which is another stack's", on.object));
    }
}

/// What is deleted or marked is the very object that was seen, and ours.
fn owned(case: &Case<'_>, i: u32, on: &OnObject, live: Option<&Live>, uid: &str, out: &mut Objections) {
    match live {
        Some(live) if live.uid == uid && is_ours(case, &live.body) => {}
        Some(live) if live.uid == uid => out.step(OWNERSHIP, i, format!("{} is not this stack's", on.object)),
        Some(_) | None => out.step(OWNERSHIP, i, format!("{} with uid {uid} was not seen", on.object)),
    }
}

fn deleted(
    case: &Case<'_>,
    i: u32,
    step: &Step,
    on: &OnObject,
    live: Option<&Live>,
    remade: bool,
    out: &mut Objections,
) {
    let note = |key: &str| live.and_then(|l| annotation(&l.body, key));
    if note("evenkeel.dev/protect") == Some("true") {
        out.step(PROTECTION, i, format!("deletes {}, which is protected", on.object));
    }
    if let Some(inside) = taken_along(case, step, on, live) {
        out.step(DATA, i, format!("deletes {}, and {inside} in it goes along", on.object));
    }
    let sort = Sort { group: &on.object.api, kind: &on.object.kind };
    let keeps = holds_data(sort).is_some() || live.is_some_and(|l| takes_claims(sort, &l.body));
    let over = note("evenkeel.dev/delete-after").and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let marked = || {
        acts(case).any(|(j, _, other)| {
            other.object == on.object && matches!(other.does, ObjectDoes::Mark { .. }) && case.above.has(i, j)
        })
    };
    let may_go = over.is_some_and(|at| at <= case.now) || (case.asked.destroy && marked());
    if keeps && !may_go {
        out.step(DATA, i, format!("deletes {}, which holds data and whose quarantine is not over", on.object));
    }
    let wished = case.desired.wishes(&step.scope).any(|w| {
        (&w.object.api, &w.object.kind, &w.object.name) == (&on.object.api, &on.object.kind, &on.object.name)
            && (w.object.namespace == on.object.namespace || on.object.namespace.is_empty())
    });
    if remade != wished && !case.asked.destroy {
        out.step(
            SERVES,
            i,
            format!("deletes {}, which the file {}", on.object, if wished { "wishes" } else { "does not wish" }),
        );
    }
    let remake = acts(case).any(|(j, _, other)| {
        other.object == on.object && matches!(other.does, ObjectDoes::Apply { .. }) && case.above.has(j, i)
    });
    if remade && !remake {
        out.step(SERVES, i, format!("deletes {} and does not make it anew", on.object));
    }
}

/// A stateful set whose claims its controller deletes with it.
fn takes_claims(sort: Sort<'_>, body: &Json) -> bool {
    let spec = (sort == Sort { group: "apps", kind: "StatefulSet" }).then(|| body.get("spec")).flatten();
    let ends = spec.and_then(|s| s.get("persistentVolumeClaimRetentionPolicy")?.get("whenDeleted")?.as_str());
    let makes = spec.and_then(|s| s.get("volumeClaimTemplates")?.as_array()).is_some_and(|all| !all.is_empty());
    ends == Some("Delete") && makes
}

/// An object of any stack that stands in a namespace, or is of a definition's kind, and that the plan itself does not
/// end.
fn taken_along(case: &Case<'_>, step: &Step, on: &OnObject, live: Option<&Live>) -> Option<ObjectName> {
    let spec = live.and_then(|l| l.body.get("spec"));
    let text = |v: Option<&Json>| v.and_then(Json::as_str).unwrap_or_default().to_owned();
    let names = spec.and_then(|s| s.get("names"));
    let (kind, group) = (text(names.and_then(|n| n.get("kind"))), text(spec.and_then(|s| s.get("group"))));
    let within = |o: &ObjectName| match on.object.group_kind().as_str() {
        "Namespace" => o.namespace == on.object.name,
        "CustomResourceDefinition.apiextensions.k8s.io" => o.kind == kind && o.api == group,
        _ => false,
    };
    let ends = |o: &ObjectName| {
        acts(case).any(|(_, _, other)| other.object == *o && matches!(other.does, ObjectDoes::Delete { .. }))
    };
    let stays = |(o, l): &(&ObjectName, &Live)| {
        let going = l.body.get("metadata").is_some_and(|m| m.get("deletionTimestamp").is_some());
        within(o) && !going && label(&l.body, "evenkeel.dev/stack").is_some() && !ends(o)
    };
    case.observed.clusters.get(&step.scope)?.objects.iter().find(stays).map(|(o, _)| o.clone())
}

fn is_ours(case: &Case<'_>, body: &Json) -> bool {
    let managed = body.get("metadata").and_then(|m| m.get("managedFields")).and_then(Json::as_array);
    let applied = |e: &Json| {
        e.get("manager").and_then(Json::as_str) == Some("evenkeel")
            && e.get("operation").and_then(Json::as_str) == Some("Apply")
    };
    label(body, "evenkeel.dev/stack") == Some(case.desired.stack.id.as_str())
        && managed.is_some_and(|all| all.iter().any(applied))
}

fn label<'b>(body: &'b Json, key: &str) -> Option<&'b str> {
    body.get("metadata")?.get("labels")?.get(key)?.as_str()
}

fn annotation<'b>(body: &'b Json, key: &str) -> Option<&'b str> {
    body.get("metadata")?.get("annotations")?.get(key)?.as_str()
}
