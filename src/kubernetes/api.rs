//! The Kubernetes API's own vocabulary, as far as evenkeel speaks it: plain requests and answers, and the traits
//! [`ClusterRead`] and [`Cluster`] that a real cluster (`src/kube`) and the sim (`src/sim`) both implement. No client library's type and
//! no core rule stands here.
//!
//! Every method is exactly one request (discovery: one for each of its two roots). Pages are visible.

use std::collections::BTreeMap;

use async_trait::async_trait;
use evenkeel_core::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Items of a page, at most: kubectl's own chunk.
pub const PAGE: u32 = 500;

/// The code of a failure that says: the server does not know this kind and version (any more, or yet). Its class is
/// `Invalid`, so that it never reads as "this object is not there".
pub const NOT_SERVED: &str = "NotServed";

/// One kind in one version, as the API serves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// `apps/v1`; `v1` for the core group.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// `deployments`.
    pub plural: String,
    /// Whether its objects belong to namespaces.
    pub namespaced: bool,
    /// What can be done with it: `list`, `get`, `patch`, `delete` …
    pub verbs: Vec<String>,
}

impl Resource {
    /// Its API group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// `Deployment.apps`, or `Service` for the core group.
    pub fn group_kind(&self) -> String {
        if self.group().is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group()) }
    }
}

/// What a cluster serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// Every resource that can be listed (subresources are not among them). Within a group and kind the preferred
    /// version stands first.
    pub resources: Vec<Resource>,
    /// Groups that could not be asked (an aggregated API whose server is down), and why. What they serve is not
    /// known: not absent.
    pub broken: BTreeMap<String, Failure>,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// `None`: in every namespace.
    pub namespace: Option<String>,
    /// `evenkeel.dev/stack=7f3kq2x9`; empty for all.
    pub selector: String,
    /// `spec.nodeName=ip-10-0-0-1`; empty for all.
    pub fields: String,
    /// Page size, at most [`PAGE`].
    pub limit: u32,
    /// Where the last page ended.
    pub next: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The objects, each with `apiVersion` and `kind` (which a list leaves out on the wire).
    pub items: Vec<Json>,
    /// `Some` while more pages follow.
    pub next: Option<String>,
}

/// Which object a request is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Which {
    /// Its kind and version.
    pub resource: Resource,
    /// Empty where the kind has no namespaces.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// How a server-side apply is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct How {
    /// Who applies: `evenkeel`.
    pub manager: String,
    /// Fields that another manager holds are taken.
    pub force: bool,
}

/// How an object is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Only this one (`preconditions.uid`).
    pub uid: String,
    /// What happens to what it owns.
    pub propagation: Propagation,
}

/// What happens to what a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// It goes afterwards.
    Background,
    /// It goes first, and the object stays until then.
    Foreground,
}

/// A request that the server refused, or that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What went wrong. A conflict with another manager is `Class::Busy` with the code `Conflict`; an object that is
    /// not there is `Class::NotFound`; what admission, validation or a quota says is `Invalid`, `Denied` or `Quota`.
    pub failure: Failure,
    /// The status's own causes.
    pub causes: Vec<Cause>,
}

/// One cause of a refusal, as the server's `status.details.causes` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// `FieldManagerConflict`, `FieldValueInvalid`, `FieldValueForbidden` …
    pub reason: String,
    /// `.spec.replicas` in a conflict, `spec.selector` in a validation error.
    pub field: String,
    /// `conflict with "kubectl" using apps/v1`.
    pub message: String,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, causes: vec![] }
    }
}

/// The reading half of a Kubernetes API server, one request a method. `drift` and `plan` are given nothing else.
#[async_trait]
pub trait ClusterRead: Send + Sync {
    /// Where it is, for people: the context's name, or the server's address.
    fn place(&self) -> String;

    /// The server's version: `v1.37.2` (`GET /version`).
    ///
    /// # Errors
    /// The request failed.
    async fn version(&self) -> Result<String, Failure>;

    /// What it serves, in aggregated form (`GET /api`, `GET /apis`).
    ///
    /// # Errors
    /// A request failed as a whole; a group that alone could not be asked is in the answer.
    async fn discover(&self) -> Result<Discovered, Failure>;

    /// One page of objects.
    ///
    /// # Errors
    /// The request failed. A continue token that is too old is `Class::Transient` with the code `Expired`.
    async fn list(&self, resource: &Resource, query: &Query) -> Result<Page, Failure>;

    /// One object.
    ///
    /// # Errors
    /// `Class::NotFound` where there is none; a kind that is not served is `Class::Invalid` with the code
    /// [`NOT_SERVED`], here and everywhere.
    async fn get(&self, which: &Which) -> Result<Json, Failure>;

    /// Server-side apply that writes nothing (`dryRun=All`). Answers what the object would be afterwards.
    ///
    /// # Errors
    /// The server's refusal with its causes.
    async fn rehearse(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal>;

    /// The last lines of a container's log.
    ///
    /// # Errors
    /// The request failed.
    async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<String, Failure>;
}

/// The changing half.
#[async_trait]
pub trait Cluster: ClusterRead {
    /// Server-side apply (`PATCH`, `application/apply-patch+yaml`). Answers what the object is afterwards.
    ///
    /// # Errors
    /// The server's refusal with its causes.
    async fn apply(&self, which: &Which, body: &Json, how: &How) -> Result<Json, Refusal>;

    /// JSON merge patch as `manager`.
    ///
    /// # Errors
    /// The server's refusal with its causes.
    async fn patch(&self, which: &Which, patch: &Json, manager: &str) -> Result<Json, Refusal>;

    /// Asks that a pod goes, as its disruption budgets let it, and no later one of the same name (`POST …/eviction`).
    ///
    /// # Errors
    /// `Class::Busy` with the code `DisruptionBudget` where a budget keeps it, with a cause that says which;
    /// `Class::NotFound` where there is no such pod; a uid that is another's is `Class::Busy` with the code `Conflict`.
    async fn evict(&self, pod: &Which, uid: &str) -> Result<(), Refusal>;

    /// Deletes one object. It may still be there afterwards, waiting for finalizers.
    ///
    /// # Errors
    /// `Class::NotFound` where there is none; a uid that is another's is `Class::Busy` with the code `Conflict`.
    async fn delete(&self, which: &Which, how: &Deletion) -> Result<(), Refusal>;
}
