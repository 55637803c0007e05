//! DECIDES. Time, world and wish come in; a plan comes out.
//!
//! No I/O, no async, no clock, no randomness: the same arguments give the same answer, byte for byte.

pub mod address;
pub mod applyset;
pub mod declaration;
pub mod desired;
pub mod diagnostic;
pub mod diff;
pub mod digest;
pub mod drain;
pub mod event;
pub mod expected;
pub mod failure;
pub mod health;
pub mod identity;
pub mod launch;
#[cfg(test)]
mod laws;
pub mod lessons;
pub mod make;
pub mod nodes;
pub mod objects;
pub mod observed;
pub mod pace;
pub mod place;
pub mod plan;
pub mod policy;
pub mod progress;
pub mod ready;
pub mod rehearsal;
pub mod repair;
pub mod rules;
pub mod schema;
pub mod scopes;
pub mod shared;
pub mod situation;
pub mod slots;
pub mod stamp;
pub mod survey;
#[cfg(test)]
mod testing;
mod text;
pub mod value;
pub mod vet;
