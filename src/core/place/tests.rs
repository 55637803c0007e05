//! Placement against brute force, and assignment under partial views.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn zone(name: &str, count: u32, floor: u32, cap: Option<u32>) -> Domain {
    Domain { name: name.to_owned(), count, floor, cap }
}

fn zones(counts: &[u32]) -> Vec<Domain> {
    counts.iter().enumerate().map(|(i, c)| zone(&format!("z{i}"), *c, 0, None)).collect()
}

/// Every way to place `total`, tried one by one: the fewest terminations with a skew of at most `skew`, and the
/// highest level that the emptiest zone can have with so few.
fn brute(domains: &[Domain], total: u32, skew: u32) -> Option<(u32, u32)> {
    type Best = Option<(u32, Reverse<u32>)>;
    fn go(domains: &[Domain], left: u32, x: &mut Vec<u32>, skew: u32, best: &mut Best) {
        if x.len() == domains.len() {
            let spread = x.iter().max().unwrap_or(&0) - x.iter().min().unwrap_or(&0);
            if left == 0 && spread <= skew {
                let leave = domains.iter().zip(x.iter()).map(|(d, x)| d.count.saturating_sub(*x)).sum();
                let this = (leave, Reverse(x.iter().copied().min().unwrap_or(0)));
                *best = Some(best.map_or(this, |b| b.min(this)));
            }
            return;
        }
        let d = &domains[x.len()];
        for n in d.floor..=left.min(d.cap.unwrap_or(u32::MAX)) {
            x.push(n);
            go(domains, left - n, x, skew, best);
            x.pop();
        }
    }
    let mut best = None;
    go(domains, total, &mut Vec::new(), skew, &mut best);
    best.map(|(leave, Reverse(level))| (leave, level))
}

/// Everything the answer promises, against brute force.
fn check(domains: &[Domain], total: u32, skew: u32) {
    let p = place(domains, total, skew);
    let told = format!("{domains:?} total {total} skew {skew} gave {p:?}");
    assert_eq!(p.target.len(), domains.len(), "{told}");
    let leave: u32 = domains.iter().zip(&p.target).map(|(d, x)| d.count.saturating_sub(*x)).sum();
    assert_eq!(leave, p.terminations, "{told}");
    assert_eq!(p.target.iter().sum::<u32>() + p.short, total + p.over, "{told}");
    assert!(domains.iter().zip(&p.target).all(|(d, x)| *x >= d.floor), "{told}");
    assert!(domains.iter().zip(&p.target).all(|(d, x)| *x <= d.cap.unwrap_or(u32::MAX).max(d.floor)), "{told}");
    let spread = p.target.iter().max().unwrap_or(&0) - p.target.iter().min().unwrap_or(&0);
    assert!(spread <= p.skew, "{told}");
    // The smallest skew with any answer, and the fewest terminations with it.
    let expected = (skew..=total.max(skew)).find_map(|s| brute(domains, total, s).map(|b| (s, b)));
    match expected {
        Some((s, (t, level))) => {
            assert_eq!(p.target.iter().min(), Some(&level), "the most even: {told}");
            assert_eq!((p.skew, p.terminations, p.short, p.over), (s, t, 0, 0), "{told}");
            assert_eq!(p.relaxed_by.is_empty(), s == skew, "{told}");
            assert!(p.because.is_empty(), "{told}");
        }
        None => assert!(p.short > 0 || p.over > 0 || !p.because.is_empty(), "{told}"),
    }
}

#[test]
fn a_fresh_group_fills_the_first_zones_first() {
    assert_eq!(place(&zones(&[0, 0, 0]), 7, 1).target, [3, 2, 2]);
    assert_eq!(place(&zones(&[0, 0, 0]), 2, 1).target, [1, 1, 0]);
}

#[test]
fn balance_inside_the_skew_moves_nothing() {
    let p = place(&zones(&[3, 2, 2]), 7, 1);
    assert_eq!((p.target, p.terminations), (vec![3, 2, 2], 0));
    let p = place(&zones(&[2, 2, 3]), 7, 1);
    assert_eq!((p.target, p.terminations), (vec![2, 2, 3], 0));
}

#[test]
fn a_zone_that_came_back_empty_is_filled_with_the_fewest_moves() {
    let p = place(&zones(&[5, 4, 0]), 9, 1);
    assert_eq!((p.target, p.terminations), (vec![3, 3, 3], 3));
}

#[test]
fn scaling_in_and_balancing_are_one_move() {
    let p = place(&zones(&[3, 3, 1]), 5, 1);
    assert_eq!((p.target, p.terminations), (vec![2, 2, 1], 2));
    assert_eq!(place(&zones(&[3, 3, 3]), 7, 1).target, [3, 2, 2], "the last names give first");
}

#[test]
fn pinned_volumes_relax_the_skew_and_are_named() {
    let p = place(&[zone("a", 2, 2, None), zone("b", 0, 0, None), zone("c", 0, 0, None)], 2, 1);
    assert_eq!((p.target, p.skew, p.terminations), (vec![2, 0, 0], 2, 0));
    assert_eq!(p.relaxed_by, ["a holds 2 pinned"]);
}

#[test]
fn a_cap_relaxes_the_skew_and_is_named() {
    let p = place(&[zone("a", 0, 0, Some(1)), zone("b", 0, 0, None)], 7, 1);
    assert_eq!((p.target, p.skew), (vec![1, 6], 5));
    assert_eq!(p.relaxed_by, ["a takes at most 1"]);
    let p = place(&[zone("a", 0, 0, Some(1)), zone("b", 0, 0, None), zone("c", 0, 0, Some(3))], 7, 1);
    assert_eq!((p.target, p.relaxed_by), (vec![1, 3, 3], vec!["a takes at most 1".to_owned()]), "c is not in the way");
}

#[test]
fn a_skew_of_nothing_is_relaxed_by_division() {
    let p = place(&zones(&[0, 0, 0]), 7, 0);
    assert_eq!((p.target, p.skew), (vec![3, 2, 2], 1));
    assert_eq!(p.relaxed_by, ["7 do not divide evenly over 3 zones"]);
    assert_eq!(place(&zones(&[0, 0, 0]), 6, 0).skew, 0);
}

#[test]
fn what_cannot_be_placed_is_said_and_not_a_panic() {
    let p = place(&[zone("a", 0, 0, Some(2)), zone("b", 0, 0, Some(1))], 5, 1);
    assert_eq!((p.target, p.short), (vec![2, 1], 2));
    assert_eq!(p.because, ["the zones together take at most 3 of 5"]);
    let p = place(&[zone("a", 4, 4, None), zone("b", 3, 3, None)], 5, 1);
    assert_eq!((p.target, p.over, p.terminations), (vec![4, 3], 2, 0));
    assert_eq!(p.because, ["7 are pinned, more than the 5 wanted"]);
    let p = place(&[zone("a", 3, 3, Some(1)), zone("b", 0, 0, None)], 4, 1);
    assert_eq!((p.target, p.because.len()), (vec![3, 1], 1));
    let p = place(&[], 4, 1);
    assert_eq!((p.target.len(), p.short), (0, 4));
}

#[test]
fn small_cases_all_agree_with_brute_force() {
    let mut cases = 0;
    for n in 1..=3usize {
        for code in 0..5u32.pow(n as u32) {
            let counts: Vec<_> = (0..n).map(|i| code / 5u32.pow(i as u32) % 5).collect();
            for total in 0..=8 {
                for skew in 0..=2 {
                    check(&zones(&counts), total, skew);
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, (5 + 25 + 125) * 9 * 3);
}

#[test]
fn small_cases_with_every_floor_and_cap_agree_with_brute_force() {
    for code in 0..(4u32 * 3 * 4).pow(2) {
        let one = |c: u32, name: &str| {
            let cap = (c / 12 % 4 < 3).then_some(c / 12 % 4 + 1);
            zone(name, c % 4, c / 4 % 3, cap)
        };
        let domains = [one(code % 48, "a"), one(code / 48, "b")];
        for total in 0..=6 {
            for skew in 0..=1 {
                check(&domains, total, skew);
            }
        }
    }
}

#[test]
fn a_fresh_groups_slot_goes_to_the_zone_of_its_number() {
    let target = BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 2), ("c".to_owned(), 2)]);
    let given = assign(&BTreeMap::new(), &[0, 1, 2, 3, 4, 5, 6], &target);
    let letters: String = given.iter().map(|(_, z)| z.as_str()).collect();
    assert_eq!(letters, "abcabca");
}

#[test]
fn a_slot_without_room_is_left_out() {
    let target = BTreeMap::from([("a".to_owned(), 1)]);
    assert_eq!(assign(&BTreeMap::new(), &[7, 3], &target), [(3, "a".to_owned())]);
}

#[test]
fn losing_things_is_counted() {
    let counts = BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 2), ("c".to_owned(), 2)]);
    let s = survive(&counts, 4);
    assert_eq!((s.left_after_machine, s.left_after_zone["a"], s.left_after_zone["b"]), (6, 4, 5));
    assert!(s.any_machine && s.any_zone);
    assert!(!survive(&counts, 5).any_zone);
    assert!(!survive(&BTreeMap::new(), 0).any_zone);
}

#[test]
fn the_count_that_survives_a_lost_zone_keeps_a_majority_and_no_smaller_one_does() {
    let table = [(3, 1, Some(3)), (3, 4, Some(5)), (3, 6, Some(6)), (4, 4, Some(4)), (2, 3, None), (0, 1, None)];
    for (z, least, expected) in table {
        assert_eq!(count_for_zone_loss(z, least), expected, "{z} zones, at least {least}");
    }
    for (z, least) in (3..9_u32).flat_map(|z| (1..40).map(move |n| (z, n))) {
        let survives = |n: u32| {
            let even: BTreeMap<String, u32> =
                (0..z).map(|i| (i.to_string(), n / z + u32::from(i < n % z))).filter(|(_, n)| *n > 0).collect();
            survive(&even, n / 2 + 1).any_zone
        };
        let found = count_for_zone_loss(z as usize, least).unwrap();
        assert!(survives(found) && !(least..found).any(survives), "{z} zones, at least {least}: {found}");
    }
    assert_eq!(count_for_zone_loss(3, u32::MAX), Some(u32::MAX));
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let most = u32::MAX;
    for domains in [
        vec![zone("a", most, most, Some(most)), zone("b", most, most, None)],
        vec![zone("a", most, 0, None), zone("b", most, 0, None), zone("c", 0, 0, Some(0))],
        vec![zone("a", 0, most, Some(0)); 4],
    ] {
        for (total, skew) in [(most, most), (0, most), (most, 0), (0, 0)] {
            let p = place(&domains, total, skew);
            assert_eq!(p.target.len(), domains.len());
        }
    }
}

fn any_domains() -> impl Strategy<Value = Vec<Domain>> {
    let one = (0u32..9, 0u32..5, proptest::option::weighted(0.4, 0u32..9));
    proptest::collection::vec(one, 1..=4).prop_map(|all| {
        let name = |i| ["d", "b", "c", "a"][i];
        all.into_iter().enumerate().map(|(i, (c, f, k))| zone(name(i), c, f, k)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// P1: within bounds and optimal, scaling and balancing together, with pins and caps.
    #[test]
    fn placement_is_optimal(domains in any_domains(), total in 0u32..20, skew in 0u32..4) {
        check(&domains, total, skew);
    }

    #[test]
    fn placing_again_moves_nothing(domains in any_domains(), total in 0u32..20, skew in 0u32..4) {
        let p = place(&domains, total, skew);
        let next: Vec<_> =
            domains.iter().zip(&p.target).map(|(d, x)| Domain { count: *x, ..d.clone() }).collect();
        let q = place(&next, total, skew);
        prop_assert_eq!((q.terminations, q.target), (0, p.target));
    }

    #[test]
    fn the_order_of_a_listing_changes_nothing(domains in any_domains(), total in 0u32..20, skew in 0u32..4) {
        let by_name = |ds: &[Domain]| {
            let p = place(ds, total, skew);
            ds.iter().map(|d| d.name.clone()).zip(p.target).collect::<BTreeMap<_, _>>()
        };
        let mut turned = domains.clone();
        turned.reverse();
        prop_assert_eq!(by_name(&domains), by_name(&turned));
    }

    #[test]
    fn no_numbers_panic(
        raw in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<Option<u32>>()), 0..6),
        total in any::<u32>(), skew in any::<u32>(),
    ) {
        let domains: Vec<_> = raw.iter().map(|(c, f, k)| zone("z", *c, *f, *k)).collect();
        let p = place(&domains, total, skew);
        prop_assert_eq!(p.target.len(), domains.len());
    }

    /// A run that sees only some zones' machines of a fresh group gives every other slot the zone it had: a launch
    /// repeated under a wrong "absent" carries the same token and does no harm.
    #[test]
    fn a_partial_view_assigns_the_missing_slots_alike(n in 1u32..40, z in 1usize..7, seen in any::<u8>()) {
        let target_of = |counts: &[u32]| -> BTreeMap<String, u32> {
            let domains = zones(counts);
            let p = place(&domains, n, 1);
            domains.into_iter().map(|d| d.name).zip(p.target).collect()
        };
        let all: Vec<_> = (0..n).collect();
        let fresh = assign(&BTreeMap::new(), &all, &target_of(&vec![0; z]));
        prop_assert_eq!(fresh.len(), n as usize);
        for (slot, name) in &fresh {
            prop_assert_eq!(name, &format!("z{}", *slot as usize % z));
        }
        let visible: BTreeSet<_> = (0..z).filter(|i| seen >> i & 1 == 1).map(|i| format!("z{i}")).collect();
        let mut counts = vec![0; z];
        for (slot, _) in fresh.iter().filter(|(_, name)| visible.contains(name)) {
            counts[*slot as usize % z] += 1;
        }
        let missing: Vec<_> = fresh.iter().filter(|(_, name)| !visible.contains(name)).cloned().collect();
        let vacant: Vec<_> = missing.iter().map(|(slot, _)| *slot).collect();
        let by_name = zones(&counts).into_iter().map(|d| (d.name, d.count)).collect();
        prop_assert_eq!(assign(&by_name, &vacant, &target_of(&counts)), missing);
    }

    /// The same with caps and pins, as long as the targets stand.
    #[test]
    fn a_partial_view_assigns_alike_for_any_targets(
        targets in proptest::collection::vec(0u32..8, 1..7), seen in any::<u8>(),
    ) {
        let target: BTreeMap<_, _> = targets.iter().enumerate().map(|(i, t)| (format!("z{i}"), *t)).collect();
        let all: Vec<_> = (0..targets.iter().sum()).collect();
        let fresh = assign(&BTreeMap::new(), &all, &target);
        prop_assert_eq!(fresh.len(), all.len());
        let is_visible = |name: &str| seen >> name[1..].parse::<u32>().unwrap() & 1 == 1;
        let mut counts = BTreeMap::new();
        for (_, name) in fresh.iter().filter(|(_, n)| is_visible(n)) {
            *counts.entry(name.clone()).or_default() += 1;
        }
        let missing: Vec<_> = fresh.into_iter().filter(|(_, n)| !is_visible(n)).collect();
        let vacant: Vec<_> = missing.iter().map(|(s, _)| *s).collect();
        prop_assert_eq!(assign(&counts, &vacant, &target), missing);
    }

    /// The same where any of the slots can be seen, as long as the targets stand.
    #[test]
    fn a_view_of_any_slots_assigns_the_others_alike(
        targets in proptest::collection::vec(0u32..8, 1..7), seen in any::<u64>(),
    ) {
        let target: BTreeMap<_, _> = targets.iter().enumerate().map(|(i, t)| (format!("z{i}"), *t)).collect();
        let all: Vec<_> = (0..targets.iter().sum()).collect();
        let fresh = assign(&BTreeMap::new(), &all, &target);
        let (visible, missing): (Vec<_>, Vec<_>) = fresh.into_iter().partition(|(s, _)| seen >> (s % 64) & 1 == 1);
        let mut counts = BTreeMap::new();
        for (_, name) in visible {
            *counts.entry(name).or_default() += 1;
        }
        let vacant: Vec<_> = missing.iter().map(|(s, _)| *s).collect();
        prop_assert_eq!(assign(&counts, &vacant, &target), missing);
    }
}
