//! The only place that asks for the time, and the only way to wait.
//!
//! [`Wall`] is the machine's clock. The sim has one of its own, on which waiting costs nothing.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// A source of time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time now, as the provider would tell it.
    fn now(&self) -> Timestamp;
    /// Waits for `time`, real or virtual.
    async fn sleep(&self, time: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wall;

#[async_trait]
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
