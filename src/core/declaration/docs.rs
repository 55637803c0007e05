//! The table of keys and the table of codes as Markdown: docs/declaration.md and docs/errors.md.

use super::codes::CODES;
use super::format::Format;
use super::keys::{Block, Key, Shape, one_of};
use super::root::FILE;

const NOTE: &str = "<!-- Written from the table of keys in src/core/declaration by a test. Change that table, then run the \
                    tests of evenkeel-core with EVENKEEL_UPDATE_DOCS=1. -->\n";

/// docs/declaration.md.
pub fn reference() -> String {
    let mut out = format!("# The declaration, key by key\n\n{NOTE}\n{}\n", FILE.about);
    out += "\nAn environment is a file of its own: with `--env prod`, `evenkeel.prod.toml` is laid over `evenkeel.toml`. \
            Tables are merged key by key; anything else replaces what the main file says.\n";
    let mut done = Vec::new();
    block(&FILE, &mut out, &mut done);
    out
}

/// docs/errors.md.
pub fn errors() -> String {
    let mut out = format!(
        "# Problems in a declaration\n\n{NOTE}\nEvery problem of a file is shown at once, with its place, a code and a way \
         out. `E` refuses the file, `W` is said and gone on from. `evenkeel validate --fix` makes the safe corrections.\n"
    );
    for code in CODES {
        out += &format!("\n## {}: {}\n\n{}\n", code.code, code.title, code.about);
        if !code.example.is_empty() {
            out += &format!("\n```toml\n{}\n```\n", code.example);
        }
    }
    out
}

fn block(b: &'static Block, out: &mut String, done: &mut Vec<&'static str>) {
    if done.contains(&b.title) {
        return;
    }
    done.push(b.title);
    *out += &format!("\n## `{}`\n", b.title);
    if b.title != FILE.title {
        *out += &format!("\n{}\n", b.about);
    }
    if !b.keys.is_empty() || b.others.is_some() {
        *out += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
    }
    for key in b.keys {
        *out += &row(key);
    }
    if let Some(others) = &b.others {
        *out += &line([&format!("`{}`", others.name), &value(&others.shape), "", others.about]);
    }
    if !b.later.is_empty() {
        let later: Vec<_> = b.later.iter().map(|k| format!("`{k}`")).collect();
        *out += &format!("\nKept for later versions: {}.\n", later.join(", "));
    }
    for shape in b.keys.iter().map(|k| &k.shape).chain(b.others.iter().map(|o| &o.shape)) {
        if let Some(below) = shape.block() {
            block(below, out, done);
        }
    }
}

fn row(key: &Key) -> String {
    let default = if key.required { "required" } else { key.default };
    let default =
        if super::json_schema::literal(default).is_some() { format!("`{default}`") } else { default.to_owned() };
    let mut about = key.about.to_owned();
    if !key.unit.is_empty() {
        about += &format!(" Unit: {}.", key.unit);
    }
    if !key.example.is_empty() {
        about += &format!(" Such as `{}`.", key.example);
    }
    line([&format!("`{}`", key.name), &value(&key.shape), &default, &about])
}

fn line(cells: [&str; 4]) -> String {
    let cells = cells.map(|c| c.replace('|', "\\|").replace('\n', " "));
    format!("| {} |\n", cells.join(" | "))
}

/// The shape in a few words.
fn value(shape: &Shape) -> String {
    match shape {
        Shape::Text(Format::Any | Format::Script) => "text".to_owned(),
        Shape::Text(f) => format!("text: {}", f.meaning()),
        Shape::Word(words) => one_of(words),
        Shape::Bool => "`true` or `false`".to_owned(),
        Shape::Int(i64::MIN, _) => "whole number".to_owned(),
        Shape::Int(min, max) => format!("whole number, {min} to {max}"),
        Shape::Number(f64::MIN, _) => "number".to_owned(),
        Shape::Number(min, max) => format!("number, {min} to {max}"),
        Shape::Size(..) => "size, `\"20GiB\"` or `\"1TiB\"`".to_owned(),
        Shape::Time => "time, `\"30s\"`, `\"5m\"`, `\"2h30m\"`".to_owned(),
        Shape::Amount => "count or share, `2` or `\"10%\"`".to_owned(),
        Shape::List(of, _) | Shape::Set(of, _) => format!("list: {}", value(of)),
        Shape::Table(b) => format!("table `{}`", b.title),
        Shape::Free => "table".to_owned(),
        Shape::Either(shapes) => shapes.iter().map(value).collect::<Vec<_>>().join("; or "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With EVENKEEL_UPDATE_DOCS set it writes the file instead.
    fn is_current(name: &str, text: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        if std::env::var_os("EVENKEEL_UPDATE_DOCS").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let stands = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stands == text, "docs/{name} is stale: run the tests of evenkeel-core with EVENKEEL_UPDATE_DOCS=1");
    }

    #[test]
    fn the_reference_of_keys_is_current() {
        is_current("declaration.md", &reference());
    }

    #[test]
    fn the_list_of_problems_is_current() {
        is_current("errors.md", &errors());
    }
}
