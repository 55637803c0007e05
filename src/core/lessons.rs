//! What only a run finds out and no look can show: where a launch met no room.
//!
//! Learned from a run's events, kept beside the verdicts' memory, heeded by the next plan. Without it everything is
//! tried again where it failed, and nothing else. It refuses to be a signal of anybody's health.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desired::MachineGroup;
use crate::event::{Event, Happened};
use crate::failure::{Class, Failure};
use crate::health::{after, age, moment, span};
use crate::launch::Launch;
use crate::plan::{Call, Do, Plan};
use crate::progress::Progress;
use crate::value::Value;

/// How long a zone without room is kept clear of, in seconds (chapter "Launch failure").
const NO_ROOM: u64 = 180;

/// What runs have learned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lessons {
    /// Launches that met no room, one entry a scope, zone, type and market.
    pub no_room: Vec<NoRoom>,
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

impl Lessons {
    /// Learns from what happened in a run of this plan; whether anything is known now that was not before.
    pub fn learn<'e>(&mut self, plan: &Plan, events: impl IntoIterator<Item = &'e Event>) -> bool {
        let mut progress = Progress::new(plan.clone());
        let mut new = false;
        for event in events {
            if let Happened::Retrying { step, failure, .. } | Happened::Failed { step, failure } = &event.happened {
                new |= self.failed(plan, *step, &progress, failure, event.at);
            }
            progress.apply(&event.happened);
        }
        new
    }

    fn failed(&mut self, plan: &Plan, step: u32, progress: &Progress, failure: &Failure, at: Timestamp) -> bool {
        let Some(step_of) = plan.steps.get(step as usize) else { return false };
        let Do::Call(Call::Launch(launch)) = &step_of.does else { return false };
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
        Self { no_room: known.map(|n| NoRoom { at: now, ..n.clone() }).collect() }
    }

    /// Forgets what is too old to be heeded.
    pub fn forget(&mut self, now: Timestamp) {
        self.no_room.retain(|n| n.holds(now));
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
