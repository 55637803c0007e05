//! One form for every quantity: `1000m` is kept as `1`, `1024Mi` as `1Gi`, `0.5` as `500m`.

use evenkeel_core::objects::quantity::nano;
use serde_json::Value as Json;

use super::super::object::as_text;

/// A quantity as the server writes it; `None` for what is none.
pub(in super::super) fn canonical(value: &Json) -> Option<String> {
    let text = as_text(value)?;
    let amount = nano(value)?;
    if amount == 0 {
        return Some("0".to_owned());
    }
    let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let whole = amount % 1_000_000_000 == 0;
    if suffix.ends_with('i') && whole && amount.abs() >= 1024 * 1_000_000_000 {
        let mut n = amount / 1_000_000_000;
        let mut power = 0;
        while n % 1024 == 0 && power < 6 {
            n /= 1024;
            power += 1;
        }
        return Some(format!("{n}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]));
    }
    let exponent = suffix.starts_with(['e', 'E']) && suffix.len() > 1;
    let (mut n, mut power) = (amount, -9);
    while n % 1000 == 0 && power < 18 {
        n /= 1000;
        power += 3;
    }
    if exponent {
        return Some(if power == 0 { n.to_string() } else { format!("{n}e{power}") });
    }
    let suffix = match power {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        0 => "",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        _ => "E",
    };
    Some(format!("{n}{suffix}"))
}

/// Writes every quantity of an object in its one form.
pub(super) fn write_canonical(group: &str, kind: &str, value: &mut Json) {
    walk((group, kind), "", "", value);
}

fn walk(of: (&str, &str), parent: &str, name: &str, value: &mut Json) {
    match value {
        Json::Object(table) => {
            let texts =
                matches!(name, "data" | "stringData" | "labels" | "annotations" | "matchLabels" | "managedFields");
            if !texts {
                table.iter_mut().for_each(|(below, v)| walk(of, name, below, v));
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| walk(of, parent, name, item)),
        Json::Null | Json::Bool(_) => {}
        Json::Number(_) | Json::String(_) => {
            if is_quantity(of, parent, name)
                && let Some(text) = canonical(value)
            {
                *value = Json::String(text);
            }
        }
    }
}

fn is_quantity((group, kind): (&str, &str), parent: &str, name: &str) -> bool {
    match parent {
        "requests" | "limits" | "hard" | "capacity" | "allocatable" | "overhead" => return true,
        "default" | "defaultRequest" | "max" | "min" | "maxLimitRequestRatio" => return kind == "LimitRange",
        _ => {}
    }
    match name {
        "sizeLimit" | "divisor" => true,
        "averageValue" | "value" => group == "autoscaling" && parent == "target",
        "capacity" => kind == "CSIStorageCapacity",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quantity_has_one_form() {
        for (written, kept) in [
            (json!("1000m"), "1"),
            (json!(1), "1"),
            (json!(0.5), "500m"),
            (json!("0.1"), "100m"),
            (json!("1024Mi"), "1Gi"),
            (json!("1.5Gi"), "1536Mi"),
            (json!("0.5Mi"), "512Ki"),
            (json!("1000"), "1k"),
            (json!("1024"), "1024"),
            (json!("1500m"), "1500m"),
            (json!("0Mi"), "0"),
            (json!("128974848"), "128974848"),
            (json!("129e6"), "129e6"),
            (json!("512"), "512"),
            (json!("0.5Ki"), "512"),
        ] {
            assert_eq!(canonical(&written).as_deref(), Some(kept), "{written}");
        }
        assert_eq!(canonical(&json!("much")), None);
    }
}
