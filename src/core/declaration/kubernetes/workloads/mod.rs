//! `[workloads.<name>]`: a dozen readable lines become a Deployment, StatefulSet, DaemonSet, CronJob or Job, its service
//! and its disruption budget. Every default is written into the objects, so that the plan shows it.
//!
//! Refuses to be all of Kubernetes: what the keys do not say, a manifest does.

mod around;
mod env;
mod keys;
mod mounts;
mod pod;
mod probes;
mod runs;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::conform::shown;
use super::super::format::Format;
use super::super::problems::Problems;
use super::super::reader::Reader;
use super::super::tree::{Node, Val};
use super::forms::Form;
use super::{Context, Shared, keep, mark, scope, take, wait};
use crate::address::{Group, Kind};
use crate::applyset;
use crate::desired::{Body, Bundle, Cluster, ObjectWish};
use crate::policy::Amount;

pub use keys::GROUPS;

/// What may run a workload.
pub const KINDS: &[&str] = &["deployment", "statefulset", "daemonset", "cronjob", "job"];

/// The label that a workload's pods are found by.
const NAME: &str = "app.kubernetes.io/name";
/// The label that says who made it, for people.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// A port of the container.
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// `TCP`.
    pub protocol: &'static str,
}

/// What all parts of a workload are made from.
pub struct Workload<'w> {
    /// Its table.
    pub r: &'w Reader<'w>,
    /// `workloads.shop`, for messages.
    pub path: &'w str,
    /// One of [`KINDS`].
    pub kind: &'w str,
    /// The objects' name.
    pub name: &'w str,
    /// How many; `None` for kinds that have no number.
    pub replicas: Option<u32>,
    /// The container's ports.
    pub ports: &'w [Port],
    /// Labels of the objects and the pods, those that find them included.
    pub labels: &'w Map<String, Json>,
}

impl Workload<'_> {
    /// What finds its pods.
    pub fn selector(&self) -> Json {
        json!({ "matchLabels": { NAME: self.name } })
    }

    /// The metadata of one of its objects.
    pub fn metadata(&self, name: &str) -> Json {
        let mut metadata = json!({ "name": name, "labels": self.labels });
        if let Some(annotations) = texts(self.r, "annotations") {
            metadata["annotations"] = annotations;
        }
        metadata
    }
}

/// Reads one workload.
pub fn read(name: &str, r: &Reader<'_>, c: &Context<'_>, shared: &mut Shared, problems: &mut Problems<'_>) -> Bundle {
    let path = format!("workloads.{name}");
    let group = Group { kind: Kind::Workloads, name: name.to_owned() };
    let kind = r.text("kind").filter(|k| KINDS.contains(&k.as_str())).unwrap_or_else(|| KINDS[0].to_owned());
    let scope = scope(r, c, problems);
    let cluster = c.clusters.get(&scope).map_or("default", Cluster::namespace).to_owned();
    let namespace = r.text("namespace").unwrap_or(cluster);
    let own = r.text("name").unwrap_or_else(|| name.to_owned());
    named(&own, &kind, r, problems);
    fits(r, &kind, &path, problems);
    let scaled = matches!(kind.as_str(), "deployment" | "statefulset");
    let replicas = scaled.then(|| r.int("replicas").unwrap_or(1));
    let ports = ports(r, &path, problems);
    let labels = labels(r, &own, &path, problems);
    let w = Workload { r, path: &path, kind: &kind, name: &own, replicas, ports: &ports, labels: &labels };
    let mut bodies = around::services(&w, problems);
    bodies.push(runs::read(&w, problems));
    bodies.extend(around::budget(&w, problems));
    let keep = keep(r);
    let mut objects = Vec::new();
    for mut body in bodies {
        body["metadata"]["namespace"] = namespace.as_str().into();
        mark(&mut body, &group, &scope, keep, c);
        let Some(object) = applyset::name_of(&body) else { continue };
        let api_version = body["apiVersion"].as_str().unwrap_or_default().to_owned();
        let body = Body::new(body, &c.stack.id);
        let wish = ObjectWish { object, api_version, body, file: String::new(), line: 0 };
        if take(&scope, &wish, r.here(), shared, problems) {
            objects.push(wish);
        }
    }
    let (wait, wait_within) = wait(r);
    Bundle {
        scope,
        objects,
        wait,
        wait_within,
        force_conflicts: r.bool("force-conflicts").unwrap_or(false),
        protect: keep.protect,
        prune: keep.prune,
        wait_for: BTreeMap::new(),
    }
}

/// Kubernetes makes longer names of these: of pods, of jobs, of the label of a revision.
const LONGEST: usize = 52;

fn named(name: &str, kind: &str, r: &Reader<'_>, problems: &mut Problems<'_>) {
    // A name that stands there has been held against its form.
    if !r.has("name")
        && let Err(wrong) = Format::Kube(Form::Label).check(name)
    {
        let says = format!("{} {}", shown(name), wrong.says);
        problems.error("E1103", r.here(), says, "give the table another name, or add `name`");
    }
    if matches!(kind, "cronjob" | "statefulset") && name.len() > LONGEST {
        let says = format!("a {kind}'s name has at most {LONGEST} characters, and {} has {}", shown(name), name.len());
        let at = if r.has("name") { r.at("name") } else { r.here() };
        problems.error("E1103", at, says, "choose a shorter one with `name`");
    }
}

/// Refuses keys that the kind has no use for.
fn fits(r: &Reader<'_>, kind: &str, path: &str, problems: &mut Problems<'_>) {
    for (key, kinds) in keys::FITS {
        if let (Some(node), false) = (r.node(key), kinds.contains(&kind)) {
            let words = kinds.join(" or a ");
            let says = format!("`{path}` is a {kind}, and `{key}` is for a {words}");
            problems.error("E1202", node.key, says, format!("take `{key}` away, or change `kind`"));
        }
    }
    if kind == "cronjob" && !r.has("schedule") {
        let added =
            problems.error("E0104", r.here(), format!("[{path}] needs `schedule`"), "add `schedule = \"15 3 * * *\"`");
        added.label("`schedule` is missing");
    }
}

fn ports(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Vec<Port> {
    if let (Some(_), Some(ports)) = (r.node("port"), r.node("ports")) {
        let says = format!("`{path}` has both `port` and `ports`");
        problems.error("E1203", ports.key, says, "keep one of the two").also(r.at("port"), "and here");
    }
    let mut all = Vec::new();
    if let Some(number) = r.int("port") {
        all.push(Port { name: "main".to_owned(), number, protocol: "TCP" });
    }
    let mut seen = BTreeMap::new();
    for (name, node) in r.table("ports").iter().flat_map(Reader::others) {
        let t = Reader::new(node, &keys::PORT);
        let number = match node.val {
            Val::Int(n) => u32::try_from(n).ok(),
            _ => t.and_then(|t| t.int("port")),
        };
        let Some(number) = number else { continue };
        let protocol = match t.and_then(|t| t.text("protocol")).as_deref() {
            Some("udp") => "UDP",
            Some("sctp") => "SCTP",
            Some(_) | None => "TCP",
        };
        if let Some(first) = seen.insert((number, protocol), node.key) {
            let says = format!("two ports of `{path}` are {number}");
            problems.error("E1205", node.key, says, "give each a number of its own").also(first, "the other");
        }
        all.push(Port { name: name.to_owned(), number, protocol });
    }
    all
}

/// Labels under which Kubernetes and evenkeel find things.
const OURS: &[&str] = &["evenkeel.dev/", "applyset.kubernetes.io/"];

fn labels(r: &Reader<'_>, name: &str, path: &str, problems: &mut Problems<'_>) -> Map<String, Json> {
    let mut all = Map::from_iter([(NAME.to_owned(), name.into()), (MANAGED_BY.to_owned(), "evenkeel".into())]);
    for part in ["labels", "annotations", "pod-annotations"] {
        for (key, node) in r.table(part).iter().flat_map(Reader::others) {
            if key == NAME || OURS.iter().any(|ours| key.starts_with(ours)) {
                let says = format!("{} of `{path}` is evenkeel's to write", shown(key));
                problems.error("E1106", node.key, says, "choose another key");
            } else if part == "labels" {
                all.insert(key.to_owned(), node.text().unwrap_or_default().into());
            }
        }
    }
    all
}

/// The texts of a table whose keys the user chose.
pub fn texts(r: &Reader<'_>, key: &str) -> Option<Json> {
    let table = r.table(key)?;
    let all: Map<String, Json> =
        table.others().filter_map(|(key, node)| Some((key.to_owned(), node.text()?.into()))).collect();
    (!all.is_empty()).then_some(Json::Object(all))
}

/// A plain value as text.
pub fn plain(node: &Node) -> Option<String> {
    match &node.val {
        Val::Text(s) => Some(s.clone()),
        Val::Int(n) => Some(n.to_string()),
        Val::Float(n) => Some(n.to_string()),
        Val::Bool(b) => Some(b.to_string()),
        Val::Date | Val::List(_) | Val::Table(_) | Val::Bad => None,
    }
}

/// An amount as Kubernetes has it: a number, or a share as text.
pub fn amount(amount: Amount) -> Json {
    match amount {
        Amount::Count(n) => n.into(),
        Amount::Percent(p) => format!("{p}%").into(),
    }
}

/// The one of these keys that the table has; says if there is none or another.
pub fn exactly_one(
    r: &Reader<'_>,
    keys: &[&'static str],
    path: &str,
    problems: &mut Problems<'_>,
) -> Option<&'static str> {
    let has: Vec<&'static str> = keys.iter().copied().filter(|k| r.has(k)).collect();
    match has.as_slice() {
        [one] => Some(one),
        [] => {
            let words: Vec<_> = keys.iter().map(|k| format!("`{k}`")).collect();
            let says = format!("`{path}` needs one of {}", words.join(", "));
            problems.error("E1203", r.here(), says, format!("add {}", words.join(" or ")));
            None
        }
        [first, second, ..] => {
            let at = r.node(second).map_or(r.here(), |n| n.key);
            let says = format!("`{path}` has both `{first}` and `{second}`");
            problems.error("E1203", at, says, "keep one of the two").also(r.at(first), "and here");
            None
        }
    }
}
