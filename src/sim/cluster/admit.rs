//! Admission: scripted webhooks and resource quotas.

use std::collections::BTreeMap;

use evenkeel_core::address::ObjectName;
use evenkeel_core::objects::quantity::nano;
use evenkeel_kubernetes::api::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fill::canonical;
use super::object::{as_text, at, is_leaving, items, put, table, text};
use super::refuse::{over_quota, webhook};
use super::serve::merge_patch;
use super::{Body, Kube};

/// An admission webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Webhook {
    /// `policy.example.com`
    pub name: String,
    /// `Deployment.apps`, `Service`; empty for every kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// What it does.
    pub does: Does,
}

/// What a webhook does to an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// Refuses it, with these words.
    Refuse(String),
    /// Changes it by this JSON merge patch.
    Change(Body),
}

impl Kube {
    /// Asks the webhooks.
    pub(super) fn admit(&self, name: &ObjectName, object: &mut Json) -> Result<(), Refusal> {
        for hook in &self.webhooks {
            if !hook.kinds.is_empty() && !hook.kinds.contains(&name.group_kind()) {
                continue;
            }
            match &hook.does {
                Does::Refuse(says) => return Err(webhook(&hook.name, says)),
                Does::Change(patch) => *object = merge_patch(object, &patch.0),
            }
        }
        Ok(())
    }

    /// Whether the quotas of its namespace leave room for one more.
    pub(super) fn within_quota(&self, name: &ObjectName, object: &Json) -> Result<(), Refusal> {
        let needs = usage(name, object);
        for (quota, body) in self.quotas(&name.namespace) {
            let hard = at(body, &["spec", "hard"]).and_then(Json::as_object);
            let used = self.used(&name.namespace);
            let mut over: Vec<(&str, [String; 3])> = Vec::new();
            for (resource, limit) in hard.into_iter().flatten() {
                let need = needs.get(resource).copied().unwrap_or(0);
                let has = used.get(resource).copied().unwrap_or(0);
                if need > 0 && nano(limit).is_some_and(|limit| has + need > limit) {
                    over.push((resource, [amount(need), amount(has), as_text(limit).unwrap_or_default()]));
                }
            }
            if !over.is_empty() {
                let part = |n: usize| over.iter().map(|o| format!("{}={}", o.0, o.1[n])).collect::<Vec<_>>().join(",");
                let says = format!("{}, requested: {}, used: {}, limited: {}", quota.name, part(0), part(1), part(2));
                return Err(over_quota(self, name, &says));
            }
        }
        Ok(())
    }

    fn quotas(&self, namespace: &str) -> impl Iterator<Item = (&ObjectName, &Json)> {
        let namespace = namespace.to_owned();
        self.of_kind("", "ResourceQuota").filter(move |(name, _)| name.namespace == namespace)
    }

    /// What a namespace uses, in thousand millionths.
    fn used(&self, namespace: &str) -> BTreeMap<String, i128> {
        let mut sum = BTreeMap::new();
        for (name, object) in self.objects.iter().filter(|(name, _)| name.namespace == namespace) {
            for (resource, amount) in usage(name, &object.body.0) {
                *sum.entry(resource).or_insert(0) += amount;
            }
        }
        sum
    }

    /// What a quota shows of itself.
    pub(super) fn quota_status(&self, namespace: &str, quota: &Json) -> Json {
        let used = self.used(namespace);
        let mut status = Json::Null;
        for (resource, limit) in at(quota, &["spec", "hard"]).and_then(Json::as_object).into_iter().flatten() {
            put(&mut status, &["hard", resource], limit.clone());
            put(&mut status, &["used", resource], amount(used.get(resource).copied().unwrap_or(0)));
        }
        if status.is_null() {
            table(&mut status, &[]);
        }
        status
    }
}

fn amount(nano: i128) -> String {
    canonical(&Json::String(format!("{nano}n"))).unwrap_or_default()
}

/// What an object takes of a quota.
fn usage(name: &ObjectName, object: &Json) -> BTreeMap<String, i128> {
    const ONE: i128 = 1_000_000_000;
    let mut all = BTreeMap::new();
    let plural = format!("{}s", name.kind.to_lowercase());
    let count = if name.api.is_empty() { format!("count/{plural}") } else { format!("count/{plural}.{}", name.api) };
    all.insert(count, ONE);
    match (name.api.as_str(), name.kind.as_str()) {
        ("", "Pod") => {
            let done = matches!(text(object, &["status", "phase"]), "Succeeded" | "Failed");
            if done || is_leaving(object) && text(object, &["spec", "nodeName"]).is_empty() {
                return BTreeMap::new();
            }
            all.insert("pods".to_owned(), ONE);
            for container in items(object, &["spec", "containers"]) {
                for (part, prefix) in [("requests", "requests."), ("limits", "limits."), ("requests", "")] {
                    let table = at(container, &["resources", part]).and_then(Json::as_object);
                    for (resource, value) in table.into_iter().flatten() {
                        *all.entry(format!("{prefix}{resource}")).or_insert(0) += nano(value).unwrap_or(0);
                    }
                }
            }
        }
        ("", "PersistentVolumeClaim") => {
            all.insert("persistentvolumeclaims".to_owned(), ONE);
            let storage = at(object, &["spec", "resources", "requests", "storage"]).and_then(nano).unwrap_or(0);
            all.insert("requests.storage".to_owned(), storage);
        }
        ("", "Service") => {
            all.insert("services".to_owned(), ONE);
            if text(object, &["spec", "type"]) == "LoadBalancer" {
                all.insert("services.loadbalancers".to_owned(), ONE);
            }
        }
        ("", "ConfigMap" | "Secret" | "ReplicationController" | "ResourceQuota") => {
            all.insert(plural, ONE);
        }
        _ => {}
    }
    all
}
