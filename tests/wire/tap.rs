//! Stands between a program and an HTTP server: writes down every call, and holds one back when asked.
//!
//! One request a connection, which is all that HTTP needs to be understood here.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One call as it came by.
#[derive(Debug, Clone)]
pub struct Call {
    /// `RunInstances`.
    pub action: String,
    /// Its parameters.
    pub form: BTreeMap<String, String>,
}

/// Calls of one action wait here.
struct Gate {
    action: String,
    came: Sender<()>,
    open: Receiver<()>,
    passed: Sender<()>,
}

#[derive(Default)]
struct Shared {
    calls: Mutex<Vec<Call>>,
    gates: Mutex<Vec<Gate>>,
}

/// The tap. It runs until the process ends.
pub struct Tap {
    /// Where to call instead.
    pub url: String,
    shared: Arc<Shared>,
}

/// A call that is held back.
pub struct Held {
    came: Receiver<()>,
    open: Sender<()>,
    passed: Receiver<()>,
}

impl Held {
    /// Until such a call has come.
    pub fn wait(&self, most: Duration) {
        self.came.recv_timeout(most).expect("such a call comes");
    }

    /// Lets it through.
    pub fn release(&self) {
        self.open.send(()).expect("it waits");
    }

    /// Until the server has answered it.
    pub fn settled(&self, most: Duration) {
        self.passed.recv_timeout(most).expect("the server answers");
    }
}

impl Call {
    /// The tags that a create call gives to what it makes of this type.
    pub fn tags(&self, of: &str) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::new();
        let specs = self.form.iter().filter(|(k, v)| k.ends_with(".ResourceType") && *v == of);
        for spec in specs.filter_map(|(k, _)| k.strip_suffix(".ResourceType")) {
            for n in 1.. {
                let Some(key) = self.form.get(&format!("{spec}.Tag.{n}.Key")) else { break };
                let value = self.form.get(&format!("{spec}.Tag.{n}.Value")).cloned().unwrap_or_default();
                tags.insert(key.clone(), value);
            }
        }
        tags
    }
}

impl Tap {
    /// A tap before this server.
    pub fn before(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let shared = Arc::new(Shared::default());
        let on = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (on, server) = (Arc::clone(&on), server.clone());
                std::thread::spawn(move || pass(client, &server, &on));
            }
        });
        Self { url, shared }
    }

    /// Every call since the beginning or the last [`Tap::forget`].
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().expect("no test panics in here").clone()
    }

    /// Forgets them.
    pub fn forget(&self) {
        self.shared.calls.lock().expect("no test panics in here").clear();
    }

    /// Holds the next call of this action back.
    pub fn hold(&self, action: &str) -> Held {
        let ((came, has_come), (open, is_open), (passed, has_passed)) = (channel(), channel(), channel());
        let gate = Gate { action: action.to_owned(), came, open: is_open, passed };
        self.shared.gates.lock().expect("no test panics in here").push(gate);
        Held { came: has_come, open, passed: has_passed }
    }
}

/// One request and its answer. A side that has gone ends it.
fn pass(client: TcpStream, server: &str, on: &Shared) {
    let Some((head, body)) = request(&client) else { return };
    let text = String::from_utf8_lossy(&body);
    let form: BTreeMap<String, String> =
        text.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (decoded(k), decoded(v))).collect();
    let action = form.get("Action").cloned().unwrap_or_else(|| {
        let target = head.lines().find(|l| l.to_lowercase().starts_with("x-amz-target:"));
        target.and_then(|l| l.rsplit('.').next()).unwrap_or_default().trim().to_owned()
    });
    on.calls.lock().expect("no test panics in here").push(Call { action: action.clone(), form });
    let gate = {
        let mut gates = on.gates.lock().expect("no test panics in here");
        gates.iter().position(|g| g.action == action).map(|at| gates.remove(at))
    };
    if let Some(gate) = &gate {
        let _ = gate.came.send(());
        // A test that ends without opening it drops the other half.
        let _ = gate.open.recv();
    }
    let answer = ask(server, &head, &body);
    if let Some(gate) = &gate {
        let _ = gate.passed.send(());
    }
    if let Some(answer) = answer {
        let _ = (&client).write_all(&answer);
    }
}

/// Head and body of a request.
fn request(client: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_lowercase();
        if let Some(n) = lower.strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn ask(server: &str, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).ok()?;
    write!(stream, "{head}Connection: close\r\n\r\n").ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// A form's value without its percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'+' => b' ',
            b'%' => {
                let hex: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(&String::from_utf8_lossy(&hex), 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
