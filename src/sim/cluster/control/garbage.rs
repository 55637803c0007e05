//! The garbage collector: what has lost all its owners goes; an owner that leaves in the foreground waits for its own.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::ObjectName;

use super::super::object::{is_leaving, items, text};
use super::super::serve::Asked;
use super::super::{Kube, Moment};

impl Kube {
    pub(super) fn collect_garbage(&mut self, m: Moment) {
        let uid = |o: &serde_json::Value| text(o, &["metadata", "uid"]).to_owned();
        let there: BTreeSet<String> = self.objects.values().map(|o| uid(&o.body.0)).collect();
        let mut orphans: Vec<ObjectName> = Vec::new();
        let mut children: BTreeMap<String, Vec<ObjectName>> = BTreeMap::new();
        for (name, object) in &self.objects {
            let owners = items(&object.body.0, &["metadata", "ownerReferences"]);
            if owners.is_empty() {
                continue;
            }
            if owners.iter().all(|r| !there.contains(text(r, &["uid"]))) {
                orphans.push(name.clone());
            }
            for r in owners {
                children.entry(text(r, &["uid"]).to_owned()).or_default().push(name.clone());
            }
        }
        for name in orphans {
            self.dismiss(&name, m);
        }
        let waiting: Vec<(ObjectName, String)> = self
            .objects
            .iter()
            .filter(|(_, o)| is_leaving(&o.body.0) && Self::is_foreground(&o.body.0))
            .map(|(name, o)| (name.clone(), uid(&o.body.0)))
            .collect();
        for (name, uid) in waiting {
            let own = children.get(&uid).map_or(&[][..], Vec::as_slice);
            for child in own {
                if self.get(child).is_some_and(|c| !is_leaving(c)) {
                    self.leave(child, Asked { foreground: true }, m);
                }
            }
            if own.iter().all(|child| self.get(child).is_none()) {
                self.release_foreground(&name, m);
            }
        }
    }
}
