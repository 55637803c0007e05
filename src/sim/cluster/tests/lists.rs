//! Discovery and lists.

use super::*;
use crate::faults::{Effect, Fault};
use crate::ops::Deed;

#[test]
fn every_usual_kind_is_served_with_its_plural_and_scope() {
    story(|t| async move {
        let found = t.kube.discover().await.unwrap();
        let find = |group_kind: &str| found.resources.iter().find(|r| r.group_kind() == group_kind);
        for (group_kind, plural, namespaced) in [
            ("Deployment.apps", "deployments", true),
            ("Ingress.networking.k8s.io", "ingresses", true),
            ("NetworkPolicy.networking.k8s.io", "networkpolicies", true),
            ("Endpoints", "endpoints", true),
            ("Namespace", "namespaces", false),
            ("StorageClass.storage.k8s.io", "storageclasses", false),
            ("CustomResourceDefinition.apiextensions.k8s.io", "customresourcedefinitions", false),
        ] {
            let r = find(group_kind).unwrap_or_else(|| panic!("{group_kind}"));
            assert_eq!((r.plural.as_str(), r.namespaced), (plural, namespaced));
            assert!(["get", "list", "patch", "delete"].iter().all(|v| r.verbs.iter().any(|w| w == v)), "{group_kind}");
        }
        assert_eq!(
            find("HorizontalPodAutoscaler.autoscaling").unwrap().api_version,
            "autoscaling/v2",
            "preferred first"
        );
        assert!(found.resources.len() > 40);
        assert_eq!(found.broken.len(), 0);
    });
}

#[test]
fn a_group_whose_server_is_down_is_not_known_and_the_others_are() {
    story(|t| async move {
        t.sim
            .edit(|w| w.cluster(super::super::DEFAULT).broken_groups.insert("policy".into(), "no endpoints".into()))
            .unwrap();
        let found = t.kube.discover().await.unwrap();
        assert!(found.broken.contains_key("policy"));
        assert!(found.resources.iter().all(|r| r.group() != "policy"));
        assert!(found.resources.iter().any(|r| r.group() == "apps"));
    });
}

#[test]
fn the_cluster_is_known_by_the_uid_of_kube_system() {
    story(|t| async move {
        let system = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "kube-system" } });
        let uid = text(&t.look(&system).await, &["metadata", "uid"]).to_owned();
        let other = t.sim.cluster("other").unwrap();
        let theirs = other.get(&which(&system)).await.unwrap();
        assert!(!uid.is_empty() && uid != text(&theirs, &["metadata", "uid"]));
    });
}

#[test]
fn pages_follow_each_other_by_name_and_each_object_stands_on_one() {
    story(|t| async move {
        for n in 0..7 {
            t.apply(&config(&format!("c{n}"), json!({}))).await;
        }
        let (mut seen, mut next, mut pages) = (Vec::new(), None, 0);
        loop {
            let query = Query {
                namespace: Some("default".into()),
                selector: format!("{STACK}=7f3kq2x9"),
                limit: 3,
                next,
                ..Query::default()
            };
            let page = t.kube.list(&resource("v1", "ConfigMap", "default"), &query).await.unwrap();
            seen.extend(page.items.iter().map(|o| text(o, &["metadata", "name"]).to_owned()));
            pages += 1;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["c0", "c1", "c2", "c3", "c4", "c5", "c6"]);
        assert_eq!(pages, 3);
    });
}

#[test]
fn a_selector_chooses_by_labels() {
    story(|t| async move {
        for (name, tier) in [("a", "front"), ("b", "back"), ("c", "")] {
            let mut c = config(name, json!({}));
            if !tier.is_empty() {
                c["metadata"]["labels"]["tier"] = json!(tier);
            }
            t.apply(&c).await;
        }
        let ours = format!("{STACK}=7f3kq2x9");
        for (selector, names) in [
            (ours.clone(), vec!["a", "b", "c"]),
            (format!("{ours},tier"), vec!["a", "b"]),
            (format!("{ours},!tier"), vec!["c"]),
            (format!("{ours},tier!=front"), vec!["b", "c"]),
            (format!("{ours},tier in (front, back)"), vec!["a", "b"]),
            (format!("{ours},tier notin (front)"), vec!["b", "c"]),
            (format!("{STACK}=other"), vec![]),
        ] {
            let query = Query { selector: selector.clone(), limit: 500, ..Query::default() };
            let page = t.kube.list(&resource("v1", "ConfigMap", ""), &query).await.unwrap();
            let found: Vec<&str> = page.items.iter().map(|o| text(o, &["metadata", "name"])).collect();
            assert_eq!(found, names, "{selector}");
        }
        let query = Query { selector: "a b".into(), limit: 5, ..Query::default() };
        let bad = t.kube.list(&resource("v1", "ConfigMap", ""), &query).await.unwrap_err();
        assert_eq!(bad.class, Class::Invalid);
    });
}

#[test]
fn a_token_may_grow_too_old() {
    story(|t| async move {
        for n in 0..3 {
            t.apply(&config(&format!("c{n}"), json!({}))).await;
        }
        t.sim.act(&Deed::AddFault { fault: Fault::once(Effect::ExpirePages) }).unwrap();
        let query = Query { selector: STACK.into(), limit: 2, ..Query::default() };
        let first = t.kube.list(&resource("v1", "ConfigMap", ""), &query).await.unwrap();
        let query = Query { next: first.next, ..query };
        let failure = t.kube.list(&resource("v1", "ConfigMap", ""), &query).await.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (Class::Transient, "Expired"));
        assert_eq!(t.kube.list(&resource("v1", "ConfigMap", ""), &query).await.unwrap().items.len(), 1);
    });
}

#[test]
fn a_kind_that_is_not_served_cannot_be_found() {
    story(|t| async move {
        let failure = t.kube.list(&resource("example.com/v1", "Widget", ""), &Query::default()).await.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (Class::Invalid, "NotServed"));
    });
}
