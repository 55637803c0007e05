//! Rehearsing: each of core's calls as the EC2 calls it would be made of, asked with `DryRun`.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::address::Kind;
use evenkeel_core::failure::Failure;
use evenkeel_core::launch::Place;
use evenkeel_core::observed::Subnet;
use evenkeel_core::plan::{Call, Target};
use evenkeel_core::rehearsal::Limit;
use evenkeel_core::stamp::tag;
use evenkeel_engine::provider::{Payloads, Rehearsed};

use crate::api::{Ec2, Filter, Query, Rehearsal, Tags};
use crate::kinds::{machine, volume, wrong};
use crate::limits;
use crate::pages::walk;
use crate::perform::Ec2Provider;

impl<E: Ec2 + ?Sized + 'static> Ec2Provider<E> {
    /// Tries a call out, every part of it whatever was said to the others; of a launch it also looks at the subnet.
    pub(crate) async fn rehearses(&self, call: &Call, payloads: &Payloads) -> Rehearsed {
        let mut done = Rehearsed::default();
        let all = match parts(call, payloads) {
            Ok(all) => all,
            Err(failure) => return Rehearsed { asked: true, refused: vec![failure], room: None },
        };
        for one in all {
            done.asked = true;
            let answer = self.acts(one.action(), || self.ec2().rehearse(&one)).await;
            done.refused.extend(answer.err().filter(|failure| !done.refused.contains(failure)));
        }
        if let Call::Launch(l) = call
            && let Some(place) = l.places.first()
        {
            done.room = self.room(place).await;
        }
        done
    }

    /// The subnet behind a place; `None` where it cannot be seen, which is no reason why the launch should fail.
    async fn room(&self, place: &Place) -> Option<Subnet> {
        let filters = match &place.subnet {
            Some(id) => vec![Filter::new("subnet-id", id)],
            None => vec![Filter::new("default-for-az", "true"), Filter::new("availability-zone", &place.zone)],
        };
        let query = Query { filters, ..Query::default() };
        let list = self.acts("DescribeSubnets", || self.ec2().subnets(&query)).await.ok()?;
        let first = list.items.into_iter().next()?;
        Some(Subnet { id: first.id, zone: first.zone, vpc: first.vpc, free: first.free })
    }
}

/// The limits on vCPUs of the standard families, and what they are of: Service Quotas, service `ec2`, "Running On-Demand
/// Standard (A, C, D, H, I, M, R, T, Z) instances" and "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance
/// Requests".
const ON_DEMAND: &str = "L-1216C47A";
const SPOT: &str = "L-34B43A08";
const STANDARD: [&str; 11] = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];

/// Whether a type is of a standard family: `t3.small` is, `inf1.xlarge` and `u-6tb1.metal` are not.
fn is_standard(instance_type: &str) -> bool {
    let letters = instance_type.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
    STANDARD.contains(&letters) && !instance_type.starts_with(&format!("{letters}-"))
}

impl<E: Ec2 + ?Sized + 'static> Ec2Provider<E> {
    /// The limit on the standard ones of these types. What is used of it is counted over the whole account, with each
    /// type's own number of vCPUs.
    pub(crate) async fn limits(&self, types: &BTreeSet<String>, spot: bool) -> Result<Option<Limit>, Failure> {
        let held: BTreeSet<&String> = types.iter().filter(|t| is_standard(t)).collect();
        if held.is_empty() {
            return Ok(None);
        }
        let code = if spot { SPOT } else { ON_DEMAND };
        let most = self.acts("GetServiceQuota", || self.ec2().quota(code)).await?;
        let states = Filter { name: "instance-state-name".into(), values: vec!["pending".into(), "running".into()] };
        let up = Query { filters: vec![states], ..Query::default() };
        let action = "DescribeInstances";
        let list = async |query: Query| self.acts(action, || self.ec2().instances(&query)).await;
        let mut there: BTreeMap<String, u32> = BTreeMap::new();
        for one in walk(action, up, list).await.whole()? {
            if one.spot == spot && is_standard(&one.instance_type) {
                *there.entry(one.instance_type).or_default() += 1;
            }
        }
        let asked: Vec<String> =
            held.iter().copied().chain(there.keys()).cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let mut sizes = BTreeMap::new();
        for some in asked.chunks(limits::TYPES) {
            sizes.extend(self.acts("DescribeInstanceTypes", || self.ec2().vcpus(some)).await?);
        }
        let size = |t: &String| sizes.get(t).copied().unwrap_or_default();
        let used = there.iter().fold(0u32, |sum, (t, n)| sum.saturating_add(size(t).saturating_mul(*n)));
        let each = held.into_iter().filter_map(|t| Some((t.clone(), *sizes.get(t)?))).collect();
        // Quotas are whole numbers of vCPUs that a float holds exactly.
        Ok(Some(Limit { quota: code.to_owned(), most: most.max(0.0) as u32, used, each }))
    }
}

/// The wire calls of one of core's.
fn parts(call: &Call, payloads: &Payloads) -> Result<Vec<Rehearsal>, Failure> {
    let batches = |ids: &[String], of: fn(Vec<String>) -> Rehearsal| {
        ids.chunks(limits::IDS).map(|ids| of(ids.to_vec())).collect::<Vec<_>>()
    };
    Ok(match call {
        Call::Launch(l) => {
            let ([place], [instance_type]) = (l.places.as_slice(), l.types.as_slice()) else {
                return Err(wrong(format!("{}: a launch goes to one place with one type", l.group)));
            };
            let script = l.user_data.as_ref().and_then(|digest| payloads.get(digest).cloned());
            vec![Rehearsal::Run(Box::new(machine::run(l, place, instance_type, script)?))]
        }
        Call::CreateVolume(v) => vec![Rehearsal::CreateVolume(Box::new(volume::create(v)?))],
        Call::Terminate(ids) => batches(ids, Rehearsal::Terminate),
        Call::Stop(ids) => batches(ids, Rehearsal::Stop),
        Call::Start(ids) => batches(ids, Rehearsal::Start),
        Call::Tag { ids, set, unset } => tags(ids, set, unset),
        Call::Change { id, kind, fields, links } => match kind {
            Kind::Machines => {
                let changes = machine::changes(fields, links)?;
                let mut all: Vec<_> =
                    changes.instance.into_iter().map(|c| Rehearsal::ChangeInstance(id.clone(), c)).collect();
                all.extend(changes.volumes.into_iter().map(|(id, change)| Rehearsal::ModifyVolume(id, change)));
                all.extend(protection(id, changes.protect));
                all
            }
            Kind::Volumes => {
                let (change, protect) = volume::changes(fields)?;
                let mut all: Vec<_> = change.map(|c| Rehearsal::ModifyVolume(id.clone(), c)).into_iter().collect();
                all.extend(protection(id, protect));
                all
            }
            Kind::Workloads | Kind::Manifests => Vec::new(),
        },
        Call::Attach { volume: Target::Id(volume), machine: Target::Id(machine), device } => {
            vec![Rehearsal::Attach(volume.clone(), machine.clone(), device.clone())]
        }
        Call::Detach { volume, machine, device } => {
            vec![Rehearsal::Detach(volume.clone(), machine.clone(), device.clone())]
        }
        Call::DeleteVolume(id) => vec![Rehearsal::DeleteVolume(id.clone())],
        Call::Attach { .. } | Call::Object(_) => Vec::new(),
    })
}

fn tags(ids: &[String], set: &BTreeMap<String, String>, unset: &[String]) -> Vec<Rehearsal> {
    let mut all = Vec::new();
    for ids in ids.chunks(limits::IDS) {
        if !set.is_empty() {
            all.push(Rehearsal::SetTags(ids.to_vec(), set.clone()));
        }
        if !unset.is_empty() {
            all.push(Rehearsal::UnsetTags(ids.to_vec(), unset.to_vec()));
        }
    }
    all
}

/// The mark of protection.
fn protection(id: &str, wanted: Option<bool>) -> Option<Rehearsal> {
    let ids = vec![id.to_owned()];
    Some(match wanted? {
        true => Rehearsal::SetTags(ids, Tags::from([(tag::PROTECT.into(), "true".into())])),
        false => Rehearsal::UnsetTags(ids, vec![tag::PROTECT.into()]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_their_letters() {
        for (name, standard) in [
            ("t3.small", true),
            ("c6gn.large", true),
            ("im4gn.large", true),
            ("is4gen.large", true),
            ("z1d.large", true),
            ("inf1.xlarge", false),
            ("dl1.24xlarge", false),
            ("hpc7a.12xlarge", false),
            ("mac2.metal", false),
            ("trn1.2xlarge", false),
            ("p5.48xlarge", false),
            ("u-6tb1.metal", false),
            ("x2idn.large", false),
            ("", false),
        ] {
            assert_eq!(is_standard(name), standard, "{name}");
        }
    }
}
