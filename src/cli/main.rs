//! evenkeel: keeps a fleet on an even keel.
//!
//! WIRES the rooms together and decides nothing: arguments come in, an exit code goes out.

mod args;
mod commands;
mod deeds;
mod exit;
mod files;
mod kubectl;
mod look;
mod out;
mod project;
mod prompt;
mod session;
mod signals;

use evenkeel_present::escape::hides;

use crate::args::Args;
use crate::exit::Exit;
use crate::out::{Out, escaped};

fn main() -> std::process::ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(e) => {
            // Help and version are answers; everything else is misuse, and never clap's own 2.
            if !e.use_stderr() {
                let _ = e.print();
                return Exit::Fine.into();
            }
            // clap repeats what was typed as it is; a pasted argument must not paint the terminal either.
            let words = e.to_string();
            if words.chars().any(|c| c != '\n' && hides(c)) {
                eprintln!("{}", escaped(words.trim_end()));
            } else {
                let _ = e.print();
            }
            return Exit::Usage.into();
        }
    };
    let out = Out::new(args.global.color, args.global.verbose);
    let exit = commands::run(args, &out).unwrap_or_else(|stop| {
        stop.tell(&out);
        stop.exit
    });
    out.flush();
    exit.into()
}
