//! Kubernetes objects: edits of recorded ones, wished against live.

#![no_main]

use std::sync::LazyLock;

use evenkeel_fuzz::{seeds, targets};
use libfuzzer_sys::fuzz_target;

static CASES: LazyLock<seeds::Cases> = LazyLock::new(seeds::objects);

fuzz_target!(|script: &[u8]| targets::objects(&CASES, script));
