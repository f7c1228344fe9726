//! The journal's native protocol: fields of an entry, as `NAME=value` and a line end, or as `NAME`, a
//! line end, the value's length (eight bytes, least first), the value and a line end.
//!
//! Invariant: reads at most what was given, whatever lengths it says; what is kept of it is bounded.

use std::borrow::Cow;

use manifest_spec::log::attribute;
use serde_json::Value;

use super::super::LINE;
use super::super::draft::hexadecimal;
use super::super::lines::boundary;
use super::super::redact::Redactor;
use super::{Message, insert};

/// Most bytes of all an entry's values but its message.
const ROOM: usize = 128 * 1024;

/// What a value takes besides itself and its name, in bytes.
const MEMBER: usize = 8;

/// Most fields that are named as cut.
const MOST_CUT: usize = 1024;

/// Longest name, in bytes (systemd, `journal_field_valid`).
const NAME: usize = 64;

/// Fields that have other names in records.
const NAMES: [(&str, &str); 5] = [
    ("SYSLOG_IDENTIFIER", attribute::SYSLOG_APPNAME),
    ("SYSLOG_PID", attribute::SYSLOG_PROCID),
    ("CODE_FILE", attribute::CODE_FILE),
    ("CODE_LINE", attribute::CODE_LINE),
    ("CODE_FUNC", attribute::CODE_FUNCTION),
];

/// Every entry, each behind an empty line; `None` if that is not what the bytes are.
pub(super) fn read<'a>(mut bytes: &'a [u8], secrets: &'a Redactor) -> Option<Vec<Message<'a>>> {
    let mut entries = Vec::with_capacity(1);
    let mut entry = Entry::new(secrets);
    while !bytes.is_empty() {
        let end = memchr::memchr(b'\n', bytes);
        let (line, behind) = match end {
            Some(end) => (&bytes[..end], &bytes[end + 1..]),
            None => (bytes, &bytes[bytes.len()..]),
        };
        bytes = behind;
        if line.is_empty() {
            entries.extend(std::mem::replace(&mut entry, Entry::new(secrets)).finish());
            continue;
        }
        // Commands and comments, which say nothing.
        if matches!(line[0], b'.' | b'#') {
            continue;
        }
        let (name, value) = match memchr::memchr(b'=', line) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => {
                let (length, rest) = bytes.split_first_chunk::<8>()?;
                let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                let (value, rest) = rest.split_at_checked(length)?;
                bytes = rest.strip_prefix(b"\n").or(rest.is_empty().then_some(rest))?;
                (line, value)
            }
        };
        entry.add(valid(name)?, value);
    }
    entries.extend(entry.finish());
    (!entries.is_empty()).then_some(entries)
}

/// Upper-case letters, digits and `_`.
fn valid(name: &[u8]) -> Option<&str> {
    let is_inside = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let is_name =
        (1..=NAME).contains(&name.len()) && name.iter().all(is_inside) && !name[0].is_ascii_digit();
    std::str::from_utf8(name).ok().filter(|_| is_name)
}

struct Entry<'a> {
    secrets: &'a Redactor,
    is_empty: bool,
    message: Message<'a>,
    /// How much of [`ROOM`] is taken.
    taken: usize,
    /// Fields that had no room.
    cut: Vec<Value>,
}

impl<'a> Entry<'a> {
    fn new(secrets: &'a Redactor) -> Self {
        let message = Message::default();
        Entry { secrets, is_empty: true, message, taken: 0, cut: Vec::new() }
    }

    fn add(&mut self, name: &str, value: &'a [u8]) {
        self.is_empty = false;
        let number = || std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok());
        match name {
            "MESSAGE" if self.message.body.is_empty() => self.message.body = Cow::Borrowed(value),
            "PRIORITY" if number().is_some_and(|number| number < 8) => {
                self.message.set_severity(number().unwrap_or_default());
            }
            "SYSLOG_FACILITY" if number().is_some_and(|number| number < 24) => {
                self.message.set_facility(number().unwrap_or_default());
            }
            _ => {
                let name =
                    NAMES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, n)| n);
                self.keep(name, value);
            }
        }
    }

    fn keep(&mut self, name: &str, value: &[u8]) {
        // Cleaned before it is cut, which could leave half of a secret.
        let value = self.secrets.bytes(value);
        let room = (ROOM - self.taken).min(LINE);
        let kept = boundary(&value, value.len().min(room));
        self.taken = (self.taken + name.len() + kept + MEMBER).min(ROOM);
        if kept < value.len() || room == 0 {
            let is_named = self.cut.iter().any(|other| other == name);
            if !is_named && self.cut.len() < MOST_CUT {
                self.cut.push(name.into());
            }
        }
        if room > 0 {
            insert(&mut self.message.attributes, name, of_bytes(&value[..kept]));
        }
    }

    fn finish(mut self) -> Option<Message<'a>> {
        if self.is_empty {
            return None;
        }
        if !self.cut.is_empty() {
            self.message.add(attribute::JOURNAL_CUT, Value::Array(self.cut));
        }
        Some(self.message)
    }
}

/// Text, or bytes that are none.
fn of_bytes(value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => {
            serde_json::json!({ attribute::BYTES_HEX: hexadecimal(value) })
        }
    }
}
