//! Looking at a cluster: everything of a stack in one list a kind, then what the file names and the lists do not show,
//! then the server's own word on what may differ.
//!
//! What a read costs: version 1, discovery 2, the cluster's own id 1, ⌈objects/500⌉ a kind; 1 for an object that the
//! file names and no list shows, the stack's own mark among them; 1 dry-run apply for each object that is new or may
//! differ; ⌈nodes/500⌉ where the file has machines. Only where the mark is lost and objects are there, a list for every
//! kind that the cluster serves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset::{self, MANAGER};
use evenkeel_core::desired::ObjectWish;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::nodes::{self, Tie};
use evenkeel_core::objects::{compare, redact};
use evenkeel_core::observed::{ClusterSeen, Gap, Live, Object, Parent, ScopeSeen, Trial};
use evenkeel_engine::caller::Caller;
use evenkeel_engine::provider::{Eyes, Reading, Wants};
use futures::{StreamExt, stream};
use serde_json::Value as Json;

use crate::api::{ClusterRead, How, NOT_SERVED, Query, Refusal, Resource, Which};
use crate::catalog::Catalog;
use crate::limits::AT_ONCE;
use crate::wire::{asking, call, walk};

/// A cluster to look at and not to touch.
pub struct KubernetesEyes<C: ?Sized> {
    cluster: Arc<C>,
    scope: String,
    /// Where the stack's own mark is written.
    home: String,
    caller: Arc<Caller>,
    catalog: Mutex<Option<Arc<Catalog>>>,
}

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// Looks through `cluster`; `home` is the namespace of the stack's own mark. Every wire call passes `caller`.
    pub fn new(cluster: Arc<C>, scope: impl Into<String>, home: impl Into<String>, caller: Arc<Caller>) -> Self {
        Self { cluster, scope: scope.into(), home: home.into(), caller, catalog: Mutex::new(None) }
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
        let known = self.catalog.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(catalog) => Ok(catalog),
            None => self.discover().await,
        }
    }

    /// What the cluster serves now: a definition may have been made since.
    pub(crate) async fn discover(&self) -> Result<Arc<Catalog>, Failure> {
        let found = call(&self.caller, "discover", || self.cluster.discover()).await?;
        let catalog = Arc::new(Catalog::of(found));
        *self.catalog.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&catalog));
        Ok(catalog)
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

    async fn rehearse(&self, wish: &ObjectWish, object: &ObjectName, resource: &Resource) -> Result<Json, Refusal> {
        let which = which(resource, object);
        // What is taken by force is known from the managed fields; here the question is what the server makes of it.
        let how = How { manager: MANAGER.into(), force: true };
        let body = in_place(wish.body.json(), object);
        asking(&self.caller, "dry-run", || self.cluster.rehearse(&which, &body, &how)).await
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
struct Asked<'w> {
    wish: &'w ObjectWish,
    object: ObjectName,
    resource: Resource,
}

/// A look in the making.
struct Found {
    scope: String,
    stack: String,
    seen: ClusterSeen,
    gaps: Vec<Gap>,
}

impl Found {
    fn gap(&mut self, what: String, failure: Failure, partial: bool) {
        self.gaps.push(Gap { scope: self.scope.clone(), kind: None, what, failure, partial });
    }

    /// A kind could not be seen. Of the scope's other kinds everything is still known.
    fn unseen(&mut self, kind: String, failure: Failure) {
        if self.seen.unseen.insert(kind.clone(), failure.clone()).is_none() {
            self.gap(kind, failure, true);
        }
    }

    fn is_seen(&self, object: &ObjectName) -> bool {
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
        let (scope, stack) = (wants.scope.clone(), wants.stack.clone());
        let mut found = Found { scope, stack, seen: ClusterSeen::default(), gaps: vec![] };
        let mut seen = ScopeSeen { region: place.clone(), ..ScopeSeen::default() };
        let cluster = match self.discover().await {
            Err(failure) => {
                found.gap(format!("the cluster {place}"), failure, false);
                None
            }
            Ok(catalog) => {
                let version = call(&self.caller, "version", || self.cluster.version());
                let (version, identity) = futures::join!(version, self.identity(&catalog));
                seen.account = identity;
                found.seen.version = version.unwrap_or_default();
                found.seen.kinds = catalog.seen();
                let asked = asked(wants, &catalog);
                self.list(wants, &asked, &catalog, &mut found).await;
                self.named(&asked, &mut found).await;
                self.tried(&asked, &mut found).await;
                self.nodes(wants.nodes, &catalog, &mut found).await;
                Some(found.seen)
            }
        };
        seen.calls = self.caller.since(&before);
        Reading { seen, cluster, gaps: found.gaps, ..Reading::default() }
    }

    async fn look(&self, ids: &BTreeSet<String>) -> Result<Vec<Object>, Failure> {
        self.look_at(&self.scope, ids).await
    }
}

/// The wishes of which the cluster serves the kind.
fn asked<'w>(wants: &'w Wants, catalog: &Catalog) -> Vec<Asked<'w>> {
    let one = |wish: &'w ObjectWish| {
        let resource = catalog.exact(&wish.api_version, &wish.object.kind)?.clone();
        let mut object = wish.object.clone();
        if !resource.namespaced {
            object.namespace.clear();
        }
        Some(Asked { wish, object, resource })
    };
    wants.wishes.iter().filter_map(one).collect()
}

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// Everything of the stack: first of the kinds that the file names, where the stack's mark is too; then of the
    /// kinds that the mark hints at.
    async fn list(&self, wants: &Wants, asked: &[Asked<'_>], catalog: &Catalog, found: &mut Found) {
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
                    // Its definition is gone, and its objects with it.
                    (None, None) => {}
                }
            }
        }
        bodies.extend(self.lists(&more, &selector, &namespaces, found).await);
        if !marks.iter().any(|m| m.as_ref().map_or(true, |p| p.whole)) && bodies.iter().any(applyset::is_applied) {
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

    /// The server's own word on what is new or may differ.
    async fn tried(&self, asked: &[Asked<'_>], found: &mut Found) {
        let doubtful = |a: &&Asked<'_>| {
            let live = found.seen.objects.get(&a.object);
            found.is_seen(&a.object) && live.is_none_or(|live| may_differ(a, live, &found.stack))
        };
        let doubtful: Vec<&Asked<'_>> = asked.iter().filter(doubtful).collect();
        let trials: Vec<_> = doubtful.iter().map(|a| self.rehearse(a.wish, &a.object, &a.resource)).collect();
        let answers: Vec<_> = stream::iter(trials).buffered(AT_ONCE).collect().await;
        for (a, answer) in doubtful.into_iter().zip(answers) {
            let there = found.seen.objects.contains_key(&a.object);
            found.seen.trials.insert(a.object.clone(), trial(answer, there, &found.stack));
        }
    }
}

fn may_differ(asked: &Asked<'_>, live: &Live, stack: &str) -> bool {
    let wish = redact::redacted(in_place(asked.wish.body.json(), &asked.object), stack);
    let known = compare::Known { manager: MANAGER, moved: applyset::moved(&wish, &live.body) };
    compare::compare_knowing(&wish, &live.body, known).may_differ()
}

/// Whether a new object's namespace or definition is not there. Other things can be missing too (the role of a binding),
/// of which the server's own words say more.
fn lacks_ground(failure: &Failure) -> bool {
    let says = |words: &str| failure.says.contains(words);
    failure.class == Class::NotFound && (says("namespaces \"") || says("could not find the requested resource"))
}

fn trial(answer: Result<Json, Refusal>, there: bool, stack: &str) -> Trial {
    match answer {
        Ok(body) => Trial::Becomes(redact::redacted(body, stack)),
        Err(refusal) if !there && lacks_ground(&refusal.failure) => Trial::TooEarly,
        Err(Refusal { failure, causes }) => {
            Trial::Refused(failure, causes.into_iter().map(|c| (c.field, c.message)).collect())
        }
    }
}
