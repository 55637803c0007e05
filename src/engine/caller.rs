//! Every wire call of a provider goes through here: it is counted, waits for its turn, and is tried again as its
//! failure's class says.
//!
//! The only retry in the program: SDKs' own retries are switched off. It never changes a call, so a repeated one
//! carries the same token. Jitter comes from a seed, so that a run can be replayed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel_core::failure::{Class, Failure};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::budget::{Bucket, Family};
use crate::clock::{Clock, passed};
use crate::limits::{self, Again};
use crate::stop::Stop;

/// Wire calls by action, repeated ones included.
pub type Counts = BTreeMap<String, u32>;

/// One wire call, before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    action: &'a str,
    family: Family,
    resources: u32,
    young: bool,
}

impl<'a> Ask<'a> {
    /// A call of `action` (`RunInstances`), which drinks from the bucket of `family`.
    pub fn new(action: &'a str, family: Family) -> Self {
        Self { action, family, resources: 1, young: false }
    }

    /// How many instances it launches, starts, stops or terminates: families with a second bucket pay for each.
    pub fn resources(self, n: usize) -> Self {
        Self { resources: u32::try_from(n).unwrap_or(u32::MAX), ..self }
    }

    /// It names something that was made a moment ago, so "not found" may only mean "not yet visible".
    pub fn young(self) -> Self {
        Self { young: true, ..self }
    }
}

/// The budget, the counts and the retries of one account and region.
pub struct Caller {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

struct Inner {
    buckets: BTreeMap<Family, (Bucket, Option<Bucket>)>,
    counts: Counts,
    jitter: u64,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// A call that will be tried again, as [`hearing`] hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Which step's call it is.
    pub step: u32,
    /// Why.
    pub failure: Failure,
    /// After how long.
    pub after: Duration,
}

tokio::task_local! {
    /// The step whose call is under way. A wire call stands deep inside a provider, which knows nothing of steps.
    static EAR: Ear;
}

/// What a wire call has to do with the run it is part of.
struct Ear {
    step: u32,
    /// Where its retries are told.
    tell: UnboundedSender<Retry>,
    /// Raised when no wire call may begin any more.
    stop: Stop,
    /// Notified when one would have begun all the same.
    held: Arc<Notify>,
}

/// Runs `future`; what is tried again inside it is told to `tell` as `step`'s. Once `stop` is raised, no wire call in
/// it begins: what is on the wire may still end, and where the next one would begin, `None` comes back.
pub async fn hearing<F: Future>(step: u32, tell: UnboundedSender<Retry>, stop: Stop, future: F) -> Option<F::Output> {
    let held = Arc::new(Notify::new());
    let ear = Ear { step, tell, stop, held: Arc::clone(&held) };
    tokio::select! {
        biased;
        done = EAR.scope(ear, future) => Some(done),
        () = held.notified() => None,
    }
}

/// Waits for `pause`, before a wire call begins. Never returns once the run that the call is part of is told to stop.
async fn unless_stopped(pause: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = stopped() => {}
        () = pause => {}
    }
}

/// When the run was told to stop, whoever hears the step is told that it is held back; this never returns.
async fn stopped() {
    // Outside a run nothing stops a call.
    if let Ok((stop, held)) = EAR.try_with(|ear| (ear.stop.clone(), Arc::clone(&ear.held))) {
        stop.raised().await;
        held.notify_one();
    }
    std::future::pending::<()>().await;
}

impl Caller {
    /// With AWS's published buckets. `seed` decides the jitter.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self::with_buckets(clock, seed, limits::published())
    }

    /// With buckets of one's own: (requests, resources). A family that is missing is not limited.
    pub fn with_buckets(clock: Arc<dyn Clock>, seed: u64, buckets: BTreeMap<Family, (Bucket, Option<Bucket>)>) -> Self {
        Self { clock, inner: Mutex::new(Inner { buckets, counts: Counts::new(), jitter: seed }) }
    }

    /// The clock it waits on.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// All wire calls so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// The wire calls made since `before` was counted.
    pub fn since(&self, before: &Counts) -> Counts {
        let mut counts = self.counts();
        counts.iter_mut().for_each(|(action, n)| *n -= before.get(action).copied().unwrap_or(0).min(*n));
        counts.retain(|_, n| *n > 0);
        counts
    }

    /// Tokens a second that the family gains now; `None` for one that is not limited.
    pub fn rate(&self, family: Family) -> Option<f64> {
        self.lock().buckets.get(&family).map(|(b, _)| b.rate())
    }

    /// Makes the wire call `wire`, as often as its failures allow.
    ///
    /// # Errors
    /// The last failure, of a class that is not tried again or was tried long enough.
    pub async fn call<T, W, F>(&self, ask: Ask<'_>, mut wire: W) -> Result<T, Failure>
    where
        W: FnMut() -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        // Tries and the first failure's time are kept by class: a throttled call has not used up its transient tries.
        let mut tried: BTreeMap<Class, (u32, Timestamp)> = BTreeMap::new();
        loop {
            let turn = self.turn(ask);
            unless_stopped(async {
                if !turn.is_zero() {
                    self.clock.sleep(turn).await;
                }
            })
            .await;
            let failure = match wire().await {
                Ok(answer) => {
                    self.went_well(ask.family);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let now = self.clock.now();
            self.went_wrong(ask, failure.class, now);
            let Some(again) = limits::again(failure.class, ask.young) else { return Err(failure) };
            let (tries, first) = tried.entry(failure.class).or_insert((0, now));
            *tries += 1;
            let gone = passed(*first, now);
            let Some(after) = self.pause(again, *tries, gone) else { return Err(failure) };
            tracing::debug!(action = ask.action, code = failure.code, ?after, "will be tried again");
            // Outside a run nobody listens.
            let _ = EAR.try_with(|ear| ear.tell.send(Retry { step: ear.step, failure: failure.clone(), after }));
            unless_stopped(self.clock.sleep(after)).await;
        }
    }

    /// Counts the call and takes its tokens.
    fn turn(&self, ask: Ask<'_>) -> Duration {
        let now = self.clock.now();
        let mut inner = self.lock();
        *inner.counts.entry(ask.action.to_owned()).or_default() += 1;
        let Some((requests, resources)) = inner.buckets.get_mut(&ask.family) else { return Duration::ZERO };
        let wait = requests.take(1.0, now);
        resources.as_mut().map_or(wait, |r| wait.max(r.take(f64::from(ask.resources), now)))
    }

    /// The pause before try `tries + 1`, between half and the whole of the exponential one; `None`: enough. The last
    /// try is when the time is up, not a pause before that.
    fn pause(&self, again: Again, tries: u32, gone: Duration) -> Option<Duration> {
        if tries >= again.tries || gone >= again.within {
            return None;
        }
        let whole = again.first.saturating_mul(2u32.saturating_pow((tries - 1).min(16))).min(again.most);
        Some(whole.mul_f64(0.5 + 0.5 * self.jitter()).min(again.within - gone))
    }

    /// The next of a sequence of numbers in 0..1 that the seed decides (SplitMix64, public domain). Not for secrets.
    fn jitter(&self) -> f64 {
        let mut inner = self.lock();
        inner.jitter = inner.jitter.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = inner.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        f64::from(u32::try_from(z >> 32).expect("32 bits are left")) / f64::from(u32::MAX)
    }

    fn went_well(&self, family: Family) {
        if let Some((requests, resources)) = self.lock().buckets.get_mut(&family) {
            requests.recover();
            resources.iter_mut().for_each(Bucket::recover);
        }
    }

    fn went_wrong(&self, ask: Ask<'_>, class: Class, now: Timestamp) {
        let mut inner = self.lock();
        let Some((requests, resources)) = inner.buckets.get_mut(&ask.family) else { return };
        // A failed call has launched nothing, or its repetition finds what it has launched: instances are paid for
        // once, or a repeated launch of a thousand would wait for minutes for each try.
        resources.iter_mut().for_each(|r| r.refund(f64::from(ask.resources)));
        if class == Class::Throttled {
            // EC2 does not say which of the two buckets was empty; that of the requests is by far the smaller one.
            requests.drain(now);
            requests.slow(now);
            resources.iter_mut().for_each(|r| r.slow(now));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing panics while it is held; and numbers that are a little off are better than no call at all.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
