//! TOUCHES. A real Kubernetes API server behind the traits of `evenkeel_kubernetes::api`: the only crate that names
//! the client library `kube` and `k8s-openapi`.
//!
//! It carries requests and answers over and nothing else: one method is one request (discovery is said to be more),
//! nothing is tried again, nothing is cached, nothing is decided.

mod change;
mod client;
mod discover;
mod errors;
mod kubeconfig;
mod limits;
mod read;
mod request;

pub use client::{KubeCluster, connect};
pub use kubeconfig::Settings;
