//! The sim speaks [`Ec2`]: each method is one wire call into the world (two where EC2 needs two).

use async_trait::async_trait;
use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{
    Caller, CreateVolume, DeepAttributes, Ec2, Ec2Read, Image, Instance, InstanceChange, InstanceStatus, ModifyVolume,
    Page, Query, RunInstances, SecurityGroup, Subnet, Tags, Volume, Zone,
};

use crate::action::Action;
use crate::sim::Sim;
use crate::world::Cost;

/// One request token.
const PLAIN: Cost = Cost { unfiltered: false, machines: 0 };

fn listing(query: &Query) -> Cost {
    let unfiltered = query.ids.is_empty() && query.filters.is_empty() && query.max_results.is_none();
    Cost { unfiltered, machines: 0 }
}

fn machines(count: usize) -> Cost {
    Cost { unfiltered: false, machines: u32::try_from(count).unwrap_or(u32::MAX) }
}

#[async_trait]
impl Ec2Read for Sim {
    async fn caller(&self) -> Result<Caller, Failure> {
        self.call(Action::GetCallerIdentity, PLAIN, |w| Ok(w.caller())).await
    }

    async fn zones(&self) -> Result<Vec<Zone>, Failure> {
        self.call(Action::DescribeAvailabilityZones, PLAIN, |w| Ok(w.list_zones())).await
    }

    async fn instances(&self, query: &Query) -> Result<Page<Instance>, Failure> {
        self.call(Action::DescribeInstances, listing(query), |w| w.list_instances(query)).await
    }

    async fn statuses(&self, query: &Query) -> Result<Page<InstanceStatus>, Failure> {
        self.call(Action::DescribeInstanceStatus, listing(query), |w| w.list_statuses(query)).await
    }

    async fn volumes(&self, query: &Query) -> Result<Page<Volume>, Failure> {
        self.call(Action::DescribeVolumes, listing(query), |w| w.list_volumes(query)).await
    }

    async fn images(&self, owners: &[String], query: &Query) -> Result<Page<Image>, Failure> {
        self.call(Action::DescribeImages, PLAIN, |w| w.list_images(owners, query)).await
    }

    async fn subnets(&self, query: &Query) -> Result<Page<Subnet>, Failure> {
        self.call(Action::DescribeSubnets, PLAIN, |w| w.list_subnets(query)).await
    }

    async fn security_groups(&self, query: &Query) -> Result<Page<SecurityGroup>, Failure> {
        self.call(Action::DescribeSecurityGroups, listing(query), |w| w.list_security_groups(query)).await
    }

    async fn parameter(&self, name: &str) -> Result<String, Failure> {
        self.call(Action::GetParameter, PLAIN, |w| w.parameter(name)).await
    }

    async fn deep(&self, instance: &str) -> Result<DeepAttributes, Failure> {
        self.call(Action::DescribeInstanceAttribute, PLAIN, |w| w.deep(instance)).await?;
        self.call(Action::DescribeInstanceAttribute, PLAIN, |w| w.deep(instance)).await
    }
}

#[async_trait]
impl Ec2 for Sim {
    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>, Failure> {
        let cost = machines(request.count as usize);
        self.call(Action::RunInstances, cost, |w| w.run_instances(request)).await
    }

    async fn terminate(&self, ids: &[String]) -> Result<(), Failure> {
        self.call(Action::TerminateInstances, machines(ids.len()), |w| w.terminate(ids)).await
    }

    async fn stop(&self, ids: &[String]) -> Result<(), Failure> {
        self.call(Action::StopInstances, machines(ids.len()), |w| w.stop(ids)).await
    }

    async fn start(&self, ids: &[String]) -> Result<(), Failure> {
        self.call(Action::StartInstances, machines(ids.len()), |w| w.start(ids)).await
    }

    async fn reboot(&self, ids: &[String]) -> Result<(), Failure> {
        self.call(Action::RebootInstances, PLAIN, |w| w.reboot(ids)).await
    }

    async fn change_instance(&self, id: &str, change: &InstanceChange) -> Result<(), Failure> {
        let action = match change {
            InstanceChange::Type(_) | InstanceChange::SecurityGroups(_) | InstanceChange::Protect(_) => {
                Action::ModifyInstanceAttribute
            }
            InstanceChange::Monitoring(true) => Action::MonitorInstances,
            InstanceChange::Monitoring(false) => Action::UnmonitorInstances,
            InstanceChange::Metadata(_) => Action::ModifyInstanceMetadataOptions,
            InstanceChange::InstanceProfile(wanted) => {
                let find = Action::DescribeIamInstanceProfileAssociations;
                let has = self.call(find, PLAIN, |w| w.has_profile(id)).await?;
                match (has, wanted) {
                    (true, Some(_)) => Action::ReplaceIamInstanceProfileAssociation,
                    (false, Some(_)) => Action::AssociateIamInstanceProfile,
                    (true, None) => Action::DisassociateIamInstanceProfile,
                    (false, None) => return Ok(()),
                }
            }
        };
        self.call(action, PLAIN, |w| w.change_instance(id, change)).await
    }

    async fn set_tags(&self, ids: &[String], tags: &Tags) -> Result<(), Failure> {
        self.call(Action::CreateTags, PLAIN, |w| w.set_tags(ids, tags)).await
    }

    async fn unset_tags(&self, ids: &[String], keys: &[String]) -> Result<(), Failure> {
        self.call(Action::DeleteTags, PLAIN, |w| w.unset_tags(ids, keys)).await
    }

    async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, Failure> {
        self.call(Action::CreateVolume, PLAIN, |w| w.create_volume(request)).await
    }

    async fn modify_volume(&self, id: &str, change: &ModifyVolume) -> Result<(), Failure> {
        self.call(Action::ModifyVolume, PLAIN, |w| w.modify_volume(id, change)).await
    }

    async fn attach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        self.call(Action::AttachVolume, PLAIN, |w| w.attach(volume, instance, device)).await
    }

    async fn detach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        self.call(Action::DetachVolume, PLAIN, |w| w.detach(volume, instance, device)).await
    }

    async fn delete_volume(&self, id: &str) -> Result<(), Failure> {
        self.call(Action::DeleteVolume, PLAIN, |w| w.delete_volume(id)).await
    }
}
