//! What is tried. Each takes a script of edits; none asserts more than that what was accepted can be used.

use std::path::Path;

use evenkeel_core::declaration::{Inputs, Source, apply_fixes, declare, fmt};
use evenkeel_core::digest::Digest;
use evenkeel_core::objects::compare::compare;
use evenkeel_core::objects::settle::settle;
use evenkeel_core::plan::Plan;
use evenkeel_core::progress::Progress;
use evenkeel_engine::journal::Journal;
use evenkeel_engine::planfile;
use evenkeel_present::plan::{View, page};
use evenkeel_present::redact::Redactor;
use evenkeel_present::{diagnostics, json, plan_json, render};
use evenkeel_sim::World;
use serde_json::Value;

use crate::mutant;
use crate::seeds::Run;

/// A declaration: read, checked, told, mended, formatted. After the byte 255 the text itself stands, else a script.
pub fn declaration(seeds: &[Vec<u8>], script: &[u8]) {
    let bytes = match script.split_first() {
        Some((255, text)) => text.to_vec(),
        Some(_) | None => mutant::bytes(seeds, script),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let main = Source { name: "evenkeel.toml".into(), text: text.clone() };
    let declared = declare(&Inputs { main, ..Inputs::default() });
    let secrets = Redactor::new(&declared.secrets);
    let sources = declared.sources.iter().map(|s| (s.name.clone(), s.text.clone())).collect();
    drop(diagnostics::text(&declared.diagnostics, &sources, &secrets, 80, true));
    drop(json::pretty(&diagnostics::json(&declared.diagnostics, &sources), &secrets));
    drop(apply_fixes(&text, &declared.diagnostics));
    if let Ok(once) = fmt(&text) {
        let twice = fmt(&once).expect("what was formatted can be formatted");
        assert_eq!(once, twice, "formatting is done at once");
    }
}

/// A plan file: refused, or shown. Sealed again after the edits, for a seal alone stops nearly every mutant.
pub fn plan(run: &Run, script: &[u8]) {
    let path = Path::new("plan.json");
    let text = mutant::bytes(std::slice::from_ref(&run.file), script);
    assert!(planfile::parse(path, &text).is_err() || text == run.file, "an edited plan is no longer sealed");
    let whole: Value = serde_json::from_slice(&run.file).expect("a plan file is JSON");
    let edited = mutant::json(&whole["plan"], &whole, script);
    let Ok(plan) = serde_json::from_value::<Plan>(edited) else { return };
    if let Ok(plan) = planfile::parse(path, &planfile::bytes(&plan.seal())) {
        drop(render::text(&page(&plan, View::default()), &Redactor::none(), 80, true));
        drop(json::pretty(&plan_json::json(&plan), &Redactor::none()));
        drop(Progress::new(plan));
    }
}

/// A journal: refused, or replayed over its plan.
pub fn journal(run: &Run, folder: &Path, script: &[u8]) {
    let text = mutant::bytes(std::slice::from_ref(&run.journal), script);
    let id: &Digest = &run.plan.id;
    std::fs::write(folder.join(format!("{}.jsonl", id.0)), text).expect("the folder can be written");
    if let Ok((_, events)) = Journal::open(folder, id) {
        drop(Progress::replay(run.plan.clone(), &events));
    }
}

/// The sim's world file: refused, or kept as it is.
pub fn world(run: &Run, script: &[u8]) {
    let text = mutant::bytes(std::slice::from_ref(&run.world), script);
    if let Ok(world) = World::from_toml(&String::from_utf8_lossy(&text)) {
        let written = world.to_toml();
        let again = World::from_toml(&written).expect("what was written can be read");
        assert_eq!(again.to_toml(), written, "a world that is kept stays the same");
    }
}

/// A Kubernetes object of the file against a live one and the server's dry run, whatever stands in them.
pub fn objects(cases: &[(Value, Value)], script: &[u8]) {
    let (which, script) = script.split_first().unwrap_or((&0, &[]));
    let at = |n: usize| &cases[(usize::from(*which) + n) % cases.len()];
    let (half, other) = script.split_at(script.len() / 2);
    let wish = mutant::json(&at(0).0, &at(1).1, half);
    let live = mutant::json(&at(0).1, &at(2).1, other);
    let comparison = compare(&wish, &live, "evenkeel");
    let dry = mutant::json(&live, &wish, half);
    drop(settle(comparison, &dry, &live, "evenkeel"));
}
