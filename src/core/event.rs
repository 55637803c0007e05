//! What happens while a plan runs: the screen's input and the journal's line, the same value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::digest::Digest;
use crate::failure::Failure;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub happened: Happened,
}

/// What can happen. `step` and `change` are indices into the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happened {
    /// The run of this plan began, or was taken up again.
    Began {
        /// The plan's id.
        plan: Digest,
        /// Which time, from 1.
        attempt: u32,
    },
    /// A change's reasons no longer hold; it and what needs it are left out.
    Refused {
        /// Which change.
        change: u32,
        /// What is different.
        because: String,
    },
    /// About to make the call, or to wait. Written before.
    Started {
        /// Which step.
        step: u32,
    },
    /// It will be tried again.
    Retrying {
        /// Which step.
        step: u32,
        /// Why.
        failure: Failure,
        /// After so many milliseconds.
        after_ms: u64,
    },
    /// A wait looked and did not see it yet.
    Waiting {
        /// Which step.
        step: u32,
        /// What each target shows: `web/6: pending`.
        shows: Vec<String>,
    },
    /// It is done. Written after.
    Done {
        /// Which step.
        step: u32,
        /// Ids of what it made.
        made: BTreeMap<Address, String>,
    },
    /// It failed for good; what needs it is skipped.
    Failed {
        /// Which step.
        step: u32,
        /// Why.
        failure: Failure,
        /// Of a wait for several: the changes whose things did not come, where the others' did. What serves the others
        /// goes on. Empty: all of it failed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<u32>,
    },
    /// It was not tried.
    Skipped {
        /// Which step.
        step: u32,
        /// The step that failed or the change that was refused, in words.
        because: String,
    },
    /// The run was told to stop: nothing new starts.
    Interrupted {
        /// Steps in flight.
        in_flight: Vec<u32>,
    },
    /// The run ended.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step is done.
    Complete,
    /// Some steps failed, were refused or skipped; safe to rerun.
    Partial,
    /// Told to stop.
    Interrupted,
}
