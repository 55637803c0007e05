//! Groups that are nodes: what their ready boot scripts say, and what no output may.

use super::*;
use crate::declaration::render_user_data;
use crate::desired::{MachineGroup, WaitFor};

const TOKEN: &str = "abcdef.0123456789abcdef";

fn group(nodes: &str) -> (Desired, MachineGroup) {
    let text = format!(
        "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n[kubernetes.west]\n[machines.web]\nimage = \"ami-1\"\n\
         type = \"t3.small\"\n{nodes}\n"
    );
    let desired = desired(&main(&text));
    let group = desired.machines["web"].clone();
    (desired, group)
}

fn script(group: &MachineGroup) -> String {
    let data = group.user_data.as_ref().expect("it has one");
    String::from_utf8(render_user_data(data, 0, "us-east-1a").unwrap()).unwrap()
}

const KUBEADM: &str = r#"nodes = { cluster = "west", join = "kubeadm", endpoint = "10.0.0.10:6443",
    ca = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", TOKEN,
    labels = { pool = "web", "example.com/tier" = "front" },
    taints = [{ key = "dedicated", value = "web" }, { key = "slow", effect = "no-execute" }] }"#;

#[test]
fn kubeadm_is_given_all_that_it_needs_and_the_token_is_a_secret() {
    let (desired, group) = group(&KUBEADM.replace('\n', " ").replace("TOKEN", &format!("token = \"{TOKEN}\"")));
    assert_eq!((group.nodes.as_ref().unwrap().scope.as_str(), group.wait), ("kubernetes:west", WaitFor::Ready));
    let script = script(&group);
    for part in [
        "#!/bin/sh\n",
        "apiServerEndpoint: \"10.0.0.10:6443\"",
        "caCertHashes: [\"sha256:0011",
        &format!("token='{TOKEN}'"),
        "value: \"aws:///$zone/$id\"",
        "value: \"example.com/tier=front,pool=web\"",
        r#"taints: [{"effect":"NoSchedule","key":"dedicated","value":"web"},{"effect":"NoExecute","key":"slow","value":""}]"#,
        "kubeadm join --config",
    ] {
        assert!(script.contains(part), "{part}\n{script}");
    }
    assert!(!script.contains("{{") && !script.contains("{%"), "{script}");
    // A shell must be able to read it.
    let open = script.matches("<<END").count();
    assert_eq!((open, script.lines().filter(|l| *l == "END").count()), (1, 1), "{script}");
    assert!(desired.secrets.contains(TOKEN), "no output may show it");
    let bare = Desired { secrets: BTreeSet::new(), ..desired };
    assert!(!format!("{bare:?}").contains(TOKEN), "not even by accident");
    assert!(!serde_json::to_string(&bare).unwrap().contains(TOKEN));
}

#[test]
fn a_token_from_ssm_is_never_in_the_script() {
    let (desired, group) =
        group(&KUBEADM.replace('\n', " ").replace("TOKEN", "token = { ssm = \"/shop/join-token\" }"));
    let script = script(&group);
    assert!(script.contains("--name '/shop/join-token'") && !script.contains("token=''"), "{script}");
    assert!(desired.secrets.is_empty());
}

#[test]
fn eks_is_given_its_node_config_and_the_tag_that_it_wants() {
    let (_, group) = group(
        "nodes = { join = \"eks\", name = \"shop\", endpoint = \"https://a.eks.amazonaws.com\", ca = \"YWJj\", \
         cidr = \"10.100.0.0/16\", labels = { pool = \"web\" } }",
    );
    let script = script(&group);
    for part in [
        "MIME-Version: 1.0\n",
        "Content-Type: application/node.eks.aws",
        "name: \"shop\"",
        "apiServerEndpoint: \"https://a.eks.amazonaws.com\"",
        "certificateAuthority: \"YWJj\"",
        "cidr: \"10.100.0.0/16\"",
        "registerWithTaints: []",
        "- \"--node-labels=pool=web\"",
        "--evenkeel--\n",
    ] {
        assert!(script.contains(part), "{part}\n{script}");
    }
    assert_eq!(group.tags.get("kubernetes.io/cluster/shop").map(String::as_str), Some("owned"));
}

#[test]
fn a_script_of_ones_own_has_the_same_at_hand() {
    let (desired, group) = group(
        "nodes = { labels = { pool = \"web\" }, endpoint = \"10.0.0.1:6443\" }\n\
         user-data = { text = \"join {{ cluster.endpoint }} {{ node.label_list }} {{ node.labels.pool }}\" }",
    );
    assert_eq!(script(&group), "join 10.0.0.1:6443 pool=web web");
    assert!(desired.clusters.contains_key("kubernetes:"), "the plain cluster, though nothing else names it");
}

#[test]
fn who_says_nothing_of_nodes_has_no_cluster() {
    let text = "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n[machines.web]\nimage = \"ami-1\"\ntype = \"t3.small\"\n";
    let desired = desired(&main(text));
    assert!(desired.clusters.is_empty());
    assert_eq!(desired.machines["web"].wait, WaitFor::Healthy);
}
