//! The files of a manifest: found among those that were read, filled in where they are templates, read as YAML.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::super::Source;
use super::super::conform::shown;
use super::super::jinja;
use super::super::keys::nearest;
use super::super::problems::Problems;
use super::super::reader::Reader;
use super::super::tree::{At, Node};
use super::super::vars::Vars;
use super::object::Lines;
use super::pattern::Pattern;
use super::piece::Piece;
use super::{Context, secret, yaml};

/// A file's objects.
pub struct Loaded {
    /// Its path from the declaration's folder.
    pub file: String,
    /// Its documents.
    pub documents: Vec<Piece>,
    /// Where its lines begin.
    pub lines: Lines,
}

/// The patterns of `files` that may be looked for.
pub fn patterns(node: &Node) -> impl Iterator<Item = (&Node, Pattern)> {
    let form = super::super::format::Format::Kube(super::forms::Form::Files);
    node.items().iter().filter_map(move |item| {
        let text = item.text().filter(|t| form.check(t).is_ok())?;
        Some((item, Pattern::new(text).ok()?))
    })
}

/// Reads all files that a manifest's `files` names, each once.
pub fn load(r: &Reader<'_>, path: &str, context: &Json, c: &Context<'_>, problems: &mut Problems<'_>) -> Vec<Loaded> {
    let Some(node) = r.node("files") else { return Vec::new() };
    for item in node.items() {
        if let Some(Err(why)) = item.text().map(Pattern::new) {
            let says = format!("{} is not a pattern: {why}", shown(item.text().unwrap_or_default()));
            problems.error("E1002", item.at, says, "write a file, a folder, or a pattern such as \"k8s/*.yaml\"");
        }
    }
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (item, pattern) in patterns(node) {
        if let Some(why) = c.unread.get(pattern.text()) {
            let says = format!("{} cannot be read: {why}", shown(pattern.text()));
            problems.error("E1003", item.at, says, "correct the name, or see who may read it");
            continue;
        }
        let mut any = false;
        let names = c.files.keys().chain(c.unread.keys()).filter(|f| pattern.matches(f)).collect::<BTreeSet<_>>();
        for name in names {
            any = true;
            if !seen.insert(name.clone()) {
                continue;
            }
            match c.files.get(name) {
                Some(bytes) => all.extend(one(name, bytes, item.at, r, path, context, c, problems)),
                None => {
                    let why = c.unread.get(name).map_or("", String::as_str);
                    let says = format!("{} cannot be read: {why}", shown(name));
                    problems.error("E1003", item.at, says, "see who may read it, or leave it out of the pattern");
                }
            }
        }
        if !any {
            let (says, way_out) = if pattern.is_plain() {
                (
                    "there is no file or folder with manifests called",
                    "correct the name; a folder's .yaml, .yml and .json files count",
                )
            } else {
                ("no file matches", "correct the pattern; `*` stops at a folder's end, `**` does not")
            };
            problems.error("E1002", item.at, format!("{says} {}", shown(item.text().unwrap_or_default())), way_out);
        }
    }
    all
}

/// One file.
#[allow(clippy::too_many_arguments)] // Each is one fact about the file; a struct for one call would only hide them.
fn one(
    name: &str,
    bytes: &[u8],
    at: At,
    r: &Reader<'_>,
    path: &str,
    context: &Json,
    c: &Context<'_>,
    problems: &mut Problems<'_>,
) -> Option<Loaded> {
    let Ok(text) = String::from_utf8(bytes.to_vec()) else {
        let says = format!("the file {} is not UTF-8 text", shown(name));
        problems.error("E0303", at, says, "save it as UTF-8");
        return None;
    };
    let shows = beside(c.file, name);
    let is_template = r.bool("template").unwrap_or(name.ends_with(".j2"));
    if !is_template {
        let source = problems.source(Source { name: shows, text: text.clone() });
        let before = problems.errors();
        let documents = yaml::parse(source, &text, problems);
        if problems.errors() > before && text.contains("Secret") {
            problems.hide(source, secret::hidden(&text));
            problems.silence(source);
        }
        return Some(Loaded { file: name.to_owned(), lines: Lines::of(&text), documents });
    }
    let filled = match jinja::fill(&text, context) {
        Ok(filled) => filled,
        Err((says, line)) => {
            let source = problems.source(Source { name: shows, text: text.clone() });
            template_error(&text, &says, line_at(&text, line, source), path, context, c.vars, problems);
            if text.contains("Secret") {
                problems.hide(source, secret::hidden(&text));
                problems.silence(source);
            }
            return None;
        }
    };
    let source = problems.source(Source { name: format!("{shows} (filled in)"), text: filled.clone() });
    let before = problems.errors();
    let documents = yaml::parse(source, &filled, problems);
    let secrets = mentions(&text, c);
    if problems.errors() == before && secrets {
        taint(&text, &documents, context, c, problems);
    }
    let broken = problems.errors() > before;
    if secrets || (broken && filled.contains("Secret")) {
        problems.hide(source, secret::hidden(&filled));
        if broken {
            problems.silence(source);
        }
    }
    Some(Loaded { file: name.to_owned(), lines: Lines::of(&filled), documents })
}

/// A file's name for messages: beside the declaration as the user named that.
fn beside(declaration: &str, name: &str) -> String {
    match declaration.rsplit_once(['/', '\\']) {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    }
}

/// Whether a template may show a secret variable.
fn mentions(text: &str, c: &Context<'_>) -> bool {
    let secret = |name: &str| name == "vars" || name.split('.').nth(1).is_some_and(|v| c.vars.secret.contains(v));
    // A template whose names cannot be told is said to mention all.
    !c.vars.secret.is_empty() && jinja::template_names(text).map_or(true, |names| names.iter().any(|n| secret(n)))
}

/// Fills the template in a second time with other secrets, and refuses what comes out otherwise.
fn taint(text: &str, documents: &[Piece], context: &Json, c: &Context<'_>, problems: &mut Problems<'_>) {
    let mut others = context.clone();
    for name in &c.vars.secret {
        if let Some(value) = others.get_mut("vars").and_then(|v| v.get_mut(name)) {
            *value = secret::other(value);
        }
    }
    // A template that does not work with another secret is looked through for the secret's own text only.
    let Ok(filled) = jinja::fill(text, &others) else { return };
    let again = yaml::parse(0, &filled, &mut Problems::new(&[]));
    let start = documents.first().map(|d| d.at);
    if let (Some(at), true) = (start, documents.len() != again.len()) {
        problems.error(
            "E0206",
            at,
            "how many objects this file has depends on a secret variable",
            "use secrets in the `stringData` of a Secret only",
        );
        return;
    }
    documents.iter().zip(&again).for_each(|(a, b)| secret::differing(a, b, problems));
}

/// The line of a text, from 1, without its indentation.
fn line_at(text: &str, line: usize, file: usize) -> At {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let end = start + text[start..].lines().next().map_or(0, str::len);
    At { file, start: end - text[start..end].trim_start().len(), end }
}

fn template_error(
    text: &str,
    says: &str,
    at: At,
    path: &str,
    context: &Json,
    vars: &Vars,
    problems: &mut Problems<'_>,
) {
    let missing = jinja::missing_names(text, context);
    let named = missing.iter().find(|name| !vars.lacks(name));
    if named.is_none() && !missing.is_empty() {
        return;
    }
    let at_hand = "at hand are group, namespace, vars.…, stack.name, stack.id and env";
    let (says, way_out) = match named {
        Some(name) => {
            let vars = context.get("vars").and_then(Json::as_object);
            let near = name.strip_prefix("vars.").and_then(|n| nearest(n, vars?.keys().map(String::as_str)));
            let way_out = near.map_or_else(
                || format!("{at_hand}; add a variable to [vars], or to `vars` of [{path}]"),
                |near| format!("write `vars.{near}`"),
            );
            (format!("`{}` is not at hand", name.escape_debug()), way_out)
        }
        None => (says.to_owned(), at_hand.to_owned()),
    };
    problems.error("E1009", at, format!("this template does not work: {says}"), way_out);
}
