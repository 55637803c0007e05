//! Data to stdout, talk to stderr; colour, width, formats, events.

use std::io::{BufRead, BufReader};

use super::place::{Place, SHOP, TRIO, end};

/// What a person would see on a terminal.
fn width(line: &str) -> usize {
    line.chars().count()
}

#[test]
fn data_goes_to_stdout_and_talk_to_stderr() {
    let trio = Place::with(TRIO);
    let plan = trio.run("plan").ends(0);
    assert!(plan.out.contains("3 to add") && plan.err.is_empty(), "{plan}");
    let saved = trio.run("plan -o p").ends(0);
    assert!(saved.out.contains("3 to add") && !saved.out.contains("Saved"), "{saved}");
    let applied = trio.run("apply --yes").ends(0);
    assert!(!applied.out.contains("launched") && !applied.out.contains("Converged"), "{applied}");
    for command in
        ["status --format json", "plan --format json", "drift --format json", "output --format json", "schema"]
    {
        let said = trio.run(command).ends(0);
        assert!(said.json().is_object() && said.err.is_empty(), "{said}");
    }
    let bad = trio.run("plan --nonsense").ends(64);
    assert!(bad.out.is_empty(), "{bad}");
}

#[test]
fn a_closed_pipe_is_the_end_and_no_panic() {
    let shop = Place::applied(SHOP);
    for command in ["plan --format json --replace machines.web/0", "schema", "completions bash", "sim look --json"] {
        let mut child = shop.start(command);
        let mut first = String::new();
        BufReader::with_capacity(16, child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
        // The reader has gone, as `head -1` does.
        let said = end(child);
        assert!(matches!(said.code, Some(0 | 2)) && said.err.is_empty(), "{command}: {said}");
    }
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let trio = Place::with(TRIO);
    trio.run("plan").never("\u{1b}");
    trio.run("plan --color always").shows("\u{1b}[");
    trio.run_with(&[("FORCE_COLOR", "1")], "plan").shows("\u{1b}[");
    trio.run_with(&[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], "plan").never("\u{1b}");
    trio.run_with(&[("NO_COLOR", "1")], "plan --color always").shows("\u{1b}[");
    trio.run_with(&[("FORCE_COLOR", "1")], "plan --color never").never("\u{1b}");
    let plain = trio.run("plan").out;
    let mut colored = trio.run("plan --color always").out;
    while let Some(at) = colored.find('\u{1b}') {
        let length = colored[at..].find('m').expect("a sequence ends") + 1;
        colored.replace_range(at..at + length, "");
    }
    assert_eq!(plain, colored, "colour adds nothing but colour");
}

#[test]
fn no_line_is_wider_than_eighty_columns_off_a_terminal() {
    let shop = Place::applied(SHOP);
    shop.run("sim tag web/1 team=another-team-with-a-rather-long-name-that-goes-on-for-a-while-and-then-some").ends(0);
    shop.run("sim kill web/2").ends(0);
    shop.edit("50GiB", "80GiB");
    for command in ["plan", "status -v", "drift", "sim", "plan --replace machines.web/4"] {
        let said = shop.run(command);
        for line in said.out.lines() {
            // An id or a value that is one word may not be cut.
            assert!(width(line) <= 80 || !line.trim().contains(' '), "{command}: {} columns: {line}", width(line));
        }
    }
}

#[test]
fn text_json_and_markdown_tell_the_same() {
    let shop = Place::applied(SHOP);
    shop.run("sim kill web/2").ends(0);
    shop.run("sim tag web/1 team=x").ends(0);
    shop.edit("size = \"50GiB\"", "size = \"80GiB\"");
    let text = shop.run("plan").ends(0).out;
    let json = shop.run("plan --format json").ends(0).json();
    let markdown = shop.run("plan --format markdown").ends(0).out;

    assert_eq!(json["format"], "evenkeel.plan/1");
    let changes = json["changes"].as_array().expect("changes");
    let mut addresses: Vec<&str> = changes.iter().filter_map(|c| c["address"].as_str()).collect();
    addresses.sort_unstable();
    let volumes = (0..6).filter(|i| *i != 2).map(|i| format!("volumes.data/{i}"));
    for address in volumes.chain(["machines.web/1".into(), "machines.web/2".into()]) {
        assert!(addresses.contains(&address.as_str()), "{address} is not in {addresses:?}");
    }
    let summary = text.lines().last().expect("a last line");
    assert!(summary.starts_with("1 to add, 0 to replace"), "{summary}");
    assert!(markdown.contains(summary), "{markdown}");
    assert!(markdown.len() < 65_536 && markdown.contains("```diff"), "{markdown}");
    for word in ["web/1", "web/2", "50GiB → 80GiB"] {
        assert!(text.contains(word) && markdown.contains(word), "{word}");
    }

    let drift = shop.run("drift --format json").ends(4).json();
    assert_eq!(drift["format"], "evenkeel.drift/1", "{drift}");
    shop.run("drift --format markdown").ends(4).shows("web/1");
    let status = shop.run("status --json").ends(9).json();
    assert!(status["format"].as_str().is_some_and(|f| f.starts_with("evenkeel.status/")), "{status}");
}

#[test]
fn events_are_json_a_line_each_from_the_first_to_the_report() {
    let trio = Place::with(TRIO);
    let said = trio.run("apply --yes --events json").ends(0);
    let events: Vec<serde_json::Value> =
        said.out.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l} is no JSON: {e}"))).collect();
    assert_eq!(events[0]["event"], "began");
    let does = |e: &str| events.iter().filter(|v| v["event"] == e).count();
    assert_eq!(does("started"), does("done"), "{events:#?}");
    assert!(events.iter().all(|e| e["format"].is_string()));
    assert!(events.iter().filter(|e| e["event"].is_string()).all(|e| e["at"].is_string()));
    assert!(said.err.contains("3 to add"), "the page is talk then: {said}");
}

#[test]
fn verbose_says_more_and_nothing_less() {
    let trio = Place::applied(TRIO);
    let (short, long) = (trio.run("status").ends(0).out, trio.run("-v status").ends(0).out);
    assert!(long.len() >= short.len());
}
