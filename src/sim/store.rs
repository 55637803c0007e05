//! The world's file: read whole, written whole, replaced in one step. A process that dies at any moment leaves either
//! the world before its call or the world after it.
//!
//! Several processes may use one file: a change is made under a lock beside it, on what the file says then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use evenkeel_core::address::ObjectName;
use evenkeel_core::declaration::too_deep;
use serde::Serialize;

use crate::cluster::Object;
use crate::world::{Disk, Machine, Token, World};

/// A world's file that cannot be used, in words, with a place and a way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWorld {
    /// The file, as it was named.
    pub file: String,
    /// Line and column, from 1; `None` where it is not about a place.
    pub place: Option<(usize, usize)>,
    /// What is wrong: one sentence.
    pub says: String,
    /// What to do about it.
    pub way_out: String,
}

impl std::fmt::Display for BadWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.says, self.way_out)
    }
}

impl std::error::Error for BadWorld {}

/// Where a world is kept.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// What the file looked like when this process last read or wrote it.
    seen: Option<Mark>,
    text: Text,
}

/// The world's text. Only the objects that differ from the last time are written anew: with 10,000 machines that is
/// the difference between a tenth of a second a call and none to speak of.
#[derive(Debug, Default)]
struct Text {
    instances: BTreeMap<String, (Machine, String)>,
    volumes: BTreeMap<String, (Disk, String)>,
    tokens: BTreeMap<String, (Token, String)>,
    /// Of each cluster.
    objects: BTreeMap<String, BTreeMap<ObjectName, (Object, String)>>,
}

impl Text {
    fn of(&mut self, world: &World) -> String {
        let mut out = HEADER.to_owned();
        out.push_str(&toml::to_string(world).expect("a world has string keys and no values TOML lacks"));
        write_table("instances", &mut self.instances, &world.instances, &mut out);
        write_table("volumes", &mut self.volumes, &world.volumes, &mut out);
        write_table("tokens", &mut self.tokens, &world.tokens, &mut out);
        self.objects.retain(|name, _| world.clusters.contains_key(name));
        for (name, cluster) in &world.clusters {
            let written = self.objects.entry(name.clone()).or_default();
            write_objects(name, written, &cluster.objects, &mut out);
        }
        out
    }
}

/// Appends `[name.id]` for each object.
fn write_table<T: Clone + PartialEq + Serialize>(
    name: &str,
    written: &mut BTreeMap<String, (T, String)>,
    now: &BTreeMap<String, T>,
    out: &mut String,
) {
    write_all(written, now, out, |id, object| {
        toml::to_string(&BTreeMap::from([(name, BTreeMap::from([(id, object)]))]))
    });
}

/// Appends `[clusters.name.objects.id]` for each object.
fn write_objects(
    name: &str,
    written: &mut BTreeMap<ObjectName, (Object, String)>,
    now: &BTreeMap<ObjectName, Object>,
    out: &mut String,
) {
    write_all(written, now, out, |id, object| {
        let cluster = BTreeMap::from([("objects", BTreeMap::from([(id, object)]))]);
        toml::to_string_pretty(&BTreeMap::from([("clusters", BTreeMap::from([(name, cluster)]))]))
    });
}

fn write_all<K: Clone + Ord, T: Clone + PartialEq>(
    written: &mut BTreeMap<K, (T, String)>,
    now: &BTreeMap<K, T>,
    out: &mut String,
    write: impl Fn(&K, &T) -> Result<String, toml::ser::Error>,
) {
    written.retain(|id, _| now.contains_key(id));
    for (id, object) in now {
        let known = written.get(id).filter(|(was, _)| was == object);
        let text = match known {
            Some((_, text)) => text,
            None => {
                let text = write(id, object).expect("objects have string keys and no values TOML lacks");
                &written.entry(id.clone()).insert_entry((object.clone(), text)).into_mut().1
            }
        };
        out.push('\n');
        out.push_str(text);
    }
}

/// Enough of a file's metadata to notice that another process has replaced it.
type Mark = (u64, Option<SystemTime>, u64);

const HEADER: &str = "\
# A small EC2 in memory, kept here between commands. Edit it as you like; move it away to begin again.
";

impl Store {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: None, text: Text::default() }
    }

    /// Reads the world, or makes one where there is none.
    pub(crate) fn open(&mut self, found: impl FnOnce() -> World) -> Result<World, BadWorld> {
        let _lock = self.lock()?;
        match self.read()? {
            Some(world) => Ok(world),
            None => {
                let world = found();
                self.write(&world)?;
                Ok(world)
            }
        }
    }

    /// The world as another process has left it; `None` when nobody has touched it.
    pub(crate) fn news(&mut self) -> Result<Option<World>, BadWorld> {
        if self.seen.is_some() && mark(&self.path) == self.seen { Ok(None) } else { self.read() }
    }

    fn read(&mut self) -> Result<Option<World>, BadWorld> {
        let seen = mark(&self.path);
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.bad(format!("cannot be read: {e}"), "name a world's file that you may read")),
        };
        let world = World::from_toml(&text).map_err(|e| BadWorld { file: self.path.display().to_string(), ..e })?;
        self.seen = seen;
        Ok(Some(world))
    }

    /// Replaces the file.
    pub(crate) fn write(&mut self, world: &World) -> Result<(), BadWorld> {
        let text = self.text.of(world);
        self.replace(&text).map_err(|e| {
            self.bad(format!("cannot be written: {e}"), "nothing of this call was kept; free some space and try again")
        })?;
        self.seen = mark(&self.path);
        Ok(())
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        // One name, reused: the lock keeps others away, and a killed process leaves no heap of them.
        let draft = self.beside("new");
        let mut options = File::options();
        options.create(true).truncate(true).write(true);
        // User data stands in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&draft, &self.path)?;
        // The name is on disk only when its folder is.
        #[cfg(unix)]
        File::open(self.folder())?.sync_all()?;
        Ok(())
    }

    /// Held while a change is made.
    pub(crate) fn lock(&self) -> Result<File, BadWorld> {
        let path = self.beside("lock");
        let locked = File::options().create(true).truncate(false).write(true).open(&path).and_then(|f| {
            f.lock()?;
            Ok(f)
        });
        locked.map_err(|e| {
            self.bad(
                format!("cannot be locked: {e}"),
                "name a file in a folder that is there and that you may write to",
            )
        })
    }

    /// `.world.toml.lock` for `world.toml`.
    fn beside(&self, ending: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.folder().join(format!(".{name}.{ending}"))
    }

    fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    fn bad(&self, says: String, way_out: &str) -> BadWorld {
        BadWorld { file: self.path.display().to_string(), place: None, says, way_out: way_out.to_owned() }
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let data = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&data);
    #[cfg(not(unix))]
    let inode = 0;
    Some((data.len(), data.modified().ok(), inode))
}

impl World {
    /// The world in a file's words.
    pub fn to_toml(&self) -> String {
        Text::default().of(self)
    }

    /// Reads a world.
    ///
    /// # Errors
    /// When the text is no TOML, has keys or values a world does not have, or contradicts itself.
    pub fn from_toml(text: &str) -> Result<Self, BadWorld> {
        let bad = |place, says: String| BadWorld {
            file: "world".to_owned(),
            place,
            says,
            way_out: "mend it, or move it away and let a fresh one be made".to_owned(),
        };
        if let Some(deep) = too_deep(text) {
            return Err(bad(Some(line_and_column(text, deep.start)), "it is nested too deep".to_owned()));
        }
        let world: Self = toml::from_str(text).map_err(|e| {
            let place = e.span().map(|span| line_and_column(text, span.start));
            bad(place, e.message().trim().replace('\n', ", "))
        })?;
        match world.contradiction() {
            None => Ok(world),
            Some(says) => Err(bad(None, says)),
        }
    }

    /// The first thing in it that cannot be, in words.
    fn contradiction(&self) -> Option<String> {
        if self.zones.is_empty() {
            return Some("it has no zones".to_owned());
        }
        for (id, s) in &self.subnets {
            if !self.zones.contains_key(&s.zone) {
                return Some(format!("subnet {id} stands in zone {}, which is not there", s.zone));
            }
        }
        for (id, m) in &self.instances {
            if !self.zones.contains_key(&m.zone) {
                return Some(format!("instance {id} stands in zone {}, which is not there", m.zone));
            }
            if !self.subnets.contains_key(&m.subnet) {
                return Some(format!("instance {id} stands in subnet {}, which is not there", m.subnet));
            }
        }
        for (id, v) in &self.volumes {
            match v.hold.as_ref().map(|h| (h, self.instances.get(&h.instance))) {
                Some((h, None)) => return Some(format!("volume {id} hangs on {}, which is not there", h.instance)),
                Some((h, Some(m))) if m.zone != v.zone => {
                    return Some(format!("volume {id} hangs on {}, which is in another zone", h.instance));
                }
                Some(_) | None => {}
            }
        }
        None
    }
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}
