//! The one integration binary: each binary links everything anew, so there is one.

mod cli;
mod examples;
#[cfg(feature = "aws")]
mod front;
mod kubernetes;
mod laws;
mod layering;
#[cfg(feature = "aws")]
mod moto;
#[cfg(feature = "aws")]
mod policy;
#[cfg(feature = "aws")]
mod sweep;
#[cfg(all(feature = "aws", feature = "kubernetes"))]
mod tls;
#[cfg(feature = "aws")]
mod wire;
