//! Why a pod does not come up, read from its own status: a pull that fails, a crash, no room, a probe.
//!
//! One sentence in the field's words, the likeliest cause first. What only events tell (a volume that does not mount)
//! is not here.

use jiff::Timestamp;
use serde_json::Value;

use super::limits;

/// Why this pod is not ready, as far as its status tells.
pub fn pod_trouble(pod: &Value) -> Option<String> {
    let phase = text(pod, "/status/phase");
    if phase == "Succeeded" {
        return None;
    }
    scheduling(pod)
        .or_else(|| statuses(pod).find_map(|(_, s)| waiting(s)))
        .or_else(|| statuses(pod).find_map(|(_, s)| ended(s)))
        .or_else(|| (phase == "Failed").then(|| failed(pod)))
        .or_else(|| statuses(pod).find_map(|(init, s)| not_ready(pod, init, s)))
}

/// That a container runs again after it had ended, and how it ended. It is a fact of the past: [`pod_trouble`] has the
/// first word.
pub fn pod_restarts(pod: &Value) -> Option<String> {
    let again = |status: &Value| {
        let last = status.pointer("/lastState/terminated").filter(|_| status.pointer("/state/running").is_some())?;
        Some(format!(
            "container {} runs again after {}, last with {}",
            text(status, "/name"),
            restarts(status),
            end(last)
        ))
    };
    statuses(pod).find_map(|(_, status)| again(status))
}

/// The container whose last words tell most, and whether they stand in the log of its run before this one. One that
/// ended with an error comes before one that ended well.
pub fn last_run(pod: &Value) -> Option<(&str, bool)> {
    let runs = || {
        statuses(pod).flat_map(|(_, s)| {
            let of = |at: &str, before| Some((text(s, "/name"), before, s.pointer(at)?));
            [of("/state/terminated", false), of("/lastState/terminated", true)].into_iter().flatten()
        })
    };
    let failed = |(_, _, run): &(&str, bool, &Value)| run.get("exitCode").and_then(Value::as_i64) != Some(0);
    let (name, before, _) = runs().find(failed).or_else(|| runs().find(|(_, before, _)| *before))?;
    Some((name, before))
}

/// Why a set of pods cannot make its pods: a quota, an admission webhook, a missing account.
pub fn set_trouble(set: &Value) -> Option<String> {
    let failure = condition(set, "ReplicaFailure").filter(|c| text(c, "/status") == "True")?;
    Some(format!("pods cannot be made: {}", message(failure)))
}

/// What keeps an object's controller from making what the object is for, by its newest event of this reason; and when
/// that was.
pub fn event_trouble(events: &[Value], what: &str) -> Option<(Timestamp, String)> {
    let at = |event: &Value| {
        let times = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/metadata/creationTimestamp"];
        times.iter().find_map(|t| text(event, t).parse::<Timestamp>().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let newest = events.iter().max_by_key(|e| at(e))?;
    Some((at(newest), format!("{what} cannot be made: {}", line(text(newest, "/message")))))
}

/// Pods that tell how an object is, the likeliest first: those that stay, of its newest template where it says which,
/// the youngest before the others.
pub fn telling<'p>(object: &Value, pods: &'p [Value]) -> Vec<&'p Value> {
    let newest = text(object, "/status/updateRevision");
    let of_newest =
        |pod: &Value| !newest.is_empty() && text(pod, "/metadata/labels/controller-revision-hash") == newest;
    let stays = |pod: &&Value| pod.pointer("/metadata/deletionTimestamp").is_none_or(Value::is_null);
    let mut all: Vec<&Value> = pods.iter().filter(stays).collect();
    all.sort_by_key(|pod| (of_newest(pod), text(pod, "/metadata/creationTimestamp").to_owned()));
    all.reverse();
    all
}

/// The condition of a type.
pub(super) fn condition<'a>(object: &'a Value, sort: &str) -> Option<&'a Value> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array)?;
    all.iter().find(|c| text(c, "/type") == sort)
}

/// The text at a pointer; empty where there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A condition's message, else its reason; one line, not too long.
pub(super) fn message(condition: &Value) -> String {
    let (reason, message) = (text(condition, "/reason"), text(condition, "/message"));
    line(if message.is_empty() { reason } else { message })
}

/// One line of at most [`limits::MESSAGE`] characters.
pub(super) fn line(text: &str) -> String {
    let one: Vec<&str> = text.split_whitespace().collect();
    let one = one.join(" ");
    match one.char_indices().nth(limits::MESSAGE) {
        Some((end, _)) => format!("{}…", &one[..end]),
        None => one,
    }
}

fn scheduling(pod: &Value) -> Option<String> {
    let scheduled = condition(pod, "PodScheduled").filter(|c| text(c, "/status") == "False")?;
    Some(match text(scheduled, "/reason") {
        "SchedulingGated" => "held back by its scheduling gates".to_owned(),
        _ => format!("cannot be scheduled: {}", message(scheduled)),
    })
}

/// Every container's status, those that run first of all before the others; whether it is one of them.
fn statuses(pod: &Value) -> impl Iterator<Item = (bool, &Value)> {
    let of = |pointer: &str| pod.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let init = of("/status/initContainerStatuses").map(|s| (true, s));
    init.chain(of("/status/containerStatuses").map(|s| (false, s)))
}

fn waiting(status: &Value) -> Option<String> {
    let state = status.pointer("/state/waiting")?;
    let (name, said) = (text(status, "/name"), line(text(state, "/message")));
    let with = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    match text(state, "/reason") {
        reason @ ("ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "SignatureValidationFailed") => {
            Some(with(format!("image {} of {name} cannot be pulled ({reason})", line(text(status, "/image")))))
        }
        "InvalidImageName" => Some(format!("image {} of {name} has no valid name", line(text(status, "/image")))),
        reason @ ("ErrImageNeverPull" | "ImageInspectError") => {
            Some(with(format!("image {} of {name} cannot be used ({reason})", line(text(status, "/image")))))
        }
        "CrashLoopBackOff" => Some(crash(status)),
        "" | "ContainerCreating" | "PodInitializing" => None,
        reason => Some(with(format!("container {name} cannot start ({})", line(reason)))),
    }
}

/// A container that keeps ending.
fn crash(status: &Value) -> String {
    let last = status.pointer("/lastState/terminated").map(end);
    let how = last.map_or(String::new(), |last| format!(", last with {last}"));
    format!("container {} keeps crashing: {}{how}", text(status, "/name"), restarts(status))
}

/// `1 restart`, `4 restarts`
fn restarts(status: &Value) -> String {
    match status.get("restartCount").and_then(Value::as_u64).unwrap_or(0) {
        1 => "1 restart".to_owned(),
        n => format!("{n} restarts"),
    }
}

/// How a container ended: `exit code 137 (OOMKilled): message`.
fn end(terminated: &Value) -> String {
    let code = terminated.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    let reason = match text(terminated, "/reason") {
        "" | "Error" | "Completed" => String::new(),
        reason => format!(" ({})", line(reason)),
    };
    let said = line(text(terminated, "/message"));
    let said = if said.is_empty() { said } else { format!(": {said}") };
    format!("exit code {code}{reason}{said}")
}

fn ended(status: &Value) -> Option<String> {
    let terminated = status.pointer("/state/terminated")?;
    let code = terminated.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    (code != 0).then(|| format!("container {} ended with {}", text(status, "/name"), end(terminated)))
}

fn failed(pod: &Value) -> String {
    let (reason, message) = (line(text(pod, "/status/reason")), line(text(pod, "/status/message")));
    match (reason.is_empty(), message.is_empty()) {
        (true, true) => "failed".to_owned(),
        (false, true) => format!("failed: {reason}"),
        (true, false) => format!("failed: {message}"),
        (false, false) => format!("failed ({reason}): {message}"),
    }
}

/// A container that runs and is not ready: only a probe can say so.
fn not_ready(pod: &Value, init: bool, status: &Value) -> Option<String> {
    status.pointer("/state/running")?;
    let list = if init { "/spec/initContainers" } else { "/spec/containers" };
    let name = text(status, "/name");
    let spec = pod.pointer(list).and_then(Value::as_array)?.iter().find(|c| text(c, "/name") == name)?;
    let is = |field: &str| status.get(field).and_then(Value::as_bool);
    let probe = if is("started") == Some(false) && spec.get("startupProbe").is_some() {
        "startup"
    } else if !init && is("ready") == Some(false) && spec.get("readinessProbe").is_some() {
        "readiness"
    } else {
        return None;
    };
    let last =
        status.pointer("/lastState/terminated").map_or(String::new(), |last| format!(" (last with {})", end(last)));
    let started = status.get("restartCount").and_then(Value::as_u64).filter(|n| *n > 0);
    let after = started.map_or(String::new(), |_| format!(" after {}{last}", restarts(status)));
    Some(format!("container {name} runs{after}, its {probe} probe does not pass"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "spec": {
                "initContainers": [{"name": "setup"}],
                "containers": [{"name": "web", "readinessProbe": {}, "startupProbe": {}}, {"name": "log"}],
            },
            "status": status,
        })
    }

    fn web(state: Value) -> Value {
        let mut status = json!({"name": "web", "image": "registry.example/web:1", "ready": false, "restartCount": 4});
        status.as_object_mut().expect("a table").extend(state.as_object().expect("a table").clone());
        pod(json!({"phase": "Running", "containerStatuses": [{"name": "log", "state": {"running": {}}}, status]}))
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({"state": {"waiting": {"reason": reason, "message": message}}})
    }

    #[test]
    fn each_trouble_is_one_sentence() {
        let scheduler = "0/3 nodes are available: 3 Insufficient cpu.";
        let unschedulable =
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": scheduler}]);
        let gated = json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "m"}]);
        let terminated = json!({"exitCode": 137, "reason": "OOMKilled"});
        for (pod, says) in [
            (
                pod(json!({"phase": "Pending", "conditions": unschedulable})),
                "cannot be scheduled: 0/3 nodes are available: 3 Insufficient cpu.",
            ),
            (pod(json!({"phase": "Pending", "conditions": gated})), "held back by its scheduling gates"),
            (
                web(waiting("ImagePullBackOff", "Back-off pulling image")),
                "image registry.example/web:1 of web cannot be pulled (ImagePullBackOff): Back-off pulling image",
            ),
            (web(waiting("InvalidImageName", "x")), "image registry.example/web:1 of web has no valid name"),
            (
                web(waiting("CreateContainerConfigError", "secret \"db\" not found")),
                "container web cannot start (CreateContainerConfigError): secret \"db\" not found",
            ),
            (
                web(json!({
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
                    "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": "no\n database"}},
                })),
                "container web keeps crashing: 4 restarts, last with exit code 3: no database",
            ),
            (
                web(
                    json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": terminated}}),
                ),
                "container web keeps crashing: 4 restarts, last with exit code 137 (OOMKilled)",
            ),
            (web(json!({"state": {"terminated": {"exitCode": 1}}})), "container web ended with exit code 1"),
            (
                web(json!({"state": {"running": {}}, "started": false})),
                "container web runs after 4 restarts, its startup probe does not pass",
            ),
            (
                web(json!({"state": {"running": {}}, "started": true})),
                "container web runs after 4 restarts, its readiness probe does not pass",
            ),
            (
                pod(json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."})),
                "failed (Evicted): The node was low on memory.",
            ),
        ] {
            assert_eq!(pod_trouble(&pod).as_deref(), Some(says));
        }
    }

    #[test]
    fn a_container_that_runs_again_is_told_with_how_it_ended() {
        let ended = |code: i64| json!({"terminated": {"exitCode": code, "message": "no database"}});
        let again =
            |ready: bool| json!({"ready": ready, "started": true, "state": {"running": {}}, "lastState": ended(4)});
        let says = "container web runs again after 4 restarts, last with exit code 4: no database";
        assert_eq!(pod_restarts(&web(again(true))).as_deref(), Some(says));
        assert_eq!(pod_restarts(&web(json!({"state": {"running": {}}}))), None, "it never ended");
        let says = "container web runs after 4 restarts (last with exit code 4: no database), its readiness probe does not pass";
        assert_eq!(pod_trouble(&web(again(false))).as_deref(), Some(says));
    }

    #[test]
    fn the_last_words_are_those_of_the_run_that_failed() {
        let ended = |code: i64| json!({"terminated": {"exitCode": code}});
        let status = |name: &str, state: Value, last: Value| json!({"name": name, "state": state, "lastState": last});
        let running = || json!({"running": {}});
        for (init, web, is) in [
            (ended(0), status("web", ended(1), ended(2)), Some(("web", false))),
            (ended(0), status("web", running(), ended(2)), Some(("web", true))),
            (ended(0), status("web", running(), ended(0)), Some(("web", true))),
            (ended(0), status("web", running(), json!({})), None),
            (ended(1), status("web", json!({"waiting": {}}), json!({})), Some(("setup", false))),
        ] {
            let pod = pod(json!({
                "initContainerStatuses": [status("setup", init, json!({}))], "containerStatuses": [web],
            }));
            assert_eq!(last_run(&pod), is, "{pod}");
        }
    }

    #[test]
    fn a_container_that_runs_before_the_others_comes_first() {
        let crash = json!({"name": "setup", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}});
        let later = json!({"name": "web", "state": {"waiting": {"reason": "PodInitializing"}}});
        let pod = pod(json!({"phase": "Pending", "initContainerStatuses": [crash], "containerStatuses": [later]}));
        assert_eq!(pod_trouble(&pod).as_deref(), Some("container setup keeps crashing: 2 restarts"));
    }

    #[test]
    fn a_pod_on_its_way_has_no_trouble() {
        for pod in [
            web(waiting("ContainerCreating", "")),
            web(json!({"ready": true, "state": {"running": {}}})),
            pod(
                json!({"phase": "Succeeded", "containerStatuses": [{"name": "web", "state": {"terminated": {"exitCode": 0}}}]}),
            ),
            pod(json!({})),
            json!("x"),
        ] {
            assert_eq!(pod_trouble(&pod), None);
        }
    }

    #[test]
    fn the_newest_event_tells_why_nothing_can_be_made() {
        let event = |field: &str, at: &str, says: &str| json!({ field: at, "message": says });
        let all = [
            event("lastTimestamp", "2026-01-02T00:00:00Z", "no\n account"),
            event("eventTime", "2026-01-03T00:00:00.000000Z", "exceeded quota: few"),
            event("lastTimestamp", "2026-01-01T00:00:00Z", "old"),
        ];
        let (at, says) = event_trouble(&all, "pods").expect("one of them");
        assert_eq!(
            (at.to_string().as_str(), says.as_str()),
            ("2026-01-03T00:00:00Z", "pods cannot be made: exceeded quota: few")
        );
        assert_eq!(event_trouble(&[], "pods"), None);
    }

    #[test]
    fn the_youngest_pod_of_the_newest_template_tells_first_and_one_that_goes_never() {
        let pod = |name: &str, revision: &str, made: &str| json!({"metadata": {"name": name, "creationTimestamp": made, "labels": {"controller-revision-hash": revision}}});
        let mut going = pod("going", "new", "2026-01-09T00:00:00Z");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-09T00:00:01Z");
        let pods = [
            pod("old", "old", "2026-01-05T00:00:00Z"),
            pod("first", "new", "2026-01-02T00:00:00Z"),
            going,
            pod("second", "new", "2026-01-03T00:00:00Z"),
        ];
        let names = |object: Value| -> Vec<String> {
            telling(&object, &pods).iter().map(|p| text(p, "/metadata/name").to_owned()).collect()
        };
        assert_eq!(names(json!({"status": {"updateRevision": "new"}})), ["second", "first", "old"]);
        assert_eq!(names(json!({})), ["old", "second", "first"]);
    }

    #[test]
    fn a_quota_is_read_from_the_set() {
        let says = "pods \"web-1\" is forbidden: exceeded quota: small";
        let failure = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": says});
        let set = json!({"kind": "ReplicaSet", "status": {"conditions": [failure]}});
        assert_eq!(set_trouble(&set), Some(format!("pods cannot be made: {says}")));
        assert_eq!(set_trouble(&json!({})), None);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = line(&"ä".repeat(limits::MESSAGE + 1));
        assert_eq!(cut.chars().count(), limits::MESSAGE + 1);
        assert!(cut.ends_with('…'));
    }
}
