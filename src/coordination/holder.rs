//! Who holds a lock: enough for a person to find and ask them.

use std::fmt;

use jiff::{SpanRound, Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// Who holds a lock, since when and for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Holder {
    /// `user@host`.
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
        let user = env("USER").or_else(|| env("LOGNAME")).or_else(|| env("USERNAME"));
        let kernels = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = kernels().or_else(|| env("HOSTNAME")).or_else(|| env("COMPUTERNAME"));
        let or = |v: Option<String>, other: &str| {
            v.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).unwrap_or_else(|| other.to_owned())
        };
        Self {
            who: format!("{}@{}", or(user, "unknown"), or(host, "unknown")),
            pid: std::process::id(),
            since: now,
            plan,
            ci: ci(env),
        }
    }

    /// `web1 (pid 7) since 2026-01-01T10:00:00Z, 4m ago`.
    pub fn words(&self, now: Timestamp) -> String {
        let mut words = format!("{} (pid {}) since {}, {} ago", self.who, self.pid, self.since, age(self.since, now));
        if let Some(plan) = &self.plan {
            words.push_str(&format!(", for plan {plan}"));
        }
        if let Some(ci) = &self.ci {
            words.push_str(&format!(", in {ci}"));
        }
        words
    }
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
        write!(f, "{} (pid {}) since {}", self.who, self.pid, self.since)
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
        let at: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
        let mut holder = Holder::here(env, at, Some("abc".into()));
        assert!(holder.who.starts_with("ann@") && holder.pid == std::process::id());
        holder.who = "ann@web1".into();
        holder.pid = 7;
        let later = "2026-01-01T11:02:03Z".parse().unwrap();
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
        assert!(holder.who.starts_with("unknown@") && holder.ci.is_none());
    }
}
