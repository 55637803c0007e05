//! The smaller commands, and how variables and environments come together.

use super::place::{Place, SHOP, TRIO};

#[test]
fn completions_exist_for_the_common_shells() {
    let place = Place::empty();
    for shell in ["bash", "zsh", "fish"] {
        let said = place.run(&format!("completions {shell}")).ends(0).shows("evenkeel").shows("unprotect");
        assert!(said.out.len() > 1000 && said.err.is_empty());
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let place = Place::empty();
    place.run("man").ends(0).shows(".TH evenkeel 1").shows("Exit codes");
    place.run("man --dir pages").ends(0);
    for name in ["evenkeel", "evenkeel-plan", "evenkeel-apply", "evenkeel-sim"] {
        assert!(place.read(&format!("pages/{name}.1")).contains(".TH"), "{name}");
    }
}

#[test]
fn the_schema_is_a_schema() {
    let place = Place::empty();
    let schema = place.run("schema").ends(0).json();
    assert!(schema["$schema"].as_str().is_some_and(|s| s.contains("json-schema.org")));
    assert!(schema["properties"]["machines"].is_object());
}

#[test]
fn every_starter_is_formatted_plans_and_applies_as_it_is() {
    for template in ["web", "quorum", "batch", "shop"] {
        let place = Place::empty();
        place.run(&format!("init --template {template} --name first")).ends(0).says("evenkeel --sim world.toml plan");
        place.run("validate").ends(0).never("warning");
        place.run("fmt --check").ends(0);
        place.run("plan --exit-code").ends(2);
        place.run("apply --yes").ends(0);
        place.run("plan --exit-code").ends(0);
        let outputs = place.run("output").ends(0).out;
        let shows = if template == "shop" { "inside = 10." } else { "172.31." };
        assert!(outputs.contains(shows) || template == "batch", "{outputs}");
    }
}

#[test]
fn init_guesses_the_name_and_the_region_and_makes_a_new_id_each_time() {
    let place = Place::empty();
    place.run_with(&[("AWS_REGION", "eu-west-3")], "-C My-Shop init").ends(0);
    let text = place.read("My-Shop/evenkeel.toml");
    assert!(text.contains("name = \"my-shop\"") && text.contains("region = \"eu-west-3\""), "{text}");
    place.run("-C My-Shop plan -o p").ends(0);
    place.run("-C My-Shop show p").ends(0).shows("to add");
    let id = || place.run("init --id").ends(0).out;
    let (one, two) = (id(), id());
    assert!(one != two && one.trim().len() == 8, "{one} {two}");
}

#[test]
fn fmt_says_what_it_would_do_does_it_once_and_keeps_comments() {
    let ugly = TRIO.replace("count = 3", "count   =   3   # as many as zones").replace("\n\n[aws]", "\n[aws]");
    let place = Place::with(&ugly);
    place.run("fmt --check").ends(1).says("evenkeel fmt");
    assert_eq!(place.read("evenkeel.toml"), ugly);
    place.run("fmt").ends(0);
    let text = place.read("evenkeel.toml");
    assert!(text.contains("count = 3") && text.contains("# as many as zones"), "{text}");
    place.run("fmt --check").ends(0);
    place.run("fmt").ends(0);
    assert_eq!(place.read("evenkeel.toml"), text);
}

#[test]
fn validate_mends_what_is_safe_to_mend_and_keeps_comments() {
    let place = Place::with(&SHOP.replace("count = 6", "cuont = 6 # six").replace("\"50GiB\"", "\"50GB\""));
    place.run("validate").ends(1).says("did you mean `count`");
    place.run("validate --fix").ends(0).says("2 fixed");
    let text = place.read("evenkeel.toml");
    assert!(text.contains("count = 6 # six") && text.contains("size = \"50GiB\""), "{text}");
    place.run("validate").ends(0);
}

#[test]
fn an_environment_lays_its_file_over_the_declaration() {
    let place = Place::with(TRIO);
    place.write("evenkeel.prod.toml", "[machines.node]\ncount = 5\n");
    place.run("plan").ends(0).shows("0 → 3");
    place.run("plan --env prod").ends(0).shows("0 → 5");
    place.run_with(&[("EVENKEEL_ENV", "prod")], "plan").ends(0).shows("0 → 5");
    place.run_with(&[("EVENKEEL_ENV", "prod")], "plan --env other").ends(1).says("evenkeel.other.toml");
}

#[test]
fn a_flag_beats_the_environment_beats_a_file_beats_the_default() {
    let file = TRIO.replace("[aws]", "[vars]\nmany = 1\n\n[aws]").replace("count = 3", "count = \"{{ vars.many }}\"");
    let place = Place::with(&file);
    place.write("vars.toml", "many = 2\n");
    place.write("more.toml", "many = 3\n");
    let env = [("EVENKEEL_VAR_many", "4")];
    place.run("plan").ends(0).shows("0 → 1");
    place.run("plan --var-file vars.toml").ends(0).shows("0 → 2");
    place.run("plan --var-file vars.toml --var-file more.toml").ends(0).shows("0 → 3");
    place.run_with(&env, "plan --var many=5").ends(0).shows("0 → 5");
    place.run("plan --var many=6 --var-file vars.toml").ends(0).shows("0 → 6");
    place.run_with(&env, "plan").ends(0).shows("0 → 4");
}

#[test]
fn outputs_come_as_text_as_one_value_and_as_json() {
    let outputs =
        "\n[outputs]\nfirst = \"machines.node[0].private_ip\"\nall = \"machines.node | map(attribute='id') | list\"\n";
    let place = Place::applied(&format!("{TRIO}{outputs}"));
    place.run("output").ends(0).shows("first = 172.31.").shows("all = [\"i-");
    let one = place.run("output first").ends(0).out;
    assert!(one.starts_with("172.31.") && one.ends_with('\n') && one.lines().count() == 1, "{one:?}");
    let json = place.run("output --format json").ends(0).json();
    assert_eq!((&json["format"], &json["stack"]["name"]), (&"evenkeel.output/1".into(), &"trio".into()));
    assert_eq!(json["outputs"]["first"], one.trim());
    assert_eq!(json["outputs"]["all"].as_array().map(Vec::len), Some(3));
    let alone = place.run("output all --format json").ends(0).json();
    assert_eq!(alone, json["outputs"]["all"]);
    assert_eq!(place.run("output --json").ends(0).json()["outputs"], json["outputs"], "the short form");
    assert_eq!(place.run("output first --json").ends(0).json(), one.trim());
    place.run("output nothing").ends(1).says("there are: all, first");
    place.edit("[outputs]", "[outputs]\nbroken = \"machines.noed[0].id\"");
    let json = place.run("output --format json").ends(1).json();
    assert_eq!((&json["failed"][0]["name"], &json["outputs"]["first"]), (&"broken".into(), &one.trim().into()));
}

#[test]
fn status_comes_as_text_as_json_and_as_markdown() {
    let trio = Place::applied(TRIO);
    let json = trio.run("status --format json").ends(0).json();
    assert_eq!(json["format"], "evenkeel.status/1");
    assert_eq!(trio.run("status --json").ends(0).json()["groups"], json["groups"], "the short form");
    let members = json["groups"][0]["members"].as_array().expect("members");
    let (text, markdown) = (trio.run("status").ends(0).out, trio.run("status --format markdown").ends(0).out);
    for id in members.iter().filter_map(|m| m["object"].as_str()) {
        assert!(text.contains(id) && markdown.contains(id), "{id}\n{text}\n{markdown}");
    }
    trio.run("status --json --format human").ends(64);
}

#[test]
fn an_environment_variable_that_is_empty_is_not_set() {
    let place = Place::with(TRIO);
    place.run_with(&[("EVENKEEL_ENV", "")], "plan").ends(0).shows("0 → 3");
    place.run_with(&[("EVENKEEL_SIM", "")], "validate").ends(0);
    place.run_with(&[("EVENKEEL_SIM", "")], "plan --sim world.toml").ends(0);
    place.run_with(&[("EVENKEEL_SIM", "")], "sim").ends(64).says("--sim");
    place.run_with(&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "eu-west-3")], "-C other init").ends(0);
    assert!(place.read("other/evenkeel.toml").contains("region = \"eu-west-3\""));
    // What somebody typed is another thing.
    place.args(&["plan", "--env", ""]).ends(64);
    place.args(&["plan", "--sim", ""]).ends(64);
}

#[test]
fn a_cluster_of_the_sim_takes_what_kubectl_does() {
    let place = Place::with(TRIO);
    let kubectl = |words: &[&str]| place.args(&[&["sim", "kubectl"], words].concat());
    let body = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels":
        {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}}}"#;
    kubectl(&["create", body]).ends(0);
    kubectl(&["scale", "deploy/web", "3"]).ends(0);
    place.run("sim advance 2m").ends(0);
    kubectl(&["get", "deploy"]).ends(0).shows("default/web").shows("3 of 3 ready").shows("kubectl-create");
    kubectl(&["get", "pods"]).ends(0).shows("Running on node-a").shows("3 objects");
    kubectl(&["label", "deploy/web", "tier"]).ends(64);
    kubectl(&["edit", "deploy/web", "{"]).ends(64);
    kubectl(&["get", "wigdets"]).ends(1);
    kubectl(&["delete", "deploy/web"]).ends(0);
    kubectl(&["get", "deploy"]).ends(0).shows("0 objects");
}

#[test]
fn the_sim_does_by_hand_what_it_says() {
    let shop = Place::applied(SHOP);
    shop.run("sim stop web/0").ends(0);
    shop.run("sim advance 2m").ends(0).says("It is ");
    shop.run("sim").ends(0).shows("stopped");
    shop.run("sim start web/0").ends(0);
    shop.run("sim impair web/1 --check system").ends(0);
    shop.run("sim").ends(0).shows("system check impaired");
    shop.run("sim recover web/1").ends(0);
    shop.run("sim retire web/3 --in 24h").ends(0);
    shop.run("sim").ends(0).shows("retirement");
    shop.run("sim detach data/4").ends(0);
    shop.run("sim").ends(0).shows("free");
    shop.run("sim lose-zone us-east-1c --announced").ends(0);
    shop.run("sim").ends(0).shows("lost since");
    shop.run("sim restore-zone us-east-1c").ends(0);
    shop.run("sim").ends(0).never("lost since");
    let all = shop.run("sim look --json").ends(0).json();
    let slot = all["machines"].as_array().expect("machines").len();
    assert_eq!(slot, 6);
}

#[test]
fn time_passes_only_when_something_waits_or_somebody_says_so() {
    let trio = Place::applied(TRIO);
    let now = || trio.run("sim look --json").json()["now"].clone();
    let before = now();
    assert_eq!(now(), before, "looking at the world takes no time");
    trio.run("sim advance 5m").ends(0);
    assert_ne!(now(), before);
}

#[test]
fn fmt_formats_what_is_piped_into_it() {
    let place = Place::empty();
    let piped = |words: &[&str], text: &str| {
        let mut command = place.command();
        command.args(words).stdin(std::process::Stdio::piped());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), text.as_bytes()).expect("it reads");
        super::place::end(child)
    };
    let formatted = piped(&["fmt", "-"], "[stack]\nname=\"x\"\n").ends(0).out;
    assert_eq!(formatted, "[stack]\nname = \"x\"\n");
    assert_eq!(piped(&["fmt", "-"], &formatted).ends(0).out, formatted);
    assert!(piped(&["fmt", "-", "--check"], &formatted).ends(0).out.is_empty());
    piped(&["fmt", "--check", "-"], "a=1").ends(1).says("<stdin> is not formatted");
    piped(&["fmt", "-"], "nonsense").ends(1).says("<stdin>");
    assert!(place.files().is_empty(), "no file is written");
}
