//! What the server fills in, and how it writes what it was given.

use super::*;

#[test]
fn a_deployment_is_filled_in_and_nobody_holds_what_was() {
    story(|t| async move {
        let made = t.apply(&deployment("web", 3, "web:1")).await;
        let spec = &made["spec"];
        assert_eq!(
            spec["strategy"],
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } })
        );
        assert_eq!((&spec["revisionHistoryLimit"], &spec["progressDeadlineSeconds"]), (&json!(10), &json!(600)));
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Always");
        assert_eq!(pod["securityContext"], json!({}));
        let container = &pod["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["resources"], json!({}));
        assert_eq!(items(&made, &["metadata", "managedFields"]).len(), 1);
        assert!(!holds(&made, "evenkeel", &["f:spec", "f:strategy"]));
    });
}

#[test]
fn an_image_without_a_tag_is_pulled_always() {
    story(|t| async move {
        for (image, policy) in [
            ("web", "Always"),
            ("web:latest", "Always"),
            ("registry:5000/web", "Always"),
            ("registry:5000/web:2", "IfNotPresent"),
            ("web@sha256:00", "IfNotPresent"),
        ] {
            let made = t.force("evenkeel", &deployment("web", 1, image)).await;
            let container = &made["spec"]["template"]["spec"]["containers"][0];
            // A default that was filled in once stays.
            t.delete(&deployment("web", 1, image)).await.unwrap();
            assert_eq!(container["imagePullPolicy"], policy, "{image}");
            t.wait(60).await;
        }
    });
}

#[test]
fn quantities_have_one_form_and_applying_another_is_no_change() {
    story(|t| async move {
        let mut wish = deployment("web", 1, "web:1");
        wish["spec"]["template"]["spec"]["containers"][0]["resources"] =
            json!({ "requests": { "cpu": "1000m", "memory": "1024Mi" }, "limits": { "cpu": 2 } });
        let made = t.apply(&wish).await;
        let resources = &made["spec"]["template"]["spec"]["containers"][0]["resources"];
        assert_eq!(resources, &json!({ "requests": { "cpu": "1", "memory": "1Gi" }, "limits": { "cpu": "2" } }));
        let live = t.look(&wish).await;
        t.wait(5).await;
        let again = t.apply(&wish).await;
        assert_eq!(again["metadata"]["generation"], live["metadata"]["generation"]);
        assert_eq!(entry(&again, "evenkeel"), entry(&live, "evenkeel"));
    });
}

#[test]
fn a_service_gets_an_address_of_its_own_and_keeps_it() {
    story(|t| async move {
        let a = t.apply(&service("a", 80)).await;
        let b = t.apply(&service("b", 80)).await;
        let ip = |s: &Json| text(s, &["spec", "clusterIP"]).to_owned();
        assert!(ip(&a).starts_with("10.96.") && ip(&a) != ip(&b));
        assert_eq!(a["spec"]["clusterIPs"], json!([ip(&a)]));
        assert_eq!(a["spec"]["ports"], json!([{ "port": 80, "protocol": "TCP", "targetPort": 80 }]));
        let changed = t.apply(&service("a", 81)).await;
        assert_eq!(ip(&changed), ip(&a));
        assert_eq!(items(&changed, &["spec", "ports"]).len(), 1, "the old port was ours");
        let mut ports = service("c", 80);
        ports["spec"]["type"] = json!("NodePort");
        let c = t.apply(&ports).await;
        assert!(c["spec"]["ports"][0]["nodePort"].as_i64().is_some_and(|p| (30_000..32_768).contains(&p)));
    });
}

#[test]
fn a_secrets_plain_text_becomes_data() {
    story(|t| async move {
        let wish = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "default" },
            "stringData": { "password": "hunter2" },
        });
        let made = t.apply(&wish).await;
        assert_eq!(made["data"], json!({ "password": "aHVudGVyMg==" }));
        assert_eq!(made.get("stringData"), None);
        assert_eq!(made["type"], "Opaque");
    });
}

#[test]
fn empty_tables_and_lists_are_not_kept() {
    story(|t| async move {
        let mut wish = deployment("web", 1, "web:1");
        wish["metadata"]["annotations"] = json!({});
        wish["spec"]["template"]["spec"]["nodeSelector"] = json!({});
        wish["spec"]["template"]["spec"]["containers"][0]["env"] = json!([]);
        wish["spec"]["template"]["spec"]["hostNetwork"] = json!(false);
        wish["spec"]["paused"] = Json::Null;
        let made = t.apply(&wish).await;
        let pod = &made["spec"]["template"]["spec"];
        assert_eq!(made["metadata"].get("annotations"), None);
        assert_eq!((pod.get("nodeSelector"), pod.get("hostNetwork")), (None, None));
        assert_eq!(pod["containers"][0].get("env"), None);
    });
}
