//! Judges one look at an object: signals in, a verdict out.
//!
//! Every rule has an id ([`crate::rules`]). What is not known never worsens a verdict, and a single look never
//! condemns a machine on a time that only we have seen.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Past, Planned, State, Verdict, after, age, before, span};
use crate::address::Kind;
use crate::desired::WaitFor;
use crate::observed::{Object, Phase, Reading, Reporter, Signal, Source};
use crate::policy::Policy;
use crate::rules::{Evidence, Rule};

/// Two looks count as two only when they are so far apart, in seconds.
const LOOKS_APART: u64 = 60;
/// Hand-over of a machine that will be stopped or retired ends so long before, in seconds.
const VACATE_BEFORE: u64 = 30 * 60;

/// Judges one object that is wanted running. Without a past the rules that need one stay quiet: well now is healthy,
/// and a signal without the provider's time is suspect at most.
pub fn judge(object: &Object, wait: WaitFor, past: Option<&Past>, policy: &Policy, now: Timestamp) -> Verdict {
    judge_with(object, &[], wait, past, policy, now)
}

/// The same with what others than its provider say about it ([`crate::nodes::Nodes::say`]).
pub fn judge_with(
    object: &Object,
    others: &[Signal],
    wait: WaitFor,
    past: Option<&Past>,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let says = |what: &str| with_reason(what, &object.says);
    match object.phase {
        Phase::Gone => verdict(State::Gone, Rule::Gone, says("gone")),
        Phase::Leaving if object.kind.holds_data() => verdict(State::Gone, Rule::Gone, says("being deleted")),
        Phase::Leaving => dead(says("shutting down")),
        Phase::Stopping => dead(says("stopping")),
        Phase::Stopped => dead(says("stopped")),
        Phase::Failed => dead(says("failed")),
        Phase::Starting => starting(object, policy, now),
        Phase::Up => match object.kind {
            Kind::Machines => Look::at(object, others, wait, past, policy, now).verdict(),
            // Volumes, and whatever has no checks of EC2's.
            Kind::Volumes | Kind::Workloads | Kind::Manifests => {
                Verdict { well: true, ..verdict(State::Healthy, Rule::Well, "available") }
            }
        },
    }
}

fn verdict(state: State, rule: Rule, says: impl Into<String>) -> Verdict {
    Verdict {
        state,
        since: None,
        bad: BTreeSet::new(),
        well: false,
        evidence: vec![Evidence::new(rule, says)],
        recheck: None,
    }
}

fn dead(says: String) -> Verdict {
    let state = State::Unhealthy { causes: vec![says.clone()], hard: true };
    Verdict { bad: BTreeSet::from([Source::State]), ..verdict(state, Rule::Dead, says) }
}

fn starting(object: &Object, policy: &Policy, now: Timestamp) -> Verdict {
    let deadline = after(object.created, policy.startup.running);
    let old = span(age(object.created, now));
    if now < deadline {
        let v = verdict(State::Starting { deadline }, Rule::Starting, format!("not running yet, {old} after launch"));
        return Verdict { since: Some(object.created), recheck: Some(deadline), ..v };
    }
    let says = with_reason(&format!("not running {old} after launch"), &object.says);
    let v = verdict(State::Unhealthy { causes: vec![says.clone()], hard: false }, Rule::Overdue, says);
    Verdict { since: Some(deadline), bad: BTreeSet::from([Source::State]), ..v }
}

/// A bad signal and how far it has ripened.
struct Bad<'a> {
    signal: &'a Signal,
    /// Since when, by the provider or by our own looks.
    onset: Timestamp,
    /// False: only we have seen it, and not twice.
    certain: bool,
    /// Bad for its dwell.
    ripe: bool,
    /// Bad for so long that it needs no second witness.
    alone: bool,
}

/// One look at the signals of a machine that is up.
struct Look<'a> {
    object: &'a Object,
    others: &'a [Signal],
    wait: WaitFor,
    past: Option<&'a Past>,
    policy: &'a Policy,
    now: Timestamp,
    deadline: Timestamp,
    bad: Vec<Bad<'a>>,
    ok: usize,
    unknown: usize,
    event: Option<(Planned, Timestamp, String)>,
    /// What is said beside the deciding rule.
    aside: Vec<Evidence>,
    rechecks: Vec<Timestamp>,
}

impl<'a> Look<'a> {
    fn at(
        object: &'a Object,
        others: &'a [Signal],
        wait: WaitFor,
        past: Option<&'a Past>,
        policy: &'a Policy,
        now: Timestamp,
    ) -> Self {
        let up = after(object.created, policy.startup.running);
        let deadline = match wait {
            WaitFor::Running | WaitFor::Healthy => after(up, policy.startup.healthy),
            WaitFor::Ready => {
                after(after(up, policy.startup.join), policy.startup.ready).max(after(up, policy.startup.healthy))
            }
        };
        let mut look = Self {
            object,
            others,
            wait,
            past,
            policy,
            now,
            deadline,
            bad: Vec::new(),
            ok: 0,
            unknown: 0,
            event: None,
            aside: Vec::new(),
            rechecks: Vec::new(),
        };
        // In an order of our own, so that the order of a listing changes nothing.
        let mut signals: Vec<_> = object.signals.iter().chain(others).collect();
        signals.sort_by_key(|s| (s.source, s.reporter, s.reading, s.since, s.not_before, s.says.as_str()));
        for signal in signals {
            match signal.source {
                Source::ScheduledEvent => look.event(signal),
                Source::EbsStatus => look.storage(signal),
                Source::State
                | Source::SystemStatus
                | Source::InstanceStatus
                | Source::NodeReady
                | Source::NodeSilent
                | Source::NodeMissing => look.check(signal),
            }
        }
        look
    }

    fn check(&mut self, signal: &'a Signal) {
        match signal.reading {
            Reading::Bad => self.ripen(signal, signal.since),
            // "Running" says nothing about health: only the checks do.
            Reading::Ok | Reading::NoData if signal.source == Source::State => {}
            Reading::Ok => self.ok += 1,
            Reading::NoData => {
                self.unknown += 1;
                // "Initialising" is more than silence: the provider says that it has not passed since the start. Its
                // clock is our own first look at it after the deadline, so a reboot does not condemn.
                if self.wait != WaitFor::Running && self.now >= self.deadline && is_initialising(signal) {
                    self.aside.push(Evidence::new(
                        Rule::NotYet,
                        format!("{} {} after launch", signal.says, span(age(self.object.created, self.now))),
                    ));
                    self.ripen(signal, None);
                }
            }
        }
    }

    fn ripen(&mut self, signal: &'a Signal, since: Option<Timestamp>) {
        let seen = self.past.and_then(|p| p.first_bad.get(&signal.source)).copied();
        let onset = since.or(seen).unwrap_or(self.now);
        let old = age(onset, self.now);
        let certain = since.is_some() || (seen.is_some() && old >= LOOKS_APART);
        let dwell = match signal.source {
            Source::SystemStatus => self.policy.health.system_status,
            Source::InstanceStatus => self.policy.health.instance_status,
            Source::NodeReady => self.policy.health.ready_false,
            Source::NodeSilent | Source::NodeMissing => self.policy.health.ready_unknown,
            Source::State | Source::EbsStatus | Source::ScheduledEvent => 0,
        };
        let single = self.policy.health.single_source.max(dwell);
        self.rechecks.extend([after(onset, dwell), after(onset, single)]);
        if !certain {
            self.rechecks.push(after(onset, LOOKS_APART));
        }
        let (ripe, alone) = (certain && old >= dwell, certain && old >= single);
        self.bad.push(Bad { signal, onset, certain, ripe, alone });
    }

    fn storage(&mut self, signal: &Signal) {
        if signal.reading == Reading::Bad {
            let for_how_long = signal.since.map_or_else(String::new, |s| format!(" {}", span(age(s, self.now))));
            self.aside.push(Evidence::new(Rule::Storage, format!("{}{for_how_long}", signal.says)));
        }
    }

    fn event(&mut self, signal: &Signal) {
        if signal.reading != Reading::Bad {
            return;
        }
        if ["[Completed]", "[Canceled]", "[Cancelled]"].iter().any(|over| signal.says.contains(over)) {
            self.aside.push(Evidence::new(Rule::EventOver, signal.says.clone()));
            return;
        }
        let code = signal.says.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap_or("");
        // A code that we do not know is reported, never acted upon.
        let kind = match code {
            "instance-stop" | "instance-retirement" => Planned::Vacate,
            "instance-reboot" | "system-reboot" => Planned::Reboot,
            _ => Planned::Maintenance,
        };
        let not_before = signal.not_before.unwrap_or(self.now);
        let when = if not_before > self.now {
            format!("in {}", span(age(self.now, not_before)))
        } else {
            "due now".to_owned()
        };
        let says = format!("{} {when}", signal.says);
        self.rechecks.extend([before(not_before, VACATE_BEFORE), not_before]);
        if self.event.as_ref().is_none_or(|(k, t, _)| (kind, not_before) < (*k, *t)) {
            if let Some((_, _, other)) = self.event.replace((kind, not_before, says)) {
                self.aside.push(Evidence::new(Rule::Event, other));
            }
        } else {
            self.aside.push(Evidence::new(Rule::Event, says));
        }
    }

    /// `instance status impaired 16m`.
    fn words(&self, bad: &Bad<'_>) -> String {
        match bad.signal.since {
            Some(_) => format!("{} {}", bad.signal.says, span(age(bad.onset, self.now))),
            None if bad.certain => format!("{}, seen for {}", bad.signal.says, span(age(bad.onset, self.now))),
            None => format!("{}, first seen now", bad.signal.says),
        }
    }

    fn verdict(mut self) -> Verdict {
        let (mut state, mut evidence, since) = self.decide();
        let sources = self.bad.iter().map(|b| b.signal.source).collect::<BTreeSet<_>>();
        let recovering = self.recovering().is_some();
        let well = sources.is_empty() && !recovering && !self.is_starting() && self.has_data();
        // An announcement outranks a suspicion, but does not make it go away: `well` stays as it is.
        let severity = |state: &State| match state {
            State::Unhealthy { .. } | State::Gone | State::Flapping => true,
            State::Starting { .. } | State::Healthy | State::Suspect { .. } | State::Planned { .. } | State::Blind => {
                false
            }
        };
        if let Some((kind, not_before, says)) = self.event.take() {
            let spoken = Evidence::new(Rule::Event, says);
            if severity(&state) {
                self.aside.push(spoken);
            } else {
                state = State::Planned { not_before, kind };
                evidence.insert(0, spoken);
            }
        }
        evidence.append(&mut self.aside);
        let now = self.now;
        let mut recheck = self.rechecks.iter().copied().filter(|t| *t > now).min();
        if state == State::Blind {
            recheck = Some(after(now, LOOKS_APART)).into_iter().chain(recheck).filter(|t| *t > now).min();
        }
        Verdict { state, since, bad: sources, well, evidence, recheck }
    }

    /// The state without announcements, its evidence (the deciding rule first), and since when.
    fn decide(&mut self) -> (State, Vec<Evidence>, Option<Timestamp>) {
        let onset = self.bad.iter().map(|b| b.onset).min();
        if let Some(hard) = self.bad.iter().find(|b| b.signal.hard) {
            let says = self.words(hard);
            let state = State::Unhealthy { causes: vec![says.clone()], hard: true };
            return (state, vec![Evidence::new(Rule::Dead, says)], onset);
        }
        let ripe: Vec<_> = self.bad.iter().filter(|b| b.ripe).collect();
        let witnesses: BTreeSet<Reporter> = ripe.iter().map(|b| b.signal.reporter).collect();
        let alone = ripe.iter().any(|b| b.alone);
        if witnesses.len() >= 2 || alone {
            let rule = if witnesses.len() >= 2 { Rule::TwoWitnesses } else { Rule::SingleSource };
            let since = ripe.iter().map(|b| b.onset).min();
            let causes: Vec<_> = ripe.iter().map(|b| self.words(b)).collect();
            let mut evidence: Vec<_> = causes.iter().map(|c| Evidence::new(rule, c.clone())).collect();
            evidence.extend(self.ripening());
            return (State::Unhealthy { causes, hard: false }, evidence, since);
        }
        if let Some((entries, first)) = self.flapping() {
            let says = format!("unwell {entries} times in {}", span(age(first, self.now)));
            let mut evidence = vec![Evidence::new(Rule::Flapping, says)];
            evidence.extend(self.ripening());
            return (State::Flapping, evidence, Some(first));
        }
        if let Some(since) = onset {
            return (State::Suspect { since }, self.ripening(), Some(since));
        }
        if let Some((since, until)) = self.recovering() {
            self.rechecks.push(until);
            let says = format!("well for {} of {}", span(age(since, self.now)), span(self.policy.health.recover));
            return (State::Suspect { since }, vec![Evidence::new(Rule::Recovering, says)], Some(since));
        }
        if self.is_starting() {
            self.rechecks.push(self.deadline);
            let node = self.others.iter().find(|s| s.reading == Reading::NoData).filter(|_| self.ok > 0);
            let lacks = node.map_or("checks not passed yet", |s| s.says.as_str());
            let says = format!("running, {lacks}, {} after launch", span(age(self.object.created, self.now)));
            let state = State::Starting { deadline: self.deadline };
            return (state, vec![Evidence::new(Rule::Starting, says)], Some(self.object.created));
        }
        if !self.has_data() {
            return (State::Blind, vec![Evidence::new(Rule::Blind, "no status check reports")], None);
        }
        let says = if self.ok > 0 { "running, checks pass" } else { "running" };
        let since = self.past.and_then(|p| p.healthy_since);
        (State::Healthy, vec![Evidence::new(Rule::Well, says)], since)
    }

    /// The bad signals that have not ripened enough, with what they wait for.
    fn ripening(&self) -> Vec<Evidence> {
        let health = &self.policy.health;
        let unripe = self.bad.iter().filter(|b| !b.alone);
        unripe
            .map(|b| {
                let rule = if b.certain { Rule::Ripening } else { Rule::FirstSeen };
                let says = format!("{} (alone it counts after {})", self.words(b), span(health.single_source));
                Evidence::new(rule, says)
            })
            .collect()
    }

    /// How often it became unwell within the window, and the first time, if that is too often. Nothing is said of a
    /// machine that we cannot see.
    fn flapping(&mut self) -> Option<(usize, Timestamp)> {
        let past = self.past?;
        if self.bad.is_empty() && !self.has_data() {
            return None;
        }
        let health = &self.policy.health;
        let begins = before(self.now, health.flap_window);
        let mut entries: Vec<_> = past.suspect_entries.iter().copied().filter(|t| *t > begins).collect();
        if !self.bad.is_empty() && !past.ill {
            entries.push(self.now);
        }
        let first = entries.iter().copied().min()?;
        if entries.len() < usize::try_from(health.flap_count.max(1)).unwrap_or(usize::MAX) {
            return None;
        }
        self.rechecks.extend(entries.iter().map(|t| after(*t, health.flap_window)));
        Some((entries.len(), first))
    }

    /// Nothing is bad any more, but not for long enough: since when, and until when.
    fn recovering(&self) -> Option<(Timestamp, Timestamp)> {
        let past = self.past.filter(|p| p.ill && self.bad.is_empty() && self.has_data())?;
        let since = past.well_since.unwrap_or(self.now);
        let left = age(since, self.now) < self.policy.health.recover;
        left.then(|| (since, after(since, self.policy.health.recover)))
    }

    /// Up, but its checks may still need time.
    fn is_starting(&self) -> bool {
        match self.wait {
            WaitFor::Running => false,
            WaitFor::Healthy | WaitFor::Ready => self.now < self.deadline && (self.ok == 0 || self.unknown > 0),
        }
    }

    /// Something says how it is: a check, or, where `running` is all that was asked for, the phase.
    fn has_data(&self) -> bool {
        match self.wait {
            WaitFor::Running => true,
            WaitFor::Healthy | WaitFor::Ready => self.ok > 0,
        }
    }
}

fn is_initialising(signal: &Signal) -> bool {
    let says = signal.says.to_ascii_lowercase();
    says.contains("initializing") || says.contains("initialising")
}

fn with_reason(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

#[cfg(test)]
mod tests;
