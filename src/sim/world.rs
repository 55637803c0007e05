//! The world: everything that is so in this small EC2, and how it changes as time passes.
//!
//! A plain value. It is told the time and never asks; it does no I/O, and no call on it waits.

mod associations;
mod buckets;
mod founding;
mod launch;
mod lists;
mod lookups;
mod machines;
mod tags;
mod tokens;
mod volumes;

use std::collections::BTreeMap;

use evenkeel_ec2::api::{InstanceState, Tags, VolumeState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::associations::Association;
pub use self::buckets::Bucket;
pub(crate) use self::buckets::Cost;
pub use self::machines::{Impaired, Machine};
pub use self::tokens::Token;
pub use self::volumes::{Disk, Hold};
use crate::action::Action;
use crate::clock::later;
use crate::cluster::Kube;
use crate::dice::Span;
use crate::faults::{Fault, Weather};
use crate::laws::{Floor, Violation};
use crate::ops::Scripted;

/// A small EC2: one account, one region.
///
/// [`World::to_toml`] writes it. (Serde alone leaves out what there may be thousands of: see `store`.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct World {
    /// The world's time. Moves only while something waits, or when it is told to.
    pub now: Timestamp,
    /// All chance comes from here.
    #[serde(default)]
    pub seed: u64,
    /// `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// Names of the key pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Names of the instance profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_profiles: Vec<String>,
    /// Names of the placement groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement_groups: Vec<String>,
    /// How long things take.
    #[serde(default)]
    pub timing: Timing,
    /// The account's limits.
    #[serde(default)]
    pub limits: Limits,
    /// The number the next new object gets, by kind.
    #[serde(default)]
    pub next: Next,
    /// Availability zones by name.
    pub zones: BTreeMap<String, Zone>,
    /// Instance types by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, MachineType>,
    /// SSM parameters by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Images by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, Image>,
    /// Snapshots by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Subnets by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subnets: BTreeMap<String, Subnet>,
    /// Security groups by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// Instances by id, the terminated of the last hour included.
    #[serde(default, skip_serializing)]
    pub instances: BTreeMap<String, Machine>,
    /// Volumes by id.
    #[serde(default, skip_serializing)]
    pub volumes: BTreeMap<String, Disk>,
    /// Client tokens by scope and token.
    #[serde(default, skip_serializing)]
    pub tokens: BTreeMap<String, Token>,
    /// Kubernetes clusters by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, Kube>,
    /// Rate buckets that are not full, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub buckets: BTreeMap<String, Bucket>,
    /// Calls ever made, by action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<Action, u64>,
    /// What goes wrong with calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What happens to the world at a time of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<Scripted>,
    /// Groups of which so many must stay in service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<Floor>,
    /// Broken laws, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// What the faults do to the call under way.
    #[serde(skip)]
    pub(crate) weather: Weather,
    /// While lists are stale: until when, and what they show.
    #[serde(skip)]
    pub(crate) frozen: Option<Frozen>,
}

/// What stale lists show, until when.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frozen {
    pub(crate) until: Timestamp,
    pub(crate) instances: BTreeMap<String, Machine>,
    pub(crate) volumes: BTreeMap<String, Disk>,
}

/// How long things take; each object draws its own time from the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Timing {
    /// pending → running.
    pub boot: Span,
    /// running → both status checks passed.
    pub checks: Span,
    /// stopping → stopped.
    pub stop: Span,
    /// shutting-down → terminated.
    pub shutdown: Span,
    /// terminated → no longer listed.
    pub vanish: Span,
    /// creating → available.
    pub create_volume: Span,
    /// attaching → attached.
    pub attach: Span,
    /// detaching → available.
    pub detach: Span,
    /// How long a new object is not found by anyone (eventual consistency).
    pub hidden: Span,
    /// One call, there and back.
    pub latency: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            boot: Span::secs(5, 25),
            checks: Span::secs(60, 120),
            stop: Span::secs(10, 40),
            shutdown: Span::secs(10, 40),
            vanish: Span::secs(3600, 3600),
            create_volume: Span::secs(1, 4),
            attach: Span::secs(1, 3),
            detach: Span::secs(2, 5),
            hidden: Span::secs(0, 2),
            latency: Span::millis(20, 120),
        }
    }
}

/// The account's limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// vCPUs of pending and running instances (`VcpuLimitExceeded`).
    pub vcpus: u32,
    /// Volumes (`VolumeLimitExceeded`).
    pub volumes: u32,
    /// False: no call is ever throttled.
    pub throttling: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { vcpus: 50_000, volumes: 50_000, throttling: true }
    }
}

/// The number the next new object gets, by kind: ids are counted, so that a story reads the same each time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Next {
    /// `i-…`.
    pub instance: u64,
    /// `r-…`.
    pub reservation: u64,
    /// `vol-…`.
    pub volume: u64,
}

impl Default for Next {
    fn default() -> Self {
        Self { instance: 1, reservation: 1, volume: 1 }
    }
}

/// An availability zone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Zone {
    /// Since when it is lost: its machines' checks fail, nothing launches there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Timestamp>,
    /// EC2 says so too: the zone's state is not `available`. A real outage often goes unsaid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announced: bool,
    /// How many instances of a type it holds at most. A type that is not here has room without end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, u32>,
}

/// An instance type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MachineType {
    /// vCPUs.
    pub vcpus: u32,
    /// GiB.
    pub memory: f64,
    /// `x86_64` or `arm64`.
    pub architecture: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Image {
    /// `al2023-ami-2023.…-x86_64`.
    pub name: String,
    /// Account id.
    pub owner: String,
    /// `amazon` or `aws-marketplace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// `/dev/xvda`.
    pub root_device: String,
    /// GiB of its root volume.
    pub root_size: u32,
    /// False: deregistered or not ready.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub available: bool,
    /// A bad image: what runs it never passes its instance check.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bad: bool,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Snapshot {
    /// GiB.
    pub size: u32,
    /// `completed`; `pending` and `error` make no volume.
    pub state: String,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Subnet {
    /// `us-east-1a`.
    pub zone: String,
    /// `vpc-…`.
    pub vpc: String,
    /// `172.31.0.0/20`. AWS keeps five addresses of it.
    pub cidr: String,
    /// The zone's default subnet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// New machines get a public address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecurityGroup {
    /// Unique in its VPC.
    pub name: String,
    /// `vpc-…`.
    pub vpc: String,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
}

pub(crate) fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
pub(crate) fn is_true(b: &bool) -> bool {
    *b
}

impl World {
    /// Lets time pass until `now`; earlier times change nothing. What is scripted for a time in between happens then.
    pub fn settle(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        while let Some(due) = self.script.iter().map(|s| s.at).min().filter(|at| *at <= now) {
            self.settle_objects(due);
            self.now = self.now.max(due);
            self.settle_clusters(self.now);
            let (acts, waiting) = std::mem::take(&mut self.script).into_iter().partition(|s| s.at == due);
            self.script = waiting;
            let acts: Vec<Scripted> = acts;
            for act in acts {
                // Nobody is there to be told that a script names what is not there (any more).
                let _ = self.act(&act.deed);
            }
        }
        self.settle_objects(now);
        self.now = now;
        self.settle_clusters(now);
    }

    /// Calls ever made.
    pub fn call_count(&self) -> u64 {
        self.calls.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// A new id of this kind, the next that nothing has.
    fn fresh_id(&mut self, prefix: &str) -> String {
        loop {
            let next = match prefix {
                "i" => &mut self.next.instance,
                "vol" => &mut self.next.volume,
                _ => &mut self.next.reservation,
            };
            let id = format!("{prefix}-{:017x}", *next);
            *next = next.wrapping_add(1);
            if !self.instances.contains_key(&id) && !self.volumes.contains_key(&id) {
                return id;
            }
        }
    }

    fn settle_objects(&mut self, now: Timestamp) {
        self.settle_machines(now);
        self.settle_volumes(now);
        self.tokens.retain(|_, t| !t.is_forgotten(now));
        if self.frozen.as_ref().is_some_and(|f| f.until <= now) {
            self.frozen = None;
        }
    }

    fn settle_machines(&mut self, now: Timestamp) {
        let (seed, timing) = (self.seed, self.timing.clone());
        let mut gone = Vec::new();
        let mut dead = Vec::new();
        for (id, m) in &mut self.instances {
            while let Some(at) = m.until.filter(|at| *at <= now) {
                m.until = None;
                match m.state {
                    InstanceState::Pending => {
                        m.state = InstanceState::Running;
                        m.checks_pass = later(at, timing.checks.draw(seed, "checks", id));
                    }
                    InstanceState::Stopping => {
                        m.state = InstanceState::Stopped;
                        m.public_ip = None;
                    }
                    InstanceState::ShuttingDown => {
                        m.state = InstanceState::Terminated;
                        m.until = Some(later(at, timing.vanish.draw(seed, "vanish", id)));
                        dead.push(id.clone());
                    }
                    InstanceState::Terminated => gone.push(id.clone()),
                    InstanceState::Running | InstanceState::Stopped => {}
                }
            }
        }
        for id in &dead {
            self.bury(id);
        }
        for id in &gone {
            self.instances.remove(id);
        }
    }

    /// What becomes of a terminated instance's addresses and volumes: some die with it, the others are free again.
    pub(crate) fn bury(&mut self, id: &str) {
        if let Some(m) = self.instances.get_mut(id) {
            m.public_ip = None;
            m.private_ip = None;
        }
        self.volumes.retain(|_, v| !v.hold.as_ref().is_some_and(|h| h.instance == id && h.delete_on_termination));
        for v in self.volumes.values_mut().filter(|v| v.held_by(id)) {
            v.release();
        }
    }

    fn settle_volumes(&mut self, now: Timestamp) {
        self.volumes.retain(|_, v| !(v.state == VolumeState::Deleting && v.until.is_some_and(|at| at <= now)));
        for v in self.volumes.values_mut() {
            v.settle(now);
        }
    }
}
