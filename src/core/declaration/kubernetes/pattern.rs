//! Which files `files` of a manifest names: a file, a folder's own files, or a pattern such as `k8s/**/*.yaml`.

use globset::{GlobBuilder, GlobMatcher};

/// A file, a folder or a pattern, seen from the declaration's folder; it never leads out of it.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    glob: Option<GlobMatcher>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Pattern {}
impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// Signs that make a pattern of a path.
const SIGNS: &[char] = &['*', '?', '[', '{'];

/// Ends of the files that a folder or a pattern gives.
const ENDS: &[&str] = &[".yaml", ".yml", ".json"];

impl Pattern {
    /// Reads one, whose form ([`Form::Files`](super::forms::Form::Files)) has been checked.
    ///
    /// # Errors
    /// In words, for a pattern that is none.
    pub fn new(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
        let text = parts.join("/");
        let glob = if text.contains(SIGNS) {
            let glob = GlobBuilder::new(&text).literal_separator(true).build().map_err(|e| e.kind().to_string())?;
            Some(glob.compile_matcher())
        } else {
            None
        };
        Ok(Self { text, glob })
    }

    /// As it stands in the file, made plain: `./k8s/` is `k8s`, and `.` is empty.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a file's or a folder's own path, and not a pattern.
    pub fn is_plain(&self) -> bool {
        self.glob.is_none()
    }

    /// The folder to look through: what stands before the first sign.
    pub fn folder(&self) -> &str {
        if self.is_plain() {
            return &self.text;
        }
        let plain = self.text.find(SIGNS).map_or(self.text.as_str(), |i| &self.text[..i]);
        plain.rfind('/').map_or("", |i| &plain[..i])
    }

    /// How many folders deep to look below [`folder`](Self::folder).
    pub fn depth(&self) -> usize {
        let below = self.text.strip_prefix(self.folder()).unwrap_or("");
        if self.is_plain() {
            0
        } else if below.contains("**") || below.contains('{') {
            usize::MAX
        } else {
            below.trim_start_matches('/').matches('/').count()
        }
    }

    /// Whether it names this file. Files whose names begin with a dot, and those that are no YAML and no JSON, are
    /// meant only where they are named in full.
    pub fn matches(&self, file: &str) -> bool {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let bare = name.strip_suffix(".j2").unwrap_or(name);
        let fits = !name.starts_with('.') && ENDS.iter().any(|e| bare.ends_with(e));
        match &self.glob {
            Some(glob) => fits && glob.is_match(file),
            None => file == self.text || (fits && folder == self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_own_files_and_a_pattern_what_it_says() {
        for (pattern, folder, depth, yes, no) in [
            (
                "k8s",
                "k8s",
                0,
                &["k8s/a.yaml", "k8s/b.json", "k8s/c.yml.j2", "k8s"][..],
                &["k8s/d/a.yaml", "k8s/x.sh"][..],
            ),
            ("./k8s/", "k8s", 0, &["k8s/a.yaml"], &["k8s/.a.yaml", "a.yaml"]),
            (".", "", 0, &["a.yaml"], &["k8s/a.yaml", "evenkeel.toml"]),
            ("k8s/*.yaml", "k8s", 0, &["k8s/a.yaml"], &["k8s/a.json", "k8s/b/a.yaml", "k8s/.a.yaml"]),
            ("k8s/*/x-?.yaml", "k8s", 1, &["k8s/a/x-1.yaml"], &["k8s/a/b/x-1.yaml"]),
            ("k8s/**/*.yaml", "k8s", usize::MAX, &["k8s/a.yaml", "k8s/b/c/a.yaml"], &["k9s/a.yaml"]),
            ("{a,b}/*", "", usize::MAX, &["a/x.json", "b/y.yaml"], &["c/x.json", "a/x.sh"]),
            ("notes.txt", "notes.txt", 0, &["notes.txt"], &["notes.yaml"]),
        ] {
            let p = Pattern::new(pattern).unwrap();
            assert_eq!((p.folder(), p.depth()), (folder, depth), "{pattern}");
            yes.iter().for_each(|f| assert!(p.matches(f), "{pattern} {f}"));
            no.iter().for_each(|f| assert!(!p.matches(f), "{pattern} {f}"));
        }
        assert!(Pattern::new("k8s/[").is_err());
    }
}
