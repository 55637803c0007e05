//! The order of calls on a cluster's objects.
//!
//! The stack's own mark grows before anything is made (but for the namespace that it stands in) and shrinks after all is
//! gone. A namespace and a definition are waited for before what stands on them; what names another object comes after
//! it; what goes, goes last, and what stands on it before it. Everything else is independent.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::marks::Marks;
use super::{Doing, Place, Work};
use crate::address::ObjectName;
use crate::applyset;
use crate::desired::{Bundle, Desired, ObjectWish};
use crate::make::Draft;
use crate::make::order::sorted;
use crate::objects::Sort;
use crate::objects::order::{loses, wave};
use crate::objects::readiness::{Readiness, readiness, served};
use crate::plan::{Action, Call, Change, Do, ObjectDoes, OnObject, Step, Target, Until, Wait, Why};

/// A namespace or definition may take so long to be there, in seconds.
const BASE: u64 = 120;
/// What goes may take so long, in seconds: finalizers have work to do.
const GONE: u64 = 600;
/// The kind of a definition.
const DEFINITION: &str = "CustomResourceDefinition.apiextensions.k8s.io";

/// Changes and steps as they are found.
#[derive(Default)]
pub(super) struct Steps {
    changes: Vec<Change>,
    steps: Vec<Step>,
}

/// Whether some object of the file defines this object's kind, in this version (`example.org/v1`).
pub(super) fn defines(desired: &Desired, scope: &str, object: &ObjectName, api_version: &str) -> bool {
    let of_kind = |w: &&ObjectWish| defined_by(w.body.json()).as_deref() == Some(&object.group_kind());
    desired.wishes(scope).filter(of_kind).any(|w| serves(w.body.json(), api_version))
}

/// `Widget.example.org`, for the definition of it.
pub(super) fn defined_by(body: &Json) -> Option<String> {
    let is = applyset::name_of(body)?.group_kind() == DEFINITION;
    let spec = body.get("spec").filter(|_| is)?;
    Some(format!("{}.{}", spec.get("names")?.get("kind")?.as_str()?, spec.get("group")?.as_str()?))
}

/// Whether a definition serves its kind in this version (`example.org/v1`).
fn serves(definition: &Json, api_version: &str) -> bool {
    served(definition).any(|name| api_version.split_once('/').is_some_and(|(_, version)| version == name))
}

/// What is made or changed: its call, and the wait that ends it.
struct Made {
    object: ObjectName,
    defines: Option<String>,
    call: u32,
    done: u32,
}

impl Steps {
    /// Everything that is done in one cluster.
    pub(super) fn add(&mut self, draft: &Draft<'_>, place: &Place<'_>, work: Vec<Work<'_>>) {
        // Another tool's set: nothing is done in this cluster, and its mark is not written over.
        if let Some(Err(_)) = place.seen.parent {
            return;
        }
        let (goes, comes): (Vec<_>, Vec<_>) =
            work.into_iter().partition(|w| matches!(w.doing, Doing::Delete(_) | Doing::Mark { .. }));
        let mut comes = comes;
        let home = place.cluster.namespace();
        comes.sort_by_key(|w| (!holds_mark(w, home), wave(sort(&w.object)), w.object.clone()));
        let (before, begin) = (self.changes.len(), self.steps.len());
        let first = index(before);
        self.changes.extend(comes.iter().chain(&goes).map(|w| w.change.clone()));
        let mut marks = Marks::of(draft, place);
        // The change of the mark alone, where nothing else is done that it belongs to.
        let mut alone: Option<u32> = None;
        // The mark comes before everything but the namespace that it stands in.
        let home = comes.first().filter(|w| holds_mark(w, home));
        let mut made: Vec<Made> = home.map(|w| self.comes(draft, place, w, first, &[], &[])).into_iter().collect();
        let mut grown = None;
        if let Some((kinds, namespaces)) = marks.grow(draft, place, &comes) {
            let mut all: Vec<u32> = (first..first + index(comes.len())).collect();
            if all.is_empty() {
                alone = marks.change(draft, place, marks.lost()).map(|change| self.change(change));
                all.extend(alone);
            }
            if !all.is_empty() {
                let needs = made.iter().map(|m| m.done).collect();
                let does = ObjectDoes::Parent { kinds: kinds.clone(), namespaces: namespaces.clone() };
                grown = Some(self.step(place.scope, needs, all, object_call(&marks.object, "v1", does)));
                marks.stands(kinds, namespaces);
            }
        }
        let coming = self.unserved(draft, place, &comes, first);
        for (i, w) in comes.iter().enumerate().skip(made.len()) {
            let before: Vec<u32> = grown.into_iter().chain(coming.get(&w.object.group_kind()).copied()).collect();
            made.push(self.comes(draft, place, w, first + index(i), &before, &made));
        }
        let offset = first + index(comes.len());
        self.goes(draft, place, &goes, offset, &made, &comes);
        // Only when all of that is done is it known what is left.
        let last: Vec<u32> = (begin..self.steps.len()).map(index).collect();
        if let Some(does) = marks.shrink(draft, place, &comes, &goes) {
            let mut all: Vec<u32> = (offset..offset + index(goes.len())).filter(|c| self.deletes(*c)).collect();
            // An earlier run was ended before it could.
            if all.is_empty() {
                let says = match does {
                    ObjectDoes::Delete { .. } => (Action::Delete, Why::Asked, "destroy"),
                    ObjectDoes::Parent { .. }
                    | ObjectDoes::Apply { .. }
                    | ObjectDoes::Mark { .. }
                    | ObjectDoes::Cordon { .. } => {
                        (Action::Restamp, Why::Stamp, "names kinds or namespaces in which nothing of the stack is left")
                    }
                };
                alone = alone.or_else(|| Some(self.change(marks.change(draft, place, says)?)));
                all.extend(alone);
            }
            if !all.is_empty() {
                self.step(place.scope, last.clone(), all, object_call(&marks.object, "v1", does));
            }
        }
        // Nothing needs the mark that stood in another namespace once this one says it all.
        let former = place.seen.former.iter().filter(|_| marks.there || marks.goes(draft, place, &goes));
        for parent in former.filter(|_| place.seen.unseen.is_empty()) {
            let object = applyset::parent_name(draft.key(), &parent.namespace);
            let says = (Action::Restamp, Why::Stamp, "stood here before `[kubernetes] namespace` changed, and goes");
            let Some(change) = Marks::change_of(&object, draft, place, says) else { continue };
            let change = self.change(change);
            let does = ObjectDoes::Delete { uid: parent.uid.clone() };
            let needs = (begin..self.steps.len()).map(index).collect();
            self.step(place.scope, needs, vec![change], object_call(&object, "v1", does));
        }
    }

    fn change(&mut self, change: Change) -> u32 {
        self.changes.push(change);
        index(self.changes.len() - 1)
    }

    fn deletes(&self, change: u32) -> bool {
        self.changes[change as usize].action == Action::Delete
    }

    fn comes(
        &mut self,
        draft: &Draft<'_>,
        place: &Place<'_>,
        w: &Work<'_>,
        change: u32,
        before: &[u32],
        made: &[Made],
    ) -> Made {
        let (wanted, uid) = match &w.doing {
            Doing::Apply(wanted, uid) => (*wanted, uid.clone()),
            Doing::Remake(wanted, _) => (*wanted, None),
            Doing::Delete(_) | Doing::Mark { .. } => unreachable!("these go, they do not come"),
        };
        let body = wanted.wish.body.json();
        let mut needs: Vec<u32> = before.to_vec();
        for other in made {
            let holds_it = other.object.kind == "Namespace"
                && other.object.api.is_empty()
                && other.object.name == w.object.namespace;
            let defines_it = other.defines.as_deref() == Some(&w.object.group_kind());
            if holds_it || defines_it {
                needs.push(other.done);
            } else if precedes(&other.object, &w.object, body) {
                needs.push(other.call);
            }
        }
        if let Doing::Remake(_, old) = &w.doing {
            let does = ObjectDoes::Delete { uid: old.clone() };
            let call = self.step(place.scope, needs, vec![change], object_call(&w.object, &w.api_version, does));
            let gone = format!("{}@{old}", w.object);
            needs = vec![self.wait(place.scope, vec![call], change, gone, Until::Deleted, GONE)];
        }
        let force = draft.ask.intent.force_conflicts || wanted.bundle.force_conflicts;
        let does = ObjectDoes::Apply { body: wanted.wish.body.digest().clone(), uid, force };
        let call = self.step(place.scope, needs, vec![change], object_call(&w.object, &w.api_version, does));
        // Only marks change: it was ready before, or nobody waits for it.
        let idle = |a: &Awaited| w.change.action == Action::Restamp && a.sort == Sorted::Own;
        let done = match awaited(wanted.bundle, &w.object, body).filter(|a| !idle(a)) {
            Some(Awaited { id, within, .. }) => self.wait(place.scope, vec![call], change, id, Until::Ready, within),
            None => call,
        };
        Made { object: w.object.clone(), defines: defined_by(body), call, done }
    }

    /// Waits for definitions that are there and not served yet, by the kind that they define: the run that made one was
    /// ended before it was.
    fn unserved(
        &mut self,
        draft: &Draft<'_>,
        place: &Place<'_>,
        comes: &[Work<'_>],
        first: u32,
    ) -> BTreeMap<String, u32> {
        let mut kinds: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (i, w) in comes.iter().enumerate() {
            let kind = w.object.group_kind();
            if !place.seen.serves(&kind, &w.api_version) {
                kinds.entry(kind).or_default().push(first + index(i));
            }
        }
        let mut waits = BTreeMap::new();
        for (kind, changes) in kinds {
            let defined = |w: &&ObjectWish| defined_by(w.body.json()).as_deref() == Some(kind.as_str());
            let Some(wish) = draft.ask.desired.wishes(place.scope).find(defined) else { continue };
            let definition = place.seen.resolved(&wish.object);
            if place.seen.objects.contains_key(&definition) && !comes.iter().any(|w| w.object == definition) {
                let targets = vec![Target::Id(definition.to_string())];
                let wait = Do::Wait(Wait { targets, until: Until::Ready, within: BASE });
                waits.insert(kind, self.step(place.scope, vec![], changes, wait));
            }
        }
        waits
    }

    fn goes(
        &mut self,
        draft: &Draft<'_>,
        place: &Place<'_>,
        goes: &[Work<'_>],
        offset: u32,
        made: &[Made],
        comes: &[Work<'_>],
    ) {
        let mut order: Vec<usize> = (0..goes.len()).collect();
        order.sort_by_key(|i| (std::cmp::Reverse(wave(sort(&goes[*i].object))), goes[*i].object.clone()));
        let mut gone: Vec<(ObjectName, u32)> = Vec::new();
        for i in order {
            let w = &goes[i];
            let change = offset + index(i);
            let does = match &w.doing {
                Doing::Delete(uid) => ObjectDoes::Delete { uid: uid.clone() },
                Doing::Mark { uid, set, unset } => {
                    ObjectDoes::Mark { uid: uid.clone(), set: set.clone(), unset: unset.clone() }
                }
                Doing::Apply(..) | Doing::Remake(..) => unreachable!("these come, they do not go"),
            };
            let is_delete = matches!(w.doing, Doing::Delete(_));
            // What takes its place may fail to come: then the old one stays.
            let mut needs: Vec<u32> = comes
                .iter()
                .zip(made)
                .filter(|(c, _)| is_delete && c.change.address.group == w.change.address.group)
                .map(|(_, m)| m.call)
                .collect();
            if is_delete {
                let on = |o: &ObjectName| {
                    (w.object.kind == "Namespace" && w.object.api.is_empty() && o.namespace == w.object.name)
                        || w.change.address.object.as_deref().is_some_and(|_| o.group_kind() == self.defined(place, w))
                };
                needs.extend(gone.iter().filter(|(o, _)| on(o)).map(|(_, s)| *s));
            }
            // What holds data goes in two steps, even where both are asked for at once.
            if let Doing::Delete(uid) = &w.doing
                && place.seen.objects.get(&w.object).is_some_and(|l| loses(&l.body).is_some())
                && draft.ask.intent.destroy
            {
                let set = BTreeMap::from([(applyset::DELETE_AFTER.to_owned(), draft.ask.now.to_string())]);
                let mark = ObjectDoes::Mark { uid: uid.clone(), set, unset: vec![] };
                let call = object_call(&w.object, &w.api_version, mark);
                needs = vec![self.step(place.scope, needs, vec![change], call)];
            }
            let call = self.step(place.scope, needs, vec![change], object_call(&w.object, &w.api_version, does));
            if let Doing::Delete(uid) = &w.doing {
                let id = format!("{}@{uid}", w.object);
                let wait = self.wait(place.scope, vec![call], change, id, Until::Deleted, GONE);
                gone.push((w.object.clone(), wait));
            }
        }
    }

    /// The kind that a definition which goes defines; empty for anything else.
    fn defined(&self, place: &Place<'_>, w: &Work<'_>) -> String {
        place.seen.objects.get(&w.object).and_then(|l| defined_by(&l.body)).unwrap_or_default()
    }

    fn step(&mut self, scope: &str, mut needs: Vec<u32>, changes: Vec<u32>, does: Do) -> u32 {
        needs.sort_unstable();
        needs.dedup();
        self.steps.push(Step { scope: scope.to_owned(), needs, changes, does });
        index(self.steps.len() - 1)
    }

    fn wait(&mut self, scope: &str, needs: Vec<u32>, change: u32, id: String, until: Until, within: u64) -> u32 {
        self.step(scope, needs, vec![change], Do::Wait(Wait { targets: vec![Target::Id(id)], until, within }))
    }

    /// Changes in address order.
    pub(super) fn sorted(self) -> (Vec<Change>, Vec<Step>) {
        sorted(self.changes, self.steps)
    }
}

fn object_call(object: &ObjectName, api_version: &str, does: ObjectDoes) -> Do {
    Do::Call(Call::Object(OnObject { object: object.clone(), api_version: api_version.to_owned(), does }))
}

fn sort(object: &ObjectName) -> Sort<'_> {
    Sort { group: &object.api, kind: &object.kind }
}

/// What is waited for after an object was applied.
pub(crate) struct Awaited {
    /// Its name, with what the file asks for behind it.
    pub id: String,
    /// Seconds.
    pub within: u64,
    sort: Sorted,
}

/// Why it is waited for.
#[derive(PartialEq, Eq)]
enum Sorted {
    /// Others stand on it.
    Base,
    /// The file asks for it by a word of its own.
    Asked,
    /// Its kind tells when it is ready.
    Own,
}

/// What is waited for where a table applies this object; `None`: nothing.
pub(crate) fn awaited(bundle: &Bundle, object: &ObjectName, body: &Json) -> Option<Awaited> {
    let asked = bundle.wait_for.get(&object.group_kind()).filter(|_| bundle.wait);
    let is_base = matches!(object.group_kind().as_str(), "Namespace" | DEFINITION);
    let sort = match asked {
        _ if is_base => Sorted::Base,
        Some(_) => Sorted::Asked,
        None if bundle.wait && can_wait(body) => Sorted::Own,
        None => return None,
    };
    let id = asked.map_or_else(|| object.to_string(), |asked| format!("{object}#{asked}"));
    Some(Awaited { id, within: if is_base { BASE } else { bundle.wait_within }, sort })
}

/// Whether an object of this kind has anything to wait for. Of a claim only its class tells, which a look asks.
fn can_wait(body: &Json) -> bool {
    match readiness(body) {
        Readiness::Progressing { .. } | Readiness::Stuck { .. } => true,
        Readiness::Ready | Readiness::Unknown => false,
    }
}

fn index(n: usize) -> u32 {
    u32::try_from(n).expect("a plan has fewer than 2^32 changes and steps")
}

/// Whether this is the namespace of the stack's own mark, and not there yet.
fn holds_mark(w: &Work<'_>, home: &str) -> bool {
    let new = matches!(w.doing, Doing::Apply(_, None));
    new && w.object.kind == "Namespace" && w.object.api.is_empty() && w.object.name == home
}

/// Whether an object is made before the one with this body, which names it.
pub(super) fn precedes(other: &ObjectName, object: &ObjectName, body: &Json) -> bool {
    wave(sort(other)) < wave(sort(object)) && near(other, object) && names(body, &other.name)
}

/// Whether one object can be named by the other: in one namespace, or in none.
fn near(named: &ObjectName, by: &ObjectName) -> bool {
    named.namespace.is_empty() || named.namespace == by.namespace
}

/// Whether a name stands anywhere in an object as a text of its own.
fn names(body: &Json, name: &str) -> bool {
    match body {
        Json::String(s) => s == name,
        Json::Array(all) => all.iter().any(|v| names(v, name)),
        Json::Object(all) => all.values().any(|v| names(v, name)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}
