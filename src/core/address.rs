//! The one name a thing has in file, tag, plan, journal and screen.
//!
//! `machines.web` names a [`Group`] (a table of the file); `machines.web/3` names one replica of it, an
//! [`Address`]. This module refuses to know what the things are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// What sort of thing a group holds. The word is the table's name in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Redundant compute: EC2 instances.
    Machines,
    /// Redundant storage: EBS volumes that outlive machines.
    Volumes,
}

impl Kind {
    /// Every kind, in the order in which a screen shows them.
    pub const ALL: [Self; 2] = [Self::Machines, Self::Volumes];

    /// The table's name in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Volumes => "volumes",
        }
    }

    /// True for what holds data: deletion takes two steps (quarantine, then delete).
    pub fn holds_data(self) -> bool {
        match self {
            Self::Machines => false,
            Self::Volumes => true,
        }
    }
}

/// A declared group: `machines.web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// What it holds.
    pub kind: Kind,
    /// Its name in the file: `[a-z][a-z0-9-]{0,39}`.
    pub name: String,
}

/// One replica of a group: `machines.web/3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The group it belongs to.
    pub group: Group,
    /// Which replica, from 0.
    pub slot: u32,
}

impl Group {
    /// `machines.<name>`.
    pub fn machines(name: impl Into<String>) -> Self {
        Self { kind: Kind::Machines, name: name.into() }
    }

    /// `volumes.<name>`.
    pub fn volumes(name: impl Into<String>) -> Self {
        Self { kind: Kind::Volumes, name: name.into() }
    }

    /// The replica `slot` of this group.
    pub fn slot(&self, slot: u32) -> Address {
        Address { group: self.clone(), slot }
    }
}

impl Address {
    /// `web/3`: the name inside a screen section that already says the kind.
    pub fn short(&self) -> String {
        format!("{}/{}", self.group.name, self.slot)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.slot)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|k| k.word() == s).ok_or_else(|| format!("`{s}` is not a kind: machines, volumes"))
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (kind, name) = s.split_once('.').ok_or_else(|| format!("`{s}` is not a group such as machines.web"))?;
        if !is_name(name) {
            return Err(format!(
                "`{name}` is not a name: lower-case letters, digits and `-`, at most 40, a letter first"
            ));
        }
        Ok(Self { kind: kind.parse()?, name: name.to_owned() })
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (group, slot) =
            s.rsplit_once('/').ok_or_else(|| format!("`{s}` is not an address such as machines.web/3"))?;
        let slot = slot.parse().map_err(|_| format!("`{slot}` is not a slot number"))?;
        Ok(Self { group: group.parse()?, slot })
    }
}

/// Whether `s` may name a group: `[a-z][a-z0-9-]{0,39}`. Forty characters leave a tag's 256 and a token's 64 room.
pub fn is_name(s: &str) -> bool {
    s.len() <= 40
        && s.starts_with(|c: char| c.is_ascii_lowercase())
        && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

as_text!(Group, Address);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_what_it_writes() {
        let a = Group::machines("web").slot(3);
        assert_eq!(a.to_string(), "machines.web/3");
        assert_eq!("machines.web/3".parse::<Address>().unwrap(), a);
        for bad in ["web/3", "machines.web", "machines.Web/1", "machines.web/x", "pods.web/1", "machines./1"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
