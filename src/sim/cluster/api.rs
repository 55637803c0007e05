//! The sim speaks [`Cluster`]: each method is one wire call into the world (discovery: one for each of its roots).

use async_trait::async_trait;
use evenkeel_core::failure::Failure;
use evenkeel_kubernetes::api::{
    Cluster, ClusterRead, Deletion, Discovered, How, Page, Propagation, Query, Refusal, Resource, Which,
};
use serde_json::Value as Json;

use super::request::{Request, Verb};
use super::serve::{expired, first_page};
use super::{Body, Kube, Moment};
use crate::action::Action;
use crate::faults::Meant;
use crate::request::Request as Sent;
use crate::sim::Sim;
use crate::store::BadWorld;
use crate::world::{Cost, World};

/// A handle to one cluster of a world; clones share it, and the life of the handle it was taken from.
#[derive(Debug, Clone)]
pub struct SimCluster {
    sim: Sim,
    name: String,
}

impl Sim {
    /// The cluster of this name, founded on first use.
    ///
    /// # Errors
    /// When the world's file cannot be used.
    pub fn cluster(&self, name: &str) -> Result<SimCluster, BadWorld> {
        if self.world()?.clusters.get(name).is_none_or(|kube| kube.objects.is_empty()) {
            self.edit(|world| {
                world.cluster(name);
            })?;
        }
        Ok(SimCluster { sim: self.clone(), name: name.to_owned() })
    }
}

impl SimCluster {
    /// One call that reads.
    async fn ask<T: Send>(
        &self,
        meant: &Meant<'_>,
        work: impl Fn(&mut Kube) -> Result<T, Failure> + Send + Sync,
    ) -> Result<T, Failure> {
        self.sim.call(meant, Cost::default(), |world| work(world.cluster(&self.name)), || None).await
    }

    /// One call that changes the world.
    async fn tell(&self, which: &Which, verb: Verb) -> Result<Json, Refusal> {
        let about = about(which);
        let request = Request::new(&self.name, which, verb);
        let meant = Meant { action: request.action(), about: &about, continues: false };
        let work = |world: &mut World| world.serve(&request);
        self.sim.call(&meant, Cost::default(), work, || Some(Sent::Kubernetes(Box::new(request.clone())))).await
    }
}

/// `Deployment.apps/shop/web`
fn about(which: &Which) -> String {
    super::named(which.resource.group(), &which.resource.kind, &which.namespace, &which.name).to_string()
}

#[async_trait]
impl ClusterRead for SimCluster {
    fn place(&self) -> String {
        self.name.clone()
    }

    async fn version(&self) -> Result<String, Failure> {
        self.ask(&Action::ServerVersion.into(), |kube| Ok(kube.version.clone())).await
    }

    async fn discover(&self) -> Result<Discovered, Failure> {
        for root in ["/api", "/apis"] {
            let meant = Meant { action: Action::Discovery, about: root, continues: false };
            self.ask(&meant, |_| Ok(())).await?;
        }
        let world = self
            .sim
            .world()
            .map_err(|bad| Failure::new(evenkeel_core::failure::Class::Invalid, "WorldFile", bad.to_string()))?;
        Ok(world.clusters.get(&self.name).map(Kube::discovered).unwrap_or_default())
    }

    async fn list(&self, resource: &Resource, query: &Query) -> Result<Page, Failure> {
        let about = resource.group_kind();
        let meant = Meant { action: Action::ListObjects, about: &about, continues: query.next.is_some() };
        let work = |world: &mut World| {
            if world.weather.expire_pages {
                return Err(expired());
            }
            if world.weather.empty_page {
                return Ok(Page { items: vec![], next: Some(query.next.clone().unwrap_or_else(first_page)) });
            }
            world.cluster(&self.name).list(resource, query)
        };
        self.sim.call(&meant, Cost::default(), work, || None).await
    }

    async fn get(&self, which: &Which) -> Result<Json, Failure> {
        let about = about(which);
        let meant = Meant { action: Action::GetObject, about: &about, continues: false };
        self.ask(&meant, |kube| kube.read(which)).await
    }

    async fn rehearse(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal> {
        let about = about(which);
        let meant = Meant { action: Action::DryRunApply, about: &about, continues: false };
        let work = |world: &mut World| {
            let m = Moment { now: world.now, seed: world.seed };
            world.cluster(&self.name).apply(which, body, how, true, m)
        };
        self.sim.call(&meant, Cost::default(), work, || None).await
    }

    async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<String, Failure> {
        let about = format!("Pod/{namespace}/{pod}");
        let meant = Meant { action: Action::ReadLog, about: &about, continues: false };
        self.ask(&meant, |kube| kube.log((namespace, pod, container), previous, lines)).await
    }
}

#[async_trait]
impl Cluster for SimCluster {
    async fn apply(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal> {
        let verb = Verb::Apply { body: Body(body.clone()), manager: how.manager.clone(), force: how.force };
        self.tell(which, verb).await
    }

    async fn patch(&self, which: &Which, patch: &Json, manager: &str) -> Result<Json, Refusal> {
        let verb = Verb::Patch { patch: Body(patch.clone()), manager: manager.to_owned() };
        self.tell(which, verb).await
    }

    async fn evict(&self, pod: &Which, uid: &str) -> Result<(), Refusal> {
        self.tell(pod, Verb::Evict { uid: uid.to_owned() }).await.map(|_| ())
    }

    async fn delete(&self, which: &Which, how: &Deletion) -> Result<(), Refusal> {
        let foreground = how.propagation == Propagation::Foreground;
        self.tell(which, Verb::Delete { uid: how.uid.clone(), foreground }).await.map(|_| ())
    }
}
