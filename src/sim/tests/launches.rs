//! Launching, stopping, terminating: EC2's answers to requests good and bad.

use evenkeel_ec2::api::{BlockDevice, InstanceChange, InstanceState, ProfileChange};

use super::*;

#[test]
fn one_token_launches_once() {
    story(|sim| async move {
        let first = sim.run_instances(&launch("t", 3)).await.unwrap();
        let again = sim.run_instances(&launch("t", 3)).await.unwrap();
        let ids = |l: &[Instance]| l.iter().map(|i| i.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&again));
        assert_eq!(first.iter().map(|i| i.launch_index).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(first.iter().all(|i| i.reservation == first[0].reservation && i.client_token == "t"));
        assert_eq!(sim.world().unwrap().instances.len(), 3);
    });
}

#[test]
fn two_requests_under_way_with_one_token_launch_once() {
    story(|sim| async move {
        let request = launch("t", 2);
        let (a, b) = tokio::join!(sim.run_instances(&request), sim.run_instances(&request));
        assert_eq!(a.unwrap()[1].id, b.unwrap()[1].id);
        assert_eq!(sim.world().unwrap().instances.len(), 2);
    });
}

#[test]
fn a_token_with_other_parameters_is_refused_but_another_zone_is_another_scope() {
    story(|sim| async move {
        sim.run_instances(&launch("t", 1)).await.unwrap();
        let other = RunInstances { instance_type: "t3.large".into(), ..launch("t", 1) };
        let mismatch = (Class::TokenMismatch, "IdempotentParameterMismatch".to_owned());
        assert_eq!(Sim::why(sim.run_instances(&other).await), mismatch);
        let elsewhere = RunInstances { zone: Some("us-east-1b".into()), ..launch("t", 1) };
        assert_eq!(sim.run_instances(&elsewhere).await.unwrap()[0].zone, "us-east-1b");
    });
}

#[test]
fn a_token_of_the_dead_is_spent_for_a_day_and_then_forgotten() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        sim.terminate(&[id]).await.unwrap();
        let spent = (Class::TokenSpent, "IdempotentInstanceTerminated".to_owned());
        assert_eq!(Sim::why(sim.run_instances(&launch("t", 1)).await), spent);
        sim.wait(2 * 3600).await;
        assert_eq!(Sim::why(sim.run_instances(&launch("t", 1)).await), spent, "even when it is no longer listed");
        sim.wait(23 * 3600).await;
        assert_eq!(sim.run_instances(&launch("t", 1)).await.unwrap().len(), 1);
    });
}

#[test]
fn a_half_dead_batch_still_answers_its_token() {
    story(|sim| async move {
        let made = sim.boot_up("t", 2).await;
        sim.terminate(std::slice::from_ref(&made[0].id)).await.unwrap();
        let again = sim.run_instances(&launch("t", 2)).await.unwrap();
        assert_eq!([again[0].state, again[1].state], [InstanceState::ShuttingDown, InstanceState::Running]);
    });
}

#[test]
fn a_launch_that_does_not_fit_launches_nothing() {
    let mut world = World::founding(1);
    world.zones.get_mut("us-east-1a").unwrap().capacity.insert("t3.small".into(), 3);
    world.limits.vcpus = 10;
    story_in(world, |sim| async move {
        sim.run_instances(&launch("a", 2)).await.unwrap();
        let full = (Class::Capacity, "InsufficientInstanceCapacity".to_owned());
        assert_eq!(Sim::why(sim.run_instances(&launch("b", 2)).await), full);
        assert_eq!(sim.world().unwrap().instances.len(), 2);
        assert_eq!(sim.run_instances(&launch("b", 1)).await.unwrap().len(), 1, "the refused token is still fresh");
        let elsewhere = |token, count| RunInstances { zone: Some("us-east-1b".into()), ..launch(token, count) };
        assert_eq!(sim.run_instances(&elsewhere("c", 2)).await.unwrap().len(), 2);
        assert_eq!(Sim::why(sim.run_instances(&elsewhere("d", 1)).await), (Class::Quota, "VcpuLimitExceeded".into()));
    });
}

#[test]
fn a_wrong_launch_is_told_what_is_wrong() {
    story(|sim| async move {
        let disk = |device: &str, size| BlockDevice { device: device.into(), size, ..BlockDevice::default() };
        let mut foreign = World::founding(1).security_groups["sg-00000000000000001"].clone();
        foreign.vpc = "vpc-00000000000000002".into();
        sim.edit(|w| {
            w.security_groups.insert("sg-0000000000000000f".into(), foreign);
            w.images.get_mut("ami-00000000000002306").unwrap().available = false;
        })
        .unwrap();
        let ok = launch("t", 1);
        #[rustfmt::skip]
        let wrong = [
            (RunInstances { client_token: String::new(), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { client_token: "x".repeat(65), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { count: 0, ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { image: "ami-0".into(), ..ok.clone() }, Class::NotFound, "InvalidAMIID.NotFound"),
            (RunInstances { image: "ami-00000000000002306".into(), ..ok.clone() }, Class::Invalid, "InvalidAMIID.Unavailable"),
            (RunInstances { instance_type: "t9.huge".into(), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { instance_type: "t4g.small".into(), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { zone: Some("us-east-1z".into()), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { zone: None, subnet: Some("subnet-9".into()), ..ok.clone() }, Class::NotFound, "InvalidSubnetID.NotFound"),
            (RunInstances { subnet: Some("subnet-00000000000000001".into()), ..ok.clone() }, Class::Invalid, "InvalidParameterCombination"),
            (RunInstances { key: Some("nobody".into()), ..ok.clone() }, Class::NotFound, "InvalidKeyPair.NotFound"),
            (RunInstances { instance_profile: Some("nobody".into()), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { placement_group: Some("nobody".into()), ..ok.clone() }, Class::NotFound, "InvalidPlacementGroup.Unknown"),
            (RunInstances { tenancy: Some("shared".into()), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { security_groups: vec!["sg-9".into()], ..ok.clone() }, Class::NotFound, "InvalidGroup.NotFound"),
            (RunInstances { security_groups: vec!["sg-0000000000000000f".into()], ..ok.clone() }, Class::Invalid, "InvalidParameter"),
            (RunInstances { user_data: Some(vec![b'x'; 16 * 1024 + 1]), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { metadata: Metadata { hop_limit: 65, ..Metadata::default() }, ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { disks: vec![disk("sdf", Some(1))], ..ok.clone() }, Class::Invalid, "InvalidBlockDeviceMapping"),
            (RunInstances { disks: vec![disk("/dev/sdf", None)], ..ok.clone() }, Class::Invalid, "MissingParameter"),
            (RunInstances { disks: vec![disk("/dev/sdf", Some(1)), disk("/dev/sdf", Some(1))], ..ok.clone() }, Class::Invalid, "InvalidBlockDeviceMapping"),
            (RunInstances { disks: vec![disk("/dev/xvda", Some(4))], ..ok.clone() }, Class::Invalid, "InvalidBlockDeviceMapping"),
            (RunInstances { tags: tags(&[("aws:x", "")]), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { tags: tags(&[("x", &"v".repeat(257))]), ..ok.clone() }, Class::Invalid, "InvalidParameterValue"),
            (RunInstances { tags: (0..51).map(|n| (n.to_string(), String::new())).collect(), ..ok.clone() }, Class::Invalid, "TagLimitExceeded"),
        ];
        for (request, class, code) in wrong {
            sim.wait(5).await;
            assert_eq!(Sim::why(sim.run_instances(&request).await), (class, code.to_owned()), "{request:?}");
        }
        assert!(sim.world().unwrap().instances.is_empty());
        let full = RunInstances { user_data: Some(vec![b'x'; 16 * 1024]), ..ok };
        sim.run_instances(&full).await.expect("16 KiB fit");
    });
}

#[test]
fn a_launch_makes_its_disks_with_their_tags() {
    story(|sim| async move {
        let mut request = launch("t", 2);
        let data = BlockDevice { device: "/dev/sdf".into(), size: Some(20), ..BlockDevice::default() };
        request.disks =
            vec![data, BlockDevice { device: "/dev/xvda".into(), size: Some(30), ..BlockDevice::default() }];
        sim.run_instances(&request).await.unwrap();
        sim.wait(3).await;
        let volumes = sim.volumes(&filter("tag:evenkeel:address", "machines.web")).await.unwrap().items;
        let mut sizes: Vec<_> = volumes.iter().map(|v| (v.attachments[0].device.as_str(), v.size)).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [("/dev/sdf", 20), ("/dev/sdf", 20), ("/dev/xvda", 30), ("/dev/xvda", 30)]);
        assert!(volumes.iter().all(|v| v.attachments[0].delete_on_termination));
    });
}

#[test]
fn one_protected_machine_saves_the_whole_batch() {
    story(|sim| async move {
        let made = sim.boot_up("t", 3).await;
        let (ids, third) = (vec![made[0].id.clone(), made[1].id.clone()], vec![made[2].id.clone()]);
        sim.change_instance(&ids[1], &InstanceChange::Protect(true)).await.unwrap();
        sim.change_instance(&third[0], &InstanceChange::Protect(true)).await.unwrap();
        sim.change_instance(&third[0], &InstanceChange::Protect(false)).await.unwrap();
        sim.terminate(&third).await.expect("protection can be taken away");
        assert!(sim.protected(&ids[1]).await.unwrap());
        assert_eq!(Sim::why(sim.terminate(&ids).await), (Class::Protected, "OperationNotPermitted".into()));
        assert_eq!(sim.look_at(&ids[0]).await.state, InstanceState::Running);
        sim.edit(|w| w.act(&crate::ops::Deed::Terminate { instance: ids[1].clone() })).unwrap().unwrap();
        sim.terminate(&ids).await.expect("a dead one needs no protection");
        sim.terminate(&ids).await.expect("terminating the dead again is no error");
    });
}

#[test]
fn a_batch_with_an_unknown_id_does_nothing() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let unknown = (Class::NotFound, "InvalidInstanceID.NotFound".to_owned());
        assert_eq!(Sim::why(sim.terminate(&[id.clone(), "i-0abc".into()]).await), unknown);
        assert_eq!(Sim::why(sim.stop(&["web".into()]).await), (Class::Invalid, "InvalidInstanceID.Malformed".into()));
        assert_eq!(Sim::why(sim.terminate(&[]).await).0, Class::Invalid);
        assert_eq!(sim.look_at(&id).await.state, InstanceState::Running);
    });
}

#[test]
fn live_changes_take_effect_and_a_type_changes_only_when_stopped() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let wrong = Sim::why(sim.change_instance(&id, &InstanceChange::Type("t3.large".into())).await);
        assert_eq!(wrong, (Class::Busy, "IncorrectInstanceState".into()));
        sim.stop(std::slice::from_ref(&id)).await.unwrap();
        assert_eq!(Sim::why(sim.start(std::slice::from_ref(&id)).await).1, "IncorrectInstanceState");
        sim.wait(40).await;
        sim.change_instance(&id, &InstanceChange::Type("t3.large".into())).await.unwrap();
        let groups = vec!["sg-00000000000000002".to_owned(), "sg-00000000000000004".to_owned()];
        sim.change_instance(&id, &InstanceChange::SecurityGroups(groups)).await.unwrap();
        sim.change_instance(&id, &InstanceChange::Monitoring(true)).await.unwrap();
        let metadata = Metadata { hop_limit: 2, ..Metadata::default() };
        sim.change_instance(&id, &InstanceChange::Metadata(metadata.clone())).await.unwrap();
        let arn = "arn:aws:iam::123456789012:instance-profile/db".to_owned();
        let profile = "web".to_owned();
        sim.change_profile(&ProfileChange::Associate { instance: id.clone(), profile }).await.unwrap();
        let again = ProfileChange::Associate { instance: id.clone(), profile: arn.clone() };
        assert_eq!(Sim::why(sim.change_profile(&again).await), (Class::Busy, "IncorrectState".into()));
        let association = sim.held_profile(&id).await.unwrap().unwrap().association;
        let other = ProfileChange::Replace { association, profile: arn.clone() };
        sim.change_profile(&other).await.unwrap();
        let gone = (Class::NotFound, "InvalidAssociationID.NotFound".to_owned());
        assert_eq!(Sim::why(sim.change_profile(&other).await), gone, "each profile has an association of its own");
        let now = sim.look_at(&id).await;
        assert_eq!((now.instance_type.as_str(), now.monitoring, &now.metadata), ("t3.large", true, &metadata));
        assert_eq!(now.security_groups.iter().map(|g| g.1.as_str()).collect::<Vec<_>>(), ["web", "debug"]);
        assert_eq!(now.instance_profile, Some(arn));
        let association = sim.held_profile(&id).await.unwrap().unwrap().association;
        sim.change_profile(&ProfileChange::Disassociate { association }).await.unwrap();
        assert_eq!(sim.held_profile(&id).await.unwrap(), None);
        assert_eq!(sim.look_at(&id).await.instance_profile, None);
        let wrong = Sim::why(sim.change_instance(&id, &InstanceChange::Type("t9.huge".into())).await);
        assert_eq!(wrong, (Class::Invalid, "InvalidInstanceAttributeValue".into()));
    });
}

#[test]
fn without_zone_and_subnet_ec2_chooses_and_the_subnet_decides_about_addresses() {
    story(|sim| async move {
        let anywhere = RunInstances { zone: None, ..launch("t", 1) };
        let made = sim.run_instances(&anywhere).await.unwrap();
        assert!(made[0].public_ip.is_some() && made[0].private_ip.is_some());
        let private = RunInstances { public_ip: Some(false), ..launch("u", 1) };
        assert_eq!(sim.run_instances(&private).await.unwrap()[0].public_ip, None);
        sim.edit(|w| w.subnets.get_mut("subnet-00000000000000002").unwrap().cidr = "10.0.0.0/28".into()).unwrap();
        let small = |token, count| RunInstances {
            zone: None,
            subnet: Some("subnet-00000000000000002".into()),
            ..launch(token, count)
        };
        let full = (Class::Capacity, "InsufficientFreeAddressesInSubnet".to_owned());
        assert_eq!(Sim::why(sim.run_instances(&small("v", 12)).await), full);
        assert_eq!(sim.run_instances(&small("w", 11)).await.unwrap().len(), 11);
    });
}
