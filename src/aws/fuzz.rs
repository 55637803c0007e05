//! Hostile answers: whatever a server says, the real client and our reading of it give a value or a failure.
//!
//! The answers are edits of good ones (`fuzz/corpus/answers`: what an EC2 that others wrote said, and the served sim).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use evenkeel_ec2::api::{CreateVolume, Ec2, Ec2Read, ModifyVolume, Query, Rehearsal, RunInstances};
use evenkeel_fuzz::mutant;

use crate::client::{AwsEc2, loader};

/// An answer as it comes over the wire.
#[derive(Debug, Clone, Default)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// A server that says the same to everybody.
#[derive(Debug, Clone, Default)]
struct Says(Arc<Mutex<Answer>>);

impl HttpConnector for Says {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let Answer { status, body } = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = StatusCode::try_from(status).expect("it is one of ours");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}

/// Clients as [`connect`] makes them, before that server.
async fn clients(says: &Says) -> AwsEc2 {
    let connector = SharedHttpConnector::new(says.clone());
    let http = http_client_fn(move |_, _| connector.clone());
    let keys = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", None, None, "test");
    let config = loader(http).region(Region::new("us-east-1")).credentials_provider(keys).load().await;
    AwsEc2::of(&config).expect("the region is set")
}

/// Good answers, by the call that they answer. The file's name says which: `DescribeVolumes.served.xml`.
fn answers() -> BTreeMap<String, Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/answers");
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let mut all: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let call = name.split('.').next().expect("it has a first part").to_owned();
        all.entry(call).or_default().push(fs::read(&path).expect("it can be read"));
    }
    all
}

const CALLS: [&str; 17] = [
    "GetCallerIdentity",
    "DescribeAvailabilityZones",
    "DescribeInstances",
    "DescribeInstanceStatus",
    "DescribeVolumes",
    "DescribeImages",
    "DescribeSubnets",
    "DescribeSecurityGroups",
    "GetParameter",
    "DescribeInstanceAttribute",
    "DescribeIamInstanceProfileAssociations",
    "RunInstances",
    "TerminateInstances",
    "CreateVolume",
    "ModifyVolume",
    "AttachVolume",
    "Refused",
];

/// Makes a call of this name; whether its answer could be read.
async fn call(aws: &AwsEc2, name: &str) -> bool {
    let (query, ids) = (Query::default(), ["i-1".to_owned()]);
    match name {
        "GetCallerIdentity" => aws.caller().await.is_ok(),
        "DescribeAvailabilityZones" => aws.zones().await.is_ok(),
        "DescribeInstances" => aws.instances(&query).await.is_ok(),
        "DescribeInstanceStatus" => aws.statuses(&query).await.is_ok(),
        "DescribeVolumes" => aws.volumes(&query).await.is_ok(),
        "DescribeImages" => aws.images(&[], &query).await.is_ok(),
        "DescribeSubnets" => aws.subnets(&query).await.is_ok(),
        "DescribeSecurityGroups" => aws.security_groups(&query).await.is_ok(),
        "GetParameter" => aws.parameter("/name").await.is_ok(),
        "DescribeInstanceAttribute" => aws.user_data("i-1").await.is_ok() | aws.protected("i-1").await.is_ok(),
        "RunInstances" => aws.run_instances(&launch()).await.is_ok(),
        "TerminateInstances" => aws.terminate(&ids).await.is_ok(),
        "CreateVolume" => aws.create_volume(&volume()).await.is_ok(),
        "ModifyVolume" => aws.modify_volume("vol-1", &ModifyVolume::default()).await.is_ok(),
        "AttachVolume" => aws.attach("vol-1", "i-1", "/dev/sdf").await.is_ok(),
        "DescribeIamInstanceProfileAssociations" => aws.held_profile("i-1").await.is_ok(),
        // A rehearsal reads refusals.
        _ => aws.rehearse(&Rehearsal::Terminate(ids.to_vec())).await.is_ok(),
    }
}

fn launch() -> RunInstances {
    RunInstances {
        client_token: "token".into(),
        count: 1,
        image: "ami-1".into(),
        instance_type: "t3.small".into(),
        ..RunInstances::default()
    }
}

fn volume() -> CreateVolume {
    CreateVolume {
        client_token: "token".into(),
        zone: "us-east-1a".into(),
        size: Some(1),
        volume_type: "gp3".into(),
        ..CreateVolume::default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The real client before a server whose answers are edits of good ones.
#[derive(Debug)]
pub struct Answers {
    says: Says,
    good: BTreeMap<String, Vec<Vec<u8>>>,
    aws: AwsEc2,
    runtime: tokio::runtime::Runtime,
}

impl Default for Answers {
    fn default() -> Self {
        Self::new()
    }
}

impl Answers {
    /// The client, and the good answers.
    ///
    /// # Panics
    /// Without the repository's corpus.
    pub fn new() -> Self {
        let (says, runtime) = (Says::default(), runtime());
        let aws = runtime.block_on(clients(&says));
        Self { says, good: answers(), aws, runtime }
    }

    /// Hears one answer: which, with which status, and what is edited in it, the bytes say.
    ///
    /// # Panics
    /// Where the client, or our reading of what it says, does.
    pub fn hear(&mut self, script: &[u8]) {
        let (which, script) = script.split_first().unwrap_or((&0, &[]));
        let (how, script) = script.split_first().unwrap_or((&0, &[]));
        let name = CALLS[usize::from(*which) % CALLS.len()];
        let status = match how {
            0..=199 => 200,
            200..=219 => 400,
            220..=229 => 403,
            230..=239 => 500,
            240..=249 => 503,
            250..=252 => 204,
            253 => 304,
            254.. => 413,
        };
        let body = mutant::bytes(&self.good[name], script);
        *self.says.0.lock().unwrap_or_else(PoisonError::into_inner) = Answer { status, body };
        self.runtime.block_on(call(&self.aws, name));
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_fuzz::many;

    use super::*;

    #[test]
    fn no_answer_of_aws_panics() {
        let mut answers = Answers::new();
        many::scripts("no_answer_of_aws_panics", "answers", |script| answers.hear(script));
    }

    #[test]
    fn the_answers_are_good_before_they_are_edited() {
        let (says, answers, runtime) = (Says::default(), answers(), runtime());
        let aws = runtime.block_on(clients(&says));
        assert_eq!(answers.keys().map(String::as_str).collect::<Vec<_>>(), {
            let mut names = CALLS.to_vec();
            names.sort_unstable();
            names
        });
        for (name, bodies) in &answers {
            for body in bodies {
                let status = if name == "Refused" { 400 } else { 200 };
                *says.0.lock().unwrap_or_else(PoisonError::into_inner) = Answer { status, body: body.clone() };
                let read = runtime.block_on(call(&aws, name));
                assert_eq!(read, name != "Refused", "{name}: {}", String::from_utf8_lossy(body));
            }
        }
    }
}
