//! A server of the tests' own on a real socket: plain or TLS, it answers every request alike and remembers them.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Who signs.
pub struct Authority {
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names.
    pub fn sign(&self, names: &[&str]) -> Pair {
        self.signed(names, (2000, 4000))
    }

    /// One that held from the first year to the second.
    pub fn signed(&self, names: &[&str], years: (i32, i32)) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// TLS as this pair; with `clients`, only for those whom this authority signed.
pub fn tls(pair: &Pair, clients: Option<&Authority>) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_slice(authority.certificate.as_bytes()).expect("PEM");
            roots.add(root).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).expect("a pair")))
}

/// What a server does with a request.
#[derive(Clone)]
pub enum Manner {
    /// Answers with these bytes and hangs up.
    Says(String),
    /// Says these bytes before it is asked anything, and hangs up.
    Greets(&'static str),
    /// Answers a tunnel's `CONNECT` and carries everything to this port.
    Carries(u16),
    /// Lets time pass by for ever.
    Sleeps,
}

/// An answer of this status and body.
pub fn says(status: &str, body: &str) -> Manner {
    let length = body.len();
    Manner::Says(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"))
}

/// A running one; it ends with the test's runtime.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(tls: Option<TlsAcceptor>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(vec![]));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (tls, manner, log) = (tls.clone(), manner.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, manner, &log).await,
                        // A handshake that fails is the other side's to tell.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, manner, &log).await,
                            Err(_) => Some(()),
                        },
                    }
                });
            }
        });
        Self { port, seen }
    }

    /// The heads of all requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no test panics here").clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: Manner,
    log: &Mutex<Vec<String>>,
) -> Option<()> {
    if let Manner::Greets(greeting) = manner {
        stream.write_all(greeting.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()?;
        // What is left unread when a socket closes would take the greeting back.
        return tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok().map(|_| ());
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    log.lock().expect("no test panics here").push(String::from_utf8(head).expect("a head is text"));
    match manner {
        Manner::Says(answer) => {
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()
        }
        Manner::Carries(port) => {
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
            let mut on = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            tokio::io::copy_bidirectional(&mut stream, &mut on).await.ok().map(|_| ())
        }
        Manner::Greets(_) => Some(()),
        Manner::Sleeps => {
            tokio::time::pause();
            std::future::pending().await
        }
    }
}
