//! The real binary as it runs in a pod: no kubeconfig, and the service account's own files where a kubelet puts them.

use std::path::Path;
use std::process::Command;

use super::lab;
use super::stack::Stack;

/// Where a kubelet puts them, seen by the command's own mounts alone.
const IN_A_POD: &str = r#"set -e
mount -t tmpfs none "$(readlink -f /var/run)"
at=/var/run/secrets/kubernetes.io/serviceaccount
mkdir -p $at
cp "$TOKEN" $at/token
cp "$AUTHORITY" $at/ca.crt
printf %s "$NAMESPACE" > $at/namespace
exec "$@"
"#;

#[test]
fn in_a_pod_its_service_account_is_enough() {
    let Some(cluster) = lab::shared() else { return };
    if !Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|s| s.success()) {
        return lab::skipped("this user may not have mounts of its own");
    }
    cluster.namespace("inside");
    let account = cluster.account("inside", "inside", "get,list,create,patch,delete", "configmaps");
    let text = std::fs::read_to_string(account).expect("the account's kubeconfig");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
    };
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { k: v }\n";
    let stack = Stack::new(cluster, "kzinside", "inside", config);
    let token = stack.folder.path().join("token");
    std::fs::write(&token, value("token:")).expect("it can be written");
    let (_, address) =
        value("server:").split_once("://").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("an address");
    let (host, port) = address.rsplit_once(':').expect("a port");
    let run = |words: &str| {
        let program = stack.command(words);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", IN_A_POD, "sh"]).arg(program.get_program()).args(program.get_args());
        command.current_dir(stack.folder.path()).env_remove("KUBECONFIG").env("HOME", stack.folder.path());
        command.env("NO_COLOR", "1").env("CI", "true").env("TOKEN", &token).env("NAMESPACE", "inside");
        command.env("AUTHORITY", Path::new(&value("certificate-authority:")));
        command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
        let output = command.output().expect("it starts");
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert_eq!(output.status.code(), Some(0), "{words}: {said}");
        said
    };
    run("apply --yes");
    assert_eq!(cluster.get("--namespace inside configmap a")["data"]["k"], "v");
    assert!(run("plan --exit-code").contains("No changes."));
    run("destroy --yes");
    assert!(
        cluster.try_kubectl("--namespace inside get configmap a", "").is_err_and(|said| said.contains("not found"))
    );
}
