//! How an object is: a verdict, with its evidence and when to look again, and what it asks for.
//!
//! [`judge()`] comes to it. It refuses to decide what is done about one.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::observed::Source;
use crate::rules::Evidence;

mod judge;
mod past;
mod times;

pub use judge::{judge, judge_with};
pub use past::{History, Past, remember};
pub(crate) use times::{after, age, before};
pub use times::{moment, span};

/// How an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum State {
    /// On its way up; not counted as healthy nor as unhealthy.
    Starting {
        /// Overdue after this.
        deadline: Timestamp,
    },
    /// Everything that reports says well.
    Healthy,
    /// Something is bad, or was until just now; not long enough to act.
    Suspect {
        /// Since when, as far as known.
        since: Timestamp,
    },
    /// To be replaced.
    Unhealthy {
        /// `instance status impaired 16m`; never empty.
        causes: Vec<String>,
        /// It cannot come back by itself: no dwell.
        hard: bool,
    },
    /// Unwell again and again.
    Flapping,
    /// The provider has announced something.
    Planned {
        /// When it may begin.
        not_before: Timestamp,
        /// What.
        kind: Planned,
    },
    /// Terminated or deleted, still listed.
    Gone,
    /// Nothing is known about its health.
    Blind,
}

/// What the provider has announced, from the most urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Planned {
    /// It will be stopped or retired: replace it before.
    Vacate,
    /// It will be rebooted and stay.
    Reboot,
    /// Work around it; reported only.
    Maintenance,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, PartialOrd, Ord)]
pub struct Verdict {
    /// How it is.
    pub state: State,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
    /// Sources that are bad right now, storage excepted.
    pub bad: BTreeSet<Source>,
    /// Up, past its start, something reports, nothing is bad, and nothing was until just now.
    pub well: bool,
    /// Which rules spoke; the deciding one first. Never empty.
    pub evidence: Vec<Evidence>,
    /// When the answer may change by time alone; always after `now`.
    pub recheck: Option<Timestamp>,
}

impl Verdict {
    /// Counts towards the floor: healthy, or healthy with an announcement. Suspect does not: the floor is there for
    /// the case that the suspicion is right.
    pub fn ready(&self) -> bool {
        match self.state {
            State::Healthy | State::Planned { .. } => self.well,
            State::Starting { .. }
            | State::Suspect { .. }
            | State::Unhealthy { .. }
            | State::Flapping
            | State::Gone
            | State::Blind => false,
        }
    }

    /// Cannot come back by itself: terminating it takes nothing away from anybody.
    pub fn dead(&self) -> bool {
        match &self.state {
            State::Unhealthy { hard, .. } => *hard,
            State::Gone => true,
            State::Starting { .. }
            | State::Healthy
            | State::Suspect { .. }
            | State::Flapping
            | State::Planned { .. }
            | State::Blind => false,
        }
    }

    /// Unwell by soft signals: one of the `u` of breaker and situation.
    pub fn soft(&self) -> bool {
        match &self.state {
            State::Suspect { .. } | State::Flapping => true,
            State::Unhealthy { hard, .. } => !hard,
            State::Planned { .. } => !self.bad.is_empty(),
            State::Starting { .. } | State::Healthy | State::Gone | State::Blind => false,
        }
    }

    /// Each check passes again, but not for long enough yet.
    pub fn recovers(&self) -> bool {
        matches!(self.state, State::Suspect { .. }) && self.bad.is_empty()
    }

    /// One of the `n` of breaker and situation: ready or softly unwell; the dead, the starting and the blind are not.
    pub fn counted(&self) -> bool {
        self.soft() || self.ready()
    }

    /// How much the verdict asks for, from 0 (nothing) to 5 (replace at once). What is not known never raises it.
    pub fn severity(&self) -> u8 {
        match &self.state {
            State::Starting { .. } | State::Healthy | State::Blind => 0,
            State::Suspect { .. } => 1,
            State::Planned { .. } => 2,
            State::Flapping => 3,
            State::Unhealthy { hard: false, .. } => 4,
            State::Unhealthy { hard: true, .. } | State::Gone => 5,
        }
    }

    /// One word for a screen.
    pub fn word(&self) -> &'static str {
        match &self.state {
            State::Starting { .. } => "starting",
            State::Healthy => "healthy",
            State::Suspect { .. } => "suspect",
            State::Unhealthy { hard: false, .. } => "unhealthy",
            State::Unhealthy { hard: true, .. } => "dead",
            State::Flapping => "flapping",
            State::Planned { .. } => "planned",
            State::Gone => "gone",
            State::Blind => "blind",
        }
    }

    /// Why, in one line: the causes, or the deciding rule's words.
    pub fn why(&self) -> String {
        match &self.state {
            State::Unhealthy { causes, .. } => causes.join(", "),
            State::Starting { .. }
            | State::Healthy
            | State::Suspect { .. }
            | State::Flapping
            | State::Planned { .. }
            | State::Gone
            | State::Blind => self.evidence.first().map_or_else(String::new, |e| e.says.clone()),
        }
    }
}
