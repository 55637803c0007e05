//! The safety proofs, on the sim, in virtual time: whatever goes wrong, a rerun ends where it should have ended.

pub mod crash;
pub mod end;
mod fleet;
pub mod harness;
mod killed;
mod seeds;
mod trouble;
mod two;
