//! A story: a fleet and its objects, what their user does, what hands and fate do to them.

use std::fmt;

use evenkeel_core::failure::Class;
use evenkeel_sim::action::Action;
use evenkeel_sim::dice::Span;
use evenkeel_sim::faults::{Effect, Fault, Moment};

use super::cluster;
use super::fleet::{Dice, Fleet, STACK};
use super::hands::{TOUCHES, Touch};
use super::shop::Shop;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// The file is applied, while these things go wrong.
    Apply(Vec<Fault>),
    /// Everything is destroyed, while these things go wrong.
    Destroy(Vec<Fault>),
    /// The user edits the file: to this, in words.
    Edit(Fleet, String),
    /// The same, of its objects.
    EditObjects(Shop, String),
    /// Somebody or fate does something to the world: which sort, and to which thing.
    Damage(Hand, u32),
    /// The same, to the cluster.
    Touch(Touch, u32),
    /// Minutes pass.
    Wait(u32),
}

/// What is done to the world behind evenkeel's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    Kill,
    Die,
    Stop,
    Impair,
    Flap,
    SetGroups,
    SetType,
    Retag,
    StripOne,
    StripAll,
    Copy,
    Detach,
    DeleteVolume,
    LoseZone,
    LoseZoneSilently,
    RestoreZone,
    NoRoom,
    Retire,
}

const HANDS: [Hand; 18] = [
    Hand::Kill,
    Hand::Die,
    Hand::Stop,
    Hand::Impair,
    Hand::Flap,
    Hand::SetGroups,
    Hand::SetType,
    Hand::Retag,
    Hand::StripOne,
    Hand::StripAll,
    Hand::Copy,
    Hand::Detach,
    Hand::DeleteVolume,
    Hand::LoseZone,
    Hand::LoseZoneSilently,
    Hand::RestoreZone,
    Hand::NoRoom,
    Hand::Retire,
];

/// A seed's story.
pub struct Story {
    pub seed: u64,
    /// Its machines and volumes; absent: a cluster alone.
    pub fleet: Option<Fleet>,
    /// Its objects; absent: no cluster.
    pub shop: Option<Shop>,
    pub steps: Vec<Step>,
    /// How long new objects are hidden, in seconds at most.
    pub hidden: u64,
    pub throttled: bool,
}

impl Story {
    /// The story of a seed, up to so many steps. It holds machines and volumes; of some seeds objects, too.
    pub fn of(seed: u64, steps: usize) -> Self {
        let mut story = Self::of_machines(seed);
        if seed % BOTH == BOTH - 1 {
            let objects = Self::of_objects(seed);
            // Edits and hands of both, in turn, and each followed by its own run.
            let mut rest = objects.steps.into_iter();
            let mut mixed = Vec::new();
            for step in story.steps {
                mixed.push(step);
                mixed.extend(rest.by_ref().take(2));
            }
            mixed.extend(rest);
            (story.steps, story.shop) = (mixed, objects.shop);
        }
        story.steps.truncate(steps);
        story
    }

    /// The story of a seed in a cluster alone, up to so many steps.
    pub fn in_a_cluster(seed: u64, steps: usize) -> Self {
        let mut story = Self::of_objects(seed);
        story.steps.truncate(steps);
        story
    }

    fn of_objects(seed: u64) -> Self {
        let shop = Shop::of(seed);
        let mut dice = Dice::new(seed, 12);
        let mut now = shop.clone();
        let wrongs = |dice: &mut Dice, now: &Shop| match dice.roll(3) {
            0 => faults(dice),
            1 => cluster::faults(dice, now),
            _ => vec![],
        };
        let mut steps = vec![Step::Apply(wrongs(&mut dice, &now))];
        for _ in 0..1 + dice.roll(4) {
            match dice.roll(14) {
                0..=5 => {
                    let touch = TOUCHES[dice.roll(TOUCHES.len() as u32) as usize];
                    steps.push(Step::Touch(touch, dice.roll(1000)));
                }
                6..=11 => {
                    let words = now.edit(&mut dice);
                    steps.push(Step::EditObjects(now.clone(), words));
                }
                12 => steps.push(Step::Wait(dice.roll(90))),
                _ if dice.roll(3) == 0 => steps.push(Step::Destroy(wrongs(&mut dice, &now))),
                _ => {}
            }
            if dice.roll(4) > 0 {
                steps.push(Step::Apply(wrongs(&mut dice, &now)));
            }
        }
        Self { seed, fleet: None, shop: Some(shop), steps, hidden: 0, throttled: false }
    }

    fn of_machines(seed: u64) -> Self {
        let fleet = Fleet::of(seed);
        let mut dice = Dice::new(seed, 2);
        let mut now = fleet.clone();
        let hidden = [0, 2, 2, 20, 90][dice.roll(5) as usize];
        let throttled = dice.roll(8) == 0;
        let mut all = Vec::new();
        if dice.roll(4) > 0 {
            all.push(Step::Apply(faults(&mut dice)));
        }
        for _ in 0..1 + dice.roll(4) {
            match dice.roll(12) {
                0..=4 => all.push(Step::Damage(HANDS[dice.roll(HANDS.len() as u32) as usize], dice.roll(1000))),
                5..=7 => {
                    let words = now.edit(&mut dice);
                    all.push(Step::Edit(now.clone(), words));
                }
                8 => all.push(Step::Wait(dice.roll(90))),
                9 => all.push(Step::Destroy(faults(&mut dice))),
                _ => {}
            }
            all.push(Step::Apply(faults(&mut dice)));
        }
        Self { seed, fleet: Some(fleet), shop: None, steps: all, hidden, throttled }
    }

    /// Whether what a run asked for may show itself only after the next one has looked, or a stranger is made to look
    /// like ours.
    pub fn doubles(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Apply(faults) | Step::Destroy(faults) => faults.iter().any(|f| match f.effect {
                Effect::Late(_) | Effect::Echo(_) | Effect::FreezeLists(_) | Effect::HideNew(_) | Effect::EmptyPage => {
                    true
                }
                Effect::LoseAnswer | Effect::Kill(_) | Effect::Twice => self.hidden > 0,
                Effect::Fail(_) | Effect::Slow(_) | Effect::CutPages | Effect::ExpirePages => false,
            }),
            Step::Damage(hand, _) => *hand == Hand::Copy,
            Step::Edit(..) | Step::EditObjects(..) | Step::Touch(..) | Step::Wait(_) => false,
        })
    }

    /// Whether a request may arrive after a later run has made sure that nothing of its kind is left.
    pub fn arrives_late(&self) -> bool {
        let late = |f: &Fault| matches!(f.effect, Effect::Late(_) | Effect::Echo(_));
        self.steps.iter().any(|step| match step {
            Step::Apply(faults) | Step::Destroy(faults) => faults.iter().any(late),
            Step::Edit(..) | Step::EditObjects(..) | Step::Damage(..) | Step::Touch(..) | Step::Wait(_) => false,
        })
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = file(self.fleet.as_ref(), self.shop.as_ref());
        writeln!(f, "{file}# hidden up to {} s, throttled {}", self.hidden, self.throttled)?;
        for (n, step) in self.steps.iter().enumerate() {
            match step {
                Step::Edit(_, words) | Step::EditObjects(_, words) => writeln!(f, "{n}: Edit({words})")?,
                Step::Apply(_) | Step::Destroy(_) | Step::Damage(..) | Step::Touch(..) | Step::Wait(_) => {
                    writeln!(f, "{n}: {step:?}")?;
                }
            }
        }
        Ok(())
    }
}

/// The file of a fleet and its objects.
pub fn file(fleet: Option<&Fleet>, shop: Option<&Shop>) -> String {
    let head = format!("[stack]\nname = \"shop\"\nid = \"{STACK}\"\n[policy]\nquarantine = \"1h\"\n");
    fleet.map_or(head, Fleet::file) + &shop.map(Shop::file).unwrap_or_default()
}

/// One in so many seeds holds both worlds.
const BOTH: u64 = 20;

/// A handful of things that go wrong during a run; every one ends with it at the latest.
fn faults(dice: &mut Dice) -> Vec<Fault> {
    let mut all = Vec::new();
    for _ in 0..dice.roll(4) {
        let effect = match dice.roll(13) {
            0 => Effect::Fail(Class::Transient),
            1 => Effect::Fail(Class::Throttled),
            2 => Effect::Fail(Class::Denied),
            3 => Effect::Fail(Class::Capacity),
            4 => Effect::LoseAnswer,
            5 => Effect::Slow(Span::secs(1, 30)),
            6 => Effect::Twice,
            7 => Effect::Late(Span::secs(1, 200)),
            8 => Effect::Echo(Span::secs(1, 200)),
            9 => Effect::EmptyPage,
            10 => Effect::FreezeLists(Span::secs(1, 20)),
            11 => Effect::HideNew(Span::secs(1, 60)),
            _ => Effect::Kill(if dice.roll(2) == 0 { Moment::Before } else { Moment::After }),
        };
        let kills = matches!(effect, Effect::Kill(_));
        let only_launches = effect == Effect::Fail(Class::Capacity);
        let mut fault = Fault::once(effect).after(dice.roll(30));
        if !kills {
            fault = fault.times(1 + dice.roll(4));
        }
        if only_launches {
            fault = fault.on(Action::RunInstances);
            fault.after %= 3;
        } else if dice.roll(2) == 0 {
            fault = fault.changing();
            fault.after %= 8;
        }
        all.push(fault);
    }
    all
}
