//! The scheduler: which node a pod goes to, or why to none.

use std::collections::BTreeMap;

use evenkeel_core::address::ObjectName;
use evenkeel_core::objects::quantity::nano;
use serde_json::Value as Json;

use super::super::Kube;
use super::super::check::meets;
use super::super::object::{at, flag, is_leaving, items, number, text};
use super::is_true;

/// A node and what runs on it.
pub(super) struct Seat<'a> {
    name: &'a str,
    body: &'a Json,
    pods: Vec<&'a Json>,
}

impl Kube {
    /// The node for a pod.
    ///
    /// # Errors
    /// Why there is none, in the scheduler's own words.
    pub(super) fn seat_for(&self, pod: &Json) -> Result<String, String> {
        let mut by_node: BTreeMap<&str, Vec<&Json>> = BTreeMap::new();
        for (_, other) in self.of_kind("", "Pod") {
            if !matches!(text(other, &["status", "phase"]), "Succeeded" | "Failed") {
                by_node.entry(text(other, &["spec", "nodeName"])).or_default().push(other);
            }
        }
        let seats: Vec<Seat<'_>> = self
            .of_kind("", "Node")
            .map(|(name, body)| Seat {
                name: &name.name,
                body,
                pods: by_node.remove(name.name.as_str()).unwrap_or_default(),
            })
            .collect();
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut fit: Vec<(Vec<i64>, &str)> = Vec::new();
        for seat in &seats {
            match unfit(pod, seat, &seats) {
                Some(why) => *reasons.entry(why).or_insert(0) += 1,
                None => fit.push((score(pod, seat, &seats), seat.name)),
            }
        }
        if let Some((_, best)) = fit.iter().min() {
            return Ok((*best).to_owned());
        }
        let all: Vec<String> = reasons.iter().map(|(why, n)| format!("{n} {why}")).collect();
        let all = if all.is_empty() { "no nodes available to schedule pods".to_owned() } else { all.join(", ") };
        Err(format!("0/{} nodes are available: {all}.", seats.len()))
    }
}

/// Why a pod cannot go to a node.
fn unfit(pod: &Json, seat: &Seat<'_>, seats: &[Seat<'_>]) -> Option<String> {
    if flag(seat.body, &["spec", "unschedulable"]) {
        return Some("node(s) were unschedulable".to_owned());
    }
    for taint in items(seat.body, &["spec", "taints"]) {
        if text(taint, &["effect"]) != "PreferNoSchedule" && !tolerates(pod, taint) {
            let (key, value) = (text(taint, &["key"]), text(taint, &["value"]));
            return Some(format!("node(s) had untolerated taint {{{key}: {value}}}"));
        }
    }
    if !is_true(seat.body, "Ready") {
        return Some("node(s) were not ready".to_owned());
    }
    if !is_selected(pod, seat) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    for resource in ["cpu", "memory"] {
        let room = at(seat.body, &["status", "allocatable", resource]).and_then(nano).unwrap_or(0);
        let used: i128 = seat.pods.iter().map(|p| asked(p, resource)).sum();
        if asked(pod, resource) > 0 && used + asked(pod, resource) > room {
            return Some(format!("Insufficient {resource}"));
        }
    }
    let most = at(seat.body, &["status", "allocatable", "pods"]).and_then(nano).unwrap_or(0) / 1_000_000_000;
    if seat.pods.len() as i128 >= most {
        return Some("Too many pods".to_owned());
    }
    for term in items(pod, &["spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"]) {
        let key = text(term, &["topologyKey"]);
        let here = label(seat.body, key);
        let same = seats.iter().filter(|s| label(s.body, key) == here).flat_map(|s| &s.pods);
        if same.into_iter().any(|p| is_peer(pod, p, term)) {
            return Some("node(s) didn't match pod anti-affinity rules".to_owned());
        }
    }
    for spread in items(pod, &["spec", "topologySpreadConstraints"]) {
        if text(spread, &["whenUnsatisfiable"]) == "DoNotSchedule"
            && skew(pod, seat, seats, spread).is_none_or(|skew| skew > number(spread, &["maxSkew"]).unwrap_or(1))
        {
            return Some("node(s) didn't match pod topology spread constraints".to_owned());
        }
    }
    None
}

/// How far the seat's domain would stand above the emptiest with the pod in it; `None` where it is in no domain.
fn skew(pod: &Json, seat: &Seat<'_>, seats: &[Seat<'_>], spread: &Json) -> Option<i64> {
    let key = text(spread, &["topologyKey"]);
    let mut domains: BTreeMap<&str, i64> = BTreeMap::new();
    // A domain counts when the pod could go there by its selector; a taint does not take it away by default.
    for other in seats.iter().filter(|s| is_selected(pod, s)) {
        let Some(domain) = label(other.body, key) else { continue };
        let peers = other.pods.iter().filter(|p| is_peer(pod, p, spread)).count();
        *domains.entry(domain).or_insert(0) += i64::try_from(peers).unwrap_or(i64::MAX);
    }
    let least = domains.values().min().copied().unwrap_or(0);
    let here = domains.get(label(seat.body, key)?).copied().unwrap_or(0);
    Some(here + 1 - least)
}

/// The less, the better.
fn score(pod: &Json, seat: &Seat<'_>, seats: &[Seat<'_>]) -> Vec<i64> {
    let soft = items(pod, &["spec", "topologySpreadConstraints"])
        .iter()
        .filter(|s| text(s, &["whenUnsatisfiable"]) == "ScheduleAnyway")
        .map(|s| skew(pod, seat, seats, s).unwrap_or(i64::MAX / 4))
        .sum();
    let owner = items(pod, &["metadata", "ownerReferences"]).first().map(|r| text(r, &["uid"]));
    let brother = |p: &&&Json| {
        owner.is_some() && items(p, &["metadata", "ownerReferences"]).first().map(|r| text(r, &["uid"])) == owner
    };
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let zone = label(seat.body, "topology.kubernetes.io/zone");
    let in_zone = seats.iter().filter(|s| label(s.body, "topology.kubernetes.io/zone") == zone).flat_map(|s| &s.pods);
    vec![
        soft,
        count(in_zone.filter(brother).count()),
        count(seat.pods.iter().filter(brother).count()),
        count(seat.pods.len()),
    ]
}

fn label<'a>(object: &'a Json, key: &str) -> Option<&'a str> {
    evenkeel_core::applyset::label(object, key)
}

/// Whether another pod counts for a rule of this one.
fn is_peer(pod: &Json, other: &Json, rule: &Json) -> bool {
    text(pod, &["metadata", "namespace"]) == text(other, &["metadata", "namespace"])
        && !is_leaving(other)
        && at(rule, &["labelSelector"]).is_some_and(|s| meets(s, at(other, &["metadata", "labels"])))
}

/// Whether a node is one that the pod asks for.
fn is_selected(pod: &Json, seat: &Seat<'_>) -> bool {
    let wanted = at(pod, &["spec", "nodeSelector"]).and_then(Json::as_object);
    let plain =
        wanted.into_iter().flatten().all(|(k, v)| label(seat.body, k).is_some() && label(seat.body, k) == v.as_str());
    let required = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = at(pod, &required).map(|r| items(r, &["nodeSelectorTerms"]));
    plain
        && terms.is_none_or(|terms| {
            terms.iter().any(|t| meets(t, at(seat.body, &["metadata", "labels"])) || by_name(t, seat.name))
        })
}

/// A daemon's pod is bound to its node by name.
fn by_name(term: &Json, name: &str) -> bool {
    items(term, &["matchFields"])
        .iter()
        .any(|f| text(f, &["key"]) == "metadata.name" && items(f, &["values"]).iter().any(|v| v.as_str() == Some(name)))
}

/// Whether a pod tolerates a taint.
pub(super) fn tolerates(pod: &Json, taint: &Json) -> bool {
    items(pod, &["spec", "tolerations"]).iter().any(|t| {
        let key = text(t, &["key"]);
        let exists = text(t, &["operator"]) == "Exists";
        let value = exists || text(t, &["value"]) == text(taint, &["value"]);
        let effect = text(t, &["effect"]);
        (key.is_empty() && exists || key == text(taint, &["key"]))
            && value
            && (effect.is_empty() || effect == text(taint, &["effect"]))
    })
}

/// What a pod asks for of a resource.
fn asked(pod: &Json, resource: &str) -> i128 {
    let containers = items(pod, &["spec", "containers"]);
    containers.iter().map(|c| at(c, &["resources", "requests", resource]).and_then(nano).unwrap_or(0)).sum()
}

/// Whether a pod that is bound to a node by name may be there.
pub(super) fn may_run_on(node: &(ObjectName, Json), template: &Json) -> bool {
    let pod = serde_json::json!({ "spec": at(template, &["spec"]).cloned().unwrap_or_default() });
    let seat = Seat { name: &node.0.name, body: &node.1, pods: vec![] };
    let taints = items(&node.1, &["spec", "taints"]);
    // A daemon tolerates what its node suffers from.
    let suffers = |t: &Json| text(t, &["key"]).starts_with("node.kubernetes.io/");
    is_selected(&pod, &seat)
        && taints
            .iter()
            .filter(|t| !suffers(t) && text(t, &["effect"]) != "PreferNoSchedule")
            .all(|t| tolerates(&pod, t))
}
