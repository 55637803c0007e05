//! Tries a plan's calls out before it is carried out, and writes the ledger.
//!
//! Nothing is changed and nothing is journalled: a provider that cannot rehearse says so, and so does the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel_core::failure::Class;
use evenkeel_core::plan::{Call, Plan};
use evenkeel_core::rehearsal::{
    Finding, Ledger, Program, Rooms, Trial, Trouble, addresses, crowded, limited, needs, program,
};
use futures::StreamExt;

use crate::limits::Limits;
use crate::provider::{Payloads, Provider, Rehearsed};

/// What no rehearsal looks at: EC2 answers a dry run out of permissions and parameters alone.
const NEVER: &str = "volume quotas, capacity and the state that things are in: no dry run looks at them";

/// Rehearses a plan.
pub async fn rehearse(providers: &BTreeMap<String, Arc<dyn Provider>>, plan: &Plan, payloads: &Payloads) -> Ledger {
    let Program { trials, not_yet, too_many } = program(plan);
    let ask = |trial: Trial| async move {
        let answer = match providers.get(&trial.scope) {
            Some(provider) => provider.rehearse(&trial.call, payloads).await,
            None => Rehearsed::default(),
        };
        (trial, answer)
    };
    // In the order of the steps, so that the same situation gives the same ledger.
    let answers: Vec<(Trial, Rehearsed)> =
        futures::stream::iter(trials).map(ask).buffered(Limits::default().in_flight).collect().await;
    let mut ledger = Ledger::default();
    let mut rooms = Rooms::new();
    let (mut not_asked, mut no_room) = (0, 0);
    for (trial, Rehearsed { asked, refused, room }) in answers {
        let launch = if let Call::Launch(l) = &trial.call { l.places.first() } else { None };
        if asked {
            ledger.tried += 1;
        } else {
            not_asked += trial.steps.len();
        }
        match (launch, room) {
            (Some(place), Some(room)) => drop(rooms.insert((trial.scope.clone(), place.clone()), room)),
            (Some(_), None) => no_room += 1,
            (None, _) => {}
        }
        let addresses = addresses(plan, &trial.steps);
        ledger.findings.extend(refused.into_iter().map(|failure| Finding {
            steps: trial.steps.clone(),
            addresses: addresses.clone(),
            trouble: Trouble::Refused(failure),
        }));
    }
    ledger.findings.extend(crowded(plan, &rooms));
    hold_against_limits(providers, plan, &mut ledger).await;
    let subnets = if no_room == 1 { "subnet" } else { "subnets" };
    if no_room > 0 {
        ledger.unchecked.push(format!("free addresses of {no_room} {subnets} that could not be seen"));
    }
    let counted = [
        (not_yet as usize, "that name what the plan itself makes"),
        (too_many as usize, "like others that were tried"),
        (not_asked, "that the provider cannot be asked about"),
    ];
    ledger.unchecked.push(NEVER.to_owned());
    ledger.unchecked.extend(counted.iter().filter(|(n, _)| *n > 0).map(|(n, which)| {
        let calls = if *n == 1 { "call" } else { "calls" };
        format!("{n} {calls} {which}")
    }));
    ledger
}

/// Holds what is launched against what the account may have. A limit that cannot be asked for is no trouble ahead.
async fn hold_against_limits(providers: &BTreeMap<String, Arc<dyn Provider>>, plan: &Plan, ledger: &mut Ledger) {
    for needs in needs(plan) {
        let types: BTreeSet<String> = needs.types.keys().cloned().collect();
        let limit = match providers.get(&needs.scope) {
            Some(provider) => provider.limit(&types, needs.spot).await,
            None => Ok(None),
        };
        let others = match limit {
            Ok(limit) => {
                let known = |t: &String| limit.as_ref().is_some_and(|l| l.each.contains_key(t));
                let others: Vec<String> = types.into_iter().filter(|t| !known(t)).collect();
                ledger.findings.extend(limit.and_then(|limit| limited(plan, &needs, &limit)));
                others
            }
            Err(failure) => {
                ledger.unchecked.push(format!("the account's limit on vCPUs ({failure})"));
                Vec::new()
            }
        };
        if !others.is_empty() {
            ledger.unchecked.push(format!("the account's limit on {}", others.join(", ")));
        }
    }
}

/// Whether the ledger tells of trouble in asking, rather than of trouble ahead.
pub fn is_blind(ledger: &Ledger) -> bool {
    ledger.findings.iter().any(|f| match &f.trouble {
        Trouble::Refused(failure) => match failure.class {
            Class::Throttled | Class::Transient | Class::Credentials => true,
            Class::Capacity
            | Class::Quota
            | Class::Denied
            | Class::NotFound
            | Class::Busy
            | Class::Protected
            | Class::TokenMismatch
            | Class::TokenSpent
            | Class::Invalid => false,
        },
        Trouble::Crowded { .. } | Trouble::Limited { .. } => false,
    })
}
