//! What the server refuses, and in which words.

use super::super::{Body, DEFAULT, Does, Webhook};
use super::*;

async fn causes(t: &Tale, wish: &Json) -> Vec<String> {
    let refusal = t.try_apply("evenkeel", wish).await.unwrap_err();
    assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Invalid, "Invalid"), "{refusal:?}");
    refusal.causes.into_iter().map(|c| format!("{} {}", c.reason, c.field)).collect()
}

#[test]
fn a_namespace_must_be_there_first() {
    story(|t| async move {
        let mut c = config("a", json!({}));
        c["metadata"]["namespace"] = json!("shop");
        let refusal = t.try_apply("evenkeel", &c).await.unwrap_err();
        assert_eq!(refusal.failure.class, Class::NotFound);
        assert!(refusal.failure.says.contains("namespaces \"shop\" not found"), "{}", refusal.failure);
        t.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })).await;
        t.apply(&c).await;
    });
}

#[test]
fn what_cannot_be_changed_is_refused_with_its_field() {
    story(|t| async move {
        let mut wish = deployment("web", 1, "web:1");
        t.apply(&wish).await;
        wish["spec"]["selector"]["matchLabels"] = json!({ "app": "other" });
        wish["spec"]["template"]["metadata"]["labels"] = json!({ "app": "other" });
        assert_eq!(causes(&t, &wish).await, ["FieldValueInvalid spec.selector"]);
        let role = |name: &str| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": { "name": "b", "namespace": "default" },
                "roleRef": { "kind": "Role", "name": name },
            })
        };
        t.apply(&role("a")).await;
        assert_eq!(causes(&t, &role("b")).await, ["FieldValueInvalid roleRef"]);
        let mut fixed = config("fixed", json!({ "k": "1" }));
        fixed["immutable"] = json!(true);
        t.apply(&fixed).await;
        fixed["data"]["k"] = json!("2");
        assert_eq!(causes(&t, &fixed).await, ["FieldValueForbidden data"]);
    });
}

#[test]
fn a_claim_grows_where_its_class_lets_it_and_never_shrinks() {
    story(|t| async move {
        let claim = |size: &str, class: &str| {
            json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": { "name": format!("data-{class}"), "namespace": "default" },
                "spec": { "storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
            })
        };
        t.apply(&claim("10Gi", "standard")).await;
        t.apply(&claim("20Gi", "standard")).await;
        let field = ["FieldValueForbidden spec.resources.requests.storage"];
        assert_eq!(causes(&t, &claim("10Gi", "standard")).await, field);
        t.apply(&claim("10Gi", "manual")).await;
        assert_eq!(causes(&t, &claim("20Gi", "manual")).await, field);
    });
}

#[test]
fn an_object_that_lacks_what_it_needs_is_refused_with_all_that_is_wrong() {
    story(|t| async move {
        let bare = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "Web_1", "namespace": "default" }, "spec": {} });
        assert_eq!(
            causes(&t, &bare).await,
            ["FieldValueInvalid metadata.name", "FieldValueRequired spec.selector", "FieldValueRequired spec.template"]
        );
        let mut wish = deployment("web", 1, "");
        wish["spec"]["template"]["metadata"]["labels"] = json!({ "app": "other" });
        assert_eq!(
            causes(&t, &wish).await,
            [
                "FieldValueInvalid spec.template.metadata.labels",
                "FieldValueRequired spec.template.spec.containers[0].image"
            ]
        );
        let mut wish = deployment("web", 1, "web:1");
        wish["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "much" } });
        assert_eq!(
            causes(&t, &wish).await,
            ["FieldValueInvalid spec.template.spec.containers[0].resources.requests.cpu"]
        );
    });
}

#[test]
fn an_apply_without_a_manager_is_refused_and_a_broken_law() {
    story(|t| async move {
        let refusal = t.try_apply("", &config("a", json!({}))).await.unwrap_err();
        assert_eq!(refusal.causes[0].field, "fieldManager");
        assert_eq!(t.sim.violations().len(), 1);
    });
}

#[test]
fn a_quota_that_is_used_up_refuses_one_more() {
    story(|t| async move {
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few", "namespace": "default" },
            "spec": { "hard": { "configmaps": "2", "requests.storage": "15Gi" } },
        });
        t.apply(&quota).await;
        t.apply(&config("a", json!({}))).await;
        let mut left = 0;
        let refusal = loop {
            match t.try_apply("evenkeel", &config(&format!("more-{left}"), json!({}))).await {
                Ok(_) => left += 1,
                Err(refusal) => break refusal,
            }
        };
        assert!(left < 2, "two at most in all");
        assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Quota, "Forbidden"));
        assert!(refusal.failure.says.contains("exceeded quota: few, requested: configmaps=1"), "{}", refusal.failure);
    });
}

#[test]
fn a_webhook_may_refuse_or_change_and_nobody_holds_what_it_changed() {
    story(|t| async move {
        let hook = |does: Does| Webhook { name: "policy.example.com".into(), kinds: vec!["ConfigMap".into()], does };
        let set = |does: Does| t.sim.edit(|w| w.cluster(DEFAULT).webhooks = vec![hook(does)]).unwrap();
        set(Does::Change(Body(json!({ "metadata": { "annotations": { "seen": "yes" } }, "data": { "k": "9" } }))));
        let made = t.apply(&config("a", json!({ "k": "1" }))).await;
        assert_eq!((&made["data"]["k"], &made["metadata"]["annotations"]["seen"]), (&json!("9"), &json!("yes")));
        assert!(holds(&made, "evenkeel", &["f:data", "f:k"]), "it is still ours, with another value");
        assert!(!holds(&made, "evenkeel", &["f:metadata", "f:annotations"]));
        set(Does::Refuse("no maps today".into()));
        let refusal = t.try_apply("evenkeel", &config("b", json!({}))).await.unwrap_err();
        assert!(
            refusal
                .failure
                .says
                .ends_with("admission webhook \"policy.example.com\" denied the request: no maps today")
        );
        t.apply(&service("s", 80)).await;
    });
}
