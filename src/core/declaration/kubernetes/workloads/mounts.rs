//! `volumes` and `storage`: what a container finds mounted.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::super::conform::shown;
use super::super::super::format::Format;
use super::super::super::keys::{Block, Others, Shape, key};
use super::super::super::problems::Problems;
use super::super::super::reader::Reader;
use super::super::super::tree::At;
use super::super::forms::Form;
use super::exactly_one;

/// `volumes`.
pub static MOUNTS: Block = Block {
    title: "volumes",
    about: "Path, and what is mounted there.",
    keys: &[],
    others: Some(Others {
        name: "<path>",
        format: Format::Kube(Form::MountPath),
        shape: Shape::Table(&MOUNT),
        about: "What is mounted there.",
    }),
    later: &[],
};

/// One mount.
pub static MOUNT: Block = Block {
    title: "volumes.<path>",
    about: "What is mounted; one of the first four.",
    keys: &[
        key("config", Shape::Text(Format::Kube(Form::Name)), "A ConfigMap's keys as files.")
            .default("none")
            .example("\"shop\""),
        key("secret", Shape::Text(Format::Kube(Form::Name)), "A Secret's keys as files.")
            .default("none")
            .example("\"shop-tls\""),
        key("claim", Shape::Text(Format::Kube(Form::Name)), "A PersistentVolumeClaim.")
            .default("none")
            .example("\"shop-data\""),
        key(
            "empty",
            Shape::Either(&[Shape::Bool, Shape::Text(Format::Kube(Form::Memory))]),
            "An empty folder that goes with the pod; a size limits it.",
        )
        .default("none")
        .example("\"1Gi\""),
        key("key", Shape::Text(Format::Any), "The one key that is mounted, as a file at this path.")
            .default("all")
            .example("\"shop.conf\"")
            .aka(&["sub_path"]),
        key("read-only", Shape::Bool, "Whether it cannot be written to.")
            .default("true for configs and secrets")
            .example("true"),
        key("optional", Shape::Bool, "Starts without it where it is not there.").default("false").example("true"),
        key("in-memory", Shape::Bool, "The empty folder is in memory, and counts as such.")
            .default("false")
            .example("true"),
    ],
    others: None,
    later: &[],
};

/// `storage`.
pub static STORES: Block = Block {
    title: "storage",
    about: "Path, and the size of a volume of its own for each pod. The volumes outlive pods and workload.",
    keys: &[],
    others: Some(Others {
        name: "<path>",
        format: Format::Kube(Form::MountPath),
        shape: Shape::Either(&[Shape::Text(Format::Kube(Form::Memory)), Shape::Table(&STORE)]),
        about: "Its size, or a table with the keys of `storage.<path>`.",
    }),
    later: &[],
};

/// One volume of a statefulset.
pub static STORE: Block = Block {
    title: "storage.<path>",
    about: "A volume for each pod.",
    keys: &[
        key("size", Shape::Text(Format::Kube(Form::Memory)), "Its size.")
            .required()
            .example("\"10Gi\"")
            .unit("Ki, Mi, Gi or Ti"),
        key("class", Shape::Text(Format::Kube(Form::Name)), "The storage class.")
            .default("the cluster's")
            .example("\"gp3\""),
        key("access", Shape::Word(&["one-node", "one-pod", "many-nodes"]), "Who may write to it at once.")
            .default("\"one-node\"")
            .example("\"one-pod\""),
    ],
    others: None,
    later: &[],
};

/// What is mounted, in the three places where a pod says so.
#[derive(Default)]
pub struct Mounts {
    /// The container's `volumeMounts`.
    pub mounts: Vec<Json>,
    /// The pod's `volumes`.
    pub volumes: Vec<Json>,
    /// The statefulset's `volumeClaimTemplates`.
    pub claims: Vec<Json>,
}

/// Reads both tables.
pub fn read(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Mounts {
    let mut all = Mounts::default();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut paths: BTreeMap<String, At> = BTreeMap::new();
    if let Some(table) = r.table("volumes") {
        for (at, node) in table.others() {
            let Some(t) = Reader::new(node, &MOUNT) else { continue };
            if twice(at, node.key, &mut paths, problems) {
                continue;
            }
            one(at, &t, &format!("{path}.volumes.\"{at}\""), &mut names, &mut all, problems);
        }
    }
    if let Some(table) = r.table("storage") {
        for (at, node) in table.others() {
            if twice(at, node.key, &mut paths, problems) {
                continue;
            }
            let name = name_of(at, &mut names);
            let t = Reader::new(node, &STORE);
            let size = node.text().map(str::to_owned).or_else(|| t.and_then(|t| t.text("size"))).unwrap_or_default();
            let access = match t.and_then(|t| t.text("access")).as_deref() {
                Some("one-pod") => "ReadWriteOncePod",
                Some("many-nodes") => "ReadWriteMany",
                Some(_) | None => "ReadWriteOnce",
            };
            let mut spec = json!({ "accessModes": [access], "resources": { "requests": { "storage": size } } });
            if let Some(class) = t.and_then(|t| t.text("class")) {
                spec["storageClassName"] = class.into();
            }
            let kind = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim" });
            all.claims.push(json!({ "apiVersion": kind["apiVersion"], "kind": kind["kind"], "metadata": { "name": name }, "spec": spec }));
            all.mounts.push(json!({ "name": name, "mountPath": at }));
        }
    }
    all
}

fn one(
    at: &str,
    t: &Reader<'_>,
    path: &str,
    names: &mut BTreeMap<String, usize>,
    all: &mut Mounts,
    problems: &mut Problems<'_>,
) {
    let Some(which) = exactly_one(t, &["config", "secret", "claim", "empty"], path, problems) else { return };
    let object = t.text(which);
    let mut volume = match which {
        "config" => json!({ "configMap": { "name": object } }),
        "secret" => json!({ "secret": { "secretName": object } }),
        "claim" => json!({ "persistentVolumeClaim": { "claimName": object } }),
        _ if t.bool("empty") == Some(false) => {
            problems.error(
                "E1203",
                t.at("empty"),
                format!("`{path}` mounts nothing"),
                "write empty = true, or take the path away",
            );
            return;
        }
        _ => {
            let mut empty = json!({});
            if let Some(size) = object {
                empty["sizeLimit"] = size.into();
            }
            if t.bool("in-memory") == Some(true) {
                empty["medium"] = "Memory".into();
            }
            json!({ "emptyDir": empty })
        }
    };
    let files = matches!(which, "config" | "secret");
    for (key, fits) in [("key", files), ("optional", files), ("in-memory", which == "empty")] {
        if let (Some(node), false) = (t.node(key), fits) {
            let says = format!("`{path}` has `{key}`, which `{which}` does not take");
            problems.error("E1202", node.key, says, format!("take `{key}` away"));
        }
    }
    if t.bool("optional") == Some(true) {
        volume[if which == "config" { "configMap" } else { "secret" }]["optional"] = true.into();
    }
    let name = name_of(at, names);
    volume["name"] = name.clone().into();
    let mut mount = json!({ "name": name, "mountPath": at });
    if let Some(key) = t.text("key") {
        mount["subPath"] = key.into();
    }
    if t.bool("read-only").unwrap_or(files) {
        mount["readOnly"] = true.into();
    }
    all.volumes.push(volume);
    all.mounts.push(mount);
}

fn twice(at: &str, key: At, paths: &mut BTreeMap<String, At>, problems: &mut Problems<'_>) -> bool {
    let Some(first) = paths.insert(at.trim_end_matches('/').to_owned(), key) else { return false };
    let says = format!("two things are mounted at {}", shown(at));
    problems.error("E1205", key, says, "give each a path of its own").also(first, "the other");
    true
}

/// A volume's name from its path: `/etc/shop.d` is `etc-shop-d`.
fn name_of(path: &str, names: &mut BTreeMap<String, usize>) -> String {
    let mut name = String::new();
    for c in path.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(50);
    let name = name.trim_end_matches('-');
    let name = if name.is_empty() { "root" } else { name };
    let seen = names.entry(name.to_owned()).or_insert(0);
    *seen += 1;
    // The number stands first, so that it cannot make the name of another path.
    if *seen == 1 { name.to_owned() } else { format!("{seen}-{name}") }
}
