//! Being told to stop: one flag that a run watches.
//!
//! It is raised once and never lowered. Who raises it (a signal, a test, a lost lock) is no matter of the run.

use tokio::sync::watch;

/// Why a run is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT: exit code 130.
    Interrupt,
    /// SIGTERM: exit code 143.
    Terminate,
    /// The lock is lost: exit code 75.
    LockLost,
}

/// The watching half; cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Cause>>);

/// The raising half.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Option<Cause>>);

/// Both halves.
pub fn stop() -> (Stopper, Stop) {
    let (send, receive) = watch::channel(None);
    (Stopper(send), Stop(receive))
}

impl Stopper {
    /// Raises the flag; the first cause stays. False if it was up already.
    pub fn stop(&self, cause: Cause) -> bool {
        self.0.send_if_modified(|c| {
            let first = c.is_none();
            c.get_or_insert(cause);
            first
        })
    }
}

impl Stop {
    /// A flag that nobody raises.
    pub fn never() -> Self {
        stop().1
    }

    /// Whether it is raised, and why.
    pub fn cause(&self) -> Option<Cause> {
        *self.0.borrow()
    }

    /// Returns when it is raised; never if whoever could raise it has gone.
    pub async fn raised(&self) -> Cause {
        let mut watch = self.0.clone();
        loop {
            if let Some(cause) = *watch.borrow_and_update() {
                return cause;
            }
            if watch.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
