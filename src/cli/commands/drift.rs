//! `drift`: what moved in the world, told apart from what moved in the file. It is given nothing that could change
//! anything.

use evenkeel_core::make::Intent;
use evenkeel_present::drift::DriftReport;
use evenkeel_present::{json, render};

use super::plan::moved;
use crate::args::{self, Format, Global};
use crate::exit::{Ends, Exit};
use crate::look::look;
use crate::out::Out;
use crate::project::Project;
use crate::session::{Session, block_on};

/// `drift`
pub fn run(global: &Global, args: &args::Drift, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    block_on(global, async {
        let session = Session::open(global, &project).await?;
        let seen = look(&session, &project, args.deep, out).await?;
        let plan = seen.plan(&project, &Intent::default())?.plan;
        session.close()?;
        let report = DriftReport::of(&plan);
        let report = if args.blame { report.blamed() } else { report };
        match args.format {
            Format::Human => out.page(&report.page(), &project.secrets),
            Format::Json => out.data(&json::pretty(&report, &project.secrets)),
            Format::Markdown => out.data(&render::markdown(&report.page(), &project.secrets, render::GITHUB_COMMENT)),
        }
        Ok(if plan.gaps.is_empty() { moved(&plan) } else { Exit::Blind })
    })
}
