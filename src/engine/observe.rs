//! One look at the world through every provider at once.
//!
//! It never fails: what could not be seen is a gap, and a scope without a provider is one, too. The order of the
//! answer does not depend on who answered first.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::desired::{Lookup, is_cluster, table_of};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::{Answer, Gap, Observed};
use futures::future::join_all;

use crate::clock::Clock;
use crate::provider::{Eyes, Wants};

/// What to look for, scope by scope: the stack's objects, and the lookups asked in that scope.
pub fn wants<'a>(
    stack: &str,
    scopes: impl IntoIterator<Item = &'a str>,
    lookups: &'a BTreeSet<(String, Lookup)>,
    deep: bool,
) -> Vec<Wants> {
    let scopes: BTreeSet<&str> = scopes.into_iter().chain(lookups.iter().map(|(s, _)| s.as_str())).collect();
    let asked = |scope: &str| lookups.iter().filter(|(s, _)| s == scope).map(|(_, l)| l.clone()).collect();
    scopes
        .into_iter()
        .map(|s| Wants { scope: s.to_owned(), stack: stack.to_owned(), lookups: asked(s), deep, ..Wants::default() })
        .collect()
}

/// Looks at everything in `wants`, all scopes at the same time.
pub async fn observe(eyes: &BTreeMap<String, &dyn Eyes>, wants: &[Wants], clock: &dyn Clock) -> Observed {
    let mut all = Observed {
        at: clock.now(),
        scopes: BTreeMap::new(),
        objects: Vec::new(),
        clusters: BTreeMap::new(),
        lookups: Vec::new(),
        gaps: Vec::new(),
        labels: BTreeMap::new(),
    };
    let readings = join_all(wants.iter().map(|w| async move {
        match eyes.get(&w.scope) {
            Some(eyes) => Some(eyes.read(w).await),
            None => None,
        }
    }))
    .await;
    for (w, reading) in wants.iter().zip(readings) {
        let Some(reading) = reading else {
            all.gaps.push(Gap {
                scope: w.scope.clone(),
                kind: None,
                what: "everything".to_owned(),
                failure: Failure::new(Class::Invalid, "", format!("no provider for the scope `{}`", w.scope)),
                partial: false,
            });
            continue;
        };
        all.scopes.insert(w.scope.clone(), reading.seen);
        all.objects.extend(reading.objects.into_iter().map(|mut o| {
            o.scope.clone_from(&w.scope);
            o
        }));
        all.lookups.extend(reading.answers.into_iter().map(|a| Answer { scope: w.scope.clone(), ..a }));
        all.gaps.extend(reading.gaps.into_iter().map(|g| Gap { scope: w.scope.clone(), ..g }));
        all.labels.extend(reading.labels);
        all.clusters.extend(reading.cluster.map(|c| (w.scope.clone(), c)));
    }
    one_place_once(&mut all);
    all.objects.sort_by(|a, b| (&a.scope, a.kind, &a.id).cmp(&(&b.scope, b.kind, &b.id)));
    // A page that shifted while it was read can show one thing twice.
    all.objects.dedup_by(|a, b| (&a.scope, a.kind, &a.id) == (&b.scope, b.kind, &b.id));
    all.lookups.sort_by(|a, b| (&a.scope, &a.asked).cmp(&(&b.scope, &b.asked)));
    all.gaps.sort_by(|a, b| (&a.scope, a.kind, &a.what).cmp(&(&b.scope, b.kind, &b.what)));
    all
}

/// Under two names, one cluster would be two worlds, each of which takes the other's objects for what the file forgot;
/// and so would one region of an account: then neither counts as seen.
fn one_place_once(all: &mut Observed) {
    let mut names: BTreeMap<(bool, String, String), Vec<String>> = BTreeMap::new();
    for (scope, seen) in all.scopes.iter().filter(|(_, seen)| !seen.account.is_empty()) {
        let cluster = is_cluster(scope);
        if cluster && !all.clusters.contains_key(scope) {
            continue;
        }
        // A cluster's context is only what a person calls it.
        let region = if cluster { String::new() } else { seen.region.clone() };
        names.entry((cluster, seen.account.clone(), region)).or_default().push(scope.clone());
    }
    for ((cluster, ..), scopes) in names.into_iter().filter(|(_, scopes)| scopes.len() > 1) {
        let tables: Vec<String> = scopes.iter().map(|s| table_of(s)).collect();
        let one = if cluster { "cluster" } else { "account and region" };
        let says = format!("{} are one {one}: give it one table, and let groups name that", tables.join(" and "));
        all.objects.retain(|o| !scopes.contains(&o.scope));
        for scope in scopes {
            all.clusters.remove(&scope);
            let failure = Failure::new(Class::Invalid, "", says.clone());
            all.gaps.push(Gap { what: table_of(&scope), scope, kind: None, failure, partial: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::observed::{ClusterSeen, ScopeSeen};

    use super::*;

    fn seen(clusters: &[(&str, &str)]) -> Observed {
        let scope = |(scope, id): &(&str, &str)| {
            ((*scope).to_owned(), ScopeSeen { account: (*id).to_owned(), ..ScopeSeen::default() })
        };
        Observed {
            at: jiff::Timestamp::UNIX_EPOCH,
            scopes: clusters.iter().map(scope).collect(),
            objects: vec![],
            clusters: clusters.iter().map(|(scope, _)| ((*scope).to_owned(), ClusterSeen::default())).collect(),
            lookups: vec![],
            gaps: vec![],
            labels: BTreeMap::new(),
        }
    }

    #[test]
    fn one_cluster_under_two_names_is_seen_under_neither() {
        let mut all = seen(&[("kubernetes:", "a"), ("kubernetes:eu", "b"), ("kubernetes:west", "a")]);
        one_place_once(&mut all);
        assert_eq!(all.clusters.keys().collect::<Vec<_>>(), ["kubernetes:eu"]);
        let what: Vec<_> = all.gaps.iter().map(|g| (g.what.as_str(), g.partial)).collect();
        assert_eq!(what, [("[kubernetes]", false), ("[kubernetes.west]", false)]);
        assert!(all.gaps[0].failure.says.contains("[kubernetes] and [kubernetes.west] are one cluster"));
    }

    #[test]
    fn clusters_that_do_not_say_which_they_are_are_taken_for_two() {
        let mut all = seen(&[("kubernetes:", ""), ("kubernetes:eu", "")]);
        one_place_once(&mut all);
        assert!(all.gaps.is_empty() && all.clusters.len() == 2);
    }
}
