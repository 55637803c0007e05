//! What the sweeps share: a served world, IAM with `policy aws` before it, a proxy before that, and the program in a
//! folder; what is wrong with an end, and tables.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use evenkeel_core::stamp::tag;
use evenkeel_ec2::permissions::{For, document};
use evenkeel_sim::World;
use rustix::process::Pid;
use serde_json::Value;

use crate::front::lab::Served;
use crate::laws::crash::Journey;
use crate::laws::end::{Ending, ending, wrongs};
use crate::laws::harness::desired;
pub use crate::laws::harness::full;
use crate::wire::guard::Guard;
use crate::wire::place::{Place, Said};
use crate::wire::proxy::{Call, Proxy};

/// The worlds' time against ours, where a test does not say.
pub const SPEED: f64 = 300.0;
/// The id of every stack in these tests.
pub const STACK: &str = crate::laws::harness::STACK;
/// Runs after which it must have ended well.
pub const MOST_RUNS: usize = 8;
/// A run that takes longer hangs.
pub const LONG: Duration = Duration::from_secs(180);
/// Points under way at once: they wait more than they work.
const AT_ONCE: usize = 6;

/// A served world, IAM and a proxy before it, and the program in a folder with a declaration.
pub struct Scene {
    pub front: Served,
    pub proxy: Proxy,
    pub place: Place,
    declaration: String,
    iam: Iam,
}

/// IAM before a served world, with the document that `policy aws` prints. Whatever a sweep does to a run, no call may
/// ask for more: that is looked at where a scene ends.
struct Iam(Guard);

impl Iam {
    fn before(front: &Served, declaration: &str) -> Self {
        Self(Guard::before(&front.url, front.sim.clone(), policy(declaration, For::Everything)))
    }
}

impl Drop for Iam {
    fn drop(&mut self) {
        let denied = self.0.denied();
        assert!(denied.is_empty() || std::thread::panicking(), "`policy aws` does not allow {denied:#?}");
    }
}

/// What `policy aws` prints for a declaration.
pub fn policy(declaration: &str, what: For) -> Value {
    let document = document(&desired(declaration), [""], what);
    serde_json::to_value(document).expect("a document has string keys")
}

impl Scene {
    /// This world, its time [`SPEED`] times as fast as ours.
    pub fn of(world: World, declaration: &str) -> Self {
        Self::at(SPEED, world, declaration)
    }

    /// This world, its time so many times as fast as ours.
    pub fn at(speed: f64, world: World, declaration: &str) -> Self {
        let front = Served::start(world, speed);
        let iam = Iam::before(&front, declaration);
        let proxy = Proxy::before(&iam.0.url);
        let place = Place::new(&proxy.url, declaration).in_time_with(front.sim.clock());
        Self { front, proxy, place, declaration: declaration.to_owned(), iam }
    }

    /// Another declaration from now on, and what that one may do.
    pub fn rewrite(&self, declaration: &str) {
        std::fs::write(self.place.folder().join("evenkeel.toml"), declaration).expect("it can be written");
        self.iam.0.obey(policy(declaration, For::Everything));
    }

    /// The same world, folder and declaration, its time from now on so many times as fast as ours.
    pub fn at_speed(self, speed: f64) -> Self {
        let front = Served::start(self.world(), speed);
        let iam = Iam::before(&front, &self.declaration);
        let proxy = Proxy::before(&iam.0.url);
        let place = self.place.toward(&proxy.url).in_time_with(front.sim.clock());
        Self { front, proxy, place, declaration: self.declaration, iam }
    }

    /// The program in another folder with the same declaration.
    pub fn another(&self) -> Place {
        Place::new(&self.proxy.url, &self.declaration).in_time_with(self.front.sim.clock())
    }

    /// Starts the program, in a group of its own: what is killed is the program and whatever it may have started. It is
    /// the proxy's victim.
    pub fn start(&self, words: &str) -> Child {
        let mut command = self.place.command(words);
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("the program starts");
        self.proxy.victim(Some(Pid::from_child(&child)));
        child
    }

    /// Runs the program once; `None` when it hung and was put to an end.
    pub fn run(&self, words: &str) -> Option<ExitStatus> {
        let status = finish(&mut self.start(words), LONG);
        self.proxy.victim(None);
        status
    }

    /// The world as it is now.
    pub fn world(&self) -> World {
        self.front.sim.world().expect("it is in no file")
    }

    /// Lets so many seconds of the world pass at once.
    pub fn advance(&self, seconds: u64) {
        self.front.sim.advance(Duration::from_secs(seconds)).expect("it is in no file");
    }

    /// The calls that change the world, as the proxy has seen them.
    pub fn changes(&self) -> Vec<Call> {
        self.proxy.calls().into_iter().filter(|call| !call.reads()).collect()
    }

    /// Runs `apply --yes` until it ends with 0, ten minutes apart, and a plan then finds nothing to do. How many runs.
    #[track_caller]
    pub fn settles(&self, most: usize) -> usize {
        let mut last = None;
        for n in 1..=most {
            let said = self.place.run("apply --yes");
            if said.code == Some(0) {
                self.place.run("plan --exit-code").ends(0);
                return n;
            }
            last = Some(said);
            self.advance(600);
        }
        panic!("not settled after {most} runs: {}", last.map(|said| said.to_string()).unwrap_or_default());
    }

    /// A plan finds nothing to do. Data in quarantine may wait for its day, which `--exit-code` calls pending.
    #[track_caller]
    pub fn rests(&self) {
        let said = self.place.run("plan --exit-code");
        let waits = said.code == Some(2) && said.words().contains("Nothing to do now");
        assert!(said.code == Some(0) || waits, "{said}");
    }

    /// The world is as declared: nothing missing, nothing twice, nothing left over, no law broken.
    #[track_caller]
    pub fn is_sound(&self) {
        let wrong = unquarantined(&self.world(), &self.declaration);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// How many machines were ever launched.
    pub fn launched(&self) -> usize {
        self.world().instances.len()
    }
}

/// Waits for a child; `None` when it takes too long and was put to an end.
pub fn finish(child: &mut Child, most: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        match child.try_wait().expect("it is our child") {
            Some(status) => return Some(status),
            None if begun.elapsed() > most => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            // Nothing tells when a child ends but asking.
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// What is wrong with an end of a journey: duplicates, orphans, broken laws. Data that waits in quarantine is no
/// orphan.
pub fn unsound(journey: &Journey, end: &World) -> Vec<String> {
    if (journey.intent)().destroy {
        let left = ending(end, STACK);
        let waits = |address: &str| waits(&left, address);
        let laws = end.violations.iter().map(|v| format!("a broken law: {v}"));
        let places = left.places.keys().filter(|address| !waits(address)).map(|address| format!("{address} is left"));
        return laws.chain(places).chain(left.strays.iter().map(|s| format!("a stray: {s}"))).collect();
    }
    unquarantined(end, &journey.after)
}

/// Whether all that stands at an address is data in quarantine.
fn waits(left: &Ending, address: &str) -> bool {
    left.places.get(address).is_some_and(|all| all.iter().all(|v| v.contains(tag::QUARANTINE)))
}

/// What is wrong with an end in which this file was applied, data in quarantine left aside.
fn unquarantined(end: &World, declaration: &str) -> Vec<String> {
    let left = ending(end, STACK);
    let undeclared = |says: &String| says.strip_suffix(" is not declared").is_some_and(|a| waits(&left, a));
    wrongs(end, &desired(declaration)).into_iter().filter(|says| !undeclared(says)).collect()
}

/// A table, its columns as wide as they must be.
pub fn table<const N: usize>(what: &str, head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).chain([head[n].len()]).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = format!("{what}\n{}\n", line(head));
    for row in rows {
        let _ = writeln!(text, "{}", line(std::array::from_fn(|n| row[n].as_str())));
    }
    text
}

/// `work` for each, some at once; a panic in one is a panic here.
pub fn each<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let next = Mutex::new(all.iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(all.len()) {
            scope.spawn(|| {
                while let Some(one) = { next.lock().expect("nobody panics in here").next() } {
                    work(one);
                }
            });
        }
    });
}

/// How it ended, in a word.
pub fn code(said: &Said) -> String {
    said.code.map_or("killed".to_owned(), |code| code.to_string())
}
