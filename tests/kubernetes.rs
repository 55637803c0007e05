//! The lab's Kubernetes: it is what the tests on it take it for. `tests/run` builds it and sets
//! `EVENKEEL_TEST_CONTROLPLANE`; without it these tests say so and are skipped.

#[path = "lab/controlplane.rs"]
mod lab;

use std::collections::BTreeMap;

use rustix::process::{Pid, Signal, kill_process};

use lab::Cluster;

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

/// Whether there is such a process, other than as an entry that nobody has waited for yet.
fn runs(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}
