//! Look and plan: the beginning of nearly every command.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use evenkeel_core::address::{Address, Group, Kind};
use evenkeel_core::declaration::keys::nearest;
use evenkeel_core::desired::is_cluster;
use evenkeel_core::event::Event;
use evenkeel_core::failure::Class;
use evenkeel_core::make::{Ask, Coming, Intent, Made, coming, make};
use evenkeel_core::nodes::tie;
use evenkeel_core::observed::{Gap, Observed, ScopeSeen};
use evenkeel_core::plan::Plan;
use evenkeel_core::policy::Amount;
use evenkeel_core::ready::{declared, members};
use evenkeel_core::scopes;
use evenkeel_core::survey::{GroupSurvey, Memory, Survey, survey};
use evenkeel_core::vet;
use evenkeel_engine::observe::{observe, wants};
use evenkeel_engine::provider::Eyes;
use evenkeel_present::failure::{Context, explain};
use evenkeel_present::render;
use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::Timestamp;

use crate::args::Wishes;
use crate::exit::{Exit, Halt};
use crate::out::Out;
use crate::project::Project;
use crate::session::Session;

/// A look at the world, and what there was before.
pub struct Look {
    /// What was seen.
    pub observed: Observed,
    /// What earlier looks remembered.
    pub history: Memory,
    /// What the next look should remember.
    memory: Memory,
    /// The time of the verdicts.
    pub now: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// Looks at everything of the stack.
///
/// # Errors
/// The credentials are of another account than the file says (6), or nothing at all could be seen (8).
pub async fn look(session: &Session, project: &Project, deep: bool, out: &Out) -> Result<Look, Halt> {
    let eyes = session.eyes();
    let eyes: BTreeMap<String, &dyn Eyes> = eyes.iter().map(|(a, e)| (a.clone(), &**e)).collect();
    let lookups = project.desired.lookups();
    let scopes = project.scopes();
    let mut wanted = wants(&project.desired.stack.id, scopes.iter().map(String::as_str), &lookups, deep);
    let history = remembered(project);
    let ec2 = project.desired.ec2_scopes();
    for one in &mut wanted {
        one.wishes = project.desired.wishes(&one.scope).cloned().collect();
        // With several regions nobody remembers which of them an id is of.
        if ec2.len() == 1 && ec2.contains(&one.scope) {
            one.known = history.objects.keys().cloned().collect();
        }
        one.nodes = tie(&project.desired, &one.scope);
    }
    let began = session.clock.now();
    let mut observed = observe(&eyes, &wanted, session.clock.as_ref()).await;
    let now = session.clock.now();
    for (alias, scope) in &project.desired.scopes {
        let seen = observed.scopes.get(alias).map(|s| s.account.as_str()).filter(|a| !a.is_empty());
        if let (Some(wanted), Some(seen)) = (&scope.account, seen)
            && wanted != seen
        {
            return Err(Halt::new(
                Exit::Refused,
                format!("these credentials are of account {seen}, the file says {wanted}; use the other credentials"),
            ));
        }
    }
    if let Some(says) = scopes::strayed(&history.scopes, &project.desired.scopes, &observed) {
        return Err(Halt::new(Exit::Refused, says));
    }
    if let Some(halt) = nothing_seen(session, project, &observed, out) {
        return Err(halt);
    }
    let forgotten = scopes::forgotten(&history.scopes, &scopes, &observed);
    observed.gaps.extend(forgotten);
    let judged = survey(&project.desired, &observed, &history, false, now);
    let (blind, memory) = (judged.blind(), judged.remember(&project.desired, &observed, &history, now));
    let said = |gap: &Gap| observed.gaps.iter().any(|g| (&g.scope, g.kind) == (&gap.scope, gap.kind));
    let blind: Vec<Gap> = blind.into_iter().filter(|gap| !said(gap)).collect();
    observed.gaps.extend(blind);
    let took = Duration::try_from(now.duration_since(began)).unwrap_or_default();
    Ok(Look { observed, history, memory, now, took })
}

/// Where not even the account could be asked, in no scope: one error instead of a page of gaps.
fn nothing_seen(session: &Session, project: &Project, observed: &Observed, out: &Out) -> Option<Halt> {
    let blind = |(alias, seen): (&String, &ScopeSeen)| {
        seen.account.is_empty() && Kind::ALL.iter().all(|kind| !observed.sees_all(alias, *kind))
    };
    if !observed.objects.is_empty() || !observed.scopes.iter().all(blind) {
        return None;
    }
    // The account's gap stands first in its scope: it has no kind.
    let gap = observed.gaps.first()?;
    let scope = project.desired.scopes.get(&gap.scope).cloned().unwrap_or_default();
    let endpoint = scope.endpoint.or_else(|| {
        let set = |name: &str| std::env::var(name).ok().filter(|url| !url.is_empty());
        set("AWS_ENDPOINT_URL_EC2").or_else(|| set("AWS_ENDPOINT_URL")).filter(|_| session.sim.is_none())
    });
    let doing = endpoint.map_or("see anything".to_owned(), |url| format!("see anything at {url}"));
    let context = Context {
        doing: &doing,
        scope: &gap.scope,
        region: scope.region.as_deref().unwrap_or_default(),
        account: scope.account.as_deref().unwrap_or_default(),
        profile: scope.profile.as_deref().unwrap_or_default(),
    };
    let mut explained = explain(&gap.failure, context);
    if explained.class == Class::Transient && !is_cluster(&gap.scope) {
        explained.way_out =
            "check the network, and `region` and `endpoint` in [aws] or AWS_ENDPOINT_URL; then run it again".into();
    }
    let page = explained.page();
    let text = render::text(&page, &project.secrets, out.width(), out.stderr_color());
    Some(Halt { exit: Exit::Blind, ..Halt::rendered(text) })
}

impl Look {
    /// The world in the declaration's terms.
    pub fn survey<'a>(&'a self, project: &Project, force: bool) -> Survey<'a> {
        survey(&project.desired, &self.observed, &self.history, force, self.now)
    }

    /// Whose machine is on its way up, and is none of the plan's.
    pub fn coming(&self, project: &Project, intent: &Intent) -> BTreeMap<Address, Coming> {
        coming(&self.ask(project, intent))
    }

    fn ask<'a>(&'a self, project: &'a Project, intent: &'a Intent) -> Ask<'a> {
        Ask { desired: &project.desired, observed: &self.observed, history: &self.history, intent, now: self.now }
    }

    /// Whether what the flags name is there at all: a slip of the pen must not look like "no changes".
    ///
    /// # Errors
    /// An address or a pattern that names nothing (64).
    pub fn knows(&self, project: &Project, intent: &Intent, targets: &[String], out: &Out) -> Result<(), Halt> {
        if intent.replace.is_empty() && targets.is_empty() {
            return Ok(());
        }
        let survey = self.survey(project, intent.force);
        let objects: BTreeSet<Address> =
            members(&project.desired, &self.observed).into_iter().map(|(_, address, _)| address).collect();
        let nothing = |flag: &str, what: &str, known: &BTreeSet<String>| {
            let near = nearest(what, known.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
            let says =
                format!("{flag} names nothing that is declared or live: {what}; {near}`evenkeel status` lists what is");
            Halt::new(Exit::Usage, says)
        };
        let slots = |(group, g): (&Group, &GroupSurvey<'_>)| {
            let slots = g.slots.keys().copied().chain(0..project.desired.wanted(group));
            slots.map(|s| group.slot(s)).collect::<Vec<_>>()
        };
        let machines = survey.groups.iter().flat_map(slots);
        let there = objects.iter().cloned().chain(declared(&project.desired, &self.observed));
        let addresses: BTreeSet<Address> = machines.chain(there).collect();
        let replaceable: BTreeSet<String> = (addresses.iter())
            .filter(|a| objects.contains(a) || survey.alive(a).next().is_some())
            .map(Address::to_string)
            .collect();
        if let Some(volume) = intent.replace.iter().find(|a| a.group.kind == Kind::Volumes) {
            let says =
                format!("--replace {volume}: a volume holds data and is never made anew; copy it to a new group");
            return Err(Halt::new(Exit::Usage, says));
        }
        if let Some(address) = intent.replace.iter().map(Address::to_string).find(|a| !replaceable.contains(a)) {
            return Err(nothing("--replace", &address, &replaceable));
        }
        let groups =
            survey.groups.keys().chain(project.desired.bundles.keys()).chain(addresses.iter().map(|a| &a.group));
        let known: BTreeSet<String> =
            groups.map(Group::to_string).chain(addresses.iter().map(Address::to_string)).collect();
        let mut strange = Vec::new();
        for pattern in targets {
            let set = globs(std::slice::from_ref(pattern))?;
            if set.is_some_and(|set| !known.iter().any(|name| set.is_match(name))) {
                strange.push(nothing("--target", pattern, &short(&known, pattern)));
            }
        }
        // Of several, one may name what an earlier run has ended; and what cannot be seen may be there.
        if strange.len() < targets.len() || !self.observed.gaps.is_empty() {
            strange.drain(..).for_each(|s| out.say(&format!("note: {}", s.says)));
        }
        strange.into_iter().next().map_or(Ok(()), Err)
    }

    /// Makes the plan, and lets an independent checker look at it before anybody sees it.
    ///
    /// # Errors
    /// The checker objects: a fault of evenkeel, never of the user.
    pub fn plan(&self, project: &Project, intent: &Intent) -> Result<Made, Halt> {
        let made = make(&self.ask(project, intent));
        let asked = vet::Asked {
            destroy: intent.destroy,
            allow_empty: intent.allow_empty,
            max_deletes: intent.max_deletes,
            deleted: intent.deleted.clone(),
            force: intent.force,
            force_conflicts: intent.force_conflicts,
        };
        let objections = vet::vet(&made.plan, &project.desired, &self.observed, &self.history, &asked, self.now);
        if objections.is_empty() {
            return Ok(made);
        }
        let words: Vec<String> = objections.iter().map(|o| format!("  {o}")).collect();
        Err(Halt::error(format!(
            "the plan breaks a rule that every plan must keep, so it is not shown and not run:\n{}\n\
             This is a fault in evenkeel, not in your file. Please report it with this output.",
            words.join("\n")
        )))
    }

    /// Writes down what this look saw, so that the next one knows what is new. Only a help: without it, verdicts
    /// take longer and nothing else.
    pub fn remember(&self, project: &Project) {
        // A read-only folder is no reason to fail a look.
        drop(keep(project, &self.memory));
    }
}

fn keep(project: &Project, history: &Memory) -> std::io::Result<()> {
    let folder = project.state();
    let text = serde_json::to_string(history).expect("a history has string keys and no failing serializers");
    std::fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.persist(project.history()).map_err(|e| e.error)?;
    Ok(())
}

/// Writes down what a run of this plan found out; whether the next plan knows a way around for it.
pub fn learn(project: &Project, plan: &Plan, events: &[Event]) -> bool {
    let mut history = remembered(project);
    let way = history.lessons.learn(plan, events);
    keep(project, &history).is_ok() && way
}

fn remembered(project: &Project) -> Memory {
    let text = std::fs::read_to_string(project.history()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// What the flags ask beyond the file.
///
/// # Errors
/// A glob, address or amount that is none.
pub fn intent(wishes: &Wishes) -> Result<Intent, Halt> {
    let usage = |says: String| Halt::new(Exit::Usage, says);
    Ok(Intent {
        destroy: false,
        target: globs(&wishes.target)?,
        exclude: globs(&wishes.exclude)?,
        allow_empty: wishes.allow_empty,
        max_deletes: wishes.max_deletes.as_deref().map(amount).transpose().map_err(usage)?,
        deleted: BTreeMap::new(),
        replace: wishes.replace.iter().map(|a| address(a)).collect::<Result<_, _>>().map_err(usage)?,
        force: wishes.force,
        force_conflicts: wishes.force_conflicts,
    })
}

/// An address; what screens call a machine (`web/1`) is understood too.
fn address(text: &str) -> Result<Address, String> {
    text.parse().or_else(|says| format!("machines.{text}").parse().map_err(|_| says))
}

/// Patterns over addresses; `None` for none. What screens show is understood too: `data/1`, `web`, `machines`.
///
/// # Errors
/// A pattern that is none.
pub fn globs(patterns: &[String]) -> Result<Option<GlobSet>, Halt> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for p in patterns {
        for form in forms(p) {
            let glob = Glob::new(&form).map_err(|e| Halt::new(Exit::Usage, format!("`{p}` is not a pattern: {e}")))?;
            set.add(glob);
        }
    }
    let set = set.build().map_err(|e| Halt::new(Exit::Usage, e.to_string()))?;
    Ok(Some(set))
}

/// What a pattern may have been meant for: with the kind in front, or without where the pattern has none.
fn short(known: &BTreeSet<String>, pattern: &str) -> BTreeSet<String> {
    let group = pattern.split('/').next().unwrap_or_default();
    match group.contains('.') {
        true => known.clone(),
        false => known.iter().filter_map(|name| name.split_once('.')).map(|(_, name)| name.to_owned()).collect(),
    }
}

/// A pattern, and what it is short for.
fn forms(pattern: &str) -> Vec<String> {
    let mut all = vec![pattern.to_owned()];
    let (group, _) = pattern.split_once('/').unwrap_or((pattern, ""));
    if Kind::ALL.iter().any(|k| k.word() == pattern) {
        all.push(format!("{pattern}.*"));
    } else if !group.contains('.') {
        all.extend(Kind::ALL.iter().map(|k| format!("{}.{pattern}", k.word())));
    }
    all
}

fn amount(text: &str) -> Result<Amount, String> {
    let bad = || format!("`{text}` is not an amount such as 3 or 25%");
    match text.strip_suffix('%') {
        Some(p) => p.parse().ok().filter(|p| *p <= 100).map(Amount::Percent).ok_or_else(bad),
        None => text.parse().map(Amount::Count).map_err(|_| bad()),
    }
}
