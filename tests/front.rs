//! The same binary, with the real SDK, against the sim behind EC2's own protocol: what the laws promise in one process,
//! over real HTTP and with EC2's semantics that no other server to be had keeps.

#[path = "lab/front.rs"]
mod lab;

use evenkeel_sim::World;
use evenkeel_sim::world::SecurityGroup;

use crate::wire::place::Place;
use crate::wire::story::{Lab, whole_journey};
use lab::Served;

/// So fast that a boot takes a moment, so slow that a moment of a busy machine is no quarter of an hour.
const SPEED: f64 = 300.0;

impl Lab for Served {
    fn url(&self) -> &str {
        &self.url
    }

    fn place(&self, url: &str, declaration: &str) -> Place {
        Place::new(url, declaration).in_time_with(self.sim.clock())
    }
}

/// A world with two more security groups, and their ids.
fn with_groups(names: [&str; 2]) -> (World, Vec<String>) {
    let mut world = World::founding(1);
    let vpc = world.subnets.values().next().map(|s| s.vpc.clone()).expect("a subnet");
    let ids = ["sg-0000000000000aaaa", "sg-0000000000000bbbb"];
    for (id, name) in ids.into_iter().zip(names) {
        let group = SecurityGroup { name: name.to_owned(), vpc: vpc.clone(), tags: Default::default() };
        world.security_groups.insert(id.to_owned(), group);
    }
    (world, ids.map(str::to_owned).to_vec())
}

#[test]
fn a_fleet_is_created_drifted_damaged_repaired_and_destroyed_beside_another_of_its_name() {
    let (world, groups) = with_groups(["cli-web", "cli-debug"]);
    let front = Served::start(world, SPEED);
    whole_journey(&front, &groups);
    assert_eq!(front.sim.violations(), []);
}
