//! What a screen needs to know of a run: how far each change is, what is in flight, since when, and what it waits for.
//!
//! Core's [`Progress`] knows the states; this adds times and words, and keeps counts, so that an event costs what it
//! touches and not the whole plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel_core::address::Group;
use evenkeel_core::event::{Event, Happened, Outcome};
use evenkeel_core::failure::Failure;
use evenkeel_core::plan::{Plan, Step};
use evenkeel_core::progress::{Progress, Standing, State};
use jiff::Timestamp;

/// A step that has started and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    /// Which step.
    pub step: u32,
    /// Since when.
    pub since: Timestamp,
    /// What a wait shows, or why it is tried again; may be empty.
    pub shows: Vec<String>,
}

/// Changes of one group, counted by where they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub all: u32,
    /// Done.
    pub done: u32,
    /// Begun, not done.
    pub running: u32,
    /// Failed.
    pub failed: u32,
    /// Refused.
    pub refused: u32,
    /// Left out.
    pub skipped: u32,
    /// Steps that serve the group: finer than changes, so that a bar moves while a batch is under way.
    pub steps: u32,
    /// Of these, done.
    pub steps_done: u32,
}

impl Counts {
    fn of(&mut self, standing: Standing) -> Option<&mut u32> {
        match standing {
            Standing::Waiting => None,
            Standing::Running => Some(&mut self.running),
            Standing::Done => Some(&mut self.done),
            Standing::Failed => Some(&mut self.failed),
            Standing::Skipped => Some(&mut self.skipped),
            Standing::Refused => Some(&mut self.refused),
        }
    }

    /// Neither done nor given up.
    pub fn open(&self) -> u32 {
        self.all - self.done - self.failed - self.refused - self.skipped
    }
}

/// How far a run is.
#[derive(Debug, Clone)]
pub struct Tally {
    progress: Progress,
    steps_of: Vec<Vec<u32>>,
    standing: Vec<Standing>,
    groups: BTreeMap<Group, Counts>,
    flights: BTreeMap<u32, Flight>,
    began: Option<Timestamp>,
    now: Timestamp,
    outcome: Option<Outcome>,
    before: u32,
}

impl Tally {
    /// Nothing has happened yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        let mut steps_of = vec![Vec::new(); plan.changes.len()];
        for (i, step) in (0u32..).zip(&plan.steps) {
            for change in &step.changes {
                if let Some(steps) = steps_of.get_mut(*change as usize) {
                    steps.push(i);
                }
            }
        }
        let mut groups: BTreeMap<Group, Counts> = BTreeMap::new();
        for change in &plan.changes {
            groups.entry(change.address.group.clone()).or_default().all += 1;
        }
        for step in &plan.steps {
            served(&plan, step).for_each(|g| groups.entry(g.clone()).or_default().steps += 1);
        }
        let now = plan.basis.at;
        let mut tally = Self {
            standing: vec![Standing::Waiting; plan.changes.len()],
            progress: Progress::new(plan),
            steps_of,
            groups,
            flights: BTreeMap::new(),
            began: None,
            now,
            outcome: None,
            before: 0,
        };
        tally.stand_all();
        tally
    }

    /// Takes note of an event.
    pub fn apply(&mut self, event: &Event) {
        let before = match &event.happened {
            Happened::Done { step, .. } => self.progress.state(*step).cloned(),
            _ => None,
        };
        self.progress.apply(&event.happened);
        self.now = event.at;
        let at = event.at;
        match &event.happened {
            Happened::Began { .. } => {
                self.began = Some(at);
                self.outcome = None;
                self.flights.clear();
                self.stand_all();
                self.before = self.all().done;
            }
            Happened::Refused { change, .. } => self.stand(*change),
            Happened::Started { step } => {
                self.flights.insert(*step, Flight { step: *step, since: at, shows: Vec::new() });
                self.stand_step(*step);
            }
            Happened::Retrying { step, failure, after_ms } => {
                let again = crate::words::millis(*after_ms);
                if let Some(flight) = self.flights.get_mut(step) {
                    flight.shows = vec![format!("{}, again in {again}", short(failure))];
                }
            }
            Happened::Waiting { step, shows } => {
                if let Some(flight) = self.flights.get_mut(step) {
                    flight.shows.clone_from(shows);
                }
            }
            Happened::Done { step, .. } | Happened::Failed { step, .. } | Happened::Skipped { step, .. } => {
                self.flights.remove(step);
                self.stand_step(*step);
                if before.is_some_and(|b| b != State::Done) {
                    let plan = self.plan().clone();
                    for group in plan.steps.get(*step as usize).into_iter().flat_map(|s| served(&plan, s)) {
                        self.groups.entry(group.clone()).or_default().steps_done += 1;
                    }
                }
            }
            Happened::Interrupted { .. } => {}
            Happened::Ended { outcome } => self.outcome = Some(*outcome),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    fn stand_step(&mut self, step: u32) {
        let changes = self.plan().steps.get(step as usize).map(|s| s.changes.clone()).unwrap_or_default();
        changes.into_iter().for_each(|c| self.stand(c));
    }

    fn stand_all(&mut self) {
        (0..u32::try_from(self.standing.len()).unwrap_or(u32::MAX)).for_each(|c| self.stand(c));
    }

    /// Puts a change where its steps say.
    fn stand(&mut self, change: u32) {
        let i = change as usize;
        let (Some(steps), Some(old)) = (self.steps_of.get(i), self.standing.get(i).copied()) else { return };
        let new = if self.progress.refused().contains_key(&change) {
            Standing::Refused
        } else {
            let plan = self.progress.plan();
            let counts =
                |(s, state): &(u32, &State)| !matches!(state, State::Skipped(_)) || !plan.is_beside(change, *s);
            let states = steps.iter().filter_map(|s| Some((*s, self.progress.state_for(*s, change)?)));
            sum(states.filter(counts).map(|(_, state)| state))
        };
        self.standing[i] = new;
        let group = &self.progress.plan().changes[i].address.group;
        let counts = self.groups.get_mut(group).expect("every change's group was counted");
        if let Some(n) = counts.of(old) {
            *n -= 1;
        }
        if let Some(n) = counts.of(new) {
            *n += 1;
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        self.progress.plan()
    }

    /// Core's view of it.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where a change is.
    pub fn standing(&self, change: u32) -> Standing {
        self.standing.get(change as usize).copied().unwrap_or(Standing::Waiting)
    }

    /// Group by group.
    pub fn groups(&self) -> &BTreeMap<Group, Counts> {
        &self.groups
    }

    /// Changes that earlier attempts had done when this one began.
    pub fn before(&self) -> u32 {
        self.before
    }

    /// All groups together.
    pub fn all(&self) -> Counts {
        let mut sum = Counts::default();
        for c in self.groups.values() {
            sum.all += c.all;
            sum.done += c.done;
            sum.running += c.running;
            sum.failed += c.failed;
            sum.refused += c.refused;
            sum.skipped += c.skipped;
            sum.steps += c.steps;
            sum.steps_done += c.steps_done;
        }
        sum
    }

    /// What is in flight, the oldest first.
    pub fn flights(&self) -> Vec<&Flight> {
        let mut all: Vec<&Flight> = self.flights.values().collect();
        all.sort_by_key(|f| (f.since, f.step));
        all
    }

    /// Since when a step is in flight.
    pub fn flight(&self, step: u32) -> Option<&Flight> {
        self.flights.get(&step)
    }

    /// The latest time that was told.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When this attempt began.
    pub fn began(&self) -> Timestamp {
        self.began.unwrap_or(self.now)
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }
}

/// The groups that a step serves, each once.
fn served<'a>(plan: &'a Plan, step: &'a Step) -> impl Iterator<Item = &'a Group> {
    let groups: BTreeSet<&Group> =
        step.changes.iter().filter_map(|c| plan.changes.get(*c as usize)).map(|c| &c.address.group).collect();
    groups.into_iter()
}

/// A failure in one short phrase: its code, else what sort it is.
pub fn short(failure: &Failure) -> String {
    if failure.code.is_empty() { crate::failure::cause("", failure.class).to_owned() } else { failure.code.clone() }
}

/// Where a change is, as the sum of its steps; the same answer as [`Progress::standing`].
fn sum<'a>(states: impl Iterator<Item = &'a State>) -> Standing {
    let (mut waiting, mut started, mut done, mut skipped) = (false, false, false, false);
    for state in states {
        match state {
            State::Failed(_) => return Standing::Failed,
            State::Waiting => waiting = true,
            State::Started => started = true,
            State::Done => done = true,
            State::Skipped(_) => skipped = true,
        }
    }
    match (skipped, waiting, started, done) {
        (true, ..) => Standing::Skipped,
        (_, false, false, _) => Standing::Done,
        (_, true, false, false) => Standing::Waiting,
        _ => Standing::Running,
    }
}
