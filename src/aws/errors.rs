//! The one place where an AWS error becomes a [`Failure`]: the SDK's error, with EC2's, SSM's or STS's code, is sorted
//! into a [`Class`] and told in words that keep the code, AWS's own message and the action's name.
//!
//! It refuses to read meaning out of messages: the code and the HTTP status decide, and a code nobody has sorted is
//! [`Class::Invalid`], which is never tried again.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use evenkeel_core::failure::{Class, Failure};

/// What a person does about missing credentials.
const WAY_OUT: &str = "sign in (`aws sso login`), or set AWS_PROFILE, or set AWS_ACCESS_KEY_ID and \
                       AWS_SECRET_ACCESS_KEY, or give this machine an instance profile";

/// How deep a chain of causes is followed; the SDK's are about six long.
const DEEPEST: usize = 32;

/// Sorts one failed call. `action` is AWS's name of it, `RunInstances` for example.
pub(crate) fn failure<E>(action: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let meta = context.err().meta();
            let code = meta.code().unwrap_or_default();
            let message = match meta.message().map(str::trim) {
                Some(message) if !message.is_empty() => message.to_owned(),
                Some(_) | None => format!("HTTP status {status} without a message"),
            };
            answered(action, code, &message, Some(status))
        }
        SdkError::TimeoutError(_) => Failure::new(
            Class::Transient,
            "",
            format!("{action}: no answer in time; whether it took effect is not known ({})", causes(error)),
        ),
        SdkError::ResponseError(context) => {
            let status = context.raw().status().as_u16();
            let words = format!("{action}: the answer (HTTP status {status}) makes no sense: {}", causes(error));
            Failure::new(unreadable(status), "", words)
        }
        SdkError::DispatchFailure(context) => {
            if let Some(refused) = credentials(action, error) {
                return refused;
            }
            // A request that is shown in the words was refused before it was sent.
            let unsent = chain(error).iter().any(|cause| shows_request(*cause));
            let class = if context.is_user() || unsent { Class::Invalid } else { Class::Transient };
            Failure::new(class, "", format!("{action}: the request did not get through: {}", causes(error)))
        }
        // The SDK refused to build the request, so nothing was sent and trying again cannot help.
        _ => credentials(action, error)
            .unwrap_or_else(|| Failure::new(Class::Invalid, "", format!("{action}: {}", causes(error)))),
    }
}

/// A failure that AWS itself answered.
fn answered(action: &str, code: &str, message: &str, status: Option<u16>) -> Failure {
    let class = class_of(code, status);
    let mut says = format!("{action}: {message}");
    if class == Class::Credentials {
        says.push_str("; ");
        says.push_str(if about_time(code) { "is this machine's clock right? Else " } else { "" });
        says.push_str(WAY_OUT);
    }
    Failure::new(class, code, says)
}

/// A signature is dated: with a clock that is minutes off, AWS says that it has expired or does not match.
fn about_time(code: &str) -> bool {
    matches!(code, "RequestExpired" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch" | "InvalidSignatureException")
}

/// A member that AWS always sends and this answer lacks, or a value nobody knows.
pub(crate) fn misread(action: &str, what: &str) -> Failure {
    Failure::new(Class::Invalid, "", format!("{action}: the answer makes no sense: {what}"))
}

/// Sorts a code. `status` is the HTTP status, which decides only where the code is empty or unknown.
pub(crate) fn class_of(code: &str, status: Option<u16>) -> Class {
    // Some older answers say whose fault it is in front of the code.
    let code = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
    match code {
        "RequestLimitExceeded" | "EC2ThrottledException" | "TooManyRequestsException" | "SlowDown"
        | "RequestThrottled" | "RequestThrottledException" | "BandwidthLimitExceeded" | "PriorRequestNotComplete"
        | "ThrottledException" => Class::Throttled,
        _ if code.starts_with("Throttling") => Class::Throttled,

        "InsufficientInstanceCapacity"
        | "InsufficientCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientCapacityOnHost"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientVolumeCapacity"
        | "InsufficientFreeAddressesInSubnet"
        | "ReservationCapacityExceeded"
        | "SpotMaxPriceTooLow"
        | "UnfulfillableCapacity"
        | "VolumeTypeNotAvailableInZone"
        // This type is not to be had in this zone: another type or zone may do, as with capacity.
        | "Unsupported" => Class::Capacity,

        // Limits of the request itself, which no increase of the account's limits cures.
        "TagLimitExceeded" | "FilterLimitExceeded" | "AttachmentLimitExceeded" => Class::Invalid,
        "MaxSpotInstanceCountExceeded" | "MaxSpotFleetRequestCountExceeded" | "ResourceCountExceeded" => Class::Quota,
        _ if code.ends_with("LimitExceeded") => Class::Quota,

        "UnauthorizedOperation" | "OptInRequired" | "Blocked" | "PendingVerification" => Class::Denied,
        _ if code.starts_with("AccessDenied") => Class::Denied,

        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "UnrecognizedClientException" => Class::Credentials,

        "ParameterNotFound" | "NoSuchResourceException" | "ParameterVersionNotFound" | "InvalidPlacementGroup.Unknown" => Class::NotFound,
        _ if code.ends_with(".NotFound") => Class::NotFound,

        "IncorrectState"
        | "IncorrectInstanceState"
        | "IncorrectModificationState"
        | "InvalidState"
        | "InvalidInstanceState"
        | "VolumeInUse"
        | "DependencyViolation"
        | "ResourceInUse"
        | "ConcurrentTagAccess"
        // A volume changed less than six hours ago.
        | "VolumeModificationRateExceeded" => Class::Busy,

        "OperationNotPermitted" => Class::Protected,
        "IdempotentParameterMismatch" => Class::TokenMismatch,
        "IdempotentInstanceTerminated" => Class::TokenSpent,

        "InternalError" | "InternalFailure" | "InternalServerError" | "ServiceUnavailable"
        | "ServiceUnavailableException" | "Unavailable" | "RequestTimeout" | "RequestTimeoutException" => {
            Class::Transient
        }
        "" => match status {
            Some(429) => Class::Throttled,
            Some(401 | 403) => Class::Denied,
            Some(408 | 500..) => Class::Transient,
            Some(_) | None => Class::Invalid,
        },
        _ => match status {
            Some(429) => Class::Throttled,
            Some(500..) => Class::Transient,
            Some(_) | None => Class::Invalid,
        },
    }
}

/// An answer that could not be read: a server's trouble, or cut off after the effect. Not known, so safe to repeat;
/// except where the status says that this is no EC2 at all.
fn unreadable(status: u16) -> Class {
    match status {
        429 => Class::Throttled,
        401 | 403 => Class::Denied,
        400..=499 => Class::Invalid,
        _ => Class::Transient,
    }
}

/// The failure of finding credentials, if that is what went wrong.
fn credentials(action: &str, error: &(dyn Error + 'static)) -> Option<Failure> {
    let chain = chain(error);
    let at = chain.iter().position(|cause| {
        cause.is::<CredentialsError>()
            // The SDK's credential cache says this with a private type.
            || cause.to_string().starts_with("identity resolver timed out")
    })?;
    // Credentials that come over the network (STS, SSO) fail like anything on the network. That a metadata service
    // nobody has cannot be reached is no such failure: the chain calls it "not loaded".
    let later = match chain[at].downcast_ref::<CredentialsError>() {
        Some(CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_)) => false,
        Some(CredentialsError::ProviderTimedOut(_)) => true,
        Some(_) => chain[at..].iter().any(|cause| {
            cause.downcast_ref::<ConnectorError>().is_some_and(|inner| inner.is_io() || inner.is_timeout())
        }),
        None => false,
    };
    if later {
        let words = format!("{action}: credentials could not be fetched: {}", said(&chain[at..]));
        return Some(Failure::new(Class::Transient, "", words));
    }
    // What stands before it in the chain is the SDK's frame ("dispatch failure").
    let words = format!("{action}: no usable AWS credentials ({}); {WAY_OUT}", said(&chain[at..]));
    Some(Failure::new(Class::Credentials, "", words))
}

/// The words of an error and its causes, outermost first, repetitions left out.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    said(&chain(error))
}

/// Words that hold the whole request, its user data included, which must be nowhere on a screen or in a log.
fn shows_request(cause: &(dyn Error + 'static)) -> bool {
    cause.to_string().contains("SdkBody")
}

/// The error itself and what caused it, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next.filter(|_| chain.len() < DEEPEST) {
        chain.push(cause);
        next = cause.source();
    }
    chain
}

fn said(chain: &[&(dyn Error + 'static)]) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in chain {
        if shows_request(*cause) {
            continue;
        }
        // Some causes are lists with a line each.
        let next = cause.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" · ");
        // Many errors print their cause already; said twice it is noise.
        if !next.is_empty() && !words.last().is_some_and(|last| last.contains(&next)) {
            words.push(next);
        }
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::error::ErrorMetadata;
    use aws_sdk_ec2::operation::run_instances::RunInstancesError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    fn response(status: u16) -> HttpResponse {
        HttpResponse::new(StatusCode::try_from(status).expect("a status of the table"), SdkBody::empty())
    }

    fn refused(code: &str, message: &str, status: u16) -> SdkError<RunInstancesError, HttpResponse> {
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        SdkError::service_error(RunInstancesError::generic(meta), response(status))
    }

    #[test]
    fn every_code_has_its_class() {
        let table = [
            ("RequestLimitExceeded", 503, Class::Throttled),
            ("Throttling", 400, Class::Throttled),
            ("ThrottlingException", 400, Class::Throttled),
            ("EC2ThrottledException", 400, Class::Throttled),
            ("TooManyRequestsException", 429, Class::Throttled),
            ("InternalError", 500, Class::Transient),
            ("InternalServerError", 500, Class::Transient),
            ("ServiceUnavailable", 503, Class::Transient),
            ("Unavailable", 503, Class::Transient),
            ("SomethingNew", 500, Class::Transient),
            ("InsufficientInstanceCapacity", 500, Class::Capacity),
            ("Server.InsufficientInstanceCapacity", 500, Class::Capacity),
            ("InsufficientHostCapacity", 500, Class::Capacity),
            ("InsufficientVolumeCapacity", 500, Class::Capacity),
            ("InsufficientFreeAddressesInSubnet", 400, Class::Capacity),
            ("SpotMaxPriceTooLow", 400, Class::Capacity),
            ("Unsupported", 400, Class::Capacity),
            ("VcpuLimitExceeded", 400, Class::Quota),
            ("InstanceLimitExceeded", 400, Class::Quota),
            ("VolumeLimitExceeded", 400, Class::Quota),
            ("MaxIOPSLimitExceeded", 400, Class::Quota),
            ("MaxSpotInstanceCountExceeded", 400, Class::Quota),
            ("ResourceLimitExceeded", 400, Class::Quota),
            ("TagLimitExceeded", 400, Class::Invalid),
            ("UnauthorizedOperation", 403, Class::Denied),
            ("Client.UnauthorizedOperation", 403, Class::Denied),
            ("AccessDenied", 403, Class::Denied),
            ("AccessDeniedException", 400, Class::Denied),
            ("OptInRequired", 403, Class::Denied),
            ("AuthFailure", 401, Class::Credentials),
            ("ExpiredToken", 400, Class::Credentials),
            ("ExpiredTokenException", 400, Class::Credentials),
            ("RequestExpired", 400, Class::Credentials),
            ("InvalidClientTokenId", 403, Class::Credentials),
            ("UnrecognizedClientException", 400, Class::Credentials),
            ("SignatureDoesNotMatch", 403, Class::Credentials),
            ("InvalidInstanceID.NotFound", 400, Class::NotFound),
            ("InvalidVolume.NotFound", 400, Class::NotFound),
            ("InvalidAMIID.NotFound", 400, Class::NotFound),
            ("ParameterNotFound", 400, Class::NotFound),
            ("IncorrectState", 400, Class::Busy),
            ("IncorrectInstanceState", 400, Class::Busy),
            ("IncorrectModificationState", 400, Class::Busy),
            ("VolumeInUse", 400, Class::Busy),
            ("DependencyViolation", 400, Class::Busy),
            ("VolumeModificationRateExceeded", 400, Class::Busy),
            ("OperationNotPermitted", 400, Class::Protected),
            ("IdempotentParameterMismatch", 400, Class::TokenMismatch),
            ("IdempotentInstanceTerminated", 400, Class::TokenSpent),
            ("InvalidParameterValue", 400, Class::Invalid),
            ("InvalidInstanceID.Malformed", 400, Class::Invalid),
            ("InvalidVolume.ZoneMismatch", 400, Class::Invalid),
            ("MissingParameter", 400, Class::Invalid),
            ("UnsupportedOperation", 400, Class::Invalid),
            ("SomethingNew", 400, Class::Invalid),
            ("", 404, Class::Invalid),
            ("", 403, Class::Denied),
            ("", 429, Class::Throttled),
            ("", 503, Class::Transient),
        ];
        for (code, status, class) in table {
            assert_eq!(class_of(code, Some(status)), class, "{code} with HTTP status {status}");
            assert_eq!(failure("RunInstances", &refused(code, "x", status)).class, class, "{code} through the SDK");
        }
    }

    #[test]
    fn a_refusal_keeps_code_message_and_action() {
        let refusal = failure("RunInstances", &refused("UnauthorizedOperation", "You are not authorized.", 403));
        assert_eq!(refusal.to_string(), "UnauthorizedOperation: RunInstances: You are not authorized.");
    }

    #[test]
    fn a_refusal_without_words_tells_its_status() {
        let refusal = failure("RunInstances", &refused("", "", 502));
        assert_eq!(refusal.to_string(), "RunInstances: HTTP status 502 without a message");
    }

    #[test]
    fn expired_credentials_come_with_a_way_out() {
        let refusal = failure("DescribeVolumes", &refused("RequestExpired", "Request has expired.", 400));
        assert!(refusal.says.contains("clock") && refusal.says.contains("aws sso login"), "{refusal}");
        let refusal = failure("DescribeVolumes", &refused("ExpiredToken", "The token has expired.", 400));
        assert!(!refusal.says.contains("clock") && refusal.says.contains("aws sso login"), "{refusal}");
    }

    #[test]
    fn missing_credentials_come_with_a_way_out() {
        let source = CredentialsError::not_loaded("no providers in chain provided credentials");
        let error: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::other(source.into(), None));
        let refusal = failure("RunInstances", &error);
        assert_eq!(refusal.class, Class::Credentials);
        assert!(refusal.says.starts_with("RunInstances: no usable AWS credentials"), "{refusal}");
        assert!(refusal.says.contains("no providers in chain"), "{refusal}");
        assert!(refusal.says.contains("AWS_PROFILE"), "{refusal}");
    }

    #[test]
    fn credentials_that_the_network_kept_away_may_come_later() {
        let sts: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::io("connection refused".into()));
        let source = CredentialsError::provider_error(sts);
        let error: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::other(source.into(), None));
        assert_eq!(failure("RunInstances", &error).class, Class::Transient);
    }

    #[test]
    fn a_metadata_service_that_nobody_has_is_missing_credentials() {
        let imds: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::io("no route to host".into()));
        let source = CredentialsError::not_loaded(imds);
        let error: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::other(source.into(), None));
        assert_eq!(failure("RunInstances", &error).class, Class::Credentials);
    }

    #[test]
    fn what_the_network_did_is_transient_and_tells_why() {
        let lost: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::io("connection reset by peer".into()));
        let refusal = failure("RunInstances", &lost);
        assert_eq!(refusal.class, Class::Transient);
        assert!(refusal.says.contains("connection reset by peer"), "{refusal}");

        let slow: SdkError<RunInstancesError, HttpResponse> = SdkError::timeout_error("30 s have passed");
        let refusal = failure("RunInstances", &slow);
        assert_eq!(refusal.class, Class::Transient);
        assert!(refusal.says.contains("not known"), "{refusal}");
    }

    #[test]
    fn the_request_itself_is_never_in_the_words() {
        let source = "failed to apply endpoint to request `Request { body: SdkBody { user data } }`";
        let error: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::other(source.into(), None));
        let refusal = failure("RunInstances", &error);
        assert_eq!(refusal.class, Class::Invalid);
        assert!(!refusal.says.contains("user data"), "{refusal}");
    }

    #[test]
    fn words_stay_on_one_line() {
        let lost: SdkError<RunInstancesError, HttpResponse> =
            SdkError::dispatch_failure(ConnectorError::io("attempted:\n  a: no\n  b: no".into()));
        assert!(failure("RunInstances", &lost).says.ends_with("attempted: · a: no · b: no"), "{lost:?}");
    }

    #[test]
    fn an_answer_that_is_no_xml_is_sorted_by_its_status() {
        for (status, class) in [(200, Class::Transient), (500, Class::Transient), (404, Class::Invalid)] {
            let error: SdkError<RunInstancesError, HttpResponse> =
                SdkError::response_error("unexpected token", response(status));
            assert_eq!(failure("RunInstances", &error).class, class, "{status}");
        }
    }

    #[test]
    fn a_request_the_sdk_would_not_build_is_invalid() {
        let error: SdkError<RunInstancesError, HttpResponse> =
            SdkError::construction_failure("a required field is missing");
        let refusal = failure("RunInstances", &error);
        assert_eq!(refusal.class, Class::Invalid);
        assert!(refusal.says.contains("a required field is missing"), "{refusal}");
    }
}
