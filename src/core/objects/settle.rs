//! What the server itself says: the answer of a dry-run apply, laid beside the live object.
//!
//! Where the answer is what stands there already, there was no difference; what it changes and the file does not say
//! follows from the rest (an admission webhook, a default). The dry run is asked with force, so that it is whole.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Sort;
use super::compare::{Comparison, Difference, Why, has_status, is_servers, is_untracked};
use super::limits;
use super::managed::{Managed, Tree};
use super::path::{Path, Scalar, Step};
use super::same;
use super::shape::{self, List};

/// `comparison` after the server's answer `dry` to applying the same file onto `live`.
pub fn settle(comparison: Comparison, dry: &Value, live: &Value, manager: &str) -> Comparison {
    let (before, after) = (Managed::of(live), Managed::of(dry));
    let holds = |managed: &Managed, path: &Path| managed.ours(manager).any(|e| e.paths.holds(path));
    let status = has_status(Sort::of(live), &before);
    let trees: Vec<&Tree> = after.entries.iter().chain(&before.entries).map(|e| &e.paths).collect();
    let mut changes = Vec::new();
    walk(Sort::of(live), &mut Path::default(), Some(dry), Some(live), &trees, status, &mut changes);

    let mut out = Comparison { differences: vec![], settled: true, ..comparison };
    let mut known: Vec<Path> = Vec::new();
    for difference in comparison.differences {
        let path = &difference.path;
        if is_untracked(Sort::of(live), path) {
            // The server answers with what it has, whatever is asked.
            known.push(path.clone());
            out.differences.push(difference);
            continue;
        }
        if changes.iter().any(|(at, ..)| at.is_within(path) || path.is_within(at)) {
            known.push(path.clone());
            let why = if difference.why == Why::Restamp { Why::Follows } else { difference.why };
            let becomes = shape::at(dry, path).cloned();
            out.differences.push(Difference { why, becomes, ..difference });
        } else if difference.why != Why::Restamp && !difference.held.is_empty() {
            // The same in other words, and another's: to hold it too would be a fight over words, which only force wins.
            out.same += 1;
            out.worded.push(difference);
        } else if holds(&before, path) != holds(&after, path) {
            out.differences.push(Difference { why: Why::Restamp, ..difference });
        } else if difference.wish.is_some() {
            out.same += 1;
        }
    }
    for (path, wish, live) in changes {
        if !known.iter().any(|k| path.is_within(k) || k.is_within(&path)) {
            let becomes = wish.clone();
            out.differences.push(Difference { path, live, wish, becomes, why: Why::Follows, held: vec![] });
        }
    }
    out.differences.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

type Change = (Path, Option<Value>, Option<Value>);

/// Every path where two answers of the server differ. It writes its own values in one form, so they are compared word
/// for word.
fn walk(
    sort: Sort<'_>,
    path: &mut Path,
    new: Option<&Value>,
    old: Option<&Value>,
    held: &[&Tree],
    status: bool,
    changes: &mut Vec<Change>,
) {
    let (new, old) = (new.filter(|v| !v.is_null()), old.filter(|v| !v.is_null()));
    let alike = match (new, old) {
        (None, None) => true,
        (Some(new), Some(old)) => same::equal(new, old),
        (Some(one), None) | (None, Some(one)) => same::is_nothing(one),
    };
    if alike || is_servers(&path.fields(), status) {
        return;
    }
    let steps: BTreeSet<Step> = match (new, old) {
        (Some(Value::Object(a)), Some(Value::Object(b))) if path.0.len() <= limits::DEPTH => {
            let names = |m: &Map<String, Value>| m.keys().cloned().map(Step::Field).collect::<Vec<_>>();
            names(a).into_iter().chain(names(b)).collect()
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => match shape::list(sort, path, held, old) {
            List::Atomic => BTreeSet::new(),
            List::Set => a.iter().chain(b).map(|v| Step::Value(Scalar::from(v))).collect(),
            List::Map(keys) => {
                let steps: Option<BTreeSet<Step>> = a.iter().chain(b).map(|i| shape::key(sort, i, &keys)).collect();
                // Items without keys, or one key twice: compared as one piece.
                steps.filter(|s| s.len() >= a.len().max(b.len())).unwrap_or_default()
            }
        },
        _ => BTreeSet::new(),
    };
    if steps.is_empty() {
        changes.push((path.clone(), new.cloned(), old.cloned()));
        return;
    }
    let before = changes.len();
    for step in steps {
        let (new, old) = (new.and_then(|v| shape::below(v, &step)), old.and_then(|v| shape::below(v, &step)));
        let below: Vec<&Tree> = held.iter().filter_map(|t| t.child(&step)).collect();
        path.0.push(step);
        walk(sort, path, new, old, &below, status, changes);
        path.0.pop();
    }
    // The same items in another order.
    if changes.len() == before && new.is_some_and(Value::is_array) && path.fields().last() == Some(&"initContainers") {
        changes.push((path.clone(), new.cloned(), old.cloned()));
    }
}
