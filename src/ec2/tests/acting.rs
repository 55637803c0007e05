//! Changes, tags, volumes and ends: each may be repeated, and one refused id keeps no other from going on.

use std::collections::BTreeMap;

use evenkeel_core::address::Kind;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::Phase;
use evenkeel_core::plan::{Call, Target};
use evenkeel_core::stamp::tag;
use evenkeel_core::value::{Fields, Value};
use evenkeel_engine::provider::{Eyes, Wants};
use evenkeel_sim::action::Action;
use evenkeel_sim::faults::{Effect, Fault};

use crate::{data, data_address, launch, story, wants};

fn change(id: &str, kind: Kind, fields: &[(&str, Value)]) -> Call {
    let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    Call::Change { id: id.into(), kind, fields, links: BTreeMap::new() }
}

#[test]
fn terminating_goes_on_past_a_protected_and_a_missing_machine() {
    story(async |stage| {
        let mut kept = launch(1);
        kept.spec.insert("protect".into(), true.into());
        let kept = stage.boot(&kept).await.into_values().next().unwrap();
        let mut others = launch(8);
        others.group.name = "api".into();
        let others: Vec<_> = stage.boot(&others).await.into_values().collect();
        let mut ids = others.clone();
        ids.insert(3, kept.clone());
        ids.insert(5, "i-0123456789abcdef0".into());
        let failure = stage.perform(Call::Terminate(ids)).await.unwrap_err();
        assert_eq!(failure.class, Class::Protected, "the missing one is as terminated as can be");
        assert_eq!(stage.look(&kept).await[0].phase, Phase::Up);
        for id in &others {
            assert!(!stage.look(id).await[0].phase.alive(), "{id}");
        }
        stage.perform(Call::Terminate(others)).await.expect("again is fine");
    });
}

#[test]
fn a_refusal_that_names_nobody_is_cut_down_to_the_one() {
    story(async |stage| {
        let ids: Vec<_> = stage.boot(&launch(16)).await.into_values().collect();
        let sick = ids[11].clone();
        let named = sick.clone();
        stage.wire.refuse_if(move |words| {
            let hit = words.starts_with("TerminateInstances") && words.contains(&named);
            hit.then(|| Failure::new(Class::Protected, "OperationNotPermitted", "one of them is protected"))
        });
        let failure = stage.perform(Call::Terminate(ids.clone())).await.unwrap_err();
        assert_eq!(failure.class, Class::Protected);
        for id in ids.iter().filter(|id| **id != sick) {
            assert!(!stage.look(id).await[0].phase.alive(), "{id}");
        }
        assert!(stage.wire.heard("TerminateInstances").len() <= 9, "halves, not one by one");
    });
}

#[test]
fn tags_of_many_go_out_a_thousand_at_a_time() {
    story(async |stage| {
        let ids: Vec<String> = (0..2_500).map(|n| format!("i-{n:017x}")).collect();
        let tags = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        stage.wire.refuse("CreateTags", Class::Denied, "UnauthorizedOperation");
        stage.wire.refuse("DeleteTags", Class::Denied, "UnauthorizedOperation");
        let both = Call::Tag { ids: ids.clone(), set: tags, unset: vec!["old".into()] };
        assert_eq!(stage.perform(both).await.unwrap_err().class, Class::Denied);
        for action in ["CreateTags", "DeleteTags"] {
            let sizes: Vec<_> = stage.wire.heard(action).iter().map(|w| w.matches("i-").count()).collect();
            assert_eq!(sizes, [1000, 1000, 500], "{action}");
        }
    });
}

#[test]
fn tags_are_set_and_taken_away() {
    story(async |stage| {
        let id = stage.boot(&launch(1)).await.into_values().next().unwrap();
        let set = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let call = Call::Tag { ids: vec![id.clone()], set, unset: vec![tag::NAME.into()] };
        stage.perform(call.clone()).await.unwrap();
        stage.perform(call).await.expect("again is fine");
        let seen = stage.look(&id).await.remove(0);
        assert_eq!(seen.fields["tags"], Value::Map([("team".to_owned(), "a".into())].into()));
        let nothing = Call::Tag { ids: vec![id], set: BTreeMap::new(), unset: vec![] };
        stage.wire.forget();
        stage.perform(nothing).await.unwrap();
        assert!(stage.wire.heard("").is_empty());
    });
}

#[test]
fn live_fields_of_a_machine_change_while_it_runs() {
    story(async |stage| {
        let id = stage.boot(&launch(1)).await.into_values().next().unwrap();
        let before = stage.read().await.objects.remove(0);
        let metadata = Value::Map(BTreeMap::from([
            ("tokens-required".into(), false.into()),
            ("hop-limit".into(), Value::Int(2)),
            ("enabled".into(), true.into()),
        ]));
        let fields: Fields = [
            ("security-groups", Value::set(["sg-00000000000000002"])),
            ("instance-profile", "web".into()),
            ("metadata", metadata),
            ("monitoring", true.into()),
            ("protect", true.into()),
            ("root-size", 30u32.into()),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect();
        let call =
            Call::Change { id: id.clone(), kind: Kind::Machines, fields: fields.clone(), links: before.links.clone() };
        stage.perform(call.clone()).await.unwrap();
        // The volume grows for a while, and refuses a second change for six hours: again is fine all the same.
        stage.wait(600).await;
        stage.perform(call).await.unwrap();
        let after = stage.read().await.objects.remove(0);
        for (name, wanted) in &fields {
            assert_eq!(after.fields.get(name), Some(wanted), "{name}");
        }
        assert_eq!(after.tags[tag::PROTECT], "true");
        stage.perform(change(&id, Kind::Machines, &[("protect", false.into())])).await.unwrap();
        assert!(!stage.look(&id).await[0].tags.contains_key(tag::PROTECT));
        stage.perform(Call::Terminate(vec![id])).await.expect("not protected any more");
    });
}

#[test]
fn disks_grow_while_the_machine_runs() {
    story(async |stage| {
        let disk = |keys: &[(&str, Value)]| Value::Map(keys.iter().map(|(k, v)| ((*k).into(), v.clone())).collect());
        let mut l = launch(1);
        let small = disk(&[("size", 5u32.into()), ("type", "gp3".into())]);
        l.spec.insert("disks".into(), disk(&[("/dev/sdf", small.clone()), ("/dev/sdg", small)]));
        let id = stage.boot(&l).await.into_values().next().unwrap();
        let links = stage.read().await.objects.remove(0).links.clone();
        let change = |disks: Value| Call::Change {
            id: id.clone(),
            kind: Kind::Machines,
            fields: Fields::from([("disks".to_owned(), disks)]),
            links: links.clone(),
        };
        stage.wire.forget();
        stage.perform(change(disk(&[("/dev/sdg", disk(&[("size", 9u32.into())]))]))).await.unwrap();
        assert_eq!(stage.wire.heard("ModifyVolume").len(), 1, "the other one is as it should be");
        stage.wait(600).await;
        let machine = stage.read().await.objects.remove(0);
        let Value::Map(disks) = &machine.fields["disks"] else { panic!("{:?}", machine.fields) };
        let size = |device: &str| match &disks[device] {
            Value::Map(disk) => disk["size"].int(),
            other => panic!("{other:?}"),
        };
        assert_eq!((size("/dev/sdf"), size("/dev/sdg")), (Some(5), Some(9)));
        for wrong in [disk(&[("/dev/sdg", disk(&[("encrypted", true.into())]))]), disk(&[("/dev/sdx", disk(&[]))])] {
            assert_eq!(stage.perform(change(wrong)).await.unwrap_err().class, Class::Invalid);
        }
    });
}

#[test]
fn a_change_of_profile_whose_answer_is_lost_is_found_done() {
    story(async |stage| {
        let id = stage.boot(&launch(1)).await.into_values().next().unwrap();
        for (profile, action) in [
            (Some("web"), Action::AssociateIamInstanceProfile),
            (Some("db"), Action::ReplaceIamInstanceProfileAssociation),
            (None, Action::DisassociateIamInstanceProfile),
        ] {
            stage.sim.edit(|w| w.faults.push(Fault::once(Effect::LoseAnswer).on(action))).unwrap();
            stage.wire.forget();
            let wanted = profile.map_or(Value::Null, Value::from);
            stage.perform(change(&id, Kind::Machines, &[("instance-profile", wanted.clone())])).await.unwrap();
            assert_eq!(stage.look(&id).await[0].fields["instance-profile"], wanted);
            assert_eq!(stage.wire.heard(action.name()).len(), 2, "done, and refused when repeated");
            assert_eq!(stage.wire.heard("DescribeIamInstanceProfileAssociations").len(), 2);
        }
    });
}

#[test]
fn every_wire_call_is_counted_once() {
    story(async |stage| {
        let id = stage.boot(&launch(2)).await.into_values().next().unwrap();
        let fields = [("instance-profile", "web".into()), ("monitoring", true.into()), ("protect", true.into())];
        stage.perform(change(&id, Kind::Machines, &fields)).await.unwrap();
        stage.provider.read(&Wants { deep: true, ..wants([]) }).await;
        let counted = stage.provider.caller().counts();
        let asked = stage.sim.counts().into_iter().map(|(action, n)| (action.name().to_owned(), n as u32));
        assert_eq!(counted, asked.collect());
    });
}

#[test]
fn a_type_changes_while_it_is_stopped_and_again_is_fine_once_it_runs() {
    story(async |stage| {
        let id = stage.boot(&launch(1)).await.into_values().next().unwrap();
        let bigger = change(&id, Kind::Machines, &[("type", "t3.large".into())]);
        assert_eq!(stage.perform(bigger.clone()).await.unwrap_err().class, Class::Busy, "it runs");
        stage.perform(Call::Stop(vec![id.clone()])).await.unwrap();
        stage.wait(120).await;
        stage.perform(bigger.clone()).await.unwrap();
        stage.perform(Call::Start(vec![id.clone()])).await.unwrap();
        stage.wait(200).await;
        stage.perform(bigger).await.expect("it is so already");
        assert_eq!(stage.look(&id).await[0].fields["type"], "t3.large".into());
    });
}

#[test]
fn what_cannot_change_in_place_is_refused() {
    story(async |stage| {
        for (kind, field) in [
            (Kind::Machines, "image"),
            (Kind::Machines, "user-data"),
            (Kind::Machines, "tags"),
            (Kind::Machines, "root-encrypted"),
            (Kind::Volumes, "zone"),
            (Kind::Volumes, "device"),
            (Kind::Volumes, "encrypted"),
        ] {
            let failure = stage.perform(change("i-1", kind, &[(field, "x".into())])).await.unwrap_err();
            assert_eq!(failure.class, Class::Invalid, "{field}");
        }
        let without_link = change("i-1", Kind::Machines, &[("root-size", 9u32.into())]);
        assert_eq!(stage.perform(without_link).await.unwrap_err().class, Class::Invalid);
        assert!(stage.wire.heard("").is_empty());
    });
}

#[test]
fn a_volume_lives_its_life_and_every_step_may_be_repeated() {
    story(async |stage| {
        let machine = stage.boot(&launch(1)).await.into_values().next().unwrap();
        let made = stage.perform(Call::CreateVolume(data(0))).await.unwrap();
        let again = stage.perform(Call::CreateVolume(data(0))).await.unwrap();
        assert_eq!(made, again);
        let id = made[&data_address(0)].clone();
        stage.wait(30).await;

        let attach = Call::Attach {
            volume: Target::Id(id.clone()),
            machine: Target::Id(machine.clone()),
            device: "/dev/sdf".into(),
        };
        stage.perform(attach.clone()).await.unwrap();
        stage.wait(60).await;
        stage.wire.forget();
        stage.perform(attach).await.expect("it hangs there already");
        assert_eq!(stage.wire.heard("AttachVolume").len(), 1, "no waiting for what is done");
        let seen = stage.look(&id).await.remove(0);
        let at = seen.attached.clone().unwrap();
        assert_eq!((at.to.as_str(), at.device.as_str(), at.settled), (machine.as_str(), "/dev/sdf", true));
        assert_eq!(seen.fields["device"], "/dev/sdf".into());

        let grow = change(&id, Kind::Volumes, &[("size", 40u32.into()), ("protect", true.into())]);
        stage.perform(grow.clone()).await.unwrap();
        stage.wait(600).await;
        stage.perform(grow).await.expect("it is so already");
        let seen = stage.look(&id).await.remove(0);
        assert_eq!((&seen.fields["size"], &seen.fields["protect"]), (&40u32.into(), &true.into()));

        let detach = Call::Detach { volume: id.clone(), machine, device: "/dev/sdf".into() };
        stage.perform(detach.clone()).await.unwrap();
        stage.wait(60).await;
        stage.perform(detach).await.expect("it hangs nowhere");
        assert_eq!(stage.look(&id).await[0].attached, None);
        assert!(!stage.look(&id).await[0].fields.contains_key("device"));

        stage.perform(Call::DeleteVolume(id.clone())).await.unwrap();
        stage.wait(60).await;
        stage.perform(Call::DeleteVolume(id.clone())).await.expect("it is gone");
        assert!(stage.look(&id).await.iter().all(|o| !o.phase.alive()));
    });
}

#[test]
fn a_volume_that_hangs_elsewhere_is_not_taken() {
    story(async |stage| {
        let machines: Vec<_> = stage.boot(&launch(2)).await.into_values().collect();
        let id = stage.perform(Call::CreateVolume(data(0))).await.unwrap()[&data_address(0)].clone();
        stage.wait(30).await;
        let to = |n: usize| Call::Attach {
            volume: Target::Id(id.clone()),
            machine: Target::Id(machines[n].clone()),
            device: "/dev/sdf".into(),
        };
        stage.perform(to(0)).await.unwrap();
        stage.wait(60).await;
        assert_eq!(stage.perform(to(1)).await.unwrap_err().class, Class::Busy);
        let from =
            |n: usize| Call::Detach { volume: id.clone(), machine: machines[n].clone(), device: "/dev/sdf".into() };
        stage.perform(from(1)).await.expect("it does not hang there: done");
        assert_eq!(stage.look(&id).await[0].attached.as_ref().unwrap().to, machines[0]);
    });
}

#[test]
fn a_target_without_an_id_is_refused() {
    story(async |stage| {
        let call = Call::Attach {
            volume: Target::New(data_address(0)),
            machine: Target::Id("i-1".into()),
            device: "/dev/sdf".into(),
        };
        assert_eq!(stage.perform(call).await.unwrap_err().class, Class::Invalid);
    });
}
