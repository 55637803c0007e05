//! `DryRun`: the changing calls as they would be made, asked and not done.
//!
//! An answer without an error would mean that a server did what it was only asked about; that is told as a failure.

use aws_sdk_ec2::types as sdk;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::{InstanceChange, Rehearsal, WOULD};

use crate::change::{launch, new_volume};
use crate::client::AwsEc2;
use crate::convert::{http_endpoint, http_tokens, listed, sdk_tags, signed};
use crate::errors::failure;

impl AwsEc2 {
    /// One call with `DryRun`.
    pub(crate) async fn dry_run(&self, what: &Rehearsal) -> Result<(), Failure> {
        let action = what.action();
        // Each call has an answer and an error of its own type.
        macro_rules! ask {
            ($call:expr) => {
                $call.dry_run(true).send().await.map(drop).map_err(|e| failure(action, &e))
            };
        }
        let ec2 = &self.ec2;
        let answer = match what {
            Rehearsal::Run(request) => {
                launch(request).dry_run(true).send_with(ec2).await.map(drop).map_err(|e| failure(action, &e))
            }
            Rehearsal::CreateVolume(request) => {
                new_volume(request).dry_run(true).send_with(ec2).await.map(drop).map_err(|e| failure(action, &e))
            }
            Rehearsal::Terminate(ids) => ask!(ec2.terminate_instances().set_instance_ids(listed(ids))),
            Rehearsal::Stop(ids) => ask!(ec2.stop_instances().set_instance_ids(listed(ids))),
            Rehearsal::Start(ids) => ask!(ec2.start_instances().set_instance_ids(listed(ids))),
            Rehearsal::SetTags(ids, tags) => {
                ask!(ec2.create_tags().set_resources(listed(ids)).set_tags(Some(sdk_tags(tags))))
            }
            Rehearsal::UnsetTags(ids, keys) => {
                let tags = keys.iter().map(|key| sdk::Tag::builder().key(key).build()).collect();
                ask!(ec2.delete_tags().set_resources(listed(ids)).set_tags(Some(tags)))
            }
            Rehearsal::ModifyVolume(id, change) => ask!(
                ec2.modify_volume()
                    .volume_id(id)
                    .set_size(change.size.map(signed))
                    .set_volume_type(change.volume_type.as_deref().map(sdk::VolumeType::from))
                    .set_iops(change.iops.map(signed))
                    .set_throughput(change.throughput.map(signed))
            ),
            Rehearsal::Attach(volume, instance, device) => {
                ask!(ec2.attach_volume().volume_id(volume).instance_id(instance).device(device))
            }
            Rehearsal::Detach(volume, instance, device) => {
                ask!(ec2.detach_volume().volume_id(volume).instance_id(instance).device(device))
            }
            Rehearsal::DeleteVolume(id) => ask!(ec2.delete_volume().volume_id(id)),
            Rehearsal::ChangeInstance(id, change) => match change {
                InstanceChange::Type(wanted) => {
                    let wanted = sdk::AttributeValue::builder().value(wanted).build();
                    ask!(ec2.modify_instance_attribute().instance_id(id).instance_type(wanted))
                }
                InstanceChange::SecurityGroups(groups) => {
                    ask!(ec2.modify_instance_attribute().instance_id(id).set_groups(listed(groups)))
                }
                InstanceChange::Protect(on) => {
                    let on = sdk::AttributeBooleanValue::builder().value(*on).build();
                    ask!(ec2.modify_instance_attribute().instance_id(id).disable_api_termination(on))
                }
                InstanceChange::Monitoring(true) => ask!(ec2.monitor_instances().instance_ids(id)),
                InstanceChange::Monitoring(false) => ask!(ec2.unmonitor_instances().instance_ids(id)),
                InstanceChange::Metadata(wanted) => ask!(
                    ec2.modify_instance_metadata_options()
                        .instance_id(id)
                        .http_tokens(http_tokens(wanted))
                        .http_put_response_hop_limit(wanted.hop_limit)
                        .http_endpoint(http_endpoint(wanted))
                ),
            },
        };
        match answer {
            Err(refused) if refused.code == WOULD => Ok(()),
            Err(refused) => Err(refused),
            Ok(()) => {
                let says = format!("{action}: the server did not heed DryRun and did it; look before you go on");
                Err(Failure::new(Class::Invalid, "", says))
            }
        }
    }
}
