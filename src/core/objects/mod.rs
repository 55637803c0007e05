//! Kubernetes objects as plain values: what the file asks for against what the server holds, without a state file.
//!
//! Everything is told by one list call: `metadata.managedFields` say who set which path last.
//! No I/O, no client, no schema of a server: what cannot be told for sure is settled by one dry-run apply.

pub mod anew;
pub mod compare;
pub mod defaults;
pub mod immutable;
pub mod limits;
pub mod managed;
pub mod order;
pub mod path;
pub mod quantity;
pub mod readiness;
pub mod redact;
pub mod same;
pub mod settle;
pub mod shape;
pub mod trouble;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;

use serde_json::Value;

/// What an object is, as far as tables need it: its API group and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sort<'a> {
    /// The group; empty for the core one.
    pub group: &'a str,
    /// The kind: `Deployment`.
    pub kind: &'a str,
}

impl<'a> Sort<'a> {
    /// Read from an object's `apiVersion` and `kind`; empty where it has none.
    pub fn of(object: &'a Value) -> Self {
        let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
        Self { group, kind: text("kind") }
    }

    /// Whether the API server itself serves it: its fields are known, and it writes values in their canonical form.
    /// Custom objects are kept as they were written.
    pub fn is_built_in(self) -> bool {
        BUILT_IN.contains(&self.group)
    }
}

/// The groups that the API server itself serves.
const BUILT_IN: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "lifecycle.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];
