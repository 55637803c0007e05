//! Launches: one call a batch, the slot by launch index, never twice.

use evenkeel_core::address::Kind;
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::Class;
use evenkeel_core::launch::Place;
use evenkeel_core::plan::Call;
use evenkeel_core::stamp::tag;
use evenkeel_core::value::Value;
use evenkeel_ec2::api::{Ec2Read, Query};
use evenkeel_engine::provider::{Payloads, Provider};

use evenkeel_sim::action::Action;
use evenkeel_sim::faults::{Effect, Fault};

use crate::{launch, launch_of, story, web};

#[test]
fn a_batch_is_one_call_and_every_machine_has_its_slot() {
    story(async |stage| {
        let made = stage.boot(&launch_of([1, 4, 9])).await;
        assert_eq!(stage.wire.heard("RunInstances").len(), 1);
        assert_eq!(made.keys().map(|a| a.slot).collect::<Vec<_>>(), [1, 4, 9]);
        for (address, id) in &made {
            let seen = stage.sim.instances(&Query { ids: vec![id.clone()], ..Query::default() }).await.unwrap();
            assert_eq!(launch_of([1, 4, 9]).tag.slots.get(seen.items[0].launch_index), Some(address.slot));
        }
    });
}

#[test]
fn a_repeated_launch_makes_nothing_new() {
    story(async |stage| {
        let first = stage.boot(&launch(3)).await;
        let again = stage.boot(&launch(3)).await;
        assert_eq!(first, again);
        assert_eq!(stage.sim.world().unwrap().instances.len(), 3);
    });
}

#[test]
fn a_launch_whose_machines_died_says_that_its_token_is_spent() {
    story(async |stage| {
        let made = stage.boot(&launch(1)).await;
        stage.perform(Call::Terminate(made.into_values().collect())).await.unwrap();
        stage.wait(120).await;
        let again = stage.perform(Call::Launch(launch(1))).await.unwrap_err();
        assert_eq!(again.class, Class::TokenSpent);
    });
}

#[test]
fn a_launch_of_which_some_still_live_is_not_made_anew() {
    story(async |stage| {
        let made = stage.boot(&launch(3)).await;
        let one = made.values().next().unwrap().clone();
        stage.perform(Call::Terminate(vec![one])).await.unwrap();
        stage.wait(120).await;
        let again = stage.perform(Call::Launch(launch(3))).await;
        assert_eq!(again, Ok(made), "the two that live would be made twice");
    });
}

#[test]
fn every_mark_goes_out_in_the_create_call() {
    story(async |stage| {
        let mut l = launch(1);
        l.spec.insert("protect".into(), true.into());
        l.spec.insert("root-size".into(), 12u32.into());
        l.spec.insert("disks".into(), disk_of("/dev/sdf", 20));
        stage.boot(&l).await;
        assert!(stage.wire.heard("CreateTags").is_empty());
        let world = stage.sim.world().unwrap();
        let machine = world.instances.values().next().unwrap();
        for key in [tag::STACK, tag::ADDRESS, tag::LAUNCH, tag::SPEC, tag::NAME, tag::PROTECT] {
            assert!(machine.tags.contains_key(key), "{key}");
        }
        assert_eq!(world.volumes.len(), 2);
        for disk in world.volumes.values() {
            assert_eq!(disk.tags[tag::ADDRESS], web().to_string());
            assert!(!disk.tags.contains_key(tag::LAUNCH));
        }
        let mut sizes: Vec<_> = world.volumes.values().map(|v| v.size).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [12, 20]);
    });
}

fn disk_of(device: &str, size: u32) -> Value {
    let disk = Value::Map([("size".to_owned(), Value::from(size))].into());
    Value::Map([(device.to_owned(), disk)].into())
}

#[test]
fn one_place_and_one_type_are_tried_and_a_refusal_is_told_as_it_is() {
    story(async |stage| {
        for (class, code) in [(Class::Capacity, "InsufficientInstanceCapacity"), (Class::Quota, "VcpuLimitExceeded")] {
            stage.wire.forget();
            stage.wire.allow();
            stage.wire.refuse("RunInstances", class, code);
            let failure = stage.perform(Call::Launch(launch(2))).await.unwrap_err();
            assert_eq!((failure.class, stage.wire.heard("RunInstances").len()), (class, 1));
        }
        stage.wire.forget();
        let mut choosy = launch(2);
        choosy.places.push(Place { zone: "us-east-1b".into(), subnet: None });
        assert_eq!(stage.perform(Call::Launch(choosy)).await.unwrap_err().class, Class::Invalid);
        let mut choosy = launch(2);
        choosy.types.push("t3a.small".into());
        assert_eq!(stage.perform(Call::Launch(choosy)).await.unwrap_err().class, Class::Invalid);
        assert!(stage.wire.heard("").is_empty(), "which comes first is for the engine to say");
    });
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_token() {
    story(async |stage| {
        let lost = Fault::once(Effect::LoseAnswer).on(Action::RunInstances);
        stage.sim.edit(|w| w.faults.push(lost)).unwrap();
        let made = stage.boot(&launch(2)).await;
        assert_eq!((made.len(), stage.wire.heard("RunInstances").len()), (2, 2));
        assert_eq!(stage.sim.world().unwrap().instances.len(), 2);
    });
}

#[test]
fn a_subnet_says_the_zone_by_itself() {
    story(async |stage| {
        let mut l = launch(1);
        l.places = vec![Place { zone: "us-east-1b".into(), subnet: Some("subnet-00000000000000002".into()) }];
        let id = stage.boot(&l).await.into_values().next().unwrap();
        assert_eq!(stage.look(&id).await[0].zone, "us-east-1b");
    });
}

#[test]
fn a_boot_script_travels_beside_the_plan() {
    story(async |stage| {
        let script = b"#!/bin/sh\necho canary\n".to_vec();
        let mut l = launch(1);
        l.user_data = Some(Digest::keyed(crate::STACK.as_bytes(), &script));
        let failure = stage.perform(Call::Launch(l.clone())).await.unwrap_err();
        assert_eq!(failure.class, Class::Invalid);
        assert!(stage.wire.heard("RunInstances").is_empty());
        let payloads = Payloads::from([(l.user_data.clone().unwrap(), script.clone())]);
        let made = stage.provider.perform(&Call::Launch(l), &payloads).await.unwrap();
        stage.wait(60).await;
        let seen = stage.sim.user_data(made.values().next().unwrap()).await.unwrap();
        assert_eq!(seen, Some(script));
    });
}

#[test]
fn a_field_of_the_wrong_sort_is_refused_before_anything_is_sent() {
    story(async |stage| {
        for (field, value) in [
            ("image", Value::Null),
            ("image", Value::Int(3)),
            ("security-groups", Value::List(vec![Value::Int(1)])),
            ("root-size", Value::Int(-1)),
            ("metadata", "required".into()),
            ("disks", Value::Map([("/dev/sdf".to_owned(), Value::Int(20))].into())),
            ("protect", "yes".into()),
        ] {
            let mut l = launch(1);
            l.spec.insert(field.into(), value);
            assert_eq!(stage.perform(Call::Launch(l)).await.unwrap_err().class, Class::Invalid, "{field}");
        }
        let mut l = launch(1);
        l.root_device = None;
        l.spec.insert("root-size".into(), 9u32.into());
        assert_eq!(stage.perform(Call::Launch(l)).await.unwrap_err().class, Class::Invalid);
        assert!(stage.wire.heard("RunInstances").is_empty());
    });
}

#[test]
fn all_that_a_file_says_of_the_root_disk_reaches_ec2_and_is_seen_again() {
    story(async |stage| {
        let root = [
            ("root-size", 30u32.into()),
            ("root-type", "gp3".into()),
            ("root-iops", 4000u32.into()),
            ("root-throughput", 250u32.into()),
            ("root-encrypted", true.into()),
            ("root-kms-key", "alias/shop".into()),
        ];
        let known = evenkeel_core::schema::fields(Kind::Machines).iter().filter(|f| f.name.starts_with("root-"));
        assert_eq!(known.map(|f| f.name).collect::<Vec<_>>(), root.clone().map(|(name, _)| name));
        let mut l = launch(1);
        l.spec.extend(root.clone().map(|(name, value)| (name.to_owned(), value)));
        stage.boot(&l).await;
        let seen = stage.read().await.objects.remove(0);
        for (name, value) in root {
            assert_eq!(seen.fields.get(name), Some(&value), "{name}");
        }
    });
}
