//! `[machines.<name>]`: groups of EC2 instances.

use std::collections::{BTreeMap, BTreeSet};

use super::aws;
use super::conform::shown;
use super::ebs;
use super::format::Format;
use super::keys::{Block, Others, Shape, key};
use super::nodes;
use super::problems::Problems;
use super::reader::Reader;
use super::spread;
use super::stack;
use super::tree::At;
use super::userdata;
use super::vars::Vars;
use crate::desired::{Cluster, Disk, Follow, Image, MachineGroup, Metadata, Scope, Stack, WaitFor};

/// `[machines]`.
pub static GROUPS: Block = Block {
    title: "[machines]",
    about: "Redundant compute. Each table below is a group of machines that are alike.",
    keys: &[],
    others: Some(Others {
        name: "<name>",
        format: Format::Name,
        shape: Shape::Table(&MACHINES),
        about: "A group of machines.",
    }),
    later: &[],
};

/// `[machines.<name>]`.
pub static MACHINES: Block = Block {
    title: "[machines.<name>]",
    about: "A group of `count` EC2 instances that are alike, in slots 0 to `count` - 1, spread evenly over zones.",
    keys: &[
        key("count", Shape::Int(0, 10_000), "How many.").default("1").example("6").aka(&["replicas", "instances"]),
        key("image", Shape::Either(&[Shape::Text(Format::Image), Shape::Table(&IMAGE)]), "What they boot: an id, or a lookup.")
            .required()
            .example("{ owner = \"amazon\", name = \"al2023-ami-2023.*-x86_64\" }")
            .aka(&["ami", "image_id"]),
        key(
            "type",
            Shape::Either(&[Shape::Text(Format::InstanceType), Shape::Set(&Shape::Text(Format::InstanceType), 1)]),
            "The instance type, or several in order of preference: the next is tried where EC2 has no room for the first.",
        )
        .required()
        .example("[\"t3.small\", \"t3a.small\"]")
        .aka(&["instance_type", "types"]),
        key("zones", Shape::Set(&Shape::Text(Format::Zone), 1), "Zones to spread over.")
            .default("every zone of the region")
            .example("[\"us-east-1a\", \"us-east-1b\"]")
            .aka(&["availability_zones", "zone", "availability_zone"]),
        key(
            "subnets",
            Shape::Either(&[Shape::Set(&Shape::Text(Format::Subnet), 1), Shape::Table(&SUBNETS)]),
            "Subnets to spread over, instead of `zones`: ids, or those that carry a tag. A machine in another one is replaced; with a tag, only where `follow` says so.",
        )
        .default("the default subnet of each zone")
        .example("{ tag = \"tier\", value = \"app\" }")
        .aka(&["subnet_ids", "subnet", "subnet_id"]),
        key("skew", Shape::Int(1, 1_000), "Allowed difference between the fullest and the emptiest zone.")
            .default("`policy.balance.skew`")
            .example("2"),
        key("caps", Shape::Table(&CAPS), "At most so many in a zone.").default("none").example("{ us-east-1a = 4 }"),
        key("security-groups", Shape::Set(&Shape::Text(Format::Any), 0), "Names or ids of security groups.")
            .default("the VPC's default group")
            .example("[\"web\", \"sg-0abcdef1234567890\"]")
            .aka(&["vpc_security_group_ids", "security_group"]),
        key("key", Shape::Text(Format::Any), "The key pair for ssh.").default("none").example("\"ops\"").aka(&["key_name"]),
        key("instance-profile", Shape::Text(Format::Any), "The instance profile's name.")
            .default("none")
            .example("\"web\"")
            .aka(&["iam_instance_profile"]),
        key(
            "user-data",
            Shape::Either(&[Shape::Text(Format::File), Shape::Table(&userdata::USER_DATA)]),
            "The boot script: a file beside the declaration, or a table.",
        )
        .default("none")
        .example("{ text = \"#!/bin/sh\\necho {{ slot }}\\n\" }")
        .unit("at most 16 KiB, rendered"),
        key("root", Shape::Table(&ebs::ROOT), "The disk they boot from.")
            .default("as the image has it")
            .example("{ size = \"30GiB\", type = \"gp3\" }")
            .aka(&["root_block_device"]),
        key("disks", Shape::List(&Shape::Table(&ebs::DISK), 0), "Data disks that die with the machine.")
            .default("none")
            .example("[{ device = \"/dev/sdf\", size = \"20GiB\" }]")
            .aka(&["ebs_block_device"]),
        key("tags", Shape::Table(&stack::TAGS), "Tags, over those of [stack].").default("none").example("{ tier = \"web\" }"),
        key("public-ip", Shape::Bool, "Whether they ask for a public address.")
            .default("as the subnet says")
            .example("true")
            .aka(&["associate_public_ip_address"]),
        key("metadata", Shape::Table(&METADATA), "The metadata service.")
            .default("tokens required, one hop")
            .example("{ hop-limit = 2 }")
            .aka(&["metadata_options"]),
        key("monitoring", Shape::Bool, "Detailed monitoring, a reading a minute.").default("false").example("true"),
        key("protect", Shape::Bool, "Termination protection. It stands on the machine itself, so it outlives its line here.")
            .default("false")
            .example("true")
            .aka(&["disable_api_termination"]),
        key("market", Shape::Word(&["on-demand", "spot"]), "How they are paid for.").default("\"on-demand\"").example("\"spot\""),
        key("tenancy", Shape::Word(&["default", "dedicated", "host"]), "Whose hardware they run on.")
            .default("\"default\"")
            .example("\"dedicated\""),
        key("placement-group", Shape::Text(Format::Any), "A placement group, by name.").default("none").example("\"near\""),
        key(
            "nodes",
            Shape::Either(&[Shape::Text(Format::Name), Shape::Table(&nodes::NODES)]),
            "The machines are nodes of a cluster: `kubernetes`, or the alias of a [kubernetes.<alias>]; or a table.",
        )
        .default("none")
        .example("\"kubernetes\""),
        key(
            "wait",
            Shape::Word(&["running", "healthy", "ready"]),
            "When a new machine counts as there: EC2 says running, both status checks pass, or its node is ready too.",
        )
        .default("\"healthy\", with `nodes` \"ready\"")
        .example("\"running\""),
        key(
            "follow",
            Shape::Word(&["never", "always"]),
            "What to do when an image lookup gives a newer answer: say `outdated`, or replace the machines one by one.",
        )
        .default("\"never\"")
        .example("\"always\""),
        key("renamed-from", Shape::Text(Format::OldName), "The group's old name: it is renamed, nothing is replaced.")
            .default("none")
            .example("\"old-name\""),
        key("aws", Shape::Text(Format::Name), "The alias of the [aws.<alias>] they live in.").default("[aws]").example("\"west\"").aka(&["provider", "scope"]),
    ],
    others: None,
    later: &[],
};

/// `image` as a table.
pub static IMAGE: Block = Block {
    title: "image",
    about: "An image by lookup, asked at launch: an SSM parameter, or the newest of an owner's images by name.",
    keys: &[
        key("ssm", Shape::Text(Format::Parameter), "An SSM parameter that holds an image's id.")
            .example("\"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64\""),
        key("owner", Shape::Text(Format::Owner), "Whose images.").example("\"amazon\"").aka(&["owners"]),
        key("name", Shape::Text(Format::Any), "The image's name; `*` and `?` are wildcards.")
            .example("\"al2023-ami-2023.*-x86_64\""),
    ],
    others: None,
    later: &[],
};

/// `subnets` as a table.
pub static SUBNETS: Block = Block {
    title: "subnets",
    about: "The subnets that carry a tag.",
    keys: &[
        key("tag", Shape::Text(Format::TagKey), "The tag's key.").required().example("\"tier\""),
        key("value", Shape::Text(Format::TagValue), "The tag's value.").default("any").example("\"app\""),
    ],
    others: None,
    later: &[],
};

/// `caps`.
pub static CAPS: Block = Block {
    title: "caps",
    about: "Zone and the most machines in it.",
    keys: &[],
    others: Some(Others {
        name: "<zone>",
        format: Format::Zone,
        shape: Shape::Int(0, 10_000),
        about: "At most so many in this zone.",
    }),
    later: &[],
};

/// `metadata`.
pub static METADATA: Block = Block {
    title: "metadata",
    about: "The instance metadata service.",
    keys: &[
        key("tokens", Shape::Word(&["required", "optional"]), "Whether only IMDSv2 answers.")
            .default("\"required\"")
            .example("\"optional\"")
            .aka(&["http_tokens"]),
        key("hop-limit", Shape::Int(1, 64), "How many hops an answer may travel; containers need 2.")
            .default("1")
            .example("2")
            .unit("1 to 64")
            .aka(&["http_put_response_hop_limit"]),
        key("enabled", Shape::Bool, "Whether it answers at all.")
            .default("true")
            .example("false")
            .aka(&["http_endpoint"]),
    ],
    others: None,
    later: &[],
};

/// What reading a group needs beside its table.
pub struct Context<'c> {
    /// `[stack]`.
    pub stack: &'c Stack,
    /// `[aws]`.
    pub scopes: &'c BTreeMap<String, Scope>,
    /// Files that user data may name.
    pub files: &'c BTreeMap<String, Vec<u8>>,
    /// What templates have at hand.
    pub templates: &'c serde_json::Value,
    /// The variables, those without a value too.
    pub vars: &'c Vars,
    /// `[kubernetes]`, by scope.
    pub clusters: &'c BTreeMap<String, Cluster>,
    /// `policy.balance.skew`.
    pub skew: u32,
}

/// Reads one group.
pub fn read(name: &str, r: &Reader<'_>, c: &Context<'_>, problems: &mut Problems<'_>) -> MachineGroup {
    let path = format!("machines.{name}");
    let scope = aws::alias(r, c.scopes, problems);
    let region = c.scopes.get(&scope).and_then(|s| s.region.clone());
    let count = r.int("count").unwrap_or(1);
    let image = image(r, &path, problems);
    let follow = if r.text("follow").as_deref() == Some("always") { Follow::Always } else { Follow::Never };
    if let (Image::Id(_), Follow::Always) = (&image, follow) {
        problems.warn(
            "W0502",
            r.at("follow"),
            format!("`{path}` follows an image that never moves: `image` is an id"),
            "name the image by `ssm` or by `owner` and `name`, or take `follow` away",
        );
    }
    let spread = spread::read(r, &path, region.as_deref(), problems);
    let (skew, caps) = (r.int("skew").unwrap_or(c.skew), caps(r));
    spread::check(r, &path, count, &spread, &caps, skew, region.as_deref(), problems);
    let own = stack::tags(r, "tags", problems);
    let joining = nodes::read(r, &path, c.clusters, problems);
    let mut tags = stack::merged(&c.stack.tags, own, r.at("tags"), &path, problems);
    if let Some(name) = joining.as_ref().and_then(|j| j.nodes.tag.as_ref()) {
        tags.entry(format!("kubernetes.io/cluster/{name}")).or_insert_with(|| "owned".to_owned());
    }
    let disks = disks(r, &path, problems);
    let root = root(r, &path, problems);
    let spot = r.text("market").as_deref() == Some("spot");
    let protect = r.bool("protect").unwrap_or(false);
    if spot && protect {
        problems.warn(
            "W0501",
            r.at("protect"),
            format!("`{path}` is spot and protected: EC2 takes spot machines back all the same"),
            "take `protect` away, or use `market = \"on-demand\"`",
        );
    }
    let mut vars = c.templates.clone();
    vars["group"] = name.into();
    vars["count"] = count.into();
    for (name, value) in joining.iter().flat_map(|j| j.vars.clone()) {
        vars[name] = value;
    }
    let ready = joining.as_ref().and_then(|j| j.user_data(&vars));
    let user_data = r.node("user-data").and_then(|node| {
        let data = userdata::read(node, &format!("{path}.user-data"), vars, c.files, problems)?;
        let zones = spread::examples(&spread, region.as_deref());
        userdata::check(node, &format!("{path}.user-data"), &data, count, &zones, c.vars, problems);
        Some(data)
    });
    let nodes = joining.map(|j| j.nodes);
    let wait = match (r.text("wait").as_deref(), &nodes) {
        (Some("running"), _) => WaitFor::Running,
        (Some("ready"), None) => {
            let says = format!("`{path}` waits for nodes and is none");
            problems.error("E0508", r.at("wait"), says, "add `nodes = \"kubernetes\"`, or wait for \"healthy\"");
            WaitFor::Healthy
        }
        (Some("ready"), Some(_)) | (None, Some(_)) => WaitFor::Ready,
        (Some(_), _) | (None, None) => WaitFor::Healthy,
    };
    MachineGroup {
        scope,
        count,
        image,
        types: r.texts("type"),
        spread,
        security_groups: r.texts("security-groups"),
        key: r.text("key"),
        instance_profile: r.text("instance-profile"),
        user_data: user_data.or(ready),
        root,
        disks,
        tags,
        public_ip: r.bool("public-ip"),
        metadata: metadata(r),
        monitoring: r.bool("monitoring").unwrap_or(false),
        protect,
        spot,
        tenancy: r.text("tenancy").filter(|t| t != "default"),
        placement_group: r.text("placement-group"),
        wait,
        follow,
        skew,
        caps,
        nodes,
    }
}

fn image(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Image {
    if let Some(id) = r.text("image") {
        return Image::Id(id);
    }
    let Some(t) = r.table("image") else { return Image::Id(String::new()) };
    match (t.text("ssm"), t.text("owner"), t.text("name")) {
        (Some(ssm), None, None) => Image::Ssm(ssm),
        (None, Some(owner), Some(name)) => Image::Newest { owner, name },
        (ssm, owner, name) => {
            // A key of the wrong type has been complained about already.
            if ssm.is_some() == t.has("ssm") && owner.is_some() == t.has("owner") && name.is_some() == t.has("name") {
                problems.error(
                    "E0501",
                    t.here(),
                    format!("`{path}.image` names no image"),
                    "write { ssm = \"…\" }, or { owner = \"amazon\", name = \"…\" }, or an id \"ami-…\"",
                );
            }
            Image::Id(String::new())
        }
    }
}

fn caps(r: &Reader<'_>) -> BTreeMap<String, u32> {
    let entries = r.table("caps").map(|t| t.others().collect::<Vec<_>>()).unwrap_or_default();
    let number = |node: &super::tree::Node| match node.val {
        super::tree::Val::Int(n) => u32::try_from(n).ok(),
        _ => None,
    };
    entries.into_iter().filter_map(|(zone, node)| Some((zone.to_owned(), number(node)?))).collect()
}

fn metadata(r: &Reader<'_>) -> Metadata {
    let mut m = Metadata::default();
    if let Some(t) = r.table("metadata") {
        m.tokens_required = t.text("tokens").as_deref() != Some("optional");
        m.hop_limit = t.int("hop-limit").unwrap_or(m.hop_limit);
        m.enabled = t.bool("enabled").unwrap_or(m.enabled);
    }
    m
}

fn root(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Disk {
    let Some(t) = r.table("root") else { return Disk::default() };
    let disk = ebs::read(&t);
    ebs::check(&t, &format!("{path}.root"), &disk, true, problems);
    disk
}

fn disks(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> BTreeMap<String, Disk> {
    let mut all = BTreeMap::new();
    let mut seen: BTreeMap<String, At> = BTreeMap::new();
    for (i, t) in r.tables("disks").iter().enumerate() {
        let mut disk = ebs::read(t);
        disk.volume_type.get_or_insert_with(|| "gp3".to_owned());
        ebs::check(t, &format!("{path}.disks[{i}]"), &disk, false, problems);
        let Some(device) = t.text("device") else { continue };
        if let Some(first) = seen.insert(ebs::same_device(&device), t.at("device")) {
            problems
                .error(
                    "E0505",
                    t.at("device"),
                    format!("two disks of `{path}` are {}", shown(&device)),
                    "give each disk a device of its own, /dev/sdf to /dev/sdp",
                )
                .label("second")
                .also(first, "first");
        }
        all.insert(device, disk);
    }
    all
}

/// Devices of a group's disks, each by its common name.
pub fn devices(group: &MachineGroup) -> BTreeSet<String> {
    group.disks.keys().map(|d| ebs::same_device(d)).collect()
}
