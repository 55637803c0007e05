//! Which pods of a node a drain moves, which it leaves, and which refuse: kubectl's own rules.
//!
//! It refuses to decide about budgets: the API server alone knows what they let go, and says so at each eviction.

use serde_json::Value as Json;

use crate::applyset;
use crate::plan::Drain;

/// A pod to be moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moving {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Never used twice.
    pub uid: String,
}

/// The pods of a node, as a drain sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sorted {
    /// To be evicted.
    pub evict: Vec<Moving>,
    /// On their way out already, by name.
    pub leaving: Vec<String>,
    /// They may not go, and why: `shop/cache-0 keeps data in an emptyDir`.
    pub refuse: Vec<String>,
}

/// Annotations with which a pod asks not to be disturbed, and the value that says so.
const DO_NOT_DISTURB: [(&str, &str); 2] =
    [("karpenter.sh/do-not-disrupt", "true"), ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")];

/// Sorts the pods of a node.
pub fn sort(pods: &[Json], how: Drain) -> Sorted {
    let mut out = Sorted::default();
    for pod in pods {
        let (namespace, name) = (applyset::text(pod, "namespace"), applyset::text(pod, "name"));
        let called = format!("{namespace}/{name}");
        // What its kubelet runs by itself, and what a DaemonSet would put back at once, stays with the node.
        if applyset::annotation(pod, "kubernetes.io/config.mirror").is_some() || controller(pod) == Some("DaemonSet") {
            continue;
        }
        if !applyset::text(pod, "deletionTimestamp").is_empty() {
            out.leaving.push(called);
            continue;
        }
        match refusal(pod, how) {
            Some(why) => out.refuse.push(format!("{called} {why}")),
            None => out.evict.push(Moving {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: applyset::text(pod, "uid").to_owned(),
            }),
        }
    }
    out.evict.sort();
    out.leaving.sort();
    out.refuse.sort();
    out
}

/// The kind of the pod's controller.
fn controller(pod: &Json) -> Option<&str> {
    let owners = pod.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|o| o.get("controller").and_then(Json::as_bool) == Some(true))?.get("kind")?.as_str()
}

/// Why a pod may not go.
fn refusal(pod: &Json, how: Drain) -> Option<String> {
    let phase = pod.pointer("/status/phase").and_then(Json::as_str);
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    if controller(pod).is_none() && !how.unmanaged {
        return Some("is made anew by nothing (`policy.drain.unmanaged = true` lets it go)".into());
    }
    let asks = DO_NOT_DISTURB.iter().find(|(key, value)| applyset::annotation(pod, key) == Some(value));
    if let Some((key, _)) = asks.filter(|_| !how.unmanaged) {
        return Some(format!("asks not to be disturbed ({key})"));
    }
    let volumes = pod.pointer("/spec/volumes").and_then(Json::as_array);
    let data = volumes.into_iter().flatten().any(|v| v.get("emptyDir").is_some());
    (data && !how.empty_dir).then(|| "keeps data in an emptyDir (`policy.drain.empty-dir = true` lets it go)".into())
}

/// The first names of many: `a, b and 3 more`.
pub fn listed(all: &[String]) -> String {
    const NAMED: usize = 3;
    match all {
        [] => String::new(),
        all if all.len() <= NAMED => all.join(", "),
        all => format!("{} and {} more", all[..NAMED].join(", "), all.len() - NAMED),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GENTLE: Drain = Drain { empty_dir: false, unmanaged: false, force: false };

    fn pod(name: &str, more: Json) -> Json {
        let mut pod = json!({
            "metadata": { "namespace": "shop", "name": name, "uid": "u1",
                "ownerReferences": [{ "kind": "ReplicaSet", "controller": true }] },
            "spec": {}, "status": { "phase": "Running" },
        });
        merge(&mut pod, more);
        pod
    }

    fn merge(into: &mut Json, more: Json) {
        match (into, more) {
            (Json::Object(into), Json::Object(more)) => {
                more.into_iter().for_each(|(k, v)| merge(into.entry(k).or_insert(Json::Null), v));
            }
            (into, more) => *into = more,
        }
    }

    /// What becomes of a pod: `evict`, `leaving`, `stays`, or why it refuses.
    fn fate(pod: Json, how: Drain) -> String {
        let sorted = sort(&[pod], how);
        match (sorted.evict.len(), sorted.leaving.len(), sorted.refuse.as_slice()) {
            (1, 0, []) => "evict".into(),
            (0, 1, []) => "leaving".into(),
            (0, 0, []) => "stays".into(),
            (0, 0, [why]) => why.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pods_go_as_kubectl_has_it() {
        let owned = |kind: &str| json!({ "metadata": { "ownerReferences": [{ "kind": kind, "controller": true }] } });
        let note = |key: &str, value: &str| json!({ "metadata": { "annotations": { key: value } } });
        let data = json!({ "spec": { "volumes": [{ "name": "tmp", "emptyDir": {} }] } });
        let alone = json!({ "metadata": { "ownerReferences": [] } });
        let done = json!({ "metadata": { "ownerReferences": [] }, "status": { "phase": "Succeeded" },
            "spec": { "volumes": [{ "name": "tmp", "emptyDir": {} }] } });
        for (more, fate_is) in [
            (json!({}), "evict"),
            (owned("DaemonSet"), "stays"),
            (note("kubernetes.io/config.mirror", "x"), "stays"),
            (json!({ "metadata": { "deletionTimestamp": "2026-01-05T12:00:00Z" } }), "leaving"),
            (done, "evict"),
            (data.clone(), "shop/a keeps data in an emptyDir (`policy.drain.empty-dir = true` lets it go)"),
            (alone.clone(), "shop/a is made anew by nothing (`policy.drain.unmanaged = true` lets it go)"),
            (
                note("karpenter.sh/do-not-disrupt", "true"),
                "shop/a asks not to be disturbed (karpenter.sh/do-not-disrupt)",
            ),
            (note("karpenter.sh/do-not-disrupt", "false"), "evict"),
        ] {
            assert_eq!(fate(pod("a", more.clone()), GENTLE), fate_is, "{more}");
        }
        let all = Drain { empty_dir: true, unmanaged: true, force: true };
        for more in [data, alone, note("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")] {
            assert_eq!(fate(pod("a", more.clone()), all), "evict", "{more}");
        }
        assert_eq!(fate(pod("a", owned("DaemonSet")), all), "stays", "not even by force");
    }

    #[test]
    fn many_names_are_cut_short() {
        let names = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        assert_eq!((listed(&names(0)).as_str(), listed(&names(3)).as_str()), ("", "0, 1, 2"));
        assert_eq!(listed(&names(5)), "0, 1, 2 and 2 more");
    }
}
