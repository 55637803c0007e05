//! `plan` and `show`: what would change, and why.

use std::path::Path;

use evenkeel_core::plan::Plan;
use evenkeel_engine::planfile::{self, PlanFileError};
use evenkeel_engine::rehearse::{is_blind, rehearse};
use evenkeel_present::drift::DriftReport;
use evenkeel_present::plan::{View, page};
use evenkeel_present::redact::Redactor;
use evenkeel_present::{json, plan_json, render};

use crate::args::{self, Format, Global};
use crate::exit::{Ends, Exit, Halt};
use crate::look::{intent, look};
use crate::out::Out;
use crate::project::Project;
use crate::session::{Session, block_on};

/// `plan`
pub fn plan(global: &Global, args: &args::Plan, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    let intent = intent(&args.wishes)?;
    block_on(global, async {
        let session = Session::open(global, &project).await?;
        let seen = look(&session, &project, args.wishes.deep, out).await?;
        seen.knows(&project, &intent, &args.wishes.target, out)?;
        let made = seen.plan(&project, &intent)?;
        seen.remember(&project);
        let ledger = match args.dry_run {
            true => Some(rehearse(&session.providers(), &made.plan, &made.payloads).await),
            false => None,
        };
        session.close()?;
        let took = u64::try_from(seen.took.as_millis()).unwrap_or(u64::MAX);
        let view = View { took_ms: Some(took), rehearsal: ledger.as_ref() };
        tell(&made.plan, args.format, view, &project.secrets, out);
        if let Some(path) = &args.out {
            let path = crate::project::beside(global, path);
            save(&made.plan, &path)?;
            out.say(&format!("Saved. `evenkeel apply {}` carries out exactly this plan.", path.display()));
        }
        Ok(match (ends(&made.plan, args.exit_code), &ledger) {
            (Exit::Blind, _) => Exit::Blind,
            (_, Some(ledger)) if is_blind(ledger) => Exit::Blind,
            (_, Some(ledger)) if !ledger.findings.is_empty() => Exit::Refused,
            (end, _) => end,
        })
    })
}

/// `show`
pub fn show(global: &Global, args: &args::Show, out: &Out) -> Ends {
    let plan = load(&crate::project::beside(global, &args.plan))?;
    tell(&plan, args.format, View::default(), &Redactor::none(), out);
    Ok(Exit::Fine)
}

/// Loads a saved plan.
///
/// # Errors
/// It cannot be read (1), or it is not byte for byte what was saved (5).
pub fn load(path: &Path) -> Result<Plan, Halt> {
    planfile::load(path).map_err(|e| {
        if let PlanFileError::Io(path, io) = &e
            && io.kind() == std::io::ErrorKind::NotFound
        {
            let path = path.display();
            return Halt::error(format!("there is no plan file {path}: `evenkeel plan -o {path}` makes one"));
        }
        let exit = if matches!(e, PlanFileError::Io(..)) { Exit::Error } else { Exit::Stale };
        Halt::new(exit, e.to_string())
    })
}

fn save(plan: &Plan, path: &Path) -> Result<(), Halt> {
    planfile::save(path, plan).map_err(|e| Halt::error(e.to_string()))
}

/// Shows a plan on stdout.
pub fn tell(plan: &Plan, format: Format, view: View<'_>, secrets: &Redactor, out: &Out) {
    match format {
        Format::Human => out.page(&page(plan, view), secrets),
        Format::Json => out.data(&json::pretty(&plan_json::rehearsed(plan, view.rehearsal), secrets)),
        Format::Markdown => out.data(&render::markdown(&page(plan, view), secrets, render::GITHUB_COMMENT)),
    }
}

/// What a plan without a run comes to: not seeing everything is never fine.
pub fn ends(plan: &Plan, with_changes: bool) -> Exit {
    if !plan.gaps.is_empty() {
        return Exit::Blind;
    }
    if with_changes { moved(plan) } else { Exit::Fine }
}

/// Who moved: the file, the world, both or nobody.
pub fn moved(plan: &Plan) -> Exit {
    let report = DriftReport::of(plan);
    match (report.has_drift(), report.has_pending()) {
        (false, false) => Exit::Fine,
        (false, true) => Exit::Pending,
        (true, false) => Exit::Drift,
        (true, true) => Exit::DriftAndPending,
    }
}
