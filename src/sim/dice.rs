//! Chance that replays: every draw is a function of the world's seed and of what it is drawn for.
//!
//! Nothing is kept between draws, so the order of calls cannot change what an object was dealt.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

/// A number drawn from `seed` for `purpose` (`boot`) and `whom` (an id or a count).
pub fn draw(seed: u64, purpose: &str, whom: impl fmt::Display) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fingerprint(&format!("{purpose} {whom}")));
    rng.next_u64()
}

/// True in `odds` (0 to 1) of all draws.
pub fn chance(seed: u64, purpose: &str, whom: impl fmt::Display, odds: f64) -> bool {
    // 53 bits fill a double exactly.
    let unit = (draw(seed, purpose, whom) >> 11) as f64 / (1u64 << 53) as f64;
    unit < odds
}

/// A short, stable name for a text: FNV-1a, 64 bits. Not for secrets.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// How long something takes: from the shorter to the longer time. In the world's file: `"5s..25s"`, or `"1h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    low: Duration,
    high: Duration,
}

impl Span {
    /// Between `low` and `high` milliseconds.
    pub const fn millis(low: u64, high: u64) -> Self {
        Self { low: Duration::from_millis(low), high: Duration::from_millis(high) }
    }

    /// Between `low` and `high` seconds.
    pub const fn secs(low: u64, high: u64) -> Self {
        Self::millis(low * 1000, high * 1000)
    }

    /// The time dealt to `whom` for `purpose`, in whole milliseconds.
    pub fn draw(self, seed: u64, purpose: &str, whom: impl fmt::Display) -> Duration {
        let width = self.high.saturating_sub(self.low).as_millis() as u64;
        if width == 0 {
            return self.low;
        }
        self.low + Duration::from_millis(draw(seed, purpose, whom) % (width + 1))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |d: Duration| SignedDuration::try_from(d).map_or_else(|_| "0s".to_owned(), |d| format!("{d:#}"));
        if self.low == self.high {
            f.write_str(&word(self.low))
        } else {
            write!(f, "{}..{}", word(self.low), word(self.high))
        }
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (low, high) = s.split_once("..").unwrap_or((s, s));
        let time = |t: &str| -> Result<Duration, String> {
            let bad = || format!("`{s}` is not a time such as \"5s..25s\" or \"1h\"");
            let d: SignedDuration = t.trim().parse().map_err(|_| bad())?;
            let d = Duration::try_from(d).map_err(|_| bad())?;
            // A longer time would leave the calendar when added to a date.
            if d > Duration::from_secs(366 * 24 * 3600) { Err(format!("`{s}` is longer than a year")) } else { Ok(d) }
        };
        let span = Self { low: time(low)?, high: time(high)? };
        if span.low > span.high { Err(format!("`{s}` ends before it begins")) } else { Ok(span) }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_purpose_and_whom_and_nothing_else() {
        assert_eq!(draw(1, "boot", "i-1"), draw(1, "boot", "i-1"));
        assert_ne!(draw(1, "boot", "i-1"), draw(2, "boot", "i-1"));
        assert_ne!(draw(1, "boot", "i-1"), draw(1, "stop", "i-1"));
        assert_ne!(draw(1, "boot", "i-1"), draw(1, "boot", "i-2"));
        let hits = (0..10_000).filter(|n| chance(7, "x", n, 0.25)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
    }

    #[test]
    fn a_span_reads_back_what_it_writes_and_stays_in_its_bounds() {
        for text in ["5s..25s", "1h", "20ms..120ms", "0s..2s"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text);
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        let seen: Vec<_> = (0..500).map(|n| Span::secs(5, 6).draw(3, "boot", n)).collect();
        assert!(seen.iter().all(|d| (5_000..=6_000).contains(&(d.as_millis() as u64))));
        for bad in ["", "x", "5s..", "9s..3s", "-5s", "9000000h", "5"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
