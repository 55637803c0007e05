//! What hands do in a cluster, and whose they are seen to be.

use super::super::{Body, DEFAULT, Hand};
use super::*;
use crate::ops::Deed;

impl Tale {
    fn does(&self, hand: Hand) {
        let deed = Deed::Kubernetes { cluster: DEFAULT.into(), hand };
        self.sim.act(&deed).unwrap_or_else(|no| panic!("{deed:?}: {no}"));
    }

    fn cannot(&self, hand: Hand) -> String {
        let deed = Deed::Kubernetes { cluster: DEFAULT.into(), hand };
        self.sim.act(&deed).expect_err("it should have been refused").to_string()
    }
}

#[test]
fn each_hand_leaves_the_name_that_kubectl_leaves() {
    story(|t| async move {
        let wish = deployment("web", 3, "web:1");
        t.apply(&wish).await;
        let object = || "deploy/web".to_owned();
        t.does(Hand::Scale { object: object(), replicas: 5 });
        t.does(Hand::SetImage { object: object(), container: None, image: "web:9".into() });
        t.does(Hand::Label { object: object(), key: "tier".into(), value: Some("front".into()) });
        t.does(Hand::Annotate { object: object(), key: "note".into(), value: Some("hi".into()) });
        t.does(Hand::Edit {
            object: "Deployment.apps/default/web".into(),
            patch: Body(json!({ "spec": { "paused": true } })),
        });
        let live = t.look(&wish).await;
        let scaled = entry(&live, "kubectl").unwrap();
        assert_eq!((&scaled["subresource"], scaled.get("time")), (&json!("scale"), None), "as the real server has it");
        assert!(entry(&live, "kubectl-set").unwrap()["time"].is_string());
        for (manager, path) in [
            ("kubectl", vec!["f:spec", "f:replicas"]),
            ("kubectl-set", vec!["f:spec", "f:template", "f:spec", "f:containers", "k:{\"name\":\"main\"}", "f:image"]),
            ("kubectl-label", vec!["f:metadata", "f:labels", "f:tier"]),
            ("kubectl-annotate", vec!["f:metadata", "f:annotations", "f:note"]),
            ("kubectl-edit", vec!["f:spec", "f:paused"]),
        ] {
            assert!(holds(&live, manager, &path), "{manager} {path:?}");
            assert!(!holds(&live, "evenkeel", &path), "{path:?}");
        }
        let refusal = t.try_apply("evenkeel", &wish).await.unwrap_err();
        let said: Vec<&str> = refusal.causes.iter().map(|c| c.message.as_str()).collect();
        assert_eq!(
            said,
            [
                "conflict with \"kubectl\" with subresource \"scale\" using apps/v1",
                "conflict with \"kubectl-set\" using apps/v1"
            ]
        );
        t.does(Hand::Label { object: object(), key: "tier".into(), value: None });
        assert_eq!(t.look(&wish).await["metadata"]["labels"].get("tier"), None);
    });
}

#[test]
fn a_hand_makes_and_deletes_and_no_law_watches_it() {
    story(|t| async move {
        t.does(Hand::Create { body: Body(config("by-hand", json!({ "k": "1" }))) });
        let made = t.look(&config("by-hand", json!({}))).await;
        assert!(holds(&made, "kubectl-create", &["f:data", "f:k"]));
        t.does(Hand::Delete { object: "cm/by-hand".into() });
        assert_eq!(t.find(&made).await, None);
        assert_eq!(t.sim.violations().len(), 0);
    });
}

#[test]
fn nodes_and_images_can_be_broken_and_mended() {
    story(|t| async move {
        t.does(Hand::SpoilImage { image: "web:1".into(), bad: true });
        t.does(Hand::Cordon { node: "node-a".into(), on: true });
        let wish = deployment("web", 2, "web:1");
        t.apply(&wish).await;
        t.wait(60).await;
        assert!(
            t.pods("web").await.iter().all(|p| waits(p) == "ImagePullBackOff" && p["spec"]["nodeName"] != "node-a")
        );
        t.does(Hand::Silence { node: "node-b".into(), on: true });
        let words = |kind: &str| -> Vec<String> {
            t.sim.world().unwrap().clusters[DEFAULT].look(Some(kind)).into_iter().map(|o| o.state).collect()
        };
        assert_eq!(words("nodes"), ["ready", "not ready", "ready"]);
        assert_eq!(words("deploy"), ["0 of 2 ready"]);
        t.does(Hand::Silence { node: "node-b".into(), on: false });
        t.does(Hand::SpoilImage { image: "web:1".into(), bad: false });
        t.wait(360).await;
        assert_eq!(t.look(&wish).await["status"]["readyReplicas"], 2, "the kubelet tries again");
    });
}

#[test]
fn a_hand_that_names_nothing_is_told_so() {
    story(|t| async move {
        for (object, says) in [
            ("web", "names no object"),
            ("wigdet/web", "no kind wigdet"),
            ("deploy/web", "no deploy/web"),
            ("deploy/shop/web", "no deploy/shop/web"),
        ] {
            let told = t.cannot(Hand::Delete { object: object.into() });
            assert!(told.contains(says), "{told}");
        }
        t.apply(&deployment("web", 1, "web:1")).await;
        let patch = Body(json!({ "spec": { "selector": { "matchLabels": { "app": "x" } } } }));
        let told = t.cannot(Hand::Edit { object: "deploy/web".into(), patch });
        assert!(told.contains("is invalid"), "{told}");
    });
}
