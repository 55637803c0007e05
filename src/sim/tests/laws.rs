//! The laws: each is broken once, on purpose, and not broken by what is allowed.

use super::*;
use crate::laws::{Floor, Law, Pace};
use crate::ops::{Deed, Part};

impl Sim {
    fn broken(&self) -> Vec<Law> {
        self.violations().iter().map(|v| v.law).collect()
    }
}

#[test]
fn destroying_what_is_not_ours_is_written_down() {
    story(|sim| async move {
        let mut foreign = launch("t", 1);
        foreign.tags.clear();
        let id = sim.run_instances(&foreign).await.unwrap()[0].id.clone();
        let ours = sim.boot_up("u", 1).await[0].id.clone();
        sim.terminate(&[ours]).await.unwrap();
        assert_eq!(sim.broken(), []);
        sim.stop(std::slice::from_ref(&id)).await.unwrap();
        sim.terminate(std::slice::from_ref(&id)).await.unwrap();
        sim.terminate(&[id]).await.unwrap();
        assert_eq!(sim.broken(), [Law::NotOurs, Law::NotOurs], "once stopped, once terminated, once already dead");
    });
}

#[test]
fn a_machine_whose_marks_were_taken_away_is_ours_by_its_token() {
    story(|sim| async move {
        let id = sim.boot_up("ek-s-web-1", 1).await[0].id.clone();
        sim.unset_tags(std::slice::from_ref(&id), &[tag::STACK.to_owned()]).await.unwrap();
        sim.stop(std::slice::from_ref(&id)).await.unwrap();
        sim.terminate(&[id]).await.unwrap();
        assert_eq!(sim.broken(), []);
    });
}

#[test]
fn data_goes_only_after_its_quarantine() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let fresh = sim.free_volume("fresh").await.id;
        sim.delete_volume(&fresh).await.unwrap();
        assert_eq!(sim.broken(), [], "it never held anything");
        let mut used = Vec::new();
        for name in ["a", "b", "c"] {
            let v = sim.free_volume(name).await.id;
            sim.attach(&v, &id, "/dev/sdf").await.unwrap();
            sim.wait(5).await;
            sim.detach(&v, &id, "/dev/sdf").await.unwrap();
            sim.wait(5).await;
            used.push(v);
        }
        let from = sim.world().unwrap().now + jiff::SignedDuration::from_hours(1);
        sim.set_tags(&used[1..], &tags(&[(tag::QUARANTINE, &from.to_string())])).await.unwrap();
        sim.delete_volume(&used[0]).await.unwrap();
        assert_eq!(sim.broken(), [Law::Data], "never quarantined");
        sim.delete_volume(&used[1]).await.unwrap();
        assert_eq!(sim.broken(), [Law::Data; 2], "too early");
        sim.wait(3600).await;
        sim.delete_volume(&used[2]).await.unwrap();
        assert_eq!(sim.broken().len(), 2, "in time");
    });
}

#[test]
fn what_is_marked_as_protected_is_not_to_be_destroyed() {
    story(|sim| async move {
        let v = sim.free_volume("v").await.id;
        sim.set_tags(std::slice::from_ref(&v), &tags(&[(tag::PROTECT, "true")])).await.unwrap();
        sim.delete_volume(&v).await.unwrap();
        assert_eq!(sim.broken(), [Law::Protected]);
    });
}

#[test]
fn a_floor_is_broken_by_our_calls_and_not_by_fate() {
    story(|sim| async move {
        let floor = Floor { stack: "s".into(), group: "machines.web".into(), ready: 2, pace: None };
        sim.act(&Deed::WatchFloor { floor }).unwrap();
        let made = sim.boot_up("t", 4).await;
        let id = |n: usize| made[n].id.clone();
        sim.terminate(&[id(0)]).await.unwrap();
        sim.act(&Deed::Impair { instance: id(1), check: Part::System, since: None }).unwrap();
        assert_eq!(sim.broken(), []);
        sim.terminate(&[id(1)]).await.unwrap();
        assert_eq!(sim.broken(), [], "it did not serve any more");
        sim.act(&Deed::Terminate { instance: id(2) }).unwrap();
        sim.set_tags(&[id(3)], &tags(&[("a", "b")])).await.unwrap();
        assert_eq!(sim.broken(), [], "a machine that dies by itself is nobody's call");
        sim.boot_up("u", 1).await;
        sim.stop(&[id(3)]).await.unwrap();
        assert_eq!(sim.broken(), [Law::Floor]);
    });
}

/// A machine that takes the place of others.
fn successor(token: &str, mark: &str) -> RunInstances {
    let mut request = launch(token, 1);
    request.tags = ours("machines.web", mark);
    request
}

#[test]
fn successors_of_living_machines_come_one_after_another() {
    story(|sim| async move {
        let pace = Some(Pace { parallel: 1, retries: 3 });
        let floor = Floor { stack: "s".into(), group: "machines.web".into(), ready: 0, pace };
        sim.act(&Deed::WatchFloor { floor }).unwrap();
        let old = sim.boot_up("a", 4).await;
        let mark = |slot: usize| format!("g2 s{slot} r={}", old[slot].id);
        sim.run_instances(&successor("b", &mark(0))).await.unwrap();
        sim.run_instances(&launch("c", 1)).await.unwrap();
        sim.terminate(&[old[1].id.clone()]).await.unwrap();
        sim.run_instances(&successor("d", &mark(1))).await.unwrap();
        assert_eq!(sim.broken(), [], "neither a new machine nor the successor of a dead one counts");
        sim.run_instances(&successor("e", &mark(2))).await.unwrap();
        assert_eq!(sim.broken(), [Law::Pace]);
        sim.wait(61).await;
        sim.run_instances(&successor("f", &mark(3))).await.unwrap();
        assert_eq!(sim.broken(), [Law::Pace], "the one before had its minute");
    });
}

#[test]
fn a_lineage_is_given_up_for_the_hour() {
    story(|sim| async move {
        let pace = Some(Pace { parallel: 1, retries: 3 });
        let floor = Floor { stack: "s".into(), group: "machines.web".into(), ready: 0, pace };
        sim.act(&Deed::WatchFloor { floor }).unwrap();
        let root = sim.boot_up("a", 1).await[0].id.clone();
        let mut last = root.clone();
        for attempt in 2..=5 {
            assert_eq!(sim.broken(), []);
            sim.terminate(std::slice::from_ref(&last)).await.unwrap();
            let next = successor(&format!("t{attempt}"), &format!("g{attempt} s0 r={last} a{attempt} c={root}"));
            last = sim.run_instances(&next).await.unwrap()[0].id.clone();
            sim.wait(600).await;
        }
        assert_eq!(sim.broken(), [Law::Pace]);
    });
}

#[test]
fn nothing_is_launched_or_destroyed_in_a_zone_known_to_be_lost() {
    story(|sim| async move {
        let made = sim.boot_up("t", 4).await;
        sim.act(&Deed::LoseZone { zone: "us-east-1a".into(), announced: false }).unwrap();
        sim.terminate(&[made[0].id.clone()]).await.unwrap();
        assert_eq!(sim.broken(), [], "nobody can know yet");
        sim.wait(16 * 60).await;
        sim.terminate(&[made[1].id.clone()]).await.unwrap();
        assert_eq!(sim.broken(), [Law::LostZone]);
        sim.act(&Deed::LoseZone { zone: "us-east-1a".into(), announced: true }).unwrap();
        assert!(sim.run_instances(&launch("u", 1)).await.is_err());
        assert_eq!(sim.broken(), [Law::LostZone; 2]);
        sim.act(&Deed::RestoreZone { zone: "us-east-1a".into() }).unwrap();
        sim.terminate(&[made[2].id.clone()]).await.unwrap();
        assert_eq!(sim.broken().len(), 2);
    });
}

#[test]
fn a_zone_of_two_machines_may_be_lost_without_anybody_knowing() {
    story(|sim| async move {
        let made = sim.boot_up("t", 2).await;
        sim.act(&Deed::LoseZone { zone: "us-east-1a".into(), announced: false }).unwrap();
        sim.wait(3600).await;
        sim.terminate(&[made[0].id.clone()]).await.unwrap();
        assert_eq!(sim.broken(), []);
    });
}

#[test]
fn two_claims_on_one_slot_count_after_a_grace_unless_one_replaces_the_other() {
    story(|sim| async move {
        let old = sim.boot_up("a", 1).await[0].id.clone();
        let mut next = launch("b", 1);
        next.tags = ours("machines.web", &format!("g2 s0 r={old}"));
        let next = sim.run_instances(&next).await.unwrap()[0].id.clone();
        sim.wait(600).await;
        sim.set_tags(std::slice::from_ref(&next), &tags(&[("x", "y")])).await.unwrap();
        assert_eq!(sim.broken(), [], "a replacement beside the machine it replaces");
        sim.run_instances(&launch("c", 1)).await.unwrap();
        sim.wait(200).await;
        sim.set_tags(std::slice::from_ref(&next), &tags(&[("x", "z")])).await.unwrap();
        assert_eq!(sim.broken(), [], "within the grace");
        sim.wait(200).await;
        for value in ["1", "2"] {
            sim.set_tags(std::slice::from_ref(&next), &tags(&[("x", value)])).await.unwrap();
        }
        assert_eq!(sim.broken(), [Law::Duplicate, Law::Duplicate], "with the old and with the next, each said once");
    });
}

#[test]
fn two_copies_of_one_slot_do_not_serve_at_once() {
    story(|sim| async move {
        let made = sim.boot_up("t", 2).await;
        let (v, copy) = (sim.free_volume("v").await.id, sim.free_volume("copy").await.id);
        sim.attach(&v, &made[0].id, "/dev/sdf").await.unwrap();
        sim.attach(&copy, &made[1].id, "/dev/sdf").await.unwrap();
        assert_eq!(sim.broken(), [Law::TwoHolders]);
    });
}
