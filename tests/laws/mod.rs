//! The safety proofs, on the sim, in virtual time: whatever goes wrong, a rerun ends where it should have ended.

mod crash;
mod end;
mod fleet;
mod harness;
mod killed;
mod seeds;
mod trouble;
mod two;
