//! The same binary and the same file against moto, an EC2 written by others: `AWS_ENDPOINT_URL` instead of `--sim`.
//!
//! Between the two stands a tap: it counts what goes over the wire, shows what each call carried, and can hold a call
//! back. `tests/run` sets `EVENKEEL_TEST_MOTO`; without it these tests say so and are skipped. What moto itself gets
//! wrong stands in `tests/lab/README.md`.

#[path = "lab/moto.rs"]
mod lab;
mod tap;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use lab::Moto;
use tap::Tap;

/// Far more than any of these needs; a test that hangs is a failure and no hang.
const LONG: Duration = Duration::from_secs(60);

fn file(name: &str, id: &str, group: &str) -> String {
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
struct Place {
    dir: TempDir,
    url: String,
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
    took: Duration,
}

impl Place {
    fn new(url: &str, declaration: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("evenkeel.toml"), declaration).expect("it can be written");
        Self { dir, url: url.to_owned() }
    }

    fn edit(&self, old: &str, new: &str) {
        let path = self.dir.path().join("evenkeel.toml");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(old), "{old}");
        std::fs::write(path, text.replacen(old, new, 1)).expect("it can be written");
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.current_dir(self.dir.path()).args(words.split_whitespace()).env_clear().stdin(Stdio::null());
        command.env("AWS_ENDPOINT_URL", &self.url).env("HOME", self.dir.path());
        command.env("AWS_ACCESS_KEY_ID", "testing").env("AWS_SECRET_ACCESS_KEY", "testing");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    fn run(&self, words: &str) -> Said {
        done(&mut self.command(words))
    }

    /// The id of what fills a slot, as `status` tells it.
    fn object(&self, address: &str) -> String {
        let said = self.run("status --json");
        let status: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said}"));
        let groups = status["groups"].as_array().expect("groups");
        let mut members = groups.iter().flat_map(|g| g["members"].as_array().expect("members"));
        let one = members.find(|m| m["address"] == address).unwrap_or_else(|| panic!("no {address}: {said}"));
        one["object"].as_str().unwrap_or_else(|| panic!("{address} is missing: {said}")).to_owned()
    }
}

fn done(command: &mut Command) -> Said {
    let begun = Instant::now();
    let output = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("what evenkeel says is UTF-8");
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr), took: begun.elapsed() }
}

impl Said {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    #[track_caller]
    fn tells(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is not in it\n{self}");
        self
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} after {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.took, self.out, self.err)
    }
}

/// EC2 asked by hand, so that evenkeel is not its own witness.
fn ec2(moto: &Moto, query: &str) -> String {
    moto.call("ec2", &format!("{query}&Version=2016-11-15"))
}

fn vpc(moto: &Moto) -> String {
    texts(&ec2(moto, "Action=DescribeVpcs"), "vpcId").remove(0)
}

/// What stands in every `<tag>…</tag>`.
fn texts(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close)).map(|(text, _)| text.to_owned()).collect()
}

/// Ids of the live machines of a stack.
fn machines(moto: &Moto, stack: &str) -> Vec<String> {
    let live =
        "Filter.2.Name=instance-state-name&Filter.2.Value.1=running&Filter.2.Value.2=pending&Filter.2.Value.3=stopped";
    let of = format!("Filter.1.Name=tag%3Aevenkeel%3Astack&Filter.1.Value.1={stack}");
    let mut ids = texts(&ec2(moto, &format!("Action=DescribeInstances&{of}&{live}")), "instanceId");
    ids.sort();
    ids.dedup();
    ids
}

/// Ids of the volumes of a stack that have a slot of their own.
fn volumes(moto: &Moto, stack: &str) -> Vec<String> {
    let of = format!("Filter.1.Name=tag%3Aevenkeel%3Astack&Filter.1.Value.1={stack}");
    let slot = "Filter.2.Name=tag%3Aevenkeel%3Aaddress&Filter.2.Value.1=volumes.*";
    let answer = ec2(moto, &format!("Action=DescribeVolumes&{of}&{slot}"));
    let mut ids = texts(&answer, "volumeId");
    ids.sort();
    ids.dedup();
    ids
}

#[test]
fn a_fleet_is_created_drifted_damaged_repaired_and_destroyed_beside_another_of_its_name() {
    let Some(moto) = lab::shared() else { return };
    let groups = moto.security_groups(&["cli-web", "cli-debug"], &vpc(moto));
    let tap = Tap::before(&moto.url);
    let theirs = Place::new(&moto.url, &file("shop", "c22222222", "cli-web"));
    theirs.run("apply --yes").ends(0);
    let others = (machines(moto, "c22222222"), volumes(moto, "c22222222"));
    assert_eq!((others.0.len(), others.1.len()), (3, 3));

    // Created: three zones, every tag in the create call.
    let ours = Place::new(&tap.url, &file("shop", "c33333333", "cli-web"));
    ours.run("plan --exit-code").ends(2).tells("6 to add");
    tap.forget();
    ours.run("apply --yes").ends(0).tells("Converged");
    let calls = tap.calls();
    let of = |action: &str| calls.iter().filter(|c| c.action == action).collect::<Vec<_>>();
    assert_eq!((of("RunInstances").len(), of("CreateVolume").len(), of("CreateTags").len()), (3, 3, 0));
    for call in of("RunInstances") {
        let tags = call.tags("instance");
        for key in ["evenkeel:stack", "evenkeel:address", "evenkeel:spec", "evenkeel:launch", "Name", "team"] {
            assert!(tags.contains_key(key), "{key} is not in the launch: {tags:?}");
        }
        assert_eq!((tags["evenkeel:stack"].as_str(), tags["team"].as_str()), ("c33333333", "payments"));
        assert!(call.form.contains_key("ClientToken"));
    }
    for call in of("CreateVolume") {
        let tags = call.tags("volume");
        for key in ["evenkeel:stack", "evenkeel:address", "evenkeel:spec"] {
            assert!(tags.contains_key(key), "{key} is not in the create call: {tags:?}");
        }
    }
    let zones = |action: &str, key: &str| {
        let mut all: Vec<String> = of(action).iter().map(|c| c.form[key].clone()).collect();
        all.sort();
        all
    };
    let three = ["us-east-1a", "us-east-1b", "us-east-1c"];
    assert_eq!(zones("RunInstances", "Placement.AvailabilityZone"), three);
    assert_eq!(zones("CreateVolume", "AvailabilityZone"), three);

    // Again: nothing to do, and looking changes nothing.
    tap.forget();
    ours.run("plan --exit-code").ends(0).tells("No changes");
    ours.run("drift").ends(0);
    ours.run("status").ends(0);
    let changing = tap.calls().into_iter().find(|c| !c.action.starts_with("Describe") && !c.action.starts_with("Get"));
    assert!(changing.is_none(), "{changing:?}");

    // Damaged: a machine terminated by hand comes back in its slot, with its volume.
    let (dead, volume) = (ours.object("machines.web/1"), ours.object("volumes.data/1"));
    ec2(moto, &format!("Action=TerminateInstances&InstanceId.1={dead}"));
    ours.run("status").ends(9).tells("web/1");
    ours.run("plan --exit-code").ends(3).tells("web/1");
    ours.run("apply --yes").ends(0);
    let alive = ours.object("machines.web/1");
    assert!(alive != dead && ours.object("volumes.data/1") == volume);
    let held = ec2(moto, &format!("Action=DescribeVolumes&VolumeId.1={volume}"));
    assert!(held.contains(&alive), "{held}");
    ours.run("plan --exit-code").ends(0);

    // Drifted, pending, both.
    let one = ours.object("machines.web/2");
    let set = |group: &str| ec2(moto, &format!("Action=ModifyInstanceAttribute&InstanceId={one}&GroupId.1={group}"));
    set(&groups[1]);
    ours.run("drift").ends(3).tells("cli-debug");
    ours.edit("payments", "billing");
    ours.run("drift").ends(4);
    set(&groups[0]);
    ours.run("drift").ends(2).tells("billing");
    set(&groups[1]);
    ours.run("apply --yes").ends(0);
    ours.run("drift").ends(0);
    let shown = ec2(moto, &format!("Action=DescribeInstances&InstanceId.1={one}"));
    assert!(shown.contains("cli-web") && !shown.contains("cli-debug") && shown.contains("billing"), "{shown}");

    // A saved plan whose machine changed since: refused for that one, done for the rest.
    ours.edit("billing", "treasury");
    ours.run("plan -o p").ends(0);
    set(&groups[1]);
    ours.run("apply p").ends(7).tells("refused web/2");
    ours.run("apply --yes").ends(0);

    // Destroyed: nothing of ours, everything of others.
    ours.run("destroy --yes").ends(0);
    assert_eq!((machines(moto, "c33333333"), volumes(moto, "c33333333")), (vec![], vec![]));
    assert_eq!((machines(moto, "c22222222"), volumes(moto, "c22222222")), others);
    theirs.run("plan --exit-code").ends(0);
}

#[test]
fn stopped_while_a_call_hangs_it_ends_at_once_and_a_rerun_makes_nothing_twice() {
    let Some(moto) = lab::shared() else { return };
    moto.security_groups(&["cli-stop"], &vpc(moto));
    let tap = Tap::before(&moto.url);
    for (signal, code, id) in [(Signal::INT, 130, "c44444444"), (Signal::TERM, 143, "c55555555")] {
        let ours = Place::new(&tap.url, &file("stop", id, "cli-stop"));
        let held = tap.hold("RunInstances");
        let mut apply = ours.command("apply --yes");
        let child = apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        held.wait(LONG);
        let begun = Instant::now();
        kill_process(Pid::from_child(&child), signal).expect("it is our child and lives");
        // The call is never answered: whoever waited for it would never end.
        let output = child.wait_with_output().expect("it is our child");
        let took = begun.elapsed();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert!(took < Duration::from_secs(5), "CI kills after ten seconds; this took {took:?}");
        assert!(err.contains("in flight") && err.contains("web/"), "it says what was in flight: {err}");

        // What hung arrives after all; nobody is there to hear the answer.
        held.release();
        held.settled(LONG);
        ours.run("apply --yes").ends(0);
        assert_eq!((machines(moto, id).len(), volumes(moto, id).len()), (3, 3), "{id}");
        ours.run("plan --exit-code").ends(0);
        ours.run("destroy --yes").ends(0);
    }
}

#[test]
fn an_endpoint_that_nobody_answers_is_one_clear_error() {
    if lab::shared().is_none() {
        return;
    }
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}");
    let ours = Place::new(&url, &file("gone", "c66666666", "cli-web"));
    for words in ["plan", "status", "drift", "apply --yes"] {
        let said = ours.run(words);
        assert!(said.code == Some(8) && said.took < LONG, "{said}");
        assert!(said.out.is_empty() && said.err.contains(&url) && said.err.contains("way out"), "{said}");
        assert_eq!(said.err.lines().filter(|l| l.starts_with("error")).count(), 1, "one clear error: {said}");
    }
}

#[test]
fn credentials_that_are_none_or_wrong_are_one_clear_error() {
    let Some(moto) = Moto::start() else { return };
    moto.security_groups(&["cli-web"], &vpc(&moto));
    let ours = Place::new(&moto.url, &file("wrong", "c77777777", "cli-web"));
    ours.run("plan --exit-code").ends(2);

    let mut none = ours.command("plan");
    none.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let said = done(&mut none);
    assert!(said.code == Some(8) && said.took < LONG && said.out.is_empty(), "{said}");
    said.tells("no valid credentials").tells("AWS_PROFILE");

    moto.check_permissions();
    for words in ["plan", "status", "drift", "apply --yes"] {
        let said = ours.run(words);
        assert!(said.code == Some(8) && said.took < LONG && said.out.is_empty(), "{said}");
        said.tells("credentials").tells("way out");
    }
}
