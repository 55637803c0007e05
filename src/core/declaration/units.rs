//! Numbers with units: `20GiB`, `2h30m`, `10%`. A unit is never guessed.

use jiff::fmt::friendly::SpanParser;

use crate::policy::Amount;

/// What is wrong with a text, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The end of the sentence "`x` …".
    pub says: String,
    /// A way out, a sentence.
    pub way_out: String,
    /// The text that is surely meant, if there is one.
    pub meant: Option<String>,
}

impl Wrong {
    /// Without a sure correction.
    pub fn new(says: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { says: says.into(), way_out: way_out.into(), meant: None }
    }

    /// With the text that is surely meant.
    pub fn meant(mut self, meant: impl Into<String>) -> Self {
        self.meant = Some(meant.into());
        self
    }
}

/// GiB of `20GiB` or `1TiB`.
pub fn size(text: &str) -> Result<u32, Wrong> {
    let shape = || Wrong::new("is not a size", "write a whole number with GiB or TiB, such as \"20GiB\" or \"1TiB\"");
    let compact: String = text.split_whitespace().collect();
    let split = compact.find(|c: char| !c.is_ascii_digit()).unwrap_or(compact.len());
    let (digits, unit) = compact.split_at(split);
    let number: u64 = digits.parse().map_err(|_| shape())?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "gib" | "gb" | "g" | "gi" => 1,
        "tib" | "tb" | "t" | "ti" => 1024,
        _ => return Err(shape()),
    };
    let proper = if factor == 1 { "GiB" } else { "TiB" };
    let meant = format!("{number}{proper}");
    if text != meant {
        let why = if unit.eq_ignore_ascii_case("gb") || unit.eq_ignore_ascii_case("tb") {
            "has a decimal unit, but EBS counts whole GiB"
        } else {
            "is not written as a size is"
        };
        return Err(Wrong::new(why, format!("write \"{meant}\"")).meant(meant));
    }
    number.checked_mul(factor).and_then(|gib| u32::try_from(gib).ok()).ok_or_else(shape)
}

/// GiB as the file writes it.
pub fn show_size(gib: u32) -> String {
    if gib >= 1024 && gib.is_multiple_of(1024) { format!("{}TiB", gib / 1024) } else { format!("{gib}GiB") }
}

/// Whole seconds of `5m`, `2h30m`, `7d` (a day is 24 hours).
pub fn seconds(text: &str) -> Result<u64, Wrong> {
    let shape = || {
        Wrong::new("is not a length of time", "write a number with s, m, h or d, such as \"30s\", \"2h30m\" or \"7d\"")
    };
    let span = SpanParser::new().parse_span(text).map_err(|_| shape())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(Wrong::new("has months or years, which differ in length", "write days, such as \"30d\""));
    }
    if span.is_negative() {
        return Err(Wrong::new("is a negative length of time", "write a positive one, such as \"5m\""));
    }
    let whole = i64::from(span.get_weeks()) * 7 * 86_400
        + i64::from(span.get_days()) * 86_400
        + i64::from(span.get_hours()) * 3600
        + span.get_minutes() * 60
        + span.get_seconds();
    if span.get_milliseconds() != 0 || span.get_microseconds() != 0 || span.get_nanoseconds() != 0 {
        return Err(Wrong::new("has a fraction of a second", "write whole seconds, such as \"5s\""));
    }
    u64::try_from(whole).map_err(|_| shape())
}

/// `10%`.
pub fn percent(text: &str) -> Result<Amount, Wrong> {
    let shape =
        || Wrong::new("is neither a count nor a share", "write a whole number such as 2, or a share such as \"10%\"");
    let number: u32 = text.strip_suffix('%').ok_or_else(shape)?.parse().map_err(|_| shape())?;
    if number > 100 {
        return Err(Wrong::new("is more than everything", "write a share from \"0%\" to \"100%\""));
    }
    Ok(Amount::Percent(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_gib() {
        assert_eq!((size("20GiB"), size("1TiB"), size("64TiB")), (Ok(20), Ok(1024), Ok(65_536)));
        for (text, meant) in
            [("20GB", "20GiB"), ("20 GiB", "20GiB"), ("1tb", "1TiB"), ("8G", "8GiB"), ("020GiB", "20GiB")]
        {
            assert_eq!(size(text).unwrap_err().meant.as_deref(), Some(meant), "{text}");
        }
        for text in ["", "GiB", "1.5GiB", "-1GiB", "20MiB", "20", "99999999999999999999GiB", "5000000TiB", "é"] {
            assert_eq!(size(text).unwrap_err().meant, None, "{text}");
        }
        assert_eq!((show_size(50), show_size(2048), show_size(0)), ("50GiB".into(), "2TiB".into(), "0GiB".into()));
    }

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(
            (seconds("5m"), seconds("2h30m"), seconds("7d"), seconds("1w 1s")),
            (Ok(300), Ok(9000), Ok(604_800), Ok(604_801))
        );
        for text in ["", "5", "-5m", "1mo", "1y", "500ms", "5 apples", "99999999999999999999s", "é"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_end_at_everything() {
        assert_eq!((percent("0%"), percent("100%")), (Ok(Amount::Percent(0)), Ok(Amount::Percent(100))));
        for text in ["101%", "10", "-1%", "ten%", "%", "1.5%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
