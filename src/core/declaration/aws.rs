//! `[aws]` and `[aws.<alias>]`: account and region that groups live in.

use std::collections::BTreeMap;

use super::format::Format;
use super::keys::{Block, Key, Others, Shape, key, nearest};
use super::problems::Problems;
use super::reader::Reader;
use crate::desired::Scope;

const KEYS: &[Key] = &[
    key("region", Shape::Text(Format::Region), "The region.")
        .default("AWS_REGION, or the profile's")
        .example("\"us-east-1\""),
    key("profile", Shape::Text(Format::Any), "A profile of the shared AWS config files.")
        .default("AWS_PROFILE, or the default chain")
        .example("\"prod\""),
    key("role", Shape::Text(Format::Role), "A role to assume.")
        .default("none")
        .example("\"arn:aws:iam::123456789012:role/evenkeel\"")
        .aka(&["role_arn", "assume_role"]),
    key("endpoint", Shape::Text(Format::Url), "An EC2-like server to talk to instead of AWS.")
        .default("AWS_ENDPOINT_URL, or AWS")
        .example("\"http://127.0.0.1:5000\"")
        .aka(&["endpoint_url"]),
    key("account", Shape::Text(Format::Account), "The only account to act in; in any other, evenkeel refuses.")
        .default("any")
        .example("\"123456789012\"")
        .aka(&["account_id", "allowed_account_ids"]),
];

/// `[aws]`.
pub static AWS: Block = Block {
    title: "[aws]",
    about: "Where things live. A second region or account is `[aws.<alias>]`, and groups name it with `aws = \"<alias>\"`.",
    keys: KEYS,
    others: Some(Others {
        name: "<alias>",
        format: Format::Name,
        shape: Shape::Table(&ALIAS),
        about: "Another region or account.",
    }),
    later: &[],
};

/// `[aws.<alias>]`.
pub static ALIAS: Block = Block {
    title: "[aws.<alias>]",
    about: "Another region or account, with the same keys.",
    keys: KEYS,
    others: None,
    later: &[],
};

/// Reads all scopes. The plain one is there even when the file has no `[aws]`.
pub fn read(r: Option<&Reader<'_>>) -> BTreeMap<String, Scope> {
    let mut scopes = BTreeMap::from([(String::new(), Scope::default())]);
    if let Some(r) = r {
        scopes.insert(String::new(), scope(r));
        scopes.extend(r.groups().into_iter().map(|(alias, r)| (alias.to_owned(), scope(&r))));
    }
    scopes
}

fn scope(r: &Reader<'_>) -> Scope {
    Scope {
        region: r.text("region"),
        profile: r.text("profile"),
        role: r.text("role"),
        endpoint: r.text("endpoint"),
        account: r.text("account"),
    }
}

/// The alias a group names with `aws`, or the plain one.
pub fn alias(r: &Reader<'_>, scopes: &BTreeMap<String, Scope>, problems: &mut Problems<'_>) -> String {
    let Some(alias) = r.text("aws") else { return String::new() };
    if !scopes.contains_key(&alias) {
        let says = format!("there is no [aws.{alias}]");
        match nearest(&alias, scopes.keys().filter(|k| !k.is_empty()).map(String::as_str)) {
            Some(near) => problems
                .error("E0402", r.at("aws"), says, format!("write \"{near}\""))
                .label(format!("did you mean \"{near}\"?"))
                .fix(r.at("aws"), format!("\"{near}\"")),
            None => {
                problems.error(
                    "E0402",
                    r.at("aws"),
                    says,
                    format!("add a table [aws.{alias}] with its region, or take `aws` away to use [aws]"),
                );
            }
        }
    }
    alias
}
