//! Machines that are nodes, in the whole pipeline: none goes with its pods.

use evenkeel_sim::Sim;
use evenkeel_sim::action::Action;
use evenkeel_sim::cluster::Hand;
use evenkeel_sim::ops::Deed;

use super::crash::{nodes, without_cloud};
use super::end::wrongs;
use super::harness::{Disk, End, Life, all_allowed, desired, story, world};

/// Two groups' worth of file, applied and two hours old.
async fn joined(file: &str) -> (Sim, Disk) {
    let (sim, mut disk) = (Sim::new(world(7)), Disk::default());
    let end = Life::new(&sim, 1).settle(&desired(file), &mut disk, &all_allowed()).await;
    assert!(matches!(end, End::Converged), "{end:?}");
    sim.edit(without_cloud).expect("in memory");
    sim.advance(std::time::Duration::from_secs(7200)).expect("in memory");
    (sim, disk)
}

#[test]
fn machines_of_the_last_group_are_drained_when_it_leaves_the_file() {
    story(async {
        // Both pods may go: no other node will take them.
        let file = nodes(2, "ami-00000000000002309").replace("max-unavailable = 1", "max-unavailable = 2");
        let (sim, mut disk) = joined(&file).await;
        let machines = file.find("[machines.web]").expect("it has machines");
        let workload = file.find("[workloads.app]").expect("it has a workload");
        let without = format!("{}{}", &file[..machines], &file[workload..]);
        let wish = desired(&without);
        assert!(wish.machines.is_empty());
        let end = Life::new(&sim, 2).settle(&wish, &mut disk, &all_allowed()).await;
        assert!(matches!(end, End::Converged), "{end:?}");
        assert_eq!(wrongs(&sim.world().expect("in memory"), &wish), Vec::<String>::new());
        assert_eq!(sim.counts().get(&Action::EvictPod).map_or(0, |n| usize::from(*n > 0)), 1, "its pods were moved");
    });
}

#[test]
fn a_node_that_a_person_has_cordoned_stays_so_after_its_machine_was_changed() {
    story(async {
        let file = nodes(3, "ami-00000000000002309");
        let (sim, mut disk) = joined(&file).await;
        let node = sim.edit(|w| {
            let cluster = w.clusters.values().next().expect("there is one");
            let mut all = cluster.objects.iter().filter(|(n, _)| n.kind == "Node");
            let on_machine = all.find(|(_, o)| {
                o.body.0.pointer("/spec/providerID").is_some_and(|p| p.as_str().is_some_and(|p| p.contains("/i-")))
            });
            on_machine.expect("one has joined").0.name.clone()
        });
        let node = node.expect("in memory");
        let hand = Hand::Cordon { node: node.clone(), on: true };
        sim.act(&Deed::Kubernetes { cluster: "sim".into(), hand }).expect("it is there");
        // Another type means that each is stopped for a moment.
        let stopped = file.replace("t3.small", "t3.medium").replace("[policy]", "[policy]\nmax-unavailable = 1");
        let wish = desired(&stopped);
        let end = Life::new(&sim, 2).settle(&wish, &mut disk, &all_allowed()).await;
        assert!(matches!(end, End::Converged), "{end:?}");
        let world = sim.world().expect("in memory");
        assert!(sim.counts().contains_key(&Action::StopInstances), "machines were stopped");
        let cordoned = |name: &str| {
            let cluster = world.clusters.values().next().expect("there is one");
            let (_, node) =
                cluster.objects.iter().find(|(n, _)| n.kind == "Node" && n.name == name).expect("it is there");
            node.body.0.pointer("/spec/unschedulable").is_some()
        };
        assert!(cordoned(&node), "a person has cordoned it");
    });
}
