//! What a cluster may have against us, told by the real binary: rights, quotas, policies.
//! Each is one message with the object and a way out; what cannot be seen is neither made nor deleted.

use serde_json::json;

use super::lab;
use super::stack::Stack;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { k: v }\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { k: v }\n";

#[test]
fn who_sees_one_namespace_only_works_there_and_what_it_may_not_list_stays_as_it_is() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("narrow");
    let account = cluster.account("narrow", "narrow", "get,list,create,patch,delete", "configmaps");
    let stack = Stack::new(cluster, "kznarrow", "narrow", CONFIG);
    stack.run_as(&account, "apply --yes", 0);
    let said = stack.run_as(&account, "plan --exit-code", 0);
    assert!(said.contains("No changes."), "{said}");

    // An admin makes a Secret of this stack; the account is not allowed to see it, or to make another.
    stack.write("objects.yaml", &format!("{CONFIG}---\n{SECRET}"));
    stack.run("apply --yes", 0);
    stack.write("objects.yaml", &CONFIG.replace("k: v", "k: w"));
    for words in ["plan --exit-code", "apply --yes"] {
        let said = stack.run_as(&account, words, 8);
        assert!(flat(&said).contains("cannot list resource \"secrets\""), "{said}");
    }
    assert_eq!(cluster.get("--namespace narrow configmap a")["data"]["k"], "w", "what is seen is done");
    assert_eq!(cluster.get("--namespace narrow secret s")["data"]["k"], "dg==", "what is not seen is not pruned");
    stack.write("objects.yaml", &format!("{CONFIG}---\n{}", SECRET.replace("name: s", "name: new")));
    stack.run_as(&account, "apply --yes", 8);
    let made = cluster.try_kubectl("--namespace narrow get secret new", "");
    assert!(made.is_err_and(|said| said.contains("not found")), "what is not seen is not made");
    stack.run("destroy --yes", 0);
}

#[test]
fn a_full_quota_is_told_with_the_object_before_anything_is_done() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("full");
    cluster.kubectl("--namespace full create quota few --hard=count/secrets=0");
    let hard = "--for=jsonpath={.status.hard.count/secrets}=0";
    cluster.kubectl(&format!("--namespace full wait quota/few {hard} --timeout=120s"));
    let stack = Stack::new(cluster, "kzfull23", "full", &format!("{CONFIG}---\n{SECRET}"));
    let said = stack.run("apply --yes", 6);
    assert!(flat(&said).contains("Secret full/s: ") && flat(&said).contains("exceeded quota: few"), "{said}");
    assert!(flat(&said).contains("take away what counts against that quota, or have it raised"), "{said}");
    assert_eq!(cluster.get("--namespace full configmap a")["data"]["k"], "v", "the rest is done");
    stack.run("destroy --yes", 0);
}

#[test]
fn what_admission_denies_is_told_in_its_own_words() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("guarded");
    let policy = r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: guarded }
spec:
  matchConstraints:
    namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: guarded } }
    resourceRules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets] }]
  validations: [{ expression: "false", message: "secrets are kept in the vault" }]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: guarded }
spec: { policyName: guarded, validationActions: [Deny] }
"#;
    cluster.kubectl_with("create -f -", policy);
    // The server takes a moment to hear of it.
    let denied = |_| cluster.try_kubectl("--namespace guarded create secret generic x --dry-run=server", "").is_err();
    assert!((0..1_000).any(denied), "nobody asks the policy");
    let stack = Stack::new(cluster, "kzguard2", "guarded", &format!("{CONFIG}---\n{SECRET}"));
    let said = stack.run("apply --yes", 6);
    let out = "change the object as these words ask, or settle it with whoever keeps that policy";
    for words in ["Secret guarded/s", "the server refuses it", "secrets are kept in the vault", out] {
        assert!(flat(&said).contains(words), "{words}: {said}");
    }
    assert_eq!(cluster.get("--namespace guarded configmap a")["data"]["k"], "v", "the rest is done");
}

#[test]
fn nothing_is_deleted_for_a_successor_that_a_policy_will_not_let_be_made() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("sealed");
    let policy = r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: { name: sealed }
spec:
  matchConstraints:
    namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: sealed } }
    resourceRules: [{ apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [secrets] }]
  validations: [{ expression: "false", message: "no new secrets here" }]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: { name: sealed }
spec: { policyName: sealed, validationActions: [Deny] }
"#;
    let fixed = |value: &str| SECRET.replace("k: v", &format!("k: {value}")) + "immutable: true\n";
    let stack = Stack::new(cluster, "kzsealed", "sealed", &fixed("old"));
    stack.run("apply --yes", 0);
    let before = cluster.get("--namespace sealed secret s");
    stack.write("objects.yaml", &fixed("new"));
    let said = stack.run("plan", 0);
    assert!(said.contains("1 to replace"), "{said}");
    cluster.kubectl_with("create -f -", policy);
    let denied = |_| cluster.try_kubectl("--namespace sealed create secret generic x --dry-run=server", "").is_err();
    assert!((0..1_000).any(denied), "nobody asks the policy");
    let said = stack.run("apply --yes", 6);
    for words in ["deleted and made anew", "the server refuses the new one", "no new secrets here"] {
        assert!(flat(&said).contains(words), "{words}: {said}");
    }
    assert_eq!(cluster.get("--namespace sealed secret s")["metadata"]["uid"], before["metadata"]["uid"], "it stands");
    cluster.kubectl("delete validatingadmissionpolicybinding sealed");
    let lets = |_| cluster.try_kubectl("--namespace sealed create secret generic x --dry-run=server", "").is_ok();
    assert!((0..1_000).any(lets), "the policy is asked for ever");
    stack.run("apply --yes", 0);
    assert_ne!(cluster.get("--namespace sealed secret s")["metadata"]["uid"], before["metadata"]["uid"]);
    stack.run("destroy --yes", 0);
}

#[test]
fn a_conversion_webhook_that_does_not_answer_is_one_clear_message() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("turned");
    let version = |name: &str, storage: bool| {
        let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
        json!({ "name": name, "served": true, "storage": storage, "schema": schema })
    };
    // Nobody listens there.
    let service = json!({ "url": "https://127.0.0.1:9/" });
    let webhook = json!({ "conversionReviewVersions": ["v1"], "clientConfig": service });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "turnings.example.org" },
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": { "kind": "Turning", "plural": "turnings" },
            "versions": [version("v1", true), version("v2", false)],
            "conversion": { "strategy": "Webhook", "webhook": webhook },
        },
    });
    cluster.kubectl_with("create -f -", &definition.to_string());
    cluster.kubectl("wait crd/turnings.example.org --for=condition=Established --timeout=60s");
    let old = json!({ "apiVersion": "example.org/v1", "kind": "Turning", "metadata": { "name": "old", "namespace": "turned" } });
    let made = |_| cluster.try_kubectl("create -f -", &old.to_string()).is_ok();
    assert!((0..1_000).any(made), "the definition is served");
    let new = "---\napiVersion: example.org/v2\nkind: Turning\nmetadata: { name: new }\n";
    let stack = Stack::new(cluster, "kzturned", "turned", &format!("{CONFIG}{new}"));
    let said = stack.run("apply --yes", 8);
    for words in ["conversion webhook for example.org/v", "mend `spec.conversion` of the definition"] {
        assert!(flat(&said).contains(words), "{words}: {said}");
    }
    assert_eq!(cluster.get("--namespace turned configmap a")["data"]["k"], "v", "the rest is done");
    cluster.kubectl("delete crd turnings.example.org --wait=false");
}

#[test]
fn objects_of_a_version_that_their_definition_gains_come_in_the_same_apply() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("gains");
    let version = |name: &str, storage: bool| {
        format!(
            "  - name: {name}\n    served: true\n    storage: {storage}\n    schema: {{ openAPIV3Schema: {{ type: object, \
             x-kubernetes-preserve-unknown-fields: true }} }}\n"
        )
    };
    let objects = |versions: &[&str], of: &str| {
        let all: String = versions.iter().map(|v| version(v, *v == "v1")).collect();
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: gainers.example.org \
             }}\nspec:\n  group: example.org\n  scope: Namespaced\n  names: {{ kind: Gainer, plural: gainers }}\n  \
             versions:\n{all}---\napiVersion: example.org/{of}\nkind: Gainer\nmetadata: {{ name: one }}\nspec: {{ size: 1 \
             }}\n"
        )
    };
    let stack = Stack::new(cluster, "kzgains2", "gains", &objects(&["v1"], "v1"));
    stack.run("apply --yes", 0);
    stack.write("objects.yaml", &objects(&["v1", "v2"], "v2").replace("size: 1", "size: 2"));
    stack.run("apply --yes", 0);
    stack.is_in_sync();
    assert_eq!(cluster.get("--namespace gains gainers.v2.example.org one")["spec"]["size"], 2);
    stack.run("destroy --yes", 0);
}

#[test]
fn what_keeps_a_set_from_making_its_pods_is_told_while_it_is_waited_for() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("crowded");
    cluster.kubectl("--namespace crowded create quota none --hard=pods=0");
    cluster.kubectl("--namespace crowded wait quota/none --for=jsonpath={.status.hard.pods}=0 --timeout=120s");
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: db }\nspec:\n  selector: { matchLabels: { app: db } \
               }\n  template:\n    metadata: { labels: { app: db } }\n    spec: { containers: [{ name: db, image: \
               registry.example/db:1 }] }\n";
    let stack = Stack::new(cluster, "kzcrowd2", "crowded", set);
    let declared = super::stack::declaration("kzcrowd2", "crowded", "files = [\"objects.yaml\"]\nwait = \"15s\"");
    stack.write("evenkeel.toml", &declared);
    let said = stack.run("apply --yes", 7);
    assert!(flat(&said).contains("pods cannot be made: ") && flat(&said).contains("exceeded quota: none"), "{said}");
    cluster.kubectl("--namespace crowded delete quota none");
    stack.run("destroy --yes", 0);
}

#[test]
fn a_claim_is_waited_for_where_its_class_binds_it_at_once_and_the_class_is_named() {
    let Some(cluster) = lab::shared() else { return };
    cluster.namespace("claims");
    let class = |name: &str, binding: &str| {
        let class = json!({ "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": name },
            "provisioner": "nobody.example.org", "volumeBindingMode": binding });
        cluster.kubectl_with("create -f -", &class.to_string());
    };
    class("claims-now", "Immediate");
    class("claims-late", "WaitForFirstConsumer");
    let claim = |class: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: data }}\nspec: {{ storageClassName: {class}, \
             accessModes: [ReadWriteOnce], resources: {{ requests: {{ storage: 1Gi }} }} }}\n"
        )
    };
    let wait = |id: &str| super::stack::declaration(id, "claims", "files = [\"objects.yaml\"]\nwait = \"10s\"");
    let late = Stack::new(cluster, "kzlate23", "claims", &claim("claims-late"));
    late.write("evenkeel.toml", &wait("kzlate23"));
    late.run("apply --yes", 0);
    late.run("status", 0);
    late.run("destroy --yes", 0);
    let now = Stack::new(cluster, "kznow234", "claims", &claim("claims-now"));
    now.write("evenkeel.toml", &wait("kznow234"));
    let said = now.run("apply --yes", 7);
    assert!(flat(&said).contains("not bound yet: its class claims-now has made no volume"), "{said}");
    now.run("destroy --yes", 0);
    cluster.kubectl("delete storageclass claims-now claims-late");
}

/// What is said, without the ends of lines and the spaces that they are filled in with.
fn flat(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
