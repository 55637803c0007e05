//! Which cluster, as whom, through which proxy: what kubectl would find with the same files and the same environment.
//!
//! It sends nothing and starts nothing. What the environment says is handed in, so that tests can say something else.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use evenkeel_core::failure::{Class, Failure};
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::Config;
use kube::config::{AuthInfo, Cluster, ExecConfig, ExecInteractiveMode, Kubeconfig, KubeconfigError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::errors::{Plugin, causes};
use crate::limits;

/// Where a service account's token is, in a pod.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What a declaration may say about the cluster. What is `None` is found as kubectl finds it: `KUBECONFIG` (several
/// files are merged), `~/.kube/config`, the pod that evenkeel runs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// A context of the kubeconfig. Without it: the current one.
    pub context: Option<String>,
    /// Path of one kubeconfig, in place of those that `KUBECONFIG` names.
    pub kubeconfig: Option<PathBuf>,
    /// Namespace of objects that name none. Without it: the context's, else `default`.
    pub namespace: Option<String>,
}

/// A cluster that can be connected to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) config: Config,
    /// The context's name, or the server's address in a pod.
    pub(crate) place: String,
}

/// What is around the process, as far as it matters here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    pub(crate) env: BTreeMap<&'static str, String>,
    pub(crate) home: Option<PathBuf>,
    /// A person can be asked.
    pub(crate) terminal: bool,
    /// There is a service account's token.
    pub(crate) pod: bool,
}

const VARIABLES: [&str; 9] = [
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
];

impl Surroundings {
    /// The real ones.
    pub(crate) fn real() -> Self {
        let one = |name: &&'static str| Some((*name, std::env::var(name).ok()?));
        Self {
            env: VARIABLES.iter().filter_map(one).collect(),
            home: std::env::home_dir(),
            terminal: std::io::stdin().is_terminal(),
            pod: Path::new(TOKEN).exists(),
        }
    }

    /// A variable that is set to something.
    fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Finds the cluster.
pub(crate) fn find(settings: &Settings, around: &Surroundings) -> Result<Found, Failure> {
    let (kubeconfig, read) = load(settings.kubeconfig.as_deref(), around)?;
    let current = kubeconfig.current_context.clone().filter(|name| !name.is_empty());
    let Some(context) = settings.context.clone().or(current) else {
        return pod(&kubeconfig, &read, around);
    };
    let Some(chosen) = kubeconfig.contexts.iter().find(|one| one.name == context).and_then(|one| one.context.as_ref())
    else {
        return Err(missing(&format!("no context `{context}` in {}", told(&read)), &kubeconfig));
    };
    let named = |what: &str, name: &str| {
        let words = format!("context `{context}` in {} names the {what} `{name}`, which is not there", told(&read));
        Failure::new(Class::Credentials, "", words)
    };
    let cluster = kubeconfig.clusters.iter().find(|one| one.name == chosen.cluster);
    let cluster = cluster.and_then(|one| one.cluster.as_ref()).ok_or_else(|| named("cluster", &chosen.cluster))?;
    let user = match chosen.user.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => kubeconfig.auth_infos.iter().find(|one| one.name == name).ok_or_else(|| named("user", name))?,
        None => &kube::config::NamedAuthInfo::default(),
    };
    let user = user.auth_info.clone().unwrap_or_default();
    let wrong =
        |what: String| Failure::new(Class::Invalid, "", format!("context `{context}` in {}: {what}", told(&read)));
    let mut config = of(cluster, user, around).map_err(wrong)?;
    if let Some(namespace) = chosen.namespace.clone().filter(|name| !name.is_empty()) {
        config.default_namespace = namespace;
    }
    if let Some(exec) = &mut config.auth_info.exec {
        let wrong = |words| Failure::new(Class::Credentials, "", format!("context `{context}`: {words}"));
        ask_nobody(exec, around.terminal).map_err(wrong)?;
    }
    Ok(Found { config, place: context })
}

/// The program that the kubeconfig asks for credentials.
pub(crate) fn plugin(config: &Config) -> Option<Plugin> {
    let exec = config.auth_info.exec.as_ref()?;
    Some(Plugin { command: exec.command.clone().unwrap_or_default(), hint: exec.install_hint.clone() })
}

/// The kubeconfig, and the files it was read from. Like kubectl it passes over files of `KUBECONFIG` that are not there.
fn load(named: Option<&Path>, around: &Surroundings) -> Result<(Kubeconfig, Vec<PathBuf>), Failure> {
    let read: Vec<PathBuf> = match (named, around.var("KUBECONFIG")) {
        (Some(path), _) => vec![path.to_owned()],
        (None, Some(list)) => std::env::split_paths(list).filter(|path| path.exists()).collect(),
        (None, None) => {
            let home = around.home.as_ref().map(|home| home.join(".kube").join("config"));
            home.into_iter().filter(|path| path.exists()).collect()
        }
    };
    let mut all = Kubeconfig::default();
    for path in &read {
        let one = Kubeconfig::read_from(path).and_then(|one| all.merge(one));
        all = one.map_err(|error| {
            let class = match error {
                KubeconfigError::ReadConfig(..) => Class::Credentials,
                _ => Class::Invalid,
            };
            Failure::new(class, "", format!("the kubeconfig {}: {}", path.display(), unsaid(&error)))
        })?;
    }
    Ok((all, read))
}

/// The error's words; the YAML parser's own only as far as they quote nothing, for a kubeconfig holds keys.
fn unsaid(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("it is no kubeconfig: line {}, column {}", at.line(), at.column()),
            None => "it is no kubeconfig".into(),
        },
        other => causes(other),
    }
}

/// Without a context: the cluster that this process runs in.
fn pod(kubeconfig: &Kubeconfig, read: &[PathBuf], around: &Surroundings) -> Result<Found, Failure> {
    let inside = around.pod && around.var("KUBERNETES_SERVICE_HOST").is_some();
    if !inside || around.var("KUBERNETES_SERVICE_PORT").is_none() {
        let words = if read.is_empty() {
            "no kubeconfig: neither KUBECONFIG nor ~/.kube/config names one, and this is no pod".to_owned()
        } else {
            format!("no current context in {}", told(read))
        };
        return Err(missing(&words, kubeconfig));
    }
    let mut config = Config::incluster()
        .map_err(|e| Failure::new(Class::Credentials, "", format!("the pod's service account: {}", causes(&e))))?;
    config.proxy_url = proxy(&config.cluster_url, around).map_err(|words| Failure::new(Class::Invalid, "", words))?;
    let place = config.cluster_url.to_string();
    Ok(Found { config, place: place.trim_end_matches('/').to_owned() })
}

fn missing(words: &str, kubeconfig: &Kubeconfig) -> Failure {
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|one| one.name.as_str()).collect();
    let more = names.len().saturating_sub(limits::NAMED);
    let mut known = names[..names.len() - more].join(", ");
    if more > 0 {
        known.push_str(&format!(" and {more} more"));
    }
    let known = if known.is_empty() { "none".to_owned() } else { known };
    let way_out = "name one with `context` under [kubernetes], or set KUBECONFIG";
    Failure::new(Class::Credentials, "", format!("{words}; contexts there are: {known}; {way_out}"))
}

fn told(read: &[PathBuf]) -> String {
    match read {
        [] => "the kubeconfig (there is none)".into(),
        read => read.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}

/// kube's own way from a kubeconfig to a client's configuration holds NO_PROXY against the proxy, not the server, and
/// refuses a NO_PROXY that ends in a comma; hence the fields one by one.
fn of(cluster: &Cluster, mut user: AuthInfo, around: &Surroundings) -> Result<Config, String> {
    let server = cluster.server.as_deref().unwrap_or_default();
    let url: Uri = server.parse().map_err(|e| format!("`server` is `{server}`: {e}"))?;
    if !matches!(url.scheme_str(), Some("https" | "http")) || url.host().is_none_or(str::is_empty) {
        return Err(format!("`server` is `{server}`: it must look like `https://10.0.0.1:6443`"));
    }
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(cluster.try_into().map_err(|e: KubeconfigError| causes(&e))?);
    }
    let mut config = Config::new(url);
    config.root_cert = authority(cluster)?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
    config.proxy_url = match cluster.proxy_url.as_deref().filter(|url| !url.is_empty()) {
        Some(url) => Some(parsed("proxy-url", url)?),
        None => proxy(&config.cluster_url, around)?,
    };
    config.auth_info = user;
    Ok(config)
}

/// Certificates that sign the server's.
fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, String> {
    let data = cluster.certificate_authority_data.as_deref().filter(|data| !data.is_empty());
    let file = cluster.certificate_authority.as_deref().filter(|file| !file.is_empty());
    let (name, pem) = match (data, file) {
        (Some(data), _) => {
            let name = "certificate-authority-data";
            let decoded = data_encoding::BASE64.decode(data.as_bytes());
            (name.to_owned(), decoded.map_err(|e| format!("`{name}` is no base64: {e}"))?)
        }
        (None, Some(file)) => {
            let name = format!("certificate-authority {file}");
            let read = std::fs::read(file).map_err(|e| format!("{name}: {e}"))?;
            (name, read)
        }
        (None, None) => return Ok(None),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|e| format!("{name}: {e}"))?;
    if certificates.is_empty() {
        return Err(format!("{name} holds no certificate"));
    }
    Ok(Some(certificates.iter().map(|one| one.to_vec()).collect()))
}

/// The environment's proxy for this server, if any: `NO_PROXY` and everything on this machine go without.
fn proxy(server: &Uri, around: &Surroundings) -> Result<Option<Uri>, String> {
    let names =
        if server.scheme_str() == Some("http") { ["HTTP_PROXY", "http_proxy"] } else { ["HTTPS_PROXY", "https_proxy"] };
    let Some((name, url)) = names.iter().find_map(|name| Some((*name, around.var(name)?))) else { return Ok(None) };
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return Ok(None);
    }
    let spared = around.var("NO_PROXY").or_else(|| around.var("no_proxy")).unwrap_or_default();
    // A stand-in, so that only the rules of NO_PROXY decide.
    let rules = Matcher::builder().all("http://proxy.invalid").no(spared).build();
    if rules.intercept(server).is_none() {
        return Ok(None);
    }
    parsed(name, url).map(Some)
}

/// A proxy's URL. It may hold a password, so it is never quoted.
fn parsed(name: &str, url: &str) -> Result<Uri, String> {
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = with_scheme.parse().map_err(|e| format!("{name} is no URL: {e}"))?;
    match uri.scheme_str() {
        Some("http" | "https" | "socks5") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(format!("{name} must look like `http://proxy.example:3128` or `socks5://proxy.example:1080`")),
    }
}

/// Where no person sits, a program that could ask one is told not to; then its complaints also reach our message.
fn ask_nobody(exec: &mut ExecConfig, terminal: bool) -> Result<(), String> {
    let command = exec.command.clone().unwrap_or_default();
    if command.is_empty() {
        return Err("the user's `exec` names no `command`".into());
    }
    match &exec.interactive_mode {
        Some(ExecInteractiveMode::Always) if !terminal => {
            Err(format!("`{command}`, which gives the credentials, wants to ask a person, and there is no terminal"))
        }
        Some(ExecInteractiveMode::IfAvailable) | None if !terminal => {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
            Ok(())
        }
        Some(ExecInteractiveMode::Always | ExecInteractiveMode::IfAvailable | ExecInteractiveMode::Never) | None => {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
