//! The laws: each is broken once, on purpose, and not broken by what is allowed.

use evenkeel_core::applyset::{DELETE_AFTER, PROTECT};

use super::*;
use crate::laws::Law;

impl Tale {
    fn broken(&self) -> Vec<Law> {
        self.sim.violations().iter().map(|v| v.law).collect()
    }
}

#[test]
fn deleting_what_is_not_ours_is_written_down() {
    story(|t| async move {
        t.apply(&config("ours", json!({}))).await;
        t.delete(&config("ours", json!({}))).await.unwrap();
        assert_eq!(t.broken(), []);
        t.try_apply("other", &config("copied", json!({}))).await.unwrap();
        t.delete(&config("copied", json!({}))).await.unwrap();
        assert_eq!(t.broken(), [Law::NotOurs], "a copied label is no claim");
        let mut bare = config("bare", json!({}));
        bare["metadata"]["labels"] = json!({});
        t.apply(&bare).await;
        t.delete(&bare).await.unwrap();
        assert_eq!(t.broken(), [Law::NotOurs; 2], "nor is a manager without the label");
    });
}

#[test]
fn what_holds_data_goes_only_after_its_quarantine() {
    story(|t| async move {
        let mut claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "name": "data", "namespace": "default", "labels": { STACK: "7f3kq2x9" } },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
        });
        t.apply(&claim).await;
        let after = t.sim.world().unwrap().now + jiff::SignedDuration::from_hours(1);
        claim["metadata"]["annotations"] = json!({ DELETE_AFTER: after.to_string() });
        t.apply(&claim).await;
        t.delete(&claim).await.unwrap();
        assert_eq!(t.broken(), [Law::Data], "too early");
        t.wait(3700).await;
        let mut space = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop", "labels": { STACK: "7f3kq2x9" } },
        });
        t.apply(&space).await;
        space["metadata"]["annotations"] = json!({ DELETE_AFTER: after.to_string() });
        t.apply(&space).await;
        t.delete(&space).await.unwrap();
        assert_eq!(t.broken().len(), 1, "in time");
    });
}

#[test]
fn what_is_marked_as_protected_is_not_to_be_deleted() {
    story(|t| async move {
        let mut c = config("a", json!({}));
        c["metadata"]["annotations"] = json!({ PROTECT: "true" });
        t.apply(&c).await;
        t.delete(&c).await.unwrap();
        assert_eq!(t.broken(), [Law::Protected]);
    });
}

#[test]
fn another_stacks_object_is_not_written_over() {
    story(|t| async move {
        let mut theirs = config("a", json!({ "k": "1" }));
        theirs["metadata"]["labels"] = json!({ STACK: "zzz22222" });
        t.apply(&theirs).await;
        t.apply(&theirs).await;
        assert_eq!(t.broken(), [], "by itself");
        t.try_apply("evenkeel", &config("a", json!({ "k": "2" }))).await.unwrap();
        assert_eq!(t.broken(), [Law::NotOurs]);
    });
}

#[test]
fn a_deletion_of_an_earlier_object_of_that_name_breaks_no_law() {
    story(|t| async move {
        let mut bare = config("a", json!({}));
        bare["metadata"]["labels"] = json!({});
        t.apply(&bare).await;
        let which = which(&bare);
        let how = Deletion { uid: "an-earlier-one".into(), propagation: Propagation::Background };
        t.kube.delete(&which, &how).await.unwrap_err();
        assert_eq!(t.broken(), []);
    });
}
