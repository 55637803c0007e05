//! A cluster of the tests' own: it answers what it was given, in order, and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;
use serde_json::Value as Json;
use tower::{BoxError, service_fn};

use super::KubeCluster;
use crate::errors::Door;

/// One request as it went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `GET /api/v1/namespaces?limit=500`.
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).expect("a body of JSON")
    }
}

/// What was asked so far.
pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;

pub(crate) fn door() -> Door {
    Door { server: "https://10.0.0.1:6443".into(), plugin: None }
}

/// Answers by status and body.
pub(crate) fn answering<const N: usize>(answers: [(u16, &str); N]) -> (KubeCluster, Log) {
    let answers: VecDeque<(u16, String)> = answers.map(|(status, body)| (status, body.to_owned())).into();
    let (answers, log) = (Arc::new(Mutex::new(answers)), Log::default());
    let seen = Arc::clone(&log);
    let service = service_fn(move |request: Request<Body>| {
        let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
        async move {
            let (parts, body) = request.into_parts();
            let headers = parts
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_str().expect("headers are text").to_owned()));
            let (line, headers) = (format!("{} {}", parts.method, parts.uri), headers.collect());
            let body = String::from_utf8(body.collect_bytes().await?.to_vec())?;
            seen.lock().expect("no test panics here").push(Seen { line, headers, body });
            let next = answers.lock().expect("no test panics here").pop_front();
            let (status, body) = next.ok_or("one request more than the test has answers")?;
            let answer = Response::builder().status(status).body(Body::from(body.into_bytes()))?;
            Ok::<_, BoxError>(answer)
        }
    });
    let client = kube::Client::new(service, "default");
    (KubeCluster { client, door: door(), place: "test".into(), namespace: "default".into() }, log)
}

/// The one request that was made.
pub(crate) fn only(log: &Log) -> Seen {
    let seen = log.lock().expect("no test panics here");
    assert_eq!(seen.len(), 1, "one method is one request: {seen:?}");
    seen[0].clone()
}

/// `GET /…` of every request.
pub(crate) fn lines(log: &Log) -> Vec<String> {
    log.lock().expect("no test panics here").iter().map(|one| one.line.clone()).collect()
}
