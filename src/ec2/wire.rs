//! One wire call. Every request to EC2 goes through [`Wire::call`], so that counting, and whatever else must see
//! each of them, stands in one place.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use evenkeel_core::failure::Failure;

/// What a method of [`crate::api::Ec2Read`] returns.
pub(crate) type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// How many calls were made, by action.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<BTreeMap<String, u32>>);

impl Calls {
    /// One more.
    pub(crate) fn count(&self, action: &str) {
        // Counting cannot leave the map half changed, so a poisoned lock is as good as a clean one.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(action.to_owned()).or_default() += 1;
    }

    /// All so far.
    pub(crate) fn so_far(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where calls pass.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// All calls of this provider's life.
    pub(crate) calls: Calls,
}

impl Wire {
    /// Makes one call, named as AWS names it, counted here and in `calls`.
    pub(crate) async fn call<'a, T>(
        &self,
        calls: &Calls,
        action: &str,
        make: impl Fn() -> Asked<'a, T> + Send + Sync,
    ) -> Result<T, Failure> {
        calls.count(action);
        self.calls.count(action);
        make().await
    }
}
