//! Any sequence of applies and patches by several managers: what must always be so is always so.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::ssa::{Apply, Form, Update, apply, update};
use super::*;

#[derive(Debug, Clone)]
enum Deed {
    Apply { manager: usize, force: bool, wish: Json },
    Update { manager: usize, change: Json },
}

const MANAGERS: [&str; 3] = ["evenkeel", "other", "kubectl"];

fn wish() -> impl Strategy<Value = Json> {
    let maybe = |n: u8| proptest::option::of(0..n);
    let container = (0..3u8, maybe(3), maybe(3)).prop_map(|(name, image, env)| {
        let mut c = json!({ "name": format!("c{name}") });
        if let Some(n) = image {
            c["image"] = json!(format!("i:{n}"));
        }
        if let Some(n) = env {
            c["env"] = json!([{ "name": "A", "value": n.to_string() }]);
        }
        c
    });
    (maybe(4), maybe(3), maybe(3), vec(container, 0..3)).prop_map(|(replicas, a, b, containers)| {
        let mut object = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" } });
        if let Some(n) = replicas {
            object["spec"]["replicas"] = json!(n);
        }
        for (label, value) in [("a", a), ("b", b)] {
            if let Some(n) = value {
                object["metadata"]["labels"][label] = json!(n.to_string());
            }
        }
        let mut once: Vec<Json> = Vec::new();
        for c in containers {
            if once.iter().all(|o| o["name"] != c["name"]) {
                once.push(c);
            }
        }
        if !once.is_empty() {
            object["spec"]["template"]["spec"]["containers"] = json!(once);
        }
        object
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (0..2usize, any::<bool>(), wish()).prop_map(|(manager, force, wish)| Deed::Apply { manager, force, wish }),
        1 => (2..3usize, wish()).prop_map(|(manager, change)| Deed::Update { manager, change }),
    ]
}

/// Every leaf of a value as a path of field names and keys, in words.
fn leaves(value: &Json, at: &str, all: &mut Vec<(String, Json)>) {
    match value {
        Json::Object(table) if !table.is_empty() => {
            for (name, below) in table {
                leaves(below, &format!("{at}/f:{name}"), all);
            }
        }
        Json::Array(list) if list.iter().all(|i| i.get("name").is_some()) && !list.is_empty() => {
            for item in list {
                leaves(item, &format!("{at}/k:{{\"name\":{}}}", item["name"]), all);
            }
        }
        _ => all.push((at.to_owned(), value.clone())),
    }
}

fn holders(object: &Json, path: &str) -> Vec<String> {
    let steps: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    items(object, &["metadata", "managedFields"])
        .iter()
        .filter(|e| at(&e["fieldsV1"], &steps).is_some())
        .map(|e| text(e, &["manager"]).to_owned())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_fields_value_was_last_set_by_one_of_its_managers(deeds in vec(deed(), 1..12)) {
        let form = Form::built_in("apps", "Deployment");
        let now = "2026-01-05T12:00:00Z".parse().unwrap();
        let mut live: Option<Json> = None;
        // What each manager said last of each path.
        let mut said: std::collections::BTreeMap<(String, String), Json> = std::collections::BTreeMap::new();
        for deed in deeds {
            let before = live.clone();
            match deed {
                Deed::Apply { manager, force, wish } => {
                    let manager = MANAGERS[manager];
                    let ask = Apply { live: live.as_ref(), wish: &wish, manager, force, form, now };
                    match apply(&ask) {
                        Err(conflicts) => {
                            prop_assert!(!force, "force is never refused");
                            prop_assert!(!conflicts.is_empty());
                            prop_assert!(conflicts.iter().all(|c| !c.with.contains(manager)), "never with oneself");
                            continue;
                        }
                        Ok(object) => {
                            let mut all = Vec::new();
                            leaves(&wish, "", &mut all);
                            for (path, value) in all.into_iter().filter(|(p, _)| !nobodys(p)) {
                                prop_assert!(holders(&object, &path).contains(&manager.to_owned()), "{path} is ours now");
                                said.insert((manager.to_owned(), path), value);
                            }
                            // Without any entry nobody keeps account, until the next apply does.
                            if at(&object, &["metadata", "managedFields"]).is_some() {
                                let again = apply(&Apply { live: Some(&object), ..ask });
                                prop_assert_eq!(again, Ok(object.clone()), "the same again is nothing");
                            }
                            live = Some(object);
                        }
                    }
                }
                Deed::Update { manager, change } => {
                    let Some(old) = before else { continue };
                    let new = super::super::serve::merge_patch(&old, &change);
                    let ask = Update { before: Some(&old), after: &new, manager: MANAGERS[manager], subresource: None, form, now };
                    let object = update(&ask);
                    let mut all = Vec::new();
                    leaves(&new, "", &mut all);
                    for (path, value) in all {
                        said.insert((MANAGERS[manager].to_owned(), path), value);
                    }
                    live = Some(object);
                }
            }
            let object = live.as_ref().expect("something was applied");
            let mut all = Vec::new();
            let mut bare = object.clone();
            bare["metadata"].as_object_mut().unwrap().remove("managedFields");
            leaves(&bare, "", &mut all);
            // An empty table is what is left when its parts were taken away by others: whoever made it holds it still.
            let table = |value: &Json| value.is_object();
            for (path, value) in all.into_iter().filter(|(p, v)| !nobodys(p) && !table(v)) {
                let holders = holders(object, &path);
                let right = |m: &String| m == "before-first-apply" || said.get(&(m.clone(), path.clone())) == Some(&value);
                prop_assert!(holders.is_empty() || holders.iter().any(right), "{path} = {value} is held by {holders:?}");
            }
        }
    }
}

fn nobodys(path: &str) -> bool {
    matches!(path, "/f:apiVersion" | "/f:kind" | "/f:metadata/f:name")
}
