//! The real binary, the real client and a real control plane: applied, looked at again, drifted, pruned, its API server
//! killed.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

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
    let mut run = Run::of(&stack);
    run.tells("\"started\"");
    cluster.tell("kill apiserver");
    // What was done is done and the rest is not, whatever a last look can see.
    run.ends_with(7);
    let blind = stack.run("plan", 8);
    assert!(blind.contains("refused") || blind.contains("connect"), "{blind}");
    cluster.tell("start apiserver");
    stack.run("apply --yes", 0);
    stack.is_in_sync();

    // One that comes back in time costs nothing.
    stack.run("destroy --yes", 0);
    let again = Stack::new(&cluster, "kzback23", "default", &application(1));
    let mut run = Run::of(&again);
    run.tells("\"started\"");
    cluster.tell("kill apiserver");
    run.tells_any(&["\"retrying\"", "cannot look"]);
    cluster.tell("start apiserver");
    run.ends_with(0);
    again.is_in_sync();
}

/// An apply under way, whose events are read to the last.
struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    told: Vec<String>,
}

impl Run {
    fn of(stack: &Stack<'_>) -> Self {
        let mut command = stack.command("apply --yes --events json");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines, told: vec![] }
    }

    #[track_caller]
    fn tells(&mut self, words: &str) {
        self.tells_any(&[words]);
    }

    #[track_caller]
    fn tells_any(&mut self, words: &[&str]) {
        while let Some(Ok(line)) = self.lines.next() {
            let found = words.iter().any(|w| line.contains(w));
            self.told.push(line);
            if found {
                return;
            }
        }
        panic!("{words:?} was not told, but:\n{}", self.told.join("\n"));
    }

    fn ends(mut self) -> Option<i32> {
        self.lines.by_ref().for_each(drop);
        self.child.wait().expect("it ends").code()
    }

    #[track_caller]
    fn ends_with(mut self, code: i32) {
        self.told.extend(self.lines.by_ref().map_while(Result::ok));
        let is = self.child.wait().expect("it ends").code();
        assert_eq!(is, Some(code), "{}", self.told.join("\n"));
    }
}

/// Who applies without a lock meets the other at every object: server-side apply has both say the same.
#[test]
fn two_applies_at_once_without_a_lock_end_in_the_declared_state() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("twice");
    let objects = application(2);
    let (one, two) =
        (Stack::new(cluster, "kztwice2", "twice", &objects), Stack::new(cluster, "kztwice2", "twice", &objects));
    for round in 0..3 {
        let runs: Vec<Run> = [&one, &two].map(Run::of).into();
        // One may find that the other was faster; nothing is made twice or left undone.
        let ends: Vec<Option<i32>> = runs.into_iter().map(Run::ends).collect();
        assert!(ends.iter().all(|end| matches!(end, Some(0 | 5 | 7))) && ends.contains(&Some(0)), "{ends:?}");
        let marked = cluster.get("configmaps,secrets,services,deployments -n twice -l evenkeel.dev/stack=kztwice2");
        assert_eq!(marked["items"].as_array().map(Vec::len), Some(5), "four objects and the mark: {marked}");
        one.is_in_sync();
        two.is_in_sync();
        if round == 0 {
            for stack in [&one, &two] {
                stack.write("objects.yaml", &objects.replace("mode: \"on\"", "mode: \"off\""));
            }
        } else {
            cluster.kubectl("-n twice delete deployment web --wait=true");
        }
    }
    one.run("destroy --yes", 0);
}

#[test]
fn a_set_that_is_handed_over_to_kubectl_is_pruned_by_it_to_the_last_object() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("handed");
    cluster.namespace("beyond");
    let object = |kind: &str, name: &str, namespace: &str, rest: &str| {
        format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{ name: {name}, namespace: {namespace} }}\n{rest}\n")
    };
    let config = |name: &str| object("ConfigMap", name, "handed", "data: { k: v }");
    let service = object("Service", "s", "beyond", "spec: { ports: [{ port: 80 }] }");
    let far = object("ConfigMap", "far", "beyond", "data: { k: v }");
    let secret = object("Secret", "key", "handed", "stringData: { k: v }");
    let role =
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: { name: kzhanded }\nrules: []\n";
    let all = [config("a"), config("b"), config("c"), service, far, secret, role.to_owned()].concat();
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
    let of_every_kind_and_namespace = [
        "clusterrole.rbac.authorization.k8s.io/kzhanded",
        "configmap/b",
        "configmap/c",
        "configmap/far",
        "secret/key",
        "service/s",
    ];
    assert_eq!(pruned, of_every_kind_and_namespace, "{said}");
    beside.is_in_sync();
    // And now it is kubectl's: nothing of it is made or pruned.
    let held = stack.run("apply --yes", 6);
    assert!(held.contains("is the set of kubectl/v1.37"), "{held}");
}
