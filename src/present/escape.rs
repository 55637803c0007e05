//! Makes text from the world safe and honest on a screen.
//!
//! Characters that move the cursor, turn the reading direction or cannot be seen are written out (`\u{202e}`), so
//! that a name can neither paint the terminal nor pretend to be another name. Nothing is ever dropped: two different
//! texts stay different. [`crate::document::Span`] passes everything through here.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// More marks than this on one letter are written out: no script stacks more, and a pile of them paints over other
/// lines.
const STACK: usize = 4;

/// Whether this character is never shown as itself: controls, reading-direction marks, line separators, and all
/// that Unicode calls default-ignorable (zero-width spaces and joiners, fillers, variation selectors, tags).
pub fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The text with every character that [`hides`] written out; line ends and tabs as `\n`, `\r`, `\t`, and a
/// backslash doubled. A mark that
/// combines with the letter before it stays, unless there is no letter or the pile grows past four.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = STACK; // as if a pile stood before the first letter: a mark needs a letter
    for c in text.chars() {
        let mark = c.width() == Some(0);
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A text that spells `\u{…}` itself must not look like one of ours.
            '\\' => out.push_str("\\\\"),
            c if hides(c) || (mark && marks >= STACK) => {
                write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String does not fail");
            }
            c => out.push(c),
        }
        marks = if mark {
            (marks + 1).min(STACK)
        } else if c == ' ' || hides(c) {
            STACK
        } else {
            0
        };
    }
    out
}

/// The same characters inside finished JSON, as JSON's own `\u202e` escapes: the value stays what it is, and a
/// terminal that shows the JSON is safe. JSON's structure is plain ASCII, so only strings are touched.
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if hides(c) && c != '\n' {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").expect("writing to a String does not fail");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_are_written_out() {
        for (world, shown) in [
            ("web", "web"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("two\nlines\tand\r", "two\\nlines\\tand\\r"),
            ("bell\u{7}", "bell\\u{7}"),
            ("C:\\users", "C:\\\\users"),
            ("\\u{202e}", "\\\\u{202e}"),
            ("Zürich 東京 🚀", "Zürich 東京 🚀"),
            ("e\u{301}", "e\u{301}"),
            ("\u{301}e", "\\u{301}e"),
            ("e\u{301}\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\u{301}\u{301}\\u{301}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("\u{3164}", "\\u{3164}"),
        ] {
            assert_eq!(escape(world), shown, "{world:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(s in any::<String>()) {
            prop_assert!(!escape(&s).chars().any(hides));
        }

        #[test]
        fn two_texts_that_differ_only_in_hidden_characters_stay_different(
            a in "[a\\\\u{}\u{202e}\u{200b}\u{1b}20be]{0,8}", b in "[a\\\\u{}\u{202e}\u{200b}\u{1b}20be]{0,8}",
        ) {
            prop_assert_eq!(a == b, escape(&a) == escape(&b));
        }

        #[test]
        fn json_keeps_its_value_and_shows_nothing_hidden(s in any::<String>()) {
            let text = escape_json(&serde_json::to_string(&s).unwrap());
            prop_assert!(!text.chars().any(hides));
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), s);
        }
    }
}
