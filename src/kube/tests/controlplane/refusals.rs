//! What the API server refuses, sorted as `errors.rs` says: the words of a real server, not of a table.

use super::*;

#[tokio::test]
async fn another_managers_field_is_a_conflict_until_it_is_taken_by_force() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("conflict");
    let theirs = web("conflict", "web", 0).to_string();
    lab.kubectl_with("apply --server-side --field-manager=them -f -", &theirs);

    let which = deployment("conflict", "web");
    cluster.apply(&which, &web("conflict", "web", 0), &how()).await.expect("the same value is no conflict");
    let mut ours = web("conflict", "web", 1);
    ours["spec"]["template"]["spec"]["containers"][0]["image"] = json!("lab.example/busybox:2");
    for (rehearsal, refusal) in
        [(true, cluster.rehearse(&which, &ours, &how()).await), (false, cluster.apply(&which, &ours, &how()).await)]
    {
        let refusal = refusal.expect_err("they hold both");
        assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Busy, "Conflict"), "{rehearsal}");
        let fields: BTreeSet<&str> = refusal.causes.iter().map(|cause| cause.field.as_str()).collect();
        let image = ".spec.template.spec.containers[name=\"app\"].image";
        assert_eq!(fields, BTreeSet::from([".spec.replicas", image]));
        for cause in &refusal.causes {
            assert_eq!(cause.reason, "FieldManagerConflict");
            assert!(cause.message.contains("\"them\""), "{cause:?}");
        }
    }
    let forced = How { force: true, ..how() };
    let taken = cluster.apply(&which, &ours, &forced).await.expect("taken");
    assert_eq!(taken["spec"]["replicas"], 1);
}

#[tokio::test]
async fn a_field_that_never_changes_is_named() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("immutable");
    let which = deployment("immutable", "web");
    cluster.apply(&which, &web("immutable", "one", 0), &how()).await.expect("made");
    let refusal = cluster.apply(&which, &web("immutable", "two", 0), &how()).await.expect_err("a selector stays");
    assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Invalid, "Invalid"));
    let cause = refusal.causes.iter().find(|cause| cause.field == "spec.selector").expect("its cause");
    assert_eq!(cause.reason, "FieldValueInvalid");
    assert!(cause.message.contains("immutable"), "{cause:?}");
}

#[tokio::test]
async fn a_body_that_is_wrong_is_refused_and_never_tried_again() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("wrong");
    let which = deployment("wrong", "web");
    let with = |change: fn(&mut Json)| {
        let mut body = web("wrong", "web", 0);
        change(&mut body);
        body
    };
    let table = [
        (with(|body| body["spec"]["replica"] = json!(1)), "replica"),
        (with(|body| body["spec"]["replicas"] = json!("many")), "replicas"),
        (with(|body| body["spec"]["template"]["spec"]["containers"][0]["image"] = json!(7)), "image"),
        (with(|body| body["spec"]["template"]["spec"]["containers"][0]["name"] = json!("A b")), "containers[0].name"),
        (with(|body| body["spec"] = json!({})), "spec.selector"),
        (with(|body| body["metadata"]["name"] = json!("other")), "name"),
        (with(|body| body["metadata"]["namespace"] = json!("other")), "namespace"),
        (with(|body| body["kind"] = json!("ConfigMap")), "kind"),
        (with(|body| body["apiVersion"] = json!("apps/v9")), "apps/v9"),
        (json!([]), ""),
    ];
    for (body, words) in table {
        let refusal = cluster.apply(&which, &body, &how()).await.expect_err(words);
        assert_eq!(refusal.failure.class, Class::Invalid, "{body}: {refusal:?}");
        assert!(refusal.failure.says.to_lowercase().contains(words), "{refusal:?} says not: {words}");
    }
}

#[tokio::test]
async fn a_secret_is_not_told_in_a_refusal() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("secret");
    let which = Which { resource: resource("v1", "Secret", "secrets"), namespace: "secret".into(), name: "a".into() };
    let secret = |fields: Json| {
        let mut body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "secret", "name": "a"}});
        body.as_object_mut().expect("an object").append(fields.as_object().cloned().as_mut().expect("an object"));
        body
    };
    for fields in [
        json!({"data": {"pin": 31_415_926}}),
        json!({"data": {"pin": {"31415926": "31415926"}}}),
        json!({"stringData": {"pin": 31_415_926}}),
        json!({"data": {"pin": "31415926!"}}),
        json!({"data": {"a b": "MzE0MTU5MjY="}}),
        json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "31415926"}}),
    ] {
        let refusal = cluster.apply(&which, &secret(fields.clone()), &how()).await.expect_err("it is wrong");
        assert_eq!(refusal.failure.class, Class::Invalid, "{refusal:?}");
        let told = format!("{refusal:?}");
        assert!(!told.contains("31415926") && !told.contains("MzE0MTU5MjY"), "{fields}: {told}");
    }
}

#[tokio::test]
async fn an_object_that_is_another_one_is_not_applied_to() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("another");
    lab.kubectl("--namespace another create configmap a");
    let mut body = holding("another", "a", "x");
    body["metadata"]["uid"] = json!("11111111-2222-3333-4444-555555555555");
    let refusal = cluster.apply(&configmap("another", "a"), &body, &how()).await.expect_err("its uid is another");
    let cause = refusal.causes.iter().find(|cause| cause.field == "metadata.uid").expect("its cause");
    assert_eq!((refusal.failure.class, cause.reason.as_str()), (Class::Invalid, "FieldValueInvalid"));
    // With the uid of something that was there once nothing new is made either.
    body["metadata"]["name"] = json!("b");
    let refusal = cluster.apply(&configmap("another", "b"), &body, &how()).await;
    let refusal = refusal.expect_err("there is none with this uid");
    assert_eq!((refusal.failure.class, refusal.failure.code.as_str()), (Class::Busy, "Conflict"), "{refusal:?}");
}

#[tokio::test]
async fn a_quota_is_a_quota_and_a_missing_right_is_denied() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    lab.namespace("quota");
    // Every namespace has one from the start.
    lab.kubectl("--namespace quota wait configmap/kube-root-ca.crt --for=create --timeout=60s");
    lab.kubectl("--namespace quota create quota few --hard=count/configmaps=1");
    lab.kubectl("--namespace quota wait quota/few --for=jsonpath={.status.used.count/configmaps}=1 --timeout=60s");
    let refusal = cluster.apply(&configmap("quota", "a"), &holding("quota", "a", "x"), &how()).await.expect_err("full");
    assert_eq!(refusal.failure.class, Class::Quota, "{refusal:?}");
    assert!(refusal.failure.says.contains("exceeded quota: few"), "{refusal:?}");

    let eve = with(&lab.account("quota", "eve", "get,list", "configmaps")).await;
    let own = Query { namespace: Some("quota".into()), ..Query::default() };
    eve.list(&configmaps(), &own).await.expect("this she may");
    let everywhere = eve.list(&configmaps(), &Query::default()).await.expect_err("only her namespace");
    assert_eq!((everywhere.class, everywhere.code.as_str()), (Class::Denied, "Forbidden"));
    assert!(everywhere.says.contains("eve"), "{everywhere}");
    let refusal =
        eve.apply(&configmap("quota", "b"), &holding("quota", "b", "x"), &how()).await.expect_err("reads only");
    assert_eq!(refusal.failure.class, Class::Denied);
    eve.discover().await.expect("everybody may know what there is");
}

#[tokio::test]
async fn credentials_that_nobody_gave_are_not_accepted() {
    let Some(lab) = lab::shared() else { return };
    lab.namespace("nobody");
    let path = lab.account("nobody", "bob", "get", "configmaps");
    let text = std::fs::read_to_string(&path).expect("a kubeconfig");
    let at = text.find("token: ").expect("a token") + "token: ".len();
    let broken = path.with_extension("broken");
    std::fs::write(&broken, format!("{}x{}", &text[..at], &text[at..])).expect("a kubeconfig");
    let refused = with(&broken).await.get(&configmap("nobody", "a")).await.expect_err("no such token");
    assert_eq!((refused.class, refused.code.as_str()), (Class::Credentials, "Unauthorized"), "{refused}");
}

#[tokio::test]
async fn a_kind_that_is_not_served_is_not_an_empty_list() {
    let Some(lab) = lab::shared() else { return };
    let cluster = client(lab).await;
    for unknown in [resource("lab.none/v1", "Thing", "things"), resource("v1", "Thing", "things")] {
        let refused = cluster.list(&unknown, &Query::default()).await.expect_err("nobody serves it");
        assert_eq!((refused.class, refused.code.as_str()), (Class::Invalid, "NotServed"), "{refused}");
    }
}
