//! Server-side apply as a pure function: a live object, a wish and who wishes it in; the object afterwards, or the
//! conflicts, out. And what any other write does to `managedFields`.
//!
//! The rules are those of Kubernetes' structured merge (KEP-555). No defaults, no validation, no admission.

mod entries;
mod form;
mod merge;
mod sets;

use evenkeel_core::objects::managed::{Entry, Holder, Operation, Tree};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use self::entries::{Entries, same_holder, second};
pub use self::form::Form;

/// Paths that nobody holds.
const NOBODYS: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// A server-side apply.
#[derive(Debug, Clone, Copy)]
pub struct Apply<'a> {
    /// The object as it is; `None` where there is none yet.
    pub live: Option<&'a Json>,
    /// What is applied.
    pub wish: &'a Json,
    /// By whom.
    pub manager: &'a str,
    /// Whether fields of others are taken.
    pub force: bool,
    /// How its values are put together.
    pub form: Form<'a>,
    /// When.
    pub now: Timestamp,
}

/// A field that another manager holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who: `"kubectl" using apps/v1`.
    pub with: String,
    /// `.spec.replicas`.
    pub field: String,
}

/// Any other write, after it was made.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// The object before; `None` where there was none.
    pub before: Option<&'a Json>,
    /// The object as it is to be.
    pub after: &'a Json,
    /// By whom.
    pub manager: &'a str,
    /// `status`, `scale`.
    pub subresource: Option<&'a str>,
    /// How its values are put together.
    pub form: Form<'a>,
    /// When.
    pub now: Timestamp,
}

/// What the object is afterwards.
///
/// # Errors
/// The fields that others hold, by manager and path, where they are not to be taken.
pub fn apply(ask: &Apply<'_>) -> Result<Json, Vec<Conflict>> {
    let form = &ask.form;
    let version = api_version(ask.wish);
    let live = bare(ask.live.unwrap_or(&json!({})));
    let mut wish = bare(ask.wish);
    if let Some(table) = wish.as_object_mut().filter(|_| form.has_status()) {
        table.remove("status");
    }
    let mut entries = ask.live.map(Entries::of).unwrap_or_default();
    if entries.0.is_empty() && ask.live.is_some() {
        let holder = holder("before-first-apply", Operation::Update, None, ask.now);
        record(&mut entries, form, (&empty_of(&live), &live), holder, version);
    }
    let me = holder(ask.manager, Operation::Apply, None, ask.now);
    let last = entries.take(&me, version);
    let set = sets::fields(form, &wish);
    entries.0.push(Entry { holder: me.clone(), api_version: version.to_owned(), paths: set });
    let merged = merge::merge(form, &live, &wish);
    let object = match last.as_ref().filter(|l| !sets::is_empty(&l.paths)) {
        Some(last) => prune(form, &merged, &last.paths, &entries.all()),
        None => merged,
    };
    let change = merge::between(form, &live, &object);
    let conflicts = give_way(&mut entries, &change, |e| same_holder(&e.holder, &me));
    if !conflicts.is_empty() && !ask.force {
        return Err(conflicts);
    }
    let moved = !merge::same(&live, &object);
    if let Some(n) = entries.find(&me, version) {
        entries.0[n].paths = stripped(&entries.0[n].paths);
        // The time is that of the last apply that moved anything.
        let before = last.and_then(|l| l.holder.at);
        entries.0[n].holder.at = if moved { Some(second(ask.now)) } else { before };
    }
    let mut object = if object.is_object() { object } else { json!({}) };
    drop_nulls(&mut object);
    entries.write(&mut object);
    Ok(object)
}

/// The `managedFields` of an object after a write that is no apply.
pub fn update(ask: &Update<'_>) -> Json {
    let form = &ask.form;
    let after = bare(ask.after);
    let before = match ask.before {
        Some(before) => bare(before),
        None => empty_of(&after),
    };
    let mut entries = ask.before.map(Entries::of).unwrap_or_default();
    let mut object = after.clone();
    // What was made before anybody kept account stays without.
    if ask.before.is_none() || !entries.0.is_empty() {
        let holder = holder(ask.manager, Operation::Update, ask.subresource, ask.now);
        record(&mut entries, form, (&before, &after), holder, api_version(ask.after));
        entries.cap_updates();
    }
    entries.write(&mut object);
    object
}

/// Books a change on an updater.
fn record(entries: &mut Entries, form: &Form<'_>, change: (&Json, &Json), who: Holder, version: &str) {
    let between = merge::between(form, change.0, change.1);
    give_way(entries, &between, |_| false);
    let new = stripped(&sets::union(&between.modified, &between.added));
    if !sets::is_empty(&new) {
        let mut entry = entries.take(&who, version).unwrap_or_else(|| Entry {
            holder: who.clone(),
            api_version: version.to_owned(),
            paths: Tree::default(),
        });
        sets::add(&mut entry.paths, &new);
        entry.holder.at = Some(second(who.at.unwrap_or(Timestamp::UNIX_EPOCH)));
        entries.0.push(entry);
    }
    entries.drop_empty();
}

/// Takes what changed away from those who hold it, and says what that was as far as it was not removed.
fn give_way(entries: &mut Entries, change: &merge::Between, is_me: impl Fn(&Entry) -> bool) -> Vec<Conflict> {
    let changed = sets::union(&change.modified, &change.added);
    let mut found: Vec<(String, Vec<Conflict>)> = Vec::new();
    for entry in entries.0.iter_mut().filter(|e| !is_me(e)) {
        let taken = sets::both(&entry.paths, &changed);
        if !sets::is_empty(&taken) {
            let with = named(entry);
            let all = taken.paths().iter().map(|p| Conflict { with: with.clone(), field: sets::spelled(p) }).collect();
            found.push((with, all));
        }
        entry.paths = sets::without(&sets::without(&entry.paths, &taken), &change.removed);
    }
    entries.drop_empty();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.into_iter().flat_map(|(_, all)| all).collect()
}

/// What was applied last time, is not this time, and nobody else holds, goes.
fn prune(form: &Form<'_>, merged: &Json, last: &Tree, held: &Tree) -> Json {
    let whole = |set: &Tree| sets::with_tables(form, set);
    let fields = |value: &Json| sets::with_tables(form, &sets::fields(form, value));
    let all = fields(merged);
    let last = whole(last);
    let without_last = sets::remove(form, merged, &last);
    let kept = sets::union(&fields(&without_last), &whole(held));
    let with_held = sets::remove(form, merged, &sets::without(&all, &kept));
    let gone = sets::both(&sets::without(&all, &fields(&with_held)), &last);
    sets::remove(form, merged, &gone)
}

/// A set without what nobody holds.
fn stripped(set: &Tree) -> Tree {
    let mut gone = Tree::default();
    let field = |name: &str| evenkeel_core::objects::path::Step::Field(name.to_owned());
    for name in ["apiVersion", "kind", "metadata"] {
        gone.below.entry(field(name)).or_default().here = true;
    }
    let metadata = gone.below.entry(field("metadata")).or_default();
    for name in NOBODYS {
        metadata.below.entry(field(name)).or_default().here = true;
    }
    sets::without(set, &gone)
}

/// What was emptied by taking things away is not written down.
fn drop_nulls(value: &mut Json) {
    match value {
        Json::Object(table) => {
            table.retain(|_, v| !v.is_null());
            table.values_mut().for_each(drop_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_nulls),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The object without its managed fields.
fn bare(object: &Json) -> Json {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// What the server compares a new object with: the tables that any object of its kind has.
fn empty_of(object: &Json) -> Json {
    fn tables(object: &Json, names: &[&str]) -> Map<String, Json> {
        let there = names.iter().filter(|n| object.get(**n).is_some_and(Json::is_object));
        there.map(|n| ((*n).to_owned(), json!({}))).collect()
    }
    let mut empty = tables(object, &["metadata", "spec", "status"]);
    if let Some(spec) = object.get("spec").filter(|s| s.get("template").is_some()) {
        let mut below = tables(spec, &["template", "strategy", "updateStrategy"]);
        below.insert("template".to_owned(), Json::Object(tables(&spec["template"], &["metadata", "spec"])));
        empty.insert("spec".to_owned(), Json::Object(below));
    }
    Json::Object(empty)
}

fn holder(manager: &str, operation: Operation, subresource: Option<&str>, now: Timestamp) -> Holder {
    let manager = if manager.is_empty() { "unknown" } else { manager };
    Holder {
        at: Some(second(now)),
        manager: manager.to_owned(),
        operation,
        subresource: subresource.map(str::to_owned),
    }
}

/// A manager as the server names it in a conflict.
fn named(entry: &Entry) -> String {
    let h = &entry.holder;
    let mut text = json!(h.manager).to_string();
    if let Some(subresource) = &h.subresource {
        text.push_str(&format!(" with subresource {}", json!(subresource)));
    }
    if h.operation == Operation::Update {
        text.push_str(&format!(" using {}", entry.api_version));
    }
    text
}

fn api_version(object: &Json) -> &str {
    object.get("apiVersion").and_then(Json::as_str).unwrap_or_default()
}
