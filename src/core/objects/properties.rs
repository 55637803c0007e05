//! Laws over random objects: a thing is the same as itself in any order, and nothing at all makes a panic.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::compare::{Known, Why, compare, compare_knowing};
use super::immutable::{forces_replacement, refused};
use super::managed::Managed;
use super::path::{Path, Scalar, Step};
use super::readiness::readiness;
use super::redact::redacted;
use super::same::{Same, same};
use super::settle::settle;
use super::trouble::pod_trouble;
use super::{Sort, quantity, shape};

/// Names that tables know, so that random objects meet them.
const NAMES: &[&str] = &[
    "metadata",
    "spec",
    "status",
    "labels",
    "name",
    "finalizers",
    "managedFields",
    "template",
    "containers",
    "env",
    "ports",
    "containerPort",
    "protocol",
    "resources",
    "requests",
    "cpu",
    "selector",
    "matchLabels",
    "volumes",
    "data",
    "conditions",
    "tolerations",
    "limits",
    "f:spec",
    "f:name",
    ".",
    "k:{\"name\":\"a\"}",
    "v:\"a\"",
    "i:0",
    "k:{",
    "manager",
    "fieldsV1",
    "operation",
    "volumeClaimTemplates",
    "metrics",
    "initContainers",
    "stringData",
    "rules",
    "type",
    "max",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{0,3}(m|Gi|h|e9)?".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["evenkeel", "Apply", "TCP", "a", "True", "Bound", "2026-11-24T10:00:00Z"])
            .prop_map(Value::from),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 60, 6, |inner| {
        let name = prop_oneof![4 => prop::sample::select(NAMES).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect::<Map<String, Value>>())),
        ]
    })
}

fn kind() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("v1", "Pod"),
        ("v1", "Secret"),
        ("v1", "Service"),
        ("v1", "LimitRange"),
        ("v1", "PersistentVolumeClaim"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("batch/v1", "Job"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("x.io/v1", "Thing"),
    ])
}

/// Something with a kind and the parts that every object has, filled with anything.
fn object() -> impl Strategy<Value = Value> {
    (kind(), anything(), anything(), anything(), anything()).prop_map(
        |((api_version, kind), metadata, spec, status, managed)| {
            let mut metadata = if metadata.is_object() { metadata } else { json!({"name": metadata}) };
            metadata["managedFields"] = managed;
            json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec, "status": status})
        },
    )
}

/// What the server's paths would be if `manager` had applied all of `object`, lists as one piece.
fn owned(value: &Value) -> Value {
    match value {
        Value::Object(table) => {
            Value::Object(table.iter().map(|(name, below)| (format!("f:{name}"), owned(below))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => json!({}),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_makes_a_panic(wish in object(), live in object(), raw in anything()) {
        for (wish, live) in [(&wish, &live), (&wish, &raw), (&raw, &live)] {
            for moved in [None, Some(false), Some(true)] {
                let comparison = compare_knowing(wish, live, Known { manager: "evenkeel", moved });
                for d in &comparison.differences {
                    let _ = (d.path.to_string(), forces_replacement(live, &d.path, d.wish.as_ref()));
                }
                let _ = settle(comparison, &raw, live, "evenkeel");
            }
        }
        let _ = (readiness(&live), readiness(&raw), pod_trouble(&live), refused(&[(raw.to_string(), raw.to_string())]), quantity::nano(&raw));
        let _ = (redacted(raw.clone(), "k"), redacted(wish, "k"));
        let _ = Managed::of(&raw);
    }

    #[test]
    fn a_value_is_the_same_as_itself(value in anything(), path in prop::collection::vec(prop::sample::select(NAMES), 0..5)) {
        let path = Path::of(path);
        for group in ["", "apps", "x.io"] {
            let sort = Sort { group, kind: "Deployment" };
            prop_assert_eq!(same(sort, &path, &value, &value, false), Same::Equal);
        }
    }

    #[test]
    fn what_we_applied_is_the_same_as_itself(object in object()) {
        let mut live = object.clone();
        let fields = owned(&json!({"metadata": object["metadata"], "spec": object["spec"]}));
        live["metadata"]["managedFields"] =
            json!([{"manager": "evenkeel", "operation": "Apply", "apiVersion": object["apiVersion"], "fieldsV1": fields}]);
        let comparison = compare(&object, &live, "evenkeel");
        prop_assert!(!comparison.values_differ(), "{:?}", comparison.differences);
        let settled = settle(comparison, &live, &live, "evenkeel");
        prop_assert!(!settled.may_differ(), "{:?}", settled.differences);
    }

    #[test]
    fn an_answer_equal_to_what_stands_there_leaves_no_value_to_change(wish in object(), live in object()) {
        let settled = settle(compare(&wish, &live, "evenkeel"), &live, &live, "evenkeel");
        prop_assert!(!settled.may_differ(), "{:?}", settled.differences);
    }

    #[test]
    fn every_change_of_the_servers_answer_is_told(live in object(), dry in object()) {
        let mut dry = dry;
        for part in ["apiVersion", "kind", "metadata", "status"] {
            dry[part] = live[part].clone();
        }
        let settled = settle(compare(&live, &live, "evenkeel"), &dry, &live, "evenkeel");
        let nothing = super::same::is_nothing(&dry["spec"]) && super::same::is_nothing(&live["spec"]);
        let changes = !nothing && !super::same::equal(&dry["spec"], &live["spec"]);
        // Empty lists are absent ones, so a change may be none; but none is never told where there is one.
        if settled.values_differ() {
            prop_assert!(changes);
        }
        prop_assert!(settled.of(Why::Follows).all(|d| d.path.0.first() == Some(&Step::Field("spec".into()))));
    }

    #[test]
    fn lists_with_keys_have_no_order(
        names in prop::collection::btree_set("[a-z]{1,4}", 1..6),
        values in prop::collection::vec("[a-z]{0,3}", 6),
        seed in any::<prop::sample::Index>(),
    ) {
        let env: Vec<Value> =
            names.iter().zip(&values).map(|(n, v)| json!({"name": n, "value": v})).collect();
        let mut turned = env.clone();
        turned.rotate_left(seed.index(env.len()));
        let object = |env: &[Value]| json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "env": env}]},
        });
        let comparison = compare(&object(&env), &object(&turned), "evenkeel");
        prop_assert!(!comparison.values_differ() && comparison.problems.is_empty());
        prop_assert_eq!(comparison.same + comparison.differences.len(), 2 * names.len() + 1);
    }

    #[test]
    fn a_step_finds_the_item_that_it_was_made_of(ports in prop::collection::btree_set(1..100u16, 1..6), udp in any::<bool>()) {
        let keys = ["containerPort".to_owned(), "protocol".to_owned()];
        let port = |n: &u16| if udp { json!({"containerPort": n, "protocol": "UDP"}) } else { json!({"containerPort": n}) };
        let items: Vec<Value> = ports.iter().map(port).collect();
        let list = Value::from(items.clone());
        for item in &items {
            let step = shape::key(Sort { group: "", kind: "Pod" }, item, &keys).expect("it has its keys");
            prop_assert_eq!(shape::below(&list, &step), Some(item));
        }
    }

    #[test]
    fn a_number_is_one_scalar_however_it_is_written(n in -1_000_000i64..1_000_000) {
        prop_assert_eq!(Scalar::from(&json!(n)), Scalar::from(&json!(n as f64)));
    }

    #[test]
    fn quantities_compare_as_numbers(n in 0u32..1_000_000, digits in 0usize..4) {
        let milli = json!(format!("{n}m"));
        let decimal = json!(format!("{}.{:03}{}", n / 1000, n % 1000, "0".repeat(digits)));
        prop_assert_eq!(quantity::nano(&milli), quantity::nano(&decimal));
    }
}
