//! One object of the file against its live one: which paths differ, and who moved.
//!
//! For each path of the file: ours and as the file says → same; ours and otherwise → pending; not ours and
//! otherwise → drift or conflict; not ours and as the file says → restamp. What we hold and the file no longer says is
//! removed. What is in neither is nobody's business of ours.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::managed::{Entry, Holder, Managed, Tree};
use super::path::{Path, Scalar, Step};
use super::same::{self, Same};
use super::shape::{self, List};
use super::{Sort, limits};

/// Why a path is not as the file and our hold on it want it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The file moved.
    Pending,
    /// The file no longer says it, and we hold it: an apply takes it away.
    Removal,
    /// Somebody else changed what we held.
    Drift,
    /// The file moved onto what another manager holds with another value; the server refuses without force.
    Conflict,
    /// Only who holds it changes: the value is right and not ours yet, or ours to give up and somebody else's too.
    Restamp,
    /// The file does not say it; the server changes it together with the rest (an admission webhook, a default).
    Follows,
}

/// One path that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// What stands there; `None`: nothing.
    pub live: Option<Value>,
    /// What the file says, or for [`Why::Follows`] what the server puts there; `None`: nothing.
    pub wish: Option<Value>,
    /// What the server would make of it, once it was asked: a default in the place of what is removed, a webhook's value.
    pub becomes: Option<Value>,
    /// Who moved.
    pub why: Why,
    /// Who else holds it; the last of them came last, so where the world moved it is who moved it.
    pub held: Vec<Holder>,
}

/// The whole answer for one object.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// In the order of their paths.
    pub differences: Vec<Difference>,
    /// How many paths of the file are as they should be.
    pub same: usize,
    /// What the file says in other words than another manager that holds it. By itself that is no difference; but the
    /// server compares word for word, so an apply for any other reason takes it from them.
    pub worded: Vec<Difference>,
    /// We have never applied it: others made it.
    pub adopts: bool,
    /// Whether the server itself has answered ([`super::settle`]); before that a difference may be none.
    pub settled: bool,
    /// What could not be read or makes no sense, in words.
    pub problems: Vec<String>,
}

impl Comparison {
    /// Whether anything is left that is not simply the same: then a dry-run apply is worth its call.
    pub fn may_differ(&self) -> bool {
        !self.differences.is_empty()
    }

    /// Whether a value differs, and not only who holds it.
    pub fn values_differ(&self) -> bool {
        self.differences.iter().any(|d| d.why != Why::Restamp)
    }

    /// The differences for one reason.
    pub fn of(&self, why: Why) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(move |d| d.why == why)
    }
}

/// What is known beside the two objects.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Our field manager.
    pub manager: &'a str,
    /// Whether the file's object is another than the one last applied, where a hint tells: without it nobody can say
    /// whether a path that nobody holds is new in the file or was taken away by hand.
    pub moved: Option<bool>,
}

/// Compares without a hint.
pub fn compare(wish: &Value, live: &Value, manager: &str) -> Comparison {
    compare_knowing(wish, live, Known { manager, moved: None })
}

/// Compares what the file says with what is live. Both are of the same kind and version, secrets are digests on both
/// sides ([`super::redact`]).
pub fn compare_knowing(wish: &Value, live: &Value, known: Known<'_>) -> Comparison {
    let managed = Managed::of(live);
    let ours: Vec<&Entry> = managed.ours(known.manager).collect();
    let others: Vec<&Entry> = managed.others(known.manager).collect();
    let mut walk = Walk {
        sort: Sort::of(wish),
        known,
        others: &others,
        since: ours.iter().filter_map(|e| e.holder.at).max(),
        out: Comparison { adopts: ours.is_empty(), problems: managed.problems.clone(), ..Comparison::default() },
    };
    if Sort::of(live).kind != walk.sort.kind || live.get("apiVersion") != wish.get("apiVersion") {
        walk.problem("the live object is of another kind or version".to_owned());
    }
    let views = Views {
        ours: ours.iter().map(|e| &e.paths).collect(),
        others: others.iter().enumerate().map(|(n, e)| (n, &e.paths)).collect(),
    };
    let status = has_status(walk.sort, &managed);
    let mut path = Path::default();
    if let Some(table) = wish.as_object() {
        let ours = |name: &str| !is_servers(&[name], status) && !is_computed(wish, name);
        for (name, value) in table.iter().filter(|(name, _)| ours(name)) {
            path.0.push(Step::Field(name.clone()));
            let (live, below) = (live.get(name), views.below(path.0.last()));
            if let (Value::Object(metadata), "metadata") = (value, name.as_str()) {
                for (inner, value) in metadata.iter().filter(|(inner, _)| !is_servers(&["metadata", inner], status)) {
                    path.0.push(Step::Field(inner.clone()));
                    let live = live.and_then(|l| l.get(inner));
                    let below = below.below(path.0.last());
                    walk.node(&mut path, value, live, &below);
                    path.0.pop();
                }
            } else {
                walk.node(&mut path, value, live, &below);
            }
            path.0.pop();
        }
    }
    walk.removals(&views, wish, live, status);
    let mut out = walk.out;
    out.differences.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// What the server alone writes: no apply sets it, nobody holds it.
pub(super) fn is_servers(fields: &[&str], status: bool) -> bool {
    match fields {
        ["apiVersion" | "kind"] => true,
        ["status"] => status,
        ["metadata", name] => matches!(
            *name,
            "name"
                | "namespace"
                | "creationTimestamp"
                | "deletionTimestamp"
                | "deletionGracePeriodSeconds"
                | "selfLink"
                | "uid"
                | "generation"
                | "generateName"
                | "managedFields"
                | "resourceVersion"
        ),
        _ => false,
    }
}

/// A role that is put together from others: a controller writes its rules, whatever the file says.
fn is_computed(wish: &Value, field: &str) -> bool {
    let is_role = Sort::of(wish) == Sort { group: "rbac.authorization.k8s.io", kind: "ClusterRole" };
    is_role && field == "rules" && wish.get("aggregationRule").is_some_and(|a| !a.is_null())
}

/// What the server keeps no holder of and leaves as it is without a word, whatever is applied: a request that never
/// changes once it is made. Only a new object brings a change of it about.
pub fn is_untracked(sort: Sort<'_>, path: &Path) -> bool {
    let request = Sort { group: "certificates.k8s.io", kind: "CertificateSigningRequest" };
    sort == request && path.fields().first() == Some(&"spec")
}

/// Whether the object's status is another's to write. A custom object without a status of its own has an ordinary
/// field of that name.
pub(super) fn has_status(sort: Sort<'_>, managed: &Managed) -> bool {
    sort.is_built_in() || managed.entries.iter().any(|e| e.holder.subresource.as_deref() == Some("status"))
}

/// What each holder has below one path.
#[derive(Default)]
struct Views<'a> {
    ours: Vec<&'a Tree>,
    others: Vec<(usize, &'a Tree)>,
}

impl<'a> Views<'a> {
    fn below(&self, step: Option<&Step>) -> Self {
        let Some(step) = step else { return Self::default() };
        Self {
            ours: self.ours.iter().filter_map(|t| t.child(step)).collect(),
            others: self.others.iter().filter_map(|(n, t)| Some((*n, t.child(step)?))).collect(),
        }
    }

    fn all(&self) -> Vec<&'a Tree> {
        self.ours.iter().copied().chain(self.others.iter().map(|(_, t)| *t)).collect()
    }

    fn is_ours(&self) -> bool {
        self.ours.iter().any(|t| t.here)
    }
}

struct Walk<'a> {
    sort: Sort<'a>,
    known: Known<'a>,
    others: &'a [&'a Entry],
    since: Option<jiff::Timestamp>,
    out: Comparison,
}

impl<'a> Walk<'a> {
    fn problem(&mut self, says: String) {
        if self.out.problems.len() < limits::PROBLEMS && !self.out.problems.contains(&says) {
            self.out.problems.push(says);
        }
    }

    fn node(&mut self, path: &mut Path, wish: &Value, live: Option<&Value>, views: &Views<'_>) {
        let live = live.filter(|v| !v.is_null());
        if path.0.len() > limits::DEPTH {
            return self.problem(format!("{path} is too deep to compare"));
        }
        match (wish, live) {
            (Value::Object(table), None | Some(Value::Object(_))) => {
                if shape::is_one_piece(self.sort, path, &views.all(), wish, live) {
                    return self.leaf(path, wish, live, views);
                }
                if table.is_empty() {
                    // "At least there": whatever stands in it fulfils that, and there is nothing to hold.
                    return match live {
                        Some(_) => self.out.same += 1,
                        None => self.leaf(path, wish, live, views),
                    };
                }
                for (name, value) in table {
                    path.0.push(Step::Field(name.clone()));
                    let below = views.below(path.0.last());
                    self.node(path, value, live.and_then(|l| l.get(name)), &below);
                    path.0.pop();
                }
            }
            (Value::Array(items), None | Some(Value::Array(_))) => {
                let live_items = live.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                match shape::list(self.sort, path, &views.all(), live) {
                    List::Atomic => self.leaf(path, wish, live, views),
                    List::Set => self.members(path, items, live_items, views),
                    List::Map(keys) => self.items(path, items, live_items, &keys, views),
                }
            }
            _ => self.leaf(path, wish, live, views),
        }
    }

    /// A set: each member by itself, in any order.
    fn members(&mut self, path: &mut Path, wish: &[Value], live: &[Value], views: &Views<'_>) {
        let there: BTreeMap<Scalar, &Value> = live.iter().map(|v| (Scalar::from(v), v)).collect();
        for member in wish {
            let member_is = Scalar::from(member);
            let live = there.get(&member_is).copied();
            path.0.push(Step::Value(member_is));
            let below = views.below(path.0.last());
            self.leaf(path, member, live, &below);
            path.0.pop();
        }
    }

    /// A list whose items have keys: each item by itself, in any order.
    fn items(&mut self, path: &mut Path, wish: &[Value], live: &[Value], keys: &[String], views: &Views<'_>) {
        let there: BTreeMap<Step, &Value> =
            live.iter().rev().filter_map(|item| Some((shape::key(self.sort, item, keys)?, item))).collect();
        let steps: Vec<Step> = there.keys().cloned().collect();
        let mut seen = BTreeSet::new();
        for (item, step) in wish.iter().zip(shape::keys_of(self.sort, wish, &steps, keys)) {
            let Some(step) = step else {
                self.problem(format!("an item of {path} has no {}", keys.join(" and no ")));
                continue;
            };
            let found = there.get(&step).copied();
            if !seen.insert(step.clone()) {
                self.problem(format!("{} stands there twice", path.then(step)));
                continue;
            }
            path.0.push(step);
            let below = views.below(path.0.last());
            match (item, found) {
                (Value::Object(table), Some(found)) => {
                    let held_whole = below.all().iter().any(|t| t.is_leaf());
                    if held_whole || shape::is_one_piece(self.sort, path, &below.all(), item, Some(found)) {
                        self.leaf(path, item, Some(found), &below);
                    } else {
                        for (name, value) in table {
                            path.0.push(Step::Field(name.clone()));
                            let below = below.below(path.0.last());
                            self.node(path, value, found.get(name), &below);
                            path.0.pop();
                        }
                    }
                }
                (item, found) => self.leaf(path, item, found, &below),
            }
            path.0.pop();
        }
        // The one list of this sort whose order means something: they run one after the other.
        if matches!(path.0.last(), Some(Step::Field(name)) if name == "initContainers") {
            self.order(path, wish, live, keys, views);
        }
    }

    fn order(&mut self, path: &Path, wish: &[Value], live: &[Value], keys: &[String], views: &Views<'_>) {
        let steps = |all: &[Value]| all.iter().filter_map(|i| shape::key(self.sort, i, keys)).collect::<Vec<_>>();
        let (mut wished, mut shown) = (steps(wish), steps(live));
        shown.retain(|s| wished.contains(s));
        wished.retain(|s| shown.contains(s));
        if wished != shown {
            let names = |all: Vec<Step>| Some(all.iter().map(|s| Path(vec![s.clone()]).to_string()).collect::<Value>());
            let held = self.holders(&views.others.iter().filter(|(_, t)| t.holds_any()).cloned().collect::<Vec<_>>());
            let (path, live, wish) = (path.clone(), names(shown), names(wished));
            self.out.differences.push(Difference { path, live, wish, becomes: None, why: Why::Pending, held });
        }
    }

    fn holders(&self, others: &[(usize, &Tree)]) -> Vec<Holder> {
        let mut held: Vec<Holder> = others.iter().map(|(n, _)| self.others[*n].holder.clone()).collect();
        held.sort();
        held
    }

    /// A value that is held, or not, as one piece.
    fn leaf(&mut self, path: &Path, wish: &Value, live: Option<&Value>, views: &Views<'_>) {
        let ours = views.is_ours();
        let verdict = match live {
            Some(live) => same::same(self.sort, path, wish, live, ours),
            None if same::is_nothing(wish) => Same::Alike,
            // Ours, and yet not there: the server leaves out what is empty or zero. Had somebody else taken it away, it
            // would be ours no longer.
            None if ours && same::is_zero(wish) => Same::Alike,
            None => Same::No,
        };
        let held: Vec<_> = views.others.iter().filter(|(_, t)| t.here).copied().collect();
        let why = match verdict {
            Same::Equal if ours || is_untracked(self.sort, path) => None,
            Same::Equal => Some(Why::Restamp),
            // Ours, and the file is the one we applied: what stands there is what the server made of it.
            Same::No if ours && self.known.moved == Some(false) => None,
            // In other words: to hold it too would be a fight over words.
            Same::Alike => {
                if live.is_some() && !held.is_empty() {
                    let (live, wish, held) = (live.cloned(), Some(wish.clone()), self.holders(&held));
                    let path = path.clone();
                    self.out.worded.push(Difference { path, live, wish, becomes: None, why: Why::Conflict, held });
                }
                None
            }
            Same::No => Some(self.moved(ours, &held)),
        };
        match why {
            None => self.out.same += 1,
            Some(why) => {
                let held = self.holders(&held);
                let (live, wish) = (live.cloned(), Some(wish.clone()));
                let path = path.clone();
                self.out.differences.push(Difference { path, live, wish, becomes: None, why, held });
            }
        }
    }

    /// Who moved, where file and world differ.
    fn moved(&self, ours: bool, held: &[(usize, &Tree)]) -> Why {
        let latest = held.iter().filter_map(|(n, _)| self.others[*n].holder.at).max();
        match (ours, self.out.adopts, held.is_empty(), self.known.moved) {
            // The server takes a path out of our set the moment that anybody else changes it.
            (true, ..) => Why::Pending,
            // We have never said anything about this object, so nobody has moved away from it.
            (false, true, true, _) => Why::Pending,
            (false, true, false, _) => Why::Conflict,
            (false, false, _, Some(false)) => Why::Drift,
            // Nobody holds it: new in the file, as far as can be told.
            (false, false, true, _) => Why::Pending,
            // Held since before our last apply: had the file said it then, it would be ours.
            (false, false, false, _) if latest.is_some() && latest < self.since => Why::Conflict,
            (false, false, false, _) => Why::Drift,
        }
    }

    /// What we hold and the file no longer says.
    fn removals(&mut self, views: &Views<'_>, wish: &Value, live: &Value, status: bool) {
        let mut found = BTreeMap::new();
        for ours in &views.ours {
            let others: Vec<_> = views.others.clone();
            self.dropped(&Path::default(), ours, Some(wish), live, &others, status, &mut found);
        }
        self.out.differences.extend(found.into_values());
    }

    fn dropped(
        &self,
        path: &Path,
        ours: &Tree,
        wish: Option<&Value>,
        live: &Value,
        others: &[(usize, &Tree)],
        status: bool,
        found: &mut BTreeMap<Path, Difference>,
    ) {
        for (step, below) in &ours.below {
            let at = path.then(step.clone());
            if is_servers(&at.fields(), status) {
                continue;
            }
            let wish_below = wish.and_then(|w| shape::below(w, step));
            // A line that says null still says something.
            if wish.and_then(|w| w.get(step.field()?)).is_some_and(Value::is_null) {
                continue;
            }
            let Some(live_below) = shape::below(live, step) else { continue };
            let others: Vec<_> = others.iter().filter_map(|(n, t)| Some((*n, t.child(step)?))).collect();
            if wish_below.is_some() {
                self.dropped(&at, below, wish_below, live_below, &others, status, found);
                continue;
            }
            let inside: Vec<_> = others.iter().filter(|(_, t)| t.holds_any()).copied().collect();
            if !below.here || (!below.is_leaf() && !inside.is_empty()) {
                self.dropped(&at, below, None, live_below, &others, status, found);
                continue;
            }
            let why = if inside.is_empty() { Why::Removal } else { Why::Restamp };
            let held = self.holders(&inside);
            let (path, live) = (at.clone(), Some(live_below.clone()));
            let gone = Difference { path, live, wish: None, becomes: None, why, held };
            found.insert(at, gone);
        }
    }
}
