//! How much of an object is looked at: everything here is bounded, whatever a server or a file says.

/// How deep an object may nest; what stands deeper is said and not compared.
pub const DEPTH: usize = 128;
/// How many problems are said of one object; the rest are the same again.
pub const PROBLEMS: usize = 20;
/// How long a message of a pod, a condition or a server may be in a reason, in characters.
pub const MESSAGE: usize = 300;
