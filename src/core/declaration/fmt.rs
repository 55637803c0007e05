//! One way to write a declaration: blocks in the order of the reference, even spacing, every comment kept.
//!
//! Refuses to change what a file means: the result is read again, and where it would say anything else the text is
//! given back as it was. Comments behind values keep their distance, so that columns stay columns.

use toml_edit::{Array, DocumentMut, InlineTable, Item, KeyMut, Table, Value};

use super::problems::Problems;
use super::root::FILE;
use super::{Source, parse};
use crate::diagnostic::Diagnostic;

/// The text, formatted.
///
/// # Errors
/// Every syntax error of a text that is not TOML.
pub fn fmt(text: &str) -> Result<String, Vec<Diagnostic>> {
    fmt_source(&Source { name: "evenkeel.toml".into(), text: text.to_owned() })
}

/// The same for a text whose problems are to be shown under its own name.
///
/// # Errors
/// Every syntax error of a text that is not TOML.
pub fn fmt_source(source: &Source) -> Result<String, Vec<Diagnostic>> {
    let text = source.text.as_str();
    let sources = std::slice::from_ref(source);
    let mut problems = Problems::new(sources);
    let before = parse::parse(0, text, &mut problems);
    if problems.any_error() {
        return Err(problems.sorted().0);
    }
    let document = text.parse::<DocumentMut>();
    let Ok(mut document) = document.map_err(|_| ()) else { return Err(problems.sorted().0) };
    reorder(&mut document);
    tidy(&mut document);
    let mut after = document.to_string();
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    let mut none = Problems::new(&[]);
    let same = parse::parse(0, &after, &mut none).json() == before.json() && !none.any_error();
    Ok(if same { after } else { text.to_owned() })
}

/// Where a block stands in the file; unknown ones last, as they were.
fn rank(name: &str) -> usize {
    FILE.keys.iter().position(|k| k.name == name).unwrap_or(FILE.keys.len())
}

fn reorder(document: &mut DocumentMut) {
    // First pass: where each header stands and belongs. Second pass, in the same order: its new place.
    let mut places = Vec::new();
    for (key, item) in document.as_table_mut().iter_mut() {
        let rank = rank(key.get());
        headers(item, &mut |table| places.push((rank, table.position())));
    }
    let mut order: Vec<usize> = (0..places.len()).filter(|i| places[*i].1.is_some()).collect();
    let first_before = order.iter().copied().min_by_key(|i| places[*i].1);
    order.sort_by_key(|i| places[*i]);
    let first_now = order.first().copied();
    let mut new = vec![None; places.len()];
    for (position, i) in order.into_iter().enumerate() {
        new[i] = isize::try_from(position).ok();
    }
    let mut head = String::new();
    let visit = |document: &mut DocumentMut, act: &mut dyn FnMut(usize, &mut Table)| {
        let mut i = 0;
        for (_, item) in document.as_table_mut().iter_mut() {
            headers(item, &mut |table| {
                act(i, table);
                i += 1;
            });
        }
    };
    visit(document, &mut |i, table| {
        if first_now != first_before && Some(i) == first_before {
            head = behead(table);
        }
        if table.position().is_some() {
            table.set_position(new[i]);
        }
    });
    if !head.is_empty() {
        visit(document, &mut |i, table| {
            if Some(i) == first_now {
                let own = text(table.decor().prefix());
                table.decor_mut().set_prefix(format!("{head}{}", own.trim_start_matches(['\n', '\r'])));
            }
        });
    }
}

/// Visits every table below an item that has, or may have, a header of its own.
fn headers(item: &mut Item, visit: &mut dyn FnMut(&mut Table)) {
    let table = |table: &mut Table, visit: &mut dyn FnMut(&mut Table)| {
        if !table.is_dotted() {
            visit(table);
        }
        table.iter_mut().for_each(|(_, item)| headers(item, visit));
    };
    match item {
        Item::Table(t) => table(t, visit),
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|t| table(t, visit)),
        Item::Value(_) | Item::None => {}
    }
}

/// Takes the file's head off the comments before a table: everything up to the last blank line, and `#:schema`.
fn behead(table: &mut Table) -> String {
    let prefix = text(table.decor().prefix());
    let lines: Vec<&str> = prefix.split_inclusive('\n').collect();
    let blank = lines.iter().rposition(|l| l.trim().is_empty() && l.ends_with('\n')).map_or(0, |i| i + 1);
    let schema = lines.iter().rposition(|l| l.trim_start().starts_with("#:schema")).map_or(0, |i| i + 1);
    let (head, rest) = lines.split_at(blank.max(schema));
    let (mut head, rest) = (head.concat(), rest.concat());
    table.decor_mut().set_prefix(rest);
    if head.trim().is_empty() {
        head.clear();
    } else if !head.ends_with("\n\n") {
        head.push('\n');
    }
    head
}

fn tidy(document: &mut DocumentMut) {
    let mut first = true;
    let end = text(Some(document.trailing()));
    values(document.as_table_mut(), &mut first);
    let opens = first;
    let mut lowest = None;
    document.as_table_mut().iter_mut().for_each(|(_, item)| {
        headers(item, &mut |t| lowest = [lowest, t.position()].into_iter().flatten().min());
    });
    for (key, item) in document.as_table_mut().iter_mut() {
        tidy_item(key, item, if opens { lowest } else { None });
    }
    let mut lines = lines(&(end + "\n"), true);
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let empty = opens && lowest.is_none();
    let gap = if lines.is_empty() || empty { "" } else { "\n" };
    let lines: Vec<_> = lines.into_iter().skip_while(String::is_empty).collect();
    document.set_trailing(if lines.is_empty() { String::new() } else { format!("{gap}{}\n", lines.join("\n")) });
}

/// A table with a header, and all below it. `first` is the position of the file's first header when nothing stands
/// before it.
fn tidy_item(mut key: KeyMut<'_>, item: &mut Item, first: Option<isize>) {
    match item {
        Item::Table(table) => {
            key.leaf_decor_mut().clear();
            key.dotted_decor_mut().clear();
            tidy_table(table, first);
        }
        Item::ArrayOfTables(tables) => {
            key.leaf_decor_mut().clear();
            key.dotted_decor_mut().clear();
            tables.iter_mut().for_each(|table| tidy_table(table, first));
        }
        Item::Value(_) | Item::None => {}
    }
}

fn tidy_table(table: &mut Table, first: Option<isize>) {
    if table.is_dotted() {
        return;
    }
    let before = lines(&text(table.decor().prefix()), true);
    let gap = if table.position().is_some() && table.position() == first { "" } else { "\n" };
    let before: String = before.into_iter().map(|l| l + "\n").collect();
    let behind = behind(&text(table.decor().suffix()));
    *table.decor_mut() = toml_edit::Decor::new(format!("{gap}{before}"), behind);
    values(table, &mut true);
    table.iter_mut().for_each(|(key, item)| tidy_item(key, item, first));
}

/// The keys with values that a table's header has under it.
fn values(table: &mut Table, first: &mut bool) {
    for (mut key, item) in table.iter_mut() {
        match item {
            Item::Value(value) => {
                let before = lines(&text(key.leaf_decor().prefix()), *first);
                let before: String = before.into_iter().map(|l| l + "\n").collect();
                *key.leaf_decor_mut() = toml_edit::Decor::new(before, " ");
                key.dotted_decor_mut().clear();
                let behind = behind(&text(value.decor().suffix()));
                tidy_value(value, 0);
                *value.decor_mut() = toml_edit::Decor::new(" ", behind);
                *first = false;
            }
            Item::Table(dotted) if dotted.is_dotted() => {
                key.dotted_decor_mut().clear();
                values(dotted, first);
            }
            Item::Table(_) | Item::ArrayOfTables(_) | Item::None => {}
        }
    }
}

/// The inside of a value.
fn tidy_value(value: &mut Value, depth: usize) {
    match value {
        Value::Array(array) => tidy_array(array, depth),
        Value::InlineTable(table) => {
            if !comments(table) {
                tidy_inline(table, depth, true);
                table.set_trailing("");
                table.set_trailing_comma(false);
            }
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

fn tidy_array(array: &mut Array, depth: usize) {
    let end = text(Some(array.trailing()));
    let on_lines = end.contains('\n')
        || array.iter().any(|v| text(v.decor().prefix()).contains('\n') || text(v.decor().suffix()).contains('\n'));
    let last = array.len().saturating_sub(1);
    let comma = array.trailing_comma();
    if !on_lines {
        for (i, value) in array.iter_mut().enumerate() {
            tidy_value(value, depth);
            *value.decor_mut() = toml_edit::Decor::new(if i == 0 { "" } else { " " }, "");
        }
        array.set_trailing("");
        array.set_trailing_comma(false);
        return;
    }
    let indent = "    ".repeat(depth + 1);
    // What stands behind the last item moves behind the comma that it gets.
    let mut rest = end;
    for (i, value) in array.iter_mut().enumerate() {
        tidy_value(value, depth + 1);
        let before = between(&text(value.decor().prefix()), &indent);
        let mut after = text(value.decor().suffix());
        if i == last && !comma {
            rest = format!("{after}{rest}");
            after = String::new();
        }
        let after = if after.contains('#') { between(&after, &indent) } else { String::new() };
        *value.decor_mut() = toml_edit::Decor::new(before, after);
    }
    array.set_trailing_comma(true);
    array.set_trailing(between(&rest, &"    ".repeat(depth)));
}

/// Comments between two items: the first may stand behind the item before, the others on lines of their own, and the
/// text ends where the next item begins.
fn between(text: &str, indent: &str) -> String {
    let mut out = String::new();
    for (i, line) in text.split('\n').enumerate() {
        let comment = line.trim();
        if comment.is_empty() {
            continue;
        }
        if i == 0 {
            out += &behind(line);
        } else {
            out += &format!("\n{indent}{comment}");
        }
    }
    out + "\n" + indent
}

/// Whether a comment stands anywhere between an inline table's braces, values of its own apart.
fn comments(table: &InlineTable) -> bool {
    let here = |d: &toml_edit::Decor| text(d.prefix()).contains('#') || text(d.suffix()).contains('#');
    text(Some(table.trailing())).contains('#')
        || table.iter().any(|(name, value)| {
            let below = match value {
                Value::InlineTable(t) if t.is_dotted() => comments(t),
                _ => here(value.decor()),
            };
            below || table.key(name).is_some_and(|k| here(k.leaf_decor()) || here(k.dotted_decor()))
        })
}

fn tidy_inline(table: &mut InlineTable, depth: usize, ends: bool) {
    let last = table.len().saturating_sub(1);
    for (i, (mut key, value)) in table.iter_mut().enumerate() {
        let ends = ends && i == last;
        key.dotted_decor_mut().clear();
        match value {
            Value::InlineTable(dotted) if dotted.is_dotted() => tidy_inline(dotted, depth, ends),
            value => {
                *key.leaf_decor_mut() = toml_edit::Decor::new(" ", " ");
                tidy_value(value, depth);
                *value.decor_mut() = toml_edit::Decor::new(" ", if ends { " " } else { "" });
            }
        }
    }
}

/// A comment behind a value: at its own distance, at least one space.
fn behind(suffix: &str) -> String {
    let suffix = suffix.trim_end();
    if suffix.is_empty() || suffix.starts_with([' ', '\t']) { suffix.to_owned() } else { format!(" {suffix}") }
}

/// The comment lines and single blank lines of what stands before a key or a header; `opens`: no blank line first.
fn lines(prefix: &str, opens: bool) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let Some((whole, _)) = prefix.rsplit_once('\n') else { return out };
    for line in whole.split('\n').map(str::trim) {
        let again = line.is_empty() && out.last().map_or(opens, String::is_empty);
        if !again {
            out.push(line.to_owned());
        }
    }
    out
}

fn text(raw: Option<&toml_edit::RawString>) -> String {
    raw.and_then(|r| r.as_str()).unwrap_or("").to_owned()
}
