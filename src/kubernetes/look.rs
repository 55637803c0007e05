//! The fresh look at single objects that a wait needs: is it there, is it ready, and if not, why.
//!
//! An id is an object's name, `Deployment.apps/shop/web`; with `@uid` behind it, that one object and no later one of
//! the same name; with `#condition=Synced` behind it, what the file asks to be waited for.
//! The id of a machine (`i-0abc`) is the node that stands on it.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset;
use evenkeel_core::failure::Failure;
use evenkeel_core::objects::readiness::{Readiness, WaitFor, class_of, leaving, readiness, served, unbound};
use evenkeel_core::observed::{Object, Phase};
use evenkeel_engine::provider::Looked;
use futures::lock::Mutex;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::api::{ClusterRead, Which};
use crate::catalog::Catalog;
use crate::limits::AT_ONCE;
use crate::node::answer;
use crate::read::{KubernetesEyes, which};

/// What one look has learnt of storage classes, by name: how each binds its claims.
type Classes = Mutex<BTreeMap<String, Option<String>>>;

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// These objects, each by itself; those that are not there are missing from the answer.
    pub(crate) async fn look_at(&self, scope: &str, ids: &BTreeSet<String>) -> Looked {
        let (machines, names): (BTreeSet<&String>, Vec<&String>) = {
            let (machines, names): (Vec<_>, Vec<_>) = ids.iter().partition(|id| is_machine(id));
            (machines.into_iter().collect(), names)
        };
        let classes = Classes::default();
        let looks: Vec<_> = names.iter().map(|id| self.one(scope, id, &classes)).collect();
        let looks: Vec<Result<Option<Object>, Failure>> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        let mut all = Looked::default();
        for (id, look) in names.into_iter().zip(looks) {
            match look {
                Ok(object) => all.objects.extend(object),
                Err(failure) => drop(all.unseen.insert(id.clone(), failure)),
            }
        }
        if !machines.is_empty() {
            match self.joined(scope, &machines).await {
                Ok(joined) => all.objects.extend(joined),
                Err(failure) => all.unseen.extend(machines.into_iter().map(|id| (id.clone(), failure.clone()))),
            }
        }
        all
    }

    async fn one(&self, scope: &str, id: &str, classes: &Classes) -> Result<Option<Object>, Failure> {
        let (name, asked) = id.split_once('#').map_or((id, None), |(name, asked)| (name, WaitFor::parse(asked).ok()));
        let (name, uid) = name.split_once('@').map_or((name, None), |(name, uid)| (name, Some(uid)));
        let Ok(name) = name.parse::<ObjectName>() else { return Ok(None) };
        let mut catalog = self.catalog().await?;
        if catalog.preferred(&name.group_kind()).is_none() {
            catalog = self.discover().await?;
        }
        let Some(resource) = catalog.find(&name.group_kind())? else { return Ok(None) };
        let Some(body) = self.get(&which(resource, &name)).await? else { return Ok(None) };
        if uid.is_some_and(|uid| uid != applyset::text(&body, "uid")) {
            return Ok(None);
        }
        let (phase, says) = self.state(&name, &body, asked.as_ref(), classes).await;
        let created = applyset::text(&body, "creationTimestamp").parse().unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Some(answer(scope, id, created, phase, says)))
    }

    async fn state(
        &self,
        name: &ObjectName,
        body: &Json,
        asked: Option<&WaitFor>,
        classes: &Classes,
    ) -> (Phase, String) {
        if let Some(says) = leaving(body) {
            return (Phase::Leaving, says);
        }
        let state = match (asked, class_of(body)) {
            (Some(asked), _) => asked.check(body),
            (None, Some(class)) => unbound(body, self.known_binding(class, classes).await.as_deref()),
            (None, None) => readiness(body),
        };
        match state {
            Readiness::Ready | Readiness::Unknown => match self.unserved(name, body).await {
                Some(says) => (Phase::Starting, says),
                None => (Phase::Up, String::new()),
            },
            Readiness::Progressing { says } => (Phase::Starting, self.with_trouble(body, says).await),
            Readiness::Stuck { says, why } => {
                // A job that has failed is over; anything else may still come right when a person mends it.
                let phase = if name.group_kind() == "Job.batch" { Phase::Failed } else { Phase::Starting };
                (phase, self.with_trouble(body, format!("{says}, {why}")).await)
            }
        }
    }

    /// How a storage class binds its claims; `None` where it is not there, or may not be read.
    pub(crate) async fn binding(&self, class: &str) -> Option<String> {
        if class.is_empty() {
            return None;
        }
        let catalog = self.catalog().await.ok()?;
        let resource = catalog.preferred("StorageClass.storage.k8s.io")?.clone();
        let which = Which { resource, namespace: String::new(), name: class.to_owned() };
        let class = self.get(&which).await.ok()??;
        Some(class.get("volumeBindingMode").and_then(Json::as_str).unwrap_or("Immediate").to_owned())
    }

    /// The same, asked once in a look: the claims of a class that look at the same time wait for the first one's answer.
    async fn known_binding(&self, class: &str, classes: &Classes) -> Option<String> {
        let mut classes = classes.lock().await;
        if let Some(known) = classes.get(class) {
            return known.clone();
        }
        let binding = self.binding(class).await;
        classes.insert(class.to_owned(), binding.clone());
        binding
    }

    /// A definition that is established may still not be served, or not in the version that it has gained.
    async fn unserved(&self, name: &ObjectName, body: &Json) -> Option<String> {
        if name.group_kind() != "CustomResourceDefinition.apiextensions.k8s.io" {
            return None;
        }
        let spec = body.get("spec")?;
        let (kind, group) = (spec.get("names")?.get("kind")?.as_str()?, spec.get("group")?.as_str()?);
        let lacks = |catalog: &Catalog| {
            let missing = |version: &&str| catalog.exact(&format!("{group}/{version}"), kind).is_none();
            served(body).find(missing).map(|version| format!("established, not served in {version} yet"))
        };
        // What was known already may be older than the definition.
        lacks(&*self.catalog().await.ok()?)?;
        lacks(&*self.discover().await.ok()?)
    }
}

/// Whether an id is a machine's, of which its node is looked at; an object's has a slash.
fn is_machine(id: &str) -> bool {
    id.starts_with("i-") && !id.contains('/')
}
