//! `[stack]`, and the tags that go on everything: which are allowed, and how many.

use std::collections::BTreeMap;

use super::format::Format;
use super::keys::{Block, Others, Shape, key};
use super::problems::Problems;
use super::reader::Reader;
use super::tree::At;
use crate::desired::Stack;
use crate::stamp::tag;

/// EC2 takes 50 tags an object; seven are ours: the four marks of `stamp::tag` and `Name` in the create call, and
/// two that come and go (`evenkeel:protect`, `evenkeel:quarantine`).
pub const MOST_TAGS: usize = 50 - 7;

/// `[stack]`.
pub static STACK: Block = Block {
    title: "[stack]",
    about: "Whose everything in this file is.",
    keys: &[
        key("name", Shape::Text(Format::Name), "The stack's name, for people.").required().example("\"shop\""),
        key(
            "id",
            Shape::Text(Format::StackId),
            "Ownership goes by it. Written once by `evenkeel init`; another id is another stack, even under the same name.",
        )
        .required()
        .example("\"7f3kq2x9\""),
        key("tags", Shape::Table(&TAGS), "Tags on every machine, disk and volume.")
            .default("none")
            .example("{ team = \"payments\" }"),
    ],
    others: None,
    later: &[],
};

/// Any `tags`.
pub static TAGS: Block = Block {
    title: "tags",
    about: "Key and value. EC2 takes 50 tags an object, seven of which evenkeel needs.",
    keys: &[],
    others: Some(Others {
        name: "<key>",
        format: Format::TagKey,
        shape: Shape::Text(Format::TagValue),
        about: "A tag's value.",
    }),
    later: &[],
};

/// Reads `[stack]`.
pub fn read(r: &Reader<'_>, problems: &mut Problems<'_>) -> Stack {
    Stack {
        name: r.text("name").unwrap_or_default(),
        id: r.text("id").unwrap_or_default(),
        tags: tags(r, "tags", problems),
    }
}

/// Reads the tags at a key, and refuses those that are AWS's or ours.
pub fn tags(r: &Reader<'_>, key: &str, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let Some(table) = r.table(key) else { return all };
    for (name, node) in table.others() {
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("aws:") || lower.starts_with(tag::OURS) {
            let whose = if lower.starts_with("aws:") { "AWS's" } else { "evenkeel's" };
            problems.error(
                "E0703",
                node.key,
                format!("tags that begin with `{}` are {whose} own", &name[..name.find(':').map_or(0, |i| i + 1)]),
                "choose another key",
            );
        } else if name == tag::NAME {
            problems.error(
                "E0703",
                node.key,
                "evenkeel sets the tag `Name` itself: `shop/web` for machines.web of the stack `shop`",
                "choose another key, or take it away",
            );
        }
        all.insert(name.to_owned(), node.text().unwrap_or_default().to_owned());
    }
    all
}

/// The group's tags over the stack's, refused when EC2 has no room for them.
pub fn merged(
    stack: &BTreeMap<String, String>,
    own: BTreeMap<String, String>,
    at: At,
    path: &str,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, String> {
    let mut all = stack.clone();
    all.extend(own);
    if all.len() > MOST_TAGS {
        problems.error(
            "E0702",
            at,
            format!("`{path}` has {} tags, those of [stack] included; there is room for {MOST_TAGS}", all.len()),
            format!("take {} away: EC2 takes 50 an object, and evenkeel needs seven", all.len() - MOST_TAGS),
        );
    }
    all
}
