//! Wish and world in, a sealed plan out: survey → place → diff → heal → admit → order → seal.
//!
//! Every wish becomes a candidate with its reasons; rules of `admit` let it through or hold it; `order` turns
//! what is let through into steps. Sickness and imbalance are reasons like any other.

mod admit;
mod compared;
mod forecast;
mod lost;
mod machines;
mod moved;
mod needs;
mod nodes;
mod objects;
mod order;
mod seats;
pub mod silent;
mod volumes;

#[cfg(test)]
mod halfway;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobSet;
use jiff::Timestamp;

use crate::address::{Address, Group, Kind, ObjectName};
use crate::desired::Desired;
use crate::diff::Differences;
use crate::digest::Digest;
use crate::health::State;
use crate::launch::Place;
use crate::observed::Observed;
use crate::plan::{Action, Basis, Change, FORMAT, FieldChange, Held, Hold, Note, Plan, Reason, Step, Why};
use crate::policy::Amount;
use crate::repair::Urgency;
use crate::shared::Shared;
use crate::stamp::Vector;
use crate::survey::{Member, Memory, Survey, survey};
use crate::value::{Fields, Value};

pub(crate) use objects::{awaited, group_of, is_ours};

/// What the user asks beyond the file.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// Everything of the stack shall go, its data too.
    pub destroy: bool,
    /// Only addresses that match (`machines.web*`).
    pub target: Option<GlobSet>,
    /// No address that matches.
    pub exclude: Option<GlobSet>,
    /// A group of several may go to zero.
    pub allow_empty: bool,
    /// Raises `max-deletes` for this run.
    pub max_deletes: Option<Amount>,
    /// What earlier rounds of the same run have deleted, ids by scope ([`Plan::deleted`]): it counts towards the cap.
    pub deleted: BTreeMap<String, BTreeSet<String>>,
    /// These are replaced although nothing is wrong with them.
    pub replace: BTreeSet<Address>,
    /// Objects that other tools mark as theirs too are taken.
    pub force: bool,
    /// Fields of Kubernetes objects that another manager holds are taken.
    pub force_conflicts: bool,
}

impl Intent {
    /// Why an address is not asked for, if it is not.
    pub fn left_out(&self, address: &Address) -> Option<&'static str> {
        let (name, group) = (address.to_string(), address.group.to_string());
        let hit = |set: &GlobSet| set.is_match(&name) || set.is_match(&group);
        if self.target.as_ref().is_some_and(|t| !hit(t)) {
            return Some("--target leaves it out");
        }
        self.exclude.as_ref().is_some_and(hit).then_some("--exclude leaves it out")
    }
}

/// Everything a plan is made from. The same `Ask` gives the same plan, byte for byte.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The file.
    pub desired: &'a Desired,
    /// The world.
    pub observed: &'a Observed,
    /// What was seen before, as far as it was remembered.
    pub history: &'a Memory,
    /// What the user asks beyond the file.
    pub intent: &'a Intent,
    /// The time.
    pub now: Timestamp,
}

/// A plan and what must travel beside it.
#[derive(Debug, Clone)]
pub struct Made {
    /// The sealed plan.
    pub plan: Plan,
    /// Boot scripts by keyed digest.
    pub payloads: BTreeMap<Digest, Vec<u8>>,
}

/// A change that is wished, with all that its steps need.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'a> {
    pub change: Change,
    /// The live object it starts from.
    pub member: Option<Member<'a>>,
    /// Where a new one goes.
    pub place: Option<Place>,
    pub differences: Differences,
    /// What the object should be stamped with.
    pub vector: Shared<Vector>,
    /// For a replacement that is already under way: the successor that must be ready before the old one goes.
    pub successor: Option<String>,
    /// For one that is launched in place of machines that a zone has taken with it: these, which stay.
    pub beside: Vec<String>,
    pub lineage: Lineage,
    /// What a change in place does to a machine's running.
    pub power: Power,
    /// Why it is to be replaced, if it is.
    pub urgency: Urgency,
    /// The world alone asks for it (health, balance), so that an outage may hold it.
    pub repair: bool,
}

impl<'a> Candidate<'a> {
    /// A change of the ordinary urgency that starts from `member`; the rest is filled in by whoever knows it.
    fn new(change: Change, member: Option<Member<'a>>) -> Self {
        Self {
            change,
            member,
            place: None,
            differences: Differences::default(),
            vector: Shared::default(),
            successor: None,
            beside: vec![],
            lineage: Lineage::default(),
            power: Power::Keeps,
            urgency: Urgency::Changed,
            repair: false,
        }
    }
}

impl Candidate<'_> {
    /// Where it acts: where its object is, else where its group is.
    fn scope<'s>(&'s self, survey: &'s Survey<'_>) -> &'s str {
        let group = || survey.groups.get(&self.change.address.group).map_or("", |g| g.scope.as_str());
        self.member.as_ref().map_or_else(group, |m| m.object.scope.as_str())
    }
}

/// What a change in place does to a machine's running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// Nothing.
    Keeps,
    /// It is stopped and is started.
    Starts,
    /// It runs, is stopped for the change, and is started again.
    Stops,
}

/// Which launch of its line a new machine is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lineage {
    pub generation: u32,
    pub attempt: u32,
    pub chain: Option<String>,
    /// Not before, and why, in words.
    pub not_before: Option<(Timestamp, String)>,
}

impl Default for Lineage {
    fn default() -> Self {
        Self { generation: 1, attempt: 1, chain: None, not_before: None }
    }
}

/// What the slots of a group should be, and their stamp.
pub(crate) type Wanted = (Shared<Fields>, Shared<Vector>);

/// A plan in the making.
pub(crate) struct Draft<'a> {
    pub ask: &'a Ask<'a>,
    pub survey: &'a Survey<'a>,
    pub held: Vec<Held>,
    pub notes: Vec<Note>,
    pub unread: BTreeMap<(Group, String), u32>,
    pub look_again: Option<Timestamp>,
    pub payloads: BTreeMap<Digest, Vec<u8>>,
    /// Common fields of each machine group that could be resolved.
    pub specs: BTreeMap<String, crate::expected::MachineSpec>,
    /// Zone in which each machine slot stands or will stand.
    pub zones: BTreeMap<Address, String>,
    /// What was held against the file.
    pub compared: compared::Compared,
    /// What the slots of each machine group should be, by boot script.
    pub wanted: BTreeMap<(String, Option<Digest>), Wanted>,
}

/// Makes the plan.
pub fn make(ask: &Ask<'_>) -> Made {
    let survey = survey(ask.desired, ask.observed, ask.history, ask.intent.force, ask.now);
    let mut draft = Draft {
        ask,
        survey: &survey,
        held: vec![],
        notes: survey.notes.clone(),
        unread: BTreeMap::new(),
        look_again: None,
        payloads: BTreeMap::new(),
        specs: BTreeMap::new(),
        zones: BTreeMap::new(),
        compared: compared::Compared::default(),
        wanted: BTreeMap::new(),
    };
    let mut candidates = Vec::new();
    let machines: Vec<_> = survey.groups.keys().filter(|g| g.kind == Kind::Machines).cloned().collect();
    for group in &machines {
        candidates.extend(machines::wishes(&mut draft, group));
        silent::notes(&mut draft, group);
    }
    let volumes: Vec<_> = survey.groups.keys().filter(|g| g.kind == Kind::Volumes).cloned().collect();
    for group in &volumes {
        candidates.extend(volumes::wishes(&mut draft, group));
    }
    let admitted = admit::admit(&mut draft, candidates);
    let mut forecast = forecast::forecast(&draft, &admitted);
    let mut left: Vec<_> = machines.iter().flat_map(|group| nodes::left(&draft, group)).collect();
    left.retain(|c| draft.left_out(&c.change.address).is_none());
    let (mut changes, mut steps) = order::order(&mut draft, admitted, left);
    let (more, then, groups) = objects::objects(&mut draft);
    append(&mut changes, &mut steps, more, then);
    forecast.extend(groups);
    let takes = forecast::takes(&steps);
    for member in survey.groups.values().flat_map(|g| g.members().map(|(_, m)| m.verdict.recheck)) {
        draft.look_again_by(member);
    }
    draft.held.sort_by(|a, b| (&a.change.address, a.change.action).cmp(&(&b.change.address, b.change.action)));
    draft.notes.sort_by(|a, b| (&a.kind, &a.about, &a.says).cmp(&(&b.kind, &b.about, &b.says)));
    draft.notes.dedup();
    let plan = Plan {
        format: FORMAT,
        id: Digest(String::new()),
        basis: Basis {
            stack: ask.desired.stack.id.clone(),
            name: ask.desired.stack.name.clone(),
            at: ask.observed.at,
            declaration: Digest::of_json(ask.desired),
            scopes: (ask.observed.scopes.iter())
                .map(|(a, s)| (a.clone(), (s.account.clone(), s.region.clone())))
                .collect(),
            objects: u32::try_from(ask.observed.count()).unwrap_or(u32::MAX),
            calls: ask.observed.calls(),
        },
        changes,
        steps,
        held: draft.held,
        notes: draft.notes,
        forecast,
        gaps: ask.observed.gaps.clone(),
        unread: draft.unread.into_iter().map(|((g, f), n)| (g, f, n)).collect(),
        look_again_at: draft.look_again,
        takes,
    };
    Made { plan: plan.seal(), payloads: draft.payloads }
}

/// A machine on its way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// Overdue after this.
    pub deadline: Timestamp,
    /// What it lacks, in words.
    pub says: String,
}

/// The slots of the file, of those that are asked for, whose machine is on its way up and no part of a plan: an earlier
/// run launched it and did not wait to the end, or EC2 starts it.
pub fn coming(ask: &Ask<'_>) -> BTreeMap<Address, Coming> {
    let survey = survey(ask.desired, ask.observed, ask.history, ask.intent.force, ask.now);
    let declared = ask.desired.machines.iter().filter(|_| !ask.intent.destroy);
    let slots = declared.flat_map(|(name, g)| (0..g.count).map(move |slot| Group::machines(name).slot(slot)));
    let one = |address: Address| {
        if survey.alive(&address).any(Member::ready) {
            return None;
        }
        let starts = |m: &Member<'_>| match m.verdict.state {
            State::Starting { deadline } => Some(Coming { deadline, says: m.verdict.why() }),
            State::Healthy
            | State::Suspect { .. }
            | State::Unhealthy { .. }
            | State::Flapping
            | State::Planned { .. }
            | State::Gone
            | State::Blind => None,
        };
        let coming = survey.alive(&address).find_map(starts)?;
        Some((address, coming))
    };
    slots.filter(|address| ask.intent.left_out(address).is_none()).filter_map(one).collect()
}

/// Adds the changes and steps of another world, whose addresses come after; their indices follow.
fn append(changes: &mut Vec<Change>, steps: &mut Vec<Step>, more: Vec<Change>, then: Vec<Step>) {
    let narrow = |n: usize| u32::try_from(n).expect("a plan has fewer than 2^32 changes and steps");
    let (c, s) = (narrow(changes.len()), narrow(steps.len()));
    changes.extend(more);
    steps.extend(then.into_iter().map(|mut step| {
        step.changes.iter_mut().for_each(|i| *i += c);
        step.needs.iter_mut().for_each(|i| *i += s);
        step
    }));
}

impl<'a> Draft<'a> {
    /// The digest key of this stack.
    pub fn key(&self) -> &'a str {
        &self.ask.desired.stack.id
    }

    /// Looks again at the earlier of `at` and what stands.
    pub fn look_again_by(&mut self, at: Option<Timestamp>) {
        if let Some(at) = at.filter(|a| *a > self.ask.now) {
            self.look_again = Some(self.look_again.map_or(at, |l| l.min(at)));
        }
    }

    /// Holds a change. What was not asked for is held for that reason alone.
    pub fn hold(&mut self, change: Change, by: Hold, waits_for: impl Into<String>) {
        let (by, waits_for) = match self.left_out(&change.address) {
            Some(words) => (Hold::Filter, words.to_owned()),
            None => (by, waits_for.into()),
        };
        self.held.push(Held { change, waits_for, by });
    }

    /// Why an address is not asked for, if it is not.
    pub fn left_out(&self, address: &Address) -> Option<&'static str> {
        self.ask.intent.left_out(address)
    }

    /// Holds a launch where something with our marks stands that is not ours alone; whether it did.
    pub fn holds_occupied(&mut self, change: &Change) -> bool {
        let Some((id, who)) = self.survey.occupied.get(&change.address) else { return false };
        let says = format!("{id}, which holds its slot and is managed by {who}; --force takes it");
        self.hold(change.clone(), Hold::Foreign, says);
        true
    }

    /// A change of `address`, with the fingerprint of what is there now.
    pub fn change(&self, address: &Address, action: Action, reasons: Vec<Reason>) -> Change {
        Change {
            fingerprint: self.survey.fingerprint(address),
            address: address.clone(),
            object: None,
            action,
            reasons,
            fields: vec![],
            zone: String::new(),
            what: String::new(),
            node: None,
            how: String::new(),
        }
    }

    /// The fields of a difference as the screen shows them: ids by name, secrets by a word.
    pub fn field_changes(&self, differences: &Differences) -> Vec<FieldChange> {
        let show = |v: &Value| self.labelled(v);
        differences
            .fields
            .iter()
            .map(|d| {
                let (old, new) = if d.field.secret {
                    (Value::Text("(secret)".into()), Value::Text("(secret, changed)".into()))
                } else {
                    let (old, new) = d.shown();
                    (old.as_ref().map_or(Value::Text("(not read)".into()), &show), show(&new))
                };
                let forces_replacement = d.forces_replacement();
                FieldChange { field: d.field.name.into(), old, new, why: d.why, forces_replacement, by: None }
            })
            .collect()
    }

    fn labelled(&self, value: &Value) -> Value {
        match value {
            Value::Text(id) => Value::Text(self.ask.observed.label(id).to_owned()),
            Value::List(l) => Value::List(l.iter().map(|v| self.labelled(v)).collect()),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Map(_) => value.clone(),
        }
    }
}

/// The live fingerprint of a Kubernetes object, to hold against a plan's.
///
/// # Errors
/// It cannot be seen now, in words.
pub fn object_fingerprint(observed: &Observed, scope: &str, object: &ObjectName) -> Result<Digest, String> {
    let seen = observed.clusters.get(scope).ok_or_else(|| "its cluster cannot be seen now".to_owned())?;
    match seen.unseen.get(&object.group_kind()) {
        Some(failure) => Err(format!("{} cannot be seen now: {failure}", object.group_kind())),
        None => Ok(objects::fingerprint(seen, object)),
    }
}

/// One reason a sort of difference gives, naming the fields.
pub(crate) fn reasons(fields: &[FieldChange]) -> Vec<Reason> {
    let mut by_why: BTreeMap<Why, Vec<String>> = BTreeMap::new();
    for f in fields {
        by_why.entry(f.why).or_default().push(format!("{} {} → {}", f.field, f.old, f.new));
    }
    let one = |(why, all): (Why, Vec<String>)| {
        let mut says = all.join(", ");
        if why == Why::Drifted {
            says += ", set back";
        }
        Reason { why, says }
    };
    by_why.into_iter().map(one).collect()
}

/// The fields of a slot's specification with its placement-free value of everything, for stamp and diff.
pub(crate) fn with_script(common: &Fields, script: Option<&Digest>) -> Fields {
    let mut all = common.clone();
    all.insert("user-data".into(), script.map_or(Value::Null, |d| Value::Text(d.0.clone())));
    all
}
