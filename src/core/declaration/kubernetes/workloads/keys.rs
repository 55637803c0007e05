//! The keys of `[workloads.<name>]`.

use super::super::super::format::Format;
use super::super::super::keys::{Block, Others, Shape, key};
use super::super::forms::Form;
use super::super::{CLUSTER, FORCE, PROTECT, PRUNE, WAIT};
use super::{env, mounts, probes};

const fn form(form: Form) -> Shape {
    Shape::Text(Format::Kube(form))
}

/// `[workloads]`.
pub static GROUPS: Block = Block {
    title: "[workloads]",
    about: "What runs in Kubernetes. Each table below is one workload, with its service and its disruption budget.",
    keys: &[],
    others: Some(Others { name: "<name>", format: Format::Name, shape: Shape::Table(&WORKLOAD), about: "A workload." }),
    later: &[],
};

/// `[workloads.<name>]`.
pub static WORKLOAD: Block = Block {
    title: "[workloads.<name>]",
    about: "A Deployment, StatefulSet, DaemonSet, CronJob or Job of one container, with what belongs to it. Every default is \
            written into the objects, so that the plan shows it. What these keys do not say, a manifest does.",
    keys: &[
        key("kind", Shape::Word(super::KINDS), "What runs it.").default("\"deployment\"").example("\"statefulset\""),
        key("name", form(Form::Label), "The objects' name.").default("the table's name").example("\"shop-v2\""),
        key("namespace", form(Form::Label), "Its namespace.").default("that of the cluster").example("\"shop\""),
        key("image", form(Form::Image), "The container's image.").required().example("\"registry.example/shop:1.4\""),
        key("pull", Shape::Word(&["if-not-present", "always", "never"]), "When a node fetches the image.")
            .default("\"if-not-present\"; \"always\" for an image without a tag or with `latest`")
            .example("\"always\"")
            .aka(&["image_pull_policy"]),
        key("pull-secrets", Shape::Set(&form(Form::Name), 1), "Secrets for the image's registry.")
            .default("none")
            .example("[\"registry\"]")
            .aka(&["image_pull_secrets"]),
        key("replicas", Shape::Int(0, 10_000), "How many pods.").default("1").example("6").aka(&["count", "scale"]),
        key("command", Shape::List(&Shape::Text(Format::Script), 1), "What runs, instead of the image's entry point.")
            .default("the image's")
            .example("[\"/bin/shop\"]")
            .aka(&["entrypoint"]),
        key("args", Shape::List(&Shape::Text(Format::Script), 1), "Its arguments.")
            .default("the image's")
            .example("[\"--verbose\"]"),
        key("working-dir", form(Form::MountPath), "The folder that it runs in.")
            .default("the image's")
            .example("\"/srv\""),
        key("port", Shape::Int(1, 65_535), "The port that it listens on; it is called `main`.")
            .default("none")
            .example("8081")
            .aka(&["container_port"]),
        key("ports", Shape::Table(&PORTS), "Several ports, each with its name.")
            .default("none")
            .example("{ http = 8080, dns = { port = 53, protocol = \"udp\" } }"),
        key("env", Shape::Table(&env::ENV), "Environment variables.")
            .default("none")
            .example("{ MODE = \"fast\", PASSWORD = { secret = \"shop/password\" } }")
            .aka(&["environment"]),
        key(
            "env-from",
            Shape::List(&Shape::Table(&env::ENV_FROM), 1),
            "All keys of ConfigMaps and Secrets as environment variables.",
        )
        .default("none")
        .example("[{ config = \"shop\" }]"),
        key(
            "cpu",
            Shape::Either(&[form(Form::Cpu), Shape::Int(0, 1_000), Shape::Table(&CPU)]),
            "CPU that is set aside for each pod.",
        )
        .default("\"100m\", without a limit")
        .example("\"500m\"")
        .unit("CPUs, `m` for thousandths"),
        key(
            "memory",
            Shape::Either(&[form(Form::Memory), Shape::Table(&MEMORY)]),
            "Memory that each pod is given, and no more.",
        )
        .default("\"128Mi\" set aside, without a limit")
        .example("\"1Gi\"")
        .unit("Ki, Mi, Gi or Ti"),
        key(
            "health",
            Shape::Either(&[form(Form::MountPath), Shape::Table(&probes::HEALTH)]),
            "How Kubernetes finds out whether a pod is well: a path for HTTP, or a table.",
        )
        .default("only whether it runs")
        .example("\"/healthz\"")
        .aka(&["probe", "healthcheck", "liveness_probe", "readiness_probe"]),
        key(
            "spread",
            Shape::Either(&[Shape::Bool, Shape::Table(&SPREAD)]),
            "How evenly the pods stand over zones and hosts.",
        )
        .default("{ zone = 1, soft = true } with more than one replica")
        .example("{ zone = 1, host = 2 }")
        .aka(&["topology_spread_constraints"]),
        key(
            "max-unavailable",
            Shape::Amount,
            "How many pods may be missing while nodes are drained; 0 lets no node be drained.",
        )
        .default("1 with more than one replica, else no budget")
        .example("\"25%\"")
        .aka(&["disruption_budget", "pdb"]),
        key("service", Shape::Either(&[Shape::Bool, Shape::Table(&SERVICE)]), "How others reach it.")
            .default("a service inside of the cluster, where it has a port")
            .example("{ type = \"load-balancer\", port = 80 }"),
        key("volumes", Shape::Table(&mounts::MOUNTS), "What is mounted, by path.")
            .default("none")
            .example("{ \"/etc/shop\" = { config = \"shop\" }, \"/tmp\" = { empty = true } }")
            .aka(&["mounts", "volume_mounts"]),
        key("storage", Shape::Table(&mounts::STORES), "Volumes of its own for each pod of a statefulset, by path.")
            .default("none")
            .example("{ \"/var/lib/shop\" = \"10Gi\" }")
            .aka(&["volume_claim_templates"]),
        key("schedule", form(Form::Schedule), "When a cronjob starts.")
            .default("required for a cronjob")
            .example("\"15 3 * * *\""),
        key("time-zone", form(Form::TimeZone), "The time zone of `schedule`.")
            .default("\"Etc/UTC\"")
            .example("\"Europe/Berlin\""),
        key(
            "concurrency",
            Shape::Word(&["forbid", "allow", "replace"]),
            "What to do when a run is due and the last one is not done.",
        )
        .default("\"forbid\"")
        .example("\"replace\"")
        .aka(&["concurrency_policy"]),
        key("suspend", Shape::Bool, "Starts no more runs.").default("false").example("true"),
        key("start-within", Shape::Time, "A run that could not start for so long is left out.")
            .default("no limit")
            .example("\"5m\"")
            .unit("time")
            .aka(&["starting_deadline_seconds"]),
        key("history", Shape::Table(&HISTORY), "How many runs are kept to look at.")
            .default("{ succeeded = 3, failed = 3 }")
            .example("{ succeeded = 1 }"),
        key("retries", Shape::Int(0, 1_000), "How often a failed run is tried again.")
            .default("6")
            .example("0")
            .aka(&["backoff_limit"]),
        key("deadline", Shape::Time, "How long a run may take.")
            .default("no limit")
            .example("\"1h\"")
            .unit("time")
            .aka(&["active_deadline_seconds"]),
        key("completions", Shape::Int(1, 100_000), "How many pods must succeed.").default("1").example("10"),
        key("parallel", Shape::Int(1, 10_000), "How many pods run at once.")
            .default("1")
            .example("4")
            .aka(&["parallelism"]),
        key(
            "roll-out",
            Shape::Either(&[Shape::Word(&["recreate"]), Shape::Table(&ROLL_OUT)]),
            "How a change reaches the pods: new ones first, or all at once.",
        )
        .default("{ surge = \"25%\", unavailable = 0 }, a statefulset's and a daemonset's one by one")
        .example("{ surge = 1, min-ready = \"10s\" }")
        .aka(&["strategy", "update_strategy"]),
        key("start", Shape::Word(&["ordered", "parallel"]), "Whether a statefulset's pods start one after the other.")
            .default("\"ordered\"")
            .example("\"parallel\"")
            .aka(&["pod_management_policy"]),
        key("grace", Shape::Time, "How long a pod may take to end.")
            .default("\"30s\"")
            .example("\"2m\"")
            .unit("time")
            .aka(&["termination_grace_period_seconds"]),
        key("drain", Shape::Time, "How long a pod that ends still serves, until everyone knows that it goes.")
            .default("none")
            .example("\"5s\"")
            .unit("time, part of `grace`"),
        key("service-account", form(Form::Name), "Who it is to the cluster. Without one it gets no token.")
            .default("\"default\", without a token")
            .example("\"shop\""),
        key("security", Shape::Table(&SECURITY), "What it may do on its node.")
            .default("the runtime's seccomp profile, no more rights than it starts with")
            .example("{ user = 1000 }")
            .aka(&["security_context"]),
        key("node-selector", Shape::Table(&SELECTOR), "Labels that its nodes must have.")
            .default("none")
            .example("{ disk = \"fast\" }"),
        key("tolerations", Shape::List(&Shape::Table(&TOLERATION), 1), "Taints of nodes that do not keep it away.")
            .default("none")
            .example("[{ key = \"dedicated\", value = \"shop\", effect = \"no-schedule\" }]"),
        key("priority-class", form(Form::Name), "Who goes first when there is no room.")
            .default("the cluster's")
            .example("\"high\""),
        key("labels", Shape::Table(&LABELS), "Labels on the objects and the pods.")
            .default("`app.kubernetes.io/name`")
            .example("{ team = \"payments\" }"),
        key("annotations", Shape::Table(&ANNOTATIONS), "Annotations on the objects.")
            .default("none")
            .example("{ \"example.com/owner\" = \"payments\" }"),
        key("pod-annotations", Shape::Table(&ANNOTATIONS), "Annotations on the pods.")
            .default("none")
            .example("{ \"prometheus.io/scrape\" = \"true\" }"),
        CLUSTER,
        WAIT,
        FORCE,
        PROTECT,
        PRUNE,
    ],
    others: None,
    later: &[],
};

/// `ports`.
pub static PORTS: Block = Block {
    title: "ports",
    about: "Name and port.",
    keys: &[],
    others: Some(Others {
        name: "<port>",
        format: Format::Kube(Form::PortName),
        shape: Shape::Either(&[Shape::Int(1, 65_535), Shape::Table(&PORT)]),
        about: "A port that it listens on.",
    }),
    later: &[],
};

/// A port in full.
pub static PORT: Block = Block {
    title: "ports.<port>",
    about: "A port in full.",
    keys: &[
        key("port", Shape::Int(1, 65_535), "Its number.").required().example("53"),
        key("protocol", Shape::Word(&["tcp", "udp", "sctp"]), "Its protocol.").default("\"tcp\"").example("\"udp\""),
    ],
    others: None,
    later: &[],
};

/// `cpu` as a table.
pub static CPU: Block = Block {
    title: "cpu",
    about: "CPU in full. A limit slows a pod down that could have had more; without one it takes what is free.",
    keys: &[
        key("request", Shape::Either(&[form(Form::Cpu), Shape::Int(0, 1_000)]), "What is set aside.")
            .default("\"100m\"")
            .example("\"250m\""),
        key("limit", Shape::Either(&[form(Form::Cpu), Shape::Int(0, 1_000)]), "No more than this.")
            .default("none")
            .example("2"),
    ],
    others: None,
    later: &[],
};

/// `memory` as a table.
pub static MEMORY: Block = Block {
    title: "memory",
    about: "Memory in full. A pod that takes more than its limit is killed.",
    keys: &[
        key("request", form(Form::Memory), "What is set aside.")
            .default("the limit, or \"128Mi\"")
            .example("\"256Mi\""),
        key("limit", form(Form::Memory), "No more than this.").default("none").example("\"512Mi\""),
    ],
    others: None,
    later: &[],
};

/// `spread`.
pub static SPREAD: Block = Block {
    title: "spread",
    about: "How much more pods the fullest zone or host may have than the emptiest. Pods that would break it wait.",
    keys: &[
        key("zone", Shape::Int(1, 1_000), "Between zones.").default("none").example("1"),
        key("host", Shape::Int(1, 1_000), "Between hosts.").default("none").example("1"),
        key("soft", Shape::Bool, "Pods that would break it start all the same.").default("false").example("true"),
    ],
    others: None,
    later: &[],
};

/// `service` as a table.
pub static SERVICE: Block = Block {
    title: "service",
    about: "A service in full.",
    keys: &[
        key(
            "type",
            Shape::Word(&["cluster-ip", "headless", "node-port", "load-balancer"]),
            "From where it is reached.",
        )
        .default("\"cluster-ip\"")
        .example("\"load-balancer\""),
        key("port", Shape::Int(1, 65_535), "The service's port, where the workload has one port.")
            .default("the workload's")
            .example("80"),
        key("ports", Shape::Table(&SERVICE_PORTS), "The service's ports, by the workload's names for them.")
            .default("the workload's")
            .example("{ main = 80 }"),
        key("annotations", Shape::Table(&ANNOTATIONS), "Annotations on the service, for load balancers and the like.")
            .default("none")
            .example("{ \"example.com/scheme\" = \"internal\" }"),
    ],
    others: None,
    later: &[],
};

/// `service.ports`.
pub static SERVICE_PORTS: Block = Block {
    title: "service.ports",
    about: "A port's name and the service's port for it; ports that are not named are not served.",
    keys: &[],
    others: Some(Others {
        name: "<port>",
        format: Format::Kube(Form::PortName),
        shape: Shape::Int(1, 65_535),
        about: "The service's port.",
    }),
    later: &[],
};

/// `history`.
pub static HISTORY: Block = Block {
    title: "history",
    about: "How many runs of a cronjob are kept.",
    keys: &[
        key("succeeded", Shape::Int(0, 1_000), "Runs that went well.").default("3").example("1"),
        key("failed", Shape::Int(0, 1_000), "Runs that did not.").default("3").example("1"),
    ],
    others: None,
    later: &[],
};

/// `roll-out` as a table.
pub static ROLL_OUT: Block = Block {
    title: "roll-out",
    about: "How a change reaches the pods.",
    keys: &[
        key("surge", Shape::Amount, "How many more pods than declared may live; a statefulset has none.")
            .default("\"25%\"")
            .example("1"),
        key("unavailable", Shape::Amount, "How many pods may be missing.").default("0; 1 for a daemonset").example("1"),
        key("min-ready", Shape::Time, "How long a new pod must be ready before it counts.")
            .default("\"0s\"")
            .example("\"10s\"")
            .unit("time"),
        key("within", Shape::Time, "How long a step of it may take before it is called stuck.")
            .default("\"10m\"")
            .example("\"20m\"")
            .unit("time"),
    ],
    others: None,
    later: &[],
};

/// `security`.
pub static SECURITY: Block = Block {
    title: "security",
    about: "What a workload may do on its node.",
    keys: &[
        key("user", Shape::Int(0, 4_294_967_295), "The user's number.")
            .default("the image's")
            .example("1000")
            .aka(&["run_as_user"]),
        key("group", Shape::Int(0, 4_294_967_295), "The group's number.")
            .default("the image's")
            .example("1000")
            .aka(&["run_as_group"]),
        key("fs-group", Shape::Int(0, 4_294_967_295), "The group that volumes belong to.")
            .default("none")
            .example("1000"),
        key("non-root", Shape::Bool, "Refuses to start as root.")
            .default("true where `user` is not 0, else as the image has it")
            .example("true")
            .aka(&["run_as_non_root"]),
        key("read-only", Shape::Bool, "The image's files cannot be changed.")
            .default("false")
            .example("true")
            .aka(&["read_only_root_filesystem"]),
        key("capabilities", Shape::Set(&Shape::Text(Format::Any), 0), "The only Linux capabilities it has.")
            .default("the runtime's")
            .example("[\"NET_BIND_SERVICE\"]"),
        key("escalation", Shape::Bool, "Lets programs gain rights that they were not started with.")
            .default("false")
            .example("true")
            .aka(&["allow_privilege_escalation"]),
        key("privileged", Shape::Bool, "As if it were root on the node.").default("false").example("true"),
    ],
    others: None,
    later: &[],
};

/// `node-selector`.
pub static SELECTOR: Block = label_block("node-selector", "Labels that a node must have.");
/// `labels`.
pub static LABELS: Block = label_block("labels", "Label and value.");

const fn label_block(title: &'static str, about: &'static str) -> Block {
    Block {
        title,
        about,
        keys: &[],
        others: Some(Others {
            name: "<label>",
            format: Format::Kube(Form::LabelKey),
            shape: form(Form::LabelValue),
            about: "The label's value.",
        }),
        later: &[],
    }
}

/// `annotations`.
pub static ANNOTATIONS: Block = Block {
    title: "annotations",
    about: "Key and value.",
    keys: &[],
    others: Some(Others {
        name: "<key>",
        format: Format::Kube(Form::LabelKey),
        shape: Shape::Text(Format::Script),
        about: "The annotation's value.",
    }),
    later: &[],
};

/// `tolerations`.
pub static TOLERATION: Block = Block {
    title: "tolerations",
    about: "A taint that does not keep the pods away.",
    keys: &[
        key("key", form(Form::LabelKey), "The taint's key.").default("every taint").example("\"dedicated\""),
        key("value", form(Form::LabelValue), "Its value.").default("any").example("\"shop\""),
        key("effect", Shape::Word(&["no-schedule", "prefer-no-schedule", "no-execute"]), "What it does to pods.")
            .default("any")
            .example("\"no-schedule\""),
        key("for", Shape::Time, "How long a pod stays on a node that was tainted `no-execute`.")
            .default("for good")
            .example("\"5m\"")
            .unit("time"),
    ],
    others: None,
    later: &[],
};

/// Which kinds a key is for; a key that is not here is for all.
pub const FITS: &[(&str, &[&str])] = &[
    ("replicas", &["deployment", "statefulset"]),
    ("spread", &["deployment", "statefulset"]),
    ("max-unavailable", &["deployment", "statefulset"]),
    ("service", &["deployment", "statefulset", "daemonset"]),
    ("roll-out", &["deployment", "statefulset", "daemonset"]),
    ("storage", &["statefulset"]),
    ("start", &["statefulset"]),
    ("schedule", &["cronjob"]),
    ("time-zone", &["cronjob"]),
    ("concurrency", &["cronjob"]),
    ("suspend", &["cronjob"]),
    ("start-within", &["cronjob"]),
    ("history", &["cronjob"]),
    ("retries", &["job", "cronjob"]),
    ("deadline", &["job", "cronjob"]),
    ("completions", &["job", "cronjob"]),
    ("parallel", &["job", "cronjob"]),
];
