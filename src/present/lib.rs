//! TELLS. Values come in; text, JSON and markdown go out, and live progress while a plan runs.
//!
//! The presenter decides nothing, and asks for nothing but the size of the terminal. It prints nowhere: it returns
//! text or writes to what it is given. Whatever comes from the world is escaped ([`escape`]), whatever is secret is masked ([`redact`]).

pub mod diagnostics;
pub mod document;
pub mod drift;
pub mod ended;
pub mod escape;
pub mod failure;
mod fold;
mod held;
pub mod json;
mod outlook;
pub mod output;
pub mod plan;
pub mod plan_json;
pub mod progress;
pub mod prompt;
pub mod redact;
pub mod rehearsal;
pub mod render;
pub mod status;
mod steps;
pub mod tally;
pub mod totals;
pub mod words;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod snapshots;
