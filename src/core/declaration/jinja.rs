//! minijinja as this file uses it: strict about what is not there, limited in steps, with no way to read a file.

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

/// Steps that a text of the declaration may take.
pub const SMALL: u64 = 20_000;
/// Steps that a boot script or an output may take.
pub const BIG: u64 = 200_000;

fn environment(fuel: u64) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    env.set_syntax(syntax.expect("the delimiters are the default ones"));
    env.set_fuel(Some(fuel));
    env
}

/// A template's text with `context`'s names at hand.
pub fn render(text: &str, context: &serde_json::Value, fuel: u64) -> Result<String, String> {
    let env = environment(fuel);
    env.render_str(text, Value::from(Serde(context))).map_err(|e| words(&e))
}

/// An expression's value.
pub fn evaluate(expr: &str, context: &serde_json::Value, fuel: u64) -> Result<serde_json::Value, String> {
    let env = environment(fuel);
    let expr = env.compile_expression(expr).map_err(|e| words(&e))?;
    let value = expr.eval(Value::from(Serde(context))).map_err(|e| words(&e))?;
    if value.is_undefined() {
        return Err("it names something that is not there".to_owned());
    }
    serde_json::to_value(&value).map_err(|_| "its value cannot be written as JSON".to_owned())
}

/// The names that an expression takes from outside.
pub fn names(expr: &str) -> Result<BTreeSet<String>, String> {
    let env = environment(SMALL);
    let expr = env.compile_expression(expr).map_err(|e| words(&e))?;
    let known: BTreeSet<_> = env.globals().map(|(name, _)| name.to_owned()).collect();
    Ok(expr.undeclared_variables(false).into_iter().filter(|n| !known.contains(n)).collect())
}

/// The names that a template takes from outside, with the parts behind them: `vars.team`, `slot`.
pub fn template_names(text: &str) -> Result<BTreeSet<String>, String> {
    let env = environment(SMALL);
    let template = env.template_from_str(text).map_err(|e| words(&e))?;
    let known: BTreeSet<_> = env.globals().map(|(name, _)| name.to_owned()).collect();
    Ok(template.undeclared_variables(true).into_iter().filter(|n| !known.contains(n)).collect())
}

/// The inside of a text that is one expression and nothing else: `{{ vars.count }}`.
pub fn whole(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inside.contains("{{") && !inside.contains("}}")).then(|| inside.trim_matches('-'))
}

fn words(e: &minijinja::Error) -> String {
    let line = e.line().filter(|l| *l > 1).map(|l| format!(" (line {l})")).unwrap_or_default();
    let what = match e.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        ErrorKind::UndefinedError => "it names something that is not there".to_owned(),
        ErrorKind::TemplateNotFound => "templates cannot include other files".to_owned(),
        kind => match e.detail() {
            Some(detail) => detail.to_owned(),
            None => kind.to_string(),
        },
    };
    format!("{what}{line}")
}
