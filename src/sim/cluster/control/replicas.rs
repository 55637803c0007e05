//! Replica sets: so many pods of one template.

use evenkeel_core::address::ObjectName;
use serde_json::{Value as Json, json};

use super::super::object::{at, is_leaving, number, put, text};
use super::super::{Kube, Moment};
use super::{MANAGER, is_ready, pod_of, set_condition, suffix};

impl Kube {
    pub(super) fn look_after_replica_sets(&mut self, m: Moment) {
        let pods = self.by_controller("", "Pod");
        for name in self.all_of("apps", "ReplicaSet") {
            if let Some(set) = self.get(&name).cloned().filter(|s| !is_leaving(s)) {
                let mine = pods.get(text(&set, &["metadata", "uid"])).map_or(&[][..], Vec::as_slice);
                self.keep_replicas(&name, &set, mine, m);
            }
        }
    }

    fn keep_replicas(&mut self, name: &ObjectName, set: &Json, mine: &[ObjectName], m: Moment) {
        let pods = mine.iter().filter_map(|n| Some((n.clone(), self.get(n)?.clone())));
        let mut alive: Vec<(ObjectName, Json)> = pods.filter(|(_, p)| is_alive(p)).collect();
        let wanted = usize::try_from(number(set, &["spec", "replicas"]).unwrap_or(1)).unwrap_or(0);
        let mut trouble = None;
        while alive.len() < wanted {
            let pod_name = format!("{}-{}", name.name, suffix(self.made, m.seed));
            let template = at(set, &["spec", "template"]).cloned().unwrap_or_default();
            match self.spawn(pod_of(set, &template, &pod_name), m) {
                Ok(pod) => alive.push((super::super::named("", "Pod", &name.namespace, &pod_name), pod)),
                Err(refusal) => {
                    trouble = Some(refusal.failure.says);
                    break;
                }
            }
        }
        // Those that serve least go first, and of equals the youngest.
        alive.sort_by_key(|(n, p)| {
            (
                is_ready(p),
                !text(p, &["spec", "nodeName"]).is_empty(),
                std::cmp::Reverse(text(p, &["metadata", "creationTimestamp"]).to_owned()),
                n.clone(),
            )
        });
        while alive.len() > wanted {
            let (gone, _) = alive.remove(0);
            self.dismiss(&gone, m);
        }
        let ready = alive.iter().filter(|(_, p)| is_ready(p)).count();
        let labels = at(set, &["spec", "template", "metadata", "labels"]).cloned().unwrap_or_default();
        let labelled = alive.iter().filter(|(_, p)| carries(p, &labels)).count();
        self.report(name, MANAGER, m, |set| {
            put(set, &["status", "replicas"], alive.len());
            put(set, &["status", "fullyLabeledReplicas"], labelled);
            put(set, &["status", "readyReplicas"], ready);
            put(set, &["status", "availableReplicas"], ready);
            let generation = number(set, &["metadata", "generation"]).unwrap_or(0);
            put(set, &["status", "observedGeneration"], generation);
            match &trouble {
                Some(says) => set_condition(set, m.now, "ReplicaFailure", true, "FailedCreate", says),
                None => drop_condition(set, "ReplicaFailure"),
            }
        });
        if trouble.is_some() {
            self.set_due(name, Some(crate::clock::later(m.now, std::time::Duration::from_secs(15))));
        } else {
            self.set_due(name, None);
        }
    }
}

pub(super) fn is_alive(pod: &Json) -> bool {
    !is_leaving(pod) && !matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed")
}

fn carries(pod: &Json, labels: &Json) -> bool {
    let has = at(pod, &["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
    labels.as_object().into_iter().flatten().all(|(k, v)| has.get(k) == Some(v))
}

pub(super) fn drop_condition(object: &mut Json, kind: &str) {
    if let Some(all) = object.pointer_mut("/status/conditions").and_then(Json::as_array_mut) {
        all.retain(|c| text(c, &["type"]) != kind);
    }
}
