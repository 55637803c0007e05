//! What a plan comes to: the counts of its last line, and what losing a machine or a zone would leave.

use std::fmt;

use evenkeel_core::plan::{Action, Forecast, Plan};
use serde::Serialize;

use crate::words::number;

/// How many of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Totals {
    /// Made new.
    pub add: u32,
    /// Replaced.
    pub replace: u32,
    /// Changed in place.
    pub change: u32,
    /// Destroyed.
    pub destroy: u32,
    /// Volumes attached.
    pub attach: u32,
    /// Only our own tags.
    pub restamp: u32,
    /// Quarantined.
    pub quarantine: u32,
    /// Taken out of quarantine.
    pub release: u32,
    /// Wished and not made.
    pub held: u32,
    /// Of the held: those that a person must lift by hand.
    pub refused: u32,
}

impl Totals {
    /// Of this plan.
    pub fn of(plan: &Plan) -> Self {
        let mut t = Self::default();
        for change in &plan.changes {
            let n = match change.action {
                Action::Create => &mut t.add,
                Action::Update => &mut t.change,
                Action::Replace => &mut t.replace,
                Action::Delete => &mut t.destroy,
                Action::Restamp => &mut t.restamp,
                Action::Quarantine => &mut t.quarantine,
                Action::Release => &mut t.release,
                Action::Attach => &mut t.attach,
            };
            *n += 1;
        }
        for held in &plan.held {
            t.held += 1;
            t.refused += u32::from(held.by.is_refusal());
        }
        t
    }
}

impl fmt::Display for Totals {
    /// `1 to add, 1 to replace, 2 to change, 0 to destroy, 1 held`: the four that everybody looks for always, the
    /// rest where there is any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = |n: u32| number(n.into());
        write!(
            f,
            "{} to add, {} to replace, {} to change, {} to destroy",
            n(self.add),
            n(self.replace),
            n(self.change),
            n(self.destroy)
        )?;
        for (count, words) in [
            (self.attach, "to attach"),
            (self.restamp, "to re-stamp"),
            (self.quarantine, "to quarantine"),
            (self.release, "to release"),
            (self.held, "held"),
        ] {
            if count > 0 {
                write!(f, ", {} {words}", n(count))?;
            }
        }
        if self.refused > 0 {
            write!(f, " ({} refused)", n(self.refused))?;
        }
        Ok(())
    }
}

impl Totals {
    /// `1 to add, 2 to change`: only what is going to happen, for a question that the whole count stands above.
    pub fn short(&self) -> String {
        [
            (self.add, "to add"),
            (self.replace, "to replace"),
            (self.change, "to change"),
            (self.destroy, "to destroy"),
            (self.attach, "to attach"),
            (self.restamp, "to re-stamp"),
            (self.quarantine, "to quarantine"),
            (self.release, "to release"),
        ]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, words)| format!("{} {words}", number(n.into())))
        .collect::<Vec<_>>()
        .join(", ")
    }
}

/// What a group does not survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Losses {
    /// What is left after losing a machine, if that is too few.
    pub machine: Option<u32>,
    /// Zones whose loss leaves too few, the worst first.
    pub zones: Vec<String>,
    /// What is left after the worst of them.
    pub worst: u32,
}

/// What the group does not survive once the plan has run; `None` for a group that will be empty.
pub fn losses(f: &Forecast) -> Option<Losses> {
    // Where a cluster's objects stand is the scheduler's business, not the plan's.
    if f.after == 0 || f.group.kind.is_kubernetes() {
        return None;
    }
    let mut zones: Vec<(u32, &String)> =
        f.left_after_zone.iter().filter(|(_, left)| **left < f.needed).map(|(z, left)| (*left, z)).collect();
    zones.sort();
    Some(Losses {
        machine: (f.left_after_machine < f.needed).then_some(f.left_after_machine),
        worst: zones.first().map_or(f.after, |(left, _)| *left),
        zones: zones.into_iter().map(|(_, z)| z.clone()).collect(),
    })
}
