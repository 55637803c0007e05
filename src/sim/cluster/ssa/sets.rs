//! Sets of paths: what a value holds, and sums and differences of such sets. Written down as FieldsV1.

use evenkeel_core::objects::managed::Tree;
use evenkeel_core::objects::path::{Path, Scalar, Step};
use evenkeel_core::objects::shape::List;
use serde_json::{Map, Value as Json};

use super::form::Form;

/// The paths that a value holds when somebody applies it.
pub(super) fn fields(form: &Form<'_>, value: &Json) -> Tree {
    let mut set = Tree::default();
    collect(form, &Path::default(), value, &mut set);
    set.here = false;
    set
}

fn collect(form: &Form<'_>, path: &Path, value: &Json, set: &mut Tree) {
    match value {
        Json::Object(table) => {
            if form.is_piece(path) {
                set.here = true;
                return;
            }
            for (name, below) in table {
                let step = Step::Field(name.clone());
                let child = set.below.entry(step.clone()).or_default();
                collect(form, &path.then(step), below, child);
                let empty = below.as_object().is_some_and(Map::is_empty);
                child.here |= below.is_null() || empty || !form.declares(path, name);
            }
            set.below.retain(|_, child| !is_empty(child));
        }
        Json::Array(items) => match form.list(path) {
            List::Atomic => set.here = true,
            kind @ (List::Map(_) | List::Set) => {
                let steps: Vec<Option<Step>> = items.iter().map(|item| step_to(&kind, item)).collect();
                for (item, step) in items.iter().zip(&steps) {
                    let Some(step) = step else { continue };
                    let child = set.below.entry(step.clone()).or_default();
                    child.here = true;
                    // Items that stand twice are held as they are, without their parts.
                    if steps.iter().filter(|s| s.as_ref() == Some(step)).count() < 2 {
                        collect(form, &path.then(step.clone()), item, child);
                        child.here = true;
                    }
                }
            }
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => set.here = true,
    }
}

/// The step from a list to one of its items; `None` for what has no place in such a list.
pub(super) fn step_to(list: &List, item: &Json) -> Option<Step> {
    match list {
        List::Map(keys) => Form::key(item, keys),
        List::Set => Some(Step::Value(Scalar::from(item))),
        List::Atomic => None,
    }
}

pub(super) fn is_empty(set: &Tree) -> bool {
    !set.holds_any()
}

/// What either has.
pub(super) fn union(a: &Tree, b: &Tree) -> Tree {
    let mut all = a.clone();
    add(&mut all, b);
    all
}

pub(super) fn add(all: &mut Tree, more: &Tree) {
    all.here |= more.here;
    for (step, below) in &more.below {
        add(all.below.entry(step.clone()).or_default(), below);
    }
}

/// What both have.
pub(super) fn both(a: &Tree, b: &Tree) -> Tree {
    let below = a.below.iter().filter_map(|(step, x)| {
        let common = both(x, b.below.get(step)?);
        (!is_empty(&common)).then(|| (step.clone(), common))
    });
    Tree { here: a.here && b.here, below: below.collect() }
}

/// What `a` has and `b` has not, path by path.
pub(super) fn without(a: &Tree, b: &Tree) -> Tree {
    let below = a.below.iter().filter_map(|(step, x)| {
        let rest = b.below.get(step).map_or_else(|| x.clone(), |y| without(x, y));
        (!is_empty(&rest)).then(|| (step.clone(), rest))
    });
    Tree { here: a.here && !b.here, below: below.collect() }
}

/// The same set, with every declared field on the way to a path in it: so that a whole table can be taken away.
pub(super) fn with_tables(form: &Form<'_>, set: &Tree) -> Tree {
    fn walk(form: &Form<'_>, path: &Path, set: &Tree) -> Tree {
        let below = set.below.iter().map(|(step, child)| {
            let mut child = walk(form, &path.then(step.clone()), child);
            if let Step::Field(name) = step {
                child.here |= !child.below.is_empty() && form.declares(path, name);
            }
            (step.clone(), child)
        });
        Tree { here: set.here, below: below.collect() }
    }
    walk(form, &Path::default(), set)
}

/// The value without what the set names. What is empty afterwards is null.
pub(super) fn remove(form: &Form<'_>, value: &Json, set: &Tree) -> Json {
    cut(form, &Path::default(), value, set)
}

fn cut(form: &Form<'_>, path: &Path, value: &Json, set: &Tree) -> Json {
    let below = |step: Step, value: &Json, child: Option<&Tree>| match child {
        Some(child) if !child.below.is_empty() => cut(form, &path.then(step), value, child),
        Some(_) | None => value.clone(),
    };
    match value {
        Json::Object(table) => {
            if table.is_empty() || form.is_piece(path) {
                return Json::Null;
            }
            let mut rest = Map::new();
            for (name, part) in table {
                let step = Step::Field(name.clone());
                let child = set.below.get(&step);
                if child.is_none_or(|c| !c.here) {
                    rest.insert(name.clone(), below(step, part, child));
                }
            }
            if rest.is_empty() { Json::Null } else { Json::Object(rest) }
        }
        Json::Array(items) => {
            let kind = form.list(path);
            if items.is_empty() || kind == List::Atomic {
                return Json::Null;
            }
            let mut rest = Vec::new();
            for item in items {
                let Some(step) = step_to(&kind, item) else { continue };
                let child = set.below.get(&step);
                if child.is_none_or(|c| !c.here) {
                    rest.push(below(step, item, child));
                }
            }
            if rest.is_empty() { Json::Null } else { Json::Array(rest) }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
    }
}

/// A set as FieldsV1.
pub(super) fn write(set: &Tree) -> Json {
    let mut table = Map::new();
    if set.here && !set.below.is_empty() {
        table.insert(".".to_owned(), Json::Object(Map::new()));
    }
    for (step, below) in &set.below {
        table.insert(name(step), write(below));
    }
    Json::Object(table)
}

/// `f:name`, `k:{"name":"web"}`, `v:"x"`, `i:3`.
fn name(step: &Step) -> String {
    match step {
        Step::Field(name) => format!("f:{name}"),
        Step::Key(keys) => {
            let table: Map<String, Json> = keys.iter().map(|(k, v)| (k.clone(), json(v))).collect();
            format!("k:{}", Json::Object(table))
        }
        Step::Value(value) => format!("v:{}", json(value)),
        Step::Index(n) => format!("i:{n}"),
    }
}

pub(super) fn json(scalar: &Scalar) -> Json {
    let read = |text: &str| serde_json::from_str(text).unwrap_or(Json::Null);
    match scalar {
        Scalar::Null => Json::Null,
        Scalar::Bool(b) => Json::Bool(*b),
        Scalar::Int(n) => read(&n.to_string()),
        Scalar::Number(text) | Scalar::Json(text) => read(text),
        Scalar::Text(text) => Json::String(text.clone()),
    }
}

/// A path as the server writes it in a conflict: `.spec.template.spec.containers[name="web"].image`.
pub(super) fn spelled(path: &Path) -> String {
    let mut text = String::new();
    for step in &path.0 {
        match step {
            Step::Field(name) => {
                text.push('.');
                text.push_str(name);
            }
            Step::Key(keys) => {
                let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={}", json(v))).collect();
                text.push_str(&format!("[{}]", keys.join(",")));
            }
            Step::Value(value) => text.push_str(&format!("[={}]", json(value))),
            Step::Index(n) => text.push_str(&format!("[{n}]")),
        }
    }
    text
}
