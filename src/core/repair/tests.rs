//! Pace, order, lineage and room, and law P3 against an adversary.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::policy::Amount;
use crate::slots::Slots;

const T0: i64 = 1_790_000_000;

fn sec(s: i64) -> Timestamp {
    Timestamp::from_second(T0 + s).unwrap()
}

fn min(m: i64) -> Timestamp {
    sec(60 * m)
}

fn policy() -> Policy {
    Policy::default()
}

fn verdict(state: State) -> Verdict {
    let well = matches!(state, State::Healthy | State::Planned { .. });
    Verdict { state, since: None, bad: BTreeSet::new(), well, evidence: Vec::new(), recheck: None }
}

fn probe_at(minute: i64, outcome: Outcome) -> Replacement {
    Replacement { launched: min(minute), attempt: 2, outcome }
}

fn open(recent: &[Replacement], now: i64) -> Pace {
    pace(Breaker::Open { unhealthy: 50, limit: 20 }, false, recent, 100, &policy(), min(now))
}

#[test]
fn the_breaker_opens_above_a_fifth_and_never_for_one() {
    let opens = |u, n| breaker(u, n, &policy()) != Breaker::Closed;
    let table = [
        (1, 1, false),
        (1, 4, false),
        (2, 4, true),
        (2, 10, false),
        (3, 10, true),
        (3, 11, false),
        (4, 11, true),
        (0, 0, false),
        (200, 1000, false),
        (201, 1000, true),
    ];
    for (u, n, is) in table {
        assert_eq!(opens(u, n), is, "{u} of {n}");
    }
    assert_eq!(breaker(2, 4, &policy()), Breaker::Open { unhealthy: 2, limit: 1 });
}

#[test]
fn a_closed_breaker_goes_at_full_width() {
    let p = pace(Breaker::Closed, false, &[], 100, &policy(), min(0));
    assert_eq!((p.waves(25), p.evidence.len()), (vec![10, 10, 5], 0));
    let p = pace(Breaker::Closed, false, &[probe_at(0, Outcome::UnderWay)], 100, &policy(), min(1));
    assert_eq!(p.waves(25), [9, 10, 6], "what is under way counts");
    assert_eq!(pace(Breaker::Closed, false, &[], 6, &policy(), min(0)).waves(2), [1, 1]);
    assert_eq!(p.waves(0), [0; 0]);
}

#[test]
fn a_specification_without_a_healthy_machine_starts_with_one() {
    let p = pace(Breaker::Closed, true, &[], 100, &policy(), min(0));
    assert_eq!((p.waves(25), p.evidence[0].rule), (vec![1, 10, 10, 4], Rule::Canary));
    assert_eq!(pace(Breaker::Closed, true, &[probe_at(0, Outcome::UnderWay)], 100, &policy(), min(1)).first, 0);
}

#[test]
fn an_open_breaker_lets_one_through_and_doubles() {
    assert_eq!(open(&[], 0).waves(40), [1, 2, 4, 8, 10, 10, 5]);
    assert_eq!(open(&[probe_at(0, Outcome::UnderWay)], 1).waves(40), [0; 0]);
    let good = |n: i64| (0..n).map(|i| probe_at(i, Outcome::Healthy)).collect::<Vec<_>>();
    let sizes: Vec<_> = [0, 1, 3, 7, 15].iter().map(|n| open(&good(*n), 30).first).collect();
    assert_eq!(sizes, [1, 2, 4, 8, 10], "the next plan goes on where the last one stopped");
}

#[test]
fn after_a_failed_probe_the_next_waits_ten_twenty_forty_minutes() {
    let mut failed = Vec::new();
    for (at, next) in [(0, 10), (10, 30), (30, 70), (70, 110)] {
        failed.push(probe_at(at, Outcome::Failed));
        let p = open(&failed, next - 1);
        assert_eq!((p.first, p.not_before), (0, Some(min(next))), "after {} failures", failed.len());
        assert_eq!((open(&failed, next).first, open(&failed, next).not_before), (1, None));
    }
    let forgotten = Replacement { attempt: 4, ..probe_at(100, Outcome::Failed) };
    assert_eq!(open(&[forgotten], 101).not_before, Some(min(140)), "the lineage remembers what is listed no more");
    failed.push(probe_at(115, Outcome::Healthy));
    assert_eq!(open(&failed, 120).first, 2, "a success forgives");
}

#[test]
fn how_a_replacement_turned_out_is_read_from_the_world() {
    let mark = LaunchTag { replaces: vec!["i-0".into()], attempt: 2, ..LaunchTag::first(Slots::new([0])) };
    let of = |state, at| Replacement::of(&mark, min(0), &verdict(state), &policy(), sec(at)).map(|r| r.outcome);
    assert_eq!(of(State::Healthy, 59), Some(Outcome::UnderWay), "not warm yet");
    assert_eq!(of(State::Healthy, 60), Some(Outcome::Healthy));
    assert_eq!(of(State::Starting { deadline: min(5) }, 60), Some(Outcome::UnderWay));
    assert_eq!(of(State::Blind, 60), Some(Outcome::UnderWay), "not seen is not failed");
    assert_eq!(of(State::Gone, 60), Some(Outcome::Failed));
    assert_eq!(of(State::Suspect { since: min(0) }, 60), Some(Outcome::Failed));
    let first = LaunchTag::first(Slots::new([0]));
    assert_eq!(Replacement::of(&first, min(0), &verdict(State::Healthy), &policy(), min(9)), None);
}

#[test]
fn repair_goes_by_urgency_and_the_newest_unhealthy_first() {
    let turn = |urgency: Urgency, created, id| (urgency.turn(min(created)), id);
    let mut all = [
        turn(Urgency::Uneven, 1, "uneven"),
        turn(Urgency::Changed, 1, "changed"),
        turn(Urgency::Unhealthy, 1, "old"),
        turn(Urgency::Flapping, 9, "flap"),
        turn(Urgency::Unhealthy, 5, "new"),
        turn(Urgency::Retiring { not_before: min(90) }, 1, "later"),
        turn(Urgency::Retiring { not_before: min(50) }, 7, "soon"),
        turn(Urgency::Dead, 2, "dead"),
    ];
    all.sort();
    let ids: Vec<_> = all.iter().map(|(_, id)| *id).collect();
    assert_eq!(ids, ["dead", "soon", "later", "new", "old", "flap", "changed", "uneven"]);
}

#[test]
fn only_what_must_go_asks_for_replacement() {
    let of = |state| Urgency::of(&state);
    assert_eq!(of(State::Gone), Some(Urgency::Dead));
    assert_eq!(of(State::Unhealthy { causes: vec![], hard: true }), Some(Urgency::Dead));
    assert_eq!(of(State::Unhealthy { causes: vec![], hard: false }), Some(Urgency::Unhealthy));
    let planned = |kind| State::Planned { not_before: min(1), kind };
    assert_eq!(of(planned(Planned::Vacate)), Some(Urgency::Retiring { not_before: min(1) }));
    for state in [
        planned(Planned::Reboot),
        planned(Planned::Maintenance),
        State::Blind,
        State::Healthy,
        State::Suspect { since: min(0) },
        State::Starting { deadline: min(0) },
    ] {
        assert_eq!(of(state), None);
    }
}

#[test]
fn retries_wait_two_minutes_then_four_then_eight_up_to_thirty() {
    for (attempt, base) in [(2, 0), (3, 120), (4, 240), (5, 480), (6, 960), (7, 1800), (80, 1800), (u32::MAX, 1800)] {
        let delays: BTreeSet<_> = (0..200).map(|i| delay_before(attempt, &format!("i-{i}"), &policy())).collect();
        assert!(delays.iter().all(|d| (base * 8 / 10..=base * 12 / 10).contains(d)), "{attempt}: {delays:?}");
        assert!(base == 0 || delays.len() > 20, "the jitter spreads them");
    }
    assert_eq!(delay_before(3, "i-1", &policy()), delay_before(3, "i-1", &policy()));
}

#[test]
fn a_lineage_counts_its_attempts_and_is_suspended_after_three() {
    let mut mark = LaunchTag::first(Slots::new([0]));
    let n = next("i-0", &mark, min(0), None, &policy(), sec(1));
    assert_eq!(
        (n.attempt, n.chain.as_str(), n.suspended, n.evidence),
        (2, "i-0", false, None),
        "the first goes at once"
    );
    mark = LaunchTag { attempt: 2, chain: Some("i-0".into()), replaces: vec!["i-0".into()], ..mark };
    let n = next("i-1", &mark, min(0), None, &policy(), sec(1));
    assert_eq!((n.attempt, n.chain.as_str(), n.evidence.map(|e| e.rule)), (3, "i-0", Some(Rule::Backoff)));
    assert!(n.not_before >= sec(96) && n.not_before <= sec(144));
    mark.attempt = 4;
    let n = next("i-3", &mark, min(0), None, &policy(), min(59));
    assert_eq!((n.suspended, n.not_before, n.evidence.map(|e| e.rule)), (true, min(60), Some(Rule::Suspended)));
    assert!(!next("i-3", &mark, min(0), None, &policy(), min(60)).suspended);
    let n = next("i-3", &mark, min(0), Some(3600), &policy(), min(61));
    assert_eq!((n.attempt, n.chain.as_str()), (2, "i-3"), "an hour of health starts a new lineage");
    assert_eq!(
        next("i-3", &LaunchTag { attempt: u32::MAX, ..mark }, min(0), None, &policy(), min(0)).attempt,
        u32::MAX
    );
}

/// A machine of the adversary's world.
#[derive(Debug, Clone)]
struct Machine {
    id: String,
    mark: LaunchTag,
    created: i64,
    ill: bool,
    outcome: Outcome,
}

/// A group under repeated plans. The adversary says at every plan which machines look ill and how each replacement
/// turns out; the group may only follow the rules.
struct World {
    /// The head of each slot's lineage.
    slots: Vec<Machine>,
    launched: Vec<(i64, usize)>,
    recent: Vec<(String, Replacement)>,
}

impl World {
    fn new(n: usize) -> Self {
        let machine = |i: usize| Machine {
            id: format!("i-{i}-0"),
            mark: LaunchTag::first(Slots::new([i as u32])),
            created: -10_000,
            ill: false,
            outcome: Outcome::Healthy,
        };
        Self { slots: (0..n).map(machine).collect(), launched: Vec::new(), recent: Vec::new() }
    }

    /// One plan. Gives the breaker, what was under way before, and how many were launched.
    fn plan(&mut self, now: i64, ill: u64, outcomes: u64) -> (Breaker, usize, usize) {
        for (i, m) in self.slots.iter_mut().enumerate() {
            m.ill = ill >> i & 1 == 1;
            // A replacement is under way for a minute at least, for as long as the adversary likes at most.
            if m.outcome == Outcome::UnderWay && now - m.created >= 60 {
                m.outcome =
                    [Outcome::Healthy, Outcome::Failed, Outcome::UnderWay][(outcomes >> (2 * i) & 3) as usize % 3];
            }
            if m.outcome == Outcome::Failed {
                m.ill = true;
            }
            if let Some((_, r)) = self.recent.iter_mut().find(|(id, _)| *id == m.id) {
                r.outcome = m.outcome;
            }
        }
        let n = self.slots.len() as u32;
        let settled = |m: &&Machine| m.outcome != Outcome::UnderWay;
        let u = self.slots.iter().filter(settled).filter(|m| m.ill).count() as u32;
        let breaker = breaker(u, self.slots.iter().filter(settled).count() as u32, &policy());
        let recent: Vec<_> = self.recent.iter().map(|(_, r)| r.clone()).collect();
        let under_way = recent.iter().filter(|r| r.outcome == Outcome::UnderWay).count();
        let pace = pace(breaker, false, &recent, n, &policy(), sec(now));
        let next_of = |m: &Machine| next(&m.id, &m.mark, sec(m.created), None, &policy(), sec(now));
        let due: Vec<_> = (0..self.slots.len())
            .filter(|i| self.slots[*i].ill && self.slots[*i].outcome != Outcome::UnderWay)
            .filter(|i| next_of(&self.slots[*i]).not_before <= sec(now))
            .collect();
        let wave = pace.waves(due.len() as u32).first().copied().unwrap_or(0) as usize;
        for &i in &due[..wave] {
            let n = next_of(&self.slots[i]);
            let old = self.slots[i].id.clone();
            let mark = LaunchTag {
                attempt: n.attempt,
                chain: Some(n.chain),
                replaces: vec![old],
                ..self.slots[i].mark.clone()
            };
            let id = format!("i-{i}-{}", self.launched.len());
            let launched = Replacement { launched: sec(now), attempt: n.attempt, outcome: Outcome::UnderWay };
            self.recent.push((id.clone(), launched));
            self.launched.push((now, i));
            self.slots[i] = Machine { id, mark, created: now, ill: false, outcome: Outcome::UnderWay };
        }
        (breaker, under_way, wave)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// P3: whatever the signals say, launches keep to the schedule.
    #[test]
    fn no_signals_make_us_launch_faster_than_the_schedule(
        n in 1usize..24, steps in proptest::collection::vec((1i64..400, any::<u64>(), any::<u64>()), 1..60),
    ) {
        let most = policy().parallel(n as u32) as usize;
        let mut world = World::new(n);
        let mut now = 0;
        for (gap, ill, outcomes) in steps {
            now += gap;
            let (breaker, under_way, wave) = world.plan(now, ill, outcomes);
            prop_assert!(under_way + wave <= most.max(under_way), "never more than max-parallel under way");
            if breaker != Breaker::Closed {
                prop_assert!(wave == 0 || under_way == 0, "an open breaker waits for its probe");
            }
        }
        // No slot's lineage is replaced more than `retries` times within any hour.
        for slot in 0..n {
            let times: Vec<_> = world.launched.iter().filter(|(_, i)| *i == slot).map(|(t, _)| *t).collect();
            for from in &times {
                let within = times.iter().filter(|t| (*from..from + 3600).contains(t)).count();
                prop_assert!(within <= policy().repair.retries as usize, "slot {}: {:?}", slot, times);
            }
        }
    }

    /// P3: when everything looks ill for ever and no replacement ever gets well, the group loses one machine at
    /// 0, 10, 30, 70, 110 … minutes, not the fleet.
    #[test]
    fn a_false_signal_costs_one_machine_per_interval(
        n in 2usize..24, gaps in proptest::collection::vec(1i64..300, 1..150),
    ) {
        const FAIL: u64 = 0x5555_5555_5555_5555;
        let mut world = World::new(n);
        let mut now = 0;
        for gap in gaps {
            now += gap;
            let (breaker, _, wave) = world.plan(now, u64::MAX, FAIL);
            prop_assert!(breaker == Breaker::Closed || wave <= 1);
        }
        // With two machines one under way leaves one of one ill: the breaker is closed, and the lineages pace it.
        if n > 2 {
            let t: Vec<_> = world.launched.iter().map(|(t, _)| *t).collect();
            for (k, pair) in t.windows(2).enumerate() {
                let least = [600, 1200, 2400][k.min(2)];
                prop_assert!(pair[1] - pair[0] >= least, "launch {} in {:?}", k + 1, t);
            }
        }
    }

    #[test]
    fn waves_spend_exactly_the_candidates(first in 0u32..20, doubles in any::<bool>(), most in 1u32..20, c in 0u32..500) {
        let p = Pace { first, doubles, most, not_before: None, evidence: Vec::new() };
        let waves = p.waves(c);
        prop_assert_eq!(waves.iter().sum::<u32>(), if first == 0 { 0 } else { c });
        prop_assert!(waves.iter().all(|w| *w >= 1 && *w <= most));
    }
}

#[test]
fn a_policy_of_counts_is_followed_as_well() {
    let mut policy = policy();
    policy.max_parallel = Amount::Count(3);
    policy.repair.breaker = Amount::Count(0);
    assert_eq!(breaker(1, 10, &policy), Breaker::Closed, "one is always repaired");
    assert_eq!(pace(breaker(2, 10, &policy), false, &[], 10, &policy, min(0)).waves(7), [1, 2, 3, 1]);
    policy.max_parallel = Amount::Count(0);
    assert_eq!(pace(Breaker::Closed, false, &[], 10, &policy, min(0)).most, 1, "nothing would ever be repaired");
}
