//! Hands in a cluster: what a person does to it with kubectl, as the field managers that kubectl itself uses, so that
//! drift shows whose hand it was; and what happens to nodes and images.

use evenkeel_core::address::ObjectName;
use evenkeel_kubernetes::api::Refusal as Answer;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::object::{items, put, take, text};
use super::serve::{Asked, By, merge_patch};
use super::ssa::{Update, update};
use super::{Body, Kube, Moment, named};
use crate::ops::Refusal;

/// What a hand does. Objects are named as kubectl takes them, with a namespace in between: `deployment/web` (in
/// `default`), `deploy/shop/web`, `node/node-a`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Hand {
    /// `kubectl scale`
    Scale {
        /// `deployment/web`
        object: String,
        /// How many.
        replicas: u32,
    },
    /// `kubectl set image`
    SetImage {
        /// `deployment/web`
        object: String,
        /// Which container; absent: the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container: Option<String>,
        /// `web:2`
        image: String,
    },
    /// `kubectl label`; without a value it is taken away.
    Label {
        /// `deployment/web`
        object: String,
        /// Its key.
        key: String,
        /// Its value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// `kubectl annotate`; without a value it is taken away.
    Annotate {
        /// `deployment/web`
        object: String,
        /// Its key.
        key: String,
        /// Its value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// `kubectl edit`: any change, as a JSON merge patch.
    Edit {
        /// `deployment/web`
        object: String,
        /// `{"spec": {"paused": true}}`
        patch: Body,
    },
    /// `kubectl create`: a whole object.
    Create {
        /// The object.
        body: Body,
    },
    /// `kubectl delete`
    Delete {
        /// `deployment/web`
        object: String,
    },
    /// `kubectl cordon`, or `uncordon`
    Cordon {
        /// `node-a`
        node: String,
        /// False: it takes pods again.
        on: bool,
    },
    /// A node falls silent, or speaks again.
    Silence {
        /// `node-a`
        node: String,
        /// False: it speaks again.
        on: bool,
    },
    /// An image cannot be pulled any more, or again.
    SpoilImage {
        /// `web:2`
        image: String,
        /// True for bad.
        bad: bool,
    },
    /// Containers of an image end at once and leave these lines in their log; without lines they run again.
    CrashImage {
        /// `web:2`
        image: String,
        /// The lines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
    },
}

/// What kubectl takes for a kind.
const SHORT: &[(&str, &str)] = &[
    ("cm", "configmap"),
    ("crd", "customresourcedefinition"),
    ("cj", "cronjob"),
    ("deploy", "deployment"),
    ("ds", "daemonset"),
    ("ep", "endpoints"),
    ("hpa", "horizontalpodautoscaler"),
    ("ing", "ingress"),
    ("netpol", "networkpolicy"),
    ("no", "node"),
    ("ns", "namespace"),
    ("pdb", "poddisruptionbudget"),
    ("po", "pod"),
    ("pv", "persistentvolume"),
    ("pvc", "persistentvolumeclaim"),
    ("quota", "resourcequota"),
    ("rs", "replicaset"),
    ("sa", "serviceaccount"),
    ("sc", "storageclass"),
    ("sts", "statefulset"),
    ("svc", "service"),
];

impl Kube {
    /// The kind that a person means: `deploy`, `deployments`, `Deployment`, `deployment.apps`.
    pub fn kind(&self, word: &str) -> Option<(String, String)> {
        let word = word.to_lowercase();
        let word = SHORT.iter().find(|(short, _)| *short == word).map_or(word.as_str(), |(_, long)| *long);
        let served = self.discovered().resources;
        let means = |r: &&evenkeel_kubernetes::api::Resource| {
            let kind = r.kind.to_lowercase();
            let whole = |name: &str| word == name || !r.group().is_empty() && word == format!("{name}.{}", r.group());
            whole(&kind) || whole(&r.plural)
        };
        served.iter().find(means).map(|r| (r.group().to_owned(), r.kind.clone()))
    }

    /// The object that a person means.
    fn meant(&self, name: &str) -> Result<ObjectName, Refusal> {
        let parts: Vec<&str> = name.split('/').collect();
        let (kind, namespace, object) = match parts.as_slice() {
            [kind, object] => (*kind, None, *object),
            [kind, namespace, object] => (*kind, Some(*namespace), *object),
            _ => return refuse(format!("{name} names no object"), "write deployment/web or deployment/shop/web"),
        };
        let Some((group, kind)) = self.kind(kind) else {
            return refuse(format!("there is no kind {kind}"), "name one that the cluster serves, such as deployment");
        };
        let spaces = namespace.map_or_else(|| vec!["", "default"], |n| vec![n]);
        let found = spaces.iter().map(|s| named(&group, &kind, s, object)).find(|n| self.get(n).is_some());
        match found {
            Some(name) => Ok(name),
            None => refuse(format!("there is no {name}"), "`evenkeel sim kubectl get` shows what there is"),
        }
    }

    /// Does it.
    pub(crate) fn act(&mut self, hand: &Hand, m: Moment) -> Result<(), Refusal> {
        match hand {
            Hand::Scale { object, replicas } => {
                let name = self.meant(object)?;
                let patch = json!({ "spec": { "replicas": replicas } });
                self.rewrite(&name, &patch, ("kubectl", Some("scale")), m)
            }
            Hand::SetImage { object, container, image } => {
                let name = self.meant(object)?;
                let live = self.get(&name).cloned().unwrap_or_default();
                let of_pod = name.kind == "Pod";
                let way: &[&str] =
                    if of_pod { &["spec", "containers"] } else { &["spec", "template", "spec", "containers"] };
                let mut all = items(&live, way).to_vec();
                let wanted = |c: &Json| container.as_ref().is_none_or(|n| text(c, &["name"]) == n);
                let Some(one) = all.iter_mut().find(|c| wanted(c)) else {
                    return refuse(format!("{object} has no such container"), "name one of its containers");
                };
                put(one, &["image"], image.as_str());
                let mut new = live.clone();
                put(&mut new, way, all);
                self.overwrite(&name, new, ("kubectl-set", None), m)
            }
            Hand::Label { object, key, value } => {
                let patch = json!({ "metadata": { "labels": { key: value } } });
                let name = self.meant(object)?;
                self.rewrite(&name, &patch, ("kubectl-label", None), m)
            }
            Hand::Annotate { object, key, value } => {
                let patch = json!({ "metadata": { "annotations": { key: value } } });
                let name = self.meant(object)?;
                self.rewrite(&name, &patch, ("kubectl-annotate", None), m)
            }
            Hand::Edit { object, patch } => {
                let name = self.meant(object)?;
                self.rewrite(&name, &patch.0, ("kubectl-edit", None), m)
            }
            Hand::Create { body } => told(self.create(body.0.clone(), By::hand("kubectl-create"), true, m)),
            Hand::Delete { object } => {
                let name = self.meant(object)?;
                self.leave(&name, Asked { foreground: false }, m);
                Ok(())
            }
            Hand::Cordon { node, on } => {
                let name = self.meant(&format!("node/{node}"))?;
                let patch = json!({ "spec": { "unschedulable": if *on { json!(true) } else { Json::Null } } });
                self.rewrite(&name, &patch, ("kubectl-cordon", None), m)
            }
            Hand::Silence { node, on } => {
                self.meant(&format!("node/{node}"))?;
                self.set_node_ready(node, !on, m);
                Ok(())
            }
            Hand::SpoilImage { image, bad } => {
                self.bad_images.retain(|i| i != image);
                if *bad {
                    self.bad_images.push(image.clone());
                }
                Ok(())
            }
            Hand::CrashImage { image, log } => {
                match log {
                    Some(log) => self.crashing_images.insert(image.clone(), log.clone()),
                    None => self.crashing_images.remove(image),
                };
                Ok(())
            }
        }
    }

    fn rewrite(&mut self, name: &ObjectName, patch: &Json, by: (&str, Option<&str>), m: Moment) -> Result<(), Refusal> {
        let live = self.get(name).cloned().unwrap_or_default();
        let new = merge_patch(&live, patch);
        self.overwrite(name, new, by, m)
    }

    fn overwrite(
        &mut self,
        name: &ObjectName,
        mut new: Json,
        by: (&str, Option<&str>),
        m: Moment,
    ) -> Result<(), Refusal> {
        let Some(live) = self.get(name).cloned() else { return Ok(()) };
        let (manager, subresource) = by;
        if subresource.is_none() {
            return told(self.put_changed(name, &live, new, By::hand(manager), m));
        }
        // Through a subresource the entry says so; what is written is checked all the same.
        take(&mut new, &["metadata", "managedFields"]);
        let version = text(&live, &["apiVersion"]).to_owned();
        let form = self.form(&version, &name.kind);
        let booked = update(&Update { before: Some(&live), after: &new, manager, subresource, form, now: m.now });
        told(self.put_booked(name, &live, booked, m))
    }
}

fn told(answer: Result<Json, Answer>) -> Result<(), Refusal> {
    answer.map(|_| ()).or_else(|no| refuse(no.failure.says, "ask for something the API server takes"))
}

fn refuse<T>(says: String, way_out: &str) -> Result<T, Refusal> {
    Err(Refusal { says, way_out: way_out.to_owned() })
}
