//! The real SDK against moto, an EC2 written by others: every method of the traits once, over real HTTP.
//!
//! `tests/run` sets `EVENKEEL_TEST_MOTO` to a Python that has moto; without it these tests say so and pass as skipped.
//! What moto does not do stands in `tests/lab/README.md`, and is not asked of it here.

#[path = "../../../tests/lab/moto.rs"]
mod lab;
#[path = "moto/provider.rs"]
mod provider;

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_aws::{AwsEc2, Settings, connect};
use evenkeel_core::failure::Class;
use evenkeel_ec2::api::{
    AttachState, BlockDevice, Check, CreateVolume, Ec2, Ec2Read, Filter, Instance, InstanceChange, InstanceState,
    Metadata, ModifyVolume, ProfileChange, Query, RunInstances, Tags, VolumeState,
};
use lab::Moto;

const REGION: &str = "us-east-1";
const STACK: &str = "evenkeel:stack";

async fn client(moto: &Moto) -> AwsEc2 {
    let settings = Settings { region: Some(REGION.into()), endpoint: Some(moto.url.clone()), ..Settings::default() };
    connect(settings).await.expect("region and endpoint are given")
}

fn of_stack(stack: &str) -> Query {
    Query { filters: vec![Filter::new(format!("tag:{STACK}"), stack)], ..Query::default() }
}

async fn image(ec2: &AwsEc2) -> String {
    ec2.parameter("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64").await.expect("an image")
}

/// A launch of `count` into `zone` for `stack`.
async fn launch(ec2: &AwsEc2, stack: &str, zone: &str, count: u32) -> RunInstances {
    RunInstances {
        client_token: format!("{stack}-{zone}"),
        count,
        image: image(ec2).await,
        instance_type: "t3.small".into(),
        zone: Some(zone.into()),
        tags: Tags::from([(STACK.to_owned(), stack.to_owned()), ("Name".to_owned(), format!("in {zone}"))]),
        volume_tags: Tags::from([(STACK.to_owned(), stack.to_owned())]),
        ..RunInstances::default()
    }
}

async fn one(ec2: &AwsEc2, id: &str) -> Instance {
    let query = Query { ids: vec![id.to_owned()], ..Query::default() };
    let mut page = ec2.instances(&query).await.expect("a list by id");
    assert_eq!(page.items.len(), 1);
    page.items.remove(0)
}

#[tokio::test]
async fn lookups_find_what_a_declaration_names() {
    let Some(moto) = lab::shared() else { return };
    let ec2 = client(moto).await;

    let caller = ec2.caller().await.expect("the caller");
    assert_eq!((caller.account.as_str(), caller.region.as_str()), ("123456789012", REGION));

    let zones = ec2.zones().await.expect("the zones");
    assert!(zones.iter().any(|zone| zone.name == "us-east-1a" && zone.available), "{zones:?}");

    let query = Query { filters: vec![Filter::new("default-for-az", "true")], ..Query::default() };
    let subnets = ec2.subnets(&query).await.expect("the default subnets").items;
    assert_eq!(subnets.iter().map(|one| &one.zone).collect::<BTreeSet<_>>().len(), zones.len());
    assert!(subnets.iter().all(|one| one.default_for_zone && one.free > 0), "{subnets:?}");

    let query = Query { filters: vec![Filter::new("group-name", "default")], ..Query::default() };
    let groups = ec2.security_groups(&query).await.expect("the default group").items;
    assert_eq!((groups.len(), groups[0].name.as_str(), &groups[0].vpc), (1, "default", &subnets[0].vpc));

    let query = Query { filters: vec![Filter::new("name", "al2023-ami-2023.*-x86_64")], ..Query::default() };
    let images = ec2.images(&["amazon".into()], &query).await.expect("the images").items;
    assert!(!images.is_empty());
    assert!(images.iter().all(|one| one.available && one.architecture == "x86_64" && one.created.is_some()));
    assert!(images.iter().any(|one| one.root_device.as_deref() == Some("/dev/xvda")), "{images:?}");

    let by_parameter = image(&ec2).await;
    assert!(images.iter().any(|one| one.id == by_parameter), "{by_parameter} is none of {images:?}");
}

#[tokio::test]
async fn a_batch_carries_its_tags_its_token_and_its_places() {
    let Some(moto) = lab::shared() else { return };
    let ec2 = client(moto).await;
    let mut launched = BTreeSet::new();
    for zone in ["us-east-1a", "us-east-1b", "us-east-1c"] {
        let answer = ec2.run_instances(&launch(&ec2, "batch", zone, 3).await).await.expect("a launch");
        assert_eq!(answer.iter().map(|one| one.launch_index).collect::<Vec<_>>(), [0, 1, 2]);
        launched.extend(answer.into_iter().map(|one| one.id));
    }

    let page = ec2.instances(&of_stack("batch")).await.expect("the list");
    assert_eq!(page.next_token, None);
    assert_eq!(page.items.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>(), launched);
    let mut zones: BTreeMap<&str, u32> = BTreeMap::new();
    for one in &page.items {
        *zones.entry(&one.zone).or_default() += 1;
        assert_eq!(one.state, InstanceState::Running);
        assert_eq!(one.client_token, format!("batch-{}", one.zone));
        assert_eq!(one.tags["Name"], format!("in {}", one.zone));
        assert_eq!(one.metadata, Metadata::default(), "IMDSv2 was asked for in the launch");
        assert!(!one.subnet.is_empty() && !one.vpc.is_empty() && one.private_ip.is_some());
    }
    assert_eq!(zones, BTreeMap::from([("us-east-1a", 3), ("us-east-1b", 3), ("us-east-1c", 3)]));

    let volumes = ec2.volumes(&of_stack("batch")).await.expect("the root disks, tagged in the launch").items;
    assert_eq!(volumes.len(), 9);
    let attached: BTreeSet<_> = volumes.iter().flat_map(|one| &one.attachments).map(|at| at.instance.clone()).collect();
    assert_eq!(attached, launched);

    let statuses = ec2.statuses(&Query { max_results: Some(1000), ..Query::default() }).await.expect("statuses").items;
    for id in &launched {
        let status = statuses.iter().find(|status| status.id == *id).expect("a row for every instance");
        assert_eq!((status.system.0, status.instance.0), (Check::Ok, Check::Ok));
    }

    let ids: Vec<String> = launched.into_iter().collect();
    ec2.terminate(&ids).await.expect("one call for all");
    let dead = ec2.instances(&of_stack("batch")).await.expect("the dead stay visible").items;
    assert!(dead.iter().all(|one| one.state == InstanceState::Terminated), "{dead:?}");
    assert_eq!(dead[0].state_reason, "Client.UserInitiatedShutdown");
    assert_eq!(ec2.volumes(&of_stack("batch")).await.expect("a list").items, [], "root disks die with them");
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let Some(moto) = lab::shared() else { return };
    let ec2 = client(moto).await;
    let mut launched = BTreeSet::new();
    for _ in 0..7 {
        let answer = ec2.run_instances(&launch(&ec2, "pages", "us-east-1a", 2).await).await.expect("a launch");
        launched.extend(answer.into_iter().map(|one| one.id));
    }
    let mut query = Query { max_results: Some(5), ..of_stack("pages") };
    let (mut seen, mut pages) = (BTreeSet::new(), 0);
    loop {
        let page = ec2.instances(&query).await.expect("a page");
        pages += 1;
        seen.extend(page.items.into_iter().map(|one| one.id));
        query.next_token = page.next_token;
        if query.next_token.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen), (2, launched));
}

#[tokio::test]
async fn every_live_change_shows_in_the_next_list() {
    let Some(moto) = lab::shared() else { return };
    let ec2 = client(moto).await;
    let request =
        RunInstances { user_data: Some(b"#!/bin/sh\n".to_vec()), ..launch(&ec2, "live", "us-east-1a", 1).await };
    let id = ec2.run_instances(&request).await.expect("a launch").remove(0).id;
    let ids = [id.clone()];
    let before = one(&ec2, &id).await;
    let change = |change| {
        let (ec2, id) = (ec2.clone(), id.clone());
        async move { ec2.change_instance(&id, &change).await }
    };

    let groups = moto.security_groups(&["live-a", "live-b"], &before.vpc);
    change(InstanceChange::SecurityGroups(groups.clone())).await.expect("groups");
    let got = one(&ec2, &id).await.security_groups;
    assert_eq!(got, [(groups[0].clone(), "live-a".to_owned()), (groups[1].clone(), "live-b".to_owned())]);

    change(InstanceChange::Monitoring(true)).await.expect("monitoring on");
    assert!(one(&ec2, &id).await.monitoring);
    change(InstanceChange::Monitoring(false)).await.expect("monitoring off");
    assert!(!one(&ec2, &id).await.monitoring);

    let metadata = Metadata { tokens_required: false, hop_limit: 2, enabled: true };
    change(InstanceChange::Metadata(metadata.clone())).await.expect("metadata");
    assert_eq!(one(&ec2, &id).await.metadata, metadata);

    moto.instance_profiles(&["live-a", "live-b"]);
    let profile = "arn:aws:iam::123456789012:instance-profile/live";
    let held = async || ec2.held_profile(&id).await.expect("the associations");
    let (instance, profile_a) = (id.clone(), "live-a".to_owned());
    let first = ProfileChange::Associate { instance, profile: profile_a };
    assert_eq!(held().await, None);
    ec2.change_profile(&first).await.expect("a profile where there was none");
    assert_eq!(one(&ec2, &id).await.instance_profile, Some(format!("{profile}-a")));
    let association = held().await.expect("one").association;
    let second = ProfileChange::Replace { association, profile: format!("{profile}-b") };
    ec2.change_profile(&second).await.expect("another profile");
    let association = held().await.filter(|h| h.profile == format!("{profile}-b")).expect("the other").association;
    ec2.change_profile(&ProfileChange::Disassociate { association }).await.expect("no profile");
    assert_eq!(one(&ec2, &id).await.instance_profile, None);

    assert_eq!(ec2.user_data(&id).await.expect("the script"), Some(b"#!/bin/sh\n".to_vec()));
    assert!(!ec2.protected(&id).await.expect("the attribute"));
    change(InstanceChange::Protect(true)).await.expect("protect");
    assert!(ec2.protected(&id).await.expect("the attribute"));
    let refusal = ec2.terminate(&ids).await.expect_err("it is protected");
    assert_eq!((refusal.class, refusal.code.as_str()), (Class::Protected, "OperationNotPermitted"));
    change(InstanceChange::Protect(false)).await.expect("unprotect");

    ec2.set_tags(&ids, &Tags::from([("team".into(), "payments".into()), ("Name".into(), "new".into())]))
        .await
        .expect("tags");
    ec2.unset_tags(&ids, &[STACK.to_owned()]).await.expect("a tag less");
    let tags = one(&ec2, &id).await.tags;
    assert_eq!(*tags, Tags::from([("team".into(), "payments".into()), ("Name".into(), "new".into())]));

    ec2.stop(&ids).await.expect("stop");
    assert_eq!(one(&ec2, &id).await.state, InstanceState::Stopped);
    change(InstanceChange::Type("t3.large".into())).await.expect("another type while stopped");
    ec2.start(&ids).await.expect("start");
    ec2.reboot(&ids).await.expect("reboot");
    let after = one(&ec2, &id).await;
    assert_eq!((after.state, after.instance_type.as_str()), (InstanceState::Running, "t3.large"));
    ec2.terminate(&ids).await.expect("unprotected again");
}

#[tokio::test]
async fn a_volume_lives_from_create_to_delete() {
    let Some(moto) = lab::shared() else { return };
    let ec2 = client(moto).await;
    let disk = BlockDevice {
        device: "/dev/sdh".into(),
        size: Some(20),
        volume_type: Some("gp3".into()),
        ..BlockDevice::default()
    };
    let request = RunInstances { disks: vec![disk], ..launch(&ec2, "volume", "us-east-1b", 1).await };
    let instance = ec2.run_instances(&request).await.expect("a launch").remove(0).id;
    let got = one(&ec2, &instance).await;
    assert!(got.devices["/dev/sdh"].delete_on_termination, "{got:?}");

    let request = CreateVolume {
        client_token: "volume".into(),
        zone: "us-east-1b".into(),
        size: Some(50),
        volume_type: "gp3".into(),
        iops: Some(4000),
        throughput: Some(250),
        encrypted: true,
        tags: Tags::from([(STACK.to_owned(), "data".to_owned())]),
        ..CreateVolume::default()
    };
    let made = ec2.create_volume(&request).await.expect("a volume");
    assert_eq!((made.size, made.iops, made.throughput), (50, Some(4000), Some(250)));
    let listed = ec2.volumes(&of_stack("data")).await.expect("found by its tag").items;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id.as_str(), listed[0].state), (made.id.as_str(), VolumeState::Available));
    assert!(listed[0].encrypted && listed[0].kms_key.is_some(), "{listed:?}");

    ec2.attach(&made.id, &instance, "/dev/sdf").await.expect("attach");
    let held = ec2.volumes(&of_stack("data")).await.expect("a list").items.remove(0);
    assert_eq!(held.state, VolumeState::InUse);
    let at = &held.attachments[0];
    assert_eq!((at.instance.as_str(), at.device.as_str(), at.state), (&*instance, "/dev/sdf", AttachState::Attached));
    assert!(!at.delete_on_termination, "what outlives its machine must not die with it");
    assert_eq!(one(&ec2, &instance).await.devices["/dev/sdf"].volume, made.id);

    let refusal = ec2.delete_volume(&made.id).await.expect_err("it is held");
    assert_eq!((refusal.class, refusal.code.as_str()), (Class::Busy, "VolumeInUse"));

    let bigger = ModifyVolume { size: Some(80), iops: Some(5000), ..ModifyVolume::default() };
    ec2.modify_volume(&made.id, &bigger).await.expect("modify");
    let grown = ec2.volumes(&of_stack("data")).await.expect("a list").items.remove(0);
    assert_eq!((grown.size, grown.iops, grown.throughput), (80, Some(5000), Some(250)));

    ec2.detach(&made.id, &instance, "/dev/sdf").await.expect("detach");
    let free = ec2.volumes(&of_stack("data")).await.expect("a list").items.remove(0);
    assert_eq!((free.state, free.attachments), (VolumeState::Available, Vec::new()));
    ec2.terminate(&[instance]).await.expect("terminate");
    ec2.delete_volume(&made.id).await.expect("delete");
    assert_eq!(ec2.volumes(&of_stack("data")).await.expect("a list").items, []);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_by_name() {
    let Some(moto) = lab::shared() else { return };
    let ec2 = client(moto).await;
    let ids = |id: &str| Query { ids: vec![id.to_owned()], ..Query::default() };
    let absent = "i-00000000000000001";
    let launch = launch(&ec2, "absent", "us-east-1a", 1).await;
    let refusals = [
        ("InvalidInstanceID.NotFound", ec2.instances(&ids(absent)).await.map(drop)),
        ("InvalidInstanceID.NotFound", ec2.terminate(&[absent.to_owned()]).await),
        ("InvalidInstanceID.NotFound", ec2.change_instance(absent, &InstanceChange::Protect(true)).await),
        ("InvalidVolume.NotFound", ec2.volumes(&ids("vol-00000000000000001")).await.map(drop)),
        ("InvalidVolume.NotFound", ec2.delete_volume("vol-00000000000000001").await),
        ("InvalidSubnetID.NotFound", ec2.subnets(&ids("subnet-00000000000000001")).await.map(drop)),
        ("InvalidGroup.NotFound", ec2.security_groups(&ids("sg-00000000000000001")).await.map(drop)),
        ("InvalidAMIID.NotFound", ec2.images(&[], &ids("ami-00000000000000001")).await.map(drop)),
        ("ParameterNotFound", ec2.parameter("/no/such/parameter").await.map(drop)),
        ("InvalidKeyPair.NotFound", {
            ec2.run_instances(&RunInstances { key: Some("absent".into()), ..launch.clone() }).await.map(drop)
        }),
        ("InvalidAMIID.NotFound", {
            ec2.run_instances(&RunInstances { image: "ami-00000000000000001".into(), ..launch.clone() }).await.map(drop)
        }),
        // moto's own name for it; EC2 says InvalidParameterValue.
        ("InvalidInstanceType.NotFound", {
            ec2.run_instances(&RunInstances { instance_type: "t3.enormous".into(), ..launch.clone() }).await.map(drop)
        }),
    ];
    for (code, refusal) in refusals {
        let refusal = refusal.expect_err(code);
        assert_eq!((refusal.class, refusal.code.as_str()), (Class::NotFound, code), "{refusal}");
    }
}

/// moto checks signatures and policies from here on, so it is a server of this test alone.
#[tokio::test]
async fn a_role_may_do_what_its_policy_allows_and_is_denied_the_rest() {
    let Some(moto) = Moto::start() else { return };
    let role = moto.role("reader", "ec2:DescribeAvailabilityZones");
    let settings = Settings {
        region: Some(REGION.into()),
        endpoint: Some(moto.url.clone()),
        role: Some(role),
        ..Settings::default()
    };
    let ec2 = connect(settings).await.expect("region and endpoint are given");
    let caller = ec2.caller().await.expect("the role is assumed");
    assert_eq!(caller.arn, "arn:aws:sts::123456789012:assumed-role/reader/evenkeel");

    moto.check_permissions();
    ec2.zones().await.expect("the signature holds and the policy allows it");
    let refusal = ec2.volumes(&Query::default()).await.expect_err("the policy does not allow it");
    assert_eq!(refusal.class, Class::Denied, "{refusal}");
    assert!(refusal.says.contains("DescribeVolumes"), "{refusal}");

    // Keys of no user at all.
    let refusal = client(&moto).await.zones().await.expect_err("nobody has these keys");
    assert_eq!((refusal.class, refusal.code.as_str()), (Class::Credentials, "AuthFailure"), "{refusal}");
    assert!(refusal.says.contains("AWS_PROFILE"), "{refusal}");
}
