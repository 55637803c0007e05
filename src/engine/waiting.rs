//! Judging what a wait waits for, look by look.
//!
//! Pure: it is given what a read by id showed and the time. One look that does not show a thing is not enough to call
//! it gone, and a machine that died is not waited for.

use std::time::Duration;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::{Object, Phase, Reading, Source};
use evenkeel_core::plan::{Drain, Until};
use jiff::{SignedDuration, Timestamp};

use crate::clock::passed;
use crate::limits::Limits;
use crate::provider::Shown;

/// One thing that is waited for.
#[derive(Debug, Clone)]
pub struct Awaited {
    /// Its id.
    pub id: String,
    /// As people know it: `web/3`.
    pub name: String,
    /// The plan has made it; it may not be visible yet. What was in the plan's observation is not young.
    pub young: bool,
    /// The machine that the plan attaches it to next, once that is known: hanging there already is as good as free.
    pub home: Option<String>,
    /// The plan deletes it next: one that is gone already, or on its way out, is as good as free.
    pub doomed: bool,
}

/// A wait under way.
#[derive(Debug)]
pub struct Watch {
    awaited: Vec<(Awaited, Past)>,
    until: Until,
    began: Timestamp,
    deadline: Timestamp,
    shows: Vec<String>,
    told: Timestamp,
    unseen: Option<Failure>,
}

/// What earlier looks showed of one thing.
#[derive(Debug, Clone, Default)]
struct Past {
    /// Both checks have passed since.
    well_since: Option<Timestamp>,
    /// Looks in a row that did not show it.
    missed: u32,
    /// It was on its way out.
    leaving: bool,
    /// Why it will not come.
    lost: Option<Failure>,
}

/// What a look means for a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything shows it.
    Met,
    /// Not yet; `Some`: what each thing that lacks shows, worth telling.
    Not(Option<Vec<String>>),
    /// The time is over and what is left holds nothing up: what that is.
    Enough(Vec<String>),
    /// Of these ids it will not come; everything else shows it.
    Partly(Failure, Vec<String>),
    /// It will not come.
    Never(Failure),
}

enum One {
    Yes,
    Not(String),
    /// It is gone, or something is wrong with it.
    Never(Class, String),
}

/// Looks in a row that must miss a thing the plan knew before it is called gone.
const MISSES: u32 = 2;
/// Things named in one event; of more only the number is told.
const NAMED: usize = 20;

impl Watch {
    /// A wait that begins now and fails `within` seconds later.
    pub fn new(awaited: Vec<Awaited>, until: Until, within: u64, now: Timestamp) -> Self {
        let within = SignedDuration::from_secs(i64::try_from(within.min(31_536_000)).unwrap_or(31_536_000));
        Self {
            awaited: awaited.into_iter().map(|a| (a, Past::default())).collect(),
            until,
            began: now,
            deadline: now.saturating_add(within).unwrap_or(now),
            shows: Vec::new(),
            told: now,
            unseen: None,
        }
    }

    /// What it waits for.
    pub fn until(&self) -> Until {
        self.until
    }

    /// The ids to look at.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.awaited.iter().map(|(a, _)| &a.id)
    }

    /// From now on it is known where this volume is going.
    pub fn going(&mut self, volume: &str, machine: &str) {
        for (awaited, _) in self.awaited.iter_mut().filter(|(a, _)| a.id == volume) {
            awaited.home = Some(machine.to_owned());
        }
    }

    /// The next time at which a look can give another answer by time alone: the deadline, or the end of a warm-up.
    pub fn due(&self, now: Timestamp) -> Timestamp {
        let warm = match self.until {
            Until::Healthy { warm } => Duration::from_secs(warm.min(31_536_000)),
            Until::Running
            | Until::Stopped
            | Until::Terminated
            | Until::Free
            | Until::Attached
            | Until::Deleted
            | Until::Ready
            | Until::Joined
            | Until::Drained(_) => return self.deadline,
        };
        let ends = self.awaited.iter().filter_map(|(_, p)| p.well_since?.saturating_add(warm).ok());
        ends.filter(|t| *t > now).min().map_or(self.deadline, |t| t.min(self.deadline))
    }

    /// Judges a look.
    pub fn look(&mut self, shown: &Shown<'_>, now: Timestamp, limits: &Limits) -> Verdict {
        let (until, began) = (self.until, self.began);
        self.unseen = None;
        let mut lacks = Vec::new();
        for (awaited, past) in self.awaited.iter_mut().filter(|(_, p)| p.lost.is_none()) {
            let seen = match shown.get(awaited.id.as_str()).copied().transpose() {
                Ok(seen) => seen,
                Err(failure) if is_final(failure) => return Verdict::Never(failure.clone()),
                Err(failure) => {
                    self.unseen = Some(failure.clone());
                    lacks.push((awaited.id.clone(), format!("{}: cannot look: {failure}", awaited.name)));
                    continue;
                }
            };
            match judge(until, awaited, past, seen, began, now, limits) {
                One::Yes => {}
                One::Not(shows) => lacks.push((awaited.id.clone(), format!("{}: {shows}", awaited.name))),
                One::Never(class, says) => {
                    past.lost = Some(Failure::new(class, "", format!("{}: {says}", awaited.name)));
                }
            }
        }
        if lacks.is_empty() { self.over() } else { self.not(lacks, now, limits) }
    }

    /// Nothing is waited for any more.
    fn over(&self) -> Verdict {
        let lost: Vec<(&String, &Failure)> =
            self.awaited.iter().filter_map(|(a, p)| Some((&a.id, p.lost.as_ref()?))).collect();
        let Some((_, first)) = lost.first() else { return Verdict::Met };
        let mut says: Vec<&str> = lost.iter().map(|(_, f)| f.says.as_str()).collect();
        says.dedup();
        let more = says.len().saturating_sub(NAMED);
        says.truncate(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let failure = Failure { says: says.join(", ") + &more, ..(*first).clone() };
        if lost.len() == self.awaited.len() {
            return Verdict::Never(failure);
        }
        Verdict::Partly(failure, lost.into_iter().map(|(id, _)| id.clone()).collect())
    }

    /// The look itself failed.
    pub fn blind(&mut self, failure: &Failure, now: Timestamp, limits: &Limits) -> Verdict {
        if is_final(failure) {
            return Verdict::Never(failure.clone());
        }
        self.unseen = Some(failure.clone());
        self.not(vec![(String::new(), format!("cannot look: {failure}"))], now, limits)
    }

    fn not(&mut self, lacking: Vec<(String, String)>, now: Timestamp, limits: &Limits) -> Verdict {
        let (ids, mut lacks): (Vec<String>, Vec<String>) = lacking.into_iter().unzip();
        lacks.extend(self.awaited.iter().filter_map(|(_, p)| p.lost.as_ref()).map(|f| f.says.clone()));
        if lacks.len() > NAMED {
            let more = lacks.len() - NAMED;
            lacks.truncate(NAMED);
            lacks.push(format!("and {more} more"));
        }
        if now >= self.deadline {
            if let Some(failure) = self.unseen.take() {
                return Verdict::Never(failure);
            }
            if let Until::Drained(Drain { force: true, .. }) = self.until {
                return Verdict::Enough(lacks);
            }
            let after = passed(self.began, now).as_secs();
            let says = format!("not {} after {after}s: {}", self.wish(), lacks.join(", "));
            let failure = Failure::new(Class::Busy, "", says);
            for (_, past) in self.awaited.iter_mut().filter(|(a, _)| ids.contains(&a.id)) {
                past.lost = Some(failure.clone());
            }
            return match self.over() {
                Verdict::Partly(_, lost) => Verdict::Partly(failure, lost),
                Verdict::Met | Verdict::Not(_) | Verdict::Enough(_) | Verdict::Never(_) => Verdict::Never(failure),
            };
        }
        let quiet = passed(self.told, now) < limits.still_waiting;
        if lacks == self.shows && quiet {
            return Verdict::Not(None);
        }
        self.told = now;
        self.shows.clone_from(&lacks);
        Verdict::Not(Some(lacks))
    }

    fn wish(&self) -> &'static str {
        match self.until {
            Until::Running => "running",
            Until::Healthy { .. } => "healthy",
            Until::Stopped => "stopped",
            Until::Terminated => "terminated",
            Until::Free => "free",
            Until::Attached => "attached",
            Until::Deleted => "deleted",
            Until::Ready => "ready",
            Until::Joined => "ready as a node",
            Until::Drained(_) => "drained",
        }
    }
}

/// Whether to look again cannot help.
fn is_final(failure: &Failure) -> bool {
    match failure.class {
        Class::Denied | Class::Credentials | Class::Invalid => true,
        Class::Throttled
        | Class::Transient
        | Class::Capacity
        | Class::Quota
        | Class::NotFound
        | Class::Busy
        | Class::Protected
        | Class::TokenMismatch
        | Class::TokenSpent => false,
    }
}

fn judge(
    until: Until,
    awaited: &Awaited,
    past: &mut Past,
    object: Option<&Object>,
    began: Timestamp,
    now: Timestamp,
    limits: &Limits,
) -> One {
    let Some(object) = object else {
        past.missed += 1;
        past.well_since = None;
        // A thing just made may not be visible yet. One that the plan saw in a full list, or that was seen leaving,
        // and that two reads by id in a row do not find, is gone.
        let waited = passed(began, now);
        let gone = past.missed >= MISSES && (past.leaving || !awaited.young || waited >= limits.grace);
        return match until {
            Until::Terminated | Until::Deleted if gone => One::Yes,
            Until::Terminated | Until::Deleted => One::Not("not visible".into()),
            Until::Free if gone && awaited.doomed => One::Yes,
            // Without its node nothing runs on a machine.
            Until::Drained(_) => One::Yes,
            Until::Running
            | Until::Healthy { .. }
            | Until::Stopped
            | Until::Free
            | Until::Attached
            | Until::Ready
            | Until::Joined => {
                if gone {
                    One::Never(Class::NotFound, "it no longer exists".into())
                } else {
                    One::Not("not visible yet".into())
                }
            }
        };
    };
    past.missed = 0;
    let dead = match object.phase {
        Phase::Leaving | Phase::Gone | Phase::Failed => true,
        Phase::Starting | Phase::Up | Phase::Stopping | Phase::Stopped => false,
    };
    past.leaving |= dead;
    let hopeless = match until {
        Until::Terminated | Until::Deleted => false,
        // What refuses to be drained fails, and does not go away by itself.
        Until::Drained(_) => object.phase == Phase::Failed,
        Until::Free => dead && !awaited.doomed,
        Until::Running | Until::Healthy { .. } | Until::Stopped | Until::Attached | Until::Ready | Until::Joined => {
            dead
        }
    };
    let shows = || {
        let word = match object.phase {
            Phase::Starting => "starting",
            Phase::Up => "up",
            Phase::Stopping => "stopping",
            Phase::Stopped => "stopped",
            Phase::Leaving => "leaving",
            Phase::Gone => "gone",
            Phase::Failed => "failed",
        };
        if object.says.is_empty() { word.to_owned() } else { format!("{word} ({})", object.says) }
    };
    if hopeless {
        // What died may be had again; what fails has to be mended.
        let class = if object.phase == Phase::Failed { Class::Invalid } else { Class::NotFound };
        return One::Never(class, if until.drain().is_some() { object.says.clone() } else { shows() });
    }
    match until {
        Until::Terminated | Until::Deleted => match object.phase {
            Phase::Gone => One::Yes,
            Phase::Starting | Phase::Up | Phase::Stopping | Phase::Stopped | Phase::Leaving | Phase::Failed => {
                One::Not(shows())
            }
        },
        Until::Running | Until::Ready | Until::Joined if object.phase == Phase::Up => One::Yes,
        Until::Drained(_) if object.phase == Phase::Gone => One::Yes,
        Until::Stopped if object.phase == Phase::Stopped => One::Yes,
        // A cluster's own words say what it is doing.
        Until::Ready | Until::Joined | Until::Drained(_) if !object.says.is_empty() => One::Not(object.says.clone()),
        Until::Running | Until::Stopped | Until::Ready | Until::Joined | Until::Drained(_) => One::Not(shows()),
        Until::Healthy { warm } => {
            let passes = |s: Source| object.signals.iter().find(|g| g.source == s).map(|g| g.reading);
            let checks = [Source::SystemStatus, Source::InstanceStatus].map(passes);
            if object.phase != Phase::Up || checks != [Some(Reading::Ok); 2] {
                past.well_since = None;
                return One::Not(if object.phase == Phase::Up { checks_say(checks) } else { shows() });
            }
            let since = *past.well_since.get_or_insert(now);
            let well = passed(since, now).as_secs();
            if well >= warm { One::Yes } else { One::Not("healthy, warming up".into()) }
        }
        Until::Free if dead => One::Yes,
        Until::Free => match &object.attached {
            None if object.phase == Phase::Up => One::Yes,
            None => One::Not(shows()),
            // Another run was faster; whoever attaches it next is told that it hangs there.
            Some(a) if awaited.home.as_ref() == Some(&a.to) => One::Yes,
            Some(a) => One::Not(format!("attached to {}", a.to)),
        },
        Until::Attached => match &object.attached {
            Some(a) if a.settled => One::Yes,
            Some(_) => One::Not("attaching".into()),
            None => One::Not("not attached".into()),
        },
    }
}

fn checks_say(checks: [Option<Reading>; 2]) -> String {
    if checks.contains(&Some(Reading::Bad)) { "up, a status check fails" } else { "up, status checks not passed yet" }
        .to_owned()
}
