//! minijinja as this file uses it: strict about what is not there, limited in steps, with no way to read a file.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

/// Steps that a text of the declaration may take.
pub const SMALL: u64 = 20_000;
/// Steps that a boot script or an output may take.
pub const BIG: u64 = 200_000;

/// The longest expression, in bytes, and the most statements of a template. minijinja goes down one call for each
/// level of `not not …`, `1+1+…` or nested `if`, so without a bound a text of some kilobytes ends the process.
const LONGEST: usize = 2_000;
const MOST: usize = 500;

/// Whether a template's tags are few and short enough to be parsed.
fn tame(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let (mut i, mut statements) = (0, 0);
    while let Some(opens) = bytes.get(i..i + 2) {
        let closes = match opens {
            b"{{" => b"}}",
            b"{%" => b"%}",
            b"{#" => b"#}",
            _ => {
                i += 1;
                continue;
            }
        };
        statements += usize::from(opens == b"{%");
        let start = i + 2;
        i = start;
        let mut quote = None;
        // Quotes are heeded so that a closing mark in a text does not hide what follows.
        while i < bytes.len() && (quote.is_some() || bytes.get(i..i + 2) != Some(closes)) {
            match (bytes[i], quote) {
                (b'\\', Some(_)) => i += 1,
                (c, Some(q)) if c == q => quote = None,
                (c @ (b'"' | b'\''), None) if closes != b"#}" => quote = Some(c),
                (_, _) => {}
            }
            i += 1;
        }
        if closes != b"#}" && i.min(bytes.len()) - start > LONGEST {
            return Err(format!("an expression is longer than {LONGEST} bytes, or is never closed"));
        }
        i += 2;
    }
    if statements > MOST {
        return Err(format!("it has more than {MOST} statements"));
    }
    Ok(())
}

fn short(expr: &str) -> Result<(), String> {
    if expr.len() > LONGEST { Err(format!("it is longer than {LONGEST} bytes")) } else { Ok(()) }
}

/// Made once for each budget: setting one up costs a hundred times what a short template does.
fn environment(fuel: u64) -> &'static Environment<'static> {
    static SMALL_ONE: LazyLock<Environment<'static>> = LazyLock::new(|| set_up(SMALL));
    static BIG_ONE: LazyLock<Environment<'static>> = LazyLock::new(|| set_up(BIG));
    if fuel == SMALL { &SMALL_ONE } else { &BIG_ONE }
}

fn set_up(fuel: u64) -> Environment<'static> {
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
    tame(text)?;
    let env = environment(fuel);
    env.render_str(text, Value::from(Serde(context))).map_err(|e| words(&e))
}

/// The same for a file: what is wrong, and the line it is wrong in.
pub fn fill(text: &str, context: &serde_json::Value) -> Result<String, (String, usize)> {
    tame(text).map_err(|says| (says, 1))?;
    let env = environment(BIG);
    env.render_str(text, Value::from(Serde(context))).map_err(|e| (what(&e), e.line().unwrap_or(1)))
}

/// An expression's value.
pub fn evaluate(expr: &str, context: &serde_json::Value, fuel: u64) -> Result<serde_json::Value, String> {
    short(expr)?;
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
    short(expr)?;
    let env = environment(SMALL);
    let expr = env.compile_expression(expr).map_err(|e| words(&e))?;
    let known: BTreeSet<_> = env.globals().map(|(name, _)| name.to_owned()).collect();
    Ok(expr.undeclared_variables(false).into_iter().filter(|n| !known.contains(n)).collect())
}

/// The names that a template takes from outside, with the parts behind them: `vars.team`, `slot`.
pub fn template_names(text: &str) -> Result<BTreeSet<String>, String> {
    tame(text)?;
    let env = environment(SMALL);
    let template = env.template_from_str(text).map_err(|e| words(&e))?;
    let known: BTreeSet<_> = env.globals().map(|(name, _)| name.to_owned()).collect();
    Ok(template.undeclared_variables(true).into_iter().filter(|n| !known.contains(n)).collect())
}

/// The names that a template takes from outside and `context` does not have: `vars.team`. What stands behind a plain
/// value (`vars.list[0]`) is the template's own affair. None where the template does not parse.
pub fn missing_names(text: &str, context: &serde_json::Value) -> Vec<String> {
    let plain = |name: &String| name.split('.').take(2).collect::<Vec<_>>().join(".");
    let known = |name: &str| name.split('.').try_fold(context, |at, part| at.get(part)).is_some();
    let Ok(names) = template_names(text) else { return Vec::new() };
    names.iter().map(plain).filter(|name| !known(name)).collect()
}

/// The inside of a text that is one expression and nothing else: `{{ vars.count }}`.
pub fn whole(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inside.contains("{{") && !inside.contains("}}")).then(|| inside.trim_matches('-'))
}

fn words(e: &minijinja::Error) -> String {
    let line = e.line().filter(|l| *l > 1).map(|l| format!(" (line {l})")).unwrap_or_default();
    format!("{}{line}", what(e))
}

fn what(e: &minijinja::Error) -> String {
    match e.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        ErrorKind::UndefinedError => "it names something that is not there".to_owned(),
        ErrorKind::TemplateNotFound => "templates cannot include other files".to_owned(),
        kind => match e.detail() {
            Some(detail) => detail.to_owned(),
            None => kind.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_templates_are_errors_and_not_the_end() {
        let context = serde_json::json!({});
        for one in
            ["(", "[", "not ", "-", "1+", "1~", "1 if 1 else ", "1 and ", "1<", "1**", "a.b.", "a[", "a|b(", "{'a':"]
        {
            for n in [LONGEST / one.len(), 200_000] {
                let inside = one.repeat(n) + "1";
                let text = format!("{{{{ {inside} }}}}");
                let _ = (render(&text, &context, SMALL), evaluate(&inside, &context, SMALL));
                let _ = (names(&inside), template_names(&text));
            }
        }
        for chain in [".b", "[0]", "|e", "()", " is odd"] {
            let inside = "a".to_owned() + &chain.repeat(LONGEST / chain.len() - 1);
            let _ = (evaluate(&inside, &context, SMALL), template_names(&format!("{{{{ {inside} }}}}")));
        }
        for statement in ["{% if 1 %}", "{% for a in [] %}", "{% macro a() %}", "{% block a %}", "{% if 1 %}{% else %}"]
        {
            for n in [MOST / 2, MOST, 200_000] {
                let text = statement.repeat(n);
                let _ = (render(&text, &context, SMALL), template_names(&text));
            }
        }
    }

    #[test]
    fn only_tags_are_measured() {
        let long = "x".repeat(10 * LONGEST);
        assert_eq!(tame(&format!("{long}{{{{ a }}}}{long}{{# {long} #}}{{% if a %}}{long}{{% endif %}}")), Ok(()));
        assert!(tame(&format!("{{{{ \"}}}}\" ~ {long} }}}}")).is_err(), "a closing mark in a text closes nothing");
        assert!(tame(&format!("{{{{ '\\'}}}}' ~ {long} }}}}")).is_err());
        for text in ["{", "{{", "{{ '", "{{ '\\", "{%", "{# é", "{{ é }}é{"] {
            assert_eq!(tame(text), Ok(()), "{text}");
        }
    }
}
