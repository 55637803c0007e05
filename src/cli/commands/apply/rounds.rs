//! Several plans in one run: where the next one knows a way around what failed, or may do what the last one held back.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::Address;
use evenkeel_core::event::Outcome;
use evenkeel_core::make::{Intent, Made};
use evenkeel_core::plan::{Hold, Plan};
use evenkeel_core::progress::{Progress, Standing};

use super::super::run::{Run, carry_out};
use super::{Job, agreed};
use crate::exit::{Ends, Exit};
use crate::look::Look;

/// Plans of one run at most: every one after the first knows more than the one before.
const ROUNDS: u32 = 5;

impl Job<'_> {
    /// Runs a plan. Where it failed for a reason that the next plan knows a way around, or did what others of its changes
    /// were held for, that one too.
    pub(super) async fn rounds(&self, mut made: Made, mut seen: Look) -> Ends {
        // What was to be replaced and has been is not replaced again.
        let mut done = BTreeSet::new();
        let mut intent = self.intent.clone();
        for round in 1.. {
            let run = carry_out(self.session, self.project, &made, &seen, self.run, self.signals, self.out).await?;
            let job = Job { intent: &intent, ..*self };
            let more = round < ROUNDS && !run.stopped && run.ran.trouble.is_none();
            let says = match run.ran.outcome {
                Outcome::Partial if more && run.learned => {
                    "Not all of it could be had as planned. This is the plan for what is left:"
                }
                Outcome::Complete if more && waits_for_itself(&made.plan) => {
                    "What was held back for others may go on now. This is the plan for it:"
                }
                Outcome::Partial | Outcome::Complete | Outcome::Interrupted => {
                    return job.last(&made, run, &done).await;
                }
            };
            let all = (0u32..).zip(&made.plan.changes);
            let now = all.filter(|(i, _)| run.ran.progress.standing(*i) == Standing::Done);
            done.extend(now.map(|(_, c)| c.address.clone()));
            // The cap on deletes is one of a run, not of a round.
            let deleted = job.deleted(&made.plan, &run.ran.progress);
            let replace = self.intent.replace.difference(&done).cloned().collect();
            let rest = Intent { replace, deleted, ..self.intent.clone() };
            // How the run ended is known, whatever can be seen now: the last look says the rest.
            seen = match self.look().await {
                Ok(seen) => seen,
                Err(_) => return job.last(&made, run, &done).await,
            };
            let next = seen.plan(self.project, &rest)?;
            if next.plan.is_empty() {
                return job.last(&made, run, &done).await;
            }
            self.out.say(says);
            self.show(&next.plan, &seen);
            if !self.run.yes {
                if !agreed(&next.plan, self.intent.destroy, self.out).await? {
                    self.out.say("Not confirmed, so the rest stays as it is.");
                    return job.last(&made, run, &done).await;
                }
                // The world may have moved while the question stood.
                seen = self.look().await?;
            }
            (made, intent) = (next, rest);
        }
        unreachable!("the last round returns")
    }

    /// What this run has deleted up to now, the rounds before this one included.
    pub(super) fn deleted(&self, plan: &Plan, progress: &Progress) -> BTreeMap<String, BTreeSet<String>> {
        let begun = |i: u32| match progress.standing(i) {
            Standing::Running | Standing::Done | Standing::Failed | Standing::Skipped => true,
            Standing::Waiting | Standing::Refused => false,
        };
        let mut all = self.intent.deleted.clone();
        for (scope, ids) in plan.deleted(begun) {
            all.entry(scope).or_default().extend(ids);
        }
        all
    }

    /// How the last of several rounds ends: where an earlier one did something, a plan of which nothing could be done any
    /// more was done in part.
    async fn last(&self, made: &Made, run: Run, done: &BTreeSet<Address>) -> Ends {
        match self.proved(made, run).await? {
            Exit::Stale if !done.is_empty() => Ok(Exit::Partial),
            end => Ok(end),
        }
    }
}

/// Whether the plan holds back what only has to wait until machines are ready that it may itself wait for.
fn waits_for_itself(plan: &Plan) -> bool {
    plan.held.iter().any(|h| match h.by {
        Hold::Floor | Hold::Breaker => true,
        Hold::Protection
        | Hold::DeleteCap
        | Hold::ZeroDesired
        | Hold::Outage
        | Hold::Frozen
        | Hold::Blind
        | Hold::Quarantine
        | Hold::Time
        | Hold::Launching
        | Hold::Filter
        | Hold::Unresolved
        | Hold::Foreign => false,
    })
}
