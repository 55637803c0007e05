//! The declaration and everything beside it on the disk, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use evenkeel_core::declaration::{Declared, Inputs, Source, declare, files_wanted};
use evenkeel_core::desired::Desired;
use evenkeel_core::diagnostic::{Diagnostic, Severity};
use evenkeel_present::diagnostics;
use evenkeel_present::redact::Redactor;

use crate::args::Global;
use crate::exit::{Exit, Halt};
use crate::files;
use crate::out::Out;

/// The usual name of a declaration.
pub const FILE: &str = "evenkeel.toml";

/// A declaration that has no errors, and where it stands.
pub struct Project {
    /// Its folder: paths in it start here, and `.evenkeel/` lies here.
    pub folder: PathBuf,
    /// What it says.
    pub desired: Desired,
    /// Hides its secrets.
    pub secrets: Redactor,
    /// The world is the embedded sim's.
    is_sim: bool,
}

/// The folder to work in.
pub fn folder(global: &Global) -> PathBuf {
    global.dir.clone().unwrap_or_else(|| PathBuf::from("."))
}

/// A path that a person gave, seen from the folder to work in; without `-C` it stays as it was written.
pub fn beside(global: &Global, path: &Path) -> PathBuf {
    global.dir.as_ref().map_or_else(|| path.to_path_buf(), |dir| dir.join(path))
}

/// The declaration's path.
pub fn path(global: &Global) -> PathBuf {
    beside(global, global.file.as_deref().unwrap_or(Path::new(FILE)))
}

/// Reads everything the declaration is made of.
///
/// # Errors
/// A file that cannot be read, or a `--var` without `=`.
pub fn inputs(global: &Global) -> Result<Inputs, Halt> {
    let main = path(global);
    let text = |p: &Path| {
        // A pipe that nobody writes to would be waited for without end.
        if std::fs::metadata(p)?.is_file() {
            std::fs::read_to_string(p).map(|text| Source { name: p.display().to_string(), text })
        } else {
            Err(std::io::Error::other("it is no plain file"))
        }
    };
    let source = text(&main).map_err(|e| no_declaration(&main, &e))?;
    let overlay = match &global.environment {
        None => None,
        Some(env) if env.is_empty() || env.contains(['/', '\\']) => {
            let says =
                format!("`{}` is no environment's name: it names a file beside the declaration", env.escape_debug());
            return Err(Halt::new(Exit::Usage, says));
        }
        Some(env) => {
            let stem = main.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            let beside = main.with_file_name(format!("{stem}.{env}.toml"));
            match text(&beside) {
                Ok(s) => Some(s),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                Err(e) => return Err(missing(&beside, &e)),
            }
        }
    };
    let mut vars = BTreeMap::new();
    for pair in &global.vars {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Halt::new(Exit::Usage, format!("--var takes NAME=VALUE, and `{pair}` has no `=`")))?;
        vars.insert(name.to_owned(), value.to_owned());
    }
    let mut var_files = Vec::new();
    for file in &global.var_file {
        let path = beside(global, file);
        var_files.push(text(&path).map_err(|e| missing(&path, &e))?);
    }
    let env_vars = std::env::vars_os()
        .filter_map(|(k, v)| {
            Some((k.into_string().ok()?.strip_prefix("EVENKEEL_VAR_")?.to_owned(), v.into_string().ok()?))
        })
        .collect();
    let env = global.environment.clone();
    let mut inputs = Inputs { main: source, env, overlay, var_files, vars, env_vars, ..Inputs::default() };
    // What cannot be read is noted: the declaration then says so at the place that names it.
    let beside = files::read(&base(&main), &files_wanted(&inputs));
    inputs.files = beside.files;
    inputs.unread = beside.unread;
    Ok(inputs)
}

fn base(main: &Path) -> PathBuf {
    main.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn missing(path: &Path, e: &std::io::Error) -> Halt {
    let path = path.display();
    Halt::error(match e.kind() {
        std::io::ErrorKind::NotFound => format!("there is no {path}"),
        std::io::ErrorKind::InvalidData => format!("cannot read {path}: it is not text (UTF-8)"),
        std::io::ErrorKind::IsADirectory => format!("cannot read {path}: it is a folder; name the file in it with -f"),
        _ => format!("cannot read {path}: {e}"),
    })
}

/// A declaration that is not there has ways out that other files have not.
fn no_declaration(path: &Path, e: &std::io::Error) -> Halt {
    let mut halt = missing(path, e);
    if e.kind() == std::io::ErrorKind::NotFound {
        halt.says.push_str(": `evenkeel init` writes one; -f FILE or -C DIR names another");
    }
    halt
}

/// Problems as text for a person.
pub fn problems(declared: &Declared, out: &Out) -> String {
    let secrets = Redactor::new(&declared.secrets);
    let sources = sources(declared);
    diagnostics::text(&declared.diagnostics, &sources, &secrets, out.width(), out.stderr_color())
}

/// Name → text of the sources.
pub fn sources(declared: &Declared) -> BTreeMap<String, String> {
    declared.sources.iter().map(|s| (s.name.clone(), s.text.clone())).collect()
}

/// Whether anything forbids going on.
pub fn has_errors(all: &[Diagnostic]) -> bool {
    all.iter().any(|d| d.severity == Severity::Error)
}

impl Project {
    /// Reads and checks the declaration; warnings are said, errors end it.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn open(global: &Global, out: &Out) -> Result<Self, Halt> {
        let declared = declare(&inputs(global)?);
        let words = problems(&declared, out);
        let Declared { desired, secrets, diagnostics, .. } = declared;
        let Some(desired) = desired.filter(|_| !has_errors(&diagnostics)) else { return Err(Halt::rendered(words)) };
        if !words.is_empty() {
            out.rendered(&words);
        }
        let folder = base(&path(global));
        Ok(Self { folder, desired, secrets: Redactor::new(&secrets), is_sim: global.sim.is_some() })
    }

    /// Where evenkeel keeps what is only of use here: locks, journals, history. Nothing is lost without it.
    pub fn state(&self) -> PathBuf {
        self.folder.join(".evenkeel").join(&self.desired.stack.id)
    }

    /// Where the memory of earlier looks is kept. What the sim has shown says nothing about the world.
    pub fn history(&self) -> PathBuf {
        self.state().join(if self.is_sim { "history.sim.json" } else { "history.json" })
    }

    /// Everywhere to look: accounts and regions, and clusters.
    pub fn scopes(&self) -> BTreeSet<String> {
        self.desired.ec2_scopes().into_iter().chain(self.desired.clusters.keys().cloned()).collect()
    }
}
