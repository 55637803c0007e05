//! Collects problems while the declaration is read, and points each at its place.
//!
//! Nothing here decides what is wrong; it only makes sure that every problem has a code from [`codes`], a place
//! inside its text and a way out.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use super::codes;
use super::tree::At;
use crate::diagnostic::{Diagnostic, Fix, Place, Severity};

/// At most so many errors, and so many warnings, are kept: a screenful more than anyone reads, and a bound on hostile files.
const MOST: usize = 500;

/// The problems found so far.
#[derive(Debug)]
pub struct Problems<'a> {
    sources: &'a [Source],
    /// Texts that are read later than the declaration: manifests.
    more: Vec<Source>,
    /// Files of which nothing may be repeated.
    silent: BTreeSet<usize>,
    found: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

/// The problem just added, to be given a label, a second place or a mend.
pub struct Added<'p>(Option<&'p mut Diagnostic>, Sources<'p>);

/// The texts that places are in.
#[derive(Debug, Clone, Copy)]
struct Sources<'p>(&'p [Source], &'p [Source]);

impl<'p> Sources<'p> {
    fn get(self, file: usize) -> Option<&'p Source> {
        self.0.get(file).or_else(|| self.1.get(file.checked_sub(self.0.len())?))
    }
}

impl<'a> Problems<'a> {
    /// None yet.
    pub fn new(sources: &'a [Source]) -> Self {
        Self { sources, more: Vec::new(), silent: BTreeSet::new(), found: Vec::new(), errors: 0, warnings: 0 }
    }

    /// Adds a text that places may be in; answers with its number.
    pub fn source(&mut self, source: Source) -> usize {
        self.more.push(source);
        self.sources.len() + self.more.len() - 1
    }

    /// Puts another text of the same length in the place of one that was added: one that hides what must not be shown.
    pub fn hide(&mut self, file: usize, text: String) {
        if let Some(source) = file.checked_sub(self.sources.len()).and_then(|i| self.more.get_mut(i)) {
            debug_assert_eq!(source.text.len(), text.len(), "places would move");
            source.text = text;
        }
    }

    /// From now on, and of what was found so far, no problem of this file repeats a word of it.
    pub fn silence(&mut self, file: usize) {
        self.silent.insert(file);
        let Some(source) = Sources(self.sources, &self.more).get(file) else { return };
        let theirs = self.found.iter_mut().filter(|d| d.places.iter().any(|p| p.file == source.name));
        theirs.for_each(mute);
    }

    /// Adds an error.
    pub fn error(
        &mut self,
        code: &'static str,
        at: At,
        says: impl Into<String>,
        way_out: impl Into<String>,
    ) -> Added<'_> {
        self.add(code, Severity::Error, Some(at), says.into(), way_out.into())
    }

    /// Adds a warning.
    pub fn warn(
        &mut self,
        code: &'static str,
        at: At,
        says: impl Into<String>,
        way_out: impl Into<String>,
    ) -> Added<'_> {
        self.add(code, Severity::Warning, Some(at), says.into(), way_out.into())
    }

    /// Adds an error that no file shows: a flag's, an environment variable's.
    pub fn nowhere(&mut self, code: &'static str, says: impl Into<String>, way_out: impl Into<String>) {
        self.add(code, Severity::Error, None, says.into(), way_out.into());
    }

    /// Adds a warning that no file shows.
    pub fn nowhere_warn(&mut self, code: &'static str, says: impl Into<String>, way_out: impl Into<String>) {
        self.add(code, Severity::Warning, None, says.into(), way_out.into());
    }

    fn add(
        &mut self,
        code: &'static str,
        severity: Severity,
        at: Option<At>,
        says: String,
        way_out: String,
    ) -> Added<'_> {
        debug_assert!(codes::code(code).is_some(), "{code} is missing from the table of codes");
        let kept = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *kept += 1;
        let sources = Sources(self.sources, &self.more);
        if *kept > MOST {
            return Added(None, sources);
        }
        let places = at.iter().filter_map(|at| place(sources, *at, "")).collect();
        let mut added = Diagnostic { code, severity, says, places, way_out, fix: None };
        if at.is_some_and(|at| self.silent.contains(&at.file)) {
            mute(&mut added);
        }
        self.found.push(added);
        Added(self.found.last_mut(), sources)
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Whether any of them is an error.
    pub fn any_error(&self) -> bool {
        self.errors > 0
    }

    /// Whether so many errors are known that looking for more is of no use to anyone.
    pub fn full(&self) -> bool {
        self.errors >= MOST
    }

    /// All, in the order of their places; those without one first. Equal ones are said once. With them the texts that
    /// were added.
    pub fn sorted(mut self) -> (Vec<Diagnostic>, Vec<Source>) {
        let mut order: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, source) in self.sources.iter().chain(&self.more).enumerate() {
            order.entry(&source.name).or_insert(i);
        }
        let key = |d: &Diagnostic| {
            let place = d.places.first();
            let file = place.and_then(|p| order.get(p.file.as_str()).copied());
            (file, place.map_or(0, |p| p.span.start), d.code)
        };
        self.found.sort_by_key(key);
        self.found.dedup();
        (self.found, self.more)
    }

    /// The problems themselves.
    pub fn found(&mut self) -> &mut Vec<Diagnostic> {
        &mut self.found
    }

    /// The text at a place.
    pub fn text(&self, at: At) -> &str {
        Sources(self.sources, &self.more).get(at.file).and_then(|s| s.text.get(at.start..at.end)).unwrap_or("")
    }
}

impl Added<'_> {
    /// What to say beside the place.
    pub fn label(self, label: impl Into<String>) -> Self {
        match self {
            Self(Some(d), sources) => {
                if let Some(place) = d.places.first_mut() {
                    place.label = label.into();
                }
                Self(Some(d), sources)
            }
            none => none,
        }
    }

    /// A second place.
    pub fn also(self, at: At, label: &str) -> Self {
        match self {
            Self(Some(d), sources) => {
                d.places.extend(place(sources, at, label));
                Self(Some(d), sources)
            }
            none => none,
        }
    }

    /// A safe mend: replace what stands at `at`.
    pub fn fix(self, at: At, with: impl Into<String>) {
        // Only the main file can be mended: `validate --fix` writes that one.
        if let Self(Some(d), sources) = self
            && at.file == 0
            && let Some(place) = place(sources, at, "")
        {
            d.fix = Some(Fix { span: place.span, with: with.into() });
        }
    }
}

/// Says of a problem only what its code says.
fn mute(d: &mut Diagnostic) {
    // Its words are the same everywhere.
    if d.code == "E0206" {
        return;
    }
    let title = codes::code(d.code).map_or("", |c| c.title);
    d.says = format!("{title} (more is not said, because the file may hold a secret)");
    d.way_out = "correct the text at this place".to_owned();
    d.places.iter_mut().for_each(|p| p.label.clear());
}

/// A place, moved inward to the nearest character boundaries of its text.
fn place(sources: Sources<'_>, at: At, label: &str) -> Option<Place> {
    let source = sources.get(at.file)?;
    let mut start = at.start.min(source.text.len());
    while !source.text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = at.end.clamp(start, source.text.len());
    while !source.text.is_char_boundary(end) {
        end += 1;
    }
    Some(Place { file: source.name.clone(), span: start..end, label: label.to_owned() })
}
