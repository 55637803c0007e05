//! What EC2 is asked for: requests, changes, and changes that are only rehearsed.

use serde::{Deserialize, Serialize};

use super::{Metadata, Tags};

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
