//! Whether what stands in a slot is what the file says of it, field by field.
//!
//! It reads the sim's world and the declaration, and none of the code that compares the two for a plan.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::Kind;
use evenkeel_core::desired::{Desired, Disk as Wish, Image, MachineGroup, VolumeGroup};
use evenkeel_core::launch::token_prefix;
use evenkeel_core::stamp::tag;
use evenkeel_ec2::api::Tags;
use evenkeel_sim::World;
use evenkeel_sim::world::{Disk, Machine};

use super::end::address;

/// What differs, in words. What has no slot in the file is somebody else's question.
pub fn unlike(world: &World, desired: &Desired) -> Vec<String> {
    let stack = &desired.stack.id;
    let mut wrong = Vec::new();
    let prefix = token_prefix(stack);
    for (id, m) in world.instances.iter().filter(|(_, m)| !m.is_dead() && m.token.starts_with(&prefix)) {
        let Some(at) = address(id, m.launch_index, &m.tags) else { continue };
        let group = at.strip_prefix("machines.").and_then(|a| a.split('/').next());
        if let Some(wish) = group.and_then(|g| desired.machines.get(g)) {
            wrong.extend(machine(world, id, m, wish).into_iter().map(|says| format!("{at} {says}")));
        }
    }
    for (id, v) in world.volumes.iter().filter(|(_, v)| v.tags.get(tag::STACK) == Some(stack)) {
        let Some(at) = address(id, 0, &v.tags) else { continue };
        let group = at.strip_prefix(&format!("{}.", Kind::Volumes)).and_then(|a| a.split('/').next());
        let gone = v.tags.contains_key(tag::QUARANTINE);
        if let Some(wish) = group.and_then(|g| desired.volumes.get(g)).filter(|_| !gone) {
            wrong.extend(volume(v, wish).into_iter().map(|says| format!("{at} {says}")));
        }
    }
    wrong
}

fn machine(world: &World, id: &str, m: &Machine, wish: &MachineGroup) -> Vec<String> {
    let mut wrong = tags(&m.tags, &wish.tags);
    if !wish.types.contains(&m.instance_type) {
        wrong.push(format!("is a {}, not one of {:?}", m.instance_type, wish.types));
    }
    if let Image::Id(image) = &wish.image
        && m.image != *image
    {
        wrong.push(format!("runs {}, not {image}", m.image));
    }
    let name = |id: &String| world.security_groups.get(id).map_or(id.clone(), |g| g.name.clone());
    let groups: BTreeSet<String> = m.security_groups.iter().map(name).collect();
    let wished: BTreeSet<String> = wish.security_groups.iter().cloned().collect();
    if !wished.is_empty() && groups != wished {
        wrong.push(format!("is in {groups:?}, not {wished:?}"));
    }
    for (what, is, wished) in [
        ("monitoring", m.monitoring, wish.monitoring),
        ("spot", m.spot, wish.spot),
        ("protect", m.protected, wish.protect),
    ] {
        // Protection stays until it is lifted.
        if is != wished && !(what == "protect" && is) {
            wrong.push(format!("has {what} = {is}"));
        }
    }
    let at = |device: &str| {
        let here = |d: &&Disk| d.hold.as_ref().is_some_and(|h| h.instance == id && h.device == device);
        world.volumes.values().find(here)
    };
    let root = world.images.get(&m.image).map_or("", |i| i.root_device.as_str());
    let all = wish.disks.iter().map(|(device, wish)| (device.as_str(), wish));
    for (device, wished) in all.chain([(root, &wish.root)]).filter(|(_, wish)| **wish != Wish::default()) {
        match at(device) {
            None => wrong.push(format!("has no {device}")),
            Some(is) => wrong.extend(disk(is, wished).into_iter().map(|says| format!("has {device} {says}"))),
        }
    }
    for d in world.volumes.values() {
        let Some(hold) = d.hold.as_ref().filter(|h| h.instance == id && h.delete_on_termination) else { continue };
        if hold.device != root && !wish.disks.contains_key(&hold.device) {
            wrong.push(format!("has {}, which nobody declared", hold.device));
        }
    }
    wrong
}

fn volume(v: &Disk, wish: &VolumeGroup) -> Vec<String> {
    let of = Wish {
        size: wish.size,
        volume_type: Some(wish.volume_type.clone()),
        iops: wish.iops,
        throughput: wish.throughput,
        encrypted: Some(wish.encrypted),
        kms_key: None,
    };
    tags(&v.tags, &wish.tags).into_iter().chain(disk(v, &of)).collect()
}

/// What a file leaves out is EBS's choice.
fn disk(is: &Disk, wish: &Wish) -> Vec<String> {
    let numbers = [
        ("size", Some(is.size), wish.size),
        ("iops", is.iops, wish.iops),
        ("throughput", is.throughput, wish.throughput),
    ];
    let differ = numbers.into_iter().filter(|(_, is, wish)| wish.is_some() && is != wish);
    let mut wrong: Vec<String> = differ.map(|(what, is, wish)| format!("of {what} {is:?}, not {wish:?}")).collect();
    if wish.volume_type.as_ref().is_some_and(|t| *t != is.volume_type) {
        wrong.push(format!("of type {}, not {:?}", is.volume_type, wish.volume_type));
    }
    if wish.encrypted.is_some_and(|e| e && !is.encrypted) {
        wrong.push("which is not encrypted".into());
    }
    wrong
}

fn tags(is: &Tags, wish: &BTreeMap<String, String>) -> Vec<String> {
    let differ = wish.iter().filter(|(k, v)| is.get(*k) != Some(*v));
    differ.map(|(k, v)| format!("bears {k} = {:?}, not {v:?}", is.get(k))).collect()
}
