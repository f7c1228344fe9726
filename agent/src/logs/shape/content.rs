//! What bytes say, without secrets.
//!
//! Invariant: nothing that goes into a record comes from bytes that were not cleaned here; what is
//! decoded from them is cleaned once more, for it may have been written so that nobody finds it.

use std::borrow::Cow;

use manifest_spec::log::{Severity, attribute};
use serde_json::{Map, Value};

use super::draft::hexadecimal;
use super::fields::{Fields, Form};
use super::level;
use super::redact::Redactor;
use super::trace::Exception;

/// Clean bytes as text.
pub(super) struct Clean<'a> {
    pub(super) text: Cow<'a, str>,
    /// The bytes, if they are no text.
    bytes: Option<Cow<'a, [u8]>>,
}

/// Take secrets out of bytes.
pub(super) fn clean<'a>(bytes: &'a [u8], secrets: &Redactor) -> Clean<'a> {
    let bytes = match secrets.bytes(bytes) {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => return Clean { text: Cow::Borrowed(text), bytes: None },
            Err(_) => Cow::Borrowed(bytes),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Clean { text: Cow::Owned(text), bytes: None },
            Err(error) => Cow::Owned(error.into_bytes()),
        },
    };
    // Again, for a secret that has what stands for bytes that are no text.
    let lossy = String::from_utf8_lossy(&bytes);
    let text = Cow::Owned(secrets.text(&lossy).into_owned());
    Clean { text, bytes: Some(bytes) }
}

impl Clean<'_> {
    /// The attribute that has bytes which are no text.
    pub(super) fn hex(&self) -> Option<(String, Value)> {
        let bytes = self.bytes.as_ref()?;
        Some((attribute::BYTES_HEX.to_owned(), hexadecimal(bytes).into()))
    }
}

/// What a line, or a message, says.
pub(super) struct Content<'a> {
    /// `None` if it does not say.
    pub(super) severity: Option<Severity>,
    pub(super) body: Cow<'a, str>,
    pub(super) fields: Map<String, Value>,
    pub(super) trace_id: Option<[u8; 16]>,
    pub(super) span_id: Option<[u8; 8]>,
}

impl<'a> Content<'a> {
    /// Text of which nothing is known.
    pub(super) fn plain(text: &'a str) -> Self {
        let body = Cow::Borrowed(text);
        Content { severity: None, body, fields: Map::new(), trace_id: None, span_id: None }
    }

    /// A line of text.
    pub(super) fn line(text: &'a str) -> Self {
        Content { severity: level::of_line(text.as_bytes()), ..Content::plain(text) }
    }

    /// A message that came whole, of one line or of several.
    pub(super) fn message(text: &'a str, secrets: &Redactor) -> Self {
        // How clients of syslog mark JSON (Common Event Expression).
        let inner = text.strip_prefix("@cee:").map_or(text, str::trim_start);
        if let Some(form) = Form::likely(inner.as_bytes()) {
            let content = Content::structured(form, inner, secrets);
            let is_read = !content.fields.is_empty() || content.body != inner;
            return if is_read { content } else { Content::line(text) };
        }
        let Some(exception) = Exception::of_text(text) else { return Content::line(text) };
        let mut fields = Map::new();
        let severity = Some(exception.severity());
        let body = exception.title().map_or(Cow::Borrowed(text), Cow::Owned);
        exception.describe(text.to_owned(), &mut fields);
        Content { severity, body, fields, trace_id: None, span_id: None }
    }

    /// A line that is probably structured.
    pub(super) fn structured(form: Form, text: &'a str, secrets: &Redactor) -> Self {
        let Some(fields) = Fields::read(form, text) else { return Content::line(text) };
        let Fields { severity, body, attributes, trace_id, span_id } = fields;
        let mut body = body.map_or(Cow::Borrowed(text), Cow::Owned);
        let mut fields = attributes;
        // Without escapes every value stands in the text, which is clean.
        if text.contains('\\') {
            let mut attributes = Value::Object(fields);
            secrets.value(&mut attributes);
            let Value::Object(attributes) = attributes else { return Content::plain("") };
            fields = attributes;
            body = Cow::Owned(secrets.text(&body).into_owned());
        }
        Content { severity, body, fields, trace_id, span_id }
    }
}
