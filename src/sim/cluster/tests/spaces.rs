//! Namespaces, definitions, and what goes with what it belongs to.

use super::*;

fn space() -> Json {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop", "labels": { STACK: "7f3kq2x9" } } })
}

fn definition() -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": {
                        "type": "object", "required": ["size"],
                        "properties": {
                            "size": { "type": "integer" },
                            "color": { "type": "string", "default": "blue" },
                            "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                            "parts": {
                                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                                "items": { "type": "object", "properties": { "name": { "type": "string" }, "n": { "type": "integer" } } },
                            },
                        },
                    } },
                } },
            }],
        },
    })
}

fn widget(spec: Json) -> Json {
    json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "w", "namespace": "default" }, "spec": spec })
}

#[test]
fn a_namespace_goes_when_it_is_empty_and_says_what_holds_it() {
    story(|t| async move {
        t.apply(&space()).await;
        t.wait(1).await;
        assert_eq!(t.look(&space()).await["status"]["phase"], "Active");
        let mut held = config("held", json!({}));
        held["metadata"]["namespace"] = json!("shop");
        held["metadata"]["finalizers"] = json!(["example.com/wait"]);
        t.apply(&held).await;
        let mut web = deployment("web", 2, "web:1");
        web["metadata"]["namespace"] = json!("shop");
        t.apply(&web).await;
        t.wait(60).await;
        t.delete(&space()).await.unwrap();
        t.wait(60).await;
        let leaving = t.look(&space()).await;
        assert_eq!(leaving["status"]["phase"], "Terminating");
        let c = condition(&leaving, "NamespaceFinalizersRemaining").unwrap();
        assert!(text(c, &["message"]).contains("example.com/wait in 1 resource instances"), "{c}");
        assert_eq!(t.find(&web).await, None);
        let mut more = config("more", json!({}));
        more["metadata"]["namespace"] = json!("shop");
        assert_eq!(why(t.try_apply("evenkeel", &more).await), (Class::Busy, "NamespaceTerminating".into()));
        t.kube.patch(&which(&held), &json!({ "metadata": { "finalizers": null } }), "controller").await.unwrap();
        t.wait(30).await;
        assert_eq!(t.find(&space()).await, None);
    });
}

#[test]
fn a_custom_kind_is_served_a_moment_after_its_definition() {
    story(|t| async move {
        t.apply(&definition()).await;
        let wish = widget(json!({ "size": 3, "unknown": true, "free": { "any": [1] } }));
        assert_eq!(why(t.try_apply("evenkeel", &wish).await), (Class::Invalid, "NotServed".into()), "not yet");
        t.wait(5).await;
        let found = t.kube.discover().await.unwrap();
        let kind = found.resources.iter().find(|r| r.kind == "Widget").expect("it is served");
        assert_eq!((kind.plural.as_str(), kind.namespaced), ("widgets", true));
        let made = t.apply(&wish).await;
        assert_eq!(made["spec"], json!({ "size": 3, "color": "blue", "free": { "any": [1] } }), "pruned and filled in");
        assert!(!holds(&made, "evenkeel", &["f:spec", "f:color"]));
        let bad = t.try_apply("evenkeel", &widget(json!({ "size": "big" }))).await.unwrap_err();
        assert_eq!(bad.causes[0].field, "spec.size");
    });
}

#[test]
fn lists_of_a_custom_kind_are_what_its_schema_says() {
    story(|t| async move {
        t.apply(&definition()).await;
        t.wait(5).await;
        t.apply(&widget(json!({ "size": 1, "parts": [{ "name": "a", "n": 1 }] }))).await;
        let theirs = widget(json!({ "parts": [{ "name": "b", "n": 2 }] }));
        let both = t.try_apply("other", &theirs).await.unwrap();
        assert_eq!(both["spec"]["parts"], json!([{ "name": "a", "n": 1 }, { "name": "b", "n": 2 }]));
        assert!(holds(&both, "evenkeel", &["f:spec", "f:parts", "k:{\"name\":\"a\"}", "f:n"]));
    });
}

#[test]
fn a_definition_takes_its_objects_with_it() {
    story(|t| async move {
        t.apply(&definition()).await;
        t.wait(5).await;
        let wish = widget(json!({ "size": 1 }));
        t.apply(&wish).await;
        t.delete(&definition()).await.unwrap();
        t.wait(5).await;
        assert_eq!(t.find(&definition()).await, None);
        assert!(t.kube.discover().await.unwrap().resources.iter().all(|r| r.kind != "Widget"));
        t.apply(&definition()).await;
        t.wait(5).await;
        assert_eq!(t.find(&wish).await, None, "gone with the first");
    });
}

#[test]
fn in_the_background_an_owner_goes_first_and_in_the_foreground_last() {
    story(|t| async move {
        let wish = deployment("web", 2, "web:1");
        t.apply(&wish).await;
        t.wait(60).await;
        t.delete(&wish).await.unwrap();
        assert_eq!(t.find(&wish).await, None);
        assert_eq!(t.pods("web").await.len(), 2);
        t.wait(30).await;
        assert_eq!(t.pods("web").await.len(), 0);
        assert_eq!(t.names("apps/v1", "ReplicaSet").await.len(), 0);

        t.apply(&wish).await;
        t.wait(60).await;
        let how = Deletion { uid: String::new(), propagation: Propagation::Foreground };
        t.kube.delete(&which(&wish), &how).await.unwrap();
        let leaving = t.look(&wish).await;
        assert_eq!(leaving["metadata"]["finalizers"], json!(["foregroundDeletion"]));
        t.wait(30).await;
        assert_eq!(t.find(&wish).await, None);
        assert_eq!(t.pods("web").await.len(), 0);
    });
}
