//! One look at the world, including what could not be seen.
//!
//! A provider fills it in; nothing here interprets it. Not seen is not absent: what a [`Gap`] covers is neither
//! created nor deleted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::address::{Kind, ObjectName};
use crate::desired::Lookup;
use crate::failure::Failure;
use crate::shared::Shared;
use crate::value::Fields;

/// One look at the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// When the look began.
    pub at: Timestamp,
    /// What is known about each scope, by alias.
    pub scopes: BTreeMap<String, ScopeSeen>,
    /// Every object that carries our stack's mark, or whose client token says that we launched it, and every volume
    /// that hangs at such a machine and outlives it. Sorted by (scope, kind, id).
    pub objects: Vec<Object>,
    /// Kubernetes clusters, by scope.
    pub clusters: BTreeMap<String, ClusterSeen>,
    /// Answers to the lookups that were asked, by scope.
    pub lookups: Vec<Answer>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// Id → name, for screens (`sg-…` → `web`).
    pub labels: BTreeMap<String, String>,
}

/// One scope: an account and a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeSeen {
    /// Twelve digits; empty when it could not be asked.
    pub account: String,
    /// `us-east-1`.
    pub region: String,
    /// Zone → whether its provider says it is available.
    pub zones: BTreeMap<String, bool>,
    /// Read calls made, by action.
    pub calls: BTreeMap<String, u32>,
}

/// One look at a Kubernetes cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterSeen {
    /// The server's version: `v1.37.2`.
    pub version: String,
    /// What it serves, by group and kind (`Deployment.apps`).
    pub kinds: BTreeMap<String, KindSeen>,
    /// Every object with our stack's label, and every object that the file names.
    pub objects: BTreeMap<ObjectName, Live>,
    /// What the server would make of the objects that may differ from the file, or that are new, without doing it.
    pub trials: BTreeMap<ObjectName, Trial>,
    /// What the server would refuse to make anew, of the objects that it will not change in place: its words, and the
    /// fields that are to blame as in [`Trial::Refused`].
    #[serde(default)]
    pub barred: BTreeMap<ObjectName, (Failure, Vec<(String, String)>)>,
    /// Storage class → its `volumeBindingMode`, of the classes that claims here wait for.
    #[serde(default)]
    pub bindings: BTreeMap<String, String>,
    /// Kinds that could not be listed, and why: nothing of them is made or deleted.
    pub unseen: BTreeMap<String, Failure>,
    /// The stack's own mark; `Err`: something of that name is another tool's, whose name it is.
    pub parent: Option<Result<Parent, String>>,
    /// The stack's own marks in other namespaces than the file's: it was another one once.
    #[serde(default)]
    pub former: Vec<Parent>,
    /// Its nodes by name, where machines of the file may be among them.
    #[serde(default)]
    pub nodes: BTreeMap<String, NodeSeen>,
    /// Why its nodes are not known although machines of the file may be among them.
    #[serde(default)]
    pub nodes_unseen: Option<Failure>,
}

impl ClusterSeen {
    /// A name as the cluster has it: a kind that belongs to no namespace has none.
    pub fn resolved(&self, object: &ObjectName) -> ObjectName {
        let mut object = object.clone();
        if self.kinds.get(&object.group_kind()).is_some_and(|k| !k.namespaced) {
            object.namespace.clear();
        }
        object
    }

    /// Whether it serves a kind (`Deployment.apps`) in a version (`apps/v1`).
    pub fn serves(&self, group_kind: &str, api_version: &str) -> bool {
        self.kinds.get(group_kind).is_some_and(|k| k.api_versions.iter().any(|v| v == api_version))
    }
}

/// One node, as far as the machine that it stands on is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSeen {
    /// Never used twice.
    pub uid: String,
    /// `aws:///us-east-1a/i-0abc`; empty where it has none.
    pub provider_id: String,
    /// When it joined.
    pub created: Timestamp,
    /// Its condition `Ready`.
    pub ready: Truth,
    /// Since when that is so, by the cluster's clock, where it tells.
    pub since: Option<Timestamp>,
    /// The condition's reason and message; may be empty.
    pub says: String,
    /// It takes no new pods.
    pub cordoned: bool,
    /// The id of the stack that has cordoned it; empty where none of ours has.
    pub cordoned_for: String,
}

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// `True`.
    Yes,
    /// `False`.
    No,
    /// `Unknown`, or nothing: of a node, that its kubelet is silent.
    Unknown,
}

/// How a cluster serves a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindSeen {
    /// Versions (`apps/v1`), the preferred one first.
    pub api_versions: Vec<String>,
    /// `deployments`.
    pub plural: String,
    /// Whether its objects belong to namespaces.
    pub namespaced: bool,
}

/// One live Kubernetes object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Never used twice.
    pub uid: String,
    /// All of it, managed fields included; the data of secrets as keyed digests.
    pub body: Json,
}

/// What a server-side apply without effect answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// It would become this; the data of secrets as keyed digests.
    Becomes(Json),
    /// Other managers hold fields with other values: (field, manager).
    Conflicts(Vec<(String, String)>),
    /// It would be refused: admission, validation, quota, rights. With the fields that are to blame, if any: (field,
    /// what is said).
    Refused(Failure, Vec<(String, String)>),
    /// It could not be asked, because what it stands on is not there yet (its namespace, its definition).
    TooEarly,
}

/// The ApplySet parent of a stack (KEP-3659): a hint of where its objects may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Where it stands.
    pub namespace: String,
    /// Its own uid.
    pub uid: String,
    /// `Deployment.apps`.
    pub kinds: BTreeSet<String>,
    /// Beside its own.
    pub namespaces: BTreeSet<String>,
    /// It bears all that it was written with. What somebody has taken marks off does not say all that it should.
    #[serde(default)]
    pub whole: bool,
}

/// The answer to one lookup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where it was asked.
    pub scope: String,
    /// What was asked.
    pub asked: Lookup,
    /// What came back.
    pub found: Found,
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// An image.
    Image {
        /// `ami-…`.
        id: String,
        /// Its name.
        name: String,
        /// When it was made.
        created: Option<Timestamp>,
        /// `/dev/xvda`.
        root_device: Option<String>,
    },
    /// Subnets, sorted by zone and id.
    Subnets(Vec<Subnet>),
    /// A security group's id in each VPC that has one of that name: (vpc, id).
    SecurityGroups(Vec<(String, String)>),
    /// There is none; says what was looked for.
    Nothing(String),
}

/// One subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// `vpc-…`.
    pub vpc: String,
    /// Free IPv4 addresses.
    pub free: u32,
}

/// Something that could not be seen. While it stands, nothing of that kind in that scope is created or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Which scope.
    pub scope: String,
    /// Which kind; `None`: everything of the scope.
    pub kind: Option<Kind>,
    /// What was to be read, in words: `instances`, `image al2023-*`.
    pub what: String,
    /// Why it could not.
    pub failure: Failure,
    /// True when only health, names or a lookup are missing: what exists is still fully known.
    pub partial: bool,
}

/// Where a thing is in its life. Every provider state maps to one of these, exhaustively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Being made (`pending`, `creating`).
    Starting,
    /// There (`running`, `available`, `in-use`).
    Up,
    /// On its way to stopped.
    Stopping,
    /// Stopped.
    Stopped,
    /// Going for good (`shutting-down`, `deleting`).
    Leaving,
    /// Gone, still listed (`terminated`, `deleted`).
    Gone,
    /// Could not be made, or broken for good (`error`).
    Failed,
}

impl Phase {
    /// It still is, or will be again, something: it counts, it costs, it can be changed.
    pub fn alive(self) -> bool {
        match self {
            Self::Starting | Self::Up | Self::Stopping | Self::Stopped => true,
            Self::Leaving | Self::Gone | Self::Failed => false,
        }
    }
}

/// One thing in the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Scope's alias.
    pub scope: String,
    /// What it is.
    pub kind: Kind,
    /// The provider's id.
    pub id: String,
    /// Where it is in its life.
    pub phase: Phase,
    /// The provider's reason for the phase; may be empty.
    pub says: String,
    /// Its zone.
    pub zone: String,
    /// When it was made.
    pub created: Timestamp,
    /// The client token of the call that made it; `None` where the provider does not tell.
    pub token: Option<String>,
    /// Its place in that call, from 0.
    pub index: u32,
    /// The call's own id (`r-…`); empty for none.
    pub reservation: String,
    /// All its tags.
    pub tags: Shared<BTreeMap<String, String>>,
    /// Its fields by [`crate::schema`] name, as far as they were seen. A field that is missing here was not
    /// observed; a field that is there with [`crate::value::Value::Null`] is known to be empty.
    pub fields: Shared<Fields>,
    /// Health signals.
    pub signals: Shared<Vec<Signal>>,
    /// Where a volume hangs.
    pub attached: Option<Attached>,
    /// Ids of its parts: `root` → `vol-…`.
    pub links: BTreeMap<String, String>,
    /// Facts for outputs that are not fields: `private-ip`, `public-ip`.
    pub facts: Fields,
}

/// Where a volume hangs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The machine's id.
    pub to: String,
    /// `/dev/sdf`.
    pub device: String,
    /// False while it is on its way in or out.
    pub settled: bool,
}

/// What a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The phase itself.
    State,
    /// EC2's system status check.
    SystemStatus,
    /// EC2's instance status check.
    InstanceStatus,
    /// EC2's attached-EBS check: a volume's matter.
    EbsStatus,
    /// A scheduled event.
    ScheduledEvent,
    /// The node's condition `Ready`: it says that it is ready, or that it is not.
    NodeReady,
    /// The node's kubelet is silent: `Ready` is unknown.
    NodeSilent,
    /// The machine runs and should be a node, and no node stands for it.
    NodeMissing,
}

/// Who says so. Two signals from one reporter are one witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reporter {
    /// EC2's control plane.
    Ec2Control,
    /// EC2's host and guest checks.
    Ec2Host,
    /// EC2's storage checks.
    Ec2Ebs,
    /// The node's kubelet.
    Kubelet,
    /// The cluster's API server.
    KubeApi,
}

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// Well.
    Ok,
    /// Not well.
    Bad,
    /// Nothing known; never worsens a verdict.
    NoData,
}

/// One health signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
pub struct Signal {
    /// What it is about.
    pub source: Source,
    /// Who says so.
    pub reporter: Reporter,
    /// What it says.
    pub reading: Reading,
    /// Since when, by the provider's clock, where it tells.
    pub since: Option<Timestamp>,
    /// Cannot recover: no dwell.
    pub hard: bool,
    /// In words: `instance status impaired`; for an event its code.
    pub says: String,
    /// For [`Source::ScheduledEvent`]: when it may start.
    pub not_before: Option<Timestamp>,
}

impl Observed {
    /// Whether everything of `kind` in `scope` was seen, so that what is missing is absent.
    pub fn sees_all(&self, scope: &str, kind: Kind) -> bool {
        !self.gaps.iter().any(|g| g.scope == scope && !g.partial && g.kind.is_none_or(|k| k == kind))
    }

    /// The answer to a lookup, if it was asked and answered.
    pub fn answer(&self, scope: &str, asked: &Lookup) -> Option<&Found> {
        self.lookups.iter().find(|a| a.scope == scope && a.asked == *asked).map(|a| &a.found)
    }

    /// The object of that id.
    pub fn object(&self, id: &str) -> Option<&Object> {
        self.objects.iter().find(|o| o.id == id)
    }

    /// How many objects were seen.
    pub fn count(&self) -> usize {
        self.objects.len() + self.clusters.values().map(|c| c.objects.len()).sum::<usize>()
    }

    /// How many read calls it took.
    pub fn calls(&self) -> u32 {
        self.scopes.values().flat_map(|s| s.calls.values()).sum()
    }

    /// An id as a person knows it: `sg-1` → `web` where the name is known.
    pub fn label<'a>(&'a self, id: &'a str) -> &'a str {
        self.labels.get(id).map_or(id, String::as_str)
    }
}
