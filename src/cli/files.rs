//! The files beside a declaration: boot scripts, and manifests by file, folder or pattern.
//!
//! Reads nothing outside of the declaration's folder, links that lead out of it included, and no more than
//! [`limits`] allow. What cannot be read is noted, so that the declaration says so at the place that names it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use evenkeel_core::declaration::{Pattern, Wanted, limits};

/// What was read, and what could not be and why.
#[derive(Default)]
pub struct Beside {
    /// By path from the declaration's folder, with `/` between its parts.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Files and patterns.
    pub unread: BTreeMap<String, String>,
    bytes: usize,
    manifests: usize,
}

/// Reads all that is wanted below `home`.
pub fn read(home: &Path, wanted: &[Wanted]) -> Beside {
    let mut all = Beside::default();
    // Without a folder nothing in it can be read either.
    let Ok(real) = home.canonicalize() else { return all };
    for wanted in wanted {
        match wanted {
            Wanted::File(name) => all.one(&real, name),
            Wanted::Files(pattern) => {
                let found = find(&real, pattern);
                match found {
                    Ok(names) => names.iter().for_each(|name| all.one(&real, name)),
                    Err(why) => drop(all.unread.insert(pattern.text().to_owned(), why)),
                }
            }
        }
    }
    all
}

impl Beside {
    fn one(&mut self, home: &Path, name: &str) {
        if self.files.contains_key(name) || self.unread.contains_key(name) {
            return;
        }
        self.manifests += 1;
        let read = if self.manifests > limits::FILES {
            Err(format!("there are more than {} files", limits::FILES))
        } else {
            plain(home, name, limits::BYTES - self.bytes)
        };
        match read {
            Ok(Some(bytes)) => {
                self.bytes += bytes.len();
                self.files.insert(name.to_owned(), bytes);
            }
            Ok(None) => {}
            Err(why) => drop(self.unread.insert(name.to_owned(), why)),
        }
    }
}

/// A plain file's bytes, at most `room`; `None` where there is none.
fn plain(home: &Path, name: &str, room: usize) -> Result<Option<Vec<u8>>, String> {
    let words = |e: std::io::Error| e.to_string();
    let path = match home.join(name).canonicalize() {
        Ok(path) => path,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(words(e)),
    };
    if !path.starts_with(home) {
        return Err("it is a link that leads out of the declaration's folder".to_owned());
    }
    // A pipe that nobody writes to would be waited for without end.
    if !path.metadata().map_err(words)?.is_file() {
        return Err("it is no plain file".to_owned());
    }
    let most = room.min(limits::FILE);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).map_err(words)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() <= most {
        return Ok(Some(bytes));
    }
    let mib = |n: usize| n >> 20;
    Err(if most < limits::FILE {
        format!("the files together have more than {} MiB", mib(limits::BYTES))
    } else {
        format!("it has more than {} MiB", mib(limits::FILE))
    })
}

/// The files that a pattern names, in order; none where nothing is there.
fn find(home: &Path, pattern: &Pattern) -> Result<BTreeSet<String>, String> {
    let start = home.join(pattern.folder());
    let mut names = BTreeSet::new();
    if pattern.is_plain() && !pattern.text().is_empty() && !start.is_dir() {
        if start.symlink_metadata().is_ok() {
            names.insert(pattern.text().to_owned());
        }
        return Ok(names);
    }
    let mut seen = 0;
    let mut folders: Vec<(PathBuf, String, usize)> = vec![(start, pattern.folder().to_owned(), 0)];
    while let Some((folder, name, depth)) = folders.pop() {
        match folder.canonicalize() {
            Ok(real) if real.starts_with(home) => {}
            Ok(_) => return Err(format!("{name} is a link that leads out of the declaration's folder")),
            Err(_) => continue,
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(if name.is_empty() { e.to_string() } else { format!("{name}: {e}") }),
        };
        for entry in entries {
            let entry = entry.map_err(|e| e.to_string())?;
            seen += 1;
            if seen > limits::ENTRIES {
                return Err(format!("its folders have more than {} entries", limits::ENTRIES));
            }
            // A name that is no text is none that the declaration could mean.
            let Ok(own) = entry.file_name().into_string() else { continue };
            let below = if name.is_empty() { own.clone() } else { format!("{name}/{own}") };
            let kind = entry.file_type().map_err(|e| e.to_string())?;
            if kind.is_dir() {
                if depth < pattern.depth() && !own.starts_with('.') {
                    folders.push((folder.join(&own), below, depth + 1));
                }
            } else if pattern.matches(&below) && !(kind.is_symlink() && folder.join(&own).is_dir()) {
                names.insert(below);
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Vec<Wanted> {
        vec![Wanted::Files(Pattern::new(text).unwrap())]
    }

    fn names(home: &Path, text: &str) -> Vec<String> {
        let all = read(home, &wanted(text));
        assert_eq!(all.unread, BTreeMap::new(), "{text}");
        all.files.into_keys().collect()
    }

    #[test]
    fn folders_and_patterns_give_their_files_and_nothing_from_outside() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir_all(home.join("k8s/deep/er")).unwrap();
        for file in
            ["k8s/b.yaml", "k8s/a.json", "k8s/deep/c.yml", "k8s/deep/er/d.yaml.j2", "k8s/x.sh", "k8s/.hidden.yaml"]
        {
            std::fs::write(home.join(file), "a: 1\n").unwrap();
        }
        assert_eq!(names(&home, "k8s"), ["k8s/a.json", "k8s/b.yaml"]);
        assert_eq!(names(&home, "k8s/*.yaml"), ["k8s/b.yaml"]);
        assert_eq!(names(&home, "k8s/*/*"), ["k8s/deep/c.yml"]);
        assert_eq!(names(&home, "**/*.y*"), ["k8s/b.yaml", "k8s/deep/c.yml", "k8s/deep/er/d.yaml.j2"]);
        assert_eq!(names(&home, "k8s/.hidden.yaml"), ["k8s/.hidden.yaml"], "named in full");
        assert_eq!(names(&home, "none"), Vec::<String>::new());
        assert_eq!(names(&home, "."), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_out_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir_all(home.join("k8s")).unwrap();
        std::fs::write(dir.path().join("out.yaml"), "a: 1\n").unwrap();
        std::os::unix::fs::symlink(dir.path().join("out.yaml"), home.join("k8s/out.yaml")).unwrap();
        std::os::unix::fs::symlink(dir.path(), home.join("all")).unwrap();
        let said = |text: &str| {
            let all = read(&home, &wanted(text));
            assert!(all.files.is_empty(), "{text}");
            all.unread.into_iter().collect::<Vec<_>>()
        };
        let why = |name: &str, words: &str| vec![(name.to_owned(), words.to_owned())];
        let out = "it is a link that leads out of the declaration's folder";
        assert_eq!(said("k8s/*.yaml"), why("k8s/out.yaml", out));
        assert_eq!(said("all"), why("all", "all is a link that leads out of the declaration's folder"));
        assert_eq!(said("**/*.yaml"), why("k8s/out.yaml", out), "no linked folder is looked through");
        std::fs::remove_file(home.join("k8s/out.yaml")).unwrap();
        std::fs::write(home.join("k8s/in.yaml"), "a: 1\n").unwrap();
        std::os::unix::fs::symlink("in.yaml", home.join("k8s/link.yaml")).unwrap();
        assert_eq!(names(&home, "k8s"), ["k8s/in.yaml", "k8s/link.yaml"], "a link that stays inside is a file");
    }

    #[test]
    fn a_file_beyond_the_limit_is_named_and_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("big.yaml")).unwrap();
        file.set_len(limits::FILE as u64 + 1).unwrap();
        let all = read(dir.path(), &wanted("big.yaml"));
        assert_eq!(all.unread["big.yaml"], "it has more than 16 MiB");
    }
}
