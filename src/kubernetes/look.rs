//! The fresh look at single objects that a wait needs: is it there, is it ready, and if not, why.
//!
//! An id is an object's name, `Deployment.apps/shop/web`; with `@uid` behind it, that one object and no later one of
//! the same name; with `#condition=Synced` behind it, what the file asks to be waited for.
//! The id of a machine (`i-0abc`) is the node that stands on it.

use std::collections::BTreeSet;

use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset;
use evenkeel_core::failure::Failure;
use evenkeel_core::objects::readiness::{Readiness, WaitFor, leaving, readiness};
use evenkeel_core::observed::{Object, Phase};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::api::ClusterRead;
use crate::limits::AT_ONCE;
use crate::node::answer;
use crate::read::{KubernetesEyes, which};

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// These objects; those that are not there are missing from the answer.
    pub(crate) async fn look_at(&self, scope: &str, ids: &BTreeSet<String>) -> Result<Vec<Object>, Failure> {
        let (machines, names): (BTreeSet<&String>, Vec<&String>) = {
            let (machines, names): (Vec<_>, Vec<_>) = ids.iter().partition(|id| is_machine(id));
            (machines.into_iter().collect(), names)
        };
        let looks: Vec<_> = names.into_iter().map(|id| self.one(scope, id)).collect();
        let looks: Vec<Result<Option<Object>, Failure>> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        let all: Result<Vec<Option<Object>>, Failure> = looks.into_iter().collect();
        let mut all: Vec<Object> = all?.into_iter().flatten().collect();
        if !machines.is_empty() {
            all.extend(self.joined(scope, &machines).await?);
        }
        Ok(all)
    }

    async fn one(&self, scope: &str, id: &str) -> Result<Option<Object>, Failure> {
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
        let (phase, says) = self.state(&name, &body, asked.as_ref()).await;
        let created = applyset::text(&body, "creationTimestamp").parse().unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Some(answer(scope, id, created, phase, says)))
    }

    async fn state(&self, name: &ObjectName, body: &Json, asked: Option<&WaitFor>) -> (Phase, String) {
        if let Some(says) = leaving(body) {
            return (Phase::Leaving, says);
        }
        match asked.map_or_else(|| readiness(body), |asked| asked.check(body)) {
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

    /// A definition that is established may still not be served.
    async fn unserved(&self, name: &ObjectName, body: &Json) -> Option<String> {
        if name.group_kind() != "CustomResourceDefinition.apiextensions.k8s.io" {
            return None;
        }
        let of = |path: [&str; 3]| path.iter().try_fold(body, |at, key| at.get(key))?.as_str();
        let kind = of(["spec", "names", "kind"])?;
        let group = body.get("spec")?.get("group")?.as_str()?;
        let catalog = self.discover().await.ok()?;
        catalog.preferred(&format!("{kind}.{group}")).is_none().then(|| "established, not served yet".to_owned())
    }
}

/// Whether an id is a machine's, of which its node is looked at; an object's has a slash.
fn is_machine(id: &str) -> bool {
    id.starts_with("i-") && !id.contains('/')
}
