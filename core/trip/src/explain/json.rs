//! A writer of JSON (RFC 8259), as much as explanations need.
//!
//! In go keys and values in their order, out comes one line. It writes nothing but what it is told,
//! and sees to commas and escapes; that no key comes twice is the caller's affair.

use alloc::string::String;
use core::fmt::Write;

/// A document in the making.
#[derive(Debug, Default)]
pub(super) struct Json {
    out: String,
    /// A value was written on this level, and no key after it: a comma goes before the next.
    comma: bool,
}

impl Json {
    /// The document.
    pub(super) fn into_string(self) -> String {
        self.out
    }

    fn separate(&mut self) {
        if core::mem::take(&mut self.comma) {
            self.out.push(',');
        }
    }

    /// Begins a member of an object; its value is next.
    pub(super) fn key(&mut self, name: &str) {
        self.separate();
        self.quote(name);
        self.out.push(':');
    }

    fn nest(&mut self, open: char, close: char, fill: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(open);
        fill(self);
        self.out.push(close);
        self.comma = true;
    }

    /// An object, its members written by `fill`.
    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.nest('{', '}', fill);
    }

    /// An array, its values written by `fill`.
    pub(super) fn array(&mut self, fill: impl FnOnce(&mut Self)) {
        self.nest('[', ']', fill);
    }

    /// A value that is no text: a number, true, false or null.
    pub(super) fn bare(&mut self, value: impl core::fmt::Display) {
        self.separate();
        // Writing to a string never fails.
        let _ = write!(self.out, "{value}");
        self.comma = true;
    }

    /// A text.
    pub(super) fn string(&mut self, value: &str) {
        self.separate();
        self.quote(value);
        self.comma = true;
    }

    /// A member that is a number.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.key(name);
        self.bare(value);
    }

    /// A member that is a text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.key(name);
        self.string(value);
    }

    fn quote(&mut self, text: &str) {
        self.out.push('"');
        for one in text.chars() {
            match one {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                // RFC 8259 §7 asks for the first 32; DEL and the two line ends of JavaScript are
                // escaped for terminals and scripts.
                '\0'..='\u{1f}' | '\u{7f}' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(one));
                }
                _ => self.out.push(one),
            }
        }
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_where_they_belong() {
        let mut json = Json::default();
        json.object(|json| {
            json.key("a");
            json.array(|json| {
                json.bare(1);
                json.bare("null");
                json.array(|_| {});
                json.object(|json| json.text("b", ""));
            });
            json.number("c", u64::MAX);
        });
        let wanted = r#"{"a":[1,null,[],{"b":""}],"c":18446744073709551615}"#;
        assert_eq!(json.into_string(), wanted);
    }

    #[test]
    fn texts_are_escaped() {
        let mut json = Json::default();
        json.string("\"\\/\n\r\t\0\u{1b}\u{7f}\u{2028} é 😀");
        let wanted = r#""\"\\/\n\r\t\u0000\u001b\u007f\u2028 é 😀""#;
        assert_eq!(json.into_string(), wanted);
    }
}
