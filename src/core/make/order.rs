//! From what may happen to steps: launch first, fence before attach, verify after.
//!
//! The order is in the `needs` of each step, never in the run: a run may do at once whatever does not need each other.

mod nodes;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use self::nodes::Leaving;
use super::admit::{Admitted, GroupWork};
use super::{Candidate, Draft, Power};
use crate::address::{Address, Group};
use crate::desired::WaitFor;
use crate::diff::Difference;
use crate::digest::Digest;
use crate::expected::texts;
use crate::launch::{Launch, Place};
use crate::observed::Phase;
use crate::plan::{Call, Change, Do, Step, Target, Until, Wait};
use crate::shared::Shared;
use crate::slots::Slots;
use crate::stamp::{LaunchTag, Vector, tag};
use crate::value::Fields;

/// EC2 launches at most so many in one sensible call; a bigger group takes several.
const BATCH: usize = 500;
/// Ids in one call that takes many (`TerminateInstances`, `CreateTags`): EC2's own limit is 1,000.
const IDS: usize = 1_000;
/// Characters that the slots of a batch may take of a tag's 256; the rest is for lineage.
const SLOTS_WIDTH: usize = 120;
/// Ids of what a batch replaces stand in its mark: so many fit a tag's 256 characters beside the rest.
const REPLACES: usize = 7;
/// How long a machine may take to be gone, in seconds: EC2 takes seconds as a rule, minutes with big memory.
const GONE: u64 = 900;
/// How long a volume may take to be there, free or attached, in seconds.
const VOLUME: u64 = 300;

/// The values that a change in place asks for, tags left out.
pub(super) fn asked(c: &Candidate<'_>, which: impl Fn(&Difference) -> bool) -> Fields {
    let fields = c.differences.fields.iter().filter(|d| d.field.name != "tags" && which(d));
    fields.map(|d| (d.field.name.to_owned(), d.asked())).collect()
}

/// Whether a change is one of tags alone, of which many go in one call.
fn tags_only(c: &Candidate<'_>) -> bool {
    c.power == Power::Keeps && asked(c, |_| true).is_empty()
}

struct Order<'d, 'a> {
    draft: &'d mut Draft<'a>,
    changes: Vec<Change>,
    steps: Vec<Step>,
    /// Step after which the slot's machine is there: its wait.
    machine: BTreeMap<Address, u32>,
    /// Step after which the machine with this id is gone.
    gone: BTreeMap<String, u32>,
    /// Step after which a machine that is stopped or started on the way is up again, by its id.
    up: BTreeMap<String, u32>,
    /// Volumes that a hand-over already brings home.
    handed: BTreeSet<Address>,
}

/// All changes, sorted by address, and all steps.
pub(super) fn order<'a>(
    draft: &mut Draft<'a>,
    admitted: Admitted<'a>,
    left: Vec<Candidate<'a>>,
) -> (Vec<Change>, Vec<Step>) {
    let mut o = Order {
        draft,
        changes: vec![],
        steps: vec![],
        machine: BTreeMap::new(),
        gone: BTreeMap::new(),
        up: BTreeMap::new(),
        handed: BTreeSet::new(),
    };
    for (group, work) in admitted.machines {
        o.machines(&group, work);
    }
    o.volumes(admitted.volumes);
    o.forget(left);
    o.back();
    let Order { changes, steps, .. } = o;
    sorted(changes, steps)
}

/// Changes in address order, with the steps' indices following.
pub(super) fn sorted(changes: Vec<Change>, mut steps: Vec<Step>) -> (Vec<Change>, Vec<Step>) {
    let mut at: Vec<usize> = (0..changes.len()).collect();
    at.sort_by(|a, b| {
        let key = |i: usize| (&changes[i].address, changes[i].action, &changes[i].object);
        key(*a).cmp(&key(*b))
    });
    let mut new = vec![0u32; changes.len()];
    for (to, from) in at.iter().enumerate() {
        new[*from] = index(to);
    }
    for s in &mut steps {
        s.changes = s.changes.iter().map(|c| new[*c as usize]).collect();
        s.changes.sort_unstable();
    }
    let mut changes: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    (at.into_iter().filter_map(|i| changes[i].take()).collect(), steps)
}

fn index(n: usize) -> u32 {
    u32::try_from(n).expect("a plan has fewer than 2^32 steps")
}

impl<'a> Order<'_, 'a> {
    fn change(&mut self, change: Change) -> u32 {
        self.changes.push(change);
        index(self.changes.len() - 1)
    }

    fn step(&mut self, scope: &str, needs: &[u32], changes: &[u32], does: Do) -> u32 {
        let mut needs = needs.to_vec();
        needs.sort_unstable();
        needs.dedup();
        self.steps.push(Step { scope: scope.to_owned(), needs, changes: changes.to_vec(), does });
        index(self.steps.len() - 1)
    }

    fn wait(
        &mut self,
        scope: &str,
        needs: &[u32],
        changes: &[u32],
        targets: Vec<Target>,
        until: Until,
        within: u64,
    ) -> u32 {
        self.step(scope, needs, changes, Do::Wait(Wait { targets, until, within }))
    }

    fn scope(&self, group: &Group) -> String {
        self.draft.survey.groups.get(group).map(|g| g.scope.clone()).unwrap_or_default()
    }

    fn machines(&mut self, group: &Group, work: GroupWork<'a>) {
        let scope = self.scope(group);
        self.launch(group, &scope, &[], work.creates, false);
        let mut before = self.retire(group, &scope, work.retire);
        for wave in work.waves {
            before = self.replace(group, &scope, &before, wave);
        }
        self.update(&scope, work.updates, work.stops);
        self.stamp(&scope, work.stamps, &[]);
        // What a destroy ends may be in another scope than the file has its group in.
        let mut deletes: BTreeMap<String, Vec<Candidate<'a>>> = BTreeMap::new();
        for c in work.deletes {
            deletes.entry(c.scope(self.draft.survey).to_owned()).or_default().push(c);
        }
        for (scope, all) in deletes {
            self.terminate(&scope, all);
        }
    }

    /// Until what a new machine of the group is waited for, and for how long.
    fn readiness(&self, group: &Group, replaces: bool) -> (Until, u64) {
        let policy = &self.draft.ask.desired.policy;
        let wait = self.draft.ask.desired.machines.get(&group.name).map_or(WaitFor::Healthy, |g| g.wait);
        match (wait, replaces) {
            (WaitFor::Running, _) => (Until::Running, policy.startup.running),
            (WaitFor::Healthy | WaitFor::Ready, false) => {
                (Until::Healthy { warm: 0 }, policy.startup.running + policy.startup.healthy)
            }
            (WaitFor::Healthy | WaitFor::Ready, true) => {
                let warm = policy.repair.warmup;
                (Until::Healthy { warm }, policy.startup.running + policy.startup.healthy + warm)
            }
        }
    }

    /// Launches, in as few calls as can be: one for every place and content. Returns the waits by address.
    fn launch(
        &mut self,
        group: &Group,
        scope: &str,
        needs: &[u32],
        all: Vec<Candidate<'a>>,
        replaces: bool,
    ) -> BTreeMap<Address, (u32, u32)> {
        type Content = (Place, Shared<Vector>, u32, u32, Option<String>);
        let mut batches: BTreeMap<Content, Vec<Candidate<'a>>> = BTreeMap::new();
        for c in all {
            let Some(place) = c.place.clone() else { continue };
            let l = &c.lineage;
            let key = (place, c.vector.clone(), l.generation, l.attempt, l.chain.clone());
            batches.entry(key).or_default().push(c);
        }
        let mut out = BTreeMap::new();
        for ((place, vector, generation, attempt, chain), mut batch) in batches {
            batch.sort_by_key(|c| c.change.address.slot);
            while !batch.is_empty() {
                // What it replaces, or stands in for, is named in its mark.
                let most = match batch.iter().map(|c| c.beside.len()).max().unwrap_or(0) {
                    0 if replaces => REPLACES,
                    0 => BATCH,
                    n => (REPLACES / n).max(1),
                };
                let rest = batch.split_off(batch.len().min(most));
                let whole = Slots::new(batch.iter().map(|c| c.change.address.slot));
                let mut members = batch.into_iter();
                for slots in whole.fit(SLOTS_WIDTH) {
                    let part: Vec<Candidate<'a>> = members.by_ref().take(slots.len() as usize).collect();
                    let old: Vec<String> = part.iter().filter_map(|c| c.change.object.clone()).collect();
                    let beside = part.iter().flat_map(|c| &c.beside).cloned().collect();
                    let old = if replaces { old } else { beside };
                    let mark =
                        LaunchTag { slots, generation, replaces: old, attempt, chain: chain.clone(), only: None };
                    let changes: Vec<u32> = part.into_iter().map(|c| self.change(c.change)).collect();
                    self.launched(group, scope, needs, &changes, mark, &place, &vector, replaces, &mut out);
                }
                batch = rest;
            }
        }
        out
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one launch, each used once")]
    fn launched(
        &mut self,
        group: &Group,
        scope: &str,
        needs: &[u32],
        changes: &[u32],
        mark: LaunchTag,
        place: &Place,
        vector: &Vector,
        replaces: bool,
        out: &mut BTreeMap<Address, (u32, u32)>,
    ) {
        let (Some(spec), Some(declared)) =
            (self.draft.specs.get(&group.name), self.draft.ask.desired.machines.get(&group.name))
        else {
            return;
        };
        let first = mark.slots.get(0).unwrap_or(0);
        let script = crate::expected::script(self.draft.key(), declared, first, &place.zone).ok().flatten();
        let user_data: Option<Digest> = script.map(|s| s.digest);
        let own = ["type", "tags", "user-data"];
        let fields: Fields = spec
            .fields
            .iter()
            .filter(|(k, _)| !own.contains(&k.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let mut tags = texts(spec.fields.get("tags"));
        if declared.protect {
            tags.insert(tag::PROTECT.into(), "true".into());
        }
        let launch = Launch {
            stack: self.draft.ask.desired.stack.id.clone(),
            group: group.clone(),
            tag: mark,
            places: vec![place.clone()],
            types: super::machines::types(self.draft, declared, &place.zone),
            spec: fields,
            root_device: spec.root_device.clone(),
            user_data,
            vector: vector.clone(),
            tags,
        }
        .unused(&self.draft.ask.observed.objects);
        let addresses = launch.addresses();
        let call = self.step(scope, needs, changes, Do::Call(Call::Launch(launch)));
        let (until, within) = self.readiness(group, replaces);
        let targets: Vec<Target> = addresses.iter().cloned().map(Target::New).collect();
        let wait = self.wait(scope, &[call], changes, targets.clone(), until, within);
        let joined = self.joined(&group.name, wait, changes, targets);
        for (address, change) in addresses.into_iter().zip(changes) {
            self.machine.insert(address.clone(), wait);
            out.insert(address, (joined, *change));
        }
    }

    /// One wave: the new ones first, and when each is ready its old one goes and its data follows.
    fn replace(&mut self, group: &Group, scope: &str, needs: &[u32], wave: Vec<Candidate<'a>>) -> Vec<u32> {
        let old: BTreeMap<Address, Candidate<'a>> =
            wave.iter().map(|c| (c.change.address.clone(), c.clone())).collect();
        let ready = self.launch(group, scope, needs, wave, true);
        let mut ends = Vec::new();
        let mut by_wait: BTreeMap<u32, Vec<(Address, u32)>> = BTreeMap::new();
        for (address, (wait, change)) in ready {
            by_wait.entry(wait).or_default().push((address, change));
        }
        for (wait, all) in by_wait {
            let leaving = |(address, change): &(Address, u32)| {
                let c = old.get(address)?;
                Some(Leaving { change: *change, id: c.change.object.clone()?, member: c.member.clone() })
            };
            let (gone, last) = self.part(scope, &[wait], all.iter().filter_map(leaving).collect());
            ends.extend(last);
            for (address, change) in &all {
                let Some(id) = old.get(address).and_then(|c| c.change.object.clone()) else { continue };
                let Some(gone) = gone.get(&id).copied() else { continue };
                ends.extend(self.hand_over(scope, gone, *change, address, &id, &Target::New(address.clone())));
            }
        }
        ends
    }

    /// Terminates machines and waits until they are gone: the fence.
    fn end(&mut self, scope: &str, needs: &[u32], changes: &[u32], ids: Vec<String>) -> u32 {
        let mut needs = needs.to_vec();
        for part in ids.chunks(IDS) {
            let call = self.step(scope, &needs, changes, Do::Call(Call::Terminate(part.to_vec())));
            needs = vec![call];
        }
        let targets = ids.iter().cloned().map(Target::Id).collect();
        let gone = self.wait(scope, &needs, changes, targets, Until::Terminated, GONE);
        self.gone.extend(ids.into_iter().map(|id| (id, gone)));
        gone
    }

    /// The slot's volumes go from a machine that is gone to its successor.
    fn hand_over(
        &mut self,
        scope: &str,
        gone: u32,
        change: u32,
        machine: &Address,
        old: &str,
        new: &Target,
    ) -> Vec<u32> {
        let mut ends = Vec::new();
        for (volume, member) in self.draft.survey.bound(self.draft.ask.desired, machine) {
            if member.object.attached.as_ref().is_none_or(|a| a.to != old) {
                continue;
            }
            self.handed.insert(volume.clone());
            let free = Target::Id(member.object.id.clone());
            let wait = self.wait(scope, &[gone], &[change], vec![free.clone()], Until::Free, VOLUME);
            ends.push(self.attach(scope, &[wait], change, &volume, free, new.clone()));
        }
        ends
    }

    fn attach(
        &mut self,
        scope: &str,
        needs: &[u32],
        change: u32,
        address: &Address,
        volume: Target,
        machine: Target,
    ) -> u32 {
        let device =
            self.draft.ask.desired.volumes.get(&address.group.name).map_or("/dev/sdf".to_owned(), |g| g.device.clone());
        let mut needs = needs.to_vec();
        needs.extend(self.booted(scope, change, &machine));
        let call = Call::Attach { volume: volume.clone(), machine, device };
        let call = self.step(scope, &needs, &[change], Do::Call(call));
        self.wait(scope, &[call], &[change], vec![volume], Until::Attached, VOLUME)
    }

    /// The step after which a machine that is there takes volumes: EC2 attaches nothing to one that boots or stops. An
    /// earlier run may have launched it a moment ago, and this one may stop or start it.
    fn booted(&mut self, scope: &str, change: u32, machine: &Target) -> Option<u32> {
        let id = match machine {
            Target::Id(id) => id,
            // Its launch is waited for.
            Target::New(_) => return None,
        };
        if let Some(up) = self.up.get(id) {
            return Some(*up);
        }
        let boots = self.draft.ask.observed.object(id).is_some_and(|m| m.phase == Phase::Starting);
        let within = self.draft.ask.desired.policy.startup.running;
        boots.then(|| self.wait(scope, &[], &[change], vec![machine.clone()], Until::Running, within))
    }

    /// Earlier generations and duplicates: when their successor is ready, they go.
    fn retire(&mut self, group: &Group, scope: &str, all: Vec<Candidate<'a>>) -> Vec<u32> {
        let mut ends = Vec::new();
        for c in all {
            let address = c.change.address.clone();
            let Some(id) = c.change.object.clone() else { continue };
            let (successor, member) = (c.successor.clone(), c.member.clone());
            let change = self.change(c.change);
            let needs: Vec<u32> = match &successor {
                Some(new) => {
                    let (until, within) = self.readiness(group, true);
                    let new = vec![Target::Id(new.clone())];
                    let up = self.wait(scope, &[], &[change], new.clone(), until, within);
                    vec![self.joined(&group.name, up, &[change], new)]
                }
                None => vec![],
            };
            let (gone, last) = self.part(scope, &needs, vec![Leaving { change, id: id.clone(), member }]);
            ends.extend(last);
            let Some(gone) = gone.get(&id).copied() else { continue };
            let keeper = self.draft.survey.alive(&address).find(|m| m.object.id != id).map(|m| m.object.id.clone());
            if let Some(new) = successor.or(keeper) {
                ends.extend(self.hand_over(scope, gone, change, &address, &id, &Target::Id(new)));
            }
        }
        ends
    }

    /// Changes in place; those that stop a machine, so many at a time.
    fn update(&mut self, scope: &str, all: Vec<Candidate<'a>>, stops: u32) {
        let (stopping, live): (Vec<_>, Vec<_>) = all.into_iter().partition(|c| c.power == Power::Stops);
        let (tags, live): (Vec<_>, Vec<_>) = live.into_iter().partition(tags_only);
        self.stamp(scope, tags, &[]);
        for c in live {
            self.change_in_place(scope, &[], c);
        }
        let mut before: Vec<u32> = vec![];
        let mut stopping = stopping.into_iter();
        loop {
            let wave: Vec<_> = stopping.by_ref().take(stops.max(1) as usize).collect();
            if wave.is_empty() {
                break;
            }
            before = wave.into_iter().flat_map(|c| self.change_stopped(scope, &before, c)).collect();
        }
    }

    fn change_in_place(&mut self, scope: &str, needs: &[u32], c: Candidate<'a>) {
        let Some(id) = c.change.object.clone() else { return };
        let group = c.change.address.group.clone();
        let restart = c.power == Power::Starts;
        let mut last = needs.to_vec();
        let mut changed = vec![];
        // What can change only while it is stopped changes before it is started.
        let stopped = self.fields_call(&c, &id, |d| restart && d.needs_stop());
        let call = self.fields_call(&c, &id, |d| !(restart && d.needs_stop()));
        let stopping = c.member.as_ref().is_some_and(|m| m.object.phase == Phase::Stopping);
        let (set, unset) = self.marks(&c);
        let change = self.change(c.change);
        if restart {
            if stopping {
                last = vec![self.wait(scope, &last, &[change], vec![Target::Id(id.clone())], Until::Stopped, GONE)];
            }
            if let Some(call) = stopped {
                last = vec![self.step(scope, &last, &[change], Do::Call(call))];
                changed.clone_from(&last);
            }
            let start = self.step(scope, &last, &[change], Do::Call(Call::Start(vec![id.clone()])));
            let (until, within) = self.readiness(&group, false);
            let up = self.wait(scope, &[start], &[change], vec![Target::Id(id.clone())], until, within);
            self.up.insert(id.clone(), up);
            last = vec![up];
        }
        if let Some(call) = call {
            last = vec![self.step(scope, &last, &[change], Do::Call(call))];
        }
        // The start comes even after a change that could not be; the stamp does not.
        last.extend(changed);
        self.step(scope, &last, &[change], Do::Call(Call::Tag { ids: vec![id], set, unset }));
    }

    /// Stopped, changed, started; the steps after which that is done, so that the next one's turn is only when it is.
    fn change_stopped(&mut self, scope: &str, needs: &[u32], c: Candidate<'a>) -> Vec<u32> {
        let id = c.change.object.clone().unwrap_or_default();
        let group = c.change.address.group.clone();
        let target = vec![Target::Id(id.clone())];
        let call = self.fields_call(&c, &id, |_| true);
        let (set, unset) = self.marks(&c);
        let change = self.change(c.change);
        let leaving = Leaving { change, id: id.clone(), member: c.member };
        let (needs, node) = self.emptied(needs, &leaving);
        let stop = self.step(scope, &needs, &[change], Do::Call(Call::Stop(vec![id.clone()])));
        let mut last = self.wait(scope, &[stop], &[change], target.clone(), Until::Stopped, GONE);
        if let Some(call) = call {
            last = self.step(scope, &[last], &[change], Do::Call(call));
        }
        let stamp = self.step(scope, &[last], &[change], Do::Call(Call::Tag { ids: vec![id.clone()], set, unset }));
        // It needs the change and not the stamp: it comes even where the change could not be.
        let start = self.step(scope, &[last], &[change], Do::Call(Call::Start(vec![id.clone()])));
        let (until, within) = self.readiness(&group, true);
        let up = self.wait(scope, &[start], &[change], target.clone(), until, within);
        self.up.insert(id, up);
        let up = self.joined(&group.name, up, &[change], target);
        vec![stamp, node.map_or(up, |node| self.uncordon(&[up], change, &node))]
    }

    /// The call that changes these fields of a candidate, tags left out.
    fn fields_call(&self, c: &Candidate<'a>, id: &str, which: impl Fn(&Difference) -> bool) -> Option<Call> {
        let fields = asked(c, which);
        let links = c.member.as_ref().map(|m| m.object.links.clone()).unwrap_or_default();
        let kind = c.change.address.group.kind;
        (!fields.is_empty()).then(|| Call::Change { id: id.to_owned(), kind, fields, links })
    }

    /// Tags to set and to take away after a change: the stamp, the user's tags that differ, lost marks.
    fn marks(&self, c: &Candidate<'a>) -> (BTreeMap<String, String>, Vec<String>) {
        let mut set = BTreeMap::from([(tag::SPEC.to_owned(), c.vector.to_string())]);
        let mut unset = Vec::new();
        if let Some(d) = c.differences.fields.iter().find(|d| d.field.name == "tags") {
            set.extend(texts(Some(&d.want)));
            unset.clone_from(&d.dropped);
        }
        let address = &c.change.address;
        if let Some(m) = &c.member {
            if m.object.tags.get(tag::STACK) != Some(&self.draft.ask.desired.stack.id) {
                set.insert(tag::STACK.into(), self.draft.ask.desired.stack.id.clone());
            }
            if m.object.tags.get(tag::ADDRESS) != Some(&address.group.to_string()) {
                set.insert(tag::ADDRESS.into(), address.group.to_string());
            }
            if m.launch.is_none() {
                let mut mark = LaunchTag::first(Slots::new([address.slot]));
                mark.only = Some(m.object.id.clone());
                set.insert(tag::LAUNCH.into(), mark.to_string());
            }
        }
        (set, unset)
    }

    /// Marks alone: equal ones in one call.
    fn stamp(&mut self, scope: &str, all: Vec<Candidate<'a>>, needs: &[u32]) {
        type Marks = (BTreeMap<String, String>, Vec<String>);
        let mut equal: BTreeMap<Marks, Vec<Candidate<'a>>> = BTreeMap::new();
        for c in all {
            equal.entry(self.marks(&c)).or_default().push(c);
        }
        for ((set, unset), mut all) in equal {
            while !all.is_empty() {
                let rest = all.split_off(all.len().min(IDS));
                let ids = all.iter().filter_map(|c| c.change.object.clone()).collect();
                let changes: Vec<u32> = all.into_iter().map(|c| self.change(c.change)).collect();
                let (set, unset) = (set.clone(), unset.clone());
                self.step(scope, needs, &changes, Do::Call(Call::Tag { ids, set, unset }));
                all = rest;
            }
        }
    }

    fn terminate(&mut self, scope: &str, all: Vec<Candidate<'a>>) {
        let mut leaving = Vec::new();
        for c in all {
            let Some(id) = c.change.object.clone() else { continue };
            leaving.push(Leaving { change: self.change(c.change), id, member: c.member });
        }
        self.part(scope, &[], leaving);
    }
}
