//! A look at a cluster from above, for `evenkeel sim kubectl get`.

use serde::Serialize;
use serde_json::Value as Json;

use super::Kube;
use super::object::{at, is_leaving, items, number, text};

/// An object at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ObjectLook {
    /// `Deployment.apps`
    pub kind: String,
    /// `shop/web`, or the name alone where the kind has no namespaces.
    pub name: String,
    /// How it is, in a few words; empty where it has no state.
    pub state: String,
    /// Who holds fields of it, controllers left out.
    pub managers: Vec<String>,
}

impl Kube {
    /// Its objects at a glance, by kind and name: those of one kind (as a person names it), or of all.
    pub fn look(&self, kind: Option<&str>) -> Vec<ObjectLook> {
        let wanted = kind.map(|k| self.kind(k).unwrap_or_default());
        let all = self
            .objects
            .iter()
            .filter(|(name, _)| wanted.as_ref().is_none_or(|(group, kind)| name.api == *group && name.kind == *kind));
        all.map(|(name, object)| {
            let body = &object.body.0;
            let place = if name.namespace.is_empty() { String::new() } else { format!("{}/", name.namespace) };
            ObjectLook {
                kind: name.group_kind(),
                name: format!("{place}{}", name.name),
                state: state(&name.kind, body),
                managers: managers(body),
            }
        })
        .collect()
    }
}

fn managers(body: &Json) -> Vec<String> {
    let mut all: Vec<String> = items(body, &["metadata", "managedFields"])
        .iter()
        .map(|e| text(e, &["manager"]).to_owned())
        .filter(|m| !m.starts_with("kube-") && m != "kubelet")
        .collect();
    all.sort();
    all.dedup();
    all
}

fn state(kind: &str, body: &Json) -> String {
    let n = |fields: &[&str]| number(body, fields).unwrap_or(0);
    let mut words = match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" => {
            format!("{} of {} ready", n(&["status", "readyReplicas"]), n(&["spec", "replicas"]))
        }
        "DaemonSet" => {
            format!("{} of {} ready", n(&["status", "numberReady"]), n(&["status", "desiredNumberScheduled"]))
        }
        "Job" => format!("{} of {} done", n(&["status", "succeeded"]), n(&["spec", "completions"])),
        "Pod" => pod(body),
        "Node" => {
            let ready = items(body, &["status", "conditions"]).iter().find(|c| text(c, &["type"]) == "Ready");
            if ready.is_some_and(|c| text(c, &["status"]) == "True") {
                "ready".to_owned()
            } else {
                "not ready".to_owned()
            }
        }
        "Service" => text(body, &["spec", "clusterIP"]).to_owned(),
        _ => text(body, &["status", "phase"]).to_owned(),
    };
    if is_leaving(body) {
        words.push_str(if words.is_empty() { "leaving" } else { ", leaving" });
    }
    words
}

fn pod(body: &Json) -> String {
    let waits = items(body, &["status", "containerStatuses"])
        .iter()
        .map(|s| text(s, &["state", "waiting", "reason"]))
        .find(|r| !r.is_empty());
    let node = at(body, &["spec", "nodeName"]).and_then(Json::as_str).map(|n| format!(" on {n}")).unwrap_or_default();
    format!("{}{node}", waits.unwrap_or_else(|| text(body, &["status", "phase"])))
}
