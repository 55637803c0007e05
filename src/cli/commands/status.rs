//! `status`: every machine and volume, how it is, since when, and when to look again.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::{Address, Group, Kind};
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
        let words = words(&session, &project, &seen).await;
        session.close()?;
        let report = report(&project, &seen, &words);
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

/// Objects that are not ready are asked for their pods' own reason, at most so many a cluster: each costs three calls.
const ASKED: usize = 20;

/// What stands in the way of the objects that are not ready, as their pods tell. What cannot be asked is left out.
async fn words(session: &Session, project: &Project, seen: &Look) -> BTreeMap<Address, String> {
    let mut ailing: BTreeMap<&str, BTreeMap<String, Address>> = BTreeMap::new();
    for (group, all) in ready::states(&project.desired, &seen.observed, seen.now) {
        let Some(bundle) = project.desired.bundles.get(&group) else { continue };
        for state in all.into_iter().filter(|s| s.verdict.as_ref().is_some_and(is_ailing)) {
            let id = state.address.object.as_deref().map(ToString::to_string).unwrap_or_default();
            ailing.entry(&bundle.scope).or_default().insert(id, state.address);
        }
    }
    let mut words = BTreeMap::new();
    for (scope, mut objects) in ailing {
        let Some(eyes) = session.eyes().remove(scope) else { continue };
        let ids: BTreeSet<String> = objects.keys().take(ASKED).cloned().collect();
        let told = eyes.look(&ids).await.map(|seen| seen.objects).unwrap_or_default();
        let told = told.into_iter().filter(|o| !o.says.is_empty());
        words.extend(told.filter_map(|o| Some((objects.remove(&o.id)?, o.says))));
    }
    words
}

/// Whether more can be said of an object than that it is so.
fn is_ailing(verdict: &Verdict) -> bool {
    match verdict.state {
        State::Starting { .. } | State::Unhealthy { .. } => true,
        State::Healthy
        | State::Suspect { .. }
        | State::Flapping
        | State::Planned { .. }
        | State::Gone
        | State::Blind => false,
    }
}

/// The verdict in its pods' own words.
fn told(verdict: Verdict, words: Option<&String>) -> Verdict {
    let Some(words) = words else { return verdict };
    let state = match verdict.state {
        State::Unhealthy { hard, .. } => State::Unhealthy { causes: vec![words.clone()], hard },
        other => other,
    };
    Verdict { state, evidence: vec![Evidence::new(Rule::Cluster, words.clone())], ..verdict }
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

fn report(project: &Project, seen: &Look, words: &BTreeMap<Address, String>) -> StatusReport {
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
                verdict: Some((*m.verdict).clone()),
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
            address: o.address.clone(),
            object: o.uid,
            zone: String::new(),
            what: String::new(),
            attached: String::new(),
            node: None,
            verdict: o.verdict.map(|v| told(v, words.get(&o.address))),
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
