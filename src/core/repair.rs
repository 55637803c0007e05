//! How fast, in which order and how often what is unwell is replaced.
//!
//! Everything is computed from what can be seen now: the members, and the replacements launched lately. It refuses to
//! judge, and to place.

use jiff::Timestamp;
use serde::Serialize;

use crate::digest::Digest;
use crate::health::{Planned, State, Verdict, after, age, span};
use crate::observed::Phase;
use crate::policy::Policy;
use crate::rules::{Evidence, Rule};
use crate::stamp::LaunchTag;

/// First wait after a failed probe, in seconds (it doubles: 10, 20, 40 minutes).
const PROBE_WAIT: u64 = 600;
/// Longest wait after failed probes, in seconds.
const PROBE_WAIT_MAX: u64 = 2400;
/// Replacements launched within so many seconds belong to the present trouble: several times the longest wait, so
/// that three failures in a row are still known when the next probe is due.
const LATELY: u64 = 6 * PROBE_WAIT_MAX;
/// Seconds after which a machine that is still stopping is stuck: EC2 stops in a minute or two as a rule, and in ten
/// where the guest has to be forced.
const STUCK: u64 = 900;

/// Whether replacement goes on at full width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaker {
    /// It does.
    Closed,
    /// Too many are unwell: one at a time.
    Open {
        /// Softly unwell.
        unhealthy: u32,
        /// More than so many open it.
        limit: u32,
    },
}

/// The breaker of a group of which `unhealthy` of `n` are softly unwell. Members of impaired zones are on neither
/// side.
pub fn breaker(unhealthy: u32, n: u32, policy: &Policy) -> Breaker {
    let limit = policy.repair.breaker.ceil_of(n).max(1);
    if unhealthy > limit { Breaker::Open { unhealthy, limit } } else { Breaker::Closed }
}

/// How a machine that was launched as a replacement has turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Too early to say.
    UnderWay,
    /// Healthy and warm.
    Healthy,
    /// Unwell, dead or gone.
    Failed,
}

/// A machine that was launched as a replacement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replacement {
    /// When.
    pub launched: Timestamp,
    /// Its [`LaunchTag::attempt`]: 2 for the first replacement of a lineage.
    pub attempt: u32,
    /// How it turned out.
    pub outcome: Outcome,
}

impl Replacement {
    /// A machine with a launch mark, if it was launched as a replacement.
    pub fn of(
        tag: &LaunchTag,
        launched: Timestamp,
        verdict: &Verdict,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Self> {
        if tag.replaces.is_empty() {
            return None;
        }
        let warm = age(verdict.since.unwrap_or(launched).max(launched), now) >= policy.repair.warmup;
        let outcome = match &verdict.state {
            State::Starting { .. } | State::Blind => Outcome::UnderWay,
            State::Healthy | State::Planned { .. } if verdict.ready() && warm => Outcome::Healthy,
            State::Healthy | State::Planned { .. } => Outcome::UnderWay,
            State::Suspect { .. } | State::Unhealthy { .. } | State::Flapping | State::Gone => Outcome::Failed,
        };
        Some(Self { launched, attempt: tag.attempt, outcome })
    }
}

/// How many replacements may be started, wave by wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// Size of the first wave; 0: none now.
    pub first: u32,
    /// Later waves double; otherwise they are as large as `most` at once.
    pub doubles: bool,
    /// No wave is larger.
    pub most: u32,
    /// When `first` is 0 for a reason of time: not before.
    pub not_before: Option<Timestamp>,
    /// Which rules slow it down; empty at full width.
    pub evidence: Vec<Evidence>,
}

/// The pace of a group of `n`. `canary`: no healthy machine of the specification to be launched exists. `recent`:
/// the group's machines that were launched as replacements, gone ones included as far as they are still listed.
///
/// A wave starts only when all of the one before are healthy and warm: the steps of a plan need it, and the next plan
/// finds it here.
pub fn pace(breaker: Breaker, canary: bool, recent: &[Replacement], n: u32, policy: &Policy, now: Timestamp) -> Pace {
    let most = policy.parallel(n);
    let mut lately: Vec<_> = recent.iter().filter(|r| age(r.launched, now) < LATELY).collect();
    lately.sort_by_key(|r| (r.launched, r.attempt, r.outcome));
    let under_way = narrow(lately.iter().filter(|r| r.outcome == Outcome::UnderWay).count());
    let mut pace =
        Pace { first: most.saturating_sub(under_way), doubles: false, most, not_before: None, evidence: Vec::new() };
    if let Breaker::Open { unhealthy, limit } = breaker {
        let says = format!("{unhealthy} of {n} unwell, more than {limit}: one at a time");
        pace.evidence.push(Evidence::new(Rule::Breaker, says));
        pace.doubles = true;
        probe(&mut pace, &lately, under_way, now);
    } else if canary {
        pace.evidence.push(Evidence::new(Rule::Canary, "first of its specification goes alone"));
        pace.first = u32::from(under_way == 0);
    }
    pace
}

/// The open breaker: one under way at most; after a failure wait; after successes one more than have succeeded,
/// which makes 1, 2, 4.
fn probe(pace: &mut Pace, lately: &[&Replacement], under_way: u32, now: Timestamp) {
    if under_way > 0 {
        pace.first = 0;
        pace.evidence.push(Evidence::new(Rule::Probe, format!("{under_way} under way")));
        return;
    }
    let trailing = |outcome: Outcome| narrow(lately.iter().rev().take_while(|r| r.outcome == outcome).count());
    let failures = trailing(Outcome::Failed);
    if let Some(last) = lately.last().filter(|_| failures > 0) {
        // A failed probe may be listed no more; the lineage's own count remembers it.
        let failures = failures.max(last.attempt.saturating_sub(1));
        let wait = doubled(PROBE_WAIT, failures.saturating_sub(1), PROBE_WAIT_MAX);
        let until = after(last.launched, wait);
        let says = format!("{failures} failed, the next waits {} after the last", span(wait));
        pace.evidence.push(Evidence::new(Rule::ProbeFailed, says));
        pace.first = u32::from(until <= now);
        pace.not_before = Some(until).filter(|t| *t > now);
        return;
    }
    pace.first = trailing(Outcome::Healthy).saturating_add(1).min(pace.most);
}

impl Pace {
    /// Sizes of the successive waves for so many candidates; their sum is `candidates`, or 0 when none may start now.
    pub fn waves(&self, candidates: u32) -> Vec<u32> {
        let mut waves = Vec::new();
        let mut left = candidates;
        let mut size = self.first.min(self.most);
        while left > 0 && size > 0 {
            let wave = size.min(left);
            waves.push(wave);
            left -= wave;
            size = if self.doubles { size.saturating_mul(2).min(self.most) } else { self.most };
        }
        waves
    }
}

/// Why something is to be replaced, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Dead: nothing to lose.
    Dead,
    /// The provider will end it.
    Retiring {
        /// From then on.
        not_before: Timestamp,
    },
    /// Unhealthy.
    Unhealthy,
    /// Unwell again and again.
    Flapping,
    /// Well, but not as declared.
    Changed,
    /// Well and as declared, but in a zone too many.
    Uneven,
}

impl Urgency {
    /// What a verdict asks for; `None`: nothing by itself.
    pub fn of(verdict: &State) -> Option<Self> {
        match verdict {
            State::Gone | State::Unhealthy { hard: true, .. } => Some(Self::Dead),
            State::Planned { not_before, kind: Planned::Vacate } => Some(Self::Retiring { not_before: *not_before }),
            State::Unhealthy { hard: false, .. } => Some(Self::Unhealthy),
            State::Flapping => Some(Self::Flapping),
            State::Planned { kind: Planned::Reboot | Planned::Maintenance, .. }
            | State::Starting { .. }
            | State::Healthy
            | State::Suspect { .. }
            | State::Blind => None,
        }
    }

    /// Whose turn comes first: by urgency, and among the unhealthy the newest, for it holds the least work (Cluster API's
    /// choice); among others that are ill the oldest. Those that are well go by their address.
    pub fn turn(self, created: Timestamp) -> (Self, i64) {
        let age = match self {
            Self::Unhealthy => -created.as_second(),
            Self::Dead | Self::Retiring { .. } | Self::Flapping => created.as_second(),
            Self::Changed | Self::Uneven => 0,
        };
        (self, age)
    }
}

/// What the next launch of a lineage must look like, and when it may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Next {
    /// [`LaunchTag::attempt`] of the next launch.
    pub attempt: u32,
    /// [`LaunchTag::chain`] of the next launch.
    pub chain: String,
    /// Not before; in the past for a first replacement.
    pub not_before: Timestamp,
    /// The lineage is suspended until `not_before` or until the specification changes.
    pub suspended: bool,
    /// Why it waits, if it does.
    pub evidence: Option<Evidence>,
}

/// The next launch in the lineage of `dead`, whose mark and launch time are given. `healthy_for`: how long it was
/// healthy, in seconds, where that is known (from the history, or from the time since which a check is bad).
///
/// The first replacement goes at once; each later one waits for longer, counted from its predecessor's launch. A
/// lineage that has used up its retries waits until its last member's launch is an hour past.
pub fn next(
    id: &str,
    mark: &LaunchTag,
    created: Timestamp,
    healthy_for: Option<u64>,
    policy: &Policy,
    now: Timestamp,
) -> Next {
    let root = mark.chain.clone().unwrap_or_else(|| id.to_owned());
    if healthy_for.is_some_and(|h| h >= policy.repair.chain_reset) {
        return Next { attempt: 2, chain: id.to_owned(), not_before: created, suspended: false, evidence: None };
    }
    let attempt = mark.attempt.saturating_add(1);
    let replacements = mark.attempt.saturating_sub(1);
    let suspended = is_suspended(replacements, policy) && age(created, now) < policy.repair.chain_reset;
    let wait =
        if is_suspended(replacements, policy) { policy.repair.chain_reset } else { delay_before(attempt, id, policy) };
    let not_before = after(created, wait);
    let evidence = (not_before > now).then(|| {
        let left = span(age(now, not_before));
        if suspended {
            Evidence::new(Rule::Suspended, format!("{replacements} replacements did not stay healthy, next in {left}"))
        } else {
            Evidence::new(Rule::Backoff, format!("attempt {attempt} in {left}"))
        }
    });
    Next { attempt, chain: root, not_before, suspended, evidence }
}

/// Seconds between the launch of a machine and that of the one which replaces it as `attempt` of the lineage (2 is
/// the first replacement: no wait). `min(first × 2^k, max)` ± 20%; the jitter comes from the id, so that equal
/// situations give equal plans.
pub fn delay_before(attempt: u32, id: &str, policy: &Policy) -> u64 {
    let Some(retry) = attempt.checked_sub(3) else { return 0 };
    let base = doubled(policy.repair.backoff_first, retry, policy.repair.backoff_max);
    // 0 to 400 thousandths above four fifths.
    let dice = Digest::of(id.as_bytes()).prefix(8).bytes().fold(0_u64, |n, b| (n * 31 + u64::from(b)) % 401);
    base.saturating_mul(800 + dice) / 1000
}

/// Whether a lineage with so many replacements within an hour has used up its retries.
pub fn is_suspended(replacements: u32, policy: &Policy) -> bool {
    replacements >= policy.repair.retries
}

/// Whether a machine of this phase is started again: it has disks that a new one would not have. One on its way to
/// stopped will be there soon, but for one that has been seen so (`bad`) for long: it is stuck, and is replaced.
pub fn restarts(phase: Phase, bad: Option<Timestamp>, now: Timestamp) -> bool {
    match phase {
        Phase::Stopped => true,
        Phase::Stopping => bad.is_none_or(|since| age(since, now) < STUCK),
        Phase::Starting | Phase::Up | Phase::Leaving | Phase::Gone | Phase::Failed => false,
    }
}

/// `first × 2^times`, at most `most`.
fn doubled(first: u64, times: u32, most: u64) -> u64 {
    first.saturating_mul(1_u64.checked_shl(times).unwrap_or(u64::MAX)).min(most)
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
