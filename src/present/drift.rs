//! What the world does that the file does not say, apart from what the file says and the world does not do yet.
//!
//! Both come out of one plan: the same look, the same comparison, told apart by who moved. Findings have stable ids,
//! so that an alert can be about new drift only. What was not compared is said, never taken for equal. Who moved is
//! known of Kubernetes alone; elsewhere that is said, and nobody is guessed at.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Address, Group, ObjectName};
use evenkeel_core::digest::Digest;
use evenkeel_core::expected::LOOKED_UP;
use evenkeel_core::make::silent::KIND as LEFT_OUT;
use evenkeel_core::objects::managed::{Holder, Operation};
use evenkeel_core::plan::{Action, Change, Hold, Note, Plan, Reason, Why};
use evenkeel_core::value::Value;
use jiff::Timestamp;
use serde::Serialize;

use crate::document::{Doc, Rank, Role, Row, Tail, Text};
use crate::fold::{by_key, told_by_field};
use crate::plan::{Names, look, not_seen, title, why};
use crate::plan_json::{GapJson, ScopeJson, StackJson, UnreadJson, gap, scopes, unread};
use crate::words::{count, measured, number};

/// The JSON schema's name and version.
pub const FORMAT: &str = "evenkeel.drift/1";

/// Characters of a finding's id: 50 bits, so that a million findings hardly ever share one.
const ID: usize = 10;

/// Who moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moved {
    /// The world: drift.
    World,
    /// The file, or nobody and something is due: pending.
    File,
    /// Both: drift, and pending too.
    Both,
}

/// Who moved, by the reason.
pub fn moved(why: Why) -> Moved {
    match why {
        Why::Drifted | Why::Unhealthy | Why::Duplicate => Moved::World,
        Why::Conflict => Moved::Both,
        Why::Declared | Why::Retiring | Why::Uneven | Why::Stamp | Why::Outdated | Why::Asked => Moved::File,
    }
}

/// One thing that the world has otherwise than the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable for this address and field, whatever the values are.
    pub id: String,
    /// Whose.
    pub address: Address,
    /// The live object, where there is one.
    pub object: Option<String>,
    /// Its zone.
    pub zone: String,
    /// Which field, tables by key (`tags.team`); `null` when it is about the whole thing.
    pub field: Option<String>,
    /// What the file says; `null` without a field.
    pub file: Value,
    /// What the world has; `null` without a field.
    pub live: Value,
    /// Who moved.
    pub moved: Moved,
    /// By whose hand and when, where the world tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The same in parts, or why nobody knows; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// The same as the plan has it.
    #[serde(skip)]
    holder: Option<Holder>,
    /// Why it is called drift.
    pub why: Why,
    /// In words.
    pub says: String,
    /// What an apply would do about it now; `null` when it is held.
    pub action: Option<Action>,
    /// The rule that holds it, if one does.
    pub held_by: Option<Hold>,
}

/// Who moved a field, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blame {
    /// The field manager; `null` where nobody knows.
    pub manager: Option<String>,
    /// By an apply, or by anything else.
    pub operation: Option<Operation>,
    /// Through which subresource: `scale`.
    pub subresource: Option<String>,
    /// When that manager last changed a field of the object.
    pub at: Option<Timestamp>,
    /// In words: who and when, or why nobody knows.
    pub says: String,
}

impl Blame {
    fn of(finding: &Finding) -> Self {
        let says = match (&finding.holder, &finding.address.object) {
            (Some(holder @ Holder { at: Some(_), .. }), _) => holder.with_time(),
            // What was set through `scale` bears no time.
            (Some(holder), _) => format!("{holder}; the server does not say when"),
            (None, Some(_)) if finding.object.is_none() => {
                "a cluster does not tell who deletes; its audit log does".to_owned()
            }
            (None, Some(_)) => "nobody knows: no manager holds the field now".to_owned(),
            (None, None) => "EC2 does not tell; CloudTrail does, where it is on".to_owned(),
        };
        let holder = finding.holder.as_ref();
        Self {
            manager: holder.map(|h| h.manager.clone()),
            operation: holder.map(|h| h.operation),
            subresource: holder.and_then(|h| h.subresource.clone()),
            at: holder.and_then(|h| h.at),
            says,
        }
    }
}

/// A change that is wished by the file, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Whose.
    pub address: Address,
    /// What an apply would do.
    pub action: Action,
    /// Why, in words with their sort first: `declared: count 6 → 7`.
    pub says: String,
    /// The rule that holds it, if one does.
    pub held_by: Option<Hold>,
}

/// Drift and pending changes of one look.
#[derive(Debug, Serialize)]
pub struct DriftReport<'a> {
    /// [`FORMAT`].
    pub format: &'static str,
    /// The stack's name and id.
    pub stack: StackJson<'a>,
    /// When the world was looked at.
    pub observed_at: Timestamp,
    /// Where.
    pub scopes: BTreeMap<&'a str, ScopeJson<'a>>,
    /// Objects of ours that were compared.
    pub objects: u32,
    /// What the world does that the file does not say, by address and field.
    pub drift: Vec<Finding>,
    /// What the file says and the world does not do yet.
    pub pending: Vec<Pending>,
    /// What a hand has put on where the file says nothing: no drift, and no exit code.
    pub left_out: Vec<&'a Note>,
    /// What could not be seen.
    pub gaps: Vec<GapJson<'a>>,
    /// Fields that no list shows and that were therefore not compared.
    pub not_compared: Vec<UnreadJson<'a>>,
    #[serde(skip)]
    plan: &'a Plan,
}

impl<'a> DriftReport<'a> {
    /// Of this plan.
    pub fn of(plan: &'a Plan) -> Self {
        let mut drift = Vec::new();
        let mut pending = Vec::new();
        let changes = plan.changes.iter().map(|c| (c, None));
        // What was not asked about is no finding.
        let held = plan.held.iter().filter(|h| h.by != Hold::Filter);
        for (change, by) in changes.chain(held.map(|h| (&h.change, Some(h.by)))) {
            drift.extend(findings(change, by));
            pending.extend(waiting(change, by));
        }
        drift.sort_by(|a, b| (&a.address, &a.field, &a.says).cmp(&(&b.address, &b.field, &b.says)));
        pending.sort_by(|a, b| a.address.cmp(&b.address));
        Self {
            format: FORMAT,
            stack: StackJson { name: &plan.basis.name, id: &plan.basis.stack },
            observed_at: plan.basis.at,
            scopes: scopes(&plan.basis.scopes),
            objects: plan.basis.objects,
            drift,
            pending,
            left_out: plan.notes.iter().filter(|n| n.kind == LEFT_OUT).collect(),
            gaps: plan.gaps.iter().map(gap).collect(),
            not_compared: unread(&plan.unread),
            plan,
        }
    }

    /// The same, and with each finding who moved, or that nobody tells.
    #[must_use]
    pub fn blamed(mut self) -> Self {
        for finding in &mut self.drift {
            finding.blame = Some(Blame::of(finding));
        }
        self
    }

    /// Whether the world moved: exit 3, or 4 with [`DriftReport::has_pending`].
    pub fn has_drift(&self) -> bool {
        !self.drift.is_empty()
    }

    /// Whether the file moved, or something else is due: exit 2, or 4 with drift.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The page.
    pub fn page(&self) -> Doc {
        let names = Names::of(self.plan);
        let mut doc = Doc { title: title(self.plan, None), ..Doc::default() };
        doc.push(self.drift_rows(&names));
        doc.push(self.pending_rows(&names));
        let left_out = self.left_out.iter().map(|note| {
            Row::line(2, Text::new().dim("note ").with(Role::Strong, &note.about).plain(format!(": {}", note.says)))
        });
        doc.push(left_out.collect());
        doc.push(
            not_seen(self.plan)
                .into_iter()
                .enumerate()
                .map(|(i, line)| {
                    let label = if i == 0 { Text::new().dim("not compared") } else { Text::new() };
                    Row::cells(2, 2, vec![label]).tail(Tail::Beside, line).rank(Rank::Important)
                })
                .collect(),
        );
        doc.summary = self.summary();
        doc
    }

    fn summary(&self) -> Text {
        let things: BTreeSet<_> = self.drift.iter().map(|f| &f.address).collect();
        let drift = match self.drift.len() as u64 {
            0 if self.not_compared.iter().any(|u| LOOKED_UP.contains(&u.field)) => {
                Text::of(Role::Warning, "No drift in what could be compared.")
            }
            0 => Text::of(Role::Good, "No drift."),
            n => Text::of(
                Role::Strong,
                format!("{} on {}", count(n, "drift", "drifts"), count(things.len() as u64, "object", "objects")),
            ),
        };
        let pending = match self.pending.len() as u64 {
            0 if self.drift.is_empty() => "Nothing pending.".to_owned(),
            0 => "nothing pending".to_owned(),
            n if self.drift.is_empty() => format!("{} pending.", count(n, "change", "changes")),
            n => format!("{} pending", count(n, "change", "changes")),
        };
        let between = if self.drift.is_empty() { " " } else { ", " };
        let unseen = match self.gaps.len() as u64 {
            0 => Text::new(),
            n => Text::of(Role::Warning, format!(" · {} could not be seen", count(n, "thing", "things"))),
        };
        drift.plain(between).plain(pending).and(unseen)
    }

    fn drift_rows(&self, names: &Names) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut last: Option<&Address> = None;
        for finding in &self.drift {
            if rows.is_empty() {
                rows.push(
                    Row::line(2, Text::of(Role::Strong, "drift").dim(" · the world moved")).rank(Rank::Important),
                );
            }
            if last != Some(&finding.address) {
                let cells = vec![
                    Text::of(Role::Strong, names.address(&finding.address)),
                    Text::from(&finding.zone),
                    Text::of(Role::Id, finding.object.as_deref().unwrap_or_default()),
                ];
                rows.push(Row::cells(4, 0, cells).rank(Rank::Important).mark(Role::Changed));
                last = Some(&finding.address);
            }
            let says = match &finding.field {
                Some(field) => Text::from(format!("{field}: "))
                    .dim("file ")
                    .with(Role::Added, measured(field, &finding.file))
                    .dim(", live ")
                    .with(Role::Removed, measured(field, &finding.live)),
                None => Text::new().dim(format!("{}: ", why(finding.why))).plain(&finding.says),
            };
            let by = match (&finding.blame, &finding.by) {
                (Some(Blame { manager: None, says, .. }), _) => Text::new().dim(format!("by whom, {says}")),
                (Some(Blame { says, .. }), _) => Text::new().dim(format!("by {says}")),
                (None, Some(by)) => Text::new().dim(format!("by {by}")),
                (None, None) => Text::new(),
            };
            let both = match finding.moved {
                Moved::Both => Text::of(Role::Warning, "the file moved too"),
                Moved::World | Moved::File => Text::new(),
            };
            let held = Text::of(Role::Warning, if finding.held_by.is_some() { "held" } else { "" });
            let id = Text::new().dim(&finding.id);
            rows.push(Row::line(8, Text::join([says, by, both, held, id], " · ")).rank(Rank::Normal));
        }
        rows
    }

    fn pending_rows(&self, names: &Names) -> Vec<Row> {
        let mut rows = Vec::new();
        /// What must be equal for two to be said as one.
        type Key<'k> = (&'k Group, Option<&'k ObjectName>, Action, &'k str, bool);
        let mut same: BTreeMap<Key<'_>, Vec<&Pending>> = BTreeMap::new();
        for p in &self.pending {
            let object = p.address.object.as_deref();
            let key = (&p.address.group, object, p.action, p.says.as_str(), p.held_by.is_some());
            same.entry(key).or_default().push(p);
        }
        for ((group, object, action, says, held), all) in same {
            if rows.is_empty() {
                let head = Text::of(Role::Strong, "pending").dim(" · the file moved, or something is due");
                rows.push(Row::line(2, head));
            }
            let (sign, role, word) = look(action);
            let name = match object {
                Some(object) => object.short(),
                None => {
                    format!("{}/{}", names.group(group), crate::words::slots(all.iter().map(|p| p.address.slot)))
                }
            };
            let many = if all.len() > 1 { format!("{} × ", number(all.len() as u64)) } else { String::new() };
            let cells = vec![
                Text::of(role, sign).plain(" ").with(Role::Strong, name),
                Text::of(role, format!("{many}{}", if word.is_empty() { "create" } else { word })),
            ];
            let held = Text::of(Role::Warning, if held { "held" } else { "" });
            rows.push(Row::cells(4, 1, cells).tail(Tail::Under, Text::join([says.into(), held], " · ")).mark(role));
        }
        rows
    }
}

/// Drift in one change: its drifted fields, and its drifted reasons that no field shows.
fn findings(change: &Change, held_by: Option<Hold>) -> Vec<Finding> {
    let world = |why: Why| match moved(why) {
        Moved::World | Moved::Both => true,
        Moved::File => false,
    };
    let finding = |field: Option<String>, file: Value, live: Value, why: Why, says: String| {
        let about = field.clone().unwrap_or_else(|| format!("({})", crate::plan::why(why)));
        let id = Digest::of(format!("{}\n{about}", change.address).as_bytes());
        Finding {
            id: format!("d-{}", id.prefix(ID)),
            address: change.address.clone(),
            object: change.object.clone(),
            zone: change.zone.clone(),
            field,
            file,
            live,
            moved: moved(why),
            by: None,
            blame: None,
            holder: None,
            why,
            says,
            action: held_by.is_none().then_some(change.action),
            held_by,
        }
    };
    let mut all = Vec::new();
    for f in change.fields.iter().filter(|f| world(f.why)) {
        for (name, old, new) in by_key(f) {
            let says = format!("{name} {} → {}", measured(&name, &new), measured(&name, &old));
            let (by, holder) = (f.by.as_ref().map(Holder::with_time), f.by.clone());
            all.push(Finding { by, holder, ..finding(Some(name), new, old, f.why, says) });
        }
    }
    let shown = |r: &Reason| change.fields.iter().any(|f| f.why == r.why);
    let mut whole: BTreeMap<Why, Vec<&str>> = BTreeMap::new();
    for reason in change.reasons.iter().filter(|r| world(r.why) && !shown(r)) {
        whole.entry(reason.why).or_default().push(&reason.says);
    }
    all.extend(whole.into_iter().map(|(why, says)| finding(None, Value::Null, Value::Null, why, says.join(", "))));
    all
}

/// The part of a change that the file (or time) brought about.
fn waiting(change: &Change, held_by: Option<Hold>) -> Option<Pending> {
    let ours = |w: Why| match moved(w) {
        Moved::File | Moved::Both => true,
        Moved::World => false,
    };
    let told = |r: &&Reason| ours(r.why) && !told_by_field(change, r);
    let mut says: Vec<String> =
        change.reasons.iter().filter(told).map(|r| format!("{}: {}", why(r.why), r.says)).collect();
    for f in change.fields.iter().filter(|f| ours(f.why)) {
        for (name, old, new) in by_key(f) {
            says.push(format!("{}: {name} {} → {}", why(f.why), measured(&name, &old), measured(&name, &new)));
        }
    }
    (!says.is_empty()).then(|| Pending {
        address: change.address.clone(),
        action: change.action,
        says: says.join(", "),
        held_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_findings_id_stays_when_the_value_moves_again() {
        let mut plan = samples::everyday();
        let before = DriftReport::of(&plan).drift[0].id.clone();
        for f in plan.changes.iter_mut().flat_map(|c| &mut c.fields) {
            f.old = Value::from("something else");
        }
        assert_eq!(DriftReport::of(&plan).drift[0].id, before);
    }

    #[test]
    fn drift_and_pending_are_told_apart() {
        let plan = samples::everyday();
        let report = DriftReport::of(&plan);
        let drift: Vec<_> = report.drift.iter().map(|f| f.address.short()).collect();
        let pending: Vec<_> = report.pending.iter().map(|p| p.address.short()).collect();
        assert_eq!(drift, ["web/2", "web/4"]);
        assert_eq!(pending, ["web/5", "web/6", "data/1"]);
    }

    #[test]
    fn who_moved_is_named_or_it_is_said_that_nobody_tells() {
        let mut plan = samples::everyday();
        let says = |plan: &Plan| {
            let report = DriftReport::of(plan).blamed();
            report.drift.iter().map(|f| f.blame.clone().expect("it was asked for")).collect::<Vec<_>>()
        };
        assert!(DriftReport::of(&plan).drift.iter().all(|f| f.blame.is_none()), "nobody asked");
        let ec2 = says(&plan);
        assert!(ec2.iter().all(|b| b.manager.is_none() && b.says.contains("EC2 does not tell")), "{ec2:?}");
        let at = "2026-11-25T18:07:09Z".parse().ok();
        let (manager, subresource) = ("kubectl".to_owned(), Some("scale".to_owned()));
        let hand = Holder { at, manager, operation: Operation::Update, subresource };
        let c = plan.changes.iter_mut().find(|c| c.fields.iter().any(|f| f.why == Why::Drifted)).expect("drift");
        c.address.object = Some(Box::new("Deployment.apps/shop/web".parse().expect("a name")));
        c.fields.iter_mut().for_each(|f| f.by = Some(hand.clone()));
        let told = says(&plan);
        let one = told.iter().find(|b| b.manager.is_some()).expect("one is told");
        assert_eq!(one.says, "kubectl (scale) at 2026-11-25 18:07 UTC");
        assert_eq!((one.operation, one.subresource.as_deref(), one.at), (Some(Operation::Update), Some("scale"), at));
        for f in plan.changes.iter_mut().flat_map(|c| &mut c.fields) {
            f.by = f.by.take().map(|by| Holder { at: None, ..by });
        }
        assert!(
            says(&plan).iter().any(|b| b.says == "kubectl (scale); the server does not say when" && b.at.is_none())
        );
        for f in plan.changes.iter_mut().flat_map(|c| &mut c.fields) {
            f.by = None;
        }
        assert!(says(&plan).iter().any(|b| b.says.contains("no manager holds the field")));
    }

    #[test]
    fn a_plan_without_changes_has_neither() {
        let plan = samples::empty();
        let report = DriftReport::of(&plan);
        assert!(!report.has_drift() && !report.has_pending());
    }
}
