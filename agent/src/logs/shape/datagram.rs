//! Datagrams of a program's log socket to drafts: syslog, and the journal's native protocol.
//!
//! Invariant: what was sent is in the record: what is not understood stays in the body, what is too
//! large is named. A program's fields never take the names of those that the agent gives. `end` is
//! 0: datagrams come whole.

mod journal;
mod syslog;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use manifest_spec::log::{Severity, attribute};
use serde_json::{Map, Value};

use super::content::{self, Content};
use super::draft::{Draft, Part, Stream};
use super::lines::boundary;
use super::{LINE, Settings};

/// Names of facilities (RFC 5424, table 1), as syslog.h has them.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// Names of severities (RFC 5424, table 2), as syslog.h has them, and what they are in records.
const SEVERITIES: [(&str, Severity); 8] = [
    ("emerg", Severity::Fatal),
    ("alert", Severity::Fatal),
    ("crit", Severity::Fatal),
    ("err", Severity::Error),
    ("warning", Severity::Warn),
    ("notice", Severity::Info),
    ("info", Severity::Info),
    ("debug", Severity::Debug),
];

/// What a datagram says.
#[derive(Debug, Default)]
struct Message<'a> {
    severity: Option<Severity>,
    attributes: Map<String, Value>,
    body: Cow<'a, [u8]>,
}

impl Message<'_> {
    /// One of which nothing is understood.
    fn plain(bytes: &[u8]) -> Message<'_> {
        Message { body: Cow::Borrowed(bytes), ..Message::default() }
    }

    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.attributes.insert(name.to_owned(), value.into());
    }

    /// A severity of syslog, 0 to 7.
    fn set_severity(&mut self, number: usize) {
        if let Some((name, severity)) = SEVERITIES.get(number) {
            self.severity = Some(*severity);
            self.add(attribute::SYSLOG_SEVERITY, *name);
        }
    }

    fn set_facility(&mut self, number: usize) {
        if let Some(name) = FACILITIES.get(number) {
            self.add(attribute::SYSLOG_FACILITY, *name);
        }
    }
}

/// A datagram of a client of syslog: RFC 5424, or RFC 3164 as it comes by `/dev/log`, without a
/// host. One draft, or the linked parts of one that is long.
#[must_use]
pub fn syslog(bytes: &[u8], settings: &Settings) -> Vec<Draft<'static>> {
    // What is to be read is text, so that all of it is cleaned before anything is torn apart.
    let clean = settings.secrets.bytes(bytes);
    let mut drafts = Vec::with_capacity(1);
    finish(Stream::Syslog, syslog::read(&clean), settings, &mut drafts);
    drafts
}

/// A datagram of the journal's native protocol, or what was in the file it came with. A draft for
/// each entry, or the linked parts of one that is long.
#[must_use]
pub fn journal(bytes: &[u8], settings: &Settings) -> Vec<Draft<'static>> {
    let mut drafts = Vec::with_capacity(1);
    match journal::read(bytes, &settings.secrets) {
        Some(entries) => {
            for entry in entries {
                finish(Stream::Journal, entry, settings, &mut drafts);
            }
        }
        None => finish(Stream::Journal, Message::plain(bytes), settings, &mut drafts),
    }
    drafts
}

fn finish(
    stream: Stream,
    message: Message<'_>,
    settings: &Settings,
    drafts: &mut Vec<Draft<'static>>,
) {
    let Message { severity, attributes, body } = message;
    let mut attributes = Value::Object(attributes);
    settings.secrets.value(&mut attributes);
    let Value::Object(attributes) = attributes else { return };
    let body = settings.secrets.bytes(&body);
    let is_whole = body.len() <= LINE;
    let mut rest: &[u8] = &body;
    for number in 0.. {
        let (now, later) = rest.split_at(boundary(rest, LINE.min(rest.len())));
        let text = content::clean(now, &settings.secrets);
        let content = match is_whole {
            true => Content::message(&text.text, &settings.secrets),
            false => Content::plain(&text.text),
        };
        let mut draft = Draft::plain(stream, content.body, 0);
        // What is parsed says it more exactly than who sends all with one priority.
        let said = match content.fields.is_empty() {
            true => severity.or(content.severity),
            false => content.severity.or(severity),
        };
        draft.severity = said.unwrap_or(Severity::Info);
        (draft.trace_id, draft.span_id) = (content.trace_id, content.span_id);
        let fields = &mut draft.attributes.fields;
        fields.clone_from(&attributes);
        content.fields.into_iter().for_each(|(name, value)| add(fields, name, value));
        fields.extend(text.hex());
        if !is_whole {
            draft.attributes.part = Some(Part { number, last: later.is_empty() });
        }
        drafts.push(draft.into_owned());
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

/// Add what the message says to what was said with it.
fn add(fields: &mut Map<String, Value>, mut name: String, value: Value) {
    while fields.contains_key(&name) {
        name.insert_str(0, attribute::OF_APP);
    }
    fields.insert(name, value);
}

/// A name may come again; then its values are a list.
fn insert(map: &mut Map<String, Value>, name: &str, value: Value) {
    match map.get_mut(name) {
        None => drop(map.insert(name.to_owned(), value)),
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}
