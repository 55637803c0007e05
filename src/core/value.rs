//! A value of a field, as the file wishes it or the world shows it.
//!
//! Absent and null are the same thing here ([`Value::Null`]), so that leaving a key out never reads as a difference.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A field's value. Maps are ordered, so equal values have equal text and equal digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Absent, or null.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// A list. Where order has no meaning the maker sorts it.
    List(Vec<Self>),
    /// A table.
    Map(BTreeMap<String, Self>),
}

/// The fields of one thing, by name.
pub type Fields = BTreeMap<String, Value>;

impl Value {
    /// A sorted list of texts: for sets such as security groups.
    pub fn set<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        let mut items: Vec<_> = items.into_iter().map(|s| Self::Text(s.into())).collect();
        items.sort();
        items.dedup();
        Self::List(items)
    }

    /// The text inside, if it is text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(s) => Some(s),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The number inside, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The truth inside, if it is one.
    pub fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            Self::Null | Self::Int(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The list inside; empty for anything else.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(l) => l,
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Text(_) | Self::Map(_) => &[],
        }
    }

    /// The texts inside a list; other items are left out.
    pub fn texts(&self) -> Vec<String> {
        self.list().iter().filter_map(|v| v.text().map(str::to_owned)).collect()
    }

    /// Null, an empty list or an empty table: all mean "nothing here".
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::List(l) => l.is_empty(),
            Self::Map(m) => m.is_empty(),
            Self::Bool(_) | Self::Int(_) | Self::Text(_) => false,
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::Text(s.to_owned())
    }
}
impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::Text(s)
    }
}
impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}
impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}
impl From<u32> for Value {
    fn from(n: u32) -> Self {
        Self::Int(i64::from(n))
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(o: Option<T>) -> Self {
        o.map_or(Self::Null, Into::into)
    }
}

impl fmt::Display for Value {
    /// Plain words for a screen: no quotes, `-` for nothing. Escaping is the presenter's work.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("-"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Text(s) => f.write_str(s),
            Self::List(l) => {
                f.write_str("[")?;
                for (i, v) in l.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{v}")?;
                }
                f.write_str("]")
            }
            Self::Map(m) => {
                f.write_str("{")?;
                for (i, (k, v)) in m.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{k}: {v}")?;
                }
                f.write_str("}")
            }
        }
    }
}
