//! Deletion: preconditions, finalizers, what an object owns.

use super::*;

#[test]
fn an_object_without_finalizers_is_gone_at_once() {
    story(|t| async move {
        let c = config("a", json!({}));
        t.apply(&c).await;
        t.delete(&c).await.unwrap();
        assert_eq!(t.find(&c).await, None);
        assert_eq!(why(t.delete(&c).await), (Class::NotFound, "NotFound".into()));
    });
}

#[test]
fn only_the_one_that_is_meant_is_deleted() {
    story(|t| async move {
        let c = config("a", json!({}));
        let uid = text(&t.apply(&c).await, &["metadata", "uid"]).to_owned();
        let other = Deletion { uid: "another".into(), propagation: Propagation::Background };
        assert_eq!(why(t.kube.delete(&which(&c), &other).await), (Class::Busy, "Conflict".into()));
        let right = Deletion { uid, propagation: Propagation::Background };
        t.kube.delete(&which(&c), &right).await.unwrap();
    });
}

#[test]
fn a_finalizer_holds_an_object_until_it_is_taken_away() {
    story(|t| async move {
        let mut c = config("a", json!({}));
        c["metadata"]["finalizers"] = json!(["example.com/wait"]);
        t.apply(&c).await;
        t.delete(&c).await.unwrap();
        t.wait(3600).await;
        let leaving = t.look(&c).await;
        assert!(!text(&leaving, &["metadata", "deletionTimestamp"]).is_empty());
        t.kube.patch(&which(&c), &json!({ "metadata": { "finalizers": null } }), "controller").await.unwrap();
        assert_eq!(t.find(&c).await, None);
    });
}
