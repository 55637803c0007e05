//! The kinds a cluster serves: those of the server itself, and those of its definitions.

use evenkeel_kubernetes::api::{Discovered, Resource};
use serde_json::Value as Json;

use super::Kube;
use super::object::{at, flag, items, text};
use super::ssa::Form;

/// What can be done with a kind.
const ALL: &str = "create delete deletecollection get list patch update watch";
const READ: &str = "get list";

/// `apiVersion`, kind, plural, whether it belongs to namespaces, verbs. Preferred versions first.
const BUILT_IN: &[(&str, &str, &str, bool, &str)] = &[
    ("v1", "ComponentStatus", "componentstatuses", false, READ),
    ("v1", "ConfigMap", "configmaps", true, ALL),
    ("v1", "Endpoints", "endpoints", true, ALL),
    ("v1", "Event", "events", true, ALL),
    ("v1", "LimitRange", "limitranges", true, ALL),
    ("v1", "Namespace", "namespaces", false, "create delete get list patch update watch"),
    ("v1", "Node", "nodes", false, ALL),
    ("v1", "PersistentVolume", "persistentvolumes", false, ALL),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true, ALL),
    ("v1", "Pod", "pods", true, ALL),
    ("v1", "PodTemplate", "podtemplates", true, ALL),
    ("v1", "ReplicationController", "replicationcontrollers", true, ALL),
    ("v1", "ResourceQuota", "resourcequotas", true, ALL),
    ("v1", "Secret", "secrets", true, ALL),
    ("v1", "Service", "services", true, ALL),
    ("v1", "ServiceAccount", "serviceaccounts", true, ALL),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false, ALL),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
        ALL,
    ),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false, ALL),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        false,
        ALL,
    ),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false, ALL),
    ("apiregistration.k8s.io/v1", "APIService", "apiservices", false, ALL),
    ("apps/v1", "ControllerRevision", "controllerrevisions", true, ALL),
    ("apps/v1", "DaemonSet", "daemonsets", true, ALL),
    ("apps/v1", "Deployment", "deployments", true, ALL),
    ("apps/v1", "ReplicaSet", "replicasets", true, ALL),
    ("apps/v1", "StatefulSet", "statefulsets", true, ALL),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true, ALL),
    ("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true, ALL),
    ("batch/v1", "CronJob", "cronjobs", true, ALL),
    ("batch/v1", "Job", "jobs", true, ALL),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", false, ALL),
    ("coordination.k8s.io/v1", "Lease", "leases", true, ALL),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true, ALL),
    ("events.k8s.io/v1", "Event", "events", true, ALL),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "flowschemas", false, ALL),
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", "prioritylevelconfigurations", false, ALL),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true, ALL),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", false, ALL),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true, ALL),
    ("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", false, ALL),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", true, ALL),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false, ALL),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false, ALL),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true, ALL),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true, ALL),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", false, ALL),
    ("storage.k8s.io/v1", "CSIDriver", "csidrivers", false, ALL),
    ("storage.k8s.io/v1", "CSINode", "csinodes", false, ALL),
    ("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities", true, ALL),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", false, ALL),
    ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", false, ALL),
];

/// Where definitions of kinds are kept.
pub(super) const DEFINITION: (&str, &str) = ("apiextensions.k8s.io", "CustomResourceDefinition");

/// A version of a definition.
pub(super) struct Custom<'a> {
    pub(super) schema: Option<&'a Json>,
    pub(super) has_status: bool,
}

pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Whether the server itself serves this kind.
pub(super) fn is_built_in(group: &str, kind: &str) -> bool {
    BUILT_IN.iter().any(|(version, k, ..)| group_of(version) == group && *k == kind)
}

impl Kube {
    /// What it serves now.
    pub fn discovered(&self) -> Discovered {
        let resource = |version: &str, kind: &str, plural: &str, namespaced: bool, verbs: &str| Resource {
            api_version: version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            namespaced,
            verbs: verbs.split(' ').map(str::to_owned).collect(),
        };
        let mut resources: Vec<Resource> = BUILT_IN
            .iter()
            .map(|&(v, kind, plural, namespaced, verbs)| resource(v, kind, plural, namespaced, verbs))
            .collect();
        for (_, definition) in self.of_kind(DEFINITION.0, DEFINITION.1) {
            if !is_established(definition) {
                continue;
            }
            let group = text(definition, &["spec", "group"]);
            let names = |key: &str| text(definition, &["spec", "names", key]).to_owned();
            let namespaced = text(definition, &["spec", "scope"]) == "Namespaced";
            let mut versions: Vec<&str> = items(definition, &["spec", "versions"])
                .iter()
                .filter(|v| flag(v, &["served"]))
                .map(|v| text(v, &["name"]))
                .collect();
            versions.sort_by_key(|v| std::cmp::Reverse(priority(v)));
            let served = versions
                .into_iter()
                .map(|v| resource(&format!("{group}/{v}"), &names("kind"), &names("plural"), namespaced, ALL));
            resources.extend(served);
        }
        resources.retain(|r| !self.broken_groups.contains_key(r.group()));
        let broken = self.broken_groups.iter().map(|(group, says)| {
            let failure = evenkeel_core::failure::Failure::new(
                evenkeel_core::failure::Class::Transient,
                "ServiceUnavailable",
                says.clone(),
            );
            (group.clone(), failure)
        });
        let broken = broken.collect();
        Discovered { resources, broken }
    }

    /// Whether this version of a kind is served, and whether it belongs to namespaces.
    pub(super) fn serves(&self, api_version: &str, kind: &str) -> Option<bool> {
        let found = BUILT_IN.iter().find(|(v, k, ..)| *v == api_version && *k == kind);
        if let Some((_, _, _, namespaced, _)) = found {
            return Some(*namespaced);
        }
        let (group, version) = api_version.split_once('/')?;
        let definition = self.definition(group, kind)?;
        let served = items(definition, &["spec", "versions"])
            .iter()
            .any(|v| text(v, &["name"]) == version && flag(v, &["served"]));
        (is_established(definition) && served).then(|| text(definition, &["spec", "scope"]) == "Namespaced")
    }

    /// The plural of a kind, for messages.
    pub(super) fn plural(&self, group: &str, kind: &str) -> String {
        let built_in = BUILT_IN.iter().find(|(v, k, ..)| group_of(v) == group && *k == kind);
        let own = || self.definition(group, kind).map(|d| text(d, &["spec", "names", "plural"]).to_owned());
        let plural = built_in.map(|(_, _, plural, ..)| (*plural).to_owned()).or_else(own);
        plural.unwrap_or_else(|| format!("{}s", kind.to_lowercase()))
    }

    /// The definition of a kind that the server does not know by itself.
    pub(super) fn definition(&self, group: &str, kind: &str) -> Option<&Json> {
        self.of_kind(DEFINITION.0, DEFINITION.1)
            .map(|(_, d)| d)
            .find(|d| text(d, &["spec", "group"]) == group && text(d, &["spec", "names", "kind"]) == kind)
    }

    /// What a definition says of one version.
    pub(super) fn custom(&self, api_version: &str, kind: &str) -> Option<Custom<'_>> {
        let (group, version) = api_version.split_once('/')?;
        let definition = self.definition(group, kind)?;
        let version = items(definition, &["spec", "versions"]).iter().find(|v| text(v, &["name"]) == version)?;
        Some(Custom {
            schema: at(version, &["schema", "openAPIV3Schema"]),
            has_status: version.get("subresources").is_some_and(|s| s.get("status").is_some()),
        })
    }

    /// How the values of a kind are put together.
    pub(super) fn form<'a>(&'a self, api_version: &'a str, kind: &'a str) -> Form<'a> {
        let group = group_of(api_version);
        match self.custom(api_version, kind) {
            Some(c) if !is_built_in(group, kind) => Form::custom(group, kind, c.schema, c.has_status),
            Some(_) | None => Form::built_in(group, kind),
        }
    }
}

/// `True` among the conditions.
pub(super) fn is_established(definition: &Json) -> bool {
    items(definition, &["status", "conditions"])
        .iter()
        .any(|c| text(c, &["type"]) == "Established" && text(c, &["status"]) == "True")
}

/// `v2` before `v1` before `v1beta1` before `v1alpha1` before anything else.
fn priority(version: &str) -> (u8, u32, u32) {
    let split = |s: &str| {
        let end = s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let (digits, rest) = s.split_at(end);
        (digits.parse::<u32>().unwrap_or(0), rest.to_owned())
    };
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let (major, rest) = split(rest);
    let (stability, rest) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        _ if rest.is_empty() => (3, ""),
        (Some(rest), _) => (2, rest),
        (None, Some(rest)) => (1, rest),
        (None, None) => return (0, 0, 0),
    };
    (stability, major, rest.parse().unwrap_or(0))
}
