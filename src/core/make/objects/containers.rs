//! What goes along with a namespace or a definition: neither goes while something in it stays, or may stay unseen.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::steps::defined_by;
use super::{Doing, Place, Wanted, Work};
use crate::address::ObjectName;
use crate::applyset;
use crate::make::Draft;
use crate::objects::readiness::leaving;
use crate::plan::{GOES_ALONG, Hold};

impl<'a> Place<'a> {
    /// Holds back the end of what still contains something.
    pub(super) fn emptied(
        &self,
        draft: &mut Draft<'a>,
        work: Vec<Work<'a>>,
        named: &BTreeMap<ObjectName, Wanted<'a>>,
    ) -> Vec<Work<'a>> {
        let going: BTreeSet<ObjectName> =
            work.iter().filter(|w| matches!(w.doing, Doing::Delete(_))).map(|w| w.object.clone()).collect();
        let mut out = Vec::new();
        for w in work {
            let inside = going.contains(&w.object).then(|| self.inside(&w.object)).flatten();
            match inside.and_then(|inside| self.stays(draft, &inside, &going, named)) {
                Some((by, words)) => draft.hold(w.change, by, words),
                None => out.push(w),
            }
        }
        out
    }

    /// What stands in a namespace, or is of a definition's kind; `None` for what contains nothing.
    fn inside(&self, object: &ObjectName) -> Option<Inside> {
        match object.group_kind().as_str() {
            "Namespace" => Some(Inside::Namespace(object.name.clone())),
            _ => defined_by(&self.seen.objects.get(object)?.body).map(Inside::Kind),
        }
    }

    /// Why it must wait, if so.
    fn stays(
        &self,
        draft: &Draft<'a>,
        inside: &Inside,
        going: &BTreeSet<ObjectName>,
        named: &BTreeMap<ObjectName, Wanted<'a>>,
    ) -> Option<(Hold, String)> {
        let unseen = self.seen.unseen.iter().find(|(kind, _)| match inside {
            Inside::Namespace(_) => true,
            Inside::Kind(own) => own == *kind,
        });
        if let Some((kind, failure)) = unseen {
            return Some((Hold::Blind, format!("a full look at {kind}, which may be in it: {failure}")));
        }
        let mark = applyset::parent_name(draft.key(), self.cluster.namespace());
        let of_a_stack = |body: &Json| applyset::label(body, applyset::STACK).is_some();
        let live = self.seen.objects.iter().filter(|(_, l)| leaving(&l.body).is_none() && of_a_stack(&l.body));
        let wished = named.keys().filter(|_| !draft.ask.intent.destroy);
        let all: BTreeSet<&ObjectName> = live.map(|(o, _)| o).chain(wished).collect();
        let mut staying = all.into_iter().filter(|o| inside.has(o) && !going.contains(*o) && **o != mark);
        let first = staying.next()?;
        let more = staying.count();
        let and = if more > 0 { format!(" and {more} more") } else { String::new() };
        let declared = named.contains_key(first) && !draft.ask.intent.destroy;
        let out = if declared { "; put it back into the file, or take what is in it out too" } else { "" };
        Some((Hold::Protection, format!("the end of what is in it, {GOES_ALONG}: {first}{and}{out}")))
    }
}

/// What a container contains.
enum Inside {
    Namespace(String),
    Kind(String),
}

impl Inside {
    fn has(&self, object: &ObjectName) -> bool {
        match self {
            Self::Namespace(name) => object.namespace == *name,
            Self::Kind(kind) => object.group_kind() == *kind,
        }
    }
}
