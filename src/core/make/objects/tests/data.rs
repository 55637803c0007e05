//! What takes data along when it goes, and what stays because its table said so.

use super::*;

fn set(when_deleted: &str, service: &str) -> Json {
    json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "db", "namespace": "shop" },
        "spec": {
            "serviceName": service,
            "persistentVolumeClaimRetentionPolicy": { "whenDeleted": when_deleted },
            "volumeClaimTemplates": [{ "metadata": { "name": "data" } }],
        } })
}

fn stage() -> Stage {
    let mut stage = Stage::new();
    let seen = KindSeen { api_versions: vec!["apps/v1".into()], plural: "statefulsets".into(), namespaced: true };
    stage.cluster().kinds.insert("StatefulSet.apps".into(), seen);
    stage.wish(config("a", "1")).live(config("a", "1")).parent(&["ConfigMap", "StatefulSet.apps"])
}

fn name() -> ObjectName {
    "StatefulSet.apps/shop/db".parse().unwrap()
}

#[test]
fn a_stateful_set_whose_claims_go_with_it_goes_in_two_steps() {
    let plan = stage().live(set("Delete", "db")).plan();
    assert_eq!(plan.changes[0].action, Action::Quarantine, "{plan:#?}");
    assert_eq!(steps(&plan), ["mark StatefulSet shop/db []"]);
    let mut over = stage().live(set("Delete", "db"));
    let live = over.cluster().objects.get_mut(&name()).unwrap();
    live.body["metadata"]["annotations"][applyset::DELETE_AFTER] = "1999-01-01T00:00:00Z".into();
    assert_eq!(steps(&over.plan())[0], "delete StatefulSet shop/db []");
    let kept = stage().live(set("Retain", "db")).plan();
    assert_eq!(kept.changes[0].action, Action::Delete, "its claims stay");
    let mut all = stage().live(set("Delete", "db"));
    all.world.intent = Intent { destroy: true, ..Intent::default() };
    let all = steps(&all.plan());
    let delete = all.iter().position(|s| s.starts_with("delete StatefulSet")).unwrap();
    assert!(all[..delete].iter().any(|s| s.starts_with("mark StatefulSet")), "{all:?}");
}

#[test]
fn a_stateful_set_whose_claims_go_with_it_is_not_made_anew() {
    let plan = stage().wish(set("Delete", "new")).live(set("Delete", "old")).plan();
    let (by, says) = &holds(&plan)[0];
    assert!(*by == Hold::Protection && says.contains("whenDeleted"), "{says}");
    assert!(plan.steps.is_empty());
    let plan = stage().wish(set("Retain", "new")).live(set("Retain", "old")).plan();
    assert_eq!(plan.changes[0].action, Action::Replace);
}

#[test]
fn no_plan_takes_claims_along_in_one_step() {
    let stage = stage().live(set("Retain", "db"));
    let plan = stage.plan();
    assert_eq!(plan.changes[0].action, Action::Delete);
    // Somebody changes it after the plan was made.
    let mut changed = stage;
    let live = changed.cluster().objects.get_mut(&name()).unwrap();
    live.body["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] = "Delete".into();
    let says: Vec<String> = changed.world.vet(&plan).iter().map(ToString::to_string).collect();
    assert!(says.iter().any(|s| s.contains("holds data and whose quarantine is not over")), "{says:?}");
}

#[test]
fn what_is_not_to_be_pruned_stays_when_its_whole_table_is_gone() {
    let kept = |body: Json| {
        let mut body = body;
        let gone = Group { kind: Kind::Manifests, name: "gone".into() };
        let stage = stage();
        let keep = applyset::Keep { protect: false, prune: false };
        applyset::mark(&mut body, &stage.stack(), STACK_NS, &gone, keep);
        stage.live_of(body, "evenkeel")
    };
    let plan = kept(config("old", "1")).plan();
    assert!(plan.changes.iter().all(|c| c.action != Action::Delete), "{plan:#?}");
    let note = plan.notes.iter().find(|n| n.kind == "kept").expect("it is told");
    assert!(note.says.contains("said `prune = false`"), "{}", note.says);
    let mut all = kept(config("old", "1"));
    all.world.intent = Intent { destroy: true, ..Intent::default() };
    assert!(steps(&all.plan()).iter().any(|s| s.starts_with("delete ConfigMap shop/old")), "destroy takes all of it");
}
