//! Volumes: who may hang what where, what may grow, and what may go.

use evenkeel_ec2::api::{InstanceChange, ModifyVolume, VolumeState};

use super::*;

#[test]
fn a_volume_token_makes_one_volume() {
    story(|sim| async move {
        let first = sim.create_volume(&volume("v", 10)).await.unwrap();
        assert_eq!(sim.create_volume(&volume("v", 10)).await.unwrap().id, first.id);
        assert_eq!(Sim::why(sim.create_volume(&volume("v", 11)).await).0, Class::TokenMismatch);
        sim.wait(10).await;
        sim.delete_volume(&first.id).await.unwrap();
        assert_eq!(sim.create_volume(&volume("v", 10)).await.unwrap().state, VolumeState::Deleting);
        sim.wait(10).await;
        assert_eq!(Sim::why(sim.create_volume(&volume("v", 10)).await).0, Class::TokenSpent);
        sim.wait(24 * 3600).await;
        assert_ne!(sim.create_volume(&volume("v", 10)).await.unwrap().id, first.id);
    });
}

#[test]
fn a_wrong_volume_is_told_what_is_wrong() {
    let mut world = World::founding(1);
    world.limits.volumes = 1;
    world.snapshots.insert("snap-00000000000000002".into(), crate::world::Snapshot { size: 5, state: "error".into() });
    story_in(world, |sim| async move {
        let ok = volume("v", 10);
        let kind = |volume_type: &str| CreateVolume { volume_type: volume_type.into(), ..ok.clone() };
        #[rustfmt::skip]
        let wrong = [
            (CreateVolume { zone: "us-east-1z".into(), ..ok.clone() }, "InvalidZone.NotFound"),
            (CreateVolume { size: None, ..ok.clone() }, "MissingParameter"),
            (CreateVolume { size: Some(0), ..ok.clone() }, "InvalidParameterValue"),
            (CreateVolume { size: Some(100_000), ..ok.clone() }, "InvalidParameterValue"),
            (kind("gp9"), "UnknownVolumeType"),
            (kind("io2"), "MissingParameter"),
            (kind("st1"), "InvalidParameterValue"),
            (CreateVolume { iops: Some(4000), ..kind("gp2") }, "InvalidParameterCombination"),
            (CreateVolume { iops: Some(100), ..ok.clone() }, "InvalidParameterValue"),
            (CreateVolume { throughput: Some(125), iops: Some(500), ..kind("io2") }, "InvalidParameterCombination"),
            (CreateVolume { encrypted: false, kms_key: Some("k".into()), ..ok.clone() }, "InvalidParameterCombination"),
            (CreateVolume { snapshot: Some("snap-9".into()), ..ok.clone() }, "InvalidSnapshot.NotFound"),
            (CreateVolume { snapshot: Some("snap-00000000000000002".into()), ..ok.clone() }, "IncorrectState"),
            (CreateVolume { snapshot: Some("snap-00000000000000001".into()), ..ok.clone() }, "InvalidParameterValue"),
        ];
        for (request, code) in wrong {
            assert_eq!(Sim::why(sim.create_volume(&request).await).1, code, "{request:?}");
        }
        let from = CreateVolume { size: None, snapshot: Some("snap-00000000000000001".into()), ..ok.clone() };
        assert_eq!(sim.create_volume(&from).await.unwrap().size, 20);
        assert_eq!(Sim::why(sim.create_volume(&volume("w", 1)).await), (Class::Quota, "VolumeLimitExceeded".into()));
    });
}

#[test]
fn a_volume_hangs_on_one_machine_of_its_zone_by_a_free_device() {
    story(|sim| async move {
        let made = sim.boot_up("t", 2).await;
        let elsewhere = RunInstances { zone: Some("us-east-1b".into()), ..launch("u", 1) };
        let elsewhere = sim.run_instances(&elsewhere).await.unwrap()[0].id.clone();
        let (a, b) = (&made[0].id, &made[1].id);
        let v = sim.create_volume(&volume("v", 1)).await.unwrap().id;
        sim.wait(1).await;
        sim.edit(|w| w.volumes.get_mut(&v).unwrap().visible = w.now).unwrap();
        assert_eq!(Sim::why(sim.attach(&v, a, "/dev/sdf").await), (Class::Busy, "IncorrectState".into()), "creating");
        sim.wait(30).await;
        assert_eq!(Sim::why(sim.attach(&v, &elsewhere, "/dev/sdf").await).1, "InvalidVolume.ZoneMismatch");
        assert_eq!(Sim::why(sim.attach(&v, a, "/dev/xvda").await).1, "InvalidParameterValue", "taken by the root");
        assert_eq!(Sim::why(sim.attach(&v, a, "sdf").await).1, "InvalidParameterValue");
        assert_eq!(Sim::why(sim.attach(&v, "i-0abc", "/dev/sdf").await).1, "InvalidInstanceID.NotFound");
        sim.attach(&v, a, "/dev/sdf").await.unwrap();
        assert_eq!(Sim::why(sim.attach(&v, b, "/dev/sdf").await), (Class::Busy, "VolumeInUse".into()));
        assert_eq!(Sim::why(sim.delete_volume(&v).await), (Class::Busy, "VolumeInUse".into()));
        let w = sim.free_volume("w").await.id;
        assert_eq!(Sim::why(sim.attach(&w, a, "/dev/sdf").await).1, "InvalidParameterValue", "taken by v");
        sim.stop(std::slice::from_ref(b)).await.unwrap();
        assert_eq!(Sim::why(sim.attach(&w, b, "/dev/sdf").await), (Class::Busy, "IncorrectState".into()), "stopping");
        sim.wait(40).await;
        sim.attach(&w, b, "/dev/sdf").await.expect("a stopped machine may hold a volume");
    });
}

#[test]
fn a_detach_must_name_the_holder_it_means() {
    story(|sim| async move {
        let made = sim.boot_up("t", 2).await;
        let (a, b) = (&made[0].id, &made[1].id);
        let v = sim.free_volume("v").await.id;
        assert_eq!(Sim::why(sim.detach(&v, a, "/dev/sdf").await), (Class::Busy, "IncorrectState".into()));
        sim.attach(&v, a, "/dev/sdf").await.unwrap();
        sim.wait(5).await;
        let stranger = (Class::NotFound, "InvalidAttachment.NotFound".to_owned());
        assert_eq!(Sim::why(sim.detach(&v, b, "/dev/sdf").await), stranger, "a late duplicate for another holder");
        assert_eq!(Sim::why(sim.detach(&v, a, "/dev/sdg").await), stranger);
        let root = sim.look_at(a).await.devices["/dev/xvda"].volume.clone();
        assert_eq!(Sim::why(sim.detach(&root, a, "/dev/xvda").await).1, "OperationNotPermitted");
        sim.detach(&v, a, "/dev/sdf").await.unwrap();
        assert_eq!(Sim::why(sim.attach(&v, b, "/dev/sdf").await).1, "VolumeInUse", "not before it is free");
        sim.wait(5).await;
        sim.attach(&v, b, "/dev/sdf").await.unwrap();
    });
}

#[test]
fn a_volume_only_grows_and_then_rests_for_six_hours() {
    story(|sim| async move {
        let v = sim.free_volume("v").await.id;
        let size = |size| ModifyVolume { size: Some(size), ..ModifyVolume::default() };
        assert_eq!(Sim::why(sim.modify_volume(&v, &size(9)).await).1, "InvalidParameterValue");
        sim.modify_volume(&v, &size(20)).await.unwrap();
        let resting = (Class::Busy, "VolumeModificationRateExceeded".to_owned());
        assert_eq!(Sim::why(sim.modify_volume(&v, &size(30)).await), resting);
        sim.wait(6 * 3600 - 60).await;
        assert_eq!(Sim::why(sim.modify_volume(&v, &size(30)).await), resting);
        sim.wait(60).await;
        let faster = ModifyVolume { iops: Some(4000), throughput: Some(250), ..ModifyVolume::default() };
        sim.modify_volume(&v, &faster).await.unwrap();
        let now = &sim.volumes(&by_id(&v)).await.unwrap().items[0];
        assert_eq!((now.size, now.iops, now.throughput), (20, Some(4000), Some(250)));
        sim.wait(6 * 3600).await;
        let other = ModifyVolume { volume_type: Some("gp2".into()), ..ModifyVolume::default() };
        sim.modify_volume(&v, &other).await.unwrap();
        let now = &sim.volumes(&by_id(&v)).await.unwrap().items[0];
        assert_eq!((now.volume_type.as_str(), now.iops, now.throughput), ("gp2", Some(100), None));
    });
}

#[test]
fn what_hangs_on_a_stopped_machine_stays_there() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let v = sim.free_volume("v").await.id;
        sim.attach(&v, &id, "/dev/sdf").await.unwrap();
        sim.stop(std::slice::from_ref(&id)).await.unwrap();
        sim.wait(60).await;
        assert_eq!(sim.look_at(&id).await.devices.len(), 2);
        sim.change_instance(&id, &InstanceChange::Type("m5.large".into())).await.unwrap();
        sim.start(std::slice::from_ref(&id)).await.unwrap();
        sim.wait(60).await;
        assert_eq!(sim.look_at(&id).await.devices["/dev/sdf"].volume, v);
    });
}
