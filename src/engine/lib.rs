//! DOES. Looks at the world through a provider, runs a finished plan, writes down what it did.
//!
//! It names no cloud, decides nothing that a plan should have decided, and never prints.

pub mod budget;
pub mod caller;
pub mod clock;
pub mod fresh;
pub mod journal;
pub mod launching;
pub mod limits;
pub mod observe;
pub mod planfile;
pub mod provider;
pub mod rehearse;
pub mod run;
pub mod settle;
pub mod stop;
pub mod waiting;

#[cfg(test)]
mod trials;
