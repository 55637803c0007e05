//! Machines that are nodes: waited for, drained, given up; and the plans that would not.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::desired::{Image, WaitFor};
use crate::failure::{Class, Failure};
use crate::observed::{Answer, Found, Gap, Phase, Reading, Truth};
use crate::plan::{Action, Call, Do, Drain, Hold, ObjectDoes, Plan, Until};
use crate::policy::Amount;
use crate::testing::{World, told};
use crate::vet::DRAIN;

const SCOPE: &str = "kubernetes:";

fn joined(count: u32) -> World {
    let mut w = World::new(count);
    w.settle();
    w.as_nodes();
    w.later(7200);
    assert!(w.plan().is_empty(), "{}", told(&w.plan()));
    w
}

/// Another image: the group rolls.
fn roll(w: &mut World) {
    w.desired.machines.get_mut("web").unwrap().image = Image::Id("ami-2".into());
    w.seen.lookups.push(Answer {
        scope: String::new(),
        asked: crate::desired::Lookup::ImageById("ami-2".into()),
        found: Found::Image { id: "ami-2".into(), name: String::new(), created: None, root_device: None },
    });
}

/// The steps that serve the change of this object, in words.
fn steps(plan: &Plan, object: &str) -> Vec<String> {
    let at = plan.changes.iter().position(|c| c.object.as_deref() == Some(object)).unwrap() as u32;
    let of = plan.steps.iter().filter(|s| s.changes.contains(&at));
    let word = |d: &Do| match d {
        Do::Call(Call::Launch(_)) => "launch".to_owned(),
        Do::Call(Call::Terminate(_)) => "terminate".to_owned(),
        Do::Call(Call::Object(on)) => match on.does {
            ObjectDoes::Cordon { on: true, .. } => "cordon".to_owned(),
            ObjectDoes::Cordon { on: false, .. } => "uncordon".to_owned(),
            ObjectDoes::Delete { .. } => "delete node".to_owned(),
            _ => format!("{on:?}"),
        },
        Do::Wait(w) => format!("{:?}", w.until),
        Do::Call(other) => format!("{other:?}"),
    };
    of.map(|s| word(&s.does)).collect()
}

const GENTLE: &str = "Drained(Drain { empty_dir: false, unmanaged: false, force: false })";
const FORCED: &str = "Drained(Drain { empty_dir: true, unmanaged: true, force: true })";

#[test]
fn a_node_is_replaced_launch_first_ready_drained_then_gone() {
    let mut w = joined(3);
    roll(&mut w);
    let plan = w.plan();
    let id = plan.changes[0].object.clone().unwrap();
    assert_eq!(plan.changes[0].node, Some(format!("ip-{id}")));
    assert_eq!(plan.changes[0].how, "launch first · drain · terminate");
    assert_eq!(
        steps(&plan, &id),
        ["launch", "Healthy { warm: 60 }", "Joined", "cordon", GENTLE, "terminate", "Terminated", "delete node"]
    );
    // Each needs the one before.
    for (i, step) in plan.steps.iter().enumerate().skip(1).take(7) {
        assert!(step.needs.contains(&(i as u32 - 1)), "{}", told(&plan));
    }
    let cluster: Vec<_> = plan.steps.iter().filter(|s| s.scope == SCOPE).map(|s| s.needs.len()).collect();
    assert!(cluster.len() >= 4, "{}", told(&plan));
    for _ in 0..3 {
        let plan = w.plan();
        w.apply(&plan);
    }
    assert!(w.plan().is_empty() && w.plan().held.is_empty(), "{}", told(&w.plan()));
    assert_eq!(w.nodes().len(), 3, "the old nodes are gone, the new ones are there");
}

#[test]
fn a_group_that_shrinks_drains_whoever_goes() {
    let mut w = joined(4);
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    let id = plan.changes[0].object.clone().unwrap();
    assert_eq!(steps(&plan, &id), ["cordon", GENTLE, "terminate", "Terminated", "delete node"]);
    w.apply(&plan);
    assert_eq!((w.nodes().len(), w.plan().is_empty()), (3, true));
}

#[test]
fn a_drained_machine_counts_as_one_of_its_own_scope_that_went() {
    let mut w = joined(3);
    w.desired.machines.get_mut("web").unwrap().count = 2;
    let plan = w.plan();
    let gone = w.id_of("machines.web/2");
    assert!(steps(&plan, &gone).contains(&"cordon".to_owned()), "{}", told(&plan));
    let all = plan.deleted(|_| true);
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [(String::new(), BTreeSet::from([gone]))]);
}

#[test]
fn a_retirement_ends_a_machine_under_its_pods_only_when_it_is_near() {
    for (hours, force) in [(14 * 24, false), (0, true)] {
        let mut w = joined(3);
        let (id, at) = (w.id_of("machines.web/1"), w.at);
        w.retire(&id, at + SignedDuration::from_hours(hours) + SignedDuration::from_mins(10));
        let plan = w.plan();
        let drained = format!("Drained(Drain {{ empty_dir: true, unmanaged: false, force: {force} }})");
        assert!(steps(&plan, &id).contains(&drained), "{hours} h: {:?}", steps(&plan, &id));
    }
}

#[test]
fn who_cannot_be_drained_keeps_its_machine_and_nobody_elses() {
    let mut w = joined(5);
    w.intent.max_deletes = Some(crate::policy::Amount::Count(2));
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    let drains: Vec<usize> = (0..plan.steps.len())
        .filter(|i| matches!(&plan.steps[*i].does, Do::Wait(x) if matches!(x.until, Until::Drained(_))))
        .collect();
    assert_eq!(drains.len(), 2, "{}", told(&plan));
    w.apply_but(&plan, &BTreeSet::from([drains[0]]));
    let alive = w.seen.objects.iter().filter(|o| o.phase.alive()).count();
    assert_eq!(alive, 4, "one has gone, one is kept back");
}

#[test]
fn a_silent_kubelet_ripens_like_any_witness_and_is_not_drained() {
    let mut w = joined(3);
    w.remember();
    let id = w.id_of("machines.web/1");
    let since = w.at;
    let node = w.nodes().get_mut(&format!("ip-{id}")).unwrap();
    (node.ready, node.since) = (Truth::Unknown, Some(since));
    w.later(600);
    w.remember();
    assert!(w.plan().is_empty(), "one witness alone for ten minutes is a suspicion: {}", told(&w.plan()));
    // EC2 says so, too: two witnesses, each ripe.
    for s in w.find(&id).signals.iter_mut() {
        (s.reading, s.since) = (Reading::Bad, Some(since));
    }
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 1, "{}", told(&plan));
    assert_eq!(
        steps(&plan, &id),
        ["launch", "Healthy { warm: 60 }", "Joined", "terminate", "Terminated", "delete node"],
        "no pod could end there: the end of the machine is the fence"
    );
    assert!(plan.changes[0].reasons[0].says.contains("silent"), "{:?}", plan.changes[0].reasons);
}

#[test]
fn an_unhealthy_node_that_answers_is_drained_with_patience_that_ends() {
    let mut w = joined(3);
    let id = w.id_of("machines.web/1");
    let since = w.at;
    for s in w.find(&id).signals.iter_mut() {
        (s.reading, s.since) = (Reading::Bad, Some(since));
    }
    w.later(1800);
    let plan = w.plan();
    assert_eq!(
        steps(&plan, &id),
        ["launch", "Healthy { warm: 60 }", "Joined", "cordon", FORCED, "terminate", "Terminated", "delete node"]
    );
    let within = plan.steps.iter().find_map(|s| match &s.does {
        Do::Wait(w) if matches!(w.until, Until::Drained(_)) => Some(w.within),
        _ => None,
    });
    assert_eq!(within, Some(300), "policy.drain.repair-timeout");
}

#[test]
fn all_nodes_silent_at_once_is_a_broken_monitor_and_nothing_is_done() {
    let mut w = joined(6);
    let since = w.at;
    for node in w.nodes().values_mut() {
        (node.ready, node.since) = (Truth::Unknown, Some(since));
    }
    w.later(7200);
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    assert!(plan.held.iter().all(|h| h.by == Hold::Frozen) && plan.held.len() == 6, "{}", told(&plan));
}

#[test]
fn nodes_that_cannot_be_seen_hold_every_end_and_are_no_illness() {
    let mut w = joined(4);
    let failure = Failure::new(Class::Denied, "Forbidden", "nodes is forbidden");
    let cluster = w.seen.clusters.get_mut(SCOPE).unwrap();
    cluster.nodes.clear();
    cluster.nodes_unseen = Some(failure.clone());
    w.seen.gaps.push(Gap { scope: SCOPE.into(), kind: None, what: "nodes".into(), failure, partial: true });
    w.later(7200);
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.is_empty(), "not seen is not missing: {}", told(&plan));
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    assert!(plan.is_empty(), "{}", told(&plan));
    assert_eq!(plan.held.iter().map(|h| h.by).collect::<Vec<_>>(), [Hold::Blind]);
    assert!(plan.held[0].waits_for.contains("nodes is forbidden"), "{:?}", plan.held);
    // What is dead already takes nothing with it.
    let id = w.id_of("machines.web/3");
    w.find(&id).phase = Phase::Stopped;
    assert_eq!(w.plan().changes.len(), 1, "{}", told(&w.plan()));
}

#[test]
fn a_change_that_stops_a_machine_waits_for_a_look_at_its_node_too() {
    let mut w = joined(3);
    w.seen.clusters.get_mut(SCOPE).unwrap().nodes_unseen = Some(Failure::new(Class::Denied, "Forbidden", "no"));
    w.desired.policy.max_unavailable = Amount::Count(1);
    w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
    let plan = w.plan();
    assert!(plan.is_empty() && !plan.held.is_empty(), "{}", told(&plan));
    assert!(plan.held.iter().all(|h| h.by == Hold::Blind), "{}", told(&plan));
}

#[test]
fn out_of_the_file_a_machine_goes_only_when_its_nodes_were_seen_or_may_never_be() {
    for (class, held) in [(Class::Transient, true), (Class::Denied, false)] {
        let mut w = joined(2);
        let mut other = w.desired.machines.remove("web").unwrap();
        other.nodes = None;
        w.desired.machines.insert("other".into(), other);
        w.intent.max_deletes = Some(Amount::Percent(100));
        w.seen.clusters.get_mut(SCOPE).unwrap().nodes.clear();
        w.seen.clusters.get_mut(SCOPE).unwrap().nodes_unseen = Some(Failure::new(class, "", "no"));
        let plan = w.plan();
        let blind = plan.held.iter().filter(|h| h.by == Hold::Blind).count();
        assert_eq!(blind, if held { 2 } else { 0 }, "{class:?}: {}", told(&plan));
    }
}

#[test]
fn a_silent_kubelet_alone_spares_no_drain() {
    let mut w = joined(3);
    let since = w.at;
    let id = w.id_of("machines.web/2");
    let node = w.nodes().get_mut(&format!("ip-{id}")).unwrap();
    (node.ready, node.since) = (Truth::Unknown, Some(since));
    w.desired.machines.get_mut("web").unwrap().count = 2;
    let plan = w.plan();
    assert_eq!(steps(&plan, &id)[..2], ["cordon".to_owned(), GENTLE.to_owned()], "{}", told(&plan));
}

#[test]
fn a_machine_that_never_joins_is_ill_only_after_its_time_and_two_looks() {
    let mut w = joined(3);
    let id = w.id_of("machines.web/0");
    w.nodes().remove(&format!("ip-{id}"));
    w.later(60);
    w.remember();
    assert!(w.plan().is_empty(), "first seen missing: {}", told(&w.plan()));
    w.later(600);
    w.remember();
    assert!(w.plan().is_empty(), "ripe, but alone: {}", told(&w.plan()));
    w.later(600);
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 1, "{}", told(&plan));
    assert!(plan.changes[0].reasons[0].says.contains("no node has joined"), "{:?}", plan.changes[0].reasons);
}

#[test]
fn the_node_of_a_machine_that_is_gone_goes_too_and_no_other() {
    let mut w = joined(3);
    let id = w.id_of("machines.web/2");
    w.kill(&id);
    let mut stranger = w.nodes()[&format!("ip-{id}")].clone();
    stranger.provider_id = "aws:///a/i-9999".into();
    w.nodes().insert("stranger".into(), stranger);
    let plan = w.plan();
    let gone: Vec<_> = plan.changes.iter().filter(|c| c.action == Action::Delete).collect();
    assert_eq!(gone.len(), 1, "{}", told(&plan));
    assert_eq!(gone[0].object, Some(format!("Node/ip-{id}")));
    w.apply(&plan);
    assert!(w.plan().is_empty(), "{}", told(&w.plan()));
    assert_eq!(w.nodes().len(), 4, "three of ours and the stranger");
}

#[test]
fn who_only_waits_for_healthy_is_drained_all_the_same() {
    let mut w = joined(3);
    w.desired.machines.get_mut("web").unwrap().wait = WaitFor::Healthy;
    roll(&mut w);
    let plan = w.plan();
    let id = plan.changes[0].object.clone().unwrap();
    assert_eq!(
        steps(&plan, &id),
        ["launch", "Healthy { warm: 60 }", "cordon", GENTLE, "terminate", "Terminated", "delete node"]
    );
}

#[test]
fn destroy_drains_for_a_while_and_goes_on() {
    let mut w = joined(3);
    w.intent.destroy = true;
    let plan = w.plan();
    let terminations = plan.steps.iter().filter(|s| matches!(s.does, Do::Call(Call::Terminate(_)))).count();
    assert_eq!(terminations, 1, "all together: {}", told(&plan));
    for c in &plan.changes {
        let steps = steps(&plan, c.object.as_deref().unwrap());
        assert_eq!(steps[..2], ["cordon".to_owned(), FORCED.to_owned()]);
    }
    w.apply(&plan);
    assert!(w.nodes().is_empty());
}

#[test]
fn a_machine_that_is_stopped_for_a_change_is_drained_too_and_takes_pods_again() {
    let mut w = joined(3);
    w.desired.policy.max_unavailable = crate::policy::Amount::Count(1);
    w.desired.machines.get_mut("web").unwrap().types = vec!["t3.large".into()];
    let plan = w.plan();
    let id = plan.changes[0].object.clone().unwrap();
    assert_eq!(plan.changes[0].how, "drain · stop · change · start");
    let all = steps(&plan, &id);
    let order =
        ["cordon", GENTLE, "Stop", "Stopped", "Change", "Tag", "Start", "Healthy { warm: 60 }", "Joined", "uncordon"];
    assert!(all.iter().zip(order).all(|(a, b)| a.starts_with(b)) && all.len() == order.len(), "{all:#?}");
    w.apply(&plan);
    assert!(w.nodes().values().all(|n| !n.cordoned), "{}", told(&plan));
    assert!(w.plan().is_empty(), "{}", told(&w.plan()));
}

#[test]
fn a_node_that_was_cordoned_for_an_end_that_is_not_wished_any_more_takes_pods_again() {
    let mut w = joined(4);
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    let id = plan.changes[0].object.clone().unwrap();
    let drain = plan.steps.iter().position(|s| matches!(&s.does, Do::Wait(x) if matches!(x.until, Until::Drained(_))));
    w.apply_but(&plan, &BTreeSet::from([drain.unwrap()]));
    assert!(w.nodes()[&format!("ip-{id}")].cordoned, "the drain came to nothing");
    let again = w.plan();
    assert_eq!(again.changes[0].action, Action::Delete, "still wished: {}", told(&again));
    w.desired.machines.get_mut("web").unwrap().count = 4;
    let back = w.plan();
    assert_eq!(steps(&back, &id), ["uncordon"], "{}", told(&back));
    w.apply(&back);
    assert!(w.plan().is_empty() && w.nodes().values().all(|n| !n.cordoned));
    // Who was cordoned by a person stays so.
    w.nodes().values_mut().for_each(|n| n.cordoned = true);
    assert!(w.plan().is_empty(), "{}", told(&w.plan()));
}

/// Changes a good plan and wants the objection of rule DRAIN.
#[track_caller]
fn objected(w: &World, mut plan: Plan, change: impl FnOnce(&mut Plan)) {
    change(&mut plan);
    let plan = plan.seal();
    let rules: BTreeSet<_> = w.vet(&plan).into_iter().map(|o| o.rule).collect();
    assert!(rules.contains(DRAIN), "{rules:?}\n{}", told(&plan));
}

#[test]
fn plans_that_do_not_drain_are_refused() {
    let mut w = joined(4);
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    let at = |p: &Plan, fits: fn(&Do) -> bool| p.steps.iter().position(|s| fits(&s.does)).unwrap();
    let drain = |d: &Do| matches!(d, Do::Wait(w) if matches!(w.until, Until::Drained(_)));
    let terminate = |d: &Do| matches!(d, Do::Call(Call::Terminate(_)));
    let delete = |d: &Do| matches!(d, Do::Call(Call::Object(on)) if matches!(on.does, ObjectDoes::Delete { .. }));
    // The end does not wait for the drain.
    objected(&w, plan.clone(), |p| {
        let at = at(p, terminate);
        p.steps[at].needs.clear();
    });
    // The drain does not wait for the cordon.
    objected(&w, plan.clone(), |p| {
        let at = at(p, drain);
        p.steps[at].needs.clear();
    });
    // By force, though it is well.
    objected(&w, plan.clone(), |p| {
        let at = at(p, drain);
        if let Do::Wait(w) = &mut p.steps[at].does {
            w.until = Until::Drained(Drain { empty_dir: false, unmanaged: false, force: true });
        }
    });
    // The node before its machine.
    objected(&w, plan.clone(), |p| {
        let at = at(p, delete);
        p.steps[at].needs.clear();
    });
    // Another node.
    objected(&w, plan, |p| {
        let at = at(p, delete);
        if let Do::Call(Call::Object(on)) = &mut p.steps[at].does {
            on.object.name = "stranger".into();
        }
    });
}

#[test]
fn a_plan_of_four_times_as_many_nodes_is_checked_with_four_times_as_many_looks() {
    let looked = |count: u32, change: fn(&mut World)| {
        let mut w = joined(count);
        w.intent.max_deletes = Some(Amount::Percent(100));
        change(&mut w);
        let plan = w.plan();
        assert!(plan.steps.len() > count as usize, "{} steps for {count} nodes", plan.steps.len());
        w.looked_at(&plan)
    };
    let changes: [fn(&mut World); 2] = [
        |w| {
            roll(w);
            w.desired.policy.max_parallel = Amount::Percent(100);
            w.desired.policy.max_surge = Amount::Percent(100);
        },
        |w| w.intent.destroy = true,
    ];
    for change in changes {
        let (few, many) = (looked(30, change), looked(120, change));
        assert!(many <= 5 * few, "{few} looks for 30 nodes, {many} for 120");
    }
}
