//! `metadata.managedFields` as values: who holds which paths, since when.

use evenkeel_core::objects::managed::{Entry, Holder, Managed, Operation, Tree};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::sets;

/// So many entries of updates at most; the oldest become one.
const MOST_UPDATES: usize = 10;

/// All entries of one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Entries(pub(super) Vec<Entry>);

impl Entries {
    pub(super) fn of(object: &Json) -> Self {
        Self(Managed::of(object).entries)
    }

    /// The entry that an operation of this holder belongs to. An applier has one whatever its version.
    pub(super) fn find(&self, holder: &Holder, api_version: &str) -> Option<usize> {
        self.0.iter().position(|e| {
            let version = holder.operation == Operation::Apply || e.api_version == api_version;
            version && same_holder(&e.holder, holder)
        })
    }

    pub(super) fn take(&mut self, holder: &Holder, api_version: &str) -> Option<Entry> {
        self.find(holder, api_version).map(|n| self.0.remove(n))
    }

    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|e| !sets::is_empty(&e.paths));
    }

    /// What anybody holds.
    pub(super) fn all(&self) -> Tree {
        let mut all = Tree::default();
        for entry in &self.0 {
            sets::add(&mut all, &entry.paths);
        }
        all
    }

    /// Makes one entry of the oldest updates when there are too many.
    pub(super) fn cap_updates(&mut self) {
        self.sort();
        while self.0.iter().filter(|e| e.holder.operation == Operation::Update).count() > MOST_UPDATES {
            let version = |e: &Entry| e.api_version.clone();
            let old: Vec<usize> =
                (0..self.0.len()).filter(|n| self.0[*n].holder.operation == Operation::Update).collect();
            let [first, second, ..] = old.as_slice() else { return };
            if version(&self.0[*first]) != version(&self.0[*second]) {
                return;
            }
            let gone = self.0.remove(*first);
            let Some(into) = self.0.get_mut(first.max(second) - 1) else { return };
            sets::add(&mut into.paths, &gone.paths);
            into.holder.manager = "ancient-changes".to_owned();
            into.holder.subresource = None;
        }
    }

    pub(super) fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let key = |e: &Entry| {
                let h = &e.holder;
                (h.operation, h.at.map_or(0, Timestamp::as_second), h.manager.clone(), e.api_version.clone())
            };
            key(a).cmp(&key(b)).then_with(|| a.holder.subresource.cmp(&b.holder.subresource))
        });
    }

    /// Puts them into an object's metadata.
    pub(super) fn write(mut self, object: &mut Json) {
        self.drop_empty();
        self.sort();
        let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) else { return };
        if self.0.is_empty() {
            metadata.remove("managedFields");
            return;
        }
        metadata.insert("managedFields".to_owned(), self.0.iter().map(written).collect());
    }
}

/// The server keeps whole seconds.
pub(super) fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn written(entry: &Entry) -> Json {
    let h = &entry.holder;
    let mut table = Map::new();
    table.insert("apiVersion".to_owned(), json!(entry.api_version));
    table.insert("fieldsType".to_owned(), json!("FieldsV1"));
    table.insert("fieldsV1".to_owned(), sets::write(&entry.paths));
    table.insert("manager".to_owned(), json!(h.manager));
    table.insert("operation".to_owned(), json!(if h.operation == Operation::Apply { "Apply" } else { "Update" }));
    if let Some(subresource) = &h.subresource {
        table.insert("subresource".to_owned(), json!(subresource));
    }
    // The real server (1.37) keeps no time of what was set through `scale`.
    if let Some(at) = h.at.filter(|_| h.subresource.as_deref() != Some("scale")) {
        table.insert("time".to_owned(), json!(second(at).to_string()));
    }
    Json::Object(table)
}

pub(super) fn same_holder(a: &Holder, b: &Holder) -> bool {
    (&a.manager, a.operation, &a.subresource) == (&b.manager, b.operation, &b.subresource)
}
