//! One object of a manifest: its identity checked, what is the server's own taken out, its namespace filled in.
//!
//! Refuses what the server would refuse for its name or its metadata; everything else is the server's to judge.

use serde_json::Value as Json;

use super::super::conform::shown;
use super::super::problems::Problems;
use super::super::tree::At;
use super::forms::{self, Form};
use super::piece::{Piece, What};
use super::{Context, Shared, limits, secret, take};
use crate::address::{Group, ObjectName};
use crate::applyset::Keep;
use crate::desired::{Body, ObjectWish};
use crate::objects::order::is_namespaced;
use crate::objects::{Sort, redact};

/// Where the lines of a text begin.
#[derive(Debug, Clone, Default)]
pub struct Lines(Vec<usize>);

impl Lines {
    /// Of a text.
    pub fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(i, _)| i + 1).collect())
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> u32 {
        u32::try_from(self.0.partition_point(|begins| *begins <= at) + 1).unwrap_or(u32::MAX)
    }
}

/// What all objects of one group share.
pub struct Home<'h> {
    /// The group.
    pub group: &'h Group,
    /// Its cluster's scope.
    pub scope: &'h str,
    /// The namespace of objects that name none.
    pub namespace: &'h str,
    /// How they end.
    pub keep: Keep,
}

/// Where one object stands.
pub struct Stands<'h> {
    /// The file, for messages.
    pub file: &'h str,
    /// Its lines.
    pub lines: &'h Lines,
}

/// Reads an object, or the objects of a list.
pub fn read(
    piece: &Piece,
    home: &Home<'_>,
    stands: &Stands<'_>,
    c: &Context<'_>,
    shared: &mut Shared,
    problems: &mut Problems<'_>,
    into: &mut Vec<ObjectWish>,
) {
    secret::scan(piece, c.vars, problems);
    let mut all = Vec::new();
    unpack(piece, problems, &mut all);
    for piece in all {
        secret::values(&piece, &mut shared.secrets);
        let Some(wish) = one(&piece, home, stands, c, problems) else { continue };
        let at = piece.get("metadata").and_then(|m| m.get("name")).map_or(piece.at, |n| n.at);
        if !take(home.scope, &wish, at, shared, problems) {
            continue;
        }
        if shared.taken.len() > limits::OBJECTS {
            let says = format!("the declaration has more than {} objects", limits::OBJECTS);
            problems.error("E1006", at, says, "split the stack into several");
            return;
        }
        into.push(wish);
    }
}

/// The objects of `kind: List`, or of a list of one kind such as `ConfigMapList`; anything else is one object.
fn unpack(piece: &Piece, problems: &mut Problems<'_>, into: &mut Vec<Piece>) {
    let text = |key: &str| piece.get(key).and_then(Piece::text);
    let (kind, version) = (text("kind").unwrap_or_default(), text("apiVersion"));
    let Some(items) = piece.get("items").filter(|_| kind.ends_with("List")) else {
        into.push(piece.clone());
        return;
    };
    if !matches!(items.what, What::List(_) | What::Null) {
        let says = format!("the items of a {} must be a list, not {}", shown(kind), items.what.word());
        problems.error("E1108", items.at, says, "write a list of objects");
        return;
    }
    for item in items.items() {
        let mut item = item.clone();
        let at = item.at;
        if let (Some(table), false) = (item.table_mut(), kind == "List") {
            let mut given = |key: &str, text: &str| {
                let what = What::Text(text.to_owned());
                table.entry(key.to_owned()).or_insert(Piece { at, key: at, what });
            };
            given("kind", kind.trim_end_matches("List"));
            given("apiVersion", version.unwrap_or("v1"));
        }
        unpack(&item, problems, into);
    }
}

/// Kinds that a program reads and no server.
const TOOLS: &[(&str, &str)] = &[
    ("kustomize.config.k8s.io", "run `kustomize build FOLDER > k8s/built.yaml`, and name that file"),
    ("helm.sh", "run `helm template`, and name the file it writes"),
    ("kind.x-k8s.io", "leave the file out: it is for the program `kind`"),
];

fn one(
    piece: &Piece,
    home: &Home<'_>,
    stands: &Stands<'_>,
    c: &Context<'_>,
    problems: &mut Problems<'_>,
) -> Option<ObjectWish> {
    if piece.table().is_none() {
        if piece.what != What::Bad {
            let says = format!("an object is a table, not {}", piece.what.word());
            problems.error(
                "E1101",
                piece.at,
                says,
                "write apiVersion, kind and metadata; `---` stands between objects",
            );
        }
        return None;
    }
    if piece.get("apiVersion").is_none() && piece.get("kind").is_none() {
        let way_out = "leave the file out of `files`, or begin the object with apiVersion and kind";
        problems.error(
            "E1101",
            piece.at,
            "this is no Kubernetes object: it has no `apiVersion` and no `kind`",
            way_out,
        );
        return None;
    }
    let (version, kind) = (api_version(piece, problems), kind(piece, problems));
    if let Some((group, _)) = version.and_then(|v| v.split_once('/'))
        && let Some((_, way_out)) = TOOLS.iter().find(|(tool, _)| *tool == group)
    {
        let says = format!("{} is read by a program, and no cluster knows it", shown(kind.unwrap_or_default()));
        problems.error("E1109", piece.get("apiVersion").map_or(piece.at, |p| p.at), says, *way_out);
        return None;
    }
    let metadata = metadata(piece, problems);
    let sort = version.zip(kind).map(|(v, kind)| Sort { group: v.split_once('/').map_or("", |(g, _)| g), kind });
    let name = metadata.and_then(|m| name(m, sort, problems));
    let namespace = metadata.map(|m| namespace(m, sort, home, problems));
    metadata.inspect(|m| {
        words(m, "labels", problems);
        words(m, "annotations", problems);
    });
    data(piece, sort, problems);
    let (version, sort, name, namespace) = (version?, sort?, name?, namespace??);
    let mut body = piece.json();
    tidy(piece, &mut body, problems);
    redact::fold(&mut body);
    let object = body.as_object_mut()?;
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), namespace.clone().into());
    }
    super::mark(&mut body, home.group, home.scope, home.keep, c);
    let own = str::to_owned;
    Some(ObjectWish {
        object: ObjectName { api: own(sort.group), kind: own(sort.kind), namespace, name },
        api_version: own(version),
        body: Body::new(body, &c.stack.id),
        file: own(stands.file),
        line: stands.lines.line(piece.get("apiVersion").map_or(piece.at.start, |p| p.key.start)),
    })
}

/// A text that an object must have.
fn needs<'p>(
    table: &'p Piece,
    at: At,
    key: &str,
    path: &str,
    way_out: &str,
    problems: &mut Problems<'_>,
) -> Option<&'p Piece> {
    match table.get(key) {
        found @ (None | Some(Piece { what: What::Null, .. })) => {
            let at = found.map_or(at, |p| p.key);
            problems
                .error("E1101", at, format!("an object needs `{path}`"), way_out)
                .label(format!("`{path}` is missing"));
            None
        }
        Some(Piece { what: What::Bad, .. }) => None,
        Some(piece) if piece.text().is_some() => Some(piece),
        Some(piece) => {
            let says = format!("`{path}` must be text, not {}", piece.what.word());
            let way_out = quoted(piece, problems).unwrap_or_else(|| way_out.to_owned());
            problems.error("E1101", piece.at, says, way_out);
            None
        }
    }
}

/// How a plain value is written as text: as it stands, so that `y` stays `y` and `0644` stays `0644`.
fn quoted(piece: &Piece, problems: &Problems<'_>) -> Option<String> {
    let plain = piece.plain()?;
    let stands = problems.text(piece.at).trim();
    let short = !stands.is_empty() && stands.len() <= 40 && !stands.contains(['"', '\'', '\n', '*']);
    let text = if short { stands } else { plain.as_str() };
    Some(format!("write \"{}\" between quotes", text.escape_debug()))
}

fn api_version<'p>(piece: &'p Piece, problems: &mut Problems<'_>) -> Option<&'p str> {
    let kind = piece.get("kind").and_then(Piece::text).unwrap_or_default();
    let usual = usual(kind);
    let way_out = usual.map_or_else(
        || "write apiVersion: GROUP/VERSION, such as apps/v1, or v1".to_owned(),
        |v| format!("write apiVersion: {v}"),
    );
    let at = piece.get("kind").map_or(piece.at, |k| k.key);
    let found = needs(piece, at, "apiVersion", "apiVersion", &way_out, problems)?;
    let text = found.text()?;
    let parts: Vec<&str> = text.split('/').collect();
    if parts.len() > 2 || !parts.iter().all(|p| forms::is_name(p)) {
        let says = format!("{} is no apiVersion", shown(text));
        problems.error("E1101", found.at, says, way_out);
        return None;
    }
    // A kind of Kubernetes' own that the core group does not have; another group may have any kind.
    if let Some(usual) = usual.filter(|u| parts.len() == 1 && u.contains('/')) {
        let says = format!("{kind} is not a kind of {text}");
        problems.error("E1101", found.at, says, format!("write apiVersion: {usual}"));
        return None;
    }
    Some(text)
}

fn kind<'p>(piece: &'p Piece, problems: &mut Problems<'_>) -> Option<&'p str> {
    let at = piece.get("apiVersion").map_or(piece.at, |k| k.key);
    let found = needs(piece, at, "kind", "kind", "write kind: Deployment, or another kind", problems)?;
    let text = found.text()?;
    let meant = USUAL.iter().flat_map(|(_, kinds)| kinds.iter()).find(|k| k.eq_ignore_ascii_case(text) && **k != text);
    if let Some(meant) = meant {
        let says = format!("no kind is called {}", shown(text));
        problems.error("E1101", found.at, says, format!("write kind: {meant}")).label(format!("did you mean {meant}?"));
        return None;
    }
    if !forms::is_kind(text) {
        let says = format!("{} is no kind", shown(text));
        problems.error("E1101", found.at, says, "write a kind such as Deployment: letters and digits only");
        return None;
    }
    Some(text)
}

fn metadata<'p>(piece: &'p Piece, problems: &mut Problems<'_>) -> Option<&'p Piece> {
    match piece.get("metadata") {
        Some(m @ Piece { what: What::Table(_), .. }) => Some(m),
        Some(Piece { what: What::Bad, .. }) => None,
        Some(m) if m.what != What::Null => {
            let says = format!("`metadata` must be a table, not {}", m.what.word());
            problems.error("E1101", m.at, says, "write `name: …` below it, indented");
            None
        }
        found => {
            let at = found.or_else(|| piece.get("kind")).map_or(piece.at, |k| k.key);
            problems
                .error("E1101", at, "an object needs `metadata.name`", "write metadata: { name: … }")
                .label("`metadata.name` is missing");
            None
        }
    }
}

fn name(metadata: &Piece, sort: Option<Sort<'_>>, problems: &mut Problems<'_>) -> Option<String> {
    if let Some(generate) = metadata.get("generateName").filter(|g| g.what != What::Null) {
        problems.error(
            "E1102",
            generate.key,
            "`generateName` makes another object on every run: none of them could be found again",
            "give the object a `name` of its own",
        );
        return None;
    }
    let found = needs(metadata, metadata.key, "name", "metadata.name", "write `name: …` below metadata", problems)?;
    let text = found.text()?;
    let Some(sort) = sort else { return Some(text.to_owned()) };
    let (fits, rule) = rule(sort, text);
    if !fits {
        let form = super::super::format::Format::Kube(Form::Name);
        let meant = form.check(text).err().and_then(|w| w.meant).filter(|m| self::rule(sort, m).0);
        let way_out = meant.map_or_else(|| format!("write {rule}"), |m| format!("write \"{m}\""));
        problems.error("E1103", found.at, format!("{} cannot name a {}", shown(text), sort.kind), way_out);
        return None;
    }
    Some(text.to_owned())
}

/// Whether a kind takes this name, and what it takes in words.
fn rule(sort: Sort<'_>, name: &str) -> (bool, &'static str) {
    match (sort.group, sort.kind) {
        ("rbac.authorization.k8s.io", _) => {
            let path = !matches!(name, "" | "." | "..") && !name.contains(['/', '%']);
            (path && !name.chars().any(char::is_control), "any text without `/` and `%`")
        }
        // Addresses hold colons.
        ("networking.k8s.io", "IPAddress") => (!name.is_empty() && !name.contains('/'), "an IP address"),
        ("", "Namespace" | "Service") => {
            (forms::is_label(name), "lower-case letters, digits and `-`, at most 63, a letter or a digit at its ends")
        }
        ("batch", "CronJob") => {
            (forms::is_name(name) && name.len() <= 52, "lower-case letters, digits, `-` and `.`, at most 52")
        }
        (_, _) => {
            let fits = forms::is_name(name) && !name.contains("..") && !name.contains("-.") && !name.contains(".-");
            (fits, "lower-case letters, digits, `-` and `.`, at most 253, a letter or a digit at its ends")
        }
    }
}

/// The object's namespace, empty for a kind that belongs to none.
fn namespace(metadata: &Piece, sort: Option<Sort<'_>>, home: &Home<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let named = metadata.get("namespace").filter(|n| n.what != What::Null);
    let lives = sort.and_then(is_namespaced);
    match (named, lives) {
        (None, Some(false)) => Some(String::new()),
        (None, _) => Some(home.namespace.to_owned()),
        (Some(named), lives) => {
            let Some(text) = named.text() else {
                if named.what != What::Bad {
                    let says = format!("`metadata.namespace` must be text, not {}", named.what.word());
                    problems.error("E1105", named.at, says, "put it between quotes");
                }
                return None;
            };
            if lives == Some(false) {
                let kind = sort.map_or("its kind", |s| s.kind);
                let says = format!("{kind} belongs to no namespace; {} is left out", shown(text));
                problems.warn("W1103", named.at, says, "take `namespace` away");
                return Some(String::new());
            }
            if !forms::is_label(text) {
                let says = format!("{} cannot name a namespace", shown(text));
                problems.error("E1103", named.at, says, "write lower-case letters, digits and `-`, at most 63");
                return None;
            }
            Some(text.to_owned())
        }
    }
}

/// Keys that are ours to write.
const OURS: [&str; 2] = ["evenkeel.dev/", "applyset.kubernetes.io/"];

/// Labels and annotations: texts, with keys that Kubernetes takes and that are not ours.
fn words(metadata: &Piece, part: &str, problems: &mut Problems<'_>) {
    let Some(piece) = metadata.get(part).filter(|p| p.what != What::Null) else { return };
    let Some(table) = piece.table() else {
        if piece.what != What::Bad {
            let says = format!("`metadata.{part}` must be a table, not {}", piece.what.word());
            problems.error("E1106", piece.at, says, "write keys with values, each text");
        }
        return;
    };
    let (key_form, value_form) =
        (super::super::format::Format::Kube(Form::LabelKey), super::super::format::Format::Kube(Form::LabelValue));
    for (key, value) in table {
        if OURS.iter().any(|ours| key.starts_with(ours)) {
            let says = format!("{} is evenkeel's to write", shown(key));
            problems.error("E1106", value.key, says, "take it away; `protect = true` protects a group");
            continue;
        }
        if let Err(wrong) = key_form.check(key) {
            problems.error("E1106", value.key, format!("{} {}", shown(key), wrong.says), wrong.way_out);
        }
        match &value.what {
            What::Text(text) if part == "labels" => {
                if let Err(wrong) = value_form.check(text) {
                    problems.error("E1106", value.at, format!("{} {}", shown(text), wrong.says), wrong.way_out);
                }
            }
            What::Text(_) | What::Bad | What::Null => {}
            What::Bool(_) | What::Number(_) | What::List(_) | What::Table(_) => {
                let says = format!("{} must be text, not {}", shown(key), value.what.word());
                let way_out = quoted(value, problems).unwrap_or_else(|| "write text".to_owned());
                problems.error("E1106", value.at, says, way_out);
            }
        }
    }
}

/// What a ConfigMap or a Secret holds must be text; the server would refuse the whole object for one number.
fn data(piece: &Piece, sort: Option<Sort<'_>>, problems: &mut Problems<'_>) {
    let parts: &[&str] = match sort {
        Some(Sort { group: "", kind: "Secret" }) => &["data", "stringData"],
        Some(Sort { group: "", kind: "ConfigMap" }) => &["data", "binaryData"],
        Some(_) | None => return,
    };
    let secret = parts[1] == "stringData";
    for part in parts {
        let Some(values) = piece.get(part).filter(|p| p.what != What::Null) else { continue };
        let Some(table) = values.table() else {
            if values.what != What::Bad {
                let says = format!("`{part}` must be a table, not {}", values.what.word());
                problems.error("E1107", values.at, says, "write keys with values, each text");
            }
            continue;
        };
        for (key, value) in table {
            if !forms::is_key(key) {
                let says = format!("{} cannot be a key of `{part}`", shown(key));
                problems.error("E1107", value.key, says, "use letters, digits, `-`, `_` and `.` only");
            }
            let packed = (secret && *part == "data") || *part == "binaryData";
            match &value.what {
                What::Text(text) if packed => {
                    let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
                    if data_encoding::BASE64.decode(packed.as_bytes()).is_err() {
                        let says = format!("the value of {} is not base64", shown(key));
                        let way_out = if secret {
                            "put plain text into `stringData`: evenkeel encodes it"
                        } else {
                            "put plain text into `data`"
                        };
                        problems.error("E1107", value.at, says, way_out);
                    }
                }
                What::Text(_) | What::Bad | What::Null => {}
                What::Bool(_) | What::Number(_) | What::List(_) | What::Table(_) => {
                    // The value itself may be secret.
                    let says = format!("the value of {} must be text, not {}", shown(key), value.what.word());
                    problems.error("E1107", value.at, says, "put it between quotes");
                }
            }
        }
    }
}

/// What the server writes itself.
const SERVERS: &[&str] = &[
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// kubectl's copy of the object, which would hold a Secret's values in the open.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Takes out what is the server's own, as an object that was read from a cluster has it.
fn tidy(piece: &Piece, body: &mut Json, problems: &mut Problems<'_>) {
    let Some(object) = body.as_object_mut() else { return };
    if let Some(status) = piece.get("status") {
        object.remove("status");
        let empty = matches!(&status.what, What::Null | What::Bad)
            || status.table().is_some_and(|t| t.values().all(|v| v.what == What::Null));
        if !empty {
            let way_out = "take it away: the cluster writes it";
            problems.warn("W1101", status.key, "`status` is left out", way_out);
        }
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) else { return };
    let mut said = Vec::new();
    for key in SERVERS {
        // `creationTimestamp: null` is in everything that a generator writes.
        if metadata.remove(*key).is_some_and(|v| !v.is_null()) {
            said.push(*key);
        }
    }
    if let Some(first) = said.first() {
        let at = piece.get("metadata").and_then(|m| m.get(first)).map_or(piece.at, |p| p.key);
        let says = format!("left out, because the cluster writes them: {}", said.join(", "));
        problems.warn("W1102", at, says, "take them away; `kubectl get -o yaml` shows more than a manifest says");
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Json::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
}

/// The usual `apiVersion` of a kind.
fn usual(kind: &str) -> Option<&'static str> {
    USUAL.iter().find(|(_, kinds)| kinds.contains(&kind)).map(|(version, _)| *version)
}

/// Kinds that are often given a wrong `apiVersion`, with the right one.
const USUAL: &[(&str, &[&str])] = &[
    (
        "v1",
        &[
            "ConfigMap",
            "Namespace",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    ("apps/v1", &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("autoscaling/v2", &["HorizontalPodAutoscaler"]),
    ("batch/v1", &["CronJob", "Job"]),
    ("networking.k8s.io/v1", &["Ingress", "IngressClass", "NetworkPolicy"]),
    ("policy/v1", &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io/v1", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    ("scheduling.k8s.io/v1", &["PriorityClass"]),
    ("storage.k8s.io/v1", &["StorageClass"]),
    ("apiextensions.k8s.io/v1", &["CustomResourceDefinition"]),
];
