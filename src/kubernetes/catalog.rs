//! What a cluster serves, for looking up.

use std::collections::BTreeMap;

use evenkeel_core::failure::Failure;
use evenkeel_core::observed::KindSeen;

use crate::api::{Discovered, Resource};

/// What a cluster serves, by kind.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// `Deployment.apps` → its versions, the preferred one first.
    kinds: BTreeMap<String, Vec<Resource>>,
    /// API groups that could not be asked.
    pub broken: BTreeMap<String, Failure>,
}

impl Catalog {
    /// From the server's answer.
    pub fn of(found: Discovered) -> Self {
        let mut kinds: BTreeMap<String, Vec<Resource>> = BTreeMap::new();
        for resource in found.resources {
            kinds.entry(resource.group_kind()).or_default().push(resource);
        }
        Self { kinds, broken: found.broken }
    }

    /// A kind in this very version.
    pub fn exact(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let name = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        self.kinds.get(&name)?.iter().find(|r| r.api_version == api_version)
    }

    /// A kind (`Deployment.apps`) in the version that the server prefers.
    pub fn preferred(&self, group_kind: &str) -> Option<&Resource> {
        self.kinds.get(group_kind)?.first()
    }

    /// The same where not knowing is no answer.
    ///
    /// # Errors
    /// The kind's group could not be asked.
    pub fn find(&self, group_kind: &str) -> Result<Option<&Resource>, Failure> {
        match (self.preferred(group_kind), self.broken(group_kind)) {
            (None, Some(failure)) => Err(failure.clone()),
            (found, _) => Ok(found),
        }
    }

    /// Everything that can be listed, applied and deleted, each kind in the version that the server prefers.
    pub fn all(&self) -> impl Iterator<Item = &Resource> {
        let can = |r: &&Resource| ["list", "patch", "delete"].iter().all(|verb| r.verbs.iter().any(|v| v == verb));
        self.kinds.values().filter_map(|all| all.first()).filter(can)
    }

    /// Why a kind may be missing: its group could not be asked.
    pub fn broken(&self, group_kind: &str) -> Option<&Failure> {
        self.broken.get(group_kind.split_once('.').map_or("", |(_, group)| group))
    }

    /// What core needs to know of each kind.
    pub fn seen(&self) -> BTreeMap<String, KindSeen> {
        let one = |(name, all): (&String, &Vec<Resource>)| {
            let first = all.first()?;
            let api_versions = all.iter().map(|r| r.api_version.clone()).collect();
            let (plural, namespaced) = (first.plural.clone(), first.namespaced);
            Some((name.clone(), KindSeen { api_versions, plural, namespaced }))
        };
        self.kinds.iter().filter_map(one).collect()
    }
}
