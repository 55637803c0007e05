//! Daemon sets: one pod on every node that may have it.

use evenkeel_core::address::ObjectName;
use serde_json::{Value as Json, json};

use super::super::object::{at, is_leaving, items, number, put, text};
use super::super::{Kube, Moment, named};
use super::replicas::is_alive;
use super::scheduler::may_run_on;
use super::{MANAGER, hash, is_ready, pod_of, share, suffix};

const REVISION: &str = "controller-revision-hash";

impl Kube {
    pub(super) fn look_after_daemon_sets(&mut self, m: Moment) {
        for name in self.all_of("apps", "DaemonSet") {
            if let Some(set) = self.get(&name).cloned().filter(|s| !is_leaving(s)) {
                self.keep_daemons(&name, &set, m);
            }
        }
    }

    fn keep_daemons(&mut self, name: &ObjectName, set: &Json, m: Moment) {
        let template = at(set, &["spec", "template"]).cloned().unwrap_or_default();
        let revision = hash(&template);
        let nodes: Vec<(ObjectName, Json)> = self.of_kind("", "Node").map(|(n, o)| (n.clone(), o.clone())).collect();
        let wanted: Vec<&str> =
            nodes.iter().filter(|n| may_run_on(n, &template)).map(|(n, _)| n.name.as_str()).collect();
        let pods = self.owned("", "Pod", set);
        for (pod, body) in &pods {
            let node = bound_to(body);
            if !is_alive(body) && !is_leaving(body) || !wanted.contains(&node) {
                self.dismiss(pod, m);
            }
        }
        for node in &wanted {
            if pods.iter().all(|(_, p)| bound_to(p) != *node) {
                self.make_daemon(set, &template, node, &revision, m);
            }
        }
        let old = |p: &Json| evenkeel_core::applyset::label(p, REVISION) != Some(revision.as_str());
        let pods = self.owned("", "Pod", set);
        if text(set, &["spec", "updateStrategy", "type"]) == "RollingUpdate" {
            let of = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
            let most = at(set, &["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"]);
            let most = share(most, of, true).unwrap_or(1).max(1);
            let missing = of - i64::try_from(pods.iter().filter(|(_, p)| is_ready(p)).count()).unwrap_or(0);
            let mut may_go = (most - missing).max(0);
            for (pod, body) in pods.iter().filter(|(_, p)| old(p) && !is_leaving(p)) {
                let serves = is_ready(body);
                if !serves || may_go > 0 {
                    may_go -= i64::from(serves);
                    self.dismiss(pod, m);
                }
            }
        }
        let count = |keep: &dyn Fn(&Json) -> bool| pods.iter().filter(|(_, p)| is_alive(p) && keep(p)).count();
        let (all, ready, updated) = (count(&|_| true), count(&is_ready), count(&|p| !old(p)));
        self.report(name, MANAGER, m, |s| {
            put(s, &["status", "observedGeneration"], number(s, &["metadata", "generation"]).unwrap_or(0));
            for (field, n) in [
                ("desiredNumberScheduled", wanted.len()),
                ("currentNumberScheduled", all),
                ("numberReady", ready),
                ("numberAvailable", ready),
                ("updatedNumberScheduled", updated),
                ("numberUnavailable", wanted.len().saturating_sub(ready)),
                ("numberMisscheduled", 0),
            ] {
                put(s, &["status", field], n);
            }
        });
    }

    fn make_daemon(&mut self, set: &Json, template: &Json, node: &str, revision: &str, m: Moment) {
        let name = format!("{}-{}", text(set, &["metadata", "name"]), suffix(self.made, m.seed));
        let mut pod = pod_of(set, template, &name);
        put(&mut pod, &["metadata", "labels", REVISION], revision);
        let field = json!({ "key": "metadata.name", "operator": "In", "values": [node] });
        let term = json!({ "nodeSelectorTerms": [{ "matchFields": [field] }] });
        put(&mut pod, &["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"], term);
        let mut tolerations = items(&pod, &["spec", "tolerations"]).to_vec();
        for key in ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"] {
            tolerations.push(json!({ "key": format!("node.kubernetes.io/{key}"), "operator": "Exists" }));
        }
        put(&mut pod, &["spec", "tolerations"], tolerations);
        let owner = named("apps", "DaemonSet", text(set, &["metadata", "namespace"]), text(set, &["metadata", "name"]));
        self.pod_for(&owner, set, pod, m);
    }
}

/// The node that a daemon's pod is for.
fn bound_to(pod: &Json) -> &str {
    let way = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = at(pod, &way).map_or(&[][..], |r| items(r, &["nodeSelectorTerms"]));
    let field = terms.first().and_then(|t| items(t, &["matchFields"]).first());
    field.and_then(|f| items(f, &["values"]).first()).and_then(Json::as_str).unwrap_or_default()
}
