//! EC2's own vocabulary, as far as evenkeel speaks it: plain requests and answers, and the trait [`Ec2`] that real
//! EC2 (`src/aws`) and the sim (`src/sim`) both implement. No SDK type and no core rule stands here.
//!
//! Every method is exactly one wire call. Pages are visible: the caller walks them, counts them and pays for them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evenkeel_core::failure::Failure;
use serde::{Deserialize, Serialize};

mod asked;
mod shown;

pub use asked::{BlockDevice, CreateVolume, InstanceChange, ModifyVolume, ProfileChange, Rehearsal, RunInstances};
pub use shown::{
    AttachState, Attachment, Check, DeviceMapping, HeldProfile, Image, Instance, InstanceState, InstanceStatus,
    Metadata, ScheduledEvent, SecurityGroup, Subnet, Volume, VolumeState, Zone,
};

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
