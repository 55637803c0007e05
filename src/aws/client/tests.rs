//! Real requests through the real connector to a server of three lines on loopback.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use aws_credential_types::Credentials;
use evenkeel_ec2::api::{Ec2Read, Filter, Query};

use super::*;

const KEYS: [&str; 2] = ["AKIDEXAMPLE", "wJalrXUtnFEMI"];

/// Clients as [`connect`] makes them, with keys of no account.
async fn clients(endpoint: String) -> AwsEc2 {
    let keys = Credentials::new(KEYS[0], KEYS[1], None, None, "test");
    let config =
        loader(http()).region(Region::new("eu-west-1")).credentials_provider(keys).endpoint_url(endpoint).load().await;
    AwsEc2::of(&config).expect("the region is set")
}

/// Answers each connection's one request with `answer` and hands over what was asked.
fn serve(answers: Vec<String>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    let (asked, heard) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !complete(&request) {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.extend_from_slice(&buffer[..length]),
                }
            }
            // The test may be over already.
            let _ = asked.send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, heard)
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

fn reply(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

const ONE_INSTANCE: &str = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<requestId>r</requestId><reservationSet><item><reservationId>r-1</reservationId><instancesSet><item>
<instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState>
<amiLaunchIndex>1</amiLaunchIndex><instanceType>t3.small</instanceType><launchTime>2026-11-24T06:00:00.000Z</launchTime>
<placement><availabilityZone>eu-west-1a</availabilityZone><tenancy>default</tenancy></placement>
<clientToken>token</clientToken></item></instancesSet></item></reservationSet><nextToken>more</nextToken>
</DescribeInstancesResponse>"#;

#[tokio::test]
async fn one_method_is_one_request_with_its_filters_and_our_name() {
    let (url, heard) = serve(vec![reply("200 OK", ONE_INSTANCE)]);
    let query = Query {
        filters: vec![Filter::new("tag:evenkeel:stack", "s1")],
        max_results: Some(1000),
        next_token: Some("page2".into()),
        ..Query::default()
    };
    let page = clients(url).await.instances(&query).await.expect("a readable answer");
    assert_eq!(page.items[0].launch_index, 1);
    assert_eq!(page.next_token.as_deref(), Some("more"));

    let asked = heard.recv().expect("a request was made");
    for part in [
        "Action=DescribeInstances",
        "Filter.1.Name=tag%3Aevenkeel%3Astack",
        "Filter.1.Value.1=s1",
        "MaxResults=1000",
        "NextToken=page2",
        concat!("lib/evenkeel/", env!("CARGO_PKG_VERSION")),
        "Credential=AKIDEXAMPLE/",
        "/eu-west-1/ec2/aws4_request",
    ] {
        assert!(asked.contains(part), "{part} is not in:\n{asked}");
    }
    assert!(heard.recv().is_err(), "a second request was made");
}

#[tokio::test]
async fn statuses_are_asked_for_all_instances() {
    let body = "<DescribeInstanceStatusResponse><instanceStatusSet/></DescribeInstanceStatusResponse>";
    let (url, heard) = serve(vec![reply("200 OK", body)]);
    let page = clients(url).await.statuses(&Query::default()).await.expect("a readable answer");
    assert!(page.items.is_empty());
    assert!(heard.recv().expect("a request was made").contains("IncludeAllInstances=true"));
}

#[tokio::test]
async fn a_throttled_call_is_told_and_not_tried_again() {
    let body = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message>\
                </Error></Errors><RequestID>r</RequestID></Response>";
    let busy = reply("503 Service Unavailable", body);
    let (url, heard) = serve(vec![busy.clone(), busy]);
    let refusal = clients(url).await.volumes(&Query::default()).await.expect_err("a refusal");
    assert_eq!(refusal.class, Class::Throttled);
    assert_eq!(refusal.to_string(), "RequestLimitExceeded: DescribeVolumes: Request limit exceeded.");
    assert!(heard.recv().is_ok() && heard.try_recv().is_err(), "the engine decides about a second try");
}

#[tokio::test]
async fn an_answer_cut_off_in_the_middle_is_transient() {
    let whole = reply("200 OK", ONE_INSTANCE);
    let (url, _heard) = serve(vec![whole[..whole.len() / 2].to_owned()]);
    let refusal = clients(url).await.instances(&Query::default()).await.expect_err("half an answer");
    assert_eq!(refusal.class, Class::Transient, "{refusal}");
}

#[tokio::test]
async fn a_closed_port_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
    drop(listener);
    let refusal = clients(url).await.zones().await.expect_err("nobody listens");
    assert_eq!(refusal.class, Class::Transient, "{refusal}");
}

#[tokio::test]
async fn https_really_shakes_hands() {
    // The server answers the handshake in plain text: only a connector that speaks TLS can notice.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("https://{}", listener.local_addr().expect("a bound socket has an address"));
    let (hello, heard) = mpsc::channel();
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut first = [0; 3];
        let _ = stream.read_exact(&mut first);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = hello.send(first);
    });
    let refusal = clients(url).await.zones().await.expect_err("no TLS on the other side");
    let first = heard.recv().expect("a connection was made");
    assert_eq!(first[..2], [0x16, 0x03], "the first record is no TLS handshake");
    assert_eq!(refusal.class, Class::Transient, "{refusal}");
    assert!(refusal.says.contains("InvalidContentType"), "{refusal}");
}

#[tokio::test]
async fn without_a_region_the_sentence_says_where_to_set_one() {
    let refusal = AwsEc2::of(&SdkConfig::builder().build()).expect_err("no region");
    assert!(refusal.says.contains("[aws]"), "{refusal}");
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_refused_at_once() {
    for (url, good) in [
        ("http://127.0.0.1:5000", true),
        ("https://ec2.eu-west-1.amazonaws.com/", true),
        ("127.0.0.1:5000", false),
        ("https://", false),
        ("http://not a url", false),
        ("ftp://host", false),
        ("", false),
    ] {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("r"));
        let made = AwsEc2::of(&config.endpoint_url(url).build());
        assert_eq!(made.is_ok(), good, "{url}: {:?}", made.err());
    }
}

#[tokio::test]
async fn a_role_is_assumed_with_the_keys_found() {
    let body = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>x:evenkeel</AssumedRoleId>
<Arn>arn:aws:sts::123456789012:assumed-role/ops/evenkeel</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"#;
    let zones = "<DescribeAvailabilityZonesResponse><availabilityZoneInfo/></DescribeAvailabilityZonesResponse>";
    let (url, heard) = serve(vec![reply("200 OK", body), reply("200 OK", zones)]);
    let keys = Credentials::new(KEYS[0], KEYS[1], None, None, "test");
    let config =
        loader(http()).region(Region::new("eu-west-1")).credentials_provider(keys).endpoint_url(url).load().await;
    let config = assume(config, "arn:aws:iam::123456789012:role/ops".into()).await;
    AwsEc2::of(&config).expect("the region is set").zones().await.expect("a readable answer");
    let first = heard.recv().expect("the role was asked for");
    assert!(first.contains("Action=AssumeRole") && first.contains("RoleSessionName=evenkeel"), "{first}");
    assert!(heard.recv().expect("then the zones").contains("Credential=ASIAROLE/"));
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_a_matter_of_credentials() {
    let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User may not.</Message>\
                </Error><RequestId>r</RequestId></ErrorResponse>";
    let (url, _heard) = serve(vec![reply("403 Forbidden", body)]);
    let keys = Credentials::new(KEYS[0], KEYS[1], None, None, "test");
    let config =
        loader(http()).region(Region::new("eu-west-1")).credentials_provider(keys).endpoint_url(url).load().await;
    let config = assume(config, "arn:aws:iam::123456789012:role/ops".into()).await;
    let refusal = AwsEc2::of(&config).expect("the region is set").zones().await.expect_err("the role is refused");
    assert_eq!(refusal.class, Class::Credentials, "{refusal}");
    assert!(refusal.says.contains("User may not."), "{refusal}");
}
