//! What a new machine or volume is made of, and the marks it bears from its first moment.
//!
//! Marks go out in the create call, never in a second one. The client token is the same on every rerun and another
//! for every other content, so that a wrong "absent" can do no harm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::{Address, Group};
use crate::digest::Digest;
use crate::observed::Object;
use crate::stamp::{LaunchTag, Vector, tag};
use crate::value::Fields;

/// A batch of machines, all alike but for their slots: one `RunInstances`, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Stack's id.
    pub stack: String,
    /// The group.
    pub group: Group,
    /// Slots, generation, what it replaces.
    pub tag: LaunchTag,
    /// Where, in order of preference; each is tried with every type before the next. Never empty.
    pub places: Vec<Place>,
    /// Instance types in order of preference; never empty.
    pub types: Vec<String>,
    /// The fields of [`crate::schema`] but `type`, `zone`, `subnet` and `user-data`, resolved to ids.
    pub spec: Fields,
    /// Root device of the image, `/dev/xvda`; needed to size the root disk.
    pub root_device: Option<String>,
    /// Keyed digest of the boot script; the bytes travel beside the plan, never in it.
    pub user_data: Option<Digest>,
    /// Digest vector.
    pub vector: Vector,
    /// The `Name` tag and the user's tags.
    pub tags: BTreeMap<String, String>,
}

/// A zone, and a subnet where subnets are declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `us-east-1a`.
    pub zone: String,
    /// `subnet-…`.
    pub subnet: Option<String>,
}

/// A new volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewVolume {
    /// Stack's id.
    pub stack: String,
    /// Which one.
    pub address: Address,
    /// Slot, generation.
    pub tag: LaunchTag,
    /// Where.
    pub zone: String,
    /// The fields of [`crate::schema`] but `zone` and `tags`.
    pub spec: Fields,
    /// Digest vector.
    pub vector: Vector,
    /// The `Name` tag and the user's tags.
    pub tags: BTreeMap<String, String>,
}

/// `ek-<stack>-<group>-<content>`: at most 3 + 16 + 1 + 6 + 1 + 26 = 53 of EC2's 64 characters.
fn token(stack: &str, group: &Group, content: &str) -> String {
    let content = Digest::of(content.as_bytes());
    format!("ek-{stack}-{}-{}", group_mark(group), content.prefix(26))
}

/// Six characters that stand for a group in a client token, so that an object whose tags were taken away still
/// says whose it is.
pub fn group_mark(group: &Group) -> String {
    Digest::of(group.to_string().as_bytes()).prefix(6).to_owned()
}

/// What every client token of a stack begins with.
pub fn token_prefix(stack: &str) -> String {
    format!("ek-{stack}-")
}

impl Launch {
    /// The client token for this batch at this place with this type: part of the content, because EC2 refuses the
    /// same token with other parameters.
    pub fn token(&self, place: &Place, instance_type: &str) -> String {
        let subnet = place.subnet.as_deref().unwrap_or("");
        token(
            &self.stack,
            &self.group,
            &format!("{}|{}|{}|{}|{}|{}", self.stack, self.tag, self.vector, place.zone, subnet, instance_type),
        )
    }

    /// The place and the type of a turn, from 0: every type at the first place, then the next place. `None`: the
    /// choices are used up.
    pub fn choice(&self, turn: u32) -> Option<(&Place, &String)> {
        let turn = usize::try_from(turn).ok()?;
        let place = self.places.get(turn.checked_div(self.types.len())?)?;
        Some((place, self.types.get(turn % self.types.len())?))
    }

    /// The same launch of the first generation whose tokens stand on none of the objects seen: a token that was used
    /// brings back what it made and launches nothing.
    pub fn unused(mut self, seen: &[Object]) -> Self {
        let used = |l: &Self| {
            let tokens: Vec<String> = l.places.iter().flat_map(|p| l.types.iter().map(|t| l.token(p, t))).collect();
            seen.iter().filter_map(|o| o.token.as_ref()).any(|t| tokens.contains(t))
        };
        while used(&self) {
            self.tag.generation += 1;
        }
        self
    }

    /// All tags of the instances.
    pub fn instance_tags(&self) -> BTreeMap<String, String> {
        marks(&self.stack, &self.group.to_string(), &self.vector, &self.tag, &self.tags)
    }

    /// Tags of the root volume and the disks that die with the machine: enough to know whose they are, and an
    /// address (`machines.web`) that says that they are parts, not volumes of their own.
    pub fn disk_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        tags.insert(tag::STACK.into(), self.stack.clone());
        tags.insert(tag::ADDRESS.into(), self.group.to_string());
        tags
    }

    /// The addresses of the batch, by launch index.
    pub fn addresses(&self) -> Vec<Address> {
        self.tag.slots.iter().map(|s| self.group.slot(s)).collect()
    }
}

impl NewVolume {
    /// Its client token.
    pub fn token(&self) -> String {
        token(
            &self.stack,
            &self.address.group,
            &format!("{}|{}|{}|{}|{}", self.stack, self.address, self.tag, self.vector, self.zone),
        )
    }

    /// All its tags.
    pub fn volume_tags(&self) -> BTreeMap<String, String> {
        marks(&self.stack, &self.address.group.to_string(), &self.vector, &self.tag, &self.tags)
    }
}

fn marks(
    stack: &str,
    address: &str,
    vector: &Vector,
    launch: &LaunchTag,
    user: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut tags = user.clone();
    tags.insert(tag::STACK.into(), stack.to_owned());
    tags.insert(tag::ADDRESS.into(), address.to_owned());
    tags.insert(tag::SPEC.into(), vector.to_string());
    tags.insert(tag::LAUNCH.into(), launch.to_string());
    tags
}
