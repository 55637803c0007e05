//! A story is told: what hands and fate do to the world, and what must be true in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_core::address::{Group, Kind};
use evenkeel_core::desired::{Desired, Layout, WaitFor};
use evenkeel_core::health::judge;
use evenkeel_core::launch::token_prefix;
use evenkeel_core::make::{Ask, Intent, make};
use evenkeel_core::observed::Reading;
use evenkeel_core::plan::{Held, Plan};
use evenkeel_core::stamp::tag;
use evenkeel_ec2::api::{Ec2, InstanceState, RunInstances, Tags};
use evenkeel_sim::death::Death;
use evenkeel_sim::dice::Span;
use evenkeel_sim::faults::Fault;
use evenkeel_sim::laws::{Floor, Pace};
use evenkeel_sim::ops::{Deed, Part};
use evenkeel_sim::world::Machine;
use evenkeel_sim::{Sim, World};

use super::cluster::{self, Before};
use super::end::{self, ending, wrongs};
use super::fleet::{Dice, Fleet, STACK};
use super::hands::{self, Strangers, Touch};
use super::harness::{self, Disk, End, Life, Look, all_allowed, desired, story, world};
use super::shop::Shop;
use super::tale::{Hand, Step, Story, file};

/// What belongs to somebody else, and must be as it was in the end.
struct Others(BTreeMap<String, Tags>);

impl Others {
    /// A stack of the same name, and a machine that nobody has marked.
    async fn arrive(sim: &Sim) -> Self {
        let mut tags: Vec<Tags> = vec![Tags::from([(tag::NAME.to_owned(), "shop/web".to_owned())])];
        let theirs =
            [(tag::STACK, "zzz22222"), (tag::ADDRESS, "machines.web"), (tag::LAUNCH, "g1 s0"), (tag::NAME, "shop/web")];
        tags.push(theirs.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        for (n, tags) in tags.iter().enumerate() {
            let request = RunInstances {
                client_token: format!("theirs-{n}"),
                count: 1,
                image: "ami-00000000000002309".to_owned(),
                instance_type: "t3.small".to_owned(),
                zone: Some("us-east-1a".to_owned()),
                tags: tags.clone(),
                ..RunInstances::default()
            };
            sim.run_instances(&request).await.expect("an empty world has room");
        }
        Self(sim.world().expect("in memory").instances.iter().map(|(id, m)| (id.clone(), m.tags.clone())).collect())
    }

    fn wrongs(&self, world: &World) -> Vec<String> {
        let of = |(id, tags): (&String, &Tags)| match world.instances.get(id).filter(|m| !m.is_dead()) {
            None => Some(format!("{id} is not ours and is gone")),
            Some(m) if m.tags != *tags => Some(format!("{id} is not ours and was marked: {:?}", m.tags)),
            Some(_) => None,
        };
        self.0.iter().filter_map(of).collect()
    }
}

/// What is told of a story so far.
struct Now<'a> {
    told: &'a Story,
    fleet: Option<Fleet>,
    shop: Option<Shop>,
    disk: Disk,
    others: Option<Others>,
    strangers: Option<Strangers>,
    /// What a run did that it may not.
    wrong: Vec<String>,
    /// A hand has set fields that the file declares: only force takes them back.
    seized: bool,
    /// The stack's own mark was lost without a trace.
    lost: bool,
}

/// Tells a story and says what is wrong with its end.
///
/// # Errors
/// What is wrong, in words.
pub fn tell(told: &Story) -> Result<(), String> {
    story(async {
        let mut begin = world(told.seed);
        begin.limits.throttling = told.throttled;
        begin.timing.checks = Span::secs(10, 30);
        begin.timing.hidden = Span::secs(0, told.hidden);
        let mut sim = Sim::new(begin);
        let others = if told.fleet.is_some() { Some(Others::arrive(&sim).await) } else { None };
        let strangers = if told.shop.is_some() { Some(Strangers::arrive(&sim, told.seed).await) } else { None };
        let (fleet, shop, disk) = (told.fleet.clone(), told.shop.clone(), Disk::default());
        let mut now = Now { told, fleet, shop, disk, others, strangers, wrong: vec![], seized: false, lost: false };
        for (n, step) in told.steps.iter().enumerate() {
            let jitter = told.seed.wrapping_mul(100) + n as u64;
            match step {
                Step::Apply(faults) => sim = now.run(sim, jitter, &all_allowed(), faults).await,
                Step::Destroy(faults) => {
                    // Who destroys everything means the lost zones, too.
                    sim.edit(restore).expect("in memory");
                    sim = now.run(sim, jitter, &harness::destroy(), faults).await;
                }
                Step::Edit(next, _) => now.fleet = Some(next.clone()),
                Step::EditObjects(next, _) => now.shop = Some(next.clone()),
                Step::Damage(hand, which) => {
                    let others = now.others.as_mut().expect("only machines are damaged");
                    sim.edit(|w| damage(w, *hand, *which, others)).expect("in memory");
                }
                Step::Touch(touch, which) => {
                    now.seized |= matches!(touch, Touch::Change);
                    sim.edit(|w| hands::touch(w, *touch, *which)).expect("in memory");
                }
                Step::Wait(minutes) => sim.advance(Duration::from_secs(60 * u64::from(*minutes))).expect("in memory"),
            }
        }
        now.rest(&sim).await
    })
}

impl Now<'_> {
    fn wish(&self) -> Desired {
        desired(&file(self.fleet.as_ref(), self.shop.as_ref()))
    }

    fn floors(&self, intent: &Intent) -> Vec<Floor> {
        self.fleet.as_ref().map(|fleet| floors(fleet, intent)).unwrap_or_default()
    }

    /// One run of the program, with its floor and its calls watched; the next life's handle to the world.
    async fn run(&mut self, sim: Sim, jitter: u64, intent: &Intent, faults: &[Fault]) -> Sim {
        let wish = &self.wish();
        let floors = self.floors(intent);
        let before = sim
            .edit(|w| {
                w.floors = floors;
                w.faults = cluster::begin(faults, w.now);
                Before::of(w)
            })
            .expect("in memory");
        self.lost |= self.shop.is_some() && cluster::is_lost(&sim.world().expect("in memory"), wish);
        let calls = sim.log().len();
        let life = Life::new(&sim, jitter);
        let left = tokio::select! {
            biased;
            () = sim.crashed() => None,
            left = life.apply(wish, &mut self.disk, intent) => Some(left),
        };
        if self.shop.is_some() {
            self.wrong.extend(before.wrongs(&sim.log()[calls..], wish, intent.destroy, left.as_ref()));
        }
        sim.act(&Deed::ClearFaults).expect("in memory");
        if left.is_none() { sim.revive() } else { sim }
    }

    /// The faults are over: it comes to rest as declared, and nothing is wrong with that.
    async fn rest(mut self, sim: &Sim) -> Result<(), String> {
        let (told, wish) = (self.told, self.wish());
        let intent = Intent { force_conflicts: self.seized, ..all_allowed() };
        let (floors, both) = (self.floors(&intent), self.shop.is_some());
        sim.edit(|w| {
            w.floors = floors;
            restore(w);
            if both {
                hands::mend(w);
            }
        })
        .expect("in memory");
        // A zone is trusted again when it was well for half an hour.
        sim.advance(Duration::from_secs(31 * 60)).expect("in memory");
        let late = told.arrives_late();
        let lost = late || self.lost || both && cluster::is_lost(&sim.world().expect("in memory"), &wish);
        let life = Life::new(sim, told.seed);
        let disk = &mut self.disk;
        let mut end = life.settle(&wish, disk, &intent).await;
        if self.fleet.is_some() && matches!(end, End::Restless(_) | End::Refused(_)) {
            // What looks like a failure of the monitoring is left alone until somebody has mended it.
            sim.edit(heal).expect("in memory");
            end = life.settle(&wish, disk, &intent).await;
        }
        let world = sim.world().expect("in memory");
        let mut wrong = wrongs(&world, &wish);
        let mut excused = match (&self.shop, &self.strangers) {
            (Some(shop), Some(strangers)) => cluster::excused(&world, &wish, shop, strangers),
            _ => BTreeMap::new(),
        };
        if lost {
            excused.extend(cluster::forgotten(&world, &wish).into_iter().map(|address| (address, cluster::FORGOTTEN)));
        }
        let is_excused = |words: &String| excused.keys().any(|address| words.contains(address.as_str()));
        wrong.retain(|w| !is_excused(w) && !w.contains(&format!("{} is not declared", end::MARK)));
        if !cluster::objects_of_ours(&world) {
            // Who has nothing there needs no mark.
            wrong.retain(|w| *w != format!("nothing at {}", end::MARK));
        }
        let stripped = told.steps.iter().any(|s| matches!(s, Step::Damage(Hand::StripAll | Hand::StripOne, _)));
        // A launch that arrives late, or that hides while the file moves on, may stand beside another one until a later
        // run ends it; that none is left is asked above.
        if told.doubles() {
            wrong.retain(|w| !w.contains("Duplicate"));
        }
        // Nothing tells the group of a machine without marks when the file has forgotten it, too: it is said, and a
        // person must look at it. What hangs at it stays with it.
        if stripped && wrong.iter().any(|w| w.starts_with("a stray")) {
            let plan = life.plan(&wish, &life.look(&wish).await, disk, &intent).plan;
            let unclear = plan.notes.iter().any(|n| n.kind == "unclear");
            return if unclear { Ok(()) } else { Err(format!("{wrong:#?}")) };
        }
        match end {
            End::Converged => {}
            // Data stays in a zone that the file has left; that it is there is said.
            End::Refused(words)
                if words.iter().all(|w| w.contains("its data is in") || w.contains("cannot move") || is_excused(w)) => {
            }
            End::Refused(_) | End::Restless(_) => wrong.push(format!("{end:?}")),
        }
        let look = life.look(&wish).await;
        let plan = life.plan(&wish, &look, disk, &intent).plan;
        // What is held stays as it is, and says why.
        let held: Vec<String> = plan.held.iter().map(|h| format!("{} of size", h.change.address)).collect();
        wrong.retain(|w| !held.iter().any(|h| w.starts_with(h.as_str())));
        if !plan.is_empty() {
            wrong.push(format!("a second plan is not empty: {}", harness::tell(&plan)));
        }
        if let Some(others) = &self.others {
            wrong.extend(others.wrongs(&world));
            wrong.extend(uneven(&wish, &plan, &world));
            wrong.extend(permuted(&wish, &look, disk, &plan, told.seed));
            wrong.extend(silenced(&wish, &look, disk));
        }
        if let Some(strangers) = &self.strangers {
            wrong.extend(strangers.wrongs(&world));
            wrong.extend(cluster::mark_wrongs(&world, &excused));
        }
        if both && self.fleet.is_none() && told.seed.is_multiple_of(4) {
            life.settle(&wish, disk, &harness::destroy()).await;
            wrong.extend(cluster::left_behind(&sim.world().expect("in memory"), lost));
        }
        wrong.extend(self.wrong);
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(format!("{wrong:#?}\nexcused: {excused:?}\n{:#?}", ending(&world, STACK).places))
        }
    }
}

/// As many of each group as must serve whatever evenkeel does, and how fast it may be replaced at most.
fn floors(fleet: &Fleet, intent: &Intent) -> Vec<Floor> {
    let groups = fleet.groups.iter().filter(|_| !intent.destroy);
    groups
        .map(|g| Floor {
            stack: STACK.to_owned(),
            group: format!("machines.{}", g.name),
            ready: if g.wait { g.count - fleet.unavailable.of(g.count) } else { 0 },
            // The default; the files say nothing of `retries`.
            pace: Some(Pace { parallel: fleet.parallel, retries: 3 }),
        })
        .collect()
}

/// All zones are there again, and have room.
fn restore(world: &mut World) {
    let names: Vec<String> = world.zones.keys().cloned().collect();
    for zone in names {
        let _ = world.act(&Deed::RestoreZone { zone: zone.clone() });
        let _ = world.act(&Deed::SetCapacity { zone, instance_type: "t3.small".into(), most: None });
    }
}

/// Everything that lives is well again.
fn heal(world: &mut World) {
    let ids: Vec<String> = world.instances.iter().filter(|(_, m)| !m.is_dead()).map(|(id, _)| id.clone()).collect();
    for id in ids {
        let _ = world.act(&Deed::Recover { instance: id });
    }
}

/// P1: zones differ by no more than the skew, unless data pins machines, which the plan then says.
fn uneven(wish: &Desired, plan: &Plan, world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, group) in &wish.machines {
        let zones: BTreeSet<&String> = match &group.spread {
            evenkeel_core::desired::Spread::Zones(zones) => zones.iter().collect(),
            other => panic!("the fleets here name their zones, not {other:?}"),
        };
        let prefix = token_prefix(STACK);
        let mine = |tags: &Tags| {
            tags.get(tag::STACK).is_some_and(|s| s == STACK)
                && tags.get(tag::ADDRESS).is_some_and(|a| *a == format!("machines.{name}"))
        };
        let there = |m: &Machine| !m.is_dead() && mine(&m.tags) && m.token.starts_with(&prefix);
        let in_zone = |z: &String| world.instances.values().filter(|m| there(m) && m.zone == *z).count();
        let counts: Vec<usize> = zones.iter().map(|z| in_zone(z)).collect();
        let differ = counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0);
        let pinned = wish.volumes.values().any(|v| v.layout == Layout::For(Group::machines(name)));
        let said = plan.notes.iter().any(|n| n.kind == "skew" && n.about == format!("machines.{name}"));
        // What its data keeps in a zone that the file has left is missing in the others, and is held with these words.
        let kept = |h: &Held| h.change.address.group == Group::machines(name) && h.waits_for.contains("its data is in");
        let said = said || plan.held.iter().any(kept);
        if differ > 1 && !(pinned && said) {
            wrong.push(format!("machines.{name} is uneven: {counts:?} over {zones:?}"));
        }
    }
    wrong
}

/// P12: the order of a listing changes nothing.
fn permuted(wish: &Desired, look: &Look, disk: &Disk, plan: &Plan, seed: u64) -> Vec<String> {
    let mut shuffled = look.observed.clone();
    let mut dice = Dice::new(seed, 9);
    for i in (1..shuffled.objects.len()).rev() {
        shuffled.objects.swap(i, dice.roll(i as u32 + 1) as usize);
    }
    for o in &mut shuffled.objects {
        o.signals.reverse();
    }
    let ask = Ask { desired: wish, observed: &shuffled, history: &disk.history, intent: &all_allowed(), now: look.now };
    let other = make(&ask).plan;
    if other == *plan { Vec::new() } else { vec!["the order of the listing changes the plan".into()] }
}

/// P13: a signal that is no longer heard makes nothing worse, and a verdict is looked at again in the future only.
fn silenced(wish: &Desired, look: &Look, disk: &Disk) -> Vec<String> {
    let mut wrong = Vec::new();
    for o in look.observed.objects.iter().filter(|o| o.kind == Kind::Machines) {
        let past = disk.history.objects.get(&o.id);
        let now = judge(o, WaitFor::Healthy, past, &wish.policy, look.now);
        let mut quiet = o.clone();
        quiet.signals.iter_mut().for_each(|s| s.reading = Reading::NoData);
        let then = judge(&quiet, WaitFor::Healthy, past, &wish.policy, look.now);
        if then.severity() > now.severity() {
            wrong.push(format!("{}: silence makes {} {}", o.id, now.word(), then.word()));
        }
        for v in [&now, &then] {
            if v.recheck.is_some_and(|at| at <= look.now) {
                wrong.push(format!("{}: to be looked at again in the past", o.id));
            }
        }
    }
    wrong
}

/// Does something to the world, if there is anything to do it to.
fn damage(world: &mut World, hand: Hand, which: u32, others: &mut Others) {
    let ours = |tags: &Tags| tags.get(tag::STACK).is_some_and(|s| s == STACK);
    let prefix = token_prefix(STACK);
    let own_machine = |m: &Machine| !m.is_dead() && ours(&m.tags) && m.token.starts_with(&prefix);
    let alive: Vec<String> = world.instances.iter().filter(|(_, m)| own_machine(m)).map(|(id, _)| id.clone()).collect();
    let own_volume = |tags: &Tags| ours(tags) && tags.get(tag::ADDRESS).is_some_and(|a| a.starts_with("volumes."));
    let disks: Vec<String> =
        world.volumes.iter().filter(|(_, v)| own_volume(&v.tags)).map(|(id, _)| id.clone()).collect();
    let pick = |from: &[String]| (!from.is_empty()).then(|| from[which as usize % from.len()].clone());
    let zone = ["us-east-1a", "us-east-1b", "us-east-1c"][which as usize % 3].to_owned();
    let (machine, volume) = (pick(&alive), pick(&disks));
    let minutes = |m: u32| jiff::SignedDuration::from_mins(i64::from(m));
    let deeds: Vec<Deed> = match (hand, machine, volume) {
        (Hand::Kill, Some(instance), _) => vec![Deed::Terminate { instance }],
        (Hand::Die, Some(instance), _) => {
            let boots = world.instances.get(&instance).is_some_and(|m| m.state == InstanceState::Pending);
            vec![Deed::Die { instance, reason: if boots { Death::Launch } else { Death::Shutdown } }]
        }
        (Hand::Stop, Some(instance), _) => vec![Deed::Stop { instance }],
        (Hand::Impair, Some(instance), _) => {
            let since = world.now.checked_sub(minutes(which % 40)).ok();
            [Part::Instance, Part::System]
                .into_iter()
                .take(1 + which as usize % 2)
                .map(|check| Deed::Impair { instance: instance.clone(), check, since })
                .collect()
        }
        (Hand::Flap, Some(instance), _) => vec![Deed::Flap { instance, period: Span::secs(600, 600) }],
        (Hand::SetGroups, Some(instance), _) => {
            vec![Deed::SetSecurityGroups { instance, groups: vec!["db".into()] }]
        }
        (Hand::SetType, Some(instance), _) => {
            vec![Deed::SetType { instance, instance_type: ["t3.medium", "t3a.small"][which as usize % 2].into() }]
        }
        (Hand::Retag, Some(id), _) => {
            vec![Deed::SetTag { id, key: ["team", "Name", "mine"][which as usize % 3].into(), value: "by hand".into() }]
        }
        (Hand::StripOne, Some(id), other) => {
            let keys = [tag::SPEC, tag::LAUNCH, tag::ADDRESS, tag::STACK, tag::NAME];
            match other.filter(|_| which.is_multiple_of(3)) {
                // A volume without its stack's mark cannot be found any more: EC2 does not tell its token.
                Some(volume) => vec![Deed::UnsetTag { id: volume, key: keys[which as usize % 3].into() }],
                None => vec![Deed::UnsetTag { id, key: keys[which as usize % 5].into() }],
            }
        }
        (Hand::StripAll, Some(id), _) => {
            let keys: Vec<String> =
                world.instances.get(&id).map(|m| m.tags.keys().cloned().collect()).unwrap_or_default();
            keys.into_iter().map(|key| Deed::UnsetTag { id: id.clone(), key }).collect()
        }
        (Hand::Copy, Some(from), _) => {
            let tags = world.instances.get(&from).map(|m| m.tags.clone()).unwrap_or_default();
            let Some((id, theirs)) = others.0.iter_mut().next() else { return };
            theirs.extend(tags.clone());
            tags.into_iter().map(|(key, value)| Deed::SetTag { id: id.clone(), key, value }).collect()
        }
        (Hand::Detach, _, Some(volume)) => vec![Deed::Detach { volume }],
        (Hand::DeleteVolume, _, Some(volume)) => vec![Deed::DeleteVolume { volume }],
        (Hand::LoseZone, ..) => vec![Deed::LoseZone { zone, announced: true }],
        (Hand::LoseZoneSilently, ..) => vec![Deed::LoseZone { zone, announced: false }],
        (Hand::RestoreZone, ..) => world.zones.keys().map(|zone| Deed::RestoreZone { zone: zone.clone() }).collect(),
        (Hand::NoRoom, ..) => vec![Deed::SetCapacity { zone, instance_type: "t3.small".into(), most: Some(which % 3) }],
        (Hand::Retire, Some(instance), _) => vec![Deed::Schedule {
            instance,
            event: evenkeel_ec2::api::ScheduledEvent {
                code: "instance-retirement".into(),
                description: "The instance is running on degraded hardware".into(),
                not_before: world.now.checked_add(minutes(60 * 24)).ok(),
            },
        }],
        _ => Vec::new(),
    };
    for deed in deeds {
        let _ = world.act(&deed);
    }
}
