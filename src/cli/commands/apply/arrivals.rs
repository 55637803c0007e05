//! What is still on its way when nothing is left to do: machines that start, and objects that are not ready. A run waits for
//! it, whoever has begun it.

use std::collections::BTreeMap;

use evenkeel_core::address::Address;
use evenkeel_core::make::Coming;
use evenkeel_core::plan::Plan;
use evenkeel_core::ready::unready;
use evenkeel_core::survey::Member;
use evenkeel_engine::limits::Limits;
use evenkeel_engine::settle::{Wanted, settle};
use evenkeel_present::words::count;
use jiff::Timestamp;

use super::Job;
use crate::exit::{Exit, Halt};
use crate::look::Look;

/// Machines that are named where many are waited for.
const NAMED: usize = 5;

/// What a wait for machines that still start came to.
pub(super) struct Arrived {
    /// What a look then would still change.
    pub(super) left: Plan,
    /// That look.
    pub(super) seen: Look,
    /// Who has not come up, and why.
    pub(super) late: Vec<String>,
}

impl Job<'_> {
    /// Waits for machines that still start, as the run that launched them would have. `since`: when the plan of this
    /// run was made, if it had one.
    pub(super) async fn arrivals(
        &self,
        mut left: Plan,
        mut seen: Look,
        since: Option<Timestamp>,
    ) -> Result<Arrived, Halt> {
        let mut coming = seen.coming(self.project, self.intent);
        let awaited: Vec<Address> = coming.keys().cloned().collect();
        let limits = Limits::default();
        let (until, mut pause) = (coming.values().map(|c| c.deadline).max(), limits.look_first);
        let mut told = 0;
        while !coming.is_empty() && left.is_empty() && until.is_some_and(|until| seen.now < until) {
            if coming.len() != told {
                told = coming.len();
                self.out.say(&waits_for(&coming));
            }
            self.session.clock.sleep(pause).await;
            pause = (pause * limits.look_growth / 100).min(limits.look_most);
            seen = self.look().await?;
            left = self.left(&mut seen, since)?;
            coming = seen.coming(self.project, self.intent);
        }
        let survey = seen.survey(self.project, self.intent.force);
        let late = awaited.iter().filter(|a| !survey.alive(a).any(Member::ready));
        let late = late.map(|a| {
            let why = survey.alive(a).next().map_or_else(|| "gone".to_owned(), |m| m.verdict.why());
            format!("{}: {why}", a.short())
        });
        let late: Vec<String> = late.collect();
        if !awaited.is_empty() && late.is_empty() {
            self.out.say("All of them are up.");
        }
        drop(survey);
        Ok(Arrived { left, seen, late })
    }

    /// Waits for what is as the file says and not ready: a roll-out that an earlier run did not see to its end is no
    /// success of this one.
    pub(super) async fn settled(&self, seen: &Look) -> Exit {
        if self.intent.destroy {
            return Exit::Fine;
        }
        let mut all = unready(&self.project.desired, &seen.observed);
        all.retain(|u| self.intent.left_out(&u.address).is_none());
        if all.is_empty() {
            return Exit::Fine;
        }
        let named: Vec<String> = all.iter().map(|u| u.address.short()).collect();
        self.out.say(&format!("Not ready yet, and waited for: {}", named.join(", ")));
        let wanted: Vec<Wanted> = (all.into_iter().zip(&named))
            .map(|(u, name)| Wanted { scope: u.scope, id: u.id, name: name.clone(), within: u.within })
            .collect();
        let (providers, clock) = (self.session.providers(), self.session.clock.as_ref());
        let mut tell = |line: &str| self.out.say(&format!("  {line}"));
        let failed = settle(&providers, &wanted, clock, &Limits::default(), &mut tell).await;
        if failed.is_empty() {
            self.out.say("All of it is ready.");
            return Exit::Fine;
        }
        for failure in failed {
            self.out.problem(&format!(
                "{failure}; it is as the file says: mend what keeps it, then run `evenkeel apply` again, which waits again"
            ));
        }
        Exit::Partial
    }
}

fn waits_for(coming: &BTreeMap<Address, Coming>) -> String {
    let all: Vec<String> = coming.iter().map(|(a, c)| format!("{}: {}", a.short(), c.says)).collect();
    format!("Waiting for {} that still start ({}).", count(all.len() as u64, "machine", "machines"), some(&all))
}

/// The first few, and how many more.
pub(super) fn some(all: &[String]) -> String {
    let more = all.len().saturating_sub(NAMED);
    let first = all[..all.len() - more].join(", ");
    if more == 0 { first } else { format!("{first}, and {more} more") }
}
