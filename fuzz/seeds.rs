//! Good inputs: the starters and examples of the repository, objects that a real server answered, and what a run on the
//! sim writes down. Nothing is a copy, so nothing grows stale.

#[path = "../src/ec2/tests/fleet.rs"]
#[allow(missing_docs, dead_code, reason = "the tests' own")]
mod fleet;

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_core::plan::Plan;
use evenkeel_engine::planfile;
use serde_json::Value;

use fleet::{Fleet, file};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it stands in the repository")
}

/// Declarations.
pub fn declarations() -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["templates", "examples"] {
        let entries = fs::read_dir(root().join(folder)).expect("a folder of the repository");
        for path in entries.map(|e| e.expect("an entry").path()) {
            let inside = path.join("evenkeel.toml");
            paths.push(if inside.is_file() { inside } else { path });
        }
    }
    paths.sort();
    let of_people = paths.iter().filter(|p| p.extension().is_some_and(|e| e == "toml"));
    let mut all: Vec<Vec<u8>> = of_people.map(|p| fs::read(p).expect("it can be read")).collect();
    all.push(file(3, true).into_bytes());
    all
}

/// What one run leaves.
pub struct Run {
    /// The plan.
    pub plan: Plan,
    /// Its file.
    pub file: Vec<u8>,
    /// Its journal, line by line.
    pub journal: Vec<u8>,
    /// The world afterwards.
    pub world: Vec<u8>,
}

/// A fleet created on the sim.
pub fn run() -> Run {
    let runtime = evenkeel_sim::runtime().expect("a runtime");
    runtime.block_on(async {
        let fleet = Fleet::new(&file(3, true));
        let made = fleet.plan(&fleet.look().await);
        let (_, events) = fleet.written(&made).await;
        let lines = events.iter().map(|e| serde_json::to_string(e).expect("events are JSON") + "\n");
        Run {
            file: planfile::bytes(&made.plan),
            journal: lines.collect::<String>().into_bytes(),
            world: fleet.sim.world().expect("it is in no file").to_toml().into_bytes(),
            plan: made.plan,
        }
    })
}

/// Kubernetes objects as they were sent, and as a real server shows them.
pub type Cases = Vec<(Value, Value)>;

/// A Kubernetes object as it was sent, and as a real server shows it.
pub fn objects() -> Cases {
    let text = fs::read_to_string(root().join("src/core/objects/recorded/applied.jsonl")).expect("recorded answers");
    let cases = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("recorded JSON"));
    cases.map(|case| (case["wish"].clone(), case["live"].clone())).collect()
}
