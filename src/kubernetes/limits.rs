//! Every limit of this crate, in one place.

/// Requests for single objects that are under way at once.
pub const AT_ONCE: usize = 16;

/// Characters of a digest in the name under which an object is tried that would be made anew.
pub const TRIED: usize = 10;

/// How often a list begins anew when its continue token has expired.
pub const RESTARTS: u32 = 3;

/// Pods of one workload that are asked what ails them.
pub const PODS: usize = 5_000;

/// Last lines of a crashed container's log.
pub const LOG_LINES: u32 = 3;

/// Characters of such a line that are shown.
pub const LOG_WIDTH: usize = 160;
