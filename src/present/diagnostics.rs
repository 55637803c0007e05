//! Problems in the user's files: as text with the lines they stand on, as JSON, as annotations on GitHub.
//!
//! The file's text is shown as it is but for secrets and characters that hide, which are written out; every mark
//! still points at the right place.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};
use evenkeel_core::diagnostic::{Diagnostic, Fix, Place, Severity};
use serde::Serialize;

use crate::escape::{escape, hides};
use crate::redact::{MASK, Redactor};
use crate::words::count;

/// The JSON schema's name and version.
pub const FORMAT: &str = "evenkeel.diagnostics/1";

/// A longer line of a file is trimmed around its mark; wider pages make bad reading.
const WIDEST: usize = 140;

/// File name → its text, for every file a place may name.
pub type Sources = BTreeMap<String, String>;

/// The problems as text, with the lines they stand on and a count at the end.
pub fn text(all: &[Diagnostic], sources: &Sources, secrets: &Redactor, width: usize, color: bool) -> String {
    let width = width.clamp(40, WIDEST);
    let base = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = base.term_width(width).decor_style(DecorStyle::Ascii);
    let shown: BTreeMap<&str, Shown> =
        sources.iter().map(|(file, text)| (file.as_str(), Shown::of(text, secrets))).collect();
    let mut out = String::new();
    for problem in all {
        let report = report(problem, &shown, secrets, width);
        out.push_str(renderer.render(&report).trim_end());
        out.push_str("\n\n");
    }
    let errors = all.iter().filter(|d| d.severity == Severity::Error).count() as u64;
    let warnings = all.len() as u64 - errors;
    let counts: Vec<String> = [(errors, "error", "errors"), (warnings, "warning", "warnings")]
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, many)| count(n, one, many))
        .collect();
    if !counts.is_empty() {
        out.push_str(&counts.join(", "));
        out.push('\n');
    }
    out
}

fn report<'a>(d: &'a Diagnostic, shown: &'a BTreeMap<&str, Shown>, secrets: &Redactor, width: usize) -> Vec<Group<'a>> {
    let (level, word) = match d.severity {
        Severity::Error => (Level::ERROR, "error"),
        Severity::Warning => (Level::WARNING, "warning"),
    };
    let says = |s: &str| escape(&secrets.line(s));
    let room = width.saturating_sub(word.len() + d.code.len() + "[]: ".len());
    let mut group =
        level.primary_title(fill(&says(&d.says), room)).id(d.code).elements(std::iter::empty::<Origin<'a>>());
    // One snippet a file; the first file is the main one.
    let mut files: Vec<&str> = Vec::new();
    for place in &d.places {
        if !files.contains(&place.file.as_str()) {
            files.push(&place.file);
        }
    }
    for file in files {
        let Some(text) = shown.get(file) else {
            group = group.element(Origin::path(says(file)));
            continue;
        };
        let marks = d.places.iter().enumerate().filter(|(_, p)| p.file == file).map(|(i, place)| {
            let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let label = (!place.label.is_empty()).then(|| says(&place.label));
            kind.span(text.map(&place.span)).label(label)
        });
        group = group.element(Snippet::source(text.text.as_str()).path(says(file)).annotations(marks));
    }
    group = group.element(Level::HELP.message(fill(&says(&d.way_out), width.saturating_sub("   = help: ".len()))));
    let mut all = vec![group];
    if let Some((fix, file, text)) = mend(d, shown) {
        let patch = Patch::new(text.map(&fix.span), says_keeping_lines(&fix.with, secrets));
        let snippet = Snippet::source(text.text.as_str()).path(says(file)).patch(patch);
        all.push(Level::HELP.secondary_title("this would mend it").element(snippet));
    }
    all
}

/// The fix, with the file it is for: the main place's.
fn mend<'a>(d: &'a Diagnostic, shown: &'a BTreeMap<&str, Shown>) -> Option<(&'a Fix, &'a str, &'a Shown)> {
    let (fix, place) = (d.fix.as_ref()?, d.places.first()?);
    Some((fix, place.file.as_str(), shown.get(place.file.as_str())?))
}

fn says_keeping_lines(text: &str, secrets: &Redactor) -> String {
    Shown::of(text, secrets).text
}

/// Broken at spaces into lines of at most `room` columns.
fn fill(text: &str, room: usize) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut out = String::new();
    let mut at = 0;
    for word in text.split(' ') {
        if at > 0 && at + 1 + word.width() > room {
            out.push('\n');
            at = 0;
        } else if !out.is_empty() {
            out.push(' ');
            at += 1;
        }
        out.push_str(word);
        at += word.width();
    }
    out
}

/// A file's text as it is shown, and where the places of the original stand in it.
struct Shown {
    text: String,
    /// (place in the original, place here), in order, for what was rewritten.
    moved: Vec<(Range<usize>, Range<usize>)>,
}

impl Shown {
    fn of(source: &str, secrets: &Redactor) -> Self {
        let masked = secrets.find(source);
        let hidden = source.char_indices().filter(|(i, c)| hides(*c) && !is_line_end(source, *i) && *c != '\t');
        let mut rewrite: Vec<(Range<usize>, String)> = hidden
            .map(|(i, c)| (i..i + c.len_utf8(), escape(c.encode_utf8(&mut [0; 4]))))
            .filter(|(r, _)| !masked.iter().any(|m| m.start <= r.start && r.end <= m.end))
            .collect();
        // A mask keeps the line ends, so that line numbers stay.
        rewrite.extend(masked.into_iter().map(|r| {
            let lines = source.get(r.clone()).map_or(0, |s| s.matches('\n').count());
            (r, MASK.to_owned() + &"\n".repeat(lines))
        }));
        rewrite.sort_by_key(|(r, _)| r.start);
        let mut shown = Self { text: String::with_capacity(source.len()), moved: Vec::new() };
        let mut from = 0;
        for (range, with) in rewrite {
            shown.text.push_str(&source[from..range.start]);
            let start = shown.text.len();
            shown.text.push_str(&with);
            from = range.end;
            shown.moved.push((range, start..shown.text.len()));
        }
        shown.text.push_str(&source[from..]);
        shown
    }

    /// Where a place of the original stands here. A place outside the text, or inside a character, is moved to the
    /// nearest one that can be shown.
    fn map(&self, span: &Range<usize>) -> Range<usize> {
        let (start, end) = (self.at(span.start, false), self.at(span.end.max(span.start), true));
        start..end.max(start)
    }

    fn at(&self, old: usize, end: bool) -> usize {
        let before = self.moved.iter().take_while(|(o, _)| o.start < old || (o.start == old && end)).last();
        let new = match before {
            None => old,
            Some((o, n)) if old < o.end => {
                if end && old > o.start {
                    n.end
                } else {
                    n.start
                }
            }
            Some((o, n)) => n.end + (old - o.end),
        };
        let mut new = new.min(self.text.len());
        while !self.text.is_char_boundary(new) {
            new -= 1;
        }
        new
    }
}

/// `\n`, or the `\r` of `\r\n`.
fn is_line_end(source: &str, at: usize) -> bool {
    source[at..].starts_with('\n') || source[at..].starts_with("\r\n")
}

/// Line and column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// Where this byte of a text is; a byte past the end is the end.
pub fn point(text: &str, byte: usize) -> Point {
    let mut end = byte.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Point { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

/// `evenkeel.diagnostics/1`.
#[derive(Debug, Serialize)]
pub struct DiagnosticsJson<'a> {
    /// [`FORMAT`].
    pub format: &'static str,
    /// How many errors.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// Each problem.
    pub diagnostics: Vec<DiagnosticJson<'a>>,
}

/// One problem.
#[derive(Debug, Serialize)]
pub struct DiagnosticJson<'a> {
    /// `E0102`.
    pub code: &'a str,
    /// `error` or `warning`.
    pub severity: Severity,
    /// What is wrong.
    pub says: &'a str,
    /// What to do about it.
    pub way_out: &'a str,
    /// Where; the main place first.
    pub places: Vec<PlaceJson<'a>>,
    /// A safe mend, in bytes of the main place's file.
    pub fix: &'a Option<Fix>,
}

/// One place.
#[derive(Debug, Serialize)]
pub struct PlaceJson<'a> {
    /// The file's name as the user gave it.
    pub file: &'a str,
    /// In bytes.
    pub span: &'a Range<usize>,
    /// Where it starts; null where the file's text is not at hand.
    pub start: Option<Point>,
    /// Where it ends.
    pub end: Option<Point>,
    /// What to say beside it.
    pub label: &'a str,
}

/// The problems for programs.
pub fn json<'a>(all: &'a [Diagnostic], sources: &Sources) -> DiagnosticsJson<'a> {
    let errors = all.iter().filter(|d| d.severity == Severity::Error).count();
    let place = |p: &'a Place| {
        let text = sources.get(&p.file);
        PlaceJson {
            file: &p.file,
            span: &p.span,
            start: text.map(|t| point(t, p.span.start)),
            end: text.map(|t| point(t, p.span.end)),
            label: &p.label,
        }
    };
    DiagnosticsJson {
        format: FORMAT,
        errors,
        warnings: all.len() - errors,
        diagnostics: all
            .iter()
            .map(|d| DiagnosticJson {
                code: d.code,
                severity: d.severity,
                says: &d.says,
                way_out: &d.way_out,
                places: d.places.iter().map(place).collect(),
                fix: &d.fix,
            })
            .collect(),
    }
}

/// The problems as workflow commands, one a line: GitHub shows them beside the lines of a pull request.
pub fn github(all: &[Diagnostic], sources: &Sources, secrets: &Redactor) -> String {
    let mut out = String::new();
    for d in all {
        let level = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut properties = Vec::new();
        if let Some(place) = d.places.first() {
            properties.push(format!("file={}", property(&place.file, secrets)));
            if let Some(text) = sources.get(&place.file) {
                let (start, end) = (point(text, place.span.start), point(text, place.span.end.max(place.span.start)));
                properties.push(format!("line={},endLine={}", start.line, end.line));
                // GitHub ignores columns of a place over several lines.
                if start.line == end.line {
                    properties.push(format!("col={},endColumn={}", start.column, end.column));
                }
            }
        }
        properties.push(format!("title={}", property(d.code, secrets)));
        let message = data(&format!("{}. {}", secrets.line(&d.says).trim_end_matches('.'), secrets.line(&d.way_out)));
        out.push_str(&format!("::{level} {}::{message}\n", properties.join(",")));
    }
    out
}

/// A command's message: one line, `%` written so that it stays.
fn data(text: &str) -> String {
    escape(text).replace('%', "%25")
}

/// A command's property: also free of what separates properties.
fn property(text: &str, secrets: &Redactor) -> String {
    data(&secrets.line(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problem(span: Range<usize>, fix: Option<Range<usize>>) -> Diagnostic {
        Diagnostic {
            code: "E0102",
            severity: Severity::Error,
            says: "something is wrong".to_owned(),
            places: vec![
                Place { file: "evenkeel.toml".to_owned(), span: span.clone(), label: "here".to_owned() },
                Place { file: "evenkeel.toml".to_owned(), span, label: String::new() },
            ],
            way_out: "do it otherwise".to_owned(),
            fix: fix.map(|span| Fix { span, with: "x\ny".to_owned() }),
        }
    }

    #[test]
    fn a_place_after_a_hidden_character_is_still_marked_rightly() {
        let source = "a = \"\u{202e}\"\nname = 1\n";
        let shown = Shown::of(source, &Redactor::none());
        let at = source.find("name").unwrap();
        assert_eq!(&shown.text[shown.map(&(at..at + 4))], "name");
    }

    #[test]
    fn a_secret_of_several_lines_keeps_the_line_numbers() {
        let source = "a = '''one secret\nof two lines'''\nb = 2\n";
        let shown = Shown::of(source, &Redactor::new(["one secret\nof two lines"]));
        assert_eq!(shown.text, "a = '''(secret)\n'''\nb = 2\n");
        let at = source.find("b =").unwrap();
        assert_eq!(&shown.text[shown.map(&(at..at + 1))], "b");
    }

    #[test]
    fn a_point_counts_characters_from_one() {
        assert_eq!(point("é = 1\nb", 3), Point { line: 1, column: 3 });
        assert_eq!(point("é = 1\nb", 7), Point { line: 2, column: 1 });
        assert_eq!(point("", 99), Point { line: 1, column: 1 });
    }

    #[test]
    fn a_github_message_cannot_begin_another_command() {
        let mut d = problem(0..1, None);
        d.says = "50% of\n::error::this".to_owned();
        d.places[0].file = "a,b:c".to_owned();
        let out = github(&[d], &Sources::new(), &Redactor::none());
        assert_eq!(out, "::error file=a%2Cb%3Ac,title=E0102::50%25 of\\n::error::this. do it otherwise\n");
    }

    proptest! {
        #[test]
        fn no_place_and_no_text_panics(
            source in "[ab\"=é東\u{202e}\u{1b}\t\r\n ]{0,60}",
            a in 0usize..80, b in 0usize..80, c in 0usize..80, d in 0usize..80, color in any::<bool>(),
        ) {
            let sources = Sources::from([("evenkeel.toml".to_owned(), source.clone())]);
            #[expect(clippy::reversed_empty_ranges, reason = "a hostile place may be reversed")]
            let all = [problem(a..b, Some(c..d)), problem(5..2, None)];
            let out = text(&all, &sources, &Redactor::new(["ab\"="]), 80, color);
            prop_assert!(!out.contains("ab\"="));
            if !color {
                prop_assert!(!out.chars().any(|c| hides(c) && c != '\n'), "{:?}", out);
            }
            json(&all, &sources);
            prop_assert_eq!(github(&all, &sources, &Redactor::none()).lines().count(), 2);
        }
    }
}
