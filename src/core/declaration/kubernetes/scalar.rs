//! What a plain YAML scalar means to kubectl: the rules of its YAML library (go-yaml 2, YAML 1.1), not those of
//! YAML 1.2. `0644` is 420, `yes` is true, `1e3` is 1000, a date is text.

use serde_json::Number;

use super::piece::{What, number};

/// What a scalar without quotes and without a tag means.
pub fn plain(text: &str) -> What {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return What::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return What::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return What::Bool(false);
        }
        // No JSON says these; the caller complains.
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return What::Bad,
        _ => {}
    }
    let found = match text.as_bytes()[0] {
        // Here Go takes `_` between digits only.
        b'.' => float(&parted(text)),
        b'0'..=b'9' | b'+' | b'-' => {
            let digits = text.replace('_', "");
            integer(&digits).or_else(|| float(&digits))
        }
        _ => None,
    };
    found.map_or_else(|| What::Text(text.to_owned()), What::Number)
}

/// A whole number in Go's notation: a sign, then `0x`, `0o`, `0b`, a `0` for octal, or decimal digits.
fn integer(text: &str) -> Option<Number> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = rest.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let n = u64::from_str_radix(digits, radix).ok()?;
    match (negative, i64::try_from(n)) {
        (true, _) => 0_i64.checked_sub_unsigned(n).map(Number::from),
        (false, Ok(n)) => Some(n.into()),
        // Go reads more than an int64 only where there is no sign.
        (false, Err(_)) => (!text.starts_with('+')).then(|| n.into()),
    }
}

/// The text without the `_` that stand between two digits.
fn parted(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let drops = |i: usize| bytes.get(i) == Some(&b'_') && digit(i.checked_sub(1)) && digit(Some(i + 1));
    text.char_indices().filter(|(i, _)| !drops(*i)).map(|(_, c)| c).collect()
}

/// `1.5`, `.5`, `5.`, `1e3`; neither hexadecimal nor in words, and nothing that is infinite as a float.
fn float(text: &str) -> Option<Number> {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fits = digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty());
    let grows = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    let f: f64 = (fits && grows).then(|| text.parse().ok())??;
    f.is_finite().then(|| number(f))?
}

/// A key's text. kubectl makes text of numbers; of truth and of nothing too, which nobody means.
///
/// # Errors
/// Why it is no key.
pub fn key(text: &str) -> Result<String, &'static str> {
    match plain(text) {
        What::Text(text) => Ok(text),
        What::Bool(true) => Err("reads as true"),
        What::Bool(false) => Err("reads as false"),
        What::Null => Err("reads as nothing"),
        What::Number(n) if n.is_i64() && text.bytes().all(|b| b.is_ascii_digit() || b == b'-') => {
            // As written where that is how the number is written.
            if n.to_string() == text { Ok(n.to_string()) } else { Err("reads as a number written otherwise") }
        }
        What::Number(n) => {
            let same = n.as_f64().is_some_and(|f| (f as f32).to_string() == text);
            if same && text.len() <= 7 { Ok(text.to_owned()) } else { Err("reads as a number written otherwise") }
        }
        What::Bad | What::List(_) | What::Table(_) => Err("reads as a number that is none"),
    }
}
