//! What goes wrong with calls: before the effect, after it, or in the answer. All of it replays.

use std::time::Duration;

use evenkeel_core::failure::{Class, Failure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::clock::later;
use crate::dice::{self, Span};
use crate::world::{Frozen, World};

/// One thing that goes wrong. Which calls it meets: those of `on`, within its times, after the first `after` of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub effect: Effect,
    /// To which calls; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Action>,
    /// Only to calls about this kind of Kubernetes object: `Deployment.apps`, `Secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only to calls that change the world.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changing: bool,
    /// So many matching calls are let through first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after: u32,
    /// To so many calls, then never again; absent: to every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// To this share of them, drawn from the seed: 0 to 1; absent: to every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub odds: Option<f64>,
    /// Not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Not from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a fault does to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It fails before it did anything.
    Fail(Class),
    /// It does everything, and the answer is lost: the caller sees a broken connection.
    LoseAnswer,
    /// The calling process dies, as by `kill -9`.
    Kill(Moment),
    /// It takes so much longer.
    Slow(Span),
    /// It arrives twice; the caller sees the first answer.
    Twice,
    /// It gets stuck on the way: the caller sees a broken connection now, and it arrives so much later, whether the
    /// caller still lives or not. Means nothing to a call that only reads.
    Late(Span),
    /// It arrives, is answered, and a copy of it arrives so much later. Means nothing to a call that only reads.
    Echo(Span),
    /// A page of a list comes back empty, though the list goes on.
    EmptyPage,
    /// A list says it ends with this page, though it goes on.
    CutPages,
    /// From this call on, lists show the world as it is now, for so long. Reads by id are not affected.
    FreezeLists(Span),
    /// What this call makes stays hidden for so much longer.
    HideNew(Span),
    /// The token of a list's next page is too old (Kubernetes only).
    ExpirePages,
}

/// When the calling process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the call did anything.
    Before,
    /// After it did everything, before the answer.
    After,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
pub(crate) fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Fault {
    /// `effect`, to every call.
    pub fn every(effect: Effect) -> Self {
        Self {
            effect,
            on: Vec::new(),
            kind: None,
            changing: false,
            after: 0,
            times: None,
            odds: None,
            from: None,
            until: None,
        }
    }

    /// `effect`, to one call.
    pub fn once(effect: Effect) -> Self {
        Self { times: Some(1), ..Self::every(effect) }
    }

    /// The credentials may not make this call.
    pub fn deny(action: Action) -> Self {
        Self::every(Effect::Fail(Class::Denied)).on(action)
    }

    /// Every call is throttled until then.
    pub fn storm(until: Timestamp) -> Self {
        Self { until: Some(until), ..Self::every(Effect::Fail(Class::Throttled)) }
    }

    /// Only to this call (and those named before).
    pub fn on(mut self, action: Action) -> Self {
        self.on.push(action);
        self
    }

    /// Only to calls about this kind of Kubernetes object: `Deployment.apps`, `Secret`.
    pub fn about(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only to calls that change the world.
    pub fn changing(mut self) -> Self {
        self.changing = true;
        self
    }

    /// Lets so many through first.
    pub fn after(mut self, calls: u32) -> Self {
        self.after = calls;
        self
    }

    /// So many in all.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// A handful of faults drawn from a seed: none that kills, none that lasts for ever, so that a run that tries
    /// long enough can still end well.
    pub fn from_seed(seed: u64) -> Vec<Self> {
        let count = 1 + dice::draw(seed, "faults", "count") % 4;
        (0..count)
            .map(|n| {
                let roll = |purpose: &str, sides: u64| dice::draw(seed, purpose, n) % sides;
                let effect = match roll("effect", 9) {
                    0 => Effect::Fail(Class::Transient),
                    1 => Effect::Fail(Class::Throttled),
                    2 => Effect::LoseAnswer,
                    3 => Effect::Slow(Span::secs(1, 30)),
                    4 => Effect::Twice,
                    5 => Effect::EmptyPage,
                    6 => Effect::FreezeLists(Span::secs(1, 20)),
                    7 => Effect::HideNew(Span::secs(1, 30)),
                    _ => Effect::Fail(Class::Capacity),
                };
                let mut fault = Self::once(effect).times(1 + roll("times", 3) as u32).after(roll("after", 25) as u32);
                if fault.effect == Effect::Fail(Class::Capacity) {
                    fault.on.push(Action::RunInstances);
                    fault.after %= 3;
                } else {
                    fault.changing = roll("changing", 2) == 0;
                }
                fault
            })
            .collect()
    }

    fn meets(&self, call: &Meant<'_>, now: Timestamp) -> bool {
        let about = |kind: &String| call.about.split('/').next() == Some(kind);
        (self.on.is_empty() || self.on.contains(&call.action))
            && (!self.changing || call.action.changes())
            && self.kind.as_ref().is_none_or(about)
            && (self.effect != Effect::ExpirePages || call.continues)
            && self.from.is_none_or(|at| at <= now)
            && self.until.is_none_or(|at| now < at)
    }

    fn is_spent(&self, now: Timestamp) -> bool {
        self.times == Some(0) || self.until.is_some_and(|at| at <= now)
    }
}

/// Which call it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meant<'a> {
    pub(crate) action: Action,
    /// The Kubernetes object or kind: `Deployment.apps/shop/web`, `Secret`; empty for EC2's calls.
    pub(crate) about: &'a str,
    /// It asks for a list's next page.
    pub(crate) continues: bool,
}

impl<'a> From<Action> for Meant<'a> {
    fn from(action: Action) -> Self {
        Self { action, about: "", continues: false }
    }
}

impl std::fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.action.verb() {
            Some(verb) if !self.about.is_empty() => write!(f, "{verb} {}", self.about),
            Some(_) | None => self.action.fmt(f),
        }
    }
}

/// What the faults do to one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Weather {
    pub(crate) fail: Option<Failure>,
    pub(crate) kill: Option<Moment>,
    pub(crate) lose_answer: bool,
    pub(crate) twice: bool,
    pub(crate) empty_page: bool,
    pub(crate) cut_pages: bool,
    pub(crate) expire_pages: bool,
    pub(crate) slow: Duration,
    /// When it arrives instead of now.
    pub(crate) late: Option<Timestamp>,
    /// When it arrives again.
    pub(crate) echo: Option<Timestamp>,
    pub(crate) hide: Duration,
    /// A fault struck, so the world's file has something to keep.
    pub(crate) struck: bool,
}

impl World {
    /// What happens to this call; spends the faults that strike. Sets the weather for it.
    pub(crate) fn forecast(&mut self, meant: &Meant<'_>, call: u64) {
        let (now, seed) = (self.now, self.seed);
        let mut weather = Weather::default();
        let mut freeze = None;
        for (n, fault) in self.faults.iter_mut().enumerate() {
            if !fault.meets(meant, now) || fault.is_spent(now) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            if fault.odds.is_some_and(|odds| !dice::chance(seed, "odds", format_args!("{call} {n}"), odds)) {
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            weather.struck = true;
            let time = |span: Span| span.draw(seed, "weather", format_args!("{call} {n}"));
            match &fault.effect {
                Effect::Fail(class) => {
                    weather.fail.get_or_insert_with(|| failure(*class, meant));
                }
                Effect::LoseAnswer => weather.lose_answer = true,
                Effect::Kill(moment) => weather.kill = Some(*moment),
                Effect::Slow(span) => weather.slow += time(*span),
                Effect::Twice => weather.twice = true,
                Effect::Late(span) => weather.late = Some(later(now, time(*span))),
                Effect::Echo(span) => weather.echo = Some(later(now, time(*span))),
                Effect::EmptyPage => weather.empty_page = true,
                Effect::CutPages => weather.cut_pages = true,
                Effect::ExpirePages => weather.expire_pages = true,
                Effect::FreezeLists(span) => freeze = Some(later(now, time(*span))),
                Effect::HideNew(span) => weather.hide += time(*span),
            }
        }
        self.faults.retain(|f| !f.is_spent(now));
        if let Some(until) = freeze {
            let (instances, volumes) = (self.instances.clone(), self.volumes.clone());
            self.frozen = Some(Frozen { until, instances, volumes });
        }
        self.weather = weather;
    }
}

/// A failure of this class, in words a Kubernetes API server might use.
fn refusal(class: Class, meant: &Meant<'_>) -> Failure {
    let (code, says) = match class {
        Class::Throttled => {
            ("TooManyRequests", "the server has received too many requests and has asked us to try again later")
        }
        Class::Transient | Class::Capacity => {
            ("InternalError", "Internal error occurred: etcdserver: request timed out")
        }
        Class::Quota => ("Forbidden", "exceeded quota"),
        Class::Denied => {
            let verb = meant.action.verb().unwrap_or_default();
            let says = format!("{} is forbidden: User \"evenkeel\" cannot {verb} it", meant.about);
            return Failure::new(class, "Forbidden", says);
        }
        Class::Credentials => ("Unauthorized", "Unauthorized"),
        Class::NotFound => ("NotFound", "the server could not find the requested resource"),
        Class::Busy | Class::TokenMismatch | Class::TokenSpent => {
            ("Conflict", "Operation cannot be fulfilled: the object has been modified")
        }
        Class::Protected | Class::Invalid => ("Invalid", "is invalid"),
    };
    Failure::new(class, code, says)
}

/// A failure of this class, in words EC2 might use.
fn failure(class: Class, meant: &Meant<'_>) -> Failure {
    if meant.action.verb().is_some() {
        return refusal(class, meant);
    }
    let (code, says) = match class {
        Class::Throttled => ("RequestLimitExceeded", "Request limit exceeded."),
        Class::Transient => ("InternalError", "An internal error has occurred."),
        Class::Capacity => ("InsufficientInstanceCapacity", "We currently do not have sufficient capacity."),
        Class::Quota => ("VcpuLimitExceeded", "You have requested more vCPU capacity than your current limit."),
        Class::Denied => ("UnauthorizedOperation", "You are not authorized to perform this operation."),
        Class::Credentials => ("ExpiredToken", "The security token included in the request is expired."),
        Class::NotFound => ("InvalidInstanceID.NotFound", "The ID does not exist."),
        Class::Busy => ("IncorrectState", "The resource is not in a state for this."),
        Class::Protected => ("OperationNotPermitted", "The resource is protected."),
        Class::TokenMismatch => ("IdempotentParameterMismatch", "The client token was used with other parameters."),
        Class::TokenSpent => ("IdempotentInstanceTerminated", "The client token belongs to terminated instances."),
        Class::Invalid => ("InvalidParameterValue", "A value is invalid."),
    };
    Failure::new(class, code, says)
}
