//! The proxy before a server that speaks TLS: it has an authority of its own, which its clients must trust, and trusts
//! the server's.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, StreamOwned};

use super::proxy::{Line, Proxy};
use crate::kubernetes::server::{Authority, tls};

impl Line for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn goodbye(&mut self) {
        self.conn.send_close_notify();
        // A client that has gone does not hear it.
        let _ = std::io::Write::flush(self);
    }
}

impl Line for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }

    fn goodbye(&mut self) {
        self.conn.send_close_notify();
        let _ = std::io::Write::flush(self);
    }
}

/// A proxy before `https://127.0.0.1:…`, whose certificate one of these authorities (PEM) signed; and the authority (PEM) that
/// signed the proxy's own.
pub fn before(url: &str, authority: &str) -> (Proxy, String) {
    let own = Authority::new();
    let serving = Arc::clone(tls(&own.sign(&["127.0.0.1"]), None).config());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate.expect("PEM")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let asking = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let asking = Arc::new(asking.expect("TLS 1.2 and 1.3").with_root_certificates(roots).with_no_client_auth());
    let server = url.strip_prefix("https://").expect("an address of TLS").trim_end_matches('/').to_owned();
    let accept = move |client: TcpStream| {
        let connection = ServerConnection::new(Arc::clone(&serving)).ok()?;
        Some(Box::new(StreamOwned::new(connection, client)) as Box<dyn Line>)
    };
    let ask = move || {
        let stream = TcpStream::connect(&server).ok()?;
        let name = ServerName::IpAddress(stream.peer_addr().ok()?.ip().into());
        let connection = ClientConnection::new(Arc::clone(&asking), name).ok()?;
        Some(Box::new(StreamOwned::new(connection, stream)) as Box<dyn Line>)
    };
    (Proxy::between("https", accept, ask), own.certificate)
}
