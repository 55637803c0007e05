//! The ledger of a rehearsal: what would fail, a line each, before anything is done.

use std::collections::BTreeMap;

use evenkeel_core::address::Address;
use evenkeel_core::plan::Plan;
use evenkeel_core::rehearsal::{Finding, Ledger, Trouble};
use serde::Serialize;

use crate::document::{Rank, Role, Row, Tail, Text};
use crate::failure::{Context, Explained, common, explain};
use crate::plan::Names;
use crate::plan_json::does;
use crate::steps::{doing_to, listed};
use crate::words::count;

/// A column of its own beside the plan's.
const LEDGER: u8 = 3;

/// The ledger as JSON.
#[derive(Debug, Serialize)]
pub struct LedgerJson<'a> {
    /// Calls that were tried.
    pub tried: u32,
    /// What would fail.
    pub findings: Vec<FindingJson<'a>>,
    /// What was not tried.
    pub unchecked: &'a [String],
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct FindingJson<'a> {
    /// Whose.
    pub addresses: Vec<Address>,
    /// Where.
    pub scope: &'a str,
    /// One sentence.
    pub says: String,
    /// The provider's refusal, or null.
    pub refused: Option<Explained>,
    /// The subnet that is too full, or null.
    pub crowded: Option<CrowdedJson>,
    /// The account's limit that leaves no room, or null.
    pub limited: Option<LimitedJson>,
}

/// A limit of the account, in vCPUs.
#[derive(Debug, Serialize)]
pub struct LimitedJson {
    /// The provider's name for it.
    pub quota: String,
    /// What the account may have.
    pub most: u32,
    /// What it has.
    pub used: u32,
    /// What the plan launches beside that.
    pub needed: u32,
}

/// A subnet that is too full.
#[derive(Debug, Serialize)]
pub struct CrowdedJson {
    /// Which.
    pub subnet: String,
    /// Its zone.
    pub zone: String,
    /// Free addresses.
    pub free: u32,
    /// Machines that go there first.
    pub needed: u32,
}

/// As JSON.
pub fn json<'a>(plan: &'a Plan, ledger: &'a Ledger) -> LedgerJson<'a> {
    let names = Names::of(plan);
    let one = |f: Finding| FindingJson {
        scope: scope(plan, &f),
        says: says(plan, &names, &f),
        refused: explained(plan, &names, &f),
        addresses: f.addresses,
        limited: match &f.trouble {
            Trouble::Limited { quota, most, used, needed } => {
                Some(LimitedJson { quota: quota.clone(), most: *most, used: *used, needed: *needed })
            }
            Trouble::Refused(_) | Trouble::Crowded { .. } => None,
        },
        crowded: match f.trouble {
            Trouble::Refused(_) | Trouble::Limited { .. } => None,
            Trouble::Crowded { subnet, zone, free, needed } => Some(CrowdedJson { subnet, zone, free, needed }),
        },
    };
    LedgerJson {
        tried: ledger.tried,
        findings: merged(plan, ledger).into_iter().map(one).collect(),
        unchecked: &ledger.unchecked,
    }
}

/// Refusals of the same sort of call for the same reason are one finding.
fn merged(plan: &Plan, ledger: &Ledger) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    let mut known: BTreeMap<(&str, &str, String), usize> = BTreeMap::new();
    for f in &ledger.findings {
        let Trouble::Refused(failure) = &f.trouble else {
            all.push(f.clone());
            continue;
        };
        let step = f.steps.first().and_then(|n| plan.steps.get(*n as usize));
        let key = (step.map_or("", |s| does(&s.does)), scope(plan, f), common(failure));
        match known.get(&key) {
            Some(at) => {
                let one = &mut all[*at];
                one.steps.extend(&f.steps);
                one.addresses.extend(f.addresses.iter().cloned());
                one.addresses.sort();
                one.addresses.dedup();
            }
            None => {
                known.insert(key, all.len());
                all.push(f.clone());
            }
        }
    }
    all
}

/// As a part of the plan's page. What the provider said to many is said once.
pub(crate) fn rows(plan: &Plan, ledger: &Ledger) -> Vec<Row> {
    let names = Names::of(plan);
    let tried = count(ledger.tried.into(), "call was rehearsed", "calls were rehearsed");
    let label = |role, word: &str| Row::cells(2, LEDGER, vec![Text::of(role, word)]).rank(Rank::Important);
    let mut rows = Vec::new();
    let mut ways: BTreeMap<String, ()> = BTreeMap::new();
    for f in &merged(plan, ledger) {
        let mut text = Text::from(says(plan, &names, f));
        if let Some(e) = explained(plan, &names, f) {
            text = text.dim(format!(" · {}", e.provider));
            ways.insert(e.way_out, ());
        }
        rows.push(label(Role::Error, "would fail").tail(Tail::Beside, text));
    }
    rows.extend(ways.into_keys().map(|way| label(Role::Dim, "way out").tail(Tail::Beside, way)));
    let fine = if ledger.findings.is_empty() { ", and none would be refused" } else { "" };
    rows.push(label(Role::Dim, "rehearsed").tail(Tail::Beside, format!("{tried}{fine}")));
    rows.push(label(Role::Dim, "not tried").tail(Tail::Beside, ledger.unchecked.join(" · ")));
    rows
}

fn scope<'a>(plan: &'a Plan, f: &Finding) -> &'a str {
    let first = f.steps.first().and_then(|n| plan.steps.get(*n as usize));
    first.map_or("", |s| s.scope.as_str())
}

/// `launch web/0-5: the credentials may not do this`.
fn says(plan: &Plan, names: &Names, f: &Finding) -> String {
    match &f.trouble {
        Trouble::Refused(failure) => {
            format!("{}: {}", doing(plan, names, f), crate::failure::cause(scope(plan, f), failure.class))
        }
        Trouble::Crowded { subnet, zone, free, needed } => format!(
            "{}: {subnet} in {zone} has {}, and {} there",
            doing(plan, names, f),
            count((*free).into(), "free address", "free addresses"),
            count((*needed).into(), "machine goes", "machines go"),
        ),
        Trouble::Limited { quota, most, used, needed } => format!(
            "{}: the account may have {} at once (quota {quota}), has {used}, and {needed} more are launched",
            doing(plan, names, f),
            count((*most).into(), "vCPU", "vCPUs"),
        ),
    }
}

fn doing(plan: &Plan, names: &Names, f: &Finding) -> String {
    let whom = listed(names, &f.addresses);
    match f.steps.first().and_then(|n| plan.steps.get(*n as usize)) {
        Some(step) => doing_to(&step.does, &whom),
        None => whom,
    }
}

fn explained(plan: &Plan, names: &Names, f: &Finding) -> Option<Explained> {
    let Trouble::Refused(failure) = &f.trouble else { return None };
    let scope = scope(plan, f);
    let (account, region) = plan.basis.scopes.get(scope).map(|(a, r)| (a.as_str(), r.as_str())).unwrap_or_default();
    let doing = doing(plan, names, f);
    Some(explain(failure, Context { doing: &doing, scope, region, account, profile: "" }))
}
