//! Every limit of the client, in one place: how long a call may take, how much an answer may hold.

use std::time::Duration;

/// Opening a connection, TLS and a proxy's tunnel included. A choice: a server on another continent needs a second.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Silence while an answer is waited for or read. The server itself gives a call up after 60 s (kube-apiserver's
/// `--request-timeout`), and a webhook has at most 30 s.
pub const SILENCE: Duration = Duration::from_secs(65);

/// One whole call: a page of large objects over a slow line included.
pub const CALL: Duration = Duration::from_secs(120);

/// Bytes of one answer. etcd keeps no object above 1.5 MB by default, and a page has 500 of them at most; real pages
/// are a hundredth of that, so this is where an answer is taken for broken.
pub const ANSWER: usize = 256 << 20;

/// Bytes of a log, asked of the server (`limitBytes`): last lines are shown to people.
pub const LOG: usize = 1 << 20;

/// Characters of a server's message that are kept: validation prints whole values into it.
pub const WORDS: usize = 2_000;

/// Of them, those of a long message's end.
pub const LAST_WORDS: usize = 200;

/// Groups asked at once where the server does not know aggregated discovery.
pub const GROUPS_AT_ONCE: usize = 8;

/// Contexts of a kubeconfig that are named when the one asked for is not among them.
pub const NAMED: usize = 20;

/// Requests that wait for the client's own task; kube has as many. The engine keeps far fewer in flight.
pub const QUEUE: usize = 1_024;
