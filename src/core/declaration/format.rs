//! The forms that text may have: names, ids, regions, devices. Each is said three ways, for a person, for an editor
//! (a regular expression) and as a check, and a test holds the three together.

use super::kubernetes::forms::Form;
use super::units::Wrong;
use crate::address::is_name;

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Anything printable, not empty.
    Any,
    /// A group's, alias's or output's name.
    Name,
    /// A variable's name: usable in a template.
    Var,
    /// The stack's id.
    StackId,
    /// `us-east-1`.
    Region,
    /// `us-east-1a`.
    Zone,
    /// `ami-…`.
    Image,
    /// `subnet-…`.
    Subnet,
    /// `snap-…`.
    Snapshot,
    /// `t3.small`.
    InstanceType,
    /// `/dev/sdf`.
    Device,
    /// A path below the declaration's folder.
    File,
    /// `/aws/service/…`.
    Parameter,
    /// `amazon`, `self`, an account.
    Owner,
    /// Twelve digits.
    Account,
    /// `arn:aws:iam::…:role/…`.
    Role,
    /// `http://…`.
    Url,
    /// `machines.web`.
    MachineGroup,
    /// A group of the same kind, `web` or `machines.web`.
    OldName,
    /// A tag's key.
    TagKey,
    /// A tag's value; may be empty.
    TagValue,
    /// An expression.
    Expression,
    /// A script in the file itself.
    Script,
    /// A word of Kubernetes'.
    Kube(Form),
}

impl Format {
    /// All of them but Kubernetes' ([`Form::ALL`]), for tests and docs.
    pub const OWN: [Self; 23] = [
        Self::Any,
        Self::Name,
        Self::Var,
        Self::StackId,
        Self::Region,
        Self::Zone,
        Self::Image,
        Self::Subnet,
        Self::Snapshot,
        Self::InstanceType,
        Self::Device,
        Self::File,
        Self::Parameter,
        Self::Owner,
        Self::Account,
        Self::Role,
        Self::Url,
        Self::MachineGroup,
        Self::OldName,
        Self::TagKey,
        Self::TagValue,
        Self::Expression,
        Self::Script,
    ];

    /// All of them, for tests and docs.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::OWN.into_iter().chain(Form::ALL.into_iter().map(Self::Kube))
    }

    /// (in words, an example, a regular expression).
    fn said(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Any => ("anything but control characters", "payments", r"^[^\x00-\x1f\x7f-\x9f]+$"),
            Self::Name => {
                ("lower-case letters, digits and `-`, at most 40, a letter first", "web", "^[a-z][a-z0-9-]{0,39}$")
            }
            Self::Var => {
                ("lower-case letters, digits and `_`, at most 40, a letter first", "team", "^[a-z][a-z0-9_]{0,39}$")
            }
            Self::StackId => ("8 to 16 lower-case letters and digits", "7f3kq2x9", "^[a-z0-9]{8,16}$"),
            Self::Region => ("a region", "us-east-1", "^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$"),
            Self::Zone => ("a zone", "us-east-1a", "^[a-z]{2,5}(-[a-z0-9]+)*-[0-9]{1,2}[a-z]$"),
            Self::Image => ("an image's id", "ami-0abcdef1234567890", "^ami-[0-9a-z]{1,40}$"),
            Self::Subnet => ("a subnet's id", "subnet-0abcdef1234567890", "^subnet-[0-9a-z]{1,40}$"),
            Self::Snapshot => ("a snapshot's id", "snap-0abcdef1234567890", "^snap-[0-9a-z]{1,40}$"),
            Self::InstanceType => ("an instance type", "t3.small", r"^[a-z0-9-]+\.[a-z0-9-]+$"),
            Self::Device => (
                "a device name from /dev/sdb to /dev/sdz, or /dev/xvdb to /dev/xvdz",
                "/dev/sdf",
                "^/dev/(sd[b-z]|xvd[b-z])$",
            ),
            Self::File => (
                "a path below the declaration's folder",
                "boot.sh.j2",
                r"^[^/\\\x00-\x1f\x7f-\x9f][^\\\x00-\x1f\x7f-\x9f]*$",
            ),
            Self::Parameter => ("an SSM parameter's name", "/team/ami", r"^[A-Za-z0-9_./:-]{1,1024}$"),
            Self::Owner => (
                "an account's twelve digits, or amazon, self, aws-marketplace",
                "amazon",
                "^([0-9]{12}|amazon|self|aws-marketplace)$",
            ),
            Self::Account => ("twelve digits", "123456789012", "^[0-9]{12}$"),
            Self::Role => {
                ("a role's ARN", "arn:aws:iam::123456789012:role/evenkeel", r"^arn:[a-z-]+:iam::[0-9]{12}:role/[!-~]+$")
            }
            Self::Url => ("an http or https URL", "http://127.0.0.1:5000", r"^https?://[!-~]+$"),
            Self::MachineGroup => ("a group of machines", "machines.web", r"^machines\.[a-z][a-z0-9-]{0,39}$"),
            Self::OldName => ("the group's old name", "web", r"^((machines|volumes)\.)?[a-z][a-z0-9-]{0,39}$"),
            Self::TagKey => (
                "a tag's key: 1 to 128 characters, not beginning with aws: or evenkeel:",
                "team",
                r"^[^\x00-\x1f\x7f-\x9f]{1,128}$",
            ),
            Self::TagValue => ("a tag's value: at most 256 characters", "payments", r"^[^\x00-\x1f\x7f-\x9f]{0,256}$"),
            Self::Expression => (
                "an expression over machines, volumes and stack",
                "machines.web | map(attribute='private_ip') | list",
                r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+$",
            ),
            Self::Script => ("a script", "#!/bin/sh\necho hello", r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"),
            Self::Kube(form) => form.said(),
        }
    }

    /// In words.
    pub fn words(self) -> String {
        let (words, example, _) = self.said();
        format!("{words}, such as \"{example}\"")
    }

    /// In words, without an example.
    pub fn meaning(self) -> &'static str {
        self.said().0
    }

    /// An example.
    pub fn example(self) -> &'static str {
        self.said().1
    }

    /// As a regular expression of ECMA 262, for editors.
    pub fn pattern(self) -> &'static str {
        self.said().2
    }

    /// The diagnostic's code when a text does not have this form.
    pub fn code(self) -> &'static str {
        match self {
            Self::Name | Self::Var | Self::OldName => "E0110",
            Self::StackId => "E0401",
            Self::File => "E0301",
            Self::TagKey | Self::TagValue => "E0701",
            Self::Kube(form) => form.code(),
            Self::Any
            | Self::Region
            | Self::Zone
            | Self::Image
            | Self::Subnet
            | Self::Snapshot
            | Self::InstanceType
            | Self::Device
            | Self::Parameter
            | Self::Owner
            | Self::Account
            | Self::Role
            | Self::Url
            | Self::MachineGroup
            | Self::Expression
            | Self::Script => "E0111",
        }
    }

    /// Whether `s` has this form; if not, what is wrong and what to write.
    pub fn check(self, s: &str) -> Result<(), Wrong> {
        let allowed_break =
            |c: char| matches!(self, Self::Expression | Self::Script) && matches!(c, '\n' | '\t' | '\r');
        if let Some(c) = s.chars().find(|c| (c.is_control() && !allowed_break(*c)) || is_bidi(*c)) {
            return Err(Wrong::new(
                format!("holds the invisible character U+{:04X}", u32::from(c)),
                "take it away: it would show one thing and mean another",
            ));
        }
        if self.fits(s) {
            return Ok(());
        }
        if s.is_empty() {
            return Err(Wrong::new("is empty", format!("write {}", self.words())));
        }
        let wrong = Wrong::new(format!("is not {}", self.said().0), format!("write it like \"{}\"", self.example()));
        Err(match (self, self.correction(s)) {
            (Self::File | Self::Kube(Form::Files), _) => Wrong::new(
                "leads out of the declaration's folder",
                "put the file beside the declaration, or in a folder below it, and name it from there, such as \"boot.sh.j2\"",
            ),
            (Self::StackId, _) => Wrong::new(
                "is not a stack's id (8 to 16 lower-case letters and digits)",
                "run `evenkeel init --id` for a fresh one; never change the id of a stack that has machines",
            ),
            (Self::Image, None) => Wrong::new(
                "is not an image's id",
                "write an id like \"ami-0abcdef1234567890\", or a lookup: { owner = \"amazon\", name = \"…\" } or { ssm = \"…\" }",
            ),
            (_, Some(meant)) => Wrong { way_out: format!("write \"{meant}\""), ..wrong }.meant(meant),
            (_, None) => wrong,
        })
    }

    /// The text of this form that is surely meant.
    fn correction(self, s: &str) -> Option<String> {
        let candidate = match self {
            Self::Name => s.to_ascii_lowercase().replace(['_', ' ', '.'], "-"),
            Self::Var => s.to_ascii_lowercase().replace(['-', ' ', '.'], "_"),
            Self::Region if s.ends_with(|c: char| c.is_ascii_lowercase()) => s[..s.len() - 1].to_owned(),
            Self::MachineGroup => format!("machines.{s}"),
            Self::Device if !s.starts_with('/') => format!("/dev/{s}"),
            Self::Kube(form) => form.candidate(s),
            Self::Any
            | Self::StackId
            | Self::Region
            | Self::Zone
            | Self::Image
            | Self::Subnet
            | Self::Snapshot
            | Self::InstanceType
            | Self::Device
            | Self::File
            | Self::Parameter
            | Self::Owner
            | Self::Account
            | Self::Role
            | Self::Url
            | Self::OldName
            | Self::TagKey
            | Self::TagValue
            | Self::Expression
            | Self::Script => s.trim().to_ascii_lowercase(),
        };
        (candidate != s && self.fits(&candidate)).then_some(candidate)
    }

    fn fits(self, s: &str) -> bool {
        let id = |prefix: &str| {
            s.strip_prefix(prefix).is_some_and(|r| {
                (1..=40).contains(&r.len()) && r.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            })
        };
        let graphic = |r: &str| !r.is_empty() && r.chars().all(|c| c.is_ascii_graphic());
        match self {
            Self::Any | Self::Expression => !s.is_empty(),
            Self::Script => true,
            Self::Name => is_name(s),
            Self::Var => !s.contains('-') && is_name(&s.replace('_', "-")),
            Self::StackId => {
                (8..=16).contains(&s.len()) && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            }
            Self::Region => is_region(s),
            Self::Zone => is_zone(s),
            Self::Image => id("ami-"),
            Self::Subnet => id("subnet-"),
            Self::Snapshot => id("snap-"),
            Self::InstanceType => s.split_once('.').is_some_and(|(family, size)| {
                let part = |p: &str| {
                    !p.is_empty() && p.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                };
                part(family) && part(size)
            }),
            Self::Device => s
                .strip_prefix("/dev/sd")
                .or_else(|| s.strip_prefix("/dev/xvd"))
                .is_some_and(|r| matches!(r.as_bytes(), [b'b'..=b'z'])),
            Self::File => stays_inside(s),
            Self::Parameter => {
                (1..=1024).contains(&s.len()) && s.chars().all(|c| c.is_ascii_alphanumeric() || "_./:-".contains(c))
            }
            Self::Owner => matches!(s, "amazon" | "self" | "aws-marketplace") || Self::Account.fits(s),
            Self::Account => s.len() == 12 && s.chars().all(|c| c.is_ascii_digit()),
            Self::Role => s
                .strip_prefix("arn:")
                .and_then(|r| r.split_once(":iam::"))
                .and_then(|(partition, r)| Some((partition, r.split_once(":role/")?)))
                .is_some_and(|(partition, (account, role))| {
                    !partition.is_empty()
                        && partition.chars().all(|c| c.is_ascii_lowercase() || c == '-')
                        && Self::Account.fits(account)
                        && graphic(role)
                }),
            Self::Url => s.strip_prefix("http://").or_else(|| s.strip_prefix("https://")).is_some_and(graphic),
            Self::MachineGroup => s.strip_prefix("machines.").is_some_and(is_name),
            Self::OldName => is_name(s.strip_prefix("machines.").or_else(|| s.strip_prefix("volumes.")).unwrap_or(s)),
            Self::TagKey => (1..=128).contains(&s.chars().count()),
            Self::TagValue => s.chars().count() <= 256,
            Self::Kube(form) => form.fits(s),
        }
    }
}

/// `us-east-1`: words of letters, then a number of one or two digits.
fn is_region(s: &str) -> bool {
    let parts: Vec<_> = s.split('-').collect();
    let Some((number, [partition, words @ ..])) = parts.split_last() else { return false };
    let letters = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase());
    (1..=2).contains(&number.len())
        && number.chars().all(|c| c.is_ascii_digit())
        && (2..=5).contains(&partition.len())
        && letters(partition)
        && !words.is_empty()
        && words.iter().all(|w| letters(w))
}

/// `us-east-1a`, and local zones such as `us-west-2-lax-1a`.
fn is_zone(s: &str) -> bool {
    let parts: Vec<_> = s.split('-').collect();
    let Some((last, [partition, words @ ..])) = parts.split_last() else { return false };
    let word = |w: &&str| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let number = last.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or("");
    (1..=2).contains(&number.len())
        && number.chars().all(|c| c.is_ascii_digit())
        && (2..=5).contains(&partition.len())
        && partition.chars().all(|c| c.is_ascii_lowercase())
        && words.iter().all(word)
}

/// Whether a path stays below the folder it starts in: relative, no `..`, no drive, no backslash.
pub fn stays_inside(s: &str) -> bool {
    !s.is_empty() && !s.starts_with('/') && !s.contains('\\') && s.split('/').all(|part| part != "..")
}

/// Characters that turn the direction of what follows, or take no room: they make one text look like another.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_its_form_and_no_form_takes_a_control_character() {
        for f in Format::all() {
            assert_eq!(f.check(f.example()), Ok(()), "{f:?}");
            assert!(f.check("a\u{1b}[31mb").is_err(), "{f:?}");
            assert!(f.check("a\u{202e}b").is_err(), "{f:?}");
        }
    }

    #[test]
    fn what_is_surely_meant_is_offered() {
        for (f, text, meant) in [
            (Format::Name, "Web_Tier", "web-tier"),
            (Format::Var, "db-password", "db_password"),
            (Format::Region, "us-east-1a", "us-east-1"),
            (Format::MachineGroup, "web", "machines.web"),
            (Format::Device, "sdf", "/dev/sdf"),
            (Format::InstanceType, "T3.Small", "t3.small"),
        ] {
            assert_eq!(f.check(text).unwrap_err().meant.as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn forms_refuse_what_is_not_theirs() {
        for (f, texts) in [
            (Format::Region, &["", "us", "us-east", "east-1-1", "us-east-123", "-east-1", "é"][..]),
            (Format::Zone, &["us-east-1", "a", "-1a", "us--1a", "us-east-1A"]),
            (Format::File, &["/etc/passwd", "../x", "a/../../b", "a\\b", ""]),
            (Format::Account, &["12345678901", "1234567890123", "12345678901é"]),
            (Format::Device, &["/dev/sda", "/dev/sda1", "/dev/xvda", "/dev/sdaa", "/dev/sd", "sdf"]),
            (Format::StackId, &["short", "UPPERCASE", "12345678901234567", "has space"]),
            (Format::Role, &["arn:aws:iam::1:role/x", "role", "arn:aws:iam::123456789012:user/x"]),
        ] {
            for text in texts {
                assert!(f.check(text).is_err(), "{f:?} took {text:?}");
            }
        }
        assert_eq!(Format::Zone.check("us-west-2-lax-1a"), Ok(()));
        assert_eq!(Format::Region.check("us-gov-west-1"), Ok(()));
    }
}
