//! Doing: one call of core's becomes one request.
//!
//! Every one may be repeated: an apply is what it says, a delete names a uid, and what is gone is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset::{self, MANAGER};
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::nodes;
use evenkeel_core::observed::{Object, Parent};
use evenkeel_core::plan::{Call, Drain, ObjectDoes, OnObject};
use evenkeel_engine::caller::Caller;
use evenkeel_engine::provider::{Eyes, Looked, Made, Payloads, Provider, Reading, Wants};
use serde_json::{Value as Json, json};

use crate::api::{Cluster, Deletion, How, NOT_SERVED, Propagation, Refusal, Resource};
use crate::read::{Known, KubernetesEyes, in_place, which};
use crate::wire::{asking, words};

/// A cluster to look at and to change.
pub struct KubernetesProvider<C: ?Sized> {
    eyes: KubernetesEyes<C>,
    stack: (String, String),
}

impl<C: Cluster + ?Sized> KubernetesProvider<C> {
    /// As [`KubernetesEyes::new`]; `stack` is its id and its name, which stand in its own mark.
    pub fn new(
        cluster: Arc<C>,
        scope: impl Into<String>,
        home: impl Into<String>,
        stack: (String, String),
        caller: Arc<Caller>,
    ) -> Self {
        Self { eyes: KubernetesEyes::new(cluster, scope, home, caller), stack }
    }

    /// As [`KubernetesEyes::knowing`].
    #[must_use]
    pub fn knowing(self, known: Arc<Known>) -> Self {
        Self { eyes: self.eyes.knowing(known), ..self }
    }

    /// The kind, in the version that the call names. A definition may have been made a moment ago.
    async fn resource(&self, on: &OnObject) -> Result<Resource, Failure> {
        let known = self.eyes.catalog().await?.exact(&on.api_version, &on.object.kind).cloned();
        let found = match known {
            Some(resource) => Some(resource),
            None => self.eyes.discover().await?.exact(&on.api_version, &on.object.kind).cloned(),
        };
        found.ok_or_else(|| {
            let says = format!(
                "the cluster does not serve {} in {}: install its definition, or mend apiVersion and kind",
                on.object.kind, on.api_version
            );
            Failure::new(Class::Invalid, NOT_SERVED, says)
        })
    }

    /// With a definition, or another server's registration, what the cluster serves changes.
    fn forget_for(&self, object: &ObjectName) {
        let kinds = ["CustomResourceDefinition.apiextensions.k8s.io", "APIService.apiregistration.k8s.io"];
        if kinds.contains(&object.group_kind().as_str()) {
            self.eyes.forget();
        }
    }

    async fn apply(&self, on: &OnObject, body: &Json, force: bool) -> Result<(), Failure> {
        let resource = self.resource(on).await?;
        let which = which(&resource, &on.object);
        let how = How { manager: MANAGER.into(), force };
        let done = asking(self.eyes.caller(), "apply", || self.eyes.cluster().apply(&which, body, &how)).await;
        self.forget_for(&on.object);
        done.map(drop).map_err(words)
    }

    async fn delete(&self, on: &OnObject, uid: &str) -> Result<(), Failure> {
        let kind = on.object.group_kind();
        let resource = match self.resource(on).await {
            Ok(resource) => resource,
            // Without its definition there is none of it.
            Err(failure) if failure.code == NOT_SERVED && self.eyes.is_gone(&kind).await? => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let which = which(&resource, &on.object);
        let how = Deletion { uid: uid.to_owned(), propagation: Propagation::Background };
        let done = asking(self.eyes.caller(), "delete", || self.eyes.cluster().delete(&which, &how)).await;
        self.forget_for(&on.object);
        match done {
            Err(Refusal { failure, .. }) if failure.code == NOT_SERVED && self.eyes.is_gone(&kind).await? => Ok(()),
            Err(Refusal { failure, .. }) if is_gone(&failure) => Ok(()),
            done => done.map_err(words),
        }
    }

    /// A node takes no new pods, or takes them again; the annotation says whose doing it is. What a person, or another
    /// stack, has cordoned stays so. One that is gone, or whose name another one has, has nothing to be kept from.
    async fn cordon(&self, on: &OnObject, uid: &str, off_duty: bool) -> Result<(), Failure> {
        let which = which(&self.resource(on).await?, &on.object);
        let Some(node) = self.eyes.get(&which).await? else { return Ok(()) };
        let is_cordoned = node.pointer("/spec/unschedulable").and_then(Json::as_bool) == Some(true);
        if is_cordoned && applyset::annotation(&node, nodes::CORDONED) != Some(&self.stack.0) {
            return Ok(());
        }
        let (unschedulable, by) = if off_duty { (json!(true), json!(self.stack.0)) } else { (Json::Null, Json::Null) };
        let patch = json!({
            "metadata": { "uid": uid, "annotations": { nodes::CORDONED: by } },
            "spec": { "unschedulable": unschedulable },
        });
        match asking(self.eyes.caller(), "patch", || self.eyes.cluster().patch(&which, &patch, MARKS)).await {
            Err(Refusal { failure, .. }) if is_gone(&failure) => Ok(()),
            done => done.map(drop).map_err(words),
        }
    }

    async fn mark(&self, on: &OnObject, uid: &str, patch: Json) -> Result<(), Failure> {
        let resource = self.resource(on).await?;
        let which = which(&resource, &on.object);
        let mut patch = json!({ "metadata": { "annotations": patch } });
        patch["metadata"]["uid"] = uid.into();
        let done = asking(self.eyes.caller(), "patch", || self.eyes.cluster().patch(&which, &patch, MARKS)).await;
        done.map(drop).map_err(words)
    }
}

/// The field manager of evenkeel's own annotations: they must outlive an apply that does not know them.
const MARKS: &str = "evenkeel-marks";

#[async_trait]
impl<C: Cluster + ?Sized> Eyes for KubernetesProvider<C> {
    async fn read(&self, wants: &Wants) -> Reading {
        self.eyes.read(wants).await
    }

    async fn look(&self, ids: &BTreeSet<String>) -> Result<Looked, Failure> {
        self.eyes.look(ids).await
    }
}

#[async_trait]
impl<C: Cluster + ?Sized> Provider for KubernetesProvider<C> {
    async fn perform(&self, call: &Call, payloads: &Payloads) -> Result<Made, Failure> {
        let Call::Object(on) = call else {
            return Err(Failure::new(Class::Invalid, "", "the call is not a cluster's to do"));
        };
        match &on.does {
            ObjectDoes::Apply { body, uid, force } => {
                let body = self.body(&on.object, body, uid.as_deref(), payloads)?;
                self.apply(on, &body, *force).await?;
            }
            ObjectDoes::Cordon { uid, on: off_duty } => self.cordon(on, uid, *off_duty).await?,
            ObjectDoes::Delete { uid } => self.delete(on, uid).await?,
            ObjectDoes::Mark { uid, set, unset } => {
                let set = set.iter().map(|(k, v)| (k.clone(), Json::from(v.as_str())));
                let unset = unset.iter().map(|k| (k.clone(), Json::Null));
                self.mark(on, uid, Json::Object(set.chain(unset).collect())).await?;
            }
            ObjectDoes::Parent { kinds, namespaces } => {
                let (kinds, namespaces) = (kinds.clone(), namespaces.clone());
                let namespace = on.object.namespace.clone();
                let parent = Parent { namespace, uid: String::new(), kinds, namespaces, whole: true };
                let (id, name) = &self.stack;
                self.apply(on, &applyset::parent_body(id, name, &parent), true).await?;
            }
        }
        Ok(Made::new())
    }

    async fn drain(&self, node: &str, how: Drain) -> Result<Object, Failure> {
        self.eyes.drain(node, how).await
    }
}

impl<C: Cluster + ?Sized> KubernetesProvider<C> {
    /// The body that a digest stands for; with the uid of the one object that is meant.
    fn body(
        &self,
        object: &ObjectName,
        digest: &Digest,
        uid: Option<&str>,
        payloads: &Payloads,
    ) -> Result<Json, Failure> {
        let text = payloads.get(digest).map(Vec::as_slice).unwrap_or_default();
        let body: Json = serde_json::from_slice(text).map_err(|_| {
            let says = format!("the body of {object} that was planned is not at hand: plan again");
            Failure::new(Class::Invalid, "", says)
        })?;
        let mut body = in_place(&body, object);
        if let (Some(uid), Some(metadata)) = (uid, body.get_mut("metadata").and_then(Json::as_object_mut)) {
            metadata.insert("uid".into(), uid.into());
        }
        Ok(body)
    }
}

/// Whether the one that is meant is gone: none has its name, or another one has by now.
fn is_gone(failure: &Failure) -> bool {
    failure.class == Class::NotFound || (failure.class == Class::Busy && failure.code == "Conflict")
}
