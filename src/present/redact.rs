//! Takes secrets out of everything that is shown: screens, JSON, log lines.
//!
//! Core keeps secrets out of plans already; this is the second wall, for what the world repeats to us (an error
//! that quotes a request). It knows a secret as it is, as a screen would write it, in base64, and line by line.

use std::ops::Range;

use data_encoding::{BASE64, BASE64_NOPAD};
use serde_json::Value;

use crate::document::{Doc, Span, Text};
use crate::escape::escape;

/// What stands in a secret's place.
pub const MASK: &str = "(secret)";

/// Shorter secrets are not looked for: three letters occur by chance in every other word.
pub const SHORTEST: usize = 4;

/// Shorter lines of a secret of several lines are not looked for on their own: `done` and `set -e` are no secrets.
const SHORTEST_LINE: usize = 12;

/// The secrets to take out.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, each once.
    secrets: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} forms)", self.secrets.len())
    }
}

impl Redactor {
    /// Of these secrets; those under [`SHORTEST`] characters are left out. A secret that is part of the mask itself
    /// cannot be hidden by it.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut all = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref();
            let lines =
                secret.lines().map(str::trim).filter(|l| secret.lines().count() > 1 && l.len() >= SHORTEST_LINE);
            for form in std::iter::once(secret).chain(lines) {
                if form.chars().count() < SHORTEST || form.trim().is_empty() {
                    continue;
                }
                all.extend([
                    form.to_owned(),
                    escape(form),
                    BASE64.encode(form.as_bytes()),
                    BASE64_NOPAD.encode(form.as_bytes()),
                ]);
            }
        }
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        Self { secrets: all }
    }

    /// Of nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Where secrets stand, in order, overlapping ones as one.
    pub(crate) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for secret in &self.secrets {
            let mut from = 0;
            while let Some(at) = text.get(from..).and_then(|t| t.find(secret.as_str())) {
                let start = from + at;
                found.push(start..start + secret.len());
                // One character on, so that a secret that overlaps itself is found whole.
                from = start + text[start..].chars().next().map_or(1, char::len_utf8);
            }
        }
        found.sort_by_key(|r| (r.start, r.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                Some(_) | None => merged.push(range),
            }
        }
        merged
    }

    /// A line of a log or a message, without secrets.
    pub fn line(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for range in self.find(text) {
            out.push_str(&text[from..range.start]);
            out.push_str(MASK);
            from = range.end;
        }
        out.push_str(&text[from..]);
        out
    }

    /// A run of spans without secrets; one that reaches over several spans is found too.
    pub fn text(&self, text: &Text) -> Text {
        let found = if self.secrets.is_empty() { Vec::new() } else { self.find(&text.words()) };
        if found.is_empty() {
            return text.clone();
        }
        let mut out = Vec::new();
        let mut start = 0;
        for span in text.spans() {
            let (words, end) = (span.text(), start + span.text().len());
            let mut kept = String::new();
            let mut at = start;
            for range in found.iter().filter(|r| r.start < end && r.end > start) {
                kept.push_str(&words[at - start..range.start.max(at) - start]);
                if range.start >= start {
                    kept.push_str(MASK);
                }
                at = range.end.min(end);
            }
            kept.push_str(&words[at - start..]);
            if !kept.is_empty() {
                out.push(Span::escaped(span.role(), kept));
            }
            start = end;
        }
        Text(out)
    }

    /// A page without secrets.
    pub fn doc(&self, doc: &Doc) -> Doc {
        let mut doc = doc.clone();
        if self.secrets.is_empty() {
            return doc;
        }
        doc.title = self.text(&doc.title);
        doc.summary = self.text(&doc.summary);
        for row in doc.parts.iter_mut().flat_map(|p| &mut p.rows) {
            row.tail = self.text(&row.tail);
            for cell in &mut row.cells {
                *cell = self.text(cell);
            }
        }
        doc
    }

    /// JSON without secrets, in keys and values.
    pub fn json(&self, value: Value) -> Value {
        match value {
            Value::String(s) => Value::String(self.line(&s)),
            Value::Array(all) => Value::Array(all.into_iter().map(|v| self.json(v)).collect()),
            Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (self.line(&k), self.json(v))).collect()),
            // A PIN is as secret as a number as it is as text.
            Value::Number(n) if !self.find(&n.to_string()).is_empty() => Value::String(self.line(&n.to_string())),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::Role;

    #[test]
    fn a_secret_is_masked_however_it_is_written() {
        let r = Redactor::new(["hunter22", "two\nlines of it, long", "abc"]);
        assert_eq!(r.line("password hunter22!"), "password (secret)!");
        assert_eq!(r.line("sent aHVudGVyMjI= to it"), "sent (secret) to it");
        assert_eq!(r.line("quoting `lines of it, long`"), "quoting `(secret)`");
        assert_eq!(r.line("two\\nlines of it, long"), "(secret)");
        assert_eq!(r.line("abc is too short to be looked for"), "abc is too short to be looked for");
    }

    #[test]
    fn overlapping_secrets_leave_no_end_behind() {
        let r = Redactor::new(["abcdef", "defghi"]);
        assert_eq!(r.line("xabcdefghix"), "x(secret)x");
    }

    #[test]
    fn a_secret_over_two_spans_is_masked_once() {
        let r = Redactor::new(["hunter22"]);
        let text = Text::of(Role::Dim, "<hun").with(Role::Strong, "ter").plain("22>");
        assert_eq!(r.text(&text).words(), "<(secret)>");
    }

    #[test]
    fn a_number_that_is_a_secret_is_masked_in_json() {
        let r = Redactor::new(["493817"]);
        assert_eq!(r.json(serde_json::json!({"pin": 493_817, "n": 3})), serde_json::json!({"pin": MASK, "n": 3}));
    }

    proptest! {
        #[test]
        fn no_secret_is_left(secrets in proptest::collection::vec("[ab\u{202e}é]{4,7}", 1..4), text in "[ab\u{202e}é ]{0,60}") {
            let r = Redactor::new(&secrets);
            let line = r.line(&text);
            let shown = r.text(&Text::from(&text)).words();
            for s in &secrets {
                prop_assert!(!line.contains(s));
                prop_assert!(!shown.contains(&escape(s)));
            }
        }
    }
}
