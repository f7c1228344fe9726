//! Records as lines for others: without what only the instance's own log needs, and with the name of
//! the instance where lines of several come together.
//!
//! Invariant: pure, and one line whatever a record holds.

use manifest_spec::log::{Header, LogRecord, Resource, VERSION};

/// A record to be written for a sink.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What it belongs to.
    pub resource: &'a Resource,
    /// The record.
    pub record: &'a LogRecord,
    /// Its line in the log; empty for one that is in no log.
    pub line: &'a [u8],
}

/// `,"crc":"01234567"}`
const SEAL_BYTES: usize = 18;

/// Append the record as a line.
pub fn append(subject: &Subject<'_>, out: &mut Vec<u8>) {
    open(subject, out);
    out.extend_from_slice(b"}\n");
}

/// Append the record as a line that also says whose it is.
pub fn append_named(subject: &Subject<'_>, out: &mut Vec<u8>) {
    open(subject, out);
    for (key, value) in [("app", &subject.resource.app), ("service", &subject.resource.service)] {
        out.extend_from_slice(format!(",\"{key}\":").as_bytes());
        json(value, out);
    }
    let instance = subject.resource.instance;
    out.extend_from_slice(format!(",\"instance\":{instance}}}\n").as_bytes());
}

/// Append the line that stands before the records of a resource.
pub fn append_header(resource: &Resource, first_seq: u64, out: &mut Vec<u8>) {
    json(&Header { v: VERSION, resource: resource.clone(), first_seq }, out);
    out.push(b'\n');
}

/// Append a value as JSON. What records are made of is always JSON: text, numbers, and maps whose
/// keys are text; and a vector takes whatever is written to it.
pub(super) fn json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

/// The record's object without its last brace.
fn open(subject: &Subject<'_>, out: &mut Vec<u8>) {
    if let Some(bare) = bare(subject.line) {
        out.extend_from_slice(bare);
        return;
    }
    let mut record = subject.record.clone();
    record.at = None;
    json(&record, out);
    out.pop();
}

/// A sealed line without its seal, its last brace, and how far its stream was; `None` for what is
/// not such a line. Copied, not written anew: that costs a tenth.
fn bare(line: &[u8]) -> Option<&[u8]> {
    let (body, seal) = line.split_at_checked(line.len().checked_sub(SEAL_BYTES)?)?;
    let digits = seal.strip_prefix(b",\"crc\":\"")?.strip_suffix(b"\"}")?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
    // Only a number of the object itself can end here: maps end with a brace, texts with a quote.
    let end = body.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    Some(match body[..end].strip_suffix(b",\"at\":") {
        Some(rest) if end < body.len() => rest,
        _ => body,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tests::{record, resource};
    use super::*;
    use crate::logs::shape::{self, Draft, Stream};

    fn sealed(record: &LogRecord) -> Vec<u8> {
        let mut line = Vec::new();
        json(record, &mut line);
        line.pop();
        line.extend_from_slice(b",\"crc\":\"0123abcd\"}");
        line
    }

    fn lines(subject: &Subject<'_>) -> [Value; 2] {
        let (mut plain, mut named) = (Vec::new(), Vec::new());
        append(subject, &mut plain);
        append_named(subject, &mut named);
        [plain, named].map(|line| {
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            serde_json::from_slice(&line).unwrap()
        })
    }

    /// The line of the log itself is copied: nothing is written anew that could differ.
    #[test]
    fn lines_of_the_log_are_known() {
        for stream in Stream::ALL {
            let draft = Draft::plain(stream, "{\"a\":1}".into(), 12_345);
            let mut line = Vec::new();
            shape::line::append(&mut line, 7, "2026-01-02T03:04:05.000000001Z", &draft);
            line.pop();
            let bare = std::str::from_utf8(bare(&line).unwrap()).unwrap();
            let mut record = draft.record(7, "2026-01-02T03:04:05.000000001Z");
            record.at = None;
            assert_eq!(format!("{bare}}}"), serde_json::to_string(&record).unwrap());
        }
    }

    #[test]
    fn a_line_is_the_record_without_what_is_the_logs_own() {
        let resource = resource();
        let mut plain = record(7, "one\ntwo");
        plain.attributes.clear();
        let mut tricky = record(8, "x,\"at\":12");
        tricky.attributes.insert("at".into(), 3.into());
        for mut record in [record(7, "a"), plain, tricky] {
            for at in [None, Some(0), Some(123_456)] {
                record.at = at;
                let line = sealed(&record);
                let copied = lines(&Subject { resource: &resource, record: &record, line: &line });
                let anew = lines(&Subject { resource: &resource, record: &record, line: b"" });
                assert_eq!(copied, anew);
                let [plain, named] = copied;
                record.at = None;
                assert_eq!(serde_json::from_value::<LogRecord>(plain).unwrap(), record);
                assert_eq!(
                    (&named["app"], &named["service"], &named["instance"]),
                    (&"shop".into(), &"web".into(), &2.into())
                );
                assert_eq!(serde_json::from_value::<LogRecord>(named).unwrap(), record);
            }
        }
    }
}
