//! A fleet of some size that stands on a served world, made in memory and in no time.

#[path = "../src/ec2/tests/fleet.rs"]
#[allow(missing_docs, dead_code, reason = "the tests' own")]
mod fleet;
#[path = "../tests/lab/front.rs"]
#[allow(missing_docs, dead_code, reason = "the tests' own")]
mod lab;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evenkeel_core::event::Outcome;
use evenkeel_engine::clock::Clock;
use evenkeel_sim::action::Action;
use evenkeel_sim::dice::Span;
use evenkeel_sim::{World, runtime};

use fleet::Fleet;
use lab::Served;

/// The stack of every declaration here.
pub const STACK: &str = "7f3kq2x9";
/// The most machines of one group.
const GROUP: u32 = 10_000;
/// Virtual seconds a second, so that no bucket is empty while reading.
const SPEED: f64 = 30.0;

/// A declaration of `n` machines, each with a volume or none.
pub fn file(n: u32, volumes: bool) -> String {
    let mut text = format!("[stack]\nname = \"shop\"\nid = \"{STACK}\"\n\n[aws]\nregion = \"us-east-1\"\n");
    for (group, from) in (0..n).step_by(GROUP as usize).enumerate() {
        let count = GROUP.min(n - from);
        text += &format!(
            "\n[machines.web{group}]\ncount = {count}\nimage = {{ owner = \"amazon\", name = \
             \"al2023-ami-2023.*-x86_64\" }}\ntype = \"t3.small\"\nzones = [\"us-east-1a\", \"us-east-1b\", \
             \"us-east-1c\"]\nsecurity-groups = [\"web\"]\n"
        );
        if volumes {
            text += &format!("\n[volumes.data{group}]\nfor = \"machines.web{group}\"\nsize = \"10GiB\"\n");
        }
    }
    text
}

/// Calls by name; whether each changes the world.
pub type Calls = BTreeMap<&'static str, (u64, bool)>;

/// A served world and a folder with its declaration.
pub struct Scene {
    served: Served,
    folder: tempfile::TempDir,
}

impl Scene {
    /// Nothing stands yet.
    pub fn empty(declaration: &str) -> Self {
        Self::of(World::founding(7), declaration)
    }

    /// `n` machines with a volume each stand as declared.
    pub fn standing(n: u32) -> Self {
        let declaration = file(n, true);
        let (mut world, _) = create(&declaration, |world| {
            world.limits.throttling = false;
            // Room for any number of them.
            (world.limits.vcpus, world.limits.volumes) = (u32::MAX, u32::MAX);
            for (n, subnet) in world.subnets.values_mut().enumerate() {
                subnet.cidr = format!("10.{n}.0.0/16");
            }
        });
        world.limits.throttling = true;
        Self::of(world, &declaration)
    }

    fn of(world: World, declaration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("place")).expect("a folder");
        std::fs::write(folder.path().join("place/evenkeel.toml"), declaration).expect("it can be written");
        Self { served: Served::start(world, SPEED), folder }
    }

    /// Where the declaration is.
    pub fn place(&self) -> PathBuf {
        self.folder.path().join("place")
    }

    /// The environment that leads to the world.
    pub fn environment(&self) -> Vec<(String, String)> {
        let clock = self.served.sim.clock().paced().expect("it is served").to_string();
        let home = self.folder.path().display().to_string();
        let fixed = [
            ("AWS_ENDPOINT_URL", self.served.url.as_str()),
            ("AWS_REGION", "us-east-1"),
            // The AWS CLI reads this one alone.
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("EVENKEEL_CLOCK", clock.as_str()),
            ("HOME", home.as_str()),
        ];
        fixed.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
    }

    /// Calls that the world has heard so far.
    pub fn calls(&self) -> Calls {
        let one = |(action, count): (Action, u64)| (action.name(), (count, action.changes()));
        self.served.sim.counts().into_iter().map(one).collect()
    }

    /// Bytes of all files beside the declaration.
    pub fn written(&self) -> u64 {
        size(&self.place()) - std::fs::metadata(self.place().join("evenkeel.toml")).map_or(0, |m| m.len())
    }
}

fn size(path: &Path) -> u64 {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| size(&entry.path())).sum()
}

/// Seconds that a run of `n` machines waits for AWS's buckets: its virtual time, in a world in which nothing else
/// takes any.
pub fn waiting(n: u32) -> f64 {
    let none = Span::millis(0, 0);
    let (_, waited) = create(&file(n, false), |world| {
        let t = &mut world.timing;
        (t.boot, t.checks, t.hidden, t.latency) = (none, none, none, none);
        (t.create_volume, t.attach) = (none, none);
    });
    waited
}

/// Makes a declaration true in memory: the world, and how many virtual seconds the run took.
fn create(declaration: &str, change: impl FnOnce(&mut World)) -> (World, f64) {
    let runtime = runtime().expect("a runtime");
    runtime.block_on(async {
        let fleet = Fleet::new(declaration);
        fleet.sim.edit(change).expect("it is in no file");
        let plan = fleet.plan(&fleet.look().await);
        let before = fleet.sim.clock().now();
        assert_eq!(fleet.run(&plan).await, Outcome::Complete);
        let took = fleet.sim.clock().now().duration_since(before).as_secs_f64();
        (fleet.sim.world().expect("it is in no file"), took)
    })
}
