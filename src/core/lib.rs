//! DECIDES. Time, world and wish come in; a plan comes out.
//!
//! No I/O, no async, no clock, no randomness: the same arguments give the same answer, byte for byte.

pub mod address;
pub mod diagnostic;
pub mod digest;
pub mod failure;
pub mod value;
