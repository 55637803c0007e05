//! The wire calls the sim understands: EC2's by EC2's own names, and Kubernetes' verbs on objects. What faults, buckets
//! and counters speak about.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! actions {
    ($($name:ident: $changes:literal),* $(,)?) => {
        /// One wire call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Action {
            $(#[doc = concat!("`", stringify!($name), "`")] $name,)*
        }

        impl Action {
            /// Every call.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// EC2's name for it; Kubernetes' verb and what it is about.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Whether it changes the world.
            pub fn changes(self) -> bool {
                match self { $(Self::$name => $changes,)* }
            }
        }
    };
}

actions! {
    GetCallerIdentity: false,
    AssumeRole: false,
    GetParameter: false,
    GetServiceQuota: false,
    DescribeAvailabilityZones: false,
    DescribeInstances: false,
    DescribeInstanceStatus: false,
    DescribeInstanceAttribute: false,
    DescribeIamInstanceProfileAssociations: false,
    DescribeVolumes: false,
    DescribeImages: false,
    DescribeSubnets: false,
    DescribeSecurityGroups: false,
    DescribeInstanceTypes: false,
    RunInstances: true,
    TerminateInstances: true,
    StopInstances: true,
    StartInstances: true,
    RebootInstances: true,
    ModifyInstanceAttribute: true,
    ModifyInstanceMetadataOptions: true,
    MonitorInstances: true,
    UnmonitorInstances: true,
    AssociateIamInstanceProfile: true,
    ReplaceIamInstanceProfileAssociation: true,
    DisassociateIamInstanceProfile: true,
    CreateTags: true,
    DeleteTags: true,
    CreateVolume: true,
    ModifyVolume: true,
    AttachVolume: true,
    DetachVolume: true,
    DeleteVolume: true,
    ServerVersion: false,
    Discovery: false,
    ListObjects: false,
    GetObject: false,
    ReadLog: false,
    DryRunApply: false,
    ApplyObject: true,
    ForceApply: true,
    PatchObject: true,
    EvictPod: true,
    DeleteObject: true,
}

impl Action {
    /// The verb of a call to Kubernetes, as its permissions know it; `None` for EC2's.
    pub fn verb(self) -> Option<&'static str> {
        Some(match self {
            Self::ServerVersion | Self::Discovery | Self::GetObject | Self::ReadLog => "get",
            Self::ListObjects => "list",
            Self::DryRunApply | Self::ApplyObject | Self::ForceApply | Self::PatchObject => "patch",
            Self::EvictPod => "create",
            Self::DeleteObject => "delete",
            _ => return None,
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
