//! Bad input: one clear error with a place and a way out, and nothing begun.

use super::place::{Place, SHOP, TRIO};

/// Runs `words` and expects one or several errors, all named, and that nothing came of it: no output, no world, no
/// file that was not there before.
fn refused(place: &Place, words: &str, code: i32, says: &[&str]) {
    let before = place.files();
    let world = std::fs::read(place.path("world.toml")).ok();
    let said = place.run(words).ends(code);
    assert!(said.out.is_empty(), "{said}");
    for text in says {
        assert!(said.err.contains(text), "stderr does not hold {text:?}\n{said}");
    }
    assert_eq!(place.files(), before, "{words}: something was written");
    assert_eq!(std::fs::read(place.path("world.toml")).ok(), world, "{words}: the world moved");
}

#[test]
fn what_the_world_does_not_know_is_told_with_its_place_and_what_was_meant() {
    let rows: &[(&str, &str, &str)] = &[
        (
            "count = 6",
            "count = 6\nsecurity-groups = [\"wbe\"]",
            "there is no security group `wbe`; did you mean `web`? (security-groups, evenkeel.toml:10)",
        ),
        ("\"us-east-1c\"", "\"us-east-1q\"", "there is no zone us-east-1q here; there are us-east-1a, us-east-1b,"),
        ("\"us-east-1c\"", "\"us-east-1q\"", "(zones, evenkeel.toml:12)"),
        ("al2023-ami-2023.*", "al2032-*", "there is no image `al2032-*-x86_64` of amazon (image, evenkeel.toml:10)"),
    ];
    for (old, new, says) in rows {
        let place = Place::with(SHOP);
        place.edit(old, new);
        let held = place.run("plan --format json").ends(0).json()["held"].clone();
        let first = &held[0];
        assert!(first["waits_for"].as_str().is_some_and(|w| w.contains(says)), "{first}");
        assert_eq!(first["way_out"], "correct the file, or make what it names", "{first}");
        let said = place.run("plan").ends(0).to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(says) && said.contains("correct the file"), "{said}");
        place.run("apply --yes").ends(6);
    }
}

#[test]
fn what_may_not_be_looked_up_is_no_fault_of_the_file() {
    let rows = [
        ("DescribeImages", "ec2:DescribeImages", ""),
        ("DescribeSubnets", "ec2:DescribeSubnets", "subnets = [\"subnet-1\"]"),
        ("DescribeSecurityGroups", "ec2:DescribeSecurityGroups", "security-groups = [\"web\"]"),
        ("GetParameter", "ssm:GetParameter", "image = { ssm = \"/aws/service/x\" }"),
    ];
    for (call, action, line) in rows {
        let key = line.split(' ').next().unwrap_or_default();
        let kept = |l: &&str| !(key == "subnets" && l.starts_with("zones") || key == "image" && l.starts_with("image"));
        let text: Vec<&str> = TRIO.lines().filter(kept).chain([line]).collect();
        let place = Place::with(&text.join("\n"));
        let fault = format!(r#"{{"add-fault":{{"fault":{{"effect":{{"fail":"denied"}},"on":["{call}"]}}}}}}"#);
        place.args(&["sim", "do", &fault]).ends(0);
        let said = place.run("plan --format json").ends(8).never("correct the file").json();
        let held = &said["held"][0];
        assert!(held["waits_for"].as_str().is_some_and(|w| w.contains("could not be looked up")), "{call}: {held}");
        let way_out = held["way_out"].as_str().unwrap_or_default();
        assert!(way_out.contains(&format!("allow `{action}` in account")), "{call}: {way_out}");
        place.run("plan").ends(8).never("correct the file").shows(action);
    }
}

#[test]
fn an_output_that_names_nothing_is_told_with_its_place() {
    let place = Place::applied(&format!("{TRIO}\n[outputs]\nfirst = \"machines.noed[0].id\"\n"));
    let line = TRIO.lines().count() + 3;
    place.run("output first").ends(1).says(&format!("evenkeel.toml:{line}: output `first`"));
    place.edit("[outputs]", "[outputs]\nthere = \"machines.node[0].zone\"");
    let said = place.run("output").ends(1).says("output `first`");
    assert_eq!(said.out, "there = us-east-1a\n", "the others are told all the same");
}

#[test]
fn each_mistake_in_the_file_is_one_error_with_a_place_and_a_way_out() {
    let rows: &[(&str, &str, &[&str])] = &[
        // Malformed.
        ("count = 6", "count = ", &["error[E0001]", "evenkeel.toml:9:9"]),
        ("[machines.web]", "[machines.web", &["error[E0001]", "evenkeel.toml:8:"]),
        // Unknown keys.
        ("count = 6", "cuont = 6", &["error[E0101]", "evenkeel.toml:9:1", "did you mean `count`"]),
        ("[volumes.data]", "[volume.data]", &["error[E0101]", "evenkeel.toml:16:2", "write `volumes`"]),
        // Wrong types.
        ("count = 6", "count = \"six\"", &["error[E0103]", "evenkeel.toml:9:9", "a whole number from 0 to 10000"]),
        ("\"50GiB\"", "50", &["error[E0103]", "evenkeel.toml:18:8", "GiB\""]),
        ("\"50GiB\"", "\"50GB\"", &["error[E0107]", "evenkeel.toml:18:8", "write \"50GiB\""]),
        // Duplicates.
        ("[volumes.data]", "[stack]\n\n[volumes.data]", &["error[E0002]", "evenkeel.toml:16:2"]),
        ("count = 6", "count = 6\ncount = 7", &["error[E0002]", "evenkeel.toml:10:1", "keep one"]),
        // An impossible spread.
        (
            "count = 6",
            "count = 6\ncaps = { us-east-1a = 1, us-east-1b = 1, us-east-1c = 1 }",
            &["error[E0502]", "evenkeel.toml:10:8", "raise the caps"],
        ),
        ("\"us-east-1b\"", "\"us-east-1a\"", &["error[E0113]", "evenkeel.toml:12:24"]),
        // A template that leaves its folder.
        (
            "count = 6",
            "count = 6\nuser-data = \"../../etc/passwd\"",
            &["error[E0301]", "evenkeel.toml:10:13", "beside the declaration"],
        ),
        ("count = 6", "count = 6\nuser-data = \"nowhere.sh\"", &["error[E0302]", "evenkeel.toml:10:13"]),
        (
            "count = 6",
            "count = 6\nuser-data = { text = \"{% include '/etc/passwd' %}\" }",
            &["error[E0305]", "evenkeel.toml:10:22"],
        ),
        // A variable that nobody gave.
        (
            "[aws]",
            "[vars]\nteam = { description = \"who pays\" }\n\n[aws]",
            &["error[E0201]", "evenkeel.toml:6:1", "--var team"],
        ),
        ("payments", "{{ vars.taem }}", &["error[E0205]", "evenkeel.toml:13:17"]),
        // What a terminal would obey.
        ("payments", "x\\u001b[31m", &["error[E0701]", "evenkeel.toml:13:17"]),
        (
            "volumes.data]\nfor = \"machines.web\"",
            "volumes.data]\nfor = \"machines.wbe\"",
            &["error[E0605]", "write \"machines.web\""],
        ),
        ("7f3kq2x9", "short", &["error[E0401]", "evenkeel.toml:3:6", "evenkeel init --id"]),
    ];
    let shop = Place::empty();
    for (old, new, says) in rows {
        assert!(SHOP.contains(old), "{old}");
        shop.write("evenkeel.toml", SHOP.replacen(old, new, 1));
        for words in ["validate", "plan", "apply --yes", "destroy --yes", "drift", "status"] {
            refused(&shop, words, 1, says);
            refused(&shop, words, 1, &["1 error", "help"]);
        }
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let shop = Place::with(&SHOP.replace("count", "cuont").replace("size", "siez").replace("region", "regoin"));
    refused(&shop, "plan", 1, &["`cuont`", "`siez`", "`regoin`", ":6:1", ":9:1", ":18:1", "errors"]);
    let json = shop.run("validate --format json").ends(1).json();
    assert!(json["diagnostics"].as_array().is_some_and(|d| d.len() >= 3), "{json}");
    let lines = shop.run("validate --format github").ends(1).out;
    assert!(lines.lines().filter(|l| l.starts_with("::error file=")).count() >= 3, "{lines}");
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_named() {
    let place = Place::empty();
    refused(&place, "plan", 1, &["evenkeel.toml", "evenkeel init"]);
    refused(&place, "plan -f other.toml", 1, &["other.toml", "-f"]);
    refused(&place, "-C nowhere plan", 1, &["nowhere/evenkeel.toml"]);
    place.write("evenkeel.toml", [0xff, 0xfe, 0x00]);
    refused(&place, "plan", 1, &["evenkeel.toml", "not text"]);
    std::fs::create_dir(place.path("dir.toml")).expect("a folder");
    refused(&place, "plan -f dir.toml", 1, &["dir.toml"]);
    place.write("evenkeel.toml", TRIO);
    refused(&place, "plan --var-file nowhere.toml", 1, &["nowhere.toml"]);
    place.write("vars.toml", "team = ");
    refused(&place, "plan --var-file vars.toml", 1, &["vars.toml:1:"]);
    refused(&place, "plan --var team", 64, &["NAME=VALUE", "`team`"]);
    place.write("evenkeel.prod.toml", "[machines.node]\ncount = \"x\"\n");
    refused(&place, "plan --env prod", 1, &["evenkeel.prod.toml:2:9"]);
}

#[test]
fn a_world_that_is_none_is_refused_with_its_line_and_left_as_it_is() {
    let trio = Place::applied(TRIO);
    let whole = trio.read("world.toml");
    let now = whole.lines().position(|l| l.starts_with("now = ")).expect("a world has a time") + 1;
    let rows = [
        ("nonsense".to_owned(), "world.toml:1:".to_owned()),
        (whole.replacen("now = ", "now : ", 1), format!("world.toml:{now}:")),
        (whole.replacen("now = \"", "now = \"x", 1), format!("world.toml:{now}:")),
        (format!("{whole}\n[[faults]]\neffect = \"explode\"\n"), "world.toml:".to_owned()),
        (format!("surprise = 1\n{whole}"), "world.toml:1:1".to_owned()),
        (whole[..whole.len() / 2].to_owned(), "world.toml:".to_owned()),
    ];
    for (text, place) in rows {
        if text == whole {
            panic!("the row changes nothing");
        }
        trio.write("world.toml", &text);
        for words in ["plan", "status", "apply --yes", "sim"] {
            let said = trio.run(words).ends(1);
            assert!(said.err.contains(&place) && said.err.starts_with("error: "), "{words} of {place}: {said}");
            assert_eq!(trio.read("world.toml"), text);
        }
    }
    trio.write("world.toml", [0xff, 0x00]);
    trio.run("plan").ends(1).says("world.toml");
    std::fs::remove_file(trio.path("world.toml")).expect("it is there");
    std::fs::create_dir(trio.path("world.toml")).expect("a folder");
    trio.run("plan").ends(1).says("world.toml");
    std::fs::remove_dir(trio.path("world.toml")).expect("it is there");
    trio.run("--sim no/such/folder/world.toml plan").ends(1).says("no/such/folder/world.toml");
}

#[test]
fn what_names_nothing_is_said_with_a_way_out() {
    let trio = Place::applied(TRIO);
    for words in ["plan --target machines.nod", "apply --yes --target machines.x/*", "plan --replace machines.node/9"] {
        trio.run(words).ends(64).says("names nothing that is declared or live");
    }
    trio.run("plan --target machines.node").ends(0);
    refused(&trio, "sim kill node/9", 1, &["node/9", "`evenkeel sim`"]);
    refused(&trio, "sim set-type node/0 t99.huge", 1, &["t99.huge"]);
    trio.run("protect machines.other").ends(1).says("machines.other").says("evenkeel status");
    trio.run("output nothing").ends(1).says("nothing");
    refused(&trio, "apply nothing.plan", 1, &["nothing.plan"]);
    refused(&trio, "sim tag node/0 team", 64, &["KEY=VALUE"]);
}

#[test]
fn init_never_writes_over_what_is_there() {
    let trio = Place::with(TRIO);
    refused(&trio, "init", 1, &["evenkeel.toml", "left as it is"]);
}

#[test]
fn without_a_terminal_the_way_out_does_what_was_asked() {
    let trio = Place::with(TRIO);
    trio.run("apply").ends(64).says("Give --yes").says("evenkeel plan -o FILE");
    trio.run("apply --yes").ends(0);
    trio.run("destroy").ends(64).says("Give --yes").never("plan -o");
}
