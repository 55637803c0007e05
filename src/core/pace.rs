//! AWS's published request limits: how many calls of a sort at once, and how many more a second.
//!
//! Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API",
//! <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>, tables "Request token bucket sizes and
//! refill rates" and "Resource token bucket sizes and refill rates". They hold for an account and a region. No run goes
//! faster, so what a plan says of its time is a bound; it refuses to guess how long anything takes to boot.

use std::collections::BTreeMap;

use crate::address::Kind;
use crate::plan::{Call, Do, Step};

/// A token bucket as published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Tokens in the full bucket: calls, or objects that they are about.
    pub bucket: u32,
    /// Tokens that come in a second; at least 1.
    pub rate: u32,
}

const fn pace(bucket: u32, rate: u32) -> Pace {
    Pace { bucket, rate }
}

/// `RunInstances`, and separately `StartInstances`.
pub const RUN: Pace = pace(5, 2);
/// Instances of `RunInstances`, and separately those of `StartInstances`.
pub const RUN_OF: Pace = pace(1000, 2);
/// `StopInstances`.
pub const STOP: Pace = pace(50, 5);
/// `TerminateInstances`.
pub const TERMINATE: Pace = pace(100, 5);
/// Instances of `StopInstances`, and separately those of `TerminateInstances`.
pub const END_OF: Pace = pace(1000, 20);
/// `CreateTags` and `DeleteTags` together.
pub const TAGS: Pace = pace(100, 10);
/// `CreateVolume` and `DeleteVolume` together.
pub const VOLUMES: Pace = pace(100, 5);
/// `ModifyInstanceMetadataOptions`, `AssociateIamInstanceProfile` and its like together.
pub const MODIFY: Pace = pace(100, 5);
/// Every other changing call together: `AttachVolume`, `ModifyVolume`, `ModifyInstanceAttribute` …
pub const MUTATE: Pace = pace(50, 5);

impl Pace {
    /// The least time that `n` tokens take from a full bucket, in milliseconds.
    pub fn least_ms(self, n: u32) -> u64 {
        u64::from(n.saturating_sub(self.bucket)) * 1000 / u64::from(self.rate.max(1))
    }
}

/// What is asked of one account and region.
#[derive(Default)]
struct Asked {
    run: (u32, u32),
    start: (u32, u32),
    stop: (u32, u32),
    terminate: (u32, u32),
    tags: u32,
    volumes: u32,
    modify: u32,
    mutate: u32,
}

/// The least time that these steps take under the published limits, in milliseconds: that of the bucket which they
/// empty furthest. Each step counts as the one wire call that it makes at least.
pub fn least_ms(steps: &[Step]) -> u64 {
    let mut scopes: BTreeMap<&str, Asked> = BTreeMap::new();
    let some = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    for step in steps {
        let asked = scopes.entry(&step.scope).or_default();
        let add = |to: &mut (u32, u32), n: usize| *to = (to.0 + 1, to.1.saturating_add(some(n)));
        match &step.does {
            Do::Wait(_) => {}
            Do::Call(call) => match call {
                Call::Launch(launch) => add(&mut asked.run, launch.tag.slots.len() as usize),
                Call::Start(ids) => add(&mut asked.start, ids.len()),
                Call::Stop(ids) => add(&mut asked.stop, ids.len()),
                Call::Terminate(ids) => add(&mut asked.terminate, ids.len()),
                Call::Tag { .. } => asked.tags += 1,
                Call::CreateVolume(_) | Call::DeleteVolume(_) => asked.volumes += 1,
                Call::Change { kind: Kind::Machines, fields, .. }
                    if fields.keys().all(|f| f == "metadata" || f == "instance-profile") =>
                {
                    asked.modify += 1;
                }
                // Protection of a volume is a tag.
                Call::Change { kind: Kind::Volumes, fields, .. } if fields.keys().all(|f| f == "protect") => {
                    asked.tags += 1;
                }
                Call::Change { .. } | Call::Attach { .. } | Call::Detach { .. } => asked.mutate += 1,
                // A cluster's own flow control, which no client can know, decides how long these take.
                Call::Object(_) => {}
            },
        }
    }
    let least = |a: &Asked| {
        [
            RUN.least_ms(a.run.0),
            RUN_OF.least_ms(a.run.1),
            RUN.least_ms(a.start.0),
            RUN_OF.least_ms(a.start.1),
            STOP.least_ms(a.stop.0),
            END_OF.least_ms(a.stop.1),
            TERMINATE.least_ms(a.terminate.0),
            END_OF.least_ms(a.terminate.1),
            TAGS.least_ms(a.tags),
            VOLUMES.least_ms(a.volumes),
            MODIFY.least_ms(a.modify),
            MUTATE.least_ms(a.mutate),
        ]
        .into_iter()
        .max()
        .unwrap_or(0)
    };
    scopes.values().map(least).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Target;

    fn steps(scope: &str, n: u32, does: impl Fn(u32) -> Call) -> Vec<Step> {
        let one = |i| Step { scope: scope.to_owned(), needs: vec![], changes: vec![], does: Do::Call(does(i)) };
        (0..n).map(one).collect()
    }

    #[test]
    fn calls_of_different_sorts_and_places_do_not_wait_for_each_other() {
        let delete = |i: u32| Call::DeleteVolume(format!("vol-{i}"));
        let attach = |i: u32| Call::Attach {
            volume: Target::Id(format!("vol-{i}")),
            machine: Target::Id(format!("i-{i}")),
            device: "/dev/sdf".to_owned(),
        };
        assert_eq!(least_ms(&steps("", 100, delete)), 0, "a full bucket");
        assert_eq!(least_ms(&steps("", 1000, delete)), 180_000);
        let both = [steps("", 1000, delete), steps("", 1000, attach)].concat();
        assert_eq!(least_ms(&both), 190_000, "the longer of the two, not the sum");
        let apart = [steps("", 100, delete), steps("west", 100, delete)].concat();
        assert_eq!(least_ms(&apart), 0, "each region has buckets of its own");
        let machines = |_| Call::Terminate((0..1500).map(|i| format!("i-{i}")).collect());
        assert_eq!(least_ms(&steps("", 1, machines)), 25_000);
    }
}
