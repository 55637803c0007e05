//! `status`: every machine and volume, how it is, since when, and when to look again.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Group, Kind};
use evenkeel_core::health::{State, Verdict, moment};
use evenkeel_core::nodes::{self, Joined};
use evenkeel_core::ready;
use evenkeel_core::rules::{Evidence, Rule};
use evenkeel_core::survey::GroupSurvey;
use evenkeel_core::value::Value;
use evenkeel_present::status::{GroupStatus, Member, NodeStatus, StatusReport, situation};
use evenkeel_present::{json, render};
use jiff::Timestamp;

use crate::args::{self, Format, Global};
use crate::exit::{Ends, Exit};
use crate::look::{Look, look};
use crate::out::Out;
use crate::project::Project;
use crate::session::{Session, block_on};

/// `status`
pub fn run(global: &Global, args: &args::Status, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    block_on(global, async {
        let session = Session::open(global, &project).await?;
        let seen = look(&session, &project, false, out).await?;
        seen.remember(&project);
        session.close()?;
        let report = report(&project, &seen);
        match if args.json { Format::Json } else { args.format } {
            Format::Human => out.page(&report.page(out.verbose), &project.secrets),
            Format::Json => out.data(&json::pretty(&report.json(), &project.secrets)),
            Format::Markdown => {
                let page = report.page(out.verbose);
                out.data(&render::markdown(&page, &project.secrets, render::GITHUB_COMMENT));
            }
        }
        Ok(if !seen.observed.gaps.is_empty() {
            Exit::Blind
        } else if report.is_well() {
            Exit::Fine
        } else {
            Exit::Degraded
        })
    })
}

fn node(joined: Joined<'_>, now: Timestamp) -> NodeStatus {
    let Joined { scope, name, node } = joined;
    NodeStatus {
        cluster: scope.to_owned(),
        name: name.to_owned(),
        ready: node.ready,
        since: node.since,
        says: node.says.clone(),
        cordoned: node.cordoned,
        words: nodes::words(joined, now),
    }
}

fn not_seen() -> Verdict {
    Verdict {
        state: State::Blind,
        since: None,
        bad: BTreeSet::new(),
        well: false,
        evidence: vec![Evidence::new(Rule::Blind, "the list that would show it could not be read")],
        recheck: None,
    }
}

fn report(project: &Project, seen: &Look) -> StatusReport {
    let survey = seen.survey(project, false);
    let d = &project.desired;
    // `web/2` says more than the id of the machine that holds the slot.
    let machine = |(group, g): (&Group, &'_ GroupSurvey<'_>)| -> Vec<(String, String)> {
        g.members().map(|(slot, m)| (m.object.id.clone(), group.slot(slot).short())).collect()
    };
    let homes: BTreeMap<String, String> = survey.groups.iter().flat_map(machine).collect();
    let mut groups = Vec::new();
    for (group, g) in &survey.groups {
        let wanted = d.wanted(group);
        // Not seen is not missing.
        let unseen = seen
            .observed
            .gaps
            .iter()
            .any(|gap| !gap.partial && gap.scope == g.scope && gap.kind.is_none_or(|kind| kind == group.kind));
        let mut members: Vec<Member> = Vec::new();
        for (slot, m) in g.members() {
            let field = |f: &str| m.object.fields.get(f).map(Value::to_string).unwrap_or_default();
            let what = match group.kind {
                Kind::Machines => field("type"),
                Kind::Volumes => format!("{}GiB", field("size")),
                Kind::Workloads | Kind::Manifests => String::new(),
            };
            let attached =
                m.object.attached.as_ref().map(|a| homes.get(a.to.as_str()).cloned().unwrap_or_else(|| a.to.clone()));
            let attached = attached.unwrap_or_default();
            let mut notes = Vec::new();
            if m.protected() {
                notes.push("protected".to_owned());
            }
            if let Some(at) = m.quarantined_until() {
                notes.push(format!("quarantined until {}", moment(at)));
            } else if slot >= wanted {
                notes.push("no longer in the file".to_owned());
            }
            members.push(Member {
                address: group.slot(slot),
                object: Some(m.object.id.clone()),
                zone: m.object.zone.clone(),
                what,
                attached,
                verdict: Some(m.verdict.clone()),
                node: m.node.map(|j| node(j, seen.now)),
                notes,
            });
        }
        for slot in (0..wanted).filter(|s| g.alive(*s).next().is_none()) {
            members.push(Member {
                address: group.slot(slot),
                object: None,
                zone: String::new(),
                what: String::new(),
                attached: String::new(),
                node: None,
                verdict: if unseen { Some(not_seen()) } else { None },
                notes: Vec::new(),
            });
        }
        members.sort_by(|a, b| (&a.address, &a.object).cmp(&(&b.address, &b.object)));
        let ready = g.members().filter(|(_, m)| m.ready()).count();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        groups.push(GroupStatus { group: group.clone(), wanted, ready, members });
    }
    for (group, all) in ready::states(d, &seen.observed, seen.now) {
        let wanted = d.wanted(&group);
        let ready = all.iter().filter(|o| o.verdict.as_ref().is_some_and(Verdict::ready)).count();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        let member = |o: ready::ObjectState| Member {
            address: o.address,
            object: o.uid,
            zone: String::new(),
            what: String::new(),
            attached: String::new(),
            node: None,
            verdict: o.verdict,
            notes: o.notes,
        };
        groups.push(GroupStatus { group, wanted, ready, members: all.into_iter().map(member).collect() });
    }
    let scopes = &seen.observed.scopes;
    StatusReport {
        name: d.stack.name.clone(),
        stack: d.stack.id.clone(),
        at: seen.observed.at,
        scopes: scopes.iter().map(|(a, s)| (a.clone(), (s.account.clone(), s.region.clone()))).collect(),
        situation: survey.situations.values().flat_map(situation).collect(),
        groups,
        gaps: seen.observed.gaps.clone(),
    }
}
