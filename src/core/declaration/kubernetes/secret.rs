//! Keeps the values of Secrets out of everything but their `data`: finds them where they must not stand, hides texts that
//! could not be read, and collects what no output may show.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde_json::Value as Json;

use super::super::problems::Problems;
use super::super::tree::At;
use super::super::vars::Vars;
use super::piece::{Piece, What};

/// Whether an object is a Secret, whose data no output may show.
pub fn is_secret(object: &Piece) -> bool {
    let says = |key: &str, what: &str| object.get(key).and_then(Piece::text) == Some(what);
    says("kind", "Secret") && says("apiVersion", "v1")
}

/// The parts of a Secret that hold its values.
pub const PARTS: [&str; 2] = ["data", "stringData"];

/// Refuses the text of a secret variable anywhere but in a Secret's values.
pub fn scan(object: &Piece, vars: &Vars, problems: &mut Problems<'_>) {
    if vars.secrets.is_empty() {
        return;
    }
    let found = |text: &str| vars.secrets.iter().any(|s| text.contains(s.as_str()));
    each(object, &mut |part| {
        let keys = part.table().into_iter().flat_map(|t| t.iter()).filter(|(k, _)| found(k));
        let keys: Vec<At> = keys.map(|(_, below)| below.key).collect();
        let value = part.plain().filter(|text| found(text)).map(|_| part.at);
        for at in keys.into_iter().chain(value) {
            refuse(at, problems);
        }
    });
}

/// Visits every part of an object but the values of Secrets, those inside of lists of objects included.
fn each<'p>(part: &'p Piece, visit: &mut dyn FnMut(&'p Piece)) {
    visit(part);
    match &part.what {
        What::List(items) => items.iter().for_each(|i| each(i, visit)),
        What::Table(table) => {
            let secret = is_secret(part);
            table
                .iter()
                .filter(|(key, _)| !(secret && PARTS.contains(&key.as_str())))
                .for_each(|(_, p)| each(p, visit));
        }
        What::Null | What::Bool(_) | What::Number(_) | What::Text(_) | What::Bad => {}
    }
}

fn refuse(at: At, problems: &mut Problems<'_>) {
    problems.error(
        "E0206",
        at,
        "a secret variable shows here, and this text is shown in plans and stands in the cluster for all to read",
        "use it in the `stringData` of a Secret, and name that Secret here",
    );
}

/// Refuses every place but a Secret's values at which a file comes out otherwise when its secrets are others: there a
/// secret shows, however a template has turned it.
pub fn differing(is: &Piece, other: &Piece, problems: &mut Problems<'_>) {
    match (&is.what, &other.what) {
        (What::Table(a), What::Table(b)) => {
            let secret = is_secret(is);
            for (key, below) in a.iter().filter(|(key, _)| !(secret && PARTS.contains(&key.as_str()))) {
                match b.get(key) {
                    Some(other) => differing(below, other, problems),
                    None => refuse(below.key, problems),
                }
            }
        }
        (What::List(a), What::List(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(a, b)| differing(a, b, problems));
        }
        (a, b) if a == b => {}
        (_, _) => refuse(is.at, problems),
    }
}

/// Another secret of the same length and kind of characters.
pub fn other(value: &Json) -> Json {
    let turn = |c: char| match c {
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from_u32(u32::from(c) + 1).unwrap_or(c),
        'z' => 'a',
        'Z' => 'A',
        '9' => '1',
        c => c,
    };
    match value {
        Json::String(s) => s.chars().map(turn).collect::<String>().into(),
        Json::Array(items) => items.iter().map(other).collect(),
        Json::Number(n) => n.as_i64().map_or_else(|| value.clone(), |n| n.checked_add(1).unwrap_or(0).into()),
        Json::Bool(b) => (!b).into(),
        Json::Null | Json::Object(_) => value.clone(),
    }
}

/// Words that stand in so many texts that hiding them would hide everything.
const COMMON: &[&str] = &["true", "false", "null", "none"];

/// What no output may show of an object: a Secret's values, as they are and decoded.
pub fn values(object: &Piece, into: &mut BTreeSet<String>) {
    if !is_secret(object) {
        return;
    }
    for part in PARTS {
        let Some(values) = object.get(part) else { continue };
        values.leaves(&mut Vec::new(), &mut |_, leaf| {
            let Some(text) = leaf.plain() else { return };
            let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let decoded = BASE64.decode(packed.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok());
            match decoded.filter(|_| part == "data") {
                Some(decoded) => {
                    // A text that is not written as base64 usually is would be missed by whoever looks for that.
                    if BASE64.encode(decoded.as_bytes()) != text {
                        keep(text, into);
                    }
                    keep(decoded, into);
                }
                None => keep(text, into),
            }
        });
    }
}

fn keep(text: String, into: &mut BTreeSet<String>) {
    let lower = text.trim().to_ascii_lowercase();
    if text.chars().count() >= 4 && !COMMON.contains(&lower.as_str()) {
        into.insert(text);
    }
}

/// A text of the same length in which only the keys of simple lines can be read: for files that may hold a Secret and
/// could not be understood.
pub fn hidden(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        let word = line[indent..].find(|c: char| !(c.is_ascii_alphanumeric() || "_.-/".contains(c)));
        let colon = word.map(|w| indent + w).filter(|at| line[*at..].starts_with(':'));
        let keep = colon.map_or(indent, |at| at + 1);
        out += &line[..keep];
        for c in line[keep..].chars() {
            if c.is_whitespace() {
                out.push(c);
            } else {
                (0..c.len_utf8()).for_each(|_| out.push('*'));
            }
        }
    }
    out
}
