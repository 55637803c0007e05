//! One look at several scopes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use evenkeel_core::address::Kind;
use evenkeel_core::desired::Lookup;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::{Object, Phase, ScopeSeen};
use evenkeel_core::plan::Call;
use evenkeel_core::progress::Progress;
use evenkeel_core::stamp::tag;

use super::fake::*;
use crate::clock::Clock;
use crate::fresh::second_look;
use crate::observe::{observe, wants};
use crate::provider::{Eyes, Looked, Reading, Wants};

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

/// A region of an account with one machine.
struct Region(&'static str, &'static str, Object);

#[async_trait]
impl Eyes for Region {
    async fn read(&self, _: &Wants) -> Reading {
        let seen = ScopeSeen { account: self.0.into(), region: self.1.into(), ..ScopeSeen::default() };
        Reading { seen, objects: vec![self.2.clone()], ..Reading::default() }
    }

    async fn look(&self, _: &BTreeSet<String>) -> Result<Looked, Failure> {
        Ok(Looked::default())
    }
}

#[tokio::test(start_paused = true)]
async fn one_region_of_an_account_under_two_names_is_seen_under_neither() {
    let clock = Paused::new();
    let place = |account, region, id: &str| Region(account, region, object(Kind::Machines, id, Phase::Up, clock.now()));
    let all = [
        ("", place("1", "us-east-1", "a")),
        ("role", place("1", "us-east-1", "a")),
        ("west", place("1", "us-west-2", "b")),
        ("other", place("2", "us-east-1", "c")),
        // Who cannot be asked is nobody's twin.
        ("dark", place("", "us-east-1", "d")),
        ("night", place("", "us-east-1", "e")),
    ];
    let eyes: BTreeMap<String, &dyn Eyes> = all.iter().map(|(s, r)| ((*s).to_owned(), r as &dyn Eyes)).collect();
    let wants = wants("s", all.iter().map(|(s, _)| *s), &BTreeSet::new(), false);
    let seen = observe(&eyes, &wants, &clock).await;
    let ids: Vec<&str> = seen.objects.iter().map(|o| o.id.as_str()).collect();
    assert_eq!(ids, ["d", "e", "c", "b"]);
    let gaps: Vec<(&str, &str)> = seen.gaps.iter().map(|g| (g.scope.as_str(), g.what.as_str())).collect();
    assert_eq!(gaps, [("", "[aws]"), ("role", "[aws.role]")]);
    let says = &seen.gaps[0].failure.says;
    assert_eq!(says, "[aws] and [aws.role] are one account and region: give it one table, and let groups name that");
    assert!(!seen.sees_all("role", Kind::Volumes) && seen.sees_all("west", Kind::Machines));
}

#[tokio::test(start_paused = true)]
async fn what_goes_is_read_a_second_time_by_id_and_stays_where_its_marks_are_others() {
    let clock = Paused::new();
    let put = |kind, id: &str| (id.to_owned(), object(kind, id, Phase::Up, clock.now()));
    let all =
        [put(Kind::Machines, "i-1"), put(Kind::Machines, "i-2"), put(Kind::Volumes, "v-1"), put(Kind::Volumes, "v-2")];
    let world = Fake::new(&clock).with(|w| w.objects = all.into());
    let eyes: BTreeMap<String, &dyn Eyes> = [(String::new(), &world as &dyn Eyes)].into();
    let seen = observe(&eyes, &wants("s", [""], &BTreeSet::new(), false), &clock).await;
    let ends = ["i-1", "i-2"].map(str::to_owned).to_vec();
    let names = [("machines.web/0", "i-1"), ("machines.web/1", "i-2"), ("volumes.d/0", "v-1"), ("volumes.d/1", "v-2")];
    let changes = names.map(|(at, id)| change(at, id)).to_vec();
    let steps = vec![
        call(&[], &[0, 1], Call::Terminate(ends)),
        call(&[], &[2], Call::DeleteVolume("v-1".into())),
        call(&[], &[3], Call::DeleteVolume("v-2".into())),
    ];
    let progress = Progress::new(plan(changes, steps));
    assert_eq!(second_look(&eyes, &progress, &seen).await, []);
    assert_eq!(world.world.lock().unwrap().looks, [4], "one call for all");
    // Somebody protects one and takes another for another stack; a third one is gone.
    let tagged = |id: &str, key: &str, value: &str| {
        let mut world = world.world.lock().unwrap();
        world.objects.get_mut(id).unwrap().tags.insert(key.into(), value.into());
    };
    tagged("v-1", tag::PROTECT, "true");
    tagged("i-2", tag::STACK, "theirs");
    tagged("i-1", "team", "x");
    world.world.lock().unwrap().objects.remove("v-2");
    let refused = second_look(&eyes, &progress, &seen).await;
    assert_eq!(refused.iter().map(|r| r.change).collect::<Vec<_>>(), [1, 2], "{refused:?}");
    // Where nobody answers nothing goes.
    let failure = Failure::new(Class::Transient, "", "no answer");
    world.world.lock().unwrap().script.insert("look", [failure].into());
    let refused = second_look(&eyes, &progress, &seen).await;
    assert!(refused.len() == 4 && refused.iter().all(|r| r.unseen));
    assert!(refused[0].because.contains("could not be read by id: no answer"), "{refused:?}");
}
