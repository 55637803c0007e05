//! What goes wrong with calls goes wrong with Kubernetes' as with EC2's.

use super::super::{Body, Does, Hand, Webhook};
use super::*;
use crate::action::Action;
use crate::faults::{Effect, Fault, Moment};
use crate::ops::Deed;

impl Tale {
    fn fault(&self, fault: Fault) {
        self.sim.act(&Deed::AddFault { fault }).unwrap();
    }
}

#[test]
fn every_call_is_counted_and_says_what_it_was_about() {
    story(|t| async move {
        let c = config("a", json!({}));
        t.apply(&c).await;
        t.force("evenkeel", &c).await;
        t.look(&c).await;
        t.names("v1", "ConfigMap").await;
        t.delete(&c).await.unwrap();
        t.kube.discover().await.unwrap();
        let counts = t.sim.counts();
        for (action, count) in [
            (Action::ApplyObject, 1),
            (Action::ForceApply, 1),
            (Action::GetObject, 1),
            (Action::ListObjects, 1),
            (Action::DeleteObject, 1),
            (Action::Discovery, 2),
        ] {
            assert_eq!(counts.get(&action), Some(&count), "{action}");
        }
        let about: Vec<String> = t.sim.log().into_iter().map(|c| c.about).collect();
        assert_eq!(about[0], "ConfigMap/default/a");
        assert_eq!(about[3], "ConfigMap");
    });
}

#[test]
fn a_lost_answer_hides_an_effect_that_is_there() {
    story(|t| async move {
        t.fault(Fault::once(Effect::LoseAnswer).on(Action::ApplyObject));
        let c = config("a", json!({}));
        assert_eq!(why(t.try_apply("evenkeel", &c).await).0, Class::Transient);
        t.look(&c).await;
    });
}

#[test]
fn a_verb_may_be_denied_for_one_kind() {
    story(|t| async move {
        t.fault(Fault::deny(Action::ListObjects).about("Secret"));
        t.fault(Fault::deny(Action::ApplyObject).about("Deployment.apps"));
        let failure = t.kube.list(&resource("v1", "Secret", ""), &Query::default()).await.unwrap_err();
        assert_eq!((failure.class, failure.code.as_str()), (Class::Denied, "Forbidden"));
        t.names("v1", "ConfigMap").await;
        assert_eq!(
            why(t.try_apply("evenkeel", &deployment("web", 1, "web:1")).await),
            (Class::Denied, "Forbidden".into())
        );
        t.apply(&config("a", json!({}))).await;
    });
}

#[test]
fn a_process_dies_before_or_after_any_call() {
    for (moment, there) in [(Moment::Before, false), (Moment::After, true)] {
        story(|t| async move {
            let c = config("a", json!({}));
            t.fault(Fault::once(Effect::Kill(moment)).changing());
            tokio::select! {
                _ = t.try_apply("evenkeel", &c) => panic!("no answer comes to the dead"),
                () = t.sim.crashed() => {}
            }
            let sim = t.sim.revive();
            let next = Tale { kube: sim.cluster(super::super::DEFAULT).unwrap(), sim };
            assert_eq!(next.find(&c).await.is_some(), there, "{moment:?}");
        });
    }
}

#[test]
fn a_call_that_was_stuck_arrives_later() {
    story(|t| async move {
        let c = config("a", json!({ "k": "1" }));
        t.fault(Fault::once(Effect::Late(crate::dice::Span::secs(60, 60))).on(Action::ApplyObject));
        assert_eq!(why(t.try_apply("evenkeel", &c).await).0, Class::Transient);
        assert_eq!(t.find(&c).await, None);
        t.wait(61).await;
        assert_eq!(t.look(&c).await["data"]["k"], "1");
    });
}

#[test]
fn a_world_in_a_file_keeps_its_clusters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.toml");
    let c = config("a", json!({ "text": "two\nlines and \"quotes\" and '''" }));
    let open = || Sim::open(&path, 7).unwrap();
    let before = runtime().unwrap().block_on(async {
        let sim = open();
        let t = Tale { kube: sim.cluster("prod").unwrap(), sim };
        t.apply(&deployment("web", 3, "web:1")).await;
        t.apply(&c).await
    });
    runtime().unwrap().block_on(async {
        let sim = open();
        let t = Tale { kube: sim.cluster("prod").unwrap(), sim };
        assert_eq!(t.look(&c).await, before);
        let world = t.sim.world().unwrap();
        assert_eq!(World::from_toml(&world.to_toml()).unwrap(), world);
        assert!(!world.clusters.contains_key(super::super::DEFAULT), "nobody asked for it");
    });
}

#[test]
fn everything_that_can_be_scripted_stands_in_the_file() {
    story(|t| async move {
        t.apply(&deployment("web", 1, "web:1")).await;
        t.fault(
            Fault::once(Effect::Late(crate::dice::Span::secs(600, 600))).on(Action::ApplyObject).about("ConfigMap"),
        );
        let _ = t.try_apply("evenkeel", &config("late", json!({ "k": null }))).await;
        t.sim
            .edit(|w| {
                let kube = w.cluster(super::super::DEFAULT);
                kube.bad_images.push("web:2".into());
                kube.crashing_images.insert("web:3".into(), "panic\n".into());
                kube.broken_groups.insert("metrics.k8s.io".into(), "down".into());
                for does in [Does::Refuse("no".into()), Does::Change(Body(json!({ "data": { "k": null } })))] {
                    let kinds = vec!["Secret".into()];
                    kube.webhooks.push(Webhook { name: "a.example.com".into(), kinds, does });
                }
            })
            .unwrap();
        let hand = Hand::Scale { object: "deploy/web".into(), replicas: 4 };
        let at = t.sim.world().unwrap().now + jiff::SignedDuration::from_mins(1);
        let deed = Deed::Kubernetes { cluster: super::super::DEFAULT.into(), hand };
        t.sim.edit(|w| w.script.push(crate::ops::Scripted { at, deed })).unwrap();
        let world = t.sim.world().unwrap();
        assert_eq!(World::from_toml(&world.to_toml()).unwrap(), world);
        t.wait(61).await;
        assert_eq!(t.look(&deployment("web", 1, "web:1")).await["spec"]["replicas"], 4);
    });
}

#[test]
fn what_a_hand_wrote_of_a_cluster_is_founded_with_it() {
    let mut world = World::founding(7);
    let written = super::super::Kube { bad_images: vec!["web:2".into()], ..super::super::Kube::default() };
    world.clusters.insert(super::super::DEFAULT.into(), written);
    story_in(world, |t| async move {
        assert_eq!(t.names("v1", "Node").await.len(), 3);
        t.apply(&deployment("web", 1, "web:2")).await;
        t.wait(60).await;
        assert_eq!(waits(&t.pods("web").await[0]), "ImagePullBackOff");
    });
}
