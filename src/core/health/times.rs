//! Sums of times that never overflow, and times as sentences say them.

use jiff::{SignedDuration, Timestamp};

/// Seconds from `from` to `to`; 0 when `to` is before, as clocks that differ make it.
pub(crate) fn age(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

/// `t` and so many seconds, or the end of time.
pub(crate) fn after(t: Timestamp, seconds: u64) -> Timestamp {
    let d = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    t.checked_add(d).unwrap_or(Timestamp::MAX)
}

/// `t` less so many seconds, or the beginning of time.
pub(crate) fn before(t: Timestamp, seconds: u64) -> Timestamp {
    let d = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    t.checked_sub(d).unwrap_or(Timestamp::MIN)
}

/// `2026-01-05 12:04 UTC`: a moment as a sentence says it. Seconds and less are noise to whoever waits for it.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `45s`, `14m`, `2h5m`, `3d`: at most two units, the smaller one left out when it is nothing.
pub fn span(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let two = |a: u64, a_unit: &str, b: u64, b_unit: &str| {
        if b == 0 { format!("{a}{a_unit}") } else { format!("{a}{a_unit}{b}{b_unit}") }
    };
    if d > 0 {
        two(d, "d", h, "h")
    } else if h > 0 {
        two(h, "h", m, "m")
    } else if m >= 5 {
        format!("{m}m")
    } else if m > 0 {
        two(m, "m", s, "s")
    } else {
        format!("{s}s")
    }
}
