//! Whether two values are the same, also where the server writes them in other words.
//!
//! "Same" must be sure; "differs" may be wrong and is settled by the server. So a form is looked through only where the
//! field is known to have it: `1000m` is `1` under `requests` and never in an argument or an annotation.

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::path::{Path, whole};
use super::{Sort, defaults, quantity};

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// Word for word.
    Equal,
    /// In meaning: nothing would change, but the server would not call them equal.
    Alike,
    /// Not, as far as can be told.
    No,
}

/// Compares a value of the file with the live one at `path`. `ours`: we hold it, so that what is absent was dropped by
/// the server itself (it leaves out empty and zero values) and not by anybody else.
pub fn same(sort: Sort<'_>, path: &Path, wish: &Value, live: &Value, ours: bool) -> Same {
    if equal(wish, live) {
        return Same::Equal;
    }
    let mut fields = path.fields();
    let wish = match wish {
        Value::Object(_) | Value::Array(_) => &defaults::filled(sort, &fields, wish),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => wish,
    };
    if alike(Look { sort, ours }, &mut fields, wish, live) { Same::Alike } else { Same::No }
}

/// Nothing at all: null, an empty list. An empty table may mean something ("all namespaces").
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    }
}

/// Empty or zero: what the server may leave out when it writes an object down.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(table) => table.values().all(is_zero),
    }
}

/// Word for word; numbers by value; null is absent.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || matches!((whole(a), whole(b)), (Some(a), Some(b)) if a == b) || {
                let both = (a.as_f64(), b.as_f64());
                whole(a).is_none() && whole(b).is_none() && both.0 == both.1
            }
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            let there = |m: &Map<String, Value>| m.values().filter(|v| !v.is_null()).count();
            there(a) == there(b)
                && a.iter().filter(|(_, v)| !v.is_null()).all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}

#[derive(Clone, Copy)]
struct Look<'a> {
    sort: Sort<'a>,
    ours: bool,
}

fn alike<'a>(look: Look<'_>, fields: &mut Vec<&'a str>, wish: &'a Value, live: &'a Value) -> bool {
    if equal(wish, live) {
        return true;
    }
    match (wish, live) {
        (Value::Object(w), Value::Object(l)) => {
            if let (Some(w), Some(l)) = (requirements(w), requirements(l))
                && w == l
            {
                return true;
            }
            let keys = w.keys().chain(l.keys().filter(|k| !w.contains_key(*k)));
            let mut all = true;
            for key in keys {
                all = all
                    && match (w.get(key), l.get(key)) {
                        (Some(w), Some(l)) => {
                            fields.push(key);
                            let same = alike(look, fields, w, l);
                            fields.pop();
                            same
                        }
                        (Some(w), None) => is_nothing(w) || (look.ours && is_zero(w)),
                        (None, Some(l)) => is_nothing(l) || (look.sort.is_built_in() && is_bare(key, l)),
                        (None, None) => true,
                    };
            }
            all
        }
        (Value::Array(w), Value::Array(l)) => {
            w.len() == l.len() && w.iter().zip(l).all(|(w, l)| alike(look, fields, w, l))
        }
        _ => scalar(look.sort, fields, wish, live),
    }
}

/// Parts that the server writes down empty though nobody asked for them.
fn is_bare(key: &str, value: &Value) -> bool {
    matches!(key, "resources" | "status" | "metadata" | "securityContext" | "strategy" | "updateStrategy")
        && is_zero(value)
}

fn scalar(sort: Sort<'_>, fields: &[&str], wish: &Value, live: &Value) -> bool {
    let (parent, name) = match fields {
        [.., parent, name] => (*parent, *name),
        [name] => ("", *name),
        [] => return false,
    };
    if sort.is_built_in() {
        // Zero asks the server, or a controller of its own, to choose one.
        let chosen: &[&str] = match sort.kind {
            "Service" => &["clusterIP", "nodePort", "healthCheckNodePort"],
            "PersistentVolumeClaim" => &["volumeName"],
            "Pod" => &["nodeName"],
            "Node" => &["podCIDR", "providerID"],
            _ => &[],
        };
        if chosen.contains(&name) && is_zero(wish) && !wish.is_null() {
            return true;
        }
        if is_quantity(sort, parent, name) {
            return matches!((quantity::nano(wish), quantity::nano(live)), (Some(a), Some(b)) if a == b);
        }
        if matches!(name, "maxSurge" | "maxUnavailable" | "minAvailable" | "targetPort" | "port") {
            return int_or_text(wish) == int_or_text(live) && int_or_text(wish).is_some();
        }
    }
    let (Some(wish), Some(live)) = (wish.as_str(), live.as_str()) else { return false };
    let bytes = match sort.kind {
        "Secret" => fields.first() == Some(&"data"),
        "ConfigMap" => fields.first() == Some(&"binaryData"),
        _ => sort.is_built_in() && (name == "caBundle" || (name == "request" && sort.kind.starts_with("Certificate"))),
    };
    if bytes {
        return matches!((decode(wish), decode(live)), (Some(a), Some(b)) if a == b);
    }
    let in_map = matches!(parent, "annotations" | "labels" | "data" | "matchLabels" | "parameters");
    !in_map && (same_time(wish, live) || (!sort.is_built_in() && is_span(name) && same_span(wish, live)))
}

/// Fields whose type is a quantity, in Kubernetes 1.37.
fn is_quantity(sort: Sort<'_>, parent: &str, name: &str) -> bool {
    match parent {
        "requests" | "limits" | "hard" | "overhead" | "podFixed" => return true,
        "capacity" => return true,
        "default" | "defaultRequest" | "max" | "min" | "maxLimitRequestRatio" if sort.kind == "LimitRange" => {
            return true;
        }
        _ => {}
    }
    match name {
        "sizeLimit" | "divisor" | "averageValue" | "maximumVolumeSize" => true,
        "tolerance" | "value" => sort.kind == "HorizontalPodAutoscaler" || sort.group == "resource.k8s.io",
        "capacity" => sort.kind == "CSIStorageCapacity",
        "capacityMultiplier" | "deviceMultiplier" | "perContainer" | "perPod" => sort.group == "resource.k8s.io",
        "default" | "min" | "max" | "step" | "validValues" => sort.group == "resource.k8s.io",
        _ => false,
    }
}

fn int_or_text(value: &Value) -> Option<String> {
    match value {
        Value::Number(n) => whole(n).map(|n| n.to_string()),
        Value::String(s) => Some(s.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Base64 as a file may write it: over several lines.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64.decode(text.as_bytes()).ok()
}

/// The same instant in another zone or with another precision.
fn same_time(a: &str, b: &str) -> bool {
    let full = |s: &str| s.contains('T').then(|| s.parse::<Timestamp>().ok()).flatten();
    matches!((full(a), full(b)), (Some(a), Some(b)) if a == b)
}

/// Custom objects' fields that hold spans of time by the field's own habits of naming.
fn is_span(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["duration", "interval", "timeout", "period", "ttl", "age", "delay", "retention", "backoff", "before", "after"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// `1h`, `60m` and `1h0m0s`.
fn same_span(a: &str, b: &str) -> bool {
    let span = |s: &str| {
        let unit = s.starts_with(|c: char| c.is_ascii_digit()) && s.ends_with(|c: char| c.is_ascii_alphabetic());
        unit.then(|| s.parse::<SignedDuration>().ok()).flatten()
    };
    matches!((span(a), span(b)), (Some(a), Some(b)) if a == b)
}

/// A label selector as its requirements: a label that must have a value is the expression `In` with that value.
fn requirements(table: &Map<String, Value>) -> Option<Vec<(&str, &str, Vec<&str>)>> {
    if table.is_empty() || table.keys().any(|k| k != "matchLabels" && k != "matchExpressions") {
        return None;
    }
    let mut all = Vec::new();
    if let Some(labels) = table.get("matchLabels").filter(|v| !v.is_null()) {
        for (label, value) in labels.as_object()? {
            all.push((label.as_str(), "In", vec![value.as_str()?]));
        }
    }
    if let Some(expressions) = table.get("matchExpressions").filter(|v| !v.is_null()) {
        for e in expressions.as_array()? {
            let values = e.get("values").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let mut values: Vec<&str> = values.iter().map(Value::as_str).collect::<Option<_>>()?;
            values.sort_unstable();
            values.dedup();
            all.push((e.get("key")?.as_str()?, e.get("operator")?.as_str()?, values));
        }
    }
    all.sort();
    all.dedup();
    Some(all)
}

#[cfg(test)]
mod tests;
