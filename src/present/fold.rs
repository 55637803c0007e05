//! Says equal changes once, with a count. What destroys or replaces is never folded: each of those has a name.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Group, ObjectName, is_name};
use evenkeel_core::plan::{Action, Change, FieldChange, Held, Reason};
use evenkeel_core::value::Value;

use crate::words::slots;

/// Changes that read the same but for their slot, in the order in which the first of each came.
#[derive(Debug, Clone)]
pub struct Fold<'a> {
    /// At least one.
    pub changes: Vec<&'a Change>,
}

impl<'a> Fold<'a> {
    /// The first, which speaks for all.
    pub fn first(&self) -> &'a Change {
        self.changes[0]
    }

    /// The words, as they fit all: where there are several, a mention of the change's own slot becomes all of theirs.
    pub fn words(&self, text: &str) -> String {
        if self.changes.len() == 1 {
            return text.to_owned();
        }
        let all = slots(self.changes.iter().map(|c| c.address.slot));
        with_slot(text, self.first().address.slot, &all)
    }
}

/// Whether changes of this sort may be folded. A quarantine is the first step of a deletion.
pub fn folds(action: Action) -> bool {
    match action {
        Action::Create | Action::Update | Action::Restamp | Action::Release | Action::Attach => true,
        Action::Replace | Action::Delete | Action::Quarantine => false,
    }
}

/// What must be equal for two changes to be said as one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    group: Group,
    /// A Kubernetes object has a name of its own: it is never one of several.
    object: Option<Box<ObjectName>>,
    action: Action,
    what: String,
    how: String,
    reasons: Vec<Reason>,
    fields: String,
    waits_for: String,
    alone: Option<usize>,
}

fn key(change: &Change, waits_for: &str, alone: Option<usize>) -> Key {
    let slot = change.address.slot;
    let reasons = change.reasons.iter().map(|r| Reason { why: r.why, says: same_slot(&r.says, slot) }).collect();
    let fields: Vec<&FieldChange> = change.fields.iter().collect();
    Key {
        group: change.address.group.clone(),
        object: change.address.object.clone(),
        action: change.action,
        what: change.what.clone(),
        how: same_slot(&change.how, slot),
        reasons,
        fields: format!("{fields:?}"),
        waits_for: same_slot(waits_for, slot),
        alone,
    }
}

/// The changes, equal ones together.
pub fn fold<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<Fold<'a>> {
    let keyed = changes.into_iter().enumerate().map(|(i, c)| (key(c, "", (!folds(c.action)).then_some(i)), c));
    together(keyed).into_iter().map(|changes| Fold { changes }).collect()
}

/// Changes of any sort, those with the same words together: each keeps a row of its own, the words are said once.
pub fn alike<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<Fold<'a>> {
    let keyed = changes.into_iter().map(|c| (key(c, "", None), c));
    together(keyed).into_iter().map(|changes| Fold { changes }).collect()
}

/// The held changes, equal ones together: none of them happens now, so all may be folded.
pub fn fold_held(held: &[Held]) -> Vec<(&Held, Fold<'_>)> {
    let keyed = held.iter().map(|h| (key(&h.change, &format!("{:?} {}", h.by, h.waits_for), None), h));
    together(keyed)
        .into_iter()
        .map(|all| (all[0], Fold { changes: all.into_iter().map(|h| &h.change).collect() }))
        .collect()
}

fn together<'a, T>(keyed: impl IntoIterator<Item = (Key, &'a T)>) -> Vec<Vec<&'a T>> {
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    let mut all: Vec<Vec<&'a T>> = Vec::new();
    for (key, item) in keyed {
        let place = *places.entry(key).or_insert(all.len());
        if place == all.len() {
            all.push(Vec::new());
        }
        all[place].push(item);
    }
    all
}

/// Whether a field's own line says what the reason says.
pub fn told_by_field(change: &Change, reason: &Reason) -> bool {
    change.fields.iter().any(|f| {
        let rest = reason.says.strip_prefix(f.field.as_str());
        f.why == reason.why && rest.is_some_and(|r| !r.starts_with('-'))
    })
}

/// A field's old and new; a table key by key, only where they differ.
pub(crate) fn by_key(f: &FieldChange) -> Vec<(String, Value, Value)> {
    let (Value::Map(old), Value::Map(new)) = (&f.old, &f.new) else {
        return vec![(f.field.clone(), f.old.clone(), f.new.clone())];
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let of = |m: &BTreeMap<String, Value>, k: &str| m.get(k).cloned().unwrap_or_default();
    keys.into_iter()
        .map(|k| (format!("{}.{k}", f.field), of(old, k), of(new, k)))
        .filter(|(_, old, new)| old != new)
        .collect()
}

/// `attach to web/3` → `attach to web/n` for slot 3, so that changes which differ only in their own slot are equal.
fn same_slot(text: &str, slot: u32) -> String {
    with_slot(text, slot, "n")
}

/// The text with other words for its own slot.
fn with_slot(text: &str, slot: u32, instead: &str) -> String {
    let own = format!("/{slot}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&own) {
        let after = &rest[at + own.len()..];
        out.push_str(&rest[..at]);
        // `/3` inside `/30`, or a path such as `/3/…`, is something else.
        let whole = !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '.'))
            && is_name(rest[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or(""));
        match whole {
            true => out.extend(["/", instead]),
            false => out.push_str(&own),
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_slot_is_blanked() {
        for (text, slot, same) in [
            ("attach to web/3", 3, "attach to web/n"),
            ("attach to web/3 as /dev/sdf", 3, "attach to web/n as /dev/sdf"),
            ("web/30 waits for web/3", 3, "web/30 waits for web/n"),
            ("10.0.0.0/8", 8, "10.0.0.0/8"),
            ("machines.web/3 is there", 3, "machines.web/n is there"),
            ("size 3 → 4", 3, "size 3 → 4"),
            ("path a/3/b", 3, "path a/3/b"),
        ] {
            assert_eq!(same_slot(text, slot), same);
        }
    }
}
