//! The table of keys against the reader, the schema and the patterns: one source, no drift.

use super::super::format::Format;
use super::super::json_schema::literal;
use super::super::keys::{Block, Shape};
use super::super::root::FILE;
use super::super::tree::{At, tree};
use super::*;

/// Keys that make sense only together with others, and what to write instead of the base's lines.
const TOGETHER: &[(&str, &[(&str, &str)])] = &[
    ("machines.web.image.owner", &[("machines.web.image", ""), ("machines.web.image.name", "\"x\"")]),
    ("machines.web.image.name", &[("machines.web.image", ""), ("machines.web.image.owner", "\"self\"")]),
    ("machines.web.image.ssm", &[("machines.web.image", "")]),
    ("machines.web.subnets.tag", &[("machines.web.subnets.value", "\"x\"")]),
    ("machines.web.subnets.value", &[("machines.web.subnets.tag", "\"x\"")]),
    ("machines.web.aws", &[("aws.west.region", "\"us-west-2\"")]),
    ("volumes.d.aws", &[("volumes.d.for", ""), ("volumes.d.replicas", "1"), ("aws.west.region", "\"us-west-2\"")]),
    ("volumes.d.replicas", &[("volumes.d.for", "")]),
    ("volumes.d.zones", &[("volumes.d.for", ""), ("volumes.d.replicas", "1")]),
    ("machines.web.user-data.template", &[("machines.web.user-data.text", "\"x\"")]),
    ("machines.web.nodes.cluster", &[("kubernetes.west.context", "\"west\"")]),
    (
        "machines.web.nodes.join",
        &[
            ("machines.web.nodes.endpoint", "\"10.0.0.10:6443\""),
            ("machines.web.nodes.ca", "\"sha256:1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef\""),
            ("machines.web.nodes.token", "\"abcdef.0123456789abcdef\""),
        ],
    ),
    ("manifests.m.template", &[("manifests.m.files", "[\"k8s/b.yaml.j2\"]")]),
    ("manifests.m.vars", &[("manifests.m.files", "[\"k8s/b.yaml.j2\"]")]),
    ("manifests.m.cluster", &[("kubernetes.west.context", "\"west\"")]),
    ("workloads.w.storage", &[("workloads.w.kind", "\"statefulset\"")]),
    ("workloads.w.start", &[("workloads.w.kind", "\"statefulset\"")]),
    ("workloads.w.storage.\"/s\".size", &[("workloads.w.kind", "\"statefulset\"")]),
    (
        "workloads.w.storage.\"/s\".class",
        &[("workloads.w.kind", "\"statefulset\""), ("workloads.w.storage.\"/s\".size", "\"1Gi\"")],
    ),
    (
        "workloads.w.storage.\"/s\".access",
        &[("workloads.w.kind", "\"statefulset\""), ("workloads.w.storage.\"/s\".size", "\"1Gi\"")],
    ),
    ("workloads.w.schedule", &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.replicas", "")]),
    (
        "workloads.w.time-zone",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.concurrency",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.suspend",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.start-within",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.history",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.history.succeeded",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.history.failed",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.retries",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.deadline",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.completions",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    (
        "workloads.w.parallel",
        &[("workloads.w.kind", "\"cronjob\""), ("workloads.w.schedule", "\"@daily\""), ("workloads.w.replicas", "")],
    ),
    ("workloads.w.cluster", &[("kubernetes.west.context", "\"west\"")]),
    ("workloads.w.ports", &[("workloads.w.port", "")]),
    ("workloads.w.ports.west.port", &[("workloads.w.port", "")]),
    ("workloads.w.ports.west.protocol", &[("workloads.w.port", ""), ("workloads.w.ports.west.port", "53")]),
    ("workloads.w.env.NAME.optional", &[("workloads.w.env.NAME.secret", "\"a/b\"")]),
    ("workloads.w.volumes.\"/v\".key", &[("workloads.w.volumes.\"/v\".config", "\"a\"")]),
    ("workloads.w.volumes.\"/v\".optional", &[("workloads.w.volumes.\"/v\".config", "\"a\"")]),
    ("workloads.w.volumes.\"/v\".read-only", &[("workloads.w.volumes.\"/v\".claim", "\"a\"")]),
    ("workloads.w.volumes.\"/v\".in-memory", &[("workloads.w.volumes.\"/v\".empty", "true")]),
    ("workloads.w.health.port", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.every", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.timeout", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.failures", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.delay", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.http", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.tcp", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.grpc", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.exec", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.port", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.every", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.timeout", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.failures", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.readiness.delay", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.http", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.tcp", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.grpc", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.exec", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.port", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.every", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.timeout", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.failures", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.liveness.delay", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.http", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.tcp", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.grpc", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.exec", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.port", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.every", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.timeout", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.failures", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.health.startup.delay", &[("workloads.w.health.http", "\"/x\"")]),
    ("workloads.w.spread.soft", &[("workloads.w.spread.zone", "1")]),
    ("vars.team.type", &[("vars.team.default", "\"x\"")]),
    ("vars.team.secret", &[("vars.team.default", "\"x\"")]),
    ("vars.team.description", &[("vars.team.default", "\"x\"")]),
];

fn base() -> BTreeMap<String, String> {
    [
        ("stack.name", "\"base\""),
        ("stack.id", "\"aaaaaaaa\""),
        ("machines.web.image", "\"ami-1\""),
        ("machines.web.type", "\"t3.nano\""),
        ("volumes.d.for", "\"machines.web\""),
        ("volumes.d.size", "\"30GiB\""),
        ("manifests.m.files", "[\"k8s/a.yaml\"]"),
        ("workloads.w.image", "\"nginx:1\""),
        ("workloads.w.replicas", "2"),
        ("workloads.w.port", "90"),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect()
}

fn inputs(lines: &BTreeMap<String, String>) -> Inputs {
    let text: String = lines.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k} = {v}\n")).collect();
    let mut inputs = main(&text);
    inputs.files.insert("boot.sh.j2".into(), b"hello {{ slot }}".to_vec());
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { count: '{{ 1 + 1 }}' }\n";
    inputs.files.insert("k8s/a.yaml".into(), manifest.as_bytes().to_vec());
    inputs.files.insert("k8s/b.yaml".into(), manifest.replace("name: a", "name: b").into_bytes());
    inputs.files.insert(
        "k8s/b.yaml.j2".into(),
        manifest.replace("1 + 1", "vars.replicas | default(0)").replace("name: a", "name: t").into_bytes(),
    );
    inputs
}

/// Every key with its path in a file; `<name>`s are filled in.
fn each(
    block: &'static Block,
    path: &str,
    visit: &mut dyn FnMut(&str, &'static Block, &'static super::super::keys::Key),
) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for key in block.keys {
        visit(&join(key.name), block, key);
        if let Some(below) = key.shape.block() {
            each(below, &join(key.name), visit);
        }
    }
    if let Some(below) = block.others.as_ref().and_then(|o| o.shape.block()) {
        let name = match block.title {
            "[machines]" => "web",
            "[volumes]" => "d",
            "[vars]" => "team",
            "[manifests]" => "m",
            "[workloads]" => "w",
            "env" => "NAME",
            "volumes" => "\"/v\"",
            "storage" => "\"/s\"",
            _ => "west",
        };
        each(below, &join(name), visit);
    }
}

#[test]
fn every_key_does_something_and_its_example_is_good() {
    let plain = format!("{:?}", desired(&inputs(&base())));
    let mut seen = 0;
    each(&FILE, "", &mut |path, block, key| {
        if key.example.is_empty() {
            assert!(key.shape.block().is_some(), "{path} has no example");
            return;
        }
        if path == "stack" {
            return;
        }
        seen += 1;
        let mut lines = base();
        for (other, value) in TOGETHER.iter().filter(|(p, _)| *p == path).flat_map(|(_, o)| o.iter()) {
            lines.insert((*other).to_owned(), (*value).to_owned());
        }
        // What the key does is told from the same file without it, where that is one.
        let without = declare(&inputs(&lines)).desired.filter(|_| !lines.contains_key(path));
        let mut compare = without.map_or_else(|| plain.clone(), |d| format!("{d:?}"));
        if matches!(block.title, "env-from" | "tolerations" | "taints") {
            let beside = match (block.title, key.name) {
                (_, "secret" | "config" | "key") => "",
                ("env-from", _) => "secret = \"x\", ",
                (_, _) => "key = \"x\", ",
            };
            let list = format!("[{{ {beside}{} = {} }}]", key.name, key.example);
            let of = if block.title == "taints" { "machines.web.nodes" } else { "workloads.w" };
            lines.insert(format!("{of}.{}", block.title), list);
        } else if block.title == "disks" {
            let disk = |more: &str| {
                let own = |key: &str, value: &str| {
                    if more.starts_with(key) { String::new() } else { format!("{key} = {value}, ") }
                };
                format!("[{{ {}{}{more} }}]", own("device", "\"/dev/sdz\""), own("size", "\"700GiB\""))
            };
            lines.insert("machines.web.disks".into(), disk("encrypted = false"));
            compare = format!("{:?}", desired(&inputs(&lines)));
            lines.insert("machines.web.disks".into(), disk(&format!("{} = {}", key.name, key.example)));
        } else {
            lines.insert(path.to_owned(), key.example.to_owned());
        }
        let declared = declare(&inputs(&lines));
        let errors: Vec<_> = declared.diagnostics.iter().filter(|d| !d.code.starts_with('W')).collect();
        assert!(errors.is_empty(), "{path} = {}: {errors:#?}", key.example);
        // Variables work through templates only; `for` stands in the base already.
        if path != "volumes.d.for" && !path.starts_with("vars.") && path != "machines.web.user-data.template" {
            assert_ne!(format!("{:?}", declared.desired.unwrap()), compare, "{path} = {} has no effect", key.example);
        }
    });
    assert!(seen > 90, "{seen}");
}

#[test]
fn every_key_says_all_that_a_person_has_to_know() {
    each(&FILE, "", &mut |path, _, key| {
        assert!(key.about.ends_with('.') || key.about.ends_with(')'), "{path}: {}", key.about);
        let table = matches!(key.shape, Shape::Table(_));
        assert!(
            key.required || table || !key.default.is_empty() || path.contains("image.") || path.contains("user-data."),
            "{path} has no default"
        );
        for name in key.aka {
            assert_ne!(*name, key.name, "{path}");
        }
    });
}

fn json_of(text: &str) -> serde_json::Value {
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    assert!(errors.is_empty(), "{text}");
    tree(0, table.get_ref(), At { file: 0, start: 0, end: 0 }, &mut |_| {}).json()
}

#[test]
fn every_key_stands_in_the_schema_with_its_meaning() {
    let schema = schema();
    fn walk(block: &'static Block, schema: &serde_json::Value, path: &str) {
        for key in block.keys {
            let below = &schema["properties"][key.name];
            let path = format!("{path}.{}", key.name);
            let description = below["description"].as_str().unwrap_or_else(|| panic!("{path} is not in the schema"));
            assert!(description.contains(key.about) && description.contains(key.unit), "{path}");
            assert_eq!(below["examples"][0], literal(key.example).unwrap_or_default(), "{path}");
            if let Shape::Table(b) = key.shape {
                walk(b, below, &path);
            }
        }
        if let Some(Shape::Table(b)) = block.others.map(|o| o.shape) {
            walk(b, &schema["additionalProperties"], &format!("{path}.*"));
        }
    }
    walk(&FILE, &schema, "");
}

#[test]
fn the_schema_takes_good_files_and_refuses_bad_ones() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let check = |name: &str, text: &str| {
        let json = json_of(text);
        let errors: Vec<_> = validator.iter_errors(&json).map(|e| format!("{} {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    };
    check("the example", SHOP);
    for s in super::super::starter::STARTERS {
        check(s.name, &starter(s.text, "shop", "7f3kq2x9", "us-east-1"));
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for entry in std::fs::read_dir(root.join("examples")).into_iter().flatten().flatten() {
        if let Ok(text) = std::fs::read_to_string(entry.path().join("evenkeel.toml")) {
            check(&entry.path().display().to_string(), &text);
        }
    }
    for bad in
        ["count = \"x\"", "cuont = 1", "count = -1", "zones = []", "root = { size = \"20GB\" }", "market = \"sport\""]
    {
        assert!(!validator.is_valid(&json_of(&format!("{HEAD}{WEB}{bad}"))), "{bad}");
    }
    for good in ["count = \"{{ vars.n }}\"", "zones = \"{{ vars.zones }}\"", "market = \"{{ vars.m }}\""] {
        assert!(validator.is_valid(&json_of(&format!("{HEAD}{WEB}{good}"))), "{good}");
    }
}

#[test]
fn patterns_and_checks_agree() {
    let mut texts: Vec<String> = Format::all().map(|f| f.example().to_owned()).collect();
    for text in [
        "",
        "a",
        "A",
        "-",
        "a-b",
        "a_b",
        "é",
        "us-gov-west-1",
        "us-west-2-lax-1a",
        "123456789012",
        "volumes.data",
        "/a",
        "a/b",
        "/dev/sda",
        "/dev/xvdz",
        "ami-",
        "snap-1",
        "self",
        "https://x",
        "https://x y",
        "t3.",
        ".small",
        "a\tb",
        "a\u{1b}b",
        "a b",
    ] {
        texts.push(text.to_owned());
    }
    texts.push("x".repeat(300));
    for f in Format::all() {
        let validator =
            jsonschema::validator_for(&serde_json::json!({ "type": "string", "pattern": f.pattern() })).unwrap();
        for text in &texts {
            let (pattern, check) = (validator.is_valid(&text.as_str().into()), f.check(text).is_ok());
            assert_eq!(pattern, check, "{f:?} {text:?}: the pattern says {pattern}");
        }
    }
}

#[test]
fn every_code_is_known_once_and_used() {
    use super::super::codes::CODES;
    let names: Vec<_> = CODES.iter().map(|c| c.code).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted, "in order, each once");
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("declaration");
    let mut source = String::new();
    let mut folders = vec![dir];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.is_file() && path.file_name().is_some_and(|n| n != "codes.rs") {
                source += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    for name in names {
        assert!(source.contains(&format!("\"{name}\"")), "{name} is in the table and nowhere said");
    }
}
