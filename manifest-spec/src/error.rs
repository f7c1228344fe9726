//! Diagnostics: what is wrong with a document, where, and what to write instead.
//!
//! Invariant: every diagnostic names a key or a place; printing one never emits a control or
//! direction-changing character of the user's text. Never colours, never writes to a terminal.

mod print;

use crate::limits;
use crate::origin::Origin;

pub(crate) use print::{excerpt, quoted};

/// The source line a diagnostic points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, without its end.
    pub line: String,
    /// First character under the caret, from 0.
    pub start: usize,
    /// Characters under the caret, at least 1.
    pub width: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where it was written; `None` when it is about the whole document.
    pub origin: Option<Origin>,
    /// Dotted path of the key, empty when it is about no key.
    pub key: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The line of a file.
    pub excerpt: Option<Excerpt>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    #[must_use]
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { origin: None, key: key.into(), message: message.into(), hint: None, excerpt: None }
    }

    /// The same one with what to write instead.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same one with a place.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Adds what to write instead, where the diagnostic is already collected.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

/// All diagnostics of a document, sorted by place; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    shown: Vec<Diagnostic>,
    /// How many were dropped beyond [`limits::ERRORS_SHOWN`].
    more: usize,
}

impl Diagnostics {
    /// Diagnostics in the order given, cut at [`limits::ERRORS_SHOWN`]; `None` if there are none.
    #[must_use]
    pub fn new(all: Vec<Diagnostic>) -> Option<Self> {
        Self::cut(all, 0)
    }

    /// The same with some that were not even kept.
    pub(crate) fn cut(mut all: Vec<Diagnostic>, not_kept: usize) -> Option<Self> {
        let more = all.len().saturating_sub(limits::ERRORS_SHOWN) + not_kept;
        all.truncate(limits::ERRORS_SHOWN);
        (!all.is_empty()).then_some(Self { shown: all, more })
    }

    /// The ones that are shown.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.shown.iter()
    }

    /// How many there are, the ones not shown included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shown.len() + self.more
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self { shown: vec![one], more: 0 }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.shown.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Diagnostic {}
impl std::error::Error for Diagnostics {}
