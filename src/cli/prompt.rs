//! Asking a person. Never without a terminal, never in CI.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::exit::{Exit, Halt};

/// What is typed, line by line, for whoever wants to know next. A read of a terminal cannot be called off, so it is the
/// matter of a thread that ends with the process: a signal ends a question, and no two ever wait for one line.
static LINES: LazyLock<Mutex<UnboundedReceiver<String>>> = LazyLock::new(|| {
    let (typed, lines) = unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if typed.send(line).is_err() {
                return;
            }
        }
    });
    Mutex::new(lines)
});

/// Whether somebody is there to answer.
pub fn possible() -> bool {
    let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false");
    io::stdin().is_terminal() && io::stderr().is_terminal() && !ci
}

/// Asks once: whether the answer is one of `accept`.
///
/// # Errors
/// Nobody is there to answer; says how to go on without asking (`instead`).
pub async fn ask(question: &str, accept: &[&str], instead: &str) -> Result<bool, Halt> {
    if !possible() {
        let says = format!("nobody is there to ask: this is no terminal, or CI is set. {instead}");
        return Err(Halt::new(Exit::Usage, says));
    }
    {
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question}");
        let _ = err.flush();
    }
    let line = LINES.lock().await.recv().await.unwrap_or_default();
    Ok(accept.iter().any(|a| line.trim().eq_ignore_ascii_case(a)))
}

/// A line with `t` on a terminal asks what is in flight: returns when there is one.
pub async fn asked() {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        std::future::pending::<()>().await;
    }
    loop {
        let line = LINES.lock().await.recv().await;
        match line.as_deref().map(str::trim) {
            Some("t") => return,
            Some(_) => {}
            // The terminal has gone.
            None => std::future::pending::<()>().await,
        }
    }
}
