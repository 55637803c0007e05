//! The exit codes: one table, stable, documented in docs/exit-codes.md, tested.

use std::process::ExitCode;

use crate::out::Out;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// In sync or applied, and everything was seen.
    Fine = 0,
    /// Something went wrong.
    Error = 1,
    /// The file moved: changes are pending.
    Pending = 2,
    /// The world moved.
    Drift = 3,
    /// Both moved.
    DriftAndPending = 4,
    /// Refused: the plan is stale or damaged.
    Stale = 5,
    /// Refused: policy, protection or floor.
    Refused = 6,
    /// Applied in part; safe to rerun.
    Partial = 7,
    /// Not everything could be seen.
    Blind = 8,
    /// `status`: something is not well, or there is less than wanted.
    Degraded = 9,
    /// Used wrongly.
    Usage = 64,
    /// The lock was not had, or was lost.
    Lock = 75,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Every code with its meaning, for the docs and `--help`.
    pub const TABLE: &[(Self, &str)] = &[
        (Self::Fine, "in sync or applied, and everything was seen"),
        (Self::Error, "error"),
        (Self::Pending, "changes are pending: the file moved"),
        (Self::Drift, "drift only: the world moved"),
        (Self::DriftAndPending, "drift and pending changes"),
        (Self::Stale, "refused: the plan is stale or damaged"),
        (Self::Refused, "refused: policy, protection or floor"),
        (Self::Partial, "applied in part; safe to rerun"),
        (Self::Blind, "not everything could be seen"),
        (Self::Degraded, "degraded (status)"),
        (Self::Usage, "usage error"),
        (Self::Lock, "lock lost or not had"),
        (Self::Interrupted, "interrupted (SIGINT)"),
        (Self::Terminated, "terminated (SIGTERM)"),
    ];

    /// The table as text: one line a code.
    pub fn help() -> String {
        let rows = Self::TABLE.iter().map(|(e, says)| format!("  {:>3}  {says}\n", *e as u8));
        format!("Exit codes:\n{}", rows.collect::<String>())
    }
}

impl From<Exit> for ExitCode {
    fn from(e: Exit) -> Self {
        Self::from(e as u8)
    }
}

/// Why a command stops early: words for a person and a code for a script.
#[derive(Debug)]
pub struct Halt {
    /// What to say; whole sentences, with a way out. Rendered text may span lines.
    pub says: String,
    /// How to end.
    pub exit: Exit,
    /// It is a page already: coloured, escaped, with its severity in front.
    pub rendered: bool,
}

impl Halt {
    /// Stops with this code.
    pub fn new(exit: Exit, says: impl Into<String>) -> Self {
        Self { says: says.into(), exit, rendered: false }
    }

    /// An error (1) whose text is a finished page.
    pub fn rendered(page: impl Into<String>) -> Self {
        Self { says: page.into(), exit: Exit::Error, rendered: true }
    }

    /// Says why.
    pub fn tell(&self, out: &Out) {
        if self.rendered { out.rendered(&self.says) } else { out.problem(&self.says) }
    }

    /// An error (1).
    pub fn error(says: impl Into<String>) -> Self {
        Self::new(Exit::Error, says)
    }
}

/// What a command comes to.
pub type Ends = Result<Exit, Halt>;

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_documented_table_is_the_programs() {
        let docs = include_str!("../../docs/exit-codes.md");
        let rows: Vec<&str> = docs.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| code")).collect();
        let ours: Vec<String> = Exit::TABLE.iter().map(|(e, says)| format!("| {} | {says} |", *e as u8)).collect();
        assert_eq!(rows, ours);
    }
}
