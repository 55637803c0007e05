//! What a run writes down before and after each call, so that a crash anywhere costs nothing.
//!
//! One file a plan, one JSON line an event, only ever appended to. A line that a crash cut off is dropped: what it
//! said had not begun, or will be done again. It is no log; it holds no secret, because events hold none.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use evenkeel_core::digest::Digest;
use evenkeel_core::event::{Event, Happened};
use evenkeel_core::failure::{Class, Failure};

use crate::limits;

/// Where a run writes its events. The file is [`Journal`]; tests have one in memory.
pub trait Record: Send {
    /// Appends these events. `durable`: they are on the disk when this returns, so that what they announce may begin.
    ///
    /// # Errors
    /// When they could not be written: then what they announce must not begin.
    fn append(&mut self, events: &[Event], durable: bool) -> Result<(), Failure>;
}

/// In memory: for runs that need not survive.
impl Record for Vec<Event> {
    fn append(&mut self, events: &[Event], _durable: bool) -> Result<(), Failure> {
        self.extend_from_slice(events);
        Ok(())
    }
}

/// The journal of one plan.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes that are whole lines.
    whole: u64,
}

/// Why a journal cannot be used.
#[derive(Debug)]
pub enum JournalError {
    /// The file system refused.
    Io(PathBuf, io::Error),
    /// The id cannot name a file.
    Name(String),
    /// Another process carries this very plan out just now, which only happens without a lock.
    Busy(PathBuf),
    /// A line that is not the last makes no sense, so what was done is not known.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        says: String,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, e) => write!(f, "cannot use the journal {}: {e}", path.display()),
            Self::Name(id) => write!(f, "`{id}` is not a plan's id"),
            Self::Busy(path) => write!(
                f,
                "another run carries out this very plan just now and writes its journal {}: wait for it, or stop it",
                path.display()
            ),
            Self::Damaged { path, line, says } => write!(
                f,
                "the journal {} is damaged in line {line} ({says}): it no longer says what was done. Make a new plan; \
                 what exists is found by looking",
                path.display()
            ),
        }
    }
}

impl std::error::Error for JournalError {}

/// The folder of a stack's journals under the project's folder: `.evenkeel/<stack>/journal`.
pub fn folder(project: &Path, stack: &str) -> PathBuf {
    project.join(".evenkeel").join(stack).join("journal")
}

impl Journal {
    /// Opens the journal of a plan, new or with what earlier attempts wrote, which comes back in order. Until it is
    /// dropped, no other process opens it. Journals beyond the newest [`limits::JOURNALS`] are removed when a new one
    /// is made.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(folder: &Path, plan: &Digest) -> Result<(Self, Vec<Event>), JournalError> {
        let id = &plan.0;
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(JournalError::Name(id.clone()));
        }
        let path = folder.join(format!("{id}.jsonl"));
        let io = |e| JournalError::Io(path.clone(), e);
        fs::create_dir_all(folder).map_err(io)?;
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy(path)),
            // A file system without locks: then there is only the stack's own.
            Err(TryLockError::Error(_)) => {}
        }
        let mut text = Vec::new();
        (&mut file).take(limits::JOURNAL_FILE).read_to_end(&mut text).map_err(io)?;
        let (events, whole) =
            read(&text, plan).map_err(|(line, says)| JournalError::Damaged { path: path.clone(), line, says })?;
        if whole < text.len() as u64 {
            file.set_len(whole).map_err(io)?;
        }
        if is_new {
            prune(folder, &path);
            // The folder's own entry must last, too.
            File::open(folder).and_then(|d| d.sync_all()).map_err(io)?;
        }
        Ok((Self { file, path, whole }, events))
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Record for Journal {
    fn append(&mut self, events: &[Event], durable: bool) -> Result<(), Failure> {
        let mut text = String::new();
        for e in events {
            text.push_str(&serde_json::to_string(e).expect("events have string keys and no failing serializers"));
            text.push('\n');
        }
        // A short blocking write: the run has nothing better to do before it is on the disk.
        let written =
            self.file.write_all(text.as_bytes()).and_then(|()| if durable { self.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.whole += text.len() as u64;
                Ok(())
            }
            Err(e) => {
                // Half a line must not become the beginning of a later one.
                let _ = self.file.set_len(self.whole).and_then(|()| self.file.seek(SeekFrom::End(0)).map(|_| ()));
                Err(Failure::new(
                    Class::Invalid,
                    format!("{:?}", e.kind()),
                    format!("cannot write the journal {}: {e}", self.path.display()),
                ))
            }
        }
    }
}

/// The events of a journal's bytes, and how many bytes are whole lines.
fn read(text: &[u8], plan: &Digest) -> Result<(Vec<Event>, u64), (usize, String)> {
    let mut events = Vec::new();
    let mut whole = 0;
    let mut lines = text.split_inclusive(|b| *b == b'\n').enumerate().peekable();
    while let Some((i, line)) = lines.next() {
        match serde_json::from_slice::<Event>(line) {
            Ok(event) if line.ends_with(b"\n") => {
                if let Happened::Began { plan: other, .. } = &event.happened
                    && other != plan
                {
                    return Err((i + 1, "it is another plan's".to_owned()));
                }
                events.push(event);
                whole += line.len() as u64;
            }
            // The last one, cut off or filled with rubbish by a crash.
            Ok(_) | Err(_) if lines.peek().is_none() => break,
            Ok(_) => return Err((i + 1, "no end of line".to_owned())),
            Err(e) => return Err((i + 1, e.to_string())),
        }
    }
    Ok((events, whole))
}

/// Removes the oldest journals beyond the limit; what cannot be removed stays, which harms nothing.
fn prune(folder: &Path, keep: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut all: Vec<_> = entries
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|x| x == "jsonl") && e.path() != keep)
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    all.sort();
    let surplus = (all.len() + 1).saturating_sub(limits::JOURNALS);
    all.iter().take(surplus).for_each(|(_, path)| {
        let _ = fs::remove_file(path);
    });
}

#[cfg(test)]
mod tests {
    use evenkeel_core::event::Outcome;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn id() -> Digest {
        Digest::of(b"plan")
    }

    fn events() -> Vec<Event> {
        [
            Happened::Began { plan: id(), attempt: 1 },
            Happened::Started { step: 0 },
            Happened::Done { step: 0, made: [("machines.web/0".parse().unwrap(), "i-1".to_owned())].into() },
            Happened::Failed {
                step: 1,
                failure: Failure::new(Class::Quota, "VcpuLimitExceeded", "no \"more\"\n"),
                lost: vec![],
            },
            Happened::Ended { outcome: Outcome::Partial },
        ]
        .into_iter()
        .map(|happened| Event { at: Timestamp::UNIX_EPOCH, happened })
        .collect()
    }

    #[test]
    fn a_journal_reads_back_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, before) = Journal::open(dir.path(), &id()).unwrap();
        assert_eq!(before, []);
        journal.append(&events()[..2], true).unwrap();
        journal.append(&events()[2..], false).unwrap();
        drop(journal);
        assert_eq!(Journal::open(dir.path(), &id()).unwrap().1, events());
    }

    #[cfg(unix)]
    #[test]
    fn a_journal_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), &id()).unwrap();
        assert_eq!(fs::metadata(journal.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_journal_cut_anywhere_gives_its_whole_lines_and_goes_on() {
        let mut text = Vec::new();
        for e in events() {
            text.extend(serde_json::to_vec(&e).unwrap());
            text.push(b'\n');
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{}.jsonl", id().0));
        for cut in 0..=text.len() {
            fs::write(&path, &text[..cut]).unwrap();
            let lines = text[..cut].iter().filter(|b| **b == b'\n').count();
            let (mut journal, read) = Journal::open(dir.path(), &id()).unwrap();
            assert_eq!(read, events()[..lines], "cut at {cut}");
            journal.append(&events()[1..2], true).unwrap();
            drop(journal);
            assert_eq!(Journal::open(dir.path(), &id()).unwrap().1.len(), lines + 1);
        }
    }

    #[test]
    fn a_journal_that_is_being_written_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), &id()).unwrap();
        assert!(matches!(Journal::open(dir.path(), &id()), Err(JournalError::Busy(_))));
        Journal::open(dir.path(), &Digest::of(b"other")).unwrap();
        drop(journal);
        Journal::open(dir.path(), &id()).unwrap();
    }

    #[test]
    fn damage_in_the_middle_is_refused_with_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("{}.jsonl", id().0));
        fs::write(&path, "{}\n{\"at\":\"1970-01-01T00:00:00Z\",\"event\":\"started\",\"step\":0}\n").unwrap();
        let says = Journal::open(dir.path(), &id()).unwrap_err().to_string();
        assert!(says.contains("line 1") && says.contains("new plan"), "{says}");
        assert!(matches!(Journal::open(dir.path(), &Digest("../x".into())), Err(JournalError::Name(_))));
    }

    #[test]
    fn another_plans_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), &id()).unwrap();
        journal.append(&events(), true).unwrap();
        let other = Digest::of(b"other");
        fs::rename(journal.path(), dir.path().join(format!("{}.jsonl", other.0))).unwrap();
        drop(journal);
        assert!(matches!(Journal::open(dir.path(), &other), Err(JournalError::Damaged { line: 1, .. })));
    }

    #[test]
    fn the_last_twenty_runs_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..25u32 {
            let path = dir.path().join(format!("old{i}.jsonl"));
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000 + u64::from(i));
            File::create(&path).unwrap().set_modified(at).unwrap();
        }
        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        Journal::open(dir.path(), &id()).unwrap();
        let left = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, limits::JOURNALS + 1, "twenty journals, and a file that is not ours");
        assert!(dir.path().join("old24.jsonl").exists() && !dir.path().join("old5.jsonl").exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_a_failure_and_no_panic() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut journal = Journal { file, path: "/dev/full".into(), whole: 0 };
        let failure = journal.append(&events(), true).unwrap_err();
        assert_eq!(failure.code, "StorageFull");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, &id());
        }
    }
}
