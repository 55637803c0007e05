//! One stack of everything from its first apply to its end, and what hands do to it meanwhile: each drift with its
//! author, each removal alone, each thing that a person may ask for by name.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::lab::{self, Cluster};
use super::stack::{CANARY, Stack, declaration};

/// A definition with two objects of its kind, and what a workload stands on.
const OBJECTS: &str = r#"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: whatsits.example.org }
spec:
  group: example.org
  scope: Namespaced
  names: { kind: Whatsit, plural: whatsits, singular: whatsit }
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: { size: { type: integer }, colour: { type: string, default: grey } }
---
apiVersion: example.org/v1
kind: Whatsit
metadata: { name: one }
spec: { size: 1 }
---
apiVersion: example.org/v1
kind: Whatsit
metadata: { name: two }
spec: { size: 2 }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { mode: slow, level: "3" }
---
apiVersion: v1
kind: Secret
metadata: { name: key }
stringData: { key: CANARY }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1024Mi } } }
---
apiVersion: v1
kind: Service
metadata: { name: extra, labels: { team: web } }
spec: { selector: { app: extra }, ports: [{ port: 80 }] }
"#;

const WORKLOAD: &str = r#"
[workloads.web]
image = "registry.example/web:1"
replicas = 3
port = 8080
spread = { zone = 1 }
max-unavailable = 1
"#;

fn stack<'c>(cluster: &'c Cluster, id: &str, namespace: &str, table: &str, objects: &str, more: &str) -> Stack<'c> {
    let says = format!("files = [\"objects.yaml\"]\n{table}");
    let stack = Stack::of(cluster, &format!("{}{more}", declaration(id, namespace, &says)));
    stack.write("objects.yaml", objects);
    stack
}

/// The uid of each object of a stack that the server shows, by kind and name.
fn uids(cluster: &Cluster, namespace: &str, id: &str) -> BTreeMap<String, String> {
    let kinds = "configmaps,secrets,services,deployments,poddisruptionbudgets,persistentvolumeclaims,whatsits";
    let all = cluster.get(&format!("{kinds} -n {namespace} -l evenkeel.dev/stack={id}"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let one = |item: &Value| {
        let metadata = &item["metadata"];
        (format!("{}/{}", text(&item["kind"]), text(&metadata["name"])), text(&metadata["uid"]))
    };
    all["items"].as_array().expect("a list").iter().map(one).collect()
}

#[test]
fn a_whole_stack_is_applied_to_nothing_left_drifts_by_named_hands_and_loses_only_what_is_taken_out() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("whole");
    cluster.namespace("whole-two");
    let began = Timestamp::now();
    let id = "kwhole23";
    let objects = OBJECTS.replace("CANARY", CANARY);
    let one = stack(cluster, id, "whole", "", &objects, WORKLOAD);
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { mode: theirs }\n";
    let namesake = stack(cluster, "kwhtwo23", "whole-two", "", config, WORKLOAD);
    one.run("apply --yes", 0);
    namesake.run("apply --yes", 0);
    let untouched = uids(cluster, "whole-two", "kwhtwo23");

    // Every default that the server fills in is silent.
    one.is_in_sync();
    let made = uids(cluster, "whole", id);
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    let mark = format!("ConfigMap/evenkeel-{id}");
    let wanted = [
        mark.as_str(),
        "ConfigMap/settings",
        "Deployment/web",
        "PersistentVolumeClaim/data",
        "PodDisruptionBudget/web",
        "Secret/key",
        "Service/extra",
        "Service/web",
        "Whatsit/one",
        "Whatsit/two",
    ];
    assert_eq!(names, wanted);
    let pods = cluster.get("pods -n whole");
    let nodes = pods["items"].as_array().expect("a list").iter().filter_map(|p| p["spec"]["nodeName"].as_str());
    let zones: std::collections::BTreeSet<String> = nodes
        .map(|node| {
            cluster.get(&format!("node {node}"))["metadata"]["labels"]["topology.kubernetes.io/zone"].to_string()
        })
        .collect();
    assert_eq!(zones.len(), 3, "{zones:?}");
    assert_eq!(one.json("drift --blame --format json", 0)["drift"], Value::Array(vec![]));

    // Four hands, each by the tool's own name.
    cluster.kubectl("scale deployment/web --namespace whole --replicas=5");
    let mut edit = cluster.command();
    edit.env("KUBE_EDITOR", "sed -i s/slow/fast/").args(["edit", "configmap/settings", "--namespace", "whole"]);
    let edited = edit.output().expect("kubectl runs");
    assert!(edited.status.success(), "{edited:?}");
    cluster.kubectl("label service/extra --namespace whole --overwrite team=theirs");
    let patch = "patch whatsit one --namespace whole --type=merge --field-manager=robot -p";
    cluster.kubectl(&format!("{patch} {{\"spec\":{{\"size\":7}}}}"));
    let page = one.run("drift --blame", 3);
    let json = one.json("drift --blame --format json", 3);
    let found = json["drift"].as_array().expect("a list");
    assert_eq!(found.len(), 4, "{page}");
    for (field, manager, through) in [
        ("spec.replicas", "kubectl", Some("scale")),
        ("data.mode", "kubectl-edit", None),
        ("metadata.labels.team", "kubectl-label", None),
        ("spec.size", "robot", None),
    ] {
        let one = found.iter().find(|f| f["field"] == field).unwrap_or_else(|| panic!("{field}\n{page}"));
        let blame = &one["blame"];
        assert_eq!((blame["manager"].as_str(), blame["subresource"].as_str()), (Some(manager), through), "{one}");
        // The server keeps no time of a scale.
        let at: Option<Timestamp> = blame["at"].as_str().and_then(|at| at.parse().ok());
        let within = |at: Timestamp| at >= began - 2.seconds() && at <= Timestamp::now();
        assert!(at.is_none_or(within) && at.is_none() == through.is_some(), "{one}");
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("by {}", blame["says"].as_str().expect("words"))), "{page}");
    }
    one.run("apply --yes", 6);
    one.run("apply --yes --force-conflicts", 0);
    one.is_in_sync();

    // The stack's own mark is deleted, and two objects are taken out of the file: exactly these go.
    cluster.kubectl(&format!("delete configmap evenkeel-{id} --namespace whole"));
    let left = objects.split("---\napiVersion: v1\nkind: Service").next().expect("the first part");
    let two = "---\napiVersion: example.org/v1\nkind: Whatsit\nmetadata: { name: two }\nspec: { size: 2 }\n";
    assert!(left.contains(two));
    one.write("objects.yaml", &left.replace(two, ""));
    one.run("apply --yes", 0);
    one.is_in_sync();
    let after = uids(cluster, "whole", id);
    let gone: Vec<&str> = made.keys().filter(|name| !after.contains_key(*name)).map(String::as_str).collect();
    assert_eq!(gone, ["Service/extra", "Whatsit/two"]);
    let stays = |(name, uid): (&String, &String)| *name == mark || made.get(name) == Some(uid);
    assert!(after.iter().all(stays), "{after:?}");
    assert_eq!(uids(cluster, "whole-two", "kwhtwo23"), untouched, "the namesake");
    namesake.is_in_sync();
    assert!(!one.leaks(), "a secret stands in a file");

    for stack in [&one, &namesake] {
        stack.run("destroy --yes", 0);
    }
    let names =
        ["whole", "whole-two"].map(|space| cluster.get(&format!("all,configmaps -n {space} -l evenkeel.dev/stack")));
    assert!(names.iter().all(|list| list["items"] == Value::Array(vec![])), "{names:?}");
}

#[test]
fn a_roll_out_that_failed_is_no_success_of_the_next_run() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("unready");
    let asking = |cpu: &str| super::journey::application(1).replace("cpu: 1000m", &format!("cpu: \"{cpu}\""));
    let stack = stack(cluster, "kunready", "unready", "wait = \"5s\"", &asking("5000"), "");
    stack.run("apply --yes", 7);
    stack.run("plan --exit-code", 0);
    stack.run("status", 9);
    let again = stack.run("apply --yes", 7);
    assert!(again.contains("Deployment unready/web") && again.contains("Insufficient cpu"), "{again}");
    stack.write("evenkeel.toml", &declaration("kunready", "unready", "files = [\"objects.yaml\"]"));
    stack.write("objects.yaml", &asking("1"));
    stack.run("apply --yes", 0);
    stack.run("apply --yes", 0);
    stack.run("destroy --yes", 0);
}

#[test]
fn an_object_is_protected_replaced_and_told_of_while_it_is_stuck() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("asked");
    let config = |name: &str, more: &str| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name}{more} }}\ndata: {{ k: v }}\n")
    };
    let stuck = config("stuck", ", finalizers: [example.org/held]");
    let stack = stack(cluster, "kasked23", "asked", "", &format!("{}{}{stuck}", config("a", ""), config("b", "")), "");
    stack.run("apply --yes", 0);
    let uid = || cluster.get("configmap a -n asked")["metadata"]["uid"].clone();
    let before = uid();
    stack.run("apply --yes --replace manifests.app/ConfigMap/asked/a", 0);
    assert_ne!(uid(), before);
    let near = stack.run("plan --replace manifests.app/ConfigMap/asked/stuk", 64);
    assert!(near.contains("did you mean manifests.app/ConfigMap/asked/stuck?"), "{near}");

    stack.run("protect manifests.app/ConfigMap/asked/b", 0);
    let mark = |name: &str| {
        cluster.get(&format!("configmap {name} -n asked"))["metadata"]["annotations"]["evenkeel.dev/protect"].clone()
    };
    assert_eq!(mark("b"), "true");
    stack.is_in_sync();
    stack.write("objects.yaml", &format!("{}{stuck}", config("a", "")));
    let held = stack.run("apply --yes", 6);
    assert!(held.contains("evenkeel unprotect manifests.app/ConfigMap/asked/b"), "{held}");
    stack.run("unprotect manifests.app/ConfigMap/asked/b", 0);
    stack.run("apply --yes", 0);

    // Somebody has deleted it, and whoever must let it go does not.
    cluster.kubectl("delete configmap stuck -n asked --wait=false");
    stack.write("objects.yaml", &config("a", ""));
    for words in ["plan", "apply --yes", "destroy --yes"] {
        let said = stack.run(words, if words == "plan" { 0 } else { 7 });
        assert!(said.contains("waits for finalizer example.org/held"), "{words}: {said}");
    }
    cluster.kubectl("patch configmap stuck -n asked --type=merge -p {\"metadata\":{\"finalizers\":null}}");
    stack.run("destroy --yes", 0);
    let left = cluster.get("configmaps -n asked -l evenkeel.dev/stack");
    assert_eq!(left["items"], Value::Array(vec![]));
}
