//! Waiting for what is there already: no change of a run made it, and yet it is not what it should be.
//!
//! It changes nothing and writes no journal: what is lost by a crash is a wait, and the next run waits again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::plan::Until;

use crate::clock::Clock;
use crate::limits::Limits;
use crate::provider::{Looked, Provider};
use crate::waiting::{Awaited, Verdict, Watch};

/// One thing to wait for until it is ready.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its scope's alias.
    pub scope: String,
    /// Its id.
    pub id: String,
    /// As people know it.
    pub name: String,
    /// It fails so many seconds later.
    pub within: u64,
}

/// Waits until all of it is ready or will not be; what is seen meanwhile is told. What failed comes back.
pub async fn settle(
    providers: &BTreeMap<String, Arc<dyn Provider>>,
    wanted: &[Wanted],
    clock: &dyn Clock,
    limits: &Limits,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Vec<Failure> {
    let mut failed = Vec::new();
    let began = clock.now();
    let watch = |w: &Wanted| {
        let awaited = Awaited { id: w.id.clone(), name: w.name.clone(), young: false, home: None, doomed: false };
        (w.scope.clone(), Watch::new(vec![awaited], Until::Ready, w.within, began))
    };
    let mut watches: Vec<(String, Watch)> = wanted.iter().map(watch).collect();
    let mut pause = limits.look_first;
    while !watches.is_empty() {
        let mut moved = false;
        let scopes: BTreeSet<String> = watches.iter().map(|(scope, _)| scope.clone()).collect();
        for scope in scopes {
            let ids: BTreeSet<String> =
                watches.iter().filter(|(s, _)| *s == scope).flat_map(|(_, w)| w.ids()).cloned().collect();
            let seen: Result<Looked, Failure> = match providers.get(&scope) {
                Some(provider) => provider.look(&ids).await,
                None => Err(Failure::new(Class::Invalid, "", format!("no provider for the scope `{scope}`"))),
            };
            let now = clock.now();
            let seen = seen.as_ref().map(Looked::shown);
            watches.retain_mut(|(s, watch)| {
                if *s != scope {
                    return true;
                }
                let verdict = match &seen {
                    Ok(shown) => watch.look(shown, now, limits),
                    Err(failure) => watch.blind(failure, now, limits),
                };
                moved |= verdict != Verdict::Not(None);
                match verdict {
                    Verdict::Not(shows) => {
                        shows.iter().flatten().for_each(|line| tell(line));
                        true
                    }
                    Verdict::Met => false,
                    Verdict::Enough(shows) => {
                        shows.iter().for_each(|line| tell(line));
                        false
                    }
                    Verdict::Never(failure) | Verdict::Partly(failure, _) => {
                        failed.push(failure);
                        false
                    }
                }
            });
        }
        let now = clock.now();
        let Some(due) = watches.iter().map(|(_, w)| w.due(now)).min() else { break };
        pause = if moved { limits.look_first } else { (pause * limits.look_growth / 100).min(limits.look_most) };
        clock.sleep(pause.min(due.duration_since(now).unsigned_abs())).await;
    }
    failed
}
