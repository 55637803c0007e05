//! EC2 has no room, as a person meets it: the next type, then the next zone, and back when there is room again.

use super::place::{Place, TRIO};

#[test]
fn a_zone_without_room_gives_its_machines_to_the_others_within_the_same_run() {
    let trio = Place::with(&TRIO.replace("count = 3", "count = 6"));
    trio.run("plan").ends(0);
    trio.run("sim capacity us-east-1b t3.small 0").ends(0);
    let said = trio.run("apply --yes").ends(0).says("the plan for what is left").says("Converged");
    said.shows("us-east-1b had no room for t3.small").shows("placed in us-east-1a and us-east-1c instead");
    trio.run("status").ends(0).shows("6 of 6");
    // Minutes later it is tried again; while there is still none, everything stays as it is.
    trio.run("plan").ends(0).shows("us-east-1b").shows("2 is even");
    trio.run("apply --yes").ends(7);
    trio.run("status").ends(0).shows("6 of 6");
    trio.run("sim advance 10m").ends(0);
    trio.run("sim capacity us-east-1b t3.small").ends(0);
    for _ in 0..4 {
        trio.run("apply --yes");
        trio.run("sim advance 10m").ends(0);
    }
    trio.run("plan --exit-code").ends(0).never("no room").never("zones differ");
}

#[test]
fn another_type_comes_before_another_zone() {
    let trio = Place::with(&TRIO.replace(r#"type = "t3.small""#, r#"type = ["t3.small", "t3a.small"]"#));
    trio.run("plan").ends(0);
    trio.run("sim capacity us-east-1b t3.small 0").ends(0);
    trio.run("apply --yes").ends(0).never("had no room");
    trio.run("plan --exit-code").ends(0);
    let b = trio.read("world.toml");
    assert!(b.contains("t3a.small"), "{b}");
}

#[test]
fn a_saved_plan_decides_nothing_anew() {
    let trio = Place::with(TRIO);
    trio.run("plan -o saved.json").ends(0);
    trio.run("sim capacity us-east-1b t3.small 0").ends(0);
    trio.run("apply saved.json").ends(7).never("the plan for what is left");
    trio.run("plan").ends(0).shows("us-east-1b had no room for t3.small").shows("placed in us-east-1a instead");
    trio.run("apply --yes").ends(0);
}

#[test]
fn without_room_anywhere_it_is_held_and_safe_to_rerun() {
    let trio = Place::with(TRIO);
    trio.run("plan").ends(0);
    for zone in ["a", "b", "c"] {
        trio.run(&format!("sim capacity us-east-1{zone} t3.small 0")).ends(0);
    }
    trio.run("apply --yes").ends(7);
    let said = trio.run("apply --yes").ends(7);
    said.shows("held").shows("had no room for t3.small").shows("tried again from");
    trio.run("sim advance 5m").ends(0);
    trio.run("sim capacity us-east-1a t3.small").ends(0);
    trio.run("apply --yes").ends(0);
    trio.run("status").ends(0).shows("3 of 3");
}
