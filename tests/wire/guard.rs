//! Stands before a served world as IAM stands before EC2: writes down what every call asks to be allowed, and refuses
//! what its document does not allow, in AWS's own words.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use evenkeel_sim::Sim;
use serde_json::{Value, json};

use super::iam::{Asked, allows, asks};
use super::proxy::{self, Call};

/// The guard. It runs until the process ends.
pub struct Guard {
    /// Where to call instead.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    sim: Sim,
    document: Mutex<Value>,
    asked: Mutex<Vec<Asked>>,
    denied: Mutex<Vec<Asked>>,
}

impl Guard {
    /// A guard with this document before the world that is served at `url`.
    pub fn before(url: &str, sim: Sim, document: Value) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let shared =
            Arc::new(Shared { sim, document: Mutex::new(document), asked: Mutex::default(), denied: Mutex::default() });
        let on = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (on, server) = (Arc::clone(&on), server.clone());
                std::thread::spawn(move || pass(client, &server, &on));
            }
        });
        Self { url, shared }
    }

    /// Another document from now on.
    pub fn obey(&self, document: Value) {
        *self.shared.document.lock().unwrap_or_else(PoisonError::into_inner) = document;
    }

    /// What was asked and not allowed, so far.
    pub fn denied(&self) -> Vec<Asked> {
        self.shared.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All that was asked so far, each once.
    pub fn asked(&self) -> Vec<Asked> {
        let mut all = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort();
        all.dedup();
        all
    }
}

fn pass(client: TcpStream, server: &str, on: &Shared) {
    let Some((head, body)) = proxy::request(&client) else { return };
    let call = Call::read(&head, &body);
    let text = String::from_utf8_lossy(&body);
    let world = on.sim.world().expect("it is in no file");
    let answer = match asks(&call, &text, &world) {
        None => Some(refused(&call, &format!("nobody knows here what {} asks", call.action))),
        Some(all) => {
            let document = on.document.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let denied = all.iter().find(|one| !allows(&document, one)).cloned();
            on.denied.lock().unwrap_or_else(PoisonError::into_inner).extend(denied.clone());
            on.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(all);
            match denied {
                None => TcpStream::connect(server).ok().and_then(|server| proxy::ask(server, &head, &body)),
                Some(one) => {
                    let says = format!(
                        "You are not authorized to perform this operation. User: arn:aws:iam::{}:user/ci is not \
                         authorized to perform: {} on resource: {} because no identity-based policy allows the {} action",
                        world.account, one.action, one.resource, one.action
                    );
                    Some(refused(&call, &says))
                }
            }
        }
    };
    if let Some(answer) = answer {
        let _ = (&client).write_all(&answer);
    }
}

/// As each of the services says no.
fn refused(call: &Call, says: &str) -> Vec<u8> {
    let (status, body) = match call.action.as_str() {
        "GetParameter" | "GetServiceQuota" => {
            (400, json!({ "__type": "AccessDeniedException", "message": says }).to_string())
        }
        "GetCallerIdentity" => (
            403,
            format!("<ErrorResponse><Error><Code>AccessDenied</Code><Message>{says}</Message></Error></ErrorResponse>"),
        ),
        _ => (
            403,
            format!(
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>{says}</Message></Error></Errors>\
                 <RequestID>r</RequestID></Response>"
            ),
        ),
    };
    let length = body.len();
    format!("HTTP/1.1 {status} No\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}
