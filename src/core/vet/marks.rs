//! Marks: what is made says whose it is from its first moment, and what is there keeps saying it.
//!
//! EC2's limits are checked here, so that no call fails on them half way. It refuses to know what a digest vector means.

use std::collections::BTreeMap;

use super::{Case, GENERATION, MARKS, Objections};
use crate::address::Address;
use crate::launch::token_prefix;
use crate::plan::Call;
use crate::stamp::{LaunchTag, tag};

/// EC2: tags of one resource (EC2 User Guide, "Tag restrictions").
const TAGS: usize = 50;
/// EC2: characters of a tag's key.
const KEY: usize = 128;
/// EC2: characters of a tag's value.
const VALUE: usize = 256;
/// EC2: ASCII characters of a client token ("Ensuring idempotency").
const TOKEN: usize = 64;

/// What is launched and created.
pub(super) fn made(case: &Case<'_>, out: &mut Objections) {
    for (i, _, call) in case.calls() {
        let (stack, user, all, launch, addresses, tokens) = match call {
            Call::Launch(l) => {
                let tokens = l.places.iter().flat_map(|p| l.types.iter().map(|t| l.token(p, t))).collect::<Vec<_>>();
                if tokens.is_empty() {
                    out.step(MARKS, i, format!("{} is launched nowhere or of no type", l.group));
                }
                (&l.stack, &l.tags, l.instance_tags(), &l.tag, l.addresses(), tokens)
            }
            Call::CreateVolume(v) => {
                let slots: Vec<_> = v.tag.slots.iter().collect();
                if slots != [v.address.slot] {
                    out.step(MARKS, i, format!("{} is marked as slots {slots:?}", v.address));
                }
                (&v.stack, &v.tags, v.volume_tags(), &v.tag, vec![v.address.clone()], vec![v.token()])
            }
            Call::Terminate(_)
            | Call::Stop(_)
            | Call::Start(_)
            | Call::Change { .. }
            | Call::Tag { .. }
            | Call::Attach { .. }
            | Call::Detach { .. }
            | Call::DeleteVolume(_)
            | Call::Object(_) => continue,
        };
        if *stack != case.desired.stack.id || all.get(tag::STACK) != Some(&case.desired.stack.id) {
            out.step(MARKS, i, "is not marked with this stack's id");
        }
        let group = addresses.first().map(|a| a.group.to_string());
        if addresses.is_empty() || all.get(tag::ADDRESS) != group.as_ref() {
            out.step(MARKS, i, "is not marked with its group");
        }
        let read: Option<LaunchTag> = all.get(tag::LAUNCH).and_then(|l| l.parse().ok());
        if read.as_ref() != Some(launch) || launch.only.is_some() || all.get(tag::SPEC).is_none_or(|s| s.len() <= 2) {
            out.step(MARKS, i, "its launch mark or its stamp cannot be read back");
        }
        if user.keys().any(|k| k.starts_with(tag::OURS) && k != tag::PROTECT) {
            out.step(MARKS, i, "a tag of the user's begins with evenkeel:");
        }
        limits(i, &all, out);
        for t in tokens {
            if t.len() > TOKEN || !t.is_ascii() || !t.starts_with(&token_prefix(&case.desired.stack.id)) {
                out.step(MARKS, i, format!("client token `{t}`"));
            }
        }
        newer(case, i, launch, &addresses, out);
    }
}

fn limits(step: u32, all: &BTreeMap<String, String>, out: &mut Objections) {
    if all.len() > TAGS {
        out.step(MARKS, step, format!("{} tags, EC2 takes {TAGS}", all.len()));
    }
    for (k, v) in all {
        let (key, value) = (k.chars().count(), v.chars().count());
        if key == 0 || key > KEY || value > VALUE || k.to_ascii_lowercase().starts_with("aws:") {
            out.step(MARKS, step, format!("tag of {key} and {value} characters, EC2 takes {KEY} and {VALUE}"));
        }
    }
}

/// A launch's generation is above all that its slots have seen; else its token may be a dead machine's.
fn newer(case: &Case<'_>, step: u32, launch: &LaunchTag, addresses: &[Address], out: &mut Objections) {
    let seen = case.own.values().filter(|o| o.address.as_ref().is_some_and(|a| addresses.contains(a)));
    let newest = seen.filter_map(|o| o.launch.as_ref()).map(|l| l.generation).max().unwrap_or(0);
    if launch.generation <= newest {
        let says = format!("generation {} and one of generation {newest} was seen", launch.generation);
        out.step(GENERATION, step, says);
    }
}

/// What is set on live objects and taken away.
pub(super) fn tagged(case: &Case<'_>, out: &mut Objections) {
    for (i, _, call) in case.calls() {
        let Call::Tag { ids, set, unset } = call else { continue };
        if let Some(k) = unset.iter().find(|k| k.starts_with(tag::OURS) && *k != tag::QUARANTINE) {
            out.step(MARKS, i, format!("takes {k} away"));
        }
        if set.get(tag::STACK).is_some_and(|s| *s != case.desired.stack.id) {
            out.step(MARKS, i, "marks with another stack's id");
        }
        let launch: Option<Result<LaunchTag, _>> = set.get(tag::LAUNCH).map(|l| l.parse());
        if let Some(l) = launch
            && !l.is_ok_and(|l| ids.len() == 1 && l.only.as_ref() == ids.first())
        {
            out.step(MARKS, i, "a launch mark put on later holds for one id only");
        }
        if set.get(tag::QUARANTINE).is_some_and(|q| q.parse::<jiff::Timestamp>().is_err()) {
            out.step(MARKS, i, "a quarantine without a date");
        }
        for id in ids {
            let Some(own) = case.own.get(id.as_str()) else { continue };
            let mut all = own.object.tags.clone();
            all.retain(|k, _| !unset.contains(k));
            all.extend(set.clone());
            // What AWS has put there is not counted and not ours.
            all.retain(|k, _| !k.starts_with("aws:"));
            limits(i, &all, out);
        }
    }
}
