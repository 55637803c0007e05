//! What a server serves: in two requests where it knows aggregated discovery (since 1.26), else group by group.
//!
//! A group whose server is down is told as broken and never left out in silence: what is not known is not absent.

use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::{Discovered, Resource};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList, APIVersions};
use kube::client::{APIGroupDiscoveryList, APIVersionDiscovery};
use serde_json::Value as Json;

use crate::client::KubeCluster;
use crate::request::{Accept, Asked, segment};
use crate::{errors, limits};

/// The roots: the core group, and all others.
const ROOTS: [&str; 2] = ["/api", "/apis"];

pub(crate) async fn discover(cluster: &KubeCluster) -> Result<Discovered, Failure> {
    let mut all = Discovered::default();
    for root in ROOTS {
        let asked = Asked::get(root).accepting(Accept::Discovery);
        let says = asked.says.clone();
        let answer = cluster.json(asked).await.map_err(|refusal| refusal.failure)?;
        let unreadable = |e: serde_json::Error| errors::misread(&says, e);
        match answer["kind"].as_str() {
            Some("APIGroupDiscoveryList") => {
                let list = serde_json::from_value(answer).map_err(unreadable)?;
                aggregated(&list, &mut all);
            }
            _ => by_group(cluster, versions(root, answer).map_err(unreadable)?, &mut all).await?,
        }
    }
    Ok(all)
}

/// All groups of one root in one answer. Versions come with the preferred one first.
fn aggregated(list: &APIGroupDiscoveryList, all: &mut Discovered) {
    for group in &list.items {
        let name = group.metadata.as_ref().and_then(|meta| meta.name.clone()).unwrap_or_default();
        for version in &group.versions {
            let Some(called) = version.version.as_deref() else { continue };
            let api_version = if name.is_empty() { called.to_owned() } else { format!("{name}/{called}") };
            // A stale answer is an old one, or none: the group's own server could not be asked.
            if version.freshness.as_deref() == Some("Stale") {
                let words = format!(
                    "{api_version} could not be asked what it serves: its own API server is down (see `kubectl get \
                     apiservice {called}.{name}`)"
                );
                all.broken.entry(name.clone()).or_insert_with(|| Failure::new(Class::Transient, "Stale", words));
                continue;
            }
            all.resources.extend(resources(&api_version, version));
        }
    }
}

fn resources(api_version: &str, version: &APIVersionDiscovery) -> Vec<Resource> {
    let one = |resource: &kube::client::APIResourceDiscovery| {
        let kind = resource.response_kind.as_ref()?.kind.clone().filter(|kind| !kind.is_empty())?;
        resource.verbs.iter().any(|verb| verb == "list").then_some(())?;
        Some(Resource {
            api_version: api_version.to_owned(),
            kind,
            plural: resource.resource.clone()?,
            namespaced: resource.scope.as_deref() == Some("Namespaced"),
            verbs: resource.verbs.clone(),
        })
    };
    version.resources.iter().filter_map(one).collect()
}

/// One version of a group, in the discovery of old.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    group: String,
    api_version: String,
}

/// The versions under a root, the preferred one of each group first.
fn versions(root: &str, answer: Json) -> Result<Vec<Version>, serde_json::Error> {
    if root == "/api" {
        let core: APIVersions = serde_json::from_value(answer)?;
        return Ok(core
            .versions
            .into_iter()
            .map(|api_version| Version { group: String::new(), api_version })
            .collect());
    }
    let list: APIGroupList = serde_json::from_value(answer)?;
    let mut all = vec![];
    for group in list.groups {
        let preferred = group.preferred_version.map(|one| one.group_version);
        let mut named: Vec<String> = group.versions.into_iter().map(|one| one.group_version).collect();
        // Stable: the others keep the server's order.
        named.sort_by_key(|one| Some(one) != preferred.as_ref());
        all.extend(named.into_iter().map(|api_version| Version { group: group.name.clone(), api_version }));
    }
    Ok(all)
}

/// One request for each version of each group. A version that cannot be asked breaks its group and no other.
async fn by_group(cluster: &KubeCluster, versions: Vec<Version>, all: &mut Discovered) -> Result<(), Failure> {
    let asked = versions.into_iter().map(|version| async move {
        match resources_of(cluster, &version.api_version).await {
            Ok(resources) => Ok((version.group, Ok(resources))),
            // These credentials will not do for the next group either.
            Err(failure) if failure.class == Class::Credentials => Err(failure),
            Err(failure) => Ok((version.group, Err(failure))),
        }
    });
    let answers: Vec<_> = stream::iter(asked).buffered(limits::GROUPS_AT_ONCE).try_collect().await?;
    for (group, answer) in answers {
        match answer {
            Ok(resources) => all.resources.extend(resources),
            Err(failure) => {
                all.broken.entry(group).or_insert(failure);
            }
        }
    }
    Ok(())
}

async fn resources_of(cluster: &KubeCluster, api_version: &str) -> Result<Vec<Resource>, Failure> {
    let path = match api_version.split_once('/') {
        Some((group, version)) => format!("/apis/{}/{}", segment(group)?, segment(version)?),
        None => format!("/api/{}", segment(api_version)?),
    };
    let asked = Asked::get(path);
    let says = asked.says.clone();
    let answer = cluster.json(asked).await.map_err(|refusal| refusal.failure)?;
    let list: APIResourceList = serde_json::from_value(answer).map_err(|e| errors::misread(&says, e))?;
    // A subresource has a slash in its name.
    let own = list.resources.into_iter().filter(|one| !one.name.contains('/') && one.verbs.iter().any(|v| v == "list"));
    let resource = own.map(|one| Resource {
        api_version: api_version.to_owned(),
        kind: one.kind,
        plural: one.name,
        namespaced: one.namespaced,
        verbs: one.verbs,
    });
    Ok(resource.collect())
}

#[cfg(test)]
mod tests;
