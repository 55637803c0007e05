//! What hands do to the world, and what the world's checks say of it.

use evenkeel_ec2::api::{Check, InstanceState, InstanceStatus, RunInstances, ScheduledEvent};

use super::*;
use crate::death::Death;
use crate::ops::{Deed, Part, Scripted};

impl Sim {
    async fn status(&self, id: &str) -> InstanceStatus {
        self.statuses(&by_id(id)).await.expect("it is there").items.remove(0)
    }

    fn does(&self, deed: Deed) {
        self.act(&deed).unwrap_or_else(|no| panic!("{deed:?}: {no}"));
    }
}

#[test]
fn a_check_fails_since_then_until_it_recovers() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let since = sim.world().unwrap().now;
        sim.wait(60).await;
        sim.does(Deed::Impair { instance: id.clone(), check: Part::Instance, since: Some(since) });
        sim.does(Deed::Impair { instance: id.clone(), check: Part::Ebs, since: None });
        let s = sim.status(&id).await;
        assert_eq!((s.system, s.instance), ((Check::Ok, None), (Check::Impaired, Some(since))));
        assert_eq!(s.ebs.0, Check::Impaired);
        let found = sim.statuses(&filter("instance-status.status", "impaired")).await.unwrap().items;
        assert_eq!(found.len(), 1);
        sim.does(Deed::Recover { instance: id.clone() });
        assert_eq!(sim.status(&id).await.instance.0, Check::Ok);
    });
}

#[test]
fn a_reboot_mends_the_guest_and_a_new_host_mends_all() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let ids = std::slice::from_ref(&id);
        for check in [Part::System, Part::Instance] {
            sim.does(Deed::Impair { instance: id.clone(), check, since: None });
        }
        sim.reboot(ids).await.unwrap();
        let s = sim.status(&id).await;
        assert_eq!((s.system.0, s.instance.0), (Check::Impaired, Check::Initializing));
        sim.stop(ids).await.unwrap();
        sim.wait(40).await;
        assert_eq!(sim.status(&id).await.system.0, Check::NotApplicable);
        sim.start(ids).await.unwrap();
        sim.wait(150).await;
        assert_eq!(sim.status(&id).await.system.0, Check::Ok);
    });
}

#[test]
fn what_dies_of_itself_says_so_and_ends_as_ec2_ends_it() {
    story(|sim| async move {
        let boots = sim.run_instances(&launch("a", 1)).await.unwrap()[0].id.clone();
        sim.wait(3).await;
        sim.does(Deed::Die { instance: boots.clone(), reason: Death::Launch });
        let dead = sim.look_at(&boots).await;
        assert_eq!((dead.state, dead.state_reason.as_str()), (InstanceState::Terminated, "Client.InternalError"));
        assert!(sim.volumes(&all()).await.unwrap().items.is_empty(), "its root volume died with it");

        let id = sim.boot_up("b", 1).await[0].id.clone();
        for reason in [Death::Internal, Death::Volumes, Death::Spot] {
            sim.act(&Deed::Die { instance: id.clone(), reason }).unwrap_err();
        }
        sim.does(Deed::Die { instance: id.clone(), reason: Death::Shutdown });
        sim.wait(60).await;
        let stopped = sim.look_at(&id).await;
        let reason = "Client.InstanceInitiatedShutdown";
        assert_eq!((stopped.state, stopped.state_reason.as_str()), (InstanceState::Stopped, reason));

        let spot = RunInstances { spot: true, ..launch("c", 2) };
        let ids: Vec<String> = sim.run_instances(&spot).await.unwrap().into_iter().map(|i| i.id).collect();
        sim.wait(60).await;
        for (id, reason) in ids.iter().zip([Death::Spot, Death::Shutdown]) {
            sim.does(Deed::Die { instance: id.clone(), reason });
            let dying = sim.look_at(id).await;
            assert_eq!((dying.state, dying.state_reason.as_str()), (InstanceState::ShuttingDown, reason.code()));
        }
    });
}

#[test]
fn a_flapping_machine_fails_half_of_the_time() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        sim.does(Deed::Flap { instance: id.clone(), period: "10m".parse().unwrap() });
        sim.wait(60).await;
        assert_eq!(sim.status(&id).await.instance.0, Check::Ok, "the first half is good");
        let mut bad = 0;
        for _ in 0..40 {
            sim.wait(60).await;
            bad += usize::from(sim.status(&id).await.instance.0 == Check::Impaired);
        }
        assert!((18..=22).contains(&bad), "{bad}");
    });
}

#[test]
fn a_bad_image_never_passes() {
    story(|sim| async move {
        sim.does(Deed::SpoilImage { image: "ami-00000000000002309".into(), bad: true });
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let s = sim.status(&id).await;
        assert_eq!((s.system.0, s.instance.0), (Check::Ok, Check::Impaired));
        sim.wait(3600).await;
        assert_eq!(sim.status(&id).await.instance, s.instance);
    });
}

#[test]
fn a_lost_zone_takes_its_machines_with_it_and_gives_them_back() {
    story(|sim| async move {
        let here = sim.boot_up("t", 1).await[0].id.clone();
        let there = RunInstances { zone: Some("us-east-1b".into()), ..launch("u", 1) };
        let there = sim.run_instances(&there).await.unwrap()[0].id.clone();
        sim.wait(150).await;
        sim.does(Deed::LoseZone { zone: "us-east-1a".into(), announced: false });
        let since = sim.world().unwrap().now;
        assert_eq!(sim.status(&here).await.system, (Check::Impaired, Some(since)));
        assert_eq!(sim.status(&there).await.system.0, Check::Ok);
        assert_eq!(Sim::why(sim.run_instances(&launch("v", 1)).await).0, Class::Capacity);
        assert!(sim.zones().await.unwrap().iter().all(|z| z.available), "an outage often goes unsaid");
        sim.does(Deed::LoseZone { zone: "us-east-1a".into(), announced: true });
        assert_eq!(sim.status(&here).await.system.1, Some(since), "announcing it does not begin it again");
        assert!(sim.zones().await.unwrap().iter().any(|z| z.name == "us-east-1a" && !z.available));
        sim.does(Deed::RestoreZone { zone: "us-east-1a".into() });
        assert_eq!(sim.status(&here).await.system.0, Check::Ok);
        sim.run_instances(&launch("v", 1)).await.unwrap();
    });
}

#[test]
fn hands_reach_what_calls_may_not() {
    story(|sim| async move {
        let made = sim.boot_up("t", 2).await;
        let (a, b) = (made[0].id.clone(), made[1].id.clone());
        sim.does(Deed::SetType { instance: a.clone(), instance_type: "m5.large".into() });
        sim.does(Deed::SetSecurityGroups { instance: a.clone(), groups: vec!["web".into(), "debug".into()] });
        sim.does(Deed::SetTag { id: a.clone(), key: "team".into(), value: "x".into() });
        sim.does(Deed::UnsetTag { id: a.clone(), key: tag::STACK.into() });
        let event = ScheduledEvent { code: "instance-retirement".into(), description: String::new(), not_before: None };
        sim.does(Deed::Schedule { instance: a.clone(), event: event.clone() });
        let now = sim.look_at(&a).await;
        assert_eq!((now.instance_type.as_str(), now.state), ("m5.large", InstanceState::Running));
        assert_eq!(now.security_groups.iter().map(|g| g.1.as_str()).collect::<Vec<_>>(), ["web", "debug"]);
        assert!(now.tags.contains_key("team") && !now.tags.contains_key(tag::STACK));
        assert_eq!(sim.status(&a).await.events, [event]);
        sim.edit(|w| w.instances.get_mut(&b).unwrap().protected = true).unwrap();
        sim.does(Deed::Terminate { instance: b.clone() });
        assert_eq!(sim.look_at(&b).await.state, InstanceState::ShuttingDown);
        sim.does(Deed::Stop { instance: a.clone() });
        sim.wait(40).await;
        sim.does(Deed::Start { instance: a.clone() });
        sim.does(Deed::SetCapacity { zone: "us-east-1a".into(), instance_type: "t3.small".into(), most: Some(0) });
        assert_eq!(Sim::why(sim.run_instances(&launch("u", 1)).await).0, Class::Capacity);
        assert_eq!(sim.violations(), [], "no law watches a hand");
        for deed in [
            Deed::Terminate { instance: "i-0abc".into() },
            Deed::Recover { instance: b },
            Deed::Start { instance: a.clone() },
            Deed::SetType { instance: a.clone(), instance_type: "t9.huge".into() },
            Deed::SetSecurityGroups { instance: a, groups: vec!["nobody".into()] },
            Deed::LoseZone { zone: "mars-1a".into(), announced: true },
            Deed::SetTag { id: "x".into(), key: "k".into(), value: String::new() },
        ] {
            let no = sim.act(&deed).expect_err("it names what is not there");
            assert!(!no.says.is_empty() && !no.way_out.is_empty());
        }
    });
}

#[test]
fn a_script_acts_at_its_time_even_when_time_leaps() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let at = sim.world().unwrap().now + jiff::SignedDuration::from_mins(10);
        sim.edit(|w| w.script.push(Scripted { at, deed: Deed::Terminate { instance: id.clone() } })).unwrap();
        sim.wait(599).await;
        assert_eq!(sim.look_at(&id).await.state, InstanceState::Running);
        sim.advance(Duration::from_secs(3600)).unwrap();
        let dead = sim.look_at(&id).await;
        assert_eq!(dead.state, InstanceState::Terminated);
        sim.advance(Duration::from_secs(660)).unwrap();
        assert!(sim.instances(&all()).await.unwrap().items.is_empty(), "it died at its time, not at the leap's end");
    });
}

#[test]
fn a_script_finds_the_world_as_it_is_at_its_time() {
    story(|sim| async move {
        let id = sim.run_instances(&launch("t", 1)).await.unwrap()[0].id.clone();
        let at = sim.world().unwrap().now + jiff::SignedDuration::from_mins(5);
        sim.edit(|w| w.script.push(Scripted { at, deed: Deed::Stop { instance: id.clone() } })).unwrap();
        sim.advance(Duration::from_secs(3600)).unwrap();
        assert_eq!(sim.look_at(&id).await.state, InstanceState::Stopped, "it ran by then, and so it could be stopped");
    });
}

#[test]
fn a_thing_is_found_by_any_of_its_names() {
    story(|sim| async move {
        let made = sim.boot_up("t", 3).await;
        let v = sim.free_volume("v").await.id;
        sim.does(Deed::SetTag { id: made[0].id.clone(), key: "Name".into(), value: "the first".into() });
        let world = sim.world().unwrap();
        assert_eq!(world.find("machines.web/2"), [made[2].id.clone()]);
        assert_eq!(world.find("web/1"), [made[1].id.clone()]);
        assert_eq!(world.find(&made[0].id), [made[0].id.clone()]);
        assert_eq!(world.find("the first"), [made[0].id.clone()]);
        assert_eq!(world.find("data/0"), [v]);
        assert_eq!(world.find("web/9"), Vec::<String>::new());
    });
}

#[test]
fn a_look_shows_everything_in_reading_order() {
    story(|sim| async move {
        let made = sim.boot_up("t", 12).await;
        sim.does(Deed::Terminate { instance: made[0].id.clone() });
        sim.does(Deed::Impair { instance: made[5].id.clone(), check: Part::System, since: None });
        let look = sim.world().unwrap().look();
        let addresses: Vec<_> = look.machines.iter().filter_map(|m| m.address.clone()).collect();
        let mut wanted: Vec<_> = (1..12).map(|n| format!("machines.web/{n}")).collect();
        wanted.push("machines.web/0".into());
        assert_eq!(addresses, wanted, "by slot, the dead last");
        assert_eq!(look.machines[4].system.0, Check::Impaired);
        assert_eq!(look.zones[0].machines, 11);
        assert!(look.volumes.iter().all(|v| v.dies_with_it && v.address.as_deref() == Some("machines.web")));
    });
}
