//! `[vars]`: values that differ from run to run. Default < variables file < `EVENKEEL_VAR_…` < `--var`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::Inputs;
use super::conform::shown;
use super::format::Format;
use super::keys::{Block, Others, Shape, key, nearest};
use super::nesting::too_deep;
use super::problems::Problems;
use super::tree::{At, Node, Val};

const PLAIN: &[Shape] = &[
    Shape::Text(Format::Script),
    Shape::Int(i64::MIN, i64::MAX),
    Shape::Number(f64::MIN, f64::MAX),
    Shape::Bool,
    Shape::List(&Shape::Text(Format::Script), 0),
];

/// `[vars]`.
pub static VARS: Block = Block {
    title: "[vars]",
    about: "Values for templates. A plain value is a default; a table says more. Set one with `--var name=value`, with \
            `EVENKEEL_VAR_<name>`, or in a file given with `--var-file`; the first of these that has it wins.",
    keys: &[],
    others: Some(Others {
        name: "<name>",
        format: Format::Var,
        shape: Shape::Either(&[PLAIN[0], PLAIN[1], PLAIN[2], PLAIN[3], PLAIN[4], Shape::Table(&VAR)]),
        about: "The default, or a table with the keys of `vars.<name>`.",
    }),
    later: &[],
};

/// `[vars.<name>]`.
pub static VAR: Block = Block {
    title: "[vars.<name>]",
    about: "A variable in full.",
    keys: &[
        key("default", Shape::Either(PLAIN), "Its value when nothing else gives one.")
            .default("none: it must be given")
            .example("\"payments\""),
        key("type", Shape::Word(&["string", "int", "bool", "list"]), "What it must be.")
            .default("that of `default`, or \"string\"")
            .example("\"string\""),
        key(
            "secret",
            Shape::Bool,
            "Its text never appears in any output, and may be used in user data and in Kubernetes Secrets only.",
        )
        .default("false")
        .example("true")
        .aka(&["sensitive"]),
        key("description", Shape::Text(Format::Any), "For whoever has to give it.")
            .default("none")
            .example("\"who pays\""),
    ],
    others: None,
    later: &[],
};

/// The variables, resolved.
#[derive(Debug, Default)]
pub struct Vars {
    /// Each variable's value.
    pub values: BTreeMap<String, Json>,
    /// Those marked secret.
    pub secret: BTreeSet<String>,
    /// The texts of those, as far as they are long enough to be looked for.
    pub secrets: BTreeSet<String>,
    /// All that are declared, with or without a value.
    pub declared: BTreeSet<String>,
}

impl Vars {
    /// Whether a name in a template (`vars.team`) is of a variable without a value: that is said at its declaration.
    pub fn lacks(&self, name: &str) -> bool {
        let of = name.strip_prefix("vars.").map(|rest| rest.split('.').next().unwrap_or_default());
        of.is_some_and(|name| self.declared.contains(name) && !self.values.contains_key(name))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Int,
    Bool,
    List,
    Any,
}

/// A text shorter than this turns up everywhere by chance and cannot be kept out of outputs.
const SHORTEST_SECRET: usize = 4;

/// Resolves `[vars]`, which has been held against [`VARS`].
pub fn read(node: Option<&Node>, inputs: &Inputs, files: &[Node], problems: &mut Problems<'_>) -> Vars {
    let mut vars = Vars::default();
    let declared = node.and_then(Node::table);
    for (name, node) in declared.into_iter().flatten() {
        vars.declared.insert(name.clone());
        let secret = matches!(node.get("secret").map(|n| &n.val), Some(Val::Bool(true)));
        let default = if node.table().is_some() { node.get("default") } else { Some(node) };
        let wanted = wanted(node, default);
        let value = if let Some(text) = inputs.vars.get(name) {
            given(text, wanted, problems, None, &format!("--var {name}"), name, secret)
        } else if let Some(text) = env_var(inputs, name) {
            given(text, wanted, problems, None, &format!("EVENKEEL_VAR_{name}"), name, secret)
        } else if let Some(node) = files.iter().rev().find_map(|f| f.get(name)) {
            typed(node, wanted, problems, name, secret)
        } else if let Some(default) = default {
            if secret {
                problems.warn(
                    "W0203",
                    default.at,
                    format!("the secret `vars.{name}` stands in the file"),
                    format!("take its default away and set EVENKEEL_VAR_{name}"),
                );
            }
            typed(default, wanted, problems, name, secret)
        } else {
            problems.error(
                "E0201",
                node.key,
                format!("`vars.{name}` has no value"),
                format!(
                    "give it with `--var {name}=…`, with EVENKEEL_VAR_{name}=…, or as `{name} = …` in a file given with \
                     --var-file; or add a `default`"
                ),
            );
            None
        };
        if secret {
            vars.secret.insert(name.clone());
        }
        vars.values.extend(value.map(|v| (name.clone(), v)));
    }
    vars.secrets = secrets(node, inputs, files);
    let short: Vec<_> = vars.secrets.iter().filter(|s| s.chars().count() < SHORTEST_SECRET).cloned().collect();
    for text in short {
        vars.secrets.remove(&text);
        problems.nowhere_warn(
            "W0202",
            format!("a secret of fewer than {SHORTEST_SECRET} characters cannot be kept out of outputs"),
            "choose a longer one",
        );
    }
    unknown(&vars, inputs, files, problems);
    vars
}

/// Every text that a secret variable has anywhere, right or wrong: none of them may be shown.
pub fn secrets(node: Option<&Node>, inputs: &Inputs, files: &[Node]) -> BTreeSet<String> {
    let declared = node.and_then(Node::table).into_iter().flatten();
    let secret = declared.filter(|(_, n)| matches!(n.get("secret").map(|s| &s.val), Some(Val::Bool(true))));
    let all = secret.flat_map(|(name, node)| {
        let written = files.iter().filter_map(|f| f.get(name)).chain(node.get("default")).map(Node::json);
        let given =
            inputs.vars.get(name).into_iter().chain(env_var(inputs, name)).map(|text| Json::from(text.as_str()));
        let parsed = given.clone().filter_map(|text| list(text.as_str()?));
        written.chain(given).chain(parsed).flat_map(|v| texts(&v)).collect::<Vec<_>>()
    });
    all.filter(|text| !text.is_empty()).collect()
}

fn wanted(node: &Node, default: Option<&Node>) -> Type {
    match node.get("type").and_then(Node::text) {
        Some("int") => Type::Int,
        Some("bool") => Type::Bool,
        Some("list") => Type::List,
        Some(_) => Type::Text,
        None => match default.map(|d| &d.val) {
            Some(Val::Int(_)) => Type::Int,
            Some(Val::Bool(_)) => Type::Bool,
            Some(Val::List(_)) => Type::List,
            Some(Val::Float(_) | Val::Date | Val::Table(_) | Val::Bad) => Type::Any,
            Some(Val::Text(_)) | None => Type::Text,
        },
    }
}

/// `EVENKEEL_VAR_db_password`, or in capitals as environment variables often are.
fn env_var<'i>(inputs: &'i Inputs, name: &str) -> Option<&'i String> {
    inputs.env_vars.get(name).or_else(|| inputs.env_vars.get(&name.to_ascii_uppercase()))
}

/// A value written in TOML.
fn typed(node: &Node, wanted: Type, problems: &mut Problems<'_>, name: &str, secret: bool) -> Option<Json> {
    let fits = match (&node.val, wanted) {
        (Val::Bad, _) => return None,
        (Val::Text(text), Type::Int | Type::Bool | Type::List) => {
            let at = Some(node.at);
            return given(&text.clone(), wanted, problems, at, &format!("`vars.{name}`"), name, secret);
        }
        (Val::Text(_), Type::Text)
        | (Val::Int(_), Type::Int)
        | (Val::Bool(_), Type::Bool)
        | (Val::List(_), Type::List)
        | (_, Type::Any) => true,
        (Val::Int(_) | Val::Bool(_) | Val::Float(_) | Val::Date | Val::List(_) | Val::Table(_), _) => false,
    };
    if fits {
        return Some(node.json());
    }
    problems.error(
        "E0202",
        node.at,
        format!("`vars.{name}` must be {}, not {}", wanted.word(), node.val.word()),
        format!("write {}", wanted.example()),
    );
    None
}

/// A value given as text: on the command line or in the environment.
fn given(
    text: &str,
    wanted: Type,
    problems: &mut Problems<'_>,
    at: Option<At>,
    whence: &str,
    name: &str,
    secret: bool,
) -> Option<Json> {
    let value = match wanted {
        Type::Text | Type::Any => Some(Json::from(text)),
        Type::Int => text.trim().parse::<i64>().ok().map(Json::from),
        Type::Bool => text.trim().parse::<bool>().ok().map(Json::from),
        Type::List => list(text),
    };
    if value.is_none() {
        let has = if secret { "something else".to_owned() } else { shown(text) };
        let says = format!("{whence} must be {}, not {has}", wanted.word());
        let way_out = format!("write {name}={}", wanted.example());
        match at {
            Some(at) => {
                problems.error("E0202", at, says, way_out);
            }
            None => problems.nowhere("E0202", says, way_out),
        }
    }
    value
}

/// `a,b`, or a TOML list.
fn list(text: &str) -> Option<Json> {
    if !text.trim_start().starts_with('[') {
        let items = text.split(',').map(str::trim).filter(|s| !s.is_empty());
        return Some(items.map(Json::from).collect());
    }
    if too_deep(text).is_some() {
        return None;
    }
    let value = toml::de::DeValue::parse(text.trim()).ok()?;
    let items = value.get_ref().as_array()?;
    items.iter().map(|i| i.get_ref().as_str().map(Json::from)).collect()
}

impl Type {
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "a whole number",
            Self::Bool => "true or false",
            Self::List => "a list of texts",
            Self::Any => "a plain value",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Text | Self::Any => "\"text\"",
            Self::Int => "3",
            Self::Bool => "true",
            Self::List => "[\"a\", \"b\"]",
        }
    }
}

fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::String(s) => vec![s.clone()],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Number(n) => vec![n.to_string()],
        Json::Null | Json::Bool(_) | Json::Object(_) => Vec::new(),
    }
}

/// Values given to variables that the file does not declare.
fn unknown(vars: &Vars, inputs: &Inputs, files: &[Node], problems: &mut Problems<'_>) {
    let near = |name: &str| nearest(name, vars.declared.iter().map(String::as_str)).map(str::to_owned);
    for name in inputs.vars.keys().filter(|n| !vars.declared.contains(*n)) {
        let way_out = match near(name) {
            Some(near) => format!("did you mean `--var {near}=…`?"),
            None => format!("add `{name}` to [vars], or take the flag away"),
        };
        problems.nowhere("E0203", format!("--var {}: there is no such variable", name.escape_debug()), way_out);
    }
    for (name, node) in files.iter().filter_map(Node::table).flatten().filter(|(n, _)| !vars.declared.contains(*n)) {
        let way_out = match near(name) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add it to [vars], or take it out of this file".to_owned(),
        };
        let says = format!("no variable is called `{}`", name.escape_debug());
        problems.warn("W0204", node.key, says, way_out);
    }
}
