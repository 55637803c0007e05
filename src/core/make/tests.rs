//! A perfect little world: plans are made, carried out at once, and made again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::desired::{
    Disk, Follow, Image, Layout, Lock, Lookup, MachineGroup, Metadata, Scope, Spread, Stack, VolumeGroup, WaitFor,
};
use crate::failure::{Class, Failure};
use crate::observed::{Answer, Attached, Found, Gap, Object, Phase, Reading, Reporter, ScopeSeen, Signal, Source};
use crate::plan::{Call, Do, Step, Target};
use crate::policy::Policy;
use crate::stamp::tag;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn image() -> Image {
    Image::Newest { owner: "amazon".into(), name: "al2023-*".into() }
}

fn group(count: u32) -> MachineGroup {
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

fn volume() -> VolumeGroup {
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

struct World {
    desired: Desired,
    seen: Observed,
    intent: Intent,
    made: u32,
    at: Timestamp,
}

impl World {
    fn new(count: u32) -> Self {
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

    fn plan(&self) -> Plan {
        let history = History::new();
        let ask =
            Ask { desired: &self.desired, observed: &self.seen, history: &history, intent: &self.intent, now: self.at };
        make(&ask).plan
    }

    /// Carries a plan out in an instant, then lets so much time pass that new machines are old.
    fn apply(&mut self, plan: &Plan) {
        let mut ids: BTreeMap<Address, String> = BTreeMap::new();
        for (i, step) in plan.steps.iter().enumerate() {
            assert!(step.needs.iter().all(|n| (*n as usize) < i), "a step needs only earlier ones");
            assert!(!step.changes.is_empty());
            self.perform(step, &mut ids);
        }
        self.later(7200);
    }

    fn later(&mut self, seconds: i64) {
        self.at += SignedDuration::from_secs(seconds);
        self.seen.at = self.at;
    }

    fn settle(&mut self) {
        let plan = self.plan();
        self.apply(&plan);
        let again = self.plan();
        assert!(again.is_empty() && again.held.is_empty(), "not settled: {:#?} {:#?}", again.changes, again.held);
    }

    fn object(&mut self, kind: Kind, zone: &str, tags: BTreeMap<String, String>, fields: Fields) -> Object {
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

    fn find(&mut self, id: &str) -> &mut Object {
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

    fn kill(&mut self, id: &str) {
        self.find(id).phase = Phase::Gone;
        self.find(id).says = "Client.UserInitiatedShutdown".into();
        for o in &mut self.seen.objects {
            if o.attached.as_ref().is_some_and(|a| a.to == id) {
                o.attached = None;
            }
        }
    }

    fn id_of(&self, address: &str) -> String {
        let history = History::new();
        let s = survey(&self.desired, &self.seen, &history, false, self.at);
        let a: Address = address.parse().unwrap();
        s.groups[&a.group].alive(a.slot).next().unwrap().object.id.clone()
    }
}

fn user_tags(tags: &BTreeMap<String, String>) -> Value {
    let own = tags.iter().filter(|(k, _)| !k.starts_with(tag::OURS));
    Value::Map(own.map(|(k, v)| (k.clone(), v.clone().into())).collect())
}

fn lines(plan: &Plan) -> Vec<String> {
    let one = |c: &Change| {
        let why: Vec<_> = c.reasons.iter().map(|r| format!("{:?} {}", r.why, r.says)).collect();
        format!("{:?} {} {} {}", c.action, c.address, c.zone, why.join("; "))
    };
    plan.changes.iter().map(one).collect()
}

fn launches(plan: &Plan) -> Vec<String> {
    let of = |s: &Step| match &s.does {
        Do::Call(Call::Launch(l)) => Some(format!("{} {}", l.tag, l.places[0].zone)),
        Do::Call(_) | Do::Wait(_) => None,
    };
    plan.steps.iter().filter_map(of).collect()
}

#[test]
fn a_new_group_is_one_launch_a_zone_and_then_nothing() {
    let mut w = World::new(7);
    let plan = w.plan();
    assert_eq!(launches(&plan), ["g1 s0-6/3 a", "g1 s1,4 b", "g1 s2,5 c"]);
    assert_eq!((plan.changes.len(), plan.forecast[0].after), (7, 7));
    w.settle();
}

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
fn a_moved_security_group_is_drift_and_goes_back() {
    let mut w = World::new(3);
    w.settle();
    let id = w.id_of("machines.web/1");
    w.find(&id).fields.insert("security-groups".into(), Value::set(["sg-1", "sg-9"]));
    let plan = w.plan();
    assert_eq!(lines(&plan), ["Update machines.web/1 b Drifted security-groups [sg-1] → [sg-1, sg-9], set back"]);
    w.settle();
    assert_eq!(w.find(&id).fields["security-groups"], Value::set(["sg-1"]));
}

#[test]
fn a_new_image_in_the_file_rolls_launch_first_one_alone_and_then_in_waves() {
    let mut w = World::new(30);
    w.settle();
    w.seen.lookups.push(Answer {
        scope: String::new(),
        asked: Lookup::ImageById("ami-2".into()),
        found: Found::Image { id: "ami-2".into(), name: String::new(), created: None, root_device: None },
    });
    w.desired.machines.get_mut("web").unwrap().image = Image::Id("ami-2".into());
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Replace && c.fields[0].forces_replacement.is_some()));
    let waves: Vec<u32> = plan
        .steps
        .iter()
        .filter_map(|s| match &s.does {
            Do::Call(Call::Launch(l)) => Some(l.tag.slots.len()),
            Do::Call(_) | Do::Wait(_) => None,
        })
        .collect();
    assert_eq!(waves.iter().sum::<u32>(), 30);
    assert_eq!(waves[0], 1, "a canary goes first");
    assert_eq!(plan.forecast[0].floor, 30);
    w.settle();
}

#[test]
fn an_image_lookup_that_moved_is_a_note_and_no_change() {
    let mut w = World::new(3);
    w.settle();
    w.seen.lookups[0].found =
        Found::Image { id: "ami-2".into(), name: "al2023-new".into(), created: None, root_device: None };
    let plan = w.plan();
    assert!(plan.is_empty());
    assert_eq!((plan.notes.len(), plan.notes[0].kind.as_str()), (1, "outdated"));
    w.desired.machines.get_mut("web").unwrap().follow = Follow::Always;
    assert_eq!(w.plan().changes[0].reasons[0].why, Why::Outdated);
    w.settle();
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

#[test]
fn the_order_of_the_listing_does_not_matter() {
    let mut w = World::new(9);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    for slot in [1, 5, 7] {
        let id = w.id_of(&format!("machines.web/{slot}"));
        w.kill(&id);
    }
    let one = w.plan();
    w.seen.objects.reverse();
    assert_eq!(one, w.plan());
}

#[test]
fn a_bound_volume_follows_its_machine() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let (old, data) = (w.id_of("machines.web/2"), w.id_of("volumes.data/2"));
    assert_eq!(w.find(&data).attached.as_ref().unwrap().to, old);
    let at = w.at;
    for s in &mut w.find(&old).signals {
        (s.reading, s.since) = (Reading::Bad, Some(at - SignedDuration::from_hours(1)));
    }
    let plan = w.plan();
    assert_eq!((plan.changes.len(), plan.changes[0].action), (1, Action::Replace), "{:?}", lines(&plan));
    assert!(plan.changes[0].how.contains("data/2 follows"));
    w.settle();
    let new = w.id_of("machines.web/2");
    assert_ne!(new, old);
    assert_eq!(w.find(&data).attached.as_ref().unwrap().to, new);
    w.kill(&new);
    w.settle();
    let third = w.id_of("machines.web/2");
    assert_eq!(w.find(&data).attached.as_ref().unwrap().to, third);
}

#[test]
fn data_removed_from_the_file_is_kept_then_deleted_and_putting_it_back_cancels() {
    let mut w = World::new(1);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let data = w.desired.volumes.remove("data").unwrap();
    let plan = w.plan();
    assert_eq!(plan.changes[0].action, Action::Quarantine);
    w.apply(&plan);
    let kept = w.plan();
    assert!(kept.is_empty() && kept.held[0].by == Hold::Quarantine && kept.look_again_at.is_some());
    w.desired.volumes.insert("data".into(), data);
    assert_eq!(w.plan().changes[0].action, Action::Release);
    w.settle();
    w.desired.volumes.clear();
    let plan = w.plan();
    w.apply(&plan);
    w.later(8 * 24 * 3600);
    assert_eq!(w.plan().changes[0].action, Action::Delete);
    w.settle();
}

#[test]
fn deletes_are_capped_and_emptying_needs_leave() {
    let mut w = World::new(6);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 3;
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held.len() == 3 && plan.held[0].by == Hold::DeleteCap);
    w.intent.max_deletes = Some(Amount::Count(3));
    assert_eq!(w.plan().changes.len(), 3);
    w.settle();
    w.desired.machines.clear();
    let plan = w.plan();
    assert!(plan.held.iter().all(|h| h.by == Hold::ZeroDesired && h.by.is_refusal()) && plan.is_empty());
    w.intent.allow_empty = true;
    assert_eq!(w.plan().changes.len(), 3);
}

#[test]
fn destroy_leaves_nothing_of_ours_and_everything_of_others() {
    let mut w = World::new(3);
    w.desired.volumes.insert("data".into(), volume());
    w.settle();
    let mut other = w.seen.objects[0].clone();
    other.id = "i-other".into();
    other.tags.insert(tag::STACK.into(), "zzz22222".into());
    w.seen.objects.push(other);
    w.intent.destroy = true;
    let plan = w.plan();
    w.apply(&plan);
    let left: Vec<_> = w.seen.objects.iter().filter(|o| o.phase.alive()).map(|o| o.id.clone()).collect();
    assert_eq!(left, ["i-other"]);
}

#[test]
fn a_protected_machine_is_not_ended() {
    let mut w = World::new(2);
    w.desired.machines.get_mut("web").unwrap().protect = true;
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 1;
    let plan = w.plan();
    assert!(plan.is_empty() && plan.held[0].by == Hold::Protection);
}

#[test]
fn a_type_change_stops_only_where_one_may_be_missing() {
    let mut w = World::new(3);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().types = vec!["m5.large".into()];
    assert!(w.plan().changes.iter().all(|c| c.action == Action::Replace));
    w.desired.policy.max_unavailable = Amount::Count(1);
    let plan = w.plan();
    assert!(plan.changes.iter().all(|c| c.action == Action::Update));
    assert_eq!(plan.forecast[0].floor, 2);
    w.settle();
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
fn growing_uses_the_emptiest_zone_and_a_lost_zone_of_the_file_moves() {
    let mut w = World::new(4);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().count = 6;
    assert_eq!(launches(&w.plan()), ["g1 s4 b", "g1 s5 c"]);
    w.settle();
    w.desired.machines.get_mut("web").unwrap().spread = Spread::Zones(vec!["a".into(), "b".into()]);
    let plan = w.plan();
    assert_eq!(plan.changes.len(), 2);
    assert!(plan.changes.iter().all(|c| c.action == Action::Replace && c.zone != "c"), "{:?}", lines(&plan));
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
