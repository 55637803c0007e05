//! Small things said the same way everywhere: counts, times, values, zones, slots.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::value::Value;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A value longer than this is cut in the middle of a screen; JSON has it whole.
const LONGEST_VALUE: usize = 160;

/// A list of slots longer than this ends in `…`; the count stands beside it.
const LONGEST_SLOTS: usize = 20;

/// `1,214`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// `1 call`, `7 calls`; `many` is the plural.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// `5 of 6 ready`; `9 ready, 2 wanted` where there are more, for more is no share.
pub fn of_wanted(have: u32, wanted: u32, word: &str) -> String {
    let (h, w) = (number(have.into()), number(wanted.into()));
    if have > wanted { format!("{h} {word}, {w} wanted") } else { format!("{h} of {w} {word}") }
}

/// `0.9s`, `2.4s`, `48s`, `14m`, `2h 5m`, `3d 4h`: two units at most, so that it is read at a glance.
pub fn millis(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{}s", ms / 1000, ms % 1000 / 100) } else { seconds(ms / 1000) }
}

/// `48s`, `14m`, `2h 5m`, `3d 4h`.
pub fn seconds(s: u64) -> String {
    let two = |big: u64, b: &str, small: u64, l: &str| {
        if small == 0 { format!("{big}{b}") } else { format!("{big}{b} {small}{l}") }
    };
    match s {
        0..60 => format!("{s}s"),
        60..600 => two(s / 60, "m", s % 60, "s"),
        600..3600 => format!("{}m", s / 60),
        3600..86_400 => two(s / 3600, "h", s % 3600 / 60, "m"),
        86_400.. => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

/// How long from `then` to `now`; nothing for what lies ahead.
pub fn since(then: Timestamp, now: Timestamp) -> String {
    seconds(u64::try_from(now.as_second() - then.as_second()).unwrap_or(0))
}

/// `12:40 UTC` on the day of `now`, else with its date. UTC always: the people who read it sit in several places.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let day = |t: Timestamp| t.to_zoned(TimeZone::UTC).date();
    let form = if day(at) == day(now) { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    at.to_zoned(TimeZone::UTC).strftime(form).to_string()
}

/// `1234…9012`: enough to recognise an account, and fit for a screenshot.
pub fn account(id: &str) -> String {
    let chars: Vec<char> = id.chars().collect();
    if chars.len() < 12 {
        return id.to_owned();
    }
    let end: String = chars[chars.len() - 4..].iter().collect();
    chars[..4].iter().chain(&['…']).collect::<String>() + &end
}

/// A value as a person writes it: `none` for nothing, `""` for an empty text, long ones cut.
pub fn value(v: &Value) -> String {
    let words = match v {
        Value::Null => "none".to_owned(),
        Value::Text(s) if s.is_empty() => "\"\"".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => v.to_string(),
    };
    let length = words.chars().count();
    if length <= LONGEST_VALUE {
        return words;
    }
    let head: String = words.chars().take(LONGEST_VALUE / 2).collect();
    format!("{head}… ({} more characters)", number((length - LONGEST_VALUE / 2) as u64))
}

/// A field's value with its unit, where the field has one that its number does not show.
pub fn measured(field: &str, v: &Value) -> String {
    let unit = match (field, v) {
        ("size" | "root-size", Value::Int(_)) => "GiB",
        ("throughput" | "root-throughput", Value::Int(_)) => " MiB/s",
        _ => "",
    };
    value(v) + unit
}

/// `0-5,9`; cut with `…` when long.
pub fn slots(slots: impl IntoIterator<Item = u32>) -> String {
    let all: BTreeSet<u32> = slots.into_iter().collect();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for s in all {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == s => *end = s,
            Some(_) | None => runs.push((s, s)),
        }
    }
    let mut out = String::new();
    for (from, to) in runs {
        let run = if from == to { from.to_string() } else { format!("{from}-{to}") };
        if !out.is_empty() && out.len() + run.len() > LONGEST_SLOTS {
            return out + ",…";
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&run);
    }
    out
}

/// Zone → the shortest name that tells them apart: `us-east-1a`, `us-east-1b` → `a`, `b`; whole names where they are
/// not of one region.
pub fn short_zones<'a>(zones: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    let zones: BTreeSet<&str> = zones.into_iter().filter(|z| !z.is_empty()).collect();
    let split = |z: &'a str| {
        let letter = z.chars().next_back().filter(char::is_ascii_lowercase)?;
        let region = &z[..z.len() - 1];
        region.ends_with(|c: char| c.is_ascii_digit()).then_some((region, letter))
    };
    let parts: Vec<_> = zones.iter().map(|z| split(z)).collect();
    let one_region = parts.windows(2).all(|p| p[0].map(|x| x.0) == p[1].map(|x| x.0));
    zones
        .iter()
        .zip(&parts)
        .map(|(zone, part)| match part {
            Some((_, letter)) if one_region => ((*zone).to_owned(), letter.to_string()),
            Some(_) | None => ((*zone).to_owned(), (*zone).to_owned()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_read_at_a_glance() {
        assert_eq!([0, 7, 1214, 1_000_000].map(number), ["0", "7", "1,214", "1,000,000"]);
        assert_eq!([900, 2_400, 9_999, 48_000, 100_000].map(millis), ["0.9s", "2.4s", "9.9s", "48s", "1m 40s"]);
        assert_eq!([59, 840, 3600, 7500, 274_000].map(seconds), ["59s", "14m", "1h", "2h 5m", "3d 4h"]);
        assert_eq!(account("123456789012"), "1234…9012");
        assert_eq!(account(""), "");
    }

    #[test]
    fn a_clock_says_the_day_only_when_it_is_another() {
        let now: Timestamp = "2026-11-24T12:31:05Z".parse().unwrap();
        assert_eq!(clock("2026-11-24T12:40:00Z".parse().unwrap(), now), "12:40 UTC");
        assert_eq!(clock("2026-11-25T00:10:00Z".parse().unwrap(), now), "2026-11-25 00:10 UTC");
    }

    #[test]
    fn slots_are_runs_and_long_lists_are_cut() {
        assert_eq!(slots([5, 0, 1, 2, 9]), "0-2,5,9");
        assert_eq!(slots((0..100).step_by(2)), "0,2,4,6,8,10,12,14,16,…");
        assert_eq!(slots([u32::MAX, u32::MAX - 1]), "4294967294-4294967295");
    }

    #[test]
    fn zones_are_shortened_only_where_they_stay_apart() {
        let short = |z: &[&'static str]| short_zones(z.iter().copied()).into_values().collect::<Vec<_>>();
        assert_eq!(short(&["us-east-1a", "us-east-1b"]), ["a", "b"]);
        assert_eq!(short(&["eu-west-1a", "us-east-1a"]), ["eu-west-1a", "us-east-1a"]);
        assert_eq!(short(&["us-east-1-bos-1a", "us-east-1a"]), ["us-east-1-bos-1a", "us-east-1a"]);
        assert_eq!(short(&["lab", "rack-2"]), ["lab", "rack-2"]);
    }

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        let long = Value::from("x".repeat(1000));
        assert_eq!(value(&long), format!("{}… (920 more characters)", "x".repeat(80)));
        assert_eq!(value(&Value::Null), "none");
        assert_eq!(value(&Value::set(["web", "debug"])), "[debug, web]");
    }
}
