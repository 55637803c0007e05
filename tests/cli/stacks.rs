//! What is ours and what is not; what is kept, protected, narrowed, handed over.

use super::place::{Place, SHOP, TRIO};
use serde_json::Value;

fn machines(place: &Place) -> Vec<Value> {
    let world = place.run("sim look --json").ends(0).json();
    let all = world["machines"].as_array().expect("machines").clone();
    all.into_iter().filter(|m| matches!(m["state"].as_str(), Some("pending" | "running" | "stopped"))).collect()
}

/// Volumes of their own: what dies with a machine is left out.
fn volumes(place: &Place) -> Vec<Value> {
    let world = place.run("sim look --json").ends(0).json();
    let all = world["volumes"].as_array().expect("volumes").clone();
    all.into_iter().filter(|v| v["dies-with-it"] == false && v["state"] != "deleted").collect()
}

fn of_stack<'a>(all: &'a [Value], id: &str) -> Vec<&'a Value> {
    all.iter().filter(|m| m["stack"] == id).collect()
}

/// What a slot's machine is called.
fn id_of(place: &Place, address: &str) -> String {
    let all = machines(place);
    let one = all.iter().find(|m| m["address"] == address).unwrap_or_else(|| panic!("no {address} in {all:?}"));
    one["id"].as_str().expect("an id").to_owned()
}

#[test]
fn two_stacks_of_one_name_never_touch_each_other() {
    let shop = Place::applied(SHOP);
    let twin = SHOP.replace("7f3kq2x9", "8g4mr3y2");
    shop.write("twin.toml", &twin);
    shop.run("plan --exit-code -f twin.toml").ends(2).shows("0 → 6");
    shop.run("apply --yes -f twin.toml").ends(0);
    shop.run("plan --exit-code").ends(0);
    shop.run("plan --exit-code -f twin.toml").ends(0);
    let before = machines(&shop);
    assert_eq!((of_stack(&before, "7f3kq2x9").len(), of_stack(&before, "8g4mr3y2").len()), (6, 6));

    shop.run("destroy --yes -f twin.toml").ends(0);
    let after = machines(&shop);
    assert_eq!(of_stack(&after, "7f3kq2x9"), of_stack(&before, "7f3kq2x9"));
    assert_eq!(of_stack(&after, "8g4mr3y2").len(), 0);
    assert_eq!(of_stack(&volumes(&shop), "8g4mr3y2").len(), 0);
    shop.run("plan --exit-code").ends(0);
}

#[test]
fn what_is_protected_outlives_its_file_and_its_destroy() {
    let shop = Place::applied(SHOP);
    shop.run("protect machines.web/1 volumes.data/1").ends(0);
    shop.run("plan --exit-code").ends(0);
    shop.run("destroy --yes").ends(6).shows("held");
    let left: Vec<_> = machines(&shop).iter().map(|m| m["address"].clone()).collect();
    assert_eq!(left, ["machines.web/1"]);
    shop.run("unprotect machines.web volumes.data").ends(0);
    shop.run("destroy --yes").ends(0);
    assert_eq!(machines(&shop), Vec::<Value>::new());
}

#[test]
fn a_group_of_several_does_not_go_to_none_by_a_slip() {
    let trio = Place::applied(TRIO);
    trio.edit("count = 3", "count = 0");
    trio.run("plan --exit-code").ends(2).shows("--allow-empty").shows("refused");
    trio.run("apply --yes").ends(6);
    assert_eq!(machines(&trio).len(), 3);
    trio.run("apply --yes --allow-empty").ends(6).shows("--max-deletes 3");
    trio.run("apply --yes --allow-empty --max-deletes 3").ends(0);
    assert_eq!(machines(&trio).len(), 0);
}

#[test]
fn a_cap_on_deletes_stops_a_slip_and_is_raised_by_hand() {
    let shop = Place::applied(&SHOP.replace("[volumes.data]", "[policy]\nmax-deletes = 1\n\n[volumes.data]"));
    shop.edit("count = 6", "count = 3");
    let said = shop.run("apply --yes").ends(6);
    said.shows("max-deletes");
    assert_eq!(machines(&shop).len(), 6);
    shop.run("apply --yes --max-deletes 50%").ends(0);
    assert_eq!(machines(&shop).len(), 3);
}

#[test]
fn target_and_exclude_narrow_what_is_done() {
    let shop = Place::with(SHOP);
    shop.run("apply --yes --target machines.web/0 --target volumes.data/0").ends(0);
    assert_eq!(machines(&shop).len(), 1);
    assert_eq!(volumes(&shop).iter().filter(|v| v["address"] == "volumes.data/0").count(), 1);
    shop.run("apply --yes --exclude volumes.*").ends(0);
    assert_eq!(machines(&shop).len(), 6);
    assert_eq!(volumes(&shop).iter().filter(|v| v["address"].is_string()).count(), 1);
    shop.run("apply --yes").ends(0);
    shop.run("plan --exit-code").ends(0);
    shop.run("destroy --yes --target machines.web/5 --target volumes.data/5").ends(0);
    assert_eq!(machines(&shop).len(), 5);
}

#[test]
fn what_holds_data_is_quarantined_before_it_is_deleted_and_comes_back_with_its_file() {
    let shop = Place::applied(SHOP);
    let file = shop.read("evenkeel.toml");
    let ids = |v: &[Value]| v.iter().filter(|v| v["address"].is_string()).map(|v| v["id"].clone()).collect::<Vec<_>>();
    let before = ids(&volumes(&shop));
    shop.edit("count = 6", "count = 5");
    shop.run("apply --yes --max-deletes 50%").ends(0).shows("1 to quarantine");
    assert_eq!(ids(&volumes(&shop)), before, "nothing is deleted yet");
    shop.run("apply --yes").ends(0).shows("the end of its quarantine at").shows("look again");
    assert_eq!(ids(&volumes(&shop)), before, "not by a second run either");

    // Back in the file: the same volume serves again.
    shop.write("evenkeel.toml", &file);
    shop.run("apply --yes").ends(0);
    assert_eq!(ids(&volumes(&shop)), before, "the same six");
    shop.run("plan --exit-code").ends(0);

    // Out of the file for longer than the quarantine lasts: gone.
    shop.edit("count = 6", "count = 5");
    shop.run("apply --yes --max-deletes 50%").ends(0);
    shop.run("sim advance 800h").ends(0);
    shop.run("apply --yes --max-deletes 50%").ends(0);
    let left = ids(&volumes(&shop));
    assert_eq!(left.len(), 5, "{left:?}");
    shop.run("plan --exit-code").ends(0);
}

#[test]
fn a_replaced_machine_hands_its_volume_over() {
    let shop = Place::applied(SHOP);
    let (old, volumes_before) = (id_of(&shop, "machines.web/4"), volumes(&shop));
    let volume = volumes_before.iter().find(|v| v["address"] == "volumes.data/4").expect("it is there")["id"].clone();
    shop.run("plan --replace machines.web/4").ends(0).shows("asked: replace").shows("data/4 follows");
    shop.run("apply --yes --replace machines.web/4").ends(0).says("Converged");
    let new = id_of(&shop, "machines.web/4");
    assert_ne!(new, old);
    let after = volumes(&shop);
    let now = after.iter().find(|v| v["address"] == "volumes.data/4").expect("it is there");
    assert_eq!((&now["id"], &now["instance"]), (&volume, &Value::from(new)));
    shop.run("plan --exit-code").ends(0);
}

#[test]
fn a_volume_is_handed_to_the_successor_of_a_machine_that_died() {
    let shop = Place::applied(SHOP);
    let volume = |place: &Place| {
        let all = volumes(place);
        let one = all.iter().find(|v| v["address"] == "volumes.data/2").expect("it is there");
        (one["id"].clone(), one["instance"].clone())
    };
    let before = volume(&shop);
    shop.run("sim kill web/2").ends(0);
    shop.run("sim advance 5m").ends(0);
    shop.run("apply --yes").ends(0);
    let after = volume(&shop);
    assert_eq!(before.0, after.0);
    assert_eq!(after.1, Value::from(id_of(&shop, "machines.web/2")));
}

#[test]
fn an_account_that_is_not_the_files_is_refused() {
    let trio = Place::with(&TRIO.replace("[aws]", "[aws]\naccount = \"999999999999\""));
    for command in ["plan", "apply --yes", "destroy --yes", "status", "drift"] {
        trio.run(command).ends(6).says("999999999999").says("123456789012");
    }
    assert_eq!(machines(&trio).len(), 0);
}

#[test]
fn a_region_that_the_file_no_longer_names_is_not_passed_over_in_silence() {
    let zones = "zones = [\"us-east-1a\", \"us-east-1b\", \"us-east-1c\"]\n";
    let trio = Place::applied(&TRIO.replace(zones, ""));
    let world = trio.read("world.toml");
    // The same account, looked at in another region, where nothing of this stack is yet.
    std::fs::remove_file(trio.path("world.toml")).expect("the world");
    trio.edit("region = \"us-east-1\"", "region = \"eu-west-1\"");
    for command in ["plan", "drift"] {
        trio.run(command).ends(8).shows("[aws] in us-east-1").shows("3 objects");
    }
    trio.write("world.toml", world);
    trio.edit("region = \"eu-west-1\"", "region = \"us-east-1\"");
    trio.run("drift").never("is not looked at any more");
    trio.run("destroy --yes").ends(0);
}

#[test]
fn a_second_region_is_refused_by_the_sim_in_words() {
    let zones = "zones = [\"us-east-1a\", \"us-east-1b\", \"us-east-1c\"]\n";
    let trio = Place::applied(&TRIO.replace(zones, ""));
    for region in ["us-west-2", "us-east-1"] {
        let west = format!("[aws.west]\nregion = \"{region}\"\n\n[machines.node]");
        trio.edit("[machines.node]", &west);
        for command in ["plan", "apply --yes", "destroy --yes", "status", "drift"] {
            let said = trio.run(command).ends(64).says("one region, this one us-east-1");
            said.says("[aws] and [aws.west]").never("fault in evenkeel");
        }
        trio.edit(&west, "[machines.node]");
    }
    trio.edit("region = \"us-east-1\"", "region = \"eu-west-1\"");
    trio.run("plan").ends(64).says("[aws] says eu-west-1");
    trio.edit("region = \"eu-west-1\"", "region = \"us-east-1\"");
    trio.run("plan --exit-code").ends(0);
}
