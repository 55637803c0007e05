//! What the server has against an object, before anything is deleted for it, and what an apply would take from others.

use super::*;

fn selector(app: &str) -> Json {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "selector": { "matchLabels": { "app": app } } } })
}

fn name() -> ObjectName {
    "Deployment.apps/shop/web".parse().unwrap()
}

/// A selector moves, and the server has this against it.
fn refused(causes: &[(&str, &str)]) -> Stage {
    let mut stage = Stage::new().wish(selector("new")).live(selector("old")).parent(&["Deployment.apps"]);
    let causes = causes.iter().map(|(f, s)| ((*f).to_owned(), (*s).to_owned())).collect();
    let failure = Failure::new(Class::Invalid, "Invalid", "it is invalid");
    stage.cluster().trials.insert(name(), Trial::Refused(failure, causes));
    stage
}

const FIXED: (&str, &str) = ("spec.selector", "Invalid value: {}: field is immutable");

#[test]
fn nothing_is_deleted_for_a_successor_that_the_server_refuses() {
    assert_eq!(refused(&[FIXED]).plan().changes[0].action, Action::Replace, "a new one would do");
    let other = ("spec.template.metadata.labels", "Invalid value: {}: `selector` does not match template `labels`");
    let plan = refused(&[FIXED, other]).plan();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    let (by, says) = &holds(&plan)[0];
    assert!(*by == Hold::Unresolved && says.contains("does not match template"), "{says}");
}

#[test]
fn nothing_is_deleted_for_one_that_admission_will_not_let_be_made() {
    let mut stage = refused(&[FIXED]);
    let denied = Failure::new(Class::Denied, "Forbidden", "admission webhook \"keeper\" denied the request: no");
    stage.cluster().barred.insert(name(), (denied, vec![]));
    let plan = stage.plan();
    assert!(plan.steps.is_empty(), "{:?}", steps(&plan));
    let (by, says) = &holds(&plan)[0];
    assert!(*by == Hold::Unresolved && says.contains("refuses the new one") && says.contains("keeper"), "{says}");
    let address = group().object(name());
    assert!(says.ends_with(&format!("`--replace {address}` does it all the same")), "{says}");
    stage.world.intent = Intent { replace: BTreeSet::from([address]), ..Intent::default() };
    assert_eq!(stage.plan().changes[0].action, Action::Replace);
}

#[test]
fn a_field_that_another_holds_in_other_words_is_told_before_the_server_calls_it_a_conflict() {
    let web = |cpu: &str, note: &str| {
        json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop", "labels": { "note": note } },
            "spec": { "template": { "spec": { "containers": [
                { "name": "main", "resources": { "requests": { "cpu": cpu } } }] } } } })
    };
    let stage = |note: &str| {
        let mut stage = Stage::new().wish(web("1000m", note)).live(web("1000m", "old")).parent(&["Deployment.apps"]);
        let live = stage.cluster().objects.get_mut(&name()).unwrap();
        live.body["spec"] = web("1", "")["spec"].clone();
        let entries = live.body["metadata"]["managedFields"].as_array_mut().unwrap();
        entries[0]["fieldsV1"].as_object_mut().unwrap().remove("f:spec");
        let cpu = json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": {
            ".": {}, "f:name": {}, "f:resources": { "f:requests": { "f:cpu": {} } } } } } } } });
        entries.push(json!({ "manager": "vpa", "operation": "Update", "apiVersion": "apps/v1",
            "time": "2026-01-02T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": cpu }));
        stage
    };
    let mut forced = stage("new");
    let plan = forced.plan();
    let (by, says) = &holds(&plan)[0];
    assert!(*by == Hold::Foreign && says.contains("takes it from vpa"), "{says}");
    assert!(says.contains("requests.cpu in the words of vpa, \"1\""), "{says}");
    forced.world.intent = Intent { force_conflicts: true, ..Intent::default() };
    assert_eq!(forced.plan().changes[0].action, Action::Update);
    // The new object has no other manager.
    let mut anew = stage("new");
    let failure = Failure::new(Class::Invalid, "Invalid", "it is invalid");
    let fixed = vec![(FIXED.0.to_owned(), FIXED.1.to_owned())];
    anew.cluster().trials.insert(name(), Trial::Refused(failure, fixed));
    assert_eq!(anew.plan().changes[0].action, Action::Replace);
}

#[test]
fn what_the_server_would_refuse_is_said_before() {
    let mut stage = Stage::new().wish(config("a", "1"));
    let failure = Failure::new(Class::Quota, "Forbidden", "exceeded quota: few");
    stage.cluster().trials.insert("ConfigMap/shop/a".parse().unwrap(), Trial::Refused(failure, vec![]));
    let (by, says) = &holds(&stage.plan())[0];
    assert!(*by == Hold::Unresolved && says.contains("exceeded quota: few"), "{says}");
    assert!(says.ends_with("take away what counts against that quota, or have it raised"), "{says}");
}

#[test]
fn what_the_server_misses_and_the_same_plan_makes_is_no_refusal() {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a", "namespace": "shop" },
        "spec": { "serviceAccountName": "runner", "containers": [] } });
    let account = |name: &str| json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name, "namespace": "shop" } });
    let refused = |stage: Stage| {
        let mut stage = stage;
        for kind in ["Pod", "ServiceAccount"] {
            let seen = KindSeen { api_versions: vec!["v1".into()], plural: String::new(), namespaced: true };
            stage.cluster().kinds.insert(kind.into(), seen);
        }
        let says = "pods \"a\" is forbidden: error looking up service account shop/runner: serviceaccount \"runner\" not found";
        let trial = Trial::Refused(Failure::new(Class::Denied, "Forbidden", says), vec![]);
        stage.cluster().trials.insert("Pod/shop/a".parse().unwrap(), trial);
        stage
    };
    let plan = refused(Stage::new().wish(pod.clone()).wish(account("runner"))).plan();
    assert_eq!(steps(&plan)[1..3], ["apply ServiceAccount shop/runner [0]", "apply Pod shop/a [0, 1]"]);
    for other in [account("run"), config("runner", "1")] {
        let stage = refused(Stage::new().wish(pod.clone()).wish(other.clone()).live(other));
        assert_eq!(holds(&stage.plan()).len(), 1, "nothing of that name is about to come");
    }
}
