//! The one place where what the API server or the way to it said becomes a [`Failure`]: sorted into a [`Class`], told
//! in words that keep the server's own reason and message, and with a way out where there is a usual one.
//!
//! The status's `reason` and code decide, not its message; the few exceptions, for which the API has no reason, are
//! marked. What nobody has sorted is [`Class::Invalid`] below 500, and never tried again.

use std::error::Error;
use std::io;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::KEPT;
use evenkeel_kubernetes::api::{Cause, NOT_SERVED, Refusal};
use kube::client::AuthError;
use kube::core::Status;
use rustls::{AlertDescription, CertificateError};

use crate::limits;

/// How deep a chain of causes is followed; the longest seen has nine.
const DEEPEST: usize = 32;

/// The program that a kubeconfig asks for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plugin {
    /// `aws`, as the kubeconfig has it.
    pub(crate) command: String,
    /// The kubeconfig's own advice for when it is missing.
    pub(crate) hint: Option<String>,
}

/// Where requests go, as far as messages tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Door {
    /// `https://10.0.0.1:6443`.
    pub(crate) server: String,
    pub(crate) plugin: Option<Plugin>,
}

/// The server answered, and it is no success. `asked` is what the request is called.
pub(crate) fn answered(asked: &str, status: u16, body: &[u8]) -> Refusal {
    let Some(said) = serde_json::from_slice::<Status>(body).ok().filter(Status::is_failure) else {
        return Refusal::from(stranger(asked, status, body));
    };
    let causes: Vec<Cause> = said.details.iter().flat_map(|details| &details.causes).map(cause).collect();
    let message = one_line(unquoted(&said.message));
    let mut class = class_of(&said.reason, status);
    let mut code = said.reason.clone();
    let mut says = if message.is_empty() {
        format!("{asked}: HTTP status {status} without a message")
    } else {
        format!("{asked}: {message}")
    };
    match class {
        Class::Denied if causes.iter().any(|cause| cause.reason == "NamespaceTerminating") => {
            // It ends or is made again, and then this can be done.
            (class, code) = (Class::Busy, "NamespaceTerminating".into());
        }
        // An eviction that a budget does not let go is told as "too many requests".
        Class::Throttled if causes.iter().any(|cause| cause.reason == KEPT) => {
            (class, code) = (Class::Busy, KEPT.into())
        }
        // No amount of waiting helps a pod with two budgets; the API has no reason for it.
        Class::Transient if message.contains("more than one PodDisruptionBudget") => class = Class::Invalid,
        // The API has no reason for a quota: admission forbids in these words (ResourceQuota's plugin).
        Class::Denied if message.contains("exceeded quota: ") => class = Class::Quota,
        // RBAC's own words; what admission forbids is told in others.
        Class::Denied if message.contains(" cannot ") && message.contains(" resource \"") => {
            says.push_str("; a Role or ClusterRole that is bound to it must allow this");
        }
        Class::Credentials => {
            says.push_str("; the server does not accept these credentials: sign in again, or name another context")
        }
        // What is missing is named, unless it is the kind itself. It must never read as "this object is not there".
        Class::NotFound if said.details.as_ref().is_none_or(|details| details.name.is_empty()) => {
            (class, code) = (Class::Invalid, NOT_SERVED.into());
            says.push_str("; the server does not serve this kind in this version: mend apiVersion and kind, or install its definition");
        }
        Class::Transient if said.reason.is_empty() && misfit(&message) => class = Class::Invalid,
        Class::Transient if status == 410 => code = "Expired".into(),
        Class::Transient => {
            if let Some(webhook) = between(&message, "failed calling webhook \"", '"') {
                says.push_str(&format!(
                    "; until the webhook `{webhook}` answers, what it guards cannot be changed: see to the service behind \
                     it, or delete its configuration"
                ));
            }
            if let Some(words) = conversion(&message) {
                says.push_str(&words);
            }
        }
        // The server cannot begin its cache of a kind, and says why: to ask more slowly does not help.
        Class::Throttled if message.contains("storage is (re)initializing") && conversion(&message).is_some() => {
            class = Class::Transient;
            says.push_str(&conversion(&message).unwrap_or_default());
        }
        Class::Denied
        | Class::NotFound
        | Class::Throttled
        | Class::Capacity
        | Class::Quota
        | Class::Busy
        | Class::Protected
        | Class::TokenMismatch
        | Class::TokenSpent
        | Class::Invalid => {}
    }
    Refusal { failure: Failure::new(class, code, says), causes }
}

/// Sorts a status. `code` is the HTTP status, which decides where the reason is empty or unknown.
fn class_of(reason: &str, code: u16) -> Class {
    match reason {
        "Unauthorized" => Class::Credentials,
        "Forbidden" => Class::Denied,
        "NotFound" => Class::NotFound,
        "AlreadyExists" | "Conflict" => Class::Busy,
        "Gone" | "Expired" => Class::Transient,
        "Invalid"
        | "BadRequest"
        | "MethodNotAllowed"
        | "NotAcceptable"
        | "RequestEntityTooLarge"
        | "UnsupportedMediaType" => Class::Invalid,
        "TooManyRequests" => Class::Throttled,
        "ServerTimeout" | "Timeout" | "InternalError" | "ServiceUnavailable" | "StorageReadError" => Class::Transient,
        _ => match code {
            401 => Class::Credentials,
            403 => Class::Denied,
            404 => Class::NotFound,
            409 => Class::Busy,
            429 => Class::Throttled,
            408 | 410 | 500.. => Class::Transient,
            _ => Class::Invalid,
        },
    }
}

/// An answer that is no status of the API: a path it does not know, or somebody else answered.
fn stranger(asked: &str, status: u16, body: &[u8]) -> Failure {
    let text = one_line(&String::from_utf8_lossy(&body[..body.len().min(4 * limits::WORDS)]));
    let text = if text.is_empty() { "nothing".to_owned() } else { text };
    let (class, code, means) = match status {
        401 => (Class::Credentials, "", "the credentials are not accepted"),
        403 => (Class::Denied, "", "this is not allowed"),
        // Never "not found": only the API server itself can say that an object is not there.
        404 => (Class::Invalid, NOT_SERVED, "the server does not serve this kind and version, or is no API server"),
        407 => (Class::Invalid, "", "the proxy wants to know who asks: put user and password into its URL"),
        409 => (Class::Busy, "", "something stands against it"),
        429 => (Class::Throttled, "", "too many requests"),
        408 | 500.. => (Class::Transient, "", "the server, or what stands before it, is in trouble"),
        300..=399 => (Class::Invalid, "", "the server sends elsewhere, so it is no API server"),
        _ => (Class::Invalid, "", "the server does not understand this"),
    };
    Failure::new(class, code, format!("{asked}: {means} (HTTP status {status}: {text})"))
}

fn cause(one: &kube::core::response::StatusCause) -> Cause {
    Cause { reason: one.reason.clone(), field: one.field.clone(), message: one_line(&one.message) }
}

/// The request did not come through, or its answer did not come back.
pub(crate) fn lost(asked: &str, door: &Door, error: &(dyn Error + 'static)) -> Failure {
    let chain = chain(error);
    let network = chain.iter().any(|cause| cause.is::<io::Error>());
    if let Some(auth) = chain.iter().find_map(|cause| cause.downcast_ref::<AuthError>()) {
        return credentials(asked, door, auth, network);
    }
    if let Some(tls) = chain.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return secure(asked, door, tls);
    }
    let class = match error.downcast_ref::<kube::Error>() {
        Some(
            kube::Error::HttpError(_)
            | kube::Error::BuildRequest(_)
            | kube::Error::RustlsTls(_)
            | kube::Error::TlsRequired
            | kube::Error::InferKubeconfig(_)
            | kube::Error::ProxyProtocolUnsupported { .. }
            | kube::Error::ProxyProtocolDisabled { .. },
        ) => Class::Invalid,
        Some(_) | None => Class::Transient,
    };
    let words = said(&chain);
    let words = if class == Class::Invalid { words } else { format!("no answer from {} ({words})", door.server) };
    Failure::new(class, "", format!("{asked}: {words}"))
}

/// No answer within the call's time.
pub(crate) fn late(asked: &str, door: &Door) -> Failure {
    let (server, seconds) = (&door.server, limits::CALL.as_secs());
    let words = format!("{asked}: no answer from {server} in {seconds} s; whether it took effect is not known");
    Failure::new(Class::Transient, "", words)
}

/// An answer that cannot be read: cut off, or not the API's. Whether the request took effect is not known.
pub(crate) fn misread(asked: &str, what: impl std::fmt::Display) -> Failure {
    Failure::new(Class::Transient, "", format!("{asked}: the answer makes no sense: {what}"))
}

/// No credentials could be had.
fn credentials(asked: &str, door: &Door, error: &AuthError, network: bool) -> Failure {
    let command = door.plugin.as_ref().map_or("the program", |plugin| &plugin.command);
    let hint = door.plugin.as_ref().and_then(|plugin| plugin.hint.as_deref());
    let hint = hint.map(|hint| format!(" (the kubeconfig says: {})", one_line(hint))).unwrap_or_default();
    let says = match error {
        AuthError::AuthExecStart(cause) if cause.kind() == io::ErrorKind::NotFound => format!(
            "the kubeconfig gets its credentials from `{command}`, and there is no such program here: install it{hint}, or \
             name another context"
        ),
        AuthError::AuthExecStart(cause) => format!("`{command}`, which gives the credentials, does not start: {cause}"),
        // Only its complaints: what it printed besides may be the token.
        AuthError::AuthExecRun { out, .. } => {
            let complaints = one_line(&String::from_utf8_lossy(&out.stderr));
            let complaints = if complaints.is_empty() { "it said nothing".to_owned() } else { complaints };
            format!(
                "`{command}`, which gives the credentials, failed with {}: {complaints}; sign in with it",
                out.status
            )
        }
        // The parser's words would quote the token.
        AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_) => {
            format!("what `{command}` printed is not what a program that gives credentials prints (an ExecCredential)")
        }
        AuthError::ReadTokenFile(cause, path) => format!("the token file {} cannot be read: {cause}", path.display()),
        // A sign-in that goes over the network fails like anything on the network.
        #[allow(clippy::match_wildcard_for_single_variants, reason = "kube adds kinds of sign-in")]
        AuthError::Oidc(_) if network => {
            let words = format!("{asked}: credentials could not be fetched: {}", said(&chain(error)));
            return Failure::new(Class::Transient, "", words);
        }
        other => format!("no usable credentials: {}; sign in again, or name another context", said(&chain(other))),
    };
    Failure::new(Class::Credentials, "", format!("{asked}: {says}"))
}

/// TLS was not agreed on.
fn secure(asked: &str, door: &Door, error: &rustls::Error) -> Failure {
    let (class, way_out) = match error {
        rustls::Error::InvalidCertificate(wrong) => (
            Class::Invalid,
            match wrong {
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "its certificate is for another name: mend `server` or `tls-server-name` in the kubeconfig"
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => "is this machine's clock right?",
                _ => {
                    "the `certificate-authority` of the kubeconfig did not sign its certificate: fetch the kubeconfig \
                     again, or is there a proxy that opens TLS?"
                }
            },
        ),
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired,
        ) => (Class::Credentials, "it does not accept the client certificate: fetch the kubeconfig again"),
        rustls::Error::InvalidMessage(_) => {
            (Class::Invalid, "it does not speak TLS: is `server` in the kubeconfig right?")
        }
        _ => (Class::Invalid, "is `server` in the kubeconfig right?"),
    };
    Failure::new(class, "", format!("{asked}: no secure connection to {}: {error}; {way_out}", door.server))
}

/// The error itself and what caused it, outermost first. kube's own frames ("ServiceError") are left out.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next.filter(|_| chain.len() < DEEPEST) {
        let frame = matches!(
            cause.downcast_ref::<kube::Error>(),
            Some(kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::Auth(_))
        );
        if !frame {
            chain.push(cause);
        }
        // An I/O error's source is its content's source: the content itself, where TLS errors are, would be missed.
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(content) => Some(content as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    chain
}

fn said(chain: &[&(dyn Error + 'static)]) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in chain {
        let next = one_line(&cause.to_string());
        // Many errors print their cause already; said twice it is noise.
        if !next.is_empty() && !words.last().is_some_and(|last| last.contains(&next)) {
            words.push(next);
        }
    }
    words.join(": ")
}

/// The words of an error and its causes.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    said(&chain(error))
}

/// Some messages are lists with a line each, and some print whole objects, with what is wrong with them at the end.
fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" · ");
    let length = line.chars().count();
    if length <= limits::WORDS {
        return line;
    }
    let (head, tail) = (limits::WORDS - limits::LAST_WORDS, length - limits::LAST_WORDS);
    let at = |n: usize| line.char_indices().nth(n).map_or(line.len(), |(at, _)| at);
    format!("{} … {}", &line[..at(head)], &line[at(tail)..])
}

/// Words of server-side apply about a body that does not fit its kind, which come as an error without a reason, as
/// those of a conversion webhook do that is down.
fn misfit(message: &str) -> bool {
    message.starts_with("failed to create typed patch object")
        || (message.starts_with("failed to convert new object") && message.contains("error decoding from json"))
}

/// The words before a value of ours that has the wrong type: a Secret's would stand there in the clear.
fn unquoted(message: &str) -> &str {
    message.split_once(", got &value").map_or(message, |(before, _)| before)
}

/// What to do about a conversion webhook that the words blame.
fn conversion(message: &str) -> Option<String> {
    let kind = between(message, "conversion webhook for ", ' ')?.trim_end_matches(',');
    Some(format!(
        "; until it answers, objects that are kept in another version cannot be had in {kind}: see to the service \
         behind it, or mend `spec.conversion` of the definition"
    ))
}

fn between<'a>(text: &'a str, before: &str, after: char) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests;
