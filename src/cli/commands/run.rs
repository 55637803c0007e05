//! Carrying a plan out: lock, look again, refuse what is stale, run, look again.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_coordination::file::{Tenure, acquire};
use evenkeel_coordination::holder::Holder;
use evenkeel_core::desired::LockKind;
use evenkeel_core::event::{Event, Outcome};
use evenkeel_core::make::Made;
use evenkeel_core::progress::Progress;
use evenkeel_engine::clock::Clock;
use evenkeel_engine::fresh::{Refused, refusals, same_place, unseen};
use evenkeel_engine::journal::{self, Journal};
use evenkeel_engine::limits::Limits;
use evenkeel_engine::run::{Job, Ran, run};
use evenkeel_engine::stop::{Cause, Stop, Stopper, stop};
use evenkeel_present::progress::{Bars, Face, Live, in_flight_text};
use evenkeel_present::{json, render};
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::args::{self, Events};
use crate::exit::{Exit, Halt};
use crate::look::{Look, learn};
use crate::out::Out;
use crate::project::Project;
use crate::session::Session;

/// The machine's time, waited for with the whole process: a lock is held by real processes, also where the world's
/// time is virtual.
struct Standstill;

#[async_trait]
impl Clock for Standstill {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Takes the stack's lock, which is held until the tenure goes; `None` where the file wants none.
///
/// # Errors
/// Somebody else holds it (75): who, where and since when.
pub async fn lock(project: &Project, run: &args::Run, plan: Option<&str>) -> Result<Option<Tenure>, Halt> {
    let lock = &project.desired.lock;
    if lock.kind == LockKind::None {
        return Ok(None);
    }
    let path = match &lock.path {
        Some(p) => project.folder.join(p),
        None => project.folder.join(".evenkeel").join(format!("{}.lock", project.desired.stack.id)),
    };
    // A message that names it reads better without the dot.
    let path = path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path);
    let wait = match &run.lock_timeout {
        Some(text) => duration(text)?,
        None => Duration::from_secs(lock.wait),
    };
    let holder = Holder::here(|name| std::env::var(name).ok(), Timestamp::now(), plan.map(str::to_owned));
    let tenure = acquire(&path, wait, holder, &Standstill).await;
    tenure.map(Some).map_err(|e| Halt::new(Exit::Lock, e.to_string()))
}

/// A time such as 90s, 5m, 2h30m.
///
/// # Errors
/// Text that is none (64).
pub fn duration(text: &str) -> Result<Duration, Halt> {
    let span: Result<jiff::SignedDuration, _> = text.parse();
    span.ok()
        .and_then(|s| Duration::try_from(s).ok())
        .ok_or_else(|| Halt::new(Exit::Usage, format!("`{text}` is not a time such as 90s, 5m or 2h30m")))
}

/// What came of a run.
pub struct Run {
    /// Step by step.
    pub ran: Ran,
    /// How the program would end if this were all.
    pub exit: Exit,
    /// Changes that were refused because their reasons no longer hold.
    pub refused: usize,
    /// All of them because they cannot be seen now.
    pub unseen: bool,
    /// It found out something that makes another plan.
    pub learned: bool,
}

/// Runs a plan to its end and tells what happens.
///
/// # Errors
/// The plan is of another place, or the journal cannot be used: then nothing was done.
pub async fn carry_out(
    session: &Session,
    project: &Project,
    made: &Made,
    seen: &Look,
    args: &args::Run,
    out: &Out,
) -> Result<Run, Halt> {
    let plan = &made.plan;
    same_place(plan, &project.desired.stack.id, &seen.observed).map_err(|says| Halt::new(Exit::Stale, says))?;
    let folder = journal::folder(&project.folder, &project.desired.stack.id);
    let (mut journal, past) = Journal::open(&folder, &plan.id).map_err(|e| Halt::error(e.to_string()))?;
    let progress = Progress::replay(plan.clone(), &past);
    let survey = seen.survey(project, true);
    let refused: Vec<Refused> = refusals(&progress, &seen.observed, &survey, &made.payloads);
    let (stopper, stopped) = stop();
    let mut live = Live::new(plan.clone(), project.secrets.clone(), face(args, out));
    past.iter().for_each(|e| live.recall(e));
    let live = Mutex::new(live);
    let providers = session.providers();
    let job = Job {
        providers: &providers,
        payloads: &made.payloads,
        clock: session.clock.as_ref(),
        refused: &refused,
        limits: &Limits::default(),
        stop: stopped.clone(),
    };
    let mut events = past.clone();
    let mut tell = |event: &Event| {
        events.push(event.clone());
        // Whoever watched has gone; the run goes on and the journal has it all.
        let _ = shown(&live).on(event);
    };
    let ran = tokio::select! {
        ran = run(job, progress, &mut journal, &mut tell) => ran,
        () = attend(&live, session, out, &stopper) => unreachable!("attending never ends"),
    };
    let mut live = shown(&live);
    live.close();
    let report = live.report();
    match args.events {
        Some(Events::Json) => out.data(&json::line(&report, &project.secrets)),
        None => {
            let text = render::text(&report.page(), &project.secrets, out.width(), out.stderr_color());
            out.rendered(&text);
        }
    }
    let exit = ends(&ran, &stopped);
    let learned = learn(project, plan, &events);
    let gap = |r: &Refused| plan.changes.get(r.change as usize).and_then(|c| unseen(plan, c, &seen.observed));
    let unseen = refused.iter().all(|r| gap(r).is_some());
    Ok(Run { ran, exit, refused: refused.len(), unseen, learned })
}

fn shown(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bars on a terminal, lines off it, JSON on stdout when asked.
fn face(args: &args::Run, out: &Out) -> Face {
    match args.events {
        Some(Events::Json) => Face::Events(Box::new(std::io::stdout())),
        None if std::io::stderr().is_terminal() => Face::Bars(Bars::on_stderr(out.stderr_color())),
        None => Face::Lines(Box::new(std::io::stderr())),
    }
}

/// While a plan runs: time passes on the screen, signals are heard, and who asks is told what is in flight.
async fn attend(live: &Mutex<Live>, session: &Session, out: &Out, stopper: &Stopper) {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let listen = |kind| signal(kind).ok();
    async fn heard(signal: &mut Option<Signal>) {
        match signal {
            Some(s) => drop(s.recv().await),
            None => std::future::pending().await,
        }
    }
    let (mut int, mut term) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    let mut usr1 = listen(SignalKind::user_defined1());
    let mut asked = questions();
    loop {
        let question = tokio::select! {
            () = heard(&mut int) => { interrupt(stopper, Cause::Interrupt, 130); false }
            () = heard(&mut term) => { interrupt(stopper, Cause::Terminate, 143); false }
            () = heard(&mut usr1) => true,
            Some(()) = asked.recv() => true,
            () = session.clock.sleep(Duration::from_secs(1)) => {
                let _ = shown(live).tick(session.clock.now());
                false
            }
        };
        if question {
            let live = shown(live);
            let text = in_flight_text(&live, out.width(), out.stderr_color());
            if !live.print_above(&text).unwrap_or(true) {
                out.rendered(&text);
            }
        }
    }
}

/// The first signal stops the run in order; a second one ends the process at once.
fn interrupt(stopper: &Stopper, cause: Cause, code: i32) {
    if !stopper.stop(cause) {
        std::process::exit(code);
    }
}

/// A line with `t` on a terminal asks what is in flight.
fn questions() -> UnboundedReceiver<()> {
    let (ask, asked) = unbounded_channel();
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        // The thread ends with the process; a read cannot be called off.
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if line.trim() == "t" && ask.send(()).is_err() {
                    return;
                }
            }
        });
    }
    asked
}

/// How a run ends, before the last look.
fn ends(ran: &Ran, stopped: &Stop) -> Exit {
    match (ran.outcome, stopped.cause()) {
        (Outcome::Complete, _) => Exit::Fine,
        (Outcome::Partial, _) => Exit::Partial,
        (Outcome::Interrupted, Some(Cause::Terminate)) => Exit::Terminated,
        (Outcome::Interrupted, Some(Cause::LockLost)) => Exit::Lock,
        (Outcome::Interrupted, Some(Cause::Interrupt) | None) => Exit::Interrupted,
    }
}
