//! Journals: edits of a good one.

#![no_main]

use std::sync::LazyLock;

use evenkeel_fuzz::{seeds, targets};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static RUN: LazyLock<(seeds::Run, TempDir)> =
    LazyLock::new(|| (seeds::run(), tempfile::tempdir().expect("a folder can be made")));

fuzz_target!(|script: &[u8]| targets::journal(&RUN.0, RUN.1.path(), script));
