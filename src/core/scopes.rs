//! Where objects of ours were when last looked at, so that a region or account which the file no longer mentions is
//! not forgotten in silence.
//!
//! A memory and no state: without it nothing is said. It refuses to guess about accounts that today's credentials do
//! not reach.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::{Class, Failure};
use crate::health::{age, span};
use crate::observed::{Gap, Observed};

/// One scope as it was last seen, with objects of ours in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LookedAt {
    /// Twelve digits.
    pub account: String,
    /// `us-east-1`.
    pub region: String,
    /// Its alias then.
    pub scope: String,
    /// Live objects of ours.
    pub objects: u32,
    /// When.
    pub at: Timestamp,
}

/// Writes down what this look found where; where nothing of ours is left there is nothing to remember.
pub fn remember(known: &mut Vec<LookedAt>, seen: &Observed) {
    for (scope, s) in seen.scopes.iter().filter(|(_, s)| !s.account.is_empty()) {
        if seen.gaps.iter().any(|g| g.scope == *scope && !g.partial) {
            continue;
        }
        let objects = seen.objects.iter().filter(|o| o.scope == *scope && o.phase.alive()).count();
        let objects = u32::try_from(objects).unwrap_or(u32::MAX);
        known.retain(|k| (&k.account, &k.region, &k.scope) != (&s.account, &s.region, scope));
        if objects > 0 {
            let (account, region) = (s.account.clone(), s.region.clone());
            known.push(LookedAt { account, region, scope: scope.clone(), objects, at: seen.at });
        }
    }
    known.sort();
}

/// What is not looked at any more although objects of ours were there: `aliases` are those of the file.
pub fn forgotten(known: &[LookedAt], aliases: &BTreeSet<String>, seen: &Observed) -> Vec<Gap> {
    let place = |k: &LookedAt| seen.scopes.values().any(|s| (&s.account, &s.region) == (&k.account, &k.region));
    let account = |k: &LookedAt| seen.scopes.values().any(|s| s.account == k.account);
    let named = |k: &LookedAt| k.scope.is_empty() || aliases.contains(&k.scope);
    let gone = known.iter().filter(|k| !place(k) && (account(k) || !named(k)));
    gone.map(|k| {
        let table = if k.scope.is_empty() { "[aws]".to_owned() } else { format!("[aws.{}]", k.scope) };
        let things = if k.objects == 1 { "1 object".to_owned() } else { format!("{} objects", k.objects) };
        let says = format!(
            "is not looked at any more, and had {things} of this stack when last seen, {} ago: put it back into the file, \
             take its groups out and apply; or remove the history beside the declaration if they are meant to stay",
            span(age(k.at, seen.at))
        );
        Gap {
            // No alias of today: it is said with its region.
            scope: k.region.clone(),
            kind: None,
            what: table,
            failure: Failure::new(Class::Invalid, "", says),
            partial: true,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::ScopeSeen;
    use crate::testing::World;

    fn fleet() -> World {
        let mut w = World::new(3);
        w.settle();
        w
    }

    fn known(w: &World) -> Vec<LookedAt> {
        let mut known = Vec::new();
        remember(&mut known, &w.seen);
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
    fn what_is_empty_is_forgotten_and_what_cannot_be_seen_is_not() {
        let mut w = fleet();
        let mut known = known(&w);
        let failure = Failure::new(Class::Denied, "", "no");
        let gap = Gap { scope: String::new(), kind: None, what: "instances".into(), failure, partial: false };
        w.seen.objects.clear();
        w.seen.gaps.push(gap);
        remember(&mut known, &w.seen);
        assert_eq!(known.len(), 1, "not seen is not absent");
        w.seen.gaps.clear();
        remember(&mut known, &w.seen);
        assert!(known.is_empty());
    }
}
