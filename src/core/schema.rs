//! What each field of each kind is: how it can change, whether a list shows it, whether it may hold a secret.
//!
//! The table is the one source for diff, digests, docs and the plan's `forces replacement` notes.

use serde::Serialize;

use crate::address::Kind;

/// How a field can change on a live thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only by replacing the thing; says why.
    Replace(&'static str),
    /// While it runs.
    Live,
    /// While it is stopped: stop, change, start.
    Stopped,
    /// Live, but only upwards; downwards replaces.
    Grow,
    /// A table of disks by device: what EBS modifies of one is live, sizes only upwards. Whatever else differs replaces.
    Disks,
}

/// Which volume EBS modifies for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ebs {
    /// None: the field is another service's matter, or set once.
    No,
    /// The volume whose field it is.
    Itself,
    /// The machine's root volume.
    Root,
    /// Those of the devices in the table.
    Disks,
}

/// The link of a machine to its root volume; its other links are device names.
pub const ROOT: &str = "root";

/// How a field can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Lists show it.
    Listed,
    /// Only a read per object shows it (`--deep`); otherwise its digest stands for it.
    Deep,
    /// Nothing shows it: it is a wish of the launch, and only its digest tells whether the file has moved since.
    Never,
}

/// One field of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its key in the file, and in [`crate::value::Fields`].
    pub name: &'static str,
    /// Two characters: its name in the digest vector. Never reused for another field.
    pub code: &'static str,
    /// How it can change.
    pub change: Change,
    /// How it can be seen.
    pub seen: Seen,
    /// Its value may be secret: it is carried as a keyed digest everywhere.
    pub secret: bool,
    /// Left out of the file it is as EC2 chose or an earlier file said: no call gives EC2's choice back.
    pub stays: bool,
    /// Which volume EBS modifies for it.
    pub ebs: Ebs,
    /// One line for docs and the JSON Schema.
    pub about: &'static str,
}

const fn f(name: &'static str, code: &'static str, change: Change, about: &'static str) -> Field {
    Field { name, code, change, seen: Seen::Listed, secret: false, stays: false, ebs: Ebs::No, about }
}

const fn stays(name: &'static str, code: &'static str, change: Change, about: &'static str) -> Field {
    Field { stays: true, ..f(name, code, change, about) }
}

impl Field {
    const fn of(self, ebs: Ebs) -> Self {
        Self { ebs, ..self }
    }
}

/// The fields of `kind`, in the order in which a plan shows them.
pub fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Machines => MACHINES,
        Kind::Volumes => VOLUMES,
        // An object's fields are its cluster's to define; `crate::objects` compares them by path.
        Kind::Workloads | Kind::Manifests => &[],
    }
}

/// The field called `name`, if the kind has it.
pub fn field(kind: Kind, name: &str) -> Option<&'static Field> {
    fields(kind).iter().find(|f| f.name == name)
}

const FIXED: Change = Change::Replace("EC2 sets it at launch only");

const MACHINES: &[Field] = &[
    f("image", "im", FIXED, "The AMI's id."),
    f("type", "ty", Change::Stopped, "The instance type; any of the declared list is in order."),
    f("zone", "zo", Change::Replace("an instance cannot move"), "The availability zone."),
    f("subnet", "su", Change::Replace("an instance cannot move"), "The subnet's id, where subnets are declared."),
    f("security-groups", "sg", Change::Live, "Ids of the security groups."),
    f("key", "ke", FIXED, "The key pair's name."),
    f("instance-profile", "ip", Change::Live, "The instance profile's name."),
    Field {
        seen: Seen::Deep,
        secret: true,
        ..f(
            "user-data",
            "ud",
            Change::Replace("boot scripts run at the first boot only"),
            "The boot script, rendered; shown as a keyed digest.",
        )
    },
    stays("root-size", "rs", Change::Grow, "The root disk's size in GiB.").of(Ebs::Root),
    stays("root-type", "rt", Change::Live, "The root disk's volume type.").of(Ebs::Root),
    stays("root-iops", "ri", Change::Live, "The root disk's provisioned IOPS.").of(Ebs::Root),
    stays("root-throughput", "rh", Change::Live, "The root disk's throughput in MiB/s.").of(Ebs::Root),
    stays("root-encrypted", "re", FIXED, "Whether the root disk is encrypted."),
    stays("root-kms-key", "rk", FIXED, "The root disk's KMS key."),
    f("disks", "di", Change::Disks, "Data disks that die with the machine.").of(Ebs::Disks),
    f("tags", "tg", Change::Live, "The user's tags."),
    Field { seen: Seen::Never, ..f("public-ip", "pi", FIXED, "Whether it asks for a public address.") },
    f("metadata", "md", Change::Live, "The metadata service's settings."),
    f("monitoring", "mo", Change::Live, "Detailed monitoring."),
    f("protect", "pr", Change::Live, "Termination protection; a tag says it to lists."),
    f("market", "mk", FIXED, "on-demand or spot."),
    f("tenancy", "te", FIXED, "default, dedicated or host."),
    f("placement-group", "pg", FIXED, "The placement group's name."),
];

const VOLUMES: &[Field] = &[
    f("zone", "zo", Change::Replace("a volume cannot move"), "The availability zone."),
    f("size", "si", Change::Grow, "Size in GiB.").of(Ebs::Itself),
    f("type", "ty", Change::Live, "The volume type.").of(Ebs::Itself),
    stays("iops", "io", Change::Live, "Provisioned IOPS.").of(Ebs::Itself),
    stays("throughput", "th", Change::Live, "Throughput in MiB/s.").of(Ebs::Itself),
    stays("encrypted", "en", Change::Replace("EBS sets it at creation only"), "Whether it is encrypted."),
    stays("kms-key", "kk", Change::Replace("EBS sets it at creation only"), "The KMS key."),
    stays("from-snapshot", "fs", Change::Replace("EBS sets it at creation only"), "The snapshot it is made from."),
    f("device", "de", Change::Live, "The device name at its machine; detach and attach again."),
    f("tags", "tg", Change::Live, "The user's tags."),
    f("protect", "pr", Change::Live, "Never deleted while it stands; a tag says it to lists."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_codes_are_unique_within_a_kind() {
        for kind in Kind::ALL {
            let names: BTreeSet<_> = fields(kind).iter().map(|f| f.name).collect();
            let codes: BTreeSet<_> = fields(kind).iter().map(|f| f.code).collect();
            assert_eq!(names.len(), fields(kind).len());
            assert_eq!(codes.len(), fields(kind).len());
            assert!(fields(kind).iter().all(|f| f.code.len() == 2));
        }
    }
}
