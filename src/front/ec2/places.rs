//! What stands there before any machine: zones, subnets, security groups, images.

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::Query;
use evenkeel_sim::World;

use super::{Call, next, tags};
use crate::form::{Form, refuse};
use crate::xml::millis;

/// `use1-az1`: AWS's short name of the region, and the zone's number.
pub(super) fn zone_id(world: &World, zone: &str) -> String {
    let mut parts = world.region.split('-');
    let mut short: String = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (head, tail) = match part {
            "northeast" => ("n", "e"),
            "southeast" => ("s", "e"),
            "northwest" => ("n", "w"),
            "southwest" => ("s", "w"),
            other => (other.get(..1).unwrap_or_default(), ""),
        };
        short.push_str(head);
        short.push_str(tail);
    }
    let number = world.zones.keys().position(|name| name == zone).map_or(0, |at| at + 1);
    format!("{short}-az{number}")
}

impl Call<'_> {
    pub(super) async fn zones(&self, mut form: Form) -> Result<String, Failure> {
        let names = form.list("ZoneName");
        form.flag("AllAvailabilityZones")?;
        form.end()?;
        let unknown = |world: &World| names.iter().find(|name| !world.zones.contains_key(*name)).cloned();
        let shown = self.wire.zones(|world, zones| {
            if let Some(name) = unknown(world) {
                return refuse("InvalidParameterValue", format!("Invalid availability zone: [{name}]"));
            }
            let wanted = zones.iter().filter(|zone| names.is_empty() || names.contains(&zone.name));
            Ok(self.body(|x| {
                x.list("availabilityZoneInfo", wanted, |x, zone| {
                    x.text("optInStatus", "opt-in-not-required");
                    x.list("messageSet", None::<()>, |_, ()| {});
                    x.text("regionName", &world.region);
                    x.text("zoneName", &zone.name);
                    x.text("zoneId", zone_id(world, &zone.name));
                    x.text("groupName", format!("{}-zg-1", world.region));
                    x.text("networkBorderGroup", &world.region);
                    x.text("zoneType", "availability-zone");
                    x.text("zoneState", if zone.available { "available" } else { "unavailable" });
                });
            }))
        });
        shown.await?
    }

    pub(super) async fn subnets(&self, mut form: Form) -> Result<String, Failure> {
        let query = form.query("SubnetId")?;
        form.end()?;
        let shown = self.wire.subnets(&query, |world, page| {
            self.body(|x| {
                x.list("subnetSet", &page.items, |x, subnet| {
                    let kept = world.subnets.get(&subnet.id);
                    x.text("subnetId", &subnet.id);
                    x.text("subnetArn", format!("arn:aws:ec2:{}:{}:subnet/{}", world.region, world.account, subnet.id));
                    x.text("state", "available");
                    x.text("ownerId", &world.account);
                    x.text("vpcId", &subnet.vpc);
                    x.some("cidrBlock", kept.map(|s| &s.cidr));
                    x.list("ipv6CidrBlockAssociationSet", None::<()>, |_, ()| {});
                    x.text("assignIpv6AddressOnCreation", false);
                    x.text("availableIpAddressCount", subnet.free);
                    x.text("availabilityZone", &subnet.zone);
                    x.text("availabilityZoneId", zone_id(world, &subnet.zone));
                    x.text("defaultForAz", subnet.default_for_zone);
                    x.text("mapPublicIpOnLaunch", kept.is_some_and(|s| s.public));
                    tags::set(x, &subnet.tags);
                });
                next(x, page.next_token.as_ref());
            })
        });
        shown.await
    }

    /// Named ones only: the list of all types is paged, and nobody here asks for it.
    pub(super) async fn types(&self, mut form: Form) -> Result<String, Failure> {
        let names = form.list("InstanceType");
        form.end()?;
        if names.is_empty() {
            return refuse("MissingParameter", "The request must contain the parameter InstanceType");
        }
        let shown = self.wire.types(&names, |types| {
            self.body(|x| {
                x.list("instanceTypeSet", types, |x, (name, of)| {
                    x.text("instanceType", name);
                    x.text("currentGeneration", true);
                    x.element("processorInfo", |x| {
                        x.list("supportedArchitectures", [&of.architecture], |x, one| x.value(one));
                    });
                    x.element("vCpuInfo", |x| x.text("defaultVCpus", of.vcpus));
                    x.element("memoryInfo", |x| x.text("sizeInMiB", of.memory * 1024.0));
                });
            })
        });
        shown.await
    }

    pub(super) async fn security_groups(&self, mut form: Form) -> Result<String, Failure> {
        let query = form.query("GroupId")?;
        form.end()?;
        let shown = self.wire.security_groups(&query, |world, page| {
            self.body(|x| {
                x.list("securityGroupInfo", &page.items, |x, group| {
                    x.text("ownerId", &world.account);
                    x.text("groupId", &group.id);
                    x.text("groupName", &group.name);
                    x.text("groupDescription", &group.name);
                    x.filled("vpcId", &group.vpc);
                    x.list("ipPermissions", None::<()>, |_, ()| {});
                    // What every group has when it is made: everything may go out.
                    x.list("ipPermissionsEgress", [()], |x, ()| {
                        x.text("ipProtocol", "-1");
                        x.list("groups", None::<()>, |_, ()| {});
                        x.list("ipRanges", [()], |x, ()| x.text("cidrIp", "0.0.0.0/0"));
                        x.list("ipv6Ranges", None::<()>, |_, ()| {});
                        x.list("prefixListIds", None::<()>, |_, ()| {});
                    });
                    if let Some(kept) = world.security_groups.get(&group.id) {
                        tags::set(x, &kept.tags);
                    }
                });
                next(x, page.next_token.as_ref());
            })
        });
        shown.await
    }

    pub(super) async fn images(&self, mut form: Form) -> Result<String, Failure> {
        let owners = form.list("Owner");
        let query: Query = form.query("ImageId")?;
        form.end()?;
        let shown = self.wire.images(&owners, &query, |world, page| {
            self.body(|x| {
                x.list("imagesSet", &page.items, |x, image| {
                    let kept = world.images.get(&image.id);
                    x.text("imageId", &image.id);
                    let alias = kept.and_then(|i| i.alias.as_ref());
                    x.text("imageLocation", format!("{}/{}", alias.unwrap_or(&image.owner), image.name));
                    x.text("imageState", if image.available { "available" } else { "deregistered" });
                    x.text("imageOwnerId", &image.owner);
                    x.some("creationDate", image.created.map(millis));
                    x.text("isPublic", true);
                    x.text("architecture", &image.architecture);
                    x.text("imageType", "machine");
                    x.some("imageOwnerAlias", alias);
                    x.text("name", &image.name);
                    x.text("rootDeviceType", "ebs");
                    x.some("rootDeviceName", image.root_device.as_ref());
                    x.list("blockDeviceMapping", kept, |x, kept| {
                        x.text("deviceName", &kept.root_device);
                        x.element("ebs", |x| {
                            x.text("volumeSize", kept.root_size);
                            x.text("deleteOnTermination", true);
                            x.text("volumeType", "gp3");
                            x.text("encrypted", false);
                        });
                    });
                    x.text("virtualizationType", "hvm");
                    x.text("hypervisor", "xen");
                    x.text("enaSupport", true);
                    x.text("platformDetails", "Linux/UNIX");
                    x.text("usageOperation", "RunInstances");
                    if let Some(kept) = kept {
                        tags::set(x, &kept.tags);
                    }
                });
                next(x, page.next_token.as_ref());
            })
        });
        shown.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_the_ids_that_aws_gives_them() {
        for (region, zone, id) in [
            ("us-east-1", "us-east-1a", "use1-az1"),
            ("eu-central-1", "eu-central-1c", "euc1-az3"),
            ("ap-southeast-2", "ap-southeast-2b", "apse2-az2"),
        ] {
            assert_eq!(zone_id(&World::founding_in(region, 1), zone), id);
        }
    }
}
