//! The plan as JSON for programs: `evenkeel.plan/1`, described in docs/json.md.
//!
//! A schema of its own, apart from the sealed file: names here stay, whatever core's types become. Fields may be
//! added within version 1; none is renamed, moved or given another meaning.

use std::collections::BTreeMap;

use evenkeel_core::address::{Address, Group, Kind};
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::Failure;
use evenkeel_core::objects::managed::Holder;
use evenkeel_core::observed::Gap;
use evenkeel_core::plan::{
    Action, Call, Change, Do, FieldChange, Forecast, Held, Hold, Note, ObjectDoes, Plan, Takes, Until, Why,
};
use evenkeel_core::rehearsal::Ledger;
use evenkeel_core::value::Value;
use jiff::Timestamp;
use serde::Serialize;

use crate::held::way_out;
use crate::rehearsal::{self, LedgerJson};
use crate::totals::{Totals, losses};

/// The schema's name and version.
pub const FORMAT: &str = "evenkeel.plan/1";

/// The plan.
#[derive(Debug, Serialize)]
pub struct PlanJson<'a> {
    /// [`FORMAT`].
    pub format: &'static str,
    /// The plan's id.
    pub id: &'a Digest,
    /// The stack's name and id.
    pub stack: StackJson<'a>,
    /// When the world was looked at.
    pub observed_at: Timestamp,
    /// Where.
    pub scopes: BTreeMap<&'a str, ScopeJson<'a>>,
    /// Digest of the declaration.
    pub declaration: &'a Digest,
    /// Objects of ours that were seen.
    pub objects: u32,
    /// Read calls made.
    pub read_calls: u32,
    /// True when nothing is to be done.
    pub empty: bool,
    /// Counts.
    pub totals: Totals,
    /// What changes.
    pub changes: Vec<ChangeJson<'a>>,
    /// What is wished and not made.
    pub held: Vec<HeldJson<'a>>,
    /// In which steps.
    pub steps: Vec<StepJson>,
    /// Things to say.
    pub notes: &'a [Note],
    /// Group by group.
    pub forecast: Vec<ForecastJson<'a>>,
    /// What could not be seen.
    pub gaps: Vec<GapJson<'a>>,
    /// Fields that no list shows.
    pub unread: Vec<UnreadJson<'a>>,
    /// When looking again may give another answer.
    pub look_again_at: Option<Timestamp>,
    /// Cost.
    pub takes: &'a Takes,
    /// What a rehearsal brought; null where there was none.
    pub rehearsal: Option<LedgerJson<'a>>,
}

/// A stack.
#[derive(Debug, Serialize)]
pub struct StackJson<'a> {
    /// For people.
    pub name: &'a str,
    /// For ownership.
    pub id: &'a str,
}

/// A scope.
#[derive(Debug, Serialize)]
pub struct ScopeJson<'a> {
    /// Twelve digits; empty when it could not be asked.
    pub account: &'a str,
    /// `us-east-1`.
    pub region: &'a str,
}

/// One change.
#[derive(Debug, Serialize)]
pub struct ChangeJson<'a> {
    /// `machines.web/3`.
    pub address: &'a Address,
    /// `machines.web`.
    pub group: &'a Group,
    /// `machines`.
    pub kind: Kind,
    /// 3.
    pub slot: u32,
    /// The live object's id, where there is one.
    pub object: &'a Option<String>,
    /// `create`, `update`, `replace`, `delete`, `restamp`, `quarantine`, `release`, `attach`.
    pub action: Action,
    /// Why, in words and sorts.
    pub reasons: Vec<ReasonJson<'a>>,
    /// Field by field.
    pub fields: Vec<FieldJson<'a>>,
    /// Zone.
    pub zone: &'a str,
    /// Type or size.
    pub what: &'a str,
    /// The node that stands on the live machine, by name.
    pub node: Option<&'a str>,
    /// How it goes.
    pub how: &'a str,
    /// Digest of what justified it.
    pub fingerprint: &'a Digest,
}

/// One reason.
#[derive(Debug, Serialize)]
pub struct ReasonJson<'a> {
    /// Its sort.
    pub why: Why,
    /// Its words.
    pub says: &'a str,
}

/// One field's change.
#[derive(Debug, Serialize)]
pub struct FieldJson<'a> {
    /// Its name.
    pub field: &'a str,
    /// What the world has.
    pub old: &'a Value,
    /// What the file wishes.
    pub new: &'a Value,
    /// Who moved.
    pub why: Why,
    /// Why it forces replacement, if it does.
    pub forces_replacement: &'a Option<String>,
    /// Who moved it, where the world tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// One held change.
#[derive(Debug, Serialize)]
pub struct HeldJson<'a> {
    /// The change.
    pub change: ChangeJson<'a>,
    /// The rule.
    pub by: Hold,
    /// True when a person must lift it by hand.
    pub refused: bool,
    /// In words.
    pub waits_for: &'a str,
    /// What a person can do; null when only time or the run can.
    pub way_out: Option<String>,
}

/// One step, without what is inside the call.
#[derive(Debug, Serialize)]
pub struct StepJson {
    /// Its index.
    pub step: usize,
    /// Where.
    pub scope: String,
    /// `launch`, `terminate`, … or `wait`.
    pub does: &'static str,
    /// Steps that come before.
    pub needs: Vec<u32>,
    /// Changes (indices) it serves.
    pub changes: Vec<u32>,
}

/// One group's forecast.
#[derive(Debug, Serialize)]
pub struct ForecastJson<'a> {
    /// Which group.
    pub group: &'a Group,
    /// Members before.
    pub before: u32,
    /// Members afterwards.
    pub after: u32,
    /// Members the file wants.
    pub wanted: u32,
    /// Ready now.
    pub ready: u32,
    /// Members needed.
    pub needed: u32,
    /// Never fewer ready than so many while the plan runs.
    pub floor: u32,
    /// Zone by zone.
    pub zones: BTreeMap<&'a str, ZoneJson>,
    /// Left after losing any one machine.
    pub left_after_machine: u32,
    /// Enough is left after losing any one machine; null for a group that will be empty.
    pub survives_any_machine: Option<bool>,
    /// Enough is left after losing any one zone; null for a group that will be empty.
    pub survives_any_zone: Option<bool>,
    /// The zones whose loss leaves too few, worst first.
    pub does_not_survive_zones: Vec<String>,
    /// How many machines over the same zones would survive the loss of any one; null where none is missing, or where no
    /// number is enough.
    pub count_for_any_zone: Option<u32>,
}

/// One zone of a forecast.
#[derive(Debug, Serialize)]
pub struct ZoneJson {
    /// Members before.
    pub before: u32,
    /// Members afterwards.
    pub after: u32,
    /// Members of the group left after losing this zone; null where that was not asked.
    pub left_if_lost: Option<u32>,
}

/// What could not be seen.
#[derive(Debug, Serialize)]
pub struct GapJson<'a> {
    /// Where.
    pub scope: &'a str,
    /// Of which kind; null for all.
    pub kind: Option<Kind>,
    /// What.
    pub what: &'a str,
    /// Why not.
    pub failure: &'a Failure,
    /// True when what exists is still fully known.
    pub partial: bool,
}

/// A field that no list shows.
#[derive(Debug, Serialize)]
pub struct UnreadJson<'a> {
    /// Of which group.
    pub group: &'a Group,
    /// Which field.
    pub field: &'a str,
    /// Of how many objects.
    pub objects: u32,
}

/// The plan as it is written.
pub fn json(plan: &Plan) -> PlanJson<'_> {
    rehearsed(plan, None)
}

/// The same with the ledger of a rehearsal.
pub fn rehearsed<'a>(plan: &'a Plan, ledger: Option<&'a Ledger>) -> PlanJson<'a> {
    PlanJson {
        format: FORMAT,
        id: &plan.id,
        stack: StackJson { name: &plan.basis.name, id: &plan.basis.stack },
        observed_at: plan.basis.at,
        scopes: scopes(&plan.basis.scopes),
        declaration: &plan.basis.declaration,
        objects: plan.basis.objects,
        read_calls: plan.basis.calls,
        empty: plan.is_empty(),
        totals: Totals::of(plan),
        changes: plan.changes.iter().map(change).collect(),
        held: plan.held.iter().map(|h| held(h, plan)).collect(),
        steps: (0..)
            .zip(&plan.steps)
            .map(|(step, s)| StepJson {
                step,
                scope: s.scope.clone(),
                does: does(&s.does),
                needs: s.needs.clone(),
                changes: s.changes.clone(),
            })
            .collect(),
        notes: &plan.notes,
        forecast: plan.forecast.iter().map(forecast).collect(),
        gaps: plan.gaps.iter().map(gap).collect(),
        unread: unread(&plan.unread),
        look_again_at: plan.look_again_at,
        takes: &plan.takes,
        rehearsal: ledger.map(|ledger| rehearsal::json(plan, ledger)),
    }
}

pub(crate) fn scopes(scopes: &BTreeMap<String, (String, String)>) -> BTreeMap<&str, ScopeJson<'_>> {
    scopes.iter().map(|(alias, (account, region))| (alias.as_str(), ScopeJson { account, region })).collect()
}

pub(crate) fn unread(all: &[(Group, String, u32)]) -> Vec<UnreadJson<'_>> {
    all.iter().map(|(group, field, objects)| UnreadJson { group, field, objects: *objects }).collect()
}

pub(crate) fn gap(g: &Gap) -> GapJson<'_> {
    GapJson { scope: &g.scope, kind: g.kind, what: &g.what, failure: &g.failure, partial: g.partial }
}

pub(crate) fn change(c: &Change) -> ChangeJson<'_> {
    ChangeJson {
        address: &c.address,
        group: &c.address.group,
        kind: c.address.group.kind,
        slot: c.address.slot,
        object: &c.object,
        action: c.action,
        reasons: c.reasons.iter().map(|r| ReasonJson { why: r.why, says: &r.says }).collect(),
        fields: c.fields.iter().map(field).collect(),
        zone: &c.zone,
        what: &c.what,
        node: c.node.as_deref(),
        how: &c.how,
        fingerprint: &c.fingerprint,
    }
}

fn field(f: &FieldChange) -> FieldJson<'_> {
    FieldJson {
        field: &f.field,
        old: &f.old,
        new: &f.new,
        why: f.why,
        forces_replacement: &f.forces_replacement,
        by: f.by.as_ref().map(Holder::with_time),
    }
}

fn held<'a>(h: &'a Held, plan: &Plan) -> HeldJson<'a> {
    let way_out = way_out(h, plan);
    HeldJson {
        change: change(&h.change),
        by: h.by,
        refused: h.by.is_refusal(),
        waits_for: &h.waits_for,
        way_out: (!way_out.is_empty()).then_some(way_out),
    }
}

fn forecast(f: &Forecast) -> ForecastJson<'_> {
    let losses = losses(f);
    ForecastJson {
        group: &f.group,
        before: f.before,
        after: f.after,
        wanted: f.wanted,
        ready: f.ready,
        needed: f.needed,
        floor: f.floor,
        zones: f
            .zones
            .iter()
            .map(|(zone, (before, after))| {
                let left_if_lost = f.left_after_zone.get(zone).copied();
                (zone.as_str(), ZoneJson { before: *before, after: *after, left_if_lost })
            })
            .collect(),
        left_after_machine: f.left_after_machine,
        survives_any_machine: losses.as_ref().map(|l| l.machine.is_none()),
        survives_any_zone: losses.as_ref().map(|l| l.zones.is_empty()),
        does_not_survive_zones: losses.map(|l| l.zones).unwrap_or_default(),
        count_for_any_zone: f.count_for_any_zone,
    }
}

/// One word for what a step does.
pub(crate) fn does(d: &Do) -> &'static str {
    match d {
        Do::Call(call) => match call {
            Call::Launch(_) => "launch",
            Call::Terminate(_) => "terminate",
            Call::Stop(_) => "stop",
            Call::Start(_) => "start",
            Call::Change { .. } => "change",
            Call::Tag { .. } => "tag",
            Call::CreateVolume(_) => "create-volume",
            Call::Attach { .. } => "attach",
            Call::Detach { .. } => "detach",
            Call::DeleteVolume(_) => "delete-volume",
            Call::Object(on) => match on.does {
                ObjectDoes::Apply { .. } => "apply-object",
                ObjectDoes::Cordon { on: true, .. } => "cordon",
                ObjectDoes::Cordon { on: false, .. } => "uncordon",
                ObjectDoes::Delete { .. } => "delete-object",
                ObjectDoes::Mark { .. } => "mark-object",
                ObjectDoes::Parent { .. } => "mark-stack",
            },
        },
        Do::Wait(wait) => match wait.until {
            Until::Running => "wait-running",
            Until::Healthy { .. } => "wait-healthy",
            Until::Stopped => "wait-stopped",
            Until::Terminated => "wait-terminated",
            Until::Free => "wait-free",
            Until::Attached => "wait-attached",
            Until::Deleted => "wait-deleted",
            Until::Ready => "wait-ready",
            Until::Joined => "wait-joined",
            Until::Drained(_) => "drain",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_programs_names_every_rule_that_holds_a_change() {
        let page = include_str!("../../docs/json.md");
        for hold in Hold::ALL {
            let word = serde_json::to_string(&hold).expect("a word");
            let word = format!("`{}`", word.trim_matches('"'));
            assert!(page.contains(&word), "{word}");
        }
    }
}
