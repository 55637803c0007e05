//! What becomes of Kubernetes objects, one rule a test.

mod data;
mod marks;
mod owners;
mod refusals;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::address::{Group, Kind, ObjectName};
use crate::applyset;
use crate::desired::{Body, Bundle, Cluster, ObjectWish, cluster_scope};
use crate::failure::{Class, Failure};
use crate::make::{Intent, Made};
use crate::objects::managed::Holder;
use crate::observed::{ClusterSeen, KindSeen, Live, Parent, ScopeSeen, Trial};
use crate::plan::{Action, Call, Do, Hold, ObjectDoes, Plan, Why};
use crate::policy::Amount;
use crate::testing::World;

/// A world of no machines and one cluster.
struct Stage {
    world: World,
}

const STACK_NS: &str = "default";

impl Stage {
    fn new() -> Self {
        let mut world = World::new(0);
        world.desired.machines.clear();
        let scope = cluster_scope("");
        world.desired.clusters.insert(scope.clone(), Cluster::default());
        world.seen.scopes.insert(scope.clone(), ScopeSeen { region: "test".into(), ..ScopeSeen::default() });
        let kind = |versions: &[&str], plural: &str, namespaced: bool| KindSeen {
            api_versions: versions.iter().map(|v| (*v).to_owned()).collect(),
            plural: plural.into(),
            namespaced,
        };
        let kinds = BTreeMap::from([
            ("ConfigMap".to_owned(), kind(&["v1"], "configmaps", true)),
            ("Service".to_owned(), kind(&["v1"], "services", true)),
            ("Secret".to_owned(), kind(&["v1"], "secrets", true)),
            ("Namespace".to_owned(), kind(&["v1"], "namespaces", false)),
            ("PersistentVolumeClaim".to_owned(), kind(&["v1"], "persistentvolumeclaims", true)),
            ("Deployment.apps".to_owned(), kind(&["apps/v1"], "deployments", true)),
            (
                "CustomResourceDefinition.apiextensions.k8s.io".to_owned(),
                kind(&["apiextensions.k8s.io/v1"], "customresourcedefinitions", false),
            ),
        ]);
        world.seen.clusters.insert(scope, ClusterSeen { kinds, ..ClusterSeen::default() });
        Self { world }
    }

    fn cluster(&mut self) -> &mut ClusterSeen {
        self.world.seen.clusters.get_mut(&cluster_scope("")).unwrap()
    }

    fn bundle(&mut self) -> &mut Bundle {
        self.world.desired.bundles.entry(group()).or_insert(Bundle {
            scope: cluster_scope(""),
            objects: vec![],
            wait: true,
            wait_within: 600,
            force_conflicts: false,
            protect: false,
            prune: true,
            wait_for: BTreeMap::new(),
        })
    }

    fn stack(&self) -> String {
        self.world.desired.stack.id.clone()
    }

    /// The body as the declaration gives it.
    fn marked(&self, mut body: Json) -> Json {
        let keep = applyset::Keep { protect: false, prune: true };
        applyset::mark(&mut body, &self.stack(), STACK_NS, &group(), keep);
        body
    }

    fn wish(mut self, body: Json) -> Self {
        let body = self.marked(body);
        let object = applyset::name_of(&body).unwrap();
        let api_version = body["apiVersion"].as_str().unwrap().to_owned();
        let body = Body::new(body, &self.stack());
        self.bundle().objects.push(ObjectWish { object, api_version, body, file: String::new(), line: 0 });
        self
    }

    /// The same object, applied by us and live.
    fn live(self, body: Json) -> Self {
        let body = self.marked(body);
        self.live_of(body, "evenkeel")
    }

    /// An object as it stands, all of it held by `manager`.
    fn live_of(mut self, mut body: Json, manager: &str) -> Self {
        let name = applyset::name_of(&body).unwrap();
        let fields = held(&body);
        let operation = if manager == "evenkeel" { "Apply" } else { "Update" };
        body["metadata"]["uid"] = format!("uid-{}", name.name).into();
        body["metadata"]["managedFields"] = json!([{
            "manager": manager, "operation": operation, "apiVersion": body["apiVersion"],
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
        }]);
        self.cluster().objects.insert(name.clone(), Live { uid: format!("uid-{}", name.name), body });
        self
    }

    fn parent(mut self, kinds: &[&str]) -> Self {
        let kinds = kinds.iter().map(|k| (*k).to_owned()).collect();
        let parent = Parent {
            namespace: STACK_NS.into(),
            uid: "uid-parent".into(),
            kinds,
            namespaces: BTreeSet::from(["shop".to_owned()]),
            whole: true,
        };
        self.cluster().parent = Some(Ok(parent));
        self
    }

    fn made(&self) -> Made {
        let made = self.world.made_of(&self.world.look());
        assert_eq!(self.world.vet(&made.plan), [], "{:#?}", made.plan);
        made
    }

    fn plan(&self) -> Plan {
        self.made().plan
    }
}

fn group() -> Group {
    Group { kind: Kind::Manifests, name: "extras".into() }
}

/// The managed fields of somebody who has set everything.
fn held(body: &Json) -> Json {
    let Some(all) = body.as_object() else { return json!({}) };
    let top = all.contains_key("apiVersion");
    let skip = |k: &str| matches!(k, "apiVersion" | "name" | "namespace") || (k == "kind" && top);
    let one = |(k, v): (&String, &Json)| (format!("f:{k}"), if v.is_object() { held(v) } else { json!({}) });
    Json::Object(all.iter().filter(|(k, _)| !skip(k)).map(one).collect())
}

fn config(name: &str, value: &str) -> Json {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "shop" }, "data": { "k": value } })
}

fn namespace(name: &str) -> Json {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

fn claim(name: &str) -> Json {
    json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": name, "namespace": "shop" },
        "spec": { "accessModes": ["ReadWriteOnce"] } })
}

/// Each step as `apply ConfigMap/shop/a <- 0`.
fn steps(plan: &Plan) -> Vec<String> {
    let one = |s: &crate::plan::Step| {
        let what = match &s.does {
            Do::Call(Call::Object(on)) => match &on.does {
                ObjectDoes::Apply { .. } => format!("apply {}", on.object.short()),
                ObjectDoes::Delete { .. } => format!("delete {}", on.object.short()),
                ObjectDoes::Cordon { .. } => format!("cordon {}", on.object.short()),
                ObjectDoes::Mark { .. } => format!("mark {}", on.object.short()),
                ObjectDoes::Parent { .. } => "parent".to_owned(),
            },
            Do::Call(_) => "?".to_owned(),
            Do::Wait(w) => format!("wait {:?} {:?}", w.until, w.targets.len()),
        };
        format!("{what} {:?}", s.needs)
    };
    plan.steps.iter().map(one).collect()
}

fn holds(plan: &Plan) -> Vec<(Hold, String)> {
    plan.held.iter().map(|h| (h.by, h.waits_for.clone())).collect()
}

#[test]
fn what_is_as_the_file_says_is_left_alone() {
    let stage = Stage::new().wish(config("a", "1")).live(config("a", "1")).parent(&["ConfigMap"]);
    let plan = stage.plan();
    assert!(plan.is_empty() && plan.held.is_empty(), "{plan:#?}");
}

#[test]
fn a_new_object_is_applied_after_the_mark_and_its_namespace() {
    let stage = Stage::new().wish(config("a", "1")).wish(namespace("shop"));
    let plan = stage.plan();
    assert_eq!(
        steps(&plan),
        ["parent []", "apply Namespace shop [0]", "wait Ready 1 [1]", "apply ConfigMap shop/a [0, 2]"]
    );
    assert!(plan.changes.iter().all(|c| c.action == Action::Create));
    let body = &stage.world.desired.bundles[&group()].objects[0].body;
    assert!(stage.made().payloads.contains_key(body.digest()));
}

#[test]
fn the_namespace_that_the_mark_stands_in_comes_before_the_mark_and_every_other_after_it() {
    let stage = Stage::new().wish(config("a", "1")).wish(namespace("shop")).wish(namespace(STACK_NS));
    assert_eq!(
        steps(&stage.plan()),
        [
            "apply Namespace default []",
            "wait Ready 1 [0]",
            "parent [1]",
            "apply Namespace shop [2]",
            "wait Ready 1 [3]",
            "apply ConfigMap shop/a [2, 4]"
        ]
    );
    let there = Stage::new().wish(config("a", "1")).wish(namespace(STACK_NS)).live(namespace(STACK_NS));
    assert_eq!(steps(&there.plan())[0], "parent []", "one that is there is waited for by nobody");
}

#[test]
fn a_custom_object_waits_for_its_definition() {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.org" },
        "spec": { "group": "example.org", "names": { "kind": "Widget", "plural": "widgets" },
            "versions": [{ "name": "v1", "served": true }] },
    });
    let widget =
        json!({ "apiVersion": "example.org/v1", "kind": "Widget", "metadata": { "name": "w", "namespace": "shop" } });
    let stage = Stage::new().wish(widget.clone()).wish(definition.clone());
    let all = steps(&stage.plan());
    assert_eq!(all[1], "apply CustomResourceDefinition widgets.example.org [0]");
    assert_eq!(all[3], "apply Widget shop/w [0, 2]");
    // Made by a run that was ended before it was served.
    let stage = Stage::new().wish(widget.clone()).wish(definition.clone()).live(definition);
    let stage = stage.parent(&["CustomResourceDefinition.apiextensions.k8s.io", "Widget.example.org"]);
    assert_eq!(steps(&stage.plan()), ["wait Ready 1 []", "apply Widget shop/w [0]"]);
    let alone = Stage::new().wish(widget).plan();
    let (by, says) = &holds(&alone)[0];
    assert!(*by == Hold::Unresolved && says.contains("serves no Widget.example.org"), "{says}");
}

#[test]
fn a_kind_that_could_not_be_listed_is_neither_made_nor_pruned() {
    let mut stage = Stage::new().wish(config("new", "1")).live(config("old", "1")).parent(&["ConfigMap"]);
    stage.cluster().unseen.insert("ConfigMap".into(), Failure::new(Class::Denied, "Forbidden", "no"));
    let plan = stage.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(holds(&plan).iter().map(|(by, _)| *by).collect::<Vec<_>>(), [Hold::Blind, Hold::Blind]);
}

#[test]
fn a_cluster_that_could_not_be_looked_at_gets_nothing() {
    let mut stage = Stage::new().wish(config("new", "1"));
    stage.world.seen.clusters.clear();
    let plan = stage.plan();
    assert!(plan.steps.is_empty() && plan.held[0].by == Hold::Blind);
}

#[test]
fn the_file_moves_and_the_object_follows() {
    let stage = Stage::new().wish(config("a", "2")).live(config("a", "1")).parent(&["ConfigMap"]);
    let plan = stage.plan();
    let change = &plan.changes[0];
    assert_eq!((change.action, change.reasons[0].why), (Action::Update, Why::Declared));
    assert_eq!(change.fields[0].field, "data.k");
    assert_eq!(steps(&plan), ["apply ConfigMap shop/a []"]);
}

#[test]
fn what_another_manager_took_is_named_and_taken_back_by_force_alone() {
    let mut stage = Stage::new().wish(config("a", "1")).live(config("a", "1")).parent(&["ConfigMap"]);
    let name: ObjectName = "ConfigMap/shop/a".parse().unwrap();
    let live = stage.cluster().objects.get_mut(&name).unwrap();
    live.body["data"]["k"] = "9".into();
    let entries = live.body["metadata"]["managedFields"].as_array_mut().unwrap();
    entries[0]["fieldsV1"].as_object_mut().unwrap().remove("f:data");
    entries.push(json!({ "manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1",
        "time": "2026-01-02T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": { "f:data": { "f:k": {} } } }));
    let plan = stage.plan();
    let held = &plan.held[0];
    assert!(plan.steps.is_empty() && held.by == Hold::Foreign);
    assert!(held.waits_for.contains("takes it from kubectl-edit"), "{}", held.waits_for);
    assert_eq!(held.change.fields[0].why, Why::Drifted);
    assert_eq!(
        held.change.fields[0].by.as_ref().map(Holder::with_time).as_deref(),
        Some("kubectl-edit at 2026-01-02 00:00 UTC")
    );
    stage.world.intent = Intent { force_conflicts: true, ..Intent::default() };
    let forced = stage.plan();
    let Do::Call(Call::Object(on)) = &forced.steps[0].does else { panic!("{forced:#?}") };
    assert!(matches!(on.does, ObjectDoes::Apply { force: true, .. }));
}

#[test]
fn only_what_bears_our_label_and_our_hand_is_pruned() {
    let theirs = {
        let stage = Stage::new();
        let copied = stage.marked(config("copied", "1"));
        stage.live_of(copied, "kube-controller-manager")
    };
    let stage = theirs
        .live_of(config("plain", "1"), "evenkeel")
        .live(config("ours", "1"))
        .wish(config("kept", "1"))
        .live(config("kept", "1"))
        .parent(&["ConfigMap"]);
    let plan = stage.plan();
    assert_eq!(plan.changes.len(), 1, "{plan:#?}");
    assert_eq!(plan.changes[0].address.to_string(), "manifests.extras/ConfigMap/shop/ours");
    assert_eq!(steps(&plan), ["delete ConfigMap shop/ours []", "wait Deleted 1 [0]"]);
}

#[test]
fn an_object_of_another_stack_or_tool_is_not_touched() {
    let mut body = config("a", "1");
    body["metadata"]["labels"] = json!({ "evenkeel.dev/stack": "other234" });
    let stage = Stage::new().wish(config("a", "1")).live_of(body, "evenkeel");
    assert!(matches!(holds(&stage.plan())[0], (Hold::Foreign, _)));
    let mut body = config("a", "1");
    body["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
    let mut stage = Stage::new().wish(config("a", "1")).live_of(body, "helm");
    assert!(holds(&stage.plan())[0].1.contains("Helm"));
    stage.world.intent = Intent { force: true, force_conflicts: true, ..Intent::default() };
    assert_eq!(stage.plan().changes[0].action, Action::Update);
}

#[test]
fn an_object_that_has_lost_its_stacks_label_gets_it_back() {
    let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c", "namespace": "default" } });
    let stage = Stage::new().wish(body.clone());
    // The label of its set is left: it names this stack's own set, not another tool's.
    let mut live = stage.marked(body);
    live["metadata"]["labels"].as_object_mut().unwrap().remove(applyset::STACK);
    let plan = stage.live_of(live, "evenkeel").plan();
    assert_eq!(plan.held, [], "nobody else manages it");
    assert_eq!(plan.changes[0].address.to_string(), format!("{}/ConfigMap/default/c", group()));
    assert!(matches!(plan.changes[0].action, Action::Update | Action::Restamp), "{:?}", plan.changes[0].action);
}

#[test]
fn what_does_not_bear_our_marks_is_not_deleted_to_be_made_anew() {
    let fixed = |value: &str| {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c", "namespace": "default" },
            "immutable": true, "data": { "k": value } })
    };
    let ours = Stage::new().wish(fixed("2")).live(fixed("1")).plan();
    assert_eq!(ours.changes[0].action, Action::Replace, "one of ours is");
    let stage = Stage::new().wish(fixed("2"));
    let mut live = stage.marked(fixed("1"));
    live["metadata"]["labels"].as_object_mut().unwrap().remove(applyset::STACK);
    let plan = stage.live_of(live, "evenkeel").plan();
    assert_eq!(plan.changes, []);
    let held = &plan.held[0];
    assert!(held.by == Hold::Foreign && held.waits_for.contains("delete it, and it is made anew"), "{held:?}");
}

#[test]
fn nobody_is_told_to_delete_data_that_does_not_bear_our_marks() {
    let claim = |class: &str| {
        json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "c", "namespace": "default" },
            "spec": { "storageClassName": class } })
    };
    let stage = Stage::new().wish(claim("new"));
    let mut live = stage.marked(claim("old"));
    live["metadata"]["labels"].as_object_mut().unwrap().remove(applyset::STACK);
    let plan = stage.live_of(live, "evenkeel").plan();
    let held = &plan.held[0];
    assert!(held.by == Hold::Protection && held.waits_for.contains("copy it"), "{held:?}");
    assert!(!held.waits_for.contains("delete it"), "{held:?}");
}

#[test]
fn an_object_in_a_namespace_that_nobody_makes_is_not_tried() {
    let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c", "namespace": "shop" } });
    let mut stage = Stage::new().wish(body.clone());
    let name = applyset::name_of(&body).unwrap();
    stage.cluster().trials.insert(name, Trial::TooEarly);
    let plan = stage.plan();
    assert_eq!(plan.changes, []);
    assert_eq!((plan.held.len(), plan.held[0].by), (1, Hold::Unresolved));
    assert_eq!(plan.held[0].waits_for, "there is no namespace shop: declare it, or make it");
    let space = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
    assert_eq!(stage.wish(space).plan().held, [], "the file makes it first");
}

#[test]
fn a_mark_of_another_tool_stops_everything_in_the_cluster() {
    let mut stage = Stage::new().wish(config("a", "1")).live(config("old", "1"));
    stage.cluster().parent = Some(Err("kubectl/v1.37".into()));
    let plan = stage.plan();
    assert!(plan.steps.is_empty() && holds(&plan).iter().all(|(by, _)| *by == Hold::Foreign));
}

#[test]
fn data_goes_into_quarantine_first_and_comes_back_when_it_is_wished_again() {
    let stage = Stage::new()
        .wish(config("a", "1"))
        .live(config("a", "1"))
        .live(claim("data"))
        .parent(&["ConfigMap", "PersistentVolumeClaim"]);
    let plan = stage.plan();
    assert_eq!(plan.changes[0].action, Action::Quarantine);
    assert_eq!(steps(&plan), ["mark PersistentVolumeClaim shop/data []"]);
    let at = |stage: &mut Stage, when: &str| {
        let name: ObjectName = "PersistentVolumeClaim/shop/data".parse().unwrap();
        let live = stage.cluster().objects.get_mut(&name).unwrap();
        live.body["metadata"]["annotations"][applyset::DELETE_AFTER] = when.into();
    };
    let mut waiting = stage;
    at(&mut waiting, "2999-01-01T00:00:00Z");
    assert_eq!(waiting.plan().held[0].by, Hold::Quarantine);
    let mut back = waiting.wish(claim("data"));
    assert_eq!(back.plan().changes[0].action, Action::Release);
    back.bundle().objects.pop();
    at(&mut back, "1999-01-01T00:00:00Z");
    assert_eq!(steps(&back.plan())[0], "delete PersistentVolumeClaim shop/data []");
}

#[test]
fn one_that_is_stuck_on_its_way_out_is_told_until_it_is_gone() {
    let mut stage = Stage::new()
        .wish(config("a", "1"))
        .live(config("a", "1"))
        .live(claim("old"))
        .parent(&["ConfigMap", "PersistentVolumeClaim"]);
    let name: ObjectName = "PersistentVolumeClaim/shop/old".parse().unwrap();
    let live = stage.cluster().objects.get_mut(&name).unwrap();
    live.body["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z".into();
    live.body["metadata"]["finalizers"] = json!(["example.org/held"]);
    for destroy in [false, true] {
        stage.world.intent = Intent { destroy, ..Intent::default() };
        let plan = stage.plan();
        let (by, says) = &holds(&plan)[0];
        assert!(*by == Hold::Time && says.contains("waits for finalizer example.org/held"), "{says}");
        assert!(!steps(&plan).iter().any(|s| s.contains("shop/old") || s.contains("evenkeel-")), "{:?}", steps(&plan));
        assert!(plan.look_again_at.is_some());
    }
}

#[test]
fn a_run_deletes_no_more_than_it_may() {
    let mut stage = Stage::new().wish(config("kept", "1")).live(config("kept", "1")).parent(&["ConfigMap"]);
    for n in 0..30 {
        stage = stage.live(config(&format!("old-{n:02}"), "1"));
    }
    stage.world.desired.policy.max_deletes = Amount::Percent(10);
    let plan = stage.plan();
    assert_eq!(plan.changes.len(), 3, "10% of 31");
    assert!(holds(&plan).iter().all(|(by, _)| *by == Hold::DeleteCap));
    stage.world.intent = Intent { max_deletes: Some(Amount::Percent(100)), ..Intent::default() };
    assert_eq!(stage.plan().changes.len(), 30);
}

#[test]
fn an_empty_file_does_not_empty_a_cluster() {
    let mut stage = Stage::new().live(config("a", "1")).live(config("b", "1")).parent(&["ConfigMap"]);
    stage.world.desired.policy.max_deletes = Amount::Percent(100);
    assert!(stage.plan().held.iter().all(|h| h.by == Hold::ZeroDesired));
    stage.world.intent = Intent { allow_empty: true, ..Intent::default() };
    assert_eq!(stage.plan().changes.len(), 2);
}

#[test]
fn destroy_takes_everything_of_ours_and_the_mark_last() {
    let mut stage = Stage::new()
        .wish(config("a", "1"))
        .live(config("a", "1"))
        .live(namespace("shop"))
        .live(claim("data"))
        .live_of(config("theirs", "1"), "kubectl")
        .parent(&["ConfigMap", "Namespace", "PersistentVolumeClaim"]);
    stage.world.intent = Intent { destroy: true, ..Intent::default() };
    let plan = stage.plan();
    let all = steps(&plan);
    assert_eq!(all.len(), 9, "{all:?}");
    let claim = all.iter().position(|s| s.starts_with("delete PersistentVolumeClaim")).unwrap();
    assert!(all[claim - 1].starts_with("mark PersistentVolumeClaim"), "data goes in two steps: {all:?}");
    let namespace = all.iter().position(|s| s.starts_with("mark Namespace")).unwrap();
    let needs = &plan.steps[namespace].needs;
    assert_eq!(needs.len(), 2, "what stands in it goes first: {all:?}");
    assert!(all[8].starts_with("delete ConfigMap default/evenkeel-"), "{all:?}");
    assert_eq!(plan.steps[8].needs.len(), 8);
}

#[test]
fn a_namespace_stays_while_something_in_it_stays() {
    let over = |stage: &mut Stage| {
        let name: ObjectName = "Namespace/shop".parse().unwrap();
        let live = stage.cluster().objects.get_mut(&name).unwrap();
        live.body["metadata"]["annotations"][applyset::DELETE_AFTER] = "1999-01-01T00:00:00Z".into();
    };
    let full = || Stage::new().live(namespace("shop")).parent(&["ConfigMap", "Namespace", "PersistentVolumeClaim"]);
    let kept = |stage: &Stage, by: Hold, words: &str| {
        let plan = stage.plan();
        assert!(!steps(&plan).iter().any(|s| s.starts_with("delete Namespace")), "{:?}", steps(&plan));
        assert!(holds(&plan).iter().any(|(b, says)| *b == by && says.contains(words)), "{:?}", holds(&plan));
    };
    // Out of the file, while what is in it is not: live already, or still to be made.
    for made in [true, false] {
        let mut stage = full().wish(claim("data"));
        if made {
            stage = stage.live(claim("data"));
        }
        over(&mut stage);
        let out = "PersistentVolumeClaim/shop/data; put it back into the file, or take what is in it out too";
        kept(&stage, Hold::Protection, out);
    }
    // The stack is to go, and something in it is protected, of another stack, or not seen.
    let destroyed = |mut stage: Stage| {
        stage.world.intent = Intent { destroy: true, ..Intent::default() };
        stage
    };
    let name: ObjectName = "PersistentVolumeClaim/shop/data".parse().unwrap();
    let mut stage = destroyed(full().live(claim("data")));
    assert!(steps(&stage.plan()).iter().any(|s| s.starts_with("delete Namespace")), "nothing stays");
    stage.cluster().objects.get_mut(&name).unwrap().body["metadata"]["annotations"][applyset::PROTECT] = "true".into();
    kept(&stage, Hold::Protection, "PersistentVolumeClaim/shop/data");
    let mut stage = destroyed(full().live(claim("data")));
    stage.cluster().objects.get_mut(&name).unwrap().body["metadata"]["labels"][applyset::STACK] = "zzz22222".into();
    kept(&stage, Hold::Protection, "PersistentVolumeClaim/shop/data");
    let mut stage = destroyed(full());
    let denied = Failure::new(Class::Denied, "Forbidden", "no");
    stage.cluster().unseen.insert("Secret".into(), denied);
    kept(&stage, Hold::Blind, "Secret");
}

#[test]
fn no_plan_takes_along_what_it_does_not_end() {
    let mut stage = Stage::new()
        .wish(config("a", "1"))
        .live(config("a", "1"))
        .live(namespace("shop"))
        .parent(&["ConfigMap", "Namespace"]);
    stage.world.intent = Intent { destroy: true, ..Intent::default() };
    let plan = stage.plan();
    let stage = stage.live(claim("data"));
    let says: Vec<String> = stage.world.vet(&plan).iter().map(ToString::to_string).collect();
    assert!(says.iter().any(|s| s.contains("PersistentVolumeClaim/shop/data in it goes along")), "{says:?}");
}

#[test]
fn one_that_is_asked_for_is_replaced_although_nothing_is_wrong_with_it() {
    let mut stage = Stage::new()
        .wish(config("a", "1"))
        .live(config("a", "1"))
        .wish(claim("data"))
        .live(claim("data"))
        .parent(&["ConfigMap", "PersistentVolumeClaim"]);
    let asked = |stage: &mut Stage, object: &str| {
        let replace = BTreeSet::from([group().object(object.parse().unwrap())]);
        stage.world.intent = Intent { replace, ..Intent::default() };
        stage.plan()
    };
    let plan = asked(&mut stage, "ConfigMap/shop/a");
    assert_eq!(
        steps(&plan),
        ["delete ConfigMap shop/a []", "wait Deleted 1 [0]", "apply ConfigMap shop/a [1]"],
        "{plan:#?}"
    );
    let change = &plan.changes[0];
    assert_eq!((change.action, change.reasons[0].why, change.reasons.len()), (Action::Replace, Why::Asked, 1));
    let data = asked(&mut stage, "PersistentVolumeClaim/shop/data");
    assert!(data.steps.is_empty() && data.held[0].by == Hold::Protection, "its data would go along");
}

#[test]
fn what_the_server_ignores_without_a_word_is_made_anew() {
    let request = |signer: &str| {
        json!({ "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": "r" },
            "spec": { "signerName": signer, "request": "aGVsbG8=", "usages": ["client auth"] } })
    };
    let name: ObjectName = "CertificateSigningRequest.certificates.k8s.io/r".parse().unwrap();
    let mut stage = Stage::new().wish(request("example.org/new")).live(request("example.org/old"));
    let kind =
        KindSeen { api_versions: vec!["certificates.k8s.io/v1".into()], plural: String::new(), namespaced: false };
    stage.cluster().kinds.insert(name.group_kind(), kind);
    let live = stage.cluster().objects.get_mut(&name).unwrap();
    // The server keeps no holder of a request's spec, and answers with what it has.
    live.body["metadata"]["managedFields"][0]["fieldsV1"].as_object_mut().unwrap().remove("f:spec");
    let answer = live.body.clone();
    stage.cluster().trials.insert(name, Trial::Becomes(answer));
    let plan = stage.plan();
    let change = &plan.changes[0];
    assert_eq!(change.action, Action::Replace, "{plan:#?}");
    let forces: Vec<_> = change.fields.iter().filter_map(|f| f.forces_replacement.as_deref()).collect();
    assert_eq!(forces, ["a request for a certificate never changes"]);
}
