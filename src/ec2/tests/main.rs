//! The provider on the sim, with a listener on the wire between them.

mod acting;
mod fleet;
mod journey;
mod launching;
mod looking;
mod reading;
mod rehearsing;
mod scale;
mod storm;
mod wiretap;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::address::{Address, Group, Kind};
use evenkeel_core::desired::Lookup;
use evenkeel_core::launch::{Launch, NewVolume, Place};
use evenkeel_core::observed::Object;
use evenkeel_core::plan::Call;
use evenkeel_core::slots::Slots;
use evenkeel_core::stamp::{LaunchTag, Vector, tag};
use evenkeel_core::value::{Fields, Value};
use evenkeel_ec2::Ec2Provider;
use evenkeel_engine::caller::Caller;
use evenkeel_engine::clock::Clock;
use evenkeel_engine::provider::{Eyes, Made, Payloads, Provider, Reading, Wants};
use evenkeel_sim::{Sim, World, runtime};

use crate::wiretap::Wiretap;

const STACK: &str = "7f3kq2x9";
const IMAGE: &str = "ami-00000000000002309";

/// A fresh world in memory, the provider on it, and the wire between.
struct Stage {
    sim: Sim,
    wire: Arc<Wiretap>,
    provider: Ec2Provider<Wiretap>,
}

impl Stage {
    fn new(world: World) -> Self {
        let sim = Sim::new(world);
        let wire = Arc::new(Wiretap::new(sim.clone()));
        let caller = Arc::new(Caller::new(Arc::new(sim.clock()), 7));
        Self { provider: Ec2Provider::new(wire.clone(), "", caller), wire, sim }
    }

    async fn read(&self) -> Reading {
        self.provider.read(&wants([])).await
    }

    async fn ask(&self, lookup: Lookup) -> Reading {
        self.provider.read(&wants([lookup])).await
    }

    async fn perform(&self, call: Call) -> Result<Made, evenkeel_core::failure::Failure> {
        self.provider.perform(&call, &Payloads::new()).await
    }

    /// Launches and waits until all checks pass.
    async fn boot(&self, l: &Launch) -> Made {
        let made = self.perform(Call::Launch(l.clone())).await.expect("a launch");
        self.wait(200).await;
        made
    }

    async fn look(&self, id: &str) -> Vec<Object> {
        self.provider.look(&BTreeSet::from([id.to_owned()])).await.expect("a look").objects
    }

    async fn wait(&self, seconds: u64) {
        self.sim.clock().sleep(Duration::from_secs(seconds)).await;
    }
}

/// Runs a story in virtual time, on a fresh world in memory.
fn story<F: Future<Output = ()>>(tell: impl FnOnce(Stage) -> F) {
    runtime().expect("a runtime").block_on(async { tell(Stage::new(World::founding(7))).await });
}

fn wants(lookups: impl IntoIterator<Item = Lookup>) -> Wants {
    Wants { scope: String::new(), stack: STACK.into(), lookups: lookups.into_iter().collect(), ..Wants::default() }
}

fn web() -> Group {
    Group::machines("web")
}

/// A launch of the slots 0..n of `machines.web` in zone a.
fn launch(n: u32) -> Launch {
    launch_of(0..n)
}

fn launch_of(slots: impl IntoIterator<Item = u32>) -> Launch {
    let spec = Fields::from([
        ("image".into(), IMAGE.into()),
        ("metadata".into(), Value::Map(BTreeMap::from([("tokens-required".into(), true.into())]))),
        ("monitoring".into(), false.into()),
        ("market".into(), "on-demand".into()),
    ]);
    Launch {
        stack: STACK.into(),
        group: web(),
        tag: LaunchTag::first(Slots::new(slots)),
        places: vec![Place { zone: "us-east-1a".into(), subnet: None }],
        types: vec!["t3.small".into()],
        vector: Vector::of(Kind::Machines, STACK, &spec),
        spec,
        root_device: Some("/dev/xvda".into()),
        user_data: None,
        tags: BTreeMap::from([(tag::NAME.into(), "shop/web".into())]),
    }
}

/// `volumes.data/<slot>`, 10 GiB in zone a.
fn data(slot: u32) -> NewVolume {
    let spec =
        Fields::from([("size".into(), 10u32.into()), ("type".into(), "gp3".into()), ("encrypted".into(), true.into())]);
    NewVolume {
        stack: STACK.into(),
        address: data_address(slot),
        tag: LaunchTag::first(Slots::new([slot])),
        zone: "us-east-1a".into(),
        vector: Vector::of(Kind::Volumes, STACK, &spec),
        spec,
        tags: BTreeMap::from([(tag::NAME.into(), "shop/data".into())]),
    }
}

fn data_address(slot: u32) -> Address {
    Group::volumes("data").slot(slot)
}

fn of_kind(reading: &Reading, kind: Kind) -> Vec<&Object> {
    reading.objects.iter().filter(|o| o.kind == kind).collect()
}
