//! Disruption budgets and quotas: what they say of themselves.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::super::check::meets;
use super::super::object::{at, flag, items, number, put, text};
use super::super::{Kube, Moment, named};
use super::replicas::is_alive;
use super::{MANAGER, is_ready, set_condition, share};

impl Kube {
    /// How many pods of a budget there should be: as their controllers say, so that one which ends is still missed.
    fn expected(&self, namespace: &str, selector: &Json) -> i64 {
        let all = self.in_namespace("", "Pod", namespace).map(|(_, p)| p);
        let pods = all.filter(|p| meets(selector, at(p, &["metadata", "labels"])));
        let mut scales: BTreeMap<String, i64> = BTreeMap::new();
        let mut alone = 0;
        for pod in pods {
            match self.wished(namespace, pod) {
                Some((uid, scale)) => drop(scales.insert(uid, scale)),
                None => alone += i64::from(is_alive(pod)),
            }
        }
        alone + scales.values().sum::<i64>()
    }

    /// The uid and the wished number of what makes a pod anew: of a ReplicaSet its Deployment, if it has one.
    fn wished(&self, namespace: &str, object: &Json) -> Option<(String, i64)> {
        let owner = items(object, &["metadata", "ownerReferences"]).iter().find(|r| flag(r, &["controller"]))?;
        let group = text(owner, &["apiVersion"]).split_once('/').map_or("", |(group, _)| group);
        let name = named(group, text(owner, &["kind"]), namespace, text(owner, &["name"]));
        let body = self.get(&name)?;
        let own = || Some((text(body, &["metadata", "uid"]).to_owned(), number(body, &["spec", "replicas"])?));
        self.wished(namespace, body).or_else(own)
    }

    pub(super) fn look_after_budgets(&mut self, m: Moment) {
        for name in self.all_of("policy", "PodDisruptionBudget") {
            let Some(budget) = self.get(&name).cloned() else { continue };
            let selector = at(&budget, &["spec", "selector"]).cloned().unwrap_or_default();
            let pods: Vec<&Json> = self
                .in_namespace("", "Pod", &name.namespace)
                .map(|(_, p)| p)
                .filter(|p| is_alive(p) && meets(&selector, at(p, &["metadata", "labels"])))
                .collect();
            let expected = self.expected(&name.namespace, &selector);
            let healthy = i64::try_from(pods.iter().filter(|p| is_ready(p)).count()).unwrap_or(i64::MAX);
            let desired = match at(&budget, &["spec", "maxUnavailable"]) {
                Some(most) => expected - share(Some(most), expected, true).unwrap_or(0),
                None => share(at(&budget, &["spec", "minAvailable"]), expected, true).unwrap_or(1),
            };
            let allowed = if expected == 0 { 0 } else { (healthy - desired).max(0) };
            self.report(&name, MANAGER, m, |b| {
                put(b, &["status", "observedGeneration"], number(b, &["metadata", "generation"]).unwrap_or(0));
                for (field, n) in [
                    ("expectedPods", expected),
                    ("currentHealthy", healthy),
                    ("desiredHealthy", desired.max(0)),
                    ("disruptionsAllowed", allowed),
                ] {
                    put(b, &["status", field], n);
                }
                let reason = if allowed > 0 { "SufficientPods" } else { "InsufficientPods" };
                set_condition(b, m.now, "DisruptionAllowed", allowed > 0, reason, "");
            });
        }
        for name in self.all_of("", "ResourceQuota") {
            let Some(quota) = self.get(&name).cloned() else { continue };
            let status = self.quota_status(&name.namespace, &quota);
            self.report(&name, MANAGER, m, |q| put(q, &["status"], status));
        }
    }
}
