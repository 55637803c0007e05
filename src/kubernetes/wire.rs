//! Wire calls, counted by look: each passes the caller, which counts, waits and retries.

use std::future::Future;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_engine::budget::Family;
use evenkeel_engine::caller::{Ask, Caller};

use crate::api::{Cause, ClusterRead, PAGE, Page, Query, Refusal, Resource};
use crate::limits;
use crate::node::KEPT;

/// One request, as often as its failures allow.
pub async fn call<T, F>(caller: &Caller, action: &str, make: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    caller.call(Ask::new(action, Family::Cluster), make).await
}

/// The same for requests whose refusals have causes: those of the last try. What the server refused for good is not
/// tried again, although its class may be one that waiting can help elsewhere.
pub async fn asking<T, F>(caller: &Caller, action: &str, mut make: impl FnMut() -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
{
    let answer = caller
        .call(Ask::new(action, Family::Cluster), || {
            let one = make();
            async move {
                match one.await {
                    Ok(done) => Ok(Ok(done)),
                    Err(refusal) if is_final(&refusal) => Ok(Err(refusal)),
                    Err(refusal) => Err(refusal.failure),
                }
            }
        })
        .await;
    answer.map_err(Refusal::from)?
}

/// A conflict with another manager, or over a uid, is there to stay; what a budget says is asked again by whoever drains.
fn is_final(refusal: &Refusal) -> bool {
    match refusal.failure.class {
        Class::Busy => refusal.failure.code == "Conflict" || refusal.failure.code == KEPT,
        Class::Throttled | Class::Transient => false,
        Class::Capacity
        | Class::Quota
        | Class::Denied
        | Class::Credentials
        | Class::NotFound
        | Class::Protected
        | Class::TokenMismatch
        | Class::TokenSpent
        | Class::Invalid => true,
    }
}

/// A refusal in words: the server's own, and the fields it blames where the words leave them out.
pub fn words(refusal: Refusal) -> Failure {
    let Refusal { mut failure, causes } = refusal;
    let unsaid = |c: &&Cause| !c.field.is_empty() && !failure.says.contains(c.field.trim_start_matches('.'));
    let more: Vec<String> = causes.iter().filter(unsaid).map(|c| format!("{}: {}", c.field, c.message)).collect();
    if !more.is_empty() {
        failure.says = format!("{} ({})", failure.says, more.join(", "));
    }
    failure
}

/// All pages of a list. A list whose token expires begins anew: half a list says nothing about what is absent.
pub async fn walk<C: ClusterRead + ?Sized>(
    cluster: &C,
    caller: &Caller,
    resource: &Resource,
    query: &Query,
) -> Result<Vec<serde_json::Value>, Failure> {
    let mut restarts = 0;
    'anew: loop {
        let mut all = Vec::new();
        let mut query = Query { limit: PAGE, next: None, ..query.clone() };
        loop {
            let page: Option<Page> = call(caller, "list", || async {
                match cluster.list(resource, &query).await {
                    Ok(page) => Ok(Some(page)),
                    Err(failure) if failure.code == "Expired" => Ok(None),
                    Err(failure) => Err(failure),
                }
            })
            .await?;
            let Some(page) = page else {
                restarts += 1;
                if restarts > limits::RESTARTS {
                    let says = format!("the list of {} was cut off again and again", resource.plural);
                    return Err(Failure::new(Class::Transient, "Expired", says));
                }
                continue 'anew;
            };
            all.extend(page.items);
            match page.next {
                Some(next) if Some(&next) == query.next.as_ref() => {
                    let says = format!("the list of {} gives the same page again and again", resource.plural);
                    return Err(Failure::new(Class::Transient, "", says));
                }
                Some(next) => query.next = Some(next),
                None => return Ok(all),
            }
        }
    }
}
