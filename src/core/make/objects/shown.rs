//! A comparison in the plan's words: fields, reasons, what an object is.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::applyset;
use crate::objects::compare::{self, Comparison};
use crate::objects::{immutable, redact};
use crate::plan::{FieldChange, Reason, Why};
use crate::value::Value;

/// One word of what it is: the image of a workload, the type of a service.
pub(super) fn what(body: &Json) -> String {
    let at = |path: &[&str]| path.iter().try_fold(body, |v, key| v.get(key));
    let containers = at(&["spec", "template", "spec", "containers"])
        .or_else(|| at(&["spec", "jobTemplate", "spec", "template", "spec", "containers"]))
        .or_else(|| at(&["spec", "containers"]));
    let image = containers.and_then(|c| c.get(0)).and_then(|c| c.get("image")).and_then(Json::as_str);
    image.unwrap_or_default().to_owned()
}

/// The fields of a comparison as the screen shows them.
pub(super) fn fields(live: &Json, found: &Comparison) -> Vec<FieldChange> {
    let secret = |d: &compare::Difference| [&d.live, &d.wish].into_iter().flatten().any(redact::is_digest);
    let one = |d: &compare::Difference| {
        let field = d.path.to_string();
        let (old, new) = if secret(d) {
            let word = |v: &Option<Json>, word: &str| v.as_ref().map_or(Value::Null, |_| Value::Text(word.into()));
            (word(&d.live, "(secret)"), word(&d.wish, "(secret, changed)"))
        } else {
            (d.live.as_ref().map_or(Value::Null, value), d.wish.as_ref().map_or(Value::Null, value))
        };
        let why = match d.why {
            compare::Why::Pending | compare::Why::Removal | compare::Why::Follows => Why::Declared,
            compare::Why::Drift => Why::Drifted,
            compare::Why::Conflict => Why::Conflict,
            compare::Why::Restamp => Why::Stamp,
        };
        let forces_replacement = immutable::forces_replacement(live, &d.path, d.wish.as_ref()).map(str::to_owned);
        let by = d.held.last().filter(|_| why != Why::Declared).cloned();
        FieldChange { field, old, new, why, forces_replacement, by }
    };
    found.differences.iter().filter(|d| d.why != compare::Why::Restamp && !is_mark(d)).map(one).collect()
}

/// Our own mark of what was applied last moves with every change.
fn is_mark(d: &compare::Difference) -> bool {
    d.path.fields().last() == Some(&applyset::APPLIED)
}

/// One reason a sort of difference.
pub(super) fn reasons(fields: &[FieldChange], found: &Comparison) -> Vec<Reason> {
    let mut all = crate::make::reasons(fields);
    if found.adopts {
        all.push(Reason { why: Why::Declared, says: "exists already and was not applied by evenkeel".into() });
    }
    if all.is_empty() {
        let held: BTreeSet<String> =
            found.differences.iter().filter_map(|d| d.held.last()).map(|h| h.manager.clone()).collect();
        let who = held.into_iter().collect::<Vec<_>>().join(", ");
        let says = if who.is_empty() {
            "is as the file says, and is marked as ours".to_owned()
        } else {
            format!("is as the file says by the hand of {who}")
        };
        all.push(Reason { why: Why::Stamp, says });
    }
    all
}

/// Everything that a workload's object is made with, the defaults that evenkeel chose among it.
pub(super) fn written(body: &Json) -> Vec<FieldChange> {
    let mut out = Vec::new();
    if let Some(spec) = body.get("spec") {
        leaves("spec", spec, &mut out);
    }
    let one = |(field, new): (String, Value)| FieldChange {
        field,
        old: Value::Null,
        new,
        why: Why::Declared,
        forces_replacement: None,
        by: None,
    };
    out.into_iter().map(one).collect()
}

fn leaves(path: &str, json: &Json, out: &mut Vec<(String, Value)>) {
    match json {
        Json::Object(all) if !all.is_empty() => all.iter().for_each(|(k, v)| leaves(&format!("{path}.{k}"), v, out)),
        Json::Array(all) if all.iter().any(Json::is_object) => {
            for (i, item) in all.iter().enumerate() {
                let name = item.get("name").and_then(Json::as_str).map_or_else(|| i.to_string(), str::to_owned);
                leaves(&format!("{path}[{name}]"), item, out);
            }
        }
        Json::Object(_) | Json::Array(_) | Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            out.push((path.to_owned(), value(json)));
        }
    }
}

/// JSON as a plan's value.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => n.as_i64().map_or_else(|| Value::Text(n.to_string()), Value::Int),
        Json::String(s) => Value::Text(s.clone()),
        Json::Array(all) => Value::List(all.iter().map(value).collect()),
        Json::Object(all) => Value::Map(all.iter().map(|(k, v)| (k.clone(), value(v))).collect()),
    }
}
