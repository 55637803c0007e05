//! The world a command talks to: AWS, or the embedded sim. The only place that names a concrete provider.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use evenkeel_core::desired::Scope;
use evenkeel_ec2::{Ec2Eyes, Ec2Provider};
use evenkeel_engine::caller::Caller;
use evenkeel_engine::clock::{Clock, Paced, Wall};
use evenkeel_engine::provider::{Eyes, Provider};
use evenkeel_sim::{Sim, World};

use crate::args::Global;
use crate::exit::{Exit, Halt};
use crate::project::Project;

/// A world that can be looked at.
pub struct Session {
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// The sim, where it is one.
    pub sim: Option<Sim>,
    scopes: BTreeMap<String, Arc<Caller>>,
    #[cfg(feature = "aws")]
    aws: BTreeMap<String, Arc<evenkeel_aws::AwsEc2>>,
}

/// Runs a command to its end, in virtual time where the world is the sim.
///
/// # Errors
/// The command's own, or that the runtime could not be had.
pub fn block_on<T>(global: &Global, work: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
    match global.sim {
        Some(_) => evenkeel_sim::runtime().map_err(|e| Halt::error(format!("cannot start: {e}")))?.block_on(work),
        None => block_on_wall(work),
    }
}

/// Runs a command to its end in real time.
///
/// # Errors
/// The command's own, or that the runtime could not be had.
pub fn block_on_wall<T>(work: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Halt::error(format!("cannot start: {e}")))?.block_on(work)
}

/// The sim's world for other processes, its time `speed` times as fast as ours.
///
/// # Errors
/// No `--sim`, or a file that is no world.
pub fn serving(global: &Global, speed: f64) -> Result<Sim, Halt> {
    let path = world_file(global)?;
    Sim::serving(Some(&path), || World::founding_in("us-east-1", SEED), speed).map_err(|e| Halt::error(e.to_string()))
}

fn world_file(global: &Global) -> Result<std::path::PathBuf, Halt> {
    let path = global.sim.as_ref().ok_or_else(|| {
        Halt::new(Exit::Usage, "this needs the sim: name a world file with --sim world.toml or EVENKEEL_SIM")
    })?;
    Ok(crate::project::beside(global, path))
}

/// The sim's world, which must have been named. A new one is founded in `region`, or where the docs are.
///
/// # Errors
/// No `--sim`, or a file that is no world.
pub fn sim(global: &Global, region: Option<&str>) -> Result<Sim, Halt> {
    let path = world_file(global)?;
    let found = || World::founding_in(region.unwrap_or("us-east-1"), SEED);
    Sim::open_or_found(&path, found).map_err(|e| Halt::error(e.to_string()))
}

/// A new world's seed: the same for everybody, so that the first steps in the docs look the same for everybody.
const SEED: u64 = 1;

impl Session {
    /// Opens the world for these scopes. No call is made yet.
    ///
    /// # Errors
    /// A world file that is none, or no region for a scope.
    pub async fn open(global: &Global, project: &Project) -> Result<Self, Halt> {
        let wanted: BTreeMap<String, Scope> = project
            .scopes()
            .into_iter()
            .map(|alias| {
                let scope = project.desired.scopes.get(&alias).cloned().unwrap_or_default();
                (alias, scope)
            })
            .collect();
        if global.sim.is_some() {
            let sim = sim(global, wanted.values().find_map(|s| s.region.as_deref()))?;
            let clock: Arc<dyn Clock> = Arc::new(sim.clock());
            let scopes = callers(&clock, wanted.keys());
            return Ok(Self {
                clock,
                sim: Some(sim),
                scopes,
                #[cfg(feature = "aws")]
                aws: BTreeMap::new(),
            });
        }
        Self::real(wanted).await
    }

    #[cfg(feature = "aws")]
    async fn real(wanted: BTreeMap<String, Scope>) -> Result<Self, Halt> {
        let clock = wall(&wanted)?;
        let scopes = callers(&clock, wanted.keys());
        let mut aws = BTreeMap::new();
        for (alias, s) in wanted {
            let settings =
                evenkeel_aws::Settings { region: s.region, profile: s.profile, role: s.role, endpoint: s.endpoint };
            let one = evenkeel_aws::connect(settings).await.map_err(|f| Halt::error(f.to_string()))?;
            aws.insert(alias, Arc::new(one));
        }
        Ok(Self { clock, sim: None, scopes, aws })
    }

    #[cfg(not(feature = "aws"))]
    async fn real(_: BTreeMap<String, Scope>) -> Result<Self, Halt> {
        let _ = wall;
        Err(Halt::error("this evenkeel was built without AWS (feature `aws`); name a sim world with --sim world.toml"))
    }

    /// The reading half of every scope: nothing that is given only this can change anything.
    pub fn eyes(&self) -> BTreeMap<String, Arc<dyn Eyes>> {
        let one = |(alias, caller): (&String, &Arc<Caller>)| {
            let caller = Arc::clone(caller);
            let eyes: Arc<dyn Eyes> = match &self.sim {
                Some(sim) => Arc::new(Ec2Eyes::new(Arc::new(sim.clone()), alias.clone(), caller)),
                #[cfg(feature = "aws")]
                None => Arc::new(Ec2Eyes::new(Arc::clone(self.aws.get(alias)?), alias.clone(), caller)),
                #[cfg(not(feature = "aws"))]
                None => return None,
            };
            Some((alias.clone(), eyes))
        };
        self.scopes.iter().filter_map(one).collect()
    }

    /// Both halves of every scope.
    pub fn providers(&self) -> BTreeMap<String, Arc<dyn Provider>> {
        let one = |(alias, caller): (&String, &Arc<Caller>)| {
            let caller = Arc::clone(caller);
            let provider: Arc<dyn Provider> = match &self.sim {
                Some(sim) => Arc::new(Ec2Provider::new(Arc::new(sim.clone()), alias.clone(), caller)),
                #[cfg(feature = "aws")]
                None => Arc::new(Ec2Provider::new(Arc::clone(self.aws.get(alias)?), alias.clone(), caller)),
                #[cfg(not(feature = "aws"))]
                None => return None,
            };
            Some((alias.clone(), provider))
        };
        self.scopes.iter().filter_map(one).collect()
    }

    /// Keeps what must outlive the process: the sim's time.
    ///
    /// # Errors
    /// When the world's file cannot be written.
    pub fn close(&self) -> Result<(), Halt> {
        match &self.sim {
            Some(sim) => sim.save().map_err(|e| Halt::error(e.to_string())),
            None => Ok(()),
        }
    }
}

/// The machine's clock, or the one that `sim serve` told of. With any other server that one would be a lie.
fn wall(wanted: &BTreeMap<String, Scope>) -> Result<Arc<dyn Clock>, Halt> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(text) = set("EVENKEEL_CLOCK") else { return Ok(Arc::new(Wall)) };
    let clock: Paced = text.parse().map_err(|says| Halt::new(Exit::Usage, format!("EVENKEEL_CLOCK: {says}")))?;
    let told = set("AWS_ENDPOINT_URL_EC2").or_else(|| set("AWS_ENDPOINT_URL"));
    let served = |scope: &Scope| {
        scope.endpoint.as_ref().or(told.as_ref()).is_some_and(|url| url.starts_with("http://127.0.0.1:"))
    };
    if wanted.values().all(served) {
        return Ok(Arc::new(clock));
    }
    let says = "EVENKEEL_CLOCK is the time of a served sim, and this does not talk to one: unset it, or set \
                AWS_ENDPOINT_URL as `evenkeel sim serve` says";
    Err(Halt::new(Exit::Usage, says))
}

/// One caller a scope: accounts and regions have budgets of their own.
fn callers<'a>(clock: &Arc<dyn Clock>, scopes: impl Iterator<Item = &'a String>) -> BTreeMap<String, Arc<Caller>> {
    // Jitter only has to differ between processes.
    let seed = u64::from(std::process::id());
    scopes.map(|alias| (alias.clone(), Arc::new(Caller::new(Arc::clone(clock), seed)))).collect()
}
