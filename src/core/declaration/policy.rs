//! `[policy]` and the tables below it: budgets, floors and patience.

use std::collections::BTreeMap;

use super::keys::{Block, Shape, key};
use super::problems::Problems;
use super::reader::Reader;
use crate::desired::MachineGroup;
use crate::policy::Policy;

/// `[policy]`.
pub static POLICY: Block = Block {
    title: "[policy]",
    about: "What a change may cost. A count such as 2, or a share of the group such as \"10%\".",
    keys: &[
        key("max-unavailable", Shape::Amount, "How many of a group may be missing while it changes.")
            .default("0")
            .example("1")
            .unit("count or share, rounded down"),
        key("max-surge", Shape::Amount, "How many more than declared may live while a group changes; at least 1.")
            .default("\"10%\"")
            .example("2")
            .unit("count or share, rounded up"),
        key("max-parallel", Shape::Amount, "How many replacements of a group may be under way at once; at least 1.")
            .default("\"10%\"")
            .example("4")
            .unit("count or share, rounded down"),
        key("max-deletes", Shape::Amount, "How many of our objects one run may delete without `--max-deletes`.")
            .default("\"10%\"")
            .example("3")
            .unit("count or share, rounded down, a share at least 1"),
        key("quarantine", Shape::Time, "How long data taken out of the file is kept before it is deleted.")
            .default("\"7d\"")
            .example("\"30d\"")
            .unit("time"),
        key("grace", Shape::Time, "How long after a launch a machine missing from a list is not called absent.")
            .default("\"5m\"")
            .example("\"10m\"")
            .unit("time"),
        key("health", Shape::Table(&HEALTH), "How long a signal must be bad before it counts."),
        key("startup", Shape::Table(&STARTUP), "How long a new machine may take."),
        key("repair", Shape::Table(&REPAIR), "How replacing unhealthy machines is held in check."),
        key("outage", Shape::Table(&OUTAGE), "When a whole zone is called out of order."),
        key("balance", Shape::Table(&BALANCE), "How even groups stand over zones."),
        key("drain", Shape::Table(&DRAIN), "How a machine's node is emptied before the machine goes."),
    ],
    others: None,
    later: &["storage"],
};

/// `[policy.drain]`.
pub static DRAIN: Block = Block {
    title: "[policy.drain]",
    about: "How a machine's node is emptied before the machine goes: cordoned, its pods evicted as their budgets let them.",
    keys: &[
        key("timeout", Shape::Time, "How long pods may stay; then the machine stays, too, and the run says why.")
            .default("\"15m\"")
            .example("\"1h\"")
            .unit("time"),
        key(
            "repair-timeout",
            Shape::Time,
            "How long pods of an unhealthy machine may stay; then it goes all the same.",
        )
        .default("\"5m\"")
        .example("\"10m\"")
        .unit("time"),
        key("empty-dir", Shape::Bool, "Pods with an `emptyDir` go too, and what is in it is lost.")
            .default("false")
            .example("true"),
        key("unmanaged", Shape::Bool, "Pods that nothing makes anew go too.").default("false").example("true"),
    ],
    others: None,
    later: &["retry"],
};

/// `[policy.health]`.
pub static HEALTH: Block = Block {
    title: "[policy.health]",
    about: "How long a signal must be bad before it counts.",
    keys: &[
        key("system-status", Shape::Time, "EC2's system status check impaired.")
            .default("\"5m\"")
            .example("\"10m\"")
            .unit("time"),
        key("instance-status", Shape::Time, "EC2's instance status check impaired.")
            .default("\"5m\"")
            .example("\"10m\"")
            .unit("time"),
        key("ready-unknown", Shape::Time, "The kubelet of the machine's node is silent, or its node is missing.")
            .default("\"5m\"")
            .example("\"10m\"")
            .unit("time"),
        key("ready-false", Shape::Time, "The machine's node says that it is not ready.")
            .default("\"10m\"")
            .example("\"20m\"")
            .unit("time"),
        key("single-source", Shape::Time, "One reporter alone, nobody contradicting.")
            .default("\"15m\"")
            .example("\"20m\"")
            .unit("time"),
        key("recover", Shape::Time, "Well for so long before it is called healthy again.")
            .default("\"5m\"")
            .example("\"10m\"")
            .unit("time"),
        key("flap", Shape::Table(&FLAP), "What is called flapping.").default("{ count = 3, window = \"1h\" }"),
    ],
    others: None,
    later: &["condition"],
};

/// `flap`.
pub static FLAP: Block = Block {
    title: "flap",
    about: "Suspect so many times within a window is flapping.",
    keys: &[
        key("count", Shape::Int(2, 100), "How many times.").default("3").example("5"),
        key("window", Shape::Time, "Within how long.").default("\"1h\"").example("\"2h\"").unit("time"),
    ],
    others: None,
    later: &[],
};

/// `[policy.startup]`.
pub static STARTUP: Block = Block {
    title: "[policy.startup]",
    about: "How long a new machine may take before it is called failed.",
    keys: &[
        key("running", Shape::Time, "From the launch to running.").default("\"5m\"").example("\"10m\"").unit("time"),
        key("healthy", Shape::Time, "From running to healthy.").default("\"10m\"").example("\"20m\"").unit("time"),
        key("join", Shape::Time, "From running until the machine has joined its cluster as a node.")
            .default("\"15m\"")
            .example("\"25m\"")
            .unit("time"),
        key("ready", Shape::Time, "From joining until the node is ready.")
            .default("\"5m\"")
            .example("\"10m\"")
            .unit("time"),
    ],
    others: None,
    later: &[],
};

/// `[policy.repair]`.
pub static REPAIR: Block = Block {
    title: "[policy.repair]",
    about: "How replacing unhealthy machines is held in check, so that healing never makes things worse.",
    keys: &[
        key("breaker", Shape::Amount, "More unhealthy than this at once, and they are replaced one alone at first, then more while that goes well.")
            .default("\"20%\"")
            .example("\"30%\"")
            .unit("count or share, rounded up"),
        key("storm-cooldown", Shape::Time, "No soft repairs for so long after a freeze ends.")
            .default("\"10m\"")
            .example("\"20m\"")
            .unit("time"),
        key("retries", Shape::Int(0, 100), "Replacements of one lineage in an hour before it is suspended.")
            .default("3")
            .example("5"),
        key("backoff", Shape::Table(&BACKOFF), "Waits between retries.").default("{ first = \"2m\", max = \"30m\" }"),
        key("chain-reset", Shape::Time, "Healthy for so long starts a new lineage.")
            .default("\"1h\"")
            .example("\"2h\"")
            .unit("time"),
        key("warmup", Shape::Time, "A new machine counts after so long healthy.")
            .default("\"1m\"")
            .example("\"2m\"")
            .unit("time"),
    ],
    others: None,
    later: &[],
};

/// `backoff`.
pub static BACKOFF: Block = Block {
    title: "backoff",
    about: "Waits between retries: the first, doubled each time, up to the longest.",
    keys: &[
        key("first", Shape::Time, "The first wait.").default("\"2m\"").example("\"1m\"").unit("time"),
        key("max", Shape::Time, "The longest wait.").default("\"30m\"").example("\"1h\"").unit("time"),
    ],
    others: None,
    later: &[],
};

/// `[policy.outage]`.
pub static OUTAGE: Block = Block {
    title: "[policy.outage]",
    about: "When a whole zone is called out of order: then nothing in it is replaced one by one.",
    keys: &[
        key("fraction", Shape::Number(0.0, 1.0), "Share of the zone's machines that must be unhealthy.")
            .default("0.55")
            .example("0.7")
            .unit("0 to 1"),
        key("min", Shape::Int(1, 10_000), "At least so many of them.").default("3").example("5"),
        key("outside", Shape::Number(0.0, 1.0), "At most this share unhealthy outside the zone.")
            .default("0.1")
            .example("0.05")
            .unit("0 to 1"),
        key("tail", Shape::Number(0.0, 1.0), "How unlikely it must be as a chance (binomial tail).")
            .default("0.001")
            .example("0.01")
            .unit("0 to 1"),
        key("recover", Shape::Time, "Well for so long before the zone is trusted again.")
            .default("\"30m\"")
            .example("\"1h\"")
            .unit("time"),
        key(
            "zone-loss-surge",
            Shape::Amount,
            "At most so many of a group are launched in the other zones in place of those lost with one: no more than \
             the floor needs.",
        )
        .default("\"100%\"")
        .example("\"50%\"")
        .unit("count or share, rounded up"),
    ],
    others: None,
    later: &[],
};

/// `[policy.balance]`.
pub static BALANCE: Block = Block {
    title: "[policy.balance]",
    about: "How even groups stand over zones.",
    keys: &[key("skew", Shape::Int(1, 1_000), "Allowed difference between the fullest and the emptiest zone.")
        .default("1")
        .example("2")],
    others: None,
    later: &["min-pod-age", "workload-cooldown", "max-evictions"],
};

/// Reads `[policy]`: the defaults, and over them what the file says.
pub fn read(r: Option<&Reader<'_>>, problems: &mut Problems<'_>) -> Policy {
    let mut p = Policy::default();
    let Some(r) = r else { return p };
    set(&mut p.max_unavailable, r.amount("max-unavailable"));
    set(&mut p.max_surge, r.amount("max-surge"));
    set(&mut p.max_parallel, r.amount("max-parallel"));
    set(&mut p.max_deletes, r.amount("max-deletes"));
    set(&mut p.quarantine, r.seconds("quarantine"));
    set(&mut p.grace, r.seconds("grace"));
    if let Some(r) = r.table("health") {
        set(&mut p.health.system_status, r.seconds("system-status"));
        set(&mut p.health.instance_status, r.seconds("instance-status"));
        set(&mut p.health.ready_unknown, r.seconds("ready-unknown"));
        set(&mut p.health.ready_false, r.seconds("ready-false"));
        set(&mut p.health.single_source, r.seconds("single-source"));
        set(&mut p.health.recover, r.seconds("recover"));
        if let Some(r) = r.table("flap") {
            set(&mut p.health.flap_count, r.int("count"));
            set(&mut p.health.flap_window, r.seconds("window"));
        }
    }
    if let Some(r) = r.table("startup") {
        set(&mut p.startup.running, r.seconds("running"));
        set(&mut p.startup.healthy, r.seconds("healthy"));
        set(&mut p.startup.join, r.seconds("join"));
        set(&mut p.startup.ready, r.seconds("ready"));
    }
    if let Some(r) = r.table("repair") {
        set(&mut p.repair.breaker, r.amount("breaker"));
        set(&mut p.repair.storm_cooldown, r.seconds("storm-cooldown"));
        set(&mut p.repair.retries, r.int("retries"));
        set(&mut p.repair.chain_reset, r.seconds("chain-reset"));
        set(&mut p.repair.warmup, r.seconds("warmup"));
        if let Some(r) = r.table("backoff") {
            set(&mut p.repair.backoff_first, r.seconds("first"));
            set(&mut p.repair.backoff_max, r.seconds("max"));
            if p.repair.backoff_first > p.repair.backoff_max {
                let at = if r.has("first") { r.at("first") } else { r.at("max") };
                problems.error(
                    "E0801",
                    at,
                    format!(
                        "the first wait ({}s) is longer than the longest ({}s)",
                        p.repair.backoff_first, p.repair.backoff_max
                    ),
                    "make `first` at most `max`",
                );
            }
        }
    }
    if let Some(r) = r.table("outage") {
        set(&mut p.outage.fraction, r.number("fraction"));
        set(&mut p.outage.min, r.int("min"));
        set(&mut p.outage.outside, r.number("outside"));
        set(&mut p.outage.tail, r.number("tail"));
        set(&mut p.outage.recover, r.seconds("recover"));
        set(&mut p.outage.zone_loss_surge, r.amount("zone-loss-surge"));
    }
    if let Some(r) = r.table("balance") {
        set(&mut p.balance.skew, r.int("skew"));
    }
    if let Some(r) = r.table("drain") {
        set(&mut p.drain.timeout, r.seconds("timeout"));
        set(&mut p.drain.repair_timeout, r.seconds("repair-timeout"));
        set(&mut p.drain.empty_dir, r.bool("empty-dir"));
        set(&mut p.drain.unmanaged, r.bool("unmanaged"));
    }
    p
}

/// Warns of groups that a change may take down as a whole. A group of one cannot be changed in place otherwise.
pub fn check_floor(
    r: Option<&Reader<'_>>,
    policy: &Policy,
    machines: &BTreeMap<String, MachineGroup>,
    problems: &mut Problems<'_>,
) {
    let Some(r) = r.filter(|r| r.has("max-unavailable")) else { return };
    let bare = |g: &MachineGroup| g.count > 1 && policy.unavailable(g.count) >= g.count;
    let names: Vec<_> = machines.iter().filter(|(_, g)| bare(g)).map(|(n, _)| format!("machines.{n}")).collect();
    if !names.is_empty() {
        problems.warn(
            "W0801",
            r.at("max-unavailable"),
            format!("with this `max-unavailable` a change may take down all of {}", names.join(", ")),
            "write less than the group has, to keep a floor",
        );
    }
}

fn set<T>(to: &mut T, from: Option<T>) {
    if let Some(from) = from {
        *to = from;
    }
}
