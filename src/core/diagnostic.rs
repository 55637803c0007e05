//! A problem in the user's file: where, what, and a way out. Rendering is the presenter's work.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is done until it is gone.
    Error,
    /// Said, and gone on.
    Warning,
}

/// A place in a file, in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file's name as the user gave it.
    pub file: String,
    /// Start and end in bytes; equal where only a point is known.
    pub span: std::ops::Range<usize>,
    /// What to say beside this place; empty for nothing.
    pub label: String,
}

/// A replacement that would mend the problem without changing what the user means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What to replace, in bytes.
    pub span: std::ops::Range<usize>,
    /// With what.
    pub with: String,
}

/// One problem, complete: code, words, place, way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, such as `E0102`; listed in docs/errors.md.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// One sentence: what is wrong.
    pub says: String,
    /// Where; the first is the main place. Empty for problems without one (a flag, an environment variable).
    pub places: Vec<Place>,
    /// One sentence: what to do about it. Never empty.
    pub way_out: String,
    /// A safe mend, where there is one (`validate --fix` applies it).
    pub fix: Option<Fix>,
}
