//! What only a run finds out and no look can show: where a launch met no room, which client tokens are used up, which
//! change of a machine cannot be, which machines and volumes it ended itself.
//!
//! Learned from a run's events, kept beside the verdicts' memory, heeded by the next plan. Without it everything is
//! tried again where it failed, and nothing else. It refuses to be a signal of anybody's health.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::{Address, Group, Kind};
use crate::desired::MachineGroup;
use crate::event::{Event, Happened};
use crate::failure::{Class, Failure};
use crate::health::{after, age, moment, span};
use crate::launch::Launch;
use crate::plan::{Call, Do, ObjectDoes, Plan};
use crate::progress::Progress;
use crate::schema::{self, Ebs, ROOT};
use crate::value::{Fields, Value};

/// How long a zone without room is kept clear of, in seconds: room comes and goes by the minute.
const NO_ROOM: u64 = 180;
/// How long a used token is remembered, in seconds. EC2 promises a day at least; a week is on the safe side, and after
/// that it would be learned again.
const USED: u64 = 7 * 24 * 3600;
/// How long EBS lets no volume be modified again, in seconds:
/// <https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html>
const RESTS: u64 = 6 * 3600;
/// How long a volume is let alone that EBS says was modified lately, in seconds: by whom and when is not known.
const MODIFIED: u64 = 3600;
/// What EBS says then.
const TOO_OFTEN: &str = "VolumeModificationRateExceeded";
/// How long our own ends are remembered, in seconds. EC2 lists what was terminated for about an hour.
const ENDED: u64 = 24 * 3600;

/// What runs have learned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lessons {
    /// Launches that met no room, one entry a scope, zone, type and market.
    pub no_room: Vec<NoRoom>,
    /// Launches whose client token EC2 knows with another content, one entry an address.
    pub used: Vec<Used>,
    /// Changes of machines that EC2 called wrong, one entry a machine.
    pub wrong: Vec<Wrong>,
    /// What runs have ended: it is gone because the file, or a person, said so, and not because the world moved.
    /// By id or uid, with when the call was made.
    pub ended: BTreeMap<String, Timestamp>,
    /// Volumes that EBS does not modify again before a time.
    pub resting: BTreeMap<String, Timestamp>,
}

/// What a change of a volume says of the next one.
pub fn then_rests() -> String {
    format!("then no other change for {}", span(RESTS))
}

/// The volumes that EBS modifies for these fields of a volume, or of a machine that has these links.
pub fn modified(kind: Kind, id: &str, fields: &Fields, links: &BTreeMap<String, String>) -> BTreeSet<String> {
    let of = |(name, value): (&String, &Value)| -> Vec<String> {
        let linked = |link: &str| links.get(link).cloned();
        match (schema::field(kind, name).map_or(Ebs::No, |f| f.ebs), value) {
            (Ebs::No, _) => vec![],
            (Ebs::Itself, _) => vec![id.to_owned()],
            (Ebs::Root, _) => linked(ROOT).into_iter().collect(),
            (Ebs::Disks, Value::Map(disks)) => disks.keys().filter_map(|device| linked(device)).collect(),
            (Ebs::Disks, _) => vec![],
        }
    };
    fields.iter().flat_map(of).collect()
}

/// A slot was launched before with a token that EC2 remembers, with another content (a newer image, as a rule).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Used {
    /// The slot.
    pub address: Address,
    /// The generation of the token.
    pub generation: u32,
    /// When EC2 said so first.
    pub at: Timestamp,
}

/// EC2 does not take these values for a machine of this group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wrong {
    /// The group.
    pub group: Group,
    /// The machine that was stopped for it.
    pub id: String,
    /// What was asked.
    pub fields: Fields,
    /// What EC2 said.
    pub says: String,
}

/// EC2 had no room for a type in a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NoRoom {
    /// Scope's alias.
    pub scope: String,
    /// `us-east-1a`.
    pub zone: String,
    /// `t3.small`.
    pub instance_type: String,
    /// Asked of the spot market.
    pub spot: bool,
    /// When it said so last.
    pub at: Timestamp,
}

impl NoRoom {
    fn same(&self, other: &Self) -> bool {
        let key = |n: &Self| (n.scope.clone(), n.zone.clone(), n.instance_type.clone(), n.spot);
        key(self) == key(other)
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.at <= now && now < after(self.at, NO_ROOM)
    }
}

/// A zone that has no room for any type of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    /// `us-east-1c had no room for t3.small 40s ago`.
    pub says: String,
    /// When it is tried again.
    pub until: Timestamp,
}

impl Full {
    /// What a change waits for that could only be made there.
    pub fn waits_for(&self) -> String {
        format!("room: {}, tried again from {}", self.says, moment(self.until))
    }
}

/// What a step ends, by id or uid.
fn ends(plan: &Plan, step: u32) -> &[String] {
    match plan.steps.get(step as usize).map(|s| &s.does) {
        Some(Do::Call(Call::Terminate(ids))) => ids,
        Some(Do::Call(Call::DeleteVolume(id))) => std::slice::from_ref(id),
        Some(Do::Call(Call::Object(on))) => match &on.does {
            ObjectDoes::Delete { uid } => std::slice::from_ref(uid),
            ObjectDoes::Apply { .. }
            | ObjectDoes::Cordon { .. }
            | ObjectDoes::Mark { .. }
            | ObjectDoes::Parent { .. } => &[],
        },
        Some(Do::Call(_) | Do::Wait(_)) | None => &[],
    }
}

impl Lessons {
    /// Learns from what happened in a run of this plan; whether anything is known now that was not before.
    pub fn learn<'e>(&mut self, plan: &Plan, events: impl IntoIterator<Item = &'e Event>) -> bool {
        let mut progress = Progress::new(plan.clone());
        let mut new = false;
        let mut unsure = BTreeSet::new();
        for event in events {
            if let Happened::Retrying { step, failure, .. } | Happened::Failed { step, failure, .. } = &event.happened {
                new |= self.failed(plan, *step, &progress, failure, event.at);
            }
            // From when it is tried: a run that is killed then has ended it all the same.
            if let Happened::Started { step } = &event.happened {
                self.ended.extend(ends(plan, *step).iter().map(|id| (id.clone(), event.at)));
            }
            // What EC2 has refused to end is not ended, unless an attempt whose answer was lost has done it before.
            if let Happened::Retrying { step, .. } = &event.happened {
                unsure.insert(*step);
            }
            if let Happened::Failed { step, failure, .. } = &event.happened
                && !unsure.contains(step)
                && failure.class.is_refusal()
            {
                for id in ends(plan, *step) {
                    self.ended.remove(id);
                }
            }
            if let Happened::Done { step, .. } = &event.happened {
                self.rests(plan, *step, after(event.at, RESTS));
            }
            progress.apply(&event.happened);
        }
        new
    }

    fn rests(&mut self, plan: &Plan, step: u32, until: Timestamp) -> bool {
        let Some(Do::Call(Call::Change { id, kind, fields, links })) = plan.steps.get(step as usize).map(|s| &s.does)
        else {
            return false;
        };
        let mut new = false;
        for volume in modified(*kind, id, fields, links) {
            let known = self.resting.get(&volume).copied();
            if known.is_none_or(|before| before < until) {
                self.resting.insert(volume, until);
                new = true;
            }
        }
        new
    }

    /// Until when EBS lets this volume rest.
    pub fn resting(&self, id: &str, now: Timestamp) -> Option<Timestamp> {
        self.resting.get(id).copied().filter(|until| *until > now)
    }

    /// Whether a run has ended this machine or volume.
    pub fn ended(&self, id: &str) -> bool {
        self.ended.contains_key(id)
    }

    fn failed(&mut self, plan: &Plan, step: u32, progress: &Progress, failure: &Failure, at: Timestamp) -> bool {
        let Some(step_of) = plan.steps.get(step as usize) else { return false };
        if failure.code == TOO_OFTEN {
            return self.rests(plan, step, after(at, MODIFIED));
        }
        if let (Do::Call(Call::Change { id, kind: Kind::Machines, fields, .. }), Class::Invalid) =
            (&step_of.does, failure.class)
        {
            // A change that takes no stop may be tried again at no cost.
            let stops = plan.steps.iter().any(|s| matches!(&s.does, Do::Call(Call::Stop(ids)) if ids.contains(id)));
            let of = step_of.changes.first().and_then(|c| plan.changes.get(*c as usize));
            let Some(group) = of.map(|c| c.address.group.clone()) else { return false };
            let one = Wrong { group, id: id.clone(), fields: fields.clone(), says: failure.to_string() };
            if !stops || self.wrong.contains(&one) {
                return false;
            }
            self.wrong.retain(|w| w.id != one.id);
            self.wrong.push(one);
            self.wrong.sort();
            return true;
        }
        let Do::Call(Call::Launch(launch)) = &step_of.does else { return false };
        if failure.class == Class::TokenMismatch {
            let generation = launch.tag.generation.saturating_add(progress.turns(step).spent);
            self.used(launch, generation, at);
            return true;
        }
        if failure.class != Class::Capacity {
            return false;
        }
        let Some((place, instance_type)) = launch.choice(progress.turns(step).full) else { return false };
        self.add(NoRoom {
            scope: step_of.scope.clone(),
            zone: place.zone.clone(),
            instance_type: instance_type.clone(),
            spot: is_spot(launch),
            at,
        })
    }

    fn used(&mut self, launch: &Launch, generation: u32, at: Timestamp) {
        for address in launch.addresses() {
            let before = self.used.iter().position(|u| u.address == address).map(|i| self.used.remove(i));
            let same = before.filter(|u| u.generation >= generation);
            self.used.push(same.unwrap_or(Used { address, generation, at }));
        }
        self.used.sort();
    }

    fn add(&mut self, one: NoRoom) -> bool {
        let before = self.no_room.iter().position(|n| n.same(&one)).map(|i| self.no_room.remove(i));
        let known = before.is_some_and(|n| n.holds(one.at));
        self.no_room.push(one);
        self.no_room.sort();
        !known
    }

    /// What a run knew or learned whose plan was made at `since`, as if it were found out now: by this it is judged
    /// whether that run has done what it could, however long it took.
    pub fn of_run(&self, since: Timestamp, now: Timestamp) -> Self {
        let known = self.no_room.iter().filter(|n| n.holds(since) || n.at >= since);
        // Of what that run modified itself, a look must still tell whether it has become so.
        let resting = self.resting.iter().filter(|(_, until)| **until < after(since, RESTS));
        Self {
            no_room: known.map(|n| NoRoom { at: now, ..n.clone() }).collect(),
            resting: resting.map(|(id, until)| (id.clone(), *until)).collect(),
            ..self.clone()
        }
    }

    /// Forgets what is too old to be heeded, and machines that are no more: those that do not stay.
    pub fn forget(&mut self, stays: impl Fn(&str) -> bool, now: Timestamp) {
        self.no_room.retain(|n| n.holds(now));
        self.used.retain(|u| now < after(u.at, USED));
        self.wrong.retain(|w| stays(&w.id));
        self.ended.retain(|_, at| now < after(*at, ENDED));
        self.resting.retain(|_, until| now < *until);
    }

    /// The newest generation of a slot whose token is used up; 0 for none.
    pub fn used_up(&self, address: &Address) -> u32 {
        self.used.iter().filter(|u| u.address == *address).map(|u| u.generation).max().unwrap_or(0)
    }

    /// Until when a machine that a used token launched may still come to light: EC2 promises no bound for its lists,
    /// `grace` is what we allow. After that it is gone, and a launch with a new token makes no double.
    pub fn coming(&self, address: &Address, grace: u64, now: Timestamp) -> Option<Timestamp> {
        self.used.iter().filter(|u| u.address == *address).map(|u| after(u.at, grace)).filter(|t| *t > now).max()
    }

    /// The machine of a group that was stopped for these very values before, in vain. What is true of one is expected
    /// of all: they are stopped for nothing less.
    pub fn wrong(&self, group: &Group, asked: &Fields) -> Option<&Wrong> {
        let fits = |w: &&Wrong| w.group == *group && w.fields.iter().all(|(k, v)| asked.get(k) == Some(v));
        self.wrong.iter().find(fits)
    }

    /// The zones that have no room for any type of this group.
    pub fn full(&self, group: &MachineGroup, now: Timestamp) -> BTreeMap<String, Full> {
        let mut zones: BTreeMap<&str, Vec<&NoRoom>> = BTreeMap::new();
        for n in self.no_room.iter().filter(|n| n.scope == group.scope && n.spot == group.spot && n.holds(now)) {
            if group.types.contains(&n.instance_type) {
                zones.entry(&n.zone).or_default().push(n);
            }
        }
        let of = |(zone, all): (&str, Vec<&NoRoom>)| {
            // The first that may have room again opens the zone.
            let first = all.iter().min_by_key(|n| n.at)?;
            if !group.types.iter().all(|t| all.iter().any(|n| n.instance_type == *t)) {
                return None;
            }
            let says = format!("{zone} had no room for {} {} ago", group.types.join(" or "), span(age(first.at, now)));
            Some((zone.to_owned(), Full { says, until: after(first.at, NO_ROOM) }))
        };
        zones.into_iter().filter_map(of).collect()
    }

    /// The types to try in a zone, in order of preference: those for which there may be room, all where none is left.
    pub fn types(&self, group: &MachineGroup, zone: &str, now: Timestamp) -> Vec<String> {
        let known = |t: &str| {
            let same = |n: &&NoRoom| (n.scope == group.scope, n.spot == group.spot) == (true, true);
            self.no_room.iter().filter(same).any(|n| n.zone == zone && n.instance_type == t && n.holds(now))
        };
        let open: Vec<String> = group.types.iter().filter(|t| !known(t)).cloned().collect();
        if open.is_empty() { group.types.clone() } else { open }
    }
}

fn is_spot(launch: &Launch) -> bool {
    launch.spec.get("market").and_then(Value::text) == Some("spot")
}

#[cfg(test)]
mod tests;
