//! Deployments roll.

use super::super::DEFAULT;
use super::*;

#[test]
fn a_deployment_comes_to_serve_evenly_over_the_zones() {
    story(|t| async move {
        let wish = deployment("web", 6, "web:1");
        t.apply(&wish).await;
        t.wait(1).await;
        let young = t.look(&wish).await;
        assert!(!truth(&young, "Available") && truth(&young, "Progressing"), "{young}");
        t.wait(60).await;
        let live = t.look(&wish).await;
        assert!(truth(&live, "Available"));
        assert_eq!(condition(&live, "Progressing").unwrap()["reason"], "NewReplicaSetAvailable");
        let status = &live["status"];
        for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
            assert_eq!(status[field], 6, "{field}");
        }
        assert_eq!(status["observedGeneration"], live["metadata"]["generation"]);
        let mut nodes: Vec<String> =
            t.pods("web").await.iter().map(|p| text(p, &["spec", "nodeName"]).to_owned()).collect();
        nodes.sort();
        assert_eq!(nodes, ["node-a", "node-a", "node-b", "node-b", "node-c", "node-c"]);
        assert!(holds(&live, "kube-controller-manager", &["f:status", "f:replicas"]));
        assert!(holds(&live, "evenkeel", &["f:spec", "f:replicas"]), "nothing of ours was taken");
        assert_eq!(live["metadata"]["generation"], 1);
    });
}

#[test]
fn a_roll_out_never_serves_less_than_it_may() {
    story(|t| async move {
        let mut wish = deployment("web", 4, "web:1");
        wish["spec"]["strategy"] = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
        t.apply(&wish).await;
        t.wait(60).await;
        assert_eq!(t.serving("web").await, 4);
        wish["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:2");
        t.apply(&wish).await;
        for _ in 0..240 {
            t.wait(1).await;
            let pods = t.pods("web").await;
            let leaving = pods.iter().filter(|p| !text(p, &["metadata", "deletionTimestamp"]).is_empty()).count();
            assert!(pods.len() - leaving <= 5, "one more at most");
            assert!(pods.iter().filter(|p| truth(p, "Ready")).count() - leaving >= 4, "never fewer");
        }
        let pods = t.pods("web").await;
        assert!(pods.iter().all(|p| p["spec"]["containers"][0]["image"] == "web:2") && pods.len() == 4);
        let live = t.look(&wish).await;
        assert_eq!(live["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
        assert_eq!(t.names("apps/v1", "ReplicaSet").await.len(), 2, "the old one stays as history");
    });
}

#[test]
fn an_image_that_cannot_be_pulled_stops_a_roll_out_and_the_old_pods_serve_on() {
    story(|t| async move {
        let mut wish = deployment("web", 4, "web:1");
        t.apply(&wish).await;
        t.wait(60).await;
        wish["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:broken-2");
        t.apply(&wish).await;
        t.wait(120).await;
        assert_eq!(t.serving("web").await, 3, "a quarter may be missing");
        let stuck: Vec<Json> = t.pods("web").await.into_iter().filter(|p| !truth(p, "Ready")).collect();
        assert!(!stuck.is_empty() && stuck.iter().all(|p| waits(p) == "ImagePullBackOff"), "{stuck:?}");
        assert_eq!(condition(&t.look(&wish).await, "Progressing").unwrap()["status"], "True");
        t.wait(600).await;
        let late = t.look(&wish).await;
        assert_eq!(condition(&late, "Progressing").unwrap()["reason"], "ProgressDeadlineExceeded");
        wish["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:3");
        t.apply(&wish).await;
        t.wait(120).await;
        assert_eq!(t.serving("web").await, 4);
        assert_eq!(condition(&t.look(&wish).await, "Progressing").unwrap()["reason"], "NewReplicaSetAvailable");
    });
}

#[test]
fn a_container_that_ends_at_once_is_started_again_and_again_and_leaves_a_log() {
    story(|t| async move {
        t.sim
            .edit(|w| w.cluster(DEFAULT).crashing_images.insert("web:7".into(), "hello\npanic: no database\n".into()))
            .unwrap();
        t.apply(&deployment("web", 1, "web:7")).await;
        t.wait(120).await;
        let pod = t.pods("web").await.remove(0);
        let status = &pod["status"]["containerStatuses"][0];
        assert_eq!(waits(&pod), "CrashLoopBackOff");
        assert!(status["restartCount"].as_i64().unwrap() >= 2);
        assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
        let name = text(&pod, &["metadata", "name"]);
        let log = t.kube.log("default", name, "main", true, 1).await.unwrap();
        assert_eq!(log, "panic: no database\n");
        assert!(t.kube.log("default", name, "other", true, 1).await.is_err());
    });
}

#[test]
fn a_pod_that_fits_nowhere_says_why() {
    story(|t| async move {
        let mut wish = deployment("web", 1, "web:1");
        wish["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "64" } });
        t.apply(&wish).await;
        t.wait(30).await;
        let pod = t.pods("web").await.remove(0);
        let c = condition(&pod, "PodScheduled").unwrap();
        assert_eq!((&c["status"], &c["reason"]), (&json!("False"), &json!("Unschedulable")));
        assert_eq!(c["message"], "0/3 nodes are available: 3 Insufficient cpu.");
    });
}

#[test]
fn a_spread_that_must_hold_keeps_pods_waiting_rather_than_crowding() {
    story(|t| async move {
        let mut wish = deployment("web", 3, "web:1");
        wish["spec"]["template"]["spec"]["topologySpreadConstraints"] = json!([{
            "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": { "matchLabels": { "app": "web" } },
        }]);
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-c" } });
        t.kube.patch(&which(&node), &json!({ "spec": { "unschedulable": true } }), "kubectl").await.unwrap();
        t.apply(&wish).await;
        t.wait(60).await;
        assert_eq!(t.serving("web").await, 2);
        let waiting = t.pods("web").await.into_iter().find(|p| !truth(p, "Ready")).unwrap();
        let says = text(condition(&waiting, "PodScheduled").unwrap(), &["message"]);
        assert!(says.contains("2 node(s) didn't match pod topology spread constraints"), "{says}");
        t.kube.patch(&which(&node), &json!({ "spec": { "unschedulable": null } }), "kubectl").await.unwrap();
        t.wait(60).await;
        assert_eq!(t.serving("web").await, 3);
    });
}

#[test]
fn a_quota_that_is_used_up_shows_in_the_deployment() {
    story(|t| async move {
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few", "namespace": "default" },
            "spec": { "hard": { "pods": "2" } },
        });
        t.apply(&quota).await;
        let wish = deployment("web", 3, "web:1");
        t.apply(&wish).await;
        t.wait(60).await;
        let c = condition(&t.look(&wish).await, "ReplicaFailure").cloned().unwrap();
        assert!(text(&c, &["message"]).contains("exceeded quota: few"), "{c}");
        assert_eq!(t.serving("web").await, 2);
        assert_eq!(t.look(&quota).await["status"]["used"]["pods"], "2");
        let mut more = quota.clone();
        more["spec"]["hard"]["pods"] = json!("5");
        t.apply(&more).await;
        t.wait(60).await;
        assert_eq!(t.serving("web").await, 3);
        assert_eq!(condition(&t.look(&wish).await, "ReplicaFailure"), None);
    });
}

#[test]
fn pods_of_a_silent_node_are_made_anew_elsewhere_after_five_minutes() {
    story(|t| async move {
        let wish = deployment("web", 3, "web:1");
        t.apply(&wish).await;
        t.wait(60).await;
        t.sim
            .edit(|w| {
                let m = super::super::Moment { now: w.now, seed: w.seed };
                w.cluster(DEFAULT).set_node_ready("node-a", false, m);
            })
            .unwrap();
        t.wait(60).await;
        assert_eq!(t.serving("web").await, 2);
        assert_eq!(t.pods("web").await.len(), 3, "not yet");
        t.wait(400).await;
        assert_eq!(t.serving("web").await, 3);
        assert_eq!(t.pods("web").await.len(), 4, "the lost one cannot end while its node is silent");
    });
}
