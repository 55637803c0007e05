//! Where words go: data to stdout, talk to stderr. Where nobody reads stdout any more, nothing is written to it; what
//! the command does goes on, and its exit code stays its own.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use evenkeel_present::document::Doc;
use evenkeel_present::escape::escape;
use evenkeel_present::redact::Redactor;
use evenkeel_present::render;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR says otherwise; FORCE_COLOR and CLICOLOR_FORCE turn it on.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// Both streams and how to write on them.
pub struct Out {
    color: Color,
    /// Nobody reads stdout any more.
    unread: AtomicBool,
    /// More talk: `-v`.
    pub verbose: bool,
}

/// Wider than this a page is hard to read.
const WIDEST: usize = 120;

impl Out {
    /// Output with this choice of colour.
    pub fn new(color: Color, verbose: bool) -> Self {
        Self { color, unread: AtomicBool::new(false), verbose }
    }

    /// Whether a stream gets colour.
    fn colored(&self, stream: &impl IsTerminal) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto => set("FORCE_COLOR") || set("CLICOLOR_FORCE") || (stream.is_terminal() && !dumb()),
        }
    }

    /// Whether stdout gets colour.
    pub fn stdout_color(&self) -> bool {
        self.colored(&io::stdout())
    }

    /// Whether stderr gets colour.
    pub fn stderr_color(&self) -> bool {
        self.colored(&io::stderr())
    }

    /// Columns to fill: the terminal's, or 80.
    pub fn width(&self) -> usize {
        render::terminal_width().clamp(40, WIDEST)
    }

    /// Writes a page to stdout.
    pub fn page(&self, doc: &Doc, secrets: &Redactor) {
        self.data(&render::text(doc, secrets, self.width(), self.stdout_color()));
    }

    /// Writes data to stdout as it is.
    pub fn data(&self, text: &str) {
        if self.unread.load(Ordering::Relaxed) {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(e) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            if e.kind() == io::ErrorKind::BrokenPipe {
                self.unread.store(true, Ordering::Relaxed);
            } else {
                end(&e);
            }
        }
    }

    /// Says something on stderr; what a terminal would obey in it is written out.
    pub fn say(&self, text: &str) {
        self.rendered(&self.fitted(&escaped(text)));
    }

    /// Talk as it fits the terminal; whole lines where there is none, for a log is searched by lines.
    pub fn fitted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if io::stderr().is_terminal() { render::folded(text, self.width()).into() } else { text.into() }
    }

    /// Says a finished page, which is escaped and may be coloured, on stderr.
    pub fn rendered(&self, page: &str) {
        let mut err = io::stderr().lock();
        // Nobody is left to tell that nobody listens.
        let _ = writeln!(err, "{}", page.trim_end());
    }

    /// Says why the command stops.
    pub fn problem(&self, says: &str) {
        self.severe("error", 31, says);
    }

    /// Says what does not stop the command and should be thought about.
    pub fn warn(&self, says: &str) {
        self.severe("warning", 33, says);
    }

    fn severe(&self, word: &str, color: u8, says: &str) {
        // Folded before it is painted: escape sequences have no width.
        let text = format!("{word}: {}", escaped(says));
        let text = self.fitted(&text);
        if self.stderr_color() {
            self.rendered(&text.replacen(word, &format!("\u{1b}[1;{color}m{word}\u{1b}[0m"), 1));
        } else {
            self.rendered(&text);
        }
    }

    /// Everything is out before the process ends.
    pub fn flush(&self) {
        let _ = io::stdout().flush();
    }
}

/// Text of several lines with all that hides or moves written out, line by line.
pub fn escaped(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

fn dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|t| t == "dumb")
}

fn end(e: &io::Error) -> ! {
    eprintln!("error: cannot write to stdout: {e}");
    std::process::exit(1);
}
