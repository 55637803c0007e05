//! What EBS takes: sizes, IOPS and throughput of each volume type. Checked here, so that a plan is not refused halfway
//! through an apply. The numbers are those of EC2's `CreateVolume` reference of November 2026.

use super::format::Format;
use super::keys::{Block, Key, Shape, key};
use super::problems::Problems;
use super::reader::Reader;
use super::units::show_size;
use crate::desired::Disk;

/// One volume type.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    /// GiB.
    size: (u32, u32),
    /// From, to, and how many a GiB; `None`: they cannot be chosen.
    iops: Option<(u32, u32, u32)>,
    /// Whether they must be chosen.
    must: bool,
    /// MiB/s; `None`: it cannot be chosen.
    throughput: Option<(u32, u32)>,
    /// Whether a machine can boot from it.
    boots: bool,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "gp3",
        size: (1, 65_536),
        iops: Some((3_000, 80_000, 500)),
        must: false,
        throughput: Some((125, 2_000)),
        boots: true,
    },
    Kind { name: "gp2", size: (1, 16_384), iops: None, must: false, throughput: None, boots: true },
    Kind { name: "io1", size: (4, 16_384), iops: Some((100, 64_000, 50)), must: true, throughput: None, boots: true },
    Kind {
        name: "io2",
        size: (4, 65_536),
        iops: Some((100, 256_000, 1_000)),
        must: true,
        throughput: None,
        boots: true,
    },
    Kind { name: "st1", size: (125, 16_384), iops: None, must: false, throughput: None, boots: false },
    Kind { name: "sc1", size: (125, 16_384), iops: None, must: false, throughput: None, boots: false },
    Kind { name: "standard", size: (1, 1_024), iops: None, must: false, throughput: None, boots: true },
];

/// `size`.
pub const SIZE: Key = key(
    "size",
    Shape::Size(1, 65_536),
    "Its size. It can grow live; smaller means a new machine, and of a volume it waits for a person.",
)
.example("\"50GiB\"")
.unit("GiB or TiB")
.aka(&["volume_size"]);
/// `type`.
pub const TYPE: Key =
    key("type", Shape::Word(&["gp3", "gp2", "io1", "io2", "st1", "sc1", "standard"]), "The EBS volume type.")
        .example("\"gp3\"")
        .aka(&["volume_type"]);
/// `iops`.
pub const IOPS: Key = key("iops", Shape::Int(100, 256_000), "Provisioned IOPS; gp3, io1 and io2 only.")
    .default("3000 for gp3")
    .example("6000")
    .unit("gp3 3000 to 80000, io1 100 to 64000, io2 100 to 256000");
/// `throughput`.
pub const THROUGHPUT: Key = key("throughput", Shape::Int(125, 2_000), "Provisioned throughput; gp3 only.")
    .default("125 for gp3")
    .example("250")
    .unit("MiB/s");
/// `encrypted`.
pub const ENCRYPTED: Key = key("encrypted", Shape::Bool, "Encrypted at rest.").example("false");
/// `kms-key`.
pub const KMS_KEY: Key = key("kms-key", Shape::Text(Format::Any), "The KMS key: id, alias or ARN.")
    .default("the account's for EBS")
    .example("\"alias/shop\"")
    .aka(&["kms_key_id"]);
/// `device`.
pub const DEVICE: Key = key("device", Shape::Text(Format::Device), "The device name at its machine.")
    .example("\"/dev/sdg\"")
    .aka(&["device_name"]);

/// `root` of machines.
pub static ROOT: Block = Block {
    title: "root",
    about: "The disk that the machine boots from. What is left out is as the image has it; what is taken out again stays as it is.",
    keys: &[
        SIZE.default("the image's"),
        TYPE.default("the image's"),
        IOPS,
        THROUGHPUT,
        ENCRYPTED.default("the image's, or the account's default").example("true"),
        KMS_KEY,
    ],
    others: None,
    later: &[],
};

/// An item of `disks`.
pub static DISK: Block = Block {
    title: "disks",
    about: "A data disk that dies with its machine. Data that must outlive it belongs into `[volumes]`.",
    keys: &[
        DEVICE.required(),
        key("size", Shape::Size(1, 65_536), "Its size. It can grow live; smaller means a new machine.")
            .example("\"50GiB\"")
            .unit("GiB or TiB")
            .required(),
        TYPE.default("\"gp3\"").example("\"st1\""),
        IOPS,
        THROUGHPUT,
        ENCRYPTED.default("the account's default").example("true"),
        KMS_KEY,
    ],
    others: None,
    later: &[],
};

/// Reads the common keys of any disk.
pub fn read(r: &Reader<'_>) -> Disk {
    Disk {
        size: r.size("size"),
        volume_type: r.text("type"),
        iops: r.int("iops"),
        throughput: r.int("throughput"),
        // A key is for encrypting: EC2 takes none without.
        encrypted: r.bool("encrypted").or(r.text("kms-key").map(|_| true)),
        kms_key: r.text("kms-key"),
    }
}

/// Checks that EBS would take it. `boot`: a machine boots from it.
pub fn check(r: &Reader<'_>, path: &str, disk: &Disk, boot: bool, problems: &mut Problems<'_>) {
    if disk.kms_key.is_some() && disk.encrypted == Some(false) {
        problems.error(
            "E0603",
            r.at("kms-key"),
            format!("`{path}` has a KMS key and is not encrypted"),
            "take `encrypted = false` away, or the key",
        );
    }
    let Some(name) = disk.volume_type.as_deref() else { return };
    let Some(kind) = KINDS.iter().find(|k| k.name == name) else { return };
    if boot && !kind.boots {
        let says = format!("no machine can boot from {name}");
        problems.error("E0603", r.at("type"), says, "write \"gp3\"");
    }
    if let Some(size) = disk.size
        && !(kind.size.0..=kind.size.1).contains(&size)
    {
        let (min, max) = (show_size(kind.size.0), show_size(kind.size.1));
        let says = format!("`{path}.size` is {}, and {name} takes {min} to {max}", show_size(size));
        problems.error(
            "E0601",
            r.at("size"),
            says,
            format!("write a size from \"{min}\" to \"{max}\", or another type"),
        );
    }
    match (disk.iops, kind.iops) {
        (Some(_), None) => {
            let says = format!("{name} has no `iops` to choose");
            problems.error("E0602", r.at("iops"), says, "take `iops` away, or use gp3, io1 or io2");
        }
        (Some(iops), Some((min, max, per_gib))) => {
            let by_size = disk.size.map_or(max, |gib| gib.saturating_mul(per_gib).max(min)).min(max);
            if !(min..=max).contains(&iops) {
                let says = format!("`{path}.iops` is {iops}, and {name} takes {min} to {max}");
                problems.error("E0602", r.at("iops"), says, format!("write a number from {min} to {max}"));
            } else if iops > by_size {
                let says = format!("{name} of this size takes at most {by_size} IOPS ({per_gib} a GiB)");
                let gib = iops.div_ceil(per_gib);
                let way_out = format!("write {by_size} or less, or make it at least {}", show_size(gib));
                problems.error("E0602", r.at("iops"), says, way_out);
            }
        }
        (None, Some((min, max, _))) if kind.must => {
            let says = format!("{name} needs `iops` in `{path}`");
            problems.error("E0602", r.at("type"), says, format!("add `iops = …`, from {min} to {max}"));
        }
        (None, Some(_) | None) => {}
    }
    match (disk.throughput, kind.throughput) {
        (Some(_), None) => {
            let says = format!("{name} has no `throughput` to choose");
            problems.error("E0602", r.at("throughput"), says, "take `throughput` away, or use gp3");
        }
        (Some(throughput), Some((min, max))) => {
            // gp3: a quarter MiB/s for each IOPS.
            let by_iops = (disk.iops.unwrap_or(3_000) / 4).clamp(min, max);
            if (min..=max).contains(&throughput) && throughput > by_iops {
                let says = format!("with {} IOPS {name} takes at most {by_iops} MiB/s", disk.iops.unwrap_or(3_000));
                let way_out = format!("write {by_iops} or less, or `iops = {}`", throughput.saturating_mul(4));
                problems.error("E0602", r.at("throughput"), says, way_out);
            }
        }
        (None, Some(_) | None) => {}
    }
}

/// Device names that reach the same disk: the kernel shows `/dev/sdf` as `/dev/xvdf`.
pub fn same_device(device: &str) -> String {
    device.replace("/dev/xvd", "/dev/sd")
}

#[cfg(test)]
mod tests {
    use super::ROOT;
    use crate::desired::Disk;
    use crate::expected::without_lookups;
    use crate::testing::World;

    #[test]
    fn every_key_of_a_root_disk_is_a_field_of_its_machine() {
        let mut w = World::new(1);
        w.desired.machines.get_mut("web").unwrap().root = Disk {
            size: Some(30),
            volume_type: Some("gp3".into()),
            iops: Some(4000),
            throughput: Some(250),
            encrypted: Some(true),
            kms_key: Some("alias/shop".into()),
        };
        let fields = without_lookups(&w.desired, "web", &w.desired.machines["web"]);
        for key in ROOT.keys {
            let name = format!("root-{}", key.name);
            assert!(fields.get(&name).is_some_and(|v| !v.is_nothing()), "{name}");
        }
    }
}
