//! The door to a world: counts each call, lets time pass and things go wrong, and keeps what was changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_engine::clock::{Clock, Wall};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::action::Action;
use crate::clock::{SimClock, later};
use crate::faults::{Meant, Moment};
use crate::laws::{self, Violation};
use crate::ops::{Deed, Refusal, Scripted};
use crate::refusal::invalid;
use crate::request::Request;
use crate::store::{BadWorld, Store};
use crate::world::{Cost, World};

/// A handle to a world; clones share it. Implements [`evenkeel_ec2::api::Ec2`].
///
/// A handle belongs to one life of its caller: once that ended ([`Sim::kill`], or a fault that kills), no call
/// through it or its clones ever returns, as no call of a dead process does. [`Sim::revive`] begins the next life.
#[derive(Debug, Clone)]
pub struct Sim {
    inner: Arc<Inner>,
    clock: SimClock,
    life: u64,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Requests sent, for their latencies.
    sent: AtomicU64,
    /// How many of the caller's lives have ended.
    ended: watch::Sender<u64>,
    death: Death,
    clock: SimClock,
}

#[derive(Debug)]
struct State {
    world: World,
    store: Option<Store>,
    /// The time of the world in the file.
    kept: Timestamp,
    log: Vec<Call>,
}

/// What [`crate::faults::Effect::Kill`] kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// This process, with SIGKILL.
    Process,
    /// The caller's life in this process, which goes on.
    Caller,
    /// A connection to another process, which is not ours to kill.
    Connection,
}

/// One call that was made through this handle or a clone of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it took effect.
    pub at: Timestamp,
    /// What it was.
    pub action: Action,
    /// The Kubernetes object or kind it was about: `Deployment.apps/shop/web`, `Secret`; empty for EC2's.
    pub about: String,
    /// `None` for success; the caller may not have learnt of it.
    pub failed: Option<Failure>,
}

/// What came of a call inside the world.
enum Outcome<T, E> {
    Answer(Result<T, E>, Duration),
    Dead,
}

/// How a call can fail: with a failure, and with more to say about it where the interface has room for that.
pub(crate) trait Trouble: From<Failure> + Send {
    fn failure(&mut self) -> &mut Failure;
}

impl Trouble for Failure {
    fn failure(&mut self) -> &mut Failure {
        self
    }
}

impl Trouble for evenkeel_kubernetes::api::Refusal {
    fn failure(&mut self) -> &mut Failure {
        &mut self.failure
    }
}

impl Sim {
    /// A world in memory only. A fault that kills stops the caller, not the process: see [`Sim::crashed`].
    pub fn new(world: World) -> Self {
        Self::with(world, None, Death::Caller)
    }

    /// The world in the file `path`, which is made (from `seed`) where there is none. A fault that kills, kills
    /// this process.
    ///
    /// # Errors
    /// When the file is no world, or cannot be read or written.
    pub fn open(path: &Path, seed: u64) -> Result<Self, BadWorld> {
        Self::open_or_found(path, || World::founding(seed))
    }

    /// The same, where a new world is to be another one than [`World::founding`].
    ///
    /// # Errors
    /// As [`Sim::open`].
    pub fn open_or_found(path: &Path, found: impl FnOnce() -> World) -> Result<Self, BadWorld> {
        let mut store = Store::new(path);
        let world = store.open(found)?;
        Ok(Self::with(world, Some(store), Death::Process))
    }

    /// A world for other processes: in the file `path`, or in memory only. Its time is never behind the machine's
    /// when it opens, so that it makes sense to clients that know no other clock, and then runs `speed` times as
    /// fast. A fault that kills, cuts the connection.
    ///
    /// # Errors
    /// When the file is no world, or cannot be read or written.
    pub fn serving(path: Option<&Path>, found: impl FnOnce() -> World, speed: f64) -> Result<Self, BadWorld> {
        let mut store = path.map(Store::new);
        let world = match &mut store {
            Some(store) => store.open(found)?,
            None => found(),
        };
        let now = world.now.max(Wall.now());
        let sim = Self::ticking(world, store, Death::Connection, SimClock::at_speed(now, speed));
        sim.edit(|world| world.settle(now))?;
        Ok(sim)
    }

    fn with(world: World, store: Option<Store>, death: Death) -> Self {
        let clock = SimClock::starting_at(world.now);
        Self::ticking(world, store, death, clock)
    }

    fn ticking(world: World, store: Option<Store>, death: Death, clock: SimClock) -> Self {
        let state = Mutex::new(State { kept: world.now, world, store, log: Vec::new() });
        let inner = Inner { state, sent: AtomicU64::new(0), ended: watch::channel(0).0, death, clock: clock.clone() };
        Self { inner: Arc::new(inner), clock, life: 0 }
    }

    /// The world's clock.
    pub fn clock(&self) -> SimClock {
        self.clock.clone()
    }

    /// A copy of the world as it is now.
    ///
    /// # Errors
    /// When its file has become unusable.
    pub fn world(&self) -> Result<World, BadWorld> {
        let mut state = self.state();
        self.catch_up(&mut state)?;
        Ok(state.world.clone())
    }

    /// The calls made through this handle and its clones.
    pub fn log(&self) -> Vec<Call> {
        self.state().log.clone()
    }

    /// The calls made through this handle and its clones, counted.
    pub fn counts(&self) -> BTreeMap<Action, u64> {
        let mut counts = BTreeMap::new();
        for call in &self.state().log {
            *counts.entry(call.action).or_insert(0) += 1;
        }
        counts
    }

    /// The laws broken so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.state().world.violations.clone()
    }

    /// Changes the world by hand, behind everybody's back.
    ///
    /// # Errors
    /// When its file cannot be read or written; then nothing was changed.
    pub fn edit<T>(&self, change: impl FnOnce(&mut World) -> T) -> Result<T, BadWorld> {
        let mut state = self.state();
        let _lock = lock(&state)?;
        self.catch_up(&mut state)?;
        let answer = change(&mut state.world);
        self.clock.at_least(state.world.now);
        keep(&mut state)?;
        Ok(answer)
    }

    /// Does a deed by hand.
    ///
    /// # Errors
    /// When what it names does not exist or is in no state for it, or the world's file cannot be used.
    pub fn act(&self, deed: &Deed) -> Result<(), Refusal> {
        let done = self.edit(|world| world.act(deed));
        done.unwrap_or_else(|bad| Err(Refusal { says: format!("{}: {}", bad.file, bad.says), way_out: bad.way_out }))
    }

    /// Lets `time` pass.
    ///
    /// # Errors
    /// When the world's file cannot be used.
    pub fn advance(&self, time: Duration) -> Result<(), BadWorld> {
        self.edit(|world| world.settle(later(world.now, time)))
    }

    /// Keeps the time that has passed. Every change is kept at once, so this is for the end of a run; it happens by
    /// itself when the last handle is dropped, where a failure goes unsaid.
    ///
    /// # Errors
    /// When the world's file cannot be used.
    pub fn save(&self) -> Result<(), BadWorld> {
        self.edit(|_| ())
    }

    /// Returns when this life has ended.
    pub async fn crashed(&self) {
        let mut ended = self.inner.ended.subscribe();
        // The sender lives as long as `self`.
        let _ = ended.wait_for(|ended| *ended > self.life).await;
    }

    /// Ends this life of the caller, at any moment, with calls under way: each has its effect or has not, and none
    /// returns.
    pub fn kill(&self) {
        self.inner.ended.send_if_modified(|ended| std::mem::replace(ended, self.life + 1) <= self.life);
    }

    /// A handle to the same world for the caller's next life.
    pub fn revive(&self) -> Self {
        self.kill();
        Self { life: *self.inner.ended.borrow(), ..self.clone() }
    }

    /// One wire call that is only rehearsed (`DryRun`): it costs and can fail as a real one, and changes nothing.
    pub(crate) async fn rehearse<T: Send>(
        &self,
        action: Action,
        cost: Cost,
        work: impl Fn(&mut World) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let try_out = move |world: &mut World| {
            match work(&mut world.clone()) {
                // EC2 looks at the permissions and the parameters, not at what there is room for just now.
                Ok(_) | Err(Failure { class: Class::Capacity | Class::Quota | Class::Busy | Class::Protected, .. }) => {
                    invalid("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
                }
                Err(failure) => Err(failure),
            }
        };
        self.call(&action.into(), cost, try_out, || None).await
    }

    /// One wire call that reads.
    pub(crate) async fn read<T: Send>(
        &self,
        action: Action,
        cost: Cost,
        work: impl Fn(&mut World) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        self.call(&action.into(), cost, work, || None).await
    }

    /// One wire call that changes the world; `request` is the same call as a value.
    pub(crate) async fn change<T: Send>(
        &self,
        action: Action,
        cost: Cost,
        work: impl Fn(&mut World) -> Result<T, Failure> + Send,
        request: impl Fn() -> Request + Send,
    ) -> Result<T, Failure> {
        self.call(&action.into(), cost, work, move || Some(request())).await
    }

    /// One wire call: half its time on the way there, its effect in the world, the other half on the way back.
    pub(crate) async fn call<T: Send, E: Trouble>(
        &self,
        meant: &Meant<'_>,
        cost: Cost,
        work: impl Fn(&mut World) -> Result<T, E> + Send,
        request: impl Fn() -> Option<Request> + Send,
    ) -> Result<T, E> {
        self.wait_if_dead().await;
        let half = self.latency() / 2;
        self.clock.sleep(half).await;
        self.wait_if_dead().await;
        let outcome = self.strike(meant, cost, work, request);
        match outcome {
            Outcome::Answer(answer, slow) => {
                self.clock.sleep(half + slow).await;
                self.wait_if_dead().await;
                answer
            }
            Outcome::Dead => std::future::pending().await,
        }
    }

    fn latency(&self) -> Duration {
        let number = self.inner.sent.fetch_add(1, Ordering::Relaxed);
        let world = &self.state().world;
        world.timing.latency.draw(world.seed, "latency", number)
    }

    async fn wait_if_dead(&self) {
        if *self.inner.ended.borrow() > self.life {
            std::future::pending::<()>().await;
        }
    }

    /// The call reaches the world.
    fn strike<T, E: Trouble>(
        &self,
        meant: &Meant<'_>,
        cost: Cost,
        work: impl Fn(&mut World) -> Result<T, E>,
        request: impl Fn() -> Option<Request>,
    ) -> Outcome<T, E> {
        let action = meant.action;
        let mut state = self.state();
        let ready = if action.changes() { lock(&state).map(Some) } else { Ok(None) };
        let lock = match ready.and_then(|lock| self.catch_up(&mut state).map(|()| lock)) {
            Ok(lock) => lock,
            Err(bad) => return Outcome::Answer(Err(unusable(&bad).into()), Duration::ZERO),
        };
        let world = &mut state.world;
        let calls = world.calls.entry(action).or_default();
        *calls = calls.saturating_add(1);
        let number = world.call_count();
        world.forecast(meant, number);
        let stuck = world.weather.late.and_then(|at| send_later(world, at, &request));
        if world.weather.kill == Some(Moment::Before) {
            let _ = keep(&mut state);
            return self.die();
        }
        let broken = world.violations.len();
        let before = laws::in_service(world);
        let answer = match stuck.or(world.weather.fail.take()) {
            Some(failure) => Err(failure.into()),
            None => world.pay(action, cost).map_err(E::from).and_then(|()| work(world)),
        };
        if world.weather.twice && answer.is_ok() {
            let _ = work(world);
        }
        if let Some(at) = world.weather.echo {
            let _ = send_later(world, at, &request);
        }
        laws::after_call(world, action, &before);
        let answer = answer.map_err(|mut e| {
            let failure = e.failure();
            failure.says = format!("{meant}: {}", failure.says);
            e
        });
        let weather = std::mem::take(&mut world.weather);
        let changed = action.changes() && answer.is_ok() || weather.struck || world.violations.len() > broken;
        let at = world.now;
        let (failed, answer) = match answer {
            Ok(answer) => (None, Ok(answer)),
            Err(mut e) => (Some(e.failure().clone()), Err(e)),
        };
        state.log.push(Call { at, action, about: meant.about.to_owned(), failed });
        if changed && let Err(bad) = keep(&mut state) {
            return Outcome::Answer(Err(unusable(&bad).into()), Duration::ZERO);
        }
        drop(lock);
        if weather.kill == Some(Moment::After) {
            return self.die();
        }
        if weather.lose_answer {
            let broken = Failure::new(Class::Transient, "", format!("{meant}: {BROKEN}"));
            return Outcome::Answer(Err(broken.into()), weather.slow);
        }
        Outcome::Answer(answer, weather.slow)
    }

    fn die<T, E: Trouble>(&self) -> Outcome<T, E> {
        match self.inner.death {
            Death::Process => kill_this_process(),
            Death::Caller => {
                self.kill();
                Outcome::Dead
            }
            Death::Connection => {
                Outcome::Answer(Err(Failure::new(Class::Transient, "", BROKEN).into()), Duration::ZERO)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }

    fn catch_up(&self, state: &mut State) -> Result<(), BadWorld> {
        catch_up(state, &self.clock)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside a call leaves a world that is still a world.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut state = self.state();
        if state.store.is_some() && now > state.kept {
            let kept = lock(&state).and_then(|lock| {
                catch_up(&mut state, &self.clock)?;
                keep(&mut state)?;
                Ok(lock)
            });
            // Nobody is left to be told; what was changed was kept when it was.
            drop(kept);
        }
    }
}

/// What another process did, and the time that has passed.
fn catch_up(state: &mut State, clock: &SimClock) -> Result<(), BadWorld> {
    if let Some(store) = &mut state.store
        && let Some(world) = store.news()?
    {
        clock.at_least(world.now);
        state.kept = world.now;
        state.world = world;
    }
    state.world.settle(clock.now());
    Ok(())
}

/// What a caller sees of a call whose answer does not come.
const BROKEN: &str = "the connection was closed before the answer came";

/// Puts a changing call on its way, to arrive at a later time, and says what its caller sees.
fn send_later(world: &mut World, at: Timestamp, request: impl Fn() -> Option<Request>) -> Option<Failure> {
    let deed = Deed::Arrive { request: request()? };
    world.script.push(Scripted { at, deed });
    Some(Failure::new(Class::Transient, "", BROKEN))
}

fn keep(state: &mut State) -> Result<(), BadWorld> {
    if let Some(store) = &mut state.store {
        store.write(&state.world)?;
        state.kept = state.world.now;
    }
    Ok(())
}

fn lock(state: &State) -> Result<Option<std::fs::File>, BadWorld> {
    state.store.as_ref().map(Store::lock).transpose()
}

fn unusable(bad: &BadWorld) -> Failure {
    Failure::new(Class::Invalid, "WorldFile", bad.to_string())
}

/// As `kill -9` from outside: no destructor, no flush, no handler. There is no safe call for it, so the system's own
/// program is asked; where there is none, the process aborts, which runs no destructor either.
fn kill_this_process() -> ! {
    let pid = std::process::id().to_string();
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status();
    if killed.is_ok_and(|s| s.success()) {
        // The signal is on its way.
        std::thread::sleep(Duration::from_secs(5));
    }
    std::process::abort()
}
