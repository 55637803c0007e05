//! The real binary, the real client and a real control plane: applied, looked at again, drifted, pruned, its API server
//! killed.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::lab::{self, Cluster};
use super::stack::{CANARY, Stack};

/// A definition with an object of its kind, and what an application is made of, with the traps of defaulting.
fn objects(plural: &str) -> String {
    let kind = format!("{}{}", plural[..1].to_uppercase(), &plural[1..plural.len() - 1]);
    format!(
        r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{ name: {plural}.example.org }}
spec:
  group: example.org
  scope: Namespaced
  names: {{ kind: {kind}, plural: {plural} }}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{ openAPIV3Schema: {{ type: object, x-kubernetes-preserve-unknown-fields: true }} }}
---
apiVersion: example.org/v1
kind: {kind}
metadata: {{ name: one }}
spec: {{ size: 1, ratio: 0.5, parts: [] }}
---
{}"#,
        application(2)
    )
}

pub fn application(replicas: u32) -> String {
    format!(
        r#"apiVersion: v1
kind: ConfigMap
metadata: {{ name: settings }}
data: {{ mode: "on" }}
---
apiVersion: v1
kind: Secret
metadata: {{ name: key }}
stringData: {{ key: {CANARY} }}
---
apiVersion: v1
kind: Service
metadata: {{ name: web }}
spec: {{ selector: {{ app: web }}, ports: [{{ port: 80, targetPort: 8080 }}] }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec:
      containers:
        - name: web
          image: registry.example/web:1
          ports: [{{ containerPort: 8080 }}]
          env: []
          resources: {{ requests: {{ cpu: 1000m, memory: 64Mi }} }}
          envFrom: [{{ configMapRef: {{ name: settings }} }}, {{ secretRef: {{ name: key }} }}]
"#
    )
}

#[test]
fn a_stack_is_applied_seen_drifted_and_pruned_and_its_namesake_is_not_touched() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("one");
    cluster.namespace("two");
    let (one, two) = (
        Stack::new(cluster, "kzone234", "one", &objects("gadgets")),
        Stack::new(cluster, "kztwo234", "two", &application(1)),
    );
    one.run("apply --yes", 0);
    two.run("apply --yes", 0);
    one.is_in_sync();
    two.is_in_sync();

    cluster.kubectl("scale deployment/web --namespace one --replicas=4");
    cluster.kubectl("set image deployment/web --namespace one web=registry.example/web:2");
    let drift = one.run("drift", 3);
    assert!(drift.contains("spec.replicas: file 2, live 4 · by kubectl (scale)"), "{drift}");
    assert!(drift.contains("by kubectl-set at "), "{drift}");
    let held = one.run("apply --yes", 6);
    assert!(held.contains("--force-conflicts"), "{held}");
    assert_eq!(cluster.get("deployment web --namespace one")["spec"]["replicas"], 4, "not taken without leave");
    one.run("apply --yes --force-conflicts", 0);
    assert_eq!(cluster.get("deployment web --namespace one")["spec"]["replicas"], 2);
    one.is_in_sync();

    // Put right by hand, as the file says: evenkeel only takes its share.
    cluster.kubectl("annotate configmap/settings --namespace one note=theirs");
    one.is_in_sync();

    let before = cluster.get("configmaps,secrets,services,deployments --namespace two");
    one.write("objects.yaml", application(2).split("---\napiVersion: apps/v1").next().expect("the first part"));
    let plan = one.run("plan", 0);
    // The definition takes its objects along, so it goes in two steps.
    assert!(plan.contains("2 to destroy") && plan.contains("quarantine"), "{plan}");
    one.run("apply --yes", 0);
    let gone = cluster.try_kubectl("get deployment web --namespace one", "");
    assert!(gone.as_ref().is_err_and(|said| said.contains("not found")), "{gone:?}");
    let left = cluster.get("configmaps,secrets,services --namespace one -l evenkeel.dev/stack=kzone234");
    assert_eq!(left["items"].as_array().map(Vec::len), Some(4), "three objects and the stack's own mark");
    let after = cluster.get("configmaps,secrets,services,deployments --namespace two");
    assert_eq!(specs(&before), specs(&after), "the namesake");
    two.is_in_sync();

    for stack in [&one, &two] {
        stack.run("destroy --yes", 0);
        assert!(!stack.leaks(), "a secret stands in a file");
    }
    let left = cluster.get("configmaps,secrets,services,deployments -A -l evenkeel.dev/stack");
    let ours = |item: &Value| {
        let id = item["metadata"]["labels"]["evenkeel.dev/stack"].as_str().unwrap_or_default();
        ["kzone234", "kztwo234"].contains(&id)
    };
    assert!(!left["items"].as_array().expect("a list").iter().any(ours), "{left}");
}

fn specs(list: &Value) -> Vec<(String, Value, Value)> {
    let one = |item: &Value| (item["metadata"]["uid"].to_string(), item["spec"].clone(), item["data"].clone());
    list["items"].as_array().expect("a list").iter().map(one).collect()
}

#[test]
fn an_api_server_that_dies_in_the_middle_costs_a_rerun() {
    let Some(cluster) = Cluster::start("--nodes 3") else { return };
    let stack = Stack::new(&cluster, "kzdead23", "default", &application(1));
    let mut child = stack
        .command("apply --yes --events json")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let started = |line: &std::io::Result<String>| line.as_ref().is_ok_and(|l| l.contains("\"started\""));
    assert!(lines.by_ref().any(|line| started(&line)), "it began");
    cluster.tell("kill apiserver");
    drop(lines);
    let status = child.wait().expect("it ends");
    assert!(matches!(status.code(), Some(0 | 7 | 8)), "{status:?}");
    let blind = stack.run("plan", 8);
    assert!(blind.contains("refused") || blind.contains("connect"), "{blind}");
    cluster.tell("start apiserver");
    stack.run("apply --yes", 0);
    stack.is_in_sync();
}

#[test]
fn a_set_that_is_handed_over_to_kubectl_is_pruned_by_it_to_the_last_object() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("handed");
    let config =
        |name: &str| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ k: v }}\n");
    let all = ["a", "b", "c"].map(config).concat();
    let stack = Stack::new(cluster, "kzhanded", "handed", &all);
    let beside = Stack::new(cluster, "kzbeside", "handed", &config("beside"));
    for one in [&stack, &beside] {
        one.run("apply --yes", 0);
    }
    let prune = "--namespace handed apply --server-side --prune --applyset=configmaps/evenkeel-kzhanded -f -";
    // As long as it is ours, kubectl reads whose it is and keeps its hands off.
    let refused = cluster.try_kubectl(prune, &config("a")).expect_err("it is evenkeel's");
    assert!(refused.contains("managed by tooling \"evenkeel\" instead of \"kubectl\""), "{refused}");
    stack.is_in_sync();

    let tooling = "applyset.kubernetes.io/tooling=kubectl/v1.37";
    cluster.kubectl(&format!("--namespace handed annotate --overwrite configmap evenkeel-kzhanded {tooling}"));
    let said = cluster.kubectl_with(&format!("{prune} --force-conflicts"), &config("a"));
    let mut pruned: Vec<&str> = said.lines().filter_map(|line| line.strip_suffix(" pruned")).collect();
    pruned.sort_unstable();
    assert_eq!(pruned, ["configmap/b", "configmap/c"], "{said}");
    beside.is_in_sync();
    // And now it is kubectl's: nothing of it is made or pruned.
    let held = stack.run("apply --yes", 6);
    assert!(held.contains("is the set of kubectl/v1.37"), "{held}");
}
