//! Lets candidates through or holds them: protection, gaps, outages, floors, breaker, caps.
//!
//! Every candidate ends either in [`Admitted`] or in the plan's held list with the rule that holds it; none is lost.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Candidate, Draft, Power, order};
use crate::address::{Address, Group, Kind};
use crate::desired::{Layout, is_cluster};
use crate::health::moment;
use crate::launch::Place;
use crate::lessons::modified;
use crate::plan::{Action, Hold};
use crate::policy::Policy;
use crate::repair::{self, Outcome, Replacement};
use crate::situation::{Attribute, Freeze, Values, launch_value};
use crate::survey::{GroupSurvey, Member};

/// What may happen, sorted by how it goes.
#[derive(Default)]
pub(super) struct Admitted<'a> {
    /// Machines by group.
    pub machines: BTreeMap<Group, GroupWork<'a>>,
    /// Volumes.
    pub volumes: Vec<Candidate<'a>>,
}

/// The work on one machine group.
#[derive(Default)]
pub(super) struct GroupWork<'a> {
    /// Empty slots to fill; all at once.
    pub creates: Vec<Candidate<'a>>,
    /// Replacements in successive waves.
    pub waves: Vec<Vec<Candidate<'a>>>,
    /// Earlier generations and duplicates that go once their successor is ready.
    pub retire: Vec<Candidate<'a>>,
    /// Changes in place; those that stop a machine come one wave after another.
    pub updates: Vec<Candidate<'a>>,
    /// How many may be stopped at once.
    pub stops: u32,
    /// Only marks.
    pub stamps: Vec<Candidate<'a>>,
    /// Machines that go.
    pub deletes: Vec<Candidate<'a>>,
}

/// Sorts the candidates.
pub(super) fn admit<'a>(draft: &mut Draft<'a>, candidates: Vec<Candidate<'a>>) -> Admitted<'a> {
    let mut passed = Vec::new();
    for c in candidates {
        match objection(draft, &c) {
            Some((by, words)) => draft.hold(c.change, by, words),
            None => passed.push(c),
        }
    }
    let passed = capped(draft, passed);
    let mut out = Admitted::default();
    let mut replaces: BTreeMap<Group, Vec<Candidate<'a>>> = BTreeMap::new();
    for c in passed {
        let group = c.change.address.group.clone();
        if group.kind == Kind::Volumes {
            out.volumes.push(c);
            continue;
        }
        let work = out.machines.entry(group.clone()).or_default();
        match c.change.action {
            Action::Create => work.creates.push(c),
            Action::Replace => replaces.entry(group).or_default().push(c),
            Action::Update => work.updates.push(c),
            Action::Restamp => work.stamps.push(c),
            Action::Delete if superseded(&c) => work.retire.push(c),
            Action::Delete => work.deletes.push(c),
            Action::Quarantine | Action::Release | Action::Attach => {
                unreachable!("only volumes are quarantined, released or attached")
            }
        }
    }
    for (group, all) in replaces {
        let work = out.machines.entry(group.clone()).or_default();
        work.waves = waves(draft, &group, work.creates.len(), all);
    }
    for (group, work) in &mut out.machines {
        floored(draft, group, work);
    }
    out
}

/// The floor: what serves goes or stops only as far as enough others serve now. What its successor replaces is not
/// asked here: that one is waited for.
fn floored<'a>(draft: &mut Draft<'a>, group: &Group, work: &mut GroupWork<'a>) {
    let count = draft.ask.desired.machines.get(&group.name).map_or(0, |g| g.count);
    let unavailable = draft.ask.desired.policy.unavailable(count);
    let needed = if draft.ask.intent.destroy { 0 } else { count - unavailable };
    let ready = draft.survey.group(group).ready_slots();
    let mut spare = ready.saturating_sub(needed);
    work.stops = unavailable.max(1);
    if needed == 0 {
        return;
    }
    let serves = |c: &Candidate<'_>| c.member.as_ref().is_some_and(Member::ready);
    // The highest slot goes first.
    let mut deletes = Vec::new();
    for c in std::mem::take(&mut work.deletes).into_iter().rev() {
        if !serves(&c) {
            deletes.push(c);
        } else if spare > 0 {
            spare -= 1;
            deletes.push(c);
        } else {
            draft.hold(c.change, Hold::Floor, format!("others to be ready: {ready} are, {needed} are needed"));
        }
    }
    deletes.reverse();
    work.deletes = deletes;
    work.stops = work.stops.min(spare).max(1);
    if spare == 0 {
        let (over, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut work.updates).into_iter().partition(|c| c.power == Power::Stops && serves(c));
        work.updates = rest;
        for c in over {
            draft.hold(c.change, Hold::Floor, format!("others to be ready: {ready} are, {needed} are needed"));
        }
    }
}

fn superseded(c: &Candidate<'_>) -> bool {
    c.change.is_superseded()
}

/// The first rule that speaks against a candidate.
fn objection(draft: &mut Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    if let Some(words) = draft.left_out(&c.change.address) {
        return Some((Hold::Filter, words.into()));
    }
    unseen(draft, c)
        .or_else(|| nodes_unseen(draft, c))
        .or_else(|| unsighted(draft, c))
        .or_else(|| launching(draft, c))
        .or_else(|| protected(draft, c))
        .or_else(|| emptied(draft, c))
        .or_else(|| outage(draft, c))
        .or_else(|| no_room(draft, c))
        .or_else(|| token_used(draft, c))
        .or_else(|| refused(draft, c))
        .or_else(|| resting(draft, c))
        .or_else(|| too_soon(draft, c))
}

/// Not seen is not absent: a gap never leads to a create or a delete.
fn unseen(draft: &Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let acts = match c.change.action {
        Action::Create | Action::Replace | Action::Delete | Action::Quarantine | Action::Attach => true,
        // A mark that names a slot again must not name one that only looks free.
        Action::Update | Action::Restamp | Action::Release => c.member.as_ref().is_some_and(|m| m.launch.is_none()),
    };
    let group = &c.change.address.group;
    let scope = c.scope(draft.survey);
    let bound = draft.ask.desired.volumes.values().any(|v| v.layout == Layout::For(group.clone()));
    let kinds: &[Kind] = match (group.kind, bound) {
        (Kind::Machines, false) => &[Kind::Machines],
        (Kind::Machines, true) | (Kind::Volumes, _) => &[Kind::Machines, Kind::Volumes],
        (Kind::Workloads | Kind::Manifests, _) => &[],
    };
    let says = kinds.iter().find_map(|k| full_look(draft, scope, *k)).filter(|_| acts)?;
    Some((Hold::Blind, says))
}

/// What is waited for where not everything of a kind was seen in a scope, in words.
pub(super) fn full_look(draft: &Draft<'_>, scope: &str, kind: Kind) -> Option<String> {
    let gap = (draft.ask.observed.gaps.iter())
        .find(|g| g.scope == scope && !g.partial && g.kind.is_none_or(|k| k == kind))?;
    Some(format!("a full look at {kind}: {}", gap.failure))
}

/// What a machine would take with it is not known while the nodes of its cluster are not.
fn nodes_unseen(draft: &Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let goes = match c.change.action {
        Action::Replace | Action::Delete => c.member.as_ref().is_some_and(|m| !m.verdict.dead()),
        // A change that stops it takes its pods too.
        Action::Update => c.differences.fields.iter().any(crate::diff::Difference::needs_stop),
        Action::Create | Action::Restamp | Action::Quarantine | Action::Release | Action::Attach => false,
    };
    if !goes {
        return None;
    }
    let (scope, why) = super::nodes::unseen(draft, &c.change.address.group)?;
    Some((Hold::Blind, format!("a full look at the nodes of `{scope}`{why}")))
}

/// Who may go depends on how the others are, and on whether their zones are well: where nobody sees that, nobody is
/// ended, stopped or replaced. What is dead takes nothing away from anybody.
fn unsighted(draft: &Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let goes = match c.change.action {
        Action::Replace | Action::Delete => true,
        Action::Update => c.power == Power::Stops,
        Action::Create | Action::Restamp | Action::Quarantine | Action::Release | Action::Attach => false,
    };
    let group = &c.change.address.group;
    let lives = c.member.as_ref().is_some_and(|m| !m.verdict.dead());
    if !goes || !lives || group.kind != Kind::Machines || draft.ask.intent.destroy {
        return None;
    }
    let scope = c.scope(draft.survey);
    if draft.ask.observed.scopes.get(scope).is_some_and(|s| s.zones.is_empty()) {
        return Some((Hold::Blind, "a look at the zones, one of which may be out".into()));
    }
    let (freeze, evidence) = draft.survey.situations.get(scope)?.frozen.as_ref()?;
    match freeze {
        Freeze::Blind => Some((Hold::Blind, format!("a sight of their health: {}", evidence.says))),
        Freeze::Global => None,
    }
}

/// Part of a batch that is there only in part: the rest is on its way, neither absent nor healthy.
fn launching(draft: &mut Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let address = &c.change.address;
    let launches = matches!(c.change.action, Action::Create | Action::Replace) && address.group.kind == Kind::Machines;
    let survey = draft.survey.groups.get(&address.group).filter(|_| launches)?;
    let until = survey.launching(address.slot, draft.ask.now, draft.ask.desired.policy.grace)?;
    draft.look_again_by(Some(until));
    Some((Hold::Launching, "its launch, of which others are there already, to show in full".into()))
}

fn protected(draft: &Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let goes = match c.change.action {
        Action::Replace | Action::Delete | Action::Quarantine => true,
        Action::Create | Action::Update | Action::Restamp | Action::Release | Action::Attach => false,
    };
    let member = c.member.as_ref().filter(|_| goes)?;
    // `destroy` does not take the data from under a machine that stays because it is protected.
    if let Some(at) = member.object.attached.as_ref().filter(|_| draft.ask.intent.destroy) {
        let holder = (draft.survey.groups.iter())
            .filter(|(g, _)| g.kind == Kind::Machines)
            .find_map(|(g, s)| s.members().find(|(_, m)| m.object.id == at.to).map(|(slot, m)| (g.slot(slot), m)));
        if let Some((address, _)) = holder.filter(|(_, m)| m.protected()) {
            let stack = &draft.ask.desired.stack.name;
            let says = format!("`evenkeel unprotect {address}` (stack {stack}): it hangs there");
            return Some((Hold::Protection, says));
        }
    }
    // A stopping machine too: EC2 refuses to terminate it while it is protected, and stopped it can be started.
    member.protected().then(|| {
        let stack = &draft.ask.desired.stack.name;
        (Hold::Protection, format!("`evenkeel unprotect {}` (stack {stack})", c.change.address))
    })
}

/// Zero desired with many live is refused without an explicit flag.
fn emptied(draft: &Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let intent = draft.ask.intent;
    if intent.destroy || intent.allow_empty || superseded(c) {
        return None;
    }
    match c.change.action {
        Action::Delete | Action::Quarantine => {}
        Action::Create | Action::Update | Action::Replace | Action::Restamp | Action::Release | Action::Attach => {
            return None;
        }
    }
    let group = &c.change.address.group;
    let wanted = draft.ask.desired.wanted(group);
    let live = draft.survey.group(group).members().count();
    (wanted == 0 && live > 1)
        .then(|| (Hold::ZeroDesired, format!("--allow-empty: {group} would go from {live} to none")))
}

/// Shared causes freeze repair and balance; declared changes go on, but nothing is launched or terminated in an
/// impaired zone, and nothing is launched of a value that has never come up well.
fn outage(draft: &mut Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let scope = c.scope(draft.survey);
    let situation = draft.survey.situations.get(scope).filter(|_| !draft.ask.intent.destroy)?;
    let (launches, ends) = match c.change.action {
        Action::Create => (true, false),
        Action::Replace => (true, true),
        Action::Delete => (false, true),
        Action::Update | Action::Restamp | Action::Quarantine | Action::Release | Action::Attach => (false, false),
    };
    let member = c.member.as_ref();
    let mut repairs = c.repair;
    if let (Some((freeze, evidence)), true) = (&situation.frozen, c.repair) {
        // Who names a machine has looked at it.
        repairs = !draft.ask.intent.replace.contains(&c.change.address);
        match freeze {
            Freeze::Blind => return Some((Hold::Blind, format!("a sight of their health: {}", evidence.says))),
            Freeze::Global if repairs => {
                return Some((Hold::Frozen, format!("a look by hand: {}", evidence.says)));
            }
            Freeze::Global => {}
        }
    }
    let repair = member.filter(|_| repairs).and_then(|m| situation.holds_repair(&m.object.zone, !m.verdict.dead()));
    let end = || member.filter(|_| ends).and_then(|m| situation.holds_zone(&m.object.zone));
    let launch = || c.place.as_ref().filter(|_| launches).and_then(|p| situation.holds_launch(&values(draft, c, p)));
    let evidence = repair.or_else(end).or_else(launch)?;
    let recheck = situation.recheck;
    draft.look_again_by(recheck);
    Some((Hold::Outage, evidence.says))
}

/// A launch that can go nowhere else waits until there may be room again.
fn no_room(draft: &mut Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let launches = matches!(c.change.action, Action::Create | Action::Replace);
    let declared = draft.ask.desired.machines.get(&c.change.address.group.name).filter(|_| launches)?;
    let full = draft.ask.history.lessons.full(declared, draft.ask.now).remove(&c.place.as_ref()?.zone)?;
    draft.look_again_by(Some(full.until));
    Some((Hold::Time, full.waits_for()))
}

/// EC2 has launched this slot before and does not list it: it may be on its way, or gone and remembered by its token.
fn token_used(draft: &mut Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let launches = matches!(c.change.action, Action::Create | Action::Replace);
    let (address, grace) = (&c.change.address, draft.ask.desired.policy.grace);
    let until = draft.ask.history.lessons.coming(address, grace, draft.ask.now).filter(|_| launches)?;
    draft.look_again_by(Some(until));
    let says = format!(
        "an earlier launch to show: EC2 knows its client token; if nothing shows until {}, it is launched anew",
        moment(until)
    );
    Some((Hold::Time, says))
}

/// EBS modifies no volume twice within hours. What else is to change goes with it in one call, and waits too.
fn resting(draft: &mut Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let kind = c.change.address.group.kind;
    // A machine is started all the same.
    let holds = c.change.action == Action::Update && c.power != Power::Starts;
    let id = c.change.object.as_deref().filter(|_| holds)?;
    let links = c.member.as_ref().map(|m| &m.object.links)?;
    let volumes = modified(kind, id, &order::asked(c, |_| true), links);
    let until = volumes.iter().filter_map(|v| draft.ask.history.lessons.resting(v, draft.ask.now)).max()?;
    draft.look_again_by(Some(until));
    Some((Hold::Time, format!("EBS, which modifies no volume again so soon; tried again from {}", moment(until))))
}

/// A change in place that EC2 does not take: asked again, it would be refused again.
fn refused(draft: &Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let machine = c.change.action == Action::Update && c.change.address.group.kind == Kind::Machines;
    let fields = &c.differences.fields;
    if let Some(d) = fields.iter().find(|d| machine && d.field.name == "security-groups" && d.want.is_nothing()) {
        let says =
            "EC2 takes no machine out of its last group; `security-groups = [\"default\"]` gives it its VPC's own";
        return Some((Hold::Unresolved, format!("another value of {}: {says}", d.field.name)));
    }
    if !machine || c.power != Power::Stops {
        return None;
    }
    let wrong = draft.ask.history.lessons.wrong(&c.change.address.group, &super::order::asked(c, |_| true))?;
    let says = format!(
        "another value: {} was stopped for this one in vain, EC2 said \"{}\"; `--replace` makes a new machine",
        wrong.id, wrong.says
    );
    Some((Hold::Unresolved, says))
}

/// What a launch of this candidate would be made of.
fn values(draft: &Draft<'_>, c: &Candidate<'_>, place: &Place) -> Values {
    let group = &c.change.address.group;
    let declared = draft.ask.desired.machines.get(&group.name);
    let spec = draft.specs.get(&group.name);
    let text = |f: &str| spec.and_then(|s| s.fields.get(f)).and_then(|v| v.text()).map(str::to_owned);
    let known = [
        (Attribute::Zone, Some(place.zone.clone())),
        (Attribute::Subnet, place.subnet.clone()),
        (Attribute::Image, text("image")),
        (Attribute::Type, declared.and_then(|g| g.types.first().cloned())),
        (Attribute::PlacementGroup, text("placement-group")),
        (Attribute::Launch, Some(launch_value(group, &c.vector.to_string()))),
    ];
    known.into_iter().filter_map(|(a, v)| Some((a, v?))).collect()
}

/// Backoff and suspension of a lineage.
fn too_soon(draft: &mut Draft<'_>, c: &Candidate<'_>) -> Option<(Hold, String)> {
    let (at, says) = c.lineage.not_before.clone().filter(|_| c.member.is_none() || c.repair)?;
    draft.look_again_by(Some(at));
    Some((Hold::Time, says))
}

/// The cap on deletes of one run. Replacements are not deletes: what they end, they have replaced.
fn capped<'a>(draft: &mut Draft<'a>, candidates: Vec<Candidate<'a>>) -> Vec<Candidate<'a>> {
    let intent = draft.ask.intent;
    if intent.destroy {
        return candidates;
    }
    let counts = |c: &Candidate<'_>| c.change.deletes();
    let alive: BTreeSet<&str> =
        draft.survey.groups.values().flat_map(|g| g.members().map(|(_, m)| m.object.id.as_str())).collect();
    // What this run has deleted already was there when it began.
    let before = intent.deleted.iter().filter(|(scope, _)| !is_cluster(scope));
    let before: BTreeSet<&str> = before.flat_map(|(_, ids)| ids.iter().map(String::as_str)).collect();
    let owned = u32::try_from(alive.union(&before).count()).unwrap_or(u32::MAX);
    let policy = &draft.ask.desired.policy;
    let most = intent.max_deletes.map_or_else(|| policy.deletes(owned), |a| a.floor_of(owned));
    // One that was begun and is still there is no second one.
    let again = |c: &Candidate<'_>| c.change.object.as_deref().is_some_and(|id| before.contains(id));
    let deletes = candidates.iter().filter(|c| counts(c) && !again(c)).count() + before.len();
    if deletes <= most as usize {
        return candidates;
    }
    let (over, rest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|c| counts(c) && !again(c));
    for c in over {
        draft.hold(
            c.change,
            Hold::DeleteCap,
            format!("--max-deletes {deletes}: this run may delete {most} of {owned}"),
        );
    }
    rest
}

/// Replacements in waves: the most urgent first, one alone to begin with where nothing of the new specification has
/// come up well or the breaker is open.
fn waves<'a>(
    draft: &mut Draft<'a>,
    group: &Group,
    creates: usize,
    mut all: Vec<Candidate<'a>>,
) -> Vec<Vec<Candidate<'a>>> {
    let survey = draft.survey.group(group);
    let policy = &draft.ask.desired.policy;
    let count = draft.ask.desired.machines.get(&group.name).map_or(0, |g| g.count);
    all.sort_by_key(|c| {
        let created = c.member.as_ref().map_or(Timestamp::UNIX_EPOCH, |m| m.object.created);
        (c.urgency.turn(created), c.change.address.clone())
    });
    let now = draft.ask.now;
    // Machines of an impaired zone are on neither side of the breaker, and use up no surge.
    let situation = draft.survey.situations.get(&survey.scope);
    let aside = |m: &Member<'_>| situation.is_some_and(|s| s.impaired.contains_key(&m.object.zone));
    let here: Vec<&Member<'_>> = survey.members().map(|(_, m)| m).filter(|m| !aside(m)).collect();
    let counted = here.iter().filter(|m| m.verdict.counted()).count();
    let soft = here.iter().filter(|m| m.verdict.soft()).count();
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let breaker = repair::breaker(narrow(soft), narrow(counted), policy);
    let canary = !survey
        .members()
        .any(|(_, m)| m.ready() && m.vector.as_ref().is_some_and(|v| all.first().is_some_and(|c| c.vector == *v)));
    let recent: Vec<Replacement> = (survey.slots.values().flatten())
        .filter_map(|m| Replacement::of(m.launch.as_ref()?, m.object.created, &m.verdict, policy, now))
        .collect();
    let mut pace = repair::pace(breaker, canary, &recent, count, policy, now);
    let alive = narrow(here.len() + creates);
    // What lives beyond the declared number, or will when the empty slots are filled, uses up surge already.
    let surge = policy.surge(count).saturating_sub(alive.saturating_sub(count)).max(1);
    (pace.first, pace.most) = (pace.first.min(surge), pace.most.min(surge));
    let sizes = pace.waves(narrow(all.len()));
    let started: usize = sizes.iter().map(|n| *n as usize).sum();
    draft.look_again_by(pace.not_before);
    if started < all.len() {
        let settling = settling(survey, policy, now);
        draft.look_again_by(settling.as_ref().and_then(|(_, until)| *until));
        let words: Vec<String> =
            pace.evidence.iter().map(|e| e.says.clone()).chain(settling.map(|(says, _)| says)).collect();
        for c in all.split_off(started) {
            draft.hold(c.change, Hold::Breaker, words.join(", "));
        }
    }
    let mut all = all.into_iter();
    sizes.into_iter().map(|n| all.by_ref().take(n as usize).collect()).collect()
}

/// The replacements that the next ones wait for, in words, and until when where only time is left to wait for.
fn settling(survey: &GroupSurvey<'_>, policy: &Policy, now: Timestamp) -> Option<(String, Option<Timestamp>)> {
    let mut young: Vec<(String, Option<Timestamp>)> = Vec::new();
    for (slot, m) in survey.slots.iter().flat_map(|(slot, all)| all.iter().map(move |m| (slot, m))) {
        let Some(r) = m.launch.as_ref().and_then(|l| Replacement::of(l, m.object.created, &m.verdict, policy, now))
        else {
            continue;
        };
        match r.outcome {
            Outcome::UnderWay => young.push((slot.to_string(), m.ready().then(|| warm_at(m, policy)).flatten())),
            Outcome::Healthy | Outcome::Failed => {}
        }
    }
    let (first, _) = young.first()?;
    let more = if young.len() > 1 { format!(" and {} more", young.len() - 1) } else { String::new() };
    // All must be warm; one that is not ready has no time.
    let until = young.iter().map(|(_, until)| *until).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    let says = match until {
        Some(at) => {
            let are = if young.len() > 1 { "were just replaced and are" } else { "was just replaced and is" };
            format!("slot {first}{more} {are} watched until {}", moment(at))
        }
        None => format!("the new machine of slot {first}{more} is not ready yet"),
    };
    Some((says, until))
}

/// When a ready machine has been ready for long enough.
fn warm_at(m: &Member<'_>, policy: &Policy) -> Option<Timestamp> {
    let since = m.verdict.since.unwrap_or(m.object.created).max(m.object.created);
    since.checked_add(SignedDuration::from_secs(i64::try_from(policy.repair.warmup).ok()?)).ok()
}

/// The address of the machine slot that a volume belongs to.
pub(super) fn home(draft: &Draft<'_>, volume: &Address) -> Option<Address> {
    match &draft.ask.desired.volumes.get(&volume.group.name)?.layout {
        Layout::For(machines) => Some(machines.slot(volume.slot)),
        Layout::Replicas { .. } => None,
    }
}
