//! An object as it is kept, and small ways to read and write the tables in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// A JSON value that stands in the world's file as text: TOML has no null, and a manifest reads best as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Body(pub Json);

impl Serialize for Body {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string_pretty(&self.0).map_err(serde::ser::Error::custom)?;
        s.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// One object of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Object {
    /// When its own state moves on; absent: not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The object, as the API shows it.
    pub body: Body,
}

/// The value at a path of fields.
pub(super) fn at<'a>(object: &'a Json, fields: &[&str]) -> Option<&'a Json> {
    fields.iter().try_fold(object, |v, f| v.get(*f)).filter(|v| !v.is_null())
}

/// The text at a path of fields; empty where there is none.
pub(super) fn text<'a>(object: &'a Json, fields: &[&str]) -> &'a str {
    at(object, fields).and_then(Json::as_str).unwrap_or_default()
}

/// The whole number at a path of fields.
pub(super) fn number(object: &Json, fields: &[&str]) -> Option<i64> {
    at(object, fields).and_then(Json::as_i64)
}

/// The truth at a path of fields; false where there is none.
pub(super) fn flag(object: &Json, fields: &[&str]) -> bool {
    at(object, fields).and_then(Json::as_bool).unwrap_or(false)
}

/// The items of the list at a path of fields.
pub(super) fn items<'a>(object: &'a Json, fields: &[&str]) -> &'a [Json] {
    at(object, fields).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The time at a path of fields.
pub(super) fn time(object: &Json, fields: &[&str]) -> Option<Timestamp> {
    text(object, fields).parse().ok()
}

/// The table at a path of fields, made where there is none; what stands in its way is replaced.
pub(super) fn table<'a>(object: &'a mut Json, fields: &[&str]) -> &'a mut Map<String, Json> {
    let mut at = as_table(object);
    for field in fields {
        at = as_table(at.entry((*field).to_owned()).or_insert(Json::Null));
    }
    at
}

fn as_table(value: &mut Json) -> &mut Map<String, Json> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Json::Object(table) => table,
        _ => unreachable!("it was just made a table"),
    }
}

/// Puts a value at a path of fields.
pub(super) fn put(object: &mut Json, fields: &[&str], value: impl Into<Json>) {
    if let Some((last, way)) = fields.split_last() {
        table(object, way).insert((*last).to_owned(), value.into());
    }
}

/// Puts a value where there is none yet.
pub(super) fn put_default(object: &mut Json, fields: &[&str], value: impl Into<Json>) {
    if at(object, fields).is_none() {
        put(object, fields, value);
    }
}

/// Takes the value at a path of fields away.
pub(super) fn take(object: &mut Json, fields: &[&str]) -> Option<Json> {
    let (last, way) = fields.split_last()?;
    let mut at = object;
    for field in way {
        at = at.get_mut(*field)?;
    }
    at.as_object_mut()?.remove(*last)
}

/// Whole seconds, as the API writes times.
pub(super) fn stamp(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// `metadata.finalizers`.
pub(super) fn finalizers(object: &Json) -> Vec<&str> {
    items(object, &["metadata", "finalizers"]).iter().filter_map(Json::as_str).collect()
}

/// Adds a finalizer, or takes it away.
pub(super) fn set_finalizer(object: &mut Json, name: &str, wanted: bool) {
    let mut all: Vec<String> = finalizers(object).into_iter().map(str::to_owned).collect();
    all.retain(|f| f != name);
    if wanted {
        all.push(name.to_owned());
    }
    if all.is_empty() {
        take(object, &["metadata", "finalizers"]);
    } else {
        put(object, &["metadata", "finalizers"], all);
    }
}

/// Whether it is being deleted.
pub(super) fn is_leaving(object: &Json) -> bool {
    at(object, &["metadata", "deletionTimestamp"]).is_some()
}

/// A number of bytes or of cores as text, or a bare number, as a plain text.
pub(super) fn as_text(value: &Json) -> Option<String> {
    match value {
        Json::String(s) => Some(s.clone()),
        Json::Number(n) => Some(n.to_string()),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}
