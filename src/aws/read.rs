//! The reading half: one list call a page, filters and pages as they were asked for.
//!
//! It never follows a page by itself and never leaves anything out of a page.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_ec2::types::{self as sdk, InstanceAttributeName, InstanceType, InstanceTypeInfo};
use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{
    Caller, Ec2Read, HeldProfile, Image, Instance, InstanceStatus, Page, Query, SecurityGroup, Subnet, Volume, Zone,
};

use crate::client::AwsEc2;
use crate::convert::{self, Reading, listed, page, sdk_filters};
use crate::errors::failure;

#[async_trait]
impl Ec2Read for AwsEc2 {
    async fn caller(&self) -> Result<Caller, Failure> {
        let action = "GetCallerIdentity";
        let answer = self.sts.get_caller_identity().send().await.map_err(|e| failure(action, &e))?;
        let at = Reading::new(action);
        Ok(Caller {
            account: at.need(answer.account, "Account")?,
            arn: at.need(answer.arn, "Arn")?,
            region: self.region.clone(),
        })
    }

    async fn zones(&self) -> Result<Vec<Zone>, Failure> {
        let action = "DescribeAvailabilityZones";
        let answer = self.ec2.describe_availability_zones().send().await.map_err(|e| failure(action, &e))?;
        answer
            .availability_zones()
            .iter()
            // Local and Wavelength zones are listed too once the account has opted in.
            .filter(|zone| zone.zone_type().is_none_or(|kind| kind == "availability-zone"))
            .map(|zone| convert::zone(Reading::new(action), zone))
            .collect()
    }

    async fn instances(&self, query: &Query) -> Result<Page<Instance>, Failure> {
        let action = "DescribeInstances";
        let answer = self
            .ec2
            .describe_instances()
            .set_instance_ids(listed(&query.ids))
            .set_filters(sdk_filters(&query.filters))
            .set_max_results(query.max_results)
            .set_next_token(query.next_token.clone())
            .send()
            .await
            .map_err(|e| failure(action, &e))?;
        let at = Reading::new(action);
        let (mut items, mut tags) = (Vec::new(), convert::TagSets::default());
        for reservation in answer.reservations() {
            let id = at.need(reservation.reservation_id(), "reservationId")?;
            for instance in reservation.instances() {
                items.push(convert::instance(at, id, instance, &mut tags)?);
            }
        }
        Ok(Page { items, next_token: answer.next_token.filter(|token| !token.is_empty()) })
    }

    async fn statuses(&self, query: &Query) -> Result<Page<InstanceStatus>, Failure> {
        let action = "DescribeInstanceStatus";
        let answer = self
            .ec2
            .describe_instance_status()
            .include_all_instances(true)
            .set_instance_ids(listed(&query.ids))
            .set_filters(sdk_filters(&query.filters))
            .set_max_results(query.max_results)
            .set_next_token(query.next_token.clone())
            .send()
            .await
            .map_err(|e| failure(action, &e))?;
        page(answer.instance_statuses(), answer.next_token(), |one| convert::status(Reading::new(action), one))
    }

    async fn volumes(&self, query: &Query) -> Result<Page<Volume>, Failure> {
        let action = "DescribeVolumes";
        let answer = self
            .ec2
            .describe_volumes()
            .set_volume_ids(listed(&query.ids))
            .set_filters(sdk_filters(&query.filters))
            .set_max_results(query.max_results)
            .set_next_token(query.next_token.clone())
            .send()
            .await
            .map_err(|e| failure(action, &e))?;
        let mut tags = convert::TagSets::default();
        page(answer.volumes(), answer.next_token(), |one| convert::volume(Reading::new(action), one, &mut tags))
    }

    async fn images(&self, owners: &[String], query: &Query) -> Result<Page<Image>, Failure> {
        let action = "DescribeImages";
        let answer = self
            .ec2
            .describe_images()
            .set_owners(listed(owners))
            .set_image_ids(listed(&query.ids))
            .set_filters(sdk_filters(&query.filters))
            .set_max_results(query.max_results)
            .set_next_token(query.next_token.clone())
            .send()
            .await
            .map_err(|e| failure(action, &e))?;
        page(answer.images(), answer.next_token(), |one| convert::image(Reading::new(action), one))
    }

    async fn subnets(&self, query: &Query) -> Result<Page<Subnet>, Failure> {
        let action = "DescribeSubnets";
        let answer = self
            .ec2
            .describe_subnets()
            .set_subnet_ids(listed(&query.ids))
            .set_filters(sdk_filters(&query.filters))
            .set_max_results(query.max_results)
            .set_next_token(query.next_token.clone())
            .send()
            .await
            .map_err(|e| failure(action, &e))?;
        page(answer.subnets(), answer.next_token(), |one| convert::subnet(Reading::new(action), one))
    }

    async fn security_groups(&self, query: &Query) -> Result<Page<SecurityGroup>, Failure> {
        let action = "DescribeSecurityGroups";
        let answer = self
            .ec2
            .describe_security_groups()
            .set_group_ids(listed(&query.ids))
            .set_filters(sdk_filters(&query.filters))
            .set_max_results(query.max_results)
            .set_next_token(query.next_token.clone())
            .send()
            .await
            .map_err(|e| failure(action, &e))?;
        page(answer.security_groups(), answer.next_token(), |one| convert::security_group(Reading::new(action), one))
    }

    async fn parameter(&self, name: &str) -> Result<String, Failure> {
        let action = "GetParameter";
        let answer = self.ssm.get_parameter().name(name).send().await.map_err(|e| failure(action, &e))?;
        let parameter = answer.parameter.and_then(|parameter| parameter.value);
        Reading::new(action).need(parameter, "Parameter.Value")
    }

    async fn vcpus(&self, types: &[String]) -> Result<BTreeMap<String, u32>, Failure> {
        let action = "DescribeInstanceTypes";
        let types = types.iter().map(|name| InstanceType::from(name.as_str())).collect();
        let ask = self.ec2.describe_instance_types().set_instance_types(Some(types));
        let answer = ask.send().await.map_err(|e| failure(action, &e))?;
        let at = Reading::new(action);
        let one = |one: &InstanceTypeInfo| {
            let name = at.need(one.instance_type(), "instanceType")?.as_str().to_owned();
            let vcpus = at.need(one.v_cpu_info().and_then(|v| v.default_v_cpus()), "vCpuInfo.defaultVCpus")?;
            Ok((name, u32::try_from(vcpus).unwrap_or_default()))
        };
        answer.instance_types().iter().map(one).collect()
    }

    async fn quota(&self, code: &str) -> Result<f64, Failure> {
        let action = "GetServiceQuota";
        let ask = self.quotas.get_service_quota().service_code("ec2").quota_code(code);
        let answer = ask.send().await.map_err(|e| failure(action, &e))?;
        Reading::new(action).need(answer.quota.and_then(|quota| quota.value), "Quota.Value")
    }

    async fn user_data(&self, instance: &str) -> Result<Option<Vec<u8>>, Failure> {
        let action = "DescribeInstanceAttribute";
        let ask = self.ec2.describe_instance_attribute().instance_id(instance);
        let answer = ask.attribute(InstanceAttributeName::UserData).send().await.map_err(|e| failure(action, &e))?;
        let encoded = answer.user_data().and_then(|attribute| attribute.value());
        convert::user_data(Reading::new(action), encoded)
    }

    async fn protected(&self, instance: &str) -> Result<bool, Failure> {
        let action = "DescribeInstanceAttribute";
        let ask = self.ec2.describe_instance_attribute().instance_id(instance);
        let ask = ask.attribute(InstanceAttributeName::DisableApiTermination);
        let answer = ask.send().await.map_err(|e| failure(action, &e))?;
        let on = answer.disable_api_termination().and_then(|attribute| attribute.value());
        // Missing is not "unprotected".
        Reading::new(action).need(on, "disableApiTermination")
    }

    async fn held_profile(&self, instance: &str) -> Result<Option<HeldProfile>, Failure> {
        let action = "DescribeIamInstanceProfileAssociations";
        let of_one = sdk::Filter::builder().name("instance-id").values(instance).build();
        let held = sdk::Filter::builder().name("state").values("associating").values("associated").build();
        let ask = self.ec2.describe_iam_instance_profile_associations().filters(of_one).filters(held);
        let answer = ask.send().await.map_err(|e| failure(action, &e))?;
        let Some(one) = answer.iam_instance_profile_associations().first() else { return Ok(None) };
        let at = Reading::new(action);
        let profile = one.iam_instance_profile().and_then(sdk::IamInstanceProfile::arn);
        Ok(Some(HeldProfile {
            association: at.text(one.association_id(), "associationId")?,
            profile: at.text(profile, "iamInstanceProfile.arn")?,
        }))
    }
}
