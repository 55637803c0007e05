//! `renamed-from`: a group's old name. No loops, no group that still exists, no two heirs of one name.

use std::collections::BTreeMap;

use super::problems::Problems;
use super::reader::Reader;
use super::tree::At;
use crate::address::{Group, Kind};

/// Reads the old names of one kind's groups into `renamed`: old group → new group.
pub fn read(kind: Kind, r: Option<&Reader<'_>>, renamed: &mut BTreeMap<Group, Group>, problems: &mut Problems<'_>) {
    let groups = r.map(Reader::groups).unwrap_or_default();
    let mut heirs: BTreeMap<String, At> = BTreeMap::new();
    for (name, r) in &groups {
        let Some(text) = r.text("renamed-from") else { continue };
        let at = r.at("renamed-from");
        let old = match text.split_once('.') {
            Some((word, old)) if word == kind.word() => old.to_owned(),
            Some((word, _)) => {
                let says = format!("{kind}.{name} cannot have been a group of {word}");
                problems.error("E0506", at, says, format!("name a group of {kind}, or take `renamed-from` away"));
                continue;
            }
            None => text,
        };
        if old == *name {
            let says = format!("{kind}.{name} says that it is renamed from itself");
            problems.error("E0506", at, says, "write its old name, or take `renamed-from` away");
        } else if let Some((_, other)) = groups.iter().find(|(n, _)| *n == old) {
            let loops = other.text("renamed-from").is_some_and(|t| t.rsplit('.').next() == Some(*name));
            let says = if loops {
                format!("{kind}.{name} and {kind}.{old} say that each is renamed from the other")
            } else {
                format!("{kind}.{name} says that it is renamed from {kind}.{old}, which is still declared")
            };
            problems
                .error("E0506", at, says, format!("take `renamed-from` or [{kind}.{old}] away"))
                .also(other.here(), "declared here");
        } else if let Some(first) = heirs.insert(old.clone(), at) {
            problems
                .error(
                    "E0506",
                    at,
                    format!("two groups say that they are renamed from {kind}.{old}"),
                    "keep `renamed-from` in one of them",
                )
                .also(first, "and here");
        } else {
            let group = |name: &str| Group { kind, name: name.to_owned() };
            renamed.insert(group(&old), group(name));
        }
    }
}
