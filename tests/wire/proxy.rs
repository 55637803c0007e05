//! Stands between a program and an HTTP server: writes down every call, holds one back when asked, and makes calls go
//! wrong, before the server has them or after.
//!
//! It knows a call by its action (EC2, STS, SSM) or by its method and path (anything else over HTTP), and nothing of
//! what the call means. One request a connection, which is all that HTTP needs to be understood here. Where it is to
//! speak TLS, `super::tls` says with whose keys.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a victim may take to be named.
const PATIENCE: Duration = Duration::from_secs(60);

/// One call as it came by.
#[derive(Debug, Clone)]
pub struct Call {
    /// `RunInstances`, or `GET /api/v1/nodes`.
    pub action: String,
    /// Its parameters: of the form, or of the address.
    pub form: BTreeMap<String, String>,
    /// The id of the AWS access key that signed it, if one did.
    pub key: Option<String>,
}

/// Whether a call has had its effect when something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The server never gets it.
    Before,
    /// The server has answered it; the client never gets the answer.
    After,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without an answer.
    Drop(When),
    /// The connection is reset (RST).
    Reset(When),
    /// SIGKILL for the client's process group, see [`Proxy::victim`].
    Kill(When),
    /// It takes so much longer to arrive.
    Delay(Duration),
    /// Only the first half of the answer comes.
    Truncate,
    /// The server gets it twice. True: the client sees the second answer, else the first.
    Twice(bool),
    /// The server never gets it, and this status with this body is the answer.
    Answer(u16, String),
}

impl Fault {
    /// A refusal as EC2 writes it.
    pub fn refusal(status: u16, code: &str) -> Self {
        let error = format!("<Error><Code>{code}</Code><Message>the proxy says so</Message></Error>");
        Self::Answer(status, format!("<Response><Errors>{error}</Errors><RequestID>proxy</RequestID></Response>"))
    }
}

/// Calls of one action wait here.
struct Gate {
    action: String,
    came: Sender<()>,
    open: Receiver<()>,
    passed: Sender<()>,
}

/// Decides over the n-th call, counted from 0.
type Meddler = Box<dyn FnMut(usize, &Call) -> Option<Fault> + Send>;

#[derive(Default)]
struct Inner {
    calls: Vec<Call>,
    gates: Vec<Gate>,
    meddler: Option<Meddler>,
    victim: Option<Pid>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    named: Condvar,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, whatever is spoken on it.
pub trait Line: Read + Write {
    /// What it runs over.
    fn socket(&self) -> &TcpStream;
    /// Tells the other side that all has been said.
    fn goodbye(&mut self);
}

impl Line for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    // Closing it is enough.
    fn goodbye(&mut self) {}
}

/// The proxy. It runs until the process ends.
pub struct Proxy {
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
    /// A request as a call.
    pub fn read(head: &str, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let address = head.split_whitespace().nth(1).unwrap_or_default();
        let query = address.split_once('?').map_or("", |(_, query)| query);
        let pairs = text.split('&').chain(query.split('&')).filter_map(|pair| pair.split_once('='));
        let form: BTreeMap<String, String> = pairs.map(|(k, v)| (decoded(k), decoded(v))).collect();
        let key = head.split_once("Credential=").and_then(|(_, scope)| scope.split('/').next()).map(str::to_owned);
        Self { action: action(head, &form), form, key }
    }

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

    /// Whether it only reads, or only asks what would come of it.
    pub fn reads(&self) -> bool {
        let rehearsed = self.form.get("dryRun").is_some_and(|what| what == "All");
        rehearsed || ["Describe", "Get", "GET "].iter().any(|start| self.action.starts_with(start))
    }
}

impl Proxy {
    /// A proxy before this server.
    pub fn before(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let ask = move || TcpStream::connect(&server).ok().map(|stream| Box::new(stream) as Box<dyn Line>);
        Self::between("http", |client| Some(Box::new(client)), ask)
    }

    /// A proxy that speaks with its clients as `accept` does, and with the server as `ask` does.
    pub fn between(
        scheme: &str,
        accept: impl Fn(TcpStream) -> Option<Box<dyn Line>> + Send + Sync + 'static,
        ask: impl Fn() -> Option<Box<dyn Line>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("{scheme}://{}", listener.local_addr().expect("it is bound"));
        let shared = Arc::new(Shared::default());
        let (on, ends) = (Arc::clone(&shared), Arc::new((accept, ask)));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (on, ends) = (Arc::clone(&on), Arc::clone(&ends));
                std::thread::spawn(move || {
                    if let Some(mut client) = ends.0(client) {
                        pass(&mut *client, &ends.1, &on);
                    }
                });
            }
        });
        Self { url, shared }
    }

    /// Every call since the beginning or the last [`Proxy::forget`].
    pub fn calls(&self) -> Vec<Call> {
        self.shared.inner().calls.clone()
    }

    /// Forgets them; the next call is the 0th again.
    pub fn forget(&self) {
        self.shared.inner().calls.clear();
    }

    /// Holds the next call of this action back.
    pub fn hold(&self, action: &str) -> Held {
        let ((came, has_come), (open, is_open), (passed, has_passed)) = (channel(), channel(), channel());
        let gate = Gate { action: action.to_owned(), came, open: is_open, passed };
        self.shared.inner().gates.push(gate);
        Held { came: has_come, open, passed: has_passed }
    }

    /// From now on `meddler` decides what happens to each call.
    pub fn meddle(&self, meddler: impl FnMut(usize, &Call) -> Option<Fault> + Send + 'static) {
        self.shared.inner().meddler = Some(Box::new(meddler));
    }

    /// From now on every call gets through as it is.
    pub fn behave(&self) {
        self.shared.inner().meddler = None;
    }

    /// Whom [`Fault::Kill`] kills: the process group of this process, or nobody any more.
    pub fn victim(&self, group: Option<Pid>) {
        self.shared.inner().victim = group;
        self.shared.named.notify_all();
    }
}

impl Shared {
    /// The call is written down; what is to happen to it, and the gate it waits at.
    fn came(&self, call: Call) -> (Option<Fault>, Option<Gate>) {
        let mut inner = self.inner();
        let number = inner.calls.len();
        let gate = inner.gates.iter().position(|g| g.action == call.action).map(|at| inner.gates.remove(at));
        let fault = inner.meddler.as_mut().and_then(|meddler| meddler(number, &call));
        inner.calls.push(call);
        (fault, gate)
    }

    /// SIGKILL. A client may call before whoever started it has named it.
    fn kill(&self) {
        let unnamed = |inner: &mut Inner| inner.victim.is_none();
        let waited = self.named.wait_timeout_while(self.inner(), PATIENCE, unnamed);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(victim) = inner.victim.take() {
            // It may have ended by itself.
            let _ = kill_process_group(victim, Signal::KILL);
        }
    }
}

/// One request and its answer. A side that has gone ends it.
fn pass(client: &mut dyn Line, server: &dyn Fn() -> Option<Box<dyn Line>>, on: &Shared) {
    let Some((head, body)) = request(&mut *client) else { return };
    let (fault, gate) = on.came(Call::read(&head, &body));
    if let Some(gate) = &gate {
        let _ = gate.came.send(());
        // A test that ends without opening it drops the other half.
        let _ = gate.open.recv();
    }
    match &fault {
        Some(Fault::Drop(When::Before)) => return,
        Some(Fault::Reset(When::Before)) => return reset(client),
        Some(Fault::Kill(When::Before)) => return on.kill(),
        Some(Fault::Delay(time)) => std::thread::sleep(*time),
        Some(Fault::Answer(status, body)) => {
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            return tell(client, answer.as_bytes(), true);
        }
        Some(_) | None => {}
    }
    let mut answer = server().and_then(|server| ask(server, &head, &body));
    if let Some(Fault::Twice(second)) = &fault {
        let again = server().and_then(|server| ask(server, &head, &body));
        answer = if *second { again } else { answer };
    }
    if let Some(gate) = &gate {
        let _ = gate.passed.send(());
    }
    let Some(mut answer) = answer else { return };
    match &fault {
        Some(Fault::Drop(When::After)) => return,
        Some(Fault::Reset(When::After)) => return reset(client),
        Some(Fault::Kill(When::After)) => return on.kill(),
        Some(Fault::Truncate) => answer.truncate(answer.len() / 2),
        Some(_) | None => {}
    }
    tell(client, &answer, fault != Some(Fault::Truncate));
}

/// Writes an answer and, when it is `whole`, says goodbye.
fn tell(client: &mut dyn Line, answer: &[u8], whole: bool) {
    // A client that has gone does not hear it.
    let _ = client.write_all(answer).and_then(|()| client.flush());
    if whole {
        client.goodbye();
    }
}

/// Closed at once and without a word, the system answers with RST.
fn reset(client: &dyn Line) {
    let _ = set_socket_linger(client.socket(), Some(Duration::ZERO));
}

/// `RunInstances`, or `GET /api/v1/nodes`.
fn action(head: &str, form: &BTreeMap<String, String>) -> String {
    let target = || {
        let target = head.lines().find(|line| line.to_lowercase().starts_with("x-amz-target:"))?;
        Some(target.rsplit('.').next()?.trim().to_owned())
    };
    let line = || {
        let line = head.lines().next().unwrap_or_default();
        line.rsplit_once(' ').map_or(line, |(line, _)| line).split('?').next().unwrap_or_default().to_owned()
    };
    form.get("Action").cloned().or_else(target).unwrap_or_else(line)
}

/// Head and body of a request.
pub fn request(client: impl Read) -> Option<(String, Vec<u8>)> {
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

/// The server's answer, head and body.
pub fn ask(mut server: impl Read + Write, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    write!(server, "{head}Connection: close\r\n\r\n").ok()?;
    server.write_all(body).and_then(|()| server.flush()).ok()?;
    let mut answer = Vec::new();
    match server.read_to_end(&mut answer) {
        // TLS minds when the other side hangs up without goodbye; HTTP knows how long an answer is.
        Err(e) if e.kind() != ErrorKind::UnexpectedEof => return None,
        Ok(_) | Err(_) => {}
    }
    // A server that closes without a word has not answered.
    (!answer.is_empty()).then_some(answer)
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
