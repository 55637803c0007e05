//! Why a workload is not ready: what its own pods say, with the last lines of a crashed container's log.

use evenkeel_core::objects::trouble::pod_trouble;
use serde_json::Value as Json;

use crate::api::{ClusterRead, Query};
use crate::limits::{LOG_LINES, LOG_WIDTH, PODS};
use crate::read::KubernetesEyes;
use crate::wire::call;

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// `says`, and the trouble of one of the object's pods, if it has any. What cannot be asked is left out: the words
    /// are a help, not a verdict.
    pub(crate) async fn with_trouble(&self, body: &Json, says: String) -> String {
        match self.trouble(body).await {
            Some(trouble) if says.is_empty() => trouble,
            Some(trouble) => format!("{says}: {trouble}"),
            None => says,
        }
    }

    async fn trouble(&self, body: &Json) -> Option<String> {
        let is_pod = body.get("kind").and_then(Json::as_str) == Some("Pod");
        let pods = if is_pod { vec![body.clone()] } else { self.pods(body).await? };
        let (pod, trouble) = pods.iter().find_map(|pod| Some((pod, pod_trouble(pod)?)))?;
        Some(match self.last_words(pod).await {
            Some(words) => format!("{trouble}; its log ends: {words}"),
            None => trouble,
        })
    }

    /// The pods that the object selects.
    async fn pods(&self, body: &Json) -> Option<Vec<Json>> {
        let labels = body.get("spec")?.get("selector")?.get("matchLabels")?.as_object()?;
        let selector: Vec<String> = labels.iter().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?))).collect();
        let namespace = body.get("metadata")?.get("namespace")?.as_str()?;
        let catalog = self.catalog().await.ok()?;
        let resource = catalog.preferred("Pod")?;
        let selector = selector.join(",");
        let query = Query { namespace: Some(namespace.to_owned()), selector, limit: PODS, ..Query::default() };
        let page = call(self.caller(), "list", || self.cluster().list(resource, &query)).await.ok()?;
        Some(page.items)
    }

    /// The end of the log of a container that has crashed.
    async fn last_words(&self, pod: &Json) -> Option<String> {
        let statuses = pod.get("status")?.get("containerStatuses")?.as_array()?;
        let ended = |status: &&Json, key: &str| status.get(key).is_some_and(|s| s.get("terminated").is_some());
        let crashed = statuses.iter().find(|s| ended(s, "lastState") || ended(s, "state"))?;
        let previous = !ended(&crashed, "state");
        let container = crashed.get("name")?.as_str()?;
        let metadata = pod.get("metadata")?;
        let (namespace, name) = (metadata.get("namespace")?.as_str()?, metadata.get("name")?.as_str()?);
        let log =
            call(self.caller(), "log", || self.cluster().log(namespace, name, container, previous, LOG_LINES)).await;
        let log = log.ok()?;
        let lines: Vec<String> =
            log.lines().filter(|l| !l.trim().is_empty()).map(|l| l.chars().take(LOG_WIDTH).collect()).collect();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }
}
