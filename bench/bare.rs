//! The least that any program of this SDK must do: the listings of one plan, page by page, and nothing with them but to
//! keep them, as who compares them must.

use std::process::ExitCode;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_sdk_ec2::types::Filter;
use aws_smithy_http_client::tls;

type Failed = Box<dyn std::error::Error>;

/// `bare STACK`.
pub fn run(words: &[String]) -> ExitCode {
    let [stack] = words else { return ExitCode::from(64) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(listings(stack)) {
        Ok(found) => {
            println!("{found}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e:?}");
            ExitCode::FAILURE
        }
    }
}

fn filter(name: &str, values: &[&str]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.iter().map(|v| (*v).to_owned()).collect())).build()
}

/// The same calls as `evenkeel plan` makes; the table shows whether they are.
async fn listings(stack: &str) -> Result<String, Failed> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    let config = config.retry_config(RetryConfig::disabled()).load().await;
    let (ec2, sts) = (aws_sdk_ec2::Client::new(&config), aws_sdk_sts::Client::new(&config));
    let mine = filter("tag:evenkeel:stack", &[stack]);

    let caller = sts.get_caller_identity().send().await?;
    let zones = ec2.describe_availability_zones().send().await?;
    let mut instances = Vec::new();
    let mut pages = ec2.describe_instances().filters(mine.clone()).max_results(1000).into_paginator().send();
    while let Some(page) = pages.next().await {
        instances.extend(page?.reservations.unwrap_or_default());
    }
    let mut statuses = Vec::new();
    let all = ec2.describe_instance_status().include_all_instances(true).max_results(1000);
    let mut pages = all.into_paginator().send();
    while let Some(page) = pages.next().await {
        statuses.extend(page?.instance_statuses.unwrap_or_default());
    }
    let mut volumes = Vec::new();
    let mut pages = ec2.describe_volumes().filters(mine).max_results(1000).into_paginator().send();
    while let Some(page) = pages.next().await {
        volumes.extend(page?.volumes.unwrap_or_default());
    }
    let named = [filter("name", &["al2023-ami-2023.*-x86_64"]), filter("state", &["available"])];
    let images = ec2.describe_images().owners("amazon").set_filters(Some(named.to_vec())).send().await?;
    let groups = ec2.describe_security_groups().filters(filter("group-name", &["web"])).send().await?;
    Ok(format!(
        "{} {} zones {} reservations {} statuses {} volumes {} images {} groups",
        caller.account.unwrap_or_default(),
        zones.availability_zones().len(),
        instances.len(),
        statuses.len(),
        volumes.len(),
        images.images().len(),
        groups.security_groups().len()
    ))
}
