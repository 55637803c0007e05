//! Asking a person. Never without a terminal, never in CI.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::exit::{Exit, Halt};

/// Whether somebody is there to answer.
pub fn possible() -> bool {
    let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false");
    io::stdin().is_terminal() && io::stderr().is_terminal() && !ci
}

/// Asks once: whether the answer is one of `accept`.
///
/// # Errors
/// Nobody is there to answer; says how to go on without asking.
pub fn ask(question: &str, accept: &[&str]) -> Result<bool, Halt> {
    if !possible() {
        return Err(Halt::new(
            Exit::Usage,
            "nobody is there to ask: this is no terminal, or CI is set. Give --yes, or save a plan with \
             `evenkeel plan -o FILE` and apply that",
        ));
    }
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    Ok(read.is_ok() && accept.iter().any(|a| line.trim().eq_ignore_ascii_case(a)))
}
