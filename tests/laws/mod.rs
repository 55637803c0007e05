//! The safety proofs, on the sim, in virtual time: whatever goes wrong, a rerun ends where it should have ended.

mod cluster;
pub mod crash;
pub mod end;
mod fleet;
mod hands;
pub mod harness;
mod killed;
mod likeness;
mod nodes;
mod seeds;
mod shop;
mod tale;
mod trouble;
mod two;
