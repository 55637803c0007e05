//! The steps of nodes: cordoned, drained, given up when their machine is gone.
//!
//! A drain waits for whoever comes instead, and the machine for the drain. Each node has steps of its own, so that one
//! which cannot be emptied holds up nobody else.

use std::collections::BTreeMap;

use super::Order;
use crate::address::ObjectName;
use crate::make::Candidate;
use crate::make::nodes::Parting;
use crate::nodes::Joined;
use crate::plan::{Call, Do, Drain, ObjectDoes, OnObject, Target, Until};
use crate::survey::Member;

/// A machine that goes, and the change that says so.
pub(super) struct Leaving<'a> {
    pub change: u32,
    pub id: String,
    pub member: Option<Member<'a>>,
}

/// A call on a node.
fn on_node(node: &Joined<'_>, does: ObjectDoes) -> Do {
    let object =
        ObjectName { api: String::new(), kind: "Node".into(), namespace: String::new(), name: node.name.to_owned() };
    Do::Call(Call::Object(OnObject { object, api_version: "v1".into(), does }))
}

impl<'a> Order<'_, 'a> {
    /// Machines go: each node is cordoned and drained, the machine is terminated, the node deleted. Gives for each
    /// machine the step after which it is gone, and the last steps of all.
    pub(super) fn part(
        &mut self,
        scope: &str,
        needs: &[u32],
        all: Vec<Leaving<'a>>,
    ) -> (BTreeMap<String, u32>, Vec<u32>) {
        let mut gone = BTreeMap::new();
        let mut ends = Vec::new();
        // Whoever may be kept back by a budget goes alone; the others go together.
        let mut together: Vec<(Vec<u32>, Leaving<'a>)> = Vec::new();
        for leaving in all {
            let forced = self.parting(&leaving).is_none_or(|p| p.how.force);
            let (drained, _) = self.emptied(needs, &leaving);
            if !forced {
                self.gone(scope, &drained, vec![leaving], &mut gone, &mut ends);
            } else {
                together.push((drained, leaving));
            }
        }
        if !together.is_empty() {
            let needs: Vec<u32> = together.iter().flat_map(|(needs, _)| needs).copied().collect();
            let all = together.into_iter().map(|(_, leaving)| leaving).collect();
            self.gone(scope, &needs, all, &mut gone, &mut ends);
        }
        (gone, ends)
    }

    fn parting(&self, leaving: &Leaving<'a>) -> Option<Parting<'a>> {
        leaving.member.as_ref().and_then(|m| crate::make::nodes::parting(self.draft, m))
    }

    /// What a machine that goes, or is stopped, waits for beside `needs`: that its node is emptied, if it has one.
    pub(super) fn emptied(&mut self, needs: &[u32], leaving: &Leaving<'a>) -> (Vec<u32>, Option<Joined<'a>>) {
        match self.parting(leaving) {
            None => (needs.to_vec(), None),
            Some(p) => (vec![self.drain(needs, leaving, &p.node, p.how, p.within)], Some(p.node)),
        }
    }

    /// The node takes pods again.
    pub(super) fn uncordon(&mut self, needs: &[u32], change: u32, node: &Joined<'_>) -> u32 {
        let uid = node.node.uid.clone();
        self.step(node.scope, needs, &[change], on_node(node, ObjectDoes::Cordon { uid, on: false }))
    }

    /// Cordoned and drained.
    fn drain(&mut self, needs: &[u32], leaving: &Leaving<'a>, node: &Joined<'_>, how: Drain, within: u64) -> u32 {
        let (changes, uid) = ([leaving.change], node.node.uid.clone());
        let cordon =
            self.step(node.scope, needs, &changes, on_node(node, ObjectDoes::Cordon { uid: uid.clone(), on: true }));
        let target = Target::Id(format!("Node/{}@{uid}", node.name));
        self.wait(node.scope, &[cordon], &changes, vec![target], Until::Drained(how), within)
    }

    /// Terminated, and their nodes deleted.
    fn gone(
        &mut self,
        scope: &str,
        needs: &[u32],
        all: Vec<Leaving<'a>>,
        gone: &mut BTreeMap<String, u32>,
        ends: &mut Vec<u32>,
    ) {
        let changes: Vec<u32> = all.iter().map(|l| l.change).collect();
        let end = self.end(scope, needs, &changes, all.iter().map(|l| l.id.clone()).collect());
        ends.push(end);
        for leaving in all {
            if let Some(node) = leaving.member.as_ref().and_then(|m| m.node) {
                let uid = node.node.uid.clone();
                ends.push(self.step(node.scope, &[end], &[leaving.change], on_node(&node, ObjectDoes::Delete { uid })));
            }
            gone.insert(leaving.id, end);
        }
    }

    /// The nodes of machines that are gone are deleted.
    pub(super) fn forget(&mut self, all: Vec<Candidate<'a>>) {
        for c in all {
            let Some(node) = c.member.as_ref().and_then(|m| m.node) else { continue };
            let change = self.change(c.change);
            let uid = node.node.uid.clone();
            self.step(node.scope, &[], &[change], on_node(&node, ObjectDoes::Delete { uid }));
        }
    }

    /// Nodes that a run has cordoned for an end that is not wished any more take pods again.
    pub(super) fn back(&mut self) {
        for (change, node) in crate::make::nodes::back(self.draft, &self.changes) {
            let change = self.change(change);
            self.uncordon(&[], change, &node);
        }
    }

    /// A machine of this group has joined its cluster, where that is waited for.
    pub(super) fn joined(&mut self, group: &str, needs: u32, changes: &[u32], targets: Vec<Target>) -> u32 {
        match crate::make::nodes::joins(self.draft.ask.desired, group) {
            None => needs,
            Some((scope, within)) => self.wait(&scope, &[needs], changes, targets, Until::Joined, within),
        }
    }
}
