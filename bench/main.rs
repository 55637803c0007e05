//! MEASURES. What the real binary costs on the served world, beside a bare program of the same SDK doing the same
//! listings and beside the AWS CLI, in one run: ratios and counts, which do not depend on the machine.
//!
//! `bench/run` builds and runs it (CONTRIBUTING.md). One table of rows, one of goals; ends with 1 when a goal that is a
//! count is missed. It refuses to judge times by the clock on the wall. `evenkeel-bench stand N` holds a scene still
//! for a profiler.

mod bare;
mod goals;
mod programs;
mod scene;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((word, rest)) if word == "bare" => bare::run(rest),
        Some((word, rest)) if word == "stand" => stand(rest),
        Some((word, _)) if word.starts_with("--") => {
            eprintln!("evenkeel-bench [LARGEST]: bench/run says how");
            ExitCode::from(64)
        }
        largest => {
            let largest = largest.and_then(|(n, _)| n.parse().ok()).unwrap_or(10_000);
            let goals = programs::all(largest);
            println!("{goals}");
            if goals.a_count_is_missed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}

/// `stand N`: a fleet of N machines stands until stdin ends, for a profiler to look at what is done with it. Prints the
/// shell's words that lead there.
fn stand(words: &[String]) -> ExitCode {
    let [n] = words else { return ExitCode::from(64) };
    let Ok(n) = n.parse() else { return ExitCode::from(64) };
    let scene = scene::Scene::standing(n);
    println!("cd {}", scene.place().display());
    for (key, value) in scene.environment() {
        println!("export {key}={value}");
    }
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ExitCode::SUCCESS
}
