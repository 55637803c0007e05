//! How everything is, now: each machine's state, since when, where, by which evidence, and when to look again.
//!
//! The verdicts are core's; this module only tells them. Healthy members of a large group are said once.

use std::collections::BTreeMap;

use evenkeel_core::address::{Address, Group, Kind};
use evenkeel_core::desired::is_cluster;
use evenkeel_core::health::{Planned, State, Verdict};
use evenkeel_core::observed::{Gap, Truth};
use evenkeel_core::rules::Evidence;
use evenkeel_core::situation::{Freeze, Situation};
use jiff::Timestamp;
use serde::Serialize;

use crate::document::{Doc, Rank, Role, Row, Tail, Text};
use crate::plan_json::{GapJson, gap};
use crate::words::{account, clock, count, number, of_wanted, short_zones, since, slots};

/// The JSON schema's name and version.
pub const FORMAT: &str = "evenkeel.status/1";

/// From so many members on, healthy ones are said once with their slots.
const MANY: usize = 12;

/// How a stack is.
#[derive(Debug, Clone)]
pub struct StatusReport {
    /// The stack's name.
    pub name: String,
    /// The stack's id.
    pub stack: String,
    /// When the world was looked at.
    pub at: Timestamp,
    /// Account and region of each scope, by alias.
    pub scopes: BTreeMap<String, (String, String)>,
    /// What the failures have in common, in sentences ([`situation`]); empty when nothing is wrong.
    pub situation: Vec<String>,
    /// Group by group.
    pub groups: Vec<GroupStatus>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
}

/// How a group is.
#[derive(Debug, Clone)]
pub struct GroupStatus {
    /// Which.
    pub group: Group,
    /// Members the file wants.
    pub wanted: u32,
    /// Members that are ready.
    pub ready: u32,
    /// Each member, missing ones included.
    pub members: Vec<Member>,
}

/// How one member is.
#[derive(Debug, Clone)]
pub struct Member {
    /// Which.
    pub address: Address,
    /// The live object.
    pub object: Option<String>,
    /// Its zone; empty when missing.
    pub zone: String,
    /// Its type or size; empty when missing.
    pub what: String,
    /// Where a volume hangs: `web/2 as /dev/sdf`; empty for none.
    pub attached: String,
    /// Core's verdict; `None`: nothing has this slot.
    pub verdict: Option<Verdict>,
    /// The node that stands on the machine.
    pub node: Option<NodeStatus>,
    /// What else a person should know: `protected`, `quarantined until …`, `no longer in the file`.
    pub notes: Vec<String>,
}

/// The node of a cluster that stands on a machine.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// Its cluster's scope.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// What its condition `Ready` says.
    pub ready: Truth,
    /// Since when, by the cluster's clock.
    pub since: Option<Timestamp>,
    /// The condition's reason and message.
    pub says: String,
    /// It takes no new pods.
    pub cordoned: bool,
    /// The same in words.
    #[serde(skip)]
    pub words: String,
}

/// The situation in sentences, the gravest first.
pub fn situation(s: &Situation) -> Vec<String> {
    let mut all = Vec::new();
    if let Some((freeze, evidence)) = &s.frozen {
        let why = match freeze {
            Freeze::Blind => "we do not see enough",
            Freeze::Global => "nearly everything is unwell at once",
        };
        all.push(format!("all repair is frozen, {why}: {}", evidence.says));
    }
    all.extend(s.impaired.iter().map(|(zone, e)| format!("zone {zone} is impaired: {}", e.says)));
    all.extend(s.suspected.iter().map(|(zone, e)| format!("zone {zone} is suspected: {}", e.says)));
    all.extend(s.bad_config.iter().map(|b| {
        let values: Vec<String> = b.values.iter().map(|(a, v)| format!("{} {v}", a.word())).collect();
        format!("{} is not launched any more: {}", values.join(", "), b.evidence.says)
    }));
    if all.is_empty() && s.unwell > 0 {
        all.push(format!("{} of {} unwell, each on its own", number(s.unwell.into()), number(s.total.into())));
    }
    all
}

/// One word for a state, and how it looks.
fn word(verdict: Option<&Verdict>) -> (&'static str, Role) {
    match verdict.map(|v| &v.state) {
        None => ("missing", Role::Error),
        Some(State::Starting { .. }) => ("starting", Role::Changed),
        Some(State::Healthy) => ("healthy", Role::Good),
        Some(State::Suspect { .. }) => ("suspect", Role::Warning),
        Some(State::Unhealthy { hard: true, .. }) => ("dead", Role::Error),
        Some(State::Unhealthy { hard: false, .. }) => ("unhealthy", Role::Error),
        Some(State::Flapping) => ("flapping", Role::Error),
        Some(State::Planned { kind, .. }) => match kind {
            Planned::Vacate => ("retiring", Role::Warning),
            Planned::Reboot => ("reboot planned", Role::Warning),
            Planned::Maintenance => ("maintenance planned", Role::Changed),
        },
        Some(State::Gone) => ("gone", Role::Error),
        Some(State::Blind) => ("not known", Role::Warning),
    }
}

fn is_healthy(member: &Member) -> bool {
    match member.verdict.as_ref().map(|v| &v.state) {
        Some(State::Healthy) => true,
        None
        | Some(
            State::Starting { .. }
            | State::Suspect { .. }
            | State::Unhealthy { .. }
            | State::Flapping
            | State::Planned { .. }
            | State::Gone
            | State::Blind,
        ) => false,
    }
}

impl StatusReport {
    /// Everything wanted is there and ready: exit 0, else 9.
    pub fn is_well(&self) -> bool {
        self.groups.iter().all(|g| g.ready >= g.wanted)
    }

    /// The page. With `each`, every healthy member of a large group has its own line.
    pub fn page(&self, each: bool) -> Doc {
        let scopes = self.scopes.iter().map(|(scope, (id, region))| {
            if is_cluster(scope) {
                return Text::from(format!("cluster {region}"));
            }
            let id = if id.is_empty() { "not known".to_owned() } else { account(id) };
            Text::from(format!("{region} · account {id}"))
        });
        let title = Text::of(Role::Strong, &self.name)
            .dim(" · ")
            .and(Text::join(scopes, " and "))
            .dim(format!(" · {}", clock(self.at, self.at)));
        let mut doc = Doc { title, ..Doc::default() };
        doc.push(
            self.situation
                .iter()
                .map(|s| Row::line(2, Text::of(Role::Warning, "! ").plain(s)).rank(Rank::Important))
                .collect(),
        );
        // Each group has columns of its own: long names of one must not push the others apart.
        let grids = (1..=u8::MAX).chain(std::iter::repeat(u8::MAX));
        doc.push(self.groups.iter().zip(grids).flat_map(|(g, grid)| self.group_rows(g, grid, each)).collect());
        doc.push(self.not_seen());
        doc.summary = self.summary();
        doc
    }

    fn summary(&self) -> Text {
        let short: Vec<String> = self
            .groups
            .iter()
            .filter(|g| g.ready < g.wanted)
            .map(|g| format!("{} {} of {}", g.group, g.ready, g.wanted))
            .collect();
        let unseen = match self.gaps.len() as u64 {
            0 => Text::new(),
            n => Text::of(Role::Warning, format!(" · {} could not be seen", count(n, "thing", "things"))),
        };
        let all: u64 = self.groups.iter().map(|g| u64::from(g.wanted)).sum();
        match (short.is_empty(), all) {
            (true, 0) => Text::from("Nothing is wanted.").and(unseen),
            (true, _) => Text::of(Role::Good, format!("All {} ready.", number(all))).and(unseen),
            (false, _) => Text::of(Role::Error, "Degraded:")
                .plain(format!(" {} · `evenkeel plan` says what is to be done", short.join(", ")))
                .and(unseen),
        }
    }

    fn group_rows(&self, g: &GroupStatus, grid: u8, each: bool) -> Vec<Row> {
        let zones = short_zones(g.members.iter().map(|m| m.zone.as_str()));
        let zone = |z: &str| zones.get(z).cloned().unwrap_or_else(|| z.to_owned());
        let role = if g.ready < g.wanted { Role::Error } else { Role::Good };
        let ready = match g.group.kind {
            Kind::Machines => "ready",
            Kind::Volumes | Kind::Workloads | Kind::Manifests => "there",
        };
        let head =
            vec![Text::of(Role::Strong, g.group.to_string()), Text::of(role, of_wanted(g.ready, g.wanted, ready))];
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for m in g.members.iter().filter(|m| !m.zone.is_empty()) {
            *counts.entry(zone(&m.zone)).or_default() += 1;
        }
        let spread = counts.iter().map(|(z, n)| Text::new().dim(format!("{z} {}", number(*n))));
        let mut rows = vec![Row::cells(2, 0, head).tail(Tail::Under, Text::join(spread, " · ")).rank(Rank::Important)];
        let fold = !each && g.members.len() > MANY;
        let (folded, shown): (Vec<&Member>, Vec<&Member>) = g.members.iter().partition(|m| fold && is_healthy(m));
        if !folded.is_empty() {
            let name = match g.group.kind {
                Kind::Machines | Kind::Volumes => {
                    format!("{}/{}", g.group.name, slots(folded.iter().map(|m| m.address.slot)))
                }
                Kind::Workloads | Kind::Manifests => "others".to_owned(),
            };
            let cells =
                vec![Text::from(name), Text::of(Role::Good, format!("{} healthy", number(folded.len() as u64)))];
            rows.push(Row::cells(4, grid, cells));
        }
        let (missing, there): (Vec<&Member>, Vec<&Member>) = shown.into_iter().partition(|m| m.verdict.is_none());
        rows.extend(there.into_iter().flat_map(|m| self.member_rows(m, grid)));
        // Of what is not there, there is nothing to say one by one.
        let (named, missing): (Vec<&Member>, Vec<&Member>) =
            missing.into_iter().partition(|m| m.address.object.is_some());
        rows.extend(named.into_iter().flat_map(|m| self.member_rows(m, grid)));
        if !missing.is_empty() {
            let (state, role) = word(None);
            let many = if missing.len() > 1 { format!("{} ", number(missing.len() as u64)) } else { String::new() };
            let all = slots(missing.iter().map(|m| m.address.slot));
            let cells = vec![
                Text::of(Role::Strong, format!("{}/{all}", g.group.name)),
                Text::of(role, format!("{many}{state}")),
            ];
            rows.push(Row::cells(4, grid, cells).rank(Rank::Important));
        }
        rows
    }

    fn member_rows(&self, m: &Member, grid: u8) -> Vec<Row> {
        let (state, role) = word(m.verdict.as_ref());
        let healthy = is_healthy(m);
        let age = m.verdict.as_ref().and_then(|v| v.since).map(|t| format!(" {}", since(t, self.at)));
        let cells = vec![
            Text::of(Role::Strong, m.address.short()),
            Text::of(role, state).dim(age.unwrap_or_default()),
            Text::from(&m.zone),
            Text::from(&m.what),
            Text::of(Role::Id, m.object.as_deref().unwrap_or_default()),
        ];
        let at = (!m.attached.is_empty()).then(|| format!("at {}", m.attached));
        let node = m.node.as_ref().map(|n| n.words.clone());
        let aside = at.into_iter().chain(node).chain(m.notes.iter().cloned());
        let at = Text::join(aside.map(|t| Text::new().dim(t)), " · ");
        let rank = if healthy { Rank::Detail } else { Rank::Normal };
        let mut rows = vec![Row::cells(4, grid, cells).tail(Tail::Under, at).rank(rank)];
        if healthy {
            return rows;
        }
        let Some(verdict) = &m.verdict else { return rows };
        for Evidence { rule, says } in &verdict.evidence {
            rows.push(Row::line(8, Text::from(says).dim(format!(" (rule {})", rule.id()))));
        }
        let next = match &verdict.state {
            State::Starting { deadline } => Some(format!("overdue after {}", clock(*deadline, self.at))),
            State::Planned { not_before, .. } => Some(format!("not before {}", clock(*not_before, self.at))),
            State::Healthy
            | State::Suspect { .. }
            | State::Unhealthy { .. }
            | State::Flapping
            | State::Gone
            | State::Blind => None,
        };
        let look = verdict.recheck.map(|t| format!("look again after {}, in {}", clock(t, self.at), since(self.at, t)));
        let both = Text::join(next.into_iter().chain(look).map(|t| Text::new().dim(t)), " · ");
        if !both.is_empty() {
            rows.push(Row::line(8, both).rank(Rank::Detail));
        }
        rows
    }

    fn not_seen(&self) -> Vec<Row> {
        let line = |g: &Gap| {
            let region = self.scopes.get(&g.scope).map_or(g.scope.as_str(), |(_, region)| region);
            Text::of(Role::Warning, &g.what).plain(format!(" in {region}: {}", g.failure))
        };
        let labels = std::iter::once(Text::new().dim("not seen")).chain(std::iter::repeat_with(Text::new));
        let rows = self.gaps.iter().zip(labels);
        rows.map(|(g, label)| Row::cells(2, 1, vec![label]).tail(Tail::Beside, line(g)).rank(Rank::Important)).collect()
    }

    /// The same for programs.
    pub fn json(&self) -> StatusJson<'_> {
        StatusJson {
            format: FORMAT,
            name: &self.name,
            stack: &self.stack,
            observed_at: self.at,
            well: self.is_well(),
            situation: &self.situation,
            groups: self
                .groups
                .iter()
                .map(|g| GroupJson {
                    group: &g.group,
                    wanted: g.wanted,
                    ready: g.ready,
                    members: g.members.iter().map(member_json).collect(),
                })
                .collect(),
            gaps: self.gaps.iter().map(gap).collect(),
        }
    }
}

fn member_json(m: &Member) -> MemberJson<'_> {
    let v = m.verdict.as_ref();
    MemberJson {
        address: &m.address,
        object: &m.object,
        zone: &m.zone,
        what: &m.what,
        attached: &m.attached,
        state: word(v).0,
        since: v.and_then(|v| v.since),
        ready: v.is_some_and(Verdict::ready),
        evidence: v.map(|v| v.evidence.as_slice()).unwrap_or_default(),
        next_check: v.and_then(|v| v.recheck),
        node: m.node.as_ref(),
        notes: &m.notes,
    }
}

/// `evenkeel.status/1`.
#[derive(Debug, Serialize)]
pub struct StatusJson<'a> {
    /// [`FORMAT`].
    pub format: &'static str,
    /// The stack's name.
    pub name: &'a str,
    /// The stack's id.
    pub stack: &'a str,
    /// When the world was looked at.
    pub observed_at: Timestamp,
    /// Everything wanted is there and ready.
    pub well: bool,
    /// What the failures have in common.
    pub situation: &'a [String],
    /// Group by group.
    pub groups: Vec<GroupJson<'a>>,
    /// What could not be seen.
    pub gaps: Vec<GapJson<'a>>,
}

/// A group of [`StatusJson`].
#[derive(Debug, Serialize)]
pub struct GroupJson<'a> {
    /// Which.
    pub group: &'a Group,
    /// Members the file wants.
    pub wanted: u32,
    /// Members that are ready.
    pub ready: u32,
    /// Each member.
    pub members: Vec<MemberJson<'a>>,
}

/// A member of [`GroupJson`].
#[derive(Debug, Serialize)]
pub struct MemberJson<'a> {
    /// Which.
    pub address: &'a Address,
    /// The live object.
    pub object: &'a Option<String>,
    /// Its zone.
    pub zone: &'a str,
    /// Its type or size.
    pub what: &'a str,
    /// Where a volume hangs.
    pub attached: &'a str,
    /// The state's word.
    pub state: &'static str,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Counts towards the floor.
    pub ready: bool,
    /// Which rules spoke.
    pub evidence: &'a [Evidence],
    /// When the answer may change by time alone.
    pub next_check: Option<Timestamp>,
    /// The node that stands on the machine.
    pub node: Option<&'a NodeStatus>,
    /// What else a person should know.
    pub notes: &'a [String],
}
