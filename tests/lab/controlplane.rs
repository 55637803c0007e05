//! A Kubernetes of our own for the length of a test run, and kubectl, so that evenkeel's own client is not its own
//! witness. Test binaries of several crates take this file in with `#[path]`.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

/// A running cluster. It ends with this value, or with the test process.
pub struct Cluster {
    /// `https://127.0.0.1:…`.
    pub server: String,
    /// Of an admin who may do everything.
    pub kubeconfig: PathBuf,
    /// The cluster's own folder, gone with it: logs (`log/`), kubeconfigs.
    pub folder: PathBuf,
    /// The process of each server at the start: `etcd`, `apiserver`, `controller-manager`, `scheduler`, `kwok-ZONE`,
    /// `real-1` …
    pub processes: BTreeMap<String, u32>,
    kubectl: PathBuf,
    authority: PathBuf,
    process: Child,
    talk: Mutex<Option<Talk>>,
}

struct Talk {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// One cluster of nine simulated nodes in three zones for all tests of this process that keep to their own namespace;
/// `None` (said aloud) where there is none to be had.
pub fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    // Every skipped test says so, not only the first.
    if launcher().is_none() { None } else { SHARED.get_or_init(|| Cluster::start("--nodes 9")).as_ref() }
}

/// The same of two real nodes: what runs on them really runs. Images: `lab.example/busybox:1`, `:2`, `:3`, all the same.
pub fn real() -> Option<&'static Cluster> {
    static REAL: OnceLock<Result<Cluster, String>> = OnceLock::new();
    launcher()?;
    let real = REAL.get_or_init(|| Cluster::launch("--real-nodes 2"));
    real.as_ref().map_err(|why| skipped(why)).ok()
}

fn launcher() -> Option<String> {
    let launcher = std::env::var("EVENKEEL_TEST_CONTROLPLANE").ok();
    if launcher.is_none() {
        skipped("EVENKEEL_TEST_CONTROLPLANE names no launcher of a Kubernetes (tests/run builds one)");
    }
    launcher
}

/// Says aloud that the test which runs now is skipped.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    println!("skipped: {test}: {why}");
}

impl Cluster {
    /// Starts one with the launcher's own options (`tests/lab/README.md`), for a test that kills servers or needs the
    /// whole cluster; `None` (said aloud) where there is none to be had.
    pub fn start(options: &str) -> Option<Self> {
        launcher()?;
        Self::launch(options).map_err(|why| skipped(&why)).ok()
    }

    /// The error is why this machine cannot do it.
    fn launch(options: &str) -> Result<Self, String> {
        let launcher = std::env::var("EVENKEEL_TEST_CONTROLPLANE").expect("it was looked at");
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("controlplane-{}.log", std::process::id()));
        let log = File::options().create(true).append(true).open(log).expect("the target folder can be written");
        let mut process = Command::new(launcher)
            .args(options.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("EVENKEEL_TEST_CONTROLPLANE is a program");
        let stdin = process.stdin.take().expect("stdin is piped");
        let mut stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the launcher says what runs");
        let facts: Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("the cluster did not start ({e}); why is in controlplane-*.log in target/tmp"));
        if let Some(why) = facts["cannot"].as_str() {
            let _ = process.wait();
            return Err(why.to_owned());
        }
        let fact = |name: &str| facts[name].as_str().unwrap_or_else(|| panic!("no {name} in {facts}")).to_owned();
        Ok(Self {
            server: fact("server"),
            kubeconfig: fact("kubeconfig").into(),
            folder: fact("folder").into(),
            kubectl: fact("kubectl").into(),
            authority: fact("authority").into(),
            processes: serde_json::from_value(facts["processes"].clone()).expect("a number each"),
            process,
            talk: Mutex::new(Some(Talk { stdin, stdout })),
        })
    }

    /// The launcher's own process.
    pub fn launcher(&self) -> u32 {
        self.process.id()
    }

    /// Tells the launcher `kill NAME`, `start NAME`, `pause NAME` or `resume NAME` and waits until it is done.
    #[track_caller]
    pub fn tell(&self, command: &str) {
        let mut answer = String::new();
        {
            let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
            let talk = talk.as_mut().expect("it talks until it is dropped");
            writeln!(talk.stdin, "{command}").expect("the launcher listens");
            talk.stdout.read_line(&mut answer).expect("the launcher answers");
        }
        assert!(answer.contains("\"done\""), "{command}: {answer}");
    }

    /// What kubectl says to these words; it must succeed.
    #[track_caller]
    pub fn kubectl(&self, words: &str) -> String {
        self.kubectl_with(words, "")
    }

    /// The same with something on its stdin (`-f -`).
    #[track_caller]
    pub fn kubectl_with(&self, words: &str, stdin: &str) -> String {
        self.try_kubectl(words, stdin).unwrap_or_else(|said| panic!("kubectl {words}: {said}"))
    }

    /// Applies manifests with kubectl, for as long as the cluster runs: for a thread beside the test's own.
    pub fn applier(&self) -> impl Fn(&str) + Send + 'static {
        let (kubectl, kubeconfig, home) = (self.kubectl.clone(), self.kubeconfig.clone(), self.folder.clone());
        move |manifest| {
            let mut command = Command::new(&kubectl);
            command.env("KUBECONFIG", &kubeconfig).env("HOME", &home).args(["apply", "--server-side", "-f", "-"]);
            let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
            let mut child = child.expect("kubectl stands beside the launcher");
            child.stdin.take().expect("it is piped").write_all(manifest.as_bytes()).expect("kubectl reads");
            assert!(child.wait().expect("kubectl ends").success(), "{manifest}");
        }
    }

    /// kubectl, as the admin, for whoever needs an `EDITOR` or a word with a space in it.
    pub fn command(&self) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        kubectl.env("KUBECONFIG", &self.kubeconfig).env("KUBECTL_APPLYSET", "true");
        // Its cache of what the server knows.
        kubectl.env("HOME", &self.folder);
        kubectl
    }

    /// What kubectl says on stdout, or, when it fails, on stderr.
    pub fn try_kubectl(&self, words: &str, stdin: &str) -> Result<String, String> {
        let mut kubectl = self
            .command()
            .args(words.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl stands beside the launcher");
        let mut pipe = kubectl.stdin.take().expect("stdin is piped");
        // It may end before it has read all; its exit code tells.
        let _ = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        let output = kubectl.wait_with_output().expect("kubectl ends");
        let text = |bytes| String::from_utf8(bytes).expect("what kubectl says is UTF-8");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// `kubectl get WORDS -o json`.
    #[track_caller]
    pub fn get(&self, words: &str) -> Value {
        let said = self.kubectl(&format!("get {words} -o json"));
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
    }

    /// Makes a namespace, in which pods can be made at once: its default account is there.
    #[track_caller]
    pub fn namespace(&self, name: &str) {
        self.kubectl(&format!("create namespace {name}"));
        self.kubectl(&format!("--namespace {name} wait serviceaccount/default --for=create --timeout=60s"));
    }

    /// The kubeconfig of an account that may do only `verbs` with only `resources` (lists with commas), only in its
    /// namespace.
    #[track_caller]
    pub fn account(&self, namespace: &str, name: &str, verbs: &str, resources: &str) -> PathBuf {
        let here = format!("--namespace {namespace}");
        self.kubectl(&format!("{here} create serviceaccount {name}"));
        self.kubectl(&format!("{here} create role {name} --verb={verbs} --resource={resources}"));
        self.kubectl(&format!("{here} create rolebinding {name} --role={name} --serviceaccount={namespace}:{name}"));
        let token = self.kubectl(&format!("{here} create token {name}"));
        let path = self.folder.join(format!("{namespace}-{name}.kubeconfig"));
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: lab\n  cluster:\n    server: {}\n    \
             certificate-authority: {}\nusers:\n- name: {name}\n  user:\n    token: {}\ncontexts:\n- name: lab\n  \
             context:\n    cluster: lab\n    user: {name}\n    namespace: {namespace}\ncurrent-context: lab\n",
            self.server,
            self.authority.display(),
            token.trim()
        );
        std::fs::write(&path, text).expect("the cluster's folder can be written");
        path
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(Talk { stdin, mut stdout }) = self.talk.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(stdin);
            // Its stdout ends when the last of it is gone, even when the launcher itself was killed.
            let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        }
        let _ = self.process.wait();
    }
}
