//! Which lists are maps, sets or one piece, and which tables are one piece.
//!
//! The server's own paths tell it wherever anybody holds a part; the tables below are for what nobody holds yet. They
//! follow the `x-kubernetes-list-type` and `x-kubernetes-map-type` of Kubernetes 1.37. Custom objects have no tables.

use serde_json::Value;

use super::Sort;
use super::managed::Tree;
use super::path::{Path, Scalar, Step};

/// How a list is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// Items have keys; every item and every field of it has a holder of its own.
    Map(Vec<String>),
    /// Members have no order and stand once.
    Set,
    /// One piece, with an order.
    Atomic,
}

/// How the list at `path` is put together; `held` are the holders' trees there.
pub fn list(sort: Sort<'_>, path: &Path, held: &[&Tree], live: Option<&Value>) -> List {
    for step in held.iter().flat_map(|tree| tree.below.keys()) {
        match step {
            Step::Key(keys) => return List::Map(keys.keys().cloned().collect()),
            Step::Value(_) => return List::Set,
            Step::Field(_) | Step::Index(_) => {}
        }
    }
    let filled = live.and_then(Value::as_array).is_some_and(|l| !l.is_empty());
    // A map or a set that is not empty has a path for each item. This one has none, so it is held as one piece.
    if filled && held.iter().any(|tree| tree.is_leaf()) {
        return List::Atomic;
    }
    known_list(sort, &path.fields())
}

fn known_list(sort: Sort<'_>, fields: &[&str]) -> List {
    let by = |keys: &[&str]| List::Map(keys.iter().map(|k| (*k).to_owned()).collect());
    let (parent, name) = match fields {
        [.., parent, name] => (*parent, *name),
        [name] => ("", *name),
        [] => return List::Atomic,
    };
    match (parent, name) {
        ("metadata", "finalizers") => return List::Set,
        ("metadata", "ownerReferences") => return by(&["uid"]),
        _ if !sort.is_built_in() => return List::Atomic,
        _ => {}
    }
    match (parent, name) {
        ("spec", "containers" | "initContainers" | "ephemeralContainers") => by(&["name"]),
        ("containers" | "initContainers" | "ephemeralContainers", inner) => match inner {
            "env" => by(&["name"]),
            "ports" => by(&["containerPort", "protocol"]),
            "volumeMounts" => by(&["mountPath"]),
            "volumeDevices" => by(&["devicePath"]),
            _ => List::Atomic,
        },
        ("resources", "claims") => by(&["name"]),
        ("volumeMounts", "bindMountOptions") => List::Set,
        ("spec", "volumes" | "imagePullSecrets" | "schedulingGates" | "resourceClaims" | "evictionResponders") => {
            by(&["name"])
        }
        ("spec", "podGroupTemplates" | "compositePodGroupTemplates") => by(&["name"]),
        ("spec", "hostAliases") => by(&["ip"]),
        ("spec", "topologySpreadConstraints") => by(&["topologyKey", "whenUnsatisfiable"]),
        ("spec", "ports") if sort.kind == "Service" => by(&["port", "protocol"]),
        ("spec", "podCIDRs" | "validationActions" | "skipNodeOperations") => List::Set,
        ("spec", "volumeLifecycleModes") => List::Set,
        ("spec", "drivers") => by(&["name"]),
        ("" | "spec" | "webhooks", "webhooks" | "matchConditions") => by(&["name"]),
        ("spec", "variables") if sort.kind == "ValidatingAdmissionPolicy" => by(&["name"]),
        ("", "secrets") => by(&["name"]),
        ("status", "conditions") if sort.kind != "Job" => by(&["type"]),
        _ => List::Atomic,
    }
}

/// Whether the table at `path` is one piece; `held` are the holders' trees there, `wish` what the file says.
pub fn is_one_piece(sort: Sort<'_>, path: &Path, held: &[&Tree], wish: &Value, live: Option<&Value>) -> bool {
    if held.iter().any(|tree| tree.below.keys().any(|s| s.field().is_some())) {
        return false;
    }
    let known = sort.is_built_in() && known_piece(sort, path);
    let filled = live.and_then(Value::as_object).is_some_and(|l| !l.is_empty());
    if filled && held.iter().any(|tree| tree.is_leaf()) {
        // Either one piece, or a table that was applied empty and that defaults have filled since.
        let empty = wish.as_object().is_some_and(serde_json::Map::is_empty);
        return known || !empty || !sort.is_built_in();
    }
    known
}

fn known_piece(sort: Sort<'_>, path: &Path) -> bool {
    let fields = path.fields();
    let (parent, name) = match fields.as_slice() {
        [.., parent, name] => (*parent, *name),
        [name] => ("", *name),
        [] => return false,
    };
    if let Some(Step::Key(_)) = path.0.last() {
        return matches!((parent, name), ("spec", "imagePullSecrets" | "evictionResponders"))
            || matches!((parent, name), ("", "secrets") | ("metadata", "ownerReferences"))
            || (parent, name) == ("spec", "variables");
    }
    match name {
        "configMapKeyRef" | "secretKeyRef" | "fileKeyRef" | "fieldRef" | "resourceFieldRef" => true,
        "controllerExpandSecretRef" | "controllerPublishSecretRef" | "nodeExpandSecretRef" => true,
        "nodePublishSecretRef" | "nodeStageSecretRef" | "secretRef" | "dataSource" | "targetRef" => true,
        "selector" | "labelSelector" | "podSelector" | "namespaceSelector" | "objectSelector" => true,
        "nodeSelector" | "scopeSelector" | "nodeTopology" | "preference" => true,
        "matchConstraints" | "matchResources" | "paramKind" | "paramRef" => true,
        "roleRef" | "involvedObject" | "regarding" | "related" => true,
        "scaleTargetRef" => true,
        "required" | "requiredDuringSchedulingIgnoredDuringExecution" => parent == "nodeAffinity",
        "resource" => parent == "defaultBackend" || parent == "backend",
        "port" => parent == "service",
        "data" => sort.kind == "ControllerRevision",
        _ => false,
    }
}

/// The step to an item of a list with these keys, as the server writes it: the one key of Kubernetes' own lists that
/// has a default counts as that. `None` for what is no table or lacks a key whose default only the server knows.
pub fn key(sort: Sort<'_>, item: &Value, keys: &[String]) -> Option<Step> {
    let table = item.as_object()?;
    let value = |k: &String| match table.get(k) {
        Some(value) if !value.is_null() => Some((k.clone(), Scalar::from(value))),
        Some(_) | None if k == "protocol" && sort.is_built_in() => Some((k.clone(), Scalar::Text("TCP".to_owned()))),
        Some(_) | None => None,
    };
    Some(Step::Key(keys.iter().map(value).collect::<Option<_>>()?))
}

/// The steps to all items of the file's list, in its order. An item that leaves a key out goes with the one live item
/// that it fits and that no other item names; where there is none, its missing keys count as null. `None` for an item
/// that is no table or has none of the keys.
pub fn keys_of(sort: Sort<'_>, wish: &[Value], live: &[Step], keys: &[String]) -> Vec<Option<Step>> {
    let named: Vec<Option<Step>> = wish.iter().map(|item| key(sort, item, keys)).collect();
    let choose = |(item, named_step): (&Value, &Option<Step>)| {
        if named_step.is_some() {
            return named_step.clone();
        }
        let table = item.as_object().filter(|t| keys.iter().any(|k| t.contains_key(k)))?;
        let fit =
            |step: &&Step| matches!(step, Step::Key(k) if fits(item, k)) && !named.iter().flatten().any(|n| n == *step);
        let mut fitting = live.iter().filter(fit);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(only.clone()),
            (Some(_) | None, _) => {
                let value = |k: &String| (k.clone(), Scalar::from(table.get(k).unwrap_or(&Value::Null)));
                Some(Step::Key(keys.iter().map(value).collect()))
            }
        }
    };
    wish.iter().zip(&named).map(choose).collect()
}

/// What stands one step below a value.
pub fn below<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    let found = match step {
        Step::Field(name) => value.get(name),
        Step::Key(keys) => {
            let items = value.as_array()?;
            let has = |item: &Value, k: &str, wanted: &Scalar| match item.get(k) {
                Some(value) if !value.is_null() => Scalar::from(value) == *wanted,
                Some(_) | None => {
                    *wanted == Scalar::Null || (k == "protocol" && *wanted == Scalar::Text("TCP".to_owned()))
                }
            };
            let exact = items.iter().find(|item| {
                item.is_object() && keys.iter().all(|(k, v)| item.get(k).is_some_and(|i| Scalar::from(i) == *v))
            });
            let default = || items.iter().find(|item| item.is_object() && keys.iter().all(|(k, v)| has(item, k, v)));
            exact.or_else(default).or_else(|| {
                // A key that the file leaves out and whose default only the server knows: the one item it can be.
                let mut fits = items.iter().filter(|item| fits(item, keys));
                fits.next().filter(|_| fits.next().is_none())
            })
        }
        Step::Value(member) => value.as_array()?.iter().find(|v| Scalar::from(*v) == *member),
        Step::Index(n) => value.get(n),
    };
    found.filter(|v| !v.is_null())
}

/// Whether every key that the item has is the one looked for.
fn fits(item: &Value, keys: &std::collections::BTreeMap<String, Scalar>) -> bool {
    let has = |k: &String| item.get(k).filter(|v| !v.is_null());
    keys.keys().any(|k| has(k).is_some())
        && keys.iter().all(|(k, wanted)| has(k).is_none_or(|value| Scalar::from(value) == *wanted))
}

/// What stands at a path.
pub fn at<'a>(object: &'a Value, path: &Path) -> Option<&'a Value> {
    path.0.iter().try_fold(object, below)
}
