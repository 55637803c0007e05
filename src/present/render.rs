//! Documents as text and as markdown: columns, wrapping, colours, limits.
//!
//! Every way out takes a [`Redactor`], so that no caller can forget it. Nothing here knows what a document is about.

use anstyle::{AnsiColor, Color, Style};
use unicode_width::UnicodeWidthStr;

use crate::document::{Doc, Part, Rank, Role, Row, Span, Tail, Text};
use crate::redact::Redactor;

/// GitHub's limit for a comment, in characters.
pub const GITHUB_COMMENT: usize = 65_536;

/// Columns between cells.
const GAP: usize = 2;

/// A cell wider than this does not widen its column: one hostile name must not push a page apart.
const WIDEST: usize = 40;

/// A tail is given a column of its own only if so much is left for it.
const NARROWEST: usize = 24;

/// No page is laid out narrower than this; a terminal that is will wrap it itself.
const LEAST_WIDTH: usize = 20;

/// Width of a page inside a markdown fence: what GitHub shows without a scroll bar.
const MARKDOWN_WIDTH: usize = 100;

/// A single line longer than this is cut in markdown.
const MARKDOWN_LINE: usize = 1_000;

/// Columns of the terminal behind standard output; 80 where there is none, so that a file reads like a screen.
pub fn terminal_width() -> usize {
    terminal_size::terminal_size_of(std::io::stdout()).map_or(80, |(w, _)| usize::from(w.0))
}

/// One line as it will stand, with what is needed to leave it out.
struct Laid {
    spans: Vec<Span>,
    rank: Rank,
    mark: Option<Role>,
}

/// The page as text, each line ended, at most `width` columns wide except for words that cannot be broken. Without
/// `color` it holds no escape sequence at all.
pub fn text(doc: &Doc, secrets: &Redactor, width: usize, color: bool) -> String {
    let doc = secrets.doc(doc);
    let mut out = String::new();
    for line in page(&doc, width) {
        out.push_str(&paint(&line.spans, color));
        out.push('\n');
    }
    out
}

/// The page for a comment on GitHub, at most `limit` characters: the summary as a headline, the rest in a fence that
/// no value can close. What does not fit is left out, details first, and the last line says how much.
pub fn markdown(doc: &Doc, secrets: &Redactor, limit: usize) -> String {
    let mut doc = secrets.doc(doc);
    let headline = std::mem::take(&mut doc.summary).words();
    let lines: Vec<(Rank, String)> = page(&doc, MARKDOWN_WIDTH).iter().map(|l| (l.rank, diff_line(l))).collect();
    let longest = lines.iter().map(|(_, l)| ticks(l)).max().unwrap_or(0).max(2) + 1;
    let fence = "`".repeat(longest);
    let headline = if headline.is_empty() { String::new() } else { format!("**{}**\n\n", plain_words(&headline)) };
    let frame = headline.chars().count() + 2 * fence.len() + "diff\n\n".len();
    let total = lines.len();

    let kept = fit(&lines, limit.saturating_sub(frame + left_out(total, total).chars().count()));
    let mut out = format!("{headline}{fence}diff\n");
    let mut count = 0;
    let mut blank = true;
    for ((_, line), keep) in lines.iter().zip(kept) {
        // Two blank lines in a row come from what was left out between them.
        if keep && !(line.is_empty() && blank) {
            out.push_str(line);
            out.push('\n');
            blank = line.is_empty();
        }
        count += usize::from(!keep && !line.is_empty());
    }
    out.truncate(out.trim_end().len());
    out.push_str(&format!("\n{fence}\n"));
    if count > 0 {
        out.push_str(&left_out(count, total));
    }
    // Only a limit too small for the frame itself gets here longer.
    out.chars().take(limit).collect()
}

fn left_out(count: usize, of: usize) -> String {
    format!("\n_{count} of {of} lines are left out here: a comment has a limit. The plan itself has them all._\n")
}

/// Which lines fit into `room` characters: by rank, then from the top.
fn fit(lines: &[(Rank, String)], room: usize) -> Vec<bool> {
    let mut kept = vec![false; lines.len()];
    let mut left = room;
    for rank in [Rank::Vital, Rank::Important, Rank::Normal, Rank::Detail] {
        for ((_, line), keep) in lines.iter().zip(&mut kept).filter(|((r, _), _)| *r == rank) {
            let size = line.chars().count() + 1;
            if size > left {
                return kept;
            }
            left -= size;
            *keep = true;
        }
    }
    kept
}

/// The longest run of backticks.
fn ticks(line: &str) -> usize {
    line.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A line of a `diff` fence: what comes is green there, what goes red, the rest of the changes stands out.
fn diff_line(line: &Laid) -> String {
    let words: String = line.spans.iter().map(Span::text).collect();
    let sign = match line.mark {
        Some(Role::Added) => '+',
        Some(Role::Removed) => '-',
        Some(Role::Changed | Role::Replaced | Role::Warning | Role::Error) => '!',
        Some(Role::Plain | Role::Dim | Role::Strong | Role::Good | Role::Id) | None => ' ',
    };
    // Every line gives its first column to the sign, so that rows stay aligned; a row's own `+` or `-` moves there.
    let mut rest: Vec<char> = words.chars().collect();
    if let Some(own) = rest.iter().position(|c| *c != ' ').filter(|i| matches!(sign, '+' | '-') && rest[*i] == sign) {
        rest[own] = ' ';
    }
    let mut out: String = std::iter::once(sign).chain(rest).collect();
    out.truncate(out.trim_end().len());
    if out.chars().count() > MARKDOWN_LINE {
        out = out.chars().take(MARKDOWN_LINE - 1).chain(['…']).collect();
    }
    out
}

/// Words outside a fence: nothing in them is markdown, a link or a mention.
fn plain_words(words: &str) -> String {
    let mut out = String::new();
    for c in words.chars() {
        if c.is_ascii_punctuation() && !matches!(c, ',' | '.' | ':' | '-' | '/' | '(' | ')') {
            out.push('\\');
        }
        out.push(c);
        if c == '@' {
            out.push_str("<!-- -->"); // `\@name` still mentions; a comment between does not
        }
    }
    out
}

/// The spans as one line, neighbours of one role in one go, without blanks at the end.
fn paint(spans: &[Span], color: bool) -> String {
    let mut runs: Vec<(Role, String)> = Vec::new();
    for span in spans {
        match runs.last_mut() {
            Some((role, words)) if *role == span.role() => words.push_str(span.text()),
            Some(_) | None => runs.push((span.role(), span.text().to_owned())),
        }
    }
    while let Some((_, words)) = runs.last_mut() {
        words.truncate(words.trim_end().len());
        if !words.is_empty() {
            break;
        }
        runs.pop();
    }
    let mut out = String::new();
    for (role, words) in runs {
        let style = style(role);
        if color && style != Style::new() && !words.trim().is_empty() {
            out.push_str(&format!("{style}{words}{style:#}"));
        } else {
            out.push_str(&words);
        }
    }
    out
}

/// A role's look on a terminal: the sixteen colours only, so that a person's own theme decides.
pub fn style(role: Role) -> Style {
    let color = |c: AnsiColor| Style::new().fg_color(Some(Color::Ansi(c)));
    match role {
        Role::Plain => Style::new(),
        Role::Added | Role::Good => color(AnsiColor::Green),
        Role::Removed => color(AnsiColor::Red),
        Role::Changed => color(AnsiColor::Yellow),
        Role::Replaced => color(AnsiColor::Magenta),
        Role::Dim => Style::new().dimmed(),
        Role::Strong => Style::new().bold(),
        Role::Warning => color(AnsiColor::Yellow).bold(),
        Role::Error => color(AnsiColor::Red).bold(),
        Role::Id => color(AnsiColor::Cyan),
    }
}

fn page(doc: &Doc, width: usize) -> Vec<Laid> {
    let width = width.max(LEAST_WIDTH);
    let vital = |text: &Text| Part { rows: vec![Row::line(0, text.clone()).rank(Rank::Vital)] };
    let mut parts = Vec::new();
    if !doc.title.is_empty() {
        parts.push(vital(&doc.title));
    }
    parts.extend(doc.parts.iter().filter(|p| !p.rows.is_empty()).cloned());
    if !doc.summary.is_empty() {
        parts.push(vital(&doc.summary));
    }
    let mut out: Vec<Laid> = Vec::new();
    for part in parts {
        if !out.is_empty() {
            out.push(Laid { spans: Vec::new(), rank: Rank::Vital, mark: None });
        }
        out.extend(lay(&part, width));
    }
    out
}

fn lay(part: &Part, width: usize) -> Vec<Laid> {
    let mut columns: Vec<Vec<usize>> = Vec::new();
    for row in &part.rows {
        let grid = usize::from(row.grid);
        columns.resize_with(columns.len().max(grid + 1), Vec::new);
        let grid = &mut columns[grid];
        grid.resize(grid.len().max(row.cells.len()), 0);
        for (column, cell) in grid.iter_mut().zip(&row.cells) {
            if cell.width() <= WIDEST {
                *column = (*column).max(cell.width());
            }
        }
    }
    let mut out = Vec::new();
    for row in &part.rows {
        let lines = lay_row(row, &columns[usize::from(row.grid)], width);
        for (i, spans) in lines.into_iter().enumerate() {
            out.push(Laid { spans, rank: row.rank, mark: row.mark.filter(|_| i == 0) });
        }
    }
    out
}

fn lay_row(row: &Row, columns: &[usize], width: usize) -> Vec<Vec<Span>> {
    let indent = row.indent.min(width / 2);
    let used = row.cells.iter().rposition(|c| !c.is_empty()).map_or(0, |i| i + 1);
    if used == 0 && (row.cells.is_empty() || row.goes == Tail::Under) {
        return wrap(&row.tail, indent, indent + GAP, width);
    }
    let mut line = vec![blanks(indent)];
    let mut at = indent;
    for (i, (cell, column)) in row.cells.iter().zip(columns).take(used).enumerate() {
        line.extend(cell.spans().iter().cloned());
        at += cell.width();
        if i + 1 < used && *column > 0 {
            let pad = column.saturating_sub(cell.width()) + GAP;
            line.push(blanks(pad));
            at += pad;
        }
    }
    if at > width {
        // Too much for one line: the row becomes free text.
        let cells = Text::join(row.cells.iter().cloned(), "  ");
        let mut lines = wrap(&cells, indent, indent + 2 * GAP, width);
        lines.extend(under(row, indent, width));
        return lines;
    }
    if row.tail.is_empty() {
        return vec![line];
    }
    let cells = if row.goes == Tail::Beside { columns.len() } else { used };
    let start = indent + columns.iter().take(cells).filter(|c| **c > 0).map(|c| c + GAP).sum::<usize>();
    let start = start.max(at + GAP);
    let fits = start + row.tail.width() <= width;
    if fits || (row.goes == Tail::Beside && start + NARROWEST <= width) {
        line.push(blanks(start - at));
        let mut tail = wrap(&row.tail, start, start + GAP, width).into_iter();
        // The first line of the tail goes on from the cells; its own indent is already there.
        line.extend(tail.next().into_iter().flatten().skip(1));
        return std::iter::once(line).chain(tail).collect();
    }
    std::iter::once(line).chain(under(row, indent, width)).collect()
}

fn under(row: &Row, indent: usize, width: usize) -> Vec<Vec<Span>> {
    if row.tail.is_empty() {
        return Vec::new();
    }
    wrap(&row.tail, indent + 2 * GAP, indent + 3 * GAP, width)
}

/// Talk in lines of at most `width` columns, broken at spaces; what follows in a sentence stands two columns in. Lines
/// that fit, and those with escape sequences, are left as they are.
pub fn folded(text: &str, width: usize) -> String {
    let fold = |line: &str| {
        if line.width() <= width || line.contains('\u{1b}') {
            return line.to_owned();
        }
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let (mut out, mut at) = (" ".repeat(indent), indent);
        for (i, word) in rest.split(' ').enumerate() {
            if i > 0 && at + 1 + word.width() > width {
                out.push('\n');
                out.push_str(&" ".repeat(indent + 2));
                at = indent + 2;
            } else if i > 0 {
                out.push(' ');
                at += 1;
            }
            out.push_str(word);
            at += word.width();
        }
        out
    };
    text.split('\n').map(fold).collect::<Vec<_>>().join("\n")
}

fn blanks(n: usize) -> Span {
    Span::escaped(Role::Plain, " ".repeat(n))
}

/// The text in lines that begin with a span of `first` blanks, later ones of `rest`. Broken at spaces only (an id
/// must stay whole to be copied), and rather between two thoughts (after `·`, before `#`) than inside one.
fn wrap(text: &Text, first: usize, rest: usize, width: usize) -> Vec<Vec<Span>> {
    let size = |word: &[Span]| word.iter().map(|s| s.text().width()).sum::<usize>();
    let is = |word: &[Span], what: &str| word.len() == 1 && word[0].text() == what;
    let words = words(text);
    let mut lines = Vec::new();
    let mut line = vec![blanks(first)];
    let mut at = first;
    for (i, (space, word)) in words.iter().enumerate() {
        let gap = space.text().len();
        let begins = i == 0 || is(&words[i - 1].1, "·") || is(word, "#");
        let thought: usize = if begins {
            let rest = words.iter().enumerate().skip(i + 1);
            let end = rest.take_while(|(j, (_, w))| !is(&words[j - 1].1, "·") && !is(w, "#"));
            size(word) + end.map(|(_, (s, w))| s.text().len() + size(w)).sum::<usize>()
        } else {
            size(word)
        };
        // A thought longer than a whole line is broken like anything else.
        let whole = if rest + thought <= width { thought } else { size(word) };
        if line.len() > 1 && at + gap + whole > width {
            lines.push(std::mem::replace(&mut line, vec![blanks(rest)]));
            at = rest;
        } else if gap > 0 {
            line.push(space.clone());
            at += gap;
        }
        line.extend(word.iter().cloned());
        at += size(word);
    }
    lines.push(line);
    lines
}

/// Words (each of one or several spans), with the blanks before each; those have the role of the span they stood in.
fn words(text: &Text) -> Vec<(Span, Vec<Span>)> {
    let mut all: Vec<(Span, Vec<Span>)> = Vec::new();
    let mut space: Option<Span> = Some(blanks(0));
    for span in text.spans() {
        for (i, piece) in span.text().split(' ').enumerate() {
            if i > 0 {
                let before = space.as_ref().map_or("", Span::text);
                space = Some(Span::escaped(span.role(), format!("{before} ")));
            }
            if piece.is_empty() {
                continue;
            }
            let piece = Span::escaped(span.role(), piece.to_owned());
            match (space.take(), all.last_mut()) {
                (None, Some((_, word))) => word.push(piece),
                (before, _) => all.push((before.unwrap_or_else(|| blanks(0)), vec![piece])),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talk_is_broken_at_spaces_and_never_inside_a_word() {
        assert_eq!(folded("a short line", 20), "a short line");
        assert_eq!(folded("one two three four", 10), "one two\n  three\n  four");
        assert_eq!(folded("  one two three", 10), "  one two\n    three");
        assert_eq!(folded("/a/path/that/is/long and more", 10), "/a/path/that/is/long\n  and more");
        let painted = "\u{1b}[1mone two three four\u{1b}[0m";
        assert_eq!(folded(painted, 10), painted);
        assert_eq!(folded("apply now? [y/N] ", 80), "apply now? [y/N] ");
    }
}
