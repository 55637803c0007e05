//! Creating and changing objects: what every write goes through, in the order of a real server.

use evenkeel_core::address::ObjectName;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::{How, Refusal, Which};
use serde_json::{Value as Json, json};

use super::super::object::{at, finalizers, is_leaving, items, number, put, stamp, table, take, text};
use super::super::refuse::{self, bad_request, cause, conflict, forbidden, invalid, no_such_kind, not_found};
use super::super::ssa::{Apply, Update, apply, update};
use super::super::{Body, Kube, Moment, Object, named};

/// Who writes, and how.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct By<'a> {
    pub(in super::super) manager: &'a str,
    pub(in super::super) dry_run: bool,
}

impl<'a> By<'a> {
    pub(in super::super) fn hand(manager: &'a str) -> Self {
        Self { manager, dry_run: false }
    }
}

impl Kube {
    /// Server-side apply.
    pub(crate) fn apply(
        &mut self,
        which: &Which,
        body: &Json,
        how: &How,
        dry_run: bool,
        m: Moment,
    ) -> Result<Json, Refusal> {
        let name = self.resolve(which)?;
        if how.manager.is_empty() {
            let options = named("meta.k8s.io", "PatchOptions", "", "");
            let says = "Required value: is required for apply patch";
            return Err(invalid(&options, vec![cause("FieldValueRequired", "fieldManager", says)]));
        }
        let mut wish = self.addressed(which, body)?;
        if at(&wish, &["metadata", "managedFields"]).is_some() {
            return Err(bad_request("metadata.managedFields must be nil"));
        }
        let live = self.get(&name).cloned();
        self.expect(&name, &wish, live.as_ref())?;
        // What the server itself decides is no wish.
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "selfLink"] {
            take(&mut wish, &["metadata", field]);
        }
        let version = &which.resource.api_version;
        self.prune_unknown(version, &name.kind, &mut wish);
        let live = live.map(|l| self.converted(&l, version));
        let ask = Apply {
            live: live.as_ref(),
            wish: &wish,
            manager: &how.manager,
            force: how.force,
            form: self.form(version, &name.kind),
            now: m.now,
        };
        let object = apply(&ask).map_err(|conflicts| refuse::clash(&conflicts))?;
        let by = By { manager: &how.manager, dry_run };
        self.finish(&name, live.as_ref(), object, by, m)
    }

    /// JSON merge patch.
    pub(crate) fn patch(&mut self, which: &Which, patch: &Json, manager: &str, m: Moment) -> Result<Json, Refusal> {
        let name = self.resolve(which)?;
        let live = self.get(&name).cloned().ok_or_else(|| not_found(self, &name))?;
        self.expect(&name, patch, Some(&live))?;
        let live = self.converted(&live, &which.resource.api_version);
        let new = merge_patch(&live, patch);
        self.put_changed(&name, &live, new, By::hand(manager), m)
    }

    /// Any write over an object that is there.
    pub(in super::super) fn put_changed(
        &mut self,
        name: &ObjectName,
        live: &Json,
        mut new: Json,
        by: By<'_>,
        m: Moment,
    ) -> Result<Json, Refusal> {
        self.settle_parts(&mut new, Some(live));
        self.fill(&mut new, Some(live), m);
        let version = text(live, &["apiVersion"]).to_owned();
        let ask = Update {
            before: Some(live),
            after: &new,
            manager: by.manager,
            subresource: None,
            form: self.form(&version, &name.kind),
            now: m.now,
        };
        let new = update(&ask);
        self.finish(name, Some(live), new, by, m)
    }

    /// A write whose managers are booked already.
    pub(in super::super) fn put_booked(
        &mut self,
        name: &ObjectName,
        live: &Json,
        new: Json,
        m: Moment,
    ) -> Result<Json, Refusal> {
        self.finish(name, Some(live), new, By::hand(""), m)
    }

    /// Makes an object that is not there; `tracked`: as a person does, whose fields are kept account of.
    pub(in super::super) fn create(
        &mut self,
        mut body: Json,
        by: By<'_>,
        tracked: bool,
        m: Moment,
    ) -> Result<Json, Refusal> {
        let name =
            evenkeel_core::applyset::name_of(&body).ok_or_else(|| bad_request("an object needs a kind and a name"))?;
        if self.get(&name).is_some() {
            let says = format!("{} {:?} already exists", refuse::whole(self, &name), name.name);
            return Err(Refusal { failure: Failure::new(Class::Busy, "AlreadyExists", says), causes: vec![] });
        }
        self.settle_parts(&mut body, None);
        self.fill(&mut body, None, m);
        let version = text(&body, &["apiVersion"]).to_owned();
        if tracked {
            let form = self.form(&version, &name.kind);
            let ask = Update { before: None, after: &body, manager: by.manager, subresource: None, form, now: m.now };
            body = update(&ask);
        }
        self.finish(&name, None, body, by, m)
    }

    /// The end of every write: defaults, admission, validation, quota, and the store.
    fn finish(
        &mut self,
        name: &ObjectName,
        live: Option<&Json>,
        mut object: Json,
        by: By<'_>,
        m: Moment,
    ) -> Result<Json, Refusal> {
        self.settle_parts(&mut object, live);
        self.fill(&mut object, live, m);
        self.admit(name, &mut object)?;
        self.settle_parts(&mut object, live);
        self.fill(&mut object, live, m);
        let causes = self.problems(name, &object, live);
        if !causes.is_empty() {
            return Err(invalid(name, causes));
        }
        if live.is_none() {
            self.within_quota(name, &object)?;
        }
        if let Some(live) = live
            && is_same(live, &object)
        {
            return Ok(live.clone());
        }
        let stands = live.is_some_and(|l| same_wish(l, &object));
        if !stands && has_generation(name) {
            let before = live.and_then(|l| number(l, &["metadata", "generation"])).unwrap_or(0);
            put(&mut object, &["metadata", "generation"], before + 1);
        }
        if live.is_none() {
            let uid = if by.dry_run { self.clone().next_uid() } else { self.next_uid() };
            put(&mut object, &["metadata", "uid"], uid);
            put(&mut object, &["metadata", "creationTimestamp"], stamp(m.now));
        }
        if by.dry_run {
            return Ok(object);
        }
        self.store(name, &mut object, m);
        Ok(object)
    }

    /// Keeps an object. One that was only waiting for its finalizers goes.
    pub(in super::super) fn store(&mut self, name: &ObjectName, object: &mut Json, m: Moment) {
        let revision = self.next_revision();
        put(object, &["metadata", "resourceVersion"], revision);
        self.stir(m);
        let gone = is_leaving(object) && finalizers(object).is_empty() && !self.lingers(name, object);
        if gone {
            self.objects.remove(name);
            return;
        }
        let due = self.objects.get(name).and_then(|o| o.due);
        self.objects.insert(name.clone(), Object { due, body: Body(object.clone()) });
    }

    /// Pods end in their own time, namespaces when they are empty.
    fn lingers(&self, name: &ObjectName, object: &Json) -> bool {
        match (name.api.as_str(), name.kind.as_str()) {
            ("", "Namespace") => !items(object, &["spec", "finalizers"]).is_empty(),
            ("", "Pod") => true,
            _ => false,
        }
    }

    /// The name that a request is about, if such a kind is served.
    pub(in super::super) fn resolve(&self, which: &Which) -> Result<ObjectName, Refusal> {
        let r = &which.resource;
        let namespaced = self.serves(&r.api_version, &r.kind).ok_or_else(no_such_kind)?;
        if namespaced == which.namespace.is_empty() || which.name.is_empty() {
            return Err(no_such_kind());
        }
        Ok(named(r.group(), &r.kind, &which.namespace, &which.name))
    }

    /// The body, which must say what the request's address says.
    fn addressed(&self, which: &Which, body: &Json) -> Result<Json, Refusal> {
        if !body.is_object() {
            return Err(bad_request("the body is no object"));
        }
        let r = &which.resource;
        let (version, kind) = (text(body, &["apiVersion"]), text(body, &["kind"]));
        if version != r.api_version || kind != r.kind {
            return Err(bad_request(format!(
                "Incorrect version specified in apply patch. Specified patch version: {version} {kind}, expected: {} {}",
                r.api_version, r.kind
            )));
        }
        let mut wish = body.clone();
        let metadata = table(&mut wish, &["metadata"]);
        for (field, wanted) in [("name", &which.name), ("namespace", &which.namespace)] {
            let said = metadata.get(field).and_then(Json::as_str).unwrap_or_default();
            if !said.is_empty() && said != wanted {
                return Err(bad_request(format!(
                    "the {field} of the object ({said}) does not match the {field} on the URL ({wanted})"
                )));
            }
            if !wanted.is_empty() {
                metadata.insert(field.to_owned(), json!(wanted));
            }
        }
        Ok(wish)
    }

    /// What a write expects of the object that is there: its uid and its revision.
    fn expect(&self, name: &ObjectName, wish: &Json, live: Option<&Json>) -> Result<(), Refusal> {
        let uid = text(wish, &["metadata", "uid"]);
        let revision = text(wish, &["metadata", "resourceVersion"]);
        let Some(live) = live else {
            return if uid.is_empty() && revision.is_empty() {
                self.place_for(name)
            } else {
                let says =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                Err(conflict(self, name, &says))
            };
        };
        let has = text(live, &["metadata", "uid"]);
        if !uid.is_empty() && uid != has {
            let says = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {has}");
            return Err(conflict(self, name, &says));
        }
        if !revision.is_empty() && revision != text(live, &["metadata", "resourceVersion"]) {
            let says = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(conflict(self, name, says));
        }
        Ok(())
    }

    /// Whether something new may be made there.
    fn place_for(&self, name: &ObjectName) -> Result<(), Refusal> {
        if name.namespace.is_empty() {
            return Ok(());
        }
        let namespace = named("", "Namespace", "", &name.namespace);
        match self.get(&namespace) {
            None => Err(not_found(self, &namespace)),
            Some(n) if is_leaving(n) => {
                let says = format!(
                    "unable to create new content in namespace {} because it is being terminated",
                    name.namespace
                );
                let mut refusal = forbidden(self, name, &says);
                refusal.failure.class = Class::Busy;
                refusal.failure.code = "NamespaceTerminating".to_owned();
                refusal.causes.push(cause("NamespaceTerminating", "metadata.namespace", says));
                Err(refusal)
            }
            Some(_) => Ok(()),
        }
    }

    /// An object in another version of its kind. Only the name of the version differs here.
    pub(in super::super) fn converted(&self, object: &Json, version: &str) -> Json {
        let mut object = object.clone();
        put(&mut object, &["apiVersion"], version);
        object
    }

    /// What a write cannot change: what the server itself keeps, and the status.
    fn settle_parts(&self, object: &mut Json, live: Option<&Json>) {
        let Some(live) = live else {
            let (version, kind) = (text(object, &["apiVersion"]).to_owned(), text(object, &["kind"]).to_owned());
            if self.form(&version, &kind).has_status() {
                take(object, &["status"]);
            }
            for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"] {
                take(object, &["metadata", field]);
            }
            return;
        };
        for field in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            match at(live, &["metadata", field]) {
                Some(value) => put(object, &["metadata", field], value.clone()),
                None => {
                    take(object, &["metadata", field]);
                }
            }
        }
        let (version, kind) = (text(live, &["apiVersion"]).to_owned(), text(live, &["kind"]).to_owned());
        if self.form(&version, &kind).has_status() {
            match live.get("status") {
                Some(status) => put(object, &["status"], status.clone()),
                None => {
                    take(object, &["status"]);
                }
            }
        }
    }
}

/// Kinds that count the changes of what is wished.
fn has_generation(name: &ObjectName) -> bool {
    match (name.api.as_str(), name.kind.as_str()) {
        ("", kind) => matches!(kind, "Pod" | "ReplicationController"),
        ("rbac.authorization.k8s.io" | "storage.k8s.io" | "coordination.k8s.io" | "events.k8s.io", _) => false,
        ("node.k8s.io" | "autoscaling", _) => false,
        _ => true,
    }
}

/// Whether two objects ask for the same, apart from metadata and status.
fn same_wish(a: &Json, b: &Json) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return false };
    let apart = |k: &str| matches!(k, "metadata" | "status" | "apiVersion");
    let names = a.keys().chain(b.keys()).filter(|k| !apart(k));
    names.into_iter().all(|k| a.get(k) == b.get(k))
}

/// Whether a write would change nothing but the times of its managers.
fn is_same(live: &Json, new: &Json) -> bool {
    let timeless = |object: &Json| {
        let mut object = object.clone();
        if let Some(entries) = object.pointer_mut("/metadata/managedFields").and_then(Json::as_array_mut) {
            for entry in entries {
                take(entry, &["time"]);
            }
        }
        object
    };
    timeless(live) == timeless(new)
}

/// RFC 7386.
pub(in super::super) fn merge_patch(target: &Json, patch: &Json) -> Json {
    let Json::Object(patch) = patch else { return patch.clone() };
    let mut all = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            all.remove(key);
        } else {
            let below = all.get(key).cloned().unwrap_or(Json::Null);
            all.insert(key.clone(), merge_patch(&below, value));
        }
    }
    Json::Object(all)
}
