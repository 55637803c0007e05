//! Changes: each may be repeated, hits what was seen or nothing, and a refusal is told in the server's words.

use evenkeel_core::digest::Digest;
use evenkeel_core::failure::Class;
use evenkeel_core::observed::Phase;
use evenkeel_core::plan::{Do, Drain};

use super::*;

#[test]
fn a_deletion_may_be_repeated_and_spares_a_later_one_of_the_same_name() {
    story(&config("a"), async |stage| {
        let stage = stage.applied().await;
        let uid = stage.uid("ConfigMap/default/a").await;
        let delete = |uid: &str| ObjectDoes::Delete { uid: uid.to_owned() };
        stage.perform("ConfigMap/default/a", "v1", delete("another")).await.expect("the one that is meant is gone");
        assert!(stage.look("ConfigMap/default/a").await.expect("a look").is_some());
        for _ in 0..2 {
            stage.perform("ConfigMap/default/a", "v1", delete(&uid)).await.expect("gone");
        }
        assert!(stage.look("ConfigMap/default/a").await.expect("a look").is_none());
    });
}

#[test]
fn a_deletion_of_what_cannot_be_asked_for_is_not_done() {
    story(&config("a"), async |stage| {
        let delete = || ObjectDoes::Delete { uid: "u".into() };
        let nowhere = "Widget.example.org/default/w";
        stage.perform(nowhere, "example.org/v1", delete()).await.expect("without its definition there is none");
        stage.wire.hide("example.org");
        let unknown = stage.perform(nowhere, "example.org/v1", delete()).await.expect_err("its group is down");
        assert_eq!(unknown.code, "Stale");
        // A way to the server that is broken says nothing about objects.
        stage.wire.refuse("discover", usize::MAX, Class::Invalid, "");
        let lost = stage.perform(nowhere, "example.org/v1", delete()).await.expect_err("nobody was asked");
        assert_eq!(lost.says, "refused");
    });
}

#[test]
fn a_node_that_has_joined_anew_is_not_taken_for_one_that_is_gone() {
    story("", async |stage| {
        let how = Drain { empty_dir: true, unmanaged: true, force: true };
        let node = stage.wire.which(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-a" } }));
        let node = stage.wire.get(&node).await.unwrap_or_else(|r| panic!("{r:?}"));
        let uid = node["metadata"]["uid"].as_str().expect("a uid");
        let drained = async |id: &str| stage.provider.drain(id, how).await.expect("a look");
        assert_eq!(drained(&format!("Node/node-a@{uid}")).await.phase, Phase::Gone, "nothing runs there");
        let anew = drained("Node/node-a@another").await;
        assert_eq!(anew.phase, Phase::Failed);
        assert!(anew.says.contains("make a new plan"), "{}", anew.says);
        assert_eq!(drained("Node/nobody@another").await.phase, Phase::Gone);
    });
}

/// A pod on `node-a`.
fn pod(name: &str) -> Json {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" }, "spec": {
        "nodeName": "node-a", "containers": [{ "name": "main", "image": "registry.example/app:1" }] } })
}

async fn node_a(stage: &Stage) -> Json {
    let which = stage.wire.which(&json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "node-a" } }));
    stage.wire.get(&which).await.unwrap_or_else(|r| panic!("{r:?}"))
}

#[test]
fn a_forced_drain_goes_on_past_a_pod_that_may_not_be_evicted() {
    story("", async |stage| {
        for name in ["free", "stuck"] {
            stage.by_others(pod(name)).await;
        }
        stage.wait(60).await;
        stage.wire.refuse("evict Pod default/stuck", usize::MAX, Class::Denied, "Forbidden");
        let node = node_a(&stage).await;
        let id = format!("Node/node-a@{}", node["metadata"]["uid"].as_str().expect("a uid"));
        let forced = Drain { empty_dir: true, unmanaged: true, force: true };
        for _ in 0..3 {
            let round = stage.provider.drain(&id, forced).await.expect("a look");
            assert_eq!(round.phase, Phase::Stopping, "{}", round.says);
            assert!(round.says.contains("default/stuck"), "{}", round.says);
            stage.wait(60).await;
        }
        let left = stage.wire.which(&pod("free"));
        stage.wire.get(&left).await.expect_err("the other one is gone");
        // A machine that is well stays for it.
        let gentle = Drain { force: false, ..forced };
        let round = stage.provider.drain(&id, gentle).await.expect("a look");
        assert_eq!(round.phase, Phase::Failed);
        assert!(round.says.contains("cannot be drained: default/stuck"), "{}", round.says);
    });
}

#[test]
fn a_forced_drain_lets_go_what_can_go_beside_a_pod_that_asks_not_to_be_disturbed() {
    let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  selector: { matchLabels: { app: web } }\n  \
               template: { metadata: { labels: { app: web } }, spec: { nodeName: node-a, containers: [{ name: main, image: \
               \"web:1\" }] } }\n";
    story(web, async |stage| {
        let stage = stage.applied().await;
        let mut asks = pod("asks");
        asks["metadata"]["annotations"] = json!({ "karpenter.sh/do-not-disrupt": "true" });
        stage.by_others(asks).await;
        stage.wait(60).await;
        let node = node_a(&stage).await;
        let id = format!("Node/node-a@{}", node["metadata"]["uid"].as_str().expect("a uid"));
        // EC2 will stop the machine: a pod that asks not to be disturbed has all of the time that there is.
        let how = Drain { empty_dir: true, unmanaged: false, force: true };
        let refused = stage.provider.drain(&id, Drain { force: false, ..how }).await.expect("a look");
        assert_eq!((refused.phase, stage.wire.heard("evict").len()), (Phase::Failed, 0), "{}", refused.says);
        let round = stage.provider.drain(&id, how).await.expect("a look");
        assert_eq!(round.phase, Phase::Stopping, "{}", round.says);
        assert!(round.says.contains("default/asks"), "{}", round.says);
        assert_eq!(stage.wire.heard("evict").len(), 1, "the other one");
    });
}

#[test]
fn a_node_that_a_person_has_cordoned_stays_cordoned() {
    story("", async |stage| {
        let uid = node_a(&stage).await["metadata"]["uid"].as_str().expect("a uid").to_owned();
        let cordon = |on| ObjectDoes::Cordon { uid: uid.clone(), on };
        let state = async |stage: &Stage| {
            let node = node_a(stage).await;
            let by = node.pointer("/metadata/annotations/evenkeel.dev~1cordoned").and_then(Json::as_str);
            (node["spec"]["unschedulable"].as_bool().unwrap_or_default(), by.map(str::to_owned))
        };
        stage.perform("Node/node-a", "v1", cordon(true)).await.expect("cordoned");
        assert_eq!(state(&stage).await, (true, Some(STACK.to_owned())));
        stage.perform("Node/node-a", "v1", cordon(false)).await.expect("uncordoned");
        assert_eq!(state(&stage).await, (false, None));
        let hand = evenkeel_sim::cluster::Hand::Cordon { node: "node-a".into(), on: true };
        stage.sim.act(&evenkeel_sim::ops::Deed::Kubernetes { cluster: "sim".into(), hand }).expect("it is there");
        for on in [true, false] {
            stage.perform("Node/node-a", "v1", cordon(on)).await.expect("left as it is");
            assert_eq!(state(&stage).await, (true, None), "by a person, {on}");
        }
    });
}

#[test]
fn an_apply_of_a_kind_that_is_not_served_says_so_with_a_way_out() {
    let wanted = config("a");
    story(&wanted, async |stage| {
        let made = stage.plan().await;
        let body = made.payloads.keys().next().expect("a body").clone();
        let call = Call::Object(OnObject {
            object: name("Widget.example.org/default/w"),
            api_version: "example.org/v1".into(),
            does: ObjectDoes::Apply { body, uid: None, force: false },
        });
        let refused = stage.provider.perform(&call, &made.payloads).await.expect_err("nobody serves it");
        assert_eq!((refused.class, refused.code.as_str()), (Class::Invalid, "NotServed"));
        assert!(refused.says.contains("Widget in example.org/v1") && refused.says.contains("install its definition"));
    });
}

#[test]
fn a_body_that_is_not_at_hand_is_never_guessed() {
    story("", async |stage| {
        let does = ObjectDoes::Apply { body: Digest::of(b"lost"), uid: None, force: false };
        let refused = stage.perform("ConfigMap/default/a", "v1", does).await.expect_err("there is no body");
        assert!(refused.says.contains("plan again"), "{refused}");
        assert_eq!(stage.wire.heard("apply"), Vec::<String>::new());
    });
}

#[test]
fn a_refusal_names_the_fields_that_its_words_leave_out_and_is_asked_once() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 80 }] }\n";
    story(service, async |stage| {
        let made = stage.plan().await;
        stage.wire.forget();
        stage.wire.refuse("apply Service", 1, Class::Denied, "Forbidden");
        let call = made.plan.steps.iter().find_map(|s| match &s.does {
            Do::Call(call @ Call::Object(on)) if on.object.kind == "Service" => Some(call),
            Do::Call(_) | Do::Wait(_) => None,
        });
        let call = call.expect("it is applied");
        let refused = stage.provider.perform(call, &made.payloads).await.expect_err("once");
        assert_eq!(refused.class, Class::Denied);
        assert_eq!(stage.wire.heard("apply Service").len(), 1, "what the server refuses for good is not asked again");
        // What is only busy or lost is.
        stage.wire.refuse("apply Service", 2, Class::Transient, "");
        stage.provider.perform(call, &made.payloads).await.expect("the third time");
        assert_eq!(stage.wire.heard("apply Service").len(), 4);
    });
}

#[test]
fn a_mark_is_of_the_one_that_was_seen_and_outlives_an_apply() {
    story(&config("a"), async |stage| {
        let stage = stage.applied().await;
        let uid = stage.uid("ConfigMap/default/a").await;
        let mark = |uid: &str| ObjectDoes::Mark {
            uid: uid.to_owned(),
            set: BTreeMap::from([("evenkeel.dev/delete-after".to_owned(), "2999-01-01T00:00:00Z".to_owned())]),
            unset: vec![],
        };
        stage.perform("ConfigMap/default/a", "v1", mark("another")).await.expect_err("that one is gone");
        stage.perform("ConfigMap/default/a", "v1", mark(&uid)).await.expect("marked");
        let reading = stage.read().await.cluster.expect("it was seen");
        let body = &reading.objects[&name("ConfigMap/default/a")].body;
        assert_eq!(body["metadata"]["annotations"]["evenkeel.dev/delete-after"], "2999-01-01T00:00:00Z");
        let managers: Vec<&str> = body["metadata"]["managedFields"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|e| e["manager"].as_str())
            .collect();
        assert_eq!(managers, ["evenkeel", "evenkeel-marks"]);
    });
}
