//! Before and after, in every order that the steps' needs allow.
//!
//! Only numbers stand here: which step is above which, how many intervals can be open at once, and how much can be
//! launched before anything is ended. It refuses to know what the steps do.

use crate::plan::Step;

/// For every step, all steps that it needs, directly or not.
pub(super) struct Above(Vec<Row>);

/// A set of small numbers from `64 * start` on; a step that needs nothing costs nothing.
#[derive(Default)]
struct Row {
    start: usize,
    words: Vec<u64>,
}

impl Row {
    fn has(&self, n: u32) -> bool {
        let word = (n / 64) as usize;
        let bits = word.checked_sub(self.start).and_then(|w| self.words.get(w));
        bits.is_some_and(|w| w >> (n % 64) & 1 == 1)
    }

    /// Makes room for the words `from..to`.
    fn cover(&mut self, from: usize, to: usize) {
        if self.words.is_empty() {
            self.start = from;
        }
        if from < self.start {
            let more = self.start - from;
            self.words.splice(0..0, std::iter::repeat_n(0, more));
            self.start = from;
        }
        self.words.resize(self.words.len().max(to.saturating_sub(self.start)), 0);
    }

    fn add(&mut self, n: u32) {
        let word = (n / 64) as usize;
        self.cover(word, word + 1);
        self.words[word - self.start] |= 1 << (n % 64);
    }

    fn add_all(&mut self, other: &Self) {
        if other.words.is_empty() {
            return;
        }
        self.cover(other.start, other.start + other.words.len());
        for (i, w) in other.words.iter().enumerate() {
            self.words[other.start - self.start + i] |= w;
        }
    }
}

impl Above {
    /// Of steps whose needs are all smaller than their own index.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut rows: Vec<Row> = Vec::with_capacity(steps.len());
        for step in steps {
            let mut row = Row::default();
            for need in &step.needs {
                if let Some(above) = rows.get(*need as usize) {
                    row.add_all(above);
                }
                row.add(*need);
            }
            rows.push(row);
        }
        Self(rows)
    }

    /// Whether `step` needs `other`, directly or not.
    pub(super) fn has(&self, step: u32, other: u32) -> bool {
        self.0.get(step as usize).is_some_and(|r| r.has(other))
    }
}

/// The most of `n` things that can be open at the same time, where `before(i, j)` says that `i` is over before `j`
/// begins, whatever the order. By Dilworth's theorem this is `n` less a maximum matching of who follows whom.
pub(super) fn most_at_once(n: usize, before: impl Fn(usize, usize) -> bool) -> usize {
    let follows: Vec<Vec<usize>> = (0..n).map(|i| (0..n).filter(|j| *j != i && before(i, *j)).collect()).collect();
    let mut pairing = Pairing { follower: vec![None; n], leader: vec![None; n] };
    n - (0..n).filter(|i| pairing.augment(*i, &follows)).count()
}

/// Who follows whom, each at most once on either side.
struct Pairing {
    follower: Vec<Option<usize>>,
    leader: Vec<Option<usize>>,
}

impl Pairing {
    /// Looks for one augmenting path from `root`, without recursion: plans may be long.
    fn augment(&mut self, root: usize, follows: &[Vec<usize>]) -> bool {
        let mut from: Vec<Option<usize>> = vec![None; follows.len()];
        let mut open = vec![root];
        while let Some(i) = open.pop() {
            for j in follows[i].iter().copied() {
                if from[j].is_some() {
                    continue;
                }
                from[j] = Some(i);
                match self.leader[j] {
                    Some(other) => open.push(other),
                    None => {
                        self.turn(root, j, &from);
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Turns the path that ends at `j` around.
    fn turn(&mut self, root: usize, j: usize, from: &[Option<usize>]) {
        let mut at = Some(j);
        while let Some(j) = at {
            let Some(i) = from[j] else { return };
            at = self.follower[i].filter(|_| i != root);
            self.leader[j] = Some(i);
            self.follower[i] = Some(j);
        }
    }
}

/// The most by which launches can be ahead of ends: the sum over a set of launches less the ends that they need.
/// `launches[i]` is how many it launches, `ends[j]` how many it ends, `needs(i, j)` whether launch `i` comes after end
/// `j` in every order. A project selection: all launches less the maximum flow from launches through needs to ends.
pub(super) fn most_ahead(launches: &[u64], ends: &[u64], needs: impl Fn(usize, usize) -> bool) -> u64 {
    // The latest ends first: in waves each launch then finds its own wave's end still unused.
    let edges: Vec<Vec<usize>> =
        (0..launches.len()).map(|i| (0..ends.len()).rev().filter(|j| needs(i, *j)).collect()).collect();
    let mut left: Vec<u64> = launches.to_vec();
    let mut room: Vec<u64> = ends.to_vec();
    let mut flow: Vec<std::collections::BTreeMap<usize, u64>> = vec![Default::default(); ends.len()];
    for (root, left) in left.iter_mut().enumerate() {
        while *left > 0 {
            let Some(sent) = push(root, &edges, *left, &mut room, &mut flow) else { break };
            *left -= sent;
        }
    }
    left.iter().sum()
}

/// One augmenting path of the flow: launch → end → launch that uses it → other end → … → end with room.
fn push(
    root: usize,
    edges: &[Vec<usize>],
    most: u64,
    room: &mut [u64],
    flow: &mut [std::collections::BTreeMap<usize, u64>],
) -> Option<u64> {
    let mut came: Vec<Option<usize>> = vec![None; room.len()];
    let mut left_by: std::collections::BTreeMap<usize, usize> = std::collections::BTreeMap::new();
    let mut open = vec![root];
    while let Some(i) = open.pop() {
        for j in &edges[i] {
            if came[*j].is_some() {
                continue;
            }
            came[*j] = Some(i);
            if room[*j] > 0 {
                // Walk back once for how much fits, once to do it.
                let mut sent = most.min(room[*j]);
                let mut launch = i;
                while launch != root {
                    let before = left_by[&launch];
                    sent = sent.min(flow[before].get(&launch).copied().unwrap_or(0));
                    launch = came[before]?;
                }
                room[*j] -= sent;
                let (mut end, mut launch) = (*j, i);
                loop {
                    *flow[end].entry(launch).or_default() += sent;
                    if launch == root {
                        return Some(sent);
                    }
                    end = left_by[&launch];
                    *flow[end].entry(launch).or_default() -= sent;
                    launch = came[end]?;
                }
            }
            for (user, used) in &flow[*j] {
                if *used > 0 && *user != root && !left_by.contains_key(user) {
                    left_by.insert(*user, *j);
                    open.push(*user);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Call, Do};

    fn steps(needs: &[Vec<u32>]) -> Vec<Step> {
        let step = |n: &Vec<u32>| Step {
            scope: String::new(),
            needs: n.clone(),
            changes: vec![0],
            does: Do::Call(Call::Start(vec![])),
        };
        needs.iter().map(step).collect()
    }

    #[test]
    fn what_is_needed_by_what_is_needed_comes_before() {
        let mut needs: Vec<Vec<u32>> = vec![vec![], vec![0], vec![]];
        needs.extend((3..200).map(|i| vec![i - 1]));
        let above = Above::of(&steps(&needs));
        assert!(above.has(199, 2) && above.has(199, 198) && above.has(1, 0));
        assert!(!above.has(199, 0) && !above.has(0, 0) && !above.has(2, 1) && !above.has(2, 199));
    }

    #[test]
    fn waves_open_as_many_at_once_as_a_wave_is_wide() {
        assert_eq!(most_at_once(9, |i, j| i / 3 < j / 3), 3);
        assert_eq!(most_at_once(5, |_, _| false), 5);
        assert_eq!(most_at_once(5, |i, j| i < j), 1);
        assert_eq!(most_at_once(0, |_, _| true), 0);
    }

    proptest! {
        #[test]
        fn the_most_at_once_is_what_counting_all_sets_finds(edges in prop::collection::vec(any::<bool>(), 36)) {
            // A random partial order of 6: the transitive closure of edges that go up.
            let mut order = [[false; 6]; 6];
            for i in 0..6 { for j in i + 1..6 { order[i][j] = edges[i * 6 + j]; } }
            for k in 0..6 { for i in 0..6 { for j in 0..6 { order[i][j] |= order[i][k] && order[k][j]; } } }
            let free = |set: u32| (0..6).all(|i| (0..6).all(|j| {
                !(set >> i & 1 == 1 && set >> j & 1 == 1 && order[i][j])
            }));
            let brute = (0u32..64).filter(|s| free(*s)).map(u32::count_ones).max().unwrap();
            prop_assert_eq!(most_at_once(6, |i, j| order[i][j]), brute as usize);
        }

        #[test]
        fn the_most_ahead_is_what_trying_all_sets_finds(
            launches in prop::collection::vec(1u64..5, 0..6),
            ends in prop::collection::vec(1u64..5, 0..6),
            needs in prop::collection::vec(any::<bool>(), 36),
        ) {
            let need = |i: usize, j: usize| needs[i * 6 + j];
            let brute = (0u32..1 << launches.len()).map(|set| {
                let chosen = |i: usize| set >> i & 1 == 1;
                let up: u64 = (0..launches.len()).filter(|i| chosen(*i)).map(|i| launches[i]).sum();
                let used = |j: usize| (0..launches.len()).any(|i| chosen(i) && need(i, j));
                let down: u64 = (0..ends.len()).filter(|j| used(*j)).map(|j| ends[j]).sum();
                up.saturating_sub(down)
            }).max().unwrap();
            prop_assert_eq!(most_ahead(&launches, &ends, need), brute);
        }
    }
}
