//! Paths and queries of the API: plain values in, one HTTP request out.
//!
//! It refuses names that would change what a request is about: an empty one turns the deletion of an object into the
//! deletion of all, one with a slash reaches into a subresource.

use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::{PAGE, Query, Resource, Which};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What the server's log and its audit call us.
const AGENT: &str = concat!("evenkeel/", env!("CARGO_PKG_VERSION"));

/// What stands for itself in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// In a path the colon of `system:node` does too.
const PATH: &AsciiSet = &QUERY.remove(b':');

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A server-side apply; JSON is YAML.
    Apply,
    /// A JSON merge patch.
    Merge,
    /// Plain JSON.
    Json,
}

impl Content {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "application/apply-patch+yaml",
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json",
        }
    }
}

/// What kind of answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    /// An object or a list.
    Json,
    /// All groups in one answer, where the server can.
    Discovery,
    /// A log.
    Text,
}

impl Accept {
    fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Discovery => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
            Self::Text => "*/*",
        }
    }
}

/// One HTTP request in the making, and what it is called in messages.
#[derive(Debug)]
pub(crate) struct Asked {
    /// `apply Deployment.apps shop/web`.
    pub(crate) says: String,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    accept: Accept,
    body: Option<(Content, Vec<u8>)>,
}

impl Asked {
    /// A request of this method for this path.
    pub(crate) fn new(method: Method, says: impl Into<String>, path: impl Into<String>) -> Self {
        let (says, path) = (says.into(), path.into());
        Self { says, method, path, query: vec![], accept: Accept::Json, body: None }
    }

    /// `GET` of this path, called by it.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        let path = path.into();
        Self::new(Method::GET, format!("GET {path}"), path)
    }

    /// A request about one object.
    pub(crate) fn about(method: Method, verb: &str, which: &Which) -> Result<Self, Failure> {
        let Which { resource, namespace, name } = which;
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let says = format!("{verb} {} {place}{name}", resource.group_kind());
        if resource.namespaced == namespace.is_empty() {
            let must = if resource.namespaced { "a namespace is missing" } else { "this kind has no namespaces" };
            return Err(Failure::new(Class::Invalid, "", format!("{says}: {must}")));
        }
        let all = collection(resource, Some(namespace)).map_err(|failure| called(&says, failure))?;
        let name = segment(name).map_err(|failure| called(&says, failure))?;
        Ok(Self::new(method, says, format!("{all}/{name}")))
    }

    /// One page of a list.
    pub(crate) fn page(resource: &Resource, query: &Query) -> Result<Self, Failure> {
        let place = query.namespace.as_ref().map_or(String::new(), |one| format!(" in {one}"));
        let says = format!("list {}{place}", resource.group_kind());
        if query.namespace.is_some() && !resource.namespaced {
            return Err(Failure::new(Class::Invalid, "", format!("{says}: this kind has no namespaces")));
        }
        let path = collection(resource, query.namespace.as_deref()).map_err(|failure| called(&says, failure))?;
        let limit = if query.limit == 0 { PAGE } else { query.limit.min(PAGE) };
        let asked = Self::new(Method::GET, says, path).with("limit", limit.to_string());
        let asked = if query.selector.is_empty() { asked } else { asked.with("labelSelector", &query.selector) };
        let asked = if query.fields.is_empty() { asked } else { asked.with("fieldSelector", &query.fields) };
        Ok(match &query.next {
            Some(next) => asked.with("continue", next),
            None => asked,
        })
    }

    /// Of a subresource.
    pub(crate) fn below(mut self, subresource: &str) -> Self {
        self.path.push('/');
        self.path.push_str(subresource);
        self
    }

    /// With a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Asking for this kind of answer.
    pub(crate) fn accepting(self, accept: Accept) -> Self {
        Self { accept, ..self }
    }

    /// With a body.
    pub(crate) fn sending(self, content: Content, body: &serde_json::Value) -> Self {
        Self { body: Some((content, body.to_string().into_bytes())), ..self }
    }

    /// The request as it goes out.
    pub(crate) fn into_request(self) -> Result<Request<Vec<u8>>, Failure> {
        let mut uri = self.path;
        for (at, (name, value)) in self.query.iter().enumerate() {
            uri.push(if at == 0 { '?' } else { '&' });
            uri.push_str(name);
            uri.push('=');
            uri.extend(utf8_percent_encode(value, QUERY));
        }
        let mut request = Request::builder()
            .method(self.method)
            .uri(uri)
            .header(ACCEPT, self.accept.as_str())
            .header(USER_AGENT, AGENT);
        if let Some((content, _)) = &self.body {
            request = request.header(CONTENT_TYPE, content.as_str());
        }
        request.body(self.body.map(|(_, bytes)| bytes).unwrap_or_default()).map_err(|error| {
            Failure::new(Class::Invalid, "", format!("{}: no request can be made: {error}", self.says))
        })
    }
}

/// `/api/v1/namespaces/shop/services`; without a namespace: all of them.
fn collection(resource: &Resource, namespace: Option<&str>) -> Result<String, Failure> {
    let mut path = match resource.api_version.split_once('/') {
        Some((group, version)) => format!("/apis/{}/{}", segment(group)?, segment(version)?),
        None => format!("/api/{}", segment(&resource.api_version)?),
    };
    if let Some(namespace) = namespace.filter(|one| !one.is_empty()) {
        path.push_str("/namespaces/");
        path.push_str(&segment(namespace)?);
    }
    path.push('/');
    path.push_str(&segment(&resource.plural)?);
    Ok(path)
}

/// One part of a path. The server's own rule for names in paths: not empty, no dots alone, no `/`, no `%`.
pub(crate) fn segment(text: &str) -> Result<String, Failure> {
    if text.is_empty() || text == "." || text == ".." || text.contains(['/', '%']) {
        return Err(Failure::new(Class::Invalid, "", format!("`{text}` is no name")));
    }
    Ok(utf8_percent_encode(text, PATH).to_string())
}

/// A failure, with the request's name before its words.
fn called(says: &str, failure: Failure) -> Failure {
    Failure { says: format!("{says}: {}", failure.says), ..failure }
}

#[cfg(test)]
mod tests;
