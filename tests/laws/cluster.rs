//! What must be true of a cluster's objects in the random stories: while a run goes on, and when all trouble has ended.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset;
use evenkeel_core::desired::Desired;
use evenkeel_core::failure::Class;
use evenkeel_core::objects::Sort;
use evenkeel_core::objects::order::{holds_data, is_namespaced};
use evenkeel_core::plan::Plan;
use evenkeel_sim::action::Action;
use evenkeel_sim::dice::Span;
use evenkeel_sim::faults::{Effect, Fault};
use evenkeel_sim::{Call, World};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::fleet::{Dice, STACK};
use super::hands::{Strangers, is_of, mark, objects};
use super::shop::{SPACE, Shop};

/// What of the API server's goes wrong during a run.
pub fn faults(dice: &mut Dice, shop: &Shop) -> Vec<Fault> {
    let kinds: Vec<String> = shop.kinds().into_iter().collect();
    let kind = match kinds.get(dice.roll(8) as usize) {
        Some(kind) => kind.clone(),
        None => {
            ["ConfigMap", "Namespace", "CustomResourceDefinition.apiextensions.k8s.io"][dice.roll(3) as usize].into()
        }
    };
    match dice.roll(9) {
        // A kind may not be listed, or not be written.
        0 | 1 => vec![Fault::deny(Action::ListObjects).about(kind)],
        2 => vec![Fault::deny(Action::ApplyObject).about(kind)],
        3 => vec![Fault::deny(Action::DeleteObject).about(kind)],
        // It is away for a while.
        4 => {
            let mut fault = Fault::every(Effect::Fail(Class::Transient));
            fault.on = Action::ALL.iter().copied().filter(|a| a.verb().is_some()).collect();
            // Counted from the run's beginning ([`begin`]).
            fault.until = Timestamp::from_second(10 + i64::from(dice.roll(1200))).ok();
            vec![fault.after(dice.roll(12))]
        }
        // Somebody else is quicker.
        5 => {
            let fault = Fault::every(Effect::Fail(Class::Busy)).times(1 + dice.roll(3));
            let fault = fault.on(Action::ApplyObject).on(Action::PatchObject).on(Action::DeleteObject);
            vec![fault.after(dice.roll(4))]
        }
        6 => vec![Fault::once(Effect::Fail(Class::Quota)).on(Action::ApplyObject).after(dice.roll(5))],
        7 => {
            let late = Fault::once(Effect::Late(Span::secs(1, 900)));
            vec![late.on(Action::ApplyObject).on(Action::DeleteObject).after(dice.roll(6))]
        }
        _ => vec![],
    }
}

/// The same faults for a run that begins now.
pub fn begin(faults: &[Fault], now: Timestamp) -> Vec<Fault> {
    let moved = |at: Timestamp| now.checked_add(at.duration_since(Timestamp::UNIX_EPOCH)).expect("a time");
    faults.iter().cloned().map(|f| Fault { until: f.until.map(moved), ..f }).collect()
}

/// A cluster before a run.
pub struct Before {
    ours: BTreeSet<ObjectName>,
}

impl Before {
    pub fn of(world: &World) -> Self {
        Self { ours: objects(world).filter(|(_, body)| is_of(body, STACK)).map(|(name, _)| name.clone()).collect() }
    }

    /// What the calls of one run did that they may not; `left`: the plan of its last look, if it lived to see it.
    pub fn wrongs(&self, calls: &[Call], wish: &Desired, destroys: bool, left: Option<&Plan>) -> Vec<String> {
        let mut wrong = Vec::new();
        // Kinds that no list of the last look showed.
        let mut unseen: BTreeSet<&str> = BTreeSet::new();
        let writes = |c: &Call| {
            matches!(c.action, Action::ApplyObject | Action::ForceApply | Action::DeleteObject) && c.failed.is_none()
        };
        let declared = names(wish);
        let own = mark().to_string();
        let mut made: BTreeSet<&str> = BTreeSet::new();
        for call in calls {
            match &call.failed {
                Some(failure) if call.action == Action::ListObjects && failure.class == Class::Denied => {
                    unseen.insert(&call.about);
                }
                None if call.action == Action::ListObjects => {
                    unseen.remove(call.about.as_str());
                }
                Some(_) | None => {}
            }
            if !writes(call) {
                continue;
            }
            let kind = call.about.split('/').next().unwrap_or_default();
            if unseen.contains(kind) && call.about != own {
                wrong.push(format!("{} of {} though {kind} could not be listed", call.action, call.about));
            }
            if call.action != Action::DeleteObject {
                made.insert(&call.about);
                continue;
            }
            let ours = self.ours.iter().any(|o| o.to_string() == call.about) || made.contains(call.about.as_str());
            if !ours {
                wrong.push(format!("{} was deleted, which bore no marks of ours", call.about));
            }
            let name = declared.iter().find(|n| n.to_string() == call.about);
            let keeps = |n: &&ObjectName| holds_data(Sort { group: &n.api, kind: &n.kind }).is_some();
            if let Some(name) = name.filter(keeps)
                && !destroys
            {
                wrong.push(format!("{name} was deleted, which holds data and is in the file"));
            }
        }
        // A list of every kind, which a lost mark costs once, is no promise.
        let concerns = |kind: &str| declared.iter().chain(&self.ours).any(|n| n.group_kind() == kind);
        unseen.retain(|kind| concerns(kind));
        if let Some(left) = left
            && left.gaps.is_empty()
            && !unseen.is_empty()
        {
            wrong.push(format!("nothing says that {unseen:?} could not be listed"));
        }
        wrong
    }
}

/// Of a kind that nothing names any more.
pub const FORGOTTEN: &str = "nothing tells that there are objects of this kind";

/// The names that the file wishes.
fn names(wish: &Desired) -> BTreeSet<ObjectName> {
    let all = wish.bundles.values().flat_map(|b| &b.objects).map(|o| {
        let mut name = o.object.clone();
        if is_namespaced(Sort { group: &name.api, kind: &name.kind }) == Some(false) {
            name.namespace.clear();
        }
        name
    });
    all.collect()
}

/// Whether the file may change what the server does not change on a live object.
fn is_made_anew(name: &ObjectName) -> bool {
    matches!(name.kind.as_str(), "Job" | "Deployment") || name.name.starts_with("fixed-")
}

/// Objects that do not end as the file says, for a reason that a person must settle: their addresses' ends, such as
/// `/ConfigMap/default/config-1`, and why.
pub fn excused(world: &World, wish: &Desired, shop: &Shop, strangers: &Strangers) -> BTreeMap<String, &'static str> {
    let live: BTreeMap<&ObjectName, &Json> = objects(world).collect();
    let declared = names(wish);
    let protected = |body: &Json| applyset::annotation(body, applyset::PROTECT) == Some("true");
    let mut out = BTreeMap::new();
    let mut excuse = |name: &ObjectName, why| out.insert(format!("/{name}"), why);
    for name in &declared {
        let body = live.get(name).copied();
        let size = |body: &Json| {
            let text = body.pointer("/spec/resources/requests/storage").and_then(Json::as_str)?;
            text.trim_end_matches("Gi").parse::<u32>().ok()
        };
        let wished = wish.bundles.values().flat_map(|b| &b.objects).find(|o| o.object == *name);
        let shrinks = body.and_then(size) > wished.and_then(|o| size(o.body.json()));
        let space_is_gone = |name: &ObjectName| {
            let space = ObjectName {
                api: String::new(),
                kind: "Namespace".into(),
                namespace: String::new(),
                name: name.namespace.clone(),
            };
            name.namespace == SPACE && !shop.space && !live.contains_key(&space)
        };
        let kind_is_gone = name.kind == "Widget" && !shop.definition && body.is_none();
        if strangers.have(name) {
            excuse(name, "its name is taken");
        } else if body.is_some_and(protected) {
            excuse(name, "it is protected");
        } else if body.is_some_and(|b| !is_of(b, STACK)) && is_made_anew(name) {
            excuse(name, "it does not bear our marks, and may not be deleted to be made anew");
        } else if name.kind == "PersistentVolumeClaim" && shrinks {
            excuse(name, "a claim does not shrink");
        } else if space_is_gone(name) || kind_is_gone {
            excuse(name, "what it stands on is gone, and not declared");
        }
    }
    for (name, body) in live.iter().filter(|(name, body)| is_of(body, STACK) && !declared.contains(**name)) {
        let stays = |o: &ObjectName, b: &Json| {
            applyset::label(b, applyset::STACK).is_some() && (declared.contains(o) || protected(b) || !is_of(b, STACK))
        };
        let inside = |o: &ObjectName| match name.kind.as_str() {
            "Namespace" => o.namespace == name.name,
            "CustomResourceDefinition" => o.kind == "Widget",
            _ => false,
        };
        let contains = live.iter().any(|(o, b)| inside(o) && stays(o, b)) || declared.iter().any(inside);
        if protected(body) {
            excuse(name, "it is protected");
        } else if contains {
            excuse(name, "something in it stays");
        }
    }
    out
}

/// Whether the stack's own mark is lost without a trace: of no kind that the file names is anything of ours left.
pub fn is_lost(world: &World, wish: &Desired) -> bool {
    let kinds: BTreeSet<String> = names(wish).iter().map(ObjectName::group_kind).collect();
    let mut ours = objects(world).filter(|(_, body)| is_of(body, STACK)).map(|(name, _)| name);
    !objects(world).any(|(name, _)| *name == mark()) && !ours.any(|name| kinds.contains(&name.group_kind()))
}

/// Whether anything of the stack is there, but for its own mark.
pub fn objects_of_ours(world: &World) -> bool {
    objects(world).any(|(name, body)| is_of(body, STACK) && *name != mark())
}

/// The kinds that the stack has objects of, and those that its own mark names.
fn kinds(world: &World) -> (BTreeSet<String>, BTreeSet<String>) {
    let of_ours = objects(world).filter(|(name, body)| is_of(body, STACK) && **name != mark());
    let ours: BTreeSet<String> = of_ours.map(|(name, _)| name.group_kind()).collect();
    let said: BTreeSet<String> = objects(world)
        .find(|(name, _)| **name == mark())
        .and_then(|(_, body)| applyset::annotation(body, applyset::KINDS))
        .map(|text| text.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect())
        .unwrap_or_default();
    (ours, said)
}

/// Objects of kinds that the mark does not name and the file neither, by their addresses' ends.
pub fn forgotten(world: &World, wish: &Desired) -> Vec<String> {
    let (ours, said) = kinds(world);
    let wished: BTreeSet<String> = names(wish).iter().map(ObjectName::group_kind).collect();
    let lost = |kind: &String| !said.contains(kind) && !wished.contains(kind);
    let lost: BTreeSet<&String> = ours.iter().filter(|kind| lost(kind)).collect();
    let all = objects(world).filter(|(name, body)| is_of(body, STACK) && lost.contains(&name.group_kind()));
    all.map(|(name, _)| format!("/{name}")).collect()
}

/// What a stack that was destroyed has left behind: nothing but what is protected, and what contains such.
pub fn left_behind(world: &World, is_lost: bool) -> Vec<String> {
    let (_, said) = kinds(world);
    let protected = |body: &Json| applyset::annotation(body, applyset::PROTECT) == Some("true");
    let stays = |body: &Json| {
        let other = applyset::label(body, applyset::STACK).is_some() && !is_of(body, STACK);
        protected(body) || other
    };
    let contains = |name: &ObjectName| {
        objects(world).filter(|(_, b)| stays(b)).any(|(o, _)| match name.kind.as_str() {
            "Namespace" => o.namespace == name.name,
            "CustomResourceDefinition" => o.kind == "Widget",
            _ => false,
        })
    };
    let forgotten = |name: &ObjectName| is_lost && !said.contains(&name.group_kind());
    let of_ours = objects(world).filter(|(_, body)| is_of(body, STACK));
    let protects = objects(world).any(|(_, body)| is_of(body, STACK) && protected(body));
    of_ours
        .filter(|(name, body)| !protected(body) && !contains(name) && !forgotten(name))
        .filter(|(name, _)| !(protects && **name == mark()))
        .map(|(name, _)| format!("{name} is left after a destroy"))
        .collect()
}

/// What the stack's own mark says wrongly once all has come to rest.
pub fn mark_wrongs(world: &World, excused: &BTreeMap<String, &'static str>) -> Vec<String> {
    let (mut ours, said) = kinds(world);
    let kind = |address: &String| address.split('/').nth(1).unwrap_or_default().to_owned();
    let forgotten: BTreeSet<String> =
        excused.iter().filter(|(_, why)| **why == FORGOTTEN).map(|(address, _)| kind(address)).collect();
    ours.retain(|kind| !forgotten.contains(kind));
    if ours == said { vec![] } else { vec![format!("the mark says {said:?}, and there are {ours:?}")] }
}
