//! What is in a creating request, looked at before it is sent.

use super::*;
use evenkeel_ec2::api::BlockDevice;

fn request() -> RunInstances {
    RunInstances {
        client_token: "token".into(),
        count: 3,
        image: "ami-1".into(),
        instance_type: "t3.small".into(),
        zone: Some("us-east-1a".into()),
        security_groups: vec!["sg-1".into()],
        tags: Tags::from([("evenkeel:stack".to_owned(), "s1".to_owned())]),
        ..RunInstances::default()
    }
}

fn sent(request: &RunInstances) -> aws_sdk_ec2::operation::run_instances::RunInstancesInput {
    launch(request).build().expect("every member of the request is optional to the SDK")
}

#[test]
fn a_batch_is_launched_all_or_none_under_our_token() {
    let sent = sent(&request());
    assert_eq!((sent.min_count(), sent.max_count()), (Some(3), Some(3)));
    assert_eq!(sent.client_token(), Some("token"));
}

#[test]
fn tags_go_into_the_creating_call_and_empty_ones_do_not() {
    let mut request = request();
    let kinds = |request: &RunInstances| {
        sent(request).tag_specifications().iter().map(|one| one.resource_type().cloned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&request), [Some(sdk::ResourceType::Instance)]);
    request.volume_tags = Tags::from([("a".to_owned(), "b".to_owned())]);
    assert_eq!(kinds(&request), [Some(sdk::ResourceType::Instance), Some(sdk::ResourceType::Volume)]);
}

#[test]
fn user_data_travels_as_base64() {
    let request = RunInstances { user_data: Some(b"#!/bin/sh\n".to_vec()), ..request() };
    assert_eq!(sent(&request).user_data(), Some("IyEvYmluL3NoCg=="));
}

#[test]
fn a_public_address_is_asked_of_the_network_interface() {
    let request = RunInstances { public_ip: Some(true), subnet: Some("subnet-1".into()), zone: None, ..request() };
    let sent = sent(&request);
    assert_eq!((sent.subnet_id(), sent.security_group_ids().len()), (None, 0));
    let [interface] = sent.network_interfaces() else { panic!("{sent:?}") };
    assert_eq!(interface.associate_public_ip_address(), Some(true));
    assert_eq!(interface.subnet_id(), Some("subnet-1"));
    assert_eq!(interface.groups(), ["sg-1"]);
}

#[test]
fn nothing_asked_of_the_placement_sends_none() {
    let request = RunInstances { zone: None, subnet: Some("subnet-1".into()), ..request() };
    assert_eq!(sent(&request).placement(), None);
}

#[test]
fn spot_is_one_time_and_ends_with_its_interruption() {
    let sent = sent(&RunInstances { spot: true, ..request() });
    let options = sent.instance_market_options().and_then(|market| market.spot_options()).expect("spot options");
    assert_eq!(options.spot_instance_type(), Some(&sdk::SpotInstanceType::OneTime));
    assert_eq!(options.instance_interruption_behavior(), Some(&sdk::InstanceInterruptionBehavior::Terminate));
}

#[test]
fn disks_die_with_their_instance() {
    let disk = BlockDevice { device: "/dev/sdf".into(), size: Some(20), ..BlockDevice::default() };
    let sent = sent(&RunInstances { disks: vec![disk], ..request() });
    let ebs = sent.block_device_mappings()[0].ebs().expect("an EBS disk");
    assert_eq!((ebs.volume_size(), ebs.delete_on_termination()), (Some(20), Some(true)));
}

#[test]
fn a_volume_says_encrypted_only_where_it_is_asked_for() {
    let mut request = CreateVolume {
        client_token: "token".into(),
        zone: "us-east-1a".into(),
        size: Some(8),
        volume_type: "gp3".into(),
        ..CreateVolume::default()
    };
    let sent = |request: &CreateVolume| new_volume(request).build().expect("all members are optional").encrypted();
    assert_eq!(sent(&request), None);
    request.encrypted = true;
    assert_eq!(sent(&request), Some(true));
}
