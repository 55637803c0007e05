//! Reads: everything of the stack, in few calls, and what could not be seen as gaps.

use std::collections::BTreeSet;

use evenkeel_core::address::Kind;
use evenkeel_core::desired::{Image, Lookup, Spread};
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::Class;
use evenkeel_core::observed::{Found, Reading as Check, Source};
use evenkeel_core::plan::{Call, Target};
use evenkeel_core::stamp::tag;
use evenkeel_core::value::Value;
use evenkeel_engine::provider::{Eyes, Payloads, Provider, Wants};
use evenkeel_sim::action::Action;
use evenkeel_sim::faults::{Effect, Fault};
use evenkeel_sim::ops::{Deed, Part};
use evenkeel_sim::{World, runtime};
use proptest::prelude::*;

use crate::{IMAGE, STACK, Stage, data, data_address, launch, launch_of, of_kind, story, wants};

/// Two machines, the first with a volume.
async fn settle(stage: &Stage) -> (Vec<String>, String) {
    let machines: Vec<_> = stage.boot(&launch(2)).await.into_values().collect();
    let volume = stage.perform(Call::CreateVolume(data(0))).await.unwrap()[&data_address(0)].clone();
    stage.wait(30).await;
    let call = Call::Attach {
        volume: Target::Id(volume.clone()),
        machine: Target::Id(machines[0].clone()),
        device: "/dev/sdf".into(),
    };
    stage.perform(call).await.unwrap();
    stage.wait(60).await;
    stage.wire.forget();
    (machines, volume)
}

#[test]
fn an_empty_world_is_seen_whole() {
    story(async |stage| {
        let seen = stage.read().await;
        assert!(seen.objects.is_empty() && seen.gaps.is_empty());
        assert_eq!((seen.seen.account.as_str(), seen.seen.region.as_str()), ("123456789012", "us-east-1"));
        assert_eq!(seen.seen.zones.len(), 4);
        assert_eq!(seen.seen.calls.values().sum::<u32>(), 5);
    });
}

#[test]
fn what_an_earlier_look_saw_is_asked_for_by_id_when_no_list_shows_it() {
    story(async |stage| {
        // From here on lists show the world in which there was nothing yet. A free volume hangs at no machine that
        // would name it.
        let stale = Fault::once(Effect::FreezeLists("2h".parse().unwrap())).on(Action::DescribeAvailabilityZones);
        stage.sim.edit(|w| w.faults.push(stale)).unwrap();
        stage.read().await;
        let volume = stage.perform(Call::CreateVolume(data(0))).await.unwrap()[&data_address(0)].clone();
        stage.wait(60).await;
        assert!(stage.read().await.objects.is_empty());
        let gone = ["i-0123456789abcdef0", "vol-0123456789abcdef0"].map(str::to_owned);
        let known = gone.into_iter().chain([volume.clone()]).collect();
        let seen = stage.provider.read(&Wants { known, ..wants([]) }).await;
        assert!(seen.gaps.is_empty(), "what is gone is no gap: {:?}", seen.gaps);
        assert_eq!(seen.objects.iter().map(|o| &o.id).collect::<Vec<_>>(), [&volume]);
    });
}

#[test]
fn what_an_earlier_look_saw_and_a_read_by_id_neither_shows_nor_refuses_is_a_gap() {
    story(async |stage| {
        let (machines, volume) = settle(&stage).await;
        stage.wire.hide(&machines[1]);
        stage
            .perform(Call::Detach { volume: volume.clone(), machine: machines[0].clone(), device: "/dev/sdf".into() })
            .await
            .unwrap();
        stage.wait(60).await;
        stage.wire.hide(&volume);
        for (id, kind) in [(&machines[1], Kind::Machines), (&volume, Kind::Volumes)] {
            let seen = stage.provider.read(&Wants { known: [id.clone()].into(), ..wants([]) }).await;
            assert!(seen.objects.iter().all(|o| o.id != *id));
            let gap = seen.gaps.iter().find(|g| g.kind == Some(kind)).expect("it may be there");
            assert_eq!((gap.partial, gap.failure.class), (false, Class::Transient), "{gap:?}");
            let looked = stage.provider.look(&[id.clone(), machines[0].clone()].into()).await.unwrap();
            assert_eq!(
                looked.objects.iter().map(|o| &o.id).collect::<Vec<_>>(),
                [&machines[0]],
                "it takes no other along"
            );
            assert_eq!(looked.unseen[id].class, Class::Transient, "a wait goes on");
        }
    });
}

#[test]
fn machines_and_volumes_show_the_fields_of_the_file() {
    story(async |stage| {
        let (machines, volume) = settle(&stage).await;
        let seen = stage.read().await;
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        let all = of_kind(&seen, Kind::Machines);
        assert_eq!(all.len(), 2, "root disks are parts, not objects");
        let machine = all.iter().find(|o| o.id == machines[0]).unwrap();
        let expected: [(&str, Value); 12] = [
            ("image", IMAGE.into()),
            ("type", "t3.small".into()),
            ("zone", "us-east-1a".into()),
            ("subnet", "subnet-00000000000000001".into()),
            ("security-groups", Value::set(["sg-00000000000000001"])),
            ("key", Value::Null),
            ("instance-profile", Value::Null),
            ("monitoring", false.into()),
            ("market", "on-demand".into()),
            ("tenancy", Value::Null),
            ("protect", false.into()),
            ("tags", Value::Map([("Name".to_owned(), "shop/web".into())].into())),
        ];
        for (name, value) in expected {
            assert_eq!(machine.fields.get(name), Some(&value), "{name}");
        }
        for unseen in ["user-data", "public-ip"] {
            assert!(!machine.fields.contains_key(unseen), "{unseen} is in no list");
        }
        assert_eq!(machine.fields["disks"], Value::Map([].into()), "a volume of its own is no disk of the machine");
        assert_eq!(machine.fields["root-encrypted"], false.into());
        assert!(machine.links["root"].starts_with("vol-"));
        assert_eq!(machine.links["/dev/sdf"], volume);
        assert!(machine.facts.contains_key("private-ip"));
        assert_eq!(seen.labels["sg-00000000000000001"], "default");
        let volumes = of_kind(&seen, Kind::Volumes);
        assert_eq!(volumes.len(), 1);
        assert_eq!(volumes[0].attached.as_ref().unwrap().to, machines[0]);
        assert_eq!(volumes[0].fields["size"], 10u32.into());
    });
}

#[test]
fn a_field_that_was_launched_reads_back_as_it_was_wished() {
    story(async |stage| {
        let mut l = launch(1);
        let disk: Value = Value::Map([("size".to_owned(), 20u32.into()), ("type".to_owned(), "gp3".into())].into());
        for (name, value) in [
            ("security-groups", Value::set(["sg-00000000000000002", "sg-00000000000000003"])),
            ("key", "ops".into()),
            ("instance-profile", "web".into()),
            ("root-size", 20u32.into()),
            ("root-type", "gp3".into()),
            ("root-iops", 4000u32.into()),
            ("root-throughput", 200u32.into()),
            ("root-encrypted", true.into()),
            ("monitoring", true.into()),
            ("protect", true.into()),
            ("market", "spot".into()),
            ("tenancy", "dedicated".into()),
            ("placement-group", "spread".into()),
        ] {
            l.spec.insert(name.into(), value);
        }
        let wished = l.spec.clone();
        l.spec.insert("disks".into(), Value::Map([("/dev/sdf".to_owned(), disk)].into()));
        stage.boot(&l).await;
        let seen = stage.read().await;
        let machine = &seen.objects[0];
        for (name, value) in wished.iter().filter(|(name, _)| *name != "metadata") {
            assert_eq!(machine.fields.get(name), Some(value), "{name}");
        }
        let Value::Map(disks) = &machine.fields["disks"] else { panic!("a table") };
        let Value::Map(disk) = &disks["/dev/sdf"] else { panic!("a table") };
        assert_eq!((&disk["size"], &disk["type"]), (&20u32.into(), &"gp3".into()));
        assert_eq!(seen.objects.len(), 1, "its disks are parts");
    });
}

#[test]
fn every_page_is_walked_and_order_means_nothing() {
    story(async |stage| {
        stage.boot(&launch(23)).await;
        for slot in 0..7 {
            stage.perform(Call::CreateVolume(data(slot))).await.unwrap();
        }
        stage.wait(60).await;
        let whole = stage.read().await;
        stage.wire.pages_of(5);
        stage.wire.turn_pages();
        let paged = stage.read().await;
        assert_eq!(whole.objects, paged.objects);
        assert_eq!(of_kind(&paged, Kind::Machines).len(), 23);
        assert_eq!(of_kind(&paged, Kind::Volumes).len(), 7);
        assert!(paged.seen.calls["DescribeInstances"] >= 5);
        assert!(paged.gaps.is_empty());
    });
}

#[test]
fn pages_that_go_round_end_in_a_gap() {
    story(async |stage| {
        stage.boot(&launch(12)).await;
        stage.wire.pages_of(5);
        stage.wire.pages_go_round();
        let seen = stage.read().await;
        let gap = seen.gaps.iter().find(|g| g.what == "instances").unwrap();
        assert!(!gap.partial && gap.kind == Some(Kind::Machines));
    });
}

#[test]
fn a_list_that_breaks_off_is_a_gap_and_not_the_whole() {
    story(async |stage| {
        settle(&stage).await;
        stage.wire.pages_of(5);
        for (action, what, kind) in [
            ("DescribeInstances [] [tag:", "instances", Kind::Machines),
            ("DescribeVolumes [] [tag:", "volumes", Kind::Volumes),
        ] {
            let mut calls = 0;
            stage.wire.refuse_if(move |words| {
                calls += u32::from(words.starts_with(action));
                let hit = words.starts_with(action) && calls > 1;
                hit.then(|| evenkeel_core::failure::Failure::new(Class::Denied, "UnauthorizedOperation", "no"))
            });
            stage.read().await;
            let seen = stage.read().await;
            let gap = seen.gaps.iter().find(|g| g.what == what).expect(what);
            assert!(!gap.partial && gap.kind == Some(kind) && gap.failure.class == Class::Denied);
        }
    });
}

#[test]
fn what_only_health_or_a_lookup_lacks_is_a_partial_gap() {
    story(async |stage| {
        settle(&stage).await;
        stage.wire.refuse("DescribeInstanceStatus", Class::Denied, "UnauthorizedOperation");
        stage.wire.refuse("DescribeAvailabilityZones", Class::Denied, "UnauthorizedOperation");
        stage.wire.refuse("DescribeImages", Class::Denied, "UnauthorizedOperation");
        let seen = stage.ask(Lookup::ImageById(IMAGE.into())).await;
        let mut what: Vec<_> = seen.gaps.iter().map(|g| (g.what.as_str(), g.partial)).collect();
        what.sort_unstable();
        let image = format!("image {IMAGE}");
        assert_eq!(what, [(image.as_str(), true), ("instance status", true), ("zones", true)]);
        assert!(seen.answers.is_empty());
        let machine = of_kind(&seen, Kind::Machines)[0];
        let reading = |s| machine.signals.iter().find(|g| g.source == s).map(|g| g.reading);
        assert_eq!(reading(Source::State), Some(Check::Ok));
        assert_eq!(reading(Source::InstanceStatus), Some(Check::NoData));
    });
}

#[test]
fn an_account_that_does_not_answer_blinds_everything() {
    story(async |stage| {
        stage.wire.refuse("GetCallerIdentity", Class::Denied, "AccessDenied");
        let seen = stage.read().await;
        assert_eq!((seen.gaps[0].kind, seen.gaps[0].partial, seen.gaps.len()), (None, false, 1));
    });
}

#[test]
fn a_machine_whose_tags_were_taken_away_is_found_by_its_token() {
    story(async |stage| {
        let (machines, _) = settle(&stage).await;
        for key in [tag::STACK, tag::ADDRESS, tag::LAUNCH] {
            stage.sim.act(&Deed::UnsetTag { id: machines[1].clone(), key: key.into() }).unwrap();
        }
        let seen = stage.read().await;
        let found = seen.objects.iter().find(|o| o.id == machines[1]).expect("it is there");
        assert!(found.token.as_ref().unwrap().starts_with(&format!("ek-{STACK}-")));
        assert_eq!(stage.wire.heard("DescribeInstances").len(), 2);

        // Without the list of statuses, the token itself is asked for.
        stage.wire.refuse("DescribeInstanceStatus", Class::Denied, "UnauthorizedOperation");
        let seen = stage.read().await;
        assert!(seen.objects.iter().any(|o| o.id == machines[1]));

        // Where neither can be had, one of ours may be there unseen: that is no part of a look.
        stage.wire.refuse("DescribeInstances [] [client-token", Class::Denied, "UnauthorizedOperation");
        let seen = stage.read().await;
        assert!(seen.gaps.iter().any(|g| g.what == "machines without tags" && !g.partial));
        stage.wire.allow();
        stage.wire.refuse("DescribeInstanceStatus", Class::Denied, "UnauthorizedOperation");

        // A server that does not know that filter is no gap; one that refuses is.
        stage.wire.refuse("DescribeInstances [] [client-token", Class::Invalid, "InvalidParameterValue");
        let seen = stage.read().await;
        assert_eq!(seen.gaps.iter().map(|g| g.what.as_str()).collect::<Vec<_>>(), ["instance status"]);
    });
}

#[test]
fn strangers_are_looked_at_and_left_out() {
    story(async |stage| {
        let (machines, _) = settle(&stage).await;
        let mut other = launch(3);
        other.stack = "zzz22222".into();
        stage.boot(&other).await;
        stage.wire.forget();
        let seen = stage.read().await;
        let ids: BTreeSet<_> = of_kind(&seen, Kind::Machines).iter().map(|o| o.id.clone()).collect();
        assert_eq!(ids, machines.into_iter().collect());
        assert_eq!(stage.wire.heard("DescribeInstances").len(), 2, "one more call, whatever their number");
    });
}

#[test]
fn a_list_cut_short_by_the_server_is_made_whole_by_the_statuses() {
    story(async |stage| {
        stage.boot(&launch(9)).await;
        let cut = Fault::once(Effect::CutPages).on(Action::DescribeInstances);
        stage.sim.edit(|w| w.faults.push(cut)).unwrap();
        stage.wire.pages_of(5);
        let seen = stage.read().await;
        let by_tag = stage.wire.heard("DescribeInstances [] [tag:");
        assert_eq!((by_tag.len(), of_kind(&seen, Kind::Machines).len()), (1, 9));
    });
}

#[test]
fn a_root_disk_without_tags_is_still_seen() {
    story(async |stage| {
        let (machines, _) = settle(&stage).await;
        let seen = stage.read().await;
        let root = seen.objects.iter().find(|o| o.id == machines[0]).unwrap().links["root"].clone();
        stage.sim.act(&Deed::UnsetTag { id: root.clone(), key: tag::STACK.into() }).unwrap();
        let again = stage.read().await;
        assert_eq!(seen.objects, again.objects);
        stage.wire.refuse("DescribeVolumes [vol-", Class::Denied, "UnauthorizedOperation");
        let blind = stage.read().await;
        let machine = blind.objects.iter().find(|o| o.id == machines[0]).unwrap();
        assert!(!machine.fields.contains_key("root-size"), "not seen is not a difference");
        assert!(blind.gaps[0].partial);
    });
}

#[test]
fn what_hangs_at_a_machine_of_ours_is_seen_there_whatever_its_tags() {
    story(async |stage| {
        let (machines, volume) = settle(&stage).await;
        let tags: Vec<String> =
            stage.read().await.objects.iter().find(|o| o.id == volume).unwrap().tags.keys().cloned().collect();
        for key in tags {
            stage.sim.act(&Deed::UnsetTag { id: volume.clone(), key }).unwrap();
        }
        let seen = stage.read().await;
        let found = seen.objects.iter().find(|o| o.id == volume).expect("it hangs there");
        assert_eq!(found.kind, Kind::Volumes);
        let at = found.attached.as_ref().unwrap();
        assert_eq!((at.to.as_str(), at.device.as_str(), found.tags.len()), (machines[0].as_str(), "/dev/sdf", 0));
        assert_eq!(of_kind(&seen, Kind::Volumes).len(), 1, "a root disk is a part, with or without its tags");
        stage.sim.act(&Deed::Detach { volume: volume.clone() }).unwrap();
        stage.wait(60).await;
        assert!(of_kind(&stage.read().await, Kind::Volumes).is_empty(), "nothing tells whose it is now");
    });
}

#[test]
fn signals_tell_since_when_and_who_says_so() {
    story(async |stage| {
        let (machines, _) = settle(&stage).await;
        let since = stage.sim.world().unwrap().now;
        let impair = Deed::Impair { instance: machines[0].clone(), check: Part::Instance, since: Some(since) };
        stage.sim.act(&impair).unwrap();
        stage.sim.act(&Deed::Stop { instance: machines[1].clone() }).unwrap();
        let event = |description: &str, code: &str| evenkeel_ec2::api::ScheduledEvent {
            code: code.into(),
            description: description.into(),
            not_before: Some(since),
        };
        for event in [
            event("The instance is running on degraded hardware", "instance-retirement"),
            event("[Completed] The instance was rebooted", "system-reboot"),
            event("[Canceled] never mind", "instance-stop"),
        ] {
            stage.sim.act(&Deed::Schedule { instance: machines[0].clone(), event }).unwrap();
        }
        stage.wait(200).await;
        let seen = stage.read().await;
        let of = |n: usize, s| {
            let machine = seen.objects.iter().find(|o| o.id == machines[n]).unwrap();
            machine.signals.iter().filter(|g| g.source == s).cloned().collect::<Vec<_>>()
        };
        let bad = &of(0, Source::InstanceStatus)[0];
        assert_eq!((bad.reading, bad.since, bad.hard), (Check::Bad, Some(since), false));
        assert_eq!(bad.says, "instance status impaired");
        assert_eq!(of(0, Source::SystemStatus)[0].reading, Check::Ok);
        let events = of(0, Source::ScheduledEvent);
        assert_eq!(events.len(), 1, "what is over is no event");
        assert_eq!((events[0].says.as_str(), events[0].not_before), ("instance-retirement", Some(since)));
        let stopped = &of(1, Source::State)[0];
        assert_eq!((stopped.reading, stopped.hard, stopped.says.as_str()), (Check::Bad, true, "stopped"));
        assert_eq!(of(1, Source::InstanceStatus)[0].reading, Check::NoData);
    });
}

#[test]
fn a_deep_read_shows_the_boot_scripts_digest_and_the_real_protection() {
    story(async |stage| {
        let script = b"#!/bin/sh\n".to_vec();
        let mut l = launch(1);
        l.user_data = Some(Digest::keyed(STACK.as_bytes(), &script));
        let payloads = Payloads::from([(l.user_data.clone().unwrap(), script)]);
        stage.provider.perform(&Call::Launch(l.clone()), &payloads).await.unwrap();
        stage.wait(200).await;
        let mut deep = wants([]);
        deep.deep = true;
        let seen = stage.provider.read(&deep).await;
        assert_eq!(seen.objects[0].fields["user-data"], l.user_data.unwrap().0.into());
        assert_eq!(seen.objects[0].fields["protect"], false.into());
        assert_eq!(seen.seen.calls["DescribeInstanceAttribute"], 2);
        stage.wire.refuse("DescribeInstanceAttribute", Class::Denied, "UnauthorizedOperation");
        let seen = stage.provider.read(&deep).await;
        assert!(seen.gaps[0].partial && !seen.objects[0].fields.contains_key("user-data"));
    });
}

#[test]
fn lookups_are_answered_in_a_fixed_order() {
    story(async |stage| {
        let newest = |owner: &str, name: &str| Lookup::Image(Image::Newest { owner: owner.into(), name: name.into() });
        let asked = [
            newest("amazon", "al2023-ami-2023.*-x86_64"),
            newest("amazon", "no-such-*"),
            Lookup::Image(Image::Ssm("/no/such".into())),
            Lookup::ImageById(IMAGE.into()),
            Lookup::ImageById("ami-0123456789abcdef0".into()),
            Lookup::Subnets(Spread::Subnets(vec![
                "subnet-00000000000000003".into(),
                "subnet-00000000000000002".into(),
            ])),
            Lookup::Subnets(Spread::Subnets(vec!["subnet-0123456789abcdef0".into()])),
            Lookup::Subnets(Spread::SubnetsTagged("tier".into(), None)),
            Lookup::Subnets(Spread::Anywhere),
            Lookup::SecurityGroup("web".into()),
            Lookup::SecurityGroup("db".into()),
            Lookup::SecurityGroup("dbug".into()),
        ];
        let seen = stage.provider.read(&wants(asked.clone())).await;
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        assert_eq!(seen.answers.len(), asked.len());
        let found = |l: &Lookup| &seen.answers.iter().find(|a| a.asked == *l).unwrap().found;
        let Found::Image { id, root_device, .. } = found(&asked[0]) else { panic!("an image") };
        let newest_there = stage.sim.world().unwrap();
        let newest_there = newest_there
            .images
            .iter()
            .filter(|(_, i)| i.name.starts_with("al2023-ami-2023.") && i.name.ends_with("-x86_64"))
            .max_by_key(|(id, i)| (i.created, (*id).clone()))
            .unwrap();
        assert_eq!(id, newest_there.0);
        assert!(root_device.is_some());
        for nothing in [1, 2, 4, 6, 7, 11] {
            assert!(matches!(found(&asked[nothing]), Found::Nothing(_)), "{:?}", found(&asked[nothing]));
        }
        assert!(matches!(found(&asked[3]), Found::Image { id, .. } if id == IMAGE));
        let Found::Subnets(two) = found(&asked[5]) else { panic!("subnets") };
        assert_eq!(two.iter().map(|s| s.zone.as_str()).collect::<Vec<_>>(), ["us-east-1b", "us-east-1c"]);
        assert!(matches!(found(&asked[8]), Found::Subnets(all) if all.len() == 4));
        assert!(matches!(found(&asked[9]), Found::SecurityGroups(all) if all.len() == 1));
        let Found::Nothing(says) = found(&asked[11]) else { panic!("no group") };
        assert_eq!(says, "there is no security group `dbug`; did you mean `debug`?");
        let lists = stage.wire.heard("DescribeSecurityGroups").len();
        assert_eq!(lists, 2, "all names in one call, and one more to see which was meant");
        assert_eq!(seen.labels["sg-00000000000000002"], "web");
    });
}

#[test]
fn an_image_in_a_parameter_is_followed_to_its_description() {
    story(async |stage| {
        let world = stage.sim.world().unwrap();
        let (name, id) = world.parameters.iter().next().expect("the founding world has parameters");
        let seen = stage.ask(Lookup::Image(Image::Ssm(name.clone()))).await;
        assert!(matches!(&seen.answers[0].found, Found::Image { id: found, .. } if found == id));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_page_size_and_order_gives_the_same_reading(size in 5i32..40, turned: bool, seed in 0u64..1000) {
        let read = |size: i32, turned: bool, seed: u64| runtime().unwrap().block_on(async {
            let stage = Stage::new(World::founding(7));
            settle(&stage).await;
            stage.boot(&launch_of(2..30)).await;
            // Lists come in an order drawn from the seed.
            stage.sim.edit(|w| w.seed = seed).unwrap();
            stage.wire.pages_of(size);
            if turned {
                stage.wire.turn_pages();
            }
            stage.read().await.objects
        });
        prop_assert_eq!(read(1000, false, 7), read(size, turned, seed));
    }
}
