//! Where objects of ours were when last looked at, so that a region, an account or a cluster which the file no longer
//! mentions is not forgotten in silence.
//!
//! A memory and no state: without it nothing is said. It refuses to guess about accounts that today's credentials do
//! not reach.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desired::{Scope, is_cluster, table_of};
use crate::failure::{Class, Failure};
use crate::health::{age, span};
use crate::make::is_ours;
use crate::observed::{ClusterSeen, Gap, Observed, ScopeSeen};

/// One scope as it was last seen, with objects of ours in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LookedAt {
    /// Twelve digits; of a cluster, what names it as nothing else does.
    pub account: String,
    /// `us-east-1`; of a cluster, its context.
    pub region: String,
    /// Its alias then.
    pub scope: String,
    /// Live objects of ours.
    pub objects: u32,
    /// When.
    pub at: Timestamp,
}

impl LookedAt {
    /// Whether it is what is looked at now. A cluster's context is only what a person calls it.
    fn is(&self, scope: &str, seen: &ScopeSeen) -> bool {
        let cluster = is_cluster(&self.scope);
        cluster == is_cluster(scope) && self.account == seen.account && (cluster || self.region == seen.region)
    }
}

/// Writes down what this look found where; where nothing of ours is left there is nothing to remember.
pub fn remember(known: &mut Vec<LookedAt>, stack: &str, seen: &Observed) {
    for (scope, s) in seen.scopes.iter().filter(|(_, s)| !s.account.is_empty()) {
        let cluster = seen.clusters.get(scope);
        let blind = cluster.is_some_and(|c| !c.unseen.is_empty());
        if blind || seen.gaps.iter().any(|g| g.scope == *scope && !g.partial) {
            continue;
        }
        let machines = seen.objects.iter().filter(|o| o.scope == *scope && o.phase.alive()).count();
        let in_cluster = |c: &ClusterSeen| c.objects.values().filter(|l| is_ours(&l.body, stack)).count();
        let objects = u32::try_from(machines + cluster.map_or(0, in_cluster)).unwrap_or(u32::MAX);
        known.retain(|k| !(k.is(scope, s) && k.scope == *scope));
        if objects > 0 {
            let (account, region) = (s.account.clone(), s.region.clone());
            known.push(LookedAt { account, region, scope: scope.clone(), objects, at: seen.at });
        }
    }
    known.sort();
}

/// What is not looked at any more although objects of ours were there: `aliases` are those of the file.
pub fn forgotten(known: &[LookedAt], aliases: &BTreeSet<String>, seen: &Observed) -> Vec<Gap> {
    let place = |k: &LookedAt| seen.scopes.iter().any(|(scope, s)| k.is(scope, s));
    let account = |k: &LookedAt| seen.scopes.values().any(|s| s.account == k.account);
    let gone = known.iter().filter(|k| !place(k) && (account(k) || !aliases.contains(&k.scope)));
    gone.map(|k| {
        let things = objects(k.objects);
        let says = format!(
            "is not looked at any more, and had {things} of this stack when last seen, {} ago: put it back into the file, \
             take its groups out and apply; or remove the history beside the declaration if they are meant to stay",
            span(age(k.at, seen.at))
        );
        Gap {
            // No alias of today: it is said with its region.
            scope: k.region.clone(),
            kind: None,
            what: table_of(&k.scope),
            failure: Failure::new(Class::Invalid, "", says),
            partial: true,
        }
    })
    .collect()
}

/// Whether today's credentials or environment lead to a place where this stack has nothing, while it has objects where they
/// led before, and the file says neither. Whoever went on there would build everything a second time. Says so, with a way
/// out.
pub fn strayed(known: &[LookedAt], file: &BTreeMap<String, Scope>, seen: &Observed) -> Option<String> {
    let left = |(scope, s): &(&String, &ScopeSeen)| {
        let ours = seen.objects.iter().any(|o| o.scope == **scope && o.phase.alive());
        let blind = seen.gaps.iter().any(|g| g.scope == **scope && !g.partial);
        !is_cluster(scope) && !s.account.is_empty() && !ours && !blind && !known.iter().any(|k| k.is(scope, s))
    };
    seen.scopes.iter().filter(left).find_map(|(scope, s)| {
        let written = file.get(scope);
        let other = |k: &&LookedAt| {
            if k.account == s.account {
                written.is_none_or(|w| w.region.is_none())
            } else {
                written.is_none_or(|w| w.account.is_none())
            }
        };
        let then = known.iter().filter(|k| k.scope == *scope).find(other)?;
        let things = objects(then.objects);
        let ago = span(age(then.at, seen.at));
        let table = table_of(scope);
        Some(if then.account == s.account {
            format!(
                "the region is {}, where nothing of this stack is; {ago} ago it had {things} in {}: use that region, or \
                 write `region = \"{}\"` into {table} if the stack is to move",
                s.region, then.region, s.region
            )
        } else {
            format!(
                "these credentials are of account {}, where nothing of this stack is; {ago} ago it had {things} in account \
                 {}: use the other credentials, or write `account = \"{}\"` into {table} if it is to stand there as well",
                s.account, then.account, s.account
            )
        })
    })
}

fn objects(n: u32) -> String {
    if n == 1 { "1 object".to_owned() } else { format!("{n} objects") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::cluster_scope;
    use crate::observed::Live;
    use crate::testing::World;
    use serde_json::json;

    fn fleet() -> World {
        let mut w = World::new(3);
        w.settle();
        w
    }

    fn known(w: &World) -> Vec<LookedAt> {
        let mut known = Vec::new();
        remember(&mut known, &w.desired.stack.id, &w.seen);
        known
    }

    fn aliases(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|a| (*a).to_owned()).collect()
    }

    fn elsewhere(w: &World, account: &str, region: &str) -> Observed {
        let mut seen = w.seen.clone();
        seen.objects.clear();
        let scope = ScopeSeen { account: account.into(), region: region.into(), ..ScopeSeen::default() };
        seen.scopes.insert(String::new(), scope);
        seen
    }

    #[test]
    fn a_region_that_the_file_no_longer_names_is_not_forgotten_in_silence() {
        let mut w = fleet();
        let known = known(&w);
        assert_eq!(known.iter().map(|k| k.objects).collect::<Vec<_>>(), [3]);
        assert!(forgotten(&known, &aliases(&[]), &w.seen).is_empty(), "it is looked at");
        w.later(7200);
        let gaps = forgotten(&known, &aliases(&[""]), &elsewhere(&w, "123456789012", "eu-west-1"));
        assert_eq!((gaps.len(), gaps[0].what.as_str(), gaps[0].scope.as_str()), (1, "[aws]", "us-east-1"));
        assert!(gaps[0].partial, "what the file names is seen whole");
        assert!(gaps[0].failure.says.contains("3 objects") && gaps[0].failure.says.contains("ago"), "{gaps:?}");
    }

    #[test]
    fn another_account_under_the_same_name_is_another_place_to_work_in() {
        let w = fleet();
        let mut known = known(&w);
        let seen = elsewhere(&w, "999999999999", "us-east-1");
        assert!(forgotten(&known, &aliases(&[""]), &seen).is_empty());
        known[0].scope = "old".into();
        assert!(forgotten(&known, &aliases(&["old"]), &seen).is_empty());
        assert_eq!(forgotten(&known, &aliases(&["new"]), &seen).len(), 1, "a name that was taken out of the file");
    }

    #[test]
    fn credentials_or_a_region_from_outside_that_lead_elsewhere_build_nothing_a_second_time() {
        let w = fleet();
        let known = known(&w);
        let file = |region: Option<&str>, account: Option<&str>| {
            let (region, account) = (region.map(str::to_owned), account.map(str::to_owned));
            BTreeMap::from([(String::new(), Scope { region, account, ..Scope::default() })])
        };
        let at = |account: &str, region: &str| elsewhere(&w, account, region);
        let other = at("999999999999", "us-east-1");
        let says = strayed(&known, &file(Some("us-east-1"), None), &other).unwrap();
        assert!(says.contains("3 objects in account 123456789012"), "{says}");
        assert!(says.contains("`account = \"999999999999\"` into [aws]"), "{says}");
        assert_eq!(strayed(&known, &file(None, Some("999999999999")), &other), None, "the file says so");
        let moved = at("123456789012", "eu-west-1");
        let says = strayed(&known, &BTreeMap::new(), &moved).unwrap();
        assert!(says.contains("in us-east-1: use that region") && says.contains("`region = \"eu-west-1\"`"), "{says}");
        assert_eq!(strayed(&known, &file(Some("eu-west-1"), None), &moved), None);
        assert_eq!(strayed(&known, &file(None, None), &w.seen), None, "where it was");
        assert_eq!(strayed(&[], &file(None, None), &other), None, "a first look");
        let mut here = w.seen.clone();
        here.scopes.get_mut("").unwrap().account = "999999999999".into();
        assert_eq!(strayed(&known, &file(None, None), &here), None, "it has objects of this stack too");
        let mut both = known.clone();
        remember(&mut both, &w.desired.stack.id, &here);
        assert_eq!(strayed(&both, &file(None, None), &other), None, "it had objects there as well");
    }

    #[test]
    fn what_is_empty_is_forgotten_and_what_cannot_be_seen_is_not() {
        let mut w = fleet();
        let mut known = known(&w);
        let failure = Failure::new(Class::Denied, "", "no");
        let gap = Gap { scope: String::new(), kind: None, what: "instances".into(), failure, partial: false };
        w.seen.objects.clear();
        w.seen.gaps.push(gap);
        remember(&mut known, &w.desired.stack.id, &w.seen);
        assert_eq!(known.len(), 1, "not seen is not absent");
        w.seen.gaps.clear();
        remember(&mut known, &w.desired.stack.id, &w.seen);
        assert!(known.is_empty());
    }

    #[test]
    fn a_table_that_is_taken_out_while_a_cluster_stays_is_not_forgotten() {
        let w = fleet();
        let known = known(&w);
        let mut seen = w.seen.clone();
        let cluster = ScopeSeen { account: "uid-1".into(), region: "prod".into(), ..ScopeSeen::default() };
        seen.scopes = [(cluster_scope(""), cluster)].into();
        let gaps = forgotten(&known, &aliases(&[&cluster_scope("")]), &seen);
        assert_eq!(gaps.iter().map(|g| g.what.as_str()).collect::<Vec<_>>(), ["[aws]"]);
    }

    #[test]
    fn a_cluster_that_the_file_no_longer_names_is_not_forgotten_in_silence() {
        let mut w = fleet();
        let stack = w.desired.stack.id.clone();
        let scope = cluster_scope("eu");
        let body = json!({ "kind": "ConfigMap", "metadata": { "name": "a", "labels": { "evenkeel.dev/stack": stack },
            "managedFields": [{ "manager": "evenkeel", "operation": "Apply" }] } });
        let mut cluster = ClusterSeen::default();
        cluster.objects.insert("ConfigMap/shop/a".parse().unwrap(), Live { uid: "u".into(), body });
        w.seen.clusters.insert(scope.clone(), cluster);
        let place = ScopeSeen { account: "uid-1".into(), region: "prod".into(), ..ScopeSeen::default() };
        w.seen.scopes.insert(scope.clone(), place);
        let known = known(&w);
        let of_cluster: Vec<_> = known.iter().filter(|k| k.scope == scope).map(|k| k.objects).collect();
        assert_eq!(of_cluster, [1]);
        let mut seen = w.seen.clone();
        seen.scopes.get_mut(&scope).unwrap().region = "prod-renamed".into();
        assert!(forgotten(&known, &aliases(&["", &scope]), &seen).is_empty(), "another word for the same cluster");
        seen.scopes.get_mut(&scope).unwrap().account = "uid-2".into();
        assert!(forgotten(&known, &aliases(&["", &scope]), &seen).is_empty(), "another cluster to work in");
        seen.scopes.remove(&scope);
        let gaps = forgotten(&known, &aliases(&[""]), &seen);
        assert_eq!((gaps.len(), gaps[0].what.as_str(), gaps[0].scope.as_str()), (1, "[kubernetes.eu]", "prod"));
        // A kind that could not be listed may still have some.
        let mut left = known.clone();
        let cluster = w.seen.clusters.get_mut(&scope).unwrap();
        cluster.objects.clear();
        cluster.unseen.insert("Secret".into(), Failure::new(Class::Denied, "", "no"));
        remember(&mut left, &stack, &w.seen);
        assert_eq!(left, known);
    }
}
