//! TOUCHES. Real EC2, Service Quotas, SSM and STS behind the traits of `evenkeel_ec2::api`: the only crate that names `aws-sdk-*`.
//!
//! It carries calls and answers over and nothing else: one method is one wire call (two are said to be more), nothing
//! is tried again, nothing is cached, nothing is decided.

mod change;
mod client;
mod convert;
mod errors;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod read;
mod rehearse;

pub use client::{AwsEc2, Settings, connect};
