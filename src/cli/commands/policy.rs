//! `policy`: the permissions that this declaration needs. The file alone is read; no call is made.

use evenkeel_core::desired::is_cluster;
use evenkeel_ec2::permissions::{For, document};
use evenkeel_present::json;

use crate::args::{Global, PolicyAws, PolicyFormat, PolicyOf};
use crate::exit::{Ends, Exit, Halt};
use crate::out::Out;
use crate::project::Project;

/// The plain `[aws]` on the command line; in the file it has no alias.
const PLAIN: &str = "aws";

/// `policy`
pub fn run(global: &Global, of: &PolicyOf, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    match of {
        PolicyOf::Aws(args) => aws(&project, args, out),
    }
}

fn aws(project: &Project, args: &PolicyAws, out: &Out) -> Ends {
    let mut scopes: Vec<String> = project.scopes().into_iter().filter(|alias| !is_cluster(alias)).collect();
    if let Some(one) = &args.scope {
        let known: Vec<&str> = scopes.iter().map(|s| if s.is_empty() { PLAIN } else { s }).collect();
        if !known.contains(&one.as_str()) {
            let known = known.join(", ");
            return Err(Halt::new(Exit::Usage, format!("the file has no [aws.{one}]; there are: {known}")));
        }
        scopes.retain(|s| s == one || (s.is_empty() && one == PLAIN));
    }
    let what = match (args.read_only, args.repair_marks) {
        (true, _) => For::Looking,
        (false, true) => For::EverythingAndLostMarks,
        (false, false) => For::Everything,
    };
    let document = document(&project.desired, scopes.iter().map(String::as_str), what);
    match args.format {
        PolicyFormat::Json => out.data(&json::pretty(&document, &project.secrets)),
    }
    Ok(Exit::Fine)
}
