//! Whose an object is: labels that came from the file are no other tool's.

use super::*;

fn chart(name: &str) -> Json {
    let mut body = config(name, "1");
    body["metadata"]["labels"] =
        json!({ "app.kubernetes.io/managed-by": "Helm", "argocd.argoproj.io/instance": "shop" });
    body
}

#[test]
fn what_helm_template_wrote_and_we_have_applied_is_ours_and_is_pruned() {
    let kept = || Stage::new().wish(config("a", "1")).live(config("a", "1")).parent(&["ConfigMap"]);
    let same = kept().wish(chart("c")).live(chart("c")).plan();
    assert!(same.is_empty() && same.held.is_empty(), "{same:#?}");
    let plan = kept().live(chart("c")).plan();
    assert_eq!(plan.held, [], "nobody's leave is needed");
    assert_eq!(steps(&plan), ["delete ConfigMap shop/c []", "wait Deleted 1 [0]"]);
}

#[test]
fn one_of_ours_that_a_tool_has_taken_is_that_tools() {
    for (table, key, tool) in [
        ("annotations", "meta.helm.sh/release-name", "Helm (theirs)"),
        ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD (theirs)"),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux (theirs)"),
    ] {
        let mut stage =
            Stage::new().wish(config("a", "1")).live(config("a", "1")).live(chart("c")).parent(&["ConfigMap"]);
        let name: ObjectName = "ConfigMap/shop/c".parse().unwrap();
        let live = stage.cluster().objects.get_mut(&name).unwrap();
        live.body["metadata"][table][key] = "theirs".into();
        let held = json!({ "f:metadata": { format!("f:{table}"): { format!("f:{key}"): {} } } });
        let entries = live.body["metadata"]["managedFields"].as_array_mut().unwrap();
        entries.push(json!({ "manager": "tool", "operation": "Update", "apiVersion": "v1",
            "time": "2026-01-02T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": held }));
        let plan = stage.plan();
        let (by, says) = &holds(&plan)[0];
        assert!(*by == Hold::Foreign && says.contains(tool), "{says}");
    }
}
