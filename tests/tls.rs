//! Both real clients speak TLS in one process: neither takes the other's cryptography away.

use std::fs;

use evenkeel_aws::AwsEc2;
use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::Ec2Read;
use evenkeel_kube::KubeCluster;
use evenkeel_kubernetes::api::ClusterRead;

use crate::kubernetes::server::{Authority, Server, says, tls};

async fn aws(port: u16) -> AwsEc2 {
    let endpoint = Some(format!("https://127.0.0.1:{port}"));
    let region = Some("us-east-1".to_owned());
    let settings = evenkeel_aws::Settings { region, endpoint, ..evenkeel_aws::Settings::default() };
    evenkeel_aws::connect(settings).await.expect("region and endpoint are given")
}

async fn kubernetes(port: u16, authority: &Authority) -> Result<KubeCluster, Failure> {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("config");
    let data = data_encoding::BASE64.encode(authority.certificate.as_bytes());
    let text = format!(
        "current-context: lab\ncontexts: [{{name: lab, context: {{cluster: c}}}}]\nclusters: [{{name: c, cluster: \
         {{server: 'https://127.0.0.1:{port}', certificate-authority-data: {data}}}}}]\n"
    );
    fs::write(&path, text).expect("a kubeconfig");
    evenkeel_kube::connect(evenkeel_kube::Settings { kubeconfig: Some(path), ..Default::default() }).await
}

#[tokio::test]
async fn both_clients_speak_tls_in_one_process() {
    if std::env::var("AWS_ACCESS_KEY_ID").is_err() {
        println!("skipped: tls::both_clients_speak_tls_in_one_process: no AWS_ACCESS_KEY_ID (tests/run sets one)");
        return;
    }
    let authority = Authority::new();
    let acceptor = tls(&authority.sign(&["127.0.0.1"]), None);
    let server = Server::start(Some(acceptor), says("200 OK", r#"{"gitVersion":"v1.37.2"}"#)).await;
    let ec2 = aws(server.port).await;
    for _ in 0..2 {
        let cluster = kubernetes(server.port, &authority).await.expect("a client");
        assert_eq!(cluster.version().await, Ok("v1.37.2".into()));
        // AWS trusts the machine's authorities and not this one: the handshake came as far as its certificate.
        let refused = ec2.zones().await.expect_err("nobody the machine trusts signed it");
        assert!(refused.says.contains("UnknownIssuer"), "{refused}");
    }
}
