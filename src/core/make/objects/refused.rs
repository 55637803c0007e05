//! What stands against an object, in words: the server's refusal, fields that others hold, a version that is not served.

use std::collections::BTreeSet;

use super::{Place, steps};
use crate::address::{Address, ObjectName};
use crate::failure::{Class, Failure};
use crate::make::Draft;
use crate::objects::compare::{self, Comparison};
use crate::objects::{immutable, redact};

/// The fields that the server will not change, in its words; `None` where it refuses for another reason, or for another
/// one as well: then a new object would be refused too.
pub(super) fn unchangeable(causes: &[(String, String)]) -> Option<String> {
    let words: Vec<String> =
        immutable::refused(causes).into_iter().map(|r| format!("{}: {}", r.field, r.says)).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// What the server refuses, in its words, and what to do about it.
pub(super) fn refused(failure: &Failure, causes: &[(String, String)]) -> String {
    format!("the server refuses it: {}{}", words(failure, causes), way_out(failure))
}

/// The same of the object that would take the place of one that is deleted for it.
pub(super) fn barred(because: &str, address: &Address, failure: &Failure, causes: &[(String, String)]) -> String {
    let words = words(failure, causes);
    let out = way_out(failure);
    format!(
        "{because}: it would be deleted and made anew, and the server refuses the new one: {words}{out}; \
         `--replace {address}` does it all the same"
    )
}

/// What to do about it, where the server's words leave that open.
fn way_out(failure: &Failure) -> &'static str {
    let denied = "; change the object as these words ask, or settle it with whoever keeps that policy";
    match failure.class {
        Class::Quota => "; take away what counts against that quota, or have it raised",
        // Of a right that is missing, the words say already who gives it.
        Class::Denied if failure.says.contains(" cannot ") => "",
        Class::Denied => denied,
        // A policy of the cluster refuses in the class that it likes.
        Class::Invalid if failure.says.contains("denied") => denied,
        Class::Invalid => "; mend the object in the file",
        Class::Throttled
        | Class::Transient
        | Class::Capacity
        | Class::Credentials
        | Class::NotFound
        | Class::Busy
        | Class::Protected
        | Class::TokenMismatch
        | Class::TokenSpent => "",
    }
}

fn words(failure: &Failure, causes: &[(String, String)]) -> String {
    let unsaid = |c: &&(String, String)| !c.0.is_empty() && !failure.says.contains(c.0.trim_start_matches('.'));
    let more: Vec<String> = causes.iter().filter(unsaid).map(|(f, says)| format!("{f}: {says}")).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    format!("{failure}{more}")
}

/// Whom an apply would take fields from, which the server refuses without force; `None`: nobody. One that is made anew
/// has nobody else who could hold the same in other words.
pub(super) fn taken(found: &Comparison, in_place: bool) -> Option<String> {
    let worded = if in_place { &found.worded[..] } else { &[] };
    let moved = |d: &&compare::Difference| matches!(d.why, compare::Why::Drift | compare::Why::Conflict);
    let holders = |all: &mut dyn Iterator<Item = &compare::Difference>| -> Vec<String> {
        let all: BTreeSet<String> = all.filter_map(|d| Some(d.held.last()?.to_string())).collect();
        all.into_iter().collect()
    };
    let all = holders(&mut found.differences.iter().filter(moved).chain(worded));
    if all.is_empty() {
        return None;
    }
    let mut says = format!("--force-conflicts, which takes it from {}", all.join(" and "));
    if let Some(d) = worded.first() {
        let live = d.live.as_ref().filter(|v| !v.is_object() && !v.is_array() && !redact::is_digest(v));
        let live = live.map(|v| format!(", {v}")).unwrap_or_default();
        let by = d.held.last().map(ToString::to_string).unwrap_or_default();
        says.push_str(&format!("; or {} in the words of {by}{live}: the file means the same", d.path));
    }
    Some(says)
}

impl Place<'_> {
    /// Why an object cannot be applied in the version that the file writes it in; `None` where it can, or will be able
    /// to once the definition of this very plan is there.
    pub(super) fn unserved(&self, draft: &Draft<'_>, object: &ObjectName, version: &str) -> Option<String> {
        let kind = object.group_kind();
        if self.seen.serves(&kind, version) || steps::defines(draft.ask.desired, self.scope, object, version) {
            return None;
        }
        Some(match self.seen.kinds.get(&kind) {
            Some(k) => {
                let served = k.api_versions.join(", ");
                format!("{kind} is not served in {version}, but in {served}: change its apiVersion")
            }
            None => format!("the cluster serves no {kind}: install its definition, or mend apiVersion and kind"),
        })
    }
}
