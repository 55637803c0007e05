//! YAML → [`Piece`]s as kubectl reads it: aliases and merge keys carried out, scalars by [`scalar`], every problem at its
//! place. Refuses what kubectl takes by mistake (a key twice, a key that is true) and what grows without end.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, Tag};

use super::super::conform::shown;
use super::super::problems::Problems;
use super::super::tree::At;
use super::limits;
use super::piece::{Piece, What};
use super::scalar;

/// Reads source number `file`: its documents, those that hold nothing left out.
pub fn parse(file: usize, text: &str, problems: &mut Problems<'_>) -> Vec<Piece> {
    if let Some((at, c)) = text.char_indices().find(|(_, c)| c.is_control() && !"\t\n\r\u{85}".contains(*c)) {
        let says = format!("YAML takes no control characters, and here is U+{:04X}", u32::from(c));
        let at = At { file, start: at, end: at + c.len_utf8() };
        problems.error("E1004", at, says, "take it away, or write it as an escape between double quotes");
        return Vec::new();
    }
    let mut options = granit_parser::options! {
        // As libyaml, which kubectl's reader is made after.
        block_scalar_eof_without_line_feed: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: limits::DEPTH,
        block_nesting_limit: limits::DEPTH,
    };
    options.set_emit_comments(false);
    let mut events = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut builder = Builder::new(file, problems);
    loop {
        match events.next_event() {
            None => return documents,
            Some(Ok((event, span))) => {
                if !builder.event(event, span, &mut documents) {
                    return documents;
                }
            }
            Some(Err(error)) => {
                let start = error.marker().byte_offset().unwrap_or(0);
                builder.syntax(error.kind(), At { file, start, end: start });
                if builder.problems.full() || !matches!(events.proceed_next_document(), Ok(true)) {
                    return documents;
                }
            }
        }
    }
}

/// What an anchor stands for.
struct Kept {
    piece: Piece,
    weight: usize,
    depth: usize,
}

/// A list or a table that is not closed yet.
struct Frame {
    at: At,
    anchor: usize,
    /// The builder's weight when it was opened.
    before: usize,
    /// How deep what it holds goes.
    depth: usize,
    inside: Inside,
}

enum Inside {
    List(Vec<Piece>),
    Table {
        all: BTreeMap<String, Piece>,
        /// Keys that stand here and were not merged in.
        written: BTreeMap<String, At>,
        key: Option<(Key, At)>,
    },
}

enum Key {
    Text(String),
    Merge,
    Bad,
}

struct Builder<'p, 's> {
    file: usize,
    problems: &'p mut Problems<'s>,
    weight: usize,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Kept>,
    done: Option<Piece>,
}

impl<'p, 's> Builder<'p, 's> {
    fn new(file: usize, problems: &'p mut Problems<'s>) -> Self {
        Self { file, problems, weight: 0, frames: Vec::new(), anchors: BTreeMap::new(), done: None }
    }

    /// Takes the next event; false when the file is too much.
    fn event(&mut self, event: Event<'_>, span: Span, documents: &mut Vec<Piece>) -> bool {
        let range = span.byte_range().unwrap_or(0..0);
        let at = At { file: self.file, start: range.start, end: range.end };
        match event {
            Event::DocumentStart(..) => {
                self.frames.clear();
                self.anchors.clear();
                self.done = None;
            }
            Event::DocumentEnd => documents.extend(self.done.take().filter(|p| p.what != What::Null)),
            Event::Scalar(text, style, anchor, tag) => {
                let weight = 1 + text.len() / 32;
                let tag = tag.as_deref();
                if self.wants_key() && anchor == 0 && tag.is_none() && style == ScalarStyle::Plain {
                    self.weight += weight;
                    self.plain_key(&text, at);
                } else {
                    let what = self.scalar(&text, style, tag, at);
                    self.node(Piece { at, key: at, what }, anchor, weight, 0);
                }
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(kept) => {
                    let (piece, weight, depth) = (Piece { at, key: at, ..kept.piece.clone() }, kept.weight, kept.depth);
                    self.node(piece, 0, weight, depth);
                }
                None => {
                    self.bad("E1004", at, "this alias stands inside of what it repeats", "name what stands before it")
                }
            },
            Event::UnresolvedAlias(name) => {
                let says = format!("there is no anchor &{} before this place", name.escape_debug());
                self.bad(
                    "E1004",
                    at,
                    &says,
                    "write the anchor before it is used, or put a text that begins with * between quotes",
                );
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), "seq", at);
                self.open(at, anchor, Inside::List(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), "map", at);
                let inside = Inside::Table { all: BTreeMap::new(), written: BTreeMap::new(), key: None };
                self.open(at, anchor, inside);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            // The event list may grow; none of what is left now is a part of a value.
            _ => {}
        }
        let deepest = self.frames.last().map_or(0, |f| self.frames.len() + f.depth);
        if deepest > limits::DEPTH {
            self.syntax(&ErrorKind::RecursionLimitExceeded, at);
            return false;
        }
        if self.weight > limits::WEIGHT {
            let says = format!("the file has more than {} values, those that aliases repeat included", limits::WEIGHT);
            self.problems.error("E1006", at, says, "split it into several files, or take the aliases out");
            return false;
        }
        true
    }

    fn wants_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { inside: Inside::Table { key: None, .. }, .. }))
    }

    fn bad(&mut self, code: &'static str, at: At, says: &str, way_out: &str) {
        self.problems.error(code, at, says, way_out);
        self.node(Piece { at, key: at, what: What::Bad }, 0, 1, 0);
    }

    fn open(&mut self, at: At, anchor: usize, inside: Inside) {
        self.frames.push(Frame { at, anchor, before: self.weight, depth: 0, inside });
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let what = match frame.inside {
            Inside::List(items) => What::List(items),
            Inside::Table { all, .. } => What::Table(all),
        };
        // Its parts have been weighed already.
        let weight = self.weight - frame.before;
        self.weight = frame.before;
        self.node(Piece { at: frame.at, key: frame.at, what }, frame.anchor, weight + 1, frame.depth + 1);
    }

    /// A value is whole.
    fn node(&mut self, piece: Piece, anchor: usize, weight: usize, depth: usize) {
        self.weight += weight;
        if anchor != 0 && self.weight <= limits::WEIGHT {
            self.weight += weight;
            self.anchors.insert(anchor, Kept { piece: piece.clone(), weight, depth });
        }
        let Some(frame) = self.frames.last_mut() else {
            self.done = Some(piece);
            return;
        };
        frame.depth = frame.depth.max(depth);
        match &mut frame.inside {
            Inside::List(items) => items.push(piece),
            Inside::Table { key: key @ None, .. } => match piece.what {
                What::Text(text) => *key = Some((Key::Text(text), piece.at)),
                What::Bad => *key = Some((Key::Bad, piece.at)),
                What::List(_) | What::Table(_) | What::Null | What::Bool(_) | What::Number(_) => {
                    *key = Some((Key::Bad, piece.at));
                    self.no_key(piece.at, piece.what.word());
                }
            },
            Inside::Table { all, written, key } => match key.take() {
                Some((Key::Text(name), at)) => match written.get(&name) {
                    Some(first) => {
                        let says = format!("the key {} stands here a second time", shown(&name));
                        let added = self.problems.error("E1005", at, says, "keep one of the two");
                        added.label("second time").also(*first, "first time");
                    }
                    None => {
                        written.insert(name.clone(), at);
                        all.insert(name, Piece { key: at, ..piece });
                    }
                },
                Some((Key::Merge, at)) => merge(all, written, piece, at, self.problems),
                Some((Key::Bad, _)) | None => {}
            },
        }
    }

    fn plain_key(&mut self, text: &str, at: At) {
        let key = if text == "<<" {
            Key::Merge
        } else {
            match scalar::key(text) {
                Ok(text) => Key::Text(text),
                Err(why) => {
                    let says = format!("the key `{}` {why}", text.escape_debug());
                    self.problems.error("E1007", at, says, format!("write \"{}\" between quotes", text.escape_debug()));
                    Key::Bad
                }
            }
        };
        if let Some(Frame { inside: Inside::Table { key: place, .. }, .. }) = self.frames.last_mut() {
            *place = Some((key, at));
        }
    }

    fn no_key(&mut self, at: At, word: &str) {
        self.problems.error(
            "E1007",
            at,
            format!("a key must be text, not {word}"),
            "put text that holds braces between quotes; a template needs `template = true`, or a name that ends in .j2",
        );
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: At) -> What {
        let Some(tag) = tag else {
            return match style {
                ScalarStyle::Plain => self.number(scalar::plain(text), text, at),
                _ => What::Text(text.to_owned()),
            };
        };
        let wanted = tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or_default().into_owned();
        let what = match wanted.as_str() {
            "str" | "timestamp" => return What::Text(text.to_owned()),
            "binary" => {
                let packed: String = text.split_whitespace().collect();
                match BASE64.decode(packed.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok()) {
                    Some(text) => return What::Text(text),
                    None => {
                        let way_out =
                            "put binary values into `binaryData` or a Secret's `data`, as base64 without a tag";
                        self.problems.error("E1008", at, "this is not base64 of a text", way_out);
                        return What::Bad;
                    }
                }
            }
            "null" | "bool" | "int" | "float" => self.number(scalar::plain(text), text, at),
            _ if tag.original() == "!" => return What::Text(text.to_owned()),
            _ => {
                self.foreign(tag, at);
                return What::Bad;
            }
        };
        let fits = match (&what, wanted.as_str()) {
            (What::Bad, _) | (What::Null, "null") | (What::Bool(_), "bool") | (What::Number(_), "float") => true,
            (What::Number(n), "int") => !n.is_f64(),
            (_, _) => false,
        };
        if !fits {
            let says = format!("{} is not what its tag !!{wanted} says", shown(text));
            self.problems.error("E1008", at, says, "take the tag away, or correct the value");
        }
        if fits { what } else { What::Bad }
    }

    fn number(&mut self, what: What, text: &str, at: At) -> What {
        if what == What::Bad {
            let says = format!("{} is a number that JSON cannot say", shown(text));
            self.problems.error("E1008", at, says, "put it between quotes if text is meant");
        }
        what
    }

    /// Refuses a tag that kubectl would drop in silence.
    fn tag(&mut self, tag: Option<&Tag>, fits: &str, at: At) {
        let Some(tag) = tag else { return };
        if tag.original() != "!" && !tag.is_yaml_core_schema_tag(fits) {
            self.foreign(tag, at);
        }
    }

    fn foreign(&mut self, tag: &Tag, at: At) {
        let says = format!("Kubernetes knows no tag {}", shown(&tag.original()));
        self.problems.error(
            "E1008",
            at,
            says,
            "take the tag away: kubectl drops it, and with it what it was meant to say",
        );
    }

    fn syntax(&mut self, kind: &ErrorKind, at: At) {
        let way_out = match kind {
            ErrorKind::RecursionLimitExceeded => {
                let says = format!("values are nested more than {} deep", limits::DEPTH);
                self.problems.error("E1006", at, says, "nest less");
                return;
            }
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar => "indent with spaces",
            ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed | ErrorKind::InvalidColonPlacement => {
                "put text that holds `: ` between quotes, and indent the keys of one table alike"
            }
            ErrorKind::UnclosedQuotedScalar => "close the text with the quote that opened it",
            ErrorKind::UnexpectedCharacter { .. } => {
                "put text that begins with a sign of its own between quotes; a template needs `template = true`, or a name \
                 that ends in .j2"
            }
            _ => "correct the text at this place; `kubectl apply --dry-run=client -f FILE` reads it the same way",
        };
        self.problems.error("E1004", at, format!("not YAML: {kind}"), way_out);
    }
}

/// Carries out `<<`: kubectl's reader lets what is merged win over what stands before it, and lose to what follows.
fn merge(
    all: &mut BTreeMap<String, Piece>,
    written: &BTreeMap<String, At>,
    from: Piece,
    at: At,
    problems: &mut Problems<'_>,
) {
    let tables = match from.what {
        What::Table(table) => vec![table],
        What::List(items) if items.iter().all(|i| i.table().is_some()) => {
            // The first of a list wins, so it comes last.
            items.into_iter().rev().filter_map(|mut i| i.table_mut().map(std::mem::take)).collect()
        }
        What::Bad => return,
        What::Null | What::Bool(_) | What::Number(_) | What::Text(_) | What::List(_) => {
            problems.error("E1004", from.at, "`<<` merges tables only", "name an anchor of a table: `<<: *name`");
            return;
        }
    };
    for (key, piece) in tables.into_iter().flatten() {
        if let Some(first) = written.get(&key) {
            let says = format!("{} is overwritten by what is merged below it", shown(&key));
            let added = problems.warn("W1001", *first, says, "put `<<` first: then what stands here wins");
            added.also(at, "merged here");
        }
        all.insert(key, piece);
    }
}
