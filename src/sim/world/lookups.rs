//! What can be read: each list's filters, and the single look-ups.

use std::collections::BTreeMap;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::{
    Caller, Check, Image, Instance, InstanceState, InstanceStatus, Page, Query, SecurityGroup, Subnet, Tags, Volume,
    VolumeState, Zone,
};

use super::launch::addresses;
use super::lists::{Listed, check_query};
use super::{MachineType, World};
use crate::refusal::{bad_value, no_instance, no_volume, not_found};

/// Ids in one `DescribeInstanceStatus`:
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html>
const MOST_STATUS_IDS: usize = 100;

impl World {
    /// `GetCallerIdentity`.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            account: self.account.clone(),
            arn: format!("arn:aws:iam::{}:user/evenkeel", self.account),
            region: self.region.clone(),
        }
    }

    /// `DescribeAvailabilityZones`.
    pub(crate) fn list_zones(&self) -> Vec<Zone> {
        let zone = |(name, z): (&String, &super::Zone)| Zone {
            name: name.clone(),
            available: z.lost.is_none() || !z.announced,
        };
        self.zones.iter().map(zone).collect()
    }

    /// `GetParameter`.
    pub(crate) fn parameter(&self, name: &str) -> Result<String, Failure> {
        match self.parameters.get(name) {
            Some(value) => Ok(value.clone()),
            None => Err(Failure::new(Class::NotFound, "ParameterNotFound", format!("There is no parameter {name}"))),
        }
    }

    /// Service Quotas' `GetServiceQuota` of EC2: there is one limit here, and both markets share it.
    pub(crate) fn quota(&self, code: &str) -> Result<f64, Failure> {
        match code {
            "L-1216C47A" | "L-34B43A08" => Ok(self.limits.vcpus.into()),
            _ => {
                let says = format!("The request failed because the specified quota {code} does not exist.");
                Err(Failure::new(Class::NotFound, "NoSuchResourceException", says))
            }
        }
    }

    /// `DescribeInstanceTypes` of these.
    pub(crate) fn list_types(&self, names: &[String]) -> Result<BTreeMap<String, MachineType>, Failure> {
        let unknown: Vec<&str> = names.iter().filter(|n| !self.types.contains_key(*n)).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(names.iter().filter_map(|n| Some((n.clone(), self.types.get(n)?.clone()))).collect());
        }
        let says = format!("The following supplied instance types do not exist: [{}]", unknown.join(", "));
        Err(Failure::new(Class::Invalid, "InvalidInstanceType", says))
    }

    /// `DescribeInstances`, one page.
    pub(crate) fn list_instances(&self, query: &Query) -> Result<Page<Instance>, Failure> {
        check_query::<Instance>(query)?;
        let machines = self.frozen.as_ref().filter(|_| query.ids.is_empty()).map_or(&self.instances, |f| &f.instances);
        for id in &query.ids {
            self.seen_machine(id)?;
        }
        let mut devices = self.devices();
        self.page(query, machines.keys(), |id| {
            let m = machines.get(id).filter(|m| m.visible <= self.now)?;
            Some(self.show_machine(id, m, devices.remove(id).unwrap_or_default()))
        })
    }

    /// `DescribeInstanceStatus`, one page: of running instances only, or of `all`.
    pub(crate) fn list_statuses(&self, query: &Query, all: bool) -> Result<Page<InstanceStatus>, Failure> {
        check_query::<StatusRow>(query)?;
        if query.ids.len() > MOST_STATUS_IDS {
            return bad_value(format!("{} instance ids are more than {MOST_STATUS_IDS}.", query.ids.len()));
        }
        for id in &query.ids {
            if self.instances.get(id).is_none_or(|m| m.visible > self.now) {
                return no_instance(id);
            }
        }
        let page = self.page(query, self.instances.keys(), |id| {
            let shown = |m: &&super::Machine| m.visible <= self.now && (all || m.state == InstanceState::Running);
            let m = self.instances.get(id).filter(shown)?;
            Some(StatusRow { row: self.status(id, m), state: m.state, zone: m.zone.clone() })
        })?;
        Ok(Page { items: page.items.into_iter().map(|r| r.row).collect(), next_token: page.next_token })
    }

    /// `DescribeVolumes`, one page.
    pub(crate) fn list_volumes(&self, query: &Query) -> Result<Page<Volume>, Failure> {
        check_query::<Volume>(query)?;
        let volumes = self.frozen.as_ref().filter(|_| query.ids.is_empty()).map_or(&self.volumes, |f| &f.volumes);
        for id in &query.ids {
            if volumes.get(id).is_none_or(|v| v.visible > self.now) {
                return no_volume(id);
            }
        }
        let show = |id: &str| volumes.get(id).filter(|v| v.visible <= self.now).map(|v| v.show(id));
        self.page(query, volumes.keys(), show)
    }

    /// `DescribeImages`, one page.
    pub(crate) fn list_images(&self, owners: &[String], query: &Query) -> Result<Page<Image>, Failure> {
        check_query::<ImageRow>(query)?;
        for id in &query.ids {
            if !self.images.contains_key(id) {
                return not_found("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"));
            }
        }
        let owned = |i: &super::Image| {
            owners.is_empty()
                || owners.iter().any(|o| {
                    let me = o == "self" && i.owner == self.account;
                    me || *o == i.owner || i.alias.as_ref() == Some(o)
                })
        };
        let page = self.page(query, self.images.keys(), |id| {
            let i = self.images.get(id).filter(|i| owned(i))?;
            let row = Image {
                id: id.to_owned(),
                name: i.name.clone(),
                owner: i.owner.clone(),
                created: Some(i.created),
                root_device: Some(i.root_device.clone()),
                available: i.available,
                architecture: i.architecture.clone(),
            };
            Some(ImageRow { row, alias: i.alias.clone(), tags: i.tags.clone() })
        })?;
        Ok(Page { items: page.items.into_iter().map(|r| r.row).collect(), next_token: page.next_token })
    }

    /// The subnet, if there is one of this id.
    pub(super) fn subnet(&self, id: &str) -> Result<&super::Subnet, Failure> {
        match self.subnets.get(id) {
            Some(s) => Ok(s),
            None => not_found("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist")),
        }
    }

    /// `DescribeSubnets`, one page.
    pub(crate) fn list_subnets(&self, query: &Query) -> Result<Page<Subnet>, Failure> {
        check_query::<Subnet>(query)?;
        query.ids.iter().try_for_each(|id| self.subnet(id).map(|_| ()))?;
        let mut taken: std::collections::BTreeMap<&str, u32> = std::collections::BTreeMap::new();
        for m in self.instances.values().filter(|m| m.private_ip.is_some()) {
            *taken.entry(&m.subnet).or_default() += 1;
        }
        self.page(query, self.subnets.keys(), |id| {
            let s = self.subnets.get(id)?;
            let all = addresses(&s.cidr).map_or(0, |(from, to)| to - from);
            Some(Subnet {
                id: id.to_owned(),
                zone: s.zone.clone(),
                vpc: s.vpc.clone(),
                free: all.saturating_sub(taken.get(id).copied().unwrap_or(0)),
                default_for_zone: s.default,
                tags: s.tags.clone(),
            })
        })
    }

    /// `DescribeSecurityGroups`, one page.
    pub(crate) fn list_security_groups(&self, query: &Query) -> Result<Page<SecurityGroup>, Failure> {
        check_query::<GroupRow>(query)?;
        for id in &query.ids {
            if !self.security_groups.contains_key(id) {
                return not_found("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"));
            }
        }
        let page = self.page(query, self.security_groups.keys(), |id| {
            let g = self.security_groups.get(id)?;
            let row = SecurityGroup { id: id.to_owned(), name: g.name.clone(), vpc: g.vpc.clone() };
            Some(GroupRow { row, tags: g.tags.clone() })
        })?;
        Ok(Page { items: page.items.into_iter().map(|r| r.row).collect(), next_token: page.next_token })
    }
}

struct StatusRow {
    row: InstanceStatus,
    state: InstanceState,
    zone: String,
}

struct ImageRow {
    row: Image,
    alias: Option<String>,
    tags: Tags,
}

struct GroupRow {
    row: SecurityGroup,
    tags: Tags,
}

fn state_word(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Pending => "pending",
        InstanceState::Running => "running",
        InstanceState::Stopping => "stopping",
        InstanceState::Stopped => "stopped",
        InstanceState::ShuttingDown => "shutting-down",
        InstanceState::Terminated => "terminated",
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

fn check_word(check: Check) -> &'static str {
    match check {
        Check::Ok => "ok",
        Check::Impaired => "impaired",
        Check::Initializing => "initializing",
        Check::InsufficientData => "insufficient-data",
        Check::NotApplicable => "not-applicable",
    }
}

/// One value.
fn one(value: impl Into<String>) -> Vec<String> {
    vec![value.into()]
}

/// No value, or one.
fn some(value: Option<&String>) -> Vec<String> {
    value.cloned().into_iter().collect()
}

impl Listed for Instance {
    const FILTERS: &'static [&'static str] = &[
        "instance-id",
        "client-token",
        "instance-state-name",
        "instance-type",
        "availability-zone",
        "image-id",
        "key-name",
        "reservation-id",
        "vpc-id",
        "subnet-id",
        "instance.group-id",
        "instance.group-name",
        "private-ip-address",
        "tenancy",
        "placement-group-name",
        "block-device-mapping.volume-id",
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    fn field(&self, filter: &str) -> Option<Vec<String>> {
        Some(match filter {
            "instance-id" => one(&self.id),
            "client-token" => one(&self.client_token),
            "instance-state-name" => one(state_word(self.state)),
            "instance-type" => one(&self.instance_type),
            "availability-zone" => one(&self.zone),
            "image-id" => one(&self.image),
            "key-name" => some(self.key.as_ref()),
            "reservation-id" => one(&self.reservation),
            "vpc-id" => one(&self.vpc),
            "subnet-id" => one(&self.subnet),
            "instance.group-id" => self.security_groups.iter().map(|(id, _)| id.clone()).collect(),
            "instance.group-name" => self.security_groups.iter().map(|(_, name)| name.clone()).collect(),
            "private-ip-address" => some(self.private_ip.as_ref()),
            "tenancy" => one(&self.tenancy),
            "placement-group-name" => some(self.placement_group.as_ref()),
            "block-device-mapping.volume-id" => self.devices.values().map(|d| d.volume.clone()).collect(),
            _ => return None,
        })
    }
}

impl Listed for StatusRow {
    const FILTERS: &'static [&'static str] =
        &["availability-zone", "instance-state-name", "instance-status.status", "system-status.status", "event.code"];
    const TAGGED: bool = false;

    fn id(&self) -> &str {
        &self.row.id
    }

    fn tags(&self) -> Option<&Tags> {
        None
    }

    fn field(&self, filter: &str) -> Option<Vec<String>> {
        Some(match filter {
            "availability-zone" => one(&self.zone),
            "instance-state-name" => one(state_word(self.state)),
            "instance-status.status" => one(check_word(self.row.instance.0)),
            "system-status.status" => one(check_word(self.row.system.0)),
            "event.code" => self.row.events.iter().map(|e| e.code.clone()).collect(),
            _ => return None,
        })
    }
}

impl Listed for Volume {
    const FILTERS: &'static [&'static str] = &[
        "volume-id",
        "status",
        "availability-zone",
        "volume-type",
        "size",
        "snapshot-id",
        "encrypted",
        "attachment.instance-id",
        "attachment.device",
        "attachment.status",
        "attachment.delete-on-termination",
    ];

    fn id(&self) -> &str {
        &self.id
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    fn field(&self, filter: &str) -> Option<Vec<String>> {
        use evenkeel_ec2::api::AttachState as A;
        let attach_word = |state| match state {
            A::Attaching => "attaching",
            A::Attached => "attached",
            A::Detaching => "detaching",
            A::Busy => "busy",
            A::Detached => "detached",
        };
        Some(match filter {
            "volume-id" => one(&self.id),
            "status" => one(volume_word(self.state)),
            "availability-zone" => one(&self.zone),
            "volume-type" => one(&self.volume_type),
            "size" => one(self.size.to_string()),
            "snapshot-id" => some(self.snapshot.as_ref()),
            "encrypted" => one(self.encrypted.to_string()),
            "attachment.instance-id" => self.attachments.iter().map(|a| a.instance.clone()).collect(),
            "attachment.device" => self.attachments.iter().map(|a| a.device.clone()).collect(),
            "attachment.status" => self.attachments.iter().map(|a| attach_word(a.state).to_owned()).collect(),
            "attachment.delete-on-termination" => {
                self.attachments.iter().map(|a| a.delete_on_termination.to_string()).collect()
            }
            _ => return None,
        })
    }
}

impl Listed for ImageRow {
    const FILTERS: &'static [&'static str] = &[
        "image-id",
        "name",
        "owner-id",
        "owner-alias",
        "state",
        "architecture",
        "root-device-type",
        "virtualization-type",
        "is-public",
    ];

    fn id(&self) -> &str {
        &self.row.id
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    fn field(&self, filter: &str) -> Option<Vec<String>> {
        Some(match filter {
            "image-id" => one(&self.row.id),
            "name" => one(&self.row.name),
            "owner-id" => one(&self.row.owner),
            "owner-alias" => some(self.alias.as_ref()),
            "state" => one(if self.row.available { "available" } else { "deregistered" }),
            "architecture" => one(&self.row.architecture),
            // The sim has no other images.
            "root-device-type" => one("ebs"),
            "virtualization-type" => one("hvm"),
            "is-public" => one("true"),
            _ => return None,
        })
    }
}

impl Listed for Subnet {
    const FILTERS: &'static [&'static str] =
        &["subnet-id", "availability-zone", "availabilityZone", "vpc-id", "default-for-az", "defaultForAz", "state"];

    fn id(&self) -> &str {
        &self.id
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    fn field(&self, filter: &str) -> Option<Vec<String>> {
        Some(match filter {
            "subnet-id" => one(&self.id),
            "availability-zone" | "availabilityZone" => one(&self.zone),
            "vpc-id" => one(&self.vpc),
            "default-for-az" | "defaultForAz" => one(self.default_for_zone.to_string()),
            "state" => one("available"),
            _ => return None,
        })
    }
}

impl Listed for GroupRow {
    const FILTERS: &'static [&'static str] = &["group-id", "group-name", "vpc-id"];

    fn id(&self) -> &str {
        &self.row.id
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    fn field(&self, filter: &str) -> Option<Vec<String>> {
        Some(match filter {
            "group-id" => one(&self.row.id),
            "group-name" => one(&self.row.name),
            "vpc-id" => one(&self.row.vpc),
            _ => return None,
        })
    }
}
