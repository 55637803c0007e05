//! The lab's Kubernetes: it is what the tests on it take it for. `tests/run` builds it and sets
//! `EVENKEEL_TEST_CONTROLPLANE`; without it these tests say so and are skipped.

#[path = "lab/controlplane.rs"]
mod lab;

use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use lab::Cluster;

#[cfg(feature = "kubernetes")]
mod conformance;
#[cfg(feature = "kubernetes")]
mod crash;
#[cfg(feature = "kubernetes")]
mod inside;
#[cfg(feature = "kubernetes")]
mod journey;
#[cfg(all(feature = "aws", feature = "kubernetes"))]
mod nodes;
#[cfg(feature = "kubernetes")]
mod refusals;
#[cfg(feature = "kubernetes")]
#[path = "../src/kube/tests/wire/server.rs"]
pub mod server;
#[cfg(feature = "kubernetes")]
mod stack;
#[cfg(all(feature = "aws", feature = "kubernetes"))]
mod sweep;
#[cfg(feature = "kubernetes")]
mod webhook;
#[cfg(feature = "kubernetes")]
mod whole;

fn deployment(name: &str, replicas: u32) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: topology.kubernetes.io/zone
        whenUnsatisfiable: DoNotSchedule
        labelSelector: {{ matchLabels: {{ app: {name} }} }}
      containers:
      - name: web
        image: registry.example/web:1
"#
    )
}

/// Nodes that are Ready, by zone.
fn ready_by_zone(cluster: &Cluster) -> BTreeMap<String, usize> {
    let nodes = cluster.get("nodes");
    let mut zones = BTreeMap::new();
    for node in nodes["items"].as_array().expect("a list") {
        let conditions = node["status"]["conditions"].as_array().expect("conditions");
        if conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True") {
            let zone = node["metadata"]["labels"]["topology.kubernetes.io/zone"].as_str().expect("a zone");
            *zones.entry(zone.to_owned()).or_default() += 1;
        }
    }
    zones
}

#[test]
fn nine_simulated_nodes_are_ready_three_in_each_zone() {
    let Some(cluster) = lab::shared() else { return };
    let three = |zone: &str| (zone.to_owned(), 3);
    assert_eq!(ready_by_zone(cluster), ["us-east-1a", "us-east-1b", "us-east-1c"].map(three).into());
    let server = cluster.kubectl("version");
    assert!(server.contains("Server Version: v1.37."), "{server}");
}

#[test]
fn a_deployment_becomes_available_and_its_pods_stand_in_every_zone() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("available");
    cluster.kubectl_with("--namespace available apply --server-side -f -", &deployment("web", 3));
    cluster.kubectl("--namespace available wait deployment/web --for=condition=Available --timeout=120s");

    let pods = cluster.get("--namespace available pods");
    let nodes: Vec<&str> =
        pods["items"].as_array().expect("a list").iter().filter_map(|p| p["spec"]["nodeName"].as_str()).collect();
    let mut zones: Vec<String> = nodes
        .iter()
        .map(|node| {
            cluster.get(&format!("node {node}"))["metadata"]["labels"]["topology.kubernetes.io/zone"].to_string()
        })
        .collect();
    zones.sort();
    assert_eq!(zones, ["\"us-east-1a\"", "\"us-east-1b\"", "\"us-east-1c\""], "{nodes:?}");
}

#[test]
fn an_account_may_do_what_its_role_says_and_nothing_else() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("limited");
    let config = cluster.account("limited", "reader", "get,list", "configmaps");
    let config = config.display();
    let list = cluster.kubectl(&format!("--kubeconfig {config} get configmaps"));
    assert!(list.contains("kube-root-ca.crt"), "{list}");
    let refused = cluster.try_kubectl(&format!("--kubeconfig {config} create configmap mine"), "");
    assert!(refused.as_ref().is_err_and(|said| said.contains("forbidden")), "{refused:?}");
}

#[test]
fn a_killed_apiserver_comes_back_on_its_port_with_the_same_objects() {
    let Some(cluster) = Cluster::start("") else { return };
    cluster.kubectl("create configmap kept --from-literal=a=b");
    let before = cluster.get("configmap kept");
    cluster.tell("kill apiserver");
    let down = cluster.try_kubectl("get configmap kept", "");
    assert!(down.as_ref().is_err_and(|said| said.contains("refused")), "{down:?}");
    cluster.tell("start apiserver");
    assert_eq!(cluster.get("configmap kept"), before);
}

#[test]
fn a_cluster_leaves_no_process_and_no_folder_whether_it_ends_or_is_killed() {
    for killed in [false, true] {
        let Some(cluster) = Cluster::start("--nodes 1") else { return };
        let (folder, processes) = (cluster.folder.clone(), cluster.processes.clone());
        assert_eq!(processes.len(), 5, "{processes:?}");
        assert!(processes.values().all(|pid| runs(*pid)), "{processes:?}");
        if killed {
            let launcher = Pid::from_raw(cluster.launcher().cast_signed()).expect("a process");
            kill_process(launcher, Signal::KILL).expect("it is ours");
        }
        drop(cluster);
        assert!(!folder.exists(), "{}", folder.display());
        assert!(!processes.values().any(|pid| runs(*pid)), "{processes:?}");
    }
}

/// A pod that says its name and then sleeps.
fn sleeper(name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: lab.example/busybox:1
    command: [sh, -c, "echo $(hostname) speaks; sleep inf"]
"#
    )
}

#[test]
fn on_a_real_node_a_pod_really_runs_says_something_and_can_be_entered() {
    let Some(cluster) = lab::real() else { return };
    let zones = ["us-east-1a", "us-east-1b"].map(|zone| (zone.to_owned(), 1));
    assert_eq!(ready_by_zone(cluster), zones.into());
    cluster.namespace("speaks");
    cluster.kubectl_with("--namespace speaks apply -f -", &sleeper("speaker"));
    cluster.kubectl("--namespace speaks wait pod/speaker --for=condition=Ready --timeout=120s");
    assert_eq!(cluster.kubectl("--namespace speaks logs speaker"), "speaker speaks\n");
    let processes = cluster.kubectl("--namespace speaks exec speaker -- ps -o args");
    assert!(processes.contains("sleep inf"), "{processes}");
}

#[test]
fn a_real_node_can_fall_silent_while_its_pods_run_and_lose_them_with_its_power() {
    let Some(cluster) = Cluster::start("--real-nodes 1") else { return };
    let becomes = |status| cluster.kubectl(&format!("wait node/real-1 --for=condition=Ready={status} --timeout=120s"));
    let container = || cluster.get("pod/sleeper")["status"]["containerStatuses"][0].clone();
    cluster.kubectl_with("apply -f -", &sleeper("sleeper"));
    cluster.kubectl("wait pod/sleeper --for=condition=Ready --timeout=120s");
    let first = container();

    cluster.tell("pause real-1");
    becomes("Unknown");
    cluster.tell("resume real-1");
    becomes("True");
    assert_eq!(container()["containerID"], first["containerID"], "it ran on");

    cluster.tell("kill real-1");
    becomes("Unknown");
    cluster.tell("start real-1");
    let restarted = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1";
    cluster.kubectl(&format!("wait pod/sleeper {restarted} --timeout=120s"));
    assert_ne!(container()["containerID"], first["containerID"], "a new one");
}

#[test]
fn real_nodes_leave_no_mount_no_control_group_and_no_process_even_when_the_launcher_is_killed() {
    let Some(cluster) = Cluster::start("--real-nodes 1") else { return };
    cluster.kubectl_with("apply -f -", &sleeper("sleeper"));
    cluster.kubectl("wait pod/sleeper --for=condition=Ready --timeout=120s");
    let kept = cluster.folder.join("real-1/var/lib/containerd/io.containerd.grpc.v1.cri/containers");
    let containers: Vec<String> = std::fs::read_dir(kept)
        .expect("containerd keeps a folder for each container")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("an id"))
        .collect();
    assert!(!containers.is_empty());
    assert!(containers.iter().all(|id| has_control_group(id)), "{containers:?}");
    let (folder, processes) = (cluster.folder.clone(), cluster.processes.clone());

    let launcher = Pid::from_raw(cluster.launcher().cast_signed()).expect("a process");
    kill_process(launcher, Signal::KILL).expect("it is ours");
    drop(cluster);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("Linux has it");
    assert!(!mounts.contains(folder.to_str().expect("a plain path")), "{mounts}");
    assert!(!folder.exists(), "{}", folder.display());
    assert!(!containers.iter().any(|id| has_control_group(id)), "{containers:?}");
    assert!(!processes.values().any(|pid| runs(*pid)), "{processes:?}");
}

/// Of either version.
fn has_control_group(id: &str) -> bool {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = root.read_dir().expect("it is mounted").map(|entry| entry.expect("it can be read").path());
    hierarchies.chain([root.to_owned()]).any(|hierarchy| hierarchy.join("k8s.io").join(id).exists())
}

#[test]
fn a_zone_of_simulated_nodes_falls_silent_and_speaks_again() {
    let Some(cluster) = Cluster::start("--nodes 3") else { return };
    cluster.tell("pause kwok-us-east-1b");
    cluster.kubectl("wait node/node-2 --for=condition=Ready=Unknown --timeout=120s");
    let others = ["us-east-1a", "us-east-1c"].map(|zone| (zone.to_owned(), 1));
    assert_eq!(ready_by_zone(&cluster), others.into());
    cluster.tell("resume kwok-us-east-1b");
    cluster.kubectl("wait node/node-2 --for=condition=Ready --timeout=120s");
}

/// Whether there is such a process, other than as an entry that nobody has waited for yet.
fn runs(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}
