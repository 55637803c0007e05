//! Machines that are nodes of a real control plane: the scheduler, the eviction API and its budgets are Kubernetes' own,
//! the machines a served sim's. The lab's simulated nodes bear the ids of its first instances.

use std::process::Command;

use evenkeel_core::nodes::CORDONED;
use evenkeel_sim::World;
use evenkeel_sim::dice::Span;
use serde_json::Value;

use super::lab::Cluster;
use super::stack::Stack;
use crate::front::lab::Served;

const DECLARATION: &str = r#"
[stack]
name = "shop"
id = "kzjoined"

[aws]
region = "us-east-1"

[kubernetes]
namespace = "joined"

[policy]
max-deletes = "100%"

[policy.drain]
timeout = "15s"

[machines.pool]
count = 3
image = "ami-00000000000002309"
type = "t3.small"
zones = ["us-east-1a"]
nodes = "kubernetes"
wait = "running"
"#;

/// Three pods that may stand on any of the nodes, and a budget.
fn application(budget: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web, namespace: joined }}\nspec:\n  replicas: 3\n  \
         selector: {{ matchLabels: {{ app: web }} }}\n  template:\n    metadata: {{ labels: {{ app: web }} }}\n    spec:\n      \
         topologySpreadConstraints:\n        - {{ maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: \
         ScheduleAnyway, labelSelector: {{ matchLabels: {{ app: web }} }} }}\n      containers: [{{ name: main, image: \
         \"web:1\" }}]\n---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{ name: web, namespace: joined \
         }}\nspec: {{ {budget}, selector: {{ matchLabels: {{ app: web }} }} }}\n"
    )
}

/// The program in this stack's folder, its EC2 the served sim.
struct Place<'c> {
    stack: Stack<'c>,
    front: Served,
}

impl Place<'_> {
    fn command(&self, words: &str) -> Command {
        let mut command = self.stack.command(words);
        command.env("AWS_ENDPOINT_URL", &self.front.url).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "testing").env("AWS_SECRET_ACCESS_KEY", "testing");
        command
    }

    #[track_caller]
    fn run(&self, words: &str, exit: i32) -> String {
        let output = self.command(words).output().expect("it starts");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(output.status.code(), Some(exit), "evenkeel {words}\n{text}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn count(&self, count: u32) {
        self.stack.write("evenkeel.toml", &DECLARATION.replace("count = 3", &format!("count = {count}")));
    }

    /// Machines that live.
    fn alive(&self) -> Vec<String> {
        let world = self.front.sim.world().expect("in memory");
        world.instances.iter().filter(|(_, m)| !m.is_dead()).map(|(id, _)| id.clone()).collect()
    }
}

/// Whether a node takes no pods, and whose doing it is; `None`: it is not there.
fn cordoned(cluster: &Cluster, node: &str) -> Option<(bool, Option<String>)> {
    let nodes = cluster.get("nodes");
    let node = nodes["items"].as_array().expect("a list").iter().find(|n| n["metadata"]["name"] == node)?;
    let by = node["metadata"]["annotations"][CORDONED].as_str().map(str::to_owned);
    Some((node["spec"]["unschedulable"].as_bool().unwrap_or_default(), by))
}

/// The nodes that the application's pods stand on, those that end left out.
fn on(cluster: &Cluster) -> Vec<String> {
    let pods = cluster.get("--namespace joined pods --selector app=web");
    let all = pods["items"].as_array().expect("a list").iter();
    let lives = all.filter(|p| p["metadata"]["deletionTimestamp"].is_null());
    lives.filter_map(|p: &Value| p["spec"]["nodeName"].as_str().map(str::to_owned)).collect()
}

#[test]
fn nodes_are_drained_within_their_budgets_uncordoned_and_given_up_with_their_machines() {
    let Some(cluster) = Cluster::start("--nodes 3 --zones us-east-1a") else { return };
    cluster.namespace("joined");
    let mut world = World::founding(7);
    world.now = jiff::Timestamp::now();
    let soon = Span::millis(100, 400);
    (world.timing.boot, world.timing.checks, world.timing.shutdown) = (soon, soon, soon);
    world.timing.hidden = Span::millis(0, 0);
    let place = Place { stack: Stack::of(&cluster, DECLARATION), front: Served::start(world, 1.0) };
    place.run("apply --yes", 0);
    assert_eq!(place.alive().len(), 3);
    let status = place.run("status", 0);
    for node in ["node-1", "node-2", "node-3"] {
        assert!(status.contains(&format!("node {node} ready")), "by its providerID: {status}");
    }
    cluster.kubectl_with("apply --server-side -f -", &application("minAvailable: 3"));
    cluster.kubectl("--namespace joined wait deployment/web --for=condition=Available --timeout=120s");
    let last = "node-3";
    assert!(on(&cluster).iter().any(|node| node == last), "one stands on each: {:?}", on(&cluster));

    // The budget lets none go: the machine that is well stays, its node cordoned, and the run says who keeps whom.
    place.count(2);
    let said = place.run("apply --yes", 7);
    assert!(said.contains("is kept by its budget") && said.contains("joined/web-"), "{said}");
    assert_eq!(cordoned(&cluster, last), Some((true, Some("kzjoined".to_owned()))));
    assert_eq!((place.alive().len(), on(&cluster).len()), (3, 3));

    // It is not wished any more: the node takes pods again.
    place.count(3);
    place.run("apply --yes", 0);
    assert_eq!(cordoned(&cluster, last), Some((false, None)));

    // The budget lets one go at a time: all of them end elsewhere, then the machine goes, and its node.
    cluster.kubectl_with("apply --server-side --force-conflicts -f -", &application("maxUnavailable: 1"));
    place.count(2);
    place.run("apply --yes", 0);
    assert_eq!((cordoned(&cluster, last), place.alive().len()), (None, 2));
    cluster.kubectl("--namespace joined wait deployment/web --for=condition=Available --timeout=120s");
    assert!(!on(&cluster).iter().any(|node| node == last), "{:?}", on(&cluster));

    // What a person has cordoned stays so, and is drained all the same before its machine goes.
    cluster.kubectl("cordon node-2");
    let status = place.run("status", 0);
    assert!(status.contains("node node-2 ready, cordoned"), "{status}");
    place.run("apply --yes", 0);
    assert_eq!(cordoned(&cluster, "node-2"), Some((true, None)), "by a person");
    place.count(1);
    place.run("apply --yes", 0);
    assert_eq!((cordoned(&cluster, "node-2"), place.alive().len()), (None, 1));
    assert_eq!(on(&cluster), ["node-1", "node-1", "node-1"]);
    place.run("plan --exit-code", 0);
}
