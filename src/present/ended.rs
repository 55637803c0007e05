//! What came of a run: what is done, what failed and why, what was refused or left out, and what to do next.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Address, Kind};
use evenkeel_core::event::Outcome;
use evenkeel_core::failure::Failure;
use evenkeel_core::plan::{Action, Change, Why};
use evenkeel_core::progress::{Standing, State};
use serde::Serialize;

use crate::document::{Doc, Rank, Role, Row, Tail, Text};
use crate::failure::{Context, Explained, common, explain};
use crate::plan::Names;
use crate::plan_json::does;
use crate::steps::{addresses, addresses_of, doing, doing_to, listed, together};
use crate::tally::Tally;
use crate::words::{count, number, since};

/// The JSON schema's name and version.
pub const FORMAT: &str = "evenkeel.result/1";

/// What came of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: &'static str,
    /// `complete`, `partial`, `interrupted`.
    pub outcome: Outcome,
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// How long it took, in seconds.
    pub seconds: i64,
    /// Changes that are done.
    pub done: Vec<Address>,
    /// What failed, equal failures together.
    pub failed: Vec<Failed>,
    /// What was refused, by reason.
    pub refused: Vec<Because>,
    /// What was left out, by reason.
    pub skipped: Vec<Because>,
    /// Steps in flight when the run was told to stop, in words.
    pub in_flight: Vec<String>,
    /// Changes that have begun and are not done.
    pub under_way: Vec<Address>,
    /// Changes that had not begun.
    pub not_begun: Vec<Address>,
    /// What to do next; empty when all is done.
    pub next: String,
    /// Changes that earlier attempts had done already.
    pub done_before: u32,
    #[serde(skip)]
    words: Words,
}

/// The words that need the plan's names.
#[derive(Debug, Default)]
struct Words {
    refused: Vec<String>,
    skipped: Vec<String>,
    in_flight: Vec<String>,
    took: String,
}

/// A failure, with everything that it hit.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Whose.
    pub addresses: Vec<Address>,
    /// What was being done, what went wrong, and the way out.
    #[serde(flatten)]
    pub explained: Explained,
}

/// A reason, with everything that it hit.
#[derive(Debug, Serialize)]
pub struct Because {
    /// Whose.
    pub addresses: Vec<Address>,
    /// In words.
    pub because: String,
}

impl Report {
    /// Of this run.
    pub(crate) fn of(tally: &Tally, names: &Names) -> Self {
        let (plan, progress) = (tally.plan(), tally.progress());
        let standing = |s: Standing| {
            let of = (0u32..).zip(&plan.changes).filter(|(i, _)| tally.standing(*i) == s);
            of.map(|(_, c)| c.address.clone()).collect::<Vec<_>>()
        };
        let refused = progress.refused().iter().filter_map(|(change, because)| {
            let address = plan.changes.get(*change as usize)?.address.clone();
            Some((because.as_str(), vec![address]))
        });
        let refused = by_reason(refused, &standing(Standing::Refused));
        let skipped = (0u32..).zip(&plan.steps).filter_map(|(i, _)| match progress.state(i)? {
            State::Skipped(because) => Some((because.as_str(), addresses(plan, i))),
            State::Waiting | State::Started | State::Done | State::Failed(_) => None,
        });
        let skipped = by_reason(skipped, &standing(Standing::Skipped));
        let names_of = |all: &[Because]| all.iter().map(|b| listed(names, &b.addresses)).collect();
        let flights: Vec<u32> = tally.flights().into_iter().map(|f| f.step).collect();
        let words = Words {
            refused: names_of(&refused),
            skipped: names_of(&skipped),
            in_flight: together(plan, names, flights.iter().copied()),
            took: since(tally.began(), tally.now()),
        };
        let mut report = Self {
            format: FORMAT,
            outcome: tally.outcome().unwrap_or_else(|| progress.outcome()),
            attempt: progress.attempts(),
            seconds: (tally.now().as_second() - tally.began().as_second()).max(0),
            done: standing(Standing::Done),
            failed: failures(tally, names),
            refused,
            skipped,
            in_flight: flights.iter().map(|step| doing(plan, names, *step)).collect(),
            under_way: standing(Standing::Running),
            not_begun: standing(Standing::Waiting),
            next: String::new(),
            done_before: tally.before(),
            words,
        };
        let asked = |c: &Change| c.reasons.iter().all(|r| r.why == Why::Asked) && c.action == Action::Delete;
        // The stack's own mark goes last of all, whatever the reason.
        let mark = |c: &&Change| c.address.group.kind == Kind::Manifests && c.address.group.name == "mark";
        let mut others = plan.changes.iter().filter(|c| !mark(c)).peekable();
        let destroys = others.peek().is_some() && others.all(asked);
        let command = if destroys { "evenkeel destroy" } else { "evenkeel apply" };
        report.next = report.next_words(command);
        report
    }

    fn next_words(&self, command: &str) -> String {
        let passes = self.failed.iter().all(|f| f.explained.passes);
        match self.outcome {
            Outcome::Complete => String::new(),
            Outcome::Interrupted => {
                format!("run `{command}` again: what is done stays done, what was in flight is looked at first")
            }
            Outcome::Partial if !passes => {
                format!("do what the way out says, then run `{command}` again: what is done stays done")
            }
            Outcome::Partial if !self.refused.is_empty() => {
                format!("the world moved since the plan: `evenkeel plan` shows how, `{command}` goes on")
            }
            Outcome::Partial => format!("run `{command}` again: what is done stays done"),
        }
    }

    /// The page.
    pub fn page(&self) -> Doc {
        let row = |role: Role, label: &str, text: Text| {
            Row::cells(2, 0, vec![Text::of(role, label)]).tail(Tail::Beside, text)
        };
        let mut rows = Vec::new();
        for Failed { explained: e, .. } in &self.failed {
            rows.push(row(Role::Error, "failed", Text::of(Role::Strong, &e.says)).rank(Rank::Important));
            rows.push(row(Role::Dim, "  says", Text::from(&e.provider)));
            rows.push(row(Role::Dim, "  way out", Text::from(&e.way_out)).rank(Rank::Important));
        }
        let told = |role: Role, label: &'static str, all: &[Because], words: &[String]| {
            let text = |(b, whom): (&Because, &String)| Text::of(Role::Strong, whom).plain(format!(": {}", b.because));
            all.iter().zip(words).map(|pair| row(role, label, text(pair))).collect::<Vec<_>>()
        };
        rows.extend(told(Role::Error, "refused", &self.refused, &self.words.refused));
        rows.extend(told(Role::Warning, "left out", &self.skipped, &self.words.skipped));
        rows.extend(self.words.in_flight.iter().map(|w| row(Role::Warning, "in flight", Text::from(w))));
        if !self.next.is_empty() {
            rows.push(row(Role::Strong, "next", Text::from(&self.next)).rank(Rank::Important));
        }
        let mut doc = Doc { summary: self.summary(), ..Doc::default() };
        doc.push(rows);
        doc
    }

    fn summary(&self) -> Text {
        let done = count(self.done.len() as u64, "change", "changes");
        let took = &self.words.took;
        // What failed may have begun, so only what was refused as a whole left everything as it was.
        let untouched = self.done.is_empty() && self.failed.is_empty() && self.under_way.is_empty();
        let (role, words) = match self.outcome {
            Outcome::Complete if self.done_before > 0 && self.done_before as usize == self.done.len() => {
                (Role::Good, format!("Nothing left to do: this plan was carried out before ({done})."))
            }
            Outcome::Complete if self.done_before > 0 => {
                let before = number(self.done_before.into());
                (Role::Good, format!("Applied: {done}, {before} of them by an earlier run, the rest in {took}."))
            }
            Outcome::Complete => (Role::Good, format!("Applied: {done} in {took}.")),
            Outcome::Partial if untouched => (Role::Error, format!("Nothing applied in {took}")),
            Outcome::Partial => (Role::Error, format!("Applied in part: {done} done in {took}")),
            Outcome::Interrupted => (Role::Warning, format!("Interrupted after {took}: {done} done")),
        };
        let sum = |all: &[Because]| all.iter().map(|b| b.addresses.len() as u64).sum::<u64>();
        let failed: u64 = self.failed.iter().map(|f| f.addresses.len() as u64).sum();
        let rest = [
            (failed, "failed"),
            (sum(&self.refused), "refused"),
            (sum(&self.skipped), "left out"),
            (self.under_way.len() as u64, "under way"),
            (self.not_begun.len() as u64, "not begun"),
        ];
        rest.into_iter()
            .filter(|(n, _)| *n > 0)
            .fold(Text::of(role, words), |text, (n, word)| text.plain(format!(", {} {word}", number(n))))
    }
}

/// The failed steps, those that failed alike told together.
fn failures(tally: &Tally, names: &Names) -> Vec<Failed> {
    let (plan, progress) = (tally.plan(), tally.progress());
    let mut alike: BTreeMap<(&str, &str, String), (Vec<u32>, &Failure)> = BTreeMap::new();
    for (i, step) in (0u32..).zip(&plan.steps) {
        if let Some(State::Failed(failure)) = progress.state(i) {
            let key = (does(&step.does), step.scope.as_str(), common(failure));
            alike.entry(key).or_insert_with(|| (Vec::new(), failure)).0.push(i);
        }
    }
    let told = |(steps, failure): (Vec<u32>, &Failure)| {
        let of = |step: &u32| match progress.lost_by(*step) {
            lost if lost.is_empty() => addresses(plan, *step),
            lost => addresses_of(plan, &lost),
        };
        let mut all: Vec<Address> = steps.iter().flat_map(of).collect();
        all.sort();
        all.dedup();
        let first = &plan.steps[steps[0] as usize];
        let words = match steps.as_slice() {
            [one] if progress.lost_by(*one).is_empty() => doing(plan, names, *one),
            [..] => doing_to(&first.does, &listed(names, &all)),
        };
        let (account, region) =
            plan.basis.scopes.get(&first.scope).map(|(a, r)| (a.as_str(), r.as_str())).unwrap_or_default();
        let context = Context { doing: &words, scope: &first.scope, region, account, profile: "" };
        Failed { addresses: all, explained: explain(failure, context) }
    };
    alike.into_values().map(told).collect()
}

/// By reason, only those that ended so, each said once.
fn by_reason<'a>(all: impl Iterator<Item = (&'a str, Vec<Address>)>, only: &[Address]) -> Vec<Because> {
    let mut left: BTreeSet<&Address> = only.iter().collect();
    let mut reasons: BTreeMap<&str, BTreeSet<Address>> = BTreeMap::new();
    for (because, addresses) in all {
        let mine: Vec<Address> = addresses.into_iter().filter(|a| left.remove(a)).collect();
        if !mine.is_empty() {
            reasons.entry(because).or_default().extend(mine);
        }
    }
    reasons
        .into_iter()
        .map(|(because, all)| Because { addresses: all.into_iter().collect(), because: because.to_owned() })
        .collect()
}
