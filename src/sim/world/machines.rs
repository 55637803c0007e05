//! Instances: what the world keeps of one, what EC2 shows of it, and the calls that change one that exists.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::{
    Check, DeviceMapping, Instance, InstanceChange, InstanceState, InstanceStatus, Metadata, ScheduledEvent, Tags,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::World;
use crate::action::Action;
use crate::clock::later;
use crate::death::BY_USER;
use crate::dice::Span;
use crate::faults::is_zero;
use crate::laws;
use crate::refusal::{bad_value, busy, invalid, no_instance, not_found};

/// An instance. What can be derived from other objects (its VPC, its volumes) is not repeated here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Machine {
    /// Its state.
    pub state: InstanceState,
    /// When that state ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// EC2's reason for the last change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// `t3.small`.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// `ami-…`.
    pub image: String,
    /// `us-east-1a`.
    pub zone: String,
    /// `subnet-…`.
    pub subnet: String,
    /// Ids.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// Key pair's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Name of the instance profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_profile: Option<String>,
    /// The launch's client token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// `r-…`.
    pub reservation: String,
    /// Its place in the launch, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub launch_index: u32,
    /// When it was launched, or last started.
    pub launched: Timestamp,
    /// From when on it can be found.
    pub visible: Timestamp,
    /// From when on its status checks have an answer.
    pub checks_pass: Timestamp,
    /// Private IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_ip: Option<String>,
    /// Public IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<String>,
    /// It gets a public address whenever it starts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_public_ip: bool,
    /// Detailed monitoring.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub monitoring: bool,
    /// `DisableApiTermination`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// Spot, one-time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spot: bool,
    /// `default`, `dedicated`, `host`.
    #[serde(default = "default_tenancy", skip_serializing_if = "is_default_tenancy")]
    pub tenancy: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_group: Option<String>,
    /// Base64, as EC2 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// The check of its guest fails for the second half of each such period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaps: Option<Span>,
    /// The metadata service's settings.
    #[serde(default, skip_serializing_if = "is_default_metadata")]
    pub metadata: Metadata,
    /// Checks that fail, and since when.
    #[serde(default, skip_serializing_if = "Impaired::is_none")]
    pub impaired: Impaired,
    /// Scheduled events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ScheduledEvent>,
    /// All tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: Tags,
}

/// Since when which status check fails.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Impaired {
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Timestamp>,
    /// The guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Timestamp>,
    /// Its EBS volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs: Option<Timestamp>,
}

impl Impaired {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn default_tenancy() -> String {
    "default".to_owned()
}

fn is_default_tenancy(tenancy: &String) -> bool {
    tenancy == "default"
}

fn is_default_metadata(metadata: &Metadata) -> bool {
    *metadata == Metadata::default()
}

impl Machine {
    /// Terminated, or about to be: it never serves again.
    pub fn is_dead(&self) -> bool {
        match self.state {
            InstanceState::ShuttingDown | InstanceState::Terminated => true,
            InstanceState::Pending | InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped => false,
        }
    }

    /// Uses vCPUs, capacity and the account's limit.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, InstanceState::Pending | InstanceState::Running)
    }
}

/// `ids` may be found at most this many in one call: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html>
const MOST_IDS: usize = 1000;

impl World {
    /// The instance, if the caller can see it yet.
    pub(crate) fn seen_machine(&self, id: &str) -> Result<&Machine, Failure> {
        match self.instances.get(id) {
            Some(m) if m.visible <= self.now => Ok(m),
            _ => no_instance(id),
        }
    }

    /// The same for a list of ids: all or none.
    fn all_seen(&self, ids: &[String]) -> Result<(), Failure> {
        if ids.is_empty() {
            return invalid("MissingParameter", "The request must contain the parameter InstanceId");
        }
        if ids.len() > MOST_IDS {
            return bad_value(format!("{} instance ids are more than {MOST_IDS}.", ids.len()));
        }
        ids.iter().try_for_each(|id| self.seen_machine(id).map(|_| ()))
    }

    /// `TerminateInstances`.
    pub(crate) fn terminate(&mut self, ids: &[String]) -> Result<(), Failure> {
        self.all_seen(ids)?;
        if let Some(id) = ids.iter().find(|id| self.instances.get(*id).is_some_and(|m| m.protected && !m.is_dead())) {
            return Err(Failure::new(
                Class::Protected,
                "OperationNotPermitted",
                format!("The instance '{id}' may not be terminated. Modify its 'disableApiTermination' attribute."),
            ));
        }
        for id in ids {
            laws::before_destroying(self, Action::TerminateInstances, id);
            self.condemn(id, BY_USER);
        }
        self.spend_tokens();
        Ok(())
    }

    /// The end of an instance, whoever wants it. What is dead already stays as it is.
    pub(crate) fn condemn(&mut self, id: &str, reason: &str) {
        let ends = later(self.now, self.timing.shutdown.draw(self.seed, "shutdown", id));
        let Some(m) = self.instances.get_mut(id).filter(|m| !m.is_dead()) else { return };
        m.state = InstanceState::ShuttingDown;
        m.until = Some(ends);
        reason.clone_into(&mut m.reason);
    }

    /// `StopInstances`.
    pub(crate) fn stop(&mut self, ids: &[String]) -> Result<(), Failure> {
        self.all_seen(ids)?;
        for id in ids {
            let m = self.seen_machine(id)?;
            match m.state {
                InstanceState::Running if m.spot => {
                    return invalid("UnsupportedOperation", format!("'{id}' is a one-time spot instance."));
                }
                InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped => {}
                InstanceState::Pending | InstanceState::ShuttingDown | InstanceState::Terminated => {
                    return wrong_state(id, "stopped");
                }
            }
        }
        for id in ids {
            laws::before_stopping(self, id);
            self.halt(id, BY_USER);
        }
        Ok(())
    }

    /// A running instance stops, whoever wants it.
    pub(crate) fn halt(&mut self, id: &str, reason: &str) {
        let ends = later(self.now, self.timing.stop.draw(self.seed, "stop", id));
        let Some(m) = self.instances.get_mut(id).filter(|m| m.state == InstanceState::Running) else { return };
        m.state = InstanceState::Stopping;
        m.until = Some(ends);
        reason.clone_into(&mut m.reason);
    }

    /// `StartInstances`.
    pub(crate) fn start(&mut self, ids: &[String]) -> Result<(), Failure> {
        self.all_seen(ids)?;
        let mut wake: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for id in ids {
            let m = self.seen_machine(id)?;
            match m.state {
                InstanceState::Stopped => {
                    let place = (m.zone.clone(), m.instance_type.clone());
                    let list = wake.entry(place).or_default();
                    if !list.contains(id) {
                        list.push(id.clone());
                    }
                }
                InstanceState::Pending | InstanceState::Running => {}
                InstanceState::Stopping | InstanceState::ShuttingDown | InstanceState::Terminated => {
                    return wrong_state(id, "started");
                }
            }
        }
        for ((zone, instance_type), ids) in &wake {
            self.has_room(zone, instance_type, ids.len() as u32)?;
        }
        for id in wake.into_values().flatten() {
            self.boot(&id);
        }
        Ok(())
    }

    /// A stopped instance starts, on another host: what was wrong with the old host stays behind.
    pub(crate) fn boot(&mut self, id: &str) {
        let runs = later(self.now, self.timing.boot.draw(self.seed, "boot", format_args!("{id} {}", self.now)));
        let address = public_address(id);
        let now = self.now;
        let Some(m) = self.instances.get_mut(id).filter(|m| m.state == InstanceState::Stopped) else { return };
        m.state = InstanceState::Pending;
        m.until = Some(runs);
        m.launched = now;
        m.reason.clear();
        m.impaired = Impaired::default();
        m.public_ip = m.wants_public_ip.then_some(address);
    }

    /// `RebootInstances`: mends a hung guest, not its host.
    pub(crate) fn reboot(&mut self, ids: &[String]) -> Result<(), Failure> {
        self.all_seen(ids)?;
        for id in ids {
            if self.seen_machine(id)?.state != InstanceState::Running {
                return wrong_state(id, "rebooted");
            }
        }
        for id in ids {
            let passes =
                later(self.now, self.timing.checks.draw(self.seed, "checks", format_args!("{id} {}", self.now)));
            if let Some(m) = self.instances.get_mut(id) {
                m.impaired.instance = None;
                m.checks_pass = passes;
            }
        }
        Ok(())
    }

    /// One change to one instance.
    pub(crate) fn change_instance(&mut self, id: &str, change: &InstanceChange) -> Result<(), Failure> {
        let m = self.seen_machine(id)?;
        if m.is_dead() {
            return wrong_state(id, "modified");
        }
        match change {
            InstanceChange::Type(_) if m.state != InstanceState::Stopped => {
                return busy("IncorrectInstanceState", format!("The instance '{id}' is not in the 'stopped' state."));
            }
            InstanceChange::Type(t) => {
                let Some(wanted) = self.types.get(t) else {
                    return invalid("InvalidInstanceAttributeValue", format!("Invalid value '{t}' for instanceType."));
                };
                if self.types.get(&m.instance_type).is_some_and(|now| now.architecture != wanted.architecture) {
                    return invalid("InvalidInstanceAttributeValue", format!("'{t}' has another architecture."));
                }
            }
            InstanceChange::SecurityGroups(groups) => {
                if groups.is_empty() {
                    return bad_value("An instance needs at least one security group.");
                }
                let vpc = self.subnets.get(&m.subnet).map(|s| s.vpc.clone()).unwrap_or_default();
                self.groups_of(&vpc, groups)?;
            }
            InstanceChange::Metadata(metadata) => check_metadata(metadata)?,
            InstanceChange::Protect(_) | InstanceChange::Monitoring(_) => {}
        }
        let Some(m) = self.instances.get_mut(id) else { return no_instance(id) };
        match change {
            InstanceChange::Type(t) => m.instance_type.clone_from(t),
            InstanceChange::SecurityGroups(groups) => m.security_groups.clone_from(groups),
            InstanceChange::Protect(on) => m.protected = *on,
            InstanceChange::Monitoring(on) => m.monitoring = *on,
            InstanceChange::Metadata(metadata) => m.metadata = metadata.clone(),
        }
        Ok(())
    }

    /// `MonitorInstances`, `UnmonitorInstances`: all or none.
    pub(crate) fn monitor(&mut self, ids: &[String], on: bool) -> Result<(), Failure> {
        self.all_seen(ids)?;
        if let Some(id) = ids.iter().find(|id| self.instances.get(*id).is_some_and(Machine::is_dead)) {
            return wrong_state(id, "monitored");
        }
        ids.iter().try_for_each(|id| self.change_instance(id, &InstanceChange::Monitoring(on)))
    }

    /// Another profile, or none.
    pub(super) fn set_profile(&mut self, id: &str, profile: Option<&str>) -> Result<(), Failure> {
        let name = profile.map(|name| self.profile(name)).transpose()?;
        if self.seen_machine(id)?.is_dead() {
            return wrong_state(id, "modified");
        }
        let Some(m) = self.instances.get_mut(id) else { return no_instance(id) };
        m.instance_profile = name;
        Ok(())
    }

    /// Its boot script, which only a read per instance shows.
    pub(crate) fn user_data(&self, id: &str) -> Result<Option<Vec<u8>>, Failure> {
        let m = self.seen_machine(id)?;
        Ok(m.user_data.as_ref().and_then(|text| BASE64.decode(text.as_bytes()).ok()))
    }

    /// The instance as `DescribeInstances` shows it; `devices` are the volumes that hang on it.
    pub(crate) fn show_machine(&self, id: &str, m: &Machine, devices: BTreeMap<String, DeviceMapping>) -> Instance {
        let group = |id: &String| {
            let name = self.security_groups.get(id).map(|g| g.name.clone()).unwrap_or_default();
            (id.clone(), name)
        };
        // What is terminated stands in no network any more.
        let placed = m.state != InstanceState::Terminated;
        let subnet = if placed { m.subnet.clone() } else { String::new() };
        Instance {
            id: id.to_owned(),
            reservation: m.reservation.clone(),
            launch_index: m.launch_index,
            client_token: m.token.clone(),
            state: m.state,
            state_reason: m.reason.clone(),
            image: m.image.clone(),
            instance_type: m.instance_type.clone(),
            zone: m.zone.clone(),
            vpc: self.subnets.get(&subnet).map(|s| s.vpc.clone()).unwrap_or_default(),
            subnet,
            security_groups: m.security_groups.iter().filter(|_| placed).map(group).collect(),
            key: m.key.clone(),
            instance_profile: m.instance_profile.as_ref().map(|name| self.profile_arn(name)),
            launched: m.launched,
            root_device: self.images.get(&m.image).map(|i| i.root_device.clone()),
            devices,
            public_ip: m.public_ip.clone(),
            private_ip: m.private_ip.clone(),
            monitoring: m.monitoring,
            metadata: m.metadata.clone(),
            spot: m.spot,
            tenancy: m.tenancy.clone(),
            placement_group: m.placement_group.clone(),
            tags: m.tags.clone().into(),
        }
    }

    /// The instance's checks, as `DescribeInstanceStatus` shows them.
    pub(crate) fn status(&self, id: &str, m: &Machine) -> InstanceStatus {
        let lost = self.zones.get(&m.zone).and_then(|z| z.lost);
        let bad_image = self.images.get(&m.image).is_some_and(|i| i.bad).then_some(m.checks_pass);
        let flaps = m.flaps.and_then(|span| self.flapping_since(id, m, span));
        let check = |causes: &[Option<Timestamp>]| {
            if m.state != InstanceState::Running {
                return (Check::NotApplicable, None);
            }
            match causes.iter().flatten().filter(|since| **since <= self.now).min() {
                Some(since) => (Check::Impaired, Some(*since)),
                None if self.now < m.checks_pass => (Check::Initializing, None),
                None => (Check::Ok, None),
            }
        };
        InstanceStatus {
            id: id.to_owned(),
            system: check(&[m.impaired.system, lost]),
            instance: check(&[m.impaired.instance, lost, bad_image, flaps]),
            ebs: check(&[m.impaired.ebs]),
            events: m.events.clone(),
        }
    }

    /// Running, and every check passed.
    pub(crate) fn is_ready(&self, id: &str, m: &Machine) -> bool {
        let s = self.status(id, m);
        [s.system.0, s.instance.0, s.ebs.0].iter().all(|c| *c == Check::Ok)
    }

    /// Since when a flapping machine's check fails, if it does now: in the second half of each period.
    fn flapping_since(&self, id: &str, m: &Machine, span: Span) -> Option<Timestamp> {
        let half = span.draw(self.seed, "flap", id).as_millis() as i64 / 2;
        let age = self.now.duration_since(m.checks_pass).as_millis() as i64;
        let halves = age.checked_div(half).filter(|n| age >= 0 && n % 2 == 1)?;
        Some(later(m.checks_pass, std::time::Duration::from_millis((halves * half) as u64)))
    }

    /// The profile's name, if it exists; `name` may be an ARN.
    pub(super) fn profile(&self, name: &str) -> Result<String, Failure> {
        let name = profile_name(name);
        if self.instance_profiles.iter().any(|p| p == name) {
            return Ok(name.to_owned());
        }
        bad_value(format!("Value ({name}) for parameter iamInstanceProfile.name is invalid: there is no such profile."))
    }

    pub(super) fn profile_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:instance-profile/{name}", self.account)
    }

    /// Whether these groups exist in this VPC.
    pub(super) fn groups_of(&self, vpc: &str, groups: &[String]) -> Result<(), Failure> {
        for id in groups {
            match self.security_groups.get(id) {
                None => return not_found("InvalidGroup.NotFound", format!("The security group '{id}' does not exist")),
                Some(g) if g.vpc != vpc => {
                    return invalid(
                        "InvalidParameter",
                        format!("Security group {id} and the subnet belong to different networks."),
                    );
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

pub(super) fn check_metadata(metadata: &Metadata) -> Result<(), Failure> {
    if (1..=64).contains(&metadata.hop_limit) {
        Ok(())
    } else {
        bad_value(format!("Value ({}) for HttpPutResponseHopLimit is invalid: 1 to 64.", metadata.hop_limit))
    }
}

/// An address of 198.18.0.0/15, which is kept for benchmarks and reaches nobody.
pub(super) fn public_address(id: &str) -> String {
    let n = u64::from_str_radix(id.trim_start_matches("i-"), 16).unwrap_or(0) % (1 << 17);
    std::net::Ipv4Addr::from(0xC612_0000 + n as u32).to_string()
}

fn profile_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn wrong_state<T>(id: &str, wish: &str) -> Result<T, Failure> {
    busy("IncorrectInstanceState", format!("The instance '{id}' is not in a state from which it can be {wish}."))
}
