//! Carries out a finished plan: what is ready starts, what is done is written down, what failed takes only its own
//! dependents with it.
//!
//! It decides nothing: order, batches and waits are the plan's. Before each call the journal says so on the disk,
//! which is also the condemnation of what a destructive call names. Resuming is the same code with a longer past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::address::{Address, ObjectName};
use evenkeel_core::event::{Event, Happened, Outcome};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::plan::{Call, Do, Drain, Plan, Target, Until, Wait};
use evenkeel_core::progress::Progress;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::caller::{self, Retry};
use crate::clock::{Clock, passed};
use crate::fresh::Refused;
use crate::journal::Record;
use crate::launching;
use crate::limits::Limits;
use crate::provider::{Looked, Made, Payloads, Provider};
use crate::stop::Stop;
use crate::waiting::{Awaited, Verdict, Watch};

/// What a run needs besides the plan.
pub struct Job<'a> {
    /// A provider for each scope of the plan, by alias.
    pub providers: &'a BTreeMap<String, Arc<dyn Provider>>,
    /// Boot scripts.
    pub payloads: &'a Payloads,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Changes whose reasons no longer hold ([`crate::fresh`]).
    pub refused: &'a [Refused],
    /// How many, how often, how long.
    pub limits: &'a Limits,
    /// Raised when nothing new may start.
    pub stop: Stop,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// In one word.
    pub outcome: Outcome,
    /// Step by step.
    pub progress: Progress,
    /// The journal could not be written, so nothing new was started from then on.
    pub trouble: Option<Failure>,
}

/// Carries out a plan from where `progress` stands: [`Progress::new`], or [`Progress::replay`] of its journal. Every
/// event is written by `record` and then told to `tell`.
pub async fn run(
    job: Job<'_>,
    progress: Progress,
    record: &mut dyn Record,
    tell: &mut (dyn FnMut(&Event) + Send),
) -> Ran {
    let (ear, mut heard) = mpsc::unbounded_channel();
    let mut run = Run::new(job, progress, record, tell, ear);
    run.begin();
    let mut interrupted = false;
    loop {
        if run.job.stop.cause().is_some() {
            interrupted = true;
            break;
        }
        run.advance();
        if run.calls.is_empty() && run.watches.is_empty() {
            break;
        }
        let timer = run.look();
        let (clock, stop) = (run.job.clock, run.job.stop.clone());
        tokio::select! {
            biased;
            _ = stop.raised() => {
                interrupted = true;
                break;
            }
            Some(ended) = run.calls.next(), if !run.calls.is_empty() => run.ended(ended),
            Some(looked) = run.looks.next(), if !run.looks.is_empty() => run.looked(looked),
            Some(retry) = heard.recv() => run.retrying(retry),
            () = clock.sleep(timer.unwrap_or_default()), if timer.is_some() => {}
        }
    }
    if interrupted {
        run.interrupt().await;
    }
    run.end()
}

/// `None`: held back, for the run was told to stop. The step stays in flight.
type Ended = (u32, Option<Result<Made, Failure>>);
type Round = (Looker, BTreeSet<u32>, Result<Looked, Failure>);

/// Whose looks go together: those of one scope. A drain, whose looks act, has looks of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Looker {
    scope: String,
    drain: Option<(u32, Drain)>,
}

/// The looks of one looker.
struct Poll {
    next: Timestamp,
    pause: Duration,
    looking: bool,
}

struct Run<'a> {
    job: Job<'a>,
    plan: Arc<Plan>,
    progress: Progress,
    record: &'a mut dyn Record,
    tell: &'a mut (dyn FnMut(&Event) + Send),
    ear: UnboundedSender<Retry>,
    /// Events that have happened and are not yet written.
    unwritten: Vec<Event>,
    trouble: Option<Failure>,
    calls: FuturesUnordered<BoxFuture<'a, Ended>>,
    looks: FuturesUnordered<BoxFuture<'a, Round>>,
    watches: BTreeMap<u32, Watch>,
    polls: BTreeMap<Looker, Poll>,
    /// Id → what people call it.
    names: BTreeMap<String, String>,
    /// Wait for volumes to be free → where they are attached next.
    homes: BTreeMap<u32, Vec<(Target, Target)>>,
    /// Waits for volumes to be free, and those of them that are deleted next.
    doomed: BTreeSet<(u32, String)>,
}

impl<'a> Run<'a> {
    fn new(
        job: Job<'a>,
        progress: Progress,
        record: &'a mut dyn Record,
        tell: &'a mut (dyn FnMut(&Event) + Send),
        ear: UnboundedSender<Retry>,
    ) -> Self {
        let plan = Arc::clone(progress.plan());
        let known = plan.changes.iter().filter_map(|c| Some((c.object.clone()?, c.address.short())));
        let made = progress.bindings().iter().map(|(address, id)| (id.clone(), address.short()));
        let names = known.chain(made).collect();
        let (homes, doomed) = (homes(&plan), doomed(&plan));
        Self {
            job,
            plan,
            progress,
            record,
            tell,
            ear,
            unwritten: Vec::new(),
            trouble: None,
            calls: FuturesUnordered::new(),
            looks: FuturesUnordered::new(),
            watches: BTreeMap::new(),
            polls: BTreeMap::new(),
            names,
            homes,
            doomed,
        }
    }

    fn begin(&mut self) {
        let attempt = self.progress.attempts().saturating_add(1);
        self.happened(Happened::Began { plan: self.plan.id.clone(), attempt });
        for r in self.job.refused {
            self.happened(Happened::Refused { change: r.change, because: r.because.clone() });
        }
    }

    /// Takes note of an event; [`Run::write`] writes it.
    fn happened(&mut self, happened: Happened) {
        self.progress.apply(&happened);
        self.unwritten.push(Event { at: self.job.clock.now(), happened });
    }

    /// Writes what has happened, and `more`, in one append, then tells it. False when it could not be written.
    fn write(&mut self, more: Vec<Happened>, durable: bool) -> bool {
        let now = self.job.clock.now();
        let mut events = std::mem::take(&mut self.unwritten);
        events.extend(more.into_iter().map(|happened| Event { at: now, happened }));
        if events.is_empty() {
            return true;
        }
        match self.record.append(&events, durable) {
            Ok(()) => events.iter().for_each(|e| (self.tell)(e)),
            Err(failure) => {
                self.trouble.get_or_insert(failure);
                // People are still told what has happened, but not that something starts that will not.
                let starts = |e: &Event| matches!(e.happened, Happened::Started { .. });
                events.iter().filter(|e| !starts(e)).for_each(|e| (self.tell)(e));
            }
        }
        self.trouble.is_none()
    }

    /// Leaves out what cannot run any more and starts what is ready.
    fn advance(&mut self) {
        loop {
            for (step, because) in self.progress.skips() {
                self.happened(Happened::Skipped { step, because });
            }
            let starts = if self.trouble.is_none() { self.starts() } else { Vec::new() };
            let started = starts.iter().map(|(step, _)| Happened::Started { step: *step }).collect();
            if !self.write(started, true) {
                // What is not written may not begin, and what waits could only lead to something new.
                self.watches.clear();
                return;
            }
            let mut again = false;
            for (step, does) in starts {
                self.progress.apply(&Happened::Started { step });
                again |= self.start(step, does);
            }
            if !again {
                return;
            }
        }
    }

    /// The ready steps for which there is room: calls are limited, waits are not.
    fn starts(&self) -> Vec<(u32, Do)> {
        let mut room = self.job.limits.in_flight.saturating_sub(self.calls.len());
        let mut starts = Vec::new();
        for step in self.progress.ready() {
            let is_call = self.plan.steps.get(step as usize).is_some_and(|s| matches!(s.does, Do::Call(_)));
            if is_call && room == 0 {
                continue;
            }
            if let Some(does) = self.progress.effective(step) {
                room -= usize::from(is_call);
                starts.push((step, does));
            }
        }
        starts
    }

    /// Starts one step; true when it has ended at once.
    fn start(&mut self, step: u32, does: Do) -> bool {
        let resolved = self.progress.resolve(&does);
        match resolved {
            Err(address) => {
                let says = format!("{address} has not been made by this plan");
                self.happened(Happened::Failed { step, failure: Failure::new(Class::Invalid, "", says), lost: vec![] });
                true
            }
            Ok(Do::Wait(wait)) => self.watch(step, &wait, &does),
            Ok(Do::Call(call)) => self.call(step, call),
        }
    }

    fn scope(&self, step: u32) -> &str {
        self.plan.steps.get(step as usize).map_or("", |s| s.scope.as_str())
    }

    fn looker(&self, step: u32, until: Until) -> Looker {
        let drain = until.drain().map(|how| (step, how));
        Looker { scope: self.scope(step).to_owned(), drain }
    }

    fn provider(&mut self, step: u32) -> Option<Arc<dyn Provider>> {
        let scope = self.scope(step).to_owned();
        let provider = self.job.providers.get(&scope).cloned();
        if provider.is_none() {
            let failure = Failure::new(Class::Invalid, "", format!("no provider for the scope `{scope}`"));
            self.happened(Happened::Failed { step, failure, lost: vec![] });
        }
        provider
    }

    fn call(&mut self, step: u32, call: Call) -> bool {
        let Some(provider) = self.provider(step) else { return true };
        let call = match call {
            Call::Launch(launch) => match launching::choice(&launch, self.progress.turns(step)) {
                Some(one) => Call::Launch(one),
                None => {
                    let failure = Failure::new(Class::Capacity, "", "no place and type is left to try");
                    self.happened(Happened::Failed { step, failure, lost: vec![] });
                    return true;
                }
            },
            Call::CreateVolume(volume) => Call::CreateVolume(launching::volume(&volume, self.progress.turns(step))),
            Call::Terminate(_)
            | Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::Attach { .. }
            | Call::Detach { .. }
            | Call::DeleteVolume(_)
            | Call::Object(_) => call,
        };
        let (payloads, ear, stop) = (self.job.payloads, self.ear.clone(), self.job.stop.clone());
        let perform = async move {
            let made = provider.perform(&call, payloads).await;
            made.and_then(|made| complete(&call, made))
        };
        let heard = caller::hearing(step, ear, stop, perform);
        self.calls.push(async move { (step, heard.await) }.boxed());
        false
    }

    fn watch(&mut self, step: u32, wait: &Wait, unresolved: &Do) -> bool {
        let new: BTreeSet<usize> = match unresolved {
            Do::Wait(w) => {
                w.targets.iter().enumerate().filter(|(_, t)| matches!(t, Target::New(_))).map(|t| t.0).collect()
            }
            Do::Call(_) => BTreeSet::new(),
        };
        let awaited: Vec<Awaited> = wait
            .targets
            .iter()
            .enumerate()
            .filter_map(|(i, target)| match target {
                Target::Id(id) => {
                    let name = self.names.get(id).cloned().unwrap_or_else(|| called(id));
                    let doomed = self.doomed.contains(&(step, id.clone()));
                    Some(Awaited { id: id.clone(), name, young: new.contains(&i), home: None, doomed })
                }
                Target::New(_) => None,
            })
            .collect();
        if awaited.is_empty() {
            self.happened(Happened::Done { step, made: Made::new() });
            return true;
        }
        let now = self.job.clock.now();
        let first = self.job.limits.look_first;
        let soon = now.saturating_add(first).unwrap_or(now);
        let looker = self.looker(step, wait.until);
        let poll = self.polls.entry(looker).or_insert(Poll { next: soon, pause: first, looking: false });
        poll.pause = first;
        poll.next = poll.next.min(soon);
        self.watches.insert(step, Watch::new(awaited, wait.until, wait.within, now));
        false
    }

    /// Starts the looks that are due, one a scope, and says how long until the next one is.
    fn look(&mut self) -> Option<Duration> {
        let now = self.job.clock.now();
        let mut waiting: BTreeMap<Looker, BTreeSet<u32>> = BTreeMap::new();
        for (step, watch) in &self.watches {
            waiting.entry(self.looker(*step, watch.until())).or_default().insert(*step);
        }
        self.polls.retain(|looker, poll| poll.looking || waiting.contains_key(looker));
        let mut timer: Option<Duration> = None;
        for (looker, steps) in waiting {
            let Some(poll) = self.polls.get_mut(&looker).filter(|p| !p.looking) else { continue };
            if poll.next > now {
                let left = passed(now, poll.next);
                timer = Some(timer.map_or(left, |t| t.min(left)));
                continue;
            }
            poll.looking = true;
            let ids: BTreeSet<String> =
                steps.iter().filter_map(|s| self.watches.get(s)).flat_map(Watch::ids).cloned().collect();
            let provider = self.job.providers.get(&looker.scope).cloned();
            self.looks.push(
                async move {
                    let seen = match (provider, looker.drain) {
                        (Some(provider), None) => provider.look(&ids).await,
                        (Some(provider), Some((_, how))) => Ok(drained(&*provider, &ids, how).await),
                        (None, _) => {
                            let says = format!("no provider for the scope `{}`", looker.scope);
                            Err(Failure::new(Class::Invalid, "", says))
                        }
                    };
                    (looker, steps, seen)
                }
                .boxed(),
            );
        }
        timer
    }

    fn looked(&mut self, (looker, steps, seen): Round) {
        let (now, limits) = (self.job.clock.now(), self.job.limits);
        let seen = seen.as_ref().map(Looked::shown);
        let mut moved = false;
        let mut due: Option<Timestamp> = None;
        // Only the waits that the look was made for: of a later one it says nothing.
        for step in steps {
            let going = self.going(step);
            let Some(watch) = self.watches.get_mut(&step) else { continue };
            going.iter().for_each(|(volume, machine)| watch.going(volume, machine));
            let verdict = match &seen {
                Ok(shown) => watch.look(shown, now, limits),
                Err(failure) => watch.blind(failure, now, limits),
            };
            moved |= verdict != Verdict::Not(None);
            match verdict {
                Verdict::Met => {
                    self.watches.remove(&step);
                    self.happened(Happened::Done { step, made: Made::new() });
                }
                Verdict::Enough(shows) => {
                    self.watches.remove(&step);
                    self.happened(Happened::Waiting { step, shows });
                    self.happened(Happened::Done { step, made: Made::new() });
                }
                Verdict::Never(failure) => {
                    self.watches.remove(&step);
                    self.happened(Happened::Failed { step, failure, lost: vec![] });
                }
                Verdict::Partly(failure, ids) => {
                    self.watches.remove(&step);
                    let lost = self.changes_of(step, &ids);
                    self.happened(Happened::Failed { step, failure, lost });
                }
                Verdict::Not(shows) => {
                    let at = watch.due(now);
                    due = Some(due.map_or(at, |d| d.min(at)));
                    if let Some(shows) = shows {
                        self.happened(Happened::Waiting { step, shows });
                    }
                }
            }
        }
        if let Some(poll) = self.polls.get_mut(&looker) {
            poll.looking = false;
            if !moved {
                poll.pause = (poll.pause * limits.look_growth / 100).min(limits.look_most);
            }
            let next = now.saturating_add(poll.pause).unwrap_or(now);
            poll.next = due.map_or(next, |d| d.min(next));
        }
    }

    /// The changes whose things these are, of those that a wait serves. None at all where one of them is nobody's: then
    /// nobody can say what may go on without it.
    fn changes_of(&self, step: u32, ids: &[String]) -> Vec<u32> {
        let Some(serves) = self.plan.steps.get(step as usize).map(|s| &s.changes) else { return vec![] };
        let is = |change: &u32, id: &String| {
            self.plan.changes.get(*change as usize).is_some_and(|c| {
                let made = self.progress.bindings().get(&c.address);
                c.object.as_ref() == Some(id) || made == Some(id)
            })
        };
        let of = |id: &String| serves.iter().copied().filter(|c| is(c, id)).collect::<Vec<_>>();
        let all: Vec<Vec<u32>> = ids.iter().map(of).collect();
        if all.iter().any(Vec::is_empty) { vec![] } else { all.concat() }
    }

    /// Where the volumes that a step waits for are attached next, as far as those machines are there.
    fn going(&self, step: u32) -> Vec<(String, String)> {
        let id = |target: &Target| match target {
            Target::Id(id) => Some(id.clone()),
            Target::New(address) => self.progress.bindings().get(address).cloned(),
        };
        let homes = self.homes.get(&step).into_iter().flatten();
        homes.filter_map(|(volume, machine)| Some((id(volume)?, id(machine)?))).collect()
    }

    /// One call has ended, and perhaps others with it: they are written together.
    fn ended(&mut self, first: Ended) {
        let mut next = Some(first);
        while let Some((step, result)) = next {
            match result {
                Some(Ok(made)) => {
                    self.names.extend(made.iter().map(|(address, id)| (id.clone(), address.short())));
                    self.happened(Happened::Done { step, made });
                }
                Some(Err(failure)) => self.failed(step, failure),
                None => {}
            }
            next = self.calls.next().now_or_never().flatten();
        }
    }

    fn failed(&mut self, step: u32, failure: Failure) {
        let Some(Do::Call(call)) = self.progress.effective(step) else {
            self.happened(Happened::Failed { step, failure, lost: vec![] });
            return;
        };
        match launching::another(&call, self.progress.turns(step), failure.clone(), self.job.limits) {
            Err(failure) => self.happened(Happened::Failed { step, failure, lost: vec![] }),
            Ok(()) => {
                self.happened(Happened::Retrying { step, failure, after_ms: 0 });
                // On the disk before the next choice is made: after a crash it must be this one again.
                if self.job.stop.cause().is_none() && self.write(Vec::new(), true) {
                    self.call(step, call);
                }
            }
        }
    }

    /// A wire call inside a step is tried again. For people: a resumed run does not need it.
    fn retrying(&mut self, retry: Retry) {
        let after_ms = u64::try_from(retry.after.as_millis()).unwrap_or(u64::MAX);
        self.happened(Happened::Retrying { step: retry.step, failure: retry.failure, after_ms });
    }

    /// Told to stop: waits are dropped, calls in flight may end within the grace.
    async fn interrupt(&mut self) {
        self.watches.clear();
        let clock = self.job.clock;
        let mut grace = clock.sleep(self.job.limits.stop_grace);
        while !self.calls.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = self.calls.next() => self.ended(ended),
                () = &mut grace => break,
            }
        }
        let in_flight = self.progress.in_flight();
        self.happened(Happened::Interrupted { in_flight });
    }

    fn end(mut self) -> Ran {
        let outcome = self.progress.outcome();
        self.write(vec![Happened::Ended { outcome }], true);
        Ran { outcome, progress: self.progress, trouble: self.trouble }
    }
}

/// For each wait for free volumes, the attaches that need it: which volume, and to which machine.
fn homes(plan: &Plan) -> BTreeMap<u32, Vec<(Target, Target)>> {
    let mut homes: BTreeMap<u32, Vec<(Target, Target)>> = BTreeMap::new();
    for step in &plan.steps {
        let Do::Call(Call::Attach { volume, machine, .. }) = &step.does else { continue };
        let free = |n: &&u32| match plan.steps.get(**n as usize).map(|s| &s.does) {
            Some(Do::Wait(wait)) => wait.until == Until::Free && wait.targets.contains(volume),
            Some(Do::Call(_)) | None => false,
        };
        for wait in step.needs.iter().filter(free) {
            homes.entry(*wait).or_default().push((volume.clone(), machine.clone()));
        }
    }
    homes
}

/// For each delete of a volume the steps that it needs, waits among them.
fn doomed(plan: &Plan) -> BTreeSet<(u32, String)> {
    let deletes = plan.steps.iter().filter_map(|step| match &step.does {
        Do::Call(Call::DeleteVolume(id)) => Some(step.needs.iter().map(|n| (*n, id.clone()))),
        Do::Call(_) | Do::Wait(_) => None,
    });
    deletes.flatten().collect()
}

/// One round of a drain, of each of its nodes.
async fn drained(provider: &dyn Provider, nodes: &BTreeSet<String>, how: Drain) -> Looked {
    let mut all = Looked::default();
    for node in nodes {
        match provider.drain(node, how).await {
            Ok(object) => all.objects.push(object),
            Err(failure) => drop(all.unseen.insert(node.clone(), failure)),
        }
    }
    all
}

/// What people call a thing that the plan has no name for: an object of a cluster by its own, without its uid.
fn called(id: &str) -> String {
    let name = id.split(['@', '#']).next().unwrap_or(id);
    name.parse::<ObjectName>().map_or_else(|_| id.to_owned(), |object| object.short())
}

/// Whether a create has answered for everything it was asked for: what has no id could not be waited for.
fn complete(call: &Call, made: Made) -> Result<Made, Failure> {
    let asked: Vec<Address> = match call {
        Call::Launch(launch) => launch.tag.slots.iter().map(|s| launch.group.slot(s)).collect(),
        Call::CreateVolume(volume) => vec![volume.address.clone()],
        Call::Terminate(_)
        | Call::Stop(_)
        | Call::Start(_)
        | Call::Change { .. }
        | Call::Tag { .. }
        | Call::Attach { .. }
        | Call::Detach { .. }
        | Call::DeleteVolume(_)
        | Call::Object(_) => Vec::new(),
    };
    match asked.iter().find(|a| !made.contains_key(a)) {
        None => Ok(made),
        Some(a) => Err(Failure::new(Class::Transient, "", format!("the answer does not name {a}"))),
    }
}
