//! One file a kind: how EC2 shows it, and how core's fields become EC2's. To add a kind, add a file here, its arm in
//! `read.rs` and its arms in `perform.rs`.

mod alike;
pub mod machine;
pub mod volume;

use std::collections::BTreeMap;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::stamp::tag;
use evenkeel_core::value::{Fields, Value};

pub(crate) use alike::{Alike, user_tags};

use crate::api::Tags;

/// The user's tags as a field's value.
pub(crate) fn tags_field(user: &[(&str, &str)]) -> Value {
    Value::Map(user.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect())
}

/// Whether the protection mark stands.
pub(crate) fn protected(tags: &Tags) -> bool {
    tags.get(tag::PROTECT).is_some_and(|v| v == "true")
}

/// A request that core should never have made; says which field.
pub(crate) fn wrong(what: impl Into<String>) -> Failure {
    Failure::new(Class::Invalid, "", what)
}

/// Reads fields as EC2 wants them; a value of another sort is a failure that names the field.
pub(crate) struct Spec<'a>(pub(crate) &'a BTreeMap<String, Value>);

impl Spec<'_> {
    fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    fn bad(name: &str, value: &Value, want: &str) -> Failure {
        wrong(format!("`{name}` should be {want} and is `{value}`"))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            Value::Null => Ok(None),
            Value::Text(s) => Ok(Some(s.clone())),
            other @ (Value::Bool(_) | Value::Int(_) | Value::List(_) | Value::Map(_)) => {
                Err(Self::bad(name, other, "text"))
            }
        }
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u32>, Failure> {
        match self.get(name) {
            Value::Null => Ok(None),
            Value::Int(n) => {
                Ok(Some(u32::try_from(*n).map_err(|_| Self::bad(name, &Value::Int(*n), "a number of 0 or more"))?))
            }
            other @ (Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_)) => {
                Err(Self::bad(name, other, "a number"))
            }
        }
    }

    pub(crate) fn truth(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            Value::Null => Ok(None),
            Value::Bool(b) => Ok(Some(*b)),
            other @ (Value::Int(_) | Value::Text(_) | Value::List(_) | Value::Map(_)) => {
                Err(Self::bad(name, other, "true or false"))
            }
        }
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Failure> {
        match self.get(name) {
            Value::Null => Ok(Vec::new()),
            list @ Value::List(l) => {
                let texts = list.texts();
                if texts.len() == l.len() { Ok(texts) } else { Err(Self::bad(name, list, "a list of texts")) }
            }
            other @ (Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Map(_)) => {
                Err(Self::bad(name, other, "a list of texts"))
            }
        }
    }

    pub(crate) fn table(&self, name: &str) -> Result<Option<&Fields>, Failure> {
        match self.get(name) {
            Value::Null => Ok(None),
            Value::Map(m) => Ok(Some(m)),
            other @ (Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_)) => {
                Err(Self::bad(name, other, "a table"))
            }
        }
    }
}
