//! What the sim promises, told as stories on a world of its own each.

mod faults;
mod files;
mod hands;
mod journey;
mod launches;
mod laws;
mod lists;
mod properties;
mod storage;

use std::time::Duration;

use evenkeel_core::failure::Class;
use evenkeel_core::stamp::tag;
use evenkeel_ec2::api::{CreateVolume, Ec2, Ec2Read, Filter, Instance, Metadata, Query, RunInstances, Tags, Volume};
use evenkeel_engine::clock::Clock;

use crate::{Sim, World, runtime};

/// Runs a story in virtual time, on a fresh world in memory.
fn story<F: Future<Output = ()>>(tell: impl FnOnce(Sim) -> F) {
    story_in(World::founding(7), tell);
}

/// The same in this world.
fn story_in<F: Future<Output = ()>>(world: World, tell: impl FnOnce(Sim) -> F) {
    let runtime = runtime().expect("a runtime");
    runtime.block_on(async { tell(Sim::new(world)).await });
}

/// A launch of `count` small machines of the group `web` in zone a.
pub(crate) fn launch(token: &str, count: u32) -> RunInstances {
    let slots = if count < 2 { "0".to_owned() } else { format!("0-{}", count - 1) };
    RunInstances {
        client_token: token.to_owned(),
        count,
        image: "ami-00000000000002309".to_owned(),
        instance_type: "t3.small".to_owned(),
        zone: Some("us-east-1a".to_owned()),
        tags: ours("machines.web", &format!("g1 s{slots}")),
        volume_tags: tags(&[(tag::STACK, "s"), (tag::ADDRESS, "machines.web")]),
        ..RunInstances::default()
    }
}

/// A volume of the group `data` in zone a.
fn volume(token: &str, size: u32) -> CreateVolume {
    CreateVolume {
        client_token: token.to_owned(),
        zone: "us-east-1a".to_owned(),
        size: Some(size),
        volume_type: "gp3".to_owned(),
        encrypted: true,
        tags: ours("volumes.data", "g1 s0"),
        ..CreateVolume::default()
    }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn ours(group: &str, mark: &str) -> Tags {
    tags(&[(tag::STACK, "s"), (tag::ADDRESS, group), (tag::LAUNCH, mark)])
}

/// Everything on one page, by a filter that all match.
fn all() -> Query {
    Query { max_results: Some(1000), ..Query::default() }
}

fn by_id(id: &str) -> Query {
    Query { ids: vec![id.to_owned()], ..Query::default() }
}

fn filter(name: &str, value: &str) -> Query {
    Query { filters: vec![Filter::new(name, value)], ..all() }
}

impl Sim {
    /// Waits in virtual time.
    async fn wait(&self, seconds: u64) {
        self.clock().sleep(Duration::from_secs(seconds)).await;
    }

    /// Machines that run with all checks passed.
    async fn boot_up(&self, token: &str, count: u32) -> Vec<Instance> {
        let made = self.run_instances(&launch(token, count)).await.expect("a launch");
        self.wait(150).await;
        made
    }

    /// A free volume.
    async fn free_volume(&self, token: &str) -> Volume {
        let made = self.create_volume(&volume(token, 10)).await.expect("a volume");
        self.wait(10).await;
        made
    }

    /// One instance, by id.
    async fn look_at(&self, id: &str) -> Instance {
        self.instances(&by_id(id)).await.expect("it is there").items.remove(0)
    }

    /// The class and code with which something was refused.
    fn why<T: std::fmt::Debug>(answer: Result<T, evenkeel_core::failure::Failure>) -> (Class, String) {
        let failure = answer.expect_err("it should have been refused");
        (failure.class, failure.code)
    }
}
