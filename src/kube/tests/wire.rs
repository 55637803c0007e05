//! The whole client over real sockets: TLS, client certificates, proxies, programs that give credentials, deadlines.

#[path = "wire/server.rs"]
mod server;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_kube::{KubeCluster, Settings, connect};
use evenkeel_kubernetes::api::ClusterRead;
use server::{Authority, Manner, Server, says, tls};
use tempfile::TempDir;

const VERSION: &str = r#"{"gitVersion":"v1.37.2"}"#;

/// A kubeconfig of one cluster and one user, in YAML's flow style.
async fn connected(folder: &Path, cluster: &str, user: &str) -> Result<KubeCluster, Failure> {
    let path = folder.join("config");
    let text = format!(
        "current-context: lab\ncontexts: [{{name: lab, context: {{cluster: c, user: u, namespace: shop}}}}]\n\
         clusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
    );
    fs::write(&path, text).expect("a kubeconfig");
    connect(Settings { kubeconfig: Some(path), ..Settings::default() }).await
}

/// Asks a server that this kubeconfig names for its version.
async fn asked(cluster: &str, user: &str) -> Result<String, Failure> {
    let folder = TempDir::new().expect("a folder");
    connected(folder.path(), cluster, user).await?.version().await
}

fn base64(text: &str) -> String {
    data_encoding::BASE64.encode(text.as_bytes())
}

/// The cluster's half of a kubeconfig: a server on this machine, signed by this authority.
fn signed(port: u16, authority: &Authority) -> String {
    let data = base64(&authority.certificate);
    format!("server: 'https://127.0.0.1:{port}/k8s', certificate-authority-data: {data}")
}

#[tokio::test]
async fn a_token_travels_over_tls_and_the_path_of_the_server_is_kept() {
    let authority = Authority::new();
    let server = Server::start(Some(tls(&authority.sign(&["127.0.0.1"]), None)), says("200 OK", VERSION)).await;
    assert_eq!(asked(&signed(server.port, &authority), "token: t0p").await, Ok("v1.37.2".into()));
    let seen = server.seen().remove(0).to_lowercase();
    assert!(seen.starts_with("get /k8s/version http/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nauthorization: bearer t0p\r\n"), "{seen}");
    assert!(seen.contains(concat!("\r\nuser-agent: evenkeel/", env!("CARGO_PKG_VERSION"), "\r\n")), "{seen}");
}

#[tokio::test]
async fn a_token_file_is_read() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("token"), "fr0m-f1le").expect("a file");
    let server = Server::start(None, says("200 OK", VERSION)).await;
    let cluster = format!("server: 'http://127.0.0.1:{}'", server.port);
    // From the kubeconfig's own folder.
    let cluster = connected(folder.path(), &cluster, "tokenFile: token").await.expect("a client");
    assert_eq!((cluster.place(), cluster.namespace()), ("lab".to_owned(), "shop"));
    cluster.version().await.expect("a version");
    assert!(server.seen()[0].to_lowercase().contains("\r\nauthorization: bearer fr0m-f1le\r\n"));
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused_and_told_why() {
    let (authority, other) = (Authority::new(), Authority::new());
    let here = ["127.0.0.1"];
    let table = [
        (authority.sign(&here), &other, "did not sign its certificate"),
        (authority.sign(&["api.example"]), &authority, "is for another name"),
        (authority.signed(&here, (2000, 2001)), &authority, "is this machine's clock right?"),
    ];
    for (pair, trusted, words) in table {
        let server = Server::start(Some(tls(&pair, None)), says("200 OK", VERSION)).await;
        let refused = asked(&signed(server.port, trusted), "token: t0p").await.expect_err(words);
        assert_eq!(refused.class, Class::Invalid, "{refused}");
        assert!(refused.says.contains(words), "{refused} says not: {words}");
        assert_eq!(server.seen(), Vec::<String>::new(), "the token is not sent");
    }
}

#[tokio::test]
async fn another_name_or_no_check_at_all_can_be_asked_for() {
    let authority = Authority::new();
    let server = Server::start(Some(tls(&authority.sign(&["api.example"]), None)), says("200 OK", VERSION)).await;
    let named = format!("{}, tls-server-name: api.example", signed(server.port, &authority));
    assert_eq!(asked(&named, "").await, Ok("v1.37.2".into()));
    let unchecked = format!("server: 'https://127.0.0.1:{}', insecure-skip-tls-verify: true", server.port);
    assert_eq!(asked(&unchecked, "").await, Ok("v1.37.2".into()));
}

#[tokio::test]
async fn a_client_certificate_signs_in() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let acceptor = tls(&authority.sign(&["127.0.0.1"]), Some(&clients));
    let server = Server::start(Some(acceptor), says("200 OK", VERSION)).await;
    let user = |from: &Authority| {
        let pair = from.sign(&["ada"]);
        format!("client-certificate-data: {}, client-key-data: {}", base64(&pair.certificate), base64(&pair.key))
    };
    let cluster = signed(server.port, &authority);
    assert_eq!(asked(&cluster, &user(&clients)).await, Ok("v1.37.2".into()));
    for (user, who) in [(user(&authority), "a stranger's"), (String::new(), "none")] {
        let refused = asked(&cluster, &user).await.expect_err(who);
        assert_eq!(refused.class, Class::Credentials, "{who}: {refused}");
        assert!(refused.says.contains("does not accept the client certificate"), "{refused}");
    }
    let refused = asked(&cluster, "client-certificate: gone.pem, client-key: gone.pem").await.expect_err("no file");
    assert_eq!(refused.class, Class::Invalid);
    assert!(refused.says.contains("gone.pem"), "{refused}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_so() {
    let server = Server::start(None, Manner::Greets("SSH-2.0-OpenSSH_9.2\r\n")).await;
    let refused = asked(&format!("server: 'https://127.0.0.1:{}'", server.port), "").await.expect_err("no TLS");
    assert_eq!(refused.class, Class::Invalid, "{refused}");
    assert!(refused.says.contains("does not speak TLS"), "{refused}");
    let server = Server::start(Some(tls(&Authority::new().sign(&["127.0.0.1"]), None)), says("200 OK", "")).await;
    let refused = asked(&format!("server: 'http://127.0.0.1:{}'", server.port), "").await.expect_err("only TLS");
    assert_eq!(refused.class, Class::Transient, "{refused}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again_later() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a port").port();
    let refused = asked(&format!("server: 'https://127.0.0.1:{port}'"), "").await.expect_err("nobody listens");
    assert_eq!(refused.class, Class::Transient);
    assert!(refused.says.contains("Connection refused") && refused.says.contains(&port.to_string()), "{refused}");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_not_known() {
    for cut in
        ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"gitV", "SSH-2.0-x\r\n"]
    {
        let server = Server::start(None, Manner::Says(cut.into())).await;
        let lost = asked(&format!("server: 'http://127.0.0.1:{}'", server.port), "").await.expect_err(cut);
        assert_eq!(lost.class, Class::Transient, "{cut}: {lost}");
        assert_eq!(server.seen().len(), 1, "it is not sent again");
    }
}

/// The engine alone tries again: kube's own retries would hide requests from its budget.
#[tokio::test]
async fn nothing_is_tried_again_in_here() {
    for (status, class) in [
        ("429 Too Many Requests", Class::Throttled),
        ("503 Service Unavailable", Class::Transient),
        ("504 Gateway Timeout", Class::Transient),
    ] {
        let server = Server::start(None, says(status, "busy")).await;
        let refused = asked(&format!("server: 'http://127.0.0.1:{}'", server.port), "").await.expect_err(status);
        assert_eq!((refused.class, server.seen().len()), (class, 1), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::start(None, Manner::Sleeps).await;
    let began = tokio::time::Instant::now();
    let late = asked(&format!("server: 'http://127.0.0.1:{}'", server.port), "").await.expect_err("no answer");
    assert_eq!(late.class, Class::Transient, "{late}");
    let waited = began.elapsed().as_secs();
    assert!((60..=120).contains(&waited), "longer than the server's own 60 s, and not for ever: {waited} s");
}

#[tokio::test]
async fn a_proxy_carries_what_it_cannot_read() {
    let authority = Authority::new();
    let server = Server::start(Some(tls(&authority.sign(&["127.0.0.1"]), None)), says("200 OK", VERSION)).await;
    let proxy = Server::start(None, Manner::Carries(server.port)).await;
    let own = format!("proxy-url: 'http://ada:s%40t@127.0.0.1:{}'", proxy.port);
    let cluster = format!("{}, {own}", signed(server.port, &authority));
    assert_eq!(asked(&cluster, "token: t0p").await, Ok("v1.37.2".into()));
    let seen = proxy.seen().remove(0);
    assert!(seen.starts_with(&format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\n", server.port)), "{seen}");
    assert!(seen.contains(&format!("Basic {}", base64("ada:s@t"))), "{seen}");
    assert!(!seen.contains("t0p"), "{seen}");

    let closed = Server::start(None, says("407 Proxy Authentication Required", "")).await;
    let cluster = format!("{}, proxy-url: 'http://ada:s3t@127.0.0.1:{}'", signed(server.port, &authority), closed.port);
    let refused = asked(&cluster, "").await.expect_err("the proxy refuses");
    assert!(refused.says.contains("proxy auth") && !refused.says.contains("s3t"), "{refused}");
}

/// A program of this script, and the user's half of a kubeconfig that names it.
fn program(folder: &Path, script: &str) -> String {
    let path = folder.join("sign-in");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it may run");
    "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./sign-in, interactiveMode: Never, installHint: ask \
     Ada}"
        .to_owned()
}

#[tokio::test]
async fn a_program_gives_the_token_and_runs_once() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start(None, says("200 OK", VERSION)).await;
    let script = format!(
        "echo run >> {}\necho '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\
         \"status\":{{\"token\":\"fr0m-pr0gram\",\"expirationTimestamp\":\"2099-01-01T00:00:00Z\"}}}}'",
        folder.path().join("runs").display()
    );
    let cluster = format!("server: 'http://127.0.0.1:{}'", server.port);
    let cluster = connected(folder.path(), &cluster, &program(folder.path(), &script)).await.expect("a client");
    for _ in 0..3 {
        cluster.version().await.expect("a version");
    }
    let seen = server.seen();
    assert!(
        seen.iter().all(|one| one.to_lowercase().contains("\r\nauthorization: bearer fr0m-pr0gram\r\n")),
        "{seen:?}"
    );
    assert_eq!(seen.len(), 3);
    assert_eq!(fs::read_to_string(folder.path().join("runs")).expect("it ran"), "run\n");
}

#[tokio::test]
async fn a_program_that_is_missing_fails_or_says_nonsense_is_named() {
    let table = [
        ("exit 3", "`/", "failed with exit status: 3: it said nothing"),
        (
            "echo s3cret; echo 'Token has expired' >&2; exit 255",
            "sign-in`",
            "exit status: 255: Token has expired; sign in",
        ),
        ("echo '{\"token\": \"s3cret\"}}'", "sign-in`", "ExecCredential"),
        ("echo '{\"kind\":\"ExecCredential\"}'", "no usable credentials", "exec-plugin"),
    ];
    for (script, who, words) in table {
        let folder = TempDir::new().expect("a folder");
        let user = program(folder.path(), script);
        let refused = connected(folder.path(), "server: 'http://127.0.0.1:1'", &user).await.expect_err(script);
        assert_eq!(refused.class, Class::Credentials, "{refused}");
        assert!(refused.says.contains(who) && refused.says.contains(words), "{refused} says not: {words}");
        assert!(!refused.says.contains("s3cret"), "{refused}");
    }
    let folder = TempDir::new().expect("a folder");
    let user = program(folder.path(), "");
    fs::remove_file(folder.path().join("sign-in")).expect("it was there");
    let refused = connected(folder.path(), "server: 'http://127.0.0.1:1'", &user).await.expect_err("no program");
    assert_eq!(refused.class, Class::Credentials);
    assert!(refused.says.contains("no such program here: install it (the kubeconfig says: ask Ada)"), "{refused}");
}
