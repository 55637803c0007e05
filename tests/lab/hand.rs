//! AWS's query protocol by hand: for what happens behind evenkeel's back, so that its own client is not its own witness.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Write};
use std::net::TcpStream;

/// One call of `ec2`, `iam` …: a form-encoded body with `Action`, `Version` and the parameters. The answer's body.
pub fn fine(url: &str, service: &str, body: &str) -> String {
    let (status, answer) = post(url, "/", "application/x-www-form-urlencoded", service, body);
    assert_eq!(status, 200, "{body}: {answer}");
    answer
}

/// The same, refused or not: HTTP status and body.
pub fn call(url: &str, service: &str, body: &str) -> (u16, String) {
    post(url, "/", "application/x-www-form-urlencoded", service, body)
}

/// The service is read out of the credential's scope; the signature is one by its form only.
pub fn post(url: &str, path: &str, kind: &str, service: &str, body: &str) -> (u16, String) {
    let scope = format!("testing/20260101/us-east-1/{service}/aws4_request");
    let signature = "0".repeat(64);
    let signed = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={signature}\r\n\
         X-Amz-Date: 20260101T000000Z\r\n"
    );
    raw(url, path, &format!("Content-Type: {kind}\r\n{signed}"), body)
}

/// A POST with these headers.
pub fn raw(url: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("it listens");
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n{body}").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}
