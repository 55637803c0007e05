//! Many scripts for one target, each the same for the same seed and number, so that what fails can be tried again.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// One target at a time: what memory grows by is then its own.
static ONE: Mutex<()> = Mutex::new(());

/// Scripts of one target where `EVENKEEL_FUZZ_INPUTS` says nothing.
const FEW: u64 = 1_000;

/// Bytes of the longest script: some eighty edits.
const SCRIPT: u64 = 400;

/// What all inputs together may take, in kB, which bounds each of them from above.
const MOST: u64 = 64 << 10;

/// Tries the scripts that a guided run found worth keeping (`guided/corpus/<target>`), then others: as many as
/// `EVENKEEL_FUZZ_INPUTS` says, from number `EVENKEEL_FUZZ_FROM` on, of the seed `EVENKEEL_FUZZ_SEED`. With `EVENKEEL_FUZZ_TELL` each is told before it is tried.
///
/// # Panics
/// As the target does, with the line that tries the same script again; or when memory grew by more than 64 MB.
pub fn scripts(name: &str, target_name: &str, mut target: impl FnMut(&[u8])) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let set = |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise);
    let (seed, from) = (set("EVENKEEL_FUZZ_SEED", 1), set("EVENKEEL_FUZZ_FROM", 0));
    let inputs = set("EVENKEEL_FUZZ_INPUTS", FEW);
    // A stack that overflows ends the process, and nobody can say afterwards which script it was.
    let tell = std::env::var_os("EVENKEEL_FUZZ_TELL").is_some();
    // Makes the peak start anew (proc(5), clear_refs).
    let _ = fs::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS");
    for (file, script) in kept(target_name).iter().filter(|_| from == 0) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(script))) {
            eprintln!("{name}: {file}");
            resume_unwind(panic);
        }
    }
    for n in from..from.saturating_add(inputs) {
        let script = script(seed, n);
        if tell {
            eprintln!("{name}: number {n}");
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(&script))) {
            eprintln!(
                "{name}: again with EVENKEEL_FUZZ_SEED={seed} EVENKEEL_FUZZ_FROM={n} EVENKEEL_FUZZ_INPUTS=1 cargo test -p \
                 evenkeel-fuzz {name}"
            );
            resume_unwind(panic);
        }
    }
    let took = memory("VmHWM").saturating_sub(before);
    println!("{name}: {inputs} inputs, {} MB at most", took / 1024);
    assert!(took <= MOST, "{name}: {took} kB");
}

/// What a guided run of this target kept, by file.
fn kept(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guided/corpus").join(target);
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let mut all: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    all.sort();
    all.iter().filter_map(|path| Some((path.display().to_string(), fs::read(path).ok()?))).collect()
}

fn script(seed: u64, n: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(n);
    // Most are short: a few edits go deeper than many.
    let length = (random.next_u64() % SCRIPT).min(random.next_u64() % SCRIPT);
    let mut script = vec![0; usize::try_from(length).unwrap_or_default()];
    random.fill_bytes(&mut script);
    script
}

/// Resident memory, now or at most, in kB; zero where there is no /proc.
fn memory(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(what)?.strip_prefix(':'));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
