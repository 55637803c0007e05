//! Stateful sets: pods with names and claims of their own, one after the other.

use evenkeel_core::address::ObjectName;
use serde_json::{Value as Json, json};

use super::super::object::{at, is_leaving, items, number, put, text};
use super::super::{Kube, Moment, named};
use super::{MANAGER, hash, is_ready, pod_of};

const REVISION: &str = "controller-revision-hash";

impl Kube {
    pub(super) fn look_after_stateful_sets(&mut self, m: Moment) {
        for name in self.all_of("apps", "StatefulSet") {
            if let Some(set) = self.get(&name).cloned().filter(|s| !is_leaving(s)) {
                self.keep_ordinals(&name, &set, m);
            }
        }
    }

    fn keep_ordinals(&mut self, name: &ObjectName, set: &Json, m: Moment) {
        let template = at(set, &["spec", "template"]).cloned().unwrap_or_default();
        let revision = format!("{}-{}", name.name, hash(&template));
        let wanted = number(set, &["spec", "replicas"]).unwrap_or(1).max(0);
        let first = number(set, &["spec", "ordinals", "start"]).unwrap_or(0);
        let parallel = text(set, &["spec", "podManagementPolicy"]) == "Parallel";
        let pod_name = |n: i64| named("", "Pod", &name.namespace, &format!("{}-{n}", name.name));
        let mut steady = true;
        for n in first..first + wanted {
            match self.get(&pod_name(n)).cloned() {
                None => {
                    self.make_ordinal(set, &template, n, &revision, m);
                    steady = false;
                }
                Some(pod) if matches!(text(&pod, &["status", "phase"]), "Failed" | "Succeeded") => {
                    self.dismiss(&pod_name(n), m);
                    steady = false;
                }
                Some(pod) => steady &= is_ready(&pod),
            }
            if !steady && !parallel {
                break;
            }
        }
        // Too many: the highest first, one at a time unless in parallel.
        let ordinal = |pod: &ObjectName| pod.name.rsplit('-').next().and_then(|n| n.parse::<i64>().ok());
        let pods = self.owned("", "Pod", set);
        let mut extra: Vec<(i64, ObjectName)> = pods
            .iter()
            .filter_map(|(n, _)| Some((ordinal(n)?, n.clone())))
            .filter(|(n, _)| *n < first || *n >= first + wanted)
            .collect();
        extra.sort();
        while let Some((_, gone)) = extra.pop() {
            if steady || parallel {
                self.dismiss(&gone, m);
            }
            steady = false;
            if !parallel {
                break;
            }
        }
        if steady && text(set, &["spec", "updateStrategy", "type"]) == "RollingUpdate" {
            self.roll_ordinals(set, (first, wanted), &revision, &pod_name, m);
        }
        self.report_stateful(name, set, &revision, m);
    }

    /// The highest pod that is not of the newest template goes; the next only when all serve again.
    fn roll_ordinals(
        &mut self,
        set: &Json,
        (first, wanted): (i64, i64),
        revision: &str,
        pod_name: &dyn Fn(i64) -> ObjectName,
        m: Moment,
    ) {
        let partition = number(set, &["spec", "updateStrategy", "rollingUpdate", "partition"]).unwrap_or(0);
        for n in (first.max(partition)..first + wanted).rev() {
            let pod = pod_name(n);
            let old = self.get(&pod).is_some_and(|p| evenkeel_core::applyset::label(p, REVISION) != Some(revision));
            if old {
                return self.dismiss(&pod, m);
            }
        }
    }

    fn make_ordinal(&mut self, set: &Json, template: &Json, n: i64, revision: &str, m: Moment) {
        let (set_name, namespace) = (text(set, &["metadata", "name"]), text(set, &["metadata", "namespace"]));
        let pod = format!("{set_name}-{n}");
        let mut volumes = items(template, &["spec", "volumes"]).to_vec();
        for claim in items(set, &["spec", "volumeClaimTemplates"]) {
            let volume = text(claim, &["metadata", "name"]);
            let claim_name = format!("{volume}-{pod}");
            volumes.retain(|v| text(v, &["name"]) != volume);
            volumes.push(json!({ "name": volume, "persistentVolumeClaim": { "claimName": claim_name } }));
            if self.get(&named("", "PersistentVolumeClaim", namespace, &claim_name)).is_none() {
                let mut body = claim.clone();
                put(&mut body, &["metadata", "name"], claim_name);
                put(&mut body, &["metadata", "namespace"], namespace);
                let labels = at(set, &["spec", "selector", "matchLabels"]).cloned().unwrap_or_else(|| json!({}));
                put(&mut body, &["metadata", "labels"], labels);
                let _ = self.spawn(body, m);
            }
        }
        let mut body = pod_of(set, template, &pod);
        if !volumes.is_empty() {
            put(&mut body, &["spec", "volumes"], volumes);
        }
        put(&mut body, &["metadata", "labels", REVISION], revision);
        put(&mut body, &["metadata", "labels", "statefulset.kubernetes.io/pod-name"], pod.as_str());
        put(&mut body, &["metadata", "labels", "apps.kubernetes.io/pod-index"], n.to_string());
        put(&mut body, &["spec", "hostname"], pod.as_str());
        let service = text(set, &["spec", "serviceName"]);
        if !service.is_empty() {
            put(&mut body, &["spec", "subdomain"], service);
        }
        self.pod_for(&named("apps", "StatefulSet", namespace, set_name), set, body, m);
    }

    fn report_stateful(&mut self, name: &ObjectName, set: &Json, revision: &str, m: Moment) {
        let pods = self.owned("", "Pod", set);
        let of_newest = |p: &Json| evenkeel_core::applyset::label(p, REVISION) == Some(revision);
        let count = |keep: &dyn Fn(&Json) -> bool| pods.iter().filter(|(_, p)| !is_leaving(p) && keep(p)).count();
        let (all, ready, updated) = (count(&|_| true), count(&is_ready), count(&of_newest));
        let wanted = usize::try_from(number(set, &["spec", "replicas"]).unwrap_or(1)).unwrap_or(0);
        self.report(name, MANAGER, m, |s| {
            let before = text(s, &["status", "currentRevision"]).to_owned();
            let done = updated == wanted && ready == wanted;
            let current = if done || before.is_empty() { revision.to_owned() } else { before };
            let still = if current == revision { updated } else { all - updated };
            put(s, &["status", "observedGeneration"], number(s, &["metadata", "generation"]).unwrap_or(0));
            for (field, n) in [
                ("replicas", all),
                ("readyReplicas", ready),
                ("availableReplicas", ready),
                ("currentReplicas", still),
                ("updatedReplicas", updated),
            ] {
                put(s, &["status", field], n);
            }
            put(s, &["status", "collisionCount"], 0);
            put(s, &["status", "currentRevision"], current);
            put(s, &["status", "updateRevision"], revision);
        });
    }
}
