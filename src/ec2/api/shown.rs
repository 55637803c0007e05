//! What EC2's answers show.

use std::collections::BTreeMap;

use evenkeel_core::shared::Shared;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Tags;

/// EC2's instance states, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Launching.
    Pending,
    /// Running.
    Running,
    /// On its way to stopped.
    Stopping,
    /// Stopped; its EBS volumes remain.
    Stopped,
    /// On its way to terminated.
    ShuttingDown,
    /// Dead. Stays visible for about an hour.
    Terminated,
}

/// One instance as `DescribeInstances` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// `r-…`: one `RunInstances` call.
    pub reservation: String,
    /// Its place in that call, from 0.
    pub launch_index: u32,
    /// The token of that call; empty where the server does not tell.
    pub client_token: String,
    /// Its state.
    pub state: InstanceState,
    /// EC2's reason for the last change (`Client.UserInitiatedShutdown` …); empty for none.
    pub state_reason: String,
    /// `ami-…`.
    pub image: String,
    /// `t3.small`.
    pub instance_type: String,
    /// `us-east-1a`.
    pub zone: String,
    /// `subnet-…`; empty for EC2-Classic relics.
    pub subnet: String,
    /// `vpc-…`.
    pub vpc: String,
    /// (id, name) of each security group.
    pub security_groups: Vec<(String, String)>,
    /// Key pair's name.
    pub key: Option<String>,
    /// ARN of the instance profile.
    pub instance_profile: Option<String>,
    /// When it was launched.
    pub launched: Timestamp,
    /// `/dev/xvda`.
    pub root_device: Option<String>,
    /// Device → EBS volume.
    pub devices: BTreeMap<String, DeviceMapping>,
    /// Public IPv4 address, if it has one.
    pub public_ip: Option<String>,
    /// Private IPv4 address, if it has one.
    pub private_ip: Option<String>,
    /// Detailed monitoring.
    pub monitoring: bool,
    /// The metadata service's settings.
    pub metadata: Metadata,
    /// True for spot.
    pub spot: bool,
    /// `default`, `dedicated`, `host`.
    pub tenancy: String,
    /// Placement group's name, if any.
    pub placement_group: Option<String>,
    /// All tags, AWS's own included.
    pub tags: Shared<Tags>,
}

/// An EBS volume in an instance's block device mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMapping {
    /// `vol-…`.
    pub volume: String,
    /// Dies with the instance.
    pub delete_on_termination: bool,
}

/// The instance metadata service's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Metadata {
    /// True: IMDSv2 only (`HttpTokens=required`).
    pub tokens_required: bool,
    /// `HttpPutResponseHopLimit`, 1 to 64.
    pub hop_limit: i32,
    /// `HttpEndpoint=enabled`.
    pub enabled: bool,
}

impl Default for Metadata {
    /// evenkeel's default: IMDSv2 required, one hop.
    fn default() -> Self {
        Self { tokens_required: true, hop_limit: 1, enabled: true }
    }
}

/// One check's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Passed.
    Ok,
    /// Failed.
    Impaired,
    /// Too early to say.
    Initializing,
    /// Nothing known.
    InsufficientData,
    /// The instance is not running.
    NotApplicable,
}

/// One scheduled event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledEvent {
    /// `instance-retirement`, `system-reboot` …
    pub code: String,
    /// A description; `[Completed] …` and `[Canceled] …` are over.
    pub description: String,
    /// When it may start.
    pub not_before: Option<Timestamp>,
}

/// One row of `DescribeInstanceStatus` (asked with `IncludeAllInstances`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// `i-…`.
    pub id: String,
    /// System check (the host) and since when it is impaired.
    pub system: (Check, Option<Timestamp>),
    /// Instance check (the guest) and since when it is impaired.
    pub instance: (Check, Option<Timestamp>),
    /// Attached-EBS check and since when it is impaired.
    pub ebs: (Check, Option<Timestamp>),
    /// Scheduled events.
    pub events: Vec<ScheduledEvent>,
}

/// EBS volume states, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeState {
    /// Being made.
    Creating,
    /// Free.
    Available,
    /// Attached, or being attached.
    InUse,
    /// Going.
    Deleting,
    /// Gone.
    Deleted,
    /// Could not be made.
    Error,
}

/// One attachment of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// `i-…`.
    pub instance: String,
    /// `/dev/sdf`.
    pub device: String,
    /// `attaching`, `attached`, `detaching`, `busy`, `detached`.
    pub state: AttachState,
    /// Dies with the instance.
    pub delete_on_termination: bool,
}

/// EBS attachment states, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachState {
    /// On its way in.
    Attaching,
    /// Attached.
    Attached,
    /// On its way out.
    Detaching,
    /// Still mounted while detaching.
    Busy,
    /// Detached.
    Detached,
}

/// One volume as `DescribeVolumes` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// `vol-…`.
    pub id: String,
    /// Its state.
    pub state: VolumeState,
    /// `us-east-1a`.
    pub zone: String,
    /// GiB.
    pub size: u32,
    /// `gp3`.
    pub volume_type: String,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// MiB/s (gp3 only).
    pub throughput: Option<u32>,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// KMS key's ARN.
    pub kms_key: Option<String>,
    /// `snap-…` it was made from.
    pub snapshot: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Where it hangs (one, unless Multi-Attach).
    pub attachments: Vec<Attachment>,
    /// All tags.
    pub tags: Shared<Tags>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Owner's account id.
    pub owner: String,
    /// When it was made; decides "newest".
    pub created: Option<Timestamp>,
    /// `/dev/xvda`.
    pub root_device: Option<String>,
    /// `available` and nothing else can be launched.
    pub available: bool,
    /// `x86_64`, `arm64` …
    pub architecture: String,
}

/// One subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`.
    pub id: String,
    /// `us-east-1a`.
    pub zone: String,
    /// `vpc-…`.
    pub vpc: String,
    /// Free IPv4 addresses.
    pub free: u32,
    /// The zone's default subnet in the default VPC.
    pub default_for_zone: bool,
    /// All tags.
    pub tags: Tags,
}

/// One security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// `sg-…`.
    pub id: String,
    /// Its name, unique in its VPC.
    pub name: String,
    /// `vpc-…`.
    pub vpc: String,
}

/// One availability zone of the region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// `us-east-1a`.
    pub name: String,
    /// State is `available`.
    pub available: bool,
}

/// The profile that an instance has, as `DescribeIamInstanceProfileAssociations` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProfile {
    /// `iip-assoc-…`, another one for each profile.
    pub association: String,
    /// The profile's ARN.
    pub profile: String,
}
