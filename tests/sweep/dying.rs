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
/// Die, in these stories: all of one launch, for what is left of a launch that lost one waits for the next run, and is
/// drift or not by its age.
const SLOTS: [&str; 2] = ["machines.web/1", "machines.web/4"];

/// Nothing is there, and what is launched boots for a while.
fn scene() -> Scene {
    let journey = journeys_of_machines().find(|j| j.name == "create").expect("there is such a journey");
    let journey = Journey { before: None, damage: |_| {}, ..journey };
    let mut start = story(journey.begin(0));
    start.timing.boot = Span::secs(120, 120);
    Scene::at(SPEED, start, &journey.after)
}

/// Whatever boots in these slots dies where it is looked at, so many times at most.
fn doom(scene: &Scene, slots: &'static [&'static str], most: usize) {
    let sim = scene.front.sim.clone();
    let mut left = most;
    scene.proxy.meddle(move |_, call| {
        if left > 0 && call.action == "DescribeInstances" && sim.edit(|w| dies(w, slots)).expect("it is in no file") {
            left -= 1;
        }
        None
    });
}

fn dies(world: &mut World, slots: &[&str]) -> bool {
    let ids: Vec<String> = slots.iter().flat_map(|slot| world.find(slot)).collect();
    let died = ids.into_iter().map(|instance| world.act(&Deed::Die { instance, reason: Death::Launch }).is_ok());
    died.fold(false, |any, one| any | one)
}

#[test]
fn machines_that_die_while_they_boot_are_launched_again_in_their_slots() {
    let scene = scene();
    doom(&scene, &SLOTS, 1);
    let first = scene.place.run("apply --yes").ends(7).tells("web/1: gone (Client.InternalError)");
    assert!(!first.words().contains("the request is wrong"), "{first}");
    scene.place.run("plan --exit-code").ends(3).tells("was terminated (Client.InternalError)");
    scene.place.run("apply --yes").ends(0);
    assert_eq!(scene.launched(), 8);
    scene.is_sound();
}

#[test]
fn of_a_slot_that_dies_at_every_launch_no_endless_series_is_launched() {
    let scene = scene();
    doom(&scene, &SLOTS[..1], usize::MAX);
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
