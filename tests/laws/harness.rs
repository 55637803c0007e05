//! A run without the command line: observe, make, run, until a look finds nothing left to do.
//!
//! It wires the same parts in the same order as the program, with the journal and the history in memory, and stops
//! where an assertion of the pipeline itself fails. What the world should look like in the end is `end`'s matter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::declaration::{Inputs, Source, declare};
use evenkeel_core::desired::{Desired, cluster_scope};
use evenkeel_core::event::Event;
use evenkeel_core::make::{Ask, Intent, Made, make};
use evenkeel_core::nodes::tie;
use evenkeel_core::observed::{Object, Observed};
use evenkeel_core::plan::{Hold, Plan};
use evenkeel_core::policy::Amount;
use evenkeel_core::progress::Progress;
use evenkeel_core::stamp::tag;
use evenkeel_core::survey::{Memory, survey};
use evenkeel_core::vet::{Asked, vet};
use evenkeel_ec2::Ec2Provider;
use evenkeel_engine::caller::Caller;
use evenkeel_engine::clock::Clock;
use evenkeel_engine::fresh::{Refused, refusals, same_place};
use evenkeel_engine::limits::Limits;
use evenkeel_engine::observe::{observe, wants};
use evenkeel_engine::provider::{Eyes, Provider};
use evenkeel_engine::run::{Job, Ran, run};
use evenkeel_engine::stop::Stop;
use evenkeel_kubernetes::KubernetesProvider;
use evenkeel_sim::{Sim, World};
use jiff::Timestamp;

/// The id of every stack in these tests.
pub const STACK: &str = "7f3kq2x9";

/// Runs that may be needed until everything is as declared, waits included.
const MOST_ROUNDS: u32 = 80;

/// Reads a declaration that must be right.
pub fn desired(text: &str) -> Desired {
    let main = Source { name: "evenkeel.toml".into(), text: text.to_owned() };
    let declared = declare(&Inputs { main, ..Inputs::default() });
    declared.desired.unwrap_or_else(|| panic!("{text}\n{:#?}", declared.diagnostics))
}

/// What the tests ask beyond the file: the caps that protect a person are lifted.
pub fn all_allowed() -> Intent {
    Intent { allow_empty: true, max_deletes: Some(Amount::Percent(100)), ..Intent::default() }
}

/// The same, to destroy everything.
pub fn destroy() -> Intent {
    Intent { destroy: true, ..all_allowed() }
}

/// Tells a story in virtual time.
pub fn story<T>(tell: impl Future<Output = T>) -> T {
    evenkeel_sim::runtime().expect("a runtime").block_on(tell)
}

/// One process: it has a life of its own in the world, and its own clock, budget and jitter.
pub struct Life {
    clock: Arc<dyn Clock>,
    /// By scope: an account and region, and a cluster.
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

/// What survives a process on the disk beside the declaration.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub history: Memory,
    /// The newest journal.
    pub journal: Vec<Event>,
}

/// A look and its time.
pub struct Look {
    pub observed: Observed,
    pub now: Timestamp,
}

/// How far a run of the program came.
#[derive(Debug)]
pub enum End {
    /// A last look finds nothing to do and nothing held.
    Converged,
    /// Something is held that only a person lifts.
    Refused(Vec<String>),
    /// It did not come to rest.
    Restless(#[expect(dead_code, reason = "shown by Debug where a test fails")] String),
}

impl Life {
    /// A process that looks at this world through this handle.
    pub fn new(sim: &Sim, jitter: u64) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(sim.clock());
        let caller = || Arc::new(Caller::new(Arc::clone(&clock), jitter));
        let ec2: Arc<dyn Provider> = Arc::new(Ec2Provider::new(Arc::new(sim.clone()), "", caller()));
        let (scope, stack) = (cluster_scope(""), (STACK.to_owned(), "shop".to_owned()));
        let cluster = Arc::new(sim.cluster("sim").expect("in memory"));
        let cluster: Arc<dyn Provider> =
            Arc::new(KubernetesProvider::new(cluster, scope.clone(), "default", stack, caller()));
        Self { clock, providers: BTreeMap::from([(String::new(), ec2), (scope, cluster)]) }
    }

    /// Looks at everything.
    pub async fn look(&self, desired: &Desired) -> Look {
        let eyes: BTreeMap<String, &dyn Eyes> =
            self.providers.iter().map(|(scope, p)| (scope.clone(), &**p as &dyn Eyes)).collect();
        let lookups = desired.lookups();
        let ec2 = desired.ec2_scopes();
        let scopes = ec2.iter().chain(desired.clusters.keys()).map(String::as_str);
        let mut wanted = wants(&desired.stack.id, scopes, &lookups, false);
        for one in &mut wanted {
            one.wishes = desired.wishes(&one.scope).cloned().collect();
            one.nodes = tie(desired, &one.scope);
        }
        let observed = observe(&eyes, &wanted, self.clock.as_ref()).await;
        Look { observed, now: self.clock.now() }
    }

    /// Makes a plan of a look; the independent checker must agree, and the order of the listing must not matter.
    pub fn plan(&self, desired: &Desired, look: &Look, disk: &Disk, intent: &Intent) -> Made {
        let ask = Ask { desired, observed: &look.observed, history: &disk.history, intent, now: look.now };
        let made = make(&ask);
        let i = intent;
        let asked = Asked {
            destroy: i.destroy,
            allow_empty: i.allow_empty,
            max_deletes: i.max_deletes,
            deleted: i.deleted.clone(),
            force: i.force,
            force_conflicts: i.force_conflicts,
        };
        let objections = vet(&made.plan, desired, &look.observed, &disk.history, &asked, look.now);
        if !objections.is_empty() {
            let words: Vec<String> = objections.iter().map(ToString::to_string).collect();
            panic!("vet objects: {words:#?}\n{}", tell(&made.plan));
        }
        made
    }

    /// Carries a plan out, or takes it up again where its journal ends.
    pub async fn carry_out(
        &self,
        desired: &Desired,
        look: &Look,
        made: &Made,
        history: &Memory,
        journal: &mut Vec<Event>,
    ) -> Ran {
        same_place(&made.plan, &desired.stack.id, &look.observed).expect("one account and one region");
        let progress = Progress::replay(made.plan.clone(), journal.iter());
        let survey = survey(desired, &look.observed, history, true, look.now);
        let eyes = self.providers.iter().map(|(scope, p)| (scope.clone(), &**p as &dyn Eyes)).collect();
        let refused: Vec<Refused> = refusals(&eyes, &progress, &look.observed, &survey, &made.payloads).await;
        let job = Job {
            providers: &self.providers,
            payloads: &made.payloads,
            clock: self.clock.as_ref(),
            refused: &refused,
            limits: &Limits::default(),
            stop: Stop::never(),
        };
        run(job, progress, journal, &mut |_| {}).await
    }

    /// What `apply --yes` does: look, plan, run, look. Gives the plan of the last look.
    pub async fn apply(&self, desired: &Desired, disk: &mut Disk, intent: &Intent) -> Plan {
        let look = self.look(desired).await;
        let made = self.plan(desired, &look, disk, intent);
        if std::env::var_os("EVENKEEL_TELL").is_some() {
            println!("--- {} {:?}\n{}", look.now, seen(&look), tell(&made.plan));
        }
        if made.plan.is_empty() {
            remember(desired, &look, disk);
            return made.plan;
        }
        disk.journal.clear();
        let history = disk.history.clone();
        self.carry_out(desired, &look, &made, &history, &mut disk.journal).await;
        disk.history.lessons.learn(&made.plan, &disk.journal);
        let look = self.look(desired).await;
        let left = self.plan(desired, &look, disk, intent).plan;
        remember(desired, &look, disk);
        left
    }

    /// `apply` again and again, as an operator or a loop would, until nothing is left. Where only time helps, time
    /// passes.
    pub async fn settle(&self, desired: &Desired, disk: &mut Disk, intent: &Intent) -> End {
        let (mut last, mut unresolved) = (String::new(), 0);
        for _ in 0..MOST_ROUNDS {
            let left = self.apply(desired, disk, intent).await;
            if left.is_empty() && left.gaps.is_empty() {
                if left.held.is_empty() {
                    // Lists may lag: the end is believed when it is seen again later.
                    self.clock.sleep(Duration::from_secs(330)).await;
                    let look = self.look(desired).await;
                    let again = self.plan(desired, &look, disk, intent).plan;
                    // A zone that was out and is not trusted yet leaves the others uneven, until then.
                    let uneven = again.notes.iter().any(|n| n.kind == "skew") && again.look_again_at.is_some();
                    if again.is_empty() && again.held.is_empty() && again.gaps.is_empty() && !uneven {
                        return End::Converged;
                    }
                    if uneven {
                        self.clock.sleep(pause(&again, self.clock.now())).await;
                    }
                } else if left.held.iter().all(|h| h.by.is_refusal()) {
                    return refused(&left);
                } else if left.held.iter().all(|h| h.by.is_refusal() || h.by == Hold::Unresolved) {
                    // What could not be found may be there a little later.
                    unresolved += 1;
                    if unresolved > 4 {
                        return refused(&left);
                    }
                }
            }
            last = tell(&left);
            self.clock.sleep(pause(&left, self.clock.now())).await;
        }
        End::Restless(last)
    }
}

/// What is left is for a person.
fn refused(left: &Plan) -> End {
    End::Refused(left.held.iter().map(|h| format!("{}: {}", h.change.address, h.waits_for)).collect())
}

/// Whether every point of a sweep is to be tried, not a sample: `EVENKEEL_TEST_SWEEP=all`.
pub fn full() -> bool {
    std::env::var("EVENKEEL_TEST_SWEEP").is_ok_and(|text| text == "all")
}

/// How long whoever reruns waits: until the plan says to look again, at least ten seconds, ten minutes where it does
/// not say.
fn pause(left: &Plan, now: Timestamp) -> Duration {
    if !left.is_empty() {
        return Duration::from_secs(10);
    }
    let waits = left.held.iter().any(|h| h.by == Hold::Quarantine);
    let until = left.look_again_at.map(|at| at.duration_since(now).unsigned_abs());
    let most = Duration::from_secs(if waits { 30 * 24 * 3600 } else { 600 });
    until.unwrap_or(most).clamp(Duration::from_secs(10), most)
}

/// Writes down what a look saw, as the program does.
fn remember(desired: &Desired, look: &Look, disk: &mut Disk) {
    let judged = survey(desired, &look.observed, &disk.history, false, look.now);
    disk.history = judged.remember(desired, &look.observed, &disk.history, look.now);
}

/// What a look saw of machines, in words.
fn seen(look: &Look) -> Vec<String> {
    let mark = |o: &Object| o.tags.get(tag::LAUNCH).cloned().unwrap_or_default();
    look.observed.objects.iter().map(|o| format!("{} {:?} {} [{}]", o.id, o.phase, o.zone, mark(o))).collect()
}

/// A plan in lines, for a failing test.
pub fn tell(plan: &Plan) -> String {
    let mut out = String::new();
    for (i, c) in plan.changes.iter().enumerate() {
        let why: Vec<_> = c.reasons.iter().map(|r| r.says.as_str()).collect();
        out += &format!("change {i}: {:?} {} {:?} {} ({})\n", c.action, c.address, c.object, c.zone, why.join("; "));
    }
    for (i, s) in plan.steps.iter().enumerate() {
        out += &format!("step {i} needs {:?}: {}\n", s.needs, step(&s.does));
    }
    for h in &plan.held {
        out += &format!("held {:?} {} by {:?}: {}\n", h.change.action, h.change.address, h.by, h.waits_for);
    }
    for n in &plan.notes {
        out += &format!("note {} {}: {}\n", n.kind, n.about, n.says);
    }
    for g in &plan.gaps {
        out += &format!("gap {:?} {}: {}\n", g.kind, g.what, g.failure);
    }
    out
}

fn step(does: &evenkeel_core::plan::Do) -> String {
    use evenkeel_core::plan::{Call, Do};
    match does {
        Do::Call(Call::Launch(l)) => format!("launch {} [{}] in {:?}", l.group, l.tag, l.places),
        Do::Call(Call::CreateVolume(v)) => format!("create {} [{}] in {}", v.address, v.tag, v.zone),
        other => {
            let mut text = format!("{other:?}");
            text.truncate(200);
            text
        }
    }
}

/// A world in which nothing is throttled: the sim's buckets cost much and have tests of their own.
pub fn world(seed: u64) -> World {
    let mut world = World::founding(seed);
    world.limits.throttling = false;
    world
}
