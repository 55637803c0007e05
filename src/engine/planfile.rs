//! A saved plan: sealed, its owner's alone, written whole or not at all.
//!
//! One line of canonical JSON around the plan and its digest. Reading refuses whatever is not, byte for byte, what
//! saving wrote: one flipped bit anywhere is enough. The seal guards against accident and careless editing, not
//! against someone who makes a plan of his own.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use evenkeel_core::digest::{Digest, canonical};
use evenkeel_core::plan::{FORMAT, Plan};
use serde::{Deserialize, Serialize};

use crate::limits;

/// The envelope's version.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<P> {
    #[serde(rename = "evenkeel-plan")]
    version: u32,
    id: Digest,
    plan: P,
}

/// Why a plan file cannot be saved or used.
#[derive(Debug)]
pub enum PlanFileError {
    /// The file system refused; nothing half written is left.
    Io(PathBuf, io::Error),
    /// Larger than [`limits::PLAN_FILE`].
    TooLarge(PathBuf),
    /// Not a saved plan at all.
    NotAPlan(PathBuf, String),
    /// Saved by another version of evenkeel.
    Version(PathBuf, u32),
    /// Changed since it was saved.
    Broken(PathBuf),
}

impl fmt::Display for PlanFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = "make it again with `evenkeel plan -o FILE`";
        match self {
            Self::Io(path, e) => write!(f, "cannot use the plan file {}: {e}", path.display()),
            Self::TooLarge(path) => {
                write!(f, "{} is larger than {} MiB, so it is no saved plan", path.display(), limits::PLAN_FILE >> 20)
            }
            Self::NotAPlan(path, says) => write!(f, "{} is not a saved plan ({says}): {again}", path.display()),
            Self::Version(path, version) => {
                write!(f, "{} was saved in format {version}, this evenkeel knows {FORMAT}: {again}", path.display())
            }
            Self::Broken(path) => {
                write!(f, "{} has been changed since it was saved, so it is not applied: {again}", path.display())
            }
        }
    }
}

impl std::error::Error for PlanFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, e) => Some(e),
            Self::TooLarge(_) | Self::NotAPlan(..) | Self::Version(..) | Self::Broken(_) => None,
        }
    }
}

/// The bytes of a saved plan, newline included.
pub fn bytes(plan: &Plan) -> Vec<u8> {
    let envelope = Envelope { version: VERSION, id: plan.id.clone(), plan };
    let mut text = canonical(&envelope);
    text.push('\n');
    text.into_bytes()
}

/// Saves a sealed plan, readable by its owner only. What stood at `path` before stays until the new file is whole and
/// on the disk.
///
/// # Errors
/// [`PlanFileError::Io`]: then what stood there still stands.
pub fn save(path: &Path, plan: &Plan) -> Result<(), PlanFileError> {
    let io = |e| PlanFileError::Io(path.to_owned(), e);
    // A link is followed, as by every other tool: the rename would take its place.
    let real = fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        Some(_) | None => Path::new("."),
    };
    // The rename would take a device's or a pipe's place.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io(io::Error::other("what stands there is no plain file; name another")));
    }
    if !is_plan_or_empty(path) {
        return Err(io(io::Error::other("what stands there is no saved plan; name another file, or remove it")));
    }
    // tempfile makes it with mode 0600 on Unix, and in the same folder, so that the rename is atomic.
    let mut file = tempfile::Builder::new().prefix(".evenkeel-plan-").tempfile_in(folder).map_err(io)?;
    file.write_all(&bytes(plan)).and_then(|()| file.as_file().sync_all()).map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    #[cfg(unix)]
    File::open(folder).and_then(|d| d.sync_all()).map_err(io)?;
    Ok(())
}

/// Reads a saved plan.
///
/// # Errors
/// [`PlanFileError`]; anything but [`PlanFileError::Io`] is a refusal of the file itself.
pub fn load(path: &Path) -> Result<Plan, PlanFileError> {
    let io = |e| PlanFileError::Io(path.to_owned(), e);
    if fs::metadata(path).map_err(io)?.is_dir() {
        return Err(io(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let mut text = Vec::new();
    File::open(path).and_then(|f| f.take(limits::PLAN_FILE + 1).read_to_end(&mut text)).map_err(io)?;
    if text.len() as u64 > limits::PLAN_FILE {
        return Err(PlanFileError::TooLarge(path.to_owned()));
    }
    parse(path, &text)
}

/// Whether a saved plan may take the place of what is there: a plan, whole or not, and nothing else, so that a slip of
/// the hand costs no declaration.
fn is_plan_or_empty(path: &Path) -> bool {
    let mut head = Vec::new();
    match File::open(path).and_then(|f| f.take(256).read_to_end(&mut head)) {
        Ok(_) => head.is_empty() || String::from_utf8_lossy(&head).contains("\"evenkeel-plan\""),
        // Nothing there, or nothing that can be read: what is written says more.
        Err(_) => true,
    }
}

/// Reads the bytes of a saved plan; `path` is for the errors.
///
/// # Errors
/// [`PlanFileError`].
pub fn parse(path: &Path, text: &[u8]) -> Result<Plan, PlanFileError> {
    let not = |says: String| PlanFileError::NotAPlan(path.to_owned(), says);
    // The versions first: another version's plan need not parse as ours.
    #[derive(Deserialize)]
    struct Versions {
        #[serde(rename = "evenkeel-plan")]
        version: u32,
        plan: Format,
    }
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let versions: Versions = serde_json::from_slice(text).map_err(|e| not(e.to_string()))?;
    if versions.version != VERSION {
        return Err(PlanFileError::Version(path.to_owned(), versions.version));
    }
    if versions.plan.format != FORMAT {
        return Err(PlanFileError::Version(path.to_owned(), versions.plan.format));
    }
    let envelope: Envelope<Plan> = serde_json::from_slice(text).map_err(|e| not(e.to_string()))?;
    let plan = envelope.plan;
    if envelope.id != plan.id || plan.digest() != plan.id || bytes(&plan) != text {
        return Err(PlanFileError::Broken(path.to_owned()));
    }
    sound(&plan).map_err(not)?;
    Ok(plan)
}

/// Every index points at something, and no step needs a later one.
fn sound(plan: &Plan) -> Result<(), String> {
    for (i, step) in plan.steps.iter().enumerate() {
        if let Some(n) = step.needs.iter().find(|n| **n as usize >= i) {
            return Err(format!("step {i} needs step {n}, which is not before it"));
        }
        if let Some(c) = step.changes.iter().find(|c| **c as usize >= plan.changes.len()) {
            return Err(format!("step {i} serves change {c}, which there is not"));
        }
    }
    Ok(())
}
