//! The examples are documentation that is run: every command of every `session.md`, with what it says.
//!
//! A command line begins with `$ `. It runs in a copy of the example's folder with `EVENKEEL_SIM=world.toml`; what it
//! says on both streams follows, and the exit code where it is not 0. `UPDATE=1 cargo test examples` writes the
//! sessions anew; read the difference before you keep it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn stories() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("examples/ is there").map(|e| e.expect("an entry").path());
    let mut all: Vec<PathBuf> = entries.filter(|p| p.is_dir()).collect();
    all.sort();
    all
}

/// Runs one line as a person would type it; both streams in the order in which they were written.
fn run(line: &str, dir: &Path) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_evenkeel")).parent().expect("a program is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(dir).env_clear();
    command.env("PATH", format!("{}:{path}", binary.display())).env("HOME", dir).env("EVENKEEL_SIM", "world.toml");
    command.stdin(Stdio::null()).stdout(write.try_clone().expect("a pipe")).stderr(write);
    let mut child = command.spawn().expect("sh starts");
    // Its ends of the pipe must go, or the read would never end.
    drop(command);
    let mut said = String::new();
    read.read_to_string(&mut said).expect("what evenkeel says is UTF-8");
    let status = child.wait().expect("it is our child");
    if !said.is_empty() && !said.ends_with('\n') {
        said.push('\n');
    }
    match status.code() {
        Some(0) => said,
        Some(code) => format!("{said}(exit code {code})\n"),
        None => format!("{said}(killed)\n"),
    }
}

/// The session with the answers of today.
fn played(session: &str, dir: &Path) -> String {
    let mut out = String::new();
    let mut console = false;
    let mut after = false;
    for line in session.lines() {
        if line.starts_with("```") {
            console = line == "```console";
            after = false;
        }
        if let Some(command) = line.strip_prefix("$ ").filter(|_| console) {
            if after && !out.ends_with("\n\n") && !out.ends_with(&format!("{}\n", "```console")) {
                out.push('\n');
            }
            out.push_str(line);
            out.push('\n');
            out.push_str(&run(command, dir));
            after = true;
        } else if !(console && after) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn copied(story: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(story).expect("a folder").map(|e| e.expect("an entry")) {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("an example is files only");
    }
    dir
}

#[test]
fn every_session_says_what_it_says_there() {
    let mut wrong = Vec::new();
    for story in stories() {
        let path = story.join("session.md");
        let stands = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let dir = copied(&story);
        let now = played(&stands, dir.path());
        if now == stands {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &now).expect("the example can be written");
            continue;
        }
        let line = stands.lines().zip(now.lines()).take_while(|(a, b)| a == b).count();
        let part = |text: &str| text.lines().skip(line.saturating_sub(4)).take(12).collect::<Vec<_>>().join("\n");
        wrong.push(format!(
            "{}:{}\n--- stands there\n{}\n--- is said today\n{}",
            path.display(),
            line + 1,
            part(&stands),
            part(&now)
        ));
    }
    assert!(wrong.is_empty(), "UPDATE=1 writes them anew\n{}", wrong.join("\n\n"));
}

#[test]
fn every_example_is_valid_formatted_and_told() {
    let all = stories();
    assert!(all.len() >= 3, "{all:?}");
    for story in all {
        let dir = copied(&story);
        assert_eq!(run("evenkeel fmt --check", dir.path()), "", "{}", story.display());
        let said = run("evenkeel validate", dir.path());
        assert!(said.contains("is fine") && !said.contains("warning"), "{}: {said}", story.display());
        let session = fs::read_to_string(story.join("session.md")).expect("a session");
        assert!(session.starts_with("# ") && session.matches("```console").count() >= 2, "{}", story.display());
    }
}

#[test]
fn no_example_breaks_a_law_of_the_sim() {
    for story in stories() {
        let dir = copied(&story);
        let session = fs::read_to_string(story.join("session.md")).expect("a session");
        played(&session, dir.path());
        let world = fs::read_to_string(dir.path().join("world.toml")).expect("a world was made");
        assert!(!world.contains("[[violations]]"), "{}", story.display());
    }
}
