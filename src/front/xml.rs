//! XML as EC2 writes it: elements and texts, no attribute but the namespace of the root.

use std::fmt::Display;

use jiff::Timestamp;

/// An XML document under construction.
#[derive(Debug)]
pub(crate) struct Xml {
    out: String,
}

impl Xml {
    /// A document with this root.
    pub(crate) fn document(root: &str, namespace: &str, inside: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned() };
        if namespace.is_empty() {
            xml.element(root, inside);
        } else {
            xml.out.push_str(&format!("<{root} xmlns=\"{namespace}\">"));
            inside(&mut xml);
            xml.close(root);
        }
        xml.out
    }

    /// An element with elements in it.
    pub(crate) fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
        inside(self);
        self.close(name);
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// An element with a text in it.
    pub(crate) fn text(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        self.element(name, |xml| xml.escape(&value));
    }

    /// The same where there is a value.
    pub(crate) fn some(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// The same where the text is not empty.
    pub(crate) fn filled(&mut self, name: &str, value: &str) {
        self.some(name, Some(value).filter(|text| !text.is_empty()));
    }

    /// A text alone, in the element that is open.
    pub(crate) fn value(&mut self, value: impl Display) {
        self.escape(&value.to_string());
    }

    /// A time, to the millisecond.
    pub(crate) fn time(&mut self, name: &str, time: Timestamp) {
        self.text(name, millis(time));
    }

    /// A list: `<name><item>…</item></name>`.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.element("item", |xml| each(xml, item));
            }
        });
    }

    fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                // A parser would make a line feed of it.
                '\r' => self.out.push_str("&#xD;"),
                '\t' | '\n' => self.out.push(c),
                // XML has no way to write these.
                c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => self.out.push('\u{FFFD}'),
                c => self.out.push(c),
            }
        }
    }
}

/// `2026-01-05T12:00:00.000Z`.
pub(crate) fn millis(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// `2026-01-05T12:00:00Z`, as STS writes it.
pub(crate) fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_markup_is_escaped() {
        let xml = Xml::document("R", "", |x| x.text("v", "<a&b>\r\n\u{1}ü"));
        assert!(xml.ends_with("<R><v>&lt;a&amp;b&gt;&#xD;\n\u{FFFD}ü</v></R>"), "{xml}");
    }

    #[test]
    fn times_have_three_digits_behind_the_second() {
        assert_eq!(millis("2026-01-05T12:00:00Z".parse().unwrap()), "2026-01-05T12:00:00.000Z");
        assert_eq!(millis("2026-01-05T12:00:00.1239Z".parse().unwrap()), "2026-01-05T12:00:00.123Z");
    }
}
