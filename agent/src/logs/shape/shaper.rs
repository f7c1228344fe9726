//! A stream's bytes to drafts.
//!
//! Invariant: `end` never falls, and what is pushed after the last draft's `end` can be pushed
//! again to a new shaper at that place, with the same records.

use std::borrow::Cow;
use std::sync::Arc;

use manifest_spec::log::{LogRecord, Severity, attribute};
use serde_json::Value;

use super::Settings;
use super::content::{self, Content};
use super::draft::{Draft, Stream};
use super::fields::Form;
use super::lines::{Lines, Piece};
use super::trace::{Next, Open, Taken, Told};

/// Takes drafts.
type Take<'t> = dyn FnMut(&Draft<'_>) + 't;

/// Shapes one stream.
#[derive(Debug)]
pub struct Shaper {
    lines: Lines,
    traces: Traces,
}

/// What lines become.
#[derive(Debug)]
struct Traces {
    stream: Stream,
    settings: Arc<Settings>,
    open: Option<Open>,
    /// Severity of the line whose parts come.
    of_parts: Severity,
}

impl Shaper {
    /// A stream whose next byte has the offset `at`, at the beginning of a line.
    #[must_use]
    pub fn new(stream: Stream, settings: Arc<Settings>, at: u64) -> Shaper {
        let traces = Traces { stream, settings, open: None, of_parts: Severity::Info };
        Shaper { lines: Lines::new(at, None), traces }
    }

    /// The stream of which this is the last record, from there on: it may be within a long line, or
    /// within a long stack trace.
    #[must_use]
    pub fn after(stream: Stream, settings: Arc<Settings>, last: &LogRecord) -> Shaper {
        let attributes = &last.attributes;
        let open = Open::behind(last);
        let goes_on = attributes.get(attribute::LAST_PART) == Some(&Value::Bool(false));
        let part = attributes.get(attribute::PART).and_then(Value::as_u64);
        let part = part.filter(|_| goes_on && open.is_none());
        let part = part.and_then(|part| u32::try_from(part + 1).ok());
        let lines = Lines::new(last.at.unwrap_or_default(), part);
        Shaper { lines, traces: Traces { stream, settings, open, of_parts: last.severity } }
    }

    /// Take the bytes that follow those before.
    pub fn push(&mut self, bytes: &[u8], take: &mut dyn FnMut(&Draft<'_>)) {
        let Shaper { lines, traces } = self;
        let settings = Arc::clone(&traces.settings);
        let is_dull = !Open::may_start_in(bytes);
        lines.push(bytes, is_dull, &settings.secrets, |piece| traces.line(piece, take));
    }

    /// Give up waiting for more lines of a stack trace. The caller keeps the clock.
    pub fn expire(&mut self, take: &mut dyn FnMut(&Draft<'_>)) {
        while self.traces.open.is_some() {
            self.traces.close(take);
        }
    }

    /// The stream has ended.
    pub fn end(&mut self, take: &mut dyn FnMut(&Draft<'_>)) {
        let Shaper { lines, traces } = self;
        let settings = Arc::clone(&traces.settings);
        lines.end(&settings.secrets, |piece| traces.line(piece, take));
        self.expire(take);
    }

    /// Whether lines are held that wait for more, or for [`Shaper::expire`].
    #[must_use]
    pub fn is_holding_trace(&self) -> bool {
        self.traces.open.as_ref().is_some_and(Open::is_holding)
    }
}

impl Traces {
    /// A line that is whole, or a part of a long one.
    fn line(&mut self, piece: Piece<'_>, take: &mut Take<'_>) {
        let form = match piece.part {
            None => Form::likely(piece.bytes),
            Some(_) => None,
        };
        if let Some(open) = &mut self.open {
            let next = match (piece.part, form) {
                (None, None) => open.next(piece.bytes, piece.end),
                _ => Next::Ended,
            };
            match next {
                Next::Held => return,
                Next::Last => return self.close(take),
                Next::Full => {
                    self.part(take);
                    return self.line(piece, take);
                }
                Next::Ended => {
                    self.close(take);
                    return self.line(piece, take);
                }
            }
        }
        if piece.part.is_none() && form.is_none() {
            self.open = Open::start(piece.bytes, piece.end, piece.is_dull);
            if self.open.is_some() {
                return;
            }
        }
        self.shape(piece, form, take);
    }

    /// Give out what is certain of a trace that goes on.
    fn part(&mut self, take: &mut Take<'_>) {
        let Some(mut open) = self.open.take() else { return };
        let told = self.trace(&open, &open.part(), take);
        open.restart(&told);
        self.open = Some(open);
    }

    /// Give out a trace, and what turned out to be none of it.
    fn close(&mut self, take: &mut Take<'_>) {
        let Some(open) = self.open.take() else { return };
        let taken = open.taken();
        let is_trace = taken.end > 0;
        if is_trace {
            self.trace(&open, &taken, take);
        }
        let mut others = open.others();
        // What was taken for a trace's first line would be so again.
        if let Some((bytes, end)) = (!is_trace).then(|| others.next()).flatten() {
            self.shape(Piece { bytes, part: None, end, is_dull: false }, None, take);
        }
        for (bytes, end) in others {
            self.line(Piece { bytes, part: None, end, is_dull: false }, take);
        }
    }

    fn trace(&self, open: &Open, taken: &Taken<'_>, take: &mut Take<'_>) -> Told {
        let text = content::clean(taken.text, &self.settings.secrets);
        let told = open.told(&text.text);
        let mut draft = Draft::plain(self.stream, Cow::Borrowed(&told.body), taken.end);
        draft.severity = told.severity;
        draft.attributes.part = taken.part;
        draft.attributes.fields.clone_from(&told.attributes);
        draft.attributes.fields.extend(text.hex());
        take(&draft);
        told
    }

    fn shape(&mut self, piece: Piece<'_>, form: Option<Form>, take: &mut Take<'_>) {
        let text = content::clean(piece.bytes, &self.settings.secrets);
        let is_later = piece.part.is_some_and(|part| part.number > 0);
        let Content { severity, body, fields, trace_id, span_id } = match form {
            Some(form) => Content::structured(form, &text.text, &self.settings.secrets),
            None if is_later => {
                Content { severity: Some(self.of_parts), ..Content::plain(&text.text) }
            }
            None => Content::line(&text.text),
        };
        let mut draft = Draft::plain(self.stream, body, piece.end);
        draft.severity = severity.unwrap_or(Severity::Info);
        (draft.trace_id, draft.span_id) = (trace_id, span_id);
        draft.attributes.part = piece.part;
        draft.attributes.fields = fields;
        if let Some((name, value)) = text.hex() {
            draft.attributes.fields.insert(name, value);
        }
        self.of_parts = draft.severity;
        take(&draft);
    }
}

#[cfg(test)]
pub(super) mod tests;
