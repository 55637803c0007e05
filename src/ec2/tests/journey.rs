//! Whole journeys through core, engine, this provider and the sim: what is planned is done, and then nothing is left.

use evenkeel_core::address::Kind;
use evenkeel_core::desired::Desired;
use evenkeel_core::event::Outcome;
use evenkeel_core::observed::{Object, Observed};
use evenkeel_core::plan::{Action, Plan, Why};
use evenkeel_core::stamp::tag;
use evenkeel_engine::clock::Clock;
use evenkeel_sim::ops::Deed;
use evenkeel_sim::runtime;

use crate::fleet::{Fleet, file};

/// Six machines with a volume each, applied, and a while later.
fn story<F: Future<Output = ()>>(tell: impl FnOnce(Fleet) -> F) {
    runtime().unwrap().block_on(async {
        let fleet = Fleet::new(&file(6, true));
        fleet.settle().await;
        tell(fleet).await;
        // What is left open at a story's end would be a story of its own.
    });
}

impl Fleet {
    /// Plans and applies until nothing is left, ten minutes apart; the plans that had something to do.
    async fn settle(&self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for _ in 0..12 {
            let made = self.plan(&self.look().await);
            if made.plan.is_empty() && made.plan.held.is_empty() {
                return plans;
            }
            self.run(&made).await;
            plans.push(made.plan);
            self.sim.clock().sleep(std::time::Duration::from_secs(600)).await;
        }
        panic!("still something to do: {:#?}", plans.last().map(|p| (&p.changes, &p.held)));
    }

    async fn alive(&self, kind: Kind) -> Vec<Object> {
        let seen: Observed = self.look().await;
        seen.objects.into_iter().filter(|o| o.kind == kind && o.phase.alive()).collect()
    }
}

fn actions(plan: &Plan) -> Vec<(String, Action, Why)> {
    plan.changes.iter().map(|c| (c.address.to_string(), c.action, c.reasons[0].why)).collect()
}

#[test]
fn a_machine_killed_by_hand_is_replaced_in_its_slot_and_its_volume_follows() {
    story(async |fleet| {
        let victim = fleet.alive(Kind::Machines).await.remove(2);
        let volumes = fleet.alive(Kind::Volumes).await;
        fleet.sim.act(&Deed::Terminate { instance: victim.id.clone() }).unwrap();
        fleet.sim.clock().sleep(std::time::Duration::from_secs(120)).await;
        let plans = fleet.settle().await;
        assert!(
            plans[0].changes.iter().any(|c| c.reasons.iter().any(|r| r.why == Why::Unhealthy)),
            "{:?}",
            actions(&plans[0])
        );
        let now = fleet.alive(Kind::Machines).await;
        assert_eq!(now.len(), 6);
        assert!(now.iter().all(|o| o.id != victim.id));
        let follows = fleet.alive(Kind::Volumes).await;
        assert_eq!(
            follows.iter().map(|v| &v.id).collect::<Vec<_>>(),
            volumes.iter().map(|v| &v.id).collect::<Vec<_>>(),
            "no volume is made anew"
        );
        for volume in &follows {
            let at = volume.attached.as_ref().expect("it hangs at its machine");
            let holder = now.iter().find(|m| m.id == at.to).expect("that lives");
            assert_eq!(holder.zone, volume.zone);
        }
        assert!(fleet.sim.violations().is_empty(), "{:?}", fleet.sim.violations());
    });
}

#[test]
fn what_was_changed_by_hand_is_set_back_and_called_drift() {
    story(async |fleet| {
        let machine = fleet.alive(Kind::Machines).await.remove(0);
        let groups = vec!["debug".to_owned()];
        fleet.sim.act(&Deed::SetSecurityGroups { instance: machine.id.clone(), groups }).unwrap();
        let key = tag::NAME.to_owned();
        fleet.sim.act(&Deed::SetTag { id: machine.id.clone(), key, value: "mine".into() }).unwrap();
        let plans = fleet.settle().await;
        assert_eq!(plans.len(), 1);
        assert_eq!(actions(&plans[0])[0].1, Action::Update);
        assert_eq!(actions(&plans[0])[0].2, Why::Drifted);
        let now = fleet.alive(Kind::Machines).await.remove(0);
        assert_eq!((&now.id, &now.fields), (&machine.id, &machine.fields));
    });
}

#[test]
fn a_bigger_volume_and_another_type_in_the_file_come_true_in_place() {
    runtime().unwrap().block_on(async {
        let fleet = Fleet::new(&file(3, true));
        fleet.settle().await;
        let before = fleet.alive(Kind::Machines).await;
        let wish = |d: &mut Desired| {
            d.volumes.get_mut("data").unwrap().size = Some(20);
            d.machines.get_mut("web").unwrap().monitoring = true;
        };
        let fleet = fleet.wishing(wish);
        let plans = fleet.settle().await;
        assert!(actions(&plans[0]).iter().all(|(_, action, why)| (*action, *why) == (Action::Update, Why::Declared)));
        let after = fleet.alive(Kind::Machines).await;
        assert_eq!(ids(&before), ids(&after));
        assert!(after.iter().all(|m| m.fields["monitoring"] == true.into()));
        assert!(fleet.alive(Kind::Volumes).await.iter().all(|v| v.fields["size"] == 20u32.into()));

        let fleet = fleet.wishing(|d| d.machines.get_mut("web").unwrap().types = vec!["t3.large".into()]);
        fleet.settle().await;
        let after = fleet.alive(Kind::Machines).await;
        assert!(after.iter().all(|m| m.fields["type"] == "t3.large".into()));
        assert!(fleet.sim.violations().is_empty(), "{:?}", fleet.sim.violations());
    });
}

fn ids(all: &[Object]) -> Vec<&str> {
    all.iter().map(|o| o.id.as_str()).collect()
}

#[test]
fn tags_that_were_taken_away_are_put_back() {
    story(async |fleet| {
        let before = fleet.alive(Kind::Machines).await;
        for key in [tag::STACK, tag::ADDRESS, tag::LAUNCH, tag::SPEC, tag::NAME] {
            fleet.sim.act(&Deed::UnsetTag { id: before[1].id.clone(), key: key.into() }).unwrap();
        }
        let plans = fleet.settle().await;
        assert_eq!(plans.len(), 1);
        let after = fleet.alive(Kind::Machines).await;
        assert_eq!(ids(&before), ids(&after), "and nothing is launched");
        assert_eq!(before[1].fields, after[1].fields);
    });
}

#[test]
fn destroying_leaves_nothing_of_ours_and_everything_of_others() {
    story(async |fleet| {
        let other = fleet.beside("other222");
        other.settle().await;
        let theirs = other.alive(Kind::Machines).await;
        let outcome = fleet.destroy().await;
        assert_eq!(outcome, Outcome::Complete);
        fleet.sim.clock().sleep(std::time::Duration::from_secs(300)).await;
        assert!(fleet.alive(Kind::Machines).await.is_empty());
        assert_eq!(ids(&theirs), ids(&other.alive(Kind::Machines).await));
        assert_eq!(other.alive(Kind::Volumes).await.len(), 6);
        assert!(other.plan(&other.look().await).plan.is_empty());
    });
}

#[test]
fn any_weather_ends_in_the_same_fleet() {
    for seed in 0..200 {
        runtime().unwrap().block_on(async {
            let fleet = Fleet::new(&file(5, true));
            fleet.sim.edit(|w| w.faults = evenkeel_sim::faults::Fault::from_seed(seed)).unwrap();
            fleet.settle().await;
            assert_eq!(fleet.alive(Kind::Machines).await.len(), 5, "seed {seed}");
            assert_eq!(fleet.alive(Kind::Volumes).await.len(), 5, "seed {seed}");
            assert!(fleet.sim.violations().is_empty(), "seed {seed}: {:?}", fleet.sim.violations());
        });
    }
}
