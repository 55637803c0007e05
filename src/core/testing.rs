//! A perfect little world for tests: plans are made, vetted, carried out at once, and made again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::address::{Address, Group, Kind};
use crate::desired::{
    Cluster, Desired, Disk, Follow, Image, Layout, Lock, Lookup, MachineGroup, Metadata, NodeGroup, Scope, Spread,
    Stack, VolumeGroup, WaitFor, cluster_scope,
};
use crate::launch::{Launch, token_prefix};
use crate::make::{Ask, Intent, Made, make};
use crate::observed::{
    Answer, Attached, ClusterSeen, Found, NodeSeen, Object, Observed, Phase, Reading, Reporter, ScopeSeen, Signal,
    Source, Truth,
};
use crate::plan::{Call, Change, Do, ObjectDoes, OnObject, Plan, Step, Target, Until};
use crate::policy::Policy;
use crate::stamp::tag;
use crate::survey::Memory;
use crate::survey::survey;
use crate::value::{Fields, Value};
use crate::vet::{Asked, Objection, examined};

pub(crate) fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

pub(crate) fn image() -> Image {
    Image::Newest { owner: "amazon".into(), name: "al2023-*".into() }
}

pub(crate) fn group(count: u32) -> MachineGroup {
    MachineGroup {
        scope: String::new(),
        count,
        image: image(),
        types: vec!["t3.small".into(), "t3a.small".into()],
        spread: Spread::Zones(vec!["a".into(), "b".into(), "c".into()]),
        security_groups: vec!["sg-1".into()],
        key: None,
        instance_profile: None,
        user_data: None,
        root: Disk::default(),
        disks: BTreeMap::new(),
        tags: BTreeMap::from([("team".into(), "x".into())]),
        public_ip: None,
        metadata: Metadata::default(),
        monitoring: false,
        protect: false,
        spot: false,
        tenancy: None,
        placement_group: None,
        wait: WaitFor::Healthy,
        nodes: None,
        follow: Follow::Never,
        skew: 1,
        caps: BTreeMap::new(),
    }
}

pub(crate) fn volume() -> VolumeGroup {
    VolumeGroup {
        scope: String::new(),
        layout: Layout::For(Group::machines("web")),
        size: Some(50),
        volume_type: "gp3".into(),
        iops: None,
        throughput: None,
        encrypted: true,
        kms_key: None,
        device: "/dev/sdf".into(),
        protect: false,
        from_snapshot: None,
        tags: BTreeMap::new(),
    }
}

/// The world, what is wished of it, and its clock.
pub(crate) struct World {
    pub desired: Desired,
    pub seen: Observed,
    pub intent: Intent,
    pub past: Memory,
    pub made: u32,
    pub at: Timestamp,
}

impl World {
    pub fn new(count: u32) -> Self {
        let answer = |id: &str| Answer {
            scope: String::new(),
            asked: Lookup::Image(image()),
            found: Found::Image { id: id.into(), name: id.into(), created: None, root_device: None },
        };
        Self {
            desired: Desired {
                clusters: BTreeMap::new(),
                bundles: BTreeMap::new(),
                stack: Stack { name: "shop".into(), id: "abc23456".into(), tags: BTreeMap::new() },
                scopes: BTreeMap::from([(String::new(), Scope::default())]),
                machines: BTreeMap::from([("web".into(), group(count))]),
                volumes: BTreeMap::new(),
                policy: Policy::default(),
                outputs: BTreeMap::new(),
                lock: Lock::default(),
                renamed: BTreeMap::new(),
                secrets: BTreeSet::new(),
                origins: BTreeMap::new(),
            },
            seen: Observed {
                clusters: BTreeMap::new(),
                at: now(),
                scopes: BTreeMap::from([(
                    String::new(),
                    ScopeSeen {
                        account: "123456789012".into(),
                        region: "us-east-1".into(),
                        zones: ["a", "b", "c"].map(|z| (z.to_owned(), true)).into(),
                        calls: BTreeMap::new(),
                    },
                )]),
                objects: vec![],
                lookups: vec![answer("ami-1")],
                gaps: vec![],
                labels: BTreeMap::new(),
            },
            intent: Intent::default(),
            past: Memory::default(),
            made: 0,
            at: now(),
        }
    }

    /// The plan for what is wished and seen now; that nothing speaks against it is asserted.
    pub fn plan(&self) -> Plan {
        self.plan_of(&self.look())
    }

    /// The plan for this look.
    pub fn plan_of(&self, seen: &Observed) -> Plan {
        let plan = self.made_of(seen).plan;
        let objections = self.vet_of(&plan, seen);
        assert!(objections.is_empty(), "{objections:#?}\n{}", told(&plan));
        plan
    }

    /// The same with what travels beside it; nobody has vetted it.
    pub fn made_of(&self, seen: &Observed) -> Made {
        let ask =
            Ask { desired: &self.desired, observed: seen, history: &self.past, intent: &self.intent, now: self.at };
        make(&ask)
    }

    /// What a provider brings back: what bears a stack's mark, or was made with our token.
    pub fn look(&self) -> Observed {
        let mut seen = self.seen.clone();
        let prefix = token_prefix(&self.desired.stack.id);
        let ours =
            |o: &Object| o.tags.contains_key(tag::STACK) || o.token.as_ref().is_some_and(|t| t.starts_with(&prefix));
        let shown: BTreeSet<String> = seen.objects.iter().filter(|o| ours(o)).map(|o| o.id.clone()).collect();
        // What hangs at a machine of ours is seen there, whatever marks it bears.
        seen.objects.retain(|o| ours(o) || o.attached.as_ref().is_some_and(|at| shown.contains(&at.to)));
        seen
    }

    /// What speaks against a plan in this world.
    pub fn vet(&self, plan: &Plan) -> Vec<Objection> {
        self.vet_of(plan, &self.look())
    }

    /// How many steps the checker looks at for a plan in this world.
    pub fn looked_at(&self, plan: &Plan) -> u64 {
        self.examined(plan, &self.look()).1
    }

    fn vet_of(&self, plan: &Plan, seen: &Observed) -> Vec<Objection> {
        self.examined(plan, seen).0
    }

    fn examined(&self, plan: &Plan, seen: &Observed) -> (Vec<Objection>, u64) {
        let i = &self.intent;
        let asked = Asked {
            destroy: i.destroy,
            allow_empty: i.allow_empty,
            max_deletes: i.max_deletes,
            deleted: i.deleted.clone(),
            force: i.force,
            force_conflicts: i.force_conflicts,
        };
        examined(plan, &self.desired, seen, &self.past, &asked, self.at)
    }

    /// Carries a plan out in an instant, then lets so much time pass that new machines are old.
    pub fn apply(&mut self, plan: &Plan) {
        self.apply_but(plan, &BTreeSet::new());
        self.later(7200);
    }

    /// Carries a plan out but for these steps and whatever needs them.
    pub fn apply_but(&mut self, plan: &Plan, failing: &BTreeSet<usize>) {
        let mut ids: BTreeMap<Address, String> = BTreeMap::new();
        let mut done: Vec<bool> = Vec::new();
        for (i, step) in plan.steps.iter().enumerate() {
            let may = !failing.contains(&i) && step.needs.iter().all(|n| done[*n as usize]);
            done.push(may && self.perform(step, &mut ids));
        }
    }

    /// Writes down how everything is, as a program that keeps a history does at every look.
    pub fn remember(&mut self) {
        let judged = survey(&self.desired, &self.seen, &self.past, self.intent.force, self.at);
        self.past = judged.remember(&self.desired, &self.seen, &self.past, self.at);
    }

    pub fn later(&mut self, seconds: i64) {
        self.at += SignedDuration::from_secs(seconds);
        self.seen.at = self.at;
    }

    pub fn settle(&mut self) {
        let plan = self.plan();
        self.apply(&plan);
        let again = self.plan();
        assert!(again.is_empty() && again.held.is_empty(), "not settled: {:#?} {:#?}", again.changes, again.held);
    }

    pub fn object(&mut self, kind: Kind, zone: &str, tags: BTreeMap<String, String>, fields: Fields) -> Object {
        self.made += 1;
        let signal = |source| Signal {
            source,
            reporter: Reporter::Ec2Host,
            reading: Reading::Ok,
            since: None,
            hard: false,
            says: String::new(),
            not_before: None,
        };
        let machine = kind == Kind::Machines;
        Object {
            scope: String::new(),
            kind,
            id: format!("{}-{:04}", if machine { "i" } else { "vol" }, self.made),
            phase: Phase::Up,
            says: String::new(),
            zone: zone.into(),
            created: self.at,
            token: None,
            index: 0,
            reservation: String::new(),
            tags: tags.into(),
            fields: fields.into(),
            signals: if machine { vec![signal(Source::SystemStatus), signal(Source::InstanceStatus)] } else { vec![] }
                .into(),
            attached: None,
            links: BTreeMap::new(),
            facts: BTreeMap::new(),
        }
    }

    pub fn find(&mut self, id: &str) -> &mut Object {
        self.seen.objects.iter_mut().find(|o| o.id == id).unwrap()
    }

    /// The machines of `web` are nodes of a cluster: those that live now, and each new one.
    pub fn as_nodes(&mut self) {
        let scope = cluster_scope("");
        let web = self.desired.machines.get_mut("web").unwrap();
        web.nodes = Some(NodeGroup { scope: scope.clone(), labels: BTreeMap::new(), taints: vec![], tag: None });
        web.wait = WaitFor::Ready;
        self.desired.clusters.insert(scope.clone(), Cluster::default());
        self.seen.scopes.insert(scope.clone(), ScopeSeen { region: "test".into(), ..ScopeSeen::default() });
        self.seen.clusters.insert(scope, ClusterSeen::default());
        let alive: Vec<String> = self
            .seen
            .objects
            .iter()
            .filter(|o| o.kind == Kind::Machines && o.phase.alive())
            .map(|o| o.id.clone())
            .collect();
        alive.iter().for_each(|id| self.join(id));
    }

    /// A machine joins the cluster, where it has not yet.
    pub fn join(&mut self, id: &str) {
        let (at, provider_id) = (self.at, format!("aws:///{}/{id}", self.find(id).zone));
        let node = NodeSeen {
            uid: format!("uid-{id}"),
            provider_id,
            created: at,
            ready: Truth::Yes,
            since: Some(at),
            says: String::new(),
            cordoned: false,
            cordoned_for: String::new(),
        };
        self.nodes().entry(format!("ip-{id}")).or_insert(node);
    }

    /// The nodes of the cluster.
    pub fn nodes(&mut self) -> &mut BTreeMap<String, NodeSeen> {
        &mut self.seen.clusters.get_mut(&cluster_scope("")).unwrap().nodes
    }

    /// What is done to a machine's node.
    fn on_node(&mut self, on: &OnObject) {
        assert_eq!(on.object.kind, "Node", "{} in a world of machines", on.object);
        let (name, stack) = (on.object.name.clone(), self.desired.stack.id.clone());
        match &on.does {
            ObjectDoes::Cordon { uid, on } => {
                let node = self.nodes().get_mut(&name).filter(|n| n.uid == *uid).unwrap();
                node.cordoned = *on;
                node.cordoned_for = if *on { stack } else { String::new() };
            }
            ObjectDoes::Delete { uid } => {
                let id = uid.strip_prefix("uid-").unwrap().to_owned();
                assert_eq!(self.find(&id).phase, Phase::Gone, "a node goes after its machine");
                self.nodes().remove(&name);
            }
            other => panic!("{other:?} of a node"),
        }
    }

    /// Whether the world shows it, after all the time that was given: what is on its way arrives.
    fn shows(&mut self, id: &str, until: Until) -> bool {
        if let Until::Drained(_) = until {
            let (name, uid) = id.strip_prefix("Node/").unwrap().split_once('@').unwrap();
            return self.nodes().get(name).is_none_or(|n| n.uid != uid || n.cordoned);
        }
        if until == Until::Joined {
            self.join(id);
        }
        let Some(o) = self.seen.objects.iter().find(|o| o.id == id).cloned() else { return until == Until::Deleted };
        match o.phase {
            Phase::Starting => self.find(id).phase = Phase::Up,
            Phase::Stopping => self.find(id).phase = Phase::Stopped,
            Phase::Leaving => self.kill(id),
            Phase::Up | Phase::Stopped | Phase::Gone | Phase::Failed => {}
        }
        let holder = o.attached.as_ref().map(|a| a.to.clone());
        if holder.as_ref().is_some_and(|h| self.seen.objects.iter().any(|o| o.id == *h && o.phase == Phase::Leaving)) {
            self.kill(&holder.unwrap_or_default());
        }
        let o = self.find(id);
        let well = o.signals.iter().all(|s| s.reading == Reading::Ok || s.source == Source::ScheduledEvent);
        match until {
            Until::Running => o.phase == Phase::Up,
            Until::Healthy { .. } => o.phase == Phase::Up && well,
            Until::Stopped => o.phase == Phase::Stopped,
            Until::Terminated => o.phase == Phase::Gone,
            Until::Free => o.phase == Phase::Up && o.attached.is_none(),
            Until::Attached => o.attached.is_some(),
            Until::Joined => o.phase == Phase::Up,
            Until::Deleted | Until::Ready | Until::Drained(_) => false,
        }
    }

    /// Carries one step out; whether it succeeded.
    fn perform(&mut self, step: &Step, ids: &mut BTreeMap<Address, String>) -> bool {
        let call = match &step.does {
            Do::Call(call) => call,
            Do::Wait(wait) => {
                let one = |t: &Target| match t {
                    Target::Id(id) => id.clone(),
                    Target::New(a) => ids[a].clone(),
                };
                return wait.targets.iter().map(one).all(|id| self.shows(&id, wait.until));
            }
        };
        let id = |t: &Target, ids: &BTreeMap<Address, String>| match t {
            Target::Id(id) => id.clone(),
            Target::New(a) => ids[a].clone(),
        };
        match call {
            Call::Launch(l) => {
                // A token that belongs to something dead is spent: the run takes the next generation.
                let mut l = l.clone();
                let spent = |l: &Launch| {
                    let token = Some(l.token(&l.places[0], &l.types[0]));
                    self.seen.objects.iter().any(|o| o.token == token && !o.phase.alive())
                };
                while spent(&l) {
                    l.tag.generation += 1;
                }
                for (index, address) in l.addresses().into_iter().enumerate() {
                    let place = &l.places[0];
                    let mut fields = l.spec.clone();
                    fields.insert("type".into(), l.types[0].clone().into());
                    fields.insert("tags".into(), user_tags(&l.instance_tags()));
                    fields.insert("subnet".into(), place.subnet.clone().into());
                    let mut o = self.object(Kind::Machines, &place.zone, l.instance_tags(), fields);
                    o.token = Some(l.token(place, &l.types[0]));
                    let used =
                        self.seen.objects.iter().any(|other| other.token == o.token && other.index == index as u32);
                    assert!(!used, "a token that was used launches nothing new");
                    o.index = u32::try_from(index).unwrap();
                    o.scope.clone_from(&step.scope);
                    ids.insert(address, o.id.clone());
                    self.seen.objects.push(o);
                }
            }
            Call::CreateVolume(v) => {
                let mut fields = v.spec.clone();
                fields.insert("tags".into(), user_tags(&v.volume_tags()));
                fields.remove("device");
                let mut o = self.object(Kind::Volumes, &v.zone, v.volume_tags(), fields);
                o.scope.clone_from(&step.scope);
                ids.insert(v.address.clone(), o.id.clone());
                self.seen.objects.push(o);
            }
            Call::Terminate(all) => all.iter().for_each(|i| self.kill(i)),
            Call::Stop(all) => all.iter().for_each(|i| self.find(i).phase = Phase::Stopped),
            Call::Start(all) => all.iter().for_each(|i| self.find(i).phase = Phase::Up),
            Call::Change { id, fields, .. } => {
                let o = self.find(id);
                o.fields.extend(fields.clone());
                match fields.get("protect").and_then(Value::bool) {
                    Some(true) => drop(o.tags.insert(tag::PROTECT.into(), "true".into())),
                    Some(false) => drop(o.tags.remove(tag::PROTECT)),
                    None => {}
                }
            }
            Call::Tag { ids, set, unset } => {
                for i in ids {
                    let o = self.find(i);
                    o.tags.extend(set.clone());
                    o.tags.retain(|k, _| !unset.contains(k));
                    tags_to_fields(o);
                }
            }
            Call::Attach { volume, machine, device } => {
                let (v, m) = (id(volume, ids), id(machine, ids));
                let (vz, mz) = (self.find(&v).zone.clone(), self.find(&m).zone.clone());
                assert_eq!(vz, mz, "a volume hangs only in its own zone");
                assert!(self.find(&m).phase.alive(), "a volume hangs only at a machine that lives");
                assert_ne!(self.find(&m).phase, Phase::Starting, "EC2 attaches nothing to a machine that boots");
                let v = self.find(&v);
                assert!(v.attached.is_none(), "P9: one holder at a time");
                v.attached = Some(Attached { to: m, device: device.clone(), settled: true });
                v.fields.insert("device".into(), device.clone().into());
            }
            Call::Detach { volume, .. } => self.detach(volume),
            Call::DeleteVolume(v) => {
                assert!(self.find(v).tags.contains_key(tag::QUARANTINE), "marked before it is deleted");
                self.seen.objects.retain(|o| o.id != *v);
            }
            Call::Object(on) => self.on_node(on),
        }
        true
    }

    /// EC2 announces that it retires a machine.
    pub fn retire(&mut self, id: &str, not_before: Timestamp) {
        self.find(id).signals.push(Signal {
            source: Source::ScheduledEvent,
            reporter: Reporter::Ec2Control,
            reading: Reading::Bad,
            since: None,
            hard: false,
            says: "instance-retirement".into(),
            not_before: Some(not_before),
        });
    }

    pub fn kill(&mut self, id: &str) {
        self.find(id).phase = Phase::Gone;
        self.find(id).says = "Client.UserInitiatedShutdown".into();
        let held = |o: &&Object| o.attached.as_ref().is_some_and(|a| a.to == id);
        let held: Vec<String> = self.seen.objects.iter().filter(held).map(|o| o.id.clone()).collect();
        held.iter().for_each(|v| self.detach(v));
    }

    pub fn detach(&mut self, volume: &str) {
        let v = self.find(volume);
        v.attached = None;
        v.fields.remove("device");
    }

    pub fn id_of(&self, address: &str) -> String {
        let history = Memory::default();
        let s = survey(&self.desired, &self.seen, &history, false, self.at);
        let a: Address = address.parse().unwrap();
        s.groups[&a.group].alive(a.slot).next().unwrap().object.id.clone()
    }
}

/// A plan in a few lines.
pub(crate) fn told(plan: &Plan) -> String {
    let one = |c: &Change| {
        let why: Vec<_> = c.reasons.iter().map(|r| format!("{:?} {}", r.why, r.says)).collect();
        format!("{:?} {} {:?} {}: {}", c.action, c.address, c.object, c.zone, why.join("; "))
    };
    let mut out: Vec<String> = plan.changes.iter().enumerate().map(|(i, c)| format!("#{i} {}", one(c))).collect();
    out.extend(plan.held.iter().map(|h| format!("held {:?} {} | {}", h.by, h.waits_for, one(&h.change))));
    let step = |s: &Step| match &s.does {
        Do::Call(Call::Launch(l)) => format!("launch {} {} {:?}", l.group, l.tag, l.places),
        Do::Call(Call::CreateVolume(v)) => format!("create {} {}", v.address, v.zone),
        Do::Call(c) => format!("{c:?}"),
        Do::Wait(w) => format!("wait {:?} {:?}", w.until, w.targets),
    };
    let steps = plan.steps.iter().enumerate();
    out.extend(steps.map(|(i, s)| format!("{i} needs {:?} for {:?}: {}", s.needs, s.changes, step(s))));
    out.join("\n")
}

/// The fields that tags show.
pub(crate) fn tags_to_fields(o: &mut Object) {
    let protect = o.tags.get(tag::PROTECT).is_some_and(|v| v == "true");
    o.fields.insert("protect".into(), protect.into());
    o.fields.insert("tags".into(), user_tags(&o.tags));
}

pub(crate) fn user_tags(tags: &BTreeMap<String, String>) -> Value {
    let own = tags.iter().filter(|(k, _)| !k.starts_with(tag::OURS) && !k.starts_with("aws:"));
    Value::Map(own.map(|(k, v)| (k.clone(), v.clone().into())).collect())
}
