//! TRIES. Hostile input for everything that evenkeel reads: files of people, files of its own, answers of servers.
//!
//! A target takes bytes and must neither panic nor take more memory than it may; what it says of them is not asked.
//! The bytes are a script of edits to good inputs ([`mutant`]), so that plain random bytes get past the front door, on
//! stable Rust. (bolero was to drive them; its 0.13.7 pins an indexmap that our TOML reader refuses.)

pub mod many;
pub mod mutant;
pub mod seeds;
pub mod targets;
