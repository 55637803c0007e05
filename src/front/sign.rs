//! The form of a signature (version 4). Whether it fits a secret is not asked: there is none.

use evenkeel_core::failure::{Class, Failure};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::answer::Service;

/// Who is asked, according to the credential's scope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The service.
    pub(crate) service: Service,
    /// The region.
    pub(crate) region: String,
    /// The access key's id.
    pub(crate) key: String,
    /// When the client signed it, by its own clock.
    pub(crate) at: Timestamp,
}

/// What refuses a request before it is read.
pub(crate) fn refused<T>(code: &str, says: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Class::Credentials, code, says))
}

/// Reads `Authorization` and `X-Amz-Date`.
pub(crate) fn read(authorization: Option<&str>, date: Option<&str>) -> Result<Signed, Failure> {
    let Some(text) = authorization.filter(|text| !text.trim().is_empty()) else {
        return refused("MissingAuthenticationToken", "Request is missing Authentication Token");
    };
    let malformed = |what: &str| {
        let says = format!("AWS was not able to validate the provided access credentials: {what}");
        refused("AuthFailure", says)
    };
    let Some(rest) = text.strip_prefix("AWS4-HMAC-SHA256") else {
        return malformed("the algorithm is not AWS4-HMAC-SHA256");
    };
    let part = |name: &str| {
        let mut parts = rest.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let Some(credential) = part("Credential") else { return malformed("there is no Credential") };
    let scope: Vec<&str> = credential.split('/').collect();
    let [key, day, region, service, "aws4_request"] = scope.as_slice() else {
        return malformed("the Credential is not KEY/DATE/REGION/SERVICE/aws4_request");
    };
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if key.is_empty() || region.is_empty() || !digits(day, 8) {
        return malformed("the Credential is not KEY/DATE/REGION/SERVICE/aws4_request");
    }
    if !part("SignedHeaders").is_some_and(|names| names.split(';').any(|name| name == "host")) {
        return malformed("SignedHeaders has no host");
    }
    if !part("Signature").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
        return malformed("the Signature is not 64 hexadecimal digits");
    }
    let Some(at) = date.filter(|date| date.starts_with(day)).and_then(moment) else {
        return malformed("X-Amz-Date is missing, or not of the Credential's day");
    };
    let service = match *service {
        "ec2" => Service::Ec2,
        "sts" => Service::Sts,
        "ssm" => Service::Ssm,
        "servicequotas" => Service::Quotas,
        _ => return malformed("only ec2, servicequotas, ssm and sts are served here"),
    };
    Ok(Signed { service, region: (*region).to_owned(), key: (*key).to_owned(), at })
}

/// `20260105T120000Z`
fn moment(text: &str) -> Option<Timestamp> {
    let there = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok().filter(|_| text.len() == 16)?;
    TimeZone::UTC.to_timestamp(there).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKIA/20260105/us-east-1/ec2/aws4_request, \
                        SignedHeaders=content-type;host;x-amz-date, \
                        Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const DATE: Option<&str> = Some("20260105T120000Z");

    #[test]
    fn a_signature_of_good_form_names_service_and_region() {
        let at = "2026-01-05T12:00:00Z".parse().unwrap();
        let signed = Signed { service: Service::Ec2, region: "us-east-1".into(), key: "AKIA".into(), at };
        assert_eq!(read(Some(GOOD), DATE), Ok(signed));
        assert_eq!(read(Some(&GOOD.replace(", ", ",")), DATE).map(|s| s.service), Ok(Service::Ec2), "spaces or none");
    }

    #[test]
    fn a_missing_or_malformed_signature_is_refused() {
        assert_eq!(read(None, DATE).unwrap_err().code, "MissingAuthenticationToken");
        assert_eq!(read(Some(" "), DATE).unwrap_err().code, "MissingAuthenticationToken");
        for (old, new) in [
            ("AWS4-HMAC-SHA256", "Basic"),
            ("Credential", "Credentials"),
            ("AKIA/", "/"),
            ("20260105", "today"),
            ("/aws4_request", ""),
            ("/ec2/", "/s3/"),
            (";host", ""),
            ("0123", "xyz"),
            ("Signature=", "Signature=0"),
        ] {
            let text = GOOD.replace(old, new);
            assert_eq!(read(Some(&text), DATE).map_err(|f| f.code), Err("AuthFailure".into()), "{old} → {new}");
        }
        for date in [None, Some("20260106T120000Z"), Some("20260105"), Some("20260105T256000Z"), Some("")] {
            assert_eq!(read(Some(GOOD), date).map_err(|f| f.code), Err("AuthFailure".into()), "{date:?}");
        }
    }
}
