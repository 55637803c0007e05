//! What stands around a workload: the service by which others reach it, and the budget that drains must keep.

use serde_json::{Value as Json, json};

use super::super::super::conform::shown;
use super::super::super::problems::Problems;
use super::super::super::reader::Reader;
use super::super::super::tree::Val;
use super::{NAME, Workload, amount, texts};
use crate::policy::Amount;

/// The services: the one by which others reach it, and the one that gives a statefulset's pods their names.
pub fn services(w: &Workload<'_>, problems: &mut Problems<'_>) -> Vec<Json> {
    let mut all = Vec::new();
    if w.kind == "statefulset" {
        let mut spec = json!({
            "type": "ClusterIP",
            "clusterIP": "None",
            "selector": { NAME: w.name },
            // Members must find each other before they are ready.
            "publishNotReadyAddresses": true,
        });
        let ports: Vec<Json> = w.ports.iter().map(|p| port(&p.name, p.number, p.protocol)).collect();
        if !ports.is_empty() {
            spec["ports"] = ports.into();
        }
        all.push(service(w, &headless(w), spec, None));
    }
    all.extend(main(w, problems));
    all
}

/// The name of the service that a statefulset's pods get their names from.
pub fn headless(w: &Workload<'_>) -> String {
    format!("{}-headless", w.name)
}

fn main(w: &Workload<'_>, problems: &mut Problems<'_>) -> Option<Json> {
    let serves = matches!(w.kind, "deployment" | "statefulset" | "daemonset");
    if !serves || w.r.bool("service") == Some(false) {
        return None;
    }
    let table = w.r.table("service");
    if w.ports.is_empty() {
        if let Some(node) = w.r.node("service") {
            let says = format!("`{}` has a service and no port", w.path);
            problems.error("E1204", node.key, says, "add `port = 8080`, or take `service` away");
        }
        return None;
    }
    let ports = ports(w, table.as_ref(), problems);
    let kind = table.as_ref().and_then(|t| t.text("type"));
    let mut spec = json!({ "selector": { NAME: w.name }, "ports": ports });
    match kind.as_deref() {
        Some("headless") => {
            spec["type"] = "ClusterIP".into();
            spec["clusterIP"] = "None".into();
        }
        Some("node-port") => spec["type"] = "NodePort".into(),
        Some("load-balancer") => spec["type"] = "LoadBalancer".into(),
        Some(_) | None => spec["type"] = "ClusterIP".into(),
    }
    Some(service(w, w.name, spec, table.as_ref()))
}

fn ports(w: &Workload<'_>, table: Option<&Reader<'_>>, problems: &mut Problems<'_>) -> Vec<Json> {
    if let (Some(t), Some(node)) = (table, table.and_then(|t| t.node("port"))) {
        if t.has("ports") || w.ports.len() > 1 {
            let says =
                format!("`{}.service` does not say which of the ports {} is for", w.path, t.int("port").unwrap_or(0));
            problems.error("E1204", node.key, says, "name them: ports = { NAME = 80 }");
        }
        return w.ports.iter().map(|p| port(&p.name, t.int("port").unwrap_or(p.number), p.protocol)).collect();
    }
    let Some(named) = table.and_then(|t| t.table("ports")) else {
        return w.ports.iter().map(|p| port(&p.name, p.number, p.protocol)).collect();
    };
    let mut all = Vec::new();
    for (name, node) in named.others() {
        let Some(own) = w.ports.iter().find(|p| p.name == name) else {
            let names: Vec<_> = w.ports.iter().map(|p| p.name.as_str()).collect();
            let says = format!("`{}` has no port {}", w.path, shown(name));
            problems.error("E1204", node.key, says, format!("its ports are {}", names.join(", ")));
            continue;
        };
        let number = match node.val {
            Val::Int(n) => u32::try_from(n).unwrap_or(own.number),
            _ => own.number,
        };
        all.push(port(name, number, own.protocol));
    }
    all
}

fn port(name: &str, number: u32, protocol: &str) -> Json {
    json!({ "name": name, "port": number, "targetPort": name, "protocol": protocol })
}

fn service(w: &Workload<'_>, name: &str, spec: Json, table: Option<&Reader<'_>>) -> Json {
    let mut metadata = w.metadata(name);
    if let Some(Json::Object(own)) = table.and_then(|t| texts(t, "annotations")) {
        for (key, value) in own {
            metadata["annotations"][key] = value;
        }
    }
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec })
}

/// The disruption budget.
pub fn budget(w: &Workload<'_>, problems: &mut Problems<'_>) -> Option<Json> {
    let replicas = w.replicas?;
    let said = w.r.amount("max-unavailable");
    let most = said.or_else(|| (replicas > 1).then_some(Amount::Count(1)))?;
    if matches!(most, Amount::Count(0) | Amount::Percent(0)) {
        let says = format!("with this `max-unavailable` no node that runs a pod of `{}` can be drained", w.path);
        problems.warn("W1202", w.r.at("max-unavailable"), says, "write 1, and run more than one replica");
    }
    Some(json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": w.metadata(w.name),
        "spec": {
            "maxUnavailable": amount(most),
            "selector": w.selector(),
            // A pod that is broken already keeps no node from being drained.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }))
}
