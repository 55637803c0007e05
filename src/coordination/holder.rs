//! Who holds a lock: enough for a person to find and ask them.

use std::fmt;

use jiff::{SpanRound, Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// Who holds a lock, since when and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holder {
    /// `user@host`, as far as they are known.
    pub who: String,
    /// Process id on that host.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// The plan being applied, as far as known.
    #[serde(default)]
    pub plan: Option<String>,
    /// Page of the CI job, if it runs in one.
    #[serde(default)]
    pub ci: Option<String>,
}

impl Holder {
    /// This process. `env` looks up an environment variable (`std::env::var(..).ok()`), `now` is the time.
    pub fn here(env: impl Fn(&str) -> Option<String>, now: Timestamp, plan: Option<String>) -> Self {
        let env = |name: &str| env(name).filter(|v| !v.is_empty());
        let user = env("USER").or_else(|| env("LOGNAME")).or_else(|| env("USERNAME")).or_else(owner);
        let kernels = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = kernels().or_else(|| env("HOSTNAME")).or_else(|| env("COMPUTERNAME"));
        let known = |v: Option<String>| v.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        Self {
            who: match (known(user), known(host)) {
                (Some(user), Some(host)) => format!("{user}@{host}"),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => "a process".to_owned(),
            },
            pid: std::process::id(),
            since: now,
            plan,
            ci: ci(env),
        }
    }

    /// `ann@web1 (pid 7) since 2026-01-01T10:00:00Z, 4m ago`.
    pub fn words(&self, now: Timestamp) -> String {
        let mut words = format!("{self}, {} ago", age(self.since, now));
        if let Some(plan) = &self.plan {
            words.push_str(&format!(", for plan {plan}"));
        }
        if let Some(ci) = &self.ci {
            words.push_str(&format!(", in {ci}"));
        }
        words
    }
}

/// The name of this process's user, or its number where it has none. Where USER is not set (cron, containers), the
/// system knows it all the same.
#[cfg(unix)]
fn owner() -> Option<String> {
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(&users, uid).unwrap_or_else(|| format!("uid {uid}")))
}

#[cfg(not(unix))]
fn owner() -> Option<String> {
    None
}

/// The user with this number, by the lines of passwd(5): `name:password:uid:…`.
fn name_of(users: &str, uid: u32) -> Option<String> {
    let one = |line: &str| {
        let mut parts = line.split(':');
        let name = parts.next()?.to_owned();
        (parts.nth(1)?.parse() == Ok(uid)).then_some(name)
    };
    users.lines().find_map(one)
}

/// How long ago, in words: `1h 2m 3s`. Never negative: the other host's clock may be ahead.
fn age(since: Timestamp, now: Timestamp) -> String {
    let span = jiff::Span::new().seconds(now.duration_since(since).as_secs().max(0));
    match span.round(SpanRound::new().largest(Unit::Hour)) {
        Ok(span) => format!("{span:#}"),
        Err(_) => "long".to_owned(),
    }
}

/// The page of the job, as the CI systems tell it.
fn ci(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let github = || {
        let (server, repository) = (env("GITHUB_SERVER_URL")?, env("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", env("GITHUB_RUN_ID")?))
    };
    github().or_else(|| {
        // GitLab, Buildkite, CircleCI, Jenkins.
        ["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "BUILD_URL"].iter().find_map(|name| env(name))
    })
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nobody asks for parts of a second.
        let since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ");
        write!(f, "{} (pid {}) since {since}", self.who, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_says_who_where_since_when_and_in_which_job() {
        let env = |name: &str| {
            let value = match name {
                "USER" => "ann",
                "GITHUB_SERVER_URL" => "https://git.example",
                "GITHUB_REPOSITORY" => "a/b",
                "GITHUB_RUN_ID" => "7",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let at: Timestamp = "2026-01-01T10:00:00.123456789Z".parse().unwrap();
        let mut holder = Holder::here(env, at, Some("abc".into()));
        assert!(holder.who.starts_with("ann@") && holder.pid == std::process::id());
        holder.who = "ann@web1".into();
        holder.pid = 7;
        let later = "2026-01-01T11:02:03.9Z".parse().unwrap();
        assert_eq!(
            holder.words(later),
            "ann@web1 (pid 7) since 2026-01-01T10:00:00Z, 1h 2m 3s ago, for plan abc, in \
             https://git.example/a/b/actions/runs/7"
        );
        assert!(holder.words(Timestamp::UNIX_EPOCH).contains(" 0s ago"), "a clock that is behind: {holder}");
    }

    #[test]
    fn an_environment_that_says_nothing_is_enough() {
        let holder = Holder::here(|_| None, Timestamp::UNIX_EPOCH, None);
        assert!(!holder.who.contains("unknown") && !holder.who.starts_with('@') && holder.ci.is_none(), "{holder}");
    }

    #[test]
    fn a_user_is_known_to_the_system() {
        let users = "root:x:0:0:root:/root:/bin/bash\nrubbish\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!((name_of(users, 1000), name_of(users, 0)), (Some("ann".to_owned()), Some("root".to_owned())));
        assert_eq!((name_of(users, 7), name_of("", 0)), (None, None));
        #[cfg(target_os = "linux")]
        assert!(owner().is_some_and(|user| !user.is_empty()));
    }
}
