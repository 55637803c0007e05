//! How a run ends, by a last look: what is left, what is held, what has not come up. "Converged" is proved, not assumed.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_core::make::{Intent, Made};
use evenkeel_core::plan::{Held, Hold, Plan, Why};
use evenkeel_core::progress::Standing;
use evenkeel_present::words::count;
use jiff::Timestamp;

use super::super::plan::ends;
use super::super::run::Run;
use super::Job;
use super::arrivals::{Arrived, some};
use crate::exit::{Ends, Exit, Halt};
use crate::look::Look;

/// Looks after a run until lists show what reads by id have shown already; EC2 promises no bound, seconds are usual.
const PROOFS: u32 = 6;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

impl Job<'_> {
    /// How a run ends that finds nothing to do: what an earlier one has begun may still be on its way.
    pub(super) async fn nothing(&self, plan: Plan, seen: Look) -> Ends {
        match ends(&plan, false) {
            Exit::Fine => {}
            end => {
                seen.remember(self.project);
                return Ok(end);
            }
        }
        let Arrived { left, seen, late } = self.arrivals(plan, seen, None).await?;
        seen.remember(self.project);
        if (!left.is_empty() || !late.is_empty())
            && let Some(exit) = self.unfinished(&left, &late)
        {
            return Ok(exit);
        }
        Ok(match ends(&left, false) {
            Exit::Fine => match kept_back(&left) {
                Exit::Fine => self.settled(&seen).await,
                end => end,
            },
            end => end,
        })
    }

    /// How a run ends, by a last look.
    pub(super) async fn proved(&self, made: &Made, run: Run) -> Ends {
        let Run { ran, exit, refused, unseen, learned: _, stopped } = run;
        if let Some(trouble) = &ran.trouble {
            self.out.problem(&format!("the journal cannot be written, so nothing new was started: {trouble}"));
        }
        if stopped {
            return Ok(exit);
        }
        // What the cap on deletes has held back in this run is not left to do in it.
        let intent = Intent { deleted: self.deleted(&made.plan, &ran.progress), ..self.intent.clone() };
        let job = Job { intent: &intent, ..*self };
        // Refused now or by an earlier attempt: nothing of the plan was done, so nothing was done in part.
        let all = u32::try_from(made.plan.changes.len()).unwrap_or(u32::MAX);
        let nothing = all > 0 && (0..all).all(|i| matches!(ran.progress.standing(i), Standing::Refused));
        let exit = match nothing {
            true if refused > 0 && unseen => Exit::Blind,
            true => Exit::Stale,
            false => exit,
        };
        let (left, seen) = match job.prove(&made.plan).await {
            Ok(proof) => proof,
            // How the run itself ended is known, whatever can be seen now.
            Err(blind) if exit != Exit::Fine => {
                blind.tell(self.out);
                return Ok(exit);
            }
            Err(blind) => return Err(blind),
        };
        let failed = (0..all).any(|i| ran.progress.standing(i) == Standing::Failed);
        // What a person asked for by name no look can tell to be done.
        let asked = made.plan.changes.iter().any(|c| c.reasons.iter().any(|r| r.why == Why::Asked));
        // What was refused because the world moved, and is as wished now, somebody else has done. A saved plan is what it
        // says, and nothing else.
        let done = !self.of_plan
            && refused > 0
            && !failed
            && (!asked || self.intent.destroy)
            && left.is_empty()
            && left.gaps.is_empty();
        let exit = match exit {
            Exit::Partial | Exit::Stale if done => Exit::Fine,
            exit => exit,
        };
        if exit != Exit::Fine {
            seen.remember(self.project);
            return Ok(exit);
        }
        let Arrived { left, seen, late } = job.arrivals(left, seen, Some(made.plan.basis.at)).await?;
        seen.remember(self.project);
        if let Some(exit) = self.unfinished(&left, &late) {
            return Ok(exit);
        }
        if !left.gaps.is_empty() {
            self.out.say("Done, but a last look could not see everything, so it is not proved.");
            return Ok(Exit::Blind);
        }
        // What was not asked for is no business of this run.
        let held = left.held.iter().filter(|h| h.by != Hold::Filter).count();
        if held == 0 {
            let left_out = left.held.iter().any(|h| h.by == Hold::Filter);
            let what = match (self.of_plan, left_out) {
                (true, _) => " of this plan",
                (false, true) => " of what was asked for",
                (false, false) => "",
            };
            self.out.say(&format!("Converged: a last look finds nothing left to do{what}."));
        } else {
            let held = count(held as u64, "change is", "changes are");
            let by = if self.intent.destroy { "as it says above" } else { "`evenkeel plan` says by what" };
            self.out.say(&format!("Nothing left to do now, but {held} held: {by}."));
        }
        Ok(match kept_back(&left) {
            Exit::Fine => self.settled(&seen).await,
            end => end,
        })
    }

    /// Whether something is left to do or has not come up, which is said.
    pub(super) fn unfinished(&self, left: &Plan, late: &[String]) -> Option<Exit> {
        let open = left.changes.len() + left.held.iter().filter(|h| h.by == Hold::Launching).count();
        if open > 0 {
            let more = count(open as u64, "change is", "changes are");
            self.out
                .say(&format!("Not converged: {more} left, for the world moved meanwhile. `evenkeel plan` shows it."));
            return Some(Exit::Partial);
        }
        if !late.is_empty() {
            let more = count(late.len() as u64, "machine has", "machines have");
            self.out.say(&format!("Not converged: {more} not come up in time ({}).", some(late)));
            return Some(Exit::Partial);
        }
        None
    }

    /// What a look after the run of this plan would still change. Lists may lag behind reads by id, so it looks a few
    /// times.
    async fn prove(&self, plan: &Plan) -> Result<(Plan, Look), Halt> {
        let mut looks = 1;
        loop {
            let mut seen = self.look().await?;
            let left = self.left(&mut seen, Some(plan.basis.at))?;
            // A launch that lists show only in part is not the end of it.
            let settled = left.is_empty() && !left.held.iter().any(|h| h.by == Hold::Launching);
            if settled || looks == PROOFS {
                return Ok((left, seen));
            }
            looks += 1;
            self.session.clock.sleep(PAUSE).await;
        }
    }

    /// What this look would still change. Of what runs have taught, only this one's counts, where there was one.
    pub(super) fn left(&self, seen: &mut Look, since: Option<Timestamp>) -> Result<Plan, Halt> {
        // What was to be replaced has been; asked again, it would be replaced again.
        let intent = &Intent { replace: BTreeSet::new(), ..self.intent.clone() };
        let Some(since) = since else { return Ok(seen.plan(self.project, intent)?.plan) };
        let lessons = seen.history.lessons.of_run(since, seen.now);
        let kept = std::mem::replace(&mut seen.history.lessons, lessons);
        let left = seen.plan(self.project, intent)?.plan;
        seen.history.lessons = kept;
        Ok(left)
    }
}

/// What is held says how a run ends that did all it may: 6 where a person must lift it, 7 where the world must change
/// or time must pass first, 0 where it was not asked for or is meant to stay.
pub(super) fn kept_back(plan: &Plan) -> Exit {
    let ends = |h: &Held| match h.by {
        Hold::Protection | Hold::DeleteCap | Hold::ZeroDesired | Hold::Foreign | Hold::Frozen | Hold::Unresolved => {
            Exit::Refused
        }
        Hold::Floor | Hold::Breaker | Hold::Outage | Hold::Time | Hold::Launching => Exit::Partial,
        Hold::Blind => Exit::Blind,
        Hold::Quarantine | Hold::Filter => Exit::Fine,
    };
    let all: Vec<Exit> = plan.held.iter().map(ends).collect();
    [Exit::Refused, Exit::Blind, Exit::Partial].into_iter().find(|e| all.contains(e)).unwrap_or(Exit::Fine)
}
