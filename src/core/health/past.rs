//! What earlier looks saw of each object, for the rules that need more than one look.
//!
//! Pure: it is given to the judge and written after it; where it is kept between runs is the caller's matter, and
//! without it every rule still works, only later. It refuses to hold anything that could be asked of the world.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{State, Verdict};
use crate::observed::{Object, Source};

/// How many beginnings of illness are remembered per object; more than any `flap-count` that makes sense.
const ENTRIES: usize = 64;

/// What earlier looks saw of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    /// Per source: the first of the looks that found it bad without a break.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub first_bad: BTreeMap<Source, Timestamp>,
    /// Looks so far.
    pub looks: u32,
    /// The last look at which it was well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ok: Option<Timestamp>,
    /// When it was found unwell after being well, ascending, the newest 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suspect_entries: Vec<Timestamp>,
    /// Unwell and not yet recovered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ill: bool,
    /// While `ill`: the first look since the last bad one that found nothing bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub well_since: Option<Timestamp>,
    /// Healthy at every look since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy_since: Option<Timestamp>,
}

/// What earlier looks saw, by object id.
pub type History = BTreeMap<String, Past>;

/// Writes down what this look saw, for the next one. Pure: the caller keeps the history wherever it likes, and may
/// drop entries of objects that no longer exist.
pub fn remember(history: &mut History, object: &Object, verdict: &Verdict, now: Timestamp) {
    let past = history.entry(object.id.clone()).or_default();
    past.looks = past.looks.saturating_add(1);
    // A look without data breaks the row as well as a good one: not known is never taken for still bad.
    past.first_bad.retain(|source, _| verdict.bad.contains(source));
    for source in &verdict.bad {
        // A clock that has gone back since must not prolong a dwell by as much.
        let since = past.first_bad.entry(*source).or_insert(now);
        *since = (*since).min(now);
    }
    let blind = match verdict.state {
        State::Blind => true,
        State::Starting { .. }
        | State::Healthy
        | State::Suspect { .. }
        | State::Unhealthy { .. }
        | State::Flapping
        | State::Planned { .. }
        | State::Gone => false,
    };
    if !verdict.bad.is_empty() {
        if !past.ill {
            past.suspect_entries.push(now);
            let surplus = past.suspect_entries.len().saturating_sub(ENTRIES);
            past.suspect_entries.drain(..surplus);
        }
        past.ill = true;
        past.well_since = None;
    } else if verdict.well {
        past.ill = false;
        past.well_since = None;
        past.last_ok = Some(now);
    } else if past.ill && !blind {
        let since = past.well_since.get_or_insert(now);
        *since = (*since).min(now);
    }
    if verdict.ready() {
        let since = past.healthy_since.get_or_insert(now);
        *since = (*since).min(now);
    } else if !blind {
        past.healthy_since = None;
    }
}
