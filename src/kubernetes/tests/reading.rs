//! One look: what is listed where, what cannot be seen, and what is never kept.

use evenkeel_core::failure::Class;
use evenkeel_core::observed::Trial;
use evenkeel_core::plan::Hold;

use super::*;

#[test]
fn who_may_not_list_the_whole_cluster_has_the_namespaces_listed_one_by_one() {
    let there = format!("{}---\napiVersion: v1\nkind: Namespace\nmetadata: {{ name: away }}\n", config("a"));
    story(&there, async |stage| {
        let mut stage = stage.applied().await;
        stage.desired =
            wished(&format!("{}{}", config("a"), config("b").replace("name: b", "name: b, namespace: away")));
        stage.wire.refuse_if(|words| {
            words.ends_with(" *").then(|| Failure::new(Class::Denied, "Forbidden", "cannot list at the cluster scope"))
        });
        let reading = stage.read().await;
        assert_eq!(
            stage.wire.heard("list ConfigMap"),
            ["list ConfigMap v1 *", "list ConfigMap v1 away", "list ConfigMap v1 default"]
        );
        // What has no namespace cannot be listed in one, and was there before: the mark remembers it.
        let gaps: Vec<&str> = reading.gaps.iter().map(|g| g.what.as_str()).collect();
        assert_eq!(gaps, ["Namespace"]);
        let seen = reading.cluster.expect("it was seen");
        assert!(seen.objects.contains_key(&name("ConfigMap/default/a")));
        assert!(matches!(seen.trials[&name("ConfigMap/away/b")], Trial::Becomes(_)));
    });
}

#[test]
fn a_namespace_that_may_not_be_listed_either_hides_the_whole_kind() {
    story(&config("a"), async |stage| {
        let stage = stage.applied().await;
        stage.wire.refuse("list ConfigMap", usize::MAX, Class::Denied, "Forbidden");
        let made = stage.plan().await;
        assert!(made.plan.steps.is_empty());
        let holds: Vec<Hold> = made.plan.held.iter().map(|h| h.by).collect();
        assert_eq!(holds, [Hold::Blind]);
        assert_eq!(stage.wire.heard("get ConfigMap"), Vec::<String>::new(), "a name alone is no answer");
    });
}

#[test]
fn a_kind_that_cannot_be_seen_is_neither_made_nor_pruned_and_the_others_are() {
    story(&format!("{}{}", config("old"), config("kept")), async |mut stage| {
        stage = stage.applied().await;
        let service = "---\napiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 1 }] }\n";
        stage.desired = wished(&format!("{}{}{service}", config("kept"), config("new")));
        stage.wire.refuse("list ConfigMap", usize::MAX, Class::Denied, "Forbidden");
        let plan = stage.plan().await.plan;
        let changes: Vec<String> = plan.changes.iter().map(|c| c.address.to_string()).collect();
        assert_eq!(changes, ["manifests.all/Service/default/s"]);
        assert!(plan.held.iter().all(|h| h.by == Hold::Blind && h.waits_for.contains("Forbidden")), "{:#?}", plan.held);
    });
}

#[test]
fn a_list_whose_token_has_expired_begins_anew_and_not_for_ever() {
    let manifests: String = (0..600).map(|n| config(&format!("c{n}"))).collect();
    story(&manifests, async |stage| {
        let stage = stage.applied().await;
        stage.wire.refuse("list ConfigMap v1 * next", 1, Class::Transient, "Expired");
        let reading = stage.read().await;
        assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
        assert_eq!(reading.cluster.expect("it was seen").objects.len(), 600, "each once, none lost");
        assert_eq!(stage.wire.heard("list ConfigMap").len(), 4, "two pages, twice");
        stage.wire.forget();
        stage.wire.refuse("list ConfigMap v1 * next", usize::MAX, Class::Transient, "Expired");
        let reading = stage.read().await;
        assert_eq!(reading.gaps.len(), 1);
        assert!(reading.gaps[0].failure.says.contains("cut off again and again"), "{:?}", reading.gaps);
        assert_eq!(stage.wire.heard("list ConfigMap").len(), 8, "four times in all");
    });
}

#[test]
fn a_list_that_turns_in_a_circle_is_a_gap() {
    story(&config("a"), async |stage| {
        let stage = stage.applied().await;
        stage.wire.pages_go_round();
        let reading = stage.read().await;
        assert!(
            reading.gaps[0].failure.says.contains("continue key") || reading.gaps[0].failure.says.contains("same page")
        );
        assert!(stage.wire.heard("list").len() < 20, "not for ever");
    });
}

#[test]
fn a_group_that_cannot_be_asked_is_not_absent() {
    let deployment = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  selector: { matchLabels: \
                      { app: web } }\n  template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: a, \
                      image: a }] } }\n";
    story(&format!("{}{deployment}", config("a")), async |mut stage| {
        stage = stage.applied().await.next_run();
        // What is there, what is new and what is gone from the file alike.
        for manifests in [format!("{}{deployment}", config("a")), config("a")] {
            stage.desired = wished(&manifests);
            stage.wire.hide("apps");
            let reading = stage.read().await;
            assert_eq!(reading.gaps.len(), 1, "{:?}", reading.gaps);
            assert_eq!((reading.gaps[0].what.as_str(), reading.gaps[0].partial), ("Deployment.apps", true));
            let plan = stage.plan().await.plan;
            assert!(plan.steps.is_empty(), "{:#?}", plan.steps);
        }
        let looked = stage.look("Deployment.apps/default/web").await.expect_err("nobody knows");
        assert_eq!(looked.code, "Stale", "no wait for its end may be over");
    });
}

#[test]
fn a_cluster_that_does_not_answer_is_one_gap_and_nothing_else() {
    story(&config("a"), async |stage| {
        stage.wire.refuse("discover", usize::MAX, Class::Credentials, "Unauthorized");
        let reading = stage.read().await;
        assert!(reading.cluster.is_none());
        assert_eq!(reading.gaps.len(), 1);
        assert!(!reading.gaps[0].partial && reading.gaps[0].what.contains("the cluster sim"), "{:?}", reading.gaps);
    });
}

#[test]
fn what_the_file_names_and_another_made_is_found_by_its_name() {
    story(&config("a"), async |stage| {
        stage
            .by_others(serde_json::json!({ "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": "a", "namespace": "default" }, "data": { "k": "theirs" } }))
            .await;
        let reading = stage.read().await;
        assert_eq!(
            stage.wire.heard("get ConfigMap"),
            ["get ConfigMap default/evenkeel-7f3kq2x9", "get ConfigMap default/a"]
        );
        assert_eq!(
            reading.cluster.expect("it was seen").objects[&name("ConfigMap/default/a")].body["data"]["k"],
            "theirs"
        );
    });
}

#[test]
fn two_versions_of_one_kind_are_each_seen_as_the_file_writes_them() {
    let scaler = |version: &str, name: &str, rest: &str| {
        format!(
            "---\napiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata: {{ name: {name} }}\nspec: {{ \
             maxReplicas: 3, scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: {name} }}{rest} }}\n"
        )
    };
    let manifests =
        format!("{}{}", scaler("v1", "old", ", targetCPUUtilizationPercentage: 70"), scaler("v2", "new", ""));
    story(&manifests, async |stage| {
        let stage = stage.applied().await;
        let reading = stage.read().await;
        let seen = reading.cluster.expect("it was seen");
        let version = |object: &str| {
            seen.objects[&name(&format!("HorizontalPodAutoscaler.autoscaling/default/{object}"))].body["apiVersion"]
                .clone()
        };
        assert_eq!((version("old"), version("new")), ("autoscaling/v1".into(), "autoscaling/v2".into()));
        let plan = stage.plan().await;
        assert!(plan.plan.is_empty() && plan.plan.notes.is_empty(), "{:#?}", plan.plan.notes);
    });
}

#[test]
fn no_look_keeps_what_a_secret_holds() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { password: hunter2 }\n";
    story(secret, async |stage| {
        let stage = stage.applied().await;
        let kept = format!("{:?}", stage.read().await);
        assert!(kept.contains("hmac:") && !kept.contains("hunter2") && !kept.contains("aHVudGVyMg"), "{kept}");
    });
}

#[test]
fn a_lost_mark_costs_a_list_of_every_kind_once_and_a_new_stack_none() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 80 }] }\n";
    story(&format!("{}{service}", config("a")), async |stage| {
        // A new stack has lost nothing.
        stage.read().await;
        assert_eq!(stage.wire.heard("list ").len(), 2, "{:?}", stage.wire.heard("list "));
        let mut stage = stage.applied().await;
        stage.desired = wished(&config("a"));
        let uid = stage
            .wire
            .get(&stage.wire.which(&json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "evenkeel-7f3kq2x9", "namespace": "default" } })))
            .await
            .expect("the mark");
        let uid = uid["metadata"]["uid"].as_str().expect("a uid").to_owned();
        let mark = "ConfigMap/default/evenkeel-7f3kq2x9";
        stage.perform(mark, "v1", ObjectDoes::Delete { uid }).await.expect("deleted");
        stage.wire.forget();
        // Who may not list a kind hears nothing of it, and that is no gap; what fails in another way is one.
        stage.wire.refuse("list Secret", usize::MAX, Class::Denied, "Forbidden");
        let reading = stage.read().await;
        assert!(stage.wire.heard("list ").len() > 20, "{:?}", stage.wire.heard("list "));
        assert_eq!(reading.gaps, []);
        let seen = reading.cluster.expect("it was seen");
        assert!(seen.objects.contains_key(&name("Service/default/s")), "the file has no kind of it any more");
        assert!(seen.parent.is_none());
        stage.wire.refuse("list PodDisruptionBudget", usize::MAX, Class::Invalid, "");
        assert_eq!(stage.read().await.gaps.len(), 1);
    });
}
