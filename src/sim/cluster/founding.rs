//! The cluster a newcomer finds: three nodes in three zones, the usual namespaces, a storage class.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::serve::By;
use super::{Kube, Moment, Timing};
use crate::dice;
use crate::world::World;

/// What the server itself writes as.
pub(super) const SERVER: &str = "kube-apiserver";

impl World {
    /// The cluster of this name; founded where there is none yet, or only what a hand wrote of it.
    pub fn cluster(&mut self, name: &str) -> &mut Kube {
        let m = Moment { now: self.now, seed: self.seed };
        let zones: Vec<String> = self.zones.keys().take(3).cloned().collect();
        let kube = self.clusters.entry(name.to_owned()).or_default();
        if kube.objects.is_empty() {
            kube.found_all(name, &zones, m);
        }
        kube
    }
}

impl Default for Kube {
    fn default() -> Self {
        Self {
            version: super::version(),
            id: String::new(),
            revision: 0,
            made: 0,
            timing: Timing::default(),
            bad_images: Vec::new(),
            crashing_images: BTreeMap::new(),
            webhooks: Vec::new(),
            without_cloud: false,
            broken_groups: BTreeMap::new(),
            due: None,
            objects: BTreeMap::new(),
        }
    }
}

impl Kube {
    /// What a fresh cluster has: a node in each of these zones, and the rest.
    fn found_all(&mut self, name: &str, zones: &[String], m: Moment) {
        self.id = format!("{:08x}", dice::draw(m.seed, "cluster", name) >> 32);
        // What hooks a hand wrote down are for those who come later.
        let webhooks = std::mem::take(&mut self.webhooks);
        for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            self.found(object("v1", "Namespace", "", namespace, json!({})), m);
        }
        self.found(object("v1", "ServiceAccount", "default", "default", json!({})), m);
        let port = json!({ "name": "https", "port": 443, "targetPort": 6443 });
        let spec = json!({ "spec": { "clusterIP": "10.96.0.1", "ports": [port] } });
        let mut service = object("v1", "Service", "default", "kubernetes", spec);
        service["metadata"]["labels"] = json!({ "component": "apiserver", "provider": "kubernetes" });
        self.found(service, m);
        let class = json!({ "provisioner": "ebs.csi.aws.com", "allowVolumeExpansion": true });
        let mut class = object("storage.k8s.io/v1", "StorageClass", "", "standard", class);
        class["metadata"]["annotations"] = json!({ "storageclass.kubernetes.io/is-default-class": "true" });
        self.found(class, m);
        for (name, value) in [("system-node-critical", 2_000_001_000_i64), ("system-cluster-critical", 2_000_000_000)] {
            self.found(object("scheduling.k8s.io/v1", "PriorityClass", "", name, json!({ "value": value })), m);
        }
        for name in ["cluster-admin", "admin", "edit", "view"] {
            let rules = json!({ "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }] });
            self.found(object("rbac.authorization.k8s.io/v1", "ClusterRole", "", name, rules), m);
        }
        for zone in zones {
            let letter = zone.chars().last().unwrap_or('a');
            self.add_node(&format!("node-{letter}"), zone, "", m);
        }
        self.webhooks = webhooks;
    }

    fn found(&mut self, object: Json, m: Moment) {
        // What a cluster is born with is in no conflict with anything.
        let _ = self.create(object, By::hand(SERVER), true, m);
    }
}

fn object(version: &str, kind: &str, namespace: &str, name: &str, rest: Json) -> Json {
    let mut object = rest;
    super::object::put(&mut object, &["apiVersion"], version);
    super::object::put(&mut object, &["kind"], kind);
    super::object::put(&mut object, &["metadata", "name"], name);
    if !namespace.is_empty() {
        super::object::put(&mut object, &["metadata", "namespace"], namespace);
    }
    object
}
