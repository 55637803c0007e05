//! `RunInstances`: the largest request, read part by part.

use data_encoding::BASE64;
use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{BlockDevice, Instance, Metadata, RunInstances};
use evenkeel_sim::request::{Done, Request};

use super::attributes::{Switches, profile_of};
use super::instances::reservation;
use super::{Call, tags};
use crate::form::{Form, refuse};

impl Call<'_> {
    pub(super) async fn run(&self, mut form: Form) -> Result<String, Failure> {
        let (least, launch) = read(&mut form)?;
        form.end()?;
        let request = Request::RunBetween { least, launch: Box::new(launch) };
        let shown = self.wire.change(&request, |world, done| {
            let made = if let Done::Launched(made) = done { made } else { Vec::new() };
            let id = made.first().map(|i| i.reservation.clone()).unwrap_or_default();
            let made: Vec<&Instance> = made.iter().collect();
            self.body(|x| reservation(x, world, &id, &made))
        });
        shown.await
    }
}

/// MinCount, and the launch with MaxCount as its count.
fn read(form: &mut Form) -> Result<(u32, RunInstances), Failure> {
    let count = |form: &mut Form, name: &str| match form.parsed::<u32>(name)? {
        Some(n) => Ok(n),
        None => refuse("MissingParameter", format!("The request must contain the parameter {name}")),
    };
    let (least, most) = (count(form, "MinCount")?, count(form, "MaxCount")?);
    let mut placement = form.part("Placement");
    let (zone, tenancy) = (placement.take("AvailabilityZone"), placement.take("Tenancy"));
    let placement_group = placement.take("GroupName").filter(|name| !name.is_empty());
    placement.end()?;
    let mut monitoring = form.part("Monitoring");
    let monitored = monitoring.flag("Enabled")?;
    monitoring.end()?;
    let [tags, volume_tags] = tags::specified(form, ["instance", "volume"])?;
    let mut subnet = form.take("SubnetId");
    let mut security_groups = form.list("SecurityGroupId");
    let mut public_ip = None;
    if let Some(mut interface) = interface(form)? {
        let both = (subnet.is_some(), !security_groups.is_empty());
        let (of_interface, groups) = (interface.take("SubnetId"), interface.list("SecurityGroupId"));
        public_ip = interface.parsed("AssociatePublicIpAddress")?;
        interface.end()?;
        if both.0 || both.1 {
            return refuse(
                "InvalidParameterCombination",
                "Network interfaces and an instance-level subnet ID or security groups may not be specified on the \
                 same request",
            );
        }
        (subnet, security_groups) = (of_interface, groups);
    }
    let launch = RunInstances {
        client_token: form.take("ClientToken").unwrap_or_default(),
        count: most,
        image: form.need("ImageId")?,
        // EC2's default when none is named.
        instance_type: form.take("InstanceType").unwrap_or_else(|| "m1.small".to_owned()),
        zone,
        subnet,
        security_groups,
        key: form.take("KeyName"),
        instance_profile: profile_of(form, "IamInstanceProfile")?,
        user_data: form.take("UserData").map(|text| user_data(&text)).transpose()?,
        disks: form.parts("BlockDeviceMapping").into_iter().map(disk).collect::<Result<_, _>>()?,
        public_ip,
        metadata: metadata(form)?,
        monitoring: monitored,
        protect: form.flag("DisableApiTermination")?,
        spot: spot(form)?,
        tenancy,
        placement_group,
        tags,
        volume_tags,
    };
    Ok((least, launch))
}

/// The one network interface that can be asked for.
fn interface(form: &mut Form) -> Result<Option<Form>, Failure> {
    let mut interfaces = form.parts("NetworkInterface");
    let Some(mut first) = interfaces.pop() else { return Ok(None) };
    if !interfaces.is_empty() || first.parsed::<u32>("DeviceIndex")? != Some(0) {
        return refuse("InvalidParameterValue", "Here an instance has one network interface, with DeviceIndex 0.");
    }
    Ok(Some(first))
}

fn user_data(text: &str) -> Result<Vec<u8>, Failure> {
    match BASE64.decode(text.as_bytes()) {
        Ok(bytes) => Ok(bytes),
        Err(_) => refuse("InvalidParameterValue", "Invalid BASE64 encoding of user data."),
    }
}

fn metadata(form: &mut Form) -> Result<Metadata, Failure> {
    let mut options = form.part("MetadataOptions");
    let wanted = Switches::read(&mut options)?;
    options.end()?;
    let default = Metadata::default();
    Ok(Metadata {
        tokens_required: wanted.tokens_required.unwrap_or(default.tokens_required),
        hop_limit: wanted.hop_limit.unwrap_or(default.hop_limit),
        enabled: wanted.enabled.unwrap_or(default.enabled),
    })
}

fn spot(form: &mut Form) -> Result<bool, Failure> {
    let mut market = form.part("InstanceMarketOptions");
    if market.is_empty() {
        return Ok(false);
    }
    let kind = market.need("MarketType")?;
    let mut options = market.part("SpotOptions");
    let one_time = options.take("SpotInstanceType").is_none_or(|kind| kind == "one-time");
    let ends = options.take("InstanceInterruptionBehavior").is_none_or(|kind| kind == "terminate");
    options.end()?;
    market.end()?;
    if kind != "spot" || !one_time || !ends {
        return refuse("InvalidParameterValue", "Here spot instances are one-time and end when they are interrupted.");
    }
    Ok(true)
}

fn disk(mut mapping: Form) -> Result<BlockDevice, Failure> {
    let device = mapping.need("DeviceName")?;
    let mut ebs = mapping.part("Ebs");
    if ebs.parsed("DeleteOnTermination")? == Some(false) {
        return refuse("InvalidBlockDeviceMapping", "Here the disks of a launch die with their instance.");
    }
    let disk = BlockDevice {
        device,
        size: ebs.parsed("VolumeSize")?,
        volume_type: ebs.take("VolumeType"),
        iops: ebs.parsed("Iops")?,
        throughput: ebs.parsed("Throughput")?,
        encrypted: ebs.parsed("Encrypted")?,
        kms_key: ebs.take("KmsKeyId"),
    };
    ebs.end()?;
    mapping.end()?;
    Ok(disk)
}
