//! Every limit of the engine, in one place: how many, how often, how long.
//!
//! Numbers that tune what a plan decides stand in the policy instead; these only bound how it is carried out.

use std::collections::BTreeMap;
use std::time::Duration;

use evenkeel_core::failure::Class;
use evenkeel_core::pace::{self, Pace};

use crate::budget::{Bucket, Family};

/// How a plan is carried out. [`Limits::default`] is what the program uses.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Changing calls in flight at once.
    pub in_flight: usize,
    /// From the start of a wait to its first look, and between looks at first.
    pub look_first: Duration,
    /// Longest time between two looks.
    pub look_most: Duration,
    /// Each pause between looks is so many times the one before, in percent.
    pub look_growth: u32,
    /// A wait that sees no change says so this often.
    pub still_waiting: Duration,
    /// An id just made may be missing from reads for so long (the grace of the design; EC2 promises no bound).
    pub grace: Duration,
    /// A call in flight may still end so long after the run was told to stop. CI systems kill ten seconds after they
    /// asked; a second leaves time to write.
    pub stop_grace: Duration,
    /// Generations that a create may go through when its token belongs to something dead. EC2 remembers tokens for a
    /// day and lists no deleted volume, so as often as that a stack can be destroyed and made again in a day.
    pub generations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 16,
            look_first: Duration::from_secs(2),
            look_most: Duration::from_secs(15),
            look_growth: 150,
            still_waiting: Duration::from_secs(60),
            grace: Duration::from_secs(300),
            stop_grace: Duration::from_millis(800),
            generations: 64,
        }
    }
}

/// A saved plan's size in bytes: a plan of 10,000 machines needs about 20 MB.
pub const PLAN_FILE: u64 = 64 << 20;

/// A journal's size in bytes when read back.
pub const JOURNAL_FILE: u64 = 256 << 20;

/// Runs whose journals are kept.
pub const JOURNALS: usize = 20;

/// How one class of failure is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Tries in all, the first included.
    pub tries: u32,
    /// No try starts later than this after the first one ended; the last try is at this very moment.
    pub within: Duration,
    /// First pause.
    pub first: Duration,
    /// Longest pause; each is twice the one before.
    pub most: Duration,
}

/// Whether and how a failed wire call is tried again. `young`: the call names something that was made a moment ago.
pub fn again(class: Class, young: bool) -> Option<Again> {
    let secs = Duration::from_secs;
    match class {
        // Not an error but a speed limit: it costs time, never the run. EC2 fills its largest bucket (1,000 instances
        // at two a second) in 500 s; refusals for much longer mean that somebody else uses the account up, and that a
        // person should know.
        Class::Throttled => {
            Some(Again { tries: u32::MAX, within: secs(900), first: Duration::from_millis(500), most: secs(20) })
        }
        Class::Transient => {
            Some(Again { tries: 5, within: secs(120), first: Duration::from_millis(300), most: secs(10) })
        }
        // A state that is on its way to another one: seconds, for volumes sometimes half a minute.
        Class::Busy => Some(Again { tries: 6, within: secs(90), first: secs(2), most: secs(20) }),
        Class::NotFound if young => Some(Again { tries: u32::MAX, within: secs(300), first: secs(1), most: secs(15) }),
        Class::NotFound
        | Class::Capacity
        | Class::Quota
        | Class::Denied
        | Class::Credentials
        | Class::Protected
        | Class::TokenMismatch
        | Class::TokenSpent
        | Class::Invalid => None,
    }
}

/// The slowest that throttling makes a family, as a share of its published rate.
pub const SLOWEST: f64 = 1.0 / 16.0;

/// What each success gives back to a slowed family, as a share of its published rate.
pub const RECOVERY: f64 = 0.05;

/// AWS's published buckets for an account and a region: (requests, resources). The numbers and their source stand in
/// [`evenkeel_core::pace`], for a plan says by them how long it takes at least. SSM and STS publish rates of their own,
/// higher than what a run asks of them; 40 and 20 a second are well below.
pub fn published() -> BTreeMap<Family, (Bucket, Option<Bucket>)> {
    let full = |p: Pace| Bucket::new(p.bucket.into(), p.rate.into());
    BTreeMap::from([
        (Family::Read, (Bucket::new(100.0, 20.0), None)),
        (Family::Mutate, (full(pace::MUTATE), None)),
        (Family::Tags, (full(pace::TAGS), None)),
        (Family::Volumes, (full(pace::VOLUMES), None)),
        (Family::Modify, (full(pace::MODIFY), None)),
        (Family::Run, (full(pace::RUN), Some(full(pace::RUN_OF)))),
        (Family::Start, (full(pace::RUN), Some(full(pace::RUN_OF)))),
        (Family::Stop, (full(pace::STOP), Some(full(pace::END_OF)))),
        (Family::Terminate, (full(pace::TERMINATE), Some(full(pace::END_OF)))),
        (Family::Other, (Bucket::new(40.0, 20.0), None)),
        // What kubectl allows itself; beyond it the server's own priority and fairness decides.
        (Family::Cluster, (Bucket::new(300.0, 50.0), None)),
    ])
}
