//! KNOWS EC2: core's calls become EC2's requests, and EC2's answers become core's objects.
//!
//! It speaks through the trait [`api::Ec2`], which real EC2 and the sim both implement, so that what the sim
//! proves is the code that users run. It never plans, never retries, and names no SDK.

pub mod api;
mod by_id;
pub mod fast;
mod kinds;
mod limits;
mod lookups;
mod pages;
mod perform;
pub mod permissions;
mod read;
mod rehearse;
mod wire;

pub use perform::Ec2Provider;
pub use read::Ec2Eyes;
pub use wire::family;
