//! A record but for its number and its time.
//!
//! Invariant: what is in every record of a stream costs no allocation; [`super::line::append`] and
//! [`Draft::record`] say the same.

use std::borrow::Cow;

use manifest_spec::log::{LogRecord, Severity, VERSION, attribute};
use serde_json::{Map, Value};

/// The way by which a record came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
    /// A datagram of syslog.
    Syslog,
    /// A datagram of the journal's native protocol.
    Journal,
    /// Said by hostctl itself.
    Agent,
}

impl Stream {
    /// Every one.
    pub const ALL: [Stream; 5] =
        [Stream::Output, Stream::Error, Stream::Syslog, Stream::Journal, Stream::Agent];

    /// As records name it, see [`attribute::STREAM`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Output => "stdout",
            Stream::Error => "stderr",
            Stream::Syslog => "syslog",
            Stream::Journal => "journal",
            Stream::Agent => "agent",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Stream> {
        Stream::ALL.into_iter().find(|stream| stream.name() == name)
    }

    /// Whether its records say how far it is in records ([`LogRecord::at`]): datagrams come whole.
    #[must_use]
    pub const fn has_offsets(self) -> bool {
        matches!(self, Stream::Output | Stream::Error)
    }
}

/// The place of a record in a line, or in a stack trace, that was too long for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub number: u32,
    /// Whether it ends with it.
    pub last: bool,
}

/// What is said about a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    /// The way by which it came.
    pub stream: Stream,
    /// Which part it is, if it is not whole.
    pub part: Option<Part>,
    /// All others, by name.
    pub fields: Map<String, Value>,
}

impl Attributes {
    /// Those of a record of which only its stream is known.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Attributes { stream, part: None, fields: Map::new() }
    }

    /// As records have them.
    #[must_use]
    pub fn map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert(attribute::STREAM.to_owned(), self.stream.name().into());
        if let Some(part) = self.part {
            map.insert(attribute::PART.to_owned(), part.number.into());
            map.insert(attribute::LAST_PART.to_owned(), part.last.into());
        }
        map.extend(self.fields.iter().map(|(name, value)| (name.clone(), value.clone())));
        map
    }
}

/// A record but for its number and its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft<'a> {
    /// What was said of it, or `info`.
    pub severity: Severity,
    /// The line, or the message of a structured one.
    pub body: Cow<'a, str>,
    /// Parsed fields, and what is said about the line itself.
    pub attributes: Attributes,
    /// W3C Trace Context.
    pub trace_id: Option<[u8; 16]>,
    /// W3C Trace Context.
    pub span_id: Option<[u8; 8]>,
    /// How many bytes of the stream are in records with this one, line ends included.
    pub end: u64,
}

impl<'a> Draft<'a> {
    /// A line of text.
    #[must_use]
    pub fn plain(stream: Stream, body: Cow<'a, str>, end: u64) -> Self {
        Draft {
            severity: Severity::Info,
            body,
            attributes: Attributes::new(stream),
            trace_id: None,
            span_id: None,
            end,
        }
    }

    /// The same, held by itself.
    #[must_use]
    pub fn into_owned(self) -> Draft<'static> {
        let Draft { severity, body, attributes, trace_id, span_id, end } = self;
        let body = Cow::Owned(body.into_owned());
        Draft { severity, body, attributes, trace_id, span_id, end }
    }

    /// The record, as it is read back from the line that [`super::line::append`] writes.
    #[must_use]
    pub fn record(&self, seq: u64, ts: &str) -> LogRecord {
        LogRecord {
            v: VERSION,
            seq,
            ts: ts.to_owned(),
            severity: self.severity,
            body: self.body.as_ref().to_owned(),
            attributes: self.attributes.map(),
            trace_id: self.trace_id.map(|id| hexadecimal(&id)),
            span_id: self.span_id.map(|id| hexadecimal(&id)),
            at: self.attributes.stream.has_offsets().then_some(self.end),
        }
    }
}

/// Two lower-case digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
