//! The plan as a page that a tired person understands: what, why, what is held, what it will feel like, what could
//! not be seen.
//!
//! Equal changes are said once with a count; what destroys or replaces is never folded and stands last, above the
//! total. The page decides nothing: every word of it stands in the [`Plan`].

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Address, Group, Kind};
use evenkeel_core::desired::is_cluster;
use evenkeel_core::expected::LOOKED_UP;
use evenkeel_core::plan::{Action, Change, FieldChange, Forecast, Plan, Why};
use evenkeel_core::rehearsal::Ledger;
use evenkeel_core::value::Value;

use crate::document::{Doc, Rank, Role, Row, Tail, Text};
use crate::fold::{Fold, alike, by_key, fold, told_by_field};
use crate::held::held;
use crate::outlook::{afterwards, meanwhile, takes, thing};
use crate::rehearsal;
use crate::totals::{Losses, Totals, losses};
use crate::words::{account, clock, count, measured, millis, number, of_wanted, short_zones, since, slots};

/// Columns of the page's grids.
const HEADS: u8 = 0;
const CHANGES: u8 = 1;
const LABELS: u8 = 2;

/// Words on how a change goes that say no more than its sign.
const TRIVIAL: [&str; 5] = ["", "in place", "attach", "terminate", "delete"];

/// What the page says beside the plan itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct View<'a> {
    /// How long the look at the world took, in milliseconds, if it was just taken.
    pub took_ms: Option<u64>,
    /// What a rehearsal brought, if there was one.
    pub rehearsal: Option<&'a Ledger>,
}

/// The page.
pub fn page(plan: &Plan, view: View<'_>) -> Doc {
    let names = Names::of(plan);
    let totals = Totals::of(plan);
    let mut doc = Doc { title: title(plan, view.took_ms), ..Doc::default() };
    doc.push(group_rows(plan, &names));
    doc.push(around(plan, &names));
    doc.push(view.rehearsal.map(|ledger| rehearsal::rows(plan, ledger)).unwrap_or_default());
    doc.push(last_rows(plan, &names));
    doc.summary = if plan.is_empty() {
        Text::of(Role::Strong, if plan.held.is_empty() { "No changes." } else { "Nothing to do now." }).plain(" ").and(
            Text::join(
                plan.forecast
                    .iter()
                    .map(|f| ready(f).and(in_short(f)))
                    .chain((!plan.held.is_empty()).then(|| Text::from(format!("{} held", plan.held.len())))),
                " · ",
            ),
        )
    } else {
        Text::of(Role::Strong, totals.to_string())
    };
    doc
}

/// `shop · us-east-1 · account 1234…9012`: which world a person is about to act on.
pub fn place(plan: &Plan) -> Text {
    let scopes = plan.basis.scopes.iter().map(|(scope, (id, region))| {
        if is_cluster(scope) {
            return Text::from(format!("cluster {region}"));
        }
        let account = if id.is_empty() { "account not known".to_owned() } else { format!("account {}", account(id)) };
        Text::from(format!("{region} · {account}"))
    });
    Text::of(Role::Strong, &plan.basis.name).dim(" · ").and(Text::join(scopes, " and "))
}

pub(crate) fn title(plan: &Plan, took_ms: Option<u64>) -> Text {
    let seen = format!(
        "{} seen in {}",
        count(plan.basis.objects.into(), "object", "objects"),
        count(plan.basis.calls.into(), "call", "calls")
    );
    let took = took_ms.map(|ms| format!(", {}", millis(ms))).unwrap_or_default();
    place(plan).dim(format!(" · {seen}{took}"))
}

/// `machines.web 6 of 6 ready, survives any zone`.
fn ready(f: &Forecast) -> Text {
    let word = match f.group.kind {
        Kind::Machines => "ready",
        Kind::Volumes | Kind::Workloads | Kind::Manifests => "there",
    };
    Text::of(Role::Strong, f.group.to_string()).plain(format!(" {}", of_wanted(f.ready, f.wanted, word)))
}

/// `, survives any zone`: the lines of [`afterwards`] for a plan that has only one line.
fn in_short(f: &Forecast) -> Text {
    match losses(f) {
        None => Text::new(),
        Some(Losses { machine: Some(_), .. }) if f.needed >= f.after => Text::from(", all needed"),
        Some(Losses { machine: Some(_), .. }) => Text::from(format!(", does not survive losing a {}", thing(f))),
        Some(Losses { zones, .. }) => match zones.first() {
            None => Text::from(", survives any zone"),
            Some(zone) => Text::from(format!(", does not survive losing {zone}")),
        },
    }
}

/// How things are called on this page: short, and with their kind where two kinds share a name.
pub(crate) struct Names {
    shared: BTreeSet<String>,
    zones: BTreeMap<String, String>,
}

impl Names {
    pub(crate) fn of(plan: &Plan) -> Self {
        let changes = || plan.changes.iter().chain(plan.held.iter().map(|h| &h.change));
        let groups: BTreeSet<&Group> =
            changes().map(|c| &c.address.group).chain(plan.forecast.iter().map(|f| &f.group)).collect();
        let mut seen = BTreeSet::new();
        let shared = groups.iter().filter(|g| !seen.insert(g.name.as_str())).map(|g| g.name.clone()).collect();
        let zones = changes()
            .map(|c| c.zone.as_str())
            .chain(plan.forecast.iter().flat_map(|f| f.zones.keys().map(String::as_str)));
        Self { shared, zones: short_zones(zones) }
    }

    /// `web`, or `machines.web`.
    pub(crate) fn group(&self, g: &Group) -> String {
        if self.shared.contains(&g.name) { g.to_string() } else { g.name.clone() }
    }

    /// `web/3`, or `machines.web/3`.
    pub(crate) fn address(&self, a: &Address) -> String {
        match &a.object {
            None => format!("{}/{}", self.group(&a.group), a.slot),
            Some(object) => object.short(),
        }
    }

    /// `web/0-5`.
    pub(crate) fn fold(&self, f: &Fold<'_>) -> String {
        let first = &f.first().address;
        if first.object.is_some() {
            return self.address(first);
        }
        let all = slots(f.changes.iter().map(|c| c.address.slot));
        format!("{}/{all}", self.group(&f.first().address.group))
    }

    fn zone<'a>(&'a self, zone: &'a str) -> &'a str {
        self.zones.get(zone).map_or(zone, String::as_str)
    }
}

/// How an action looks: its sign, its role, and its word where the sign alone says too little.
pub(crate) fn look(action: Action) -> (&'static str, Role, &'static str) {
    match action {
        Action::Create => ("+", Role::Added, ""),
        Action::Update => ("~", Role::Changed, "in place"),
        Action::Replace => ("±", Role::Replaced, "replace"),
        Action::Delete => ("-", Role::Removed, "destroy"),
        Action::Restamp => ("=", Role::Dim, "re-stamp"),
        Action::Quarantine => ("!", Role::Warning, "quarantine"),
        Action::Release => ("^", Role::Added, "release"),
        Action::Attach => ("@", Role::Changed, "attach"),
    }
}

/// One word for a reason.
pub(crate) fn why(why: Why) -> &'static str {
    match why {
        Why::Declared => "declared",
        Why::Drifted => "drifted",
        Why::Conflict => "conflict",
        Why::Unhealthy => "unhealthy",
        Why::Retiring => "retiring",
        Why::Uneven => "uneven",
        Why::Duplicate => "duplicate",
        Why::Stamp => "stamp",
        Why::Outdated => "outdated",
        Why::Asked => "asked",
    }
}

/// True for what stands last, above the total.
fn stands_last(action: Action) -> bool {
    match action {
        Action::Replace | Action::Delete | Action::Quarantine => true,
        Action::Create | Action::Update | Action::Restamp | Action::Release | Action::Attach => false,
    }
}

fn group_rows(plan: &Plan, names: &Names) -> Vec<Row> {
    let mut groups: BTreeMap<&Group, Vec<&Change>> = BTreeMap::new();
    for change in &plan.changes {
        groups.entry(&change.address.group).or_default().push(change);
    }
    let mut rows = Vec::new();
    for (group, changes) in groups {
        let forecast = plan.forecast.iter().find(|f| f.group == *group);
        rows.push(head(group, forecast, names));
        let first = changes.iter().copied().filter(|c| !stands_last(c.action));
        for fold in fold(first) {
            rows.extend(change_rows(&fold, names));
        }
        let later = changes.iter().filter(|c| stands_last(c.action)).count();
        if later > 0 {
            rows.push(Row::line(4, Text::new().dim(format!("{} below", later_words(&changes)))).rank(Rank::Detail));
        }
    }
    rows
}

/// `2 to replace, 1 to destroy`.
fn later_words(changes: &[&Change]) -> String {
    let n = |a: Action| changes.iter().filter(|c| c.action == a).count();
    [(Action::Quarantine, "to quarantine"), (Action::Replace, "to replace"), (Action::Delete, "to destroy")]
        .into_iter()
        .filter(|(a, _)| n(*a) > 0)
        .map(|(a, word)| format!("{} {word}", number(n(a) as u64)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `machines.web   6 → 7   a 2 · b 2 · c 2 → 3`.
fn head(group: &Group, forecast: Option<&Forecast>, names: &Names) -> Row {
    let mut cells = vec![Text::of(Role::Strong, group.to_string())];
    let moves = |from: u32, to: u32| if from == to { from.to_string() } else { format!("{from} → {to}") };
    if let Some(f) = forecast {
        cells.push(Text::from(moves(f.before, f.after)));
        let zones = f.zones.iter().map(|(zone, (from, to))| {
            Text::new()
                .dim(names.zone(zone))
                .with(if from == to { Role::Dim } else { Role::Plain }, format!(" {}", moves(*from, *to)))
        });
        return Row::cells(2, HEADS, cells).tail(Tail::Under, Text::join(zones, " · "));
    }
    Row::cells(2, HEADS, cells)
}

/// One change, or several equal ones: the row, then its fields, then how it goes.
fn change_rows(fold: &Fold<'_>, names: &Names) -> Vec<Row> {
    let mut lines = change_lines(fold).into_iter();
    let mut rows = vec![change_row(fold, names).tail(Tail::Under, lines.next().unwrap_or_default())];
    rows.extend(lines.map(|l| Row::line(8, l).rank(Rank::Detail)));
    rows
}

/// The row of a change: its sign, name, zone, what it is, how it goes in a word, and its id.
fn change_row(fold: &Fold<'_>, names: &Names) -> Row {
    let change = fold.first();
    let (sign, role, word) = look(change.action);
    let last = stands_last(change.action);
    let many = fold.changes.len();
    let (what, id) = if many > 1 {
        (format!("{} × {}", number(many as u64), change.what), String::new())
    } else {
        (change.what.clone(), change.object.clone().unwrap_or_default())
    };
    let cells = vec![
        Text::of(role, sign).plain(" ").with(Role::Strong, names.fold(fold)),
        Text::from(zones(fold, names)),
        Text::from(what),
        // What stands last stands under a heading that says the word.
        Text::of(role, if last { "" } else { word }),
        Text::of(Role::Id, id),
    ];
    Row::cells(4, CHANGES, cells).rank(if last { Rank::Important } else { Rank::Normal }).mark(role)
}

/// Why, field by field, and how: the first line may stand beside the row.
fn change_lines(fold: &Fold<'_>) -> Vec<Text> {
    let change = fold.first();
    let mut lines = reasons(fold);
    let fields = fields(change);
    if lines.is_empty() && fields.len() > 1 {
        // Several fields stand under the row, none beside it.
        lines.push(Text::new());
    }
    lines.extend(fields);
    if let Some(node) = change.node.as_ref().filter(|_| fold.changes.len() == 1) {
        lines.push(Text::new().dim(format!("node {node}")));
    }
    if !TRIVIAL.contains(&change.how.as_str()) {
        lines.push(Text::new().dim(fold.words(&change.how)));
    }
    lines
}

/// The zone of one change; of several the count in each: `a 2 · b 2`.
fn zones(fold: &Fold<'_>, names: &Names) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for change in &fold.changes {
        *counts.entry(change.zone.as_str()).or_default() += 1;
    }
    if let (1, Some((zone, _))) = (counts.len(), counts.first_key_value()) {
        return (*zone).to_owned();
    }
    counts.iter().map(|(z, n)| format!("{} {}", names.zone(z), number(*n))).collect::<Vec<_>>().join(" · ")
}

/// The reasons that no field line says already, equal sorts together: `unhealthy: status impaired 14m, not ready`.
pub(crate) fn reasons(fold: &Fold<'_>) -> Vec<Text> {
    let change = fold.first();
    let mut by_sort: BTreeMap<Why, Vec<String>> = BTreeMap::new();
    for reason in change.reasons.iter().filter(|r| !told_by_field(change, r)) {
        by_sort.entry(reason.why).or_default().push(fold.words(&reason.says));
    }
    let sorts =
        by_sort.into_iter().map(|(sort, says)| Text::new().dim(format!("{}: ", why(sort))).plain(says.join(", ")));
    let all = Text::join(sorts, " · ");
    if all.is_empty() { Vec::new() } else { vec![all] }
}

/// Each field old → new; a table only by the keys that differ.
pub(crate) fn fields(change: &Change) -> Vec<Text> {
    if change.action == Action::Create {
        // What is made had nothing before.
        let one =
            |f: &FieldChange| Text::new().dim(format!("{} ", f.field)).with(Role::Added, measured(&f.field, &f.new));
        return change.fields.iter().map(one).collect();
    }
    change.fields.iter().flat_map(|f| field(f, true)).collect()
}

/// `forced`: with the reason why it forces replacement.
pub(crate) fn field(f: &FieldChange, forced: bool) -> Vec<Text> {
    let one = |name: &str, old: &Value, new: &Value| {
        let mut text = Text::new()
            .dim(format!("{}: ", why(f.why)))
            .plain(format!("{name} "))
            .with(Role::Removed, measured(name, old))
            .plain(" → ")
            .with(Role::Added, measured(name, new));
        if let Some(by) = &f.by {
            text = text.dim(format!(" by {}", by.with_time()));
        }
        match f.why {
            Why::Drifted => text = text.dim(", set back"),
            Why::Conflict => text = text.dim(", both moved, the file wins"),
            Why::Declared
            | Why::Unhealthy
            | Why::Retiring
            | Why::Uneven
            | Why::Duplicate
            | Why::Stamp
            | Why::Outdated
            | Why::Asked => {}
        }
        if let Some(because) = f.forces_replacement.as_ref().filter(|_| forced) {
            text = text.with(Role::Replaced, format!("  # forces replacement: {because}"));
        }
        text
    };
    by_key(f).iter().map(|(name, old, new)| one(name, old, new)).collect()
}

/// What is replaced, quarantined and destroyed: each by name.
fn last_rows(plan: &Plan, names: &Names) -> Vec<Row> {
    let mut rows = Vec::new();
    for (action, heading) in
        [(Action::Quarantine, "quarantined"), (Action::Replace, "replaced"), (Action::Delete, "destroyed")]
    {
        let all: Vec<&Change> = plan.changes.iter().filter(|c| c.action == action).collect();
        if all.is_empty() {
            continue;
        }
        rows.push(Row::line(2, Text::of(Role::Strong, heading)).rank(Rank::Important));
        for alike in alike(all) {
            let many = alike.changes.len();
            if many == 1 {
                rows.extend(change_rows(&alike, names));
                continue;
            }
            // Each has its row; what is the same for all is said once, under the last.
            rows.extend(alike.changes.iter().map(|c| change_row(&Fold { changes: vec![c] }, names)));
            let lines = change_lines(&alike).into_iter().filter(|l| !l.is_empty());
            let many = if many == 2 { "both: ".to_owned() } else { format!("all {}: ", number(many as u64)) };
            let mut all = Some(Text::of(Role::Strong, many));
            rows.extend(lines.map(|l| Row::line(8, all.take().unwrap_or_default().and(l))));
        }
    }
    rows
}

/// The labelled lines: held, notes, what it feels like, what it takes, what was not seen.
fn around(plan: &Plan, names: &Names) -> Vec<Row> {
    let mut rows = Vec::new();
    labelled(&mut rows, "refused", held(plan, names, true), Rank::Important);
    labelled(&mut rows, "held", held(plan, names, false), Rank::Normal);
    let mut notes: BTreeMap<(bool, &str, &str), Vec<&str>> = BTreeMap::new();
    for note in &plan.notes {
        notes.entry((note.kind != "outdated", &note.kind, &note.says)).or_default().push(&note.about);
    }
    for ((other, _, says), about) in notes {
        let text = Text::of(Role::Strong, about.join(", ")).plain(format!(": {says}"));
        labelled(&mut rows, if other { "note" } else { "outdated" }, vec![text], Rank::Normal);
    }
    if !plan.is_empty() {
        labelled(&mut rows, "meanwhile", meanwhile(plan, names), Rank::Normal);
        labelled(&mut rows, "afterwards", afterwards(plan, names), Rank::Important);
        if plan.takes.calls > 0 {
            labelled(&mut rows, "takes", vec![takes(plan)], Rank::Normal);
        }
        labelled(&mut rows, "unchanged", unchanged(plan), Rank::Normal);
    }
    if let Some(at) = plan.look_again_at {
        let text = format!("after {}, in {}", clock(at, plan.basis.at), since(plan.basis.at, at));
        labelled(&mut rows, "look again", vec![text.into()], Rank::Normal);
    }
    labelled(&mut rows, "not seen", not_seen(plan), Rank::Important);
    rows
}

/// The label stands before the first line only.
fn labelled(rows: &mut Vec<Row>, label: &str, lines: Vec<Text>, rank: Rank) {
    for (i, line) in lines.into_iter().enumerate() {
        let label = if i == 0 { Text::new().dim(label) } else { Text::new() };
        rows.push(Row::cells(2, LABELS, vec![label]).tail(Tail::Beside, line).rank(rank));
    }
}

pub(crate) fn changing(plan: &Plan) -> BTreeSet<&Group> {
    plan.changes.iter().map(|c| &c.address.group).collect()
}

/// Groups that nothing happens to: said once, so that nobody wonders.
fn unchanged(plan: &Plan) -> Vec<Text> {
    let changing = changing(plan);
    let all = Text::join(plan.forecast.iter().filter(|f| !changing.contains(&f.group)).map(ready), " · ");
    if all.is_empty() { Vec::new() } else { vec![all] }
}

pub(crate) fn not_seen(plan: &Plan) -> Vec<Text> {
    let mut lines: Vec<Text> = plan
        .gaps
        .iter()
        .map(|gap| {
            let region = plan.basis.scopes.get(&gap.scope).map_or(gap.scope.as_str(), |(_, region)| region);
            let kept = match (gap.partial, gap.kind) {
                (true, _) => String::new(),
                (false, Some(kind)) => format!(" · no {kind} are made or destroyed there"),
                (false, None) => " · nothing is made or destroyed there".to_owned(),
            };
            Text::of(Role::Warning, &gap.what).plain(format!(" in {region}: {}{kept}", gap.failure))
        })
        .collect();
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (group, field, n) in &plan.unread {
        fields.entry(field).or_default().push(format!("{} of {group}", number((*n).into())));
    }
    for (field, of) in fields {
        let how = if LOOKED_UP.contains(&field) { " (a lookup has no answer)" } else { " (--deep reads it)" };
        let field = field.replace('-', " ");
        lines.push(Text::from(format!("{field}: {}", of.join(", "))).dim(how));
    }
    lines
}
