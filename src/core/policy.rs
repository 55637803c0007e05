//! Every number that tunes evenkeel, in one tree with its default (its rule in the comment).

use serde::{Deserialize, Serialize};

/// A count or a share of a group: `2` or `"10%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many hundredths, 0 to 100.
    Percent(u32),
}

impl Amount {
    /// Of `n`, rounded down: for what must not be exceeded (`max-unavailable`, `max-deletes`).
    pub fn floor_of(self, n: u32) -> u32 {
        match self {
            Self::Count(c) => c,
            Self::Percent(p) => u32::try_from(u64::from(n) * u64::from(p) / 100).unwrap_or(u32::MAX),
        }
    }

    /// Of `n`, rounded up: for what must be possible (`max-surge`, `breaker`).
    pub fn ceil_of(self, n: u32) -> u32 {
        match self {
            Self::Count(c) => c,
            Self::Percent(p) => u32::try_from((u64::from(n) * u64::from(p)).div_ceil(100)).unwrap_or(u32::MAX),
        }
    }
}

/// `[policy]`. Times are whole seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// How many of a group may be missing while it changes (0).
    pub max_unavailable: Amount,
    /// How many more than declared may live while it changes (10%, at least 1).
    pub max_surge: Amount,
    /// How many replacements of a group may be under way at once (10%, at least 1).
    pub max_parallel: Amount,
    /// How many objects one run may delete without `--max-deletes`, of those we own (10%, at least 1).
    pub max_deletes: Amount,
    /// How long data removed from the file is kept in quarantine, in seconds (7 days).
    pub quarantine: u64,
    /// Grace after a launch in which an object missing from a list is not called absent, in seconds (300).
    pub grace: u64,
    /// `[policy.health]`.
    pub health: Health,
    /// `[policy.startup]`.
    pub startup: Startup,
    /// `[policy.repair]`.
    pub repair: Repair,
    /// `[policy.outage]`.
    pub outage: Outage,
    /// `[policy.balance]`.
    pub balance: Balance,
    /// `[policy.drain]`.
    pub drain: Drain,
}

/// `[policy.health]`: how long a signal must be bad before it counts, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Health {
    /// System status check impaired (300).
    pub system_status: u64,
    /// Instance status check impaired (300).
    pub instance_status: u64,
    /// The kubelet of the machine's node is silent, or no node stands for the machine (300).
    pub ready_unknown: u64,
    /// The machine's node says that it is not ready (600).
    pub ready_false: u64,
    /// One reporter alone, after so long (900).
    pub single_source: u64,
    /// Continuously well for so long before it is healthy again (300).
    pub recover: u64,
    /// Suspect so many times (3) …
    pub flap_count: u32,
    /// … within so long is flapping (3,600).
    pub flap_window: u64,
}

/// `[policy.startup]`, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Startup {
    /// From launch to running (300).
    pub running: u64,
    /// From running to healthy (600).
    pub healthy: u64,
    /// From running until its node has joined the cluster (900).
    pub join: u64,
    /// From joining until the node is ready (300).
    pub ready: u64,
}

/// `[policy.repair]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Repair {
    /// More unhealthy than this share opens the breaker (20%).
    pub breaker: Amount,
    /// No new soft repairs for so long after a freeze or impairment ends, in seconds (600).
    pub storm_cooldown: u64,
    /// Replacements of one lineage in an hour before it is suspended (3).
    pub retries: u32,
    /// Wait before the first retry, in seconds (120).
    pub backoff_first: u64,
    /// Longest wait between retries, in seconds (1,800).
    pub backoff_max: u64,
    /// Healthy for so long starts a new lineage, in seconds (3,600).
    pub chain_reset: u64,
    /// A new machine is warm after so long healthy, in seconds (60).
    pub warmup: u64,
}

/// `[policy.outage]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outage {
    /// Share of a zone's machines that must be unhealthy (0.55).
    pub fraction: f64,
    /// At least so many of them (3).
    pub min: u32,
    /// At most this share outside (0.10).
    pub outside: f64,
    /// Binomial tail (0.001).
    pub tail: f64,
    /// Well for so long before a zone is trusted again, in seconds (1,800).
    pub recover: u64,
    /// At most so many of a group are launched in other zones in place of those lost with one, and no more than the
    /// floor needs (100%).
    pub zone_loss_surge: Amount,
}

/// `[policy.balance]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Balance {
    /// Allowed difference between the fullest and the emptiest zone (1).
    pub skew: u32,
}

/// `[policy.drain]`: how a machine's node is emptied before the machine goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drain {
    /// How long pods may stay, in seconds; then the machine stays (900).
    pub timeout: u64,
    /// How long pods of an unhealthy machine may stay, in seconds; then it goes all the same (300).
    pub repair_timeout: u64,
    /// Pods whose `emptyDir` is lost go too (false).
    pub empty_dir: bool,
    /// Pods that nothing makes anew go too (false).
    pub unmanaged: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_unavailable: Amount::Count(0),
            max_surge: Amount::Percent(10),
            max_parallel: Amount::Percent(10),
            max_deletes: Amount::Percent(10),
            quarantine: 7 * 24 * 3600,
            grace: 300,
            health: Health {
                system_status: 300,
                instance_status: 300,
                ready_unknown: 300,
                ready_false: 600,
                single_source: 900,
                recover: 300,
                flap_count: 3,
                flap_window: 3600,
            },
            startup: Startup { running: 300, healthy: 600, join: 900, ready: 300 },
            repair: Repair {
                breaker: Amount::Percent(20),
                storm_cooldown: 600,
                retries: 3,
                backoff_first: 120,
                backoff_max: 1800,
                chain_reset: 3600,
                warmup: 60,
            },
            outage: Outage {
                fraction: 0.55,
                min: 3,
                outside: 0.10,
                tail: 1e-3,
                recover: 1800,
                zone_loss_surge: Amount::Percent(100),
            },
            balance: Balance { skew: 1 },
            drain: Drain { timeout: 900, repair_timeout: 300, empty_dir: false, unmanaged: false },
        }
    }
}

impl Policy {
    /// `max-surge` of a group of `n`, never below 1: with 0 nothing could ever be replaced launch-first.
    pub fn surge(&self, n: u32) -> u32 {
        self.max_surge.ceil_of(n).max(1)
    }

    /// `max-unavailable` of a group of `n`.
    pub fn unavailable(&self, n: u32) -> u32 {
        self.max_unavailable.floor_of(n).min(n)
    }

    /// `max-parallel` of a group of `n`, never below 1.
    pub fn parallel(&self, n: u32) -> u32 {
        self.max_parallel.floor_of(n).max(1)
    }

    /// `max-deletes` of `n` owned objects, never below 1.
    pub fn deletes(&self, n: u32) -> u32 {
        match self.max_deletes {
            Amount::Count(c) => c,
            Amount::Percent(_) => self.max_deletes.floor_of(n).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_rounds_as_the_table_says() {
        for p in 0..=100u32 {
            for n in 0..=200u32 {
                let exact = f64::from(p) * f64::from(n) / 100.0;
                assert_eq!(f64::from(Amount::Percent(p).floor_of(n)), (exact + 1e-9).floor(), "{p}% of {n}");
                assert_eq!(f64::from(Amount::Percent(p).ceil_of(n)), (exact - 1e-9).ceil().max(0.0), "{p}% of {n}");
            }
        }
    }
}
