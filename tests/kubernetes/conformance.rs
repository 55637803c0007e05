//! Conformance of "no difference": objects of every kind that the API server offers, with the traps of defaulting, are
//! applied by the real binary and planned again to nothing. kubectl is given the same files, as a witness that the server
//! takes them.
//!
//! The objects stand in `conformance/`, by API group. A kind that the lab's server serves and no file has fails the test:
//! add an object of it, or a reason to [`LEFT_OUT`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::lab::Cluster;
use super::stack::{Stack, declaration};
use super::webhook;

/// Kinds that no file can hold, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("Binding", "a request to the scheduler, never kept"),
    ("ComponentStatus", "a report that nobody makes"),
    ("LocalSubjectAccessReview", "a question, never kept"),
    ("SelfSubjectAccessReview", "a question, never kept"),
    ("SelfSubjectReview", "a question, never kept"),
    ("SelfSubjectRulesReview", "a question, never kept"),
    ("SubjectAccessReview", "a question, never kept"),
    ("TokenReview", "a question, never kept"),
];

/// What kubectl cannot have in its own namespace, because ours has it already: in the server's words.
const TAKEN: &[&str] = &["provided port is already allocated"];

/// Every file, by name.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes/conformance");
    let one = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    };
    fs::read_dir(folder).expect("the folder is there").map(one).collect()
}

/// Version and kind of every object: both stand at the beginning of a line.
fn declared(files: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for document in files.values().flat_map(|text| text.split("\n---\n")) {
        let says = |key: &str| document.lines().find_map(|line| line.strip_prefix(key)).map(|v| v.trim().to_owned());
        all.extend(says("apiVersion: ").zip(says("kind: ")));
    }
    all
}

/// Version and kind of everything that the server serves and that can be listed or made.
fn served(cluster: &Cluster) -> BTreeSet<(String, String)> {
    let raw = |path: &str| -> Value {
        let said = cluster.kubectl(&format!("get --raw {path}"));
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{path}: {e}: {said}"))
    };
    let list = |value: &Value| value.as_array().cloned().expect("a list");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut paths = vec![("v1".to_owned(), "/api/v1".to_owned())];
    for group in list(&raw("/apis")["groups"]) {
        let versions = list(&group["versions"]).into_iter().map(|v| text(&v["groupVersion"]));
        paths.extend(versions.map(|version| (version.clone(), format!("/apis/{version}"))));
    }
    let mut all = BTreeSet::new();
    for (version, path) in paths {
        for resource in list(&raw(&path)["resources"]) {
            let can = |verb: &str| list(&resource["verbs"]).iter().any(|v| v == verb);
            // A subresource has a slash in its name.
            if !text(&resource["name"]).contains('/') && (can("list") || can("create")) {
                all.insert((version.clone(), text(&resource["kind"])));
            }
        }
    }
    all
}

/// What the server was asked so far: dry runs, and lists by resource.
fn asked(cluster: &Cluster) -> (u64, BTreeMap<String, u64>) {
    let (mut rehearsed, mut lists) = (0, BTreeMap::new());
    for line in cluster.kubectl("get --raw /metrics").lines().filter(|l| l.starts_with("apiserver_request_total{")) {
        let label = |name: &str| line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        let count: u64 = line.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        if label("dry_run") == Some("All") {
            rehearsed += count;
        }
        if label("verb") == Some("LIST") {
            *lists.entry(label("resource").unwrap_or_default().to_owned()).or_default() += count;
        }
    }
    (rehearsed, lists)
}

/// What the server is asked meanwhile: dry runs, and lists by resource.
fn spent(cluster: &Cluster, work: impl FnOnce()) -> (u64, BTreeMap<String, u64>) {
    let before = asked(cluster);
    work();
    let (rehearsed, mut lists) = asked(cluster);
    lists.iter_mut().for_each(|(resource, n)| *n -= before.1.get(resource).copied().unwrap_or(0));
    lists.retain(|_, n| *n > 0);
    (rehearsed - before.0, lists)
}

#[test]
fn every_kind_of_the_server_is_applied_and_then_there_is_nothing_left_to_do() {
    let Some(cluster) = Cluster::start("--nodes 3") else { return };
    let files = files();
    let declared = declared(&files);
    assert!(declared.len() >= 100, "{} objects", declared.len());
    let covered: BTreeSet<(String, String)> = declared.into_iter().collect();
    let missing: Vec<_> = served(&cluster)
        .into_iter()
        .filter(|kind| !covered.contains(kind) && !LEFT_OUT.iter().any(|(name, _)| *name == kind.1))
        .collect();
    assert!(missing.is_empty(), "add objects of these kinds to tests/kubernetes/conformance: {missing:?}");

    webhook::install(&cluster);
    cluster.namespace("ours");
    cluster.namespace("theirs");
    let stack = Stack::of(&cluster, &declaration("kzconf23", "ours", "files = [\"objects\"]\nwait = false"));
    for (name, text) in &files {
        stack.write(&format!("objects/{name}"), text);
        stack.write(&format!("kubectl/{name}"), &text.replace("namespace: ours", "namespace: theirs"));
    }
    stack.run("apply --yes", 0);
    let (rehearsed, lists) = spent(&cluster, || stack.is_in_sync());
    assert_eq!(rehearsed, 0, "what stands as it was applied is not asked about");
    for resource in ["configmaps", "secrets", "deployments", "clusterroles"] {
        assert_eq!(lists.get(resource), Some(&1), "{resource}: {lists:?}");
    }

    let folder = stack.folder.path().join("kubectl");
    let words = format!("--namespace theirs apply --server-side --force-conflicts -f {}", folder.display());
    let said = cluster.try_kubectl(&words, "").err().unwrap_or_default();
    let refused: Vec<&str> = said.lines().filter(|line| !line.starts_with("Warning: ")).collect();
    let all_taken = refused.iter().all(|line| TAKEN.iter().any(|words| line.contains(words)));
    assert!(all_taken, "kubectl does not take it, so it proves nothing:\n{}", refused.join("\n"));
    // It took by force what belongs to no namespace, in its own words for the same values.
    stack.is_in_sync();
    assert!(!stack.leaks(), "a secret stands in a file");

    // With the stack's own mark they are more than a page of them.
    let config =
        |n| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: many-{n} }}\ndata: {{ k: v }}\n");
    let many = Stack::new(&cluster, "kzmany23", "theirs", &(0..500).map(config).collect::<String>());
    many.run("apply --yes", 0);
    let (rehearsed, lists) = spent(&cluster, || many.is_in_sync());
    assert_eq!((rehearsed, lists.get("configmaps")), (0, Some(&2)), "{lists:?}");

    // One of the objects registers a group whose server is nowhere: what it serves is not known, and so not absent.
    let away =
        Stack::new(&cluster, "kzaway23", "ours", "apiVersion: away.example/v1\nkind: Boat\nmetadata: { name: a }\n");
    let said = away.run("apply --yes", 8).split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["Boat.away.example", "its own API server is down", "kubectl get apiservice v1.away.example"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
