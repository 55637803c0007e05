//! The codes of the declaration's problems: stable, each with what it means. docs/errors.md is written from this table.

/// One code.
#[derive(Debug)]
pub struct Code {
    /// `E0101`; `W…` for warnings.
    pub code: &'static str,
    /// What is wrong, as a heading.
    pub title: &'static str,
    /// Why it is refused, and what to do.
    pub about: &'static str,
    /// A file that has it, or the part of one that matters; empty where no file shows it.
    pub example: &'static str,
}

const fn c(code: &'static str, title: &'static str, about: &'static str, example: &'static str) -> Code {
    Code { code, title, about, example }
}

/// The entry of a code.
pub fn code(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|c| c.code == code)
}

/// All codes, in order.
pub static CODES: &[Code] = &[
    c(
        "E0001",
        "Not TOML",
        "The text breaks TOML's rules at this place. All such places are shown at once; what could be read beside them is still held against the table of keys.",
        "size = 20GiB",
    ),
    c(
        "E0002",
        "A key twice",
        "A key or a table's header stands twice, so one of the two would be lost.",
        "count = 2\ncount = 3",
    ),
    c("E0003", "Nested too deep", "Tables and lists are nested more than 80 levels deep.", ""),
    c("E0004", "Too long", "A declaration of more than 1 MiB is refused unread.", ""),
    c(
        "E0101",
        "Unknown key",
        "No key is called so here. Misspelt keys are never passed over: what they were meant to say would be lost.",
        "cuont = 3",
    ),
    c(
        "E0102",
        "Not supported yet",
        "The key is part of evenkeel's language, and this version cannot act on it yet.",
        "[tasks.render]",
    ),
    c("E0103", "Wrong type", "The value is of another TOML type than the key takes.", "count = \"three\""),
    c("E0104", "Missing key", "The table makes no sense without this key.", "[machines.web]   # without image"),
    c("E0105", "Not one of the words", "The key takes one of a few words.", "market = \"spotty\""),
    c("E0106", "Out of range", "The number is smaller or larger than the key takes.", "count = 10001"),
    c(
        "E0107",
        "Not a size",
        "Sizes are whole GiB or TiB, because EBS counts so: 20GB would be 18.6 of them.",
        "size = \"20GB\"",
    ),
    c(
        "E0108",
        "Not a length of time",
        "Times carry a unit and are whole seconds: 30s, 5m, 2h30m, 7d.",
        "grace = \"5\"",
    ),
    c(
        "E0109",
        "Neither a count nor a share",
        "An amount is a whole number or a share from 0% to 100%.",
        "max-surge = \"150%\"",
    ),
    c(
        "E0110",
        "Not a name",
        "Names stand in tags, tokens and addresses, so they are short and plain.",
        "[machines.Web_Tier]",
    ),
    c(
        "E0111",
        "Not of the right form",
        "An id, a zone, a region or another text that AWS would refuse, or that holds invisible characters.",
        "image = \"al2023\"",
    ),
    c("E0112", "An empty list", "The list must name something.", "type = []"),
    c("E0113", "Twice in a list", "The same item stands twice in a list.", "zones = [\"us-east-1a\", \"us-east-1a\"]"),
    c(
        "E0201",
        "A variable without a value",
        "The variable has no default and was not given.",
        "[vars]\nteam = { description = \"who pays\" }",
    ),
    c(
        "E0202",
        "A variable of the wrong type",
        "The value given does not have the variable's type.",
        "count = { type = \"int\", default = \"many\" }",
    ),
    c("E0203", "No such variable", "`--var` names a variable that [vars] does not declare.", ""),
    c(
        "E0204",
        "A template that does not work",
        "The template does not parse, fails, or takes too many steps.",
        "tags = { a = \"{{ vars.x\" }",
    ),
    c("E0205", "Not at hand", "The template names something that is not there.", "tags = { a = \"{{ vars.taem }}\" }"),
    c(
        "E0206",
        "A secret where it would be shown",
        "Tags, names and the like are shown in plans and stand on AWS. Secrets may be used in user data, and in the `data` and `stringData` of Kubernetes Secrets.",
        "tags = { a = \"{{ vars.password }}\" }",
    ),
    c(
        "E0207",
        "No such environment",
        "`--env NAME` needs a file evenkeel.NAME.toml beside the declaration; it may be empty. So a misspelt environment is noticed.",
        "",
    ),
    c(
        "E0301",
        "A path out of the folder",
        "A declaration reads no file outside its own folder.",
        "user-data = \"../boot.sh\"",
    ),
    c(
        "E0302",
        "A file that cannot be read",
        "The boot script is not there or cannot be read, or both a file and a text are given.",
        "user-data = \"missing.sh\"",
    ),
    c("E0303", "Not text", "Boot scripts and manifests must be UTF-8 text.", ""),
    c("E0304", "User data too long", "EC2 takes 16 KiB of user data, counted after rendering.", ""),
    c(
        "E0305",
        "User data that cannot be rendered",
        "The boot script's template fails for a slot and zone of the group.",
        "user-data = { text = \"{{ solt }}\" }",
    ),
    c(
        "E0401",
        "Not a stack's id",
        "Ownership goes by the id: 8 to 16 lower-case letters and digits, written once by `evenkeel init`.",
        "id = \"shop\"",
    ),
    c("E0402", "No such alias", "`aws` names a table [aws.<alias>] that is not there.", "aws = \"wset\""),
    c(
        "E0501",
        "An image that names none",
        "A lookup has either `ssm`, or `owner` and `name`.",
        "image = { owner = \"amazon\" }",
    ),
    c(
        "E0502",
        "An impossible spread",
        "The caps leave room for fewer machines than `count`.",
        "count = 6\ncaps = { us-east-1a = 2, us-east-1b = 2 }",
    ),
    c(
        "E0503",
        "A zone of another place",
        "The zone is not of the region, or not one of the group's.",
        "zones = [\"eu-west-1a\"]   # in us-east-1",
    ),
    c("E0504", "Both zones and subnets", "A subnet says its zone; both together could contradict each other.", ""),
    c(
        "E0505",
        "Two disks at one device",
        "Each disk of a machine needs a device of its own. /dev/sdf and /dev/xvdf are the same.",
        "",
    ),
    c(
        "E0506",
        "A renaming that cannot be",
        "The old name is the group itself, a group that is still declared, another kind's, or claimed twice.",
        "[machines.web]\nrenamed-from = \"web\"",
    ),
    c(
        "E0507",
        "A node that cannot join",
        "What `nodes` says is not what a kubelet, kubeadm or EKS takes.",
        "nodes = { labels = { \"node-role.kubernetes.io/worker\" = \"\" } }",
    ),
    c(
        "E0508",
        "Waits for nodes and is none",
        "A group waits until its nodes are ready, and its machines are nodes of no cluster.",
        "wait = \"ready\"   # without `nodes`",
    ),
    c(
        "E0601",
        "A size that the type does not take",
        "Each EBS type has its range of sizes.",
        "type = \"st1\"\nsize = \"20GiB\"",
    ),
    c(
        "E0602",
        "IOPS or throughput that the type does not take",
        "Ranges and ratios are EBS's: gp3 500 IOPS a GiB and 0.25 MiB/s for each IOPS, io1 50, io2 1,000 IOPS a GiB.",
        "type = \"gp2\"\niops = 3000",
    ),
    c(
        "E0603",
        "Disk settings that contradict each other",
        "A KMS key without encryption, or a boot disk of a type that cannot boot.",
        "",
    ),
    c(
        "E0604",
        "How many volumes",
        "A group of volumes has either `for`, or `replicas` with `zones`.",
        "for = \"machines.web\"\nreplicas = 3",
    ),
    c(
        "E0605",
        "Volumes for machines that are not there",
        "`for` names a group of machines that the file does not declare.",
        "for = \"machines.wbe\"",
    ),
    c("E0606", "Volumes away from their machines", "A volume can only be attached in its own region and account.", ""),
    c(
        "E0607",
        "Two volumes at one device",
        "Volumes and disks of one group of machines need devices of their own.",
        "",
    ),
    c(
        "E0701",
        "Not a tag",
        "A tag's key has 1 to 128 characters, its value at most 256, and neither has control characters.",
        "",
    ),
    c("E0702", "Too many tags", "EC2 takes 50 tags an object, and evenkeel needs seven.", ""),
    c(
        "E0703",
        "A reserved tag",
        "`aws:` is AWS's, `evenkeel:` and `Name` are evenkeel's.",
        "tags = { Name = \"web\" }",
    ),
    c(
        "E0801",
        "Waits in the wrong order",
        "The first wait is longer than the longest.",
        "backoff = { first = \"1h\", max = \"1m\" }",
    ),
    c(
        "E0901",
        "An output that does not parse",
        "Outputs are minijinja expressions.",
        "[outputs]\nips = \"machines.web[\"",
    ),
    c(
        "E0902",
        "An output that names what is not there",
        "Outputs see `machines`, `volumes` and `stack`. A key with `-` is written with `_`, because `-` subtracts.",
        "[outputs]\nip = \"machines.web[0].private-ip\"",
    ),
    c(
        "E1001",
        "No such cluster",
        "`cluster` names a table [kubernetes.<alias>] that is not there.",
        "cluster = \"wset\"",
    ),
    c(
        "E1002",
        "No manifests there",
        "A file, folder or pattern of `files` gives nothing, so what it was meant to declare would be missing, and what stands in the cluster would be taken for removed.",
        "files = [\"k9s/*.yaml\"]",
    ),
    c(
        "E1003",
        "Manifests that cannot be read",
        "A file may not be read, leads out of the folder, or is beyond what evenkeel reads: 16 MiB a file, 64 MiB and 5,000 files altogether.",
        "",
    ),
    c(
        "E1004",
        "Not YAML",
        "The text breaks YAML's rules at this place. The documents after it are read all the same.",
        "files = [\"broken.yaml\"]   # where a text is not closed",
    ),
    c(
        "E1005",
        "A YAML key twice",
        "One of the two values would be lost: kubectl keeps the last, and says nothing.",
        "",
    ),
    c(
        "E1006",
        "Too much of it",
        "Values nested more than 100 deep, more than a million values in a file (what aliases repeat is counted each time), or more than 50,000 objects. A few lines of aliases can stand for more than any machine holds.",
        "",
    ),
    c(
        "E1007",
        "Not a key",
        "Keys are text. kubectl makes `true` of a key called `on`, `yes` or `y`, which nobody means, and cannot read one that is nothing, a list or a table.",
        "",
    ),
    c(
        "E1008",
        "Not a value",
        "JSON, in which objects are sent, has no infinite numbers and no dates, and Kubernetes knows no tags beside those of YAML itself.",
        "objects = [{ apiVersion = \"v1\", kind = \"ConfigMap\", metadata = { name = \"a\" }, data = { day = 2026-01-01 } }]",
    ),
    c(
        "E1009",
        "A manifest's template that does not work",
        "The template does not parse, names what is not at hand, or takes too many steps.",
        "",
    ),
    c("E1010", "Manifests of nothing", "A table of manifests names `files` or has `objects`.", "[manifests.extras]"),
    c(
        "E1101",
        "Not an object",
        "An object has `apiVersion`, `kind` and `metadata.name`, each of them text that fits.",
        "objects = [{ kind = \"Deployment\", metadata = { name = \"a\" } }]",
    ),
    c(
        "E1102",
        "A generated name",
        "With `generateName` every run would make another object, and none of them would ever be found again.",
        "",
    ),
    c(
        "E1103",
        "Not a Kubernetes name",
        "The server would refuse the name. Most are lower-case letters, digits, `-` and `.`; namespaces, services and workloads take no dots.",
        "namespace = \"My_Shop\"",
    ),
    c(
        "E1104",
        "An object declared twice",
        "Two tables, or two documents, declare the same kind, namespace and name: each would undo what the other does.",
        "",
    ),
    c(
        "E1105",
        "A namespace that cannot be",
        "The namespace is not text.",
        "objects = [{ apiVersion = \"v1\", kind = \"Pod\", metadata = { name = \"a\", namespace = 7 } }]",
    ),
    c(
        "E1106",
        "Not a label, not an annotation",
        "Labels and annotations are text. Those under `evenkeel.dev/` and `applyset.kubernetes.io/` say whose an object is, and are evenkeel's.",
        "labels = { \"evenkeel.dev/stack\" = \"x\" }",
    ),
    c(
        "E1107",
        "Data that is not text",
        "What a ConfigMap or a Secret holds is text, and a Secret's `data` is base64. Numbers and `true` need quotes.",
        "",
    ),
    c("E1108", "A list that is none", "`kind: List` has its objects in `items`, a list.", ""),
    c(
        "E1109",
        "A program's file",
        "The file is read by kustomize or another program, and no cluster knows it. Name what that program writes.",
        "files = [\"kustomization.yaml\"]",
    ),
    c(
        "E1110",
        "Not something to wait for",
        "Waiting is for a condition, or for a field.",
        "wait-for = { \"Database.example.com\" = \"condition=Ready=Maybe\" }",
    ),
    c(
        "E1201",
        "Not a quantity",
        "CPUs are 2, 0.5 or 500m; memory and storage are whole Ki, Mi, Gi or Ti. 1GB would be 0.93Gi.",
        "memory = \"1GB\"",
    ),
    c(
        "E1202",
        "A key of another kind",
        "The key says something about a kind of workload, or of volume, that this one is not.",
        "kind = \"daemonset\"\nreplicas = 3",
    ),
    c(
        "E1203",
        "Not exactly one",
        "One of several keys must be there, and no second one.",
        "env = { PASSWORD = { optional = true } }",
    ),
    c(
        "E1204",
        "No such port",
        "A probe or a service asks a port that the workload does not have.",
        "health = \"/healthz\"   # and no port",
    ),
    c(
        "E1205",
        "The same twice",
        "Two ports with one number, or two volumes at one path.",
        "ports = { http = 8080, admin = 8080 }",
    ),
    c(
        "E1206",
        "More than its limit",
        "A request is greater than the limit beside it, or draining takes all the time there is to end.",
        "memory = { request = \"2Gi\", limit = \"1Gi\" }",
    ),
    c(
        "W0202",
        "A secret too short to hide",
        "Texts shorter than four characters turn up by chance, so they cannot be kept out of outputs.",
        "",
    ),
    c(
        "W0203",
        "A secret in the file",
        "Whoever reads the file reads the secret.",
        "[vars]\npassword = { default = \"…\", secret = true }",
    ),
    c("W0204", "A value for no variable", "A variables file sets a variable that [vars] does not declare.", ""),
    c(
        "W0501",
        "Spot and protected",
        "Protection holds off calls to terminate; EC2 takes spot machines back without one.",
        "market = \"spot\"\nprotect = true",
    ),
    c(
        "W0502",
        "Following an id",
        "An image given by id never moves, so there is nothing to follow.",
        "image = \"ami-1\"\nfollow = \"always\"",
    ),
    c(
        "W0503",
        "Caps force an uneven spread",
        "With these caps the zones differ by more than `skew`.",
        "count = 6\ncaps = { us-east-1a = 1 }",
    ),
    c("W0801", "No floor", "`max-unavailable` lets a change take a whole group down at once.", ""),
    c("W1001", "Merged over", "kubectl lets what `<<` merges win over keys that stand before it.", ""),
    c("W1101", "A status", "An object's status is the cluster's to write; it is left out.", ""),
    c(
        "W1102",
        "What the cluster writes",
        "The object was taken from a cluster, with what the server had added. That is left out.",
        "",
    ),
    c(
        "W1103",
        "A namespace on what has none",
        "The kind belongs to no namespace. It is left out, as kubectl does.",
        "objects = [{ apiVersion = \"v1\", kind = \"Namespace\", metadata = { name = \"a\", namespace = \"b\" } }]",
    ),
    c(
        "W1201",
        "An image that moves",
        "An image without a tag, or with `latest`, may be another one on each node that fetches it.",
        "image = \"nginx\"",
    ),
    c(
        "W1202",
        "No drain",
        "A budget of zero holds off every drain of a node, so that it cannot be upgraded.",
        "max-unavailable = 0",
    ),
];
