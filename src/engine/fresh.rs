//! Compare-and-swap: what a plan saw against what there is now, change by change.
//!
//! It refuses and never repairs: a change whose reasons no longer hold needs a new plan. What has begun already is
//! not checked, because what it would find changed is its own doing.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Address, Kind};
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::health::State;
use evenkeel_core::make::object_fingerprint;
use evenkeel_core::observed::{Object, Observed};
use evenkeel_core::plan::{Action, Call, Change, Do, ObjectDoes, OnObject, Plan, Why};
use evenkeel_core::progress::Progress;
use evenkeel_core::stamp::tag;
use evenkeel_core::survey::Survey;

use crate::provider::{Eyes, Looked, Payloads};

/// A change whose reasons no longer hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its index in the plan.
    pub change: u32,
    /// What is different.
    pub because: String,
    /// It is not known to be different: it could not be seen.
    pub unseen: bool,
}

/// The changes to refuse. `now` computes a change's fingerprint from the world as it is, or says in words why it
/// cannot (what cannot be seen is not the same).
pub fn stale(progress: &Progress, mut now: impl FnMut(&Change) -> Result<Digest, String>) -> Vec<Refused> {
    (0u32..)
        .zip(&progress.plan().changes)
        .filter(|(i, _)| !progress.refused().contains_key(i) && !progress.has_begun(*i))
        .filter_map(|(change, c)| {
            let because = match now(c) {
                Ok(fingerprint) if fingerprint == c.fingerprint => return None,
                Ok(_) => format!("{} is not as the plan saw it", c.object.as_deref().unwrap_or("its place")),
                Err(words) => words,
            };
            Some(Refused { change, because, unseen: false })
        })
        .collect()
}

/// The changes of a plan to refuse in the world of this look: what is not as the plan saw it, what cannot be seen, what
/// would take from fewer than the plan counted on, what travels beside a plan and is not at hand, and what goes and is,
/// read by id, not what the lists showed.
pub async fn refusals(
    eyes: &BTreeMap<String, &dyn Eyes>,
    progress: &Progress,
    seen: &Observed,
    survey: &Survey<'_>,
    payloads: &Payloads,
) -> Vec<Refused> {
    let plan = progress.plan();
    let mut refused = stale(progress, |c| {
        let thin = || thinner(progress, c, survey.group(&c.address.group).ready_slots());
        if let Some(says) = unseen(plan, c, seen).or_else(thin).or_else(|| shared_cause(plan, c, survey)) {
            return Err(says);
        }
        match payload_of(plan, &c.address) {
            Some(body) if !payloads.contains_key(body) => {
                let what = if c.address.object.is_some() { "text in the file" } else { "boot script" };
                Err(format!("its {what} is not what the plan saw: make a new plan"))
            }
            Some(_) | None => fingerprint(plan, c, seen, survey),
        }
    });
    let again = second_look(eyes, progress, seen).await;
    let known: BTreeSet<u32> = refused.iter().map(|r| r.change).collect();
    refused.extend(again.into_iter().filter(|r| !known.contains(&r.change)));
    refused
}

/// The marks of which a delete must be sure.
const MARKS: [&str; 5] = [tag::STACK, tag::ADDRESS, tag::LAUNCH, tag::PROTECT, tag::QUARANTINE];

/// The changes to refuse because what they end is, read a second time and by id, not what the lists showed: a list is
/// one observation, and nothing is ended on one. What is gone meanwhile needs no refusal.
pub(crate) async fn second_look(
    eyes: &BTreeMap<String, &dyn Eyes>,
    progress: &Progress,
    seen: &Observed,
) -> Vec<Refused> {
    let plan = progress.plan();
    let mut ends: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
    for step in &plan.steps {
        let ids = match &step.does {
            Do::Call(Call::Terminate(ids)) => ids.as_slice(),
            Do::Call(Call::DeleteVolume(id)) => std::slice::from_ref(id),
            Do::Call(_) | Do::Wait(_) => continue,
        };
        for id in ids {
            let of = |i: &&u32| plan.changes.get(**i as usize).is_some_and(|c| c.object.as_ref() == Some(id));
            let change = step.changes.iter().find(of).filter(|i| !progress.has_begun(**i));
            ends.entry(&step.scope).or_default().extend(change.map(|i| (id.as_str(), *i)));
        }
    }
    let mut refused = Vec::new();
    for (scope, ends) in ends.into_iter().filter(|(_, ends)| !ends.is_empty()) {
        let ids = ends.keys().map(|id| (*id).to_owned()).collect();
        let again = match eyes.get(scope) {
            Some(eyes) => eyes.look(&ids).await,
            None => Err(Failure::new(Class::Invalid, "", format!("no provider for the scope `{scope}`"))),
        };
        let moved = |now: &Object| {
            let then = seen.object(&now.id)?;
            let moved = MARKS.into_iter().find(|key| now.tags.get(*key) != then.tags.get(*key))?;
            Some((format!("{} bears another {moved} than the lists showed", now.id), false))
        };
        let blind = |id: &str, failure: &Failure| (format!("{id} goes, and could not be read by id: {failure}"), true);
        let shown = again.as_ref().map(Looked::shown);
        let says = |id: &str| match &shown {
            Err(failure) => Some(blind(id, failure)),
            Ok(shown) => match shown.get(id)? {
                Ok(now) => moved(now),
                Err(failure) => Some(blind(id, failure)),
            },
        };
        let all = ends.into_iter().filter_map(|(id, change)| {
            let (because, unseen) = says(id)?;
            Some(Refused { change, because, unseen })
        });
        refused.extend(all.collect::<Vec<_>>());
    }
    refused.sort_by_key(|r| r.change);
    refused.dedup_by_key(|r| r.change);
    refused
}

/// The digest of what travels beside a plan for this address: the boot script of a new machine, the body of an object.
fn payload_of<'p>(plan: &'p Plan, address: &Address) -> Option<&'p Digest> {
    plan.steps.iter().find_map(|s| match &s.does {
        Do::Call(Call::Launch(l)) if l.addresses().contains(address) => l.user_data.as_ref(),
        Do::Call(Call::Object(OnObject { object, does: ObjectDoes::Apply { body, .. }, .. })) => {
            (address.object.as_deref() == Some(object)).then_some(body)
        }
        Do::Call(_) | Do::Wait(_) => None,
    })
}

/// The live fingerprint of what a change is about.
fn fingerprint(plan: &Plan, change: &Change, seen: &Observed, survey: &Survey<'_>) -> Result<Digest, String> {
    let Some(object) = &change.address.object else { return Ok(survey.fingerprint(&change.address)) };
    let of = |i: &u32| plan.changes.get(*i as usize) == Some(change);
    let step = plan.steps.iter().find(|s| s.changes.iter().any(of));
    object_fingerprint(seen, step.map_or("", |s| s.scope.as_str()), object)
}

/// What of the change's scope could not be seen, in words: nothing is done there, because not seen is not absent, and
/// an empty slot looks the same in either case.
pub fn unseen(plan: &Plan, change: &Change, seen: &Observed) -> Option<String> {
    let of = |i: &u32| plan.changes.get(*i as usize) == Some(change);
    let mut steps = plan.steps.iter().filter(|s| s.changes.iter().any(of));
    let gap = steps.find_map(|s| seen.gaps.iter().find(|g| g.scope == s.scope && !g.partial))?;
    Some(format!("{} cannot be seen now: {}", gap.what, gap.failure))
}

/// A machine that serves goes, or is stopped, because the plan counted on others of its group. What is said where
/// fewer serve now (`ready`) than it counted on; those that the plan itself has taken away are not missed.
pub fn thinner(progress: &Progress, change: &Change, ready: u32) -> Option<String> {
    let takes = |c: &Change| match c.action {
        // One that its successor replaces is waited for.
        Action::Delete => !c.reasons.iter().any(|r| matches!(r.why, Why::Duplicate | Why::Unhealthy)),
        Action::Update => c.how.contains("stop · "),
        Action::Create | Action::Replace | Action::Restamp | Action::Quarantine | Action::Release | Action::Attach => {
            false
        }
    };
    let plan = progress.plan();
    let group = &change.address.group;
    if group.kind.is_kubernetes() {
        return None;
    }
    let then = plan.forecast.iter().find(|f| f.group == *group && f.wanted > 0).filter(|_| takes(change))?;
    let begun = (0u32..).zip(&plan.changes).filter(|(i, c)| c.address.group == *group && progress.has_begun(*i));
    let counted_on = then.ready.saturating_sub(u32::try_from(begun.count()).unwrap_or(u32::MAX));
    (ready < counted_on).then(|| format!("{ready} of {group} are ready now, and the plan counted on {counted_on}"))
}

/// What is said of a change that the state of its zone, or of all machines, speaks against now: the plan was made before
/// a zone went out, or before everything fell ill at once. And of one that follows a retirement that EC2 has called off.
pub fn shared_cause(plan: &Plan, change: &Change, survey: &Survey<'_>) -> Option<String> {
    let group = &change.address.group;
    let why = |wanted: Why| change.reasons.iter().any(|r| r.why == wanted);
    let (launches, ends) = match change.action {
        Action::Create => (true, false),
        Action::Replace => (true, true),
        Action::Delete => (false, true),
        Action::Update | Action::Restamp | Action::Quarantine | Action::Release | Action::Attach => return None,
    };
    // Who named it has looked at it; and `destroy` names everything.
    if group.kind != Kind::Machines || why(Why::Asked) {
        return None;
    }
    let situation = survey.situations.get(&survey.group(group).scope)?;
    let member = survey.alive(&change.address).find(|m| change.object.as_ref() == Some(&m.object.id));
    let into = plan.steps.iter().find_map(|s| match &s.does {
        // Of several places one that is well is enough.
        Do::Call(Call::Launch(l)) if launches && l.addresses().contains(&change.address) => {
            l.places.iter().map(|p| situation.holds_zone(&p.zone)).collect::<Option<Vec<_>>>()?.pop()
        }
        Do::Call(_) | Do::Wait(_) => None,
    });
    let out_of = || member.filter(|_| ends).and_then(|m| situation.holds_zone(&m.object.zone));
    if let Some(evidence) = into.or_else(out_of) {
        return Some(evidence.says);
    }
    let repair = change.action == Action::Replace && (why(Why::Unhealthy) || why(Why::Uneven) || why(Why::Retiring));
    if let Some((_, evidence)) = situation.frozen.as_ref().filter(|_| repair) {
        return Some(evidence.says.clone());
    }
    let called_off = change.reasons.iter().all(|r| r.why == Why::Retiring)
        && member.is_some_and(|m| !matches!(m.verdict.state, State::Planned { .. }));
    called_off.then(|| "its retirement has been called off".to_owned())
}

/// Whether a plan may be applied here at all: the same stack, the same accounts and regions.
///
/// # Errors
/// What is different, in words, with a way out.
pub fn same_place(plan: &Plan, stack: &str, seen: &Observed) -> Result<(), String> {
    if plan.basis.stack != stack {
        return Err(format!(
            "the plan was made for the stack `{}` (id {}), this declaration's id is {stack}: apply it where it was \
             made, or make a new plan",
            plan.basis.name, plan.basis.stack
        ));
    }
    for (alias, (account, region)) in &plan.basis.scopes {
        let Some(now) = seen.scopes.get(alias) else {
            return Err(format!("the plan acts in the scope `{alias}`, which could not be seen now: make a new plan"));
        };
        if (&now.account, &now.region) != (account, region) {
            return Err(format!(
                "the plan was made for account {account} in {region}, these credentials are for account {} in {}: \
                 use the other credentials, or make a new plan",
                now.account, now.region
            ));
        }
    }
    Ok(())
}
