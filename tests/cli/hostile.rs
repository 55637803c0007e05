//! Names and values from the world may be written by anybody: they are shown, and do nothing to a terminal.

use super::place::{Place, SHOP};

/// What a terminal or a reader could be fooled with: escapes, a bell, a carriage return, bidirectional controls, what
/// has no width, a line break, and text that looks like markdown.
const TRICKS: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\r\u{202e}gpj\u{2066}\u{200b}\u{feff}\u{ad}\u{9b}31m\nend```";

fn is_tame(text: &str) {
    for c in text.chars() {
        let hidden = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        assert!(!hidden && (c == '\n' || !c.is_control()), "{c:?} came through in\n{}", text.escape_debug());
    }
}

#[test]
fn a_hostile_tag_is_shown_escaped_wherever_it_is_shown() {
    let shop = Place::applied(SHOP);
    for object in ["web/1", "data/1"] {
        shop.args(&["sim", "tag", object, &format!("team={TRICKS}")]).ends(0);
        shop.args(&["sim", "tag", object, &format!("Name={TRICKS}")]).ends(0);
        shop.args(&["sim", "tag", object, &format!("{TRICKS}=x")]).ends(0);
    }
    for command in [
        "plan",
        "plan -o p",
        "show p",
        "plan --format json",
        "plan --format markdown",
        "drift",
        "drift --format json",
        "drift --format markdown",
        "status -v",
        "status --json",
        "sim",
        "sim look --json",
        "output",
        "apply --yes",
    ] {
        let said = shop.run(command);
        is_tame(&said.out);
        is_tame(&said.err);
        assert!(matches!(said.code, Some(0 | 3)), "{said}");
    }
    shop.run("plan --exit-code").ends(0);
}

#[test]
fn the_value_of_a_hostile_tag_can_still_be_read() {
    let shop = Place::applied(SHOP);
    shop.args(&["sim", "tag", "web/1", "team=a\u{1b}[31mb\u{202e}c"]).ends(0);
    for command in ["plan", "drift"] {
        shop.run(command).shows("a\\u{1b}[31mb\\u{202e}c");
    }
}

#[test]
fn a_hostile_stamp_is_no_address() {
    let shop = Place::applied(SHOP);
    shop.args(&["sim", "tag", "web/1", &format!("evenkeel:address={TRICKS}")]).ends(0);
    shop.args(&["sim", "tag", "web/2", &format!("evenkeel:spec={TRICKS}")]).ends(0);
    shop.args(&["sim", "tag", "web/3", &format!("evenkeel:launch={TRICKS}")]).ends(0);
    for command in ["plan", "plan --format json", "drift", "status", "sim"] {
        let said = shop.run(command);
        is_tame(&said.out);
        is_tame(&said.err);
    }
}

#[test]
fn what_a_user_types_is_not_echoed_raw() {
    let shop = Place::with(SHOP);
    let tricks = TRICKS.replace('\n', "");
    for words in [
        vec!["plan", "--target", tricks.as_str()],
        vec!["plan", "--replace", tricks.as_str()],
        vec!["plan", "--max-deletes", tricks.as_str()],
        vec!["plan", "--var", tricks.as_str()],
        vec!["plan", "-f", tricks.as_str()],
        vec!["apply", tricks.as_str()],
        vec!["protect", tricks.as_str()],
        vec!["output", tricks.as_str()],
        vec!["sim", "kill", tricks.as_str()],
        vec!["--env", tricks.as_str(), "plan"],
    ] {
        let said = shop.args(&words);
        is_tame(&said.out);
        is_tame(&said.err);
    }
}
