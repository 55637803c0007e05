//! Whether a live object does what it is for: ready, on its way, stuck.
//!
//! Its own status tells, once its controller has seen the latest generation. How long "on its way" may take is the
//! caller's business; "stuck" means that waiting alone will not help.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Sort;
use super::trouble::{condition, line, message, pod_trouble, set_trouble, text};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// It does what it is for, or has nothing to wait for.
    Ready,
    /// On its way.
    Progressing {
        /// How far: `2 of 3 updated`.
        says: String,
    },
    /// It will not get there by itself.
    Stuck {
        /// How far.
        says: String,
        /// Why not further.
        why: String,
    },
    /// It has no status that tells.
    Unknown,
}

fn on_its_way(says: impl Into<String>) -> Readiness {
    Readiness::Progressing { says: says.into() }
}

fn stuck(says: impl Into<String>, why: impl Into<String>) -> Readiness {
    Readiness::Stuck { says: says.into(), why: why.into() }
}

/// Whether a live object is ready.
pub fn readiness(live: &Value) -> Readiness {
    if let Some(says) = leaving(live) {
        return on_its_way(says);
    }
    if let Some(unseen) = unseen(live) {
        return unseen;
    }
    let sort = Sort::of(live);
    match (sort.group, sort.kind) {
        ("apps", "Deployment") => deployment(live),
        ("apps", "StatefulSet") => stateful_set(live),
        ("apps", "DaemonSet") => daemon_set(live),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replica_set(live),
        ("batch", "Job") => job(live),
        ("", "Pod") => pod(live),
        ("", "Service") => service(live),
        ("", "PersistentVolumeClaim") => claim(live),
        ("", "PersistentVolume") => volume(live),
        ("", "Namespace") => Readiness::Ready,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(live),
        ("apiregistration.k8s.io", "APIService") => {
            by_condition(live, "Available").unwrap_or(on_its_way("not served yet"))
        }
        ("policy", "PodDisruptionBudget") => budget(live),
        ("autoscaling", "HorizontalPodAutoscaler") => scaler(live),
        ("", "Node") => by_condition(live, "Ready").unwrap_or(on_its_way("not heard of yet")),
        _ if sort.is_built_in() => Readiness::Ready,
        _ => custom(live),
    }
}

/// What an object that is being deleted waits for: whoever put finalizers on it. `None` for one that stays.
pub fn leaving(live: &Value) -> Option<String> {
    live.pointer("/metadata/deletionTimestamp").filter(|t| !t.is_null())?;
    let names = live.pointer("/metadata/finalizers").or_else(|| live.pointer("/spec/finalizers"));
    let names: Vec<&str> = names.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let contents = ["NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure"]
        .iter()
        .find_map(|c| condition(live, c).filter(|c| text(c, "/status") == "True").map(message));
    Some(match (contents, names.is_empty()) {
        (Some(contents), _) => format!("is being deleted: {contents}"),
        (None, true) => "is being deleted".to_owned(),
        (None, false) => format!("is being deleted, waits for finalizer {}", line(&names.join(", "))),
    })
}

fn number(live: &Value, pointer: &str) -> Option<i64> {
    live.pointer(pointer).and_then(Value::as_i64)
}

/// What its status says is about an older generation.
fn unseen(live: &Value) -> Option<Readiness> {
    let seen = number(live, "/status/observedGeneration")?;
    let generation = number(live, "/metadata/generation")?;
    (seen < generation).then(|| on_its_way("its controller has not seen the change yet"))
}

/// Pods that are wanted and those that there are, by what they have reached.
struct Count {
    wanted: i64,
    reached: i64,
    word: &'static str,
}

/// The first count that falls short, in words.
fn short(counts: &[Count]) -> Option<String> {
    let count = counts.iter().find(|c| c.reached < c.wanted)?;
    Some(format!("{} of {} {}", count.reached, count.wanted, count.word))
}

fn counts(live: &Value, wanted: i64, all: &[(&str, &'static str)]) -> Vec<Count> {
    let reached = |field: &str| number(live, &format!("/status/{field}")).unwrap_or(0);
    all.iter().map(|(field, word)| Count { wanted, reached: reached(field), word }).collect()
}

/// Without a status nothing has looked at it yet.
fn no_status(live: &Value) -> bool {
    number(live, "/status/observedGeneration").is_none()
}

fn deployment(live: &Value) -> Readiness {
    if no_status(live) {
        return on_its_way("its controller has not seen it yet");
    }
    let wanted = number(live, "/spec/replicas").unwrap_or(1);
    let all = [("updatedReplicas", "updated"), ("readyReplicas", "ready"), ("availableReplicas", "available")];
    let old = number(live, "/status/replicas").unwrap_or(0) - number(live, "/status/updatedReplicas").unwrap_or(0);
    let says = short(&counts(live, wanted, &all)).or_else(|| (old > 0).then(|| format!("{old} old pods still there")));
    let Some(says) = says else { return Readiness::Ready };
    if live.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return stuck(says, "its roll-out is paused");
    }
    if let Some(why) = set_trouble(live) {
        return stuck(says, why);
    }
    match condition(live, "Progressing").filter(|c| text(c, "/status") == "False") {
        Some(stalled) => stuck(says, message(stalled)),
        None => on_its_way(says),
    }
}

fn stateful_set(live: &Value) -> Readiness {
    if no_status(live) {
        return on_its_way("its controller has not seen it yet");
    }
    let wanted = number(live, "/spec/replicas").unwrap_or(1);
    let mut all = counts(live, wanted, &[("readyReplicas", "ready"), ("availableReplicas", "available")]);
    // Servers before 1.25 do not count what is available.
    if live.pointer("/status/availableReplicas").is_none() {
        all.truncate(1);
    }
    let by_hand = text(live, "/spec/updateStrategy/type") == "OnDelete";
    // When all are updated, the update revision is the current one and its count may be left out.
    let done = text(live, "/status/currentRevision") == text(live, "/status/updateRevision");
    if !by_hand && !done {
        let kept = number(live, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0).clamp(0, wanted.max(0));
        let updated = counts(live, wanted - kept, &[("updatedReplicas", "updated")]);
        all.splice(0..0, updated);
    }
    match short(&all) {
        None => Readiness::Ready,
        Some(says) => on_its_way(says),
    }
}

fn daemon_set(live: &Value) -> Readiness {
    if no_status(live) {
        return on_its_way("its controller has not seen it yet");
    }
    let wanted = number(live, "/status/desiredNumberScheduled").unwrap_or(0);
    let mut all = counts(live, wanted, &[("updatedNumberScheduled", "updated")]);
    if text(live, "/spec/updateStrategy/type") == "OnDelete" {
        all.clear();
    }
    all.extend(counts(live, wanted, &[("numberReady", "ready"), ("numberAvailable", "available")]));
    short(&all).map_or(Readiness::Ready, on_its_way)
}

fn replica_set(live: &Value) -> Readiness {
    if no_status(live) {
        return on_its_way("its controller has not seen it yet");
    }
    let wanted = number(live, "/spec/replicas").unwrap_or(1);
    let Some(says) = short(&counts(live, wanted, &[("readyReplicas", "ready"), ("availableReplicas", "available")]))
    else {
        return Readiness::Ready;
    };
    match set_trouble(live) {
        Some(why) => stuck(says, why),
        None => on_its_way(says),
    }
}

fn job(live: &Value) -> Readiness {
    let is = |sort: &str| condition(live, sort).filter(|c| text(c, "/status") == "True");
    let done = number(live, "/status/succeeded").unwrap_or(0);
    let says = match number(live, "/spec/completions") {
        Some(wanted) => format!("{done} of {wanted} succeeded"),
        None => format!("{done} succeeded"),
    };
    if is("Complete").is_some() || live.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        // Suspended is what the file asks for; nothing will happen until it asks for something else.
        return Readiness::Ready;
    }
    if let Some(failed) = is("Failed").or_else(|| is("FailureTarget")) {
        return stuck(says, message(failed));
    }
    let failed = number(live, "/status/failed").filter(|n| *n > 0).map_or(String::new(), |n| format!(", {n} failed"));
    on_its_way(format!("{says}{failed}"))
}

fn pod(live: &Value) -> Readiness {
    match text(live, "/status/phase") {
        "Succeeded" => return Readiness::Ready,
        "Failed" => return stuck("failed", pod_trouble(live).unwrap_or_else(|| "it ended with an error".to_owned())),
        _ => {}
    }
    if condition(live, "Ready").is_some_and(|c| text(c, "/status") == "True") {
        return Readiness::Ready;
    }
    match pod_trouble(live) {
        Some(why) => stuck("not ready", why),
        None => on_its_way("starting"),
    }
}

fn service(live: &Value) -> Readiness {
    let balanced = text(live, "/spec/type") == "LoadBalancer";
    let has = live.pointer("/status/loadBalancer/ingress").and_then(Value::as_array).is_some_and(|i| !i.is_empty());
    if balanced && !has { on_its_way("its load balancer has no address yet") } else { Readiness::Ready }
}

fn claim(live: &Value) -> Readiness {
    match text(live, "/status/phase") {
        "Bound" => match condition(live, "Resizing").filter(|c| text(c, "/status") == "True") {
            Some(_) => on_its_way("its volume is being resized"),
            None => Readiness::Ready,
        },
        "Lost" => stuck("lost", "the volume that it was bound to is gone"),
        _ => on_its_way("not bound yet"),
    }
}

/// The storage class that an unbound claim has, whose word decides what the claim waits for ([`unbound`]); empty where
/// it has none and the cluster gave it none. `None`: a claim that is not unbound, or no claim at all.
pub fn class_of(claim: &Value) -> Option<&str> {
    let is_claim = Sort::of(claim) == Sort { group: "", kind: "PersistentVolumeClaim" };
    let unbound = !matches!(text(claim, "/status/phase"), "Bound" | "Lost");
    (is_claim && unbound && leaving(claim).is_none()).then(|| text(claim, "/spec/storageClassName"))
}

/// An unbound claim by its storage class's `volumeBindingMode`; `None` where that is not known, or there is no class.
/// Only one whose class binds at once gets its volume by itself: another one waits for its first pod, or for a volume
/// that nobody may ever make.
pub fn unbound(claim: &Value, binding: Option<&str>) -> Readiness {
    match (binding, class_of(claim)) {
        (None, _) => Readiness::Unknown,
        (Some("WaitForFirstConsumer"), _) => Readiness::Ready,
        (Some(_), class) => {
            on_its_way(format!("not bound yet: its class {} has made no volume", line(class.unwrap_or_default())))
        }
    }
}

fn volume(live: &Value) -> Readiness {
    match text(live, "/status/phase") {
        "Failed" => stuck("failed", line(text(live, "/status/message"))),
        "Available" | "Bound" | "Released" => Readiness::Ready,
        _ => on_its_way("not available yet"),
    }
}

fn definition(live: &Value) -> Readiness {
    if let Some(refused) = condition(live, "NamesAccepted").filter(|c| text(c, "/status") == "False") {
        return stuck("its names are not accepted", message(refused));
    }
    match by_condition(live, "Established") {
        Some(Readiness::Ready) => Readiness::Ready,
        Some(_) | None => on_its_way("not served yet"),
    }
}

/// The versions (`v1`) in which a definition serves its kind.
pub fn served(definition: &Value) -> impl Iterator<Item = &str> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let is_served = |v: &&Value| v.get("served") != Some(&Value::Bool(false));
    versions.into_iter().flatten().filter(is_served).filter_map(|v| v.get("name")?.as_str())
}

fn budget(live: &Value) -> Readiness {
    if no_status(live) {
        return on_its_way("its controller has not seen it yet");
    }
    match condition(live, "DisruptionAllowed").filter(|c| text(c, "/reason") == "SyncFailed") {
        Some(failed) => stuck("not computed", message(failed)),
        None => Readiness::Ready,
    }
}

fn scaler(live: &Value) -> Readiness {
    let is_false = |sort: &str| condition(live, sort).filter(|c| text(c, "/status") == "False");
    if let Some(unable) = is_false("AbleToScale") {
        return stuck("cannot scale", message(unable));
    }
    match is_false("ScalingActive").filter(|c| text(c, "/reason") != "ScalingDisabled") {
        Some(idle) => on_its_way(format!("not scaling yet: {}", message(idle))),
        None => Readiness::Ready,
    }
}

/// What one condition says, if it is there and about the latest generation.
fn by_condition(live: &Value, sort: &str) -> Option<Readiness> {
    let found = condition(live, sort)?;
    let stale = matches!(
        (number(found, "/observedGeneration"), number(live, "/metadata/generation")),
        (Some(seen), Some(generation)) if seen < generation
    );
    Some(match text(found, "/status") {
        _ if stale => on_its_way("its controller has not seen the change yet"),
        "True" => Readiness::Ready,
        _ if message(found).is_empty() => on_its_way(format!("not {sort} yet")),
        _ => on_its_way(format!("not {sort} yet: {}", message(found))),
    })
}

/// A custom object, by the conditions that the field agrees on.
fn custom(live: &Value) -> Readiness {
    if let Some(stalled) = condition(live, "Stalled").filter(|c| text(c, "/status") == "True") {
        return stuck("stalled", message(stalled));
    }
    let verdict = ["Ready", "Available", "Established", "Healthy"].iter().find_map(|sort| by_condition(live, sort));
    let busy = condition(live, "Reconciling").filter(|c| text(c, "/status") == "True");
    match (verdict, busy) {
        (Some(Readiness::Ready) | None, Some(busy)) => on_its_way(message(busy)),
        (Some(verdict), _) => verdict,
        (None, None) => Readiness::Unknown,
    }
}

/// What a file may ask to be waited for, in kubectl's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFor {
    /// `condition=Synced`, `condition=Synced=False`: a condition has this status (default `True`).
    Condition {
        /// Its type.
        sort: String,
        /// `True`, `False` or `Unknown`.
        status: String,
    },
    /// `jsonpath={.status.phase}=Running`: a field has this text; without a text, it is there at all.
    Field {
        /// Its names from the root.
        path: Vec<String>,
        /// The text, if one is asked for.
        is: Option<String>,
    },
}

impl std::fmt::Display for WaitFor {
    /// As [`WaitFor::parse`] reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Condition { sort, status } => write!(f, "condition={sort}={status}"),
            Self::Field { path, is: Some(is) } => write!(f, "jsonpath={{.{}}}={is}", path.join(".")),
            Self::Field { path, is: None } => write!(f, "jsonpath={{.{}}}", path.join(".")),
        }
    }
}

impl WaitFor {
    /// Reads it; the error says what would do.
    pub fn parse(asked: &str) -> Result<Self, String> {
        let (how, rest) = asked.split_once('=').unwrap_or((asked, ""));
        match how {
            "condition" if !rest.is_empty() => {
                let (sort, status) = rest.split_once('=').unwrap_or((rest, "True"));
                let mut letters = status.chars();
                let status: String = letters
                    .next()
                    .map(|first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
                    .unwrap_or_default();
                match status.as_str() {
                    "True" | "False" | "Unknown" => Ok(Self::Condition { sort: sort.to_owned(), status }),
                    _ => Err(format!("a condition is True, False or Unknown, never {status:?}")),
                }
            }
            "jsonpath" => {
                let end = rest.find('}').ok_or("a path is written {.status.phase}")?;
                let inner = rest[..end].strip_prefix('{').ok_or("a path is written {.status.phase}")?;
                let path: Vec<String> = inner.trim_start_matches('.').split('.').map(str::to_owned).collect();
                if path.iter().any(|p| p.is_empty() || p.contains(['[', ']', '*', '?', '@'])) {
                    return Err("a path leads through fields only: {.status.phase}".to_owned());
                }
                let is = rest[end + 1..].strip_prefix('=').map(str::to_owned);
                Ok(Self::Field { path, is })
            }
            _ => Err("write condition=Ready or jsonpath={.status.phase}=Running".to_owned()),
        }
    }

    /// Whether a live object is what is asked for.
    pub fn check(&self, live: &Value) -> Readiness {
        if let Some(answer) = leaving(live).map(on_its_way).or_else(|| unseen(live)) {
            return answer;
        }
        match self {
            Self::Condition { sort, status } => match condition(live, sort) {
                None => on_its_way(format!("no condition {sort} yet")),
                Some(found) => match by_condition(live, sort) {
                    Some(answer) if status == "True" => answer,
                    Some(_) | None if text(found, "/status") == status => Readiness::Ready,
                    Some(_) | None => on_its_way(format!("{sort} is not {status} yet")),
                },
            },
            Self::Field { path, is } => {
                let found = path.iter().try_fold(live, |v, name| v.get(name)).filter(|v| !v.is_null());
                let shown = found.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
                match (shown, is) {
                    (Some(_), None) => Readiness::Ready,
                    (Some(shown), Some(is)) if shown == *is => Readiness::Ready,
                    (Some(shown), Some(_)) => on_its_way(format!("{} is {}", path.join("."), line(&shown))),
                    (None, _) => on_its_way(format!("no {} yet", path.join("."))),
                }
            }
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Progressing { says } => f.write_str(says),
            Self::Stuck { says, why } => write!(f, "{says}: {why}"),
            Self::Unknown => f.write_str("nothing tells whether it is ready"),
        }
    }
}

#[cfg(test)]
mod tests;
