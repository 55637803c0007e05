//! Virtual time: on a paused tokio runtime waiting costs nothing, and the world's time moves by what was waited for.
//!
//! On an unpaused runtime the same clock runs in real time; nothing else differs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_engine::clock::{Clock, Paced};
use jiff::Timestamp;
use tokio::time::Instant;

/// The time in a world: where it stood when it was opened, and what tokio's clock has counted since.
#[derive(Debug, Clone)]
pub struct SimClock {
    /// The world's time at an instant of tokio's.
    anchor: Arc<Mutex<(Timestamp, Instant)>>,
    /// Seconds of the world in one of tokio's.
    speed: f64,
}

impl SimClock {
    /// A clock that shows `now` now.
    pub fn starting_at(now: Timestamp) -> Self {
        Self::at_speed(now, 1.0)
    }

    /// The same, `speed` times as fast: for a world that is served to other processes.
    pub fn at_speed(now: Timestamp, speed: f64) -> Self {
        Self { anchor: Arc::new(Mutex::new((now, Instant::now()))), speed }
    }

    fn is_plain(&self) -> bool {
        self.speed == 1.0
    }

    /// The same clock for another process; `None` where its speed is none.
    pub fn paced(&self) -> Option<Paced> {
        Paced::starting_at(self.now(), self.speed)
    }

    /// Never shows less than `time` from now on: another process may have moved the same world forward.
    pub fn at_least(&self, time: Timestamp) {
        if self.now() < time {
            *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = (time, Instant::now());
        }
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let (then, instant) = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = instant.elapsed();
        later(then, if self.is_plain() { passed } else { scaled(passed, self.speed) })
    }

    async fn sleep(&self, time: Duration) {
        if self.is_plain() {
            return tokio::time::sleep(time).await;
        }
        let time = scaled(time, self.speed.recip());
        // Tokio's timer rounds up to a millisecond, which at a high speed would be minutes.
        if time >= TICK / 2 {
            tokio::time::sleep(time).await;
        }
    }
}

/// What tokio's timer can tell apart.
const TICK: Duration = Duration::from_millis(1);

fn scaled(time: Duration, by: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * by).unwrap_or(Duration::MAX)
}

/// `time` after `start`, at the calendar's end where it would leave it.
pub(crate) fn later(start: Timestamp, time: Duration) -> Timestamp {
    start.checked_add(time).unwrap_or(Timestamp::MAX)
}

/// A runtime in virtual time: one thread, tokio's clock paused, moved on whenever every task waits for it.
///
/// # Errors
/// When the operating system refuses what a runtime needs.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_waiting_costs_no_time_and_moves_the_world_by_an_hour() {
        let began = std::time::Instant::now();
        runtime().unwrap().block_on(async {
            let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
            let clock = SimClock::starting_at(start);
            clock.sleep(Duration::from_secs(3600)).await;
            assert_eq!(clock.now(), "2026-01-01T01:00:00Z".parse().unwrap());
            clock.at_least(start);
            assert_eq!(clock.now(), "2026-01-01T01:00:00Z".parse().unwrap(), "never backwards");
            clock.at_least("2026-01-02T00:00:00Z".parse().unwrap());
            clock.sleep(Duration::from_secs(1)).await;
            assert_eq!(clock.now(), "2026-01-02T00:00:01Z".parse().unwrap());
        });
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
