//! Whole objects, as a server shows them: who moved, and what is no difference at all.

use serde_json::{Value, json};

use super::compare::{Comparison, Known, Why, compare, compare_knowing};
use super::settle::settle;

/// What the file says.
fn wish() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "web", "image": "registry.example/web:1",
                            "ports": [{"containerPort": 8080}],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                            "resources": {"requests": {"cpu": "1000m", "memory": "1Gi"}},
                        },
                        {"name": "log", "image": "registry.example/log:1"},
                    ],
                    "tolerations": [{"key": "spot", "operator": "Exists"}],
                },
            },
        },
    })
}

/// Our entry after applying that, as the server writes it.
fn our_fields() -> Value {
    json!({
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:replicas": {}, "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:containers": {
                        "k:{\"name\":\"web\"}": {
                            ".": {}, "f:name": {}, "f:image": {},
                            "f:ports": {"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                            "f:env": {
                                "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
                                "k:{\"name\":\"B\"}": {".": {}, "f:name": {}, "f:value": {}},
                            },
                            "f:resources": {"f:requests": {"f:cpu": {}, "f:memory": {}}},
                        },
                        "k:{\"name\":\"log\"}": {".": {}, "f:name": {}, "f:image": {}},
                    },
                    "f:tolerations": {},
                },
            },
        },
    })
}

fn entry(manager: &str, operation: &str, time: &str, fields: Value) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
        "time": format!("2026-11-24T{time}Z"), "fieldsV1": fields,
    })
}

/// What the server shows after it: its defaults, its canonical forms, its controller's entry.
fn live() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 1,
            "creationTimestamp": "2026-11-24T10:00:00Z",
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "labels": {"app": "web"},
            "managedFields": [
                entry("evenkeel", "Apply", "10:00:00", our_fields()),
                {
                    "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1",
                    "fieldsType": "FieldsV1", "time": "2026-11-24T10:00:05Z", "subresource": "status",
                    "fieldsV1": {
                        "f:metadata": {"f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}}},
                        "f:status": {"f:conditions": {".": {}, "k:{\"type\":\"Available\"}": {".": {}, "f:type": {}}}},
                    },
                },
            ],
        },
        "spec": {
            "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10, "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {
                "metadata": {"creationTimestamp": null, "labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "web", "image": "registry.example/web:1", "imagePullPolicy": "IfNotPresent",
                            "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
                            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                        },
                        {
                            "name": "log", "image": "registry.example/log:1", "imagePullPolicy": "IfNotPresent",
                            "resources": {},
                        },
                    ],
                    "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                    "securityContext": {}, "terminationGracePeriodSeconds": 30,
                    "tolerations": [{"key": "spot", "operator": "Exists"}],
                },
            },
        },
        "status": {"observedGeneration": 1, "replicas": 3, "conditions": [{"type": "Available", "status": "True"}]},
    })
}

/// `object` with the value at a JSON pointer put in.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    *object.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    object
}

/// `object` without what stands at a JSON pointer.
fn without(mut object: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match object.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
        Value::Object(table) => table.remove(&name.replace("~1", "/")).expect("the key is there"),
        Value::Array(items) => items.remove(name.parse().expect("an index")),
        other => panic!("{other} has no parts"),
    };
    object
}

/// `live` after somebody else's change: the paths leave our set and stand in theirs.
fn taken(mut live: Value, ours: &str, theirs: Value) -> Value {
    live = without(live, &format!("/metadata/managedFields/0/fieldsV1{ours}"));
    live["metadata"]["managedFields"].as_array_mut().expect("a list").push(theirs);
    live
}

const CONTAINER: &str = "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"web\"}";

pub(super) fn says(comparison: &Comparison) -> Vec<String> {
    let one = |v: &Option<Value>| v.as_ref().map_or("-".to_owned(), Value::to_string);
    let held = |d: &super::compare::Difference| d.held.iter().map(|h| format!(" {h}")).collect::<String>();
    let line = |d: &super::compare::Difference| {
        format!("{:?} {} {} → {}{}", d.why, d.path, one(&d.live), one(&d.wish), held(d))
    };
    comparison.differences.iter().map(line).collect()
}

fn verdict(wish: &Value, live: &Value) -> Vec<String> {
    let comparison = compare(wish, live, "evenkeel");
    assert_eq!(comparison.problems, Vec::<String>::new());
    says(&comparison)
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_was_applied_is_the_same_whatever_the_server_made_of_it() {
    let comparison = compare(&wish(), &live(), "evenkeel");
    assert_eq!(says(&comparison), NOTHING);
    assert!(!comparison.may_differ() && !comparison.adopts);
    assert_eq!(comparison.same, 16);
}

#[test]
fn what_only_the_file_can_have_moved_is_pending() {
    let file = with(wish(), "/spec/replicas", json!(5));
    assert_eq!(verdict(&file, &live()), ["Pending spec.replicas 3 → 5"]);
    let file = with(file, "/spec/template/spec/containers/0/resources/requests/cpu", json!("2"));
    assert_eq!(
        verdict(&file, &live()),
        [
            "Pending spec.replicas 3 → 5",
            "Pending spec.template.spec.containers[name=web].resources.requests.cpu \"1\" → \"2\""
        ]
    );
}

#[test]
fn kubectl_scale_is_drift_with_its_author() {
    let mut scaled = entry("kubectl", "Update", "11:00:00", json!({"f:spec": {"f:replicas": {}}}));
    scaled["subresource"] = json!("scale");
    let live = with(taken(live(), "/f:spec/f:replicas", scaled), "/spec/replicas", json!(9));
    let comparison = compare(&wish(), &live, "evenkeel");
    assert_eq!(says(&comparison), ["Drift spec.replicas 9 → 3 kubectl (scale)"]);
    let when = comparison.differences[0].held[0].at.map(|t| t.to_string());
    assert_eq!(when.as_deref(), Some("2026-11-24T11:00:00Z"));
    assert!(comparison.values_differ());
}

#[test]
fn the_last_of_several_holders_is_who_came_last() {
    let theirs = |who: &str, time: &str| entry(who, "Update", time, json!({"f:spec": {"f:replicas": {}}}));
    let mut live = with(taken(live(), "/f:spec/f:replicas", theirs("later", "12:00:00")), "/spec/replicas", json!(9));
    live["metadata"]["managedFields"].as_array_mut().expect("a list").push(theirs("earlier", "11:00:00"));
    assert_eq!(verdict(&wish(), &live), ["Drift spec.replicas 9 → 3 earlier later"]);
}

#[test]
fn set_back_by_hand_is_right_and_only_not_ours() {
    let image =
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}});
    let live = taken(live(), &format!("{CONTAINER}/f:image"), entry("kubectl-set", "Update", "11:00:00", image));
    let comparison = compare(&wish(), &live, "evenkeel");
    let image = "\"registry.example/web:1\"";
    let path = "spec.template.spec.containers[name=web].image";
    assert_eq!(says(&comparison), [format!("Restamp {path} {image} → {image} kubectl-set")]);
    assert!(comparison.may_differ() && !comparison.values_differ());
}

#[test]
fn onto_what_another_held_before_us_is_a_conflict() {
    let theirs = entry("autoscaler", "Update", "09:00:00", json!({"f:spec": {"f:replicas": {}}}));
    let live = with(taken(live(), "/f:spec/f:replicas", theirs), "/spec/replicas", json!(9));
    assert_eq!(verdict(&wish(), &live), ["Conflict spec.replicas 9 → 3 autoscaler"]);
    let known = Known { manager: "evenkeel", moved: Some(false) };
    let comparison = compare_knowing(&wish(), &live, known);
    assert_eq!(says(&comparison), ["Drift spec.replicas 9 → 3 autoscaler"], "the file did not move");
}

#[test]
fn a_label_taken_away_by_hand_is_told_from_a_new_one_by_the_hint_only() {
    let gone = without(without(live(), "/metadata/labels/app"), "/metadata/managedFields/0/fieldsV1/f:metadata");
    let why = |moved| compare_knowing(&wish(), &gone, Known { manager: "evenkeel", moved }).differences[0].why;
    assert_eq!([why(None), why(Some(true)), why(Some(false))], [Why::Pending, Why::Pending, Why::Drift]);
}

#[test]
fn what_the_file_drops_is_removed_and_only_if_it_is_ours() {
    assert_eq!(verdict(&without(wish(), "/spec/replicas"), &live()), ["Removal spec.replicas 3 → -"]);
    let file = without(wish(), "/spec/template/spec/containers/0/env/1");
    assert_eq!(
        verdict(&file, &live()),
        ["Removal spec.template.spec.containers[name=web].env[name=B] {\"name\":\"B\",\"value\":\"2\"} → -"]
    );
    let file = without(wish(), "/spec/template/spec/containers/1");
    let comparison = compare(&file, &live(), "evenkeel");
    let paths: Vec<String> = comparison.of(Why::Removal).map(|d| d.path.to_string()).collect();
    assert_eq!(paths, ["spec.template.spec.containers[name=log]"], "a container goes as a whole");
    let file = without(wish(), "/spec/template/spec/tolerations");
    assert_eq!(compare(&file, &live(), "evenkeel").of(Why::Removal).count(), 1);
}

#[test]
fn what_another_holds_too_stays_when_we_give_it_up() {
    let mut live = live();
    let theirs = entry("argocd", "Apply", "11:00:00", json!({"f:spec": {"f:replicas": {}}}));
    live["metadata"]["managedFields"].as_array_mut().expect("a list").push(theirs);
    assert_eq!(verdict(&wish(), &live), NOTHING, "held by both");
    assert_eq!(verdict(&without(wish(), "/spec/replicas"), &live), ["Restamp spec.replicas 3 → - argocd"]);
}

#[test]
fn what_others_put_beside_ours_is_silent() {
    let mut live = live();
    live["metadata"]["labels"]["team"] = json!("payments");
    live["metadata"]["annotations"]["note"] = json!("by hand");
    let containers = live.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    containers.expect("a list").push(json!({"name": "istio-proxy", "image": "proxy:1"}));
    live["metadata"]["managedFields"].as_array_mut().expect("a list").push(entry(
        "kubectl-label",
        "Update",
        "11:00:00",
        json!({
            "f:metadata": {"f:labels": {"f:team": {}}, "f:annotations": {"f:note": {}}},
            "f:spec": {"f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"istio-proxy\"}": {".": {}, "f:name": {}, "f:image": {}}}}}},
        }),
    ));
    assert_eq!(verdict(&wish(), &live), NOTHING);
}

#[test]
fn an_object_that_others_made_is_adopted() {
    let mut live = live();
    let client = entry("kubectl-client-side-apply", "Update", "09:00:00", our_fields());
    live["metadata"]["managedFields"] = json!([client]);
    let same = compare(&wish(), &live, "evenkeel");
    assert!(same.adopts && !same.values_differ() && same.may_differ(), "all that differs is who holds it");
    let changed = compare(&with(wish(), "/spec/replicas", json!(5)), &live, "evenkeel");
    assert_eq!(changed.of(Why::Conflict).count(), 1, "the server would refuse without force");
    live["metadata"].as_object_mut().expect("a table").remove("managedFields");
    let bare = compare(&with(wish(), "/spec/replicas", json!(5)), &live, "evenkeel");
    assert_eq!((bare.adopts, bare.of(Why::Pending).count(), bare.of(Why::Conflict).count()), (true, 1, 0));
}

#[test]
fn lists_with_keys_and_sets_have_no_order() {
    let mut file = wish();
    let containers = "/spec/template/spec/containers";
    file.pointer_mut(containers).and_then(Value::as_array_mut).expect("a list").reverse();
    file.pointer_mut("/spec/template/spec/containers/1/env").and_then(Value::as_array_mut).expect("a list").reverse();
    assert_eq!(verdict(&file, &live()), NOTHING);
    let (mut file, mut live) = (wish(), live());
    file["metadata"]["finalizers"] = json!(["a.io/x", "b.io/y"]);
    live["metadata"]["finalizers"] = json!(["b.io/y", "c.io/z", "a.io/x"]);
    live["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"]["f:finalizers"] =
        json!({"v:\"a.io/x\"": {}, "v:\"b.io/y\"": {}});
    assert_eq!(verdict(&file, &live), NOTHING);
    file["metadata"]["finalizers"] = json!(["a.io/x", "d.io/new"]);
    assert_eq!(
        verdict(&file, &live),
        [
            "Removal metadata.finalizers[\"b.io/y\"] \"b.io/y\" → -",
            "Pending metadata.finalizers[\"d.io/new\"] - → \"d.io/new\""
        ]
    );
}

#[test]
fn containers_that_run_one_after_the_other_have_an_order() {
    let init = |names: [&str; 2]| json!(names.map(|n| json!({"name": n, "image": "i"})));
    let (mut file, mut live) = (wish(), live());
    file["spec"]["template"]["spec"]["initContainers"] = init(["second", "first"]);
    live["spec"]["template"]["spec"]["initContainers"] = init(["first", "second"]);
    let item = json!({".": {}, "f:name": {}, "f:image": {}});
    live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:initContainers"] =
        json!({"k:{\"name\":\"first\"}": item, "k:{\"name\":\"second\"}": item});
    let comparison = compare(&file, &live, "evenkeel");
    assert_eq!(comparison.differences.len(), 1);
    assert_eq!(comparison.differences[0].path.to_string(), "spec.template.spec.initContainers");
}

#[test]
fn one_piece_is_compared_as_one_piece() {
    let file =
        with(wish(), "/spec/template/spec/tolerations", json!([{"key": "spot", "operator": "Exists"}, {"key": "gpu"}]));
    let comparison = compare(&file, &live(), "evenkeel");
    assert_eq!(comparison.differences.len(), 1);
    assert_eq!(comparison.differences[0].path.to_string(), "spec.template.spec.tolerations");
    let live = with(
        live(),
        "/spec/selector",
        json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}),
    );
    assert_eq!(verdict(&wish(), &live), NOTHING, "the same selector in other words");
}

#[test]
fn what_makes_no_sense_is_said() {
    let twice = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    let comparison = compare(&with(wish(), "/spec/template/spec/containers/0/env", twice), &live(), "evenkeel");
    assert!(
        comparison.problems.iter().any(|p| p.contains("env[name=A] stands there twice")),
        "{:?}",
        comparison.problems
    );
    let nameless = json!([{"value": "1"}]);
    let comparison = compare(&with(wish(), "/spec/template/spec/containers/0/env", nameless), &live(), "evenkeel");
    assert!(comparison.problems.iter().any(|p| p.contains("has no name")), "{:?}", comparison.problems);
    let other = with(live(), "/apiVersion", json!("apps/v1beta1"));
    assert!(compare(&wish(), &other, "evenkeel").problems[0].contains("another kind or version"));
}

#[test]
fn nulls_and_empties_of_ours_that_the_server_left_out_cost_nothing() {
    let (mut file, mut live) = (wish(), live());
    file["spec"]["minReadySeconds"] = json!(0);
    file["spec"]["paused"] = json!(false);
    file["spec"]["template"]["spec"]["volumes"] = json!([]);
    file["metadata"]["annotations"] = json!({});
    file["metadata"]["creationTimestamp"] = json!(null);
    file["spec"]["template"]["spec"]["hostNetwork"] = json!(null);
    file["spec"]["strategy"] = json!({});
    let ours = &mut live["metadata"]["managedFields"][0]["fieldsV1"];
    ours["f:spec"]["f:minReadySeconds"] = json!({});
    ours["f:spec"]["f:paused"] = json!({});
    ours["f:spec"]["f:strategy"] = json!({});
    ours["f:metadata"]["f:annotations"] = json!({});
    assert_eq!(verdict(&file, &live), NOTHING);
    // Not ours: somebody took it away, or it is new.
    let file = with(file, "/spec/template/spec/hostNetwork", json!(false));
    assert_eq!(verdict(&file, &live), ["Pending spec.template.spec.hostNetwork - → false"]);
}

#[test]
fn the_status_is_never_ours() {
    let mut file = wish();
    file["status"] = json!({"replicas": 99});
    assert_eq!(verdict(&file, &live()), NOTHING);
    let custom = |replicas: u32| json!({"apiVersion": "x.io/v1", "kind": "Thing", "status": {"replicas": replicas}});
    assert_eq!(compare(&custom(1), &custom(2), "evenkeel").differences.len(), 1, "an ordinary field");
}

#[test]
fn the_server_has_the_last_word() {
    let file = with(wish(), "/spec/template/spec/containers/0/image", json!("registry.example/web@mirror"));
    let pending = compare(&file, &live(), "evenkeel");
    assert_eq!(pending.differences.len(), 1);
    // A webhook writes the image back: nothing would change.
    let settled = settle(pending.clone(), &live(), &live(), "evenkeel");
    assert!(settled.settled && !settled.may_differ(), "{:?}", says(&settled));
    assert_eq!(settled.same, pending.same + 1);
    // It would change, and a webhook adds a label beside it.
    let mut dry = with(live(), "/spec/template/spec/containers/0/image", json!("registry.example/web@mirror"));
    dry["metadata"]["labels"]["injected"] = json!("yes");
    dry["metadata"]["resourceVersion"] = json!("8");
    dry["metadata"]["generation"] = json!(2);
    dry["status"] = json!({});
    let settled = settle(pending, &dry, &live(), "evenkeel");
    assert_eq!(
        says(&settled),
        [
            "Follows metadata.labels.injected - → \"yes\"",
            "Pending spec.template.spec.containers[name=web].image \"registry.example/web:1\" → \"registry.example/web@mirror\"",
        ]
    );
}

#[test]
fn a_removal_that_leaves_the_default_only_gives_up_the_hold() {
    let removal = compare(&without(wish(), "/spec/replicas"), &live(), "evenkeel");
    let dry = without(live(), "/metadata/managedFields/0/fieldsV1/f:spec/f:replicas");
    assert_eq!(says(&settle(removal, &dry, &live(), "evenkeel")), ["Restamp spec.replicas 3 → -"]);
}

#[test]
fn a_request_that_the_server_keeps_as_it_is_stays_a_difference() {
    let request = |signer: &str| {
        json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "r"},
            "spec": {"signerName": signer, "usages": ["client auth"]},
        })
    };
    assert_eq!(verdict(&request("x.io/a"), &request("x.io/a")), NOTHING, "nobody is its holder, ever");
    let (file, live) = (request("x.io/b"), request("x.io/a"));
    let settled = settle(compare(&file, &live, "evenkeel"), &live, &live, "evenkeel");
    assert_eq!(says(&settled), ["Pending spec.signerName \"x.io/a\" → \"x.io/b\""]);
}

#[test]
fn the_rules_of_a_role_made_of_others_are_its_controllers() {
    let role = |rules: Value| {
        let selectors = json!([{"matchLabels": {"a": "b"}}]);
        let aggregation = json!({"clusterRoleSelectors": selectors});
        let meta = json!({"name": "r", "managedFields": [
            {"manager": "evenkeel", "operation": "Apply", "fieldsV1": {"f:aggregationRule": {"f:clusterRoleSelectors": {}}}},
            {"manager": "clusterrole-aggregation-controller", "operation": "Apply", "fieldsV1": {"f:rules": {}}},
        ]});
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": meta,
            "aggregationRule": aggregation, "rules": rules,
        })
    };
    assert_eq!(verdict(&role(json!([])), &role(json!([{"verbs": ["get"]}]))), NOTHING);
}

#[test]
fn a_key_that_only_the_servers_schema_fills_in_is_found_by_elimination() {
    let thing = |ports: Value, fields: Value| {
        let managed =
            json!([{"manager": "evenkeel", "operation": "Apply", "fieldsV1": {"f:spec": {"f:ports": fields}}}]);
        let meta = json!({"name": "t", "managedFields": managed});
        json!({"apiVersion": "x.io/v1", "kind": "Thing", "metadata": meta, "spec": {"ports": ports}})
    };
    let fields = json!({
        "k:{\"port\":80,\"protocol\":\"SCTP\"}": {".": {}, "f:name": {}, "f:port": {}},
        "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}},
    });
    let live = thing(json!([{"port": 80, "protocol": "SCTP", "name": "a"}, {"port": 80, "protocol": "TCP"}]), fields);
    let file = thing(json!([{"port": 80, "name": "a"}, {"port": 80, "protocol": "TCP"}]), json!({}));
    assert_eq!(verdict(&file, &live), NOTHING);
    let file = thing(json!([{"port": 80, "name": "b"}, {"port": 80, "protocol": "TCP"}]), json!({}));
    assert_eq!(verdict(&file, &live), ["Pending spec.ports[port=80,protocol=SCTP].name \"a\" → \"b\""]);
}
