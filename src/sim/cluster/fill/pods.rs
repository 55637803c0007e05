//! What pods and pod templates get.

use serde_json::{Map, Value as Json, json};

use super::super::object::{put_default, table};
use super::set;

/// A pod itself gets more than a template.
pub(super) fn fill_pod(object: &mut Json) {
    let spec = table(object, &["spec"]);
    set(spec, "serviceAccountName", "default");
    set(spec, "enableServiceLinks", true);
    set(spec, "preemptionPolicy", "PreemptLowerPriority");
    set(spec, "priority", 0);
    // Quality of service comes from requests, and those from limits where only they are given.
    for container in containers(spec) {
        let limits = container.get("resources").and_then(|r| r.get("limits")).cloned();
        if let (Some(Json::Object(limits)), Some(resources)) =
            (limits, container.get_mut("resources").and_then(Json::as_object_mut))
        {
            let requests = resources.entry("requests").or_insert_with(|| json!({}));
            for (name, amount) in limits {
                put_default(requests, &[&name], amount);
            }
        }
    }
    pod_spec(spec);
    put_default(object, &["status", "phase"], "Pending");
}

fn containers(spec: &mut Map<String, Json>) -> impl Iterator<Item = &mut Map<String, Json>> {
    let lists = spec.iter_mut().filter(|(k, _)| matches!(k.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, v)| v.as_array_mut()).flatten().filter_map(Json::as_object_mut)
}

/// Fills in the `spec` of a pod or of a template.
pub(super) fn pod_spec(spec: &mut Map<String, Json>) {
    set(spec, "restartPolicy", "Always");
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "schedulerName", "default-scheduler");
    set(spec, "securityContext", json!({}));
    set(spec, "terminationGracePeriodSeconds", 30);
    if let Some(account) = spec.get("serviceAccountName").filter(|a| a.as_str() != Some("")).cloned() {
        set(spec, "serviceAccount", account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        set(spec, "serviceAccountName", account);
    }
    if spec.get("hostNetwork") == Some(&json!(true)) {
        for container in containers(spec) {
            for port in container.get_mut("ports").and_then(Json::as_array_mut).into_iter().flatten() {
                if let Some(number) = port.get("containerPort").cloned() {
                    put_default(port, &["hostPort"], number);
                }
            }
        }
    }
    for container in containers(spec) {
        fill_container(container);
    }
    for volume in spec.get_mut("volumes").and_then(Json::as_array_mut).into_iter().flatten() {
        fill_volume(volume);
    }
}

fn fill_container(c: &mut Map<String, Json>) {
    let image = c.get("image").and_then(Json::as_str).unwrap_or_default();
    let tag = image.rsplit('/').next().unwrap_or_default();
    let latest = !tag.contains('@') && tag.split_once(':').is_none_or(|(_, t)| t == "latest");
    set(c, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    set(c, "terminationMessagePath", "/dev/termination-log");
    set(c, "terminationMessagePolicy", "File");
    set(c, "resources", json!({}));
    for port in c.get_mut("ports").and_then(Json::as_array_mut).into_iter().flatten() {
        put_default(port, &["protocol"], "TCP");
    }
    for env in c.get_mut("env").and_then(Json::as_array_mut).into_iter().flatten() {
        field_ref(env.get_mut("valueFrom"));
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = c.get_mut(name).and_then(Json::as_object_mut) {
            set(probe, "timeoutSeconds", 1);
            set(probe, "periodSeconds", 10);
            set(probe, "successThreshold", 1);
            set(probe, "failureThreshold", 3);
            handler(probe);
        }
    }
    if let Some(lifecycle) = c.get_mut("lifecycle").and_then(Json::as_object_mut) {
        lifecycle.values_mut().filter_map(Json::as_object_mut).for_each(handler);
    }
}

fn handler(action: &mut Map<String, Json>) {
    if let Some(http) = action.get_mut("httpGet").and_then(Json::as_object_mut) {
        set(http, "path", "/");
        set(http, "scheme", "HTTP");
    }
    if let Some(grpc) = action.get_mut("grpc").and_then(Json::as_object_mut) {
        set(grpc, "service", "");
    }
}

fn field_ref(source: Option<&mut Json>) {
    let Some(source) = source.and_then(Json::as_object_mut) else { return };
    if let Some(field) = source.get_mut("fieldRef").and_then(Json::as_object_mut) {
        set(field, "apiVersion", "v1");
    }
    if let Some(resource) = source.get_mut("resourceFieldRef").and_then(Json::as_object_mut) {
        set(resource, "divisor", "0");
    }
}

fn fill_volume(volume: &mut Json) {
    let Some(volume) = volume.as_object_mut() else { return };
    if volume.len() < 2 {
        set(volume, "emptyDir", json!({}));
    }
    for name in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(name).and_then(Json::as_object_mut) {
            set(source, "defaultMode", 420);
            for item in source.get_mut("items").and_then(Json::as_array_mut).into_iter().flatten() {
                field_ref(Some(item));
            }
            for one in source.get_mut("sources").and_then(Json::as_array_mut).into_iter().flatten() {
                if let Some(token) = one.get_mut("serviceAccountToken").and_then(Json::as_object_mut) {
                    set(token, "expirationSeconds", 3600);
                }
            }
        }
    }
    if let Some(host) = volume.get_mut("hostPath").and_then(Json::as_object_mut) {
        set(host, "type", "");
    }
}
