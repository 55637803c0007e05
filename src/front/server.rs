//! HTTP: one path, two methods, on the loopback interface. Each request is answered whole, or its connection is cut.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_core::failure::Failure;
use evenkeel_sim::Sim;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::answer::{Answer, Service};
use crate::form::{Form, refuse};
use crate::roles::Session;
use crate::sign::Signed;
use crate::{ec2, limits, quotas, sign, ssm, sts};

/// A world behind AWS's protocols.
#[derive(Debug, Clone)]
pub struct Front {
    sim: Sim,
    region: Arc<str>,
    /// Requests so far: their ids.
    count: Arc<AtomicU64>,
}

/// A listener on this machine alone; port 0 is any free one.
///
/// # Errors
/// When the port is taken.
pub async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// No answer comes: what the world decided, or a client that went away.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

impl Front {
    /// A front before this world, which is in `region`.
    pub fn new(sim: Sim, region: &str) -> Self {
        Self { sim, region: region.into(), count: Arc::default() }
    }

    /// Serves until `stop` ends. What is under way then has its effect or not, as when a machine loses power.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let accept = async {
            loop {
                // A connection that broke before it was accepted is no matter of the others.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                let front = self.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| front.request(request));
                    let mut http = hyper::server::conn::http1::Builder::new();
                    http.timer(TokioTimer::new()).header_read_timeout(limits::HEAD);
                    // It ends when the client does, or when it is cut on purpose.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = stop => {}
        }
    }

    async fn request(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("{:08x}-0000-4000-8000-{number:012x}", number >> 48);
        let (head, body) = request.into_parts();
        if head.uri.path() != "/" || !matches!(head.method, Method::POST | Method::GET) {
            return Ok(plain(StatusCode::NOT_FOUND, "here is only POST /"));
        }
        let body = match Limited::new(body, limits::BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(e) if e.is::<http_body_util::LengthLimitError>() => {
                return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large"));
            }
            Err(_) => return Err(Cut),
        };
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let text: &[u8] = if head.method == Method::GET { query } else { &body };
        let answer = self.answer(&head.headers, text, &id).await.ok_or(Cut)?;
        let mut response = Response::new(Full::new(Bytes::from(answer.body)));
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.kind));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
        }
        Ok(response)
    }

    /// `None`: no answer comes.
    async fn answer(&self, headers: &HeaderMap, body: &[u8], id: &str) -> Option<Answer> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let target = header("x-amz-target").and_then(|target| target.split_once('.'));
        // Until the signature is read, what the request looks like tells whose refusal its client understands.
        let guess = if target.is_some() { Service::Ssm } else { Service::Ec2 };
        let signed = sign::read(header("authorization"), header("x-amz-date")).and_then(|signed| {
            if signed.region == *self.region {
                return Ok(signed);
            }
            sign::refused("AuthFailure", format!("Credential should be scoped to the region '{}'", self.region))
        });
        let signed = match signed {
            Ok(signed) => signed,
            Err(failure) => return Answer::refusal(guess, "", &failure, id),
        };
        let service = signed.service;
        let session = match Session::of(&signed, header("x-amz-security-token")) {
            Ok(session) => session,
            Err(failure) => return Answer::refusal(service, "", &failure, id),
        };
        let (name, done) = match service {
            Service::Ssm => {
                let name = target.filter(|(of, _)| *of == "AmazonSSM").unwrap_or_default().1;
                (name.to_owned(), ssm::answer(&self.sim, name, body).await)
            }
            Service::Quotas => {
                let name = target.filter(|(of, _)| *of == "ServiceQuotasV20190624").unwrap_or_default().1;
                (name.to_owned(), quotas::answer(&self.sim, name, body).await)
            }
            Service::Ec2 | Service::Sts => self.query((signed, session), body, id).await,
        };
        match done {
            Ok(body) => Some(Answer::fine(service, body)),
            Err(failure) => Answer::refusal(service, &name, &failure, id),
        }
    }

    /// The query protocol: the action's name, and what came of it.
    async fn query(
        &self,
        (signed, session): (Signed, Option<Session>),
        body: &[u8],
        id: &str,
    ) -> (String, Result<String, Failure>) {
        let mut form = match Form::parse(body) {
            Ok(form) => form,
            Err(failure) => return (String::new(), Err(failure)),
        };
        form.take("Version");
        let Some(name) = form.take("Action") else {
            return (String::new(), refuse("MissingAction", "The request must contain the parameter Action"));
        };
        let done = match signed.service {
            Service::Sts => sts::answer(&self.sim, &name, form, id, (&signed, session)).await,
            Service::Ec2 | Service::Ssm | Service::Quotas => ec2::answer(&self.sim, &name, form, id).await,
        };
        (name, done)
    }
}

fn plain(status: StatusCode, says: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(says.as_bytes())));
    *response.status_mut() = status;
    response
}
