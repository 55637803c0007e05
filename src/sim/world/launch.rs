//! `RunInstances`: all, or as many as there is room for, once a token, checked in the order in which EC2 would object.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use data_encoding::BASE64;
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::{BlockDevice, Instance, InstanceState, RunInstances};

use super::machines::{Impaired, check_metadata, public_address};
use super::tags::check_tags;
use super::volumes::Shape;
use super::{Disk, Hold, Machine, World, tokens};
use crate::clock::later;
use crate::laws;
use crate::refusal::{bad_value, invalid, not_found, quota};

/// Raw bytes: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html>
const MOST_USER_DATA: usize = 16 * 1024;

impl World {
    /// `RunInstances` as evenkeel makes it: all or none, never without a token.
    pub(crate) fn run_instances(&mut self, r: &RunInstances) -> Result<Vec<Instance>, Failure> {
        tokens::needed(&r.client_token)?;
        self.run_between(r, r.count)
    }

    /// `RunInstances` with `least` as MinCount: as many as there is room for, up to `r.count`, or none.
    pub(crate) fn run_between(&mut self, r: &RunInstances, least: u32) -> Result<Vec<Instance>, Failure> {
        if least > r.count {
            let (most, least) = (r.count, least);
            return bad_value(format!(
                "Value ({least}) for parameter minCount is invalid: more than maxCount ({most})."
            ));
        }
        if r.zone.is_some() && r.subnet.is_some() {
            return invalid("InvalidParameterCombination", "Give a zone or a subnet, not both.");
        }
        let named = match &r.subnet {
            Some(id) => Some(self.subnet(id)?.zone.clone()),
            None => r.zone.clone(),
        };
        let scope = tokens::scope(&r.client_token, named.as_deref())?;
        let digest = if least == r.count { Digest::of_json(r) } else { Digest::of_json(&(r, least)) };
        if let Some(made) = self.token_made(scope.as_deref(), &digest)? {
            return self.launched_before(&made);
        }
        let subnet = self.landing(r)?;
        let disks = self.check_launch(r, &subnet)?;
        let zone = self.subnet(&subnet)?.zone.clone();
        laws::before_launching(self, &zone);
        let addresses = self.places(r, least, &zone, &subnet)?;

        let reservation = self.fresh_id("r");
        let made: Vec<String> = addresses
            .into_iter()
            .enumerate()
            .map(|(index, ip)| self.add_machine(r, &subnet, &zone, &reservation, index as u32, ip, &disks))
            .collect();
        self.token_used(scope, digest, made.clone());
        Ok(self.show_all(&made))
    }

    /// The addresses of as many machines as there is room for. A quota counts for all that were asked for.
    fn places(&self, r: &RunInstances, least: u32, zone: &str, subnet: &str) -> Result<Vec<String>, Failure> {
        let fit = |count: u32| {
            self.has_room(zone, &r.instance_type, count)?;
            self.free_addresses(subnet, count as usize)
        };
        let refused = match fit(r.count) {
            Ok(addresses) => return Ok(addresses),
            Err(failure) if failure.class == Class::Capacity && least < r.count => failure,
            Err(failure) => return Err(failure),
        };
        // `found` fits and `too_many` does not.
        let (mut found, mut too_many) = (fit(least).map_err(|_| refused)?, r.count);
        while found.len() as u32 + 1 < too_many {
            let half = found.len() as u32 + (too_many - found.len() as u32) / 2;
            match fit(half) {
                Ok(more) => found = more,
                Err(_) => too_many = half,
            }
        }
        Ok(found)
    }

    /// The answer to a token that was used before.
    fn launched_before(&self, made: &[String]) -> Result<Vec<Instance>, Failure> {
        if made.iter().any(|id| self.instances.get(id).is_some_and(|m| !m.is_dead())) {
            // The dead of a half-dead batch are shown too, as they are, while EC2 still lists them.
            return Ok(self.show_all(made));
        }
        Err(Failure::new(
            Class::TokenSpent,
            "IdempotentInstanceTerminated",
            "The client token belongs to instances that have been terminated.",
        ))
    }

    fn show_all(&self, ids: &[String]) -> Vec<Instance> {
        let mut devices = self.devices();
        let show = |id: &String| {
            let m = self.instances.get(id)?;
            Some(self.show_machine(id, m, devices.remove(id.as_str()).unwrap_or_default()))
        };
        ids.iter().filter_map(show).collect()
    }

    /// The subnet it will stand in.
    fn landing(&self, r: &RunInstances) -> Result<String, Failure> {
        if let Some(id) = &r.subnet {
            return Ok(id.clone());
        }
        if let Some(zone) = &r.zone
            && !self.zones.contains_key(zone)
        {
            return bad_value(format!("Invalid availability zone: [{zone}]"));
        }
        let mut defaults = self.subnets.iter().filter(|(_, s)| s.default);
        let found = match &r.zone {
            Some(zone) => defaults.find(|(_, s)| s.zone == *zone),
            // EC2 chooses as it likes; here it likes the first that is not lost.
            None => defaults.find(|(_, s)| self.zones.get(&s.zone).is_some_and(|z| z.lost.is_none())),
        };
        match found {
            Some((id, _)) => Ok(id.clone()),
            None => invalid("MissingInput", "There is no default subnet in this zone; name a subnet."),
        }
    }

    /// Everything that can be wrong with a launch in itself; gives the disks of one machine, the root first.
    fn check_launch(&self, r: &RunInstances, subnet: &str) -> Result<Vec<(String, Shape)>, Failure> {
        if r.count == 0 {
            return bad_value("Value (0) for parameter minCount is invalid: at least 1.");
        }
        let image = match self.images.get(&r.image) {
            None => return not_found("InvalidAMIID.NotFound", format!("The image id '[{}]' does not exist", r.image)),
            Some(i) if !i.available => {
                return invalid("InvalidAMIID.Unavailable", format!("The image '[{}]' is not available", r.image));
            }
            Some(i) => i,
        };
        let Some(kind) = self.types.get(&r.instance_type) else {
            return bad_value(format!("Invalid value '{}' for InstanceType.", r.instance_type));
        };
        if kind.architecture != image.architecture {
            return bad_value(format!(
                "The architecture '{}' of '{}' does not match the architecture '{}' of the image.",
                kind.architecture, r.instance_type, image.architecture
            ));
        }
        if let Some(key) = &r.key
            && !self.keys.contains(key)
        {
            return not_found("InvalidKeyPair.NotFound", format!("The key pair '{key}' does not exist"));
        }
        if let Some(profile) = &r.instance_profile {
            self.profile(profile)?;
        }
        if let Some(group) = &r.placement_group
            && !self.placement_groups.contains(group)
        {
            return not_found("InvalidPlacementGroup.Unknown", format!("The Placement Group '{group}' is unknown."));
        }
        if let Some(tenancy) = r.tenancy.as_deref()
            && !["default", "dedicated", "host"].contains(&tenancy)
        {
            return bad_value(format!("Invalid value '{tenancy}' for tenancy."));
        }
        let vpc = self.subnet(subnet)?.vpc.clone();
        self.groups_of(&vpc, &r.security_groups)?;
        check_metadata(&r.metadata)?;
        check_tags(&r.tags, 0)?;
        check_tags(&r.volume_tags, 0)?;
        if r.user_data.as_ref().is_some_and(|d| d.len() > MOST_USER_DATA) {
            return bad_value(format!("User data is limited to {MOST_USER_DATA} bytes"));
        }
        let root = BlockDevice { device: image.root_device.clone(), ..BlockDevice::default() };
        let asked = r.disks.iter().find(|d| d.device == image.root_device).unwrap_or(&root);
        let mut disks = vec![(asked.device.clone(), self.disk_shape(asked, Some(image.root_size))?)];
        for d in r.disks.iter().filter(|d| d.device != image.root_device) {
            disks.push((d.device.clone(), self.disk_shape(d, None)?));
        }
        let mut names = BTreeSet::new();
        if let Some(d) = r.disks.iter().find(|d| !names.insert(&d.device)) {
            return invalid("InvalidBlockDeviceMapping", format!("Duplicate device name: {}", d.device));
        }
        self.volume_room(disks.len() as u64 * u64::from(r.count))?;
        Ok(disks)
    }

    fn disk_shape(&self, d: &BlockDevice, least: Option<u32>) -> Result<Shape, Failure> {
        if !is_device(&d.device) {
            return invalid("InvalidBlockDeviceMapping", format!("Invalid device name {}", d.device));
        }
        let Some(size) = d.size.or(least) else {
            return invalid("MissingParameter", format!("The device {} needs a size.", d.device));
        };
        if let Some(least) = least
            && size < least
        {
            return invalid(
                "InvalidBlockDeviceMapping",
                format!("Volume of size {size}GB is smaller than the image's snapshot, expect size >= {least}GB"),
            );
        }
        Shape {
            size,
            volume_type: d.volume_type.clone().unwrap_or_else(|| "gp3".to_owned()),
            iops: d.iops,
            throughput: d.throughput,
            encrypted: d.encrypted.unwrap_or(false),
            kms_key: d.kms_key.clone(),
        }
        .checked()
    }

    /// Whether the zone holds, and the account may have, so many more of this type.
    pub(crate) fn has_room(&self, zone: &str, instance_type: &str, count: u32) -> Result<(), Failure> {
        let vcpus = |t: &str| self.types.get(t).map_or(0, |t| u64::from(t.vcpus));
        let used: u64 = self.instances.values().filter(|m| m.is_up()).map(|m| vcpus(&m.instance_type)).sum();
        if used + vcpus(instance_type) * u64::from(count) > u64::from(self.limits.vcpus) {
            return quota(
                "VcpuLimitExceeded",
                format!("You have requested more vCPU capacity than your current limit of {}.", self.limits.vcpus),
            );
        }
        let state = self.zones.get(zone);
        let same = |m: &&Machine| m.zone == zone && m.instance_type == instance_type && m.is_up();
        let full = state.and_then(|z| z.capacity.get(instance_type)).is_some_and(|most| {
            self.instances.values().filter(same).count() as u64 + u64::from(count) > u64::from(*most)
        });
        if full || state.is_none_or(|z| z.lost.is_some()) {
            return Err(Failure::new(
                Class::Capacity,
                "InsufficientInstanceCapacity",
                format!("We currently do not have sufficient {instance_type} capacity in {zone}."),
            ));
        }
        Ok(())
    }

    /// The first `count` free private addresses of the subnet.
    fn free_addresses(&self, subnet: &str, count: usize) -> Result<Vec<String>, Failure> {
        let taken: BTreeSet<&str> =
            self.instances.values().filter(|m| m.subnet == subnet).filter_map(|m| m.private_ip.as_deref()).collect();
        let all = self.subnets.get(subnet).and_then(|s| addresses(&s.cidr)).unwrap_or((0, 0));
        let free: Vec<String> = (all.0..all.1)
            .map(|n| Ipv4Addr::from(n).to_string())
            .filter(|ip| !taken.contains(ip.as_str()))
            .take(count)
            .collect();
        if free.len() < count {
            return Err(Failure::new(
                Class::Capacity,
                "InsufficientFreeAddressesInSubnet",
                format!("Not enough free addresses in subnet '{subnet}'."),
            ));
        }
        Ok(free)
    }

    #[allow(clippy::too_many_arguments, reason = "a launch is one call; its parts have no name of their own")]
    fn add_machine(
        &mut self,
        r: &RunInstances,
        subnet: &str,
        zone: &str,
        reservation: &str,
        launch_index: u32,
        private_ip: String,
        disks: &[(String, Shape)],
    ) -> String {
        let id = self.fresh_id("i");
        let here = self.subnets.get(subnet);
        let wants_public_ip = r.public_ip.unwrap_or_else(|| here.is_some_and(|s| s.public));
        let mut security_groups = r.security_groups.clone();
        if security_groups.is_empty() {
            let vpc = here.map(|s| s.vpc.as_str());
            let default =
                |(_, g): &(&String, &super::SecurityGroup)| g.name == "default" && Some(g.vpc.as_str()) == vpc;
            security_groups.extend(self.security_groups.iter().find(default).map(|(id, _)| id.clone()));
        }
        let visible = later(self.now, self.timing.hidden.draw(self.seed, "hidden", &id) + self.weather.hide);
        let runs = later(self.now, self.timing.boot.draw(self.seed, "boot", &id));
        let machine = Machine {
            state: InstanceState::Pending,
            until: Some(runs),
            reason: String::new(),
            instance_type: r.instance_type.clone(),
            image: r.image.clone(),
            zone: zone.to_owned(),
            subnet: subnet.to_owned(),
            security_groups,
            key: r.key.clone(),
            instance_profile: r.instance_profile.as_ref().map(|p| self.profile(p).unwrap_or_default()),
            token: r.client_token.clone(),
            reservation: reservation.to_owned(),
            launch_index,
            launched: self.now,
            visible,
            checks_pass: runs,
            private_ip: Some(private_ip),
            public_ip: wants_public_ip.then(|| public_address(&id)),
            wants_public_ip,
            monitoring: r.monitoring,
            protected: r.protect,
            spot: r.spot,
            tenancy: r.tenancy.clone().unwrap_or_else(|| "default".to_owned()),
            placement_group: r.placement_group.clone(),
            user_data: r.user_data.as_ref().map(|d| BASE64.encode(d)),
            flaps: None,
            metadata: r.metadata.clone(),
            impaired: Impaired::default(),
            events: Vec::new(),
            tags: r.tags.clone(),
        };
        self.instances.insert(id.clone(), machine);
        for (device, shape) in disks {
            let hold = Hold::attached(&id, device, true);
            let disk = Disk::born(shape, zone, self.now, visible, r.volume_tags.clone()).held(hold);
            self.add_volume(disk);
        }
        id
    }
}

/// The usable addresses of a block, from and up to, as numbers. AWS keeps the first four and the last.
pub(super) fn addresses(cidr: &str) -> Option<(u32, u32)> {
    let (ip, bits) = cidr.split_once('/')?;
    let bits: u32 = bits.parse().ok().filter(|b| (16..=28).contains(b))?;
    let size = 1u32 << (32 - bits);
    let first = u32::from(ip.parse::<Ipv4Addr>().ok()?) & !(size - 1);
    Some((first + 4, first + (size - 1)))
}

/// `/dev/sda1`, `/dev/xvdf` …: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html>
pub(super) fn is_device(name: &str) -> bool {
    let rest = name.strip_prefix("/dev/sd").or_else(|| name.strip_prefix("/dev/xvd"));
    rest.is_some_and(|r| {
        let letters = r.trim_end_matches(|c: char| c.is_ascii_digit());
        (1..=2).contains(&letters.len()) && letters.chars().all(|c| c.is_ascii_lowercase()) && r.len() <= 4
    })
}
