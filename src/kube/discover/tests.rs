//! What a server serves, by both of its ways of saying so.

use evenkeel_kubernetes::api::ClusterRead;

use super::*;
use crate::client::testing::{answering, lines, only};

const CORE: &str = r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[
    {"metadata":{"creationTimestamp":null},"versions":[{"version":"v1","freshness":"Current","resources":[
        {"resource":"bindings","responseKind":{"group":"","version":"","kind":"Binding"},"scope":"Namespaced",
         "singularResource":"binding","verbs":["create"]},
        {"resource":"nodes","responseKind":{"group":"","version":"","kind":"Node"},"scope":"Cluster",
         "singularResource":"node","verbs":["get","list"],
         "subresources":[{"subresource":"status","responseKind":{"group":"","version":"","kind":"Node"},"verbs":["get"]}]},
        {"resource":"pods","responseKind":{"group":"","version":"","kind":"Pod"},"scope":"Namespaced",
         "singularResource":"pod","verbs":["get","list","patch"]}]}]}]}"#;

const OTHERS: &str = r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[
    {"metadata":{"name":"autoscaling"},"versions":[
        {"version":"v2","freshness":"Current","resources":[{"resource":"horizontalpodautoscalers",
            "responseKind":{"group":"","version":"","kind":"HorizontalPodAutoscaler"},"scope":"Namespaced","verbs":["list"]}]},
        {"version":"v1","freshness":"Current","resources":[{"resource":"horizontalpodautoscalers",
            "responseKind":{"group":"","version":"","kind":"HorizontalPodAutoscaler"},"scope":"Namespaced","verbs":["list"]}]}]},
    {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale","resources":[
        {"resource":"pods","responseKind":{"group":"","version":"","kind":"PodMetrics"},"scope":"Namespaced","verbs":["list"]}]}]}]}"#;

fn short(all: &Discovered) -> Vec<String> {
    let one = |r: &Resource| format!("{} {} {} {}", r.api_version, r.kind, r.plural, r.namespaced);
    all.resources.iter().map(one).collect()
}

#[tokio::test]
async fn two_requests_tell_all() {
    let (cluster, log) = answering([(200, CORE), (200, OTHERS)]);
    let all = cluster.discover().await.expect("all groups");
    assert_eq!(lines(&log), ["GET /api", "GET /apis"]);
    let accept = log.lock().expect("no test panics here")[0].headers["accept"].clone();
    assert_eq!(accept, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    assert_eq!(
        short(&all),
        [
            "v1 Node nodes false",
            "v1 Pod pods true",
            "autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers true",
            "autoscaling/v1 HorizontalPodAutoscaler horizontalpodautoscalers true",
        ],
        "what cannot be listed is left out; the preferred version stands first"
    );
    assert_eq!(all.resources[1].verbs, ["get", "list", "patch"]);
}

#[tokio::test]
async fn a_group_whose_server_is_down_is_broken_and_not_absent() {
    let (cluster, _) = answering([(200, CORE), (200, OTHERS)]);
    let all = cluster.discover().await.expect("the others");
    let why = &all.broken["metrics.k8s.io"];
    assert_eq!((why.class, all.broken.len()), (Class::Transient, 1));
    assert!(why.says.contains("v1beta1.metrics.k8s.io"), "{why}");
}

#[tokio::test]
async fn a_server_of_old_is_asked_group_by_group() {
    let groups = r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"batch",
        "versions":[{"groupVersion":"batch/v2","version":"v2"},{"groupVersion":"batch/v1","version":"v1"}],
        "preferredVersion":{"groupVersion":"batch/v1","version":"v1"}},
        {"name":"metrics.k8s.io","versions":[{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}],
        "preferredVersion":{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}}]}"#;
    let core = r#"{"kind":"APIResourceList","groupVersion":"v1","resources":[
        {"name":"nodes","singularName":"","namespaced":false,"kind":"Node","verbs":["list"]},
        {"name":"pods","singularName":"","namespaced":true,"kind":"Pod","verbs":["list"]},
        {"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get","list"]},
        {"name":"bindings","singularName":"","namespaced":true,"kind":"Binding","verbs":["create"]}]}"#;
    let batch = r#"{"kind":"APIResourceList","groupVersion":"batch/v1","resources":[
        {"name":"jobs","singularName":"","namespaced":true,"kind":"Job","verbs":["list"]}]}"#;
    let (cluster, log) = answering([
        (200, r#"{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[]}"#),
        (200, core),
        (200, groups),
        (200, batch),
        (200, batch),
        (503, "service unavailable"),
    ]);
    let all = cluster.discover().await.expect("all that answered");
    assert_eq!(
        lines(&log),
        [
            "GET /api",
            "GET /api/v1",
            "GET /apis",
            "GET /apis/batch/v1",
            "GET /apis/batch/v2",
            "GET /apis/metrics.k8s.io/v1beta1"
        ]
    );
    assert_eq!(
        short(&all),
        ["v1 Node nodes false", "v1 Pod pods true", "batch/v1 Job jobs true", "batch/v2 Job jobs true"]
    );
    assert_eq!(all.broken["metrics.k8s.io"].class, Class::Transient);
}

#[tokio::test]
async fn a_root_that_cannot_be_asked_is_a_failure_of_the_whole() {
    let (cluster, log) = answering([(503, "")]);
    assert_eq!(cluster.discover().await.expect_err("no answer").class, Class::Transient);
    assert_eq!(only(&log).line, "GET /api");
    let (cluster, _) = answering([(200, CORE), (200, "<html>")]);
    assert_eq!(cluster.discover().await.expect_err("no API server").class, Class::Transient);
    let (cluster, _) = answering([(200, "{}")]);
    assert_eq!(cluster.discover().await.expect_err("no API server").class, Class::Transient);
}

#[tokio::test]
async fn credentials_that_do_not_hold_break_no_single_group() {
    let (cluster, _) = answering([(200, r#"{"kind":"APIVersions","versions":["v1"]}"#), (401, "")]);
    assert_eq!(cluster.discover().await.expect_err("no credentials").class, Class::Credentials);
}
