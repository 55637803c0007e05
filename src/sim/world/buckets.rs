//! Rate limits: one token bucket a call, of the sizes AWS publishes.
//!
//! Numbers: <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>, the tables "Request token bucket
//! sizes and refill rates" and "Resource token bucket sizes and refill rates", and for SSM's GetParameter its default
//! of 40 a second: <https://docs.aws.amazon.com/general/latest/gr/ssm.html>. STS is not limited here.

use evenkeel_core::failure::{Class, Failure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::World;
use crate::action::Action;

/// A bucket that is not full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bucket {
    /// Tokens left at `at`.
    pub tokens: f64,
    /// When that was counted.
    pub at: Timestamp,
}

/// Size, and tokens a second.
type Rate = (f64, f64);

/// How much one call takes, beyond its one request token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// A list with neither filter, page size nor ids: the smaller bucket.
    pub(crate) unfiltered: bool,
    /// Machines started, stopped or terminated by it.
    pub(crate) machines: u32,
}

fn request_rate(action: Action, unfiltered: bool) -> Option<Rate> {
    use Action::*;
    Some(match action {
        // STS publishes none that a run could meet.
        GetCallerIdentity | AssumeRole | GetServiceQuota => return None,
        // A cluster has queues instead of buckets, and no published rate.
        ServerVersion | Discovery | ListObjects | GetObject | ReadLog | DryRunApply | ApplyObject | ForceApply
        | PatchObject | EvictPod | DeleteObject => return None,
        GetParameter => (40.0, 40.0),
        DescribeInstances | DescribeInstanceStatus | DescribeSecurityGroups | DescribeVolumes if unfiltered => {
            (50.0, 10.0)
        }
        DescribeInstances
        | DescribeInstanceStatus
        | DescribeSecurityGroups
        | DescribeVolumes
        | DescribeAvailabilityZones
        | DescribeInstanceAttribute
        | DescribeIamInstanceProfileAssociations
        | DescribeImages
        | DescribeSubnets
        | DescribeInstanceTypes => (100.0, 20.0),
        RunInstances | StartInstances => (5.0, 2.0),
        CreateTags | DeleteTags => (100.0, 10.0),
        TerminateInstances
        | CreateVolume
        | DeleteVolume
        | ModifyInstanceMetadataOptions
        | AssociateIamInstanceProfile
        | DisassociateIamInstanceProfile => (100.0, 5.0),
        StopInstances
        | RebootInstances
        | ModifyInstanceAttribute
        | MonitorInstances
        | UnmonitorInstances
        | ReplaceIamInstanceProfileAssociation
        | ModifyVolume
        | AttachVolume
        | DetachVolume => (50.0, 5.0),
    })
}

fn resource_rate(action: Action) -> Option<Rate> {
    match action {
        Action::RunInstances | Action::StartInstances => Some((1000.0, 2.0)),
        Action::StopInstances | Action::TerminateInstances => Some((1000.0, 20.0)),
        _ => None,
    }
}

impl World {
    /// Takes what the call costs out of its buckets, or refuses it.
    pub(crate) fn pay(&mut self, action: Action, cost: Cost) -> Result<(), Failure> {
        if !self.limits.throttling {
            return Ok(());
        }
        let mut due = Vec::new();
        if let Some(rate) = request_rate(action, cost.unfiltered) {
            let name = if cost.unfiltered { format!("{action} unfiltered") } else { action.name().to_owned() };
            due.push((name, rate, 1.0));
        }
        if let (Some(rate), 1..) = (resource_rate(action), cost.machines) {
            due.push((format!("{action} machines"), rate, f64::from(cost.machines)));
        }
        let now = self.now;
        let level = |world: &Self, name: &str, (size, refill): Rate| {
            world.buckets.get(name).map_or(size, |b| {
                let seconds = now.duration_since(b.at).as_secs_f64().max(0.0);
                (b.tokens + seconds * refill).min(size)
            })
        };
        if due.iter().any(|(name, rate, price)| level(self, name, *rate) < *price) {
            return Err(Failure::new(Class::Throttled, "RequestLimitExceeded", "Request limit exceeded."));
        }
        for (name, rate, price) in due {
            let tokens = level(self, &name, rate) - price;
            self.buckets.insert(name, Bucket { tokens, at: now });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_empties_the_bucket_and_time_fills_it_again() {
        let mut world = World::founding(1);
        let cost = Cost::default();
        for _ in 0..5 {
            world.pay(Action::RunInstances, Cost { machines: 1, ..cost }).unwrap();
        }
        let refused = world.pay(Action::RunInstances, cost).unwrap_err();
        assert_eq!((refused.class, refused.code.as_str()), (Class::Throttled, "RequestLimitExceeded"));
        world.pay(Action::DescribeInstances, cost).expect("another call has a bucket of its own");
        world.now += jiff::SignedDuration::from_millis(500);
        world.pay(Action::RunInstances, cost).unwrap();
        assert!(world.pay(Action::RunInstances, cost).is_err());
        world.now += jiff::SignedDuration::from_hours(1);
        assert_eq!((0..9).filter(|_| world.pay(Action::RunInstances, cost).is_ok()).count(), 5, "full is full");
    }

    #[test]
    fn no_family_of_the_client_is_larger_than_the_bucket_of_an_action_in_it() {
        let families = evenkeel_engine::limits::published();
        for action in Action::ALL {
            let Some((size, refill)) = request_rate(*action, false) else { continue };
            let (requests, machines) = &families[&evenkeel_ec2::family(action.name())];
            let (ours, fills) = requests.full();
            assert!(ours <= size && fills <= refill, "{action}: {ours} and {fills} a second of {size} and {refill}");
            if let Some((size, refill)) = resource_rate(*action) {
                let (ours, fills) = machines.as_ref().expect("it pays for machines, too").full();
                assert!(
                    ours <= size && fills <= refill,
                    "{action}: {ours} and {fills} a second of {size} and {refill}"
                );
            }
        }
    }

    #[test]
    fn a_thousand_machines_launch_at_once_and_two_a_second_after_that() {
        let mut world = World::founding(1);
        world.pay(Action::RunInstances, Cost { machines: 1000, ..Cost::default() }).unwrap();
        assert!(world.pay(Action::RunInstances, Cost { machines: 1, ..Cost::default() }).is_err());
        world.now += jiff::SignedDuration::from_secs(1);
        world.pay(Action::RunInstances, Cost { machines: 2, ..Cost::default() }).unwrap();
    }

    #[test]
    fn a_list_without_page_or_filter_draws_on_a_smaller_bucket() {
        let mut world = World::founding(1);
        let unfiltered = Cost { unfiltered: true, ..Cost::default() };
        assert_eq!((0..200).filter(|_| world.pay(Action::DescribeVolumes, unfiltered).is_ok()).count(), 50);
        assert_eq!((0..200).filter(|_| world.pay(Action::DescribeVolumes, Cost::default()).is_ok()).count(), 100);
    }
}
