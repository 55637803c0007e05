//! Lists in pages, single objects, and logs.

use data_encoding::BASE64URL_NOPAD;
use evenkeel_core::address::ObjectName;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::{Page, Query, Resource, Which};
use serde_json::Value as Json;

use super::super::object::{flag, items, number, text};
use super::super::refuse::{bad_request, no_such_kind, not_found};
use super::super::{Kube, named};

impl Kube {
    /// One page. Pages follow each other by namespace and name, on the world as it is at each page.
    pub(crate) fn list(&self, resource: &Resource, query: &Query) -> Result<Page, Failure> {
        if self.serves(&resource.api_version, &resource.kind).is_none() {
            return Err(no_such_kind().failure);
        }
        let selector = Selector::read(&query.selector).map_err(|says| bad_request(says).failure)?;
        let fields = Fields::read(&query.fields).map_err(|says| bad_request(says).failure)?;
        let after = query.next.as_deref().map(read_token).transpose()?;
        let limit = if query.limit == 0 { usize::MAX } else { query.limit as usize };
        let all = self.of_kind(resource.group(), &resource.kind).filter(|(name, object)| {
            query.namespace.as_ref().is_none_or(|n| name.namespace == *n)
                && selector.meets(object)
                && fields.meet(object)
                && after.as_ref().is_none_or(|(namespace, last)| (&name.namespace, &name.name) > (namespace, last))
        });
        let mut found: Vec<(&ObjectName, &Json)> = all.take(limit.saturating_add(1)).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(name, _)| token(name));
        let items = found.into_iter().map(|(_, object)| self.converted(object, &resource.api_version)).collect();
        Ok(Page { items, next })
    }

    /// One object.
    pub(crate) fn read(&self, which: &Which) -> Result<Json, Failure> {
        let name = self.resolve(which).map_err(|r| r.failure)?;
        let object = self.get(&name).ok_or_else(|| not_found(self, &name).failure)?;
        Ok(self.converted(object, &which.resource.api_version))
    }

    /// The last lines of a container's log.
    pub(crate) fn log(&self, at: (&str, &str, &str), previous: bool, lines: u32) -> Result<String, Failure> {
        let (namespace, pod, container) = at;
        let name = named("", "Pod", namespace, pod);
        let object = self.get(&name).ok_or_else(|| not_found(self, &name).failure)?;
        let containers = items(object, &["spec", "containers"]);
        let spec = match containers {
            [one] if container.is_empty() => Some(one),
            all => all.iter().find(|c| text(c, &["name"]) == container),
        };
        let Some(spec) = spec else {
            return Err(bad_request(format!("container {container} is not valid for pod {pod}")).failure);
        };
        let status = items(object, &["status", "containerStatuses"])
            .iter()
            .find(|s| text(s, &["name"]) == text(spec, &["name"]));
        let ran = status.is_some_and(|s| flag(s, &["started"]) || number(s, &["restartCount"]).unwrap_or(0) > 0);
        let waits = status.map(|s| text(s, &["state", "waiting", "reason"])).unwrap_or("ContainerCreating");
        if !ran && !waits.is_empty() {
            let says = format!("container {:?} in pod {pod:?} is waiting to start: {waits}", text(spec, &["name"]));
            return Err(bad_request(says).failure);
        }
        if previous && status.is_none_or(|s| number(s, &["restartCount"]).unwrap_or(0) == 0) {
            let says = format!("previous terminated container {:?} in pod {pod:?} not found", text(spec, &["name"]));
            return Err(bad_request(says).failure);
        }
        let whole = self.crash_log(text(spec, &["image"])).unwrap_or("started\nready\n");
        let all: Vec<&str> = whole.lines().collect();
        let from = all.len().saturating_sub(lines as usize);
        Ok(all[from..].iter().map(|l| format!("{l}\n")).collect())
    }
}

fn token(name: &ObjectName) -> String {
    BASE64URL_NOPAD.encode(format!("{}/{}", name.namespace, name.name).as_bytes())
}

fn read_token(token: &str) -> Result<(String, String), Failure> {
    let bad = || bad_request("continue key is not valid").failure;
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let (namespace, name) = text.split_once('/').ok_or_else(bad)?;
    Ok((namespace.to_owned(), name.to_owned()))
}

/// The token of a first page, for a server that has nothing to say on it yet.
pub(in super::super) fn first_page() -> String {
    BASE64URL_NOPAD.encode(b"/")
}

/// The refusal of a token that is too old.
pub(in super::super) fn expired() -> Failure {
    Failure::new(
        Class::Transient,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result.",
    )
}

/// A field selector, of the fields that pods and events are selected by: `spec.nodeName=node-a`.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(text: &str) -> Result<Self, String> {
        const KNOWN: [&str; 6] =
            ["metadata.name", "metadata.namespace", "spec.nodeName", "status.phase", "involvedObject.uid", "reason"];
        let one = |part: &str| match part.split_once('=') {
            Some((field, value)) if KNOWN.contains(&field) => Ok((field.to_owned(), value.to_owned())),
            Some((field, _)) => Err(format!("field label not supported: {field}")),
            None => Err(format!("invalid selector: {part}")),
        };
        text.split(',').filter(|p| !p.is_empty()).map(one).collect::<Result<_, _>>().map(Self)
    }

    fn meet(&self, object: &Json) -> bool {
        self.0.iter().all(|(field, value)| text(object, &field.split('.').collect::<Vec<_>>()) == value)
    }
}

/// A label selector in the API's own words: `a=b,c!=d,e,!f,g in (x,y),h notin (z)`.
#[derive(Debug)]
pub(in super::super) struct Selector(Vec<Requirement>);

#[derive(Debug)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Has(String),
    HasNot(String),
}

impl Selector {
    pub(in super::super) fn read(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        let mut depth = 0;
        let parts = text.split(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        });
        for part in parts.map(str::trim).filter(|p| !p.is_empty()) {
            all.push(Self::one(part).ok_or_else(|| format!("unable to parse requirement: {part}"))?);
        }
        Ok(Self(all))
    }

    fn one(part: &str) -> Option<Requirement> {
        let key = |k: &str| {
            let k = k.trim();
            let plain = !k.is_empty() && k.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
            plain.then(|| k.to_owned())
        };
        let values = |v: &str| -> Option<Vec<String>> {
            let inner = v.trim().strip_prefix('(')?.strip_suffix(')')?;
            Some(inner.split(',').map(|v| v.trim().to_owned()).collect())
        };
        if let Some((k, v)) = part.split_once(" notin ") {
            return Some(Requirement::NotIn(key(k)?, values(v)?));
        }
        if let Some((k, v)) = part.split_once(" in ") {
            return Some(Requirement::In(key(k)?, values(v)?));
        }
        if let Some((k, v)) = part.split_once("!=") {
            return Some(Requirement::NotIn(key(k)?, vec![v.trim().to_owned()]));
        }
        if let Some((k, v)) = part.split_once('=') {
            let v = v.strip_prefix('=').unwrap_or(v).trim();
            return Some(Requirement::In(key(k)?, vec![v.to_owned()]));
        }
        match part.strip_prefix('!') {
            Some(k) => Some(Requirement::HasNot(key(k)?)),
            None => Some(Requirement::Has(key(part)?)),
        }
    }

    pub(in super::super) fn meets(&self, object: &Json) -> bool {
        let label = |key: &str| evenkeel_core::applyset::label(object, key);
        self.0.iter().all(|r| match r {
            Requirement::In(key, values) => label(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|v| values.iter().all(|w| w != v)),
            Requirement::Has(key) => label(key).is_some(),
            Requirement::HasNot(key) => label(key).is_none(),
        })
    }
}
