//! LOCKS. One run acts at a time, and a killed one costs nothing.
//!
//! Safety never rests on these locks alone: creates carry tokens and destructive calls are condemned in the journal
//! first. They keep two runs from wasting each other's work.

pub mod file;
pub mod holder;
