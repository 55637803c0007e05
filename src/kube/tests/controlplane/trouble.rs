//! Servers, webhooks and groups in trouble: what can be waited for, and what it is called.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

/// Throws away etcd's history, as the API server does every five minutes.
fn compact(lab: &lab::Cluster, revision: &str) {
    let etcd = std::fs::read_to_string(format!("/proc/{}/cmdline", lab.processes["etcd"])).expect("etcd runs");
    let mut words = etcd.split('\0');
    words.find(|word| *word == "--listen-client-urls").expect("etcd is told where to listen");
    let host = words.next().expect("an address").trim_start_matches("http://").to_owned();
    let body = json!({ "revision": revision }).to_string();
    let mut stream = TcpStream::connect(&host).expect("etcd listens");
    write!(
        stream,
        "POST /v3/kv/compaction HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("etcd reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("etcd answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_page_that_comes_too_late_has_expired() {
    // Of its own: the others' pages are not to expire.
    let Some(lab) = lab::Cluster::start("") else { return };
    let cluster = client(&lab).await;
    lab.namespace("expired");
    for n in 0..3 {
        let name = format!("c{n}");
        cluster.apply(&configmap("expired", &name), &holding("expired", &name, "x"), &how()).await.expect("made");
    }
    let query = Query { namespace: Some("expired".into()), limit: 1, ..Query::default() };
    let page = cluster.list(&configmaps(), &query).await.expect("the first page");
    let made = cluster.apply(&configmap("expired", "d"), &holding("expired", "d", "x"), &how()).await.expect("made");
    compact(&lab, made["metadata"]["resourceVersion"].as_str().expect("a version"));
    // A server that has just started has no old lists in its memory.
    lab.tell("kill apiserver");
    lab.tell("start apiserver");
    let late = cluster.list(&configmaps(), &Query { next: page.next, ..query }).await.expect_err("too late");
    assert_eq!((late.class, late.code.as_str()), (Class::Transient, "Expired"), "{late}");
}

#[tokio::test]
async fn a_server_that_was_killed_is_waited_for() {
    let Some(lab) = lab::Cluster::start("") else { return };
    let cluster = client(&lab).await;
    lab.namespace("killed");
    lab.tell("kill apiserver");
    let lost = cluster.get(&configmap("killed", "a")).await.expect_err("nobody answers");
    assert_eq!(lost.class, Class::Transient, "{lost}");
    lab.tell("start apiserver");
    assert_eq!(cluster.get(&configmap("killed", "a")).await.expect_err("it answers").class, Class::NotFound);
    // A server that has lost its store answers, and says so.
    lab.tell("kill etcd");
    let body = holding("killed", "a", "x");
    let lost = cluster.apply(&configmap("killed", "a"), &body, &how()).await.expect_err("nothing can be kept");
    assert_eq!(lost.failure.class, Class::Transient, "{lost:?}");
    lab.tell("start etcd");
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_is_named() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("hooked");
    let hook = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hooked"}, "webhooks": [{
            "name": "guard.lab.example", "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1, "clientConfig": {"url": "https://127.0.0.1:1/"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "hooked"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}]});
    lab.kubectl_with("create -f -", &hook.to_string());
    // The server takes a moment to hear of it.
    let mut refusal = None;
    for n in 0..1_000 {
        let name = format!("a{n}");
        refusal = cluster.apply(&configmap("hooked", &name), &holding("hooked", &name, "x"), &how()).await.err();
        if refusal.is_some() {
            break;
        }
    }
    let refusal = refusal.expect("it is asked in the end");
    assert_eq!(refusal.failure.class, Class::Transient, "{refusal:?}");
    assert!(refusal.failure.says.contains("until the webhook `guard.lab.example` answers"), "{refusal:?}");
}

#[tokio::test]
async fn a_namespace_on_its_way_out_takes_nothing_new() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("ending");
    let mut held = holding("ending", "held", "x");
    held["metadata"]["finalizers"] = json!(["lab.example/held"]);
    cluster.apply(&configmap("ending", "held"), &held, &how()).await.expect("made");
    lab.kubectl("delete namespace ending --wait=false");
    let refusal = cluster.apply(&configmap("ending", "new"), &holding("ending", "new", "x"), &how()).await;
    let refusal = refusal.expect_err("it is ending");
    assert_eq!(
        (refusal.failure.class, refusal.failure.code.as_str()),
        (Class::Busy, "NamespaceTerminating"),
        "{refusal:?}"
    );
    cluster
        .patch(&configmap("ending", "held"), &json!({"metadata": {"finalizers": null}}), "evenkeel")
        .await
        .expect("free");
}

#[tokio::test]
async fn a_group_whose_server_is_down_is_broken_and_not_absent() {
    // Of its own: a broken group is seen by everybody.
    let Some(lab) = lab::Cluster::start("") else { return };
    let cluster = client(&lab).await;
    let sound = cluster.discover().await.expect("all groups");
    assert_eq!(sound.broken.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.metrics.example"}, "spec": {
            "group": "metrics.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"namespace": "default", "name": "nobody"}}});
    lab.kubectl_with("create -f -", &service.to_string());
    lab.kubectl("wait apiservice/v1.metrics.example --for=condition=Available=false --timeout=60s");
    let mut all = sound.clone();
    for _ in 0..2_000 {
        all = cluster.discover().await.expect("the others");
        if !all.broken.is_empty() {
            break;
        }
    }
    assert_eq!(all.broken.keys().collect::<Vec<_>>(), ["metrics.example"]);
    assert_eq!(all.broken["metrics.example"].class, Class::Transient);
    assert_eq!(all.resources, sound.resources, "nobody else is touched");
}

#[tokio::test]
async fn a_definition_and_its_objects() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("custom");
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.harbour.example"}, "spec": {
            "group": "harbour.example", "scope": "Namespaced",
            "names": {"kind": "Boat", "listKind": "BoatList", "plural": "boats", "singular": "boat"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"sails": {"type": "integer",
                "minimum": 1}}}}}}}]}});
    let crds = Resource {
        namespaced: false,
        ..resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
    };
    let which = Which { resource: crds, namespace: String::new(), name: "boats.harbour.example".into() };
    cluster.apply(&which, &definition, &how()).await.expect("a definition");
    lab.kubectl("wait crd/boats.harbour.example --for=condition=Established --timeout=60s");

    let boats = resource("harbour.example/v1", "Boat", "boats");
    let which = Which { resource: boats.clone(), namespace: "custom".into(), name: "argo".into() };
    let boat = |sails: Json| {
        json!({"apiVersion": "harbour.example/v1", "kind": "Boat", "metadata": {"namespace": "custom", "name": "argo"},
               "spec": {"sails": sails}})
    };
    let made = cluster.apply(&which, &boat(json!(2)), &how()).await.expect("a boat");
    assert_eq!(made["spec"]["sails"], 2);
    let refusal = cluster.apply(&which, &boat(json!(0)), &how()).await.expect_err("too few sails");
    assert_eq!(
        (refusal.failure.class, refusal.causes[0].field.as_str()),
        (Class::Invalid, "spec.sails"),
        "{refusal:?}"
    );
    let mut unknown = boat(json!(2));
    unknown["spec"]["oars"] = json!(8);
    let refusal = cluster.apply(&which, &unknown, &how()).await.expect_err("no such field");
    assert_eq!(refusal.failure.class, Class::Invalid, "{refusal:?}");
    assert!(refusal.failure.says.contains("oars"), "{refusal:?}");

    let page = cluster.list(&boats, &Query::default()).await.expect("a list");
    assert_eq!((&page.items[0]["kind"], &page.items[0]["apiVersion"]), (&json!("Boat"), &json!("harbour.example/v1")));
    lab.kubectl("delete crd boats.harbour.example");
    let refused = cluster.list(&boats, &Query::default()).await.expect_err("it is not served any more");
    assert_eq!(refused.code, "NotServed", "{refused}");
}
