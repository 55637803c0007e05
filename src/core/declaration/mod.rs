//! The user's file: texts in, [`Desired`] and every problem at once out.
//!
//! Read → lay the environment's file over it → resolve variables → fill in templates → hold against the table of keys →
//! read the blocks → check what concerns several of them. Refuses to read files: the caller asks [`files_wanted`]
//! which boot scripts and manifests the declaration names, reads those, and calls [`declare`].
//!
//! Environments are files of their own (`evenkeel.prod.toml` beside `evenkeel.toml`): tables are merged key by key,
//! anything else in them replaces what the main file says.

pub mod codes;
pub mod docs;
pub mod keys;
pub mod outputs;
pub mod starter;
pub mod units;
pub mod userdata;

mod aws;
mod conform;
mod ebs;
mod expand;
mod fix;
mod fmt;
mod format;
mod jinja;
mod json_schema;
mod kubernetes;
mod lock;
mod machines;
mod nesting;
mod nodes;
mod parse;
mod policy;
mod problems;
mod reader;
mod renamed;
mod root;
mod spread;
mod stack;
mod tree;
mod vars;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Group, Kind};
use crate::desired::{Bundle, Cluster, Desired, Stack, cluster_scope};
use crate::diagnostic::{Diagnostic, Severity};

pub use fix::apply_fixes;
pub use fmt::{fmt, fmt_source};
pub use format::Format;
pub use json_schema::schema;
pub use kubernetes::limits;
pub use kubernetes::pattern::Pattern;
pub use nesting::too_deep;
pub use outputs::evaluate;
pub use starter::starter;
pub use userdata::{depends_on_slot, depends_on_zone, render_user_data};

use conform::Conform;
use kubernetes::object::Lines;
use problems::Problems;
use reader::Reader;
use tree::{Node, Val};

/// A text and its name for messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The file's name as the user gave it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Everything that a declaration is made of.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `evenkeel.toml`.
    pub main: Source,
    /// `--env`.
    pub env: Option<String>,
    /// `evenkeel.<env>.toml`, where it exists.
    pub overlay: Option<Source>,
    /// `--var-file`, in the order given: a later one wins.
    pub var_files: Vec<Source>,
    /// `--var name=value`.
    pub vars: BTreeMap<String, String>,
    /// Environment variables that begin with `EVENKEEL_VAR_`, without that beginning.
    pub env_vars: BTreeMap<String, String>,
    /// Files that [`files_wanted`] asked for, as far as they could be read.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Files and patterns that could not be read although something is there, and why, in words.
    pub unread: BTreeMap<String, String>,
}

/// What a declaration is made of beside its own text, seen from its folder; none of it leads out of that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// One file: a boot script.
    File(String),
    /// A file, a folder or a pattern: manifests.
    Files(Pattern),
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The wish; `None` while there is any error.
    pub desired: Option<Desired>,
    /// Every problem, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics' places are in.
    pub sources: Vec<Source>,
    /// Texts of secret variables: whoever shows a line of a source must hide them. There also when `desired` is not.
    pub secrets: BTreeSet<String>,
}

/// The boot scripts and manifests that the declaration names, each once.
pub fn files_wanted(inputs: &Inputs) -> Vec<Wanted> {
    let sources = sources(inputs);
    let mut problems = Problems::new(&sources);
    let read = read(inputs, &sources, &mut problems);
    let groups = |name: &str| read.root.get(name).and_then(Node::table).into_iter().flatten().map(|(_, group)| group);
    let scripts = groups("machines").filter_map(|group| userdata::file(group.get("user-data")?));
    let manifests = groups("manifests").flat_map(kubernetes::manifests::wanted);
    let mut all: Vec<_> = scripts.map(|s| Wanted::File(s.to_owned())).chain(manifests.map(Wanted::Files)).collect();
    all.sort();
    all.dedup();
    all
}

/// Reads the declaration.
pub fn declare(inputs: &Inputs) -> Declared {
    let sources = sources(inputs);
    let mut problems = Problems::new(&sources);
    let mut read = read(inputs, &sources, &mut problems);
    let mut conform = Conform { problems: &mut problems, whole: read.whole };
    let at = read.root.at;
    if let Val::Table(table) = &mut read.root.val {
        conform.table(table, at, &root::FILE, "");
    }
    // Of a text that could not be read, only what was understood is held against the table of keys: groups that
    // seem to be missing may stand in the part that was not.
    let mut secrets = read.vars.secrets.clone();
    kubernetes::manifests::secrets(&read.root, &mut secrets);
    nodes::secrets(read.root.get("machines"), &mut secrets);
    let desired = if read.broken || problems.full() {
        None
    } else {
        blocks(&read, inputs, &sources, &mut secrets, &mut problems)
    };
    let refused = problems.any_error();
    let (mut diagnostics, more) = problems.sorted();
    if read.broken {
        once_a_line(&mut diagnostics, &sources);
    }
    redact(&mut diagnostics, &secrets);
    let sources = sources.iter().cloned().chain(more).collect();
    Declared { desired: desired.filter(|_| !refused), diagnostics, sources, secrets }
}

fn sources(inputs: &Inputs) -> Vec<Source> {
    let mut all = vec![inputs.main.clone()];
    all.extend(inputs.overlay.clone());
    all.extend(inputs.var_files.iter().cloned());
    all
}

/// The file with its overlay, variables and templates.
struct Read {
    root: Node,
    vars: vars::Vars,
    templates: serde_json::Value,
    /// A part of a text could not be read.
    broken: bool,
    /// Nothing was lost: keys that are not there are missing.
    whole: bool,
}

fn read(inputs: &Inputs, sources: &[Source], problems: &mut Problems<'_>) -> Read {
    let mut trees: Vec<Node> =
        sources.iter().enumerate().map(|(i, source)| parse::parse(i, &source.text, problems)).collect();
    let whole = !problems.any_error();
    let broken = problems.found().iter().any(|d| d.severity == Severity::Error && d.code != "E0002");
    let mut root = trees.remove(0);
    if inputs.overlay.is_some() {
        root.overlay(trees.remove(0));
    } else if let Some(env) = &inputs.env {
        problems.nowhere(
            "E0207",
            format!("there is no file for the environment \"{}\"", env.escape_debug()),
            format!(
                "create evenkeel.{}.toml beside the declaration (it may be empty), or leave `--env` out",
                env.escape_debug()
            ),
        );
    }
    if broken {
        let secrets = vars::secrets(root.get("vars"), inputs, &trees);
        blank(&mut root);
        let vars = vars::Vars { secrets, ..vars::Vars::default() };
        return Read { root, vars, templates: serde_json::Value::Null, broken, whole };
    }
    let vars_node = match &mut root.val {
        Val::Table(table) => table.get_mut("vars"),
        _ => None,
    };
    let vars_node = vars_node.map(|node| {
        if let Some(shape) = root::FILE.key("vars").map(|k| k.shape) {
            Conform { problems, whole }.value(node, &shape, "vars");
        }
        &*node
    });
    let vars = vars::read(vars_node, inputs, &trees, problems);
    let templates = expand::context(&root, inputs.env.as_deref(), &vars);
    expand::expand(&mut root, inputs.env.as_deref(), &vars, problems);
    Read { root, vars, templates, broken, whole }
}

fn blocks(
    read: &Read,
    inputs: &Inputs,
    sources: &[Source],
    secrets: &mut BTreeSet<String>,
    problems: &mut Problems<'_>,
) -> Option<Desired> {
    let file = Reader::new(&read.root, &root::FILE)?;
    let table = |name: &str| file.table(name);
    let stack = match table("stack") {
        Some(r) => stack::read(&r, problems),
        None => return None,
    };
    let mut scopes = aws::read(table("aws").as_ref());
    let policy = policy::read(table("policy").as_ref(), problems);
    let mut clusters = kubernetes::read(table("kubernetes").as_ref());
    let context = machines::Context {
        stack: &stack,
        scopes: &scopes,
        files: &inputs.files,
        templates: &read.templates,
        vars: &read.vars,
        clusters: &clusters,
        skew: policy.balance.skew,
    };
    let groups = table("machines").map(|r| r.groups()).unwrap_or_default();
    let machines: BTreeMap<_, _> =
        groups.iter().map(|(name, r)| ((*name).to_owned(), machines::read(name, r, &context, problems))).collect();
    policy::check_floor(table("policy").as_ref(), &policy, &machines, problems);
    let volumes = volumes::read(table("volumes").as_ref(), &machines, &context, problems);
    let mut renamed = BTreeMap::new();
    renamed::read(Kind::Machines, table("machines").as_ref(), &mut renamed, problems);
    renamed::read(Kind::Volumes, table("volumes").as_ref(), &mut renamed, problems);
    let outputs = outputs::read(table("outputs").as_ref(), problems);
    let lock = lock::read(table("lock").as_ref());
    let bundles = bundles(&file, read, inputs, &stack, &clusters, secrets, problems);
    let named = machines.values().any(|g| g.nodes.as_ref().is_some_and(|n| n.scope == cluster_scope("")));
    // The plain region is for groups that name none: a table of other regions alone does not name it.
    let keys = ["region", "profile", "role", "endpoint", "account"];
    let others_alone = |r: &Reader<'_>| !r.groups().is_empty() && !keys.iter().any(|k| r.has(k));
    let meant = machines.values().any(|g| g.scope.is_empty()) || volumes.values().any(|v| v.scope.is_empty());
    if !meant && table("aws").as_ref().is_some_and(others_alone) {
        scopes.remove("");
    }
    // So with the plain cluster; and who has no objects needs no cluster and no kubeconfig.
    let plain = cluster_scope("");
    let written = table("kubernetes")
        .is_some_and(|r| r.groups().is_empty() || ["context", "kubeconfig", "namespace"].iter().any(|k| r.has(k)));
    if !written && !named && !bundles.values().any(|b| b.scope == plain) {
        clusters.remove(&plain);
    }
    Some(Desired {
        stack,
        scopes,
        machines,
        volumes,
        policy,
        outputs,
        lock,
        renamed,
        secrets: secrets.clone(),
        origins: origins(&read.root, sources),
        clusters,
        bundles,
    })
}

/// Where each key of a group of machines or volumes stands, for what only the world can say about its value.
fn origins(root: &Node, sources: &[Source]) -> BTreeMap<String, String> {
    // Every command reads the file: each text is searched for its lines once, not once a key.
    let texts: Vec<_> = sources.iter().map(|s| (s.name.as_str(), Lines::of(&s.text))).collect();
    let place = |node: &Node| {
        let (name, lines) = texts.get(node.key.file)?;
        Some(format!("{name}:{}", lines.line(node.key.start)))
    };
    let mut all = BTreeMap::new();
    for kind in ["machines", "volumes"] {
        for (name, group) in root.get(kind).and_then(Node::table).into_iter().flatten() {
            let keys = group.table().into_iter().flatten();
            all.extend(keys.filter_map(|(key, n)| Some((format!("{kind}.{name}.{key}"), place(n)?))));
        }
    }
    let outputs = root.get("outputs").and_then(Node::table).into_iter().flatten();
    all.extend(outputs.filter_map(|(name, n)| Some((format!("outputs.{name}"), place(n)?))));
    all
}

/// Manifests and workloads.
fn bundles(
    file: &Reader<'_>,
    read: &Read,
    inputs: &Inputs,
    stack: &Stack,
    clusters: &BTreeMap<String, Cluster>,
    secrets: &mut BTreeSet<String>,
    problems: &mut Problems<'_>,
) -> BTreeMap<Group, Bundle> {
    let context = kubernetes::Context {
        stack,
        clusters,
        files: &inputs.files,
        unread: &inputs.unread,
        templates: &read.templates,
        vars: &read.vars,
        file: &inputs.main.name,
        text: &inputs.main.text,
    };
    let mut shared = kubernetes::Shared::default();
    let mut all = BTreeMap::new();
    for (name, r) in file.table("manifests").map(|r| r.groups()).unwrap_or_default() {
        let bundle = kubernetes::manifests::read(name, &r, &context, &mut shared, problems);
        all.insert(Group { kind: Kind::Manifests, name: name.to_owned() }, bundle);
    }
    for (name, r) in file.table("workloads").map(|r| r.groups()).unwrap_or_default() {
        let bundle = kubernetes::workloads::read(name, &r, &context, &mut shared, problems);
        all.insert(Group { kind: Kind::Workloads, name: name.to_owned() }, bundle);
    }
    // A name that stands in the open is no secret, even where a Secret holds it too.
    let names = shared.names.iter().chain([&stack.name, &stack.id]).chain(all.keys().map(|g| &g.name));
    let names: BTreeSet<_> = names.collect();
    secrets.retain(|s| read.vars.secrets.contains(s) || !names.contains(s));
    secrets.extend(shared.secrets.iter().filter(|s| !names.contains(s)).cloned());
    all
}

/// Makes templates unreadable: in a broken text nothing can be said about their variables.
fn blank(node: &mut Node) {
    match &mut node.val {
        Val::Text(text) if text.contains("{{") || text.contains("{%") => node.val = Val::Bad,
        Val::List(items) => items.iter_mut().for_each(blank),
        Val::Table(table) => table.values_mut().for_each(blank),
        Val::Text(_) | Val::Int(_) | Val::Float(_) | Val::Bool(_) | Val::Date | Val::Bad => {}
    }
}

/// On a line that is not TOML, that alone is said: what was made of the rest is a guess.
fn once_a_line(diagnostics: &mut Vec<Diagnostic>, sources: &[Source]) {
    let line = |d: &Diagnostic| {
        let place = d.places.first()?;
        let file = sources.iter().position(|s| s.name == place.file)?;
        Some((file, sources[file].text.get(..place.span.start)?.matches('\n').count()))
    };
    let unread = |d: &Diagnostic| d.code == "E0001" || d.code == "E0003";
    let broken: BTreeSet<_> = diagnostics.iter().filter(|d| unread(d)).filter_map(line).collect();
    let mut said = BTreeSet::new();
    diagnostics.retain(|d| match line(d) {
        Some(at) if unread(d) => said.insert(at),
        Some(at) => !broken.contains(&at),
        None => true,
    });
}

fn redact(diagnostics: &mut [Diagnostic], secrets: &BTreeSet<String>) {
    let hide = |text: &mut String| {
        for secret in secrets.iter().filter(|s| !s.is_empty()) {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), "(secret)");
            }
        }
    };
    for d in diagnostics {
        hide(&mut d.says);
        hide(&mut d.way_out);
        d.places.iter_mut().for_each(|p| hide(&mut p.label));
        if d.fix.as_ref().is_some_and(|f| secrets.iter().any(|s| f.with.contains(s.as_str()))) {
            d.fix = None;
        }
    }
}

#[cfg(test)]
mod tests;
