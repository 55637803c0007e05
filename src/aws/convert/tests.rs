//! The SDK's types, made by their builders, read member by member.

use super::*;
use evenkeel_core::failure::Class;

fn time() -> DateTime {
    DateTime::from_secs(1_790_000_000)
}

fn builder() -> sdk::builders::InstanceBuilder {
    sdk::Instance::builder()
        .instance_id("i-1")
        .ami_launch_index(2)
        .client_token("token")
        .state(sdk::InstanceState::builder().name(sdk::InstanceStateName::Running).build())
        .image_id("ami-1")
        .instance_type(sdk::InstanceType::from("t3.small"))
        .placement(sdk::Placement::builder().availability_zone("us-east-1a").build())
        .launch_time(time())
}

fn read(from: sdk::Instance) -> Result<api::Instance, Failure> {
    instance(Reading::new("DescribeInstances"), "r-1", &from, &mut TagSets::default())
}

#[test]
fn an_instance_keeps_everything_we_ask_about() {
    let from = builder()
        .subnet_id("subnet-1")
        .vpc_id("vpc-1")
        .security_groups(sdk::GroupIdentifier::builder().group_id("sg-1").group_name("web").build())
        .key_name("ops")
        .iam_instance_profile(sdk::IamInstanceProfile::builder().arn("arn:aws:iam::1:instance-profile/p").build())
        .root_device_name("/dev/xvda")
        .block_device_mappings(
            sdk::InstanceBlockDeviceMapping::builder()
                .device_name("/dev/xvda")
                .ebs(sdk::EbsInstanceBlockDevice::builder().volume_id("vol-1").delete_on_termination(true).build())
                .build(),
        )
        .block_device_mappings(sdk::InstanceBlockDeviceMapping::builder().device_name("/dev/sdb").build())
        .private_ip_address("10.0.0.4")
        .public_ip_address("")
        .monitoring(sdk::Monitoring::builder().state(sdk::MonitoringState::Pending).build())
        .metadata_options(
            sdk::InstanceMetadataOptionsResponse::builder()
                .http_tokens(sdk::HttpTokensState::Required)
                .http_put_response_hop_limit(2)
                .http_endpoint(sdk::InstanceMetadataEndpointState::Enabled)
                .build(),
        )
        .instance_lifecycle(sdk::InstanceLifecycleType::Spot)
        .tags(sdk::Tag::builder().key("evenkeel:stack").value("s1").build())
        .tags(sdk::Tag::builder().key("flag").build())
        .build();
    let got = read(from).expect("a complete instance");
    let launched = Timestamp::from_second(1_790_000_000).expect("in range");
    let expected = api::Instance {
        id: "i-1".into(),
        reservation: "r-1".into(),
        launch_index: 2,
        client_token: "token".into(),
        state: api::InstanceState::Running,
        state_reason: String::new(),
        image: "ami-1".into(),
        instance_type: "t3.small".into(),
        zone: "us-east-1a".into(),
        subnet: "subnet-1".into(),
        vpc: "vpc-1".into(),
        security_groups: vec![("sg-1".into(), "web".into())],
        key: Some("ops".into()),
        instance_profile: Some("arn:aws:iam::1:instance-profile/p".into()),
        launched,
        root_device: Some("/dev/xvda".into()),
        devices: BTreeMap::from([(
            "/dev/xvda".to_owned(),
            api::DeviceMapping { volume: "vol-1".into(), delete_on_termination: true },
        )]),
        public_ip: None,
        private_ip: Some("10.0.0.4".into()),
        monitoring: true,
        metadata: api::Metadata { tokens_required: true, hop_limit: 2, enabled: true },
        spot: true,
        tenancy: "default".into(),
        placement_group: None,
        tags: api::Tags::from([("evenkeel:stack".into(), "s1".into()), ("flag".into(), String::new())]).into(),
    };
    assert_eq!(got, expected);
}

#[test]
fn a_terminated_instance_that_lost_its_network_is_still_read() {
    let reason = sdk::StateReason::builder().code("Client.UserInitiatedShutdown").build();
    let dead = sdk::InstanceState::builder().name(sdk::InstanceStateName::Terminated).build();
    let got = read(builder().state(dead).state_reason(reason).build()).expect("a terminated instance");
    assert_eq!(got.state, api::InstanceState::Terminated);
    assert_eq!(got.state_reason, "Client.UserInitiatedShutdown");
    assert!(got.vpc.is_empty() && got.security_groups.is_empty());
}

#[test]
fn a_missing_member_is_named_and_not_guessed() {
    let table: [(&str, sdk::Instance); 7] = [
        ("instanceId", builder().set_instance_id(None).build()),
        ("amiLaunchIndex", builder().set_ami_launch_index(None).build()),
        ("instanceState", builder().set_state(None).build()),
        ("imageId", builder().set_image_id(None).build()),
        ("instanceType", builder().set_instance_type(None).build()),
        ("placement", builder().set_placement(None).build()),
        ("launchTime", builder().set_launch_time(None).build()),
    ];
    for (member, from) in table {
        let refusal = read(from).expect_err(member);
        assert_eq!(refusal.class, Class::Invalid);
        assert!(refusal.says.contains(&format!("{member} is missing")), "{refusal}");
        assert!(refusal.says.starts_with("DescribeInstances: "), "{refusal}");
    }
}

#[test]
fn a_state_nobody_knows_is_refused_by_name() {
    let state = sdk::InstanceState::builder().name(sdk::InstanceStateName::from("hibernated")).build();
    let refusal = read(builder().state(state).build()).expect_err("an unknown state");
    assert!(refusal.says.contains("i-1: instanceState `hibernated` is unknown"), "{refusal}");
}

#[test]
fn numbers_and_times_out_of_range_are_refused() {
    let refusal = read(builder().ami_launch_index(-1).build()).expect_err("an index below zero");
    assert!(refusal.says.contains("amiLaunchIndex is -1"), "{refusal}");
    let refusal = read(builder().launch_time(DateTime::from_secs(i64::MAX)).build()).expect_err("a time beyond time");
    assert!(refusal.says.contains("launchTime is out of range"), "{refusal}");
}

#[test]
fn where_ec2_is_silent_about_metadata_its_own_default_is_told() {
    let got = read(builder().build()).expect("a minimal instance");
    assert_eq!(got.metadata, api::Metadata { tokens_required: false, hop_limit: 1, enabled: true });
}

#[test]
fn every_instance_state_has_its_twin() {
    for name in sdk::InstanceStateName::values() {
        let state = sdk::InstanceState::builder().name(sdk::InstanceStateName::from(*name)).build();
        read(builder().state(state).build()).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }
}

fn volume_builder() -> sdk::builders::VolumeBuilder {
    sdk::Volume::builder()
        .volume_id("vol-1")
        .state(sdk::VolumeState::InUse)
        .availability_zone("us-east-1a")
        .size(50)
        .volume_type(sdk::VolumeType::Gp3)
        .create_time(time())
}

fn read_volume(from: sdk::Volume) -> Result<api::Volume, Failure> {
    volume(Reading::new("DescribeVolumes"), &from, &mut TagSets::default())
}

#[test]
fn a_volume_keeps_its_attachment_and_its_numbers() {
    let from = volume_builder()
        .iops(3000)
        .throughput(0)
        .encrypted(true)
        .snapshot_id("")
        .attachments(
            sdk::VolumeAttachment::builder()
                .instance_id("i-1")
                .device("/dev/sdf")
                .state(sdk::VolumeAttachmentState::Attached)
                .build(),
        )
        .build();
    let got = read_volume(from).expect("a complete volume");
    assert_eq!((got.size, got.iops, got.throughput, got.encrypted), (50, Some(3000), None, true));
    assert_eq!((got.state, got.snapshot), (api::VolumeState::InUse, None));
    assert_eq!(
        got.attachments,
        [api::Attachment {
            instance: "i-1".into(),
            device: "/dev/sdf".into(),
            state: api::AttachState::Attached,
            delete_on_termination: false,
        }]
    );
}

#[test]
fn every_volume_and_attachment_state_has_its_twin() {
    for name in sdk::VolumeState::values() {
        let from = volume_builder().state(sdk::VolumeState::from(*name)).build();
        read_volume(from).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }
    for name in sdk::VolumeAttachmentState::values() {
        let state = sdk::VolumeAttachmentState::from(*name);
        let attachment = sdk::VolumeAttachment::builder().instance_id("i-1").state(state).build();
        read_volume(volume_builder().attachments(attachment).build()).unwrap_or_else(|f| panic!("{name}: {f}"));
    }
}

#[test]
fn a_volume_state_nobody_knows_is_refused_by_name() {
    let refusal = read_volume(volume_builder().state(sdk::VolumeState::from("parked")).build()).expect_err("unknown");
    assert!(refusal.says.contains("vol-1: status `parked` is unknown"), "{refusal}");
}

#[test]
fn a_check_keeps_since_when_it_is_impaired() {
    let detail = |seconds| {
        sdk::InstanceStatusDetails::builder()
            .name(sdk::StatusName::Reachability)
            .set_impaired_since(Some(DateTime::from_secs(seconds)))
            .build()
    };
    let impaired = sdk::InstanceStatusSummary::builder()
        .status(sdk::SummaryStatus::Impaired)
        .details(detail(200))
        .details(detail(100))
        .build();
    let odd = sdk::InstanceStatusSummary::builder().status(sdk::SummaryStatus::from("dreaming")).build();
    let event = sdk::InstanceStatusEvent::builder()
        .code(sdk::EventCode::from("instance-retirement"))
        .description("[Completed] retired")
        .build();
    let from = sdk::InstanceStatus::builder()
        .instance_id("i-1")
        .system_status(impaired)
        .instance_status(odd)
        .events(event)
        .build();
    let got = status(Reading::new("DescribeInstanceStatus"), &from).expect("a row with an id");
    assert_eq!(got.system, (api::Check::Impaired, Timestamp::from_second(100).ok()));
    assert_eq!(got.instance, (api::Check::InsufficientData, None), "an unknown answer is not a failed check");
    assert_eq!(got.ebs, (api::Check::InsufficientData, None));
    assert_eq!(got.events[0].code, "instance-retirement");
}

#[test]
fn an_image_tells_when_it_was_made() {
    let from = sdk::Image::builder()
        .image_id("ami-1")
        .name("al2023")
        .owner_id("137112412989")
        .creation_date("2026-05-01T00:00:00.000Z")
        .state(sdk::ImageState::Available)
        .architecture(sdk::ArchitectureValues::X8664)
        .build();
    let got = image(Reading::new("DescribeImages"), &from).expect("an image with an id");
    assert_eq!(got.created, "2026-05-01T00:00:00Z".parse().ok());
    assert!(got.available);
    assert_eq!(got.architecture, "x86_64");
}

#[test]
fn an_image_that_cannot_be_launched_says_so() {
    let from = sdk::Image::builder().image_id("ami-1").state(sdk::ImageState::Deregistered).build();
    assert!(!image(Reading::new("DescribeImages"), &from).expect("an image with an id").available);
}

#[test]
fn subnets_and_groups_and_zones_are_read() {
    let at = Reading::new("X");
    let from = sdk::Subnet::builder()
        .subnet_id("subnet-1")
        .availability_zone("us-east-1a")
        .vpc_id("vpc-1")
        .available_ip_address_count(251)
        .default_for_az(true)
        .build();
    let got = subnet(at, &from).expect("a complete subnet");
    assert_eq!((got.free, got.default_for_zone), (251, true));

    let from = sdk::SecurityGroup::builder().group_id("sg-1").group_name("web").vpc_id("vpc-1").build();
    assert_eq!(security_group(at, &from).expect("a complete group").name, "web");

    let from = sdk::AvailabilityZone::builder().zone_name("a").state(sdk::AvailabilityZoneState::Impaired).build();
    assert!(!zone(at, &from).expect("a zone with a name").available);
}

#[test]
fn the_last_page_has_no_token_even_where_the_server_sends_an_empty_one() {
    let got = page(&[1, 2], Some(""), |one| Ok(one * 10)).expect("nothing fails");
    assert_eq!(got, api::Page { items: vec![10, 20], next_token: None });
    let got = page(&[1], Some("more"), |one| Ok(*one)).expect("nothing fails");
    assert_eq!(got.next_token.as_deref(), Some("more"));
}

#[test]
fn user_data_is_decoded_or_refused() {
    let at = Reading::new("DescribeInstanceAttribute");
    assert_eq!(user_data(at, Some("aGk=")).expect("base64"), Some(b"hi".to_vec()));
    assert_eq!(user_data(at, Some("")).expect("empty"), None);
    assert!(user_data(at, Some("%%%")).expect_err("no base64").says.contains("not base64"));
}

#[test]
fn a_profile_is_named_as_it_is_given() {
    assert_eq!(instance_profile("ops").name(), Some("ops"));
    assert_eq!(instance_profile("arn:aws:iam::1:instance-profile/ops").name(), None);
}
