//! The forms of Kubernetes' own words: names, labels, quantities, schedules. Each in words, with an example, as a regular
//! expression and as a check, like those of [`Format`](super::super::format::Format), whose part they are.

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A DNS label: a namespace, a workload.
    Label,
    /// A DNS subdomain: an object's name.
    Name,
    /// A file, a folder or a pattern.
    Files,
    /// A label's or an annotation's key.
    LabelKey,
    /// A label's value.
    LabelValue,
    /// `Certificate.cert-manager.io`.
    GroupKind,
    /// `condition=Ready`.
    Condition,
    /// An environment variable's name.
    EnvName,
    /// Where something is mounted.
    MountPath,
    /// `250m`.
    Cpu,
    /// `256Mi`.
    Memory,
    /// A container's image.
    Image,
    /// A cron schedule.
    Schedule,
    /// `Europe/Berlin`.
    TimeZone,
    /// `name/key`.
    Reference,
    /// A port's name.
    PortName,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Label,
        Self::Name,
        Self::Files,
        Self::LabelKey,
        Self::LabelValue,
        Self::GroupKind,
        Self::Condition,
        Self::EnvName,
        Self::MountPath,
        Self::Cpu,
        Self::Memory,
        Self::Image,
        Self::Schedule,
        Self::TimeZone,
        Self::Reference,
        Self::PortName,
    ];

    /// (in words, an example, a regular expression).
    pub fn said(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Label => (
                "a Kubernetes name: lower-case letters, digits and `-`, at most 63, no `-` at its ends",
                "shop",
                "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            ),
            Self::Name => (
                "an object's name: lower-case letters, digits, `-` and `.`, at most 253",
                "shop-tls",
                "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
            ),
            Self::Files => (
                "a file, a folder or a pattern below the declaration's folder",
                "k8s/*.yaml",
                r"^[^/\\\x00-\x1f\x7f-\x9f][^\\\x00-\x1f\x7f-\x9f]*$",
            ),
            Self::LabelKey => (
                "a label's key: at most 63 letters, digits, `-`, `_` and `.`, a domain and `/` before it if need be",
                "example.com/team",
                "^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$",
            ),
            Self::LabelValue => (
                "a label's value: at most 63 letters, digits, `-`, `_` and `.`, a letter or a digit at its ends",
                "payments",
                "^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$",
            ),
            Self::GroupKind => (
                "a kind, with its API group behind it unless that is the core group",
                "Certificate.cert-manager.io",
                r"^[A-Za-z][A-Za-z0-9]{0,62}(\.[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$",
            ),
            Self::Condition => {
                ("condition=NAME, or jsonpath={PATH}=VALUE", "condition=Ready", "^(condition|jsonpath)=[!-~]+$")
            }
            Self::EnvName => ("an environment variable's name", "DATABASE_URL", "^[A-Za-z_.-][A-Za-z0-9_.-]{0,252}$"),
            Self::MountPath => ("an absolute path without `:`", "/etc/shop", r"^/[^:\x00-\x1f\x7f-\x9f]*$"),
            Self::Cpu => ("CPUs, or thousandths of one with `m`", "250m", r"^(0|[1-9][0-9]{0,6})(m|\.[0-9]{1,3})?$"),
            Self::Memory => ("bytes in Ki, Mi, Gi or Ti", "256Mi", "^(0|[1-9][0-9]{0,8})(Ki|Mi|Gi|Ti)$"),
            Self::Image => ("an image's name, with a tag or a digest", "registry.example/shop:1.4", "^[!-~]{1,1024}$"),
            Self::Schedule => (
                "five fields of cron (minute, hour, day, month, weekday), or a word such as @daily",
                "15 3 * * *",
                "^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9A-Za-z*/,?-]+( [0-9A-Za-z*/,?-]+){4})$",
            ),
            Self::TimeZone => ("a time zone's name", "Europe/Berlin", "^[A-Za-z][A-Za-z0-9_+/-]{0,99}$"),
            Self::Reference => (
                "an object's name, `/`, and a key of its data",
                "shop/password",
                "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/[A-Za-z0-9_.-]{1,253}$",
            ),
            Self::PortName => (
                "a port's name: at most 15 lower-case letters, digits and `-`, a letter first",
                "http",
                "^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$",
            ),
        }
    }

    /// The diagnostic's code when a text does not have this form.
    pub fn code(self) -> &'static str {
        match self {
            Self::Label | Self::Name => "E1103",
            Self::Files => "E0301",
            Self::LabelKey | Self::LabelValue => "E1106",
            Self::Cpu | Self::Memory => "E1201",
            Self::GroupKind
            | Self::Condition
            | Self::EnvName
            | Self::MountPath
            | Self::Image
            | Self::Schedule
            | Self::TimeZone
            | Self::Reference
            | Self::PortName => "E0111",
        }
    }

    /// The text of this form that is surely meant, for one that does not have it.
    pub fn candidate(self, s: &str) -> String {
        match self {
            Self::Label | Self::PortName => s.trim().to_ascii_lowercase().replace(['_', ' ', '.'], "-"),
            Self::Name => s.trim().to_ascii_lowercase().replace(['_', ' '], "-"),
            Self::Memory => memory(s),
            Self::Condition if !s.contains('=') => format!("condition={s}"),
            Self::Schedule => s.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::Cpu => s.trim().trim_end_matches("cpu").trim().to_owned(),
            Self::Files
            | Self::LabelKey
            | Self::LabelValue
            | Self::GroupKind
            | Self::Condition
            | Self::EnvName
            | Self::MountPath
            | Self::Image
            | Self::TimeZone
            | Self::Reference => s.trim().to_owned(),
        }
    }

    /// Whether `s` has this form.
    pub fn fits(self, s: &str) -> bool {
        match self {
            Self::Label => is_label(s),
            Self::Name => is_name(s),
            Self::Files => super::super::format::stays_inside(s),
            Self::LabelKey => {
                let (domain, name) = s.rsplit_once('/').map_or((None, s), |(d, n)| (Some(d), n));
                domain.is_none_or(is_name) && !name.is_empty() && is_word(name)
            }
            Self::LabelValue => is_word(s),
            Self::GroupKind => {
                let (kind, group) = s.split_once('.').map_or((s, None), |(k, g)| (k, Some(g)));
                is_kind(kind) && group.is_none_or(is_name)
            }
            Self::Condition => s
                .strip_prefix("condition=")
                .or_else(|| s.strip_prefix("jsonpath="))
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic())),
            Self::EnvName => {
                let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
                (1..=253).contains(&s.len()) && !s.starts_with(|c: char| c.is_ascii_digit()) && s.chars().all(word)
            }
            Self::MountPath => s.starts_with('/') && !s.contains(':'),
            Self::Cpu => cpu(s),
            Self::Memory => ["Ki", "Mi", "Gi", "Ti"].iter().any(|u| s.strip_suffix(u).is_some_and(|n| is_count(n, 9))),
            Self::Image => (1..=1024).contains(&s.len()) && s.chars().all(|c| c.is_ascii_graphic()),
            Self::Schedule => {
                let field =
                    |f: &str| !f.is_empty() && f.chars().all(|c| c.is_ascii_alphanumeric() || "*/,?-".contains(c));
                let words = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"];
                match s.strip_prefix('@') {
                    Some(word) => words.contains(&word),
                    None => s.split(' ').count() == 5 && s.split(' ').all(field),
                }
            }
            Self::TimeZone => {
                s.len() <= 100
                    && s.starts_with(|c: char| c.is_ascii_alphabetic())
                    && s.chars().all(|c| c.is_ascii_alphanumeric() || "_+/-".contains(c))
            }
            Self::Reference => s.split_once('/').is_some_and(|(name, key)| is_name(name) && is_key(key)),
            Self::PortName => s.len() <= 15 && is_label(s) && s.starts_with(|c: char| c.is_ascii_lowercase()),
        }
    }
}

fn small(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// A DNS label, at most 63 characters.
pub fn is_label(s: &str) -> bool {
    (1..=63).contains(&s.len()) && s.chars().all(|c| small(c) || c == '-') && s.starts_with(small) && s.ends_with(small)
}

/// A DNS subdomain, at most 253 characters; two dots side by side are the server's to refuse.
pub fn is_name(s: &str) -> bool {
    (1..=253).contains(&s.len())
        && s.chars().all(|c| small(c) || "-.".contains(c))
        && s.starts_with(small)
        && s.ends_with(small)
}

/// A label's value: may be empty.
fn is_word(s: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    s.is_empty()
        || (s.len() <= 63
            && s.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
            && s.starts_with(ends)
            && s.ends_with(ends))
}

/// A kind, as manifests write it.
pub fn is_kind(s: &str) -> bool {
    (1..=63).contains(&s.len())
        && s.starts_with(|c: char| c.is_ascii_alphabetic())
        && s.chars().all(|c| c.is_ascii_alphanumeric())
}

/// A key of a ConfigMap's or a Secret's data.
pub fn is_key(s: &str) -> bool {
    (1..=253).contains(&s.len()) && s.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_count(s: &str, most: usize) -> bool {
    (1..=most).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()) && (s == "0" || !s.starts_with('0'))
}

fn cpu(s: &str) -> bool {
    if let Some(n) = s.strip_suffix('m') {
        return is_count(n, 7);
    }
    match s.split_once('.') {
        Some((whole, part)) => {
            is_count(whole, 7) && (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        }
        None => is_count(s, 7),
    }
}

/// `1GB`, `1G`, `1 GiB`, `1gb` → `1Gi`; `1.5Gi` → `1536Mi`.
fn memory(s: &str) -> String {
    let compact: String = s.split_whitespace().collect();
    let split = compact.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(compact.len());
    let (number, unit) = compact.split_at(split);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "k" | "kb" | "ki" | "kib" => "Ki",
        "m" | "mb" | "mi" | "mib" => "Mi",
        "g" | "gb" | "gi" | "gib" => "Gi",
        "t" | "tb" | "ti" | "tib" => "Ti",
        _ => return compact,
    };
    match (number.split_once('.'), unit) {
        (None, _) => format!("{number}{unit}"),
        (Some(_), "Ki") => compact,
        (Some(_), _) => {
            let below = ["Ki", "Mi", "Gi"][["Mi", "Gi", "Ti"].iter().position(|u| *u == unit).unwrap_or(0)];
            match number.parse::<f64>().map(|n| n * 1024.0) {
                Ok(n) if n.fract() == 0.0 && n < 1e9 => format!("{n}{below}"),
                Ok(_) | Err(_) => compact,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::format::Format;

    #[test]
    fn what_is_surely_meant_is_offered() {
        for (form, text, meant) in [
            (Form::Memory, "1GB", Some("1Gi")),
            (Form::Memory, "512M", Some("512Mi")),
            (Form::Memory, "2 GiB", Some("2Gi")),
            (Form::Memory, "1.5Gi", Some("1536Mi")),
            (Form::Memory, "0.3Gi", None),
            (Form::Memory, "lots", None),
            (Form::Memory, "128", None),
            (Form::Cpu, "2cpu", Some("2")),
            (Form::Cpu, "0.5m", None),
            (Form::Label, "My_Shop", Some("my-shop")),
            (Form::Condition, "Ready", Some("condition=Ready")),
            (Form::Schedule, "0  3 * * *", Some("0 3 * * *")),
            (Form::Schedule, "0 3 * *", None),
            (Form::PortName, "HTTP", Some("http")),
        ] {
            let wrong = Format::Kube(form).check(text).expect_err(text);
            assert_eq!(wrong.meant.as_deref(), meant, "{text}");
        }
    }
}
