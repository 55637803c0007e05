//! What fleets of growing size cost: calls, CPU time, peak memory. Prints a table.
//!
//! `cargo bench -p evenkeel-ec2 --bench scale` (or `-- 10000` for the largest fleet). Everything runs in this process,
//! so CPU time and memory include the sim's own; virtual time is the time it would take under AWS's published limits.

#[path = "../tests/fleet.rs"]
mod fleet;

use std::fs;

use evenkeel_engine::caller::Counts;
use evenkeel_engine::clock::Clock;
use evenkeel_sim::runtime;
use jiff::Timestamp;

use fleet::{Fleet, file};

fn main() {
    let most = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1_000);
    println!(
        "{:>8} {:>8}  {:<24} {:>6} {:>8} {:>8} {:>8} {:>9}",
        "machines", "volumes", "what", "reads", "changes", "cpu s", "peak MB", "virtual s"
    );
    for n in [10, 100, 1_000, 10_000] {
        if n <= most {
            rows(n, false);
            rows(n, true);
        }
    }
}

fn rows(n: u32, volumes: bool) {
    runtime().expect("a runtime").block_on(async {
        let fleet = Fleet::new(&file(n, volumes));
        let row = |what: &str, before: &Before, fleet: &Fleet| {
            let (reads, changes) = fleet.since(&before.calls);
            println!(
                "{n:>8} {:>8}  {what:<24} {:>6} {:>8} {:>8.2} {:>8} {:>9.0}",
                if volumes { n } else { 0 },
                reads.values().sum::<u32>(),
                changes.values().sum::<u32>(),
                cpu_seconds() - before.cpu,
                peak_megabytes(),
                fleet.sim.clock().now().duration_since(before.at).as_secs_f64(),
            );
        };
        let before = Before::new(&fleet);
        let plan = fleet.plan(&fleet.look().await);
        row("plan of an empty world", &before, &fleet);

        let before = Before::new(&fleet);
        fleet.run(&plan).await;
        row("apply", &before, &fleet);

        let before = Before::new(&fleet);
        let seen = fleet.look().await;
        row("look", &before, &fleet);

        let before = Before::new(&fleet);
        let plan = fleet.plan(&seen).plan;
        row(if plan.is_empty() { "plan: nothing to do" } else { "plan: SOMETHING TO DO" }, &before, &fleet);
    });
}

struct Before {
    calls: Counts,
    cpu: f64,
    at: Timestamp,
}

impl Before {
    fn new(fleet: &Fleet) -> Self {
        // Writing 5 makes the peak start anew (proc(5), clear_refs); where it is refused the peak is the process's.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Self { calls: fleet.mark(), cpu: cpu_seconds(), at: fleet.sim.clock().now() }
    }
}

/// User and system time of this process: fields 14 and 15 of /proc/self/stat, in ticks of which Linux shows programs
/// a hundred a second (proc(5), USER_HZ). Zero where there is no /proc.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, the name, may hold spaces, and ends with the last parenthesis.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// The most resident memory since [`Before::new`]: VmHWM of /proc/self/status.
fn peak_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("");
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}
