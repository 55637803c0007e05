//! What failures have in common: nothing, a zone, a configuration, or our own blindness.
//!
//! Asked before any repair, over all members of one scope at once, so that a zone outage or a broken monitor does
//! not set off mass replacement while a real fault beside it is still repaired. It refuses to plan anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::Group;
use crate::health::{State, Verdict, after, age, before, span};
use crate::observed::Object;
use crate::policy::{Outage, Policy};
use crate::rules::{Evidence, Rule};
use crate::shared::Shared;
use crate::stamp::tag;

/// The least rate of failure that is taken for ordinary.
const ORDINARY: f64 = 0.02;

/// Something that machines can have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribute {
    /// Availability zone.
    Zone,
    /// Subnet.
    Subnet,
    /// Image.
    Image,
    /// Instance type.
    Type,
    /// Placement group.
    PlacementGroup,
    /// The specification it was last given, with its group: [`launch_value`].
    Launch,
}

impl Attribute {
    /// The word for a screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Subnet => "subnet",
            Self::Image => "image",
            Self::Type => "type",
            Self::PlacementGroup => "placement group",
            Self::Launch => "launch specification",
        }
    }
}

/// The values a machine has or would have; what is not known is left out.
pub type Values = BTreeMap<Attribute, String>;

/// [`Attribute::Launch`] of a group with this digest vector (the text of the tag).
pub fn launch_value(group: &Group, vector: &str) -> String {
    format!("{group} {vector}")
}

/// One machine of a declared group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The provider's id.
    pub id: String,
    /// Its group.
    pub group: Group,
    /// What it is and where.
    pub values: Shared<Values>,
    /// How it is.
    pub verdict: Shared<Verdict>,
    /// A person holds it: it counts on neither side.
    pub held: bool,
}

impl Member {
    /// A member as it was seen and judged, not held.
    pub fn of(object: &Object, group: &Group, verdict: Shared<Verdict>) -> Self {
        let field = |name: &str| object.fields.get(name).and_then(|v| v.text()).map(str::to_owned);
        let known = [
            (Attribute::Zone, Some(object.zone.clone()).filter(|z| !z.is_empty())),
            (Attribute::Subnet, field("subnet")),
            (Attribute::Image, field("image")),
            (Attribute::Type, field("type")),
            (Attribute::PlacementGroup, field("placement-group")),
            (Attribute::Launch, object.tags.get(tag::SPEC).map(|v| launch_value(group, v))),
        ];
        let values = known.into_iter().filter_map(|(a, v)| Some((a, v?))).collect();
        Self { id: object.id.clone(), group: group.clone(), values, verdict, held: false }
    }

    fn zone(&self) -> Option<&str> {
        self.values.get(&Attribute::Zone).map(String::as_str)
    }
}

/// Why all repair and rebalancing stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Freeze {
    /// We do not see enough.
    Blind,
    /// Nearly everything is unwell at once: more likely the monitoring than the machines.
    Global,
}

/// Values that a launch must not have all together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blame {
    /// All values that explain the failures equally well; never empty, never a zone.
    pub values: Values,
    /// In words.
    pub evidence: Evidence,
}

/// What failures have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Situation {
    /// All repair and rebalancing is frozen.
    pub frozen: Option<(Freeze, Evidence)>,
    /// Zones in which nothing is launched, terminated, detached or balanced.
    pub impaired: BTreeMap<String, Evidence>,
    /// Zones in which repair waits for one more dwell.
    pub suspected: BTreeMap<String, Evidence>,
    /// What must not be launched.
    pub bad_config: Vec<Blame>,
    /// No new soft repairs until then (rule S9).
    pub calm_until: Option<Timestamp>,
    /// Softly unwell members, over all zones that are not declared unavailable.
    pub unwell: u32,
    /// Of so many that count.
    pub total: u32,
    /// Zone → (softly unwell, counted).
    pub zones: BTreeMap<String, (u32, u32)>,
    /// When the answer may change by time alone; always after `now`.
    pub recheck: Option<Timestamp>,
}

impl Situation {
    /// Failures, if any, have nothing in common: ordinary repair.
    pub fn independent(&self) -> bool {
        self.frozen.is_none() && self.impaired.is_empty() && self.suspected.is_empty() && self.bad_config.is_empty()
    }

    /// What holds the repair of a member in `zone`, if anything does; `soft`: it is not dead.
    pub fn holds_repair(&self, zone: &str, soft: bool) -> Option<Evidence> {
        let frozen = self.frozen.as_ref().map(|(_, e)| e);
        let zone = || self.impaired.get(zone).or_else(|| self.suspected.get(zone));
        frozen.or_else(zone).cloned().or_else(|| {
            let until = self.calm_until.filter(|_| soft)?;
            Some(Evidence::new(Rule::Storm, format!("calm until {until} after an outage")))
        })
    }

    /// What forbids to launch a machine with these values, if anything does. A freeze does not: it stops repair and
    /// rebalancing, not what the user declares.
    pub fn holds_launch(&self, values: &Values) -> Option<Evidence> {
        let zone = values.get(&Attribute::Zone).and_then(|z| self.impaired.get(z)).cloned();
        zone.or_else(|| {
            let blamed = |b: &&Blame| b.values.iter().all(|(a, v)| values.get(a) == Some(v));
            self.bad_config.iter().find(blamed).map(|b| b.evidence.clone())
        })
    }

    /// What forbids to terminate, detach or rebalance in `zone`, if anything does.
    pub fn holds_zone(&self, zone: &str) -> Option<Evidence> {
        self.impaired.get(zone).cloned()
    }

    /// Zones to place in: those given that are not impaired.
    pub fn eligible<'a>(&self, zones: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        zones.into_iter().filter(|z| !self.impaired.contains_key(*z)).collect()
    }
}

/// Finds what the failures of one scope's members have in common. `zones`: zone → whether its provider says that it
/// is available.
pub fn assess(members: &[Member], zones: &BTreeMap<String, bool>, policy: &Policy, now: Timestamp) -> Situation {
    let outage = &policy.outage;
    let mut found = Situation::default();
    for (zone, _) in zones.iter().filter(|(_, available)| !**available) {
        let says = format!("{zone} is not available, says its provider");
        found.impaired.insert(zone.clone(), Evidence::new(Rule::ZoneDeclared, says));
    }
    let asked: Vec<_> = members.iter().filter(|m| !m.held).collect();
    for m in asked.iter().filter(|m| m.verdict.counted()) {
        let (unwell, total) = found.zones.entry(m.zone().unwrap_or_default().to_owned()).or_default();
        *unwell += u32::from(m.verdict.soft());
        *total += 1;
    }
    // Members of a zone that is known to be down are explained; they say nothing about the rest.
    let rest: Vec<_> = asked.into_iter().filter(|m| m.zone().is_none_or(|z| !found.impaired.contains_key(z))).collect();
    if let Some(evidence) = blindness(&rest) {
        found.frozen = Some((Freeze::Blind, evidence));
        return found;
    }
    let counted: Vec<_> = rest.into_iter().filter(|m| m.verdict.counted()).collect();
    let sample = Sample::of(&counted);
    (found.unwell, found.total) = (sample.unwell, sample.total);
    let explained = attribute(&sample, outage, &mut found);
    let suspected = suspect(&counted, &sample, policy, now, &mut found);
    if explained || suspected {
        return found;
    }
    let affected: BTreeSet<_> = counted.iter().filter(|m| m.verdict.soft()).map(|m| m.zone()).collect();
    if sample.unwell >= outage.min.max(1)
        && ratio(sample.unwell, sample.total) >= outage.fraction
        && affected.len() >= 2
    {
        let says = format!(
            "{} of {} unwell in {} zones with nothing else in common",
            sample.unwell,
            sample.total,
            affected.len()
        );
        found.frozen = Some((Freeze::Global, Evidence::new(Rule::Global, says)));
    }
    found
}

/// What earlier looks found, so that an outage ends slowly. Kept by the caller; empty is fine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outages {
    /// Zone → the last look that found it impaired or not yet well.
    pub zones: BTreeMap<String, Timestamp>,
    /// Zone → the last look that found it impaired by what was seen then, not by what earlier looks knew.
    #[serde(default)]
    pub found: BTreeMap<String, Timestamp>,
    /// The last look that found a freeze or an impaired zone.
    pub shielded: Option<Timestamp>,
}

/// For so many times `outage.recover` after it was last found impaired, a zone that is not quite well stays so. What is
/// unwell in it afterwards is not the zone's doing.
const NOT_WELL: u64 = 4;

/// Adds to a situation what only earlier looks know (rules S8 and S9), and writes down this one. What was written down for
/// a time that is still to come, by a clock that has gone back since, was not.
pub fn remember(found: &mut Situation, outages: &mut Outages, policy: &Policy, now: Timestamp) {
    let mut rechecks: Vec<_> = found.recheck.into_iter().collect();
    let recover = policy.outage.recover;
    for zone in found.impaired.keys() {
        outages.zones.insert(zone.clone(), now);
        outages.found.insert(zone.clone(), now);
    }
    outages.zones.retain(|_, last| *last <= now);
    outages.found.retain(|_, last| *last <= now);
    for (zone, last) in &mut outages.zones {
        let (unwell, total) = found.zones.get(zone).copied().unwrap_or_default();
        let since = outages.found.get(zone).copied().unwrap_or(*last);
        let extended = now < after(since, recover.saturating_mul(NOT_WELL));
        if extended && total > 0 && ratio(unwell, total) > policy.outage.outside {
            *last = now;
        }
    }
    outages.zones.retain(|_, last| *last > before(now, recover));
    outages.found.retain(|zone, _| outages.zones.contains_key(zone));
    for (zone, last) in &outages.zones {
        let until = after(*last, recover);
        if !found.impaired.contains_key(zone) {
            let says = format!("{zone} was impaired, well for {} of {}", span(age(*last, now)), span(recover));
            found.impaired.insert(zone.clone(), Evidence::new(Rule::ZoneRecovering, says));
            rechecks.push(until);
        }
    }
    if found.frozen.is_some() || !found.impaired.is_empty() {
        outages.shielded = Some(now);
    } else if let Some(last) = outages.shielded.filter(|last| *last <= now) {
        let until = after(last, policy.repair.storm_cooldown);
        if until > now {
            found.calm_until = Some(until);
            rechecks.push(until);
        } else {
            outages.shielded = None;
        }
    } else {
        outages.shielded = None;
    }
    found.recheck = rechecks.into_iter().filter(|t| *t > now).min();
}

/// More than half of those whose health could be known are blind.
fn blindness(members: &[&Member]) -> Option<Evidence> {
    let mut blind = 0_usize;
    let mut seen = 0_usize;
    for m in members {
        match m.verdict.state {
            State::Blind => blind += 1,
            State::Healthy
            | State::Suspect { .. }
            | State::Unhealthy { .. }
            | State::Flapping
            | State::Planned { .. } => seen += 1,
            State::Starting { .. } | State::Gone => {}
        }
    }
    let all = blind + seen;
    (blind > 0 && blind * 2 > all)
        .then(|| Evidence::new(Rule::Blindness, format!("no health data of {blind} of {all} machines")))
}

/// How many are unwell, in all and by value.
struct Sample {
    unwell: u32,
    total: u32,
    by_value: BTreeMap<(Attribute, String), (u32, u32)>,
    /// How many of each zone are unwell by what they say now. Those that pass their checks again and have yet to prove
    /// it speak of an outage that was.
    ill: BTreeMap<String, u32>,
}

impl Sample {
    fn of(counted: &[&Member]) -> Self {
        let mut sample = Self { unwell: 0, total: 0, by_value: BTreeMap::new(), ill: BTreeMap::new() };
        for m in counted {
            let unwell = u32::from(m.verdict.soft());
            if let Some(zone) = m.zone().filter(|_| unwell > 0 && !m.verdict.bad.is_empty()) {
                *sample.ill.entry(zone.to_owned()).or_default() += 1;
            }
            sample.unwell += unwell;
            sample.total += 1;
            for (attribute, value) in &m.values {
                let (u, n) = sample.by_value.entry((*attribute, value.clone())).or_default();
                *u += unwell;
                *n += 1;
            }
        }
        sample
    }

    fn ill(&self, zone: &str) -> u32 {
        self.ill.get(zone).copied().unwrap_or(0)
    }

    /// The share of unwell members without this value; `None` when all have it, for then it explains nothing.
    fn outside(&self, (u, n): (u32, u32)) -> Option<f64> {
        (self.total > n).then(|| ratio(self.unwell - u, self.total - n))
    }

    /// Whether those with a value fail so much more often than the others that chance does not explain it.
    fn explains(&self, (u, n): (u32, u32), outage: &Outage) -> bool {
        u >= outage.min.max(1)
            && ratio(u, n) >= outage.fraction
            && self
                .outside((u, n))
                .is_some_and(|out| out <= outage.outside && binomial_tail(u, n, out.max(ORDINARY)) < outage.tail)
    }
}

/// Steps 3 to 5: which values explain the failures; true when any does.
fn attribute(sample: &Sample, outage: &Outage, found: &mut Situation) -> bool {
    let explaining: Vec<_> = sample.by_value.iter().filter(|(_, un)| sample.explains(**un, outage)).collect();
    // F1 of {has the value} against {unwell} is 2·u_v / (n_v + u): compared as fractions, so that ties are exact.
    let better = |a: (u32, u32), b: (u32, u32)| {
        let side = |x: (u32, u32), y: (u32, u32)| u64::from(x.0) * (u64::from(y.1) + u64::from(sample.unwell));
        side(a, b).cmp(&side(b, a))
    };
    let Some(best) = explaining.iter().map(|(_, un)| **un).max_by(|a, b| better(*a, *b)) else {
        return false;
    };
    let tied = explaining.iter().filter(|(_, un)| better(**un, best).is_eq());
    let mut blamed = Values::new();
    let mut words = Vec::new();
    for ((attribute, value), (u, n)) in tied {
        let (rest_u, rest_n) = (sample.unwell - u, sample.total - n);
        let says = format!("{u} of {n} unwell in {} {value}, {rest_u} of {rest_n} elsewhere", attribute.word());
        match attribute {
            Attribute::Zone if sample.ill(value) < outage.min.max(1) => {}
            Attribute::Zone => {
                found.impaired.insert(value.clone(), Evidence::new(Rule::ZoneStatistical, says));
            }
            Attribute::Subnet | Attribute::Image | Attribute::Type | Attribute::PlacementGroup | Attribute::Launch => {
                blamed.insert(*attribute, value.clone());
                words.push(says);
            }
        }
    }
    // Tied values are blamed together: a launch that changes one of them may be the cure and is let through.
    if !blamed.is_empty() {
        let evidence = Evidence::new(Rule::Configuration, words.join("; "));
        found.bad_config.push(Blame { values: blamed, evidence });
    }
    true
}

/// Step 3's third case: two members in a zone, both unwell. True when any zone is held or impaired by it.
fn suspect(counted: &[&Member], sample: &Sample, policy: &Policy, now: Timestamp, found: &mut Situation) -> bool {
    // One dwell to ripen and one more to wait.
    let long_enough = policy.health.system_status.max(policy.health.instance_status).saturating_mul(2);
    let mut any = false;
    for ((attribute, zone), un) in &sample.by_value {
        if *attribute != Attribute::Zone || *un != (2, 2) || found.impaired.contains_key(zone) {
            continue;
        }
        if sample.ill(zone) < 2 {
            continue;
        }
        if sample.outside(*un).is_none_or(|out| out > policy.outage.outside) {
            continue;
        }
        any = true;
        let since = counted.iter().filter(|m| m.zone() == Some(zone)).map(|m| m.verdict.since.unwrap_or(now)).max();
        let until = after(since.unwrap_or(now), long_enough);
        if until <= now {
            let says = format!("both machines of {zone} unwell for {}", span(age(since.unwrap_or(now), now)));
            found.impaired.insert(zone.clone(), Evidence::new(Rule::ZoneSuspected, says));
        } else {
            let says =
                format!("both machines of {zone} unwell; taken for a zone's failure in {}", span(age(now, until)));
            found.suspected.insert(zone.clone(), Evidence::new(Rule::ZoneSuspected, says));
            found.recheck = found.recheck.into_iter().chain([until]).min();
        }
    }
    any
}

fn ratio(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

/// P(X ≥ k) for X binomial of n and p.
pub fn binomial_tail(k: u32, n: u32, p: f64) -> f64 {
    if k == 0 || p >= 1.0 {
        return 1.0;
    }
    if k > n || p <= 0.0 {
        return 0.0;
    }
    // The first term through logarithms, for n may be ten thousand; the others by their ratio to the one before.
    let choose: f64 = (1..=k).map(|i| (f64::from(n - k + i) / f64::from(i)).ln()).sum();
    let mut term = (choose + f64::from(k) * p.ln() + f64::from(n - k) * (1.0 - p).ln()).exp();
    let mut sum = term;
    for i in k..n {
        term *= f64::from(n - i) / f64::from(i + 1) * p / (1.0 - p);
        sum += term;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests;
