//! Whether an object that the server will not change in place could be made anew, by a dry run under a name that is free.
//!
//! The old one still stands there while it is asked: what the server has against the new one only because of that, or of
//! its name, is no obstacle.

use serde_json::Value;

use super::quantity::nano;
use crate::failure::{Class, Failure};

/// Whether the server's answer to the dry run says that the new object would be refused. `name` is the object's own,
/// `tried` the free one; `causes` are fields, and what is said of each.
pub fn is_barred(name: &str, tried: &str, failure: &Failure, causes: &[(String, String)]) -> bool {
    if has_no_dry_run(failure) {
        return false;
    }
    let excused = |says: &str| is_about(tried, says) || is_beside(name, says);
    match failure.class {
        // A right may be bound to the object's own name, which is not the one that is tried.
        Class::Denied => !failure.says.contains("cannot patch resource") && !excused(&failure.says),
        Class::NotFound => true,
        Class::Invalid if causes.is_empty() => !excused(&failure.says),
        Class::Invalid => causes.iter().any(|(field, says)| !by_the_old_one(field, says) && !excused(says)),
        Class::Quota => is_overdrawn(&failure.says),
        // Nothing is known of it.
        Class::Throttled
        | Class::Transient
        | Class::Capacity
        | Class::Credentials
        | Class::Busy
        | Class::Protected
        | Class::TokenMismatch
        | Class::TokenSpent => false,
    }
}

/// Whether a webhook stands in the way that takes no dry runs: then nothing is known of the object itself.
pub fn has_no_dry_run(failure: &Failure) -> bool {
    failure.says.contains("does not support dry run")
}

/// Whether the words are about the name that is tried, and do not only say which object they are about:
/// `jobs.batch "NAME" is forbidden: …`, `resource Job/shop/NAME was blocked …`.
fn is_about(tried: &str, says: &str) -> bool {
    let heads = [" is forbidden: ", " is invalid: "];
    let said = heads.iter().find_map(|head| says.split_once(head)).map_or(says, |(_, said)| said);
    said.match_indices(tried).any(|(at, _)| !said[..at].ends_with('/'))
}

/// Whether the words are about the old one, which has already what only one can have:
/// `PriorityClass NAME is already marked as default. Only one default can exist`.
fn is_beside(name: &str, says: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    says.contains(" already ") && says.split(|c| !part(c)).any(|word| word == name)
}

/// What is said of the name that is tried, and of what two cannot have at once.
fn by_the_old_one(field: &str, says: &str) -> bool {
    field.starts_with("metadata.name") || says.contains("already allocated") || says.contains("already in use")
}

/// Whether a quota is overdrawn already, so that there is no room even when the old one is gone:
/// `exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=2`.
fn is_overdrawn(says: &str) -> bool {
    let amounts = |word: &str| {
        let rest = says.split_once(word).map_or("", |(_, rest)| rest);
        let all = rest.split(", ").next().unwrap_or_default().split(',');
        all.filter_map(|one| one.split_once('=')).filter_map(|(what, n)| Some((what, nano(&Value::from(n.trim()))?)))
    };
    amounts("used: ").any(|(what, used)| amounts("limited: ").any(|(of, most)| of == what && used > most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barred(class: Class, says: &str, causes: &[(&str, &str)]) -> bool {
        let causes: Vec<(String, String)> = causes.iter().map(|(f, s)| ((*f).to_owned(), (*s).to_owned())).collect();
        is_barred("a", "evenkeel-tries-x", &Failure::new(class, "", says), &causes)
    }

    #[test]
    fn a_policy_on_names_and_the_one_default_that_the_old_one_is_do_not_count() {
        let head = "deployments.apps \"evenkeel-tries-x\" is forbidden: ";
        for (class, says, is) in [
            (Class::Denied, "PriorityClass a is already marked as default. Only one default can exist", false),
            (Class::Denied, "PriorityClass b is already marked as default. Only one default can exist", true),
            (
                Class::Denied,
                &format!("{head}ValidatingAdmissionPolicy 'n' denied request: evenkeel-tries-x is no name"),
                false,
            ),
            (Class::Denied, &format!("{head}ValidatingAdmissionPolicy 'n' denied request: no owner"), true),
            (Class::Invalid, &format!("{head}ValidatingAdmissionPolicy 'n' denied request: no owner"), true),
            (Class::Invalid, "admission webhook \"n\" denied the request: name 'evenkeel-tries-x' is not ours", false),
            (
                Class::Invalid,
                "admission webhook \"n\" denied the request: resource Job/shop/evenkeel-tries-x was blocked",
                true,
            ),
            (Class::Invalid, "admission webhook \"n\" does not support dry run", false),
        ] {
            assert_eq!(barred(class, says, &[]), is, "{class:?} {says}");
        }
        assert!(!barred(Class::Invalid, "", &[("", "Invalid value: \"evenkeel-tries-x\": must begin with team-")]));
    }

    #[test]
    fn what_only_the_old_one_or_the_name_is_to_blame_for_does_not_count() {
        let used = |used: u32, limit: u32| {
            format!(
                "exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch={used}, limited: count/jobs.batch={limit}"
            )
        };
        for (class, says, causes, is) in [
            (Class::Denied, "admission webhook \"a\" denied the request: no", &[][..], true),
            (Class::Denied, "jobs.batch \"a\" is forbidden: User \"ci\" cannot patch resource \"jobs\"", &[], false),
            (Class::Denied, "jobs.batch \"a\" is forbidden: User \"ci\" cannot create resource \"jobs\"", &[], true),
            (Class::Invalid, "admission webhook \"a\" denied the request", &[], true),
            (Class::Invalid, "", &[("spec.replicas", "must be greater than or equal to 0")], true),
            (Class::Invalid, "", &[("metadata.name", "must be spec.names.plural+\".\"+spec.group")], false),
            (
                Class::Invalid,
                "",
                &[("spec.clusterIPs", "failed to allocate IP: provided IP is already allocated")],
                false,
            ),
            (Class::Quota, &used(1, 1), &[], false),
            (Class::Quota, &used(2, 1), &[], true),
            (Class::NotFound, "roles \"a\" not found", &[], true),
            (Class::Transient, "no answer", &[], false),
        ] {
            assert_eq!(barred(class, says, causes), is, "{class:?} {says} {causes:?}");
        }
    }
}
