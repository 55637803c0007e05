//! The API server's refusals, in its own words, sorted into core's classes.

use evenkeel_core::address::ObjectName;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::{Cause, NOT_SERVED, Refusal};

use super::Kube;
use super::ssa::Conflict;

fn refusal(class: Class, code: &str, says: String, causes: Vec<Cause>) -> Refusal {
    Refusal { failure: Failure::new(class, code, says), causes }
}

/// 400: what is wrong is the request, not the object.
pub(super) fn bad_request(says: impl Into<String>) -> Refusal {
    refusal(Class::Invalid, "BadRequest", says.into(), vec![])
}

/// 404 of an object.
pub(super) fn not_found(kube: &Kube, name: &ObjectName) -> Refusal {
    let says = format!("{} {:?} not found", whole(kube, name), name.name);
    refusal(Class::NotFound, "NotFound", says, vec![])
}

/// 404 of a kind.
pub(super) fn no_such_kind() -> Refusal {
    refusal(Class::Invalid, NOT_SERVED, "the server could not find the requested resource".to_owned(), vec![])
}

/// 409: somebody else was there first.
pub(super) fn conflict(kube: &Kube, name: &ObjectName, says: &str) -> Refusal {
    let says = format!("Operation cannot be fulfilled on {} {:?}: {says}", whole(kube, name), name.name);
    refusal(Class::Busy, "Conflict", says, vec![])
}

/// 409 between managers.
pub(super) fn clash(conflicts: &[Conflict]) -> Refusal {
    let says = match conflicts {
        [one] => format!("Apply failed with 1 conflict: conflict with {}: {}", one.with, one.field),
        many => {
            let mut lines = Vec::new();
            let mut with = "";
            for c in many {
                if c.with != with {
                    with = &c.with;
                    lines.push(format!("conflicts with {with}:"));
                }
                lines.push(format!("- {}", c.field));
            }
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let cause = |c: &Conflict| Cause {
        reason: "FieldManagerConflict".to_owned(),
        field: c.field.clone(),
        message: format!("conflict with {}", c.with),
    };
    refusal(Class::Busy, "Conflict", says, conflicts.iter().map(cause).collect())
}

/// 422.
pub(super) fn invalid(name: &ObjectName, causes: Vec<Cause>) -> Refusal {
    let lines: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    let all = if let [one] = lines.as_slice() { one.clone() } else { format!("[{}]", lines.join(", ")) };
    let says = format!("{} {:?} is invalid: {all}", name.group_kind(), name.name);
    refusal(Class::Invalid, "Invalid", says, causes)
}

/// 403 of a quota.
pub(super) fn over_quota(kube: &Kube, name: &ObjectName, says: &str) -> Refusal {
    let says = format!("{} {:?} is forbidden: exceeded quota: {says}", whole(kube, name), name.name);
    refusal(Class::Quota, "Forbidden", says, vec![])
}

/// 403 of a rule of the server itself.
pub(super) fn forbidden(kube: &Kube, name: &ObjectName, says: &str) -> Refusal {
    let says = format!("{} {:?} is forbidden: {says}", whole(kube, name), name.name);
    refusal(Class::Denied, "Forbidden", says, vec![])
}

/// 400 of a webhook.
pub(super) fn webhook(name: &str, says: &str) -> Refusal {
    refusal(Class::Invalid, "", format!("admission webhook {name:?} denied the request: {says}"), vec![])
}

/// One cause of a 422.
pub(super) fn cause(reason: &str, field: impl Into<String>, message: impl Into<String>) -> Cause {
    Cause { reason: reason.to_owned(), field: field.into(), message: message.into() }
}

/// `deployments.apps`, `services`.
pub(super) fn whole(kube: &Kube, name: &ObjectName) -> String {
    let plural = kube.plural(&name.api, &name.kind);
    if name.api.is_empty() { plural } else { format!("{plural}.{}", name.api) }
}
