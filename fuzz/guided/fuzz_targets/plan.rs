//! Plan files: edits of a good one.

#![no_main]

use std::sync::LazyLock;

use evenkeel_fuzz::{seeds, targets};
use libfuzzer_sys::fuzz_target;

static RUN: LazyLock<seeds::Run> = LazyLock::new(seeds::run);

fuzz_target!(|script: &[u8]| targets::plan(&RUN, script));
