//! Fills in the templates that texts of the file hold. Boot scripts are not touched: they are rendered for each slot.

use serde_json::{Value as Json, json};

use super::jinja::{self, SMALL};
use super::keys::nearest;
use super::problems::Problems;
use super::tree::{At, Node, Val};
use super::vars::Vars;

/// Renders every text of the file but `[vars]`, `[outputs]` and scripts. What a template makes keeps its type where the
/// text is that template and nothing else.
pub fn expand(root: &mut Node, env: Option<&str>, vars: &Vars, problems: &mut Problems<'_>) {
    let context = context(root, env, vars);
    let Val::Table(table) = &mut root.val else { return };
    for (name, node) in table.iter_mut().filter(|(name, _)| name.as_str() != "vars" && name.as_str() != "outputs") {
        let place = match name.as_str() {
            "machines" => Place::Machines,
            "manifests" => Place::Objects,
            _ => Place::Plain,
        };
        walk(node, &context, vars, problems, place);
    }
}

/// What templates have at hand: `vars`, `stack`, and `env` when an environment was chosen.
pub fn context(root: &Node, env: Option<&str>, vars: &Vars) -> Json {
    let of = |key: &str| root.get("stack").and_then(|s| s.get(key)).and_then(Node::text).unwrap_or("").to_owned();
    let mut context = json!({ "vars": vars.values, "stack": { "name": of("name"), "id": of("id") } });
    if let Some(env) = env {
        context["env"] = env.into();
    }
    context
}

/// What part of the file is walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Any other.
    Plain,
    /// Groups of machines, whose scripts are left alone.
    Machines,
    /// Kubernetes objects, whose secrets may hold secrets.
    Objects,
    /// The values of a Kubernetes secret.
    Secret,
}

fn walk(node: &mut Node, context: &Json, vars: &Vars, problems: &mut Problems<'_>, place: Place) {
    match &mut node.val {
        Val::Text(text) if text.contains("{{") || text.contains("{%") || text.contains("{#") => {
            let text = text.clone();
            if !at_hand(node, &text, vars, place, problems) {
                node.val = Val::Bad;
                return;
            }
            match made(&text, context, node.at) {
                Ok(val) => {
                    if let Some(secret) = leak(&val, vars).filter(|_| place != Place::Secret) {
                        only_in_scripts(node, secret, problems);
                    }
                    node.val = val;
                    node.made = true;
                }
                Err(says) => {
                    let way_out = if says.contains("not there") && text.contains("env") && context.get("env").is_none()
                    {
                        "choose an environment with `--env NAME`, or write {{ env | default('dev') }}"
                    } else {
                        "write a template such as {{ vars.team }}; for a brace of its own write {{ '{{' }}"
                    };
                    problems.error("E0204", node.at, format!("this template does not work: {says}"), way_out);
                    node.val = Val::Bad;
                }
            }
        }
        Val::List(items) => items.iter_mut().for_each(|item| walk(item, context, vars, problems, place)),
        Val::Table(table) => {
            let says = |key: &str, what: &str| table.get(key).and_then(Node::text) == Some(what);
            let secret = place == Place::Objects && says("kind", "Secret") && says("apiVersion", "v1");
            for (name, below) in table.iter_mut() {
                if place == Place::Machines && name == "user-data" {
                    script(below, context, vars, problems);
                } else if secret && matches!(name.as_str(), "data" | "stringData") {
                    walk(below, context, vars, problems, Place::Secret);
                } else {
                    walk(below, context, vars, problems, place);
                }
            }
        }
        Val::Text(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::Bad => {}
    }
}

/// Everything of `user-data` but the script itself.
fn script(node: &mut Node, context: &Json, vars: &Vars, problems: &mut Problems<'_>) {
    match &mut node.val {
        Val::Table(table) => {
            for (_, below) in table.iter_mut().filter(|(name, _)| name.as_str() != "text") {
                walk(below, context, vars, problems, Place::Plain);
            }
        }
        Val::Text(_) | Val::List(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::Bad => {
            walk(node, context, vars, problems, Place::Plain);
        }
    }
}

fn made(text: &str, context: &Json, at: At) -> Result<Val, String> {
    let Some(expr) = jinja::whole(text) else { return jinja::render(text, context, SMALL).map(Val::Text) };
    val(jinja::evaluate(expr, context, SMALL)?, at)
}

/// JSON → TOML, one level of list deep: all that a key of ours takes.
fn val(value: Json, at: At) -> Result<Val, String> {
    Ok(match value {
        Json::String(s) => Val::Text(s),
        Json::Bool(b) => Val::Bool(b),
        Json::Number(n) => match n.as_i64() {
            Some(n) => Val::Int(n),
            None => Val::Float(n.as_f64().unwrap_or(0.0)),
        },
        Json::Array(items) => {
            let item = |v| Ok(Node { at, key: at, val: val(v, at)?, made: true });
            Val::List(items.into_iter().map(item).collect::<Result<_, String>>()?)
        }
        Json::Null => return Err("its value is none".to_owned()),
        Json::Object(_) => return Err("its value is a table, and no key takes one from a template".to_owned()),
    })
}

/// Whether all names of a template are at hand; says which are not.
fn at_hand(node: &Node, text: &str, vars: &Vars, place: Place, problems: &mut Problems<'_>) -> bool {
    // A template that does not parse is reported when it is rendered.
    let Ok(names) = jinja::template_names(text) else { return true };
    let mut fine = true;
    for name in names {
        let (root, rest) = name.split_once('.').unwrap_or((&name, ""));
        let first = rest.split('.').next().unwrap_or("");
        let (says, way_out, near) = match root {
            "vars" if vars.secret.contains(first) && place != Place::Secret => {
                only_in_scripts(node, first, problems);
                fine = false;
                continue;
            }
            "vars" if !first.is_empty() && !vars.declared.contains(first) => {
                let near = nearest(first, vars.declared.iter().map(String::as_str));
                let way_out = format!("add `{first} = …` to [vars]");
                (format!("there is no variable `{}`", first.escape_debug()), way_out, near.map(|n| format!("vars.{n}")))
            }
            // Declared without a value: said at its declaration.
            "vars" if !first.is_empty() && !vars.values.contains_key(first) => {
                fine = false;
                continue;
            }
            "vars" | "env" => continue,
            "stack" if matches!(first, "" | "name" | "id") => continue,
            "slot" | "zone" | "group" | "count" => (
                format!("`{root}` is at hand in user data only"),
                "take it out; every machine of a group has the same keys".to_owned(),
                None,
            ),
            _ => {
                let near = nearest(root, ["vars", "stack", "env"]).map(str::to_owned);
                let way_out = "templates here may name vars.…, stack.name, stack.id and env".to_owned();
                (format!("`{}` is not at hand", name.escape_debug()), way_out, near)
            }
        };
        let way_out = near.as_ref().map_or(way_out, |n| format!("write `{n}`"));
        let added = problems.error("E0205", node.at, says, way_out);
        if let Some(near) = near {
            added.label(format!("did you mean `{near}`?"));
        }
        fine = false;
    }
    fine
}

fn leak<'v>(val: &Val, vars: &'v Vars) -> Option<&'v str> {
    let found = |text: &str| vars.secrets.iter().any(|s| text.contains(s.as_str()));
    let leaks = match val {
        Val::Text(text) => found(text),
        Val::List(items) => items.iter().filter_map(Node::text).any(found),
        Val::Int(n) => found(&n.to_string()),
        Val::Float(_) | Val::Bool(_) | Val::Date | Val::Table(_) | Val::Bad => false,
    };
    leaks.then_some("…")
}

fn only_in_scripts(node: &Node, name: &str, problems: &mut Problems<'_>) {
    problems.error(
        "E0206",
        node.at,
        format!("`vars.{name}` is secret, and this text is shown in plans and tags"),
        "use secrets in user data, or in the `stringData` of a Kubernetes Secret",
    );
}
