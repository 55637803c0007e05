//! KNOWS Kubernetes: core's calls become API requests, and live objects become what core compares.
//!
//! It speaks through the trait [`api::Cluster`], which a real cluster and the sim both implement, so that what the
//! sim proves is the code that users run. It never plans, never retries, and names no client library.

pub mod api;
mod catalog;
mod limits;
mod look;
mod node;
mod perform;
mod read;
mod trials;
mod trouble;
mod wire;

pub use node::KEPT;
pub use perform::KubernetesProvider;
pub use read::{Known, KubernetesEyes};
