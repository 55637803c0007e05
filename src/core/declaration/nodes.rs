//! `nodes` of a group of machines: which cluster they join, with which labels and taints, and how.
//!
//! Labels and taints are given to the kubelet at join, so they are part of the boot script: another one is another
//! machine. It refuses what a kubelet may not say of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::conform::shown;
use super::format::Format;
use super::keys::{Block, Others, Shape, key, nearest};
use super::kubernetes::forms::Form;
use super::problems::Problems;
use super::reader::Reader;
use super::tree::{Node, Val};
use crate::desired::{Cluster, NodeGroup, Taint, UserData, cluster_scope};

/// `nodes` as a table.
pub static NODES: Block = Block {
    title: "nodes",
    about: "Which cluster the machines are nodes of, and how they join it. As a plain text it is the cluster.",
    keys: &[
        key("cluster", Shape::Text(Format::Name), "The alias of the [kubernetes.<alias>]; `kubernetes` is [kubernetes].")
            .default("\"kubernetes\"")
            .example("\"west\""),
        key("labels", Shape::Table(&LABELS), "Labels that a node joins with. Another one means another machine.")
            .default("none")
            .example("{ pool = \"web\" }"),
        key("taints", Shape::List(&Shape::Table(&TAINT), 0), "Taints that a node joins with. Another one means another machine.")
            .default("none")
            .example("[{ key = \"dedicated\", value = \"web\", effect = \"no-schedule\" }]"),
        key(
            "join",
            Shape::Word(&["kubeadm", "eks"]),
            "A ready boot script that joins the cluster, in place of `user-data`.",
        )
        .default("none: `user-data` joins, with `cluster.…` and `node.…` at hand")
        .example("\"kubeadm\""),
        key("endpoint", Shape::Text(Format::Any), "The API server: `host:port` for kubeadm, a URL for EKS.")
            .default("required by `join`")
            .example("\"10.0.0.10:6443\""),
        key(
            "ca",
            Shape::Text(Format::Any),
            "How a node knows the API server: for kubeadm the hash of its CA's key (`sha256:…`), for EKS the CA in base64.",
        )
        .default("required by `join`")
        .example("\"sha256:1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef\""),
        key(
            "token",
            Shape::Either(&[Shape::Text(Format::Any), Shape::Table(&TOKEN)]),
            "kubeadm's bootstrap token. As a text it stands in the boot script, and a new one means new machines; from SSM \
             it does not.",
        )
        .default("required by `join = \"kubeadm\"`")
        .example("{ ssm = \"/shop/join-token\" }"),
        key("name", Shape::Text(Format::Any), "The cluster's name in EKS.")
            .default("required by `join = \"eks\"`")
            .example("\"shop\""),
        key("cidr", Shape::Text(Format::Any), "The cluster's service addresses in EKS.")
            .default("required by `join = \"eks\"`")
            .example("\"10.100.0.0/16\""),
    ],
    others: None,
    later: &[],
};

/// `labels`.
pub static LABELS: Block = Block {
    title: "labels",
    about: "Label and value.",
    keys: &[],
    others: Some(Others {
        name: "<label>",
        format: Format::Kube(Form::LabelKey),
        shape: Shape::Text(Format::Kube(Form::LabelValue)),
        about: "The label's value.",
    }),
    later: &[],
};

/// `taints`.
pub static TAINT: Block = Block {
    title: "taints",
    about: "A taint keeps pods away that do not tolerate it.",
    keys: &[
        key("key", Shape::Text(Format::Kube(Form::LabelKey)), "Its key.").required().example("\"dedicated\""),
        key("value", Shape::Text(Format::Kube(Form::LabelValue)), "Its value.").default("none").example("\"web\""),
        key("effect", Shape::Word(&["no-schedule", "prefer-no-schedule", "no-execute"]), "What it does to pods.")
            .default("\"no-schedule\"")
            .example("\"no-execute\""),
    ],
    others: None,
    later: &[],
};

/// `token` as a table.
pub static TOKEN: Block = Block {
    title: "token",
    about: "Where a machine fetches the token when it boots, with the rights of its instance profile.",
    keys: &[key("ssm", Shape::Text(Format::Parameter), "An SSM parameter.").required().example("\"/shop/join-token\"")],
    others: None,
    later: &[],
};

const KUBEADM: &str = include_str!("../../../templates/nodes/kubeadm.sh.j2");
const EKS: &str = include_str!("../../../templates/nodes/eks.mime.j2");

/// What the group's boot script is made of.
pub struct Joining {
    /// The group's nodes.
    pub nodes: NodeGroup,
    /// `cluster` and `node` for templates.
    pub vars: [(&'static str, Json); 2],
    /// The ready boot script that is asked for.
    script: Option<(&'static str, &'static str)>,
}

impl Joining {
    /// The ready boot script.
    pub fn user_data(&self, vars: &Json) -> Option<UserData> {
        let (name, template) = self.script?;
        let file = format!("the boot script of `join = \"{name}\"`");
        Some(UserData { template: template.to_owned(), vars: vars.clone(), is_template: true, file })
    }
}

/// Reads `nodes` of the group at `path`.
pub fn read(
    r: &Reader<'_>,
    path: &str,
    clusters: &BTreeMap<String, Cluster>,
    problems: &mut Problems<'_>,
) -> Option<Joining> {
    let node = r.node("nodes")?;
    let table = r.table("nodes");
    let text = |key: &str| table.as_ref().and_then(|t| t.text(key));
    let named = node.text().map(str::to_owned).or_else(|| text("cluster"));
    let at = node.get("cluster").map_or(node.at, |n| n.at);
    let scope = scope(named.as_deref().unwrap_or(PLAIN), at, clusters, problems);
    let labels = labels(table.as_ref(), problems);
    let taints = taints(table.as_ref(), path, problems);
    let join = text("join");
    let token = text("token");
    let token_ssm = table.as_ref().and_then(|t| t.table("token")).and_then(|t| t.text("ssm"));
    if let (Some(t), Some(join)) = (&table, &join) {
        check(t, path, join, token.is_some() || token_ssm.is_some(), problems);
        if r.has("user-data") {
            let says = format!("`{path}` has both `user-data` and `nodes.join`");
            problems.error("E0302", r.at("user-data"), says, "keep one of the two; a script of your own can join too");
        }
    }
    let own = |key: &str| Json::from(text(key).unwrap_or_default());
    let cluster = json!({
        "endpoint": own("endpoint"), "ca": own("ca"), "name": own("name"), "cidr": own("cidr"),
        "token": token.unwrap_or_default(), "token_ssm": token_ssm.unwrap_or_default(),
    });
    let vars = [("cluster", cluster), ("node", facts(&labels, &taints))];
    let script = match join.as_deref() {
        Some("kubeadm") => Some(("kubeadm", KUBEADM)),
        Some("eks") => Some(("eks", EKS)),
        Some(_) | None => None,
    };
    let tag = text("name").filter(|_| script.is_some_and(|(name, _)| name == "eks"));
    Some(Joining { nodes: NodeGroup { scope, labels, taints, tag }, vars, script })
}

/// The name of the plain `[kubernetes]`.
const PLAIN: &str = "kubernetes";

fn scope(
    alias: &str,
    at: super::tree::At,
    clusters: &BTreeMap<String, Cluster>,
    problems: &mut Problems<'_>,
) -> String {
    let named = cluster_scope(alias);
    if alias == PLAIN || clusters.contains_key(&named) {
        return if alias == PLAIN { cluster_scope("") } else { named };
    }
    let known = clusters.keys().filter_map(|k| k.strip_prefix("kubernetes:")).filter(|a| !a.is_empty());
    let says = format!("there is no [kubernetes.{}]", alias.escape_debug());
    match nearest(alias, known.chain([PLAIN])) {
        Some(near) => {
            let problem = problems.error("E1001", at, says, format!("write \"{near}\""));
            problem.label(format!("did you mean \"{near}\"?")).fix(at, format!("\"{near}\""));
        }
        None => {
            let way_out = format!("add a table [kubernetes.{}], or write \"{PLAIN}\"", alias.escape_debug());
            problems.error("E1001", at, says, way_out);
        }
    }
    cluster_scope("")
}

/// What templates have at hand as `node`.
fn facts(labels: &BTreeMap<String, String>, taints: &[Taint]) -> Json {
    let list: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let one = |t: &Taint| format!("{}={}:{}", t.key, t.value, t.effect);
    let all: Vec<Json> = taints.iter().map(|t| json!({ "key": t.key, "value": t.value, "effect": t.effect })).collect();
    json!({
        "labels": labels,
        "label_list": list.join(","),
        "taints": all,
        "taint_list": taints.iter().map(one).collect::<Vec<_>>().join(","),
        "taint_json": Json::from(all.clone()).to_string(),
    })
}

fn labels(table: Option<&Reader<'_>>, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (label, node) in table.and_then(|t| t.table("labels")).iter().flat_map(Reader::others) {
        if !may_say(label) {
            problems.error(
                "E0507",
                node.key,
                format!("a node may not give itself the label {}", shown(label)),
                "use a domain of your own, or node.kubernetes.io/…; who may, sets this one with `kubectl label`",
            );
        }
        if let Val::Text(value) = &node.val {
            all.insert(label.to_owned(), value.clone());
        }
    }
    all
}

/// Whether a kubelet may give its node this label (the kubelet's own rule for `--node-labels`).
fn may_say(label: &str) -> bool {
    const KNOWN: &[&str] = &[
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
    ];
    let Some((domain, _)) = label.split_once('/') else { return true };
    let within = |parent: &str| domain == parent || domain.ends_with(&format!(".{parent}"));
    let reserved = within("kubernetes.io") || within("k8s.io");
    !reserved || within("kubelet.kubernetes.io") || within("node.kubernetes.io") || KNOWN.contains(&label)
}

fn taints(table: Option<&Reader<'_>>, path: &str, problems: &mut Problems<'_>) -> Vec<Taint> {
    let mut all: Vec<Taint> = Vec::new();
    let mut seen = BTreeSet::new();
    for t in table.map(|t| t.tables("taints")).unwrap_or_default() {
        let effect = match t.text("effect").as_deref() {
            Some("prefer-no-schedule") => "PreferNoSchedule",
            Some("no-execute") => "NoExecute",
            Some(_) | None => "NoSchedule",
        };
        let Some(key) = t.text("key") else { continue };
        if !seen.insert((key.clone(), effect)) {
            let says = format!("two taints of `{path}.nodes` are {} with one effect", shown(&key));
            problems.error("E0507", t.at("key"), says, "a node has one value for each key and effect: keep one");
        }
        all.push(Taint { key, value: t.text("value").unwrap_or_default(), effect: effect.to_owned() });
    }
    all
}

/// Whether all is there that the ready script needs, and fits into it.
fn check(t: &Reader<'_>, path: &str, join: &str, token: bool, problems: &mut Problems<'_>) {
    let (needs, idle): (&[&str], &[&str]) = match join {
        "kubeadm" => (&["endpoint", "ca", "token"], &["name", "cidr"]),
        "eks" => (&["endpoint", "ca", "name", "cidr"], &["token"]),
        _ => return,
    };
    let missing: Vec<String> = needs
        .iter()
        .filter(|k| if **k == "token" { !token && !t.has("token") } else { !t.has(k) })
        .map(|k| format!("`{k}`"))
        .collect();
    if !missing.is_empty() {
        let says = format!("`{path}.nodes` joins by {join} and lacks {}", missing.join(", "));
        problems.error("E0104", t.at("join"), says, format!("add it; `{join}` cannot join a cluster without"));
    }
    for k in idle.iter().filter(|k| t.has(k)) {
        let says = format!("`{k}` says nothing to `join = \"{join}\"`");
        problems.error("E0507", t.at(k), says, format!("take `{k}` away, or join another way"));
    }
    let wrong = |key: &str| {
        let text = t.text(key)?;
        let must = match (join, key) {
            ("kubeadm", "endpoint") if !is_host_port(&text) => "a host and a port: \"10.0.0.10:6443\"",
            ("kubeadm", "ca") if !is_hash(&text) => {
                "the hash that `kubeadm token create --print-join-command` shows: \"sha256:…\""
            }
            ("kubeadm", "token") if !is_token(&text) => "a bootstrap token: six characters, a dot, sixteen characters",
            ("eks", "endpoint") if Format::Url.check(&text).is_err() => "a URL: \"https://….eks.amazonaws.com\"",
            ("eks", "ca") if !is_base64(&text) => "the CA in base64, as `aws eks describe-cluster` shows it",
            ("eks", "name") if !is_plain(&text, "-_") => "the cluster's name: letters, digits, `-` and `_`",
            ("eks", "cidr") if !is_plain(&text, "./:") => "addresses: \"10.100.0.0/16\"",
            _ => return None,
        };
        Some((key.to_owned(), must))
    };
    // What stands there is not shown: it may be the token.
    for (key, must) in needs.iter().filter_map(|k| wrong(k)) {
        let says = format!("`{path}.nodes.{key}` is not what {join} takes");
        problems.error("E0507", t.at(&key), says, format!("write {must}"));
    }
}

fn is_plain(text: &str, more: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        is_plain(host.trim_start_matches('[').trim_end_matches(']'), ".-:") && port.parse::<u16>().is_ok_and(|p| p > 0)
    })
}

fn is_hash(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|h| h.len() == 64 && h.chars().all(|c| c.is_ascii_hexdigit()))
}

fn is_token(text: &str) -> bool {
    let word = |w: &str, n: usize| w.len() == n && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.split_once('.').is_some_and(|(id, secret)| word(id, 6) && word(secret, 16))
}

fn is_base64(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c))
}

/// The tokens that stand in the file: no output may show one.
pub fn secrets(groups: Option<&Node>, secrets: &mut BTreeSet<String>) {
    let all = groups.and_then(Node::table).into_iter().flatten();
    for token in all.filter_map(|(_, g)| g.get("nodes")?.get("token")?.text()) {
        secrets.insert(token.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_may_not_say_everything_of_itself() {
        for (label, may) in [
            ("pool", true),
            ("example.com/pool", true),
            ("node.kubernetes.io/pool", true),
            ("x.node.kubernetes.io/pool", true),
            ("kubernetes.io/os", true),
            ("node-role.kubernetes.io/worker", false),
            ("node-restriction.kubernetes.io/pool", false),
            ("k8s.io/pool", false),
            ("kubernetes.io/pool", false),
        ] {
            assert_eq!(may_say(label), may, "{label}");
        }
    }

    #[test]
    fn what_goes_into_a_script_cannot_leave_its_quotes() {
        for bad in ["'; rm -rf /", "a b:1", "$(id):1", "host", "host:0", "host:99999", ""] {
            assert!(!is_host_port(bad), "{bad}");
        }
        for good in ["10.0.0.10:6443", "api.example.com:443", "[fd00::1]:6443"] {
            assert!(is_host_port(good), "{good}");
        }
        assert!(is_token("abcdef.0123456789abcdef") && !is_token("abcdef.0123456789abcde$"));
        assert!(!is_hash("sha256:$(id)") && !is_base64("a'b") && !is_plain("a\"b", "-_"));
    }
}
