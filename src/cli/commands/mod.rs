//! One file a command. Each reads as its journey: open, look, decide (in core), tell, act.

mod apply;
mod declaration;
mod drift;
mod init;
mod output;
mod plan;
mod policy;
mod protect;
mod run;
mod serve;
mod shell;
mod sim;
mod status;
mod world;

use crate::args::{Args, Command};
use crate::exit::Ends;
use crate::out::Out;

/// Runs the command.
///
/// # Errors
/// Why it stops, and with which code.
pub fn run(args: Args, out: &Out) -> Ends {
    let global = &args.global;
    match args.command {
        Command::Init(a) => init::run(global, &a, out),
        Command::Validate(a) => declaration::validate(global, &a, out),
        Command::Fmt(a) => declaration::fmt(global, &a, out),
        Command::Schema => declaration::schema(out),
        Command::Plan(a) => plan::plan(global, &a, out),
        Command::Show(a) => plan::show(global, &a, out),
        Command::Apply(a) => apply::apply(global, &a, out),
        Command::Drift(a) => drift::run(global, &a, out),
        Command::Status(a) => status::run(global, &a, out),
        Command::Output(a) => output::run(global, &a, out),
        Command::Destroy(a) => apply::destroy(global, &a, out),
        Command::Protect(a) => protect::run(global, &a, true, out),
        Command::Unprotect(a) => protect::run(global, &a, false, out),
        Command::Policy { of } => policy::run(global, &of, out),
        Command::Sim(a) => sim::run(global, a.deed, out),
        Command::Completions { shell } => shell::completions(shell, out),
        Command::Man { dir } => shell::man(dir.as_deref(), out),
    }
}
