//! Walking lists to their end, and by-id lists past the ids that are gone.
//!
//! A page that fails ends the walk and is told: what was seen so far comes back with the failure, never as if it were
//! all. An id is gone where EC2 says so, and not where an answer leaves it out. Nothing is tried again here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use evenkeel_core::failure::{Class, Failure};

use crate::api::{Page, Query};
use crate::by_id::Named;
use crate::limits;

/// Everything that was seen, and why it may not be all.
#[derive(Debug)]
pub(crate) struct Walked<T> {
    pub(crate) items: Vec<T>,
    pub(crate) failed: Option<Failure>,
}

impl<T> Walked<T> {
    /// All or the failure.
    pub(crate) fn whole(self) -> Result<Vec<T>, Failure> {
        self.failed.map_or(Ok(self.items), Err)
    }
}

/// Every page of `query`. Empty pages on the way are no end, even where the next one is asked for with the same token;
/// a token that comes back after items, [`limits::EMPTY_PAGES`] empty ones in a row, or more than [`limits::PAGES`]
/// pages are a failure.
pub(crate) async fn walk<T, F, Fut>(action: &str, mut query: Query, ask: F) -> Walked<T>
where
    F: Fn(Query) -> Fut,
    Fut: Future<Output = Result<Page<T>, Failure>>,
{
    if query.ids.is_empty() {
        query.max_results = Some(limits::PAGE);
    }
    let mut items = Vec::new();
    let mut tokens = BTreeSet::new();
    let mut in_vain = 0;
    for _ in 0..limits::PAGES {
        let page = match ask(query.clone()).await {
            Ok(page) => page,
            Err(failure) => return Walked { items, failed: Some(failure) },
        };
        let empty = page.items.is_empty();
        // Many pages follow each other; growing by halves again would keep room for pages that never come.
        items.reserve_exact(page.items.len());
        items.extend(page.items);
        let Some(next) = page.next_token.filter(|t| !t.is_empty()) else { return Walked { items, failed: None } };
        if !tokens.insert(next.clone()) && !empty {
            let failure = Failure::new(Class::Invalid, "", format!("{action}: the pages go round in a circle"));
            return Walked { items, failed: Some(failure) };
        }
        in_vain = if empty { in_vain + 1 } else { 0 };
        if in_vain == limits::EMPTY_PAGES {
            let failure =
                Failure::new(Class::Invalid, "", format!("{action}: {in_vain} empty pages in a row and no end"));
            return Walked { items, failed: Some(failure) };
        }
        query.next_token = Some(next);
    }
    let failure = Failure::new(Class::Invalid, "", format!("{action}: no end after {} pages", limits::PAGES));
    Walked { items, failed: Some(failure) }
}

/// Everything of `ids` that exists. EC2 fails the whole call for one unknown id, so the ids that it names are left
/// out, and where it names none, or all, the list is cut in halves until each unknown id stands alone.
///
/// # Errors
/// Any other failure than not found.
pub(crate) async fn by_ids<T, F, Fut>(
    ids: impl IntoIterator<Item = String>,
    at_once: usize,
    ask: F,
) -> Result<Vec<T>, Failure>
where
    F: Fn(Vec<String>) -> Fut,
    Fut: Future<Output = Result<Vec<T>, Failure>>,
{
    let ids: Vec<_> = ids.into_iter().collect();
    let mut todo: Vec<Vec<String>> = ids.chunks(at_once).rev().map(<[String]>::to_vec).collect();
    let mut found = Vec::new();
    while let Some(batch) = todo.pop() {
        match ask(batch.clone()).await {
            Ok(items) => found.extend(items),
            Err(failure) if failure.class == Class::NotFound => {
                if batch.len() == 1 {
                    continue;
                }
                let (_, rest) = split(batch, &failure.says);
                todo.extend(rest);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}

/// What a read by id shows.
#[derive(Debug)]
pub(crate) struct Shown<T> {
    action: &'static str,
    /// What is there.
    pub(crate) items: Vec<T>,
    /// Ids that were neither shown nor refused. EC2 refuses ids that it does not know, so these were not seen, which is
    /// not the same as gone.
    pub(crate) left_out: Vec<String>,
}

impl<T> Shown<T> {
    /// All of it.
    ///
    /// # Errors
    /// When an id is left out.
    pub(crate) fn whole(self) -> Result<Vec<T>, Failure> {
        let Some(first) = self.left_out.first() else { return Ok(self.items) };
        let more = match self.left_out.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        Err(self.neither(&format!("{first}{more}")))
    }

    /// What is there, and why nothing is known of the ids that were left out.
    pub(crate) fn each(self) -> (Vec<T>, BTreeMap<String, Failure>) {
        let unseen = self.left_out.iter().map(|id| (id.clone(), self.neither(id))).collect();
        (self.items, unseen)
    }

    fn neither(&self, whom: &str) -> Failure {
        let says = format!("{} was asked for {whom}, and neither shows nor refuses it", self.action);
        Failure::new(Class::Transient, "", says)
    }
}

/// [`by_ids`], and which of them were left out.
///
/// # Errors
/// Any failure but not found.
pub(crate) async fn shown_by_ids<T, F, Fut>(
    action: &'static str,
    ids: impl IntoIterator<Item = String>,
    at_once: usize,
    ask: F,
) -> Result<Shown<T>, Failure>
where
    T: Named,
    F: Fn(Vec<String>) -> Fut,
    Fut: Future<Output = Result<Vec<T>, Failure>>,
{
    let left_out = Mutex::new(Vec::new());
    let asked = |batch: Vec<String>| {
        let (answer, left_out) = (ask(batch.clone()), &left_out);
        async move {
            let items = answer.await?;
            let shown: BTreeSet<&str> = items.iter().map(Named::id).collect();
            let missing = batch.into_iter().filter(|id| !shown.contains(id.as_str()));
            left_out.lock().unwrap_or_else(PoisonError::into_inner).extend(missing);
            Ok(items)
        }
    };
    let items = by_ids(ids, at_once, asked).await?;
    Ok(Shown { action, items, left_out: left_out.into_inner().unwrap_or_else(PoisonError::into_inner) })
}

/// Cuts a refused batch: (the ids that the words name, the batches that may still do). Where the words name none or
/// all, nothing is known and the batches are its halves.
pub(crate) fn split(batch: Vec<String>, says: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let words: BTreeSet<&str> =
        says.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|w| !w.is_empty()).collect();
    let (named, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(|id| words.contains(id.as_str()));
    if named.is_empty() || others.is_empty() {
        let mut all = if named.is_empty() { others } else { named };
        let half = all.split_off(all.len() / 2);
        return (Vec::new(), [half, all].into_iter().filter(|b| !b.is_empty()).collect());
    }
    (named, vec![others])
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn ids(all: &[&str]) -> Vec<String> {
        all.iter().map(|s| (*s).to_owned()).collect()
    }

    /// Walks over these pages: items and next token.
    async fn over(pages: Vec<(Vec<u32>, Option<&str>)>) -> (Walked<u32>, Vec<Query>) {
        let (pages, asked) = (RefCell::new(pages.into_iter()), RefCell::new(Vec::new()));
        let walked = walk("List", Query::default(), |q| {
            asked.borrow_mut().push(q);
            let page = pages.borrow_mut().next();
            async move {
                let (items, next) = page.ok_or_else(|| Failure::new(Class::Denied, "", "no more"))?;
                Ok(Page { items, next_token: next.map(str::to_owned) })
            }
        })
        .await;
        (walked, asked.into_inner())
    }

    #[tokio::test]
    async fn empty_pages_are_no_end() {
        let (walked, asked) = over(vec![
            (vec![], Some("a")),
            (vec![1], Some("b")),
            (vec![], Some("b")),
            (vec![], Some("c")),
            (vec![2], Some("")),
        ])
        .await;
        assert_eq!(walked.whole().unwrap(), [1, 2]);
        assert_eq!(asked.iter().filter(|q| q.max_results == Some(limits::PAGE)).count(), 5);
        assert_eq!(asked[1].next_token.as_deref(), Some("a"));
    }

    #[tokio::test]
    async fn what_was_seen_before_a_failure_is_kept_and_not_called_whole() {
        let (walked, _) = over(vec![(vec![1], Some("a"))]).await;
        assert_eq!(walked.items, [1]);
        assert_eq!(walked.whole().unwrap_err().class, Class::Denied);
        let (round, _) = over(vec![(vec![1], Some("a")), (vec![2], Some("a"))]).await;
        assert_eq!(round.whole().unwrap_err().class, Class::Invalid);
    }

    /// Walks a list without an end: how many calls that took, and what came of it.
    async fn endless(page: impl Fn(usize) -> Vec<u32>) -> (usize, Walked<u32>) {
        let calls = RefCell::new(0);
        let walked = walk("List", Query::default(), |_| {
            *calls.borrow_mut() += 1;
            let call = *calls.borrow();
            let page = Page { items: page(call), next_token: Some(call.to_string()) };
            async { Ok(page) }
        })
        .await;
        (calls.into_inner(), walked)
    }

    #[tokio::test]
    async fn a_list_without_end_is_given_up() {
        let (calls, walked) = endless(|_| vec![1]).await;
        assert!(walked.failed.is_some());
        assert_eq!(calls, limits::PAGES);
    }

    #[tokio::test]
    async fn empty_pages_without_end_are_given_up_early_and_are_no_smaller_list() {
        let (calls, walked) = endless(|call| if call <= 2 { vec![1] } else { vec![] }).await;
        assert_eq!((calls, walked.items.len()), (2 + limits::EMPTY_PAGES, 2));
        let failure = walked.whole().unwrap_err();
        assert_eq!((failure.class, failure.says.contains("empty pages")), (Class::Invalid, true));
        // Between pages that show something any number may be empty.
        let (calls, _) = endless(|call| if call % limits::EMPTY_PAGES == 0 { vec![1] } else { vec![] }).await;
        assert_eq!(calls, limits::PAGES);
    }

    #[derive(Debug, PartialEq)]
    struct One(&'static str);

    impl Named for One {
        fn id(&self) -> &str {
            self.0
        }
    }

    #[tokio::test]
    async fn an_id_is_gone_where_it_is_refused_and_not_where_an_answer_leaves_it_out() {
        let ask = |shows: fn(&[String]) -> Vec<One>| async move {
            shown_by_ids("List", ids(&["i-1", "i-2", "i-3"]), 9, |batch| async move {
                if batch.iter().any(|id| id == "i-2") {
                    return Err(Failure::new(Class::NotFound, "InvalidInstanceID.NotFound", "'i-2' does not exist"));
                }
                Ok(shows(&batch))
            })
            .await
            .unwrap()
        };
        assert_eq!(ask(|_| vec![One("i-1"), One("i-3")]).await.whole().unwrap(), [One("i-1"), One("i-3")]);
        assert_eq!(ask(|_| vec![One("i-1")]).await.left_out, ["i-3"]);
        let failure = ask(|_| vec![One("i-1")]).await.whole().unwrap_err();
        assert_eq!((failure.class, failure.says.contains("i-3")), (Class::Transient, true), "{failure}");
        let failure = ask(|_| Vec::new()).await.whole().unwrap_err();
        assert!(failure.says.contains("i-1 and 1 more"), "{failure}");
    }

    #[test]
    fn a_refusal_is_cut_where_it_names_somebody() {
        let batch = || ids(&["i-1", "i-12", "i-3"]);
        let (named, rest) = split(batch(), "The instance IDs 'i-12, i-99' do not exist");
        assert_eq!((named, rest), (ids(&["i-12"]), vec![ids(&["i-1", "i-3"])]), "i-1 is not named by i-12");
        let (named, rest) = split(batch(), "no");
        assert_eq!((named, rest), (vec![], vec![ids(&["i-12", "i-3"]), ids(&["i-1"])]));
        let (named, rest) = split(batch(), "i-1 i-12 i-3");
        assert_eq!((named, rest.len()), (vec![], 2), "a server that names all has named none");
    }
}
