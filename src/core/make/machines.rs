//! What the machines of one group should become: slots kept, placed, filled, healed, changed, given up.

use std::collections::BTreeSet;

use super::needs::needed;
use super::seats::{Slot, choose, hopeless, placed, reseat, slot, stuck};
use super::{Candidate, Draft, Lineage, Power, Wanted, lost, moved, reasons, with_script};
use crate::address::{Address, Group, Kind};
use crate::desired::{Follow, Image, MachineGroup};
use crate::diff::{Difference, Differences, diff};
use crate::expected::{self, MachineSpec};
use crate::launch::Place;
use crate::observed::Phase;
use crate::plan::{Action, Change, Hold, Note, Reason, Why};
use crate::repair::{self, Urgency};
use crate::schema;
use crate::shared::Shared;
use crate::slots::Slots;
use crate::stamp::{LaunchTag, Vector};
use crate::survey::{GroupSurvey, Member};
use crate::value::Value;

/// All wishes for the machines of `group`.
pub(super) fn wishes<'a>(draft: &mut Draft<'a>, group: &Group) -> Vec<Candidate<'a>> {
    let survey = draft.survey.group(group);
    let declared = draft.ask.desired.machines.get(&group.name).filter(|_| !draft.ask.intent.destroy);
    let Some(declared) = declared else {
        let why = if draft.ask.intent.destroy {
            Reason { why: Why::Asked, says: "destroy".into() }
        } else {
            Reason { why: Why::Declared, says: "no longer in the file".into() }
        };
        return survey.members().map(|(slot, m)| leave(draft, &group.slot(slot), m, vec![why.clone()])).collect();
    };
    if moved::holds(draft, group, declared.count) {
        return vec![];
    }
    let mut out = Vec::new();
    for (slot, m) in survey.members().filter(|(s, _)| *s >= declared.count) {
        let live = u32::try_from(survey.slots.keys().filter(|s| survey.alive(**s).next().is_some()).count());
        let says = format!("count {} → {}", live.unwrap_or(u32::MAX), declared.count);
        out.push(leave(draft, &group.slot(slot), m, vec![Reason { why: Why::Declared, says }]));
    }
    let mut slots: Vec<Slot<'a>> = (0..declared.count).map(|s| slot(draft, declared, survey, group, s)).collect();
    reseat(draft, &mut slots);
    let spec = expected::machines(draft.ask.desired, &group.name, declared, draft.ask.observed);
    match spec {
        Ok(spec) => {
            draft.specs.insert(group.name.clone(), spec.clone());
            out.extend(filled(draft, group, declared, survey, &spec, slots));
        }
        Err(says) => {
            for s in slots {
                let zone = s.keeper.as_ref().map(|k| k.object.zone.clone());
                draft.zones.extend(zone.map(|z| (s.address.clone(), z)));
                // A machine that is there cannot be compared with all that the file says, and that is said, too.
                let change = match &s.keeper {
                    None => {
                        let says = format!("count {}", declared.count);
                        draft.change(&s.address, Action::Create, vec![Reason { why: Why::Declared, says }])
                    }
                    Some(k) => in_part(draft, declared, &s, k),
                };
                draft.hold(change, Hold::Unresolved, says.clone());
            }
        }
    }
    out
}

/// What can be said of a machine although a lookup of its group has no answer: the fields that need none.
fn in_part<'a>(draft: &mut Draft<'a>, declared: &MachineGroup, s: &Slot<'a>, keeper: &Member<'a>) -> Change {
    let group = &s.address.group;
    let want = expected::without_lookups(draft.ask.desired, &group.name, declared);
    let mut live = keeper.object.fields.clone();
    let script = expected::script(draft.key(), declared, s.address.slot, &keeper.object.zone);
    // A script that nobody can render is not told as gone.
    let rendered = script.is_ok();
    let want = with_script(&want, script.ok().flatten().as_ref().map(|s| &s.digest));
    for field in expected::LOOKED_UP {
        live.remove(*field);
        *draft.unread.entry((group.clone(), (*field).to_owned())).or_default() += 1;
    }
    let kind = Kind::Machines;
    let mut differences = diff(kind, draft.key(), &want, &live, keeper.vector.as_deref());
    differences.fields.retain(|d| rendered || d.field.name != "user-data");
    let shown = draft.field_changes(&differences);
    let mut why = reasons(&shown);
    why.push(Reason { why: Why::Declared, says: "cannot be compared with all of the file".into() });
    let mut change = draft.change(&s.address, Action::Update, why);
    change.object = Some(keeper.object.id.clone());
    change.zone.clone_from(&keeper.object.zone);
    change.fields = shown;
    change
}

fn leave<'a>(draft: &Draft<'a>, address: &Address, member: &Member<'a>, reasons: Vec<Reason>) -> Candidate<'a> {
    let mut change = of_member(draft, address, Action::Delete, reasons, member);
    change.how = if super::nodes::parting(draft, member).is_some() { "drain · terminate" } else { "terminate" }.into();
    Candidate::new(change, Some(member.clone()))
}

/// A change of what stands in a slot: its id, zone, type and node.
fn of_member(
    draft: &Draft<'_>,
    address: &Address,
    action: Action,
    reasons: Vec<Reason>,
    member: &Member<'_>,
) -> Change {
    let mut change = draft.change(address, action, reasons);
    change.object = Some(member.object.id.clone());
    change.zone.clone_from(&member.object.zone);
    change.what = what(member);
    change.node = node(member);
    change
}

/// The node that stands on a machine.
fn node(member: &Member<'_>) -> Option<String> {
    member.node.map(|j| j.name.to_owned())
}

fn what(member: &Member<'_>) -> String {
    member.object.fields.get("type").and_then(Value::text).unwrap_or("").to_owned()
}

/// Places every slot, then says for each what should happen to it.
fn filled<'a>(
    draft: &mut Draft<'a>,
    group: &Group,
    declared: &MachineGroup,
    survey: &GroupSurvey<'a>,
    spec: &MachineSpec,
    mut slots: Vec<Slot<'a>>,
) -> Vec<Candidate<'a>> {
    let names: BTreeSet<&String> = spec.places.iter().map(|p| &p.zone).collect();
    lost::back(draft, declared, &names, &mut slots);
    let lost = lost::lost(draft, group, declared, &slots);
    let (zones, moved) = placed(draft, group, declared, spec, &slots, &lost);
    let mut out = Vec::new();
    for s in slots {
        let Some(zone) = zones.get(&s.address.slot).cloned() else {
            let missing = Reason { why: Why::Declared, says: format!("count {}", declared.count) };
            let change = draft.change(&s.address, Action::Create, vec![missing]);
            let full = draft.ask.history.lessons.full(declared, draft.ask.now).into_values().min_by_key(|f| f.until);
            match full {
                Some(full) => {
                    draft.look_again_by(Some(full.until));
                    draft.hold(change, Hold::Time, full.waits_for());
                }
                None => draft.hold(change, Hold::Unresolved, "room in a zone: the caps allow no more"),
            }
            continue;
        };
        draft.zones.insert(s.address.clone(), zone.clone());
        let place = choose(&spec.places, &zone, s.address.slot);
        match s.keeper.clone() {
            None => out.extend(vacant(draft, declared, survey, spec, &s, place)),
            Some(keeper) => {
                for other in &s.others {
                    out.push(superseded(draft, &s.address, &keeper, other));
                }
                if let Some(says) = lost.get(&s.address.slot).filter(|_| zone != keeper.object.zone) {
                    out.extend(elsewhere(draft, declared, survey, spec, &s, &keeper, place, says));
                    continue;
                }
                let uneven = moved.get(&s.address.slot);
                let change = kept(draft, declared, survey, spec, &s, &keeper, place, uneven);
                // One that is ill where its data is gets its successor there, and then waits itself.
                let replaced = change.as_ref().is_some_and(|c| c.change.action == Action::Replace);
                if let Some(why) = stuck(declared, &names, &s).filter(|_| !replaced) {
                    held_by_data(draft, &s.address, &keeper, why);
                }
                out.extend(change);
            }
        }
    }
    out
}

/// A machine that the file wants elsewhere, and whose data cannot go with it.
fn held_by_data(draft: &mut Draft<'_>, address: &Address, keeper: &Member<'_>, why: Reason) {
    let change = of_member(draft, address, Action::Replace, vec![why], keeper);
    let words = format!("a person: its data is in {}; copy it to a new group", keeper.object.zone);
    draft.hold(change, Hold::Protection, words);
}

/// The specification of one slot: fields, stamp and boot script.
fn specified(
    draft: &mut Draft<'_>,
    group: &str,
    declared: &MachineGroup,
    spec: &MachineSpec,
    slot: u32,
    zone: &str,
) -> Result<Wanted, String> {
    let script = expected::script(draft.key(), declared, slot, zone)?;
    let index = (group.to_owned(), script.as_ref().map(|s| s.digest.clone()));
    if let Some(known) = draft.wanted.get(&index) {
        return Ok(known.clone());
    }
    let fields = with_script(&spec.fields, index.1.as_ref());
    if let Some(s) = script {
        draft.payloads.insert(s.digest, s.bytes);
    }
    // The stamp remembers what was asked for, not what the lookup answered: so a moved answer can be told from a
    // moved file.
    let mut asked = fields.clone();
    asked.insert("image".into(), asked_image(&declared.image));
    let vector = Vector::of(crate::address::Kind::Machines, draft.key(), &asked);
    let known = (Shared::from(fields), Shared::from(vector));
    draft.wanted.insert(index, known.clone());
    Ok(known)
}

/// An image as the stamp remembers it.
fn asked_image(image: &Image) -> Value {
    match image {
        Image::Id(id) => id.clone().into(),
        Image::Ssm(parameter) => format!("ssm:{parameter}").into(),
        Image::Newest { owner, name } => format!("newest:{owner}:{name}").into(),
    }
}

/// The generation of a slot's next launch: newer than all that was seen there, and than any token that is used up.
fn generation(draft: &Draft<'_>, survey: &GroupSurvey<'_>, address: &Address) -> u32 {
    survey.newest(address.slot).max(draft.ask.history.lessons.used_up(address)).saturating_add(1)
}

/// The lineage of a launch after `last`.
fn lineage(draft: &Draft<'_>, survey: &GroupSurvey<'_>, address: &Address, last: Option<&Member<'_>>) -> Lineage {
    let slot = address.slot;
    let generation = generation(draft, survey, address);
    let Some(last) = last else { return Lineage { generation, ..Lineage::default() } };
    let mark = last.launch.as_deref().cloned().unwrap_or_else(|| LaunchTag::first(Slots::new([slot])));
    let healthy_for = draft
        .ask
        .history
        .objects
        .get(&last.object.id)
        .and_then(|p| p.healthy_since)
        .map(|since| u64::try_from(draft.ask.now.duration_since(since).as_secs()).unwrap_or(0));
    // Without a history, the time from its start to its illness is what it was well for. Of one that is gone
    // nobody knows when it fell ill.
    let lived = last
        .verdict
        .since
        .filter(|_| last.alive())
        .map(|ill| u64::try_from(ill.duration_since(last.object.created).as_secs()).unwrap_or(0));
    let policy = &draft.ask.desired.policy;
    let next = repair::next(&last.object.id, &mark, last.object.created, healthy_for.or(lived), policy, draft.ask.now);
    let waits = next.evidence.map(|e| e.says).filter(|_| next.not_before > draft.ask.now);
    let not_before = waits.map(|says| (next.not_before, says));
    Lineage { generation, attempt: next.attempt, chain: Some(next.chain), not_before }
}

/// The types to try in a zone, in order.
pub(super) fn types(draft: &Draft<'_>, declared: &MachineGroup, zone: &str) -> Vec<String> {
    draft.ask.history.lessons.types(declared, zone, draft.ask.now)
}

/// A slot with nobody in it.
fn vacant<'a>(
    draft: &mut Draft<'a>,
    declared: &MachineGroup,
    survey: &GroupSurvey<'a>,
    spec: &MachineSpec,
    s: &Slot<'a>,
    place: Place,
) -> Option<Candidate<'a>> {
    let slot = s.address.slot;
    let last = survey.slots.get(&slot).and_then(|all| all.first());
    // What we ended ourselves is wanted again because the file says so.
    let history = draft.ask.history;
    let lost = last.filter(|m| !history.lessons.ended(&m.object.id));
    // EC2 lists no dead machine for long; what earlier looks saw here is gone all the same. Not seen is not gone.
    let gone = history.slots.get(&s.address).filter(|id| last.is_none() && !history.lessons.ended(id));
    let gone = gone.filter(|_| draft.ask.observed.sees_all(&survey.scope, Kind::Machines));
    let dead = lost.is_some() || gone.is_some();
    let reason = match (lost, gone) {
        (None, Some(id)) => Reason { why: Why::Unhealthy, says: format!("{id} is gone") },
        (Some(m), _) => {
            let by = if m.object.says.is_empty() { String::new() } else { format!(" ({})", m.object.says) };
            let state = if m.object.phase == Phase::Leaving { "is being terminated" } else { "was terminated" };
            Reason { why: Why::Unhealthy, says: format!("{} {state}{by}", m.object.id) }
        }
        (None, None) => {
            let live = (0..declared.count).filter(|s| survey.alive(*s).next().is_some()).count();
            let says = if live == 0 {
                format!("count {}", declared.count)
            } else {
                format!("count {live} → {}", declared.count)
            };
            Reason { why: Why::Declared, says }
        }
    };
    // A person's own termination starts a new line; a machine that died of itself continues its own.
    let died = last.filter(|m| !m.object.says.contains("User"));
    let lineage = lineage(draft, survey, &s.address, died);
    let mut change = draft.change(&s.address, Action::Create, vec![reason]);
    change.zone.clone_from(&place.zone);
    change.what = types(draft, declared, &place.zone).first().cloned().unwrap_or_default();
    if draft.holds_occupied(&change) {
        return None;
    }
    let vector = match specified(draft, &s.address.group.name, declared, spec, slot, &place.zone) {
        Ok((_, vector)) => vector,
        Err(says) => {
            draft.hold(change, Hold::Unresolved, says);
            return None;
        }
    };
    let mut c = Candidate::new(change, None);
    c.vector = vector;
    c.urgency = if dead { Urgency::Dead } else { Urgency::Changed };
    c.lineage = lineage;
    c.place = Some(place);
    Some(c)
}

/// A slot whose machine a zone has taken with it: another one in another zone. The first one stays where it is until
/// its zone is back.
fn elsewhere<'a>(
    draft: &mut Draft<'a>,
    declared: &MachineGroup,
    survey: &GroupSurvey<'a>,
    spec: &MachineSpec,
    s: &Slot<'a>,
    keeper: &Member<'a>,
    place: Place,
    says: &str,
) -> Vec<Candidate<'a>> {
    let why = Reason { why: Why::Unhealthy, says: format!("{} is lost with its zone: {says}", keeper.object.id) };
    let mut change = draft.change(&s.address, Action::Create, vec![why]);
    change.zone.clone_from(&place.zone);
    change.what = types(draft, declared, &place.zone).first().cloned().unwrap_or_default();
    let why = Reason { why: Why::Unhealthy, says: format!("another one is launched in {}", place.zone) };
    let first = leave(draft, &s.address, keeper, vec![why]);
    let vector = match specified(draft, &s.address.group.name, declared, spec, s.address.slot, &place.zone) {
        Ok((_, vector)) => vector,
        Err(says) => {
            draft.hold(change, Hold::Unresolved, says);
            return vec![];
        }
    };
    let mut c = Candidate::new(change, None);
    c.beside = std::iter::once(keeper).chain(&s.others).map(|m| m.object.id.clone()).collect();
    c.beside.sort();
    c.lineage.generation = generation(draft, survey, &s.address);
    (c.vector, c.urgency, c.place) = (vector, Urgency::Dead, Some(place));
    vec![c, first]
}

/// Somebody else claims the slot: an earlier generation whose successor is there, or a duplicate.
fn superseded<'a>(draft: &Draft<'a>, address: &Address, keeper: &Member<'a>, other: &Member<'a>) -> Candidate<'a> {
    let reason = if other.generation() < keeper.generation() {
        Reason { why: Why::Unhealthy, says: format!("{} has taken its place", keeper.object.id) }
    } else {
        Reason { why: Why::Duplicate, says: format!("{} keeps the slot", keeper.object.id) }
    };
    let mut c = leave(draft, address, other, vec![reason]);
    // What is not dead may be working still, so it waits for its successor, as it does in the plan that launched that
    // one. Only for one that is ill itself it does not: that one will be replaced.
    let waits = !other.verdict.dead() && !hopeless(keeper);
    if waits {
        c.change.how += " once its successor is ready";
        c.successor = Some(keeper.object.id.clone());
    }
    c.urgency = Urgency::Dead;
    // One that serves in another zone is what an outage left over: in no hurry right after it.
    c.repair = other.ready() && other.object.zone != keeper.object.zone;
    c
}

/// A slot with a live keeper: ill, moved, or different from the file.
fn kept<'a>(
    draft: &mut Draft<'a>,
    declared: &MachineGroup,
    survey: &GroupSurvey<'a>,
    spec: &MachineSpec,
    s: &Slot<'a>,
    keeper: &Member<'a>,
    place: Place,
    uneven: Option<&Reason>,
) -> Option<Candidate<'a>> {
    let slot = s.address.slot;
    let own = (keeper.object.zone.clone(), keeper.object.fields.get("subnet").and_then(Value::text));
    let (fields, vector) = match specified(draft, &s.address.group.name, declared, spec, slot, &own.0) {
        Ok(all) => all,
        Err(says) => {
            let change =
                draft.change(&s.address, Action::Update, vec![Reason { why: Why::Declared, says: says.clone() }]);
            draft.hold(change, Hold::Unresolved, says);
            return None;
        }
    };
    let kind = Kind::Machines;
    let (key, live) = (draft.key(), &keeper.object.fields);
    let mut differences = draft.compared.diff(Some("image"), kind, key, &fields, live, keeper.vector.as_ref());
    image(draft, declared, spec, &s.address, keeper, &vector, &mut differences);
    for field in &differences.unread {
        *draft.unread.entry((s.address.group.clone(), (*field).to_owned())).or_default() += 1;
    }
    super::silent::encrypted(draft, &s.address.group, &differences);
    let needed = needed(draft, declared, s, keeper, &differences, uneven)?;
    let action = needed.action;
    let replace = action == Action::Replace;
    let mut change = of_member(draft, &s.address, action, needed.why, keeper);
    if replace {
        change.zone.clone_from(&place.zone);
    }
    change.fields = needed.shown;
    let bound = draft.survey.bound(draft.ask.desired, &s.address);
    let drains = super::nodes::parting(draft, keeper).is_some();
    change.how = how(action, needed.power, drains, &bound.iter().map(|(a, _)| a.short()).collect::<Vec<_>>());
    if (action, needed.power) == (Action::Update, Power::Keeps) && differences.modify_a_volume() {
        change.how = crate::lessons::then_rests();
    }
    // A move for the balance is nobody's illness.
    let ill = needed.repair && needed.urgency != Urgency::Uneven;
    let lineage = lineage(draft, survey, &s.address, Some(keeper).filter(|_| ill));
    let mut c = Candidate::new(change, Some(keeper.clone()));
    c.vector = if replace {
        specified(draft, &s.address.group.name, declared, spec, slot, &place.zone).map_or(vector, |(_, v)| v)
    } else {
        vector
    };
    let stays = Place { zone: own.0, subnet: own.1.filter(|_| place.subnet.is_some()).map(str::to_owned) };
    c.place = Some(if uneven.is_none() && spec.places.contains(&stays) { stays } else { place });
    (c.differences, c.lineage, c.urgency, c.repair) = (differences, lineage, needed.urgency, needed.repair);
    c.power = needed.power;
    Some(c)
}

/// The image's difference. A lookup's answer that moved is neither declared nor drifted: it is a note,
/// unless the file follows it.
fn image(
    draft: &mut Draft<'_>,
    declared: &MachineGroup,
    spec: &MachineSpec,
    address: &Address,
    keeper: &Member<'_>,
    wanted: &Vector,
    out: &mut Differences,
) {
    let (Some(live), Some(want)) = (keeper.object.fields.get("image"), spec.fields.get("image")) else { return };
    // The stamps hold what was asked for, not what the lookup answered.
    let same_question = keeper.vector.as_ref().map(|v| v.get("im") == wanted.get("im"));
    if live == want {
        out.restamp |= same_question != Some(true);
        return;
    }
    let lookup = match declared.image {
        Image::Id(_) => false,
        Image::Ssm(_) | Image::Newest { .. } => true,
    };
    let why = match (lookup && same_question != Some(false), declared.follow) {
        (true, Follow::Never) => {
            let says = format!("image {live} → {want} ({}); `follow = \"always\"` rolls it", spec.image_name);
            draft.notes.push(Note { kind: "outdated".into(), about: address.group.to_string(), says });
            return;
        }
        (true, Follow::Always) => Why::Outdated,
        (false, _) => Why::Declared,
    };
    let field = schema::field(crate::address::Kind::Machines, "image").expect("machines have an image");
    out.fields.insert(0, Difference { field, live: Some(live.clone()), want: want.clone(), why, dropped: vec![] });
}

fn how(action: Action, power: Power, drains: bool, bound: &[String]) -> String {
    match action {
        Action::Replace => {
            let mut how =
                if drains { "launch first · drain · terminate" } else { "launch first · terminate" }.to_owned();
            for v in bound {
                how.push_str(&format!(" · {v} follows"));
            }
            how
        }
        Action::Update => match power {
            Power::Keeps => String::new(),
            Power::Starts => "start".into(),
            Power::Stops if drains => "drain · stop · change · start".into(),
            Power::Stops => "stop · change · start".into(),
        },
        Action::Create | Action::Delete | Action::Restamp | Action::Quarantine | Action::Release | Action::Attach => {
            String::new()
        }
    }
}
