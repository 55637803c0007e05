//! EC2's own vocabulary, as far as evenkeel speaks it: plain requests and answers, and the trait [`Ec2`] that real
//! EC2 (`src/aws`) and the sim (`src/sim`) both implement. No SDK type and no core rule stands here.
//!
//! Every method is exactly one wire call. Pages are visible: the caller walks them, counts them and pays for them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evenkeel_core::failure::Failure;
use evenkeel_core::shared::Shared;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Key → value, as on any EC2 object.
pub type Tags = BTreeMap<String, String>;

/// A list filter as EC2 has it: a name and the values any of which will do (`*` is a wildcard), at most 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// `tag:evenkeel:stack`, `client-token`, `group-name` …
    pub name: String,
    /// Any of these.
    pub values: Vec<String>,
}

impl Filter {
    /// `name` is `value`.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), values: vec![value.into()] }
    }
}

/// What to list: by ids (then no page size) or by filters and pages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only these ids. EC2 fails the whole call with `…NotFound` when one of them is unknown.
    pub ids: Vec<String>,
    /// All of these filters.
    pub filters: Vec<Filter>,
    /// Page size: 5 to 1,000; only without `ids`.
    pub max_results: Option<i32>,
    /// Where the last page ended.
    pub next_token: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page; may be empty although more pages follow.
    pub items: Vec<T>,
    /// `Some` while more pages follow.
    pub next_token: Option<String>,
}

/// Who the credentials are (STS `GetCallerIdentity`) and where they look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Twelve digits.
    pub account: String,
    /// The caller's ARN.
    pub arn: String,
    /// `us-east-1`.
    pub region: String,
}

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

/// The root or a data disk in a launch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDevice {
    /// `/dev/sdf`.
    pub device: String,
    /// GiB.
    pub size: Option<u32>,
    /// `gp3`.
    pub volume_type: Option<String>,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// MiB/s.
    pub throughput: Option<u32>,
    /// Encrypted at rest.
    pub encrypted: Option<bool>,
    /// KMS key.
    pub kms_key: Option<String>,
}

/// `RunInstances` with MinCount = MaxCount = `count`: all or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInstances {
    /// At most 64 ASCII characters.
    pub client_token: String,
    /// How many.
    pub count: u32,
    /// `ami-…`.
    pub image: String,
    /// `t3.small`.
    pub instance_type: String,
    /// `us-east-1a`; not with `subnet`.
    pub zone: Option<String>,
    /// `subnet-…`.
    pub subnet: Option<String>,
    /// `sg-…`; empty for the VPC's default group.
    pub security_groups: Vec<String>,
    /// Key pair's name.
    pub key: Option<String>,
    /// Instance profile's name or ARN.
    pub instance_profile: Option<String>,
    /// Raw bytes (not base64), at most 16 KiB.
    pub user_data: Option<Vec<u8>>,
    /// Root and data disks; all die with the instance.
    pub disks: Vec<BlockDevice>,
    /// `None`: as the subnet says.
    pub public_ip: Option<bool>,
    /// The metadata service's settings.
    pub metadata: Metadata,
    /// Detailed monitoring.
    pub monitoring: bool,
    /// `DisableApiTermination`.
    pub protect: bool,
    /// Spot (one-time, terminate on interruption).
    pub spot: bool,
    /// `dedicated` or `host`; `None` for default.
    pub tenancy: Option<String>,
    /// Placement group's name.
    pub placement_group: Option<String>,
    /// Tags of the instances, in the same call.
    pub tags: Tags,
    /// Tags of the volumes made by this launch, in the same call.
    pub volume_tags: Tags,
}

/// One live change to an instance; each is one wire call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceChange {
    /// `ModifyInstanceAttribute` InstanceType; the instance must be stopped.
    Type(String),
    /// `ModifyInstanceAttribute` Groups: the whole new list of ids.
    SecurityGroups(Vec<String>),
    /// `ModifyInstanceAttribute` DisableApiTermination.
    Protect(bool),
    /// `MonitorInstances` / `UnmonitorInstances`.
    Monitoring(bool),
    /// `ModifyInstanceMetadataOptions`.
    Metadata(Metadata),
}

/// The profile that an instance has, as `DescribeIamInstanceProfileAssociations` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProfile {
    /// `iip-assoc-…`, another one for each profile.
    pub association: String,
    /// The profile's ARN.
    pub profile: String,
}

/// A change of an instance's profile; each is one wire call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileChange {
    /// `AssociateIamInstanceProfile`, where there is none.
    Associate {
        /// `i-…`.
        instance: String,
        /// Name or ARN.
        profile: String,
    },
    /// `ReplaceIamInstanceProfileAssociation`.
    Replace {
        /// `iip-assoc-…`.
        association: String,
        /// Name or ARN.
        profile: String,
    },
    /// `DisassociateIamInstanceProfile`.
    Disassociate {
        /// `iip-assoc-…`.
        association: String,
    },
}

impl ProfileChange {
    /// EC2's name of the call.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Associate { .. } => "AssociateIamInstanceProfile",
            Self::Replace { .. } => "ReplaceIamInstanceProfileAssociation",
            Self::Disassociate { .. } => "DisassociateIamInstanceProfile",
        }
    }
}

impl InstanceChange {
    /// EC2's name of the call.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Type(_) | Self::SecurityGroups(_) | Self::Protect(_) => "ModifyInstanceAttribute",
            Self::Monitoring(true) => "MonitorInstances",
            Self::Monitoring(false) => "UnmonitorInstances",
            Self::Metadata(_) => "ModifyInstanceMetadataOptions",
        }
    }
}

/// `CreateVolume`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateVolume {
    /// At most 64 ASCII characters.
    pub client_token: String,
    /// `us-east-1a`.
    pub zone: String,
    /// GiB; with a snapshot may be left out.
    pub size: Option<u32>,
    /// `gp3`.
    pub volume_type: String,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// MiB/s.
    pub throughput: Option<u32>,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// KMS key.
    pub kms_key: Option<String>,
    /// `snap-…`.
    pub snapshot: Option<String>,
    /// Tags, in the same call.
    pub tags: Tags,
}

/// `ModifyVolume`: what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModifyVolume {
    /// GiB; only upwards.
    pub size: Option<u32>,
    /// `gp3`.
    pub volume_type: Option<String>,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// MiB/s.
    pub throughput: Option<u32>,
}

/// Reading calls, each one wire call. `drift` is given only this half.
#[async_trait]
pub trait Ec2Read: Send + Sync {
    /// STS `GetCallerIdentity`.
    async fn caller(&self) -> Result<Caller, Failure>;
    /// `DescribeAvailabilityZones`: unpaged.
    async fn zones(&self) -> Result<Vec<Zone>, Failure>;
    /// `DescribeInstances`, one page. All states, terminated included.
    async fn instances(&self, query: &Query) -> Result<Page<Instance>, Failure>;
    /// `DescribeInstanceStatus` with `IncludeAllInstances`, one page. EC2 takes at most 100 ids, and no tag filter
    /// that `DescribeInstances` would take is sure to work here: pages of 1,000 without ids.
    async fn statuses(&self, query: &Query) -> Result<Page<InstanceStatus>, Failure>;
    /// `DescribeVolumes`, one page.
    async fn volumes(&self, query: &Query) -> Result<Page<Volume>, Failure>;
    /// `DescribeImages`, one page. `owners`: account ids, `self`, `amazon`, `aws-marketplace`.
    async fn images(&self, owners: &[String], query: &Query) -> Result<Page<Image>, Failure>;
    /// `DescribeSubnets`, one page.
    async fn subnets(&self, query: &Query) -> Result<Page<Subnet>, Failure>;
    /// `DescribeSecurityGroups`, one page.
    async fn security_groups(&self, query: &Query) -> Result<Page<SecurityGroup>, Failure>;
    /// SSM `GetParameter`: its value.
    async fn parameter(&self, name: &str) -> Result<String, Failure>;
    /// `DescribeInstanceTypes`: vCPUs by type. EC2 takes at most 100 types, and fails the whole call for an unknown one.
    async fn vcpus(&self, types: &[String]) -> Result<BTreeMap<String, u32>, Failure>;
    /// Service Quotas' `GetServiceQuota` of EC2: what the account may have.
    async fn quota(&self, code: &str) -> Result<f64, Failure>;
    /// `DescribeInstanceAttribute` userData: raw bytes, decoded.
    async fn user_data(&self, instance: &str) -> Result<Option<Vec<u8>>, Failure>;
    /// `DescribeInstanceAttribute` disableApiTermination.
    async fn protected(&self, instance: &str) -> Result<bool, Failure>;
    /// `DescribeIamInstanceProfileAssociations` of one instance.
    async fn held_profile(&self, instance: &str) -> Result<Option<HeldProfile>, Failure>;
}

/// A changing call to be rehearsed: those that EC2 knows `DryRun` for. The profile calls have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rehearsal {
    /// `RunInstances`.
    Run(Box<RunInstances>),
    /// `TerminateInstances`.
    Terminate(Vec<String>),
    /// `StopInstances`.
    Stop(Vec<String>),
    /// `StartInstances`.
    Start(Vec<String>),
    /// One change to one instance.
    ChangeInstance(String, InstanceChange),
    /// `CreateTags`.
    SetTags(Vec<String>, Tags),
    /// `DeleteTags` by key.
    UnsetTags(Vec<String>, Vec<String>),
    /// `CreateVolume`.
    CreateVolume(Box<CreateVolume>),
    /// `ModifyVolume`.
    ModifyVolume(String, ModifyVolume),
    /// `AttachVolume`: volume, instance, device.
    Attach(String, String, String),
    /// `DetachVolume`: volume, instance, device.
    Detach(String, String, String),
    /// `DeleteVolume`.
    DeleteVolume(String),
}

impl Rehearsal {
    /// EC2's name of the call.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Run(_) => "RunInstances",
            Self::Terminate(_) => "TerminateInstances",
            Self::Stop(_) => "StopInstances",
            Self::Start(_) => "StartInstances",
            Self::ChangeInstance(_, change) => change.action(),
            Self::SetTags(..) => "CreateTags",
            Self::UnsetTags(..) => "DeleteTags",
            Self::CreateVolume(_) => "CreateVolume",
            Self::ModifyVolume(..) => "ModifyVolume",
            Self::Attach(..) => "AttachVolume",
            Self::Detach(..) => "DetachVolume",
            Self::DeleteVolume(_) => "DeleteVolume",
        }
    }
}

/// The code with which EC2 says that a rehearsed call would have gone through.
pub const WOULD: &str = "DryRunOperation";

/// Changing calls, each one wire call.
#[async_trait]
pub trait Ec2: Ec2Read {
    /// `RunInstances`: all `count` or none.
    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>, Failure>;
    /// `TerminateInstances`, at most 1,000 ids: all or none.
    async fn terminate(&self, ids: &[String]) -> Result<(), Failure>;
    /// `StopInstances`.
    async fn stop(&self, ids: &[String]) -> Result<(), Failure>;
    /// `StartInstances`.
    async fn start(&self, ids: &[String]) -> Result<(), Failure>;
    /// `RebootInstances`.
    async fn reboot(&self, ids: &[String]) -> Result<(), Failure>;
    /// One change to one instance.
    async fn change_instance(&self, id: &str, change: &InstanceChange) -> Result<(), Failure>;
    /// One change of a profile.
    async fn change_profile(&self, change: &ProfileChange) -> Result<(), Failure>;
    /// `CreateTags`, at most 1,000 ids: sets, overwriting.
    async fn set_tags(&self, ids: &[String], tags: &Tags) -> Result<(), Failure>;
    /// `DeleteTags` by key, at most 1,000 ids.
    async fn unset_tags(&self, ids: &[String], keys: &[String]) -> Result<(), Failure>;
    /// `CreateVolume`.
    async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, Failure>;
    /// `ModifyVolume`; then none for six hours.
    async fn modify_volume(&self, id: &str, change: &ModifyVolume) -> Result<(), Failure>;
    /// `AttachVolume`: same zone, `available`, a free device.
    async fn attach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure>;
    /// `DetachVolume`, always naming instance and device, so that a late duplicate cannot detach a new holder.
    async fn detach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure>;
    /// `DeleteVolume`.
    async fn delete_volume(&self, id: &str) -> Result<(), Failure>;
    /// The call with `DryRun`: nothing is done. Fine where EC2 says that it would have been.
    async fn rehearse(&self, what: &Rehearsal) -> Result<(), Failure>;
}
