//! Boot scripts: a file beside the declaration or a text in it, raw or as a template, rendered for a slot and a zone.

use std::collections::{BTreeMap, BTreeSet};

use super::conform::shown;
use super::format::Format;
use super::jinja;
use super::keys::{Block, Shape, key};
use super::problems::Problems;
use super::tree::{Node, Val};
use super::vars::Vars;
use crate::desired::UserData;

/// EC2 takes 16 KiB of user data before base64.
pub const LONGEST: usize = 16 * 1024;

/// `user-data` as a table.
pub static USER_DATA: Block = Block {
    title: "user-data",
    about: "A boot script. As a plain text it is the file's name.",
    keys: &[
        key("file", Shape::Text(Format::File), "A file, seen from the declaration's folder.").example("\"boot.sh.j2\""),
        key("text", Shape::Text(Format::Script), "The script itself, instead of a file.")
            .example("\"#!/bin/sh\\necho {{ group }} {{ slot }}\\n\""),
        key(
            "template",
            Shape::Bool,
            "Whether it is a minijinja template, with `slot`, `zone`, `group`, `count`, `vars`, `stack` and `env` at hand, and with `nodes` `cluster` and `node`.",
        )
        .default("true for `text` and for files that end in .j2")
        .example("true"),
    ],
    others: None,
    later: &[],
};

/// The file that a `user-data` value names, if it may be read.
pub fn file(node: &Node) -> Option<&str> {
    let name = node.text().or_else(|| node.get("file").and_then(Node::text))?;
    Format::File.check(name).ok().map(|()| name)
}

/// Reads `user-data`.
pub fn read(
    node: &Node,
    path: &str,
    vars: serde_json::Value,
    files: &BTreeMap<String, Vec<u8>>,
    problems: &mut Problems<'_>,
) -> Option<UserData> {
    let text = node.get("text");
    let named = node.text().is_some() || node.get("file").is_some();
    let asked = match node.get("template").map(|n| &n.val) {
        Some(Val::Bool(b)) => Some(*b),
        Some(_) | None => None,
    };
    match (text, named) {
        (Some(text), true) => {
            let says = format!("`{path}` has both `file` and `text`");
            problems.error("E0302", text.key, says, "keep one of the two");
            None
        }
        (None, false) => {
            if node.table().is_some() {
                let says = format!("`{path}` needs `file` or `text`");
                problems.error("E0104", node.key, says, "write `user-data = \"boot.sh.j2\"`, or add `text`");
            }
            None
        }
        (Some(text), false) => Some(UserData {
            template: text.text()?.to_owned(),
            vars,
            is_template: asked.unwrap_or(true),
            file: path.to_owned(),
        }),
        (None, true) => {
            let name = file(node)?;
            let at = node.get("file").map_or(node.at, |n| n.at);
            let Some(bytes) = files.get(name) else {
                let says = format!("the file {} cannot be read", shown(name));
                problems.error("E0302", at, says, "put it beside the declaration, or correct the name");
                return None;
            };
            let Ok(template) = String::from_utf8(bytes.clone()) else {
                let says = format!("the file {} is not UTF-8 text", shown(name));
                problems.error("E0303", at, says, "give a script as text; fetch binary files from it");
                return None;
            };
            let is_template = asked.unwrap_or(name.ends_with(".j2"));
            Some(UserData { template, vars, is_template, file: name.to_owned() })
        }
    }
}

/// The bytes that the machine of `slot` in `zone` gets.
///
/// # Errors
/// In words, when the template does not parse, names what is not there, or takes too many steps.
pub fn render_user_data(data: &UserData, slot: u32, zone: &str) -> Result<Vec<u8>, String> {
    if !data.is_template {
        return Ok(data.template.clone().into_bytes());
    }
    let mut context = match &data.vars {
        serde_json::Value::Object(map) => map.clone(),
        _ => serde_json::Map::new(),
    };
    context.insert("slot".to_owned(), slot.into());
    context.insert("zone".to_owned(), zone.into());
    let context = serde_json::Value::Object(context);
    jinja::render(&data.template, &context, jinja::BIG).map(String::into_bytes)
}

/// Whether machines of one zone get different scripts: then they cannot share one launch.
pub fn depends_on_slot(data: &UserData) -> bool {
    mentions(data, "slot")
}

/// Whether machines of different zones get different scripts.
pub fn depends_on_zone(data: &UserData) -> bool {
    mentions(data, "zone")
}

fn mentions(data: &UserData, what: &str) -> bool {
    // A template that does not parse is said to depend on everything; it is refused anyway.
    data.is_template
        && jinja::template_names(&data.template)
            .map_or(true, |names| names.iter().any(|n| n == what || n.split('.').next() == Some(what)))
}

/// Renders it as slot 0 and the last slot would get it in each zone, and refuses what fails or is too long.
pub fn check(
    node: &Node,
    path: &str,
    data: &UserData,
    count: u32,
    zones: &[String],
    vars: &Vars,
    problems: &mut Problems<'_>,
) {
    let at = node.get("file").or_else(|| node.get("text")).map_or(node.at, |n| n.at);
    let zones = if depends_on_zone(data) { zones } else { &zones[..zones.len().min(1)] };
    let last = if depends_on_slot(data) { count.saturating_sub(1) } else { 0 };
    for zone in zones {
        for slot in BTreeSet::from([0, last]) {
            match render_user_data(data, slot, zone) {
                Err(says) => {
                    let mut missing = jinja::missing_names(&data.template, &data.vars);
                    missing.retain(|name| !matches!(name.as_str(), "slot" | "zone"));
                    let named = missing.iter().find(|name| !vars.lacks(name));
                    if named.is_none() && !missing.is_empty() {
                        return;
                    }
                    let says = named.map_or(says, |name| format!("`{}` is not at hand", name.escape_debug()));
                    problems.error(
                        "E0305",
                        at,
                        format!("{} cannot be rendered: {says}", shown(&data.file)),
                        "at hand are slot, zone, group, count, vars.…, stack.name, stack.id and env; with `nodes` cluster.… and node.…",
                    );
                    return;
                }
                Ok(bytes) if bytes.len() > LONGEST => {
                    problems.error(
                        "E0304",
                        at,
                        format!("`{path}` is {} bytes for slot {slot}; EC2 takes {LONGEST}", bytes.len()),
                        "make it shorter: let it fetch the rest",
                    );
                    return;
                }
                Ok(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(template: &str) -> UserData {
        let vars = serde_json::json!({"vars": {"team": "payments"}});
        UserData { template: template.to_owned(), vars, is_template: true, file: "boot.sh.j2".to_owned() }
    }

    #[test]
    fn a_script_is_rendered_for_its_slot_and_zone() {
        let text = "#!/bin/sh\necho {{ vars.team }} {{ slot }} {{ zone }}\n";
        let bytes = render_user_data(&data(text), 3, "us-east-1a").unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "#!/bin/sh\necho payments 3 us-east-1a\n");
        let raw = UserData { is_template: false, ..data(text) };
        assert_eq!(render_user_data(&raw, 3, "us-east-1a").unwrap(), text.as_bytes());
    }

    #[test]
    fn a_script_that_names_nothing_of_its_slot_is_shared() {
        assert!(depends_on_slot(&data("{{ slot }}")) && depends_on_slot(&data("{% if slot > 1 %}x{% endif %}")));
        assert!(depends_on_slot(&data("{{ slot")) && depends_on_zone(&data("{{ zone[0] }}")));
        assert!(!depends_on_slot(&data("{{ vars.slot }} {{ zone }}")));
        assert!(!depends_on_slot(&UserData { is_template: false, ..data("{{ slot }}") }));
    }

    #[test]
    fn a_template_reads_no_file_and_ends() {
        assert!(render_user_data(&data("{% include '/etc/passwd' %}"), 0, "a").unwrap_err().contains("include"));
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(render_user_data(&data(endless), 0, "a").unwrap_err().contains("steps"));
    }
}
