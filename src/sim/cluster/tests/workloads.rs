//! The other workloads, claims, services and budgets.

use super::*;
use evenkeel_ec2::api::Ec2;

fn stateful(replicas: u32, image: &str) -> Json {
    let mut set = deployment("db", replicas, image);
    set["kind"] = json!("StatefulSet");
    set["spec"]["serviceName"] = json!("db");
    set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
        json!([{ "name": "data", "mountPath": "/data" }]);
    set["spec"]["volumeClaimTemplates"] = json!([{
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "10Gi" } } },
    }]);
    set
}

fn name(pod: &Json) -> String {
    text(pod, &["metadata", "name"]).to_owned()
}

#[test]
fn a_stateful_set_grows_one_by_one_each_with_a_claim_of_its_own() {
    story(|t| async move {
        t.apply(&stateful(3, "db:1")).await;
        for _ in 0..120 {
            t.wait(1).await;
            let pods = t.pods("db").await;
            let not_ready = pods.iter().filter(|p| !truth(p, "Ready")).count();
            assert!(not_ready <= 1, "the next only when the last serves");
        }
        let pods = t.pods("db").await;
        assert_eq!(pods.iter().map(name).collect::<Vec<_>>(), ["db-0", "db-1", "db-2"]);
        assert_eq!(t.names("v1", "PersistentVolumeClaim").await, ["data-db-0", "data-db-1", "data-db-2"]);
        let live = t.look(&stateful(3, "db:1")).await;
        assert_eq!((&live["status"]["readyReplicas"], &live["status"]["updatedReplicas"]), (&json!(3), &json!(3)));
        t.apply(&stateful(1, "db:1")).await;
        t.wait(60).await;
        assert_eq!(t.pods("db").await.len(), 1);
        assert_eq!(t.names("v1", "PersistentVolumeClaim").await.len(), 3, "claims stay");
    });
}

#[test]
fn a_stateful_set_rolls_from_the_highest_and_stops_where_one_does_not_serve() {
    story(|t| async move {
        t.apply(&stateful(3, "db:1")).await;
        t.wait(120).await;
        t.apply(&stateful(3, "db:broken")).await;
        t.wait(120).await;
        let images: Vec<Json> =
            t.pods("db").await.iter().map(|p| p["spec"]["containers"][0]["image"].clone()).collect();
        assert_eq!(images, ["db:1", "db:1", "db:broken"]);
        let live = t.look(&stateful(3, "db:1")).await;
        assert_ne!(live["status"]["currentRevision"], live["status"]["updateRevision"]);
    });
}

#[test]
fn a_daemon_runs_once_on_every_node_and_on_the_machines_that_join() {
    story(|t| async move {
        let mut set = deployment("agent", 1, "agent:1");
        set["kind"] = json!("DaemonSet");
        set["spec"].as_object_mut().unwrap().remove("replicas");
        t.apply(&set).await;
        t.wait(60).await;
        assert_eq!(t.serving("agent").await, 3);
        let mut launch = crate::tests::launch("t", 1);
        launch.tags.insert("kubernetes.io/cluster/sim".into(), "owned".into());
        let machine = t.sim.run_instances(&launch).await.unwrap()[0].id.clone();
        t.wait(200).await;
        t.look(&set).await;
        t.wait(60).await;
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": machine } });
        assert_eq!(t.look(&node).await["spec"]["providerID"], format!("aws:///us-east-1a/{machine}"));
        assert_eq!(t.serving("agent").await, 4);
        assert_eq!(t.look(&set).await["status"]["numberReady"], 4);
        t.sim.terminate(&[machine]).await.unwrap();
        t.wait(60).await;
        t.look(&set).await;
        t.wait(60).await;
        assert_eq!(t.find(&node).await, None);
        assert_eq!(t.pods("agent").await.len(), 3);
    });
}

#[test]
fn a_job_is_done_or_gives_up() {
    let job = |image: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "once", "namespace": "default" },
            "spec": {
                "completions": 3, "parallelism": 2, "backoffLimit": 1,
                "template": { "spec": { "restartPolicy": "Never", "containers": [{ "name": "main", "image": image }] } },
            },
        })
    };
    story(|t| async move {
        t.apply(&job("migrate:1")).await;
        t.wait(300).await;
        let live = t.look(&job("migrate:1")).await;
        assert!(truth(&live, "Complete"));
        assert_eq!(live["status"]["succeeded"], 3);
        let refusal = t.try_apply("evenkeel", &job("migrate:2")).await.unwrap_err();
        assert_eq!(refusal.causes[0].field, "spec.template");
    });
    story(|t| async move {
        t.apply(&job("migrate:crash")).await;
        t.wait(600).await;
        let live = t.look(&job("migrate:crash")).await;
        assert_eq!(condition(&live, "Failed").unwrap()["reason"], "BackoffLimitExceeded");
    });
}

#[test]
fn a_claim_is_bound_grows_and_stays_while_a_pod_uses_it() {
    story(|t| async move {
        let claim = |size: &str| {
            json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data", "namespace": "default" },
                "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
            })
        };
        t.apply(&claim("10Gi")).await;
        t.wait(10).await;
        let bound = t.look(&claim("10Gi")).await;
        assert_eq!(
            (&bound["status"]["phase"], &bound["status"]["capacity"]["storage"]),
            (&json!("Bound"), &json!("10Gi"))
        );
        t.apply(&claim("20Gi")).await;
        t.wait(10).await;
        assert_eq!(t.look(&claim("20Gi")).await["status"]["capacity"]["storage"], "20Gi");
        let mut web = deployment("web", 1, "web:1");
        web["spec"]["template"]["spec"]["volumes"] =
            json!([{ "name": "d", "persistentVolumeClaim": { "claimName": "data" } }]);
        t.apply(&web).await;
        t.wait(30).await;
        t.delete(&claim("20Gi")).await.unwrap();
        t.wait(60).await;
        t.look(&claim("20Gi")).await;
        t.delete(&web).await.unwrap();
        t.wait(60).await;
        assert_eq!(t.find(&claim("20Gi")).await, None);
        assert_eq!(t.names("v1", "PersistentVolume").await.len(), 0, "its class deletes what it made");
    });
}

#[test]
fn a_balancer_has_an_address_after_a_while_and_slices_bear_the_services_labels() {
    story(|t| async move {
        let mut wish = service("web", 80);
        wish["spec"]["type"] = json!("LoadBalancer");
        t.apply(&wish).await;
        t.apply(&deployment("web", 2, "web:1")).await;
        t.wait(60).await;
        let live = t.look(&wish).await;
        assert!(!text(&live["status"]["loadBalancer"]["ingress"][0], &["hostname"]).is_empty());
        let query = Query { selector: format!("{STACK}=7f3kq2x9"), limit: 500, ..Query::default() };
        let slices = t.kube.list(&resource("discovery.k8s.io/v1", "EndpointSlice", ""), &query).await.unwrap().items;
        assert_eq!(items(&slices[0], &["endpoints"]).len(), 2);
        assert!(!evenkeel_core::applyset::is_applied(&slices[0]), "a copied label is no claim");
        t.delete(&wish).await.unwrap();
        t.wait(5).await;
        assert_eq!(t.names("discovery.k8s.io/v1", "EndpointSlice").await.len(), 0);
    });
}

#[test]
fn a_budget_counts_what_serves() {
    story(|t| async move {
        let budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web", "namespace": "default" },
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": "web" } } },
        });
        t.apply(&budget).await;
        t.apply(&deployment("web", 3, "web:1")).await;
        t.wait(60).await;
        let live = t.look(&budget).await;
        assert_eq!(live["status"]["currentHealthy"], 3);
        assert_eq!(live["status"]["desiredHealthy"], 2);
        assert_eq!(live["status"]["disruptionsAllowed"], 1);
        assert_eq!(live["status"]["observedGeneration"], 1);
    });
}

#[test]
fn a_pod_waits_for_the_config_map_it_reads_and_runs_when_it_comes() {
    story(|t| async move {
        let mut web = deployment("web", 1, "web:1");
        web["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
            json!([{ "configMapRef": { "name": "settings" } }]);
        t.apply(&web).await;
        t.wait(30).await;
        assert_eq!(waits(&t.pods("web").await[0]), "CreateContainerConfigError");
        t.apply(&config("settings", json!({}))).await;
        t.wait(30).await;
        assert_eq!(t.serving("web").await, 1);
    });
}
