//! Looking at a cluster: everything of a stack in one list a kind, then what the file names and the lists do not show,
//! then the server's own word on what may differ.
//!
//! What a read costs: version 1, the cluster's own id 1, ⌈objects/500⌉ a kind; 1 for an object that the file names and
//! no list shows, the stack's own mark among them; 1 dry-run apply for each object that is new or may differ, and 1 more
//! where the server will not change it in place; 1 for the storage class of claims that are not bound; ⌈nodes/500⌉ where
//! the file has machines. Only where the mark is lost and objects are there, a list for every kind that the cluster
//! serves. Discovery, 2, is made once, and again where what is known does not tell of something.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset;
use evenkeel_core::desired::ObjectWish;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::nodes::{self, Tie};
use evenkeel_core::objects::readiness::class_of;
use evenkeel_core::objects::redact;
use evenkeel_core::observed::{ClusterSeen, Gap, Live, Parent, ScopeSeen};
use evenkeel_engine::caller::Caller;
use evenkeel_engine::provider::{Eyes, Looked, Reading, Wants};
use futures::{StreamExt, stream};
use serde_json::Value as Json;

use crate::api::{ClusterRead, NOT_SERVED, Query, Resource, Which};
use crate::catalog::Catalog;
use crate::limits::AT_ONCE;
use crate::wire::{call, walk};

/// A cluster to look at and not to touch.
pub struct KubernetesEyes<C: ?Sized> {
    cluster: Arc<C>,
    scope: String,
    /// Where the stack's own mark is written.
    home: String,
    caller: Arc<Caller>,
    known: Arc<Known>,
}

/// What a cluster serves, as far as it was asked already: one for all that look at it in a run.
#[derive(Debug, Default)]
pub struct Known(Mutex<Option<Arc<Catalog>>>);

impl Known {
    fn get(&self) -> Option<Arc<Catalog>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, catalog: Option<Arc<Catalog>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = catalog;
    }
}

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// Looks through `cluster`; `home` is the namespace of the stack's own mark. Every wire call passes `caller`.
    pub fn new(cluster: Arc<C>, scope: impl Into<String>, home: impl Into<String>, caller: Arc<Caller>) -> Self {
        Self { cluster, scope: scope.into(), home: home.into(), caller, known: Arc::default() }
    }

    /// The same with what others have been told of the cluster, and will be.
    #[must_use]
    pub fn knowing(self, known: Arc<Known>) -> Self {
        Self { known, ..self }
    }

    pub(crate) fn cluster(&self) -> &C {
        &self.cluster
    }

    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the cluster serves, as far as it was asked already.
    pub(crate) async fn catalog(&self) -> Result<Arc<Catalog>, Failure> {
        match self.known.get() {
            Some(catalog) => Ok(catalog),
            None => self.discover().await,
        }
    }

    /// What the cluster serves now: a definition may have been made since.
    pub(crate) async fn discover(&self) -> Result<Arc<Catalog>, Failure> {
        let found = call(&self.caller, "discover", || self.cluster.discover()).await?;
        let catalog = Arc::new(Catalog::of(found));
        self.known.set(Some(Arc::clone(&catalog)));
        Ok(catalog)
    }

    /// What the cluster serves is about to change.
    pub(crate) fn forget(&self) {
        self.known.set(None);
    }

    /// One object; `None` where there is none.
    pub(crate) async fn get(&self, which: &Which) -> Result<Option<Json>, Failure> {
        match call(&self.caller, "get", || self.cluster.get(which)).await {
            Ok(body) => Ok(Some(body)),
            Err(failure) if failure.class == Class::NotFound => Ok(None),
            Err(failure) if failure.code == NOT_SERVED && self.is_gone(&which.resource.group_kind()).await? => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the cluster serves the kind no longer, and so has no object of it. A group that cannot be asked is not
    /// gone.
    pub(crate) async fn is_gone(&self, group_kind: &str) -> Result<bool, Failure> {
        Ok(self.discover().await?.find(group_kind)?.is_none())
    }

    /// The uid of `kube-system`, which names a cluster as nothing else does; empty where it may not be read.
    async fn identity(&self, catalog: &Catalog) -> String {
        let Some(resource) = catalog.preferred("Namespace") else { return String::new() };
        let which = Which { resource: resource.clone(), namespace: String::new(), name: "kube-system".into() };
        match self.get(&which).await {
            Ok(Some(body)) => applyset::text(&body, "uid").to_owned(),
            Ok(None) | Err(_) => String::new(),
        }
    }

    /// Everything of the stack of one kind. Who may not list the whole cluster lists the namespaces that are known.
    async fn of_stack(
        &self,
        resource: &Resource,
        selector: &str,
        namespaces: &BTreeSet<String>,
    ) -> Result<Vec<Json>, Failure> {
        let every = Query { selector: selector.to_owned(), ..Query::default() };
        let whole = walk(&*self.cluster, &self.caller, resource, &every).await;
        match whole {
            Err(failure) if failure.class == Class::Denied && resource.namespaced && !namespaces.is_empty() => {
                let mut all = Vec::new();
                for namespace in namespaces {
                    let query = Query { namespace: Some(namespace.clone()), ..every.clone() };
                    all.extend(walk(&*self.cluster, &self.caller, resource, &query).await?);
                }
                Ok(all)
            }
            done => done,
        }
    }
}

/// A request's object.
pub(crate) fn which(resource: &Resource, object: &ObjectName) -> Which {
    let namespace = if resource.namespaced { object.namespace.clone() } else { String::new() };
    Which { resource: resource.clone(), namespace, name: object.name.clone() }
}

/// A body with the namespace that it is sent to: none for a kind that has none, whatever the file's default is.
pub(crate) fn in_place(body: &Json, object: &ObjectName) -> Json {
    let mut body = body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Json::as_object_mut) {
        if object.namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.insert("namespace".into(), object.namespace.clone().into());
        }
    }
    body
}

/// One wish, with the kind that the cluster serves it as.
pub(crate) struct Asked<'w> {
    pub(crate) wish: &'w ObjectWish,
    pub(crate) object: ObjectName,
    /// In the file's version; in another one where that is not served yet.
    pub(crate) resource: Resource,
}

impl Asked<'_> {
    pub(crate) fn is_served(&self) -> bool {
        self.resource.api_version == self.wish.api_version
    }
}

/// A look in the making.
pub(crate) struct Found {
    scope: String,
    pub(crate) stack: String,
    pub(crate) seen: ClusterSeen,
    gaps: Vec<Gap>,
}

impl Found {
    fn of(wants: &Wants) -> Self {
        let (scope, stack) = (wants.scope.clone(), wants.stack.clone());
        Self { scope, stack, seen: ClusterSeen::default(), gaps: vec![] }
    }

    fn gap(&mut self, what: String, failure: Failure, partial: bool) {
        self.gaps.push(Gap { scope: self.scope.clone(), kind: None, what, failure, partial });
    }

    /// A kind could not be seen. Of the scope's other kinds everything is still known.
    fn unseen(&mut self, kind: String, failure: Failure) {
        if self.seen.unseen.insert(kind.clone(), failure.clone()).is_none() {
            self.gap(kind, failure, true);
        }
    }

    pub(crate) fn is_seen(&self, object: &ObjectName) -> bool {
        !self.seen.unseen.contains_key(&object.group_kind())
    }

    /// Takes what the lists showed into the look. A kind that the file has in two versions was listed in both, and what
    /// two groups serve (an Event) in both of them: each object counts once, as the file writes it.
    fn keep_all(&mut self, bodies: Vec<Json>, asked: &[Asked<'_>]) {
        let versions: BTreeMap<&ObjectName, &str> =
            asked.iter().map(|a| (&a.object, a.resource.api_version.as_str())).collect();
        let stack = self.stack.clone();
        let bodies = bodies.into_iter().filter(|b| applyset::read_parent(b, &stack).is_none());
        let named = bodies.filter_map(|b| Some((applyset::name_of(&b)?, b)));
        let (wished, others): (Vec<_>, Vec<_>) = named.partition(|(name, _)| versions.contains_key(name));
        let as_written = |(name, body): &(ObjectName, Json)| {
            versions.get(name).copied() == body.get("apiVersion").and_then(Json::as_str)
        };
        let mut uids = BTreeSet::new();
        for (name, body) in wished.into_iter().filter(as_written).chain(others) {
            if uids.insert(applyset::text(&body, "uid").to_owned()) {
                self.keep(name, body);
            }
        }
    }

    /// Takes an object into the look, without its secrets.
    fn keep(&mut self, name: ObjectName, body: Json) {
        let uid = applyset::text(&body, "uid").to_owned();
        let body = redact::redacted(body, &self.stack);
        self.seen.objects.insert(name, Live { uid, body });
    }
}

#[async_trait]
impl<C: ClusterRead + ?Sized> Eyes for KubernetesEyes<C> {
    async fn read(&self, wants: &Wants) -> Reading {
        let before = self.caller.counts();
        let place = self.cluster.place();
        let mut found = Found::of(wants);
        let mut seen = ScopeSeen { region: place.clone(), ..ScopeSeen::default() };
        let cluster = match self.listed(wants, &mut found).await {
            Err(failure) => {
                found.gap(format!("the cluster {place}"), failure, false);
                None
            }
            Ok((catalog, asked)) => {
                let version = call(&self.caller, "version", || self.cluster.version());
                let (version, identity) = futures::join!(version, self.identity(&catalog));
                seen.account = identity;
                found.seen.version = version.unwrap_or_default();
                found.seen.kinds = catalog.seen();
                self.named(&asked, &mut found).await;
                self.tried(&asked, &mut found).await;
                self.bindings(&mut found).await;
                self.nodes(wants.nodes, &catalog, &mut found).await;
                Some(found.seen)
            }
        };
        seen.calls = self.caller.since(&before);
        Reading { seen, cluster, gaps: found.gaps, ..Reading::default() }
    }

    async fn look(&self, ids: &BTreeSet<String>) -> Result<Looked, Failure> {
        Ok(self.look_at(&self.scope, ids).await)
    }
}

/// The wishes of which the cluster serves the kind. In a version that it does not serve yet, an object may still be
/// there in another one.
fn asked<'w>(wants: &'w Wants, catalog: &Catalog) -> Vec<Asked<'w>> {
    let one = |wish: &'w ObjectWish| {
        let exact = catalog.exact(&wish.api_version, &wish.object.kind);
        let resource = exact.or_else(|| catalog.preferred(&wish.object.group_kind()))?.clone();
        let mut object = wish.object.clone();
        if !resource.namespaced {
            object.namespace.clear();
        }
        Some(Asked { wish, object, resource })
    };
    wants.wishes.iter().filter_map(one).collect()
}

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// What the cluster serves, and everything of the stack. What was known of it before is good for as long as it tells
    /// of all that is looked for.
    async fn listed<'w>(&self, wants: &'w Wants, found: &mut Found) -> Result<(Arc<Catalog>, Vec<Asked<'w>>), Failure> {
        let told = |catalog: &Arc<Catalog>| {
            let exact = |w: &ObjectWish| catalog.exact(&w.api_version, &w.object.kind).is_some();
            catalog.broken.is_empty() && wants.wishes.iter().all(exact)
        };
        if let Some(known) = self.known.get().filter(told) {
            let asked = asked(wants, &known);
            if self.list(wants, &asked, &known, false, found).await {
                return Ok((known, asked));
            }
            *found = Found::of(wants);
        }
        let catalog = self.discover().await?;
        let asked = asked(wants, &catalog);
        self.list(wants, &asked, &catalog, true, found).await;
        Ok((catalog, asked))
    }

    /// Everything of the stack: first of the kinds that the file names, where the stack's mark is too; then of the
    /// kinds that the mark hints at. False: only a catalog that is `fresh` can tell.
    async fn list(
        &self,
        wants: &Wants,
        asked: &[Asked<'_>],
        catalog: &Catalog,
        fresh: bool,
        found: &mut Found,
    ) -> bool {
        let mut namespaces: BTreeSet<String> =
            asked.iter().map(|a| a.object.namespace.clone()).filter(|n| !n.is_empty()).collect();
        namespaces.insert(self.home.clone());
        let selector = format!("{}={}", applyset::STACK, wants.stack);
        let mut resources: BTreeSet<Resource> = asked.iter().map(|a| a.resource.clone()).collect();
        resources.extend(catalog.preferred("ConfigMap").cloned());
        let mut bodies = self.lists(&resources, &selector, &namespaces, found).await;
        let marks = self.marks(&bodies, catalog, found).await;
        let listed: BTreeSet<String> = resources.iter().map(Resource::group_kind).collect();
        let mut more = BTreeSet::new();
        for parent in marks.iter().flatten() {
            namespaces.extend(parent.namespaces.iter().cloned());
            namespaces.insert(parent.namespace.clone());
            for kind in parent.kinds.iter().filter(|k| !listed.contains(*k)) {
                match (catalog.preferred(kind), catalog.broken(kind)) {
                    (Some(resource), _) => drop(more.insert(resource.clone())),
                    (None, Some(failure)) => found.unseen(kind.clone(), failure.clone()),
                    (None, None) if !fresh => return false,
                    // Its definition is gone, and its objects with it.
                    (None, None) => {}
                }
            }
        }
        bodies.extend(self.lists(&more, &selector, &namespaces, found).await);
        let is_gone = |failure: &Failure| failure.code == NOT_SERVED;
        if !fresh && found.seen.unseen.values().any(is_gone) {
            return false;
        }
        if !marks.iter().any(|m| m.as_ref().map_or(true, |p| p.whole)) && bodies.iter().any(applyset::is_applied) {
            if !fresh {
                return false;
            }
            let rest = catalog.all().filter(|r| !listed.contains(&r.group_kind()) && !more.contains(r));
            bodies.extend(self.everywhere(rest.cloned().collect(), &selector, &namespaces, found).await);
            for (group, failure) in &catalog.broken {
                found.unseen(format!("*.{group}"), failure.clone());
            }
        }
        for mark in marks {
            match mark {
                Ok(parent) if parent.namespace != self.home => found.seen.former.push(parent),
                mark if matches!(found.seen.parent, Some(Err(_))) => drop(mark),
                mark => found.seen.parent = Some(mark),
            }
        }
        for wish in &wants.wishes {
            let kind = wish.object.group_kind();
            if let (None, Some(failure)) = (catalog.preferred(&kind), catalog.broken(&kind)) {
                found.unseen(kind, failure.clone());
            }
        }
        found.keep_all(bodies, asked);
        true
    }

    /// The stack's own marks: those that the list shows, and the one that has lost the label which the list asks for.
    async fn marks(&self, bodies: &[Json], catalog: &Catalog, found: &mut Found) -> Vec<Result<Parent, String>> {
        let stack = found.stack.clone();
        let mut marks: Vec<_> = bodies.iter().filter_map(|b| applyset::read_parent(b, &stack)).collect();
        let at_home = |m: &Result<Parent, String>| m.as_ref().map_or(true, |p| p.namespace == self.home);
        let name = applyset::parent_name(&stack, &self.home);
        if let Some(resource) = catalog.preferred("ConfigMap").filter(|_| found.is_seen(&name))
            && !marks.iter().any(at_home)
        {
            match self.get(&which(resource, &name)).await {
                Ok(body) => marks.extend(body.and_then(|b| applyset::read_parent(&b, &stack))),
                Err(failure) => found.unseen(name.group_kind(), failure),
            }
        }
        marks
    }

    /// Without its mark nobody knows which kinds the stack has objects of, so every other one is asked for. Who may not
    /// list a kind has hardly applied anything of it.
    async fn everywhere(
        &self,
        resources: BTreeSet<Resource>,
        selector: &str,
        namespaces: &BTreeSet<String>,
        found: &mut Found,
    ) -> Vec<Json> {
        let mut all = Vec::new();
        for (resource, answer) in self.answers(&resources, selector, namespaces).await {
            match answer {
                Ok(items) => all.extend(items),
                Err(failure) if failure.class == Class::Denied => {}
                Err(failure) => found.unseen(resource.group_kind(), failure),
            }
        }
        all
    }

    /// The nodes, one list for all.
    async fn nodes(&self, tie: Tie, catalog: &Catalog, found: &mut Found) {
        let firm = match tie {
            Tie::None => return,
            Tie::Loose => false,
            Tie::Firm => true,
        };
        let Some(resource) = catalog.preferred("Node") else {
            let none = || Failure::new(Class::Invalid, NOT_SERVED, "the cluster does not serve Node");
            let failure = catalog.broken("Node").cloned().unwrap_or_else(none);
            found.seen.nodes_unseen = Some(failure.clone());
            if firm {
                found.gap("nodes".into(), failure, true);
            }
            return;
        };
        match walk(&*self.cluster, &self.caller, resource, &Query::default()).await {
            Ok(all) => found.seen.nodes = all.iter().filter_map(nodes::read).collect(),
            Err(failure) => {
                found.seen.nodes_unseen = Some(failure.clone());
                // Who may not list nodes has none among the machines; who could not this time may have.
                if firm || failure.class != Class::Denied {
                    found.gap("nodes".into(), failure, true);
                }
            }
        }
    }

    /// All objects of the stack of these kinds; a kind that cannot be listed is a gap.
    async fn lists(
        &self,
        resources: &BTreeSet<Resource>,
        selector: &str,
        namespaces: &BTreeSet<String>,
        found: &mut Found,
    ) -> Vec<Json> {
        let mut all = Vec::new();
        for (resource, answer) in self.answers(resources, selector, namespaces).await {
            match answer {
                Ok(items) => all.extend(items),
                Err(failure) => found.unseen(resource.group_kind(), failure),
            }
        }
        all
    }

    async fn answers<'r>(
        &self,
        resources: &'r BTreeSet<Resource>,
        selector: &str,
        namespaces: &BTreeSet<String>,
    ) -> Vec<(&'r Resource, Result<Vec<Json>, Failure>)> {
        let lists: Vec<_> = resources.iter().map(|r| self.of_stack(r, selector, namespaces)).collect();
        let answers: Vec<_> = stream::iter(lists).buffered(AT_ONCE).collect().await;
        resources.iter().zip(answers).collect()
    }

    /// What the file names and no list showed: not there, or not ours yet.
    async fn named(&self, asked: &[Asked<'_>], found: &mut Found) {
        let missing = |a: &&Asked<'_>| found.is_seen(&a.object) && !found.seen.objects.contains_key(&a.object);
        let names: Vec<(&ObjectName, Which)> =
            asked.iter().filter(missing).map(|a| (&a.object, which(&a.resource, &a.object))).collect();
        let gets: Vec<_> = names.iter().map(|(_, which)| self.get(which)).collect();
        let answers: Vec<_> = stream::iter(gets).buffered(AT_ONCE).collect().await;
        for ((object, _), answer) in names.into_iter().zip(answers) {
            match answer {
                Ok(Some(body)) => found.keep(object.clone(), body),
                Ok(None) => {}
                Err(failure) => found.unseen(object.group_kind(), failure),
            }
        }
    }

    /// How the classes of unbound claims bind them.
    async fn bindings(&self, found: &mut Found) {
        let classes: BTreeSet<&str> = found.seen.objects.values().filter_map(|l| class_of(&l.body)).collect();
        let mut bindings = BTreeMap::new();
        for class in classes {
            bindings.extend(self.binding(class).await.map(|binding| (class.to_owned(), binding)));
        }
        found.seen.bindings = bindings;
    }
}
