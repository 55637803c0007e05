//! Where a value stands in an object: fields, items of a list by their keys, members of a set.
//!
//! Written for people: `spec.template.spec.containers[name=web].image`, `metadata.finalizers["x"]`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// A value without parts, in an order of its own. Numbers are equal by their value: 1 is 1.0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// Absent, or null.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number, as it is written.
    Number(String),
    /// Text.
    Text(String),
    /// A table or a list where neither belongs, as JSON.
    Json(String),
}

impl From<&Value> for Scalar {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => whole(n).map_or_else(|| Self::Number(n.to_string()), Self::Int),
            Value::String(s) => Self::Text(s.clone()),
            Value::Array(_) | Value::Object(_) => Self::Json(value.to_string()),
        }
    }
}

/// The whole number that `n` is, also when it is written as `1.0` or `1e3`.
pub(super) fn whole(n: &serde_json::Number) -> Option<i128> {
    let exact = n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from));
    // Whole floats up to 2^53 are exact; above that a float is not the number that somebody wrote.
    let float = || n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() <= 9_007_199_254_740_992.0).map(|f| f as i128);
    exact.or_else(float)
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(n) => write!(f, "{n}"),
            Self::Number(n) => f.write_str(n),
            Self::Text(s) if plain(s) => f.write_str(s),
            Self::Text(s) => write!(f, "{}", Value::from(s.as_str())),
            Self::Json(s) => f.write_str(s),
        }
    }
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a field.
    Field(String),
    /// To the item of a list whose keys have these values.
    Key(BTreeMap<String, Scalar>),
    /// To the member of a set.
    Value(Scalar),
    /// To the item at a place; only where a list has nothing better.
    Index(usize),
}

impl Step {
    /// The field's name, if it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Key(_) | Self::Value(_) | Self::Index(_) => None,
        }
    }
}

/// All the steps from an object's root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// A path of fields only.
    pub fn of<'a>(fields: impl IntoIterator<Item = &'a str>) -> Self {
        Self(fields.into_iter().map(|f| Step::Field(f.to_owned())).collect())
    }

    /// One step further down.
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The names of its fields, without the items and members between them: what tables are looked up by.
    pub fn fields(&self) -> Vec<&str> {
        self.0.iter().filter_map(Step::field).collect()
    }

    /// Whether it is `other` or stands below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

/// Text that needs no quotes in a path.
fn plain(s: &str) -> bool {
    !s.is_empty() && s.chars().all(|c| c.is_alphanumeric() || "-_./:*%@+".contains(c))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if name.chars().all(|c| c.is_alphanumeric() || "-_$".contains(c)) => {
                    write!(f, "{}{name}", if i == 0 { "" } else { "." })?;
                }
                Step::Field(name) => write!(f, "[{}]", Value::from(name.as_str()))?,
                Step::Key(keys) => {
                    f.write_str("[")?;
                    for (n, (key, value)) in keys.iter().enumerate() {
                        write!(f, "{}{key}={value}", if n == 0 { "" } else { "," })?;
                    }
                    f.write_str("]")?;
                }
                Step::Value(Scalar::Text(s)) => write!(f, "[{}]", Value::from(s.as_str()))?,
                Step::Value(value) => write!(f, "[{value}]")?,
                Step::Index(n) => write!(f, "[{n}]")?,
            }
        }
        Ok(())
    }
}

impl serde::Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
