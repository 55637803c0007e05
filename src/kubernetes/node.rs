//! Nodes: whether a machine has joined as one and is ready, and one round of draining one.
//!
//! A drain evicts, through the eviction API alone: it never deletes a pod, so no disruption budget is ever passed over.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::Kind;
use evenkeel_core::applyset;
use evenkeel_core::drain::{self, Moving};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::nodes;
use evenkeel_core::observed::{NodeSeen, Object, Phase, Truth};
use evenkeel_core::plan::Drain;
use evenkeel_core::value::Fields;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::api::{Cluster, ClusterRead, Query, Resource, Which};
use crate::limits::AT_ONCE;
use crate::read::KubernetesEyes;
use crate::wire::{asking, walk};

/// Our code for a pod that its budget keeps.
pub const KEPT: &str = "DisruptionBudget";

/// What a look says of one thing: where it is in its life, and words.
pub(crate) fn answer(scope: &str, id: &str, created: Timestamp, phase: Phase, says: String) -> Object {
    Object {
        scope: scope.to_owned(),
        kind: Kind::Manifests,
        id: id.to_owned(),
        phase,
        says,
        zone: String::new(),
        created,
        token: None,
        index: 0,
        reservation: String::new(),
        tags: BTreeMap::new().into(),
        fields: Fields::new().into(),
        signals: vec![].into(),
        attached: None,
        links: BTreeMap::new(),
        facts: Fields::new(),
    }
}

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    async fn resource(&self, kind: &str) -> Result<Resource, Failure> {
        let found = self.catalog().await?.preferred(kind).cloned();
        found.ok_or_else(|| Failure::new(Class::Invalid, "", format!("the cluster does not serve {kind}")))
    }

    /// How far these machines have come as nodes.
    pub(crate) async fn joined(&self, scope: &str, machines: &BTreeSet<&String>) -> Result<Vec<Object>, Failure> {
        let resource = self.resource("Node").await?;
        let all = walk(self.cluster(), self.caller(), &resource, &Query::default()).await?;
        let nodes: BTreeMap<String, NodeSeen> = all.iter().filter_map(nodes::read).collect();
        let mut newest: BTreeMap<&str, (&String, &NodeSeen)> = BTreeMap::new();
        for (name, node) in &nodes {
            let Some((_, id)) = nodes::instance(&node.provider_id) else { continue };
            let known = newest.entry(id).or_insert((name, node));
            if node.created > known.1.created {
                *known = (name, node);
            }
        }
        let mut waits = None;
        let mut out = Vec::new();
        for id in machines {
            let (phase, says, created) = match newest.get(id.as_str()) {
                Some((name, node)) => {
                    let why = if node.says.is_empty() { String::new() } else { format!(" ({})", node.says) };
                    match node.ready {
                        Truth::Yes => (Phase::Up, String::new(), node.created),
                        Truth::No | Truth::Unknown => {
                            (Phase::Starting, format!("node {name} not ready{why}"), node.created)
                        }
                    }
                }
                None => {
                    if waits.is_none() {
                        waits = Some(self.stuck(&nodes).await);
                    }
                    let more = waits.as_deref().unwrap_or_default();
                    (Phase::Starting, format!("no node has joined yet{more}"), Timestamp::UNIX_EPOCH)
                }
            };
            out.push(answer(scope, id, created, phase, says));
        }
        Ok(out)
    }

    /// Why a machine's node may be missing, as far as the cluster tells: empty where it does not.
    async fn stuck(&self, nodes: &BTreeMap<String, NodeSeen>) -> String {
        let bare: Vec<String> =
            nodes.iter().filter(|(_, n)| n.provider_id.is_empty()).map(|(n, _)| n.clone()).collect();
        if !bare.is_empty() {
            return format!("; without a providerID, so of no machine: {}", drain::listed(&bare));
        }
        let Ok(resource) = self.resource("CertificateSigningRequest.certificates.k8s.io").await else {
            return String::new();
        };
        let all = walk(self.cluster(), self.caller(), &resource, &Query::default()).await.unwrap_or_default();
        let pending = |r: &&Json| {
            let signer = r.pointer("/spec/signerName").and_then(Json::as_str).unwrap_or_default();
            let decided = r.pointer("/status/conditions").and_then(Json::as_array).is_some_and(|c| !c.is_empty());
            signer == "kubernetes.io/kube-apiserver-client-kubelet" && !decided
        };
        let names: Vec<String> = all.iter().filter(pending).map(|r| applyset::text(r, "name").to_owned()).collect();
        match names.as_slice() {
            [] => String::new(),
            names => format!("; not approved: {} (`kubectl certificate approve`)", drain::listed(names)),
        }
    }
}

impl<C: Cluster + ?Sized> KubernetesEyes<C> {
    /// One round of a drain.
    pub(crate) async fn drain(&self, id: &str, how: Drain) -> Result<Object, Failure> {
        let (name, uid) = id.strip_prefix("Node/").and_then(|rest| rest.split_once('@')).unwrap_or((id, ""));
        let resource = self.resource("Node").await?;
        let which = Which { resource, namespace: String::new(), name: name.to_owned() };
        let node = self.get(&which).await?;
        let said = |phase, says: String| Ok(answer(self.scope(), id, Timestamp::UNIX_EPOCH, phase, says));
        match node {
            None => return said(Phase::Gone, String::new()),
            // The same machine under a new node: its pods are there still.
            Some(n) if applyset::text(&n, "uid") != uid => {
                return said(Phase::Failed, "has joined anew since the plan: make a new plan".into());
            }
            Some(_) => {}
        }
        let pods = self.resource("Pod").await?;
        let query = Query { fields: format!("spec.nodeName={name}"), ..Query::default() };
        let all = walk(self.cluster(), self.caller(), &pods, &query).await?;
        let sorted = drain::sort(&all, how);
        // What refuses keeps a machine that is well. One that goes all the same loses nothing by what can go: it has all
        // of its time, and then the rest goes with it.
        if !sorted.refuse.is_empty() && !how.force {
            return said(Phase::Failed, format!("cannot be drained: {}", drain::listed(&sorted.refuse)));
        }
        let evictions: Vec<_> = sorted.evict.iter().map(|pod| self.evict(&pods, pod)).collect();
        let answers: Vec<Result<Evicted, Failure>> = stream::iter(evictions).buffered(AT_ONCE).collect().await;
        let (mut leaving, mut kept, mut never) = (sorted.leaving, sorted.refuse, Vec::new());
        for (pod, answer) in sorted.evict.iter().zip(answers) {
            let called = format!("{}/{}", pod.namespace, pod.name);
            match answer {
                Ok(Evicted::Leaves) => leaving.push(called),
                Ok(Evicted::Gone) => {}
                Ok(Evicted::Kept(why)) => kept.push(format!("{called} is kept by its budget ({why})")),
                Ok(Evicted::Never(why)) => never.push(format!("{called}: {why}")),
                Err(failure) if how.force => never.push(format!("{called}: {failure}")),
                Err(failure) => return Err(failure),
            }
        }
        if !never.is_empty() && !how.force {
            return said(Phase::Failed, format!("cannot be drained: {}", drain::listed(&never)));
        }
        kept.extend(never);
        let mut words = Vec::new();
        if !kept.is_empty() {
            words.push(drain::listed(&kept));
        }
        if !leaving.is_empty() {
            words.push(format!("ending: {}", drain::listed(&leaving)));
        }
        match words.as_slice() {
            [] => said(Phase::Gone, String::new()),
            words => said(Phase::Stopping, words.join("; ")),
        }
    }

    async fn evict(&self, pods: &Resource, pod: &Moving) -> Result<Evicted, Failure> {
        let Moving { namespace, name, uid } = pod;
        let which = Which { resource: pods.clone(), namespace: namespace.clone(), name: name.clone() };
        let done = asking(self.caller(), "evict", || self.cluster().evict(&which, uid)).await;
        let Err(refusal) = done else { return Ok(Evicted::Leaves) };
        let failure = refusal.failure;
        match failure.class {
            // Another pod of this name is another pod.
            Class::NotFound => Ok(Evicted::Gone),
            // The next look says what is there now.
            Class::Busy if failure.code == "Conflict" => Ok(Evicted::Leaves),
            Class::Busy if failure.code == KEPT => {
                let cause = refusal.causes.into_iter().find(|c| c.reason == KEPT).map(|c| c.message);
                Ok(Evicted::Kept(cause.filter(|c| !c.is_empty()).unwrap_or(failure.says)))
            }
            Class::Denied | Class::Invalid | Class::Protected => Ok(Evicted::Never(failure.says)),
            Class::Throttled
            | Class::Transient
            | Class::Capacity
            | Class::Quota
            | Class::Credentials
            | Class::Busy
            | Class::TokenMismatch
            | Class::TokenSpent => Err(failure),
        }
    }
}

/// What came of an eviction.
enum Evicted {
    /// It ends.
    Leaves,
    /// It is not there any more.
    Gone,
    /// Its budget keeps it for now.
    Kept(String),
    /// It cannot be evicted.
    Never(String),
}
