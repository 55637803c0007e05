//! Whose is it? Every object that a look brings back gets exactly one answer.
//!
//! Ownership is by the stack's id, never by name. Tags can be copied, stripped and edited by anybody; the client
//! token cannot, so where the provider shows it, it is the second witness.

use std::collections::BTreeMap;

use crate::address::{Address, Group, Kind};
use crate::launch::{group_mark, token_prefix};
use crate::observed::Object;
use crate::shared::Shared;
use crate::stamp::{LaunchTag, tag};

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Ours: this slot, by this launch.
    Slot(Address, Shared<LaunchTag>),
    /// Launched by us, but its marks were taken away or cannot be read; the group is known if its token says so.
    Stripped(Option<Group>),
    /// Bears our marks, but we did not launch it: somebody copied the tags. Never touched.
    Copied,
    /// Bears no mark of any stack, and no token tells who made it: a volume that hangs at one of our machines.
    Unmarked,
    /// Managed by something else as well, named here. Refused unless forced.
    Foreign(String),
}

/// Tags by which other tools mark what they manage: key (or its beginning, with `*`) and who it is.
const MANAGERS: &[(&str, &str)] = &[
    ("aws:autoscaling:groupName", "an Auto Scaling group"),
    ("aws:cloudformation:stack-name", "CloudFormation"),
    ("aws:ec2spot:fleet-request-id", "a Spot Fleet"),
    ("aws:ec2:fleet-id", "an EC2 Fleet"),
    ("karpenter.sh/*", "Karpenter"),
    ("sigs.k8s.io/cluster-api-provider-aws/*", "Cluster API"),
    ("eks:nodegroup-name", "an EKS node group"),
    ("KubernetesCluster", "kOps"),
    ("terraform", "Terraform"),
    ("ManagedBy=terraform", "Terraform"),
    ("managed-by=terraform", "Terraform"),
    ("pulumi:project", "Pulumi"),
    ("ManagedBy=pulumi", "Pulumi"),
];

/// Who else manages an object with these tags, if anyone can be recognised.
pub fn manager(tags: &BTreeMap<String, String>) -> Option<&'static str> {
    manager_but(tags, |_| false)
}

/// The same, and tags with these keys say nothing.
fn manager_but(tags: &BTreeMap<String, String>, ours: impl Fn(&str) -> bool) -> Option<&'static str> {
    let fits = |pattern: &str, key: &str, value: &str| {
        // Every pattern begins as its key does; nearly every tag is out by that.
        if pattern.as_bytes().first() != key.as_bytes().first() {
            return false;
        }
        if let Some((k, v)) = pattern.split_once('=') {
            key == k && value.eq_ignore_ascii_case(v)
        } else if let Some(start) = pattern.strip_suffix('*') {
            key.starts_with(start)
        } else {
            key == pattern
        }
    };
    // Our own marks, which every object bears, are no other tool's.
    let theirs = tags.iter().filter(|(key, _)| !key.starts_with(tag::OURS) && !ours(key));
    let first =
        theirs.filter_map(|(key, value)| MANAGERS.iter().position(|(pattern, _)| fits(pattern, key, value))).min()?;
    MANAGERS.get(first).map(|(_, who)| *who)
}

/// Whose `object` is, seen by `stack`. `groups` are the names that a token's group mark may stand for. `declared`
/// says which tags the user wants on a group: those are never taken for another tool's.
pub fn claim(object: &Object, stack: &str, groups: &[Group], declared: impl Fn(&Group, &str) -> bool) -> Claim {
    claim_by(object, stack, groups, declared, |mark| mark.parse::<LaunchTag>().ok().map(Shared::from))
}

/// The same; `read` reads the mark of a launch.
pub fn claim_by<'a>(
    object: &'a Object,
    stack: &str,
    groups: &[Group],
    declared: impl Fn(&Group, &str) -> bool,
    read: impl FnOnce(&'a str) -> Option<Shared<LaunchTag>>,
) -> Claim {
    let prefix = token_prefix(stack);
    let token = object.token.as_deref().filter(|t| !t.is_empty());
    let launched_by_us = token.map(|t| t.starts_with(&prefix));
    let marked = object.tags.get(tag::STACK);
    if let Some(other) = marked.filter(|s| *s != stack) {
        return Claim::Foreign(format!("the stack with id {other}"));
    }
    let group: Option<Group> =
        object.tags.get(tag::ADDRESS).and_then(|a| a.parse().ok()).filter(|g: &Group| g.kind == object.kind);
    if let Some(who) = manager_but(&object.tags, |k| group.as_ref().is_some_and(|g| declared(g, k))) {
        return Claim::Foreign(who.to_owned());
    }
    let by_token = || {
        let mark = token?.strip_prefix(&prefix)?.split('-').next()?;
        groups.iter().find(|g| g.kind == object.kind && group_mark(g) == mark).cloned()
    };
    let launch = object.tags.get(tag::LAUNCH).and_then(|mark| read(mark));
    // What is left of the marks still counts where the token vouches for it: a machine that lost one tag keeps its slot.
    let ours = marked.is_some() || launched_by_us == Some(true);
    let group = group.or_else(by_token);
    let (true, Some(group), Some(launch)) = (ours, &group, launch) else {
        return match launched_by_us {
            // The marks are broken and nothing else says that it is ours: hands off.
            Some(false) => Claim::Copied,
            Some(true) => Claim::Stripped(group),
            // An address alone is anybody's: without token and mark nothing says that it is ours.
            None if marked.is_none() && object.kind == Kind::Volumes => Claim::Unmarked,
            None if marked.is_none() => Claim::Copied,
            None => Claim::Stripped(group),
        };
    };
    match &launch.only {
        Some(id) if *id != object.id => return Claim::Copied,
        Some(_) => {}
        None if launched_by_us == Some(false) => return Claim::Copied,
        None => {}
    }
    let index = match (&launch.only, object.kind) {
        (Some(_), _) | (_, Kind::Volumes | Kind::Workloads | Kind::Manifests) => 0,
        (None, Kind::Machines) => object.index,
    };
    match launch.slots.get(index) {
        Some(slot) => Claim::Slot(group.slot(slot), launch),
        None => Claim::Stripped(Some(group.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Phase;
    use crate::slots::Slots;

    fn object(token: Option<&str>, index: u32, tags: &[(&str, &str)]) -> Object {
        Object {
            scope: String::new(),
            kind: Kind::Machines,
            id: "i-1".into(),
            phase: Phase::Up,
            says: String::new(),
            zone: "a".into(),
            created: jiff::Timestamp::UNIX_EPOCH,
            token: token.map(str::to_owned),
            index,
            reservation: "r-1".into(),
            tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            fields: BTreeMap::new().into(),
            signals: vec![].into(),
            attached: None,
            links: BTreeMap::new(),
            facts: BTreeMap::new(),
        }
    }

    const OURS: [(&str, &str); 3] =
        [(tag::STACK, "abc23456"), (tag::ADDRESS, "machines.web"), (tag::LAUNCH, "g1 s0-4/2")];

    fn whose(o: &Object) -> Claim {
        claim(o, "abc23456", &[Group::machines("web")], |_, _| false)
    }

    #[test]
    fn the_launch_index_picks_the_slot() {
        let web = Group::machines("web");
        let launch = LaunchTag::first(Slots::new([0, 2, 4]));
        assert_eq!(whose(&object(Some("ek-abc23456-x-y"), 1, &OURS)), Claim::Slot(web.slot(2), launch.clone().into()));
        assert_eq!(
            whose(&object(None, 2, &OURS)),
            Claim::Slot(web.slot(4), launch.into()),
            "no token shown is no evidence"
        );
        assert_eq!(whose(&object(None, 3, &OURS)), Claim::Stripped(Some(web)));
    }

    #[test]
    fn copied_tags_are_not_ownership() {
        assert_eq!(whose(&object(Some("somebody-else"), 0, &OURS)), Claim::Copied);
        let by_id = [OURS[0], OURS[1], (tag::LAUNCH, "g1 s3 o=i-2")];
        assert_eq!(whose(&object(None, 0, &by_id)), Claim::Copied);
        let by_id = [OURS[0], OURS[1], (tag::LAUNCH, "g1 s3 o=i-1")];
        assert!(matches!(whose(&object(Some("somebody-else"), 7, &by_id)), Claim::Slot(a, _) if a.slot == 3));
    }

    #[test]
    fn stripped_tags_leave_the_token() {
        let mark = group_mark(&Group::machines("web"));
        let token = format!("ek-abc23456-{mark}-content");
        assert_eq!(whose(&object(Some(&token), 0, &[])), Claim::Stripped(Some(Group::machines("web"))));
        assert_eq!(whose(&object(Some("ek-abc23456-zzzzzz-c"), 0, &[])), Claim::Stripped(None));
        for left in [&OURS[1..], &OURS[..1], &OURS[2..]] {
            let still = left.iter().any(|(k, _)| *k == tag::LAUNCH);
            let claim = whose(&object(Some(&token), 1, left));
            assert_eq!(matches!(claim, Claim::Slot(a, _) if a.slot == 2), still, "{left:?}");
        }
        assert_eq!(whose(&object(Some("other"), 0, &[OURS[0]])), Claim::Copied);
        assert_eq!(whose(&object(None, 0, &[OURS[1], OURS[2]])), Claim::Copied, "an address is no ownership");
    }

    #[test]
    fn other_owners_are_named() {
        let mut tags = OURS.to_vec();
        tags.push(("aws:autoscaling:groupName", "x"));
        assert_eq!(whose(&object(None, 0, &tags)), Claim::Foreign("an Auto Scaling group".into()));
        let other = [(tag::STACK, "zzz22222"), OURS[1], OURS[2]];
        assert_eq!(whose(&object(None, 0, &other)), Claim::Foreign("the stack with id zzz22222".into()));
        let mut tags = OURS.to_vec();
        tags.push(("managed-by", "Terraform"));
        assert_eq!(whose(&object(None, 0, &tags)), Claim::Foreign("Terraform".into()));
        let asked = claim(&object(None, 0, &tags), "abc23456", &[], |_, key| key == "managed-by");
        assert!(matches!(asked, Claim::Slot(..)), "a tag that the file itself asks for is no sign of another owner");
    }
}
