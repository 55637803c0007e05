//! P11: a process that dies at any call it makes, before or after the call's effect, costs nothing but a rerun.
//!
//! Exhaustive: every journey is first carried out whole, then once for every call and both moments.

use evenkeel_core::make::Intent;
use evenkeel_sim::dice::Span;
use evenkeel_sim::faults::{Effect, Fault, Moment};
use evenkeel_sim::ops::{Deed, Part};
use evenkeel_sim::{Sim, World};

use super::end::{Ending, ending, wrongs};
use super::harness::{Disk, End, Life, all_allowed, desired, destroy, story, tell, world};

/// A journey: what there is, what happens to it, what is wished then.
pub struct Journey {
    pub name: &'static str,
    pub before: Option<String>,
    pub damage: fn(&mut World),
    pub after: String,
    pub intent: fn() -> Intent,
}

/// A declaration of six machines over three zones, each with a volume that outlives it.
fn file(count: u32, more: &str, volumes: bool) -> String {
    let mut text = format!(
        r#"
[stack]
name = "shop"
id = "7f3kq2x9"
[aws]
region = "us-east-1"
[policy]
quarantine = "1h"
max-parallel = 2
max-surge = 2
[machines.web]
count = {count}
type = ["t3.small"]
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
wait = "healthy"
{more}
"#
    );
    if !more.contains("image") {
        text = text.replace("wait =", "image = \"ami-00000000000002309\"\nwait =");
    }
    if volumes {
        text += "[volumes.data]\nfor = \"machines.web\"\nsize = \"10GiB\"\n";
    }
    text
}

/// A declaration of objects in a cluster that stand on each other, with some `more` of them.
fn objects(replicas: u32, more: &str) -> String {
    format!(
        r#"
[stack]
name = "shop"
id = "7f3kq2x9"
[kubernetes]
[policy]
quarantine = "1h"
[manifests.app]
namespace = "shop"
objects = [
  {{ apiVersion = "v1", kind = "Namespace", metadata = {{ name = "shop" }} }},
  {{ apiVersion = "v1", kind = "ConfigMap", metadata = {{ name = "settings" }}, data = {{ replicas = "{replicas}" }} }},
  {{ apiVersion = "apps/v1", kind = "Deployment", metadata = {{ name = "web" }}, spec = {{ replicas = {replicas},
     selector = {{ matchLabels = {{ app = "web" }} }}, template = {{ metadata = {{ labels = {{ app = "web" }} }},
     spec = {{ containers = [{{ name = "web", image = "registry.example/web:1",
     envFrom = [{{ configMapRef = {{ name = "settings" }} }}] }}] }} }} }} }},
  {more}
]
"#
    )
}

/// A definition with an object of its kind, a claim, and a secret.
const MORE: &str = r#"
  { apiVersion = "apiextensions.k8s.io/v1", kind = "CustomResourceDefinition", metadata = { name = "widgets.example.org" },
    spec = { group = "example.org", scope = "Namespaced", names = { kind = "Widget", plural = "widgets" }, versions = [
    { name = "v1", served = true, storage = true, schema = { openAPIV3Schema = { type = "object",
    x-kubernetes-preserve-unknown-fields = true } } }] } },
  { apiVersion = "example.org/v1", kind = "Widget", metadata = { name = "one" }, spec = { size = 1 } },
  { apiVersion = "v1", kind = "PersistentVolumeClaim", metadata = { name = "data" }, spec = {
    accessModes = ["ReadWriteOnce"], resources = { requests = { storage = "1Gi" } } } },
  { apiVersion = "v1", kind = "Secret", metadata = { name = "key" }, stringData = { key = "correcthorse" } },
"#;

/// Machines that are nodes, with two pods on them of which a budget lets one go at a time.
pub fn nodes(count: u32, image: &str) -> String {
    format!(
        r#"
[stack]
name = "shop"
id = "7f3kq2x9"
[aws]
region = "us-east-1"
[kubernetes]
[policy]
max-parallel = 2
max-surge = 2
[machines.web]
count = {count}
image = "{image}"
type = ["t3.small"]
zones = ["us-east-1a", "us-east-1b"]
[machines.web.nodes]
join = "kubeadm"
endpoint = "sim.test:6443"
ca = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
token = "abcdef.0123456789abcdef"
labels = {{ pool = "web" }}
[workloads.app]
image = "registry.example/app:1"
replicas = 2
max-unavailable = 1
node-selector = {{ pool = "web" }}
spread = false
wait = false
"#
    )
}

/// Nobody else takes nodes away.
pub fn without_cloud(world: &mut World) {
    world.clusters.values_mut().for_each(|c| c.without_cloud = true);
}

fn nothing(_: &mut World) {}

/// A machine whose guest has been ill for half an hour.
fn impair(world: &mut World) {
    let id = world.find("machines.web/1").into_iter().next().expect("it is there");
    let since = world.now.checked_sub(jiff::SignedDuration::from_mins(30)).expect("a time");
    for check in [Part::Instance, Part::System] {
        world.act(&Deed::Impair { instance: id.clone(), check, since: Some(since) }).expect("it lives");
    }
}

fn drift(world: &mut World) {
    let id = world.find("machines.web/2").into_iter().next().expect("it is there");
    world.act(&Deed::SetSecurityGroups { instance: id, groups: vec!["debug".into()] }).expect("it lives");
}

/// The journeys that need no cluster.
pub fn journeys_of_machines() -> impl Iterator<Item = Journey> {
    journeys().into_iter().filter(|j| !j.is_of_objects() && !j.is_of_nodes())
}

pub fn journeys() -> Vec<Journey> {
    let groups = "security-groups = [\"web\"]";
    let tagged = "security-groups = [\"web\", \"db\"]\ntags = { team = \"x\" }\nmonitoring = true";
    let image = "image = \"ami-00000000000002308\"";
    vec![
        Journey { name: "create", before: None, damage: nothing, after: file(6, "", true), intent: all_allowed },
        Journey {
            name: "replace",
            before: Some(file(6, "", true)),
            damage: impair,
            after: file(6, "", true),
            intent: all_allowed,
        },
        Journey {
            name: "roll",
            before: Some(file(4, "", false)),
            damage: nothing,
            after: file(4, image, false),
            intent: all_allowed,
        },
        Journey {
            name: "scale-in",
            before: Some(file(5, "", true)),
            damage: nothing,
            after: file(3, "", true),
            intent: all_allowed,
        },
        Journey {
            name: "in-place",
            before: Some(file(4, groups, true)),
            damage: drift,
            after: file(4, tagged, true),
            intent: all_allowed,
        },
        Journey { name: "objects", before: None, damage: nothing, after: objects(2, MORE), intent: all_allowed },
        Journey {
            name: "objects-change",
            before: Some(objects(2, MORE)),
            damage: nothing,
            after: objects(3, MORE),
            intent: all_allowed,
        },
        Journey {
            name: "objects-prune",
            before: Some(objects(2, MORE)),
            damage: nothing,
            after: objects(2, ""),
            intent: all_allowed,
        },
        Journey {
            name: "objects-destroy",
            before: Some(objects(2, MORE)),
            damage: nothing,
            after: objects(2, MORE),
            intent: destroy,
        },
        Journey {
            name: "nodes-roll",
            before: Some(nodes(1, "ami-00000000000002309")),
            damage: without_cloud,
            after: nodes(1, "ami-00000000000002308"),
            intent: all_allowed,
        },
        Journey {
            name: "nodes-scale-in",
            before: Some(nodes(2, "ami-00000000000002309")),
            damage: without_cloud,
            after: nodes(1, "ami-00000000000002309"),
            intent: all_allowed,
        },
        Journey {
            name: "destroy",
            before: Some(file(4, "", true)),
            damage: nothing,
            after: file(4, "", true),
            intent: destroy,
        },
    ]
}

impl Journey {
    /// Of Kubernetes objects, not of machines.
    pub fn is_of_objects(&self) -> bool {
        self.name.starts_with("objects")
    }

    /// Of machines that are nodes of a cluster.
    pub fn is_of_nodes(&self) -> bool {
        self.name.starts_with("nodes")
    }

    /// The world at its beginning.
    pub async fn begin(&self, hidden: u64) -> World {
        let mut start = world(7);
        if let Some(before) = &self.before {
            let sim = Sim::new(start);
            let end = Life::new(&sim, 1).settle(&desired(before), &mut Disk::default(), &all_allowed()).await;
            assert!(matches!(end, End::Converged), "{}: {end:?}", self.name);
            // Long enough that everything is old, and what the floor is is known.
            sim.advance(std::time::Duration::from_secs(7200)).expect("in memory");
            start = sim.world().expect("in memory");
            start.calls.clear();
        }
        start.timing.hidden = Span::secs(hidden, hidden);
        (self.damage)(&mut start);
        start
    }

    /// From this world to the end, in the lives that it takes. Gives the world of the end and the calls of the first
    /// life.
    async fn go(&self, start: World, resume: bool) -> (World, usize) {
        let sim = Sim::new(start);
        let wish = desired(&self.after);
        let intent = (self.intent)();
        let mut disk = Disk::default();
        let life = Life::new(&sim, 1);
        if resume {
            return self.resumed(&sim, &life).await;
        }
        let whole = async {
            let end = life.settle(&wish, &mut disk, &intent).await;
            assert!(matches!(end, End::Converged), "{}: {end:?}", self.name);
        };
        let crashed = tokio::select! {
            biased;
            () = sim.crashed() => true,
            () = whole => false,
        };
        let calls = sim.log().len();
        if crashed {
            let sim = sim.revive();
            let end = Life::new(&sim, 2).settle(&wish, &mut disk, &intent).await;
            assert!(matches!(end, End::Converged), "{}: {end:?}", self.name);
        }
        (sim.world().expect("in memory"), calls)
    }

    /// The same with a saved plan, taken up again after the crash with its journal, and only then a new plan.
    async fn resumed(&self, sim: &Sim, life: &Life) -> (World, usize) {
        let wish = desired(&self.after);
        let intent = (self.intent)();
        let mut disk = Disk::default();
        // The plan was saved by an earlier process, which nothing kills.
        let faults = sim.edit(|w| std::mem::take(&mut w.faults)).expect("in memory");
        let look = life.look(&wish).await;
        let made = life.plan(&wish, &look, &disk, &intent);
        sim.edit(|w| w.faults = faults).expect("in memory");
        let before = sim.log().len();
        let mut journal = Vec::new();
        let history = disk.history.clone();
        let whole = async {
            let look = life.look(&wish).await;
            life.carry_out(&wish, &look, &made, &history, &mut journal).await;
        };
        let crashed = tokio::select! {
            biased;
            () = sim.crashed() => true,
            () = whole => false,
        };
        let calls = sim.log().len() - before;
        let sim = sim.revive();
        let life = Life::new(&sim, 2);
        if crashed {
            let look = life.look(&wish).await;
            life.carry_out(&wish, &look, &made, &history, &mut journal).await;
        }
        let end = life.settle(&wish, &mut disk, &intent).await;
        assert!(matches!(end, End::Converged), "{}: {end:?}", self.name);
        (sim.world().expect("in memory"), calls)
    }

    /// Nothing is wrong with this end, and it is the one that was expected.
    pub fn check(&self, end: &World, expected: Option<&Ending>, at: &str) {
        let wish = desired(&self.after);
        let wrong = if (self.intent)().destroy {
            let left = ending(end, &wish.stack.id);
            let mut wrong: Vec<String> = end.violations.iter().map(|v| format!("a broken law: {v}")).collect();
            if left != Ending::default() {
                wrong.push(format!("left over: {left:#?}"));
            }
            wrong
        } else {
            wrongs(end, &wish)
        };
        assert!(wrong.is_empty(), "{} {at}: {wrong:#?}", self.name);
        if let Some(expected) = expected {
            assert_eq!(&ending(end, &wish.stack.id), expected, "{} {at}: another end", self.name);
        }
    }
}

/// Kills at every call of every journey of machines. Gives the number of points for each.
fn everywhere(hidden: u64, resume: bool) -> Vec<(&'static str, usize)> {
    along(journeys_of_machines(), hidden, resume)
}

/// The same in a cluster, which shows at once what was made in it.
fn everywhere_in_a_cluster(resume: bool) -> Vec<(&'static str, usize)> {
    along(journeys().into_iter().filter(Journey::is_of_objects), 0, resume)
}

fn along(journeys: impl Iterator<Item = Journey>, hidden: u64, resume: bool) -> Vec<(&'static str, usize)> {
    let mut table = Vec::new();
    for journey in journeys {
        let points = story(async {
            let start = journey.begin(hidden).await;
            let (whole, calls) = journey.go(start.clone(), resume).await;
            journey.check(&whole, None, "without a crash");
            let expected = ending(&whole, "7f3kq2x9");
            for k in 0..calls {
                for moment in [Moment::Before, Moment::After] {
                    let at = format!("killed {moment:?} call {k} of {calls}, hidden {hidden} s, resumed {resume}");
                    let mut world = start.clone();
                    world.faults.push(Fault::once(Effect::Kill(moment)).after(k as u32));
                    let (end, _) = journey.go(world, resume).await;
                    journey.check(&end, Some(&expected), &at);
                }
            }
            calls * 2
        });
        table.push((journey.name, points));
    }
    println!("hidden {hidden} s, {}: {table:?}", if resume { "same plan" } else { "new plan" });
    table
}

#[test]
fn a_kill_at_any_call_costs_nothing_but_a_rerun() {
    everywhere(0, false);
}

#[test]
fn a_kill_at_any_call_with_new_objects_hidden_for_five_seconds() {
    everywhere(5, false);
}

#[test]
fn a_kill_at_any_call_with_new_objects_hidden_for_a_minute() {
    everywhere(60, false);
}

#[test]
fn a_kill_at_any_call_with_new_objects_hidden_for_five_minutes() {
    everywhere(300, false);
}

#[test]
fn a_kill_at_any_call_of_a_cluster_costs_nothing_but_a_rerun() {
    everywhere_in_a_cluster(false);
}

/// One run, not as many as it takes: what was half made must not make the next run fail.
#[test]
fn a_kill_at_any_call_that_makes_objects_is_healed_by_one_rerun() {
    let journey = journeys().into_iter().find(|j| j.name == "objects").expect("there is one of that name");
    let points = story(async {
        let (wish, intent) = (desired(&journey.after), (journey.intent)());
        let start = journey.begin(0).await;
        let (_, calls) = journey.go(start.clone(), false).await;
        let mut points = 0;
        for k in 0..calls {
            for moment in [Moment::Before, Moment::After] {
                let mut world = start.clone();
                world.faults.push(Fault::once(Effect::Kill(moment)).after(k as u32));
                let (sim, mut disk) = (Sim::new(world), Disk::default());
                let life = Life::new(&sim, 1);
                let crashed = tokio::select! {
                    biased;
                    () = sim.crashed() => true,
                    _ = life.apply(&wish, &mut disk, &intent) => false,
                };
                if !crashed {
                    continue;
                }
                points += 1;
                let sim = sim.revive();
                let left = Life::new(&sim, 2).apply(&wish, &mut disk, &intent).await;
                let all_done = left.is_empty() && left.held.is_empty() && left.gaps.is_empty();
                assert!(all_done, "killed {moment:?} call {k} of {calls}: {}", tell(&left));
            }
        }
        points
    });
    println!("healed by one rerun: {points} points");
    assert!(points > 20, "only {points} points");
}

#[test]
fn a_kill_at_any_call_while_nodes_are_replaced_costs_nothing_but_a_rerun() {
    along(journeys().into_iter().filter(|j| j.name == "nodes-roll"), 0, false);
}

#[test]
fn a_kill_at_any_call_while_nodes_become_fewer_costs_nothing_but_a_rerun() {
    along(journeys().into_iter().filter(|j| j.name == "nodes-scale-in"), 0, false);
}

#[test]
fn a_kill_at_any_call_of_a_cluster_and_the_same_plan_taken_up_again() {
    everywhere_in_a_cluster(true);
}

#[test]
fn a_kill_at_any_call_and_the_same_plan_taken_up_again() {
    everywhere(0, true);
}

#[test]
fn a_kill_at_any_call_and_the_same_plan_with_new_objects_hidden_for_a_minute() {
    everywhere(60, true);
}
