//! Carrying a plan out: lock, look again, refuse what is stale, run, look again.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use evenkeel_coordination::file::{Tenure, acquire};
use evenkeel_coordination::holder::Holder;
use evenkeel_core::declaration::units::seconds;
use evenkeel_core::desired::LockKind;
use evenkeel_core::event::{Event, Outcome};
use evenkeel_core::make::Made;
use evenkeel_core::progress::Progress;
use evenkeel_engine::clock::Clock;
use evenkeel_engine::fresh::{Refused, refusals, same_place, unseen};
use evenkeel_engine::journal::{self, Journal, JournalError};
use evenkeel_engine::limits::Limits;
use evenkeel_engine::provider::Eyes;
use evenkeel_engine::run::{Job, Ran, run};
use evenkeel_present::progress::{Bars, Face, Live, in_flight_text};
use evenkeel_present::{json, render};
use jiff::Timestamp;
use tokio::signal::unix::SignalKind;
use tokio::sync::oneshot;

use crate::args::{self, Events};
use crate::exit::{Exit, Halt};
use crate::look::{Look, learn};
use crate::out::Out;
use crate::project::Project;
use crate::prompt;
use crate::session::Session;
use crate::signals::{Signals, exit, heard, next};

/// The machine's time, waited for outside the runtime, whose own time may be virtual: a lock is held by real processes.
struct Outside;

#[async_trait]
impl Clock for Outside {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, time: Duration) {
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(time);
            // Whoever waited may have given up.
            let _ = tell.send(());
        });
        let _ = told.await;
    }
}

/// Takes the stack's lock, which is held until the tenure goes; `None` where the file wants none, which is said.
///
/// # Errors
/// Somebody else holds it (75): who, where and since when.
pub async fn lock(project: &Project, run: &args::Run, plan: Option<&str>, out: &Out) -> Result<Option<Tenure>, Halt> {
    let lock = &project.desired.lock;
    if lock.kind == LockKind::None {
        out.warn(
            "no lock is taken, for the file says [lock] kind = \"none\": nothing keeps another run from acting at the \
             same time",
        );
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
    let tenure = acquire(&path, wait, holder, &Outside).await;
    tenure.map(Some).map_err(|e| Halt::new(Exit::Lock, e.to_string()))
}

/// A time such as 90s, 5m, 2h30m.
///
/// # Errors
/// Text that is none (64).
pub fn duration(text: &str) -> Result<Duration, Halt> {
    // As in the file, where a day is 24 hours; parts of a second are for the sim's clock.
    let span = || text.parse::<jiff::SignedDuration>().ok().and_then(|s| Duration::try_from(s).ok());
    (seconds(text).ok().map(Duration::from_secs).or_else(span))
        .ok_or_else(|| Halt::new(Exit::Usage, format!("`{text}` is not a time such as 90s, 5m, 2h30m or 7d")))
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
    /// It was told to stop: nothing more is to be begun.
    pub stopped: bool,
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
    signals: &Signals,
    out: &Out,
) -> Result<Run, Halt> {
    let plan = &made.plan;
    same_place(plan, &project.desired.stack.id, &seen.observed).map_err(|says| Halt::new(Exit::Stale, says))?;
    let folder = journal::folder(&project.folder, &project.desired.stack.id);
    let (mut journal, past) = Journal::open(&folder, &plan.id).map_err(|e| {
        let exit = if matches!(e, JournalError::Busy(_)) { Exit::Lock } else { Exit::Error };
        Halt::new(exit, e.to_string())
    })?;
    let progress = Progress::replay(plan.clone(), &past);
    let survey = seen.survey(project, true);
    let eyes = session.eyes();
    let eyes: BTreeMap<String, &dyn Eyes> = eyes.iter().map(|(scope, e)| (scope.clone(), &**e)).collect();
    let refused: Vec<Refused> = refusals(&eyes, &progress, &seen.observed, &survey, &made.payloads).await;
    let stop = signals.stop();
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
        stop: stop.clone(),
    };
    let mut events = past.clone();
    let mut tell = |event: &Event| {
        events.push(event.clone());
        // Whoever watched has gone; the run goes on and the journal has it all.
        let _ = shown(&live).on(event);
    };
    let running = signals.running();
    let ran = tokio::select! {
        ran = run(job, progress, &mut journal, &mut tell) => ran,
        () = attend(&live, session, out) => unreachable!("attending never ends"),
    };
    drop(running);
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
    let cause = stop.cause();
    let exit = cause.map_or_else(|| ends(ran.outcome), exit);
    let learned = learn(project, plan, &events);
    let gap = |r: &Refused| plan.changes.get(r.change as usize).and_then(|c| unseen(plan, c, &seen.observed));
    let unseen = refused.iter().all(|r| r.unseen || gap(r).is_some());
    Ok(Run { ran, exit, refused: refused.len(), unseen, learned, stopped: cause.is_some() })
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

/// While a plan runs: time passes on the screen, and who asks is told what is in flight.
async fn attend(live: &Mutex<Live>, session: &Session, out: &Out) {
    let mut usr1 = heard(SignalKind::user_defined1());
    loop {
        let question = tokio::select! {
            () = next(&mut usr1) => true,
            () = prompt::asked() => true,
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

/// How a run ends that nothing stopped, before the last look.
fn ends(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Complete => Exit::Fine,
        Outcome::Partial => Exit::Partial,
        Outcome::Interrupted => Exit::Interrupted,
    }
}
