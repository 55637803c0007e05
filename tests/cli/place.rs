//! A folder with a declaration, and evenkeel run in it.
//!
//! Every answer is checked for what no answer may ever hold: a panic, or a control character that nobody asked for.
//! When the folder goes, the sim's world must not have seen a law broken.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Six machines over three zones, a volume each.
pub const SHOP: &str = r#"[stack]
name = "shop"
id = "7f3kq2x9"

[aws]
region = "us-east-1"

[machines.web]
count = 6
image = { owner = "amazon", name = "al2023-ami-2023.*-x86_64" }
type = "t3.small"
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
tags = { team = "payments" }
wait = "healthy"

[volumes.data]
for = "machines.web"
size = "50GiB"
type = "gp3"
"#;

/// Three machines, nothing else.
pub const TRIO: &str = r#"[stack]
name = "trio"
id = "abcdefgh"

[aws]
region = "us-east-1"

[machines.node]
count = 3
image = { owner = "amazon", name = "al2023-ami-2023.*-x86_64" }
type = "t3.small"
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
"#;

/// The folder.
pub struct Place {
    dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Said {
    what: String,
    pub code: Option<i32>,
    /// Data: stdout.
    pub out: String,
    /// Talk: stderr.
    pub err: String,
}

impl Place {
    /// With nothing in it.
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    /// With this declaration.
    pub fn with(declaration: &str) -> Self {
        let place = Self::empty();
        place.write("evenkeel.toml", declaration);
        place
    }

    /// With this declaration, applied.
    pub fn applied(declaration: &str) -> Self {
        let place = Self::with(declaration);
        place.run("apply --yes").ends(0);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("the folder can be written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Replaces a text in the declaration, which must hold it.
    pub fn edit(&self, old: &str, new: &str) {
        let text = self.read("evenkeel.toml");
        assert!(text.contains(old), "the declaration does not hold {old:?}");
        self.write("evenkeel.toml", text.replacen(old, new, 1));
    }

    /// Every file under the folder, with its bytes; the sim's world is not ours and left out.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
            let mut entries: Vec<_> =
                fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
            entries.sort();
            for path in entries {
                if path.is_dir() {
                    walk(&path, all);
                } else if !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("world.toml")) {
                    let bytes = fs::read(&path).unwrap_or_default();
                    all.push((path, bytes));
                }
            }
        }
        let mut all = Vec::new();
        walk(self.dir.path(), &mut all);
        all
    }

    /// The program, in this folder, with the sim, and with nothing of the environment of whoever runs the tests.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.current_dir(self.dir.path()).env_clear().env("EVENKEEL_SIM", "world.toml").env("HOME", self.dir.path());
        command.stdin(Stdio::null());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// Runs a command whose words have no spaces in them.
    pub fn run(&self, words: &str) -> Said {
        self.args(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a command.
    pub fn args(&self, words: &[&str]) -> Said {
        let mut command = self.command();
        command.args(words);
        self.done(&mut command)
    }

    /// Runs a command with this environment, too.
    pub fn run_with(&self, env: &[(&str, &str)], words: &str) -> Said {
        let mut command = self.command();
        command.args(words.split_whitespace()).envs(env.iter().copied());
        self.done(&mut command)
    }

    fn done(&self, command: &mut Command) -> Said {
        let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let output = command.output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what evenkeel says is UTF-8");
        let said = Said { what, code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        said.is_decent();
        said
    }

    /// Starts a command and leaves it running, its stdout and stderr in pipes.
    pub fn start(&self, words: &str) -> Child {
        let mut command = self.command();
        command.args(words.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Ok(world) = fs::read_to_string(self.path("world.toml")) else { return };
        if !std::thread::panicking() {
            assert!(!world.contains("[[violations]]"), "a law of the sim was broken:\n{world}");
        }
    }
}

/// Waits for a started program and says how it ended. Its stdout is what is still in the pipe.
pub fn end(mut child: Child) -> Said {
    let (mut out, mut err) = (String::new(), String::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut out).expect("UTF-8");
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut err).expect("UTF-8");
    }
    let code = child.wait().expect("it is our child").code();
    let said = Said { what: "a started program".into(), code, out, err };
    said.is_decent();
    said
}

impl Said {
    fn is_decent(&self) {
        for text in [&self.out, &self.err] {
            assert!(!text.contains("panicked at"), "{self}");
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Asserts that stdout holds this.
    #[track_caller]
    pub fn shows(self, text: &str) -> Self {
        assert!(self.out.contains(text), "stdout does not hold {text:?}\n{self}");
        self
    }

    /// Asserts that stderr holds this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "stderr does not hold {text:?}\n{self}");
        self
    }

    /// Asserts that neither stream holds this.
    #[track_caller]
    pub fn never(self, text: &str) -> Self {
        assert!(!self.out.contains(text) && !self.err.contains(text), "{text:?} is in it\n{self}");
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("stdout is no JSON: {e}\n{self}"))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, code, out, err } = self;
        write!(f, "{what} ended with {code:?}\n--- stdout\n{out}\n--- stderr\n{err}")
    }
}
