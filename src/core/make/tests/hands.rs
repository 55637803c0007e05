//! Plans for worlds that a hand has moved, or that were not seen in full: what is drift, what is the file's, and what nobody
//! knows.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::{launches, lines};
use crate::desired::{Layout, Spread, VolumeGroup};
use crate::failure::{Class, Failure};
use crate::observed::{Found, Gap, Phase, Reading};
use crate::plan::{Call, Do, Step};
use crate::stamp::tag;
use crate::testing::{World, told, user_tags, volume};

#[test]
fn a_machine_terminated_by_hand_is_launched_again_in_its_slot() {
    let mut w = World::new(6);
    w.settle();
    let id = w.id_of("machines.web/4");
    w.kill(&id);
    let plan = w.plan();
    assert_eq!(
        lines(&plan),
        [format!("Create machines.web/4 b Unhealthy {id} was terminated (Client.UserInitiatedShutdown)")]
    );
    assert_eq!(launches(&plan), ["g2 s4 b"]);
    w.settle();
}

#[test]
fn data_that_was_seen_at_its_machine_was_taken_from_there_by_hand_however_young_it_is() {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    let plan = w.plan();
    w.apply_but(&plan, &BTreeSet::new());
    let id = w.id_of("volumes.data/1");
    let unseen = w.past.clone();
    w.remember();
    w.detach(&id);
    let why = |w: &World| w.plan().changes.iter().flat_map(|c| &c.reasons).map(|r| r.why).collect::<Vec<_>>();
    assert_eq!(why(&w), [Why::Drifted]);
    w.past = unseen;
    assert_eq!(why(&w), [Why::Declared], "it may never have been brought there");
}

#[test]
fn a_moved_security_group_is_drift_and_goes_back() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/1");
    w.find(&id).fields.insert("security-groups".into(), Value::set(["sg-1", "sg-9"]));
    let plan = w.plan();
    assert_eq!(lines(&plan), ["Update machines.web/1 b Drifted security-groups [sg-1, sg-9] → [sg-1], set back"]);
    w.settle();
    assert_eq!(w.find(&id).fields["security-groups"], Value::set(["sg-1"]));
}

#[test]
fn what_a_hand_put_on_where_the_file_says_nothing_is_told_and_stays() {
    let mut w = World::new(5);
    let web = w.desired.machines.get_mut("web").unwrap();
    (web.security_groups, web.instance_profile) = (vec![], None);
    w.settle();
    w.seen.labels.extend([("sg-0".into(), "default".into()), ("sg-9".into(), "ssh".into())]);
    let told = |w: &World| {
        let plan = w.plan();
        assert!(plan.is_empty() && plan.held.is_empty(), "{}", told(&plan));
        plan.notes.iter().filter(|n| n.kind == silent::KIND).map(|n| n.says.clone()).collect::<Vec<_>>()
    };
    let put = |w: &mut World, slot: u32, field: &str, value: Value| {
        let id = w.id_of(&format!("machines.web/{slot}"));
        w.find(&id).fields.insert(field.into(), value);
    };
    for slot in 0..5 {
        put(&mut w, slot, "security-groups", Value::set(["sg-0"]));
    }
    assert_eq!(told(&w), Vec::<String>::new(), "EC2 gives the default group to whoever names none");
    put(&mut w, 3, "security-groups", Value::set(["sg-0", "sg-x"]));
    assert_eq!(told(&w), Vec::<String>::new(), "whose name is not known may be a default group");
    put(&mut w, 3, "security-groups", Value::set(["sg-0", "sg-9"]));
    for slot in 0..5 {
        put(&mut w, slot, "instance-profile", "ops".into());
    }
    assert_eq!(
        told(&w),
        [
            "instance-profile ops was put on web/0, web/1, web/2 and 2 more by hand; the file names none, so it stays",
            "security-groups default, ssh was put on web/3 by hand; the file names none, so it stays",
        ]
    );
    // Whose stamp is gone may have got it from an earlier file.
    for o in &mut w.seen.objects {
        o.tags.remove(tag::SPEC);
    }
    assert!(w.plan().notes.iter().all(|n| n.kind != silent::KIND));
}

#[test]
fn a_gap_never_creates_and_never_deletes() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/0");
    w.seen.objects.retain(|o| o.id != id);
    w.seen.gaps.push(Gap {
        scope: String::new(),
        kind: Some(Kind::Machines),
        what: "instances".into(),
        failure: Failure::new(Class::Denied, "UnauthorizedOperation", "no"),
        partial: false,
    });
    w.desired.machines.get_mut("web").unwrap().count = 2;
    let plan = w.plan();
    assert!(plan.is_empty(), "{:?}", lines(&plan));
    assert!(plan.held.iter().all(|h| h.by == Hold::Blind) && plan.held.len() == 2);
}

/// Machines with a volume each, all of one kind out of sight.
fn out_of_sight(kind: Kind) -> World {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    w.remember();
    w.seen.objects.retain(|o| o.kind != kind);
    w.seen.gaps.push(Gap {
        scope: String::new(),
        kind: Some(kind),
        what: "all".into(),
        failure: Failure::new(Class::Denied, "UnauthorizedOperation", "no"),
        partial: false,
    });
    w
}

fn blind_and_no_drift(plan: &Plan) {
    assert!(plan.is_empty(), "{}", told(plan));
    for h in &plan.held {
        assert!(h.by == Hold::Blind && !h.waits_for.contains("detach"), "{}", told(plan));
        assert!(h.change.reasons.iter().all(|r| r.why != Why::Drifted), "{}", told(plan));
    }
}

#[test]
fn data_at_a_machine_that_was_not_seen_is_no_drift() {
    let mut w = out_of_sight(Kind::Machines);
    let plan = w.plan();
    blind_and_no_drift(&plan);
    assert_eq!(plan.held.iter().map(|h| h.change.address.group.kind).collect::<Vec<_>>(), [Kind::Machines; 2]);
    w.intent.destroy = true;
    blind_and_no_drift(&w.plan());
    // Its quarantine is over, and where it hangs is not known.
    w.intent.destroy = false;
    w.desired.volumes.clear();
    for o in &mut w.seen.objects {
        o.tags.insert(tag::QUARANTINE.into(), "2026-11-01T00:00:00Z".into());
    }
    blind_and_no_drift(&w.plan());
}

#[test]
fn a_volume_that_was_not_seen_is_neither_a_strangers_nor_gone() {
    let mut w = out_of_sight(Kind::Volumes);
    let plan = w.plan();
    blind_and_no_drift(&plan);
    assert_eq!(plan.held.iter().map(|h| h.change.address.short()).collect::<Vec<_>>(), ["data/0", "data/1"]);
    w.past = Memory::default();
    blind_and_no_drift(&w.plan());
}

#[test]
fn no_slot_is_given_where_not_all_was_seen() {
    let mut w = out_of_sight(Kind::Machines);
    let id = w.id_of("volumes.data/1");
    w.find(&id).tags.retain(|k, _| k != tag::LAUNCH);
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    let held = plan.held.iter().find(|h| h.change.object.as_ref() == Some(&id)).unwrap();
    assert_eq!((held.change.action, held.by), (Action::Restamp, Hold::Blind));
}

/// What is held at this address: its reasons' sorts, and the rule.
fn held(plan: &Plan, address: &str) -> Option<(Vec<Why>, Hold)> {
    let h = plan.held.iter().find(|h| h.change.address.to_string() == address)?;
    Some((h.change.reasons.iter().map(|r| r.why).collect(), h.by))
}

#[test]
fn data_in_a_zone_that_the_file_no_longer_names_is_told_and_stays() {
    let mut w = World::new(0);
    let spread = |zones: &[&str]| Spread::Zones(zones.iter().map(|z| (*z).to_owned()).collect());
    let layout = |zones: &[&str]| Layout::Replicas { count: 2, spread: spread(zones) };
    w.desired.volumes.insert("data".into(), VolumeGroup { layout: layout(&["a", "b"]), ..volume() });
    w.settle();
    w.desired.volumes.get_mut("data").unwrap().layout = layout(&["b", "c"]);
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.len() == 1, "{}", told(&plan));
    assert_eq!(held(&plan, "volumes.data/0"), Some((vec![Why::Declared], Hold::Protection)));
    // Which zones are up is nothing of the file's.
    w.desired.volumes.get_mut("data").unwrap().layout = Layout::Replicas { count: 2, spread: Spread::Anywhere };
    w.seen.scopes.get_mut("").unwrap().zones.insert("a".into(), false);
    assert_eq!(held(&w.plan(), "volumes.data/0"), None);

    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.desired.machines.get_mut("web").unwrap().spread = spread(&["a", "b"]);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().spread = spread(&["b", "c"]);
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.len() == 1, "{}", told(&plan));
    assert_eq!(held(&plan, "machines.web/0"), Some((vec![Why::Declared], Hold::Protection)));
}

#[test]
fn a_volume_that_the_file_binds_to_another_group_is_no_drift() {
    for other in [["a", "b"], ["b", "a"]] {
        let mut w = World::new(2);
        let zones = |all: [&str; 2]| Spread::Zones(all.map(str::to_owned).to_vec());
        let db = crate::desired::MachineGroup { spread: zones(other), ..crate::testing::group(2) };
        w.desired.machines.get_mut("web").unwrap().spread = zones(["a", "b"]);
        w.desired.machines.insert("db".into(), db);
        let bound = |to: &str| VolumeGroup { layout: Layout::For(Group::machines(to)), ..volume() };
        w.desired.volumes.insert("data".into(), bound("db"));
        w.settle();
        w.desired.volumes.insert("data".into(), bound("web"));
        let plan = w.plan();
        assert_eq!(held(&plan, "volumes.data/1"), Some((vec![Why::Declared], Hold::Foreign)));
        let all = plan.changes.iter().chain(plan.held.iter().map(|h| &h.change)).flat_map(|c| &c.reasons);
        assert!(all.clone().all(|r| r.why == Why::Declared), "{}", told(&plan));
        // One that hangs at a slot where it never belonged was brought there by hand.
        let (here, there) = (w.id_of("volumes.data/1"), w.id_of("machines.db/0"));
        w.find(&here).attached.as_mut().unwrap().to = there;
        assert_eq!(held(&w.plan(), "volumes.data/1"), Some((vec![Why::Drifted], Hold::Foreign)));
    }
}

#[test]
fn a_lookup_without_an_answer_hides_no_drift() {
    let mut w = World::new(2);
    w.settle();
    w.seen.lookups[0].found = Found::Nothing("no image is so called".into());
    assert_eq!(held(&w.plan(), "machines.web/1"), Some((vec![Why::Declared], Hold::Unresolved)));
    let id = w.id_of("machines.web/1");
    let mut tags = w.find(&id).tags.clone();
    tags.insert("team".into(), "y".into());
    let shown = user_tags(&tags);
    w.find(&id).tags = tags;
    w.find(&id).fields.insert("tags".into(), shown);
    let plan = w.plan();
    assert_eq!(held(&plan, "machines.web/1"), Some((vec![Why::Drifted, Why::Declared], Hold::Unresolved)));
    let fields: Vec<_> = plan.held.iter().flat_map(|h| &h.change.fields).map(|f| f.field.as_str()).collect();
    assert_eq!(fields, ["tags"], "the image and the groups are not compared");
    let unread: Vec<_> = plan.unread.iter().map(|(_, f, n)| (f.as_str(), *n)).collect();
    assert_eq!(unread, [("image", 2), ("security-groups", 2)]);
}

#[test]
fn stripped_tags_are_put_back_and_copied_ones_left_alone() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/1");
    let tags = std::mem::take(&mut w.find(&id).tags);
    w.find(&id).fields.insert("tags".into(), user_tags(&BTreeMap::new()));
    let mut copy = w.find(&id).clone();
    (copy.id, copy.token, copy.tags) = ("i-copy".into(), Some("hand".into()), tags);
    w.seen.objects.push(copy);
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 1, "{:?}", lines(&plan));
    assert_eq!(plan.changes[0].object.as_deref(), Some(id.as_str()));
    assert_eq!(plan.notes[0].kind, "copied-tags");
    w.settle();
}

#[test]
fn a_stopped_machine_is_started_and_not_replaced() {
    let mut w = World::new(2);
    w.settle();
    let id = w.id_of("machines.web/0");
    w.find(&id).phase = Phase::Stopped;
    let plan = w.plan();
    assert_eq!((plan.changes[0].action, plan.changes[0].how.as_str()), (Action::Update, "start"), "{:?}", lines(&plan));
    w.settle();
}

#[test]
fn a_fleet_whose_health_nobody_sees_is_a_gap_and_holds_no_declared_change() {
    let mut w = World::new(3);
    w.settle();
    let blind =
        |w: &World| crate::survey::survey(&w.desired, &w.seen, &crate::survey::Memory::default(), false, w.at).blind();
    assert!(blind(&w).is_empty());
    w.seen.objects.iter_mut().flat_map(|o| &mut o.signals).for_each(|s| s.reading = Reading::NoData);
    let gaps = blind(&w);
    assert!(gaps.len() == 1 && gaps[0].partial && gaps[0].kind == Some(Kind::Machines), "{gaps:?}");
    assert!(gaps[0].failure.says.contains("3 of 3"), "{gaps:?}");
    w.seen.gaps = gaps;
    w.desired.machines.get_mut("web").unwrap().count = 4;
    assert_eq!(w.plan().changes.len(), 1, "what is declared goes on");
}

#[test]
fn a_volume_is_not_taken_from_a_strangers_machine() {
    let mut w = World::new(1);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let data = w.id_of("volumes.data/0");
    w.find(&data).attached.as_mut().unwrap().to = "i-stranger".into();
    w.intent.destroy = true;
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.address.group.kind == Kind::Machines), "{:?}", lines(&plan));
    assert_eq!((plan.held.len(), plan.held[0].by), (1, Hold::Foreign));
}

#[test]
fn a_slot_that_another_tool_took_over_is_not_launched_again() {
    let mut w = World::new(2);
    w.settle();
    let id = w.id_of("machines.web/0");
    w.find(&id).tags.insert("aws:autoscaling:groupName".into(), "theirs".into());
    let plan = w.plan();
    assert!(plan.is_empty(), "{:?}", lines(&plan));
    assert_eq!((plan.held.len(), plan.held[0].by), (1, Hold::Foreign));
    w.find(&id).tags.remove("aws:autoscaling:groupName");
    w.find(&id).tags.insert(tag::STACK.into(), "zzz22222".into());
    assert!(w.plan().is_empty(), "its token says that we launched it: the same token would launch nothing");
}

#[test]
fn protection_put_on_by_hand_stays_and_holds_even_for_a_machine_that_is_stuck_on_its_way_to_stopped() {
    let mut w = World::new(2);
    w.settle();
    let id = w.id_of("machines.web/0");
    w.find(&id).tags.insert(tag::PROTECT.into(), "true".into());
    w.find(&id).fields.insert("protect".into(), true.into());
    assert!(w.plan().is_empty(), "{:?}", lines(&w.plan()));
    w.find(&id).phase = Phase::Stopping;
    w.remember();
    w.later(1000);
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held[0].by == Hold::Protection, "{:?}", lines(&plan));
    w.find(&id).phase = Phase::Stopped;
    w.settle();
    assert_eq!(w.find(&id).phase, Phase::Up);
}

#[test]
fn what_is_missing_of_a_young_batch_is_on_its_way() {
    let mut w = World::new(6);
    let plan = w.plan();
    w.apply_but(&plan, &BTreeSet::new());
    let hidden = w.id_of("machines.web/3");
    let at = w.seen.objects.iter().position(|o| o.id == hidden).unwrap();
    let object = w.seen.objects.remove(at);
    let early = w.plan();
    assert!(early.is_empty(), "{:?}", lines(&early));
    assert_eq!((early.held.len(), early.held[0].by), (1, Hold::Launching));
    assert!(early.look_again_at.is_some());
    w.later(301);
    assert_eq!(lines(&w.plan()).len(), 1, "after the grace it is missing");
    w.seen.objects.push(object);
    assert!(w.plan().is_empty());
}

#[test]
fn a_machine_that_lost_one_mark_keeps_its_slot() {
    for lost in [tag::STACK, tag::ADDRESS] {
        let mut w = World::new(4);
        w.settle();
        let (first, third) = (w.id_of("machines.web/0"), w.id_of("machines.web/3"));
        w.kill(&first);
        w.find(&third).tags.remove(lost);
        let plan = w.plan();
        let restamped = plan.changes.iter().find(|c| c.action == Action::Restamp).unwrap();
        assert_eq!((restamped.address.slot, restamped.object.as_ref()), (3, Some(&third)), "{:?}", lines(&plan));
        assert_eq!(launches(&plan), ["g2 s0 a"]);
        w.settle();
    }
}

#[test]
fn a_token_that_stands_on_something_is_not_used_again() {
    let mut w = World::new(3);
    // Every slot has a script, and so a launch, of its own.
    let web = w.desired.machines.get_mut("web").unwrap();
    web.spread = Spread::Zones(vec!["c".into()]);
    web.user_data = Some(crate::desired::UserData {
        template: "echo {{ slot }}".into(),
        vars: serde_json::json!({}),
        is_template: true,
        file: "boot.sh.j2".into(),
    });
    w.settle();
    let (first, last) = (w.id_of("machines.web/0"), w.id_of("machines.web/2"));
    w.seen.objects.retain(|o| o.id != first);
    w.find(&last).tags.remove(tag::LAUNCH);
    // The machine without a mark takes the first empty slot; the one it had is launched anew.
    assert_eq!(launches(&w.plan())[0], "g2 s2 c");
    w.settle();
}

#[test]
fn a_machine_that_stands_apart_from_its_data_comes_to_it() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let (machine, data) = (w.id_of("machines.web/1"), w.id_of("volumes.data/1"));
    w.detach(&data);
    w.find(&machine).zone = "c".into();
    let plan = w.plan();
    assert_eq!(
        lines(&plan),
        [
            "Replace machines.web/1 b Drifted its data is in b, it is in c".to_owned(),
            "Attach volumes.data/1 b Drifted belongs to web/1".to_owned(),
        ]
    );
    w.settle();
    assert_eq!(w.id_of("volumes.data/1"), data);
}

#[test]
fn of_two_free_volumes_the_one_beside_the_machine_keeps_the_slot() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let here = w.id_of("volumes.data/1");
    w.detach(&here);
    let mut other = w.find(&here).clone();
    (other.id, other.zone, other.token) = ("vol-0000".into(), "c".into(), None);
    w.seen.objects.push(other);
    let acts: Vec<_> = w.plan().changes.iter().map(|c| (c.action, c.object.clone().unwrap_or_default())).collect();
    assert_eq!(acts, [(Action::Quarantine, "vol-0000".to_owned()), (Action::Attach, here)]);
}

#[test]
fn data_in_use_is_never_called_a_double() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let data = w.id_of("volumes.data/1");
    w.find(&data).tags.insert(tag::LAUNCH.into(), "g1 s2".into());
    let plan = w.plan();
    let mine = |h: &&Held| h.change.object.as_deref() == Some(data.as_str());
    assert_eq!(plan.held.iter().find(mine).map(|h| h.by), Some(Hold::Foreign), "{:?}", lines(&plan));
    assert!(plan.changes.iter().all(|c| c.object.as_deref() != Some(data.as_str())));
}

#[test]
fn no_empty_volume_takes_the_place_of_one_whose_marks_are_gone() {
    let mut w = World::new(2);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let (data, machine) = (w.id_of("volumes.data/1"), w.id_of("machines.web/1"));
    // Without its marks no list of ours shows it; its machine still does.
    w.seen.objects.retain(|o| o.id != data);
    let device = w.desired.volumes["data"].device.clone();
    w.find(&machine).links.insert(device, data.clone());
    let plan = w.plan();
    assert!(plan.is_empty(), "{:?}", lines(&plan));
    assert!(plan.held[0].by == Hold::Foreign && plan.held[0].waits_for.contains(&data), "{}", plan.held[0].waits_for);
}

#[test]
fn a_machine_whose_mark_was_edited_keeps_running_in_its_own_slot() {
    let mut w = World::new(6);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let (id, other) = (w.id_of("machines.web/5"), w.id_of("machines.web/4"));
    w.find(&id).tags.insert(tag::LAUNCH.into(), "g1 s2,4".into());
    let plan = w.plan();
    assert!(plan.steps.iter().all(|s| !matches!(s.does, Do::Call(Call::Launch(_) | Call::Terminate(_)))), "{plan:#?}");
    w.apply(&plan);
    assert_eq!((w.id_of("machines.web/5"), w.id_of("machines.web/4")), (id, other));
    w.settle();
}

#[test]
fn nobody_goes_while_nobody_sees_how_the_machines_or_their_zones_are() {
    let health = |w: &mut World| {
        for o in &mut w.seen.objects {
            o.signals.iter_mut().for_each(|s| s.reading = Reading::NoData);
        }
    };
    let zones = |w: &mut World| w.seen.scopes.values_mut().for_each(|s| s.zones.clear());
    let fewer = |w: &mut World| w.desired.machines.get_mut("web").unwrap().count = 4;
    let other = |w: &mut World| w.desired.machines.get_mut("web").unwrap().security_groups = vec!["sg-2".into()];
    let bigger = |w: &mut World| {
        w.desired.policy.max_unavailable = Amount::Count(1);
        w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
    };
    let asked = |w: &mut World| w.intent.replace = BTreeSet::from(["machines.web/1".parse().unwrap()]);
    type Edit<'a> = &'a dyn Fn(&mut World);
    let blind: [(Edit<'_>, &str); 2] = [(&health, "health"), (&zones, "zones")];
    let edits: [(Edit<'_>, usize); 4] = [(&fewer, 2), (&bigger, 6), (&asked, 1), (&other, 0)];
    for (blind, says) in blind {
        for (n, (edit, held)) in edits.iter().enumerate() {
            let mut w = World::new(6);
            w.settle();
            blind(&mut w);
            edit(&mut w);
            w.intent.max_deletes = Some(Amount::Percent(100));
            let plan = w.plan();
            let ends = |s: &Step| matches!(&s.does, Do::Call(Call::Terminate(_) | Call::Stop(_)));
            assert!(!plan.steps.iter().any(ends), "{n}: {}", told(&plan));
            let by: Vec<_> = plan.held.iter().filter(|h| h.by == Hold::Blind).map(|h| &h.waits_for).collect();
            assert_eq!(by.len(), *held, "{n}: {}", told(&plan));
            assert!(by.iter().all(|w| w.contains(says)), "{n}: {by:?}");
        }
        // What is dead is known to be, and who destroys everything leaves nobody to be asked about.
        let mut w = World::new(6);
        w.settle();
        blind(&mut w);
        w.intent.destroy = true;
        assert_eq!(w.plan().changes.len(), 6);
    }
}
