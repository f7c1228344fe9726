//! Records as lines of a file, each with a seal.
//!
//! Owns the seal: a line's last member is `"crc":"0123abcd"`, the CRC-32 (IEEE 802.3) of all bytes
//! of the line before `,"crc":`, so that a torn or changed line is known while the file stays one
//! JSON object a line. Invariant: what [`append`] and [`header`] write, [`read`] reads; a line with
//! one byte changed is [`Damage`], never another record.

use manifest_spec::log::{Header, LogRecord, VERSION, attribute};

use super::draft::Draft;
use super::escape;

/// What stands before the digits of a seal.
const SEAL: &[u8] = b",\"crc\":\"";
/// Length of a seal: member, digits, quote and the object's end.
const SEAL_BYTES: usize = SEAL.len() + 8 + 2;

/// One line that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// What the records after it belong to.
    Header(Header),
    /// A record.
    Record(LogRecord),
}

/// Why a line is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// It does not end with a seal: cut off, or of something else.
    Unsealed,
    /// It was changed since it was written.
    Changed {
        /// What the seal says.
        sealed: u32,
        /// What its bytes give.
        found: u32,
    },
    /// A later version of hostctl wrote it.
    Version(u32),
    /// It is sealed and neither a header nor a record.
    Form(String),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Damage::Unsealed => f.write_str("the line has no checksum"),
            Damage::Changed { sealed, found } => {
                write!(f, "the line's checksum is {found:08x}, not {sealed:08x}")
            }
            Damage::Version(version) => write!(f, "the line is of version {version}"),
            Damage::Form(reason) => write!(f, "the line is no record: {reason}"),
        }
    }
}

impl std::error::Error for Damage {}

/// Append a record and its line end. `ts` is RFC 3339 in UTC with nanoseconds.
pub fn append(buffer: &mut Vec<u8>, seq: u64, ts: &str, draft: &Draft<'_>) {
    let start = buffer.len();
    buffer.reserve(draft.body.len() + 256);
    buffer.extend_from_slice(b"{\"v\":");
    escape::number(buffer, u64::from(VERSION));
    buffer.extend_from_slice(b",\"seq\":");
    escape::number(buffer, seq);
    buffer.extend_from_slice(b",\"ts\":\"");
    buffer.extend_from_slice(ts.as_bytes());
    buffer.extend_from_slice(b"\",\"severity\":\"");
    buffer.extend_from_slice(draft.severity.as_str().as_bytes());
    buffer.extend_from_slice(b"\",\"body\":");
    escape::string(buffer, &draft.body);
    attributes(buffer, draft);
    for (name, id) in [
        (&b",\"trace_id\":\""[..], draft.trace_id.as_ref().map(|id| &id[..])),
        (&b",\"span_id\":\""[..], draft.span_id.as_ref().map(|id| &id[..])),
    ] {
        let Some(id) = id else { continue };
        buffer.extend_from_slice(name);
        escape::digits(buffer, id);
        buffer.push(b'"');
    }
    if draft.attributes.stream.has_offsets() {
        buffer.extend_from_slice(b",\"at\":");
        escape::number(buffer, draft.end);
    }
    seal(buffer, start);
}

fn attributes(buffer: &mut Vec<u8>, draft: &Draft<'_>) {
    let attributes = &draft.attributes;
    buffer.extend_from_slice(b",\"attributes\":{\"");
    buffer.extend_from_slice(attribute::STREAM.as_bytes());
    buffer.extend_from_slice(b"\":\"");
    buffer.extend_from_slice(attributes.stream.name().as_bytes());
    buffer.push(b'"');
    if let Some(part) = attributes.part {
        member(buffer, attribute::PART);
        escape::number(buffer, u64::from(part.number));
        member(buffer, attribute::LAST_PART);
        buffer.extend_from_slice(if part.last { b"true" } else { b"false" });
    }
    for (name, value) in &attributes.fields {
        member(buffer, name);
        // Into memory, of a value whose keys are text: there is nothing that could fail.
        let _ = serde_json::to_writer(&mut *buffer, value);
    }
    buffer.push(b'}');
}

fn member(buffer: &mut Vec<u8>, name: &str) {
    buffer.push(b',');
    escape::string(buffer, name);
    buffer.push(b':');
}

/// Append a file's first line and its line end.
pub fn header(buffer: &mut Vec<u8>, header: &Header) {
    let start = buffer.len();
    // Into memory, of text and numbers: there is nothing that could fail.
    let _ = serde_json::to_writer(&mut *buffer, header);
    buffer.pop(); // the object's end, which the seal has again
    seal(buffer, start);
}

/// End the object that begins at `start`, all but its brace, with a seal and a line end.
fn seal(buffer: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&buffer[start..]);
    buffer.extend_from_slice(SEAL);
    escape::digits(buffer, &crc.to_be_bytes());
    buffer.extend_from_slice(b"\"}\n");
}

/// Whether the seal of a line, without its end, is whole and right. Much less work than [`read`].
///
/// # Errors
/// [`Damage::Unsealed`] or [`Damage::Changed`].
pub fn check(line: &[u8]) -> Result<(), Damage> {
    let start = line.len().checked_sub(SEAL_BYTES).ok_or(Damage::Unsealed)?;
    let (sealed_bytes, seal) = line.split_at(start);
    let digits = seal.strip_prefix(SEAL).and_then(|rest| rest.strip_suffix(b"\"}"));
    let is_lower = |digits: &&[u8]| !digits.iter().any(u8::is_ascii_uppercase);
    let sealed = digits
        .filter(is_lower)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or(Damage::Unsealed)?;
    let found = crc32fast::hash(sealed_bytes);
    if sealed == found { Ok(()) } else { Err(Damage::Changed { sealed, found }) }
}

/// Read a line, without its end.
///
/// # Errors
/// What is wrong with it.
pub fn read(line: &[u8]) -> Result<Line, Damage> {
    check(line)?;
    // A file has many records for each header, and a header has no `seq`.
    let record = match serde_json::from_slice::<LogRecord>(line) {
        Ok(record) if record.v == VERSION => return Ok(Line::Record(record)),
        record => record,
    };
    match (record, serde_json::from_slice::<Header>(line)) {
        (_, Ok(header)) if header.v == VERSION => Ok(Line::Header(header)),
        (record, header) => match serde_json::from_slice::<Versioned>(line) {
            Ok(Versioned { v }) if v != VERSION => Err(Damage::Version(v)),
            _ => {
                let reason = record.map(|_| ()).and(header.map(|_| ())).err();
                Err(Damage::Form(reason.map(|error| error.to_string()).unwrap_or_default()))
            }
        },
    }
}

/// What every version has.
#[derive(serde::Deserialize)]
struct Versioned {
    v: u32,
}

#[cfg(test)]
mod tests;
