//! The changing half: one call each, with tags and client token in the creating call.
//!
//! It never repeats a call, and never checks first what the answer will say anyway.

use async_trait::async_trait;
use aws_sdk_ec2::operation::create_volume::builders::CreateVolumeInputBuilder;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesInputBuilder;
use aws_sdk_ec2::types as sdk;
use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{
    CreateVolume, Ec2, Instance, InstanceChange, Metadata, ModifyVolume, ProfileChange, Rehearsal, RunInstances, Tags,
    Volume,
};

use crate::client::AwsEc2;
use crate::convert::{
    self, Reading, block_device, http_endpoint, http_tokens, instance_profile, listed, sdk_tags, signed,
    tag_specification,
};
use crate::errors::failure;

#[async_trait]
impl Ec2 for AwsEc2 {
    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>, Failure> {
        let action = "RunInstances";
        let answer = launch(request).send_with(&self.ec2).await.map_err(|e| failure(action, &e))?;
        let at = Reading::new(action);
        let reservation = at.need(answer.reservation_id(), "reservationId")?;
        let mut tags = convert::TagSets::default();
        answer.instances().iter().map(|instance| convert::instance(at, reservation, instance, &mut tags)).collect()
    }

    async fn terminate(&self, ids: &[String]) -> Result<(), Failure> {
        let call = self.ec2.terminate_instances().set_instance_ids(listed(ids));
        call.send().await.map(drop).map_err(|e| failure("TerminateInstances", &e))
    }

    async fn stop(&self, ids: &[String]) -> Result<(), Failure> {
        let call = self.ec2.stop_instances().set_instance_ids(listed(ids));
        call.send().await.map(drop).map_err(|e| failure("StopInstances", &e))
    }

    async fn start(&self, ids: &[String]) -> Result<(), Failure> {
        let call = self.ec2.start_instances().set_instance_ids(listed(ids));
        call.send().await.map(drop).map_err(|e| failure("StartInstances", &e))
    }

    async fn reboot(&self, ids: &[String]) -> Result<(), Failure> {
        let call = self.ec2.reboot_instances().set_instance_ids(listed(ids));
        call.send().await.map(drop).map_err(|e| failure("RebootInstances", &e))
    }

    async fn change_instance(&self, id: &str, change: &InstanceChange) -> Result<(), Failure> {
        let attribute = self.ec2.modify_instance_attribute().instance_id(id);
        let attribute = match change {
            InstanceChange::Type(wanted) => {
                attribute.instance_type(sdk::AttributeValue::builder().value(wanted).build())
            }
            InstanceChange::SecurityGroups(groups) => attribute.set_groups(listed(groups)),
            InstanceChange::Protect(on) => {
                attribute.disable_api_termination(sdk::AttributeBooleanValue::builder().value(*on).build())
            }
            InstanceChange::Monitoring(on) => return self.change_monitoring(id, *on).await,
            InstanceChange::Metadata(wanted) => return self.change_metadata(id, wanted).await,
        };
        attribute.send().await.map(drop).map_err(|e| failure("ModifyInstanceAttribute", &e))
    }

    async fn change_profile(&self, change: &ProfileChange) -> Result<(), Failure> {
        let action = change.action();
        match change {
            ProfileChange::Associate { instance, profile } => {
                let call = self.ec2.associate_iam_instance_profile().instance_id(instance);
                let call = call.iam_instance_profile(instance_profile(profile));
                call.send().await.map(drop).map_err(|e| failure(action, &e))
            }
            ProfileChange::Replace { association, profile } => {
                let call = self.ec2.replace_iam_instance_profile_association().association_id(association);
                let call = call.iam_instance_profile(instance_profile(profile));
                call.send().await.map(drop).map_err(|e| failure(action, &e))
            }
            ProfileChange::Disassociate { association } => {
                let call = self.ec2.disassociate_iam_instance_profile().association_id(association);
                call.send().await.map(drop).map_err(|e| failure(action, &e))
            }
        }
    }

    async fn set_tags(&self, ids: &[String], tags: &Tags) -> Result<(), Failure> {
        let call = self.ec2.create_tags().set_resources(listed(ids)).set_tags(Some(sdk_tags(tags)));
        call.send().await.map(drop).map_err(|e| failure("CreateTags", &e))
    }

    async fn unset_tags(&self, ids: &[String], keys: &[String]) -> Result<(), Failure> {
        // A key without a value deletes the tag whatever its value is; an empty list of tags would delete all.
        let tags = keys.iter().map(|key| sdk::Tag::builder().key(key).build()).collect::<Vec<_>>();
        if tags.is_empty() {
            return Ok(());
        }
        let call = self.ec2.delete_tags().set_resources(listed(ids)).set_tags(Some(tags));
        call.send().await.map(drop).map_err(|e| failure("DeleteTags", &e))
    }

    async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, Failure> {
        let action = "CreateVolume";
        let answer = new_volume(request).send_with(&self.ec2).await.map_err(|e| failure(action, &e))?;
        convert::created_volume(Reading::new(action), &answer)
    }

    async fn modify_volume(&self, id: &str, change: &ModifyVolume) -> Result<(), Failure> {
        let call = self
            .ec2
            .modify_volume()
            .volume_id(id)
            .set_size(change.size.map(signed))
            .set_volume_type(change.volume_type.as_deref().map(sdk::VolumeType::from))
            .set_iops(change.iops.map(signed))
            .set_throughput(change.throughput.map(signed));
        call.send().await.map(drop).map_err(|e| failure("ModifyVolume", &e))
    }

    async fn attach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        let call = self.ec2.attach_volume().volume_id(volume).instance_id(instance).device(device);
        call.send().await.map(drop).map_err(|e| failure("AttachVolume", &e))
    }

    async fn detach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        let call = self.ec2.detach_volume().volume_id(volume).instance_id(instance).device(device);
        call.send().await.map(drop).map_err(|e| failure("DetachVolume", &e))
    }

    async fn rehearse(&self, what: &Rehearsal) -> Result<(), Failure> {
        self.dry_run(what).await
    }

    async fn delete_volume(&self, id: &str) -> Result<(), Failure> {
        self.ec2.delete_volume().volume_id(id).send().await.map(drop).map_err(|e| failure("DeleteVolume", &e))
    }
}

impl AwsEc2 {
    async fn change_monitoring(&self, id: &str, on: bool) -> Result<(), Failure> {
        if on {
            let call = self.ec2.monitor_instances().instance_ids(id);
            call.send().await.map(drop).map_err(|e| failure("MonitorInstances", &e))
        } else {
            let call = self.ec2.unmonitor_instances().instance_ids(id);
            call.send().await.map(drop).map_err(|e| failure("UnmonitorInstances", &e))
        }
    }

    async fn change_metadata(&self, id: &str, wanted: &Metadata) -> Result<(), Failure> {
        let call = self
            .ec2
            .modify_instance_metadata_options()
            .instance_id(id)
            .http_tokens(http_tokens(wanted))
            .http_put_response_hop_limit(wanted.hop_limit)
            .http_endpoint(http_endpoint(wanted));
        call.send().await.map(drop).map_err(|e| failure("ModifyInstanceMetadataOptions", &e))
    }
}

/// `RunInstances` with MinCount = MaxCount.
pub(crate) fn launch(request: &RunInstances) -> RunInstancesInputBuilder {
    let count = signed(request.count);
    let call = RunInstancesInputBuilder::default()
        .client_token(&request.client_token)
        .min_count(count)
        .max_count(count)
        .image_id(&request.image)
        .instance_type(sdk::InstanceType::from(request.instance_type.as_str()))
        .set_placement(placement(request))
        .set_key_name(request.key.clone())
        .set_iam_instance_profile(request.instance_profile.as_deref().map(instance_profile))
        .set_user_data(request.user_data.as_ref().map(aws_smithy_types::base64::encode))
        .set_block_device_mappings(some_of(request.disks.iter().map(block_device).collect()))
        .metadata_options(
            sdk::InstanceMetadataOptionsRequest::builder()
                .http_tokens(http_tokens(&request.metadata))
                .http_put_response_hop_limit(request.metadata.hop_limit)
                .http_endpoint(http_endpoint(&request.metadata))
                .build(),
        )
        .monitoring(sdk::RunInstancesMonitoringEnabled::builder().enabled(request.monitoring).build())
        .disable_api_termination(request.protect)
        .set_instance_market_options(request.spot.then(spot))
        .set_tag_specifications(some_of(
            [
                tag_specification(sdk::ResourceType::Instance, &request.tags),
                tag_specification(sdk::ResourceType::Volume, &request.volume_tags),
            ]
            .into_iter()
            .flatten()
            .collect(),
        ));
    match request.public_ip {
        None => call.set_subnet_id(request.subnet.clone()).set_security_group_ids(listed(&request.security_groups)),
        // Only a network interface can ask for or decline a public address, and then subnet and groups stand there.
        Some(public) => call.network_interfaces(
            sdk::InstanceNetworkInterfaceSpecification::builder()
                .device_index(0)
                .associate_public_ip_address(public)
                .set_subnet_id(request.subnet.clone())
                .set_groups(listed(&request.security_groups))
                .build(),
        ),
    }
}

/// `None` where nothing is asked for: an empty placement is not the same as none.
fn placement(request: &RunInstances) -> Option<sdk::Placement> {
    if request.zone.is_none() && request.tenancy.is_none() && request.placement_group.is_none() {
        return None;
    }
    let placement = sdk::Placement::builder()
        .set_availability_zone(request.zone.clone())
        .set_tenancy(request.tenancy.as_deref().map(sdk::Tenancy::from))
        .set_group_name(request.placement_group.clone());
    Some(placement.build())
}

/// One-time: a spot instance that EC2 takes away is gone, and the next plan replaces it.
fn spot() -> sdk::InstanceMarketOptionsRequest {
    let options = sdk::SpotMarketOptions::builder()
        .spot_instance_type(sdk::SpotInstanceType::OneTime)
        .instance_interruption_behavior(sdk::InstanceInterruptionBehavior::Terminate)
        .build();
    sdk::InstanceMarketOptionsRequest::builder().market_type(sdk::MarketType::Spot).spot_options(options).build()
}

pub(crate) fn new_volume(request: &CreateVolume) -> CreateVolumeInputBuilder {
    CreateVolumeInputBuilder::default()
        .client_token(&request.client_token)
        .availability_zone(&request.zone)
        .set_size(request.size.map(signed))
        .volume_type(sdk::VolumeType::from(request.volume_type.as_str()))
        .set_iops(request.iops.map(signed))
        .set_throughput(request.throughput.map(signed))
        // Left out where it is not asked for: an encrypted snapshot or account would contradict a plain "no".
        .set_encrypted(request.encrypted.then_some(true))
        .set_kms_key_id(request.kms_key.clone())
        .set_snapshot_id(request.snapshot.clone())
        .set_tag_specifications(tag_specification(sdk::ResourceType::Volume, &request.tags).map(|one| vec![one]))
}

fn some_of<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests;
