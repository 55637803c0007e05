//! The stack's own mark: the object that says of which kinds, and in which namespaces, the stack may have objects.
//!
//! It grows before anything is made and shrinks after all is gone. One that is lost is written anew, of what is live;
//! one that stands in a namespace which is the file's no longer goes.

use std::collections::BTreeSet;

use super::{Doing, Place, Work};
use crate::address::{Group, Kind, ObjectName};
use crate::applyset;
use crate::make::{Draft, is_ours};
use crate::plan::{Action, Change, ObjectDoes, Why};

/// The stack's own mark, before and after.
pub(super) struct Marks {
    /// Where it is written.
    pub object: ObjectName,
    kinds: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    /// It says this already.
    pub there: bool,
    /// It is there, with all of its marks or without.
    uid: Option<String>,
}

/// What is done to the mark alone, and why.
pub(super) type Says = (Action, Why, &'static str);

impl Marks {
    pub fn of(draft: &Draft<'_>, place: &Place<'_>) -> Self {
        let home = place.cluster.namespace();
        let object = applyset::parent_name(draft.key(), home);
        let found = match &place.seen.parent {
            Some(Ok(parent)) if parent.namespace == home => Some(parent),
            Some(_) | None => None,
        };
        let uid = found.map(|p| p.uid.clone());
        if let Some(parent) = found.filter(|p| p.whole) {
            let (kinds, namespaces) = (parent.kinds.clone(), parent.namespaces.clone());
            return Self { object, kinds, namespaces, there: true, uid };
        }
        // It is new, or lost: then it is written of what is live. What could not be listed may still have objects.
        let ours = place.seen.objects.iter().filter(|(_, l)| is_ours(&l.body, draft.key())).map(|(o, _)| o);
        let (mut kinds, namespaces) = hints(ours, home);
        let known = found.into_iter().chain(&place.seen.former).flat_map(|p| &p.kinds);
        kinds.extend(known.filter(|k| place.seen.unseen.contains_key(*k)).cloned());
        Self { object, kinds, namespaces, there: false, uid }
    }

    /// Why it is written although nothing else comes.
    pub fn lost(&self) -> Says {
        let says = match self.uid {
            Some(_) => "has lost its marks: it is written anew, so that nothing of the stack is forgotten",
            None => "is not there: it is written anew, so that nothing of the stack is forgotten",
        };
        (Action::Restamp, Why::Stamp, says)
    }

    /// What must be known before anything is made; `None`: it is.
    pub fn grow(
        &self,
        draft: &Draft<'_>,
        place: &Place<'_>,
        comes: &[Work<'_>],
    ) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
        let (kinds, namespaces) = hints(comes.iter().map(|w| &w.object), &self.object.namespace);
        // What is lost is not written of half a look.
        let blind = !place.seen.unseen.is_empty();
        let idle = comes.is_empty() && (self.there || self.kinds.is_empty() || draft.ask.intent.destroy || blind);
        if idle || (self.there && kinds.is_subset(&self.kinds) && namespaces.is_subset(&self.namespaces)) {
            return None;
        }
        let kinds = self.kinds.union(&kinds).cloned().collect();
        let namespaces = self.namespaces.union(&namespaces).cloned().collect();
        Some((kinds, namespaces))
    }

    /// From here on it says this.
    pub fn stands(&mut self, kinds: BTreeSet<String>, namespaces: BTreeSet<String>) {
        (self.kinds, self.namespaces, self.there) = (kinds, namespaces, true);
    }

    /// The change that puts the mark alone right; `None` where only a part of the stack is asked for.
    pub fn change(&self, draft: &Draft<'_>, place: &Place<'_>, says: Says) -> Option<Change> {
        Self::change_of(&self.object, draft, place, says)
    }

    pub fn change_of(object: &ObjectName, draft: &Draft<'_>, place: &Place<'_>, says: Says) -> Option<Change> {
        let address = Group { kind: Kind::Manifests, name: "mark".into() }.object(object.clone());
        if draft.ask.intent.target.is_some() || draft.left_out(&address).is_some() {
            return None;
        }
        let (action, why, says) = says;
        Some(place.change(&address, action, why, says))
    }

    /// Whether the stack goes, and nothing of it stays.
    pub fn goes(&self, draft: &Draft<'_>, place: &Place<'_>, goes: &[Work<'_>]) -> bool {
        // Of what could not be listed something may stay.
        draft.ask.intent.destroy && place.seen.unseen.is_empty() && staying(draft, place, goes).next().is_none()
    }

    /// What is left once everything has gone; `None`: as it stands.
    pub fn shrink(
        &self,
        draft: &Draft<'_>,
        place: &Place<'_>,
        comes: &[Work<'_>],
        goes: &[Work<'_>],
    ) -> Option<ObjectDoes> {
        if self.goes(draft, place, goes) && comes.is_empty() {
            return self.uid.clone().map(|uid| ObjectDoes::Delete { uid });
        }
        if !self.there {
            return None;
        }
        let stay: BTreeSet<&ObjectName> = staying(draft, place, goes).chain(comes.iter().map(|w| &w.object)).collect();
        // What could not be listed may still have objects.
        let (mut kinds, namespaces) = hints(stay.iter().copied(), &self.object.namespace);
        kinds.extend(self.kinds.iter().filter(|k| place.seen.unseen.contains_key(*k)).cloned());
        let whole = place.seen.unseen.is_empty();
        let namespaces = if whole { namespaces } else { self.namespaces.union(&namespaces).cloned().collect() };
        (kinds != self.kinds || namespaces != self.namespaces).then_some(ObjectDoes::Parent { kinds, namespaces })
    }
}

/// What is live of the stack and is not deleted.
fn staying<'p>(
    draft: &'p Draft<'_>,
    place: &'p Place<'_>,
    goes: &[Work<'_>],
) -> impl Iterator<Item = &'p ObjectName> + use<'p> {
    let going: BTreeSet<ObjectName> =
        goes.iter().filter(|w| matches!(w.doing, Doing::Delete(_))).map(|w| w.object.clone()).collect();
    let ours = place.seen.objects.iter().filter(|(_, l)| is_ours(&l.body, draft.key())).map(|(o, _)| o);
    ours.filter(move |o| !going.contains(*o))
}

fn hints<'o>(objects: impl Iterator<Item = &'o ObjectName>, home: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut kinds, mut namespaces) = (BTreeSet::new(), BTreeSet::new());
    for o in objects {
        kinds.insert(o.group_kind());
        if !o.namespace.is_empty() && o.namespace != home {
            namespaces.insert(o.namespace.clone());
        }
    }
    (kinds, namespaces)
}
