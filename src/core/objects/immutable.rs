//! Fields that the API server refuses to change on a live object, so that only a replacement brings them about.
//!
//! The table says it before anything is asked and follows Kubernetes 1.37; the server's own refusal of a dry run is
//! the authority ([`refused`]), and it alone knows custom objects' rules.

use serde_json::Value;

use super::path::Path;
use super::quantity;
use super::shape;
use super::{Sort, limits};

/// Why changing `path` of the live object into `wish` (`None`: taking it away) needs a new object, in words.
pub fn forces_replacement(live: &Value, path: &Path, wish: Option<&Value>) -> Option<&'static str> {
    let sort = Sort::of(live);
    let fields = path.fields();
    if fields.first().is_none_or(|f| *f == "metadata" || *f == "status") {
        return None;
    }
    match (sort.group, sort.kind) {
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => under(&fields, "spec", &["selector"], SELECTOR),
        ("apps", "StatefulSet") => under(&fields, "spec", &["selector"], SELECTOR)
            .or_else(|| under(&fields, "spec", &["volumeClaimTemplates"], "a stateful set keeps its claim templates"))
            .or_else(|| under(&fields, "spec", &["serviceName"], "a stateful set keeps its service's name"))
            .or_else(|| {
                under(&fields, "spec", &["podManagementPolicy"], "a stateful set keeps how it starts its pods")
            }),
        ("batch", "Job") => job(live, &fields),
        ("", "PersistentVolumeClaim") => claim(live, path, &fields, wish),
        ("", "PersistentVolume") => volume(live, path, &fields),
        ("", "Service") => service(live, &fields, wish),
        ("", "Pod") => pod(live, &fields),
        ("", "Secret") if fields == ["type"] => Some("a secret keeps its type"),
        ("", "Secret" | "ConfigMap") if live.get("immutable") == Some(&Value::Bool(true)) => {
            under(&fields, "", &["immutable", "data", "binaryData"], "it is marked immutable")
        }
        ("", "Node") => {
            let set = fields.get(1).is_some_and(|f| live.get("spec").is_some_and(|s| s.get(f).is_some()));
            let keeps = under(
                &fields,
                "spec",
                &["podCIDR", "podCIDRs", "providerID"],
                "a node keeps its addresses and its machine",
            );
            keeps.filter(|_| set)
        }
        ("events.k8s.io", "Event") => Some("an event never changes"),
        ("", "ResourceQuota") => under(&fields, "spec", &["scopes"], "a quota keeps its scopes"),
        ("storage.k8s.io", "StorageClass") => under(
            &fields,
            "",
            &["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"],
            "a storage class is what its volumes were made with",
        ),
        ("storage.k8s.io", "VolumeAttributesClass") => {
            under(&fields, "", &["driverName", "parameters"], "a volume attributes class never changes")
        }
        ("storage.k8s.io", "CSIDriver") => {
            under(&fields, "spec", &["attachRequired", "volumeLifecycleModes"], "a driver keeps how it attaches")
        }
        ("storage.k8s.io", "VolumeAttachment") => under(&fields, "", &["spec"], "an attachment never changes"),
        ("storage.k8s.io", "CSIStorageCapacity") => {
            under(&fields, "", &["nodeTopology", "storageClassName"], "a capacity is that of one class in one place")
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            under(&fields, "", &["roleRef"], "a binding keeps its role")
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            under(&fields, "", &["value", "preemptionPolicy"], "pods were scheduled by this priority")
        }
        ("node.k8s.io", "RuntimeClass") => under(&fields, "", &["handler"], "a runtime class keeps its handler"),
        ("networking.k8s.io", "IngressClass") => {
            under(&fields, "spec", &["controller"], "an ingress class keeps its controller")
        }
        ("networking.k8s.io", "ServiceCIDR") if fields == ["spec", "cidrs"] => {
            let list = |v: Option<&Value>| v.and_then(Value::as_array).cloned().unwrap_or_default();
            let grows = list(wish).starts_with(&list(live.pointer("/spec/cidrs")));
            (!grows).then_some("a range of service addresses only gains its other family")
        }
        ("networking.k8s.io", "IPAddress") => under(&fields, "spec", &["parentRef"], "an address keeps its owner"),
        ("discovery.k8s.io", "EndpointSlice") => under(&fields, "", &["addressType"], "a slice keeps its address type"),
        ("resource.k8s.io", "ResourceClaim" | "ResourceClaimTemplate") => {
            under(&fields, "", &["spec"], "a claim of devices never changes")
        }
        ("resource.k8s.io", "ResourceSlice") => match fields.as_slice() {
            ["spec", "driver" | "nodeName"] | ["spec", "pool", "name"] => {
                Some("a slice keeps its driver, node and pool")
            }
            _ => None,
        },
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            under(&fields, "", &["spec"], "a request for a certificate never changes")
        }
        ("certificates.k8s.io", "ClusterTrustBundle") => {
            under(&fields, "spec", &["signerName"], "a trust bundle keeps its signer")
        }
        ("storagemigration.k8s.io", "StorageVersionMigration") => {
            under(&fields, "", &["spec"], "a migration never changes")
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => match fields.as_slice() {
            ["spec", "scope" | "group"] => Some("a definition keeps its group and scope"),
            ["spec", "names", "kind" | "plural"] => Some("a definition keeps its names"),
            _ => None,
        },
        ("apps", "ControllerRevision") => under(&fields, "", &["data"], "a revision never changes"),
        _ => None,
    }
}

const SELECTOR: &str = "a workload keeps its selector";

/// `says`, if the fields lead to one of `names` below `parent` (empty: at the root).
fn under(fields: &[&str], parent: &str, names: &[&str], says: &'static str) -> Option<&'static str> {
    let rest = match (fields, parent) {
        (fields, "") => fields,
        ([first, rest @ ..], parent) if *first == parent => rest,
        _ => return None,
    };
    rest.first().filter(|f| names.contains(f)).map(|_| says)
}

fn job(live: &Value, fields: &[&str]) -> Option<&'static str> {
    let is = |pointer: &str, value: Value| live.pointer(pointer) == Some(&value);
    match fields {
        ["spec", "selector" | "completionMode" | "podFailurePolicy" | "backoffLimitPerIndex", ..]
        | ["spec", "managedBy" | "successPolicy" | "manualSelector", ..] => Some("a job keeps how it counts its pods"),
        ["spec", "completions"] if !is("/spec/completionMode", "Indexed".into()) => {
            Some("a job that is not indexed keeps its number of completions")
        }
        // A suspended job's pods are still to be made: where they may run and what they ask for can change.
        ["spec", "template", "metadata", ..] if is("/spec/suspend", true.into()) => None,
        ["spec", "template", "spec", "nodeSelector" | "tolerations" | "schedulingGates" | "affinity", ..]
            if is("/spec/suspend", true.into()) =>
        {
            None
        }
        ["spec", "template", "spec", "containers" | "initContainers", "resources", ..]
            if is("/spec/suspend", true.into()) =>
        {
            None
        }
        ["spec", "template", ..] => Some("a job keeps its pod template"),
        _ => None,
    }
}

fn claim(live: &Value, path: &Path, fields: &[&str], wish: Option<&Value>) -> Option<&'static str> {
    let bound = live.pointer("/status/phase").and_then(Value::as_str) == Some("Bound");
    match fields {
        ["spec", "resources", "requests", "storage"] => {
            let old = shape::at(live, path).and_then(quantity::nano);
            let (new, has) = (wish.and_then(quantity::nano), live.pointer("/status/capacity/storage"));
            match (old, new) {
                (Some(old), Some(new)) if new >= old && bound => None,
                // Back down after an expansion that failed, but never below what there is.
                (Some(_), Some(new)) if bound && has.and_then(quantity::nano).is_some_and(|has| new > has) => None,
                (Some(old), Some(new)) if new < old => Some("a claim cannot shrink"),
                _ => Some("a claim keeps its size until it is bound"),
            }
        }
        ["spec", "volumeAttributesClassName"] if bound && wish.is_some() => None,
        ["spec", "volumeName"] if live.pointer("/spec/volumeName").is_none() => None,
        ["spec", "storageClassName"] if live.pointer("/spec/storageClassName").is_none() => None,
        ["spec", ..] => Some("a claim keeps all but its size"),
        _ => None,
    }
}

/// What a persistent volume may change; everything else is what it is made of.
fn volume(live: &Value, path: &Path, fields: &[&str]) -> Option<&'static str> {
    match fields {
        ["spec", "capacity" | "accessModes" | "claimRef" | "persistentVolumeReclaimPolicy", ..]
        | ["spec", "storageClassName" | "mountOptions" | "volumeAttributesClassName", ..] => None,
        ["spec", "nodeAffinity", ..] => {
            live.pointer("/spec/nodeAffinity").map(|_| "a volume keeps the nodes that can reach it, once they are set")
        }
        ["spec", "csi", "controllerExpandSecretRef", ..] if shape::at(live, path).is_none() => None,
        ["spec", ..] => Some("a volume keeps its source"),
        _ => None,
    }
}

fn service(live: &Value, fields: &[&str], wish: Option<&Value>) -> Option<&'static str> {
    let had = |field: &str| live.get("spec").and_then(|s| s.get(field)).filter(|v| !super::same::is_zero(v));
    let external = had("type").and_then(Value::as_str) == Some("ExternalName");
    let first = |v: &Value| v.get(0).cloned();
    match fields {
        // Left out or empty, the server keeps the one it has.
        ["spec", "clusterIP"] => {
            let other = had("clusterIP").is_some() && wish.is_some_and(|w| !super::same::is_zero(w));
            (other && !external).then_some("a service keeps its cluster address")
        }
        ["spec", "clusterIPs"] => {
            let other = wish.is_some_and(|w| first(w) != had("clusterIPs").and_then(first));
            (other && had("clusterIPs").is_some() && !external).then_some("a service keeps its first cluster address")
        }
        ["spec", "ipFamilies"] => {
            let other = wish.is_some_and(|w| first(w) != had("ipFamilies").and_then(first));
            (other && had("ipFamilies").is_some() && !external).then_some("a service keeps its first address family")
        }
        ["spec", "loadBalancerClass"] => {
            let balanced = had("type").and_then(Value::as_str) == Some("LoadBalancer");
            (balanced).then_some("a service keeps the class of its load balancer")
        }
        ["spec", "healthCheckNodePort"] => {
            had("healthCheckNodePort").map(|_| "a service keeps its health check's port")
        }
        _ => None,
    }
}

fn pod(live: &Value, fields: &[&str]) -> Option<&'static str> {
    let gated = live.pointer("/spec/schedulingGates").is_some_and(|g| !super::same::is_nothing(g));
    match fields {
        ["spec", "containers" | "initContainers", "image"] => None,
        ["spec", "activeDeadlineSeconds" | "tolerations" | "schedulingGates", ..] => None,
        ["spec", "nodeSelector" | "affinity", ..] if gated => None,
        ["spec", ..] => Some("a pod keeps all but its images"),
        _ => None,
    }
}

/// A field that the server refused because it never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Refusal {
    /// The field, in the server's words: `spec.selector`.
    pub field: String,
    /// What the server says of it, without the values.
    pub says: String,
}

/// Phrases with which the server refuses a change of a field, and no other mistake.
const PHRASES: &[&str] = &[
    "is immutable",
    "are immutable",
    "may not change once set",
    "may not be changed in an update",
    "may not change fields other than",
    "cannot change roleRef",
    "updates to statefulset spec for fields other than",
    "can not be less than previous value",
    "can not be less than status.capacity",
    "must be less than or equal to previous value",
    "existing toleration can not be modified",
    "updates to driverName are forbidden",
    "updates to parameters are forbidden",
    "node updates may not change",
];

/// The fields that the server refuses to change, where that is all that it has against the object: then a new one can
/// bring the change about. Empty where it refuses for another reason, or for another one as well: a new object would be
/// refused too. `causes`: each a field and what is said of it. The values are left out: they may be anything.
pub fn refused(causes: &[(String, String)]) -> Vec<Refusal> {
    let one = |(field, message): &(String, String)| {
        let phrase = PHRASES.iter().find(|p| message.contains(**p))?;
        Some(Refusal { field: field.clone(), says: sentence(message, phrase) })
    };
    let all: Option<Vec<Refusal>> = causes.iter().map(one).collect();
    let mut all = all.unwrap_or_default();
    all.sort();
    all.dedup();
    all
}

/// The part of a message that holds the phrase: the server writes `Invalid value: {…}: field is immutable`.
fn sentence(message: &str, phrase: &str) -> String {
    let line = message.lines().find(|l| l.contains(phrase)).unwrap_or(phrase);
    let at = line.find(phrase).unwrap_or(0);
    let start = line[..at].rfind(": ").map_or(0, |n| n + 2);
    line[start..].chars().take(limits::MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Path {
        Path::of(text.split('.'))
    }

    fn object(api_version: &str, kind: &str, rest: Value) -> Value {
        let mut object = json!({"apiVersion": api_version, "kind": kind});
        object.as_object_mut().expect("a table").extend(rest.as_object().expect("a table").clone());
        object
    }

    #[test]
    fn what_never_changes_says_so() {
        for (api_version, kind, fields, forced) in [
            ("apps/v1", "Deployment", "spec.selector", true),
            ("apps/v1", "Deployment", "spec.template.spec.containers.image", false),
            ("apps/v1", "Deployment", "spec.strategy.type", false),
            ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates", true),
            ("apps/v1", "StatefulSet", "spec.serviceName", true),
            ("apps/v1", "StatefulSet", "spec.podManagementPolicy", true),
            ("apps/v1", "StatefulSet", "spec.replicas", false),
            ("apps/v1", "StatefulSet", "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", false),
            ("apps/v1", "StatefulSet", "spec.minReadySeconds", false),
            ("batch/v1", "Job", "spec.template.spec.containers.image", true),
            ("batch/v1", "Job", "spec.parallelism", false),
            ("batch/v1", "Job", "spec.completions", true),
            ("batch/v1", "Job", "spec.ttlSecondsAfterFinished", false),
            ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec.containers.image", false),
            ("v1", "PersistentVolume", "spec.csi.driver", true),
            ("v1", "PersistentVolume", "spec.persistentVolumeReclaimPolicy", false),
            ("v1", "Pod", "spec.containers.image", false),
            ("v1", "Pod", "spec.containers.args", true),
            ("v1", "Pod", "metadata.labels.app", false),
            ("v1", "Secret", "type", true),
            ("v1", "Secret", "data.password", false),
            ("v1", "ResourceQuota", "spec.scopes", true),
            ("v1", "ResourceQuota", "spec.hard.pods", false),
            ("storage.k8s.io/v1", "StorageClass", "parameters.type", true),
            ("storage.k8s.io/v1", "StorageClass", "allowVolumeExpansion", false),
            ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "roleRef", true),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", "subjects", false),
            ("scheduling.k8s.io/v1", "PriorityClass", "value", true),
            ("scheduling.k8s.io/v1", "PriorityClass", "description", false),
            ("node.k8s.io/v1", "RuntimeClass", "handler", true),
            ("networking.k8s.io/v1", "IngressClass", "spec.controller", true),
            ("networking.k8s.io/v1", "IngressClass", "spec.parameters.name", false),
            ("resource.k8s.io/v1", "ResourceSlice", "spec.driver", true),
            ("resource.k8s.io/v1", "ResourceSlice", "spec.devices", false),
            ("events.k8s.io/v1", "Event", "reason", true),
            ("v1", "Node", "spec.taints", false),
            ("v1", "Node", "spec.providerID", false),
            ("v1", "PersistentVolume", "spec.nodeAffinity.required", false),
            ("policy/v1", "PodDisruptionBudget", "spec.selector", false),
            ("coordination.k8s.io/v1", "Lease", "spec.holderIdentity", false),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "spec.scope", true),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "spec.names.shortNames", false),
            ("x.io/v1", "Deployment", "spec.selector", false),
        ] {
            let live = object(api_version, kind, json!({}));
            let answer = forces_replacement(&live, &path(fields), Some(&json!("x")));
            assert_eq!(answer.is_some(), forced, "{kind} {fields}: {answer:?}");
        }
    }

    #[test]
    fn a_claim_grows_when_bound_and_never_shrinks() {
        let verdict = |phase: &str, old: &str, has: &str, new: &str| {
            let spec = json!({"resources": {"requests": {"storage": old}}});
            let status = json!({"phase": phase, "capacity": {"storage": has}});
            let live = object("v1", "PersistentVolumeClaim", json!({"spec": spec, "status": status}));
            forces_replacement(&live, &path("spec.resources.requests.storage"), Some(&json!(new)))
        };
        assert_eq!(verdict("Bound", "10Gi", "10Gi", "20Gi"), None);
        assert_eq!(verdict("Bound", "10Gi", "10Gi", "5Gi"), Some("a claim cannot shrink"));
        assert_eq!(verdict("Bound", "20Gi", "10Gi", "15Gi"), None, "back from an expansion that failed");
        assert_eq!(verdict("Pending", "10Gi", "0", "20Gi"), Some("a claim keeps its size until it is bound"));
        let live = object("v1", "PersistentVolumeClaim", json!({"spec": {"storageClassName": "a"}}));
        assert!(forces_replacement(&live, &path("spec.storageClassName"), Some(&json!("b"))).is_some());
        let unset = object("v1", "PersistentVolumeClaim", json!({"spec": {}}));
        assert_eq!(forces_replacement(&unset, &path("spec.storageClassName"), Some(&json!("b"))), None);
    }

    #[test]
    fn a_service_keeps_its_address_unless_it_has_none() {
        let live = |spec: Value| object("v1", "Service", json!({"spec": spec}));
        let address = |live: &Value, wish: &str| forces_replacement(live, &path("spec.clusterIP"), Some(&json!(wish)));
        let ordinary = live(json!({"type": "ClusterIP", "clusterIP": "10.0.0.1"}));
        assert!(address(&ordinary, "10.0.0.2").is_some() && address(&ordinary, "None").is_some());
        assert_eq!(address(&ordinary, ""), None);
        assert_eq!(address(&live(json!({"type": "ExternalName"})), "10.0.0.2"), None);
        let lb = live(json!({"type": "LoadBalancer"}));
        assert!(forces_replacement(&lb, &path("spec.loadBalancerClass"), Some(&json!("x"))).is_some());
        assert_eq!(forces_replacement(&ordinary, &path("spec.type"), Some(&json!("NodePort"))), None);
    }

    #[test]
    fn marks_and_states_of_the_live_object_count() {
        let sealed = object("v1", "ConfigMap", json!({"immutable": true, "data": {"a": "b"}}));
        assert!(forces_replacement(&sealed, &path("data.a"), Some(&json!("c"))).is_some());
        assert_eq!(forces_replacement(&sealed, &path("metadata.labels.a"), Some(&json!("c"))), None);
        let open = object("v1", "ConfigMap", json!({"data": {"a": "b"}}));
        assert_eq!(forces_replacement(&open, &path("immutable"), Some(&json!(true))), None);
        let waiting = object("batch/v1", "Job", json!({"spec": {"suspend": true}}));
        let at = |p: &str| forces_replacement(&waiting, &path(p), Some(&json!("x"))).is_some();
        assert!(!at("spec.template.spec.nodeSelector.zone") && at("spec.template.spec.containers.image"));
        let node = object("v1", "Node", json!({"spec": {"providerID": "aws:///a/i-1"}}));
        assert!(forces_replacement(&node, &path("spec.providerID"), Some(&json!("aws:///a/i-2"))).is_some());
        let volume = object("v1", "PersistentVolume", json!({"spec": {"nodeAffinity": {"required": {}}}}));
        assert!(forces_replacement(&volume, &path("spec.nodeAffinity.required"), Some(&json!({}))).is_some());
        let range = object("networking.k8s.io/v1", "ServiceCIDR", json!({"spec": {"cidrs": ["10.0.0.0/24"]}}));
        let both = json!(["10.0.0.0/24", "fd00::/120"]);
        assert_eq!(forces_replacement(&range, &path("spec.cidrs"), Some(&both)), None);
        assert!(forces_replacement(&range, &path("spec.cidrs"), Some(&json!(["10.1.0.0/24"]))).is_some());
        let indexed = object("batch/v1", "Job", json!({"spec": {"completionMode": "Indexed"}}));
        assert_eq!(forces_replacement(&indexed, &path("spec.completions"), Some(&json!(3))), None);
    }

    #[test]
    fn the_servers_refusal_is_read_without_its_values() {
        let cause = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        let mut causes = vec![
            cause("spec.selector", "Invalid value: {\"matchLabels\":{\"app\":\"hunter2\"}}: field is immutable"),
            cause("spec", "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden\n{…}"),
        ];
        let all = refused(&causes);
        let fields: Vec<(&str, &str)> = all.iter().map(|r| (r.field.as_str(), r.says.as_str())).collect();
        assert_eq!(
            fields,
            [
                ("spec", "updates to statefulset spec for fields other than 'replicas' are forbidden"),
                ("spec.selector", "field is immutable"),
            ]
        );
        causes.push(cause("spec.replicas", "Invalid value: -1: must be greater than or equal to 0"));
        assert_eq!(refused(&causes), [], "a new one would be refused as well");
        assert_eq!(refused(&[]), []);
    }
}
