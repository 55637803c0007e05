//! Kubeconfigs and surroundings, and which cluster they name.

use std::fs;

use tempfile::TempDir;

use super::*;

/// Two contexts of one file.
const ONE: &str = "
apiVersion: v1
kind: Config
current-context: prod
clusters:
- {name: a, cluster: {server: 'https://10.0.0.1:6443'}}
- {name: b, cluster: {server: 'https://b.example/k8s/clusters/c-1/', insecure-skip-tls-verify: true, tls-server-name: api}}
users:
- {name: ada, user: {token: t0p}}
contexts:
- {name: prod, context: {cluster: a, user: ada, namespace: shop}}
- {name: test, context: {cluster: b, user: ada}}
";

const TWO: &str = "
current-context: other
clusters: [{name: a, cluster: {server: 'https://wrong.example'}}, {name: c, cluster: {server: 'https://c.example'}}]
users: [{name: bob, user: {token: b0b}}]
contexts: [{name: other, context: {cluster: c, user: bob}}]
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn with(env: &[(&'static str, &str)]) -> Surroundings {
    Surroundings {
        env: env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        ..Surroundings::default()
    }
}

/// One kubeconfig, asked for by its path.
fn from(text: &str, context: Option<&str>, around: &Surroundings) -> Result<Found, Failure> {
    let folder = folder(&[("config", text)]);
    let kubeconfig = Some(folder.path().join("config"));
    find(&Settings { kubeconfig, context: context.map(str::to_owned), namespace: None }, around)
}

fn server(found: &Found) -> String {
    found.config.cluster_url.to_string()
}

#[test]
fn the_current_context_counts_unless_another_is_named() {
    let found = from(ONE, None, &Surroundings::default()).expect("prod");
    assert_eq!((found.place.as_str(), server(&found).as_str()), ("prod", "https://10.0.0.1:6443/"));
    assert_eq!(found.config.default_namespace, "shop");
    assert!(!found.config.accept_invalid_certs);

    let found = from(ONE, Some("test"), &Surroundings::default()).expect("test");
    assert_eq!((found.place.as_str(), server(&found).as_str()), ("test", "https://b.example/k8s/clusters/c-1/"));
    assert_eq!(found.config.default_namespace, "default");
    assert!(found.config.accept_invalid_certs);
    assert_eq!(found.config.tls_server_name.as_deref(), Some("api"));
}

#[test]
fn a_context_that_is_not_there_names_those_that_are() {
    let refused = from(ONE, Some("live"), &Surroundings::default()).expect_err("no such context");
    assert_eq!(refused.class, Class::Credentials);
    assert!(refused.says.contains("no context `live`") && refused.says.contains("are: prod, test;"), "{refused}");

    let many: String = (0..30).map(|n| format!("- {{name: c{n}, context: {{cluster: a}}}}\n")).collect();
    let refused = from(&format!("contexts:\n{many}"), Some("live"), &Surroundings::default()).expect_err("none");
    assert!(refused.says.contains("c19 and 10 more;"), "{refused}");
}

#[test]
fn the_files_of_kubeconfig_are_merged_and_the_first_word_counts() {
    let folder = folder(&[("one", ONE), ("two", TWO)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let list = format!("{}:{}::{}", path("gone"), path("one"), path("two"));
    let around = with(&[("KUBECONFIG", &list)]);
    let current = find(&Settings::default(), &around).expect("the first file's current context");
    assert_eq!((current.place.as_str(), server(&current).as_str()), ("prod", "https://10.0.0.1:6443/"));
    let other =
        find(&Settings { context: Some("other".into()), ..Settings::default() }, &around).expect("the second's");
    assert_eq!(server(&other), "https://c.example/");
}

#[test]
fn without_kubeconfig_the_home_folder_counts_and_a_named_file_before_both() {
    let folder = folder(&[(".kube/config", TWO), ("named", ONE)]);
    let around = Surroundings { home: Some(folder.path().to_owned()), ..Surroundings::default() };
    assert_eq!(find(&Settings::default(), &around).expect("at home").place, "other");
    let named = Settings { kubeconfig: Some(folder.path().join("named")), ..Settings::default() };
    assert_eq!(find(&named, &around).expect("named").place, "prod");
}

#[test]
fn without_any_kubeconfig_the_way_out_is_told() {
    let refused = find(&Settings::default(), &Surroundings::default()).expect_err("nothing is there");
    assert_eq!(refused.class, Class::Credentials);
    assert!(refused.says.contains("no kubeconfig") && refused.says.contains("set KUBECONFIG"), "{refused}");
    let refused = from("kind: Config", None, &Surroundings::default()).expect_err("it is empty");
    assert!(refused.says.contains("no current context"), "{refused}");

    let gone = Settings { kubeconfig: Some("/nowhere/config".into()), ..Settings::default() };
    let refused = find(&gone, &Surroundings::default()).expect_err("named, and not there");
    assert_eq!(refused.class, Class::Credentials);
    assert!(refused.says.contains("/nowhere/config"), "{refused}");
}

#[test]
fn a_pod_without_its_service_account_is_told_so() {
    let around = with(&[("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")]);
    let refused = find(&Settings::default(), &around).expect_err("no token is there, so this is no pod");
    assert!(refused.says.contains("this is no pod"), "{refused}");
    // With a context in reach the pod does not count.
    let found = from(ONE, None, &Surroundings { pod: true, ..around }).expect("prod");
    assert_eq!(found.place, "prod");
}

#[test]
fn what_is_wrong_in_a_kubeconfig_is_told_without_its_secrets() {
    let table = [
        ("users: [{name: ada, user: {token: [t0p]}}]", Class::Invalid, "it is no kubeconfig"),
        ("\u{0}", Class::Invalid, "it is no kubeconfig"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: y}}]", Class::Credentials, "the cluster `y`"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y, user: z}}]\nclusters: [{name: y, cluster: \
             {server: 'https://y'}}]",
            Class::Credentials,
            "the user `z`",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {server: \
             10.0.0.1:6443}}]",
            Class::Invalid,
            "must look like `https://10.0.0.1:6443`",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {}}]",
            Class::Invalid,
            "`server` is ``",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {server: \
             'https://y', certificate-authority: nowhere.pem}}]",
            Class::Invalid,
            "nowhere.pem: No such file",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {server: \
             'https://y', certificate-authority-data: '!!'}}]",
            Class::Invalid,
            "is no base64",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {server: \
             'https://y', certificate-authority-data: 'aGVsbG8K'}}]",
            Class::Invalid,
            "holds no certificate",
        ),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {server: \
             'https://y', proxy-url: 'gopher://ada:t0p@p'}}]",
            Class::Invalid,
            "proxy-url must look like",
        ),
    ];
    for (text, class, words) in table {
        let refused = from(text, None, &Surroundings::default()).expect_err(words);
        assert_eq!(refused.class, class, "{refused}");
        assert!(refused.says.contains(words), "{refused} says not: {words}");
        assert!(!refused.says.contains("t0p"), "{refused}");
    }
}

#[test]
fn a_proxy_is_taken_from_the_kubeconfig_or_the_environment() {
    let at = |server: &str, own: &str, env: &[(&'static str, &str)]| {
        let text = format!(
            "current-context: x\ncontexts: [{{name: x, context: {{cluster: y}}}}]\nclusters: [{{name: y, cluster: \
             {{server: '{server}', proxy-url: '{own}'}}}}]"
        );
        from(&text, None, &with(env)).map(|found| found.config.proxy_url.map(|url| url.to_string()))
    };
    let (https, any) = (("HTTPS_PROXY", "http://p:3128"), ("NO_PROXY", "*"));
    let proxied = Ok(Some("http://p:3128/".to_owned()));
    let table = [
        ("https://a.example", "", vec![], Ok(None)),
        ("https://a.example", "", vec![https], proxied.clone()),
        ("https://a.example", "", vec![("https_proxy", "p:3128")], proxied.clone()),
        ("https://a.example", "socks5://s:1080", vec![https, any], Ok(Some("socks5://s:1080/".into()))),
        ("http://a.example", "", vec![https], Ok(None)),
        ("http://a.example", "", vec![("HTTP_PROXY", "http://p:3128")], proxied.clone()),
        ("https://a.example", "", vec![https, any], Ok(None)),
        ("https://a.example", "", vec![https, ("NO_PROXY", ".example")], Ok(None)),
        ("https://a.example", "", vec![https, ("no_proxy", "a.example, ")], Ok(None)),
        // The rule is about the server and not about the proxy, and a comma at its end is no mistake.
        ("https://a.example", "", vec![https, ("NO_PROXY", "p,,b.example,")], proxied.clone()),
        ("https://10.1.2.3:6443", "", vec![https, ("NO_PROXY", "10.0.0.0/8")], Ok(None)),
        ("https://10.1.2.3:6443", "", vec![https, ("NO_PROXY", "10.2.0.0/16")], proxied),
        // This machine is reached without a proxy, as Go has it.
        ("https://127.0.0.1:6443", "", vec![https], Ok(None)),
        ("https://[::1]:6443", "", vec![https], Ok(None)),
        ("https://localhost:6443", "", vec![https], Ok(None)),
    ];
    for (server, own, env, expected) in table {
        assert_eq!(at(server, own, &env), expected, "{server} {own} {env:?}");
    }
    let refused = at("https://a.example", "", &[("HTTPS_PROXY", "ftp://ada:t0p@p")]).expect_err("no such proxy");
    assert_eq!(refused.class, Class::Invalid);
    assert!(refused.says.contains("HTTPS_PROXY") && !refused.says.contains("t0p"), "{refused}");
}

#[test]
fn a_program_asks_nobody_where_nobody_sits() {
    let user = |mode: &str| {
        format!(
            "current-context: x\ncontexts: [{{name: x, context: {{cluster: y, user: z}}}}]\nclusters: [{{name: y, \
             cluster: {{server: 'https://y'}}}}]\nusers: [{{name: z, user: {{exec: {{apiVersion: \
             client.authentication.k8s.io/v1, command: aws, installHint: get it, {mode}}}}}}}]"
        )
    };
    let mode = |text: &str, terminal: bool| {
        let found = from(text, None, &Surroundings { terminal, ..Surroundings::default() })?;
        Ok(found.config.auth_info.exec.expect("a program").interactive_mode)
    };
    use ExecInteractiveMode::{Always, IfAvailable, Never};
    assert_eq!(mode(&user("interactiveMode: IfAvailable"), true), Ok(Some(IfAvailable)));
    assert_eq!(mode(&user("interactiveMode: IfAvailable"), false), Ok(Some(Never)));
    assert_eq!(mode(&user(""), false), Ok(Some(Never)));
    assert_eq!(mode(&user("interactiveMode: Never"), true), Ok(Some(Never)));
    assert_eq!(mode(&user("interactiveMode: Always"), true), Ok(Some(Always)));
    let refused: Failure = mode(&user("interactiveMode: Always"), false).expect_err("nobody is there");
    assert_eq!(refused.class, Class::Credentials);
    assert!(refused.says.contains("`aws`") && refused.says.contains("no terminal"), "{refused}");

    let found = from(&user(""), None, &Surroundings::default()).expect("a program");
    assert_eq!(plugin(&found.config), Some(Plugin { command: "aws".into(), hint: Some("get it".into()) }));
}
