//! What is otherwise than the file reads and yet nobody's drift: it is told, so that whoever looks for drift hears of
//! it, and stays. A hand has put something on where the file says nothing, or a disk is encrypted whatever was asked.
//!
//! Of hands only what is known without doubt is told: the stamp says that nothing was applied, and the list shows something that
//! EC2 gives nobody by itself.

use std::collections::BTreeMap;

use super::Draft;
use crate::address::{Group, Kind};
use crate::diff::Differences;
use crate::plan::Note;
use crate::schema;
use crate::survey::{GroupSurvey, Member};
use crate::value::Value;

/// The sort of these notes.
pub const KIND: &str = "left-out";
/// The sort of the notes about encryption that nobody asked for.
const ENCRYPTED: &str = "encrypted";

/// What EC2 calls the group of a VPC that a machine gets where none is named. No other may be called so.
const DEFAULT_GROUP: &str = "default";
/// Members that are named.
const NAMED: usize = 3;

/// Notes about the machines of one group.
pub(super) fn notes(draft: &mut Draft<'_>, group: &Group) {
    if draft.ask.intent.destroy {
        return;
    }
    let Some(declared) = draft.ask.desired.machines.get(&group.name) else { return };
    let mut found: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for (slot, m) in draft.survey.groups.get(group).into_iter().flat_map(GroupSurvey::members) {
        let address = group.slot(slot);
        if draft.left_out(&address).is_some() {
            continue;
        }
        if declared.security_groups.is_empty()
            && let Some(Value::List(live)) = shown(m, "security-groups")
        {
            let names: Vec<&str> = live.iter().filter_map(Value::text).filter_map(|id| name(draft, id)).collect();
            // A group whose name is not known may be the default one.
            if names.len() == live.len() && names.iter().any(|n| *n != DEFAULT_GROUP) {
                found.entry(("security-groups", names.join(", "))).or_default().push(address.short());
            }
        }
        if declared.instance_profile.is_none()
            && let Some(profile) = shown(m, "instance-profile").and_then(Value::text)
        {
            found.entry(("instance-profile", profile.to_owned())).or_default().push(address.short());
        }
    }
    for ((field, value), on) in found {
        let more = on.len().saturating_sub(NAMED);
        let few = on[..on.len() - more].join(", ");
        let on = if more == 0 { few } else { format!("{few} and {more} more") };
        let says = format!("{field} {value} was put on {on} by hand; the file names none, so it stays");
        draft.notes.push(Note { kind: KIND.into(), about: group.to_string(), says });
    }
}

/// A note where disks are encrypted although the file says that they are not to be: EC2 may do so whatever it is asked.
pub(super) fn encrypted(draft: &mut Draft<'_>, group: &Group, differences: &Differences) {
    for field in &differences.encrypted {
        let says = format!(
            "{field}: encrypted although the file says false, as an encrypted image or snapshot makes it, or an account \
             that encrypts by default; it stays"
        );
        draft.notes.push(Note { kind: ENCRYPTED.into(), about: group.to_string(), says });
    }
}

/// What the list shows of a field of which nothing was applied.
fn shown<'m>(member: &'m Member<'_>, field: &str) -> Option<&'m Value> {
    let code = schema::field(Kind::Machines, field)?.code;
    let applied = member.vector.as_ref()?.get(code).is_some();
    member.object.fields.get(field).filter(|v| !applied && !v.is_nothing())
}

/// A group's name, where it is known.
fn name<'d>(draft: &'d Draft<'_>, id: &'d str) -> Option<&'d str> {
    Some(draft.ask.observed.label(id)).filter(|name| *name != id)
}
