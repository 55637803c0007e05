//! Slots for what lost its marks: a machine by its client token and its volume, a volume by where it hangs.
//!
//! EC2 does not tell who made a volume. One without marks is taken for ours only where nothing else can be meant: it
//! hangs at the machine of a slot, under the device name of the volume that belongs there, that slot has no other, and
//! it is of the size and the making that the file asks for. Its marks are put back before anything else is done to it,
//! and it is never deleted without them.

use super::{Known, Survey};
use crate::address::{Address, Group, Kind};
use crate::desired::{Desired, Layout, VolumeGroup};
use crate::diff::diff;
use crate::expected;
use crate::observed::Object;
use crate::plan::Note;
use crate::stamp::tag;

impl<'a> Survey<'a> {
    /// Gives machines without marks a slot again: the one its volume belongs to, else the first that is free.
    pub(super) fn settle_machines(&mut self, known: &mut Known<'_, 'a>, mut stripped: Vec<(Group, &'a Object)>) {
        let desired = known.desired;
        stripped.retain(|(_, o)| o.phase.alive());
        stripped.sort_by(|a, b| (a.1.created, a.1.index, &a.1.id).cmp(&(b.1.created, b.1.index, &b.1.id)));
        for (group, object) in stripped {
            let by_volume = self.groups.iter().find_map(|(g, s)| {
                let bound = desired.volumes.get(&g.name).is_some_and(|v| v.layout == Layout::For(group.clone()));
                let held = |m: &super::Member<'_>| m.object.attached.as_ref().is_some_and(|a| a.to == object.id);
                (g.kind == Kind::Volumes && bound).then(|| s.members().find(|(_, m)| held(m)).map(|(slot, _)| slot))?
            });
            let slot = by_volume.unwrap_or_else(|| self.free(&group));
            self.add(known, group.slot(slot), object, None);
        }
    }

    /// Gives volumes whose marks are gone, or broken, a slot again.
    pub(super) fn settle_volumes(&mut self, known: &mut Known<'_, 'a>, mut hanging: Vec<&'a Object>) {
        let desired = known.desired;
        hanging.retain(|o| o.phase.alive());
        hanging.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        for object in hanging {
            let marked = object.tags.contains_key(tag::STACK);
            let home = self.hangs(desired, object).filter(|(a, _)| self.alive(a).next().is_none());
            let group = || object.tags.get(tag::ADDRESS).and_then(|a| a.parse().ok()).filter(is_volumes);
            let address = match home {
                Some((address, declared)) if marked || fits(desired, &address.group.name, declared, object) => {
                    Some(address)
                }
                // The stack's own mark is there: it is ours, wherever it is.
                _ if marked => group().map(|g: Group| g.slot(self.free(&g))),
                _ => None,
            };
            match address {
                Some(address) => self.add(known, address, object, None),
                None if marked => self.notes.push(Note {
                    kind: "unclear".into(),
                    about: object.id.clone(),
                    says: "bears this stack's mark, its other marks are gone and nothing tells its group".into(),
                }),
                // Somebody's disk at one of our machines.
                None => {}
            }
        }
    }

    /// The address whose volume hangs where this one does.
    fn hangs<'d>(&self, desired: &'d Desired, object: &Object) -> Option<(Address, &'d VolumeGroup)> {
        let at = object.attached.as_ref()?;
        desired.volumes.iter().find_map(|(name, declared)| {
            let Layout::For(machines) = &declared.layout else { return None };
            if declared.device != at.device {
                return None;
            }
            let here = self.groups.get(machines)?.members().find(|(_, m)| m.object.id == at.to)?;
            Some((Group::volumes(name).slot(here.0), declared))
        })
    }

    /// The first slot of a group without anybody alive in it.
    fn free(&self, group: &Group) -> u32 {
        (0..).find(|s| self.groups.get(group).is_none_or(|g| g.alive(*s).next().is_none())).unwrap_or(0)
    }
}

fn is_volumes(group: &Group) -> bool {
    group.kind == Kind::Volumes
}

/// Whether a volume is of the size and of the making that the file asks for: a volume of ours that lost its marks is.
fn fits(desired: &Desired, name: &str, declared: &VolumeGroup, object: &Object) -> bool {
    let want = expected::volumes(desired, name, declared);
    let differences = diff(Kind::Volumes, &desired.stack.id, &want, &object.fields, None);
    want.get("size") == object.fields.get("size") && differences.fields.iter().all(|d| d.forces_replacement().is_none())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Action, Call, Do, Hold, Plan, Step};
    use crate::testing::{World, user_tags, volume};

    fn settled() -> (World, String) {
        let mut w = World::new(2);
        w.desired.volumes.insert("data".into(), volume());
        w.settle();
        let id = w.id_of("volumes.data/1");
        (w, id)
    }

    fn strip(w: &mut World, id: &str, keys: impl Fn(&str) -> bool) {
        w.find(id).tags.retain(|k, _| !keys(k));
        let tags = user_tags(&w.find(id).tags);
        w.find(id).fields.insert("tags".into(), tags);
    }

    fn told(plan: &Plan) -> Vec<(Action, Option<String>)> {
        plan.changes.iter().map(|c| (c.action, c.object.clone())).collect()
    }

    #[test]
    fn a_hanging_volume_gets_its_marks_back_whichever_were_taken() {
        let ours = [tag::STACK, tag::ADDRESS, tag::LAUNCH, tag::SPEC];
        for which in 1..16u32 {
            let (mut w, id) = settled();
            strip(&mut w, &id, |k| ours.iter().zip(0..).any(|(o, bit)| k == *o && which & (1 << bit) != 0));
            let plan = w.plan();
            assert_eq!(told(&plan), [(Action::Restamp, Some(id.clone()))], "{which:04b}");
            w.apply(&plan);
            assert_eq!(w.id_of("volumes.data/1"), id);
            w.settle();
        }
        let (mut w, id) = settled();
        strip(&mut w, &id, |_| true);
        w.settle();
        assert_eq!(w.id_of("volumes.data/1"), id, "all of its tags, the users' too");
    }

    #[test]
    fn it_is_found_when_its_machine_lost_its_marks_as_well() {
        let (mut w, id) = settled();
        let machine = w.id_of("machines.web/1");
        strip(&mut w, &id, |_| true);
        strip(&mut w, &machine, |_| true);
        w.settle();
        assert_eq!((w.id_of("volumes.data/1"), w.id_of("machines.web/1")), (id, machine));
    }

    #[test]
    fn a_strangers_disk_is_left_alone() {
        // Under another name it is nobody's business.
        let (mut w, id) = settled();
        let mut other = w.find(&id).clone();
        (other.id, other.tags) = ("vol-theirs".into(), BTreeMap::new().into());
        other.attached.as_mut().unwrap().device = "/dev/sdz".into();
        w.seen.objects.push(other);
        let plan = w.plan();
        assert!(plan.is_empty() && plan.notes.is_empty(), "{:?} {:?}", plan.changes, plan.notes);
        // Under ours, but made in another way, it holds the slot and nothing else.
        for (field, value) in [("size", 51u32.into()), ("encrypted", false.into())] {
            let (mut w, id) = settled();
            let machine = w.id_of("machines.web/1");
            strip(&mut w, &id, |_| true);
            w.find(&id).fields.insert(field.into(), value);
            w.find(&machine).links.insert("/dev/sdf".into(), id.clone());
            let plan = w.plan();
            assert!(plan.is_empty(), "{field}: {:?}", plan.changes);
            assert_eq!((plan.held.len(), plan.held[0].by), (1, Hold::Foreign), "{field}");
        }
    }

    #[test]
    fn a_volume_with_marks_keeps_its_slot() {
        let (mut w, id) = settled();
        let mut other = w.find(&id).clone();
        (other.id, other.tags) = ("vol-theirs".into(), BTreeMap::new().into());
        w.seen.objects.push(other);
        assert!(w.plan().is_empty(), "{:?}", told(&w.plan()));
    }

    #[test]
    fn it_is_marked_before_it_goes() {
        let (mut w, id) = settled();
        strip(&mut w, &id, |_| true);
        w.intent.destroy = true;
        let plan = w.plan();
        assert!(told(&plan).contains(&(Action::Restamp, Some(id.clone()))), "{:?}", told(&plan));
        assert!(!told(&plan).contains(&(Action::Delete, Some(id.clone()))));
        w.apply(&plan);
        let plan = w.plan();
        assert_eq!(told(&plan), [(Action::Delete, Some(id))]);
        w.settle();
    }

    #[test]
    fn no_plan_may_delete_it_without_its_marks() {
        let (mut w, id) = settled();
        w.intent.destroy = true;
        let plan = w.plan();
        let deletes = |s: &Step| matches!(&s.does, Do::Call(Call::DeleteVolume(v)) if *v == id);
        assert!(plan.steps.iter().any(deletes) && w.vet(&plan).is_empty());
        strip(&mut w, &id, |_| true);
        let says: Vec<String> = w.vet(&plan).iter().map(|o| o.to_string()).collect();
        assert!(says.iter().any(|s| s.contains("bears no mark of this stack")), "{says:?}");
    }
}
