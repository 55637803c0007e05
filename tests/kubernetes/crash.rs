//! Workloads on real nodes: what runs becomes ready, and what crashes says its last words.

use super::lab;
use super::stack::{Stack, declaration};

/// One that serves, one that cannot start and keeps trying, and a job that fails for good. Each says all on one stream:
/// the node keeps no order between two.
const WORKLOADS: &str = r#"
[workloads.good]
image = "lab.example/busybox:1"
command = ["sh", "-c", "echo ready > /tmp/state; sleep inf"]
health = { exec = ["test", "-f", "/tmp/state"] }
replicas = 2
"#;

const BAD: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: { name: import }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: lab.example/busybox:1
          command: [sh, -c, "echo reading; echo 'row 7: no price'; echo giving up; exit 3"]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: bad }
spec:
  # It runs for a moment each time: that is not ready.
  minReadySeconds: 5
  selector: { matchLabels: { app: bad } }
  template:
    metadata: { labels: { app: bad } }
    spec:
      containers:
        - name: main
          image: lab.example/busybox:1
          command: [sh, -c, "exec >&2; echo starting; echo 'no database at db:5432'; exit 4"]
"#;

#[test]
fn on_real_nodes_what_runs_becomes_ready_and_what_crashes_says_its_last_words() {
    let Some(cluster) = lab::real() else { return };
    cluster.namespace("crash");
    let file = |wait: &str| {
        let manifests = declaration("kzcrash2", "crash", &format!("files = [\"bad.yaml\"]\nwait = \"{wait}\""));
        format!("{manifests}{WORKLOADS}")
    };
    let stack = Stack::of(cluster, &file("30s"));
    stack.write("bad.yaml", BAD);
    let words = [
        "its log ends: reading | row 7: no price | giving up",
        "its log ends: starting | no database at db:5432",
        "exit code 3",
        "exit code 4",
    ];
    stack.run("apply --yes", 7);
    // How soon a node starts a container is its own affair. What has crashed once is told from then on, whether it is
    // down in that moment or runs again.
    let crashed =
        "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=4 pod --selector app=bad";
    cluster.kubectl(&format!("--namespace crash wait --timeout=300s {crashed}"));
    cluster.kubectl("--namespace crash wait --timeout=300s --for=condition=failed job/import");
    for (command, exit) in [("apply --yes", 7), ("status", 9)] {
        let told = stack.run(command, exit).split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(told.contains(word), "{command}: {word}: {told}");
        }
    }
    let good = &cluster.get("--namespace crash deployment good")["status"];
    assert_eq!(good["readyReplicas"], 2, "{good}");
    let zones = cluster.get("--namespace crash pods -l app.kubernetes.io/name=good");
    let nodes: std::collections::BTreeSet<_> =
        zones["items"].as_array().expect("a list").iter().filter_map(|p| p["spec"]["nodeName"].as_str()).collect();
    assert_eq!(nodes.len(), 2, "one in each zone: {nodes:?}");

    // Mended: the deployment rolls on, and the job, whose template never changes, is made anew.
    stack.write("evenkeel.toml", &file("5m"));
    stack.write("bad.yaml", &BAD.replace("exit 3", "exit 0").replace("exit 4", "sleep inf"));
    let said = stack.run("apply --yes", 0);
    assert!(said.contains("1 to replace, 1 to change"), "{said}");
    stack.is_in_sync();
    stack.run("destroy --yes", 0);
}
