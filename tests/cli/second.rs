//! What a second run does after a first one that could not: it does not repeat what cannot be, and finds a way.

use super::place::{Place, TRIO};

#[test]
fn a_type_that_cannot_be_stops_a_machine_once_and_leaves_it_running() {
    let trio = Place::applied(&format!("{TRIO}\n[policy]\nmax-unavailable = 1\n"));
    trio.edit("t3.small", "t4g.small");
    trio.run("apply --yes").ends(7).says("another architecture").says("start");
    trio.run("sim advance 10m").ends(0);
    trio.run("status").ends(0).shows("3 of 3");
    // One was tried; neither it nor any other is stopped again, and the plan says why.
    trio.run("plan").ends(0).shows("was stopped for this one").shows("3 held").shows("`--replace` makes");
    trio.run("apply --yes").ends(6).never("stopped node");
    trio.run("status").ends(0);
    trio.edit("t4g.small", "t3.small");
    trio.run("plan --exit-code").ends(0);
}

#[test]
fn a_token_of_what_was_destroyed_is_no_obstacle_after_five_minutes() {
    let trio = Place::applied(TRIO);
    trio.run("destroy --yes").ends(0);
    trio.run("sim advance 2h").ends(0);
    // A newer image answers the same question: EC2 knows the tokens with the older one.
    let world = trio.read("world.toml");
    let newest = "2025-11-10T00:00:00Z";
    assert!(world.contains(newest), "{world}");
    let older = "2025-08-18T00:00:00Z";
    trio.write("world.toml", world.replace(newest, "2025-01-01T00:00:00Z").replace(older, newest));
    trio.run("apply --yes").ends(7).says("IdempotentParameterMismatch");
    trio.run("apply --yes").ends(7).shows("it is launched anew").never("launched node");
    trio.run("sim advance 5m").ends(0);
    trio.run("apply --yes").ends(0);
    trio.run("plan --exit-code").ends(0);
    trio.run("status").ends(0).shows("3 of 3");
}
