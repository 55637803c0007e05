//! AWS's answers, as the real client reads them: edits of good ones.

#![no_main]

use std::cell::RefCell;

use evenkeel_aws::fuzz::Answers;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static ANSWERS: RefCell<Answers> = RefCell::new(Answers::new());
}

fuzz_target!(|script: &[u8]| ANSWERS.with_borrow_mut(|answers| answers.hear(script)));
