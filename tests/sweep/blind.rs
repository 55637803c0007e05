//! Blindness: lists that are short, empty, refused or somebody else's, and checks that call everything ill. Not one
//! machine is terminated for it, no data is touched, and the exit code says that something is wrong.

use std::collections::BTreeSet;

use evenkeel_sim::World;
use evenkeel_sim::action::Action;
use evenkeel_sim::faults::Fault as WorldFault;
use evenkeel_sim::ops::{Deed, Part};
use jiff::SignedDuration;

use super::fixture::{Scene, code, each, table};
use crate::laws::crash::{Journey, journeys_of_machines};
use crate::laws::harness::story;
use crate::wire::hand;
use crate::wire::proxy::{Call, Fault};

/// Six machines with a volume each, long since well, and the file that made them.
fn well() -> (World, String) {
    let journey = journeys_of_machines().find(|j| j.name == "create").expect("there is such a journey");
    let file = journey.after.clone();
    let journey = Journey { before: Some(file.clone()), damage: |_| {}, ..journey };
    (story(journey.begin(0)), file)
}

/// How EC2, or whoever answers in its place, misleads.
#[derive(Clone)]
struct Blind {
    what: &'static str,
    /// What is wrong with the world itself.
    world: fn(&mut World),
    /// What is put in place of the answer to a call, which the world is asked for by hand.
    lie: fn(&Call, &str) -> Option<String>,
    /// More lines for the file.
    file: &'static str,
    /// How `apply` may end. 0 where what is missing in one list is found by another.
    ends: &'static [i32],
}

fn nothing(_: &mut World) {}

fn truth(_: &Call, _: &str) -> Option<String> {
    None
}

/// Lists of this action, not reads by id.
fn lists(call: &Call, action: &str) -> bool {
    call.action == action && !call.form.keys().any(|key| key.starts_with("InstanceId.") || key.starts_with("VolumeId."))
}

/// What the world answers to this call with pages of five.
fn paged(call: &Call, url: &str) -> String {
    let form = call.form.iter().map(|(key, value)| match key.as_str() {
        "MaxResults" => "MaxResults=5".to_owned(),
        _ => format!("{key}={}", value.replace('+', "%2B").replace('=', "%3D").replace('/', "%2F")),
    });
    hand::fine(url, "ec2", &form.collect::<Vec<_>>().join("&"))
}

/// The call for the first page of the same list.
fn first(call: &Call) -> Call {
    Call { form: call.form.clone().into_iter().filter(|(k, _)| k != "NextToken").collect(), ..call.clone() }
}

/// Without what stands in `<tag>…</tag>`.
fn without(xml: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let Some((before, rest)) = xml.split_once(&open) else { return xml.to_owned() };
    let after = rest.rsplit_once(&close).map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// With another token for the next page.
fn with_token(xml: &str, token: &str) -> String {
    let Some(end) = xml.rfind("</Describe") else { return xml.to_owned() };
    format!("{}<nextToken>{token}</nextToken>{}", without(&xml[..end], "nextToken"), &xml[end..])
}

fn deny(action: Action) -> impl Fn(&mut World) {
    move |world| world.faults.push(WorldFault::deny(action))
}

fn all_ill(world: &mut World) {
    let since = Some(world.now - SignedDuration::from_mins(30));
    let ids: Vec<String> = world.instances.keys().cloned().collect();
    for instance in ids {
        for check in [Part::Instance, Part::System] {
            world.act(&Deed::Impair { instance: instance.clone(), check, since }).expect("it lives");
        }
    }
}

/// Ways to be blind.
fn ways() -> Vec<Blind> {
    let way = Blind { what: "", world: nothing, lie: truth, file: "", ends: &[8] };
    let lie = |what, lie, ends| Blind { what, lie, ends, ..way.clone() };
    let denied = |what, world| Blind { what, world, ..way.clone() };
    vec![
        // The statuses name what the list leaves out, and a read by id shows it.
        lie(
            "an empty list of machines",
            |c, u| lists(c, "DescribeInstances").then(|| without(&paged(c, u), "reservationSet")),
            &[0],
        ),
        lie(
            "machines never shown",
            |c, u| (c.action == "DescribeInstances").then(|| without(&paged(c, u), "reservationSet")),
            &[8],
        ),
        // Each hangs at a machine, which names it.
        lie(
            "an empty list of volumes",
            |c, u| lists(c, "DescribeVolumes").then(|| without(&paged(c, u), "volumeSet")),
            &[0],
        ),
        lie(
            "an empty list of statuses",
            |c, u| (c.action == "DescribeInstanceStatus").then(|| without(&paged(c, u), "instanceStatusSet")),
            &[8],
        ),
        lie(
            "nothing is ever shown",
            |c, u| {
                let sets = ["reservationSet", "volumeSet", "instanceStatusSet"];
                let of = ["DescribeInstances", "DescribeVolumes", "DescribeInstanceStatus"];
                let set = of.iter().zip(sets).find(|(action, _)| c.action == **action)?.1;
                Some(without(&paged(c, u), set))
            },
            // An empty account looks like this, but it refuses the ids that an earlier look saw.
            &[8],
        ),
        lie(
            "the last page of machines missing",
            |c, u| lists(c, "DescribeInstances").then(|| without(&paged(c, u), "nextToken")),
            &[0],
        ),
        lie(
            "the last page of volumes missing",
            |c, u| lists(c, "DescribeVolumes").then(|| without(&paged(c, u), "nextToken")),
            &[0],
        ),
        lie(
            "the second page of every list empty and without a token",
            |c, u| {
                let set = match c.action.as_str() {
                    "DescribeInstances" => "reservationSet",
                    "DescribeVolumes" => "volumeSet",
                    "DescribeInstanceStatus" => "instanceStatusSet",
                    _ => return None,
                };
                if c.form.contains_key("NextToken") {
                    return Some(without(&without(&paged(c, u), "nextToken"), set));
                }
                lists(c, &c.action).then(|| paged(c, u))
            },
            &[0],
        ),
        lie(
            "a token that is refused",
            |c, u| {
                (lists(c, "DescribeInstances") && !c.form.contains_key("NextToken"))
                    .then(|| with_token(&paged(c, u), "bad"))
            },
            &[8],
        ),
        lie(
            "a token that leads back",
            |c, u| lists(c, "DescribeVolumes").then(|| with_token(&paged(&first(c), u), "round")),
            &[8],
        ),
        lie(
            "empty pages without an end",
            |c, u| {
                lists(c, "DescribeInstances")
                    .then(|| with_token(&without(&paged(&first(c), u), "reservationSet"), "on"))
            },
            &[8],
        ),
        denied("machines denied", |w| deny(Action::DescribeInstances)(w)),
        denied("volumes denied", |w| deny(Action::DescribeVolumes)(w)),
        denied("statuses denied", |w| deny(Action::DescribeInstanceStatus)(w)),
        denied("zones denied", |w| deny(Action::DescribeAvailabilityZones)(w)),
        denied("the account denied", |w| deny(Action::GetCallerIdentity)(w)),
        denied("everything denied", |w| {
            for action in Action::ALL.iter().filter(|action| !action.changes()) {
                deny(*action)(w);
            }
        }),
        Blind {
            what: "another account's credentials",
            world: |w| w.account = "999988887777".into(),
            file: "account = \"123456789012\"\n",
            ends: &[6],
            ..way.clone()
        },
        Blind { what: "every machine impaired", world: all_ill, ends: &[6, 8], ..way.clone() },
    ]
}

/// What must not be asked for where nobody knows enough.
fn destroys(call: &Call) -> bool {
    ["TerminateInstances", "StopInstances", "DeleteVolume", "DetachVolume"].contains(&call.action.as_str())
}

fn alive(world: &World) -> BTreeSet<String> {
    world.instances.iter().filter(|(_, m)| !m.is_dead()).map(|(id, _)| id.clone()).collect()
}

#[test]
fn whoever_does_not_see_terminates_nothing() {
    let (start, file) = well();
    let rows = std::sync::Mutex::new(Vec::new());
    let wrong = std::sync::Mutex::new(Vec::new());
    each(&ways(), |way| {
        let text = file.replace("region = \"us-east-1\"\n", &format!("region = \"us-east-1\"\n{}", way.file));
        let scene = Scene::of(start.clone(), &text);
        // What an earlier look saw is asked for by id when all lists leave it out.
        scene.place.run("plan --exit-code");
        let before = alive(&scene.world());
        scene.front.sim.edit(way.world).expect("it is in no file");
        let (url, lie) = (scene.front.url.clone(), way.lie);
        scene.proxy.meddle(move |_, call| lie(call, &url).map(|answer| Fault::Answer(200, answer)));
        scene.proxy.forget();
        let said = scene.place.run("apply --yes --max-deletes 100% --allow-empty");
        let drift = scene.place.run("drift");
        let world = scene.world();
        let asked: Vec<String> = scene.changes().into_iter().filter(destroys).map(|call| call.action).collect();
        let gone: Vec<&String> = before.iter().filter(|id| world.instances[*id].is_dead()).collect();
        let new = alive(&world).difference(&before).count();
        let row = [code(&said), code(&drift), asked.len().to_string(), new.to_string()];
        let [first, second, ended, new] = row;
        // A blind look has not forgotten what was there: the next one is as blind.
        let sees = way.ends == [8] && drift.code != Some(8);
        let ends = way.ends.iter().any(|end| said.code == Some(*end));
        if !ends || sees || ended != "0" || new != "0" || !gone.is_empty() {
            wrong
                .lock()
                .expect("nobody panics with it")
                .push(format!("{}: {asked:?} {gone:?} {new} new: {said}\n{drift}", way.what));
        }
        rows.lock().expect("nobody panics with it").push([way.what.to_owned(), first, second, ended, new]);
    });
    let mut rows = rows.into_inner().expect("nobody panics with it");
    rows.sort();
    println!("{}", table("blindness", ["what", "apply", "drift", "terminations", "launches"], &rows));
    let wrong = wrong.into_inner().expect("nobody panics with it");
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Something that waits to be done while nobody can see well.
struct Pending {
    what: &'static str,
    /// The file then.
    edit: fn(&str) -> String,
    /// What is wrong in the world.
    damage: fn(&mut World),
}

fn same(file: &str) -> String {
    file.to_owned()
}

fn pending() -> Vec<Pending> {
    vec![
        Pending { what: "another image", edit: |file| file.replace("2309\"", "2308\""), damage: nothing },
        Pending { what: "six become four", edit: |file| file.replace("count = 6", "count = 4"), damage: nothing },
        Pending {
            what: "a machine is ill",
            edit: same,
            damage: |world| {
                let id = world.find("machines.web/1").into_iter().next().expect("it is there");
                let since = Some(world.now - SignedDuration::from_mins(30));
                for check in [Part::Instance, Part::System] {
                    world.act(&Deed::Impair { instance: id.clone(), check, since }).expect("it lives");
                }
            },
        },
    ]
}

#[test]
fn with_something_to_do_whoever_does_not_see_terminates_nothing_either() {
    let (start, file) = well();
    let rows = std::sync::Mutex::new(Vec::new());
    let wrong = std::sync::Mutex::new(Vec::new());
    let (ways, pending) = (ways(), pending());
    // Where another list makes up for one, all is seen, and what is pending is rightly done; and a person who takes two
    // machines out of the file is obeyed, however ill they are called.
    let blind = ways.iter().filter(|way| way.ends.iter().all(|end| [6, 8].contains(end)));
    let all = blind.flat_map(|way| pending.iter().map(move |p| (way, p)));
    let all: Vec<(&Blind, &Pending)> =
        all.filter(|(way, p)| way.what != "every machine impaired" || p.what != "six become four").collect();
    each(&all, |(way, pending)| {
        let text = file.replace("region = \"us-east-1\"\n", &format!("region = \"us-east-1\"\n{}", way.file));
        let scene = Scene::of(start.clone(), &text);
        scene.place.run("plan --exit-code");
        let before = alive(&scene.world());
        scene.rewrite(&(pending.edit)(&text));
        scene.front.sim.edit(pending.damage).expect("it is in no file");
        scene.front.sim.edit(way.world).expect("it is in no file");
        let (url, lie) = (scene.front.url.clone(), way.lie);
        scene.proxy.meddle(move |_, call| lie(call, &url).map(|answer| Fault::Answer(200, answer)));
        scene.proxy.forget();
        let said = scene.place.run("apply --yes --max-deletes 100% --allow-empty");
        let asked: Vec<String> = scene.changes().into_iter().filter(destroys).map(|call| call.action).collect();
        let world = scene.world();
        let gone: Vec<&String> = before.iter().filter(|id| world.instances[*id].is_dead()).collect();
        let new = alive(&world).difference(&before).count();
        if !way.ends.iter().any(|end| said.code == Some(*end)) || !asked.is_empty() || !gone.is_empty() || new != 0 {
            let says = format!("{}, {}: {asked:?} {gone:?} {new} new: {said}", way.what, pending.what);
            wrong.lock().expect("nobody panics with it").push(says);
        }
        let row = [way.what.to_owned(), pending.what.to_owned(), code(&said), asked.len().to_string(), new.to_string()];
        rows.lock().expect("nobody panics with it").push(row);
    });
    let mut rows = rows.into_inner().expect("nobody panics with it");
    rows.sort();
    let head = ["what", "pending", "apply", "terminations", "launches"];
    println!("{}", table("blindness with something to do", head, &rows));
    let wrong = wrong.into_inner().expect("nobody panics with it");
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}
