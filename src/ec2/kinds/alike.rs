//! What many objects of one look show alike is made once.
//!
//! Fields are made from [`machine::Shown`] or [`volume::Shown`] and from nothing else, so that what is equal there cannot
//! differ in its fields.

use std::hash::Hash;

use evenkeel_core::observed::Signal;
use evenkeel_core::shared::{Pool, Shared};
use evenkeel_core::stamp::tag;
use evenkeel_core::value::{Fields, Value};
use jiff::Timestamp;

use super::{machine, volume};
use crate::api::{Check, InstanceState, Tags, Volume};
use crate::fast::FastMap;

/// A machine's state and its checks, where no event is announced.
pub(crate) type Checks = (InstanceState, [(Check, Option<Timestamp>); 3]);

/// What was made so far. It lives as long as the answers that it was made from.
#[derive(Default)]
pub(crate) struct Alike<'a> {
    pub machines: Made<machine::Shown<'a>, Fields>,
    pub volumes: Made<volume::Shown<'a>, Fields>,
    pub checks: Made<Checks, Vec<Signal>>,
    pub signals: Pool<Vec<Signal>>,
}

/// What was made of each key.
pub(crate) struct Made<K, T>(FastMap<K, Shared<T>>);

impl<K, T> Default for Made<K, T> {
    fn default() -> Self {
        Self(FastMap::default())
    }
}

impl<K: Eq + Hash, T> Made<K, T> {
    /// What `make` makes of `key`.
    pub(crate) fn of(&mut self, key: K, make: impl FnOnce(&K) -> T) -> Shared<T> {
        if let Some(made) = self.0.get(&key) {
            return made.clone();
        }
        let made = Shared::from(make(&key));
        self.0.insert(key, made.clone());
        made
    }
}

/// All that is told of a disk.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Disk<'a> {
    pub size: u32,
    pub volume_type: &'a str,
    pub iops: Option<u32>,
    pub throughput: Option<u32>,
    pub encrypted: bool,
    pub kms_key: Option<&'a str>,
}

impl<'a> Disk<'a> {
    pub(crate) fn of(v: &'a Volume) -> Self {
        Self {
            size: v.size,
            volume_type: &v.volume_type,
            iops: v.iops,
            throughput: v.throughput,
            encrypted: v.encrypted,
            kms_key: v.kms_key.as_deref(),
        }
    }

    /// As one of the `disks`.
    pub(crate) fn value(&self) -> Value {
        let all = [
            ("size", Value::from(self.size)),
            ("type", self.volume_type.into()),
            ("iops", self.iops.into()),
            ("throughput", self.throughput.into()),
            ("encrypted", self.encrypted.into()),
            ("kms-key", self.kms_key.into()),
        ];
        Value::Map(all.into_iter().filter(|(_, v)| !v.is_nothing()).map(|(k, v)| (k.to_owned(), v)).collect())
    }
}

/// The tags that are the user's: neither ours nor AWS's own.
pub(crate) fn user_tags(tags: &Tags) -> Vec<(&str, &str)> {
    let ours = |k: &str| k.starts_with(tag::OURS) || k.starts_with("aws:");
    tags.iter().filter(|(k, _)| !ours(k)).map(|(k, v)| (k.as_str(), v.as_str())).collect()
}
