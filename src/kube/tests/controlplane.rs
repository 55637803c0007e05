//! The real client against a real API server: every method of the traits, and every refusal that can be had there.
//! kubectl makes what happens behind our back and is the witness of what we did.
//!
//! `tests/run` sets `EVENKEEL_TEST_CONTROLPLANE` to the lab's launcher; without it these tests say so and pass as skipped.

#[path = "../../../tests/lab/controlplane.rs"]
mod lab;
#[path = "controlplane/refusals.rs"]
mod refusals;
#[path = "controlplane/trouble.rs"]
mod trouble;

use std::collections::BTreeSet;
use std::path::Path;

use evenkeel_core::failure::Class;
use evenkeel_kube::{KubeCluster, Settings, connect};
use evenkeel_kubernetes::api::{Cluster, ClusterRead, Deletion, How, Propagation, Query, Resource, Which};
use serde_json::{Value as Json, json};

/// As the cluster's admin.
async fn client(lab: &lab::Cluster) -> KubeCluster {
    with(&lab.kubeconfig).await
}

async fn with(kubeconfig: &Path) -> KubeCluster {
    let settings = Settings { kubeconfig: Some(kubeconfig.to_owned()), ..Settings::default() };
    connect(settings).await.expect("the lab's kubeconfig")
}

fn resource(api_version: &str, kind: &str, plural: &str) -> Resource {
    Resource {
        api_version: api_version.into(),
        kind: kind.into(),
        plural: plural.into(),
        namespaced: true,
        verbs: vec!["list".into()],
    }
}

fn configmaps() -> Resource {
    resource("v1", "ConfigMap", "configmaps")
}

fn configmap(namespace: &str, name: &str) -> Which {
    Which { resource: configmaps(), namespace: namespace.into(), name: name.into() }
}

fn deployment(namespace: &str, name: &str) -> Which {
    let resource = resource("apps/v1", "Deployment", "deployments");
    Which { resource, namespace: namespace.into(), name: name.into() }
}

fn how() -> How {
    How { manager: "evenkeel".into(), force: false }
}

/// A ConfigMap with one value.
fn holding(namespace: &str, name: &str, value: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name},
           "data": {"key": value}})
}

/// A Deployment without pods.
fn web(namespace: &str, label: &str, replicas: u32) -> Json {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": namespace, "name": "web"}, "spec": {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": label}},
        "template": {"metadata": {"labels": {"app": label}},
                     "spec": {"containers": [{"name": "app", "image": "lab.example/busybox:1"}]}}}})
}

#[tokio::test]
async fn the_server_tells_its_version_and_every_kind_that_kubectl_sees() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    let version = cluster.version().await.expect("a version");
    assert!(version.starts_with("v1.37."), "{version}");

    let all = cluster.discover().await.expect("all groups");
    let ours: BTreeSet<String> = all.resources.iter().map(|one| format!("{}.{}", one.plural, one.group())).collect();
    let theirs = lab.kubectl("api-resources --verbs=list -o name");
    let theirs: BTreeSet<String> =
        theirs.lines().map(|line| if line.contains('.') { line.to_owned() } else { format!("{line}.") }).collect();
    // Tests beside this one define kinds of their own meanwhile.
    let built_in = |names: &BTreeSet<String>| names.iter().filter(|one| !one.ends_with(".example")).cloned().collect();
    let (ours, theirs): (BTreeSet<String>, BTreeSet<String>) = (built_in(&ours), built_in(&theirs));
    assert_eq!(ours, theirs);
    assert!(ours.len() >= 60, "{} kinds", ours.len());

    let web = all.resources.iter().find(|one| one.group_kind() == "Deployment.apps").expect("Deployments");
    assert_eq!((web.api_version.as_str(), web.plural.as_str(), web.namespaced), ("apps/v1", "deployments", true));
    assert!(["list", "get", "patch", "delete"].iter().all(|verb| web.verbs.iter().any(|own| own == verb)), "{web:?}");
    let scalers = all.resources.iter().filter(|one| one.group_kind() == "HorizontalPodAutoscaler.autoscaling");
    let versions: Vec<_> = scalers.map(|one| one.api_version.as_str()).collect();
    assert_eq!(versions, ["autoscaling/v2", "autoscaling/v1"], "the preferred one stands first");
    let node = all.resources.iter().find(|one| one.group_kind() == "Node").expect("Nodes");
    assert!(!node.namespaced);
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_each_object_knows_its_kind() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("pages");
    for n in 0..5 {
        lab.kubectl(&format!("--namespace pages create configmap c{n} --from-literal=n={n}"));
        lab.kubectl(&format!("--namespace pages label configmap c{n} kind=odd-{}", n % 2));
    }
    let (mut names, mut sizes, mut next) = (vec![], vec![], None);
    loop {
        let query =
            Query { namespace: Some("pages".into()), selector: "kind".into(), limit: 2, next, ..Query::default() };
        let page = cluster.list(&configmaps(), &query).await.expect("a page");
        sizes.push(page.items.len());
        for item in &page.items {
            assert_eq!((&item["apiVersion"], &item["kind"]), (&json!("v1"), &json!("ConfigMap")));
            names.push(item["metadata"]["name"].as_str().expect("a name").to_owned());
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((sizes, names.join(" ")), (vec![2, 2, 1], "c0 c1 c2 c3 c4".into()));

    let query = Query { namespace: None, selector: "kind in (odd-1),kind!=odd-0".into(), ..Query::default() };
    let page = cluster.list(&configmaps(), &query).await.expect("in every namespace");
    assert_eq!((page.items.len(), page.next), (2, None));

    let whole = cluster.get(&configmap("pages", "c3")).await.expect("one object");
    assert_eq!((&whole["kind"], &whole["data"]["n"]), (&json!("ConfigMap"), &json!("3")));
    let gone = cluster.get(&configmap("pages", "c9")).await.expect_err("nobody made it");
    assert_eq!((gone.class, gone.code.as_str()), (Class::NotFound, "NotFound"));
}

#[tokio::test]
async fn an_apply_makes_changes_and_leaves_alone() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("apply");
    let which = configmap("apply", "a");

    let would = cluster.rehearse(&which, &holding("apply", "a", "one"), &how()).await.expect("a rehearsal");
    assert_eq!(would["data"]["key"], "one");
    assert_eq!(cluster.get(&which).await.expect_err("nothing was written").class, Class::NotFound);

    let made = cluster.apply(&which, &holding("apply", "a", "one"), &how()).await.expect("made");
    let fields = &made["metadata"]["managedFields"][0];
    assert_eq!((&fields["manager"], &fields["operation"]), (&json!("evenkeel"), &json!("Apply")));
    let same = cluster.apply(&which, &holding("apply", "a", "one"), &how()).await.expect("the same again");
    assert_eq!(same, made, "nothing changes, not even its version");

    let would = cluster.rehearse(&which, &holding("apply", "a", "two"), &how()).await.expect("a rehearsal");
    assert_eq!(would["data"]["key"], "two");
    assert_eq!(lab.get("--namespace apply configmap a")["data"]["key"], "one");
    cluster.apply(&which, &holding("apply", "a", "two"), &how()).await.expect("changed");
    assert_eq!(lab.get("--namespace apply configmap a")["data"]["key"], "two");
    // What is not declared any more goes.
    let less = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "apply", "name": "a"}});
    cluster.apply(&which, &less, &how()).await.expect("changed");
    assert_eq!(lab.get("--namespace apply configmap a").get("data"), None);

    // A bare PATCH also changes what has no namespace.
    let resource = Resource { namespaced: false, ..resource("v1", "Namespace", "namespaces") };
    let which = Which { resource, namespace: String::new(), name: "applied".into() };
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "applied"}});
    cluster.apply(&which, &body, &how()).await.expect("a namespace");
    assert_eq!(lab.get("namespace applied")["metadata"]["name"], "applied");
}

#[tokio::test]
async fn a_merge_patch_changes_what_it_names_as_its_manager() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("patch");
    lab.kubectl("--namespace patch create configmap a --from-literal=one=1 --from-literal=two=2");
    let patch = json!({"data": {"one": null, "three": "3"}});
    let patched = cluster.patch(&configmap("patch", "a"), &patch, "evenkeel").await.expect("patched");
    assert_eq!(patched["data"], json!({"two": "2", "three": "3"}));
    let managers = patched["metadata"]["managedFields"].as_array().expect("managers");
    assert!(managers.iter().any(|one| one["manager"] == "evenkeel" && one["operation"] == "Update"), "{managers:?}");
    let gone = cluster.patch(&configmap("patch", "b"), &patch, "evenkeel").await.expect_err("nobody made it");
    assert_eq!(gone.failure.class, Class::NotFound, "a patch makes nothing");
}

#[tokio::test]
async fn a_deletion_hits_what_was_seen_or_nothing() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("delete");
    lab.kubectl("--namespace delete create configmap a");
    let which = configmap("delete", "a");
    let other = Deletion { uid: "11111111-2222-3333-4444-555555555555".into(), propagation: Propagation::Background };
    let refused = cluster.delete(&which, &other).await.expect_err("it is another one");
    assert_eq!((refused.failure.class, refused.failure.code.as_str()), (Class::Busy, "Conflict"), "{refused:?}");

    let uid = lab.get("--namespace delete configmap a")["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let this = Deletion { uid, propagation: Propagation::Background };
    cluster.delete(&which, &this).await.expect("taken");
    assert_eq!(cluster.delete(&which, &this).await.expect_err("it is gone").failure.class, Class::NotFound);
    assert_eq!(lab.kubectl("--namespace delete get configmap a --ignore-not-found"), "");
}

#[tokio::test]
async fn the_foreground_keeps_the_object_until_what_it_owns_is_gone() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("owners");
    let which = configmap("owners", "a");
    let made = cluster.apply(&which, &holding("owners", "a", "x"), &how()).await.expect("made");
    let uid = made["metadata"]["uid"].as_str().expect("a uid").to_owned();
    // The garbage collector waits for an owned object that itself is held.
    let mut owned = holding("owners", "b", "x");
    owned["metadata"]["finalizers"] = json!(["lab.example/held"]);
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": uid, "blockOwnerDeletion": true}]);
    cluster.apply(&configmap("owners", "b"), &owned, &how()).await.expect("made");
    cluster.delete(&which, &Deletion { uid, propagation: Propagation::Foreground }).await.expect("taken");
    let still = cluster.get(&which).await.expect("it waits");
    assert_eq!(still["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(still["metadata"]["deletionTimestamp"].is_string());
    let free = json!({"metadata": {"finalizers": null}});
    cluster.patch(&configmap("owners", "b"), &free, "evenkeel").await.expect("let go");
    lab.kubectl("--namespace owners wait configmap/a --for=delete --timeout=60s");
}

#[tokio::test]
async fn a_log_is_read_from_a_real_node() {
    let Some(lab) = lab::Cluster::start("--real-nodes 1") else { return };
    let cluster = client(&lab).await;
    lab.namespace("log");
    let script = "i=1; while [ $i -le 9 ]; do echo line $i; i=$((i+1)); done; sleep 1; exit 3";
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "log", "name": "a"}, "spec": {
        "containers": [{"name": "app", "image": "lab.example/busybox:1", "command": ["sh", "-c", script]}]}});
    let pods = resource("v1", "Pod", "pods");
    let which = Which { resource: pods, namespace: "log".into(), name: "a".into() };
    cluster.apply(&which, &pod, &how()).await.expect("a pod");
    lab.kubectl(
        "--namespace log wait pod/a --for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=3 \
         --timeout=120s",
    );
    let log = cluster.log("log", "a", "app", true, 2).await.expect("the crashed one's");
    assert_eq!(log, "line 8\nline 9\n");
    let missing = cluster.log("log", "a", "other", false, 2).await.expect_err("no such container");
    assert_eq!(missing.class, Class::Invalid, "{missing}");
    let missing = cluster.log("log", "b", "app", false, 2).await.expect_err("no such pod");
    assert_eq!(missing.class, Class::NotFound, "{missing}");
}
