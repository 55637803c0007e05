//! What a world looks like to its owner: who stands in which slot, and what is wrong with that.
//!
//! It reads the sim's world directly, never through a provider, so that it can see what a provider would overlook.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::Group;
use evenkeel_core::applyset;
use evenkeel_core::desired::{Desired, Layout};
use evenkeel_core::launch::token_prefix;
use evenkeel_core::objects::Sort;
use evenkeel_core::objects::order::is_namespaced;
use evenkeel_core::stamp::{LaunchTag, tag};
use evenkeel_ec2::api::{AttachState, InstanceState, Tags, VolumeState};
use evenkeel_sim::World;
use serde_json::Value as Json;

use super::likeness::unlike;

/// The state of a stack with ids, times and generations left out: equal ends are equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// Address → what stands there, in words, each claimant once.
    pub places: BTreeMap<String, Vec<String>>,
    /// What is ours and has no address.
    pub strays: Vec<String>,
}

/// Reads the end state of a stack.
pub fn ending(world: &World, stack: &str) -> Ending {
    let mut end = Ending::default();
    let prefix = token_prefix(stack);
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for (id, m) in world.instances.iter().filter(|(_, m)| !m.is_dead()) {
        // The token alone cannot be copied or taken away.
        if !m.token.starts_with(&prefix) {
            continue;
        }
        let Some(address) = address(id, m.launch_index, &m.tags) else {
            end.strays.push(format!("{id} {:?}", m.tags));
            continue;
        };
        names.insert(id, address.clone());
        let says = format!(
            "{:?} {} {} {} {:?} {:?}",
            m.state,
            m.zone,
            m.instance_type,
            m.image,
            m.security_groups,
            marks(&m.tags)
        );
        end.places.entry(address).or_default().push(says);
    }
    for (name, object) in world.clusters.values().flat_map(|c| &c.objects).filter(|(n, _)| n.kind == "Node") {
        let text = |at: &str| object.body.0.pointer(at).and_then(Json::as_str).unwrap_or_default();
        let Some(id) = text("/spec/providerID").rsplit('/').next().filter(|id| id.starts_with("i-")) else { continue };
        match names.get(id) {
            Some(address) => {
                let cordoned = object.body.0.pointer("/spec/unschedulable").is_some();
                let says = format!("{:?} cordoned {cordoned}", object.body.0.pointer("/metadata/labels/pool"));
                end.places.entry(format!("node of {address}")).or_default().push(says);
            }
            None => end.strays.push(format!("{name} of {id}, which is gone")),
        }
    }
    for (id, v) in &world.volumes {
        // A part of a machine dies with it and has no slot of its own.
        let part = v.tags.get(tag::ADDRESS).is_some_and(|a| a.starts_with("machines."));
        let ours = v.tags.get(tag::STACK).is_some_and(|s| s == stack) && !part;
        if !ours || v.state == VolumeState::Deleting {
            continue;
        }
        let Some(address) = address(id, 0, &v.tags) else {
            end.strays.push(format!("{id} {:?}", v.tags));
            continue;
        };
        let at = v.hold.as_ref().map_or_else(
            || "free".to_owned(),
            |h| {
                let at = names.get(h.instance.as_str()).cloned().unwrap_or_else(|| h.instance.clone());
                let word = if h.state == AttachState::Attached { "at" } else { "on its way to or from" };
                format!("{word} {at} {}", h.device)
            },
        );
        let says = format!("{} {}GiB {} {at} {:?}", v.zone, v.size, v.volume_type, marks(&v.tags));
        end.places.entry(address).or_default().push(says);
    }
    for (name, object) in world.clusters.values().flat_map(|c| &c.objects) {
        let body = &object.body.0;
        if applyset::label(body, applyset::STACK) != Some(stack) || !applyset::is_applied(body) {
            continue;
        }
        let (address, says) = if applyset::label(body, applyset::ID).is_some() {
            let hint = applyset::annotation(body, applyset::KINDS).unwrap_or_default();
            (MARK.to_owned(), hint.to_owned())
        } else {
            let group = applyset::annotation(body, applyset::ADDRESS).unwrap_or_default();
            (format!("{group}/{name}"), content(body))
        };
        end.places.entry(address).or_default().push(says);
    }
    end.places.values_mut().for_each(|v| v.sort());
    end
}

/// The stack's own mark in a cluster.
pub const MARK: &str = "the mark";

/// What an object says, without what the server gives out by turns.
fn content(body: &Json) -> String {
    let mut spec = body.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        ["clusterIP", "clusterIPs", "volumeName"].iter().for_each(|k| drop(spec.remove(*k)));
    }
    let data = body.get("data").cloned().unwrap_or_default();
    let going = applyset::annotation(body, applyset::DELETE_AFTER).is_some();
    format!("{spec} {data}{}", if going { " quarantined" } else { "" })
}

/// Tags without what differs from run to run.
fn marks(tags: &Tags) -> BTreeMap<&str, &str> {
    let own = tags.iter().filter(|(k, _)| *k != tag::LAUNCH);
    own.map(|(k, v)| (k.as_str(), if k == tag::QUARANTINE { "set" } else { v.as_str() })).collect()
}

/// `machines.web/3`, as the marks say.
pub fn address(id: &str, index: u32, tags: &Tags) -> Option<String> {
    let mark: LaunchTag = tags.get(tag::LAUNCH)?.parse().ok()?;
    let slot = match &mark.only {
        Some(only) if only != id => return None,
        Some(_) => mark.slots.get(0)?,
        None => mark.slots.get(index)?,
    };
    let group: Group = tags.get(tag::ADDRESS)?.parse().ok()?;
    Some(group.slot(slot).to_string())
}

/// Everything that is wrong with a world in which `desired` was applied to the end: missing or double slots, things
/// nobody declared, fields that are not as the file says, data that does not hang where it belongs, broken laws.
pub fn wrongs(world: &World, desired: &Desired) -> Vec<String> {
    let end = ending(world, &desired.stack.id);
    let mut wrong: Vec<String> = end.strays.iter().map(|s| format!("a stray: {s}")).collect();
    let mut wanted: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (name, g) in &desired.machines {
        wanted.extend((0..g.count).map(|s| (Group::machines(name).slot(s).to_string(), None)));
        let slots = (0..g.count).filter(|_| g.nodes.is_some());
        wanted.extend(slots.map(|s| (format!("node of {}", Group::machines(name).slot(s)), None)));
    }
    for (name, v) in &desired.volumes {
        let (count, home) = match &v.layout {
            Layout::Replicas { count, .. } => (*count, None),
            Layout::For(g) => (desired.machines.get(&g.name).map_or(0, |m| m.count), Some(g.clone())),
        };
        for slot in 0..count {
            wanted.insert(Group::volumes(name).slot(slot).to_string(), home.as_ref().map(|h| h.slot(slot).to_string()));
        }
    }
    for (group, bundle) in &desired.bundles {
        for wish in &bundle.objects {
            let mut object = wish.object.clone();
            if is_namespaced(Sort { group: &object.api, kind: &object.kind }) == Some(false) {
                object.namespace.clear();
            }
            wanted.insert(group.object(object).to_string(), None);
        }
        wanted.insert(MARK.to_owned(), None);
    }
    for (address, home) in &wanted {
        match end.places.get(address).map(Vec::as_slice) {
            None | Some([]) => wrong.push(format!("nothing at {address}")),
            Some([one]) => {
                if let Some(home) = home
                    && !one.contains(&format!(" at {home} "))
                {
                    wrong.push(format!("{address} should hang at {home}: {one}"));
                }
            }
            Some(many) => wrong.push(format!("{} claim {address}: {many:?}", many.len())),
        }
    }
    let known: BTreeSet<&String> = wanted.keys().collect();
    wrong.extend(end.places.keys().filter(|a| !known.contains(a)).map(|a| format!("{a} is not declared")));
    wrong.extend(world.instances.iter().filter(|(_, m)| !m.is_dead()).filter_map(|(id, m)| {
        let ours = m.token.starts_with(&token_prefix(&desired.stack.id));
        (ours && m.state != InstanceState::Running).then(|| format!("{id} is {:?}", m.state))
    }));
    wrong.extend(unlike(world, desired));
    wrong.extend(world.violations.iter().map(|v| format!("a broken law: {v}")));
    wrong
}
