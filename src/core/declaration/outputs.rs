//! `[outputs]`: expressions over the observed world, for `evenkeel output`.

use std::collections::BTreeMap;

use super::format::Format;
use super::jinja;
use super::keys::{Block, Others, Shape};
use super::problems::Problems;
use super::reader::Reader;

/// What an expression may name.
pub const ROOTS: &[&str] = &["stack", "machines", "volumes", "workloads", "manifests"];

/// `[outputs]`.
pub static OUTPUTS: Block = Block {
    title: "[outputs]",
    about: "Values for `evenkeel output`: minijinja expressions over `stack`, `machines`, `volumes`, `workloads` and \
            `manifests` as they are. A key with `-` is written with `_`: `machines.web[0].private_ip`. Kubernetes objects \
            stand by kind and name, as the cluster shows them: `workloads.shop.Service.shop.spec.clusterIP`; one whose \
            name stands in several namespaces, as `manifests.all.Service['blue/web']`.",
    keys: &[],
    others: Some(Others {
        name: "<name>",
        format: Format::Name,
        shape: Shape::Text(Format::Expression),
        about: "An expression, such as `machines.web | map(attribute='private_ip') | list`.",
    }),
    later: &[],
};

/// Reads `[outputs]`, and refuses what does not parse or names what is not there.
pub fn read(r: Option<&Reader<'_>>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, node) in r.into_iter().flat_map(Reader::others) {
        let Some(expr) = node.text() else { continue };
        match jinja::names(expr) {
            Err(says) => {
                problems.error(
                    "E0901",
                    node.at,
                    format!("`outputs.{name}` does not parse: {says}"),
                    "write an expression such as machines.web[0].private_ip",
                );
            }
            Ok(names) => {
                for unknown in names.iter().filter(|n| !ROOTS.contains(&n.as_str())) {
                    problems.error(
                        "E0902",
                        node.at,
                        format!("`outputs.{name}` names `{}`, which is not at hand", unknown.escape_debug()),
                        "begin with machines, volumes, workloads, manifests or stack, and write `_` for `-`: machines.web[0].private_ip",
                    );
                }
            }
        }
        all.insert(name.to_owned(), expr.to_owned());
    }
    all
}

/// The value of an output's expression over the world as JSON. Keys with `-` are at hand with `_` too.
///
/// # Errors
/// In words, when the expression does not parse, names what is not there, or takes too many steps.
pub fn evaluate(expr: &str, world: &serde_json::Value) -> Result<serde_json::Value, String> {
    jinja::evaluate(expr, &with_underscores(world), jinja::BIG)
}

fn with_underscores(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let mut out: serde_json::Map<_, _> =
                map.iter().map(|(k, v)| (k.replace('-', "_"), with_underscores(v))).collect();
            out.extend(map.iter().filter(|(k, _)| k.contains('-')).map(|(k, v)| (k.clone(), with_underscores(v))));
            serde_json::Value::Object(out)
        }
        serde_json::Value::Array(list) => list.iter().map(with_underscores).collect(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_reads_the_world() {
        let world =
            serde_json::json!({"machines": {"web-a": [{"private-ip": "10.0.0.1"}, {"private-ip": "10.0.0.2"}]}});
        let all = evaluate("machines.web_a | map(attribute='private_ip') | list", &world);
        assert_eq!(all, Ok(serde_json::json!(["10.0.0.1", "10.0.0.2"])));
        assert_eq!(evaluate("machines['web-a'][1]['private-ip']", &world), Ok("10.0.0.2".into()));
        assert!(evaluate("machines.db[0].id", &world).is_err());
        assert!(evaluate("machines.(", &world).is_err());
        assert!(evaluate("range(100000) | map('string') | list | length", &world).is_err(), "no endless work");
    }
}
