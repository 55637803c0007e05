//! The laws that no call of ours may break, as far as Kubernetes can see them.

use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset::{DELETE_AFTER, PROTECT, STACK, annotation, is_applied, label};
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::laws::{Law, violate};
use crate::world::World;

/// Before our call deletes an object; `uid`: the one that is meant, empty for whichever has the name.
pub(crate) fn before_deleting(world: &mut World, cluster: &str, name: &ObjectName, uid: &str) {
    let now = world.now;
    let Some(object) = world.clusters.get(cluster).and_then(|k| k.get(name)) else { return };
    // The server itself refuses to delete another one of this name.
    if !uid.is_empty() && object.pointer("/metadata/uid").and_then(Json::as_str) != Some(uid) {
        return;
    }
    if name.api.is_empty() && name.kind == "Node" {
        let id = machine(object);
        if world.instances.get(id).is_some_and(|m| !m.is_dead()) {
            violate(world, Law::NotOurs, format!("deletion of {name}, whose machine lives"));
        }
        return;
    }
    let mut broken = Vec::new();
    if label(object, STACK).is_none() || !is_applied(object) {
        broken.push((Law::NotOurs, format!("deletion of {name}, which bears no {STACK} or was never applied by us")));
    }
    if annotation(object, PROTECT) == Some("true") {
        broken.push((Law::Protected, format!("deletion of {name}, which bears {PROTECT}")));
    }
    if holds_data(name, object) && !is_ripe(object, now) {
        broken.push((Law::Data, format!("deletion of {name}, which holds data whose quarantine has not ended")));
    }
    for (law, says) in broken {
        violate(world, law, says);
    }
}

/// The instance that a node stands on; empty for none.
fn machine(node: &Json) -> &str {
    node.pointer("/spec/providerID").and_then(Json::as_str).and_then(|id| id.rsplit('/').next()).unwrap_or_default()
}

/// Before our call terminates a machine that is well: nothing that a drain moves may still run there.
pub(crate) fn before_terminating(world: &mut World, id: &str) {
    if world.instances.get(id).is_none_or(|m| !world.is_ready(id, m)) {
        return;
    }
    let mut broken = Vec::new();
    for kube in world.clusters.values() {
        for (node, _) in kube.of_kind("", "Node").filter(|(_, n)| machine(n) == id) {
            let here = kube.of_kind("", "Pod").filter(|(_, p)| {
                p.pointer("/spec/nodeName").and_then(Json::as_str) == Some(node.name.as_str())
                    && matches!(p.pointer("/status/phase").and_then(Json::as_str), Some("Running" | "Pending"))
                    && p.pointer("/metadata/ownerReferences/0/kind").and_then(Json::as_str) != Some("DaemonSet")
            });
            broken
                .extend(here.map(|(pod, _)| format!("termination of {id} while {pod} runs on its node {}", node.name)));
        }
    }
    for says in broken {
        violate(world, Law::Undrained, says);
    }
}

/// Before our call applies an object.
pub(crate) fn before_applying(world: &mut World, cluster: &str, name: &ObjectName, body: &Json, manager: &str) {
    if manager.is_empty() {
        violate(world, Law::Anonymous, format!("apply of {name} without a field manager"));
    }
    let Some(live) = world.clusters.get(cluster).and_then(|k| k.get(name)) else { return };
    if let (Some(theirs), Some(ours)) = (label(live, STACK), label(body, STACK))
        && theirs != ours
    {
        let says = format!("apply of {name} for the stack {ours}, which is {theirs}'s");
        violate(world, Law::NotOurs, says);
    }
}

/// Whether a deletion may lose data.
fn holds_data(name: &ObjectName, object: &Json) -> bool {
    match name.api.as_str() {
        "" => matches!(name.kind.as_str(), "Namespace" | "PersistentVolumeClaim" | "PersistentVolume"),
        "apiextensions.k8s.io" => name.kind == "CustomResourceDefinition",
        // Its claims go with it.
        "apps" if name.kind == "StatefulSet" => {
            let ends = object.pointer("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted");
            ends.and_then(Json::as_str) == Some("Delete")
                && object.pointer("/spec/volumeClaimTemplates").and_then(Json::as_array).is_some_and(|t| !t.is_empty())
        }
        _ => false,
    }
}

/// Whether it was marked for deletion, and that time has come.
fn is_ripe(object: &Json, now: Timestamp) -> bool {
    annotation(object, DELETE_AFTER).and_then(|t| t.parse::<Timestamp>().ok()).is_some_and(|from| from <= now)
}
