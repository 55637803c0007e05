//! One wire call. Every request to EC2 goes through [`call`], which counts it and hands it to the engine's
//! [`Caller`]: the budget, the retries and the clock are there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use evenkeel_core::failure::Failure;
use evenkeel_engine::budget::Family;
use evenkeel_engine::caller::{Ask, Caller};

/// How many calls were made, by action; repeated ones included.
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

/// The bucket that a call drinks from. EC2 has one for each action; no family's is larger than that of any of its actions.
pub fn family(action: &str) -> Family {
    match action {
        // Other services than EC2, with budgets of their own.
        "GetCallerIdentity" | "GetParameter" | "GetServiceQuota" => Family::Other,
        "RunInstances" => Family::Run,
        "StartInstances" => Family::Start,
        "StopInstances" => Family::Stop,
        "TerminateInstances" => Family::Terminate,
        "CreateTags" | "DeleteTags" => Family::Tags,
        "CreateVolume" | "DeleteVolume" => Family::Volumes,
        "ModifyInstanceMetadataOptions" | "AssociateIamInstanceProfile" | "DisassociateIamInstanceProfile" => {
            Family::Modify
        }
        list if list.starts_with("Describe") => Family::Read,
        _ => Family::Mutate,
    }
}

/// Makes one call as often as `caller` allows, each time counted in `calls`.
pub(crate) async fn call<T, F>(
    caller: &Caller,
    calls: &Calls,
    action: &str,
    ask: Ask<'_>,
    mut make: impl FnMut() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    caller
        .call(ask, || {
            calls.count(action);
            make()
        })
        .await
}
