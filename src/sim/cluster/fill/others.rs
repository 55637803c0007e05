//! What all other kinds get.

use data_encoding::BASE64;
use serde_json::{Map, Value as Json, json};

use super::super::Kube;
use super::super::object::{at, items, put, put_default, set_finalizer, table, take, text};
use super::set;

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn fill(kube: &Kube, group: &str, kind: &str, object: &mut Json, live: Option<&Json>) {
    match (group, kind) {
        ("", "Namespace") => {
            let name = text(object, &["metadata", "name"]).to_owned();
            put(object, &["metadata", "labels", "kubernetes.io/metadata.name"], name);
            if live.is_none() {
                put_default(object, &["spec", "finalizers"], json!(["kubernetes"]));
            }
            put_default(object, &["status", "phase"], "Active");
        }
        ("", "Secret") => {
            if let Some(Json::Object(plain)) = take(object, &["stringData"]) {
                for (key, value) in plain {
                    let text = value.as_str().unwrap_or_default();
                    put(object, &["data", &key], BASE64.encode(text.as_bytes()));
                }
            }
            put_default(object, &["type"], "Opaque");
        }
        ("", "PersistentVolumeClaim") => claim(kube, object, live),
        ("", "PersistentVolume") => {
            put_default(object, &["spec", "persistentVolumeReclaimPolicy"], "Retain");
            put_default(object, &["spec", "volumeMode"], "Filesystem");
            put_default(object, &["status", "phase"], "Available");
        }
        ("", "LimitRange") => limit_range(object),
        ("", "Endpoints") => {
            for subset in list(object, &["subsets"]) {
                for port in list(subset, &["ports"]) {
                    put_default(port, &["protocol"], "TCP");
                }
            }
        }
        ("discovery.k8s.io", "EndpointSlice") => {
            for port in list(object, &["ports"]) {
                put_default(port, &["name"], "");
                put_default(port, &["protocol"], "TCP");
            }
        }
        ("autoscaling", "HorizontalPodAutoscaler") => {
            put_default(object, &["spec", "minReplicas"], 1);
            if text(object, &["apiVersion"]) == "autoscaling/v2" && items(object, &["spec", "metrics"]).is_empty() {
                let target = json!({ "type": "Utilization", "averageUtilization": 80 });
                let cpu = json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
                put(object, &["spec", "metrics"], json!([cpu]));
            }
        }
        ("networking.k8s.io", "NetworkPolicy") => {
            let mut types = vec!["Ingress"];
            if at(object, &["spec", "egress"]).is_some() {
                types.push("Egress");
            }
            put_default(object, &["spec", "policyTypes"], types);
            for way in ["ingress", "egress"] {
                for rule in list(object, &["spec", way]) {
                    for port in list(rule, &["ports"]) {
                        put_default(port, &["protocol"], "TCP");
                    }
                }
            }
        }
        (RBAC, "RoleBinding" | "ClusterRoleBinding") => {
            put_default(object, &["roleRef", "apiGroup"], RBAC);
            for subject in list(object, &["subjects"]) {
                if matches!(text(subject, &["kind"]), "User" | "Group") {
                    put_default(subject, &["apiGroup"], RBAC);
                }
            }
        }
        ("storage.k8s.io", "StorageClass") => {
            put_default(object, &["reclaimPolicy"], "Delete");
            put_default(object, &["volumeBindingMode"], "Immediate");
        }
        ("storage.k8s.io", "CSIDriver") => {
            let spec = table(object, &["spec"]);
            set(spec, "attachRequired", true);
            set(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
            for no in ["podInfoOnMount", "requiresRepublish", "storageCapacity", "seLinuxMount"] {
                set(spec, no, false);
            }
            set(spec, "volumeLifecycleModes", json!(["Persistent"]));
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            put_default(object, &["preemptionPolicy"], "PreemptLowerPriority");
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let kind = text(object, &["spec", "names", "kind"]).to_owned();
            put_default(object, &["spec", "names", "singular"], kind.to_lowercase());
            put_default(object, &["spec", "names", "listKind"], format!("{kind}List"));
            put_default(object, &["spec", "conversion", "strategy"], "None");
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            let mutating = kind.starts_with("Mutating");
            for hook in list(object, &["webhooks"]) {
                webhook(hook, mutating);
            }
        }
        _ => {}
    }
}

/// The items of a list, to be filled in; none where there is no list.
fn list<'a>(object: &'a mut Json, fields: &[&str]) -> impl Iterator<Item = &'a mut Json> {
    let found = fields.iter().try_fold(object, |v, f| v.get_mut(*f));
    found.and_then(Json::as_array_mut).into_iter().flatten()
}

fn claim(kube: &Kube, object: &mut Json, live: Option<&Json>) {
    put_default(object, &["spec", "volumeMode"], "Filesystem");
    put_default(object, &["status", "phase"], "Pending");
    if live.is_none() {
        set_finalizer(object, "kubernetes.io/pvc-protection", true);
        if object["spec"].get("storageClassName").is_none() {
            let default = kube.of_kind("storage.k8s.io", "StorageClass").find(|(_, class)| {
                let key = "storageclass.kubernetes.io/is-default-class";
                evenkeel_core::applyset::annotation(class, key) == Some("true")
            });
            if let Some((class, _)) = default {
                put(object, &["spec", "storageClassName"], class.name.as_str());
            }
        }
    }
}

fn limit_range(object: &mut Json) {
    for limit in list(object, &["spec", "limits"]) {
        if text(limit, &["type"]) != "Container" {
            continue;
        }
        let part = |limit: &Json, name: &str| limit.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
        let over = |upper: Map<String, Json>, mut lower: Map<String, Json>| {
            lower.extend(upper);
            lower
        };
        let default = over(part(limit, "default"), part(limit, "max"));
        let request = over(part(limit, "defaultRequest"), over(default.clone(), part(limit, "min")));
        for (name, all) in [("default", default), ("defaultRequest", request)] {
            if !all.is_empty() {
                put(limit, &[name], Json::Object(all));
            }
        }
    }
}

fn webhook(hook: &mut Json, mutating: bool) {
    put_default(hook, &["failurePolicy"], "Fail");
    put_default(hook, &["matchPolicy"], "Equivalent");
    put_default(hook, &["namespaceSelector"], json!({}));
    put_default(hook, &["objectSelector"], json!({}));
    put_default(hook, &["timeoutSeconds"], 10);
    if mutating {
        put_default(hook, &["reinvocationPolicy"], "Never");
    }
    if at(hook, &["clientConfig", "service"]).is_some() {
        put_default(hook, &["clientConfig", "service", "port"], 443);
    }
    for rule in list(hook, &["rules"]) {
        put_default(rule, &["scope"], "*");
    }
}
