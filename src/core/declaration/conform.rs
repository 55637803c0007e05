//! Holds a tree against the table of keys: every unknown key, missing key, wrong type and bad value, all at once.
//!
//! What passes can be read by [`super::reader::Reader`] without another word. What concerns two keys together is
//! the blocks' own work.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, Block, Shape, one_of};
use super::problems::Problems;
use super::root::FILE;
use super::tree::{At, Node, Table, Val};
use super::units::{self, Wrong};

/// What conforming needs beside the tree.
pub struct Conform<'p, 's> {
    /// Where problems go.
    pub problems: &'p mut Problems<'s>,
    /// False when a part of the text was unreadable: then a missing key may be in that part.
    pub whole: bool,
}

impl Conform<'_, '_> {
    /// Holds a table against its block. `path` is its name in messages: `machines.web`; empty for the whole file.
    pub fn table(&mut self, table: &mut Table, at: At, block: &'static Block, path: &str) {
        let mut meant = Vec::new();
        let names: BTreeSet<String> = table.keys().cloned().collect();
        for (name, node) in table.iter_mut() {
            if self.problems.full() {
                return;
            }
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if let Some(key) = block.key(name) {
                self.value(node, &key.shape, &below);
            } else if block.later.contains(&name.as_str()) {
                self.problems.error(
                    "E0102",
                    node.key,
                    format!("`{below}` is not supported by this version yet"),
                    "take it out, or put `#` before its lines until a version that knows it",
                );
            } else if let Some(others) =
                block.others.filter(|o| block.keys.is_empty() || node.made || o.shape.takes(&node.val))
            {
                if let Err(wrong) = others.format.check(name) {
                    self.wrong(node.key, others.format.code(), &below, name, wrong, false);
                }
                self.value(node, &others.shape, &below);
            } else {
                let there = |near: &str| names.contains(near);
                meant.extend(self.unknown(node, name, block, path, there));
            }
        }
        for key in block.keys.iter().filter(|k| k.required && self.whole) {
            if !table.contains_key(key.name) && !meant.contains(&key.name) {
                let place = if path.is_empty() { "the file".to_owned() } else { format!("[{path}]") };
                let way_out = match key.name {
                    "id" if path == "stack" => {
                        "run `evenkeel init --id`: it writes a fresh one here, once; ownership goes by it".to_owned()
                    }
                    _ if path.is_empty() => format!("add a [{}] table, or run `evenkeel init`", key.name),
                    name => format!("add `{name} = {}`", key.example),
                };
                self.problems
                    .error("E0104", at, format!("{place} needs `{}`", key.name), way_out)
                    .label(format!("`{}` is missing", key.name));
            }
        }
    }

    /// Says that a key is unknown; answers with the key that was meant, if one is near.
    fn unknown(
        &mut self,
        node: &Node,
        name: &str,
        block: &'static Block,
        path: &str,
        there: impl Fn(&str) -> bool,
    ) -> Option<&'static str> {
        let place = if path.is_empty() { "at the top of the file".to_owned() } else { format!("in [{path}]") };
        let says = format!("unknown key `{}` {place}", name.escape_debug());
        match block.nearest(name) {
            // A second one would be worse than an unknown one.
            Some(near) if there(near) => {
                let way_out = format!("take it away: `{near}`, which is meant most likely, stands there already");
                self.problems.error("E0101", node.key, says, way_out);
                Some(near)
            }
            Some(near) => {
                let added = self.problems.error("E0101", node.key, says, format!("write `{near}`"));
                added.label(format!("did you mean `{near}`?")).fix(node.key, near);
                Some(near)
            }
            None => {
                let known: Vec<_> = block.keys.iter().map(|k| format!("`{}`", k.name)).collect();
                let way_out = if let Some(home) = keys::home(&FILE, name) {
                    format!("`{name}` is a key of {}: put it there", home.title)
                } else if known.is_empty() {
                    "take it away".to_owned()
                } else {
                    format!("known here: {}", known.join(", "))
                };
                self.problems.error("E0101", node.key, says, way_out);
                None
            }
        }
    }

    /// Holds a value against its shape. What a template made is turned into the wanted type where that loses nothing.
    pub fn value(&mut self, node: &mut Node, shape: &Shape, path: &str) {
        if node.made {
            turn(node, shape);
        }
        match (shape, &mut node.val) {
            (_, Val::Bad) => {}
            (Shape::Either(shapes), val) => match shapes.iter().find(|s| s.takes(val)) {
                Some(shape) => self.value(node, shape, path),
                None => self.wrong_type(node, shape, path),
            },
            (Shape::Text(format), Val::Text(s)) => {
                if let Err(wrong) = format.check(s) {
                    let s = s.clone();
                    self.wrong(node.at, format.code(), path, &s, wrong, node.made);
                }
            }
            (Shape::Word(words), Val::Text(s)) => {
                if !words.contains(&s.as_str()) {
                    let near = keys::nearest(&s.to_ascii_lowercase(), words.iter().copied());
                    let wrong =
                        Wrong::new(format!("is not one of {}", one_of(words)), format!("write {}", one_of(words)));
                    let wrong = match near {
                        Some(near) => Wrong { way_out: format!("write \"{near}\""), ..wrong }.meant(near),
                        None => wrong,
                    };
                    let s = s.clone();
                    self.wrong(node.at, "E0105", path, &s, wrong, node.made);
                }
            }
            (Shape::Bool, Val::Bool(_)) => {}
            (Shape::Int(min, max), Val::Int(n)) => {
                if !(*min..=*max).contains(n) {
                    let says = format!("`{path}` is {n}, and must be from {min} to {max}");
                    let way_out = format!("write a whole number from {min} to {max}");
                    self.problems.error("E0106", node.at, says, way_out);
                }
            }
            (Shape::Number(min, max), Val::Float(_) | Val::Int(_)) => {
                let n = number(&node.val);
                if !(*min..=*max).contains(&n) {
                    let says = format!("`{path}` is {n}, and must be from {min} to {max}");
                    self.problems.error("E0106", node.at, says, format!("write a number from {min} to {max}"));
                }
            }
            (Shape::Size(min, max), Val::Text(s)) => match units::size(s) {
                Ok(gib) if (*min..=*max).contains(&gib) => {}
                Ok(_) => {
                    let (min, max) = (units::show_size(*min), units::show_size(*max));
                    let says = format!("`{path}` is {s}, and must be from {min} to {max}");
                    self.problems.error("E0106", node.at, says, format!("write a size from \"{min}\" to \"{max}\""));
                }
                Err(wrong) => {
                    let s = s.clone();
                    self.wrong(node.at, "E0107", path, &s, wrong, node.made);
                }
            },
            (Shape::Time, Val::Text(s)) => {
                if let Err(wrong) = units::seconds(s) {
                    let s = s.clone();
                    self.wrong(node.at, "E0108", path, &s, wrong, node.made);
                }
            }
            (Shape::Amount, Val::Text(s)) => {
                if let Err(wrong) = units::percent(s) {
                    let s = s.clone();
                    self.wrong(node.at, "E0109", path, &s, wrong, node.made);
                }
            }
            (Shape::Amount, Val::Int(n)) => {
                if !(0..=10_000).contains(n) {
                    let says = format!("`{path}` is {n}, and must be from 0 to 10000");
                    self.problems.error("E0106", node.at, says, "write a count such as 2, or a share such as \"10%\"");
                }
            }
            (Shape::List(of, least), Val::List(items)) => {
                self.list(items, of, path);
                self.enough(node, *least, path);
            }
            (Shape::Set(of, least), Val::List(items)) => {
                self.list(items, of, path);
                self.distinct(items, path);
                self.enough(node, *least, path);
            }
            (Shape::Table(block), Val::Table(table)) => self.table(table, node.key, block, path),
            (Shape::Free, Val::Table(_)) => {}
            (
                Shape::Text(_)
                | Shape::Word(_)
                | Shape::Bool
                | Shape::Int(..)
                | Shape::Number(..)
                | Shape::Size(..)
                | Shape::Time
                | Shape::Amount
                | Shape::List(..)
                | Shape::Set(..)
                | Shape::Table(_)
                | Shape::Free,
                Val::Text(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::List(_) | Val::Table(_),
            ) => self.wrong_type(node, shape, path),
        }
    }

    fn list(&mut self, items: &mut [Node], of: &Shape, path: &str) {
        for (i, item) in items.iter_mut().enumerate() {
            self.value(item, of, &format!("{path}[{i}]"));
        }
    }

    fn enough(&mut self, node: &Node, least: usize, path: &str) {
        if node.items().len() < least {
            self.problems.error(
                "E0112",
                node.at,
                format!("`{path}` is empty"),
                format!("name at least {least}, or leave `{}` out", path.rsplit('.').next().unwrap_or(path)),
            );
        }
    }

    fn distinct(&mut self, items: &[Node], path: &str) {
        let mut seen: BTreeMap<&str, At> = BTreeMap::new();
        for item in items {
            let Some(text) = item.text() else { continue };
            match seen.get(text) {
                Some(first) => {
                    let says = format!("`{path}` names {} twice", shown(text));
                    let added = self.problems.error("E0113", item.at, says, "take one of the two away");
                    added.label("second time").also(*first, "first time");
                }
                None => drop(seen.insert(text, item.at)),
            }
        }
    }

    fn wrong(&mut self, at: At, code: &'static str, path: &str, text: &str, wrong: Wrong, made: bool) {
        let says = format!("`{}`: {} {}", path.escape_debug(), shown(text), wrong.says);
        // A key may stand without quotes; a value may not.
        let quoted = !made && self.problems.text(at).starts_with(['"', '\'']);
        let key = !made && self.problems.text(at) == text;
        let added = self.problems.error(code, at, says, wrong.way_out);
        match wrong.meant {
            Some(meant) if quoted => added.fix(at, format!("\"{meant}\"")),
            Some(meant) if key => added.fix(at, meant),
            Some(_) | None => {}
        }
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, path: &str) {
        let source = self.problems.text(node.at).to_owned();
        let says = format!("`{path}` must be {}, not {}", shape.words(), node.val.word());
        let (way_out, fix) = match (shape, &node.val) {
            (Shape::Int(..) | Shape::Amount, Val::Text(s)) if s.parse::<i64>().is_ok() => {
                (format!("write {s} without quotes"), Some(s.clone()))
            }
            (Shape::Bool, Val::Text(s)) if s == "true" || s == "false" => {
                (format!("write {s} without quotes"), Some(s.clone()))
            }
            (Shape::Size(..), Val::Int(n)) => (format!("write \"{n}GiB\" if GiB are meant"), None),
            (Shape::Time, Val::Int(n)) => (format!("write \"{n}s\" if seconds are meant"), None),
            (Shape::Text(_), Val::Int(_) | Val::Bool(_)) => {
                (format!("write \"{source}\""), Some(format!("\"{source}\"")))
            }
            (Shape::List(of, _) | Shape::Set(of, _), val) if of.takes(val) => {
                (format!("write [{source}]"), Some(format!("[{source}]")))
            }
            (_, Val::Table(_)) if node.key != node.at => {
                (format!("write `{} = …` instead of a table", path.rsplit('.').next().unwrap_or(path)), None)
            }
            (_, _) => (format!("write {}", shape.words()), None),
        };
        let added = self.problems.error("E0103", node.at, says, way_out);
        let added = added.label(format!("this is {}", node.val.word()));
        if let Some(with) = fix.filter(|_| !node.made) {
            added.fix(node.at, with);
        }
    }
}

impl Shape {
    /// Whether a value's TOML type is one of this shape's.
    pub fn takes(&self, val: &Val) -> bool {
        match (self, val) {
            (_, Val::Bad) => true,
            (Self::Either(shapes), val) => shapes.iter().any(|s| s.takes(val)),
            (Self::Text(_) | Self::Word(_) | Self::Size(..) | Self::Time | Self::Amount, Val::Text(_))
            | (Self::Bool, Val::Bool(_))
            | (Self::Int(..) | Self::Number(..) | Self::Amount, Val::Int(_))
            | (Self::Number(..), Val::Float(_))
            | (Self::List(..) | Self::Set(..), Val::List(_))
            | (Self::Table(_) | Self::Free, Val::Table(_)) => true,
            (
                Self::Text(_)
                | Self::Word(_)
                | Self::Bool
                | Self::Int(..)
                | Self::Number(..)
                | Self::Size(..)
                | Self::Time
                | Self::Amount
                | Self::List(..)
                | Self::Set(..)
                | Self::Table(_)
                | Self::Free,
                Val::Text(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::List(_) | Val::Table(_),
            ) => false,
        }
    }
}

/// A value that a template made may be text where a number is wanted, or the other way round.
fn turn(node: &mut Node, shape: &Shape) {
    if shape.takes(&node.val) {
        return;
    }
    let candidates = match &node.val {
        Val::Text(s) => {
            vec![s.parse().map(Val::Int).ok(), s.parse().map(Val::Bool).ok(), s.parse().map(Val::Float).ok()]
        }
        Val::Int(n) => vec![Some(Val::Text(n.to_string()))],
        Val::Bool(b) => vec![Some(Val::Text(b.to_string()))],
        Val::Float(_) | Val::Date | Val::List(_) | Val::Table(_) | Val::Bad => vec![],
    };
    if let Some(val) = candidates.into_iter().flatten().find(|val| shape.takes(val)) {
        node.val = val;
    }
}

/// A number of either kind.
pub fn number(val: &Val) -> f64 {
    match val {
        Val::Float(n) => *n,
        // Ranges here end far below 2^52.
        Val::Int(n) => *n as f64,
        Val::Text(_) | Val::Bool(_) | Val::Date | Val::List(_) | Val::Table(_) | Val::Bad => 0.0,
    }
}

/// Text of the user's in a message: quoted, its invisible characters visible, not too long.
pub fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("\"{}{dots}\"", short.escape_debug())
}
