//! The one name a thing has in file, tag, plan, journal and screen.
//!
//! `machines.web` names a [`Group`] (a table of the file); `machines.web/3` names one replica of it, an
//! [`Address`], and `manifests.extras/Deployment.apps/shop/web` one Kubernetes object that the table declares. This
//! module refuses to know what the things are.

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
    /// A Kubernetes workload and what belongs to it (service, disruption budget).
    Workloads,
    /// Kubernetes objects of any kind, as they are written.
    Manifests,
}

impl Kind {
    /// Every kind, in the order in which a screen shows them.
    pub const ALL: [Self; 4] = [Self::Machines, Self::Volumes, Self::Workloads, Self::Manifests];

    /// True where a group holds Kubernetes objects by name, false where it holds numbered slots.
    pub fn is_kubernetes(self) -> bool {
        match self {
            Self::Machines | Self::Volumes => false,
            Self::Workloads | Self::Manifests => true,
        }
    }

    /// The table's name in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Volumes => "volumes",
            Self::Workloads => "workloads",
            Self::Manifests => "manifests",
        }
    }

    /// True where everything of the kind holds data: deletion takes two steps (quarantine, then delete). Of Kubernetes
    /// objects each one's own kind tells.
    pub fn holds_data(self) -> bool {
        match self {
            Self::Machines | Self::Workloads | Self::Manifests => false,
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

/// One replica of a group, `machines.web/3`, or one Kubernetes object of it, `workloads.shop/Service/shop/shop`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The group it belongs to.
    pub group: Group,
    /// Which replica, from 0. A Kubernetes object is the only one of its name: 0.
    pub slot: u32,
    /// The Kubernetes object; `None` for a numbered replica.
    pub object: Option<Box<ObjectName>>,
}

/// The name of a Kubernetes object in its cluster, without a version: `Deployment.apps/shop/web`, or
/// `Namespace/shop` where its kind belongs to no namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its API group; empty for the core group.
    pub api: String,
    /// Its kind, as in a manifest.
    pub kind: String,
    /// Its namespace; empty where the kind has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
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
        Address { group: self.clone(), slot, object: None }
    }

    /// The Kubernetes object `name` of this group.
    pub fn object(&self, name: ObjectName) -> Address {
        Address { group: self.clone(), slot: 0, object: Some(Box::new(name)) }
    }
}

impl ObjectName {
    /// `Deployment.apps`, or `Service` for the core group: how kubectl and ApplySets name a kind.
    pub fn group_kind(&self) -> String {
        if self.api.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.api) }
    }

    /// `Deployment shop/web`: for people.
    pub fn short(&self) -> String {
        if self.namespace.is_empty() {
            format!("{} {}", self.kind, self.name)
        } else {
            format!("{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl Address {
    /// `web/3`, `Deployment shop/web`: the name inside a screen section that already says the group's kind.
    pub fn short(&self) -> String {
        match &self.object {
            None => format!("{}/{}", self.group.name, self.slot),
            Some(object) => object.short(),
        }
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
        match &self.object {
            None => write!(f, "{}/{}", self.group, self.slot),
            Some(object) => write!(f, "{}/{object}", self.group),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.group_kind())?;
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.word() == s)
            .ok_or_else(|| format!("`{s}` is not a kind: machines, volumes, workloads, manifests"))
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
        let (group, rest) =
            s.split_once('/').ok_or_else(|| format!("`{s}` is not an address such as machines.web/3"))?;
        let group: Group = group.parse()?;
        if group.kind.is_kubernetes() {
            return Ok(group.object(rest.parse()?));
        }
        let slot = rest.parse().map_err(|_| format!("`{rest}` is not a slot number"))?;
        Ok(group.slot(slot))
    }
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("`{s}` is not an object such as Deployment.apps/shop/web or Namespace/shop");
        let parts: Vec<&str> = s.split('/').collect();
        let (kind, namespace, name) = match parts.as_slice() {
            [kind, name] => (*kind, "", *name),
            [kind, namespace, name] if !namespace.is_empty() => (*kind, *namespace, *name),
            _ => return Err(bad()),
        };
        let (kind, api) = kind.split_once('.').unwrap_or((kind, ""));
        if kind.is_empty() || name.is_empty() {
            return Err(bad());
        }
        let own = str::to_owned;
        Ok(Self { api: own(api), kind: own(kind), namespace: own(namespace), name: own(name) })
    }
}

/// Whether `s` may name a group: `[a-z][a-z0-9-]{0,39}`. Forty characters leave a tag's 256 and a token's 64 room.
pub fn is_name(s: &str) -> bool {
    s.len() <= 40
        && s.starts_with(|c: char| c.is_ascii_lowercase())
        && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

as_text!(Group, Address, ObjectName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_back_what_it_writes() {
        for text in [
            "manifests.extras/Deployment.apps/shop/web",
            "manifests.extras/Namespace/shop",
            "workloads.shop/Service/shop/shop",
            "manifests.x/ClusterRole.rbac.authorization.k8s.io/system:node",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let a: Address = "workloads.shop/Deployment.apps/prod/shop".parse().unwrap();
        assert_eq!(a.short(), "Deployment prod/shop");
        for bad in
            ["manifests.x/3", "manifests.x/Pod", "manifests.x/Pod//a", "manifests.x/Pod/a/b/c", "manifests.x/.apps/a"]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

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
