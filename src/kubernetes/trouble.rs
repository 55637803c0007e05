//! Why a workload is not ready: what its own pods say, with the last lines of a crashed container's log.

use evenkeel_core::applyset::text;
use evenkeel_core::objects::trouble::{last_run, pod_restarts, pod_trouble};
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
        let now = || pods.iter().find_map(|pod| Some((pod, pod_trouble(pod)?)));
        // One that keeps crashing runs in between: then its past tells. The youngest pod is the one that is waited for.
        let before = || {
            let restarts = pods.iter().filter_map(|pod| Some((pod, pod_restarts(pod)?)));
            restarts.max_by_key(|(pod, _)| text(pod, "creationTimestamp").to_owned())
        };
        let (pod, trouble) = now().or_else(before)?;
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
        let (container, before) = last_run(pod)?;
        let (namespace, name) = (text(pod, "namespace"), text(pod, "name"));
        for previous in [before, true] {
            let log = || self.cluster().log(namespace, name, container, previous, LOG_LINES);
            let log = call(self.caller(), "log", log).await.unwrap_or_default();
            let lines: Vec<String> =
                log.lines().filter(|l| !l.trim().is_empty()).map(|l| l.chars().take(LOG_WIDTH).collect()).collect();
            if !lines.is_empty() {
                return Some(lines.join(" | "));
            }
            // It may have started again since its pod was read: its words are those of the run before, then.
            if before {
                break;
            }
        }
        None
    }
}
