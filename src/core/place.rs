//! Where replicas stand: equal numbers in every zone, reached with the fewest terminations, and which slot goes where.
//!
//! Exact, by the theorem in the comment of [`place`]. It knows zones as names with numbers and refuses to know why a
//! floor or a cap is there.

use std::collections::BTreeMap;

use serde::Serialize;

/// A failure domain: a zone, as a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// Its name; breaks ties.
    pub name: String,
    /// Replicas there now.
    pub count: u32,
    /// Replicas that cannot leave (volumes, holds, protection).
    pub floor: u32,
    /// At most so many; `None`: no limit.
    pub cap: Option<u32>,
}

/// Where replicas should stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// Replicas per domain, in the order of the domains given.
    pub target: Vec<u32>,
    /// How many of those there now must leave; the fewest possible.
    pub terminations: u32,
    /// The skew that holds: the one asked for, or the smallest possible.
    pub skew: u32,
    /// Which pins and caps forbid the asked skew (rule B2); empty when it holds.
    pub relaxed_by: Vec<String>,
    /// How many of `total` find no place (rule B3).
    pub short: u32,
    /// How many more than `total` are pinned and stay (rule B3).
    pub over: u32,
    /// Why `short` or `over` is not 0, or a cap is overridden by pins; empty otherwise.
    pub because: Vec<String>,
}

/// Places `total` replicas over `domains` so that no two domains differ by more than `skew`, floors and caps hold,
/// and as few as possible of those there now must leave. Never fails: what cannot be had is said in the answer.
///
/// For a level L let `lb = max(L, floor)`, `ub = min(L + skew, cap)`, `def = Σ(lb − count)⁺`, `sur = Σ(count − ub)⁺`
/// and `Δ = total − Σcount`. L is feasible when `lb ≤ ub` everywhere and `Σlb ≤ total ≤ Σub`. The fewest
/// terminations are `min over feasible L of max(sur, def − Δ, −Δ, 0)`: above `ub` one must leave, below `lb` one
/// must come, and clamping into the bounds and then filling or draining to `total` needs no more. `def` never falls
/// and `sur` never rises with L, and the feasible L are an interval, so binary search finds it in O(n log total).
/// Ties: the largest L (most even), then the least loaded domain, then the name.
pub fn place(domains: &[Domain], total: u32, skew: u32) -> Placement {
    let (problem, mut because) = Problem::of(domains);
    let (floors, caps) = (problem.floors(), problem.caps());
    let wanted = u64::from(total);
    // Floors win over caps: what is pinned is a fact.
    let placed = wanted.min(caps).max(floors);
    if placed < wanted {
        because.push(if domains.is_empty() {
            "there is no zone to place in".to_owned()
        } else {
            format!("the zones together take at most {caps} of {wanted}")
        });
    }
    if placed > wanted {
        because.push(format!("{floors} are pinned, more than the {wanted} wanted"));
    }
    let used = problem.least_skew(placed, u64::from(skew));
    let x = problem.best(placed, used);
    let relaxed_by = if used > u64::from(skew) { problem.obstacles(&x, placed, u64::from(skew)) } else { Vec::new() };
    let terminations = problem.zones.iter().zip(&x).map(|(z, x)| z.count.saturating_sub(*x)).sum();
    Placement {
        target: x.into_iter().map(narrow).collect(),
        terminations: narrow(terminations),
        skew: narrow(used),
        relaxed_by,
        short: narrow(wanted.saturating_sub(placed)),
        over: narrow(placed.saturating_sub(wanted)),
        because,
    }
}

/// Gives every vacant slot a zone (rule B4): the one that it has in a fresh group, where that still wants replicas;
/// the others, in ascending order, go to the zone with the fewest replicas among those below their target, ties by
/// name. Slots for which no zone has room are left out.
///
/// A fresh group's slot i goes to zone i mod Z. A run that sees only some of what was launched gives the other slots
/// the same zones again, whichever they are: with them go the same client tokens, so nothing is launched twice.
pub fn assign(counts: &BTreeMap<String, u32>, vacant: &[u32], target: &BTreeMap<String, u32>) -> Vec<(u32, String)> {
    let mut now: BTreeMap<&str, u32> =
        target.keys().map(|z| (z.as_str(), counts.get(z).copied().unwrap_or(0))).collect();
    let wants = |now: &BTreeMap<&str, u32>, zone: &str| now.get(zone) < target.get(zone);
    let mut slots = vacant.to_vec();
    slots.sort_unstable();
    slots.dedup();
    let mut given: BTreeMap<u32, &str> = BTreeMap::new();
    let fresh = in_turn(target.keys().map(|z| (z.as_str(), 0)).collect(), target);
    // The last vacant slot bounds what is asked of the sequence.
    let last = slots.last().map_or(0, |s| s.saturating_add(1));
    for (slot, zone) in (0..last).zip(fresh) {
        if slots.binary_search(&slot).is_ok() && wants(&now, zone) {
            given.insert(slot, zone);
            now.entry(zone).and_modify(|n| *n += 1);
        }
    }
    let left: Vec<u32> = slots.into_iter().filter(|s| !given.contains_key(s)).collect();
    given.extend(left.into_iter().zip(in_turn(now, target)));
    given.into_iter().map(|(slot, zone)| (slot, zone.to_owned())).collect()
}

/// Zones in the order in which they are filled up to their targets: the emptiest first, ties by name.
fn in_turn<'z>(now: BTreeMap<&'z str, u32>, target: &BTreeMap<String, u32>) -> impl Iterator<Item = &'z str> {
    let wanted = |zone: &str| target.get(zone).copied().unwrap_or(0);
    let mut open: std::collections::BTreeSet<(u32, &str)> =
        now.into_iter().filter(|(z, n)| *n < wanted(z)).map(|(z, n)| (n, z)).collect();
    std::iter::from_fn(move || {
        let (count, zone) = open.pop_first()?;
        if count + 1 < wanted(zone) {
            open.insert((count + 1, zone));
        }
        Some(zone)
    })
}

/// What would be left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survival {
    /// Ready after losing any one machine.
    pub left_after_machine: u32,
    /// Zone → ready after losing it.
    pub left_after_zone: BTreeMap<String, u32>,
    /// Enough are left after any machine.
    pub any_machine: bool,
    /// Enough are left after any zone.
    pub any_zone: bool,
}

/// What losing any machine or any zone would leave, of the ready ones in `counts`, against `needed`.
pub fn survive(counts: &BTreeMap<String, u32>, needed: u32) -> Survival {
    let ready: u64 = counts.values().map(|c| u64::from(*c)).sum();
    let left_after_machine = narrow(ready.saturating_sub(1));
    let left_after_zone: BTreeMap<_, _> =
        counts.iter().map(|(z, c)| (z.clone(), narrow(ready.saturating_sub(u64::from(*c))))).collect();
    Survival {
        left_after_machine,
        any_machine: left_after_machine >= needed,
        any_zone: !left_after_zone.is_empty() && left_after_zone.values().all(|l| *l >= needed),
        left_after_zone,
    }
}

/// The fewest members, but not fewer than `least`, of which a majority is left after any one of `zones` is lost, spread
/// evenly. `None` for fewer than three zones: no number is enough.
pub fn count_for_zone_loss(zones: usize, least: u32) -> Option<u32> {
    let z = u32::try_from(zones).ok().filter(|z| *z >= 3)?;
    // Six, or twice as many as there are zones, are enough wherever fewer are not.
    (least.max(1)..=least.saturating_add(z.saturating_mul(2))).find(|n| n - n.div_ceil(z) > n / 2)
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// One zone in wide numbers; `cap` is at least `floor`.
struct Zone<'a> {
    name: &'a str,
    count: u64,
    floor: u64,
    cap: u64,
}

/// The zones, and indices in the order of names.
struct Problem<'a> {
    zones: Vec<Zone<'a>>,
    by_name: Vec<usize>,
}

impl<'a> Problem<'a> {
    fn of(domains: &'a [Domain]) -> (Self, Vec<String>) {
        let mut because = Vec::new();
        let zones: Vec<_> = domains
            .iter()
            .map(|d| {
                let cap = d.cap.unwrap_or(u32::MAX);
                if d.floor > cap {
                    because.push(format!("{} holds {} pinned, above its cap of {cap}", d.name, d.floor));
                }
                Zone {
                    name: &d.name,
                    count: u64::from(d.count),
                    floor: u64::from(d.floor),
                    cap: u64::from(cap.max(d.floor)),
                }
            })
            .collect();
        let mut by_name: Vec<_> = (0..zones.len()).collect();
        by_name.sort_by_key(|i| (zones[*i].name, *i));
        (Self { zones, by_name }, because)
    }

    fn floors(&self) -> u64 {
        self.zones.iter().map(|z| z.floor).sum()
    }

    fn caps(&self) -> u64 {
        self.zones.iter().map(|z| z.cap).sum()
    }

    fn lower(&self, level: u64) -> impl Iterator<Item = u64> + '_ {
        self.zones.iter().map(move |z| z.floor.max(level))
    }

    fn upper(&self, level: u64, skew: u64) -> impl Iterator<Item = u64> + '_ {
        self.zones.iter().map(move |z| z.cap.min(level + skew))
    }

    /// The feasible levels, first and last; `None` when there is none.
    fn levels(&self, total: u64, skew: u64) -> Option<(u64, u64)> {
        let low = self.zones.iter().map(|z| z.floor).max().unwrap_or(0).saturating_sub(skew);
        let high = self.zones.iter().map(|z| z.cap).min().unwrap_or(0);
        let first = first(low, high, |l| self.upper(l, skew).sum::<u64>() >= total)?;
        let beyond = self::first(first, high, |l| self.lower(l).sum::<u64>() > total);
        let last = match beyond {
            None => high,
            Some(b) => b.checked_sub(1).filter(|l| *l >= first)?,
        };
        Some((first, last))
    }

    /// The smallest skew, at least `asked`, with which `total` (between the sums of floors and caps) can be placed.
    fn least_skew(&self, total: u64, asked: u64) -> u64 {
        if self.zones.is_empty() || self.levels(total, asked).is_some() {
            return asked;
        }
        // With a skew of `total` level 0 puts no bound but floors and caps.
        first(asked, total.max(asked), |s| self.levels(total, s).is_some()).unwrap_or(total.max(asked))
    }

    /// The placement of the theorem.
    fn best(&self, total: u64, skew: u64) -> Vec<u64> {
        let Some((low, high)) = self.levels(total, skew) else {
            return self.zones.iter().map(|z| z.floor).collect();
        };
        let count: u64 = self.zones.iter().map(|z| z.count).sum();
        let leave =
            |l| -> u64 { self.zones.iter().zip(self.upper(l, skew)).map(|(z, ub)| z.count.saturating_sub(ub)).sum() };
        // def − Δ, and below zero nothing, as a count of terminations.
        let swap = |l| -> u64 {
            let come: u64 = self.zones.iter().zip(self.lower(l)).map(|(z, lb)| lb.saturating_sub(z.count)).sum();
            (come + count).saturating_sub(total)
        };
        let cost = |l| leave(l).max(swap(l));
        // `leave` never rises and `swap` never falls: the least maximum is where they cross, or just before.
        let cross = first(low, high, |l| swap(l) >= leave(l)).unwrap_or(high);
        let cheapest = if cross > low { cost(cross).min(cost(cross - 1)) } else { cost(cross) };
        let from = if cross > low && cost(cross - 1) == cheapest { cross - 1 } else { cross };
        let level = first(from, high, |l| swap(l) > cheapest).map_or(high, |beyond| beyond.saturating_sub(1).max(from));
        self.settle(total, &self.lower(level).collect::<Vec<_>>(), &self.upper(level, skew).collect::<Vec<_>>())
    }

    /// Clamps the counts into the bounds, then fills the least loaded or drains the most loaded until the sum is
    /// `total`. One at a time, but done by level so that large numbers cost nothing.
    fn settle(&self, total: u64, lb: &[u64], ub: &[u64]) -> Vec<u64> {
        let mut x: Vec<u64> =
            self.zones.iter().zip(lb.iter().zip(ub)).map(|(z, (l, u))| z.count.max(*l).min(*u)).collect();
        let sum: u64 = x.iter().sum();
        let top = ub.iter().copied().max().unwrap_or(0);
        if sum < total {
            let filled = |w: u64| x.iter().zip(ub).map(move |(x, u)| (*x).max(w.min(*u)));
            let water = first(0, top, |w| filled(w).sum::<u64>() > total).map_or(top, |w| w.saturating_sub(1));
            x = filled(water).collect();
            let mut rest = total.saturating_sub(x.iter().sum());
            for &i in &self.by_name {
                if rest > 0 && x[i] == water && ub[i] > water {
                    x[i] += 1;
                    rest -= 1;
                }
            }
        } else if sum > total {
            let drained = |w: u64| x.iter().zip(lb).map(move |(x, l)| (*x).min(w.max(*l)));
            // The lowest level that leaves at least `total`; what is still too much goes from the last names.
            let water = first(0, top, |w| drained(w).sum::<u64>() >= total).unwrap_or(top);
            x = drained(water).collect();
            let mut rest = x.iter().sum::<u64>().saturating_sub(total);
            for &i in self.by_name.iter().rev() {
                if rest > 0 && x[i] == water && lb[i] < water {
                    x[i] -= 1;
                    rest -= 1;
                }
            }
        }
        x
    }

    /// What forbids the asked skew: with the smallest possible one, the fullest are pinned or the emptiest capped, for
    /// else one could move; what is left is division.
    fn obstacles(&self, x: &[u64], total: u64, asked: u64) -> Vec<String> {
        let least = x.iter().copied().min().unwrap_or(0);
        let most = x.iter().copied().max().unwrap_or(0);
        let mut all = Vec::new();
        for &i in &self.by_name {
            let zone = &self.zones[i];
            if x[i] > least + asked && zone.floor >= x[i] {
                all.push(format!("{} holds {} pinned", zone.name, zone.floor));
            }
            if x[i] + asked < most && zone.cap <= x[i] {
                all.push(format!("{} takes at most {}", zone.name, zone.cap));
            }
        }
        if all.is_empty() {
            all.push(format!("{total} do not divide evenly over {} zones", self.zones.len()));
        }
        all
    }
}

/// The first number from `low` to `high` for which `holds`, which once true stays true.
fn first(low: u64, high: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if low > high || !holds(high) {
        return None;
    }
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests;
