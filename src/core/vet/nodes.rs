//! Nodes of machines: none loses its machine before it was emptied, and none goes before its machine.
//!
//! Told from the look alone: which node stands on which machine, by `providerID`.

use std::collections::BTreeMap;

use super::{Case, DRAIN, Objections};
use crate::health::State;
use crate::nodes::instance;
use crate::observed::{NodeSeen, Observed, Phase, Truth};
use crate::plan::{Call, ObjectDoes, OnObject, Step, Target, Until};

/// The instance of the node that a target names: `Node/ip-10-0-0-1@<uid>`.
pub(super) fn machine<'o>(observed: &'o Observed, target: &Target) -> Option<&'o str> {
    let Target::Id(id) = target else { return None };
    let (name, uid) = id.strip_prefix("Node/")?.split_once('@')?;
    let nodes = observed.clusters.values().filter_map(|c| c.nodes.get(name));
    let node = nodes.into_iter().find(|n| n.uid == uid)?;
    instance(&node.provider_id).map(|(_, id)| id)
}

/// Whether a call is on a node, for the change of a machine.
pub(super) fn of_machine(case: &Case<'_>, step: &Step, on: &OnObject) -> bool {
    let mut changes = case.changes(step).peekable();
    let node = on.object.api.is_empty() && on.object.kind == "Node";
    node && changes.peek().is_some() && changes.all(|c| c.address.object.is_none())
}

/// Whether a change is the end of a node whose machine is gone.
pub(super) fn forgets(case: &Case<'_>, change: u32) -> bool {
    case.forgotten.contains(&change)
}

/// The node of this uid in a cluster.
fn seen<'a>(case: &Case<'a>, scope: &str, name: &str, uid: &str) -> Option<&'a NodeSeen> {
    case.observed.clusters.get(scope)?.nodes.get(name).filter(|n| n.uid == uid)
}

/// What is done to nodes, and to machines that are nodes.
pub(super) fn nodes(case: &Case<'_>, out: &mut Objections) {
    case.look(case.on_nodes.len());
    for &(i, step, on) in &case.on_nodes {
        let (uid, goes) = match &on.does {
            ObjectDoes::Cordon { uid, .. } => (uid, false),
            ObjectDoes::Delete { uid } => (uid, true),
            ObjectDoes::Apply { .. } | ObjectDoes::Mark { .. } | ObjectDoes::Parent { .. } => {
                out.step(DRAIN, i, format!("writes into {}", on.object));
                continue;
            }
        };
        let node = seen(case, &step.scope, &on.object.name, uid);
        let Some(id) = node.and_then(|n| instance(&n.provider_id)).map(|(_, id)| id) else {
            out.step(DRAIN, i, format!("acts on {}, which was not seen with uid {uid}", on.object));
            continue;
        };
        let Some(own) = case.own.get(id) else {
            out.step(DRAIN, i, format!("acts on {}, whose machine {id} is not this stack's", on.object));
            continue;
        };
        if case.changes(step).any(|c| Some(&c.address) != own.address.as_ref()) {
            out.step(DRAIN, i, format!("acts on {} for another machine's change", on.object));
        }
        let ended = case.after_wait(i, &Target::Id(id.to_owned()), |w| w.until == Until::Terminated);
        if goes && own.object.phase != Phase::Gone && !ended {
            out.step(DRAIN, i, format!("deletes {} before {id} is gone", on.object));
        }
    }
    emptied(case, out);
}

/// Every machine that is terminated or stopped while its node may have pods.
fn emptied(case: &Case<'_>, out: &mut Objections) {
    let mut cordons: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (i, _, on) in case.on_nodes.iter().filter(|(_, _, on)| matches!(on.does, ObjectDoes::Cordon { on: true, .. })) {
        cordons.entry(&on.object.name).or_default().push(*i);
    }
    for (i, _, call) in case.calls() {
        let (Call::Terminate(ids) | Call::Stop(ids)) = call else { continue };
        for own in ids.iter().filter_map(|id| case.own.get(id.as_str())) {
            if own.verdict.dead() {
                continue;
            }
            let id = own.object.id.as_str();
            let group = own.group.as_ref().and_then(|g| case.desired.machines.get(&g.name));
            if let Some(nodes) = group.and_then(|g| g.nodes.as_ref()) {
                let cluster = case.observed.clusters.get(&nodes.scope);
                if cluster.is_none_or(|c| c.nodes_unseen.is_some()) {
                    out.step(DRAIN, i, format!("ends {id} while the nodes of `{}` are not known", nodes.scope));
                    continue;
                }
            }
            let silent = matches!(own.verdict.state, State::Unhealthy { .. } | State::Flapping);
            let Some(node) = own.node.filter(|j| j.node.ready != Truth::Unknown || !silent) else { continue };
            let target = Target::Id(format!("Node/{}@{}", node.name, node.node.uid));
            let drains = case.waits_for(&target).iter();
            let mut drains = drains.filter(|(j, step, _)| step.scope == node.scope && case.above.has(i, *j));
            let first = drains.find_map(|(j, _, w)| Some((*j, w.until.drain()?)));
            let Some((drain, how)) = first else {
                out.step(DRAIN, i, format!("ends {id} without draining its node {}", node.name));
                continue;
            };
            let cordoned = cordons.get(node.name).is_some_and(|all| all.iter().any(|j| case.above.has(drain, *j)));
            if !cordoned {
                out.step(DRAIN, drain, format!("drains {} before it is cordoned", node.name));
            }
            let ill = matches!(own.verdict.state, State::Unhealthy { .. } | State::Flapping | State::Planned { .. });
            let policy = &case.desired.policy.drain;
            let lost = (how.empty_dir && !policy.empty_dir) || (how.unmanaged && !policy.unmanaged);
            if (how.force || lost) && !ill && !case.asked.destroy {
                out.step(DRAIN, drain, format!("drains {}, which is well, by force", node.name));
            }
        }
    }
}
