//! EC2's refusals, by EC2's own codes, sorted into core's classes.

use evenkeel_core::failure::{Class, Failure};

/// A request that is wrong in itself.
pub(crate) fn invalid<T>(code: &str, says: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Class::Invalid, code, says))
}

/// A value EC2 does not take.
pub(crate) fn bad_value<T>(says: impl Into<String>) -> Result<T, Failure> {
    invalid("InvalidParameterValue", says)
}

/// Something that does not exist, or cannot be seen yet.
pub(crate) fn not_found<T>(code: &str, says: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Class::NotFound, code, says))
}

/// A state that does not allow this now.
pub(crate) fn busy<T>(code: &str, says: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Class::Busy, code, says))
}

/// An account's limit.
pub(crate) fn quota<T>(code: &str, says: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Class::Quota, code, says))
}

/// An instance nobody can see under this id.
pub(crate) fn no_instance<T>(id: &str) -> Result<T, Failure> {
    if is_id(id, "i-") {
        not_found("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
    } else {
        invalid("InvalidInstanceID.Malformed", format!("Invalid id: \"{id}\""))
    }
}

/// A volume nobody can see under this id.
pub(crate) fn no_volume<T>(id: &str) -> Result<T, Failure> {
    if is_id(id, "vol-") {
        not_found("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."))
    } else {
        invalid(
            "InvalidParameterValue",
            format!("Value ({id}) for parameter volumeId is invalid. Expected: 'vol-...'."),
        )
    }
}

/// Whether `id` has the form of such an id: the prefix and hexadecimal digits.
pub(crate) fn is_id(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit()))
}
