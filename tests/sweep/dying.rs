//! Machines that die of themselves while they boot: each is launched again in its slot, and not for ever.

use evenkeel_sim::World;
use evenkeel_sim::death::Death;
use evenkeel_sim::dice::Span;
use evenkeel_sim::ops::Deed;

use super::fixture::Scene;
use crate::laws::crash::{Journey, journeys_of_machines};
use crate::laws::harness::story;

/// Slow enough that what boots is looked at before it is up.
const SPEED: f64 = 100.0;
/// Dies, in these stories; `web/4` was launched with it.
const SLOT: &str = "machines.web/1";

/// Nothing is there, and what is launched boots for a while.
fn scene() -> Scene {
    let journey = journeys_of_machines().find(|j| j.name == "create").expect("there is such a journey");
    let journey = Journey { before: None, damage: |_| {}, ..journey };
    let mut start = story(journey.begin(0));
    start.timing.boot = Span::secs(120, 120);
    Scene::at(SPEED, start, &journey.after)
}

/// Whatever boots in the slot dies where it is looked at, so many times at most.
fn doom(scene: &Scene, most: usize) {
    let sim = scene.front.sim.clone();
    let mut left = most;
    scene.proxy.meddle(move |_, call| {
        if left > 0 && call.action == "DescribeInstances" && sim.edit(dies).expect("it is in no file") {
            left -= 1;
        }
        None
    });
}

fn dies(world: &mut World) -> bool {
    let ids = world.find(SLOT);
    ids.into_iter().any(|instance| world.act(&Deed::Die { instance, reason: Death::Launch }).is_ok())
}

#[test]
fn a_machine_that_dies_while_it_boots_holds_back_its_own_volume_alone_and_is_launched_again() {
    let scene = scene();
    doom(&scene, 1);
    let first = scene.place.run("apply --yes").ends(7).tells("web/1: gone (Client.InternalError)");
    assert!(!first.words().contains("the request is wrong"), "{first}");
    first.tells("machines.web/1 did not come").tells("attached: data/4");
    scene.place.run("plan --exit-code").ends(3).tells("was terminated (Client.InternalError)");
    scene.place.run("apply --yes").ends(0);
    assert_eq!(scene.launched(), 7);
    scene.is_sound();
}

#[test]
fn of_a_slot_that_dies_at_every_launch_no_endless_series_is_launched() {
    let scene = scene();
    doom(&scene, usize::MAX);
    let mut runs = 0;
    let held = loop {
        let said = scene.place.run("apply --yes");
        runs += 1;
        assert!(runs < 9, "{said}");
        if said.words().contains("did not stay healthy") {
            break said;
        }
        scene.advance(300);
    };
    println!("{held}");
    // Six at first, and three more of the slot.
    assert_eq!(scene.launched(), 9, "{held}");
    for _ in 0..3 {
        scene.advance(300);
        scene.place.run("apply --yes").tells("did not stay healthy");
    }
    assert_eq!(scene.launched(), 9);
    scene.proxy.behave();
    scene.advance(3600);
    scene.settles(3);
    scene.is_sound();
}
