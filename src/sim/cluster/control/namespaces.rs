//! Namespaces: what they are born with, and how they empty themselves.

use std::collections::BTreeMap;

use evenkeel_core::address::ObjectName;
use serde_json::json;

use super::super::object::{finalizers, is_leaving, put, text};
use super::super::{Kube, Moment, named};
use super::{MANAGER, set_condition};
use crate::clock::later;

impl Kube {
    pub(super) fn look_after_namespaces(&mut self, m: Moment) {
        for name in self.all_of("", "Namespace") {
            if self.get(&name).is_some_and(is_leaving) {
                self.empty(&name, m);
            } else {
                self.furnish(&name.name, m);
            }
        }
    }

    fn furnish(&mut self, namespace: &str, m: Moment) {
        if self.get(&named("", "ServiceAccount", namespace, "default")).is_none() {
            let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": namespace } });
            let _ = self.spawn(account, m);
        }
        if self.get(&named("", "ConfigMap", namespace, "kube-root-ca.crt")).is_none() {
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "kube-root-ca.crt", "namespace": namespace },
                "data": { "ca.crt": "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" },
            });
            let _ = self.spawn(map, m);
        }
    }

    fn empty(&mut self, name: &ObjectName, m: Moment) {
        let inside: Vec<ObjectName> = self.objects.keys().filter(|o| o.namespace == name.name).cloned().collect();
        for object in &inside {
            self.dismiss(object, m);
        }
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        let mut held: BTreeMap<String, usize> = BTreeMap::new();
        for object in inside.iter().filter(|o| self.get(o).is_some()) {
            *left.entry(super::super::refuse::whole(self, object)).or_insert(0) += 1;
            let Some(body) = self.get(object) else { continue };
            for finalizer in finalizers(body) {
                *held.entry(finalizer.to_owned()).or_insert(0) += 1;
            }
        }
        if left.is_empty() {
            let uid = self.get(name).map(|n| text(n, &["metadata", "uid"]).to_owned()).unwrap_or_default();
            match self.objects.get(name).and_then(|o| o.due) {
                None => {
                    let takes = self.timing.empty.draw(m.seed, "empty", uid);
                    self.set_due(name, Some(later(m.now, takes)));
                }
                Some(due) if due <= m.now => {
                    self.objects.remove(name);
                    self.next_revision();
                    self.stir(m);
                }
                Some(_) => {}
            }
            return;
        }
        let told = |all: &BTreeMap<String, usize>, what: &str| {
            let parts: Vec<String> =
                all.iter().map(|(kind, n)| format!("{kind} {what} {n} resource instances")).collect();
            parts.join(", ")
        };
        let resources = format!("Some resources are remaining: {}", told(&left, "has"));
        let finalizers = format!("Some content in the namespace has finalizers remaining: {}", told(&held, "in"));
        self.report(name, MANAGER, m, |n| {
            put(n, &["status", "phase"], "Terminating");
            set_condition(n, m.now, "NamespaceContentRemaining", true, "SomeResourcesRemain", &resources);
            if held.is_empty() {
                set_condition(n, m.now, "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers", "");
            } else {
                set_condition(n, m.now, "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain", &finalizers);
            }
        });
    }
}
