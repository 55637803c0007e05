//! The steps of volumes: made and brought to their machines, marked before they are deleted, never replaced.

use std::collections::BTreeMap;

use super::{Order, VOLUME, tags_only};
use crate::desired::Layout;
use crate::expected::texts;
use crate::launch::NewVolume;
use crate::make::Candidate;
use crate::make::admit::home;
use crate::plan::{Action, Call, Do, Held, Hold, Target, Until};
use crate::slots::Slots;
use crate::stamp::{LaunchTag, tag};

/// A volume waits for what its machine waits for.
fn with_its_machine(machine: &Held) -> (Hold, String) {
    (machine.by, format!("its machine, and that for {}", machine.waits_for))
}

impl<'a> Order<'_, 'a> {
    /// All steps of the volumes.
    pub(super) fn volumes(&mut self, all: Vec<Candidate<'a>>) {
        let mut stamps: BTreeMap<String, Vec<Candidate<'a>>> = BTreeMap::new();
        for c in all {
            let scope = c.scope(self.draft.survey).to_owned();
            match c.change.action {
                Action::Create => self.create_volume(&scope, c),
                Action::Update if !tags_only(&c) => self.change_in_place(&scope, &[], c),
                Action::Update | Action::Restamp => stamps.entry(scope).or_default().push(c),
                Action::Quarantine => self.quarantine(&scope, c),
                Action::Release => self.release(&scope, c),
                Action::Delete => self.delete_volume(&scope, c),
                Action::Attach => self.bring_home(&scope, c),
                Action::Replace => unreachable!("a volume is never replaced"),
            }
        }
        for (scope, all) in stamps {
            self.stamp(&scope, all, &[]);
        }
    }

    fn create_volume(&mut self, scope: &str, c: Candidate<'a>) {
        let address = c.change.address.clone();
        let Some(declared) = self.draft.ask.desired.volumes.get(&address.group.name) else { return };
        let all = crate::expected::volumes(self.draft.ask.desired, &address.group.name, declared);
        let mut tags = texts(all.get("tags"));
        if declared.protect {
            tags.insert(tag::PROTECT.into(), "true".into());
        }
        let mut mark = LaunchTag::first(Slots::new([address.slot]));
        mark.generation = c.lineage.generation;
        let new = NewVolume {
            stack: self.draft.ask.desired.stack.id.clone(),
            address: address.clone(),
            tag: mark,
            zone: c.change.zone.clone(),
            spec: all.into_iter().filter(|(k, _)| k != "tags").collect(),
            vector: (*c.vector).clone(),
            tags,
        };
        let bound = matches!(declared.layout, Layout::For(_));
        let zone = c.change.zone.clone();
        let change = self.change(c.change);
        let call = self.step(scope, &[], &[change], Do::Call(Call::CreateVolume(new)));
        let target = Target::New(address.clone());
        let free = self.wait(scope, &[call], &[change], vec![target.clone()], Until::Free, VOLUME);
        let Some(home) = home(self.draft, &address).filter(|_| bound) else { return };
        let new = self.machine.get(&home).map(|wait| (Target::New(home.clone()), *wait));
        // A kept machine is there already; one that must still come brings the volume in a later plan.
        let mut here = self.draft.survey.alive(&home).filter(|m| m.object.zone == zone);
        let kept = here.next().map(|m| Target::Id(m.object.id.clone()));
        match (new, kept) {
            (Some((machine, wait)), _) => {
                self.attach(scope, &[free, wait], change, &address, target, machine);
            }
            (None, Some(machine)) => {
                self.attach(scope, &[free], change, &address, target, machine);
            }
            (None, None) => {}
        }
    }

    fn quarantine(&mut self, scope: &str, c: Candidate<'a>) {
        let Some(id) = c.change.object.clone() else { return };
        let keep = i64::try_from(self.draft.ask.desired.policy.quarantine).unwrap_or(i64::MAX);
        let until =
            self.draft.ask.now.checked_add(jiff::SignedDuration::from_secs(keep)).unwrap_or(jiff::Timestamp::MAX);
        let set = BTreeMap::from([(tag::QUARANTINE.to_owned(), until.to_string())]);
        let change = self.change(c.change);
        self.step(scope, &[], &[change], Do::Call(Call::Tag { ids: vec![id], set, unset: vec![] }));
    }

    fn release(&mut self, scope: &str, c: Candidate<'a>) {
        let Some(id) = c.change.object.clone() else { return };
        let change = self.change(c.change);
        let call = Call::Tag { ids: vec![id], set: BTreeMap::new(), unset: vec![tag::QUARANTINE.into()] };
        self.step(scope, &[], &[change], Do::Call(call));
    }

    /// Marked first, freed of its machine, then deleted: the mark is the condemnation that a later run finishes.
    fn delete_volume(&mut self, scope: &str, c: Candidate<'a>) {
        let Some(id) = c.change.object.clone() else { return };
        let hangs = c.member.as_ref().and_then(|m| m.object.attached.clone());
        // A machine that should go and stays keeps its data for as long.
        let stays = |h: &&Held| {
            let on = hangs.as_ref().map(|at| at.to.as_str());
            h.change.action == Action::Delete && on.is_some() && h.change.object.as_deref() == on
        };
        if let Some((by, words)) = self.draft.held.iter().find(stays).map(with_its_machine) {
            self.draft.hold(c.change, by, words);
            return;
        }
        let marked =
            c.member.as_ref().is_some_and(|m| m.quarantined_until().is_some_and(|at| at <= self.draft.ask.now));
        let change = self.change(c.change);
        let mut needs = vec![];
        if !marked {
            let set = BTreeMap::from([(tag::QUARANTINE.to_owned(), self.draft.ask.now.to_string())]);
            needs.push(self.step(
                scope,
                &[],
                &[change],
                Do::Call(Call::Tag { ids: vec![id.clone()], set, unset: vec![] }),
            ));
        }
        if let Some(at) = hangs {
            match self.gone.get(&at.to) {
                Some(gone) => needs.push(*gone),
                None => {
                    let call = Call::Detach { volume: id.clone(), machine: at.to, device: at.device };
                    needs = vec![self.step(scope, &needs, &[change], Do::Call(call))];
                }
            }
            needs = vec![self.wait(scope, &needs, &[change], vec![Target::Id(id.clone())], Until::Free, VOLUME)];
        }
        let call = self.step(scope, &needs, &[change], Do::Call(Call::DeleteVolume(id.clone())));
        self.wait(scope, &[call], &[change], vec![Target::Id(id)], Until::Deleted, VOLUME);
    }

    fn bring_home(&mut self, scope: &str, c: Candidate<'a>) {
        let address = c.change.address.clone();
        if self.handed.contains(&address) {
            return;
        }
        let Some(id) = c.change.object.clone() else { return };
        // A machine that this plan launches for the slot comes before one that is there.
        let new =
            home(self.draft, &address).and_then(|s| self.machine.get(&s).map(|w| (Target::New(s.clone()), vec![*w])));
        let there = c.successor.clone().map(|id| (Target::Id(id), vec![]));
        let Some((machine, mut needs)) = new.or(there) else {
            // It waits for what its machine waits for.
            let home = home(self.draft, &address);
            let waits = self.draft.held.iter().find(|h| Some(&h.change.address) == home.as_ref());
            let (by, words) = match waits {
                Some(h) => with_its_machine(h),
                None => (Hold::Unresolved, "its machine, which is not there and not in this plan".into()),
            };
            self.draft.hold(c.change, by, words);
            return;
        };
        let hangs = c.member.as_ref().is_some_and(|m| m.object.attached.is_some());
        let change = self.change(c.change);
        let target = Target::Id(id);
        if hangs {
            needs = vec![self.wait(scope, &needs, &[change], vec![target.clone()], Until::Free, VOLUME)];
        }
        self.attach(scope, &needs, change, &address, target, machine);
    }
}
