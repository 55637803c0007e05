//! Why a workload is not ready: what its own pods say, with the last lines of a crashed container's log; and where there
//! are none, what keeps its controller from making them.

use evenkeel_core::applyset::text;
use evenkeel_core::objects::Sort;
use evenkeel_core::objects::trouble::{event_trouble, last_run, pod_restarts, pod_trouble, telling};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::api::{ClusterRead, PAGE, Query};
use crate::limits::{LOG_LINES, LOG_WIDTH, PODS};
use crate::read::KubernetesEyes;
use crate::wire::call;

/// What has words of its own to be asked for when it is not ready.
enum Ailing {
    /// A pod.
    Pod,
    /// What makes pods.
    Set,
    /// A claim.
    Claim,
}

impl Ailing {
    fn of(body: &Json) -> Option<Self> {
        let sort = Sort::of(body);
        match (sort.group, sort.kind) {
            ("", "Pod") => Some(Self::Pod),
            ("", "PersistentVolumeClaim") => Some(Self::Claim),
            ("apps" | "batch", _) => Some(Self::Set),
            _ => None,
        }
    }
}

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
        let pods = match Ailing::of(body)? {
            Ailing::Pod => vec![body.clone()],
            Ailing::Claim => return Some(self.refused(body, "ProvisioningFailed", "its volume").await?.1),
            Ailing::Set => self.pods(body).await?,
        };
        let pods = telling(body, &pods);
        let now = || pods.iter().find_map(|pod| Some((*pod, pod_trouble(pod)?)));
        // One that keeps crashing runs in between: then its past tells. The youngest pod is the one that is waited for.
        let before = || pods.iter().find_map(|pod| Some((*pod, pod_restarts(pod)?)));
        let Some((pod, trouble)) = now().or_else(before) else {
            // Its set has made the pods of a Deployment, which shows itself what its set could not.
            if Sort::of(body).kind == "Deployment" {
                return None;
            }
            // Nothing is wrong with those that there are: another one may not be let come. What was said before the
            // youngest came is over.
            let youngest = pods.iter().filter_map(|p| text(p, "creationTimestamp").parse::<Timestamp>().ok()).max();
            let (at, refused) = self.refused(body, "FailedCreate", "pods").await?;
            return Some(refused).filter(|_| youngest.is_none_or(|youngest| at >= youngest));
        };
        Some(match self.last_words(pod).await {
            Some(words) => format!("{trouble}; its log ends: {words}"),
            None => trouble,
        })
    }

    /// Why the object's controller could not make what it is for, by its newest event of this reason.
    async fn refused(&self, body: &Json, reason: &str, what: &str) -> Option<(Timestamp, String)> {
        let catalog = self.catalog().await.ok()?;
        let fields = format!("involvedObject.uid={},reason={reason}", text(body, "uid"));
        let namespace = Some(text(body, "namespace").to_owned());
        let query = Query { namespace, fields, limit: PAGE, ..Query::default() };
        let resource = catalog.preferred("Event")?;
        let page = call(self.caller(), "list", || self.cluster().list(resource, &query)).await.ok()?;
        event_trouble(&page.items, what)
    }

    /// The pods that the object selects.
    async fn pods(&self, body: &Json) -> Option<Vec<Json>> {
        let labels = body.get("spec")?.get("selector")?.get("matchLabels")?.as_object()?;
        let selector: Vec<String> = labels.iter().filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?))).collect();
        let namespace = body.get("metadata")?.get("namespace")?.as_str()?;
        let catalog = self.catalog().await.ok()?;
        let resource = catalog.preferred("Pod")?;
        let selector = selector.join(",");
        let mut query = Query { namespace: Some(namespace.to_owned()), selector, limit: PAGE, ..Query::default() };
        let mut all = Vec::new();
        loop {
            let page = call(self.caller(), "list", || self.cluster().list(resource, &query)).await.ok()?;
            all.extend(page.items);
            match page.next {
                Some(next) if all.len() < PODS && Some(&next) != query.next.as_ref() => query.next = Some(next),
                Some(_) | None => return Some(all),
            }
        }
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
