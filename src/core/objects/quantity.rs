//! Kubernetes quantities, as far as telling whether two of them are the same amount.
//!
//! `1000m` is `1`, `1Gi` is `1024Mi`, `1e3` is `1k`. Exact, in thousand millionths (the server keeps no smaller part
//! and rounds up to one); what does not fit is no quantity here and stays text.

use serde_json::Value;

/// The amount in thousand millionths.
pub fn nano(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(n) => parse(&n.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn parse(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && part.is_empty()) || part.contains('.') {
        return None;
    }
    let (ten, two) = scale(suffix)?;
    let digits: i128 = format!("0{whole}{part}").parse().ok()?;
    // digits · 10^(ten − len(part) + 9) · 2^two
    let power = ten.checked_sub(i32::try_from(part.len()).ok()?)?.checked_add(9)?;
    let shifted = digits.checked_mul(1i128.checked_shl(two)?)?;
    let amount = if power >= 0 {
        shifted.checked_mul(10i128.checked_pow(power.unsigned_abs())?)?
    } else {
        match 10i128.checked_pow(power.unsigned_abs()) {
            Some(by) => shifted / by + i128::from(shifted % by != 0),
            None => i128::from(shifted != 0),
        }
    };
    Some(if negative { -amount } else { amount })
}

/// A suffix as powers of ten and of two.
fn scale(suffix: &str) -> Option<(i32, u32)> {
    Some(match suffix {
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "" => (0, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => (suffix.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_amount_in_other_words() {
        for (a, b) in [
            (json!("1000m"), json!("1")),
            (json!(1), json!("1")),
            (json!(0.5), json!("500m")),
            (json!("1Gi"), json!("1024Mi")),
            (json!("1.5Gi"), json!("1536Mi")),
            (json!("1e3"), json!("1k")),
            (json!("1E3"), json!("1000")),
            (json!("1E"), json!("1000P")),
            (json!("0.1"), json!("100m")),
            (json!("100u"), json!("0.1m")),
            (json!("+5"), json!("5")),
            (json!("-1"), json!("-1000m")),
            (json!(".5"), json!("0.5")),
            (json!("1."), json!("1")),
            (json!("0"), json!("0Mi")),
            (json!("0.1n"), json!("1n")),
            (json!("1e-300"), json!("1n")),
        ] {
            assert_eq!(nano(&a), nano(&b), "{a} {b}");
            assert!(nano(&a).is_some(), "{a}");
        }
        for (a, b) in [(json!("1G"), json!("1Gi")), (json!("1"), json!("1k")), (json!("-1"), json!("1"))] {
            assert_ne!(nano(&a), nano(&b), "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in
            ["", ".", "-", "m", "1.2.3", "1 Gi", "1gi", "1e", "1ee3", "yes", "99999999999999999999999999E", "1e400"]
        {
            assert_eq!(nano(&json!(text)), None, "{text}");
        }
        assert_eq!(nano(&json!(true)), None);
    }
}
