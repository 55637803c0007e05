//! A Kubernetes object as a tree that remembers where each part stands, whether YAML, JSON or TOML said it.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value as Json};

use super::super::tree::{At, Node, Val};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The value's place; only its beginning for a list or a table in blocks.
    pub at: At,
    /// Its key's place; the value's own where it has none.
    pub key: At,
    /// The value.
    pub what: What,
}

/// What JSON has.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Nothing.
    Null,
    /// Truth.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Piece>),
    /// A table.
    Table(BTreeMap<String, Piece>),
    /// Something already complained about.
    Bad,
}

impl What {
    /// What it is, in words for a message.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Bad => "unreadable",
        }
    }
}

impl Piece {
    /// A table's entry.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.table()?.get(key)
    }

    /// The table inside.
    pub fn table(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.what {
            What::Table(t) => Some(t),
            What::Null | What::Bool(_) | What::Number(_) | What::Text(_) | What::List(_) | What::Bad => None,
        }
    }

    /// The table inside, to be changed.
    pub fn table_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match &mut self.what {
            What::Table(t) => Some(t),
            What::Null | What::Bool(_) | What::Number(_) | What::Text(_) | What::List(_) | What::Bad => None,
        }
    }

    /// The text inside.
    pub fn text(&self) -> Option<&str> {
        match &self.what {
            What::Text(s) => Some(s),
            What::Null | What::Bool(_) | What::Number(_) | What::Table(_) | What::List(_) | What::Bad => None,
        }
    }

    /// The list inside; empty for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.what {
            What::List(l) => l,
            What::Null | What::Bool(_) | What::Number(_) | What::Table(_) | What::Text(_) | What::Bad => &[],
        }
    }

    /// A plain value as text, however it is written; `None` for lists, tables and nothing.
    pub fn plain(&self) -> Option<String> {
        match &self.what {
            What::Text(s) => Some(s.clone()),
            What::Bool(b) => Some(b.to_string()),
            What::Number(n) => Some(n.to_string()),
            What::Null | What::List(_) | What::Table(_) | What::Bad => None,
        }
    }

    /// As JSON.
    pub fn json(&self) -> Json {
        match &self.what {
            What::Null | What::Bad => Json::Null,
            What::Bool(b) => Json::Bool(*b),
            What::Number(n) => Json::Number(n.clone()),
            What::Text(s) => Json::String(s.clone()),
            What::List(l) => l.iter().map(Self::json).collect(),
            What::Table(t) => Json::Object(t.iter().map(|(k, v)| (k.clone(), v.json())).collect::<Map<_, _>>()),
        }
    }

    /// Visits every plain value, with the keys that lead to it.
    pub fn leaves<'p>(&'p self, path: &mut Vec<&'p str>, visit: &mut dyn FnMut(&[&'p str], &'p Self)) {
        match &self.what {
            What::List(l) => l.iter().for_each(|item| item.leaves(path, visit)),
            What::Table(t) => {
                for (key, below) in t {
                    path.push(key);
                    below.leaves(path, visit);
                    path.pop();
                }
            }
            What::Null | What::Bool(_) | What::Number(_) | What::Text(_) | What::Bad => visit(path, self),
        }
    }
}

/// A number as Kubernetes counts: `3.0` is 3. `None` for what JSON cannot say.
pub fn number(f: f64) -> Option<Number> {
    // Up to 2^53 every whole number has exactly one float.
    if f.fract() == 0.0 && f.abs() <= 9_007_199_254_740_992.0 {
        return Some(Number::from(f as i64));
    }
    Number::from_f64(f)
}

/// A TOML value; `odd` is told the places of what JSON has no word for.
pub fn of(node: &Node, odd: &mut dyn FnMut(At, &'static str)) -> Piece {
    let mut none = |why| {
        odd(node.at, why);
        What::Bad
    };
    let what = match &node.val {
        Val::Text(s) => What::Text(s.clone()),
        Val::Int(n) => What::Number((*n).into()),
        Val::Float(f) => number(*f).map_or_else(|| none("JSON has no infinite numbers and no nan"), What::Number),
        Val::Bool(b) => What::Bool(*b),
        Val::Date => none("Kubernetes takes dates as text: put it between quotes"),
        Val::Bad => What::Bad,
        Val::List(items) => What::List(items.iter().map(|i| of(i, odd)).collect()),
        Val::Table(t) => What::Table(t.iter().map(|(key, n)| (key.clone(), of(n, odd))).collect()),
    };
    Piece { at: node.at, key: node.key, what }
}
