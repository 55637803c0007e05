//! `[manifests.<name>]`: Kubernetes objects of any kind, from files or written here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::super::format::Format;
use super::super::keys::{Block, Others, Shape, key};
use super::super::problems::Problems;
use super::super::reader::Reader;
use super::super::tree::Node;
use super::forms::Form;
use super::object::{self, Home, Lines, Stands};
use super::pattern::Pattern;
use super::{CLUSTER, Context, FORCE, PROTECT, PRUNE, Shared, WAIT, files, keep, piece, scope, secret, wait};
use crate::address::{Group, Kind};
use crate::desired::{Bundle, Cluster};
use crate::objects::readiness::WaitFor;

/// `[manifests]`.
pub static GROUPS: Block = Block {
    title: "[manifests]",
    about: "Kubernetes objects of any kind. Each table below is a set of them.",
    keys: &[],
    others: Some(Others {
        name: "<name>",
        format: Format::Name,
        shape: Shape::Table(&MANIFESTS),
        about: "A set of Kubernetes objects.",
    }),
    later: &[],
};

/// `[manifests.<name>]`.
pub static MANIFESTS: Block = Block {
    title: "[manifests.<name>]",
    about: "Kubernetes objects of any kind, custom ones included, read as kubectl reads them and applied by server-side \
            apply. An object is found by its kind, namespace and name, so that it may move from one table to another.",
    keys: &[
        key(
            "files",
            Shape::Either(&[
                Shape::Text(Format::Kube(Form::Files)),
                Shape::Set(&Shape::Text(Format::Kube(Form::Files)), 1),
            ]),
            "Files, folders (their .yaml, .yml and .json files) and patterns, of YAML with one or more documents or of JSON.",
        )
        .default("none")
        .example("[\"k8s/*.yaml\"]")
        .aka(&["file", "path", "paths", "resources"]),
        key("objects", Shape::List(&Shape::Free, 1), "Objects written here, as TOML.")
            .default("none")
            .example("[{ apiVersion = \"v1\", kind = \"Namespace\", metadata = { name = \"shop\" } }]")
            .aka(&["manifest", "object", "yaml_body"]),
        key("namespace", Shape::Text(Format::Kube(Form::Label)), "The namespace of objects that name none.")
            .default("that of the cluster")
            .example("\"shop\""),
        key(
            "template",
            Shape::Bool,
            "Whether the files are minijinja templates, with `vars`, `stack`, `env`, `group` and `namespace` at hand.",
        )
        .default("true for files that end in .j2")
        .example("false"),
        key("vars", Shape::Free, "More variables for the templates, over those of [vars].")
            .default("none")
            .example("{ replicas = 3 }")
            .aka(&["values", "variables"]),
        CLUSTER,
        WAIT,
        key("wait-for", Shape::Table(&WAIT_FOR), "What to wait for, by kind, where the kind's own readiness is not enough.")
            .default("each kind's own readiness")
            .example("{ \"Certificate.cert-manager.io\" = \"condition=Ready\" }"),
        FORCE,
        PROTECT,
        PRUNE,
    ],
    others: None,
    later: &[],
};

/// `wait-for`.
pub static WAIT_FOR: Block = Block {
    title: "wait-for",
    about: "A kind, with its API group behind it, and what must come true of each of its objects, in kubectl's words: \
            `condition=Ready`, `condition=Synced=False`, `jsonpath={.status.phase}=Running`.",
    keys: &[],
    others: Some(Others {
        name: "<kind>",
        format: Format::Kube(Form::GroupKind),
        shape: Shape::Text(Format::Kube(Form::Condition)),
        about: "What to wait for.",
    }),
    later: &[],
};

/// The patterns of files that a group names.
pub fn wanted(group: &Node) -> Vec<Pattern> {
    group.get("files").into_iter().flat_map(|node| files::patterns(node).map(|(_, p)| p)).collect()
}

/// What no output may show of the objects that stand in the declaration itself; of a broken text too.
pub fn secrets(root: &Node, into: &mut BTreeSet<String>) {
    let groups = root.get("manifests").and_then(Node::table).into_iter().flatten();
    let objects = groups.filter_map(|(_, group)| group.get("objects")).flat_map(Node::items);
    objects.for_each(|object| secret::values(&piece::of(object, &mut |_, _| ()), into));
}

/// Reads one group.
pub fn read(name: &str, r: &Reader<'_>, c: &Context<'_>, shared: &mut Shared, problems: &mut Problems<'_>) -> Bundle {
    let path = format!("manifests.{name}");
    let group = Group { kind: Kind::Manifests, name: name.to_owned() };
    let scope = scope(r, c, problems);
    let default = c.clusters.get(&scope).map_or("default", Cluster::namespace).to_owned();
    let namespace = r.text("namespace").unwrap_or(default);
    let keep = keep(r);
    let home = Home { group: &group, scope: &scope, namespace: &namespace, keep };
    if !r.has("files") && !r.has("objects") {
        let way_out = "add `files = [\"k8s/*.yaml\"]`, or `objects = [{ … }]`";
        problems.error("E1010", r.here(), format!("`{path}` has neither `files` nor `objects`"), way_out);
    }
    let mut objects = Vec::new();
    for loaded in files::load(r, &path, &context(name, r, &namespace, c), c, problems) {
        let stands = Stands { file: &loaded.file, lines: &loaded.lines };
        for document in &loaded.documents {
            object::read(document, &home, &stands, c, shared, problems, &mut objects);
        }
    }
    let lines = Lines::of(c.text);
    for node in r.node("objects").map(Node::items).unwrap_or_default() {
        let mut odd = Vec::new();
        let piece = piece::of(node, &mut |at, why| odd.push((at, why)));
        for (at, why) in odd {
            problems.error("E1008", at, why, "write what JSON knows: text, numbers, true, false, lists, tables");
        }
        let stands = Stands { file: c.file, lines: &lines };
        object::read(&piece, &home, &stands, c, shared, problems, &mut objects);
    }
    let (wait, wait_within) = wait(r);
    Bundle {
        wait_for: wait_for(r, &path, problems),
        prune: keep.prune,
        force_conflicts: r.bool("force-conflicts").unwrap_or(false),
        scope,
        objects,
        wait,
        wait_within,
        protect: keep.protect,
    }
}

/// What the templates of a group have at hand.
fn context(name: &str, r: &Reader<'_>, namespace: &str, c: &Context<'_>) -> Json {
    let mut context = c.templates.clone();
    context["group"] = name.into();
    context["namespace"] = namespace.into();
    if let (Some(Json::Object(more)), Some(vars)) =
        (r.node("vars").map(Node::json), context.get_mut("vars").and_then(Json::as_object_mut))
    {
        vars.extend(more);
    }
    context
}

fn wait_for(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> BTreeMap<String, WaitFor> {
    let mut all = BTreeMap::new();
    for (kind, node) in r.table("wait-for").iter().flat_map(Reader::others) {
        let Some(text) = node.text() else { continue };
        match WaitFor::parse(text) {
            Ok(what) => drop(all.insert(kind.to_owned(), what)),
            Err(says) => {
                let says = format!("`{path}.wait-for` of {}: {says}", kind.escape_debug());
                problems.error("E1110", node.at, says, "write condition=Ready, or jsonpath={.status.phase}=Running");
            }
        }
    }
    all
}
