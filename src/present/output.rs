//! What `[outputs]` came to: the value of each, or why it has none.
//!
//! Text and JSON come from one value. One output alone is for scripts: its text as it is, or its value as JSON.

use std::collections::BTreeMap;

use evenkeel_core::observed::Gap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::escape::escape;
use crate::json;
use crate::plan_json::{GapJson, StackJson, gap};
use crate::redact::Redactor;

/// The JSON schema's name and version.
pub const FORMAT: &str = "evenkeel.output/1";

/// All outputs that were asked for.
#[derive(Debug, Serialize)]
pub struct Outputs<'a> {
    /// [`FORMAT`].
    pub format: &'static str,
    /// The stack's name and id.
    pub stack: StackJson<'a>,
    /// When the world was looked at.
    pub observed_at: Timestamp,
    /// Name → value.
    pub outputs: BTreeMap<&'a str, Value>,
    /// Those that have no value.
    pub failed: Vec<NoValue<'a>>,
    /// What could not be seen: an output that needs it may lack something.
    pub gaps: Vec<GapJson<'a>>,
}

/// An output without a value.
#[derive(Debug, Serialize)]
pub struct NoValue<'a> {
    /// Which.
    pub name: &'a str,
    /// Its place in the file: `evenkeel.toml:12`; empty where it is not known.
    pub at: &'a str,
    /// Why.
    pub says: String,
}

impl<'a> Outputs<'a> {
    /// None yet, of this stack (name and id) by this look.
    pub fn of(stack: (&'a str, &'a str), observed_at: Timestamp, gaps: &'a [Gap]) -> Self {
        Self {
            format: FORMAT,
            stack: StackJson { name: stack.0, id: stack.1 },
            observed_at,
            outputs: BTreeMap::new(),
            failed: Vec::new(),
            gaps: gaps.iter().map(gap).collect(),
        }
    }

    /// One line each, `name = value`.
    pub fn text(&self, secrets: &Redactor) -> String {
        let line = |(name, value): (&&str, &Value)| secrets.line(&escape(&format!("{name} = {}", plain(value)))) + "\n";
        self.outputs.iter().map(line).collect()
    }

    /// One alone, with a line end: text without quotes, anything else as JSON. `None` where there is no such value.
    pub fn one(&self, name: &str, secrets: &Redactor) -> Option<String> {
        Some(secrets.line(&plain(self.outputs.get(name)?)) + "\n")
    }

    /// The value of one alone as JSON, on one line.
    pub fn one_json(&self, name: &str, secrets: &Redactor) -> Option<String> {
        Some(json::line(self.outputs.get(name)?, secrets))
    }
}

impl NoValue<'_> {
    /// Why, with the place.
    pub fn words(&self) -> String {
        let at = if self.at.is_empty() { String::new() } else { format!("{}: ", self.at) };
        format!("{at}output `{}`: {}; see [outputs] in docs/declaration.md", self.name, self.says)
    }
}

/// Text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Outputs<'static> {
        let mut all = Outputs::of(("shop", "7f3kq2x9"), crate::samples::now(), &[]);
        all.outputs.insert("first", json!("10.0.0.7"));
        all.outputs.insert("all", json!(["i-1", "i-2"]));
        all.outputs.insert("tag", json!("a\u{202e}b token-of-mine"));
        let says = "it names something that is not there".to_owned();
        all.failed.push(NoValue { name: "broken", at: "evenkeel.toml:12", says });
        all
    }

    #[test]
    fn text_and_json_hold_the_same_outputs_and_neither_a_secret() {
        let (all, secrets) = (sample(), Redactor::new(["token-of-mine"]));
        let text = all.text(&secrets);
        assert_eq!(text, "all = [\"i-1\",\"i-2\"]\nfirst = 10.0.0.7\ntag = a\\u{202e}b (secret)\n");
        insta::assert_snapshot!("outputs_json", json::pretty(&all, &secrets));
        assert_eq!(
            all.failed[0].words().split(';').next(),
            Some("evenkeel.toml:12: output `broken`: it names something that is not there")
        );
    }

    #[test]
    fn one_alone_is_for_scripts() {
        let (all, none) = (sample(), Redactor::none());
        assert_eq!(all.one("first", &none).as_deref(), Some("10.0.0.7\n"));
        assert_eq!(all.one_json("first", &none).as_deref(), Some("\"10.0.0.7\"\n"));
        assert_eq!(all.one("all", &none), all.one_json("all", &none));
        assert_eq!((all.one("broken", &none), all.one_json("nothing", &none)), (None, None));
    }
}
