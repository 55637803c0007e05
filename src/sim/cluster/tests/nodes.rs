//! Nodes: machines that join by their boot scripts, evictions, budgets, and what our calls may not do to them.

use evenkeel_ec2::api::Ec2;

use super::*;
use crate::laws::Law;

fn budget(name: &str, most: Json) -> Json {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": name, "namespace": "default", "labels": { STACK: "7f3kq2x9" } },
        "spec": { "maxUnavailable": most, "selector": { "matchLabels": { "app": "web" } } },
    })
}

const SCRIPT: &str = r#"#!/bin/sh
cat > "$join" <<END
discovery:
  bootstrapToken:
    apiServerEndpoint: "sim.test:6443"
nodeRegistration:
  kubeletExtraArgs:
    - name: provider-id
      value: "aws:///$zone/$id"
    - name: node-labels
      value: "pool=web,tier=front"
  taints: [{"effect":"NoSchedule","key":"dedicated","value":"web"}]
END
"#;

#[test]
fn a_machine_joins_the_cluster_that_its_boot_script_names() {
    story(|t| async move {
        let mut launch = crate::tests::launch("t", 1);
        launch.user_data = Some(SCRIPT.into());
        let ours = t.sim.run_instances(&launch).await.unwrap()[0].id.clone();
        let mut other = crate::tests::launch("u", 1);
        other.user_data = Some(SCRIPT.replace("sim.test", "west.test").into());
        t.sim.run_instances(&other).await.unwrap();
        t.wait(30).await;
        assert_eq!(t.names("v1", "Node").await.len(), 3, "a machine boots first");
        t.wait(600).await;
        t.names("v1", "Node").await;
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": ours } });
        let node = t.look(&node).await;
        assert_eq!(t.names("v1", "Node").await.len(), 4, "the other one names another cluster");
        assert_eq!(node["spec"]["providerID"], format!("aws:///us-east-1a/{ours}"));
        assert_eq!(node["metadata"]["labels"]["tier"], "front");
        assert_eq!(node["spec"]["taints"][0]["key"], "dedicated");
        assert!(truth(&node, "Ready"));
    });
}

#[test]
fn an_eviction_goes_as_far_as_the_budget_lets_it() {
    story(|t| async move {
        t.apply(&deployment("web", 3, "web:1")).await;
        t.apply(&budget("web", json!(1))).await;
        t.wait(60).await;
        let pods = t.pods("web").await;
        let evict = async |pod: &Json| t.kube.evict(&which(pod), text(pod, &["metadata", "uid"])).await;
        evict(&pods[0]).await.expect("one may go");
        let kept = evict(&pods[1]).await.expect_err("no second one");
        assert_eq!((kept.failure.class, kept.failure.code.as_str()), (Class::Busy, "DisruptionBudget"));
        assert_eq!(kept.causes[0].message, "The disruption budget web needs 2 healthy pods and has 3 currently");
        t.wait(2).await;
        let kept = evict(&pods[1]).await.expect_err("nor while the first one's successor is on its way");
        assert_eq!(kept.causes[0].message, "The disruption budget web needs 2 healthy pods and has 2 currently");
        t.wait(60).await;
        assert_eq!(t.serving("web").await, 3);
        evict(&pods[1]).await.expect("its successor serves");
        assert_eq!(why(evict(&pods[0]).await), (Class::NotFound, "NotFound".to_owned()));
        let stranger = t.kube.evict(&which(&pods[2]), "another").await;
        assert_eq!(why(stranger), (Class::Busy, "Conflict".to_owned()));
        t.apply(&budget("second", json!(3))).await;
        t.wait(60).await;
        assert_eq!(why(evict(&pods[2]).await), (Class::Invalid, "InternalError".to_owned()), "two budgets on one pod");
    });
}

#[test]
fn pods_are_listed_by_their_node() {
    story(|t| async move {
        t.apply(&deployment("web", 6, "web:1")).await;
        t.wait(60).await;
        let list = async |fields: &str| {
            let query = Query { fields: fields.into(), limit: 500, ..Query::default() };
            t.kube.list(&resource("v1", "Pod", ""), &query).await
        };
        let mut all = 0;
        for node in ["node-a", "node-b", "node-c"] {
            let here = list(&format!("spec.nodeName={node}")).await.unwrap().items;
            assert!(here.iter().all(|p| text(p, &["spec", "nodeName"]) == node));
            all += here.len();
        }
        assert_eq!(all, 6);
        assert!(list("spec.colour=red").await.unwrap_err().says.contains("field label not supported"));
    });
}

#[test]
fn a_machine_that_is_well_is_not_ended_under_its_pods() {
    story(|t| async move {
        let mut launch = crate::tests::launch("t", 1);
        launch.user_data = Some(
            SCRIPT
                .replace("  taints: [{\"effect\":\"NoSchedule\",\"key\":\"dedicated\",\"value\":\"web\"}]\n", "")
                .into(),
        );
        let machine = t.sim.run_instances(&launch).await.unwrap()[0].id.clone();
        t.wait(600).await;
        t.names("v1", "Node").await;
        let mut web = deployment("web", 2, "web:1");
        web["spec"]["template"]["spec"]["nodeSelector"] = json!({ "pool": "web" });
        t.apply(&web).await;
        t.wait(60).await;
        assert_eq!(t.serving("web").await, 2);
        t.sim.terminate(&[machine]).await.unwrap();
        let broken = t.sim.violations();
        assert_eq!(broken.iter().map(|v| v.law).collect::<Vec<_>>(), [Law::Undrained; 2], "{broken:#?}");
    });
}
