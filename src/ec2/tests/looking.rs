//! Looks by id: what is gone is missing, what could not be asked is a failure.

use std::collections::BTreeSet;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::{Object, Reading as Check, Source};
use evenkeel_core::plan::Call;
use evenkeel_engine::provider::Eyes;

use crate::{launch, story};

#[test]
fn ids_that_do_not_exist_are_missing_and_the_others_are_there() {
    story(async |stage| {
        let there: BTreeSet<_> = stage.boot(&launch(5)).await.into_values().collect();
        let mut asked = there.clone();
        asked.extend(["i-0123456789abcdef0".to_owned(), "vol-0123456789abcdef0".to_owned()]);
        let seen = stage.provider.look(&asked).await.unwrap().objects;
        assert_eq!(seen.iter().map(|o| o.id.clone()).collect::<BTreeSet<_>>(), there);
    });
}

#[test]
fn a_server_that_names_nobody_or_everybody_is_asked_in_halves() {
    for names_all in [false, true] {
        story(async move |stage| {
            let there: BTreeSet<_> = stage.boot(&launch(9)).await.into_values().collect();
            let gone = "i-0123456789abcdef0".to_owned();
            stage.wire.refuse_if(move |words| {
                let hit = words.starts_with("DescribeInstances [") && words.contains("i-0123456789abcdef0");
                let says = if names_all { words.to_owned() } else { String::new() };
                hit.then(|| Failure::new(Class::NotFound, "InvalidInstanceID.NotFound", says))
            });
            let mut asked = there.clone();
            asked.insert(gone);
            let seen = stage.provider.look(&asked).await.unwrap().objects;
            assert_eq!(seen.iter().map(|o| o.id.clone()).collect::<BTreeSet<_>>(), there);
        });
    }
}

#[test]
fn statuses_are_asked_in_as_few_calls_as_may_be() {
    // (machines looked at, others in the account, calls): a hundred by id a call, or a thousand a page of all.
    for (ours, others, expected) in [(5, 0, 1), (100, 0, 1), (130, 0, 1), (130, 2_000, 2)] {
        story(async move |stage| {
            let mut left = others;
            while left > 0 {
                let mut other = launch(left.min(1000));
                other.stack = "zzz22222".into();
                other.tag.generation = left;
                stage.perform(Call::Launch(other)).await.unwrap();
                left -= left.min(1000);
            }
            let ids: BTreeSet<_> = stage.boot(&launch(ours)).await.into_values().collect();
            stage.read().await;
            stage.wire.forget();
            let seen = stage.provider.look(&ids).await.unwrap().objects;
            assert_eq!(seen.len(), ours as usize);
            assert_eq!(stage.wire.heard("DescribeInstances ").len(), 1);
            assert_eq!(stage.wire.heard("DescribeInstanceStatus").len(), expected, "{ours} of {others}");
            for source in [Source::SystemStatus, Source::InstanceStatus] {
                let ok = |o: &Object| o.signals.iter().any(|s| s.source == source && s.reading == Check::Ok);
                assert!(seen.iter().all(ok));
            }
        });
    }
}

#[test]
fn a_failed_look_is_a_failure_and_failed_statuses_are_no_data() {
    story(async |stage| {
        let ids: BTreeSet<_> = stage.boot(&launch(1)).await.into_values().collect();
        stage.wire.refuse("DescribeInstanceStatus", Class::Denied, "UnauthorizedOperation");
        let seen = stage.provider.look(&ids).await.unwrap().objects;
        let system = seen[0].signals.iter().find(|s| s.source == Source::SystemStatus).unwrap();
        assert_eq!(system.reading, Check::NoData);
        stage.wire.refuse("DescribeInstances", Class::Denied, "UnauthorizedOperation");
        assert_eq!(stage.provider.look(&ids).await.unwrap_err().class, Class::Denied);
        let odd = BTreeSet::from(["snap-1".to_owned()]);
        assert_eq!(stage.provider.look(&odd).await.unwrap_err().class, Class::Invalid);
    });
}
