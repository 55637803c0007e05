//! Any sequence of calls and deeds, at any times: no panic, and what must always be so is always so.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_ec2::api::{InstanceChange, InstanceState, ModifyVolume};
use proptest::prelude::*;

use super::*;
use crate::ops::{Deed, Part};

/// One step. Numbers pick among what there is.
#[derive(Debug, Clone)]
enum Step {
    Wait(u32),
    Launch { token: u8, count: u32, zone: usize, large: bool },
    Terminate(Vec<usize>),
    Stop(usize),
    Start(usize),
    Reboot(usize),
    Change(usize, u8),
    Make { token: u8, size: u32, zone: usize },
    Grow(usize, u32),
    Attach(usize, usize, u8),
    Detach(usize, usize, u8),
    Delete(usize),
    Tag(usize, bool),
    Deed(u8, usize),
    List,
}

fn step() -> impl Strategy<Value = Step> {
    let pick = 0usize..12;
    prop_oneof![
        3 => (0u32..400).prop_map(Step::Wait),
        1 => (3_000u32..100_000).prop_map(Step::Wait),
        4 => (0u8..6, 0u32..4, 0usize..4, any::<bool>())
            .prop_map(|(token, count, zone, large)| Step::Launch { token, count, zone, large }),
        2 => prop::collection::vec(pick.clone(), 0..3).prop_map(Step::Terminate),
        1 => pick.clone().prop_map(Step::Stop),
        1 => pick.clone().prop_map(Step::Start),
        1 => pick.clone().prop_map(Step::Reboot),
        1 => (pick.clone(), any::<u8>()).prop_map(|(a, b)| Step::Change(a, b)),
        3 => (0u8..6, 0u32..9, 0usize..3).prop_map(|(token, size, zone)| Step::Make { token, size, zone }),
        1 => (pick.clone(), 0u32..40).prop_map(|(a, b)| Step::Grow(a, b)),
        4 => (pick.clone(), pick.clone(), 0u8..3).prop_map(|(a, b, c)| Step::Attach(a, b, c)),
        3 => (pick.clone(), pick.clone(), 0u8..3).prop_map(|(a, b, c)| Step::Detach(a, b, c)),
        1 => pick.clone().prop_map(Step::Delete),
        1 => (pick.clone(), any::<bool>()).prop_map(|(a, b)| Step::Tag(a, b)),
        2 => (any::<u8>(), pick).prop_map(|(a, b)| Step::Deed(a, b)),
        1 => Just(Step::List),
    ]
}

fn nth(ids: &[String], n: usize) -> String {
    ids.get(n % ids.len().max(1)).cloned().unwrap_or_else(|| "i-0abc".to_owned())
}

const ZONES: [&str; 4] = ["us-east-1a", "us-east-1b", "us-east-1c", "nowhere"];
const DEVICES: [&str; 3] = ["/dev/sdf", "/dev/sdg", "/dev/xvda"];

fn take(world: &mut World, step: &Step) {
    let machines: Vec<String> = world.instances.keys().cloned().collect();
    let volumes: Vec<String> = world.volumes.keys().cloned().collect();
    let machine = |n: usize| nth(&machines, n);
    let disk = |n: usize| nth(&volumes, n);
    match step {
        Step::Wait(seconds) => world.settle(crate::clock::later(world.now, Duration::from_secs(u64::from(*seconds)))),
        Step::Launch { token, count, zone, large } => {
            let mut request = launch(&format!("t{token}"), *count);
            request.zone = Some(ZONES[*zone].to_owned());
            if *large {
                request.instance_type = "m5.large".to_owned();
            }
            let before = world.instances.len();
            match world.run_instances(&request) {
                Ok(made) => assert!(made.len() as u32 <= *count && *count > 0),
                Err(_) => assert_eq!(world.instances.len(), before, "a refused launch launches nothing"),
            }
        }
        Step::Terminate(which) => {
            let _ = world.terminate(&which.iter().map(|n| machine(*n)).collect::<Vec<_>>());
        }
        Step::Stop(n) => drop(world.stop(&[machine(*n)])),
        Step::Start(n) => drop(world.start(&[machine(*n)])),
        Step::Reboot(n) => drop(world.reboot(&[machine(*n)])),
        Step::Change(n, what) => {
            let change = match what % 3 {
                0 => InstanceChange::Type("m5.large".to_owned()),
                1 => InstanceChange::Protect(what % 8 < 4),
                _ => InstanceChange::SecurityGroups(vec!["sg-00000000000000002".to_owned()]),
            };
            let _ = world.change_instance(&machine(*n), &change);
            let _ = world.associate(&machine(*n), "web");
        }
        Step::Make { token, size, zone } => {
            let request = CreateVolume { zone: ZONES[*zone].to_owned(), ..volume(&format!("v{token}"), *size) };
            let _ = world.create_volume(&request);
        }
        Step::Grow(n, size) => {
            let _ = world.modify_volume(&disk(*n), &ModifyVolume { size: Some(*size), ..ModifyVolume::default() });
        }
        Step::Attach(v, m, d) => drop(world.attach(&disk(*v), &machine(*m), DEVICES[*d as usize])),
        Step::Detach(v, m, d) => drop(world.detach(&disk(*v), &machine(*m), DEVICES[*d as usize])),
        Step::Delete(n) => drop(world.delete_volume(&disk(*n))),
        Step::Tag(n, set) => {
            let ids = [machine(*n), disk(*n)];
            let _ = if *set {
                world.set_tags(&ids, &tags(&[("a", "b")]))
            } else {
                world.unset_tags(&ids, &[tag::STACK.to_owned()])
            };
        }
        Step::Deed(what, n) => {
            let (instance, zone) = (machine(*n), ZONES[*n % 4].to_owned());
            let deed = match what % 8 {
                0 => Deed::Terminate { instance },
                1 => Deed::Stop { instance },
                2 => Deed::Impair { instance, check: Part::System, since: None },
                3 => Deed::Recover { instance },
                4 => Deed::LoseZone { zone, announced: n % 2 == 0 },
                5 => Deed::RestoreZone { zone },
                6 => Deed::Detach { volume: disk(*n) },
                _ => Deed::SetCapacity { zone, instance_type: "t3.small".to_owned(), most: Some(*n as u32) },
            };
            let _ = world.act(&deed);
        }
        Step::List => {
            let by_fives = Query { max_results: Some(5), ..Query::default() };
            let _ = (world.list_instances(&by_fives), world.list_statuses(&all(), true), world.list_volumes(&by_fives));
        }
    }
}

fn check(world: &World) {
    let mut devices = BTreeSet::new();
    for (id, v) in &world.volumes {
        let Some(h) = &v.hold else { continue };
        let m = world.instances.get(&h.instance).unwrap_or_else(|| panic!("{id} hangs on nothing"));
        assert_ne!(m.state, InstanceState::Terminated, "{id} hangs on the dead");
        assert_eq!(m.zone, v.zone);
        assert!(devices.insert((h.instance.clone(), h.device.clone())), "two volumes on one device");
    }
    let shown = world.devices();
    let held = world.volumes.values().filter(|v| v.hold.is_some()).count();
    assert_eq!(shown.values().map(BTreeMap::len).sum::<usize>(), held, "both sides show the same attachments");
    let mut addresses = BTreeSet::new();
    for ip in world.instances.values().filter_map(|m| m.private_ip.as_ref()) {
        assert!(addresses.insert(ip), "two machines at one address");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_world_stays_a_world(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::founding(seed);
        let mut dead: BTreeSet<String> = BTreeSet::new();
        let mut tokens: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut before = world.now;
        for step in &steps {
            take(&mut world, step);
            check(&world);
            prop_assert!(world.now >= before);
            before = world.now;
            for (id, m) in &world.instances {
                prop_assert!(m.is_dead() || !dead.contains(id), "{} rose from the dead", id);
                if m.is_dead() {
                    dead.insert(id.clone());
                }
            }
            for (token, t) in &world.tokens {
                let first = tokens.entry(token.clone()).or_insert_with(|| t.made.clone());
                // A forgotten token may be used anew, but not while anything it made lives.
                if *first != t.made {
                    prop_assert!(first.iter().all(|id| dead.contains(id) || !world.volumes.contains_key(id)));
                    first.clone_from(&t.made);
                }
            }
        }
        prop_assert_eq!(World::from_toml(&world.to_toml()).unwrap(), world);
    }

    #[test]
    fn time_in_one_leap_or_in_many_steps_leads_to_the_same_world(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..20),
        leaps in prop::collection::vec(1u64..3000, 1..8),
    ) {
        let mut world = World::founding(seed);
        steps.iter().for_each(|step| take(&mut world, step));
        let (mut once, mut often) = (world.clone(), world);
        let end = crate::clock::later(once.now, Duration::from_secs(leaps.iter().sum()));
        once.settle(end);
        for leap in leaps {
            often.settle(crate::clock::later(often.now, Duration::from_secs(leap)));
        }
        prop_assert_eq!(once, often);
    }
}
