//! What of a plan can be tried out beforehand, what is known to fail without a try, and the ledger of both.
//!
//! It chooses and counts; asking the provider is the engine's work. A rehearsal proves permissions and parameters, and
//! holds launches against the account's limits; it says nothing about capacity or what the world will be when the plan
//! runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::address::Address;
use crate::failure::Failure;
use crate::launch::{Launch, Place};
use crate::observed::Subnet;
use crate::plan::{Call, Do, Plan, Target};

/// Calls on single objects that are tried, of each sort. What one of a sort may do, the others may too, unless their
/// tags differ: a sample that costs seconds under EC2's rates.
pub const OF_A_SORT: usize = 25;

/// One call to try out, in place of all those that ask for the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Where.
    pub scope: String,
    /// The steps it stands for, by index.
    pub steps: Vec<u32>,
    /// The call.
    pub call: Call,
}

/// What to try, and why the rest is not tried.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    /// In the order of the steps.
    pub trials: Vec<Trial>,
    /// Calls that name what only the plan itself will make.
    pub not_yet: u32,
    /// Calls beyond [`OF_A_SORT`].
    pub too_many: u32,
}

/// Something that would fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The steps that would.
    #[serde(skip)]
    pub steps: Vec<u32>,
    /// Whose they are.
    pub addresses: Vec<Address>,
    /// What stands in the way.
    pub trouble: Trouble,
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// The provider refuses the call.
    Refused(Failure),
    /// A subnet has fewer free addresses than machines want to go there.
    Crowded {
        /// `subnet-…`.
        subnet: String,
        /// Its zone.
        zone: String,
        /// Free addresses.
        free: u32,
        /// Machines that go there first.
        needed: u32,
    },
    /// The account may not have so much at once.
    Limited {
        /// The provider's name for the limit: `L-…`.
        quota: String,
        /// What the account may have, in vCPUs.
        most: u32,
        /// What it has.
        used: u32,
        /// What the plan launches beside that, before anything is ended.
        needed: u32,
    },
}

/// What launches of one scope and market add, by type: the first choice of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Where.
    pub scope: String,
    /// On the spot market, which has limits of its own.
    pub spot: bool,
    /// Machines by type.
    pub types: BTreeMap<String, u32>,
}

/// A limit of the account, as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The provider's name for it.
    pub quota: String,
    /// What the account may have, in vCPUs.
    pub most: u32,
    /// What it has.
    pub used: u32,
    /// vCPUs by type, of those that it counts.
    pub each: BTreeMap<String, u32>,
}

/// What a rehearsal brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Calls that were tried.
    pub tried: u32,
    /// What would fail.
    pub findings: Vec<Finding>,
    /// What was not tried, in words.
    pub unchecked: Vec<String>,
}

/// Chooses what to try.
pub fn program(plan: &Plan) -> Program {
    let mut program = Program::default();
    // What is asked already, by scope and question.
    let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut singles: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (n, step) in (0u32..).zip(&plan.steps) {
        let Do::Call(call) = &step.does else { continue };
        let question = match question(call) {
            Question::Alike(words) => words,
            Question::Single(sort) => {
                let so_far = singles.entry(sort).or_default();
                *so_far += 1;
                if *so_far > OF_A_SORT {
                    program.too_many += 1;
                    continue;
                }
                format!("{sort} {n}")
            }
            Question::NotYet => {
                program.not_yet += 1;
                continue;
            }
            Question::Asked => continue,
        };
        match known.get(&(step.scope.clone(), question.clone())) {
            Some(at) => {
                let trial = &mut program.trials[*at];
                trial.steps.push(n);
                join(&mut trial.call, call);
            }
            None => {
                known.insert((step.scope.clone(), question), program.trials.len());
                program.trials.push(Trial { scope: step.scope.clone(), steps: vec![n], call: first_choice(call) });
            }
        }
    }
    program
}

/// What a call asks of the provider.
enum Question {
    /// The same as every other call with these words.
    Alike(String),
    /// Of its own, about one object.
    Single(&'static str),
    /// Nothing that can be asked before the plan has made what it names.
    NotYet,
    /// The plan has asked it already.
    Asked,
}

fn question(call: &Call) -> Question {
    match call {
        // Types and places beyond the first choice differ in nothing that is asked for.
        Call::Launch(l) => {
            Question::Alike(format!("launch {} {:?} {:?} {:?}", l.group, l.places.first(), l.types.first(), l.spec))
        }
        Call::CreateVolume(v) => Question::Alike(format!("create {} {} {:?}", v.address.group, v.zone, v.spec)),
        Call::Terminate(_) => Question::Alike("terminate".into()),
        Call::Stop(_) => Question::Alike("stop".into()),
        Call::Start(_) => Question::Alike("start".into()),
        Call::Tag { set, unset, .. } => {
            let keys: BTreeSet<&String> = set.keys().collect();
            Question::Alike(format!("tag {keys:?} {unset:?}"))
        }
        Call::Attach { volume: Target::Id(_), machine: Target::Id(_), .. } => Question::Single("attach"),
        Call::Attach { .. } => Question::NotYet,
        Call::Change { .. } => Question::Single("change"),
        Call::Detach { .. } => Question::Single("detach"),
        Call::DeleteVolume(_) => Question::Single("delete"),
        // The cluster's own dry run has settled what would change.
        Call::Object(_) => Question::Asked,
    }
}

fn first_choice(call: &Call) -> Call {
    let mut call = call.clone();
    if let Call::Launch(l) = &mut call {
        l.places.truncate(1);
        l.types.truncate(1);
    }
    call
}

/// Calls on lists of ids become one call on all of them; of other calls that are alike, one stands for all.
fn join(one: &mut Call, more: &Call) {
    match (one, more) {
        (Call::Terminate(ids), Call::Terminate(others))
        | (Call::Stop(ids), Call::Stop(others))
        | (Call::Start(ids), Call::Start(others))
        | (Call::Tag { ids, .. }, Call::Tag { ids: others, .. }) => ids.extend(others.iter().cloned()),
        (_, _) => {}
    }
}

/// The subnet behind each place that a launch goes to first, by scope and place.
pub type Rooms = BTreeMap<(String, Place), Subnet>;

/// Subnets with fewer free addresses than machines want to go there first.
pub fn crowded(plan: &Plan, rooms: &Rooms) -> Vec<Finding> {
    // Two places can be one subnet: its zone's default, and itself by name.
    let mut wanted: BTreeMap<(&str, &str), (u32, Vec<u32>, &Subnet)> = BTreeMap::new();
    for (n, scope, l) in launches(plan) {
        let room = l.places.first().and_then(|place| rooms.get(&(scope.to_owned(), place.clone())));
        let Some(room) = room else { continue };
        let (needed, steps, _) = wanted.entry((scope, &room.id)).or_insert((0, Vec::new(), room));
        *needed += l.tag.slots.len();
        steps.push(n);
    }
    let too_full = wanted.into_values().filter(|(needed, _, room)| *needed > room.free);
    too_full
        .map(|(needed, steps, room)| Finding {
            addresses: addresses(plan, &steps),
            steps,
            trouble: Trouble::Crowded { subnet: room.id.clone(), zone: room.zone.clone(), free: room.free, needed },
        })
        .collect()
}

/// What the launches of a plan add, together by scope and market.
pub fn needs(plan: &Plan) -> Vec<Needs> {
    let mut all: BTreeMap<(&str, bool), BTreeMap<String, u32>> = BTreeMap::new();
    for (_, scope, launch) in launches(plan) {
        let Some(first) = launch.types.first() else { continue };
        let types = all.entry((scope, is_spot(launch))).or_default();
        *types.entry(first.clone()).or_default() += launch.tag.slots.len();
    }
    all.into_iter().map(|((scope, spot), types)| Needs { scope: scope.to_owned(), spot, types }).collect()
}

/// Launches that the account's limit leaves no room for. What the plan ends comes after what it launches.
pub fn limited(plan: &Plan, needs: &Needs, limit: &Limit) -> Option<Finding> {
    let vcpus = needs.types.iter().filter_map(|(t, n)| Some(limit.each.get(t)?.saturating_mul(*n)));
    let needed = vcpus.fold(0, u32::saturating_add);
    if needed == 0 || limit.used.saturating_add(needed) <= limit.most {
        return None;
    }
    let counts = |launch: &Launch| launch.types.first().is_some_and(|t| limit.each.contains_key(t));
    let hit = launches(plan).filter(|(_, scope, l)| *scope == needs.scope && is_spot(l) == needs.spot && counts(l));
    let steps: Vec<u32> = hit.map(|(n, _, _)| n).collect();
    let Limit { quota, most, used, .. } = limit.clone();
    Some(Finding { addresses: addresses(plan, &steps), steps, trouble: Trouble::Limited { quota, most, used, needed } })
}

/// The launches that come before anything is ended: those of a later wave take the room of what an earlier one ends.
fn launches(plan: &Plan) -> impl Iterator<Item = (u32, &str, &Launch)> {
    let mut later: Vec<bool> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let ends = |n: &u32| {
            let before = plan.steps.get(*n as usize).map(|s| &s.does);
            matches!(before, Some(Do::Call(Call::Terminate(_)))) || later.get(*n as usize).is_some_and(|l| *l)
        };
        let is_later = step.needs.iter().any(ends);
        later.push(is_later);
    }
    let first = (0u32..).zip(&plan.steps).zip(later).filter(|(_, later)| !later);
    first.filter_map(|((n, step), _)| match &step.does {
        Do::Call(Call::Launch(launch)) => Some((n, step.scope.as_str(), launch)),
        Do::Call(_) | Do::Wait(_) => None,
    })
}

fn is_spot(launch: &Launch) -> bool {
    launch.spec.get("market").and_then(|m| m.text()) == Some("spot")
}

/// Whose these steps are, each once.
pub fn addresses(plan: &Plan, steps: &[u32]) -> Vec<Address> {
    let of = |n: &u32| plan.steps.get(*n as usize).map(|s| s.changes.as_slice()).unwrap_or_default();
    let changes = steps.iter().flat_map(of).filter_map(|c| plan.changes.get(*c as usize));
    changes.map(|c| c.address.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::World;

    #[test]
    fn launches_alike_are_one_trial_and_what_hangs_on_them_is_not_tried_yet() {
        let plan = World::new(6).plan();
        let program = program(&plan);
        let launches = |c: &&Trial| matches!(c.call, Call::Launch(_));
        let zones: BTreeSet<_> = program
            .trials
            .iter()
            .filter_map(|t| if let Call::Launch(l) = &t.call { l.places.first().cloned() } else { None })
            .collect();
        assert_eq!(program.trials.iter().filter(launches).count(), zones.len(), "one a zone: {program:#?}");
        let attaches = plan.steps.iter().filter(|s| matches!(s.does, Do::Call(Call::Attach { .. }))).count();
        assert_eq!(program.not_yet as usize, attaches);
        let stood_for: usize = program.trials.iter().map(|t| t.steps.len()).sum();
        let calls = plan.steps.iter().filter(|s| matches!(s.does, Do::Call(_))).count();
        assert_eq!(stood_for + attaches, calls, "no call is forgotten");
    }

    #[test]
    fn only_the_launches_before_anything_is_ended_need_room() {
        let mut w = World::new(20);
        w.settle();
        w.intent.replace = (0..20).map(|n| format!("machines.web/{n}").parse().unwrap()).collect();
        let plan = w.plan();
        let all = plan.steps.iter().filter(|s| matches!(s.does, Do::Call(Call::Launch(_)))).count();
        let first = needs(&plan)[0].types.values().sum::<u32>();
        let wave = w.desired.policy.parallel(20);
        assert!((1..=wave).contains(&first) && all > first as usize, "{first} of {all}, waves of {wave}");
    }

    #[test]
    fn a_subnet_is_crowded_by_all_that_go_there_first() {
        let plan = World::new(6).plan();
        let places: BTreeSet<Place> = program(&plan)
            .trials
            .iter()
            .filter_map(|t| if let Call::Launch(l) = &t.call { l.places.first().cloned() } else { None })
            .collect();
        let scope = plan.steps[0].scope.clone();
        let room = |free| {
            move |p: &Place| Subnet { id: format!("subnet-{}", p.zone), zone: p.zone.clone(), vpc: "v".into(), free }
        };
        let rooms = |free| places.iter().map(|p| ((scope.clone(), p.clone()), room(free)(p))).collect::<Rooms>();
        let each = 6 / u32::try_from(places.len()).unwrap();
        assert_eq!(crowded(&plan, &rooms(each)), [], "just enough is enough");
        let found = crowded(&plan, &rooms(each - 1));
        assert_eq!(found.len(), places.len());
        assert!(found.iter().all(|f| f.addresses.len() as u32 == each), "{found:?}");
        assert_eq!(crowded(&plan, &Rooms::new()), [], "what is not known is not told");
    }

    #[test]
    fn launches_are_held_against_what_the_account_may_have_at_once() {
        let plan = World::new(6).plan();
        let needs = needs(&plan);
        assert_eq!(needs.len(), 1, "{needs:?}");
        assert_eq!((needs[0].spot, &needs[0].types), (false, &BTreeMap::from([("t3.small".to_owned(), 6)])));
        let limit =
            |most, used| Limit { quota: "L-1".into(), most, used, each: BTreeMap::from([("t3.small".to_owned(), 2)]) };
        assert_eq!(limited(&plan, &needs[0], &limit(20, 8)), None, "just enough is enough");
        let found = limited(&plan, &needs[0], &limit(20, 9)).unwrap();
        assert_eq!(found.addresses.len(), 6);
        assert_eq!(found.trouble, Trouble::Limited { quota: "L-1".into(), most: 20, used: 9, needed: 12 });
        let of_others = Limit { each: BTreeMap::new(), ..limit(0, 9) };
        assert_eq!(limited(&plan, &needs[0], &of_others), None, "a limit on other types is not met");
        let spot = Needs { spot: true, ..needs[0].clone() };
        assert_eq!(limited(&plan, &spot, &limit(0, 0)).map(|f| f.steps), Some(vec![]), "it is of no launch here");
    }

    #[test]
    fn ends_of_many_machines_are_one_trial_with_all_their_ids() {
        let ids = |call: &Call| if let Call::Terminate(ids) = call { ids.clone() } else { vec![] };
        let mut one = Call::Terminate(vec!["i-1".into()]);
        join(&mut one, &Call::Terminate(vec!["i-2".into(), "i-3".into()]));
        assert_eq!(ids(&one), ["i-1", "i-2", "i-3"]);
        let change = |id: &str| Call::Change {
            id: id.into(),
            kind: crate::address::Kind::Machines,
            fields: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        let mut single = change("i-1");
        join(&mut single, &change("i-2"));
        assert_eq!(single, change("i-1"));
    }
}
