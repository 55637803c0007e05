//! `env` and `env-from`: what a container finds in its environment.

use serde_json::{Value as Json, json};

use super::super::super::format::Format;
use super::super::super::keys::{Block, Others, Shape, key};
use super::super::super::problems::Problems;
use super::super::super::reader::Reader;
use super::super::super::tree::Val;
use super::super::forms::Form;
use super::{exactly_one, plain};

/// `env`.
pub static ENV: Block = Block {
    title: "env",
    about: "Environment variables: a value, or where it is from.",
    keys: &[],
    others: Some(Others {
        name: "<NAME>",
        format: Format::Kube(Form::EnvName),
        shape: Shape::Either(&[
            Shape::Text(Format::Script),
            Shape::Int(i64::MIN, i64::MAX),
            Shape::Number(f64::MIN, f64::MAX),
            Shape::Bool,
            Shape::Table(&VALUE),
        ]),
        about: "Its value, or a table with the keys of `env.<NAME>`.",
    }),
    later: &[],
};

/// A variable's source.
pub static VALUE: Block = Block {
    title: "env.<NAME>",
    about: "Where a variable's value is from; one of the first three.",
    keys: &[
        key("secret", Shape::Text(Format::Kube(Form::Reference)), "A Secret and a key of it.")
            .default("none")
            .example("\"shop/password\""),
        key("config", Shape::Text(Format::Kube(Form::Reference)), "A ConfigMap and a key of it.")
            .default("none")
            .example("\"shop/mode\""),
        key("field", Shape::Text(Format::Any), "A field of the pod itself.")
            .default("none")
            .example("\"metadata.name\""),
        key("optional", Shape::Bool, "Starts without it where it is not there.").default("false").example("true"),
    ],
    others: None,
    later: &[],
};

/// `env-from`.
pub static ENV_FROM: Block = Block {
    title: "env-from",
    about: "All keys of one ConfigMap or Secret.",
    keys: &[
        key("secret", Shape::Text(Format::Kube(Form::Name)), "A Secret.").default("none").example("\"shop\""),
        key("config", Shape::Text(Format::Kube(Form::Name)), "A ConfigMap.").default("none").example("\"shop\""),
        key("prefix", Shape::Text(Format::Kube(Form::EnvName)), "What is put before each name.")
            .default("none")
            .example("\"SHOP_\""),
        key("optional", Shape::Bool, "Starts without it where it is not there.").default("false").example("true"),
    ],
    others: None,
    later: &[],
};

/// The container's `env`. Values that name other variables come last, because Kubernetes reads them in order.
pub fn read(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Vec<Json> {
    let Some(table) = r.table("env") else { return Vec::new() };
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for (name, node) in table.others() {
        if matches!(node.val, Val::Table(_)) {
            let Some(r) = Reader::new(node, &VALUE) else { continue };
            first.extend(source(name, &r, &format!("{path}.env.{name}"), problems));
        } else if let Some(value) = plain(node) {
            let refers = value.contains("$(");
            let entry = json!({ "name": name, "value": value });
            if refers { last.push(entry) } else { first.push(entry) }
        }
    }
    first.append(&mut last);
    first
}

fn source(name: &str, r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Option<Json> {
    let which = exactly_one(r, &["secret", "config", "field"], path, problems)?;
    let text = r.text(which)?;
    let mut from = match which {
        "field" => {
            let kind = if text.starts_with("limits.") || text.starts_with("requests.") { "resource" } else { "field" };
            let key = if kind == "resource" { "resource" } else { "fieldPath" };
            return Some(
                json!({ "name": name, "valueFrom": { format!("{kind}{}", if kind == "resource" { "FieldRef" } else { "Ref" }): { key: text } } }),
            );
        }
        _ => {
            let (object, key) = text.split_once('/')?;
            json!({ "name": object, "key": key })
        }
    };
    if r.bool("optional") == Some(true) {
        from["optional"] = true.into();
    }
    let key = if which == "secret" { "secretKeyRef" } else { "configMapKeyRef" };
    Some(json!({ "name": name, "valueFrom": { key: from } }))
}

/// The container's `envFrom`.
pub fn read_from(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Vec<Json> {
    let mut all = Vec::new();
    for (i, t) in r.tables("env-from").iter().enumerate() {
        let Some(which) = exactly_one(t, &["secret", "config"], &format!("{path}.env-from[{i}]"), problems) else {
            continue;
        };
        let mut from = json!({ "name": t.text(which) });
        if t.bool("optional") == Some(true) {
            from["optional"] = true.into();
        }
        let mut entry = json!({ if which == "secret" { "secretRef" } else { "configMapRef" }: from });
        if let Some(prefix) = t.text("prefix") {
            entry["prefix"] = prefix.into();
        }
        all.push(entry);
    }
    all
}
