//! How deep a TOML text nests, found without a stack.
//!
//! The parser's own limit is 80 brackets and 80 names in one key, which together may be 6,400 levels: more than a stack
//! holds. Here every name of a header or key is a level, and every bracket. It refuses to judge whether the text is TOML.

use std::ops::Range;

/// Levels that are read: the parser's own number, for all kinds of nesting together.
pub const LEVELS: usize = 80;

/// The first place at which the text nests deeper than [`LEVELS`], if one does.
///
/// In a text that is not TOML, levels may be counted that no parser would see; never fewer.
pub fn too_deep(text: &str) -> Option<Range<usize>> {
    let mut scan = Scan {
        bytes: text.as_bytes(),
        at: 0,
        fresh: true,
        header: 0,
        line: Key::default(),
        open: Vec::new(),
        levels: 0,
    };
    while scan.at < scan.bytes.len() {
        let at = scan.at;
        scan.step();
        if scan.depth() > LEVELS {
            return Some(at..at + 1);
        }
    }
    None
}

/// The names of a key: those before the last `=`, and those after it, which may be a number's dot or another key.
#[derive(Debug, Clone, Copy, Default)]
struct Key {
    names: usize,
    dots: usize,
}

impl Key {
    fn levels(self) -> usize {
        self.names.max(self.dots)
    }
}

#[derive(Debug)]
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Only white space stands before it in its line.
    fresh: bool,
    /// Names of the header above.
    header: usize,
    /// The key of this line, outside of all brackets.
    line: Key,
    /// Open brackets, each with the key that is being read in it.
    open: Vec<(u8, Key)>,
    /// Of all in `open` together.
    levels: usize,
}

impl Scan<'_> {
    fn depth(&self) -> usize {
        self.header + self.line.levels() + self.levels
    }

    fn step(&mut self) {
        let byte = self.bytes[self.at];
        let first = self.fresh;
        self.fresh = byte == b'\n' || first && matches!(byte, b' ' | b'\t');
        match byte {
            b'"' | b'\'' => return self.string(byte),
            b'#' => return self.at += self.rest().iter().position(|b| *b == b'\n').unwrap_or(self.rest().len()),
            b'[' if self.open.is_empty() && first => return self.header(),
            b'[' | b'{' => {
                self.open.push((byte, Key::default()));
                self.levels += 1;
            }
            b']' | b'}' => {
                // One that does not fit closes nothing, as far as is known here.
                let opened = if byte == b']' { b'[' } else { b'{' };
                if let Some((_, key)) = self.open.pop_if(|(bracket, _)| *bracket == opened) {
                    self.levels -= 1 + key.levels();
                }
            }
            b'.' => self.on_key(|key| key.dots += 1),
            b'=' => self.on_key(|key| key.names = key.names.max(key.dots + 1)),
            b',' => self.on_key(|key| *key = Key::default()),
            b'\n' if self.open.is_empty() => self.line = Key::default(),
            _ => {}
        }
        self.at += 1;
    }

    /// Changes the key that is being read.
    fn on_key(&mut self, change: impl FnOnce(&mut Key)) {
        match self.open.last_mut() {
            // A list has no keys, and its dots are those of numbers.
            Some((b'[', _)) => {}
            Some((_, key)) => {
                let before = key.levels();
                change(key);
                self.levels = self.levels - before + key.levels();
            }
            None => change(&mut self.line),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// `[a.b]` and `[[a.b]]`, up to the last bracket or the line's end.
    fn header(&mut self) {
        self.line = Key::default();
        self.header = 1;
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match byte {
                b'"' | b'\'' => {
                    self.string(byte);
                    continue;
                }
                b'.' => self.header += 1,
                b'\n' => return,
                b']' => break,
                _ => {}
            }
            self.at += 1;
        }
        while self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
        }
    }

    /// Over a string, of one line or of several.
    fn string(&mut self, quote: u8) {
        let long = self.rest().starts_with(&[quote; 3]);
        self.at += if long { 3 } else { 1 };
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match byte {
                b'\\' if quote == b'"' => self.at += 1,
                b'\n' if !long => return,
                _ if byte != quote => {}
                _ if !long => {
                    self.at += 1;
                    return;
                }
                _ if self.rest().starts_with(&[quote; 3]) => {
                    // Two more may belong to the text itself.
                    self.at += 3;
                    self.at += self.rest().iter().take(2).take_while(|b| **b == quote).count();
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::{Inputs, Source, declare, fmt};

    fn dots(count: usize) -> String {
        vec!["a"; count].join(".")
    }

    #[test]
    fn every_name_and_every_bracket_is_a_level() {
        for (text, deep) in [
            (format!("{} = 1", dots(80)), false),
            (format!("{} = 1", dots(81)), true),
            (format!("[{}]\n{} = 1", dots(40), dots(40)), false),
            (format!("[{}]\n{} = 1", dots(40), dots(41)), true),
            (format!("[{}]\n[x]\n{} = 1", dots(40), dots(41)), false),
            (format!("[[{}]]\nx = {{ {} = 1 }}", dots(40), dots(38)), false),
            (format!("[[{}]]\nx = {{ {} = 1 }}", dots(40), dots(39)), true),
            (format!("x = {}1{}", "[".repeat(79), "]".repeat(79)), false),
            (format!("x = {}1{}", "[".repeat(80), "]".repeat(80)), true),
            (format!("x = {}1{}", "{ y = ".repeat(39), "}".repeat(39)), false),
            (format!("x = {}1{}", "{ y = ".repeat(40), "}".repeat(40)), true),
            ("x = [1.5, 2.5]\n".repeat(100), false),
            (format!("x = [{}]", "1.5, ".repeat(100)), false),
            (format!("x = [{}]", "{ a.b = 1.5 }, ".repeat(100)), false),
            (format!("x = {{ {} }}", "a.b = 1.5, ".repeat(100)), false),
            (format!("[a.\"{}\"]", dots(100)), false),
            (format!("x = \"{}\"", "[".repeat(100)), false),
            (format!("x = \"\\\"{}\"", "[".repeat(100)), false),
            (format!("x = '{}'", "{".repeat(100)), false),
            (format!("x = \"\"\"\n\"{}\"\"\"\"\"\nx = 1", "[".repeat(100)), false),
            (format!("x = '''\n{}\n'''", "[".repeat(100)), false),
            (format!("# {}\nx = 1", "[".repeat(100)), false),
            ("x = [\n1\n".repeat(100), true),
            ("[x\n".repeat(100), false),
            (format!("  [{}]", dots(81)), true),
            (format!("x = 1\r\n[{}]\r\n[x]\r\n", dots(80)).repeat(2), false),
        ] {
            assert_eq!(too_deep(&text).is_some(), deep, "{text}");
        }
    }

    #[test]
    fn the_place_is_where_it_becomes_too_deep() {
        let text = format!("x = {}", "[".repeat(100));
        assert_eq!(too_deep(&text), Some(4 + LEVELS - 1..4 + LEVELS));
    }

    /// A quarter of what a thread is given: whatever nests, the limit speaks first.
    #[test]
    fn nothing_that_nests_needs_more_than_a_small_stack() {
        let inline =
            |key: &str, count: usize| format!("{}1{}", format!("{{ {key} = ").repeat(count), "}".repeat(count));
        let texts = [
            format!("x = {}", inline(&dots(79), 79)),
            format!("[{}]\n{} = {}", dots(79), dots(79), inline(&dots(8), 70)),
            format!("x = {}", "[".repeat(100_000)),
            format!("x = {}", "{a=".repeat(100_000)),
            format!("x = {}", "[{a=".repeat(100_000)),
            format!("{} = 1", dots(100_000)),
            format!("[{}]", dots(100_000)),
            format!("x = {}1{}", "[".repeat(79), "]".repeat(79)),
            format!("x = {}", inline("y", 39)),
        ];
        let small = std::thread::Builder::new().stack_size(512 << 10);
        let all = small.spawn(move || {
            for text in texts {
                let main = Source { name: "evenkeel.toml".into(), text: text.clone() };
                let declared = declare(&Inputs { main, ..Inputs::default() });
                let says = |code| declared.diagnostics.iter().any(|d| d.code == code);
                assert_eq!(says("E0003"), too_deep(&text).is_some(), "{:?}", declared.diagnostics);
                let _ = fmt(&text);
            }
        });
        all.expect("a thread").join().expect("it ends");
    }
}
