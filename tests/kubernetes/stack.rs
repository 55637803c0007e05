//! A folder with a declaration, and the real binary run in it against a cluster.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::lab::Cluster;

/// A secret of the tests: nothing that evenkeel says or keeps may hold it.
pub const CANARY: &str = "correct-horse-battery";

/// A folder with a declaration, against a cluster.
pub struct Stack<'c> {
    pub folder: TempDir,
    cluster: &'c Cluster,
}

impl<'c> Stack<'c> {
    /// One table of objects, in the file `objects.yaml`.
    pub fn new(cluster: &'c Cluster, id: &str, namespace: &str, objects: &str) -> Self {
        let stack = Self::of(cluster, &declaration(id, namespace, "files = [\"objects.yaml\"]"));
        stack.write("objects.yaml", objects);
        stack
    }

    /// Any declaration.
    pub fn of(cluster: &'c Cluster, declaration: &str) -> Self {
        let stack = Self { folder: tempfile::tempdir().expect("a folder"), cluster };
        stack.write("evenkeel.toml", declaration);
        stack
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a folder can be made");
        fs::write(path, text).expect("it can be written");
    }

    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.current_dir(self.folder.path()).args(words.split_whitespace());
        command.env("KUBECONFIG", &self.cluster.kubeconfig).env("NO_COLOR", "1").env("CI", "true");
        command
    }

    /// Runs it; gives what it said, both streams.
    #[track_caller]
    pub fn run(&self, words: &str, exit: i32) -> String {
        Self::ends(words, &mut self.command(words), exit)
    }

    /// What it said on stdout, as JSON.
    #[track_caller]
    pub fn json(&self, words: &str, exit: i32) -> serde_json::Value {
        let output = self.command(words).output().expect("it starts");
        assert_eq!(output.status.code(), Some(exit), "evenkeel {words}\n{output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("evenkeel {words}: {e}"))
    }

    /// The same as another account.
    #[track_caller]
    pub fn run_as(&self, kubeconfig: &Path, words: &str, exit: i32) -> String {
        Self::ends(words, self.command(words).env("KUBECONFIG", kubeconfig), exit)
    }

    #[track_caller]
    fn ends(words: &str, command: &mut Command, exit: i32) -> String {
        let Output { status, stdout, stderr } = command.output().expect("it starts");
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(exit), "evenkeel {words}\n{said}");
        assert!(!said.contains(CANARY), "a secret is said: {said}");
        said
    }

    /// Nothing is left to do, and everything was seen.
    #[track_caller]
    pub fn is_in_sync(&self) {
        let said = self.run("plan --exit-code", 0);
        assert!(said.contains("No changes."), "{said}");
    }

    /// Whether a secret stands in any file below the folder, the declaration's own apart.
    pub fn leaks(&self) -> bool {
        leaks(self.folder.path())
    }
}

/// A stack of one table of manifests, which says this.
pub fn declaration(id: &str, namespace: &str, says: &str) -> String {
    format!(
        "[stack]\nname = \"shop\"\nid = \"{id}\"\n\n[kubernetes]\nnamespace = \"{namespace}\"\n\n[policy]\n\
         max-deletes = \"100%\"\n\n[manifests.app]\n{says}\n"
    )
}

fn leaks(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).any(|path| {
        if path.is_dir() {
            return leaks(&path);
        }
        let own = path.extension().is_some_and(|end| end == "yaml");
        !own && fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(CANARY))
    })
}
