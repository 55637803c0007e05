//! Volumes as EC2 shows them, and the calls that make, change, hang, unhang and delete them.

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{AttachState, Attachment, CreateVolume, ModifyVolume, Volume, VolumeState};
use evenkeel_sim::World;
use evenkeel_sim::request::{Done, Request};

use super::places::zone_id;
use super::{Call, next, tags};
use crate::form::{Form, refuse};
use crate::xml::Xml;

pub(super) fn attach_word(state: AttachState) -> &'static str {
    match state {
        AttachState::Attaching => "attaching",
        AttachState::Attached => "attached",
        AttachState::Detaching => "detaching",
        AttachState::Busy => "busy",
        AttachState::Detached => "detached",
    }
}

fn volume_word(state: VolumeState) -> &'static str {
    match state {
        VolumeState::Creating => "creating",
        VolumeState::Available => "available",
        VolumeState::InUse => "in-use",
        VolumeState::Deleting => "deleting",
        VolumeState::Deleted => "deleted",
        VolumeState::Error => "error",
    }
}

fn attachment(x: &mut Xml, world: &World, volume: &str, a: &Attachment) {
    x.text("volumeId", volume);
    x.text("instanceId", &a.instance);
    x.text("device", &a.device);
    x.text("status", attach_word(a.state));
    if let Some(disk) = world.volumes.get(volume) {
        x.time("attachTime", disk.hold.as_ref().and_then(|h| h.since).unwrap_or(disk.created));
    }
    x.text("deleteOnTermination", a.delete_on_termination);
}

/// A volume in a list, or as the answer to `CreateVolume`.
fn volume(x: &mut Xml, world: &World, v: &Volume) {
    x.text("volumeId", &v.id);
    x.text("size", v.size);
    x.text("snapshotId", v.snapshot.as_deref().unwrap_or_default());
    x.text("availabilityZone", &v.zone);
    x.text("availabilityZoneId", zone_id(world, &v.zone));
    x.text("status", volume_word(v.state));
    x.time("createTime", v.created);
    x.list("attachmentSet", &v.attachments, |x, a| attachment(x, world, &v.id, a));
    tags::set(x, &v.tags);
    x.text("volumeType", &v.volume_type);
    x.some("iops", v.iops);
    x.some("throughput", v.throughput);
    x.text("encrypted", v.encrypted);
    x.some("kmsKeyId", v.kms_key.as_ref());
    x.text("multiAttachEnabled", false);
}

impl Call<'_> {
    pub(super) async fn volumes(&self, mut form: Form) -> Result<String, Failure> {
        let query = form.query("VolumeId")?;
        form.end()?;
        let shown = self.wire.volumes(&query, |world, page| {
            self.body(|x| {
                x.list("volumeSet", &page.items, |x, v| volume(x, world, v));
                next(x, page.next_token.as_ref());
            })
        });
        shown.await
    }

    pub(super) async fn create_volume(&self, mut form: Form) -> Result<String, Failure> {
        let [tags] = tags::specified(&mut form, ["volume"])?;
        let request = CreateVolume {
            client_token: form.take("ClientToken").unwrap_or_default(),
            zone: form.need("AvailabilityZone")?,
            size: form.parsed("Size")?,
            // EC2's default when none is named.
            volume_type: form.take("VolumeType").unwrap_or_else(|| "gp2".to_owned()),
            iops: form.parsed("Iops")?,
            throughput: form.parsed("Throughput")?,
            encrypted: form.flag("Encrypted")?,
            kms_key: form.take("KmsKeyId"),
            snapshot: form.take("SnapshotId").filter(|id| !id.is_empty()),
            tags,
        };
        form.end()?;
        let request = Request::NewVolume(Box::new(request));
        let shown = self.wire.change(&request, |world, done| {
            self.body(|x| {
                if let Done::Volume(v) = done {
                    volume(x, world, &v);
                }
            })
        });
        shown.await
    }

    pub(super) async fn modify_volume(&self, mut form: Form) -> Result<String, Failure> {
        let id = form.need("VolumeId")?;
        let change = ModifyVolume {
            size: form.parsed("Size")?,
            volume_type: form.take("VolumeType"),
            iops: form.parsed("Iops")?,
            throughput: form.parsed("Throughput")?,
        };
        form.end()?;
        let request = Request::ModifyVolume { id, change };
        let shown = self.wire.change(&request, |world, done| {
            self.body(|x| {
                let Done::Modified(was, is) = done else { return };
                x.element("volumeModification", |x| {
                    x.text("volumeId", &is.id);
                    // The sim changes a volume at once; what takes hours on AWS is only the cool-down.
                    x.text("modificationState", "completed");
                    for (which, v) in [("target", &is), ("original", &was)] {
                        x.text(&format!("{which}Size"), v.size);
                        x.some(&format!("{which}Iops"), v.iops);
                        x.text(&format!("{which}VolumeType"), &v.volume_type);
                        x.some(&format!("{which}Throughput"), v.throughput);
                        x.text(&format!("{which}MultiAttachEnabled"), false);
                    }
                    x.text("progress", 100);
                    x.time("startTime", world.now);
                    x.time("endTime", world.now);
                });
            })
        });
        shown.await
    }

    async fn attached(&self, request: Request) -> Result<String, Failure> {
        let shown = self.wire.change(&request, |world, done| {
            self.body(|x| {
                if let Done::Attachment(volume, a) = &done {
                    attachment(x, world, volume, a);
                }
            })
        });
        shown.await
    }

    pub(super) async fn attach(&self, mut form: Form) -> Result<String, Failure> {
        let (volume, instance) = (form.need("VolumeId")?, form.need("InstanceId")?);
        let device = form.need("Device")?;
        form.end()?;
        self.attached(Request::Attach { volume, instance, device }).await
    }

    pub(super) async fn detach(&self, mut form: Form) -> Result<String, Failure> {
        let volume = form.need("VolumeId")?;
        let (instance, device) = (form.take("InstanceId"), form.take("Device"));
        if form.flag("Force")? {
            return refuse("UnsupportedOperation", "Nothing is detached by force here.");
        }
        form.end()?;
        self.attached(Request::DetachAny { volume, instance, device }).await
    }

    pub(super) async fn delete_volume(&self, mut form: Form) -> Result<String, Failure> {
        let id = form.need("VolumeId")?;
        form.end()?;
        self.wire.change(&Request::DeleteVolume { id }, |_, _| self.done()).await
    }
}
