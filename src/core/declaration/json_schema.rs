//! The table of keys as a JSON Schema (draft 2020-12), for editors. It says of each key what a person has to know:
//! meaning, default, example, unit.

use serde_json::{Map, Value as Json, json};

use super::format::Format;
use super::keys::{Block, Key, Shape};
use super::root::FILE;
use super::tree;

/// Where the published schema says it is from.
const ID: &str = "https://evenkeel.dev/schema/evenkeel.json";

/// The schema of a declaration.
pub fn schema() -> Json {
    let mut root = table(&FILE);
    if let Json::Object(map) = &mut root {
        map.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        map.insert("$id".into(), ID.into());
        map.insert("title".into(), FILE.title.into());
    }
    root
}

/// A TOML value as JSON, if it is one.
pub fn literal(text: &str) -> Option<Json> {
    let value = toml::de::DeValue::parse(text).ok()?;
    let at = tree::At { file: 0, start: 0, end: 0 };
    Some(tree::Node { at, key: at, val: tree::val(0, value.get_ref(), at, &mut |_| {}), made: false }.json())
}

fn table(block: &'static Block) -> Json {
    let properties: Map<String, Json> = block.keys.iter().map(|k| (k.name.to_owned(), key(k))).collect();
    let required: Vec<_> = block.keys.iter().filter(|k| k.required).map(|k| k.name).collect();
    let mut out = json!({ "type": "object", "description": block.about, "properties": properties });
    match &block.others {
        None => out["additionalProperties"] = false.into(),
        Some(others) => {
            let names: Vec<_> = block.keys.iter().map(|k| k.name).collect();
            let mut below = shape(&others.shape);
            below["description"] = others.about.into();
            out["additionalProperties"] = below;
            out["propertyNames"] = json!({ "anyOf": [{ "enum": names }, { "pattern": others.format.pattern() }] });
            if names.is_empty() {
                out["propertyNames"] = json!({ "pattern": others.format.pattern() });
            }
        }
    }
    if !required.is_empty() {
        out["required"] = required.into();
    }
    out
}

fn key(key: &Key) -> Json {
    let mut out = shape(&key.shape);
    out["description"] = sentence(key).into();
    if let Some(default) = literal(key.default) {
        out["default"] = default;
    }
    if let Some(example) = literal(key.example) {
        out["examples"] = json!([example]);
    }
    out
}

/// Meaning, unit and default in one text: what an editor shows beside the key.
fn sentence(key: &Key) -> String {
    let mut out = key.about.to_owned();
    if !key.unit.is_empty() {
        out += &format!("\nUnit: {}.", key.unit);
    }
    if key.required {
        out += "\nRequired.";
    } else if !key.default.is_empty() {
        out += &format!("\nDefault: {}.", key.default);
    }
    out
}

fn shape(shape: &Shape) -> Json {
    let template = json!({ "type": "string", "pattern": r"\{[{%]" });
    let or_template = |plain: Json| json!({ "anyOf": [plain, template.clone()] });
    match shape {
        Shape::Text(f @ (Format::Expression | Format::Script)) => json!({ "type": "string", "pattern": f.pattern() }),
        Shape::Text(f) => or_template(json!({ "type": "string", "pattern": f.pattern() })),
        Shape::Word(words) => or_template(json!({ "enum": words })),
        Shape::Bool => or_template(json!({ "type": "boolean" })),
        Shape::Int(min, max) => or_template(json!({ "type": "integer", "minimum": min, "maximum": max })),
        Shape::Number(min, max) => or_template(json!({ "type": "number", "minimum": min, "maximum": max })),
        Shape::Size(..) => or_template(json!({ "type": "string", "pattern": "^(0|[1-9][0-9]*)(GiB|TiB)$" })),
        Shape::Time => or_template(json!({ "type": "string", "pattern": "^[0-9].*[a-z]$" })),
        Shape::Amount => json!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 10_000 },
            { "type": "string", "pattern": "^(100|[0-9]{1,2})%$" },
            template,
        ] }),
        Shape::List(of, least) => or_template(json!({ "type": "array", "items": self::shape(of), "minItems": least })),
        Shape::Set(of, least) => {
            or_template(json!({ "type": "array", "items": self::shape(of), "minItems": least, "uniqueItems": true }))
        }
        Shape::Table(block) => table(block),
        Shape::Free => json!({ "type": "object" }),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(self::shape).collect::<Vec<_>>() }),
    }
}
