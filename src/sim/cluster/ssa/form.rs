//! How the values of one kind are put together: by core's table for what the server serves itself, by its own schema
//! for a custom object, and without either as the server deduces it.

use evenkeel_core::objects::Sort;
use evenkeel_core::objects::path::{Path, Scalar, Step};
use evenkeel_core::objects::shape::{self, List};
use serde_json::Value as Json;

/// The form of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    sort: Sort<'a>,
    kind: Of<'a>,
    /// `status` belongs to a subresource: nothing of it is taken from an apply of the object itself.
    has_status: bool,
}

#[derive(Debug, Clone, Copy)]
enum Of<'a> {
    BuiltIn,
    /// `None`: a definition without a schema.
    Custom(Option<&'a Json>),
}

/// What a schema says of one place.
enum Place<'a> {
    Schema(&'a Json),
    /// Inside of `metadata`, which is the same for all.
    Metadata,
    /// Nothing: tables have members, lists are one piece.
    Free,
}

/// Metadata is described by core's table under any kind that it knows.
const ANY: Sort<'static> = Sort { group: "", kind: "ConfigMap" };

impl<'a> Form<'a> {
    /// A kind that the server serves itself.
    pub fn built_in(group: &'a str, kind: &'a str) -> Self {
        Self { sort: Sort { group, kind }, kind: Of::BuiltIn, has_status: true }
    }

    /// A kind that a definition serves, with the `openAPIV3Schema` of its version.
    pub fn custom(group: &'a str, kind: &'a str, schema: Option<&'a Json>, has_status: bool) -> Self {
        Self { sort: Sort { group, kind }, kind: Of::Custom(schema), has_status }
    }

    /// Whether `status` belongs to a subresource.
    pub fn has_status(&self) -> bool {
        self.has_status
    }

    /// How the list at `path` is put together.
    pub(super) fn list(&self, path: &Path) -> List {
        match self.place(path) {
            None => shape::list(self.sort, path, &[], None),
            Some(Place::Metadata) => shape::list(ANY, path, &[], None),
            Some(Place::Free) => List::Atomic,
            Some(Place::Schema(schema)) => match text(schema, "x-kubernetes-list-type") {
                "map" => {
                    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Json::as_array);
                    let keys = keys.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned);
                    List::Map(keys.collect())
                }
                "set" => List::Set,
                _ => List::Atomic,
            },
        }
    }

    /// Whether the table at `path` is one piece.
    pub(super) fn is_piece(&self, path: &Path) -> bool {
        let empty = Json::Null;
        match self.place(path) {
            None => shape::is_one_piece(self.sort, path, &[], &empty, None),
            Some(Place::Metadata) => shape::is_one_piece(ANY, path, &[], &empty, None),
            Some(Place::Free) => false,
            Some(Place::Schema(schema)) => text(schema, "x-kubernetes-map-type") == "atomic",
        }
    }

    /// Whether the table at `path` has a field of this name of its own; else the name is a member of a map.
    pub(super) fn declares(&self, path: &Path, name: &str) -> bool {
        match self.place(path) {
            None | Some(Place::Metadata) => true,
            Some(Place::Free) => false,
            Some(Place::Schema(schema)) => {
                path.0.is_empty() && matches!(name, "apiVersion" | "kind" | "metadata")
                    || schema.get("properties").is_some_and(|p| p.get(name).is_some())
            }
        }
    }

    /// The step to an item of a list with these keys. A key that is not there and has no default is left out.
    pub(super) fn key(item: &Json, keys: &[String]) -> Option<Step> {
        let table = item.as_object()?;
        if !keys.iter().any(|k| table.contains_key(k)) {
            return None;
        }
        let value = |k: &String| match table.get(k).filter(|v| !v.is_null()) {
            Some(value) => Some((k.clone(), Scalar::from(value))),
            None => (k == "protocol").then(|| (k.clone(), Scalar::Text("TCP".to_owned()))),
        };
        Some(Step::Key(keys.iter().filter_map(value).collect()))
    }

    /// `None` where core's table answers.
    fn place(&self, path: &Path) -> Option<Place<'a>> {
        let Of::Custom(schema) = self.kind else { return None };
        if path.0.first().and_then(Step::field) == Some("metadata") {
            return Some(Place::Metadata);
        }
        let Some(mut at) = schema else { return Some(Place::Free) };
        for step in &path.0 {
            let below = match step {
                Step::Field(name) => at
                    .get("properties")
                    .and_then(|p| p.get(name))
                    .or_else(|| at.get("additionalProperties").filter(|a| a.is_object())),
                Step::Key(_) | Step::Value(_) | Step::Index(_) => at.get("items"),
            };
            match below {
                Some(below) => at = below,
                None => return Some(Place::Free),
            }
        }
        Some(Place::Schema(at))
    }
}

fn text<'a>(schema: &'a Json, key: &str) -> &'a str {
    schema.get(key).and_then(Json::as_str).unwrap_or_default()
}
