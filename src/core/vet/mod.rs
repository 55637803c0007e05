//! Checks a finished plan from the outside, before anybody sees or runs it.
//!
//! It shares no code with [`crate::make`]: it reads the plan, the declaration and the look, sorts objects into slots in
//! its own way, and takes the worst of all orders that the steps' `needs` allow. An objection is a bug of ours, never
//! the user's mistake: there is nothing to override. It refuses to repair a plan.

mod data;
mod graph;
mod lives;
mod lost;
mod marks;
mod nodes;
mod objects;
mod owners;
mod structure;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::address::{Address, Group, Kind};
use crate::desired::{Desired, Layout};
use crate::observed::{Object, Observed};
use crate::plan::{Call, Change, Do, ObjectDoes, OnObject, Plan, Step, Target, Until, Wait};
use crate::policy::Amount;
use crate::survey::Memory;

use self::graph::Above;
use self::owners::Own;

/// The rules: id, and what it says in one sentence. An id is never used again for another rule.
pub const RULES: &[(&str, &str)] = &[
    (
        SEALED,
        "The format is ours, the id is the digest of the rest, and the plan is of this declaration and this look.",
    ),
    (GRAPH, "A step needs only earlier steps and serves changes that are there; every change is served."),
    (REASONS, "Every change has a reason, stands once, and every held one says what it waits for."),
    (SERVES, "A step does to an object only what a change that it serves says."),
    (
        SCOPES,
        "Every step acts in a scope that was looked at, on objects and groups of that scope; nothing is made of a group of which something lives in another.",
    ),
    (TARGETS, "Every target exists, or is made by a step that is needed before."),
    (SECRETS, "No secret and no boot script stands in a plan."),
    (OWNERSHIP, "Only what this stack owns is touched."),
    (PROTECTION, "What bears the protection mark is never ended, and the mark is never taken away."),
    (
        GAPS,
        "Where not everything was seen, nothing is created or deleted; nor is a machine that lives, where nobody sees how machines are.",
    ),
    (OUTAGE, "In a zone that its provider calls unavailable nothing is created or deleted."),
    (
        DOUBLES,
        "A slot is launched at most once, and never beside a holder that stays, unless a zone that is out holds that one.",
    ),
    (FLOOR, "In no order of the steps are fewer slots ready than are ready now or needed, whichever is less."),
    (SURGE, "In no order of the steps do more machines live than the declared count and the surge."),
    (
        FENCE,
        "A volume is attached in its own zone, once, to a machine that is up, and only after it is free or its holder is gone.",
    ),
    (CAP, "One run deletes no more than `max-deletes`."),
    (EMPTY, "A group of several does not go to none without leave."),
    (DATA, "Data goes in two steps, and never while its slot is declared."),
    (MARKS, "What is made bears all marks of its stack, within EC2's limits; marks are never taken away."),
    (GENERATION, "A launch is of a newer generation than anything seen in its slots."),
    (FORECAST, "The forecast promises nothing better than the worst order of the steps."),
    (
        DRAIN,
        "A machine whose node answers goes only after the node was cordoned and drained; a node goes only after its machine.",
    ),
];

pub(crate) const SEALED: &str = "V1";
pub(crate) const GRAPH: &str = "V2";
pub(crate) const REASONS: &str = "V3";
pub(crate) const SERVES: &str = "V4";
pub(crate) const SCOPES: &str = "V5";
pub(crate) const TARGETS: &str = "V6";
pub(crate) const SECRETS: &str = "V7";
pub(crate) const OWNERSHIP: &str = "V8";
pub(crate) const PROTECTION: &str = "V9";
pub(crate) const GAPS: &str = "V10";
pub(crate) const OUTAGE: &str = "V11";
pub(crate) const DOUBLES: &str = "V12";
pub(crate) const FLOOR: &str = "V13";
pub(crate) const SURGE: &str = "V14";
pub(crate) const FENCE: &str = "V15";
pub(crate) const CAP: &str = "V16";
pub(crate) const EMPTY: &str = "V17";
pub(crate) const DATA: &str = "V18";
pub(crate) const MARKS: &str = "V19";
pub(crate) const GENERATION: &str = "V20";
pub(crate) const FORECAST: &str = "V21";
pub(crate) const DRAIN: &str = "V22";

/// What the user asked beyond the file, as far as it lifts a rule.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Everything of the stack shall go, its data too.
    pub destroy: bool,
    /// A group of several may go to none.
    pub allow_empty: bool,
    /// Raises `max-deletes` for this run.
    pub max_deletes: Option<Amount>,
    /// What earlier rounds of the same run have deleted, ids by scope.
    pub deleted: BTreeMap<String, BTreeSet<String>>,
    /// What other tools mark as theirs too is taken.
    pub force: bool,
    /// Fields of Kubernetes objects that another manager holds are taken.
    pub force_conflicts: bool,
}

/// Something that a plan must not do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Objection {
    /// Id of the rule, one of [`RULES`].
    pub rule: &'static str,
    /// Index of the step, where one is to blame.
    pub step: Option<u32>,
    /// Index of the change, where one is to blame.
    pub change: Option<u32>,
    /// In words, without a full stop.
    pub says: String,
}

impl std::fmt::Display for Objection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.rule)?;
        if let Some(step) = self.step {
            write!(f, ", step {step}")?;
        }
        if let Some(change) = self.change {
            write!(f, ", change {change}")?;
        }
        write!(f, ": {}", self.says)
    }
}

/// All objections to a plan, sorted; none means that it may be shown and run. `past` is what the plan was made with:
/// it decides who counts as ready.
pub fn vet(
    plan: &Plan,
    desired: &Desired,
    observed: &Observed,
    past: &Memory,
    asked: &Asked,
    now: Timestamp,
) -> Vec<Objection> {
    examined(plan, desired, observed, past, asked, now).0
}

/// The same, with how many steps were looked at on the way.
pub(crate) fn examined(
    plan: &Plan,
    desired: &Desired,
    observed: &Observed,
    past: &Memory,
    asked: &Asked,
    now: Timestamp,
) -> (Vec<Objection>, u64) {
    let (mut out, mut looked) = (Objections::default(), 0);
    structure::sealed(plan, desired, observed, &mut out);
    structure::secrets(plan, desired, &mut out);
    structure::graph(plan, &mut out);
    // With a broken graph, indices lead nowhere and "before" means nothing: there is no more to be said.
    if !out.0.iter().any(|o| o.rule == GRAPH) {
        let case = Case::of(plan, desired, observed, past, asked.clone(), now);
        structure::reasons(&case, &mut out);
        structure::serves(&case, &mut out);
        structure::scopes(&case, &mut out);
        structure::targets(&case, &mut out);
        owners::touched(&case, &mut out);
        owners::unseen(&case, &mut out);
        lives::doubles(&case, &mut out);
        lives::floor(&case, &mut out);
        lives::surge(&case, &mut out);
        data::fence(&case, &mut out);
        data::deletes(&case, &mut out);
        data::kept(&case, &mut out);
        data::last_replica(&case, &mut out);
        marks::made(&case, &mut out);
        marks::tagged(&case, &mut out);
        objects::objects(&case, &mut out);
        nodes::nodes(&case, &mut out);
        looked = case.looked.get();
    }
    let mut all = out.0;
    all.sort();
    all.dedup();
    (all, looked)
}

/// Objections as they are found.
#[derive(Default)]
struct Objections(Vec<Objection>);

impl Objections {
    fn step(&mut self, rule: &'static str, step: u32, says: impl Into<String>) {
        self.0.push(Objection { rule, step: Some(step), change: None, says: says.into() });
    }

    fn change(&mut self, rule: &'static str, change: u32, says: impl Into<String>) {
        self.0.push(Objection { rule, step: None, change: Some(change), says: says.into() });
    }

    fn plan(&mut self, rule: &'static str, says: impl Into<String>) {
        self.0.push(Objection { rule, step: None, change: None, says: says.into() });
    }
}

/// A plan whose graph is sound, with what the checks look up.
struct Case<'a> {
    plan: &'a Plan,
    desired: &'a Desired,
    observed: &'a Observed,
    asked: Asked,
    now: Timestamp,
    past: &'a Memory,
    above: Above,
    /// Everything that was seen, by id.
    objects: BTreeMap<&'a str, &'a Object>,
    /// What is ours, by id, the dead included.
    own: BTreeMap<&'a str, Own<'a>>,
    /// Steps that end or stop a machine or delete a volume, by id.
    ends: BTreeMap<&'a str, Vec<u32>>,
    /// Steps that launch or create, by address.
    made: BTreeMap<Address, Vec<u32>>,
    /// Waits by what they wait for, in the order of the steps.
    awaited: BTreeMap<&'a Target, Vec<(u32, &'a Step, &'a Wait)>>,
    /// Changes that some call serves.
    serving: BTreeSet<u32>,
    /// Changes that are the end of a node alone.
    forgotten: BTreeSet<u32>,
    /// Calls on nodes for the changes of machines.
    on_nodes: Vec<(u32, &'a Step, &'a OnObject)>,
    /// Steps that were looked at so far: a plan twice as large costs twice as many.
    looked: Cell<u64>,
}

impl<'a> Case<'a> {
    fn of(
        plan: &'a Plan,
        desired: &'a Desired,
        observed: &'a Observed,
        past: &'a Memory,
        asked: Asked,
        now: Timestamp,
    ) -> Self {
        let mut case = Self {
            plan,
            desired,
            observed,
            asked: asked.clone(),
            now,
            past,
            above: Above::of(&plan.steps),
            objects: observed.objects.iter().map(|o| (o.id.as_str(), o)).collect(),
            own: owners::own(plan, desired, observed, &past.objects, &asked, now),
            ends: BTreeMap::new(),
            made: BTreeMap::new(),
            awaited: BTreeMap::new(),
            serving: calls(plan).flat_map(|(_, s, _)| s.changes.iter().copied()).collect(),
            forgotten: BTreeSet::new(),
            on_nodes: Vec::new(),
            looked: Cell::new(0),
        };
        for (i, _, call) in calls(plan) {
            match call {
                Call::Terminate(ids) | Call::Stop(ids) => {
                    for id in ids {
                        case.ends.entry(id).or_default().push(i);
                    }
                }
                Call::DeleteVolume(id) => case.ends.entry(id).or_default().push(i),
                Call::Launch(l) => {
                    for address in l.addresses() {
                        case.made.entry(address).or_default().push(i);
                    }
                }
                Call::CreateVolume(v) => case.made.entry(v.address.clone()).or_default().push(i),
                Call::Start(_)
                | Call::Change { .. }
                | Call::Tag { .. }
                | Call::Attach { .. }
                | Call::Detach { .. }
                | Call::Object(_) => {}
            }
        }
        let on_nodes = case.calls().filter_map(|(i, step, call)| match call {
            Call::Object(on) if nodes::of_machine(&case, step, on) => Some((i, step, on)),
            _ => None,
        });
        case.on_nodes = on_nodes.collect();
        let ends = case.on_nodes.iter().filter(|(_, _, on)| matches!(on.does, ObjectDoes::Delete { .. }));
        case.forgotten =
            ends.filter_map(|(_, step, _)| step.changes.first().filter(|_| step.changes.len() == 1).copied()).collect();
        for (i, step, wait) in case.waits() {
            for target in &wait.targets {
                case.awaited.entry(target).or_default().push((i, step, wait));
            }
            // Who is drained serves no more.
            if let Until::Drained(_) = wait.until {
                for id in wait.targets.iter().filter_map(|t| nodes::machine(observed, t)) {
                    case.ends.entry(id).or_default().push(i);
                }
            }
        }
        case.ends.values_mut().for_each(|all| all.sort_unstable());
        case
    }

    fn calls(&self) -> impl Iterator<Item = (u32, &'a Step, &'a Call)> + use<'a> {
        self.look(self.plan.steps.len());
        calls(self.plan)
    }

    /// So many steps are looked at.
    fn look(&self, steps: usize) {
        self.looked.set(self.looked.get().saturating_add(steps as u64));
    }

    /// The waits for this object.
    fn waits_for(&self, target: &Target) -> &[(u32, &'a Step, &'a Wait)] {
        let all = self.awaited.get(target).map(Vec::as_slice).unwrap_or_default();
        self.look(all.len());
        all
    }

    fn waits(&self) -> impl Iterator<Item = (u32, &'a Step, &'a Wait)> + use<'a> {
        let one = |(i, step): (usize, &'a Step)| match &step.does {
            Do::Wait(wait) => Some((index(i), step, wait)),
            Do::Call(_) => None,
        };
        self.look(self.plan.steps.len());
        self.plan.steps.iter().enumerate().filter_map(one)
    }

    /// The changes that a step serves.
    fn changes(&self, step: &'a Step) -> impl Iterator<Item = &'a Change> + use<'a> {
        let all = &self.plan.changes;
        step.changes.iter().filter_map(|c| all.get(*c as usize))
    }

    fn object(&self, id: &str) -> Option<&'a Object> {
        self.objects.get(id).copied()
    }

    /// How many of a group the file wants.
    fn wanted(&self, group: &Group) -> u32 {
        if self.asked.destroy {
            return 0;
        }
        let machines = |name: &str| self.desired.machines.get(name).map_or(0, |g| g.count);
        match group.kind {
            Kind::Machines => machines(&group.name),
            Kind::Volumes => match self.desired.volumes.get(&group.name).map(|v| &v.layout) {
                Some(Layout::Replicas { count, .. }) => *count,
                Some(Layout::For(m)) => machines(&m.name),
                None => 0,
            },
            Kind::Workloads | Kind::Manifests => 0,
        }
    }

    /// Declared groups and those of which something lives.
    fn groups(&self, kind: Kind) -> BTreeSet<Group> {
        let declared: Vec<Group> = match kind {
            Kind::Machines => self.desired.machines.keys().map(Group::machines).collect(),
            Kind::Volumes => self.desired.volumes.keys().map(Group::volumes).collect(),
            Kind::Workloads | Kind::Manifests => vec![],
        };
        let living = self.own.values().filter(|o| o.object.kind == kind && o.alive()).filter_map(|o| o.group.clone());
        declared.into_iter().chain(living).collect()
    }

    /// What lives and is of a group.
    fn members<'s>(&'s self, group: &'s Group) -> impl Iterator<Item = &'s Own<'a>> + 's {
        self.own.values().filter(move |o| o.alive() && o.group.as_ref() == Some(group))
    }

    /// Whether the plan terminates or deletes it for good.
    fn gone_by(&self, id: &str) -> Option<u32> {
        let for_good = |i: &&u32| match &self.plan.steps[**i as usize].does {
            Do::Call(Call::Terminate(_) | Call::DeleteVolume(_)) => true,
            Do::Call(
                Call::Launch(_)
                | Call::Stop(_)
                | Call::Start(_)
                | Call::Change { .. }
                | Call::Tag { .. }
                | Call::CreateVolume(_)
                | Call::Attach { .. }
                | Call::Detach { .. }
                | Call::Object(_),
            )
            | Do::Wait(_) => false,
        };
        self.ends.get(id)?.iter().find(for_good).copied()
    }

    /// Whether `step` comes after some wait for this object that fits, in every order.
    fn after_wait(&self, step: u32, target: &Target, fits: impl Fn(&Wait) -> bool) -> bool {
        let before = self.waits_for(target).iter().take_while(|(i, _, _)| *i < step);
        before.into_iter().any(|(i, _, w)| fits(w) && self.above.has(step, *i))
    }
}

fn calls(plan: &Plan) -> impl Iterator<Item = (u32, &Step, &Call)> {
    plan.steps.iter().enumerate().filter_map(|(i, step)| match &step.does {
        Do::Call(call) => Some((index(i), step, call)),
        Do::Wait(_) => None,
    })
}

fn index(i: usize) -> u32 {
    u32::try_from(i).unwrap_or(u32::MAX)
}

/// Whether a target names this id.
fn is_id(target: &Target, id: &str) -> bool {
    match target {
        Target::Id(it) => it == id,
        Target::New(_) => false,
    }
}

/// The ids of live objects that a call acts upon, with what it does to them in one word.
fn touches(call: &Call) -> (&'static str, Vec<&str>) {
    match call {
        Call::Launch(_) | Call::CreateVolume(_) => ("makes", vec![]),
        Call::Terminate(ids) => ("terminates", texts(ids)),
        Call::Stop(ids) => ("stops", texts(ids)),
        Call::Start(ids) => ("starts", texts(ids)),
        Call::Change { id, .. } => ("changes", vec![id]),
        Call::Tag { ids, .. } => ("tags", texts(ids)),
        Call::Attach { volume, machine, .. } => ("attaches", ids([volume, machine])),
        Call::Detach { volume, machine, .. } => ("detaches", vec![volume, machine]),
        Call::DeleteVolume(id) => ("deletes", vec![id]),
        Call::Object(_) => ("acts on", vec![]),
    }
}

fn texts(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

fn ids<'t>(targets: impl IntoIterator<Item = &'t Target>) -> Vec<&'t str> {
    let one = |t: &'t Target| match t {
        Target::Id(id) => Some(id.as_str()),
        Target::New(_) => None,
    };
    targets.into_iter().filter_map(one).collect()
}
