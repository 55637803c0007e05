//! The sim speaks [`Ec2`]: each method is one wire call into the world.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{
    Caller, CreateVolume, Ec2, Ec2Read, Filter, HeldProfile, Image, Instance, InstanceChange, InstanceStatus,
    ModifyVolume, Page, ProfileChange, Query, Rehearsal, RunInstances, SecurityGroup, Subnet, Tags, Volume, WOULD,
    Zone,
};

use crate::action::Action;
use crate::request::Request;
use crate::sim::Sim;
use crate::world::Cost;

/// One request token.
pub(crate) const PLAIN: Cost = Cost { unfiltered: false, machines: 0 };

pub(crate) fn listing(query: &Query) -> Cost {
    let unfiltered = query.ids.is_empty() && query.filters.is_empty() && query.max_results.is_none();
    Cost { unfiltered, machines: 0 }
}

fn machines(count: usize) -> Cost {
    Cost { unfiltered: false, machines: u32::try_from(count).unwrap_or(u32::MAX) }
}

#[async_trait]
impl Ec2Read for Sim {
    async fn caller(&self) -> Result<Caller, Failure> {
        self.read(Action::GetCallerIdentity, PLAIN, |w| Ok(w.caller())).await
    }

    async fn zones(&self) -> Result<Vec<Zone>, Failure> {
        self.read(Action::DescribeAvailabilityZones, PLAIN, |w| Ok(w.list_zones())).await
    }

    async fn instances(&self, query: &Query) -> Result<Page<Instance>, Failure> {
        self.read(Action::DescribeInstances, listing(query), |w| w.list_instances(query)).await
    }

    async fn statuses(&self, query: &Query) -> Result<Page<InstanceStatus>, Failure> {
        self.read(Action::DescribeInstanceStatus, listing(query), |w| w.list_statuses(query, true)).await
    }

    async fn volumes(&self, query: &Query) -> Result<Page<Volume>, Failure> {
        self.read(Action::DescribeVolumes, listing(query), |w| w.list_volumes(query)).await
    }

    async fn images(&self, owners: &[String], query: &Query) -> Result<Page<Image>, Failure> {
        self.read(Action::DescribeImages, PLAIN, |w| w.list_images(owners, query)).await
    }

    async fn subnets(&self, query: &Query) -> Result<Page<Subnet>, Failure> {
        self.read(Action::DescribeSubnets, PLAIN, |w| w.list_subnets(query)).await
    }

    async fn security_groups(&self, query: &Query) -> Result<Page<SecurityGroup>, Failure> {
        self.read(Action::DescribeSecurityGroups, listing(query), |w| w.list_security_groups(query)).await
    }

    async fn parameter(&self, name: &str) -> Result<String, Failure> {
        self.read(Action::GetParameter, PLAIN, |w| w.parameter(name)).await
    }

    async fn vcpus(&self, types: &[String]) -> Result<BTreeMap<String, u32>, Failure> {
        let found = self.read(Action::DescribeInstanceTypes, PLAIN, |w| w.list_types(types)).await?;
        Ok(found.into_iter().map(|(name, of)| (name, of.vcpus)).collect())
    }

    async fn quota(&self, code: &str) -> Result<f64, Failure> {
        self.read(Action::GetServiceQuota, PLAIN, |w| w.quota(code)).await
    }

    async fn user_data(&self, instance: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.read(Action::DescribeInstanceAttribute, PLAIN, |w| w.user_data(instance)).await
    }

    async fn protected(&self, instance: &str) -> Result<bool, Failure> {
        self.read(Action::DescribeInstanceAttribute, PLAIN, |w| w.seen_machine(instance).map(|m| m.protected)).await
    }

    async fn held_profile(&self, instance: &str) -> Result<Option<HeldProfile>, Failure> {
        let query = Query { filters: vec![Filter::new("instance-id", instance)], ..Query::default() };
        let action = Action::DescribeIamInstanceProfileAssociations;
        let found = self.read(action, PLAIN, |w| w.list_associations(&query)).await?.items.pop();
        Ok(found.map(|a| HeldProfile { association: a.id, profile: a.profile }))
    }
}

#[async_trait]
impl Ec2 for Sim {
    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>, Failure> {
        let cost = machines(request.count as usize);
        self.change(
            Action::RunInstances,
            cost,
            |w| w.run_instances(request),
            || Request::RunInstances(Box::new(request.clone())),
        )
        .await
    }

    async fn terminate(&self, ids: &[String]) -> Result<(), Failure> {
        self.change(
            Action::TerminateInstances,
            machines(ids.len()),
            |w| w.terminate(ids),
            || Request::Terminate { ids: ids.to_vec() },
        )
        .await
    }

    async fn stop(&self, ids: &[String]) -> Result<(), Failure> {
        self.change(Action::StopInstances, machines(ids.len()), |w| w.stop(ids), || Request::Stop { ids: ids.to_vec() })
            .await
    }

    async fn start(&self, ids: &[String]) -> Result<(), Failure> {
        self.change(
            Action::StartInstances,
            machines(ids.len()),
            |w| w.start(ids),
            || Request::Start { ids: ids.to_vec() },
        )
        .await
    }

    async fn reboot(&self, ids: &[String]) -> Result<(), Failure> {
        self.change(Action::RebootInstances, PLAIN, |w| w.reboot(ids), || Request::Reboot { ids: ids.to_vec() }).await
    }

    async fn change_instance(&self, id: &str, change: &InstanceChange) -> Result<(), Failure> {
        let action = match change {
            InstanceChange::Type(_) | InstanceChange::SecurityGroups(_) | InstanceChange::Protect(_) => {
                Action::ModifyInstanceAttribute
            }
            InstanceChange::Monitoring(true) => Action::MonitorInstances,
            InstanceChange::Monitoring(false) => Action::UnmonitorInstances,
            InstanceChange::Metadata(_) => Action::ModifyInstanceMetadataOptions,
        };
        let request = || Request::ChangeInstance { id: id.to_owned(), change: change.clone() };
        self.change(action, PLAIN, |w| w.change_instance(id, change), request).await
    }

    async fn change_profile(&self, change: &ProfileChange) -> Result<(), Failure> {
        let request = match change.clone() {
            ProfileChange::Associate { instance, profile } => Request::Associate { instance, profile },
            ProfileChange::Replace { association, profile } => Request::ReplaceAssociation { association, profile },
            ProfileChange::Disassociate { association } => Request::Disassociate { association },
        };
        self.change(request.action(), PLAIN, |w| w.arrive(&request).map(drop), || request.clone()).await
    }

    async fn set_tags(&self, ids: &[String], tags: &Tags) -> Result<(), Failure> {
        let request = || Request::SetTags { ids: ids.to_vec(), tags: tags.clone() };
        self.change(Action::CreateTags, PLAIN, |w| w.set_tags(ids, tags), request).await
    }

    async fn unset_tags(&self, ids: &[String], keys: &[String]) -> Result<(), Failure> {
        let request = || Request::UnsetTags { ids: ids.to_vec(), keys: keys.to_vec() };
        self.change(Action::DeleteTags, PLAIN, |w| w.unset_tags(ids, keys), request).await
    }

    async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, Failure> {
        self.change(
            Action::CreateVolume,
            PLAIN,
            |w| w.create_volume(request),
            || Request::CreateVolume(Box::new(request.clone())),
        )
        .await
    }

    async fn modify_volume(&self, id: &str, change: &ModifyVolume) -> Result<(), Failure> {
        let request = || Request::ModifyVolume { id: id.to_owned(), change: change.clone() };
        self.change(Action::ModifyVolume, PLAIN, |w| w.modify_volume(id, change), request).await
    }

    async fn attach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        let request =
            || Request::Attach { volume: volume.to_owned(), instance: instance.to_owned(), device: device.to_owned() };
        self.change(Action::AttachVolume, PLAIN, |w| w.attach(volume, instance, device), request).await
    }

    async fn detach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        let request =
            || Request::Detach { volume: volume.to_owned(), instance: instance.to_owned(), device: device.to_owned() };
        self.change(Action::DetachVolume, PLAIN, |w| w.detach(volume, instance, device), request).await
    }

    async fn rehearse(&self, what: &Rehearsal) -> Result<(), Failure> {
        let request = match what.clone() {
            Rehearsal::Run(r) => Request::RunInstances(r),
            Rehearsal::Terminate(ids) => Request::Terminate { ids },
            Rehearsal::Stop(ids) => Request::Stop { ids },
            Rehearsal::Start(ids) => Request::Start { ids },
            Rehearsal::ChangeInstance(id, change) => Request::ChangeInstance { id, change },
            Rehearsal::SetTags(ids, tags) => Request::SetTags { ids, tags },
            Rehearsal::UnsetTags(ids, keys) => Request::UnsetTags { ids, keys },
            Rehearsal::CreateVolume(r) => Request::CreateVolume(r),
            Rehearsal::ModifyVolume(id, change) => Request::ModifyVolume { id, change },
            Rehearsal::Attach(volume, instance, device) => Request::Attach { volume, instance, device },
            Rehearsal::Detach(volume, instance, device) => Request::Detach { volume, instance, device },
            Rehearsal::DeleteVolume(id) => Request::DeleteVolume { id },
        };
        // No machine is made or ended, so none is paid for.
        match Sim::rehearse(self, request.action(), PLAIN, |w| w.arrive(&request)).await {
            Err(failure) if failure.code == WOULD => Ok(()),
            other => other.map(drop),
        }
    }

    async fn delete_volume(&self, id: &str) -> Result<(), Failure> {
        self.change(
            Action::DeleteVolume,
            PLAIN,
            |w| w.delete_volume(id),
            || Request::DeleteVolume { id: id.to_owned() },
        )
        .await
    }
}
