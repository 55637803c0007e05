//! One failure as one clear error: what was being done, what the world said, and a way out.
//!
//! The way out follows from the failure's class; where the words name an IAM action, it is named too. What went
//! wrong is the provider's word, escaped like everything from outside.

use evenkeel_core::desired::is_cluster;
use evenkeel_core::failure::{Class, Failure};
use serde::Serialize;

use crate::document::{Doc, Rank, Role, Row, Tail, Text};

/// The services whose actions evenkeel calls; `word:Word` of another service is not taken for an action.
const SERVICES: [&str; 6] = ["ec2", "ssm", "sts", "kms", "iam", "autoscaling"];

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// In words, as an infinitive without "to": `launch machines.web/6`. Empty when not known.
    pub doing: &'a str,
    /// The scope's alias, or empty.
    pub scope: &'a str,
    /// `us-east-1`, or empty.
    pub region: &'a str,
    /// Twelve digits, or empty.
    pub account: &'a str,
    /// The profile in use, or empty.
    pub profile: &'a str,
}

/// A failure, explained: text and JSON are two faces of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// One sentence: `could not launch machines.web/6 in us-east-1: the credentials may not do this`.
    pub says: String,
    /// The provider's own words, code first.
    pub provider: String,
    /// What sort.
    pub class: Class,
    /// The IAM action that is missing, where the words name one.
    pub action: Option<String>,
    /// What to do about it; never empty.
    pub way_out: String,
    /// Whether trying the same again later may help without anybody doing anything.
    pub passes: bool,
}

/// Explains a failure.
pub fn explain(failure: &Failure, context: Context<'_>) -> Explained {
    let action = if is_cluster(context.scope) { None } else { action(failure) };
    let place = if context.region.is_empty() { String::new() } else { format!(" in {}", context.region) };
    let doing = if context.doing.is_empty() { "go on".to_owned() } else { context.doing.to_owned() };
    Explained {
        says: format!("could not {doing}{place}: {}", cause(context.scope, failure.class)),
        provider: failure.to_string(),
        class: failure.class,
        way_out: if is_cluster(context.scope) { clusters(failure) } else { way_out(failure, &action, context) },
        action,
        passes: passes(failure.class),
    }
}

/// The cause in a few words, of a failure in this scope.
pub fn cause(scope: &str, class: Class) -> &'static str {
    match class {
        Class::Quota if is_cluster(scope) => "a quota of the namespace is used up",
        Class::Capacity if is_cluster(scope) => "there is no room for it now",
        Class::Throttled => "too many calls",
        Class::Transient => "the server or the network did not answer properly",
        Class::Capacity => "no room for this type in this zone now",
        Class::Quota => "the account's limit is reached",
        Class::Denied => "the credentials may not do this",
        Class::Credentials => "there are no valid credentials",
        Class::NotFound => "it does not exist",
        Class::Busy => "it is in a state that does not allow this now",
        Class::Protected => "it is protected",
        Class::TokenMismatch => "this launch was made before with other parameters",
        Class::TokenSpent => "what this launch once made is gone",
        Class::Invalid => "the request is wrong",
    }
}

fn passes(class: Class) -> bool {
    match class {
        Class::Throttled | Class::Transient | Class::Capacity | Class::Busy | Class::TokenSpent => true,
        Class::Quota
        | Class::Denied
        | Class::Credentials
        | Class::NotFound
        | Class::Protected
        | Class::TokenMismatch
        | Class::Invalid => false,
    }
}

fn way_out(failure: &Failure, action: &Option<String>, context: Context<'_>) -> String {
    match failure.class {
        Class::Throttled => {
            "evenkeel has slowed down already; run it again, or find out who else calls this account's API".to_owned()
        }
        Class::Transient => {
            "run it again: whatever this call did is found, and nothing is made twice".to_owned()
        }
        Class::Capacity => "run it again later, or give `type` and `zones` more choices".to_owned(),
        Class::Quota => format!(
            "ask for a higher limit in Service Quotas{}, or use fewer or smaller machines",
            if context.region.is_empty() { String::new() } else { format!(" ({})", context.region) }
        ),
        Class::Denied => denied(failure, action, context),
        Class::Credentials => credentials(failure, context),
        Class::NotFound => "`evenkeel plan` looks again: it may have been removed a moment ago".to_owned(),
        Class::Busy => "wait until it has settled, then run it again".to_owned(),
        Class::Protected => {
            "if you mean it, lift the protection with `evenkeel unprotect`, or by hand where another tool set it".to_owned()
        }
        Class::TokenMismatch => {
            "run it again in five minutes: what that launch made is found by then, or it is gone and a new one is launched"
                .to_owned()
        }
        Class::TokenSpent => "run it again: the next launch gets a new token".to_owned(),
        Class::Invalid => "mend what the provider names, then plan again; trying the same again cannot help".to_owned(),
    }
}

/// The same of a cluster, where nothing is AWS's.
fn clusters(failure: &Failure) -> String {
    let says = |words: &str| failure.says.contains(words);
    match failure.class {
        Class::Throttled => "the API server is busy: run it again later, or find out who else asks so much of it",
        Class::Transient => {
            "run it again: whatever this call did is found, and nothing is made twice; `kubectl get --raw /readyz` shows \
             whether the API server is well"
        }
        Class::Capacity => "run it again later",
        Class::Quota => {
            "take away what counts against the quota that is named, or have its `spec.hard` raised; `kubectl describe \
             quota` shows both"
        }
        Class::Denied if says(" cannot ") && says(" resource ") => {
            "have a Role or ClusterRole that allows it bound to this account, or name another `context` in [kubernetes]; \
             `kubectl auth can-i --list` shows what it may do"
        }
        Class::Denied => {
            "a policy of the cluster denies it: change the object as its words ask, or settle it with whoever keeps the policy"
        }
        Class::Credentials => {
            "sign in again in the way of this kubeconfig's user, or name another `context` or `kubeconfig` in \
             [kubernetes]; `kubectl auth whoami` shows who you are"
        }
        Class::NotFound => "`evenkeel plan` looks again: it may have been removed a moment ago",
        Class::Busy if says("conflict with ") => {
            "`--force-conflicts` takes the field from its manager; or take it out of the file and leave it to them"
        }
        Class::Busy => "wait until it has settled, then run it again",
        Class::Protected => "if you mean it, lift the protection with `evenkeel unprotect`",
        Class::TokenMismatch | Class::TokenSpent => "run it again",
        Class::Invalid => "mend what the server names, then plan again; trying the same again cannot help",
    }
    .to_owned()
}

fn denied(failure: &Failure, action: &Option<String>, context: Context<'_>) -> String {
    let to = action.as_ref().map_or("this call".to_owned(), |a| format!("`{a}`"));
    let whom = match (context.profile, context.account) {
        ("", "") => String::new(),
        (profile, "") => format!(" to profile {profile}"),
        ("", account) => format!(" in account {account}"),
        (profile, account) => format!(" to profile {profile} in account {account}"),
    };
    let decode = if failure.says.contains("ncoded authorization failure message") {
        "; `aws sts decode-authorization-message` shows which policy denies it"
    } else {
        ""
    };
    // Only AWS's calls are actions here; a cluster's have no such document.
    let all = match action.as_deref() {
        None => "",
        // Of what lost its mark the plain document says nothing.
        Some("ec2:CreateTags") => {
            " (`evenkeel policy aws` prints all that this file needs, `evenkeel policy aws --repair-marks` also to mark \
             again what lost its mark)"
        }
        Some(_) => " (`evenkeel policy aws` prints all that this file needs)",
    };
    format!("allow {to}{whom}{all}, or use credentials that have it{decode}")
}

fn credentials(failure: &Failure, context: Context<'_>) -> String {
    let words = failure.to_string().to_lowercase();
    let profile = if context.profile.is_empty() { String::new() } else { format!(" --profile {}", context.profile) };
    if words.contains("sso") {
        return format!("sign in again: `aws sso login{profile}`");
    }
    if words.contains("expired") {
        return format!("they have expired: sign in again (`aws sso login{profile}`, or renew the session)");
    }
    if words.contains("account") {
        return "use credentials of the account that the file names, or change `account` in [aws]".to_owned();
    }
    format!(
        "set AWS_PROFILE, or `profile` in [aws], or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; \
         `aws sts get-caller-identity{profile}` shows who you are"
    )
}

/// What two failures have in common that one way out mends: the missing permission, whatever it was wanted for and
/// whatever AWS encoded beside it; else the words.
pub(crate) fn common(failure: &Failure) -> String {
    match (failure.class, action(failure)) {
        (Class::Denied, Some(action)) => format!("{} {action}", failure.code),
        (_, _) => failure.to_string(),
    }
}

/// The IAM action that the words name: `ec2:RunInstances`; else the one of the call they begin with.
fn action(failure: &Failure) -> Option<String> {
    let says = &failure.says;
    let named = says.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').find_map(|word| {
        let (service, name) = word.trim_end_matches(':').split_once(':')?;
        (SERVICES.contains(&service) && is_call(name)).then(|| format!("{service}:{name}"))
    });
    named.or_else(|| {
        let call = says.split(|c: char| !c.is_ascii_alphanumeric()).next().filter(|c| is_call(c))?;
        let service = match call {
            "GetParameter" | "GetParameters" => "ssm",
            "GetCallerIdentity" | "AssumeRole" => "sts",
            _ => "ec2",
        };
        (failure.class == Class::Denied).then(|| format!("{service}:{call}"))
    })
}

/// `RunInstances`: two words at least, each with a capital.
fn is_call(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name.chars().filter(char::is_ascii_uppercase).count() >= 2
        && name.chars().any(|c| c.is_ascii_lowercase())
}

impl Explained {
    /// The page: the sentence, the provider's words, the way out.
    pub fn page(&self) -> Doc {
        let mut doc = Doc { title: Text::of(Role::Error, "error").plain(format!(": {}", self.says)), ..Doc::default() };
        doc.parts.push(crate::document::Part { rows: self.rows() });
        doc
    }

    fn rows(&self) -> Vec<Row> {
        [("says", Text::from(&self.provider)), ("way out", Text::from(&self.way_out))]
            .into_iter()
            .map(|(label, text)| {
                Row::cells(2, 0, vec![Text::new().dim(label)]).tail(Tail::Beside, text).rank(Rank::Important)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_that_is_missing_is_named() {
        for (says, found) in [
            (
                "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: ec2:RunInstances on resource: *",
                Some("ec2:RunInstances"),
            ),
            ("You are not authorized to perform this operation.", None),
            ("arn:aws:ec2:us-east-1:123456789012:instance/i-1", None),
            ("DescribeVolumes: You are not authorized to perform this operation.", Some("ec2:DescribeVolumes")),
            ("GetParameter: no", Some("ssm:GetParameter")),
            ("not allowed: ssm:GetParameter.", Some("ssm:GetParameter")),
        ] {
            assert_eq!(action(&Failure::new(Class::Denied, "", says)).as_deref(), found, "{says}");
        }
    }

    #[test]
    fn a_clusters_failure_has_a_clusters_way_out() {
        use Class::*;
        let context = Context { doing: "apply Secret shop/s", scope: "kubernetes:", ..Context::default() };
        for (class, says, way_out) in [
            (Quota, "secrets \"s\" is forbidden: exceeded quota: few", "`kubectl describe quota`"),
            (Credentials, "Unauthorized", "`kubectl auth whoami`"),
            (Denied, "User \"ci\" cannot patch resource \"secrets\"", "`kubectl auth can-i --list`"),
            (Denied, "admission webhook \"keeper\" denied the request", "whoever keeps the policy"),
            (Busy, "Apply failed: conflict with \"kubectl\"", "`--force-conflicts`"),
            (Transient, "connection refused", "`kubectl get --raw /readyz`"),
        ] {
            let e = explain(&Failure::new(class, "", says), context);
            assert!(e.way_out.contains(way_out), "{class:?}: {}", e.way_out);
        }
        for class in ALL {
            let e = explain(&Failure::new(class, "AccessDenied", "PatchSecret: no"), context);
            let all = format!("{} {}", e.says, e.way_out);
            assert!(!e.way_out.is_empty() && e.action.is_none(), "{class:?}");
            assert!(
                ["AWS", "aws", "Service Quotas", "profile", "the account's"].iter().all(|w| !all.contains(w)),
                "{all}"
            );
        }
    }

    const ALL: [Class; 12] = {
        use Class::*;
        [
            Throttled,
            Transient,
            Capacity,
            Quota,
            Denied,
            Credentials,
            NotFound,
            Busy,
            Protected,
            TokenMismatch,
            TokenSpent,
            Invalid,
        ]
    };

    #[test]
    fn every_class_has_a_way_out() {
        for class in ALL {
            let e = explain(&Failure::new(class, "Code", "words"), Context::default());
            assert!(!e.way_out.is_empty() && e.says.starts_with("could not "), "{class:?}");
        }
    }
}
