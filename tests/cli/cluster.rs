//! Kubernetes objects on the embedded sim: what a table asks to be waited for, what is let go, what can be asked for.

use super::place::Place;

const HEAD: &str =
    "[stack]\nname = \"shop\"\nid = \"7f3kq2x9\"\n\n[kubernetes]\n\n[policy]\nmax-deletes = \"100%\"\n\n";

fn with(table: &str, objects: &str) -> Place {
    let place = Place::with(&format!("{HEAD}[manifests.app]\nfiles = [\"app.yaml\"]\n{table}"));
    place.write("app.yaml", objects);
    place
}

fn config(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ k: v }}\n")
}

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  replicas: 2\n  selector: { \
                   matchLabels: { app: web } }\n  template:\n    metadata: { labels: { app: web } }\n    spec: { containers: \
                   [{ name: web, image: \"web:1\" }] }\n";

#[test]
fn a_run_waits_for_what_its_table_asks_for_and_says_what_it_saw() {
    let asked = |what: &str| format!("wait = \"40s\"\nwait-for = {{ \"Deployment.apps\" = \"{what}\" }}\n");
    with(&asked("condition=Available"), WEB).run("apply --yes").ends(0).says("ready: Deployment default/web");
    let never = with(&asked("jsonpath={.spec.paused}=true"), WEB);
    never.run("apply --yes").ends(7).says("Deployment default/web");
    // What was applied is there. The next run finds nothing to change, waits again, and calls no failure a success.
    never.run("plan --exit-code").ends(0);
    never
        .run("apply --yes")
        .ends(7)
        .says("Not ready yet, and waited for: Deployment default/web")
        .says("not ready after");
    never.run("apply --yes --exclude manifests.app").ends(0);
    never.edit("wait-for", "# wait-for");
    never.run("apply --yes").ends(0);
    // A kind that nothing is asked of is waited for in its own way.
    let other = "wait-for = { \"Service\" = \"jsonpath={.spec.type}=Never\" }\n";
    with(other, WEB).run("apply --yes").ends(0).says("ready: Deployment default/web");
}

#[test]
fn the_cap_on_deletes_holds_over_all_rounds_of_one_run() {
    let all: String = ["a", "b", "c", "d"].map(config).concat();
    let place = with("", &all);
    place.run("apply --yes").ends(0);
    // A zone has no room, so this run needs a second round, and of the objects one alone may go.
    let group = "count = 3\nimage = { owner = \"amazon\", name = \"al2023-ami-2023.*-x86_64\" }\ntype = \"t3.small\"\n\
                 zones = [\"us-east-1a\", \"us-east-1b\", \"us-east-1c\"]\n";
    place.edit("[manifests.app]", &format!("[machines.node]\n{group}\n[manifests.app]"));
    place.edit("max-deletes = \"100%\"", "max-deletes = 1");
    place.write("app.yaml", config("a"));
    place.run("sim capacity us-east-1b t3.small 0").ends(0);
    let said = place.run("apply --yes").ends(6).says("the plan for what is left").shows("may take 1 of 4 objects");
    let left = place.run("sim kubectl get configmaps").ends(0);
    let names = ["default/b", "default/c", "default/d"];
    assert_eq!(names.iter().filter(|name| left.out.contains(**name)).count(), 2, "{said}\n{left}");
    place.run("status").ends(0).shows("3 of 3");
}

#[test]
fn a_roll_out_that_failed_is_waited_for_by_the_next_run_too() {
    let place = with("wait = \"40s\"\n", WEB);
    place.run("sim kubectl spoil-image web:1").ends(0);
    place.run("apply --yes").ends(7);
    place.run("plan --exit-code").ends(0);
    place.run("status").ends(9);
    let again = place.run("apply --yes").ends(7);
    assert!(again.err.contains("not ready after 40s") && again.err.contains("web:1"), "the pods' own reason: {again}");
    // Another change of the stack does not make it a success either.
    place.write("app.yaml", format!("{WEB}{}", config("a")));
    place.run("apply --yes").ends(7).says("Deployment default/web");
    place.run("sim kubectl spoil-image web:1 --undo").ends(0);
    // It is tried again after minutes only.
    place.edit("40s", "10m");
    place.run("apply --yes").ends(0).says("All of it is ready");
    place.run("apply --yes").ends(0).never("Not ready");
    place.run("status").ends(0);
}

#[test]
fn status_tells_the_last_words_of_what_keeps_crashing() {
    let place = with("wait = \"40s\"\n", WEB);
    place.run("sim kubectl crash-image web:1 --log no-database").ends(0);
    place.run("apply --yes").ends(7).says("its log ends: no-database");
    place.run("status").ends(9).shows("its log ends: no-database");
    let json = place.run("status --json").ends(9);
    assert!(json.out.contains("its log ends: no-database"), "{json}");
}

#[test]
fn what_may_not_be_read_takes_no_other_words_along() {
    let other = "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: { name: db }\nspec:\n  serviceName: db\n  selector: { matchLabels: { app: db } }\n  template:\n    metadata: { labels: { app: db } }\n    spec: { containers: [{ name: db, image: 'web:1' }] }\n";
    let place = with("wait = \"40s\"\n", &format!("{WEB}{other}"));
    place.run("sim kubectl crash-image web:1 --log no-database").ends(0);
    place.run("apply --yes").ends(7);
    let fault = r#"{"add-fault":{"fault":{"effect":{"fail":"denied"},"on":["GetObject"],"kind":"StatefulSet.apps"}}}"#;
    place.args(&["sim", "do", fault]).ends(0);
    place.run("status").ends(9).shows("StatefulSet default/db").shows("its log ends: no-database");
}

#[test]
fn what_a_table_does_not_prune_is_let_go_and_said() {
    let place = with("prune = false\n", &format!("{}{}", config("a"), config("b")));
    place.run("apply --yes").ends(0);
    place.write("app.yaml", config("a"));
    place.run("plan --exit-code").ends(0).shows("is no longer in the file and stays");
    place.run("apply --yes").ends(0);
    place.run("sim kubectl get configmaps").ends(0).shows("default/b");
    // Without that line it goes.
    place.edit("prune = false\n", "");
    place.run("apply --yes").ends(0);
    place.run("sim kubectl get configmaps").ends(0).shows("default/a").never("default/b");
}

#[test]
fn outputs_read_live_objects_but_no_secret() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: { name: my-web }\nspec: { type: LoadBalancer, ports: [{ port: 80 }] }\n";
    let secret =
        "---\napiVersion: v1\nkind: Secret\nmetadata: { name: key }\nstringData: { key: correct-horse-battery }\n";
    let twice = config("a").replace("name: a", "name: a, namespace: blue");
    let space = "---\napiVersion: v1\nkind: Namespace\nmetadata: { name: blue }\n";
    let place = with("", &format!("{}{twice}{service}{secret}{space}", config("a")));
    let outputs = "\n[outputs]\naddress = \"manifests.app.Service.my_web.spec.clusterIP\"\noutside = \
                   \"manifests.app.Service['my-web'].status.loadBalancer.ingress[0]\"\nblue = \
                   \"manifests.app.ConfigMap['blue/a'].metadata.namespace\"\n";
    let text = place.read("evenkeel.toml");
    place.write("evenkeel.toml", format!("{text}{outputs}"));
    place.run("apply --yes").ends(0);
    assert!(place.run("output address").ends(0).out.starts_with("10."));
    place.run("output outside").ends(0);
    assert_eq!(place.run("output blue").ends(0).out, "blue\n");
    for (expression, why) in
        [("manifests.app.ConfigMap.a.data", "output `blue`"), ("manifests.app.Secret.key.data.key", "output `blue`")]
    {
        place.write("evenkeel.toml", format!("{text}\n[outputs]\nblue = \"{expression}\"\n"));
        place.run("output blue").ends(1).says(why).never("hmac:");
    }
}

#[test]
fn drift_names_the_hand_that_moved_each_field_and_says_where_nobody_tells() {
    let labelled = format!("{WEB}---\n{}", config("a").replace("name: a", "name: a, labels: { team: web }"));
    let machines = "\n[aws]\nregion = \"us-east-1\"\n[machines.node]\ncount = 1\nimage = { owner = \"amazon\", name = \
                    \"al2023-ami-2023.*-x86_64\" }\ntype = \"t3.small\"\nzones = [\"us-east-1a\"]\n";
    let place = with(machines, &labelled);
    place.run("apply --yes").ends(0);
    place.run("drift --blame").ends(0).never("by ");
    place.run("sim kubectl scale deployment/web 5").ends(0);
    place.run("sim kubectl set-image deployment/web web:2").ends(0);
    place.run("sim kubectl label configmap/a team=theirs").ends(0);
    place.run("sim set-type node/0 t3.large").ends(0);
    let page = place.run("drift --blame").ends(3);
    for says in [
        "by kubectl (scale); the server does not say when",
        "by kubectl-set at 20",
        "by kubectl-label at 20",
        "by whom, EC2 does not tell",
    ] {
        let words = page.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(says), "{says}\n{page}");
    }
    let blamed = |args: &str| {
        let json = place.run(args).ends(3).json();
        json["drift"].as_array().expect("a list").clone()
    };
    assert!(blamed("drift --format json").iter().all(|f| f.get("blame").is_none()));
    let all = blamed("drift --blame --format json");
    let of = |field: &str| all.iter().find(|f| f["field"] == field).unwrap_or_else(|| panic!("{field}: {all:#?}"));
    let scaled = &of("spec.replicas")["blame"];
    assert_eq!((&scaled["manager"], &scaled["subresource"]), (&"kubectl".into(), &"scale".into()));
    assert!(scaled["at"].is_null(), "{scaled}");
    let set = all.iter().find(|f| f["blame"]["manager"] == "kubectl-set").expect("the image");
    assert!(set["blame"]["at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()), "{set}");
    let (ec2, nobody) = (&of("type")["blame"], serde_json::Value::Null);
    assert_eq!((&ec2["manager"], &ec2["at"]), (&nobody, &nobody));
    assert!(ec2["says"].as_str().is_some_and(|says| says.contains("EC2 does not tell")), "{ec2}");
    // What was taken away is held by nobody any more.
    place.run("sim kubectl label configmap/a team-").ends(0);
    place.run("drift --blame").ends(3).shows("no manager holds the field now");
}

const MARK: &str = "configmap/evenkeel-7f3kq2x9";
const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 80 }] }\n";

#[test]
fn a_mark_that_was_deleted_is_written_anew_and_what_the_file_forgot_meanwhile_is_found() {
    let place = with("", &format!("{}{SERVICE}", config("a")));
    place.run("apply --yes").ends(0);
    place.run(&format!("sim kubectl delete {MARK}")).ends(0);
    place.run("plan --exit-code").ends(2).shows("is not there: it is written anew");
    place.run("apply --yes").ends(0);
    place.run("plan --exit-code").ends(0);
    place.run("sim kubectl get configmaps").ends(0).shows("evenkeel-7f3kq2x9");
    place.run(&format!("sim kubectl delete {MARK}")).ends(0);
    place.write("app.yaml", config("a"));
    place.run("apply --yes").ends(0);
    place.run("sim kubectl get services").ends(0).never("default/s");
    place.run("plan --exit-code").ends(0);
    place.run("destroy --yes").ends(0);
    place.run("sim kubectl get configmaps").ends(0).never("evenkeel-7f3kq2x9");
}

#[test]
fn a_destroy_that_failed_names_itself_though_a_former_mark_goes_too() {
    let place = with("", &config("a"));
    place.run("apply --yes").ends(0);
    place.edit("[kubernetes]", "[kubernetes]\nnamespace = \"kube-public\"");
    let fault = r#"{"add-fault":{"fault":{"effect":{"fail":"denied"},"on":["DeleteObject"]}}}"#;
    place.args(&["sim", "do", fault]).ends(0);
    place.run("destroy --yes").ends(7).says("`evenkeel destroy` again").never("`evenkeel apply`");
    place.run("sim clear-faults").ends(0);
    place.run("destroy --yes").ends(0);
    place.run("sim kubectl get configmaps").ends(0).never("evenkeel-7f3kq2x9").never("default/a");
}

#[test]
fn a_mark_without_one_of_its_labels_or_annotations_is_ours_and_gets_them_back() {
    let place = with("", &format!("{}{SERVICE}", config("a")));
    place.run("apply --yes").ends(0);
    for (hand, key) in [
        ("label", "applyset.kubernetes.io/id"),
        ("label", "evenkeel.dev/stack"),
        ("annotate", "applyset.kubernetes.io/tooling"),
        ("annotate", "applyset.kubernetes.io/contains-group-kinds"),
    ] {
        place.run(&format!("sim kubectl {hand} {MARK} {key}-")).ends(0);
        place.run("plan --exit-code").ends(2).shows("has lost its marks").shows("0 to destroy").never("is the set of");
        place.run("apply --yes").ends(0);
        place.run("plan --exit-code").ends(0);
    }
    // Handed over, it is not taken back.
    place.run(&format!("sim kubectl annotate {MARK} applyset.kubernetes.io/tooling=kubectl/v1.37")).ends(0);
    place.run("apply --yes").ends(6).shows("is the set of kubectl/v1.37");
}

#[test]
fn another_namespace_for_the_mark_forgets_nothing_that_goes_in_the_same_run() {
    let fixed = |text: &str| text.replace("metadata: { ", "metadata: { namespace: default, ");
    let place = with("", &fixed(&format!("{}{SERVICE}", config("a"))));
    place
        .args(&["sim", "kubectl", "create", r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"ops"}}"#])
        .ends(0);
    place.run("apply --yes").ends(0);
    place.edit("[kubernetes]\n", "[kubernetes]\nnamespace = \"ops\"\n");
    place.write("app.yaml", fixed(&config("a")));
    place.run("apply --yes").ends(0);
    place.run("sim kubectl get services").ends(0).never("default/s");
    place.run("sim kubectl get configmaps").ends(0).shows("ops/evenkeel-7f3kq2x9").never("default/evenkeel-7f3kq2x9");
    place.run("plan --exit-code").ends(0);
}

#[test]
fn a_world_that_the_file_no_longer_names_is_not_forgotten_in_silence() {
    let machines = "[aws]\nregion = \"us-east-1\"\n\n[machines.node]\ncount = 1\nimage = { owner = \"amazon\", name = \
                    \"al2023-ami-2023.*-x86_64\" }\ntype = \"t3.small\"\nzones = [\"us-east-1a\"]\n";
    let place = with("", &config("a"));
    let cluster = place.read("evenkeel.toml");
    let both = format!("{cluster}\n{machines}");
    place.write("evenkeel.toml", &both);
    place.run("apply --yes").ends(0);
    place.write("evenkeel.toml", &cluster);
    place.run("plan").ends(8).shows("[aws]").shows("had 1 object of");
    place.run("apply --yes").ends(8);
    let stack = HEAD.replace("[kubernetes]\n", "");
    place.write("evenkeel.toml", format!("{stack}{machines}"));
    place.run("plan").ends(8).shows("[kubernetes]").shows("had 1 object of");
    // Back in the file, all is as it was; taken out in order, nothing is left to remember.
    place.write("evenkeel.toml", &both);
    place.run("plan --exit-code").ends(0);
    place.write("evenkeel.toml", both.replace("[manifests.app]\nfiles = [\"app.yaml\"]\n", ""));
    place.run("apply --yes").ends(0);
    place.write("evenkeel.toml", format!("{stack}{machines}"));
    place.run("plan --exit-code").ends(0);
}

#[test]
fn a_part_of_a_stack_is_asked_for_by_group_by_object_and_by_pattern() {
    let workload = "\n[workloads.shop]\nimage = \"shop:1\"\nspread = false\n";
    let all = || with(workload, &format!("{}{}", config("a"), config("b")));
    let only = |target: &str, there: &[&str], away: &[&str]| {
        let place = all();
        place.run(&format!("apply --yes --target {target}")).ends(0);
        let shown = place.run("sim kubectl get").ends(0);
        there.iter().for_each(|name| assert!(shown.out.contains(name), "{target}: no {name}\n{shown}"));
        away.iter().for_each(|name| assert!(!shown.out.contains(name), "{target}: {name}\n{shown}"));
    };
    only("manifests.app", &["default/a", "default/b"], &["default/shop"]);
    only("workloads.shop", &["default/shop"], &["default/a"]);
    only("manifests.app/ConfigMap/default/b", &["default/b"], &["default/a", "default/shop"]);
    only("manifests.app/ConfigMap/*/a", &["default/a"], &["default/b", "default/shop"]);
    only("shop", &["default/shop"], &["default/a"]);

    let place = all();
    for (target, near) in [
        ("manifests.ap", "did you mean manifests.app?"),
        ("manifests.app/ConfigMap/default/c", "did you mean manifests.app/ConfigMap/default/"),
        ("shp", "did you mean shop?"),
        ("workloads.db", "`evenkeel status` lists what is"),
    ] {
        place.run(&format!("plan --target {target}")).ends(64).says(target).says(near);
        // Beside one that names something it is a note: an earlier run may have ended what it named.
        place.run(&format!("plan --target manifests.app --target {target}")).ends(0).says("note: ").says(target);
        place.run(&format!("destroy --yes --target {target}")).ends(64);
    }
}

#[test]
fn an_object_is_replaced_by_name_and_a_wrong_name_is_said() {
    let outputs = "\n[outputs]\nuid = \"manifests.app.ConfigMap.settings.metadata.uid\"\n";
    let place = with(outputs, &config("settings"));
    place
        .run("plan --replace manifests.app/ConfigMap/default/settings")
        .ends(64)
        .says("names nothing that is declared or live");
    place.run("apply --yes").ends(0);
    let uid = || place.run("output uid").ends(0).out;
    let before = uid();
    place.run("apply --yes --replace manifests.app/ConfigMap/default/settings").ends(0).shows("replace");
    assert_ne!(before, uid());
    place.run("plan --exit-code").ends(0);
    let wrong = "manifests.app/ConfigMap/default/setting";
    place.run(&format!("apply --yes --replace {wrong}")).ends(64).says(&format!("did you mean {wrong}s?"));
}

#[test]
fn an_object_is_protected_and_the_command_that_a_plan_prints_takes_it_off() {
    let place = with("", &format!("{}{}", config("a"), config("b")));
    place.run("apply --yes").ends(0);
    place.run("protect manifests.app/ConfigMap/default/b").ends(0).says("ConfigMap/default/b is protected");
    place.run("plan --exit-code").ends(0);
    place.run("status").ends(0).shows("protected");
    place.write("app.yaml", config("a"));
    let held = place.run("apply --yes").ends(6);
    let way_out = "evenkeel unprotect manifests.app/ConfigMap/default/b";
    assert!(held.out.contains(way_out), "{held}");
    place.run("sim kubectl get configmaps").ends(0).shows("default/b");
    place.run(way_out.strip_prefix("evenkeel ").expect("a command")).ends(0).says("is no longer protected");
    place.run("apply --yes").ends(0);
    place.run("sim kubectl get configmaps").ends(0).never("default/b");
    // A whole group; what the file says is said.
    place.run("protect app").ends(0);
    place.run("destroy --yes").ends(6);
    place.edit("files =", "protect = true\nfiles =");
    place.run("unprotect manifests.app").ends(0).says("the next apply protects it again");
    place.run("protect manifests.app/ConfigMap/default/b").ends(1).says("nothing live is called");
    place.run("protect manifests.app/ConfigMap").ends(64).says("neither a group nor a part of one");
}

#[test]
fn a_namespace_that_is_taken_out_before_what_is_in_it_has_a_way_out_that_works() {
    let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n";
    let inside = config("a").replace("name: a", "name: a, namespace: shop");
    let place = with("", &format!("{namespace}{inside}"));
    place.run("apply --yes").ends(0);
    place.write("app.yaml", &inside);
    place.run("apply --yes");
    place.run("sim advance 8d").ends(0);
    let page = place.run("plan").never("unprotect").out;
    let page: Vec<&str> = page.split_whitespace().collect();
    assert!(page.join(" ").contains("put it back into the file, or take what is in it out too"), "{page:?}");
    place.run("unprotect manifests.app/Namespace/shop").ends(0).says("was not protected").never("no longer");
    place.write("app.yaml", format!("{namespace}{inside}"));
    place.run("apply --yes").ends(0);
    place.run("plan --exit-code").ends(0);
}

#[test]
fn a_deletion_that_is_stuck_is_told_by_every_run_and_what_is_gone_is_called_done() {
    let stuck = config("stuck").replace("name: stuck", "name: stuck, finalizers: [example.org/held]");
    let place = with("", &format!("{}{stuck}", config("a")));
    place.run("apply --yes").ends(0);
    let first = place.run("destroy --yes").ends(7).says("waits for finalizer example.org/held");
    first
        .says("Applied in part: 1 change done")
        .says("run `evenkeel destroy` again")
        .says("left out: delete the stack's own mark")
        .never("left out: delete ConfigMap");
    place.run("sim kubectl get configmaps").ends(0).never("default/a").shows("evenkeel-7f3kq2x9");
    place.run("destroy --yes").ends(7).shows("waits for finalizer").never("No changes").never("Applied");
    // Out of the file it is told too, and no plan is in sync with it.
    place.write("app.yaml", config("a"));
    place.run("apply --yes").ends(7).shows("example.org/held");
    place.run("plan --exit-code").ends(2).shows("example.org/held");
    place.args(&["sim", "kubectl", "edit", "configmap/stuck", r#"{"metadata":{"finalizers":null}}"#]).ends(0);
    place.run("plan --exit-code").ends(0);
    place.run("destroy --yes").ends(0);
    place.run("sim kubectl get configmaps").ends(0).never("evenkeel-7f3kq2x9");
}

#[test]
fn an_object_that_a_hand_has_deleted_is_drift_and_one_that_the_file_adds_is_not() {
    let place = with("", &format!("{WEB}{}", config("a")));
    let both = format!("{WEB}{}{}", config("a"), config("b"));
    place.run("apply --yes").ends(0);
    place.run("sim kubectl delete configmap/a").ends(0);
    place.run("sim kubectl delete deployment/web").ends(0);
    place.run("plan --exit-code").ends(3).shows("somebody deleted it");
    place.run("drift").ends(3).shows("2 drifts on 2 objects").shows("nothing pending").never("spec.template");
    place.run("drift --blame").ends(3).shows("a cluster does not tell who deletes");
    // Another object that the file adds is pending; both is 4.
    place.write("app.yaml", &both);
    place.run("drift").ends(4);
    place.run("apply --yes").ends(0);
    place.run("plan --exit-code").ends(0);
    // What a run of our own deletes to make it anew, or because the file no longer has it, is no drift.
    place.run("apply --yes --replace manifests.app/ConfigMap/default/a").ends(0);
    place.write("app.yaml", format!("{WEB}{}", config("a")));
    place.run("apply --yes").ends(0);
    place.write("app.yaml", &both);
    place.run("plan --exit-code").ends(2).never("somebody deleted it");
    place.run("destroy --yes").ends(0);
    place.run("plan --exit-code").ends(2).never("somebody deleted it");
}
