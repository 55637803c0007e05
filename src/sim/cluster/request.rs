//! A changing call as a value, so that one can be under way: sent by a caller that may be dead when it arrives.

use evenkeel_kubernetes::api::{Deletion, How, Propagation, Refusal, Resource, Which};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Body, Moment, laws};
use crate::action::Action;
use crate::world::World;

/// A changing call with all its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Request {
    /// Which cluster.
    pub cluster: String,
    /// The kind and version.
    pub resource: Resource,
    /// Empty where the kind has no namespaces.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// What is asked.
    pub verb: Verb,
}

/// What is asked of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verb {
    /// Server-side apply.
    Apply {
        /// What is applied.
        body: Body,
        /// By whom.
        manager: String,
        /// Whether fields of others are taken.
        force: bool,
    },
    /// JSON merge patch.
    Patch {
        /// The patch.
        patch: Body,
        /// By whom.
        manager: String,
    },
    /// Eviction of a pod.
    Evict {
        /// Only this one.
        uid: String,
    },
    /// Deletion.
    Delete {
        /// Only this one.
        uid: String,
        /// What it owns goes first.
        foreground: bool,
    },
}

impl Request {
    pub(crate) fn new(cluster: &str, which: &Which, verb: Verb) -> Self {
        let Which { resource, namespace, name } = which.clone();
        Self { cluster: cluster.to_owned(), resource, namespace, name, verb }
    }

    /// Which call it is.
    pub(crate) fn action(&self) -> Action {
        match &self.verb {
            Verb::Apply { force: true, .. } => Action::ForceApply,
            Verb::Apply { force: false, .. } => Action::ApplyObject,
            Verb::Patch { .. } => Action::PatchObject,
            Verb::Evict { .. } => Action::EvictPod,
            Verb::Delete { .. } => Action::DeleteObject,
        }
    }
}

impl World {
    /// The call reaches its cluster. Laws watch it.
    pub(crate) fn serve(&mut self, request: &Request) -> Result<Json, Refusal> {
        let Request { cluster, resource, namespace, name, verb } = request;
        let which = Which { resource: resource.clone(), namespace: namespace.clone(), name: name.clone() };
        let m = Moment { now: self.now, seed: self.seed };
        let about = super::named(resource.group(), &resource.kind, namespace, name);
        match verb {
            Verb::Apply { body, manager, force } => {
                laws::before_applying(self, cluster, &about, &body.0, manager);
                let how = How { manager: manager.clone(), force: *force };
                self.cluster(cluster).apply(&which, &body.0, &how, false, m)
            }
            Verb::Patch { patch, manager } => self.cluster(cluster).patch(&which, &patch.0, manager, m),
            Verb::Evict { uid } => self.cluster(cluster).evict(&which, uid, m).map(|()| Json::Null),
            Verb::Delete { uid, foreground } => {
                laws::before_deleting(self, cluster, &about, uid);
                let propagation = if *foreground { Propagation::Foreground } else { Propagation::Background };
                let how = Deletion { uid: uid.clone(), propagation };
                self.cluster(cluster).delete(&which, &how, m).map(|()| Json::Null)
            }
        }
    }
}
