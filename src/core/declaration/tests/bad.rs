//! Bad input, one mistake a row: the code, the place (`^^` stands before it in the text) and a piece of the way out.

use super::*;

/// In front of the place where the problem must be shown.
const MARK: &str = "^^";

fn line_and_column(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..byte];
    let line = before.matches('\n').count() + 1;
    (line, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
}

fn row(inputs: &mut Inputs, code: &str, way_out: &str) {
    let marked = inputs.main.text.clone();
    let at = marked.find(MARK).unwrap_or_else(|| panic!("no mark in {marked}"));
    inputs.main.text = marked.replacen(MARK, "", 1);
    let declared = declare(inputs);
    let said: Vec<_> = declared.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(said, [code], "{marked}\n{:#?}", declared.diagnostics);
    let d = &declared.diagnostics[0];
    let place = line_and_column(&inputs.main.text, d.places[0].span.start);
    assert_eq!(place, line_and_column(&inputs.main.text, at), "{marked}\n{d:#?}");
    assert!(d.way_out.contains(way_out), "{marked}\n{d:#?}");
    assert!(declared.desired.is_none(), "{marked}");
}

#[test]
fn each_mistake_of_a_machine_has_a_place_and_a_way_out() {
    let many_tags: String = (0..44).map(|i| format!("t{i} = \"x\", ")).collect();
    let long_value = format!("tags = {{ a = ^^\"{}\" }}", "x".repeat(257));
    let long_script = format!("user-data = {{ text = ^^\"{}{{{{ zone }}}}\" }}", "x".repeat(16_380));
    let rows: &[(&str, &str, &str)] = &[
        ("^^cuont = 3", "E0101", "write `count`"),
        ("^^security_groups = []", "E0101", "write `security-groups`"),
        ("^^ami = \"ami-1\"", "E0101", "take it away: `image`"),
        ("^^wibble = 1", "E0101", "known here: `count`"),
        ("metadata = { ^^hop-limmit = 2 }", "E0101", "write `hop-limit`"),
        ("count = ^^\"three\"", "E0103", "a whole number from 0 to 10000"),
        ("count = ^^\"3\"", "E0103", "write 3 without quotes"),
        ("count = ^^3.5", "E0103", "a whole number"),
        ("count = ^^2026-01-01", "E0103", "a whole number"),
        ("count = ^^-1", "E0106", "from 0 to 10000"),
        ("count = ^^10001", "E0106", "from 0 to 10000"),
        ("count = ^^99999999999999999999", "E0106", "smaller"),
        ("count = 2\n^^count = 3", "E0002", "keep one"),
        ("zones = ^^\"us-east-1a\"", "E0103", "write [\"us-east-1a\"]"),
        ("zones = ^^[]", "E0112", "at least 1"),
        ("zones = [\"us-east-1a\", ^^\"us-east-1a\"]", "E0113", "one of the two"),
        ("zones = [^^\"us-east-1\"]", "E0111", "us-east-1a"),
        ("zones = [^^\"eu-west-1a\"]", "E0503", "us-east-1a"),
        ("zones = [\"us-east-1a\"]\n^^subnets = [\"subnet-1\"]", "E0504", "keep one"),
        ("subnets = [^^\"sn-1\"]", "E0111", "subnet-"),
        ("^^subnets = { value = \"x\" }", "E0104", "add `tag"),
        ("count = 5\nzones = [\"us-east-1a\"]\ncaps = ^^{ us-east-1a = 4 }", "E0502", "raise the caps to 5"),
        ("zones = [\"us-east-1a\"]\ncaps = { ^^us-east-1b = 4 }", "E0503", "take the cap away"),
        ("market = ^^\"sport\"", "E0105", "write \"spot\""),
        ("wait = ^^\"forever\"", "E0105", "\"running\", \"healthy\" or \"ready\""),
        ("wait = ^^\"ready\"", "E0508", "add `nodes"),
        ("nodes = ^^\"west\"", "E1001", "write \"kubernetes\""),
        ("nodes = { labels = { ^^\"node-role.kubernetes.io/worker\" = \"x\" } }", "E0507", "a domain of your own"),
        ("nodes = { taints = [{ key = \"a\" }, { key = ^^\"a\" }] }", "E0507", "keep one"),
        ("nodes = { join = ^^\"kubeadm\", endpoint = \"a:1\" }", "E0104", "add it"),
        (
            "nodes = { join = \"eks\", name = \"a\", ca = \"YQ==\", cidr = \"10.1.0.0/16\", endpoint = ^^\"a:1\" }",
            "E0507",
            "https://",
        ),
        (
            "nodes = { join = \"eks\", name = \"a\", ca = \"YQ==\", cidr = \"10.1.0.0/16\", endpoint = \"https://a\", \
             token = ^^\"abcdef.0123456789abcdef\" }",
            "E0507",
            "take `token` away",
        ),
        ("metadata = { hop-limit = ^^65 }", "E0106", "from 1 to 64"),
        ("security-groups = [\"a\", ^^\"a\"]", "E0113", "one of the two"),
        ("user-data = ^^\"../boot.sh\"", "E0301", "beside the declaration"),
        ("user-data = ^^\"/etc/passwd\"", "E0301", "beside the declaration"),
        ("user-data = ^^\"missing.sh\"", "E0302", "correct the name"),
        ("user-data = { file = \"a.sh\", ^^text = \"x\" }", "E0302", "keep one"),
        ("^^user-data = { template = true }", "E0104", "add `text`"),
        ("user-data = { text = ^^\"{{ solt }}\" }", "E0305", "slot, zone"),
        ("user-data = { text = ^^\"{% for\" }", "E0305", "slot, zone"),
        (&long_script, "E0304", "shorter"),
        ("root = { size = ^^\"20GB\" }", "E0107", "write \"20GiB\""),
        ("root = { size = ^^20 }", "E0103", "\"20GiB\""),
        ("root = { size = ^^\"20\" }", "E0107", "GiB or TiB"),
        ("root = { size = ^^\"65TiB\" }", "E0106", "\"64TiB\""),
        ("root = { type = ^^\"st1\", size = \"200GiB\" }", "E0603", "gp3"),
        ("disks = [{ device = \"/dev/sdf\", size = ^^\"20GiB\", type = \"st1\" }]", "E0601", "\"125GiB\""),
        ("disks = [{ device = \"/dev/sdf\", size = \"9GiB\", type = ^^\"io1\" }]", "E0602", "add `iops"),
        ("disks = [{ device = ^^\"/dev/sda1\", size = \"9GiB\" }]", "E0111", "/dev/sdf"),
        (
            "disks = [{ device = \"/dev/sdf\", size = \"9GiB\" }, { device = ^^\"/dev/xvdf\", size = \"9GiB\" }]",
            "E0505",
            "of its own",
        ),
        ("tags = { ^^Name = \"web\" }", "E0703", "another key"),
        ("tags = { ^^\"aws:x\" = \"web\" }", "E0703", "another key"),
        ("tags = { ^^\"evenkeel:stack\" = \"x\" }", "E0703", "another key"),
        (&format!("tags = ^^{{ {many_tags} }}"), "E0702", "take 1 away"),
        (&long_value, "E0701", "write it like"),
        ("tags = { a = ^^\"x\\u001b[31m\" }", "E0701", "take it away"),
        ("key = ^^\"a\\u202eb\"", "E0111", "take it away"),
        ("tags = { a = ^^\"{{ vars.taem }}\" }", "E0205", "write `vars.team`"),
        ("tags = { a = ^^\"{{ slot }}\" }", "E0205", "take it out"),
        ("tags = { a = ^^\"{{ vars.team\" }", "E0204", "write a template"),
        ("tags = { a = ^^\"{{ env }}\" }", "E0204", "--env"),
        (
            "tags = { a = ^^\"{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}\" }",
            "E0204",
            "template",
        ),
        ("renamed-from = ^^\"web\"", "E0506", "old name"),
        ("aws = ^^\"wset\"", "E0402", "write \"west\""),
        ("aws = ^^\"moon\"", "E0402", "[aws.moon]"),
    ];
    for (lines, code, way_out) in rows {
        let head = format!("{HEAD}[aws.west]\nregion = \"us-west-2\"\n[vars]\nteam = \"payments\"\n{WEB}");
        row(&mut main(&format!("{head}{lines}\n")), code, way_out);
    }
    assert!(rows.len() >= 40, "{}", rows.len());
}

#[test]
fn each_mistake_elsewhere_has_a_place_and_a_way_out() {
    let deep = format!("{HEAD}x = {}", "[".repeat(200));
    let rows: &[(&str, &str, &str)] = &[
        ("[stack]\nname = \"shop\"\nid = ^^\"short\"\n", "E0401", "evenkeel init --id"),
        ("[^^stack]\nname = \"shop\"\n", "E0104", "evenkeel init --id"),
        ("[^^stack]\nid = \"7f3kq2x9\"\n", "E0104", "add `name = \"shop\"`"),
        ("^^", "E0104", "evenkeel init"),
        ("{HEAD}[^^machine.web]\n", "E0101", "write `machines`"),
        ("{HEAD}[policy.repair]\n^^max-surge = 2\n", "E0101", "is a key of [policy]"),
        ("{HEAD}[^^tasks.render]\n", "E0102", "take it out"),
        ("{HEAD}[machines.^^Web]\nimage = \"ami-1\"\ntype = \"t3.small\"\n", "E0110", "write \"web\""),
        ("{HEAD}[machines.^^web]\ntype = \"t3.small\"\n", "E0104", "add `image"),
        ("{HEAD}[machines.web]\n^^image = { owner = \"amazon\" }\ntype = \"t3.small\"\n", "E0501", "ami-"),
        ("{HEAD}[machines.web]\nimage = ^^\"al2023\"\ntype = \"t3.small\"\n", "E0111", "ami-"),
        ("{HEAD}[machines.web]\nimage = \"ami-1\"\ntype = ^^[]\n", "E0112", "at least 1"),
        ("{HEAD}[machines]\nweb = ^^3\n", "E0103", "a table"),
        ("{WEB}[volumes.^^d]\nsize = \"1GiB\"\n", "E0604", "replicas = 3"),
        ("{WEB}[volumes.d]\nsize = \"1GiB\"\nfor = \"machines.web\"\nreplicas = ^^3\n", "E0604", "keep `for`"),
        (
            "{WEB}[volumes.d]\nsize = \"1GiB\"\nfor = \"machines.web\"\n^^zones = [\"us-east-1a\"]\n",
            "E0604",
            "take `zones`",
        ),
        ("{WEB}[volumes.d]\nsize = \"1GiB\"\nfor = ^^\"machines.wbe\"\n", "E0605", "write \"machines.web\""),
        ("{WEB}[volumes.d]\nsize = \"1GiB\"\nfor = ^^\"web\"\n", "E0111", "write \"machines.web\""),
        ("{WEB}[volumes.^^d]\nfor = \"machines.web\"\n", "E0104", "add `size"),
        ("{WEB}[volumes.d]\nreplicas = 1\nsize = \"1GiB\"\n^^device = \"/dev/sdf\"\n", "E0604", "take `device` away"),
        (
            "{WEB}[volumes.d]\nreplicas = 1\nsize = \"1GiB\"\ntype = \"gp2\"\niops = ^^3000\n",
            "E0602",
            "take `iops` away",
        ),
        ("{WEB}[volumes.d]\nreplicas = 1\nsize = \"10GiB\"\niops = ^^6000\n", "E0602", "5000 or less"),
        ("{WEB}[volumes.d]\nreplicas = 1\nsize = \"10GiB\"\niops = ^^2999\n", "E0602", "from 3000 to 80000"),
        ("{WEB}[volumes.d]\nreplicas = 1\nsize = \"10GiB\"\nthroughput = ^^1000\n", "E0602", "750 or less"),
        (
            "{WEB}[volumes.d]\nreplicas = 1\nsize = \"10GiB\"\nencrypted = false\nkms-key = ^^\"k\"\n",
            "E0603",
            "encrypted",
        ),
        ("{HEAD}[policy]\nmax-surge = ^^\"150%\"\n", "E0109", "\"100%\""),
        ("{HEAD}[policy]\nmax-surge = ^^\"lots\"\n", "E0109", "\"10%\""),
        ("{HEAD}[policy]\ngrace = ^^300\n", "E0103", "\"300s\""),
        ("{HEAD}[policy]\ngrace = ^^\"1mo\"\n", "E0108", "days"),
        ("{HEAD}[policy.outage]\nfraction = ^^1.5\n", "E0106", "from 0 to 1"),
        ("{HEAD}[policy.repair]\nbackoff = { first = ^^\"2h\", max = \"1h\" }\n", "E0801", "at most `max`"),
        ("{HEAD}[policy.^^storage]\n", "E0102", "take it out"),
        ("{HEAD}[outputs]\nips = ^^\"machines.web[\"\n", "E0901", "private_ip"),
        ("{HEAD}[outputs]\nips = ^^\"machines.web[0].private-ip\"\n", "E0902", "write `_` for `-`"),
        ("{HEAD}[vars]\n^^team = { description = \"who\" }\n", "E0201", "--var team"),
        ("{HEAD}[vars]\n^^db-pass = \"x\"\n", "E0110", "write \"db_pass\""),
        ("{HEAD}[vars]\nn = { type = \"int\", default = ^^true }\n", "E0202", "write 3"),
        ("{HEAD}[aws.west]\nregion = ^^\"us-west-2b\"\n", "E0111", "write \"us-west-2\""),
        ("{HEAD}[lock]\nkind = ^^\"zookeeper\"\n", "E0105", "\"file\" or \"none\""),
        ("{HEAD}[policy]\ngrace = ^^20m\n", "E0001", "write \"20m\""),
        ("{HEAD}[policy]\ngrace = ^^\n", "E0001", "write a value"),
        ("{HEAD}[policy\n", "E0001", ""),
        (&deep, "E0003", "nest less"),
    ];
    for (text, code, way_out) in rows {
        let text = text.replace("{WEB}", &format!("{HEAD}{WEB}")).replace("{HEAD}", HEAD);
        if text.contains(MARK) {
            row(&mut main(&text), code, way_out);
        } else {
            assert!(codes(&main(&text)).contains(code), "{text}");
        }
    }
}

#[test]
fn what_names_a_variable_without_a_value_is_not_told_beside_it() {
    let asked = "[vars]\nteam = { description = \"who\" }\n";
    for (script, told) in [
        ("{{ vars.team }} {{ vars.team.lead }}", vec!["E0201"]),
        ("{{ vars.team }} {{ solt }}", vec!["E0201", "E0305"]),
        ("{{ vars.team }} {{ vars.taem }}", vec!["E0201", "E0305"]),
    ] {
        let text = format!("{HEAD}{asked}{WEB}user-data = {{ text = \"{script}\" }}\n");
        assert_eq!(codes(&main(&text)), told, "{script}");
    }
}

#[test]
fn a_text_too_long_is_refused_unread() {
    assert!(codes(&main(&"#".repeat((1 << 20) + 1))).contains(&"E0004"));
}

#[test]
fn a_script_must_be_text() {
    let mut inputs = web("user-data = \"boot.bin\"");
    inputs.files.insert("boot.bin".into(), vec![0xff, 0xfe]);
    assert_eq!(codes(&inputs), ["E0303"]);
    assert_eq!(files_wanted(&inputs), vec![Wanted::File("boot.bin".to_owned())]);
    assert_eq!(files_wanted(&web("user-data = \"../x\"")), Vec::new(), "no path leads out of the folder");
}

#[test]
fn values_for_unknown_variables_are_noticed() {
    let mut inputs = web("");
    inputs.var_files = vec![Source { name: "prod.toml".into(), text: "taem = 1".into() }];
    let declared = declare(&inputs);
    assert_eq!(declared.diagnostics[0].code, "W0204");
    assert_eq!(declared.diagnostics[0].places[0].file, "prod.toml");
    inputs.var_files[0].text = "team = ".into();
    assert_eq!(codes(&inputs), ["E0001"]);
}

#[test]
fn thousands_of_mistakes_end_in_some_hundreds_of_problems() {
    let groups: String =
        (0..3000).map(|i| format!("[machines.g{i}]\n[volumes.v{i}]\nfor = \"machines.h{i}\"\n")).collect();
    let declared = declare(&main(&format!("{HEAD}{groups}")));
    assert_eq!((declared.diagnostics.len(), declared.desired), (500, None));
    let mut inputs = web("");
    let unknown = (0..600).map(|i| format!("x{i} = 1\n")).collect();
    inputs.var_files = vec![Source { name: "vars.toml".into(), text: unknown }];
    let declared = declare(&inputs);
    assert!(declared.diagnostics.len() == 500 && declared.desired.is_some(), "warnings never refuse");
}
