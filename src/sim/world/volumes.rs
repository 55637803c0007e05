//! Volumes: their shapes, their one holder, and the calls that make, grow, hang, unhang and delete them.
//!
//! A volume says where it hangs; an instance does not say what hangs on it. One truth cannot contradict itself.

use std::collections::BTreeMap;

use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::{
    AttachState, Attachment, CreateVolume, DeviceMapping, InstanceState, ModifyVolume, Tags, Volume, VolumeState,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::launch::is_device;
use super::tags::check_tags;
use super::{World, tokens};
use crate::action::Action;
use crate::clock::later;
use crate::laws;
use crate::refusal::{bad_value, busy, invalid, no_volume, not_found, quota};

/// Hours between two modifications: <https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html>
const COOL_DOWN: i64 = 6;

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Disk {
    /// `creating`, `available` or `deleting`; one that hangs somewhere is shown `in-use`.
    #[serde(default = "available", skip_serializing_if = "is_available")]
    pub state: VolumeState,
    /// When that state ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// `us-east-1a`.
    pub zone: String,
    /// GiB.
    pub size: u32,
    /// `gp3`.
    #[serde(rename = "type")]
    pub volume_type: String,
    /// Provisioned IOPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// MiB/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// Encrypted at rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
    /// KMS key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// `snap-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// It was attached once, or made from a snapshot: it holds data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub used: bool,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it can be found.
    pub visible: Timestamp,
    /// When it was last modified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// Where it hangs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// All tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
}

/// A volume's one attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hold {
    /// `i-…`.
    pub instance: String,
    /// `/dev/sdf`.
    pub device: String,
    /// `attaching`, `attached`, `detaching`.
    #[serde(default = "attached", skip_serializing_if = "is_attached")]
    pub state: AttachState,
    /// When that state ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Dies with the instance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_on_termination: bool,
    /// When it was hung there; absent: when the volume was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

fn available() -> VolumeState {
    VolumeState::Available
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
fn is_available(state: &VolumeState) -> bool {
    *state == VolumeState::Available
}

fn attached() -> AttachState {
    AttachState::Attached
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
fn is_attached(state: &AttachState) -> bool {
    *state == AttachState::Attached
}

impl Hold {
    pub(super) fn attached(instance: &str, device: &str, delete_on_termination: bool) -> Self {
        Self {
            instance: instance.to_owned(),
            device: device.to_owned(),
            state: AttachState::Attached,
            until: None,
            delete_on_termination,
            since: None,
        }
    }
}

impl Disk {
    /// A volume as it comes into the world: free, and there at once.
    pub(super) fn born(shape: &Shape, zone: &str, now: Timestamp, visible: Timestamp, tags: Tags) -> Self {
        Self {
            state: VolumeState::Available,
            until: None,
            zone: zone.to_owned(),
            size: shape.size,
            volume_type: shape.volume_type.clone(),
            iops: shape.iops,
            throughput: shape.throughput,
            encrypted: shape.encrypted,
            kms_key: shape.kms_key.clone(),
            snapshot: None,
            used: false,
            created: now,
            visible,
            modified: None,
            hold: None,
            tags,
        }
    }

    pub(super) fn held(mut self, hold: Hold) -> Self {
        self.hold = Some(hold);
        self.used = true;
        self
    }

    /// Whether it hangs on this instance.
    pub(crate) fn held_by(&self, instance: &str) -> bool {
        self.hold.as_ref().is_some_and(|h| h.instance == instance)
    }

    pub(super) fn release(&mut self) {
        self.hold = None;
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        if self.state == VolumeState::Creating && self.until.is_some_and(|at| at <= now) {
            self.state = VolumeState::Available;
            self.until = None;
        }
        if let Some(hold) = self.hold.as_mut().filter(|h| h.until.is_some_and(|at| at <= now)) {
            hold.until = None;
            match hold.state {
                AttachState::Attaching | AttachState::Attached | AttachState::Busy => {
                    hold.state = AttachState::Attached;
                }
                AttachState::Detaching | AttachState::Detached => self.hold = None,
            }
        }
    }

    /// Its state as EC2 shows it.
    pub(crate) fn shown_state(&self) -> VolumeState {
        match (&self.hold, self.state) {
            (Some(_), _) => VolumeState::InUse,
            (None, VolumeState::InUse) => VolumeState::Available,
            (None, state) => state,
        }
    }

    /// The volume as `DescribeVolumes` shows it.
    pub(crate) fn show(&self, id: &str) -> Volume {
        let attachment = |h: &Hold| Attachment {
            instance: h.instance.clone(),
            device: h.device.clone(),
            state: h.state,
            delete_on_termination: h.delete_on_termination,
        };
        Volume {
            id: id.to_owned(),
            state: self.shown_state(),
            zone: self.zone.clone(),
            size: self.size,
            volume_type: self.volume_type.clone(),
            iops: self.iops,
            throughput: self.throughput,
            encrypted: self.encrypted,
            kms_key: self.kms_key.clone(),
            snapshot: self.snapshot.clone(),
            created: self.created,
            attachments: self.hold.iter().map(attachment).collect(),
            tags: self.tags.clone().into(),
        }
    }
}

/// What a volume can be asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) size: u32,
    pub(super) volume_type: String,
    pub(super) iops: Option<u32>,
    pub(super) throughput: Option<u32>,
    pub(super) encrypted: bool,
    pub(super) kms_key: Option<String>,
}

impl Shape {
    /// Within EBS's bounds, and with its defaults filled in:
    /// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>
    pub(super) fn checked(mut self) -> Result<Self, Failure> {
        // GiB, IOPS, MiB/s; `None`: may not be asked for.
        let (sizes, iops, throughput) = match self.volume_type.as_str() {
            "gp3" => (1..=65_536, Some(3_000..=80_000), Some(125..=2_000)),
            "gp2" => (1..=16_384, None, None),
            "io1" => (4..=16_384, Some(100..=64_000), None),
            "io2" => (4..=65_536, Some(100..=256_000), None),
            "st1" | "sc1" => (125..=16_384, None, None),
            "standard" => (1..=1_024, None, None),
            other => {
                return invalid("UnknownVolumeType", format!("Unsupported volume type '{other}' for volume creation."));
            }
        };
        let kind = &self.volume_type;
        let asked = [
            ("size", Some(self.size), Some(sizes)),
            ("iops", self.iops, iops),
            ("throughput", self.throughput, throughput),
        ];
        for (name, asked, range) in asked {
            match (asked, range) {
                (Some(_), None) => {
                    return invalid(
                        "InvalidParameterCombination",
                        format!("The parameter {name} is not supported for {kind} volumes."),
                    );
                }
                (Some(n), Some(range)) if !range.contains(&n) => {
                    let (from, to) = range.into_inner();
                    return bad_value(format!("Volume {name} of {n} is invalid for {kind}: {from} to {to}."));
                }
                (Some(_) | None, _) => {}
            }
        }
        if self.kms_key.is_some() && !self.encrypted {
            return invalid("InvalidParameterCombination", "KmsKeyId needs Encrypted.");
        }
        match self.volume_type.as_str() {
            "gp3" => {
                self.iops = self.iops.or(Some(3_000));
                self.throughput = self.throughput.or(Some(125));
            }
            "gp2" => self.iops = Some((self.size * 3).clamp(100, 16_000)),
            "io1" | "io2" if self.iops.is_none() => {
                return invalid("MissingParameter", "The parameter iops must be specified for io1 and io2 volumes.");
            }
            _ => {}
        }
        Ok(self)
    }
}

impl World {
    fn seen_volume(&self, id: &str) -> Result<&Disk, Failure> {
        match self.volumes.get(id) {
            Some(v) if v.visible <= self.now => Ok(v),
            _ => no_volume(id),
        }
    }

    pub(super) fn volume_room(&self, more: u64) -> Result<(), Failure> {
        if self.volumes.len() as u64 + more > u64::from(self.limits.volumes) {
            return quota("VolumeLimitExceeded", format!("The maximum of {} volumes is reached.", self.limits.volumes));
        }
        Ok(())
    }

    /// Gives it an id and keeps it.
    pub(super) fn add_volume(&mut self, disk: Disk) -> String {
        let id = self.fresh_id("vol");
        self.volumes.insert(id.clone(), disk);
        id
    }

    /// What hangs on which instance.
    pub(crate) fn devices(&self) -> BTreeMap<&str, BTreeMap<String, DeviceMapping>> {
        let mut devices: BTreeMap<&str, BTreeMap<String, DeviceMapping>> = BTreeMap::new();
        for (id, v) in &self.volumes {
            if let Some(h) = &v.hold {
                let mapping = DeviceMapping { volume: id.clone(), delete_on_termination: h.delete_on_termination };
                devices.entry(&h.instance).or_default().insert(h.device.clone(), mapping);
            }
        }
        devices
    }

    /// `CreateVolume` as evenkeel makes it: never without a token.
    pub(crate) fn create_volume(&mut self, r: &CreateVolume) -> Result<Volume, Failure> {
        tokens::needed(&r.client_token)?;
        self.new_volume(r)
    }

    /// `CreateVolume`.
    pub(crate) fn new_volume(&mut self, r: &CreateVolume) -> Result<Volume, Failure> {
        let scope = tokens::scope(&r.client_token, Some(&r.zone))?;
        let digest = Digest::of_json(r);
        if let Some(made) = self.token_made(scope.as_deref(), &digest)? {
            let live = made.iter().find_map(|id| self.volumes.get(id).map(|v| v.show(id)));
            return live.ok_or_else(|| {
                let says = "The client token belongs to a volume that has been deleted.";
                Failure::new(Class::TokenSpent, "IdempotentParameterMismatch", says)
            });
        }
        if !self.zones.contains_key(&r.zone) {
            return invalid("InvalidZone.NotFound", format!("The zone '{}' does not exist.", r.zone));
        }
        let snapshot = match &r.snapshot {
            None => None,
            Some(id) => match self.snapshots.get(id) {
                None => {
                    return not_found("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."));
                }
                Some(s) if s.state != "completed" => {
                    return busy("IncorrectState", format!("Snapshot '{id}' is {}, not completed.", s.state));
                }
                Some(s) => Some(s.size),
            },
        };
        let Some(size) = r.size.or(snapshot) else {
            return invalid("MissingParameter", "The request must contain the parameter size or snapshotId");
        };
        if snapshot.is_some_and(|least| size < least) {
            return bad_value("The new volume is smaller than its snapshot.");
        }
        check_tags(&r.tags, 0)?;
        let shape = Shape {
            size,
            volume_type: r.volume_type.clone(),
            iops: r.iops,
            throughput: r.throughput,
            encrypted: r.encrypted,
            kms_key: r.kms_key.clone(),
        }
        .checked()?;
        self.volume_room(1)?;
        laws::before_launching(self, &r.zone);

        let whom = self.next.volume;
        let visible = later(self.now, self.timing.hidden.draw(self.seed, "hide volume", whom) + self.weather.hide);
        let mut disk = Disk::born(&shape, &r.zone, self.now, visible, r.tags.clone());
        disk.state = VolumeState::Creating;
        disk.until = Some(later(self.now, self.timing.create_volume.draw(self.seed, "create volume", whom)));
        disk.snapshot.clone_from(&r.snapshot);
        disk.used = r.snapshot.is_some();
        let shown = disk.clone();
        let id = self.add_volume(disk);
        self.token_used(scope, digest, vec![id.clone()]);
        Ok(shown.show(&id))
    }

    /// `ModifyVolume`.
    pub(crate) fn modify_volume(&mut self, id: &str, change: &ModifyVolume) -> Result<(), Failure> {
        let v = self.seen_volume(id)?;
        if !matches!(v.shown_state(), VolumeState::Available | VolumeState::InUse) {
            return busy("IncorrectState", format!("Volume '{id}' is neither available nor in use."));
        }
        if *change == ModifyVolume::default() {
            return bad_value("Nothing to modify.");
        }
        let same_type = change.volume_type.as_ref().is_none_or(|t| *t == v.volume_type);
        let keep = |now: Option<u32>| if same_type && v.volume_type != "gp2" { now } else { None };
        let shape = Shape {
            size: change.size.unwrap_or(v.size),
            volume_type: change.volume_type.clone().unwrap_or_else(|| v.volume_type.clone()),
            iops: change.iops.or(keep(v.iops)),
            throughput: change.throughput.or(keep(v.throughput)),
            encrypted: v.encrypted,
            kms_key: v.kms_key.clone(),
        }
        .checked()?;
        if shape.size < v.size {
            return bad_value("New size cannot be smaller than existing size");
        }
        if v.modified.is_some_and(|at| self.now.duration_since(at).as_hours() < COOL_DOWN) {
            return busy(
                "VolumeModificationRateExceeded",
                format!(
                    "You've reached the maximum modification rate per volume limit. Wait {COOL_DOWN} hours between modifications of '{id}'."
                ),
            );
        }
        let now = self.now;
        let Some(v) = self.volumes.get_mut(id) else { return no_volume(id) };
        v.size = shape.size;
        v.volume_type = shape.volume_type;
        v.iops = shape.iops;
        v.throughput = shape.throughput;
        v.modified = Some(now);
        Ok(())
    }

    /// `AttachVolume`.
    pub(crate) fn attach(&mut self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        let v = self.seen_volume(volume)?;
        let m = self.seen_machine(instance)?;
        if !is_device(device) {
            return bad_value(format!("Value ({device}) for parameter device is invalid."));
        }
        if !matches!(m.state, InstanceState::Running | InstanceState::Stopped) {
            return busy("IncorrectState", format!("Instance '{instance}' is not 'running'."));
        }
        match v.shown_state() {
            VolumeState::Available => {}
            VolumeState::InUse => {
                return busy("VolumeInUse", format!("{volume} is already attached to an instance"));
            }
            VolumeState::Creating | VolumeState::Deleting | VolumeState::Deleted | VolumeState::Error => {
                return busy("IncorrectState", format!("Volume '{volume}' is not 'available'."));
            }
        }
        if v.zone != m.zone {
            return invalid(
                "InvalidVolume.ZoneMismatch",
                format!("The volume '{volume}' is not in the same availability zone as instance '{instance}'"),
            );
        }
        if self.volumes.values().any(|o| o.hold.as_ref().is_some_and(|h| h.instance == instance && h.device == device))
        {
            return bad_value(format!("Invalid value '{device}' for unixDevice: it is already in use."));
        }
        laws::before_attaching(self, volume, instance);
        let until =
            later(self.now, self.timing.attach.draw(self.seed, "attach", format_args!("{volume} {}", self.now)));
        let since = Some(self.now);
        let Some(v) = self.volumes.get_mut(volume) else { return no_volume(volume) };
        v.used = true;
        let hold = Hold::attached(instance, device, false);
        v.hold = Some(Hold { state: AttachState::Attaching, until: Some(until), since, ..hold });
        Ok(())
    }

    /// `DetachVolume`.
    pub(crate) fn detach(&mut self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        let v = self.seen_volume(volume)?;
        let Some(hold) = &v.hold else {
            return busy("IncorrectState", format!("Volume '{volume}' is in the 'available' state."));
        };
        if hold.instance != instance || hold.device != device {
            return not_found(
                "InvalidAttachment.NotFound",
                format!("The volume '{volume}' is not attached to '{instance}' as '{device}'."),
            );
        }
        if hold.state == AttachState::Detaching {
            return busy("IncorrectState", format!("Volume '{volume}' is in the 'detaching' state."));
        }
        if let Some(m) = self.instances.get(instance)
            && self.images.get(&m.image).is_some_and(|i| i.root_device == device)
            && m.state != InstanceState::Stopped
        {
            return Err(Failure::new(
                Class::Invalid,
                "OperationNotPermitted",
                format!("Unable to detach root volume '{volume}' from instance '{instance}'"),
            ));
        }
        let until =
            later(self.now, self.timing.detach.draw(self.seed, "detach", format_args!("{volume} {}", self.now)));
        if let Some(hold) = self.volumes.get_mut(volume).and_then(|v| v.hold.as_mut()) {
            hold.state = AttachState::Detaching;
            hold.until = Some(until);
        }
        Ok(())
    }

    /// `DeleteVolume`.
    pub(crate) fn delete_volume(&mut self, id: &str) -> Result<(), Failure> {
        match self.seen_volume(id)?.shown_state() {
            VolumeState::Available | VolumeState::Error => {}
            VolumeState::InUse => return busy("VolumeInUse", format!("Volume {id} is currently attached")),
            VolumeState::Creating => return busy("IncorrectState", format!("Volume '{id}' is being created.")),
            VolumeState::Deleting | VolumeState::Deleted => return no_volume(id),
        }
        laws::before_destroying(self, Action::DeleteVolume, id);
        let until = later(self.now, self.timing.detach.draw(self.seed, "delete volume", id));
        if let Some(v) = self.volumes.get_mut(id) {
            v.state = VolumeState::Deleting;
            v.until = Some(until);
        }
        self.spend_tokens();
        Ok(())
    }
}
