//! A run while it runs: bars on a terminal, plain lines off it, JSON events for programs.
//!
//! On a terminal one bar a group, with what it waits for, never more lines than the terminal has. Off it a line when
//! something changes, and one a minute that names the oldest wait. It asks for no time: events and ticks bring it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use evenkeel_core::address::Address;
use evenkeel_core::event::{Event, Happened, Outcome};
use evenkeel_core::plan::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::Value;

use crate::document::{Doc, Role, Row, Tail, Text};
use crate::plan::Names;
use crate::redact::Redactor;
use crate::steps::{addresses, addresses_of, doing, doing_to, having_done, is_call, listed, whom};
use crate::tally::{Counts, Flight, Tally, short};
use crate::words::{count, number, since};
use crate::{escape, json, plan_json, render};

/// The schema's name and version of one event line.
pub const FORMAT: &str = "evenkeel.event/1";

/// Off a terminal the oldest wait is named so often, in seconds.
const REMIND: i64 = 60;

/// Steps in flight that are shown one by one, the oldest first: a screen of them.
const MOST_ROWS: usize = 20;

/// Lines left free under the bars, so that the prompt and the last line above stay in sight.
const FREE_LINES: usize = 2;

/// Names longer than this are cut on a bar.
const WIDEST_NAME: usize = 28;

/// Where the bars may draw: columns and lines of the terminal now.
pub type Size = Box<dyn Fn() -> (usize, usize) + Send>;

/// How a run is shown.
pub enum Face {
    /// Bars.
    Bars(Bars),
    /// Plain lines, written here.
    Lines(Box<dyn io::Write + Send>),
    /// One JSON object a line, written here.
    Events(Box<dyn io::Write + Send>),
    /// Nothing; only the report at the end.
    Silent,
}

/// The bars of a terminal.
pub struct Bars {
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
    size: Size,
    color: bool,
}

/// Calls of one sort, done one after the other.
struct Burst {
    verb: &'static str,
    whom: Vec<Address>,
    /// Ids of what they made.
    made: Vec<String>,
    /// What is told if it stays alone.
    alone: String,
    at: Timestamp,
}

/// Shows a run.
pub struct Live {
    tally: Tally,
    names: Names,
    secrets: Redactor,
    face: Face,
    reminded: Option<Timestamp>,
    /// What was said once already: one missing permission can fail a thousand steps.
    said: BTreeSet<String>,
    /// Calls of one sort that are done and not yet told, so that a burst becomes one line.
    burst: Option<Burst>,
}

impl Live {
    /// For this plan.
    pub fn new(plan: impl Into<Arc<Plan>>, secrets: Redactor, face: Face) -> Self {
        let plan = plan.into();
        let names = Names::of(&plan);
        Self { tally: Tally::new(plan), names, secrets, face, reminded: None, said: BTreeSet::new(), burst: None }
    }

    /// An event of an earlier attempt, from the journal: taken note of, not shown.
    pub fn recall(&mut self, event: &Event) {
        self.tally.apply(event);
    }

    /// An event of this attempt.
    ///
    /// # Errors
    /// When it cannot be written; what happened is taken note of all the same.
    pub fn on(&mut self, event: &Event) -> io::Result<()> {
        let before = match &event.happened {
            Happened::Done { step, .. } | Happened::Failed { step, .. } => self.tally.flight(*step).cloned(),
            _ => None,
        };
        self.tally.apply(event);
        let lines = match &self.face {
            Face::Bars(_) | Face::Lines(_) => self.lines(event, before.as_ref()),
            Face::Events(_) | Face::Silent => Vec::new(),
        };
        let lines: Vec<String> = lines.iter().map(|l| self.shown(l)).collect();
        match &mut self.face {
            Face::Silent => Ok(()),
            Face::Events(out) => {
                out.write_all(event_line(self.tally.plan(), event, &self.secrets).as_bytes())?;
                out.flush()
            }
            Face::Lines(out) => {
                if !lines.is_empty() {
                    self.reminded = Some(event.at);
                }
                write_lines(out, &lines)
            }
            Face::Bars(bars) => {
                // On a terminal only what a bar cannot tell is said above the bars.
                let above = match &event.happened {
                    Happened::Refused { .. } | Happened::Failed { .. } | Happened::Interrupted { .. } => lines,
                    Happened::Began { .. }
                    | Happened::Started { .. }
                    | Happened::Retrying { .. }
                    | Happened::Waiting { .. }
                    | Happened::Done { .. }
                    | Happened::Skipped { .. }
                    | Happened::Ended { .. } => Vec::new(),
                };
                for line in above {
                    bars.multi.println(line)?;
                }
                bars.draw(&self.tally, &self.names, &self.secrets, false);
                Ok(())
            }
        }
    }

    /// Time has passed: call it once a second.
    ///
    /// # Errors
    /// When a line cannot be written.
    pub fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        self.tally.tick(now);
        let burst = if self.burst.as_ref().is_some_and(|b| b.at < now) { self.end_burst() } else { None };
        let quiet = self.reminded.is_some_and(|t| now.as_second() - t.as_second() >= REMIND);
        let lines: Vec<String> = match burst {
            Some(line) => vec![self.shown(&line)],
            None if quiet => self.reminder().into_iter().collect(),
            None => Vec::new(),
        };
        match &mut self.face {
            Face::Bars(bars) => bars.draw(&self.tally, &self.names, &self.secrets, true),
            Face::Lines(out) => {
                if !lines.is_empty() {
                    self.reminded = Some(now);
                }
                write_lines(out, &lines)?;
            }
            Face::Events(_) | Face::Silent => {}
        }
        Ok(())
    }

    /// Takes the bars off the screen; call it before anything else is printed.
    pub fn close(&mut self) {
        if let Face::Bars(bars) = &mut self.face {
            bars.bars.drain(..).for_each(|b| b.finish_and_clear());
        }
    }

    /// Prints a text among the bars without tearing them; other faces leave it to the caller and say `false`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print_above(&self, text: &str) -> io::Result<bool> {
        match &self.face {
            Face::Bars(bars) => bars.multi.println(text.trim_end()).map(|()| true),
            Face::Lines(_) | Face::Events(_) | Face::Silent => Ok(false),
        }
    }

    /// How far it is.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is in flight, since when, and what it waits for: for `t` and SIGUSR1.
    pub fn in_flight(&self) -> Doc {
        in_flight(&self.tally, &self.names)
    }

    /// What came of it.
    pub fn report(&self) -> crate::ended::Report {
        crate::ended::Report::of(&self.tally, &self.names)
    }

    fn shown(&self, line: &str) -> String {
        self.secrets.line(&escape::escape(line))
    }

    /// The lines for an event: those that were held back until now, then its own, if it is worth one.
    fn lines(&mut self, event: &Event, flight: Option<&Flight>) -> Vec<String> {
        let bars = matches!(self.face, Face::Bars(_));
        if let Happened::Done { step, made } = &event.happened
            && is_call(self.tally.plan(), *step)
        {
            if bars {
                return Vec::new();
            }
            return self.burst(event.at, *step, made.values().cloned().collect()).into_iter().collect();
        }
        let own = self.line(event, flight).map(|words| self.timed(event.at, &words));
        if own.is_none() {
            return Vec::new();
        }
        self.end_burst().into_iter().chain(own).collect()
    }

    fn timed(&self, at: Timestamp, words: &str) -> String {
        format!("{:>7}  {words}", since(self.tally.began(), at))
    }

    /// A call is done: it joins those of its sort, or ends them.
    fn burst(&mut self, at: Timestamp, step: u32, made: Vec<String>) -> Option<String> {
        let plan = self.tally.plan();
        let verb = having_done(plan, step);
        let more = addresses(plan, step);
        let alone = whom(plan, &self.names, step);
        if let Some(burst) = self.burst.as_mut().filter(|b| b.verb == verb) {
            burst.whom.extend(more);
            burst.made.extend(made);
            burst.alone.clear();
            burst.at = at;
            return None;
        }
        let before = self.end_burst();
        self.burst = Some(Burst { verb, whom: more, made, alone, at });
        before
    }

    /// The line for the calls that were held back.
    fn end_burst(&mut self) -> Option<String> {
        let burst = self.burst.take()?;
        let whom = if burst.alone.is_empty() { listed(&self.names, &burst.whom) } else { burst.alone };
        let ids = match burst.made.as_slice() {
            [] => String::new(),
            [one] => format!(" as {one}"),
            [one, two] => format!(" as {one}, {two}"),
            [one, more @ ..] => format!(" as {one} and {} more", number(more.len() as u64)),
        };
        Some(self.timed(burst.at, &format!("{} {whom}{ids}", burst.verb)))
    }

    /// The words for an event; none for what is not worth a line.
    fn line(&mut self, event: &Event, flight: Option<&Flight>) -> Option<String> {
        let plan = self.tally.plan().clone();
        Some(match &event.happened {
            Happened::Began { attempt, .. } => {
                let n = self.tally.all();
                let what = count(n.open().into(), "change", "changes");
                match attempt {
                    0 | 1 => format!("begun: {what}"),
                    again => {
                        format!("taken up again, attempt {again}: {what} left, {} done before", number(n.done.into()))
                    }
                }
            }
            Happened::Refused { change, because } => {
                let c = plan.changes.get(*change as usize)?;
                format!("refused {}: {because}", self.names.address(&c.address))
            }
            Happened::Started { .. } | Happened::Waiting { .. } => return None,
            Happened::Retrying { step, failure, after_ms } => {
                let words = doing(&plan, &self.names, *step);
                // A step that is slowed down again and again says so once.
                if !self.said.insert(format!("{words} {}", short(failure))) {
                    return None;
                }
                format!("again in {}: {words} ({})", crate::words::millis(*after_ms), short(failure))
            }
            Happened::Done { step, .. } => {
                let took = flight.map(|f| format!(" after {}", since(f.since, event.at))).unwrap_or_default();
                format!("{} {}{took}", having_done(&plan, *step), whom(&plan, &self.names, *step))
            }
            Happened::Failed { step, failure, lost } => {
                let what = match plan.steps.get(*step as usize).filter(|_| !lost.is_empty()) {
                    Some(s) => doing_to(&s.does, &listed(&self.names, &addresses_of(&plan, lost))),
                    None => doing(&plan, &self.names, *step),
                };
                let words = format!("failed to {what}");
                let first = self.said.insert(format!("{} {failure}", having_done(&plan, *step)));
                match (first, &self.face) {
                    (true, _) => format!("{words}: {failure}"),
                    (false, Face::Bars(_)) => return None,
                    (false, Face::Lines(_) | Face::Events(_) | Face::Silent) => {
                        format!("{words}: {}, as above", short(failure))
                    }
                }
            }
            Happened::Skipped { step, because } => {
                if !self.said.insert(because.clone()) {
                    return None;
                }
                format!("left out: {} ({because}), and what follows from it", doing(&plan, &self.names, *step))
            }
            Happened::Interrupted { in_flight } => format!(
                "told to stop: nothing new is started, {} in flight",
                count(in_flight.len() as u64, "step is", "steps are")
            ),
            Happened::Ended { outcome } => match outcome {
                Outcome::Complete => "ended: complete".to_owned(),
                Outcome::Partial => "ended: in part".to_owned(),
                Outcome::Interrupted => "ended: interrupted".to_owned(),
            },
        })
    }

    /// The oldest wait, for a minute in which nothing happened.
    fn reminder(&self) -> Option<String> {
        let flights = self.tally.flights();
        let oldest = flights.first()?;
        let more = match flights.len() - 1 {
            0 => String::new(),
            n => format!("; {} more in flight", number(n as u64)),
        };
        let words = format!("still: {}{more}", flight_words(&self.tally, &self.names, oldest));
        Some(self.shown(&self.timed(self.tally.now(), &words)))
    }
}

fn write_lines(out: &mut dyn io::Write, lines: &[String]) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    if lines.is_empty() { Ok(()) } else { out.flush() }
}

/// `wait for web/0-5 to be healthy, 1m 12s (web/3: pending)`.
fn flight_words(tally: &Tally, names: &Names, flight: &Flight) -> String {
    let shows = match flight.shows.as_slice() {
        [] => String::new(),
        [one] => format!(" ({one})"),
        [one, more @ ..] => format!(" ({one}, and {} more)", number(more.len() as u64)),
    };
    format!("{}, {}{shows}", doing(tally.plan(), names, flight.step), since(flight.since, tally.now()))
}

/// What is in flight, the oldest first.
fn in_flight(tally: &Tally, names: &Names) -> Doc {
    let all = tally.all();
    let flights = tally.flights();
    let mut doc = Doc {
        title: Text::of(Role::Strong, format!("{} in flight", count(flights.len() as u64, "step", "steps"))).dim(
            format!(
                " · {} of {} done · {} since the beginning",
                number(all.done.into()),
                count(all.all.into(), "change", "changes"),
                since(tally.began(), tally.now())
            ),
        ),
        ..Doc::default()
    };
    let more = flights.len().saturating_sub(MOST_ROWS);
    let rows = flights.into_iter().take(MOST_ROWS).map(|f| {
        let cells = vec![Text::of(Role::Strong, since(f.since, tally.now()))];
        let words = Text::from(doing(tally.plan(), names, f.step));
        let shows = f.shows.iter().map(Text::from);
        Row::cells(2, 0, cells).tail(Tail::Beside, Text::join(std::iter::once(words).chain(shows), " · "))
    });
    let mut rows: Vec<Row> = rows.collect();
    if more > 0 {
        rows.push(Row::line(2, Text::new().dim(format!("and {} more, begun later", number(more as u64)))));
    }
    doc.push(rows);
    doc
}

fn texts(all: &[Address]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// One event as a line of JSON: the event itself, with the words and addresses that a reader without the plan needs.
fn event_line(plan: &Plan, event: &Event, secrets: &Redactor) -> String {
    let mut value = serde_json::to_value(event).expect("events have string keys and no failing serializers");
    if let Value::Object(map) = &mut value {
        map.insert("format".to_owned(), FORMAT.into());
        let step = match &event.happened {
            Happened::Started { step }
            | Happened::Retrying { step, .. }
            | Happened::Waiting { step, .. }
            | Happened::Done { step, .. }
            | Happened::Failed { step, .. }
            | Happened::Skipped { step, .. } => Some(*step),
            Happened::Refused { change, .. } => {
                let address = plan.changes.get(*change as usize).map(|c| c.address.to_string());
                map.insert("address".to_owned(), address.into());
                None
            }
            Happened::Began { .. } | Happened::Interrupted { .. } | Happened::Ended { .. } => None,
        };
        if let Some(step) = step {
            // The indices say nothing to a reader without the plan.
            if let (Happened::Failed { lost, .. }, Some(_)) = (&event.happened, map.remove("lost")) {
                map.insert("lost".to_owned(), texts(&addresses_of(plan, lost)).into());
            }
            let all = texts(&addresses(plan, step));
            map.insert("addresses".to_owned(), all.into());
            map.insert("does".to_owned(), plan.steps.get(step as usize).map(|s| plan_json::does(&s.does)).into());
        }
    }
    json::line(&value, secrets)
}

impl Bars {
    /// On standard error, which is the place for talk. Hidden when that is no terminal.
    pub fn on_stderr(color: bool) -> Self {
        let size = || {
            terminal_size::terminal_size_of(io::stderr())
                .map_or((80, 24), |(w, h)| (usize::from(w.0), usize::from(h.0)))
        };
        Self::on(ProgressDrawTarget::stderr(), Box::new(size), color)
    }

    /// On this terminal.
    pub fn on(target: ProgressDrawTarget, size: Size, color: bool) -> Self {
        Self { multi: MultiProgress::with_draw_target(target), bars: Vec::new(), size, color }
    }

    /// Nothing would be seen: no terminal, or a dumb one. Then take [`Face::Lines`].
    pub fn is_hidden(&self) -> bool {
        self.multi.is_hidden()
    }

    /// Events come in bursts and are drawn as the rate allows; a tick is drawn in any case.
    fn draw(&mut self, tally: &Tally, names: &Names, secrets: &Redactor, in_any_case: bool) {
        let (width, height) = (self.size)();
        let lines = bar_lines(tally, names, height.saturating_sub(FREE_LINES).max(1));
        while self.bars.len() > lines.len() {
            if let Some(bar) = self.bars.pop() {
                bar.finish_and_clear();
                self.multi.remove(&bar);
            }
        }
        let widest = lines.iter().map(|l| l.name.chars().count()).max().unwrap_or(0).min(WIDEST_NAME);
        let style = style(widest, width, self.color);
        for (i, line) in lines.into_iter().enumerate() {
            if self.bars.len() == i {
                self.bars.push(self.multi.add(ProgressBar::new(1)));
            }
            let bar = &self.bars[i];
            let clean = |s: &str| secrets.line(&escape::escape(s));
            bar.set_style(style.clone());
            bar.set_length(line.counts.steps.max(1).into());
            bar.set_prefix(clean(&line.name));
            bar.set_message(clean(&format!("{}/{}  {}", line.counts.done, line.counts.all, line.words)));
            bar.set_position(line.counts.steps_done.into());
            if in_any_case {
                bar.force_draw();
            } else {
                bar.tick();
            }
        }
    }
}

fn style(name: usize, width: usize, color: bool) -> ProgressStyle {
    let bar = if width < 60 { 8 } else { 16 };
    let colors = if color { ".green/dim" } else { "" };
    let template = format!("  {{prefix:{name}}}  {{bar:{bar}{colors}}}  {{wide_msg}}");
    // A template is checked when it is made; this one has only numbers put in.
    let style = ProgressStyle::with_template(&template).expect("the template is well formed");
    style.progress_chars("━╸─")
}

/// One line of the bars.
struct BarLine {
    name: String,
    counts: Counts,
    words: String,
}

/// The lines, at most `most`: all together first, then the groups, those at work before those that wait or are over.
fn bar_lines(tally: &Tally, names: &Names, most: usize) -> Vec<BarLine> {
    let elapsed = since(tally.began(), tally.now());
    let all = tally.all();
    let mut lines = vec![BarLine { name: "all".to_owned(), counts: all, words: tail_words(&all, &elapsed) }];
    let mut groups: Vec<_> = tally.groups().iter().collect();
    if groups.len() + 1 > most {
        groups.sort_by_key(|(_, c)| (c.running == 0, c.open() == 0));
    }
    let fit = most.saturating_sub(1);
    let left_out = groups.len().saturating_sub(fit);
    if left_out > 0 {
        lines[0].words = format!("{} · {} not shown", lines[0].words, count(left_out as u64, "group", "groups"));
    }
    for (group, counts) in groups.into_iter().take(fit) {
        let flight = tally
            .flights()
            .into_iter()
            .find(|f| addresses(tally.plan(), f.step).iter().any(|a| a.group == *group))
            .map(|f| flight_words(tally, names, f));
        let words = flight.unwrap_or_else(|| tail_words(counts, ""));
        lines.push(BarLine { name: group.to_string(), counts: *counts, words });
    }
    if lines.len() == 2 {
        // One group: the line of all says nothing more.
        let only = lines.remove(0);
        lines[0].words = Text::join([lines[0].words.as_str().into(), only.words.as_str().into()], " · ").words();
    }
    lines
}

/// `2m 10s · 1 failed · 3 left out`.
fn tail_words(c: &Counts, elapsed: &str) -> String {
    let mut parts = vec![elapsed.to_owned()];
    for (n, word) in [(c.failed, "failed"), (c.refused, "refused"), (c.skipped, "left out")] {
        if n > 0 {
            parts.push(format!("{} {word}", number(n.into())));
        }
    }
    if c.open() == 0 && elapsed.is_empty() && parts.len() == 1 {
        parts.push("done".to_owned());
    }
    parts.retain(|p| !p.is_empty());
    parts.join(" · ")
}

/// The page as talk for a person who asked with `t` or SIGUSR1, ready to print.
pub fn in_flight_text(live: &Live, width: usize, color: bool) -> String {
    render::text(&live.in_flight(), &live.secrets, width, color)
}
