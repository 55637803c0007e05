//! What workloads get.

use serde_json::{Map, Value as Json, json};

use super::super::object::{at, put, put_default, table, text};
use super::{pod_spec, set};

pub(super) fn fill(group: &str, kind: &str, object: &mut Json, live: Option<&Json>) {
    if (group, kind) == ("", "PodTemplate") {
        return template(object, &["template"]);
    }
    if kind == "ControllerRevision" {
        return;
    }
    match kind {
        "Job" => job(object, live),
        "CronJob" => {
            let spec = table(object, &["spec"]);
            set(spec, "concurrencyPolicy", "Allow");
            set(spec, "suspend", false);
            set(spec, "successfulJobsHistoryLimit", 3);
            set(spec, "failedJobsHistoryLimit", 1);
            template(object, &["spec", "jobTemplate", "spec", "template"]);
            return;
        }
        _ => {}
    }
    let spec = table(object, &["spec"]);
    match kind {
        "Deployment" => {
            set(spec, "replicas", 1);
            set(spec, "revisionHistoryLimit", 10);
            set(spec, "progressDeadlineSeconds", 600);
            rolling(spec, "strategy", &[("maxUnavailable", json!("25%")), ("maxSurge", json!("25%"))]);
        }
        "ReplicaSet" => set(spec, "replicas", 1),
        "StatefulSet" => {
            set(spec, "replicas", 1);
            set(spec, "revisionHistoryLimit", 10);
            set(spec, "podManagementPolicy", "OrderedReady");
            rolling(spec, "updateStrategy", &[("partition", json!(0))]);
            let keep = spec.entry("persistentVolumeClaimRetentionPolicy").or_insert_with(|| json!({}));
            put_default(keep, &["whenDeleted"], "Retain");
            put_default(keep, &["whenScaled"], "Retain");
            for claim in spec.get_mut("volumeClaimTemplates").and_then(Json::as_array_mut).into_iter().flatten() {
                put_default(claim, &["apiVersion"], "v1");
                put_default(claim, &["kind"], "PersistentVolumeClaim");
                put_default(claim, &["spec", "volumeMode"], "Filesystem");
                put_default(claim, &["status", "phase"], "Pending");
            }
        }
        "DaemonSet" => {
            set(spec, "revisionHistoryLimit", 10);
            rolling(spec, "updateStrategy", &[("maxUnavailable", json!(1)), ("maxSurge", json!(0))]);
        }
        "ReplicationController" => {
            set(spec, "replicas", 1);
            let labels = spec.get("template").and_then(|t| t.get("metadata")).and_then(|m| m.get("labels")).cloned();
            if let Some(labels) = labels {
                set(spec, "selector", labels);
            }
        }
        _ => {}
    }
    template(object, &["spec", "template"]);
}

fn rolling(spec: &mut Map<String, Json>, name: &str, parts: &[(&str, Json)]) {
    let strategy = spec.entry(name).or_insert_with(|| json!({}));
    put_default(strategy, &["type"], "RollingUpdate");
    if text(strategy, &["type"]) == "RollingUpdate" {
        for (part, value) in parts {
            put_default(strategy, &["rollingUpdate", part], value.clone());
        }
    }
}

fn template(object: &mut Json, path: &[&str]) {
    let mut whole = path.to_vec();
    whole.push("spec");
    if at(object, path).is_some() {
        pod_spec(table(object, &whole));
    }
}

fn job(object: &mut Json, live: Option<&Json>) {
    let name = text(object, &["metadata", "name"]).to_owned();
    let uid = live.map(|l| text(l, &["metadata", "uid"]).to_owned()).unwrap_or_default();
    let spec = table(object, &["spec"]);
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    set(spec, "backoffLimit", 6);
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    set(spec, "podReplacementPolicy", "TerminatingOrFailed");
    if spec.get("manualSelector") == Some(&json!(true)) {
        return;
    }
    // The server itself chooses what a job's pods are known by: its uid, or until it has one, a word that becomes one.
    let mark = if uid.is_empty() { format!("job-{name}") } else { uid };
    let selector = live.and_then(|l| at(l, &["spec", "selector"])).cloned();
    let mark = selector
        .as_ref()
        .map(|s| text(s, &["matchLabels", "batch.kubernetes.io/controller-uid"]).to_owned())
        .filter(|m| !m.is_empty())
        .unwrap_or(mark);
    put_default(object, &["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"], mark.clone());
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", &mark),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &mark),
        ("job-name", &name),
    ] {
        put(object, &["spec", "template", "metadata", "labels", label], value.as_str());
    }
}
