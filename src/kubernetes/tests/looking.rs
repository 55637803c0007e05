//! The fresh look that a wait needs: there or not, ready or why not.

use std::collections::BTreeSet;

use evenkeel_core::failure::Class;
use evenkeel_core::observed::Phase;

use super::*;

const WEB: &str = "Deployment.apps/default/web";

fn web(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  replicas: 2\n  selector: {{ matchLabels: {{ \
         app: web }} }}\n  template: {{ metadata: {{ labels: {{ app: web }} }}, spec: {{ containers: [{{ name: main, image: \
         \"{image}\" }}] }} }}\n"
    )
}

#[test]
fn a_workload_is_on_its_way_and_then_up() {
    story(&web("web:1"), async |stage| {
        let stage = stage.applied().await;
        let first = stage.look(WEB).await.expect("a look").expect("it is there");
        assert_eq!(first.phase, Phase::Starting, "{}", first.says);
        stage.wait(120).await;
        let then = stage.look(WEB).await.expect("a look").expect("it is there");
        assert_eq!((then.phase, then.says.as_str()), (Phase::Up, ""));
    });
}

#[test]
fn the_last_lines_of_a_crashed_container_are_in_the_reason() {
    story(&web("web:1-crash"), async |stage| {
        let stage = stage.applied().await;
        stage.wait(60).await;
        let found = stage.look(WEB).await.expect("a look").expect("it is there");
        assert_eq!(found.phase, Phase::Starting);
        assert!(found.says.contains("container main") && found.says.contains("its log ends: "), "{}", found.says);
        // A log that may not be read leaves the rest of the reason.
        stage.wire.refuse("log", usize::MAX, Class::Denied, "Forbidden");
        let found = stage.look(WEB).await.expect("a look").expect("it is there");
        assert!(found.says.contains("container main") && !found.says.contains("its log"), "{}", found.says);
    });
}

#[test]
fn a_container_that_keeps_crashing_is_told_with_its_last_words_at_every_moment() {
    story(&web("web:1-crash").replace("replicas: 2", "replicas: 1"), async |stage| {
        let stage = stage.applied().await;
        let phases = ["keeps crashing", "runs again after"];
        let mut told: BTreeSet<&str> = BTreeSet::new();
        let mut words = false;
        // It is down most of the time, and runs for a moment in between.
        for second in 0..300 {
            stage.wait(1).await;
            let found = stage.look(WEB).await.expect("a look").expect("it is there");
            words |= found.says.contains("its log ends: ");
            let known = found.says.contains("its log ends: ") && found.says.contains("exit code 1");
            assert_eq!(known, words, "second {second}: {}", found.says);
            told.extend(
                ["keeps crashing", "runs again after", "runs after"].iter().filter(|w| found.says.contains(**w)),
            );
        }
        assert_eq!(told, BTreeSet::from(phases), "both are seen");
    });
}

#[test]
fn one_of_that_name_is_not_the_one_that_is_meant() {
    story(&config("a"), async |stage| {
        let stage = stage.applied().await;
        let uid = stage.uid("ConfigMap/default/a").await;
        let id = |uid: &str| format!("ConfigMap/default/a@{uid}");
        assert!(stage.look(&id(&uid)).await.expect("a look").is_some());
        assert!(stage.look(&id("another")).await.expect("a look").is_none());
        assert!(stage.look("ConfigMap/default/b").await.expect("a look").is_none());
        assert!(stage.look("no name at all").await.expect("a look").is_none());
    });
}

#[test]
fn what_is_held_by_finalizers_is_leaving_and_says_for_whom_it_waits() {
    let held = config("a").replace("name: a", "name: a, finalizers: [example.org/held]");
    story(&held, async |stage| {
        let stage = stage.applied().await;
        let uid = stage.uid("ConfigMap/default/a").await;
        stage.perform("ConfigMap/default/a", "v1", ObjectDoes::Delete { uid }).await.expect("taken");
        let found = stage.look("ConfigMap/default/a").await.expect("a look").expect("it is there");
        assert_eq!(found.phase, Phase::Leaving);
        assert!(found.says.contains("example.org/held"), "{}", found.says);
    });
}

#[test]
fn what_the_file_asks_to_be_waited_for_is_what_counts() {
    story(&web("web:1"), async |stage| {
        let stage = stage.applied().await;
        stage.wait(120).await;
        let phase =
            async |asked: &str| stage.look(&format!("{WEB}#{asked}")).await.expect("a look").expect("it is there");
        assert_eq!(phase("condition=Available").await.phase, Phase::Up);
        let never = phase("jsonpath={.status.phase}=Painted").await;
        assert_eq!(never.phase, Phase::Starting, "{}", never.says);
    });
}

#[test]
fn a_kind_that_is_served_no_longer_has_no_objects() {
    story(&config("a"), async |stage| {
        let stage = stage.applied().await;
        assert!(stage.look("ConfigMap/default/a").await.expect("a look").is_some());
        stage.wire.refuse("get ConfigMap", usize::MAX, Class::Invalid, "NotServed");
        let still = stage.look("ConfigMap/default/a").await.expect_err("discovery shows it: something is wrong");
        assert_eq!(still.code, "NotServed");
        stage.wire.hide("ConfigMap");
        assert!(stage.look("ConfigMap/default/a").await.expect("a look").is_none());
    });
}

#[test]
fn one_that_may_not_be_read_takes_no_other_along() {
    story(&config("a"), async |stage| {
        let stage = stage.applied().await;
        stage.wire.refuse("get Secret", usize::MAX, Class::Denied, "Forbidden");
        let ids = BTreeSet::from(["ConfigMap/default/a".to_owned(), "Secret/default/s".to_owned()]);
        let seen = stage.provider.look(&ids).await.expect("a look");
        assert_eq!(seen.objects.iter().map(|o| o.id.as_str()).collect::<Vec<_>>(), ["ConfigMap/default/a"]);
        assert_eq!(seen.unseen["Secret/default/s"].class, Class::Denied);
    });
}

fn class(name: &str, binding: &str) -> Json {
    json!({ "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": name },
        "provisioner": "ebs.csi.aws.com", "volumeBindingMode": binding })
}

#[test]
fn a_claim_is_waited_for_where_its_class_binds_it_at_once() {
    let claim = |name: &str, class: &str| {
        format!(
            "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: {name} }}\nspec: {{ storageClassName: \
             \"{class}\", accessModes: [ReadWriteOnce], resources: {{ requests: {{ storage: 1Gi }} }} }}\n"
        )
    };
    let all =
        [claim("now", "now"), claim("late", "late"), claim("later", "late"), claim("gone", "gone"), claim("none", "")]
            .concat();
    story(&all, async |mut stage| {
        stage.by_others(class("now", "Immediate")).await;
        stage.by_others(class("late", "WaitForFirstConsumer")).await;
        stage = stage.applied().await;
        let look = async |stage: &Stage, name: &str| {
            let id = format!("PersistentVolumeClaim/default/{name}");
            stage.look(&id).await.expect("a look").expect("it is there")
        };
        let now = look(&stage, "now").await;
        let says = "not bound yet: its class now has made no volume";
        assert_eq!((now.phase, now.says.as_str()), (Phase::Starting, says));
        for name in ["late", "gone", "none"] {
            assert_eq!(look(&stage, name).await.phase, Phase::Up, "{name}: nobody makes it a volume by itself");
        }
        stage.wire.forget();
        let ids = ["now", "late", "later", "none"].map(|name| format!("PersistentVolumeClaim/default/{name}"));
        stage.provider.look(&BTreeSet::from(ids)).await.expect("a look");
        let asked = stage.wire.heard("get StorageClass");
        assert_eq!(asked.len(), 2, "once for all claims of a class: {asked:?}");
        let seen = stage.read().await.cluster.expect("it was seen");
        let bindings: Vec<(&str, &str)> = seen.bindings.iter().map(|(c, b)| (c.as_str(), b.as_str())).collect();
        assert_eq!(bindings, [("late", "WaitForFirstConsumer"), ("now", "Immediate")]);
        stage.wait(60).await;
        assert_eq!(look(&stage, "now").await.phase, Phase::Up);
    });
}

#[test]
fn what_keeps_a_set_from_making_its_pods_is_the_reason() {
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: db }\nspec:\n  replicas: 2\n  selector: { \
               matchLabels: { app: db } }\n  template: { metadata: { labels: { app: db } }, spec: { containers: [{ name: \
               main, image: \"db:1\" }] } }\n";
    story(set, async |mut stage| {
        let quota = |pods: &str| {
            json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few", "namespace": "default" },
                "spec": { "hard": { "pods": pods } } })
        };
        stage.by_others(quota("1")).await;
        stage = stage.applied().await;
        stage.wait(60).await;
        let id = "StatefulSet.apps/default/db";
        let found = stage.look(id).await.expect("a look").expect("it is there");
        assert!(
            found.says.contains("pods cannot be made: ") && found.says.contains("exceeded quota: few"),
            "{}",
            found.says
        );
        stage.by_others(quota("5")).await;
        stage.wait(60).await;
        assert_eq!(stage.look(id).await.expect("a look").expect("it is there").phase, Phase::Up, "it is tried again");
    });
}
