//! Random objects of a cluster as a user writes them down, and the edits a user makes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::fleet::Dice;

/// The namespace that the file may declare; the rest stands in `default`.
pub const SPACE: &str = "shop";

/// What sort of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    Config,
    /// A ConfigMap that the server does not change.
    Fixed,
    Secret,
    Account,
    Claim,
    Service,
    Deployment,
    Job,
    Widget,
}

const SORTS: [Sort; 9] = [
    Sort::Config,
    Sort::Fixed,
    Sort::Secret,
    Sort::Account,
    Sort::Claim,
    Sort::Service,
    Sort::Deployment,
    Sort::Job,
    Sort::Widget,
];

/// Which object: its sort, its number, and whether it stands in [`SPACE`].
pub type Place = (Sort, u32, bool);

/// What an object says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What changes in place.
    pub value: u32,
    /// What the server does not change on a live object.
    pub fixed: u32,
    /// Which of two tables declares it.
    pub second: bool,
}

/// The objects of a file.
#[derive(Debug, Clone, Default)]
pub struct Shop {
    pub items: BTreeMap<Place, Item>,
    /// It declares the namespace [`SPACE`].
    pub space: bool,
    /// It declares what a widget is.
    pub definition: bool,
    /// `[workloads.api]`: pods, and the number of its image.
    pub workload: Option<(u32, u32)>,
}

impl Sort {
    pub fn kind(self) -> &'static str {
        match self {
            Self::Config | Self::Fixed => "ConfigMap",
            Self::Secret => "Secret",
            Self::Account => "ServiceAccount",
            Self::Claim => "PersistentVolumeClaim",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::Job => "Job",
            Self::Widget => "Widget",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Config | Self::Fixed | Self::Secret | Self::Account | Self::Claim | Self::Service => "v1",
            Self::Deployment => "apps/v1",
            Self::Job => "batch/v1",
            Self::Widget => "example.org/v1",
        }
    }

    /// `config-0`
    pub fn name(self, n: u32) -> String {
        format!("{}-{n}", format!("{self:?}").to_lowercase())
    }
}

impl Item {
    fn of(dice: &mut Dice) -> Self {
        Self { value: dice.roll(3), fixed: dice.roll(2), second: dice.roll(3) == 0 }
    }

    fn body(self, (sort, n, space): Place) -> Json {
        let (name, Self { value, fixed, .. }) = (sort.name(n), self);
        let image = format!("registry.example/app:{}", value % 2);
        let mut body = match sort {
            Sort::Config if value % 2 == 0 => json!({ "data": { "value": format!("v{value}") } }),
            Sort::Config => json!({ "data": { "value": format!("v{value}"), "more": "yes" } }),
            Sort::Fixed => json!({ "immutable": true, "data": { "value": format!("v{fixed}") } }),
            Sort::Secret => json!({ "stringData": { "key": format!("correcthorse{value}") } }),
            Sort::Account => json!({ "automountServiceAccountToken": value % 2 == 0 }),
            Sort::Claim => json!({ "spec": { "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": format!("{}Gi", 1 + value) } } } }),
            Sort::Service => json!({ "spec": { "selector": { "app": name }, "ports": [{ "port": 80 + value }] } }),
            Sort::Deployment => {
                let labels = json!({ "app": format!("{name}-{fixed}") });
                json!({ "spec": { "replicas": value, "selector": { "matchLabels": labels },
                    "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "app",
                    "image": image, "envFrom": [{ "configMapRef": { "name": "config-0", "optional": true } }] }] } } } })
            }
            Sort::Job => json!({ "spec": { "template": { "spec": { "restartPolicy": "Never",
                "containers": [{ "name": "app", "image": image, "args": [format!("{fixed}")] }] } } } }),
            Sort::Widget => json!({ "spec": { "size": value } }),
        };
        body["apiVersion"] = sort.version().into();
        body["kind"] = sort.kind().into();
        body["metadata"] = json!({ "name": name, "namespace": if space { SPACE } else { "default" } });
        body
    }
}

impl Shop {
    /// The objects of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 11);
        let mut shop = Self {
            space: dice.roll(2) == 0,
            definition: dice.roll(2) == 0,
            workload: (dice.roll(4) == 0).then(|| (dice.roll(3), dice.roll(2))),
            ..Self::default()
        };
        for _ in 0..dice.roll(7) {
            shop.add(&mut dice);
        }
        shop
    }

    /// One more object, if what it stands on is declared.
    fn add(&mut self, dice: &mut Dice) -> String {
        let sort = SORTS[dice.roll(SORTS.len() as u32) as usize];
        let place = (sort, dice.roll(2), dice.roll(2) == 0 && self.space);
        let item = Item::of(dice);
        if sort == Sort::Widget && !self.definition {
            self.definition = true;
            return "a definition is added".into();
        }
        self.items.insert(place, item);
        format!("{place:?} is {item:?}")
    }

    /// What the user changes; says it in words.
    pub fn edit(&mut self, dice: &mut Dice) -> String {
        let places: Vec<Place> = self.items.keys().copied().collect();
        let which = places.get(dice.roll(u32::try_from(places.len()).unwrap_or(1)) as usize).copied();
        let kind = dice.roll(16);
        let (Some(place), false) = (which, kind > 10) else {
            return match kind {
                11 => {
                    self.space = !self.space;
                    if !self.space && dice.roll(2) == 0 {
                        self.items.retain(|(_, _, space), _| !*space);
                        return "the namespace is taken out with what is in it".into();
                    }
                    format!("the namespace: {}", self.space)
                }
                12 => {
                    self.definition = !self.definition;
                    if !self.definition && dice.roll(2) == 0 {
                        self.items.retain(|(sort, ..), _| *sort != Sort::Widget);
                        return "the definition is taken out with its objects".into();
                    }
                    format!("the definition: {}", self.definition)
                }
                13 => {
                    self.workload = (dice.roll(3) > 0).then(|| (dice.roll(3), dice.roll(2)));
                    format!("the workload: {:?}", self.workload)
                }
                14 => {
                    *self = Self::default();
                    "everything is taken out".into()
                }
                _ => self.add(dice),
            };
        };
        let item = self.items.get_mut(&place).expect("it was just listed");
        match kind {
            0..=3 => {
                item.value = dice.roll(4);
                format!("{place:?}: value {}", item.value)
            }
            4 | 5 => {
                item.fixed = (item.fixed + 1) % 3;
                format!("{place:?}: fixed {}", item.fixed)
            }
            6 => {
                item.second = !item.second;
                format!("{place:?}: moves to the other table")
            }
            7 | 8 => {
                self.items.remove(&place);
                format!("{place:?} is taken out")
            }
            _ => self.add(dice),
        }
    }

    /// As the user writes it, without the header.
    pub fn file(&self) -> String {
        let mut base = Vec::new();
        if self.space {
            base.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": SPACE } }));
        }
        if self.definition {
            base.push(definition());
        }
        let of = |second: bool| {
            let mine = self.items.iter().filter(move |(_, item)| item.second == second);
            mine.map(|(place, item)| item.body(*place)).collect::<Vec<_>>()
        };
        let mut text = "[kubernetes]\n".to_owned();
        for (name, objects) in [("base", base), ("app", of(false)), ("more", of(true))] {
            if !objects.is_empty() {
                let lines: Vec<String> = objects.iter().map(|o| format!("  {},\n", toml(o))).collect();
                text += &format!("[manifests.{name}]\nobjects = [\n{}]\n", lines.concat());
            }
        }
        if let Some((replicas, image)) = self.workload {
            text += &format!(
                "[workloads.api]\nimage = \"registry.example/app:{image}\"\nreplicas = {replicas}\nport = 8080\n\
                 max-unavailable = 1\n"
            );
        }
        text
    }

    /// The kinds that its items are of, as faults name them.
    pub fn kinds(&self) -> BTreeSet<String> {
        let group = |version: &str| version.split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
        self.items.keys().map(|(sort, ..)| format!("{}{}", sort.kind(), group(sort.version()))).collect()
    }
}

/// What a widget is.
fn definition() -> Json {
    json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.example.org" }, "spec": { "group": "example.org", "scope": "Namespaced",
        "names": { "kind": "Widget", "plural": "widgets" }, "versions": [{ "name": "v1", "served": true, "storage": true,
        "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } } }] } })
}

/// An object as an inline table.
fn toml(json: &Json) -> String {
    match json {
        Json::Object(all) => {
            let pairs: Vec<String> = all.iter().map(|(k, v)| format!("{k:?} = {}", toml(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Json::Array(all) => format!("[{}]", all.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => json.to_string(),
    }
}
