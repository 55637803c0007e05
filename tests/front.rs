//! The same binary, with the real SDK, against the sim behind EC2's own protocol: what the laws promise in one process,
//! over real HTTP and with EC2's semantics that no other server to be had keeps.

#[path = "lab/front.rs"]
pub mod lab;
mod roles;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use evenkeel_ec2::permissions::For;
use evenkeel_sim::World;
use evenkeel_sim::action::Action;
use evenkeel_sim::death::Death;
use evenkeel_sim::dice::Span;
use evenkeel_sim::faults::{Effect, Fault, Moment};
use evenkeel_sim::ops::Deed;
use evenkeel_sim::world::SecurityGroup;
use rustix::process::{Pid, Signal, kill_process};

use crate::moto::lab as moto_lab;
use crate::sweep::fixture::policy;
use crate::wire::guard::Guard;
use crate::wire::hand;
use crate::wire::iam::Asked;
use crate::wire::place::Place;
use crate::wire::story::{Lab, texts, whole_journey};
use lab::Served;

/// So fast that a boot takes a moment, so slow that a moment of a busy machine is no quarter of an hour.
const SPEED: f64 = 300.0;

impl Lab for Served {
    fn url(&self) -> &str {
        &self.url
    }

    fn place(&self, url: &str, declaration: &str) -> Place {
        Place::new(url, declaration).in_time_with(self.sim.clock())
    }
}

/// A served world in which every declaration has what `policy aws --repair-marks` prints for it, and no more.
struct Guarded {
    front: Served,
    guards: Mutex<Vec<Guard>>,
}

impl Lab for Guarded {
    fn url(&self) -> &str {
        &self.front.url
    }

    fn door(&self, declaration: &str) -> String {
        let document = policy(declaration, For::EverythingAndLostMarks);
        let guard = Guard::before(&self.front.url, self.front.sim.clone(), document);
        let url = guard.url.clone();
        self.guards.lock().expect("nobody panics with it").push(guard);
        url
    }

    fn place(&self, url: &str, declaration: &str) -> Place {
        self.front.place(url, declaration)
    }
}

/// A world with two more security groups, and their ids.
fn with_groups(names: [&str; 2]) -> (World, Vec<String>) {
    let mut world = World::founding(1);
    let vpc = world.subnets.values().next().map(|s| s.vpc.clone()).expect("a subnet");
    let ids = ["sg-0000000000000aaaa", "sg-0000000000000bbbb"];
    for (id, name) in ids.into_iter().zip(names) {
        let group = SecurityGroup { name: name.to_owned(), vpc: vpc.clone(), tags: Default::default() };
        world.security_groups.insert(id.to_owned(), group);
    }
    (world, ids.map(str::to_owned).to_vec())
}

#[test]
fn a_fleet_is_created_drifted_damaged_repaired_and_destroyed_beside_another_of_its_name() {
    let (world, groups) = with_groups(["cli-web", "cli-debug"]);
    let guarded = Guarded { front: Served::start(world, SPEED), guards: Mutex::default() };
    whole_journey(&guarded, &groups);
    assert_eq!(guarded.front.sim.violations(), []);
    let guards = guarded.guards.into_inner().expect("nobody panics with it");
    let asked = guards.iter().map(|guard| guard.asked().len());
    assert!(asked.min() > Some(10), "two stacks, each behind its own permissions");
    let denied: Vec<Asked> = guards.iter().flat_map(Guard::denied).collect();
    assert!(denied.is_empty(), "`policy aws --repair-marks` does not allow {denied:#?}");
}

/// Clients that nobody here wrote are the judges: boto3 and the AWS CLI run every action, botocore's model of EC2 says
/// what may stand in an answer, and moto shows what a client is used to find there.
#[test]
fn other_clients_understand_every_answer() {
    let (Some(python), Some(moto)) = (moto_lab::python(), moto_lab::Moto::start()) else { return };
    let front = Served::start(World::founding(1), SPEED);
    with_dead(&front);
    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/honest.py");
    let judged = Command::new(python).arg(judge).args([&front.url, &moto.url]).output().expect("the lab's Python");
    let said = String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{said}");
    println!("{}", said.trim());
    let asked = front.sim.counts();
    let of_aws = Action::ALL.iter().filter(|action| action.verb().is_none());
    let never: Vec<&Action> = of_aws.filter(|action| !asked.contains_key(action)).collect();
    assert!(never.is_empty(), "the judge did not try {never:?}");
}

/// Machines that have died of themselves, each of something else.
fn with_dead(front: &Served) {
    let quick =
        front.sim.edit(|w| std::mem::replace(&mut w.timing.boot, Span::secs(86_400, 86_400))).expect("in memory");
    let market = "&InstanceMarketOptions.MarketType=spot";
    let ids = |body: &str| texts(&hand::fine(&front.url, "ec2", body), "instanceId");
    let mut pending = ids(&launch(3, 3, "dead"));
    pending.extend(ids(&format!("{}{market}", launch(1, 1, "spot"))));
    let deaths = [
        (Death::Launch, "terminated", "", "Client.InternalError: Client error on launch"),
        (Death::Volumes, "terminated", "", "Client.VolumeLimitExceeded: Volume limit exceeded"),
        (Death::Internal, "terminated", "", "Server.InternalError: Internal error on launch"),
        (
            Death::Spot,
            "shutting-down",
            "Service initiated",
            "Server.SpotInstanceTermination: Spot instance termination",
        ),
    ];
    front.sim.edit(|w| w.timing.shutdown = Span::secs(86_400, 86_400)).expect("in memory");
    front.sim.advance(Duration::from_secs(60)).expect("in memory");
    for (id, (reason, state, why, message)) in pending.iter().zip(deaths) {
        front.sim.act(&Deed::Die { instance: id.clone(), reason }).expect("it boots");
        let shown = hand::fine(&front.url, "ec2", &format!("Action=DescribeInstances&InstanceId.1={id}"));
        assert_eq!(texts(&shown, "name")[0], state, "{shown}");
        assert_eq!(texts(&shown, "reason")[0], why, "{shown}");
        assert!(shown.contains(&format!("<code>{}</code><message>{message}</message>", reason.code())), "{shown}");
    }
    front
        .sim
        .edit(|w| (w.timing.boot, w.timing.shutdown) = (quick, World::founding(1).timing.shutdown))
        .expect("in memory");
}

/// A launch by hand of small machines in the first zone.
fn launch(least: u32, most: u32, token: &str) -> String {
    format!(
        "Action=RunInstances&ImageId=ami-00000000000002309&InstanceType=t3.small&MinCount={least}&MaxCount={most}\
         &ClientToken={token}&Placement.AvailabilityZone=us-east-1a&Version=2016-11-15"
    )
}

/// HTTP status and EC2's code.
fn refused(front: &Served, body: &str) -> (u16, String) {
    let (status, answer) = hand::call(&front.url, "ec2", body);
    (status, texts(&answer, "Code").pop().unwrap_or_else(|| panic!("{body} is not refused: {answer}")))
}

/// Everything that can be wrong before or beside the world's own rules.
#[test]
fn what_is_wrong_with_a_request_is_refused_as_ec2_refuses_it() {
    let front = Served::start(World::founding(1), SPEED);
    let run = launch(1, 1, "t");
    for (body, status, code) in [
        ("Version=2016-11-15", 400, "MissingAction"),
        ("Action=MakeCoffee", 400, "InvalidAction"),
        ("Action=GetCallerIdentity", 400, "InvalidAction"),
        ("Action=DescribeInstances&Colour=red", 400, "UnknownParameter"),
        ("Action=DescribeInstances&MaxResults=4", 400, "InvalidParameterValue"),
        ("Action=DescribeInstances&MaxResults=1001", 400, "InvalidParameterValue"),
        ("Action=DescribeInstances&MaxResults=many", 400, "InvalidParameterValue"),
        ("Action=DescribeInstances&MaxResults=5&NextToken=x", 400, "InvalidNextToken"),
        ("Action=DescribeInstances&MaxResults=5&InstanceId.1=i-1", 400, "InvalidParameterCombination"),
        ("Action=DescribeInstances&Action=DescribeVolumes", 400, "InvalidQueryParameter"),
        ("Action=TerminateInstances", 400, "MissingParameter"),
        ("Action=StopInstances&InstanceId.1=i-0123456789abcdef0", 400, "InvalidInstanceID.NotFound"),
        ("Action=DescribeInstances&DryRun=true", 412, "DryRunOperation"),
        (&format!("{run}&DryRun=true"), 412, "DryRunOperation"),
        (&format!("{run}&Ipv6AddressCount=1"), 400, "UnknownParameter"),
        (&launch(2, 1, "t"), 400, "InvalidParameterValue"),
    ] {
        assert_eq!(refused(&front, body), (status, code.to_owned()), "{body}");
    }
    assert!(front.sim.world().expect("in memory").instances.is_empty(), "nothing was done");
}

#[test]
fn a_signature_counts_by_its_form() {
    let front = Served::start(World::founding(1), SPEED);
    let ask = |headers: &str| {
        let (status, answer) = hand::raw(&front.url, "/", headers, "Action=DescribeSubnets&Version=2016-11-15");
        (status, texts(&answer, "Code").pop().unwrap_or_default())
    };
    assert_eq!(ask(""), (403, "MissingAuthenticationToken".into()));
    assert_eq!(ask("Authorization: Bearer x\r\n"), (401, "AuthFailure".into()));
    let signed = |region: &str| {
        let scope = format!("k/20260101/{region}/ec2/aws4_request");
        let zeros = "0".repeat(64);
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={zeros}\r\n\
             X-Amz-Date: 20260101T000000Z\r\n"
        )
    };
    assert_eq!(ask(&signed("eu-west-1")), (401, "AuthFailure".into()), "another region's signature");
    assert_eq!(ask(&signed("us-east-1")), (200, String::new()));
}

#[test]
fn a_launch_takes_as_many_as_there_is_room_for_and_never_fewer_than_asked() {
    let mut world = World::founding(1);
    world.zones.get_mut("us-east-1a").expect("the first zone").capacity.insert("t3.small".into(), 5);
    let front = Served::start(world, SPEED);
    let made = |body: &str| texts(&hand::fine(&front.url, "ec2", body), "instanceId").len();
    assert_eq!(made(&launch(2, 4, "a")), 4);
    assert_eq!(refused(&front, &launch(2, 4, "b")), (500, "InsufficientInstanceCapacity".into()));
    assert_eq!(made(&launch(1, 4, "c")), 1, "the fifth");
    assert_eq!(made(&launch(1, 4, "c")), 1, "the same token, the same machine");
    assert_eq!(refused(&front, &launch(1, 3, "c")), (400, "IdempotentParameterMismatch".into()));
    assert_eq!(front.sim.world().expect("in memory").instances.len(), 5);
}

#[test]
fn what_the_world_makes_go_wrong_is_seen_on_the_wire() {
    let mut world = World::founding(1);
    world.faults.push(Fault::deny(Action::StopInstances));
    world.faults.push(Fault::once(Effect::LoseAnswer).on(Action::RunInstances));
    world.faults.push(Fault::once(Effect::Kill(Moment::Before)).on(Action::DescribeVolumes));
    world.limits.vcpus = 4;
    world.timing.latency = Span::millis(0, 0);
    // Slow, so that no bucket fills up meanwhile.
    let front = Served::start(world, 0.01);
    assert_eq!(refused(&front, "Action=StopInstances&InstanceId.1=i-1"), (403, "UnauthorizedOperation".into()));
    assert_eq!(refused(&front, "Action=StopInstances&InstanceId.1=i-1&DryRun=true").1, "UnauthorizedOperation");
    assert_eq!(hand::call(&front.url, "ec2", "Action=DescribeVolumes"), (0, String::new()), "the connection is cut");
    assert_eq!(hand::call(&front.url, "ec2", &launch(1, 1, "lost")).0, 0, "and after the effect");
    assert_eq!(front.sim.world().expect("in memory").instances.len(), 1);
    assert_eq!(refused(&front, &launch(2, 2, "many")), (400, "VcpuLimitExceeded".into()));
    let third_to_sixth: Vec<u16> =
        (3..=6).map(|n| hand::call(&front.url, "ec2", &launch(9, 9, &format!("{n}"))).0).collect();
    assert_eq!(third_to_sixth, [400, 400, 400, 503], "five launches at once, then two a second");
}

/// Every page of the machines there are: how long that took, and how often each was shown.
fn listed(front: &Served) -> (Duration, usize, BTreeMap<String, u32>) {
    let began = Instant::now();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let (mut token, mut pages) = (String::new(), 0);
    loop {
        let next = if token.is_empty() { String::new() } else { format!("&NextToken={token}") };
        let answer = hand::fine(&front.url, "ec2", &format!("Action=DescribeInstances&MaxResults=1000{next}"));
        for id in texts(&answer, "instanceId") {
            *seen.entry(id).or_default() += 1;
        }
        pages += 1;
        match texts(&answer, "nextToken").pop() {
            Some(next) => token = next,
            None => return (began.elapsed(), pages, seen),
        }
    }
}

/// 10,000 machines over HTTP: launched, listed page by page, and none is missing or shown twice. Ten times as many take
/// ten times as long, and not a hundred times.
#[test]
fn ten_thousand_machines_cost_no_more_than_ten_times_a_thousand() {
    let mut world = World::founding(1);
    world.limits.throttling = false;
    for (n, subnet) in world.subnets.values_mut().enumerate() {
        subnet.cidr = format!("10.{n}.0.0/16");
    }
    let front = Served::start(world, SPEED);
    let launches = |from: usize, to: usize| {
        let took = (from..to).map(|n| {
            let began = Instant::now();
            hand::fine(&front.url, "ec2", &launch(1000, 1000, &format!("batch-{n}")));
            began.elapsed()
        });
        let quickest = took.min().expect("some");
        front.sim.advance(Duration::from_secs(600)).expect("in memory");
        quickest
    };
    // Of three, the one that nothing else has slowed down.
    let lists = || (0..3).map(|_| listed(&front)).min().expect("three");
    let (first, few) = (launches(0, 1), lists());
    let (later, many) = (launches(1, 10), lists());
    println!("1,000 machines: launched in {first:?}, listed in {:?}", few.0);
    println!("10,000 machines: a thousand launched in {later:?}, all listed in {:?}", many.0);
    let (_, pages, seen) = &many;
    assert!(*pages == 10 && seen.len() == 10_000 && seen.values().all(|times| *times == 1), "{pages} {}", seen.len());
    assert!(many.0 < few.0 * 30, "{:?} and {:?}: listing grows faster than what is listed", few.0, many.0);
    assert!(later < first * 10, "{first:?} and {later:?}: a launch takes longer beside others");
}

#[test]
fn sim_serve_says_where_it_is_and_saves_the_world_when_it_is_told_to_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.current_dir(folder.path()).env_clear().args(["--sim", "world.toml", "sim", "serve", "--speed", "300"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says where it is");
        let said: BTreeMap<&str, &str> = line.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        let url = said["AWS_ENDPOINT_URL"];
        assert!(url.starts_with("http://127.0.0.1:") && said["AWS_REGION"] == "us-east-1", "{line}");
        assert!(said["EVENKEEL_CLOCK"].ends_with("*300"), "{line}");
        let made = texts(&hand::fine(url, "ec2", &launch(1, 1, "t")), "instanceId").remove(0);
        kill_process(Pid::from_child(&child), signal).expect("it is our child and lives");
        let ended = child.wait_with_output().expect("it is our child");
        assert!(ended.status.success(), "{ended:?}");
        let text = std::fs::read_to_string(folder.path().join("world.toml")).expect("it is saved");
        let world = World::from_toml(&text).expect("a world");
        assert!(world.instances.contains_key(&made), "{text}");
    }
}

#[test]
fn the_time_of_a_served_world_is_no_time_for_another_endpoint() {
    let clock = evenkeel_engine::clock::Paced::starting_at(jiff::Timestamp::UNIX_EPOCH, 60.0).expect("a speed");
    let declaration = crate::wire::place::file("clock", "c88888888", "web");
    for (url, clock, says) in [
        ("http://ec2.example:80", clock.to_string(), "does not talk to one"),
        ("http://127.0.0.1:9", "soon".to_owned(), "is no clock"),
    ] {
        let place = Place::new(url, &declaration);
        let said = crate::wire::place::done(place.command("plan").env("EVENKEEL_CLOCK", clock));
        said.ends(64).tells(says);
    }
}
