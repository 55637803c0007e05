//! The six steps, with the numbers worked out by hand.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::observed::Source;

const NOW: i64 = 1_790_000_000;

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds).unwrap()
}

fn now() -> Timestamp {
    ago(0)
}

fn verdict(state: State) -> Shared<Verdict> {
    let well = matches!(state, State::Healthy | State::Planned { .. });
    let bad = if well { BTreeSet::new() } else { BTreeSet::from([Source::InstanceStatus]) };
    let since = match state {
        State::Suspect { since } => Some(since),
        State::Starting { .. }
        | State::Healthy
        | State::Unhealthy { .. }
        | State::Flapping
        | State::Planned { .. }
        | State::Gone
        | State::Blind => None,
    };
    Verdict { state, since, bad, well, evidence: vec![Evidence::new(Rule::Well, "")], recheck: None }.into()
}

fn sick() -> Shared<Verdict> {
    verdict(State::Suspect { since: ago(60) })
}

fn well() -> Shared<Verdict> {
    verdict(State::Healthy)
}

fn blind() -> Shared<Verdict> {
    verdict(State::Blind)
}

/// `n` members with these values of (zone, image, type), the first `u` of them sick.
fn some(u: usize, n: usize, values: [&str; 3]) -> Vec<Member> {
    let member = |i: usize| Member {
        id: format!("i-{values:?}-{i}"),
        group: Group::machines("web"),
        values: [Attribute::Zone, Attribute::Image, Attribute::Type]
            .into_iter()
            .zip(values.map(str::to_owned))
            .collect(),
        verdict: if i < u { sick() } else { well() },
        held: false,
    };
    (0..n).map(member).collect()
}

/// (sick, of) per zone, all alike otherwise.
fn zones(counts: &[(usize, usize)]) -> Vec<Member> {
    let names = ["a", "b", "c", "d"];
    counts.iter().zip(names).flat_map(|((u, n), zone)| some(*u, *n, [zone, "ami-1", "t3"])).collect()
}

fn judge(members: &[Member]) -> Situation {
    assess(members, &BTreeMap::new(), &Policy::default(), now())
}

fn impaired(s: &Situation) -> Vec<&str> {
    s.impaired.keys().map(String::as_str).collect()
}

#[test]
fn the_binomial_tail_has_the_numbers_worked_out_by_hand() {
    for (k, n, expected) in [(3, 3, 8e-6), (3, 4, 3.15e-5), (3, 5, 7.76e-5), (2, 2, 4e-4), (2, 3, 1.184e-3)] {
        let tail = binomial_tail(k, n, 0.02);
        assert!((tail / expected - 1.0).abs() < 2e-3, "{k} of {n}: {tail:e}");
    }
    assert!((binomial_tail(1, 2, 0.5) - 0.75).abs() < 1e-12);
    assert!((binomial_tail(5_000, 10_000, 0.5) - 0.504).abs() < 1e-3);
    assert_eq!((binomial_tail(0, 5, 0.1), binomial_tail(6, 5, 0.1), binomial_tail(1, 5, 0.0)), (1.0, 0.0, 0.0));
    assert_eq!(binomial_tail(3, 5, 1.0), 1.0);
}

#[test]
fn a_zone_is_impaired_as_the_table_says() {
    // (sick, of) in zone a, and in b and c together well: is a impaired?
    for (u, n, is) in [(3, 3, true), (3, 4, true), (3, 5, true), (2, 3, false), (1, 3, false), (3, 6, false)] {
        let s = judge(&zones(&[(u, n), (0, 5), (0, 5)]));
        assert_eq!(impaired(&s) == ["a"], is, "{u} of {n}: {s:?}");
        assert_eq!(s.independent(), !is, "{u} of {n}");
        assert!(s.frozen.is_none() && s.bad_config.is_empty());
    }
    let mut policy = Policy::default();
    policy.outage.min = 2;
    let at = |u, n| assess(&zones(&[(u, n), (0, 5), (0, 5)]), &BTreeMap::new(), &policy, now());
    assert!(at(2, 3).independent(), "a tail of 1.2e-3 may be chance");
    assert_eq!(impaired(&at(2, 2)), ["a"]);
    let s = judge(&zones(&[(10, 10), (0, 10), (0, 10)]));
    assert_eq!(s.impaired["a"].says, "10 of 10 unwell in zone a, 0 of 20 elsewhere");
    assert_eq!((s.unwell, s.total, s.zones["a"]), (10, 30, (10, 10)));
}

#[test]
fn an_outage_that_is_over_before_anybody_knew_it_takes_no_zone_out() {
    for members in [[(3, 3), (0, 5), (0, 5)], [(2, 2), (0, 5), (0, 5)]] {
        let mut members = zones(&members);
        let since = ago(1900);
        for m in members.iter_mut().filter(|m| m.verdict.soft()) {
            // Each check passes; how long has yet to be seen.
            m.verdict = verdict(State::Suspect { since });
            m.verdict.bad.clear();
        }
        let s = judge(&members);
        assert!(s.impaired.is_empty() && s.suspected.is_empty() && s.frozen.is_none(), "{s:?}");
        let mut first = true;
        for m in members.iter_mut().filter(|m| m.verdict.soft()) {
            m.verdict = if first { verdict(State::Suspect { since }) } else { m.verdict.clone() };
            first = false;
        }
        let s = judge(&members);
        assert!(s.impaired.is_empty() && s.suspected.is_empty(), "one is ill, which is no outage: {s:?}");
        for m in members.iter_mut().filter(|m| m.verdict.soft()) {
            m.verdict = verdict(State::Suspect { since });
        }
        assert_eq!(impaired(&judge(&members)), ["a"], "all say so");
    }
}

#[test]
fn a_real_fault_beside_a_zone_outage_leaves_the_zone_impaired_and_the_fault_repairable() {
    let s = judge(&zones(&[(10, 10), (1, 10), (0, 10)]));
    assert_eq!(impaired(&s), ["a"]);
    assert_eq!(s.holds_repair("b", true), None);
    assert!(s.holds_repair("a", true).is_some() && s.holds_repair("a", false).is_some());
    assert_eq!(s.eligible(["a", "b", "c"]), BTreeSet::from(["b", "c"]));
}

#[test]
fn failures_everywhere_at_once_freeze_all_repair() {
    let s = judge(&zones(&[(7, 7), (6, 7), (6, 6)]));
    assert_eq!(s.frozen.as_ref().map(|(f, _)| *f), Some(Freeze::Global));
    assert!(s.holds_repair("a", false).is_some());
    assert_eq!(s.holds_launch(&Values::new()), None, "what the user declares goes on");
    let few = judge(&zones(&[(1, 2), (1, 2)]));
    assert!(few.independent(), "two of four are for the breaker");
    let one_zone = judge(&zones(&[(3, 3)]));
    assert!(one_zone.independent(), "with one zone nothing can be compared");
}

#[test]
fn more_than_half_blind_freezes_all_repair() {
    let mut members = zones(&[(0, 2), (1, 2)]);
    for m in &mut members[..2] {
        m.verdict = blind();
    }
    assert!(judge(&members).frozen.is_none(), "half is not more than half");
    members.push(Member { verdict: blind(), ..members[0].clone() });
    let s = judge(&members);
    assert_eq!(s.frozen.as_ref().map(|(f, e)| (*f, e.rule)), Some((Freeze::Blind, Rule::Blindness)));
    assert_eq!(s.frozen.unwrap().1.says, "no health data of 3 of 5 machines");
}

#[test]
fn the_dead_the_starting_and_the_held_count_on_neither_side() {
    let dead = verdict(State::Unhealthy { causes: vec![], hard: true });
    let starting = verdict(State::Starting { deadline: now() });
    let mut members = zones(&[(3, 3), (0, 5)]);
    for verdict in [dead, starting, verdict(State::Gone)] {
        members.push(Member { verdict, ..members[0].clone() });
    }
    members.push(Member { verdict: sick(), held: true, ..members[7].clone() });
    let s = judge(&members);
    assert_eq!((s.unwell, s.total), (3, 8));
    let killed: Vec<_> = members.into_iter().map(|m| Member { verdict: verdict(State::Gone), ..m }).collect();
    assert!(judge(&killed).independent(), "machines killed by hand are no outage");
}

#[test]
fn what_the_provider_says_of_a_zone_needs_no_numbers() {
    let said = BTreeMap::from([("a".to_owned(), false), ("b".to_owned(), true)]);
    let s = assess(&zones(&[(0, 1), (0, 1)]), &said, &Policy::default(), now());
    assert_eq!((impaired(&s), s.impaired["a"].rule), (vec!["a"], Rule::ZoneDeclared));
    assert!(s.holds_zone("a").is_some() && s.holds_zone("b").is_none());
    let both = assess(&zones(&[(5, 5), (5, 5), (0, 5), (0, 5)]), &said, &Policy::default(), now());
    assert_eq!(impaired(&both), ["a", "b"], "what is explained does not hide the rest");
    let blind_there: Vec<_> = zones(&[(0, 5), (0, 2)])
        .into_iter()
        .map(|m| if m.zone() == Some("a") { Member { verdict: blind(), ..m } } else { m })
        .collect();
    assert!(assess(&blind_there, &said, &Policy::default(), now()).frozen.is_none(), "nor does its silence blind us");
}

#[test]
fn two_of_two_are_held_for_one_more_dwell_and_then_taken_for_an_outage() {
    let at = |seconds: i64| {
        let mut members = zones(&[(2, 2), (0, 2), (0, 2)]);
        members[0].verdict = verdict(State::Suspect { since: ago(900) });
        members[0].verdict.since = Some(ago(900));
        members[1].verdict.since = Some(ago(seconds));
        judge(&members)
    };
    let s = at(599);
    assert_eq!((s.suspected.len(), s.impaired.len(), s.recheck), (1, 0, Some(ago(-1))));
    assert!(s.holds_repair("a", true).is_some() && s.holds_zone("a").is_none());
    assert_eq!(impaired(&at(600)), ["a"]);
    let spread = judge(&zones(&[(2, 2), (1, 2), (0, 2)]));
    assert!(spread.suspected.is_empty(), "not when others fail as well");
}

#[test]
fn a_bad_image_is_not_launched_again() {
    let mut members = Vec::new();
    for zone in ["a", "b", "c"] {
        members.extend(some(1, 1, [zone, "ami-bad", "t3"]));
        members.extend(some(0, 3, [zone, "ami-good", "t3"]));
    }
    let s = judge(&members);
    assert!(s.impaired.is_empty() && s.frozen.is_none());
    let values = |image: &str| Values::from([(Attribute::Zone, "a".into()), (Attribute::Image, image.into())]);
    assert_eq!(s.holds_launch(&values("ami-bad")).map(|e| e.rule), Some(Rule::Configuration));
    assert_eq!(s.holds_launch(&values("ami-good")), None);
    assert_eq!(s.holds_repair("a", true), None, "the old machines are repaired as ever");
    assert_eq!(s.bad_config[0].evidence.says, "3 of 3 unwell in image ami-bad, 0 of 9 elsewhere");
}

#[test]
fn of_several_explanations_the_best_stands() {
    // Zone a is down; most of its machines, and one elsewhere, are of type m5.
    let mut members = some(5, 5, ["a", "ami-1", "m5"]);
    members.extend(some(1, 1, ["a", "ami-1", "t3"]));
    members.extend(some(0, 1, ["b", "ami-1", "m5"]));
    members.extend(some(0, 20, ["b", "ami-1", "t3"]));
    let s = judge(&members);
    assert_eq!((impaired(&s), s.bad_config.len()), (vec!["a"], 0));
    // All three m5 are ill, but zone a, with six of seven, explains more.
    let mut members = some(3, 3, ["a", "ami-1", "m5"]);
    members.extend(some(3, 4, ["a", "ami-1", "t3"]));
    members.extend(some(0, 50, ["b", "ami-1", "t3"]));
    let s = judge(&members);
    assert_eq!((impaired(&s), s.bad_config.len()), (vec!["a"], 0));
}

#[test]
fn a_tie_with_the_zone_restricts_both() {
    let mut members = some(4, 4, ["a", "ami-bad", "t3"]);
    members.extend(some(0, 8, ["b", "ami-1", "t3"]));
    let s = judge(&members);
    assert_eq!((impaired(&s), s.bad_config.len()), (vec!["a"], 1));
    let there = Values::from([(Attribute::Zone, "b".into()), (Attribute::Image, "ami-bad".into())]);
    assert!(s.holds_launch(&there).is_some());
}

#[test]
fn tied_configurations_are_blamed_together_so_that_a_cure_may_be_launched() {
    let mut members = Vec::new();
    for zone in ["a", "b"] {
        members.extend(some(3, 3, [zone, "ami-2", "m5"]));
        members.extend(some(0, 9, [zone, "ami-1", "t3"]));
    }
    let s = judge(&members);
    let values =
        |image: &str, kind: &str| Values::from([(Attribute::Image, image.into()), (Attribute::Type, kind.into())]);
    assert!(s.holds_launch(&values("ami-2", "m5")).is_some());
    assert_eq!((s.holds_launch(&values("ami-2", "t3")), s.holds_launch(&values("ami-3", "m5"))), (None, None));
}

/// Looks of which each knows the earlier ones.
#[derive(Default)]
struct Looks(Outages);

impl Looks {
    /// The situation of these members in this minute, and when that is.
    fn at(&mut self, minute: i64, members: &[Member]) -> (Timestamp, Situation) {
        let (policy, at) = (Policy::default(), ago(-60 * minute));
        let mut s = assess(members, &BTreeMap::new(), &policy, at);
        remember(&mut s, &mut self.0, &policy, at);
        (at, s)
    }
}

#[test]
fn an_outage_ends_slowly_and_a_calm_follows() {
    let mut looks = Looks::default();
    let mut look = |minute: i64, members: &[Member]| {
        let (at, s) = looks.at(minute, members);
        let calm = s.calm_until.is_some();
        assert!(s.recheck.is_none_or(|t| t > at));
        (!s.impaired.is_empty(), calm, s.holds_repair("a", true).is_some(), s.holds_repair("b", false).is_some())
    };
    let (down, fine) = (zones(&[(5, 5), (0, 5)]), zones(&[(0, 5), (0, 5)]));
    assert_eq!(look(0, &down), (true, false, true, false));
    assert_eq!(look(29, &fine), (true, false, true, false));
    assert_eq!(look(30, &fine), (false, true, true, false), "calm for soft repairs, not for the dead");
    assert_eq!(look(38, &fine), (false, true, true, false));
    assert_eq!(look(39, &fine), (false, false, false, false));
}

#[test]
fn a_zone_that_is_still_half_bad_does_not_leave_its_impairment() {
    let mut looks = Looks::default();
    let mut look = |minute: i64, members: &[Member]| looks.at(minute, members).1.impaired.contains_key("a");
    assert!(look(0, &zones(&[(5, 5), (0, 5)])));
    assert!(look(20, &zones(&[(2, 5), (0, 5)])), "40% is not well");
    assert!(look(49, &zones(&[(0, 5), (0, 5)])));
    assert!(!look(50, &zones(&[(0, 5), (0, 5)])));
}

#[test]
fn one_machine_that_never_gets_well_does_not_keep_its_zone_for_ever() {
    let mut looks = Looks::default();
    let mut look = |minute: i64, members: &[Member]| looks.at(minute, members).1.impaired.contains_key("a");
    assert!(look(0, &zones(&[(5, 5), (0, 5)])));
    let left: Vec<i64> = (1..40).map(|n| n * 10).filter(|m| !look(*m, &zones(&[(1, 4), (0, 5)]))).collect();
    // Four times as long as a zone that is well again is watched.
    assert_eq!(left.first(), Some(&140), "{left:?}");
    assert_eq!(left.len(), 26, "and it stays trusted: {left:?}");
}

#[test]
fn a_clock_that_goes_back_prolongs_no_calm() {
    let mut looks = Looks::default();
    let mut look = |minute: i64, members: &[Member]| {
        let (at, s) = looks.at(minute, members);
        (!s.impaired.is_empty(), s.calm_until.map(|t| t.duration_since(at).as_mins()))
    };
    assert!(look(600, &zones(&[(5, 5), (0, 5)])).0);
    assert_eq!(look(0, &zones(&[(0, 5), (0, 5)])), (false, None), "what was found in the future was not found");
}

#[test]
fn a_member_is_read_from_what_was_seen() {
    let object: Object = serde_json::from_value(serde_json::json!({
        "scope": "", "kind": "machines", "id": "i-1", "phase": "up", "says": "", "zone": "a",
        "created": "2026-11-24T00:00:00Z", "token": null, "index": 0, "reservation": "",
        "tags": {"evenkeel:spec": "1:imabcdef"}, "fields": {"image": "ami-1", "type": "t3", "subnet": null},
        "signals": [], "attached": null, "links": {}, "facts": {}
    }))
    .unwrap();
    let m = Member::of(&object, &Group::machines("web"), well());
    let expected = [
        (Attribute::Zone, "a"),
        (Attribute::Image, "ami-1"),
        (Attribute::Type, "t3"),
        (Attribute::Launch, "machines.web 1:imabcdef"),
    ];
    assert_eq!(m.values, expected.map(|(a, v)| (a, v.to_owned())).into_iter().collect());
}

fn any_members() -> impl Strategy<Value = Vec<Member>> {
    let verdicts = prop_oneof![
        Just(well()),
        Just(sick()),
        Just(blind()),
        Just(verdict(State::Unhealthy { causes: vec![], hard: true })),
        Just(verdict(State::Flapping)),
    ];
    let one = (verdicts, 0usize..3, 0usize..3, any::<bool>());
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let member = |(i, (verdict, zone, image, held)): (usize, (Shared<Verdict>, usize, usize, bool))| {
            let base = some(0, 1, [["a", "b", "c"][zone], ["x", "y", "z"][image], "t3"]).remove(0);
            Member { id: i.to_string(), verdict, held: held && i % 7 == 0, ..base }
        };
        all.into_iter().enumerate().map(member).collect()
    })
}

proptest! {
    /// P4's half of the judge: a zone that is called unavailable is always shielded, blindness always freezes, and
    /// the order of a listing changes nothing.
    #[test]
    fn shields_always_hold(members in any_members(), down in any::<[bool; 3]>()) {
        let said: BTreeMap<_, _> = ["a", "b", "c"].map(str::to_owned).into_iter().zip(down.map(|d| !d)).collect();
        let s = assess(&members, &said, &Policy::default(), now());
        for (zone, available) in &said {
            if !available {
                let values = Values::from([(Attribute::Zone, zone.clone())]);
                prop_assert!(s.holds_launch(&values).is_some() && s.holds_zone(zone).is_some());
                prop_assert!(s.holds_repair(zone, false).is_some());
            }
        }
        let open: Vec<_> = members.iter().filter(|m| !m.held && said[m.zone().unwrap()]).collect();
        let blind = open.iter().filter(|m| m.verdict.state == State::Blind).count();
        if blind * 2 > open.len() {
            prop_assert!(["a", "b", "c"].iter().all(|z| s.holds_repair(z, false).is_some()));
        }
        let mut turned = members.clone();
        turned.reverse();
        prop_assert_eq!(assess(&turned, &said, &Policy::default(), now()), s);
    }
}
