//! In which order kinds are made and taken away, where built-in kinds live, and which hold data.
//!
//! Order is for what would be refused or would start wrongly without it; everything else may go at once.

use serde_json::Value;

use super::Sort;

/// When a kind is made; the same backwards is when it goes. Smaller is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wave {
    /// What others stand in.
    Namespaces,
    /// Definitions, classes, and limits that admission reads when the rest is made.
    Definitions,
    /// Who a pod is.
    Accounts,
    /// What it may do.
    Rights,
    /// What it reads.
    Settings,
    /// Where it keeps things.
    Storage,
    /// How it is reached; before pods, which get services as variables.
    Services,
    /// What runs.
    Workloads,
    /// What runs once or by the clock.
    Jobs,
    /// What watches over workloads: budgets, scalers, ways in.
    Around,
    /// Custom objects: after the definition, and after what may serve their webhooks.
    Custom,
    /// What stands in the way of every later call: webhooks, policies, other servers.
    Gates,
}

/// The wave of a kind.
pub fn wave(sort: Sort<'_>) -> Wave {
    match (sort.group, sort.kind) {
        ("", "Namespace") => Wave::Namespaces,
        ("", "ResourceQuota" | "LimitRange" | "Node") => Wave::Definitions,
        ("apiextensions.k8s.io", _) => Wave::Definitions,
        ("scheduling.k8s.io", "PriorityClass") => Wave::Definitions,
        ("storage.k8s.io", "StorageClass" | "VolumeAttributesClass" | "CSIDriver" | "CSINode") => Wave::Definitions,
        ("node.k8s.io" | "flowcontrol.apiserver.k8s.io", _) => Wave::Definitions,
        ("networking.k8s.io", "IngressClass" | "NetworkPolicy" | "ServiceCIDR" | "IPAddress") => Wave::Definitions,
        ("resource.k8s.io", "DeviceClass") => Wave::Definitions,
        ("", "ServiceAccount") => Wave::Accounts,
        ("rbac.authorization.k8s.io", _) => Wave::Rights,
        ("", "Secret" | "ConfigMap") | ("certificates.k8s.io", _) => Wave::Settings,
        ("", "PersistentVolume" | "PersistentVolumeClaim") | ("storage.k8s.io" | "resource.k8s.io", _) => Wave::Storage,
        ("", "Service" | "Endpoints") | ("discovery.k8s.io", _) => Wave::Services,
        ("batch", _) => Wave::Jobs,
        ("", _) | ("apps" | "scheduling.k8s.io", _) => Wave::Workloads,
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => Wave::Gates,
        _ if sort.is_built_in() => Wave::Around,
        _ => Wave::Custom,
    }
}

/// Built-in kinds that belong to no namespace, in Kubernetes 1.37.
const CLUSTER: &[(&str, &[&str])] = &[
    ("", &["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("authentication.k8s.io", &["SelfSubjectReview", "TokenReview"]),
    ("authorization.k8s.io", &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"]),
    ("certificates.k8s.io", &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("flowcontrol.apiserver.k8s.io", &["FlowSchema", "PriorityLevelConfiguration"]),
    ("internal.apiserver.k8s.io", &["StorageVersion"]),
    ("networking.k8s.io", &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["DeviceClass", "DeviceTaintRule", "ResourcePoolStatusRequest", "ResourceSlice"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"]),
    ("storagemigration.k8s.io", &["StorageVersionMigration"]),
];

/// Built-in kinds that live in a namespace, in Kubernetes 1.37.
const NAMESPACED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    ("apps", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("authorization.k8s.io", &["LocalSubjectAccessReview"]),
    ("autoscaling", &["HorizontalPodAutoscaler"]),
    ("batch", &["CronJob", "Job"]),
    ("certificates.k8s.io", &["PodCertificateRequest"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("events.k8s.io", &["Event"]),
    ("lifecycle.k8s.io", &["Eviction", "EvictionRequest"]),
    ("networking.k8s.io", &["Ingress", "NetworkPolicy"]),
    ("policy", &["Eviction", "PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io", &["Role", "RoleBinding"]),
    ("resource.k8s.io", &["ResourceClaim", "ResourceClaimTemplate"]),
    ("scheduling.k8s.io", &["CompositePodGroup", "PodGroup", "Workload"]),
    ("storage.k8s.io", &["CSIStorageCapacity"]),
];

/// Whether objects of a kind live in namespaces; `None` for what only the server knows.
pub fn is_namespaced(sort: Sort<'_>) -> Option<bool> {
    let within =
        |table: &[(&str, &[&str])]| table.iter().any(|(g, kinds)| *g == sort.group && kinds.contains(&sort.kind));
    match (within(CLUSTER), within(NAMESPACED)) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    }
}

/// What deleting one object of a kind loses that nothing brings back, in words; `None` where a new one is as good.
pub fn holds_data(sort: Sort<'_>) -> Option<&'static str> {
    match (sort.group, sort.kind) {
        ("", "Namespace") => Some("everything in the namespace goes with it"),
        ("", "PersistentVolumeClaim") => Some("its volume goes with it, unless the class retains it"),
        ("", "PersistentVolume") => Some("it is the way to the data on its disk"),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Some("every object of the kind goes with it"),
        _ => None,
    }
}

/// What deleting this very object loses: by its kind, or because it takes the data along that it has made claims for.
pub fn loses(live: &Value) -> Option<&'static str> {
    let sort = Sort::of(live);
    let at = |pointer: &str| live.pointer(pointer);
    let takes_claims = sort == Sort { group: "apps", kind: "StatefulSet" }
        && at("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted").and_then(Value::as_str) == Some("Delete")
        && at("/spec/volumeClaimTemplates").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    holds_data(sort).or(takes_claims.then_some(CLAIMS))
}

const CLAIMS: &str =
    "its claims go with it, as long as its persistentVolumeClaimRetentionPolicy says whenDeleted: Delete";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_need_is_made_first_and_what_stands_in_the_way_last() {
        let order = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("", "ServiceAccount"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "ConfigMap"),
            ("", "PersistentVolumeClaim"),
            ("", "Service"),
            ("apps", "Deployment"),
            ("batch", "CronJob"),
            ("policy", "PodDisruptionBudget"),
            ("cert-manager.io", "Certificate"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ];
        let waves: Vec<Wave> = order.iter().map(|&(group, kind)| wave(Sort { group, kind })).collect();
        assert!(waves.is_sorted());
        assert_eq!(waves.iter().collect::<std::collections::BTreeSet<_>>().len(), order.len(), "a wave each");
        assert_eq!(wave(Sort { group: "", kind: "Pod" }), Wave::Workloads);
        assert_eq!(wave(Sort { group: "autoscaling", kind: "HorizontalPodAutoscaler" }), Wave::Around);
        assert_eq!(wave(Sort { group: "networking.k8s.io", kind: "Ingress" }), Wave::Around);
    }

    #[test]
    fn no_kind_lives_in_both_places() {
        let names = |table: &[(&'static str, &'static [&'static str])]| -> BTreeSet<(&str, &str)> {
            table.iter().flat_map(|(g, kinds)| kinds.iter().map(|k| (*g, *k))).collect()
        };
        assert_eq!(names(CLUSTER).intersection(&names(NAMESPACED)).count(), 0);
        for (group, kind) in names(CLUSTER).union(&names(NAMESPACED)) {
            assert!(Sort { group, kind }.is_built_in(), "{kind}.{group}");
        }
        assert_eq!(is_namespaced(Sort { group: "apps", kind: "Deployment" }), Some(true));
        assert_eq!(is_namespaced(Sort { group: "", kind: "Node" }), Some(false));
        assert_eq!(is_namespaced(Sort { group: "x.io", kind: "Node" }), None);
    }

    #[test]
    fn what_holds_data_says_what_is_lost() {
        assert!(holds_data(Sort { group: "", kind: "PersistentVolumeClaim" }).is_some());
        assert_eq!(holds_data(Sort { group: "", kind: "ConfigMap" }), None);
        assert_eq!(holds_data(Sort { group: "x.io", kind: "Namespace" }), None);
    }

    #[test]
    fn a_stateful_set_loses_data_where_its_claims_go_with_it() {
        let set = |api: &str, when: &str, templates: Value| {
            json!({ "apiVersion": api, "kind": "StatefulSet", "spec": {
                "volumeClaimTemplates": templates, "persistentVolumeClaimRetentionPolicy": { "whenDeleted": when } } })
        };
        assert!(loses(&set("apps/v1", "Delete", json!([{}]))).is_some());
        assert_eq!(loses(&set("apps/v1", "Retain", json!([{}]))), None);
        assert_eq!(loses(&set("apps/v1", "Delete", json!([]))), None, "it makes no claims");
        assert_eq!(loses(&set("x.io/v1", "Delete", json!([{}]))), None);
        assert!(loses(&json!({ "apiVersion": "v1", "kind": "Namespace" })).is_some());
    }
}
