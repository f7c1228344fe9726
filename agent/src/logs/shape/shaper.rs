//! A stream's bytes to drafts.
//!
//! Invariant: `end` never falls, and what is pushed after the last draft's `end` can be pushed again
//! to a new shaper at that place, with the same records.

use std::borrow::Cow;
use std::sync::Arc;

use manifest_spec::log::{LogRecord, attribute};
use serde_json::Value;

use super::Settings;
use super::draft::{Draft, Stream, hexadecimal};
use super::lines::{Lines, Piece};
use super::redact::Redactor;

/// Shapes one stream.
#[derive(Debug)]
pub struct Shaper {
    stream: Stream,
    settings: Arc<Settings>,
    lines: Lines,
}

impl Shaper {
    /// A stream whose next byte has the offset `at`, at the beginning of a line.
    #[must_use]
    pub fn new(stream: Stream, settings: Arc<Settings>, at: u64) -> Shaper {
        Shaper { stream, settings, lines: Lines::new(at, None) }
    }

    /// The stream of which this is the last record, from there on: it may be within a long line.
    #[must_use]
    pub fn after(stream: Stream, settings: Arc<Settings>, last: &LogRecord) -> Shaper {
        let attributes = &last.attributes;
        let goes_on = attributes.get(attribute::LAST_PART) == Some(&Value::Bool(false));
        let part = attributes.get(attribute::PART).and_then(Value::as_u64);
        let part = part.filter(|_| goes_on).and_then(|part| u32::try_from(part + 1).ok());
        Shaper { stream, settings, lines: Lines::new(last.at.unwrap_or_default(), part) }
    }

    /// Take the bytes that follow those before.
    pub fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(&Draft<'_>)) {
        let Shaper { stream, settings, lines } = self;
        lines
            .push(bytes, &settings.secrets, |piece| shape(*stream, &settings.secrets, piece, take));
    }

    /// Give up waiting for more lines of a stack trace. The caller keeps the clock.
    pub fn expire(&mut self, _take: &mut dyn FnMut(&Draft<'_>)) {}

    /// The stream has ended.
    pub fn end(&mut self, take: &mut dyn FnMut(&Draft<'_>)) {
        let Shaper { stream, settings, lines } = self;
        lines.end(&settings.secrets, |piece| shape(*stream, &settings.secrets, piece, take));
    }

    /// Whether lines are held that wait for more, or for [`Shaper::expire`].
    #[must_use]
    pub fn is_holding_trace(&self) -> bool {
        false
    }
}

fn shape(stream: Stream, secrets: &Redactor, piece: Piece<'_>, take: &mut dyn FnMut(&Draft<'_>)) {
    let bytes = secrets.bytes(piece.bytes);
    let body = String::from_utf8_lossy(&bytes);
    let hex = match &body {
        Cow::Borrowed(_) => None,
        Cow::Owned(_) => Some(hexadecimal(&bytes)),
    };
    // Again, for a secret that has what stands for bytes that are no text.
    let body = match &hex {
        None => body,
        Some(_) => Cow::Owned(secrets.text(&body).into_owned()),
    };
    let mut draft = Draft::plain(stream, body, piece.end);
    draft.attributes.part = piece.part;
    if let Some(hex) = hex {
        draft.attributes.fields.insert(attribute::BYTES_HEX.to_owned(), hex.into());
    }
    take(&draft);
}

#[cfg(test)]
mod tests;
