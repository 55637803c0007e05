//! Machines: EC2 instances as core's objects, launches and changes as EC2's requests.
//!
//! It refuses to guess: a field that no list shows is left out, not filled in.

use std::collections::BTreeMap;

use evenkeel_core::address::Kind;
use evenkeel_core::failure::Failure;
use evenkeel_core::launch::{Launch, Place};
use evenkeel_core::observed::{Object, Phase, Reading, Reporter, Signal, Source};
use evenkeel_core::schema::ROOT;
use evenkeel_core::shared::Shared;
use evenkeel_core::stamp::tag;
use evenkeel_core::value::{Fields, Value};

use super::alike::Disk;
use super::{Alike, Spec, protected, tags_field, user_tags, wrong};
use crate::api::{
    BlockDevice, Check, Instance, InstanceChange, InstanceState, InstanceStatus, Metadata, ModifyVolume, RunInstances,
    Volume,
};
use crate::by_id::ById;

/// Where a machine is in its life.
pub(crate) fn phase(state: InstanceState) -> Phase {
    match state {
        InstanceState::Pending => Phase::Starting,
        InstanceState::Running => Phase::Up,
        InstanceState::Stopping => Phase::Stopping,
        InstanceState::Stopped => Phase::Stopped,
        InstanceState::ShuttingDown => Phase::Leaving,
        InstanceState::Terminated => Phase::Gone,
    }
}

/// What of the checks is known.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Status<'a> {
    /// Its row.
    Row(&'a InstanceStatus),
    /// The rows were read and it has none, or they were not read: in words.
    None(&'a str),
}

/// One instance as an object. `volumes` are those whose details are known, by id.
pub(crate) fn object<'a>(
    scope: &str,
    i: &'a Instance,
    status: Status<'_>,
    volumes: &'a ById<Volume>,
    alike: &mut Alike<'a>,
) -> Object {
    let root = root_device(i);
    let mut links = BTreeMap::new();
    for (device, on) in &i.devices {
        let name = if Some(device.as_str()) == root { ROOT } else { device };
        links.insert(name.to_owned(), on.volume.clone());
    }
    let mut facts = Fields::new();
    for (name, ip) in [("private-ip", &i.private_ip), ("public-ip", &i.public_ip)] {
        if let Some(ip) = ip {
            facts.insert(name.into(), ip.clone().into());
        }
    }
    Object {
        scope: scope.to_owned(),
        kind: Kind::Machines,
        id: i.id.clone(),
        phase: phase(i.state),
        says: i.state_reason.clone(),
        zone: i.zone.clone(),
        created: i.launched,
        token: Some(i.client_token.clone()).filter(|t| !t.is_empty()),
        index: i.launch_index,
        reservation: i.reservation.clone(),
        tags: i.tags.clone(),
        fields: alike.machines.of(Shown::of(i, root, volumes), Shown::fields),
        signals: health(i.state, status, alike),
        attached: None,
        links,
        facts,
    }
}

/// The root device's name in the mapping. An image may say `/dev/sda1` where the mapping says `/dev/xvda` or the other
/// way round (Xen's two names of one disk).
fn root_device(i: &Instance) -> Option<&str> {
    let said = i.root_device.as_deref();
    said.into_iter()
        .chain(["/dev/sda1", "/dev/xvda"])
        .find_map(|name| i.devices.get_key_value(name))
        .map(|(name, _)| name.as_str())
}

/// All that a machine's fields are made from.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Shown<'a> {
    image: &'a str,
    instance_type: &'a str,
    zone: &'a str,
    subnet: &'a str,
    security_groups: &'a [(String, String)],
    key: Option<&'a str>,
    instance_profile: Option<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
    protect: bool,
    metadata: &'a Metadata,
    monitoring: bool,
    spot: bool,
    tenancy: &'a str,
    placement_group: Option<&'a str>,
    root: Option<Disk<'a>>,
    /// Those that came with the launch; `None` where one of them is not known.
    disks: Option<Vec<(&'a str, Disk<'a>)>>,
}

impl<'a> Shown<'a> {
    fn of(i: &'a Instance, root: Option<&str>, volumes: &'a ById<Volume>) -> Self {
        // A volume of its own has been attached later and outlives the machine; a disk came with the launch.
        let disks = i.devices.iter().filter(|(name, on)| Some(name.as_str()) != root && on.delete_on_termination);
        let known = disks.map(|(name, on)| Some((name.as_str(), Disk::of(volumes.get(&on.volume)?))));
        Self {
            image: &i.image,
            instance_type: &i.instance_type,
            zone: &i.zone,
            subnet: &i.subnet,
            security_groups: &i.security_groups,
            key: i.key.as_deref(),
            instance_profile: i.instance_profile.as_deref().map(profile_name),
            tags: user_tags(&i.tags),
            protect: protected(&i.tags),
            metadata: &i.metadata,
            monitoring: i.monitoring,
            spot: i.spot,
            tenancy: &i.tenancy,
            placement_group: i.placement_group.as_deref(),
            root: root.and_then(|r| i.devices.get(r)).and_then(|on| volumes.get(&on.volume)).map(Disk::of),
            disks: known.collect(),
        }
    }

    fn fields(&self) -> Fields {
        let some = |s: &str| if s.is_empty() { Value::Null } else { s.into() };
        let mut fields = Fields::from([
            ("image".into(), self.image.into()),
            ("type".into(), self.instance_type.into()),
            ("zone".into(), self.zone.into()),
            ("subnet".into(), some(self.subnet)),
            ("security-groups".into(), Value::set(self.security_groups.iter().map(|(id, _)| id.clone()))),
            ("key".into(), self.key.into()),
            ("instance-profile".into(), self.instance_profile.into()),
            ("tags".into(), tags_field(&self.tags)),
            ("metadata".into(), metadata(self.metadata)),
            ("monitoring".into(), self.monitoring.into()),
            ("protect".into(), self.protect.into()),
            ("market".into(), if self.spot { "spot" } else { "on-demand" }.into()),
            // `default` is what a file means that says nothing.
            ("tenancy".into(), some(if self.tenancy == "default" { "" } else { self.tenancy })),
            ("placement-group".into(), self.placement_group.into()),
        ]);
        if let Some(disk) = &self.root {
            fields.insert("root-size".into(), disk.size.into());
            fields.insert("root-type".into(), disk.volume_type.into());
            fields.insert("root-iops".into(), disk.iops.into());
            fields.insert("root-throughput".into(), disk.throughput.into());
            fields.insert("root-encrypted".into(), disk.encrypted.into());
            fields.insert("root-kms-key".into(), disk.kms_key.into());
        }
        if let Some(known) = &self.disks {
            let all = known.iter().map(|(name, disk)| ((*name).to_owned(), disk.value()));
            fields.insert("disks".into(), Value::Map(all.collect()));
        }
        fields
    }
}

/// Every volume that hangs there.
pub(crate) fn hanging(i: &Instance) -> impl Iterator<Item = &str> {
    i.devices.values().map(|on| on.volume.as_str())
}

/// Volumes whose details the fields need: the root's and those of the disks.
pub(crate) fn parts(i: &Instance) -> impl Iterator<Item = &str> {
    let root = root_device(i);
    i.devices
        .iter()
        .filter(move |(name, on)| Some(name.as_str()) == root || on.delete_on_termination)
        .map(|(_, on)| on.volume.as_str())
}

/// `arn:aws:iam::1:instance-profile/path/web` → `web`.
fn profile_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn metadata(m: &Metadata) -> Value {
    Value::Map(BTreeMap::from([
        ("tokens-required".into(), m.tokens_required.into()),
        ("hop-limit".into(), Value::Int(m.hop_limit.into())),
        ("enabled".into(), m.enabled.into()),
    ]))
}

/// The signals of a machine; those without an event are made once for all that are alike.
fn health(state: InstanceState, status: Status<'_>, alike: &mut Alike<'_>) -> Shared<Vec<Signal>> {
    match status {
        Status::Row(row) if row.events.is_empty() => {
            alike.checks.of((state, [row.system, row.instance, row.ebs]), |_| signals(state, status))
        }
        Status::Row(_) | Status::None(_) => alike.signals.share(signals(state, status)),
    }
}

fn signals(state: InstanceState, status: Status<'_>) -> Vec<Signal> {
    let signal = |source, reporter, reading, since, hard, says: String| Signal {
        source,
        reporter,
        reading,
        since,
        hard,
        says,
        not_before: None,
    };
    let (reading, hard, word) = match state {
        InstanceState::Pending => (Reading::NoData, false, "pending"),
        InstanceState::Running => (Reading::Ok, false, "running"),
        InstanceState::Stopping => (Reading::Bad, true, "stopping"),
        InstanceState::Stopped => (Reading::Bad, true, "stopped"),
        InstanceState::ShuttingDown => (Reading::Bad, true, "shutting-down"),
        InstanceState::Terminated => (Reading::Bad, true, "terminated"),
    };
    let mut all = vec![signal(Source::State, Reporter::Ec2Control, reading, None, hard, word.to_owned())];
    let checks = [
        (Source::SystemStatus, Reporter::Ec2Host, "system status"),
        (Source::InstanceStatus, Reporter::Ec2Host, "instance status"),
        (Source::EbsStatus, Reporter::Ec2Ebs, "attached EBS status"),
    ];
    let row = match status {
        Status::Row(row) => row,
        Status::None(why) => {
            all.extend(checks.map(|(source, reporter, name)| {
                signal(source, reporter, Reading::NoData, None, false, format!("{name} {why}"))
            }));
            return all;
        }
    };
    for ((source, reporter, name), (check, since)) in checks.into_iter().zip([row.system, row.instance, row.ebs]) {
        let (reading, word) = match check {
            Check::Ok => (Reading::Ok, "ok"),
            Check::Impaired => (Reading::Bad, "impaired"),
            Check::Initializing => (Reading::NoData, "initializing"),
            Check::InsufficientData => (Reading::NoData, "insufficient data"),
            Check::NotApplicable => (Reading::NoData, "not applicable"),
        };
        all.push(signal(source, reporter, reading, since, false, format!("{name} {word}")));
    }
    let over = |d: &str| d.starts_with("[Completed]") || d.starts_with("[Canceled]");
    for event in row.events.iter().filter(|e| !over(e.description.trim_start())) {
        all.push(Signal {
            source: Source::ScheduledEvent,
            reporter: Reporter::Ec2Control,
            reading: Reading::Bad,
            since: None,
            hard: false,
            says: event.code.clone(),
            not_before: event.not_before,
        });
    }
    all
}

/// The request for one batch at one place with one type.
///
/// # Errors
/// When a field is of another sort than [`evenkeel_core::schema`] says: a plan that core did not make.
pub(crate) fn run(
    l: &Launch,
    place: &Place,
    instance_type: &str,
    user_data: Option<Vec<u8>>,
) -> Result<RunInstances, Failure> {
    let spec = Spec(&l.spec);
    let protect = spec.truth("protect")?.unwrap_or(false);
    let mut tags = l.instance_tags();
    if protect {
        tags.insert(tag::PROTECT.into(), "true".into());
    }
    let metadata = match spec.table("metadata")? {
        Some(m) => read_metadata(m)?,
        None => Metadata::default(),
    };
    Ok(RunInstances {
        client_token: l.token(place, instance_type),
        count: l.tag.slots.len(),
        image: spec.text("image")?.ok_or_else(|| wrong("a launch without an image"))?,
        instance_type: instance_type.to_owned(),
        // A subnet is in one zone, and EC2 takes one or the other.
        zone: place.subnet.is_none().then(|| place.zone.clone()),
        subnet: place.subnet.clone(),
        security_groups: spec.texts("security-groups")?,
        key: spec.text("key")?,
        instance_profile: spec.text("instance-profile")?,
        user_data,
        disks: disks(l, &spec)?,
        public_ip: spec.truth("public-ip")?,
        metadata,
        monitoring: spec.truth("monitoring")?.unwrap_or(false),
        protect,
        spot: spec.text("market")?.as_deref() == Some("spot"),
        tenancy: spec.text("tenancy")?.filter(|t| t != "default"),
        placement_group: spec.text("placement-group")?,
        tags,
        volume_tags: l.disk_tags(),
    })
}

fn disks(l: &Launch, spec: &Spec<'_>) -> Result<Vec<BlockDevice>, Failure> {
    let root = BlockDevice {
        device: String::new(),
        size: spec.number("root-size")?,
        volume_type: spec.text("root-type")?,
        iops: spec.number("root-iops")?,
        throughput: spec.number("root-throughput")?,
        encrypted: spec.truth("root-encrypted")?,
        kms_key: spec.text("root-kms-key")?,
    };
    let mut all = Vec::new();
    if root != BlockDevice::default() {
        let device = l.root_device.clone().ok_or_else(|| wrong("the image does not tell its root device"))?;
        all.push(BlockDevice { device, ..root });
    }
    for (device, disk) in spec.table("disks")?.into_iter().flatten() {
        let Value::Map(disk) = disk else { return Err(wrong(format!("disk `{device}` should be a table"))) };
        let disk = Spec(disk);
        all.push(BlockDevice {
            device: device.clone(),
            size: disk.number("size")?,
            volume_type: disk.text("type")?,
            iops: disk.number("iops")?,
            throughput: disk.number("throughput")?,
            encrypted: disk.truth("encrypted")?,
            kms_key: disk.text("kms-key")?,
        });
    }
    Ok(all)
}

fn read_metadata(m: &Fields) -> Result<Metadata, Failure> {
    let (m, usual) = (Spec(m), Metadata::default());
    let hops = m.number("hop-limit")?;
    Ok(Metadata {
        tokens_required: m.truth("tokens-required")?.unwrap_or(usual.tokens_required),
        hop_limit: hops.map_or(Ok(usual.hop_limit), i32::try_from).map_err(|_| wrong("`hop-limit` is too large"))?,
        enabled: m.truth("enabled")?.unwrap_or(usual.enabled),
    })
}

/// The wire calls of one change in place, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// One call each.
    pub(crate) instance: Vec<InstanceChange>,
    /// The profile from now on, if that changes.
    pub(crate) profile: Option<Option<String>>,
    /// The root volume and the disks, and their changes: one call each.
    pub(crate) volumes: Vec<(String, ModifyVolume)>,
    /// The protection mark.
    pub(crate) protect: Option<bool>,
}

/// Fields → wire calls.
///
/// # Errors
/// For a field that cannot change in place, or is of another sort.
pub(crate) fn changes(fields: &Fields, links: &BTreeMap<String, String>) -> Result<Changes, Failure> {
    let spec = Spec(fields);
    let mut out = Changes::default();
    let mut root = ModifyVolume::default();
    for name in fields.keys() {
        match name.as_str() {
            "type" => {
                let wanted = spec.text("type")?.ok_or_else(|| wrong("a machine without a type"))?;
                out.instance.push(InstanceChange::Type(wanted));
            }
            "security-groups" => out.instance.push(InstanceChange::SecurityGroups(spec.texts("security-groups")?)),
            "instance-profile" => out.profile = Some(spec.text("instance-profile")?),
            "metadata" => {
                let wanted = spec.table("metadata")?.map_or(Ok(Metadata::default()), read_metadata)?;
                out.instance.push(InstanceChange::Metadata(wanted));
            }
            "monitoring" => {
                out.instance.push(InstanceChange::Monitoring(spec.truth("monitoring")?.unwrap_or(false)));
            }
            "protect" => {
                let wanted = spec.truth("protect")?.unwrap_or(false);
                out.instance.push(InstanceChange::Protect(wanted));
                out.protect = Some(wanted);
            }
            "root-size" => root.size = spec.number("root-size")?,
            "root-type" => root.volume_type = spec.text("root-type")?,
            "root-iops" => root.iops = spec.number("root-iops")?,
            "root-throughput" => root.throughput = spec.number("root-throughput")?,
            "disks" => {
                for (device, disk) in spec.table("disks")?.into_iter().flatten() {
                    let id = links.get(device).ok_or_else(|| wrong(format!("the volume at {device} is not known")))?;
                    out.volumes.push((id.clone(), modified(device, disk)?));
                }
            }
            other => return Err(wrong(format!("`{other}` of a machine cannot change in place"))),
        }
    }
    if root != ModifyVolume::default() {
        let id = links.get(ROOT).ok_or_else(|| wrong("the root volume's id is not known"))?;
        out.volumes.push((id.clone(), root));
    }
    Ok(out)
}

/// The change of a disk.
fn modified(device: &str, disk: &Value) -> Result<ModifyVolume, Failure> {
    let Value::Map(disk) = disk else { return Err(wrong(format!("disk `{device}` should be a table"))) };
    if let Some(other) = disk.keys().find(|k| !matches!(k.as_str(), "size" | "type" | "iops" | "throughput")) {
        return Err(wrong(format!("`{other}` of the disk at {device} cannot change in place")));
    }
    let disk = Spec(disk);
    Ok(ModifyVolume {
        size: disk.number("size")?,
        volume_type: disk.text("type")?,
        iops: disk.number("iops")?,
        throughput: disk.number("throughput")?,
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::{DeviceMapping, ScheduledEvent, Tags};

    fn instance(state: InstanceState) -> Instance {
        Instance {
            id: "i-1".into(),
            reservation: "r-1".into(),
            launch_index: 0,
            client_token: String::new(),
            state,
            state_reason: String::new(),
            image: "ami-1".into(),
            instance_type: "t3.small".into(),
            zone: "a".into(),
            subnet: String::new(),
            vpc: String::new(),
            security_groups: vec![("sg-2".into(), "b".into()), ("sg-1".into(), "a".into())],
            key: None,
            instance_profile: Some("arn:aws:iam::123456789012:instance-profile/team/web".into()),
            launched: Timestamp::UNIX_EPOCH,
            root_device: Some("/dev/xvda".into()),
            devices: BTreeMap::new(),
            public_ip: Some("192.0.2.1".into()),
            private_ip: None,
            monitoring: false,
            metadata: Metadata { tokens_required: false, hop_limit: 2, enabled: true },
            spot: true,
            tenancy: "default".into(),
            placement_group: None,
            tags: Tags::from([
                ("aws:autoscaling:groupName".into(), "x".into()),
                ("evenkeel:stack".into(), "s".into()),
                ("Name".into(), "n".into()),
            ])
            .into(),
        }
    }

    fn shown(i: &Instance) -> Object {
        let none = ById::default();
        object("", i, Status::None("not listed"), &none, &mut Alike::default())
    }

    #[test]
    fn every_state_is_a_phase_and_a_signal() {
        for (state, phase, reading, hard) in [
            (InstanceState::Pending, Phase::Starting, Reading::NoData, false),
            (InstanceState::Running, Phase::Up, Reading::Ok, false),
            (InstanceState::Stopping, Phase::Stopping, Reading::Bad, true),
            (InstanceState::Stopped, Phase::Stopped, Reading::Bad, true),
            (InstanceState::ShuttingDown, Phase::Leaving, Reading::Bad, true),
            (InstanceState::Terminated, Phase::Gone, Reading::Bad, true),
        ] {
            let seen = shown(&instance(state));
            let signal = &seen.signals[0];
            assert_eq!((seen.phase, signal.source, signal.reading, signal.hard), (phase, Source::State, reading, hard));
            assert_eq!(signal.reporter, Reporter::Ec2Control);
        }
    }

    #[test]
    fn every_check_is_a_reading_with_its_reporter() {
        let when = Some(Timestamp::UNIX_EPOCH);
        for (check, reading) in [
            (Check::Ok, Reading::Ok),
            (Check::Impaired, Reading::Bad),
            (Check::Initializing, Reading::NoData),
            (Check::InsufficientData, Reading::NoData),
            (Check::NotApplicable, Reading::NoData),
        ] {
            let row = InstanceStatus {
                id: "i-1".into(),
                system: (check, when),
                instance: (Check::Ok, None),
                ebs: (check, None),
                events: vec![],
            };
            let (i, none) = (instance(InstanceState::Running), ById::default());
            let seen = object("", &i, Status::Row(&row), &none, &mut Alike::default());
            let all: Vec<_> = seen.signals.iter().map(|s| (s.source, s.reporter, s.reading, s.since)).collect();
            assert_eq!(
                all[1..],
                [
                    (Source::SystemStatus, Reporter::Ec2Host, reading, when),
                    (Source::InstanceStatus, Reporter::Ec2Host, Reading::Ok, None),
                    (Source::EbsStatus, Reporter::Ec2Ebs, reading, None),
                ]
            );
            assert!(seen.signals.iter().all(|s| !s.hard));
        }
    }

    #[test]
    fn an_event_that_is_over_is_none() {
        let event = |d: &str| ScheduledEvent { code: "system-reboot".into(), description: d.into(), not_before: None };
        let row = InstanceStatus {
            id: "i-1".into(),
            system: (Check::Ok, None),
            instance: (Check::Ok, None),
            ebs: (Check::Ok, None),
            events: vec![event("[Completed] x"), event("[Canceled] x"), event(" [Completed] x"), event("soon")],
        };
        let (i, none) = (instance(InstanceState::Running), ById::default());
        let seen = object("", &i, Status::Row(&row), &none, &mut Alike::default());
        assert_eq!(seen.signals.iter().filter(|s| s.source == Source::ScheduledEvent).count(), 1);
    }

    #[test]
    fn fields_are_written_as_the_file_writes_them() {
        let seen = shown(&instance(InstanceState::Running));
        for (name, value) in [
            ("security-groups", Value::List(vec!["sg-1".into(), "sg-2".into()])),
            ("instance-profile", "web".into()),
            ("market", "spot".into()),
            ("tenancy", Value::Null),
            ("subnet", Value::Null),
            ("tags", Value::Map([("Name".to_owned(), "n".into())].into())),
        ] {
            assert_eq!(seen.fields[name], value, "{name}");
        }
        assert_eq!(seen.fields["metadata"].to_string(), "{enabled: true, hop-limit: 2, tokens-required: false}");
        assert_eq!(seen.token, None, "a server that does not tell the token is no witness");
        assert_eq!(seen.facts.keys().map(String::as_str).collect::<Vec<_>>(), ["public-ip"]);
        assert!(!seen.fields.contains_key("root-size"));
    }

    #[test]
    fn a_root_disk_under_its_other_name_is_no_data_disk() {
        for (said, mapped) in [("/dev/xvda", "/dev/sda1"), ("/dev/sda1", "/dev/xvda"), ("/dev/sda1", "/dev/sda1")] {
            let mut i = instance(InstanceState::Running);
            i.root_device = Some(said.into());
            let on = DeviceMapping { volume: "vol-1".into(), delete_on_termination: true };
            i.devices = BTreeMap::from([(mapped.to_owned(), on)]);
            let seen = shown(&i);
            assert_eq!(seen.links["root"], "vol-1", "{said} {mapped}");
            assert_eq!(seen.fields["disks"], Value::Map(BTreeMap::new()));
        }
    }

    #[test]
    fn a_disk_whose_details_are_not_known_leaves_the_field_unobserved() {
        let mut i = instance(InstanceState::Running);
        let on = |volume: &str| DeviceMapping { volume: volume.into(), delete_on_termination: true };
        i.devices = BTreeMap::from([("/dev/xvda".to_owned(), on("vol-1")), ("/dev/sdf".to_owned(), on("vol-2"))]);
        let seen = shown(&i);
        assert!(!seen.fields.contains_key("disks") && !seen.fields.contains_key("root-size"));
        assert_eq!(parts(&i).collect::<Vec<_>>(), ["vol-2", "vol-1"]);
    }
}
