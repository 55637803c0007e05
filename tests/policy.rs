//! `evenkeel policy aws`, held against every call of whole journeys: the printed document allows each of them, and
//! without any one of its permissions something is denied. The sweeps stand behind the same IAM (`sweep/fixture.rs`).

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_sim::World;
use evenkeel_sim::world::Machine;
use serde_json::Value;

use crate::front::lab::Served;
use crate::sweep::fixture::{each, table};
use crate::wire::guard::Guard;
use crate::wire::iam::{Asked, allows};
use crate::wire::place::{Place, Said};
use crate::wire::story::ec2;

/// See `front.rs`.
const SPEED: f64 = 300.0;

/// Everything that has permissions of its own: subnets and groups by name, a parameter, a key pair, a placement group,
/// a profile, a key of one's own, a snapshot.
const FILE: &str = r#"[stack]
name = "shop"
id = "c88888888"

[aws]
region = "us-east-1"
account = "123456789012"

[machines.web]
count = 2
image = { ssm = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64" }
type = ["t3.small", "t3a.small"]
subnets = { tag = "tier", value = "app" }
security-groups = ["web"]
instance-profile = "web"
monitoring = true
key = "ops"
placement-group = "spread"
root = { size = "20GiB", type = "gp3" }
tags = { team = "payments" }
wait = "running"

[machines.db]
count = 1
image = { owner = "amazon", name = "al2023-ami-2023.*-x86_64" }
type = "t3.small"
zones = ["us-east-1a"]
wait = "running"

[volumes.data]
for = "machines.web"
size = "50GiB"
kms-key = "alias/data"

[volumes.spare]
replicas = 1
zones = ["us-east-1a"]
size = "30GiB"
from-snapshot = "snap-00000000000000001"

[policy]
max-unavailable = 1
"#;

fn world() -> World {
    let mut world = World::founding(1);
    for subnet in world.subnets.values_mut() {
        subnet.tags.insert("tier".into(), "app".into());
    }
    world
}

fn printed(place: &Place, words: &str) -> Value {
    let said = place.run(words).ends(0);
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// A served world, a guard before it that obeys `policy aws`, and the program pointed at the guard.
fn guarded(words: &str) -> (Served, Guard, Place) {
    let front = Served::start(world(), SPEED);
    let guard = Guard::before(&front.url, front.sim.clone(), Value::Null);
    let place = Place::new(&guard.url, FILE).in_time_with(front.sim.clock());
    guard.obey(printed(&place, words));
    (front, guard, place)
}

/// Changes a live machine behind evenkeel's back.
fn by_hand(front: &Served, id: &str, change: impl FnOnce(&mut Machine)) {
    front.sim.edit(|w| change(w.instances.get_mut(id).expect("it is there"))).expect("it is in no file");
}

/// The document without one action of one statement, in words and as it is then; a statement's last one is the whole.
fn lessened(document: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (n, statement) in document["Statement"].as_array().expect("statements").iter().enumerate() {
        for list in ["Action", "Resource"] {
            for (m, one) in statement[list].as_array().expect("a list").iter().enumerate() {
                let mut less = document.clone();
                less["Statement"][n][list].as_array_mut().expect("a list").remove(m);
                all.push((format!("{} without {one}", statement["Sid"]), less));
            }
        }
    }
    all
}

/// Each permission is needed by something that was asked.
#[track_caller]
fn nothing_is_too_much(document: &Value, asked: &[Asked]) {
    let idle: Vec<String> = lessened(document)
        .into_iter()
        .filter(|(_, less)| asked.iter().all(|one| allows(less, one)))
        .map(|(name, _)| name)
        .collect();
    assert!(idle.is_empty(), "allowed and never needed: {idle:#?}");
}

/// A served world behind IAM, and what of `policy aws` is not allowed there.
struct Case {
    front: Served,
    guard: Guard,
    place: Place,
    /// Ids of statements that are left out.
    without: Option<String>,
}

impl Case {
    fn new(without: Option<&str>) -> Self {
        let (front, guard, place) = guarded("policy aws");
        let case = Self { front, guard, place, without: without.map(str::to_owned) };
        case.obey();
        case
    }

    /// What the file as it is now may do.
    fn obey(&self) {
        let mut document = printed(&self.place, "policy aws");
        let statements = document["Statement"].as_array_mut().expect("statements");
        statements.retain(|s| s["Sid"].as_str() != self.without.as_deref());
        self.guard.obey(document);
    }

    /// Runs a command, which must end with 0; `None` where something of it was denied.
    #[track_caller]
    fn run(&self, words: &str) -> Option<Said> {
        let said = self.place.run(words);
        self.guard.denied().is_empty().then(|| said.ends(0))
    }
}

/// Everything that permissions are needed for; `None` as soon as one is denied.
fn whole_journey(case: &Case) -> Option<()> {
    let Case { front, place, .. } = case;
    case.run("plan --dry-run")?.tells("none would be refused");
    assert!(front.sim.world().expect("no file").instances.is_empty(), "only rehearsed");
    case.run("apply --yes")?.tells("Converged");

    // Drift in everything that can be set back in place.
    let (web0, web1) = (place.object("machines.web/0"), place.object("machines.web/1"));
    let db = place.object("machines.db/0");
    by_hand(front, &web0, |m| {
        (m.monitoring, m.metadata.hop_limit, m.instance_profile) = (false, 3, None);
        m.tags.insert("team".into(), "billing".into());
        m.tags.insert("odd".into(), "1".into());
    });
    by_hand(front, &web1, |m| m.instance_profile = Some("ops".into()));
    case.run("apply --yes")?;
    by_hand(front, &db, |m| (m.monitoring, m.instance_profile) = (true, Some("ops".into())));
    by_hand(front, &web0, |m| m.security_groups.clear());
    case.run("apply --yes")?;
    let volume = place.object("volumes.data/0");
    front.sim.edit(|w| w.volumes.get_mut(&volume).expect("it is there").volume_type = "gp2".into()).expect("no file");
    case.run("apply --yes")?;
    // One that has to stand still for it.
    by_hand(front, &web1, |m| m.instance_type = "t3.large".into());
    case.run("apply --yes")?;

    // A dead machine, whose volume goes to the next one.
    ec2(front, &format!("Action=TerminateInstances&InstanceId.1={web0}"));
    case.run("apply --yes")?;

    // A profile that the file no longer gives: another file, another policy.
    let profile = "zones = [\"us-east-1a\"]\nwait = \"running\"\n";
    place.edit(profile, &format!("{profile}instance-profile = \"db\"\n"));
    case.obey();
    case.run("apply --yes")?;
    place.edit("instance-profile = \"db\"\n", "");
    case.obey();
    case.run("apply --yes")?;

    case.run("drift --deep")?;
    case.run("status")?;
    case.run("protect machines.web/0")?;
    case.run("unprotect machines.web/0")?;
    case.run("destroy --yes --target volumes.data")?;
    case.run("destroy --yes")?;
    assert_eq!(front.sim.violations(), []);
    Some(())
}

#[test]
fn a_whole_journey_needs_every_permission_that_is_printed_and_no_other() {
    let case = Case::new(None);
    assert!(whole_journey(&case).is_some(), "{:#?}", case.guard.denied());
    let document = printed(&case.place, "policy aws");
    nothing_is_too_much(&document, &case.guard.asked());
    let compact = serde_json::to_string(&document).expect("JSON");
    assert!(compact.len() <= 6_144, "a managed policy holds 6,144 characters; this has {}", compact.len());
}

#[test]
fn without_any_one_statement_the_journey_is_denied_something() {
    let document = printed(&guarded("policy aws").2, "policy aws");
    let statements = document["Statement"].as_array().expect("statements");
    let sids: Vec<String> = statements.iter().filter_map(|s| Some(s["Sid"].as_str()?.to_owned())).collect();
    assert_eq!(sids.len(), statements.len());
    let rows = std::sync::Mutex::new(Vec::new());
    each(&sids, |sid| {
        let case = Case::new(Some(sid));
        let end = whole_journey(&case);
        let denied: BTreeSet<String> = case.guard.denied().into_iter().map(|one| one.action).collect();
        let denied: Vec<String> = denied.into_iter().collect();
        rows.lock().expect("nobody panics with it").push((end.is_some(), [sid.clone(), denied.join(", ")]));
    });
    let mut rows = rows.into_inner().expect("nobody panics with it");
    rows.sort();
    let (idle, lines): (Vec<bool>, Vec<[String; 2]>) = rows.into_iter().unzip();
    println!("{}", table("the journey without one statement", ["statement", "denied"], &lines));
    assert!(!idle.contains(&true), "nobody misses it: {lines:#?}");
}

#[test]
fn what_lost_its_mark_is_marked_again_by_whoever_was_given_that() {
    let (front, guard, place) = guarded("policy aws");
    place.run("apply --yes").ends(0);
    let (machine, volume) = (place.object("machines.web/0"), place.object("volumes.data/1"));
    let strip = |w: &mut World| {
        w.instances.get_mut(&machine).expect("it is there").tags.clear();
        w.volumes.get_mut(&volume).expect("it is there").tags.clear();
    };
    front.sim.edit(strip).expect("it is in no file");
    place.run("apply --yes").ends(7).tells("ec2:CreateTags").tells("policy aws --repair-marks");
    let bare = |w: &World| w.instances[&machine].tags.is_empty() && w.volumes[&volume].tags.is_empty();
    assert!(bare(&front.sim.world().expect("no file")), "nothing but the marks was wanted, and they were not allowed");
    let (plain, repairs) = (printed(&place, "policy aws"), printed(&place, "policy aws --repair-marks"));
    guard.obey(repairs.clone());
    let before = guard.denied().len();
    place.run("apply --yes").ends(0);
    place.run("drift").ends(0);
    assert_eq!((place.object("machines.web/0"), place.object("volumes.data/1")), (machine, volume));
    assert_eq!(guard.denied().len(), before);
    let ids: Vec<&Value> = repairs["Statement"].as_array().expect("statements").iter().map(|s| &s["Sid"]).collect();
    let fewer = plain["Statement"].as_array().expect("statements").iter().map(|s| &s["Sid"]);
    let more: Vec<_> = ids.iter().filter(|id| !fewer.clone().any(|one| one == **id)).collect();
    assert_eq!(more, [&"MarkAgain"]);

    // What bears another stack's mark is not to be had by it, nor is anything given to another stack.
    let asks = |there: Option<&str>, wish: Option<&str>| {
        let mut context = BTreeMap::from([("ec2:Region".to_owned(), "us-east-1".to_owned())]);
        context.extend(there.map(|id| ("ec2:ResourceTag/evenkeel:stack".to_owned(), id.to_owned())));
        context.extend(wish.map(|id| ("aws:RequestTag/evenkeel:stack".to_owned(), id.to_owned())));
        let resource = "arn:aws:ec2:us-east-1:123456789012:instance/i-1".to_owned();
        Asked { action: "ec2:CreateTags".into(), resource, context }
    };
    let ours = Some("c88888888");
    for (there, wish, allowed) in [
        (None, ours, true),
        (None, None, false),
        (None, Some("c99999999"), false),
        (Some("c99999999"), ours, false),
        (ours, None, true),
    ] {
        assert_eq!(allows(&repairs, &asks(there, wish)), allowed, "{there:?} {wish:?}");
    }
}

#[test]
fn with_permissions_to_look_one_looks_and_changes_nothing() {
    let (front, guard, place) = guarded("policy aws --read-only");
    let everything = printed(&place, "policy aws");
    let looks = printed(&place, "policy aws --read-only");
    guard.obey(everything);
    place.run("apply --yes").ends(0);
    let before = guard.asked().into_iter().collect::<BTreeSet<_>>();
    guard.obey(looks.clone());
    place.run("plan --deep --exit-code").ends(0);
    place.run("drift").ends(0);
    place.run("status").ends(0);
    let asked = guard.asked();
    let new: Vec<_> = asked.iter().filter(|one| !before.contains(*one)).collect();
    assert!(new.iter().all(|one| allows(&looks, one)), "{new:#?}");
    nothing_is_too_much(&looks, &asked);

    let machines = front.sim.world().expect("no file").instances.len();
    let said = place.run("destroy --yes").ends(7);
    let ways = |action: &str| said.words().matches(&format!("way out allow `{action}`")).count();
    assert_eq!((ways("ec2:TerminateInstances"), ways("ec2:CreateTags")), (1, 1), "once a permission: {said}");
    said.tells("evenkeel policy aws");
    assert_eq!(front.sim.world().expect("no file").instances.len(), machines);
}

#[test]
fn a_permission_that_is_missing_is_one_clear_error_that_names_it() {
    let (front, guard, place) = guarded("policy aws");
    let document = printed(&place, "policy aws");
    let without = |sid: &str| {
        let mut less = document.clone();
        less["Statement"].as_array_mut().expect("statements").retain(|s| s["Sid"] != sid);
        less
    };
    for (sid, action) in
        [("PassRoles", "iam:PassRole"), ("MarkNew", "ec2:CreateTags"), ("LaunchMachines", "ec2:RunInstances")]
    {
        guard.obey(without(sid));
        place.run("plan --dry-run").ends(6).tells(action).tells("evenkeel policy aws");
        let said = place.run("apply --yes --max-deletes 0").ends(7);
        let ways = said.words().matches(&format!("way out allow `{action}`")).count();
        assert!((1..=2).contains(&ways), "one a sort of call, not one a machine: {said}");
        said.tells("evenkeel policy aws");
    }
    guard.obey(without("Look"));
    let said = place.run("plan").ends(8);
    said.tells("ec2:Describe").tells("not seen");
    assert_eq!(front.sim.violations(), []);
    guard.obey(document);
    place.run("apply --yes").ends(0).tells("Converged");
}
