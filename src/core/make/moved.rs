//! A group that the file has moved to another scope while something of it still lives in the old one.
//!
//! Nothing moves between accounts and regions by itself, and two halves of one group would each be short of the other:
//! the group is held until a person has said which of the two it is. A destroy is not held.

use super::Draft;
use crate::address::{Group, Kind};
use crate::desired::{Layout, table_of};
use crate::plan::{Action, Hold, Reason, Why};

/// Whether the group, or one that belongs to its machines or volumes, lives in another scope than the file says. Then
/// all of it is held: what is there, and what is missing of `count`.
pub(super) fn holds(draft: &mut Draft<'_>, group: &Group, count: u32) -> bool {
    let Some(says) = related(draft, group).iter().find_map(|g| astray(draft, g)) else { return false };
    let survey = draft.survey.group(group);
    for (slot, m) in survey.members() {
        let why = Reason { why: Why::Declared, says: "cannot be compared with the file".into() };
        let mut change = draft.change(&group.slot(slot), Action::Update, vec![why]);
        change.object = Some(m.object.id.clone());
        change.zone.clone_from(&m.object.zone);
        draft.hold(change, Hold::Unresolved, says.clone());
    }
    for slot in (0..count).filter(|s| survey.alive(*s).next().is_none()) {
        let why = Reason { why: Why::Declared, says: format!("count {count}") };
        let change = draft.change(&group.slot(slot), Action::Create, vec![why]);
        draft.hold(change, Hold::Unresolved, says.clone());
    }
    true
}

/// The group, and the volumes of its machines or the machines of its volumes: they live in one place.
fn related(draft: &Draft<'_>, group: &Group) -> Vec<Group> {
    let volumes = &draft.ask.desired.volumes;
    let home = || match &volumes.get(&group.name)?.layout {
        Layout::For(machines) => Some(machines.clone()),
        Layout::Replicas { .. } => None,
    };
    let more: Vec<Group> = match group.kind {
        Kind::Machines => {
            let bound = volumes.iter().filter(|(_, v)| v.layout == Layout::For(group.clone()));
            bound.map(|(name, _)| Group::volumes(name)).collect()
        }
        Kind::Volumes => home().into_iter().collect(),
        Kind::Workloads | Kind::Manifests => vec![],
    };
    std::iter::once(group.clone()).chain(more).collect()
}

/// What of a group is elsewhere, and the way out.
fn astray(draft: &Draft<'_>, group: &Group) -> Option<String> {
    let survey = draft.survey.groups.get(group)?;
    let object = survey.astray()?.object;
    let (old, new) = (table_of(&object.scope), table_of(&survey.scope));
    Some(format!(
        "{} of {group} lives in {old}, the file says {new}, and nothing moves by itself: a person gives it {old} back in \
         the file, or takes {group} out of the file, applies, and puts it in again",
        object.id
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::desired::Scope;
    use crate::observed::{Answer, Gap};
    use crate::plan::{Call, Do, Plan};
    use crate::testing::{World, told, volume};

    /// Two machines with a volume each, in `west`.
    fn in_west() -> World {
        let mut w = World::new(2);
        let mut west = w.seen.scopes[""].clone();
        west.region = "us-west-2".into();
        w.seen.scopes.insert("west".into(), west);
        w.desired.scopes.insert("west".into(), Scope::default());
        let more: Vec<Answer> = w.seen.lookups.iter().map(|a| Answer { scope: "west".into(), ..a.clone() }).collect();
        w.seen.lookups.extend(more);
        w.desired.volumes.insert("data".into(), volume());
        w.settle();
        w.seen.objects.iter_mut().for_each(|o| o.scope = "west".into());
        w
    }

    fn held(plan: &Plan) -> Vec<(Action, String)> {
        let one = |h: &crate::plan::Held| (h.change.action, h.change.address.to_string());
        plan.held.iter().filter(|h| h.by == Hold::Unresolved).map(one).collect()
    }

    #[test]
    fn a_group_that_is_moved_is_held_with_a_way_out() {
        let mut w = in_west();
        w.desired.machines.get_mut("web").unwrap().scope = "west".into();
        w.desired.volumes.get_mut("data").unwrap().scope = "west".into();
        assert!(w.plan().is_empty() && w.plan().held.is_empty());
        for all in [2, 3] {
            w.desired.machines.get_mut("web").unwrap().scope = String::new();
            w.desired.volumes.get_mut("data").unwrap().scope = String::new();
            w.desired.machines.get_mut("web").unwrap().count = all;
            let plan = w.plan();
            assert!(plan.is_empty(), "{}", told(&plan));
            assert_eq!(held(&plan).len(), all as usize * 2, "{}", told(&plan));
            let says = &plan.held[0].waits_for;
            assert!(says.contains("lives in [aws.west], the file says [aws]"), "{says}");
        }
    }

    #[test]
    fn a_volume_that_stayed_behind_holds_its_machines_too() {
        let mut w = in_west();
        let machines: Vec<String> = (0..2).map(|n| w.id_of(&format!("machines.web/{n}"))).collect();
        machines.iter().for_each(|id| w.kill(id));
        let plan = w.plan();
        assert!(plan.is_empty(), "{}", told(&plan));
        let creates = held(&plan).into_iter().filter(|(a, _)| *a == Action::Create).count();
        assert_eq!(creates, 2, "{}", told(&plan));
    }

    #[test]
    fn a_destroy_ends_it_where_it_is() {
        let mut w = in_west();
        // One half is where the file says.
        let here: Vec<String> = ["machines.web/1", "volumes.data/1"].map(|a| w.id_of(a)).into();
        here.iter().for_each(|id| w.find(id).scope = String::new());
        w.intent.destroy = true;
        let plan = w.plan();
        let ends = |scope: &str| {
            let end = |s: &&crate::plan::Step| matches!(s.does, Do::Call(Call::Terminate(_) | Call::DeleteVolume(_)));
            plan.steps.iter().filter(end).filter(|s| s.scope == scope).count()
        };
        assert_eq!((ends(""), ends("west"), plan.held.len()), (2, 2, 0), "{}", told(&plan));
        // What cannot be seen whole is held there alone.
        let failure = crate::failure::Failure::new(crate::failure::Class::Denied, "", "no");
        w.seen.gaps = vec![Gap { scope: "west".into(), kind: None, what: "all".into(), failure, partial: false }];
        let plan = w.plan();
        let gone: Vec<String> = plan.changes.iter().map(|c| c.address.to_string()).collect();
        assert_eq!(gone, ["machines.web/1", "volumes.data/1"], "{}", told(&plan));
        w.seen.gaps.clear();
        w.settle();
    }

    #[test]
    fn what_the_file_no_longer_has_goes_where_it_is() {
        let mut w = in_west();
        let here = w.id_of("machines.web/1");
        w.find(&here).scope = String::new();
        w.desired.machines.clear();
        w.desired.volumes.clear();
        w.intent.allow_empty = true;
        w.intent.max_deletes = Some(crate::policy::Amount::Percent(100));
        let plan = w.plan();
        let scopes: Vec<&str> = (plan.steps.iter())
            .filter(|s| matches!(s.does, Do::Call(Call::Terminate(_))))
            .map(|s| s.scope.as_str())
            .collect();
        assert_eq!(scopes, ["", "west"], "{}", told(&plan));
    }

    #[test]
    fn vet_lets_nothing_be_made_of_a_group_that_lives_elsewhere() {
        let mut w = in_west();
        let ids: Vec<String> = w.seen.objects.iter().map(|o| o.id.clone()).collect();
        ids.iter().for_each(|id| w.find(id).scope = String::new());
        w.desired.machines.get_mut("web").unwrap().count = 3;
        let plan = w.plan();
        assert!(plan.changes.iter().any(|c| c.address == "machines.web/2".parse::<Address>().unwrap()));
        let id = w.id_of("machines.web/0");
        w.find(&id).scope = "west".into();
        let says: Vec<String> = w.vet(&plan).iter().map(ToString::to_string).collect();
        assert!(
            says.iter().any(|s| s.contains("V5") && s.contains(&format!("{id} lives in scope `west`"))),
            "{says:?}"
        );
    }
}
