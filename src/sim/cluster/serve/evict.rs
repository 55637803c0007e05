//! Evictions: a pod goes as its disruption budgets let it.

use evenkeel_core::address::ObjectName;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::KEPT;
use evenkeel_kubernetes::api::{Cause, Refusal, Which};
use serde_json::Value as Json;

use super::super::check::meets;
use super::super::object::{at, is_leaving, number, put, text};
use super::super::refuse::{conflict, not_found};
use super::super::{Kube, Moment};
use super::Asked;

impl Kube {
    /// Evicts one pod.
    pub(crate) fn evict(&mut self, which: &Which, uid: &str, m: Moment) -> Result<(), Refusal> {
        let name = self.resolve(which)?;
        let pod = self.get(&name).cloned().ok_or_else(|| not_found(self, &name))?;
        let live = text(&pod, &["metadata", "uid"]);
        if !uid.is_empty() && uid != live {
            let says = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {live}");
            return Err(conflict(self, &name, &says));
        }
        let finished = matches!(text(&pod, &["status", "phase"]), "Succeeded" | "Failed");
        if !is_leaving(&pod) && !finished {
            let budgets = self.budgets_of(&name, &pod);
            if budgets.len() > 1 {
                let says =
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Err(Failure::new(Class::Invalid, "InternalError", says).into());
            }
            for budget in budgets {
                self.spend(&budget, m)?;
            }
        }
        self.leave(&name, Asked { foreground: false }, m);
        Ok(())
    }

    fn budgets_of(&self, pod: &ObjectName, body: &Json) -> Vec<ObjectName> {
        let labels = at(body, &["metadata", "labels"]);
        self.of_kind("policy", "PodDisruptionBudget")
            .filter(|(name, _)| name.namespace == pod.namespace)
            .filter(|(_, b)| at(b, &["spec", "selector"]).is_some_and(|s| meets(s, labels)))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Takes one disruption from a budget, until its controller has counted again.
    fn spend(&mut self, name: &ObjectName, m: Moment) -> Result<(), Refusal> {
        let Some(mut budget) = self.get(name).cloned() else { return Ok(()) };
        let of = |field: &str| number(&budget, &["status", field]).unwrap_or(0);
        let (allowed, desired, healthy) = (of("disruptionsAllowed"), of("desiredHealthy"), of("currentHealthy"));
        let behind = of("observedGeneration") < number(&budget, &["metadata", "generation"]).unwrap_or(0);
        if behind || allowed < 1 {
            let why = if behind {
                format!("The disruption budget {} is still being processed by the server.", name.name)
            } else {
                format!("The disruption budget {} needs {desired} healthy pods and has {healthy} currently", name.name)
            };
            let says = "Cannot evict pod as it would violate the pod's disruption budget.";
            let cause = Cause { reason: KEPT.to_owned(), field: String::new(), message: why };
            return Err(Refusal { failure: Failure::new(Class::Busy, KEPT, says), causes: vec![cause] });
        }
        put(&mut budget, &["status", "disruptionsAllowed"], allowed - 1);
        self.store(name, &mut budget, m);
        Ok(())
    }
}
