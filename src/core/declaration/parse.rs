//! TOML text → [`Node`], with every syntax error at its place and a way out for each.

use toml::de::DeTable;

use super::nesting::{LEVELS, too_deep};
use super::problems::Problems;
use super::tree::{At, Node, tree};

/// The longest text read: 1 MiB. A declaration of a thousand groups is a tenth of it.
pub const LONGEST: usize = 1 << 20;

/// Reads source number `file`. What could be understood of a broken text comes back too.
pub fn parse(file: usize, text: &str, problems: &mut Problems<'_>) -> Node {
    let start = At { file, start: 0, end: 0 };
    if text.len() > LONGEST {
        problems.error(
            "E0004",
            start,
            format!("the file is {} bytes long; at most {LONGEST} are read", text.len()),
            "move big texts into files of their own, such as a boot script named by `user-data`",
        );
        return tree(file, &DeTable::new(), start, &mut |_| {});
    }
    if let Some(deep) = too_deep(text) {
        nested(At { file, start: deep.start, end: deep.end }, problems);
        return tree(file, &DeTable::new(), start, &mut |_| {});
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        syntax(At { file, start: span.start, end: span.end }, error.message(), problems);
    }
    let broken = problems.any_error();
    let mut big = Vec::new();
    let root = tree(file, table.get_ref(), start, &mut |at| big.push(at));
    // A number that the parser already complained about comes back empty: once is enough.
    for at in big.into_iter().filter(|_| !broken) {
        problems.error(
            "E0106",
            at,
            "this number does not fit in 64 bits",
            "write a smaller number; the reference in docs/declaration.md has each key's range",
        );
    }
    root
}

fn syntax(at: At, message: &str, problems: &mut Problems<'_>) {
    let text = problems.text(at).to_owned();
    if message.starts_with("duplicate key") {
        problems
            .error(
                "E0002",
                at,
                format!("`{}` stands here a second time", text.trim()),
                "keep one of the two; to add to a table, put the keys under its one header",
            )
            .label("second time");
    } else if message.contains("recursion") {
        nested(at, problems);
    } else if message.starts_with("string values must be quoted") {
        let bare = text.trim();
        if bare.is_empty() {
            problems.error("E0001", at, "a value is missing after `=`", "write a value, such as \"text\", 3 or true");
        } else if plain(bare) {
            problems
                .error("E0001", at, format!("the text {bare} needs quotes"), format!("write \"{bare}\""))
                .fix(at, format!("\"{bare}\""));
        } else {
            problems.error("E0001", at, "text needs quotes", "put it between double quotes");
        }
    } else {
        let (says, expected) = match message.split_once(", expected ") {
            Some((says, expected)) => (says, expected.replace("`\\n`", "a new line")),
            None => (message, String::new()),
        };
        let way_out = if expected.is_empty() || expected == "nothing" {
            "take it away, or see https://toml.io for how it is written".to_owned()
        } else {
            format!("here may stand: {expected}")
        };
        problems.error("E0001", at, format!("not TOML: {says}"), way_out);
    }
}

fn nested(at: At, problems: &mut Problems<'_>) {
    problems.error("E0003", at, format!("tables and lists are nested too deep ({LEVELS} levels)"), "nest less");
}

/// Whether quoting it cannot change what was meant: one line, nothing that starts another value or a comment.
fn plain(s: &str) -> bool {
    s.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:%".contains(c))
}
