//! Lines of words: how hosts, links and steps are written.
//!
//! A line is words with spaces between them; a word with `=` is an option and may stand anywhere
//! behind the verb. In goes a line, out come its words one by one, and errors that say which word
//! of which line is wrong. Nothing here knows what the words mean.

use std::fmt;

/// What is wrong with a line, in one sentence, with the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    line: String,
    what: String,
}

impl LineError {
    pub(super) fn new(line: &str, what: impl Into<String>) -> Self {
        Self { line: line.to_owned(), what: what.into() }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in \"{}\": {}", self.line, self.what)
    }
}

impl std::error::Error for LineError {}

/// A line being read.
pub(super) struct Words<'a> {
    line: &'a str,
    plain: std::vec::IntoIter<&'a str>,
    /// Those with `=`, not yet asked for.
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    /// The words of `line`.
    pub(super) fn new(line: &'a str) -> Self {
        let (options, plain): (Vec<_>, Vec<_>) =
            line.split_whitespace().partition(|word| word.contains('='));
        let options = options.into_iter().filter_map(|word| word.split_once('=')).collect();
        Self { line, plain: plain.into_iter(), options }
    }

    /// An error about this line.
    pub(super) fn error(&self, what: impl Into<String>) -> LineError {
        LineError::new(self.line, what)
    }

    /// The next word, which has to be there.
    pub(super) fn next(&mut self, what: &str) -> Result<&'a str, LineError> {
        self.plain.next().ok_or_else(|| self.error(format!("{what} is missing")))
    }

    /// The next word, read by `parse`.
    pub(super) fn value<T>(
        &mut self,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, LineError> {
        let word = self.next(what)?;
        parse(word).map_err(|error| self.error(error))
    }

    /// A name: letters, digits, `-`, `_` and `.`, and `#` for a number.
    pub(super) fn name(&mut self, what: &str) -> Result<String, LineError> {
        self.value(what, |word| check_name(word).map(|()| word.to_owned()))
    }

    /// The option `key`, read by `parse`, if it was given.
    pub(super) fn option<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, LineError> {
        let Some(at) = self.options.iter().position(|(name, _)| *name == key) else {
            return Ok(None);
        };
        let (_, value) = self.options.remove(at);
        parse(value).map(Some).map_err(|error| self.error(format!("{key}: {error}")))
    }

    /// All options that nobody has asked for.
    pub(super) fn take_options(&mut self) -> Vec<(&'a str, &'a str)> {
        std::mem::take(&mut self.options)
    }

    /// Nothing may be left.
    pub(super) fn end(mut self) -> Result<(), LineError> {
        if let Some(word) = self.plain.next() {
            return Err(self.error(format!("`{word}` does not belong there")));
        }
        match self.options.first() {
            Some((key, _)) => Err(self.error(format!("there is no option `{key}` here"))),
            None => Ok(()),
        }
    }
}

/// Whether a word can be a name.
pub(super) fn check_name(word: &str) -> Result<(), String> {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | super::repeat::NUMBER);
    if word.is_empty() || word.len() > 64 || !word.chars().all(fits) {
        return Err(format!(
            "`{word}` is no name: at most 64 letters, digits, `-`, `_`, `.` and `#`"
        ));
    }
    Ok(())
}
