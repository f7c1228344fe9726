//! A record as a message of syslog (RFC 5424).
//!
//! Invariant: pure. Whatever a record holds, the header has seven words of printable ASCII, and
//! structured data ends where it should; what is cut is cut between two characters.

use manifest_spec::log::{Resource, attribute};
use serde_json::Value;

use super::super::journal::entry::{priority, text};
use super::super::line::Subject;

/// "User-level messages", the facility of what is no part of the system.
const FACILITY: u8 = 1;
/// The number that RFC 5612 sets aside for whoever has none: ours is not registered.
const ENTERPRISE: u32 = 32_473;
/// Highest `sequenceId` (RFC 5424, 7.3.1); one comes after it.
const HIGHEST_ID: u64 = 2_147_483_647;

/// Append the message, with the text cut so that it has at most `most` bytes. When not even the
/// fields fit, they are left out.
pub fn append(subject: &Subject<'_>, most: usize, out: &mut Vec<u8>) {
    let start = out.len();
    header(subject, out);
    let fields = out.len();
    attributes(subject, out);
    if out.len() - start + " ".len() > most {
        out.truncate(fields);
    }
    let body = &subject.record.body;
    let room = most.saturating_sub(out.len() - start + " ".len());
    let mut cut = room.min(body.len());
    while !body.is_char_boundary(cut) {
        cut -= 1;
    }
    if cut > 0 {
        out.push(b' ');
        out.extend_from_slice(&body.as_bytes()[..cut]);
    }
}

/// The header and the structured data that every message has.
fn header(subject: &Subject<'_>, out: &mut Vec<u8>) {
    let (resource, record) = (subject.resource, subject.record);
    let priority = FACILITY * 8 + priority(record.severity);
    let host = word(&resource.host, 255);
    let app = word(&resource.app, 48);
    let process = word(&format!("{}.{}", resource.service, resource.instance), 128);
    let stream = record.attributes.get(attribute::STREAM).and_then(Value::as_str);
    let stream = word(stream.unwrap_or_default(), 32);
    let time = time(&record.ts);
    let id = (record.seq.max(1) - 1) % HIGHEST_ID + 1;
    let head =
        format!("<{priority}>1 {time} {host} {app} {process} {stream} [meta sequenceId=\"{id}\"]");
    out.extend_from_slice(head.as_bytes());
    whose(resource, record.seq, out);
}

fn whose(resource: &Resource, seq: u64, out: &mut Vec<u8>) {
    let mut element = Element::begin("hostctl", out);
    element.field("app", &resource.app);
    element.field("service", &resource.service);
    element.field("instance", &resource.instance.to_string());
    if let Some(version) = resource.version {
        element.field("version", &version.to_string());
    }
    element.field("seq", &seq.to_string());
    element.end();
}

fn attributes(subject: &Subject<'_>, out: &mut Vec<u8>) {
    let record = subject.record;
    let said = |key: &str| key != attribute::STREAM;
    let ids = [("trace_id", &record.trace_id), ("span_id", &record.span_id)];
    let has_ids = ids.iter().any(|(_, id)| id.is_some());
    if !has_ids && !record.attributes.keys().any(|key| said(key)) {
        return;
    }
    let mut element = Element::begin("fields", out);
    for (key, id) in ids {
        if let Some(id) = id {
            element.field(key, id);
        }
    }
    for (key, value) in record.attributes.iter().filter(|(key, _)| said(key)) {
        element.field(key, &text(value));
    }
    element.end();
}

/// One element of structured data.
struct Element<'a>(&'a mut Vec<u8>);

impl Element<'_> {
    fn begin<'a>(name: &str, out: &'a mut Vec<u8>) -> Element<'a> {
        out.extend_from_slice(format!("[{name}@{ENTERPRISE}").as_bytes());
        Element(out)
    }

    fn field(&mut self, key: &str, value: &str) {
        self.0.push(b' ');
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '=' | ']' | '"');
        let key: String = key.chars().map(|c| if allowed(c) { c } else { '_' }).take(32).collect();
        self.0.extend_from_slice(if key.is_empty() { b"_" } else { key.as_bytes() });
        self.0.extend_from_slice(b"=\"");
        for byte in value.bytes() {
            if matches!(byte, b'"' | b'\\' | b']') {
                self.0.push(b'\\');
            }
            self.0.push(byte);
        }
        self.0.push(b'"');
    }

    fn end(self) {
        self.0.push(b']');
    }
}

/// A word of the header: printable, not empty, at most so long.
fn word(text: &str, most: usize) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let word: String = text.chars().map(printable).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

/// A time with at most six digits of a fraction, which is what the RFC allows.
fn time(ts: &str) -> String {
    match ts.strip_suffix('Z').and_then(|ts| ts.split_once('.')) {
        Some((seconds, fraction)) if fraction.len() > 6 && fraction.is_ascii() => {
            format!("{seconds}.{}Z", &fraction[..6])
        }
        _ => word(ts, 64),
    }
}

#[cfg(test)]
mod tests {
    use manifest_spec::log::Severity;

    use super::super::super::tests::{record, resource};
    use super::*;

    fn message(record: &manifest_spec::log::LogRecord, most: usize) -> String {
        let mut out = b"before".to_vec();
        append(&Subject { resource: &resource(), record, line: b"" }, most, &mut out);
        String::from_utf8(out[6..].to_vec()).unwrap()
    }

    #[test]
    fn a_message_is_as_the_rfc_has_it() {
        let mut record = record(12, "it broke\nhere");
        record.severity = Severity::Warn;
        assert_eq!(
            message(&record, 9999),
            "<12>1 2026-01-02T03:04:12.000000Z box.example shop web.2 stdout \
             [meta sequenceId=\"12\"][hostctl@32473 app=\"shop\" service=\"web\" instance=\"2\" \
             version=\"3\" seq=\"12\"] it broke\nhere"
        );
        record.body.clear();
        record.span_id = Some("00f067aa0ba902b7".into());
        record.attributes.insert("pa th=]\"".into(), r#"C:\x "y" [z]"#.into());
        assert!(
            message(&record, 9999).ends_with(
                r#"[fields@32473 span_id="00f067aa0ba902b7" pa_th___="C:\\x \"y\" [z\]"]"#
            ),
            "{}",
            message(&record, 9999)
        );
    }

    #[test]
    fn numbers_begin_anew_at_the_highest() {
        for (seq, id) in [(1, 1), (HIGHEST_ID, HIGHEST_ID), (HIGHEST_ID + 1, 1), (0, 1)] {
            let mut record = record(1, "x");
            record.seq = seq;
            assert!(message(&record, 999).contains(&format!("sequenceId=\"{id}\"")), "{seq}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        let mut record = record(1, &"é".repeat(50));
        record.attributes.insert("a".into(), "b".repeat(100).into());
        let whole = message(&record, 9999);
        let fields = whole.find("[fields").unwrap();
        let text = whole.find(" é").unwrap();
        for most in fields + 1..whole.len() + 3 {
            let cut = message(&record, most);
            assert!(cut.len() <= most, "{most}");
            let has_fields = cut.contains("[fields");
            assert_eq!(has_fields, most > text, "{most}");
            if has_fields {
                assert!(whole.starts_with(&cut));
                assert!(cut.len() + 3 > most.min(whole.len()), "{most}");
            }
        }
    }

    #[test]
    fn no_record_breaks_the_header() {
        let mut resource = resource();
        resource.host = "a b\n".into();
        resource.app = "x".repeat(99);
        let mut record = record(1, "");
        record.ts = "not a\ntime".into();
        record.attributes.insert("stream".into(), "".into());
        let mut out = Vec::new();
        append(&Subject { resource: &resource, record: &record, line: b"" }, 9999, &mut out);
        let text = String::from_utf8(out).unwrap();
        let words: Vec<_> = text.split(' ').take(6).collect();
        let app = "x".repeat(48);
        assert_eq!(words, ["<14>1", "not_a_time", "a_b_", app.as_str(), "web.2", "-"]);
    }
}
