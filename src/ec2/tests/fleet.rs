//! A whole journey on the sim: a file, a look, a plan, a run, a look again. Shared by the tests and the benchmark.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_core::declaration::{Inputs, Source, declare};
use evenkeel_core::desired::Desired;
use evenkeel_core::event::{Event, Outcome};
use evenkeel_core::make::{Ask, Intent, Made, make};
use evenkeel_core::observed::Observed;
use evenkeel_core::policy::Amount;
use evenkeel_core::progress::Progress;
use evenkeel_ec2::Ec2Provider;
use evenkeel_engine::caller::{Caller, Counts};
use evenkeel_engine::clock::Clock;
use evenkeel_engine::limits::Limits;
use evenkeel_engine::observe::{observe, wants};
use evenkeel_engine::provider::{Eyes, Provider};
use evenkeel_engine::run::{Job, run};
use evenkeel_engine::stop::Stop;
use evenkeel_sim::action::Action;
use evenkeel_sim::{Sim, World};

/// A declaration and the world it is for.
pub struct Fleet {
    /// The world.
    pub sim: Sim,
    caller: Arc<Caller>,
    desired: Desired,
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl Fleet {
    /// `file` on a fresh world.
    pub fn new(file: &str) -> Self {
        let sim = Sim::new(World::founding(7));
        let main = Source { name: "evenkeel.toml".into(), text: file.into() };
        let declared = declare(&Inputs { main, ..Inputs::default() });
        let desired = declared.desired.unwrap_or_else(|| panic!("{:#?}", declared.diagnostics));
        let caller = Arc::new(Caller::new(Arc::new(sim.clock()), 7));
        let provider: Arc<dyn Provider> = Arc::new(Ec2Provider::new(Arc::new(sim.clone()), "", caller.clone()));
        Self { sim, caller, desired, providers: BTreeMap::from([(String::new(), provider)]) }
    }

    /// The same world, with another wish.
    #[allow(dead_code, reason = "the benchmark wishes for one thing only")]
    pub fn wishing(mut self, change: impl FnOnce(&mut Desired)) -> Self {
        change(&mut self.desired);
        self
    }

    /// The same file in the same world, as another stack.
    #[allow(dead_code, reason = "the benchmark has the world for itself")]
    pub fn beside(&self, stack: &str) -> Self {
        let (sim, caller, mut desired) = (self.sim.clone(), self.caller.clone(), self.desired.clone());
        desired.stack.id = stack.to_owned();
        Self { sim, caller, desired, providers: self.providers.clone() }
    }

    /// Plans that everything shall go, and does it.
    #[allow(dead_code, reason = "the benchmark leaves its fleet standing")]
    pub async fn destroy(&self) -> Outcome {
        let (history, observed) = (Default::default(), self.look().await);
        let intent = Intent { destroy: true, max_deletes: Some(Amount::Percent(100)), ..Intent::default() };
        let now = self.sim.clock().now();
        let (desired, observed) = (&self.desired, &observed);
        self.run(&make(&Ask { desired, observed, history: &history, intent: &intent, now })).await
    }

    /// One look at everything.
    pub async fn look(&self) -> Observed {
        let lookups = self.desired.lookups();
        let scopes = self.desired.scopes.keys().map(String::as_str);
        let wants = wants(&self.desired.stack.id, scopes, &lookups, false);
        let eyes: BTreeMap<String, &dyn Eyes> =
            self.providers.iter().map(|(k, p)| (k.clone(), &**p as &dyn Eyes)).collect();
        observe(&eyes, &wants, &self.sim.clock()).await
    }

    /// A plan for what was seen.
    pub fn plan(&self, observed: &Observed) -> Made {
        let (history, intent) = Default::default();
        let intent: Intent = intent;
        let now = self.sim.clock().now();
        make(&Ask { desired: &self.desired, observed, history: &history, intent: &intent, now })
    }

    /// Carries a plan out.
    #[allow(dead_code, reason = "some only want what was written down")]
    pub async fn run(&self, made: &Made) -> Outcome {
        self.written(made).await.0
    }

    /// Carries a plan out; what came of it, and its journal.
    pub async fn written(&self, made: &Made) -> (Outcome, Vec<Event>) {
        let job = Job {
            providers: &self.providers,
            payloads: &made.payloads,
            clock: &self.sim.clock(),
            refused: &[],
            limits: &Limits::default(),
            stop: Stop::never(),
        };
        let mut journal = Vec::new();
        let outcome = run(job, Progress::new(made.plan.clone()), &mut journal, &mut |_| {}).await.outcome;
        (outcome, journal)
    }

    /// Calls so far; [`Fleet::since`] counts from here.
    pub fn mark(&self) -> Counts {
        self.caller.counts()
    }

    /// Reading and changing calls made since `mark`, by action.
    pub fn since(&self, mark: &Counts) -> (Counts, Counts) {
        let changes = |name: &str| Action::ALL.iter().any(|a| a.name() == name && a.changes());
        self.caller.since(mark).into_iter().partition(|(action, _)| !changes(action))
    }
}

/// `n` machines over three zones; with `volumes`, a volume for each.
pub fn file(n: u32, volumes: bool) -> String {
    let data = if volumes { "[volumes.data]\nfor = \"machines.web\"\nsize = \"10GiB\"\n" } else { "" };
    format!(
        r#"
[stack]
name = "shop"
id = "7f3kq2x9"

[aws]
region = "us-east-1"

[machines.web]
count = {n}
image = {{ owner = "amazon", name = "al2023-ami-2023.*-x86_64" }}
type = "t3.small"
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
security-groups = ["web"]
{data}"#
    )
}
