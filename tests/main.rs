//! The one integration binary: each binary links everything anew, so there is one.

mod cli;
mod examples;
mod laws;
mod layering;
#[cfg(feature = "aws")]
mod moto;
