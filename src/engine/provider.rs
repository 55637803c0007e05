//! The world through a keyhole: what every provider can do for the engine.
//!
//! A provider reads and performs. It never plans, never waits, never retries a whole call and never prints.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use evenkeel_core::address::Address;
use evenkeel_core::desired::{Lookup, ObjectWish};
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::nodes::Tie;
use evenkeel_core::observed::{Answer, ClusterSeen, Gap, Object, ScopeSeen, Subnet};
use evenkeel_core::plan::{Call, Drain};
use evenkeel_core::rehearsal::Limit;

/// What to look for in one scope.
#[derive(Debug, Clone, Default)]
pub struct Wants {
    /// The scope's alias; comes back on every object.
    pub scope: String,
    /// The stack's id.
    pub stack: String,
    /// Questions about images, subnets and groups.
    pub lookups: BTreeSet<Lookup>,
    /// Also ask what only a read per object shows.
    pub deep: bool,
    /// For a Kubernetes cluster: the objects that the file wishes there.
    pub wishes: Vec<ObjectWish>,
    /// Ids of what lived at an earlier look. A list that does not show one of them may be short, so it is asked for by
    /// id.
    pub known: BTreeSet<String>,
    /// For a Kubernetes cluster: how its nodes concern the file.
    pub nodes: Tie,
}

/// What one scope shows.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Account, region, zones, calls.
    pub seen: ScopeSeen,
    /// Everything of the stack.
    pub objects: Vec<Object>,
    /// Answers to the lookups.
    pub answers: Vec<Answer>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// Id → name.
    pub labels: BTreeMap<String, String>,
    /// A Kubernetes cluster's own.
    pub cluster: Option<ClusterSeen>,
}

/// What a look by id showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Looked {
    /// What is there.
    pub objects: Vec<Object>,
    /// Ids of which alone nothing could be seen, and why.
    pub unseen: BTreeMap<String, Failure>,
}

/// What a look shows by id: what is there, or why that is not known. What is missing is not there.
pub type Shown<'a> = BTreeMap<&'a str, Result<&'a Object, &'a Failure>>;

impl Looked {
    /// The same by id.
    pub fn shown(&self) -> Shown<'_> {
        let there = self.objects.iter().map(|o| (o.id.as_str(), Ok(o)));
        there.chain(self.unseen.iter().map(|(id, failure)| (id.as_str(), Err(failure)))).collect()
    }
}

impl From<Vec<Object>> for Looked {
    fn from(objects: Vec<Object>) -> Self {
        Self { objects, unseen: BTreeMap::new() }
    }
}

/// Boot scripts and Kubernetes objects by their keyed digest: they travel beside a plan, never in it.
pub type Payloads = BTreeMap<Digest, Vec<u8>>;

/// What a call made: address → id.
pub type Made = BTreeMap<Address, String>;

/// What a rehearsal of one call brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsed {
    /// False: the provider cannot be asked about such a call.
    pub asked: bool,
    /// What would be refused of it, each once.
    pub refused: Vec<Failure>,
    /// The subnet that a launch goes to, where it could be seen.
    pub room: Option<Subnet>,
}

/// The reading half. `drift` and `plan` are given nothing else.
#[async_trait]
pub trait Eyes: Send + Sync {
    /// Everything of the stack in full paginated lists, concurrently. Never fails as a whole: what could not be
    /// read is a gap.
    async fn read(&self, wants: &Wants) -> Reading;

    /// These objects by id: the fresh look that a wait, a fence or a destructive call needs. Ids that the provider
    /// says do not exist are simply missing from the answer; one that cannot be seen takes no other along, where each is
    /// asked for by itself.
    ///
    /// # Errors
    /// When the look itself failed: then nothing is known.
    async fn look(&self, ids: &BTreeSet<String>) -> Result<Looked, Failure>;
}

/// The changing half.
#[async_trait]
pub trait Provider: Eyes {
    /// Makes one call. Repeating it is safe: creates carry tokens, the rest is idempotent. Every target must be an
    /// id by now.
    ///
    /// # Errors
    /// The failure of the wire call that failed; what ran before it stands.
    async fn perform(&self, call: &Call, payloads: &Payloads) -> Result<Made, Failure>;

    /// One round of draining a node (`Node/ip-10-0-0-1@<uid>`): what a drain moves is asked to go, and what is left is
    /// said. The answer is gone when nothing is left, and failed when something refuses for good
    /// ([`evenkeel_core::observed::Phase`]).
    ///
    /// # Errors
    /// When what is there could not be seen: then nothing is known.
    async fn drain(&self, node: &str, how: Drain) -> Result<Object, Failure> {
        let _ = how;
        Err(Failure::new(Class::Invalid, "", format!("{node} cannot be drained here")))
    }

    /// Asks whether the call would be let through, and does nothing.
    async fn rehearse(&self, call: &Call, payloads: &Payloads) -> Rehearsed {
        let _ = (call, payloads);
        Rehearsed::default()
    }

    /// The account's limit on machines of these types, of the spot market or not. `None`: it knows of none.
    ///
    /// # Errors
    /// It could not be asked.
    async fn limit(&self, types: &BTreeSet<String>, spot: bool) -> Result<Option<Limit>, Failure> {
        let _ = (types, spot);
        Ok(None)
    }
}
