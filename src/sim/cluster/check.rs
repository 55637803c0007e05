//! Validation: the basics of every kind, and what cannot be changed once it is there.

use evenkeel_core::address::ObjectName;
use evenkeel_core::objects::quantity::nano;
use evenkeel_kubernetes::api::Cause;
use serde_json::Value as Json;

use super::Kube;
use super::fill::custom::misfits;
use super::kinds::is_built_in;
use super::object::{as_text, at, flag, items, number, text};
use super::refuse::cause;

impl Kube {
    /// Everything that is wrong with an object.
    pub(super) fn problems(&self, name: &ObjectName, object: &Json, live: Option<&Json>) -> Vec<Cause> {
        let mut found = Vec::new();
        names(name, object, &mut found);
        if !is_built_in(&name.api, &name.kind) {
            if let Some(schema) = self.custom(text(object, &["apiVersion"]), &name.kind).and_then(|c| c.schema) {
                for (part, schema) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
                    if !matches!(part.as_str(), "apiVersion" | "kind" | "metadata")
                        && let Some(value) = object.get(part)
                    {
                        misfits(value, schema, part, &mut found);
                    }
                }
                for part in items(schema, &["required"]).iter().filter_map(Json::as_str) {
                    if object.get(part).is_none() {
                        found.push(required(part));
                    }
                }
            }
            return found;
        }
        basics(name, object, &mut found);
        if let Some(live) = live {
            self.fixed(name, object, live, &mut found);
        }
        found
    }

    /// What cannot be changed.
    fn fixed(&self, name: &ObjectName, new: &Json, live: &Json, found: &mut Vec<Cause>) {
        let mut stays = |fields: &[&str]| {
            if at(new, fields) != at(live, fields) {
                found.push(immutable(&fields.join("."), at(new, fields)));
            }
        };
        match (name.api.as_str(), name.kind.as_str()) {
            ("apps", "Deployment" | "ReplicaSet" | "DaemonSet") => stays(&["spec", "selector"]),
            ("apps", "StatefulSet") => {
                let may = [
                    "replicas",
                    "ordinals",
                    "template",
                    "updateStrategy",
                    "revisionHistoryLimit",
                    "persistentVolumeClaimRetentionPolicy",
                    "minReadySeconds",
                ];
                let spec = |o: &Json| o.get("spec").and_then(Json::as_object).cloned().unwrap_or_default();
                let fixed = |o: &Json| -> Vec<(String, Json)> {
                    spec(o).into_iter().filter(|(k, _)| !may.contains(&k.as_str())).collect()
                };
                if fixed(new) != fixed(live) {
                    let says = format!(
                        "Forbidden: updates to statefulset spec for fields other than {} are forbidden",
                        may.map(|m| format!("'{m}'")).join(", ")
                    );
                    found.push(cause("FieldValueForbidden", "spec", says));
                }
            }
            ("batch", "Job") => {
                for part in ["completions", "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"] {
                    stays(&["spec", part]);
                }
                if !flag(live, &["spec", "suspend"]) {
                    stays(&["spec", "template"]);
                }
            }
            ("", "Service") => {
                let had = text(live, &["spec", "clusterIP"]);
                if !had.is_empty() && text(new, &["spec", "type"]) != "ExternalName" {
                    stays(&["spec", "clusterIP"]);
                }
            }
            ("", "PersistentVolumeClaim") => self.fixed_claim(new, live, found),
            ("", "PersistentVolume") => {
                for source in ["csi", "awsElasticBlockStore", "nfs", "hostPath", "local", "nodeAffinity", "volumeMode"]
                {
                    if at(live, &["spec", source]).is_some() {
                        stays(&["spec", source]);
                    }
                }
            }
            ("", "ConfigMap" | "Secret") => {
                if flag(live, &["immutable"]) {
                    for part in ["data", "binaryData", "immutable"] {
                        if at(new, &[part]) != at(live, &[part]) {
                            let says = "Forbidden: field is immutable when `immutable` is set";
                            found.push(cause("FieldValueForbidden", part, says));
                        }
                    }
                }
                if name.kind == "Secret" && at(new, &["type"]) != at(live, &["type"]) {
                    found.push(immutable("type", at(new, &["type"])));
                }
            }
            ("", "Pod") => fixed_pod(new, live, found),
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
                if at(new, &["roleRef"]) != at(live, &["roleRef"]) =>
            {
                let value = at(new, &["roleRef"]).cloned().unwrap_or_default();
                found.push(cause(
                    "FieldValueInvalid",
                    "roleRef",
                    format!("Invalid value: {value}: cannot change roleRef"),
                ));
            }
            ("storage.k8s.io", "StorageClass") => {
                for part in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
                    if at(new, &[part]) != at(live, &[part]) {
                        let says = format!("Forbidden: updates to {part} are forbidden.");
                        found.push(cause("FieldValueForbidden", part, says));
                    }
                }
            }
            ("scheduling.k8s.io", "PriorityClass") if at(new, &["value"]) != at(live, &["value"]) => {
                let says = "Forbidden: may not be changed in an update.";
                found.push(cause("FieldValueForbidden", "value", says));
            }
            ("node.k8s.io", "RuntimeClass") => stays(&["handler"]),
            ("networking.k8s.io", "IngressClass") => stays(&["spec", "controller"]),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                for part in [
                    &["spec", "group"][..],
                    &["spec", "scope"],
                    &["spec", "names", "kind"],
                    &["spec", "names", "plural"],
                ] {
                    stays(part);
                }
            }
            _ => {}
        }
    }

    fn fixed_claim(&self, new: &Json, live: &Json, found: &mut Vec<Cause>) {
        let rest = |o: &Json| {
            let mut spec = o.get("spec").cloned().unwrap_or_default();
            super::object::take(&mut spec, &["resources"]);
            super::object::take(&mut spec, &["volumeName"]);
            super::object::take(&mut spec, &["volumeAttributesClassName"]);
            spec
        };
        if rest(new) != rest(live) {
            let says = "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
            found.push(cause("FieldValueForbidden", "spec", says));
        }
        let size = |o: &Json| at(o, &["spec", "resources", "requests", "storage"]).and_then(nano).unwrap_or(0);
        let field = "spec.resources.requests.storage";
        if size(new) < size(live) {
            let says = "Forbidden: field can not be less than status.capacity";
            found.push(cause("FieldValueForbidden", field, says));
        } else if size(new) > size(live) {
            let class = text(live, &["spec", "storageClassName"]);
            let grows = self
                .of_kind("storage.k8s.io", "StorageClass")
                .any(|(name, c)| name.name == class && flag(c, &["allowVolumeExpansion"]));
            if !grows {
                let says = "Forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
                found.push(cause("FieldValueForbidden", field, says));
            }
        }
    }
}

fn fixed_pod(new: &Json, live: &Json, found: &mut Vec<Cause>) {
    let rest = |o: &Json| {
        let mut spec = o.get("spec").cloned().unwrap_or_default();
        for part in ["nodeName", "activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] {
            super::object::take(&mut spec, &[part]);
        }
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Json::as_array_mut).into_iter().flatten() {
                super::object::take(container, &["image"]);
            }
        }
        spec
    };
    if rest(new) != rest(live) {
        let says = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        found.push(cause("FieldValueForbidden", "spec", says));
    }
}

fn immutable(field: &str, value: Option<&Json>) -> Cause {
    let value = value.cloned().unwrap_or_default();
    cause("FieldValueInvalid", field, format!("Invalid value: {value}: field is immutable"))
}

fn required(field: &str) -> Cause {
    cause("FieldValueRequired", field, "Required value")
}

fn is_label_name(s: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !s.is_empty() && s.len() <= 63 && s.chars().all(inner) && !s.starts_with('-') && !s.ends_with('-')
}

fn is_subdomain(s: &str) -> bool {
    !s.is_empty() && s.len() <= 253 && s.split('.').all(is_label_name)
}

fn names(name: &ObjectName, object: &Json, found: &mut Vec<Cause>) {
    const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
    const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    let (fits, rule) = match (name.api.as_str(), name.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => (!name.name.is_empty() && !name.name.contains(['/', '%']), SUBDOMAIN),
        ("", "Namespace") => (is_label_name(&name.name), LABEL),
        ("", "Service") => {
            (is_label_name(&name.name) && name.name.starts_with(|c: char| c.is_ascii_lowercase()), LABEL)
        }
        _ => (is_subdomain(&name.name), SUBDOMAIN),
    };
    if !fits {
        let says = format!("Invalid value: {:?}: {rule}", name.name);
        found.push(cause("FieldValueInvalid", "metadata.name", says));
    }
    let labels = at(object, &["metadata", "labels"]).and_then(Json::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let Some(value) = value.as_str() else {
            found.push(cause(
                "FieldValueTypeInvalid",
                "metadata.labels",
                format!("Invalid value: {key}: must be a string"),
            ));
            continue;
        };
        let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
        let inner = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if value.len() > 63 {
            found.push(cause(
                "FieldValueInvalid",
                "metadata.labels",
                format!("Invalid value: {value:?}: must be no more than 63 bytes"),
            ));
        } else if !inner || !edge(value.chars().next()) || !edge(value.chars().last()) {
            let says = format!(
                "Invalid value: {value:?}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            );
            found.push(cause("FieldValueInvalid", "metadata.labels", says));
        }
    }
}

/// What every object of a kind needs.
fn basics(name: &ObjectName, object: &Json, found: &mut Vec<Cause>) {
    match (name.api.as_str(), name.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            if number(object, &["spec", "replicas"]).unwrap_or(0) < 0 {
                found.push(cause(
                    "FieldValueInvalid",
                    "spec.replicas",
                    "Invalid value: must be greater than or equal to 0",
                ));
            }
            selects_its_template(object, found);
            template(object, &["spec", "template"], found, &["Always"]);
        }
        ("batch", "Job") => template(object, &["spec", "template"], found, &["OnFailure", "Never"]),
        ("batch", "CronJob") => {
            if text(object, &["spec", "schedule"]).is_empty() {
                found.push(required("spec.schedule"));
            }
            template(object, &["spec", "jobTemplate", "spec", "template"], found, &["OnFailure", "Never"]);
        }
        ("", "Pod") => pod(object, "spec", found),
        ("", "Service") => service(object, found),
        ("", "PersistentVolumeClaim") => {
            if items(object, &["spec", "accessModes"]).is_empty() {
                found.push(cause(
                    "FieldValueRequired",
                    "spec.accessModes",
                    "Required value: at least 1 access mode is required",
                ));
            }
            if at(object, &["spec", "resources", "requests", "storage"]).is_none() {
                found.push(required("spec.resources[storage]"));
            }
        }
        ("policy", "PodDisruptionBudget")
            if at(object, &["spec", "minAvailable"]).is_some() && at(object, &["spec", "maxUnavailable"]).is_some() =>
        {
            let says = "Invalid value: minAvailable and maxUnavailable cannot be both set";
            found.push(cause("FieldValueInvalid", "spec", says));
        }
        ("networking.k8s.io", "Ingress") => {
            for (r, rule) in items(object, &["spec", "rules"]).iter().enumerate() {
                for (p, path) in items(rule, &["http", "paths"]).iter().enumerate() {
                    if text(path, &["pathType"]).is_empty() {
                        let field = format!("spec.rules[{r}].http.paths[{p}].pathType");
                        found.push(cause("FieldValueRequired", field, "Required value: pathType must be specified"));
                    }
                }
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let wanted = format!("{}.{}", text(object, &["spec", "names", "plural"]), text(object, &["spec", "group"]));
            if name.name != wanted {
                let says = format!("Invalid value: {:?}: must be spec.names.plural+\".\"+spec.group", name.name);
                found.push(cause("FieldValueInvalid", "metadata.name", says));
            }
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if text(object, &["roleRef", "name"]).is_empty() =>
        {
            found.push(required("roleRef.name"));
        }
        _ => {}
    }
    amounts(object, "", "", found);
}

/// Requests and limits must be quantities.
fn amounts(value: &Json, parent: &str, path: &str, found: &mut Vec<Cause>) {
    match value {
        Json::Object(table) => {
            for (name, below) in table {
                if matches!(name.as_str(), "managedFields" | "annotations" | "labels" | "data" | "status") {
                    continue;
                }
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if matches!(parent, "requests" | "limits") && as_text(below).is_some() && nano(below).is_none() {
                    let says = "Invalid value: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                    found.push(cause("FieldValueInvalid", at, says));
                } else {
                    amounts(below, name, &at, found);
                }
            }
        }
        Json::Array(all) => {
            for (n, item) in all.iter().enumerate() {
                amounts(item, parent, &format!("{path}[{n}]"), found);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn selects_its_template(object: &Json, found: &mut Vec<Cause>) {
    let Some(selector) = at(object, &["spec", "selector"]) else {
        return found.push(required("spec.selector"));
    };
    let labels = at(object, &["spec", "template", "metadata", "labels"]);
    if !meets(selector, labels) {
        let shown = labels.cloned().unwrap_or_default();
        let says = format!("Invalid value: {shown}: `selector` does not match template `labels`");
        found.push(cause("FieldValueInvalid", "spec.template.metadata.labels", says));
    }
}

/// Whether labels meet a selector of `matchLabels` and `matchExpressions`.
pub(super) fn meets(selector: &Json, labels: Option<&Json>) -> bool {
    let label = |key: &str| labels.and_then(|l| l.get(key)).and_then(Json::as_str);
    let table = at(selector, &["matchLabels"]).and_then(Json::as_object);
    let fixed = table.into_iter().flatten().all(|(k, v)| label(k).is_some() && label(k) == v.as_str());
    fixed
        && items(selector, &["matchExpressions"]).iter().all(|e| {
            let has = label(text(e, &["key"]));
            let among = has.is_some_and(|v| items(e, &["values"]).iter().any(|w| w.as_str() == Some(v)));
            match text(e, &["operator"]) {
                "In" => among,
                "NotIn" => !among,
                "Exists" => has.is_some(),
                "DoesNotExist" => has.is_none(),
                _ => false,
            }
        })
}

fn template(object: &Json, path: &[&str], found: &mut Vec<Cause>, restarts: &[&str]) {
    let Some(template) = at(object, path) else {
        return found.push(required(&path.join(".")));
    };
    let spec = format!("{}.spec", path.join("."));
    pod(template, &spec, found);
    let restart = text(template, &["spec", "restartPolicy"]);
    if !restarts.contains(&restart) {
        let words: Vec<String> = restarts.iter().map(|r| format!("{r:?}")).collect();
        let says = format!("Unsupported value: {restart:?}: supported values: {}", words.join(", "));
        found.push(cause("FieldValueNotSupported", format!("{spec}.restartPolicy"), says));
    }
}

fn pod(object: &Json, path: &str, found: &mut Vec<Cause>) {
    let containers = items(object, &["spec", "containers"]);
    if containers.is_empty() {
        found.push(required(&format!("{path}.containers")));
    }
    let volumes: Vec<&str> = items(object, &["spec", "volumes"]).iter().map(|v| text(v, &["name"])).collect();
    for (n, container) in containers.iter().enumerate() {
        let at_container = |part: &str| format!("{path}.containers[{n}].{part}");
        if text(container, &["image"]).is_empty() {
            found.push(required(&at_container("image")));
        }
        if !is_label_name(text(container, &["name"])) {
            let says = format!("Invalid value: {:?}: a lowercase RFC 1123 label is needed", text(container, &["name"]));
            found.push(cause("FieldValueInvalid", at_container("name"), says));
        }
        for (m, mount) in items(container, &["volumeMounts"]).iter().enumerate() {
            let wanted = text(mount, &["name"]);
            // A stateful set's claims are volumes of its pods that its template does not name.
            let claimed = path.starts_with("spec.template");
            if !volumes.contains(&wanted) && !claimed {
                found.push(cause(
                    "FieldValueNotFound",
                    at_container(&format!("volumeMounts[{m}].name")),
                    format!("Not found: {wanted:?}"),
                ));
            }
        }
        for (p, port) in items(container, &["ports"]).iter().enumerate() {
            if !number(port, &["containerPort"]).is_some_and(|n| (1..=65535).contains(&n)) {
                let says = "Invalid value: must be between 1 and 65535, inclusive";
                found.push(cause("FieldValueInvalid", at_container(&format!("ports[{p}].containerPort")), says));
            }
        }
    }
}

fn service(object: &Json, found: &mut Vec<Cause>) {
    let ports = items(object, &["spec", "ports"]);
    let kind = text(object, &["spec", "type"]);
    if ports.is_empty() && kind != "ExternalName" && text(object, &["spec", "clusterIP"]) != "None" {
        found.push(required("spec.ports"));
    }
    if kind == "ExternalName" && text(object, &["spec", "externalName"]).is_empty() {
        found.push(required("spec.externalName"));
    }
    for (n, port) in ports.iter().enumerate() {
        if !number(port, &["port"]).is_some_and(|p| (1..=65535).contains(&p)) {
            let says = "Invalid value: must be between 1 and 65535, inclusive";
            found.push(cause("FieldValueInvalid", format!("spec.ports[{n}].port"), says));
        }
        if ports.len() > 1 && text(port, &["name"]).is_empty() {
            found.push(required(&format!("spec.ports[{n}].name")));
        }
    }
}
