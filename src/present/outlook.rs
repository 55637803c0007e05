//! What a plan takes, and what its groups survive meanwhile and afterwards.

use evenkeel_core::address::Kind;
use evenkeel_core::plan::{Forecast, Plan};

use crate::document::{Role, Text};
use crate::plan::{Names, changing};
use crate::totals::{Losses, losses};
use crate::words::{count, millis, number};

/// The group's name before its line, unless the plan knows only one group.
fn named(plan: &Plan, f: &Forecast, names: &Names) -> Text {
    if plan.forecast.len() == 1 { Text::new() } else { Text::of(Role::Strong, names.group(&f.group)).plain("  ") }
}

pub(crate) fn meanwhile(plan: &Plan, names: &Names) -> Vec<Text> {
    let changing = changing(plan);
    plan.forecast
        .iter()
        .filter(|f| changing.contains(&f.group) && f.before > 0 && f.after > 0 && f.group.kind == Kind::Machines)
        .map(|f| {
            named(plan, f, names).plain(format!(
                "never fewer than {} ready ({} now)",
                number(f.floor.into()),
                number(f.ready.into())
            ))
        })
        .collect()
}

pub(crate) fn afterwards(plan: &Plan, names: &Names) -> Vec<Text> {
    plan.forecast
        .iter()
        .filter_map(|f| {
            let thing = thing(f);
            let any = || Text::of(Role::Good, format!("survives any {thing}")).dim(" · ");
            let lines = match losses(f)? {
                Losses { machine: None, zones, .. } if zones.is_empty() => any().and(survives_zones(f)),
                Losses { machine: None, zones, worst } => any().and(loses(f, &zones, worst)),
                Losses { machine: Some(left), .. } => {
                    Text::of(Role::Warning, format!("does not survive losing a {thing}"))
                        .plain(format!(": {left} of {} left, {} needed", f.after, f.needed))
                }
            };
            Some(named(plan, f, names).and(lines))
        })
        .collect()
}

/// What a group is made of, in a word.
pub(crate) fn thing(f: &Forecast) -> &'static str {
    match f.group.kind {
        Kind::Machines => "machine",
        Kind::Volumes => "volume",
        Kind::Workloads | Kind::Manifests => "object",
    }
}

fn survives_zones(f: &Forecast) -> Text {
    let least = f.left_after_zone.values().min().copied().unwrap_or(f.after);
    Text::of(Role::Good, "survives any zone").plain(format!(": {least} of {} left, {} needed", f.after, f.needed))
}

fn loses(f: &Forecast, zones: &[String], left: u32) -> Text {
    let first = zones.first().map(String::as_str).unwrap_or_default();
    let more = match zones.len() {
        0 | 1 => String::new(),
        n => format!(" (nor {})", count(n as u64 - 1, "other zone", "other zones")),
    };
    let would = f.count_for_any_zone.map_or_else(String::new, |n| format!("; {n} over these zones would"));
    Text::of(Role::Warning, format!("does not survive losing {first}"))
        .plain(format!("{more}: {left} of {} left, {} needed{would}", f.after, f.needed))
}

pub(crate) fn takes(plan: &Plan) -> Text {
    let t = &plan.takes;
    let mut parts = vec![count(t.calls.into(), "call", "calls")];
    if t.launches > 0 {
        parts.push(count(t.launches.into(), "launch", "launches"));
    }
    if t.deletes > 0 {
        parts.push(count(t.deletes.into(), "removal", "removals"));
    }
    let mut takes = parts.join(", ");
    // Less than a second is no time to plan for.
    if t.least_ms >= 1_000 {
        takes.push_str(&format!(", at least {} under AWS's limits", millis(t.least_ms)));
    }
    Text::from(takes)
}
