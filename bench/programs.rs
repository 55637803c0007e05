//! The programs, one after another, each on the same served world as those it is held against.

use std::path::PathBuf;
use std::process::Command;

use crate::goals::{Goals, Row};
use crate::scene::{Calls, STACK, Scene, file, waiting};
use crate::usage::{Usage, measure};

/// Runs of each program; the least CPU counts, for what else the machine does only adds.
const TRIES: u32 = 3;

/// Everything, with fleets of up to `largest` machines.
pub fn all(largest: u32) -> Goals {
    let mut goals = Goals::default();
    let evenkeel = beside("evenkeel");
    let valgrind = valgrind();
    if !valgrind {
        goals.note("skipped: instructions are not counted: no valgrind (Debian: apt-get install valgrind)");
    }
    let cli = cli();
    if cli.is_none() {
        goals.note("skipped: the AWS CLI: EVENKEEL_TEST_MOTO names no Python that has it (tests/lab/setup.sh)");
    }
    let bench = Bench { evenkeel, valgrind, cli };
    bench.startup(&mut goals);
    bench.creation(&mut goals);
    let sizes = [1_000, 10_000, 100_000].into_iter().filter(|n| *n <= largest);
    let plans: Vec<(u32, f64)> = sizes.map(|n| (n, bench.plans(n, &mut goals))).collect();
    if let [(least, cheap), .., (most, dear)] = plans.as_slice() {
        let exponent = (dear / cheap).ln() / (f64::from(*most) / f64::from(*least)).ln();
        let by = if bench.valgrind { "instructions" } else { "CPU time" };
        goals.measure(format!("growth of a plan's {by}, {least} to {most} machines"), exponent, 1.1, "as exponent");
    }
    goals
}

/// A program beside this one.
fn beside(name: &str) -> PathBuf {
    let path = std::env::current_exe().expect("this program has a path").with_file_name(name);
    assert!(path.is_file(), "{} is not built: bench/run builds it", path.display());
    path
}

fn valgrind() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|said| said.status.success())
}

/// The lab's Python, if it has the AWS CLI.
fn cli() -> Option<String> {
    let python = std::env::var("EVENKEEL_TEST_MOTO").ok()?;
    let has = Command::new(&python).args(["-c", "import awscli"]).output().is_ok_and(|said| said.status.success());
    has.then_some(python)
}

struct Bench {
    evenkeel: PathBuf,
    valgrind: bool,
    cli: Option<String>,
}

impl Bench {
    fn evenkeel(&self, words: &str) -> Vec<String> {
        let program = self.evenkeel.display().to_string();
        std::iter::once(program).chain(words.split_whitespace().map(str::to_owned)).collect()
    }

    /// What the program costs before it does anything.
    fn startup(&self, goals: &mut Goals) {
        let empty = Scene::empty(&file(0, false));
        for words in ["--version", "plan"] {
            let program = self.evenkeel(words);
            let (mut row, _) = run(&empty, &program, 0, &format!("evenkeel {words}"));
            row.instructions = self.instructions(&empty, &program);
            goals.row(row);
        }
    }

    /// A thousand machines are made.
    fn creation(&self, goals: &mut Goals) {
        let n = 1_000;
        let scene = Scene::empty(&file(n, false));
        let (row, used) = run_once(&scene, &self.evenkeel("apply --yes"), n, "evenkeel apply, all new");
        let (reads, changes) = row.calls;
        goals.count("changing calls, 1000 machines made", changes as f64, 12.0, "calls");
        goals.count("calls in all, 1000 machines made", (reads + changes) as f64, 60.0, "calls");
        goals.count("waiting for AWS's buckets, 1000 machines made", waiting(n), 10.0, "virtual s");
        goals.count("written, 1000 machines made", (row.written + used.said as u64) as f64 / 1e6, 1.0, "MB");
        goals.row(row);
    }

    /// Plans of `n` machines with nothing to do. What a plan of evenkeel's costs.
    fn plans(&self, n: u32, goals: &mut Goals) -> f64 {
        eprintln!("{n} machines: made in memory first");
        let scene = Scene::standing(n);
        let plan = self.evenkeel("plan");
        let itself = std::env::current_exe().expect("this program has a path").display().to_string();
        let (bare, heard) = run(&scene, &[itself, "bare".to_owned(), STACK.to_owned()], n, "bare SDK, the same lists");
        let (mut row, calls) = run(&scene, &plan, n, "evenkeel plan");
        row.ratio = Some(row.used.cpu / bare.used.cpu);
        row.instructions = self.instructions(&scene, &plan);
        let cost = row.instructions.unwrap_or(row.used.cpu);
        if calls != heard {
            goals.note(format!("the bare program did not make the same calls: {heard:?} and not {calls:?}"));
        }
        goals.measure(format!("CPU of a plan of {n} against the bare SDK"), row.used.cpu / bare.used.cpu, 1.3, "times");
        match n {
            1_000 => goals.count("calls, plan of 1000", row.calls.0 as f64, 9.0, "calls"),
            10_000 => {
                goals.count("calls, plan of 10000", row.calls.0 as f64, 45.0, "calls");
                goals.count("peak memory, plan of 10000", row.used.peak, 100.0, "MB");
            }
            _ => {}
        }
        goals.row(bare);
        goals.row(row);
        if let Some(python) = self.cli.as_ref().filter(|_| n <= 10_000) {
            goals.row(by_cli(&scene, python, n));
        }
        cost
    }

    /// Millions of instructions that one run takes.
    fn instructions(&self, scene: &Scene, program: &[String]) -> Option<f64> {
        if !self.valgrind {
            return None;
        }
        let counts = scene.place().with_extension("counts");
        let mut command = Command::new("valgrind");
        command.args(["--tool=cachegrind", "--cache-sim=no"]);
        command.arg(format!("--cachegrind-out-file={}", counts.display())).args(program);
        command.current_dir(scene.place()).env_clear().envs(scene.environment());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let said = command.output().ok().filter(|said| said.status.success())?;
        // `==17== I   refs:      4,711`
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        let line = text.lines().find(|line| line.contains("refs:"))?;
        let digits: String = line.rsplit(':').next()?.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<f64>().ok().map(|n| n / 1e6)
    }
}

/// One run, and the calls that the world heard of it.
fn run_once(scene: &Scene, program: &[String], n: u32, what: &str) -> (Row, Usage) {
    let (before, had) = (scene.calls(), scene.written());
    let used = measure(&scene.place(), &scene.environment(), program);
    assert_eq!(used.code, 0, "{program:?}");
    let calls = since(scene.calls(), &before);
    let of = |changing: bool| calls.values().filter(|(_, changes)| *changes == changing).map(|(count, _)| count).sum();
    let (calls, written) = ((of(false), of(true)), scene.written().saturating_sub(had));
    (Row { n, what: what.to_owned(), used, calls, written, instructions: None, ratio: None }, used)
}

/// The best of some runs, and the calls of the last by name.
fn run(scene: &Scene, program: &[String], n: u32, what: &str) -> (Row, Calls) {
    let mut best: Option<Row> = None;
    let mut calls = Calls::new();
    for _ in 0..TRIES {
        let before = scene.calls();
        let (row, _) = run_once(scene, program, n, what);
        calls = since(scene.calls(), &before);
        if best.as_ref().is_none_or(|best| row.used.cpu < best.used.cpu) {
            best = Some(row);
        }
    }
    (best.expect("there was a run"), calls)
}

fn since(mut now: Calls, before: &Calls) -> Calls {
    for (name, (count, _)) in before {
        if let Some((all, _)) = now.get_mut(name) {
            *all -= count;
        }
    }
    now.retain(|_, (count, _)| *count > 0);
    now
}

/// The same lists as the AWS CLI makes them, one process each.
fn by_cli(scene: &Scene, python: &str, n: u32) -> Row {
    let mine = format!("--filters Name=tag:evenkeel:stack,Values={STACK}");
    let lists = [
        "sts get-caller-identity".to_owned(),
        "ec2 describe-availability-zones".to_owned(),
        format!("ec2 describe-instances --page-size 1000 {mine}"),
        "ec2 describe-instance-status --page-size 1000 --include-all-instances".to_owned(),
        format!("ec2 describe-volumes --page-size 1000 {mine}"),
        "ec2 describe-images --owners amazon --filters Name=name,Values=al2023-ami-2023.*-x86_64".to_owned(),
        "ec2 describe-security-groups --filters Name=group-name,Values=web".to_owned(),
    ];
    let mut sum: Option<Row> = None;
    for words in lists {
        let words = format!("-m awscli {words} --output json");
        let program: Vec<String> =
            std::iter::once(python.to_owned()).chain(words.split_whitespace().map(str::to_owned)).collect();
        let (one, _) = run_once(scene, &program, n, "AWS CLI, the same lists");
        match &mut sum {
            None => sum = Some(one),
            Some(sum) => {
                sum.used.cpu += one.used.cpu;
                sum.used.peak = sum.used.peak.max(one.used.peak);
                sum.calls = (sum.calls.0 + one.calls.0, sum.calls.1 + one.calls.1);
            }
        }
    }
    sum.expect("there are lists")
}
