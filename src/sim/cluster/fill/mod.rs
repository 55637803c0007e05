//! What the server makes of an object before it keeps it: defaults, one form for every quantity, nothing that is empty
//! where empty means absent. The defaults are those of Kubernetes 1.37, written down here a second time on purpose: the
//! planner's own table is not to be tried on itself.

pub(super) mod custom;
mod others;
mod pods;
mod quantities;
mod services;
mod workloads;

use serde_json::{Map, Value as Json};

use self::pods::pod_spec;
pub(super) use self::quantities::canonical;
use super::kinds::{group_of, is_built_in};
use super::object::text;
use super::{Kube, Moment};

impl Kube {
    /// Fills an object in. What is filled in already stays as it is.
    pub(super) fn fill(&mut self, object: &mut Json, live: Option<&Json>, m: Moment) {
        drop_nulls(object);
        let version = text(object, &["apiVersion"]).to_owned();
        let kind = text(object, &["kind"]).to_owned();
        let group = group_of(&version).to_owned();
        if !is_built_in(&group, &kind) {
            if let Some(schema) = self.custom(&version, &kind).and_then(|c| c.schema) {
                let schema = schema.clone();
                custom::fill(object, &schema);
            }
            drop_empty_metadata(object);
            return;
        }
        match (group.as_str(), kind.as_str()) {
            ("apps" | "batch", _) | ("", "ReplicationController" | "PodTemplate") => {
                workloads::fill(&group, &kind, object, live);
            }
            ("", "Pod") => pods::fill_pod(object),
            ("", "Service") => services::fill(self, object, live, m),
            _ => others::fill(self, &group, &kind, object, live),
        }
        quantities::write_canonical(&group, &kind, object);
        drop_empty_metadata(object);
        drop_zero(object, "");
    }

    /// Takes away what a definition's schema does not know.
    pub(super) fn prune_unknown(&self, version: &str, kind: &str, object: &mut Json) {
        if is_built_in(group_of(version), kind) {
            return;
        }
        if let Some(schema) = self.custom(version, kind).and_then(|c| c.schema) {
            custom::prune(object, schema);
        }
    }
}

fn drop_nulls(value: &mut Json) {
    match value {
        Json::Object(table) => {
            table.retain(|_, v| !v.is_null());
            table.values_mut().for_each(drop_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_nulls),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// Labels, annotations, finalizers and owners that are empty are not written down.
fn drop_empty_metadata(object: &mut Json) {
    let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) else { return };
    for name in ["labels", "annotations", "finalizers", "ownerReferences"] {
        if metadata.get(name).is_some_and(is_empty) {
            metadata.remove(name);
        }
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Object(table) => table.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// Tables of texts that are not written down when they are empty.
const MAPS: &[&str] = &[
    "labels",
    "annotations",
    "matchLabels",
    "nodeSelector",
    "data",
    "binaryData",
    "requests",
    "limits",
    "parameters",
    "hard",
];
/// Truths whose `false` is not written down.
const TRUTHS: &[&str] = &[
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
    "paused",
    "publishNotReadyAddresses",
    "globalDefault",
];
/// Texts that are not written down when they are empty.
const TEXTS: &[&str] = &[
    "nodeName",
    "hostname",
    "subdomain",
    "priorityClassName",
    "serviceAccountName",
    "workingDir",
    "subPath",
    "externalName",
    "clusterIP",
    "loadBalancerIP",
    "effect",
    "medium",
];

/// Takes away what Go's encoder leaves out.
fn drop_zero(value: &mut Json, name: &str) {
    match value {
        Json::Object(table) => {
            if matches!(name, "data" | "stringData" | "labels" | "annotations" | "matchLabels" | "nodeSelector") {
                return;
            }
            for (name, below) in table.iter_mut() {
                drop_zero(below, name);
            }
            table.retain(|name, v| !is_left_out(name, v));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| drop_zero(item, "")),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn is_left_out(name: &str, value: &Json) -> bool {
    match value {
        Json::Bool(b) => !b && TRUTHS.contains(&name),
        Json::String(s) => s.is_empty() && TEXTS.contains(&name),
        Json::Object(table) => table.is_empty() && MAPS.contains(&name),
        // Rules and the items of a list of selectors may be empty on purpose.
        Json::Array(items) => items.is_empty() && !matches!(name, "rules" | "ingress" | "egress" | "from" | "to"),
        Json::Null => true,
        Json::Number(_) => false,
    }
}

fn set(table: &mut Map<String, Json>, name: &str, value: impl Into<Json>) {
    if table.get(name).is_none_or(Json::is_null) {
        table.insert(name.to_owned(), value.into());
    }
}
