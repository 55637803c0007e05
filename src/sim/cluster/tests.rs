//! What the sim's Kubernetes promises, told as stories on a world of its own each.

mod applying;
mod defaults;
mod deleting;
mod faults;
mod hands;
mod laws;
mod lists;
mod managers;
mod nodes;
mod refusals;
mod rollouts;
mod spaces;
mod workloads;

use std::time::Duration;

use evenkeel_core::applyset::STACK;
use evenkeel_core::failure::Class;
use evenkeel_engine::clock::Clock;
use evenkeel_kubernetes::api::{Cluster, ClusterRead, Deletion, How, Propagation, Query, Refusal, Resource, Which};
use serde_json::{Value as Json, json};

use super::SimCluster;
use super::object::{at, items, text};
use crate::{Sim, World, runtime};

/// Runs a story in virtual time, on a fresh world in memory.
fn story<F: Future<Output = ()>>(tell: impl FnOnce(Tale) -> F) {
    story_in(World::founding(7), tell);
}

/// The same in this world.
fn story_in<F: Future<Output = ()>>(world: World, tell: impl FnOnce(Tale) -> F) {
    runtime().expect("a runtime").block_on(async {
        let sim = Sim::new(world);
        let kube = sim.cluster(super::DEFAULT).expect("a world in memory");
        tell(Tale { sim, kube }).await;
    });
}

/// A world and its cluster.
#[derive(Clone)]
struct Tale {
    sim: Sim,
    kube: SimCluster,
}

impl Tale {
    async fn wait(&self, seconds: u64) {
        self.sim.clock().sleep(Duration::from_secs(seconds)).await;
    }

    /// Applies as a manager, without force.
    async fn try_apply(&self, manager: &str, body: &Json) -> Result<Json, Refusal> {
        self.kube.apply(&which(body), body, &How { manager: manager.into(), force: false }).await
    }

    async fn apply(&self, body: &Json) -> Json {
        self.try_apply("evenkeel", body).await.unwrap_or_else(|r| panic!("{body}: {r:?}"))
    }

    async fn force(&self, manager: &str, body: &Json) -> Json {
        let how = How { manager: manager.into(), force: true };
        self.kube.apply(&which(body), body, &how).await.unwrap_or_else(|r| panic!("{body}: {r:?}"))
    }

    /// The object as it is now, if it is there.
    async fn find(&self, body: &Json) -> Option<Json> {
        match self.kube.get(&which(body)).await {
            Ok(object) => Some(object),
            Err(failure) if failure.class == Class::NotFound => None,
            Err(failure) => panic!("{failure}"),
        }
    }

    async fn look(&self, body: &Json) -> Json {
        self.find(body).await.unwrap_or_else(|| panic!("{body} is not there"))
    }

    /// Deletes in the background.
    async fn delete(&self, body: &Json) -> Result<(), Refusal> {
        let how = Deletion { uid: String::new(), propagation: Propagation::Background };
        self.kube.delete(&which(body), &how).await
    }

    /// The names of all objects of a kind, in every namespace.
    async fn names(&self, version: &str, kind: &str) -> Vec<String> {
        let query = Query { limit: 500, ..Query::default() };
        let page = self.kube.list(&resource(version, kind, ""), &query).await.expect("a list");
        page.items.iter().map(|o| text(o, &["metadata", "name"]).to_owned()).collect()
    }
}

impl Tale {
    /// The pods of an app in `default`, with their phases' reasons.
    async fn pods(&self, app: &str) -> Vec<Json> {
        let query = Query { selector: format!("app={app}"), limit: 500, ..Query::default() };
        self.kube.list(&resource("v1", "Pod", ""), &query).await.expect("a list").items
    }

    /// How many of them serve.
    async fn serving(&self, app: &str) -> usize {
        self.pods(app).await.iter().filter(|p| truth(p, "Ready")).count()
    }
}

/// Whether a condition is true.
fn truth(object: &Json, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| c["status"] == "True")
}

fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    items(object, &["status", "conditions"]).iter().find(|c| text(c, &["type"]) == kind)
}

/// What a pod's first container waits for.
fn waits(pod: &Json) -> &str {
    items(pod, &["status", "containerStatuses"]).first().map_or("", |s| text(s, &["state", "waiting", "reason"]))
}

/// Where an object is asked for.
fn which(body: &Json) -> Which {
    let metadata = |field: &str| text(body, &["metadata", field]).to_owned();
    let resource = resource(text(body, &["apiVersion"]), text(body, &["kind"]), &metadata("namespace"));
    Which { resource, namespace: metadata("namespace"), name: metadata("name") }
}

fn resource(version: &str, kind: &str, namespace: &str) -> Resource {
    Resource {
        api_version: version.into(),
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
        namespaced: !namespace.is_empty(),
        verbs: vec![],
    }
}

/// A config map in `default` with these entries, marked as ours.
fn config(name: &str, data: Json) -> Json {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "default", "labels": { STACK: "7f3kq2x9" } },
        "data": data,
    })
}

/// A deployment in `default`, marked as ours.
fn deployment(name: &str, replicas: u32, image: &str) -> Json {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "default", "labels": { STACK: "7f3kq2x9" } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": image }] },
            },
        },
    })
}

/// A service in `default`, marked as ours.
fn service(name: &str, port: u32) -> Json {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "default", "labels": { STACK: "7f3kq2x9" } },
        "spec": { "selector": { "app": name }, "ports": [{ "port": port }] },
    })
}

/// The class and code of a refusal.
fn why<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> (Class, String) {
    let refusal = answer.expect_err("it should have been refused");
    (refusal.failure.class, refusal.failure.code)
}

/// An entry of `managedFields`, by manager.
fn entry<'a>(object: &'a Json, manager: &str) -> Option<&'a Json> {
    items(object, &["metadata", "managedFields"]).iter().find(|e| text(e, &["manager"]) == manager)
}

/// Whether a manager holds a path of FieldsV1.
fn holds(object: &Json, manager: &str, path: &[&str]) -> bool {
    entry(object, manager).is_some_and(|e| at(&e["fieldsV1"], path).is_some())
}
