//! The sim's world as a page.

use evenkeel_core::health::moment;
use evenkeel_ec2::api::Check;
use evenkeel_present::document::{Doc, Role, Row, Tail, Text};
use evenkeel_present::words::{count, number};
use evenkeel_sim::cluster::look::ObjectLook;
use evenkeel_sim::look::{Look, MachineLook, VolumeLook};
use jiff::Timestamp;

const ZONES: u8 = 0;
const MACHINES: u8 = 1;
const VOLUMES: u8 = 2;
const OBJECTS: u8 = 3;

/// The page.
pub fn page(look: &Look) -> Doc {
    let title = Text::of(Role::Strong, "the sim").plain(format!(
        " · {} · account {} · {}",
        look.region,
        look.account,
        moment(look.now)
    ));
    let mut doc = Doc { title, ..Doc::default() };
    let zone = |z: &evenkeel_sim::look::ZoneLook| {
        let state = match z.lost {
            Some(at) => Text::of(Role::Error, format!("lost since {}", moment(at))),
            None => Text::from(String::new()),
        };
        let room: Vec<String> = z.capacity.iter().map(|(t, n)| format!("at most {n} {t}")).collect();
        let cells = vec![Text::from(&z.name), Text::from(count(z.machines as u64, "machine", "machines")), state];
        Row::cells(2, ZONES, cells).tail(Tail::Beside, Text::from(room.join(", ")))
    };
    doc.push(look.zones.iter().map(zone).collect());
    doc.push(look.machines.iter().map(machine).collect());
    doc.push(look.volumes.iter().filter(|v| !v.dies_with_it).map(|v| volume(v, &look.machines)).collect());
    let fault = |f: &evenkeel_sim::faults::Fault| {
        Row::line(2, Text::of(Role::Warning, "fault ").plain(serde_json::to_string(f).unwrap_or_default()))
    };
    doc.push(look.faults.iter().map(fault).collect());
    let law = |v: &evenkeel_sim::laws::Violation| {
        Row::line(2, Text::of(Role::Error, "broken law ").plain(serde_json::to_string(v).unwrap_or_default()))
    };
    doc.push(look.violations.iter().map(law).collect());
    let calls: u64 = look.calls.values().sum();
    let broken = match look.violations.len() as u64 {
        0 => Text::new(),
        n => Text::of(Role::Error, format!(", {} broken", count(n, "law", "laws"))),
    };
    doc.summary = Text::of(Role::Dim, format!("{} API calls so far", number(calls)))
        .and(broken)
        .dim(" · `evenkeel sim --help` says what can be done here");
    doc
}

/// The objects of a cluster as a page.
pub fn objects(cluster: &str, now: Timestamp, all: &[ObjectLook]) -> Doc {
    let title = Text::of(Role::Strong, "the sim's cluster").plain(format!(" {cluster} · {}", moment(now)));
    let mut doc = Doc { title, ..Doc::default() };
    let row = |o: &ObjectLook| {
        let cells = vec![Text::from(&o.kind), Text::of(Role::Id, &o.name), Text::from(&o.state)];
        Row::cells(2, OBJECTS, cells).tail(Tail::Beside, Text::from(o.managers.join(", ")))
    };
    doc.push(all.iter().map(row).collect());
    doc.summary = Text::of(Role::Dim, count(all.len() as u64, "object", "objects"));
    doc
}

fn machine(m: &MachineLook) -> Row {
    let state = serde_json::to_value(m.state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let role = if state == "running" { Role::Plain } else { Role::Warning };
    let cells = vec![
        Text::from(m.address.as_deref().or(m.name.as_deref()).unwrap_or("-")),
        Text::of(Role::Id, &m.id),
        Text::from(&m.zone),
        Text::from(&m.instance_type),
        Text::of(role, state),
    ];
    let mut notes: Vec<String> = Vec::new();
    for (name, (check, since)) in [("system", m.system), ("instance", m.instance), ("ebs", m.ebs)] {
        if check == Check::Impaired {
            let since = since.map(|s| format!(" since {}", moment(s))).unwrap_or_default();
            notes.push(format!("{name} check impaired{since}"));
        }
    }
    notes.extend(m.events.iter().cloned());
    if m.protected {
        notes.push("protected".into());
    }
    Row::cells(2, MACHINES, cells).tail(Tail::Under, Text::from(notes.join(", ")))
}

fn volume(v: &VolumeLook, machines: &[MachineLook]) -> Row {
    let name = |id: &String| {
        let machine = machines.iter().find(|m| m.id == *id);
        let name = machine.and_then(|m| m.address.as_deref().or(m.name.as_deref()));
        name.map_or_else(|| id.clone(), |n| n.trim_start_matches("machines.").to_owned())
    };
    let at = v.instance.as_ref().map(|i| format!("at {}", name(i))).unwrap_or_else(|| "free".into());
    let cells = vec![
        Text::from(v.address.as_deref().unwrap_or("-")),
        Text::of(Role::Id, &v.id),
        Text::from(&v.zone),
        Text::from(format!("{}GiB {}", v.size, v.volume_type)),
        Text::from(at),
    ];
    Row::cells(2, VOLUMES, cells)
}
