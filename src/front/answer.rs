//! Answers: a status and a body, in the form of the service that was asked; refusals with EC2's codes and statuses.

use evenkeel_core::failure::Failure;
use serde_json::json;

use crate::xml::Xml;

/// Which service's protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// The query protocol with EC2's own XML.
    Ec2,
    /// The query protocol.
    Sts,
    /// JSON 1.1.
    Ssm,
    /// JSON 1.1.
    Quotas,
}

/// An answer to one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// `Content-Type`.
    pub(crate) kind: &'static str,
    /// The body.
    pub(crate) body: String,
}

const XML: &str = "text/xml;charset=UTF-8";
const JSON: &str = "application/x-amz-json-1.1";
pub(crate) const EC2_NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
pub(crate) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

impl Answer {
    /// What was asked for.
    pub(crate) fn fine(service: Service, body: String) -> Self {
        let kind = match service {
            Service::Ec2 | Service::Sts => XML,
            Service::Ssm | Service::Quotas => JSON,
        };
        Self { status: 200, kind, body }
    }

    /// A refusal. `None`: the world says that no answer comes, so the connection is cut.
    pub(crate) fn refusal(service: Service, action: &str, failure: &Failure, request: &str) -> Option<Self> {
        if failure.code.is_empty() {
            return None;
        }
        // The sim says it in EC2's word; the others have their own.
        let code = match (service, failure.code.as_str()) {
            (Service::Sts, "UnauthorizedOperation") => "AccessDenied",
            (Service::Ssm | Service::Quotas, "UnauthorizedOperation") => "AccessDeniedException",
            (Service::Ec2 | Service::Sts | Service::Ssm | Service::Quotas, code) => code,
        };
        let status = status(code);
        // The sim's failures begin with the call's name, for who reads them without a client between.
        let prefix = format!("{action}: ");
        let says = failure.says.strip_prefix(&prefix).unwrap_or(&failure.says);
        let side = if status < 500 { "Sender" } else { "Receiver" };
        let body = match service {
            Service::Ec2 => Xml::document("Response", "", |x| {
                x.element("Errors", |x| {
                    x.element("Error", |x| {
                        x.text("Code", code);
                        x.text("Message", says);
                    });
                });
                x.text("RequestID", request);
            }),
            Service::Sts => Xml::document("ErrorResponse", STS_NAMESPACE, |x| {
                x.element("Error", |x| {
                    x.text("Type", side);
                    x.text("Code", code);
                    x.text("Message", says);
                });
                x.text("RequestId", request);
            }),
            Service::Ssm | Service::Quotas => json!({ "__type": code, "message": says }).to_string(),
        };
        Some(Self { status, ..Self::fine(service, body) })
    }
}

/// The HTTP status that goes with a code:
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-error-codes.html>
fn status(code: &str) -> u16 {
    match code {
        "AuthFailure" => 401,
        "UnauthorizedOperation"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "SignatureDoesNotMatch"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "AccessDenied" => 403,
        "DryRunOperation" => 412,
        "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => 503,
        "InternalError" | "WorldFile" => 500,
        // Server errors, by AWS's own list.
        _ if code.starts_with("Insufficient") => 500,
        _ => 400,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::failure::Class;

    #[test]
    fn a_refusal_has_the_form_of_its_service() {
        let failure = Failure::new(Class::Throttled, "RequestLimitExceeded", "RunInstances: Request limit <exceeded>.");
        let of = |service| Answer::refusal(service, "RunInstances", &failure, "r1").unwrap();
        let ec2 = of(Service::Ec2);
        assert_eq!(ec2.status, 503);
        assert!(ec2.body.ends_with(
            "<Response><Errors><Error><Code>RequestLimitExceeded</Code>\
             <Message>Request limit &lt;exceeded&gt;.</Message></Error></Errors><RequestID>r1</RequestID></Response>"
        ));
        assert!(of(Service::Sts).body.contains("<Type>Receiver</Type><Code>RequestLimitExceeded</Code>"));
        assert_eq!(of(Service::Ssm).body, r#"{"__type":"RequestLimitExceeded","message":"Request limit <exceeded>."}"#);
    }

    #[test]
    fn who_may_not_is_told_so_in_the_word_of_the_service() {
        let failure = Failure::new(Class::Denied, "UnauthorizedOperation", "You are not authorized.");
        for (service, status, code) in [
            (Service::Ec2, 403, "UnauthorizedOperation"),
            (Service::Sts, 403, "AccessDenied"),
            (Service::Ssm, 400, "AccessDeniedException"),
            (Service::Quotas, 400, "AccessDeniedException"),
        ] {
            let answer = Answer::refusal(service, "", &failure, "r1").unwrap();
            assert!(answer.status == status && answer.body.contains(code), "{answer:?}");
        }
    }

    #[test]
    fn a_broken_connection_has_no_answer() {
        let failure = Failure::new(Class::Transient, "", "the connection was closed before the answer came");
        assert_eq!(Answer::refusal(Service::Ec2, "RunInstances", &failure, "r1"), None);
    }

    #[test]
    fn codes_have_the_statuses_that_aws_gives_them() {
        for (code, wanted) in [
            ("InvalidInstanceID.NotFound", 400),
            ("IdempotentParameterMismatch", 400),
            ("VcpuLimitExceeded", 400),
            ("UnauthorizedOperation", 403),
            ("DryRunOperation", 412),
            ("InsufficientInstanceCapacity", 500),
            ("RequestLimitExceeded", 503),
        ] {
            assert_eq!(status(code), wanted, "{code}");
        }
    }
}
