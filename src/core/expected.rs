//! What a slot should look like: the declaration of its group met with the answers of the world.
//!
//! Images, groups and subnets become ids here, boot scripts are rendered, and what could not be resolved is said in
//! words. Placement is not decided here.

use std::collections::BTreeMap;

use crate::address::Group;
use crate::declaration::render_user_data;
use crate::desired::{Desired, Disk, Image, Lookup, MachineGroup, Spread, VolumeGroup};
use crate::digest::Digest;
use crate::launch::Place;
use crate::observed::{Found, Observed};
use crate::stamp::tag;
use crate::value::{Fields, Value};

/// What of a machine group is the same for every slot, or why it is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineSpec {
    /// Fields by schema name, but `zone`, `subnet` and `user-data`. `type` is the list of preference.
    pub fields: Fields,
    /// Where replicas may stand; one place a zone and subnet.
    pub places: Vec<Place>,
    /// The image's root device.
    pub root_device: Option<String>,
    /// What the image lookup says now; differs from `fields["image"]` only when it is not followed.
    pub image_name: String,
}

/// The boot script of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Keyed digest.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The group's common part.
///
/// # Errors
/// Words for each thing that could not be resolved: then nothing of the group can be launched.
pub fn machines(desired: &Desired, name: &str, group: &MachineGroup, seen: &Observed) -> Result<MachineSpec, String> {
    let placed = |key: &str, says: &str| desired.placed(&Group::machines(name), key, says);
    let mut fields = without_lookups(desired, name, group);
    let lookup = match &group.image {
        Image::Id(id) => Lookup::ImageById(id.clone()),
        Image::Ssm(_) | Image::Newest { .. } => Lookup::Image(group.image.clone()),
    };
    let (image, image_name, root_device) = match seen.answer(&group.scope, &lookup) {
        Some(Found::Image { id, name, root_device, .. }) => (id.clone(), name.clone(), root_device.clone()),
        Some(Found::Nothing(says)) => return Err(placed("image", says)),
        Some(Found::Subnets(_) | Found::SecurityGroups(_)) | None => match &group.image {
            Image::Id(id) => return Err(format!("image {id} {}", unanswered(&group.scope))),
            Image::Ssm(p) => return Err(format!("the image in SSM parameter {p} {}", unanswered(&group.scope))),
            Image::Newest { owner, name } => {
                return Err(format!("image `{name}` of {owner} {}", unanswered(&group.scope)));
            }
        },
    };
    fields.insert("image".into(), image.into());
    let places = places(&group.scope, &group.spread, seen).map_err(|says| placed(key_of(&group.spread), &says))?;
    let vpc = vpc_of(&group.scope, &group.spread, seen);
    let mut ids = Vec::new();
    for wanted in &group.security_groups {
        if wanted.starts_with("sg-") {
            ids.push(wanted.clone());
            continue;
        }
        match seen.answer(&group.scope, &Lookup::SecurityGroup(wanted.clone())) {
            Some(Found::SecurityGroups(all)) => {
                let fits: Vec<_> = all.iter().filter(|(v, _)| vpc.as_ref().is_none_or(|w| w == v)).collect();
                match fits.as_slice() {
                    [(_, id)] => ids.push(id.clone()),
                    [] => {
                        let says = format!("security group `{wanted}` is not in the VPC of the subnets");
                        return Err(placed("security-groups", &says));
                    }
                    _ => {
                        let says = format!("security group `{wanted}` exists in several VPCs; give its id");
                        return Err(placed("security-groups", &says));
                    }
                }
            }
            Some(Found::Nothing(says)) => return Err(placed("security-groups", says)),
            Some(Found::Image { .. } | Found::Subnets(_)) | None => {
                return Err(format!("security group `{wanted}` {}", unanswered(&group.scope)));
            }
        }
    }
    fields.insert("security-groups".into(), if ids.is_empty() { Value::Null } else { Value::set(ids) });
    Ok(MachineSpec { fields, places, root_device, image_name })
}

/// What is said of a lookup without an answer in a scope, last: the world was not heard, so the file may well be right.
pub fn unanswered(scope: &str) -> String {
    let table = if scope.is_empty() { String::new() } else { format!(" by [aws.{scope}]") };
    format!("could not be looked up{table}")
}

/// Fields of a machine that only a lookup can tell.
pub const LOOKED_UP: &[&str] = &["image", "security-groups"];

/// The fields of a machine group that need no lookup: all of [`machines`]' but [`LOOKED_UP`].
pub fn without_lookups(desired: &Desired, name: &str, group: &MachineGroup) -> Fields {
    let mut fields = Fields::new();
    fields.insert("type".into(), Value::List(group.types.iter().map(|t| t.clone().into()).collect()));
    fields.insert("key".into(), group.key.clone().into());
    fields.insert("instance-profile".into(), group.instance_profile.clone().into());
    fields.insert("root-size".into(), group.root.size.into());
    fields.insert("root-type".into(), group.root.volume_type.clone().into());
    fields.insert("root-iops".into(), group.root.iops.into());
    fields.insert("root-throughput".into(), group.root.throughput.into());
    fields.insert("root-encrypted".into(), group.root.encrypted.into());
    fields.insert("root-kms-key".into(), group.root.kms_key.clone().into());
    fields.insert("disks".into(), disks(&group.disks));
    fields.insert("tags".into(), tags(&desired.stack.name, name, &group.tags));
    fields.insert("public-ip".into(), group.public_ip.into());
    fields.insert(
        "metadata".into(),
        Value::Map(BTreeMap::from([
            ("tokens-required".into(), group.metadata.tokens_required.into()),
            ("hop-limit".into(), group.metadata.hop_limit.into()),
            ("enabled".into(), group.metadata.enabled.into()),
        ])),
    );
    fields.insert("monitoring".into(), group.monitoring.into());
    // Only a wish for protection is a wish: what `evenkeel protect` put on by hand stays.
    fields.insert("protect".into(), group.protect.then_some(true).into());
    fields.insert("market".into(), if group.spot { "spot" } else { "on-demand" }.into());
    fields.insert("tenancy".into(), group.tenancy.clone().into());
    fields.insert("placement-group".into(), group.placement_group.clone().into());
    fields
}

/// The fields of every volume of a group; `zone` is placement.
pub fn volumes(desired: &Desired, name: &str, group: &VolumeGroup) -> Fields {
    Fields::from([
        ("size".into(), group.size.into()),
        ("type".into(), group.volume_type.clone().into()),
        ("iops".into(), group.iops.into()),
        ("throughput".into(), group.throughput.into()),
        ("encrypted".into(), group.encrypted.into()),
        ("kms-key".into(), group.kms_key.clone().into()),
        ("from-snapshot".into(), group.from_snapshot.clone().into()),
        ("device".into(), group.device.clone().into()),
        ("tags".into(), tags(&desired.stack.name, name, &group.tags)),
        ("protect".into(), group.protect.then_some(true).into()),
    ])
}

/// The boot script of one slot in one zone; `None` where the group has none.
///
/// # Errors
/// The template's error, in words.
pub fn script(stack_id: &str, group: &MachineGroup, slot: u32, zone: &str) -> Result<Option<Script>, String> {
    let Some(data) = &group.user_data else { return Ok(None) };
    let bytes = render_user_data(data, slot, zone)?;
    Ok(Some(Script { digest: Digest::keyed(stack_id.as_bytes(), &bytes), bytes }))
}

/// Where a spread allows replicas.
///
/// # Errors
/// When there is no zone at all, or the subnets could not be looked up.
pub fn places(scope: &str, spread: &Spread, seen: &Observed) -> Result<Vec<Place>, String> {
    let zones = || seen.scopes.get(scope).map(|s| &s.zones);
    let list: Vec<Place> = match spread {
        Spread::Anywhere => {
            let zones = zones().into_iter().flatten().filter(|(_, up)| **up);
            zones.map(|(z, _)| Place { zone: z.clone(), subnet: None }).collect()
        }
        Spread::Zones(list) => {
            if let Some(known) = zones().filter(|z| !z.is_empty())
                && let Some(bad) = list.iter().find(|z| !known.contains_key(*z))
            {
                let all: Vec<_> = known.keys().map(String::as_str).collect();
                return Err(format!("there is no zone {bad} here; there are {}", all.join(", ")));
            }
            list.iter().map(|z| Place { zone: z.clone(), subnet: None }).collect()
        }
        Spread::Subnets(_) | Spread::SubnetsTagged(..) => match seen.answer(scope, &Lookup::Subnets(spread.clone())) {
            Some(Found::Subnets(all)) => {
                all.iter().map(|s| Place { zone: s.zone.clone(), subnet: Some(s.id.clone()) }).collect()
            }
            Some(Found::Nothing(says)) => return Err(says.clone()),
            Some(Found::Image { .. } | Found::SecurityGroups(_)) | None => {
                return Err(format!("the subnets {}", unanswered(scope)));
            }
        },
    };
    if list.is_empty() { Err("no zone or subnet is left to place it in".into()) } else { Ok(list) }
}

/// The key that a spread was written with.
pub fn key_of(spread: &Spread) -> &'static str {
    match spread {
        Spread::Anywhere | Spread::Zones(_) => "zones",
        Spread::Subnets(_) | Spread::SubnetsTagged(..) => "subnets",
    }
}

fn vpc_of(scope: &str, spread: &Spread, seen: &Observed) -> Option<String> {
    match seen.answer(scope, &Lookup::Subnets(spread.clone())) {
        Some(Found::Subnets(all)) => all.first().map(|s| s.vpc.clone()),
        Some(Found::Image { .. } | Found::SecurityGroups(_) | Found::Nothing(_)) | None => None,
    }
}

fn disks(all: &BTreeMap<String, Disk>) -> Value {
    let one = |d: &Disk| {
        let fields = [
            ("size", Value::from(d.size)),
            ("type", d.volume_type.clone().into()),
            ("iops", d.iops.into()),
            ("throughput", d.throughput.into()),
            ("encrypted", d.encrypted.into()),
            ("kms-key", d.kms_key.clone().into()),
        ];
        let set = fields.into_iter().filter(|(_, v)| !v.is_nothing());
        Value::Map(set.map(|(k, v)| (k.to_owned(), v)).collect())
    };
    if all.is_empty() {
        return Value::Null;
    }
    Value::Map(all.iter().map(|(device, d)| (device.clone(), one(d))).collect())
}

fn tags(stack: &str, group: &str, user: &BTreeMap<String, String>) -> Value {
    let mut all: BTreeMap<String, Value> = user.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
    all.entry(tag::NAME.into()).or_insert_with(|| format!("{stack}/{group}").into());
    Value::Map(all)
}

/// A table of texts as tags; what is no text is left out.
pub(crate) fn texts(tags: Option<&Value>) -> BTreeMap<String, String> {
    match tags {
        Some(Value::Map(m)) => m.iter().filter_map(|(k, v)| Some((k.clone(), v.text()?.to_owned()))).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_)) | None => BTreeMap::new(),
    }
}
