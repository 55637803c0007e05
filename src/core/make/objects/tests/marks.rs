//! The stack's own mark: lost, damaged, in another namespace.

use super::*;

/// What a step writes into the mark.
fn marked_kinds(plan: &Plan) -> Vec<Vec<String>> {
    let one = |s: &crate::plan::Step| match &s.does {
        Do::Call(Call::Object(on)) => match &on.does {
            ObjectDoes::Parent { kinds, .. } => Some(kinds.iter().cloned().collect()),
            ObjectDoes::Apply { .. }
            | ObjectDoes::Delete { .. }
            | ObjectDoes::Mark { .. }
            | ObjectDoes::Cordon { .. } => None,
        },
        Do::Call(_) | Do::Wait(_) => None,
    };
    plan.steps.iter().filter_map(one).collect()
}

#[test]
fn a_mark_that_is_gone_or_damaged_is_written_anew_with_all_kinds_that_are_live() {
    let service = |name: &str| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "shop" } });
    let lost = || Stage::new().wish(config("a", "1")).live(config("a", "1")).wish(service("s")).live(service("s"));
    let plan = lost().plan();
    assert_eq!(steps(&plan), ["parent []"]);
    assert_eq!(marked_kinds(&plan), [["ConfigMap", "Service"]]);
    assert_eq!((plan.changes[0].action, plan.changes[0].reasons[0].why), (Action::Restamp, Why::Stamp));
    assert!(plan.changes[0].reasons[0].says.contains("written anew"), "{:?}", plan.changes[0]);
    let mut damaged = lost().parent(&["ConfigMap"]);
    if let Some(Ok(parent)) = &mut damaged.cluster().parent {
        parent.whole = false;
    }
    assert_eq!(marked_kinds(&damaged.plan()), [["ConfigMap", "Service"]]);
    // With another change it goes along, and kinds that this change is not about stay in it.
    let more = lost().wish(config("b", "1"));
    assert_eq!(steps(&more.plan()), ["parent []", "apply ConfigMap shop/b [0]"]);
    assert_eq!(marked_kinds(&more.plan()), [["ConfigMap", "Service"]]);
    // What goes in the same run is in it until it is gone.
    let fewer = lost().live(claim("old"));
    let name: ObjectName = "PersistentVolumeClaim/shop/old".parse().unwrap();
    let mut fewer = fewer;
    let old = fewer.cluster().objects.get_mut(&name).unwrap();
    old.body["metadata"]["annotations"][applyset::DELETE_AFTER] = "1999-01-01T00:00:00Z".into();
    let kinds = marked_kinds(&fewer.plan());
    assert_eq!(kinds, [vec!["ConfigMap", "PersistentVolumeClaim", "Service"], vec!["ConfigMap", "Service"]]);
    // Asked for a part of the stack, nothing is done about it; a new stack has none to lose.
    let mut part = lost();
    part.world.intent.target = Some(globset::GlobSet::empty());
    assert!(part.plan().is_empty());
    assert!(Stage::new().plan().is_empty());
}

#[test]
fn a_mark_in_another_namespace_goes_once_the_new_one_says_all() {
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s", "namespace": "shop" } });
    let mut stage = Stage::new().wish(config("a", "1")).live(config("a", "1")).live(service);
    let former = Parent {
        namespace: "ops".into(),
        uid: "uid-old".into(),
        kinds: BTreeSet::from(["ConfigMap".to_owned(), "Service".to_owned()]),
        namespaces: BTreeSet::from(["shop".to_owned()]),
        whole: true,
    };
    stage.cluster().former.push(former);
    let plan = stage.plan();
    let all = steps(&plan);
    assert_eq!(all[0], "parent []");
    assert_eq!(marked_kinds(&plan), [vec!["ConfigMap", "Service"], vec!["ConfigMap"]]);
    assert!(all.last().unwrap().starts_with("delete ConfigMap ops/evenkeel-"), "{all:?}");
    assert_eq!(plan.steps.last().unwrap().needs.len(), all.len() - 1, "after everything else");
    stage.cluster().unseen.insert("Secret".into(), Failure::new(Class::Denied, "Forbidden", "no"));
    assert!(!steps(&stage.plan()).iter().any(|s| s.contains("ops/evenkeel-")), "not seen is not absent");
}

#[test]
fn what_alone_may_know_of_a_kind_that_was_not_seen_stays_and_is_not_written_of_half_a_look() {
    let no = || Failure::new(Class::Denied, "Forbidden", "no");
    let widgets = "Widget.example.org";
    let mut stage = Stage::new().wish(config("a", "1")).live(config("a", "1")).parent(&["ConfigMap", widgets]);
    stage.world.intent = Intent { destroy: true, ..Intent::default() };
    stage.cluster().unseen.insert(widgets.into(), no());
    let plan = stage.plan();
    assert_eq!(marked_kinds(&plan), [[widgets]]);
    assert!(!steps(&plan).iter().any(|s| s.contains("delete ConfigMap default/evenkeel-")), "{:?}", steps(&plan));
    let mut lost = Stage::new().wish(config("a", "1")).live(config("a", "1"));
    lost.cluster().unseen.insert("*.example.org".into(), no());
    assert!(lost.plan().is_empty(), "{:?}", steps(&lost.plan()));
}

#[test]
fn what_an_earlier_look_saw_and_no_run_of_ours_has_deleted_is_drift_once_it_can_be_missed() {
    let mut stage = Stage::new().wish(config("a", "1")).live(config("a", "1")).parent(&["ConfigMap"]);
    stage.world.remember();
    let (name, live) = stage.cluster().objects.pop_first().unwrap();
    let denied = Failure::new(Class::Denied, "Forbidden", "no");
    stage.cluster().unseen.insert("ConfigMap".into(), denied);
    stage.world.remember();
    assert_eq!(holds(&stage.plan())[0].0, Hold::Blind);
    stage.cluster().unseen.clear();
    let why = |stage: &Stage| stage.plan().changes.iter().map(|c| (c.action, c.reasons[0].why)).collect::<Vec<_>>();
    assert_eq!(why(&stage), [(Action::Create, Why::Drifted)]);
    // Ours: deleted for the file, or to be made anew.
    let at = stage.world.at;
    stage.world.past.lessons.ended.insert(live.uid.clone(), at);
    assert_eq!(why(&stage), [(Action::Create, Why::Declared)]);
    stage.world.remember();
    stage.world.past.lessons.ended.clear();
    assert_eq!(why(&stage), [(Action::Create, Why::Declared)], "{name} was forgotten with it");
}
