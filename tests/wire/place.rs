//! The program itself, in a folder of its own, pointed at an endpoint.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel_sim::SimClock;
use serde_json::Value;
use tempfile::TempDir;

/// Three machines with a volume each.
pub fn file(name: &str, id: &str, group: &str) -> String {
    format!(
        r#"[stack]
name = "{name}"
id = "{id}"

[aws]
region = "us-east-1"

[machines.web]
count = 3
image = {{ owner = "amazon", name = "al2023-ami-2023.*-x86_64" }}
type = ["t3.small", "t3a.small"]
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
security-groups = ["{group}"]
tags = {{ team = "payments" }}
wait = "running"

[volumes.data]
for = "machines.web"
size = "50GiB"
type = "gp3"
"#
    )
}

/// A folder with a declaration, and the program pointed at an endpoint.
pub struct Place {
    dir: TempDir,
    url: String,
    clock: Option<SimClock>,
}

/// What came of a command.
pub struct Said {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Stdout.
    pub out: String,
    /// Stderr.
    pub err: String,
    /// How long it ran.
    pub took: Duration,
}

impl Place {
    /// A folder with this declaration.
    pub fn new(url: &str, declaration: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("evenkeel.toml"), declaration).expect("it can be written");
        Self { dir, url: url.to_owned(), clock: None }
    }

    /// The same, its time that of a served world.
    pub fn in_time_with(self, clock: SimClock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// The same folder, the program pointed at another endpoint.
    pub fn toward(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Changes the declaration.
    pub fn edit(&self, old: &str, new: &str) {
        let path = self.dir.path().join("evenkeel.toml");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(old), "{old}");
        std::fs::write(path, text.replacen(old, new, 1)).expect("it can be written");
    }

    /// The program with these words, and nothing of our own environment.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.current_dir(self.dir.path()).args(words.split_whitespace()).env_clear().stdin(Stdio::null());
        command.env("AWS_ENDPOINT_URL", &self.url).env("HOME", self.dir.path());
        command.envs(self.clock.iter().filter_map(SimClock::paced).map(|clock| ("EVENKEEL_CLOCK", clock.to_string())));
        command.env("AWS_ACCESS_KEY_ID", "testing").env("AWS_SECRET_ACCESS_KEY", "testing");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Runs it.
    pub fn run(&self, words: &str) -> Said {
        done(&mut self.command(words))
    }

    /// The id of what fills a slot, as `status` tells it.
    pub fn object(&self, address: &str) -> String {
        let said = self.run("status --json");
        let status: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said}"));
        let groups = status["groups"].as_array().expect("groups");
        let mut members = groups.iter().flat_map(|g| g["members"].as_array().expect("members"));
        let one = members.find(|m| m["address"] == address).unwrap_or_else(|| panic!("no {address}: {said}"));
        one["object"].as_str().unwrap_or_else(|| panic!("{address} is missing: {said}")).to_owned()
    }
}

/// Runs a command to its end.
pub fn done(command: &mut Command) -> Said {
    let begun = Instant::now();
    let output = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("what evenkeel says is UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr), took: begun.elapsed() }
}

impl Said {
    /// It ends with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// It says this.
    #[track_caller]
    pub fn tells(self, text: &str) -> Self {
        assert!(self.words().contains(text), "{text:?} is not in it\n{self}");
        self
    }

    /// All it said, without the folds of a page.
    pub fn words(&self) -> String {
        self.out.split_whitespace().chain(self.err.split_whitespace()).collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} after {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.took, self.out, self.err)
    }
}
