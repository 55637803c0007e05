//! A lock on a local file: the kernel holds it, so it ends with the process that took it, however that ends.
//!
//! The file stays when the lock is released: to delete it would let two processes hold two files of one name. What it
//! says is for people; who holds the lock only the kernel knows. Each grant has a higher epoch than every one before,
//! crashes included; it stands in a second file that is replaced whole.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_engine::clock::Clock;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::holder::Holder;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// A holder needs a moment between getting the lock and writing who it is; so long is waited for that.
const MOMENT: Duration = Duration::from_millis(100);
/// More than a lock file ever holds.
const LARGEST: u64 = 64 << 10;

/// What the lock file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    epoch: u64,
    /// `None` when it was released in order.
    holder: Option<Holder>,
}

/// The lock, held until this value goes, or the process.
#[derive(Debug)]
pub struct Tenure {
    file: File,
    path: PathBuf,
    epoch: u64,
    holder: Holder,
}

/// Why the lock was not had.
#[derive(Debug)]
pub enum Refusal {
    /// Somebody else has it.
    Held {
        /// Which lock.
        path: PathBuf,
        /// Who, as far as the file can be read.
        holder: Option<Box<Holder>>,
        /// When this was found.
        now: Timestamp,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The file system refused.
    Io(PathBuf, io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { path, holder, now, waited } => {
                let who = holder.as_ref().map_or_else(|| "another process".to_owned(), |h| h.words(*now));
                write!(
                    f,
                    "the lock {} is held by {who}; waited {}s. It ends by itself with that process: wait for it \
                     (`wait` of [lock] says how long), or stop that run",
                    path.display(),
                    waited.as_secs()
                )
            }
            Self::Io(path, e) => write!(f, "cannot use the lock file {}: {e}", path.display()),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Held { .. } => None,
            Self::Io(_, e) => Some(e),
        }
    }
}

/// Takes the lock at `path`, trying for at most `wait`; zero tries once. Dropping the future gives up.
///
/// # Errors
/// [`Refusal`].
pub async fn acquire(path: &Path, wait: Duration, holder: Holder, clock: &dyn Clock) -> Result<Tenure, Refusal> {
    let io = |e| Refusal::Io(path.to_owned(), e);
    let began = clock.now();
    let waited = || clock.now().duration_since(began).unsigned_abs();
    let file = open(path).map_err(io)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Tenure::begin(file, path, holder, clock.now()).map_err(io),
            Err(TryLockError::Error(e)) => return Err(io(e)),
            Err(TryLockError::WouldBlock) if waited() >= wait => break,
            Err(TryLockError::WouldBlock) => clock.sleep(PAUSE.min(wait)).await,
        }
    }
    let before = waited();
    clock.sleep(MOMENT).await;
    // Once more: what was in the way may have been a glance by [`held`].
    if file.try_lock().is_ok() {
        return Tenure::begin(file, path, holder, clock.now()).map_err(io);
    }
    let holder = read(path).and_then(|c| c.holder).map(Box::new);
    Err(Refusal::Held { path: path.to_owned(), holder, now: clock.now(), waited: before })
}

/// Who holds the lock at `path` now; `None` when nobody does. Takes nothing.
///
/// # Errors
/// When the file system refuses; a file that is not there is held by nobody.
pub fn held(path: &Path) -> io::Result<Option<Option<Holder>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    // A shared lock, for the blink of an eye: it is refused while somebody holds the exclusive one.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read(path).and_then(|c| c.holder))),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

impl Tenure {
    fn begin(file: File, path: &Path, holder: Holder, now: Timestamp) -> io::Result<Self> {
        let own = epoch_path(path);
        let kept = fs::read_to_string(&own).ok().and_then(|t| t.trim().parse::<u64>().ok());
        let said = read(path).map(|c| c.epoch);
        let last = match (kept, said) {
            // Both are unreadable although there were grants before: the seconds since 1970 are more than anybody
            // has counted to.
            (None, None) if own.exists() => u64::try_from(now.as_second()).unwrap_or(0),
            (kept, said) => kept.max(said).unwrap_or(0),
        };
        let epoch = last.saturating_add(1);
        replace(&own, format!("{epoch}\n").as_bytes())?;
        let holder = Holder { since: now, ..holder };
        let mut tenure = Self { file, path: path.to_owned(), epoch, holder: holder.clone() };
        tenure.write(&Contents { epoch, holder: Some(holder) })?;
        Ok(tenure)
    }

    /// Higher for every grant of this lock than for every one before it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Who holds it: this process.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, contents: &Contents) -> io::Result<()> {
        let mut text = serde_json::to_vec(contents)?;
        text.push(b'\n');
        self.file.rewind()?;
        self.file.set_len(0)?;
        self.file.write_all(&text)?;
        self.file.sync_data()
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        // Only words for people; closing the file is what releases the lock.
        let epoch = self.epoch;
        let _ = self.write(&Contents { epoch, holder: None });
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Never truncated here: what stands in it is the holder's.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What the file says; `None` for anything that is not ours.
fn read(path: &Path) -> Option<Contents> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn epoch_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".epoch");
    name.into()
}

/// Replaces a file whole, on the disk when it returns.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use evenkeel_engine::clock::Wall;

    use super::*;

    fn me() -> Holder {
        Holder::here(|_| None, Timestamp::now(), Some("plan-1".into()))
    }

    fn take(path: &Path, wait_ms: u64) -> Result<Tenure, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(acquire(path, Duration::from_millis(wait_ms), me(), &Wall))
    }

    /// Not a test of its own: the process that the tests below start, hold and kill.
    #[test]
    fn child_that_holds_the_lock() {
        let Ok(path) = std::env::var("EVENKEEL_TEST_LOCK") else { return };
        let tenure = take(Path::new(&path), 10_000).unwrap();
        println!("\nheld {}", tenure.epoch());
        let mut line = String::new();
        io::stdin().read_line(&mut line).unwrap();
    }

    /// Another process that holds the lock, and the epoch of its grant.
    fn other(path: &Path) -> (Child, u64) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "file::tests::child_that_holds_the_lock", "--nocapture"])
            .env("EVENKEEL_TEST_LOCK", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let epoch = lines.map_while(Result::ok).find_map(|l| l.strip_prefix("held ")?.parse().ok()).unwrap();
        (child, epoch)
    }

    #[test]
    fn a_refusal_names_who_holds_the_lock_and_since_when() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".evenkeel/s.lock");
        let (mut child, _) = other(&path);
        let refusal = take(&path, 0).unwrap_err();
        let says = refusal.to_string();
        let Refusal::Held { holder: Some(holder), .. } = refusal else { panic!("{says}") };
        assert_eq!((holder.pid, holder.plan.as_deref()), (child.id(), Some("plan-1")));
        assert!(says.contains(&format!("(pid {})", child.id())) && says.contains(" ago") && says.contains("since"));
        assert_eq!(held(&path).unwrap().flatten().unwrap().pid, child.id());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_killed_holder_costs_nothing_and_the_epoch_still_rises() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.lock");
        let mut last = 0;
        for _ in 0..5 {
            let (mut child, epoch) = other(&path);
            assert!(epoch > last);
            assert!(take(&path, 0).is_err());
            child.kill().unwrap();
            child.wait().unwrap();
            let tenure = take(&path, 0).unwrap();
            assert!(tenure.epoch() > epoch);
            last = tenure.epoch();
            assert!(take(&path, 0).is_err(), "not twice in one process either");
        }
        assert_eq!(held(&path).unwrap(), None, "released");
        assert_eq!(read(&path).unwrap().holder, None);
    }

    #[test]
    fn whoever_waits_gets_the_lock_when_the_holder_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.lock");
        let (mut child, epoch) = other(&path);
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || take(&path, 60_000).map(|t| t.epoch())
        });
        // The holder ends in order when its input ends.
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), epoch + 1);
    }

    #[test]
    fn among_many_only_one_holds_it_and_no_epoch_is_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.lock");
        let inside = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (path, inside) = (path.clone(), Arc::clone(&inside));
                std::thread::spawn(move || {
                    let tenure = take(&path, 60_000).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "alone");
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    tenure.epoch()
                })
            })
            .collect();
        let mut epochs: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        epochs.sort_unstable();
        assert_eq!(epochs, (1..=8).collect::<Vec<_>>());
    }

    #[test]
    fn rubbish_in_the_file_is_tolerated_and_the_epoch_does_not_fall() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.lock");
        for rubbish in ["", "{", "not ours \u{1b}[31m", "{\"epoch\":\"x\"}"] {
            fs::write(&path, rubbish).unwrap();
            assert!(take(&path, 0).is_ok(), "{rubbish:?}");
        }
        let before = take(&path, 0).unwrap().epoch();
        fs::write(&path, "rubbish").unwrap();
        let next = take(&path, 0).unwrap().epoch();
        assert_eq!(next, before + 1, "the epoch file still knows");
        fs::remove_file(epoch_path(&path)).unwrap();
        assert_eq!(take(&path, 0).unwrap().epoch(), next + 1, "the lock file still knows");
        fs::write(&path, "rubbish").unwrap();
        fs::write(epoch_path(&path), "rubbish").unwrap();
        assert!(take(&path, 0).unwrap().epoch() > next + 1, "nobody knows: far above");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let says = take(&file.join("s.lock"), 0).unwrap_err().to_string();
        assert!(says.contains("s.lock"), "{says}");
    }

    #[test]
    fn nobody_holds_a_lock_that_was_never_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(held(&dir.path().join("none")).unwrap(), None);
    }
}
