//! The whole file: which blocks there are.

use super::keys::{Block, Shape, key};
use super::{aws, kubernetes, lock, machines, outputs, policy, stack, vars, volumes};

/// The file.
pub static FILE: Block = Block {
    title: "evenkeel.toml",
    about: "One file says what should exist. Keys are kebab-case; sizes and times carry their unit. Text may hold \
            templates: `{{ vars.x }}`, `{{ stack.name }}`, `{{ env }}`; a text that is one template keeps the value's \
            type, so that `count = \"{{ vars.count }}\"` is a number.",
    keys: &[
        key("stack", Shape::Table(&stack::STACK), "Whose it is: name, id, tags on everything.")
            .required()
            .example("{ name = \"shop\", id = \"7f3kq2x9\" }"),
        key("vars", Shape::Table(&vars::VARS), "Values that differ from run to run or must not stand in the file."),
        key("aws", Shape::Table(&aws::AWS), "Where things live.").default("as the environment says").aka(&["provider"]),
        key("lock", Shape::Table(&lock::LOCK), "How two runs at once exclude each other.").default("a lock file"),
        key("machines", Shape::Table(&machines::GROUPS), "Redundant compute: groups of EC2 instances.").aka(&[
            "instances",
            "machine",
            "servers",
        ]),
        key(
            "volumes",
            Shape::Table(&volumes::GROUPS),
            "Redundant storage: groups of EBS volumes that outlive machines.",
        )
        .aka(&["volume", "storage"]),
        key("kubernetes", Shape::Table(&kubernetes::KUBERNETES), "Where Kubernetes objects live.")
            .default("as kubectl finds it")
            .aka(&["cluster", "k8s"]),
        key(
            "workloads",
            Shape::Table(&kubernetes::workloads::GROUPS),
            "What runs in Kubernetes, in a dozen lines each.",
        )
        .aka(&["workload", "deployments", "services"]),
        key("manifests", Shape::Table(&kubernetes::manifests::GROUPS), "Kubernetes objects of any kind.")
            .aka(&["manifest", "kubernetes_manifest"]),
        key("policy", Shape::Table(&policy::POLICY), "Budgets, floors and patience."),
        key("outputs", Shape::Table(&outputs::OUTPUTS), "Values for `evenkeel output`.").aka(&["output"]),
    ],
    others: None,
    later: &["tasks"],
};
