//! Who set which path: `metadata.managedFields`, read with patience.
//!
//! An entry holds paths, never values. What cannot be read is a problem that is said, never a panic, and the other
//! entries still count.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits;
use super::path::{Path, Scalar, Step};
use crate::health::moment;

/// How an entry came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// A server-side apply.
    Apply,
    /// Anything else: create, update, patch.
    Update,
}

/// Who holds a path, as a screen names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Holder {
    /// When its entry last changed; the server writes whole seconds.
    pub at: Option<Timestamp>,
    /// The field manager: `kubectl-edit`.
    pub manager: String,
    /// By which operation.
    pub operation: Operation,
    /// Through which subresource, if one: `scale`, `status`.
    pub subresource: Option<String>,
}

impl Holder {
    /// Who, through what, and when: `kubectl (scale) at 2026-11-25 18:07 UTC`.
    pub fn with_time(&self) -> String {
        self.at.map_or_else(|| self.to_string(), |at| format!("{self} at {}", moment(at)))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.manager)?;
        if let Some(subresource) = &self.subresource {
            write!(f, " ({subresource})")?;
        }
        Ok(())
    }
}

/// A set of paths, as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Whether the path that ends here is in the set.
    pub here: bool,
    /// What goes on below.
    pub below: BTreeMap<Step, Tree>,
}

impl Tree {
    /// The tree below one step.
    pub fn child(&self, step: &Step) -> Option<&Self> {
        self.below.get(step)
    }

    /// Whether exactly this path is in the set.
    pub fn holds(&self, path: &Path) -> bool {
        path.0.iter().try_fold(self, |tree, step| tree.child(step)).is_some_and(|tree| tree.here)
    }

    /// In the set and nothing below: the value is held as one piece.
    pub fn is_leaf(&self) -> bool {
        self.here && self.below.is_empty()
    }

    /// Whether it or anything below is in the set.
    pub fn holds_any(&self) -> bool {
        self.here || self.below.values().any(Self::holds_any)
    }

    /// Every path in the set, in order.
    pub fn paths(&self) -> Vec<Path> {
        fn walk(tree: &Tree, at: &Path, all: &mut Vec<Path>) {
            if tree.here {
                all.push(at.clone());
            }
            for (step, below) in &tree.below {
                walk(below, &at.then(step.clone()), all);
            }
        }
        let mut all = Vec::new();
        walk(self, &Path::default(), &mut all);
        all
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub holder: Holder,
    /// The version whose paths these are.
    pub api_version: String,
    /// The paths.
    pub paths: Tree,
}

/// All entries of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Managed {
    /// In the server's order.
    pub entries: Vec<Entry>,
    /// What could not be read, in words.
    pub problems: Vec<String>,
}

impl Managed {
    /// Reads a live object's entries.
    pub fn of(live: &Value) -> Self {
        let mut all = Self::default();
        match live.pointer("/metadata/managedFields") {
            None | Some(Value::Null) => {}
            Some(Value::Array(entries)) => {
                for entry in entries {
                    // `[{}]` is how a person resets them all; it says nothing.
                    if entry.as_object().is_none_or(|e| !e.is_empty()) {
                        all.read(entry);
                    }
                }
            }
            Some(_) => all.problem("managedFields is not a list".to_owned()),
        }
        all
    }

    fn problem(&mut self, says: String) {
        if self.problems.len() < limits::PROBLEMS && !self.problems.contains(&says) {
            self.problems.push(says);
        }
    }

    fn read(&mut self, entry: &Value) {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let Some(manager) = text("manager") else {
            return self.problem("an entry of managedFields names no manager".to_owned());
        };
        if let Some(other) = text("fieldsType").filter(|t| *t != "FieldsV1") {
            return self.problem(format!("the fields of {manager} are of a type that is not known: {other}"));
        }
        let operation = match text("operation") {
            Some("Apply") => Operation::Apply,
            Some(_) | None => Operation::Update,
        };
        let mut paths = Tree::default();
        match entry.get("fieldsV1") {
            None | Some(Value::Null) => {}
            Some(Value::Object(_)) => {
                let mut problems = Vec::new();
                fill(&mut paths, &entry["fieldsV1"], 0, &mut problems);
                // An object without children at the very root is an empty set, not "everything".
                paths.here = false;
                for problem in problems {
                    self.problem(format!("the fields of {manager}: {problem}"));
                }
            }
            Some(_) => self.problem(format!("the fields of {manager} are no table")),
        }
        let holder = Holder {
            at: text("time").and_then(|t| t.parse().ok()),
            manager: manager.to_owned(),
            operation,
            subresource: text("subresource").filter(|s| !s.is_empty()).map(str::to_owned),
        };
        let api_version = text("apiVersion").unwrap_or_default().to_owned();
        self.entries.push(Entry { holder, api_version, paths });
    }

    /// The entries of server-side applies by `manager` on the object itself; those in another's name or through a
    /// subresource are somebody else's to the server.
    pub fn ours(&self, manager: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |e| e.is_by(manager))
    }

    /// All other entries.
    pub fn others(&self, manager: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |e| !e.is_by(manager))
    }
}

impl Entry {
    fn is_by(&self, manager: &str) -> bool {
        let h = &self.holder;
        h.manager == manager && h.operation == Operation::Apply && h.subresource.is_none()
    }
}

/// Reads one table of FieldsV1 into `tree`. An empty table means "this path"; `.` says so beside children.
fn fill(tree: &mut Tree, fields: &Value, depth: usize, problems: &mut Vec<String>) {
    let Some(fields) = fields.as_object() else {
        return problems.push("a path does not end in a table".to_owned());
    };
    if depth > limits::DEPTH {
        return problems.push("the paths are too deep".to_owned());
    }
    tree.here |= fields.is_empty();
    for (name, below) in fields {
        if name == "." {
            tree.here = true;
            continue;
        }
        match step(name) {
            Some(step) => fill(tree.below.entry(step).or_default(), below, depth + 1, problems),
            None => problems.push(format!("what is {name:?}?")),
        }
    }
}

/// `f:name`, `k:{"name":"web"}`, `v:"x"`, `i:3`.
fn step(text: &str) -> Option<Step> {
    let (sort, rest) = text.split_once(':')?;
    match sort {
        "f" => Some(Step::Field(rest.to_owned())),
        "k" => {
            let keys: serde_json::Map<String, Value> = serde_json::from_str(rest).ok()?;
            Some(Step::Key(keys.iter().map(|(k, v)| (k.clone(), Scalar::from(v))).collect()))
        }
        "v" => Some(Step::Value(Scalar::from(&serde_json::from_str::<Value>(rest).ok()?))),
        "i" => rest.parse().ok().map(Step::Index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(entries: Value) -> Value {
        json!({"metadata": {"managedFields": entries}})
    }

    #[test]
    fn every_sort_of_step_is_read_and_written_for_people() {
        let managed = Managed::of(&live(json!([{
            "manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "time": "2026-11-24T10:00:00Z", "subresource": "scale",
            "fieldsV1": {
                "f:metadata": {
                    "f:labels": {".": {}, "f:app.kubernetes.io/name": {}},
                    "f:finalizers": {".": {}, "v:\"x.io/y\"": {}},
                },
                "f:spec": {
                    "f:replicas": {},
                    "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:ports": {
                            "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}},
                    }}},
                    "f:odd": {"i:2": {}, "v:7": {}},
                },
            },
        }])));
        assert_eq!(managed.problems, Vec::<String>::new());
        let entry = &managed.entries[0];
        assert_eq!(entry.holder.to_string(), "kubectl (scale)");
        assert_eq!(entry.holder.at.map(|t| t.to_string()).as_deref(), Some("2026-11-24T10:00:00Z"));
        let paths: Vec<String> = entry.paths.paths().iter().map(Path::to_string).collect();
        assert_eq!(
            paths,
            [
                "metadata.finalizers",
                "metadata.finalizers[\"x.io/y\"]",
                "metadata.labels",
                "metadata.labels[\"app.kubernetes.io/name\"]",
                "spec.odd[7]",
                "spec.odd[2]",
                "spec.replicas",
                "spec.template.spec.containers[name=web]",
                "spec.template.spec.containers[name=web].image",
                "spec.template.spec.containers[name=web].ports[containerPort=80,protocol=TCP]",
                "spec.template.spec.containers[name=web].ports[containerPort=80,protocol=TCP].containerPort",
            ]
        );
        assert!(entry.paths.holds(&Path::of(["spec", "replicas"])));
        assert!(!entry.paths.holds(&Path::of(["spec"])), "a table on the way is not held itself");
    }

    #[test]
    fn only_our_own_applies_are_ours() {
        let entry = |manager: &str, operation: &str, subresource: &str| json!({"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": {"f:spec": {}}});
        let managed = Managed::of(&live(json!([
            entry("evenkeel", "Apply", ""),
            entry("evenkeel", "Update", ""),
            entry("evenkeel", "Apply", "status"),
            entry("kubectl", "Apply", ""),
        ])));
        assert_eq!((managed.ours("evenkeel").count(), managed.others("evenkeel").count()), (1, 3));
    }

    #[test]
    fn what_cannot_be_read_is_said_and_the_rest_counts() {
        for (entries, says) in [
            (json!("x"), "managedFields is not a list"),
            (json!([{"operation": "Apply"}]), "names no manager"),
            (json!([{"manager": "m", "fieldsType": "FieldsV9", "fieldsV1": {}}]), "FieldsV9"),
            (json!([{"manager": "m", "fieldsV1": []}]), "are no table"),
            (json!([{"manager": "m", "fieldsV1": {"f:spec": 3}}]), "does not end in a table"),
            (json!([{"manager": "m", "fieldsV1": {"k:{nonsense": {}}}]), "k:{nonsense"),
            (json!([{"manager": "m", "fieldsV1": {"x:a": {}}}]), "x:a"),
        ] {
            let managed = Managed::of(&live(entries));
            assert!(managed.problems.iter().any(|p| p.contains(says)), "{:?} lacks {says}", managed.problems);
        }
        let half = Managed::of(&live(json!([{"manager": "m", "fieldsV1": {"q": {}, "f:a": {}}}])));
        assert!(half.entries[0].paths.holds(&Path::of(["a"])));
        assert_eq!(Managed::of(&live(json!([{}]))), Managed::default(), "a reset says nothing");
    }
}
