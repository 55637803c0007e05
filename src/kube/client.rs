//! How the client comes about, and the one way every request takes: a deadline, a bound on the answer, no retries.
//!
//! It sends nothing by itself: the first method does. A kubeconfig's own program is started here, once.

use std::fmt;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_kubernetes::api::Refusal;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use serde_json::Value as Json;
use tower::buffer::BufferLayer;

use crate::errors::{self, Door};
use crate::kubeconfig::{self, Found, Settings};
use crate::limits;
use crate::request::Asked;

/// A real cluster, as one user. Cheap to clone; clones share connections and credentials.
#[derive(Clone)]
pub struct KubeCluster {
    client: Client,
    door: Door,
    place: String,
    namespace: String,
}

impl fmt::Debug for KubeCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeCluster")
            .field("place", &self.place)
            .field("server", &self.door.server)
            .finish_non_exhaustive()
    }
}

/// Makes the client. No request is sent yet; where the kubeconfig names a program for credentials, it runs.
///
/// # Errors
/// [`Class::Credentials`] where no kubeconfig, no such context or no credentials are to be had, [`Class::Invalid`] where
/// the kubeconfig is wrong.
pub async fn connect(settings: Settings) -> Result<KubeCluster, Failure> {
    provider();
    let Found { mut config, place } = kubeconfig::find(&settings, &kubeconfig::Surroundings::real())?;
    config.connect_timeout = Some(limits::CONNECT);
    config.read_timeout = Some(limits::SILENCE);
    // Counted from the request: a connection may have been idle for longer before.
    config.reset_reader_on_write = true;
    config.write_timeout = Some(limits::SILENCE);
    // The engine tries again, by class and within its budget; a client that did so by itself would hide requests.
    config.default_retry = false;

    let door = Door { server: server(&config), plugin: kubeconfig::plugin(&config) };
    let namespace = settings.namespace.unwrap_or_else(|| config.default_namespace.clone());
    // The program that gives the credentials may take seconds, and may ask a person.
    let made = tokio::task::spawn_blocking(move || client(config)).await;
    let made = made.map_err(|e| Failure::new(Class::Transient, "", format!("connect to {place}: {e}")))?;
    let client = made.map_err(|e| errors::lost(&format!("connect to {place}"), &door, &e))?;
    Ok(KubeCluster { client, door, place, namespace })
}

/// rustls asks the process which cryptography to use; without a name it panics where two are compiled in. Somebody who
/// was here before us named it already.
fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// kube's builder runs the kubeconfig's program once for a token and twice more for a certificate that it might give.
/// With the token at hand the program is taken out for the rest.
fn client(mut config: Config) -> Result<Client, kube::Error> {
    if config.auth_info.exec.is_some()
        && let Some(token) = config.auth_layer()?
    {
        config.auth_info.exec = None;
        // A token that is fetched anew in between needs a service that can be cloned.
        let shared = BufferLayer::new(limits::QUEUE);
        return Ok(ClientBuilder::try_from(config)?.with_layer(&shared).with_layer(&token).build());
    }
    Ok(ClientBuilder::try_from(config)?.build())
}

/// The server's address, without what a person may have put before an `@`.
fn server(config: &Config) -> String {
    let url = &config.cluster_url;
    let (host, port) = (url.host().unwrap_or_default(), url.port());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme_str().unwrap_or("https"), url.path().trim_end_matches('/'))
}

impl KubeCluster {
    /// The namespace of objects that name none: the settings', the context's, or `default`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn called(&self) -> &str {
        &self.place
    }

    /// Sends one request, once. The answer's bytes.
    pub(crate) async fn send(&self, asked: Asked) -> Result<Vec<u8>, Refusal> {
        let says = asked.says.clone();
        let request = asked.into_request()?.map(Body::from);
        let call = async {
            let answer = self.client.send(request).await.map_err(|e| errors::lost(&says, &self.door, &e))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), limits::ANSWER).collect().await.map_err(|e| {
                if e.is::<LengthLimitError>() {
                    let words = format!("{says}: the answer is larger than {} MiB", limits::ANSWER >> 20);
                    return Failure::new(Class::Invalid, "", words);
                }
                errors::lost(&says, &self.door, &*e)
            })?;
            let body = body.to_bytes();
            if status.is_success() { Ok(body.to_vec()) } else { Err(errors::answered(&says, status.as_u16(), &body)) }
        };
        match tokio::time::timeout(limits::CALL, call).await {
            Ok(answer) => answer,
            Err(_) => Err(errors::late(&says, &self.door).into()),
        }
    }

    /// The same, for an answer that is JSON.
    pub(crate) async fn json(&self, asked: Asked) -> Result<Json, Refusal> {
        let says = asked.says.clone();
        let answer = self.send(asked).await?;
        serde_json::from_slice(&answer).map_err(|e| errors::misread(&says, e).into())
    }
}

#[cfg(test)]
pub(crate) mod testing;
