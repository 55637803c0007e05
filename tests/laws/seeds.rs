//! Thousands of random fleets, clusters, journeys and faults. When the faults end, so does all trouble: P1, P2, P4, P8, P9,
//! P11, P12, P13 of the laws, that only ours is touched, and that the independent checker never objects.
//!
//! `EVENKEEL_SEEDS=20000` tries so many (2,000 of fleets and 300 of clusters without it); `EVENKEEL_SEED=123` tells that one again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_core::stamp::tag;
use evenkeel_sim::dice::draw;

use super::fleet::Fleet;
use super::tale::Story;
use super::trouble::tell;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A sort of story: the story of a seed up to so many steps, and the test that tells them.
#[derive(Clone, Copy)]
struct Tales {
    of: fn(u64, usize) -> Story,
    test: &'static str,
    seeds: u64,
}

/// Machines and volumes; of one seed in twenty objects, too.
const FLEETS: Tales = Tales { of: Story::of, test: "every_seed_of_trouble_ends_as_declared", seeds: 2_000 };

/// A cluster alone.
const CLUSTERS: Tales =
    Tales { of: Story::in_a_cluster, test: "every_seed_of_trouble_in_a_cluster_ends_as_declared", seeds: 300 };

impl Tales {
    /// Tells one seed's story up to so many steps. The error says what is wrong.
    fn told(self, seed: u64, steps: usize) -> Result<(), String> {
        let story = (self.of)(seed, steps);
        match catch_unwind(AssertUnwindSafe(|| tell(&story))) {
            Ok(end) => end,
            Err(panic) => {
                let words = panic.downcast_ref::<String>().cloned();
                Err(words.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
            }
        }
    }

    /// The failure of a seed with the shortest beginning of its journey that fails, and how to see it again.
    fn failure(self, seed: u64) -> Option<String> {
        let whole = self.told(seed, usize::MAX).err()?;
        let all = (self.of)(seed, usize::MAX).steps.len();
        let (steps, says) = (0..all).find_map(|n| self.told(seed, n).err().map(|e| (n, e))).unwrap_or((all, whole));
        Some(format!(
            "seed {seed} fails after {steps} of {all} steps: {says}\n{}\nTo see it again: EVENKEEL_SEED={seed} cargo \
             test --no-default-features --test evenkeel -- {} --nocapture",
            (self.of)(seed, steps),
            self.test
        ))
    }

    /// Tells all of them, or those that are asked for.
    fn tell(self) {
        if let Some(seed) = number("EVENKEEL_SEED") {
            println!("{}", (self.of)(seed, usize::MAX));
            if let Some(says) = self.failure(seed) {
                panic!("{says}");
            }
            return;
        }
        let seeds = number("EVENKEEL_SEEDS").unwrap_or(self.seeds);
        let first = number("EVENKEEL_SEEDS_FROM").unwrap_or(0);
        let began = std::time::Instant::now();
        let next = AtomicU64::new(0);
        let failures = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let workers = std::thread::available_parallelism().map_or(2, usize::from);
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let seed = first + next.fetch_add(1, Ordering::Relaxed);
                        let enough = failures.lock().expect("no worker panics with it").len() >= 20;
                        if seed >= first + seeds || enough {
                            return;
                        }
                        if let Some(says) = self.failure(seed) {
                            failures.lock().expect("no worker panics with it").push((seed, says));
                        }
                    }
                });
            }
        });
        let mut failures = failures.into_inner().expect("no worker panics with it");
        failures.sort();
        println!("{seeds} seeds in {:.0?}, {} fail", began.elapsed(), failures.len());
        let words: Vec<String> = failures.into_iter().map(|(_, says)| says).collect();
        assert!(words.is_empty(), "{}", words.join("\n\n"));
    }
}

#[test]
fn every_seed_of_trouble_ends_as_declared() {
    FLEETS.tell();
}

#[test]
fn every_seed_of_trouble_in_a_cluster_ends_as_declared() {
    CLUSTERS.tell();
}

/// What each of these found: an object without the stack's label was taken for another tool's; an object in a namespace
/// that nobody makes was tried by every run; a late deletion was taken for that of a newer object; one without our marks
/// was to be deleted, to be made anew.
#[test]
fn seeds_of_a_cluster_that_once_failed_end_as_declared() {
    for seed in [166, 999, 1659, 100_456] {
        assert_eq!(CLUSTERS.failure(seed), None);
    }
}

#[test]
fn one_seed_tells_one_story() {
    assert_eq!(Story::of(5, usize::MAX).to_string(), Story::of(5, usize::MAX).to_string());
    assert_ne!(Story::of(5, usize::MAX).to_string(), Story::of(6, usize::MAX).to_string());
    assert_ne!(draw(5, tag::STACK, 1), draw(6, tag::STACK, 1));
    assert_eq!(Fleet::of(5).file(), Fleet::of(5).file());
    let cluster = |seed| Story::in_a_cluster(seed, usize::MAX).to_string();
    assert_eq!(cluster(5), cluster(5));
    assert_ne!(cluster(5), cluster(6));
}
