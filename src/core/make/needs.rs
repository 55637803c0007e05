//! What a live machine needs: for its illness, its place, its differences from the file, and its marks.

use super::seats::Slot;
use super::{Draft, Power, reasons};
use crate::address::Address;
use crate::desired::MachineGroup;
use crate::diff::{Difference, Differences};
use crate::health::{State, moment};
use crate::observed::Source;
use crate::plan::{Action, FieldChange, Reason, Why};
use crate::repair::{self, Urgency};
use crate::stamp::tag;
use crate::survey::Member;

/// What must be done to a live keeper.
pub(super) struct Needed {
    pub(super) action: Action,
    pub(super) why: Vec<Reason>,
    pub(super) shown: Vec<FieldChange>,
    pub(super) urgency: Urgency,
    /// Ours, and not the file's.
    pub(super) repair: bool,
    pub(super) power: Power,
}

/// What a live keeper needs for its illness, its place, its differences and its marks; nothing, as a rule.
pub(super) fn needed(
    draft: &Draft<'_>,
    declared: &MachineGroup,
    s: &Slot<'_>,
    keeper: &Member<'_>,
    differences: &Differences,
    uneven: Option<&Reason>,
) -> Option<Needed> {
    let mut shown = draft.field_changes(differences);
    let mut why = reasons(&shown);
    let mut urgency = Urgency::Changed;
    let (mut repair, mut restart) = (false, false);
    let ill = illness(&keeper.verdict.state);
    let is_ill = ill.is_some();
    if let Some((reason, how_urgent)) = ill {
        (urgency, repair) = (how_urgent, true);
        let past = draft.ask.history.objects.get(&keeper.object.id);
        let bad = past.and_then(|p| p.first_bad.get(&Source::State)).copied();
        restart = repair::restarts(keeper.object.phase, bad, draft.ask.now);
        why.insert(0, reason);
    }
    if let Some(reason) = uneven {
        if why.is_empty() {
            (urgency, repair) = (Urgency::Uneven, reason.why == Why::Uneven);
        }
        why.push(reason.clone());
    }
    let asked = draft.ask.intent.replace.contains(&s.address);
    if asked {
        why.push(Reason { why: Why::Asked, says: "replace".into() });
    }
    let fixed = differences.fields.iter().any(|d| d.forces_replacement().is_some());
    // Without leave to be missing, a change that needs a stop is made by a new machine, launch first.
    let stop = differences.fields.iter().any(Difference::needs_stop);
    // A one-time request for a spot machine, as ours are, does not let it be stopped.
    let may_stop = !declared.spot && (draft.ask.desired.policy.unavailable(declared.count) > 0 || !keeper.ready());
    // One without a readable mark gets it first: a replacement must be able to say whom it replaces.
    let named = keeper.launch.is_some();
    let replace = named && ((is_ill && !restart) || uneven.is_some() || fixed || asked || (stop && !may_stop));
    let action = if replace {
        Action::Replace
    } else if named && (restart || !differences.fields.is_empty()) {
        Action::Update
    } else if differences.restamp || marks_are_off(draft, &s.address, keeper) {
        why.push(Reason { why: stamp_why(draft, keeper), says: stamp_reason(draft, keeper, differences) });
        Action::Restamp
    } else {
        return None;
    };
    if stop && !may_stop && !fixed {
        for f in shown.iter_mut().filter(|f| f.field == "type") {
            f.forces_replacement = Some(if declared.spot {
                "a spot machine cannot be stopped".into()
            } else {
                "a stop would break the floor (policy.max-unavailable)".into()
            });
        }
    }
    let power = match (action, restart, stop) {
        (Action::Update, true, _) => Power::Starts,
        (Action::Update, false, true) => Power::Stops,
        _ => Power::Keeps,
    };
    Some(Needed { action, why, shown, urgency, repair, power })
}

fn illness(state: &State) -> Option<(Reason, Urgency)> {
    let urgency = Urgency::of(state)?;
    let (why, says) = match state {
        State::Unhealthy { causes, .. } if causes.is_empty() => (Why::Unhealthy, "not well".to_owned()),
        State::Unhealthy { causes, .. } => (Why::Unhealthy, causes.join(", ")),
        State::Flapping => (Why::Unhealthy, "flapping".into()),
        State::Planned { not_before, .. } => (Why::Retiring, format!("EC2 retires it at {}", moment(*not_before))),
        State::Starting { .. } | State::Healthy | State::Suspect { .. } | State::Gone | State::Blind => return None,
    };
    Some((Reason { why, says }, urgency))
}

/// Whether the marks themselves are not what they should be.
fn marks_are_off(draft: &Draft<'_>, address: &Address, keeper: &Member<'_>) -> bool {
    let tags = &keeper.object.tags;
    keeper.launch.is_none()
        || keeper.vector.is_none()
        || tags.get(tag::STACK).is_none_or(|s| *s != draft.ask.desired.stack.id)
        || tags.get(tag::ADDRESS).is_none_or(|a| *a != address.group.to_string())
}

/// Marks that somebody took away are drift; a stamp that only has to be written anew is our own business.
pub(super) fn stamp_why(draft: &Draft<'_>, keeper: &Member<'_>) -> Why {
    let theirs = keeper.object.tags.get(tag::STACK).is_none_or(|s| *s != draft.ask.desired.stack.id);
    if theirs || keeper.launch.is_none() { Why::Drifted } else { Why::Stamp }
}

pub(super) fn stamp_reason(draft: &Draft<'_>, keeper: &Member<'_>, differences: &Differences) -> String {
    if !differences.let_go.is_empty() {
        let fields = differences.let_go.join(", ");
        format!("{fields}: no longer in the file; what is there stays, and is not looked at any more")
    } else if keeper.launch.is_none() {
        "its tags were taken away; its client token says that it is ours".into()
    } else if keeper.object.tags.get(tag::STACK).is_none_or(|s| *s != draft.ask.desired.stack.id) {
        "its tags were changed".into()
    } else if keeper.vector.is_none() {
        "its stamp is missing or of another version".into()
    } else {
        "the file now says what the world already shows".into()
    }
}
