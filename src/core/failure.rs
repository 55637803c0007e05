//! What went wrong when the world was asked for something, sorted by what can be done about it.
//!
//! A [`Failure`] is a value, not a panic: the provider sorts, the engine decides about trying again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What sort of failure it is. The sort alone decides whether the engine tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Too many calls (`RequestLimitExceeded`): slow down and try again.
    Throttled,
    /// The server or the network failed; whether the call took effect is **not known**. Safe to repeat: every
    /// call carries a token or is idempotent.
    Transient,
    /// No room for this type in this zone now (`InsufficientInstanceCapacity`): another type or zone may do.
    Capacity,
    /// The account's limit is reached (`VcpuLimitExceeded`, `InstanceLimitExceeded`, `VolumeLimitExceeded`).
    Quota,
    /// The credentials may not do this (`UnauthorizedOperation`, `AccessDenied`).
    Denied,
    /// There are no credentials, or they have expired, or they are another account's.
    Credentials,
    /// The thing does not exist (any more, or not yet visible): `InvalidInstanceID.NotFound`.
    NotFound,
    /// The thing is in a state that does not allow this now (`IncorrectState`, `VolumeInUse`): wait and look again.
    Busy,
    /// The thing is protected from this (`OperationNotPermitted` with termination protection).
    Protected,
    /// The client token was used with other parameters (`IdempotentParameterMismatch`): somebody else launched.
    TokenMismatch,
    /// The client token belongs to something dead (`IdempotentInstanceTerminated`): take the next generation.
    TokenSpent,
    /// The request itself is wrong; trying again cannot help.
    Invalid,
}

impl Class {
    /// Whether the call surely had no effect.
    pub fn is_refusal(self) -> bool {
        match self {
            // It may have had one; what does not exist may have gone by an earlier call.
            Self::Transient | Self::NotFound | Self::TokenSpent => false,
            Self::Throttled
            | Self::Capacity
            | Self::Quota
            | Self::Denied
            | Self::Credentials
            | Self::Busy
            | Self::Protected
            | Self::TokenMismatch
            | Self::Invalid => true,
        }
    }
}

/// One failed call, in words a person can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What can be done about it.
    pub class: Class,
    /// The provider's own code, `UnauthorizedOperation` for example; empty where there is none.
    pub code: String,
    /// The provider's own words, with the call's name. May hold hostile characters: the presenter escapes them.
    pub says: String,
}

impl Failure {
    /// A failure of this class with these words.
    pub fn new(class: Class, code: impl Into<String>, says: impl Into<String>) -> Self {
        Self { class, code: code.into(), says: says.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() { f.write_str(&self.says) } else { write!(f, "{}: {}", self.code, self.says) }
    }
}

impl std::error::Error for Failure {}
