//! The judge, rule by rule, and its laws over arbitrary signals.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::health::{History, remember};
use crate::value::Fields;

/// All times are minutes after this one.
const T0: i64 = 1_790_000_000;

fn min(m: i64) -> Timestamp {
    sec(m * 60)
}

fn sec(s: i64) -> Timestamp {
    Timestamp::from_second(T0 + s).unwrap()
}

/// Launched at minute 0.
fn machine(phase: Phase, signals: Vec<Signal>) -> Object {
    Object {
        scope: String::new(),
        kind: Kind::Machines,
        id: "i-1".into(),
        phase,
        says: String::new(),
        zone: "a".into(),
        created: min(0),
        token: None,
        index: 0,
        reservation: String::new(),
        tags: BTreeMap::new().into(),
        fields: Fields::new().into(),
        signals: signals.into(),
        attached: None,
        links: BTreeMap::new(),
        facts: Fields::new(),
    }
}

fn signal(source: Source, reading: Reading, since: Option<Timestamp>) -> Signal {
    let (name, reporter) = match source {
        Source::State => ("state", Reporter::Ec2Control),
        Source::SystemStatus => ("system status", Reporter::Ec2Host),
        Source::InstanceStatus => ("instance status", Reporter::Ec2Host),
        Source::EbsStatus => ("attached EBS status", Reporter::Ec2Ebs),
        Source::ScheduledEvent => ("instance-retirement", Reporter::Ec2Control),
        Source::NodeReady => ("node ready", Reporter::Kubelet),
        Source::NodeSilent => ("node silent", Reporter::Kubelet),
        Source::NodeMissing => ("node missing", Reporter::KubeApi),
    };
    let says = match (source, reading) {
        (Source::ScheduledEvent, _) => name.to_owned(),
        (_, Reading::Ok) => format!("{name} ok"),
        (_, Reading::Bad) => format!("{name} impaired"),
        (_, Reading::NoData) => format!("{name} insufficient data"),
    };
    Signal { source, reporter, reading, since, hard: false, says, not_before: None }
}

fn checks(system: Reading, instance: Reading, since: Option<Timestamp>) -> Vec<Signal> {
    let bad_since = |r| since.filter(|_| r == Reading::Bad);
    vec![
        signal(Source::State, Reading::Ok, None),
        signal(Source::SystemStatus, system, bad_since(system)),
        signal(Source::InstanceStatus, instance, bad_since(instance)),
    ]
}

fn event(says: &str, at: i64) -> Signal {
    Signal { says: says.into(), not_before: Some(min(at)), ..signal(Source::ScheduledEvent, Reading::Bad, None) }
}

fn cold(object: &Object, now: Timestamp) -> Verdict {
    judge(object, WaitFor::Healthy, None, &Policy::default(), now)
}

const WELL: (Reading, Reading) = (Reading::Ok, Reading::Ok);
const UNWELL: (Reading, Reading) = (Reading::Ok, Reading::Bad);
const SILENT: (Reading, Reading) = (Reading::NoData, Reading::NoData);

/// Judges look after look, (minute, readings), without provider times, and gives the words.
fn watch(looks: &[(i64, (Reading, Reading))]) -> Vec<&'static str> {
    let mut history = History::new();
    let look = |&(minute, (system, instance)): &(i64, (Reading, Reading))| {
        let object = machine(Phase::Up, checks(system, instance, None));
        let v = judge(&object, WaitFor::Healthy, history.get("i-1"), &Policy::default(), min(minute));
        remember(&mut history, &object, &v, min(minute));
        v.word()
    };
    looks.iter().map(look).collect()
}

#[test]
fn a_machine_that_is_not_running_is_dead_at_the_first_look() {
    for phase in [Phase::Stopping, Phase::Stopped, Phase::Leaving, Phase::Failed] {
        let v = cold(&machine(phase, checks(SILENT.0, SILENT.1, None)), min(60));
        assert!(v.dead() && !v.ready() && !v.soft() && !v.counted(), "{phase:?}");
        assert_eq!((v.word(), v.evidence[0].rule, v.recheck), ("dead", Rule::Dead, None), "{phase:?}");
    }
    let v = cold(&machine(Phase::Gone, vec![]), min(60));
    assert_eq!((v.state.clone(), v.dead(), v.evidence[0].rule), (State::Gone, true, Rule::Gone));
    let stopped = Object { says: "User initiated".into(), ..machine(Phase::Stopped, vec![]) };
    assert_eq!(cold(&stopped, min(60)).why(), "stopped: User initiated");
}

#[test]
fn a_hard_signal_needs_no_dwell() {
    let hard = Signal { hard: true, ..signal(Source::State, Reading::Bad, None) };
    assert!(cold(&machine(Phase::Up, vec![hard.clone()]), min(60)).dead());
    let quiet = Signal { reading: Reading::NoData, ..hard };
    assert!(!cold(&machine(Phase::Up, vec![quiet]), min(60)).dead());
}

#[test]
fn an_impaired_check_alone_is_suspect_until_fifteen_minutes_and_then_unhealthy() {
    let object = machine(Phase::Up, checks(Reading::Ok, Reading::Bad, Some(min(100))));
    for minute in 100..115 {
        let v = cold(&object, min(minute));
        assert_eq!((v.word(), v.ready(), v.soft(), v.counted()), ("suspect", false, true, true), "at {minute}");
        let next = if minute < 105 { 105 } else { 115 };
        assert_eq!(v.recheck, Some(min(next)), "at {minute}");
    }
    let v = cold(&object, min(115));
    assert_eq!(v.state, State::Unhealthy { causes: vec!["instance status impaired 15m".into()], hard: false });
    assert_eq!((v.since, v.evidence[0].rule, v.recheck), (Some(min(100)), Rule::SingleSource, None));
    assert!(!v.dead() && !v.ready() && v.soft());
}

#[test]
fn alone_never_counts_before_its_own_dwell() {
    let mut policy = Policy::default();
    policy.health.single_source = 60;
    let object = machine(Phase::Up, checks(Reading::Ok, Reading::Bad, Some(min(100))));
    let word = |minute| judge(&object, WaitFor::Healthy, None, &policy, min(minute)).word();
    assert_eq!((word(104), word(105)), ("suspect", "unhealthy"));
    assert_eq!(judge(&object, WaitFor::Healthy, None, &policy, min(104)).evidence[0].rule, Rule::Ripening);
}

#[test]
fn host_and_guest_check_are_one_witness() {
    let object = machine(Phase::Up, checks(Reading::Bad, Reading::Bad, Some(min(100))));
    assert_eq!(cold(&object, min(114)).word(), "suspect");
    let v = cold(&object, min(116));
    assert_eq!(v.why(), "system status impaired 16m, instance status impaired 16m");
}

#[test]
fn two_reporters_are_believed_after_their_dwell() {
    let mut object = machine(Phase::Up, checks(Reading::Ok, Reading::Bad, Some(min(100))));
    object.signals.push(signal(Source::State, Reading::Bad, Some(min(103))));
    assert_eq!(cold(&object, min(104)).word(), "suspect");
    let v = cold(&object, min(105));
    assert_eq!((v.word(), v.evidence[0].rule), ("unhealthy", Rule::TwoWitnesses));
}

#[test]
fn a_storage_check_never_condemns_the_machine() {
    let mut object = machine(Phase::Up, checks(Reading::Ok, Reading::Ok, None));
    object.signals.push(signal(Source::EbsStatus, Reading::Bad, Some(min(1))));
    let v = cold(&object, min(600));
    assert!(v.ready() && v.bad.is_empty());
    assert!(v.evidence.iter().any(|e| e.rule == Rule::Storage), "but it is told");
    let mut both = machine(Phase::Up, checks(Reading::Ok, Reading::Bad, Some(min(100))));
    both.signals.push(signal(Source::EbsStatus, Reading::Bad, Some(min(1))));
    assert_eq!(cold(&both, min(110)).word(), "suspect", "nor is it a second witness");
}

#[test]
fn one_cold_look_never_condemns_on_a_time_of_our_own() {
    let object = machine(Phase::Up, checks(Reading::Bad, Reading::Bad, None));
    let v = cold(&object, min(6_000));
    assert_eq!((v.word(), v.evidence[0].rule), ("suspect", Rule::FirstSeen));
    assert!(v.recheck.is_some_and(|t| t > min(6_000)));
}

#[test]
fn looks_of_our_own_ripen_only_without_a_break() {
    assert_eq!(watch(&[(100, UNWELL), (114, UNWELL), (115, UNWELL)]), ["suspect", "suspect", "unhealthy"]);
    assert_eq!(watch(&[(100, UNWELL), (110, SILENT), (116, UNWELL)]), ["suspect", "blind", "suspect"]);
    assert_eq!(watch(&[(100, UNWELL), (110, WELL), (116, UNWELL)]), ["suspect", "suspect", "suspect"]);
}

#[test]
fn two_looks_within_a_minute_are_one() {
    let mut policy = Policy::default();
    policy.health.instance_status = 0;
    policy.health.single_source = 0;
    let object = machine(Phase::Up, checks(Reading::Ok, Reading::Bad, None));
    let mut history = History::new();
    let mut look = |at| {
        let v = judge(&object, WaitFor::Healthy, history.get("i-1"), &policy, at);
        remember(&mut history, &object, &v, at);
        (v.word(), v.recheck)
    };
    assert_eq!(look(sec(7200)), ("suspect", Some(sec(7260))));
    assert_eq!(look(sec(7259)), ("suspect", Some(sec(7260))));
    assert_eq!(look(sec(7260)), ("unhealthy", None));
}

#[test]
fn what_was_unwell_is_healthy_only_after_five_good_minutes() {
    assert_eq!(
        watch(&[(100, UNWELL), (101, WELL), (105, WELL), (106, WELL), (107, WELL)]),
        ["suspect", "suspect", "suspect", "healthy", "healthy"]
    );
    assert_eq!(watch(&[(100, UNWELL), (101, WELL), (103, SILENT), (106, WELL)])[3], "healthy", "silence is no relapse");
    let relapse = watch(&[(100, UNWELL), (101, WELL), (104, UNWELL), (105, WELL), (109, WELL), (110, WELL)]);
    assert_eq!(&relapse[3..], ["suspect", "suspect", "healthy"], "a relapse begins the wait anew");
    let silent = watch(&[(100, UNWELL), (101, SILENT), (106, WELL), (111, WELL)]);
    assert_eq!(&silent[2..], ["suspect", "healthy"], "silence is no recovery");
    let v = cold(&machine(Phase::Up, checks(Reading::Ok, Reading::Ok, None)), min(101));
    assert_eq!(v.word(), "healthy", "without a past, well now is healthy");
}

#[test]
fn three_times_unwell_in_an_hour_is_flapping() {
    let spell = |at| [(at, UNWELL), (at + 1, WELL), (at + 7, WELL)];
    let looks: Vec<_> = [100, 115, 130].into_iter().flat_map(spell).collect();
    let words = watch(&looks);
    assert_eq!(&words[..6], ["suspect", "suspect", "healthy", "suspect", "suspect", "healthy"]);
    assert_eq!(&words[6..], ["flapping"; 3]);
    assert_eq!(watch(&[&looks[..], &[(138, SILENT)]].concat())[9], "blind", "nothing is said of what we cannot see");
    let long = watch(&[&looks[..6], &[(130, UNWELL), (131, UNWELL)]].concat());
    assert_eq!(long[7], "flapping");
    let two = watch(&[&looks[..3], &[(115, UNWELL), (116, UNWELL), (117, UNWELL)]].concat());
    assert_eq!(&two[3..], ["suspect"; 3], "a long illness is one");
    let rare: Vec<_> = [100, 135, 170].into_iter().flat_map(spell).collect();
    assert!(!watch(&rare).contains(&"flapping"));
}

#[test]
fn a_machine_on_its_way_up_is_starting_until_its_deadline() {
    let pending = machine(Phase::Starting, vec![]);
    assert_eq!(cold(&pending, sec(299)).state, State::Starting { deadline: min(5) });
    let late = cold(&pending, sec(300));
    assert_eq!((late.word(), late.evidence[0].rule, late.dead()), ("unhealthy", Rule::Overdue, false));
    let booting = machine(Phase::Up, checks(SILENT.0, SILENT.1, None));
    let v = cold(&booting, sec(899));
    assert_eq!((v.state.clone(), v.recheck), (State::Starting { deadline: min(15) }, Some(min(15))));
    assert!(!v.ready() && !v.counted() && !v.soft());
    let half = machine(Phase::Up, checks(Reading::Ok, Reading::NoData, None));
    assert_eq!(cold(&half, min(10)).word(), "starting");
    assert_eq!(judge(&booting, WaitFor::Running, None, &Policy::default(), min(1)).word(), "healthy");
}

#[test]
fn a_machine_without_any_data_is_blind_and_left_alone() {
    for signals in [vec![], checks(SILENT.0, SILENT.1, None)] {
        let v = cold(&machine(Phase::Up, signals), min(600));
        assert_eq!((v.state.clone(), v.severity(), v.counted()), (State::Blind, 0, false));
        assert_eq!(v.recheck, Some(min(601)));
    }
    assert_eq!(cold(&machine(Phase::Up, checks(Reading::Ok, Reading::NoData, None)), min(600)).word(), "healthy");
}

#[test]
fn a_check_that_never_passes_counts_only_after_we_watched_it() {
    let mut object = machine(Phase::Up, checks(SILENT.0, SILENT.1, None));
    for s in &mut object.signals[1..] {
        s.says = s.says.replace("insufficient data", "initializing");
    }
    let mut history = History::new();
    let mut look = |minute| {
        let v = judge(&object, WaitFor::Healthy, history.get("i-1"), &Policy::default(), min(minute));
        remember(&mut history, &object, &v, min(minute));
        v.word()
    };
    assert_eq!([14, 15, 29, 30].map(&mut look), ["starting", "suspect", "suspect", "unhealthy"]);
    assert_eq!(cold(&object, min(6_000)).word(), "suspect", "a reboot looks the same to a first look");
}

#[test]
fn an_announced_end_is_planned_and_the_machine_still_counts() {
    let mut object = machine(Phase::Up, checks(Reading::Ok, Reading::Ok, None));
    object.signals.push(event("system-maintenance", 200));
    object.signals.push(event("instance-retirement", 3_000));
    let v = cold(&object, min(100));
    assert_eq!(v.state, State::Planned { not_before: min(3_000), kind: Planned::Vacate });
    assert!(v.ready() && v.counted() && !v.soft());
    assert_eq!(v.recheck, Some(min(170)), "half an hour before the first of them");
    assert_eq!(v.evidence.iter().filter(|e| e.rule == Rule::Event).count(), 2, "both are told");
    for (code, kind) in [
        ("instance-stop", Planned::Vacate),
        ("instance-reboot", Planned::Reboot),
        ("system-reboot", Planned::Reboot),
        ("system-maintenance", Planned::Maintenance),
        ("a-code-of-tomorrow", Planned::Maintenance),
    ] {
        object.signals = vec![signal(Source::SystemStatus, Reading::Ok, None), event(code, 200)].into();
        assert_eq!(cold(&object, min(100)).state, State::Planned { not_before: min(200), kind }, "{code}");
    }
}

#[test]
fn an_announcement_does_not_hide_an_illness() {
    let mut object = machine(Phase::Up, checks(Reading::Ok, Reading::Bad, Some(min(100))));
    object.signals.push(event("instance-retirement", 3_000));
    let v = cold(&object, min(101));
    assert_eq!((v.word(), v.ready(), v.soft()), ("planned", false, true));
    assert_eq!(cold(&object, min(116)).word(), "unhealthy");
}

#[test]
fn an_event_that_is_over_is_ignored() {
    for over in ["[Completed] instance-retirement", "[Canceled] system-reboot", "system-reboot: [Completed] done"] {
        let mut object = machine(Phase::Up, checks(Reading::Ok, Reading::Ok, None));
        object.signals.push(event(over, 200));
        assert_eq!(cold(&object, min(100)).word(), "healthy", "{over}");
    }
}

#[test]
fn a_volume_is_judged_by_its_phase() {
    let volume = |phase| Object { kind: Kind::Volumes, ..machine(phase, vec![]) };
    let words = [Phase::Up, Phase::Starting, Phase::Leaving, Phase::Gone, Phase::Failed]
        .map(|p| cold(&volume(p), min(1)).word());
    assert_eq!(words, ["healthy", "starting", "gone", "gone", "dead"]);
}

#[test]
fn clocks_that_differ_do_no_harm() {
    let object = machine(Phase::Up, checks(Reading::Ok, Reading::Bad, Some(min(500))));
    let v = cold(&object, min(100));
    assert_eq!((v.word(), v.recheck), ("suspect", Some(min(505))));
    for extreme in [Timestamp::MIN, Timestamp::MAX] {
        let object = Object { created: extreme, ..object.clone() };
        let mut policy = Policy::default();
        policy.startup.healthy = u64::MAX;
        policy.health.single_source = u64::MAX;
        judge(&object, WaitFor::Healthy, None, &policy, Timestamp::MAX);
        judge(&object, WaitFor::Healthy, None, &policy, Timestamp::MIN);
    }
}

#[test]
fn a_clock_that_goes_back_does_not_prolong_a_dwell() {
    let from_here = watch(&[(60, UNWELL), (65, UNWELL), (90, UNWELL)]);
    assert_eq!(from_here.last(), Some(&"unhealthy"), "{from_here:?}");
    assert_eq!(watch(&[(300, UNWELL), (60, UNWELL), (65, UNWELL), (90, UNWELL)])[1..], from_here);
}

#[test]
fn healthy_since_is_remembered_for_warmth_and_lineage() {
    let mut history = History::new();
    for (minute, (system, instance)) in [(100, WELL), (110, SILENT), (120, WELL)] {
        let object = machine(Phase::Up, checks(system, instance, None));
        let v = judge(&object, WaitFor::Healthy, history.get("i-1"), &Policy::default(), min(minute));
        remember(&mut history, &object, &v, min(minute));
        assert_eq!(history["i-1"].healthy_since, Some(min(100)));
    }
    let text = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
}

#[test]
fn spans_read_well() {
    let table = [(0, "0s"), (59, "59s"), (61, "1m1s"), (299, "4m59s"), (840, "14m"), (7500, "2h5m"), (90_000, "1d1h")];
    for (seconds, text) in table {
        assert_eq!(span(seconds), text);
    }
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let source = prop_oneof![
        Just(Source::State),
        Just(Source::SystemStatus),
        Just(Source::InstanceStatus),
        Just(Source::EbsStatus),
        Just(Source::ScheduledEvent),
        Just(Source::NodeReady),
        Just(Source::NodeSilent),
        Just(Source::NodeMissing),
    ];
    let reading = prop_oneof![Just(Reading::Ok), Just(Reading::Bad), Just(Reading::NoData)];
    let words = prop_oneof![
        4 => Just("impaired"),
        1 => Just("instance-retirement"),
        1 => Just("system-reboot"),
        1 => Just("[Completed] instance-stop"),
    ];
    let time = || proptest::option::of(-30i64..120);
    (source, reading, time(), time(), any::<u8>(), words).prop_map(|(source, reading, since, not_before, n, says)| {
        let reporter = [Reporter::Ec2Control, Reporter::Ec2Host, Reporter::Ec2Ebs][usize::from(n % 3)];
        let times = |m: Option<i64>| m.map(min);
        let (since, not_before) = (times(since), times(not_before));
        Signal { source, reporter, reading, since, hard: n < 6, says: says.into(), not_before }
    })
}

fn any_past() -> impl Strategy<Value = Option<Past>> {
    let time = || (-60i64..100).prop_map(min);
    let past = (
        proptest::option::of(time()),
        proptest::collection::vec(time(), 0..5),
        any::<bool>(),
        proptest::option::of(time()),
    )
        .prop_map(|(first, mut suspect_entries, ill, well_since)| {
            suspect_entries.sort();
            let first_bad = first.map(|t| (Source::InstanceStatus, t)).into_iter().collect();
            Past { first_bad, suspect_entries, ill, well_since, looks: 3, ..Past::default() }
        });
    proptest::option::of(past)
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop_oneof![
        10 => Just(Phase::Up),
        1 => Just(Phase::Starting),
        1 => Just(Phase::Stopped),
        1 => Just(Phase::Leaving),
        1 => Just(Phase::Gone),
    ]
}

fn any_wait() -> impl Strategy<Value = WaitFor> {
    prop_oneof![Just(WaitFor::Running), Just(WaitFor::Healthy)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// P13: what is not known never worsens a verdict, taking a bad signal away never does, and looking again is
    /// always ahead. Nor does the order of signals matter (P12).
    #[test]
    fn not_knowing_and_getting_better_never_worsen_a_verdict(
        phase in any_phase(), signals in proptest::collection::vec(any_signal(), 0..6),
        past in any_past(), wait in any_wait(), now in 0i64..100,
    ) {
        let policy = Policy::default();
        let object = machine(phase, signals);
        let look = |o: &Object| judge(o, wait, past.as_ref(), &policy, min(now));
        let v = look(&object);
        prop_assert!(v.recheck.is_none_or(|t| t > min(now)), "{:?}", v);
        prop_assert!(!v.evidence.is_empty());
        prop_assert!(!v.ready() || !(v.dead() || v.soft()));
        let mut turned = object.clone();
        turned.signals.reverse();
        prop_assert_eq!(&look(&turned), &v);
        for i in 0..object.signals.len() {
            let mut silent = object.clone();
            silent.signals[i].reading = Reading::NoData;
            prop_assert!(look(&silent).severity() <= v.severity(), "silence at {}: {:?} {:?}", i, v, look(&silent));
            if object.signals[i].reading == Reading::Bad {
                let mut less = object.clone();
                less.signals.remove(i);
                prop_assert!(look(&less).severity() <= v.severity(), "without {}: {:?} {:?}", i, v, look(&less));
            }
        }
    }

    /// P13 over time: a silent look may delay a recovery, but never makes anything unhealthy that was not.
    #[test]
    fn a_silent_look_never_worsens_what_comes_after(
        readings in proptest::collection::vec((1i64..20, 0usize..3, 0usize..3), 1..9), at in 0usize..9,
    ) {
        let kinds = [Reading::Ok, Reading::Bad, Reading::NoData];
        let run = |silent: Option<usize>| {
            let mut history = History::new();
            let mut now = 30;
            let mut last = 0;
            for (i, (gap, system, instance)) in readings.iter().enumerate() {
                now += gap;
                let r = if silent == Some(i) { SILENT } else { (kinds[*system], kinds[*instance]) };
                let object = machine(Phase::Up, checks(r.0, r.1, None));
                let v = judge(&object, WaitFor::Healthy, history.get("i-1"), &Policy::default(), min(now));
                remember(&mut history, &object, &v, min(now));
                last = v.severity();
            }
            last
        };
        prop_assert!(run(Some(at)) < 4 || run(None) >= 4);
    }
}
