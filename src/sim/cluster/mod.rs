//! PRETENDS: a small Kubernetes in the same world, with the same time and the same faults.
//!
//! The rules of a real API server as far as evenkeel meets them: server-side apply to the letter, defaults, validation,
//! admission, finalizers, garbage collection; and its controllers in virtual time. It never plans, retries or mends.

mod admit;
mod api;
mod check;
mod control;
mod fill;
mod founding;
mod hands;
mod kinds;
pub mod laws;
pub mod look;
mod object;
mod refuse;
mod request;
mod serve;
pub mod ssa;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use evenkeel_core::address::ObjectName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use self::admit::{Does, Webhook};
pub use self::api::SimCluster;
pub use self::hands::Hand;
pub use self::object::{Body, Object};
pub use self::request::Request;
use crate::dice::Span;

/// The cluster that is there when nobody named one.
pub const DEFAULT: &str = "sim";

/// One cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kube {
    /// `v1.37.2`.
    #[serde(default = "version")]
    pub version: String,
    /// What its uids begin with.
    #[serde(default)]
    pub id: String,
    /// The last `resourceVersion` given.
    #[serde(default)]
    pub revision: u64,
    /// Objects ever made: where uids and names come from.
    #[serde(default)]
    pub made: u64,
    /// How long things take.
    #[serde(default)]
    pub timing: Timing,
    /// Images that cannot be pulled; any whose tag has `broken` in it is one too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bad_images: Vec<String>,
    /// Images whose containers end at once, and the last lines of their logs. Any whose tag has `crash` in it is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub crashing_images: BTreeMap<String, String>,
    /// Admission webhooks, asked in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
    /// The cloud's own controller does not run: nodes of machines that are no more stay, silent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_cloud: bool,
    /// API groups whose own server does not answer, and what it says instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub broken_groups: BTreeMap<String, String>,
    /// When the controllers look again; absent: not by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Its objects by name.
    #[serde(default, skip_serializing)]
    pub objects: BTreeMap<ObjectName, Object>,
}

fn version() -> String {
    "v1.37.2".to_owned()
}

/// How long things take in a cluster; each object draws its own time from the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Timing {
    /// A change → the controllers have seen it.
    pub react: Span,
    /// Scheduled → the images are there.
    pub pull: Span,
    /// Container started → ready, beyond what its probe waits.
    pub ready: Span,
    /// A job's pod started → it is done.
    pub run: Span,
    /// Started → a crashing container has ended.
    pub crash: Span,
    /// A pod is asked to end → it has.
    pub end: Span,
    /// A claim → its volume.
    pub bind: Span,
    /// A machine's status checks have an answer → its boot script has joined the cluster.
    pub join: Span,
    /// A service of type LoadBalancer → its address.
    pub balancer: Span,
    /// A definition → its kind is served.
    pub establish: Span,
    /// A namespace is empty → it is gone.
    pub empty: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            react: Span::millis(20, 200),
            pull: Span::secs(1, 8),
            ready: Span::secs(1, 5),
            run: Span::secs(5, 20),
            crash: Span::secs(1, 3),
            end: Span::secs(1, 5),
            bind: Span::secs(1, 5),
            join: Span::secs(5, 40),
            balancer: Span::secs(5, 30),
            establish: Span::millis(200, 2000),
            empty: Span::secs(1, 3),
        }
    }
}

/// Who acts at what time, with which chance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) seed: u64,
}

impl Kube {
    /// The objects of one kind, by namespace and name.
    pub(crate) fn of_kind(&self, group: &str, kind: &str) -> impl Iterator<Item = (&ObjectName, &Json)> {
        let from = named(group, kind, "", "");
        let (group, kind) = (group.to_owned(), kind.to_owned());
        self.objects
            .range(from..)
            .take_while(move |(name, _)| name.api == group && name.kind == kind)
            .map(|(name, object)| (name, &object.body.0))
    }

    /// The object of this name.
    pub(crate) fn get(&self, name: &ObjectName) -> Option<&Json> {
        self.objects.get(name).map(|o| &o.body.0)
    }

    /// A new `resourceVersion`.
    fn next_revision(&mut self) -> String {
        self.revision = self.revision.saturating_add(1);
        self.revision.to_string()
    }

    /// A new uid: the count of objects, written as one.
    fn next_uid(&mut self) -> String {
        self.made = self.made.saturating_add(1);
        format!("{}-0000-4000-8000-{:012x}", self.id, self.made & 0xffff_ffff_ffff)
    }

    /// The controllers have something to look at.
    pub(crate) fn stir(&mut self, moment: Moment) {
        let after = self.timing.react.draw(moment.seed, "react", self.revision);
        self.wake_at(crate::clock::later(moment.now, after));
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

/// An object's name.
pub(crate) fn named(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectName {
    ObjectName { api: group.to_owned(), kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}
