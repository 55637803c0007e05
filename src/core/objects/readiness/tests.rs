//! Each kind's own status, as its controller writes it.

use serde_json::json;

use super::*;

fn object(api_version: &str, kind: &str, spec: Value, status: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": status})
}

fn says(live: &Value) -> String {
    let word = match readiness(live) {
        Readiness::Ready => return "ready".to_owned(),
        Readiness::Unknown => return "unknown".to_owned(),
        Readiness::Progressing { .. } => "waits",
        Readiness::Stuck { .. } => "stuck",
    };
    format!("{word}: {}", readiness(live))
}

fn deployment(status: Value) -> Value {
    object("apps/v1", "Deployment", json!({"replicas": 3}), status)
}

#[test]
fn a_deployment_is_followed_to_its_last_pod() {
    let status = |updated: u32, total: u32, ready: u32, available: u32| {
        deployment(json!({
            "observedGeneration": 2, "replicas": total, "updatedReplicas": updated, "readyReplicas": ready,
            "availableReplicas": available,
        }))
    };
    assert_eq!(says(&deployment(json!({}))), "waits: its controller has not seen it yet");
    let old = deployment(json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}));
    assert_eq!(says(&old), "waits: its controller has not seen the change yet");
    assert_eq!(says(&status(1, 4, 3, 3)), "waits: 1 of 3 updated");
    assert_eq!(says(&status(3, 3, 2, 2)), "waits: 2 of 3 ready");
    assert_eq!(says(&status(3, 3, 3, 2)), "waits: 2 of 3 available");
    assert_eq!(says(&status(3, 4, 3, 3)), "waits: 1 old pods still there");
    assert_eq!(says(&status(3, 3, 3, 3)), "ready");
    let none = object("apps/v1", "Deployment", json!({"replicas": 0}), json!({"observedGeneration": 2}));
    assert_eq!(says(&none), "ready");
}

#[test]
fn a_deployment_that_gets_no_further_says_why() {
    let with = |conditions: Value| {
        deployment(json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "conditions": conditions}))
    };
    let deadline = "ReplicaSet \"web-1\" has timed out progressing.";
    let late =
        json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": deadline}]);
    assert_eq!(says(&with(late)), format!("stuck: 1 of 3 updated: {deadline}"));
    let quota = json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}]);
    assert_eq!(says(&with(quota)), "stuck: 1 of 3 updated: pods cannot be made: exceeded quota: small");
    let mut paused = with(json!([]));
    paused["spec"]["paused"] = json!(true);
    assert_eq!(says(&paused), "stuck: 1 of 3 updated: its roll-out is paused");
}

#[test]
fn a_stateful_set_keeps_what_its_partition_keeps() {
    let set = |strategy: Value, status: Value| {
        let mut all =
            json!({"observedGeneration": 2, "currentRevision": "a", "updateRevision": "b", "readyReplicas": 3});
        all.as_object_mut().expect("a table").extend(status.as_object().expect("a table").clone());
        object("apps/v1", "StatefulSet", json!({"replicas": 3, "updateStrategy": strategy}), all)
    };
    let rolling = json!({"type": "RollingUpdate"});
    assert_eq!(says(&set(rolling.clone(), json!({"updatedReplicas": 1}))), "waits: 1 of 3 updated");
    assert_eq!(says(&set(rolling.clone(), json!({"updatedReplicas": 3}))), "ready");
    assert_eq!(says(&set(rolling.clone(), json!({"currentRevision": "b", "updatedReplicas": 0}))), "ready");
    assert_eq!(says(&set(rolling.clone(), json!({"currentRevision": "b", "readyReplicas": 2}))), "waits: 2 of 3 ready");
    assert_eq!(says(&set(rolling, json!({"currentRevision": "b", "availableReplicas": 1}))), "waits: 1 of 3 available");
    let kept = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    assert_eq!(says(&set(kept, json!({"updatedReplicas": 1}))), "ready");
    assert_eq!(says(&set(json!({"type": "OnDelete"}), json!({}))), "ready");
}

#[test]
fn a_daemon_set_counts_what_its_controller_wants() {
    let set = |status: Value| object("apps/v1", "DaemonSet", json!({}), status);
    let mut status = json!({
        "observedGeneration": 2, "desiredNumberScheduled": 4, "updatedNumberScheduled": 3, "numberReady": 4,
        "numberAvailable": 4,
    });
    assert_eq!(says(&set(status.clone())), "waits: 3 of 4 updated");
    status["updatedNumberScheduled"] = json!(4);
    assert_eq!(says(&set(status.clone())), "ready");
    status["numberAvailable"] = json!(1);
    assert_eq!(says(&set(status)), "waits: 1 of 4 available");
}

#[test]
fn a_job_ends_one_way_or_the_other() {
    let job = |status: Value| object("batch/v1", "Job", json!({"completions": 3}), status);
    let condition =
        |sort: &str| json!([{"type": sort, "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]);
    assert_eq!(says(&job(json!({"active": 1, "succeeded": 1, "failed": 2}))), "waits: 1 of 3 succeeded, 2 failed");
    assert_eq!(says(&job(json!({"succeeded": 3, "conditions": condition("Complete")}))), "ready");
    assert_eq!(says(&job(json!({"conditions": condition("Failed")}))), "stuck: 0 of 3 succeeded: m");
    assert_eq!(says(&object("batch/v1", "Job", json!({"suspend": true}), json!({}))), "ready");
    assert_eq!(says(&object("batch/v1", "CronJob", json!({"schedule": "@daily"}), json!({}))), "ready");
}

#[test]
fn other_kinds_by_their_own_status() {
    let condition =
        |sort: &str, status: &str| json!({"conditions": [{"type": sort, "status": status, "message": "m"}]});
    let balanced = json!({"type": "LoadBalancer"});
    for (live, answer) in [
        (object("v1", "ConfigMap", json!({}), json!(null)), "ready"),
        (object("v1", "Service", json!({"type": "ClusterIP"}), json!({"loadBalancer": {}})), "ready"),
        (
            object("v1", "Service", balanced.clone(), json!({"loadBalancer": {}})),
            "waits: its load balancer has no address yet",
        ),
        (object("v1", "Service", balanced, json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})), "ready"),
        (object("v1", "PersistentVolumeClaim", json!({}), json!({"phase": "Pending"})), "waits: not bound yet"),
        (object("v1", "PersistentVolumeClaim", json!({}), json!({"phase": "Bound"})), "ready"),
        (
            object("v1", "PersistentVolumeClaim", json!({}), json!({"phase": "Lost"})),
            "stuck: lost: the volume that it was bound to is gone",
        ),
        (object("v1", "PersistentVolume", json!({}), json!({"phase": "Available"})), "ready"),
        (
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), condition("Established", "True")),
            "ready",
        ),
        (
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}), json!({"conditions": []})),
            "waits: not served yet",
        ),
        (
            object(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({}),
                condition("NamesAccepted", "False"),
            ),
            "stuck: its names are not accepted: m",
        ),
        (
            object("apiregistration.k8s.io/v1", "APIService", json!({}), condition("Available", "False")),
            "waits: not Available yet: m",
        ),
        (object("policy/v1", "PodDisruptionBudget", json!({}), json!({"observedGeneration": 2})), "ready"),
        (
            object("autoscaling/v2", "HorizontalPodAutoscaler", json!({}), condition("AbleToScale", "False")),
            "stuck: cannot scale: m",
        ),
        (
            object("autoscaling/v2", "HorizontalPodAutoscaler", json!({}), condition("ScalingActive", "False")),
            "waits: not scaling yet: m",
        ),
        (object("v1", "Node", json!({}), condition("Ready", "Unknown")), "waits: not Ready yet: m"),
        (
            object(
                "v1",
                "Pod",
                json!({}),
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            ),
            "ready",
        ),
        (object("v1", "Pod", json!({}), json!({"phase": "Pending"})), "waits: starting"),
    ] {
        assert_eq!(says(&live), answer, "{}", live["kind"]);
    }
}

#[test]
fn a_claim_may_only_wait_for_its_first_pod() {
    let claim = |phase: &str| {
        object("v1", "PersistentVolumeClaim", json!({"storageClassName": "fast"}), json!({"phase": phase}))
    };
    let waits = claim("Pending");
    assert_eq!(class_of(&waits), Some("fast"));
    assert_eq!(class_of(&claim("Bound")), None, "its class has nothing to say any more");
    assert_eq!(class_of(&object("v1", "Pod", json!({}), json!({}))), None);
    assert_eq!(unbound(&waits, Some("WaitForFirstConsumer")), Readiness::Ready);
    let says = "not bound yet: its class fast has made no volume".to_owned();
    assert_eq!(unbound(&waits, Some("Immediate")), Readiness::Progressing { says });
    assert_eq!(unbound(&waits, None), Readiness::Unknown, "nobody may ever make a volume for it");
}

#[test]
fn a_definition_serves_the_versions_that_it_says_so_of() {
    let versions =
        json!([{"name": "v1", "served": true}, {"name": "v2", "served": false}, {"name": "v3", "served": true}]);
    let definition =
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({"versions": versions}), json!({}));
    assert_eq!(served(&definition).collect::<Vec<_>>(), ["v1", "v3"]);
}

#[test]
fn what_is_being_deleted_names_what_it_waits_for() {
    let mut live = deployment(json!({"observedGeneration": 2}));
    live["metadata"]["deletionTimestamp"] = json!("2026-11-24T10:00:00Z");
    assert_eq!(says(&live), "waits: is being deleted");
    live["metadata"]["finalizers"] = json!(["x.io/hold"]);
    assert_eq!(says(&live), "waits: is being deleted, waits for finalizer x.io/hold");
    let conditions = json!([{"type": "NamespaceContentRemaining", "status": "True", "message": "2 pods left"}]);
    live["kind"] = json!("Namespace");
    live["status"] = json!({"conditions": conditions});
    assert_eq!(says(&live), "waits: is being deleted: 2 pods left");
}

#[test]
fn custom_objects_follow_the_conditions_that_the_field_agrees_on() {
    let thing = |conditions: Value| object("x.io/v1", "Thing", json!({}), json!({"conditions": conditions}));
    let one = |sort: &str, status: &str| json!({"type": sort, "status": status, "message": "m"});
    assert_eq!(says(&thing(json!([one("Ready", "True")]))), "ready");
    assert_eq!(says(&thing(json!([one("Ready", "False")]))), "waits: not Ready yet: m");
    assert_eq!(says(&thing(json!([one("Available", "True")]))), "ready");
    assert_eq!(says(&thing(json!([one("Stalled", "True"), one("Ready", "False")]))), "stuck: stalled: m");
    assert_eq!(says(&thing(json!([one("Reconciling", "True")]))), "waits: m");
    assert_eq!(says(&thing(json!([]))), "unknown");
    let mut stale = one("Ready", "True");
    stale["observedGeneration"] = json!(1);
    assert_eq!(says(&thing(json!([stale]))), "waits: its controller has not seen the change yet");
}

#[test]
fn a_file_may_ask_for_a_condition_or_a_field_in_kubectls_words() {
    let live = object(
        "x.io/v1",
        "Thing",
        json!({}),
        json!({"phase": "Running", "conditions": [
        {"type": "Synced", "status": "True"}, {"type": "Degraded", "status": "False"}]}),
    );
    let check = |asked: &str| WaitFor::parse(asked).map(|w| w.check(&live).to_string());
    for (asked, answer) in [
        ("condition=Synced", "ready"),
        ("condition=Synced=true", "ready"),
        ("condition=Degraded=False", "ready"),
        ("condition=Degraded", "not Degraded yet"),
        ("condition=Synced=False", "Synced is not False yet"),
        ("condition=Other", "no condition Other yet"),
        ("jsonpath={.status.phase}=Running", "ready"),
        ("jsonpath={.status.phase}", "ready"),
        ("jsonpath={.status.phase}=Done", "status.phase is Running"),
        ("jsonpath={.status.other}=Done", "no status.other yet"),
    ] {
        assert_eq!(check(asked).as_deref(), Ok(answer), "{asked}");
    }
    for bad in [
        "",
        "condition",
        "condition=",
        "condition=A=maybe",
        "condition=A=",
        "jsonpath=status",
        "jsonpath={.a[0]}",
        "delete",
    ] {
        assert!(WaitFor::parse(bad).is_err(), "{bad}");
    }
}
