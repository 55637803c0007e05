//! A moto of our own for the length of a test, and the few things around EC2 that evenkeel itself never makes. Test
//! binaries of several crates take this file in with `#[path]`.

#![allow(dead_code, reason = "each test binary uses its own part")]

#[path = "hand.rs"]
pub mod hand;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A running moto. It ends with this value, or with the test process.
pub struct Moto {
    /// `http://127.0.0.1:…`.
    pub url: String,
    process: Child,
}

/// One moto for all tests of this process that use their own stack; `None` (said aloud) where there is none to be had.
pub fn shared() -> Option<&'static Moto> {
    static SHARED: OnceLock<Option<Moto>> = OnceLock::new();
    // Every skipped test says so, not only the first.
    if python().is_none() { None } else { SHARED.get_or_init(Moto::start).as_ref() }
}

/// The lab's Python; `None` (said aloud) where there is none to be had.
pub fn python() -> Option<String> {
    let Ok(python) = std::env::var("EVENKEEL_TEST_MOTO") else {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        println!("skipped: {test}: EVENKEEL_TEST_MOTO names no Python with moto (tests/run makes one)");
        return None;
    };
    // connect() takes keys where every AWS client does, and a test must never meet a person's own.
    let keys = std::env::var("AWS_ACCESS_KEY_ID").unwrap_or_default();
    assert_eq!(keys, "testing", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be `testing`: run tests/run");
    Some(python)
}

impl Moto {
    /// Starts one; `None` (said aloud) where there is none to be had.
    pub fn start() -> Option<Self> {
        let python = python()?;
        let launcher = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|folder| folder.join("tests/lab/moto.py"))
            .find(|launcher| launcher.exists())
            .expect("the launcher stands in the repository");
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("moto-{}.log", std::process::id()));
        let log = File::options().create(true).append(true).open(log).expect("the target folder can be written");
        let mut process = Command::new(python)
            .arg(launcher)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("EVENKEEL_TEST_MOTO is a Python");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url).expect("moto says where it listens");
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "moto did not start; its log is moto-*.log in target/tmp");
        Some(Self { url, process })
    }

    /// Security groups of these names; their ids.
    pub fn security_groups(&self, names: &[&str], vpc: &str) -> Vec<String> {
        let ids = names.iter().map(|name| {
            let query = format!("Action=CreateSecurityGroup&GroupName={name}&GroupDescription=test&VpcId={vpc}");
            let answer = self.call("ec2", &format!("{query}&Version=2016-11-15"));
            between(&answer, "<groupId>", "</groupId>").to_owned()
        });
        ids.collect()
    }

    /// Instance profiles of these names.
    pub fn instance_profiles(&self, names: &[&str]) {
        for name in names {
            self.call("iam", &format!("Action=CreateInstanceProfile&InstanceProfileName={name}&Version=2010-05-08"));
        }
    }

    /// A role that everybody may assume and that may do `action` and nothing else; its ARN.
    pub fn role(&self, name: &str, action: &str) -> String {
        let anybody = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
        let create = format!("Action=CreateRole&RoleName={name}&AssumeRolePolicyDocument={}", encoded(anybody));
        self.call("iam", &format!("{create}&Version=2010-05-08"));
        let allow = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
        );
        let put = format!("Action=PutRolePolicy&RoleName={name}&PolicyName=p&PolicyDocument={}", encoded(&allow));
        self.call("iam", &format!("{put}&Version=2010-05-08"));
        format!("arn:aws:iam::123456789012:role/{name}")
    }

    /// From now on every signature and every policy counts.
    pub fn check_permissions(&self) {
        hand::post(&self.url, "/moto-api/reset-auth", "text/plain", "ec2", "0");
    }

    /// One call of `ec2`, `iam` … by hand: a form-encoded body with `Action`, `Version` and the parameters. The answer.
    ///
    /// For what happens behind evenkeel's back, so that its own client is not its own witness.
    pub fn call(&self, service: &str, body: &str) -> String {
        hand::fine(&self.url, service, body)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It has nothing to save.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found)
}

/// Percent-encoded as a form's value.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).into() } else { format!("%{byte:02X}") })
        .collect()
}
