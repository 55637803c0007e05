//! Secrets without their values: a keyed digest stands for each, the same on both sides of a comparison.
//!
//! A digest belongs to its secret's name and key, so that equal values in two places do not show as equal.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::Sort;
use crate::digest::Digest;

/// How a digest of a value begins.
const PREFIX: &str = "hmac:";
/// kubectl's copy of a whole object, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether the object is a secret of Kubernetes.
pub fn is_secret(object: &Value) -> bool {
    Sort::of(object) == Sort { group: "", kind: "Secret" }
}

/// Folds `stringData` into `data`, as the server does when it is sent. What is applied is the folded object too: the
/// server holds no path for `stringData` afterwards, so nobody could tell whose it is.
pub fn fold(object: &mut Value) {
    if !is_secret(object) {
        return;
    }
    let Some(object) = object.as_object_mut() else { return };
    let Some(Value::Object(plain)) = object.remove("stringData") else { return };
    if plain.is_empty() {
        return;
    }
    let data = object.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    for (name, value) in plain {
        let value = match value {
            Value::String(text) => Value::String(BASE64.encode(text.as_bytes())),
            // The server refuses anything else; it shall say so itself.
            other => other,
        };
        data[name] = value;
    }
}

/// `object` as it may be kept, shown and compared: no value of a secret, and no copy of it.
pub fn redacted(mut object: Value, key: &str) -> Value {
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    fold(&mut object);
    if !is_secret(&object) {
        return object;
    }
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    for part in ["data", "stringData"] {
        match object.get_mut(part) {
            Some(Value::Object(values)) => {
                for (entry, value) in values.iter_mut().filter(|(_, v)| !v.is_null()) {
                    *value = Value::String(digest(key, &name, entry, value));
                }
            }
            None | Some(Value::Null) => {}
            // No table: the server refuses it, but it may be a secret all the same.
            Some(value) => *value = Value::String(digest(key, &name, part, value)),
        }
    }
    object
}

/// Whether a value is the digest of a secret's: shown as "changed", never as text.
pub fn is_digest(value: &Value) -> bool {
    value.as_str().is_some_and(|s| s.starts_with(PREFIX))
}

fn digest(key: &str, secret: &str, entry: &str, value: &Value) -> String {
    let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let packed: String = written.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded = BASE64.decode(packed.as_bytes()).unwrap_or_else(|_| written.into_bytes());
    let bytes = [secret.as_bytes(), b"\0", entry.as_bytes(), b"\0", &decoded].concat();
    format!("{PREFIX}{}", Digest::keyed(key.as_bytes(), &bytes).0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(rest: Value) -> Value {
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}});
        object.as_object_mut().expect("a table").extend(rest.as_object().expect("a table").clone());
        object
    }

    fn value(object: &Value) -> String {
        object["data"]["password"].as_str().expect("text").to_owned()
    }

    #[test]
    fn both_ways_to_write_a_value_have_one_digest() {
        let plain = redacted(secret(json!({"stringData": {"password": "hunter2"}})), "k");
        let coded = redacted(secret(json!({"data": {"password": "aHVudGVyMg=="}})), "k");
        let wrapped = redacted(secret(json!({"data": {"password": "aHVu\n  dGVyMg==\n"}})), "k");
        assert_eq!(plain, coded);
        assert_eq!(value(&plain), value(&wrapped));
        assert!(is_digest(&plain["data"]["password"]));
        let all = plain.to_string();
        assert!(!all.contains("hunter2") && !all.contains("aHVudGVyMg") && !all.contains("stringData"));
    }

    #[test]
    fn another_value_key_name_or_stack_is_another_digest() {
        let base = secret(json!({"stringData": {"password": "a", "user": "a"}}));
        let mut other = base.clone();
        other["metadata"]["name"] = json!("db2");
        let base = redacted(base, "k");
        assert_ne!(base["data"]["password"], base["data"]["user"], "equal values do not show as equal");
        assert_ne!(value(&base), value(&redacted(other, "k")));
        assert_ne!(value(&base), value(&redacted(secret(json!({"stringData": {"password": "a"}})), "l")));
        assert_ne!(value(&base), value(&redacted(secret(json!({"stringData": {"password": "b"}})), "k")));
    }

    #[test]
    fn string_data_wins_and_is_sent_folded() {
        let mut object = secret(json!({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"b": "z"}}));
        fold(&mut object);
        assert_eq!(object["data"], json!({"a": "eA==", "b": "eg=="}));
        assert_eq!(object.get("stringData"), None);
    }

    #[test]
    fn what_is_no_secret_keeps_its_values_but_no_copy_of_itself() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
            "metadata": {"annotations": {LAST_APPLIED: "{…}", "note": "n"}},
        });
        let kept = redacted(object, "k");
        assert_eq!((&kept["data"]["a"], &kept["metadata"]["annotations"]), (&json!("b"), &json!({"note": "n"})));
        let custom = json!({"apiVersion": "x.io/v1", "kind": "Secret", "data": {"a": "b"}});
        assert_eq!(redacted(custom.clone(), "k"), custom);
    }

    #[test]
    fn no_form_of_nonsense_gets_through() {
        for data in
            [json!("hunter2"), json!(["hunter2"]), json!({"a": ["hunter2"]}), json!({"a": "not base64: hunter2"})]
        {
            for part in ["data", "stringData"] {
                let kept = redacted(secret(json!({part: data})), "k").to_string();
                assert!(!kept.contains("hunter2"), "{kept}");
            }
        }
    }
}
