//! The SDK's types made into our plain ones, and our requests into the SDK's, member by member.
//!
//! A member that AWS always sends and that is missing, or a state nobody knows, is a [`Failure`] that names it: a
//! guess here could end in a needless launch or a wrong delete. It never panics.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as sdk;
use aws_smithy_types::DateTime;
use evenkeel_core::failure::Failure;
use evenkeel_core::shared::Shared;
use evenkeel_ec2::api;
use evenkeel_ec2::fast::FastMap;
use jiff::Timestamp;

use crate::errors::misread;

/// What is being read, for the words of a failure: the action and, once known, the object.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub action: &'a str,
    pub of: &'a str,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(action: &'a str) -> Self {
        Self { action, of: "" }
    }

    fn within(self, of: &'a str) -> Self {
        Self { of, ..self }
    }

    fn fail(self, what: &str) -> Failure {
        if self.of.is_empty() {
            misread(self.action, what)
        } else {
            misread(self.action, &format!("{}: {what}", self.of))
        }
    }

    /// The member's value, or a failure that names the member.
    pub(crate) fn need<T>(self, value: Option<T>, member: &str) -> Result<T, Failure> {
        value.ok_or_else(|| self.fail(&format!("{member} is missing")))
    }

    pub(crate) fn text(self, value: Option<&str>, member: &str) -> Result<String, Failure> {
        self.need(value.filter(|text| !text.is_empty()), member).map(str::to_owned)
    }

    fn time(self, value: Option<&DateTime>, member: &str) -> Result<Timestamp, Failure> {
        let value = self.need(value, member)?;
        timestamp(value).ok_or_else(|| self.fail(&format!("{member} is out of range")))
    }

    fn number(self, value: Option<i32>, member: &str) -> Result<u32, Failure> {
        let value = self.need(value, member)?;
        u32::try_from(value).map_err(|_| self.fail(&format!("{member} is {value}")))
    }
}

/// `None` where the time lies outside of what a calendar has.
fn timestamp(value: &DateTime) -> Option<Timestamp> {
    let nanos = i32::try_from(value.subsec_nanos()).ok()?;
    Timestamp::new(value.secs(), nanos).ok()
}

fn owned(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// `None` for an empty text too: some answers have the member with nothing in it.
fn filled(value: Option<&str>) -> Option<String> {
    value.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn tags(tags: &[sdk::Tag]) -> api::Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), owned(tag.value())))).collect()
}

/// The tags of one answer: what a launch has made bears the same, and is read once.
#[derive(Default)]
pub(crate) struct TagSets<'a>(FastMap<Vec<(&'a str, &'a str)>, Shared<api::Tags>>);

impl<'a> TagSets<'a> {
    fn of(&mut self, from: &'a [sdk::Tag]) -> Shared<api::Tags> {
        let all: Vec<_> = from.iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))).collect();
        self.0.entry(all).or_insert_with(|| tags(from).into()).clone()
    }
}

/// Tags as a request carries them.
pub(crate) fn sdk_tags(tags: &api::Tags) -> Vec<sdk::Tag> {
    tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

/// Tags for one kind of object made by the call; `None` for no tags, because EC2 refuses an empty specification.
pub(crate) fn tag_specification(kind: sdk::ResourceType, tags: &api::Tags) -> Option<sdk::TagSpecification> {
    if tags.is_empty() {
        return None;
    }
    Some(sdk::TagSpecification::builder().resource_type(kind).set_tags(Some(sdk_tags(tags))).build())
}

/// Filters as a request carries them; `None` for none.
pub(crate) fn sdk_filters(filters: &[api::Filter]) -> Option<Vec<sdk::Filter>> {
    let made = filters
        .iter()
        .map(|filter| sdk::Filter::builder().name(&filter.name).set_values(Some(filter.values.clone())).build())
        .collect::<Vec<_>>();
    (!made.is_empty()).then_some(made)
}

/// A list as a request carries it; `None` for an empty one.
pub(crate) fn listed(values: &[String]) -> Option<Vec<String>> {
    (!values.is_empty()).then(|| values.to_vec())
}

/// One page. An empty token means that this was the last.
pub(crate) fn page<'a, S, T>(
    items: &'a [S],
    next_token: Option<&str>,
    convert: impl FnMut(&'a S) -> Result<T, Failure>,
) -> Result<api::Page<T>, Failure> {
    let items = items.iter().map(convert).collect::<Result<_, _>>()?;
    Ok(api::Page { items, next_token: filled(next_token) })
}

/// One instance of the reservation `reservation`.
pub(crate) fn instance<'a>(
    at: Reading<'_>,
    reservation: &str,
    from: &'a sdk::Instance,
    sets: &mut TagSets<'a>,
) -> Result<api::Instance, Failure> {
    let id = at.text(from.instance_id(), "instanceId")?;
    let at = at.within(&id);
    let placement = at.need(from.placement(), "placement")?;
    let mut devices = BTreeMap::new();
    for mapping in from.block_device_mappings() {
        // Without `ebs` it is an ephemeral disk, which no volume stands behind.
        let (Some(device), Some(ebs)) = (mapping.device_name(), mapping.ebs()) else { continue };
        let volume = at.text(ebs.volume_id(), "blockDeviceMapping.ebs.volumeId")?;
        let delete_on_termination = ebs.delete_on_termination().unwrap_or(false);
        devices.insert(device.to_owned(), api::DeviceMapping { volume, delete_on_termination });
    }
    Ok(api::Instance {
        reservation: reservation.to_owned(),
        launch_index: at.number(from.ami_launch_index(), "amiLaunchIndex")?,
        client_token: owned(from.client_token()),
        state: instance_state(at, from.state().and_then(sdk::InstanceState::name))?,
        state_reason: owned(from.state_reason().and_then(sdk::StateReason::code)),
        image: at.text(from.image_id(), "imageId")?,
        instance_type: at.text(from.instance_type().map(sdk::InstanceType::as_str), "instanceType")?,
        zone: at.text(placement.availability_zone(), "placement.availabilityZone")?,
        // A terminated instance has lost subnet, VPC, groups and addresses.
        subnet: owned(from.subnet_id()),
        vpc: owned(from.vpc_id()),
        security_groups: from
            .security_groups()
            .iter()
            .map(|group| (owned(group.group_id()), owned(group.group_name())))
            .collect(),
        key: filled(from.key_name()),
        instance_profile: filled(from.iam_instance_profile().and_then(sdk::IamInstanceProfile::arn)),
        launched: at.time(from.launch_time(), "launchTime")?,
        root_device: filled(from.root_device_name()),
        devices,
        public_ip: filled(from.public_ip_address()),
        private_ip: filled(from.private_ip_address()),
        monitoring: matches!(
            from.monitoring().and_then(sdk::Monitoring::state),
            Some(sdk::MonitoringState::Enabled | sdk::MonitoringState::Pending)
        ),
        metadata: metadata(from.metadata_options()),
        spot: matches!(from.instance_lifecycle(), Some(sdk::InstanceLifecycleType::Spot)),
        tenancy: placement.tenancy().map_or("default", sdk::Tenancy::as_str).to_owned(),
        placement_group: filled(placement.group_name()),
        tags: sets.of(from.tags()),
        id,
    })
}

fn instance_state(at: Reading<'_>, from: Option<&sdk::InstanceStateName>) -> Result<api::InstanceState, Failure> {
    Ok(match at.need(from, "instanceState")? {
        sdk::InstanceStateName::Pending => api::InstanceState::Pending,
        sdk::InstanceStateName::Running => api::InstanceState::Running,
        sdk::InstanceStateName::Stopping => api::InstanceState::Stopping,
        sdk::InstanceStateName::Stopped => api::InstanceState::Stopped,
        sdk::InstanceStateName::ShuttingDown => api::InstanceState::ShuttingDown,
        sdk::InstanceStateName::Terminated => api::InstanceState::Terminated,
        other => return Err(at.fail(&format!("instanceState `{}` is unknown", other.as_str()))),
    })
}

/// What EC2 does where it says nothing: the endpoint is on, IMDSv1 allowed, one hop.
fn metadata(from: Option<&sdk::InstanceMetadataOptionsResponse>) -> api::Metadata {
    let tokens = from.and_then(sdk::InstanceMetadataOptionsResponse::http_tokens);
    let endpoint = from.and_then(sdk::InstanceMetadataOptionsResponse::http_endpoint);
    api::Metadata {
        tokens_required: matches!(tokens, Some(sdk::HttpTokensState::Required)),
        hop_limit: from.and_then(sdk::InstanceMetadataOptionsResponse::http_put_response_hop_limit).unwrap_or(1),
        enabled: !matches!(endpoint, Some(sdk::InstanceMetadataEndpointState::Disabled)),
    }
}

/// One row of the status checks.
pub(crate) fn status(at: Reading<'_>, from: &sdk::InstanceStatus) -> Result<api::InstanceStatus, Failure> {
    let id = at.text(from.instance_id(), "instanceId")?;
    let summary = |summary: Option<&sdk::InstanceStatusSummary>| {
        let since = summary.into_iter().flat_map(sdk::InstanceStatusSummary::details).map(|one| one.impaired_since());
        (check(summary.and_then(sdk::InstanceStatusSummary::status)), earliest(since))
    };
    let ebs = from.attached_ebs_status();
    let ebs_since = ebs.into_iter().flat_map(sdk::EbsStatusSummary::details).map(|one| one.impaired_since());
    Ok(api::InstanceStatus {
        system: summary(from.system_status()),
        instance: summary(from.instance_status()),
        ebs: (check(ebs.and_then(sdk::EbsStatusSummary::status)), earliest(ebs_since)),
        events: from
            .events()
            .iter()
            .map(|event| api::ScheduledEvent {
                code: owned(event.code().map(sdk::EventCode::as_str)),
                description: owned(event.description()),
                not_before: event.not_before().and_then(timestamp),
            })
            .collect(),
        id,
    })
}

/// A value nobody knows says nothing, which is not the same as failed.
fn check(from: Option<&sdk::SummaryStatus>) -> api::Check {
    match from {
        Some(sdk::SummaryStatus::Ok) => api::Check::Ok,
        Some(sdk::SummaryStatus::Impaired) => api::Check::Impaired,
        Some(sdk::SummaryStatus::Initializing) => api::Check::Initializing,
        Some(sdk::SummaryStatus::NotApplicable) => api::Check::NotApplicable,
        Some(_) | None => api::Check::InsufficientData,
    }
}

fn earliest<'a>(times: impl Iterator<Item = Option<&'a DateTime>>) -> Option<Timestamp> {
    times.flatten().filter_map(timestamp).min()
}

/// The members a volume has in a list and in the answer to `CreateVolume` alike.
macro_rules! volume_of {
    ($at:expr, $from:expr, $sets:expr) => {{
        let (at, from) = ($at, $from);
        let id = at.text(from.volume_id(), "volumeId")?;
        let at = at.within(&id);
        let attachments = from.attachments().iter().map(|one| attachment(at, one)).collect::<Result<Vec<_>, _>>()?;
        Ok(api::Volume {
            state: volume_state(at, from.state())?,
            zone: at.text(from.availability_zone(), "availabilityZone")?,
            size: at.number(from.size(), "size")?,
            volume_type: at.text(from.volume_type().map(sdk::VolumeType::as_str), "volumeType")?,
            iops: from.iops().and_then(positive),
            throughput: from.throughput().and_then(positive),
            encrypted: from.encrypted().unwrap_or(false),
            kms_key: filled(from.kms_key_id()),
            snapshot: filled(from.snapshot_id()),
            created: at.time(from.create_time(), "createTime")?,
            attachments: attachments.into_iter().flatten().collect(),
            tags: $sets.of(from.tags()),
            id,
        })
    }};
}

/// One volume of a list.
pub(crate) fn volume<'a>(
    at: Reading<'_>,
    from: &'a sdk::Volume,
    sets: &mut TagSets<'a>,
) -> Result<api::Volume, Failure> {
    volume_of!(at, from, sets)
}

/// The volume just made.
pub(crate) fn created_volume(
    at: Reading<'_>,
    from: &aws_sdk_ec2::operation::create_volume::CreateVolumeOutput,
) -> Result<api::Volume, Failure> {
    volume_of!(at, from, TagSets::default())
}

/// 0 is how some answers say "none".
fn positive(value: i32) -> Option<u32> {
    u32::try_from(value).ok().filter(|value| *value > 0)
}

fn volume_state(at: Reading<'_>, from: Option<&sdk::VolumeState>) -> Result<api::VolumeState, Failure> {
    Ok(match at.need(from, "status")? {
        sdk::VolumeState::Creating => api::VolumeState::Creating,
        sdk::VolumeState::Available => api::VolumeState::Available,
        sdk::VolumeState::InUse => api::VolumeState::InUse,
        sdk::VolumeState::Deleting => api::VolumeState::Deleting,
        sdk::VolumeState::Deleted => api::VolumeState::Deleted,
        sdk::VolumeState::Error => api::VolumeState::Error,
        other => return Err(at.fail(&format!("status `{}` is unknown", other.as_str()))),
    })
}

/// `None` for an attachment to something that is no instance (a managed service holds it).
fn attachment(at: Reading<'_>, from: &sdk::VolumeAttachment) -> Result<Option<api::Attachment>, Failure> {
    let Some(instance) = filled(from.instance_id()) else { return Ok(None) };
    let state = match at.need(from.state(), "attachment.status")? {
        sdk::VolumeAttachmentState::Attaching => api::AttachState::Attaching,
        sdk::VolumeAttachmentState::Attached => api::AttachState::Attached,
        sdk::VolumeAttachmentState::Detaching => api::AttachState::Detaching,
        sdk::VolumeAttachmentState::Busy => api::AttachState::Busy,
        sdk::VolumeAttachmentState::Detached => api::AttachState::Detached,
        other => return Err(at.fail(&format!("attachment.status `{}` is unknown", other.as_str()))),
    };
    let device = owned(from.device());
    Ok(Some(api::Attachment {
        instance,
        device,
        state,
        delete_on_termination: from.delete_on_termination().unwrap_or(false),
    }))
}

/// One image.
pub(crate) fn image(at: Reading<'_>, from: &sdk::Image) -> Result<api::Image, Failure> {
    let id = at.text(from.image_id(), "imageId")?;
    Ok(api::Image {
        name: owned(from.name()),
        owner: owned(from.owner_id()),
        // The one time that EC2 gives as plain text.
        created: from.creation_date().and_then(|text| text.parse().ok()),
        root_device: filled(from.root_device_name()),
        available: matches!(from.state(), Some(sdk::ImageState::Available)),
        architecture: owned(from.architecture().map(sdk::ArchitectureValues::as_str)),
        id,
    })
}

/// One subnet.
pub(crate) fn subnet(at: Reading<'_>, from: &sdk::Subnet) -> Result<api::Subnet, Failure> {
    let id = at.text(from.subnet_id(), "subnetId")?;
    let at = at.within(&id);
    Ok(api::Subnet {
        zone: at.text(from.availability_zone(), "availabilityZone")?,
        vpc: at.text(from.vpc_id(), "vpcId")?,
        free: at.number(from.available_ip_address_count(), "availableIpAddressCount")?,
        default_for_zone: from.default_for_az().unwrap_or(false),
        tags: tags(from.tags()),
        id,
    })
}

/// One security group.
pub(crate) fn security_group(at: Reading<'_>, from: &sdk::SecurityGroup) -> Result<api::SecurityGroup, Failure> {
    let id = at.text(from.group_id(), "groupId")?;
    let at = at.within(&id);
    Ok(api::SecurityGroup { name: at.text(from.group_name(), "groupName")?, vpc: owned(from.vpc_id()), id })
}

/// One availability zone.
pub(crate) fn zone(at: Reading<'_>, from: &sdk::AvailabilityZone) -> Result<api::Zone, Failure> {
    Ok(api::Zone {
        name: at.text(from.zone_name(), "zoneName")?,
        available: matches!(from.state(), Some(sdk::AvailabilityZoneState::Available)),
    })
}

/// Base64 to bytes; empty is none.
pub(crate) fn user_data(at: Reading<'_>, from: Option<&str>) -> Result<Option<Vec<u8>>, Failure> {
    let Some(text) = from.filter(|text| !text.is_empty()) else { return Ok(None) };
    aws_smithy_types::base64::decode(text).map(Some).map_err(|_| at.fail("userData is not base64"))
}

/// A disk of a launch, which dies with its instance.
pub(crate) fn block_device(from: &api::BlockDevice) -> sdk::BlockDeviceMapping {
    let ebs = sdk::EbsBlockDevice::builder()
        .delete_on_termination(true)
        .set_volume_size(from.size.map(signed))
        .set_volume_type(from.volume_type.as_deref().map(sdk::VolumeType::from))
        .set_iops(from.iops.map(signed))
        .set_throughput(from.throughput.map(signed))
        .set_encrypted(from.encrypted)
        .set_kms_key_id(from.kms_key.clone())
        .build();
    sdk::BlockDeviceMapping::builder().device_name(&from.device).ebs(ebs).build()
}

/// EC2 counts with signed numbers; what does not fit is refused by EC2 as too much.
pub(crate) fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// `required` or `optional`.
pub(crate) fn http_tokens(from: &api::Metadata) -> sdk::HttpTokensState {
    if from.tokens_required { sdk::HttpTokensState::Required } else { sdk::HttpTokensState::Optional }
}

/// `enabled` or `disabled`.
pub(crate) fn http_endpoint(from: &api::Metadata) -> sdk::InstanceMetadataEndpointState {
    if from.enabled {
        sdk::InstanceMetadataEndpointState::Enabled
    } else {
        sdk::InstanceMetadataEndpointState::Disabled
    }
}

/// A profile by ARN or by name, whichever it is.
pub(crate) fn instance_profile(name_or_arn: &str) -> sdk::IamInstanceProfileSpecification {
    let builder = sdk::IamInstanceProfileSpecification::builder();
    if name_or_arn.starts_with("arn:") { builder.arn(name_or_arn) } else { builder.name(name_or_arn) }.build()
}

#[cfg(test)]
mod tests;
