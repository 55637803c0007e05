//! How far a plan has come: events in, ready steps out.
//!
//! A pure state machine. The engine feeds it what happened, live or from the journal, and asks what may start now,
//! what can no longer start, and what a new thing's id is. Started but not ended is the normal state after a crash:
//! a new attempt starts it again, because every call may be repeated. It refuses to know time, and no event, however
//! wrong, makes it panic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::address::Address;
use crate::event::{Event, Happened, Outcome};
use crate::failure::{Class, Failure};
use crate::plan::{Call, Change, Do, ObjectDoes, Plan, Step, Target, Until, Wait};
use crate::slots::Slots;

/// Where one step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not started in this attempt.
    Waiting,
    /// Started, not ended.
    Started,
    /// Done; stays so in every later attempt, unless it was done in part.
    Done,
    /// Failed for good in this attempt.
    Failed(Failure),
    /// Left out in this attempt, with the reason in words.
    Skipped(String),
}

/// Where one change is, as the sum of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// No step has started.
    Waiting,
    /// Some step has.
    Running,
    /// Every step is done.
    Done,
    /// A step failed.
    Failed,
    /// A step was left out because something before it failed or was refused.
    Skipped,
    /// Its reasons no longer hold.
    Refused,
}

/// How far a plan has come.
#[derive(Debug, Clone)]
pub struct Progress {
    plan: Arc<Plan>,
    states: Vec<State>,
    /// Steps that are waiting; a subset of the indices, kept so that `ready` need not look at what is done.
    waiting: BTreeSet<u32>,
    /// Refused changes, with words. A refused change stays refused in every later attempt: what was left out of a
    /// batch must stay out of it, or the batch would be another one.
    refused: BTreeMap<u32, String>,
    /// Changes whose things did not come in this attempt, where others of the same wait did.
    lost: BTreeSet<u32>,
    /// Steps that such a loss has left in part, and those that are done after them.
    partial: BTreeSet<u32>,
    bindings: BTreeMap<Address, String>,
    /// Step → how often the launch met no capacity, and how often a spent token.
    turns: BTreeMap<u32, Turns>,
    /// Steps whose call may have touched the world → the attempt that first did.
    touched: BTreeMap<u32, u32>,
    /// Ids named by a destructive call that has started, in this attempt or an earlier one.
    condemned: BTreeSet<String>,
    attempts: u32,
    interrupted: bool,
}

/// How far a launch has gone through its choices. It survives a crash, so that the attempt after it asks for the very
/// thing that may already have been made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turns {
    /// Places and types that had no room, from the first of the list.
    pub full: u32,
    /// Generations whose token belonged to something dead.
    pub spent: u32,
}

impl Progress {
    /// Nothing has happened yet.
    pub fn new(plan: impl Into<Arc<Plan>>) -> Self {
        let plan = plan.into();
        let n = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        Self {
            states: vec![State::Waiting; plan.steps.len()],
            waiting: (0..n).collect(),
            plan,
            refused: BTreeMap::new(),
            lost: BTreeSet::new(),
            partial: BTreeSet::new(),
            bindings: BTreeMap::new(),
            turns: BTreeMap::new(),
            touched: BTreeMap::new(),
            condemned: BTreeSet::new(),
            attempts: 0,
            interrupted: false,
        }
    }

    /// What these events, in order, have led to.
    pub fn replay<'e>(plan: impl Into<Arc<Plan>>, events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut progress = Self::new(plan);
        events.into_iter().for_each(|e| progress.apply(&e.happened));
        progress
    }

    /// Takes note of one event. An index that the plan does not have is ignored.
    pub fn apply(&mut self, happened: &Happened) {
        match happened {
            Happened::Began { attempt, .. } => self.begin(*attempt),
            Happened::Refused { change, because } => {
                self.refused.entry(*change).or_insert_with(|| because.clone());
            }
            Happened::Started { step } => {
                self.set(*step, State::Started);
                self.touch(*step);
            }
            Happened::Retrying { step, failure, .. } => {
                let turns = self.turns.entry(*step).or_default();
                match failure.class {
                    Class::Capacity => turns.full = turns.full.saturating_add(1),
                    // Another generation is another batch: it goes through the places from the first again.
                    Class::TokenSpent => *turns = Turns { full: 0, spent: turns.spent.saturating_add(1) },
                    Class::Throttled
                    | Class::Transient
                    | Class::Quota
                    | Class::Denied
                    | Class::Credentials
                    | Class::NotFound
                    | Class::Busy
                    | Class::Protected
                    | Class::TokenMismatch
                    | Class::Invalid => {}
                }
            }
            Happened::Waiting { .. } => {}
            Happened::Done { step, made } => {
                self.set(*step, State::Done);
                if self.step(*step).is_some_and(|s| s.needs.iter().any(|n| self.partial.contains(n))) {
                    self.partial.insert(*step);
                }
                self.bindings.extend(made.clone());
            }
            Happened::Failed { step, failure, lost } => {
                self.set(*step, State::Failed(failure.clone()));
                if !lost.is_empty() {
                    self.lost.extend(lost);
                    self.partial.insert(*step);
                }
                self.turns.remove(step);
                // A refusal proves that this call did nothing, but not that an earlier attempt's did nothing.
                if failure.class != Class::Transient && self.touched.get(step) == Some(&self.attempts) {
                    self.touched.remove(step);
                }
            }
            Happened::Skipped { step, because } => self.set(*step, State::Skipped(because.clone())),
            Happened::Interrupted { .. } => self.interrupted = true,
            Happened::Ended { .. } => {}
        }
    }

    fn begin(&mut self, attempt: u32) {
        self.attempts = self.attempts.saturating_add(1).max(attempt);
        self.interrupted = false;
        self.lost.clear();
        let partial = std::mem::take(&mut self.partial);
        for (i, state) in (0u32..).zip(&mut self.states) {
            match state {
                // What was done without what was lost is done again with it: every call may be repeated.
                State::Done if !partial.contains(&i) => {}
                State::Waiting | State::Started | State::Done | State::Failed(_) | State::Skipped(_) => {
                    *state = State::Waiting;
                    self.waiting.insert(i);
                }
            }
        }
    }

    /// A call has started: from now on it counts as made, until the world refuses it.
    fn touch(&mut self, step: u32) {
        match self.effective(step) {
            Some(Do::Wait(_)) | None => return,
            Some(Do::Call(Call::Terminate(ids))) => self.condemned.extend(ids),
            Some(Do::Call(Call::DeleteVolume(id))) => {
                self.condemned.insert(id);
            }
            Some(Do::Call(
                Call::Launch(_)
                | Call::Stop(_)
                | Call::Start(_)
                | Call::Change { .. }
                | Call::Tag { .. }
                | Call::CreateVolume(_)
                | Call::Attach { .. }
                | Call::Detach { .. },
            )) => {}
            Some(Do::Call(Call::Object(on))) => {
                if let ObjectDoes::Delete { uid } = on.does {
                    self.condemned.insert(uid);
                }
            }
        }
        self.touched.entry(step).or_insert(self.attempts);
    }

    fn set(&mut self, step: u32, to: State) {
        if let Some(state) = self.states.get_mut(step as usize) {
            match to {
                State::Waiting => self.waiting.insert(step),
                State::Started | State::Done | State::Failed(_) | State::Skipped(_) => self.waiting.remove(&step),
            };
            *state = to;
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How often the plan has been taken up, this time included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Where a step is; `None` where the plan has no such step.
    pub fn state(&self, step: u32) -> Option<&State> {
        self.states.get(step as usize)
    }

    /// Where a step is as far as this change is concerned: a wait that lost another one is done for it.
    pub fn state_for(&self, step: u32, change: u32) -> Option<&State> {
        let state = self.state(step)?;
        let other = matches!(state, State::Failed(_)) && self.partial.contains(&step) && !self.lost.contains(&change);
        Some(if other { &State::Done } else { state })
    }

    /// The changes that a failed step has lost, where it did not fail for all of them.
    pub fn lost_by(&self, step: u32) -> Vec<u32> {
        let failed = matches!(self.state(step), Some(State::Failed(_))) && self.partial.contains(&step);
        let changes = self.step(step).filter(|_| failed).map(|s| s.changes.as_slice()).unwrap_or_default();
        changes.iter().copied().filter(|c| self.lost.contains(c)).collect()
    }

    /// Refused changes, each with words.
    pub fn refused(&self) -> &BTreeMap<u32, String> {
        &self.refused
    }

    /// The id of what the plan has made for an address.
    pub fn binding(&self, address: &Address) -> Option<&str> {
        self.bindings.get(address).map(String::as_str)
    }

    /// Everything that the plan has made.
    pub fn bindings(&self) -> &BTreeMap<Address, String> {
        &self.bindings
    }

    /// How far a launch has gone through its choices.
    pub fn turns(&self, step: u32) -> Turns {
        self.turns.get(&step).copied().unwrap_or_default()
    }

    /// Steps that have started and not ended.
    pub fn in_flight(&self) -> Vec<u32> {
        (0u32..).zip(&self.states).filter(|(_, s)| **s == State::Started).map(|(i, _)| i).collect()
    }

    /// Whether nothing more can start and nothing is in flight.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && !self.states.contains(&State::Started)
    }

    /// The steps that may start now, by index: what they need is done, and no refusal has emptied them.
    pub fn ready(&self) -> Vec<u32> {
        let met = |s: u32, step: &Step| {
            step.needs.iter().all(|n| match self.state(*n) {
                Some(State::Done | State::Failed(_)) if self.partial.contains(n) => self.goes_on(*n, step),
                Some(State::Done) => true,
                Some(State::Skipped(_)) => self.is_waived(*n, step),
                Some(State::Failed(_)) => self.starts_anyway(*n, step),
                Some(State::Waiting | State::Started) | None => false,
            }) && (self.is_whole() || self.effective(s).is_some())
        };
        self.waiting.iter().copied().filter(|s| self.step(*s).is_some_and(|step| met(*s, step))).collect()
    }

    /// The waiting steps that can no longer run, by index, each with the reason in words; the consequences of these
    /// are among them.
    pub fn skips(&self) -> Vec<(u32, String)> {
        let mut lost: BTreeMap<u32, String> = BTreeMap::new();
        for s in self.waiting.iter().copied() {
            let Some(step) = self.step(s) else { continue };
            let because = self.emptied(s, step).or_else(|| {
                step.needs.iter().filter(|n| !self.is_waived(**n, step)).find_map(|n| match self.state(*n) {
                    Some(State::Done | State::Failed(_)) if self.partial.contains(n) && self.goes_on(*n, step) => None,
                    Some(State::Done) if self.partial.contains(n) => {
                        Some(format!("{} is done in part", self.words(*n)))
                    }
                    Some(State::Failed(_)) if self.starts_anyway(*n, step) => None,
                    Some(State::Failed(_)) => Some(format!("{} failed", self.words(*n))),
                    Some(State::Skipped(_)) => Some(format!("{} was left out", self.words(*n))),
                    Some(State::Waiting) if lost.contains_key(n) => Some(format!("{} was left out", self.words(*n))),
                    None => Some("the plan has no step that it needs".to_owned()),
                    Some(State::Waiting | State::Started | State::Done) => None,
                })
            });
            if let Some(because) = because {
                lost.insert(s, because);
            }
        }
        lost.into_iter().collect()
    }

    /// A need that was left out only because its changes were refused does not hold back a step that serves all of
    /// those changes itself: it served the part of the step that is left out too.
    fn is_waived(&self, need: u32, step: &Step) -> bool {
        self.step(need).is_some_and(|n| {
            !n.changes.is_empty() && n.changes.iter().all(|c| self.refused.contains_key(c) && step.changes.contains(c))
        })
    }

    /// A machine that was stopped for a change is started again when the change cannot be.
    fn starts_anyway(&self, need: u32, step: &Step) -> bool {
        let changes = |id: &String| match self.step(need).map(|n| &n.does) {
            Some(Do::Call(Call::Change { id: of, .. })) => of == id,
            Some(Do::Call(_) | Do::Wait(_)) | None => false,
        };
        match &step.does {
            Do::Call(Call::Start(ids)) => ids.iter().all(changes),
            Do::Call(_) | Do::Wait(_) => false,
        }
    }

    /// After a loss only what serves nothing but the slots of the step before it goes on: what is between those slots
    /// alone. A launch, and whatever else waits for room or for its turn, is left for the next plan.
    fn goes_on(&self, need: u32, step: &Step) -> bool {
        let Some(before) = self.step(need) else { return false };
        let at = |c: &u32| self.change(*c).map(|c| &c.address);
        let slots: BTreeSet<&Address> = before.changes.iter().filter_map(at).collect();
        let brought_there = match &step.does {
            Do::Call(Call::Launch(_)) => return false,
            Do::Call(Call::Attach { machine: Target::New(address), .. }) => slots.contains(address),
            Do::Call(_) | Do::Wait(_) => false,
        };
        brought_there || (!step.changes.is_empty() && step.changes.iter().filter_map(at).all(|a| slots.contains(a)))
    }

    /// Whether nothing was refused and nothing lost.
    fn is_whole(&self) -> bool {
        self.refused.is_empty() && self.lost.is_empty()
    }

    /// Addresses of which something was lost: whatever else is to be done at them is left out as well.
    fn lost_at(&self) -> BTreeSet<&Address> {
        self.lost.iter().filter_map(|c| self.change(*c)).map(|c| &c.address).collect()
    }

    /// Why refusals and losses leave nothing of a step.
    fn emptied(&self, s: u32, step: &Step) -> Option<String> {
        if self.is_whole() || self.effective(s).is_some() {
            return None;
        }
        let lost = self.lost_at();
        let at = |c: &u32| self.change(*c).map(|c| &c.address).filter(|a| lost.contains(a));
        let target = |t: &Target| match t {
            Target::New(address) => lost.get(address).copied(),
            Target::Id(_) => None,
        };
        let brought = match &step.does {
            Do::Call(Call::Attach { machine, .. }) => target(machine),
            Do::Call(_) | Do::Wait(_) => None,
        };
        if let Some(address) = step.changes.iter().find_map(at).or(brought) {
            return Some(format!("{address} did not come"));
        }
        let own = step.changes.iter().find(|c| self.refused.contains_key(c));
        let (change, because) = match own {
            Some(c) => (*c, self.refused.get(c)?),
            None => self.refused.iter().next().map(|(c, b)| (*c, b))?,
        };
        let address = self.change(change).map(|c| c.address.to_string()).unwrap_or_default();
        Some(format!("{address} was refused: {because}"))
    }

    /// What a step does once the refused changes are taken out of it: a batch loses their slots, a wait their targets,
    /// and `None` means that nothing is left. Targets are not yet resolved, see [`Progress::resolve`].
    pub fn effective(&self, step: u32) -> Option<Do> {
        let step = self.step(step)?;
        if self.is_whole() {
            return Some(step.does.clone());
        }
        let lost = self.lost_at();
        let is_lost = |c: &u32| self.change(*c).is_some_and(|c| lost.contains(&c.address));
        if !step.changes.is_empty() && step.changes.iter().all(|c| self.refused.contains_key(c) || is_lost(c)) {
            return None;
        }
        let left = step.changes.iter().filter(|c| is_lost(c)).filter_map(|c| self.change(*c));
        let out: Vec<&Change> = self.refused.keys().filter_map(|c| self.change(*c)).chain(left).collect();
        let id_out = |id: &String| out.iter().any(|c| c.object.as_ref() == Some(id));
        let refused = |a: &Address| self.refused.keys().filter_map(|c| self.change(*c)).any(|c| c.address == *a);
        let address_out = |a: &Address| refused(a) || lost.contains(a);
        let target_out = |t: &Target| match t {
            Target::Id(id) => id_out(id),
            Target::New(address) => address_out(address),
        };
        let some_ids = |ids: &[String]| {
            let left: Vec<String> = ids.iter().filter(|id| !id_out(id)).cloned().collect();
            (!left.is_empty()).then_some(left)
        };
        let call = match &step.does {
            Do::Wait(wait) => {
                let targets: Vec<_> = wait.targets.iter().filter(|t| !target_out(t)).cloned().collect();
                return (!targets.is_empty() || wait.targets.is_empty())
                    .then(|| Do::Wait(Wait { targets, ..wait.clone() }));
            }
            Do::Call(call) => call,
        };
        Some(Do::Call(match call {
            Call::Launch(launch) => {
                let mut left = launch.clone();
                // Never for a loss: what is launched under one token stays one batch.
                let keep: Vec<bool> = launch.tag.slots.iter().map(|s| !refused(&launch.group.slot(s))).collect();
                let kept = |i: usize| keep.get(i).copied().unwrap_or(true);
                left.tag.slots =
                    Slots::new(launch.tag.slots.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, s)| s));
                if launch.tag.replaces.len() == keep.len() {
                    let ids = launch.tag.replaces.iter().enumerate();
                    left.tag.replaces = ids.filter(|(i, _)| kept(*i)).map(|(_, id)| id.clone()).collect();
                }
                if left.tag.slots.is_empty() {
                    return None;
                }
                Call::Launch(left)
            }
            Call::Terminate(ids) => Call::Terminate(some_ids(ids)?),
            Call::Stop(ids) => Call::Stop(some_ids(ids)?),
            Call::Start(ids) => Call::Start(some_ids(ids)?),
            Call::Tag { ids, set, unset } => Call::Tag { ids: some_ids(ids)?, set: set.clone(), unset: unset.clone() },
            Call::Change { id, .. } | Call::DeleteVolume(id) if id_out(id) => return None,
            Call::CreateVolume(volume) if address_out(&volume.address) => return None,
            Call::Attach { volume, machine, .. } if target_out(volume) || target_out(machine) => return None,
            Call::Detach { volume, machine, .. } if id_out(volume) || id_out(machine) => return None,
            Call::Change { .. }
            | Call::DeleteVolume(_)
            | Call::CreateVolume(_)
            | Call::Attach { .. }
            | Call::Detach { .. }
            // One object a call, so a step is left out whole, above.
            | Call::Object(_) => call.clone(),
        }))
    }

    /// The same with every target an id.
    ///
    /// # Errors
    /// The address of which the plan has made nothing.
    pub fn resolve(&self, does: &Do) -> Result<Do, Address> {
        let id = |t: &Target| match t {
            Target::Id(id) => Ok(Target::Id(id.clone())),
            Target::New(address) => {
                self.bindings.get(address).map(|id| Target::Id(id.clone())).ok_or_else(|| address.clone())
            }
        };
        Ok(match does {
            Do::Wait(wait) => {
                let targets = wait.targets.iter().map(id).collect::<Result<_, _>>()?;
                Do::Wait(Wait { targets, ..wait.clone() })
            }
            Do::Call(Call::Attach { volume, machine, device }) => {
                Do::Call(Call::Attach { volume: id(volume)?, machine: id(machine)?, device: device.clone() })
            }
            Do::Call(
                Call::Launch(_)
                | Call::Terminate(_)
                | Call::Stop(_)
                | Call::Start(_)
                | Call::Change { .. }
                | Call::Tag { .. }
                | Call::CreateVolume(_)
                | Call::Detach { .. }
                | Call::DeleteVolume(_)
                | Call::Object(_),
            ) => does.clone(),
        })
    }

    /// Whether a call for this change may have touched the world already. Such a change is finished, not checked
    /// against the world again: what it finds changed is its own doing.
    pub fn has_begun(&self, change: u32) -> bool {
        self.touched.keys().any(|s| self.step(*s).is_some_and(|step| step.changes.contains(&change)))
    }

    /// Ids that a started destructive call has condemned, whatever became of it: they never return to service.
    pub fn condemned(&self) -> &BTreeSet<String> {
        &self.condemned
    }

    /// Where a change is.
    pub fn standing(&self, change: u32) -> Standing {
        if self.refused.contains_key(&change) {
            return Standing::Refused;
        }
        let of =
            (0u32..).zip(self.plan.steps.iter().zip(&self.states)).filter(|(_, (s, _))| s.changes.contains(&change));
        let mut all = [0usize; 5];
        for (step, (_, state)) in of {
            if matches!(state, State::Skipped(_)) && self.plan.is_beside(change, step) {
                continue;
            }
            let i = match self.state_for(step, change).unwrap_or(state) {
                State::Waiting => 0,
                State::Started => 1,
                State::Done => 2,
                State::Failed(_) => 3,
                State::Skipped(_) => 4,
            };
            all[i] += 1;
        }
        match all {
            [_, _, _, failed, _] if failed > 0 => Standing::Failed,
            [_, _, _, _, skipped] if skipped > 0 => Standing::Skipped,
            [0, 0, _, _, _] => Standing::Done,
            [_, 0, 0, _, _] => Standing::Waiting,
            _ => Standing::Running,
        }
    }

    /// How the run ended, or would if it ended now.
    pub fn outcome(&self) -> Outcome {
        let done = self.states.iter().all(|s| *s == State::Done);
        match (done && self.refused.is_empty(), self.interrupted) {
            (true, _) => Outcome::Complete,
            (false, true) => Outcome::Interrupted,
            (false, false) => Outcome::Partial,
        }
    }

    /// A step in a few words: `launch of machines.web 0-5`.
    pub fn words(&self, step: u32) -> String {
        let Some(step) = self.step(step) else { return "a step that the plan does not have".to_owned() };
        let verb = match &step.does {
            Do::Call(Call::Launch(l)) => return format!("launch of {} {}", l.group, l.tag.slots),
            Do::Call(Call::CreateVolume(v)) => return format!("creation of {}", v.address),
            Do::Call(Call::Terminate(_)) => "termination",
            Do::Call(Call::Stop(_)) => "stop",
            Do::Call(Call::Start(_)) => "start",
            Do::Call(Call::Change { .. }) => "change",
            Do::Call(Call::Tag { .. }) => "tagging",
            Do::Call(Call::Attach { .. }) => "attachment",
            Do::Call(Call::Detach { .. }) => "detachment",
            Do::Call(Call::DeleteVolume(_)) => "deletion",
            Do::Call(Call::Object(on)) => match on.does {
                ObjectDoes::Apply { .. } => "apply",
                ObjectDoes::Cordon { on: true, .. } => "cordoning",
                ObjectDoes::Cordon { on: false, .. } => "uncordoning",
                ObjectDoes::Delete { .. } => "deletion",
                ObjectDoes::Mark { .. } => "annotation",
                ObjectDoes::Parent { .. } => return format!("writing of the stack's mark {}", on.object),
            },
            Do::Wait(Wait { until: Until::Drained(_), .. }) => "draining",
            Do::Wait(_) => "wait",
        };
        let of: Vec<String> =
            step.changes.iter().filter_map(|c| self.change(*c)).map(|c| c.address.to_string()).collect();
        match of.as_slice() {
            [] => verb.to_owned(),
            [one] => format!("{verb} of {one}"),
            [first, more @ ..] => format!("{verb} of {first} and {} more", more.len()),
        }
    }

    fn step(&self, step: u32) -> Option<&Step> {
        self.plan.steps.get(step as usize)
    }

    fn change(&self, change: u32) -> Option<&Change> {
        self.plan.changes.get(change as usize)
    }
}

#[cfg(test)]
mod tests;
