//! The declaration as a tree that remembers where each part stands, so that every problem can point at its place.
//!
//! Owned, so that trees of several files can be laid over one another.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// A place: which source, and which bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Index into the list of sources.
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value's place.
    pub at: At,
    /// Its key's place; the value's own for items of a list.
    pub key: At,
    /// The value.
    pub val: Val,
    /// True when a template made it: its text is not the file's text, so no mend can be offered for it.
    pub made: bool,
}

/// Keys and values of a table.
pub type Table = BTreeMap<String, Node>;

/// What TOML has.
#[derive(Debug, Clone, PartialEq)]
pub enum Val {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A date or a time: no key of ours takes one.
    Date,
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// Something already complained about: accepted in silence everywhere.
    Bad,
}

impl Val {
    /// What it is, in words for a message.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Bool(_) => "true or false",
            Self::Date => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Bad => "unreadable",
        }
    }
}

impl Node {
    /// A table's entry.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.table()?.get(key)
    }

    /// The table inside.
    pub fn table(&self) -> Option<&Table> {
        match &self.val {
            Val::Table(t) => Some(t),
            Val::Text(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::List(_) | Val::Bad => None,
        }
    }

    /// The text inside.
    pub fn text(&self) -> Option<&str> {
        match &self.val {
            Val::Text(s) => Some(s),
            Val::Table(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::List(_) | Val::Bad => None,
        }
    }

    /// The items of a list; a value that is not a list is a list of itself, so that `type = "t3.small"` reads like
    /// `type = ["t3.small"]`.
    pub fn items(&self) -> &[Self] {
        match &self.val {
            Val::List(l) => l,
            Val::Text(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::Table(_) | Val::Bad => {
                std::slice::from_ref(self)
            }
        }
    }

    /// Lays `over` upon this: tables are merged key by key, anything else is replaced.
    pub fn overlay(&mut self, over: Self) {
        match (&mut self.val, over.val) {
            (Val::Table(base), Val::Table(over)) => {
                for (key, node) in over {
                    match base.get_mut(&key) {
                        Some(old) => old.overlay(node),
                        None => drop(base.insert(key, node)),
                    }
                }
            }
            (_, val) => *self = Self { at: over.at, key: over.key, val, made: over.made },
        }
    }

    /// As JSON, for templates and schema tests.
    pub fn json(&self) -> serde_json::Value {
        match &self.val {
            Val::Text(s) => s.as_str().into(),
            Val::Int(n) => (*n).into(),
            Val::Float(n) => (*n).into(),
            Val::Bool(b) => (*b).into(),
            Val::Date | Val::Bad => serde_json::Value::Null,
            Val::List(l) => l.iter().map(Self::json).collect(),
            Val::Table(t) => {
                serde_json::Value::Object(t.iter().map(|(key, node)| (key.clone(), node.json())).collect())
            }
        }
    }
}

/// The tree of a parsed document. `too_big` is told the place of each whole number beyond 64 bits.
pub fn tree(file: usize, table: &DeTable<'_>, at: At, too_big: &mut dyn FnMut(At)) -> Node {
    Node { at, key: at, val: Val::Table(entries(file, table, too_big)), made: false }
}

fn entries(file: usize, table: &DeTable<'_>, too_big: &mut dyn FnMut(At)) -> Table {
    table
        .iter()
        .map(|(key, value)| {
            let place = |s: std::ops::Range<usize>| At { file, start: s.start, end: s.end };
            let at = place(value.span());
            let val = val(file, value.get_ref(), at, too_big);
            (key.get_ref().to_string(), Node { at, key: place(key.span()), val, made: false })
        })
        .collect()
}

/// A value alone.
pub fn val(file: usize, value: &DeValue<'_>, at: At, too_big: &mut dyn FnMut(At)) -> Val {
    match value {
        DeValue::String(s) => Val::Text(s.to_string()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Val::Int(n),
            Err(_) => {
                too_big(at);
                Val::Bad
            }
        },
        DeValue::Float(f) => f.as_str().parse().map_or(Val::Bad, Val::Float),
        DeValue::Boolean(b) => Val::Bool(*b),
        DeValue::Datetime(_) => Val::Date,
        DeValue::Array(items) => Val::List(
            items
                .iter()
                .map(|item| {
                    let at = At { file, start: item.span().start, end: item.span().end };
                    Node { at, key: at, val: val(file, item.get_ref(), at, too_big), made: false }
                })
                .collect(),
        ),
        DeValue::Table(t) => Val::Table(entries(file, t, too_big)),
    }
}
