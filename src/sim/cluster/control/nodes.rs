//! Nodes: simulated ones, and one for each machine of EC2 that says it belongs to the cluster.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use evenkeel_ec2::api::InstanceState;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::super::object::{at, put, put_default, stamp, text};
use super::super::serve::By;
use super::super::{Kube, Moment, named};
use super::{is_true, set_condition};
use crate::world::World;

/// What a machine of EC2 brings to a cluster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Machine {
    id: String,
    zone: String,
    cpu: u32,
    memory: u64,
    ready: bool,
    joins: Joins,
    /// When its guest is up.
    up: Timestamp,
}

/// With what a machine joins.
#[derive(Debug, Clone, Default, PartialEq)]
struct Joins {
    labels: BTreeMap<String, String>,
    taints: Vec<Json>,
}

impl World {
    /// The machines that bear the tag `kubernetes.io/cluster/<name>`, as EKS marks them, or whose boot script names the
    /// API server of this cluster: the first part of its host is the cluster's name.
    pub(super) fn machines_of(&self, cluster: &str) -> Vec<Machine> {
        let tag = format!("kubernetes.io/cluster/{cluster}");
        let there = self.instances.iter().filter(|(_, m)| !m.is_dead() && m.state != InstanceState::Pending);
        there
            .filter_map(|(id, m)| {
                let script = m.user_data.as_ref().and_then(|d| BASE64.decode(d.as_bytes()).ok()).unwrap_or_default();
                let joins = joins(&String::from_utf8_lossy(&script), cluster);
                let joins = joins.or_else(|| m.tags.contains_key(&tag).then(Joins::default))?;
                let size = self.types.get(&m.instance_type);
                Some(Machine {
                    id: id.clone(),
                    zone: m.zone.clone(),
                    cpu: size.map_or(2, |t| t.vcpus),
                    memory: size.map_or(2.0, |t| t.memory).max(1.0) as u64,
                    ready: m.state == InstanceState::Running && self.is_ready(id, m),
                    joins,
                    up: m.checks_pass,
                })
            })
            .collect()
    }
}

/// With what a boot script joins this cluster, if it does: kubeadm's JoinConfiguration or EKS's NodeConfig.
fn joins(script: &str, cluster: &str) -> Option<Joins> {
    let value = |key: &str| {
        let rest = script.lines().find_map(|l| l.trim().strip_prefix(key))?.strip_prefix(':')?;
        Some(rest.trim().trim_matches('"'))
    };
    let endpoint = value("apiServerEndpoint")?;
    let host = endpoint.trim_start_matches("https://").split(['.', ':', '/']).next()?;
    if host != cluster {
        return None;
    }
    let mut joins = Joins::default();
    // `--node-labels=a=b,c=d`, or kubeadm's name and value on two lines.
    let flag = script.split_once("--node-labels=").map(|(_, rest)| rest);
    let pair = script.split_once("name: node-labels").and_then(|(_, rest)| rest.split_once("value: \""));
    let labels = flag.or(pair.map(|(_, rest)| rest)).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    let labels = labels.split(',').filter_map(|l| l.split_once('='));
    joins.labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let taints = value("taints").or_else(|| value("registerWithTaints")).unwrap_or_default();
    joins.taints = serde_json::from_str(taints).unwrap_or_default();
    Some(joins)
}

impl Kube {
    /// Adds a node, ready at once.
    pub(in super::super) fn add_node(&mut self, name: &str, zone: &str, machine: &str, m: Moment) {
        self.put_node(name, zone, machine, (8, 32), &Joins::default(), m);
    }

    fn put_node(&mut self, name: &str, zone: &str, machine: &str, size: (u32, u64), joins: &Joins, m: Moment) {
        let region = zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let id = if machine.is_empty() { name } else { machine };
        let mut node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                    "topology.kubernetes.io/zone": zone,
                    "topology.kubernetes.io/region": region,
                },
            },
            "spec": { "providerID": format!("aws:///{zone}/{id}") },
        });
        for (label, value) in &joins.labels {
            node["metadata"]["labels"][label] = value.as_str().into();
        }
        if !joins.taints.is_empty() {
            put(&mut node, &["spec", "taints"], joins.taints.clone());
        }
        let _ = self.create(node, By::hand("kubelet"), true, m);
        let (cpu, memory) = size;
        let room = json!({ "cpu": cpu.to_string(), "memory": format!("{memory}Gi"), "pods": "110" });
        let address = format!("172.31.{}.{}", self.made % 250, self.made / 250 % 250 + 10);
        self.report(&named("", "Node", "", name), "kubelet", m, |node| {
            put(node, &["status", "capacity"], room.clone());
            put(node, &["status", "allocatable"], room);
            put(node, &["status", "addresses"], json!([{ "type": "InternalIP", "address": address }]));
            put(node, &["status", "nodeInfo", "kubeletVersion"], "v1.37.2");
            for pressure in ["MemoryPressure", "DiskPressure", "PIDPressure"] {
                set_condition(node, m.now, pressure, false, "KubeletHasSufficient", "");
            }
            set_condition(node, m.now, "Ready", true, "KubeletReady", "kubelet is posting ready status");
        });
    }

    /// The machines of EC2 come and go.
    pub(super) fn join(&mut self, machines: &[Machine], m: Moment) {
        let of_machine = |node: &Json| {
            let id = text(node, &["spec", "providerID"]).rsplit('/').next().unwrap_or_default().to_owned();
            id.starts_with("i-").then_some(id)
        };
        let nodes: BTreeMap<String, (String, bool)> = self
            .of_kind("", "Node")
            .filter_map(|(name, node)| Some((of_machine(node)?, (name.name.clone(), is_true(node, "Ready")))))
            .collect();
        for machine in machines {
            match nodes.get(&machine.id) {
                None if machine.ready && self.has_joined(machine, m) => {
                    let size = (machine.cpu, machine.memory);
                    self.put_node(&machine.id, &machine.zone, &machine.id, size, &machine.joins, m);
                }
                Some((name, ready)) if *ready != machine.ready => self.set_node_ready(name, machine.ready, m),
                None | Some(_) => {}
            }
        }
        for (id, (name, ready)) in nodes {
            if machines.iter().any(|machine| machine.id == id) {
                continue;
            }
            if !self.without_cloud {
                // The cloud's own controller takes away the node of a machine that is no more.
                self.objects.remove(&named("", "Node", "", &name));
                self.stir(m);
            } else if ready {
                self.set_node_ready(&name, false, m);
            }
        }
    }

    /// Whether the boot script of a machine whose guest is up has done its work.
    fn has_joined(&self, machine: &Machine, m: Moment) -> bool {
        crate::clock::later(machine.up, self.timing.join.draw(m.seed, "join", &machine.id)) <= m.now
    }

    /// A node falls silent, or speaks again.
    pub(in super::super) fn set_node_ready(&mut self, name: &str, ready: bool, m: Moment) {
        let name = named("", "Node", "", name);
        self.report(&name, MANAGER_OF_NODES, m, |node| {
            let (reason, says) = if ready {
                ("KubeletReady", "kubelet is posting ready status")
            } else {
                ("NodeStatusUnknown", "Kubelet stopped posting node status.")
            };
            set_condition(node, m.now, "Ready", ready, reason, says);
            if !ready && let Some(all) = node.pointer_mut("/status/conditions").and_then(Json::as_array_mut) {
                for c in all.iter_mut().filter(|c| text(c, &["type"]) == "Ready") {
                    put(c, &["status"], "Unknown");
                }
            }
        });
        self.amend(&name, m, |node| {
            let mut taints = at(node, &["spec", "taints"]).and_then(Json::as_array).cloned().unwrap_or_default();
            taints.retain(|t| text(t, &["key"]) != UNREACHABLE);
            if !ready {
                let mut taint = json!({ "key": UNREACHABLE, "effect": "NoExecute" });
                put_default(&mut taint, &["timeAdded"], stamp(m.now));
                taints.push(taint);
            }
            put(node, &["spec", "taints"], taints);
        });
    }
}

/// Who says that a node is silent.
const MANAGER_OF_NODES: &str = "kube-controller-manager";
/// The taint of a silent node.
pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
