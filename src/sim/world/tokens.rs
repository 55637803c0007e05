//! Client tokens: the same request twice happens once.
//!
//! Scope and answers as AWS has them: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>.
//! A request that names its zone, or its subnet and so its zone, counts once a zone; else once a region.

use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::VolumeState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::World;
use crate::refusal::bad_value;

/// What a client token was used for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Token {
    /// Digest of all parameters of that request.
    pub request: Digest,
    /// What the request made.
    pub made: Vec<String>,
    /// Since when all of it is dead. EC2 remembers a token for at least 24 hours after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Timestamp>,
}

impl Token {
    /// Whether EC2 has forgotten it at `now`.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.spent.is_some_and(|at| now.duration_since(at).as_hours() >= 24)
    }
}

impl World {
    /// What this token made before, if it was used for this same request; `None` for a fresh token, and for none.
    pub(super) fn token_made(&self, scope: Option<&str>, request: &Digest) -> Result<Option<Vec<String>>, Failure> {
        let Some(known) = scope.and_then(|scope| self.tokens.get(scope)) else { return Ok(None) };
        if known.request != *request {
            return Err(Failure::new(
                Class::TokenMismatch,
                "IdempotentParameterMismatch",
                "The client token was used before, with other parameters.",
            ));
        }
        Ok(Some(known.made.clone()))
    }

    /// Remembers what a token made.
    pub(super) fn token_used(&mut self, scope: Option<String>, request: Digest, made: Vec<String>) {
        if let Some(scope) = scope {
            self.tokens.insert(scope, Token { request, made, spent: None });
        }
    }

    /// Marks the tokens of which nothing lives any more.
    pub(crate) fn spend_tokens(&mut self) {
        let (instances, volumes, now) = (&self.instances, &self.volumes, self.now);
        for token in self.tokens.values_mut().filter(|t| t.spent.is_none()) {
            let lives = |id: &String| {
                instances.get(id).is_some_and(|m| !m.is_dead())
                    || volumes.get(id).is_some_and(|v| v.state != VolumeState::Deleting)
            };
            if !token.made.iter().any(lives) {
                token.spent = Some(now);
            }
        }
    }
}

/// The key under which a token is kept: its scope and itself. `None` for no token, with which nothing is remembered.
pub(super) fn scope(token: &str, zone: Option<&str>) -> Result<Option<String>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    if token.len() > 64 || !token.is_ascii() {
        return bad_value(format!("Value ({token}) for parameter clientToken is invalid: 1 to 64 ASCII characters."));
    }
    Ok(Some(format!("{} {token}", zone.unwrap_or("region"))))
}

/// evenkeel never creates without a token; EC2 itself would.
pub(super) fn needed(token: &str) -> Result<(), Failure> {
    if token.is_empty() {
        return bad_value("Value () for parameter clientToken is invalid: 1 to 64 ASCII characters.");
    }
    Ok(())
}
