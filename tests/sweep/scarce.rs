//! No room in a zone, and a limit of the account that is reached in the middle of a batch: what could be made is kept
//! and marked right, the rest is placed elsewhere or said, and a run after it is lifted ends it.

use std::sync::mpsc::channel;

use evenkeel_sim::World;
use evenkeel_sim::ops::Deed;

use super::fixture::{STACK, Scene, code, each, table};
use crate::laws::crash::{Journey, journeys_of_machines};
use crate::laws::end::ending;
use crate::laws::harness::story;
use crate::wire::place::Said;
use crate::wire::proxy::{Call, Fault};

fn journey(name: &str) -> Journey {
    journeys_of_machines().find(|j| j.name == name).expect("there is such a journey")
}

fn scene(of: &str) -> Scene {
    let journey = journey(of);
    let start = story(journey.begin(0));
    Scene::of(start, &journey.after)
}

fn live(world: &World, zone: &str) -> usize {
    world.instances.values().filter(|m| !m.is_dead() && (zone.is_empty() || m.zone == zone)).count()
}

/// Ids of machines that live.
fn alive(world: &World) -> Vec<String> {
    world.instances.iter().filter(|(_, m)| !m.is_dead()).map(|(id, _)| id.clone()).collect()
}

/// Everything that lives has a slot of its own, and no law is broken.
#[track_caller]
fn is_marked(world: &World) {
    let end = ending(world, STACK);
    assert!(end.strays.is_empty(), "{:?}", end.strays);
    let many: Vec<_> = end.places.iter().filter(|(_, all)| all.len() > 1).collect();
    assert!(many.is_empty(), "{many:#?}");
    assert_eq!(end.places.keys().filter(|a| a.starts_with("machines.")).count(), live(world, ""), "{end:#?}");
    assert!(world.violations.is_empty(), "{:?}", world.violations);
}

fn row(what: &str, first: &Said, left: usize, runs: usize) -> [String; 4] {
    [what.to_owned(), code(first), left.to_string(), runs.to_string()]
}

const HEAD: [&str; 4] = ["what", "first exit", "machines then", "runs after it"];

#[test]
fn a_zone_that_loses_its_room_in_mid_batch_costs_what_only_it_could_hold() {
    // Data is made in the zone of its machine and holds it there; without data the others take the machines.
    for (name, count, first_exit, placed) in [("create", 6, 7, 4), ("roll", 4, 0, 4)] {
        let journey = Journey { before: None, damage: nothing, ..journey(name) };
        let scene = Scene::of(story(journey.begin(0)), &journey.after);
        let sim = scene.front.sim.clone();
        let room = |most| Deed::SetCapacity { zone: "us-east-1b".into(), instance_type: "t3.small".into(), most };
        let (none, again) = (room(Some(0)), room(None));
        let (told, gone) = channel();
        // It was there when the plan was made; it is not there any more when the launch arrives.
        scene.proxy.meddle(move |_, call| {
            if call.action == "RunInstances" && call.form["Placement.AvailabilityZone"] == "us-east-1b" {
                sim.act(&none).expect("there is such a zone");
                let _ = told.send(());
            }
            None
        });
        let first = scene.place.run("apply --yes").ends(first_exit).tells("us-east-1b");
        let words = first.words();
        assert!(words.contains("no room") || words.contains("InsufficientInstanceCapacity"), "{first}");
        gone.try_recv().expect("a launch went there");
        let world = scene.world();
        is_marked(&world);
        let left = live(&world, "");
        assert_eq!((left, live(&world, "us-east-1b")), (placed, 0), "{first}");
        scene.proxy.behave();
        scene.front.sim.act(&again).expect("there is such a zone");
        scene.advance(600);
        let runs = scene.settles(8);
        scene.is_sound();
        assert_eq!(live(&scene.world(), ""), count);
        println!("{}", table("room lost in one zone in mid-batch", HEAD, &[row(name, &first, left, runs)]));
    }
}

/// A limit that is reached in the middle.
struct Limit {
    what: &'static str,
    journey: &'static str,
    /// The world's own limit.
    set: fn(&mut World),
    lift: fn(&mut World),
    /// EC2's refusal where the world has no such limit: of the calls of this action after so many.
    refuse: Option<(&'static str, usize, &'static str)>,
    /// Machines that live when it has struck.
    leaves: std::ops::RangeInclusive<usize>,
}

fn nothing(_: &mut World) {}

fn unlimited(world: &mut World) {
    (world.limits.vcpus, world.limits.volumes) = (50_000, 50_000);
}

#[test]
fn a_limit_reached_in_mid_batch_keeps_what_was_made_and_ends_when_it_is_lifted() {
    let limits = [
        Limit {
            what: "vCPUs",
            journey: "create",
            // Two of t3.small have two each: two zones of three.
            set: |world| world.limits.vcpus = 8,
            lift: unlimited,
            refuse: None,
            leaves: 4..=4,
        },
        Limit {
            what: "vCPUs for a successor",
            journey: "replace",
            set: |world| world.limits.vcpus = 12,
            lift: unlimited,
            refuse: None,
            leaves: 6..=6,
        },
        Limit {
            what: "volumes",
            journey: "create",
            // Each machine's root and data: six of each.
            set: |world| world.limits.volumes = 9,
            lift: unlimited,
            refuse: None,
            leaves: 2..=6,
        },
        Limit {
            what: "instances",
            journey: "create",
            set: nothing,
            lift: nothing,
            refuse: Some(("RunInstances", 1, "InstanceLimitExceeded")),
            leaves: 2..=2,
        },
        Limit {
            what: "IOPS",
            journey: "create",
            set: nothing,
            lift: nothing,
            refuse: Some(("CreateVolume", 3, "MaxIOPSLimitExceeded")),
            leaves: 6..=6,
        },
    ];
    let rows = std::sync::Mutex::new(Vec::new());
    each(&limits, |limit| {
        let scene = scene(limit.journey);
        scene.front.sim.edit(limit.set).expect("it is in no file");
        if let Some((action, after, refusal)) = limit.refuse {
            let mut so_far = 0;
            scene.proxy.meddle(move |_, call: &Call| {
                let meant = call.action == action;
                so_far += usize::from(meant);
                (meant && so_far > after).then(|| Fault::refusal(400, refusal))
            });
        }
        let before = alive(&scene.world());
        if limit.what.starts_with("vCPUs") {
            scene.place.run("plan --dry-run").ends(6).tells("vCPUs at once (quota L-1216C47A)");
        }
        let first = scene.place.run("apply --yes");
        let world = scene.world();
        is_marked(&world);
        let left = live(&world, "");
        let what = limit.what;
        assert!(limit.leaves.contains(&left), "{what}: {left}: {first}");
        let end = alive(&world);
        assert!(
            before.iter().all(|id| end.contains(id)),
            "{what}: something was ended for a successor that is not there"
        );
        let first = first.ends(7).tells("LimitExceeded");
        // Again, nothing has changed: nothing more is made, and nothing twice.
        scene.place.run("apply --yes").ends(7);
        let again = scene.world();
        is_marked(&again);
        assert_eq!(live(&again, ""), left, "{what}");
        scene.proxy.behave();
        scene.front.sim.edit(limit.lift).expect("it is in no file");
        let runs = scene.settles(8);
        scene.is_sound();
        rows.lock().expect("nobody panics with it").push(row(
            &format!("{what}, {}", limit.journey),
            &first,
            left,
            runs,
        ));
    });
    let rows = rows.into_inner().expect("nobody panics with it");
    println!("{}", table("a limit reached in mid-batch", HEAD, &rows));
}
