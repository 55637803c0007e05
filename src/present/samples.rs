//! Plans made by hand, for the tests of this crate: every action, reason and hold, the everyday and the hostile.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Address, Group};
use evenkeel_core::diagnostic::{Diagnostic, Fix, Place, Severity};
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::health::{Planned, State, Verdict};
use evenkeel_core::observed::{Gap, Truth};
use evenkeel_core::plan::{
    Action, Basis, Change, FORMAT, FieldChange, Forecast, Held, Hold, Note, Plan, Reason, Takes, Why,
};
use evenkeel_core::rules::{Evidence, Rule};
use evenkeel_core::value::Value;
use jiff::Timestamp;

use crate::status::{GroupStatus, Member, NodeStatus, StatusReport};

pub const ACTIONS: [Action; 8] = [
    Action::Create,
    Action::Update,
    Action::Replace,
    Action::Delete,
    Action::Restamp,
    Action::Quarantine,
    Action::Release,
    Action::Attach,
];

pub const WHYS: [Why; 10] = [
    Why::Declared,
    Why::Drifted,
    Why::Conflict,
    Why::Unhealthy,
    Why::Retiring,
    Why::Uneven,
    Why::Duplicate,
    Why::Stamp,
    Why::Outdated,
    Why::Asked,
];

pub const HOLDS: [Hold; 14] = [
    Hold::Protection,
    Hold::DeleteCap,
    Hold::ZeroDesired,
    Hold::Floor,
    Hold::Breaker,
    Hold::Outage,
    Hold::Frozen,
    Hold::Blind,
    Hold::Quarantine,
    Hold::Time,
    Hold::Launching,
    Hold::Filter,
    Hold::Unresolved,
    Hold::Foreign,
];

pub fn now() -> Timestamp {
    "2026-11-24T12:31:05Z".parse().unwrap()
}

pub fn web() -> Group {
    Group::machines("web")
}

pub fn data() -> Group {
    Group::volumes("data")
}

pub fn reason(why: Why, says: &str) -> Reason {
    Reason { why, says: says.to_owned() }
}

pub fn field(name: &str, old: impl Into<Value>, new: impl Into<Value>, why: Why) -> FieldChange {
    FieldChange { field: name.to_owned(), old: old.into(), new: new.into(), why, forces_replacement: None, by: None }
}

pub fn change(address: Address, action: Action, why: Why, says: &str) -> Change {
    let zone = format!("us-east-1{}", ['a', 'b', 'c'][address.slot as usize % 3]);
    let machine = address.group.kind == evenkeel_core::address::Kind::Machines;
    let id = format!("{}0ab3f1c2d3e4f5{:03x}", if machine { "i-" } else { "vol-" }, address.slot);
    Change {
        object: (action != Action::Create).then_some(id),
        action,
        reasons: vec![reason(why, says)],
        fields: Vec::new(),
        zone,
        what: if machine { "t3.small" } else { "50GiB" }.to_owned(),
        node: None,
        how: String::new(),
        fingerprint: Digest::of(address.to_string().as_bytes()),
        address,
    }
}

pub fn held(change: Change, by: Hold, waits_for: &str) -> Held {
    Held { change, waits_for: waits_for.to_owned(), by }
}

pub fn forecast(group: Group, before: u32, after: u32, needed: u32) -> Forecast {
    let zones: BTreeMap<String, (u32, u32)> = ['a', 'b', 'c']
        .iter()
        .zip(0u32..)
        .map(|(z, i)| (format!("us-east-1{z}"), ((before + 2 - i) / 3, (after + 2 - i) / 3)))
        .collect();
    Forecast {
        before,
        after,
        wanted: after,
        floor: before.min(needed),
        ready: before,
        needed,
        left_after_machine: after.saturating_sub(1),
        left_after_zone: zones.iter().map(|(z, (_, n))| (z.clone(), after - n)).collect(),
        count_for_any_zone: None,
        zones,
        group,
    }
}

/// A plan that does nothing.
pub fn empty() -> Plan {
    let scopes = BTreeMap::from([("default".to_owned(), ("123456789012".to_owned(), "us-east-1".to_owned()))]);
    Plan {
        format: FORMAT,
        id: Digest(String::new()),
        basis: Basis {
            stack: "7f3kq2x9".to_owned(),
            name: "shop".to_owned(),
            at: now(),
            declaration: Digest::of(b"file"),
            scopes,
            objects: 1214,
            calls: 7,
        },
        changes: Vec::new(),
        steps: Vec::new(),
        held: Vec::new(),
        notes: Vec::new(),
        forecast: vec![forecast(web(), 6, 6, 4), forecast(data(), 6, 6, 6)],
        gaps: Vec::new(),
        unread: Vec::new(),
        look_again_at: None,
        takes: Takes::default(),
    }
    .seal()
}

/// Everything made for the first time.
pub fn first() -> Plan {
    let mut plan = empty();
    plan.basis.objects = 0;
    for slot in 0..6 {
        let mut machine = change(web().slot(slot), Action::Create, Why::Declared, "count 0 → 6");
        machine.how = "wait until healthy".to_owned();
        let mut volume = change(data().slot(slot), Action::Create, Why::Declared, "one for each of machines.web");
        volume.how = format!("attach to web/{slot} as /dev/sdf");
        plan.changes.extend([machine, volume]);
    }
    plan.changes.sort_by(|a, b| a.address.cmp(&b.address));
    plan.forecast = vec![forecast(web(), 0, 6, 6), forecast(data(), 0, 6, 6)];
    plan.takes = Takes { calls: 15, launches: 6, deletes: 0, least_ms: 4_800 };
    plan.seal()
}

/// The screen of a working day.
pub fn everyday() -> Plan {
    let mut plan = empty();
    let mut replaced = change(web().slot(2), Action::Replace, Why::Unhealthy, "instance status impaired 14m");
    replaced.how = "launch first · terminate · data/2 follows".to_owned();
    let mut set_back = change(web().slot(4), Action::Update, Why::Drifted, "security-groups [debug, web] → [web]");
    set_back.fields = vec![field("security-groups", Value::set(["web", "debug"]), Value::set(["web"]), Why::Drifted)];
    let mut grown = change(data().slot(1), Action::Update, Why::Declared, "size 50GiB → 80GiB");
    grown.fields = vec![field("size", "50GiB", "80GiB", Why::Declared)];
    grown.how = "then no other change for 6h".to_owned();
    let added = change(web().slot(6), Action::Create, Why::Declared, "count 6 → 7");
    plan.changes = vec![replaced, set_back, added, grown];
    let mut waiting = change(web().slot(5), Action::Replace, Why::Declared, "image ami-1 → ami-2");
    waiting.fields = vec![FieldChange {
        forces_replacement: Some("EC2 sets it at launch only".to_owned()),
        by: None,
        ..field("image", "ami-0aaa1111bbb2222cc", "ami-0ddd3333eee4444ff", Why::Declared)
    }];
    plan.held = vec![held(waiting, Hold::Floor, "web/2 (floor 6 of 6)")];
    plan.forecast = vec![forecast(web(), 6, 7, 4), forecast(data(), 6, 6, 6)];
    plan.unread = vec![(web(), "user-data".to_owned(), 6)];
    plan.takes = Takes { calls: 11, launches: 2, deletes: 1, least_ms: 2_400 };
    plan.seal()
}

/// Every action, every reason, every hold, notes and gaps.
pub fn every_sort() -> Plan {
    let mut plan = everyday();
    plan.changes.clear();
    for (slot, action) in (0..).zip(ACTIONS) {
        let mut c = change(web().slot(slot), action, WHYS[slot as usize], "the words of the reason");
        c.reasons.push(reason(WHYS[(slot as usize + 2) % 10], "and those of another"));
        if action == Action::Replace {
            c.fields = vec![
                FieldChange {
                    forces_replacement: Some("boot scripts run at the first boot only".to_owned()),
                    by: None,
                    ..field("user-data", "(secret) q5mzk2", "(secret) 7xw2ab", Why::Declared)
                },
                field("monitoring", false, true, Why::Conflict),
            ];
        }
        if action == Action::Update {
            let tags = |team: &str, cost: Option<&str>| {
                let mut map = BTreeMap::from([("team".to_owned(), Value::from(team))]);
                map.insert("app".to_owned(), Value::from("shop"));
                map.extend(cost.map(|c| ("cost-centre".to_owned(), Value::from(c))));
                Value::Map(map)
            };
            c.fields = vec![field("tags", tags("payments", None), tags("checkout", Some("4711")), Why::Declared)];
        }
        plan.changes.push(c);
    }
    for slot in 0..3 {
        let mut c = change(data().slot(slot), Action::Attach, Why::Drifted, "was detached by hand");
        c.how = format!("to web/{slot} as /dev/sdf");
        plan.changes.push(c);
    }
    plan.changes.push(change(data().slot(3), Action::Quarantine, Why::Declared, "no longer in the file"));
    plan.held = HOLDS
        .iter()
        .zip(10..)
        .map(|(by, slot)| {
            held(change(web().slot(slot), Action::Delete, Why::Declared, "count 20 → 7"), *by, "its turn")
        })
        .collect();
    for slot in 30..34 {
        let c = change(web().slot(slot), Action::Replace, Why::Outdated, "a newer image is there");
        plan.held.push(held(c, Hold::Floor, "web/2 (floor 6 of 6)"));
    }
    let note = |kind: &str, about: &str, says: &str| Note {
        kind: kind.to_owned(),
        about: about.to_owned(),
        says: says.to_owned(),
    };
    plan.notes = vec![
        note("outdated", "machines.web", "image al2023-ami-2023.*-x86_64 is now ami-0ddd3333eee4444ff, 12d newer"),
        note("copied-tags", "i-0123456789abcdef0", "bears our tags but was not launched by us; left alone"),
        note("foreign", "vol-0123456789abcdef0", "is owned by stack shop of another id"),
        note("foreign", "vol-0123456789abcdef1", "is owned by stack shop of another id"),
    ];
    plan.gaps = vec![
        Gap {
            scope: "default".to_owned(),
            kind: Some(evenkeel_core::address::Kind::Volumes),
            what: "volumes".to_owned(),
            failure: Failure::new(Class::Denied, "UnauthorizedOperation", "DescribeVolumes: You are not authorized"),
            partial: false,
        },
        Gap {
            scope: "eu".to_owned(),
            kind: None,
            what: "status checks".to_owned(),
            failure: Failure::new(Class::Transient, "", "DescribeInstanceStatus: connection reset"),
            partial: true,
        },
    ];
    plan.unread.push((Group::machines("db"), "user-data".to_owned(), 3));
    plan.look_again_at = Some("2026-11-24T12:37:05Z".parse().unwrap());
    plan.forecast.push(forecast(Group::machines("db"), 3, 3, 3));
    plan.forecast[0].left_after_zone.insert("us-east-1a".to_owned(), 2);
    plan.seal()
}

/// Names and values from a world that means harm.
pub fn hostile() -> Plan {
    let mut plan = empty();
    plan.basis.name = "shop\u{1b}]0;owned\u{7}".to_owned();
    let mut c = change(web().slot(0), Action::Update, Why::Drifted, "```\n</details> @everyone \u{202e}txt.exe");
    c.object = Some("i-0\u{200b}1".to_owned());
    c.fields = vec![field("tags", "a````b", "東京\u{1b}[31m", Why::Drifted)];
    c.zone = "us-east-1a with-a-very-long-name-that-no-provider-would-ever-give-to-a-zone-of-its-own".to_owned();
    plan.changes = vec![c];
    plan.seal()
}

/// A stack on a bad day.
pub fn status() -> StatusReport {
    let at = now();
    let ago = |s: i64| Some(at.checked_sub(jiff::SignedDuration::from_secs(s)).unwrap());
    let later = |s: i64| at.checked_add(jiff::SignedDuration::from_secs(s)).unwrap();
    let verdict =
        |state: State, since: Option<Timestamp>, rule: Rule, says: &str, recheck: Option<Timestamp>| Verdict {
            state,
            since,
            bad: BTreeSet::new(),
            well: rule == Rule::Well,
            evidence: vec![Evidence::new(rule, says)],
            recheck,
        };
    let well = || verdict(State::Healthy, ago(400_000), Rule::Well, "both checks pass", None);
    let member = |address: Address, verdict: Option<Verdict>| {
        let seen = change(address.clone(), Action::Update, Why::Declared, "");
        let gone = verdict.is_none();
        Member {
            object: seen.object.filter(|_| !gone),
            zone: if gone { String::new() } else { seen.zone },
            what: if gone { String::new() } else { seen.what },
            attached: String::new(),
            node: None,
            address,
            verdict,
            notes: Vec::new(),
        }
    };
    let states = vec![
        Some(well()),
        Some(verdict(
            State::Unhealthy { causes: vec!["instance status impaired 16m".to_owned()], hard: false },
            ago(960),
            Rule::SingleSource,
            "instance status impaired 16m (ripe at 15m)",
            Some(later(300)),
        )),
        Some(verdict(
            State::Suspect { since: ago(180).unwrap() },
            ago(180),
            Rule::Ripening,
            "system status impaired 3m (ripe at 5m)",
            Some(later(120)),
        )),
        None,
        Some(verdict(
            State::Starting { deadline: later(480) },
            ago(60),
            Rule::Starting,
            "pending 1m",
            Some(later(480)),
        )),
        Some(verdict(
            State::Unhealthy { causes: vec!["stopped".to_owned()], hard: true },
            ago(7_500),
            Rule::Dead,
            "stopped while it should run",
            None,
        )),
        Some(verdict(State::Flapping, ago(3_000), Rule::Flapping, "suspect 4 times within 60m", Some(later(600)))),
        Some(verdict(
            State::Planned { not_before: later(172_800), kind: Planned::Vacate },
            ago(3_600),
            Rule::Event,
            "instance-retirement",
            Some(later(171_000)),
        )),
        Some(verdict(State::Blind, None, Rule::Blind, "no reporter says anything", Some(later(60)))),
        Some(verdict(State::Gone, ago(30), Rule::Gone, "terminated", None)),
    ];
    let mut members: Vec<Member> = (0..).zip(states).map(|(slot, v)| member(web().slot(slot), v)).collect();
    members[1].node = Some(NodeStatus {
        cluster: "kubernetes:".to_owned(),
        name: "ip-10-0-0-7".to_owned(),
        ready: Truth::Unknown,
        since: ago(960),
        says: "NodeStatusUnknown: Kubelet stopped posting node status.".to_owned(),
        cordoned: true,
        words: "node ip-10-0-0-7 silent 16m, cordoned".to_owned(),
    });
    let large = Group::machines("batch");
    let mut many: Vec<Member> = (0..40).map(|slot| member(large.slot(slot), Some(well()))).collect();
    many[17] = member(large.slot(17), None);
    let volumes = (0..3).map(|slot| {
        let attached = format!("web/{slot} as /dev/sdf");
        Member {
            attached,
            ..member(data().slot(slot), Some(verdict(State::Healthy, None, Rule::Well, "in use", None)))
        }
    });
    StatusReport {
        name: "shop".to_owned(),
        stack: "7f3kq2x9".to_owned(),
        at,
        scopes: empty().basis.scopes,
        situation: vec!["zone us-east-1b is suspected: 2 of 2 machines unwell, 0 of 8 elsewhere".to_owned()],
        groups: vec![
            GroupStatus { group: large, wanted: 40, ready: 39, members: many },
            GroupStatus { group: web(), wanted: 10, ready: 2, members },
            GroupStatus { group: data(), wanted: 3, ready: 3, members: volumes.collect() },
        ],
        gaps: every_sort().gaps,
    }
}

/// A file with mistakes, and what is said about them.
pub fn mistakes() -> (Vec<Diagnostic>, BTreeMap<String, String>) {
    let source = "[stack]\nname = \"shop\"\n\n[machines.web]\ncount = 6\nzonse = [\"us-east-1a\"]\n\
                  disks = [{ device = \"/dev/sdf\", size = \"20GB\" }]\nuser-data = \"\u{202e}boot\u{1b}[2J.sh\" # p4ssw0rd!\n";
    let place = |what: &str, label: &str| {
        let at = source.find(what).unwrap();
        Place { file: "evenkeel.toml".to_owned(), span: at..at + what.len(), label: label.to_owned() }
    };
    let fix = |what: &str, with: &str| Some(Fix { span: place(what, "").span, with: with.to_owned() });
    let all = vec![
        Diagnostic {
            code: "E0102",
            severity: Severity::Error,
            says: "`zonse` is not a key of [machines.web]".to_owned(),
            places: vec![place("zonse", "did you mean `zones`?"), place("[machines.web]", "in this table")],
            way_out: "write `zones`, or see `evenkeel schema` for every key of this table".to_owned(),
            fix: fix("zonse", "zones"),
        },
        Diagnostic {
            code: "E0117",
            severity: Severity::Error,
            says: "\"20GB\" is not a size: EBS counts whole GiB, and 20 GB would be 18.6 of them, which nobody means"
                .to_owned(),
            places: vec![place("\"20GB\"", "")],
            way_out: "write \"20GiB\"".to_owned(),
            fix: fix("\"20GB\"", "\"20GiB\""),
        },
        Diagnostic {
            code: "W0201",
            severity: Severity::Warning,
            says: "the name of this file has characters that cannot be seen".to_owned(),
            places: vec![place("boot", "")],
            way_out: "rename the file".to_owned(),
            fix: None,
        },
        Diagnostic {
            code: "E0301",
            severity: Severity::Error,
            says: "the variable `team` has no value".to_owned(),
            places: Vec::new(),
            way_out: "give it with `--var team=…`, or set EVENKEEL_VAR_team".to_owned(),
            fix: None,
        },
    ];
    (all, BTreeMap::from([("evenkeel.toml".to_owned(), source.to_owned())]))
}
