//! The targets under `cargo test`: a thousand scripts each; more on demand (see CONTRIBUTING.md).

use evenkeel_fuzz::{many, seeds, targets};

#[test]
fn no_declaration_panics() {
    let seeds = seeds::declarations();
    many::scripts("no_declaration_panics", "declaration", |script| targets::declaration(&seeds, script));
}

#[test]
fn no_plan_file_panics() {
    let run = seeds::run();
    many::scripts("no_plan_file_panics", "plan", |script| targets::plan(&run, script));
}

#[test]
fn no_journal_panics() {
    let (run, folder) = (seeds::run(), tempfile::tempdir().expect("a folder"));
    many::scripts("no_journal_panics", "journal", |script| targets::journal(&run, folder.path(), script));
}

#[test]
fn no_world_file_panics() {
    let run = seeds::run();
    many::scripts("no_world_file_panics", "world", |script| targets::world(&run, script));
}

#[test]
fn no_kubernetes_object_panics() {
    let cases = seeds::objects();
    many::scripts("no_kubernetes_object_panics", "objects", |script| targets::objects(&cases, script));
}

#[test]
fn the_seeds_are_good_before_they_are_edited() {
    let run = seeds::run();
    assert!(seeds::declarations().len() > 3 && seeds::objects().len() > 10 && run.journal.len() > 100);
    targets::world(&run, &[]);
    targets::plan(&run, &[]);
}
