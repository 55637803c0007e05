//! Custom objects by their definition's schema: what it does not know goes, what it has a default for is filled in,
//! and what does not fit is said.

use evenkeel_kubernetes::api::Cause;
use serde_json::Value as Json;

use super::super::object::{flag, items, text};
use super::super::refuse::cause;

/// Takes away what the schema does not know.
pub(super) fn prune(object: &mut Json, schema: &Json) {
    let Some(table) = object.as_object_mut() else { return };
    for (name, value) in table.iter_mut() {
        if !matches!(name.as_str(), "apiVersion" | "kind" | "metadata")
            && let Some(below) = schema.get("properties").and_then(|p| p.get(name))
        {
            cut(value, below);
        }
    }
    keep_known(table, schema, true);
}

fn cut(value: &mut Json, schema: &Json) {
    match value {
        Json::Object(table) => {
            for (name, below) in table.iter_mut() {
                let known = schema.get("properties").and_then(|p| p.get(name));
                let any = schema.get("additionalProperties").filter(|a| a.is_object());
                if let Some(known) = known.or(any) {
                    cut(below, known);
                }
            }
            keep_known(table, schema, false);
        }
        Json::Array(all) => {
            if let Some(schema) = schema.get("items") {
                all.iter_mut().for_each(|item| cut(item, schema));
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn keep_known(table: &mut serde_json::Map<String, Json>, schema: &Json, root: bool) {
    let free = flag(schema, &["x-kubernetes-preserve-unknown-fields"])
        || schema.get("additionalProperties").is_some_and(|a| a.is_object() || a == &Json::Bool(true));
    if !free {
        let own = |name: &str| root && matches!(name, "apiVersion" | "kind" | "metadata");
        table.retain(|name, _| own(name) || schema.get("properties").is_some_and(|p| p.get(name).is_some()));
    }
}

/// Fills in the schema's defaults.
pub(super) fn fill(value: &mut Json, schema: &Json) {
    match value {
        Json::Object(table) => {
            for (name, below) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
                if let Some(default) = below.get("default")
                    && !table.contains_key(name)
                {
                    table.insert(name.clone(), default.clone());
                }
                if let Some(value) = table.get_mut(name) {
                    fill(value, below);
                }
            }
            if let Some(any) = schema.get("additionalProperties").filter(|a| a.is_object()) {
                table.values_mut().for_each(|v| fill(v, any));
            }
        }
        Json::Array(all) => {
            if let Some(schema) = schema.get("items") {
                all.iter_mut().for_each(|item| fill(item, schema));
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// What does not fit the schema.
pub(in super::super) fn misfits(value: &Json, schema: &Json, at: &str, found: &mut Vec<Cause>) {
    let wanted = text(schema, &["type"]);
    let is = match value {
        Json::Object(_) => "object",
        Json::Array(_) => "array",
        Json::String(_) => "string",
        Json::Bool(_) => "boolean",
        Json::Number(n) if n.is_i64() || n.is_u64() => "integer",
        Json::Number(_) => "number",
        Json::Null => "null",
    };
    let either = flag(schema, &["x-kubernetes-int-or-string"]) && matches!(is, "integer" | "string");
    let fits = wanted.is_empty() || wanted == is || either || wanted == "number" && is == "integer";
    if !fits {
        let says = format!("Invalid value: \"{is}\": {at} in body must be of type {wanted}: \"{is}\"");
        return found.push(cause("FieldValueTypeInvalid", at, says));
    }
    if let Some(allowed) = schema.get("enum").and_then(Json::as_array)
        && !allowed.contains(value)
    {
        let words: Vec<String> = allowed.iter().map(Json::to_string).collect();
        let says = format!("Unsupported value: {value}: supported values: {}", words.join(", "));
        found.push(cause("FieldValueNotSupported", at, says));
    }
    if let Some(table) = value.as_object() {
        for name in items(schema, &["required"]).iter().filter_map(Json::as_str) {
            if !table.contains_key(name) {
                let field = below(at, name);
                found.push(cause("FieldValueRequired", field, "Required value"));
            }
        }
        for (name, part) in table {
            let known = schema.get("properties").and_then(|p| p.get(name));
            let any = schema.get("additionalProperties").filter(|a| a.is_object());
            if let Some(schema) = known.or(any) {
                misfits(part, schema, &below(at, name), found);
            }
        }
    }
    if let (Some(all), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (n, item) in all.iter().enumerate() {
            misfits(item, schema, &format!("{at}[{n}]"), found);
        }
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
