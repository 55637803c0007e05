//! A perfect little world for tests: plans are made, vetted, carried out at once, and made again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::address::{Address, Group, Kind};
use crate::desired::{
    Desired, Disk, Follow, Image, Layout, Lock, Lookup, MachineGroup, Metadata, Scope, Spread, Stack, VolumeGroup,
    WaitFor,
};
use crate::health::History;
use crate::make::{Ask, Intent, make};
use crate::observed::{Answer, Attached, Found, Object, Observed, Phase, Reading, Reporter, ScopeSeen, Signal, Source};
use crate::plan::{Call, Do, Plan, Step, Target};
use crate::policy::Policy;
use crate::stamp::tag;
use crate::survey::survey;
use crate::value::{Fields, Value};
use crate::vet::{Asked, Objection, vet};

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
                stack: Stack { name: "shop".into(), id: "abc23456".into(), tags: BTreeMap::new() },
                scopes: BTreeMap::from([(String::new(), Scope::default())]),
                machines: BTreeMap::from([("web".into(), group(count))]),
                volumes: BTreeMap::new(),
                policy: Policy::default(),
                outputs: BTreeMap::new(),
                lock: Lock::default(),
                renamed: BTreeMap::new(),
                secrets: BTreeSet::new(),
            },
            seen: Observed {
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
            made: 0,
            at: now(),
        }
    }

    pub fn plan(&self) -> Plan {
        let history = History::new();
        let ask =
            Ask { desired: &self.desired, observed: &self.seen, history: &history, intent: &self.intent, now: self.at };
        let plan = make(&ask).plan;
        let objections = self.vet(&plan);
        assert!(objections.is_empty(), "{objections:#?}\n{plan:#?}");
        plan
    }

    /// What speaks against a plan in this world.
    pub fn vet(&self, plan: &Plan) -> Vec<Objection> {
        let i = &self.intent;
        let asked =
            Asked { destroy: i.destroy, allow_empty: i.allow_empty, max_deletes: i.max_deletes, force: i.force };
        vet(plan, &self.desired, &self.seen, &History::new(), &asked, self.at)
    }

    /// Carries a plan out in an instant, then lets so much time pass that new machines are old.
    pub fn apply(&mut self, plan: &Plan) {
        let mut ids: BTreeMap<Address, String> = BTreeMap::new();
        for (i, step) in plan.steps.iter().enumerate() {
            assert!(step.needs.iter().all(|n| (*n as usize) < i), "a step needs only earlier ones");
            assert!(!step.changes.is_empty());
            self.perform(step, &mut ids);
        }
        self.later(7200);
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
            tags,
            fields,
            signals: if machine { vec![signal(Source::SystemStatus), signal(Source::InstanceStatus)] } else { vec![] },
            attached: None,
            links: BTreeMap::new(),
            facts: BTreeMap::new(),
        }
    }

    pub fn find(&mut self, id: &str) -> &mut Object {
        self.seen.objects.iter_mut().find(|o| o.id == id).unwrap()
    }

    fn perform(&mut self, step: &Step, ids: &mut BTreeMap<Address, String>) {
        let Do::Call(call) = &step.does else { return };
        let id = |t: &Target, ids: &BTreeMap<Address, String>| match t {
            Target::Id(id) => id.clone(),
            Target::New(a) => ids[a].clone(),
        };
        match call {
            Call::Launch(l) => {
                for (index, address) in l.addresses().into_iter().enumerate() {
                    let place = &l.places[0];
                    let mut fields = l.spec.clone();
                    fields.insert("type".into(), l.types[0].clone().into());
                    fields.insert("tags".into(), user_tags(&l.instance_tags()));
                    let mut o = self.object(Kind::Machines, &place.zone, l.instance_tags(), fields);
                    o.token = Some(l.token(place, &l.types[0]));
                    o.index = u32::try_from(index).unwrap();
                    ids.insert(address, o.id.clone());
                    self.seen.objects.push(o);
                }
            }
            Call::CreateVolume(v) => {
                let mut fields = v.spec.clone();
                fields.insert("tags".into(), user_tags(&v.volume_tags()));
                let o = self.object(Kind::Volumes, &v.zone, v.volume_tags(), fields);
                ids.insert(v.address.clone(), o.id.clone());
                self.seen.objects.push(o);
            }
            Call::Terminate(all) => all.iter().for_each(|i| self.kill(i)),
            Call::Stop(all) => all.iter().for_each(|i| self.find(i).phase = Phase::Stopped),
            Call::Start(all) => all.iter().for_each(|i| self.find(i).phase = Phase::Up),
            Call::Change { id, fields, .. } => self.find(id).fields.extend(fields.clone()),
            Call::Tag { ids, set, unset } => {
                for i in ids {
                    let o = self.find(i);
                    o.tags.extend(set.clone());
                    o.tags.retain(|k, _| !unset.contains(k));
                    let tags = user_tags(&o.tags);
                    o.fields.insert("tags".into(), tags);
                }
            }
            Call::Attach { volume, machine, device } => {
                let (v, m) = (id(volume, ids), id(machine, ids));
                let (vz, mz) = (self.find(&v).zone.clone(), self.find(&m).zone.clone());
                assert_eq!(vz, mz, "a volume hangs only in its own zone");
                let v = self.find(&v);
                assert!(v.attached.is_none(), "P9: one holder at a time");
                v.attached = Some(Attached { to: m, device: device.clone(), settled: true });
            }
            Call::Detach { volume, .. } => self.find(volume).attached = None,
            Call::DeleteVolume(v) => {
                assert!(self.find(v).tags.contains_key(tag::QUARANTINE), "marked before it is deleted");
                self.seen.objects.retain(|o| o.id != *v);
            }
        }
    }

    pub fn kill(&mut self, id: &str) {
        self.find(id).phase = Phase::Gone;
        self.find(id).says = "Client.UserInitiatedShutdown".into();
        for o in &mut self.seen.objects {
            if o.attached.as_ref().is_some_and(|a| a.to == id) {
                o.attached = None;
            }
        }
    }

    pub fn id_of(&self, address: &str) -> String {
        let history = History::new();
        let s = survey(&self.desired, &self.seen, &history, false, self.at);
        let a: Address = address.parse().unwrap();
        s.groups[&a.group].alive(a.slot).next().unwrap().object.id.clone()
    }
}

pub(crate) fn user_tags(tags: &BTreeMap<String, String>) -> Value {
    let own = tags.iter().filter(|(k, _)| !k.starts_with(tag::OURS));
    Value::Map(own.map(|(k, v)| (k.clone(), v.clone().into())).collect())
}
