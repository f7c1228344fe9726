//! The raw tree of a document: values with the place each was written at.
//!
//! Invariant: every key and every value has a place, and a place's range lies inside the text of
//! its source. Knows nothing of which keys exist.

use std::sync::Arc;

use crate::error::{Excerpt, excerpt};
use crate::origin::Origin;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// The kinds of TOML value; tables keep the order of the file.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    /// A number that is no 64-bit integer, as written.
    Number(String),
    Boolean(bool),
    /// A date or time, which no key takes.
    Datetime(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

/// Where something was written.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) origin: Origin,
    /// Index into [`Sources`].
    pub(crate) source: u16,
    /// Bytes of the source's text.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A text that values come from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) kind: SourceKind,
    pub(crate) text: Arc<str>,
}

/// What a source is; holds the name people know it by.
#[derive(Debug, Clone)]
pub(crate) enum SourceKind {
    File(Arc<str>),
    DropIn(Arc<str>),
    Variable(Arc<str>),
    Flag(Arc<str>),
}

/// The texts of a document, in the order they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text and returns its index. Past 2^16 texts the last index is shared, which costs
    /// later ones the excerpt in their errors.
    pub(crate) fn add(&mut self, kind: SourceKind, text: &str) -> u16 {
        self.0.push(Source { kind, text: text.into() });
        u16::try_from(self.0.len() - 1).unwrap_or(u16::MAX)
    }

    pub(crate) fn get(&self, index: u16) -> Option<&Source> {
        self.0.get(usize::from(index))
    }

    /// The line to show for a place, if it is in a file.
    pub(crate) fn excerpt(&self, place: &Place) -> Option<Excerpt> {
        let source = self.get(place.source)?;
        match source.kind {
            SourceKind::File(_) | SourceKind::DropIn(_) => {
                Some(excerpt(&source.text, place.start as usize, place.end as usize))
            }
            SourceKind::Variable(_) | SourceKind::Flag(_) => None,
        }
    }
}

/// Turns byte offsets of one source into places.
pub(crate) struct Locator<'a> {
    kind: SourceKind,
    source: u16,
    text: &'a str,
    line_starts: Vec<u32>,
}

impl<'a> Locator<'a> {
    pub(crate) fn new(kind: SourceKind, source: u16, text: &'a str) -> Self {
        let breaks = text.bytes().zip(1_u32..).filter(|(byte, _)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(_, next)| next)).collect();
        Self { kind, source, text, line_starts }
    }

    /// The place of a range of the text; a range that splits a character is moved to its start.
    pub(crate) fn place(&self, start: usize, end: usize) -> Place {
        let start = boundary(self.text, start);
        let end = boundary(self.text, end).max(start);
        let origin = match &self.kind {
            SourceKind::Variable(name) => Origin::Variable { name: Arc::clone(name) },
            SourceKind::Flag(text) => Origin::Flag { text: Arc::clone(text) },
            SourceKind::File(file) => {
                let (line, column) = self.line_column(start);
                Origin::File { file: Arc::clone(file), line, column }
            }
            SourceKind::DropIn(file) => {
                let (line, column) = self.line_column(start);
                Origin::DropIn { file: Arc::clone(file), line, column }
            }
        };
        // Texts are bounded by `limits::FILE_BYTES`, so the casts cannot cut.
        Place { origin, source: self.source, start: start as u32, end: end as u32 }
    }

    fn line_column(&self, offset: usize) -> (u32, u32) {
        let line = self.line_starts.partition_point(|start| *start as usize <= offset);
        let line_start = self.line_starts[line - 1] as usize;
        let column = self.text[line_start..offset].chars().count() + 1;
        (line as u32, column as u32)
    }
}

/// The nearest start of a character at or before a byte offset.
pub(crate) fn boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl Node {
    /// The entries of a table, none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of a table with this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }
}
