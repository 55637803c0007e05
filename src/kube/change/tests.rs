//! Every changing method: exactly what goes out.

use evenkeel_core::failure::Class;
use evenkeel_kubernetes::api::{Cause, Cluster, Deletion, How, Propagation, Resource, Which};
use serde_json::json;

use crate::client::testing::{answering, only};

fn web() -> Which {
    let resource = Resource {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        plural: "deployments".into(),
        namespaced: true,
        verbs: vec![],
    };
    Which { resource, namespace: "shop".into(), name: "web".into() }
}

const PATH: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

#[tokio::test]
async fn an_apply_names_its_manager_and_takes_fields_only_when_told() {
    let body =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}});
    for (force, tail) in [(false, ""), (true, "&force=true")] {
        let (cluster, log) = answering([(201, r#"{"metadata":{"uid":"u1"}}"#)]);
        let how = How { manager: "evenkeel".into(), force };
        let object = cluster.apply(&web(), &body, &how).await.expect("an object");
        assert_eq!(object["metadata"]["uid"], "u1");
        let seen = only(&log);
        assert_eq!(seen.line, format!("PATCH {PATH}?fieldManager=evenkeel&fieldValidation=Strict{tail}"));
        assert_eq!(seen.headers["content-type"], "application/apply-patch+yaml");
        assert_eq!(seen.json(), body);
    }
}

#[tokio::test]
async fn a_conflict_comes_with_every_field_and_manager() {
    let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
        "message":"Apply failed with 2 conflicts: conflicts with \"kubectl\" using apps/v1:\n- .spec.replicas\n- .spec.paused",
        "reason":"Conflict","details":{"causes":[
            {"reason":"FieldManagerConflict","message":"conflict with \"kubectl\" using apps/v1","field":".spec.replicas"},
            {"reason":"FieldManagerConflict","message":"conflict with \"kubectl\" using apps/v1","field":".spec.paused"}]},
        "code":409}"#;
    let (cluster, _) = answering([(409, status)]);
    let how = How { manager: "evenkeel".into(), force: false };
    let refusal = cluster.apply(&web(), &json!({}), &how).await.expect_err("a conflict");
    assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Busy, "Conflict"));
    let cause = |field: &str| Cause {
        reason: "FieldManagerConflict".into(),
        field: field.into(),
        message: "conflict with \"kubectl\" using apps/v1".into(),
    };
    assert_eq!(refusal.causes, [cause(".spec.replicas"), cause(".spec.paused")]);
    assert!(refusal.failure.says.starts_with("apply Deployment.apps shop/web: Apply failed with 2 conflicts"));
    assert!(!refusal.failure.says.contains('\n'), "words stay on one line");
}

#[tokio::test]
async fn a_merge_patch_names_its_manager() {
    let (cluster, log) = answering([(200, "{}")]);
    let patch = json!({"metadata": {"labels": {"a": null}}});
    cluster.patch(&web(), &patch, "evenkeel").await.expect("an object");
    let seen = only(&log);
    assert_eq!(seen.line, format!("PATCH {PATH}?fieldManager=evenkeel&fieldValidation=Strict"));
    assert_eq!(seen.headers["content-type"], "application/merge-patch+json");
    assert_eq!(seen.json(), patch);
}

#[tokio::test]
async fn a_deletion_is_of_what_was_seen_and_of_nothing_else() {
    for (propagation, policy) in [(Propagation::Background, "Background"), (Propagation::Foreground, "Foreground")] {
        let (cluster, log) = answering([(200, r#"{"kind":"Status","status":"Success"}"#)]);
        let how = Deletion { uid: "u1".into(), propagation };
        cluster.delete(&web(), &how).await.expect("taken");
        let seen = only(&log);
        assert_eq!(seen.line, format!("DELETE {PATH}"));
        assert_eq!(seen.headers["content-type"], "application/json");
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "u1"},
            "propagationPolicy": policy,
        });
        assert_eq!(seen.json(), options);
    }
}

#[tokio::test]
async fn nothing_is_deleted_without_a_uid_or_a_name() {
    let (cluster, log) = answering([]);
    let how = |uid: &str| Deletion { uid: uid.into(), propagation: Propagation::Background };
    let refused = cluster.delete(&web(), &how("")).await.expect_err("no uid");
    assert_eq!(refused.failure.class, Class::Invalid);
    // This would be the deletion of every Deployment of the namespace.
    let all = Which { name: String::new(), ..web() };
    assert_eq!(cluster.delete(&all, &how("u1")).await.expect_err("no name").failure.class, Class::Invalid);
    assert!(log.lock().expect("no test panics here").is_empty(), "nothing is sent");
}

#[tokio::test]
async fn an_eviction_is_of_one_pod_and_a_budget_that_keeps_it_is_told_by_name() {
    let pods = Resource {
        api_version: "v1".into(),
        kind: "Pod".into(),
        plural: "pods".into(),
        namespaced: true,
        verbs: vec![],
    };
    let pod = Which { resource: pods, namespace: "shop".into(), name: "web-1".into() };
    let (cluster, log) = answering([(201, r#"{"kind":"Status","status":"Success"}"#)]);
    cluster.evict(&pod, "u1").await.expect("taken");
    let seen = only(&log);
    assert_eq!(seen.line, "POST /api/v1/namespaces/shop/pods/web-1/eviction");
    assert_eq!(seen.json()["deleteOptions"], json!({ "preconditions": { "uid": "u1" } }));
    assert_eq!(seen.json()["kind"], "Eviction");

    let kept = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
        "message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests",
        "details":{"causes":[{"reason":"DisruptionBudget",
        "message":"The disruption budget web needs 2 healthy pods and has 2 currently"}],"retryAfterSeconds":10},"code":429}"#;
    let (cluster, _) = answering([(429, kept)]);
    let refusal = cluster.evict(&pod, "u1").await.expect_err("a budget keeps it");
    assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Busy, "DisruptionBudget"));
    assert_eq!(refusal.causes[0].message, "The disruption budget web needs 2 healthy pods and has 2 currently");

    let two = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"InternalError","code":500,
        "message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}"#;
    let (cluster, log) = answering([(500, two)]);
    assert_eq!(cluster.evict(&pod, "u1").await.expect_err("two budgets").failure.class, Class::Invalid);
    assert_eq!(log.lock().expect("no test panics here").len(), 1);

    let (cluster, log) = answering([]);
    assert_eq!(cluster.evict(&pod, "").await.expect_err("no uid").failure.class, Class::Invalid);
    assert!(log.lock().expect("no test panics here").is_empty(), "nothing is sent");
}
