//! What a request is made of, as sentences.

use super::*;
use http::Method;

fn resource(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Resource {
    Resource { api_version: api_version.into(), kind: kind.into(), plural: plural.into(), namespaced, verbs: vec![] }
}

fn which(resource: Resource, namespace: &str, name: &str) -> Which {
    Which { resource, namespace: namespace.into(), name: name.into() }
}

fn uri(asked: Asked) -> String {
    asked.into_request().expect("a request").uri().to_string()
}

#[test]
fn an_object_has_its_path_by_group_version_namespace_and_name() {
    let table = [
        (which(resource("v1", "Service", "services", true), "shop", "web"), "/api/v1/namespaces/shop/services/web"),
        (
            which(resource("apps/v1", "Deployment", "deployments", true), "shop", "web"),
            "/apis/apps/v1/namespaces/shop/deployments/web",
        ),
        (which(resource("v1", "Namespace", "namespaces", false), "", "shop"), "/api/v1/namespaces/shop"),
        (
            which(resource("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false), "", "system:node"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
        ),
        (
            which(resource("rbac.authorization.k8s.io/v1", "Role", "roles", true), "shop", "a b?c#d"),
            "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/a%20b%3Fc%23d",
        ),
    ];
    for (which, path) in table {
        assert_eq!(uri(Asked::about(Method::GET, "get", &which).expect("a name")), path);
    }
}

#[test]
fn a_name_that_would_make_it_another_request_is_refused() {
    let services = || resource("v1", "Service", "services", true);
    let table = [
        (which(services(), "shop", ""), "delete Service shop/: `` is no name"),
        (which(services(), "shop", "web/status"), "`web/status` is no name"),
        (which(services(), "shop", ".."), "`..` is no name"),
        (which(services(), "shop", "%2e%2e"), "`%2e%2e` is no name"),
        (which(services(), "a/b", "web"), "`a/b` is no name"),
        (which(services(), "", "web"), "delete Service web: a namespace is missing"),
        (which(resource("v1", "Node", "nodes", false), "shop", "n"), "this kind has no namespaces"),
        (which(resource("v1", "Node", "", false), "", "n"), "`` is no name"),
        (which(resource("/v1", "Node", "nodes", false), "", "n"), "`` is no name"),
    ];
    for (which, words) in table {
        let refused = Asked::about(Method::DELETE, "delete", &which).expect_err(words);
        assert_eq!(refused.class, Class::Invalid);
        assert!(refused.says.contains(words), "{refused} says not: {words}");
    }
}

#[test]
fn a_page_asks_for_what_the_query_says() {
    let pods = resource("v1", "Pod", "pods", true);
    let table = [
        (Query::default(), "/api/v1/pods?limit=500"),
        (Query { limit: 10_000, ..Query::default() }, "/api/v1/pods?limit=500"),
        (
            Query { namespace: Some("shop".into()), limit: 2, ..Query::default() },
            "/api/v1/namespaces/shop/pods?limit=2",
        ),
        (
            Query {
                namespace: None,
                selector: "evenkeel.dev/stack=7f3kq2x9,tier in (a, b)".into(),
                fields: "spec.nodeName=ip-10-0-0-1".into(),
                limit: 500,
                next: Some("eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ==&x".into()),
            },
            "/api/v1/pods?limit=500&labelSelector=evenkeel.dev%2Fstack%3D7f3kq2x9%2Ctier%20in%20%28a%2C%20b%29\
             &fieldSelector=spec.nodeName%3Dip-10-0-0-1&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ%3D%3D%26x",
        ),
    ];
    for (query, path) in table {
        assert_eq!(uri(Asked::page(&pods, &query).expect("a list")), path);
    }
    let nodes = resource("v1", "Node", "nodes", false);
    let query = Query { namespace: Some("shop".into()), ..Query::default() };
    assert_eq!(Asked::page(&nodes, &query).expect_err("no namespaces").class, Class::Invalid);
}

#[test]
fn a_request_says_who_asks_and_what_it_takes() {
    let request = Asked::get("/version").into_request().expect("a request");
    assert_eq!(request.headers()["user-agent"], concat!("evenkeel/", env!("CARGO_PKG_VERSION")));
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(!request.headers().contains_key("content-type"), "it sends nothing");
}

#[test]
fn a_path_longer_than_any_server_takes_is_a_failure_and_no_panic() {
    let refused = Asked::get("/".repeat(70_000)).into_request().expect_err("too long");
    assert_eq!(refused.class, Class::Invalid);
}
