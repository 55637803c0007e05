//! How the clients come about: region, profile, role and endpoint by aws-config's own rules, one TLS stack, timeouts,
//! no retries.
//!
//! It makes no EC2 call and asks for no credentials yet: the first call does.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, FrameworkMetadata, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use evenkeel_core::failure::{Class, Failure};

use crate::errors::causes;

/// Opening a connection: the SDK's own default, just over the seconds after which a lost first packet is sent again.
const CONNECT: Duration = Duration::from_millis(3_100);
/// One whole call, where the SDK would wait for ever. A choice, not a measurement: a page of a thousand comes in
/// seconds, and a call that took longer is safe to repeat.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Finding credentials, with the providers' own retries (the SDK's default of 5 s is short for a role behind SSO).
const CREDENTIALS: Duration = Duration::from_secs(20);

/// What a declaration may say about the account. What is `None` follows the SDK's rules: `AWS_REGION`, `AWS_PROFILE`,
/// `AWS_ENDPOINT_URL`, the shared files, the machine's own role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `us-east-1`.
    pub region: Option<String>,
    /// A profile of the shared config and credentials files. Named here it wins over keys in the environment, as
    /// with the AWS CLI's `--profile`: a reviewed file does not end in whatever account a shell happens to hold.
    pub profile: Option<String>,
    /// ARN of a role to assume with whatever credentials were found.
    pub role: Option<String>,
    /// One URL for EC2, Service Quotas, SSM and STS alike.
    pub endpoint: Option<String>,
}

/// Real EC2 in one region under one identity. Cheap to clone; clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct AwsEc2 {
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) quotas: aws_sdk_servicequotas::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) region: String,
}

/// Makes the clients. No call is made and no credentials are asked for yet, except that the SDK may ask the machine's
/// metadata service for its region where nothing else names one.
///
/// # Errors
/// [`Class::Invalid`] where no region is to be found or the endpoint is no URL, [`Class::Credentials`] where the shared
/// config files cannot be read or do not have the profile.
pub async fn connect(settings: Settings) -> Result<AwsEc2, Failure> {
    let http = http();
    let mut loader = loader(http.clone());
    if let Some(region) = settings.region {
        loader = loader.region(Region::new(region));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let mut config = loader.load().await;
    if settings.profile.is_some() || config.region().is_none() {
        readable(settings.profile.as_deref()).await?;
    }
    if let Some(profile) = settings.profile {
        let within = ProviderConfig::without_region().with_http_client(http).with_region(config.region().cloned());
        let provider = ProfileFileCredentialsProvider::builder().configure(&within).profile_name(profile).build();
        config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
    }
    if let Some(role) = settings.role {
        config = assume(config, role).await;
    }
    AwsEc2::of(&config)
}

/// The SDK passes over a file that it cannot parse and a profile that nobody wrote, and then misses something else.
async fn readable(profile: Option<&str>) -> Result<(), Failure> {
    let refuse = |says| Err(Failure::new(Class::Credentials, "", says));
    let found = match aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await {
        Ok(found) => found,
        Err(broken) => return refuse(format!("the AWS config files cannot be read: {}", causes(&broken))),
    };
    let Some(profile) = profile.filter(|name| found.get_profile(name).is_none()) else { return Ok(()) };
    let mut known = found.profiles().collect::<Vec<_>>();
    known.sort_unstable();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    refuse(format!("no profile `{profile}` in the AWS config files; there is: {known}"))
}

async fn assume(config: SdkConfig, role: String) -> SdkConfig {
    let provider = AssumeRoleProvider::builder(role).configure(&config).session_name("evenkeel").build().await;
    config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

/// The SDK is built without its default client; without a named one every call would fail.
fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// Everything that does not depend on the settings.
pub(crate) fn loader(http: SharedHttpClient) -> ConfigLoader {
    let name = FrameworkMetadata::new("evenkeel", Some(env!("CARGO_PKG_VERSION")))
        .expect("letters, digits and dots are allowed in a user agent");
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .framework_metadata(name)
        .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS).build())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build())
}

impl AwsEc2 {
    /// The three clients of one configuration.
    pub(crate) fn of(config: &SdkConfig) -> Result<Self, Failure> {
        let Some(region) = config.region() else {
            return Err(Failure::new(
                Class::Invalid,
                "",
                "no AWS region: set `region` under [aws], or AWS_REGION, or `region` in the AWS profile",
            ));
        };
        // The SDK finds this out at each call, and then puts the whole request into its words.
        if let Some(url) = config.endpoint_url().filter(|url| !is_url(url)) {
            let says = format!("the endpoint `{url}` is no URL: it must look like `https://ec2.eu-west-1.example`");
            return Err(Failure::new(Class::Invalid, "", says));
        }
        // The engine tries again, by class and within its budget; a client that did so by itself would hide calls from
        // both. Only here, so that the providers of credentials keep their own retries.
        let retries = RetryConfig::disabled();
        let ec2 = aws_sdk_ec2::config::Builder::from(config).retry_config(retries.clone()).build();
        let quotas = aws_sdk_servicequotas::config::Builder::from(config).retry_config(retries.clone()).build();
        let ssm = aws_sdk_ssm::config::Builder::from(config).retry_config(retries.clone()).build();
        let sts = aws_sdk_sts::config::Builder::from(config).retry_config(retries).build();
        Ok(Self {
            region: region.to_string(),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            quotas: aws_sdk_servicequotas::Client::from_conf(quotas),
            ssm: aws_sdk_ssm::Client::from_conf(ssm),
            sts: aws_sdk_sts::Client::from_conf(sts),
        })
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|one| one.is_ascii_graphic()))
}

#[cfg(test)]
mod tests;
