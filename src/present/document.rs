//! What is to be shown, before anybody knows how: labelled spans in rows, rows in parts.
//!
//! A document names roles (added, dim, an id), never colours, and holds only text that went through
//! [`crate::escape`]: a [`Span`] cannot be made otherwise. Laying out, colouring and cutting are
//! [`crate::render`]'s work.

use unicode_width::UnicodeWidthStr;

use crate::escape::escape;

/// What a piece of text is, so that each output can show it in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing special.
    Plain,
    /// Made new.
    Added,
    /// Goes.
    Removed,
    /// Changes in place.
    Changed,
    /// Goes after a new one has come.
    Replaced,
    /// Less important than its surroundings.
    Dim,
    /// More important than its surroundings.
    Strong,
    /// Good to know that it is well.
    Good,
    /// Needs a look.
    Warning,
    /// Wrong.
    Error,
    /// A provider's id.
    Id,
}

/// A piece of text with its role. Its text has been escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    role: Role,
    text: String,
}

impl Span {
    /// The text with all that hides written out.
    pub fn new(role: Role, text: &str) -> Self {
        Self { role, text: escape(text) }
    }

    /// Text cut out of other spans: it was escaped when they were made.
    pub(crate) fn escaped(role: Role, text: String) -> Self {
        Self { role, text }
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its text, safe to show.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A run of spans on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub(crate) Vec<Span>);

impl Text {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One span.
    pub fn of(role: Role, text: impl AsRef<str>) -> Self {
        Self::new().with(role, text)
    }

    /// And this span.
    #[must_use]
    pub fn with(mut self, role: Role, text: impl AsRef<str>) -> Self {
        if !text.as_ref().is_empty() {
            self.0.push(Span::new(role, text.as_ref()));
        }
        self
    }

    /// And this plain text.
    #[must_use]
    pub fn plain(self, text: impl AsRef<str>) -> Self {
        self.with(Role::Plain, text)
    }

    /// And this dim text.
    #[must_use]
    pub fn dim(self, text: impl AsRef<str>) -> Self {
        self.with(Role::Dim, text)
    }

    /// And all of that text.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The texts with `between` between them; empty ones are left out.
    pub fn join(texts: impl IntoIterator<Item = Self>, between: &str) -> Self {
        let mut all = Self::new();
        for text in texts.into_iter().filter(|t| !t.is_empty()) {
            if !all.is_empty() {
                all = all.dim(between);
            }
            all = all.and(text);
        }
        all
    }

    /// Its spans.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// True when there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|s| s.text.is_empty())
    }

    /// Terminal columns it takes.
    pub fn width(&self) -> usize {
        self.0.iter().map(|s| s.text.width()).sum()
    }

    /// The bare words.
    pub fn words(&self) -> String {
        self.0.iter().map(|s| s.text.as_str()).collect()
    }
}

impl<S: AsRef<str>> From<S> for Text {
    fn from(s: S) -> Self {
        Self::of(Role::Plain, s)
    }
}

/// Where a row's tail goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// On the row where it fits, else under it, indented.
    Under,
    /// In a column of its own beside the cells, wrapped there.
    Beside,
}

/// How much it hurts to leave a row out where there is a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Field by field.
    Detail,
    /// One of many.
    Normal,
    /// What goes away, what is held, what could not be seen.
    Important,
    /// Headline and total.
    Vital,
}

/// One row: aligned cells, then a tail of free text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Columns left free before it.
    pub indent: usize,
    /// Rows of one part with the same grid share their columns.
    pub grid: u8,
    /// Aligned with the cells of its grid. Empty ones at the end take no room.
    pub cells: Vec<Text>,
    /// Free text after the cells.
    pub tail: Text,
    /// Where the tail goes.
    pub goes: Tail,
    /// How much it hurts to leave it out.
    pub rank: Rank,
    /// What it means as a line of a diff.
    pub mark: Option<Role>,
}

impl Row {
    /// Free text, wrapped under itself.
    pub fn line(indent: usize, text: impl Into<Text>) -> Self {
        Self {
            indent,
            grid: 0,
            cells: Vec::new(),
            tail: text.into(),
            goes: Tail::Under,
            rank: Rank::Normal,
            mark: None,
        }
    }

    /// Cells of this grid.
    pub fn cells(indent: usize, grid: u8, cells: Vec<Text>) -> Self {
        Self { grid, cells, ..Self::line(indent, Text::new()) }
    }

    /// With this tail.
    #[must_use]
    pub fn tail(mut self, goes: Tail, tail: impl Into<Text>) -> Self {
        self.goes = goes;
        self.tail = tail.into();
        self
    }

    /// With this rank.
    #[must_use]
    pub fn rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// With this meaning in a diff.
    #[must_use]
    pub fn mark(mut self, mark: Role) -> Self {
        self.mark = Some(mark);
        self
    }
}

/// Rows that belong together; a blank line stands between parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doc {
    /// What it is about: the first line. May be empty.
    pub title: Text,
    /// The parts, in order; empty ones are not shown.
    pub parts: Vec<Part>,
    /// What it comes to: the last line on a screen, the headline in a comment. May be empty.
    pub summary: Text,
}

impl Doc {
    /// With this part, unless it is empty.
    pub fn push(&mut self, rows: Vec<Row>) {
        if !rows.is_empty() {
            self.parts.push(Part { rows });
        }
    }
}
