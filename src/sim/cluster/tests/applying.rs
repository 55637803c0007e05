//! Server-side apply, as an API server does it.

use super::*;

#[test]
fn an_apply_books_exactly_what_it_sent() {
    story(|t| async move {
        let made = t.apply(&deployment("web", 3, "web:1")).await;
        let mine = entry(&made, "evenkeel").expect("an entry of ours");
        assert_eq!(text(mine, &["operation"]), "Apply");
        assert_eq!(text(mine, &["apiVersion"]), "apps/v1");
        assert!(text(mine, &["time"]).ends_with('Z'));
        assert_eq!(
            mine["fieldsV1"],
            json!({
                "f:metadata": { "f:labels": { "f:evenkeel.dev/stack": {} } },
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:template": {
                        "f:metadata": { "f:labels": { "f:app": {} } },
                        "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": { ".": {}, "f:image": {}, "f:name": {} } } },
                    },
                },
            })
        );
        assert_eq!(made["metadata"]["generation"], 1);
        assert!(!text(&made, &["metadata", "uid"]).is_empty());
    });
}

#[test]
fn applying_the_same_again_changes_nothing_not_even_a_revision() {
    story(|t| async move {
        let first = t.apply(&deployment("web", 3, "web:1")).await;
        t.wait(60).await;
        let live = t.look(&deployment("web", 3, "web:1")).await;
        let again = t.apply(&deployment("web", 3, "web:1")).await;
        assert_eq!(again["metadata"]["resourceVersion"], live["metadata"]["resourceVersion"]);
        assert_eq!(entry(&again, "evenkeel"), entry(&first, "evenkeel"), "its time neither");
    });
}

#[test]
fn a_value_that_another_changed_is_his_and_conflicts_until_it_is_taken() {
    story(|t| async move {
        let wish = deployment("web", 3, "web:1");
        t.apply(&wish).await;
        let patch = json!({ "spec": { "replicas": 5 } });
        let scaled = t.kube.patch(&which(&wish), &patch, "kubectl").await.unwrap();
        assert!(!holds(&scaled, "evenkeel", &["f:spec", "f:replicas"]));
        assert!(holds(&scaled, "kubectl", &["f:spec", "f:replicas"]));
        let refusal = t.try_apply("evenkeel", &wish).await.unwrap_err();
        assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Busy, "Conflict"));
        let [cause] = refusal.causes.as_slice() else { panic!("{refusal:?}") };
        assert_eq!(
            (cause.reason.as_str(), cause.field.as_str(), cause.message.as_str()),
            ("FieldManagerConflict", ".spec.replicas", "conflict with \"kubectl\" using apps/v1")
        );
        assert!(refusal.failure.says.contains("Apply failed with 1 conflict"), "{}", refusal.failure);
        let taken = t.force("evenkeel", &wish).await;
        assert_eq!(taken["spec"]["replicas"], 3);
        assert!(holds(&taken, "evenkeel", &["f:spec", "f:replicas"]));
        assert_eq!(entry(&taken, "kubectl"), None, "nothing is left of it");
    });
}

#[test]
fn a_value_set_back_by_hand_stays_his_and_is_held_by_both_after_an_apply() {
    story(|t| async move {
        let wish = deployment("web", 3, "web:1");
        t.apply(&wish).await;
        for replicas in [5, 3] {
            t.kube.patch(&which(&wish), &json!({ "spec": { "replicas": replicas } }), "kubectl").await.unwrap();
        }
        assert!(!holds(&t.look(&wish).await, "evenkeel", &["f:spec", "f:replicas"]));
        let both = t.apply(&wish).await;
        for manager in ["evenkeel", "kubectl"] {
            assert!(holds(&both, manager, &["f:spec", "f:replicas"]), "{manager}");
        }
    });
}

#[test]
fn what_is_no_longer_applied_goes_unless_another_holds_it_too() {
    story(|t| async move {
        t.apply(&config("a", json!({ "mine": "1", "shared": "2" }))).await;
        let theirs = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "default" }, "data": { "shared": "2", "theirs": "3" } });
        t.try_apply("other", &theirs).await.unwrap();
        let left = t.apply(&config("a", json!({}))).await;
        assert_eq!(left["data"], json!({ "shared": "2", "theirs": "3" }));
        assert!(!holds(&left, "evenkeel", &["f:data", "f:shared"]));
    });
}

#[test]
fn items_of_a_list_with_keys_are_held_one_by_one() {
    story(|t| async move {
        let mut wish = deployment("web", 1, "web:1");
        t.apply(&wish).await;
        let sidecar = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
            "spec": { "template": { "spec": { "containers": [{ "name": "side", "image": "side:1" }] } } },
        });
        t.try_apply("mesh", &sidecar).await.unwrap();
        wish["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:2");
        let live = t.apply(&wish).await;
        let images: Vec<&str> =
            items(&live, &["spec", "template", "spec", "containers"]).iter().map(|c| text(c, &["image"])).collect();
        assert_eq!(images, ["web:2", "side:1"]);
    });
}

#[test]
fn a_list_that_is_one_piece_is_replaced_whole() {
    story(|t| async move {
        let mut wish = deployment("web", 1, "web:1");
        wish["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["a", "b"]);
        t.apply(&wish).await;
        wish["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["b"]);
        let live = t.apply(&wish).await;
        assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["args"], json!(["b"]));
    });
}

#[test]
fn a_dry_run_answers_and_changes_nothing() {
    story(|t| async move {
        let wish = deployment("web", 3, "web:1");
        let how = How { manager: "evenkeel".into(), force: false };
        let would = t.kube.rehearse(&which(&wish), &wish, &how).await.unwrap();
        assert_eq!(would["spec"]["strategy"]["type"], "RollingUpdate", "with all that the server fills in");
        assert_eq!(t.find(&wish).await, None);
        let made = t.apply(&wish).await;
        let mut more = wish.clone();
        more["spec"]["replicas"] = json!(4);
        let would = t.kube.rehearse(&which(&more), &more, &how).await.unwrap();
        assert_eq!(would["spec"]["replicas"], 4);
        t.wait(1).await;
        assert_eq!(t.look(&wish).await["spec"], made["spec"]);
    });
}

#[test]
fn a_uid_or_a_revision_that_is_another_is_a_conflict() {
    story(|t| async move {
        let mut wish = config("a", json!({ "k": "1" }));
        wish["metadata"]["uid"] = json!("0000");
        assert_eq!(why(t.try_apply("evenkeel", &wish).await), (Class::Busy, "Conflict".into()), "there is none yet");
        let made = t.apply(&config("a", json!({ "k": "1" }))).await;
        assert_eq!(why(t.try_apply("evenkeel", &wish).await), (Class::Busy, "Conflict".into()));
        wish["metadata"]["uid"] = made["metadata"]["uid"].clone();
        wish["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
        wish["data"]["k"] = json!("2");
        t.apply(&wish).await;
        wish["data"]["k"] = json!("3");
        assert_eq!(why(t.try_apply("evenkeel", &wish).await), (Class::Busy, "Conflict".into()), "it moved on");
    });
}

#[test]
fn the_generation_counts_changes_of_the_wish_only() {
    story(|t| async move {
        let mut wish = deployment("web", 3, "web:1");
        t.apply(&wish).await;
        wish["metadata"]["labels"]["tier"] = json!("front");
        assert_eq!(t.apply(&wish).await["metadata"]["generation"], 1);
        wish["spec"]["replicas"] = json!(4);
        assert_eq!(t.apply(&wish).await["metadata"]["generation"], 2);
    });
}

#[test]
fn what_was_made_before_anybody_applied_belongs_to_before_first_apply() {
    story(|t| async move {
        t.sim
            .edit(|world| {
                let kube = world.cluster(super::super::DEFAULT);
                let name = super::super::named("", "ConfigMap", "default", "old");
                let mut body = config("old", json!({ "k": "1" }));
                body["metadata"]["uid"] = json!("u");
                kube.objects.insert(name, super::super::Object { due: None, body: super::super::Body(body) });
            })
            .unwrap();
        let refusal = t.try_apply("evenkeel", &config("old", json!({ "k": "2" }))).await.unwrap_err();
        assert_eq!(refusal.causes[0].message, "conflict with \"before-first-apply\" using v1");
    });
}
