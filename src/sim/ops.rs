//! Hands in the world: what a person does to it behind evenkeel's back, and what a script does at its time.

use std::fmt;

use evenkeel_core::stamp::tag;
use evenkeel_ec2::api::{InstanceState, ScheduledEvent};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cluster::{Hand, Moment};
use crate::death::{BY_USER, Death};
use crate::dice::Span;
use crate::faults::Fault;
use crate::laws::{Floor, claim};
use crate::request::Request;
use crate::world::{Impaired, World};

/// A deed for a time of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scripted {
    /// When.
    pub at: Timestamp,
    /// What.
    pub deed: Deed,
}

/// One of an instance's status checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The host.
    System,
    /// The guest.
    Instance,
    /// Its EBS volumes.
    Ebs,
}

/// What a hand can do. No law watches it (but for [`Deed::Arrive`]), and no eventual consistency hides it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    /// A call that was under way arrives. Laws watch it, but not for floors: what was right when it was sent may have
    /// become too much.
    Arrive {
        /// The call.
        request: Request,
    },
    /// Terminates an instance, protected or not.
    Terminate {
        /// `i-…`
        instance: String,
    },
    /// Stops an instance.
    Stop {
        /// `i-…`
        instance: String,
    },
    /// Starts a stopped instance.
    Start {
        /// `i-…`
        instance: String,
    },
    /// An instance dies without anybody asking EC2 for it.
    Die {
        /// `i-…`
        instance: String,
        /// Of what, by EC2's code.
        reason: Death,
    },
    /// Fails a status check.
    Impair {
        /// `i-…`
        instance: String,
        /// Which check.
        check: Part,
        /// Since when; absent: now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// Makes the guest's check fail for the second half of every such period.
    Flap {
        /// `i-…`
        instance: String,
        /// `"10m"`
        period: Span,
    },
    /// All its checks pass again.
    Recover {
        /// `i-…`
        instance: String,
    },
    /// Announces an event for an instance.
    Schedule {
        /// `i-…`
        instance: String,
        /// The event.
        event: ScheduledEvent,
    },
    /// Gives an instance another type, stopped or not.
    SetType {
        /// `i-…`
        instance: String,
        /// `t3.small`
        #[serde(rename = "type")]
        instance_type: String,
    },
    /// Gives an instance other security groups, by id or name.
    SetSecurityGroups {
        /// `i-…`
        instance: String,
        /// Ids or names.
        groups: Vec<String>,
    },
    /// Sets a tag on anything.
    SetTag {
        /// Any id.
        id: String,
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Takes a tag away from anything.
    UnsetTag {
        /// Any id.
        id: String,
        /// Its key.
        key: String,
    },
    /// Unhangs a volume at once.
    Detach {
        /// `vol-…`
        volume: String,
    },
    /// Deletes a volume at once, attached or not.
    DeleteVolume {
        /// `vol-…`
        volume: String,
    },
    /// Loses a zone: its machines' checks fail, nothing launches there.
    LoseZone {
        /// `us-east-1a`
        zone: String,
        /// EC2 says so too.
        #[serde(default)]
        announced: bool,
    },
    /// Brings a zone back.
    RestoreZone {
        /// `us-east-1a`
        zone: String,
    },
    /// Says how many instances of a type a zone holds; `None` for any number.
    SetCapacity {
        /// `us-east-1a`
        zone: String,
        /// `t3.small`
        #[serde(rename = "type")]
        instance_type: String,
        /// So many at most, those that run now included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<u32>,
    },
    /// Makes an image bad, or good again: what runs a bad one never passes its instance check.
    SpoilImage {
        /// `ami-…`
        image: String,
        /// True for bad.
        bad: bool,
    },
    /// Makes calls go wrong.
    AddFault {
        /// How.
        fault: Fault,
    },
    /// Ends all faults.
    ClearFaults,
    /// Watches that so many of a group stay in service.
    WatchFloor {
        /// Which, and how many.
        floor: Floor,
    },
    /// Does something to a Kubernetes cluster.
    Kubernetes {
        /// Which; absent: the one that is there when nobody named one.
        #[serde(default = "default_cluster")]
        cluster: String,
        /// What.
        hand: Hand,
    },
    /// Draws from another seed from now on.
    Seed {
        /// Any number.
        seed: u64,
    },
}

fn default_cluster() -> String {
    crate::cluster::DEFAULT.to_owned()
}

/// Why a deed could not be done, with a way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub says: String,
    /// What to do about it.
    pub way_out: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.says, self.way_out)
    }
}

impl std::error::Error for Refusal {}

pub(crate) fn refuse<T>(says: String, way_out: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { says, way_out: way_out.into() })
}

impl World {
    /// Does a deed, now.
    ///
    /// # Errors
    /// When what it names does not exist or is in no state for it.
    pub fn act(&mut self, deed: &Deed) -> Result<(), Refusal> {
        match deed {
            Deed::Arrive { request } => {
                // Whatever EC2 says to it, nobody hears it.
                let _ = self.arrive(request);
            }
            Deed::Terminate { instance } => {
                self.live(instance)?;
                self.condemn(instance, BY_USER);
                self.spend_tokens();
            }
            Deed::Stop { instance } => {
                let state = self.live(instance)?.state;
                if state != InstanceState::Running {
                    return refuse(format!("{instance} is {state:?}, not running"), "stop a running one");
                }
                self.halt(instance, BY_USER);
            }
            Deed::Start { instance } => {
                let state = self.live(instance)?.state;
                if state != InstanceState::Stopped {
                    return refuse(format!("{instance} is {state:?}, not stopped"), "start a stopped one");
                }
                self.boot(instance);
            }
            Deed::Die { instance, reason } => self.die(instance, *reason)?,
            Deed::Impair { instance, check, since } => {
                let since = since.unwrap_or(self.now);
                let impaired = &mut self.live(instance)?.impaired;
                match check {
                    Part::System => impaired.system = Some(since),
                    Part::Instance => impaired.instance = Some(since),
                    Part::Ebs => impaired.ebs = Some(since),
                }
            }
            Deed::Flap { instance, period } => self.live(instance)?.flaps = Some(*period),
            Deed::Recover { instance } => {
                let m = self.live(instance)?;
                m.impaired = Impaired::default();
                m.flaps = None;
            }
            Deed::Schedule { instance, event } => self.live(instance)?.events.push(event.clone()),
            Deed::SetType { instance, instance_type } => {
                if !self.types.contains_key(instance_type) {
                    return refuse(format!("there is no type {instance_type}"), "see `types` in the world's file");
                }
                self.live(instance)?.instance_type.clone_from(instance_type);
            }
            Deed::SetSecurityGroups { instance, groups } => {
                let ids = groups.iter().map(|g| self.group_id(g)).collect::<Result<Vec<_>, _>>()?;
                self.live(instance)?.security_groups = ids;
            }
            Deed::SetTag { id, key, value } => match self.tags_mut(id) {
                Some(tags) => {
                    tags.insert(key.clone(), value.clone());
                }
                None => return nothing(id),
            },
            Deed::UnsetTag { id, key } => match self.tags_mut(id) {
                Some(tags) => {
                    tags.remove(key);
                }
                None => return nothing(id),
            },
            Deed::Detach { volume } => match self.volumes.get_mut(volume) {
                Some(v) => v.hold = None,
                None => return nothing(volume),
            },
            Deed::DeleteVolume { volume } => {
                if self.volumes.remove(volume).is_none() {
                    return nothing(volume);
                }
                self.spend_tokens();
            }
            Deed::LoseZone { zone, announced } => {
                let now = self.now;
                let z = self.zone_mut(zone)?;
                z.lost = z.lost.or(Some(now));
                z.announced = *announced;
            }
            Deed::RestoreZone { zone } => {
                let z = self.zone_mut(zone)?;
                z.lost = None;
                z.announced = false;
            }
            Deed::SetCapacity { zone, instance_type, most } => {
                let z = self.zone_mut(zone)?;
                match most {
                    Some(most) => z.capacity.insert(instance_type.clone(), *most),
                    None => z.capacity.remove(instance_type),
                };
            }
            Deed::SpoilImage { image, bad } => match self.images.get_mut(image) {
                Some(i) => i.bad = *bad,
                None => return nothing(image),
            },
            Deed::AddFault { fault } => self.faults.push(fault.clone()),
            Deed::ClearFaults => {
                self.faults.clear();
                self.frozen = None;
            }
            Deed::WatchFloor { floor } => self.floors.push(floor.clone()),
            Deed::Kubernetes { cluster, hand } => {
                let m = Moment { now: self.now, seed: self.seed };
                self.cluster(cluster).act(hand, m)?;
            }
            Deed::Seed { seed } => self.seed = *seed,
        }
        Ok(())
    }

    /// The ids of the live instances and volumes that a person means by `name`: an id, an address such as
    /// `machines.web/3` or `web/3`, or a `Name` tag.
    pub fn find(&self, name: &str) -> Vec<String> {
        let machines = self.instances.iter().filter(|(_, m)| !m.is_dead()).map(|(id, m)| (id, m.launch_index, &m.tags));
        let volumes = self.volumes.iter().map(|(id, v)| (id, 0, &v.tags));
        let means = |id: &str, index: u32, tags: &evenkeel_ec2::api::Tags| {
            let address = claim(id, index, tags).map(|((_, group, slot), _)| format!("{group}/{slot}"));
            let short = address.as_deref().and_then(|a| a.split_once('.')).map(|(_, short)| short);
            id == name
                || address.as_deref() == Some(name)
                || short == Some(name)
                || tags.get(tag::NAME).is_some_and(|n| n == name)
        };
        machines.chain(volumes).filter(|(id, index, tags)| means(id, *index, tags)).map(|(id, ..)| id.clone()).collect()
    }

    pub(crate) fn live(&mut self, id: &str) -> Result<&mut crate::world::Machine, Refusal> {
        match self.instances.get_mut(id) {
            Some(m) if !m.is_dead() => Ok(m),
            Some(_) => refuse(format!("{id} is terminated"), "name a live one"),
            None => nothing(id),
        }
    }

    fn zone_mut(&mut self, zone: &str) -> Result<&mut crate::world::Zone, Refusal> {
        let names = self.zones.keys().cloned().collect::<Vec<_>>().join(", ");
        match self.zones.get_mut(zone) {
            Some(z) => Ok(z),
            None => refuse(format!("there is no zone {zone}"), format!("there are {names}")),
        }
    }

    fn group_id(&self, name: &str) -> Result<String, Refusal> {
        match self.security_groups.iter().find(|(id, g)| *id == name || g.name == name) {
            Some((id, _)) => Ok(id.clone()),
            None => {
                let names: Vec<_> = self.security_groups.values().map(|g| g.name.as_str()).collect();
                refuse(format!("there is no security group {name}"), format!("there are {}", names.join(", ")))
            }
        }
    }
}

fn nothing<T>(id: &str) -> Result<T, Refusal> {
    refuse(format!("there is no {id} in this world"), "`evenkeel sim` shows what there is")
}
