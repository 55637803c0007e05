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
