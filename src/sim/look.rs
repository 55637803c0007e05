//! A look at the world from above, for `evenkeel sim`: all of it, hidden things too, sorted for reading.

use std::collections::BTreeMap;

use evenkeel_core::stamp::tag;
use evenkeel_ec2::api::{Check, InstanceState, Tags, VolumeState};
use jiff::Timestamp;
use serde::Serialize;

use crate::action::Action;
use crate::faults::Fault;
use crate::laws::{Violation, claim};
use crate::ops::Scripted;
use crate::world::World;

/// The world at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Look {
    /// The world's time.
    pub now: Timestamp,
    /// `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// Where its chance comes from.
    pub seed: u64,
    /// Its zones.
    pub zones: Vec<ZoneLook>,
    /// Its instances, by address and then by id; the terminated last.
    pub machines: Vec<MachineLook>,
    /// Its volumes, by address and then by id.
    pub volumes: Vec<VolumeLook>,
    /// What goes wrong with calls.
    pub faults: Vec<Fault>,
    /// What is to come.
    pub script: Vec<Scripted>,
    /// Calls ever made.
    pub calls: BTreeMap<Action, u64>,
    /// Broken laws.
    pub violations: Vec<Violation>,
}

/// A zone at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ZoneLook {
    /// `us-east-1a`.
    pub name: String,
    /// Since when it is lost.
    pub lost: Option<Timestamp>,
    /// EC2 says so too.
    pub announced: bool,
    /// Its live instances.
    pub machines: usize,
    /// How many of a type it holds at most, where that is bounded.
    pub capacity: BTreeMap<String, u32>,
}

/// An instance at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MachineLook {
    /// `i-…`.
    pub id: String,
    /// `machines.web/3`, where its tags say so.
    pub address: Option<String>,
    /// The stack it says it belongs to.
    pub stack: Option<String>,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// Its state.
    pub state: InstanceState,
    /// `t3.small`.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// `us-east-1a`.
    pub zone: String,
    /// Names of its security groups.
    pub security_groups: Vec<String>,
    /// The check of its host, and since when it fails.
    pub system: (Check, Option<Timestamp>),
    /// The check of its guest, and since when it fails.
    pub instance: (Check, Option<Timestamp>),
    /// The check of its volumes, and since when it fails.
    pub ebs: (Check, Option<Timestamp>),
    /// `DisableApiTermination`.
    pub protected: bool,
    /// When it was launched, or last started.
    pub launched: Timestamp,
    /// Codes of its scheduled events.
    pub events: Vec<String>,
}

/// A volume at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VolumeLook {
    /// `vol-…`.
    pub id: String,
    /// `volumes.data/3`, where its tags say so.
    pub address: Option<String>,
    /// The stack it says it belongs to.
    pub stack: Option<String>,
    /// Its state.
    pub state: VolumeState,
    /// `us-east-1a`.
    pub zone: String,
    /// GiB.
    pub size: u32,
    /// `gp3`.
    #[serde(rename = "type")]
    pub volume_type: String,
    /// The instance it hangs on.
    pub instance: Option<String>,
    /// As which device.
    pub device: Option<String>,
    /// Dies with that instance.
    pub dies_with_it: bool,
}

impl World {
    /// The world at a glance.
    pub fn look(&self) -> Look {
        Look {
            now: self.now,
            region: self.region.clone(),
            account: self.account.clone(),
            seed: self.seed,
            zones: self.zones.keys().map(|name| self.look_at_zone(name)).collect(),
            machines: self.look_at_machines(),
            volumes: self.look_at_volumes(),
            faults: self.faults.clone(),
            script: self.script.clone(),
            calls: self.calls.clone(),
            violations: self.violations.clone(),
        }
    }

    fn look_at_zone(&self, name: &str) -> ZoneLook {
        let zone = self.zones.get(name).cloned().unwrap_or_default();
        ZoneLook {
            name: name.to_owned(),
            lost: zone.lost,
            announced: zone.announced,
            machines: self.instances.values().filter(|m| m.zone == name && !m.is_dead()).count(),
            capacity: zone.capacity,
        }
    }

    fn look_at_machines(&self) -> Vec<MachineLook> {
        let mut all: Vec<_> = self
            .instances
            .iter()
            .map(|(id, m)| {
                let status = self.status(id, m);
                let group = |id: &String| self.security_groups.get(id).map_or_else(|| id.clone(), |g| g.name.clone());
                let look = MachineLook {
                    id: id.clone(),
                    address: address(id, m.launch_index, &m.tags),
                    stack: m.tags.get(tag::STACK).cloned(),
                    name: m.tags.get(tag::NAME).cloned(),
                    state: m.state,
                    instance_type: m.instance_type.clone(),
                    zone: m.zone.clone(),
                    security_groups: m.security_groups.iter().map(group).collect(),
                    system: status.system,
                    instance: status.instance,
                    ebs: status.ebs,
                    protected: m.protected,
                    launched: m.launched,
                    events: m.events.iter().map(|e| e.code.clone()).collect(),
                };
                (m.is_dead(), place(id, m.launch_index, &m.tags), look)
            })
            .collect();
        all.sort_by(|a, b| (a.0, &a.1, &a.2.id).cmp(&(b.0, &b.1, &b.2.id)));
        all.into_iter().map(|(_, _, look)| look).collect()
    }

    fn look_at_volumes(&self) -> Vec<VolumeLook> {
        let mut all: Vec<_> = self
            .volumes
            .iter()
            .map(|(id, v)| {
                let look = VolumeLook {
                    id: id.clone(),
                    address: address(id, 0, &v.tags),
                    stack: v.tags.get(tag::STACK).cloned(),
                    state: v.shown_state(),
                    zone: v.zone.clone(),
                    size: v.size,
                    volume_type: v.volume_type.clone(),
                    instance: v.hold.as_ref().map(|h| h.instance.clone()),
                    device: v.hold.as_ref().map(|h| h.device.clone()),
                    dies_with_it: v.hold.as_ref().is_some_and(|h| h.delete_on_termination),
                };
                (place(id, 0, &v.tags), look)
            })
            .collect();
        all.sort_by(|a, b| (&a.0, &a.1.id).cmp(&(&b.0, &b.1.id)));
        all.into_iter().map(|(_, look)| look).collect()
    }
}

/// `machines.web/3`, or the group alone for a part of a machine.
fn address(id: &str, index: u32, tags: &Tags) -> Option<String> {
    let whole = claim(id, index, tags).map(|((_, group, slot), _)| format!("{group}/{slot}"));
    whole.or_else(|| tags.get(tag::ADDRESS).cloned())
}

/// What the lists are sorted by: what bears no address stands last.
fn place(id: &str, index: u32, tags: &Tags) -> (bool, Option<String>, Option<u32>) {
    let slot = claim(id, index, tags).map(|((_, _, slot), _)| slot);
    let group = tags.get(tag::ADDRESS).cloned();
    (group.is_none(), group, slot)
}
