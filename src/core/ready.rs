//! How the Kubernetes objects of each group are: `status` asks, and a run that has nothing left to change. Nothing is
//! decided.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::address::{Address, Group, ObjectName};
use crate::applyset;
use crate::desired::{Bundle, Desired};
use crate::health::{State, Verdict, moment};
use crate::make::{awaited, group_of, is_ours};
use crate::objects::readiness::{Readiness, WaitFor, class_of, leaving, readiness, unbound};
use crate::observed::{ClusterSeen, Live, Observed};
use crate::rules::{Evidence, Rule};

/// One object of a group.
#[derive(Debug, Clone)]
pub struct ObjectState {
    /// Which.
    pub address: Address,
    /// The live one's uid; `None`: there is none, or it could not be seen.
    pub uid: Option<String>,
    /// How it is; `None`: it is missing.
    pub verdict: Option<Verdict>,
    /// What else a person should know: `protected`, `no longer in the file`.
    pub notes: Vec<String>,
}

/// Every group that is declared in a cluster or has objects there, with its objects by name.
pub fn states(desired: &Desired, observed: &Observed, now: Timestamp) -> BTreeMap<Group, Vec<ObjectState>> {
    let mut out: BTreeMap<Group, Vec<ObjectState>> = BTreeMap::new();
    for scope in desired.clusters.keys() {
        let seen = observed.clusters.get(scope);
        let mut named: BTreeSet<ObjectName> = BTreeSet::new();
        for (group, bundle) in desired.bundles.iter().filter(|(_, b)| b.scope == *scope) {
            let all = out.entry(group.clone()).or_default();
            for wish in &bundle.objects {
                let object = seen.map_or_else(|| wish.object.clone(), |s| s.resolved(&wish.object));
                all.push(one(desired, seen, group.object(object.clone()), bundle.wait_within, now));
                named.insert(object);
            }
        }
        let ours =
            |(object, live): &(&ObjectName, &Live)| !named.contains(*object) && is_ours(&live.body, &desired.stack.id);
        for (object, live) in seen.iter().flat_map(|s| &s.objects).filter(ours) {
            let group = group_of(&live.body);
            let mut state = one(desired, seen, group.object(object.clone()), 0, now);
            state.notes.push("no longer in the file".into());
            out.entry(group).or_default().push(state);
        }
    }
    for all in out.values_mut() {
        all.sort_by(|a, b| a.address.cmp(&b.address));
    }
    out
}

/// What is live of the stack in its clusters, by the group that it was applied for.
pub fn live<'o>(desired: &'o Desired, observed: &'o Observed) -> BTreeMap<Group, BTreeMap<&'o ObjectName, &'o Live>> {
    let mut out: BTreeMap<Group, BTreeMap<&ObjectName, &Live>> = BTreeMap::new();
    for (_, object, live) in owned(desired, observed) {
        out.entry(group_of(&live.body)).or_default().insert(object, live);
    }
    out
}

/// The same one by one, each with its scope and its address.
pub fn members<'o>(desired: &'o Desired, observed: &'o Observed) -> Vec<(&'o str, Address, &'o Live)> {
    owned(desired, observed).map(|(s, object, l)| (s, group_of(&l.body).object(object.clone()), l)).collect()
}

fn owned<'o>(
    desired: &'o Desired,
    observed: &'o Observed,
) -> impl Iterator<Item = (&'o str, &'o ObjectName, &'o Live)> {
    let seen = desired.clusters.keys().filter_map(|scope| Some((scope.as_str(), observed.clusters.get(scope)?)));
    let all = seen.flat_map(|(scope, s)| s.objects.iter().map(move |(o, l)| (scope, o, l)));
    all.filter(|(_, _, l)| is_ours(&l.body, &desired.stack.id))
}

/// Everything in clusters that the file declares, whether it is there or not.
pub fn declared(desired: &Desired, observed: &Observed) -> Vec<Address> {
    let one = |(group, bundle): (&Group, &Bundle)| {
        let seen = observed.clusters.get(&bundle.scope);
        let name = |object: &ObjectName| seen.map_or_else(|| object.clone(), |s| s.resolved(object));
        bundle.objects.iter().map(|wish| group.object(name(&wish.object))).collect::<Vec<_>>()
    };
    desired.bundles.iter().flat_map(one).collect()
}

/// Something that the file asks a run to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// Its cluster's scope.
    pub scope: String,
    /// Which.
    pub address: Address,
    /// As a wait names it.
    pub id: String,
    /// How long a run waits, in seconds.
    pub within: u64,
}

/// What is as the file says, is to be waited for, and is not ready: an earlier run was ended before it was, or gave up.
pub fn unready(desired: &Desired, observed: &Observed) -> Vec<Unready> {
    let mut out = Vec::new();
    for (group, bundle) in &desired.bundles {
        let Some(seen) = observed.clusters.get(&bundle.scope) else { continue };
        for wish in &bundle.objects {
            let object = seen.resolved(&wish.object);
            let Some(live) = seen.objects.get(&object).filter(|l| is_ours(&l.body, &desired.stack.id)) else {
                continue;
            };
            let Some(wait) = awaited(bundle, &object, wish.body.json()) else { continue };
            let asked = wait.id.split_once('#').and_then(|(_, asked)| WaitFor::parse(asked).ok());
            let state = match (asked, class_of(&live.body)) {
                (Some(asked), _) => asked.check(&live.body),
                (None, Some(class)) => unbound(&live.body, seen.bindings.get(class).map(String::as_str)),
                (None, None) => readiness(&live.body),
            };
            let lacks = match state {
                Readiness::Ready | Readiness::Unknown => false,
                Readiness::Progressing { .. } | Readiness::Stuck { .. } => true,
            };
            // One that is going is held, not waited for.
            if lacks && leaving(&live.body).is_none() {
                let (scope, address) = (bundle.scope.clone(), group.object(object));
                out.push(Unready { scope, address, id: wait.id, within: wait.within });
            }
        }
    }
    out
}

fn one(desired: &Desired, seen: Option<&ClusterSeen>, address: Address, within: u64, now: Timestamp) -> ObjectState {
    let object = address.object.as_deref().expect("the address of an object");
    let live = seen.and_then(|s| s.objects.get(object));
    let blind = seen.is_none_or(|s| s.unseen.contains_key(&object.group_kind()));
    let mut state = ObjectState { uid: live.map(|l| l.uid.clone()), verdict: None, notes: vec![], address };
    let Some(live) = live else {
        if blind {
            state.verdict = Some(verdict(State::Blind, "the list that would show it could not be read"));
        }
        return state;
    };
    if !is_ours(&live.body, &desired.stack.id) {
        state.notes.push("not applied by this stack yet".into());
    }
    if applyset::annotation(&live.body, applyset::PROTECT) == Some("true") {
        state.notes.push("protected".into());
    }
    if let Some(at) = applyset::annotation(&live.body, applyset::DELETE_AFTER).and_then(|a| a.parse().ok()) {
        state.notes.push(format!("quarantined until {}", moment(at)));
    }
    let binding = class_of(&live.body).and_then(|class| seen?.bindings.get(class));
    state.verdict = Some(match binding.map(|binding| unbound(&live.body, Some(binding))) {
        Some(Readiness::Ready) => Verdict { well: true, ..verdict(State::Healthy, "waits for its first pod") },
        Some(Readiness::Progressing { .. } | Readiness::Stuck { .. } | Readiness::Unknown) | None => {
            judge(live, within, now)
        }
    });
    state
}

fn judge(live: &Live, within: u64, now: Timestamp) -> Verdict {
    if let Some(says) = leaving(&live.body) {
        return verdict(State::Gone, says);
    }
    match readiness(&live.body) {
        Readiness::Ready | Readiness::Unknown => Verdict { well: true, ..verdict(State::Healthy, "ready") },
        Readiness::Progressing { says } => {
            let within = SignedDuration::from_secs(i64::try_from(within).unwrap_or(i64::MAX));
            let deadline = now.saturating_add(within).unwrap_or(now);
            verdict(State::Starting { deadline }, says)
        }
        Readiness::Stuck { says, why } => {
            let says = format!("{says}, {why}");
            verdict(State::Unhealthy { causes: vec![says.clone()], hard: false }, says)
        }
    }
}

fn verdict(state: State, says: impl Into<String>) -> Verdict {
    Verdict {
        state,
        since: None,
        bad: BTreeSet::new(),
        well: false,
        evidence: vec![Evidence::new(Rule::Cluster, says)],
        recheck: None,
    }
}
