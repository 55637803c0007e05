//! `apply` and `destroy`: show, ask, lock, look again, run, and prove by a last look that it converged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use evenkeel_core::address::Address;
use evenkeel_core::event::Outcome;
use evenkeel_core::make::{Coming, Intent, Made};
use evenkeel_core::plan::{Action, Held, Hold, Plan};
use evenkeel_core::policy::Amount;
use evenkeel_core::progress::{Progress, Standing};
use evenkeel_core::ready::unready;
use evenkeel_core::survey::Member;
use evenkeel_engine::limits::Limits;
use evenkeel_engine::settle::{Wanted, settle};
use evenkeel_present::plan::{View, page};
use evenkeel_present::prompt as question;
use evenkeel_present::words::count;
use jiff::Timestamp;

use super::plan::{ends, load};
use super::run::{Run, carry_out, lock};
use crate::args::{self, Events, Global};
use crate::exit::{Ends, Exit, Halt};
use crate::look::{Look, globs, intent, look};
use crate::out::Out;
use crate::project::Project;
use crate::prompt;
use crate::session::{Session, block_on_with};
use crate::signals::Signals;

/// Looks after a run until lists show what reads by id have shown already; EC2 promises no bound, seconds are usual.
const PROOFS: u32 = 6;
/// Plans of one run at most: every one after the first knows more than the one before.
const ROUNDS: u32 = 5;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);
/// Machines that are named where many are waited for.
const NAMED: usize = 5;

/// `apply`
pub fn apply(global: &Global, args: &args::Apply, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    let intent = intent(&args.wishes)?;
    let deep = args.wishes.deep;
    block_on_with(global, async |signals: &Signals| {
        let session = Session::open(global, &project).await?;
        let job = Job {
            session: &session,
            project: &project,
            intent: &intent,
            targets: &args.wishes.target,
            run: &args.run,
            deep,
            of_plan: false,
            signals,
            out,
        };
        let end = match &args.plan {
            Some(path) => job.saved(&crate::project::beside(global, path)).await,
            None => job.fresh().await,
        };
        session.close()?;
        end
    })
}

/// `destroy`
pub fn destroy(global: &Global, args: &args::Destroy, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    let intent =
        Intent { destroy: true, target: globs(&args.target)?, exclude: globs(&args.exclude)?, ..Intent::default() };
    block_on_with(global, async |signals: &Signals| {
        let session = Session::open(global, &project).await?;
        let job = Job {
            session: &session,
            project: &project,
            intent: &intent,
            targets: &args.target,
            run: &args.run,
            deep: false,
            of_plan: false,
            signals,
            out,
        };
        let end = job.fresh().await;
        session.close()?;
        end
    })
}

/// Asks before anything changes; whoever destroys types the stack's name.
async fn agreed(plan: &Plan, destroy: bool, out: &Out) -> Result<bool, Halt> {
    let instead = match destroy {
        true => "Give --yes; `evenkeel plan` does not show what `destroy` would do",
        false => "Give --yes, or save a plan with `evenkeel plan -o FILE` and apply that",
    };
    if plan.changes.iter().any(|c| matches!(c.action, Action::Delete | Action::Quarantine)) {
        prompt::ask(&out.fitted(&question::destroy(plan)), &[&plan.basis.name], instead).await
    } else {
        prompt::ask(&out.fitted(&question::apply(plan)), &["y", "yes"], instead).await
    }
}

#[derive(Clone, Copy)]
struct Job<'a> {
    session: &'a Session,
    project: &'a Project,
    intent: &'a Intent,
    /// What `--target` says, word by word.
    targets: &'a [String],
    run: &'a args::Run,
    deep: bool,
    /// Only what a saved plan changes is to be proved.
    of_plan: bool,
    signals: &'a Signals,
    out: &'a Out,
}

/// What is held says how a run ends that did all it may: 6 where a person must lift it, 7 where the world must change
/// or time must pass first, 0 where it was not asked for or is meant to stay.
fn kept_back(plan: &Plan) -> Exit {
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

impl Job<'_> {
    async fn look(&self) -> Result<Look, Halt> {
        look(self.session, self.project, self.deep, self.out).await
    }

    fn show(&self, plan: &Plan, seen: &Look) {
        let took = u64::try_from(seen.took.as_millis()).unwrap_or(u64::MAX);
        let doc = page(plan, View { took_ms: Some(took), ..View::default() });
        // With events on stdout the page is talk.
        if self.run.events == Some(Events::Json) {
            let color = self.out.stderr_color();
            self.out.rendered(&evenkeel_present::render::text(&doc, &self.project.secrets, self.out.width(), color));
        } else {
            self.out.page(&doc, &self.project.secrets);
        }
    }

    /// Plan, show, ask, lock, look again, run.
    async fn fresh(&self) -> Ends {
        // Without a question the lock comes first, so that the plan that is shown is the plan that is run.
        let mut held = None;
        if self.run.yes {
            held = lock(self.project, self.run, None, self.out).await?;
        }
        let mut seen = self.look().await?;
        seen.knows(self.project, self.intent, self.targets, self.out)?;
        let made = seen.plan(self.project, self.intent)?;
        self.show(&made.plan, &seen);
        if made.plan.is_empty() {
            return self.nothing(made.plan, seen).await;
        }
        if !self.run.yes {
            if !agreed(&made.plan, self.intent.destroy, self.out).await? {
                return Err(Halt::error("not confirmed, so nothing was changed"));
            }
            held = lock(self.project, self.run, Some(&made.plan.id.0), self.out).await?;
            seen = self.look().await?;
        }
        let end = self.rounds(made, seen).await;
        drop(held);
        end
    }

    /// Runs a plan. Where it failed for a reason that the next plan knows a way around, or did what others of its changes
    /// were held for, that one too.
    async fn rounds(&self, mut made: Made, mut seen: Look) -> Ends {
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
            seen = self.look().await?;
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
    fn deleted(&self, plan: &Plan, progress: &Progress) -> BTreeMap<String, BTreeSet<String>> {
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

    /// Exactly a saved plan.
    async fn saved(&self, path: &Path) -> Ends {
        let plan = load(path)?;
        let _held = lock(self.project, self.run, Some(&plan.id.0), self.out).await?;
        let seen = self.look().await?;
        // Boot scripts never stand in a plan; they come from the files beside the declaration.
        let payloads = seen.plan(self.project, &Intent::default())?.payloads;
        // The plan may be of a part of the stack; only of that part is it to be proved that nothing is left.
        let addresses: Vec<String> = plan.changes.iter().map(|c| c.address.to_string()).collect();
        let target = Some(globs(&addresses)?.unwrap_or_default());
        let intent =
            Intent { target, allow_empty: true, max_deletes: Some(Amount::Percent(100)), ..self.intent.clone() };
        let job = Job { intent: &intent, of_plan: true, ..*self };
        // A plan that does nothing ends as it ended when it was made.
        let alone = plan.is_empty().then(|| kept_back(&plan));
        match job.carry_out(&Made { plan, payloads }, &seen).await? {
            Exit::Fine => Ok(alone.unwrap_or(Exit::Fine)),
            end => Ok(end),
        }
    }

    /// How a run ends that finds nothing to do: what an earlier one has begun may still be on its way.
    async fn nothing(&self, plan: Plan, seen: Look) -> Ends {
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

    /// Waits for machines that still start, as the run that launched them would have. `since`: when the plan of this
    /// run was made, if it had one.
    async fn arrivals(&self, mut left: Plan, mut seen: Look, since: Option<Timestamp>) -> Result<Arrived, Halt> {
        let mut coming = seen.coming(self.project, self.intent);
        let awaited: Vec<Address> = coming.keys().cloned().collect();
        let limits = Limits::default();
        let (until, mut pause) = (coming.values().map(|c| c.deadline).max(), limits.look_first);
        let mut told = 0;
        while !coming.is_empty() && left.is_empty() && until.is_some_and(|until| seen.now < until) {
            if coming.len() != told {
                told = coming.len();
                self.out.say(&waits_for(&coming));
            }
            self.session.clock.sleep(pause).await;
            pause = (pause * limits.look_growth / 100).min(limits.look_most);
            seen = self.look().await?;
            left = self.left(&mut seen, since)?;
            coming = seen.coming(self.project, self.intent);
        }
        let survey = seen.survey(self.project, self.intent.force);
        let late = awaited.iter().filter(|a| !survey.alive(a).any(Member::ready));
        let late = late.map(|a| {
            let why = survey.alive(a).next().map_or_else(|| "gone".to_owned(), |m| m.verdict.why());
            format!("{}: {why}", a.short())
        });
        let late: Vec<String> = late.collect();
        if !awaited.is_empty() && late.is_empty() {
            self.out.say("All of them are up.");
        }
        drop(survey);
        Ok(Arrived { left, seen, late })
    }

    /// Whether something is left to do or has not come up, which is said.
    fn unfinished(&self, left: &Plan, late: &[String]) -> Option<Exit> {
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

    async fn carry_out(&self, made: &Made, seen: &Look) -> Ends {
        let run = carry_out(self.session, self.project, made, seen, self.run, self.signals, self.out).await?;
        self.proved(made, run).await
    }

    /// How a run ends, by a last look.
    async fn proved(&self, made: &Made, run: Run) -> Ends {
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
        let (left, seen) = job.prove(&made.plan).await?;
        // Refused now or by an earlier attempt: nothing of the plan was done, so nothing was done in part.
        let all = u32::try_from(made.plan.changes.len()).unwrap_or(u32::MAX);
        if all > 0 && (0..all).all(|i| matches!(ran.progress.standing(i), Standing::Refused)) {
            seen.remember(self.project);
            return Ok(if refused > 0 && unseen { Exit::Blind } else { Exit::Stale });
        }
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

    /// Waits for what is as the file says and not ready: a roll-out that an earlier run did not see to its end is no
    /// success of this one.
    async fn settled(&self, seen: &Look) -> Exit {
        if self.intent.destroy {
            return Exit::Fine;
        }
        let mut all = unready(&self.project.desired, &seen.observed);
        all.retain(|u| self.intent.left_out(&u.address).is_none());
        if all.is_empty() {
            return Exit::Fine;
        }
        let named: Vec<String> = all.iter().map(|u| u.address.short()).collect();
        self.out.say(&format!("Not ready yet, and waited for: {}", named.join(", ")));
        let wanted: Vec<Wanted> = (all.into_iter().zip(&named))
            .map(|(u, name)| Wanted { scope: u.scope, id: u.id, name: name.clone(), within: u.within })
            .collect();
        let (providers, clock) = (self.session.providers(), self.session.clock.as_ref());
        let mut tell = |line: &str| self.out.say(&format!("  {line}"));
        let failed = settle(&providers, &wanted, clock, &Limits::default(), &mut tell).await;
        if failed.is_empty() {
            self.out.say("All of it is ready.");
            return Exit::Fine;
        }
        for failure in failed {
            self.out.problem(&format!(
                "{failure}; it is as the file says: mend what keeps it, then run `evenkeel apply` again, which waits again"
            ));
        }
        Exit::Partial
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
    fn left(&self, seen: &mut Look, since: Option<Timestamp>) -> Result<Plan, Halt> {
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

/// What a wait for machines that still start came to.
struct Arrived {
    left: Plan,
    seen: Look,
    /// Who has not come up, and why.
    late: Vec<String>,
}

fn waits_for(coming: &BTreeMap<Address, Coming>) -> String {
    let all: Vec<String> = coming.iter().map(|(a, c)| format!("{}: {}", a.short(), c.says)).collect();
    format!("Waiting for {} that still start ({}).", count(all.len() as u64, "machine", "machines"), some(&all))
}

/// The first few, and how many more.
fn some(all: &[String]) -> String {
    let more = all.len().saturating_sub(NAMED);
    let first = all[..all.len() - more].join(", ");
    if more == 0 { first } else { format!("{first}, and {more} more") }
}
