//! How long the sim itself takes at scale: prints a table.

use std::time::Instant;

use evenkeel_core::stamp::tag;
use evenkeel_ec2::api::{Ec2, Ec2Read, Filter, Query, RunInstances};
use evenkeel_sim::{Sim, runtime};

fn main() {
    println!(
        "{:>9}  {:>11}  {:>10}  {:>11}  {:>10}  {:>9}",
        "machines", "launch", "list all", "tag one", "reopen", "file"
    );
    for machines in [100, 1_000, 10_000] {
        row(machines);
    }
}

fn row(machines: u32) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("world.toml");
    runtime().expect("a runtime").block_on(async {
        let sim = Sim::open(&path, 1).expect("a world");
        sim.edit(|w| w.limits.throttling = false).expect("a file");
        let began = Instant::now();
        let mut left = machines;
        let mut last = String::new();
        while left > 0 {
            let count = left.min(1000);
            let zone = format!("us-east-1{}", ["a", "b", "c", "d"][(left / 1000 % 4) as usize]);
            last = sim.run_instances(&launch(left, count, zone)).await.expect("a launch")[0].id.clone();
            left -= count;
        }
        let launch = began.elapsed();
        tokio::time::sleep(std::time::Duration::from_secs(500)).await;

        let began = Instant::now();
        let mut query = Query {
            filters: vec![Filter::new("tag:evenkeel:stack", "s")],
            max_results: Some(1000),
            ..Query::default()
        };
        let mut seen = 0;
        loop {
            let page = sim.instances(&query).await.expect("a page");
            seen += page.items.len();
            query.next_token = page.next_token;
            if query.next_token.is_none() {
                break;
            }
        }
        assert_eq!(seen, machines as usize);
        let list = began.elapsed();

        let began = Instant::now();
        for n in 0..10 {
            sim.set_tags(std::slice::from_ref(&last), &[("n".to_owned(), n.to_string())].into()).await.expect("a tag");
        }
        let tags = began.elapsed() / 10;
        let size = std::fs::metadata(&path).expect("a file").len() / 1024;
        drop(sim);
        let began = Instant::now();
        Sim::open(&path, 1).expect("a world");
        let open = began.elapsed();
        println!("{machines:>9}  {launch:>11.1?}  {list:>10.1?}  {tags:>11.1?}  {open:>10.1?}  {size:>5} KiB");
    });
}

fn launch(token: u32, count: u32, zone: String) -> RunInstances {
    RunInstances {
        client_token: token.to_string(),
        count,
        image: "ami-00000000000002309".to_owned(),
        instance_type: "t3.small".to_owned(),
        zone: Some(zone),
        user_data: Some(b"#!/bin/sh\necho hello\n".to_vec()),
        tags: [
            (tag::STACK, "s".to_owned()),
            (tag::ADDRESS, format!("machines.web-{token}")),
            (tag::SPEC, "1:imabcdefkeabcdefsgabcdef".to_owned()),
            (tag::LAUNCH, format!("g1 s0-{}", count - 1)),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into(),
        volume_tags: [(tag::STACK.to_owned(), "s".to_owned())].into(),
        ..RunInstances::default()
    }
}
