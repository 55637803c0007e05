//! Every exit code of the table, from the situation that it stands for.

use super::place::{Place, SHOP, TRIO};

/// EC2 refuses this call from now on, for want of permission.
fn deny(place: &Place, call: &str) {
    let fault = format!(r#"{{"add-fault":{{"fault":{{"effect":{{"fail":"denied"}},"on":["{call}"]}}}}}}"#);
    place.args(&["sim", "do", &fault]).ends(0);
}

#[test]
fn help_tells_every_code() {
    let place = Place::empty();
    let said = place.run("--help").ends(0);
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 75, 130, 143] {
        let row = format!("\n  {code:>3}  ");
        assert!(said.out.contains(&row), "{code}: {said}");
    }
}

#[test]
fn zero_is_in_sync_and_everything_seen() {
    let trio = Place::applied(TRIO);
    for command in ["plan --exit-code", "drift", "status", "apply --yes", "output", "validate"] {
        trio.run(command).ends(0);
    }
}

#[test]
fn one_is_an_error() {
    Place::empty().run("plan").ends(1).says("evenkeel init");
    Place::with("nonsense").run("plan").ends(1);
}

#[test]
fn two_is_pending_three_is_drift_and_four_is_both() {
    let trio = Place::applied(TRIO);
    trio.edit("count = 3", "count = 4");
    trio.run("plan --exit-code").ends(2);
    trio.run("drift").ends(2).shows("pending");
    trio.run("plan").ends(0);

    trio.run("sim set-type node/0 t3.large").ends(0);
    trio.run("plan --exit-code").ends(4);
    trio.run("drift").ends(4).shows("drift").shows("t3.large");

    trio.edit("count = 4", "count = 3");
    trio.run("plan --exit-code").ends(3);
    trio.run("drift").ends(3).shows("t3.large").never("pending ·");
    trio.run("plan").ends(0);
}

#[test]
fn what_we_ended_ourselves_is_no_drift_when_the_file_wants_it_again() {
    let trio = Place::applied(TRIO);
    trio.edit("count = 3", "count = 2");
    trio.run("apply --yes").ends(0);
    trio.edit("count = 2", "count = 3");
    trio.run("plan --exit-code").ends(2).shows("count 2 → 3");
    trio.run("destroy --yes").ends(0);
    trio.run("drift").ends(2).shows("pending");
    trio.run("apply --yes").ends(0);
    trio.run("sim kill node/1").ends(0);
    trio.run("plan --exit-code").ends(3);
}

#[test]
fn what_follows_a_dead_machine_or_was_detached_by_hand_is_drift() {
    let shop = Place::applied(SHOP);
    shop.run("sim kill web/2").ends(0);
    shop.run("plan --exit-code").ends(3).shows("web/2").shows("data/2");
    shop.run("drift").ends(3);
    shop.run("apply --yes").ends(0);
    shop.run("sim advance 10m").ends(0);
    shop.run("sim detach data/4").ends(0);
    shop.run("drift").ends(3).shows("data/4");
    shop.run("apply --yes").ends(0).says("attached data/4");
    shop.run("drift").ends(0);
}

#[test]
fn what_was_detached_by_hand_right_after_an_apply_is_drift() {
    let shop = Place::applied(SHOP);
    shop.run("sim detach data/4").ends(0);
    shop.run("plan --exit-code").ends(3).shows("drifted").never("declared");
    shop.run("drift").ends(3).shows("data/4").never("pending ·");
    // Who remembers nothing of that apply cannot tell it from one that was never brought there.
    std::fs::remove_dir_all(shop.path(".evenkeel")).expect("nothing is lost without it");
    shop.run("drift").ends(2);
    shop.run("apply --yes").ends(0).says("attached data/4");
}

#[test]
fn a_security_group_put_on_by_hand_is_drift_where_the_file_has_some_and_told_where_it_has_none() {
    let trio = Place::applied(TRIO);
    trio.run("sim set-groups node/1 default web").ends(0);
    trio.run("plan --exit-code").ends(0).shows("was put on node/1 by hand");
    let says = "security-groups default, web was put on node/1 by hand";
    let drift = trio.run("drift --format json").ends(0).json();
    assert!(drift["left_out"][0]["says"].as_str().is_some_and(|s| s.starts_with(says)), "{drift}");
    trio.run("drift").ends(0).shows("put on node/1 by hand");
    let named = Place::applied(&TRIO.replace("count = 3", "count = 3\nsecurity-groups = [\"web\"]"));
    named.run("sim set-groups node/1 default web").ends(0);
    named.run("drift").ends(3).shows("security-groups");
}

#[test]
fn a_look_that_was_refused_is_no_drift_and_no_advice_to_detach() {
    for call in ["DescribeInstances", "DescribeVolumes"] {
        let shop = Place::applied(SHOP);
        deny(&shop, call);
        shop.run("plan").ends(8).never("detach").never("set back").never("refused");
        shop.run("drift").ends(8).shows("No drift").never("detach").never("the world moved");
    }
}

#[test]
fn a_type_set_by_hand_while_the_file_moves_is_both() {
    let trio = Place::applied(TRIO);
    trio.edit("t3.small", "m5.large");
    trio.run("drift").ends(2).shows("type t3.small → [m5.large]");
    trio.run("sim set-type node/0 t3.large").ends(0);
    trio.run("drift").ends(4).shows("t3.large").shows("the file moved too");
    trio.edit("m5.large", "t3.small");
    trio.run("drift").ends(3);
}

#[test]
fn zones_that_data_cannot_follow_are_pending() {
    let shop = Place::applied(SHOP);
    shop.edit(r#"zones = ["us-east-1a", "#, "zones = [");
    shop.run("plan --exit-code").ends(2).shows("zone us-east-1a is no longer in the file").shows("its data is in");
    shop.run("drift").ends(2).never("the world moved");
}

#[test]
fn a_volume_bound_to_another_group_is_pending() {
    let both = format!("{SHOP}\n[machines.db]\ncount = 6\n{}", {
        let image = r#"image = { owner = "amazon", name = "al2023-ami-2023.*-x86_64" }"#;
        format!("{image}\ntype = \"t3.small\"\nzones = [\"us-east-1a\", \"us-east-1b\", \"us-east-1c\"]\n")
    });
    let shop = Place::applied(&both);
    shop.edit(r#"for = "machines.web""#, r#"for = "machines.db""#);
    shop.run("drift").ends(2).shows("web/0 → db/0").never("the world moved");
}

#[test]
fn a_tag_that_nobody_declared_is_never_told() {
    let shop = Place::applied(SHOP);
    shop.args(&["sim", "tag", "web/0", "CostCenter=42"]).ends(0);
    shop.run("drift").ends(0);
    shop.edit("payments", "billing");
    shop.run("plan --exit-code").ends(2).shows("tags.team payments → billing").never("CostCenter");
    shop.args(&["sim", "tag", "web/0", "team=nobody"]).ends(0);
    shop.run("plan --exit-code").ends(4).never("CostCenter");
    shop.run("drift").ends(4).never("CostCenter");
}

#[test]
fn a_lookup_that_finds_nothing_hides_no_drift() {
    let shop = Place::applied(SHOP);
    shop.edit("al2023-ami-2023.*-x86_64", "no-such-image-*");
    shop.run("drift").ends(2).shows("No drift in what could be compared").shows("a lookup has no answer");
    shop.args(&["sim", "tag", "web/0", "team=nobody"]).ends(0);
    shop.run("drift").ends(4).shows("tags.team");
}

#[test]
fn where_nothing_can_be_seen_there_is_one_error_and_no_page() {
    let shop = Place::applied(SHOP);
    for call in ["GetCallerIdentity", "DescribeInstances", "DescribeVolumes"] {
        deny(&shop, call);
    }
    for command in ["plan", "drift", "status", "output", "apply --yes", "destroy --yes", "protect machines.web"] {
        let said = shop.run(command).ends(8).says("error: could not see anything").says("way out");
        assert!(said.out.is_empty(), "{said}");
    }
}

#[test]
fn five_refuses_a_plan_of_which_nothing_holds_any_more() {
    let trio = Place::applied(TRIO);
    trio.run("sim set-type node/0 t3.large").ends(0);
    trio.run("plan -o p").ends(0).says("evenkeel apply");
    trio.run("sim set-type node/0 t3.small").ends(0);
    // However often it is tried.
    for _ in 0..2 {
        trio.run("apply p --yes").ends(5).says("not as the plan saw it").never("Applied in part");
    }
    trio.run("plan --exit-code").ends(0);
}

#[test]
fn six_refuses_what_policy_or_protection_forbids() {
    let trio = Place::applied(TRIO);
    trio.run("protect machines.node/1").ends(0).says("protected");
    trio.run("destroy --yes").ends(6).shows("1 held").says("Applied: 2 changes");
    trio.run("sim").shows("machines.node/1").shows("protected");
}

#[test]
fn seven_is_done_in_part_and_a_rerun_goes_on() {
    let trio = Place::with(TRIO);
    for (zone, most) in [("a", 1), ("b", 0), ("c", 1)] {
        trio.run(&format!("sim capacity us-east-1{zone} t3.small {most}")).ends(0);
    }
    let said = trio.run("apply --yes").ends(7);
    said.says("could not launch node/1").says("InsufficientInstanceCapacity").says("run `evenkeel apply` again");
    trio.run("sim capacity us-east-1b t3.small").ends(0);
    trio.run("sim advance 5m").ends(0);
    trio.run("apply --yes").ends(0).says("node/1").never("node/0 as").never("node/2 as");
    trio.run("status").ends(0);
}

#[test]
fn eight_is_not_everything_seen_and_it_is_never_called_in_sync() {
    let shop = Place::applied(SHOP);
    deny(&shop, "DescribeVolumes");
    for command in ["plan", "plan --exit-code", "drift", "status", "output", "apply --yes"] {
        shop.run(command).ends(8);
    }
    shop.run("plan").shows("not seen").shows("UnauthorizedOperation");
    shop.run("drift").never("No drift. Nothing pending.");
    shop.run("sim clear-faults").ends(0);
    shop.run("plan --exit-code").ends(0);
}

#[test]
fn what_could_not_be_seen_is_not_called_missing() {
    let shop = Place::applied(SHOP);
    deny(&shop, "DescribeVolumes");
    shop.run("status").ends(8).shows("not seen").never("missing");
    shop.run("sim clear-faults").ends(0);
    deny(&shop, "DescribeInstances");
    shop.run("status").ends(8).shows("not seen").never("missing");
    shop.run("apply --yes").ends(8).never("launched");
}

#[test]
fn nine_is_a_fleet_that_is_not_well() {
    let trio = Place::applied(TRIO);
    trio.run("sim impair node/0 --ago 20m").ends(0);
    trio.run("status").ends(9).shows("node/0").shows("Degraded");
}

#[test]
fn sixty_four_is_misuse() {
    let trio = Place::with(TRIO);
    for words in [
        "",
        "fly",
        "plan --fly",
        "plan --format xml",
        "plan --target [",
        "plan --max-deletes lots",
        "plan --replace web",
        "plan --var team",
        "apply --yes --lock-timeout soon",
        "sim advance yesterday",
        "sim do {}",
        "completions tcsh5",
        "protect",
        "protect Web!",
        "init --name UPPER",
        "init --region nowhere",
        "apply plan.json --target machines.node",
        "apply plan.json --max-deletes 0",
        "plan --replace volumes.data/0",
        "plan --env ../prod",
    ] {
        let said = trio.run(words).ends(64);
        assert!(!said.err.is_empty() && said.out.is_empty(), "{said}");
    }
    let mut without = trio.command();
    without.env_remove("EVENKEEL_SIM").arg("sim");
    let output = without.output().expect("it starts");
    assert_eq!(output.status.code(), Some(64), "sim without a world: {output:?}");
    // Nobody is there to answer.
    trio.run("apply").ends(64).says("--yes");
    // Where nothing is to be done nobody is asked.
    trio.run("destroy").ends(0).shows("No changes");
    Place::applied(TRIO).run("destroy").ends(64).says("--yes");
}

#[test]
fn a_saved_plan_whose_every_change_cannot_be_seen_now_ends_blind_and_not_stale() {
    let trio = Place::applied(TRIO);
    trio.edit("count = 3", "count = 4");
    trio.run("plan -o p").ends(0);
    deny(&trio, "DescribeInstances");
    trio.run("apply p --yes").ends(8).says("cannot be seen now");
}

#[test]
fn a_saved_plan_that_only_holds_back_ends_as_what_holds_it_says() {
    let trio = Place::applied(TRIO);
    trio.run("protect machines.node/2").ends(0);
    trio.edit("count = 3", "count = 2");
    trio.run("plan -o p").ends(0).shows("1 held");
    trio.run("apply p --yes").ends(6);
}

#[test]
fn what_was_not_asked_about_is_no_finding() {
    let trio = Place::applied(TRIO);
    trio.edit("count = 3", "count = 4");
    trio.run("plan --exit-code").ends(2);
    trio.run("plan --exit-code --target node/3").ends(2);
    trio.run("plan --exit-code --target node/0").ends(0);
    trio.run("plan --exit-code --exclude node/3").ends(0);
    trio.run("sim kill node/1").ends(0);
    trio.run("plan --exit-code").ends(4);
    trio.run("plan --exit-code --exclude node/1").ends(2);
}

#[test]
fn six_refuses_credentials_that_lead_to_an_account_without_this_stack() {
    let trio = Place::applied(TRIO);
    trio.run("--sim other.toml sim look").ends(0);
    let other = trio.read("other.toml").replace("123456789012", "999999999999");
    trio.write("other.toml", other);
    for words in ["plan", "apply --yes", "status", "drift"] {
        let said = trio.run(&format!("--sim other.toml {words}")).ends(6);
        said.says("3 objects in account 123456789012").says("write `account = \"999999999999\"` into [aws]");
    }
    trio.run("--sim other.toml sim look --json").shows("\"machines\": []");
    trio.edit("region = \"us-east-1\"", "region = \"us-east-1\"\naccount = \"999999999999\"");
    trio.run("--sim other.toml plan").ends(0).shows("3 to add");
}
