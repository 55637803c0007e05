//! What a real API server (1.37) answered: objects of every built-in group after a server-side apply, and one after
//! what people and programs do to objects. Recorded with `kubectl get --show-managed-fields`, one case a line.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::compare::{Comparison, Known, Why, compare, compare_knowing};
use super::redact::redacted;
use super::settle::settle;
use super::tests::says;

/// What was sent, and what stood there afterwards.
const APPLIED: &str = include_str!("recorded/applied.jsonl");
/// What the file says, what stands there, and what a dry run of applying the file answers.
const CHANGED: &str = include_str!("recorded/changed.jsonl");

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("recorded JSON"))
}

fn part(case: &Value, name: &str) -> Value {
    redacted(case[name].clone(), "k")
}

/// The paths that only a dry run settles, though nothing differs.
const ASKED: &[(&str, &str)] = &[
    // A line that says nothing hands the field back to the server, which has a default for it.
    ("Deployment/bare", "spec.replicas"),
    // A default of a custom kind's own schema inside of a list that is one piece.
    ("Thing/t", "spec.atoms"),
    // Whether a custom kind has a status of its own is told only by somebody who wrote one.
    ("Thing/t", "status.phase"),
];

#[test]
fn what_was_applied_to_a_real_server_is_the_same() {
    let (mut objects, mut groups) = (0, BTreeSet::new());
    for case in lines(APPLIED) {
        let (wish, live) = (part(&case, "wish"), part(&case, "live"));
        let name =
            format!("{}/{}", wish["kind"].as_str().unwrap_or(""), wish["metadata"]["name"].as_str().unwrap_or(""));
        let comparison = compare(&wish, &live, "evenkeel");
        assert_eq!(comparison.problems, Vec::<String>::new(), "{name}");
        let asked: Vec<(&str, String)> = comparison.differences.iter().map(|d| (&*name, d.path.to_string())).collect();
        let expected = ASKED.iter().filter(|(object, _)| *object == name).map(|(o, p)| (*o, (*p).to_owned()));
        assert_eq!(asked, expected.collect::<Vec<_>>());
        let known = Known { manager: "evenkeel", moved: Some(false) };
        let knowing = compare_knowing(&wish, &live, known);
        assert!(
            knowing.differences.iter().all(|d| d.path.to_string() == "status.phase"),
            "{name}: {:?}",
            says(&knowing)
        );
        objects += 1;
        groups.insert(wish["apiVersion"].as_str().unwrap_or("").split('/').next().map(str::to_owned));
    }
    assert_eq!((objects, groups.len()), (73, 21));
}

/// What is said of each case after the server was asked; long values are cut.
const SAID: &[(&str, &[&str])] = &[
    ("nothing", &[]),
    ("scaled", &["Drift spec.replicas 9 → 3 kubectl (scale)"]),
    ("scaled and moved", &["Drift spec.replicas 9 → 4 kubectl (scale)"]),
    (
        "image set",
        &["Drift spec.template.spec.containers[name=web].image \"other:2\" → \"registry.example/web:1\" kubectl-set"],
    ),
    (
        "image set and set back",
        &[
            "Restamp spec.template.spec.containers[name=web].image \"registry.example/web:1\" → \"registry.example/web:1\" kubectl-set",
        ],
    ),
    ("label changed", &["Drift metadata.labels.team \"x\" → \"a\" kubectl-label"]),
    // Nobody holds what was taken away: without a hint it looks like a new line of the file.
    ("label taken away", &["Pending metadata.labels.team - → \"a\""]),
    ("things put beside", &[]),
    (
        "parts taken away",
        &[
            "Pending spec.template.spec.containers[name=log] - → {\"image\":\"registry.example/log:1\",\"name\":\"log\"}",
            "Pending spec.template.spec.containers[name=web].env[name=A] - → {\"name\":\"A\",\"value\":\"1\"}",
            "Drift spec.template.spec.tolerations [{\"effect\":\"NoExecute\",\"key\":\"a\"}] → [{\"key\":\"spot\",\"operator\":\"Exists\"},{\"effect\":\"NoExecute\",\"key\":\"a\"}] kubectl-patch",
        ],
    ),
    ("requests set in other words", &[]),
    (
        "the file drops parts",
        &[
            "Removal metadata.annotations.note \"x\" → -",
            "Removal spec.replicas 3 → -",
            "Removal spec.template.spec.containers[name=log] {\"image\":\"registry.example/log:1\",\"imagePullPolicy\":\"IfNotPresent\",\"name\":\"log\",\"resources\":{},\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\"} → -",
            "Removal spec.template.spec.containers[name=web].env[name=A] {\"name\":\"A\",\"value\":\"1\"} → -",
            "Pending spec.template.spec.containers[name=web].image \"registry.example/web:1\" → \"new:1\"",
            "Removal spec.template.spec.tolerations [{\"key\":\"spot\",\"operator\":\"Exists\"},{\"effect\":\"NoExecute\",\"key\":\"a\"}] → -",
        ],
    ),
    (
        "the file in another order",
        &["Pending spec.template.spec.initContainers [\"[name=b]\",\"[name=a]\"] → [\"[name=a]\",\"[name=b]\"]"],
    ),
    ("the file in other words", &[]),
    (
        "the file names defaults",
        &[
            "Pending spec.paused - → true",
            "Restamp spec.progressDeadlineSeconds 600 → 600",
            "Restamp spec.strategy {\"rollingUpdate\":{\"maxSurge\":\"25%\",\"maxUnavailable\":\"25%\"},\"type\":\"RollingUpdate\"} → {\"type\":\"RollingUpdate\"}",
        ],
    ),
    ("onto what another holds", &["Conflict spec.revisionHistoryLimit 5 → 3 kubectl-patch"]),
    ("settings edited", &["Drift data.a \"no\" → \"yes\" kubectl-patch", "Pending data.b - → \"1000m\""]),
    ("a custom object edited", &["Drift spec.size \"1\" → \"1000m\" kubectl-patch"]),
];

#[test]
fn what_others_do_to_it_is_told_and_settled() {
    let mut cases: BTreeMap<String, Comparison> = BTreeMap::new();
    for case in lines(CHANGED) {
        let (wish, live, dry) = (part(&case, "wish"), part(&case, "live"), part(&case, "dry"));
        let comparison = compare(&wish, &live, "evenkeel");
        assert_eq!(comparison.problems, Vec::<String>::new());
        let settled = settle(comparison, &dry, &live, "evenkeel");
        // The server changes something exactly where a value is said to differ.
        let changes = without_marks(dry) != without_marks(live);
        assert_eq!(changes, settled.values_differ(), "{}", case["case"]);
        cases.insert(case["case"].as_str().unwrap_or("").to_owned(), settled);
    }
    for (case, said) in SAID {
        let settled = cases.remove(*case).unwrap_or_else(|| panic!("{case} is not recorded"));
        assert_eq!(says(&settled), *said, "{case}");
        if *case == "the file drops parts" {
            let becomes: Vec<_> = settled.of(Why::Removal).map(|d| d.becomes.clone()).collect();
            assert_eq!(becomes[1], Some(1.into()), "a removal leaves the default");
        }
    }
    let adopted = cases.remove("made by others").expect("recorded");
    assert!(adopted.adopts && adopted.differences.iter().all(|d| d.held[0].manager == "kubectl-client-side-apply"));
    let conflicts: Vec<String> = adopted.of(Why::Conflict).map(|d| d.path.to_string()).collect();
    assert_eq!((conflicts, adopted.of(Why::Restamp).count()), (vec!["spec.replicas".to_owned()], 18));
    assert!(cases.is_empty(), "nobody looks at {:?}", cases.keys());
}

#[test]
fn the_hint_turns_what_was_taken_away_into_drift() {
    let mut seen = 0;
    for case in lines(CHANGED).filter(|c| c["case"] == "label taken away" || c["case"] == "parts taken away") {
        let known = Known { manager: "evenkeel", moved: Some(false) };
        let comparison = compare_knowing(&part(&case, "wish"), &part(&case, "live"), known);
        seen += comparison.of(Why::Drift).count();
        assert_eq!(comparison.differences.len(), comparison.of(Why::Drift).count());
    }
    assert_eq!(seen, 4);
}

/// An object without what the server alone writes.
fn without_marks(mut object: Value) -> Value {
    for name in ["managedFields", "resourceVersion", "generation"] {
        object["metadata"].as_object_mut().expect("metadata").remove(name);
    }
    object
}
