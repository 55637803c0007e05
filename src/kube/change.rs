//! The changing half.
//!
//! Fields that the server does not know are refused, as kubectl has it: a typing error is not quietly dropped.

use async_trait::async_trait;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::{Cluster, Deletion, How, Propagation, Refusal, Which};
use http::Method;
use serde_json::{Value as Json, json};

use crate::client::KubeCluster;
use crate::request::{Asked, Content};

#[async_trait]
impl Cluster for KubeCluster {
    async fn apply(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal> {
        self.json(application("apply", which, body, how)?).await
    }

    async fn patch(&self, which: &Which, patch: &Json, manager: &str) -> Result<Json, Refusal> {
        let asked = Asked::about(Method::PATCH, "patch", which)?
            .with("fieldManager", manager)
            .with("fieldValidation", "Strict")
            .sending(Content::Merge, patch);
        self.json(asked).await
    }

    async fn evict(&self, pod: &Which, uid: &str) -> Result<(), Refusal> {
        let asked = Asked::about(Method::POST, "evict", pod)?.below("eviction");
        if uid.is_empty() {
            let words = format!("{}: nothing is evicted without the uid of what was seen", asked.says);
            return Err(Failure::new(Class::Invalid, "", words).into());
        }
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "namespace": pod.namespace, "name": pod.name },
            "deleteOptions": { "preconditions": { "uid": uid } },
        });
        self.send(asked.sending(Content::Json, &eviction)).await.map(|_| ())
    }

    async fn delete(&self, which: &Which, how: &Deletion) -> Result<(), Refusal> {
        let asked = Asked::about(Method::DELETE, "delete", which)?;
        if how.uid.is_empty() {
            let words = format!("{}: nothing is deleted without the uid of what was seen", asked.says);
            return Err(Failure::new(Class::Invalid, "", words).into());
        }
        let policy = match how.propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
        };
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": { "uid": how.uid },
            "propagationPolicy": policy,
        });
        // The answer is a status or the object; neither says more than that it was taken.
        self.send(asked.sending(Content::Json, &options)).await.map(|_| ())
    }
}

/// A server-side apply.
pub(crate) fn application(verb: &str, which: &Which, body: &Json, how: &How) -> Result<Asked, Failure> {
    let asked = Asked::about(Method::PATCH, verb, which)?
        .with("fieldManager", &how.manager)
        .with("fieldValidation", "Strict")
        .sending(Content::Apply, body);
    Ok(if how.force { asked.with("force", "true") } else { asked })
}

#[cfg(test)]
mod tests;
