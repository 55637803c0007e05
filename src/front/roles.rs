//! The sessions of assumed roles. Nothing is kept: a session's token says all of it, and its key is made of the token.
//!
//! A session ends by the clock of its client, which every signature tells: the world's own time is another.

use data_encoding::BASE64URL_NOPAD;
use evenkeel_core::failure::Failure;
use evenkeel_sim::dice::fingerprint;
use jiff::Timestamp;

use crate::answer::Service;
use crate::sign::{Signed, refused};

/// `arn:aws:iam::123456789012:role/path/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    /// Twelve digits.
    pub(crate) account: String,
    /// Its path and name.
    path: String,
}

impl Role {
    /// `None`: no ARN of a role.
    pub(crate) fn parse(arn: &str) -> Option<Self> {
        let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
        let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let plain = !path.is_empty() && path.len() <= 512 && path.bytes().all(|b| b.is_ascii_graphic());
        (digits && plain).then(|| Self { account: account.to_owned(), path: path.to_owned() })
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Somebody in a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The role.
    pub(crate) role: Role,
    /// `RoleSessionName`.
    pub(crate) name: String,
    /// The first moment at which it is over.
    pub(crate) until: Timestamp,
}

impl Session {
    /// Whose session this signature is; `None` for long-term keys, which are all taken for the account's own.
    pub(crate) fn of(signed: &Signed, token: Option<&str>) -> Result<Option<Self>, Failure> {
        if !signed.key.starts_with("ASIA") && token.is_none() {
            return Ok(None);
        }
        let session = token.filter(|token| Self::key(token) == signed.key).and_then(Self::read);
        let Some(session) = session else {
            let code = match signed.service {
                Service::Ec2 => "AuthFailure",
                Service::Sts => "InvalidClientTokenId",
                Service::Ssm | Service::Quotas => "UnrecognizedClientException",
            };
            return refused(code, "The security token included in the request is invalid");
        };
        if signed.at < session.until {
            return Ok(Some(session));
        }
        let code = match signed.service {
            Service::Ec2 => "RequestExpired",
            Service::Sts => "ExpiredToken",
            Service::Ssm | Service::Quotas => "ExpiredTokenException",
        };
        refused(code, "The security token included in the request is expired")
    }

    /// Its token.
    pub(crate) fn token(&self) -> String {
        let Role { account, path } = &self.role;
        BASE64URL_NOPAD.encode(format!("{account} {path} {} {}", self.name, self.until.as_second()).as_bytes())
    }

    fn read(token: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64URL_NOPAD.decode(token.as_bytes()).ok()?).ok()?;
        let parts: Vec<&str> = text.split(' ').collect();
        let [account, path, name, until] = parts.as_slice() else { return None };
        let role = Role { account: (*account).to_owned(), path: (*path).to_owned() };
        let until = Timestamp::from_second(until.parse().ok()?).ok()?;
        Some(Self { role, name: (*name).to_owned(), until })
    }

    /// The access key's id that goes with a token.
    pub(crate) fn key(token: &str) -> String {
        format!("ASIA{:016X}", fingerprint(token))
    }

    /// `arn:aws:sts::123456789012:assumed-role/name/session`.
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:sts::{}:assumed-role/{}/{}", self.role.account, self.role.name(), self.name)
    }

    /// `AROA…:session`.
    pub(crate) fn user(&self) -> String {
        let Role { account, path } = &self.role;
        format!("AROA{:017X}:{}", fingerprint(&format!("{account}/{path}")), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(service: Service, key: &str, at: &str) -> Signed {
        Signed { service, region: "us-east-1".into(), key: key.into(), at: at.parse().unwrap() }
    }

    #[test]
    fn only_the_arn_of_a_role_is_one() {
        let role = Role::parse("arn:aws:iam::123456789012:role/teams/ops").unwrap();
        assert_eq!((role.account.as_str(), role.name()), ("123456789012", "ops"));
        for arn in [
            "ops",
            "arn:aws:iam::12345:role/ops",
            "arn:aws:iam::123456789012:user/ops",
            "arn:aws:iam::123456789012:role/",
        ] {
            assert_eq!(Role::parse(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_session_is_over_when_its_time_is_and_another_key_does_not_fit_its_token() {
        let role = Role::parse("arn:aws:iam::123456789012:role/teams/ops").unwrap();
        let session = Session { role, name: "ci".into(), until: "2026-01-05T13:00:00Z".parse().unwrap() };
        let (token, key) = (session.token(), Session::key(&session.token()));
        assert_eq!(session.arn(), "arn:aws:sts::123456789012:assumed-role/ops/ci");
        let (before, after) = ("2026-01-05T12:59:59Z", "2026-01-05T13:00:00Z");
        assert_eq!(Session::of(&signed(Service::Ec2, "AKIA", after), None), Ok(None));
        for (service, forged, over) in [
            (Service::Ec2, "AuthFailure", "RequestExpired"),
            (Service::Sts, "InvalidClientTokenId", "ExpiredToken"),
            (Service::Ssm, "UnrecognizedClientException", "ExpiredTokenException"),
        ] {
            let code = |key: &str, token: Option<&str>, at| {
                Session::of(&signed(service, key, at), token).map(|s| s == Some(session.clone())).map_err(|f| f.code)
            };
            assert_eq!(code(&key, Some(&token), before), Ok(true));
            assert_eq!(code(&key, Some(&token), after), Err(over.into()));
            assert_eq!(code(&key, None, before), Err(forged.into()));
            assert_eq!(code("ASIA1", Some(&token), before), Err(forged.into()));
            assert_eq!(code("AKIA", Some("x"), before), Err(forged.into()));
        }
    }
}
