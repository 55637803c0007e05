//! Claims and their volumes: bound, grown, and gone when nobody uses them.

use evenkeel_core::address::ObjectName;
use evenkeel_core::objects::quantity::nano;
use serde_json::{Value as Json, json};

use super::super::object::{at, finalizers, is_leaving, items, put, text};
use super::super::{Kube, Moment, named};
use super::MANAGER;
use crate::clock::later;

const IN_USE: &str = "kubernetes.io/pvc-protection";

impl Kube {
    pub(super) fn look_after_claims(&mut self, m: Moment) {
        for name in self.all_of("", "PersistentVolumeClaim") {
            let Some(claim) = self.get(&name).cloned() else { continue };
            if is_leaving(&claim) {
                if finalizers(&claim).contains(&IN_USE) && !self.is_used(&name) {
                    self.release(&name, IN_USE, m);
                }
                continue;
            }
            match text(&claim, &["status", "phase"]) {
                "Bound" => self.grow(&name, &claim, m),
                _ => self.bind(&name, &claim, m),
            }
        }
        for name in self.all_of("", "PersistentVolume") {
            self.reclaim(&name, m);
        }
    }

    fn class_of(&self, claim: &Json) -> Option<&Json> {
        let class = text(claim, &["spec", "storageClassName"]);
        self.get(&named("storage.k8s.io", "StorageClass", "", class))
    }

    /// Whether a claim gets its volume only when a pod wants it.
    pub(super) fn waits_for_pod(&self, claim: &Json) -> bool {
        self.class_of(claim).is_some_and(|c| text(c, &["volumeBindingMode"]) == "WaitForFirstConsumer")
    }

    fn is_used(&self, claim: &ObjectName) -> bool {
        self.in_namespace("", "Pod", &claim.namespace).any(|(_, pod)| {
            items(pod, &["spec", "volumes"])
                .iter()
                .any(|v| text(v, &["persistentVolumeClaim", "claimName"]) == claim.name)
        })
    }

    /// Whether a pod that is placed wants it.
    fn is_wanted(&self, claim: &ObjectName) -> bool {
        self.is_used(claim)
    }

    fn bind(&mut self, name: &ObjectName, claim: &Json, m: Moment) {
        if let Some(volume) = self.fitting(name, claim) {
            return self.tie(name, &volume, m);
        }
        // Without a class nobody makes a volume.
        let Some(class) = self.class_of(claim).cloned() else { return };
        if self.waits_for_pod(claim) && !self.is_wanted(name) {
            return;
        }
        let uid = text(claim, &["metadata", "uid"]);
        match self.objects.get(name).and_then(|o| o.due) {
            None => {
                let takes = self.timing.bind.draw(m.seed, "bind", uid);
                self.set_due(name, Some(later(m.now, takes)));
            }
            Some(due) if due <= m.now => {
                self.set_due(name, None);
                let volume = json!({
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": { "name": format!("pvc-{uid}"), "finalizers": ["kubernetes.io/pv-protection"] },
                    "spec": {
                        "accessModes": at(claim, &["spec", "accessModes"]),
                        "capacity": { "storage": at(claim, &["spec", "resources", "requests", "storage"]) },
                        "claimRef": {
                            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                            "name": name.name, "namespace": name.namespace, "uid": uid,
                        },
                        "csi": { "driver": text(&class, &["provisioner"]), "volumeHandle": format!("vol-{uid}") },
                        "persistentVolumeReclaimPolicy": text(&class, &["reclaimPolicy"]),
                        "storageClassName": text(claim, &["spec", "storageClassName"]),
                        "volumeMode": text(claim, &["spec", "volumeMode"]),
                    },
                });
                if self.spawn(volume, m).is_ok() {
                    self.tie(name, &format!("pvc-{uid}"), m);
                }
            }
            Some(_) => {}
        }
    }

    /// A free volume that a claim names, or that fits it.
    fn fitting(&self, name: &ObjectName, claim: &Json) -> Option<String> {
        let size = |o: &Json, way: &[&str]| at(o, way).and_then(nano).unwrap_or(0);
        let asked = size(claim, &["spec", "resources", "requests", "storage"]);
        let wanted = text(claim, &["spec", "volumeName"]);
        let fits = self.of_kind("", "PersistentVolume").find(|(volume, v)| {
            let of = at(v, &["spec", "claimRef"]);
            let mine = of.is_some_and(|r| {
                (text(r, &["namespace"]), text(r, &["name"])) == (name.namespace.as_str(), name.name.as_str())
            });
            let free = of.is_none() && !is_leaving(v) && text(v, &["status", "phase"]) == "Available";
            let class = text(v, &["spec", "storageClassName"]) == text(claim, &["spec", "storageClassName"]);
            (mine || free && class && size(v, &["spec", "capacity", "storage"]) >= asked)
                && (wanted.is_empty() || volume.name == wanted)
        });
        fits.map(|(volume, _)| volume.name.clone())
    }

    fn tie(&mut self, claim: &ObjectName, volume: &str, m: Moment) {
        let of = named("", "PersistentVolume", "", volume);
        let Some(found) = self.get(&of).cloned() else { return };
        let uid = self.get(claim).map(|c| text(c, &["metadata", "uid"]).to_owned()).unwrap_or_default();
        self.amend(&of, m, |v| {
            let reference = json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "name": claim.name, "namespace": claim.namespace, "uid": uid,
            });
            put(v, &["spec", "claimRef"], reference);
        });
        self.report(&of, MANAGER, m, |v| put(v, &["status", "phase"], "Bound"));
        self.amend(claim, m, |c| {
            put(c, &["spec", "volumeName"], volume);
            put(c, &["metadata", "annotations", "pv.kubernetes.io/bind-completed"], "yes");
        });
        self.report(claim, MANAGER, m, |c| {
            put(c, &["status", "phase"], "Bound");
            put(c, &["status", "accessModes"], at(&found, &["spec", "accessModes"]).cloned().unwrap_or_default());
            put(c, &["status", "capacity"], at(&found, &["spec", "capacity"]).cloned().unwrap_or_default());
        });
    }

    fn grow(&mut self, name: &ObjectName, claim: &Json, m: Moment) {
        let wanted = at(claim, &["spec", "resources", "requests", "storage"]).cloned().unwrap_or_default();
        let has = at(claim, &["status", "capacity", "storage"]).and_then(nano).unwrap_or(0);
        if nano(&wanted).unwrap_or(0) <= has {
            return;
        }
        match self.objects.get(name).and_then(|o| o.due) {
            None => {
                let takes = self.timing.bind.draw(m.seed, "grow", text(claim, &["metadata", "resourceVersion"]));
                self.set_due(name, Some(later(m.now, takes)));
            }
            Some(due) if due <= m.now => {
                self.set_due(name, None);
                let volume = named("", "PersistentVolume", "", text(claim, &["spec", "volumeName"]));
                self.amend(&volume, m, |v| put(v, &["spec", "capacity", "storage"], wanted.clone()));
                self.report(name, MANAGER, m, |c| put(c, &["status", "capacity", "storage"], wanted));
            }
            Some(_) => {}
        }
    }

    /// What becomes of a volume without its claim.
    fn reclaim(&mut self, name: &ObjectName, m: Moment) {
        let Some(volume) = self.get(name).cloned() else { return };
        let bound = at(&volume, &["spec", "claimRef"]).map(|r| {
            let claim = named("", "PersistentVolumeClaim", text(r, &["namespace"]), text(r, &["name"]));
            self.get(&claim).is_some_and(|c| text(c, &["metadata", "uid"]) == text(r, &["uid"]))
        });
        if bound == Some(false) {
            if text(&volume, &["spec", "persistentVolumeReclaimPolicy"]) == "Delete" {
                self.dismiss(name, m);
            } else {
                self.report(name, MANAGER, m, |v| put(v, &["status", "phase"], "Released"));
            }
        }
        let leaving = self.get(name).is_some_and(is_leaving);
        if leaving && bound != Some(true) {
            self.release(name, "kubernetes.io/pv-protection", m);
        }
    }
}
