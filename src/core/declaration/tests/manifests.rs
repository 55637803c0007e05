//! Manifests: what YAML says to kubectl it says here, every mistake has its place, and no secret gets out.

use serde_json::json;

use super::*;

fn with(files: &[(&str, &str)], lines: &str) -> Inputs {
    let mut inputs = main(&format!("{HEAD}{lines}"));
    inputs.files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    inputs
}

/// One file, named by the one table of manifests.
fn manifest(text: &str) -> Inputs {
    with(&[("k8s/a.yaml", text)], "[manifests.m]\nfiles = [\"k8s\"]\n")
}

fn config(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

fn bundle(inputs: &Inputs) -> Bundle {
    desired(inputs).bundles.into_values().next().expect("a table of manifests")
}

fn body(inputs: &Inputs) -> serde_json::Value {
    bundle(inputs).objects[0].body.json().clone()
}

fn said(inputs: &Inputs) -> Vec<(&'static str, String)> {
    let declared = declare(inputs);
    let place = |d: &crate::diagnostic::Diagnostic| {
        let place = d.places.first()?;
        let text = &declared.sources.iter().find(|s| s.name == place.file)?.text;
        let before = &text[..place.span.start];
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Some(format!("{}:{}:{column}", place.file, before.matches('\n').count() + 1))
    };
    declared.diagnostics.iter().map(|d| (d.code, place(d).unwrap_or_default())).collect()
}

/// The answers are those of `kubectl apply` (sigs.k8s.io/yaml 1.6.0), noted once; an error there is an error here.
#[test]
fn a_scalar_means_what_it_means_to_kubectl() {
    let rows: &[(&str, serde_json::Value)] = &[
        ("0644", json!(420)),
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("y", json!(true)),
        ("N", json!(false)),
        ("yES", json!("yES")),
        ("True", json!(true)),
        ("tRue", json!("tRue")),
        ("~", json!(null)),
        ("Null", json!(null)),
        ("nUll", json!("nUll")),
        ("", json!(null)),
        ("1e3", json!(1000)),
        ("1.e+3", json!(1000)),
        ("1.0", json!(1)),
        ("0.1", json!(0.1)),
        (".5", json!(0.5)),
        ("5.", json!(5)),
        ("+.5", json!(0.5)),
        ("-.5e1", json!(-5)),
        ("1e21", json!(1e21)),
        ("1.5e-7", json!(1.5e-7)),
        ("1e-400", json!(0)),
        ("1e400", json!("1e400")),
        ("0o17", json!(15)),
        ("0o8", json!("0o8")),
        ("-0o17", json!(-15)),
        ("08", json!(8)),
        ("089", json!(89)),
        ("-017", json!(-15)),
        ("+017", json!(15)),
        ("0x1F", json!(31)),
        ("-0x1f", json!(-31)),
        ("0X1f", json!(31)),
        ("0xg", json!("0xg")),
        ("0b101", json!(5)),
        ("-0b11", json!(-3)),
        ("0B11", json!(3)),
        ("0b2", json!("0b2")),
        ("+12", json!(12)),
        ("-0", json!(0)),
        ("1_000", json!(1000)),
        ("1__0", json!(10)),
        ("1_", json!(1)),
        ("_1", json!("_1")),
        ("0_7", json!(7)),
        ("190:20:30", json!("190:20:30")),
        ("1:30", json!("1:30")),
        ("2001-01-01", json!("2001-01-01")),
        ("2001-12-14t21:59:43.10-05:00", json!("2001-12-14t21:59:43.10-05:00")),
        ("9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
        ("-9223372036854775808", json!(-9_223_372_036_854_775_808_i64)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("12345678901234567890123", json!(1.234_567_890_123_456_8e22)),
        ("'yes'", json!("yes")),
        ("\"1\"", json!("1")),
        ("=", json!("=")),
        ("<<", json!("<<")),
        ("a#b", json!("a#b")),
        ("a #b", json!("a")),
        ("! 3", json!("3")),
        ("!!str 3", json!("3")),
        ("!!int \"3\"", json!(3)),
        ("!!float 3", json!(3)),
        ("!!bool yes", json!(true)),
        ("!!binary aGk=", json!("hi")),
        ("!!timestamp 2001-01-01", json!("2001-01-01")),
        ("[a, b,]", json!(["a", "b"])),
        ("{a: , b}", json!({ "a": null, "b": null })),
        ("|\n   a\n    b", json!("a\n b")),
        (">-\n   a\n   b", json!("a b")),
        ("\"a\n   b\"", json!("a b")),
    ];
    for (scalar, value) in rows {
        let text = format!("apiVersion: example.com/v1\nkind: Thing\nmetadata: {{ name: a }}\nspec:\n  v: {scalar}");
        assert_eq!(body(&manifest(&text))["spec"]["v"], *value, "{scalar}");
    }
    for (line, code) in [
        ("v: .inf", "E1008"),
        ("v: .NaN", "E1008"),
        ("v: !!int x", "E1008"),
        ("v: !!float x", "E1008"),
        ("v: !!null x", "E1008"),
        ("v: @x", "E1004"),
        ("v: `x`", "E1004"),
        ("v: foo: bar", "E1004"),
        ("v: \"b\"c", "E1004"),
        ("v: *x", "E1004"),
        ("v: {{ x }}", "E1007"),
        ("v: \u{1}", "E1004"),
        ("~: x", "E1007"),
        ("? [a]\n  : b", "E1007"),
        ("v: &a [*a]", "E1004"),
        ("<<: 3", "E1004"),
        // kubectl takes these by mistake, and nobody means what it makes of them.
        ("on: x", "E1007"),
        ("y: x", "E1007"),
        ("0x10: x", "E1007"),
        ("1e3: x", "E1007"),
        ("v: !local x", "E1008"),
        ("v: !local { a: 1 }", "E1008"),
        ("v: 1\n  v: 2", "E1005"),
        ("v: 1\n  \"v\": 2", "E1005"),
    ] {
        let text = format!("apiVersion: example.com/v1\nkind: Thing\nmetadata: {{ name: a }}\nspec:\n  {line}\n");
        assert_eq!(codes(&manifest(&text)), [code], "{line}");
    }
}

#[test]
fn keys_that_are_numbers_are_their_text_and_quotes_make_text_of_anything() {
    let text =
        "apiVersion: example.com/v1\nkind: Thing\nmetadata: { name: a }\nspec: { 8080: a, 1.5: b, 'yes': c, \"~\": d }";
    assert_eq!(body(&manifest(text))["spec"], json!({ "8080": "a", "1.5": "b", "yes": "c", "~": "d" }));
}

#[test]
fn anchors_and_merge_keys_are_carried_out_as_kubectl_does() {
    let head = "apiVersion: example.com/v1\nkind: Thing\nmetadata: { name: a }\n";
    let text = format!(
        "{head}a: &a {{ x: 1, k: 1 }}\nb: &b {{ x: 2, z: 2 }}\nc:\n  <<: [*a, *b]\n  k: 3\nd: *a\ne: {{ <<: *a }}\nf: &s text\ng: *s\n"
    );
    let body = body(&manifest(&text));
    assert_eq!(body["c"], json!({ "x": 1, "k": 3, "z": 2 }));
    assert_eq!((&body["d"], &body["e"], &body["g"]), (&body["a"], &body["a"], &json!("text")));
    let inputs = manifest(&format!("{head}a: &a {{ x: 1 }}\nb:\n  x: 2\n  <<: *a\n"));
    assert_eq!(codes(&inputs), ["W1001"], "what stands before `<<` loses, and that is said");
    let declared = declare(&inputs).desired.unwrap();
    assert_eq!(declared.bundles.into_values().next().unwrap().objects[0].body.json()["b"], json!({ "x": 1 }));
}

#[test]
fn json_is_read_with_tabs_and_many_objects_are_read_from_one_file() {
    let tabs = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\n\t\t\"name\": \"a\"\n\t},\n\t\"data\": {\"x\": \"\\u00e9\\/\"}\n}\n";
    assert_eq!(body(&manifest(tabs))["data"], json!({ "x": "é/" }));
    let many = format!("# head\n---\n{}---\n---\n# nothing\n---\n{}...\n", config("a"), config("b"));
    let names: Vec<_> = bundle(&manifest(&many)).objects.iter().map(|o| (o.object.name.clone(), o.line)).collect();
    assert_eq!(names, [("a".into(), 3), ("b".into(), 11)]);
    let list = "apiVersion: v1\nkind: List\nitems:\n- { apiVersion: v1, kind: Secret, metadata: { name: s } }\n- apiVersion: v1\n  kind: ConfigMapList\n  items: [{ metadata: { name: c } }]\n";
    let names: Vec<_> = bundle(&manifest(list)).objects.iter().map(|o| o.object.to_string()).collect();
    assert_eq!(names, ["Secret/default/s", "ConfigMap/default/c"]);
}

#[test]
fn bombs_are_refused_in_moments() {
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..30 {
        let above = format!("*a{}", i - 1);
        laughs += &format!("a{i}: &a{i} [{}]\n", vec![above; 10].join(","));
    }
    let deep = format!("a: {}", "[".repeat(10_000));
    let blocks: String = (0..400).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let long = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(1 << 20), "*a,".repeat(100_000));
    let chain: String = (0..200).map(|i| format!("k{i}: &k{i} [*k{}]\n", i.max(1) - 1)).collect();
    for (text, code) in [(laughs, "E1006"), (deep, "E1006"), (blocks, "E1006"), (long, "E1006"), (chain, "E1006")] {
        let found = codes(&manifest(&text));
        assert!(found.contains(&code), "{found:?} {}", &text[..60]);
    }
}

#[test]
fn what_an_object_lacks_is_said_at_its_place() {
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("kind: Pod\nmetadata: { name: a }", &[("E1101", "1:1")]),
        ("apiVersion: v1\nmetadata: { name: a }", &[("E1101", "1:1")]),
        ("apiVersion: v1\nkind: Pod", &[("E1101", "2:1")]),
        ("apiVersion: v1\nkind: Pod\nmetadata:", &[("E1101", "3:1")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}", &[("E1101", "3:1")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: x", &[("E1101", "3:11")]),
        ("apiVersion: 1\nkind: Pod\nmetadata: { name: a }", &[("E1101", "1:13")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: 12 }", &[("E1101", "3:19")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: }", &[("E1101", "3:13")]),
        ("apiVersion: v1\nkind: Deployment\nmetadata: { name: a }", &[("E1101", "1:13")]),
        ("apiVersion: apps/v1\nkind: deployment\nmetadata: { name: a }", &[("E1101", "2:7")]),
        ("apiVersion: a/b/c\nkind: Thing\nmetadata: { name: a }", &[("E1101", "1:13")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { generateName: a- }", &[("E1102", "3:13")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: My_Pod }", &[("E1103", "3:19")]),
        ("apiVersion: v1\nkind: Service\nmetadata: { name: a.b }", &[("E1103", "3:19")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: A }", &[("E1103", "3:33")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: 7 }", &[("E1105", "3:33")]),
        ("apiVersion: v1\nkind: Namespace\nmetadata: { name: a, namespace: b }", &[("W1103", "3:33")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: a, labels: { a: true } }", &[("E1106", "3:35")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: a, labels: { a: b c } }", &[("E1106", "3:35")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: a, annotations: { 'a b': c } }", &[("E1106", "3:37")]),
        ("apiVersion: v1\nkind: Pod\nmetadata: { name: a, labels: { evenkeel.dev/stack: c } }", &[("E1106", "3:32")]),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { m: 1 }", &[("E1107", "4:12")]),
        ("apiVersion: v1\nkind: Secret\nmetadata: { name: a }\ndata: { m: plain text }", &[("E1107", "4:12")]),
        ("apiVersion: v1\nkind: List\nitems: { a: 1 }", &[("E1108", "3:8")]),
        ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []", &[("E1109", "1:13")]),
        ("- a", &[("E1101", "1:1")]),
        ("just text", &[("E1101", "1:1")]),
        ("kind: Pod\nmetadata: { name: X, namespace: 7 }", &[("E1101", "1:1"), ("E1105", "2:33")]),
    ];
    for (text, wanted) in rows {
        let wanted: Vec<_> = wanted.iter().map(|(code, at)| (*code, format!("k8s/a.yaml:{at}"))).collect();
        assert_eq!(said(&manifest(text)), wanted, "{text}");
    }
    let odd =
        declare(&manifest("apiVersion: v1\nkind: Pod\nmetadata: { name: y, labels: { mode: 0644 } }")).diagnostics;
    let ways: Vec<_> = odd.iter().map(|d| d.way_out.as_str()).collect();
    assert_eq!(ways, ["write \"y\" between quotes", "write \"0644\" between quotes"], "as it stands");
    let broken = format!("{}---\na: [1\n---\n{}x: [\n", config("A"), config("b"));
    let all: Vec<_> = said(&manifest(&broken)).into_iter().map(|(code, _)| code).collect();
    assert_eq!(all, ["E1103", "E1004", "E1004"], "a broken document hides no other");
}

#[test]
fn what_the_server_writes_itself_is_left_out() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  creationTimestamp: null\n  uid: x\n  resourceVersion: '1'\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: x\nstatus: { x: 1 }\n";
    let inputs = manifest(text);
    assert_eq!(codes(&inputs), ["W1102", "W1101"]);
    let desired = declare(&inputs).desired.unwrap();
    let body = desired.bundles.values().next().unwrap().objects[0].body.json();
    let keys: Vec<_> = body["metadata"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["annotations", "labels", "name", "namespace"]);
    let marks: Vec<_> = body["metadata"]["annotations"].as_object().unwrap().keys().collect();
    assert_eq!(body["status"], json!(null));
    assert!(marks.iter().all(|m| m.starts_with("evenkeel.dev/")), "{marks:?}");
    let quiet = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: a, creationTimestamp: null }\nstatus: {}\n";
    assert_eq!(codes(&manifest(quiet)), Vec::<&str>::new());
}

#[test]
fn an_object_gets_its_namespace_and_the_stacks_marks() {
    let lines = "[kubernetes]\nnamespace = \"base\"\n[kubernetes.west]\ncontext = \"w\"\n\
                 [manifests.a]\nfiles = [\"a.yaml\"]\nnamespace = \"own\"\nprotect = true\n\
                 [manifests.b]\nobjects = [{ apiVersion = \"v1\", kind = \"Namespace\", metadata = { name = \"own\" } }, { apiVersion = \"v1\", kind = \"Pod\", metadata = { name = \"p\" }, spec = { n = 2.0 } }]\n\
                 [manifests.c]\nfiles = \"a.yaml\"\ncluster = \"west\"\nwait = false\nprune = false\nwait-for = { \"Pod\" = \"condition=Ready\" }\n";
    let two = format!("{}---\n{}  namespace: other\n", config("x"), config("z"));
    let inputs = with(&[("a.yaml", &two)], lines);
    let desired = desired(&inputs);
    let bundles: Vec<&Bundle> = desired.bundles.values().collect();
    let names = |b: &Bundle| b.objects.iter().map(|o| o.object.to_string()).collect::<Vec<_>>();
    assert_eq!(names(bundles[0]), ["ConfigMap/own/x", "ConfigMap/other/z"]);
    assert_eq!(names(bundles[1]), ["Namespace/own", "Pod/base/p"]);
    assert_eq!(names(bundles[2]), ["ConfigMap/default/x", "ConfigMap/other/z"]);
    assert_eq!((bundles[0].scope.as_str(), bundles[2].scope.as_str()), ("kubernetes:", "kubernetes:west"));
    let a = bundles[0].objects[0].body.json();
    assert_eq!(a["metadata"]["namespace"], "own");
    assert_eq!(a["metadata"]["labels"]["evenkeel.dev/stack"], "7f3kq2x9");
    assert_eq!(a["metadata"]["annotations"]["evenkeel.dev/address"], "manifests.a");
    assert_eq!(a["metadata"]["annotations"]["evenkeel.dev/protect"], "true");
    assert_eq!(a["metadata"]["labels"]["applyset.kubernetes.io/part-of"], crate::applyset::set_id("7f3kq2x9", "base"));
    assert_eq!(bundles[1].objects[0].body.json()["metadata"].get("namespace"), None);
    assert_eq!(bundles[1].objects[1].body.json()["spec"]["n"], json!(2), "as Kubernetes counts");
    assert_eq!((bundles[0].wait, bundles[0].wait_within, bundles[0].prune), (true, 600, true));
    assert_eq!((bundles[2].wait, bundles[2].prune, bundles[2].wait_for.len()), (false, false, 1));
    assert_eq!((bundles[0].objects[1].file.as_str(), bundles[0].objects[1].line), ("a.yaml", 6));
}

#[test]
fn one_object_is_declared_once_however_it_is_written() {
    let twice = "[manifests.a]\nfiles = [\"a.yaml\"]\n[manifests.b]\nfiles = [\"b.yaml\"]\n[manifests.c]\nfiles = [\"a.yaml\", \"*.yaml\"]\ncluster = \"west\"\n[kubernetes.west]\ncontext = \"w\"\n";
    let same = config("a").replace("name: a", "name: a\n  namespace: default");
    let inputs = with(&[("a.yaml", &config("a")), ("b.yaml", &same)], twice);
    assert_eq!(said(&inputs), [("E1104", "b.yaml:4:9".to_owned())], "a file named twice is read once");
}

#[test]
fn files_that_are_not_there_are_said_where_they_are_named() {
    let lines = "[manifests.m]\nfiles = [\"none.yaml\", \"k9s/*.yaml\", \"k8s\", \"shut.yaml\", \"k8s/[\"]\n";
    let mut inputs = with(&[("k8s/a.yaml", &config("a"))], lines);
    inputs.unread.insert("shut.yaml".into(), "permission denied".into());
    let codes: Vec<_> = said(&inputs).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["E1002", "E1002", "E1003", "E1002"]);
    assert_eq!(super::codes(&with(&[], "[manifests.m]\nfiles = [\"../x.yaml\"]\n")), ["E0301"]);
    assert_eq!(super::codes(&with(&[], "[manifests.m]\n")), ["E1010"]);
    assert_eq!(super::codes(&with(&[], "[manifests.m]\nobjects = [{ a = 2026-01-01 }]\n"))[0], "E1101");
    let bytes = with(&[], "[manifests.m]\nfiles = [\"a.yaml\"]\n");
    let bytes = Inputs { files: BTreeMap::from([("a.yaml".into(), vec![0xff])]), ..bytes };
    assert_eq!(super::codes(&bytes), ["E0303"]);
}

#[test]
fn templates_are_filled_in_where_they_are_asked_for() {
    let text =
        config("'{{ group }}'") + "data:\n  a: '{{ vars.n }} {{ namespace }} {{ stack.name }} {{ vars.more }}'\n";
    let lines =
        |more: &str| format!("[vars]\nn = 7\n[manifests.m]\nfiles = [\"a.yaml.j2\"]\nvars = {{ more = 8 }}\n{more}");
    let inputs = with(&[("a.yaml.j2", &text)], &lines(""));
    assert_eq!(body(&inputs)["data"]["a"], "7 default shop 8");
    assert_eq!(bundle(&inputs).objects[0].object.name, "m");
    assert_eq!(codes(&with(&[("a.yaml.j2", &text)], &lines("template = false"))), ["E1103"]);
    for (bad, way_out) in [
        ("{{ vars.taem }}", "vars"),
        ("{{ x }}", "at hand"),
        ("{% for %}", "at hand"),
        ("{% include 'x' %}", "at hand"),
    ] {
        let inputs = with(&[("a.yaml.j2", &format!("# first\n  {bad}\n"))], &lines(""));
        assert_eq!(said(&inputs), [("E1009", "a.yaml.j2:2:3".to_owned())], "{bad}");
        assert!(declare(&inputs).diagnostics[0].way_out.contains(way_out), "{bad}");
    }
    let asked = lines("").replace("n = 7", "n = {}");
    assert_eq!(codes(&with(&[("a.yaml.j2", &text)], &asked)), ["E0201"], "the cause alone");
    let broken = with(&[("a.yaml.j2", "{% for i in [1, 2] %}\na: {{ i }}\n{% endfor %}\n")], &lines(""));
    let filled = |line: u32| format!("a.yaml.j2 (filled in):{line}:1");
    assert_eq!(said(&broken), [("E1101", filled(2)), ("E1005", filled(4))]);
}

const CANARY: &str = "hunter2-canary";

/// Everything that is shown of a declaration: its problems, with the lines they stand in.
fn shown(declared: &Declared) -> String {
    let sources: String = declared
        .sources
        .iter()
        .filter(|s| declared.diagnostics.iter().any(|d| d.places.iter().any(|p| p.file == s.name)))
        .map(|s| s.text.clone())
        .collect();
    let hidden = |mut text: String| {
        for secret in &declared.secrets {
            text = text.replace(secret.as_str(), "(secret)");
            text = text.replace(&data_encoding::BASE64.encode(secret.as_bytes()), "(secret)");
        }
        text
    };
    format!("{:?} {}", declared.diagnostics, hidden(sources))
}

#[test]
fn a_secrets_values_are_folded_and_shown_nowhere() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\ndata: { a: aHVudGVyMi1jYW5hcnk=, b: eA== }\nstringData: { b: other-canary, ns: default, flag: 'true' }\n";
    let inputs = manifest(text);
    let desired = desired(&inputs);
    let object = &desired.bundles.values().next().unwrap().objects[0];
    assert_eq!(object.body.json()["data"]["a"], "aHVudGVyMi1jYW5hcnk=");
    assert_eq!(object.body.json()["data"]["b"], data_encoding::BASE64.encode(b"other-canary"));
    assert_eq!(object.body.json().get("stringData"), None);
    assert_eq!(desired.secrets, BTreeSet::from([CANARY.to_owned(), "other-canary".to_owned()]), "a name is no secret");
    let said = format!("{:?} {}", desired.bundles, serde_json::to_string(&desired).unwrap());
    assert!(!said.contains("canary") && !said.contains("aHVu"), "{said}");
}

#[test]
fn no_mistake_in_a_secret_shows_its_value() {
    let plain = format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: s }}\nstringData:\n  a: {CANARY}\n");
    for text in [
        plain.clone() + "  a: b\n",
        plain.clone() + "  b: [\n",
        plain.replace("name: s", "name: S"),
        plain.replace("stringData", "data"),
        plain.replace(CANARY, &format!("{{ x: {CANARY} }}")),
        plain.replace(CANARY, &format!("\"{CANARY}")),
        plain.replace(&format!("a: {CANARY}"), &format!("yes: {CANARY}")),
        plain.replace(CANARY, &format!("!x {CANARY}")),
        plain.replace(CANARY, &format!("*{CANARY}")),
        plain.replace("kind: Secret", "kind: \"Secret").replace("v1", "v1 "),
    ] {
        for file in ["k8s/a.yaml", "k8s/a.yaml.j2"] {
            let inputs = with(&[(file, &text)], "[manifests.m]\nfiles = [\"k8s\"]\n");
            let declared = declare(&inputs);
            assert!(declared.desired.is_none(), "{text}");
            assert!(!shown(&declared).contains(CANARY), "{text}\n{}", shown(&declared));
        }
    }
    let toml = format!(
        "[manifests.m]\nobjects = [{{ apiVersion = \"v1\", kind = \"Secret\", metadata = {{ name = \"S\" }}, stringData = {{ a = \"{CANARY}\" }} }}]\n"
    );
    for text in [toml.clone(), toml + "x = \n"] {
        let declared = declare(&with(&[], &text));
        assert!(declared.desired.is_none() && declared.secrets.contains(CANARY), "{text}");
        assert!(!shown(&declared).contains(CANARY), "{text}");
    }
}

#[test]
fn a_secret_variable_reaches_a_secrets_values_and_nothing_else() {
    let lines = "[vars]\npw = { secret = true }\nlist = { type = \"list\", secret = true, default = [] }\n[manifests.m]\nfiles = [\"a.yaml.j2\"]\n";
    let given = |text: &str| {
        let mut inputs = with(&[("a.yaml.j2", text)], lines);
        inputs.vars.insert("pw".into(), CANARY.into());
        inputs.vars.insert("list".into(), "aaaa1111,bbbb2222".into());
        inputs
    };
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData:\n  a: '{{ vars.pw }}'\n  b: '{{ vars.pw | upper }}'\n";
    let good = desired(&given(secret));
    assert!(good.secrets.contains(CANARY) && good.secrets.contains(&CANARY.to_uppercase()));
    let plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: s }\ndata:\n";
    for text in [
        format!("{plain}  a: '{{{{ vars.pw }}}}'\n"),
        format!("{plain}  a: 'x {{{{ vars.pw | upper }}}}'\n"),
        format!("{plain}  a: '{{{{ vars[\"p\" ~ \"w\"] | reverse }}}}'\n"),
        format!("{plain}  a: '{{{{ vars | items | list | last | last | upper }}}}'\n"),
        format!("{plain}  a: '{{% if vars.pw == \"{CANARY}\" %}}yes{{% else %}}no{{% endif %}}'\n"),
        format!("{plain}  '{{{{ vars.pw }}}}': a\n"),
        format!("{plain}{{% for x in vars.list %}}  {{{{ x }}}}: a\n{{% endfor %}}"),
        secret.replace("name: s", "name: '{{ vars.pw }}'"),
        secret.replace("name: s", "name: s, annotations: { a: '{{ vars.pw | upper }}' }"),
        secret.replace("v1", "example.com/v1"),
    ] {
        let declared = declare(&given(&text));
        assert!(declared.diagnostics.iter().any(|d| d.code == "E0206"), "{text}\n{:#?}", declared.diagnostics);
        let said = shown(&declared);
        assert!(!said.contains(CANARY) && !said.contains(&CANARY.to_uppercase()), "{text}\n{said}");
    }
    let object = |kind: &str, part: &str| {
        let mut inputs = main(&format!(
            "{HEAD}[vars]\npw = {{ secret = true }}\n[manifests.m]\nobjects = [{{ apiVersion = \"v1\", kind = \"{kind}\", metadata = {{ name = \"s\" }}, {part} = {{ a = \"{{{{ vars.pw }}}}\" }} }}]\n"
        ));
        inputs.vars.insert("pw".into(), CANARY.into());
        inputs
    };
    let body = body(&object("Secret", "stringData"));
    assert_eq!(body["data"]["a"], data_encoding::BASE64.encode(CANARY.as_bytes()));
    assert_eq!(codes(&object("ConfigMap", "data")), ["E0206"]);
    assert_eq!(codes(&object("Secret", "type")), ["E0206"]);
}
