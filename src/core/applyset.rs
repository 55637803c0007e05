//! Marks on Kubernetes objects: whose they are, and where a stack's objects may be.
//!
//! The label is the truth; the parent object of an ApplySet (KEP-3659) is a hint of kinds and namespaces, so that what
//! the file no longer mentions is found again, by us and by `kubectl apply --prune --applyset`. Refuses to decide.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::address::{Group, ObjectName};
use crate::digest::{Digest, canonical};
use crate::objects::redact::is_secret;
use crate::observed::Parent;

/// The field manager of everything that evenkeel applies.
pub const MANAGER: &str = "evenkeel";

/// Label: the stack's id.
pub const STACK: &str = "evenkeel.dev/stack";
/// Label of KEP-3659: the id of the set that an object is part of.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Label of KEP-3659, on the parent: its own id.
pub const ID: &str = "applyset.kubernetes.io/id";
/// Annotation of KEP-3659, on the parent: whose set it is.
pub const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// Annotation of KEP-3659, on the parent: `Deployment.apps,Service`.
pub const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// Annotation of KEP-3659, on the parent: namespaces beside its own.
pub const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// Annotation: the group of the file that declares it, so that it has a name when the file no longer does.
pub const ADDRESS: &str = "evenkeel.dev/address";
/// Annotation: `true` where nothing may delete it.
pub const PROTECT: &str = "evenkeel.dev/protect";
/// Annotation: `false` where it stays when the file no longer declares it, whatever is left of its table.
pub const PRUNE: &str = "evenkeel.dev/prune";
/// Annotation: when what holds data, and is no longer declared, may be deleted.
pub const DELETE_AFTER: &str = "evenkeel.dev/delete-after";

/// Annotation: the digest of what was applied last. It tells who moved where nobody holds a field any more: one that
/// was taken away by hand, or one that is new in the file. A Secret has none: its contents may be guessed.
pub const APPLIED: &str = "evenkeel.dev/applied";

/// What evenkeel writes into [`TOOLING`]; another tool's set is refused by what stands before the slash.
const TOOL: &str = concat!("evenkeel/v", env!("CARGO_PKG_VERSION"));

/// The parent of a stack.
pub fn parent_name(stack: &str, namespace: &str) -> ObjectName {
    ObjectName {
        api: String::new(),
        kind: "ConfigMap".into(),
        namespace: namespace.into(),
        name: format!("evenkeel-{stack}"),
    }
}

/// The id of the set: a hash of its parent's own identity (KEP-3659, "ApplySet ID").
pub fn set_id(stack: &str, namespace: &str) -> String {
    let parent = parent_name(stack, namespace);
    let identity = format!("{}.{}.{}.{}", parent.name, parent.namespace, parent.kind, parent.api);
    format!("applyset-{}-v1", BASE64URL_NOPAD.encode(&Sha256::digest(identity.as_bytes())))
}

/// What the table of an object says of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Nothing may delete it.
    pub protect: bool,
    /// It is deleted when it is no longer declared.
    pub prune: bool,
}

/// Whether it stays when the file no longer declares it.
pub fn is_kept(body: &Json) -> bool {
    annotation(body, PRUNE) == Some("false")
}

/// Writes the marks of a stack onto an object that `group` declares. `namespace` is the parent's.
pub fn mark(body: &mut Json, stack: &str, namespace: &str, group: &Group, keep: Keep) {
    let secret = is_secret(body);
    let Some(metadata) = table(body, "metadata") else { return };
    if let Some(labels) = entry(metadata, "labels") {
        labels.insert(STACK.into(), stack.into());
        labels.insert(PART_OF.into(), set_id(stack, namespace).into());
    }
    if let Some(annotations) = entry(metadata, "annotations") {
        annotations.insert(ADDRESS.into(), group.to_string().into());
        if keep.protect {
            annotations.insert(PROTECT.into(), "true".into());
        }
        if !keep.prune {
            annotations.insert(PRUNE.into(), "false".into());
        }
    }
    let digest = Digest::keyed(stack.as_bytes(), canonical(body).as_bytes());
    let annotations = table(body, "metadata").and_then(|m| entry(m, "annotations"));
    if let Some(annotations) = annotations.filter(|_| !secret) {
        annotations.insert(APPLIED.into(), digest.prefix(DIGEST).into());
    }
}

/// Whether the file's object is another than the one that was applied last, as far as the two marks tell.
pub fn moved(wish: &Json, live: &Json) -> Option<bool> {
    Some(annotation(wish, APPLIED)? != annotation(live, APPLIED)?)
}

/// Characters of a digest that stand in [`APPLIED`]: eighty bits.
const DIGEST: usize = 16;

/// The parent as it is applied.
pub fn parent_body(stack: &str, name: &str, parent: &Parent) -> Json {
    let all = |items: &BTreeSet<String>| items.iter().cloned().collect::<Vec<_>>().join(",");
    let object = parent_name(stack, &parent.namespace);
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": object.name,
            "namespace": object.namespace,
            "labels": { ID: set_id(stack, &parent.namespace), STACK: stack },
            "annotations": { TOOLING: TOOL, KINDS: all(&parent.kinds), NAMESPACES: all(&parent.namespaces) },
        },
        "data": { "stack": name },
    })
}

/// Reads the parent of a stack; `None` for an object that is none. One that we have applied stays ours when a label or
/// an annotation is taken off it.
///
/// # Errors
/// It is another tool's set: its name.
pub fn read_parent(body: &Json, stack: &str) -> Option<Result<Parent, String>> {
    let namespace = text(body, "namespace");
    let is_set = label(body, ID).is_some();
    if name_of(body)? != parent_name(stack, namespace) || !(is_set || is_applied(body)) {
        return None;
    }
    let tool = annotation(body, TOOLING);
    let named = tool.is_some_and(|t| t.split('/').next() == Some(MANAGER));
    match tool {
        Some(other) if !named => return Some(Err(other.to_owned())),
        None if !is_applied(body) => return Some(Err("a tool that does not say its name".into())),
        Some(_) | None => {}
    }
    let all = |key| {
        let text = annotation(body, key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
    };
    let labels = label(body, ID) == Some(set_id(stack, namespace).as_str()) && label(body, STACK) == Some(stack);
    let hints = [KINDS, NAMESPACES].iter().all(|key| annotation(body, key).is_some());
    Some(Ok(Parent {
        namespace: namespace.to_owned(),
        uid: text(body, "uid").to_owned(),
        kinds: all(KINDS),
        namespaces: all(NAMESPACES),
        whole: named && labels && hints,
    }))
}

/// A label of an object.
pub fn label<'a>(body: &'a Json, key: &str) -> Option<&'a str> {
    body.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// An annotation of an object.
pub fn annotation<'a>(body: &'a Json, key: &str) -> Option<&'a str> {
    body.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// A text of an object's metadata; empty where it has none.
pub fn text<'a>(body: &'a Json, key: &str) -> &'a str {
    body.get("metadata").and_then(|m| m.get(key)).and_then(Json::as_str).unwrap_or_default()
}

/// An object's own name, as its `apiVersion`, `kind` and `metadata` say; `None` where it has no kind or no name.
pub fn name_of(body: &Json) -> Option<ObjectName> {
    let of = |key: &str| body.get(key).and_then(Json::as_str).unwrap_or_default();
    let (kind, name) = (of("kind"), text(body, "name"));
    let api = of("apiVersion").split_once('/').map_or("", |(api, _)| api);
    (!kind.is_empty() && !name.is_empty()).then(|| ObjectName {
        api: api.into(),
        kind: kind.into(),
        namespace: text(body, "namespace").into(),
        name: name.into(),
    })
}

/// Whether evenkeel has applied it: controllers copy labels onto what they make (a Service's onto its endpoints), but
/// nobody copies a field manager.
pub fn is_applied(body: &Json) -> bool {
    let entries = body.get("metadata").and_then(|m| m.get("managedFields")).and_then(Json::as_array);
    entries.into_iter().flatten().any(|entry| {
        let says = |key: &str, what: &str| entry.get(key).and_then(Json::as_str) == Some(what);
        says("manager", MANAGER) && says("operation", "Apply")
    })
}

fn table<'a>(body: &'a mut Json, key: &str) -> Option<&'a mut Map<String, Json>> {
    entry(body.as_object_mut()?, key)
}

/// A table inside a table, made where there is none; `None` where something else stands there.
fn entry<'a>(map: &'a mut Map<String, Json>, key: &str) -> Option<&'a mut Map<String, Json>> {
    let at = map.entry(key).or_insert(Json::Null);
    if at.is_null() {
        *at = json!({});
    }
    at.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_one_that_kubectl_computes() {
        // echo -n 'evenkeel-7f3kq2x9.default.ConfigMap.' | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(set_id("7f3kq2x9", "default"), "applyset-P2jh0iRBtGaXnK7s_LmDNpYEXHCE2A3gCTczL7pamGs-v1");
    }

    #[test]
    fn a_parent_reads_back_what_it_writes() {
        let set = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<BTreeSet<_>>();
        let parent = Parent {
            namespace: "ops".into(),
            uid: String::new(),
            kinds: set(&["Deployment.apps", "Service"]),
            namespaces: set(&["shop", "web"]),
            whole: true,
        };
        let body = parent_body("7f3kq2x9", "shop", &parent);
        let read = |body: &Json| read_parent(body, "7f3kq2x9");
        assert_eq!(read(&body), Some(Ok(parent)));
        assert_eq!(body["metadata"]["annotations"][KINDS], "Deployment.apps,Service");
        assert_eq!(read(&json!({ "metadata": {} })), None);
        let mut other = body.clone();
        other["metadata"]["annotations"][TOOLING] = "kubectl/v1.37".into();
        assert_eq!(read(&other), Some(Err("kubectl/v1.37".into())));
        other["metadata"]["name"] = "theirs".into();
        assert_eq!(read(&other), None, "a set that the file declares is no mark of the stack");
        assert_eq!(read_parent(&body, "other234"), None);
    }

    #[test]
    fn a_parent_stays_ours_whatever_is_taken_off_it() {
        let set = BTreeSet::from(["Service".to_owned()]);
        let parent = Parent {
            namespace: "ops".into(),
            uid: String::new(),
            kinds: set,
            namespaces: BTreeSet::new(),
            whole: true,
        };
        let mut body = parent_body("7f3kq2x9", "shop", &parent);
        body["metadata"]["managedFields"] = json!([{ "manager": MANAGER, "operation": "Apply" }]);
        for (table, key) in [
            ("labels", ID),
            ("labels", STACK),
            ("annotations", TOOLING),
            ("annotations", KINDS),
            ("annotations", NAMESPACES),
        ] {
            let mut body = body.clone();
            body["metadata"][table].as_object_mut().unwrap().remove(key);
            let read = read_parent(&body, "7f3kq2x9").unwrap_or_else(|| panic!("{key}: none"));
            assert!(!read.unwrap_or_else(|tool| panic!("{key}: {tool}")).whole, "{key}");
        }
        body["metadata"].as_object_mut().unwrap().remove("managedFields");
        body["metadata"]["annotations"].as_object_mut().unwrap().remove(TOOLING);
        assert!(matches!(read_parent(&body, "7f3kq2x9"), Some(Err(_))), "nobody says whose it is");
    }

    #[test]
    fn marks_leave_what_else_stands_there() {
        let mut body = json!({ "metadata": { "name": "a", "labels": { "app": "a" }, "annotations": null } });
        mark(
            &mut body,
            "7f3kq2x9",
            "default",
            &Group { kind: crate::address::Kind::Manifests, name: "x".into() },
            Keep { protect: true, prune: false },
        );
        assert_eq!(label(&body, "app"), Some("a"));
        assert_eq!(label(&body, STACK), Some("7f3kq2x9"));
        assert_eq!(annotation(&body, ADDRESS), Some("manifests.x"));
        assert_eq!(annotation(&body, PROTECT), Some("true"));
        assert!(is_kept(&body));
        let mut odd = json!({ "metadata": { "labels": [] } });
        mark(&mut odd, "7f3kq2x9", "default", &Group::machines("x"), Keep { protect: false, prune: true });
        assert_eq!(odd["metadata"]["labels"], json!([]), "the server says what is wrong with it");
    }

    #[test]
    fn a_copied_label_is_no_claim() {
        let managed = |manager: &str, operation: &str| json!({ "metadata": { "managedFields": [{ "manager": manager, "operation": operation }] } });
        assert!(is_applied(&managed("evenkeel", "Apply")));
        assert!(!is_applied(&managed("evenkeel", "Update")));
        assert!(!is_applied(&managed("kube-controller-manager", "Update")));
        assert!(!is_applied(&json!({})));
    }
}
