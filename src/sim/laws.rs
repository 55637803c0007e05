//! The laws that no call of ours may break, as far as EC2 can see them (Kubernetes': [`crate::cluster::laws`]). A broken one is written down, not punished:
//! the run goes on, and the test that reads [`World::violations`] fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use evenkeel_core::stamp::{LaunchTag, tag};
use evenkeel_ec2::api::Tags;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::world::{Impaired, Machine, World};

/// How long two machines may claim one slot before it counts: what a launch needs to become visible, and a rerun to
/// look again.
pub const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// A law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// P2: our call made fewer machines serve than the floor asks for.
    Floor,
    /// P3: our call replaced machines faster than the schedule allows, whatever made them look ill.
    Pace,
    /// P4: our call launched or destroyed in a zone of which it is known that it is lost.
    LostZone,
    /// P6: our call destroyed what is not ours, or wrote over another stack's object.
    NotOurs,
    /// P6: our call destroyed what is marked as protected.
    Protected,
    /// P6: our call deleted data that had not been put into quarantine, or before that ended.
    Data,
    /// P9: a volume was given to a second machine while its holder lives.
    TwoHolders,
    /// Two live machines claim one slot, and neither replaces the other.
    Duplicate,
    /// Our call terminated a machine that was well, while pods ran on its node that a drain would have moved.
    Undrained,
    /// Our call applied an object without saying who we are.
    Anonymous,
}

/// A broken law.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which call broke it, counted from the world's beginning.
    pub call: u64,
    /// Which.
    pub law: Law,
    /// In words.
    pub says: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at call {}: {:?}: {}", self.at, self.call, self.law, self.says)
    }
}

/// A group of which so many must stay in service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Floor {
    /// Stack's id.
    pub stack: String,
    /// `machines.web`.
    pub group: String,
    /// So many running with all checks passed.
    pub ready: u32,
    /// How fast its machines may be replaced; absent: as fast as anybody likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
}

/// How fast the machines of a group may be replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pace {
    /// So many living machines may have a successor that is younger than [`WARMUP`]; those of a lost zone do not count.
    pub parallel: u32,
    /// So many launches of one slot's lineage within [`LINEAGE`], its first machine not counted.
    pub retries: u32,
}

/// What a successor needs at least before the next one may be launched (`repair.warmup`).
pub const WARMUP: SignedDuration = SignedDuration::from_secs(60);

/// Within such a time a lineage may have so many members (`repair.chain-reset`).
pub const LINEAGE: SignedDuration = SignedDuration::from_hours(1);

/// What a machine or volume says it is: stack, group and slot.
pub(crate) type Claim = (String, String, u32);

/// What these tags claim for the object with this id and place in its launch.
pub(crate) fn claim(id: &str, index: u32, tags: &Tags) -> Option<(Claim, LaunchTag)> {
    let mark: LaunchTag = tags.get(tag::LAUNCH)?.parse().ok()?;
    Some((claim_by(&mark, id, index, tags)?, mark))
}

/// The same, of a mark that was read before.
fn claim_by(mark: &LaunchTag, id: &str, index: u32, tags: &Tags) -> Option<Claim> {
    let slot = match &mark.only {
        Some(only) if only != id => return None,
        Some(_) => mark.slots.get(0)?,
        None => mark.slots.get(index)?,
    };
    Some((tags.get(tag::STACK)?.clone(), tags.get(tag::ADDRESS)?.clone(), slot))
}

/// How many slots of each watched group have a machine that serves. Two in one slot are one: while a machine is being
/// replaced, its successor makes up for it and for no other.
pub(crate) fn in_service(world: &World) -> Vec<u32> {
    let count = |floor: &Floor| {
        let slot = |(id, m): (&String, &Machine)| {
            let ((stack, group, slot), _) = claim(id, m.launch_index, &m.tags)?;
            (stack == floor.stack && group == floor.group && world.is_ready(id, m)).then_some(slot)
        };
        let serving: BTreeSet<u32> = world.instances.iter().filter_map(slot).collect();
        u32::try_from(serving.len()).unwrap_or(u32::MAX)
    };
    world.floors.iter().map(count).collect()
}

/// After a call: what it took out of service, and who claims whose place.
pub(crate) fn after_call(world: &mut World, action: Action, before: &[u32]) {
    if !action.changes() {
        return;
    }
    let after = in_service(world);
    let fallen: Vec<String> = world
        .floors
        .iter()
        .zip(before.iter().zip(&after))
        .filter(|(floor, (before, after))| **before >= floor.ready && **after < floor.ready)
        .map(|(floor, (before, after))| {
            format!("{action} took {} from {before} ready to {after}; its floor is {}", floor.group, floor.ready)
        })
        .collect();
    for says in fallen {
        violate(world, Law::Floor, says);
    }
    // Nothing else changes who claims what, and it is dear to ask when there are thousands.
    if !matches!(
        action,
        Action::RunInstances
            | Action::StartInstances
            | Action::TerminateInstances
            | Action::CreateTags
            | Action::DeleteTags
    ) {
        return;
    }
    for says in hasty(world) {
        violate(world, Law::Pace, says);
    }
    for says in duplicates(world, GRACE) {
        // Said once, not at every call that follows.
        if !world.violations.iter().any(|v| v.law == Law::Duplicate && v.says == says) {
            violate(world, Law::Duplicate, says);
        }
    }
}

/// Groups that are replaced faster than their pace, in words; only what was launched now counts, so each is said once.
fn hasty(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for (floor, pace) in world.floors.iter().filter_map(|f| Some((f, f.pace.as_ref()?))) {
        let age = |m: &Machine| world.now.duration_since(m.launched);
        let mut young: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
        let mut lineages: BTreeMap<(u32, Option<String>), Vec<&String>> = BTreeMap::new();
        let mut now = false;
        for (id, m) in world.instances.iter().filter(|(_, m)| age(m) < LINEAGE) {
            let Some(((stack, group, slot), mark)) = claim(id, m.launch_index, &m.tags) else { continue };
            if stack != floor.stack || group != floor.group || mark.replaces.is_empty() {
                continue;
            }
            now |= m.launched == world.now;
            if mark.attempt > 1 {
                lineages.entry((slot, mark.chain.clone())).or_default().push(id);
            }
            // One that is dead or ill has failed: the next may be launched.
            if age(m) < WARMUP && !m.is_dead() && m.impaired == Impaired::default() {
                // A machine of a lost zone is stood in for, not replaced: others serve at once in its stead.
                let lost = |o: &Machine| world.zones.get(&o.zone).is_some_and(|z| z.lost.is_some());
                for old in &mark.replaces {
                    if let Some((old, _)) = world.instances.get_key_value(old).filter(|(_, o)| !o.is_dead() && !lost(o))
                    {
                        young.entry(old).or_default().push(id);
                    }
                }
            }
        }
        if !now {
            continue;
        }
        if young.len() > pace.parallel as usize {
            let most = pace.parallel;
            found.push(format!("{}: {young:?} replaced within a minute, more than {most}", floor.group));
        }
        for ((slot, chain), made) in lineages.iter().filter(|(_, made)| made.len() > pace.retries as usize) {
            let (most, group) = (pace.retries, &floor.group);
            found.push(format!("{group}/{slot}: {made:?} of lineage {chain:?} within an hour, more than {most}"));
        }
    }
    found
}

/// Live machines older than `grace` that claim one slot, neither replacing the other, in words.
pub fn duplicates(world: &World, grace: SignedDuration) -> Vec<String> {
    // A launch of a thousand has one mark, a thousand slots long: it is read once.
    let mut marks: BTreeMap<&str, Option<Rc<LaunchTag>>> = BTreeMap::new();
    let mut claims: BTreeMap<Claim, Vec<(&str, Rc<LaunchTag>)>> = BTreeMap::new();
    let old = |since: Timestamp| world.now.duration_since(since) > grace;
    for (id, m) in world.instances.iter().filter(|(_, m)| !m.is_dead() && old(m.launched)) {
        let Some(text) = m.tags.get(tag::LAUNCH) else { continue };
        let mark = marks.entry(text).or_insert_with(|| text.parse().ok().map(Rc::new));
        if let Some(mark) = mark
            && let Some(claim) = claim_by(mark, id, m.launch_index, &m.tags)
        {
            claims.entry(claim).or_default().push((id, Rc::clone(mark)));
        }
    }
    let mut found = Vec::new();
    for ((_, group, slot), holders) in claims {
        for (n, (a, mark_a)) in holders.iter().enumerate() {
            for (b, mark_b) in &holders[n + 1..] {
                let replaces = |mark: &LaunchTag, id: &str| mark.replaces.iter().any(|r| r == id);
                if !replaces(mark_a, b) && !replaces(mark_b, a) {
                    found.push(format!("{a} and {b} both claim {group}/{slot}"));
                }
            }
        }
    }
    found
}

/// Before an instance is terminated or a volume deleted by our call.
pub(crate) fn before_destroying(world: &mut World, action: Action, id: &str) {
    crate::cluster::laws::before_terminating(world, id);
    let machine = world.instances.get(id).filter(|m| !m.is_dead());
    let volume = world.volumes.get(id);
    let Some((tags, zone, token)) = machine
        .map(|m| (&m.tags, &m.zone, m.token.as_str()))
        // A volume's token is not to be seen on EC2: its marks alone say whose it is.
        .or_else(|| volume.map(|v| (&v.tags, &v.zone, "")))
    else {
        return;
    };
    let mut broken = Vec::new();
    if is_foreign(tags, token) {
        let says = format!("{action} of {id}, which bears no {} and was not launched by evenkeel", tag::STACK);
        broken.push((Law::NotOurs, says));
    }
    if tags.contains_key(tag::PROTECT) {
        broken.push((Law::Protected, format!("{action} of {id}, which bears {}", tag::PROTECT)));
    }
    let free_from = tags.get(tag::QUARANTINE).and_then(|t| t.parse::<Timestamp>().ok());
    if volume.is_some_and(|v| v.used) && free_from.is_none_or(|from| world.now < from) {
        broken.push((Law::Data, format!("{action} of {id}, which holds data whose quarantine has not ended")));
    }
    if is_lost(world, zone) {
        broken.push((Law::LostZone, format!("{action} of {id} in {zone}, which is lost")));
    }
    for (law, says) in broken {
        violate(world, law, says);
    }
}

/// Before an instance is stopped by our call.
pub(crate) fn before_stopping(world: &mut World, id: &str) {
    if world.instances.get(id).is_some_and(|m| is_foreign(&m.tags, &m.token)) {
        let says = format!("StopInstances of {id}, which bears no {} and was not launched by evenkeel", tag::STACK);
        violate(world, Law::NotOurs, says);
    }
}

/// Whether nothing says that evenkeel made it: neither its marks, nor the token, which nobody can take away.
fn is_foreign(tags: &Tags, token: &str) -> bool {
    !tags.contains_key(tag::STACK) && !token.starts_with(TOKEN)
}

/// What the client token of each launch of evenkeel's begins with ([`evenkeel_core::launch::token_prefix`]).
const TOKEN: &str = "ek-";

/// Before something is made in a zone by our call.
pub(crate) fn before_launching(world: &mut World, zone: &str) {
    if is_lost(world, zone) {
        violate(world, Law::LostZone, format!("something new in {zone}, which is lost"));
    }
}

/// Before a volume is hung on an instance by our call: EC2 itself refuses a second holder of a volume, but not a
/// second volume or machine of one slot.
pub(crate) fn before_attaching(world: &mut World, volume: &str, instance: &str) {
    let Some(v) = world.volumes.get(volume) else { return };
    let Some((mine, _)) = claim(volume, 0, &v.tags) else { return };
    let group = |tags: &Tags| tags.get(tag::STACK) == Some(&mine.0) && tags.get(tag::ADDRESS) == Some(&mine.1);
    // Another live machine still holds a volume of the same slot: two copies would serve.
    let other = world.volumes.iter().find(|(id, o)| {
        *id != volume
            && group(&o.tags)
            && claim(id, 0, &o.tags).is_some_and(|(claim, _)| claim == mine)
            && o.hold.as_ref().is_some_and(|h| {
                h.instance != instance && world.instances.get(&h.instance).is_some_and(|m| !m.is_dead())
            })
    });
    if let Some((id, _)) = other {
        let says = format!("{volume} goes to {instance} while {id} of the same slot {}/{} is held", mine.1, mine.2);
        violate(world, Law::TwoHolders, says);
    }
}

/// How long a loss that EC2 does not admit may go unnoticed.
const NOTICED: SignedDuration = SignedDuration::from_mins(15);

/// Whether the zone is lost, and that can be known: EC2 says so, or three machines have shown it long enough.
fn is_lost(world: &World, zone: &str) -> bool {
    world.zones.get(zone).is_some_and(|z| {
        z.lost.is_some_and(|since| {
            let shown = || world.instances.values().filter(|m| m.zone == zone && !m.is_dead()).count() >= 3;
            z.announced || world.now.duration_since(since) >= NOTICED && shown()
        })
    })
}

pub(crate) fn violate(world: &mut World, law: Law, says: String) {
    let (at, call) = (world.now, world.call_count());
    world.violations.push(Violation { at, call, law, says });
}
