//! The promises where users live: the real binary, the real SDK, real HTTP, on the sim behind EC2's protocol.
//!
//! By default a sample of each subject; `EVENKEEL_TEST_SWEEP=all` takes everything. Each prints a table. A file has one
//! subject.

mod blind;
mod disk;
mod dying;
pub mod fixture;
mod race;
mod scarce;
mod signals;
mod storm;
mod struck;
