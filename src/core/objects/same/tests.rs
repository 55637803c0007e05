//! Pairs of words for one thing, and pairs that only look like it.

use serde_json::json;

use super::*;

const DEPLOYMENT: Sort<'_> = Sort { group: "apps", kind: "Deployment" };
const CUSTOM: Sort<'_> = Sort { group: "x.io", kind: "Thing" };

fn verdict(sort: Sort<'_>, path: &str, wish: Value, live: Value) -> Same {
    same(sort, &Path::of(path.split('.')), &wish, &live, true)
}

fn core(kind: &str) -> Sort<'_> {
    Sort { group: "", kind }
}

#[test]
fn other_words_for_the_same_are_alike() {
    let hpa = Sort { group: "autoscaling", kind: "HorizontalPodAutoscaler" };
    let lease = Sort { group: "coordination.k8s.io", kind: "Lease" };
    for (sort, path, wish, live) in [
        (DEPLOYMENT, "spec.template.spec.containers.resources.requests.cpu", json!("1000m"), json!("1")),
        (DEPLOYMENT, "spec.template.spec.containers.resources.limits.memory", json!("1Gi"), json!("1024Mi")),
        (DEPLOYMENT, "spec.template.spec.containers.resources.limits.cpu", json!(1), json!("1")),
        (DEPLOYMENT, "spec.template.spec.volumes.emptyDir.sizeLimit", json!("1024Mi"), json!("1Gi")),
        (core("PersistentVolumeClaim"), "spec.resources.requests.storage", json!("0.5Gi"), json!("512Mi")),
        (core("ResourceQuota"), "spec.hard.requests.cpu", json!("1000m"), json!("1")),
        (core("PersistentVolume"), "spec.capacity.storage", json!("1024Gi"), json!("1Ti")),
        (hpa, "spec.metrics.pods.target.averageValue", json!("1000m"), json!("1")),
        (DEPLOYMENT, "spec.strategy.rollingUpdate.maxSurge", json!("1"), json!(1)),
        (core("Service"), "spec.ports.targetPort", json!("80"), json!(80)),
        (core("Service"), "spec.ports.nodePort", json!(0), json!(31000)),
        (core("Service"), "spec.clusterIP", json!(""), json!("10.0.0.7")),
        (core("Secret"), "data.k", json!("aGVs\nbG8=\n"), json!("aGVsbG8=")),
        (core("ConfigMap"), "binaryData.k", json!("aGVs bG8="), json!("aGVsbG8=")),
        (lease, "spec.renewTime", json!("2026-11-24T12:00:00+02:00"), json!("2026-11-24T10:00:00.000000Z")),
        (CUSTOM, "spec.interval", json!("60m"), json!("1h0m0s")),
        (CUSTOM, "spec.renewBefore", json!("360h"), json!("360h0m0s")),
        (
            DEPLOYMENT,
            "spec.selector",
            json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["e", "d"]}]}),
            json!({"matchExpressions": [
                {"key": "c", "operator": "In", "values": ["d", "e"]}, {"key": "a", "operator": "In", "values": ["b"]}]}),
        ),
        (DEPLOYMENT, "spec.template.spec.x", json!({"a": null, "b": []}), json!({})),
        (DEPLOYMENT, "spec.template.spec.x", json!({"a": "", "b": 0, "c": false, "d": {}}), json!({})),
    ] {
        assert_eq!(verdict(sort, path, wish.clone(), live.clone()), Same::Alike, "{path}: {wish} {live}");
    }
    for (a, b) in [(json!(1), json!(1.0)), (json!({"a": null}), json!({})), (json!(u64::MAX), json!(u64::MAX))] {
        assert_eq!(verdict(DEPLOYMENT, "spec.x", a, b), Same::Equal);
    }
}

#[test]
fn what_only_looks_alike_differs() {
    for (sort, path, wish, live) in [
        (DEPLOYMENT, "spec.template.spec.containers.args", json!(["1000m"]), json!(["1"])),
        (DEPLOYMENT, "metadata.annotations.cpu", json!("1000m"), json!("1")),
        (core("ConfigMap"), "data.cpu", json!("1000m"), json!("1")),
        (core("ConfigMap"), "data.at", json!("2026-11-24T12:00:00+02:00"), json!("2026-11-24T10:00:00Z")),
        (core("ConfigMap"), "data.text", json!("a b"), json!("ab")),
        (core("ConfigMap"), "data.on", json!("yes"), json!("true")),
        (CUSTOM, "spec.resources.requests.cpu", json!("1000m"), json!("1")),
        (CUSTOM, "spec.size", json!("60m"), json!("1h")),
        (CUSTOM, "spec.interval", json!("1h"), json!("2h")),
        (CUSTOM, "spec.interval", json!("1"), json!("1.0")),
        (DEPLOYMENT, "spec.template.spec.containers.resources.requests.cpu", json!("1"), json!("2")),
        (DEPLOYMENT, "spec.strategy.rollingUpdate.maxSurge", json!("1%"), json!(1)),
        (DEPLOYMENT, "spec.replicas", json!("3"), json!(3)),
        (DEPLOYMENT, "spec.replicas", json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64)),
        (DEPLOYMENT, "spec.template.spec.containers.args", json!(["a", "b"]), json!(["b", "a"])),
        (DEPLOYMENT, "spec.template.spec.tolerations", json!([]), json!([{}])),
        (DEPLOYMENT, "spec.selector", json!({"matchLabels": {"a": "b"}}), json!({"matchLabels": {"a": "c"}})),
        (core("Secret"), "data.k", json!("aGVsbG8="), json!("aGVsbG9v")),
        (core("Service"), "spec.clusterIP", json!("None"), json!("10.0.0.7")),
    ] {
        assert_eq!(verdict(sort, path, wish.clone(), live.clone()), Same::No, "{path}: {wish} {live}");
    }
}

#[test]
fn an_empty_selector_means_all_and_an_absent_one_means_none() {
    let policy = Sort { group: "networking.k8s.io", kind: "NetworkPolicy" };
    let path = Path::of(["spec", "ingress"]);
    let (all, none) = (json!([{"from": [{"namespaceSelector": {}}]}]), json!([{"from": [{}]}]));
    assert_eq!(same(policy, &path, &all, &none, false), Same::No);
    assert_eq!(same(policy, &path, &none, &all, false), Same::No);
}

#[test]
fn defaults_inside_of_one_piece_are_filled_in() {
    let set = Sort { group: "apps", kind: "StatefulSet" };
    let range = core("LimitRange");
    let policy = Sort { group: "networking.k8s.io", kind: "NetworkPolicy" };
    for (sort, path, wish, live) in [
        (
            DEPLOYMENT,
            "spec.template.spec.containers.env.valueFrom.fieldRef",
            json!({"fieldPath": "metadata.name"}),
            json!({"fieldPath": "metadata.name", "apiVersion": "v1"}),
        ),
        (
            set,
            "spec.volumeClaimTemplates",
            json!([{"metadata": {"name": "d"}, "spec": {"resources": {"requests": {"storage": "1024Mi"}}}}]),
            json!([{
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d", "creationTimestamp": null},
                "spec": {"resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Filesystem"},
                "status": {"phase": "Pending"},
            }]),
        ),
        (
            range,
            "spec.limits",
            json!([{"type": "Container", "max": {"cpu": "2000m"}, "min": {"memory": "1Gi"}}]),
            json!([{
                "type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Gi"}, "default": {"cpu": "2"},
                "defaultRequest": {"cpu": "2", "memory": "1Gi"},
            }]),
        ),
        (
            policy,
            "spec.egress",
            json!([{"ports": [{"port": 80}]}]),
            json!([{"ports": [{"port": 80, "protocol": "TCP"}]}]),
        ),
    ] {
        assert_eq!(verdict(sort, path, wish.clone(), live), Same::Alike, "{path}: {wish}");
    }
    let other = json!({"fieldPath": "metadata.name", "apiVersion": "v2"});
    let path = "spec.template.spec.containers.env.valueFrom.fieldRef";
    assert_eq!(verdict(DEPLOYMENT, path, json!({"fieldPath": "metadata.name"}), other), Same::No);
}
