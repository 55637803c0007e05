//! Every refusal of the server and every trouble on the way has its class, its words and its way out.

use std::process::Output;

use kube::client::AuthError;
use serde_json::json;

use super::*;
use crate::client::testing::door;

/// A status as the server writes it.
fn status(reason: &str, code: u16, message: &str) -> Vec<u8> {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
           "reason": reason, "details": {"name": "a", "kind": "configmaps"}, "code": code})
    .to_string()
    .into_bytes()
}

fn refused(reason: &str, code: u16, message: &str) -> Failure {
    answered("apply ConfigMap shop/a", code, &status(reason, code, message)).failure
}

#[test]
fn every_reason_has_its_class() {
    let table = [
        ("Unauthorized", 401, Class::Credentials),
        ("Forbidden", 403, Class::Denied),
        ("NotFound", 404, Class::NotFound),
        ("AlreadyExists", 409, Class::Busy),
        ("Conflict", 409, Class::Busy),
        ("Gone", 410, Class::Transient),
        ("Expired", 410, Class::Transient),
        ("Invalid", 422, Class::Invalid),
        ("BadRequest", 400, Class::Invalid),
        ("MethodNotAllowed", 405, Class::Invalid),
        ("NotAcceptable", 406, Class::Invalid),
        ("RequestEntityTooLarge", 413, Class::Invalid),
        ("UnsupportedMediaType", 415, Class::Invalid),
        ("TooManyRequests", 429, Class::Throttled),
        ("ServerTimeout", 500, Class::Transient),
        ("InternalError", 500, Class::Transient),
        ("StorageReadError", 500, Class::Transient),
        ("ServiceUnavailable", 503, Class::Transient),
        ("Timeout", 504, Class::Transient),
        ("", 400, Class::Invalid),
        ("", 401, Class::Credentials),
        ("", 403, Class::Denied),
        ("", 404, Class::NotFound),
        ("", 409, Class::Busy),
        ("", 410, Class::Transient),
        ("", 429, Class::Throttled),
        ("", 500, Class::Transient),
        ("", 502, Class::Transient),
        ("SomethingNew", 418, Class::Invalid),
        ("SomethingNew", 507, Class::Transient),
    ];
    for (reason, code, class) in table {
        let failure = refused(reason, code, "x");
        assert_eq!(failure.class, class, "{reason} with HTTP status {code}");
        // A continue token that is too old is found by this code.
        let expected = if code == 410 { "Expired" } else { reason };
        assert_eq!(failure.code, expected);
        assert!(failure.says.starts_with("apply ConfigMap shop/a: x"), "{failure}");
    }
}

#[test]
fn a_quota_is_no_missing_permission() {
    let quota = "configmaps \"a\" is forbidden: exceeded quota: few, requested: count/configmaps=1, used: \
                 count/configmaps=2, limited: count/configmaps=2";
    assert_eq!(refused("Forbidden", 403, quota).class, Class::Quota);
    let denied = "configmaps is forbidden: User \"eve\" cannot list resource \"configmaps\" in API group \"\"";
    let denied = refused("Forbidden", 403, denied);
    assert_eq!(denied.class, Class::Denied);
    assert!(denied.says.ends_with("; a Role or ClusterRole that is bound to it must allow this"), "{denied}");
    let policy = "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no";
    assert!(refused("Forbidden", 403, policy).says.ends_with("denied request: no"), "no right is missing");
}

#[test]
fn a_namespace_on_its_way_out_is_waited_for() {
    let body = json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "configmaps \"a\" is forbidden: unable to create new content in namespace shop because it is being terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating", "message": "namespace shop is being terminated",
                                "field": "metadata.namespace"}]}});
    let refusal = answered("apply ConfigMap shop/a", 403, body.to_string().as_bytes());
    assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Busy, "NamespaceTerminating"));
    assert_eq!(refusal.causes[0].field, "metadata.namespace");
}

#[test]
fn a_validation_error_keeps_every_cause() {
    let body = json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422,
        "message": "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {}: field is immutable",
        "details": {"name": "web", "group": "apps", "kind": "Deployment", "causes": [
            {"reason": "FieldValueInvalid", "message": "Invalid value: {}: field is immutable", "field": "spec.selector"}]}});
    let refusal = answered("apply Deployment.apps shop/web", 422, body.to_string().as_bytes());
    assert_eq!(refusal.failure.class, Class::Invalid);
    let cause = &refusal.causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldValueInvalid", "spec.selector"));
}

#[test]
fn an_object_in_the_middle_of_a_message_does_not_hide_what_is_wrong_with_it() {
    let message = format!("Invalid value: {{\"metadata\":{{{}}}}}: field is immutable", "\"ä\":\"b\",".repeat(2_000));
    let body = json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422,
        "message": format!("Job.batch \"a\" is invalid: spec.template: {message}"),
        "details": {"name": "a", "group": "batch", "kind": "Job", "causes": [
            {"reason": "FieldValueInvalid", "message": message, "field": "spec.template"}]}});
    let refusal = answered("apply Job.batch shop/a", 422, body.to_string().as_bytes());
    for said in [&refusal.failure.says, &refusal.causes[0].message] {
        assert!(said.contains("Invalid value: ") && said.ends_with(": field is immutable"), "{said}");
        assert!(said.chars().count() < limits::WORDS + 60, "{}", said.chars().count());
    }
}

#[test]
fn a_body_that_does_not_fit_the_schema_is_not_tried_again() {
    let words = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.replica: field not \
                 declared in schema";
    assert_eq!(refused("", 500, words).class, Class::Invalid);
    let decoding = "failed to convert new object (shop/a; /v1, Kind=Secret) to proper version: unable to convert \
                    unstructured object to /v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 8";
    assert_eq!(refused("", 500, decoding).class, Class::Invalid);
    let webhook = "failed to convert new object (shop/a; x.example/v1, Kind=A) to proper version: conversion webhook for \
                   x.example/v1, Kind=A failed: Post \"https://10.0.0.9\": connection refused";
    let down = refused("", 500, webhook);
    assert_eq!(down.class, Class::Transient);
    assert!(down.says.contains("cannot be had in x.example/v1: see to the service behind it"), "{down}");
    assert_eq!(refused("InternalError", 500, words).class, Class::Transient, "only the error without a reason");
}

#[test]
fn a_cache_that_a_conversion_webhook_keeps_from_beginning_is_no_throttling() {
    let words = "storage is (re)initializing: failed to list x.example/v2, Kind=A: conversion webhook for x.example/v1, \
                 Kind=A failed: Post \"https://10.0.0.9\": connection refused";
    let failure = refused("TooManyRequests", 429, words);
    assert_eq!(failure.class, Class::Transient);
    assert!(failure.says.contains("mend `spec.conversion` of the definition"), "{failure}");
    // A server that has only just begun needs its time.
    assert_eq!(refused("TooManyRequests", 429, "storage is (re)initializing").class, Class::Throttled);
}

#[test]
fn a_value_of_the_wrong_type_is_not_quoted() {
    let words = "failed to create typed patch object (shop/a; /v1, Kind=Secret): .data.pin: expected string, got \
                 &value.valueUnstructured{Value:4711}";
    assert!(refused("", 500, words).says.ends_with(".data.pin: expected string"), "{}", refused("", 500, words));
}

#[test]
fn a_webhook_that_does_not_answer_is_named() {
    let words = "Internal error occurred: failed calling webhook \"pods.example.com\": failed to call webhook: Post \
                 \"https://hook.shop.svc:443/?timeout=10s\": dial tcp 10.0.0.9:443: connect: connection refused";
    let failure = refused("InternalError", 500, words);
    assert_eq!(failure.class, Class::Transient);
    assert!(failure.says.contains("until the webhook `pods.example.com` answers"), "{failure}");
    assert!(!refused("InternalError", 500, "etcdserver: request timed out").says.contains("webhook"));
}

#[test]
fn credentials_that_are_not_accepted_come_with_a_way_out() {
    assert!(refused("Unauthorized", 401, "Unauthorized").says.ends_with("sign in again, or name another context"));
}

#[test]
fn a_status_without_words_tells_its_number() {
    assert!(refused("", 503, "").says.ends_with("HTTP status 503 without a message"));
}

/// A page that says 404 may be a proxy's: taken for "not there" it would create or forget.
#[test]
fn only_the_api_server_itself_can_say_that_an_object_is_not_there() {
    for body in ["404 page not found\n", "", "<html>\n<title>Not Found</title>", "{}", r#"{"kind":"Status"}"#] {
        let failure = answered("get Pod shop/a", 404, body.as_bytes()).failure;
        assert_eq!((failure.class, failure.code.as_str()), (Class::Invalid, "NotServed"), "{body}");
    }
    // The server knows the group, and no such kind in it: it names nothing that is missing.
    let unnamed = br#"{"kind":"Status","status":"Failure","message":"the server could not find the requested resource",
        "reason":"NotFound","details":{},"code":404}"#;
    let failure = answered("list Thing", 404, unnamed).failure;
    assert_eq!((failure.class, failure.code.as_str()), (Class::Invalid, "NotServed"), "{failure}");
    assert!(failure.says.ends_with("mend apiVersion and kind, or install its definition"), "{failure}");

    let failure = answered("get Pod shop/a", 404, b"404 page not found\n").failure;
    assert!(failure.says.contains("does not serve this kind and version"), "{failure}");
    assert!(failure.says.ends_with("(HTTP status 404: 404 page not found)"), "{failure}");
}

#[test]
fn an_answer_of_somebody_else_is_sorted_by_its_status() {
    let table = [
        (301, Class::Invalid),
        (400, Class::Invalid),
        (401, Class::Credentials),
        (403, Class::Denied),
        (407, Class::Invalid),
        (408, Class::Transient),
        (409, Class::Busy),
        (429, Class::Throttled),
        (500, Class::Transient),
        (502, Class::Transient),
        (503, Class::Transient),
    ];
    for (status, class) in table {
        let failure = answered("get Pod shop/a", status, b"Bad Gateway").failure;
        assert_eq!(failure.class, class, "{status}");
        assert!(failure.says.contains(&status.to_string()), "{failure}");
    }
}

#[test]
fn words_are_one_line_of_bearable_length() {
    let long = "ä\n".repeat(limits::WORDS);
    let failure = refused("Invalid", 422, &long);
    assert!(failure.says.chars().count() < limits::WORDS + 100 && !failure.says.contains('\n'));
    assert!(failure.says.contains(" … "));
    answered("get Pod shop/a", 500, long.as_bytes());
    answered("get Pod shop/a", 500, &[0xff, 0xfe, 0x00]);
}

fn told(error: AuthError) -> Failure {
    let plugin = Plugin { command: "aws".into(), hint: Some("brew install awscli".into()) };
    let door = Door { plugin: Some(plugin), ..door() };
    lost("connect to prod", &door, &kube::Error::Auth(error))
}

#[test]
fn a_program_that_is_missing_is_named() {
    let failure = told(AuthError::AuthExecStart(io::ErrorKind::NotFound.into()));
    assert_eq!(failure.class, Class::Credentials);
    assert!(failure.says.contains("`aws`, and there is no such program here"), "{failure}");
    assert!(failure.says.contains("brew install awscli"), "{failure}");
    let failure = told(AuthError::AuthExecStart(io::ErrorKind::PermissionDenied.into()));
    assert!(failure.says.contains("does not start: permission denied"), "{failure}");
}

#[test]
fn a_program_that_fails_is_quoted_without_what_may_be_a_token() {
    use std::os::unix::process::ExitStatusExt;
    let out = Output {
        status: std::process::ExitStatus::from_raw(255 << 8),
        stdout: b"k8s-aws-v1.c2VjcmV0".to_vec(),
        stderr: b"\nThe SSO session has expired.\nRun aws sso login.\n".to_vec(),
    };
    let failure = told(AuthError::AuthExecRun { cmd: "SECRET=1 \"aws\"".into(), out: Box::new(out) });
    assert_eq!(failure.class, Class::Credentials);
    assert!(failure.says.contains("exit status: 255: The SSO session has expired. · Run aws sso login."), "{failure}");
    assert!(!failure.says.contains("k8s-aws") && !failure.says.contains("SECRET"), "{failure}");
}

#[test]
fn a_token_file_that_is_missing_is_named() {
    let failure = told(AuthError::ReadTokenFile(io::ErrorKind::NotFound.into(), "/run/token".into()));
    assert_eq!(failure.class, Class::Credentials);
    assert!(failure.says.contains("token file /run/token cannot be read"), "{failure}");
}

fn on_the_way(error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    lost("get Pod shop/a", &door(), &kube::Error::Service(error.into()))
}

#[test]
fn what_the_network_did_is_transient_and_tells_where() {
    for kind in [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::TimedOut,
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::Other,
    ] {
        let failure = on_the_way(io::Error::from(kind));
        assert_eq!(failure.class, Class::Transient, "{kind}");
        assert!(failure.says.starts_with("get Pod shop/a: no answer from https://10.0.0.1:6443 ("), "{failure}");
        assert!(!failure.says.contains("ServiceError"), "{failure}");
    }
}

#[test]
fn a_certificate_that_does_not_hold_is_no_network_trouble() {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    let table = [
        (InvalidCertificate(CertificateError::UnknownIssuer), Class::Invalid, "did not sign its certificate"),
        (InvalidCertificate(CertificateError::NotValidForName), Class::Invalid, "is for another name"),
        (InvalidCertificate(CertificateError::Expired), Class::Invalid, "clock"),
        (InvalidMessage(rustls::InvalidMessage::InvalidContentType), Class::Invalid, "does not speak TLS"),
        (AlertReceived(AlertDescription::CertificateRequired), Class::Credentials, "client certificate"),
        (AlertReceived(AlertDescription::UnknownCA), Class::Credentials, "client certificate"),
        (AlertReceived(AlertDescription::HandshakeFailure), Class::Invalid, "no secure connection"),
    ];
    for (error, class, words) in table {
        // As deep as hyper and tokio put it.
        let failure = on_the_way(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error)));
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.says.contains(words), "{failure} says not: {words}");
    }
}
