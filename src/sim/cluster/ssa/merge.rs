//! Two values into one, and what lies between two values.

use std::collections::BTreeSet;

use evenkeel_core::objects::managed::Tree;
use evenkeel_core::objects::path::{Path, Step};
use evenkeel_core::objects::shape::List;
use serde_json::{Map, Value as Json};

use super::form::Form;
use super::sets::step_to;

/// `wish` over `live`: tables by their fields, lists by their items, everything else as one piece.
pub(super) fn merge(form: &Form<'_>, live: &Json, wish: &Json) -> Json {
    merged(form, &Path::default(), Some(live), Some(wish)).unwrap_or(Json::Null)
}

fn merged(form: &Form<'_>, path: &Path, live: Option<&Json>, wish: Option<&Json>) -> Option<Json> {
    let piece = || wish.or(live).cloned();
    let both_empty = |a: usize, b: usize| a == 0 && b == 0;
    match (live, wish) {
        (l, w) if is_table(l, w) => {
            let (l, w) = (l.and_then(Json::as_object), w.and_then(Json::as_object));
            if form.is_piece(path) || both_empty(l.map_or(0, Map::len), w.map_or(0, Map::len)) {
                return piece();
            }
            let names: BTreeSet<&String> = l.into_iter().chain(w).flat_map(Map::keys).collect();
            let mut out = Map::new();
            for name in names {
                let below = path.then(Step::Field(name.clone()));
                if let Some(value) = merged(form, &below, l.and_then(|l| l.get(name)), w.and_then(|w| w.get(name))) {
                    out.insert(name.clone(), value);
                }
            }
            (!out.is_empty()).then_some(Json::Object(out))
        }
        (l, w) if is_list(l, w) => {
            let (l, w) = (items(l), items(w));
            let kind = form.list(path);
            if kind == List::Atomic || both_empty(l.len(), w.len()) {
                return piece();
            }
            let out = merged_items(form, path, &kind, l, w);
            (!out.is_empty()).then_some(Json::Array(out))
        }
        _ => piece(),
    }
}

/// Of two values one may be missing, null, or of another sort than the wish, which decides.
fn is_table(live: Option<&Json>, wish: Option<&Json>) -> bool {
    match wish {
        Some(Json::Object(_)) => true,
        None | Some(Json::Null) => live.is_some_and(Json::is_object),
        Some(_) => false,
    }
}

fn is_list(live: Option<&Json>, wish: Option<&Json>) -> bool {
    match wish {
        Some(Json::Array(_)) => true,
        None | Some(Json::Null) => live.is_some_and(Json::is_array),
        Some(_) => false,
    }
}

fn items(value: Option<&Json>) -> &[Json] {
    value.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The wish's items in the wish's order; the others stay behind the neighbours they had.
fn merged_items(form: &Form<'_>, path: &Path, kind: &List, live: &[Json], wish: &[Json]) -> Vec<Json> {
    let steps = |items: &[Json]| -> Vec<Step> { items.iter().filter_map(|i| step_to(kind, i)).collect() };
    let placed =
        |items: &[Json]| -> Vec<Json> { items.iter().filter(|i| step_to(kind, i).is_some()).cloned().collect() };
    let (live, wish) = (placed(live), placed(wish));
    let (live_steps, wish_steps) = (steps(&live), steps(&wish));
    // An item that stands twice in the live list is not merged with anything.
    let partner = |step: &Step| {
        let mut found = live_steps.iter().enumerate().filter(|(_, s)| *s == step);
        let first = found.next();
        first.filter(|_| found.next().is_none()).map(|(n, _)| &live[n])
    };
    let shared: Vec<&Step> = wish_steps.iter().filter(|s| live_steps.contains(s)).collect();
    let mut next_shared = 0;
    let mut done: BTreeSet<&Step> = BTreeSet::new();
    let mut out = Vec::new();
    let (mut l, mut w) = (0, 0);
    while l < live.len() || w < wish.len() {
        if let (Some(here), Some(wanted)) = (live_steps.get(l), wish_steps.get(w)) {
            if here == wanted {
                done.insert(wanted);
                out.extend(merged(form, &path.then(here.clone()), partner(here), Some(&wish[w])));
                (l, w, next_shared) = (l + 1, w + 1, next_shared + 1);
                continue;
            }
            if wish_steps.contains(here) && shared.get(next_shared).is_some_and(|s| *s != here) {
                l += 1;
                continue;
            }
        }
        if let Some(here) = live_steps.get(l) {
            if !wish_steps.contains(here) {
                out.extend(merged(form, &path.then(here.clone()), Some(&live[l]), None));
                l += 1;
                continue;
            }
            if done.contains(here) {
                l += 1;
            }
        }
        if let Some(wanted) = wish_steps.get(w) {
            done.insert(wanted);
            out.extend(merged(form, &path.then(wanted.clone()), partner(wanted), Some(&wish[w])));
            w += 1;
            if shared.get(next_shared).is_some_and(|s| *s == wanted) {
                next_shared += 1;
            }
        }
    }
    out
}

/// What changed from one value to another.
#[derive(Debug, Default)]
pub(super) struct Between {
    pub(super) removed: Tree,
    pub(super) modified: Tree,
    pub(super) added: Tree,
}

/// What changed from `old` to `new`.
pub(super) fn between(form: &Form<'_>, old: &Json, new: &Json) -> Between {
    let mut found = Between::default();
    differ(form, &Path::default(), Some(old), Some(new), &mut found);
    found
}

fn differ(form: &Form<'_>, path: &Path, old: Option<&Json>, new: Option<&Json>, found: &mut Between) {
    let leaf = |found: &mut Between| match (old, new) {
        (None, _) => insert(&mut found.added, path),
        (_, None) => insert(&mut found.removed, path),
        (Some(a), Some(b)) if !same(a, b) => insert(&mut found.modified, path),
        (Some(_), Some(_)) => {}
    };
    // On the way down, what is new or gone as a whole counts itself.
    let whole = |found: &mut Between| match (old, new) {
        (None, Some(_)) => insert(&mut found.added, path),
        (Some(_), None) => insert(&mut found.removed, path),
        (Some(_), Some(_)) | (None, None) => {}
    };
    if is_table(old, new) {
        let (a, b) = (old.and_then(Json::as_object), new.and_then(Json::as_object));
        if form.is_piece(path) || a.is_none_or(Map::is_empty) && b.is_none_or(Map::is_empty) {
            return leaf(found);
        }
        let names: BTreeSet<&String> = a.into_iter().chain(b).flat_map(Map::keys).collect();
        for name in names {
            let below = path.then(Step::Field(name.clone()));
            differ(form, &below, a.and_then(|a| a.get(name)), b.and_then(|b| b.get(name)), found);
        }
        whole(found);
    } else if is_list(old, new) {
        let (a, b) = (items(old), items(new));
        let kind = form.list(path);
        if kind == List::Atomic || a.is_empty() && b.is_empty() {
            return leaf(found);
        }
        differ_items(form, path, &kind, (a, b), found);
        whole(found);
    } else {
        leaf(found);
    }
}

fn differ_items(form: &Form<'_>, path: &Path, kind: &List, lists: (&[Json], &[Json]), found: &mut Between) {
    let (old, new) = lists;
    let steps: BTreeSet<Step> = old.iter().chain(new).filter_map(|i| step_to(kind, i)).collect();
    let all = |items: &'_ [Json], step: &Step| -> Vec<Json> {
        items.iter().filter(|i| step_to(kind, i).as_ref() == Some(step)).cloned().collect()
    };
    for step in steps {
        let (a, b) = (all(old, &step), all(new, &step));
        let below = path.then(step);
        match (a.as_slice(), b.as_slice()) {
            ([] | [_], [] | [_]) => differ(form, &below, a.first(), b.first(), found),
            ([_, _, ..], [_, _, ..]) => {
                if a.len() != b.len() || a.iter().zip(&b).any(|(a, b)| !same(a, b)) {
                    insert(&mut found.modified, &below);
                }
            }
            ([_, _, ..], rest) => {
                if let Some(one) = rest.first() {
                    differ(form, &below, None, Some(one), found);
                }
                insert(&mut found.removed, &below);
            }
            (rest, [_, _, ..]) => {
                if let Some(one) = rest.first() {
                    differ(form, &below, Some(one), None, found);
                }
                insert(&mut found.added, &below);
            }
        }
    }
}

fn insert(set: &mut Tree, path: &Path) {
    let mut at = set;
    for step in &path.0 {
        at = at.below.entry(step.clone()).or_default();
    }
    at.here = true;
}

/// Equal by value: `1` is `1.0`.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => x == y || x.as_f64().is_some() && x.as_f64() == y.as_f64(),
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, v)| y.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}
