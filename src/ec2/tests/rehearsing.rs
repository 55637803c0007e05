//! Rehearsing: `DryRun` for each of core's calls, and nothing else.

use std::collections::BTreeMap;

use evenkeel_core::address::{Address, Kind};
use evenkeel_core::failure::Class;
use evenkeel_core::plan::{Call, Target};
use evenkeel_core::value::Value;
use evenkeel_engine::provider::{Payloads, Provider};

use crate::{launch, story};

#[test]
fn a_rehearsed_launch_asks_once_looks_at_the_subnet_and_makes_nothing() {
    story(|stage| async move {
        let call = Call::Launch(launch(3));
        let done = stage.provider.rehearse(&call, &Payloads::new()).await;
        assert!(done.asked && done.refused.is_empty() && done.room.is_some_and(|r| r.free > 4000));
        assert_eq!(stage.wire.heard("DryRun Run").len(), 1);
        assert_eq!(stage.wire.heard("RunInstances"), [] as [String; 0]);
        assert!(stage.sim.world().unwrap().instances.is_empty());
        // Its token is not used up: the launch itself goes through.
        stage.boot(&launch(3)).await;
        assert_eq!(stage.sim.world().unwrap().instances.len(), 3);
    });
}

#[test]
fn what_ec2_would_refuse_is_the_failure_it_would_be() {
    story(|stage| async move {
        stage.wire.refuse("DryRun Terminate", Class::Denied, "UnauthorizedOperation");
        let done = stage.provider.rehearse(&Call::Terminate(vec!["i-1".into()]), &Payloads::new()).await;
        let [failure] = done.refused.as_slice() else { panic!("{done:?}") };
        assert_eq!((failure.class, failure.code.as_str()), (Class::Denied, "UnauthorizedOperation"));
    });
}

#[test]
fn what_is_refused_of_one_part_hides_nothing_of_the_others() {
    story(|stage| async move {
        stage.wire.refuse("DryRun Run", Class::Denied, "UnauthorizedOperation");
        let done = stage.provider.rehearse(&Call::Launch(launch(3)), &Payloads::new()).await;
        assert_eq!(done.refused.len(), 1);
        assert!(done.room.is_some_and(|r| r.free > 4000), "the subnet is looked at all the same");
        stage.wire.refuse("DryRun ChangeInstance", Class::Denied, "UnauthorizedOperation");
        stage.wire.refuse("DryRun SetTags", Class::Denied, "AnotherCode");
        let fields = [("monitoring", true.into()), ("protect", true.into())];
        let call = Call::Change {
            id: "i-1".into(),
            kind: Kind::Machines,
            fields: fields.into_iter().map(|(k, v): (&str, Value)| (k.to_owned(), v)).collect(),
            links: BTreeMap::new(),
        };
        let done = stage.provider.rehearse(&call, &Payloads::new()).await;
        assert_eq!(stage.wire.heard("DryRun").len(), 4, "the launch, and three of the change");
        let codes: Vec<&str> = done.refused.iter().map(|f| f.code.as_str()).collect();
        assert_eq!(codes, ["UnauthorizedOperation", "AnotherCode"], "each once");
    });
}

#[test]
fn every_part_of_a_change_is_asked_but_the_profile_which_has_no_dry_run() {
    story(|stage| async move {
        let id = stage.boot(&launch(1)).await.into_values().next().unwrap();
        let change = |fields: &[(&str, Value)]| Call::Change {
            id: id.clone(),
            kind: Kind::Machines,
            fields: fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            links: BTreeMap::new(),
        };
        stage.wire.forget();
        let both = change(&[("monitoring", Value::Bool(true)), ("instance-profile", "web".into())]);
        assert!(stage.provider.rehearse(&both, &Payloads::new()).await.asked);
        assert_eq!(stage.wire.heard("DryRun").len(), 1);
        let profile = change(&[("instance-profile", "web".into())]);
        assert!(!stage.provider.rehearse(&profile, &Payloads::new()).await.asked);
        let volume = Target::New("volumes.data/0".parse::<Address>().unwrap());
        let later = Call::Attach { volume, machine: Target::Id(id.clone()), device: "/dev/sdf".into() };
        assert!(!stage.provider.rehearse(&later, &Payloads::new()).await.asked);
        assert_eq!(stage.wire.heard("DryRun").len(), 1);
        assert!(!stage.sim.world().unwrap().instances[&id].monitoring, "nothing was done");
    });
}
