//! Kubernetes objects: what the file wishes, what is live, and what becomes of each.
//!
//! One object is one change. It is made, changed in place, made again where the server will not change it, given back
//! its marks, or pruned: never by its name, only by our label and our field manager.

mod containers;
mod marks;
mod owners;
mod refused;
mod shown;
mod steps;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

pub use self::owners::{group_of, is_ours};
use self::refused::{barred, refused, taken, unchangeable};
use self::shown::{fields, reasons, what, written};
pub(crate) use self::steps::awaited;
use super::Draft;
use crate::address::{Address, Group, Kind, ObjectName};
use crate::applyset;
use crate::desired::{Bundle, Cluster, ObjectWish};
use crate::digest::{Digest, canonical};
use crate::failure::{Class, Failure};
use crate::health::moment;
use crate::objects::compare;
use crate::objects::order::loses;
use crate::objects::readiness::leaving;
use crate::objects::settle::settle;
use crate::objects::{Sort, redact};
use crate::observed::{ClusterSeen, Live, Trial};
use crate::plan::{Action, Change, Forecast, Hold, Note, Reason, Step, Why};

/// What the file wishes of one object.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    group: &'a Group,
    bundle: &'a Bundle,
    wish: &'a ObjectWish,
}

/// What is done to one object.
enum Doing<'a> {
    /// Applied; with the uid of the live one, if it stays.
    Apply(Wanted<'a>, Option<String>),
    /// Deleted, and applied anew.
    Remake(Wanted<'a>, String),
    /// Deleted.
    Delete(String),
    /// Annotations of our own.
    Mark { uid: String, set: BTreeMap<String, String>, unset: Vec<String> },
}

/// An object with what is done to it.
struct Work<'a> {
    object: ObjectName,
    api_version: String,
    change: Change,
    doing: Doing<'a>,
}

/// Everything that is done to objects of clusters: changes, steps, forecasts. Steps are numbered from 0.
pub(super) fn objects<'a>(draft: &mut Draft<'a>) -> (Vec<Change>, Vec<Step>, Vec<Forecast>) {
    let mut out = steps::Steps::default();
    let mut forecasts = Vec::new();
    let desired = draft.ask.desired;
    for (scope, cluster) in &desired.clusters {
        let wanted: Vec<Wanted<'a>> = (desired.bundles.iter())
            .filter(|(_, b)| b.scope == *scope)
            .flat_map(|(group, bundle)| bundle.objects.iter().map(move |wish| Wanted { group, bundle, wish }))
            .collect();
        for w in &wanted {
            draft.payloads.insert(w.wish.body.digest().clone(), canonical(w.wish.body.json()).into_bytes());
        }
        let Some(seen) = draft.ask.observed.clusters.get(scope) else {
            if !draft.ask.intent.destroy {
                unseen_cluster(draft, scope, &wanted);
            }
            continue;
        };
        let place = Place { scope, cluster, seen };
        let (work, groups) = place.decide(draft, wanted);
        forecasts.extend(groups);
        out.add(draft, &place, work);
    }
    let (changes, steps) = out.sorted();
    (changes, steps, forecasts)
}

/// Not one of its objects can be judged.
fn unseen_cluster(draft: &mut Draft<'_>, scope: &str, wanted: &[Wanted<'_>]) {
    let gap = draft.ask.observed.gaps.iter().find(|g| g.scope == scope);
    let why = gap.map_or_else(|| "it was not looked at".to_owned(), |g| g.failure.to_string());
    for w in wanted {
        let says = vec![Reason { why: Why::Declared, says: "declared".into() }];
        let change = blank(&w.group.object(w.wish.object.clone()), Action::Update, says);
        draft.hold(change, Hold::Blind, format!("a look at the cluster: {why}"));
    }
}

/// One cluster.
struct Place<'a> {
    scope: &'a str,
    cluster: &'a Cluster,
    seen: &'a ClusterSeen,
}

/// A change without a fingerprint yet.
fn blank(address: &Address, action: Action, reasons: Vec<Reason>) -> Change {
    Change {
        address: address.clone(),
        object: None,
        action,
        reasons,
        fields: vec![],
        zone: String::new(),
        what: String::new(),
        node: None,
        how: String::new(),
        fingerprint: Digest(String::new()),
    }
}

/// The fingerprint of an object: everything about it that can justify a change. What controllers write into it as they
/// work (status, generation, who holds what) is left out.
pub fn fingerprint(seen: &ClusterSeen, object: &ObjectName) -> Digest {
    let Some(live) = seen.objects.get(object) else { return Digest::of(b"absent") };
    let mut body = live.body.clone();
    if let Some(all) = body.as_object_mut() {
        all.remove("status");
        if let Some(metadata) = all.get_mut("metadata").and_then(Json::as_object_mut) {
            for key in ["managedFields", "resourceVersion", "generation"] {
                metadata.remove(key);
            }
        }
    }
    Digest::of_json(&(&live.uid, body))
}

impl<'a> Place<'a> {
    fn decide(&self, draft: &mut Draft<'a>, wanted: Vec<Wanted<'a>>) -> (Vec<Work<'a>>, Vec<Forecast>) {
        let named: BTreeMap<ObjectName, Wanted<'a>> =
            wanted.into_iter().map(|w| (self.seen.resolved(&w.wish.object), w)).collect();
        let mut work = Vec::new();
        if let Some(Err(tool)) = &self.seen.parent {
            let about = applyset::parent_name(draft.key(), self.cluster.namespace()).to_string();
            let says = format!("is the set of {tool}: nothing of this stack is made or pruned in this cluster");
            draft.notes.push(Note { kind: "foreign".into(), about, says });
            for (object, w) in &named {
                let change = self.change(&w.group.object(object.clone()), Action::Update, Why::Declared, "declared");
                draft.hold(change, Hold::Foreign, format!("a person: the stack's own mark belongs to {tool}"));
            }
            return (work, vec![]);
        }
        if !draft.ask.intent.destroy {
            for (object, w) in &named {
                work.extend(self.wished(draft, object, *w, &named));
            }
        }
        let forecasts = self.forecasts(draft, &named);
        let pruned = self.pruned(draft, &named);
        work.extend(self.emptied(draft, pruned, &named));
        (work, forecasts)
    }

    fn change(&self, address: &Address, action: Action, why: Why, says: impl Into<String>) -> Change {
        let mut change = blank(address, action, vec![Reason { why, says: says.into() }]);
        if let Some(object) = &address.object {
            change.object = self.seen.objects.get(&**object).map(|l| l.uid.clone());
            change.fingerprint = fingerprint(self.seen, object);
        }
        change
    }

    /// What becomes of one object that the file wishes.
    fn wished(
        &self,
        draft: &mut Draft<'a>,
        object: &ObjectName,
        w: Wanted<'a>,
        named: &BTreeMap<ObjectName, Wanted<'a>>,
    ) -> Option<Work<'a>> {
        let address = w.group.object(object.clone());
        let kind = object.group_kind();
        let live = self.seen.objects.get(object);
        let (action, says) = match live {
            None if w.wish.file.is_empty() => (Action::Create, "in the file"),
            None => (Action::Create, w.wish.file.as_str()),
            Some(_) => (Action::Update, "in the file"),
        };
        let mut change = self.change(&address, action, Why::Declared, says);
        change.what = what(w.wish.body.json());
        if let Some(failure) = self.seen.unseen.get(&kind) {
            draft.hold(change, Hold::Blind, format!("a full look at {kind}: {failure}"));
            return None;
        }
        let Some(live) = live else { return self.made(draft, change, object, w, named) };
        if let Some(who) = self.other_owner(draft, &live.body) {
            draft.hold(change, Hold::Foreign, format!("a person: it is managed by {who}; --force takes it"));
            return None;
        }
        if let Some(says) = leaving(&live.body) {
            draft.look_again_by(draft.ask.now.saturating_add(SignedDuration::from_secs(30)).ok());
            draft.hold(change, Hold::Time, format!("it {says}"));
            return None;
        }
        self.changed(draft, change, object, w, live, named)
    }

    /// An object that is not there.
    fn made(
        &self,
        draft: &mut Draft<'a>,
        mut change: Change,
        object: &ObjectName,
        w: Wanted<'a>,
        named: &BTreeMap<ObjectName, Wanted<'a>>,
    ) -> Option<Work<'a>> {
        if let Some(says) = self.unserved(draft, object, &w.wish.api_version) {
            draft.hold(change, Hold::Unresolved, says);
            return None;
        }
        if let Some(Trial::Refused(failure, causes)) = self.seen.trials.get(object)
            && !self.is_too_early(object, w, failure, named)
        {
            draft.hold(change, Hold::Unresolved, refused(failure, causes));
            return None;
        }
        if let Some(namespace) = self.missing_namespace(object, named) {
            let says = format!("there is no namespace {namespace}: declare it, or make it");
            draft.hold(change, Hold::Unresolved, says);
            return None;
        }
        if let Some(words) = draft.left_out(&change.address) {
            draft.hold(change, Hold::Filter, words);
            return None;
        }
        // What an earlier look saw here, and no run of ours has deleted, somebody else has.
        let history = draft.ask.history;
        let there = history.there.get(self.scope).and_then(|all| all.get(&change.address));
        if there.is_some_and(|uid| !history.lessons.ended(uid)) {
            change.reasons = vec![Reason { why: Why::Drifted, says: "it was there, and somebody deleted it".into() }];
        }
        if w.group.kind == Kind::Workloads {
            change.fields = written(w.wish.body.json());
        }
        let doing = Doing::Apply(w, None);
        Some(Work { object: object.clone(), api_version: w.wish.api_version.clone(), change, doing })
    }

    /// The namespace that a new object would stand in, where the server misses it and the file does not make it.
    fn missing_namespace<'o>(
        &self,
        object: &'o ObjectName,
        named: &BTreeMap<ObjectName, Wanted<'a>>,
    ) -> Option<&'o str> {
        // Of a kind that is served, only its namespace can be missing.
        let missed = self.seen.kinds.contains_key(&object.group_kind())
            && matches!(self.seen.trials.get(object), Some(Trial::TooEarly));
        let makes = |o: &ObjectName| o.api.is_empty() && o.kind == "Namespace" && o.name == object.namespace;
        (missed && !object.namespace.is_empty() && !named.keys().any(makes)).then_some(object.namespace.as_str())
    }

    /// Whether the server misses only what this very plan makes before the object: a pod's account, or its class. What
    /// it will say then, nobody can know now.
    fn is_too_early(
        &self,
        object: &ObjectName,
        w: Wanted<'a>,
        failure: &Failure,
        named: &BTreeMap<ObjectName, Wanted<'a>>,
    ) -> bool {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.');
        let said: BTreeSet<&str> = failure.says.split(word).collect();
        matches!(failure.class, Class::Denied | Class::NotFound)
            && named.keys().any(|other| {
                let comes = !self.seen.objects.contains_key(other) && said.contains(other.name.as_str());
                comes && steps::precedes(other, object, w.wish.body.json())
            })
    }

    /// An object that is there.
    fn changed(
        &self,
        draft: &mut Draft<'a>,
        mut change: Change,
        object: &ObjectName,
        w: Wanted<'a>,
        live: &'a Live,
        named: &BTreeMap<ObjectName, Wanted<'a>>,
    ) -> Option<Work<'a>> {
        let mut wish = redact::redacted(w.wish.body.json().clone(), draft.key());
        if object.namespace.is_empty() {
            wish.get_mut("metadata").and_then(Json::as_object_mut).map(|m| m.remove("namespace"));
        }
        let moved = applyset::moved(&wish, &live.body);
        let known = compare::Known { manager: applyset::MANAGER, moved };
        let mut found = compare::compare_knowing(&wish, &live.body, known);
        let trial = self.seen.trials.get(object).filter(|_| found.may_differ());
        if let Some(Trial::Becomes(becomes)) = trial {
            found = settle(found, becomes, &live.body, applyset::MANAGER);
        }
        for problem in &found.problems {
            draft.notes.push(Note { kind: "unread".into(), about: change.address.to_string(), says: problem.clone() });
        }
        let quarantined = applyset::annotation(&live.body, applyset::DELETE_AFTER).is_some();
        let asked = draft.ask.intent.replace.contains(&change.address);
        if !found.may_differ() && !quarantined && !asked {
            return None;
        }
        let sort = Sort::of(&wish);
        change.fields = fields(&live.body, &found);
        change.reasons = if found.may_differ() { reasons(&change.fields, &found) } else { vec![] };
        if asked {
            change.reasons.push(Reason { why: Why::Asked, says: "replace".into() });
        }
        let uid = live.uid.clone();
        let version = w.wish.api_version.clone();
        let work = |change, doing| Work { object: object.clone(), api_version: version.clone(), change, doing };
        if let Some(words) = draft.left_out(&change.address) {
            draft.hold(change, Hold::Filter, words);
            return None;
        }
        if !found.may_differ() && !asked {
            change.action = Action::Release;
            change.reasons =
                vec![Reason { why: Why::Declared, says: "is in the file again; its quarantine ends".into() }];
            let unset = vec![applyset::DELETE_AFTER.to_owned()];
            return Some(work(change, Doing::Mark { uid, set: BTreeMap::new(), unset }));
        }
        if let Some(says) = self.unserved(draft, object, &w.wish.api_version) {
            draft.hold(change, Hold::Unresolved, says);
            return None;
        }
        let forced = change.fields.iter().find_map(|f| f.forces_replacement.clone());
        let server = match trial {
            Some(Trial::Refused(_, causes)) => unchangeable(causes),
            Some(Trial::Becomes(_) | Trial::Conflicts(_) | Trial::TooEarly) | None => None,
        };
        let refuses = match trial {
            Some(Trial::Refused(failure, causes)) if server.is_none() => Some(refused(failure, causes)),
            Some(Trial::Refused(..) | Trial::Becomes(_) | Trial::Conflicts(_) | Trial::TooEarly) | None => None,
        };
        let ignored = |d: &compare::Difference| d.why != compare::Why::Restamp && compare::is_untracked(sort, &d.path);
        // The server has the last word on what it changes in place; where it could not be asked, or ignores what it is
        // asked for, the table has.
        let again = match trial {
            Some(Trial::Becomes(_)) if found.differences.iter().any(ignored) => forced,
            Some(Trial::Becomes(_)) => None,
            Some(Trial::Refused(..) | Trial::Conflicts(_) | Trial::TooEarly) | None => server.or(forced),
        };
        let again = again.or_else(|| asked.then(|| "--replace asks for it".to_owned()));
        let force = draft.ask.intent.force_conflicts || w.bundle.force_conflicts;
        if let Some(says) = taken(&found, again.is_none()).filter(|_| !force) {
            draft.hold(change, Hold::Foreign, says);
            return None;
        }
        if let Some(says) = refuses {
            draft.hold(change, Hold::Unresolved, says);
            return None;
        }
        let Some(because) = again else {
            for f in &mut change.fields {
                f.forces_replacement = None;
            }
            if !found.values_differ() {
                change.action = Action::Restamp;
            } else {
                change.how = "in place".into();
            }
            return Some(work(change, Doing::Apply(w, Some(uid))));
        };
        change.action = Action::Replace;
        change.how = "delete · make anew".into();
        let blamed = change.fields.iter().any(|f| f.forces_replacement.is_some());
        if let Some(first) = change.fields.first_mut().filter(|_| !blamed) {
            first.forces_replacement = Some(because.clone());
        }
        if let Some(loses) = loses(&live.body) {
            let says = format!("a person: {because}, and {loses}; make one of another name and copy it");
            draft.hold(change, Hold::Protection, says);
            return None;
        }
        if is_protected(&live.body) {
            let says = format!("`evenkeel unprotect {}`", change.address);
            draft.hold(change, Hold::Protection, says);
            return None;
        }
        if !is_ours(&live.body, draft.key()) {
            let says =
                format!("a person: {because}, and it does not bear this stack's marks; delete it, and it is made anew");
            draft.hold(change, Hold::Foreign, says);
            return None;
        }
        if let Some((failure, causes)) = self.seen.barred.get(object)
            && !asked
            && !self.is_too_early(object, w, failure, named)
        {
            let says = barred(&because, &change.address, failure, causes);
            draft.hold(change, Hold::Unresolved, says);
            return None;
        }
        Some(work(change, Doing::Remake(w, uid)))
    }

    /// What of ours the file no longer wishes.
    fn pruned(&self, draft: &mut Draft<'a>, named: &BTreeMap<ObjectName, Wanted<'a>>) -> Vec<Work<'a>> {
        let destroy = draft.ask.intent.destroy;
        let ours: BTreeMap<&ObjectName, &Live> =
            self.seen.objects.iter().filter(|(_, l)| is_ours(&l.body, draft.key())).collect();
        let gone: Vec<(&ObjectName, &Live)> =
            ours.iter().filter(|(o, _)| destroy || !named.contains_key(**o)).map(|(o, l)| (*o, *l)).collect();
        let emptied = !destroy && !draft.ask.intent.allow_empty && named.is_empty() && gone.len() > 1;
        // What this run has deleted already was there when it began.
        let nothing = BTreeSet::new();
        let before = draft.ask.intent.deleted.get(self.scope).unwrap_or(&nothing);
        let over = before.iter().filter(|id| !ours.values().any(|l| l.uid == **id)).count();
        let owned = u32::try_from(ours.len() + over).unwrap_or(u32::MAX);
        let policy = &draft.ask.desired.policy;
        let most = match draft.ask.intent.max_deletes {
            Some(amount) => amount.floor_of(owned),
            None if destroy => u32::MAX,
            None => policy.deletes(owned),
        };
        let mut room = most.saturating_sub(u32::try_from(before.len()).unwrap_or(u32::MAX));
        let mut work = Vec::new();
        for (object, live) in gone {
            let address = group_of(&live.body).object(object.clone());
            let (why, says) = match destroy {
                true => (Why::Asked, "destroy"),
                false => (Why::Declared, "no longer in the file"),
            };
            let mut change = self.change(&address, Action::Delete, why, says);
            change.what = what(&live.body);
            let kind = object.group_kind();
            if let Some(failure) = self.seen.unseen.get(&kind) {
                draft.hold(change, Hold::Blind, format!("a full look at {kind}: {failure}"));
                continue;
            }
            // It was asked to go already. Whoever holds it up must be heard of until it is gone.
            if let Some(says) = leaving(&live.body) {
                draft.look_again_by(draft.ask.now.saturating_add(SignedDuration::from_secs(30)).ok());
                draft.hold(change, Hold::Time, format!("it {says}"));
                continue;
            }
            if is_protected(&live.body) {
                draft.hold(change, Hold::Protection, format!("`evenkeel unprotect {address}`"));
                continue;
            }
            if let Some(who) = self.other_owner(draft, &live.body) {
                draft.hold(change, Hold::Foreign, format!("a person: it is managed by {who}"));
                continue;
            }
            // Its table says so, or said so when it was applied last, where that is gone as a whole.
            let declared = draft.ask.desired.bundles.get(&address.group);
            let stays = declared.map_or_else(|| applyset::is_kept(&live.body), |b| !b.prune);
            if !destroy && stays {
                let about = address.to_string();
                let said = if declared.is_some() { "says" } else { "said" };
                let says = format!("is no longer in the file and stays: its table {said} `prune = false`");
                draft.notes.push(Note { kind: "kept".into(), about, says });
                continue;
            }
            if emptied {
                let says = "--allow-empty: nothing of the stack would be left in this cluster";
                draft.hold(change, Hold::ZeroDesired, says);
                continue;
            }
            if let Some(words) = draft.left_out(&address) {
                draft.hold(change, Hold::Filter, words);
                continue;
            }
            let Some(doing) = self.goes(draft, live, &mut change) else {
                let at = quarantine(&live.body).unwrap_or(draft.ask.now);
                draft.look_again_by(Some(at));
                let says = format!("the end of its quarantine at {}; putting it back cancels", moment(at));
                draft.hold(change, Hold::Quarantine, says);
                continue;
            };
            // One that was begun and is still there is no second one.
            let again = before.contains(&live.uid);
            if room == 0 && !again {
                let says = format!("--max-deletes: this run may take {most} of {owned} objects");
                draft.hold(change, Hold::DeleteCap, says);
                continue;
            }
            room -= u32::from(!again);
            let api_version = live.body.get("apiVersion").and_then(Json::as_str).unwrap_or_default().to_owned();
            work.push(Work { object: object.clone(), api_version, change, doing });
        }
        work
    }

    /// How an object goes: at once, or first into quarantine; `None` while that lasts.
    fn goes(&self, draft: &Draft<'a>, live: &Live, change: &mut Change) -> Option<Doing<'a>> {
        let uid = live.uid.clone();
        if loses(&live.body).is_none() || draft.ask.intent.destroy {
            return Some(Doing::Delete(uid));
        }
        match quarantine(&live.body) {
            Some(at) if at <= draft.ask.now => Some(Doing::Delete(uid)),
            Some(_) => None,
            None => {
                change.action = Action::Quarantine;
                let keep = i64::try_from(draft.ask.desired.policy.quarantine).unwrap_or(i64::MAX);
                let at = draft.ask.now.saturating_add(SignedDuration::from_secs(keep)).unwrap_or(Timestamp::MAX);
                change.how = format!("kept until {}, then deleted", moment(at));
                let set = BTreeMap::from([(applyset::DELETE_AFTER.to_owned(), at.to_string())]);
                Some(Doing::Mark { uid, set, unset: vec![] })
            }
        }
    }

    /// How many objects of each group there are and should be.
    fn forecasts(&self, draft: &Draft<'_>, named: &BTreeMap<ObjectName, Wanted<'a>>) -> Vec<Forecast> {
        let mut groups: BTreeMap<Group, (u32, u32)> = BTreeMap::new();
        for (object, w) in named {
            let g = groups.entry(w.group.clone()).or_default();
            g.1 += u32::from(!draft.ask.intent.destroy);
            g.0 += u32::from(self.seen.objects.get(object).is_some_and(|l| is_ours(&l.body, draft.key())));
        }
        for (object, live) in &self.seen.objects {
            if is_ours(&live.body, draft.key()) && !named.contains_key(object) {
                groups.entry(group_of(&live.body)).or_default().0 += 1;
            }
        }
        let one = |(group, (before, wanted)): (Group, (u32, u32))| Forecast {
            group,
            before,
            after: wanted,
            wanted,
            zones: BTreeMap::new(),
            floor: 0,
            ready: before,
            needed: 0,
            left_after_machine: 0,
            left_after_zone: BTreeMap::new(),
            count_for_any_zone: None,
        };
        groups.into_iter().map(one).filter(|f| f.before + f.wanted > 0).collect()
    }
}

fn is_protected(body: &Json) -> bool {
    applyset::annotation(body, applyset::PROTECT) == Some("true")
}

fn quarantine(body: &Json) -> Option<Timestamp> {
    applyset::annotation(body, applyset::DELETE_AFTER)?.parse().ok()
}
