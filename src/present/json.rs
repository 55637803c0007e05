//! Values as JSON: one form for people and programs, without secrets, safe on a terminal.

use serde::Serialize;

use crate::escape::escape_json;
use crate::redact::Redactor;

/// Indented JSON with sorted keys and a line end. Characters that hide are written as `\u…`, so the value stays the
/// same and a terminal stays whole.
pub fn pretty<T: Serialize>(value: &T, secrets: &Redactor) -> String {
    let text = serde_json::to_string_pretty(&without(value, secrets)).expect("a JSON value is always JSON");
    escape_json(&text) + "\n"
}

/// The same on one line, with a line end: for events.
pub fn line<T: Serialize>(value: &T, secrets: &Redactor) -> String {
    escape_json(&without(value, secrets).to_string()) + "\n"
}

fn without<T: Serialize>(value: &T, secrets: &Redactor) -> serde_json::Value {
    // serde_json's map sorts its keys (its `preserve_order` feature is off).
    secrets.json(serde_json::to_value(value).expect("our types have string keys and no failing serializers"))
}
