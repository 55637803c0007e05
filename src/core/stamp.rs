//! The marks on a live object, and how to read them back.
//!
//! `evenkeel:stack` says whose, `evenkeel:address` which group, `evenkeel:launch` which slot and generation,
//! `evenkeel:spec` what was last applied, field by field. Marks from the world are hostile until parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::address::Kind;
use crate::digest::{Digest, canonical};
use crate::schema;
use crate::slots::Slots;
use crate::text::as_text;
use crate::value::{Fields, Value};

/// Tag keys.
pub mod tag {
    /// The stack's id.
    pub const STACK: &str = "evenkeel:stack";
    /// The group: `machines.web`.
    pub const ADDRESS: &str = "evenkeel:address";
    /// The digest vector of the last applied spec.
    pub const SPEC: &str = "evenkeel:spec";
    /// Slots, generation and lineage of the launch.
    pub const LAUNCH: &str = "evenkeel:launch";
    /// Present (value `true`) while the object is protected.
    pub const PROTECT: &str = "evenkeel:protect";
    /// RFC 3339 time from which quarantined data may be deleted.
    pub const QUARANTINE: &str = "evenkeel:quarantine";
    /// EC2's own.
    pub const NAME: &str = "Name";
    /// Everything of ours begins with this.
    pub const OURS: &str = "evenkeel:";
}

/// The launch mark: `g2 s0-5 r=i-0ab a2 c=i-0aa`. Parts are set at launch and never change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaunchTag {
    /// Slots of the batch, by launch index.
    pub slots: Slots,
    /// 1 for the first launch of a slot, then one more than any seen.
    pub generation: u32,
    /// Ids that this launch replaces, in the order of the slots; empty for none.
    pub replaces: Vec<String>,
    /// Which attempt of its lineage, from 1.
    pub attempt: u32,
    /// The first object of the lineage; `None` for itself.
    pub chain: Option<String>,
    /// Set when the mark was put on by hand of evenkeel later (stripped tags, adoption): it holds for this id only.
    pub only: Option<String>,
}

/// No generation or attempt is ever so large; a hostile mark must not make the next one overflow.
const MOST: u32 = 1_000_000_000;

impl LaunchTag {
    /// A first launch of these slots.
    pub fn first(slots: Slots) -> Self {
        Self { slots, generation: 1, replaces: Vec::new(), attempt: 1, chain: None, only: None }
    }
}

impl fmt::Display for LaunchTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{} s{}", self.generation, self.slots)?;
        if !self.replaces.is_empty() {
            write!(f, " r={}", self.replaces.join("+"))?;
        }
        if self.attempt > 1 {
            write!(f, " a{}", self.attempt)?;
        }
        if let Some(c) = &self.chain {
            write!(f, " c={c}")?;
        }
        if let Some(o) = &self.only {
            write!(f, " o={o}")?;
        }
        Ok(())
    }
}

impl FromStr for LaunchTag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a launch mark");
        let (mut generation, mut slots, mut out) = (None, None, Self::first(Slots::new([])));
        for part in text.split(' ') {
            if let Some(ids) = part.strip_prefix("r=") {
                out.replaces = ids.split('+').map(str::to_owned).collect();
            } else if let Some(id) = part.strip_prefix("c=") {
                out.chain = Some(id.to_owned());
            } else if let Some(id) = part.strip_prefix("o=") {
                out.only = Some(id.to_owned());
            } else if let Some(n) = part.strip_prefix('g') {
                generation = Some(n.parse().ok().filter(|g| *g <= MOST).ok_or_else(bad)?);
            } else if let Some(s) = part.strip_prefix('s') {
                slots = Some(s.parse().map_err(|_| bad())?);
            } else if let Some(n) = part.strip_prefix('a') {
                out.attempt = n.parse().ok().filter(|a| *a <= MOST).ok_or_else(bad)?;
            } else {
                return Err(bad());
            }
        }
        out.generation = generation.ok_or_else(bad)?;
        out.slots = slots.ok_or_else(bad)?;
        Ok(out)
    }
}

/// The digest vector: what was last applied, field by field. `1:` then code and six characters a field (30 bits:
/// enough to notice a change, too little to store a secret). Absent and null leave a field out.
///
/// Kept as its text without the version: entries of eight bytes in the order of their codes, each code once.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vector(String);

/// The vector's version. Another one re-stamps and never replaces.
const VERSION: &str = "1";
const WIDTH: usize = 6;
/// A field's code.
const CODE: usize = 2;
/// So many types of a list are remembered one by one; a tag has no room for more.
const TYPES: usize = 10;
/// In place of the types of a longer list.
const LONG: &str = "t+";

fn type_code(n: usize) -> String {
    format!("t{n}")
}

impl Vector {
    /// The vector of `fields` under the stack's key (which is its id: it keeps equal values of two stacks apart).
    /// `zone` and `subnet` are placement, not specification, and are left out.
    pub fn of(kind: Kind, key: &str, fields: &Fields) -> Self {
        let one = |f: &schema::Field| {
            let value = fields.get(f.name).unwrap_or(&Value::Null);
            Some((f.code.to_owned(), Self::digest(key, value)?))
        };
        let all = schema::fields(kind).iter().filter(|f| f.name != "zone" && f.name != "subnet").filter_map(one);
        Self::sorted(all.chain(Self::each_type(key, fields.get("type"))))
    }

    /// Of two entries of one code the later counts.
    fn sorted(entries: impl Iterator<Item = (String, String)>) -> Self {
        let all: BTreeMap<String, String> = entries.collect();
        Self(all.into_iter().map(|(code, digest)| code + &digest).collect())
    }

    /// The types of a list of several, one by one (decision 0006): the digest of the list does not tell whether a type
    /// was in it. Of a list that is too long for a tag only that it is.
    fn each_type(key: &str, types: Option<&Value>) -> Vec<(String, String)> {
        let Some(whole @ Value::List(types)) = types else { return vec![] };
        let one = |(code, value): (String, &Value)| Some((code, Self::digest(key, value)?));
        match types.len() {
            0 | 1 => vec![],
            2..=TYPES => types.iter().enumerate().filter_map(|(n, t)| one((type_code(n), t))).collect(),
            _ => one((LONG.to_owned(), whole)).into_iter().collect(),
        }
    }

    /// Whether a machine of this type may be one that was applied: it is of the list that was, or that list is too long
    /// to be remembered.
    pub fn had_type(&self, key: &str, shown: &Value) -> bool {
        let one = Self::digest(key, shown);
        self.was("ty", key, &Value::List(vec![shown.clone()]))
            || (0..TYPES).any(|n| self.get(&type_code(n)) == one.as_deref())
            || self.get(LONG).is_some()
    }

    /// One entry; `None` for nothing.
    pub fn digest(key: &str, value: &Value) -> Option<String> {
        (!value.is_nothing())
            .then(|| Digest::keyed(key.as_bytes(), canonical(value).as_bytes()).prefix(WIDTH).to_owned())
    }

    /// Whether the last applied value of the field with this code was `value`.
    pub fn was(&self, code: &str, key: &str, value: &Value) -> bool {
        self.get(code) == Self::digest(key, value).as_deref()
    }

    /// The entry of a field.
    pub fn get(&self, code: &str) -> Option<&str> {
        self.entries().find(|(c, _)| *c == code).map(|(_, digest)| digest)
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let at = |i: usize| self.0[i..i + CODE + WIDTH].split_at(CODE);
        (0..self.0.len()).step_by(CODE + WIDTH).map(at)
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}:{}", self.0)
    }
}

impl FromStr for Vector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a digest vector of version {VERSION}");
        let body = text.strip_prefix(VERSION).and_then(|t| t.strip_prefix(':')).ok_or_else(bad)?;
        if !body.is_ascii() || body.len() % (CODE + WIDTH) != 0 {
            return Err(bad());
        }
        let read = Self(body.to_owned());
        if read.entries().is_sorted_by(|(a, _), (b, _)| a < b) {
            return Ok(read);
        }
        Ok(Self::sorted(read.entries().map(|(code, digest)| (code.to_owned(), digest.to_owned()))))
    }
}

as_text!(LaunchTag, Vector);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_back_what_they_write() {
        let mut l = LaunchTag::first(Slots::new([0, 1, 2]));
        assert_eq!(l.to_string(), "g1 s0-2");
        l.generation = 4;
        l.replaces = vec!["i-1".into(), "i-2".into()];
        l.attempt = 2;
        l.chain = Some("i-0".into());
        assert_eq!(l.to_string().parse::<LaunchTag>().unwrap(), l);
        let fields = Fields::from([("image".into(), "ami-1".into()), ("key".into(), Value::Null)]);
        let v = Vector::of(Kind::Machines, "k", &fields);
        assert_eq!(v.to_string().parse::<Vector>().unwrap(), v);
        assert!(
            v.was("im", "k", &"ami-1".into()) && v.was("ke", "k", &Value::Null) && !v.was("im", "k", &"ami-2".into())
        );
    }

    #[test]
    fn a_full_vector_fits_a_tag() {
        for kind in Kind::ALL {
            let fields = schema::fields(kind).iter().map(|f| (f.name.to_owned(), Value::Int(1))).collect();
            assert!(Vector::of(kind, "k", &fields).to_string().len() <= 256);
        }
        for n in [TYPES, TYPES + 1] {
            let all = schema::fields(Kind::Machines).iter().map(|f| (f.name.to_owned(), Value::Int(1)));
            let mut all: Fields = all.collect();
            all.insert("type".into(), types(n));
            assert!(Vector::of(Kind::Machines, "k", &all).to_string().len() <= 256, "{n} types");
        }
    }

    fn types(n: usize) -> Value {
        Value::List((0..n).map(|n| format!("t{n}.small").into()).collect())
    }

    #[test]
    fn a_stamp_tells_whether_a_type_was_in_its_list() {
        let of = |n| Vector::of(Kind::Machines, "k", &Fields::from([("type".into(), types(n))]));
        for n in 1..=TYPES {
            let v: Vector = of(n).to_string().parse().unwrap();
            assert!(
                v.had_type("k", &format!("t{}.small", n - 1).into()) && !v.had_type("k", &"m5.large".into()),
                "{n}"
            );
        }
        assert!(of(TYPES + 1).had_type("k", &"m5.large".into()), "nobody can say that it was not");
        assert_eq!(of(1).to_string().len(), "1:tyabcdef".len(), "one type is its list");
    }

    #[test]
    fn a_vector_in_another_order_is_the_same() {
        let v: Vector = "1:tyaaaaaaimbbbbbbtycccccc".parse().unwrap();
        assert_eq!(v.to_string(), "1:imbbbbbbtycccccc");
        assert_eq!((v.get("im"), v.get("ty"), v.get("ke")), (Some("bbbbbb"), Some("cccccc"), None));
    }

    #[test]
    fn hostile_marks_are_errors() {
        for bad in ["", "g1", "s1", "x", "g1 s1 z", "gx s1", "g1  s1", "g1 s1 a", "g4294967295 s1", "g1 s1 a4294967295"]
        {
            assert!(bad.parse::<LaunchTag>().is_err(), "{bad}");
        }
        for bad in ["", "1", "2:imabcdef", "1:im", "1:éééééééé", "1:imabcde"] {
            assert!(bad.parse::<Vector>().is_err(), "{bad}");
        }
    }
}
