//! What the server fills in inside of values that are held as one piece.
//!
//! Elsewhere a default is nobody's and silent by itself. Inside of one piece it would read as a difference, so the
//! wish is filled in first. What is missing here costs a dry run and nothing else.

use serde_json::{Map, Value, json};

use super::Sort;

/// `value`, which stands where `fields` lead, with the defaults that Kubernetes 1.37 gives.
pub fn filled(sort: Sort<'_>, fields: &[&str], value: &Value) -> Value {
    let mut value = value.clone();
    if sort.is_built_in() {
        let mut fields: Vec<String> = fields.iter().map(|f| (*f).to_owned()).collect();
        fill(sort, &mut fields, &mut value);
    }
    value
}

fn fill(sort: Sort<'_>, fields: &mut Vec<String>, value: &mut Value) {
    match value {
        Value::Object(table) => {
            let before = fields.len().checked_sub(2).map_or("", |n| fields[n].as_str());
            let name = fields.last().map_or("", String::as_str);
            table_defaults(sort, before, name, table);
            for (key, below) in table.iter_mut() {
                fields.push(key.clone());
                fill(sort, fields, below);
                fields.pop();
            }
        }
        Value::Array(items) => {
            list_defaults(sort, fields, items);
            items.iter_mut().for_each(|item| fill(sort, fields, item));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn list_defaults(sort: Sort<'_>, fields: &[String], items: &mut Vec<Value>) {
    if fields == ["spec", "metrics"] && sort.kind == "HorizontalPodAutoscaler" && items.is_empty() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        items.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    if fields == ["spec", "tolerations"] && sort.kind == "Pod" {
        // Every pod stays for five minutes where the node falls silent, unless it says otherwise.
        for node in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let text = |t: &Value, key: &str| t.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let covers =
                |t: &Value| ["", node].contains(&&*text(t, "key")) && ["", "NoExecute"].contains(&&*text(t, "effect"));
            if !items.iter().any(covers) {
                let (operator, effect) = ("Exists", "NoExecute");
                items.push(json!({"key": node, "operator": operator, "effect": effect, "tolerationSeconds": 300}));
            }
        }
    }
}

fn table_defaults(sort: Sort<'_>, parent: &str, name: &str, table: &mut Map<String, Value>) {
    let is = |table: &Map<String, Value>, key: &str, value: &str| table.get(key).and_then(Value::as_str) == Some(value);
    match (sort.group, parent, name) {
        (_, _, "fieldRef") => set(table, "apiVersion", json!("v1")),
        (_, _, "resourceFieldRef") => set(table, "divisor", json!("0")),
        (_, _, "serviceAccountToken") => set(table, "expirationSeconds", json!(3600)),
        (_, _, "onPodConditions") => set(table, "status", json!("True")),
        ("apps", _, "volumeClaimTemplates") => {
            set(table, "apiVersion", json!("v1"));
            set(table, "kind", json!("PersistentVolumeClaim"));
            set(table, "status", json!({"phase": "Pending"}));
        }
        ("apps", "volumeClaimTemplates", "spec") => set(table, "volumeMode", json!("Filesystem")),
        ("rbac.authorization.k8s.io", _, "roleRef") => set(table, "apiGroup", json!("rbac.authorization.k8s.io")),
        ("rbac.authorization.k8s.io", _, "subjects") if is(table, "kind", "User") || is(table, "kind", "Group") => {
            set(table, "apiGroup", json!("rbac.authorization.k8s.io"));
        }
        ("networking.k8s.io", "ingress" | "egress", "ports") => set(table, "protocol", json!("TCP")),
        ("", "subsets", "ports") => set(table, "protocol", json!("TCP")),
        ("discovery.k8s.io", "", "ports") => {
            set(table, "protocol", json!("TCP"));
            set(table, "name", json!(""));
        }
        ("discovery.k8s.io", _, "endpoints") => set(table, "conditions", json!({})),
        ("admissionregistration.k8s.io", "webhooks", "rules") => set(table, "scope", json!("*")),
        ("admissionregistration.k8s.io", _, "resourceRules" | "excludeResourceRules") => {
            set(table, "scope", json!("*"))
        }
        ("admissionregistration.k8s.io", _, "matchConstraints" | "matchResources") => {
            set(table, "matchPolicy", json!("Equivalent"));
            set(table, "namespaceSelector", json!({}));
            set(table, "objectSelector", json!({}));
        }
        ("", "spec", "limits") if sort.kind == "LimitRange" && is(table, "type", "Container") => limits(table),
        ("resource.k8s.io", _, "exactly" | "firstAvailable") => {
            set(table, "allocationMode", json!("ExactCount"));
            if is(table, "allocationMode", "ExactCount") {
                set(table, "count", json!(1));
            }
        }
        _ => {}
    }
}

fn set(table: &mut Map<String, Value>, key: &str, value: Value) {
    if table.get(key).is_none_or(Value::is_null) {
        table.insert(key.to_owned(), value);
    }
}

/// A container's default limit is its maximum; its default request is its default limit, else its minimum.
fn limits(table: &mut Map<String, Value>) {
    let part = |table: &Map<String, Value>, name: &str| table.get(name).and_then(Value::as_object).cloned();
    let under = |upper: Option<Map<String, Value>>, lower: Option<Map<String, Value>>| {
        let mut all = lower.unwrap_or_default();
        all.extend(upper.unwrap_or_default());
        all
    };
    let limit = under(part(table, "default"), part(table, "max"));
    let request = under(part(table, "defaultRequest"), Some(under(Some(limit.clone()), part(table, "min"))));
    for (name, all) in [("default", limit), ("defaultRequest", request)] {
        if !all.is_empty() {
            table.insert(name.to_owned(), Value::Object(all));
        }
    }
}
