//! The command line, word for word. Nothing is looked up or decided here.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use evenkeel_core::declaration::starter::STARTERS;

use crate::deeds::Sim;
use crate::exit::Exit;
use crate::out::Color;

/// Keeps a fleet on an even keel: one file says what should exist; evenkeel compares it with what does exist, shows a
/// plan and carries it out, without a state file
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = format!("{FIRST_STEPS}\n\n{}", Exit::help()), max_term_width = 100)]
pub struct Args {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// Reads the command line and the environment. A variable that is empty counts as one that is not set.
    ///
    /// # Errors
    /// Misuse, or a question for help or the version.
    pub fn read() -> Result<Self, clap::Error> {
        let empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        let mut command = Self::command().mut_args(|arg| if empty(&arg) { arg.env(None::<&str>) } else { arg });
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
    }
}

const FIRST_STEPS: &str = "\
First steps, without an account (the sim is a small cloud kept in a file):
  evenkeel init                     write evenkeel.toml
  export EVENKEEL_SIM=world.toml    talk to the sim instead of AWS
  evenkeel plan                     see what would be done
  evenkeel apply                    do it
  evenkeel sim kill web/3           break something, then plan again";

const PLAN_EXAMPLES: &str = "\
Examples:
  evenkeel plan                            what would change, and why
  evenkeel plan -o plan.json               save it for `evenkeel apply plan.json`
  evenkeel plan --target machines.web      only this group
  evenkeel plan --dry-run                  and would EC2 let it through?
  evenkeel plan --exit-code                exit 2: the file moved, 3: the world
                                           moved, 4: both";

const APPLY_EXAMPLES: &str = "\
Examples:
  evenkeel apply                  plan, show, ask, do
  evenkeel apply plan.json        exactly this plan, without a question
  evenkeel apply --yes            plan and do, without a question

While it runs:
  t, then Enter (or SIGUSR1)      what is in flight, and since when
  Ctrl-C (or SIGTERM)             starts nothing new and ends in order
  Ctrl-C twice                    ends at once
After either, run `evenkeel apply` again: it goes on where this run ended.";

const DRIFT_EXAMPLES: &str = "\
Exit codes: 0 in sync, 2 the file moved, 3 the world moved, 4 both, 8 not everything could be seen";

const STATUS_EXAMPLES: &str = "\
Exit codes: 0 all is well, 8 not everything could be seen, 9 something is missing or not ready";

const OUTPUT_EXAMPLES: &str = "\
Examples:
  evenkeel output                          all of them, a line each
  evenkeel output first                    one alone, for $(…)
  evenkeel output --format json            for jq: .outputs.first
  evenkeel output first --format json      its value alone";

const DESTROY_EXAMPLES: &str = "\
It shows what goes and asks for the stack's name. What is protected stays: `evenkeel unprotect` first.";

const SIM_EXAMPLES: &str = "\
Examples (a world is named by --sim world.toml or EVENKEEL_SIM):
  evenkeel sim                            show the world
  evenkeel sim kill web/3                 end a machine behind evenkeel's back
  evenkeel sim impair web/2 --ago 20m     its instance status check has failed for 20 minutes
  evenkeel sim lose-zone us-east-1a       a whole zone goes down
  evenkeel sim advance 10m                let ten minutes pass
  evenkeel sim serve                      be an EC2 endpoint for any AWS client, until Ctrl-C";

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Work in this folder
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub dir: Option<PathBuf>,
    /// The declaration [default: evenkeel.toml]
    #[arg(short = 'f', long, value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// Use the embedded sim instead of AWS, its world kept in this file (made on first use)
    #[arg(long, value_name = "WORLD", global = true, env = "EVENKEEL_SIM")]
    pub sim: Option<PathBuf>,
    /// Lay evenkeel.NAME.toml over the declaration
    #[arg(long = "env", value_name = "NAME", global = true, env = "EVENKEEL_ENV")]
    pub environment: Option<String>,
    /// Set a variable; it wins over EVENKEEL_VAR_NAME, --var-file and the default
    #[arg(long = "var", value_name = "NAME=VALUE", global = true)]
    pub vars: Vec<String>,
    /// Read variables from a TOML file
    #[arg(long, value_name = "FILE", global = true)]
    pub var_file: Vec<PathBuf>,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub color: Color,
    /// Say more: every member of a large group
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a starter declaration
    Init(Init),
    /// Check the declaration; every problem at once
    Validate(Validate),
    /// Format the declaration; comments stay
    Fmt(Fmt),
    /// Print the JSON Schema of the declaration
    Schema,
    /// Show what would change, and why
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Plan),
    /// Show a saved plan
    Show(Show),
    /// Carry out a saved plan, or plan and ask
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(Apply),
    /// Tell what moved in the world, apart from what moved in the file; read-only
    #[command(after_help = DRIFT_EXAMPLES)]
    Drift(Drift),
    /// Show every machine and volume and how it is; read-only
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// Print the outputs of the declaration
    #[command(after_help = OUTPUT_EXAMPLES)]
    Output(Output),
    /// Destroy everything of this stack
    #[command(after_help = DESTROY_EXAMPLES)]
    Destroy(Destroy),
    /// Protect live objects from being ended
    Protect(Protect),
    /// Take the protection away
    Unprotect(Protect),
    /// Print the permissions that this declaration needs, and no more
    Policy {
        #[command(subcommand)]
        of: PolicyOf,
    },
    /// Look at the sim's world, let time pass, break things
    #[command(after_help = SIM_EXAMPLES)]
    Sim(Sim),
    /// Print shell completions
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one a command into a folder
    Man {
        /// Write evenkeel.1, evenkeel-plan.1 … here
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// `init`
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The stack's name [default: the folder's name]
    #[arg(long)]
    pub name: Option<String>,
    /// The starter
    #[arg(long, value_parser = starters(), default_value = STARTERS[0].name)]
    pub template: String,
    /// The region [default: what the AWS environment says, else us-east-1]
    #[arg(long)]
    pub region: Option<String>,
    /// Only print a new stack id
    #[arg(long)]
    pub id: bool,
}

/// The starters' names, each with what it is.
fn starters() -> PossibleValuesParser {
    STARTERS.iter().map(|s| PossibleValue::new(s.name).help(s.about)).collect::<Vec<_>>().into()
}

/// `validate`
#[derive(Debug, clap::Args)]
pub struct Validate {
    /// Apply the safe fixes to the file
    #[arg(long)]
    pub fix: bool,
    /// How to print problems
    #[arg(long, value_enum, default_value_t = Problems::Human)]
    pub format: Problems,
}

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Problems {
    /// For people
    Human,
    /// For programs
    Json,
    /// GitHub workflow commands
    Github,
}

/// `fmt`
#[derive(Debug, clap::Args)]
pub struct Fmt {
    /// `-` formats standard input to standard output
    #[arg(value_parser = ["-"], hide_possible_values = true)]
    pub stream: Option<String>,
    /// Change nothing; exit 1 if something would change
    #[arg(long)]
    pub check: bool,
}

/// How a plan or report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// For programs; see docs/json.md
    Json,
    /// For a comment on a pull request
    Markdown,
}

/// What a plan is asked beyond the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Wishes {
    /// Only what matches, such as machines.web, 'volumes.*', volumes.data/1 or workloads.shop; may be given again
    #[arg(long, value_name = "GLOB")]
    pub target: Vec<String>,
    /// Nothing that matches; may be given again
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Replace this one although nothing is wrong with it: machines.web/3, manifests.app/ConfigMap/shop/settings
    #[arg(long, value_name = "ADDRESS")]
    pub replace: Vec<String>,
    /// Allow so many deletes in this run: a count or a share such as 25% [default: as the declaration says]
    #[arg(long, value_name = "N")]
    pub max_deletes: Option<String>,
    /// Allow a group of several to go to none
    #[arg(long)]
    pub allow_empty: bool,
    /// Take objects that another tool marks as its own, too
    #[arg(long)]
    pub force: bool,
    /// Take fields of Kubernetes objects that another manager holds
    #[arg(long)]
    pub force_conflicts: bool,
    /// Also read what only a call for each machine shows, such as user data
    #[arg(long)]
    pub deep: bool,
}

/// `plan`
#[derive(Debug, clap::Args)]
pub struct Plan {
    /// Save the sealed plan for `apply`
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Exit 2, 3 or 4 when there are changes
    #[arg(long)]
    pub exit_code: bool,
    /// Also ask EC2 to rehearse each call (DryRun), and count free addresses and vCPUs: exit 6 tells what would be refused
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub wishes: Wishes,
}

/// `show`
#[derive(Debug, clap::Args)]
pub struct Show {
    /// A plan saved by `plan -o`
    pub plan: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// How a run tells what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Events {
    /// One JSON object a line, on stdout
    Json,
}

/// What a run that changes things takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Run {
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Tell every event on stdout
    #[arg(long, value_enum, value_name = "HOW")]
    pub events: Option<Events>,
    /// Wait so long for another run to end, such as 60s [default: as the declaration says]
    #[arg(long, value_name = "TIME")]
    pub lock_timeout: Option<String>,
}

/// `apply`
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// A plan saved by `plan -o`, exactly as it is; without it, plan and ask
    #[arg(conflicts_with_all = ["target", "exclude", "replace", "max_deletes", "allow_empty"])]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub wishes: Wishes,
}

/// `drift`
#[derive(Debug, clap::Args)]
pub struct Drift {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Also read what only a call per machine shows
    #[arg(long)]
    pub deep: bool,
    /// Say of each field who moved it and when, or that nobody tells: Kubernetes does, EC2 does not
    #[arg(long)]
    pub blame: bool,
}

/// `status`
#[derive(Debug, clap::Args)]
pub struct Status {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// `output`
#[derive(Debug, clap::Args)]
pub struct Output {
    /// Only this one, its text without quotes, for scripts
    pub name: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    pub format: OutputFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// How outputs are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people, and one alone for scripts
    Human,
    /// For programs; see docs/json.md
    Json,
}

/// `destroy`
#[derive(Debug, clap::Args)]
pub struct Destroy {
    #[command(flatten)]
    pub run: Run,
    /// Only what matches, such as machines.web or volumes.data/1; may be given again
    #[arg(long, value_name = "GLOB")]
    pub target: Vec<String>,
    /// Nothing that matches; may be given again
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
}

/// `protect`, `unprotect`
#[derive(Debug, clap::Args)]
pub struct Protect {
    /// Groups or parts of them, such as machines.db, data/0-2 or manifests.app/ConfigMap/shop/settings
    #[arg(required = true)]
    pub addresses: Vec<String>,
}

/// `policy`
#[derive(Debug, Subcommand)]
pub enum PolicyOf {
    /// An IAM policy document; see docs/permissions.md
    Aws(PolicyAws),
}

/// `policy aws`
#[derive(Debug, clap::Args)]
pub struct PolicyAws {
    /// Only what plan, drift, status and output need
    #[arg(long)]
    pub read_only: bool,
    /// Also to put the stack's mark back on machines and volumes that lost it. Whoever may do that may make any machine
    /// or volume without a stack's mark its own, and end it
    #[arg(long, conflicts_with = "read_only")]
    pub repair_marks: bool,
    /// Only this table `aws.ALIAS`; the plain one is called aws [default: all that hold anything]
    #[arg(long, value_name = "ALIAS")]
    pub scope: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = PolicyFormat::Json)]
    pub format: PolicyFormat,
}

/// How a policy is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// As IAM takes it
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
