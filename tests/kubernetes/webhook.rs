//! An admission webhook of the tests' own, behind TLS: it changes what it is asked about, as those of real clusters do.

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::lab::Cluster;
use super::server::{Authority, tls};

/// The label of objects that the webhook is asked about.
const LABEL: &str = "conform.example.org/webhook";

/// Has a cluster ask a new webhook about what bears its label, and waits until it does.
pub fn install(cluster: &Cluster) {
    let authority = Authority::new();
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "meddler" },
        "webhooks": [{
            "name": "meddler.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {
                "url": format!("https://127.0.0.1:{}/", listen(&authority)),
                "caBundle": BASE64.encode(authority.certificate.as_bytes()),
            },
            "objectSelector": { "matchLabels": { LABEL: "yes" } },
            "rules": [{ "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"] }],
        }],
    });
    cluster.kubectl_with("create -f -", &configuration.to_string());
    // The server takes a moment to hear of it.
    let asked =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "asked", "labels": { LABEL: "yes" } } });
    let heard = (0..1_000)
        .any(|_| cluster.kubectl_with("create --dry-run=server -o yaml -f -", &asked.to_string()).contains("meddled"));
    assert!(heard, "nobody asks the webhook");
}

/// Answers on a thread of its own, as long as the test process lives. Gives the port.
fn listen(authority: &Authority) -> u16 {
    let acceptor = tls(&authority.sign(&["127.0.0.1"]), None);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            tell.send(listener.local_addr().expect("an address").port()).expect("the test waits for it");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let acceptor = acceptor.clone();
                // A caller that hangs up is not served.
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let answer = review(&body(&mut stream).await?);
                    let length = answer.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                    stream.write_all(format!("{head}{answer}").as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
    });
    told.recv().expect("it listens")
}

/// The body of one request.
async fn body(stream: &mut (impl AsyncRead + Unpin)) -> Option<Value> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

/// The answer to an AdmissionReview.
fn review(asked: &Value) -> String {
    let patch = BASE64.encode(Value::from(meddled(&asked["request"]["object"])).to_string().as_bytes());
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": { "uid": asked["request"]["uid"], "allowed": true, "patchType": "JSONPatch", "patch": patch },
    })
    .to_string()
}

/// What becomes of an object: an annotation more, and by its kind a value of the file changed, an entry put beside, an
/// item put into a list that is one piece, a container put beside the others.
fn meddled(object: &Value) -> Vec<Value> {
    let put = |path: &str, value: Value| json!({ "op": "add", "path": path, "value": value });
    let mut all = Vec::new();
    if object["metadata"]["annotations"].is_null() {
        all.push(put("/metadata/annotations", json!({})));
    }
    all.push(put("/metadata/annotations/meddled", json!("yes")));
    if object["data"].is_object() && object["kind"] == "ConfigMap" {
        all.push(put("/data/beside", json!("theirs")));
        if object["data"]["mode"].is_string() {
            all.push(put("/data/mode", json!("theirs")));
        }
    }
    if object["kind"] == "Deployment" {
        let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        if !containers.is_some_and(|all| all.iter().any(|c| c["name"] == "sidecar")) {
            all.push(put(
                "/spec/template/spec/containers/-",
                json!({ "name": "sidecar", "image": "registry.example/s:1" }),
            ));
        }
        all.push(put("/spec/template/spec/containers/0/image", json!("mirror.example/a@sha256:0123")));
        all.push(put("/spec/template/spec/tolerations", json!([{ "key": "theirs", "operator": "Exists" }])));
        all.push(put("/spec/replicas", json!(0)));
    }
    all
}
