//! Steps in words: what is being done, what has been done, to whom.

use std::collections::BTreeMap;

use evenkeel_core::address::{Address, Group, Kind, ObjectName};
use evenkeel_core::plan::{Call, Do, ObjectDoes, OnObject, Plan, Until};

use crate::plan::Names;
use crate::words::{count, number, slots};

/// A step's verb: to do it, and having done it.
fn verb(does: &Do) -> (&'static str, &'static str) {
    match does {
        Do::Call(call) => match call {
            Call::Launch(_) => ("launch", "launched"),
            Call::Terminate(_) => ("terminate", "terminated"),
            Call::Stop(_) => ("stop", "stopped"),
            Call::Start(_) => ("start", "started"),
            Call::Change { .. } => ("change", "changed"),
            Call::Tag { .. } => ("tag", "tagged"),
            Call::CreateVolume(_) => ("create", "created"),
            Call::Attach { .. } => ("attach", "attached"),
            Call::Detach { .. } => ("detach", "detached"),
            Call::DeleteVolume(_) => ("delete", "deleted"),
            Call::Object(on) => match on.does {
                ObjectDoes::Apply { .. } => ("apply", "applied"),
                ObjectDoes::Cordon { on: true, .. } => ("cordon the node of", "cordoned the node of"),
                ObjectDoes::Cordon { on: false, .. } => ("uncordon the node of", "uncordoned the node of"),
                ObjectDoes::Delete { .. } if is_node(on) => ("delete the node of", "deleted the node of"),
                ObjectDoes::Delete { .. } => ("delete", "deleted"),
                ObjectDoes::Mark { .. } => ("annotate", "annotated"),
                ObjectDoes::Parent { .. } => ("write the stack's mark for", "wrote the stack's mark for"),
            },
        },
        Do::Wait(wait) => match wait.until {
            Until::Running => ("wait for", "running:"),
            Until::Healthy { .. } => ("wait for", "healthy:"),
            Until::Stopped => ("wait for", "stopped:"),
            Until::Terminated => ("wait for", "gone:"),
            Until::Free => ("wait for", "free:"),
            Until::Attached => ("wait for", "attached:"),
            Until::Deleted => ("wait for", "gone:"),
            Until::Ready => ("wait for", "ready:"),
            Until::Joined => ("wait for", "joined as nodes:"),
            Until::Drained(_) => ("drain the node of", "drained the node of"),
        },
    }
}

/// Whether an object is a node: what is done to one serves the change of its machine.
fn is_node(on: &OnObject) -> bool {
    on.object.api.is_empty() && on.object.kind == "Node"
}

/// What a wait wants to see.
fn until(does: &Do) -> &'static str {
    match does {
        Do::Call(_) => "",
        Do::Wait(wait) => match wait.until {
            Until::Running => " to run",
            Until::Healthy { .. } => " to be healthy",
            Until::Stopped => " to stop",
            Until::Terminated | Until::Deleted => " to be gone",
            Until::Free => " to be free",
            Until::Attached => " to be attached",
            Until::Ready => " to be ready",
            Until::Joined => " to be ready as nodes",
            Until::Drained(_) => "",
        },
    }
}

/// The step as an infinitive: `launch web/0-5`, `wait for web/0-5 to be healthy`.
pub fn doing(plan: &Plan, names: &Names, step: u32) -> String {
    let Some(s) = plan.steps.get(step as usize) else { return "do something that is not in the plan".to_owned() };
    doing_to(&s.does, &whom(plan, names, step))
}

/// The same to somebody else: for steps alike, told together.
pub fn doing_to(does: &Do, whom: &str) -> String {
    format!("{} {whom}{}", verb(does).0, until(does))
}

/// What has been done: `launched`, `healthy:`.
pub fn having_done(plan: &Plan, step: u32) -> &'static str {
    plan.steps.get(step as usize).map_or("did something that is not in the plan", |s| verb(&s.does).1)
}

/// Whether the step is a call and not a wait.
pub fn is_call(plan: &Plan, step: u32) -> bool {
    match plan.steps.get(step as usize).map(|s| &s.does) {
        Some(Do::Call(_)) => true,
        Some(Do::Wait(_)) | None => false,
    }
}

/// `web/0-5, data/2`; with the object's id where the step acts on one old object, which a name alone does not tell
/// from its successor.
pub fn whom(plan: &Plan, names: &Names, step: u32) -> String {
    let all = addresses(plan, step);
    if let Some(Do::Call(Call::Object(OnObject { does: ObjectDoes::Parent { .. }, .. }))) =
        plan.steps.get(step as usize).map(|s| &s.does)
    {
        return count(all.len() as u64, "object", "objects");
    }
    let own = plan.steps.get(step as usize).filter(|s| s.changes.iter().all(|c| plan.is_beside(*c, step)));
    if let Some(Do::Call(Call::Object(OnObject { does: ObjectDoes::Delete { .. }, .. }))) = own.map(|s| &s.does) {
        return "the stack's own mark".to_owned();
    }
    let ids: &[String] = match plan.steps.get(step as usize).map(|s| &s.does) {
        Some(Do::Call(Call::Terminate(ids) | Call::Stop(ids) | Call::Start(ids))) => ids,
        Some(Do::Call(_) | Do::Wait(_)) | None => &[],
    };
    let id = if let [id] = ids { format!(" ({id})") } else { String::new() };
    format!("{}{}{id}", part(plan, step, &all), listed(names, &all))
}

/// What of these addresses a step acts on: a hand-over serves the machine's change, and acts on its volume.
fn part(plan: &Plan, step: u32, all: &[Address]) -> &'static str {
    let volume = match plan.steps.get(step as usize).map(|s| &s.does) {
        Some(Do::Call(Call::Attach { .. } | Call::Detach { .. })) => true,
        Some(Do::Wait(wait)) => matches!(wait.until, Until::Free | Until::Attached),
        Some(Do::Call(_)) | None => false,
    };
    if volume && all.iter().all(|a| a.group.kind == Kind::Machines) { "the volume of " } else { "" }
}

/// Groups and objects that are named where steps alike are told together.
const NAMED: usize = 5;

/// Many steps in few words, those alike together, in the order of their first: `attach data/0-99 (100 steps)`.
pub fn together(plan: &Plan, names: &Names, steps: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut sorts: Vec<(String, Vec<u32>)> = Vec::new();
    for step in steps {
        let sort = match plan.steps.get(step as usize) {
            Some(s) => format!("{} {}", doing_to(&s.does, ""), part(plan, step, &addresses(plan, step))),
            None => String::new(),
        };
        match sorts.iter_mut().find(|(other, _)| *other == sort) {
            Some((_, all)) => all.push(step),
            None => sorts.push((sort, vec![step])),
        }
    }
    let told = |(_, all): &(String, Vec<u32>)| match (all.as_slice(), plan.steps.get(all[0] as usize)) {
        ([one], _) => doing(plan, names, *one),
        (_, None) => doing(plan, names, all[0]),
        (_, Some(first)) => {
            let whose: Vec<Address> = all.iter().flat_map(|s| addresses(plan, *s)).collect();
            let named = named(names, &whose);
            let more = match named.len().saturating_sub(NAMED) {
                0 => String::new(),
                n => format!(" and {} more", number(n as u64)),
            };
            let few = named[..named.len().min(NAMED)].join(", ");
            let whom = format!("{}{few}{more}", part(plan, all[0], &whose));
            format!("{} ({})", doing_to(&first.does, &whom), count(all.len() as u64, "step", "steps"))
        }
    };
    sorts.iter().map(told).collect()
}

/// The addresses a step serves.
pub fn addresses(plan: &Plan, step: u32) -> Vec<Address> {
    addresses_of(plan, plan.steps.get(step as usize).map(|s| s.changes.as_slice()).unwrap_or_default())
}

/// The addresses of changes.
pub fn addresses_of(plan: &Plan, changes: &[u32]) -> Vec<Address> {
    changes.iter().filter_map(|c| plan.changes.get(*c as usize)).map(|c| c.address.clone()).collect()
}

/// `web/0-5, data/2`.
pub fn listed(names: &Names, all: &[Address]) -> String {
    named(names, all).join(", ")
}

/// One name a group and one an object: `web/0-5`, `ConfigMap shop/settings`.
fn named(names: &Names, all: &[Address]) -> Vec<String> {
    let mut groups: BTreeMap<&Group, Vec<u32>> = BTreeMap::new();
    for a in all.iter().filter(|a| a.object.is_none()) {
        groups.entry(&a.group).or_default().push(a.slot);
    }
    let numbered = groups.into_iter().map(|(g, s)| format!("{}/{}", names.group(g), slots(s)));
    let objects = all.iter().filter_map(|a| a.object.as_deref()).map(ObjectName::short);
    numbered.chain(objects).collect()
}
