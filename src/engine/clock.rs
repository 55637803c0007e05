//! The only place that asks for the time, and the only way to wait.
//!
//! [`Wall`] is the machine's clock, [`Paced`] that of a world which is served at a pace of its own. The embedded sim
//! has one on which waiting costs nothing.

use std::fmt;
use std::str::FromStr;
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

/// The clock of a world that is served to other processes: it showed `then` when the machine's clock showed `at`, and
/// runs `speed` times as fast. Written `2026-01-05T12:00:00Z@2026-01-07T09:30:00Z*60`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paced {
    /// What it showed.
    pub then: Timestamp,
    /// When.
    pub at: Timestamp,
    /// How many of its seconds pass in one.
    pub speed: f64,
}

/// Slower or faster than this a clock is a mistake: a day in a second is 86,400.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;

impl Paced {
    /// A clock that shows `now` now. `None` for a speed that no clock has.
    pub fn starting_at(now: Timestamp, speed: f64) -> Option<Self> {
        SPEEDS.contains(&speed).then(|| Self { then: now, at: Wall.now(), speed })
    }
}

#[async_trait]
impl Clock for Paced {
    fn now(&self) -> Timestamp {
        let passed = passed(self.at, Wall.now());
        let passed = Duration::try_from_secs_f64(passed.as_secs_f64() * self.speed).unwrap_or(Duration::MAX);
        self.then.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(Duration::try_from_secs_f64(time.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)).await;
    }
}

impl fmt::Display for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}*{}", self.then, self.at, self.speed)
    }
}

impl FromStr for Paced {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (then, rest) = text.split_once('@')?;
            let (at, speed) = rest.split_once('*')?;
            let speed: f64 = speed.parse().ok().filter(|speed| SPEEDS.contains(speed))?;
            Some(Self { then: then.parse().ok()?, at: at.parse().ok()?, speed })
        };
        read().ok_or_else(|| {
            format!("`{text}` is no clock: one looks like `2026-01-05T12:00:00Z@2026-01-07T09:30:00Z*60`")
        })
    }
}

/// How long it is since `then`; zero where the clock has gone back behind it.
pub(crate) fn passed(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paced_clock_is_read_as_it_is_written_and_runs_at_its_pace() {
        let start: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
        let hour_ago = Wall.now().checked_sub(Duration::from_secs(3600)).unwrap();
        let clock = Paced { then: start, at: hour_ago, speed: 24.0 };
        assert_eq!(clock.to_string().parse(), Ok(clock));
        let shows = clock.now().duration_since(start);
        assert!((86_400..86_500).contains(&shows.as_secs()), "an hour of ours is a day there: {shows}");
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        for text in ["", "2026-01-05T12:00:00Z", "now@now*1", "2026-01-05T12:00:00Z@2026-01-05T12:00:00Z*0"] {
            assert!(text.parse::<Paced>().is_err(), "{text}");
        }
        for speed in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert_eq!(Paced::starting_at(Timestamp::UNIX_EPOCH, speed), None, "{speed}");
        }
    }

    #[test]
    fn a_clock_that_has_gone_back_shows_no_time_passed() {
        let (then, hour) = (Timestamp::UNIX_EPOCH, Duration::from_secs(3600));
        assert_eq!((passed(then, then + hour), passed(then + hour, then)), (hour, Duration::ZERO));
    }
}
