//! A definition that gains a version, with objects in it.

use super::*;

fn definition(versions: &[&str]) -> Json {
    let versions: Vec<Json> = versions.iter().map(|v| json!({ "name": v, "served": true })).collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.org" },
        "spec": { "group": "example.org", "names": { "kind": "Widget", "plural": "widgets" }, "versions": versions },
    })
}

fn widget(name: &str, version: &str) -> Json {
    json!({ "apiVersion": format!("example.org/{version}"), "kind": "Widget",
        "metadata": { "name": name, "namespace": "shop" } })
}

/// A cluster that serves `v1`.
fn stage() -> Stage {
    let mut stage = Stage::new();
    let seen = KindSeen { api_versions: vec!["example.org/v1".into()], plural: "widgets".into(), namespaced: true };
    stage.cluster().kinds.insert("Widget.example.org".into(), seen);
    stage.parent(&["CustomResourceDefinition.apiextensions.k8s.io", "Widget.example.org"])
}

#[test]
fn objects_of_a_version_that_their_definition_gains_come_after_it() {
    let both = || stage().wish(definition(&["v1", "v2"]));
    let plan = both().wish(widget("new", "v2")).live(definition(&["v1"])).plan();
    assert_eq!(plan.held, []);
    let all = steps(&plan);
    assert_eq!(all[..2], ["apply CustomResourceDefinition widgets.example.org []", "wait Ready 1 [0]"]);
    assert_eq!(all[2], "apply Widget shop/new [1]");
    // One that is there already in the old version moves into the new one.
    let plan = both().wish(widget("old", "v2")).live(definition(&["v1"])).live(widget("old", "v1")).plan();
    assert_eq!(steps(&plan)[2], "apply Widget shop/old [1]", "{plan:#?}");
    // The definition was changed by a run that was ended before the version was served.
    let plan = both().wish(widget("new", "v2")).live(definition(&["v1", "v2"])).plan();
    assert_eq!(steps(&plan), ["wait Ready 1 []", "apply Widget shop/new [0]"]);
}

#[test]
fn a_version_that_nobody_is_about_to_serve_is_told() {
    for live in [None, Some(widget("w", "v1"))] {
        let mut stage = stage().wish(definition(&["v1"])).live(definition(&["v1"])).wish(widget("w", "v2"));
        if let Some(live) = live {
            stage = stage.live(live);
        }
        let (by, says) = &holds(&stage.plan())[0];
        let is = "Widget.example.org is not served in example.org/v2, but in example.org/v1: change its apiVersion";
        assert_eq!((*by, says.as_str()), (Hold::Unresolved, is));
    }
}
