//! Machines of the served EC2 that are nodes of a real control plane: joined, waited for, drained within a budget, ended.
//!
//! A joiner stands in for the boot scripts: a machine that runs becomes a simulated node with its `providerID`.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use evenkeel_sim::{Sim, World};
use serde_json::Value;

use super::lab::Cluster;
use crate::front::lab::Served;

/// The sim's time for one second of ours: machines boot in minutes, pods end in seconds.
const SPEED: f64 = 30.0;

/// Makes a node of each machine of ours that runs, until it is dropped.
struct Joiner {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Joiner {
    fn start(sim: Sim, kubectl: impl Fn(&str) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut known = std::collections::BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                let world = sim.world().expect("in memory");
                for (id, m) in world.instances.iter().filter(|(_, m)| !m.is_dead() && m.checks_pass <= world.now) {
                    if known.insert(id.clone()) {
                        kubectl(&node(id, &m.zone));
                    }
                }
                std::thread::park_timeout(Duration::from_millis(200));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn node(id: &str, zone: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Node
metadata:
  name: node-of-{id}
  annotations: {{ kwok.x-k8s.io/node: fake }}
  labels:
    pool: web
    type: kwok
    kubernetes.io/hostname: node-of-{id}
    topology.kubernetes.io/zone: {zone}
spec: {{ providerID: "aws:///{zone}/{id}" }}
status:
  allocatable: {{ cpu: "8", memory: 16Gi, pods: "110" }}
  capacity: {{ cpu: "8", memory: 16Gi, pods: "110" }}
"#
    )
}

fn declaration(image: &str, more: &str) -> String {
    format!(
        r#"
[stack]
name = "shop"
id = "kznodes2"
[aws]
region = "us-east-1"
[kubernetes]
namespace = "nodes"
[machines.web]
count = 2
image = "{image}"
type = "t3.small"
zones = ["us-east-1a", "us-east-1b"]
nodes = "kubernetes"
[workloads.app]
image = "registry.example/app:1"
replicas = 2
max-unavailable = 1
node-selector = {{ pool = "web" }}
spread = false
{more}
"#
    )
}

struct Stack<'c> {
    folder: tempfile::TempDir,
    cluster: &'c Cluster,
    served: &'c Served,
}

impl Stack<'_> {
    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("evenkeel.toml"), text).expect("it can be written");
    }

    fn run(&self, words: &str, exit: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.current_dir(self.folder.path()).args(words.split_whitespace());
        command.env("KUBECONFIG", &self.cluster.kubeconfig).env("NO_COLOR", "1").env("CI", "true");
        command.env("AWS_ENDPOINT_URL", &self.served.url).env("AWS_ACCESS_KEY_ID", "testing");
        command.env("AWS_SECRET_ACCESS_KEY", "testing").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("EVENKEEL_CLOCK", self.served.sim.clock().paced().expect("it runs by itself").to_string());
        let Output { status, stdout, stderr } = command.output().expect("it starts");
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(exit), "evenkeel {words}\n{said}");
        said
    }
}

fn names(list: &Value) -> Vec<String> {
    let all = list["items"].as_array().expect("a list");
    all.iter().filter_map(|n| n["metadata"]["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn machines_of_ec2_are_joined_drained_within_their_budget_and_given_up() {
    let Some(cluster) = Cluster::start("--nodes 3") else { return };
    let mut world = World::founding(7);
    world.limits.throttling = false;
    let served = Served::start(world, SPEED);
    cluster.namespace("nodes");
    let kubectl = cluster.applier();
    let joiner = Joiner::start(served.sim.clone(), kubectl);
    let stack = Stack { folder: tempfile::tempdir().expect("a folder"), cluster: &cluster, served: &served };
    let (old, new) = ("ami-00000000000002309", "ami-00000000000002308");

    stack.write(&declaration(old, ""));
    stack.run("apply --yes", 0);
    let first = names(&cluster.get("nodes -l pool=web"));
    assert_eq!(first.len(), 2, "{first:?}");
    let status = stack.run("status", 0);
    assert!(first.iter().all(|n| status.contains(&format!("node {n} ready"))), "{status}");

    stack.write(&declaration(new, "[policy]\nmax-parallel = 2\nmax-surge = 2\n"));
    let plan = stack.run("plan", 0);
    assert!(plan.contains("launch first · drain · terminate"), "{plan}");
    assert!(first.iter().all(|n| plan.contains(n.as_str())), "{plan}");
    // The first wave is one machine; a rerun is the ordinary way on.
    for _ in 0..3 {
        if names(&cluster.get("nodes -l pool=web")).iter().all(|n| !first.contains(n)) {
            break;
        }
        stack.run("apply --yes", 0);
    }
    let then = names(&cluster.get("nodes -l pool=web"));
    assert!(then.len() == 2 && then.iter().all(|n| !first.contains(n)), "{then:?} after {first:?}");
    assert_eq!(cluster.get("deployment app --namespace nodes")["status"]["readyReplicas"], 2);
    assert_eq!(served.sim.violations(), []);

    // A budget that lets nobody go keeps its machine, and is named; a file that wishes it back uncordons its node.
    let strict = declaration(new, "[policy]\nmax-deletes = 2\n[policy.drain]\ntimeout = \"1m\"\n")
        .replace("max-unavailable = 1", "max-unavailable = 0")
        .replace("replicas = 2", "replicas = 4");
    stack.write(&strict);
    stack.run("apply --yes", 0);
    stack.write(&strict.replace("count = 2", "count = 1"));
    let kept = stack.run("apply --yes", 7);
    assert!(kept.contains("is kept by its budget (The disruption budget app needs 4 healthy pods"), "{kept}");
    assert_eq!(cluster.get("deployment app --namespace nodes")["status"]["readyReplicas"], 4, "nobody was moved");
    let cordoned = |list: &Value| {
        let all = list["items"].as_array().expect("a list");
        all.iter().filter(|n| n["spec"]["unschedulable"] == true).count()
    };
    assert_eq!(cordoned(&cluster.get("nodes -l pool=web")), 1);
    stack.write(&strict);
    let back = stack.run("apply --yes", 0);
    assert!(back.contains("uncordon"), "{back}");
    assert_eq!(cordoned(&cluster.get("nodes -l pool=web")), 0);

    stack.run("destroy --yes", 0);
    assert_eq!(names(&cluster.get("nodes -l pool=web")), Vec::<String>::new());
    assert_eq!(served.sim.violations(), []);
    drop(joiner);
}
