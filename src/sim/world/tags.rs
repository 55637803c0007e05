//! Tags: EC2's rules for them, and the calls that set and unset them.

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::Tags;

use super::World;
use crate::refusal::{bad_value, invalid, no_instance, no_volume, not_found};

/// Tags on one object: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
const MOST_TAGS: usize = 50;
/// Characters of a key.
const KEY: usize = 128;
/// Characters of a value.
const VALUE: usize = 256;
/// Ids in one call.
const MOST_IDS: usize = 1000;

/// Whether EC2 takes these tags on an object that has `others` tags beside them. AWS's own do not count.
pub(super) fn check_tags(tags: &Tags, others: usize) -> Result<(), Failure> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > KEY {
            return bad_value(format!("Tag key '{key}' is invalid: 1 to {KEY} characters."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return bad_value(format!("Tag keys starting with 'aws:' are reserved for internal use: '{key}'."));
        }
        if value.chars().count() > VALUE {
            return bad_value(format!("The value of tag '{key}' is longer than {VALUE} characters."));
        }
    }
    if tags.len() + others > MOST_TAGS {
        return invalid("TagLimitExceeded", format!("More than {MOST_TAGS} tags on one resource."));
    }
    Ok(())
}

impl World {
    /// `CreateTags`: all or none.
    pub(crate) fn set_tags(&mut self, ids: &[String], tags: &Tags) -> Result<(), Failure> {
        self.check_ids(ids)?;
        for id in ids {
            let Some(now) = self.tags_of(id) else { return unknown(id) };
            let others = now.keys().filter(|k| !tags.contains_key(*k) && !k.starts_with("aws:")).count();
            check_tags(tags, others)?;
        }
        for id in ids {
            if let Some(now) = self.tags_mut(id) {
                now.extend(tags.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
        }
        Ok(())
    }

    /// `DeleteTags`: all or none.
    pub(crate) fn unset_tags(&mut self, ids: &[String], keys: &[String]) -> Result<(), Failure> {
        let tags: Vec<_> = keys.iter().map(|key| (key.clone(), None)).collect();
        if tags.is_empty() { self.check_ids(ids) } else { self.unset_tags_like(ids, &tags) }
    }

    /// `DeleteTags` with the values that must stand there, as other clients may use it: all or none. No tags at all
    /// mean every tag but AWS's own.
    pub(crate) fn unset_tags_like(&mut self, ids: &[String], tags: &[(String, Option<String>)]) -> Result<(), Failure> {
        self.check_ids(ids)?;
        if let Some((key, _)) = tags.iter().find(|(k, _)| k.starts_with("aws:")) {
            return bad_value(format!("Tag keys starting with 'aws:' are reserved for internal use: '{key}'."));
        }
        if let Some(id) = ids.iter().find(|id| self.tags_of(id).is_none()) {
            return unknown(id);
        }
        let goes = |key: &str, value: &str| {
            let named = tags.iter().any(|(k, v)| k == key && v.as_deref().is_none_or(|v| v == value));
            named || tags.is_empty() && !key.starts_with("aws:")
        };
        for id in ids {
            if let Some(now) = self.tags_mut(id) {
                now.retain(|k, v| !goes(k, v));
            }
        }
        Ok(())
    }

    fn check_ids(&self, ids: &[String]) -> Result<(), Failure> {
        if ids.is_empty() {
            return invalid("MissingParameter", "The request must contain the parameter resourceIdSet");
        }
        if ids.len() > MOST_IDS {
            return bad_value(format!("{} resource ids are more than {MOST_IDS}.", ids.len()));
        }
        Ok(())
    }

    /// The tags of whatever has this id and can be seen.
    pub(crate) fn tags_of(&self, id: &str) -> Option<&Tags> {
        let now = self.now;
        None.or_else(|| self.instances.get(id).filter(|m| m.visible <= now).map(|m| &m.tags))
            .or_else(|| self.volumes.get(id).filter(|v| v.visible <= now).map(|v| &v.tags))
            .or_else(|| self.subnets.get(id).map(|s| &s.tags))
            .or_else(|| self.security_groups.get(id).map(|g| &g.tags))
            .or_else(|| self.images.get(id).map(|i| &i.tags))
    }

    /// The same, to change. Sees hidden objects too: a hand in the world has no eventual consistency.
    pub(crate) fn tags_mut(&mut self, id: &str) -> Option<&mut Tags> {
        None.or_else(|| self.instances.get_mut(id).map(|m| &mut m.tags))
            .or_else(|| self.volumes.get_mut(id).map(|v| &mut v.tags))
            .or_else(|| self.subnets.get_mut(id).map(|s| &mut s.tags))
            .or_else(|| self.security_groups.get_mut(id).map(|g| &mut g.tags))
            .or_else(|| self.images.get_mut(id).map(|i| &mut i.tags))
    }
}

fn unknown<T>(id: &str) -> Result<T, Failure> {
    match id.split('-').next() {
        Some("i") => no_instance(id),
        Some("vol") => no_volume(id),
        Some("subnet") => not_found("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist")),
        Some("sg") => not_found("InvalidGroup.NotFound", format!("The security group '{id}' does not exist")),
        Some("ami") => not_found("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist")),
        _ => invalid("InvalidID", format!("The ID '{id}' is not valid")),
    }
}
