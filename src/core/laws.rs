//! Random worlds, random damage, and the laws that every plan must keep (P4, P5, P12, and all that vetting
//! asks).
//!
//! A world is declared, damaged, edited, applied in part, and looked at after each event; then all faults end and it
//! must come to rest. `EVENKEEL_LAWS=5000` tries so many cases with new seeds; without it the same cases run each time.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobSetBuilder};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use crate::address::{Group, Kind};
use crate::desired::{Image, Layout, Lookup, MachineGroup, Scope, Spread, UserData, VolumeGroup, WaitFor};
use crate::failure::{Class, Failure};
use crate::observed::{Answer, Attached, Found, Gap, Object, Observed, Phase, Reading, Source};
use crate::plan::{Call, Do, Hold, Plan};
use crate::policy::Amount;
use crate::stamp::tag;
use crate::survey::{Memory, survey};
use crate::testing::{World, group, tags_to_fields, told, volume};
use crate::value::Value;

/// Rounds of plan and apply after the last fault until nothing is left to do. A wave needs one, a probe after an
/// outage a few, and quarantined data two.
const ROUNDS: usize = 12;

/// Something that happens between two looks. Numbers pick among what is there.
#[derive(Debug, Clone)]
enum Event {
    /// Applied, but for these steps and what needs them.
    Apply(BTreeSet<u8>),
    Later(u32),
    /// Machines.
    Kill(u8),
    Dies(u8, Phase),
    Forget(u8),
    Impair(u8, u8, u32),
    ImpairZone(u8),
    Unseen(u8),
    Retire(u8),
    /// Anything.
    Drift(u8, u8),
    Strip(u8, u8),
    CopyTags(u8),
    Duplicate(u8),
    Protect(u8),
    Manage(u8),
    /// Volumes.
    Detach(u8),
    AttachElsewhere(u8, u8),
    Lose(u8),
    Unsettle(u8),
    /// What can be seen.
    Gap(bool, bool),
    SeeAll,
    Zone(u8, bool),
    /// The file.
    Count(u8, u32),
    Edit(u8, u8),
    Zones(u8, u8),
    Volumes(u8, u8),
    Drop(u8),
    Rename,
    /// The command line.
    Intent(u8, u8),
}

fn event() -> impl Strategy<Value = Event> {
    use Event as E;
    let n = any::<u8>;
    let dead = prop_oneof![
        Just(Phase::Stopped),
        Just(Phase::Stopping),
        Just(Phase::Leaving),
        Just(Phase::Gone),
        Just(Phase::Failed),
        Just(Phase::Starting),
    ];
    prop_oneof![
        8 => prop::collection::btree_set(n(), 0..3).prop_map(E::Apply),
        2 => (0u32..20_000).prop_map(E::Later),
        2 => n().prop_map(E::Kill),
        3 => (n(), dead).prop_map(|(a, p)| E::Dies(a, p)),
        1 => n().prop_map(E::Forget),
        3 => (n(), n(), 0u32..4000).prop_map(|(a, b, c)| E::Impair(a, b, c)),
        1 => n().prop_map(E::ImpairZone),
        1 => n().prop_map(E::Unseen),
        1 => n().prop_map(E::Retire),
        3 => (n(), n()).prop_map(|(a, b)| E::Drift(a, b)),
        2 => (n(), n()).prop_map(|(a, b)| E::Strip(a, b)),
        1 => n().prop_map(E::CopyTags),
        2 => n().prop_map(E::Duplicate),
        1 => n().prop_map(E::Protect),
        1 => n().prop_map(E::Manage),
        2 => n().prop_map(E::Detach),
        1 => (n(), n()).prop_map(|(a, b)| E::AttachElsewhere(a, b)),
        1 => n().prop_map(E::Lose),
        1 => n().prop_map(E::Unsettle),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(a, b)| E::Gap(a, b)),
        1 => Just(E::SeeAll),
        2 => (n(), any::<bool>()).prop_map(|(a, b)| E::Zone(a, b)),
        3 => (n(), 0u32..13).prop_map(|(a, b)| E::Count(a, b)),
        3 => (n(), n()).prop_map(|(a, b)| E::Edit(a, b)),
        2 => (n(), 1u8..16).prop_map(|(a, b)| E::Zones(a, b)),
        2 => (n(), n()).prop_map(|(a, b)| E::Volumes(a, b)),
        1 => n().prop_map(E::Drop),
        1 => Just(E::Rename),
        2 => (n(), n()).prop_map(|(a, b)| E::Intent(a, b)),
    ]
}

#[derive(Debug, Clone)]
struct Start {
    counts: Vec<u32>,
    zones: u8,
    unavailable: Amount,
    surge: Amount,
    parallel: Amount,
    deletes: Amount,
    wait: bool,
    volumes: u8,
    script: bool,
    events: Vec<Event>,
}

fn start() -> impl Strategy<Value = Start> {
    let amount = || prop_oneof![(0u32..4).prop_map(Amount::Count), (0u32..=100).prop_map(Amount::Percent)];
    (
        prop::collection::vec(0u32..13, 1..3),
        1u8..16,
        prop_oneof![2 => Just(Amount::Count(0)), 1 => amount()],
        amount(),
        amount(),
        prop_oneof![Just(Amount::Percent(10)), Just(Amount::Percent(100)), amount()],
        any::<bool>(),
        0u8..8,
        any::<bool>(),
        prop::collection::vec(event(), 0..10),
    )
        .prop_map(|(counts, zones, unavailable, surge, parallel, deletes, wait, volumes, script, events)| Start {
            counts,
            zones,
            unavailable,
            surge,
            parallel,
            deletes,
            wait,
            volumes,
            script,
            events,
        })
}

const NAMES: [&str; 2] = ["web", "db"];
const ZONES: [&str; 4] = ["a", "b", "c", "d"];

fn zones(mask: u8) -> Vec<String> {
    (0..4).filter(|i| mask >> i & 1 == 1).map(|i| ZONES[i].to_owned()).collect()
}

/// The world of a start, before anything is there. The second group lives in a scope of its own.
fn world(s: &Start) -> World {
    let mut w = World::new(0);
    w.seen.lookups.push(Answer {
        scope: String::new(),
        asked: Lookup::ImageById("ami-2".into()),
        found: Found::Image { id: "ami-2".into(), name: String::new(), created: None, root_device: None },
    });
    let all: BTreeMap<String, bool> = ZONES.iter().map(|z| ((*z).to_owned(), true)).collect();
    w.seen.scopes.get_mut("").unwrap().zones = all;
    let west = w.seen.scopes[""].clone();
    w.seen.scopes.insert("west".into(), west);
    w.desired.scopes.insert("west".into(), Scope::default());
    let more: Vec<Answer> = w.seen.lookups.iter().map(|a| Answer { scope: "west".into(), ..a.clone() }).collect();
    w.seen.lookups.extend(more);
    w.desired.machines.clear();
    for (name, (scope, count)) in NAMES.iter().zip(["", "west"].iter().zip(&s.counts)) {
        let mut g = group(*count);
        (g.scope, g.spread) = ((*scope).into(), Spread::Zones(zones(s.zones)));
        g.wait = if s.wait { WaitFor::Healthy } else { WaitFor::Running };
        g.user_data = s.script.then(|| UserData {
            template: "#!/bin/sh\necho {{ slot }} {{ zone }}\n".into(),
            vars: serde_json::json!({}),
            is_template: true,
            file: "boot.sh.j2".into(),
        });
        w.desired.machines.insert((*name).into(), g);
    }
    for (bit, (name, v)) in
        [("data", bound("web")), ("logs", bound("web")), ("spare", spare(3))].into_iter().enumerate()
    {
        if s.volumes >> bit & 1 == 1 {
            w.desired.volumes.insert(name.into(), VolumeGroup { device: format!("/dev/sd{bit}"), ..v });
        }
    }
    let p = &mut w.desired.policy;
    (p.max_unavailable, p.max_surge, p.max_parallel, p.max_deletes) = (s.unavailable, s.surge, s.parallel, s.deletes);
    w
}

fn bound(machines: &str) -> VolumeGroup {
    VolumeGroup { layout: Layout::For(Group::machines(machines)), ..volume() }
}

fn spare(count: u32) -> VolumeGroup {
    VolumeGroup { layout: Layout::Replicas { count, spread: Spread::Anywhere }, ..volume() }
}

/// The `n`th object that fits, if any does.
fn pick(w: &World, n: u8, fits: impl Fn(&Object) -> bool) -> Option<String> {
    let all: Vec<&Object> = w.seen.objects.iter().filter(|o| fits(o)).collect();
    (!all.is_empty()).then(|| all[n as usize % all.len()].id.clone())
}

fn machine(w: &World, n: u8) -> Option<String> {
    pick(w, n, |o| o.kind == Kind::Machines && o.phase.alive())
}

fn data(w: &World, n: u8) -> Option<String> {
    pick(w, n, |o| o.kind == Kind::Volumes)
}

fn a_group(w: &mut World, n: u8) -> Option<&mut MachineGroup> {
    let len = w.desired.machines.len();
    (len > 0).then(|| w.desired.machines.values_mut().nth(n as usize % len))?
}

fn happen(w: &mut World, event: &Event) {
    match event {
        Event::Apply(failing) => {
            let plan = w.plan();
            let failing = failing.iter().map(|n| *n as usize % plan.steps.len().max(1)).collect();
            w.apply_but(&plan, &failing);
        }
        Event::Later(seconds) => w.later(i64::from(*seconds)),
        Event::Kill(n) => drop(machine(w, *n).map(|id| w.kill(&id))),
        Event::Dies(n, phase) => {
            let Some(id) = machine(w, *n) else { return };
            if *phase == Phase::Gone {
                w.kill(&id);
            }
            let o = w.find(&id);
            (o.phase, o.says) = (*phase, "Server.InternalError".into());
        }
        Event::Forget(n) => {
            if let Some(id) = pick(w, *n, |o| o.phase == Phase::Gone) {
                w.seen.objects.retain(|o| o.id != id);
            }
        }
        Event::Impair(n, which, ago) => {
            let Some(id) = machine(w, *n) else { return };
            let since = w.at - SignedDuration::from_secs(i64::from(*ago));
            for (i, s) in w.find(&id).signals.iter_mut().enumerate().filter(|(i, _)| which >> i & 1 == 1) {
                (s.reading, s.since, s.says) = (Reading::Bad, (i != 3).then_some(since), "impaired".into());
            }
        }
        Event::ImpairZone(n) => {
            let since = w.at - SignedDuration::from_hours(1);
            for o in w.seen.objects.iter_mut().filter(|o| o.zone == ZONES[*n as usize % 4]) {
                for s in &mut o.signals {
                    (s.reading, s.since) = (Reading::Bad, Some(since));
                }
            }
        }
        Event::Unseen(n) => {
            let Some(id) = machine(w, *n) else { return };
            w.find(&id).signals.iter_mut().for_each(|s| s.reading = Reading::NoData);
        }
        Event::Retire(n) => {
            let Some(id) = machine(w, *n) else { return };
            let at = w.at + SignedDuration::from_hours(5);
            let o = w.find(&id);
            let Some(mut s) = o.signals.first().cloned() else { return };
            (s.source, s.reading, s.not_before) = (Source::ScheduledEvent, Reading::Bad, Some(at));
            s.says = "instance-retirement".into();
            o.signals.push(s);
        }
        Event::Drift(n, which) => drift(w, *n, *which),
        Event::Strip(n, which) => strip(w, *n, *which),
        Event::CopyTags(n) => {
            let Some(id) = pick(w, *n, |_| true) else { return };
            let mut copy = w.find(&id).clone();
            (copy.id, copy.attached) = (format!("{id}-copy{}", w.seen.objects.len()), None);
            copy.token = Some("by hand".into()).filter(|_| copy.kind == Kind::Machines);
            w.seen.objects.push(copy);
        }
        Event::Duplicate(n) => {
            let Some(id) = pick(w, *n, |o| o.phase.alive()) else { return };
            let mut twin = w.find(&id).clone();
            (twin.id, twin.attached) = (format!("{id}-twin{}", w.seen.objects.len()), None);
            twin.token = twin.token.map(|t| format!("{t}x"));
            twin.fields.remove("device");
            w.seen.objects.push(twin);
        }
        Event::Protect(n) => {
            let Some(id) = pick(w, *n, |_| true) else { return };
            let o = w.find(&id);
            o.tags.insert(tag::PROTECT.into(), "true".into());
            tags_to_fields(o);
        }
        Event::Manage(n) => {
            let Some(id) = pick(w, *n, |_| true) else { return };
            w.find(&id).tags.insert("aws:autoscaling:groupName".into(), "x".into());
        }
        Event::Detach(n) => drop(data(w, *n).map(|id| w.detach(&id))),
        Event::AttachElsewhere(n, to) => {
            let (Some(id), Some(to)) = (data(w, *n), machine(w, *to)) else { return };
            let at = (w.find(&to).scope.clone(), w.find(&to).zone.clone());
            let v = w.find(&id);
            let to = if (v.scope.clone(), v.zone.clone()) == at { to } else { "i-stranger".into() };
            v.attached = Some(Attached { to, device: "/dev/sdx".into(), settled: true });
            v.fields.insert("device".into(), "/dev/sdx".into());
        }
        Event::Lose(n) => {
            if let Some(id) = data(w, *n) {
                w.seen.objects.retain(|o| o.id != id);
            }
        }
        Event::Unsettle(n) => {
            let Some(id) = data(w, *n) else { return };
            w.find(&id).attached.iter_mut().for_each(|a| a.settled = false);
        }
        Event::Gap(machines, partial) => w.seen.gaps.push(Gap {
            scope: String::new(),
            kind: Some(if *machines { Kind::Machines } else { Kind::Volumes }),
            what: "a list".into(),
            failure: Failure::new(Class::Denied, "UnauthorizedOperation", "no"),
            partial: *partial,
        }),
        Event::SeeAll => w.seen.gaps.clear(),
        Event::Zone(n, up) => {
            let scope = if *n >= 128 { "west" } else { "" };
            w.seen.scopes.get_mut(scope).unwrap().zones.insert(ZONES[*n as usize % 4].into(), *up);
        }
        Event::Count(n, count) => drop(a_group(w, *n).map(|g| g.count = *count)),
        Event::Edit(n, which) => edit(w, *n, *which),
        Event::Zones(n, mask) => drop(a_group(w, *n).map(|g| g.spread = Spread::Zones(zones(*mask)))),
        Event::Volumes(which, how) => {
            let name = ["data", "logs", "spare"][*which as usize % 3];
            let old = w.desired.volumes.remove(name);
            let mut v = match name {
                "spare" => spare(u32::from(*how % 6)),
                _ if w.desired.machines.contains_key("web") => bound("web"),
                _ => return,
            };
            v.device = format!("/dev/sd{}", which % 3);
            match (old, how % 4) {
                (Some(_), 0) => return,
                (Some(old), 1) => v = VolumeGroup { size: old.size.map(|s| s + 1), ..old },
                (Some(old), 2) => v = VolumeGroup { protect: !old.protect, ..old },
                (Some(_) | None, _) => {}
            }
            w.desired.volumes.insert(name.into(), v);
        }
        Event::Drop(n) => {
            let Some(name) = w.desired.machines.keys().nth(*n as usize % 2).cloned() else { return };
            w.desired.machines.remove(&name);
            w.desired.volumes.retain(|_, v| v.layout != Layout::For(Group::machines(&name)));
        }
        Event::Rename => {
            let Some(g) = w.desired.machines.remove("web") else { return };
            w.desired.machines.insert("front".into(), g);
            w.desired.renamed.insert(Group::machines("web"), Group::machines("front"));
            for v in w.desired.volumes.values_mut().filter(|v| v.layout == Layout::For(Group::machines("web"))) {
                v.layout = Layout::For(Group::machines("front"));
            }
        }
        Event::Intent(which, n) => match which % 6 {
            0 => w.intent.destroy = !w.intent.destroy,
            1 => w.intent.allow_empty = !w.intent.allow_empty,
            2 => w.intent.max_deletes = Some(Amount::Percent(100)),
            3 => drop(w.intent.replace.insert(Group::machines(NAMES[*n as usize % 2]).slot(u32::from(n % 5)))),
            4 => w.intent.force = !w.intent.force,
            _ => {
                let glob = Glob::new(&format!("machines.{}*", NAMES[*n as usize % 2])).unwrap();
                w.intent.target = GlobSetBuilder::new().add(glob).build().ok();
            }
        },
    }
}

fn drift(w: &mut World, n: u8, which: u8) {
    let Some(id) = pick(w, n, |_| true) else { return };
    let o = w.find(&id);
    let machine = o.kind == Kind::Machines;
    let (name, value): (&str, Value) = match (which % 7, machine) {
        (0, true) => ("security-groups", Value::set(["sg-1", "sg-9"])),
        (1, true) => ("type", "m5.large".into()),
        (2, true) => ("image", "ami-9".into()),
        (3, true) => ("monitoring", true.into()),
        (0, false) => ("size", 70u32.into()),
        (1, false) => ("type", "io2".into()),
        (2, false) => ("iops", 4000u32.into()),
        (3, false) => ("encrypted", false.into()),
        (4, _) => {
            o.fields.clear();
            return;
        }
        (5, _) => {
            o.tags.insert("team".into(), "theirs".into());
            tags_to_fields(o);
            return;
        }
        (_, _) => {
            o.tags.insert("other".into(), "theirs".into());
            tags_to_fields(o);
            return;
        }
    };
    o.fields.insert(name.into(), value);
}

fn strip(w: &mut World, n: u8, which: u8) {
    let Some(id) = pick(w, n, |_| true) else { return };
    let o = w.find(&id);
    match which % 7 {
        0 => o.tags.clear(),
        1 => drop(o.tags.remove(tag::STACK)),
        2 => drop(o.tags.remove(tag::ADDRESS)),
        3 => drop(o.tags.remove(tag::LAUNCH)),
        4 => drop(o.tags.remove(tag::SPEC)),
        5 => drop(o.tags.insert(tag::LAUNCH.into(), "g9 s99-3".into())),
        _ => drop(o.tags.insert(tag::STACK.into(), "zzz22222".into())),
    }
    tags_to_fields(o);
}

fn edit(w: &mut World, n: u8, which: u8) {
    if which % 8 == 7 {
        w.desired.policy.max_unavailable = Amount::Count(u32::from(n % 3));
        return;
    }
    let Some(g) = a_group(w, n) else { return };
    match which % 8 {
        0 => g.image = Image::Id("ami-2".into()),
        1 => g.types = vec!["m5.large".into()],
        2 => drop(g.tags.insert("more".into(), n.to_string())),
        3 => g.security_groups = vec!["sg-2".into()],
        4 => g.protect = !g.protect,
        5 => g.skew = 1 + u32::from(n % 3),
        _ => drop(g.caps.insert(ZONES[n as usize % 4].into(), u32::from(n % 4))),
    }
}

/// The same look with its objects in another order.
fn shuffled(seen: &Observed, seed: usize) -> Observed {
    let mut seen = seen.clone();
    let n = seen.objects.len().max(1);
    seen.objects.rotate_left(seed % n);
    if seed.is_multiple_of(2) {
        seen.objects.reverse();
    }
    for i in (0..seen.objects.len()).step_by(3) {
        seen.objects.swap(i, (i * 7 + seed) % n);
    }
    seen
}

/// What holds of every plan: vetting has nothing to say (asserted by [`World::plan`]), the order of the listing means
/// nothing, and where an outage is found nothing comes or goes.
fn look(w: &mut World, seed: usize) -> Plan {
    let plan = w.plan();
    let other = w.plan_of(&shuffled(&w.look(), seed));
    assert_eq!(plan, other, "P12: the order of the listing");
    let seen = w.look();
    let s = survey(&w.desired, &seen, &w.past, w.intent.force, w.at);
    for step in plan.steps.iter().filter(|_| !w.intent.destroy) {
        let zones: Vec<&String> = match &step.does {
            Do::Call(Call::Launch(l)) => l.places.iter().map(|p| &p.zone).collect(),
            Do::Call(Call::Terminate(ids)) => ids.iter().map(|id| &seen.object(id).unwrap().zone).collect(),
            Do::Call(_) | Do::Wait(_) => continue,
        };
        let impaired = &s.situations[&step.scope].impaired;
        assert!(zones.iter().all(|z| !impaired.contains_key(*z)), "P4: {impaired:?} {}", told(&plan));
    }
    w.remember();
    plan
}

/// All faults end, and everything that a person must allow is allowed.
fn mend(w: &mut World) {
    w.seen.gaps.clear();
    for s in w.seen.scopes.values_mut() {
        s.zones.values_mut().for_each(|up| *up = true);
    }
    let (destroy, force) = (w.intent.destroy, w.intent.force);
    w.intent = crate::make::Intent { destroy, force, allow_empty: true, ..Default::default() };
    w.intent.max_deletes = Some(Amount::Percent(100));
    let live: BTreeSet<String> =
        (w.seen.objects.iter()).filter(|o| o.kind == Kind::Machines && o.phase.alive()).map(|o| o.id.clone()).collect();
    for o in &mut w.seen.objects {
        o.signals.retain(|s| s.source != Source::ScheduledEvent);
        o.signals.iter_mut().for_each(|s| (s.reading, s.since) = (Reading::Ok, None));
        o.phase = match o.phase {
            Phase::Starting => Phase::Up,
            Phase::Stopping => Phase::Stopped,
            Phase::Leaving | Phase::Failed => Phase::Gone,
            Phase::Up | Phase::Stopped | Phase::Gone => o.phase,
        };
        o.attached = o.attached.take().filter(|a| live.contains(&a.to));
        if o.attached.is_none() && o.kind == Kind::Volumes {
            o.fields.remove("device");
        }
        o.attached.iter_mut().for_each(|a| a.settled = true);
    }
    w.past = Memory::default();
}

/// P5 and P12: with faults over, plans come to an end, and what was wished is there.
fn rest(w: &mut World) {
    mend(w);
    // Longer than any quarantine, wait or cool-down.
    w.later(8 * 24 * 3600);
    for round in 0.. {
        let plan = look(w, round);
        if plan.is_empty() {
            break;
        }
        assert!(round < ROUNDS, "does not come to rest: {}", told(&plan));
        w.apply_but(&plan, &BTreeSet::new());
        w.later(8 * 24 * 3600);
        w.past = Memory::default();
    }
    let plan = w.plan();
    let by_hand = |by: Hold| match by {
        Hold::Protection | Hold::Foreign | Hold::Unresolved => true,
        // A new device name waits for a new machine; a machine that serves stays while a slot waits for a person.
        Hold::Floor => true,
        Hold::DeleteCap
        | Hold::ZeroDesired
        | Hold::Breaker
        | Hold::Outage
        | Hold::Frozen
        | Hold::Blind
        | Hold::Quarantine
        | Hold::Time
        | Hold::Launching
        | Hold::Filter => false,
    };
    assert!(plan.held.iter().all(|h| by_hand(h.by)), "held at rest: {}", told(&plan));
    for h in plan.held.iter().filter(|h| h.by == Hold::Floor && h.change.address.group.kind == Kind::Machines) {
        let group = &h.change.address.group;
        let person = |o: &&crate::plan::Held| o.by != Hold::Floor && o.change.address.group == *group;
        assert!(plan.held.iter().any(|o| person(&o)), "the floor holds for ever: {}", told(&plan));
    }
    for (name, g) in w.desired.machines.iter().filter(|_| !w.intent.destroy) {
        let f = plan.forecast.iter().find(|f| f.group == Group::machines(name));
        let live = f.map_or(0, |f| f.before);
        let held = plan.held.iter().filter(|h| h.change.address.group == Group::machines(name)).count();
        assert!(held > 0 || live == g.count, "{name}: {live} of {}", g.count);
    }
}

fn config(cases: u32) -> Config {
    let base = Config { failure_persistence: None, ..Config::default() };
    match std::env::var("EVENKEEL_LAWS").ok().and_then(|n| n.parse().ok()) {
        Some(cases) => Config { cases, ..base },
        None => Config { cases, rng_seed: RngSeed::Fixed(20_261_124), ..base },
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn every_plan_keeps_the_laws_and_every_world_comes_to_rest(s in start()) {
        let mut w = world(&s);
        for (i, event) in std::iter::once(&Event::Apply(BTreeSet::new())).chain(&s.events).enumerate() {
            happen(&mut w, event);
            look(&mut w, i);
        }
        rest(&mut w);
    }
}
