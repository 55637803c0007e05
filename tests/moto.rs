//! The same binary and the same file against moto, an EC2 written by others: `AWS_ENDPOINT_URL` instead of `--sim`.
//!
//! Between the two stands a proxy: it counts what goes over the wire, shows what each call carried, and can hold a call
//! back. `tests/run` sets `EVENKEEL_TEST_MOTO`; without it these tests say so and are skipped. What moto itself gets
//! wrong stands in `tests/lab/README.md`.

#[path = "lab/moto.rs"]
pub mod lab;

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wire::place::{Place, done, file};
use crate::wire::proxy::Proxy;
use crate::wire::story::{Lab, ec2, machines, texts, volumes, whole_journey};
use lab::Moto;

/// Far more than any of these needs; a test that hangs is a failure and no hang.
const LONG: Duration = Duration::from_secs(60);

impl Lab for Moto {
    fn url(&self) -> &str {
        &self.url
    }

    fn place(&self, url: &str, declaration: &str) -> Place {
        Place::new(url, declaration)
    }
}

fn vpc(moto: &Moto) -> String {
    texts(&ec2(moto, "Action=DescribeVpcs"), "vpcId").remove(0)
}

#[test]
fn a_fleet_is_created_drifted_damaged_repaired_and_destroyed_beside_another_of_its_name() {
    let Some(moto) = lab::shared() else { return };
    whole_journey(moto, &moto.security_groups(&["cli-web", "cli-debug"], &vpc(moto)));
}

#[test]
fn a_rehearsal_goes_through_and_changes_nothing() {
    let Some(moto) = lab::shared() else { return };
    moto.security_groups(&["cli-dry"], &vpc(moto));
    let ours = Place::new(&moto.url, &file("dry", "c88888888", "cli-dry"));
    ours.run("plan --dry-run").ends(0).tells("none would be refused");
    assert_eq!((machines(moto, "c88888888").len(), volumes(moto, "c88888888").len()), (0, 0));
    ours.run("apply --yes").ends(0);
    ours.edit("payments", "billing");
    ours.edit("count = 3", "count = 2");
    ours.run("plan --dry-run --exit-code").ends(2).tells("none would be refused");
    assert_eq!(machines(moto, "c88888888").len(), 3, "nothing was ended");
    ours.run("drift").ends(2);
    ours.run("destroy --yes").ends(0);
}

#[test]
fn stopped_while_a_call_hangs_it_ends_at_once_and_a_rerun_makes_nothing_twice() {
    let Some(moto) = lab::shared() else { return };
    moto.security_groups(&["cli-stop"], &vpc(moto));
    let proxy = Proxy::before(&moto.url);
    for (signal, code, id) in [(Signal::INT, 130, "c44444444"), (Signal::TERM, 143, "c55555555")] {
        let ours = Place::new(&proxy.url, &file("stop", id, "cli-stop"));
        let held = proxy.hold("RunInstances");
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

/// One machine in a region of its own.
const WEST: &str = r#"[stack]
name = "two"
id = "c99999999"

[aws]
region = "us-east-1"

[aws.west]
region = "us-west-2"

[machines.w]
aws = "west"
count = 1
image = { owner = "amazon", name = "al2023-ami-2023.*-x86_64" }
type = "t3.small"
security-groups = ["default"]
wait = "running"
"#;

#[test]
fn a_group_that_is_moved_to_another_region_is_held_and_destroyed_where_it_is() {
    let Some(moto) = lab::shared() else { return };
    let ours = Place::new(&moto.url, WEST);
    ours.run("apply --yes").ends(0);
    ours.run("plan --exit-code").ends(0);
    ours.edit("aws = \"west\"\n", "");
    for words in ["plan", "apply --yes", "drift"] {
        let said = ours.run(words);
        assert!(said.code != Some(1) && !said.err.contains("fault in evenkeel"), "{words}: {said}");
    }
    let said = ours.run("plan");
    assert!(said.out.contains("lives in [aws.west]"), "{said}");
    assert_eq!(machines(moto, "c99999999").len(), 0, "nothing is launched beside it");
    // The mark is written where it lives, not where the file would have it.
    ours.run("protect machines.w").ends(0);
    let said = ours.run("destroy --yes");
    assert!(said.code == Some(6) && said.out.contains("unprotect machines.w/0"), "{said}");
    ours.run("unprotect machines.w").ends(0);
    ours.run("destroy --yes").ends(0);
    ours.edit("count = 1", "aws = \"west\"\ncount = 0");
    ours.run("plan --exit-code").ends(0);
}

#[test]
fn one_region_under_two_names_is_looked_at_under_neither() {
    let Some(moto) = lab::shared() else { return };
    let twin = WEST.replace("us-west-2", "us-east-1").replace("c99999999", "caaaaaaaa");
    let ours = Place::new(&moto.url, &twin);
    for words in ["plan", "apply --yes", "drift", "destroy --yes"] {
        let said = ours.run(words);
        let all = format!("{} {}", said.out, said.err);
        // Lines are broken where they are full.
        let words: String = all.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.code == Some(8) && words.contains("[aws] and [aws.west] are one account and region"), "{said}");
    }
    assert_eq!(machines(moto, "caaaaaaaa").len(), 0);
}
