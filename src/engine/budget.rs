//! How fast one family of calls may go: a token bucket that throttling slows and success speeds up again.
//!
//! Pure: it is told the time. The `governor` crate is not used here, because its quota is fixed once made (a
//! throttled client must slow down) and it can only wait on the machine's own clock, not on the sim's.

use std::time::Duration;

use jiff::Timestamp;

use crate::limits;

/// Calls that share a bucket. EC2 gives every action a bucket of its own; actions with equal sizes that a run seldom
/// mixes share one here, which can only make us slower, never too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `Describe…`, with a filter, a page size or ids.
    Read,
    /// `RunInstances`; also pays for each instance.
    Run,
    /// `StartInstances`; also pays for each instance.
    Start,
    /// `StopInstances`; also pays for each instance.
    Stop,
    /// `TerminateInstances`; also pays for each instance.
    Terminate,
    /// `CreateTags`, `DeleteTags`.
    Tags,
    /// `CreateVolume`, `DeleteVolume`.
    Volumes,
    /// `ModifyInstanceMetadataOptions`, `AssociateIamInstanceProfile`, `DisassociateIamInstanceProfile`.
    Modify,
    /// Every other changing call: `AttachVolume`, `DetachVolume`, `ModifyVolume`, `ModifyInstanceAttribute` …
    Mutate,
    /// STS and SSM.
    Other,
    /// A Kubernetes API server.
    Cluster,
}

/// A token bucket. Its tokens may go below zero: that is what those who wait have been promised already, so that
/// who asks first goes first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    size: f64,
    full_rate: f64,
    rate: f64,
    tokens: f64,
    at: Option<Timestamp>,
}

impl Bucket {
    /// A full bucket of `size` tokens that gains `rate` tokens a second. Both are at least a thousandth.
    pub fn new(size: f64, rate: f64) -> Self {
        let (size, rate) = (size.max(1e-3), rate.max(1e-3));
        Self { size, full_rate: rate, rate, tokens: size, at: None }
    }

    /// Takes `n` tokens and says how long to wait until they are there; at most an hour.
    pub fn take(&mut self, n: f64, now: Timestamp) -> Duration {
        self.fill(now);
        self.tokens -= n;
        Duration::from_secs_f64((-self.tokens / self.rate).clamp(0.0, 3600.0))
    }

    /// Gives back what was taken for something that did not happen.
    pub fn refund(&mut self, n: f64) {
        self.tokens = (self.tokens + n).min(self.size);
    }

    /// There is nothing in it, whatever was counted here: others drink from the server's bucket, too.
    pub fn drain(&mut self, now: Timestamp) {
        self.fill(now);
        self.tokens = self.tokens.min(0.0);
    }

    /// It refills half as fast as before, down to a floor.
    pub fn slow(&mut self, now: Timestamp) {
        self.fill(now);
        self.rate = (self.rate / 2.0).max(self.full_rate * limits::SLOWEST);
    }

    /// A call went well.
    pub fn recover(&mut self) {
        self.rate = (self.rate + self.full_rate * limits::RECOVERY).min(self.full_rate);
    }

    /// Its size, and tokens a second while nothing slows it.
    pub fn full(&self) -> (f64, f64) {
        (self.size, self.full_rate)
    }

    /// Tokens a second, now.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    fn fill(&mut self, now: Timestamp) {
        // A clock that was set back gives nothing; one that was set forward fills the bucket, no more.
        let since = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0));
        self.tokens = (self.tokens + since * self.rate).min(self.size);
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_burst_is_free_and_the_rest_comes_at_the_rate() {
        let mut b = Bucket::new(3.0, 2.0);
        let waits: Vec<_> = (0..5).map(|_| b.take(1.0, at(0)).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 500, 1000]);
        assert_eq!(b.take(1.0, at(3000)).as_millis(), 0, "4 tokens came in, 2 were promised, 1 is taken");
    }

    #[test]
    fn a_clock_that_jumps_neither_gives_nor_takes_more_than_a_bucket() {
        let mut b = Bucket::new(2.0, 1.0);
        b.take(2.0, at(10_000));
        assert_eq!(b.take(0.0, at(0)).as_millis(), 0);
        assert_eq!(b.take(1.0, at(0)).as_millis(), 1000, "set back: no token");
        assert_eq!(b.take(1.0, at(9_000_000)).as_millis(), 0, "far forward: a full bucket");
        assert_eq!(b.take(2.0, at(9_000_000)).as_millis(), 1000);
    }

    #[test]
    fn throttling_slows_down_to_a_floor_and_success_brings_the_rate_back() {
        let mut b = Bucket::new(100.0, 16.0);
        b.drain(at(0));
        b.slow(at(0));
        assert!((b.rate() - 8.0).abs() < 1e-9);
        assert_eq!(b.take(1.0, at(0)).as_millis(), 125, "the burst is gone");
        (0..50).for_each(|_| b.slow(at(0)));
        assert!((b.rate() - 1.0).abs() < 1e-9);
        (0..100).for_each(|_| b.recover());
        assert!((b.rate() - 16.0).abs() < 1e-9);
    }
}
