//! Tests of the whole way from text to [`super::Desired`].

mod bad;
mod each_key;
mod manifests;
mod nodes;
mod properties;
mod workloads;
mod written;

use super::*;
use crate::desired::{Image, Layout, LockKind, Spread};
use crate::policy::Amount;

/// The example of the README.
const SHOP: &str = r#"#:schema ./evenkeel.schema.json

[stack]
name = "shop"
id = "7f3kq2x9"                      # written once by `evenkeel init`

[vars]
team = "payments"

[aws]
region = "us-east-1"

[machines.web]
count = 6
image = { owner = "amazon", name = "al2023-ami-2023.*-x86_64" }    # or "ami-…", or { ssm = "/aws/service/…" }
type = ["t3.small", "t3a.small"]
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]                 # or subnets = ["subnet-…"] / { tag = "…" }
security-groups = ["web"]
user-data = "boot.sh.j2"                                           # slot, zone, vars at hand
disks = [{ device = "/dev/sdf", size = "20GiB" }]                  # die with the machine
tags = { team = "{{ vars.team }}" }
wait = "healthy"

[volumes.data]                       # one a slot, outlives its machine
for = "machines.web"
size = "50GiB"
type = "gp3"

[kubernetes]
context = "prod"

[workloads.shop]
kind = "deployment"
image = "registry.example/shop:1.4"
replicas = 6
spread = { zone = 1 }
port = 8080

[manifests.extras]
files = ["k8s/*.yaml"]
namespace = "shop"

[policy]
max-unavailable = 0
max-deletes = "10%"
"#;

/// A manifest of it.
const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: extras\ndata:\n  mode: fast\n";

/// The shortest declaration with a machine; more lines of that machine follow.
const HEAD: &str = "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n[aws]\nregion = \"us-east-1\"\n";
const WEB: &str = "[machines.web]\nimage = \"ami-1\"\ntype = \"t3.small\"\n";

fn main(text: &str) -> Inputs {
    Inputs { main: Source { name: "evenkeel.toml".into(), text: text.into() }, ..Inputs::default() }
}

fn shop() -> Inputs {
    let mut inputs = main(SHOP);
    inputs.files.insert("boot.sh.j2".into(), b"#!/bin/sh\necho {{ slot }} {{ zone }} {{ vars.team }}\n".to_vec());
    inputs.files.insert("k8s/config.yaml".into(), CONFIG.as_bytes().to_vec());
    inputs
}

fn web(lines: &str) -> Inputs {
    main(&format!("{HEAD}{WEB}{lines}"))
}

/// Its wish; panics with the problems when there are any.
fn desired(inputs: &Inputs) -> Desired {
    let declared = declare(inputs);
    assert_eq!(declared.diagnostics, vec![], "{}", inputs.main.text);
    declared.desired.expect("nothing is wrong with it")
}

fn codes(inputs: &Inputs) -> Vec<&'static str> {
    declare(inputs).diagnostics.iter().map(|d| d.code).collect()
}

#[test]
fn the_example_is_read_whole() {
    let wanted = vec![Wanted::File("boot.sh.j2".into()), Wanted::Files(Pattern::new("k8s/*.yaml").unwrap())];
    assert_eq!(files_wanted(&shop()), wanted);
    let desired = desired(&shop());
    let web = &desired.machines["web"];
    assert_eq!((web.count, web.types.len(), web.tags["team"].as_str()), (6, 2, "payments"));
    assert_eq!(web.image, Image::Newest { owner: "amazon".into(), name: "al2023-ami-2023.*-x86_64".into() });
    assert_eq!(web.disks["/dev/sdf"].volume_type.as_deref(), Some("gp3"));
    assert!(web.metadata.tokens_required && web.metadata.enabled && web.metadata.hop_limit == 1);
    let data = &desired.volumes["data"];
    assert_eq!((data.size, data.encrypted, data.device.as_str()), (Some(50), true, "/dev/sdg"), "sdf is a disk's");
    assert_eq!(desired.policy.max_deletes, Amount::Percent(10));
    assert_eq!((desired.lock.kind, desired.lock.wait), (LockKind::File, 60));
    let script = render_user_data(web.user_data.as_ref().unwrap(), 4, "us-east-1b").unwrap();
    assert_eq!(String::from_utf8(script).unwrap(), "#!/bin/sh\necho 4 us-east-1b payments\n");
}

#[test]
fn little_is_enough() {
    let desired = desired(&web(""));
    let web = &desired.machines["web"];
    assert_eq!((web.count, &web.spread, web.skew), (1, &Spread::Anywhere, 1));
    assert_eq!(desired.policy, crate::policy::Policy::default());
}

#[test]
fn the_command_line_wins_over_the_environment_over_files_over_the_default() {
    let mut inputs = main(&format!("{HEAD}[vars]\nn = 1\n{WEB}count = \"{{{{ vars.n }}}}\""));
    assert_eq!(desired(&inputs).machines["web"].count, 1);
    inputs.var_files = vec![
        Source { name: "a.toml".into(), text: "n = 2".into() },
        Source { name: "b.toml".into(), text: "n = 3".into() },
    ];
    assert_eq!(desired(&inputs).machines["web"].count, 3, "the later file");
    inputs.env_vars.insert("n".into(), "4".into());
    assert_eq!(desired(&inputs).machines["web"].count, 4);
    inputs.vars.insert("n".into(), "5".into());
    assert_eq!(desired(&inputs).machines["web"].count, 5);
    inputs.vars.insert("n".into(), "many".into());
    assert_eq!(codes(&inputs), ["E0202"]);
    inputs.vars = BTreeMap::from([("m".to_owned(), "5".to_owned())]);
    let declared = declare(&inputs);
    assert_eq!(declared.diagnostics[0].code, "E0203");
    assert!(declared.diagnostics[0].way_out.contains("add `m`"), "one letter is not near another");
}

#[test]
fn a_template_that_is_the_whole_text_keeps_its_type() {
    let vars = "[vars]\nzones = [\"us-east-1a\", \"us-east-1b\"]\non = true\nteam = \"pay\"\nn = 7\n";
    let lines = "zones = \"{{ vars.zones }}\"\nmonitoring = \"{{ vars.on }}\"\n\
                 tags = { a = \"{{ vars.team }}-{{ stack.name }}\", b = \"{{ vars.n }}\" }\n";
    let desired = desired(&main(&format!("{HEAD}{vars}{WEB}{lines}")));
    let web = &desired.machines["web"];
    assert_eq!(web.spread, Spread::Zones(vec!["us-east-1a".into(), "us-east-1b".into()]));
    assert!(web.monitoring);
    assert_eq!((web.tags["a"].as_str(), web.tags["b"].as_str()), ("pay-shop", "7"));
}

#[test]
fn an_environment_is_laid_over_the_file() {
    let mut inputs = shop();
    inputs.env = Some("prod".into());
    assert_eq!(codes(&inputs), ["E0207"], "a misspelt environment is noticed");
    let over = "[machines.web]\ncount = 12\ntags = { env = \"{{ env }}\" }\n[machines.web.root]\nsize = \"40GiB\"\n";
    inputs.overlay = Some(Source { name: "evenkeel.prod.toml".into(), text: over.into() });
    let desired = desired(&inputs);
    let web = &desired.machines["web"];
    assert_eq!((web.count, web.root.size, web.types.len()), (12, Some(40), 2));
    assert_eq!((web.tags["team"].as_str(), web.tags["env"].as_str()), ("payments", "prod"), "tables are merged");
    inputs.overlay = Some(Source { name: "evenkeel.prod.toml".into(), text: "[machines.web]\ncuont = 1".into() });
    let declared = declare(&inputs);
    assert_eq!(declared.diagnostics[0].places[0].file, "evenkeel.prod.toml");
    assert_eq!(declared.diagnostics[0].fix, None, "only the main file is mended");
}

#[test]
fn a_secret_reaches_the_boot_script_and_nothing_else() {
    let canary = "hunter2-canary";
    let mut inputs = main(&format!(
        "{HEAD}[vars]\npw = {{ secret = true }}\n{WEB}user-data = {{ text = \"pw={{{{ vars.pw }}}}\" }}\n"
    ));
    inputs.env_vars.insert("PW".into(), canary.into());
    let good = desired(&inputs);
    assert_eq!(good.secrets, BTreeSet::from([canary.to_owned()]));
    let script = good.machines["web"].user_data.as_ref().unwrap();
    assert_eq!(render_user_data(script, 0, "a").unwrap(), format!("pw={canary}").into_bytes());
    assert!(!format!("{good:?}").replace("secrets: {\"hunter2-canary\"}", "").contains(canary));
    for lines in [
        "key = \"{{ vars.pw }}\"",
        "tags = { a = \"{{ vars['pw'] }}\" }",
        "tags = { a = \"{{ vars | string }}\" }",
        "count = \"{{ vars.pw | int }}\"",
        "zones = [\"{{ vars['p' ~ 'w'] }}\"]",
    ] {
        let mut inputs = main(&format!("{HEAD}[vars]\npw = {{ secret = true }}\n{WEB}{lines}\n"));
        inputs.vars.insert("pw".into(), canary.into());
        let declared = declare(&inputs);
        assert!(declared.desired.is_none(), "{lines}");
        assert!(!format!("{:?}", declared.diagnostics).contains(canary), "{lines}: {:#?}", declared.diagnostics);
        assert!(declared.secrets.contains(canary));
    }
    let broken = format!(
        "{HEAD}[vars]\npw = {{ secret = true, default = \"{canary}\" }}\nn = {{ type = \"int\", secret = true, default = \"{canary}2\" }}\n"
    );
    for text in [format!("{broken}x = \n"), broken] {
        let declared = declare(&main(&text));
        assert!(declared.secrets.contains(canary), "whoever shows the line must know: {text}");
        assert!(!format!("{:?}", declared.diagnostics).contains(canary), "{:#?}", declared.diagnostics);
    }
}

#[test]
fn scopes_are_named_by_alias() {
    let text = format!(
        "{HEAD}[aws.west]\nregion = \"us-west-2\"\n{WEB}aws = \"west\"\nzones = [\"us-west-2a\"]\n[volumes.d]\nfor = \"machines.web\"\nsize = \"1GiB\""
    );
    let desired = desired(&main(&text));
    assert_eq!(desired.machines["web"].scope, "west");
    assert_eq!(desired.volumes["d"].scope, "west", "volumes live where their machines do");
    assert_eq!(desired.scopes.len(), 2);
}

#[test]
fn a_table_of_other_regions_alone_names_no_plain_one() {
    let names = |tables: &str, aws: &str| {
        let stack = "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n";
        let desired = desired(&main(&format!("{stack}{tables}{WEB}{aws}zones = [\"us-west-2a\"]\n")));
        desired.scopes.into_keys().collect::<Vec<_>>()
    };
    let west = "[aws.west]\nregion = \"us-west-2\"\n";
    assert_eq!(names(west, "aws = \"west\"\n"), ["west"]);
    assert_eq!(names(west, ""), ["", "west"], "a group names it");
    assert_eq!(names(&format!("[aws]\nprofile = \"ops\"\n{west}"), "aws = \"west\"\n"), ["", "west"]);
    assert_eq!(names("", ""), [""]);
}

#[test]
fn a_table_of_other_clusters_alone_names_no_plain_one() {
    let names = |tables: &str| desired(&web(tables)).clusters.into_keys().collect::<Vec<_>>();
    assert_eq!(names("[kubernetes.west]\ncontext = \"w\"\n"), ["kubernetes:west"]);
    assert_eq!(names("[kubernetes]\n"), ["kubernetes:"]);
    assert_eq!(names("[kubernetes]\nnamespace = \"ops\"\n[kubernetes.west]\ncontext = \"w\"\n").len(), 2);
    assert!(names("").is_empty());
}

#[test]
fn devices_are_shared_out_and_never_twice() {
    let two = |a: &str, b: &str| {
        web(&format!(
            "[volumes.a]\nfor = \"machines.web\"\nsize = \"1GiB\"\n{a}\n[volumes.b]\nfor = \"machines.web\"\nsize = \"1GiB\"\n{b}\n"
        ))
    };
    let good = desired(&two("device = \"/dev/sdf\"", ""));
    assert_eq!(good.volumes["b"].device, "/dev/sdg");
    assert_eq!(codes(&two("", "")), ["E0607"]);
    assert_eq!(codes(&two("device = \"/dev/sdf\"", "device = \"/dev/xvdf\"")), ["E0607"]);
}

#[test]
fn volumes_of_their_own_are_spread() {
    let good = desired(&web("[volumes.d]\nreplicas = 3\nsize = \"1TiB\"\nzones = [\"us-east-1a\", \"us-east-1b\"]"));
    let spread = Spread::Zones(vec!["us-east-1a".into(), "us-east-1b".into()]);
    assert_eq!(good.volumes["d"].layout, Layout::Replicas { count: 3, spread });
    assert_eq!(good.volumes["d"].size, Some(1024));
}

#[test]
fn a_group_is_renamed_once_and_from_what_is_gone() {
    let good = desired(&web("renamed-from = \"www\""));
    assert_eq!(good.renamed.iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>(), ["machines.www machines.web"]);
    let other = "[machines.app]\nimage = \"ami-1\"\ntype = \"t3.small\"\n";
    assert_eq!(codes(&web(&format!("renamed-from = \"app\"\n{other}"))), ["E0506"]);
    assert_eq!(codes(&web(&format!("renamed-from = \"app\"\n{other}renamed-from = \"web\""))), ["E0506", "E0506"]);
    assert_eq!(codes(&web(&format!("renamed-from = \"x\"\n{other}renamed-from = \"x\""))), ["E0506"]);
    assert_eq!(codes(&web("renamed-from = \"volumes.x\"")), ["E0506"]);
}

#[test]
fn warnings_do_not_refuse() {
    for (lines, code) in [
        ("market = \"spot\"\nprotect = true", "W0501"),
        ("follow = \"always\"", "W0502"),
        ("count = 6\nzones = [\"us-east-1a\", \"us-east-1b\"]\ncaps = { us-east-1a = 1 }", "W0503"),
        ("count = 3\n[policy]\nmax-unavailable = \"100%\"", "W0801"),
        ("count = 3\n[policy]\nmax-unavailable = 3", "W0801"),
    ] {
        let declared = declare(&web(lines));
        assert_eq!(declared.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [code], "{lines}");
        assert!(declared.desired.is_some(), "{lines}");
    }
}

#[test]
fn all_problems_are_said_at_once_in_the_order_of_the_text() {
    let text = "[stack]\nname = \"Shop\"\n[machines.web]\ncuont = 3\nimage = 4\ntype = []\n[volumes.d]\nfor = \"machines.wbe\"\nsize = \"20GB\"\n[tasks.x]\n";
    assert_eq!(codes(&main(text)), ["E0104", "E0110", "E0101", "E0103", "E0112", "E0605", "E0107", "E0102"]);
}

#[test]
fn what_could_be_read_of_a_broken_text_is_checked_too() {
    let text = "[stack]\nname = \"shop\n[machines.web]\ncuont = 3\nsize = 20GiB\n";
    assert_eq!(codes(&main(text)), ["E0001", "E0101", "E0001"]);
}

#[test]
fn the_safe_mends_mend() {
    let broken = format!(
        "{HEAD}[machines.Web_Tier]\nimage = \"ami-1\"\ninstance_type = \"T3.Small\"\ncount = \"3\"\nzones = \"us-east-1a\"\n\
         root = {{ size = \"20GB\" }}\nmonitoring = \"true\"\nmarket = \"Spot\"\n"
    );
    let declared = declare(&main(&broken));
    let mended = apply_fixes(&broken, &declared.diagnostics);
    let expected = format!(
        "{HEAD}[machines.web-tier]\nimage = \"ami-1\"\ntype = \"T3.Small\"\ncount = 3\nzones = [\"us-east-1a\"]\n\
         root = {{ size = \"20GiB\" }}\nmonitoring = true\nmarket = \"spot\"\n"
    );
    assert_eq!(mended, expected);
    let again = apply_fixes(&mended, &declare(&main(&mended)).diagnostics);
    desired(&main(&again));
}

#[test]
fn starters_are_read_without_a_word() {
    for s in super::starter::STARTERS {
        let text = starter(s.text, "My Shop_2", "7f3kq2x9", "eu-west-1");
        assert!(!text.contains("init."), "{}", s.name);
        let mut inputs = main(&text);
        inputs.files = s.files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        let desired = desired(&inputs);
        assert_eq!(desired.stack.name, "my-shop-2");
        let on_aws = !desired.machines.is_empty();
        assert!(!on_aws || desired.scopes[""].region.as_deref() == Some("eu-west-1"), "{}", s.name);
        assert_eq!(fmt(&text), Ok(text.clone()), "{} is formatted", s.name);
    }
    for (text, name) in [
        ("web", "web"),
        ("", "stack"),
        ("2fast", "fast"),
        ("Ünï", "n"),
        ("a".repeat(60).as_str(), "a".repeat(40).as_str()),
    ] {
        assert_eq!(super::starter::stack_name(text), name, "{text}");
    }
}

#[test]
fn who_says_nothing_of_kubernetes_has_no_cluster_and_needs_no_kubeconfig() {
    let without = desired(&main(&format!("{HEAD}{WEB}")));
    assert!(without.clusters.is_empty(), "{:?}", without.clusters);
    let with = desired(&main(&format!("{HEAD}{WEB}[kubernetes]\n")));
    assert_eq!(with.clusters.len(), 1);
}
