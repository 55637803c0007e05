//! One look at several scopes.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::Kind;
use evenkeel_core::desired::Lookup;
use evenkeel_core::observed::Phase;

use super::fake::*;
use crate::clock::Clock;
use crate::observe::{observe, wants};
use crate::provider::Eyes;

#[tokio::test(start_paused = true)]
async fn a_look_is_sorted_and_a_scope_nobody_can_see_is_a_gap() {
    let clock = Paused::new();
    let put = |kind, id: &str| (id.to_owned(), object(kind, id, Phase::Up, clock.now()));
    let here = Fake::new(&clock)
        .with(|w| w.objects = [put(Kind::Volumes, "a"), put(Kind::Machines, "c"), put(Kind::Machines, "b")].into());
    let there = Fake::new(&clock).with(|w| w.objects = [put(Kind::Machines, "d")].into());
    let eyes: BTreeMap<String, &dyn Eyes> = [("z".to_owned(), &here as &dyn Eyes), ("eu".to_owned(), &there)].into();
    let lookups = BTreeSet::from([("z".to_owned(), Lookup::SecurityGroup("web".into()))]);
    let wants = wants("s", ["eu", "moon", "z"], &lookups, false);
    assert_eq!(
        wants.iter().map(|w| (w.scope.as_str(), w.lookups.len())).collect::<Vec<_>>(),
        [("eu", 0), ("moon", 0), ("z", 1)]
    );
    let seen = observe(&eyes, &wants, &clock).await;
    let order: Vec<_> = seen.objects.iter().map(|o| (o.scope.as_str(), o.id.as_str())).collect();
    assert_eq!(order, [("eu", "d"), ("z", "b"), ("z", "c"), ("z", "a")], "by scope, kind and id");
    assert_eq!(seen.at, clock.now());
    assert!(!seen.sees_all("moon", Kind::Machines) && seen.sees_all("eu", Kind::Machines));
}
