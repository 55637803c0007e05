//! Nodes of clusters, and the machines of ours that they stand on.
//!
//! A node belongs to a machine by its `providerID` (`aws:///us-east-1a/i-0abc`), never by a name or an address, and its
//! word is one witness of the machine's health. It refuses to guess: a node without a `providerID` is nobody's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::applyset;
use crate::desired::{Desired, MachineGroup};
use crate::health::{after, span};
use crate::observed::{NodeSeen, Object, Observed, Reading, Reporter, Signal, Source, Truth};
use crate::policy::Policy;

/// The annotation of a node that we have cordoned: the stack's id.
pub const CORDONED: &str = "evenkeel.dev/cordoned";

/// How a cluster's nodes concern a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tie {
    /// The file says nothing of machines: nodes are not asked for.
    #[default]
    None,
    /// Machines are looked at too, and some may be nodes, those of a group that is out of the file among them. Where
    /// nodes may not be listed, nothing is said of it.
    Loose,
    /// A group of machines says that it is nodes of this cluster: what cannot be listed is a gap.
    Firm,
}

/// How the nodes of the cluster of this scope concern the file.
pub fn tie(desired: &Desired, scope: &str) -> Tie {
    let firm = desired.machines.values().any(|g| g.nodes.as_ref().is_some_and(|n| n.scope == scope));
    match desired.clusters.contains_key(scope) {
        true if firm => Tie::Firm,
        true if !desired.ec2_scopes().is_empty() => Tie::Loose,
        true | false => Tie::None,
    }
}

/// A node as the API shows it, with its name.
pub fn read(body: &Json) -> Option<(String, NodeSeen)> {
    let name = body.pointer("/metadata/name")?.as_str()?.to_owned();
    let text = |at: &str| body.pointer(at).and_then(Json::as_str).unwrap_or_default();
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let conditions = body.pointer("/status/conditions").and_then(Json::as_array);
    let ready = conditions.into_iter().flatten().find(|c| c.get("type").and_then(Json::as_str) == Some("Ready"));
    let of = |key: &str| ready.and_then(|c| c.get(key)).and_then(Json::as_str).unwrap_or_default();
    let says = match (of("reason"), of("message")) {
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    };
    let seen = NodeSeen {
        uid: applyset::text(body, "uid").to_owned(),
        provider_id: text("/spec/providerID").to_owned(),
        created: time(applyset::text(body, "creationTimestamp")).unwrap_or(Timestamp::UNIX_EPOCH),
        ready: match of("status") {
            "True" => Truth::Yes,
            "False" => Truth::No,
            _ => Truth::Unknown,
        },
        since: time(of("lastTransitionTime")),
        says,
        cordoned: body.pointer("/spec/unschedulable").and_then(Json::as_bool) == Some(true),
        cordoned_for: applyset::annotation(body, CORDONED).unwrap_or_default().to_owned(),
    };
    Some((name, seen))
}

/// Zone and instance of a `providerID` of AWS; the zone may be empty.
pub fn instance(provider_id: &str) -> Option<(&str, &str)> {
    let (zone, id) = provider_id.strip_prefix("aws://")?.trim_start_matches('/').rsplit_once('/').or_else(|| {
        let id = provider_id.strip_prefix("aws://")?.trim_start_matches('/');
        Some(("", id))
    })?;
    (id.starts_with("i-") && !zone.contains('/')).then_some((zone, id))
}

/// A machine's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined<'a> {
    /// Its cluster's scope.
    pub scope: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The rest.
    pub node: &'a NodeSeen,
}

/// All nodes that were seen, by the machine that they stand on.
#[derive(Debug, Clone, Default)]
pub struct Nodes<'a> {
    /// Instance → zone, and node.
    on: BTreeMap<&'a str, Vec<(&'a str, Joined<'a>)>>,
    /// Clusters whose nodes were listed to the end.
    seen: BTreeSet<&'a str>,
}

impl<'a> Nodes<'a> {
    /// Of a look.
    pub fn of(seen: &'a Observed) -> Self {
        let mut all = Self::default();
        for (scope, cluster) in &seen.clusters {
            if cluster.nodes_unseen.is_none() {
                all.seen.insert(scope);
            }
            for (name, node) in &cluster.nodes {
                let Some((zone, id)) = instance(&node.provider_id) else { continue };
                all.on.entry(id).or_default().push((zone, Joined { scope, name, node }));
            }
        }
        all
    }

    /// Whether all nodes of this cluster were seen, so that one which is missing is absent.
    pub fn sees(&self, scope: &str) -> bool {
        self.seen.contains(scope)
    }

    /// The node that stands on this machine. A machine that has joined again under another name has two: the newer
    /// one is its kubelet's.
    pub fn on(&self, machine: &Object) -> Option<Joined<'a>> {
        let all = self.on.get(machine.id.as_str())?.iter();
        let here = all.filter(|(zone, _)| zone.is_empty() || *zone == machine.zone).map(|(_, joined)| *joined);
        here.max_by_key(|j| (j.node.created, j.scope, j.name))
    }

    /// What clusters say about the health of a machine of this group.
    pub fn say(&self, machine: &Object, group: Option<&MachineGroup>, policy: &Policy, now: Timestamp) -> Vec<Signal> {
        match (self.on(machine), group.and_then(|g| g.nodes.as_ref())) {
            (Some(joined), _) => vec![condition(joined, policy, now)],
            (None, None) => vec![],
            (None, Some(wanted)) => vec![missing(machine, self.sees(&wanted.scope), policy, now)],
        }
    }
}

fn signal(source: Source, reporter: Reporter, reading: Reading, says: String) -> Signal {
    Signal { source, reporter, reading, since: None, hard: false, says, not_before: None }
}

/// What a node says of itself, or its cluster of it.
fn condition(joined: Joined<'_>, policy: &Policy, now: Timestamp) -> Signal {
    let Joined { name, node, .. } = joined;
    let why = if node.says.is_empty() { String::new() } else { format!(" ({})", node.says) };
    let young = after(node.created, policy.startup.ready) > now;
    let (source, reading, says) = match node.ready {
        Truth::Yes => (Source::NodeReady, Reading::Ok, format!("node {name} ready")),
        Truth::No | Truth::Unknown if young => {
            (Source::NodeReady, Reading::NoData, format!("node {name} not ready yet{why}"))
        }
        Truth::No => (Source::NodeReady, Reading::Bad, format!("node {name} not ready{why}")),
        Truth::Unknown => (Source::NodeSilent, Reading::Bad, format!("node {name} silent{why}")),
    };
    Signal { since: node.since, ..signal(source, Reporter::Kubelet, reading, says) }
}

/// No node stands on a machine that should be one. Since when, only our own looks can tell.
fn missing(machine: &Object, seen: bool, policy: &Policy, now: Timestamp) -> Signal {
    let due = after(after(machine.created, policy.startup.running), policy.startup.join);
    let (reading, says) = match (seen, due > now) {
        (false, _) => (Reading::NoData, "its cluster's nodes cannot be seen"),
        (true, true) => (Reading::NoData, "no node has joined yet"),
        (true, false) => (Reading::Bad, "no node has joined"),
    };
    signal(Source::NodeMissing, Reporter::KubeApi, reading, says.to_owned())
}

/// `node ip-10-0-0-1, ready`: for a person.
pub fn words(joined: Joined<'_>, now: Timestamp) -> String {
    let Joined { name, node, .. } = joined;
    let state = match node.ready {
        Truth::Yes => "ready",
        Truth::No => "not ready",
        Truth::Unknown => "silent",
    };
    let since = match (node.ready, node.since) {
        (Truth::No | Truth::Unknown, Some(since)) => format!(" {}", span(crate::health::age(since, now))),
        (Truth::Yes, _) | (_, None) => String::new(),
    };
    let cordoned = if node.cordoned { ", cordoned" } else { "" };
    format!("node {name} {state}{since}{cordoned}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(ready: &str, since: &str) -> Json {
        json!({
            "metadata": { "name": "ip-10-0-0-1", "uid": "u1", "creationTimestamp": "2026-01-05T10:00:00Z" },
            "spec": { "providerID": "aws:///us-east-1a/i-0abc", "unschedulable": true },
            "status": { "conditions": [
                { "type": "MemoryPressure", "status": "False" },
                { "type": "Ready", "status": ready, "lastTransitionTime": since, "reason": "R", "message": "m" },
            ] },
        })
    }

    #[test]
    fn a_provider_id_names_one_instance() {
        for (text, is) in [
            ("aws:///us-east-1a/i-0abc", Some(("us-east-1a", "i-0abc"))),
            ("aws://us-east-1a/i-0abc", Some(("us-east-1a", "i-0abc"))),
            ("aws:///i-0abc", Some(("", "i-0abc"))),
            ("aws:///us-east-1a/fargate-1", None),
            ("aws:///a/b/i-0abc", None),
            ("kind://docker/kind/node", None),
            ("i-0abc", None),
            ("", None),
        ] {
            assert_eq!(instance(text), is, "{text}");
        }
    }

    #[test]
    fn a_node_says_how_its_machine_is_with_the_clusters_own_time() {
        let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
        let since = "2026-01-05T11:50:00Z";
        for (status, source, reading, words) in [
            ("True", Source::NodeReady, Reading::Ok, "node ip-10-0-0-1 ready, cordoned"),
            ("False", Source::NodeReady, Reading::Bad, "node ip-10-0-0-1 not ready 10m, cordoned"),
            ("Unknown", Source::NodeSilent, Reading::Bad, "node ip-10-0-0-1 silent 10m, cordoned"),
        ] {
            let (name, seen) = read(&node(status, since)).unwrap();
            let joined = Joined { scope: "kubernetes:", name: &name, node: &seen };
            let said = condition(joined, &Policy::default(), now);
            assert_eq!((said.source, said.reading), (source, reading), "{status}");
            assert_eq!((said.since, said.hard), (Some(since.parse().unwrap()), false));
            assert_eq!(super::words(joined, now), words);
        }
    }

    #[test]
    fn a_node_that_has_just_joined_is_no_bad_sign() {
        let (name, seen) = read(&node("False", "2026-01-05T10:00:00Z")).unwrap();
        let joined = Joined { scope: "kubernetes:", name: &name, node: &seen };
        let at = |minute: i64| seen.created.checked_add(jiff::SignedDuration::from_mins(minute)).unwrap();
        let reading = |minute| condition(joined, &Policy::default(), at(minute)).reading;
        assert_eq!((reading(4), reading(6)), (Reading::NoData, Reading::Bad));
    }

    #[test]
    fn what_a_node_lacks_reads_as_silence() {
        let (_, seen) = read(&json!({ "metadata": { "name": "bare" } })).unwrap();
        assert_eq!((seen.ready, seen.cordoned, seen.provider_id.as_str()), (Truth::Unknown, false, ""));
        assert_eq!(read(&json!({ "spec": {} })), None);
    }
}
