//! Deployments: one replica set a template, from the old to the new within surge and unavailability.

use evenkeel_core::address::ObjectName;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::super::object::{at, flag, is_leaving, number, put, stamp, take, text, time};
use super::super::{Kube, Moment};
use super::replicas::drop_condition;
use super::{MANAGER, condition, hash, owner, set_condition, share};
use crate::clock::later;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

/// A replica set of a deployment.
struct Set {
    name: ObjectName,
    body: Json,
}

impl Set {
    fn wanted(&self) -> i64 {
        number(&self.body, &["spec", "replicas"]).unwrap_or(0)
    }

    fn has(&self) -> i64 {
        number(&self.body, &["status", "replicas"]).unwrap_or(0)
    }

    fn available(&self) -> i64 {
        number(&self.body, &["status", "availableReplicas"]).unwrap_or(0).min(self.wanted())
    }

    fn revision(&self) -> i64 {
        evenkeel_core::applyset::annotation(&self.body, REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
    }
}

impl Kube {
    pub(super) fn look_after_deployments(&mut self, m: Moment) {
        for name in self.all_of("apps", "Deployment") {
            if let Some(deployment) = self.get(&name).cloned().filter(|d| !is_leaving(d)) {
                self.roll(&name, &deployment, m);
            }
        }
    }

    fn sets_of(&self, deployment: &Json) -> Vec<Set> {
        let sets = self.owned("apps", "ReplicaSet", deployment);
        sets.into_iter().filter(|(_, s)| !is_leaving(s)).map(|(name, body)| Set { name, body }).collect()
    }

    fn roll(&mut self, name: &ObjectName, deployment: &Json, m: Moment) {
        let template = at(deployment, &["spec", "template"]).cloned().unwrap_or_default();
        let mark = hash(&template);
        let is_new = |set: &Set| evenkeel_core::applyset::label(&set.body, HASH) == Some(mark.as_str());
        let paused = flag(deployment, &["spec", "paused"]);
        let mut sets = self.sets_of(deployment);
        let newest = sets.iter().map(Set::revision).max().unwrap_or(0);
        if !paused {
            match sets.iter().find(|s| is_new(s)) {
                None => {
                    self.make_set(deployment, &template, &mark, newest + 1, m);
                    sets = self.sets_of(deployment);
                }
                Some(set) if set.revision() < newest => {
                    let name = set.name.clone();
                    self.amend(&name, m, |s| put(s, &["metadata", "annotations", REVISION], (newest + 1).to_string()));
                    sets = self.sets_of(deployment);
                }
                Some(_) => {}
            }
        }
        let (new, old): (Vec<Set>, Vec<Set>) = sets.into_iter().partition(is_new);
        let wanted = number(deployment, &["spec", "replicas"]).unwrap_or(1);
        if let Some(new) = new.first() {
            if text(deployment, &["spec", "strategy", "type"]) == "Recreate" {
                self.recreate(new, &old, wanted, m);
            } else if !paused || old.is_empty() {
                self.roll_over(deployment, new, &old, wanted, m);
            }
            self.forget_old(deployment, &old, m);
        }
        self.report_deployment(name, &mark, m);
    }

    fn make_set(&mut self, deployment: &Json, template: &Json, mark: &str, revision: i64, m: Moment) {
        let mut template = template.clone();
        put(&mut template, &["metadata", "labels", HASH], mark);
        let mut selector = at(deployment, &["spec", "selector"]).cloned().unwrap_or_default();
        put(&mut selector, &["matchLabels", HASH], mark);
        let set = json!({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{mark}", text(deployment, &["metadata", "name"])),
                "namespace": text(deployment, &["metadata", "namespace"]),
                "labels": at(&template, &["metadata", "labels"]),
                "annotations": { REVISION: revision.to_string() },
                "ownerReferences": [owner(deployment)],
            },
            "spec": { "replicas": 0, "selector": selector, "template": template },
        });
        // A refusal is shown by the pods that do not come.
        let _ = self.spawn(set, m);
    }

    fn scale(&mut self, set: &Set, replicas: i64, m: Moment) {
        self.amend(&set.name, m, |s| put(s, &["spec", "replicas"], replicas.max(0)));
    }

    fn recreate(&mut self, new: &Set, old: &[Set], wanted: i64, m: Moment) {
        for set in old.iter().filter(|s| s.wanted() > 0) {
            self.scale(set, 0, m);
        }
        let gone = old.iter().all(|s| self.owned("", "Pod", &s.body).is_empty());
        if gone {
            self.scale(new, wanted, m);
        }
    }

    fn roll_over(&mut self, deployment: &Json, new: &Set, old: &[Set], wanted: i64, m: Moment) {
        let rolling = |part: &str| at(deployment, &["spec", "strategy", "rollingUpdate", part]);
        let surge = share(rolling("maxSurge"), wanted, true).unwrap_or(1);
        let mut missing = share(rolling("maxUnavailable"), wanted, false).unwrap_or(0);
        if surge == 0 && missing == 0 {
            missing = 1;
        }
        if new.wanted() > wanted {
            return self.scale(new, wanted, m);
        }
        let all: i64 = new.wanted() + old.iter().map(Set::wanted).sum::<i64>();
        let room = (wanted + surge - all).max(0).min(wanted - new.wanted());
        if room > 0 {
            return self.scale(new, new.wanted() + room, m);
        }
        // What does not serve goes first; of the rest as many as may be missing.
        let least = wanted - missing.min(wanted);
        let broken_new = new.wanted() - new.available();
        let mut spare = all - least - broken_new;
        let mut left: Vec<(&Set, i64)> = old.iter().map(|s| (s, s.wanted())).collect();
        for (set, n) in &mut left {
            let cut = (set.wanted() - set.available()).min(spare).max(0);
            *n -= cut;
            spare -= cut;
        }
        let serving = new.available() + left.iter().map(|(s, n)| s.available().min(*n)).sum::<i64>();
        let mut may_go = (serving - least).max(0);
        for (_, n) in &mut left {
            let cut = (*n).min(may_go).max(0);
            *n -= cut;
            may_go -= cut;
        }
        for (set, n) in left {
            if n != set.wanted() {
                self.scale(set, n, m);
            }
        }
    }

    /// Old sets without pods are kept as a history of some length.
    fn forget_old(&mut self, deployment: &Json, old: &[Set], m: Moment) {
        let keep = usize::try_from(number(deployment, &["spec", "revisionHistoryLimit"]).unwrap_or(10)).unwrap_or(0);
        let mut empty: Vec<&Set> = old.iter().filter(|s| s.wanted() == 0 && s.has() == 0).collect();
        empty.sort_by_key(|s| s.revision());
        let many = empty.len().saturating_sub(keep);
        for set in empty.into_iter().take(many) {
            self.dismiss(&set.name, m);
        }
    }

    fn report_deployment(&mut self, name: &ObjectName, mark: &str, m: Moment) {
        let Some(deployment) = self.get(name).cloned() else { return };
        let sets = self.sets_of(&deployment);
        let new = sets.iter().find(|s| evenkeel_core::applyset::label(&s.body, HASH) == Some(mark));
        let sum = |field: &str| sets.iter().map(|s| number(&s.body, &["status", field]).unwrap_or(0)).sum::<i64>();
        let wanted = number(&deployment, &["spec", "replicas"]).unwrap_or(1);
        let (replicas, available) = (sum("replicas"), sum("availableReplicas"));
        let updated = new.map_or(0, Set::has);
        let missing = share(at(&deployment, &["spec", "strategy", "rollingUpdate", "maxUnavailable"]), wanted, false);
        let least = wanted - missing.unwrap_or(0).min(wanted);
        let done = updated == wanted && replicas == wanted && available >= wanted;
        let trouble = sets.iter().find_map(|s| condition(&s.body, "ReplicaFailure"));
        let trouble = trouble.map(|c| text(c, &["message"]).to_owned());
        let new_name = new.map(|s| s.name.name.clone()).unwrap_or_default();
        let revision = new.map_or(0, Set::revision);
        let limit = number(&deployment, &["spec", "progressDeadlineSeconds"]).unwrap_or(600).unsigned_abs();
        let mut look_again = None;
        self.report(name, MANAGER, m, |d| {
            let numbers = [
                ("replicas", replicas),
                ("updatedReplicas", updated),
                ("readyReplicas", sum("readyReplicas")),
                ("availableReplicas", available),
                ("unavailableReplicas", (wanted.max(replicas) - available).max(0)),
            ];
            let before = (
                number(d, &["status", "updatedReplicas"]),
                number(d, &["status", "availableReplicas"]),
                number(d, &["status", "replicas"]),
            );
            for (field, n) in numbers {
                if n == 0 {
                    take(d, &["status", field]);
                } else {
                    put(d, &["status", field], n);
                }
            }
            let after = (
                number(d, &["status", "updatedReplicas"]),
                number(d, &["status", "availableReplicas"]),
                number(d, &["status", "replicas"]),
            );
            let generation = number(d, &["metadata", "generation"]).unwrap_or(0);
            let seen = number(d, &["status", "observedGeneration"]) == Some(generation);
            put(d, &["status", "observedGeneration"], generation);
            if revision > 0 {
                put(d, &["metadata", "annotations", REVISION], revision.to_string());
            }
            if available >= least {
                let says = "Deployment has minimum availability.";
                set_condition(d, m.now, "Available", true, "MinimumReplicasAvailable", says);
            } else {
                let says = "Deployment does not have minimum availability.";
                set_condition(d, m.now, "Available", false, "MinimumReplicasUnavailable", says);
            }
            match &trouble {
                Some(says) => set_condition(d, m.now, "ReplicaFailure", true, "FailedCreate", says),
                None => drop_condition(d, "ReplicaFailure"),
            }
            look_again = progress(d, m.now, limit, (done, !seen || before != after), &new_name);
        });
        self.set_due(name, look_again);
    }
}

/// The condition `Progressing`; when to look again whether the deadline has passed.
fn progress(d: &mut Json, now: Timestamp, limit: u64, (done, moved): (bool, bool), set: &str) -> Option<Timestamp> {
    if flag(d, &["spec", "paused"]) {
        set_condition(d, now, "Progressing", true, "DeploymentPaused", "Deployment is paused");
        return None;
    }
    if done {
        let says = format!("ReplicaSet {set:?} has successfully progressed.");
        set_condition(d, now, "Progressing", true, "NewReplicaSetAvailable", &says);
        touch(d, now, moved);
        return None;
    }
    let last = condition(d, "Progressing").and_then(|c| time(c, &["lastUpdateTime"]));
    let late = condition(d, "Progressing").is_some_and(|c| text(c, &["reason"]) == "ProgressDeadlineExceeded");
    let deadline = last.map(|at| later(at, std::time::Duration::from_secs(limit)));
    if !moved && (late || deadline.is_some_and(|at| at <= now)) {
        let says = format!("ReplicaSet {set:?} has timed out progressing.");
        set_condition(d, now, "Progressing", false, "ProgressDeadlineExceeded", &says);
        return None;
    }
    let says = format!("ReplicaSet {set:?} is progressing.");
    set_condition(d, now, "Progressing", true, "ReplicaSetUpdated", &says);
    touch(d, now, moved || last.is_none());
    let last = condition(d, "Progressing").and_then(|c| time(c, &["lastUpdateTime"])).unwrap_or(now);
    Some(later(last, std::time::Duration::from_secs(limit)))
}

fn touch(d: &mut Json, now: Timestamp, moved: bool) {
    for c in d.pointer_mut("/status/conditions").and_then(Json::as_array_mut).into_iter().flatten() {
        if text(c, &["type"]) == "Progressing" && (moved || c.get("lastUpdateTime").is_none()) {
            put(c, &["lastUpdateTime"], stamp(now));
        }
    }
}
