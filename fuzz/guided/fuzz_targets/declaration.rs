//! Declarations: texts, and edits of good ones.

#![no_main]

use std::sync::LazyLock;

use evenkeel_fuzz::{seeds, targets};
use libfuzzer_sys::fuzz_target;

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(seeds::declarations);

fuzz_target!(|script: &[u8]| targets::declaration(&SEEDS, script));
