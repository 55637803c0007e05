//! Every limit of the front, in one place.

use std::time::Duration;

/// A request's body in bytes. EC2's largest here is a launch: user data of 16 KiB in base64, and tags.
pub(crate) const BODY: usize = 1 << 20;

/// Parameters of one request: 1,000 ids, or 200 filter values, or 50 tags on two kinds, with room.
pub(crate) const PARAMETERS: usize = 4096;

/// How long a client may take to send a request's head.
pub(crate) const HEAD: Duration = Duration::from_secs(30);
