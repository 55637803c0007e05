//! SIGINT and SIGTERM, heard from a command's first look to its last.
//!
//! While a plan runs, the first one stops the run in order and a second one ends the process at once. Anywhere else (a
//! look, a question, a wait for the lock) nothing is under way that could be lost, and the first one ends the command.

use std::cell::Cell;

use evenkeel_engine::stop::{Cause, Stop, Stopper, stop};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Halt};

/// The signals of one command.
pub struct Signals {
    stopper: Stopper,
    stop: Stop,
    /// A plan runs.
    runs: Cell<bool>,
}

/// While this lives, a plan runs.
pub struct Running<'a>(&'a Signals);

impl Signals {
    /// Heard from when [`Signals::or_end`] is waited for.
    pub fn new() -> Self {
        let (stopper, stop) = stop();
        Self { stopper, stop, runs: Cell::new(false) }
    }

    /// Raised by the first signal.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// From now on a signal stops the run, which ends the command in its own time.
    pub fn running(&self) -> Running<'_> {
        self.runs.set(true);
        Running(self)
    }

    /// Carries `work` to its end, or to where a signal ends it.
    ///
    /// # Errors
    /// What `work` comes to, or the signal (130, 143).
    pub async fn or_end<T>(&self, work: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            cause = self.ends() => {
                let name = if cause == Cause::Terminate { "SIGTERM" } else { "SIGINT" };
                Err(Halt::new(exit(cause), format!("ended by {name}; nothing was under way")))
            }
            done = work => done,
        }
    }

    /// Until a signal comes that ends the command.
    async fn ends(&self) -> Cause {
        let (mut int, mut term) = (heard(SignalKind::interrupt()), heard(SignalKind::terminate()));
        loop {
            let cause = tokio::select! {
                () = next(&mut int) => Cause::Interrupt,
                () = next(&mut term) => Cause::Terminate,
            };
            let first = self.stopper.stop(cause);
            if !self.runs.get() {
                return cause;
            }
            if !first {
                std::process::exit(exit(cause) as i32);
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.runs.set(false);
    }
}

/// How the program ends that was stopped for this.
pub fn exit(cause: Cause) -> Exit {
    match cause {
        Cause::Interrupt => Exit::Interrupted,
        Cause::Terminate => Exit::Terminated,
        Cause::LockLost => Exit::Lock,
    }
}

/// A signal's stream; `None` where the system refuses one: then the signal does what it does by itself.
pub fn heard(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

/// Until the next one comes.
pub async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
