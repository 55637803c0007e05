//! Disruption budgets and quotas: what they say of themselves.

use serde_json::Value as Json;

use super::super::check::meets;
use super::super::object::{at, number, put};
use super::super::{Kube, Moment};
use super::replicas::is_alive;
use super::{MANAGER, is_ready, set_condition, share};

impl Kube {
    pub(super) fn look_after_budgets(&mut self, m: Moment) {
        for name in self.all_of("policy", "PodDisruptionBudget") {
            let Some(budget) = self.get(&name).cloned() else { continue };
            let selector = at(&budget, &["spec", "selector"]).cloned().unwrap_or_default();
            let pods: Vec<&Json> = self
                .in_namespace("", "Pod", &name.namespace)
                .map(|(_, p)| p)
                .filter(|p| is_alive(p) && meets(&selector, at(p, &["metadata", "labels"])))
                .collect();
            let expected = i64::try_from(pods.len()).unwrap_or(i64::MAX);
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
