//! What hands and fate do to a cluster's objects in the random stories, and whose objects must stay as they were.

use std::collections::BTreeMap;

use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset;
use evenkeel_kubernetes::api::{Cluster, How, Resource, Which};
use evenkeel_sim::cluster::{Body, DEFAULT, Does, Hand, Webhook};
use evenkeel_sim::ops::Deed;
use evenkeel_sim::{Sim, World};
use serde_json::{Value as Json, json};

use super::fleet::STACK;
use super::shop::SPACE;

/// A stack of somebody else.
pub const THEIRS: &str = "zzz22222";

/// What is done to a cluster behind evenkeel's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// One of our labels or annotations is taken off an object.
    StripOne,
    /// All labels and annotations are taken off.
    StripAll,
    /// An object is deleted.
    Delete,
    /// A field that the file declares is set to another value.
    Change,
    /// A label of another's is put on.
    Label,
    /// Nobody may delete it any more.
    Protect,
    /// A finalizer that nobody takes away.
    Finalizer,
    /// The stack's own mark is deleted.
    DeleteMark,
    /// The stack's own mark loses a label or an annotation.
    StripMark,
    /// The namespace is deleted, with all that is in it.
    DeleteSpace,
    /// The definition is deleted, with all objects of its kind.
    DeleteDefinition,
    /// An image cannot be pulled.
    SpoilImage,
    /// A webhook refuses objects of a kind.
    Refuse,
    /// The server of an API group is down.
    BreakGroup,
}

pub const TOUCHES: [Touch; 14] = [
    Touch::StripOne,
    Touch::StripAll,
    Touch::Delete,
    Touch::Change,
    Touch::Label,
    Touch::Protect,
    Touch::Finalizer,
    Touch::DeleteMark,
    Touch::StripMark,
    Touch::DeleteSpace,
    Touch::DeleteDefinition,
    Touch::SpoilImage,
    Touch::Refuse,
    Touch::BreakGroup,
];

/// The objects of the cluster.
pub fn objects(world: &World) -> impl Iterator<Item = (&ObjectName, &Json)> {
    world.clusters.values().flat_map(|c| c.objects.iter().map(|(name, o)| (name, &o.body.0)))
}

/// Whether a stack's marks say that an object is its.
pub fn is_of(body: &Json, stack: &str) -> bool {
    applyset::label(body, applyset::STACK) == Some(stack) && applyset::is_applied(body)
}

/// The name of the stack's own mark.
pub fn mark() -> ObjectName {
    applyset::parent_name(STACK, "default")
}

/// An object as kubectl takes it.
fn kubectl(name: &ObjectName) -> String {
    let kind = name.kind.to_lowercase();
    if name.namespace.is_empty() {
        format!("{kind}/{}", name.name)
    } else {
        format!("{kind}/{}/{}", name.namespace, name.name)
    }
}

/// Does something to the cluster, if there is anything to do it to.
pub fn touch(world: &mut World, touch: Touch, which: u32) {
    let mine: Vec<(ObjectName, Json)> = objects(world)
        .filter(|(name, body)| is_of(body, STACK) && **name != mark())
        .map(|(name, body)| (name.clone(), body.clone()))
        .collect();
    let picked = (!mine.is_empty()).then(|| mine[which as usize % mine.len()].clone());
    let marks = [applyset::STACK, applyset::PART_OF, applyset::ADDRESS, applyset::APPLIED];
    let own = [applyset::STACK, applyset::ID, applyset::TOOLING, applyset::KINDS, applyset::NAMESPACES];
    let unset = |object: String, key: &str| match key {
        applyset::STACK | applyset::PART_OF | applyset::ID => Hand::Label { object, key: key.to_owned(), value: None },
        _ => Hand::Annotate { object, key: key.to_owned(), value: None },
    };
    let edit = |name: &ObjectName, patch: Json| Hand::Edit { object: kubectl(name), patch: Body(patch) };
    let hand = match (touch, picked) {
        (Touch::StripOne, Some((name, _))) => unset(kubectl(&name), marks[which as usize / 7 % marks.len()]),
        (Touch::StripAll, Some((name, _))) => {
            edit(&name, json!({ "metadata": { "labels": null, "annotations": null } }))
        }
        (Touch::Delete, Some((name, _))) => Hand::Delete { object: kubectl(&name) },
        (Touch::Change, Some((name, _))) => {
            let patch = match name.kind.as_str() {
                "ConfigMap" => json!({ "data": { "value": "by hand" } }),
                "Secret" => json!({ "data": { "key": "Ynk=" } }),
                "ServiceAccount" => json!({ "automountServiceAccountToken": null }),
                "Deployment" if which.is_multiple_of(2) => json!({ "spec": { "replicas": 4 } }),
                "Deployment" => json!({ "spec": { "paused": true } }),
                "Widget" => json!({ "spec": { "size": 7, "more": true } }),
                _ => json!({ "metadata": { "labels": { "by": "hand" } } }),
            };
            edit(&name, patch)
        }
        (Touch::Label, Some((name, _))) => {
            Hand::Label { object: kubectl(&name), key: "team".into(), value: Some(format!("t{}", which % 3)) }
        }
        (Touch::Protect, Some((name, _))) => {
            Hand::Annotate { object: kubectl(&name), key: applyset::PROTECT.into(), value: Some("true".into()) }
        }
        (Touch::Finalizer, Some((name, body))) => {
            let mut all = body.pointer("/metadata/finalizers").and_then(Json::as_array).cloned().unwrap_or_default();
            all.push(json!(FINALIZER));
            edit(&name, json!({ "metadata": { "finalizers": all } }))
        }
        (Touch::DeleteMark, _) => Hand::Delete { object: kubectl(&mark()) },
        (Touch::StripMark, _) => unset(kubectl(&mark()), own[which as usize % own.len()]),
        (Touch::DeleteSpace, _) => Hand::Delete { object: format!("namespace/{SPACE}") },
        (Touch::DeleteDefinition, _) => Hand::Delete { object: "crd/widgets.example.org".into() },
        (Touch::SpoilImage, _) => Hand::SpoilImage { image: format!("registry.example/app:{}", which % 2), bad: true },
        (Touch::Refuse, _) => {
            let kinds = ["ConfigMap", "Secret", "Deployment.apps", "Widget.example.org", "Namespace"];
            let kinds = vec![kinds[which as usize % kinds.len()].to_owned()];
            let hook = Webhook { name: "policy.example.org".into(), kinds, does: Does::Refuse("not today".into()) };
            world.cluster(DEFAULT).webhooks.push(hook);
            return;
        }
        (Touch::BreakGroup, _) => {
            let group = ["apps", "batch", "example.org", "policy"][which as usize % 4].to_owned();
            world.cluster(DEFAULT).broken_groups.insert(group, "the server is currently unable to handle it".into());
            return;
        }
        (
            Touch::StripOne
            | Touch::StripAll
            | Touch::Delete
            | Touch::Change
            | Touch::Label
            | Touch::Protect
            | Touch::Finalizer,
            None,
        ) => return,
    };
    let _ = world.act(&Deed::Kubernetes { cluster: DEFAULT.to_owned(), hand });
}

/// Holds an object up for ever.
const FINALIZER: &str = "example.org/hold";

/// What stood in the way is mended: nothing is broken any more, and what waits for a finalizer goes.
pub fn mend(world: &mut World) {
    let kube = world.cluster(DEFAULT);
    kube.webhooks.clear();
    kube.broken_groups.clear();
    kube.bad_images.clear();
    let held: Vec<(ObjectName, Vec<Json>)> = objects(world)
        .filter_map(|(name, body)| {
            let all = body.pointer("/metadata/finalizers")?.as_array()?;
            let rest: Vec<Json> = all.iter().filter(|f| *f != FINALIZER).cloned().collect();
            (rest.len() < all.len()).then(|| (name.clone(), rest))
        })
        .collect();
    for (name, rest) in held {
        let patch =
            Body(json!({ "metadata": { "finalizers": if rest.is_empty() { Json::Null } else { json!(rest) } } }));
        let hand = Hand::Edit { object: kubectl(&name), patch };
        let _ = world.act(&Deed::Kubernetes { cluster: DEFAULT.to_owned(), hand });
    }
}

/// Objects of others, and what they say.
pub struct Strangers(BTreeMap<ObjectName, Json>);

impl Strangers {
    /// What a person made, what another stack of ours applied, what Helm made, and what bears our label as a copy. Some
    /// have names that the file may take; which of them there are depends on the seed.
    pub async fn arrive(sim: &Sim, seed: u64) -> Self {
        let cluster = sim.cluster(DEFAULT).expect("in memory");
        let config = |name: &str, labels: Json| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "value": "theirs" },
                "metadata": { "name": name, "namespace": "default", "labels": labels } })
        };
        let other = json!({ applyset::STACK: THEIRS, applyset::PART_OF: applyset::set_id(THEIRS, "default") });
        let mut applied = vec![config("theirs", other.clone())];
        if seed.is_multiple_of(3) {
            applied.push(config("config-1", other));
        }
        let mut made = vec![
            config("by-hand", json!({})),
            // A controller has copied the labels of one of ours.
            config("copied", json!({ applyset::STACK: STACK, applyset::PART_OF: applyset::set_id(STACK, "default") })),
        ];
        if seed.is_multiple_of(5) {
            let mut release = config("secret-1", json!({ "app.kubernetes.io/managed-by": "Helm" }));
            release["kind"] = "Secret".into();
            release["data"] = json!({ "key": "dGhlaXJz" });
            made.push(release);
        }
        for body in &applied {
            let resource = Resource {
                api_version: "v1".into(),
                kind: "ConfigMap".into(),
                plural: "configmaps".into(),
                namespaced: true,
                verbs: vec![],
            };
            let name = applyset::text(body, "name").to_owned();
            let which = Which { resource, namespace: "default".into(), name };
            let how = How { manager: applyset::MANAGER.into(), force: false };
            cluster.apply(&which, body, &how).await.expect("nothing of that name is there");
        }
        for body in made.clone() {
            let hand = Hand::Create { body: Body(body) };
            sim.act(&Deed::Kubernetes { cluster: DEFAULT.to_owned(), hand }).expect("nothing of that name is there");
        }
        let names: Vec<ObjectName> = applied.iter().chain(&made).filter_map(applyset::name_of).collect();
        let world = sim.world().expect("in memory");
        Self(objects(&world).filter(|(n, _)| names.contains(n)).map(|(n, b)| (n.clone(), b.clone())).collect())
    }

    /// Whether this name is taken by somebody else.
    pub fn have(&self, name: &ObjectName) -> bool {
        self.0.contains_key(name)
    }

    /// What is not as it was.
    pub fn wrongs(&self, world: &World) -> Vec<String> {
        let live: BTreeMap<&ObjectName, &Json> = objects(world).collect();
        let of = |(name, was): (&ObjectName, &Json)| match live.get(name) {
            None => Some(format!("{name} is not ours and is gone")),
            Some(is) if *is != was => Some(format!("{name} is not ours and was changed: {is}")),
            Some(_) => None,
        };
        self.0.iter().filter_map(of).collect()
    }
}
