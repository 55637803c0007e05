//! The world as the declaration sees it: every object in its slot, with its verdict.
//!
//! `plan` and `status` start here, so that they can never disagree. Nothing is decided yet.

mod stripped;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::address::{Address, Group, Kind};
use crate::applyset;
use crate::desired::{Desired, Layout, WaitFor};
use crate::digest::Digest;
use crate::failure::{Class, Failure};
use crate::health::{self, History, State, Verdict};
use crate::identity::{self, Claim};
use crate::launch::token_prefix;
use crate::lessons::Lessons;
use crate::make::is_ours;
use crate::nodes::{Joined, Nodes};
use crate::observed::{Gap, Object, Observed, Signal};
use crate::plan::Note;
use crate::scopes::{self, LookedAt};
use crate::shared::{Pool, Shared};
use crate::situation::{self, Freeze, Outages, Situation};
use crate::stamp::{LaunchTag, Vector, tag};

/// What earlier looks remembered. Empty is fine: verdicts then take longer, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Per object.
    pub objects: History,
    /// Per scope.
    pub outages: BTreeMap<String, Outages>,
    /// Of runs.
    pub lessons: Lessons,
    /// Where objects of ours were.
    pub scopes: Vec<LookedAt>,
    /// The machine or volume that was last seen in each slot of the file.
    pub slots: BTreeMap<Address, String>,
    /// The uid of each object of the file that was last seen in a cluster, by the cluster's scope.
    pub there: BTreeMap<String, BTreeMap<Address, String>>,
    /// Volumes of ours that were seen at a machine. One that hangs nowhere now was taken from there.
    pub hung: BTreeSet<String>,
}

/// One object of ours, in its slot.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// What the world shows.
    pub object: &'a Object,
    /// How it was launched; `None` where its marks are gone.
    pub launch: Option<Shared<LaunchTag>>,
    /// What was last applied; `None` where the stamp cannot be read.
    pub vector: Option<Shared<Vector>>,
    /// How it is.
    pub verdict: Shared<Verdict>,
    /// The node that stands on it.
    pub node: Option<Joined<'a>>,
    /// What its cluster says about it.
    pub others: Vec<Signal>,
}

/// One group, declared or left over.
#[derive(Debug, Clone, Default)]
pub struct GroupSurvey<'a> {
    /// Everything that claims a slot, the dead included, by slot; newest generation first.
    pub slots: BTreeMap<u32, Vec<Member<'a>>>,
    /// Its scope's alias.
    pub scope: String,
}

/// The world in the declaration's terms.
#[derive(Debug, Clone)]
pub struct Survey<'a> {
    /// Declared groups, and groups that live objects name.
    pub groups: BTreeMap<Group, GroupSurvey<'a>>,
    /// What the machines of each scope have in common.
    pub situations: BTreeMap<String, Situation>,
    /// What the next look should remember of each scope's situation.
    outages: BTreeMap<String, Outages>,
    /// Objects that are not ours to touch, and why; duplicates are not among them.
    pub notes: Vec<Note>,
    /// Ids of objects held back because something else owns them.
    pub foreign: BTreeSet<String>,
    /// Slots that such an object holds by our own marks: nothing is launched beside it. Its id, and whose it is.
    pub occupied: BTreeMap<Address, (String, String)>,
    /// Ids of all members.
    ids: BTreeSet<&'a str>,
    /// The survey of a group that nobody knows.
    none: GroupSurvey<'a>,
}

impl Member<'_> {
    /// Still there, or coming.
    pub fn alive(&self) -> bool {
        self.object.phase.alive()
    }

    /// Serves now.
    pub fn ready(&self) -> bool {
        self.alive() && self.verdict.ready()
    }

    /// Serves, or is on its way to.
    pub fn well_or_coming(&self) -> bool {
        self.ready() || matches!(self.verdict.state, State::Starting { .. })
    }

    /// The generation it was launched as; 0 where unknown.
    pub fn generation(&self) -> u32 {
        self.launch.as_ref().map_or(0, |l| l.generation)
    }

    /// Bears the protection mark.
    pub fn protected(&self) -> bool {
        self.object.tags.get(tag::PROTECT).is_some_and(|v| v == "true")
    }

    /// Until when it is kept in quarantine, if it is.
    pub fn quarantined_until(&self) -> Option<Timestamp> {
        self.object.tags.get(tag::QUARANTINE).and_then(|t| t.parse().ok())
    }
}

impl<'a> GroupSurvey<'a> {
    /// Live claimants of a slot.
    pub fn alive(&self, slot: u32) -> impl Iterator<Item = &Member<'a>> {
        self.slots.get(&slot).into_iter().flatten().filter(|m| m.alive())
    }

    /// All live members with their slots.
    pub fn members(&self) -> impl Iterator<Item = (u32, &Member<'a>)> {
        self.slots.iter().flat_map(|(s, all)| all.iter().filter(|m| m.alive()).map(|m| (*s, m)))
    }

    /// A live member that is in another scope than the group: the file has moved the group.
    pub fn astray(&self) -> Option<&Member<'a>> {
        self.members().map(|(_, m)| m).find(|m| m.object.scope != self.scope)
    }

    /// How many slots have somebody who serves; two in one slot count once.
    pub fn ready_slots(&self) -> u32 {
        u32::try_from(self.slots.values().filter(|all| all.iter().any(Member::ready)).count()).unwrap_or(u32::MAX)
    }

    /// The newest generation ever seen in a slot, dead ones included; 0 for none.
    pub fn newest(&self, slot: u32) -> u32 {
        self.slots.get(&slot).into_iter().flatten().map(Member::generation).max().unwrap_or(0)
    }

    /// Until when a member of this slot is on its way although no list shows it yet: another member of its launch is
    /// there, and the launch is younger than `grace` seconds. EC2 launches a batch whole, and lists catch up later.
    pub fn launching(&self, slot: u32, now: Timestamp, grace: u64) -> Option<Timestamp> {
        let grace = SignedDuration::from_secs(i64::try_from(grace).unwrap_or(i64::MAX));
        let newest = self.newest(slot);
        let siblings = self.slots.values().flatten().filter(|m| {
            let of = |l: &LaunchTag| l.only.is_none() && l.generation > newest && l.slots.iter().any(|s| s == slot);
            m.launch.as_deref().is_some_and(of)
        });
        siblings.filter_map(|m| m.object.created.checked_add(grace).ok()).filter(|until| *until > now).max()
    }

    /// The fingerprint of a slot: everything about its live claimants that can justify a change. Time stamps, and
    /// the difference between coming and being there, are left out: they move without meaning.
    pub fn fingerprint(&self, slot: u32) -> Digest {
        let rows: Vec<_> = self
            .alive(slot)
            .map(|m| {
                let o = m.object;
                let marks: BTreeMap<_, _> = o.tags.iter().filter(|(k, _)| k.starts_with(tag::OURS)).collect();
                let mut bad: Vec<_> = o.signals.iter().chain(&m.others).map(|s| (s.source, s.reading)).collect();
                // The order of a listing is no change.
                bad.sort_unstable();
                let up = matches!(o.phase, crate::observed::Phase::Starting | crate::observed::Phase::Up);
                let ill = (!m.well_or_coming()).then_some(bad);
                let mut row = serde_json::json!([o.id, up, o.zone, o.fields, marks, o.attached, ill]);
                // How it leaves depends on the node that stands on it.
                if let (Some(row), Some(j)) = (row.as_array_mut(), m.node) {
                    row.push(serde_json::json!([j.scope, j.name, j.node.uid]));
                }
                row
            })
            .collect();
        Digest::of_json(&rows)
    }
}

/// Sorts everything into slots and judges it. `force` takes objects that other tools mark as theirs too.
pub fn survey<'a>(desired: &Desired, seen: &'a Observed, memory: &Memory, force: bool, now: Timestamp) -> Survey<'a> {
    let mut known = Known {
        desired,
        past: &memory.objects,
        nodes: Nodes::of(seen),
        now,
        launches: BTreeMap::new(),
        vectors: BTreeMap::new(),
        verdicts: Pool::default(),
    };
    let mut out = Survey {
        groups: BTreeMap::new(),
        situations: BTreeMap::new(),
        outages: memory.outages.clone(),
        notes: vec![],
        foreign: BTreeSet::new(),
        occupied: BTreeMap::new(),
        ids: BTreeSet::new(),
        none: GroupSurvey::default(),
    };
    for (name, g) in &desired.machines {
        out.groups.entry(Group::machines(name)).or_default().scope.clone_from(&g.scope);
    }
    for (name, g) in &desired.volumes {
        out.groups.entry(Group::volumes(name)).or_default().scope.clone_from(&g.scope);
    }
    let groups: Vec<Group> = out.groups.keys().cloned().collect();
    let declared = |g: &Group, key: &str| match g.kind {
        Kind::Machines => desired.machines.get(&g.name).is_some_and(|g| g.tags.contains_key(key)),
        Kind::Volumes => desired.volumes.get(&g.name).is_some_and(|g| g.tags.contains_key(key)),
        Kind::Workloads | Kind::Manifests => false,
    };
    let mut stripped = vec![];
    let mut hanging = vec![];
    for object in &seen.objects {
        let note = |kind: &str, says: String| Note { kind: kind.into(), about: object.id.clone(), says };
        let claim = identity::claim_by(object, &desired.stack.id, &groups, declared, |mark| known.launch(mark));
        match claim {
            Claim::Slot(address, launch) => out.add(&mut known, address, object, Some(launch)),
            // Nobody's by its marks, or ours in part. Where it hangs may tell more.
            Claim::Stripped(_) | Claim::Unmarked if object.kind == Kind::Volumes => hanging.push(object),
            Claim::Unmarked => {}
            Claim::Stripped(Some(group)) => stripped.push((group, object)),
            Claim::Stripped(None) => out.notes.push(note(
                "unclear",
                "its client token says that this stack launched it, its marks are gone and its group is unknown".into(),
            )),
            Claim::Copied => out.notes.push(note(
                "copied-tags",
                "bears this stack's tags but was not launched by it; it is left alone".into(),
            )),
            Claim::Foreign(who) if force => {
                out.notes.push(note("foreign", format!("is also managed by {who}; --force takes it all the same")));
                let mut own = object.clone();
                own.tags.retain(|k, _| k.starts_with(tag::OURS));
                match identity::claim(&own, &desired.stack.id, &groups, declared) {
                    Claim::Slot(address, launch) => out.add(&mut known, address, object, Some(launch)),
                    Claim::Stripped(_) | Claim::Copied | Claim::Unmarked | Claim::Foreign(_) => {}
                }
            }
            Claim::Foreign(who) => {
                out.foreign.insert(object.id.clone());
                let claim = identity::claim(&bare(object, &desired.stack.id), &desired.stack.id, &groups, declared);
                if let (Claim::Slot(address, _), true) = (claim, object.phase.alive()) {
                    let group = desired.renamed.get(&address.group).cloned().unwrap_or(address.group);
                    let by = (object.id.clone(), who.clone());
                    // Of several the first by id is named, whatever the order of the listing.
                    let first = out.occupied.entry(group.slot(address.slot)).or_insert_with(|| by.clone());
                    *first = by.min(first.clone());
                }
                out.notes.push(note("foreign", format!("is managed by {who}; it is left alone")));
            }
        }
    }
    out.settle_machines(&mut known, stripped);
    out.settle_volumes(&mut known, hanging);
    for g in out.groups.values_mut() {
        for members in g.slots.values_mut() {
            members.sort_by(|a, b| {
                (b.generation(), a.object.created, &a.object.id).cmp(&(a.generation(), b.object.created, &b.object.id))
            });
        }
    }
    out.assess(desired, seen, now);
    out
}

/// What each object is judged by.
struct Known<'k, 'a> {
    desired: &'k Desired,
    past: &'k History,
    nodes: Nodes<'a>,
    now: Timestamp,
    /// Marks that were read.
    launches: BTreeMap<&'a str, Option<Shared<LaunchTag>>>,
    vectors: BTreeMap<&'a str, Option<Shared<Vector>>>,
    verdicts: Pool<Verdict>,
}

impl<'a> Known<'_, 'a> {
    fn launch(&mut self, mark: &'a str) -> Option<Shared<LaunchTag>> {
        self.launches.entry(mark).or_insert_with(|| mark.parse().ok().map(|l: LaunchTag| l.into())).clone()
    }

    fn vector(&mut self, stamp: &'a str) -> Option<Shared<Vector>> {
        self.vectors.entry(stamp).or_insert_with(|| stamp.parse().ok().map(|v: Vector| v.into())).clone()
    }
}

/// The object as its own marks alone describe it; where our token shows who launched it, the stack's mark is taken as
/// ours, whatever it says now.
fn bare(object: &Object, stack: &str) -> Object {
    let mut tags = object.tags.clone();
    tags.retain(|k, _| k.starts_with(tag::OURS));
    if object.token.as_ref().is_some_and(|t| t.starts_with(&token_prefix(stack))) {
        tags.insert(tag::STACK.into(), stack.to_owned());
    }
    Object { tags, ..object.clone() }
}

impl<'a> Survey<'a> {
    /// The live claimants of an address.
    pub fn alive(&self, address: &Address) -> impl Iterator<Item = &Member<'a>> {
        self.groups.get(&address.group).into_iter().flat_map(|g| g.alive(address.slot))
    }

    /// The survey of a group; empty for one that neither the file nor the world knows.
    pub fn group(&self, group: &Group) -> &GroupSurvey<'a> {
        self.groups.get(group).unwrap_or(&self.none)
    }

    /// The live fingerprint of a machine's or a volume's address, to hold against a plan's. For Kubernetes objects see
    /// [`crate::make::object_fingerprint`].
    pub fn fingerprint(&self, address: &Address) -> Digest {
        self.groups
            .get(&address.group)
            .map_or_else(|| GroupSurvey::default().fingerprint(0), |g| g.fingerprint(address.slot))
    }

    /// What of the machines' health could not be seen: in these scopes no repair is decided upon, and a look that
    /// finds nothing to do has not found that all is well.
    pub fn blind(&self) -> Vec<Gap> {
        let blind = |(scope, found): (&String, &Situation)| {
            let (_, evidence) = found.frozen.as_ref().filter(|(freeze, _)| *freeze == Freeze::Blind)?;
            Some(Gap {
                scope: scope.clone(),
                kind: Some(Kind::Machines),
                what: "health".to_owned(),
                failure: Failure::new(Class::Invalid, "", evidence.says.clone()),
                partial: true,
            })
        };
        self.situations.iter().filter_map(blind).collect()
    }

    /// Whether the object with this id, dead or alive, is of one of the groups.
    pub fn knows(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// The volumes bound to a machine's slot by `for`, alive, with their addresses.
    pub fn bound(&self, desired: &Desired, machine: &Address) -> Vec<(Address, Member<'a>)> {
        let groups = desired.volumes.iter().filter(|(_, g)| g.layout == Layout::For(machine.group.clone()));
        groups
            .filter_map(|(name, _)| {
                let address = Group::volumes(name).slot(machine.slot);
                let member = self.groups.get(&address.group)?.alive(machine.slot).next()?.clone();
                Some((address, member))
            })
            .collect()
    }

    fn add(
        &mut self,
        known: &mut Known<'_, 'a>,
        address: Address,
        object: &'a Object,
        launch: Option<Shared<LaunchTag>>,
    ) {
        let desired = known.desired;
        // `renamed-from`: the marks say the old name, the file the new one; the stamp is put right by a restamp.
        let group = desired.renamed.get(&address.group).cloned().unwrap_or(address.group);
        let wait = match group.kind {
            Kind::Machines => desired.machines.get(&group.name).map_or(WaitFor::Healthy, |g| g.wait),
            Kind::Volumes | Kind::Workloads | Kind::Manifests => WaitFor::Running,
        };
        let node = known.nodes.on(object);
        let declared = Some(&group.name).filter(|_| group.kind == Kind::Machines).and_then(|n| desired.machines.get(n));
        let others = known.nodes.say(object, declared, &desired.policy, known.now);
        let past = known.past.get(&object.id);
        let verdict = health::judge_with(object, &others, wait, past, &desired.policy, known.now);
        let verdict = known.verdicts.share(verdict);
        let vector = object.tags.get(tag::SPEC).and_then(|stamp| known.vector(stamp));
        self.ids.insert(&object.id);
        // A group that the file does not name is where its first object is.
        let fresh = || GroupSurvey { scope: object.scope.clone(), ..GroupSurvey::default() };
        let entry = self.groups.entry(group).or_insert_with(fresh);
        // Nearly every slot has one.
        let slot = entry.slots.entry(address.slot).or_insert_with(|| Vec::with_capacity(1));
        slot.push(Member { object, launch, vector, verdict, node, others });
    }

    fn assess(&mut self, desired: &Desired, seen: &Observed, now: Timestamp) {
        let mut by_scope: BTreeMap<String, Vec<situation::Member>> = BTreeMap::new();
        let mut values = Pool::default();
        for (group, g) in self.groups.iter().filter(|(g, _)| g.kind == Kind::Machines) {
            for (_, m) in g.members() {
                let mut member = situation::Member::of(m.object, group, m.verdict.clone());
                member.values = values.share(member.values);
                by_scope.entry(m.object.scope.clone()).or_default().push(member);
            }
        }
        for (scope, seen) in &seen.scopes {
            let members = by_scope.remove(scope).unwrap_or_default();
            let mut found = situation::assess(&members, &seen.zones, &desired.policy, now);
            let outages = self.outages.entry(scope.clone()).or_default();
            situation::remember(&mut found, outages, &desired.policy, now);
            self.situations.insert(scope.clone(), found);
        }
    }

    /// What the next look should remember: what was remembered `before`, and this look. What is gone is forgotten; what
    /// could not be looked for is not gone.
    pub fn remember(&self, desired: &Desired, seen: &Observed, before: &Memory, now: Timestamp) -> Memory {
        let mut next = Memory { outages: self.outages.clone(), ..before.clone() };
        for g in self.groups.values() {
            for (_, m) in g.members() {
                health::remember(&mut next.objects, m.object, &m.verdict, now);
                if m.object.attached.is_some() {
                    next.hung.insert(m.object.id.clone());
                }
            }
        }
        let blind = seen.gaps.iter().any(|g| !g.partial && g.kind.is_none_or(|k| !k.is_kubernetes()));
        let shown: BTreeMap<&str, bool> = seen.objects.iter().map(|o| (o.id.as_str(), o.phase.alive())).collect();
        let stays = |id: &str| shown.get(id).copied().unwrap_or(blind);
        next.objects.retain(|id, _| stays(id));
        next.hung.retain(|id| stays(id));
        next.lessons.forget(stays, now);
        scopes::remember(&mut next.scopes, &desired.stack.id, seen);
        self.keep(desired, &mut next);
        keep_objects(desired, seen, &mut next);
        next
    }

    /// Notes who is in each slot; one that is not seen now stays noted for as long as the file has its group.
    fn keep(&self, desired: &Desired, next: &mut Memory) {
        let (all, ended) = (&mut next.slots, &next.lessons);
        let declared = |group: &Group| match group.kind {
            Kind::Machines => desired.machines.contains_key(&group.name),
            Kind::Volumes => desired.volumes.contains_key(&group.name),
            Kind::Workloads | Kind::Manifests => false,
        };
        all.retain(|address, id| declared(&address.group) && !ended.ended(id));
        for (group, g) in self.groups.iter().filter(|(g, _)| declared(g)) {
            for (slot, m) in g.members() {
                // Going out of the file, it is nobody's loss.
                match m.quarantined_until() {
                    Some(_) => drop(all.remove(&group.slot(slot))),
                    None => drop(all.insert(group.slot(slot), m.object.id.clone())),
                }
            }
        }
    }
}

/// Notes which objects of the file are there, by cluster; one that is not seen now stays noted for as long as the file
/// names it. What is not this stack's, or goes out of the file, is nobody's loss.
fn keep_objects(desired: &Desired, seen: &Observed, next: &mut Memory) {
    next.there.retain(|scope, _| desired.clusters.contains_key(scope));
    for (scope, cluster) in &seen.clusters {
        let before = next.there.remove(scope).unwrap_or_default();
        let bundles = desired.bundles.iter().filter(|(_, b)| b.scope == *scope);
        let named = bundles.flat_map(|(group, b)| b.objects.iter().map(move |w| (group, cluster.resolved(&w.object))));
        let noted = named.filter_map(|(group, object)| {
            let live = cluster.objects.get(&object);
            let address = group.object(object);
            let uid = match live {
                None => before.get(&address).cloned().filter(|uid| !next.lessons.ended(uid))?,
                Some(live) => {
                    let going = applyset::annotation(&live.body, applyset::DELETE_AFTER).is_some();
                    let ours = is_ours(&live.body, &desired.stack.id) && !next.lessons.ended(&live.uid);
                    Some(live.uid.clone()).filter(|_| ours && !going)?
                }
            };
            Some((address, uid))
        });
        let noted: BTreeMap<Address, String> = noted.collect();
        if !noted.is_empty() {
            next.there.insert(scope.clone(), noted);
        }
    }
}
