//! Every reading method: exactly what goes out, and what is made of the answer.

use evenkeel_core::failure::Class;
use evenkeel_kubernetes::api::{ClusterRead, How, Query, Resource, Which};
use serde_json::json;

use crate::client::testing::{answering, only};

fn deployments() -> Resource {
    Resource {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        plural: "deployments".into(),
        namespaced: true,
        verbs: vec!["list".into()],
    }
}

fn web() -> Which {
    Which { resource: deployments(), namespace: "shop".into(), name: "web".into() }
}

#[tokio::test]
async fn the_version_is_the_servers_own() {
    let (cluster, log) = answering([(200, r#"{"major":"1","gitVersion":"v1.37.2"}"#)]);
    assert_eq!(cluster.version().await, Ok("v1.37.2".into()));
    assert_eq!(only(&log).line, "GET /version");

    let (cluster, _) = answering([(200, r#"{"hello":"world"}"#)]);
    let strange = cluster.version().await.expect_err("this is no API server");
    assert_eq!((strange.class, strange.says.contains("gitVersion")), (Class::Transient, true));
}

#[tokio::test]
async fn a_page_has_its_items_whole_and_says_whether_more_follow() {
    let answer = r#"{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"9","continue":"n2"},
        "items":[{"metadata":{"name":"a"},"spec":{"replicas":2}},{"kind":"Other","apiVersion":"x/v1","metadata":{}}]}"#;
    let (cluster, log) = answering([(200, answer)]);
    let query = Query { namespace: Some("shop".into()), limit: 2, ..Query::default() };
    let page = cluster.list(&deployments(), &query).await.expect("a page");
    assert_eq!(only(&log).line, "GET /apis/apps/v1/namespaces/shop/deployments?limit=2");
    assert_eq!(page.next.as_deref(), Some("n2"));
    let first =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 2}});
    assert_eq!(page.items, [first, json!({"apiVersion": "x/v1", "kind": "Other", "metadata": {}})]);
}

#[tokio::test]
async fn the_last_page_has_no_next_one_and_an_empty_list_may_be_null() {
    for (body, items) in [
        (r#"{"metadata":{"continue":""},"items":[{}]}"#, 1),
        (r#"{"metadata":{},"items":null}"#, 0),
        (r#"{"items":[]}"#, 0),
    ] {
        let (cluster, _) = answering([(200, body)]);
        let page = cluster.list(&deployments(), &Query::default()).await.expect(body);
        assert_eq!((page.items.len(), page.next), (items, None), "{body}");
    }
}

/// Not seen is not absent: an answer that is no list must not read as an empty one.
#[tokio::test]
async fn an_answer_that_is_no_list_is_no_empty_list() {
    for body in ["{}", "", "null", "[]", "<html>", r#"{"items":{}}"#, r#"{"items":[1]}"#, r#"{"items":[{"meta"#] {
        let (cluster, _) = answering([(200, body)]);
        let strange = cluster.list(&deployments(), &Query::default()).await.expect_err(body);
        assert_eq!(strange.class, Class::Transient, "{body}: {strange}");
    }
}

#[tokio::test]
async fn one_object_comes_as_it_is() {
    let (cluster, log) = answering([(200, r#"{"kind":"Deployment","metadata":{"name":"web"}}"#)]);
    let object = cluster.get(&web()).await.expect("an object");
    assert_eq!(object, json!({"kind": "Deployment", "metadata": {"name": "web"}}));
    assert_eq!(only(&log).line, "GET /apis/apps/v1/namespaces/shop/deployments/web");
}

#[tokio::test]
async fn a_rehearsal_is_an_apply_that_writes_nothing() {
    let (cluster, log) = answering([(200, r#"{"kind":"Deployment"}"#)]);
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment"});
    let how = How { manager: "evenkeel".into(), force: false };
    cluster.rehearse(&web(), &body, &how).await.expect("an object");
    let seen = only(&log);
    assert_eq!(
        seen.line,
        "PATCH /apis/apps/v1/namespaces/shop/deployments/web?fieldManager=evenkeel&fieldValidation=Strict&dryRun=All"
    );
    assert_eq!(seen.headers["content-type"], "application/apply-patch+yaml");
    assert_eq!(seen.json(), body);
}

#[tokio::test]
async fn a_log_is_text_whatever_is_in_it() {
    let (cluster, log) = answering([(200, "one\ntwo\n")]);
    assert_eq!(cluster.log("shop", "web-1", "app", false, 20).await, Ok("one\ntwo\n".into()));
    let seen = only(&log);
    assert_eq!(seen.line, "GET /api/v1/namespaces/shop/pods/web-1/log?container=app&tailLines=20&limitBytes=1048576");
    assert_eq!(seen.headers["accept"], "*/*");

    let (cluster, log) = answering([(200, "")]);
    assert_eq!(cluster.log("shop", "web-1", "app", true, 1).await, Ok(String::new()));
    assert!(only(&log).line.ends_with("&previous=true"));

    let (cluster, log) = answering([]);
    assert_eq!(cluster.log("shop", "web/exec", "app", true, 1).await.expect_err("no name").class, Class::Invalid);
    assert!(log.lock().expect("no test panics here").is_empty(), "nothing is sent");
}
