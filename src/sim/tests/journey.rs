//! One machine's life, one volume's life, and a world's life in its file.

use evenkeel_ec2::api::{AttachState, Check, InstanceState, VolumeState};

use super::*;

#[test]
fn a_machine_boots_passes_its_checks_stops_starts_and_dies() {
    story(|sim| async move {
        let made = sim.run_instances(&launch("t", 1)).await.unwrap();
        let id = made[0].id.clone();
        assert_eq!((id.as_str(), made[0].state), ("i-00000000000000001", InstanceState::Pending));
        sim.wait(25).await;
        let page = sim.statuses(&all()).await.unwrap();
        assert_eq!(sim.look_at(&id).await.state, InstanceState::Running);
        assert_eq!(page.items[0].system.0, Check::Initializing);
        sim.wait(120).await;
        let page = sim.statuses(&all()).await.unwrap();
        assert_eq!(
            (page.items[0].system.0, page.items[0].instance.0, page.items[0].ebs.0),
            (Check::Ok, Check::Ok, Check::Ok)
        );

        sim.stop(std::slice::from_ref(&id)).await.unwrap();
        assert_eq!(sim.look_at(&id).await.state, InstanceState::Stopping);
        sim.wait(40).await;
        let stopped = sim.look_at(&id).await;
        assert_eq!((stopped.state, stopped.public_ip), (InstanceState::Stopped, None));
        sim.start(std::slice::from_ref(&id)).await.unwrap();
        sim.wait(25).await;
        let running = sim.look_at(&id).await;
        assert_eq!(running.state, InstanceState::Running);
        assert!(running.public_ip.is_some() && running.private_ip.is_some());

        sim.terminate(std::slice::from_ref(&id)).await.unwrap();
        let dying = sim.look_at(&id).await;
        assert_eq!(
            (dying.state, dying.state_reason.as_str()),
            (InstanceState::ShuttingDown, "Client.UserInitiatedShutdown")
        );
        sim.wait(40).await;
        assert_eq!(sim.look_at(&id).await.state, InstanceState::Terminated);
        assert!(sim.volumes(&all()).await.unwrap().items.is_empty(), "its root volume died with it");
        sim.wait(3500).await;
        assert_eq!(sim.look_at(&id).await.state, InstanceState::Terminated, "still listed after 59 minutes");
        sim.wait(140).await;
        assert_eq!(Sim::why(sim.instances(&by_id(&id)).await), (Class::NotFound, "InvalidInstanceID.NotFound".into()));
        assert!(sim.instances(&all()).await.unwrap().items.is_empty());
    });
}

#[test]
fn a_volume_outlives_its_machine_and_hangs_on_the_next() {
    story(|sim| async move {
        let old = sim.boot_up("a", 1).await[0].id.clone();
        let new = sim.boot_up("b", 1).await[0].id.clone();
        let made = sim.create_volume(&volume("v", 20)).await.unwrap();
        assert_eq!(
            (made.state, made.size, made.iops, made.throughput),
            (VolumeState::Creating, 20, Some(3000), Some(125))
        );
        sim.wait(10).await;
        sim.attach(&made.id, &old, "/dev/sdf").await.unwrap();
        let hanging = &sim.volumes(&by_id(&made.id)).await.unwrap().items[0];
        assert_eq!((hanging.state, hanging.attachments[0].state), (VolumeState::InUse, AttachState::Attaching));
        sim.wait(5).await;
        assert_eq!(sim.look_at(&old).await.devices["/dev/sdf"].volume, made.id);
        sim.terminate(&[old]).await.unwrap();
        sim.wait(40).await;
        let free = &sim.volumes(&by_id(&made.id)).await.unwrap().items[0];
        assert_eq!((free.state, free.attachments.len()), (VolumeState::Available, 0));
        sim.attach(&made.id, &new, "/dev/sdf").await.unwrap();
        sim.wait(5).await;
        sim.detach(&made.id, &new, "/dev/sdf").await.unwrap();
        sim.wait(5).await;
        sim.set_tags(std::slice::from_ref(&made.id), &tags(&[(tag::QUARANTINE, "2026-01-05T12:00:00Z")]))
            .await
            .unwrap();
        sim.delete_volume(&made.id).await.unwrap();
        sim.wait(5).await;
        assert_eq!(Sim::why(sim.volumes(&by_id(&made.id)).await), (Class::NotFound, "InvalidVolume.NotFound".into()));
        assert_eq!(sim.violations(), []);
    });
}

#[test]
fn a_world_lives_on_in_its_file_and_so_does_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.toml");
    runtime().unwrap().block_on(async {
        let sim = Sim::open(&path, 3).unwrap();
        sim.run_instances(&launch("t", 2)).await.unwrap();
        sim.wait(60).await;
        let before = sim.world().unwrap();
        drop(sim);
        let sim = Sim::open(&path, 99).unwrap();
        let after = sim.world().unwrap();
        assert_eq!(after, before, "the seed of a world that is there stays as it is");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(World::from_toml(&text).unwrap(), after);
        assert!(sim.instances(&all()).await.unwrap().items.iter().all(|i| i.state == InstanceState::Running));
    });
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|f| f == "world.toml" || f == ".world.toml.lock"), "{left:?}");
}

#[test]
fn two_processes_may_use_one_world() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.toml");
    runtime().unwrap().block_on(async {
        let one = Sim::open(&path, 3).unwrap();
        let two = Sim::open(&path, 3).unwrap();
        let a = one.run_instances(&launch("a", 1)).await.unwrap();
        let b = two.run_instances(&launch("b", 1)).await.unwrap();
        assert_ne!(a[0].id, b[0].id);
        let again = one.run_instances(&launch("b", 1)).await.unwrap();
        assert_eq!(again[0].id, b[0].id, "a token holds between processes");
        one.wait(5).await;
        assert_eq!(one.instances(&all()).await.unwrap().items.len(), 2);
    });
}
