//! The reading half.
//!
//! A list leaves `apiVersion` and `kind` out of its items; they are put back here and nothing else is touched.

use async_trait::async_trait;
use evenkeel_core::failure::Failure;
use evenkeel_kubernetes::api::{ClusterRead, Discovered, How, Page, Query, Refusal, Resource, Which};
use http::Method;
use serde_json::Value as Json;

use crate::client::KubeCluster;
use crate::request::{Accept, Asked, segment};
use crate::{change, discover, errors, limits};

#[async_trait]
impl ClusterRead for KubeCluster {
    fn place(&self) -> String {
        self.called().to_owned()
    }

    async fn version(&self) -> Result<String, Failure> {
        let asked = Asked::get("/version");
        let says = asked.says.clone();
        let answer = self.json(asked).await.map_err(|refusal| refusal.failure)?;
        match answer["gitVersion"].as_str() {
            Some(version) => Ok(version.to_owned()),
            None => Err(errors::misread(&says, "it names no `gitVersion`")),
        }
    }

    async fn discover(&self) -> Result<Discovered, Failure> {
        discover::discover(self).await
    }

    async fn list(&self, resource: &Resource, query: &Query) -> Result<Page, Failure> {
        let asked = Asked::page(resource, query)?;
        let says = asked.says.clone();
        let answer = self.json(asked).await.map_err(|refusal| refusal.failure)?;
        page(answer, resource).map_err(|what| errors::misread(&says, what))
    }

    async fn get(&self, which: &Which) -> Result<Json, Failure> {
        let asked = Asked::about(Method::GET, "get", which)?;
        self.json(asked).await.map_err(|refusal| refusal.failure)
    }

    async fn rehearse(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal> {
        self.json(change::application("rehearse", which, body, how)?.with("dryRun", "All")).await
    }

    async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<String, Failure> {
        let path = format!("/api/v1/namespaces/{}/pods/{}/log", segment(namespace)?, segment(pod)?);
        let mut asked = Asked::new(Method::GET, format!("read the log of {container} in Pod {namespace}/{pod}"), path)
            .accepting(Accept::Text)
            .with("container", container)
            .with("tailLines", lines.to_string())
            .with("limitBytes", limits::LOG.to_string());
        if previous {
            asked = asked.with("previous", "true");
        }
        let text = self.send(asked).await.map_err(|refusal| refusal.failure)?;
        // A program may print anything.
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The page in a list's answer.
fn page(mut answer: Json, resource: &Resource) -> Result<Page, String> {
    let next = answer["metadata"]["continue"].as_str().filter(|next| !next.is_empty()).map(str::to_owned);
    let mut items = match answer.get_mut("items").map(Json::take) {
        Some(Json::Array(items)) => items,
        // Go writes an empty list that was never made as null.
        Some(Json::Null) => vec![],
        Some(_) | None => return Err("it has no `items`".into()),
    };
    for item in &mut items {
        let Json::Object(item) = item else { return Err("an item is no object".into()) };
        item.entry("apiVersion").or_insert_with(|| resource.api_version.clone().into());
        item.entry("kind").or_insert_with(|| resource.kind.clone().into());
    }
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests;
