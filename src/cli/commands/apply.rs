//! `apply` and `destroy`: show, ask, lock, look again, run, and prove by a last look that it converged.

mod arrivals;
mod proof;
mod rounds;

use std::path::Path;

use evenkeel_core::make::{Intent, Made};
use evenkeel_core::plan::{Action, Plan};
use evenkeel_core::policy::Amount;
use evenkeel_present::plan::{View, page};
use evenkeel_present::prompt as question;

use self::proof::kept_back;
use super::plan::load;
use super::run::{carry_out, lock};
use crate::args::{self, Events, Global};
use crate::exit::{Ends, Exit, Halt};
use crate::look::{Look, globs, intent, look};
use crate::out::Out;
use crate::project::Project;
use crate::prompt;
use crate::session::{Session, block_on_with};
use crate::signals::Signals;

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

    /// Exactly a saved plan.
    async fn saved(&self, path: &Path) -> Ends {
        let plan = load(path)?;
        let _held = lock(self.project, self.run, Some(&plan.id.0), self.out).await?;
        let seen = self.look().await?;
        // Boot scripts never stand in a plan; they come from the files beside the declaration.
        // They are rendered for slots too that only a forced plan fills.
        let payloads = seen.plan(self.project, &Intent { force: true, ..Intent::default() })?.payloads;
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

    async fn carry_out(&self, made: &Made, seen: &Look) -> Ends {
        let run = carry_out(self.session, self.project, made, seen, self.run, self.signals, self.out).await?;
        self.proved(made, run).await
    }
}
