//! The world for EC2's own protocol: one method a kind of call, each one wire call, with all that other clients may
//! ask and evenkeel does not.
//!
//! It knows nothing of HTTP or XML: `src/front` renders, under the world's lock, from what it is shown here.

use std::collections::BTreeMap;

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{Caller, Image, Instance, InstanceStatus, Page, Query, SecurityGroup, Subnet, Volume, Zone};

use crate::action::Action;
use crate::api::{PLAIN, listing};
use crate::request::{Done, Request};
use crate::sim::Sim;
use crate::world::{Association, Cost, Machine, MachineType, World};

/// A caller that speaks EC2's protocol. `show` makes the answer out of what was found or done.
#[derive(Debug, Clone, Copy)]
pub struct Wire<'a> {
    sim: &'a Sim,
    dry_run: bool,
}

impl Sim {
    /// The door for EC2's protocol. With `dry_run`, nothing is done and the answer is `DryRunOperation`, or what
    /// forbids the call.
    pub fn wire(&self, dry_run: bool) -> Wire<'_> {
        Wire { sim: self, dry_run }
    }
}

impl Wire<'_> {
    async fn read<T: Send>(
        &self,
        action: Action,
        cost: Cost,
        work: impl Fn(&mut World) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        if self.dry_run {
            return self.sim.rehearse(action, cost, work).await;
        }
        self.sim.read(action, cost, work).await
    }

    /// `GetCallerIdentity`.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn caller<T: Send>(&self, show: impl Fn(Caller) -> T + Send) -> Result<T, Failure> {
        self.read(Action::GetCallerIdentity, PLAIN, move |w| Ok(show(w.caller()))).await
    }

    /// `AssumeRole`: whose account it is, and who asked.
    ///
    /// # Errors
    /// As STS refuses it.
    pub async fn assumed(&self) -> Result<Caller, Failure> {
        self.read(Action::AssumeRole, PLAIN, |w| Ok(w.caller())).await
    }

    /// `GetParameter`.
    ///
    /// # Errors
    /// As SSM refuses it.
    pub async fn parameter(&self, name: &str) -> Result<String, Failure> {
        self.read(Action::GetParameter, PLAIN, move |w| w.parameter(name)).await
    }

    /// Service Quotas' `GetServiceQuota` of EC2.
    ///
    /// # Errors
    /// As Service Quotas refuses it.
    pub async fn quota(&self, code: &str) -> Result<f64, Failure> {
        self.read(Action::GetServiceQuota, PLAIN, move |w| w.quota(code)).await
    }

    /// `DescribeInstanceTypes` of these.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn types<T: Send>(
        &self,
        names: &[String],
        show: impl Fn(BTreeMap<String, MachineType>) -> T + Send,
    ) -> Result<T, Failure> {
        self.read(Action::DescribeInstanceTypes, PLAIN, move |w| w.list_types(names).map(&show)).await
    }

    /// `DescribeAvailabilityZones`.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn zones<T: Send>(&self, show: impl Fn(&World, Vec<Zone>) -> T + Send) -> Result<T, Failure> {
        self.read(Action::DescribeAvailabilityZones, PLAIN, move |w| Ok(show(w, w.list_zones()))).await
    }

    /// `DescribeInstances`, one page.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn instances<T: Send>(
        &self,
        query: &Query,
        show: impl Fn(&World, Page<Instance>) -> T + Send,
    ) -> Result<T, Failure> {
        let action = Action::DescribeInstances;
        self.read(action, listing(query), move |w| w.list_instances(query).map(|page| show(w, page))).await
    }

    /// `DescribeInstanceStatus`, one page: of running instances only, or of `all`.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn statuses<T: Send>(
        &self,
        query: &Query,
        all: bool,
        show: impl Fn(&World, Page<InstanceStatus>) -> T + Send,
    ) -> Result<T, Failure> {
        let action = Action::DescribeInstanceStatus;
        self.read(action, listing(query), move |w| w.list_statuses(query, all).map(|page| show(w, page))).await
    }

    /// `DescribeInstanceAttribute`.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn instance<T: Send>(
        &self,
        id: &str,
        show: impl Fn(&World, &Machine) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        self.read(Action::DescribeInstanceAttribute, PLAIN, move |w| show(w, w.seen_machine(id)?)).await
    }

    /// `DescribeIamInstanceProfileAssociations`, one page.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn associations<T: Send>(
        &self,
        query: &Query,
        show: impl Fn(&World, Page<Association>) -> T + Send,
    ) -> Result<T, Failure> {
        let action = Action::DescribeIamInstanceProfileAssociations;
        self.read(action, PLAIN, move |w| w.list_associations(query).map(|page| show(w, page))).await
    }

    /// `DescribeVolumes`, one page.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn volumes<T: Send>(
        &self,
        query: &Query,
        show: impl Fn(&World, Page<Volume>) -> T + Send,
    ) -> Result<T, Failure> {
        let action = Action::DescribeVolumes;
        self.read(action, listing(query), move |w| w.list_volumes(query).map(|page| show(w, page))).await
    }

    /// `DescribeImages`, one page.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn images<T: Send>(
        &self,
        owners: &[String],
        query: &Query,
        show: impl Fn(&World, Page<Image>) -> T + Send,
    ) -> Result<T, Failure> {
        let action = Action::DescribeImages;
        self.read(action, PLAIN, move |w| w.list_images(owners, query).map(|page| show(w, page))).await
    }

    /// `DescribeSubnets`, one page.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn subnets<T: Send>(
        &self,
        query: &Query,
        show: impl Fn(&World, Page<Subnet>) -> T + Send,
    ) -> Result<T, Failure> {
        self.read(Action::DescribeSubnets, PLAIN, move |w| w.list_subnets(query).map(|page| show(w, page))).await
    }

    /// `DescribeSecurityGroups`, one page.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn security_groups<T: Send>(
        &self,
        query: &Query,
        show: impl Fn(&World, Page<SecurityGroup>) -> T + Send,
    ) -> Result<T, Failure> {
        let action = Action::DescribeSecurityGroups;
        self.read(action, listing(query), move |w| w.list_security_groups(query).map(|page| show(w, page))).await
    }

    /// A call that changes the world.
    ///
    /// # Errors
    /// As EC2 refuses it.
    pub async fn change<T: Send>(
        &self,
        request: &Request,
        show: impl Fn(&World, Done) -> T + Send,
    ) -> Result<T, Failure> {
        let (action, cost) = (request.action(), request.cost());
        let work = move |w: &mut World| w.arrive(request).map(|done| show(w, done));
        if self.dry_run {
            return self.sim.rehearse(action, cost, work).await;
        }
        self.sim.change(action, cost, work, || request.clone()).await
    }
}
