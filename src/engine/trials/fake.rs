//! A world of a hundred lines, a clock that waits in no time, and plans to run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_core::address::{Address, Kind};
use evenkeel_core::digest::Digest;
use evenkeel_core::event::{Event, Happened};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::launch::{Launch, NewVolume, Place};
use evenkeel_core::observed::{Attached, Object, Phase, Reading as Says, Reporter, ScopeSeen, Signal, Source};
use evenkeel_core::plan::{
    Action, Basis, Call, Change, Do, FORMAT, Plan, Reason, Step, Takes, Target, Until, Wait, Why,
};
use evenkeel_core::progress::Progress;
use evenkeel_core::slots::Slots;
use evenkeel_core::stamp::{LaunchTag, Vector};
use evenkeel_core::value::Fields;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::fresh::Refused;
use crate::journal::Record;
use crate::limits::Limits;
use crate::provider::{Eyes, Looked, Made, Payloads, Provider, Reading, Wants};
use crate::run::{Job, Ran, run};
use crate::stop::Stop;

/// Tokio's clock, which the tests have paused.
#[derive(Clone)]
pub struct Paused(Instant);

impl Paused {
    pub fn new() -> Self {
        Self(Instant::now())
    }

    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[async_trait]
impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap() + self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Kills the program at its n-th touch of the outside.
#[derive(Clone, Default)]
pub struct Fuse(Arc<Mutex<Option<u32>>>);

impl Fuse {
    pub fn of(n: u32) -> Self {
        Self(Arc::new(Mutex::new(Some(n))))
    }

    pub fn burn(&self) {
        let spent = {
            let mut left = self.0.lock().unwrap();
            match left.as_mut() {
                Some(0) => true,
                Some(n) => {
                    *n -= 1;
                    false
                }
                None => false,
            }
        };
        if spent {
            resume_unwind(Box::new("killed"));
        }
    }
}

/// What there is, what went wrong on purpose, and what was asked.
pub struct World {
    pub objects: BTreeMap<String, Object>,
    pub script: BTreeMap<&'static str, VecDeque<Failure>>,
    pub log: Vec<String>,
    pub looks: Vec<usize>,
    /// What no look by id can see, and why.
    pub dark: BTreeMap<String, Failure>,
    pub busy: usize,
    pub busiest: usize,
    pub boot: Duration,
    pub latency: Duration,
    /// Only this place and type has room until something is launched there; then every one has.
    pub room: Option<&'static str>,
}

pub struct Fake {
    pub world: Arc<Mutex<World>>,
    pub clock: Paused,
    pub fuse: Fuse,
}

impl Fake {
    pub fn new(clock: &Paused) -> Self {
        let world = World {
            objects: BTreeMap::new(),
            script: BTreeMap::new(),
            log: Vec::new(),
            looks: Vec::new(),
            dark: BTreeMap::new(),
            busy: 0,
            busiest: 0,
            boot: Duration::from_secs(30),
            latency: Duration::from_millis(100),
            room: None,
        };
        Self { world: Arc::new(Mutex::new(world)), clock: clock.clone(), fuse: Fuse::default() }
    }

    pub fn with(self, f: impl FnOnce(&mut World)) -> Self {
        f(&mut self.world.lock().unwrap());
        self
    }

    fn effect(&self, call: &Call) -> Result<Made, Failure> {
        let now = self.clock.now();
        let mut world = self.world.lock().unwrap();
        world.log.push(word(call));
        let name = word(call).split(' ').next().unwrap().to_owned();
        if let Some(f) = world.script.get_mut(name.as_str()).and_then(VecDeque::pop_front) {
            return Err(f);
        }
        let mut made = Made::new();
        if let (Call::Launch(l), Some(room)) = (call, world.room) {
            if room != format!("{}/{}", l.places[0].zone, l.types[0]) {
                return Err(Failure::new(Class::Capacity, "InsufficientInstanceCapacity", "no room"));
            }
            world.room = None;
        }
        let all = &mut world.objects;
        match call {
            Call::Launch(l) => {
                let token = l.token(&l.places[0], &l.types[0]);
                for slot in l.tag.slots.iter() {
                    let id = format!("i-{}-{slot}", &token[token.len() - 8..]);
                    let fresh = object(Kind::Machines, &id, Phase::Starting, now);
                    all.entry(id.clone()).or_insert(fresh);
                    made.insert(l.group.slot(slot), id);
                }
            }
            Call::CreateVolume(v) => {
                let token = v.token();
                let id = format!("vol-{}", &token[token.len() - 8..]);
                all.entry(id.clone()).or_insert(object(Kind::Volumes, &id, Phase::Up, now));
                made.insert(v.address.clone(), id);
            }
            Call::Terminate(ids) => {
                for id in ids {
                    let o = all.get_mut(id).ok_or(Failure::new(Class::NotFound, "", id))?;
                    if o.phase != Phase::Gone {
                        o.phase = Phase::Leaving;
                        o.created = now;
                    }
                }
            }
            Call::DeleteVolume(id) => drop(all.remove(id)),
            Call::Attach { volume: Target::Id(v), machine: Target::Id(m), device } => {
                let volume = all.get_mut(v).unwrap();
                assert!(volume.attached.as_ref().is_none_or(|a| a.to == *m), "a volume has one holder");
                volume.attached = Some(Attached { to: m.clone(), device: device.clone(), settled: true });
            }
            Call::Detach { volume, machine, .. } => {
                let volume = all.get_mut(volume).unwrap();
                if volume.attached.as_ref().is_some_and(|a| a.to == *machine) {
                    volume.attached = None;
                }
            }
            Call::Tag { ids, set, .. } => {
                for id in ids {
                    all.get_mut(id).unwrap().tags.extend(set.clone());
                }
            }
            Call::Attach { .. } => panic!("an unresolved target"),
            Call::Stop(_) | Call::Start(_) | Call::Change { .. } | Call::Object(_) => {}
        }
        Ok(made)
    }
}

#[async_trait]
impl Eyes for Fake {
    async fn read(&self, wants: &Wants) -> Reading {
        let region = format!("r{}", wants.scope);
        let seen = ScopeSeen { account: "1".into(), region, ..ScopeSeen::default() };
        // In any order: sorting is not the provider's work.
        let objects = self.world.lock().unwrap().objects.values().rev().cloned().collect();
        Reading { seen, objects, ..Reading::default() }
    }

    async fn look(&self, ids: &BTreeSet<String>) -> Result<Looked, Failure> {
        self.fuse.burn();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = self.clock.now();
        let mut world = self.world.lock().unwrap();
        world.looks.push(ids.len());
        if let Some(f) = world.script.get_mut("look").and_then(VecDeque::pop_front) {
            return Err(f);
        }
        let boot = world.boot;
        for o in world.objects.values_mut().filter(|o| o.kind == Kind::Machines) {
            let grown = now.duration_since(o.created).unsigned_abs() >= boot;
            match o.phase {
                Phase::Starting if grown => {
                    o.phase = Phase::Up;
                    o.signals = healthy().into();
                }
                Phase::Leaving if grown => o.phase = Phase::Gone,
                _ => {}
            }
        }
        let unseen: BTreeMap<String, Failure> =
            world.dark.iter().filter(|(id, _)| ids.contains(*id)).map(|(id, f)| (id.clone(), f.clone())).collect();
        let there = ids.iter().filter(|id| !unseen.contains_key(*id));
        Ok(Looked { objects: there.filter_map(|id| world.objects.get(id).cloned()).collect(), unseen })
    }
}

#[async_trait]
impl Provider for Fake {
    async fn perform(&self, call: &Call, _: &Payloads) -> Result<Made, Failure> {
        self.fuse.burn();
        let latency = {
            let mut world = self.world.lock().unwrap();
            world.busy += 1;
            world.busiest = world.busiest.max(world.busy);
            world.latency
        };
        tokio::time::sleep(latency).await;
        let made = self.effect(call);
        self.world.lock().unwrap().busy -= 1;
        self.fuse.burn();
        made
    }
}

/// A journal in memory on which the program can be killed before and after each append.
#[derive(Default)]
pub struct Paper {
    pub events: Vec<Event>,
    pub fuse: Fuse,
    /// Appends until the disk is full; `None`: never.
    pub room: Option<u32>,
}

impl Record for Paper {
    fn append(&mut self, events: &[Event], _durable: bool) -> Result<(), Failure> {
        self.fuse.burn();
        if self.room == Some(0) {
            return Err(Failure::new(Class::Invalid, "StorageFull", "no space left"));
        }
        self.room = self.room.map(|n| n - 1);
        self.events.extend_from_slice(events);
        self.fuse.burn();
        Ok(())
    }
}

impl Paper {
    pub fn happened(&self) -> Vec<Happened> {
        self.events.iter().map(|e| e.happened.clone()).collect()
    }
}

pub fn healthy() -> Vec<Signal> {
    [Source::SystemStatus, Source::InstanceStatus]
        .map(|source| Signal {
            source,
            reporter: Reporter::Ec2Host,
            reading: Says::Ok,
            since: None,
            hard: false,
            says: String::new(),
            not_before: None,
        })
        .into()
}

pub fn object(kind: Kind, id: &str, phase: Phase, created: Timestamp) -> Object {
    Object {
        scope: String::new(),
        kind,
        id: id.to_owned(),
        phase,
        says: String::new(),
        zone: "a".into(),
        created,
        token: None,
        index: 0,
        reservation: String::new(),
        tags: BTreeMap::new().into(),
        fields: Fields::new().into(),
        signals: Vec::new().into(),
        attached: None,
        links: BTreeMap::new(),
        facts: Fields::new(),
    }
}

pub fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// A launch of these slots of `machines.web`.
pub fn launch(slots: impl IntoIterator<Item = u32>) -> Launch {
    let place = |zone: &str| Place { zone: zone.into(), subnet: None };
    Launch {
        stack: "s".into(),
        group: "machines.web".parse().unwrap(),
        tag: LaunchTag::first(Slots::new(slots)),
        places: vec![place("a"), place("b")],
        types: vec!["big".into(), "small".into()],
        spec: Fields::new(),
        root_device: None,
        user_data: None,
        vector: Vector::default(),
        tags: BTreeMap::new(),
    }
}

pub fn volume(slot: u32) -> NewVolume {
    NewVolume {
        stack: "s".into(),
        address: address("volumes.data/0").group.slot(slot),
        tag: LaunchTag::first(Slots::new([slot])),
        zone: "a".into(),
        spec: Fields::new(),
        vector: Vector::default(),
        tags: BTreeMap::new(),
    }
}

/// A change of this address; `object` as `i-1` or empty.
pub fn change(at: &str, object: &str) -> Change {
    Change {
        address: address(at),
        object: (!object.is_empty()).then(|| object.to_owned()),
        action: Action::Create,
        reasons: vec![Reason { why: Why::Declared, says: "test".into() }],
        fields: Vec::new(),
        zone: "a".into(),
        what: String::new(),
        node: None,
        how: String::new(),
        fingerprint: Digest::of(at.as_bytes()),
    }
}

pub fn call(needs: &[u32], changes: &[u32], call: Call) -> Step {
    Step { scope: String::new(), needs: needs.into(), changes: changes.into(), does: Do::Call(call) }
}

pub fn wait(needs: &[u32], changes: &[u32], targets: &[&str], until: Until, within: u64) -> Step {
    let target = |t: &&str| if t.contains('/') { Target::New(address(t)) } else { Target::Id((*t).to_owned()) };
    let wait = Wait { targets: targets.iter().map(target).collect(), until, within };
    Step { scope: String::new(), needs: needs.into(), changes: changes.into(), does: Do::Wait(wait) }
}

pub fn plan(changes: Vec<Change>, steps: Vec<Step>) -> Arc<Plan> {
    let basis = Basis {
        stack: "s".into(),
        name: "shop".into(),
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        declaration: Digest::of(b"file"),
        scopes: [(String::new(), ("1".to_owned(), "r".to_owned()))].into(),
        objects: 0,
        calls: 0,
    };
    let plan = Plan {
        format: FORMAT,
        id: Digest::of(b""),
        basis,
        changes,
        steps,
        held: Vec::new(),
        notes: Vec::new(),
        forecast: Vec::new(),
        gaps: Vec::new(),
        unread: Vec::new(),
        look_again_at: None,
        takes: Takes::default(),
    };
    Arc::new(plan.seal())
}

/// Runs a plan on a fake from where the paper says it stands.
pub async fn run_on(fake: Fake, plan: &Arc<Plan>, paper: &mut Paper, refused: &[Refused], stop: Stop) -> Ran {
    let clock = fake.clock.clone();
    let providers = BTreeMap::from([(String::new(), Arc::new(fake) as Arc<dyn Provider>)]);
    let (payloads, limits) = (Payloads::new(), Limits::default());
    let job = Job { providers: &providers, payloads: &payloads, clock: &clock, refused, limits: &limits, stop };
    let progress = Progress::replay(Arc::clone(plan), &paper.events);
    run(job, progress, paper, &mut |_| {}).await
}

/// A call in a few words, as the world logs it.
fn word(call: &Call) -> String {
    match call {
        Call::Launch(l) => {
            format!("launch {} g{} {}/{}", l.tag.slots, l.tag.generation, l.places[0].zone, l.types[0])
        }
        Call::Terminate(ids) => format!("terminate {}", ids.join("+")),
        Call::Stop(ids) => format!("stop {}", ids.join("+")),
        Call::Start(ids) => format!("start {}", ids.join("+")),
        Call::Change { id, .. } => format!("change {id}"),
        Call::Tag { ids, .. } => format!("tag {}", ids.join("+")),
        Call::CreateVolume(v) => format!("volume {} g{}", v.address.slot, v.tag.generation),
        Call::Attach { .. } => "attach".into(),
        Call::Detach { volume, .. } => format!("detach {volume}"),
        Call::DeleteVolume(id) => format!("delete {id}"),
        Call::Object(on) => format!("object {}", on.object),
    }
}

/// Ten seconds of warm-up.
pub const HEALTHY: Until = Until::Healthy { warm: 10 };

/// `web/0..n` in one launch, then one wait for all of them.
pub fn fleet(n: u32) -> Arc<Plan> {
    let names: Vec<String> = (0..n).map(|i| format!("machines.web/{i}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).collect();
    let all: Vec<u32> = (0..n).collect();
    plan(
        names.iter().map(|a| change(a, "")).collect(),
        vec![call(&[], &all, Call::Launch(launch(0..n))), wait(&[0], &all, &targets, HEALTHY, 600)],
    )
}

/// A failure of a class.
pub fn failure(class: Class) -> Failure {
    Failure::new(class, "Code", "words")
}

/// What time it is.
pub fn clock_now(clock: &Paused) -> jiff::Timestamp {
    crate::clock::Clock::now(clock)
}
