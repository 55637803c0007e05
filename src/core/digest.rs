//! Short names for long contents: SHA-256 for what is public, HMAC-SHA-256 for what may hold a secret.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A content's name: lower-case base32 of SHA-256 or HMAC-SHA-256, 52 characters, or a prefix of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(BASE32_NOPAD.encode(&Sha256::digest(bytes)).to_lowercase())
    }

    /// The digest of a value's canonical JSON (sorted keys, no spaces).
    pub fn of_json<T: Serialize>(value: &T) -> Self {
        Self::of(canonical(value).as_bytes())
    }

    /// The digest of `bytes` under `key`: for contents that may be secret and guessable.
    pub fn keyed(key: &[u8], bytes: &[u8]) -> Self {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(bytes);
        Self(BASE32_NOPAD.encode(&mac.finalize().into_bytes()).to_lowercase())
    }

    /// Its first `n` characters; five bits each.
    pub fn prefix(&self, n: usize) -> &str {
        &self.0[..n.min(self.0.len())]
    }
}

/// Canonical JSON: objects with sorted keys, no spaces. The form that is hashed and saved.
pub fn canonical<T: Serialize>(value: &T) -> String {
    // serde_json's map is a BTreeMap (its `preserve_order` feature is off), so going through a value sorts keys.
    let value = serde_json::to_value(value).expect("our types have string keys and no failing serializers");
    value.to_string()
}
