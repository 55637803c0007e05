//! What the tests on the wire share: the program in a place of its own, a proxy on its calls, and stories to tell on
//! more than one EC2.

pub mod guard;
pub mod iam;
pub mod place;
pub mod proxy;
pub mod story;
#[cfg(feature = "kubernetes")]
pub mod tls;

pub use crate::moto::lab::hand;
