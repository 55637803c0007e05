//! evenkeel: keeps a fleet on an even keel.
//!
//! WIRES the rooms together and decides nothing: arguments come in, an exit code goes out.

mod args;
mod commands;
mod exit;
mod look;
mod out;
mod project;
mod prompt;
mod session;

use clap::Parser;

use crate::args::Args;
use crate::exit::Exit;
use crate::out::Out;

fn main() -> std::process::ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // Help and version are answers; everything else is misuse, and never clap's own 2.
            let code = if e.use_stderr() { Exit::Usage } else { Exit::Fine };
            let _ = e.print();
            return code.into();
        }
    };
    let out = Out::new(args.global.color, args.global.verbose);
    let exit = commands::run(args, &out).unwrap_or_else(|stop| {
        out.problem(&stop.says);
        stop.exit
    });
    out.flush();
    exit.into()
}
