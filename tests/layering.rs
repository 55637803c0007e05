//! The arrows of ARCHITECTURE.md, held by reading the manifests and the sources as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Which room may know which, and nothing else. Tests may build a circle (`ec2` is tried on the `sim`).
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("present", &["core"]),
    ("engine", &["core"]),
    ("coordination", &["core", "engine"]),
    ("ec2", &["core", "engine"]),
    ("aws", &["core", "engine", "ec2"]),
    ("kubernetes", &["core", "engine"]),
    ("kube", &["core", "engine", "kubernetes"]),
    ("sim", &["core", "engine", "ec2", "kubernetes"]),
    ("front", &["core", "engine", "ec2", "sim"]),
];

/// Every room but the command line: they never print, and never ask for the time.
const WITHOUT_CLI: [&str; 10] = [
    "src/core",
    "src/engine",
    "src/ec2",
    "src/aws",
    "src/kubernetes",
    "src/kube",
    "src/sim",
    "src/front",
    "src/present",
    "src/coordination",
];

/// All that core may depend on: values in, values out. None of them does I/O unless asked to.
const CORE: &[&str] = &[
    "data-encoding",
    "globset",
    "granit-parser",
    "hmac",
    "jiff",
    "minijinja",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "strsim",
    "toml",
    "toml_edit",
];

fn manifest(path: &Path) -> DocumentMut {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names under a table of a manifest.
fn names(manifest: &DocumentMut, table: &str) -> BTreeSet<String> {
    let table = manifest.get(table).and_then(|t| t.as_table_like());
    table.into_iter().flat_map(|t| t.iter().map(|(name, _)| name.to_owned())).collect()
}

/// Every `.rs` file under a folder of the repository, as its path from the root and its text.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder of the repository").map(|e| e.expect("an entry")) {
            let path: PathBuf = entry.path();
            if path.is_dir() {
                walk(&path, all);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root()).expect("under the root").to_string_lossy().into_owned();
                all.insert(name, fs::read_to_string(&path).expect("UTF-8"));
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(&root().join(folder), &mut all);
    assert!(!all.is_empty(), "{folder} has no sources");
    all
}

/// A source without its comments and without the module of tests at its end.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines = before_tests.lines().filter(|l| !l.trim_start().starts_with("//"));
    lines.flat_map(|l| [l, "\n"]).collect()
}

/// Whether this file holds nothing but tests.
fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs")
        || name.contains("/tests/")
        || name.contains("/benches/")
        || name.contains("/trials/")
        || name.ends_with("/testing.rs")
        || name.ends_with("/laws.rs")
        || name.ends_with("/samples.rs")
}

#[test]
fn every_arrow_between_rooms_points_down() {
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    for (room, may) in ARROWS {
        let manifest = manifest(&root().join("src").join(room).join("Cargo.toml"));
        let knows: BTreeSet<String> = ["dependencies", "build-dependencies"]
            .iter()
            .flat_map(|table| names(&manifest, table).into_iter().map(move |name| (table, name)))
            // What only fuzzing asks for is in no build of the program.
            .filter(|(table, name)| manifest[*table][name.as_str()].get("optional").is_none())
            .filter_map(|(_, name)| name.strip_prefix("evenkeel-").map(str::to_owned))
            .collect();
        for other in &knows {
            assert!(may.contains(&other.as_str()), "{room} may not know {other}");
        }
    }
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().expect("members");
    let members: BTreeSet<&str> = members.iter().filter_map(|m| m.as_str()?.strip_prefix("src/")).collect();
    assert_eq!(members, rooms, "a new room needs its line in ARROWS and in ARCHITECTURE.md");
}

#[test]
fn core_depends_on_a_closed_list() {
    let manifest = manifest(&root().join("src/core/Cargo.toml"));
    let list: BTreeSet<String> = CORE.iter().map(|n| (*n).to_owned()).collect();
    assert_eq!(names(&manifest, "dependencies"), list, "core's list is closed; a new name is a decision");
}

#[test]
fn core_asks_for_nothing() {
    let banned = [
        "println!",
        "eprintln!",
        "print!(",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "std::io",
        "tokio",
        "async fn",
        "HashMap",
        "HashSet",
        "rand::",
        "unsafe ",
    ];
    for (name, text) in sources("src/core") {
        if is_test(&name) {
            continue;
        }
        let code = code(&text);
        for word in banned {
            assert!(!code.contains(word), "{name} says `{word}`: core is told, it does not ask");
        }
    }
}

#[test]
fn only_one_room_names_an_aws_sdk() {
    for (room, _) in ARROWS.iter().filter(|(room, _)| *room != "aws") {
        let manifest = manifest(&root().join("src").join(room).join("Cargo.toml"));
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let sdk = names(&manifest, table).into_iter().find(|n| n.starts_with("aws-"));
            assert_eq!(sdk, None, "{room} names an AWS crate");
        }
    }
    let top = manifest(&root().join("Cargo.toml"));
    for table in ["dependencies", "dev-dependencies"] {
        assert_eq!(names(&top, table).into_iter().find(|n| n.starts_with("aws-")), None);
    }
    for (name, text) in sources("src") {
        if !name.starts_with("src/aws/") {
            for word in ["aws_sdk_", "aws_config", "aws_smithy", "aws_types", "aws_credential"] {
                assert!(!code(&text).contains(word), "{name} names {word}");
            }
        }
    }
}

#[test]
fn only_one_room_names_the_kubernetes_client() {
    let client = |name: &String| name == "kube" || name.starts_with("kube-") || name == "k8s-openapi";
    for (room, _) in ARROWS.iter().filter(|(room, _)| *room != "kube") {
        let manifest = manifest(&root().join("src").join(room).join("Cargo.toml"));
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            assert_eq!(names(&manifest, table).into_iter().find(client), None, "{room} names the client");
        }
    }
    let top = manifest(&root().join("Cargo.toml"));
    for table in ["dependencies", "dev-dependencies"] {
        assert_eq!(names(&top, table).into_iter().find(client), None);
    }
    for (name, text) in sources("src") {
        if !name.starts_with("src/kube/") {
            let code = code(&text).replace("evenkeel_kube::", "");
            for word in ["kube::", "kube_client", "kube_core", "k8s_openapi"] {
                assert!(!code.contains(word), "{name} names {word}");
            }
        }
    }
}

/// Digests are taken over JSON, whose maps are in order only while nobody asks serde_json for the order of writing.
#[test]
fn no_dependency_asks_for_the_order_of_json_maps() {
    let written: serde_json::Value = serde_json::from_str(r#"{"b":1,"a":2}"#).expect("JSON");
    assert_eq!(written.to_string(), r#"{"a":2,"b":1}"#);
}

#[test]
fn only_one_place_of_the_command_line_names_a_concrete_provider() {
    for (name, text) in sources("src/cli") {
        // `sim` is a command about the sim, and shows its world.
        let may_sim = ["session.rs", "commands/sim.rs", "commands/serve.rs", "commands/world.rs"]
            .iter()
            .any(|n| name.ends_with(n));
        let may_real = name.ends_with("src/cli/session.rs");
        let code = code(&text);
        assert!(may_sim || !code.contains("evenkeel_sim"), "{name} names the sim");
        assert!(may_real || !code.contains("evenkeel_aws"), "{name} names AWS");
        assert!(may_real || !code.contains("evenkeel_kube::"), "{name} names the Kubernetes client");
        let may_front = name.ends_with("commands/serve.rs");
        assert!(may_front || !code.contains("evenkeel_front"), "{name} names the front");
    }
    for room in ["src/core", "src/engine", "src/present", "src/coordination", "src/ec2", "src/kubernetes"] {
        for (name, text) in sources(room) {
            if is_test(&name) {
                continue;
            }
            let code = code(&text);
            for provider in ["evenkeel_sim", "evenkeel_aws", "evenkeel_kube::"] {
                assert!(!code.contains(provider), "{name} names {provider}");
            }
        }
    }
}

#[test]
fn the_time_is_asked_for_in_one_place() {
    for room in WITHOUT_CLI {
        for (name, text) in sources(room) {
            if is_test(&name) || name == "src/engine/clock.rs" {
                continue;
            }
            let code = code(&text);
            for word in ["Timestamp::now", "SystemTime::now", "Zoned::now"] {
                assert!(!code.contains(word), "{name} says `{word}`; the clock is handed in");
            }
        }
    }
}

#[test]
fn the_engine_never_prints_and_the_presenter_never_does_either() {
    for room in WITHOUT_CLI {
        for (name, text) in sources(room) {
            if is_test(&name) {
                continue;
            }
            let code = code(&text);
            for word in ["println!", "print!(", "dbg!("] {
                assert!(!code.contains(word), "{name} says `{word}`");
            }
        }
    }
}

#[test]
fn every_module_opens_with_what_it_is_for() {
    for folder in ["src", "tests"] {
        for (name, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{name} does not open with `//!`");
        }
    }
}

/// A file is a page. Past 600 lines it is two subjects; that is said, not forbidden.
#[test]
fn long_files_are_named() {
    for (name, text) in sources("src") {
        let lines = text.lines().count();
        if lines > 600 {
            println!("warning: {name} has {lines} lines; past 600 it is two modules");
        }
    }
}
