//! A finished plan: what changes, why, in which steps, what is held, and what it will feel like.
//!
//! Only types and their seal stand here; making one is [`crate::make`]'s work, checking one [`crate::vet`]'s. A plan
//! leaves nothing to decide when it runs, holds no secret, and is the same, byte for byte, for the same situation.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::{Address, Group, Kind, ObjectName};
use crate::desired::is_cluster;
use crate::digest::Digest;
use crate::launch::{Launch, NewVolume};
use crate::objects::managed::Holder;
use crate::observed::Gap;
use crate::value::{Fields, Value};

/// The saved form's version; another version is refused.
pub const FORMAT: u32 = 1;

/// A finished plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// The digest of everything below; [`Plan::seal`] sets it.
    pub id: Digest,
    /// What it is based on.
    pub basis: Basis,
    /// What changes, sorted by address; deletes and replacements are shown last by the presenter.
    pub changes: Vec<Change>,
    /// The steps, in an order that respects `needs`.
    pub steps: Vec<Step>,
    /// What we would like to change and why not yet.
    pub held: Vec<Held>,
    /// Things to say that change nothing: outdated lookups, copied tags, foreign objects.
    pub notes: Vec<Note>,
    /// What it will feel like, group by group.
    pub forecast: Vec<Forecast>,
    /// What could not be seen.
    pub gaps: Vec<Gap>,
    /// Fields that no list shows: (group, field, how many machines).
    pub unread: Vec<(Group, String, u32)>,
    /// When looking again may give another answer (a dwell that ends, a quarantine that runs out).
    pub look_again_at: Option<Timestamp>,
    /// Cost under the provider's limits.
    pub takes: Takes,
}

/// What a plan is based on; `apply` compares it with the world it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Stack's id.
    pub stack: String,
    /// Stack's name.
    pub name: String,
    /// When the world was looked at.
    pub at: Timestamp,
    /// Digest of the declaration, secrets as keyed digests.
    pub declaration: Digest,
    /// Account and region of each scope, by alias.
    pub scopes: BTreeMap<String, (String, String)>,
    /// Objects of ours that were seen.
    pub objects: u32,
    /// Read calls it took.
    pub calls: u32,
}

/// What is done to one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Made new.
    Create,
    /// Changed in place, live or stopped.
    Update,
    /// A new one first, then the old one goes.
    Replace,
    /// Goes.
    Delete,
    /// Only our own tags are put right; nothing a user declared changes.
    Restamp,
    /// Holds data and is no longer declared: marked with a date, deleted later.
    Quarantine,
    /// Is declared again: the quarantine mark is taken away.
    Release,
    /// A volume goes to the machine of its slot.
    Attach,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The file moved.
    Declared,
    /// The world moved.
    Drifted,
    /// Both moved.
    Conflict,
    /// It is not well, or dead.
    Unhealthy,
    /// The provider has announced its end.
    Retiring,
    /// The zones are out of balance.
    Uneven,
    /// Two claim one slot.
    Duplicate,
    /// Our tags were taken away or are of an older version.
    Stamp,
    /// A lookup's answer moved and `follow = "always"`.
    Outdated,
    /// The user asked for it (`destroy`, `replace`).
    Asked,
}

/// One reason, with its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// Which sort.
    pub why: Why,
    /// `count 6 → 7`; `instance status impaired 14m`. No trailing full stop.
    pub says: String,
}

/// One field's change. A secret field shows `(secret)` digests, never its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name in the file.
    pub field: String,
    /// What the world has; labelled for people.
    pub old: Value,
    /// What the file wishes; labelled for people.
    pub new: Value,
    /// Who moved.
    pub why: Why,
    /// Why it forces replacement, if it does.
    pub forces_replacement: Option<String>,
    /// By whose hand and when, where the world tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Holder>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub address: Address,
    /// The live object, where there is one.
    pub object: Option<String>,
    /// What is done.
    pub action: Action,
    /// Why; never empty.
    pub reasons: Vec<Reason>,
    /// Field by field.
    pub fields: Vec<FieldChange>,
    /// Zone where it is or will be.
    pub zone: String,
    /// One word of what it is: the type or the size.
    pub what: String,
    /// The node that stands on the live machine, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How it goes, for the screen: `launch first · terminate · data/2 follows`.
    pub how: String,
    /// Digest of everything observed that justified it; `apply` computes it again and refuses on difference.
    pub fingerprint: Digest,
}

/// A change that is wished but not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The change.
    pub change: Change,
    /// What it waits for, in words: `web/2 (floor 6 of 6)`.
    pub waits_for: String,
    /// Which rule holds it.
    pub by: Hold,
}

/// In the words of a hold by what something contains: there is no protection on it that `unprotect` could lift.
pub const GOES_ALONG: &str = "which would go with it";

/// The rules that hold changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Protection stands on the object: needs `unprotect`.
    Protection,
    /// More deletes than `max-deletes` allows.
    DeleteCap,
    /// Zero desired with live objects: needs `--allow-empty`.
    ZeroDesired,
    /// The floor of healthy replicas.
    Floor,
    /// The breaker is open and a probe is under way or failed.
    Breaker,
    /// The zone is impaired, or calm is kept after an outage.
    Outage,
    /// Nearly everything is unwell at once: more likely the monitoring than the machines, which a person must decide.
    Frozen,
    /// What must be known could not be seen.
    Blind,
    /// A quarantine date.
    Quarantine,
    /// A dwell, backoff or cool-down.
    Time,
    /// Its launch is younger than the grace and not all of it is in the lists yet.
    Launching,
    /// `--target` or `--exclude` left it out.
    Filter,
    /// A lookup found nothing, or no zone is left.
    Unresolved,
    /// A foreign owner or an unclear claim.
    Foreign,
}

impl Hold {
    /// All of them, as they stand in JSON and in `docs/json.md`.
    pub const ALL: [Self; 14] = [
        Self::Protection,
        Self::DeleteCap,
        Self::ZeroDesired,
        Self::Floor,
        Self::Breaker,
        Self::Outage,
        Self::Frozen,
        Self::Blind,
        Self::Quarantine,
        Self::Time,
        Self::Launching,
        Self::Filter,
        Self::Unresolved,
        Self::Foreign,
    ];

    /// Rules a person must lift by hand: a run that meets them is refused with exit 6.
    pub fn is_refusal(self) -> bool {
        match self {
            Self::Protection | Self::DeleteCap | Self::ZeroDesired | Self::Foreign | Self::Frozen => true,
            Self::Floor
            | Self::Breaker
            | Self::Outage
            | Self::Blind
            | Self::Quarantine
            | Self::Time
            | Self::Launching
            | Self::Filter
            | Self::Unresolved => false,
        }
    }
}

/// Something to say that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Sort: `outdated`, `copied-tags`, `foreign`, `left-out` …
    pub kind: String,
    /// About what: an address, a group, or an object id.
    pub about: String,
    /// In words.
    pub says: String,
}

/// What the plan does to one group, seen from its users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Which group.
    pub group: Group,
    /// Live members before.
    pub before: u32,
    /// Members afterwards.
    pub after: u32,
    /// Members the file wants.
    pub wanted: u32,
    /// Zone → members before and after.
    pub zones: BTreeMap<String, (u32, u32)>,
    /// Never fewer ready than so many while it runs.
    pub floor: u32,
    /// Ready now.
    pub ready: u32,
    /// Members that must be left after a loss: a majority of `wanted` machines, one of volumes that are replicas.
    pub needed: u32,
    /// Left after losing any one member.
    pub left_after_machine: u32,
    /// Zone → left after losing it.
    pub left_after_zone: BTreeMap<String, u32>,
    /// Where losing a zone leaves too few machines: how many over the same zones would leave enough, if any number does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_for_any_zone: Option<u32>,
}

/// Cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takes {
    /// Changing calls.
    pub calls: u32,
    /// Launches.
    pub launches: u32,
    /// Terminations and deletes.
    pub deletes: u32,
    /// Least time under AWS's published request limits, in milliseconds ([`crate::pace`]). Boots come on top.
    pub least_ms: u64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Alias of the scope in which it acts.
    pub scope: String,
    /// Steps (indices into `Plan::steps`, all smaller than its own) that must have succeeded before.
    pub needs: Vec<u32>,
    /// Changes (indices into `Plan::changes`) it serves; never empty.
    pub changes: Vec<u32>,
    /// What it does.
    pub does: Do,
}

/// What a step does.
#[expect(clippy::large_enum_variant, reason = "a plan holds thousands at most; a box would only be in the way")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Do {
    /// One changing call.
    Call(Call),
    /// Waits until the world shows something.
    Wait(Wait),
}

/// An object that exists, or one that this plan makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// It exists.
    Id(String),
    /// The plan makes it for this address.
    New(Address),
}

/// One changing call, as a provider understands it. Every one may be repeated safely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Launches a batch of machines, all or none.
    Launch(Launch),
    /// Terminates machines.
    Terminate(Vec<String>),
    /// Stops machines.
    Stop(Vec<String>),
    /// Starts machines.
    Start(Vec<String>),
    /// Changes fields of one object in place; the fields are [`crate::schema`]'s. `tags` is not among them.
    Change {
        /// Which object.
        id: String,
        /// Of which kind.
        kind: Kind,
        /// New values.
        fields: Fields,
        /// Ids of its parts that the change touches: `root` → `vol-…`.
        links: BTreeMap<String, String>,
    },
    /// Sets and takes away tags.
    Tag {
        /// Which objects.
        ids: Vec<String>,
        /// Set, overwriting.
        set: BTreeMap<String, String>,
        /// Taken away.
        unset: Vec<String>,
    },
    /// Makes a volume.
    CreateVolume(NewVolume),
    /// Attaches a volume.
    Attach {
        /// The volume.
        volume: Target,
        /// The machine.
        machine: Target,
        /// `/dev/sdf`.
        device: String,
    },
    /// Detaches a volume, naming holder and device.
    Detach {
        /// The volume.
        volume: String,
        /// Its holder.
        machine: String,
        /// `/dev/sdf`.
        device: String,
    },
    /// Deletes a volume.
    DeleteVolume(String),
    /// Acts on a Kubernetes object.
    Object(OnObject),
}

/// One changing call on a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnObject {
    /// Which.
    pub object: ObjectName,
    /// The version it is sent in: `apps/v1`.
    pub api_version: String,
    /// What is done to it.
    pub does: ObjectDoes,
}

/// What is done to a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectDoes {
    /// Server-side apply.
    Apply {
        /// The keyed digest of the body, which travels beside the plan.
        body: Digest,
        /// The one object that is meant; another one of the same name is refused. `None`: it is made.
        uid: Option<String>,
        /// Fields that another manager holds are taken.
        force: bool,
    },
    /// Of a node: it takes no new pods, or takes them again.
    Cordon {
        /// Which.
        uid: String,
        /// False: it takes pods again.
        on: bool,
    },
    /// Deletes this one object, and no later one of the same name.
    Delete {
        /// Which.
        uid: String,
    },
    /// Sets and takes away annotations of evenkeel's own.
    Mark {
        /// Which.
        uid: String,
        /// Set, overwriting.
        set: BTreeMap<String, String>,
        /// Taken away.
        unset: Vec<String>,
    },
    /// Writes the stack's own mark, the ApplySet parent: which kinds and namespaces it may have objects in.
    Parent {
        /// `Deployment.apps`.
        kinds: BTreeSet<String>,
        /// Beside its own.
        namespaces: BTreeSet<String>,
    },
}

/// Waits until every target shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What to look at.
    pub targets: Vec<Target>,
    /// What it must show.
    pub until: Until,
    /// Fails after so many seconds.
    pub within: u64,
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// Phase is up.
    Running,
    /// Up, both checks pass, and have for `warm` seconds.
    Healthy {
        /// Seconds.
        warm: u64,
    },
    /// Phase is stopped.
    Stopped,
    /// Gone, by a read by id: the fence before what it held is given on.
    Terminated,
    /// A volume is up and hangs nowhere.
    Free,
    /// A volume hangs, settled.
    Attached,
    /// Gone from a read by id.
    Deleted,
    /// A Kubernetes object does its work: rolled out, bound, established, complete.
    Ready,
    /// A machine's node has joined the cluster of the step's scope, and is ready.
    Joined,
    /// Nothing that a drain moves is left on a node. This wait acts: each of its looks evicts what disruption budgets
    /// let go.
    Drained(Drain),
}

impl Until {
    /// How a node is drained, where that is what is waited for.
    pub fn drain(self) -> Option<Drain> {
        match self {
            Self::Drained(how) => Some(how),
            Self::Running
            | Self::Healthy { .. }
            | Self::Stopped
            | Self::Terminated
            | Self::Free
            | Self::Attached
            | Self::Deleted
            | Self::Ready
            | Self::Joined => None,
        }
    }
}

/// How a node is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drain {
    /// Pods whose `emptyDir` is lost go too.
    pub empty_dir: bool,
    /// Pods that nothing makes anew, and those that ask not to be disturbed, go too.
    pub unmanaged: bool,
    /// When the wait's time is over, what is left holds nothing up any more.
    pub force: bool,
}

impl Change {
    /// It ends what has a successor already, or is a double: no loss.
    pub fn is_superseded(&self) -> bool {
        self.reasons.iter().any(|r| matches!(r.why, Why::Duplicate | Why::Unhealthy))
    }

    /// Whether it counts towards the cap on deletes. A replacement does not: what it ends, it has replaced.
    pub fn deletes(&self) -> bool {
        match self.action {
            Action::Delete | Action::Quarantine => !self.is_superseded(),
            Action::Create | Action::Update | Action::Replace | Action::Restamp | Action::Release | Action::Attach => {
                false
            }
        }
    }
}

impl Plan {
    /// The objects, by scope, that those of its changes delete for which `begun` says that they have at least begun.
    pub fn deleted(&self, begun: impl Fn(u32) -> bool) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (i, change) in (0u32..).zip(&self.changes).filter(|(i, c)| c.deletes() && begun(*i)) {
            // A machine's node is drained first, in its cluster; that is no delete of an object there.
            let of_its_kind = |s: &&Step| is_cluster(&s.scope) == change.address.group.kind.is_kubernetes();
            let serves = self.steps.iter().filter(|s| s.changes.contains(&i)).find(of_its_kind);
            let scope = serves.map(|s| s.scope.clone());
            if let (Some(scope), Some(id)) = (scope, &change.object) {
                all.entry(scope).or_default().insert(id.clone());
            }
        }
        all
    }

    /// Whether a step that serves a change is about something else: the stack's own mark in a cluster, which follows what
    /// was deleted. Left out, it leaves the change as done as it is.
    pub fn is_beside(&self, change: u32, step: u32) -> bool {
        let change = self.changes.get(change as usize).and_then(|c| c.address.object.as_deref());
        match self.steps.get(step as usize).map(|s| &s.does) {
            Some(Do::Call(Call::Object(on))) => change.is_some_and(|own| *own != on.object),
            Some(Do::Call(_) | Do::Wait(_)) | None => false,
        }
    }

    /// Sets the id from all the rest.
    pub fn seal(mut self) -> Self {
        self.id = self.digest();
        self
    }

    /// The digest of everything but the id.
    pub fn digest(&self) -> Digest {
        let blank = Self { id: Digest(String::new()), ..self.clone() };
        Digest::of_json(&blank)
    }

    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
