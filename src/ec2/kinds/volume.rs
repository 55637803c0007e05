//! Volumes: EBS volumes as core's objects, and core's wishes as EC2's requests.
//!
//! Root disks and the disks that die with their machine are parts of it and no objects of their own.

use std::collections::BTreeMap;

use evenkeel_core::address::{Group, Kind};
use evenkeel_core::failure::Failure;
use evenkeel_core::launch::NewVolume;
use evenkeel_core::observed::{Attached, Object, Phase};
use evenkeel_core::stamp::tag;
use evenkeel_core::value::Fields;

use super::alike::Disk;
use super::{Alike, Spec, protected, tags_field, user_tags, wrong};
use crate::api::{AttachState, Attachment, CreateVolume, ModifyVolume, Volume, VolumeState};

/// Where a volume is in its life.
pub(crate) fn phase(state: VolumeState) -> Phase {
    match state {
        VolumeState::Creating => Phase::Starting,
        VolumeState::Available | VolumeState::InUse => Phase::Up,
        VolumeState::Deleting => Phase::Leaving,
        VolumeState::Deleted => Phase::Gone,
        VolumeState::Error => Phase::Failed,
    }
}

/// Whether it came with a machine's launch: its address is a machine group's and it has no launch mark of its own.
pub(crate) fn is_part(v: &Volume) -> bool {
    let group = v.tags.get(tag::ADDRESS).and_then(|a| a.parse::<Group>().ok());
    group.is_some_and(|g| g.kind == Kind::Machines) && !v.tags.contains_key(tag::LAUNCH)
}

/// Where it hangs: the first attachment that still is one, by machine's id.
pub(crate) fn attached(v: &Volume) -> Option<Attached> {
    let hangs = |a: &&Attachment| match a.state {
        AttachState::Attaching | AttachState::Attached | AttachState::Detaching | AttachState::Busy => true,
        AttachState::Detached => false,
    };
    let first = v.attachments.iter().filter(hangs).min_by(|a, b| a.instance.cmp(&b.instance))?;
    let settled = match first.state {
        AttachState::Attached => true,
        AttachState::Attaching | AttachState::Detaching | AttachState::Busy | AttachState::Detached => false,
    };
    Some(Attached { to: first.instance.clone(), device: first.device.clone(), settled })
}

/// All that a volume's fields are made from.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Shown<'a> {
    zone: &'a str,
    disk: Disk<'a>,
    snapshot: Option<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
    protect: bool,
    /// A volume that hangs nowhere has no device; that is no difference to the file.
    device: Option<String>,
}

impl<'a> Shown<'a> {
    fn of(v: &'a Volume, attached: Option<&Attached>) -> Self {
        Self {
            zone: &v.zone,
            disk: Disk::of(v),
            snapshot: v.snapshot.as_deref().filter(|s| !s.is_empty()),
            tags: user_tags(&v.tags),
            protect: protected(&v.tags),
            device: attached.map(|at| at.device.clone()),
        }
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::from([
            ("zone".into(), self.zone.into()),
            ("size".into(), self.disk.size.into()),
            ("type".into(), self.disk.volume_type.into()),
            ("iops".into(), self.disk.iops.into()),
            ("throughput".into(), self.disk.throughput.into()),
            ("encrypted".into(), self.disk.encrypted.into()),
            ("kms-key".into(), self.disk.kms_key.into()),
            ("from-snapshot".into(), self.snapshot.into()),
            ("tags".into(), tags_field(&self.tags)),
            ("protect".into(), self.protect.into()),
        ]);
        if let Some(device) = &self.device {
            fields.insert("device".into(), device.as_str().into());
        }
        fields
    }
}

/// One volume as an object. EC2 does not tell a volume's client token.
pub(crate) fn object<'a>(scope: &str, v: &'a Volume, alike: &mut Alike<'a>) -> Object {
    let attached = attached(v);
    Object {
        scope: scope.to_owned(),
        kind: Kind::Volumes,
        id: v.id.clone(),
        phase: phase(v.state),
        says: String::new(),
        zone: v.zone.clone(),
        created: v.created,
        token: None,
        index: 0,
        reservation: String::new(),
        tags: v.tags.clone(),
        fields: alike.volumes.of(Shown::of(v, attached.as_ref()), Shown::fields),
        signals: alike.signals.share(Vec::new()),
        attached,
        links: BTreeMap::new(),
        facts: Fields::new(),
    }
}

/// The request for a new volume.
///
/// # Errors
/// When a field is of another sort than [`evenkeel_core::schema`] says.
pub(crate) fn create(v: &NewVolume) -> Result<CreateVolume, Failure> {
    let spec = Spec(&v.spec);
    let mut tags = v.volume_tags();
    if spec.truth("protect")?.unwrap_or(false) {
        tags.insert(tag::PROTECT.into(), "true".into());
    }
    Ok(CreateVolume {
        client_token: v.token(),
        zone: v.zone.clone(),
        size: spec.number("size")?,
        volume_type: spec.text("type")?.ok_or_else(|| wrong("a volume without a type"))?,
        iops: spec.number("iops")?,
        throughput: spec.number("throughput")?,
        encrypted: spec.truth("encrypted")?.unwrap_or(false),
        kms_key: spec.text("kms-key")?,
        snapshot: spec.text("from-snapshot")?,
        tags,
    })
}

/// Fields → one `ModifyVolume`, if any, and the protection mark, if it changes.
///
/// # Errors
/// For a field that cannot change in place, or is of another sort.
pub(crate) fn changes(fields: &Fields) -> Result<(Option<ModifyVolume>, Option<bool>), Failure> {
    let spec = Spec(fields);
    let (mut change, mut protect) = (ModifyVolume::default(), None);
    for name in fields.keys() {
        match name.as_str() {
            "size" => change.size = spec.number("size")?,
            "type" => change.volume_type = spec.text("type")?,
            "iops" => change.iops = spec.number("iops")?,
            "throughput" => change.throughput = spec.number("throughput")?,
            "protect" => protect = Some(spec.truth("protect")?.unwrap_or(false)),
            other => return Err(wrong(format!("`{other}` of a volume cannot change in place"))),
        }
    }
    Ok(((change != ModifyVolume::default()).then_some(change), protect))
}

/// Whether the volume is as the change wants it.
pub(crate) fn is_as(v: &Volume, change: &ModifyVolume) -> bool {
    change.size.is_none_or(|s| v.size == s)
        && change.volume_type.as_ref().is_none_or(|t| v.volume_type == *t)
        && change.iops.is_none_or(|n| v.iops == Some(n))
        && change.throughput.is_none_or(|n| v.throughput == Some(n))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::Tags;

    fn volume(state: VolumeState, attachments: Vec<Attachment>) -> Volume {
        Volume {
            id: "vol-1".into(),
            state,
            zone: "a".into(),
            size: 10,
            volume_type: "gp3".into(),
            iops: Some(3000),
            throughput: Some(125),
            encrypted: true,
            kms_key: None,
            snapshot: Some(String::new()),
            created: Timestamp::UNIX_EPOCH,
            attachments,
            tags: Tags::new().into(),
        }
    }

    fn shown(v: &Volume) -> Object {
        object("", v, &mut Alike::default())
    }

    fn at(instance: &str, state: AttachState) -> Attachment {
        Attachment { instance: instance.into(), device: "/dev/sdf".into(), state, delete_on_termination: false }
    }

    #[test]
    fn every_state_is_a_phase() {
        for (state, phase) in [
            (VolumeState::Creating, Phase::Starting),
            (VolumeState::Available, Phase::Up),
            (VolumeState::InUse, Phase::Up),
            (VolumeState::Deleting, Phase::Leaving),
            (VolumeState::Deleted, Phase::Gone),
            (VolumeState::Error, Phase::Failed),
        ] {
            assert_eq!(shown(&volume(state, vec![])).phase, phase);
        }
    }

    #[test]
    fn an_attachment_is_settled_only_when_attached() {
        for (state, settled) in [
            (AttachState::Attaching, Some(false)),
            (AttachState::Attached, Some(true)),
            (AttachState::Detaching, Some(false)),
            (AttachState::Busy, Some(false)),
            (AttachState::Detached, None),
        ] {
            let seen = shown(&volume(VolumeState::InUse, vec![at("i-1", state)]));
            assert_eq!(seen.attached.map(|a| a.settled), settled);
            assert_eq!(seen.fields.contains_key("device"), settled.is_some(), "no device is no difference");
        }
        let both = vec![at("i-2", AttachState::Attached), at("i-1", AttachState::Detached)];
        assert_eq!(attached(&volume(VolumeState::InUse, both)).unwrap().to, "i-2");
    }

    #[test]
    fn a_part_bears_a_machines_address_and_no_launch() {
        for (tags, part) in [
            (vec![(tag::ADDRESS, "machines.web")], true),
            (vec![(tag::ADDRESS, "machines.web"), (tag::LAUNCH, "g1 s0")], false),
            (vec![(tag::ADDRESS, "volumes.data"), (tag::LAUNCH, "g1 s0")], false),
            (vec![(tag::ADDRESS, "volumes.data")], false),
            (vec![(tag::ADDRESS, "not an address")], false),
            (vec![], false),
        ] {
            let mut v = volume(VolumeState::InUse, vec![]);
            v.tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(is_part(&v), part, "{tags:?}");
        }
    }

    #[test]
    fn a_volume_made_of_nothing_has_no_snapshot() {
        let seen = shown(&volume(VolumeState::Available, vec![]));
        assert!(seen.fields["from-snapshot"].is_nothing() && seen.token.is_none());
    }
}
