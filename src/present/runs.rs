//! What a run looks like while it goes and when it has ended: bars, lines, events, reports.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use evenkeel_core::address::Address;
use evenkeel_core::event::{Event, Happened, Outcome};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::plan::{Action, Call, Do, Plan, Step, Target, Until, Wait, Why};
use indicatif::{InMemoryTerm, ProgressDrawTarget};
use jiff::{SignedDuration, Timestamp};

use crate::progress::{Bars, Face, Live};
use crate::redact::Redactor;
use crate::samples::{change, data, empty, now, web};
use crate::snapshots::{keeps_the_rules, shows};
use crate::{json, render};

/// Six volumes made and attached, two machines replaced: calls and waits of several sorts.
fn plan() -> Plan {
    let mut plan = empty();
    for slot in 0..6 {
        plan.changes.push(change(data().slot(slot), Action::Attach, Why::Drifted, "was detached"));
    }
    for slot in 0..2 {
        plan.changes.push(change(web().slot(slot), Action::Replace, Why::Unhealthy, "stopped"));
    }
    let step =
        |needs: Vec<u32>, changes: Vec<u32>, does: Do| Step { scope: "default".to_owned(), needs, changes, does };
    let wait = |targets: Vec<Target>, until: Until| Do::Wait(Wait { targets, until, within: 600 });
    for slot in 0..6 {
        let call = Call::Attach {
            volume: Target::Id(format!("vol-{slot}")),
            machine: Target::Id(format!("i-{slot}")),
            device: "/dev/sdf".to_owned(),
        };
        plan.steps.push(step(vec![], vec![slot], Do::Call(call)));
    }
    let volumes = (0..6).map(|s| Target::Id(format!("vol-{s}"))).collect();
    plan.steps.push(step((0..6).collect(), (0..6).collect(), wait(volumes, Until::Attached)));
    plan.steps.push(step(vec![], vec![6, 7], Do::Call(Call::Start(vec!["i-8".to_owned(), "i-9".to_owned()]))));
    let new = |slot| Target::New(web().slot(slot));
    plan.steps.push(step(vec![7], vec![6, 7], wait(vec![new(0), new(1)], Until::Healthy { warm: 60 })));
    plan.steps.push(step(vec![8], vec![6], Do::Call(Call::Terminate(vec!["i-0ab3f1c2d3e4f5000".to_owned()]))));
    plan.steps.push(step(vec![8], vec![7], Do::Call(Call::Terminate(vec!["i-0ab3f1c2d3e4f5001".to_owned()]))));
    plan.seal()
}

fn at(seconds: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn event(seconds: i64, happened: Happened) -> Event {
    Event { at: at(seconds), happened }
}

fn done(step: u32) -> Happened {
    Happened::Done { step, made: BTreeMap::new() }
}

/// A run in which nearly everything that can happen does.
fn story() -> Vec<Event> {
    let denied = Failure::new(
        Class::Denied,
        "UnauthorizedOperation",
        "AttachVolume: User arn:aws:iam::123456789012:user/ci is not authorized to perform: ec2:AttachVolume on \u{202e}it",
    );
    let made: BTreeMap<Address, String> = (0..2).map(|s| (web().slot(s), format!("i-0new{s}secret-token"))).collect();
    let mut all = vec![
        event(0, Happened::Began { plan: plan().id, attempt: 1 }),
        event(0, Happened::Refused { change: 5, because: "vol-5 is attached again".to_owned() }),
        event(1, Happened::Started { step: 7 }),
    ];
    all.extend((0..5).map(|step| event(1, Happened::Started { step })));
    let throttled = Failure::new(Class::Throttled, "RequestLimitExceeded", "AttachVolume: slow down");
    all.extend([
        event(2, Happened::Retrying { step: 0, failure: throttled, after_ms: 1_600 }),
        event(3, Happened::Done { step: 7, made }),
        event(3, Happened::Started { step: 8 }),
        event(4, done(0)),
        event(4, done(1)),
        event(5, done(2)),
        event(5, Happened::Failed { step: 3, failure: denied.clone(), lost: vec![] }),
        event(6, Happened::Failed { step: 4, failure: denied, lost: vec![] }),
        event(6, Happened::Skipped { step: 6, because: "attachment of volumes.data/3 failed".to_owned() }),
        event(9, Happened::Waiting { step: 8, shows: vec!["web/0: pending".to_owned(), "web/1: pending".to_owned()] }),
    ]);
    all
}

fn ending() -> Vec<Event> {
    vec![
        event(130, done(8)),
        event(131, Happened::Started { step: 9 }),
        event(131, Happened::Started { step: 10 }),
        event(133, done(9)),
        event(133, done(10)),
        event(134, Happened::Ended { outcome: Outcome::Partial }),
    ]
}

/// A place to write that can be read afterwards.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn secrets() -> Redactor {
    Redactor::new(["secret-token"])
}

#[test]
fn plain_lines_say_what_changes_and_remind_once_a_minute() {
    let paper = Paper::default();
    let mut live = Live::new(plan(), secrets(), Face::Lines(Box::new(paper.clone())));
    for e in story() {
        live.on(&e).unwrap();
    }
    for second in 7..130 {
        live.tick(at(second)).unwrap();
    }
    for e in ending() {
        live.on(&e).unwrap();
    }
    insta::assert_snapshot!(paper.text());
}

#[test]
fn events_are_one_json_object_a_line_without_secrets() {
    let paper = Paper::default();
    let mut live = Live::new(plan(), secrets(), Face::Events(Box::new(paper.clone())));
    for e in story().iter().chain(&ending()) {
        live.on(e).unwrap();
        live.tick(e.at).unwrap();
    }
    let text = paper.text();
    assert!(!text.contains("secret-token") && !text.chars().any(|c| crate::escape::hides(c) && c != '\n'));
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["format"], crate::progress::FORMAT);
        assert!(value["event"].is_string() && value["at"].is_string());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn bars_show_each_group_and_what_it_waits_for() {
    let term = InMemoryTerm::new(10, 80);
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
    let mut live = Live::new(plan(), secrets(), Face::Bars(Bars::on(target, Box::new(|| (80, 10)), false)));
    for e in story() {
        live.on(&e).unwrap();
    }
    live.tick(at(40)).unwrap();
    let bars = term.contents();
    for e in ending() {
        live.on(&e).unwrap();
    }
    live.close();
    insta::assert_snapshot!(format!("{bars}\n\n== closed ==\n{}", term.contents()));
}

#[test]
fn bars_never_take_more_lines_than_the_terminal_has() {
    let mut plan = empty();
    for i in 0..30 {
        let group = evenkeel_core::address::Group::machines(format!("group-{i:02}"));
        plan.changes.push(change(group.slot(0), Action::Update, Why::Declared, "tags"));
        plan.steps.push(Step {
            scope: "default".to_owned(),
            needs: vec![],
            changes: vec![i],
            does: Do::Call(Call::Stop(vec![format!("i-{i}")])),
        });
    }
    let term = InMemoryTerm::new(8, 80);
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
    let mut live = Live::new(plan, Redactor::none(), Face::Bars(Bars::on(target, Box::new(|| (80, 8)), false)));
    live.on(&event(0, Happened::Began { plan: empty().id, attempt: 1 })).unwrap();
    live.on(&event(1, Happened::Started { step: 29 })).unwrap();
    live.tick(at(2)).unwrap();
    let text = term.contents();
    assert!(text.lines().count() <= 6, "{text}");
    assert!(text.contains("group-29") && text.contains("25 groups not shown"), "{text}");
}

#[test]
fn what_is_in_flight_is_told_the_oldest_first() {
    let mut live = Live::new(plan(), secrets(), Face::Silent);
    for e in story() {
        live.on(&e).unwrap();
    }
    live.tick(at(75)).unwrap();
    shows("run_in_flight", &live.in_flight());
}

#[test]
fn the_end_says_what_came_of_it_and_what_to_do_next() {
    let mut live = Live::new(plan(), secrets(), Face::Silent);
    for e in story().iter().chain(&ending()) {
        live.on(e).unwrap();
    }
    let report = live.report();
    shows("run_partial", &report.page());
    insta::assert_snapshot!("run_partial_json", json::pretty(&report, &secrets()));

    let mut live = Live::new(plan(), secrets(), Face::Silent);
    for e in story() {
        live.on(&e).unwrap();
    }
    live.on(&event(20, Happened::Interrupted { in_flight: vec![8] })).unwrap();
    live.on(&event(21, Happened::Ended { outcome: Outcome::Interrupted })).unwrap();
    shows("run_interrupted", &live.report().page());

    let mut live = Live::new(plan(), secrets(), Face::Silent);
    live.on(&event(0, Happened::Began { plan: plan().id, attempt: 1 })).unwrap();
    for step in 0..11 {
        live.on(&event(1, Happened::Started { step })).unwrap();
        live.on(&event(48, done(step))).unwrap();
    }
    live.on(&event(48, Happened::Ended { outcome: Outcome::Complete })).unwrap();
    let text = render::text(&live.report().page(), &secrets(), 80, false);
    assert_eq!(text, "Applied: 8 changes in 48s.\n");
}

#[test]
fn a_hundred_steps_in_flight_are_told_together_and_are_all_in_the_json() {
    let mut plan = empty();
    let step = |changes: Vec<u32>, does: Do| Step { scope: "default".to_owned(), needs: vec![], changes, does };
    for slot in 0..100 {
        plan.changes.push(change(data().slot(slot), Action::Attach, Why::Drifted, "was detached"));
        let (volume, machine) = (Target::Id(format!("vol-{slot}")), Target::Id(format!("i-{slot}")));
        let call = Call::Attach { volume, machine, device: "/dev/sdf".to_owned() };
        plan.steps.push(step(vec![slot], Do::Call(call)));
    }
    for i in 0..6 {
        let group = evenkeel_core::address::Group::machines(format!("group-{i}"));
        plan.changes.push(change(group.slot(0), Action::Update, Why::Declared, "tags"));
        plan.steps.push(step(vec![100 + i], Do::Call(Call::Stop(vec![format!("i-{i}")]))));
    }
    let mut live = Live::new(plan.seal(), secrets(), Face::Silent);
    live.on(&event(0, Happened::Began { plan: empty().id, attempt: 1 })).unwrap();
    for step in 0..106 {
        live.on(&event(1, Happened::Started { step })).unwrap();
    }
    let told = |doc: &crate::document::Doc| render::text(doc, &secrets(), 100, false);
    let asked = told(&live.in_flight());
    assert!(asked.lines().count() < 30 && asked.contains("and 86 more, begun later"), "{asked}");
    live.on(&event(2, Happened::Interrupted { in_flight: (0..106).collect() })).unwrap();
    live.on(&event(3, Happened::Ended { outcome: Outcome::Interrupted })).unwrap();
    let report = live.report();
    let page = told(&report.page());
    let few = "group-0/0, group-1/0, group-2/0, group-3/0, group-4/0 and 1 more (6 steps)";
    assert!(page.contains("attach data/0-99 (100 steps)") && page.contains(few), "{page}");
    assert!(page.lines().count() < 10, "{page}");
    assert_eq!(serde_json::to_value(&report).unwrap()["in_flight"].as_array().map(Vec::len), Some(106));
}

#[test]
fn the_tally_agrees_with_cores_progress_after_every_event() {
    let mut live = Live::new(plan(), secrets(), Face::Silent);
    let again =
        [event(200, Happened::Began { plan: plan().id, attempt: 2 }), event(201, Happened::Started { step: 3 })];
    for e in story().iter().chain(&ending()).chain(&again) {
        live.on(e).unwrap();
        let tally = live.tally();
        for c in 0..8 {
            assert_eq!(tally.standing(c), tally.progress().standing(c), "change {c} after {e:?}");
        }
        let mut counts = BTreeMap::new();
        for c in 0..8 {
            *counts.entry(tally.standing(c)).or_insert(0) += 1;
        }
        let of = |s| counts.get(&s).copied().unwrap_or(0);
        use evenkeel_core::progress::Standing::*;
        let all = tally.all();
        assert_eq!(
            (all.all, all.done, all.running, all.failed, all.refused, all.skipped),
            (8, of(Done), of(Running), of(Failed), of(Refused), of(Skipped))
        );
    }
}

#[test]
fn an_event_about_a_step_that_the_plan_does_not_have_is_survived() {
    let paper = Paper::default();
    let mut live = Live::new(plan(), secrets(), Face::Lines(Box::new(paper.clone())));
    for h in [
        Happened::Started { step: 999 },
        done(999),
        Happened::Refused { change: 999, because: String::new() },
        Happened::Skipped { step: 999, because: "x".to_owned() },
    ] {
        live.on(&event(1, h)).unwrap();
    }
    keeps_the_rules(&paper.text(), 200);
    live.report().page();
}

#[test]
fn a_live_run_can_be_shared_between_the_run_and_a_timer() {
    fn is_send<T: Send>(_: T) {}
    is_send(Live::new(plan(), secrets(), Face::Lines(Box::new(Paper::default()))));
}

#[test]
fn a_plan_of_two_thousand_changes_is_told_without_delay() {
    let mut plan = empty();
    for slot in 0..1_000 {
        plan.changes.push(change(web().slot(slot), Action::Create, Why::Declared, "count 0 → 1000"));
    }
    for slot in 0..1_000 {
        plan.changes.push(change(data().slot(slot), Action::Attach, Why::Drifted, "was detached"));
    }
    let text = render::text(&crate::plan::page(&plan, crate::plan::View::default()), &secrets(), 80, false);
    assert!(text.lines().count() < 20, "{text}");
    assert!(text.contains("web/0-999") && text.contains("1,000 × t3.small"), "{text}");
}
