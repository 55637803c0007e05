//! What a plan does for the nodes that stand on machines: how each is emptied before its machine goes, and which are
//! left over from machines that are gone.

use std::collections::BTreeSet;

use super::{Candidate, Draft};
use crate::address::{Group, Kind};
use crate::desired::{Desired, WaitFor};
use crate::failure::Class;
use crate::health::{State, age};
use crate::nodes::Joined;
use crate::observed::{ClusterSeen, Phase, Truth};
use crate::plan::{Action, Change, Drain, Reason, Why};
use crate::survey::Member;

/// Hand-over of a machine whose end is announced is over so long before, in seconds.
const BEFORE_END: u64 = 300;

/// How a machine's node is emptied.
pub(super) struct Parting<'a> {
    pub node: Joined<'a>,
    pub how: Drain,
    pub within: u64,
}

/// How the node of a machine that goes is emptied; `None` where there is nothing to empty: no node, a machine that is
/// dead, or an ill one whose kubelet is silent, so that no pod could end there. The end of the machine is the fence then.
/// A silent kubelet alone says nothing of the pods: they may serve still.
pub(super) fn parting<'a>(draft: &Draft<'a>, member: &Member<'a>) -> Option<Parting<'a>> {
    let ill = matches!(member.verdict.state, State::Unhealthy { .. } | State::Flapping);
    let node = member.node.filter(|j| !member.verdict.dead() && (j.node.ready != Truth::Unknown || !ill))?;
    let policy = &draft.ask.desired.policy.drain;
    let asked = Drain { empty_dir: policy.empty_dir, unmanaged: policy.unmanaged, force: false };
    let forced = Drain { empty_dir: true, unmanaged: true, force: true };
    let (how, within) = match &member.verdict.state {
        _ if draft.ask.intent.destroy => (forced, policy.repair_timeout),
        State::Unhealthy { .. } | State::Flapping => (forced, policy.repair_timeout),
        State::Planned { not_before, kind: crate::health::Planned::Vacate } => {
            let left = age(draft.ask.now, *not_before).saturating_sub(BEFORE_END);
            // It ends with whatever is on it, and not before its end is near: a pod that may not go has until then.
            let near = left <= policy.timeout;
            (Drain { empty_dir: true, force: near, ..asked }, policy.timeout.min(left).max(1))
        }
        State::Planned { .. }
        | State::Starting { .. }
        | State::Healthy
        | State::Suspect { .. }
        | State::Gone
        | State::Blind => (asked, policy.timeout),
    };
    Some(Parting { node, how, within })
}

/// The cluster that a group's new machines are waited for in, and how long.
pub(super) fn joins(desired: &Desired, group: &str) -> Option<(String, u64)> {
    let group = desired.machines.get(group).filter(|g| g.wait == WaitFor::Ready)?;
    let startup = &desired.policy.startup;
    Some((group.nodes.as_ref()?.scope.clone(), startup.join + startup.ready))
}

/// The cluster of a group whose nodes are not known, and why: nobody can say what a machine of it would take with it.
pub(super) fn unseen<'d>(draft: &'d Draft<'_>, group: &Group) -> Option<(&'d str, String)> {
    let scope = match draft.ask.desired.machines.get(&group.name) {
        Some(group) => group.nodes.as_ref()?.scope.as_str(),
        // Out of the file, nobody knows whose nodes they are. Who may not list nodes at all has none of them.
        None => {
            let dark = |c: &ClusterSeen| c.nodes_unseen.as_ref().is_some_and(|f| f.class != Class::Denied);
            draft.ask.observed.clusters.iter().find(|(_, c)| dark(c))?.0.as_str()
        }
    };
    let cluster = draft.ask.observed.clusters.get(scope);
    if cluster.is_some_and(|c| c.nodes_unseen.is_none()) {
        return None;
    }
    let failure = cluster.and_then(|c| c.nodes_unseen.as_ref());
    let gap = || draft.ask.observed.gaps.iter().find(|g| g.scope == scope).map(|g| &g.failure);
    Some((scope, failure.or_else(gap).map_or_else(String::new, |f| format!(": {f}"))))
}

/// Nodes that are left of machines of ours that are gone.
pub(super) fn left<'a>(draft: &Draft<'a>, group: &Group) -> Vec<Candidate<'a>> {
    let survey = draft.survey.group(group);
    let mut all = Vec::new();
    for (slot, members) in &survey.slots {
        for member in members {
            let Some(node) = member.node.filter(|_| member.object.phase == Phase::Gone) else { continue };
            let says = format!("{} is gone, and its node {} is left", member.object.id, node.name);
            let why = vec![Reason { why: Why::Unhealthy, says }];
            let mut change = draft.change(&group.slot(*slot), Action::Delete, why);
            change.object = Some(format!("Node/{}", node.name));
            change.zone.clone_from(&member.object.zone);
            change.what = "node".into();
            change.node = Some(node.name.to_owned());
            all.push(Candidate::new(change, Some(member.clone())));
        }
    }
    all
}

/// Machines that stay although a run has cordoned their nodes: what they were to go for is not wished any more.
pub(super) fn back<'a>(draft: &Draft<'a>, changes: &[Change]) -> Vec<(Change, Joined<'a>)> {
    let about: BTreeSet<&str> =
        changes.iter().chain(draft.held.iter().map(|h| &h.change)).filter_map(|c| c.object.as_deref()).collect();
    let mut all = Vec::new();
    for (group, survey) in draft.survey.groups.iter().filter(|(g, _)| g.kind == Kind::Machines) {
        for (slot, member) in survey.members() {
            let ours = |j: &Joined<'_>| j.node.cordoned && j.node.cordoned_for == draft.ask.desired.stack.id;
            let Some(node) = member.node.filter(ours).filter(|_| !about.contains(member.object.id.as_str())) else {
                continue;
            };
            let address = group.slot(slot);
            if draft.left_out(&address).is_some() {
                continue;
            }
            let says = "it stays, and its node takes pods again".to_owned();
            let mut change = draft.change(&address, Action::Update, vec![Reason { why: Why::Declared, says }]);
            change.object = Some(member.object.id.clone());
            change.zone.clone_from(&member.object.zone);
            change.node = Some(node.name.to_owned());
            change.how = "uncordon".into();
            all.push((change, node));
        }
    }
    all
}

#[cfg(test)]
mod tests;
