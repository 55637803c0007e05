//! The world a command talks to: AWS, or the embedded sim. The only place that names a concrete provider.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use evenkeel_core::desired::{Cluster as Wanted, Scope, table_of};
use evenkeel_ec2::api::Ec2;
use evenkeel_ec2::{Ec2Eyes, Ec2Provider};
use evenkeel_engine::caller::Caller;
use evenkeel_engine::clock::{Clock, Paced, Wall};
use evenkeel_engine::provider::{Eyes, Provider};
use evenkeel_kubernetes::api::{Cluster, ClusterRead};
use evenkeel_kubernetes::{Known, KubernetesEyes, KubernetesProvider};
use evenkeel_sim::{Sim, World};

use crate::args::Global;
use crate::exit::{Exit, Halt};
use crate::project::Project;
use crate::signals::Signals;

/// A world that can be looked at.
pub struct Session {
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// The sim, where it is one.
    pub sim: Option<Sim>,
    /// The stack's id and name.
    stack: (String, String),
    places: BTreeMap<String, Place>,
}

/// What a scope is: an account and region of EC2, or a cluster. Each has a caller, and so a budget, of its own.
enum Place {
    Ec2(Arc<dyn Ec2>, Arc<Caller>),
    Cluster { cluster: Arc<dyn Cluster>, home: String, caller: Arc<Caller>, known: Arc<Known> },
}

/// Runs a command to its end, in virtual time where the world is the sim, or until a signal ends it.
///
/// # Errors
/// The command's own, the signal, or that the runtime could not be had.
pub fn block_on<T>(global: &Global, work: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
    block_on_with(global, async |_: &Signals| work.await)
}

/// The same for a command that runs a plan: it is given the signals to heed.
///
/// # Errors
/// As [`block_on`].
pub fn block_on_with<T>(global: &Global, work: impl AsyncFnOnce(&Signals) -> Result<T, Halt>) -> Result<T, Halt> {
    let signals = Signals::new();
    let work = signals.or_end(work(&signals));
    match global.sim {
        Some(_) => evenkeel_sim::runtime().map_err(|e| Halt::error(format!("cannot start: {e}")))?.block_on(work),
        None => block_on_wall(work),
    }
}

/// Runs a future to its end in real time.
///
/// # Errors
/// Its own, or that the runtime could not be had.
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

/// A world of the sim is one account and one region: a second table would be the same world once more, and another
/// region would be passed over in silence.
fn one_region(wanted: &BTreeMap<String, Scope>, sim: &Sim) -> Result<(), Halt> {
    let has = sim.world().map_err(|e| Halt::error(e.to_string()))?.region;
    let says = if wanted.len() > 1 {
        let tables: Vec<String> = wanted.keys().map(|alias| table_of(alias)).collect();
        let (last, first) = tables.split_last().expect("more than one");
        format!("and the file has {} and {last}; the sim can play a file that has one of them", first.join(", "))
    } else {
        let other = |(alias, scope): (&String, &Scope)| {
            let region = scope.region.as_ref().filter(|region| **region != has)?;
            Some(format!("and {} says {region}; another world file can be founded there", table_of(alias)))
        };
        match wanted.iter().find_map(other) {
            Some(says) => says,
            None => return Ok(()),
        }
    };
    Err(Halt::new(Exit::Usage, format!("a world of the sim has one region, this one {has}, {says}")))
}

/// A new world's seed: the same for everybody, so that the first steps in the docs look the same for everybody.
const SEED: u64 = 1;

impl Session {
    /// Opens the world for these scopes. No call is made yet.
    ///
    /// # Errors
    /// A world file that is none, no region for a scope, or no kubeconfig for a cluster.
    pub async fn open(global: &Global, project: &Project) -> Result<Self, Halt> {
        let d = &project.desired;
        let stack = (d.stack.id.clone(), d.stack.name.clone());
        let wanted: BTreeMap<String, Scope> = project
            .desired
            .ec2_scopes()
            .into_iter()
            .map(|alias| {
                let scope = d.scopes.get(&alias).cloned().unwrap_or_default();
                (alias, scope)
            })
            .collect();
        let mut places = BTreeMap::new();
        let (clock, sim): (Arc<dyn Clock>, Option<Sim>) = match global.sim {
            Some(_) => {
                let sim = sim(global, wanted.values().find_map(|s| s.region.as_deref()))?;
                one_region(&wanted, &sim)?;
                (Arc::new(sim.clock()), Some(sim))
            }
            None => (wall(&wanted)?, None),
        };
        // Jitter only has to differ between processes.
        let caller = || Arc::new(Caller::new(Arc::clone(&clock), u64::from(std::process::id())));
        for (alias, scope) in wanted {
            let ec2: Arc<dyn Ec2> = match &sim {
                Some(sim) => Arc::new(sim.clone()),
                None => ec2(scope).await?,
            };
            places.insert(alias, Place::Ec2(ec2, caller()));
        }
        for (scope, wanted) in &d.clusters {
            let cluster: Arc<dyn Cluster> = match &sim {
                Some(sim) => {
                    let name = wanted.context.as_deref().unwrap_or("sim");
                    Arc::new(sim.cluster(name).map_err(|e| Halt::error(e.to_string()))?)
                }
                None => cluster(project, wanted).await?,
            };
            let home = wanted.namespace().to_owned();
            places.insert(scope.clone(), Place::Cluster { cluster, home, caller: caller(), known: Arc::default() });
        }
        Ok(Self { clock, sim, stack, places })
    }

    /// The reading half of every scope: nothing that is given only this can change anything.
    pub fn eyes(&self) -> BTreeMap<String, Arc<dyn Eyes>> {
        let one = |(scope, place): (&String, &Place)| {
            let eyes: Arc<dyn Eyes> = match place {
                Place::Ec2(ec2, caller) => Arc::new(Ec2Eyes::new(Arc::clone(ec2), scope.clone(), Arc::clone(caller))),
                Place::Cluster { cluster, home, caller, known } => {
                    let cluster: Arc<dyn ClusterRead> = Arc::clone(cluster) as Arc<dyn ClusterRead>;
                    let eyes = KubernetesEyes::new(cluster, scope.clone(), home.clone(), Arc::clone(caller));
                    Arc::new(eyes.knowing(Arc::clone(known)))
                }
            };
            (scope.clone(), eyes)
        };
        self.places.iter().map(one).collect()
    }

    /// Both halves of every scope.
    pub fn providers(&self) -> BTreeMap<String, Arc<dyn Provider>> {
        let one = |(scope, place): (&String, &Place)| {
            let provider: Arc<dyn Provider> = match place {
                Place::Ec2(ec2, caller) => {
                    Arc::new(Ec2Provider::new(Arc::clone(ec2), scope.clone(), Arc::clone(caller)))
                }
                Place::Cluster { cluster, home, caller, known } => {
                    let (cluster, home, caller) = (Arc::clone(cluster), home.clone(), Arc::clone(caller));
                    let provider = KubernetesProvider::new(cluster, scope.clone(), home, self.stack.clone(), caller);
                    Arc::new(provider.knowing(Arc::clone(known)))
                }
            };
            (scope.clone(), provider)
        };
        self.places.iter().map(one).collect()
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

#[cfg(feature = "aws")]
async fn ec2(s: Scope) -> Result<Arc<dyn Ec2>, Halt> {
    let settings = evenkeel_aws::Settings { region: s.region, profile: s.profile, role: s.role, endpoint: s.endpoint };
    let one = evenkeel_aws::connect(settings).await.map_err(|f| Halt::error(f.to_string()))?;
    Ok(Arc::new(one))
}

#[cfg(not(feature = "aws"))]
async fn ec2(_: Scope) -> Result<Arc<dyn Ec2>, Halt> {
    Err(Halt::error("this evenkeel was built without AWS (feature `aws`); name a sim world with --sim world.toml"))
}

#[cfg(feature = "kubernetes")]
async fn cluster(project: &Project, wanted: &Wanted) -> Result<Arc<dyn Cluster>, Halt> {
    let settings = evenkeel_kube::Settings {
        context: wanted.context.clone(),
        kubeconfig: wanted.kubeconfig.as_ref().map(|p| project.folder.join(p)),
        namespace: wanted.namespace.clone(),
    };
    let one = evenkeel_kube::connect(settings).await.map_err(|f| Halt::error(f.to_string()))?;
    Ok(Arc::new(one))
}

#[cfg(not(feature = "kubernetes"))]
async fn cluster(_: &Project, _: &Wanted) -> Result<Arc<dyn Cluster>, Halt> {
    Err(Halt::error(
        "this evenkeel was built without Kubernetes (feature `kubernetes`); name a sim world with --sim world.toml",
    ))
}
