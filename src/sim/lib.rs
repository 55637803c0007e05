//! PRETENDS: a small EC2 in memory, in virtual time, with faults that replay from a seed.
//!
//! It is where a newcomer plans and applies without an account, and where every law is proved. It keeps EC2's own
//! rules ([`world`]), speaks EC2's own interface ([`api`](evenkeel_ec2::api)), and never plans, retries or mends.

pub mod action;
mod api;
pub mod clock;
pub mod cluster;
pub mod death;
pub mod dice;
pub mod faults;
pub mod laws;
pub mod look;
pub mod ops;
mod refusal;
pub mod request;
mod sim;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod wire;
pub mod world;

pub use clock::{SimClock, runtime};
pub use cluster::SimCluster;
pub use sim::{Call, Sim};
pub use store::BadWorld;
pub use wire::Wire;
pub use world::World;
