//! A listener on the wire: writes down every call and, where it is told to, answers in the server's place.

use std::sync::Mutex;

use async_trait::async_trait;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::{
    Cluster, ClusterRead, Deletion, Discovered, How, Page, Query, Refusal, Resource, Which,
};
use evenkeel_sim::SimCluster;
use serde_json::Value as Json;

/// Says whether a call with these words is refused, and how.
type Refuse = Box<dyn FnMut(&str) -> Option<Failure> + Send>;

pub struct Wiretap {
    cluster: SimCluster,
    heard: Mutex<Vec<String>>,
    refuse: Mutex<Vec<Refuse>>,
    /// What discovery leaves out: kinds, and groups whose own server is down.
    hidden: Mutex<Vec<String>>,
    /// After the last page, the same again, for ever.
    round: Mutex<bool>,
}

impl Wiretap {
    pub fn new(cluster: SimCluster) -> Self {
        let (heard, refuse, hidden, round) = Default::default();
        Self { cluster, heard, refuse, hidden, round }
    }

    /// Every call whose words begin with `start`.
    pub fn heard(&self, start: &str) -> Vec<String> {
        self.heard.lock().unwrap().iter().filter(|w| w.starts_with(start)).cloned().collect()
    }

    pub fn forget(&self) {
        self.heard.lock().unwrap().clear();
    }

    /// Refuses calls whose words begin with `start`, so many times.
    pub fn refuse(&self, start: &'static str, times: usize, class: Class, code: &'static str) {
        let mut left = times;
        self.refuse_if(move |words| {
            let hit = left > 0 && words.starts_with(start);
            left -= usize::from(hit);
            hit.then(|| Failure::new(class, code, "refused"))
        });
    }

    pub fn refuse_if(&self, when: impl FnMut(&str) -> Option<Failure> + Send + 'static) {
        self.refuse.lock().unwrap().push(Box::new(when));
    }

    /// Discovery does not show this kind (`ConfigMap`), or says that this group (`apps`) cannot be asked.
    pub fn hide(&self, what: &str) {
        self.hidden.lock().unwrap().push(what.to_owned());
    }

    pub fn pages_go_round(&self) {
        *self.round.lock().unwrap() = true;
    }

    /// Where a body of a built-in kind goes.
    pub fn which(&self, body: &Json) -> Which {
        let text = |v: &Json| v.as_str().unwrap_or_default().to_owned();
        let namespace = text(&body["metadata"]["namespace"]);
        let kind = text(&body["kind"]);
        let plural = format!("{}s", kind.to_lowercase());
        let namespaced = !namespace.is_empty();
        let resource = Resource { api_version: text(&body["apiVersion"]), kind, plural, namespaced, verbs: vec![] };
        Which { resource, namespace, name: text(&body["metadata"]["name"]) }
    }

    fn hear(&self, words: String) -> Result<(), Failure> {
        let refused = self.refuse.lock().unwrap().iter_mut().find_map(|r| r(&words));
        self.heard.lock().unwrap().push(words);
        refused.map_or(Ok(()), Err)
    }
}

/// `ConfigMap default/a`
fn about(which: &Which) -> String {
    format!("{} {}/{}", which.resource.group_kind(), which.namespace, which.name)
}

#[async_trait]
impl ClusterRead for Wiretap {
    fn place(&self) -> String {
        self.cluster.place()
    }

    async fn version(&self) -> Result<String, Failure> {
        self.hear("version".into())?;
        self.cluster.version().await
    }

    async fn discover(&self) -> Result<Discovered, Failure> {
        self.hear("discover".into())?;
        let mut found = self.cluster.discover().await?;
        for hidden in &*self.hidden.lock().unwrap() {
            found.resources.retain(|r| r.group_kind() != *hidden && r.group() != hidden);
            found.broken.insert(hidden.clone(), Failure::new(Class::Transient, "Stale", "its own server is down"));
        }
        Ok(found)
    }

    async fn list(&self, resource: &Resource, query: &Query) -> Result<Page, Failure> {
        let place = query.namespace.as_deref().unwrap_or("*");
        let more = if query.next.is_some() { " next" } else { "" };
        self.hear(format!("list {} {} {place}{more}", resource.group_kind(), resource.api_version))?;
        let mut page = self.cluster.list(resource, query).await?;
        if *self.round.lock().unwrap() {
            page.next = query.next.clone().or(Some("again".into()));
        }
        Ok(page)
    }

    async fn get(&self, which: &Which) -> Result<Json, Failure> {
        self.hear(format!("get {}", about(which)))?;
        self.cluster.get(which).await
    }

    async fn rehearse(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal> {
        self.hear(format!("dry-run {}", about(which)))?;
        self.cluster.rehearse(which, body, how).await
    }

    async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<String, Failure> {
        self.hear(format!("log {namespace}/{pod}/{container}"))?;
        self.cluster.log(namespace, pod, container, previous, lines).await
    }
}

#[async_trait]
impl Cluster for Wiretap {
    async fn apply(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal> {
        self.hear(format!("apply {}", about(which)))?;
        self.cluster.apply(which, body, how).await
    }

    async fn patch(&self, which: &Which, patch: &Json, manager: &str) -> Result<Json, Refusal> {
        self.hear(format!("patch {}", about(which)))?;
        self.cluster.patch(which, patch, manager).await
    }

    async fn evict(&self, pod: &Which, uid: &str) -> Result<(), Refusal> {
        self.hear(format!("evict {}", about(pod)))?;
        self.cluster.evict(pod, uid).await
    }

    async fn delete(&self, which: &Which, how: &Deletion) -> Result<(), Refusal> {
        self.hear(format!("delete {}", about(which)))?;
        self.cluster.delete(which, how).await
    }
}
