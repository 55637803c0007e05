//! Lists: pages, filters, what is hidden, and what is refused.

use evenkeel_ec2::api::Page;

use super::*;

async fn walk(sim: &Sim, mut query: Query) -> (Vec<String>, usize) {
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let Page { items, next_token } = sim.instances(&query).await.expect("a page");
        ids.extend(items.into_iter().map(|i| i.id));
        pages += 1;
        query.next_token = next_token;
        if query.next_token.is_none() {
            return (ids, pages);
        }
    }
}

#[test]
fn pages_together_hold_everything_once() {
    story(|sim| async move {
        sim.boot_up("t", 12).await;
        let (mut ids, pages) = walk(&sim, Query { max_results: Some(5), ..Query::default() }).await;
        assert_eq!(pages, 3);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 12);
        let (exact, pages) = walk(&sim, Query { max_results: Some(6), ..Query::default() }).await;
        assert_eq!((exact.len(), pages), (12, 2), "no empty page at the end");
        let (unpaged, pages) = walk(&sim, Query::default()).await;
        assert_eq!((unpaged.len(), pages), (12, 1));
    });
}

#[test]
fn the_order_of_a_list_means_nothing() {
    let order = |seed| {
        let mut order = Vec::new();
        runtime().unwrap().block_on(async {
            let sim = Sim::new(World::founding(seed));
            sim.boot_up("t", 12).await;
            order = walk(&sim, all()).await.0;
        });
        order
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn a_page_survives_what_vanishes_before_the_next() {
    story(|sim| async move {
        sim.boot_up("t", 12).await;
        let mut query = Query { max_results: Some(5), ..Query::default() };
        let first = sim.instances(&query).await.unwrap();
        let last = first.items.last().unwrap().id.clone();
        sim.edit(|w| w.instances.remove(&last)).unwrap();
        query.next_token = first.next_token;
        assert_eq!(walk(&sim, query).await.0.len(), 7);
    });
}

#[test]
fn wrong_queries_are_refused_even_by_an_empty_list() {
    story(|sim| async move {
        let bad = |q: Query| {
            let sim = sim.clone();
            async move { Sim::why(sim.instances(&q).await).1 }
        };
        assert_eq!(bad(Query { max_results: Some(4), ..Query::default() }).await, "InvalidParameterValue");
        assert_eq!(bad(Query { max_results: Some(1001), ..Query::default() }).await, "InvalidParameterValue");
        assert_eq!(bad(Query { next_token: Some("x".into()), ..all() }).await, "InvalidNextToken");
        assert_eq!(bad(Query { max_results: Some(5), ..by_id("i-1") }).await, "InvalidParameterCombination");
        assert_eq!(bad(filter("instance-stat", "running")).await, "InvalidParameterValue");
        let many = Filter { name: "instance-id".into(), values: vec![String::new(); 201] };
        assert_eq!(bad(Query { filters: vec![many], ..all() }).await, "FilterLimitExceeded");
        let status = Sim::why(sim.statuses(&filter("tag:evenkeel:stack", "s")).await);
        assert_eq!(status.1, "InvalidParameterValue", "DescribeInstanceStatus knows no tags");
        let hundred = Query { ids: (0..101).map(|n| format!("i-{n}")).collect(), ..Query::default() };
        assert_eq!(Sim::why(sim.statuses(&hundred).await).1, "InvalidParameterValue");
    });
}

#[test]
fn a_token_of_one_list_is_no_token_of_another() {
    story(|sim| async move {
        sim.boot_up("t", 12).await;
        let page = sim.instances(&Query { max_results: Some(5), ..Query::default() }).await.unwrap();
        let crossed = Query { next_token: page.next_token, ..filter("instance-type", "t3.small") };
        assert_eq!(Sim::why(sim.instances(&crossed).await).1, "InvalidNextToken");
    });
}

#[test]
fn filters_find_what_they_say() {
    story(|sim| async move {
        sim.boot_up("ek-s-1", 2).await;
        let other = RunInstances {
            zone: Some("us-east-1b".into()),
            instance_type: "m5.large".into(),
            tags: tags(&[("evenkeel:stack", "other"), ("team", "payments")]),
            security_groups: vec!["sg-00000000000000002".into()],
            ..launch("ek-other-1", 1)
        };
        let other = sim.run_instances(&other).await.unwrap()[0].id.clone();
        sim.wait(3).await;
        for (name, value, count) in [
            ("tag:evenkeel:stack", "s", 2),
            ("tag:evenkeel:stack", "*", 3),
            ("tag:evenkeel:stack", "o?her", 1),
            ("tag:team", "payments", 1),
            ("tag-key", "team", 1),
            ("tag-key", "evenkeel:*", 3),
            ("client-token", "ek-s-*", 2),
            ("instance-state-name", "running", 2),
            ("instance-state-name", "pending", 1),
            ("availability-zone", "us-east-1b", 1),
            ("instance-type", "m5.*", 1),
            ("instance.group-name", "web", 1),
            ("vpc-id", "vpc-00000000000000001", 3),
            ("subnet-id", "subnet-00000000000000002", 1),
            ("instance-id", &other, 1),
        ] {
            let found = sim.instances(&filter(name, value)).await.unwrap().items.len();
            assert_eq!(found, count, "{name}={value}");
        }
        let both = Query {
            filters: vec![Filter::new("availability-zone", "us-east-1a"), Filter::new("tag-key", "team")],
            ..all()
        };
        assert!(sim.instances(&both).await.unwrap().items.is_empty(), "filters are joined by and");
        let either =
            Filter { name: "availability-zone".into(), values: vec!["us-east-1a".into(), "us-east-1b".into()] };
        let either = Query { filters: vec![either], ..all() };
        assert_eq!(sim.instances(&either).await.unwrap().items.len(), 3, "values are joined by or");
    });
}

#[test]
fn the_other_lists_have_their_filters_too() {
    story(|sim| async move {
        let amazon = ["amazon".to_owned()];
        let al = sim.images(&amazon, &filter("name", "al2023-ami-2023.*-x86_64")).await.unwrap().items;
        assert_eq!(al.len(), 4);
        assert!(al.iter().all(|i| i.owner == "137112412989" && i.available && i.created.is_some()));
        let ubuntu =
            sim.images(&["099720109477".to_owned()], &filter("name", "ubuntu/*/ubuntu-noble-*")).await.unwrap();
        assert_eq!(ubuntu.items.len(), 1);
        assert!(sim.images(&["self".to_owned()], &all()).await.unwrap().items.is_empty());
        let subnets = sim.subnets(&filter("default-for-az", "true")).await.unwrap().items;
        assert_eq!((subnets.len(), subnets[0].free), (4, 4091));
        assert_eq!(sim.subnets(&filter("availability-zone", "us-east-1c")).await.unwrap().items.len(), 1);
        let groups = sim.security_groups(&filter("group-name", "web")).await.unwrap().items;
        assert_eq!(groups[0].id, "sg-00000000000000002");
        assert_eq!(Sim::why(sim.subnets(&by_id("subnet-9")).await).1, "InvalidSubnetID.NotFound");
        assert_eq!(sim.zones().await.unwrap().len(), 4);
        let latest = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
        assert_eq!(sim.parameter(latest).await.unwrap(), "ami-00000000000002309");
        assert_eq!(Sim::why(sim.parameter("/none").await), (Class::NotFound, "ParameterNotFound".into()));
        assert_eq!(sim.caller().await.unwrap().account, "123456789012");
    });
}

#[test]
fn what_was_just_made_is_hidden_at_first() {
    let mut world = World::founding(1);
    world.timing.hidden = "10s".parse().unwrap();
    story_in(world, |sim| async move {
        let id = sim.run_instances(&launch("t", 1)).await.unwrap()[0].id.clone();
        let hidden = (Class::NotFound, "InvalidInstanceID.NotFound".to_owned());
        assert!(sim.instances(&all()).await.unwrap().items.is_empty());
        assert!(sim.volumes(&all()).await.unwrap().items.is_empty());
        assert_eq!(Sim::why(sim.instances(&by_id(&id)).await), hidden);
        assert_eq!(Sim::why(sim.terminate(std::slice::from_ref(&id)).await), hidden);
        assert_eq!(sim.run_instances(&launch("t", 1)).await.unwrap()[0].id, id, "but its token holds at once");
        sim.wait(10).await;
        assert_eq!(sim.instances(&all()).await.unwrap().items.len(), 1);
        sim.terminate(&[id]).await.unwrap();
    });
}

#[test]
fn one_unknown_id_fails_the_whole_list() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let both = Query { ids: vec![id, "i-0abc".into()], ..Query::default() };
        assert_eq!(Sim::why(sim.instances(&both).await).1, "InvalidInstanceID.NotFound");
        assert_eq!(Sim::why(sim.statuses(&both).await).1, "InvalidInstanceID.NotFound");
        assert_eq!(Sim::why(sim.volumes(&by_id("vol-0abc")).await).1, "InvalidVolume.NotFound");
    });
}

#[test]
fn tags_obey_ec2s_rules() {
    story(|sim| async move {
        let id = sim.boot_up("t", 1).await[0].id.clone();
        let ids = std::slice::from_ref(&id);
        sim.set_tags(ids, &tags(&[("Name", "one"), ("a", "1")])).await.unwrap();
        sim.set_tags(ids, &tags(&[("a", "2")])).await.unwrap();
        sim.unset_tags(ids, &["Name".into(), "not there".into()]).await.unwrap();
        let now = sim.look_at(&id).await.tags;
        assert_eq!((now.get("a").map(String::as_str), now.get("Name")), (Some("2"), None));
        assert_eq!(Sim::why(sim.set_tags(ids, &tags(&[("aws:x", "")])).await).1, "InvalidParameterValue");
        assert_eq!(Sim::why(sim.set_tags(ids, &tags(&[("", "")])).await).1, "InvalidParameterValue");
        assert_eq!(Sim::why(sim.set_tags(ids, &tags(&[(&"k".repeat(129), "")])).await).1, "InvalidParameterValue");
        let many = (0..47).map(|n| (format!("t{n}"), String::new())).collect();
        assert_eq!(Sim::why(sim.set_tags(ids, &many).await).1, "TagLimitExceeded");
        assert_eq!(sim.look_at(&id).await.tags, now, "a refused call changes nothing");
        sim.edit(|w| w.instances.get_mut(&id).unwrap().tags.insert("aws:cloudformation:stack-name".into(), "x".into()))
            .unwrap();
        let fill: Tags = (0..46).map(|n| (format!("t{n}"), String::new())).collect();
        sim.set_tags(ids, &fill).await.expect("fifty of ours fit, and AWS's own do not count");
        sim.set_tags(ids, &fill).await.expect("setting them again adds none");
        sim.unset_tags(ids, &fill.into_keys().collect::<Vec<_>>()).await.unwrap();
        assert_eq!(Sim::why(sim.unset_tags(ids, &["aws:cloudformation:stack-name".into()]).await).0, Class::Invalid);
        let now = sim.look_at(&id).await.tags;
        let unknown = [id.clone(), "vol-0abc".into()];
        assert_eq!(Sim::why(sim.set_tags(&unknown, &tags(&[("b", "1")])).await).1, "InvalidVolume.NotFound");
        assert_eq!(sim.look_at(&id).await.tags, now, "all or none");
    });
}
