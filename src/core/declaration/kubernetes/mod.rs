//! Kubernetes in the file: `[kubernetes]` here, manifests and workloads below. Everything ends as objects with all marks
//! and all defaults written into them.

pub mod forms;
pub mod limits;
pub mod manifests;
pub mod pattern;
pub mod workloads;

mod files;
pub(super) mod object;
mod piece;
mod scalar;
mod secret;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use super::format::Format;
use super::keys::{Block, Key, Others, Shape, key, nearest};
use super::problems::Problems;
use super::reader::Reader;
use super::tree::At;
use super::vars::Vars;
use crate::address::{Group, ObjectName};
use crate::applyset::Keep;
use crate::desired::{Cluster, ObjectWish, Stack, cluster_scope};
use forms::Form;

const KEYS: &[Key] = &[
    key("context", Shape::Text(Format::Any), "The kubeconfig's context.")
        .default("the current one, or the cluster that evenkeel runs in")
        .example("\"prod\"")
        .aka(&["config_context"]),
    key("kubeconfig", Shape::Text(Format::Any), "The kubeconfig's path, seen from the declaration's folder.")
        .default("KUBECONFIG, or ~/.kube/config")
        .example("\"clusters/prod.yaml\"")
        .aka(&["config_path", "config"]),
    key(
        "namespace",
        Shape::Text(Format::Kube(Form::Label)),
        "The namespace of objects that name none, and of the stack's own mark. To change it later moves them all.",
    )
    .default("\"default\"")
    .example("\"shop\""),
];

/// `[kubernetes]`.
pub static KUBERNETES: Block = Block {
    title: "[kubernetes]",
    about: "Where Kubernetes objects live. A second cluster is `[kubernetes.<alias>]`, and groups name it with \
            `cluster = \"<alias>\"`.",
    keys: KEYS,
    others: Some(Others {
        name: "<alias>",
        format: Format::Name,
        shape: Shape::Table(&ALIAS),
        about: "Another cluster.",
    }),
    later: &[],
};

/// `[kubernetes.<alias>]`.
pub static ALIAS: Block = Block {
    title: "[kubernetes.<alias>]",
    about: "Another cluster, with the same keys.",
    keys: KEYS,
    others: None,
    later: &[],
};

/// The keys that manifests and workloads share.
pub const CLUSTER: Key =
    key("cluster", Shape::Text(Format::Name), "The alias of the [kubernetes.<alias>] that they live in.")
        .default("[kubernetes]")
        .example("\"west\"")
        .aka(&["kubernetes", "provider"]);
/// `wait`.
pub const WAIT: Key = key(
    "wait",
    Shape::Either(&[Shape::Bool, Shape::Time]),
    "Whether a run waits until the objects are ready, and how long at most.",
)
.default("\"10m\"")
.example("\"20m\"")
.unit("time");
/// `force-conflicts`.
pub const FORCE: Key =
    key("force-conflicts", Shape::Bool, "Takes fields that another manager holds, without `--force-conflicts`.")
        .default("false")
        .example("true");
/// `protect`.
pub const PROTECT: Key = key(
    "protect",
    Shape::Bool,
    "Nothing of it is deleted. It stands on the objects themselves, so it outlives its line here.",
)
.default("false")
.example("true");
/// `prune`.
pub const PRUNE: Key = key(
    "prune",
    Shape::Bool,
    "Whether objects that are taken out of the file are deleted from the cluster; if not, they are let go.",
)
.default("true")
.example("false");

/// What reading a group needs beside its table.
pub struct Context<'c> {
    /// `[stack]`.
    pub stack: &'c Stack,
    /// `[kubernetes]`, by scope.
    pub clusters: &'c BTreeMap<String, Cluster>,
    /// The files that were read.
    pub files: &'c BTreeMap<String, Vec<u8>>,
    /// Files and patterns that could not be, and why.
    pub unread: &'c BTreeMap<String, String>,
    /// What templates have at hand.
    pub templates: &'c serde_json::Value,
    /// `[vars]`.
    pub vars: &'c Vars,
    /// The declaration's name.
    pub file: &'c str,
    /// The declaration's text.
    pub text: &'c str,
}

/// What the groups share while they are read.
#[derive(Default)]
pub struct Shared {
    /// Where each object is declared.
    pub taken: BTreeMap<(String, ObjectName), At>,
    /// Texts that no output may show.
    pub secrets: BTreeSet<String>,
    /// Names that stand in the open, so that they are no secrets.
    pub names: BTreeSet<String>,
}

/// Reads all clusters, by scope. The plain one is there even when the file has no `[kubernetes]`.
pub fn read(r: Option<&Reader<'_>>) -> BTreeMap<String, Cluster> {
    let mut clusters = BTreeMap::from([(cluster_scope(""), Cluster::default())]);
    if let Some(r) = r {
        clusters.insert(cluster_scope(""), cluster(r));
        clusters.extend(r.groups().into_iter().map(|(alias, r)| (cluster_scope(alias), cluster(&r))));
    }
    clusters
}

fn cluster(r: &Reader<'_>) -> Cluster {
    Cluster { context: r.text("context"), kubeconfig: r.text("kubeconfig"), namespace: r.text("namespace") }
}

/// The scope of the cluster that a group names, or of the plain one.
pub fn scope(r: &Reader<'_>, c: &Context<'_>, problems: &mut Problems<'_>) -> String {
    let alias = r.text("cluster").unwrap_or_default();
    let scope = cluster_scope(&alias);
    if c.clusters.contains_key(&scope) {
        return scope;
    }
    let says = format!("there is no [kubernetes.{}]", alias.escape_debug());
    let known = c.clusters.keys().filter_map(|k| k.strip_prefix("kubernetes:")).filter(|a| !a.is_empty());
    match nearest(&alias, known) {
        Some(near) => problems
            .error("E1001", r.at("cluster"), says, format!("write \"{near}\""))
            .label(format!("did you mean \"{near}\"?"))
            .fix(r.at("cluster"), format!("\"{near}\"")),
        None => {
            let way_out = format!("add a table [kubernetes.{alias}], or take `cluster` away to use [kubernetes]");
            problems.error("E1001", r.at("cluster"), says, way_out);
        }
    }
    cluster_scope("")
}

/// Seconds to wait, and whether to wait at all.
pub fn wait(r: &Reader<'_>) -> (bool, u64) {
    (r.bool("wait").unwrap_or(true), r.seconds("wait").unwrap_or(WAIT_WITHIN))
}

/// As kubectl's own roll-outs.
const WAIT_WITHIN: u64 = 600;

/// Notes an object's place, and refuses one that is declared twice.
pub fn take(scope: &str, wish: &ObjectWish, at: At, shared: &mut Shared, problems: &mut Problems<'_>) -> bool {
    shared.names.extend([wish.object.name.clone(), wish.object.namespace.clone()]);
    match shared.taken.insert((scope.to_owned(), wish.object.clone()), at) {
        None => true,
        Some(first) => {
            let says = format!("{} is declared twice", wish.object.short());
            let added = problems.error("E1104", at, says, "keep one of the two, or give one another name or namespace");
            added.label("second time").also(first, "first time");
            false
        }
    }
}

/// What a table says of the end of its objects.
pub fn keep(r: &Reader<'_>) -> Keep {
    Keep { protect: r.bool("protect").unwrap_or(false), prune: r.bool("prune").unwrap_or(true) }
}

/// Writes the stack's marks into an object.
pub fn mark(body: &mut serde_json::Value, group: &Group, scope: &str, keep: Keep, c: &Context<'_>) {
    let namespace = c.clusters.get(scope).map_or("default", Cluster::namespace);
    crate::applyset::mark(body, &c.stack.id, namespace, group, keep);
}
