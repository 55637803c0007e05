//! A zone is lost, as an operator meets it (scenario 6): capacity is restored in the others, and given back afterwards.

use super::place::{Place, TRIO};

/// Live machines in each of the three zones.
fn spread(place: &Place) -> Vec<u64> {
    let world = place.run("sim look --json").json();
    let zones = world["zones"].as_array().expect("zones");
    let names = ["us-east-1a", "us-east-1b", "us-east-1c"];
    zones.iter().filter(|z| names.iter().any(|n| z["name"] == *n)).filter_map(|z| z["machines"].as_u64()).collect()
}

#[test]
fn what_a_lost_zone_held_is_launched_in_the_others_and_given_back_when_it_returns() {
    let trio = Place::applied(&TRIO.replace("count = 3", "count = 9"));
    assert_eq!(spread(&trio), [3, 3, 3]);
    trio.run("sim lose-zone us-east-1a").ends(0);
    trio.run("plan").ends(0).shows("is lost with its zone").shows("never fewer than");
    // What stands in the zone is held, which only its return lifts.
    trio.run("apply --yes").ends(7).shows("3 to add, 0 to replace");
    assert_eq!(spread(&trio), [3, 5, 4]);
    trio.run("apply --yes").ends(7).shows("Nothing to do now").shows("3 held");
    trio.run("sim restore-zone us-east-1a").ends(0);
    for _ in 0..5 {
        trio.run("status");
        trio.run("sim advance 10m").ends(0);
    }
    trio.run("apply --yes").ends(0).shows("0 to add, 0 to replace").shows("3 to destroy");
    trio.run("plan --exit-code").ends(0);
    assert_eq!(spread(&trio), [3, 3, 3]);
}
