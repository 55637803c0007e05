//! The declaration with nothing left to guess: defaults filled in, variables and templates rendered, names checked.
//!
//! Only what must be asked of the world is still open: images, subnets and security groups by name ([`Lookup`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::address::{Group, Kind, ObjectName};
use crate::digest::{Digest, canonical};
use crate::objects::readiness::WaitFor as Until;
use crate::policy::Policy;

/// Everything the file says should exist.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Desired {
    /// Who owns it.
    pub stack: Stack,
    /// Where things live, by alias; `""` is the plain `[aws]` table.
    pub scopes: BTreeMap<String, Scope>,
    /// `[machines.<name>]`.
    pub machines: BTreeMap<String, MachineGroup>,
    /// `[volumes.<name>]`.
    pub volumes: BTreeMap<String, VolumeGroup>,
    /// `[kubernetes]` and `[kubernetes.<alias>]`, by scope ([`cluster_scope`]).
    pub clusters: BTreeMap<String, Cluster>,
    /// `[workloads.<name>]` and `[manifests.<name>]`.
    pub bundles: BTreeMap<Group, Bundle>,
    /// `[policy]` and below.
    pub policy: Policy,
    /// `[outputs]`: name → minijinja expression over the observed world (`machines.web[0].private-ip`).
    pub outputs: BTreeMap<String, String>,
    /// `[lock]`.
    pub lock: Lock,
    /// `renamed-from`: old group → new group.
    pub renamed: BTreeMap<Group, Group>,
    /// The texts of variables marked secret: no output may hold one of them.
    #[serde(skip)]
    pub secrets: BTreeSet<String>,
    /// Where each key of a group of machines or volumes stands, and each output: `machines.web.image` →
    /// `evenkeel.toml:12`.
    #[serde(skip)]
    pub origins: BTreeMap<String, String>,
}

/// `[stack]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// For people.
    pub name: String,
    /// For ownership: 8 to 16 characters of `[a-z2-9]`, random, written once by `init`.
    pub id: String,
    /// Tags on everything.
    pub tags: BTreeMap<String, String>,
}

/// `[aws]` or `[aws.<alias>]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// `us-east-1`; `None`: as the environment says.
    pub region: Option<String>,
    /// Profile of the shared config files.
    pub profile: Option<String>,
    /// Role to assume, an ARN.
    pub role: Option<String>,
    /// Endpoint URL, for other EC2-like servers.
    pub endpoint: Option<String>,
    /// Twelve digits: refuse to act in any other account.
    pub account: Option<String>,
}

/// `[lock]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// `file` (the default) or `none`.
    pub kind: LockKind,
    /// Where the lock file stands; `None`: beside the declaration, `.evenkeel/<stack id>.lock`.
    pub path: Option<String>,
    /// Seconds to wait for it (default 60).
    pub wait: u64,
}

/// How runs exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockKind {
    /// A lock on a local file, held by the kernel: a killed holder costs nothing.
    File,
    /// None.
    None,
}

impl Default for Lock {
    fn default() -> Self {
        Self { kind: LockKind::File, path: None, wait: 60 }
    }
}

/// `[machines.<name>]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineGroup {
    /// Its scope's alias.
    pub scope: String,
    /// How many.
    pub count: u32,
    /// Which image.
    pub image: Image,
    /// Instance types, in order of preference; never empty.
    pub types: Vec<String>,
    /// Where.
    pub spread: Spread,
    /// Names or ids (`sg-…`); empty: the VPC's default group.
    pub security_groups: Vec<String>,
    /// Key pair.
    pub key: Option<String>,
    /// Instance profile's name.
    pub instance_profile: Option<String>,
    /// Boot script.
    pub user_data: Option<UserData>,
    /// Root disk; all `None` leaves it to the image.
    pub root: Disk,
    /// Data disks that die with the machine, by device.
    pub disks: BTreeMap<String, Disk>,
    /// Tags, the stack's included, rendered.
    pub tags: BTreeMap<String, String>,
    /// `None`: as the subnet says.
    pub public_ip: Option<bool>,
    /// Metadata service.
    pub metadata: Metadata,
    /// Detailed monitoring.
    pub monitoring: bool,
    /// Termination protection.
    pub protect: bool,
    /// Spot instead of on-demand.
    pub spot: bool,
    /// `dedicated` or `host`.
    pub tenancy: Option<String>,
    /// Placement group.
    pub placement_group: Option<String>,
    /// When a new machine counts as there.
    pub wait: WaitFor,
    /// What to do when a lookup's answer moves.
    pub follow: Follow,
    /// Allowed difference between the fullest and the emptiest zone (default 1).
    pub skew: u32,
    /// At most so many in a zone.
    pub caps: BTreeMap<String, u32>,
    /// Of which cluster they are nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeGroup>,
}

/// `nodes` of a group of machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeGroup {
    /// The cluster's scope.
    pub scope: String,
    /// Labels that a node joins with.
    pub labels: BTreeMap<String, String>,
    /// Taints that a node joins with.
    pub taints: Vec<Taint>,
    /// The cluster's name where its machines bear the tag `kubernetes.io/cluster/<name>`, as EKS wants it.
    pub tag: Option<String>,
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taint {
    /// `dedicated`.
    pub key: String,
    /// May be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// When a launch is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFor {
    /// EC2 says running.
    Running,
    /// Both status checks pass.
    Healthy,
    /// Both status checks pass, and its node has joined its cluster and is ready.
    Ready,
}

/// Whether a moved lookup answer is a reason to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Follow {
    /// Say "outdated", change nothing.
    Never,
    /// Roll.
    Always,
}

/// An image as the file names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Image {
    /// `ami-…`.
    Id(String),
    /// An SSM parameter that holds an AMI id.
    Ssm(String),
    /// The newest available image of this owner with this name (`*` and `?` are wildcards).
    Newest {
        /// Account id, `self`, `amazon`, `aws-marketplace`.
        owner: String,
        /// Name pattern.
        name: String,
    },
}

/// Where the replicas of a group may stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Every available zone of the region.
    Anywhere,
    /// These zones.
    Zones(Vec<String>),
    /// These subnets, by id.
    Subnets(Vec<String>),
    /// The subnets that carry this tag: key, and value if given.
    SubnetsTagged(String, Option<String>),
}

impl Spread {
    /// Whether the file itself names the places: then only its change makes another one of them wrong. Which zones are
    /// up, and which subnets bear a tag, moves without it.
    pub fn is_written(&self) -> bool {
        match self {
            Self::Zones(_) | Self::Subnets(_) => true,
            Self::Anywhere | Self::SubnetsTagged(..) => false,
        }
    }
}

/// A boot script as it will be given to every slot: rendered, raw bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData {
    /// The template's text.
    pub template: String,
    /// Variables at hand beside `slot` and `zone`.
    pub vars: serde_json::Value,
    /// False: the bytes are given as they are.
    pub is_template: bool,
    /// File name, for errors.
    pub file: String,
}

impl std::fmt::Debug for UserData {
    /// Never the text: it may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserData({}, {} bytes)", self.file, self.template.len())
    }
}

impl Serialize for UserData {
    /// Only the file's name: the text may hold a secret.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.file)
    }
}

/// A disk: all `None` means "as the image or EBS has it".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// GiB.
    pub size: Option<u32>,
    /// `gp3` …
    pub volume_type: Option<String>,
    /// IOPS.
    pub iops: Option<u32>,
    /// MiB/s.
    pub throughput: Option<u32>,
    /// Encrypted at rest.
    pub encrypted: Option<bool>,
    /// KMS key.
    pub kms_key: Option<String>,
}

/// Metadata service settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// IMDSv2 only (default true).
    pub tokens_required: bool,
    /// 1 to 64 (default 1; containers want 2).
    pub hop_limit: u32,
    /// False switches the service off.
    pub enabled: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { tokens_required: true, hop_limit: 1, enabled: true }
    }
}

/// `[volumes.<name>]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeGroup {
    /// Its scope's alias.
    pub scope: String,
    /// How many and where.
    pub layout: Layout,
    /// GiB; may be left out with a snapshot.
    pub size: Option<u32>,
    /// `gp3` …
    pub volume_type: String,
    /// IOPS.
    pub iops: Option<u32>,
    /// MiB/s.
    pub throughput: Option<u32>,
    /// Encrypted at rest (default true).
    pub encrypted: bool,
    /// KMS key.
    pub kms_key: Option<String>,
    /// Device at its machine (default `/dev/sdf`).
    pub device: String,
    /// Never deleted while true.
    pub protect: bool,
    /// `snap-…`.
    pub from_snapshot: Option<String>,
    /// Tags, the stack's included.
    pub tags: BTreeMap<String, String>,
}

/// `[kubernetes]` or `[kubernetes.<alias>]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Context of the kubeconfig; `None`: the current one, or the cluster that evenkeel runs in.
    pub context: Option<String>,
    /// Path of a kubeconfig, from the declaration's folder; `None`: as kubectl finds it.
    pub kubeconfig: Option<String>,
    /// Namespace of objects that name none, and of the stack's own mark (default `default`).
    pub namespace: Option<String>,
}

impl Cluster {
    /// The namespace of objects that name none.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }
}

/// The scope of a cluster: `kubernetes:`, `kubernetes:<alias>`. No alias of `[aws]` can look like it.
pub fn cluster_scope(alias: &str) -> String {
    format!("kubernetes:{alias}")
}

/// A scope's table, as the file has it: `[aws.eu]`, `[kubernetes]`.
pub fn table_of(scope: &str) -> String {
    let (table, alias) = match scope.strip_prefix("kubernetes:") {
        Some(alias) => ("kubernetes", alias),
        None => ("aws", scope),
    };
    if alias.is_empty() { format!("[{table}]") } else { format!("[{table}.{alias}]") }
}

/// Whether a scope is a cluster's.
pub fn is_cluster(scope: &str) -> bool {
    scope.starts_with("kubernetes:")
}

/// Kubernetes objects that one table declares, in the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bundle {
    /// Its cluster's scope.
    pub scope: String,
    /// Its objects.
    pub objects: Vec<ObjectWish>,
    /// Whether a run waits until they are ready (default true).
    pub wait: bool,
    /// Seconds to wait at most (default 600, as kubectl's own roll-outs).
    pub wait_within: u64,
    /// Fields that another manager holds are taken without asking.
    pub force_conflicts: bool,
    /// Never deleted while true.
    pub protect: bool,
    /// Whether what the file no longer has is deleted (default true); if not, it is let go.
    pub prune: bool,
    /// What to wait for by kind (`Certificate.cert-manager.io`), where the kind's own readiness is not enough.
    pub wait_for: BTreeMap<String, Until>,
}

/// One object as the file wishes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectWish {
    /// Its name. The namespace is the file's, or the group's default; a kind that the cluster says belongs to no
    /// namespace has none, whatever stands here.
    pub object: ObjectName,
    /// `apps/v1`.
    pub api_version: String,
    /// All of it.
    pub body: Body,
    /// The file it stands in, for messages; empty for a workload.
    pub file: String,
    /// The line it begins in, from 1; of a template, the line of the text that it was filled in to. 0 for a workload.
    pub line: u32,
}

/// An object's text as it is sent: with secrets, so it is shown nowhere and stands for itself by a keyed digest.
#[derive(Clone, PartialEq)]
pub struct Body {
    json: Json,
    digest: Digest,
}

impl Body {
    /// A body; `key` is the stack's.
    pub fn new(json: Json, key: &str) -> Self {
        let digest = Digest::keyed(key.as_bytes(), canonical(&json).as_bytes());
        Self { json, digest }
    }

    /// What is sent.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// What stands for it.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl std::fmt::Debug for Body {
    /// Never the text: it may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({})", self.digest.0)
    }
}

impl Serialize for Body {
    /// Only the digest: the text may hold a secret.
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.digest.serialize(s)
    }
}

/// How many volumes, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `replicas = n`, spread.
    Replicas {
        /// How many.
        count: u32,
        /// Where.
        spread: Spread,
    },
    /// `for = "machines.db"`: one a slot, in the slot's zone, attached to the slot's machine.
    For(Group),
}

/// Something that only the world can tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lookup {
    /// The newest image of that description (never `Image::Id`).
    Image(Image),
    /// The root device of an image id.
    ImageById(String),
    /// The subnets of a spread, or of the default VPC for `Zones` and `Anywhere`.
    Subnets(Spread),
    /// A security group's name.
    SecurityGroup(String),
}

impl Desired {
    /// Accounts and regions that hold anything, by alias. A file that has clusters and says nothing of EC2, neither
    /// machines nor volumes nor a table `aws`, needs no account.
    pub fn ec2_scopes(&self) -> BTreeSet<String> {
        let used = self.machines.values().map(|g| &g.scope).chain(self.volumes.values().map(|g| &g.scope));
        let mut all: BTreeSet<String> = used.cloned().collect();
        let silent = all.is_empty() && self.scopes.len() <= 1 && self.scopes.values().all(|s| *s == Scope::default());
        if self.clusters.is_empty() || !silent {
            all.extend(self.scopes.keys().cloned());
        }
        if all.is_empty() && self.clusters.is_empty() {
            all.insert(String::new());
        }
        all
    }

    /// Slots that a group is to have; 0 where it is not declared.
    pub fn wanted(&self, group: &Group) -> u32 {
        let machines = |name: &str| self.machines.get(name).map_or(0, |g| g.count);
        match group.kind {
            Kind::Machines => machines(&group.name),
            Kind::Volumes => match self.volumes.get(&group.name).map(|v| &v.layout) {
                Some(Layout::Replicas { count, .. }) => *count,
                Some(Layout::For(m)) => machines(&m.name),
                None => 0,
            },
            Kind::Workloads | Kind::Manifests => {
                self.bundles.get(group).map_or(0, |b| u32::try_from(b.objects.len()).unwrap_or(u32::MAX))
            }
        }
    }

    /// Words about a key of a group, with its place in the file where that is known.
    pub fn placed(&self, group: &Group, key: &str, says: &str) -> String {
        match self.origins.get(&format!("{group}.{key}")) {
            Some(at) => format!("{says} ({key}, {at})"),
            None => says.to_owned(),
        }
    }

    /// What must be asked of the world, with the scope to ask in.
    pub fn lookups(&self) -> BTreeSet<(String, Lookup)> {
        let mut all = BTreeSet::new();
        for g in self.machines.values() {
            let mut ask = |l| all.insert((g.scope.clone(), l));
            match &g.image {
                Image::Id(id) => ask(Lookup::ImageById(id.clone())),
                Image::Ssm(_) | Image::Newest { .. } => ask(Lookup::Image(g.image.clone())),
            };
            match &g.spread {
                Spread::Subnets(_) | Spread::SubnetsTagged(..) => ask(Lookup::Subnets(g.spread.clone())),
                Spread::Anywhere | Spread::Zones(_) => false,
            };
            for name in g.security_groups.iter().filter(|s| !s.starts_with("sg-")) {
                ask(Lookup::SecurityGroup(name.clone()));
            }
        }
        all
    }

    /// The objects wished in a cluster.
    pub fn wishes(&self, scope: &str) -> impl Iterator<Item = &ObjectWish> {
        self.bundles.values().filter(move |b| b.scope == scope).flat_map(|b| &b.objects)
    }

    /// The scope alias of a group, if the file declares the group.
    pub fn scope_of(&self, group: &Group) -> Option<&str> {
        match group.kind {
            Kind::Machines => self.machines.get(&group.name).map(|g| g.scope.as_str()),
            Kind::Volumes => self.volumes.get(&group.name).map(|g| g.scope.as_str()),
            Kind::Workloads | Kind::Manifests => self.bundles.get(group).map(|b| b.scope.as_str()),
        }
    }
}
