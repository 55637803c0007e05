//! `health`: how Kubernetes finds out whether a pod has started, may be sent work, and is alive.

use serde_json::{Value as Json, json};

use super::super::super::conform::shown;
use super::super::super::format::Format;
use super::super::super::keys::{Block, Key, Shape, key};
use super::super::super::problems::Problems;
use super::super::super::reader::Reader;
use super::super::super::tree::Node;
use super::super::forms::Form;
use super::Port;

const HTTP: Key = key("http", Shape::Text(Format::Kube(Form::MountPath)), "A path that must answer with 200 to 399.")
    .default("none")
    .example("\"/healthz\"");
const TCP: Key = key("tcp", Shape::Bool, "Whether the port must take a connection.").default("false").example("true");
const GRPC: Key =
    key("grpc", Shape::Bool, "Whether the port must answer gRPC's health check.").default("false").example("true");
const EXEC: Key =
    key("exec", Shape::List(&Shape::Text(Format::Script), 1), "A command in the container that must end with 0.")
        .default("none")
        .example("[\"/bin/healthy\"]");
const PORT: Key = key(
    "port",
    Shape::Either(&[Shape::Text(Format::Kube(Form::PortName)), Shape::Int(1, 65_535)]),
    "The port to ask, by its name or number.",
)
.default("the first one")
.example("8090");
const EVERY: Key = key("every", Shape::Time, "How often it is asked.")
    .default("\"10s\"; \"5s\" until it has started")
    .example("\"15s\"")
    .unit("time");
const TIMEOUT: Key =
    key("timeout", Shape::Time, "How long an answer may take.").default("\"3s\"").example("\"5s\"").unit("time");
const FAILURES: Key = key("failures", Shape::Int(1, 10_000), "How many wrong answers in a row count.")
    .default("3 for readiness, 6 for liveness, 60 until it has started")
    .example("5");
const DELAY: Key = key("delay", Shape::Time, "How long after the start it is asked first.")
    .default("\"0s\"")
    .example("\"15s\"")
    .unit("time");

/// `health` as a table.
pub static HEALTH: Block = Block {
    title: "health",
    about: "What is asked; one of the first four. The same question serves three times: until it is answered once, the pod \
            is starting; while it is not answered, the pod gets no work; when it stays unanswered, it is started anew.",
    keys: &[
        HTTP,
        TCP,
        GRPC,
        EXEC,
        PORT,
        EVERY,
        TIMEOUT,
        FAILURES,
        DELAY,
        key(
            "readiness",
            Shape::Either(&[Shape::Bool, Shape::Table(&PROBE)]),
            "Whether it may be sent work: over what stands beside, or false for never asking.",
        )
        .default("as stands beside")
        .example("{ http = \"/ready\" }"),
        key("liveness", Shape::Either(&[Shape::Bool, Shape::Table(&PROBE)]), "Whether it must be started anew.")
            .default("as stands beside")
            .example("{ failures = 10 }"),
        key(
            "startup",
            Shape::Either(&[Shape::Bool, Shape::Table(&PROBE)]),
            "Whether it has started; until then the others wait.",
        )
        .default("as stands beside")
        .example("{ failures = 120 }"),
    ],
    others: None,
    later: &[],
};

/// One of the three.
pub static PROBE: Block = Block {
    title: "health.<probe>",
    about: "One of the three questions. What is not said here is as in `health`.",
    keys: &[HTTP, TCP, GRPC, EXEC, PORT, EVERY, TIMEOUT, FAILURES, DELAY],
    others: None,
    later: &[],
};

/// What is asked, and where.
const QUESTIONS: [&str; 4] = ["http", "tcp", "grpc", "exec"];

/// The container's probes, by the name that the pod has for them.
pub fn read(r: &Reader<'_>, path: &str, ports: &[Port], problems: &mut Problems<'_>) -> Vec<(&'static str, Json)> {
    let Some(node) = r.node("health") else { return Vec::new() };
    let path = format!("{path}.health");
    let base = r.table("health");
    let own_questions = ["readiness", "liveness", "startup"].iter().filter_map(|word| {
        let own = base.as_ref()?.node(word)?;
        Reader::new(own, &PROBE).filter(|r| !asked(r).is_empty())
    });
    if let Some(base) = base.as_ref().filter(|b| asked(b).is_empty())
        && own_questions.count() == 0
    {
        let says = format!("`{path}` asks nothing");
        let way_out = "add http = \"/healthz\", tcp = true, grpc = true, or exec = [\"…\"]";
        problems.error("E1203", base.here(), says, way_out);
        return Vec::new();
    }
    let mut all = Vec::new();
    // Failures in a row that count, and how often is asked.
    for (word, name, failures, every) in [
        ("readiness", "readinessProbe", 3, 10),
        ("liveness", "livenessProbe", 6, 10),
        ("startup", "startupProbe", 60, 5),
    ] {
        let own = base.as_ref().and_then(|b| b.node(word));
        if own.is_some() && base.as_ref().and_then(|b| b.bool(word)) == Some(false) {
            continue;
        }
        let own = own.and_then(|n| Reader::new(n, &PROBE));
        let Some(mut probe) = question(node, base.as_ref(), own.as_ref(), &path, word, ports, problems) else {
            continue;
        };
        let of = |key: &str| {
            own.as_ref().and_then(|o| o.seconds(key)).or_else(|| base.as_ref().and_then(|b| b.seconds(key)))
        };
        // What is said for all three is not said for the start, which has its own patience.
        let shared = base.as_ref().filter(|_| word != "startup");
        let count = own.as_ref().and_then(|o| o.int("failures")).or_else(|| shared.and_then(|b| b.int("failures")));
        let period = own.as_ref().and_then(|o| o.seconds("every")).or_else(|| shared.and_then(|b| b.seconds("every")));
        probe["periodSeconds"] = period.unwrap_or(every).max(1).into();
        probe["timeoutSeconds"] = of("timeout").unwrap_or(3).max(1).into();
        probe["failureThreshold"] = count.unwrap_or(failures).into();
        probe["successThreshold"] = 1.into();
        if let Some(delay) = of("delay").filter(|d| *d > 0) {
            probe["initialDelaySeconds"] = delay.into();
        }
        all.push((name, probe));
    }
    all
}

fn asked(r: &Reader<'_>) -> Vec<&'static str> {
    QUESTIONS.into_iter().filter(|q| r.has(q) && r.bool(q) != Some(false)).collect()
}

/// The question itself. Of several the probe's own wins; of its own there may be one.
fn question(
    node: &Node,
    base: Option<&Reader<'_>>,
    own: Option<&Reader<'_>>,
    path: &str,
    word: &str,
    ports: &[Port],
    problems: &mut Problems<'_>,
) -> Option<Json> {
    let by_path = node.text().map(str::to_owned);
    let (from, which) = match (own, base) {
        (Some(own), _) if !asked(own).is_empty() => (Some(own), asked(own)),
        (_, Some(base)) => (Some(base), asked(base)),
        (_, None) => (None, vec!["http"]),
    };
    let which = match which.as_slice() {
        [one] => *one,
        // Where only another probe asks something, this one asks nothing.
        [] => {
            if let Some(own) = own {
                let says = format!("`{path}.{word}` does not say what is asked");
                let way_out = "add http = \"/healthz\", tcp = true, grpc = true, or exec = [\"…\"]";
                problems.error("E1203", own.here(), says, way_out);
            }
            return None;
        }
        [first, second, ..] => {
            let at = from.map_or(node.at, |f| f.node(second).map_or(node.at, |n| n.key));
            let says = format!("`{path}` has both `{first}` and `{second}`");
            problems.error("E1203", at, says, "keep one of them");
            return None;
        }
    };
    if which == "exec" {
        return Some(json!({ "exec": { "command": from?.texts("exec") } }));
    }
    let port = port(node, base, own, path, ports, problems)?;
    Some(match which {
        "tcp" => json!({ "tcpSocket": { "port": port } }),
        "grpc" => json!({ "grpc": { "port": number(&port, ports), "service": "" } }),
        _ => {
            let asks = by_path.or_else(|| from?.text("http"))?;
            json!({ "httpGet": { "path": asks, "port": port, "scheme": "HTTP" } })
        }
    })
}

/// gRPC's probe takes numbers only.
fn number(port: &Json, ports: &[Port]) -> Json {
    let named = port.as_str().and_then(|name| ports.iter().find(|p| p.name == name));
    named.map_or_else(|| port.clone(), |p| p.number.into())
}

fn port(
    node: &Node,
    base: Option<&Reader<'_>>,
    own: Option<&Reader<'_>>,
    path: &str,
    ports: &[Port],
    problems: &mut Problems<'_>,
) -> Option<Json> {
    let said = own.filter(|o| o.has("port")).or_else(|| base.filter(|b| b.has("port")));
    let Some(r) = said else {
        return match ports.first() {
            Some(first) => Some(first.name.as_str().into()),
            None => {
                let says = format!("`{path}` asks a port, and the workload has none");
                problems.error("E1204", node.key, says, "add `port = 8080` to the workload, or `port` here");
                None
            }
        };
    };
    if let Some(number) = r.int("port") {
        return Some(number.into());
    }
    let name = r.text("port")?;
    if !ports.iter().any(|p| p.name == name) {
        let names: Vec<_> = ports.iter().map(|p| p.name.as_str()).collect();
        let says = format!("`{path}` names the port {}, which is not there", shown(&name));
        let way_out = if names.is_empty() {
            "write its number".to_owned()
        } else {
            format!("its ports are {}", names.join(", "))
        };
        problems.error("E1204", r.at("port"), says, way_out);
        return None;
    }
    Some(name.into())
}
