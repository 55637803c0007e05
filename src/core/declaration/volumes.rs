//! `[volumes.<name>]`: groups of EBS volumes that outlive machines.

use std::collections::BTreeMap;

use super::aws;
use super::conform::shown;
use super::ebs;
use super::format::Format;
use super::keys::{Block, Others, Shape, key, nearest};
use super::machines::{self, Context};
use super::problems::Problems;
use super::reader::Reader;
use super::spread;
use super::stack;
use super::tree::At;
use crate::address::Group;
use crate::desired::{Disk, Layout, MachineGroup, VolumeGroup};

/// `[volumes]`.
pub static GROUPS: Block = Block {
    title: "[volumes]",
    about: "Redundant storage. Each table below is a group of volumes that are alike.",
    keys: &[],
    others: Some(Others {
        name: "<name>",
        format: Format::Name,
        shape: Shape::Table(&VOLUMES),
        about: "A group of volumes.",
    }),
    later: &[],
};

/// `[volumes.<name>]`.
pub static VOLUMES: Block = Block {
    title: "[volumes.<name>]",
    about: "A group of EBS volumes. With `for`, each slot of a group of machines has one, in its zone, handed on when the \
            machine is replaced; with `replicas`, so many stand spread over zones. `iops`, `throughput`, `kms-key` and `from-snapshot` that are taken out again leave a volume as it is.",
    keys: &[
        key("for", Shape::Text(Format::MachineGroup), "The machines they belong to: one a slot.")
            .default("none: then `replicas` is needed")
            .example("\"machines.web\"")
            .aka(&["attach", "machines"]),
        key("replicas", Shape::Int(0, 10_000), "How many, where they belong to no machines.")
            .default("one a slot of `for`")
            .example("3")
            .aka(&["count"]),
        key("zones", Shape::Set(&Shape::Text(Format::Zone), 1), "Zones to spread `replicas` over.")
            .default("every zone of the region")
            .example("[\"us-east-1a\", \"us-east-1b\"]")
            .aka(&["availability_zones", "zone"]),
        ebs::SIZE.default("the snapshot's"),
        ebs::TYPE.default("\"gp3\"").example("\"gp2\""),
        ebs::IOPS,
        ebs::THROUGHPUT,
        ebs::ENCRYPTED.default("true"),
        ebs::KMS_KEY,
        ebs::DEVICE.default("\"/dev/sdf\", or the next that no disk has"),
        key("protect", Shape::Bool, "Never deleted while true. It stands on the volume itself.")
            .default("false")
            .example("true"),
        key("from-snapshot", Shape::Text(Format::Snapshot), "The snapshot they are made from.")
            .default("none: empty volumes")
            .example("\"snap-0abcdef1234567890\"")
            .aka(&["snapshot_id", "snapshot"]),
        key("tags", Shape::Table(&stack::TAGS), "Tags, over those of [stack].")
            .default("none")
            .example("{ tier = \"data\" }"),
        key("renamed-from", Shape::Text(Format::OldName), "The group's old name: it is renamed, nothing is replaced.")
            .default("none")
            .example("\"old-name\""),
        key("aws", Shape::Text(Format::Name), "The alias of the [aws.<alias>] they live in.")
            .default("that of `for`, or [aws]")
            .example("\"west\"")
            .aka(&["provider", "scope"]),
    ],
    others: None,
    later: &["kind", "max-rpo"],
};

/// Reads all groups; devices are shared out over those of one group of machines.
pub fn read(
    r: Option<&Reader<'_>>,
    machines: &BTreeMap<String, MachineGroup>,
    c: &Context<'_>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, VolumeGroup> {
    let groups = r.map(Reader::groups).unwrap_or_default();
    let mut all: BTreeMap<String, VolumeGroup> =
        groups.iter().map(|(name, r)| ((*name).to_owned(), group(name, r, machines, c, problems))).collect();
    devices(&groups, machines, &mut all, problems);
    all
}

fn group(
    name: &str,
    r: &Reader<'_>,
    machines: &BTreeMap<String, MachineGroup>,
    c: &Context<'_>,
    problems: &mut Problems<'_>,
) -> VolumeGroup {
    let path = format!("volumes.{name}");
    let owner = r.text("for").and_then(|text| text.strip_prefix("machines.").map(str::to_owned));
    let mut scope = aws::alias(r, c.scopes, problems);
    if let Some(owner) = &owner {
        scope = belongs(r, &path, owner, scope, machines, problems);
    }
    let region = c.scopes.get(&scope).and_then(|s| s.region.clone());
    let layout = match (owner, r.int("replicas")) {
        (Some(owner), replicas) => {
            if replicas.is_some() {
                let says = format!("`{path}` has both `for` and `replicas`");
                problems
                    .error(
                        "E0604",
                        r.at("replicas"),
                        says,
                        "keep `for` for a volume a machine, or `replicas` for volumes of their own",
                    )
                    .also(r.at("for"), "and here");
            }
            if let Some(zones) = r.node("zones") {
                let says = format!("`{path}` has both `for` and `zones`");
                problems.error(
                    "E0604",
                    zones.key,
                    says,
                    "take `zones` away: each volume stands where its machine does",
                );
            }
            Layout::For(Group::machines(owner))
        }
        (None, replicas) => {
            if replicas.is_none() && !r.has("for") && !r.has("replicas") {
                let way_out = "add `for = \"machines.…\"` for a volume a machine, or `replicas = 3`";
                problems.error("E0604", r.here(), format!("`{path}` does not say how many"), way_out);
            }
            if let Some(device) = r.node("device") {
                let says = format!("`{path}` has a device and belongs to no machines");
                problems.error("E0604", device.key, says, "take `device` away, or add `for = \"machines.…\"`");
            }
            Layout::Replicas { count: replicas.unwrap_or(0), spread: spread::zones(r, region.as_deref(), problems) }
        }
    };
    let volume_type = r.text("type").unwrap_or_else(|| "gp3".to_owned());
    let encrypted = r.bool("encrypted").unwrap_or(true);
    let disk = Disk { volume_type: Some(volume_type.clone()), encrypted: Some(encrypted), ..ebs::read(r) };
    ebs::check(r, &path, &disk, false, problems);
    if !r.has("size") && !r.has("from-snapshot") {
        problems.error(
            "E0104",
            r.here(),
            format!("[{path}] needs `size`"),
            "add `size = \"50GiB\"`, or `from-snapshot`",
        );
    }
    let own = stack::tags(r, "tags", problems);
    VolumeGroup {
        scope,
        layout,
        size: disk.size,
        volume_type,
        iops: disk.iops,
        throughput: disk.throughput,
        encrypted,
        kms_key: disk.kms_key,
        device: r.text("device").unwrap_or_default(),
        protect: r.bool("protect").unwrap_or(false),
        from_snapshot: r.text("from-snapshot"),
        tags: stack::merged(&c.stack.tags, own, r.at("tags"), &path, problems),
    }
}

/// Checks the group of machines named by `for`; answers with the scope that the volumes live in: that of the machines.
fn belongs(
    r: &Reader<'_>,
    path: &str,
    owner: &str,
    scope: String,
    machines: &BTreeMap<String, MachineGroup>,
    problems: &mut Problems<'_>,
) -> String {
    let Some(group) = machines.get(owner) else {
        let says = format!("`{path}` is for machines.{owner}, which the file does not declare");
        if problems.full() {
            return scope;
        }
        match nearest(owner, machines.keys().map(String::as_str)) {
            Some(near) => problems
                .error("E0605", r.at("for"), says, format!("write \"machines.{near}\""))
                .label(format!("did you mean \"machines.{near}\"?"))
                .fix(r.at("for"), format!("\"machines.{near}\"")),
            None => {
                problems.error("E0605", r.at("for"), says, format!("add [machines.{owner}], or use `replicas`"));
            }
        }
        return scope;
    };
    if r.has("aws") && scope != group.scope {
        problems.error(
            "E0606",
            r.at("aws"),
            format!("`{path}` lives elsewhere than machines.{owner}"),
            "take `aws` away: volumes live where their machines do",
        );
    }
    group.scope.clone()
}

/// Gives each group its device, and refuses two volumes, or a volume and a disk, at one.
fn devices(
    groups: &[(&str, Reader<'_>)],
    machines: &BTreeMap<String, MachineGroup>,
    all: &mut BTreeMap<String, VolumeGroup>,
    problems: &mut Problems<'_>,
) {
    let mut by_owner: BTreeMap<String, Vec<&(&str, Reader<'_>)>> = BTreeMap::new();
    for entry in groups {
        if let Some(Layout::For(owner)) = all.get(entry.0).map(|v| &v.layout) {
            by_owner.entry(owner.name.clone()).or_default().push(entry);
        }
    }
    for (owner, mine) in by_owner {
        let Some(machine) = machines.get(&owner) else { continue };
        let disks = machines::devices(machine);
        let mut taken: BTreeMap<String, At> = BTreeMap::new();
        for (name, r) in mine.iter().filter(|(_, r)| r.has("device")) {
            let Some(device) = r.text("device") else { continue };
            let says = format!("volumes.{name} and another are both {} at machines.{owner}", shown(&device));
            let way_out = "give each a device of its own, /dev/sdf to /dev/sdp";
            if disks.contains(&ebs::same_device(&device)) {
                problems.error("E0607", r.at("device"), says, way_out).label("a disk of `disks` has this device");
            } else if let Some(first) = taken.insert(ebs::same_device(&device), r.at("device")) {
                problems.error("E0607", r.at("device"), says, way_out).label("second").also(first, "first");
            }
        }
        let unnamed: Vec<_> = mine.iter().filter(|(_, r)| !r.has("device")).collect();
        if let [(first, _), others @ ..] = unnamed.as_slice() {
            for (name, r) in others {
                // Sharing devices out by name would move one group's volumes when another group is added.
                problems.error(
                    "E0607",
                    r.here(),
                    format!("volumes.{first} and volumes.{name} both leave their device at machines.{owner} open"),
                    "add `device = \"/dev/sdg\"` to one of them",
                );
            }
            let free =
                ('f'..='p').map(|c| format!("/dev/sd{c}")).find(|d| !disks.contains(d) && !taken.contains_key(d));
            match (free, all.get_mut(*first)) {
                (Some(free), Some(group)) => group.device = free,
                (None, _) => {
                    problems.error(
                        "E0607",
                        r_here(&unnamed),
                        format!("machines.{owner} has no device left for volumes.{first}"),
                        "EC2 has /dev/sdf to /dev/sdp for data: take a disk away, or name a device",
                    );
                }
                (Some(_), None) => {}
            }
        }
    }
}

fn r_here(unnamed: &[&&(&str, Reader<'_>)]) -> At {
    unnamed.first().map_or(At { file: 0, start: 0, end: 0 }, |(_, r)| r.here())
}
