//! The wire calls the sim understands, by EC2's own names: what faults, buckets and counters speak about.

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

            /// EC2's name for it.
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
    GetParameter: false,
    DescribeAvailabilityZones: false,
    DescribeInstances: false,
    DescribeInstanceStatus: false,
    DescribeInstanceAttribute: false,
    DescribeIamInstanceProfileAssociations: false,
    DescribeVolumes: false,
    DescribeImages: false,
    DescribeSubnets: false,
    DescribeSecurityGroups: false,
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
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
