//! P11 on a real Kubernetes: the real binary, TLS, and one call of an apply or of a prune that goes wrong, SIGKILL first
//! of all. Whatever happened, running again ends in sync: nothing twice, nothing left, nothing of others touched.
//!
//! By default every fault strikes another call; `EVENKEEL_TEST_SWEEP=all` tries every fault on every call.

use std::collections::BTreeMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use rustix::process::Pid;
use serde_json::{Value, json};

use super::journey::application;
use super::lab::{self, Cluster};
use super::stack::Stack;
use crate::laws::harness::full;
use crate::wire::proxy::{Fault, Proxy, When};
use crate::wire::tls;

/// Runs after which it must have ended well.
const MOST_RUNS: usize = 4;
/// Calls of any sort that are struck in each journey, beside the changing ones.
const LOOKS: usize = 6;
/// Points under way at once.
const AT_ONCE: usize = 6;
/// Who may name what is left of a stack.
const KINDS: &str = "configmaps,secrets,services,deployments";

/// What is done while calls go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Journey {
    /// All objects are made.
    Apply,
    /// Two of them are no longer in the file.
    Prune,
    /// All of them go.
    Destroy,
}

impl Journey {
    /// What is run.
    fn words(self) -> &'static str {
        match self {
            Self::Apply | Self::Prune => "apply --yes",
            Self::Destroy => "destroy --yes",
        }
    }

    /// The objects of the file at the end.
    fn file(self) -> String {
        let all = application(1);
        match self {
            Self::Apply | Self::Destroy => all,
            Self::Prune => all.split("---\napiVersion: v1\nkind: Service").next().expect("the first part").to_owned(),
        }
    }

    /// What is there at the end, beside the stack's own mark.
    fn wanted(self) -> &'static [&'static str] {
        match self {
            Self::Apply => &["ConfigMap/settings", "Deployment/web", "Secret/key", "Service/web"],
            Self::Prune => &["ConfigMap/settings", "Secret/key"],
            Self::Destroy => &[],
        }
    }
}

/// Which call is struck: the n-th of all, or of those that change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nth {
    Change(usize),
    Any(usize),
}

/// One try: whose it is, and how it went.
struct Went {
    /// The call that was struck.
    struck: Option<String>,
    /// Changing calls of the first run.
    calls: usize,
    /// All calls of the first run.
    all: usize,
    runs: usize,
}

/// A proxy before the cluster, and the admin's kubeconfig that leads there.
fn proxied(cluster: &Cluster, folder: &Path) -> (Proxy, PathBuf) {
    let known = cluster.kubectl("config view --raw -o json");
    let mut known: Value = serde_json::from_str(&known).expect("kubectl writes JSON");
    let there = &mut known["clusters"][0]["cluster"];
    let read = |data: &Value| data_encoding::BASE64.decode(data.as_str().expect("text").as_bytes()).expect("base64");
    let authority = String::from_utf8(read(&there["certificate-authority-data"])).expect("PEM");
    let (proxy, own) = tls::before(&cluster.server, &authority);
    let own = data_encoding::BASE64.encode(own.as_bytes());
    *there = json!({ "server": proxy.url, "certificate-authority-data": own });
    let path = folder.join("proxied.kubeconfig");
    std::fs::write(&path, known.to_string()).expect("it can be written");
    (proxy, path)
}

/// One journey in a namespace of its own, one call of which meets a fault in the first run.
fn go(cluster: &Cluster, journey: Journey, point: usize, fault: Option<(Nth, Fault)>) -> Result<Went, String> {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).expect("a letter"));
    let kind = match journey {
        Journey::Apply => 'a',
        Journey::Prune => 'p',
        Journey::Destroy => 'd',
    };
    let id = format!("kswp{kind}{}{}z", letter(point / 26), letter(point));
    let namespace = format!("sweep-{id}");
    cluster.namespace(&namespace);
    let folder = tempfile::tempdir().expect("a folder");
    let (proxy, kubeconfig) = proxied(cluster, folder.path());
    let stack = Stack::new(cluster, &id, &namespace, &application(1));
    if journey != Journey::Apply {
        stack.run("apply --yes", 0);
        stack.write("objects.yaml", &journey.file());
    }
    let command = |words: &str| {
        let mut command = stack.command(words);
        command.env("KUBECONFIG", &kubeconfig);
        command
    };
    let kills = fault.as_ref().is_some_and(|(_, fault)| matches!(fault, Fault::Kill(_)));
    let (strike, struck) = std::sync::mpsc::channel();
    if let Some((nth, fault)) = fault {
        let mut before = 0;
        proxy.meddle(move |_, call| {
            let (counts, nth) = match nth {
                Nth::Change(nth) => (!call.reads(), nth),
                Nth::Any(nth) => (true, nth),
            };
            let hit = counts && before == nth;
            before += usize::from(counts);
            hit.then(|| {
                let _ = strike.send(call.action.clone());
                fault.clone()
            })
        });
    }
    let mut went = Went { struck: None, calls: 0, all: 0, runs: 0 };
    let mut last = None;
    while went.runs < MOST_RUNS {
        let mut child = command(journey.words())
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        proxy.victim(Some(Pid::from_child(&child)));
        let status = child.wait().expect("it is our child");
        proxy.victim(None);
        if went.runs == 0 {
            went.calls = proxy.calls().iter().filter(|call| !call.reads()).count();
            went.all = proxy.calls().len();
            went.struck = struck.try_recv().ok();
            if kills && went.struck.is_some() != (status.signal() == Some(9)) {
                return Err(format!("struck {:?} and ended with {status}", went.struck));
            }
        }
        went.runs += 1;
        proxy.behave();
        last = Some(status);
        if status.code() == Some(0) {
            break;
        }
    }
    if last.and_then(|status| status.code()) != Some(0) {
        let said = command(journey.words()).output().expect("the program starts");
        return Err(format!("not well after {MOST_RUNS} runs ({last:?}): {said:?}"));
    }
    let left = left(cluster, &namespace, &id);
    let wanted = journey.wanted();
    let own = left.iter().filter(|name| !wanted.contains(&name.as_str())).count();
    if journey == Journey::Destroy {
        return if left.is_empty() { Ok(went) } else { Err(format!("there is still {left:?}")) };
    }
    // And the stack's own mark.
    if own != 1 || left.len() != wanted.len() + 1 {
        return Err(format!("there is {left:?}"));
    }
    let plan = command("plan --exit-code").output().expect("the program starts");
    if plan.status.code() != Some(0) {
        return Err(format!("not in sync: {}", String::from_utf8_lossy(&plan.stdout)));
    }
    Ok(went)
}

/// All objects with the stack's label, by kind and name.
fn left(cluster: &Cluster, namespace: &str, id: &str) -> Vec<String> {
    let all = cluster.get(&format!("{KINDS} -n {namespace} -l evenkeel.dev/stack={id}"));
    let name = |item: &Value| {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        format!("{}/{}", text(&item["kind"]), text(&item["metadata"]["name"]))
    };
    let mut left: Vec<String> = all["items"].as_array().expect("a list").iter().map(name).collect();
    left.sort();
    left
}

fn faults() -> Vec<Fault> {
    let busy = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "ServiceUnavailable",
        "message": "the proxy says so", "code": 503 });
    vec![
        Fault::Kill(When::Before),
        Fault::Kill(When::After),
        Fault::Drop(When::After),
        Fault::Truncate,
        Fault::Twice(false),
        Fault::Twice(true),
        Fault::Reset(When::Before),
        Fault::Reset(When::After),
        Fault::Answer(503, busy.to_string()),
    ]
}

fn sweep(journey: Journey) {
    let Some(cluster) = lab::shared() else { return };
    let all = full();
    let whole = go(cluster, journey, 0, None).expect("it goes well where nothing goes wrong");
    assert!(whole.runs == 1 && whole.calls >= 2, "{} runs, {} calls", whole.runs, whole.calls);
    let faults = faults();
    let (calls, count) = (whole.calls, faults.len());
    let points: Vec<(usize, Fault)> = if all {
        faults.iter().flat_map(|fault| (0..calls).map(move |nth| (nth, fault.clone()))).collect()
    } else {
        // Every call is struck, the first by a kill, and so is the last.
        faults.into_iter().enumerate().map(|(n, fault)| (n * (calls - 1) / (count - 1), fault)).collect()
    };
    let points = points.into_iter().enumerate().map(|(n, (nth, fault))| (journey, n + 1, Nth::Change(nth), fault));
    let struck = strike(cluster, points.collect());
    println!("{journey:?}: {calls} changing calls; struck {struck:?}");
}

/// Tries every point and gives how many calls were struck, by verb.
fn strike(cluster: &Cluster, points: Vec<(Journey, usize, Nth, Fault)>) -> BTreeMap<String, usize> {
    let (next, wrong) = (Mutex::new(points.into_iter()), Mutex::new(Vec::new()));
    let struck: Mutex<BTreeMap<String, usize>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((journey, point, nth, fault)) = { next.lock().expect("nobody panics in here").next() } {
                    let at = format!("{journey:?}, {nth:?}, {fault:?}");
                    let went = go(cluster, journey, point, Some((nth, fault)));
                    match went.map(|went| went.struck) {
                        Ok(Some(call)) => {
                            let verb = call.split_whitespace().next().unwrap_or_default().to_owned();
                            *struck.lock().expect("nobody panics in here").entry(verb).or_default() += 1;
                        }
                        Ok(None) => wrong.lock().expect("nobody panics in here").push(format!("{at}: not struck")),
                        Err(says) => wrong.lock().expect("nobody panics in here").push(format!("{at}: {says}")),
                    }
                }
            });
        }
    });
    let (wrong, struck) = (wrong.into_inner().expect("it is over"), struck.into_inner().expect("it is over"));
    assert!(wrong.is_empty(), "{} points went wrong:\n{}", wrong.len(), wrong.join("\n"));
    struck
}

/// SIGKILL at every changing call of an apply, a prune and a destroy, before and after its effect, and at a sample of
/// the looks between.
#[test]
fn a_run_killed_at_any_call_is_simply_run_again() {
    let Some(cluster) = lab::shared() else { return };
    let mut points = Vec::new();
    let (mut changes, mut calls) = (0, 0);
    for journey in [Journey::Apply, Journey::Prune, Journey::Destroy] {
        // Beside the points of the sweeps.
        let whole = go(cluster, journey, 200, None).expect("it goes well where nothing goes wrong");
        (changes, calls) = (changes + whole.calls, calls + whole.all);
        for nth in 0..whole.calls {
            for when in [When::Before, When::After] {
                points.push((journey, 201 + points.len(), Nth::Change(nth), Fault::Kill(when)));
            }
        }
        let every = if full() { 1 } else { whole.all.div_ceil(LOOKS) };
        for nth in (0..whole.all).step_by(every) {
            let when = if points.len() % 2 == 0 { When::Before } else { When::After };
            points.push((journey, 201 + points.len(), Nth::Any(nth), Fault::Kill(when)));
        }
    }
    let struck = strike(cluster, points);
    let killed: usize = struck.values().sum();
    println!("{killed} kills over {changes} changing calls and {calls} in all: {struck:?}");
    assert!(killed >= 40, "only {killed} points: {struck:?}");
}

#[test]
fn an_apply_in_which_a_call_goes_wrong_is_simply_run_again() {
    sweep(Journey::Apply);
}

#[test]
fn a_prune_in_which_a_call_goes_wrong_is_simply_run_again() {
    sweep(Journey::Prune);
}
