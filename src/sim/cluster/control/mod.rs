//! The controllers, the scheduler and the nodes, in virtual time. Each looks at what there is and does its next step;
//! they look again a moment after anything has changed, until nothing changes any more.

mod budgets;
mod claims;
mod daemons;
mod definitions;
mod deployments;
mod events;
mod garbage;
mod jobs;
mod namespaces;
mod nodes;
mod pods;
mod replicas;
mod scheduler;
mod services;
mod stateful;

use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use self::definitions::CLEANUP;
use evenkeel_core::address::ObjectName;
use evenkeel_kubernetes::api::Refusal;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::object::{at, flag, is_leaving, items, put, stamp, text};
use super::serve::{Asked, By};
use super::ssa::{Update, update};
use super::{Kube, Moment};
use crate::world::World;

/// Whose hand the controllers' is.
const MANAGER: &str = "kube-controller-manager";

/// Looks at one time, at most: whoever changes something for ever is stopped and goes on later.
const MOST_LOOKS: u32 = 10_000;

impl World {
    /// Lets time pass in the clusters.
    pub(crate) fn settle_clusters(&mut self, now: Timestamp) {
        let seed = self.seed;
        let names: Vec<String> = self.clusters.keys().cloned().collect();
        for name in names {
            let machines = self.machines_of(&name);
            if let Some(kube) = self.clusters.get_mut(&name) {
                kube.join(&machines, Moment { now, seed });
                kube.settle(Moment { now, seed });
            }
        }
    }
}

impl Kube {
    fn settle(&mut self, until: Moment) {
        for _ in 0..MOST_LOOKS {
            let Some(due) = self.due.filter(|due| *due <= until.now) else { return };
            self.due = None;
            self.look_after_all(Moment { now: due, ..until });
            let next = self.objects.values().filter_map(|o| o.due).min();
            if let Some(next) = next {
                self.wake_at(next);
            }
        }
    }

    /// One look of everybody. A time that has come and that nobody cared for does not come again.
    fn look_after_all(&mut self, m: Moment) {
        let come = |o: &super::Object| o.due.filter(|due| *due <= m.now);
        let before: Vec<(ObjectName, Timestamp)> =
            self.objects.iter().filter_map(|(name, o)| Some((name.clone(), come(o)?))).collect();
        self.look_after(m);
        for (name, due) in before {
            if let Some(object) = self.objects.get_mut(&name).filter(|o| o.due == Some(due)) {
                object.due = None;
            }
        }
    }

    fn look_after(&mut self, m: Moment) {
        self.look_after_namespaces(m);
        self.look_after_definitions(m);
        self.look_after_deployments(m);
        self.look_after_stateful_sets(m);
        self.look_after_daemon_sets(m);
        self.look_after_jobs(m);
        self.look_after_replica_sets(m);
        self.look_after_claims(m);
        self.look_after_services(m);
        self.look_after_pods(m);
        self.look_after_budgets(m);
        self.collect_garbage(m);
    }

    /// The names of all objects of a kind.
    fn all_of(&self, group: &str, kind: &str) -> Vec<ObjectName> {
        self.of_kind(group, kind).map(|(name, _)| name.clone()).collect()
    }

    /// The objects of a kind that this one controls.
    fn owned(&self, group: &str, kind: &str, owner: &Json) -> Vec<(ObjectName, Json)> {
        let uid = text(owner, &["metadata", "uid"]);
        let namespace = text(owner, &["metadata", "namespace"]);
        let controls = |o: &Json| {
            items(o, &["metadata", "ownerReferences"])
                .iter()
                .any(|r| flag(r, &["controller"]) && text(r, &["uid"]) == uid)
        };
        self.in_namespace(group, kind, namespace)
            .filter(|(_, o)| controls(o))
            .map(|(n, o)| (n.clone(), o.clone()))
            .collect()
    }

    /// The names of a kind's objects by the uid of their controller: for whoever asks for many controllers at once.
    fn by_controller(&self, group: &str, kind: &str) -> BTreeMap<String, Vec<ObjectName>> {
        let mut all: BTreeMap<String, Vec<ObjectName>> = BTreeMap::new();
        for (name, object) in self.of_kind(group, kind) {
            let controller = items(object, &["metadata", "ownerReferences"]).iter().find(|r| flag(r, &["controller"]));
            if let Some(reference) = controller {
                all.entry(text(reference, &["uid"]).to_owned()).or_default().push(name.clone());
            }
        }
        all
    }

    /// The objects of a kind in one namespace.
    fn in_namespace(&self, group: &str, kind: &str, namespace: &str) -> impl Iterator<Item = (&ObjectName, &Json)> {
        let from = super::named(group, kind, namespace, "");
        let like = from.clone();
        self.objects
            .range(from..)
            .take_while(move |(n, _)| (&n.api, &n.kind, &n.namespace) == (&like.api, &like.kind, &like.namespace))
            .map(|(n, o)| (n, &o.body.0))
    }

    /// Makes something for an owner.
    fn spawn(&mut self, body: Json, m: Moment) -> Result<Json, Refusal> {
        self.create(body, By::hand(MANAGER), false, m)
    }

    /// Changes the status of an object, as `manager`. What stays the same is not written.
    fn report(&mut self, name: &ObjectName, manager: &str, m: Moment, change: impl FnOnce(&mut Json)) {
        let Some(live) = self.get(name).cloned() else { return };
        let mut new = live.clone();
        change(&mut new);
        if new == live {
            return;
        }
        let version = text(&live, &["apiVersion"]).to_owned();
        let form = self.form(&version, &name.kind);
        let ask = Update { before: Some(&live), after: &new, manager, subresource: Some("status"), form, now: m.now };
        let mut new = update(&ask);
        self.store(name, &mut new, m);
    }

    /// Changes the object itself, as a controller.
    fn amend(&mut self, name: &ObjectName, m: Moment, change: impl FnOnce(&mut Json)) {
        let Some(live) = self.get(name).cloned() else { return };
        let mut new = live.clone();
        change(&mut new);
        if new != live {
            // A controller's own change is never wrong in itself; what a webhook says against it comes again.
            let _ = self.put_changed(name, &live, new, By::hand(MANAGER), m);
        }
    }

    /// Removes an object in the background, unless it is leaving already.
    fn dismiss(&mut self, name: &ObjectName, m: Moment) {
        if self.get(name).is_some_and(|o| !is_leaving(o)) {
            self.leave(name, Asked { foreground: false }, m);
        }
    }

    /// When an object's own state moves on. Whole seconds, so that many move on at once.
    fn set_due(&mut self, name: &ObjectName, at: Option<Timestamp>) {
        let at = at.map(|at| {
            let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
            if whole < at { crate::clock::later(whole, Duration::from_secs(1)) } else { whole }
        });
        if let Some(object) = self.objects.get_mut(name) {
            object.due = at;
        }
        if let Some(at) = at {
            self.wake_at(at);
        }
    }

    /// Whether an object's own time has come.
    fn is_due(&self, name: &ObjectName, now: Timestamp) -> bool {
        self.objects.get(name).and_then(|o| o.due).is_some_and(|due| due <= now)
    }
}

/// A reference to the controller of what it makes.
fn owner(object: &Json) -> Json {
    json!({
        "apiVersion": text(object, &["apiVersion"]),
        "kind": text(object, &["kind"]),
        "name": text(object, &["metadata", "name"]),
        "uid": text(object, &["metadata", "uid"]),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// A pod of a template.
fn pod_of(owned_by: &Json, template: &Json, name: &str) -> Json {
    let mut pod = json!({ "apiVersion": "v1", "kind": "Pod" });
    if let Some(metadata) = at(template, &["metadata"]) {
        put(&mut pod, &["metadata"], metadata.clone());
    }
    put(&mut pod, &["metadata", "name"], name);
    put(&mut pod, &["metadata", "namespace"], text(owned_by, &["metadata", "namespace"]));
    put(&mut pod, &["metadata", "ownerReferences"], json!([owner(owned_by)]));
    put(&mut pod, &["spec"], at(template, &["spec"]).cloned().unwrap_or_default());
    pod
}

/// Sets a condition of a status; its time moves only when its truth does.
fn set_condition(object: &mut Json, now: Timestamp, kind: &str, truth: bool, reason: &str, message: &str) {
    let truth = if truth { "True" } else { "False" };
    let mut all = items(object, &["status", "conditions"]).to_vec();
    let old = all.iter().position(|c| text(c, &["type"]) == kind);
    let since = old
        .and_then(|n| all.get(n))
        .filter(|c| text(c, &["status"]) == truth)
        .map(|c| text(c, &["lastTransitionTime"]).to_owned())
        .unwrap_or_else(|| stamp(now));
    let mut condition = json!({ "type": kind, "status": truth, "lastTransitionTime": since });
    for (field, value) in [("reason", reason), ("message", message)] {
        if !value.is_empty() {
            put(&mut condition, &[field], value);
        }
    }
    match old.and_then(|n| all.get_mut(n)) {
        Some(old) => {
            // What a kind adds of its own stays.
            for (field, value) in condition.as_object().into_iter().flatten() {
                put(old, &[field], value.clone());
            }
            for field in ["reason", "message"] {
                if condition.get(field).is_none() {
                    super::object::take(old, &[field]);
                }
            }
        }
        None => all.push(condition),
    }
    put(object, &["status", "conditions"], all);
}

/// The truth of a condition.
fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    items(object, &["status", "conditions"]).iter().find(|c| text(c, &["type"]) == kind)
}

fn is_true(object: &Json, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| text(c, &["status"]) == "True")
}

/// Whether a pod serves.
fn is_ready(pod: &Json) -> bool {
    is_true(pod, "Ready") && !is_leaving(pod)
}

/// `25%` of a number, or a number.
fn share(value: Option<&Json>, of: i64, up: bool) -> Option<i64> {
    let value = value?;
    if let Some(n) = value.as_i64() {
        return Some(n);
    }
    let text = value.as_str()?;
    let Some(percent) = text.strip_suffix('%') else { return text.parse().ok() };
    let part = percent.parse::<i64>().ok()?.checked_mul(of)?;
    Some(if up { part.div_euclid(100) + i64::from(part.rem_euclid(100) != 0) } else { part.div_euclid(100) })
}

/// Ten letters for a template, as its pods' names bear them.
fn hash(template: &Json) -> String {
    // No vowels, so that no word comes out.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut print = crate::dice::fingerprint(&template.to_string());
    let mut text = String::new();
    for _ in 0..10 {
        text.push(char::from(LETTERS[(print % 27) as usize]));
        print /= 27;
    }
    text
}

/// Five letters for the count-th object.
fn suffix(count: u64, seed: u64) -> String {
    let drawn = json!(crate::dice::draw(seed, "name", count));
    hash(&drawn)[..5].to_owned()
}
