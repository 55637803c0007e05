//! What runs a workload: the five kinds of controllers around the same pod.

use serde_json::{Value as Json, json};

use super::super::super::problems::Problems;
use super::super::super::reader::Reader;
use super::around::headless;
use super::{Workload, amount, pod};
use crate::policy::Amount;

/// Makes the controller.
pub fn read(w: &Workload<'_>, problems: &mut Problems<'_>) -> Json {
    let pod = pod::read(w, problems);
    let (version, kind, spec) = match w.kind {
        "statefulset" => ("apps/v1", "StatefulSet", statefulset(w, pod, problems)),
        "daemonset" => ("apps/v1", "DaemonSet", daemonset(w, pod.template, problems)),
        "job" => ("batch/v1", "Job", job(w, pod.template)),
        "cronjob" => ("batch/v1", "CronJob", cronjob(w, pod.template)),
        _ => ("apps/v1", "Deployment", deployment(w, pod.template)),
    };
    json!({ "apiVersion": version, "kind": kind, "metadata": w.metadata(w.name), "spec": spec })
}

/// Revisions that are kept, to go back to.
const REVISIONS: u32 = 10;

fn roll_out<'r>(w: &Workload<'r>) -> Option<Reader<'r>> {
    w.r.table("roll-out")
}

/// `recreate` in place of a table.
fn recreates(w: &Workload<'_>) -> bool {
    w.r.text("roll-out").as_deref() == Some("recreate")
}

fn min_ready(w: &Workload<'_>, spec: &mut Json) {
    spec["minReadySeconds"] = roll_out(w).and_then(|t| t.seconds("min-ready")).unwrap_or(0).into();
}

fn deployment(w: &Workload<'_>, template: Json) -> Json {
    let table = roll_out(w);
    let of = |key: &str| table.as_ref().and_then(|t| t.amount(key));
    let strategy = if recreates(w) {
        json!({ "type": "Recreate" })
    } else {
        // New pods first, as evenkeel replaces machines.
        let surge = of("surge").unwrap_or(Amount::Percent(25));
        let missing = of("unavailable").unwrap_or(Amount::Count(0));
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": amount(surge), "maxUnavailable": amount(missing) } })
    };
    let mut spec = json!({
        "replicas": w.replicas,
        "revisionHistoryLimit": REVISIONS,
        "progressDeadlineSeconds": table.as_ref().and_then(|t| t.seconds("within")).unwrap_or(600),
        "selector": w.selector(),
        "strategy": strategy,
        "template": template,
    });
    min_ready(w, &mut spec);
    spec
}

/// Keys of `roll-out` that a kind has no use for.
fn refuse(w: &Workload<'_>, which: &[&str], problems: &mut Problems<'_>) {
    if recreates(w) {
        let says = format!("`{}` is a {}, which is never recreated as a whole", w.path, w.kind);
        problems.error("E1202", w.r.at("roll-out"), says, "take `roll-out` away");
    }
    let Some(table) = roll_out(w) else { return };
    for key in which {
        if let Some(node) = table.node(key) {
            let says = format!("the roll-out of a {} knows no `{key}`", w.kind);
            problems.error("E1202", node.key, says, format!("take `{key}` away"));
        }
    }
}

fn statefulset(w: &Workload<'_>, pod: pod::Pod, problems: &mut Problems<'_>) -> Json {
    refuse(w, &["surge", "unavailable", "within"], problems);
    let start = if w.r.text("start").as_deref() == Some("parallel") { "Parallel" } else { "OrderedReady" };
    let mut spec = json!({
        "replicas": w.replicas,
        "revisionHistoryLimit": REVISIONS,
        "serviceName": headless(w),
        "podManagementPolicy": start,
        "selector": w.selector(),
        "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
        "template": pod.template,
    });
    if !pod.claims.is_empty() {
        spec["volumeClaimTemplates"] = pod.claims.into();
        // Data outlives the pods, and the workload too.
        spec["persistentVolumeClaimRetentionPolicy"] = json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
    }
    min_ready(w, &mut spec);
    spec
}

fn daemonset(w: &Workload<'_>, template: Json, problems: &mut Problems<'_>) -> Json {
    refuse(w, &["within"], problems);
    let table = roll_out(w);
    let of = |key: &str| table.as_ref().and_then(|t| t.amount(key));
    let surge = of("surge").unwrap_or(Amount::Count(0));
    // A node has one pod of it: either the old one goes first, or the new one comes first.
    let first = matches!(surge, Amount::Count(0) | Amount::Percent(0));
    let missing = of("unavailable").unwrap_or(Amount::Count(u32::from(first)));
    let mut spec = json!({
        "revisionHistoryLimit": REVISIONS,
        "selector": w.selector(),
        "updateStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": amount(surge), "maxUnavailable": amount(missing) },
        },
        "template": template,
    });
    min_ready(w, &mut spec);
    spec
}

fn job(w: &Workload<'_>, template: Json) -> Json {
    let mut spec = json!({
        "backoffLimit": w.r.int("retries").unwrap_or(6),
        "completions": w.r.int("completions").unwrap_or(1),
        "parallelism": w.r.int("parallel").unwrap_or(1),
        "template": template,
    });
    if let Some(deadline) = w.r.seconds("deadline") {
        spec["activeDeadlineSeconds"] = deadline.into();
    }
    spec
}

fn cronjob(w: &Workload<'_>, template: Json) -> Json {
    let concurrency = match w.r.text("concurrency").as_deref() {
        Some("allow") => "Allow",
        Some("replace") => "Replace",
        Some(_) | None => "Forbid",
    };
    let history = w.r.table("history");
    let kept = |key: &str| history.as_ref().and_then(|h| h.int(key)).unwrap_or(3);
    let mut spec = json!({
        "schedule": w.r.text("schedule"),
        "timeZone": w.r.text("time-zone").unwrap_or_else(|| "Etc/UTC".to_owned()),
        "concurrencyPolicy": concurrency,
        "suspend": w.r.bool("suspend").unwrap_or(false),
        "successfulJobsHistoryLimit": kept("succeeded"),
        "failedJobsHistoryLimit": kept("failed"),
        "jobTemplate": { "metadata": { "labels": w.labels }, "spec": job(w, template) },
    });
    if let Some(within) = w.r.seconds("start-within") {
        spec["startingDeadlineSeconds"] = within.into();
    }
    spec
}
